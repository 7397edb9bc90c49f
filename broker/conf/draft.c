/* From the tree to a rule set. */
#include <stdio.h>

#include "broker/conf/names.h"
#include "broker/conf/units.h"

/* A draft in the making; the draft's arrays are const to everybody else. */
struct drafting {
    struct tree *t;
    struct rules_agency *agencies;
    struct rules_draft_group *groups;
    struct rules_draft_auditor *auditors;
    struct rules_draft_rule *rules;
    size_t *from_rule; /* number in the tree of the draft's i-th rule */
    struct rules_draft draft;
};

static void *take(struct drafting *d, size_t n, size_t size)
{
    void *p = arena_zero(d->t->arena, n * size);

    if (p == NULL)
        report_memory(d->t->report);
    return p;
}

static const char **texts_of(struct drafting *d, const struct texts *from)
{
    const char **list = take(d, from->n, sizeof *list);

    for (size_t i = 0; i < from->n && list != NULL; i++)
        list[i] = from->list[i].s;
    return list;
}

static struct rules_words words_of(struct drafting *d, const struct tree_words *from)
{
    const char **list = texts_of(d, &from->words);

    return (struct rules_words){list, list != NULL ? from->words.n : 0, from->any};
}

static struct rules_parties parties_of(struct drafting *d,
                                       const struct tree_parties *from)
{
    struct rules_party *list = take(d, from->n, sizeof *list);

    for (size_t i = 0; i < from->n && list != NULL; i++)
        list[i] = (struct rules_party){from->list[i].kind, from->list[i].name.s};
    return (struct rules_parties){list, list != NULL ? from->n : 0};
}

static const char *where(struct drafting *d, const struct place *at)
{
    char text[300];

    snprintf(text, sizeof text, "%.255s:%u", at->file->base, at->line);
    const char *kept = (const char *)arena_copy(d->t->arena, slice_text(text));

    if (kept == NULL)
        report_memory(d->t->report);
    return kept;
}

static struct rules_draft_rule rule_of(struct drafting *d, const struct tree_rule *r)
{
    bool early = r->reveal.s != NULL && strcmp(r->reveal.s, "delivery") == 0;
    struct rules_draft_rule out = {
        .deny = r->deny,
        .type = r->type,
        .category = r->category.s,
        .from = parties_of(d, &r->from),
        .to = parties_of(d, &r->to),
        .within_area = r->within.file != NULL,
        .when_minor = r->minor.file != NULL,
        .purposes = words_of(d, &r->purposes),
        .bases = words_of(d, &r->bases),
        .sections = words_of(d, &r->sections),
        .returns = words_of(d, &r->returns),
        .reveal = early ? LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY
                        : LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT,
        .where = where(d, &r->at),
    };

    if (r->max_size.s != NULL && !units_size(r->max_size.s, &out.max_bytes))
        out.max_bytes = 0; /* names_check() let no such rule through */
    if (r->deny) {
        out.purposes.any = out.bases.any = false; /* `any` says no more than nothing */
        out.reveal = LIAISON__V1__REVEAL__REVEAL_UNSPECIFIED;
    }
    return out;
}

static void draft_members(struct drafting *d)
{
    struct tree *t = d->t;

    for (size_t i = 0; i < t->n_agencies; i++)
        if (!t->agencies[i].broken)
            d->agencies[d->draft.n_agencies++] =
                (struct rules_agency){.name = t->agencies[i].name.s,
                                      .kind = t->agencies[i].kind.s,
                                      .area = t->agencies[i].area.s};
    for (size_t i = 0; i < t->n_groups; i++)
        if (!t->groups[i].broken)
            d->groups[d->draft.n_groups++] = (struct rules_draft_group){
                t->groups[i].name.s, texts_of(d, &t->groups[i].members),
                t->groups[i].members.n};
    for (size_t i = 0; i < t->n_auditors; i++)
        d->auditors[d->draft.n_auditors++] =
            (struct rules_draft_auditor){t->auditors[i].name.s, t->auditors[i].area.s};
}

static void draft_rules(struct drafting *d)
{
    struct tree *t = d->t;

    for (size_t i = 0; i < t->n_rules; i++)
        if (!t->rules[i].broken) {
            d->from_rule[d->draft.n_rules] = i;
            d->rules[d->draft.n_rules++] = rule_of(d, &t->rules[i]);
        }
}

/* True if the draft is whole. */
static bool draft_all(struct drafting *d)
{
    struct tree *t = d->t;

    d->agencies = take(d, t->n_agencies, sizeof *d->agencies);
    d->groups = take(d, t->n_groups, sizeof *d->groups);
    d->auditors = take(d, t->n_auditors, sizeof *d->auditors);
    d->rules = take(d, t->n_rules, sizeof *d->rules);
    d->from_rule = take(d, t->n_rules, sizeof *d->from_rule);
    if (report_no_memory(t->report))
        return false;
    draft_members(d);
    draft_rules(d);
    d->draft.network = t->network.s != NULL ? t->network.s : "";
    if (t->keep.s != NULL)
        (void)units_span(t->keep.s, &d->draft.keep);
    d->draft.agencies = d->agencies;
    d->draft.groups = d->groups;
    d->draft.auditors = d->auditors;
    d->draft.rules = d->rules;
    return !report_no_memory(t->report);
}

/* Says why rule number i can never matter, if that is so. */
static void report_reach(const struct drafting *d, const struct rules *r, size_t i)
{
    size_t other = 0, index;
    enum rules_reach reach = rules_reach(r, i, &other);
    const char *reason = NULL;

    rules_line_at(r, i, &index);
    struct place at = d->t->rules[d->from_rule[index]].at;
    const struct rules_line *before = rules_line_at(r, other, NULL);

    switch (reach) {
    case RULES_REACHED:
        return;
    case RULES_TWICE:
        report_error(d->t->report, at, "this rule stands here twice; the first is in %s",
                     before->where);
        return;
    case RULES_BEATEN:
        report_error(d->t->report, at,
                     "this rule can never match; all of it is denied in %s",
                     before->where);
        return;
    case RULES_SHADOWED:
        report_error(d->t->report, at, "this rule changes nothing; %s says all of it",
                     before->where);
        return;
    case RULES_NO_SENDER:
        reason = "no agency is named by its from";
        break;
    case RULES_NO_RECIPIENT:
        reason = "no agency is named by its to";
        break;
    case RULES_NO_PAIR:
        reason = "no such recipient lies in the area of such a sender";
        break;
    }
    report_error(d->t->report, at, "this rule can never match; %s", reason);
}

struct rules *names_build(struct tree *t, const struct slice *texts, size_t n_texts)
{
    struct drafting d = {.t = t};
    struct rules *r = NULL;
    size_t before = report_count(t->report);

    if (!draft_all(&d))
        return NULL;
    d.draft.texts = texts;
    d.draft.n_texts = n_texts;
    enum liaison_code code = rules_build(&d.draft, &r);

    if (code == LIAISON_MEMORY)
        report_memory(t->report);
    else if (code != LIAISON_OK && before == 0)
        report_error(
            t->report, (struct place){0},
            "the rules pass a limit; expected at most %d different words in them",
            RULES_WORDS_MAX);
    if (code != LIAISON_OK)
        return NULL;
    for (size_t i = 0; i < rules_count(r) && !t->lost_agency && !t->lost_group; i++)
        report_reach(&d, r, i);
    if (report_count(t->report) > 0) {
        rules_free(r);
        return NULL;
    }
    return r;
}
