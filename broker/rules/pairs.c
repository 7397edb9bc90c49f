#include "broker/rules/pairs.h"

#include <stdlib.h>

/* Every agency has the bit that meets the other side's when that has changed itself. */
enum { RULE_BITS = 62 };
static const uint64_t SENDER_CHANGED = UINT64_C(1) << 62, RECIPIENT_CHANGED = UINT64_C(1)
                                                                              << 63;

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_names(struct rules_names a, struct rules_names b)
{
    bool same = a.n == b.n;

    for (size_t i = 0; same && i < a.n; i++)
        same = strcmp(a.list[i], b.list[i]) == 0;
    return same;
}

bool pairs_same_agency(const struct rules *before, const struct rules *after,
                       const char *name)
{
    const struct rules_agency *a = rules_agency(before, name),
                              *b = rules_agency(after, name);

    if (a == NULL || b == NULL)
        return a == b;
    return a->regime == b->regime && same_text(a->kind, b->kind) &&
           same_text(a->merged_into, b->merged_into) &&
           (a->merged_into == NULL || a->merged_day == b->merged_day) &&
           same_names(a->supervisors, b->supervisors);
}

bool pairs_same_keep(const struct rules *before, const struct rules *after)
{
    return before->keep_for.fixed_s == after->keep_for.fixed_s &&
           before->keep_for.months == after->keep_for.months;
}

/* ---------------------------------------------------------------- agencies that have changed */

static bool belongs(const struct member *m, const struct party *party)
{
    for (uint32_t i = 0; i < m->n_of; i++)
        if (same_text(m->of[i]->name.text, party->name.text))
            return true;
    return false;
}

/* True if rules of both sets name it by the same kind and groups; kind and area are compared beside this. */
static bool same_parties(const struct member *a, const struct member *b)
{
    bool same = a->n_of == b->n_of;

    for (uint32_t i = 0; same && i < a->n_of; i++)
        same = belongs(b, a->of[i]);
    return same;
}

static bool has_changed(const struct rules *before, const struct rules *after,
                        const char *name)
{
    const struct member *a = find_member(before, name), *b = find_member(after, name);

    return a == NULL || b == NULL || !pairs_same_agency(before, after, name) ||
           !same_text(a->agency.area, b->agency.area) || !same_parties(a, b);
}

/* ---------------------------------------------------------------- rules that have changed */

/* Which of an agency's rules, on one side, are rule number i. */
static bool is_named(const struct member *m, enum side side, size_t i)
{
    for (uint32_t k = 0; k < m->n_rows[side]; k++)
        if (row_get(m->rows[side][k], i))
            return true;
    return false;
}

/* Rule i of a set is folded to this bit, of every agency that it names. */
static void fold(struct pairs *p, const struct rules *r, size_t i, uint64_t bit)
{
    for (size_t k = 0; k < p->n; k++) {
        const struct member *m = find_member(r, p->names[k]);

        if (m != NULL && is_named(m, SENDER, i))
            p->sends[k] |= bit;
        if (m != NULL && is_named(m, RECIPIENT, i))
            p->receives[k] |= bit;
    }
}

/* Both lists are in order of texts; past so many rules it is cheaper to look at every pair. */
static bool fold_changed(struct pairs *p, const struct rules *before,
                         const struct rules *after)
{
    enum { CHANGED_MAX = 1024 };
    size_t i = 0, j = 0, changed = 0;

    while ((i < before->n_rules || j < after->n_rules) && changed <= CHANGED_MAX) {
        int order = i == before->n_rules ? 1
                    : j == after->n_rules
                        ? -1
                        : strcmp(before->rules[i].line.text, after->rules[j].line.text);

        if (order != 0)
            fold(p, order < 0 ? before : after, order < 0 ? i : j,
                 UINT64_C(1) << changed++ % RULE_BITS);
        i += order <= 0;
        j += order >= 0;
    }
    return changed <= CHANGED_MAX;
}

/* ---------------------------------------------------------------- all */

static void list_names(struct pairs *p, const struct rules *x, const struct rules *y)
{
    size_t i = 0, j = 0;

    while (i < x->n_agencies || j < y->n_agencies) {
        int order = i == x->n_agencies ? 1
                    : j == y->n_agencies
                        ? -1
                        : strcmp(x->agencies[i].agency.name, y->agencies[j].agency.name);

        p->names[p->n++] =
            order <= 0 ? x->agencies[i].agency.name : y->agencies[j].agency.name;
        i += order <= 0;
        j += order >= 0;
    }
}

bool pairs_find(const struct rules *before, const struct rules *after, struct pairs *out)
{
    const size_t room = before->n_agencies + after->n_agencies + 1;
    struct pairs p = {.names = calloc(room, sizeof *p.names),
                      .sends = calloc(room, sizeof *p.sends),
                      .receives = calloc(room, sizeof *p.receives)};

    *out = p;
    if (p.names == NULL || p.sends == NULL || p.receives == NULL)
        return false;
    list_names(&p, before, after);
    bool every = !pairs_same_keep(before, after) || !fold_changed(&p, before, after);

    for (size_t i = 0; i < p.n; i++) {
        bool changed = every || has_changed(before, after, p.names[i]);

        p.sends[i] |= RECIPIENT_CHANGED | (changed ? SENDER_CHANGED : 0);
        p.receives[i] |= SENDER_CHANGED | (changed ? RECIPIENT_CHANGED : 0);
    }
    *out = p;
    return true;
}

void pairs_free(struct pairs *p)
{
    free(p->names);
    free(p->sends);
    free(p->receives);
}

size_t pairs_count(const struct pairs *p, size_t most)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n && n <= most; i++)
        for (size_t k = 0; k < p->n; k++)
            n += pairs_concerned(p, i, k);
    return n;
}
