/* At what the decisions of a question turn: days, sizes and sections. */
#include <stdlib.h>

#include "broker/rules/set.h"

/* Growing lists of one question. */
struct turning {
    const struct rules *r;
    uint64_t *days, *sizes;
    const char **sections;
    size_t n_days, n_sizes, n_sections;
};

static int by_number(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;

    return (*a > *b) - (*a < *b);
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static size_t once(uint64_t *list, size_t n)
{
    size_t kept = 0;

    qsort(list, n, sizeof *list, by_number);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || list[i] != list[kept - 1])
            list[kept++] = list[i];
    return kept;
}

static size_t once_text(const char **list, size_t n)
{
    size_t kept = 0;

    if (n > 0)
        qsort(list, n, sizeof *list, by_text);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(list[i], list[kept - 1]) != 0)
            list[kept++] = list[i];
    return kept;
}

static void count_rule(struct turning *t, size_t i)
{
    t->n_days++;
    t->n_sizes++;
    t->n_sections += t->r->rules[i].sections.n;
}

static void list_rule(struct turning *t, size_t i)
{
    const struct test *test = &t->r->tests[i];
    const struct words *w = &t->r->rules[i].sections;

    if (test->until_day != INT32_MAX)
        t->days[t->n_days++] = (uint64_t)test->until_day + 1;
    if (test->max_bytes < SIZE_MAX)
        t->sizes[t->n_sizes++] = test->max_bytes + 1;
    for (size_t k = 0; k < w->n; k++)
        t->sections[t->n_sections++] = w->list[k]->name.text;
}

static void each_rule(struct turning *t, const struct rules_question *q, unsigned open,
                      void (*see)(struct turning *t, size_t i))
{
    struct rules_question any_day = *q;
    struct meeting m;

    any_day.day = 0;
    if (meet_question(&m, t->r, &any_day, open) != LIAISON_OK)
        return;
    meet_begin(&m);
    for (size_t i = meet_next(&m); i < t->r->n_rules; i = meet_next(&m))
        see(t, i);
}

static void list_merger(struct turning *t, const char *name)
{
    const struct rules_agency *a = rules_agency(t->r, name);

    if (a != NULL && a->merged_into != NULL && a->merged_day > 0)
        t->days[t->n_days++] = (uint64_t)a->merged_day;
}

bool rules_turns(const struct rules *r, const struct rules_question *q, unsigned open,
                 struct arena *a, struct rules_turns *out)
{
    struct turning t = {.r = r};

    each_rule(&t, q, open, count_rule);
    t.days = arena_alloc(a, (t.n_days + 3) * sizeof *t.days);
    t.sizes = arena_alloc(a, (t.n_sizes + 1) * sizeof *t.sizes);
    t.sections = arena_alloc(a, (t.n_sections + 1) * sizeof *t.sections);
    if (t.days == NULL || t.sizes == NULL || t.sections == NULL)
        return false;
    t.n_days = t.n_sizes = 1;
    t.n_sections = 0;
    t.days[0] = t.sizes[0] = 0;
    each_rule(&t, q, open, list_rule);
    list_merger(&t, q->from);
    list_merger(&t, q->to);
    *out = (struct rules_turns){.days = t.days, .sizes = t.sizes};
    out->n_days = once(t.days, t.n_days);
    out->n_sizes = once(t.sizes, t.n_sizes);
    out->sections = (struct rules_names){t.sections, once_text(t.sections, t.n_sections)};
    return true;
}
