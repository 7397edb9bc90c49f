#pragma once
/* Reads a ledger entry as strictly as proto/valid.h, without building a message: a verifier looks at a million a second.
 *
 * What is allowed is taken from LedgerEntry's own descriptor, so that the two cannot part; tests/fuzz/fuzz_scan.c holds this to
 * valid_decode(). */
#include "proto/slice.h"

/* Numbers of LedgerEntry's fields, as in liaison.proto. */
enum scan_field {
    SCAN_VERSION = 1,
    SCAN_SEQ = 2,
    SCAN_TIME_NS = 3,
    SCAN_CLOCK = 4,
    SCAN_NONCE = 5,
    SCAN_EVENT = 6,
    SCAN_VERDICT = 7,
    SCAN_CODE = 8,
    SCAN_OPERATION = 9,
    SCAN_AGENCY = 10,
    SCAN_COUNTERPART = 12,
    SCAN_REFERRAL_ID = 13,
    SCAN_RULE_SET = 19,
    SCAN_AGENCY_COUNTER = 23,
    SCAN_COUNTERPART_COUNTER = 24,
    SCAN_COUNT = 30,
    SCAN_SUMMARY = 31,
    SCAN_LOG = 32,
    SCAN_NOTE = 33,
    SCAN__FIELDS = 64,
};

struct scan; /* what is allowed; read-only once made, any thread's */

/* Gives: the tables, or NULL when memory is out or LedgerEntry has grown a kind of field that this cannot read. */
struct scan *scan_new(void);
void scan_free(struct scan *s); /* NULL is harmless */

/* What one entry says. Of fields that are not there nothing but their bit in `seen` is set: read it through the functions below. */
struct scan_entry {
    uint64_t seen;
    uint64_t number[SCAN__FIELDS];
    struct slice bytes[SCAN__FIELDS]; /* of a repeated field: the last one; into the bytes read */
    uint32_t times[SCAN__FIELDS];
};

/* False if the bytes are not a strict LedgerEntry. */
MUST_CHECK
bool scan_read(const struct scan *s, struct slice bytes, struct scan_entry *out);

static inline uint64_t scan_number(const struct scan_entry *e, enum scan_field f)
{
    return (e->seen >> f & 1) != 0 ? e->number[f] : 0;
}

static inline struct slice scan_bytes(const struct scan_entry *e, enum scan_field f)
{
    return (e->seen >> f & 1) != 0 ? e->bytes[f] : (struct slice){NULL, 0};
}

static inline uint32_t scan_times(const struct scan_entry *e, enum scan_field f)
{
    return (e->seen >> f & 1) != 0 ? e->times[f] : 0;
}
