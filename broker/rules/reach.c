/* Which rules can never matter. What might stand in a rule's way meets every question that the rule does, so one of
 * them is asked of the index and what it meets is looked at closely. */
#include "broker/rules/set.h"

/* NULL: the set names nobody. */
static const struct party *first_party(const struct party_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i]->n > 0)
            return s->list[i];
    return NULL;
}

/* ---------------------------------------------------------------- pairs */

/* True if one of `to` lies in the area of one of `from`. */
static bool parties_meet(const struct rules *r, const struct party *from,
                         const struct party *to)
{
    for (size_t i = 0, k = 0; i < from->n; i++) {
        const struct member *m = r->by_place[from->places[i]];

        while (k < to->n && to->places[k] < m->first)
            k++;
        if (k < to->n && to->places[k] < m->end)
            return true;
    }
    return false;
}

static bool is_within_area(const struct test *t)
{
    return (t->facts & fact_bit(FACT_AREA, AREA_APART)) == 0;
}

static bool has_pair(const struct rules *r, const struct rule *rule)
{
    const struct party_set *from = &rule->parties[SENDER],
                           *to = &rule->parties[RECIPIENT];

    for (size_t i = 0; i < from->n; i++)
        for (size_t k = 0; k < to->n; k++)
            if (parties_meet(r, from->list[i], to->list[k]))
                return true;
    return false;
}

/* ---------------------------------------------------------------- all of it */

/* Rule `wide` names this agency on that side. */
static bool names(const struct member *m, enum side side, size_t wide)
{
    for (size_t i = 0; i < m->n_rows[side]; i++)
        if (row_get(m->rows[side][i], wide))
            return true;
    return false;
}

static bool has_party(const struct rules *r, const struct party_set *s,
                      const struct party *p)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i] == p || s->list[i] == &r->everybody)
            return true;
    return false;
}

/* Rule `wide` names on that side everybody whom rule `i` names there. */
static bool names_all(const struct rules *r, enum side side, size_t wide, size_t i)
{
    const struct party_set *s = &r->rules[i].parties[side];

    for (size_t k = 0; k < s->n; k++) {
        const struct party *p = s->list[k];

        if (has_party(r, &r->rules[wide].parties[side], p))
            continue;
        for (size_t m = 0; m < p->n; m++)
            if (!names(r->by_place[p->places[m]], side, wide))
                return false;
    }
    return true;
}

/* Both stand in the order of numbers. */
static bool has_words(const struct words *wide, const struct words *w)
{
    size_t k = 0;

    if (wide->any || w->any)
        return wide->any;
    for (size_t i = 0; i < w->n; i++, k++) {
        while (k < wide->n && wide->list[k]->number < w->list[i]->number)
            k++;
        if (k == wide->n || wide->list[k] != w->list[i])
            return false;
    }
    return true;
}

/* A condition that was not given takes any word. */
static bool takes_words(const struct words *wide, const struct words *w)
{
    if (w->any || w->n == 0)
        return wide->any || wide->n == 0;
    return wide->n == 0 || has_words(wide, w);
}

static bool takes_rest(const struct rules *r, size_t wide, size_t i)
{
    const struct words *x = r->rules[wide].conditions, *y = r->rules[i].conditions;

    return r->tests[wide].until_day >= r->tests[i].until_day &&
           takes_words(&x[USE_PURPOSE], &y[USE_PURPOSE]) &&
           takes_words(&x[USE_BASIS], &y[USE_BASIS]);
}

/* Rule `wide`, which the index met for rule `i`, takes all that it does, but for facts. */
static bool takes_all(const struct rules *r, size_t wide, size_t i)
{
    return takes_rest(r, wide, i) && names_all(r, SENDER, wide, i) &&
           names_all(r, RECIPIENT, wide, i);
}

/* ---------------------------------------------------------------- one instead of another */

static bool lasts_no_longer(uint64_t wide, uint64_t length)
{
    return length == 0 || (wide > 0 && wide <= length);
}

static bool has_names(struct rules_names wide, struct rules_names list)
{
    for (size_t i = 0, k; i < list.n; i++) {
        for (k = 0; k < wide.n && strcmp(wide.list[k], list.list[i]) != 0; k++)
            ;
        if (k == wide.n)
            return false;
    }
    return true;
}

static uint64_t less_of(uint64_t x, uint64_t y)
{
    return x == 0 || (y > 0 && y < x) ? y : x;
}

static bool answers_as_soon(const struct rule *wide, const struct rule *rule)
{
    bool sooner = wide->answer.fixed_s < rule->answer.fixed_s ||
                  wide->answer.months < rule->answer.months;

    if (!lasts_no_longer(wide->answer.fixed_s, rule->answer.fixed_s) ||
        !lasts_no_longer(wide->answer.months, rule->answer.months))
        return false;
    return sooner || (rule->answer.fixed_s == 0 && rule->answer.months == 0) ||
           (wide->escalate_supervisor == rule->escalate_supervisor &&
            has_names(wide->escalate, rule->escalate));
}

/* What allow `i` grants, `wide` grants; what it obliges to, `wide` does as strictly. */
static bool does_all(const struct rules *r, size_t wide, size_t i)
{
    const struct rule *x = &r->rules[wide], *y = &r->rules[i];

    return r->tests[wide].max_bytes >= r->tests[i].max_bytes &&
           has_words(&x->sections, &y->sections) && has_names(x->returns, y->returns) &&
           (y->reveal != LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT ||
            x->reveal == LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT) &&
           lasts_no_longer(less_of(x->keep.fixed_s, r->keep_for.fixed_s),
                           y->keep.fixed_s) &&
           lasts_no_longer(less_of(x->keep.months, r->keep_for.months), y->keep.months) &&
           answers_as_soon(x, y) && has_names(x->approvals, y->approvals) &&
           lasts_no_longer(x->rate, y->rate);
}

/* Rule `wide`, which meets all that rule `i` does, leaves nothing for it to say. */
static bool says_all(const struct rules *r, size_t wide, size_t i)
{
    if (r->tests[i].effect == ALLOW)
        return r->tests[wide].effect == ALLOW && does_all(r, wide, i);
    return r->tests[wide].effect == DENY ||
           (r->tests[wide].effect == PARTIAL && r->tests[i].effect == PARTIAL &&
            has_words(&r->rules[wide].sections, &r->rules[i].sections));
}

/* ---------------------------------------------------------------- what stands in the way */

enum { PARTIALS_MAX = 16 };

/* What is found out about one rule. */
struct search {
    const struct rules *r;
    size_t i;
    enum rules_reach found;
    size_t other;
    uint64_t
        left[FACTS];  /* values of one fact that no deny refuses which takes all else */
    bool near[SIDES]; /* a deny takes all but some agencies of that side */
    size_t partial[PARTIALS_MAX]; /* denies that remove sections of all that it meets */
    size_t n_partial;
};

static void find(struct search *s, enum rules_reach found, size_t other)
{
    if (s->found == RULES_REACHED || s->found == RULES_SHADOWED) {
        s->found = found;
        s->other = other;
    }
}

/* Asks of the index a question that rule i meets; `m` on `side` stands for all whom it names there. */
static void meet_rule(struct meeting *met, const struct rules *r, size_t i,
                      enum side side, const struct member *m)
{
    const struct rule *rule = &r->rules[i];
    const struct member *who[SIDES];

    for (int k = 0; k < SIDES; k++)
        who[k] = r->by_place[first_party(&rule->parties[k])->places[0]];
    who[side] = m != NULL ? m : who[side];
    meet_all(met, r);
    meet_parties(met, who[SENDER], who[RECIPIENT]);
    meet_word(met, USE_CATEGORY, rule->category);
    for (int use = USE_PURPOSE; use <= USE_BASIS; use++)
        meet_word(met, (enum use)use,
                  rule->conditions[use].n > 0 ? rule->conditions[use].list[0] : NULL);
    meet_begin(met);
}

static uint64_t missing_facts(const struct rules *r, size_t wide, size_t i)
{
    return r->tests[i].facts & ~r->tests[wide].facts;
}

/* A deny that is for some values of one fact takes them away; when others took the rest, nothing is left. */
static void see_deny(struct search *s, size_t deny)
{
    const struct rules *r = s->r;
    uint64_t missing = missing_facts(r, deny, s->i);
    bool senders, recipients;

    for (int f = 0; missing != 0 && f < FACTS; f++)
        if ((missing & ~fact_all((enum fact)f)) == 0) {
            if ((s->left[f] & ~missing) != 0 && takes_all(r, deny, s->i))
                s->left[f] &= missing;
            if (s->left[f] == 0)
                find(s, RULES_BEATEN, deny);
        }
    if (missing != 0 || !takes_rest(r, deny, s->i))
        return;
    senders = names_all(r, SENDER, deny, s->i);
    recipients = names_all(r, RECIPIENT, deny, s->i);
    if (senders && recipients)
        find(s, RULES_BEATEN, deny);
    s->near[SENDER] = s->near[SENDER] || (!senders && recipients);
    s->near[RECIPIENT] = s->near[RECIPIENT] || (senders && !recipients);
}

static void see_partial(struct search *s, size_t deny)
{
    if (s->n_partial < PARTIALS_MAX && missing_facts(s->r, deny, s->i) == 0 &&
        takes_all(s->r, deny, s->i))
        s->partial[s->n_partial++] = deny;
}

static bool is_as_wide(const struct rules *r, size_t wide, size_t i)
{
    const struct word *category = r->rules[wide].category;

    return says_all(r, wide, i) && missing_facts(r, wide, i) == 0 &&
           (category == NULL || category == r->rules[i].category) &&
           takes_all(r, wide, i);
}

/* Of two that say the same in different words, the later one is too many. */
static void see_wide(struct search *s, size_t wide)
{
    if (s->found == RULES_REACHED && is_as_wide(s->r, wide, s->i) &&
        (wide < s->i || !is_as_wide(s->r, s->i, wide)))
        find(s, RULES_SHADOWED, wide);
}

static bool all_sections_go(const struct search *s)
{
    const struct words *w = &s->r->rules[s->i].sections;

    for (size_t k = 0; k < w->n + w->any; k++) {
        const struct word *word = k < w->n ? w->list[k] : NULL;
        size_t p = 0;

        while (p < s->n_partial &&
               !words_have(&s->r->rules[s->partial[p]].sections, word))
            p++;
        if (p == s->n_partial)
            return false;
    }
    return w->any || w->n > 0;
}

/* True if for each agency on that side a deny refuses all else. */
static bool is_denied_to_each(struct search *s, enum side side)
{
    const struct party_set *set = &s->r->rules[s->i].parties[side];
    enum side across = side == SENDER ? RECIPIENT : SENDER;

    for (size_t k = 0; k < set->n; k++)
        for (size_t n = 0; n < set->list[k]->n; n++) {
            struct meeting m;
            bool denied = false;

            meet_rule(&m, s->r, s->i, side, s->r->by_place[set->list[k]->places[n]]);
            for (size_t i = meet_next(&m); i < s->r->n_rules && !denied;
                 i = meet_next(&m)) {
                denied = s->r->tests[i].effect == DENY &&
                         missing_facts(s->r, i, s->i) == 0 && takes_rest(s->r, i, s->i) &&
                         names_all(s->r, across, i, s->i);
                s->other = denied ? i : s->other;
            }
            if (!denied)
                return false;
        }
    return true;
}

static void search(struct search *s)
{
    const struct rules *r = s->r;
    bool is_allow = r->tests[s->i].effect == ALLOW;
    struct meeting m;

    for (int f = 0; f < FACTS; f++)
        s->left[f] = r->tests[s->i].facts & fact_all((enum fact)f);
    meet_rule(&m, r, s->i, SENDER, NULL);
    for (size_t k = meet_next(&m); k < r->n_rules && s->found != RULES_BEATEN;
         k = meet_next(&m)) {
        if (k == s->i)
            continue;
        if (is_allow && r->tests[k].effect == DENY)
            see_deny(s, k);
        else if (is_allow && r->tests[k].effect == PARTIAL)
            see_partial(s, k);
        else
            see_wide(s, k);
    }
    if (s->found != RULES_BEATEN && all_sections_go(s) && is_allow)
        find(s, RULES_BEATEN, s->partial[0]);
    for (int side = 0; side < SIDES; side++)
        if (s->found != RULES_BEATEN && s->near[side] &&
            is_denied_to_each(s, (enum side)side))
            find(s, RULES_BEATEN, s->other);
}

enum rules_reach rules_reach(const struct rules *r, size_t i, size_t *other)
{
    const struct rule *rule = &r->rules[i];
    struct search s = {.r = r, .i = i, .found = RULES_REACHED};

    if (i > 0 && strcmp(rule->line.text, r->rules[i - 1].line.text) == 0) {
        *other = i - 1;
        return RULES_TWICE;
    }
    if (first_party(&rule->parties[SENDER]) == NULL)
        return RULES_NO_SENDER;
    if (first_party(&rule->parties[RECIPIENT]) == NULL)
        return RULES_NO_RECIPIENT;
    if (is_within_area(&r->tests[i]) && !has_pair(r, rule))
        return RULES_NO_PAIR;
    search(&s);
    if (s.found != RULES_REACHED)
        *other = s.other;
    return s.found;
}
