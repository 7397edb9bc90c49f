/* Which rules a question meets. */
#include "broker/rules/set.h"

bool row_add(struct row *row, size_t i, struct arena *a)
{
    size_t block = i / BLOCK_BITS;
    uint64_t bit = UINT64_C(1) << block % WORD_BITS;

    if ((row->has[block / WORD_BITS] & bit) == 0) {
        if ((row->n & (row->n - 1)) == 0) { /* full: its room is a power of two */
            size_t room = row->n == 0 ? 1 : 2 * (size_t)row->n;
            uint64_t(*more)[BLOCK_WORDS] = arena_alloc(a, room * sizeof *more);

            if (more == NULL)
                return false;
            if (row->n > 0)
                memcpy(more, row->blocks, row->n * sizeof *more);
            row->blocks = more;
        }
        memset(row->blocks[row->n++], 0, sizeof *row->blocks);
        row->has[block / WORD_BITS] |= bit;
    }
    row->blocks[row->n - 1][i % BLOCK_BITS / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
    return true;
}

/* ---------------------------------------------------------------- what is asked */

void meet_all(struct meeting *m, const struct rules *r)
{
    m->r = r;
    m->from = m->to = NULL;
    for (int k = 0; k < DIMENSIONS; k++)
        m->choices[k] = (struct choice){.open = true};
    m->facts = 0;
    m->day = 0;
}

void meet_parties(struct meeting *m, const struct member *from, const struct member *to)
{
    m->from = from;
    m->to = to;
    m->choices[BY_FROM] =
        (struct choice){from->rows[SENDER], from->n_rows[SENDER], false};
    m->choices[BY_TO] =
        (struct choice){to->rows[RECIPIENT], to->n_rows[RECIPIENT], false};
}

void meet_word(struct meeting *m, enum use use, const struct word *w)
{
    m->words[use][0] = &m->r->any[use];
    if (w != NULL)
        m->words[use][1] = &w->rows[use];
    m->choices[BY_CATEGORY + use] =
        (struct choice){m->words[use], w != NULL ? 2 : 1, false};
}

enum crossing rules_crossing(Liaison__V1__Regime from, enum rules_regime to)
{
    enum rules_regime sender = from == LIAISON__V1__REGIME__REGIME_LED ? RULES_LED
                               : from == LIAISON__V1__REGIME__REGIME_GDPR
                                   ? RULES_GDPR
                                   : RULES_REGIME_UNKNOWN;

    if (sender == RULES_REGIME_UNKNOWN || to == RULES_REGIME_UNKNOWN)
        return CROSSING_UNKNOWN;
    return sender == to ? CROSSING_NO : CROSSING_YES;
}

static uint64_t asked(unsigned open, enum rules_fact may_be_open, enum fact f,
                      unsigned value)
{
    return (open >> may_be_open & 1) != 0 ? 0 : fact_bit(f, value);
}

static uint64_t facts_of(const struct meeting *m, const struct rules_question *q,
                         unsigned open)
{
    bool within = m->to->place >= m->from->first && m->to->place < m->from->end;

    return asked(open, RULES_FACT_TYPE, FACT_TYPE, (unsigned)q->type) |
           asked(open, RULES_FACT_MINOR, FACT_MINOR, (unsigned)q->minor) |
           asked(open, RULES_FACT_REGIME, FACT_CROSSING,
                 rules_crossing(q->regime, m->to->agency.regime)) |
           asked(open, RULES_FACT_HANDLING, FACT_HANDLING, (unsigned)q->handling) |
           asked(open, RULES_FACT_INFORMED, FACT_INFORMED, (unsigned)q->informed) |
           asked(open, RULES_FACT_URGENCY, FACT_URGENCY, (unsigned)q->urgency) |
           asked(open, RULES_FACT_SUBJECT, FACT_SUBJECT, (unsigned)q->subject) |
           fact_bit(FACT_AREA, within ? AREA_WITHIN : AREA_APART);
}

/* From that day the old name matches no rule. */
static bool is_gone(const struct member *m, int32_t day)
{
    return m == NULL || rules_merged(&m->agency, day);
}

enum liaison_code meet_question(struct meeting *m, const struct rules *r,
                                const struct rules_question *q, unsigned open)
{
    const struct member *from = find_member(r, q->from), *to = find_member(r, q->to);
    const char *const words[USES] = {q->category, q->purpose, q->basis};

    if (is_gone(from, q->day))
        return LIAISON_UNKNOWN_AGENCY;
    if (is_gone(to, q->day))
        return LIAISON_RECIPIENT;
    meet_all(m, r);
    meet_parties(m, from, to);
    for (int use = 0; use < USES; use++)
        if ((open >> (RULES_FACT_CATEGORY + use) & 1) == 0)
            meet_word(m, (enum use)use, find_word(r, words[use]));
    m->facts = facts_of(m, q, open);
    m->day = q->day;
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- what is met */

void meet_begin(struct meeting *m)
{
    size_t n = (m->r->n_rules + BLOCK_BITS - 1) / BLOCK_BITS;

    for (size_t i = 0; i < ROW_HAS; i++) {
        size_t above = n > i * WORD_BITS ? n - i * WORD_BITS : 0;

        m->has[i] = above >= WORD_BITS ? UINT64_MAX : (UINT64_C(1) << above) - 1;
        for (int k = 0; k < DIMENSIONS; k++) {
            uint64_t one = m->choices[k].open ? UINT64_MAX : 0;

            for (size_t c = 0; c < m->choices[k].n; c++)
                one |= m->choices[k].rows[c]->has[i];
            m->has[i] &= one;
        }
    }
    m->block = 0;
    m->at = BLOCK_WORDS;
}

void choice_block(const struct choice *choice, size_t block, uint64_t out[BLOCK_WORDS])
{
    memset(out, choice->open ? 0xff : 0, BLOCK_WORDS * sizeof *out);
    for (size_t c = 0; c < choice->n; c++) {
        const uint64_t *bits = row_block(choice->rows[c], block);

        for (size_t w = 0; bits != NULL && w < BLOCK_WORDS; w++)
            out[w] |= bits[w];
    }
}

/* False when nothing is left of the block. */
static bool narrow(uint64_t hits[BLOCK_WORDS], const struct choice *choice, size_t block)
{
    uint64_t one[BLOCK_WORDS], any = 0;

    choice_block(choice, block, one);
    for (size_t w = 0; w < BLOCK_WORDS; w++)
        any |= hits[w] &= one[w];
    return any != 0;
}

/* Takes the next block that may hold a rule. False at the end. */
static bool next_block(struct meeting *m)
{
    size_t at = 0;
    bool left = true;

    while (at < ROW_HAS && m->has[at] == 0)
        at++;
    if (at == ROW_HAS)
        return false;
    m->block = at * WORD_BITS + (size_t)__builtin_ctzll(m->has[at]);
    m->has[at] &= m->has[at] - 1;
    m->at = 0;
    memset(m->hits, 0xff, sizeof m->hits);
    for (int k = 0; k < DIMENSIONS && left; k++)
        left = m->choices[k].open || narrow(m->hits, &m->choices[k], m->block);
    return true;
}

static bool passes(const struct meeting *m, size_t i)
{
    const struct test *t = &m->r->tests[i];

    return (m->facts & ~t->facts) == 0 && (m->day <= t->until_day || m->day == 0);
}

size_t meet_next(struct meeting *m)
{
    for (;;) {
        for (; m->at < BLOCK_WORDS; m->at++)
            while (m->hits[m->at] != 0) {
                size_t i = m->block * BLOCK_BITS + m->at * WORD_BITS +
                           (size_t)__builtin_ctzll(m->hits[m->at]);

                m->hits[m->at] &= m->hits[m->at] - 1;
                if (i >= m->r->n_rules)
                    return m->r->n_rules;
                if (passes(m, i))
                    return i;
            }
        if (!next_block(m))
            return m->r->n_rules;
    }
}
