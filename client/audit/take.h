#pragma once
/* Takes texts of our own files apart: each takes what it wants from the front of *rest, or nothing and says false. */
#include "proto/slice.h"

/* Exactly this text. */
MUST_CHECK
bool take_text(struct slice *rest, const char *text);

/* Decimal, without leading zeros, below 2^64. */
MUST_CHECK
bool take_number(struct slice *rest, uint64_t *out);
