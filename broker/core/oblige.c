/* What a referral is bound to: out of the rules' decision into its row, and as both are told. */
#include "broker/core/judged.h"

static const char *answer_text(struct arena *a, const struct rules_decision *d)
{
    struct rules_span whole = {0};
    char text[64];

    for (size_t n = 0; n < d->n_answers; n++) {
        whole.fixed_s += d->answers[n].within.fixed_s; /* one of each length at most */
        whole.months += d->answers[n].within.months;
    }
    rules_span_text(whole, text);
    return (const char *)arena_copy(a, slice(text, strlen(text) + 1));
}

/* The parties of one time to answer, as numbers. */
static bool fill_escalate(struct batch *b, const struct rules_names *names,
                          Liaison__Rows__V1__Answer *row)
{
    row->escalate = arena_alloc(b->arena, names->n * sizeof *row->escalate);
    for (size_t n = 0; row->escalate != NULL && n < names->n; n++) {
        const struct party *p = party_named(b->core, names->list[n]);

        if (p == NULL)
            return false;
        row->escalate[row->n_escalate++] = p->number;
    }
    return row->escalate != NULL;
}

static void fill_answers(struct batch *b, const struct rules_decision *d,
                         Liaison__Rows__V1__Referral *row)
{
    row->answer_within = (char *)"";
    row->n_answers = 0;
    if (d->n_answers == 0)
        return;
    row->answer_within = (char *)answer_text(b->arena, d);
    row->answers = arena_alloc(b->arena, d->n_answers * sizeof *row->answers);
    for (size_t n = 0; row->answers != NULL && n < d->n_answers; n++) {
        Liaison__Rows__V1__Answer *a = arena_alloc(b->arena, sizeof *a);

        if (a == NULL)
            break;
        liaison__rows__v1__answer__init(a);
        a->fixed_s = d->answers[n].within.fixed_s;
        a->months = d->answers[n].within.months;
        if (!fill_escalate(b, &d->answers[n].escalate, a))
            break;
        row->answers[row->n_answers++] = a;
    }
    if (row->answer_within == NULL || row->n_answers != d->n_answers)
        batch_fail(b, LIAISON_MEMORY);
}

/* Copies into the batch's arena: rows outlive the call's. */
static char **names_copy(struct batch *b, const char *const *names, size_t n,
                         size_t *out_n)
{
    char **list = arena_alloc(b->arena, n * sizeof *list);

    *out_n = 0;
    for (size_t i = 0; list != NULL && i < n; i++)
        list[(*out_n)++] = (char *)names[i];
    if (list == NULL)
        batch_fail(b, LIAISON_MEMORY);
    return list;
}

void obligations_keep(struct batch *b, Liaison__Rows__V1__Referral *row,
                      const struct rules_decision *d)
{
    row->reveal = (uint32_t)d->reveal;
    row->returns = names_copy(b, d->returns, d->n_returns, &row->n_returns);
    row->keep = (char *)d->keep;
    row->keep_fixed_s = d->keep_for.fixed_s;
    row->keep_months = d->keep_for.months;
    row->rate_per_hour = rules_strictest_rate(d);
    row->approvals = names_copy(b, d->approvals, d->n_approvals, &row->n_approvals);
    row->wanted = names_copy(b, d->approvals, d->n_approvals, &row->n_wanted);
    fill_answers(b, d, row);
}

/* ------------------------------------------------------------ as it is told */

/* Whoever is told when any of the times to answer has passed, each once. */
static bool name_kept(struct batch *b, const struct item *i, Liaison__V1__Obligations *o)
{
    size_t most = 0;

    for (size_t n = 0; n < i->row.n_answers; n++)
        most += i->row.answers[n]->n_escalate;
    o->escalate_to = arena_alloc(b->arena, most * sizeof *o->escalate_to);
    if (o->escalate_to == NULL)
        return false;
    for (size_t n = 0; n < i->row.n_answers; n++)
        for (size_t k = 0; k < i->row.answers[n]->n_escalate; k++) {
            const struct party *p =
                party_numbered(b->core, i->row.answers[n]->escalate[k]);
            size_t at = 0;

            while (p != NULL && at < o->n_escalate_to && o->escalate_to[at] != p->name)
                at++;
            if (p != NULL && at == o->n_escalate_to)
                o->escalate_to[o->n_escalate_to++] = (char *)p->name;
        }
    return true;
}

Liaison__V1__Obligations *obligations_kept(struct batch *b, const struct item *i)
{
    Liaison__V1__Obligations *o = arena_alloc(b->arena, sizeof *o);

    if (o == NULL)
        return NULL;
    liaison__v1__obligations__init(o);
    if (!name_kept(b, i, o))
        return NULL;
    o->reveal = (Liaison__V1__Reveal)i->row.reveal;
    o->returns = i->row.returns;
    o->n_returns = i->row.n_returns;
    o->keep = i->row.keep;
    o->answer_within = i->row.answer_within;
    o->approvals = i->row.approvals;
    o->n_approvals = i->row.n_approvals;
    o->rate_per_hour = i->row.rate_per_hour;
    return o;
}

/* Tied times name the same agencies: each once. */
static bool name_said(struct arena *a, const struct rules_decision *d,
                      Liaison__V1__Obligations *o)
{
    size_t most = 0;

    for (size_t n = 0; n < d->n_answers; n++)
        most += d->answers[n].escalate.n;
    o->escalate_to = arena_alloc(a, most * sizeof *o->escalate_to);
    for (size_t n = 0; o->escalate_to != NULL && n < d->n_answers; n++)
        for (size_t k = 0; k < d->answers[n].escalate.n; k++) {
            const char *name = d->answers[n].escalate.list[k];
            size_t at = 0;

            while (at < o->n_escalate_to && strcmp(o->escalate_to[at], name) != 0)
                at++;
            if (at == o->n_escalate_to)
                o->escalate_to[o->n_escalate_to++] = (char *)name;
        }
    return o->escalate_to != NULL;
}

Liaison__V1__Obligations *obligations_said(struct arena *a,
                                           const struct rules_decision *d)
{
    Liaison__V1__Obligations *o = arena_alloc(a, sizeof *o);

    if (o == NULL)
        return NULL;
    liaison__v1__obligations__init(o);
    o->reveal = d->reveal;
    o->returns = (char **)d->returns;
    o->n_returns = d->n_returns;
    o->keep = (char *)d->keep;
    o->approvals = (char **)d->approvals;
    o->n_approvals = d->n_approvals;
    o->rate_per_hour = rules_strictest_rate(d);
    if (d->n_answers > 0)
        o->answer_within = (char *)answer_text(a, d);
    return o->answer_within != NULL && name_said(a, d, o) ? o : NULL;
}
