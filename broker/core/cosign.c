/* Witnesses: their cosignatures are kept with the checkpoint they are of, and given with it ever after. */
#include "broker/core/state.h"
#include "broker/ops/log.h"

/* What came, as far as it is looked at. */
struct cosigning {
    struct slice note;
    struct note parsed, stored;
    struct checkpoint checkpoint;
    const struct note_key *witnesses;
    size_t n_witnesses;
    struct note_verdict verdicts[NOTE_KEYS_MAX];
    const char *why;
};

static enum liaison_code wrong(struct cosigning *g, enum liaison_code code,
                               const char *why)
{
    g->why = why;
    return code;
}

/* The log's own signature, of this tree, and at least one cosignature of a witness that we list. */
static enum liaison_code judge(struct batch *b, struct cosigning *g)
{
    struct core *core = b->core;
    struct note_verdict ours;
    uint8_t root[HASH_BYTES];
    size_t n = 0;

    if (core->settings.witnesses == NULL)
        return wrong(g, LIAISON_UNSUPPORTED, "this broker lists no witnesses");
    g->witnesses = note_policy_witnesses(core->settings.witnesses, &g->n_witnesses);
    if (note_parse(g->note, &g->parsed) != LIAISON_OK ||
        checkpoint_parse(g->parsed.text, &g->checkpoint) != LIAISON_OK)
        return wrong(g, LIAISON_MALFORMED, "checkpoint: not a signed checkpoint");
    if (strcmp(g->checkpoint.origin, log_origin(core->log)) != 0 ||
        log_root(core->log, g->checkpoint.size, root) != LIAISON_OK ||
        memcmp(root, g->checkpoint.root, sizeof root) != 0)
        return wrong(g, LIAISON_FORK, "checkpoint: not of this log");
    if (note_verify(&g->parsed, notes_key(core->notes), 1, &ours) != LIAISON_OK ||
        !ours.signed_by ||
        note_verify(&g->parsed, g->witnesses, g->n_witnesses, g->verdicts) != LIAISON_OK)
        return wrong(g, LIAISON_SIGNATURE, NULL);
    for (size_t i = 0; i < g->n_witnesses; i++)
        n += g->verdicts[i].signed_by;
    return n > 0 ? LIAISON_OK
                 : wrong(g, LIAISON_SIGNER, "no witness that this broker lists");
}

static bool same_key(const struct note_line *line, const struct note_key *k)
{
    return memcmp(line->id, k->id, sizeof k->id) == 0 &&
           slice_equal(line->name, slice_text(k->name));
}

static const struct note_line *line_of(const struct note *n, const struct note_key *k)
{
    for (size_t i = 0; i < n->n; i++)
        if (same_key(&n->lines[i], k))
            return &n->lines[i];
    return NULL;
}

static void put(uint8_t *out, size_t *n, struct slice s)
{
    memcpy(out + *n, s.p, s.n);
    *n += s.n;
}

/* Text, our line, then a line of each witness: what came, or what was there. */
static struct slice merged(struct batch *b, struct cosigning *g, struct slice was)
{
    uint8_t *out = arena_alloc(b->arena, g->note.n + was.n + 1);
    const struct note_line *ours = line_of(&g->parsed, notes_key(b->core->notes));
    bool had = was.p != NULL && note_parse(was, &g->stored) == LIAISON_OK;
    size_t n = 0;

    if (out == NULL)
        return batch_fail(b, LIAISON_MEMORY), slice(NULL, 0);
    put(out, &n, g->parsed.text);
    put(out, &n, slice("\n", 1));
    put(out, &n, ours->whole);
    for (size_t i = 0; i < g->n_witnesses; i++) {
        const struct note_line *line = g->verdicts[i].signed_by
                                           ? line_of(&g->parsed, &g->witnesses[i])
                                       : had ? line_of(&g->stored, &g->witnesses[i])
                                             : NULL;

        if (line != NULL)
            put(out, &n, line->whole);
    }
    return slice(out, n);
}

static void keep(struct batch *b, struct call *c, struct session *s, struct cosigning *g)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Done done = LIAISON__V1__DONE__INIT;
    uint64_t found = 0;
    struct slice was = notes_find(b, b->arena, g->checkpoint.size, false, &found);
    struct slice note = merged(b, g, found == g->checkpoint.size ? was : slice(NULL, 0));
    struct recorded made;
    struct ledger_fact fact = {.event = LIAISON__V1__EVENT__EVENT_COSIGN,
                               .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                               .certificate = s->certificate,
                               .count = g->checkpoint.size};

    if (note.p == NULL || !record(b, &fact, s->party, NULL, NULL, false, &made))
        return;
    notes_cosigned(b, g->checkpoint.size, note);
    f.body_case = LIAISON__V1__FRAME__BODY_DONE;
    f.done = &done;
    core_answer(b, c, &f);
}

void cosign_call(struct batch *b, struct call *c, struct session *s)
{
    struct cosigning *g = arena_zero(b->arena, sizeof *g);
    enum liaison_code code = c->code;

    if (g == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    g->note = binary_slice(c->frame->cosign->checkpoint);
    g->why = c->why;
    if (code == LIAISON_OK && b->full)
        code = LIAISON_FULL;
    if (code == LIAISON_OK)
        code = judge(b, g);
    if (code != LIAISON_OK)
        core_error(b, c, code, g->why);
    else
        keep(b, c, s, g);
}
