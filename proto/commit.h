#pragma once
/* Commitments of ledger entries: HMAC-SHA256(opening, "liaison/1 commitment\n" || field u16 || length u32 || value).
 * Source: PROTOCOL.md, "Commitments". */
#include "proto/hash.h"
#include "proto/liaison.pb-c.h"

/* Numbers of LedgerEntry's committed fields. */
enum commit_field {
    COMMIT_OFFICER = 11,
    COMMIT_CASE = 14,
    COMMIT_COUNTERPART_COUNTER = 24,
    COMMIT_CONTENT = 25,
    COMMIT_RETURNED = 26,
};

/* The commitment to `value` as field `f` under `opening`. */
void commit_make(struct hash *h, const uint8_t opening[32], enum commit_field f, struct slice value, uint8_t out[32]);

/* True if the entry's field `f` is the commitment to `value`. */
MUST_CHECK
bool commit_check(struct hash *h, const uint8_t opening[32], enum commit_field f, struct slice value,
                  const Liaison__V1__LedgerEntry *e);
