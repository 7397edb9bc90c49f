/* A referral that continues another: whose it may be, and what its handling code asks (PROTOCOL.md, "Handling codes"). */
#include "broker/core/state.h"

/* The rule that stands in every set refuses it. */
static enum liaison_code refused_by(struct batch *b, enum rules_builtin which,
                                    struct onward *o)
{
    const struct rules *rules = b->core->settings.rules;
    struct rules_decision *d = arena_zero(b->arena, sizeof *d);

    if (d == NULL)
        return batch_fail(b, LIAISON_MEMORY);
    d->code = LIAISON_DENIED;
    d->rules = rules;
    d->lines[d->n_lines++] = rules_builtin(rules, which);
    o->refusal = d;
    o->why = d->lines[0]->text;
    return LIAISON_DENIED;
}

static bool is_permitted(const struct item *i, const struct party *to)
{
    for (size_t n = 0; to != NULL && n < i->row.n_permitted; n++)
        if (i->row.permitted[n] == to->number)
            return true;
    return false;
}

/* What came to the one that now passes it on. */
static enum liaison_code judge_received(struct batch *b, const Liaison__V1__Envelope *e,
                                        struct onward *o)
{
    struct item *i = o->from;

    if ((uint32_t)e->handling != i->row.handling)
        return refused_by(b, RULES_HANDLING_STAYS, o);
    if (i->row.handling == LIAISON__V1__HANDLING__HANDLING_H2 &&
        !is_permitted(i, party_find(b->core, e->to)))
        return refused_by(b, RULES_H2_ONWARD, o);
    if (item_erased(i) || again_allowed(b, i))
        return LIAISON_OK;
    if (b->failed != LIAISON_OK)
        return b->failed;
    o->refusal = i->again.decision;
    o->why = i->again.why;
    return o->refusal->code;
}

enum liaison_code onward_judge(struct batch *b, const struct party *who,
                               const Liaison__V1__Envelope *e, struct onward *o)
{
    *o = (struct onward){0};
    if (e->caused_by == NULL)
        return LIAISON_OK;
    struct item *i = item_find(b, party_find(b->core, e->caused_by->from),
                               binary_slice(e->caused_by->id));

    if (b->failed != LIAISON_OK)
        return b->failed;
    bool got = i != NULL && i->row.to == who->number && !item_hidden(i);

    if (i == NULL || (!got && i->row.from != who->number)) {
        o->why = "envelope.caused_by: no referral of yours";
        return LIAISON_FIELD;
    }
    if (!got)
        return LIAISON_OK;
    o->from = i;
    return judge_received(b, e, o);
}

void onward_taken(struct onward *o, const struct party *to)
{
    Liaison__Rows__V1__Referral *row = o->from == NULL ? NULL : &o->from->row;
    size_t n = 0;

    if (row == NULL || row->handling != LIAISON__V1__HANDLING__HANDLING_H2)
        return;
    while (row->permitted[n] != to->number)
        n++;
    for (row->n_permitted--; n < row->n_permitted; n++)
        row->permitted[n] = row->permitted[n + 1];
    o->from->dirty = true;
}
