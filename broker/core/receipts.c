/* Receipts: for what a session submitted or did, the path from its entry to a kept checkpoint. */
#include <stdlib.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"

enum {
    AWAITED_MAX =
        1 << 16, /* of one session; past it the session asks for its proofs itself */
    FRAME_RECEIPTS = 512, /* of one frame */
};

void receipt_await(struct batch *b, struct session *s, uint64_t seq)
{
    struct await *a = s->receipts ? arena_alloc(b->arena, sizeof *a) : NULL;

    if (!s->receipts)
        return;
    if (a == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    *a = (struct await){s->number, seq - log_base(b->core->log), b->awaits};
    b->awaits = a;
}

static void await(struct session *s, uint64_t leaf)
{
    if (s->n_awaiting == AWAITED_MAX)
        return;
    if (s->n_awaiting == s->awaiting_room) {
        size_t room = s->awaiting_room == 0 ? 64 : 2 * s->awaiting_room;
        uint64_t *more = realloc(s->awaiting, room * sizeof *more);

        if (more == NULL)
            return; /* it asks for its proof itself */
        s->awaiting = more;
        s->awaiting_room = room;
    }
    s->awaiting[s->n_awaiting++] = leaf;
}

/* The batch's list runs from its last entry to its first. */
void receipts_promised(const struct batch *b)
{
    struct await *rising = NULL;

    for (struct await *a = b->awaits, *next; a != NULL; a = next) {
        next = a->next;
        a->next = rising;
        rising = a;
    }
    for (; rising != NULL; rising = rising->next) {
        struct session *s = map_get(b->core->sessions, rising->session);

        if (s != NULL)
            await(s, rising->leaf);
    }
}

/* ------------------------------------------------------------ proofs */

static enum liaison_code in_arena(struct arena *a, const uint8_t (*hashes)[HASH_BYTES],
                                  size_t n, ProtobufCBinaryData *out)
{
    out->len = n * HASH_BYTES;
    out->data = n == 0 ? NULL : arena_copy(a, slice(hashes, out->len));
    return n > 0 && out->data == NULL ? LIAISON_MEMORY : LIAISON_OK;
}

enum liaison_code prove_leaf(struct core *c, struct arena *a, uint64_t leaf,
                             uint64_t size, ProtobufCBinaryData *path)
{
    uint8_t hashes[MERKLE_PATH_MAX][HASH_BYTES];
    size_t n;
    enum liaison_code code =
        merkle_prove(c->hash, log_read, c->log, leaf, size, hashes, &n);

    return code == LIAISON_OK ? in_arena(a, hashes, n, path) : code;
}

enum liaison_code prove_growth(struct core *c, struct arena *a, uint64_t old,
                               uint64_t size, ProtobufCBinaryData *proof)
{
    uint8_t hashes[MERKLE_PROOF_MAX][HASH_BYTES];
    size_t n;
    enum liaison_code code =
        merkle_prove_growth(c->hash, log_read, c->log, old, size, hashes, &n);

    return code == LIAISON_OK ? in_arena(a, hashes, n, proof) : code;
}

/* ------------------------------------------------------------ frames */

static size_t covered(const struct session *s, uint64_t size)
{
    size_t n = 0;

    while (n < s->n_awaiting && n < FRAME_RECEIPTS && s->awaiting[n] < size)
        n++;
    return n;
}

static bool fill_inclusions(struct core *core, struct call *c, const uint64_t *leaves,
                            size_t n, uint64_t size, Liaison__V1__Receipts *r)
{
    Liaison__V1__Inclusion *rows = arena_alloc(c->arena, n * sizeof *rows);

    r->inclusions = arena_alloc(c->arena, n * sizeof *r->inclusions);
    if (rows == NULL || r->inclusions == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        liaison__v1__inclusion__init(&rows[i]);
        rows[i].seq = leaves[i];
        if (prove_leaf(core, c->arena, leaves[i], size, &rows[i].path) != LIAISON_OK)
            return false;
        r->inclusions[r->n_inclusions++] = &rows[i];
    }
    return true;
}

static struct call *frame_for(struct core *core, struct session *s, size_t n)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Receipts r = LIAISON__V1__RECEIPTS__INIT;
    struct call *c = call_new(CALL_PUSH, s->number);
    uint64_t size;
    struct slice note = notes_newest(core->notes, &size);

    if (c == NULL)
        return NULL;
    r.checkpoint = (ProtobufCBinaryData){note.n, (uint8_t *)(uintptr_t)note.p};
    r.old_size = s->told_size;
    f.body_case = LIAISON__V1__FRAME__BODY_RECEIPTS;
    f.receipts = &r;
    if (prove_growth(core, c->arena, s->told_size, size, &r.consistency) != LIAISON_OK ||
        !fill_inclusions(core, c, s->awaiting, n, size, &r) ||
        (c->reply = arena_pack(c->arena, &f.base)).p == NULL) {
        call_free(c);
        return NULL;
    }
    s->told_size = size;
    s->n_awaiting -= n;
    memmove(s->awaiting, s->awaiting + n, s->n_awaiting * sizeof *s->awaiting);
    return c;
}

void receipts_push(struct core *c, struct call **pushes)
{
    struct call *first = NULL, **last = &first;
    uint64_t key, size;
    void *value;
    size_t i = 0;

    notes_newest(c->notes, &size);
    while (map_next(c->sessions, &i, &key, &value)) {
        struct session *s = value;

        for (size_t n; (n = covered(s, size)) > 0;) {
            *last = frame_for(c, s, n);
            if (*last == NULL)
                break; /* they wait for the next checkpoint */
            last = &(*last)->next;
        }
    }
    *last = *pushes;
    *pushes = first;
}
