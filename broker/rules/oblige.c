/* What a grant obliges to: of all allows that match, the strictest. */
#include "broker/rules/set.h"

/* The allows of one decision. */
struct allows {
    const struct rules *r;
    const struct member *to;
    const uint32_t *list;
    size_t n;
    struct arena *a;
};

static const struct rule *rule_at(const struct allows *s, size_t i)
{
    return &s->r->rules[s->list[i]];
}

static struct rules_span shorter(struct rules_span x, struct rules_span y)
{
    if (x.fixed_s == 0 || (y.fixed_s > 0 && y.fixed_s < x.fixed_s))
        x.fixed_s = y.fixed_s;
    if (x.months == 0 || (y.months > 0 && y.months < x.months))
        x.months = y.months;
    return x;
}

static bool same_span(struct rules_span x, struct rules_span y)
{
    return x.fixed_s == y.fixed_s && x.months == y.months;
}

/* Puts in what is not there yet, rising. Returns how many there are. */
static size_t merge(const char **list, size_t n, struct rules_names more)
{
    for (size_t i = 0; i < more.n; i++) {
        size_t at = n;
        int order = 1;

        while (at > 0 && (order = strcmp(list[at - 1], more.list[i])) > 0)
            at--;
        if (at > 0 && order == 0)
            continue;
        memmove(&list[at + 1], &list[at], (n++ - at) * sizeof *list);
        list[at] = more.list[i];
    }
    return n;
}

/* Strictest reveal, union of returns. */
static bool add_flow(const struct allows *s, struct rules_decision *out)
{
    size_t room = 0;

    out->reveal = LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY;
    for (size_t i = 0; i < s->n; i++) {
        room += rule_at(s, i)->returns.n;
        if (rule_at(s, i)->reveal == LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT)
            out->reveal = LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT;
    }
    out->returns = rule_at(s, 0)->returns.list;
    out->n_returns = rule_at(s, 0)->returns.n;
    if (s->n == 1)
        return true;
    const char **list = arena_alloc(s->a, room * sizeof *list);

    if (list == NULL)
        return false;
    out->n_returns = 0;
    for (size_t i = 0; i < s->n; i++)
        out->n_returns = merge(list, out->n_returns, rule_at(s, i)->returns);
    out->returns = list;
    return true;
}

static bool add_keep(const struct allows *s, struct rules_decision *out)
{
    enum { SPAN_TEXT = 64 };

    for (size_t i = 0; i < s->n; i++)
        out->keep_for = shorter(out->keep_for, rule_at(s, i)->keep);
    if (same_span(out->keep_for, s->r->keep_for))
        return true;
    char *text = arena_alloc(s->a, SPAN_TEXT);

    if (text != NULL)
        out->keep = rules_span_text(out->keep_for, text);
    return text != NULL;
}

static struct rules_names targets(const struct allows *s, const struct rule *rule)
{
    return rule->escalate_supervisor ? s->to->agency.supervisors : rule->escalate;
}

/* The answer within `span`, told to the targets of every rule that says so. */
static bool add_answer(const struct allows *s, struct rules_span span,
                       struct rules_answer *answer)
{
    size_t room = 0, n = 0;

    for (size_t i = 0; i < s->n; i++)
        if (same_span(rule_at(s, i)->answer, span))
            room += targets(s, rule_at(s, i)).n;
    const char **list = arena_alloc(s->a, room * sizeof *list);

    if (list == NULL)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (same_span(rule_at(s, i)->answer, span))
            n = merge(list, n, targets(s, rule_at(s, i)));
    *answer = (struct rules_answer){span, {list, n}};
    return true;
}

static bool add_answers(const struct allows *s, struct rules_decision *out)
{
    struct rules_span first = {0};

    for (size_t i = 0; i < s->n; i++)
        first = shorter(first, rule_at(s, i)->answer);
    const struct rules_span each[] = {{.fixed_s = first.fixed_s},
                                      {.months = first.months}};

    if (same_span(first, (struct rules_span){0}))
        return true;
    struct rules_answer *list = arena_alloc(s->a, 2 * sizeof *list);

    for (size_t k = 0; list != NULL && k < 2; k++)
        if (!same_span(each[k], (struct rules_span){0}) &&
            !add_answer(s, each[k], &list[out->n_answers++]))
            list = NULL;
    out->answers = list;
    return list != NULL;
}

static bool add_approvals(const struct allows *s, struct rules_decision *out)
{
    size_t room = 0;

    for (size_t i = 0; i < s->n; i++)
        room += rule_at(s, i)->approvals.n;
    if (room == 0)
        return true;
    const char **list = arena_alloc(s->a, room * sizeof *list);

    if (list == NULL)
        return false;
    for (size_t i = 0; i < s->n; i++)
        out->n_approvals = merge(list, out->n_approvals, rule_at(s, i)->approvals);
    out->approvals = list;
    return true;
}

static bool add_rates(const struct allows *s, struct rules_decision *out)
{
    size_t room = 0;

    for (size_t i = 0; i < s->n; i++)
        room += rule_at(s, i)->rate > 0;
    if (room == 0)
        return true;
    struct rules_rate *list = arena_alloc(s->a, room * sizeof *list);

    if (list == NULL)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (rule_at(s, i)->rate > 0)
            list[out->n_rates++] =
                (struct rules_rate){&rule_at(s, i)->line, rule_at(s, i)->rate};
    out->rates = list;
    return true;
}

bool rules_oblige(const struct rules *r, const struct member *to, const uint32_t *allows,
                  size_t n, struct arena *a, struct rules_decision *out)
{
    const struct allows s = {r, to, allows, n, a};

    return add_flow(&s, out) && add_keep(&s, out) && add_answers(&s, out) &&
           add_approvals(&s, out) && add_rates(&s, out);
}

uint32_t rules_strictest_rate(const struct rules_decision *d)
{
    uint32_t least = 0;

    for (size_t i = 0; i < d->n_rates; i++)
        if (least == 0 || d->rates[i].per_hour < least)
            least = d->rates[i].per_hour;
    return least;
}
