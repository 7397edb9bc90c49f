#include "broker/rules/set.h"

/* A word's row for a use; `other` if no rule uses the word so, or there is no such word. */
static const uint64_t *row_or(const uint64_t *row, const uint64_t *other)
{
    return row != NULL ? row : other;
}

enum liaison_code rules_rows(const struct rules *r, const struct rules_question *q,
                             const uint64_t *rows[BY__COUNT])
{
    const struct member *from = (const struct member *)table_find(&r->by_agency, q->from);
    const struct member *to = (const struct member *)table_find(&r->by_agency, q->to);
    const struct word *category =
        (const struct word *)table_find(&r->by_word, q->category);
    const struct word *purpose = (const struct word *)table_find(&r->by_word, q->purpose);
    const struct word *basis = (const struct word *)table_find(&r->by_word, q->basis);
    unsigned type = (unsigned)q->type, minor = (unsigned)q->minor;

    if (from == NULL)
        return LIAISON_UNKNOWN_AGENCY;
    if (to == NULL)
        return LIAISON_RECIPIENT;
    bool near = rules_area_within(to->agency.area, from->agency.area);

    rows[BY_FROM] = from->from;
    rows[BY_TO] = to->to;
    rows[BY_TYPE] = r->types[type < TYPES ? type : 0];
    rows[BY_CATEGORY] =
        row_or(category != NULL ? category->category : NULL, r->other_category);
    rows[BY_PURPOSE] =
        row_or(purpose != NULL ? purpose->purpose : NULL, r->other_purpose);
    rows[BY_BASIS] = row_or(basis != NULL ? basis->basis : NULL, r->other_basis);
    rows[BY_AREA] = near ? r->all : r->apart;
    rows[BY_MINOR] =
        r->minors[minor < MINORS ? minor : LIAISON__V1__MINOR__MINOR_UNKNOWN];
    return LIAISON_OK;
}

/* What one question meets, as rows of their own. */
struct matches {
    bool denied, allowed, oversized;
    uint64_t denies[ROW_MAX];  /* that refuse everything */
    uint64_t partial[ROW_MAX]; /* that remove sections */
    uint64_t allows[ROW_MAX];
    uint64_t large[ROW_MAX]; /* allows that only its size keeps from matching */
};

/* Those of `sized` that `bytes` is too much for. */
static uint64_t too_small(const struct rules *r, size_t at, uint64_t sized, size_t bytes)
{
    uint64_t small = 0;

    for (; sized != 0; sized &= sized - 1) {
        unsigned bit = (unsigned)__builtin_ctzll(sized);

        if (bytes > r->rules[at * ROW_BITS + bit].max_bytes)
            small |= UINT64_C(1) << bit;
    }
    return small;
}

static void match(const struct rules *r, const uint64_t *rows[BY__COUNT], size_t bytes,
                  struct matches *m)
{
    m->denied = m->allowed = m->oversized = false;
    for (size_t i = 0; i < r->row_n; i++) {
        uint64_t hit = rows[0][i];

        for (int k = 1; k < BY__COUNT; k++)
            hit &= rows[k][i];
        uint64_t large = too_small(r, i, hit & r->sized[i], bytes);

        m->denies[i] = hit & r->denies[i] & ~r->partial[i];
        m->partial[i] = hit & r->partial[i];
        m->allows[i] = hit & ~r->denies[i] & ~large;
        m->large[i] = large;
        m->denied = m->denied || m->denies[i] != 0;
        m->allowed = m->allowed || m->allows[i] != 0;
        m->oversized = m->oversized || large != 0;
    }
}

static bool meet(const uint64_t *x, const uint64_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((x[i] & y[i]) != 0)
            return true;
    return false;
}

static void name_lines(const struct rules *r, const uint64_t *set,
                       struct rules_decision *out)
{
    for (size_t i = row_next(r, set, 0);
         i < r->n_rules && out->n_lines < RULES_MATCHED_MAX; i = row_next(r, set, i + 1))
        out->lines[out->n_lines++] = &r->rules[i].line;
}

/* Sections: granted by an allow and removed by no deny. Leaves in m->partial the denies that removed something. */
static uint32_t grant(const struct rules *r, const struct rules_question *q,
                      struct matches *m)
{
    uint64_t removing[ROW_MAX] = {0};
    uint32_t granted = 0;

    for (size_t s = 0; s < q->n_sections; s++) {
        const struct word *w =
            (const struct word *)table_find(&r->by_word, q->sections[s]);
        const uint64_t *row = row_or(w != NULL ? w->section : NULL, r->other_section);

        if (!meet(row, m->allows, r->row_n))
            continue;
        if (!meet(row, m->partial, r->row_n))
            granted |= UINT32_C(1) << s;
        for (size_t i = 0; i < r->row_n; i++)
            removing[i] |= row[i] & m->partial[i];
    }
    memcpy(m->partial, removing, r->row_n * sizeof *removing);
    return granted;
}

/* Puts in what is not there yet; words are kept once, so pointers compare. Returns how many there are. */
static size_t merge(const char **list, size_t n, const char *const *more, size_t n_more)
{
    size_t before = n;

    for (size_t i = 0; i < n_more; i++) {
        size_t k = 0;

        while (k < before && list[k] != more[i])
            k++;
        if (k == before)
            list[n++] = more[i];
    }
    return n;
}

/* Strictest reveal, union of returns. False when memory is out. */
static bool oblige(const struct rules *r, const uint64_t *allows, struct arena *a,
                   struct rules_decision *out)
{
    size_t room = 0, n = 0;

    for (size_t i = row_next(r, allows, 0); i < r->n_rules;
         i = row_next(r, allows, i + 1))
        room += r->rules[i].n_returns;
    const char **list = arena_alloc(a, room * sizeof *list);

    if (list == NULL)
        return false;
    out->reveal = LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY;
    for (size_t i = row_next(r, allows, 0); i < r->n_rules;
         i = row_next(r, allows, i + 1)) {
        if (r->rules[i].reveal == LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT)
            out->reveal = LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT;
        n = merge(list, n, r->rules[i].returns, r->rules[i].n_returns);
    }
    out->returns = list;
    out->n_returns = n;
    return true;
}

static void judge(const struct rules *r, const struct rules_question *q,
                  struct matches *m, struct arena *a, struct rules_decision *out)
{
    uint32_t asked = q->n_sections < 32 ? (UINT32_C(1) << q->n_sections) - 1 : UINT32_MAX;

    if (m->denied) {
        out->code = LIAISON_DENIED;
        name_lines(r, m->denies, out);
    } else if (!m->allowed) {
        out->code = m->oversized ? LIAISON_TOO_LARGE : LIAISON_NOT_ALLOWED;
        name_lines(r, m->large, out);
    } else if (!oblige(r, m->allows, a, out)) {
        out->code = LIAISON_MEMORY;
    } else {
        out->granted = grant(r, q, m);
        out->code = out->granted == asked || q->strip ? LIAISON_OK : LIAISON_SECTIONS;
        name_lines(r, m->partial, out);
        name_lines(r, m->allows, out);
    }
}

void rules_decide(const struct rules *r, const struct rules_question *q, struct arena *a,
                  struct rules_decision *out)
{
    const uint64_t *rows[BY__COUNT];
    struct matches m; /* match() writes as much of it as there are rules */

    *out = (struct rules_decision){
        .code = LIAISON_LIMIT,
        .reveal = LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT,
        .keep = r->keep,
        .keep_for = r->keep_for,
        .rules = r,
    };
    if (q->n_sections > RULES_SECTIONS_MAX)
        return;
    out->code = rules_rows(r, q, rows);
    if (out->code != LIAISON_OK)
        return;
    match(r, rows, q->bytes, &m);
    judge(r, q, &m, a, out);
}
