/* Judges what a rules file declares: its network, its members, what they are to each other. */
#include "broker/conf/names.h"

#include <time.h>

#include "broker/conf/check.h"
#include "broker/conf/units.h"

enum { NETWORK_MAX = 200, GROUPS_MAX = 4096, AUDITORS_MAX = 4096 };
enum { TESTS_MAX = 65536, CERTIFICATES_MAX = 65536 };

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
    if (network->s == NULL && !c->t->lost_network)
        report_error(c->t->report, (struct place){.file = source},
                     "no network is named; expected network \"NAME\"");
    if (network->s != NULL && !network_name(network->s))
        report_error(c->t->report, network->at,
                     "\"%s\" is no name for a network; expected words of a-z, 0-9 and "
                     "'-' joined by dots",
                     network->s);
    if (keep->s != NULL)
        want_span(c, keep, "time to keep");
}

/* ---------------------------------------------------------------- members */

static bool has(const struct check *c, const struct tree_agency *a, enum clause kind,
                const char *word, const char *form)
{
    if (tree_find(a->clauses, kind) != NULL)
        return true;
    if (!a->broken)
        report_error(c->t->report, a->name.at, "agency %s has no %s; expected %s %s",
                     a->name.s, word, word, form);
    return false;
}

static bool not_oneself(const struct check *c, const struct tree_agency *a,
                        const struct text *other, const char *what)
{
    if (strcmp(a->name.s, other->s) != 0)
        return true;
    report_error(c->t->report, other->at, "agency %s %s itself; expected another agency",
                 a->name.s, what);
    return false;
}

/* The agency's name is its first member, so whoever finds the name has the agency. */
static const struct tree_agency *agency_of(const struct check *c, const char *name)
{
    return (const struct tree_agency *)index_find(&c->agencies, name);
}

/* The day from which on the agency is another one; false if it stays what it is, or its day cannot be read. */
static bool merged_on(const struct tree_agency *a, int32_t *day)
{
    const struct tree_clause *merged = tree_find(a->clauses, CLAUSE_MERGED);

    return merged != NULL && merged->values.words.n == 2 &&
           units_date(merged->values.words.list[1].s, day);
}

/* Who takes over must still be there when it does. So the days of a chain rise, and no chain comes back to its start. */
static bool check_merger(const struct check *c, const struct tree_agency *a)
{
    const struct tree_clause *merged = tree_find(a->clauses, CLAUSE_MERGED);

    if (merged == NULL || merged->values.words.n != 2)
        return merged == NULL;
    const struct text *into = &merged->values.words.list[0];
    int32_t mine, its;

    if (!want_agency(c, into, NULL) || !not_oneself(c, a, into, "merges into") ||
        !want_date(c, &merged->values.words.list[1], "date") || !merged_on(a, &mine))
        return false;
    const struct tree_agency *other = agency_of(c, into->s);

    if (other == NULL || !merged_on(other, &its) || its > mine)
        return true;
    const struct tree_clause *gone = tree_find(other->clauses, CLAUSE_MERGED);

    report_error(c->t->report, into->at,
                 "%s is itself merged by then, into %s on %s; expected an agency that is "
                 "still there on that day",
                 into->s, gone->values.words.list[0].s, gone->values.words.list[1].s);
    return false;
}

static void check_agency(const struct check *c, struct tree_agency *a)
{
    const struct tree_clause *supervisor = tree_find(a->clauses, CLAUSE_SUPERVISOR);
    bool good = want_name(c, &a->name, "an agency");

    good = has(c, a, CLAUSE_KIND, "kind", "WORD") && good;
    good = has(c, a, CLAUSE_AREA, "area", "NAME") && good;
    good = check_clauses(c, a->clauses) && good;
    good = check_merger(c, a) && good;
    for (size_t i = 0; supervisor != NULL && i < supervisor->values.words.n; i++)
        good = not_oneself(c, a, &supervisor->values.words.list[i], "supervises") && good;
    a->broken = a->broken || !good;
}

static void index_value(struct index *x, const struct tree_agency *a, enum clause kind)
{
    const struct tree_clause *c = tree_find(a->clauses, kind);

    if (c != NULL && c->values.words.n > 0)
        index_add(x, &c->values.words.list[0]);
}

static void check_agencies(struct check *c)
{
    struct tree *t = c->t;

    for (size_t i = 0; i < t->n_agencies; i++) {
        const struct tree_agency *a = &t->agencies[i];

        index_add(&c->agencies, &a->name);
        index_value(&c->kinds, a, CLAUSE_KIND);
        index_value(&c->areas, a, CLAUSE_AREA);
        if (tree_find(a->clauses, CLAUSE_SUPERVISOR) == NULL && !a->broken)
            c->unsupervised[c->n_unsupervised++] = a;
    }
    index_sort(&c->agencies);
    index_sort(&c->kinds);
    index_sort(&c->areas);
    index_twice(c, &c->agencies, "agency");
    for (size_t i = 0; i < t->n_agencies; i++)
        check_agency(c, &t->agencies[i]);
    for (size_t i = 0; i < t->n_agencies; i++)
        t->lost_agency = t->lost_agency || t->agencies[i].broken;
}

static void check_group(const struct check *c, struct tree_group *g)
{
    bool good = want_word(c, &g->name, "name for a group") && check_set(c, &g->members);

    for (size_t i = 0; i < g->members.n; i++)
        good = want_agency(c, &g->members.list[i], NULL) && good;
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
            index_unknown(c, &c->areas, &a->area, "no agency lies in the area");
    }
    index_sort(&x);
    index_twice(c, &x, "auditor");
}

/* ---------------------------------------------------------------- certificates */

static bool digest_form(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static void check_certificates(const struct check *c)
{
    const struct texts *list = &c->t->certificates;
    struct index x = {0};

    index_make(c, &x, list->n);
    for (size_t i = 0; i < list->n && x.list != NULL; i++) {
        if (!digest_form(list->list[i].s))
            report_error(
                c->t->report, list->list[i].at,
                "\"%s\" names no certificate; expected the SHA-256 of its DER, 64 "
                "digits of 0-9 and a-f",
                list->list[i].s);
        index_add(&x, &list->list[i]);
    }
    index_sort(&x);
    index_twice(c, &x, "certificate");
}

/* ---------------------------------------------------------------- all of it */

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
                  {"auditors", t->n_auditors, AUDITORS_MAX},
                  {"tests", t->n_tests, TESTS_MAX},
                  {"denied certificates", t->certificates.n, CERTIFICATES_MAX}};
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
    struct check c = {.t = t, .today = rules_day((uint64_t)time(NULL))};

    if (!within_limits(t))
        return;

    check_network(&c, rules_source);
    index_make(&c, &c.agencies, t->n_agencies);
    index_make(&c, &c.kinds, t->n_agencies);
    index_make(&c, &c.areas, t->n_agencies);
    index_make(&c, &c.groups, t->n_groups);
    c.unsupervised = arena_alloc(t->arena, t->n_agencies * sizeof *c.unsupervised);
    if (c.unsupervised == NULL)
        report_memory(t->report);
    if (report_no_memory(t->report))
        return;
    check_agencies(&c);
    check_groups(&c);
    check_auditors(&c);
    check_certificates(&c);
    check_rules(&c);
    if (t->kept)
        return;
    check_unused(&c);
    check_tests(&c);
}
