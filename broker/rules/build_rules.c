/* Words, rules and their rows. */
#include <stdlib.h>

#include "broker/rules/making.h"

/* ---------------------------------------------------------------- words */

static size_t count_words(const struct rules_draft *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_rules; i++) {
        const struct rules_draft_rule *r = &d->rules[i];

        n += 1 + r->purposes.n + r->bases.n + r->sections.n;
    }
    return n < RULES_WORDS_MAX ? n : RULES_WORDS_MAX;
}

/* The one word of this text, made when it is new. NULL after a failure. */
static struct word *intern(struct build *b, const char *text)
{
    struct word *w = (struct word *)find_word(b->r, text);

    if (w != NULL || b->code != LIAISON_OK)
        return w;
    if (b->r->n_words == RULES_WORDS_MAX) {
        build_fail(b, LIAISON_CONFIG);
        return NULL;
    }
    w = build_take(b, b->r->arena, 1, sizeof *w);
    if (w == NULL)
        return NULL;
    w->name = table_name(build_text(b, text));
    w->number = (uint32_t)b->r->n_words++;
    table_put(&b->r->by_word, &w->name);
    return w;
}

static int by_number(const void *x, const void *y)
{
    const struct word *const *a = x, *const *b = y;

    return ((*a)->number > (*b)->number) - ((*a)->number < (*b)->number);
}

static struct words intern_all(struct build *b, const struct rules_words *from)
{
    enum { FEW = 16 };
    struct words w = {.any = from->any};

    if (from->n == 0)
        return w;
    w.list = build_take(b, b->r->arena, from->n, sizeof(struct word *));
    for (; w.n < from->n && b->code == LIAISON_OK; w.n++) {
        struct word *word = intern(b, from->list[w.n]);
        size_t at = w.n;

        if (word == NULL)
            return w;
        for (; from->n <= FEW && at > 0 && w.list[at - 1]->number > word->number; at--)
            w.list[at] = w.list[at - 1];
        w.list[at] = word;
    }
    if (w.n > FEW)
        qsort(w.list, w.n, sizeof(struct word *), by_number);
    return w;
}

/* ---------------------------------------------------------------- whom it names */

static struct party *party_of(struct build *b, const struct rules_party *p)
{
    struct member *m = NULL;

    switch (p->kind) {
    case RULES_ANY:
        return &b->r->everybody;
    case RULES_KIND:
        return (struct party *)table_find(&b->r->by_kind, p->name);
    case RULES_GROUP:
        return (struct party *)table_find(&b->r->by_group, p->name);
    case RULES_AGENCY:
        m = (struct member *)find_member(b->r, p->name);
        return m != NULL ? &m->alone : NULL;
    }
    return NULL;
}

/* A kind that no agency is of names nobody; any other name must be declared. */
static struct party_set parties_of(struct build *b, const struct rules_parties *from)
{
    struct party_set set = {
        .list = build_take(b, b->r->arena, from->n, sizeof(struct party *))};

    for (size_t i = 0; i < from->n && b->code == LIAISON_OK; i++) {
        struct party *p = party_of(b, &from->list[i]);

        if (p != NULL)
            set.list[set.n++] = p;
        else if (from->list[i].kind != RULES_KIND)
            build_fail(b, LIAISON_CONFIG);
    }
    return set;
}

/* ---------------------------------------------------------------- what it asks */

/* Bit 0, which stands for what is not known, meets a deny. */
static uint64_t one_of(enum fact f, uint32_t values, bool deny)
{
    if (values == 0)
        return fact_all(f);
    return fact_all(f) & ((uint64_t)(values & ~1U) | deny) << FACT_BITS[f].first;
}

static uint64_t facts_of(const struct rules_draft_rule *r)
{
    uint64_t type = (int)r->type != 0 ? fact_bit(FACT_TYPE, (unsigned)r->type)
                                      : fact_all(FACT_TYPE) & ~fact_bit(FACT_TYPE, 0);
    uint32_t minors = 1U << LIAISON__V1__MINOR__MINOR_YES |
                      (r->deny ? 1U << LIAISON__V1__MINOR__MINOR_UNKNOWN : 0);

    return type | one_of(FACT_MINOR, r->when_minor ? minors : 0, r->deny) |
           one_of(FACT_CROSSING, r->when_crossing ? 1U << CROSSING_YES : 0, r->deny) |
           one_of(FACT_HANDLING, r->handlings, r->deny) |
           one_of(FACT_INFORMED, r->informed, r->deny) |
           one_of(FACT_URGENCY, r->urgencies, r->deny) |
           one_of(FACT_SUBJECT, r->subjects, r->deny) |
           (r->within_area ? fact_bit(FACT_AREA, AREA_WITHIN) : fact_all(FACT_AREA));
}

static struct test test_of(const struct rules_draft_rule *r)
{
    bool sections = r->sections.any || r->sections.n > 0;

    return (struct test){
        .facts = facts_of(r),
        .max_bytes = r->max_bytes > 0 && !r->deny ? r->max_bytes : UINT64_MAX,
        .until_day = r->until_day != 0 ? r->until_day : INT32_MAX,
        .effect = !r->deny   ? ALLOW
                  : sections ? PARTIAL
                             : DENY,
    };
}

/* ---------------------------------------------------------------- a rule */

static void add_obligations(struct build *b, struct rule *rule,
                            const struct rules_draft_rule *from)
{
    static const char *const OUTCOME[] = {"outcome"};
    bool early = from->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY;

    rule->reveal = early ? LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY
                         : LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT;
    rule->returns = from->returns.n > 0
                        ? build_names(b, from->returns.list, from->returns.n)
                        : (struct rules_names){OUTCOME, 1};
    rule->keep = from->keep;
    rule->answer = from->answer;
    rule->escalate_supervisor = from->escalate_supervisor;
    rule->escalate = build_names(b, from->escalate.list, from->escalate.n);
    rule->approvals = build_names(b, from->approvals.list, from->approvals.n);
    rule->rate = from->rate;
}

static void add_rule(struct build *b, struct rule *rule,
                     const struct rules_draft_rule *from)
{
    rule->line.where = build_text(b, from->where);
    rule->parties[SENDER] = parties_of(b, &from->from);
    rule->parties[RECIPIENT] = parties_of(b, &from->to);
    rule->category = from->category != NULL ? intern(b, from->category) : NULL;
    rule->conditions[USE_PURPOSE] = intern_all(b, &from->purposes);
    rule->conditions[USE_BASIS] = intern_all(b, &from->bases);
    rule->sections = intern_all(b, &from->sections);
    if (!from->deny)
        add_obligations(b, rule, from);
}

static void mark(struct build *b, struct row *row, size_t i)
{
    if (!row_add(row, i, b->r->arena))
        build_fail(b, LIAISON_MEMORY);
}

static void mark_words(struct build *b, enum use use, const struct words *w, size_t i)
{
    if (w->any || w->n == 0)
        mark(b, &b->r->any[use], i);
    for (size_t k = 0; k < w->n; k++)
        mark(b, &w->list[k]->rows[use], i);
}

static void mark_rule(struct build *b, const struct rule *rule, size_t i)
{
    struct words category = {(struct word **)&rule->category, rule->category != NULL,
                             false};

    for (int side = 0; side < SIDES; side++)
        for (size_t k = 0; k < rule->parties[side].n; k++)
            mark(b, &rule->parties[side].list[k]->rows[side], i);
    mark_words(b, USE_CATEGORY, &category, i);
    mark_words(b, USE_PURPOSE, &rule->conditions[USE_PURPOSE], i);
    mark_words(b, USE_BASIS, &rule->conditions[USE_BASIS], i);
}

/* What each rule of the draft says, in order: so the order of files and lines decides nothing. */
static struct ordered *order_texts(struct build *b)
{
    size_t n = b->draft->n_rules;
    struct ordered *texts = build_take(b, b->scratch, n, sizeof *texts);
    struct arena *line = arena_new();

    if (line == NULL)
        build_fail(b, LIAISON_MEMORY);
    for (size_t i = 0; i < n && b->code == LIAISON_OK; i++) {
        const char *text = rules_canonical(&b->draft->rules[i], line);

        if (text == NULL)
            build_fail(b, LIAISON_MEMORY);
        texts[i] = (struct ordered){.text = build_text(b, text), .draft_index = i};
        arena_reset(line);
    }
    arena_free(line);
    if (b->code == LIAISON_OK)
        rules_order(texts, n);
    return texts;
}

static void make_rule(struct build *b, const struct ordered *text, size_t i)
{
    const struct rules_draft_rule *from = &b->draft->rules[text->draft_index];
    struct rule *rule = &b->r->rules[i];

    rule->draft_index = text->draft_index;
    rule->line.text = text->text;
    build_id(b, &rule->line);
    add_rule(b, rule, from);
    b->r->tests[i] = test_of(from);
    if (b->code == LIAISON_OK)
        mark_rule(b, rule, i);
}

void build_rules(struct build *b)
{
    struct rules *r = b->r;
    size_t n = b->draft->n_rules;
    const struct ordered *texts = order_texts(b);

    r->rules = build_take(b, r->arena, n, sizeof *r->rules);
    r->tests = build_take(b, r->arena, n, sizeof *r->tests);
    if (!table_make(&r->by_word, count_words(b->draft), r->arena))
        build_fail(b, LIAISON_MEMORY);
    for (size_t i = 0; i < n && b->code == LIAISON_OK; i++) {
        make_rule(b, &texts[i], i);
        r->n_rules++;
    }
}
