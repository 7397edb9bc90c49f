#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/audit/complete.h"
#include "client/audit/part.h"
#include "client/audit/verify.h"
#include "client/lib/disk.h"
#include "proto/valid.h"
#include "tests/lib/make_log.h"

enum { N = 1000, DEEP = 66000, NOW_S = 1795000600 };

struct rig {
    char dir[64];
    struct make_log log;
    char policy[4096];
    uint8_t note[MAKE_NOTE_MAX];
    struct slice at_n; /* the note of the first N entries, with two witnesses */
    struct verify_report report;
    struct verify_state *last;
    bool all;
    unsigned threads;
    const struct slice *others;
    size_t n_others;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    if (r == NULL)
        return -1;
    strcpy(r->dir, "/tmp/test_audit.XXXXXX");
    if (mkdtemp(r->dir) == NULL)
        return -1;
    make_begin(&r->log, 1);
    make_grow(&r->log, N);
    r->at_n = make_note(&r->log, N, 2, r->note);
    make_policy(&r->log, 2, r->policy, sizeof r->policy);
    r->threads = 2;
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    verify_report_clear(&r->report);
    make_end(&r->log);
    nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(r);
    return 0;
}

static const char *path(const struct rig *r, const char *name)
{
    static char out[4][200];
    static unsigned turn;

    turn = (turn + 1) % 4;
    snprintf(out[turn], sizeof out[turn], "%s/%s", r->dir, name);
    return out[turn];
}

/* Writes the log as it now is as bundle `name`. */
static void put(struct rig *r, const char *name, uint64_t from, uint64_t size,
                struct slice note)
{
    make_bundle(&r->log, path(r, name), from, size, note);
}

/* Verifies bundles by the rig's policy. The report, and what it points into, live until the next call. */
static enum verify_result check(struct rig *r, const char *const *names, size_t n)
{
    static struct bundle *bundle;
    const char *folders[8];
    struct note_policy *policy = NULL;
    char why[512] = "";

    verify_report_clear(&r->report);
    bundle_free(bundle);
    bundle = NULL;
    for (size_t i = 0; i < n; i++)
        folders[i] = path(r, names[i]);
    enum liaison_code code = bundle_open(folders, n, &bundle, why, sizeof why);

    if (code != LIAISON_OK) {
        assert_true(strlen(why) > 0);
        return code == LIAISON_NOT_FOUND ? VERIFY_INCOMPLETE
               : code == LIAISON_DAMAGED ? VERIFY_TAMPERED
                                         : VERIFY_CANNOT;
    }
    assert_int_equal(note_policy_parse(slice_text(r->policy), &policy, why, sizeof why),
                     LIAISON_OK);
    struct verify_settings s = {.source = bundle_source(bundle),
                                .note = bundle_note(bundle, 0),
                                .others = r->others,
                                .n_others = r->n_others,
                                .policy = policy,
                                .last = r->last,
                                .all = r->all,
                                .now_s = NOW_S,
                                .threads = r->threads};

    assert_int_equal(verify(&s, &r->report), LIAISON_OK);
    note_policy_free(policy);
    return findings_result(&r->report.found);
}

static enum verify_result check_one(struct rig *r, const char *name)
{
    return check(r, &name, 1);
}

static void assert_found(const struct rig *r, enum finding_kind kind, uint64_t seq,
                         const char *words)
{
    const struct findings *f = &r->report.found;

    for (uint64_t i = 0; i < f->count[kind] && i < FINDINGS_KEPT; i++)
        if (f->first[kind][i].seq == seq && strstr(f->first[kind][i].text, words) != NULL)
            return;
    fail_msg("no %s at %" PRIu64 " that says '%s'; the first is '%s'", finding_word(kind),
             seq, words, f->first[kind][0].text);
}

static void assert_count(const struct rig *r, enum finding_kind kind, uint64_t n)
{
    if (r->report.found.count[kind] != n)
        fail_msg("%" PRIu64 " of %s, not %" PRIu64 "; the first is '%s'",
                 r->report.found.count[kind], finding_word(kind), n,
                 r->report.found.first[kind][0].text);
}

/* Flips one bit of a file. */
static void flip(const struct rig *r, const char *name, size_t at)
{
    uint8_t *bytes;
    size_t len;

    assert_int_equal(disk_read(path(r, name), 1 << 26, &bytes, &len), LIAISON_OK);
    assert_true(at < len);
    bytes[at] ^= 0x10;
    assert_int_equal(disk_replace(path(r, name), slice(bytes, len)), LIAISON_OK);
    free(bytes);
}

/* Where entry `i` of a page lies in its file, by the log it was made from. */
static size_t offset(const struct rig *r, uint64_t seq)
{
    size_t at = 0;

    for (uint64_t i = seq / SOURCE_WIDTH * SOURCE_WIDTH; i < seq; i++)
        at += 2 + r->log.entries[i].n;
    return at + 2;
}

/* Keeps what was verified as the last state. */
static void remember(struct rig *r, struct verify_state *to)
{
    uint8_t *text;
    size_t len;

    assert_int_equal(verify_state_print(&r->report.next, &text, &len), LIAISON_OK);
    assert_int_equal(verify_state_parse(slice(text, len), to), LIAISON_OK);
    to->bytes = text;
    r->last = to;
}

/* Decodes an entry, has it changed, puts it back with its hash. */
static void change(struct rig *r, uint64_t seq, void (*edit)(Liaison__V1__LedgerEntry *))
{
    Liaison__V1__LedgerEntry *e = liaison__v1__ledger_entry__unpack(
        NULL, r->log.entries[seq].n, r->log.entries[seq].p);

    assert_non_null(e);
    edit(e);
    make_set(&r->log, seq, e);
    liaison__v1__ledger_entry__free_unpacked(e, NULL);
}

/* ------------------------------------------------------------ what is good */

static void a_good_bundle_is_verified(void **state)
{
    struct rig *r = *state;

    put(r, "b", 0, N, r->at_n);
    assert_int_equal(check_one(r, "b"), VERIFY_GOOD);
    assert_int_equal(r->report.entries, N);
    assert_int_equal(r->report.parties, MAKE_AGENCIES);
    assert_int_equal(r->report.rule_texts, 1);
    assert_true(r->report.judgement.quorum);
    assert_int_equal(r->report.judgement.n_witnesses, 2);
}

static void a_tree_of_three_levels_is_verified_by_any_number_of_threads(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX];

    make_grow(&r->log, DEEP);
    put(r, "b", 0, DEEP, make_note(&r->log, DEEP, 3, note));
    for (r->threads = 1; r->threads <= 5; r->threads += 2) {
        assert_int_equal(check_one(r, "b"), VERIFY_GOOD);
        assert_int_equal(r->report.entries, DEEP);
        assert_int_equal(r->report.summaries, DEEP / MAKE_SUMMARY_EVERY);
        for (size_t i = 0; i < MAKE_AGENCIES; i++)
            assert_int_equal(
                parties_counter(r->report.next.parties, slice_text(MAKE_NAMES[i])),
                r->log.counters[i]);
    }
}

static void every_size_around_a_tile_is_verified(void **state)
{
    struct rig *r = *state;
    static const uint64_t SIZES[] = {1, 2, 3, 255, 256, 257, 511, 512, 513};

    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        uint8_t note[MAKE_NOTE_MAX];
        char name[16];

        snprintf(name, sizeof name, "b%zu", i);
        put(r, name, 0, SIZES[i], make_note(&r->log, SIZES[i], 2, note));
        assert_int_equal(check_one(r, name), VERIFY_GOOD);
        assert_int_equal(r->report.entries, SIZES[i]);
    }
}

static void with_a_state_only_what_is_new_is_looked_at(void **state)
{
    struct rig *r = *state;
    struct verify_state last = {.parties = NULL}, later = {.parties = NULL};
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "old", 0, N, r->at_n);
    assert_int_equal(check_one(r, "old"), VERIFY_GOOD);
    remember(r, &last);
    assert_int_equal(check_one(r, "old"),
                     VERIFY_GOOD); /* nothing new, and still the same checkpoint */
    assert_int_equal(r->report.entries, 0);
    make_grow(&r->log, N + 5000);
    put(r, "new", N / SOURCE_WIDTH * SOURCE_WIDTH, N + 5000,
        make_note(&r->log, N + 5000, 2, note));
    assert_int_equal(check_one(r, "new"), VERIFY_GOOD);
    assert_int_equal(r->report.from, N);
    assert_int_equal(r->report.entries, 5000);
    assert_int_equal(r->report.last_size, N);
    remember(r, &later);
    for (size_t i = 0; i < MAKE_AGENCIES; i++)
        assert_int_equal(parties_counter(later.parties, slice_text(MAKE_NAMES[i])),
                         r->log.counters[i]);
    verify_state_clear(&last);
    verify_state_clear(&later);
}

static void bundles_that_follow_each_other_are_one_log(void **state)
{
    struct rig *r = *state;
    uint8_t note[2][MAKE_NOTE_MAX];

    make_grow(&r->log, 3000);
    put(r, "a", 0, N, r->at_n);
    put(r, "b", 768, 2000, make_note(&r->log, 2000, 2, note[0]));
    put(r, "c", 1792, 3000, make_note(&r->log, 3000, 2, note[1]));
    assert_int_equal(check(r, (const char *[]){"c", "a", "b"}, 3), VERIFY_GOOD);
    assert_int_equal(r->report.entries, 3000);
    assert_int_equal(check(r, (const char *[]){"a", "c"}, 2), VERIFY_INCOMPLETE);
    assert_int_equal(check_one(r, "c"),
                     VERIFY_GOOD); /* counters are then taken as they begin */
    assert_int_equal(r->report.from, 1792);
}

static void what_was_erased_is_told_and_the_log_still_verifies(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX], id[16] = {1, 2, 3};
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;

    e.event = LIAISON__V1__EVENT__EVENT_ERASE;
    e.operation = LIAISON__V1__OPERATION__OPERATION_ERASURE;
    e.referral_id = make_bytes(id, sizeof id);
    make_entry(&r->log, &e, 0, 1);
    put(r, "b", 0, N + 1, make_note(&r->log, N + 1, 2, note));
    assert_int_equal(check_one(r, "b"), VERIFY_GOOD);
    assert_int_equal(r->report.erased, 1);
    assert_int_equal(r->report.erasures[0].seq, N);
    assert_memory_equal(r->report.erasures[0].referral, id, sizeof id);
}

/* ------------------------------------------------------------ damage (cases 1 to 4) */

static void a_flipped_bit_names_its_entry_and_the_rest_is_counted(void **state)
{
    struct rig *r = *state;

    put(r, "b", 0, N, r->at_n);
    flip(r, "b/tile/entries/001", offset(r, 300) + 20); /* in its nonce */
    flip(r, "b/tile/entries/002", offset(r, 700) + 20);
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_found(r, FOUND_ENTRY, 300, "entry 300 does not have the hash");
    assert_found(r, FOUND_ENTRY, 700, "entry 700 does not have the hash");
    assert_count(r, FOUND_ENTRY, 2);
    assert_count(r, FOUND_ROOT, 0);
    assert_int_equal(r->report.entries, N);
}

static void any_flipped_bit_of_an_entry_is_found(void **state)
{
    struct rig *r = *state;

    put(r, "b", 0, N, r->at_n);
    for (size_t i = 0; i < r->log.entries[256].n; i++) {
        flip(r, "b/tile/entries/001", offset(r, 256) + i);
        assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
        assert_found(r, FOUND_ENTRY, 256, "entry 256 ");
        flip(r, "b/tile/entries/001", offset(r, 256) + i);
    }
    assert_int_equal(check_one(r, "b"), VERIFY_GOOD);
}

static void a_leaf_and_its_hash_changed_together_name_the_subtree(void **state)
{
    struct rig *r = *state;
    uint8_t leaf[HASH_BYTES], *bytes;
    size_t len;

    put(r, "b", 0, N, r->at_n);
    flip(r, "b/tile/entries/001", offset(r, 300) + 20);
    ((uint8_t *)(uintptr_t)r->log.entries[300].p)[20] ^= 0x10;
    merkle_leaf(r->log.h, r->log.entries[300], leaf);
    assert_int_equal(disk_read(path(r, "b/tile/0/001"), 1 << 20, &bytes, &len),
                     LIAISON_OK);
    memcpy(bytes + (300 - 256) * HASH_BYTES, leaf, HASH_BYTES);
    assert_int_equal(disk_replace(path(r, "b/tile/0/001"), slice(bytes, len)),
                     LIAISON_OK);
    free(bytes);
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_count(r, FOUND_ENTRY, 0);
    assert_count(r, FOUND_SUBTREE, 1);
    assert_found(r, FOUND_SUBTREE, 256,
                 "the subtree of entries 256 to 511 does not lead");
}

static void a_hash_changed_at_any_level_is_named(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX];

    make_grow(&r->log, DEEP);
    put(r, "b", 0, DEEP, make_note(&r->log, DEEP, 2, note));
    flip(r, "b/tile/0/007", 33);
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_found(r, FOUND_ENTRY, 7 * 256 + 1, "does not have the hash");
    assert_found(r, FOUND_SUBTREE, 7 * 256, "tile 0 was changed, the entries lead there");
    flip(r, "b/tile/0/007", 33);
    flip(r, "b/tile/1/000", 9 * HASH_BYTES);
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_found(r, FOUND_SUBTREE, 9 * 256, "the subtree of entries 2304 to 2559");
    assert_found(r, FOUND_SUBTREE, 0,
                 "the subtree of entries 0 to 65535: tile 1/0 does not lead");
    flip(r, "b/tile/1/000", 9 * HASH_BYTES);
    flip(r, "b/tile/2/000.p/1", 5);
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_found(r, FOUND_ROOT, UINT64_MAX, "another root than the checkpoint's");
    flip(r, "b/tile/2/000.p/1", 5);
    flip(r, "b/tile/1/001.p/1", 5);
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_count(r, FOUND_ROOT, 1);
    flip(r, "b/tile/1/001.p/1", 5);
    assert_int_equal(check_one(r, "b"), VERIFY_GOOD);
}

/* The log of N - 1 entries without entry `seq`, numbers moved up or not. */
static void drop(struct rig *r, uint64_t seq)
{
    free((void *)(uintptr_t)r->log.entries[seq].p);
    memmove(&r->log.entries[seq], &r->log.entries[seq + 1],
            (N - seq - 1) * sizeof *r->log.entries);
    memmove(r->log.leaves[seq], r->log.leaves[seq + 1], (N - seq - 1) * HASH_BYTES);
    r->log.n--;
}

static void lower_seq(Liaison__V1__LedgerEntry *e)
{
    e->seq--;
}

static void a_dropped_entry_leaves_a_gap(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX];

    drop(r, 500);
    put(r, "b", 0, N - 1,
        make_note(&r->log, N - 1, 2,
                  note)); /* signed again: what the operator could do */
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_found(r, FOUND_ORDER, 500, "entry 500 says that it is entry 501");
    assert_true(r->report.found.count[FOUND_COUNTER] > 0);
}

static void a_dropped_entry_shows_in_counters_when_all_is_numbered_again(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX];

    drop(r, 500);
    for (uint64_t i = 500; i < N - 1; i++)
        change(r, i, lower_seq);
    put(r, "b", 0, N - 1, make_note(&r->log, N - 1, 2, note));
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_count(r, FOUND_ORDER, 0);
    assert_count(r, FOUND_ROOT, 0);
    assert_count(r, FOUND_COUNTER,
                 2); /* of who acted and of the counterpart, each told once */
}

static void a_dropped_entry_is_not_the_tree_that_was_signed(void **state)
{
    struct rig *r = *state;

    drop(r, 500);
    for (uint64_t i = 500; i < N - 1; i++)
        change(r, i, lower_seq);
    make_ordinary(&r->log); /* of the same size again */
    put(r, "b", 0, N, r->at_n);
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_count(r, FOUND_ROOT, 1);
}

static void swapped_and_doubled_entries_are_out_of_place(void **state)
{
    struct rig *r = *state;
    struct slice kept = r->log.entries[10];
    uint8_t note[MAKE_NOTE_MAX];

    r->log.entries[10] = r->log.entries[20];
    r->log.entries[20] = kept;
    merkle_leaf(r->log.h, r->log.entries[10], r->log.leaves[10]);
    merkle_leaf(r->log.h, r->log.entries[20], r->log.leaves[20]);
    put(r, "b", 0, N, make_note(&r->log, N, 2, note));
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_found(r, FOUND_ORDER, 10, "entry 10 says that it is entry 20");
    assert_found(r, FOUND_ORDER, 20, "entry 20 says that it is entry 10");
    assert_found(r, FOUND_ORDER, 11, "entry 11 is older than the entry before it");
}

static void go_back(Liaison__V1__LedgerEntry *e)
{
    e->time_ns -= UINT64_C(5000000000);
}

static void other_log(Liaison__V1__LedgerEntry *e)
{
    e->log = 7;
}

static void no_verdict(Liaison__V1__LedgerEntry *e)
{
    e->verdict = 0;
}

static void entries_that_say_what_none_may_are_found(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX];

    make_grow(&r->log, 2 * MAKE_SUMMARY_EVERY);
    change(r, 400, go_back);
    change(r, MAKE_SUMMARY_EVERY, go_back); /* the first of a part */
    change(r, 402, other_log);
    change(r, 404, no_verdict);
    put(r, "b", 0, r->log.n, make_note(&r->log, r->log.n, 2, note));
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_found(r, FOUND_ORDER, 400, "entry 400 is older");
    assert_found(r, FOUND_ORDER, MAKE_SUMMARY_EVERY, "entry 4096 is older");
    assert_found(r, FOUND_LOG, 402, "entry 402 is of log 7, not of log 1");
    assert_found(r, FOUND_FORM, 404, "no verdict");
}

static void a_summary_has_a_commitment_for_each_party(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX], commitment[HASH_BYTES] = {1};
    ProtobufCBinaryData row = make_bytes(commitment, sizeof commitment);
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;

    make_summary(&r->log, 700); /* three entries */
    uint64_t good = r->log.n;

    assert_int_equal(good, N + 3);
    put(r, "good", 0, good, make_note(&r->log, good, 2, note));
    assert_int_equal(check_one(r, "good"), VERIFY_GOOD);
    assert_int_equal(r->report.summaries, 1);
    e.event = LIAISON__V1__EVENT__EVENT_SUMMARY;
    e.count = 2; /* and one commitment */
    e.summary = &row;
    e.n_summary = 1;
    make_entry(&r->log, &e, 0, 0);
    put(r, "bad", 0, good + 1, make_note(&r->log, good + 1, 2, note));
    assert_int_equal(check_one(r, "bad"), VERIFY_TAMPERED);
    assert_found(r, FOUND_LOG, good, "a summary of 2 parties with 1 commitments, not 2");
}

/* ------------------------------------------------------------ forks and rollbacks (cases 5 to 8) */

static void change_nonce(Liaison__V1__LedgerEntry *e)
{
    e->nonce.data[0] ^= 1;
}

static void a_tree_that_was_built_again_is_a_fork_and_leaves_evidence(void **state)
{
    struct rig *r = *state;
    struct verify_state last = {.parties = NULL};
    uint8_t note[MAKE_NOTE_MAX], *text;
    size_t len;

    put(r, "old", 0, N, r->at_n);
    assert_int_equal(check_one(r, "old"), VERIFY_GOOD);
    remember(r, &last);
    change(r, 300, change_nonce); /* long before, with the real key and the witnesses' */
    make_grow(&r->log, N + 500);
    struct slice forked = make_note(&r->log, N + 500, 2, note);

    put(r, "new", 0, N + 500, forked);
    assert_int_equal(check_one(r, "new"), VERIFY_FORK);
    assert_found(r, FOUND_FORK, UINT64_MAX, "of 1000 entries and of 1500");
    assert_true(r->report.has_fork);
    assert_true(slice_equal(r->report.fork.first, r->at_n));
    assert_true(slice_equal(r->report.fork.second, forked));
    assert_true(r->report.fork.proof_len > 0);
    assert_int_equal(verify_fork_print(&r->report.fork, &text, &len), LIAISON_OK);
    assert_non_null(memmem(text, len, r->at_n.p, r->at_n.n));
    free(text);
    r->last = NULL; /* alone it is a good log: only what was seen tells */
    assert_int_equal(check_one(r, "new"), VERIFY_GOOD);
    verify_state_clear(&last);
}

static void two_trees_of_one_size_are_a_fork(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "a", 0, N, r->at_n);
    change(r, 300, change_nonce);
    struct slice other = make_note(&r->log, N, 2, note);

    r->others = &other; /* what another auditor was shown */
    r->n_others = 1;
    assert_int_equal(check_one(r, "a"), VERIFY_FORK);
    assert_count(r, FOUND_FORK, 1);
}

static void another_auditors_larger_tree_shows_what_was_held_back(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "a", 0, N, r->at_n);
    make_grow(&r->log, N + 10);
    struct slice larger = make_note(&r->log, N + 10, 2, note), same = r->at_n;

    r->others = &larger;
    r->n_others = 1;
    assert_int_equal(check_one(r, "a"), VERIFY_FORK);
    assert_found(r, FOUND_ROLLBACK, UINT64_MAX,
                 "the log has 1000 entries, the other checkpoint given has 1010");
    r->others = &same;
    assert_int_equal(check_one(r, "a"), VERIFY_GOOD);
    assert_int_equal(r->report.others, 1);
}

static void a_shorter_log_than_was_seen_is_a_rollback(void **state)
{
    struct rig *r = *state;
    struct verify_state last = {.parties = NULL};
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "long", 0, N, r->at_n);
    assert_int_equal(check_one(r, "long"), VERIFY_GOOD);
    remember(r, &last);
    put(r, "short", 0, N - 7, make_note(&r->log, N - 7, 2, note));
    assert_int_equal(check_one(r, "short"), VERIFY_FORK);
    assert_found(r, FOUND_ROLLBACK, UINT64_MAX,
                 "the log has 993 entries, the checkpoint seen before has 1000");
    verify_state_clear(&last);
}

static void what_nobody_signed_is_no_fork(void **state)
{
    struct rig *r = *state;
    struct verify_state last = {.parties = NULL};
    struct note_signer real = r->log.key;
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "a", 0, N, r->at_n);
    assert_int_equal(check_one(r, "a"), VERIFY_GOOD);
    remember(r, &last);
    change(r, 300, change_nonce);
    assert_int_equal(note_signer_make(r->log.h, r->log.origin, NOTE_ED25519, &r->log.key),
                     LIAISON_OK);
    put(r, "b", 0, N, make_note(&r->log, N, 2, note));
    r->log.key = real;
    assert_int_equal(check_one(r, "b"), VERIFY_CANNOT);
    assert_false(r->report.has_fork);
    verify_state_clear(&last);
}

/* ------------------------------------------------------------ notes, keys, quorum (cases 18 and 19) */

/* T-104 */
static void without_the_quorum_no_checkpoint_is_believed(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "b", 0, N, make_note(&r->log, N, 1, note));
    assert_int_equal(check_one(r, "b"), VERIFY_CANNOT);
    assert_found(r, FOUND_CANNOT, UINT64_MAX, "1 witnesses have cosigned");
    make_policy(&r->log, 0, r->policy, sizeof r->policy);
    assert_int_equal(check_one(r, "b"), VERIFY_GOOD);
}

static void notes_that_cannot_be_are_refused(void **state)
{
    struct rig *r = *state;
    static const struct {
        const char *why, *from, *to; /* the first `from` becomes `to` */
    } ROWS[] = {
        {"an extension line", "\n\n", "\nextension\n\n"},
        {"CRLF", "\n", "\r\n"},
        {"a size of another tree", "\n1000\n", "\n1001\n"},
        {"a leading zero", "\n1000\n", "\n01000\n"},
        {"size 2^64 - 1", "\n1000\n", "\n18446744073709551615\n"},
        {"a negative size", "\n1000\n", "\n-1000\n"},
        {"another origin", "eu/main", "eu/mail"},
        {"base64 that is none", "\xe2\x80\x94 practicies.example/eu/main/1 ",
         "\xe2\x80\x94 practicies.example/eu/main/1 !"},
        {"a line that is no signature", "\n\n", "\n\nhello\n"},
        {"no empty line", "\n\n", "\n"},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        size_t from_len = strlen(ROWS[i].from), to_len = strlen(ROWS[i].to), at;
        const uint8_t *place = memmem(r->at_n.p, r->at_n.n, ROWS[i].from, from_len);
        uint8_t bad[MAKE_NOTE_MAX];
        char name[16];

        assert_non_null(place);
        at = (size_t)(place - r->at_n.p);
        memcpy(bad, r->at_n.p, at);
        memcpy(bad + at, ROWS[i].to, to_len);
        memcpy(bad + at + to_len, place + from_len, r->at_n.n - at - from_len);
        snprintf(name, sizeof name, "b%zu", i);
        put(r, name, 0, N, slice(bad, r->at_n.n - from_len + to_len));
        enum verify_result result = check_one(r, name);

        if (result != VERIFY_TAMPERED && result != VERIFY_CANNOT)
            fail_msg("%s: %d", ROWS[i].why, (int)result);
        assert_false(r->report.judged);
    }
}

static void any_flipped_bit_of_a_note_is_refused(void **state)
{
    struct rig *r = *state;

    put(r, "b", 0, N, r->at_n);
    for (size_t i = 0; i < r->at_n.n; i++) {
        flip(r, "b/checkpoint", i);
        if (check_one(r, "b") ==
            VERIFY_GOOD) /* a line of a key that is not known is passed over: then the quorum must fail */
            fail_msg("bit of byte %zu", i);
        flip(r, "b/checkpoint", i);
    }
    assert_int_equal(check_one(r, "b"), VERIFY_GOOD);
}

/* Appends a KEY_ROTATE entry to a new key, signed by those given, and makes it the log's key. */
static void rotate(struct rig *r, bool by_old, bool by_new, struct note_signer *old)
{
    struct note_rotation rotation = {.size = r->log.n};
    struct note_signer fresh;
    const struct note_signer *keys[2];
    char text[NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX];
    static uint8_t note[MAKE_NOTE_MAX];
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    size_t n = 0;

    assert_int_equal(note_signer_make(r->log.h, r->log.origin, NOTE_ED25519, &fresh),
                     LIAISON_OK);
    strcpy(rotation.origin, r->log.origin);
    rotation.key = fresh.key;
    if (by_old)
        keys[n++] = &r->log.key;
    if (by_new)
        keys[n++] = &fresh;
    size_t len = note_rotation_print(&rotation, text);

    e.event = LIAISON__V1__EVENT__EVENT_KEY_ROTATE;
    e.note = make_bytes(note, make_signed(text, len, keys, n, 0, note));
    make_entry(&r->log, &e, 0, 0);
    *old = r->log.key;
    r->log.key = fresh;
}

static void a_rotated_key_counts_for_its_sizes_only(void **state)
{
    struct rig *r = *state;
    struct verify_state last = {.parties = NULL};
    struct note_signer old, fresh;
    uint8_t note[MAKE_NOTE_MAX];

    rotate(r, true, true, &old);
    fresh = r->log.key;
    make_grow(&r->log, N + 100);
    put(r, "good", 0, N + 100, make_note(&r->log, N + 100, 2, note));
    assert_int_equal(check_one(r, "good"), VERIFY_GOOD);
    assert_int_equal(r->report.rotations, 1);
    remember(r, &last); /* which knows the rotation */
    make_grow(&r->log, N + 600);
    put(r, "later", 768, N + 600, make_note(&r->log, N + 600, 2, note));
    assert_int_equal(check_one(r, "later"), VERIFY_GOOD);
    r->last = NULL;
    r->log.key = old; /* a stolen key, after its range */
    put(r, "stolen", 0, N + 600, make_note(&r->log, N + 600, 2, note));
    assert_int_equal(check_one(r, "stolen"), VERIFY_CANNOT);
    assert_found(r, FOUND_CANNOT, UINT64_MAX,
                 "no key of the policy that may sign 1600 entries");
    r->log.key = fresh; /* and the new one, before its own */
    put(r, "early", 0, N, make_note(&r->log, N, 2, note));
    assert_int_equal(check_one(r, "early"), VERIFY_CANNOT);
    verify_state_clear(&last);
}

static void a_rotation_that_is_half_done_is_none(void **state)
{
    struct rig *r = *state;
    struct note_signer old;
    uint8_t note[MAKE_NOTE_MAX];

    rotate(r, false, true, &old);
    make_grow(&r->log, N + 100);
    put(r, "b", 0, N + 100, make_note(&r->log, N + 100, 2, note));
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_found(r, FOUND_LOG, N, "the new key is not signed by a key of the policy");
    assert_false(r->report.judged);
}

static void a_policy_of_the_new_key_alone_is_enough(void **state)
{
    struct rig *r = *state;
    struct note_signer old;
    uint8_t note[MAKE_NOTE_MAX];

    rotate(r, true, true, &old);
    make_policy(&r->log, 2, r->policy, sizeof r->policy);
    put(r, "b", 0, N + 1, make_note(&r->log, N + 1, 2, note));
    assert_int_equal(check_one(r, "b"), VERIFY_GOOD);
}

/* ------------------------------------------------------------ a log after another */

/* Log 2, which continues log 1 at `size`; `r->log` is then that one, and the policy believes both. */
static void begin_second(struct rig *r, struct make_log *first, uint64_t size,
                         bool say_so)
{
    static uint8_t note[MAKE_NOTE_MAX];
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    size_t at = strlen(r->policy);
    char key[NOTE_KEY_TEXT_MAX], both[4096];

    *first = r->log;
    make_begin(&r->log, 2);
    memcpy(r->log.counters, first->counters, sizeof r->log.counters);
    memcpy(r->log.witnesses, first->witnesses, sizeof r->log.witnesses);
    e.event = LIAISON__V1__EVENT__EVENT_NEW_LOG;
    struct slice last = make_note(first, size, 2, note);

    e.note = make_bytes(last.p, last.n);
    if (say_so)
        make_entry(&r->log, &e, 0, 0);
    make_grow(&r->log, 300);
    note_key_print(&r->log.key.key, key);
    snprintf(both, sizeof both, "log %s\n%.*s", key, (int)at, r->policy);
    strcpy(r->policy, both);
}

static void a_second_log_begins_with_the_first_ones_last_checkpoint(void **state)
{
    struct rig *r = *state;
    struct verify_state last = {.parties = NULL};
    struct make_log first;
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "one", 0, N, r->at_n);
    assert_int_equal(check_one(r, "one"), VERIFY_GOOD);
    remember(r, &last);
    begin_second(r, &first, N, true);
    put(r, "two", 0, 300, make_note(&r->log, 300, 2, note));
    assert_int_equal(check_one(r, "two"), VERIFY_GOOD);
    assert_int_equal(r->report.continues_size, N);
    make_end(&first);
    verify_state_clear(&last);
}

static void a_second_log_that_leaves_out_what_was_seen_is_a_rollback(void **state)
{
    struct rig *r = *state;
    struct verify_state last = {.parties = NULL};
    struct make_log first;
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "one", 0, N, r->at_n);
    assert_int_equal(check_one(r, "one"), VERIFY_GOOD);
    remember(r, &last);
    begin_second(r, &first, N - 50, true);
    put(r, "two", 0, 300, make_note(&r->log, 300, 2, note));
    assert_int_equal(check_one(r, "two"), VERIFY_FORK);
    assert_found(r, FOUND_ROLLBACK, UINT64_MAX, "at 950 entries, 1000 of it were seen");
    make_end(&first);
    verify_state_clear(&last);
}

static void a_second_log_that_does_not_say_what_it_continues_is_none(void **state)
{
    struct rig *r = *state;
    struct make_log first;
    uint8_t note[MAKE_NOTE_MAX];

    begin_second(r, &first, N, false);
    put(r, "two", 0, 300, make_note(&r->log, 300, 2, note));
    assert_int_equal(check_one(r, "two"), VERIFY_TAMPERED);
    assert_found(r, FOUND_LOG, 0,
                 "log 2 does not begin with the last checkpoint of log 1");
    make_end(&first);
}

/* ------------------------------------------------------------ what is missing */

static void cut(const struct rig *r, const char *name, off_t to)
{
    assert_int_equal(truncate(path(r, name), to), 0);
}

static void a_bundle_that_is_cut_short_is_incomplete(void **state)
{
    struct rig *r = *state;
    static const struct {
        const char *file;
        int to; /* -1: gone */
    } ROWS[] = {
        {"checkpoint", -1},
        {"sealed", -1},
        {"sealed", 0},
        {"sealed", 400},
        {"tile/entries/001", -1},
        {"tile/entries/001", 0},
        {"tile/entries/001", 5000},
        {"tile/0/002", -1},
        {"tile/0/002", 8000},
        {"tile/1/000.p/3", -1},
        {"tile/1/000.p/3", 64},
        {"tile/0/003.p/232", 31},
        {"tile/entries/003.p/232", -1},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char name[16], file[64];

        snprintf(name, sizeof name, "b%zu", i);
        snprintf(file, sizeof file, "%s/%s", name, ROWS[i].file);
        put(r, name, 0, N, r->at_n);
        if (ROWS[i].to < 0)
            assert_int_equal(remove(path(r, file)), 0);
        else
            cut(r, file, ROWS[i].to);
        if (check_one(r, name) != VERIFY_INCOMPLETE)
            fail_msg("%s cut to %d: %d", ROWS[i].file, ROWS[i].to,
                     (int)findings_result(&r->report.found));
    }
}

static void files_that_hold_more_than_they_should_are_tampered_with(void **state)
{
    struct rig *r = *state;
    static const char *const FILES[] = {"tile/entries/001", "tile/0/002",
                                        "tile/1/000.p/3"};

    put(r, "b", 0, N, r->at_n);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char name[64];

        snprintf(name, sizeof name, "b/%s", FILES[i]);
        assert_int_equal(disk_append(path(r, name), slice_text("x")), LIAISON_OK);
        assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    }
}

static void rule_texts_are_those_that_entries_cite(void **state)
{
    struct rig *r = *state;
    char name[128] = "b/rules/";

    put(r, "b", 0, N, r->at_n);
    for (size_t i = 0; i < HASH_BYTES; i++)
        snprintf(name + 8 + 2 * i, 3, "%02x", r->log.rule_set[i]);
    flip(r, name, 3);
    assert_int_equal(check_one(r, "b"), VERIFY_TAMPERED);
    assert_found(r, FOUND_RULES, 0, "the rule text that entry 0 cites was changed");
    assert_int_equal(remove(path(r, name)), 0);
    assert_int_equal(check_one(r, "b"), VERIFY_INCOMPLETE);
    assert_found(r, FOUND_MISSING, 0, "it is missing");
}

static void nothing_to_check_is_never_good(void **state)
{
    struct rig *r = *state;
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "b", 0, 0, make_note(&r->log, 0, 2, note));
    assert_int_equal(check_one(r, "b"), VERIFY_CANNOT);
    assert_found(r, FOUND_CANNOT, UINT64_MAX, "there is nothing to check");
    assert_int_equal(check(r, NULL, 0), VERIFY_INCOMPLETE);
    assert_int_equal(check_one(r, "not-there"), VERIFY_INCOMPLETE);
}

static void entries_that_neither_bundle_nor_state_has_are_missing(void **state)
{
    struct rig *r = *state;
    struct verify_state last = {.parties = NULL};
    uint8_t note[MAKE_NOTE_MAX];

    put(r, "old", 0, N, r->at_n);
    assert_int_equal(check_one(r, "old"), VERIFY_GOOD);
    remember(r, &last);
    make_grow(&r->log, 3000);
    put(r, "new", 2048, 3000, make_note(&r->log, 3000, 2, note));
    assert_int_equal(check_one(r, "new"), VERIFY_INCOMPLETE);
    assert_found(r, FOUND_MISSING, N, "entries 1000 to 2047 are not in the bundle");
    verify_state_clear(&last);
}

/* ------------------------------------------------------------ completeness (case 10) */

static void a_search_is_complete_only_when_every_counter_is_there(void **state)
{
    static const struct {
        const char *why;
        uint64_t counters[6];
        size_t n;
        uint64_t first, last;
        bool all;
        uint64_t missing, doubled;
    } ROWS[] = {
        {"all, in any order", {3, 1, 2, 4}, 4, 1, 4, true, 0, 0},
        {"none, of an agency that did nothing", {0}, 0, 1, 0, true, 0, 0},
        {"none, of an agency that did something", {0}, 0, 1, 2, false, 1, 0},
        {"a row left out of the index", {1, 2, 4, 5}, 4, 1, 5, false, 3, 0},
        {"the first left out", {2, 3}, 2, 1, 3, false, 1, 0},
        {"the last left out", {1, 2}, 2, 1, 3, false, 3, 0},
        {"a row of another agency in its place", {1, 2, 2, 4}, 4, 1, 4, false, 0, 2},
        {"more than the log says", {1, 2, 3}, 3, 1, 2, false, 0, 3},
        {"a log that follows another", {8, 9}, 2, 8, 9, true, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct complete_row rows[6];

        for (size_t j = 0; j < ROWS[i].n; j++)
            rows[j] =
                (struct complete_row){100 + ROWS[i].counters[j], ROWS[i].counters[j]};
        struct complete c = complete_check(rows, ROWS[i].n, ROWS[i].first, ROWS[i].last);

        if (c.all != ROWS[i].all || c.missing != ROWS[i].missing ||
            c.doubled != ROWS[i].doubled)
            fail_msg("%s: %d, %" PRIu64 " missing, %" PRIu64 " doubled", ROWS[i].why,
                     c.all, c.missing, c.doubled);
    }
}

/* ------------------------------------------------------------ parts */

static void the_fast_scan_takes_what_strict_decoding_takes(void **state)
{
    struct rig *r = *state;
    struct scan *scan = scan_new();
    struct arena *a = arena_new();
    uint32_t dice = 12345;
    size_t good = 0, bad = 0;

    assert_non_null(scan);
    for (size_t i = 0; i < 200000; i++) {
        struct slice from = r->log.entries[i % N];
        uint8_t bytes[2048];
        struct scan_entry e;
        const void *m;

        memcpy(bytes, from.p, from.n);
        dice = dice * 1664525 + 1013904223;
        if (i >= N)
            bytes[(dice >> 8) % from.n] = (uint8_t)(dice >> 24);
        size_t len = i % 7 == 6 ? from.n - 1 : from.n;

        arena_reset(a);
        bool strict = valid_decode(&liaison__v1__ledger_entry__descriptor,
                                   slice(bytes, len), a, &m) == LIAISON_OK;

        if (scan_read(scan, slice(bytes, len), &e) != strict)
            fail_msg("entry %zu, byte %zu", i % N, (size_t)((dice >> 8) % from.n));
        good += strict;
        bad += !strict;
    }
    assert_true(good > 1000 && bad > 1000);
    arena_free(a);
    scan_free(scan);
}

static void a_state_reads_as_it_was_written_and_nothing_else_does(void **state)
{
    struct rig *r = *state;
    struct verify_state last = {.parties = NULL}, bad;
    uint8_t *text, *again;
    size_t len, again_len;

    put(r, "b", 0, N, r->at_n);
    assert_int_equal(check_one(r, "b"), VERIFY_GOOD);
    remember(r, &last);
    assert_int_equal(verify_state_print(&last, &again, &again_len), LIAISON_OK);
    assert_int_equal(verify_state_write(path(r, "state"), &last), LIAISON_OK);
    assert_int_equal(disk_read(path(r, "state"), 1 << 20, &text, &len), LIAISON_OK);
    assert_int_equal(len, again_len);
    assert_memory_equal(text, again, len);
    for (size_t i = 0; i < len; i++)
        if (verify_state_parse(slice(text, i), &bad) != LIAISON_MALFORMED)
            fail_msg("a state cut at byte %zu was read", i);
    free(text);
    free(again);
    verify_state_clear(&last);
}

static void a_sealed_bundle_is_not_written_over(void **state)
{
    struct rig *r = *state;
    struct bundle_writer *w = NULL;
    char why[256] = "";

    put(r, "b", 0, N, r->at_n);
    assert_int_equal(bundle_begin(path(r, "b"), 0, N, &w, why, sizeof why), LIAISON_FILE);
    assert_non_null(strstr(why, "not written over"));
    /* What was left of one that was cut short is begun anew. */
    assert_int_equal(bundle_begin(path(r, "c"), 0, N, &w, why, sizeof why), LIAISON_OK);
    assert_int_equal(bundle_put_note(w, r->at_n), LIAISON_OK);
    bundle_writer_free(w);
    assert_int_equal(check_one(r, "c"), VERIFY_INCOMPLETE);
    put(r, "c", 0, N, r->at_n);
    assert_int_equal(check_one(r, "c"), VERIFY_GOOD);
}

static void tiles_lie_where_c2sp_says(void **state)
{
    static const struct {
        unsigned level;
        uint64_t n;
        unsigned width;
        const char *want;
    } ROWS[] = {
        {0, 0, 256, "tile/0/000"},
        {1, 273, 112, "tile/1/273.p/112"},
        {0, 1234067, 256, "tile/0/x001/x234/067"},
        {2, 1000, 1, "tile/2/x001/000.p/1"},
    };
    char path[BUNDLE_PATH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        bundle_tile_path(ROWS[i].level, ROWS[i].n, ROWS[i].width, path);
        assert_string_equal(path, ROWS[i].want);
    }
    bundle_page_path(273, 2, path);
    assert_string_equal(path, "tile/entries/273.p/2");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_good_bundle_is_verified),
        T(a_tree_of_three_levels_is_verified_by_any_number_of_threads),
        T(every_size_around_a_tile_is_verified),
        T(with_a_state_only_what_is_new_is_looked_at),
        T(bundles_that_follow_each_other_are_one_log),
        T(what_was_erased_is_told_and_the_log_still_verifies),
        T(a_flipped_bit_names_its_entry_and_the_rest_is_counted),
        T(any_flipped_bit_of_an_entry_is_found),
        T(a_leaf_and_its_hash_changed_together_name_the_subtree),
        T(a_hash_changed_at_any_level_is_named),
        T(a_dropped_entry_leaves_a_gap),
        T(a_dropped_entry_shows_in_counters_when_all_is_numbered_again),
        T(a_dropped_entry_is_not_the_tree_that_was_signed),
        T(swapped_and_doubled_entries_are_out_of_place),
        T(entries_that_say_what_none_may_are_found),
        T(a_summary_has_a_commitment_for_each_party),
        T(a_tree_that_was_built_again_is_a_fork_and_leaves_evidence),
        T(two_trees_of_one_size_are_a_fork),
        T(another_auditors_larger_tree_shows_what_was_held_back),
        T(a_shorter_log_than_was_seen_is_a_rollback),
        T(what_nobody_signed_is_no_fork),
        T(without_the_quorum_no_checkpoint_is_believed),
        T(notes_that_cannot_be_are_refused),
        T(any_flipped_bit_of_a_note_is_refused),
        T(a_rotated_key_counts_for_its_sizes_only),
        T(a_rotation_that_is_half_done_is_none),
        T(a_policy_of_the_new_key_alone_is_enough),
        T(a_second_log_begins_with_the_first_ones_last_checkpoint),
        T(a_second_log_that_leaves_out_what_was_seen_is_a_rollback),
        T(a_second_log_that_does_not_say_what_it_continues_is_none),
        T(a_bundle_that_is_cut_short_is_incomplete),
        T(files_that_hold_more_than_they_should_are_tampered_with),
        T(rule_texts_are_those_that_entries_cite),
        T(nothing_to_check_is_never_good),
        T(entries_that_neither_bundle_nor_state_has_are_missing),
        T(a_search_is_complete_only_when_every_counter_is_there),
        T(the_fast_scan_takes_what_strict_decoding_takes),
        T(a_state_reads_as_it_was_written_and_nothing_else_does),
        T(a_sealed_bundle_is_not_written_over),
        T(tiles_lie_where_c2sp_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
