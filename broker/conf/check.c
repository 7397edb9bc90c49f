#include "broker/conf/check.h"

#include <stdlib.h>

#include "broker/conf/suggest.h"
#include "broker/conf/units.h"
#include "broker/conf/values.h"

enum { HINT_MAX = 300 };

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

void index_add(struct index *x, const struct text *t)
{
    if (t->s != NULL)
        x->list[x->n++] = t;
}

void index_sort(struct index *x)
{
    if (x->n > 0)
        qsort(x->list, x->n, sizeof *x->list, by_name);
}

const struct text *index_find(const struct index *x, const char *name)
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

void index_make(const struct check *c, struct index *x, size_t n)
{
    x->list = arena_alloc(c->t->arena, n * sizeof *x->list);
    if (x->list == NULL)
        report_memory(c->t->report);
}

/* Reports every name that stands twice. */
void index_twice(const struct check *c, const struct index *x, const char *what)
{
    for (size_t i = 1; i < x->n; i++)
        if (strcmp(x->list[i - 1]->s, x->list[i]->s) == 0)
            report_error(c->t->report, x->list[i]->at,
                         "%s %s is declared twice; the first is in %s:%u", what,
                         x->list[i]->s, x->list[i - 1]->at.file->base,
                         x->list[i - 1]->at.line);
}

void index_unknown(const struct check *c, const struct index *x, const struct text *t,
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

bool want_name(const struct check *c, const struct text *t, const char *what)
{
    if (id_name(t->s) && strcmp(t->s, "any") != 0)
        return true;
    report_error(c->t->report, t->at,
                 "\"%s\" is no name for %s; expected 1 to 8 segments of a-z, 0-9 and "
                 "'-', joined by '/'",
                 t->s, what);
    return false;
}

bool want_word(const struct check *c, const struct text *t, const char *what)
{
    if (id_word(t->s))
        return true;
    report_error(c->t->report, t->at,
                 "\"%s\" is no %s; expected at most %d of a-z, 0-9 and '-'", t->s, what,
                 ID_WORD_MAX);
    return false;
}

bool want_size(const struct check *c, const struct text *t, const char *what)
{
    uint64_t bytes;

    if (units_size(t->s, &bytes) && bytes > 0)
        return true;
    report_error(c->t->report, t->at,
                 "\"%s\" is no %s; expected a number of bytes, or one with K, M or G, "
                 "such as 256K",
                 t->s, what);
    return false;
}

bool want_span(const struct check *c, const struct text *t, const char *what)
{
    struct rules_span span;

    if (units_span(t->s, &span))
        return true;
    report_error(c->t->report, t->at,
                 "\"%s\" is no %s; expected a number and h, d, m or y, such as 2y", t->s,
                 what);
    return false;
}

bool want_date(const struct check *c, const struct text *t, const char *what)
{
    int32_t day;

    if (units_date(t->s, &day))
        return true;
    report_error(c->t->report, t->at,
                 "\"%s\" is no %s; expected a day of the calendar, such as 2027-06-30",
                 t->s, what);
    return false;
}

bool want_rate(const struct check *c, const struct text *t, const char *what)
{
    uint32_t n;

    if (units_rate(t->s, &n))
        return true;
    report_error(c->t->report, t->at,
                 "\"%s\" is no %s; expected 1 to %d an hour, such as 20/hour", t->s, what,
                 UNITS_COUNT_MAX);
    return false;
}

bool want_count(const struct check *c, const struct text *t, const char *what)
{
    uint32_t n;

    if (units_count(t->s, &n))
        return true;
    report_error(c->t->report, t->at, "\"%s\" is no %s; expected 1 to %d", t->s, what,
                 UNITS_COUNT_MAX);
    return false;
}

bool want_agency(const struct check *c, const struct text *t, const char *what)
{
    (void)what;
    if (index_find(&c->agencies, t->s) != NULL)
        return true;
    if (!c->t->lost_agency)
        index_unknown(c, &c->agencies, t, "no agency is named");
    return false;
}

/* ---------------------------------------------------------------- clauses */

/* An element that stands twice in its set says that something else was meant. */
bool check_set(const struct check *c, const struct texts *set)
{
    if (set->n < 2)
        return true;
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

/* What the values of a clause are: of a form, or out of a list. */
static const struct row {
    bool (*form)(const struct check *c, const struct text *t, const char *what);
    const char *what;
    const struct value *values;
} ROWS[CLAUSE__COUNT] = {
    [CLAUSE_PURPOSE] = {want_word, "purpose", NULL},
    [CLAUSE_BASIS] = {want_word, "basis", NULL},
    [CLAUSE_SECTIONS] = {want_word, "section", NULL},
    [CLAUSE_RETURN] = {want_word, "section", NULL},
    [CLAUSE_EXPECT] = {want_word, "section", NULL},
    [CLAUSE_MAX_SIZE] = {want_size, "size", NULL},
    [CLAUSE_SIZE] = {want_size, "size", NULL},
    [CLAUSE_KEEP] = {want_span, "time to keep", NULL},
    [CLAUSE_ANSWER] = {want_span, "time to answer", NULL},
    [CLAUSE_ESCALATE] = {want_agency, NULL, NULL},
    [CLAUSE_SUPERVISOR] = {want_agency, NULL, NULL},
    [CLAUSE_APPROVAL] = {want_word, "role", NULL},
    [CLAUSE_RATE] = {want_rate, "rate", NULL},
    [CLAUSE_UNTIL] = {want_date, "date", NULL},
    [CLAUSE_DATE] = {want_date, "date", NULL},
    [CLAUSE_HANDLING] = {NULL, "handling code", HANDLINGS},
    [CLAUSE_INFORMED] = {NULL, "answer to whether the person is informed", INFORMEDS},
    [CLAUSE_URGENCY] = {NULL, "urgency", URGENCIES},
    [CLAUSE_SUBJECT] = {NULL, "category of subject", SUBJECTS},
    [CLAUSE_REGIME] = {NULL, "regime", REGIMES},
    [CLAUSE_KIND] = {want_word, "kind", NULL},
    [CLAUSE_AREA] = {want_name, "an area", NULL},
    [CLAUSE_SKILLS] = {want_word, "skill", NULL},
    [CLAUSE_LANGUAGES] = {want_word, "language", NULL},
    [CLAUSE_CAPACITY] = {want_count, "capacity", NULL},
};

static bool want_value(const struct check *c, const struct text *t, const struct row *row)
{
    char hint[HINT_MAX], list[HINT_MAX];
    struct suggest s = suggest_for(t->s);

    if (values_number(row->values, t->s) != 0)
        return true;
    for (const struct value *v = row->values; v->word != NULL; v++)
        suggest_try(&s, v->word);
    report_error(c->t->report, t->at, "\"%s\" is no %s; expected %s%s", t->s, row->what,
                 values_list(row->values, list, sizeof list),
                 suggest_text(&s, hint, sizeof hint));
    return false;
}

bool check_clauses(const struct check *c, const struct tree_clause *list)
{
    bool good = true;

    for (; list != NULL; list = list->next) {
        const struct row *row = &ROWS[list->kind];
        const struct texts *values = &list->values.words;

        good = check_set(c, values) && good;
        for (size_t i = 0; i < values->n; i++)
            if (row->values != NULL)
                good = want_value(c, &values->list[i], row) && good;
            else if (row->form != NULL)
                good = row->form(c, &values->list[i], row->what) && good;
    }
    return good;
}
