/* What keeps rules from matching. */
#include "broker/rules/set.h"

static const unsigned char BY_DIMENSION[DIMENSIONS] = {
    [BY_FROM] = RULES_IF_FROM,         [BY_TO] = RULES_IF_TO,
    [BY_CATEGORY] = RULES_IF_CATEGORY, [BY_PURPOSE] = RULES_IF_PURPOSE,
    [BY_BASIS] = RULES_IF_BASIS,
};
static const unsigned char BY_FACT[FACTS] = {
    [FACT_TYPE] = RULES_IF_TYPE,         [FACT_MINOR] = RULES_IF_MINOR,
    [FACT_CROSSING] = RULES_IF_CROSSING, [FACT_HANDLING] = RULES_IF_HANDLING,
    [FACT_INFORMED] = RULES_IF_INFORMED, [FACT_URGENCY] = RULES_IF_URGENCY,
    [FACT_SUBJECT] = RULES_IF_SUBJECT,   [FACT_AREA] = RULES_IF_AREA,
};

/* Of one block of rules, which each way of naming somebody or something takes. */
struct taken {
    uint64_t bits[DIMENSIONS][BLOCK_WORDS];
};

static void take_block(const struct meeting *m, size_t block, struct taken *t)
{
    for (int k = 0; k < DIMENSIONS; k++)
        choice_block(&m->choices[k], block, t->bits[k]);
}

static unsigned misses_of(const struct meeting *m, const struct taken *t, size_t bytes,
                          size_t i)
{
    const struct test *test = &m->r->tests[i];
    uint64_t facts = m->facts & ~test->facts;
    unsigned misses = 0;

    for (int k = 0; k < DIMENSIONS; k++)
        if ((t->bits[k][i % BLOCK_BITS / WORD_BITS] >> i % WORD_BITS & 1) == 0)
            misses |= 1U << BY_DIMENSION[k];
    for (int f = 0; f < FACTS && facts != 0; f++)
        if ((facts & fact_all((enum fact)f)) != 0)
            misses |= 1U << BY_FACT[f];
    if (m->day != 0 && m->day > test->until_day)
        misses |= 1U << RULES_IF_UNTIL;
    if (bytes > test->max_bytes)
        misses |= 1U << RULES_IF_SIZE;
    return misses;
}

unsigned rules_misses(const struct rules *r, const struct rules_question *q, size_t i)
{
    struct meeting m;
    struct taken t;

    if (meet_question(&m, r, q, 0) != LIAISON_OK)
        return (1U << RULES_IF__COUNT) - 1;
    take_block(&m, i / BLOCK_BITS, &t);
    return misses_of(&m, &t, q->bytes, i);
}

size_t rules_nearest(const struct rules *r, const struct rules_question *q, unsigned most,
                     size_t *out, size_t room)
{
    struct meeting m;
    struct taken t;
    size_t found = 0;

    if (room == 0 || meet_question(&m, r, q, 0) != LIAISON_OK)
        return 0;
    for (size_t i = 0; i < r->n_rules; i++) {
        if (i % BLOCK_BITS == 0)
            take_block(&m, i / BLOCK_BITS, &t);
        if (r->tests[i].effect != ALLOW)
            continue;
        unsigned n = (unsigned)__builtin_popcount(misses_of(&m, &t, q->bytes, i));

        if (n > most || (n == most && found == room))
            continue;
        if (n < most)
            found = 0;
        most = n;
        out[found++] = i;
    }
    return found;
}
