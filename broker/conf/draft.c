/* From the tree to a rule set. */
#include <stdio.h>

#include "broker/conf/names.h"
#include "broker/conf/trial.h"
#include "broker/conf/units.h"
#include "broker/conf/values.h"

/* A draft in the making; the draft's arrays are const to everybody else. */
struct drafting {
    struct tree *t;
    struct rules_agency *agencies;
    struct rules_draft_group *groups;
    struct rules_draft_auditor *auditors;
    struct rules_draft_rule *rules;
    struct rules_draft_certificate *certificates;
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

static struct rules_words words_of(struct drafting *d, const struct tree_clause *list,
                                   enum clause kind)
{
    const struct tree_clause *c = tree_find(list, kind);

    if (c == NULL)
        return (struct rules_words){0};
    const char **words = texts_of(d, &c->values.words);

    return (struct rules_words){words, words != NULL ? c->values.words.n : 0,
                                c->values.any};
}

/* The same as names of an agency; they are never `any`. */
static struct rules_names names_of(struct drafting *d, const struct tree_clause *list,
                                   enum clause kind)
{
    struct rules_words words = words_of(d, list, kind);

    return (struct rules_names){words.list, words.n};
}

/* A bit for each value of a condition; 0: it is not there. */
static uint32_t values_of(const struct tree_clause *list, enum clause kind,
                          const struct value *values)
{
    const struct tree_clause *c = tree_find(list, kind);
    uint32_t bits = 0;

    for (size_t i = 0; c != NULL && i < c->values.words.n; i++)
        bits |= UINT32_C(1) << values_number(values, c->values.words.list[i].s);
    return bits;
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

/* names_check() has let nothing through that cannot be read. */
static struct rules_span span_of(const struct tree_clause *list, enum clause kind)
{
    struct text t = tree_value(list, kind);
    struct rules_span span = {0};

    return t.s != NULL && units_span(t.s, &span) ? span : (struct rules_span){0};
}

/* What only allows say. */
static void oblige(struct drafting *d, const struct tree_rule *r,
                   struct rules_draft_rule *out)
{
    const struct tree_clause *told = tree_find(r->clauses, CLAUSE_ESCALATE);
    struct text reveal = tree_value(r->clauses, CLAUSE_REVEAL),
                size = tree_value(r->clauses, CLAUSE_MAX_SIZE),
                rate = tree_value(r->clauses, CLAUSE_RATE);

    out->reveal = reveal.s != NULL && strcmp(reveal.s, "delivery") == 0
                      ? LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY
                      : LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT;
    out->returns = words_of(d, r->clauses, CLAUSE_RETURN);
    if (size.s != NULL)
        (void)units_size(size.s, &out->max_bytes);
    if (rate.s != NULL)
        (void)units_rate(rate.s, &out->rate);
    out->keep = span_of(r->clauses, CLAUSE_KEEP);
    out->answer = span_of(r->clauses, CLAUSE_ANSWER);
    out->escalate_supervisor = told != NULL && told->values.any;
    out->escalate = words_of(d, r->clauses, CLAUSE_ESCALATE);
    out->escalate.any = false;
    out->approvals = words_of(d, r->clauses, CLAUSE_APPROVAL);
}

static struct rules_draft_rule rule_of(struct drafting *d, const struct tree_rule *r)
{
    struct text until = tree_value(r->clauses, CLAUSE_UNTIL);
    struct rules_draft_rule out = {
        .deny = r->deny,
        .type = r->type,
        .category = r->category.s,
        .from = parties_of(d, &r->from),
        .to = parties_of(d, &r->to),
        .within_area = tree_find(r->clauses, CLAUSE_WITHIN) != NULL,
        .when_minor = tree_find(r->clauses, CLAUSE_MINOR) != NULL,
        .when_crossing = tree_find(r->clauses, CLAUSE_CROSSING) != NULL,
        .handlings = values_of(r->clauses, CLAUSE_HANDLING, HANDLINGS),
        .informed = values_of(r->clauses, CLAUSE_INFORMED, INFORMEDS),
        .urgencies = values_of(r->clauses, CLAUSE_URGENCY, URGENCIES),
        .subjects = values_of(r->clauses, CLAUSE_SUBJECT, SUBJECTS),
        .purposes = words_of(d, r->clauses, CLAUSE_PURPOSE),
        .bases = words_of(d, r->clauses, CLAUSE_BASIS),
        .sections = words_of(d, r->clauses, CLAUSE_SECTIONS),
        .where = where(d, &r->at),
    };

    if (until.s != NULL)
        (void)units_date(until.s, &out.until_day);
    if (r->deny)
        out.purposes.any = out.bases.any = false; /* `any` says no more than nothing */
    else
        oblige(d, r, &out);
    return out;
}

static struct rules_agency agency_of(struct drafting *d, const struct tree_agency *a)
{
    const struct tree_clause *merged = tree_find(a->clauses, CLAUSE_MERGED);
    struct text regime = tree_value(a->clauses, CLAUSE_REGIME),
                capacity = tree_value(a->clauses, CLAUSE_CAPACITY);
    struct rules_agency out = {
        .name = a->name.s,
        .kind = tree_value(a->clauses, CLAUSE_KIND).s,
        .area = tree_value(a->clauses, CLAUSE_AREA).s,
        .supervisors = names_of(d, a->clauses, CLAUSE_SUPERVISOR),
        .skills = names_of(d, a->clauses, CLAUSE_SKILLS),
        .languages = names_of(d, a->clauses, CLAUSE_LANGUAGES),
    };

    if (regime.s != NULL)
        out.regime = strcmp(regime.s, "led") == 0 ? RULES_LED : RULES_GDPR;
    if (capacity.s != NULL)
        (void)units_count(capacity.s, &out.capacity);
    if (merged != NULL) {
        out.merged_into = merged->values.words.list[0].s;
        (void)units_date(merged->values.words.list[1].s, &out.merged_day);
    }
    return out;
}

static void draft_certificates(struct drafting *d)
{
    const struct texts *list = &d->t->certificates;

    for (size_t i = 0; i < list->n; i++) {
        if (strlen(list->list[i].s) != 2 * sizeof d->certificates->sha256)
            continue; /* reported already */
        struct rules_draft_certificate *c = &d->certificates[d->draft.n_certificates++];

        c->where = where(d, &list->list[i].at);
        for (size_t k = 0; k < sizeof c->sha256; k++)
            sscanf(list->list[i].s + 2 * k, "%2hhx", &c->sha256[k]);
    }
}

static void draft_members(struct drafting *d)
{
    struct tree *t = d->t;

    for (size_t i = 0; i < t->n_agencies; i++)
        if (!t->agencies[i].broken)
            d->agencies[d->draft.n_agencies++] = agency_of(d, &t->agencies[i]);
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
    d->certificates = take(d, t->certificates.n, sizeof *d->certificates);
    d->from_rule = take(d, t->n_rules, sizeof *d->from_rule);
    if (report_no_memory(t->report))
        return false;
    draft_members(d);
    draft_rules(d);
    draft_certificates(d);
    d->draft.network = t->network.s != NULL ? t->network.s : "";
    if (t->keep.s != NULL)
        (void)units_span(t->keep.s, &d->draft.keep);
    d->draft.agencies = d->agencies;
    d->draft.groups = d->groups;
    d->draft.auditors = d->auditors;
    d->draft.rules = d->rules;
    d->draft.certificates = d->certificates;
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
    for (size_t i = 0;
         i < rules_count(r) && !t->lost_agency && !t->lost_group && !t->kept; i++)
        report_reach(&d, r, i);
    if (report_count(t->report) == 0 && !t->kept)
        trials_run(t, r);
    if (report_count(t->report) > 0) {
        rules_free(r);
        return NULL;
    }
    return r;
}
