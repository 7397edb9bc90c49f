#include "broker/conf/names.h"

#include <stdlib.h>

#include "broker/conf/suggest.h"
#include "broker/conf/units.h"

enum { HINT_MAX = 300, NETWORK_MAX = 200, GROUPS_MAX = 4096, AUDITORS_MAX = 4096 };

/* Everything declared, in order of names, to look up by halves. */
struct index {
    const struct text **list;
    size_t n;
};

struct check {
    struct tree *t;
    struct index agencies, groups, kinds, areas;
};

/* ---------------------------------------------------------------- looking up */

static int by_name(const void *x, const void *y)
{
    const struct text *a = *(const struct text *const *)x,
                      *b = *(const struct text *const *)y;
    int order = strcmp(a->s, b->s);

    if (order != 0)
        return order;
    if (a->at.file != b->at.file)
        return a->at.file->number < b->at.file->number ? -1 : 1;
    return a->at.at < b->at.at ? -1 : a->at.at > b->at.at;
}

static void index_add(struct index *x, const struct text *t)
{
    if (t->s != NULL)
        x->list[x->n++] = t;
}

static void index_sort(struct index *x)
{
    if (x->n > 0)
        qsort(x->list, x->n, sizeof *x->list, by_name);
}

static const struct text *index_find(const struct index *x, const char *name)
{
    size_t low = 0, high = x->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(x->list[middle]->s, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < x->n && strcmp(x->list[low]->s, name) == 0 ? x->list[low] : NULL;
}

static void index_make(const struct check *c, struct index *x, size_t n)
{
    x->list = arena_alloc(c->t->arena, n * sizeof *x->list);
    if (x->list == NULL)
        report_memory(c->t->report);
}

/* Reports every name that stands twice. */
static void index_twice(const struct check *c, const struct index *x, const char *what)
{
    for (size_t i = 1; i < x->n; i++)
        if (strcmp(x->list[i - 1]->s, x->list[i]->s) == 0)
            report_error(c->t->report, x->list[i]->at,
                         "%s %s is declared twice; the first is in %s:%u", what,
                         x->list[i]->s, x->list[i - 1]->at.file->base,
                         x->list[i - 1]->at.line);
}

static void unknown(const struct check *c, const struct index *x, const struct text *t,
                    const char *what)
{
    char hint[HINT_MAX];
    struct suggest s = suggest_for(t->s);

    for (size_t i = 0; i < x->n; i++)
        suggest_try(&s, x->list[i]->s);
    report_error(c->t->report, t->at, "%s \"%s\"%s", what, t->s,
                 suggest_text(&s, hint, sizeof hint));
}

/* ---------------------------------------------------------------- forms */

static bool want_name(const struct check *c, const struct text *t, const char *what)
{
    if (id_name(t->s) && strcmp(t->s, "any") != 0)
        return true;
    report_error(c->t->report, t->at,
                 "\"%s\" is no name for %s; expected 1 to 8 segments of a-z, 0-9 and "
                 "'-', joined by '/'",
                 t->s, what);
    return false;
}

static bool want_word(const struct check *c, const struct text *t, const char *what)
{
    if (id_word(t->s))
        return true;
    report_error(c->t->report, t->at,
                 "\"%s\" is no %s; expected at most %d of a-z, 0-9 and '-'", t->s, what,
                 ID_WORD_MAX);
    return false;
}

/* A host's name: words joined by dots. */
static bool network_name(const char *s)
{
    size_t label = 0, dots = 0;

    if (strlen(s) > NETWORK_MAX)
        return false;
    for (; *s != '\0'; s++) {
        bool word = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-';

        if (!word && (*s != '.' || label == 0))
            return false;
        dots += !word;
        label = word ? label + 1 : 0;
    }
    return label > 0 && dots > 0;
}

static void check_network(const struct check *c, const struct conf_source *source)
{
    const struct text *network = &c->t->network, *keep = &c->t->keep;
    struct rules_span span;

    if (network->s == NULL && !c->t->lost_network)
        report_error(c->t->report, (struct place){.file = source},
                     "no network is named; expected network \"NAME\"");
    if (network->s != NULL && !network_name(network->s))
        report_error(c->t->report, network->at,
                     "\"%s\" is no name for a network; expected words of a-z, 0-9 and "
                     "'-' joined by dots",
                     network->s);
    if (keep->s != NULL && !units_span(keep->s, &span))
        report_error(
            c->t->report, keep->at,
            "\"%s\" is no time to keep; expected a number and h, d, m or y, such as 2y",
            keep->s);
}

/* ---------------------------------------------------------------- members */

static void check_agency(const struct check *c, struct tree_agency *a)
{
    bool good = want_name(c, &a->name, "an agency");

    if (a->kind.s != NULL)
        good = want_word(c, &a->kind, "kind") && good;
    else if (!a->broken)
        report_error(c->t->report, a->name.at,
                     "agency %s has no kind; expected kind WORD", a->name.s);
    if (a->area.s != NULL)
        good = want_name(c, &a->area, "an area") && good;
    else if (!a->broken)
        report_error(c->t->report, a->name.at,
                     "agency %s has no area; expected area NAME", a->name.s);
    a->broken = a->broken || !good || a->kind.s == NULL || a->area.s == NULL;
}

static void check_agencies(struct check *c)
{
    struct tree *t = c->t;

    for (size_t i = 0; i < t->n_agencies; i++) {
        check_agency(c, &t->agencies[i]);
        index_add(&c->agencies, &t->agencies[i].name);
        index_add(&c->kinds, &t->agencies[i].kind);
        index_add(&c->areas, &t->agencies[i].area);
        t->lost_agency = t->lost_agency || t->agencies[i].broken;
    }
    index_sort(&c->agencies);
    index_sort(&c->kinds);
    index_sort(&c->areas);
    index_twice(c, &c->agencies, "agency");
}

/* An element that stands twice in its set says that something else was meant. */
static bool check_set(const struct check *c, const struct texts *set)
{
    struct index x = {.list = arena_alloc(c->t->arena, set->n * sizeof *x.list)};
    size_t before = report_count(c->t->report);

    if (x.list == NULL) {
        report_memory(c->t->report);
        return false;
    }
    for (size_t i = 0; i < set->n; i++)
        index_add(&x, &set->list[i]);
    index_sort(&x);
    for (size_t i = 1; i < x.n; i++)
        if (strcmp(x.list[i - 1]->s, x.list[i]->s) == 0)
            report_error(c->t->report, x.list[i]->at, "\"%s\" stands twice in this set",
                         x.list[i]->s);
    return report_count(c->t->report) == before;
}

static bool check_known_agency(const struct check *c, const struct text *name)
{
    if (index_find(&c->agencies, name->s) != NULL)
        return true;
    if (!c->t->lost_agency)
        unknown(c, &c->agencies, name, "no agency is named");
    return false;
}

static void check_group(const struct check *c, struct tree_group *g)
{
    bool good = want_word(c, &g->name, "name for a group") && check_set(c, &g->members);

    for (size_t i = 0; i < g->members.n; i++)
        good = check_known_agency(c, &g->members.list[i]) && good;
    g->broken = g->broken || !good;
}

static void check_groups(struct check *c)
{
    struct tree *t = c->t;

    for (size_t i = 0; i < t->n_groups; i++) {
        check_group(c, &t->groups[i]);
        index_add(&c->groups, &t->groups[i].name);
    }
    index_sort(&c->groups);
    index_twice(c, &c->groups, "group");
}

static bool area_has_agency(const struct check *c, const char *area)
{
    for (size_t i = 0; i < c->areas.n; i++)
        if (rules_area_within(c->areas.list[i]->s, area))
            return true;
    return false;
}

static void check_auditors(const struct check *c)
{
    const struct tree *t = c->t;
    struct index x = {0};

    index_make(c, &x, t->n_auditors);
    for (size_t i = 0; i < t->n_auditors && x.list != NULL; i++) {
        const struct tree_auditor *a = &t->auditors[i];

        want_name(c, &a->name, "an auditor");
        index_add(&x, &a->name);
        if (strcmp(a->area.s, "any") != 0 && want_name(c, &a->area, "an area") &&
            !t->lost_agency && !area_has_agency(c, a->area.s))
            unknown(c, &c->areas, &a->area, "no agency lies in the area");
    }
    index_sort(&x);
    index_twice(c, &x, "auditor");
}

/* ---------------------------------------------------------------- rules */

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
        return check_known_agency(c, &p->name);
    case RULES_KIND:
        if (index_find(&c->kinds, p->name.s) != NULL)
            return true;
        if (!t->lost_agency)
            unknown(c, &c->kinds, &p->name, "no agency is of the kind");
        return false;
    case RULES_GROUP:
        if (use_group(c, p->name.s))
            return true;
        if (!t->lost_group)
            unknown(c, &c->groups, &p->name, "no group is named");
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

static bool check_words(const struct check *c, const struct tree_words *w,
                        const char *what)
{
    bool good = check_set(c, &w->words);

    for (size_t i = 0; i < w->words.n; i++)
        good = want_word(c, &w->words.list[i], what) && good;
    return good;
}

/* What only an allow can say; a deny neither grants nor obliges. */
static bool check_deny(const struct check *c, const struct tree_rule *r)
{
    const struct {
        const char *word;
        struct place at;
    } allows_only[] = {{"reveal", r->reveal.at},
                       {"return", r->returns.at},
                       {"max-size", r->max_size.at}};
    bool good = true;

    for (size_t i = 0; i < sizeof allows_only / sizeof *allows_only; i++)
        if (allows_only[i].at.file != NULL) {
            report_error(c->t->report, allows_only[i].at,
                         "a deny cannot say \"%s\"; expected it in an allow",
                         allows_only[i].word);
            good = false;
        }
    return good;
}

static bool check_allow(const struct check *c, const struct tree_rule *r)
{
    if (r->purposes.at.file == NULL && !r->broken)
        report_error(
            c->t->report, r->at,
            "this allow names no purpose; expected purpose { WORD, ... } or purpose any");
    if (r->bases.at.file == NULL && !r->broken)
        report_error(
            c->t->report, r->at,
            "this allow names no basis; expected basis { WORD, ... } or basis any");
    return r->purposes.at.file != NULL && r->bases.at.file != NULL;
}

static bool check_size(const struct check *c, const struct text *size)
{
    uint64_t bytes;

    if (size->s == NULL || (units_size(size->s, &bytes) && bytes > 0))
        return true;
    report_error(c->t->report, size->at,
                 "\"%s\" is no size; expected a number of bytes, or one with K, M or G, "
                 "such as 256K",
                 size->s);
    return false;
}

static void check_rule(const struct check *c, struct tree_rule *r)
{
    bool good = r->category.s == NULL || want_word(c, &r->category, "category");

    good = check_parties(c, &r->from) && good;
    good = check_parties(c, &r->to) && good;
    good = check_words(c, &r->purposes, "purpose") && good;
    good = check_words(c, &r->bases, "basis") && good;
    good = check_words(c, &r->sections, "section") && good;
    good = check_words(c, &r->returns, "section") && good;
    good = check_size(c, &r->max_size) && good;
    good = (r->deny ? check_deny(c, r) : check_allow(c, r)) && good;
    r->broken = r->broken || !good;
    c->t->lost_rule = c->t->lost_rule || r->broken;
}

/* Rules that could not be read may have used it. */
static void check_unused(const struct check *c)
{
    struct tree *t = c->t;

    for (size_t i = 0; i < t->n_groups && !t->lost_rule; i++)
        if (!t->groups[i].used &&
            index_find(&c->groups, t->groups[i].name.s) == &t->groups[i].name)
            report_error(
                t->report, t->groups[i].name.at,
                "no rule uses group %s; expected a rule from or to it, or no such group",
                t->groups[i].name.s);
}

/* Past these the rest is not looked at: it would take long and help nobody. */
static bool within_limits(const struct tree *t)
{
    const struct {
        const char *what;
        size_t n, most;
    } counts[] = {{"agencies", t->n_agencies, RULES_AGENCIES_MAX},
                  {"rules", t->n_rules, RULES_RULES_MAX},
                  {"groups", t->n_groups, GROUPS_MAX},
                  {"auditors", t->n_auditors, AUDITORS_MAX}};
    bool good = true;

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].n > counts[i].most) {
            report_error(t->report, (struct place){0}, "%zu %s; expected at most %zu",
                         counts[i].n, counts[i].what, counts[i].most);
            good = false;
        }
    return good;
}

void names_check(struct tree *t, const struct conf_source *rules_source)
{
    struct check c = {.t = t};

    if (!within_limits(t))
        return;

    check_network(&c, rules_source);
    index_make(&c, &c.agencies, t->n_agencies);
    index_make(&c, &c.kinds, t->n_agencies);
    index_make(&c, &c.areas, t->n_agencies);
    index_make(&c, &c.groups, t->n_groups);
    if (report_no_memory(t->report))
        return;
    check_agencies(&c);
    check_groups(&c);
    check_auditors(&c);
    for (size_t i = 0; i < t->n_rules && !report_full(t->report); i++)
        check_rule(&c, &t->rules[i]);
    check_unused(&c);
}
