#pragma once
/* As much DER as one fixed structure needs: written from its end to its beginning, read strictly.
 * Source: X.690, 8 and 10. */
#include "proto/slice.h"

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT_0 = 0x80, /* primitive; | 0x20 when it holds values */
    DER_CONSTRUCTED = 0x20,
};

/* A buffer being filled from its end. */
struct der_out {
    uint8_t *start, *at, *end;
    bool full; /* something did not fit: the result is void */
};

static inline struct der_out der_begin(uint8_t *buffer, size_t n)
{
    return (struct der_out){buffer, buffer + n, buffer + n, false};
}

/* Puts bytes before all that is there. */
void der_put(struct der_out *o, struct slice bytes);

/* Puts the head of a value before what was put since `end` (what o->at was then). */
void der_head(struct der_out *o, uint8_t tag, const uint8_t *end);

/* Takes one value off the front of *in. False unless it has that tag and a definite length in its shortest form. */
MUST_CHECK
bool der_take(struct slice *in, uint8_t tag, struct slice *body);

/* Takes exactly these bytes off the front. */
MUST_CHECK
bool der_expect(struct slice *in, struct slice bytes);
