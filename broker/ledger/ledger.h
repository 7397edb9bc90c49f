#pragma once
/* Makes ledger entries, and looks at them a second time: pure, given time, counters and randomness. One thread's.
 * Source: PROTOCOL.md, "Ledger entries"; design of commitments: liaison.proto, LedgerEntry. */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/hash.h"
#include "proto/liaison.pb-c.h"

/* Most entries are 250 to 600 bytes. The most that a call can cause (128 rules, four names, every section of a referral and
 * of its moves, each of 63 bytes) is some 14,000, so that no call fails because its entry does not fit. */
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
    const ProtobufCBinaryData *summary; /* commitments, 32 bytes each */
    size_t n_summary;
    struct slice note;
    const uint8_t *was; /* 32 bytes or NULL: LedgerEntry.before */
    const char *onward, *role;
};

/* Where and when it happened. */
struct ledger_place {
    uint32_t log;
    uint64_t seq; /* in that log */
    uint64_t time_ns;
    Liaison__V1__Clock clock;
    uint64_t agency_counter, counterpart_counter; /* 0: none */
    const uint8_t *opening;                       /* 32 bytes: the entry's commitment key */
    const uint8_t *counter_opening;               /* 32 bytes: that of the counterpart's counter; NULL: it has none */
};

/* Encodes one entry. Draws the nonce from h. *out lives in `a`.
 * Errors: LIAISON_LIMIT (longer than LEDGER_ENTRY_MAX), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code ledger_entry(struct hash *h, struct arena *a, const struct ledger_fact *f, const struct ledger_place *p,
                               struct slice *out);

/* The hash of an entry as a leaf, by another road than merkle_leaf() takes: a bit that flips between making an entry and
 * hashing it costs a log its life (auditlog: Yeti, 2022), so both must agree before anything is committed or signed.
 * Gives: a looker for one thread, or NULL when memory is out. */
struct ledger_second;
struct ledger_second *ledger_second_new(void);
void ledger_second_free(struct ledger_second *s); /* NULL is harmless */
void ledger_second_leaf(struct ledger_second *s, struct slice entry, uint8_t out[HASH_BYTES]);
