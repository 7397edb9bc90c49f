#pragma once
/* As much protobuf as is written by hand, so that signed bytes travel as they are. Source: protobuf.dev,
 * "Encoding". */
#include "proto/slice.h"

enum { WIRE_HEAD_MAX = 15 }; /* a tag and a length */

static inline size_t wire_varint(uint64_t v, uint8_t *out)
{
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

static inline size_t wire_varint_len(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

/* The head of a field that holds `len` bytes. Returns its length. */
static inline size_t wire_head(unsigned field, size_t len, uint8_t out[WIRE_HEAD_MAX])
{
    size_t n = wire_varint((uint64_t)field << 3 | 2, out);

    return n + wire_varint(len, out + n);
}

static inline size_t wire_field_len(unsigned field, size_t len)
{
    return wire_varint_len((uint64_t)field << 3 | 2) + wire_varint_len(len) + len;
}
