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
    COMMIT_SUMMARY = 31,
};

/* The commitment to `value` as field `f` under `opening`. */
void commit_make(struct hash *h, const uint8_t opening[32], enum commit_field f, struct slice value, uint8_t out[32]);

/* The commitment to a party's counter in a summary: to its ledger name, then the counter, u64. */
void commit_summary(struct hash *h, const uint8_t opening[32], const char *party, uint64_t counter, uint8_t out[32]);

/* True if the summary says that of the party. */
MUST_CHECK
bool commit_in_summary(struct hash *h, const uint8_t opening[32], const char *party, uint64_t counter,
                       const Liaison__V1__LedgerEntry *e);

/* True if the entry's field `f` is the commitment to `value`. */
MUST_CHECK
bool commit_check(struct hash *h, const uint8_t opening[32], enum commit_field f, struct slice value,
                  const Liaison__V1__LedgerEntry *e);
