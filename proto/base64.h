#pragma once
/* Base 64 as signed notes have it: with padding, on one line, and only the one way to write each value.
 * Source: RFC 4648, 4. */
#include "proto/slice.h"

/* The characters that n bytes take, without a NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_LEN(bytes.n) characters and a NUL. Returns their number. bytes.n < 2^30. */
size_t base64_encode(struct slice bytes, char *out);

/* Reads `text`; of what it says, at most `room` bytes are written to `out`. After true *len is how many it says in all.
 * False if encoding those again would not give `text`: another alphabet, spaces, missing padding, leftover bits. */
MUST_CHECK
bool base64_decode(struct slice text, uint8_t *out, size_t room, size_t *len);
