/* The calls about the broker's log: proofs, checkpoints, cosignatures. */
#include "client/lib/ledger.h"

#include "client/lib/inner.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

enum { SEQS_MAX = 1024 };

/* ---------------------------------------------------------------- what was seen */

int liaison_log_on(const struct liaison *l)
{
    return l != NULL && log_on(l);
}

static enum liaison_code no_policy(struct liaison *l)
{
    return lib_fail(
        l, LIAISON_CONFIG,
        "without a policy of the log (setting \"log_policy\") nothing is verified");
}

enum liaison_code liaison_log_seen(struct liaison *l, uint64_t *size,
                                   const uint8_t **note, size_t *len, uint64_t *quorum_s)
{
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (!log_on(l))
        return no_policy(l);
    if ((code = log_ready(l)) != LIAISON_OK)
        return code;
    if (l->log.seen == NULL)
        return lib_fail(l, LIAISON_NOT_FOUND,
                        "no checkpoint of the broker's log was seen yet");
    code = log_save(l);
    if (code != LIAISON_OK && code != LIAISON_BUSY)
        return lib_fail(l, code, "%s", l->log.why);
    *size = l->log.seen->what.checkpoint.size;
    *note = l->log.seen->bytes;
    *len = l->log.seen->len;
    *quorum_s = l->log.quorum_s;
    return LIAISON_OK;
}

enum liaison_code liaison_log_judge(struct liaison *l, const void *note, size_t len,
                                    uint64_t *size, uint8_t root[32], size_t *witnesses,
                                    uint64_t *quorum_s)
{
    struct log_note *n = NULL;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (!log_on(l))
        return no_policy(l);
    if (note == NULL || (code = log_ready(l)) != LIAISON_OK)
        return note == NULL ? lib_fail(l, LIAISON_USAGE, "a note is wanted") : code;
    code = log_judge(l, slice(note, len), &n);
    if (code != LIAISON_OK)
        return lib_fail(l, code, "%s", l->log.why);
    *size = n->what.checkpoint.size;
    memcpy(root, n->what.checkpoint.root, HASH_BYTES);
    *witnesses = n->what.n_witnesses;
    *quorum_s = n->what.quorum_s;
    log_note_free(n);
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- proofs */

/* Is the answer of the shape that was asked for? */
static bool proof_fits(const Liaison__V1__Proof *p, const uint64_t *seqs, size_t n)
{
    if (p->n_inclusions != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (p->inclusions[i]->seq != seqs[i])
            return false;
    return true;
}

/* Judges the note, and takes it for the last one seen if the proof says so. LIAISON_BUSY: it says nothing about
 * what was seen. */
static enum liaison_code verify_proof(struct liaison *l, struct log_note *from,
                                      struct liaison_answer *a, bool grows, uint64_t size)
{
    const Liaison__V1__Proof *p = a->frame->proof;
    struct log_note *note = NULL;
    enum liaison_code code =
        log_judge(l, slice(p->checkpoint.data, p->checkpoint.len), &note);

    if (code == LIAISON_OK && grows)
        code = log_grow(l, from, note, slice(p->consistency.data, p->consistency.len));
    if (code == LIAISON_FORK)
        engine_hang_up(l);
    if (code == LIAISON_OK && note->what.checkpoint.size < size) {
        log_note_free(note);
        return lib_fail(
            l, LIAISON_PROTOCOL,
            "the broker answered with a smaller checkpoint than was asked for");
    }
    if (code == LIAISON_OK && grows)
        a->note = log_share(note);
    log_note_free(note);
    return code == LIAISON_OK || code == LIAISON_BUSY
               ? code
               : lib_fail(l, code, "%s", l->log.why);
}

static bool is_open(struct liaison *l, void *arg)
{
    (void)arg;
    return l->engine.talk == TALK_OPEN;
}

static enum liaison_code prove_call(struct liaison *l, Liaison__V1__Prove *prove,
                                    int64_t until_ms, struct liaison_answer **answer)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    struct outcall *c;

    f.body_case = BODY(PROVE);
    f.prove = prove;
    enum liaison_code code = engine_call(l, &f, BODY(PROOF), &c);

    if (code != LIAISON_OK)
        return code;
    c->deadline_ms = until_ms;
    code = engine_await(l, c, answer);
    if (code == LIAISON_OK &&
        !proof_fits((*answer)->frame->proof, prove->seqs, prove->n_seqs)) {
        liaison_answer_free(*answer);
        *answer = NULL;
        code = lib_fail(l, LIAISON_PROTOCOL,
                        "the broker proved something else than was asked for");
    }
    return code;
}

/* Once, with a policy: what was seen decides what is asked. */
static enum liaison_code prove_and_verify(struct liaison *l, Liaison__V1__Prove prove,
                                          int64_t until_ms,
                                          struct liaison_answer **answer)
{
    enum liaison_code code = engine_until(l, is_open, NULL, until_ms);
    struct log_note *from = log_share(l->log.seen);
    uint64_t seen = from == NULL ? 0 : from->what.checkpoint.size, size = prove.size;
    bool grows = prove.old_size == 0 || prove.old_size == seen;

    if (code != LIAISON_OK)
        goto out;
    if (prove.old_size == 0) {
        prove.old_size = seen;
        if (prove.size != 0 && prove.size < seen)
            prove.size = seen;
    }
    code = prove_call(l, &prove, until_ms, answer);
    if (code == LIAISON_OK)
        code = verify_proof(l, from, *answer, grows, size);
    if (code != LIAISON_OK && *answer != NULL &&
        (*answer)->frame->body_case == BODY(PROOF)) {
        liaison_answer_free(*answer);
        *answer = NULL;
    }
out:
    log_note_free(from);
    return code;
}

enum liaison_code ledger_prove(struct liaison *l, const uint64_t *seqs, size_t n,
                               uint64_t old_size, uint64_t size, int64_t until_ms,
                               struct liaison_answer **answer)
{
    Liaison__V1__Prove prove = LIAISON__V1__PROVE__INIT;
    enum liaison_code code;

    prove.seqs = (uint64_t *)(uintptr_t)seqs; /* protobuf-c's lists are not const */
    prove.n_seqs = n;
    prove.old_size = old_size;
    prove.size = size;
    if (!log_on(l))
        return prove_call(l, &prove, until_ms, answer);
    do
        code = prove_and_verify(l, prove, until_ms, answer);
    while (code == LIAISON_BUSY && lib_mono_ms() < until_ms);
    return code == LIAISON_BUSY
               ? lib_fail(l, LIAISON_TIMEOUT,
                          "no proof came in time that fits what was seen")
               : code;
}

/* Asks whether the log extends `from`, at a checkpoint of at least `size`. Gives: *to, judged and proven. */
static enum liaison_code ask_growth(struct liaison *l, struct log_note *from,
                                    uint64_t size, int64_t until_ms, struct log_note **to)
{
    Liaison__V1__Prove prove = LIAISON__V1__PROVE__INIT;
    struct liaison_answer *a = NULL;
    struct log_note *note = NULL;

    prove.old_size = from->what.checkpoint.size;
    prove.size = size;
    enum liaison_code code = prove_call(l, &prove, until_ms, &a);

    if (code != LIAISON_OK)
        goto out;
    const Liaison__V1__Proof *p = a->frame->proof;

    code = log_judge(l, slice(p->checkpoint.data, p->checkpoint.len), &note);
    if (code == LIAISON_OK)
        code = log_link(l, from, note, slice(p->consistency.data, p->consistency.len));
    if (code == LIAISON_OK)
        *to = log_share(note);
    else
        (void)lib_fail(l, code, "%s", l->log.why);
out:
    log_note_free(note);
    liaison_answer_free(a);
    return code;
}

/* Does what was seen extend `note`, or the other way round? The broker keeps not every checkpoint: where the larger
 * of the two is gone, one that is proven to extend both does as well. LIAISON_BUSY: the log grew between two
 * answers. */
static enum liaison_code link_note(struct liaison *l, struct log_note *note,
                                   int64_t until_ms)
{
    struct log_note *seen = log_share(l->log.seen), *first = NULL, *second = NULL;
    bool grows = seen == NULL || note->what.checkpoint.size >= seen->what.checkpoint.size;
    enum liaison_code code = LIAISON_OK;

    if (seen != NULL && grows)
        code = ask_growth(l, seen, note->what.checkpoint.size, until_ms, &first);
    else if (seen != NULL)
        code = ask_growth(l, note, seen->what.checkpoint.size, until_ms, &first);
    if (code == LIAISON_OK && first != NULL && !log_same(first, grows ? note : seen)) {
        code = ask_growth(l, grows ? note : seen, first->what.checkpoint.size, until_ms,
                          &second);
        if (code == LIAISON_OK && !log_same(first, second))
            code = LIAISON_BUSY;
    }
    if (code == LIAISON_OK)
        code = log_see(l, seen, second != NULL ? second : grows ? note : seen);
    if (code == LIAISON_FORK)
        engine_hang_up(l);
    log_note_free(seen);
    log_note_free(first);
    log_note_free(second);
    return code;
}

/* Takes: *answer on error. */
static enum liaison_code prove_witnessed_once(struct liaison *l, Liaison__V1__Prove prove,
                                              int64_t until_ms,
                                              struct liaison_answer **answer)
{
    struct log_note *note = NULL;
    struct liaison_answer *a = NULL;
    enum liaison_code code;

    code = prove_call(l, &prove, until_ms, &a);
    if (code != LIAISON_OK)
        goto out;
    code = log_judge(
        l, slice(a->frame->proof->checkpoint.data, a->frame->proof->checkpoint.len),
        &note);
    if (code != LIAISON_OK)
        (void)lib_fail(l, code, "%s", l->log.why);
    else
        code = link_note(l, note, until_ms);
    if (code == LIAISON_OK) {
        a->note = log_share(note);
        *answer = a;
        a = NULL; /* handed over */
    }
out:
    log_note_free(note);
    liaison_answer_free(a);
    return code;
}

enum liaison_code ledger_prove_witnessed(struct liaison *l, const uint64_t *seqs,
                                         size_t n, int64_t until_ms,
                                         struct liaison_answer **answer)
{
    Liaison__V1__Prove prove = LIAISON__V1__PROVE__INIT;
    enum liaison_code code = engine_until(l, is_open, NULL, until_ms);

    prove.seqs = (uint64_t *)(uintptr_t)seqs; /* protobuf-c's lists are not const */
    prove.n_seqs = n;
    prove.witnessed = true;
    for (size_t i = 0; i < n; i++)
        if (prove.size <= seqs[i])
            prove.size = seqs[i] + 1;
    if (code == LIAISON_OK)
        do
            code = prove_witnessed_once(l, prove, until_ms, answer);
        while (code == LIAISON_BUSY && lib_mono_ms() < until_ms);
    return code == LIAISON_BUSY
               ? lib_fail(l, LIAISON_TIMEOUT,
                          "no proof came in time that fits what was seen")
               : code;
}

static bool never(struct liaison *l, void *arg)
{
    (void)l;
    (void)arg;
    return false;
}

enum liaison_code ledger_pause(struct liaison *l, int64_t until_ms)
{
    enum liaison_code code = engine_until(l, never, NULL, until_ms);

    return code == LIAISON_TIMEOUT ? LIAISON_OK : code;
}

enum liaison_code ledger_hand_over(enum liaison_code code, struct liaison_answer *a,
                                   struct liaison_answer **answer)
{
    if (answer != NULL && a != NULL)
        *answer = a;
    else
        liaison_answer_free(a);
    return code;
}

enum liaison_code liaison_prove(struct liaison *l, const uint64_t *seqs, size_t n,
                                uint64_t old_size, uint64_t size,
                                struct liaison_answer **answer)
{
    struct liaison_answer *a = NULL;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (n > SEQS_MAX || (n > 0 && seqs == NULL))
        return lib_fail(l, LIAISON_USAGE, "at most %d entries are proven at once",
                        SEQS_MAX);
    code = ledger_prove(l, seqs, n, old_size, size,
                        lib_mono_ms() + lib_setting_ms(l, SET_TIMEOUT_MS), &a);
    return ledger_hand_over(code, a, answer);
}

enum liaison_code liaison_prove_witnessed(struct liaison *l, const uint64_t *seqs,
                                          size_t n, struct liaison_answer **answer)
{
    Liaison__V1__Prove prove = LIAISON__V1__PROVE__INIT;
    struct liaison_answer *a = NULL;
    enum liaison_code code = lib_enter(l);
    int64_t until_ms;

    if (code != LIAISON_OK)
        return code;
    if (n > SEQS_MAX || (n > 0 && seqs == NULL))
        return lib_fail(l, LIAISON_USAGE, "at most %d entries are proven at once",
                        SEQS_MAX);
    until_ms = lib_mono_ms() + lib_setting_ms(l, SET_TIMEOUT_MS);
    prove.seqs = (uint64_t *)(uintptr_t)seqs;
    prove.n_seqs = n;
    prove.witnessed = true;
    code = log_on(l) ? ledger_prove_witnessed(l, seqs, n, until_ms, &a)
                     : prove_call(l, &prove, until_ms, &a);
    return ledger_hand_over(code, a, answer);
}

enum liaison_code liaison_checkpoint(struct liaison *l, struct liaison_answer **answer)
{
    return liaison_prove(l, NULL, 0, 0, 0, answer);
}

int liaison_answer_includes(struct liaison *l, const struct liaison_answer *a,
                            const void *entry, size_t len)
{
    struct liaison_receipt *r = NULL;
    bool holds = false;

    if (l == NULL || a == NULL || a->note == NULL ||
        receipt_new(slice(entry, len), slice(NULL, 0), &r) != LIAISON_OK)
        return 0;
    const Liaison__V1__Proof *p = a->frame->proof;

    for (size_t i = 0; !holds && i < p->n_inclusions; i++)
        holds = p->inclusions[i]->seq == r->decoded->seq &&
                receipt_stand(l, r, a->note,
                              slice(p->inclusions[i]->path.data,
                                    p->inclusions[i]->path.len)) == LIAISON_OK;
    liaison_receipt_free(r);
    return holds;
}

/* ---------------------------------------------------------------- cosignatures */

enum liaison_code liaison_cosign(struct liaison *l, const void *note, size_t len)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Cosign cosign = LIAISON__V1__COSIGN__INIT;
    struct outcall *c;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (note == NULL || len == 0 || len > NOTE_BYTES_MAX)
        return lib_fail(l, LIAISON_USAGE, "a signed note of at most %d bytes is wanted",
                        NOTE_BYTES_MAX);
    cosign.checkpoint = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)note};
    f.body_case = BODY(COSIGN);
    f.cosign = &cosign;
    code = engine_caller_call(l, &f, BODY(DONE), &c);
    return code == LIAISON_OK ? engine_await(l, c, NULL) : code;
}
