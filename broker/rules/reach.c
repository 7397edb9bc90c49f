/* Which rules can never matter. All of it is read off the rows. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/rules/set.h"

/* Leaves in `left` what is also in `row`; false when nothing is left. */
static bool narrow(const struct rules *r, uint64_t *left, const uint64_t *row)
{
    uint64_t any = 0;

    for (size_t i = 0; i < r->row_n; i++)
        any |= left[i] &= row[i];
    return any != 0;
}

static bool narrow_words(const struct rules *r, uint64_t *left, const struct words *w,
                         uint64_t *(*row)(const struct word *), const uint64_t *other)
{
    if (w->any || w->n == 0)
        return narrow(r, left, other);
    for (size_t i = 0; i < w->n; i++)
        if (!narrow(r, left, row(w->list[i])))
            return false;
    return true;
}

static uint64_t *purpose_row(const struct word *w)
{
    return w->purpose;
}

static uint64_t *basis_row(const struct word *w)
{
    return w->basis;
}

/* Keeps the rules that name every sender and every recipient of rule i. */
static bool narrow_parties(const struct rules *r, uint64_t *left, size_t i)
{
    for (size_t k = 0; k < r->n_agencies; k++) {
        if (row_get(r->agencies[k].from, i) && !narrow(r, left, r->agencies[k].from))
            return false;
        if (row_get(r->agencies[k].to, i) && !narrow(r, left, r->agencies[k].to))
            return false;
    }
    return true;
}

/* Finds a deny that refuses whatever allow number i would let through. */
static bool beaten(const struct rules *r, size_t i, size_t *other)
{
    const struct rule *rule = &r->rules[i];
    uint64_t left[ROW_MAX];

    for (size_t k = 0; k < r->row_n; k++)
        left[k] = r->denies[k] & ~r->partial[k];
    if (!narrow(r, left,
                rule->category != NULL ? rule->category->category : r->other_category) ||
        !narrow(r, left,
                r->minors[rule->when_minor ? LIAISON__V1__MINOR__MINOR_YES
                                           : LIAISON__V1__MINOR__MINOR_NO]) ||
        !narrow(r, left, rule->within_area ? r->all : r->apart))
        return false;
    for (int type = 1; type < TYPES; type++)
        if (row_get(r->types[type], i) && !narrow(r, left, r->types[type]))
            return false;
    if (!narrow_words(r, left, &rule->purposes, purpose_row, r->other_purpose) ||
        !narrow_words(r, left, &rule->bases, basis_row, r->other_basis) ||
        !narrow_parties(r, left, i))
        return false;
    *other = row_next(r, left, 0);
    return true;
}

static int by_area(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* True if `area` or an area above it is in the sorted list. */
static bool lies_in(const char *area, const char *const *list, size_t n)
{
    char above[ID_NAME_MAX + 1];

    snprintf(above, sizeof above, "%s", area);
    for (char *cut = above; cut != NULL; cut = strrchr(above, '/')) {
        const char *key = above;

        if (cut != above)
            *cut = '\0';
        if (bsearch(&key, list, n, sizeof *list, by_area) != NULL)
            return true;
    }
    return false;
}

/* True if rule i names a sender and a recipient that lies in its area. When memory is out it says yes. */
static bool has_pair(const struct rules *r, size_t i)
{
    const char **areas = malloc((r->n_agencies + 1) * sizeof *areas);
    size_t n = 0;
    bool found = areas == NULL;

    if (areas == NULL)
        return found;
    for (size_t k = 0; k < r->n_agencies; k++)
        if (row_get(r->agencies[k].from, i))
            areas[n++] = r->agencies[k].agency.area;
    qsort(areas, n, sizeof *areas, by_area);
    for (size_t k = 0; k < r->n_agencies && !found; k++)
        found = row_get(r->agencies[k].to, i) &&
                lies_in(r->agencies[k].agency.area, areas, n);
    free(areas);
    return found;
}

enum rules_reach rules_reach(const struct rules *r, size_t i, size_t *other)
{
    bool sender = false, recipient = false;

    if (i > 0 && strcmp(r->rules[i].line.text, r->rules[i - 1].line.text) == 0) {
        *other = i - 1;
        return RULES_TWICE;
    }
    for (size_t k = 0; k < r->n_agencies; k++) {
        sender = sender || row_get(r->agencies[k].from, i);
        recipient = recipient || row_get(r->agencies[k].to, i);
    }
    if (!sender)
        return RULES_NO_SENDER;
    if (!recipient)
        return RULES_NO_RECIPIENT;
    if (r->rules[i].within_area && !has_pair(r, i))
        return RULES_NO_PAIR;
    return !r->rules[i].deny && beaten(r, i, other) ? RULES_BEATEN : RULES_REACHED;
}
