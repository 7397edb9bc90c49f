#include "broker/rules/set.h"

/* What one question meets, by what it does; of each as many as a decision can name, and how many there are. */
enum {
    LARGE = EFFECTS,
    LISTS
}; /* LARGE: allows that only its size keeps from matching */
struct matches {
    uint32_t list[LISTS][RULES_MATCHED_MAX];
    size_t n[LISTS];
};

static void match(struct meeting *m, size_t bytes, struct matches *found)
{
    for (int k = 0; k < LISTS; k++)
        found->n[k] = 0;
    meet_begin(m);
    for (size_t i = meet_next(m); i < m->r->n_rules; i = meet_next(m)) {
        const struct test *t = &m->r->tests[i];
        int k = bytes > t->max_bytes ? LARGE : t->effect;

        if (found->n[k] < RULES_MATCHED_MAX)
            found->list[k][found->n[k]] = (uint32_t)i;
        found->n[k]++;
    }
}

static void name_lines(const struct matches *found, int k, struct rules_decision *out)
{
    for (size_t i = 0; i < found->n[k]; i++)
        out->lines[out->n_lines++] = &out->rules->rules[found->list[k][i]].line;
}

static bool grants(const struct rules *r, uint32_t rule, const struct word *section)
{
    return words_have(&r->rules[rule].sections, section);
}

/* Sections: granted by an allow and removed by no deny. Leaves of the partial denies those that removed something. */
static uint32_t grant(const struct rules *r, const struct rules_question *q,
                      struct matches *m)
{
    const struct word *asked[RULES_SECTIONS_MAX];
    uint32_t allowed = 0, removed = 0;
    size_t kept = 0;

    for (size_t s = 0; s < q->n_sections; s++) {
        asked[s] = find_word(r, q->sections[s]);
        for (size_t i = 0; i < m->n[ALLOW] && (allowed >> s & 1) == 0; i++)
            if (grants(r, m->list[ALLOW][i], asked[s]))
                allowed |= UINT32_C(1) << s;
    }
    for (size_t i = 0; i < m->n[PARTIAL]; i++) {
        uint32_t takes = 0;

        for (size_t s = 0; s < q->n_sections; s++)
            if ((allowed >> s & 1) != 0 && grants(r, m->list[PARTIAL][i], asked[s]))
                takes |= UINT32_C(1) << s;
        removed |= takes;
        if (takes != 0)
            m->list[PARTIAL][kept++] = m->list[PARTIAL][i];
    }
    m->n[PARTIAL] = kept;
    return allowed & ~removed;
}

static bool is_h1_to_justice(const struct meeting *m, const struct rules_question *q)
{
    return q->handling == LIAISON__V1__HANDLING__HANDLING_H1 && m->to->of_justice;
}

static void allow(const struct meeting *m, const struct rules_question *q,
                  struct matches *found, struct arena *a, struct rules_decision *out)
{
    uint32_t asked = (uint32_t)((UINT64_C(1) << q->n_sections) - 1);

    if (!rules_oblige(m->r, m->to, found->list[ALLOW], found->n[ALLOW], a, out)) {
        out->code = LIAISON_MEMORY;
        out->n_returns = out->n_answers = out->n_approvals = out->n_rates = 0;
        return;
    }
    out->granted = grant(m->r, q, found);
    out->code = out->granted == asked || q->strip ? LIAISON_OK : LIAISON_SECTIONS;
    name_lines(found, PARTIAL, out);
    name_lines(found, ALLOW, out);
}

static void judge(const struct meeting *m, const struct rules_question *q,
                  struct matches *found, struct arena *a, struct rules_decision *out)
{
    bool h1 = is_h1_to_justice(m, q);
    bool denied = h1 || found->n[DENY] > 0, allowed = found->n[ALLOW] > 0;
    size_t named = denied    ? found->n[DENY] + h1
                   : allowed ? found->n[ALLOW] + found->n[PARTIAL]
                             : found->n[LARGE];

    if (named > RULES_MATCHED_MAX) {
        out->code = LIAISON_LIMIT;
    } else if (denied) {
        out->code = LIAISON_DENIED;
        if (h1)
            out->lines[out->n_lines++] = rules_builtin(m->r, RULES_H1);
        name_lines(found, DENY, out);
    } else if (allowed) {
        allow(m, q, found, a, out);
    } else {
        out->code = named > 0 ? LIAISON_TOO_LARGE : LIAISON_NOT_ALLOWED;
        name_lines(found, LARGE, out);
    }
}

void rules_decide(const struct rules *r, const struct rules_question *q, struct arena *a,
                  struct rules_decision *out)
{
    struct meeting m;
    struct matches found;

    /* field by field: the room for lines is large and written only as far as it is used */
    out->granted = 0;
    out->n_lines = 0;
    out->reveal = LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT;
    out->returns = NULL;
    out->n_returns = 0;
    out->keep = r->keep;
    out->keep_for = r->keep_for;
    out->answers = NULL;
    out->n_answers = 0;
    out->approvals = NULL;
    out->n_approvals = 0;
    out->rates = NULL;
    out->n_rates = 0;
    out->crossing = false;
    out->rules = r;
    out->code = LIAISON_LIMIT;
    if (q->n_sections > RULES_SECTIONS_MAX)
        return;
    out->code = meet_question(&m, r, q, 0);
    if (out->code != LIAISON_OK)
        return;
    out->crossing = rules_crossing(q->regime, m.to->agency.regime) != CROSSING_NO;
    match(&m, q->bytes, &found);
    judge(&m, q, &found, a, out);
}
