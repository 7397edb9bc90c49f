/* Every decision that two rule sets make differently. */
#include "broker/rules/compare.h"

#include <stdlib.h>

#include "broker/rules/pairs.h"

enum { SETS = 2, BEFORE = 0, AFTER = 1 };

/* Numbers at which decisions may change, rising; the first is where it begins. */
struct steps {
    uint64_t *list;
    size_t n;
};

/* The rules of one set that can be met by a pair of agencies. */
struct met {
    uint32_t *rules;
    size_t n, room;
};

/* A type and a category that are compared: 0 and NULL stand for all. */
struct subject {
    Liaison__V1__Type type;
    const char *category;
};

struct comparison {
    const struct rules_comparison *what;
    const struct rules *sets[SETS];
    struct arena *pair, *scratch; /* for a pair of agencies; for one question */
    struct met met[SETS];
    struct rules_question q;
    struct subject *subjects;
    size_t n_subjects;
    struct steps days, sizes;
    size_t day_at, size_at; /* that are being asked for */
    const char **sections;
    size_t n_sections;
    unsigned open;
    enum liaison_code code;
};

static enum liaison_code fail(struct comparison *c, enum liaison_code code)
{
    if (c->code == LIAISON_OK)
        c->code = code;
    return c->code;
}

static void *take(struct comparison *c, size_t n, size_t size)
{
    void *p = arena_zero(c->pair, (n + 1) * size);

    if (p == NULL)
        fail(c, LIAISON_MEMORY);
    return p;
}

/* ---------------------------------------------------------------- what a pair meets */

static const char *text_at(const struct comparison *c, int set, size_t i)
{
    return c->sets[set]->rules[c->met[set].rules[i]].line.text;
}

static void meet(struct comparison *c, int set)
{
    const unsigned everything = (1U << RULES_FACT__COUNT) - 1;
    struct met *met = &c->met[set];
    struct meeting m;

    met->n = 0;
    if (meet_question(&m, c->sets[set], &c->q, everything) != LIAISON_OK)
        return;
    meet_begin(&m);
    for (size_t i = meet_next(&m); i < c->sets[set]->n_rules; i = meet_next(&m)) {
        if (met->n == met->room) {
            size_t room = met->room == 0 ? 256 : 2 * met->room;
            uint32_t *more = realloc(met->rules, room * sizeof *more);

            if (more == NULL) {
                fail(c, LIAISON_MEMORY);
                return;
            }
            met->rules = more;
            met->room = room;
        }
        met->rules[met->n++] = (uint32_t)i;
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* True if everything that is met may be decided otherwise, not only what is in one set alone. */
static bool all_may_differ(const struct comparison *c)
{
    const struct rules *x = c->sets[BEFORE], *y = c->sets[AFTER];

    return !pairs_same_keep(x, y) || !pairs_same_agency(x, y, c->q.from) ||
           !pairs_same_agency(x, y, c->q.to);
}

/* ---------------------------------------------------------------- subjects */

static Liaison__V1__Type type_of(const struct test *t)
{
    for (unsigned type = LIAISON__V1__TYPE__TYPE_REFERRAL;
         type <= LIAISON__V1__TYPE__TYPE_QUERY; type++)
        if ((t->facts & fact_all(FACT_TYPE) & ~fact_bit(FACT_TYPE, 0)) ==
            fact_bit(FACT_TYPE, type))
            return (Liaison__V1__Type)type;
    return LIAISON__V1__TYPE__TYPE_UNSPECIFIED;
}

static bool covers(const struct subject *wide, const struct subject *s)
{
    return (wide->type == 0 || wide->type == s->type) &&
           (wide->category == NULL || same_text(wide->category, s->category));
}

static void add_subject(struct comparison *c, int set, size_t i)
{
    const struct rules *r = c->sets[set];
    const struct rule *rule = &r->rules[c->met[set].rules[i]];
    const struct subject s = {type_of(&r->tests[c->met[set].rules[i]]),
                              rule->category == NULL ? NULL : rule->category->name.text};
    size_t kept = 0;

    for (size_t k = 0; k < c->n_subjects; k++)
        if (covers(&c->subjects[k], &s))
            return;
    for (size_t k = 0; k < c->n_subjects; k++)
        if (!covers(&s, &c->subjects[k]))
            c->subjects[kept++] = c->subjects[k];
    c->subjects[kept] = s;
    c->n_subjects = kept + 1;
}

/* Both lists are in order of texts. */
static void find_subjects(struct comparison *c)
{
    const bool all = all_may_differ(c);
    size_t i = 0, j = 0;

    c->n_subjects = 0;
    c->subjects = take(c, c->met[BEFORE].n + c->met[AFTER].n, sizeof *c->subjects);
    while (c->subjects != NULL && (i < c->met[BEFORE].n || j < c->met[AFTER].n)) {
        int order = i == c->met[BEFORE].n ? 1
                    : j == c->met[AFTER].n
                        ? -1
                        : strcmp(text_at(c, BEFORE, i), text_at(c, AFTER, j));

        if (order < 0 || (order == 0 && all))
            add_subject(c, BEFORE, i);
        else if (order > 0)
            add_subject(c, AFTER, j);
        i += order <= 0;
        j += order >= 0;
    }
}

/* ---------------------------------------------------------------- days, sizes, sections */

static int by_number(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;

    return (*a > *b) - (*a < *b);
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void order_steps(struct steps *s)
{
    size_t n = 0;

    qsort(s->list, s->n, sizeof *s->list, by_number);
    for (size_t i = 0; i < s->n; i++)
        if (n == 0 || s->list[i] != s->list[n - 1])
            s->list[n++] = s->list[i];
    s->n = n;
}

static void add_merger(struct comparison *c, int set, const char *name)
{
    const struct rules_agency *a = rules_agency(c->sets[set], name);

    if (a != NULL && a->merged_into != NULL && a->merged_day > c->what->day)
        c->days.list[c->days.n++] = (uint64_t)a->merged_day;
}

static void find_steps(struct comparison *c, int set)
{
    for (size_t i = 0; i < c->met[set].n; i++) {
        const struct test *t = &c->sets[set]->tests[c->met[set].rules[i]];

        if (t->until_day != INT32_MAX && t->until_day >= c->what->day)
            c->days.list[c->days.n++] = (uint64_t)t->until_day + 1;
        if (t->max_bytes < SIZE_MAX)
            c->sizes.list[c->sizes.n++] = t->max_bytes + 1;
    }
    add_merger(c, set, c->q.from);
    add_merger(c, set, c->q.to);
}

static void find_sections(struct comparison *c, int set)
{
    for (size_t i = 0; i < c->met[set].n; i++) {
        const struct words *w = &c->sets[set]->rules[c->met[set].rules[i]].sections;

        for (size_t k = 0; k < w->n; k++)
            c->sections[c->n_sections++] = w->list[k]->name.text;
    }
}

static size_t count_sections(const struct comparison *c, int set)
{
    size_t n = 0;

    for (size_t i = 0; i < c->met[set].n; i++)
        n += c->sets[set]->rules[c->met[set].rules[i]].sections.n;
    return n;
}

static void order_sections(struct comparison *c)
{
    size_t n = 0;

    qsort(c->sections, c->n_sections, sizeof *c->sections, by_text);
    for (size_t i = 0; i < c->n_sections; i++)
        if (n == 0 || strcmp(c->sections[i], c->sections[n - 1]) != 0)
            c->sections[n++] = c->sections[i];
    c->n_sections = n;
}

static bool find_all(struct comparison *c)
{
    size_t rules = c->met[BEFORE].n + c->met[AFTER].n;

    c->days = (struct steps){take(c, rules + 5, sizeof(uint64_t)), 0};
    c->sizes = (struct steps){take(c, rules + 1, sizeof(uint64_t)), 0};
    c->n_sections = 0;
    c->sections = take(c, count_sections(c, BEFORE) + count_sections(c, AFTER),
                       sizeof *c->sections);
    if (c->code != LIAISON_OK)
        return false;
    c->days.list[c->days.n++] = (uint64_t)c->what->day;
    c->sizes.list[c->sizes.n++] = 0;
    for (int set = 0; set < SETS; set++) {
        find_steps(c, set);
        find_sections(c, set);
    }
    order_steps(&c->days);
    order_steps(&c->sizes);
    order_sections(c);
    return true;
}

/* ---------------------------------------------------------------- asking */

static uint64_t step_end(const struct steps *s, size_t at)
{
    return at + 1 < s->n ? s->list[at + 1] : 0;
}

static bool ask(void *arg, const struct rules_question *q,
                const struct rules_values alike[RULES_FACT__COUNT])
{
    struct comparison *c = arg;
    struct rules_decision made[SETS];

    arena_reset(c->scratch);
    for (int set = 0; set < SETS; set++) {
        rules_decide(c->sets[set], q, c->scratch, &made[set]);
        if (made[set].code == LIAISON_MEMORY)
            fail(c, LIAISON_MEMORY);
    }
    const struct rules_difference d = {
        .q = q,
        .open = c->open,
        .alike = alike,
        .day_end = (int32_t)step_end(&c->days, c->day_at),
        .bytes_end = (size_t)step_end(&c->sizes, c->size_at),
        .before = &made[BEFORE],
        .after = &made[AFTER],
        .how = rules_how(&made[BEFORE], &made[AFTER]),
    };
    if (c->code == LIAISON_OK && d.how != 0 && !c->what->visit(c->what->arg, &d))
        fail(c, LIAISON_CLOSED);
    return c->code == LIAISON_OK;
}

/* Every question about a subject with these sections, on a day and of a size. */
static void ask_each(struct comparison *c, const struct subject *s)
{
    struct rules_question q = c->q;

    c->open = (1U << RULES_FACT__COUNT) - 1;
    q.type = s->type;
    q.category = s->category;
    q.strip = true;
    q.day = (int32_t)c->days.list[c->day_at];
    q.bytes = (size_t)c->sizes.list[c->size_at];
    if (s->type != 0)
        c->open &= ~(1U << RULES_FACT_TYPE);
    if (s->category != NULL)
        c->open &= ~(1U << RULES_FACT_CATEGORY);
    enum liaison_code code =
        rules_each_alike(c->sets, SETS, &q, c->open, c->what->most, ask, c, NULL);

    if (code != LIAISON_OK)
        fail(c, code);
}

/* All sections, as many at a time as one question may have. */
static void ask_sections(struct comparison *c, const struct subject *s)
{
    size_t from = 0;

    do {
        size_t n = c->n_sections - from;

        c->q.sections = c->sections + from;
        c->q.n_sections = n < RULES_SECTIONS_MAX ? n : RULES_SECTIONS_MAX;
        ask_each(c, s);
        from += c->q.n_sections;
    } while (from < c->n_sections && c->code == LIAISON_OK);
}

static void compare_pair(struct comparison *c, const char *from, const char *to)
{
    arena_reset(c->pair);
    c->q = (struct rules_question){.from = from, .to = to};
    for (int set = 0; set < SETS; set++)
        meet(c, set);
    find_subjects(c);
    if (c->n_subjects == 0 || !find_all(c))
        return;
    for (size_t i = 0; i < c->n_subjects; i++)
        for (c->day_at = 0; c->day_at < c->days.n; c->day_at++)
            for (c->size_at = 0; c->size_at < c->sizes.n; c->size_at++)
                if (c->code == LIAISON_OK)
                    ask_sections(c, &c->subjects[i]);
}

/* ---------------------------------------------------------------- all pairs */

static void compare_pairs(struct comparison *c, const struct pairs *p)
{
    const size_t all = pairs_count(p, RULES_PAIRS_MAX);
    size_t done = 0;

    if (all > RULES_PAIRS_MAX)
        fail(c, LIAISON_TOO_LARGE);
    for (size_t i = 0; i < p->n && c->code == LIAISON_OK; i++) {
        for (size_t k = 0; k < p->n && c->code == LIAISON_OK; k++)
            if (pairs_concerned(p, i, k)) {
                compare_pair(c, p->names[i], p->names[k]);
                done++;
            }
        if (c->what->tell != NULL)
            c->what->tell(c->what->arg, done, all);
    }
}

enum liaison_code rules_compare(const struct rules_comparison *what)
{
    struct comparison c = {.what = what,
                           .sets = {what->before, what->after},
                           .pair = arena_new(),
                           .scratch = arena_new()};
    struct pairs pairs;

    if (!pairs_find(what->before, what->after, &pairs) || c.pair == NULL ||
        c.scratch == NULL)
        c.code = LIAISON_MEMORY;
    else
        compare_pairs(&c, &pairs);
    pairs_free(&pairs);
    for (int set = 0; set < SETS; set++)
        free(c.met[set].rules);
    arena_free(c.pair);
    arena_free(c.scratch);
    return c.code;
}
