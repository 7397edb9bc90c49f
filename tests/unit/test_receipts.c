/* libliaison and the broker's log: checkpoints, receipts, and the calls about them, against a broker that keeps a
 * real log and plays scripts. All names and data are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "tests/unit/rig.h"

#include "tests/unit/fake_log.h"

#define SECOND_ORIGIN PKI_NETWORK "/fr/hub/2"

/* What the plays of one test share with it. */
struct scene {
    struct fake_log *log, *fork; /* the fork has the same keys and other leaves */
    uint64_t told, wanted[4];    /* what Hello said; what Prove asked for */
    size_t n_wanted, n_hellos;
    bool receipts; /* Hello's */
    uint64_t witnessed_s;
    int wrong; /* which row of a table */
    struct note_signer second;
};

static struct scene *scene(const struct peer *p)
{
    return ((struct rig *)p->s->test)->own;
}

static struct slice bytes_of(const struct fake_note *n)
{
    return slice(n->bytes, n->n);
}

static struct slice proof_of(const struct fake_proof *p)
{
    return slice(p->bytes, p->n * HASH_BYTES);
}

static void put_file(const struct rig *r, const char *file, const void *bytes, size_t n)
{
    FILE *f = fopen(pki_path(&r->pki, file), "w");

    pki_must(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* The file's text; to be freed. NULL if there is none. */
static char *file_text(const struct rig *r, const char *file)
{
    FILE *f = fopen(pki_path(&r->pki, file), "r");
    char *text = f == NULL ? NULL : calloc(1, 1 << 17);

    if (f != NULL) {
        (void)!fread(text, 1, (1 << 17) - 1, f);
        fclose(f);
    }
    return text;
}

static void believe(const struct rig *r, struct liaison *l)
{
    static const char *const FILES[][2] = {{"log_policy", "log.policy"},
                                           {"log_rotations", "log.rotations"},
                                           {"log_seen", "log.seen"},
                                           {"log_fork", "log.fork"}};

    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        assert_int_equal(liaison_set(l, FILES[i][0], pki_path(&r->pki, FILES[i][1])),
                         LIAISON_OK);
}

static int set_up_log(void **state)
{
    int failed = set_up(state);
    struct rig *r = *state;
    struct scene *s = calloc(1, sizeof *s);

    s->log = fake_log_new(NULL);
    s->fork = fake_log_new(s->log);
    fake_log_fill(s->log, 5, 1);
    fake_log_fill(s->fork, 5, 2);
    put_file(r, "log.policy", s->log->policy, strlen(s->log->policy));
    believe(r, r->l);
    r->own = s;
    return failed;
}

static int tear_down_log(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;

    finish(r);
    fake_log_free(s->log);
    fake_log_free(s->fork);
    free(s);
    return tear_down(state);
}

/* ---------------------------------------------------------------- an honest broker */

/* TLS, ZMTP, Hello; remembers what it said. NULL: the client is gone. */
static Liaison__V1__Frame *hello_of(struct peer *p)
{
    struct scene *s = scene(p);
    Liaison__V1__Frame *f =
        peer_tls(p) && peer_greet(p) && peer_ready(p) ? peer_read(p) : NULL;

    pki_must(f == NULL || f->body_case == BODY(HELLO));
    if (f != NULL) {
        s->told = f->hello->log_size;
        s->receipts = f->hello->receipts;
        s->n_hellos++;
    }
    return f;
}

static bool welcome_with(struct peer *p, struct slice note, struct slice proof)
{
    Liaison__V1__Frame *f = hello_of(p);
    bool ok = f != NULL && peer_welcome(p, f->id,
                                        (struct welcome){.version = 1,
                                                         .window = 64,
                                                         .network = PKI_NETWORK,
                                                         .checkpoint = note,
                                                         .consistency = proof});

    if (f != NULL)
        liaison__v1__frame__free_unpacked(f, NULL);
    return ok;
}

/* Welcome with the newest checkpoint of `g`, and that it extends what the client says it has seen. */
static bool welcome_of(struct peer *p, struct fake_log *g)
{
    Liaison__V1__Frame *f = hello_of(p);
    struct scene *s = scene(p);

    if (f == NULL)
        return false;
    struct fake_note note = fake_log_note(g, g->edge.size, s->witnessed_s);
    struct fake_proof growth = {.n = 0};

    if (f->hello->log_size <= g->edge.size)
        growth = fake_log_growth(g, f->hello->log_size, g->edge.size);
    bool ok = peer_welcome(p, f->id,
                           (struct welcome){.version = 1,
                                            .window = 64,
                                            .network = PKI_NETWORK,
                                            .checkpoint = bytes_of(&note),
                                            .consistency = proof_of(&growth)});

    liaison__v1__frame__free_unpacked(f, NULL);
    return ok;
}

/* Takes a submit into the log and answers it. Returns the entry's number. */
static uint64_t accept_into(struct peer *p, struct fake_log *g,
                            const Liaison__V1__Frame *f)
{
    struct acceptance a;
    uint64_t seq = g->edge.size;

    pki_must(f != NULL && f->body_case == BODY(SUBMIT));
    acceptance_of(p->s, f->submit->referral, &a);
    a.entry.seq = seq;
    a.entry.log = 1;
    a.accepted.entry =
        script_bytes(a.packed, liaison__v1__ledger_entry__pack(&a.entry, a.packed));
    fake_log_add(g, slice(a.packed, a.accepted.entry.len));
    acceptance_send(p, f->id, &a, false);
    return seq;
}

static uint64_t accept_next(struct peer *p, struct fake_log *g)
{
    Liaison__V1__Frame *f = peer_read(p);
    uint64_t seq = accept_into(p, g, f);

    liaison__v1__frame__free_unpacked(f, NULL);
    return seq;
}

struct push {
    struct slice note, proof, path;
    uint64_t old_size, seq;
};

static bool push(struct peer *p, struct push x)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Receipts receipts = LIAISON__V1__RECEIPTS__INIT;
    Liaison__V1__Inclusion inclusion = LIAISON__V1__INCLUSION__INIT,
                           *inclusions[] = {&inclusion};

    inclusion.seq = x.seq;
    inclusion.path = script_bytes(x.path.p, x.path.n);
    receipts.checkpoint = script_bytes(x.note.p, x.note.n);
    receipts.old_size = x.old_size;
    receipts.consistency = script_bytes(x.proof.p, x.proof.n);
    receipts.n_inclusions = 1;
    receipts.inclusions = inclusions;
    f.body_case = BODY(RECEIPTS);
    f.receipts = &receipts;
    return peer_send(p, 0, &f);
}

/* The receipt of `seq` under the newest checkpoint, from old_size on. */
static bool push_of(struct peer *p, struct fake_log *g, uint64_t old_size, uint64_t seq)
{
    struct fake_note note = fake_log_note(g, g->edge.size, scene(p)->witnessed_s);
    struct fake_proof growth = fake_log_growth(g, old_size, g->edge.size),
                      path = fake_log_path(g, seq, g->edge.size);

    return push(p, (struct push){.note = bytes_of(&note),
                                 .proof = proof_of(&growth),
                                 .path = proof_of(&path),
                                 .old_size = old_size,
                                 .seq = seq});
}

/* Answers one Prove honestly, under the checkpoint of `size` leaves (0: all). */
static void prove_of(struct peer *p, struct fake_log *g, const Liaison__V1__Frame *f,
                     uint64_t size)
{
    Liaison__V1__Frame out = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Proof proof = LIAISON__V1__PROOF__INIT;
    Liaison__V1__Inclusion room[8], *inclusions[8];
    struct fake_proof paths[8], growth = {.n = 0};
    struct scene *s = scene(p);

    pki_must(f != NULL && f->body_case == BODY(PROVE) && f->prove->n_seqs <= 8 &&
             s->n_wanted < 4);
    s->wanted[s->n_wanted++] = f->prove->old_size;
    size = size == 0 ? g->edge.size : size;
    struct fake_note note = fake_log_note(g, size, s->witnessed_s);

    if (f->prove->old_size <= size)
        growth = fake_log_growth(g, f->prove->old_size, size);
    for (size_t i = 0; i < f->prove->n_seqs; i++) {
        paths[i] = fake_log_path(g, f->prove->seqs[i], size);
        liaison__v1__inclusion__init(&room[i]);
        room[i].seq = f->prove->seqs[i];
        room[i].path = script_bytes(paths[i].bytes, paths[i].n * HASH_BYTES);
        inclusions[i] = &room[i];
    }
    proof.checkpoint = script_bytes(note.bytes, note.n);
    proof.consistency = script_bytes(growth.bytes, growth.n * HASH_BYTES);
    proof.n_inclusions = f->prove->n_seqs;
    proof.inclusions = inclusions;
    out.body_case = BODY(PROOF);
    out.proof = &proof;
    peer_send(p, f->id, &out);
}

static void prove_next(struct peer *p, struct fake_log *g)
{
    Liaison__V1__Frame *f = peer_read(p);

    prove_of(p, g, f, 0);
    liaison__v1__frame__free_unpacked(f, NULL);
}

/* ---------------------------------------------------------------- receipts */

static struct liaison_answer *submit_one(struct rig *r, struct liaison_referral *referral)
{
    struct liaison_answer *a = NULL;
    enum liaison_code code = liaison_submit(r->l, referral, 0, &a);

    if (code != LIAISON_OK)
        fail_msg("%s: %s", liaison_code_name(code), liaison_errmsg(r->l));
    return a;
}

static struct liaison_receipt *next_receipt(struct rig *r)
{
    struct liaison_receipt *receipt = NULL;
    enum liaison_code code = liaison_receipt_next(r->l, 20000, &receipt);

    if (code != LIAISON_OK)
        fail_msg("%s: %s", liaison_code_name(code), liaison_errmsg(r->l));
    return receipt;
}

static void play_push(struct peer *p)
{
    struct scene *s = scene(p);

    if (!welcome_of(p, s->log))
        return;
    uint64_t seq = accept_next(p, s->log);

    fake_log_fill(s->log, 3, 1); /* others' */
    push_of(p, s->log, 5, seq);
    peer_drain(p);
}

/* A handle that reaches nobody: a policy is all it has. */
static struct liaison *judge(const struct rig *r, const char *policy)
{
    struct liaison *l = NULL;

    assert_int_equal(liaison_new(&l), LIAISON_OK);
    assert_int_equal(liaison_set(l, "log_policy", pki_path(&r->pki, policy)), LIAISON_OK);
    return l;
}

static void a_receipt_comes_with_the_answer_and_stands_alone(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l), *other = bare(r->l);
    struct liaison_receipt *receipt, *read = NULL;
    const uint8_t *bytes, *entry, *same;
    size_t n, entry_n, same_n;
    char *text;

    start_with(r, play_push, NULL);
    struct liaison_answer *a = submit_one(r, referral);

    receipt = next_receipt(r);
    assert_int_equal(liaison_receipts_awaited(r->l), 0);
    assert_int_equal(liaison_receipt_verified(receipt), 1);
    assert_int_equal(liaison_receipt_seq(receipt), 5);
    assert_int_equal(liaison_receipt_size(receipt), 9);
    assert_string_equal(liaison_receipt_origin(receipt), FAKE_ORIGIN);
    assert_int_equal(liaison_receipt_quorum_s(receipt), 0);
    entry = liaison_receipt_entry(receipt, &entry_n);
    same = liaison_answer_entry(a, &same_n);
    assert_int_equal(entry_n, same_n);
    assert_memory_equal(entry, same, entry_n);
    assert_int_equal(
        liaison_receipt_save(r->l, receipt, pki_path(&r->pki, "one.receipt")),
        LIAISON_OK);

    /* Somebody else, with the file and the policy. */
    struct liaison *auditor = judge(r, "log.policy");

    text = file_text(r, "one.receipt");
    assert_int_equal(liaison_receipt_read(auditor, text, strlen(text), &read),
                     LIAISON_OK);
    assert_int_equal(liaison_receipt_verified(read), 0);
    if (liaison_receipt_verify(auditor, read) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(auditor));
    assert_int_equal(liaison_receipt_verified(read), 1);
    assert_int_equal(liaison_receipt_size(read), 9);
    assert_int_equal(liaison_referral_bytes(referral, &bytes, &n), LIAISON_OK);
    assert_int_equal(liaison_receipt_about(auditor, read, "referral", bytes, n),
                     LIAISON_OK);
    assert_int_equal(liaison_referral_bytes(other, &bytes, &n), LIAISON_OK);
    assert_int_equal(liaison_receipt_about(auditor, read, "referral", bytes, n),
                     LIAISON_SIGNATURE);
    free(text);
    liaison_receipt_free(read);
    liaison_free(auditor);
    liaison_receipt_free(receipt);
    liaison_answer_free(a);
    liaison_referral_free(referral);
    liaison_referral_free(other);
}

static void a_receipt_that_was_changed_anywhere_does_not_verify(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);
    struct liaison *auditor = judge(r, "log.policy");
    struct liaison_receipt *receipt, *read;
    const uint8_t *bytes;
    const char *text;
    size_t n, bytes_n, held = 0;

    start_with(r, play_push, NULL);
    liaison_answer_free(submit_one(r, referral));
    receipt = next_receipt(r);
    assert_int_equal(liaison_receipt_text(receipt, &text, &n), LIAISON_OK);
    assert_int_equal(liaison_referral_bytes(referral, &bytes, &bytes_n), LIAISON_OK);
    char *copy = malloc(n);

    for (size_t i = 0; i < n; i++) {
        memcpy(copy, text, n);
        copy[i] = (char)(copy[i] ^ 1);
        read = NULL;
        held += liaison_receipt_read(auditor, copy, n, &read) == LIAISON_OK &&
                liaison_receipt_verify(auditor, read) == LIAISON_OK &&
                liaison_receipt_about(auditor, read, "referral", bytes, bytes_n) ==
                    LIAISON_OK;
        liaison_receipt_free(read);
        read = NULL;
        held += liaison_receipt_read(auditor, text, i, &read) == LIAISON_OK &&
                liaison_receipt_verify(auditor, read) == LIAISON_OK;
        liaison_receipt_free(read);
    }
    assert_int_equal(held, 0);
    free(copy);
    liaison_receipt_free(receipt);
    liaison_referral_free(referral);
    liaison_free(auditor);
}

static void
without_a_policy_nothing_changes_and_it_says_that_nothing_is_verified(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    struct liaison_referral *referral = bare(r->l);
    struct liaison_receipt *receipt = NULL;

    assert_int_equal(liaison_set(r->l, "log_policy", ""), LIAISON_OK);
    assert_int_equal(liaison_log_on(r->l), 0);
    start_with(r, play_push, NULL);
    struct liaison_answer *a = submit_one(r, referral);

    assert_int_equal(liaison_receipts_awaited(r->l), 0);
    assert_int_equal(liaison_receipt_next(r->l, 0, &receipt), LIAISON_CONFIG);
    assert_non_null(strstr(liaison_errmsg(r->l), "nothing is verified"));
    assert_int_equal(liaison_receipt_claim(r->l, a, &receipt), LIAISON_OK);
    assert_int_equal(liaison_receipt_prove(r->l, receipt, 1000), LIAISON_CONFIG);
    assert_int_equal(liaison_receipt_verify(r->l, receipt), LIAISON_CONFIG);
    liaison_receipt_free(receipt);
    liaison_answer_free(a);
    liaison_referral_free(referral);
    finish(r);
    assert_int_equal(s->told, 0);
    assert_false(s->receipts);
    assert_null(file_text(r, "log.seen"));
}

static void play_prove(struct peer *p)
{
    struct scene *s = scene(p);

    if (!welcome_of(p, s->log))
        return;
    accept_next(p, s->log); /* its receipt is not pushed */
    fake_log_fill(s->log, 1, 1);
    prove_next(p, s->log);
    s->witnessed_s = (uint64_t)time(NULL);
    fake_log_fill(s->log, 1, 1);
    prove_next(p, s->log); /* under a witnessed checkpoint */
    prove_next(p, s->log); /* which extends what was seen */
    peer_drain(p);
}

/* The push is waited for first; the deadline of this wait is what the test costs. */
static void what_is_not_pushed_is_asked_for_and_asked_again_for_witnesses(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    struct liaison_referral *referral = bare(r->l);
    struct liaison_receipt *receipt = NULL;

    start_with(r, play_prove, NULL);
    struct liaison_answer *a = submit_one(r, referral);

    assert_int_equal(liaison_receipt_claim(r->l, a, &receipt), LIAISON_OK);
    assert_int_equal(liaison_receipt_verify(r->l, receipt), LIAISON_PROOF);
    if (liaison_receipt_prove(r->l, receipt, 20000) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(r->l));
    assert_int_equal(liaison_receipt_size(receipt), 7);
    assert_int_equal(liaison_receipt_witnesses(receipt), 0);
    assert_int_equal(liaison_receipts_awaited(r->l), 0);
    if (liaison_receipt_prove(r->l, receipt, 20000) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(r->l));
    assert_int_equal(liaison_receipt_size(receipt), 8);
    assert_int_equal(liaison_receipt_witnesses(receipt), 1);
    assert_int_equal(liaison_receipt_quorum_s(receipt), s->witnessed_s);
    liaison_receipt_free(receipt);
    liaison_answer_free(a);
    liaison_referral_free(referral);
    finish(r);
    assert_int_equal(s->wanted[0], 5);
    assert_int_equal(s->wanted[1], 0);
    assert_int_equal(s->wanted[2], 7);
}

static void play_cut(struct peer *p)
{
    struct scene *s = scene(p);

    if (welcome_of(p, s->log))
        accept_next(p, s->log);
}

static void play_after_cut(struct peer *p)
{
    struct scene *s = scene(p);

    fake_log_fill(s->log, 2, 1);
    if (!welcome_of(p, s->log))
        return;
    prove_next(p, s->log);
    peer_drain(p);
}

static void a_receipt_whose_session_was_cut_is_asked_for_in_the_next(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    struct liaison_referral *referral = bare(r->l);

    start_with(r, play_cut, play_after_cut);
    liaison_answer_free(submit_one(r, referral));
    struct liaison_receipt *receipt = next_receipt(r);

    assert_int_equal(liaison_receipt_seq(receipt), 5);
    assert_int_equal(liaison_receipt_size(receipt), 8);
    liaison_receipt_free(receipt);
    liaison_referral_free(referral);
    finish(r);
    assert_int_equal(s->told, 5);
}

static void play_other_base(struct peer *p)
{
    struct scene *s = scene(p);

    if (!welcome_of(p, s->log))
        return;
    uint64_t seq = accept_next(p, s->log);

    fake_log_fill(s->log, 1, 1);
    push_of(p, s->log, 3, seq); /* true, and from a size that says nothing about 5 */
    prove_next(p, s->log);
    peer_drain(p);
}

static void a_receipt_from_another_size_than_was_seen_is_asked_for_again(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    struct liaison_referral *referral = bare(r->l);

    start_with(r, play_other_base, NULL);
    liaison_answer_free(submit_one(r, referral));
    struct liaison_receipt *receipt = next_receipt(r);

    assert_int_equal(liaison_receipt_size(receipt), 7);
    liaison_receipt_free(receipt);
    liaison_referral_free(referral);
    finish(r);
    assert_int_equal(s->n_wanted, 1);
    assert_int_equal(s->wanted[0], 5);
}

/* ---------------------------------------------------------------- what a broker may not say */

enum { P_PATH, P_SHORT, P_STRANGER, P_FORK, P_GROWTH, P_NOISE, P_ORIGIN, P__COUNT };

static void play_wrong_push(struct peer *p)
{
    struct scene *s = scene(p);
    struct fake_log *g = s->log;
    struct note_signer stranger;
    struct fake_proof growth, path;
    struct fake_note note;
    struct push x = {.old_size = 5};

    if (!welcome_of(p, g))
        return;
    x.seq = accept_next(p, g);
    fake_log_fill(s->fork, 1, 2);
    pki_must(note_signer_make(g->hash, FAKE_ORIGIN, NOTE_ED25519, &stranger) ==
             LIAISON_OK);
    growth = fake_log_growth(g, 5, 6);
    path = fake_log_path(g, x.seq, 6);
    note = fake_log_note(g, 6, 0);
    if (s->wrong == P_PATH)
        path.bytes[0][0] ^= 1;
    if (s->wrong == P_SHORT)
        path.n--;
    if (s->wrong == P_STRANGER)
        note = fake_log_note_by(g, &stranger, FAKE_ORIGIN, 6, 0);
    if (s->wrong == P_FORK) {
        note = fake_log_note(s->fork, 6, 0);
        growth = fake_log_growth(s->fork, 5, 6);
    }
    if (s->wrong == P_GROWTH)
        growth.bytes[0][0] ^= 1;
    if (s->wrong == P_NOISE)
        note.n = 9;
    if (s->wrong == P_ORIGIN)
        note = fake_log_note_by(g, &g->key, PKI_NETWORK "/fr/hub/2", 6, 0);
    x.note = bytes_of(&note);
    x.proof = proof_of(&growth);
    x.path = proof_of(&path);
    push(p, x);
    peer_drain(p);
}

static void a_receipt_that_does_not_hold_ends_the_session(void **state)
{
    static const enum liaison_code WANT[P__COUNT] = {
        [P_PATH] = LIAISON_PROOF,         [P_SHORT] = LIAISON_PROOF,
        [P_STRANGER] = LIAISON_SIGNATURE, [P_FORK] = LIAISON_FORK,
        [P_GROWTH] = LIAISON_FORK,        [P_NOISE] = LIAISON_MALFORMED,
        [P_ORIGIN] = LIAISON_SIGNATURE,
    };
    struct rig *r = *state;
    struct scene *s = r->own;
    struct liaison_referral *referral = bare(r->l);

    for (s->wrong = 0; s->wrong < P__COUNT; s->wrong++) {
        struct liaison_receipt *receipt = NULL;

        (void)unlink(pki_path(&r->pki, "log.seen"));
        (void)unlink(pki_path(&r->pki, "log.fork"));
        fake_log_free(s->log);
        s->log = fake_log_new(s->fork);
        fake_log_free(s->fork);
        s->fork = fake_log_new(s->log);
        fake_log_fill(s->log, 5, 1);
        fake_log_fill(s->fork, 5, 2);
        r->l = r->l == NULL ? handle(r, "prison") : r->l;
        believe(r, r->l);
        start_with(r, play_wrong_push, NULL);
        liaison_answer_free(submit_one(r, referral));
        enum liaison_code code = liaison_receipt_next(r->l, 20000, &receipt);

        if (code != WANT[s->wrong])
            fail_msg("row %d: %s, %s", s->wrong, liaison_code_name(code),
                     liaison_errmsg(r->l));
        char *evidence = file_text(r, "log.fork");

        assert_int_equal(evidence != NULL, code == LIAISON_FORK);
        free(evidence);
        finish(r);
    }
    liaison_referral_free(referral);
}

static void play_strangers(struct peer *p)
{
    struct scene *s = scene(p);

    if (!welcome_of(p, s->log))
        return;
    struct fake_note note = fake_log_note(s->log, 5, 0);

    for (size_t i = 0; i < 3000; i++) { /* of entries that this session never made */
        struct fake_proof path = fake_log_path(s->log, i % 5, 5);

        if (!push(p, (struct push){.note = bytes_of(&note),
                                   .path = proof_of(&path),
                                   .old_size = 5,
                                   .seq = i % 7}))
            return;
    }
    push_of(p, s->log, 5, accept_next(p, s->log));
    peer_drain(p);
}

static void receipts_of_entries_that_were_never_answered_are_nobodys(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);

    assert_int_equal(liaison_set(r->l, "timeout_ms", "60000"), LIAISON_OK);
    start_with(r, play_strangers, NULL);
    liaison_answer_free(submit_one(r, referral));
    struct liaison_receipt *receipt = next_receipt(r), *more = NULL;

    assert_int_equal(liaison_receipt_seq(receipt), 5);
    assert_int_equal(liaison_receipt_next(r->l, 0, &more), LIAISON_TIMEOUT);
    liaison_receipt_free(receipt);
    liaison_referral_free(referral);
}

enum { MANY = 4200 };

static void play_many(struct peer *p)
{
    struct scene *s = scene(p);
    Liaison__V1__Frame *f;

    if (!welcome_of(p, s->log))
        return;
    while ((f = peer_read(p)) != NULL) {
        if (f->body_case == BODY(SUBMIT))
            accept_into(p, s->log, f);
        else
            peer_error(p, f->id, LIAISON__V1__CODE__CODE_UNSIGNED, "not yet");
        liaison__v1__frame__free_unpacked(f, NULL);
    }
}

static void entries_that_await_receipts_are_bounded(void **state)
{
    static struct liaison_referral *all[MANY];
    struct rig *r = *state;
    uint64_t call;

    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(liaison_referral_new(r->l, &all[i]), LIAISON_OK);
        fill(all[i]);
    }
    for (size_t i = 0; i < MANY; i += 600)
        assert_int_equal(liaison_seal(r->l, all + i, 600), LIAISON_OK);
    assert_int_equal(liaison_set(r->l, "timeout_ms", "120000"), LIAISON_OK);
    start_with(r, play_many, NULL);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(liaison_send_submit(r->l, all[i], 0, &call), LIAISON_OK);
    for (size_t i = 0; i < MANY; i++) {
        struct liaison_answer *a = NULL;

        assert_int_equal(liaison_receive(r->l, 60000, &a), LIAISON_OK);
        assert_int_equal(liaison_answer_code(a), LIAISON_OK);
        liaison_answer_free(a);
    }
    assert_int_equal(liaison_receipts_awaited(r->l), 4096);
    for (size_t i = 0; i < MANY; i++)
        liaison_referral_free(all[i]);
}

/* ---------------------------------------------------------------- what was seen */

static void play_welcome(struct peer *p)
{
    struct scene *s = scene(p);

    if (welcome_of(p, s->log))
        peer_drain(p);
}

static void connect_again(struct rig *r, play *first, enum liaison_code want)
{
    if (r->l == NULL) {
        r->l = handle(r, "prison");
        believe(r, r->l);
    }
    start_with(r, first, NULL);
    enum liaison_code code = liaison_connect(r->l);

    if (code != want)
        fail_msg("%s, not %s: %s", liaison_code_name(code), liaison_code_name(want),
                 liaison_errmsg(r->l));
}

static void the_last_checkpoint_is_remembered_and_must_be_extended(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    uint64_t size = 0, quorum_s = 1;
    const uint8_t *note;
    size_t n;

    assert_int_equal(liaison_log_seen(r->l, &size, &note, &n, &quorum_s),
                     LIAISON_NOT_FOUND);
    connect_again(r, play_welcome, LIAISON_OK);
    finish(r);
    assert_int_equal(s->told, 0);
    assert_true(s->receipts);
    struct fake_note first = fake_log_note(s->log, 5, 0);
    char *seen = file_text(r, "log.seen");

    assert_int_equal(strlen(seen), first.n);
    assert_memory_equal(seen, first.bytes, first.n);
    free(seen);
    fake_log_fill(s->log, 4, 1);
    s->witnessed_s = (uint64_t)time(NULL) - 7;
    connect_again(r, play_welcome, LIAISON_OK);
    assert_int_equal(liaison_log_seen(r->l, &size, &note, &n, &quorum_s), LIAISON_OK);
    assert_int_equal(size, 9);
    assert_int_equal(quorum_s, s->witnessed_s);
    finish(r);
    assert_int_equal(s->told, 5);
    connect_again(r, play_welcome, LIAISON_OK); /* nothing is new */
    finish(r);
    assert_int_equal(s->told, 9);
    assert_null(file_text(r, "log.fork"));
}

enum { W_SMALLER, W_SAME_SIZE, W_NONE, W_LARGER, W_NO_PROOF, W_OTHER_LOG, W__COUNT };

static void play_wrong_welcome(struct peer *p)
{
    struct scene *s = scene(p);
    struct fake_note note = fake_log_note(s->fork, 5, 0);
    struct fake_proof growth = {.n = 0};

    if (s->wrong == W_SMALLER)
        note = fake_log_note(s->log, 4, 0);
    if (s->wrong == W_NONE)
        note.n = 0;
    if (s->wrong == W_LARGER) {
        fake_log_fill(s->fork, 2, 2);
        note = fake_log_note(s->fork, 7, 0);
        growth = fake_log_growth(s->fork, 5, 7);
    }
    if (s->wrong == W_NO_PROOF) {
        fake_log_fill(s->log, 2, 1);
        note = fake_log_note(s->log, 7, 0);
    }
    if (s->wrong == W_OTHER_LOG)
        note = fake_log_note_by(s->log, &s->log->key, FAKE_ORIGIN "x", 5, 0);
    welcome_with(p, bytes_of(&note), proof_of(&growth));
    peer_drain(p);
}

static void
a_broker_that_does_not_extend_it_is_refused_and_both_notes_are_kept(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;

    connect_again(r, play_welcome, LIAISON_OK);
    finish(r);
    char *seen = file_text(r, "log.seen");

    for (s->wrong = 0; s->wrong < W__COUNT; s->wrong++) {
        bool other = s->wrong == W_OTHER_LOG;

        (void)unlink(pki_path(&r->pki, "log.fork"));
        connect_again(r, play_wrong_welcome, other ? LIAISON_SIGNATURE : LIAISON_FORK);
        if (!other) {
            assert_non_null(strstr(liaison_errmsg(r->l), "auditor"));
            assert_non_null(strstr(liaison_errmsg(r->l), "log.fork"));
        }
        finish(r);
        char *now = file_text(r, "log.seen"), *evidence = file_text(r, "log.fork");

        assert_string_equal(now, seen);
        assert_int_equal(evidence == NULL, other);
        if (!other) {
            assert_non_null(strstr(evidence, seen));
            assert_non_null(strstr(evidence, s->wrong == W_NONE ? "shown now, 0 bytes"
                                                                : "\nshown now, "));
        }
        free(now);
        free(evidence);
    }
    free(seen);
}

static void what_cannot_be_remembered_or_believed_is_said_before_connecting(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;

    assert_int_equal(liaison_set(r->l, "broker", "127.0.0.1:1"), LIAISON_OK);
    put_file(r, "log.policy", "log nonsense\n", 13);
    assert_int_equal(liaison_connect(r->l), LIAISON_CONFIG);
    assert_non_null(strstr(liaison_errmsg(r->l), "log.policy"));
    put_file(r, "log.policy", s->log->policy, strlen(s->log->policy));
    put_file(r, "log.seen", "noise", 5);
    assert_int_equal(liaison_connect(r->l), LIAISON_CONFIG);
    assert_non_null(strstr(liaison_errmsg(r->l), "log.seen"));
    (void)unlink(pki_path(&r->pki, "log.seen"));
    put_file(r, "log.rotations", "noise", 5);
    believe(r, r->l);
    assert_int_equal(liaison_connect(r->l), LIAISON_CONFIG);
    assert_non_null(strstr(liaison_errmsg(r->l), "log.rotations"));
    (void)unlink(pki_path(&r->pki, "log.rotations"));
    assert_int_equal(liaison_set(r->l, "log_policy", pki_path(&r->pki, "nowhere")),
                     LIAISON_OK);
    assert_int_equal(liaison_connect(r->l), LIAISON_FILE);
    assert_int_equal(liaison_set(r->l, "log_policy", pki_path(&r->pki, "log.policy")),
                     LIAISON_OK);
    assert_int_equal(liaison_set(r->l, "log_seen", pki_path(&r->pki, "no/such/folder")),
                     LIAISON_OK);
    connect_again(r, play_welcome, LIAISON_FILE);
}

static void play_second_process(struct peer *p)
{
    struct scene *s = scene(p);

    if (!welcome_of(p, s->log))
        return;
    uint64_t seq = accept_next(p, s->log);

    fake_log_fill(s->log, 2, 1);
    struct fake_note other = fake_log_note(s->wrong ? s->fork : s->log, 7, 0);

    put_file(p->s->test, "log.seen", other.bytes,
             other.n); /* another process saw this meanwhile */
    push_of(p, s->log, 5, seq);
    if (s->wrong == 0) { /* the checkpoint that we saw is kept no more */
        fake_log_fill(s->log, 1, 1);
        prove_next(p, s->log);
    }
    prove_next(p, s->log);
    peer_drain(p);
}

static void two_processes_share_what_was_seen(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    struct liaison_referral *referral = bare(r->l);
    uint64_t size = 0, quorum_s;
    const uint8_t *note;
    size_t n;

    start_with(r, play_second_process, NULL);
    liaison_answer_free(submit_one(r, referral));
    liaison_receipt_free(next_receipt(r));
    for (size_t i = 0; i < 100 && size != 9; i++) { /* until what was seen is on disk */
        struct liaison_receipt *none = NULL;
        char *text;

        assert_int_equal(liaison_receipt_next(r->l, 100, &none), LIAISON_TIMEOUT);
        text = file_text(r, "log.seen");
        size = strtoull(strchr(text, '\n'), NULL, 10);
        free(text);
    }
    assert_int_equal(size, 9);
    assert_int_equal(liaison_log_seen(r->l, &size, &note, &n, &quorum_s), LIAISON_OK);
    assert_int_equal(size, 9);
    finish(r);
    assert_int_equal(s->n_wanted, 2);
    assert_int_equal(s->wanted[0], 7); /* is theirs extended? */
    assert_int_equal(s->wanted[1], 8); /* is ours, by the same? */
    liaison_referral_free(referral);
}

static void two_processes_that_were_shown_two_logs_find_it_out(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    struct liaison_referral *referral = bare(r->l);
    struct liaison_receipt *none = NULL;

    s->wrong = 1;
    fake_log_fill(s->fork, 3, 2);
    start_with(r, play_second_process, NULL);
    liaison_answer_free(submit_one(r, referral));
    liaison_receipt_free(next_receipt(r));
    assert_int_equal(liaison_receipt_next(r->l, 20000, &none), LIAISON_FORK);
    char *evidence = file_text(r, "log.fork");

    assert_non_null(evidence);
    free(evidence);
    liaison_referral_free(referral);
}

static void play_second_log(struct peer *p)
{
    struct scene *s = scene(p);
    struct fake_note note = fake_log_note_by(s->fork, &s->second, SECOND_ORIGIN, 2, 0);

    if (welcome_with(p, bytes_of(&note), slice(NULL, 0)))
        peer_drain(p);
}

static void a_later_log_of_the_policy_follows_and_an_earlier_one_does_not(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    char key[NOTE_KEY_TEXT_MAX], policy[2048];

    connect_again(r, play_welcome, LIAISON_OK);
    finish(r);
    assert_int_equal(
        note_signer_make(s->log->hash, SECOND_ORIGIN, NOTE_ED25519, &s->second),
        LIAISON_OK);
    connect_again(r, play_second_log,
                  LIAISON_SIGNATURE); /* nobody has said that it is to be believed */
    finish(r);
    note_key_print(&s->second.key, key);
    snprintf(policy, sizeof policy, "log %s\n%s", key, s->log->policy);
    put_file(r, "log.policy", policy, strlen(policy));
    connect_again(r, play_second_log, LIAISON_OK);
    finish(r);
    assert_int_equal(s->told, 5);
    char *seen = file_text(r, "log.seen"), *aside = file_text(r, "log.seen.1");

    assert_non_null(strstr(seen, SECOND_ORIGIN "\n2\n"));
    assert_non_null(strstr(aside, FAKE_ORIGIN "\n5\n"));
    connect_again(r, play_welcome, LIAISON_FORK);
    free(seen);
    free(aside);
}

/* ---------------------------------------------------------------- calls */

enum { C_GOOD, C_WRONG, C__COUNT };

static const uint8_t RULE_SET[32] = {0xb6};
static const char RULES[] = "keep 2y\n";

typedef void answerer(struct peer *p, const Liaison__V1__Frame *f,
                      Liaison__V1__Frame *out);

static void answer_summary(struct peer *p, const Liaison__V1__Frame *f,
                           Liaison__V1__Frame *out)
{
    Liaison__V1__Summary summary = LIAISON__V1__SUMMARY__INIT;
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    uint8_t packed[512], commitment[32];
    ProtobufCBinaryData one;

    commit_summary(p->s->hash, SCRIPT_OPENING, "fr/probation", 9, commitment);
    one = script_bytes(commitment, 32);
    e.version = 1;
    e.seq = 4;
    e.event = LIAISON__V1__EVENT__EVENT_SUMMARY;
    e.n_summary = 1;
    e.summary = &one;
    summary.counter = scene(p)->wrong ? 8 : 9;
    summary.opening = script_bytes(SCRIPT_OPENING, 32);
    summary.entry = script_bytes(packed, liaison__v1__ledger_entry__pack(&e, packed));
    out->body_case = BODY(SUMMARY);
    out->summary = &summary;
    peer_send(p, f->id, out);
}

static void answer_hashes(struct peer *p, const Liaison__V1__Frame *f,
                          Liaison__V1__Frame *out)
{
    Liaison__V1__HashPage page = LIAISON__V1__HASH_PAGE__INIT;
    size_t n = f->hashes->limit * HASH_BYTES - (scene(p)->wrong ? 1 : 0);

    page.hashes = script_bytes(scene(p)->log->leaves, n);
    out->body_case = BODY(HASH_PAGE);
    out->hash_page = &page;
    peer_send(p, f->id, out);
}

/* In parts of at most 7 bytes. */
static void answer_rules(struct peer *p, const Liaison__V1__Frame *f,
                         Liaison__V1__Frame *out)
{
    Liaison__V1__RuleText rules = LIAISON__V1__RULE_TEXT__INIT;
    const uint64_t size = sizeof RULES - 1, from = f->rule_text->from;
    uint8_t id[32];

    hash_sha256(p->s->hash, &(struct slice){(const uint8_t *)RULES, size}, 1, id);
    rules.rule_set = script_bytes(scene(p)->wrong ? RULE_SET : id, 32);
    rules.size = size;
    rules.text = script_bytes(RULES + from, size - from < 7 ? size - from : 7);
    out->body_case = BODY(RULE_TEXT_PAGE);
    out->rule_text_page = &rules;
    peer_send(p, f->id, out);
}

static void answer_entries(struct peer *p, const Liaison__V1__Frame *f,
                           Liaison__V1__Frame *out)
{
    Liaison__V1__Entries entries = LIAISON__V1__ENTRIES__INIT;
    Liaison__V1__Counter counter = LIAISON__V1__COUNTER__INIT, *counters = &counter;
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    uint8_t packed[512], commitment[32], number[8] = {0, 0, 0, 0, 0, 0, 0, 9};
    ProtobufCBinaryData one;

    commit_make(p->s->hash, SCRIPT_OPENING, COMMIT_COUNTERPART_COUNTER, slice(number, 8),
                commitment);
    e.version = 1;
    e.seq = 4;
    e.event = LIAISON__V1__EVENT__EVENT_SUBMIT;
    e.agency = (char *)(uintptr_t) "fr/prison";
    e.counterpart = (char *)(uintptr_t) "fr/probation";
    e.counterpart_counter_commitment = script_bytes(commitment, 32);
    one = script_bytes(packed, liaison__v1__ledger_entry__pack(&e, packed));
    counter.seq = 4;
    counter.counter = scene(p)->wrong ? 8 : 9;
    counter.opening = script_bytes(SCRIPT_OPENING, 32);
    entries.n_entries = entries.n_counters = 1;
    entries.entries = &one;
    entries.counters = &counters;
    out->body_case = BODY(ENTRIES_PAGE);
    out->entries_page = &entries;
    peer_send(p, f->id, out);
}

/* Answers every call about the log, rightly or not. */
static void answer_about_log(struct peer *p, const Liaison__V1__Frame *f)
{
    static const struct {
        Liaison__V1__Frame__BodyCase body;
        answerer *answer;
    } ROWS[] = {
        {BODY(SUMMARIZE), answer_summary},
        {BODY(HASHES), answer_hashes},
        {BODY(RULE_TEXT), answer_rules},
        {BODY(ENTRIES), answer_entries},
    };
    Liaison__V1__Frame out = LIAISON__V1__FRAME__INIT;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].body == f->body_case) {
            ROWS[i].answer(p, f, &out);
            return;
        }
    peer_done(p, f->id);
}

static void play_about_log(struct peer *p)
{
    Liaison__V1__Frame *f;

    if (!welcome_of(p, scene(p)->log))
        return;
    while ((f = peer_read(p)) != NULL) {
        if (f->body_case == BODY(PROVE))
            prove_of(p, scene(p)->log, f, 0);
        else
            answer_about_log(p, f);
        liaison__v1__frame__free_unpacked(f, NULL);
    }
}

static void what_auditors_are_told_is_checked(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    struct liaison_answer *a;
    uint8_t id[32];

    hash_sha256(s->log->hash, &(struct slice){(const uint8_t *)RULES, sizeof RULES - 1},
                1, id);
    for (s->wrong = C_GOOD; s->wrong < C__COUNT; s->wrong++) {
        enum liaison_code want = s->wrong ? LIAISON_SIGNATURE : LIAISON_OK;
        struct liaison_query *q = NULL;
        uint64_t seq = 0, counter = 0;
        size_t n = 0;

        connect_again(r, play_about_log, LIAISON_OK);
        a = NULL;
        assert_int_equal(liaison_summarize(r->l, "fr/probation", &a), want);
        if (!s->wrong)
            assert_int_equal(liaison_answer_count(a), 9);
        assert_string_equal(liaison_answer_kind(a), "summary");
        liaison_answer_free(a);
        a = NULL;
        assert_int_equal(liaison_hashes(r->l, 0, 0, 4, &a), want);
        if (!s->wrong)
            assert_memory_equal(liaison_answer_bytes(a, &n), s->log->leaves,
                                4 * HASH_BYTES);
        liaison_answer_free(a);
        a = NULL;
        assert_int_equal(liaison_rule_text(r->l, s->wrong ? RULE_SET : id, &a), want);
        if (!s->wrong)
            assert_memory_equal(liaison_answer_bytes(a, &n), RULES, sizeof RULES - 1);
        liaison_answer_free(a);
        a = NULL;
        assert_int_equal(liaison_query_new(r->l, "entries", &q), LIAISON_OK);
        assert_int_equal(liaison_query_set(q, "agency", "fr/probation"), LIAISON_OK);
        assert_int_equal(liaison_query_next(q, &a), want);
        if (!s->wrong) {
            assert_int_equal(liaison_answer_counter(a, 0, &seq, &counter), 1);
            assert_int_equal(seq, 4);
            assert_int_equal(counter, 9);
            assert_int_equal(liaison_answer_counter(a, 1, &seq, &counter), 0);
        }
        liaison_answer_free(a);
        liaison_query_free(q);
        assert_int_equal(liaison_cosign(r->l, "note", 4), LIAISON_OK);
        finish(r);
    }
}

static void a_proof_is_verified_from_what_was_seen_on(void **state)
{
    struct rig *r = *state;
    struct scene *s = r->own;
    struct liaison_answer *a = NULL;
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    uint8_t entry[64];
    const uint64_t seqs[] = {2, 5};
    size_t n;

    e.version = 1;
    e.seq = 5;
    e.log = 1;
    n = liaison__v1__ledger_entry__pack(&e, entry);
    fake_log_add(s->log, slice(entry, n));
    connect_again(r, play_about_log, LIAISON_OK);
    assert_int_equal(liaison_prove(r->l, seqs, 2, 0, 0, &a), LIAISON_OK);
    assert_int_equal(liaison_answer_verified(a), 1);
    assert_int_equal(liaison_answer_includes(r->l, a, entry, n), 1);
    entry[1] ^= 1;
    assert_int_equal(liaison_answer_includes(r->l, a, entry, n), 0);
    liaison_answer_free(a);
    a = NULL;
    assert_int_equal(liaison_prove(r->l, NULL, 0, 3, 0, &a),
                     LIAISON_OK); /* nobody here knows the root of 3 */
    assert_int_equal(liaison_answer_verified(a), 0);
    liaison_answer_free(a);
    a = NULL;
    assert_int_equal(liaison_checkpoint(r->l, &a), LIAISON_OK);
    struct fake_note note = fake_log_note(s->log, 6, 0);

    assert_memory_equal(liaison_answer_note(a, &n), note.bytes, note.n);
    liaison_answer_free(a);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* plays write to clients that have gone */
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_log, tear_down_log)
    const struct CMUnitTest TESTS[] = {
        TEST(a_receipt_comes_with_the_answer_and_stands_alone),
        TEST(a_receipt_that_was_changed_anywhere_does_not_verify),
        TEST(without_a_policy_nothing_changes_and_it_says_that_nothing_is_verified),
        TEST(what_is_not_pushed_is_asked_for_and_asked_again_for_witnesses),
        TEST(a_receipt_whose_session_was_cut_is_asked_for_in_the_next),
        TEST(a_receipt_from_another_size_than_was_seen_is_asked_for_again),
        TEST(a_receipt_that_does_not_hold_ends_the_session),
        TEST(receipts_of_entries_that_were_never_answered_are_nobodys),
        TEST(entries_that_await_receipts_are_bounded),
        TEST(the_last_checkpoint_is_remembered_and_must_be_extended),
        TEST(a_broker_that_does_not_extend_it_is_refused_and_both_notes_are_kept),
        TEST(what_cannot_be_remembered_or_believed_is_said_before_connecting),
        TEST(two_processes_share_what_was_seen),
        TEST(two_processes_that_were_shown_two_logs_find_it_out),
        TEST(what_auditors_are_told_is_checked),
        TEST(a_proof_is_verified_from_what_was_seen_on),
        TEST(a_later_log_of_the_policy_follows_and_an_earlier_one_does_not),
    };
#undef TEST
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
