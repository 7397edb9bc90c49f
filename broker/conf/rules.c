/* Judges rules: whom they name, and what they say. */
#include <stdlib.h>

#include "broker/conf/check.h"
#include "broker/conf/units.h"

/* ---------------------------------------------------------------- parties */

/* The group's name is its first member, so whoever finds the name has the group. */
static bool use_group(const struct check *c, const char *name)
{
    struct tree_group *g = (struct tree_group *)index_find(&c->groups, name);

    if (g != NULL)
        g->used = true;
    return g != NULL;
}

static bool check_party(const struct check *c, const struct tree_party *p)
{
    struct tree *t = c->t;

    switch (p->kind) {
    case RULES_ANY:
        return true;
    case RULES_AGENCY:
        return want_agency(c, &p->name, NULL);
    case RULES_KIND:
        if (index_find(&c->kinds, p->name.s) != NULL)
            return true;
        if (!t->lost_agency)
            index_unknown(c, &c->kinds, &p->name, "no agency is of the kind");
        return false;
    case RULES_GROUP:
        if (use_group(c, p->name.s))
            return true;
        if (!t->lost_group)
            index_unknown(c, &c->groups, &p->name, "no group is named");
        return false;
    }
    return false;
}

static bool same_party(const struct tree_party *a, const struct tree_party *b)
{
    return a->kind == b->kind &&
           (a->kind == RULES_ANY || strcmp(a->name.s, b->name.s) == 0);
}

static int by_party(const void *x, const void *y)
{
    const struct tree_party *a = *(const struct tree_party *const *)x,
                            *b = *(const struct tree_party *const *)y;
    int order = (int)a->kind - (int)b->kind;

    if (order == 0 && a->kind != RULES_ANY)
        order = strcmp(a->name.s, b->name.s);
    return order != 0 ? order : (a > b) - (a < b);
}

static bool check_parties(const struct check *c, const struct tree_parties *p)
{
    const struct tree_party **sorted = arena_alloc(c->t->arena, p->n * sizeof *sorted);
    bool good = sorted != NULL;

    if (sorted == NULL) {
        report_memory(c->t->report);
        return false;
    }
    for (size_t i = 0; i < p->n; i++) {
        good = check_party(c, &p->list[i]) && good;
        sorted[i] = &p->list[i];
    }
    if (p->n > 0)
        qsort(sorted, p->n, sizeof *sorted, by_party);
    for (size_t i = 1; i < p->n; i++)
        if (same_party(sorted[i - 1], sorted[i])) {
            report_error(c->t->report, sorted[i]->name.at,
                         "\"%s\" stands twice in this set", sorted[i]->name.s);
            good = false;
        }
    return good;
}

/* ---------------------------------------------------------------- what only one of both can say */

/* A deny neither grants nor obliges. */
static bool check_deny(const struct check *c, const struct tree_rule *r)
{
    static const enum clause ALLOWS_ONLY[] = {
        CLAUSE_REVEAL, CLAUSE_RETURN,   CLAUSE_MAX_SIZE, CLAUSE_KEEP,
        CLAUSE_ANSWER, CLAUSE_APPROVAL, CLAUSE_RATE};
    bool good = true;

    for (size_t i = 0; i < sizeof ALLOWS_ONLY / sizeof *ALLOWS_ONLY; i++) {
        const struct tree_clause *given = tree_find(r->clauses, ALLOWS_ONLY[i]);

        if (given == NULL)
            continue;
        report_error(c->t->report, given->word.at,
                     "a deny cannot say \"%s\"; expected it in an allow", given->word.s);
        good = false;
    }
    return good;
}

static bool check_allow(const struct check *c, const struct tree_rule *r)
{
    bool purpose = tree_find(r->clauses, CLAUSE_PURPOSE) != NULL,
         basis = tree_find(r->clauses, CLAUSE_BASIS) != NULL;

    if (!purpose && !r->broken)
        report_error(
            c->t->report, r->at,
            "this allow names no purpose; expected purpose { WORD, ... } or purpose any");
    if (!basis && !r->broken)
        report_error(
            c->t->report, r->at,
            "this allow names no basis; expected basis { WORD, ... } or basis any");
    return purpose && basis;
}

/* ---------------------------------------------------------------- who is told */

static bool names(const struct check *c, const struct tree_parties *parties,
                  const struct tree_agency *a)
{
    for (size_t i = 0; i < parties->n; i++) {
        const struct tree_party *p = &parties->list[i];
        const struct tree_group *g;

        switch (p->kind) {
        case RULES_ANY:
            return true;
        case RULES_KIND:
            if (strcmp(p->name.s, tree_value(a->clauses, CLAUSE_KIND).s) == 0)
                return true;
            break;
        case RULES_AGENCY:
            if (strcmp(p->name.s, a->name.s) == 0)
                return true;
            break;
        case RULES_GROUP:
            g = (const struct tree_group *)index_find(&c->groups, p->name.s);
            for (size_t k = 0; g != NULL && k < g->members.n; k++)
                if (strcmp(g->members.list[k].s, a->name.s) == 0)
                    return true;
            break;
        }
    }
    return false;
}

/* True if some sender of the rule may send to `a`, as far as areas go. */
static bool in_reach(const struct check *c, const struct tree_rule *r,
                     const struct tree_agency *a)
{
    if (tree_find(r->clauses, CLAUSE_WITHIN) == NULL)
        return true;
    for (size_t i = 0; i < c->t->n_agencies; i++) {
        const struct tree_agency *sender = &c->t->agencies[i];

        if (!sender->broken &&
            rules_area_within(tree_value(a->clauses, CLAUSE_AREA).s,
                              tree_value(sender->clauses, CLAUSE_AREA).s) &&
            names(c, &r->from, sender))
            return true;
    }
    return false;
}

/* Where supervisors are to be told, every recipient has one. */
static bool check_supervised(const struct check *c, const struct tree_rule *r)
{
    const struct tree_clause *told = tree_find(r->clauses, CLAUSE_ESCALATE);

    if (told == NULL || !told->values.any || c->t->lost_agency)
        return true;
    for (size_t i = 0; i < c->n_unsupervised; i++) {
        const struct tree_agency *a = c->unsupervised[i];

        if (!names(c, &r->to, a) || !in_reach(c, r, a))
            continue;
        report_error(c->t->report, told->word.at,
                     "%s has no supervisor to escalate to; expected supervisor NAME in "
                     "its declaration, or escalate to NAME here",
                     a->name.s);
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- rules */

static void check_until(const struct check *c, const struct tree_rule *r)
{
    struct text until = tree_value(r->clauses, CLAUSE_UNTIL);
    int32_t day;

    if (!c->t->kept && until.s != NULL && units_date(until.s, &day) && day < c->today)
        report_warning(c->t->report, until.at,
                       "this rule has ended; it matches nothing any more");
}

static void check_rule(const struct check *c, struct tree_rule *r)
{
    bool good = r->category.s == NULL || want_word(c, &r->category, "category");

    good = check_parties(c, &r->from) && good;
    good = check_parties(c, &r->to) && good;
    good = check_clauses(c, r->clauses) && good;
    good = (r->deny ? check_deny(c, r) : check_allow(c, r)) && good;
    good = good && check_supervised(c, r);
    check_until(c, r);
    r->broken = r->broken || !good;
    c->t->lost_rule = c->t->lost_rule || r->broken;
}

void check_rules(struct check *c)
{
    for (size_t i = 0; i < c->t->n_rules && !report_full(c->t->report); i++)
        check_rule(c, &c->t->rules[i]);
}
