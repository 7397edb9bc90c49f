/* Whether a decision lets more or less pass than another. */
#include "broker/rules/compare.h"

/* By two numbers of which less is stricter; 0 is no limit at all. */
static unsigned by_limit(uint64_t before, uint64_t after)
{
    before--; /* 0 becomes the greatest */
    after--;
    return after > before ? RULES_WIDER : after < before ? RULES_NARROWER : 0;
}

static unsigned by_span(struct rules_span before, struct rules_span after)
{
    return by_limit(before.fixed_s, after.fixed_s) |
           by_limit(before.months, after.months);
}

static bool has(struct rules_names list, const char *name)
{
    for (size_t i = 0; i < list.n; i++)
        if (strcmp(list.list[i], name) == 0)
            return true;
    return false;
}

/* True if every name of `part` is in `whole`. */
static bool holds(struct rules_names whole, struct rules_names part)
{
    for (size_t i = 0; i < part.n; i++)
        if (!has(whole, part.list[i]))
            return false;
    return true;
}

/* More names mean `more`, fewer the contrary. */
static unsigned by_names(struct rules_names before, struct rules_names after,
                         unsigned more)
{
    unsigned less = more == RULES_WIDER ? RULES_NARROWER : RULES_WIDER;

    return (holds(before, after) ? 0 : more) | (holds(after, before) ? 0 : less);
}

static const struct rules_answer *answer_of(const struct rules_decision *d, bool calendar)
{
    for (size_t i = 0; i < d->n_answers; i++)
        if ((d->answers[i].within.months > 0) == calendar)
            return &d->answers[i];
    return NULL;
}

/* Who is told instead of another learns of a case that the other does not learn of: that is wider and narrower. */
static unsigned by_answers(const struct rules_decision *before,
                           const struct rules_decision *after)
{
    unsigned how = 0;

    for (int calendar = 0; calendar < 2; calendar++) {
        const struct rules_answer *x = answer_of(before, calendar),
                                  *y = answer_of(after, calendar);
        const struct rules_span none = {0};

        how |= by_span(x != NULL ? x->within : none, y != NULL ? y->within : none);
        if (x != NULL && y != NULL)
            how |= by_names(x->escalate, y->escalate, RULES_WIDER);
    }
    return how;
}

unsigned rules_how(const struct rules_decision *before,
                   const struct rules_decision *after)
{
    bool was = before->code == LIAISON_OK, is = after->code == LIAISON_OK;

    if (!was || !is)
        return was == is ? 0 : is ? RULES_WIDER : RULES_NARROWER;
    const struct rules_names returned = {before->returns, before->n_returns},
                             returns = {after->returns, after->n_returns},
                             approved = {before->approvals, before->n_approvals},
                             approvals = {after->approvals, after->n_approvals};
    bool earlier = after->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY,
         was_early = before->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY;

    return ((after->granted & ~before->granted) != 0 ? RULES_WIDER : 0) |
           ((before->granted & ~after->granted) != 0 ? RULES_NARROWER : 0) |
           (earlier && !was_early ? RULES_WIDER : 0) |
           (was_early && !earlier ? RULES_NARROWER : 0) |
           by_names(returned, returns, RULES_WIDER) |
           by_names(approved, approvals, RULES_NARROWER) |
           by_span(before->keep_for, after->keep_for) | by_answers(before, after) |
           by_limit(rules_strictest_rate(before), rules_strictest_rate(after));
}
