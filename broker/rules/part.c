/* What each line of a decision did to it. */
#include "broker/rules/set.h"

/* The rule that a line is of; NULL for one that is built in. */
static const struct rule *rule_of(const struct rules *r, const struct rules_line *line)
{
    if (line >= r->builtin && line < r->builtin + RULES_BUILTIN__COUNT)
        return NULL;
    return (const struct rule *)(const void *)((const char *)line -
                                               offsetof(struct rule, line));
}

static uint32_t sections_of(const struct rules *r, const struct rule *rule,
                            const struct rules_question *q)
{
    uint32_t has = 0;

    for (size_t i = 0; i < q->n_sections; i++)
        if (words_have(&rule->sections, find_word(r, q->sections[i])))
            has |= UINT32_C(1) << i;
    return has;
}

/* Of each length what it is that counts. */
static struct rules_span decisive(struct rules_span mine, struct rules_span strictest)
{
    if (mine.fixed_s != strictest.fixed_s)
        mine.fixed_s = 0;
    if (mine.months != strictest.months)
        mine.months = 0;
    return mine;
}

static void part_of_allow(const struct rules_decision *d, const struct rule *rule,
                          struct rules_part *out)
{
    out->allows = true;
    out->reveals_late = rule->reveal == LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT;
    out->returns = rule->returns;
    out->approvals = rule->approvals;
    out->per_hour = rule->rate;
    out->keep = decisive(rule->keep, d->keep_for);
    for (size_t i = 0; i < d->n_answers; i++)
        if (rule->answer.fixed_s == d->answers[i].within.fixed_s &&
            rule->answer.months == d->answers[i].within.months) {
            out->answer = rule->answer;
            out->escalate =
                rule->escalate_supervisor ? d->answers[i].escalate : rule->escalate;
        }
}

void rules_part(const struct rules_decision *d, const struct rules_question *q, size_t i,
                struct rules_part *out)
{
    const struct rule *rule = rule_of(d->rules, d->lines[i]);
    enum effect effect =
        rule == NULL ? DENY : d->rules->tests[rule - d->rules->rules].effect;

    *out = (struct rules_part){.denies = effect == DENY};
    if (effect == PARTIAL)
        out->removes = sections_of(d->rules, rule, q);
    else if (effect == ALLOW)
        out->grants = sections_of(d->rules, rule, q);
    if (effect == ALLOW && (d->code == LIAISON_OK || d->code == LIAISON_SECTIONS))
        part_of_allow(d, rule, out);
}
