#pragma once
/* Bytes that come in at the end and leave at the front. An empty buffer holds no memory once released. */
#include "proto/slice.h"

/* Plain data; all zero is empty. */
struct buffer {
    uint8_t *bytes;
    size_t from, to; /* what is there */
    size_t room;     /* what is allocated */
};

/* What is there. Borrows: until the buffer changes. */
static inline struct slice buffer_bytes(const struct buffer *b)
{
    if (b->bytes == NULL) /* NULL + 0 is undefined in C */
        return slice(NULL, 0);
    return slice(b->bytes + b->from, b->to - b->from);
}

/* Room for n more bytes behind what is there, which may move to get it; NULL when memory is out. */
MUST_CHECK
uint8_t *buffer_space(struct buffer *b, size_t n);

/* Says that n bytes were written into that room. */
void buffer_added(struct buffer *b, size_t n);

/* Adds a copy. False when memory is out; nothing was added then. */
MUST_CHECK
bool buffer_append(struct buffer *b, struct slice bytes);

/* Forgets n bytes at the front; keeps the memory. */
void buffer_drop(struct buffer *b, size_t n);

/* Gives the memory back, and forgets what is there. */
void buffer_release(struct buffer *b);
