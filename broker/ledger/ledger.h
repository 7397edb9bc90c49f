#pragma once
/* Makes ledger entries: pure, given time, counters and randomness. One thread's.
 * Source: PROTOCOL.md, "Ledger entries"; design of commitments: liaison.proto, LedgerEntry. */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/hash.h"
#include "proto/liaison.pb-c.h"

/* Most entries are 250 to 600 bytes. The most that a call can cause (24 rules, three names, every section of a referral and
 * of its moves, each of 63 bytes) is some 10,000, so that no call fails because its entry does not fit. */
enum { LEDGER_ENTRY_MAX = 16384, LEDGER_VERSION = 1 };

/* What happened, in the caller's words; empty slices and NULL texts stay out of the entry. */
struct ledger_fact {
    Liaison__V1__Event event;
    enum liaison_code code; /* LIAISON_OK: VERDICT_DONE */
    Liaison__V1__Operation operation;
    const char *agency, *counterpart;
    const char *officer;     /* committed */
    struct slice referral_id;
    struct slice case_id;    /* committed */
    struct slice request_id;
    const char *purpose, *basis;
    const struct slice *rules; /* ids */
    size_t n_rules;
    const uint8_t *rule_set;    /* 32 bytes or NULL */
    const uint8_t *certificate; /* 32 bytes or NULL */
    Liaison__V1__State before, after;
    Liaison__V1__Type type;
    const char *responsible;
    const char *const *sections;
    size_t n_sections;
    struct slice content, returned; /* committed */
    uint64_t count;
};

/* Where and when it happened. */
struct ledger_place {
    uint64_t seq;
    uint64_t time_ns;
    Liaison__V1__Clock clock;
    uint64_t agency_counter, counterpart_counter; /* 0: none */
    const uint8_t *opening;                       /* 32 bytes: the entry's commitment key */
};

/* Encodes one entry. Draws the nonce from h. *out lives in `a`.
 * Errors: LIAISON_LIMIT (longer than LEDGER_ENTRY_MAX), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code ledger_entry(struct hash *h, struct arena *a, const struct ledger_fact *f, const struct ledger_place *p,
                               struct slice *out);
