/* Property: the verifier's fast scan takes exactly the bytes that strict decoding takes, and reads the same out of them. */
#include <stdlib.h>

#include "client/audit/scan.h"
#include "proto/valid.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_bytes(const struct scan_entry *s, enum scan_field f,
                       ProtobufCBinaryData want)
{
    return slice_equal(scan_bytes(s, f), slice(want.data, want.len));
}

static bool same_text(const struct scan_entry *s, enum scan_field f, const char *want)
{
    return slice_equal(scan_bytes(s, f), slice_text(want));
}

static void same(const struct scan_entry *s, const Liaison__V1__LedgerEntry *e)
{
    must(scan_number(s, SCAN_VERSION) == e->version);
    must(scan_number(s, SCAN_SEQ) == e->seq);
    must(scan_number(s, SCAN_TIME_NS) == e->time_ns);
    must(scan_number(s, SCAN_CLOCK) == (uint64_t)e->clock);
    must(scan_number(s, SCAN_EVENT) == (uint64_t)e->event);
    must(scan_number(s, SCAN_VERDICT) == (uint64_t)e->verdict);
    must(scan_number(s, SCAN_CODE) == (uint64_t)e->code);
    must(scan_number(s, SCAN_OPERATION) == (uint64_t)e->operation);
    must(scan_number(s, SCAN_AGENCY_COUNTER) == e->agency_counter);
    must(scan_number(s, SCAN_COUNT) == e->count);
    must(scan_number(s, SCAN_LOG) == e->log);
    must(scan_times(s, SCAN_SUMMARY) == e->n_summary);
    must(same_bytes(s, SCAN_NONCE, e->nonce) && same_bytes(s, SCAN_NOTE, e->note));
    must(same_bytes(s, SCAN_REFERRAL_ID, e->referral_id));
    must(same_bytes(s, SCAN_RULE_SET, e->rule_set));
    must(same_bytes(s, SCAN_COUNTERPART_COUNTER, e->counterpart_counter_commitment));
    must(same_text(s, SCAN_AGENCY, e->agency));
    must(same_text(s, SCAN_COUNTERPART, e->counterpart));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scan *scan;
    struct arena *a = arena_new();
    struct scan_entry s;
    const void *m = NULL;

    if (scan == NULL)
        scan = scan_new();
    if (a == NULL || scan == NULL)
        abort();
    bool fast = scan_read(scan, slice(data, size), &s);
    bool strict = valid_decode(&liaison__v1__ledger_entry__descriptor, slice(data, size),
                               a, &m) == LIAISON_OK;

    must(fast == strict);
    if (fast)
        same(&s, m);
    arena_free(a);
    return 0;
}
