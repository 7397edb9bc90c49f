/* Ledger entries: complete, strict, committed to, and never cut. All names and numbers are synthetic. */
#include "broker/ledger/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/commit.h"
#include "proto/merkle.h"
#include "proto/valid.h"

struct rig {
    struct hash *h;
    struct arena *a;
};

static const uint8_t OPENING[32] = "the opening of a synthetic entry";
static const uint8_t RULE_SET[32] = "the rules in force, hashed......";
static const uint8_t CERTIFICATE[32] = "a certificate, hashed...........";
static const char *const SECTIONS[] = {"identity", "needs"};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->h = hash_new();
    r->a = arena_new();
    assert_non_null(r->h);
    assert_non_null(r->a);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    arena_free(r->a);
    hash_free(r->h);
    free(r);
    return 0;
}

/* Decodes strictly, which includes that encoding it again gives the same bytes; checks the latter once more by
 * hand. */
static const Liaison__V1__LedgerEntry *decode(struct rig *r, struct slice bytes)
{
    const void *m = NULL;
    assert_int_equal(
        valid_decode(&liaison__v1__ledger_entry__descriptor, bytes, r->a, &m),
        LIAISON_OK);
    struct slice again = arena_pack(r->a, (const ProtobufCMessage *)m);
    assert_true(slice_equal(again, bytes));
    return m;
}

static const uint8_t COUNTER_OPENING[32] = "the key of its counterpart alone";

static const struct ledger_place PLACE = {.log = 2,
                                          .seq = 7,
                                          .time_ns = 1795420800000000000,
                                          .clock = LIAISON__V1__CLOCK__CLOCK_SYNCED,
                                          .agency_counter = 3,
                                          .counterpart_counter = 4,
                                          .opening = OPENING,
                                          .counter_opening = COUNTER_OPENING};

static struct slice id_of(uint8_t first)
{
    static uint8_t ids[3][16];
    memset(ids[first], 0x10 + first, 16);
    return slice(ids[first], 16);
}

static struct ledger_fact full_fact(void)
{
    static const struct slice RULES[] = {{RULE_SET, 32}, {CERTIFICATE, 32}};
    return (struct ledger_fact){
        .event = LIAISON__V1__EVENT__EVENT_ACCEPT,
        .code = LIAISON_DENIED,
        .operation = LIAISON__V1__OPERATION__OPERATION_DISCLOSURE,
        .agency = "fr/lyon/probation",
        .counterpart = "fr/lyon/prison",
        .officer = "0042",
        .referral_id = id_of(0),
        .case_id = id_of(1),
        .request_id = id_of(2),
        .purpose = "reintegration",
        .basis = "law",
        .rules = RULES,
        .n_rules = 2,
        .rule_set = RULE_SET,
        .certificate = CERTIFICATE,
        .before = LIAISON__V1__STATE__STATE_RECEIVED,
        .after = LIAISON__V1__STATE__STATE_ACCEPTED,
        .type = LIAISON__V1__TYPE__TYPE_TRANSFER,
        .responsible = "fr/lyon/probation",
        .sections = SECTIONS,
        .n_sections = 2,
        .content = slice_text("signed bytes"),
        .returned = slice_text("bytes that left"),
        .count = 9,
    };
}

static void assert_bytes(ProtobufCBinaryData got, const void *want, size_t n)
{
    assert_true(slice_equal(slice(got.data, got.len), slice(want, n)));
}

static void every_field_of_the_fact_is_in_the_entry(void **state)
{
    struct rig *r = *state;
    struct ledger_fact f = full_fact();
    struct slice out;
    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &out), LIAISON_OK);
    const Liaison__V1__LedgerEntry *e = decode(r, out);
    assert_int_equal(e->version, LEDGER_VERSION);
    assert_int_equal(e->seq, 7);
    assert_int_equal(e->time_ns, 1795420800000000000);
    assert_int_equal(e->clock, LIAISON__V1__CLOCK__CLOCK_SYNCED);
    assert_int_equal(e->nonce.len, 16);
    assert_int_equal(e->event, LIAISON__V1__EVENT__EVENT_ACCEPT);
    assert_int_equal(e->verdict, LIAISON__V1__VERDICT__VERDICT_DENIED);
    assert_int_equal(e->code, LIAISON__V1__CODE__CODE_DENIED);
    assert_int_equal(e->operation, LIAISON__V1__OPERATION__OPERATION_DISCLOSURE);
    assert_string_equal(e->agency, "fr/lyon/probation");
    assert_string_equal(e->counterpart, "fr/lyon/prison");
    assert_bytes(e->referral_id, f.referral_id.p, 16);
    assert_bytes(e->request_id, f.request_id.p, 16);
    assert_string_equal(e->purpose, "reintegration");
    assert_string_equal(e->basis, "law");
    assert_int_equal(e->n_rules, 2);
    assert_bytes(e->rules[0], RULE_SET, 32);
    assert_bytes(e->rules[1], CERTIFICATE, 32);
    assert_bytes(e->rule_set, RULE_SET, 32);
    assert_bytes(e->certificate, CERTIFICATE, 32);
    assert_int_equal(e->state_before, LIAISON__V1__STATE__STATE_RECEIVED);
    assert_int_equal(e->state_after, LIAISON__V1__STATE__STATE_ACCEPTED);
    assert_int_equal(e->agency_counter, 3);
    assert_int_equal(e->type, LIAISON__V1__TYPE__TYPE_TRANSFER);
    assert_string_equal(e->responsible, "fr/lyon/probation");
    assert_int_equal(e->n_sections, 2);
    assert_string_equal(e->sections[0], "identity");
    assert_string_equal(e->sections[1], "needs");
    assert_int_equal(e->count, 9);
}

/* Nothing that is committed to stands in the entry, and each commitment opens to its value alone. */
static void commitments_open_to_their_value_and_to_no_other(void **state)
{
    struct rig *r = *state;
    struct ledger_fact f = full_fact();
    static const uint8_t COUNTER[8] = {0, 0, 0, 0, 0, 0, 0, 4}, OTHER_OPENING[32] = {1};
    const struct {
        enum commit_field field;
        struct slice value;
        const uint8_t *opening;
    } ROWS[] = {
        {COMMIT_OFFICER, slice_text("0042"), OPENING},
        {COMMIT_CASE, f.case_id, OPENING},
        {COMMIT_COUNTERPART_COUNTER, {COUNTER, 8}, COUNTER_OPENING},
        {COMMIT_CONTENT, slice_text("signed bytes"), OPENING},
        {COMMIT_RETURNED, slice_text("bytes that left"), OPENING},
    };
    struct slice out;
    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &out), LIAISON_OK);
    const Liaison__V1__LedgerEntry *e = decode(r, out);
    enum { N = sizeof ROWS / sizeof *ROWS };
    for (size_t i = 0; i < N; i++) {
        const uint8_t *opening = ROWS[i].opening;

        assert_true(commit_check(r->h, opening, ROWS[i].field, ROWS[i].value, e));
        assert_false(commit_check(r->h, OTHER_OPENING, ROWS[i].field, ROWS[i].value, e));
        assert_false(
            commit_check(r->h, opening, ROWS[i].field, ROWS[(i + 1) % N].value, e));
        assert_null(memmem(out.p, out.n, ROWS[i].value.p, ROWS[i].value.n));
    }
}

/* Whoever may know the counterpart's counter need not be able to guess at the officer. */
static void the_counterparts_counter_has_a_key_of_its_own(void **state)
{
    struct rig *r = *state;
    struct ledger_fact f = full_fact();
    static const uint8_t COUNTER[8] = {0, 0, 0, 0, 0, 0, 0, 4};
    struct slice out;

    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &out), LIAISON_OK);
    const Liaison__V1__LedgerEntry *e = decode(r, out);

    assert_false(commit_check(r->h, OPENING, COMMIT_COUNTERPART_COUNTER, slice(COUNTER, 8), e));
    assert_false(commit_check(r->h, COUNTER_OPENING, COMMIT_OFFICER, slice_text("0042"), e));
}

static void a_summary_says_of_each_party_its_counter_and_no_other(void **state)
{
    struct rig *r = *state;
    static const struct {
        const char *party;
        uint64_t counter;
        uint8_t opening[32];
    } PARTIES[] = {{"fr/lyon/prison", 12, {1}}, {"fr/lyon/probation", 0, {2}}};
    uint8_t room[2][32];
    ProtobufCBinaryData list[2];
    struct slice out;

    for (size_t i = 0; i < 2; i++) {
        commit_summary(r->h, PARTIES[i].opening, PARTIES[i].party, PARTIES[i].counter, room[i]);
        list[i] = (ProtobufCBinaryData){32, room[i]};
    }
    const struct ledger_fact f = {.event = LIAISON__V1__EVENT__EVENT_SUMMARY,
                                  .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                                  .count = 2,
                                  .summary = list,
                                  .n_summary = 2};

    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &out), LIAISON_OK);
    const Liaison__V1__LedgerEntry *e = decode(r, out);

    for (size_t i = 0; i < 2; i++) {
        const uint8_t *opening = PARTIES[i].opening;

        assert_true(commit_in_summary(r->h, opening, PARTIES[i].party, PARTIES[i].counter, e));
        assert_false(commit_in_summary(r->h, opening, PARTIES[i].party, PARTIES[i].counter + 1, e));
        assert_false(commit_in_summary(r->h, opening, PARTIES[1 - i].party, PARTIES[i].counter, e));
        assert_false(commit_in_summary(r->h, OPENING, PARTIES[i].party, PARTIES[i].counter, e));
    }
}

static void the_second_look_sees_the_same_leaf_and_every_changed_bit(void **state)
{
    struct rig *r = *state;
    struct ledger_fact f = full_fact();
    struct ledger_second *second = ledger_second_new();
    uint8_t leaf[32], again[32];
    struct slice out;

    assert_non_null(second);
    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &out), LIAISON_OK);
    merkle_leaf(r->h, out, leaf);
    ledger_second_leaf(second, out, again);
    assert_memory_equal(leaf, again, 32);
    for (size_t bit = 0; bit < 8 * out.n; bit++) {
        ((uint8_t *)(uintptr_t)out.p)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ledger_second_leaf(second, out, again);
        assert_memory_not_equal(leaf, again, 32);
        ((uint8_t *)(uintptr_t)out.p)[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ledger_second_leaf(second, slice(out.p, LEDGER_ENTRY_MAX + 1), again);
    assert_memory_not_equal(leaf, again, 32);
    ledger_second_free(second);
}

static void an_absent_field_takes_no_byte(void **state)
{
    struct rig *r = *state;
    const struct ledger_fact f = {.event = LIAISON__V1__EVENT__EVENT_START,
                                  .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                                  .agency = "",
                                  .officer = "",
                                  .referral_id = slice_text(""),
                                  .request_id = slice_text(""),
                                  .content = slice_text("")};
    const struct ledger_place p = {
        .time_ns = 1, .clock = LIAISON__V1__CLOCK__CLOCK_UNSYNCED, .opening = OPENING};
    struct slice out;
    assert_int_equal(ledger_entry(r->h, r->a, &f, &p, &out), LIAISON_OK);
    const Liaison__V1__LedgerEntry *e = decode(r, out);
    /* version, time, clock, nonce, event, verdict, operation; nothing of the other 26 */
    assert_int_equal(out.n, 2 + 2 + 2 + 18 + 2 + 2 + 2);
    assert_int_equal(e->seq, 0);
    assert_int_equal(e->verdict, LIAISON__V1__VERDICT__VERDICT_DONE);
    assert_int_equal(e->code, 0);
    assert_int_equal(e->n_rules, 0);
    assert_int_equal(e->n_sections, 0);
    assert_int_equal(e->counterpart_counter_commitment.len, 0);
}

/* Takes one field after the other away from the full fact: what is left must still be strict, and shorter. */
static void any_field_may_be_absent(void **state)
{
    struct rig *r = *state;
    struct slice full, out;
    struct ledger_fact f = full_fact();
    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &full), LIAISON_OK);
    for (int i = 0; i < 19; i++) {
        f = full_fact();
        struct ledger_place p = PLACE;
        switch (i) {
        case 0:
            f.agency = NULL;
            break;
        case 1:
            f.counterpart = NULL;
            break;
        case 2:
            f.officer = NULL;
            break;
        case 3:
            f.referral_id = (struct slice){0};
            break;
        case 4:
            f.case_id = (struct slice){0};
            break;
        case 5:
            f.request_id = (struct slice){0};
            break;
        case 6:
            f.purpose = NULL;
            break;
        case 7:
            f.basis = NULL;
            break;
        case 8:
            f.n_rules = 0;
            break;
        case 9:
            f.rule_set = NULL;
            break;
        case 10:
            f.certificate = NULL;
            break;
        case 11:
            f.before = LIAISON__V1__STATE__STATE_UNSPECIFIED;
            break;
        case 12:
            f.responsible = NULL;
            break;
        case 13:
            f.n_sections = 0;
            break;
        case 14:
            f.content = (struct slice){0};
            break;
        case 15:
            f.returned = (struct slice){0};
            break;
        case 16:
            p.agency_counter = 0;
            break;
        case 17:
            p.counter_opening = NULL;
            break;
        case 18:
            f.code = LIAISON_OK;
            break;
        }
        assert_int_equal(ledger_entry(r->h, r->a, &f, &p, &out), LIAISON_OK);
        decode(r, out);
        if (out.n >= full.n)
            fail_msg("case %d takes nothing away", i);
    }
}

static void nonces_differ(void **state)
{
    struct rig *r = *state;
    struct ledger_fact f = full_fact();
    struct slice a, b;
    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &a), LIAISON_OK);
    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &b), LIAISON_OK);
    assert_int_equal(a.n, b.n);
    assert_false(slice_equal(a, b));
}

static const char LONG_WORD[] =
    "a-word-of-sixty-three-characters-which-is-the-most-that-it-may-";

static void
the_most_that_a_call_can_cause_fits_and_what_is_too_long_is_not_cut(void **state)
{
    struct rig *r = *state;
    struct ledger_fact f = full_fact();
    struct slice rules[24], out = slice_text("untouched");
    const char *sections[300];
    assert_int_equal(strlen(LONG_WORD), 63);
    for (size_t i = 0; i < 24; i++)
        rules[i] = slice(RULE_SET, 32);
    for (size_t i = 0; i < 300; i++)
        sections[i] = LONG_WORD;
    f.rules = rules;
    f.n_rules = 24;
    f.sections = sections;
    f.n_sections = 128; /* 32 of the referral, 32 of each of three moves */
    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &out), LIAISON_OK);
    out = slice_text("untouched");
    f.n_sections = 300;
    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &out), LIAISON_LIMIT);
    assert_true(slice_equal(out, slice_text("untouched")));
    f.n_rules = SIZE_MAX;
    assert_int_equal(ledger_entry(r->h, r->a, &f, &PLACE, &out), LIAISON_LIMIT);
}

/* Lengthens one text byte by byte over the border. */
static void the_longest_entry_is_exactly_the_limit(void **state)
{
    struct rig *r = *state;
    struct ledger_fact f = full_fact();
    static char text[LEDGER_ENTRY_MAX + 100];
    size_t longest = 0;
    f.purpose = text;
    for (size_t n = LEDGER_ENTRY_MAX - 2000; n < sizeof text; n++) {
        struct slice out = {0};
        memset(text, 'p', n);
        arena_reset(r->a);
        enum liaison_code code = ledger_entry(r->h, r->a, &f, &PLACE, &out);
        if (code == LIAISON_LIMIT)
            break;
        assert_int_equal(code, LIAISON_OK);
        assert_true(out.n > longest);
        longest = out.n;
    }
    assert_int_equal(longest, LEDGER_ENTRY_MAX);
}

#define RIGGED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        RIGGED(every_field_of_the_fact_is_in_the_entry),
        RIGGED(commitments_open_to_their_value_and_to_no_other),
        RIGGED(the_counterparts_counter_has_a_key_of_its_own),
        RIGGED(a_summary_says_of_each_party_its_counter_and_no_other),
        RIGGED(the_second_look_sees_the_same_leaf_and_every_changed_bit),
        RIGGED(an_absent_field_takes_no_byte),
        RIGGED(any_field_may_be_absent),
        RIGGED(nonces_differ),
        RIGGED(the_most_that_a_call_can_cause_fits_and_what_is_too_long_is_not_cut),
        RIGGED(the_longest_entry_is_exactly_the_limit),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
