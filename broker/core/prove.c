/* Proofs for whoever asks: hashes and checkpoints say nothing of persons, and leave no entry. */
#include "broker/core/state.h"
#include "broker/ops/log.h"

enum { PROOFS_MAX = 1024, HASHES_MAX = 1024 };

static void failed(struct batch *b, struct call *c, enum liaison_code code)
{
    if (code == LIAISON_DAMAGED)
        core_found_damage(b, c, "a hash that was stored is missing");
    else
        batch_fail(b, code);
}

static bool fill_inclusions(struct batch *b, struct call *c, const Liaison__V1__Prove *p,
                            uint64_t size, Liaison__V1__Proof *proof)
{
    Liaison__V1__Inclusion *rows = arena_alloc(c->arena, p->n_seqs * sizeof *rows);

    proof->inclusions = arena_alloc(c->arena, p->n_seqs * sizeof *proof->inclusions);
    if (rows == NULL || proof->inclusions == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t i = 0; i < p->n_seqs; i++) {
        liaison__v1__inclusion__init(&rows[i]);
        rows[i].seq = p->seqs[i];
        enum liaison_code code =
            prove_leaf(b->core, c->arena, p->seqs[i], size, &rows[i].path);

        if (code == LIAISON_FIELD) {
            core_error(b, c, LIAISON_NOT_FOUND, "no checkpoint covers that entry yet");
            return false;
        }
        if (code != LIAISON_OK)
            return failed(b, c, code), false;
        proof->inclusions[proof->n_inclusions++] = &rows[i];
    }
    return true;
}

void prove_call(struct batch *b, struct call *c, struct session *s)
{
    const Liaison__V1__Prove *p = c->frame->prove;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Proof proof = LIAISON__V1__PROOF__INIT;
    uint64_t size;

    (void)s;
    if (c->code != LIAISON_OK || p->n_seqs > PROOFS_MAX) {
        core_error(b, c, c->code != LIAISON_OK ? c->code : LIAISON_LIMIT, c->why);
        return;
    }
    struct slice note = notes_find(b, c->arena, p->size, p->witnessed, &size);

    if (note.p == NULL || p->old_size > size) {
        core_error(b, c, LIAISON_NOT_FOUND, "there is no such checkpoint yet");
        return;
    }
    proof.checkpoint = (ProtobufCBinaryData){note.n, (uint8_t *)(uintptr_t)note.p};
    if (!fill_inclusions(b, c, p, size, &proof))
        return;
    enum liaison_code code =
        prove_growth(b->core, c->arena, p->old_size, size, &proof.consistency);

    if (code != LIAISON_OK) {
        failed(b, c, code);
        return;
    }
    f.body_case = LIAISON__V1__FRAME__BODY_PROOF;
    f.proof = &proof;
    core_answer(b, c, &f);
}

void hashes_call(struct batch *b, struct call *c, struct session *s)
{
    const Liaison__V1__Hashes *q = c->frame->hashes;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__HashPage page = LIAISON__V1__HASH_PAGE__INIT;
    uint64_t size = log_size(b->core->log);
    size_t limit = q->limit == 0 || q->limit > HASHES_MAX ? HASHES_MAX : q->limit;

    (void)s;
    if (c->code != LIAISON_OK || q->level >= MERKLE_LEVELS - 1) {
        core_error(b, c, c->code != LIAISON_OK ? c->code : LIAISON_FIELD, c->why);
        return;
    }
    uint64_t there = size >> q->level;
    size_t n = q->from >= there          ? 0
               : there - q->from < limit ? (size_t)(there - q->from)
                                         : limit;

    page.hashes.data = n == 0 ? NULL : arena_alloc(c->arena, n * HASH_BYTES);
    for (size_t i = 0; page.hashes.data != NULL && i < n; i++) {
        enum liaison_code code =
            log_read(b->core->log, merkle_stored_index(q->level, q->from + i),
                     page.hashes.data + i * HASH_BYTES);

        if (code != LIAISON_OK) {
            failed(b, c, code);
            return;
        }
        page.hashes.len += HASH_BYTES;
    }
    f.body_case = LIAISON__V1__FRAME__BODY_HASH_PAGE;
    f.hash_page = &page;
    core_answer(b, c, &f);
}
