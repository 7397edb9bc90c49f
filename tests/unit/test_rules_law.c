/* What holds for every rule set: made-up sets with all words of the language, against a judge that reads rule by rule.
 * All agencies are invented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "broker/rules/build.h"

enum {
    N_AGENCIES = 9,
    RULES_TRIED = 200,
    SETS_TRIED = 60,
    QUESTIONS_TRIED = 60,
    TODAY = 20000
};

static const char *const CHIEFS[] = {"fr/b", "fr/a"}, *const CHIEF[] = {"de/c"};
static const struct rules_agency AGENCIES[N_AGENCIES] = {
    {.name = "fr/a", .kind = "prison", .area = "fr", .supervisors = {CHIEF, 1}},
    {.name = "fr/b", .kind = "prison", .area = "fr/lyon", .supervisors = {CHIEFS, 2}},
    {.name = "fr/c", .kind = "ngo", .area = "fr/lyon", .supervisors = {CHIEF, 1}},
    {.name = "fr/d", .kind = "ngo", .area = "fr/lyon/east", .regime = RULES_LED},
    {.name = "fr/e", .kind = "court", .area = "fr/lyon-x"},
    {.name = "de/a", .kind = "school", .area = "de/berlin", .supervisors = {CHIEFS, 2}},
    {.name = "de/b", .kind = "police", .area = "de/berlin"},
    {.name = "de/c", .kind = "club", .area = "de"},
    {.name = "de/d",
     .kind = "police",
     .area = "de/berlin",
     .merged_into = "de/b",
     .merged_day = TODAY + 1},
};
static const char *const KINDS[] = {"prison", "ngo", "school", "police", "court", "club"};
static const char *const IN_GROUP[] = {"fr/c", "de/a", "de/c"};
static const struct rules_draft_group GROUP = {"g", IN_GROUP, 3};
static const char *const WORDS[] = {"w0", "w1", "w2", "w3", "other"};

/* xorshift64: the same numbers everywhere. */
struct dice {
    uint64_t x;
};

static unsigned roll(struct dice *d, unsigned n)
{
    d->x ^= d->x << 13;
    d->x ^= d->x >> 7;
    d->x ^= d->x << 17;
    return (unsigned)(d->x >> 33) % n;
}

/* One made-up rule and the memory its lists point to. */
struct made {
    struct rules_draft_rule rule;
    struct rules_party parties[2][2];
    const char *words[6][2];
    char where[32];
};

static struct rules_parties made_parties(struct dice *d, struct rules_party room[2])
{
    static const struct rules_party any = {RULES_ANY, NULL};

    if (roll(d, 2) == 0)
        return (struct rules_parties){&any, 1};
    room[0] = (struct rules_party){RULES_KIND, KINDS[roll(d, 6)]};
    room[1] = roll(d, 2) == 0 ? (struct rules_party){RULES_GROUP, "g"}
                              : (struct rules_party){RULES_AGENCY,
                                                     AGENCIES[roll(d, N_AGENCIES)].name};
    size_t first = roll(d, 2);

    return (struct rules_parties){room + first, first == 0 ? 1 + roll(d, 2) : 1};
}

/* One or two words in either order. */
static struct rules_words made_words(struct dice *d, const char *room[2])
{
    unsigned first = roll(d, 4);

    room[0] = WORDS[first];
    room[1] = WORDS[(first + 1 + roll(d, 3)) % 4];
    return (struct rules_words){room, 1 + roll(d, 2), false};
}

static struct rules_words words_or_any(struct dice *d, const char *room[2], bool may_miss)
{
    if (roll(d, 2) == 0)
        return (struct rules_words){.any = !may_miss || roll(d, 2) == 0};
    return made_words(d, room);
}

/* Mostly not given, else some of the values from 1 on. */
static uint32_t made_values(struct dice *d, unsigned n)
{
    return roll(d, 5) > 0 ? 0 : (1 + roll(d, (1U << n) - 1)) << 1;
}

static struct rules_span made_span(struct dice *d)
{
    static const struct rules_span SPANS[] = {
        {0}, {0}, {.fixed_s = 3600}, {.fixed_s = 86400}, {.months = 1}, {.months = 24}};

    return SPANS[roll(d, 6)];
}

static void make_obligations(struct dice *d, struct made *m)
{
    struct rules_draft_rule *r = &m->rule;

    r->reveal = (Liaison__V1__Reveal)(1 + roll(d, 2));
    if (roll(d, 2) == 0)
        r->returns = made_words(d, m->words[3]);
    r->max_bytes = roll(d, 3) == 0 ? 1 + roll(d, 100) : 0;
    r->keep = made_span(d);
    r->answer = made_span(d);
    r->escalate_supervisor = roll(d, 2) == 0;
    if (!r->escalate_supervisor) {
        m->words[4][0] = AGENCIES[roll(d, 4)].name;
        m->words[4][1] = AGENCIES[4 + roll(d, 4)].name;
        r->escalate = (struct rules_words){m->words[4], 1 + roll(d, 2), false};
    }
    if (roll(d, 3) == 0)
        r->approvals = made_words(d, m->words[5]);
    r->rate = roll(d, 3) == 0 ? 1 + roll(d, 9) : 0;
}

static void make_rule(struct dice *d, struct made *m, size_t number)
{
    bool deny = roll(d, 4) == 0;

    snprintf(m->where, sizeof m->where, "made:%zu", number);
    m->rule = (struct rules_draft_rule){
        .deny = deny,
        .type = roll(d, 2) == 0 ? 0 : (Liaison__V1__Type)(1 + roll(d, 4)),
        .category = roll(d, 2) == 0 ? NULL : WORDS[roll(d, 4)],
        .from = made_parties(d, m->parties[0]),
        .to = made_parties(d, m->parties[1]),
        .within_area = roll(d, 4) == 0,
        .when_minor = roll(d, 5) == 0,
        .when_crossing = roll(d, 5) == 0,
        .handlings = made_values(d, 5),
        .informed = made_values(d, 5),
        .urgencies = made_values(d, 4),
        .subjects = made_values(d, 7),
        .until_day = roll(d, 4) == 0 ? TODAY - 2 + (int32_t)roll(d, 4) : 0,
        .purposes = words_or_any(d, m->words[0], deny),
        .bases = words_or_any(d, m->words[1], deny),
        .sections = words_or_any(d, m->words[2], true),
        .where = m->where,
    };
    if (!deny)
        make_obligations(d, m);
}

/* A question and the memory its sections lie in. */
struct asked {
    struct rules_question q;
    const char *sections[5];
};

static void make_question(struct dice *d, struct asked *a)
{
    a->q = (struct rules_question){
        .from = AGENCIES[roll(d, N_AGENCIES)].name,
        .to = AGENCIES[roll(d, N_AGENCIES)].name,
        .type = (Liaison__V1__Type)(1 + roll(d, 4)),
        .category = WORDS[roll(d, 5)],
        .purpose = WORDS[roll(d, 5)],
        .basis = WORDS[roll(d, 5)],
        .minor = (Liaison__V1__Minor)roll(d, 4),
        .handling = (Liaison__V1__Handling)roll(d, 6),
        .regime = (Liaison__V1__Regime)roll(d, 3),
        .informed = (Liaison__V1__Informed)roll(d, 6),
        .urgency = (Liaison__V1__Urgency)roll(d, 5),
        .subject = (Liaison__V1__SubjectCategory)roll(d, 8),
        .day = roll(d, 3) == 0 ? 0 : TODAY - 2 + (int32_t)roll(d, 5),
        .bytes = roll(d, 120),
        .sections = a->sections,
        .n_sections = roll(d, 6),
        .strip = roll(d, 2) == 0,
    };
    for (unsigned i = 0; i < 5; i++)
        a->sections[i] = WORDS[i];
}

static struct rules *build(const struct rules_draft_rule *rules, size_t n)
{
    struct rules *r = NULL;
    const struct rules_draft d = {.network = "a.b",
                                  .keep = {.months = 12},
                                  .agencies = AGENCIES,
                                  .n_agencies = N_AGENCIES,
                                  .groups = &GROUP,
                                  .n_groups = 1,
                                  .rules = rules,
                                  .n_rules = n};

    assert_int_equal(rules_build(&d, &r), LIAISON_OK);
    return r;
}

/* Calls `see` for many made-up sets. */
typedef void see_set(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                     struct arena *a);

static void over_made_up_sets(see_set *see)
{
    static struct made made[RULES_TRIED];
    static struct rules_draft_rule rules[RULES_TRIED];
    struct dice d = {UINT64_C(0x9e3779b97f4a7c15)};
    struct arena *a = arena_new();

    for (int i = 0; i < SETS_TRIED; i++) {
        size_t n =
            1 +
            roll(&d, i % 3 == 0 ? 6 : RULES_TRIED); /* up to more than one word of bits */

        for (size_t k = 0; k < n; k++) {
            make_rule(&d, &made[k], k);
            rules[k] = made[k].rule;
        }
        see(&d, rules, n, a);
        arena_reset(a);
    }
    arena_free(a);
}

/* ---------------------------------------------------------------- the judge that reads rule by rule */

static const struct rules_agency *plain_agency(const char *name)
{
    size_t i = 0;

    while (strcmp(AGENCIES[i].name, name) != 0)
        i++;
    return &AGENCIES[i];
}

static bool plain_has(const char *const *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], word) == 0)
            return true;
    return false;
}

static bool plain_party(const struct rules_parties *s, const struct rules_agency *a)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct rules_party *p = &s->list[i];

        if (p->kind == RULES_ANY ||
            (p->kind == RULES_KIND && strcmp(a->kind, p->name) == 0) ||
            (p->kind == RULES_AGENCY && strcmp(a->name, p->name) == 0) ||
            (p->kind == RULES_GROUP && plain_has(IN_GROUP, GROUP.n, a->name)))
            return true;
    }
    return false;
}

static bool plain_words(const struct rules_words *w, const char *word, bool when_missing)
{
    if (!w->any && w->n == 0)
        return when_missing;
    return w->any || plain_has(w->list, w->n, word);
}

/* 0 is what was not said: a deny takes it as if it were so. */
static bool plain_value(uint32_t wanted, unsigned value, bool deny)
{
    return wanted == 0 || (value == 0 ? deny : (wanted >> value & 1) != 0);
}

/* 1: from one regime into another; 0: it stays in one; -1: nobody knows. */
static int plain_crossing(const struct rules_question *q)
{
    const struct rules_agency *to = plain_agency(q->to);
    enum rules_regime regime = to->regime != 0 ? to->regime : rules_kind_regime(to->kind);

    if ((int)q->regime == 0 || (int)regime == 0)
        return -1;
    return (int)q->regime != (int)regime;
}

static unsigned plain_misses(const struct rules_draft_rule *r,
                             const struct rules_question *q)
{
    const struct rules_agency *from = plain_agency(q->from), *to = plain_agency(q->to);
    int crossing = plain_crossing(q);
    uint32_t minors = r->when_minor ? 1U << 1 | (r->deny ? 1U << 3 : 0) : 0;
    const bool holds[RULES_IF__COUNT] = {
        [RULES_IF_FROM] = plain_party(&r->from, from),
        [RULES_IF_TO] = plain_party(&r->to, to),
        [RULES_IF_TYPE] = (int)r->type == 0 || r->type == q->type,
        [RULES_IF_CATEGORY] =
            r->category == NULL || strcmp(r->category, q->category) == 0,
        [RULES_IF_PURPOSE] = plain_words(&r->purposes, q->purpose, true),
        [RULES_IF_BASIS] = plain_words(&r->bases, q->basis, true),
        [RULES_IF_AREA] = !r->within_area || rules_area_within(to->area, from->area),
        [RULES_IF_MINOR] = plain_value(minors, (unsigned)q->minor, r->deny),
        [RULES_IF_CROSSING] =
            !r->when_crossing || crossing == 1 || (crossing == -1 && r->deny),
        [RULES_IF_HANDLING] = plain_value(r->handlings, (unsigned)q->handling, r->deny),
        [RULES_IF_INFORMED] = plain_value(r->informed, (unsigned)q->informed, r->deny),
        [RULES_IF_URGENCY] = plain_value(r->urgencies, (unsigned)q->urgency, r->deny),
        [RULES_IF_SUBJECT] = plain_value(r->subjects, (unsigned)q->subject, r->deny),
        [RULES_IF_UNTIL] = r->until_day == 0 || q->day == 0 || q->day <= r->until_day,
        [RULES_IF_SIZE] = r->max_bytes == 0 || q->bytes <= r->max_bytes,
    };
    unsigned misses = 0;

    for (int k = 0; k < RULES_IF__COUNT; k++)
        misses |= holds[k] ? 0 : 1U << k;
    return misses;
}

struct plain {
    enum liaison_code code;
    uint32_t granted;
    bool named[RULES_TRIED], h1, crossing;
    size_t n_named;
    struct rules_span keep, answer;
    bool on_accept;
    char returns[200], approvals[200], told[2][200]; /* a blank before each */
    unsigned rates;
};

static bool plain_is_gone(const char *name, int32_t day)
{
    const struct rules_agency *a = plain_agency(name);

    return a->merged_into != NULL && day >= a->merged_day;
}

static void plain_add(char text[200], const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char word[20];

        snprintf(word, sizeof word, " %s", list[i]);
        size_t len = strlen(word);
        const char *there = strstr(text, word);

        if (there == NULL || (there[len] != '\0' && there[len] != ' '))
            strcat(text, word);
    }
}

static void plain_min(uint64_t *least, uint64_t length)
{
    if (length > 0 && (*least == 0 || length < *least))
        *least = length;
}

static void plain_strictest(const struct rules_draft_rule *r, struct plain *p)
{
    static const char *const OUTCOME[] = {"outcome"};
    uint64_t keep = p->keep.months, answer = p->answer.months;

    plain_min(&p->keep.fixed_s, r->keep.fixed_s);
    plain_min(&keep, r->keep.months);
    plain_min(&p->answer.fixed_s, r->answer.fixed_s);
    plain_min(&answer, r->answer.months);
    p->keep.months = (uint32_t)keep;
    p->answer.months = (uint32_t)answer;
    p->on_accept = p->on_accept || r->reveal == LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT;
    plain_add(p->returns, r->returns.n > 0 ? r->returns.list : OUTCOME,
              r->returns.n > 0 ? r->returns.n : 1);
    plain_add(p->approvals, r->approvals.list, r->approvals.n);
    p->rates += r->rate > 0;
}

static void plain_told(const struct rules_draft_rule *r, const struct rules_question *q,
                       struct plain *p)
{
    struct rules_names who = r->escalate_supervisor
                                 ? plain_agency(q->to)->supervisors
                                 : (struct rules_names){r->escalate.list, r->escalate.n};

    if (r->answer.fixed_s > 0 && r->answer.fixed_s == p->answer.fixed_s)
        plain_add(p->told[0], who.list, who.n);
    if (r->answer.months > 0 && r->answer.months == p->answer.months)
        plain_add(p->told[1], who.list, who.n);
}

static bool plain_matches(const struct rules_draft_rule *r,
                          const struct rules_question *q)
{
    return plain_misses(r, q) == 0;
}

static bool plain_is_partial(const struct rules_draft_rule *r)
{
    return r->deny && (r->sections.any || r->sections.n > 0);
}

static uint32_t plain_sections(const struct rules_draft_rule *r,
                               const struct rules_question *q)
{
    uint32_t out = 0;

    for (size_t s = 0; s < q->n_sections; s++)
        if (plain_words(&r->sections, q->sections[s], false))
            out |= UINT32_C(1) << s;
    return out;
}

static void plain_name(struct plain *p, size_t i)
{
    p->named[i] = true;
    p->n_named++;
}

static void plain_allow(const struct rules_draft_rule *rules, size_t n,
                        const struct rules_question *q, struct plain *p)
{
    uint32_t removed = 0, all = (UINT32_C(1) << q->n_sections) - 1;
    size_t n_partial = 0;

    for (size_t i = 0; i < n; i++)
        if (plain_matches(&rules[i], q) && !rules[i].deny) {
            p->granted |= plain_sections(&rules[i], q);
            plain_strictest(&rules[i], p);
            plain_name(p, i);
        }
    for (size_t i = 0; i < n; i++)
        if (plain_matches(&rules[i], q) && !rules[i].deny)
            plain_told(&rules[i], q, p);
    for (size_t i = 0; i < n; i++)
        if (plain_matches(&rules[i], q) && plain_is_partial(&rules[i])) {
            n_partial++;
            removed |= plain_sections(&rules[i], q);
            if ((plain_sections(&rules[i], q) & p->granted) != 0)
                plain_name(p, i);
        }
    p->granted &= ~removed;
    p->code = p->granted == all || q->strip ? LIAISON_OK : LIAISON_SECTIONS;
    size_t allows = 0;

    for (size_t i = 0; i < n; i++)
        allows += plain_matches(&rules[i], q) && !rules[i].deny;
    if (allows + n_partial > RULES_MATCHED_MAX)
        *p = (struct plain){.code = LIAISON_LIMIT};
}

static void plain_decide(const struct rules_draft_rule *rules, size_t n,
                         const struct rules_question *q, struct plain *p)
{
    bool denied, allowed = false, large = false;
    bool justice = strcmp(plain_agency(q->to)->kind, "court") == 0;

    *p = (struct plain){.keep = {.months = 12}};
    p->h1 = denied = q->handling == LIAISON__V1__HANDLING__HANDLING_H1 && justice;
    if (plain_is_gone(q->from, q->day) || plain_is_gone(q->to, q->day)) {
        p->code =
            plain_is_gone(q->from, q->day) ? LIAISON_UNKNOWN_AGENCY : LIAISON_RECIPIENT;
        p->h1 = false;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned misses = plain_misses(&rules[i], q);

        denied = denied || (misses == 0 && rules[i].deny && !plain_is_partial(&rules[i]));
        allowed = allowed || (misses == 0 && !rules[i].deny);
        large = large || (misses == 1U << RULES_IF_SIZE && !rules[i].deny);
    }
    if (!denied && allowed) {
        plain_allow(rules, n, q, p);
        return;
    }
    p->code = denied ? LIAISON_DENIED : large ? LIAISON_TOO_LARGE : LIAISON_NOT_ALLOWED;
    for (size_t i = 0; i < n; i++) {
        unsigned misses = plain_misses(&rules[i], q);

        if (denied ? misses == 0 && rules[i].deny && !plain_is_partial(&rules[i])
                   : large && misses == 1U << RULES_IF_SIZE && !rules[i].deny)
            plain_name(p, i);
    }
    if (p->n_named + p->h1 > RULES_MATCHED_MAX)
        *p = (struct plain){.code = LIAISON_LIMIT};
}

/* ---------------------------------------------------------------- agreement */

static int by_word(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

/* The same words, whatever their order in `plain`; those of a decision that tells more than one rule rise. */
static void same_words(const char *plain, const char *const *list, size_t n)
{
    char copy[200], *words[32];
    size_t count = 0;

    snprintf(copy, sizeof copy, "%s", plain);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        words[count++] = word;
    qsort(words, count, sizeof *words, by_word);
    assert_int_equal(n, count);
    for (size_t i = 0; i < n; i++)
        assert_true(plain_has((const char *const *)words, count, list[i]));
}

static void same_answers(const struct plain *p, const struct rules_decision *d)
{
    const uint64_t lengths[] = {p->answer.fixed_s, p->answer.months};
    size_t n = 0;

    assert_int_equal(d->n_answers, (lengths[0] > 0) + (lengths[1] > 0));
    for (size_t k = 0; k < 2; k++) {
        if (lengths[k] == 0)
            continue;
        const struct rules_answer *answer = &d->answers[n++];

        assert_int_equal(answer->within.fixed_s, k == 0 ? lengths[0] : 0);
        assert_int_equal(answer->within.months, k == 1 ? lengths[1] : 0);
        same_words(p->told[k], answer->escalate.list, answer->escalate.n);
        for (size_t i = 1; i < answer->escalate.n; i++)
            assert_true(strcmp(answer->escalate.list[i - 1], answer->escalate.list[i]) <
                        0);
    }
}

static void same_names(const struct plain *p, const struct rules_decision *d)
{
    assert_int_equal(d->n_lines, p->n_named + p->h1);
    for (size_t i = 0; i < d->n_lines; i++) {
        bool builtin = strcmp(d->lines[i]->where, "built-in") == 0;

        assert_true(builtin ? p->h1
                            : p->named[atoi(d->lines[i]->where + strlen("made:"))]);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(d->lines[i], d->lines[k]);
    }
}

static void same_obligations(const struct plain *p, const struct rules_decision *d)
{
    char keep[64];

    assert_int_equal(d->reveal == LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT, p->on_accept);
    assert_int_equal(d->keep_for.fixed_s, p->keep.fixed_s);
    assert_int_equal(d->keep_for.months, p->keep.months);
    assert_string_equal(d->keep, rules_span_text(p->keep, keep));
    same_words(p->returns, d->returns, d->n_returns);
    same_words(p->approvals, d->approvals, d->n_approvals);
    for (size_t i = 1; i < d->n_approvals; i++)
        assert_true(strcmp(d->approvals[i - 1], d->approvals[i]) < 0);
    same_answers(p, d);
    assert_int_equal(d->n_rates, p->rates);
}

static void see_agreement(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                          struct arena *a)
{
    struct rules *r = build(rules, n);

    for (int i = 0; i < QUESTIONS_TRIED; i++) {
        struct asked asked;
        struct rules_decision out;
        struct plain want;

        make_question(d, &asked);
        plain_decide(rules, n, &asked.q, &want);
        rules_decide(r, &asked.q, a, &out);
        if (out.code != want.code || out.granted != want.granted)
            fail_msg("code %d granted %x, want %d %x: %s", (int)out.code, out.granted,
                     (int)want.code, want.granted, rules_explain(&out, &asked.q, a));
        same_names(&want, &out);
        if (out.code == LIAISON_OK || out.code == LIAISON_SECTIONS)
            same_obligations(&want, &out);
        if (out.code != LIAISON_UNKNOWN_AGENCY && out.code != LIAISON_RECIPIENT)
            assert_int_equal(out.crossing, plain_crossing(&asked.q) != 0);
    }
    rules_free(r);
}

static void
a_decision_is_that_of_a_judge_who_reads_rule_by_rule_and_names_those_that_made_it(
    void **state)
{
    (void)state;
    over_made_up_sets(see_agreement);
}

static void see_misses(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                       struct arena *a)
{
    struct rules *r = build(rules, n);

    (void)a;
    for (int i = 0; i < QUESTIONS_TRIED / 4; i++) {
        struct asked asked;
        size_t index, near[RULES_TRIED], n_near;
        int least = 99;

        make_question(d, &asked);
        asked.q.day = TODAY - 1; /* nobody is merged yet */
        for (size_t k = 0; k < n; k++) {
            (void)rules_line_at(r, k, &index);
            unsigned want = plain_misses(&rules[index], &asked.q);

            assert_int_equal(rules_misses(r, &asked.q, k), want);
            if (!rules[index].deny && __builtin_popcount(want) < least)
                least = __builtin_popcount(want);
        }
        n_near = rules_nearest(r, &asked.q, 3, near, RULES_TRIED);
        assert_int_equal(n_near > 0, least <= 3);
        for (size_t k = 0; k < n_near; k++) {
            (void)rules_line_at(r, near[k], &index);
            assert_false(rules[index].deny);
            assert_int_equal(__builtin_popcount(plain_misses(&rules[index], &asked.q)),
                             least);
        }
    }
    rules_free(r);
}

static void what_a_rule_misses_is_said_condition_by_condition(void **state)
{
    (void)state;
    over_made_up_sets(see_misses);
}

/* ---------------------------------------------------------------- laws */

/* All that a decision says, but for where its rules stand. */
static void say_decision(const struct rules_decision *d, bool with_lines, char out[6000])
{
    int n = snprintf(out, 6000, "%d %x %d %s", (int)d->code, d->granted, (int)d->reveal,
                     d->keep);

    for (size_t i = 0; i < d->n_returns; i++)
        n += snprintf(out + n, 6000 - (size_t)n, " r:%s", d->returns[i]);
    for (size_t i = 0; i < d->n_approvals; i++)
        n += snprintf(out + n, 6000 - (size_t)n, " a:%s", d->approvals[i]);
    for (size_t i = 0; i < d->n_answers; i++) {
        n +=
            snprintf(out + n, 6000 - (size_t)n, " w:%u/%u",
                     (unsigned)d->answers[i].within.fixed_s, d->answers[i].within.months);
        for (size_t k = 0; k < d->answers[i].escalate.n; k++)
            n += snprintf(out + n, 6000 - (size_t)n, ",%s",
                          d->answers[i].escalate.list[k]);
    }
    for (size_t i = 0; i < d->n_lines && with_lines; i++)
        n += snprintf(out + n, 6000 - (size_t)n, " %02x%02x%02x%02x", d->lines[i]->id[0],
                      d->lines[i]->id[1], d->lines[i]->id[2], d->lines[i]->id[3]);
}

static void see_shuffle(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                        struct arena *a)
{
    static struct rules_draft_rule other[RULES_TRIED];

    memcpy(other, rules, n * sizeof *other);
    for (size_t i = n; i > 1; i--) {
        size_t k = roll(d, (unsigned)i);
        struct rules_draft_rule swap = other[i - 1];

        other[i - 1] = other[k];
        other[k] = swap;
    }
    struct rules *r = build(rules, n), *s = build(other, n);

    for (int i = 0; i < QUESTIONS_TRIED; i++) {
        struct asked asked;
        struct rules_decision x, y;
        char one[6000], two[6000];

        make_question(d, &asked);
        rules_decide(r, &asked.q, a, &x);
        rules_decide(s, &asked.q, a, &y);
        say_decision(&x, true, one);
        say_decision(&y, true, two);
        assert_string_equal(one, two);
    }
    rules_free(r);
    rules_free(s);
}

static void the_order_of_rules_never_matters(void **state)
{
    (void)state;
    over_made_up_sets(see_shuffle);
}

static bool is_no_looser(struct rules_span strict, struct rules_span loose)
{
    return (loose.fixed_s == 0 ||
            (strict.fixed_s > 0 && strict.fixed_s <= loose.fixed_s)) &&
           (loose.months == 0 || (strict.months > 0 && strict.months <= loose.months));
}

/* `more` came about under one allow more than `less`, and both let something pass. */
static void no_looser(const struct rules_decision *more,
                      const struct rules_decision *less)
{
    struct rules_span a = {0}, b = {0};

    assert_true(is_no_looser(more->keep_for, less->keep_for));
    assert_true(more->reveal == LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT ||
                more->reveal == less->reveal);
    for (size_t i = 0; i < less->n_approvals; i++)
        assert_true(plain_has(more->approvals, more->n_approvals, less->approvals[i]));
    assert_true(more->n_rates >= less->n_rates);
    for (size_t i = 0; i < more->n_answers; i++) {
        a.fixed_s += more->answers[i].within.fixed_s;
        a.months += more->answers[i].within.months;
    }
    for (size_t i = 0; i < less->n_answers; i++) {
        b.fixed_s += less->answers[i].within.fixed_s;
        b.months += less->answers[i].within.months;
    }
    assert_true(is_no_looser(a, b));
}

static bool names_rule(const struct rules_decision *d, const char *where)
{
    for (size_t i = 0; i < d->n_lines; i++)
        if (strcmp(d->lines[i]->where, where) == 0)
            return true;
    return false;
}

/* What too many rules match is refused whole: taking one of those away is the one way to widen it. */
static void see_removed(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                        struct arena *a)
{
    static struct rules_draft_rule fewer[RULES_TRIED];
    size_t gone = roll(d, (unsigned)n);

    memcpy(fewer, rules, n * sizeof *fewer);
    fewer[gone] = fewer[n - 1];
    struct rules *all = build(rules, n), *rest = build(fewer, n - 1);

    for (int i = 0; i < QUESTIONS_TRIED; i++) {
        struct asked asked;
        struct rules_decision x, y;
        char one[6000], two[6000];

        make_question(d, &asked);
        rules_decide(all, &asked.q, a, &x);
        rules_decide(rest, &asked.q, a, &y);
        if (x.code == LIAISON_LIMIT)
            continue;
        if (!names_rule(&x, rules[gone].where)) {
            say_decision(&x, true, one);
            say_decision(&y, true, two);
            assert_string_equal(one, two);
        } else if (!rules[gone].deny) {
            assert_int_equal(y.granted & ~x.granted, 0);
            assert_false(y.code == LIAISON_OK && x.code != LIAISON_OK && asked.q.strip);
            if (x.code == LIAISON_OK && y.code == LIAISON_OK)
                no_looser(&x, &y);
        }
    }
    rules_free(all);
    rules_free(rest);
}

static void an_allow_taken_away_never_widens_and_one_more_never_loosens(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        over_made_up_sets(see_removed);
}

/* ---------------------------------------------------------------- rules that never matter */

static void see_reach(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                      struct arena *a)
{
    static struct rules_draft_rule fewer[RULES_TRIED];
    struct rules *r = build(rules, n);

    for (size_t k = 0; k < n; k++) {
        size_t other = n, index;
        enum rules_reach reach = rules_reach(r, k, &other);
        const char *text = rules_line_at(r, k, &index)->text;

        if (reach == RULES_REACHED)
            continue;
        memcpy(fewer, rules, n * sizeof *fewer);
        fewer[index] = fewer[n - 1];
        struct rules *rest = build(fewer, n - 1);

        for (int i = 0; i < QUESTIONS_TRIED / 2; i++) {
            struct asked asked;
            struct rules_decision x, y;
            char one[6000], two[6000];

            make_question(d, &asked);
            rules_decide(r, &asked.q, a, &x);
            rules_decide(rest, &asked.q, a, &y);
            say_decision(&x, false, one);
            say_decision(&y, false, two);
            if (x.code == LIAISON_LIMIT)
                continue;
            if (reach == RULES_BEATEN ? x.granted != y.granted : strcmp(one, two) != 0)
                fail_msg("reach %d, yet it changes %s to %s: %s", (int)reach, two, one,
                         text);
        }
        rules_free(rest);
    }
    rules_free(r);
}

static void a_rule_that_is_called_useless_changes_no_decision(void **state)
{
    (void)state;
    over_made_up_sets(see_reach);
}

/* ---------------------------------------------------------------- every question */

struct seen {
    const struct rules *const *sets;
    size_t n_sets;
    char (*said)[400];
    size_t n, visits;
    struct arena *a;
};

/* What all sets say to one question. */
static void say_all(const struct seen *s, const struct rules_question *q, char out[400])
{
    *out = '\0';
    for (size_t i = 0; i < s->n_sets; i++) {
        struct rules_decision d;
        char said[6000];

        rules_decide(s->sets[i], q, s->a, &d);
        say_decision(&d, true, said);
        strncat(out, said, 399 - strlen(out));
        strncat(out, "|", 399 - strlen(out));
    }
}

static bool is_seen(const struct seen *s, const char *said)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->said[i], said) == 0)
            return true;
    return false;
}

enum { SAID_MAX = 20000 };

static bool note(void *arg, const struct rules_question *q)
{
    struct seen *s = arg;

    s->visits++;
    assert_true(s->n < SAID_MAX);
    say_all(s, q, s->said[s->n]);
    if (!is_seen(s, s->said[s->n]))
        s->n++;
    return true;
}

/* Asks a question with every open fact made up. */
static void made_up_facts(struct dice *d, unsigned open, struct rules_question *q)
{
    struct asked a;

    make_question(d, &a);
    q->type = (open >> RULES_FACT_TYPE & 1) != 0 ? a.q.type : q->type;
    q->category = (open >> RULES_FACT_CATEGORY & 1) != 0 ? a.q.category : q->category;
    q->purpose = (open >> RULES_FACT_PURPOSE & 1) != 0 ? a.q.purpose : q->purpose;
    q->basis = (open >> RULES_FACT_BASIS & 1) != 0 ? a.q.basis : q->basis;
    if ((open >> RULES_FACT_MINOR & 1) != 0)
        q->minor = (Liaison__V1__Minor)(1 + roll(d, 3));
    if ((open >> RULES_FACT_HANDLING & 1) != 0)
        q->handling = (Liaison__V1__Handling)(1 + roll(d, 5));
    if ((open >> RULES_FACT_REGIME & 1) != 0)
        q->regime = (Liaison__V1__Regime)(1 + roll(d, 2));
    if ((open >> RULES_FACT_INFORMED & 1) != 0)
        q->informed = (Liaison__V1__Informed)(1 + roll(d, 5));
    if ((open >> RULES_FACT_URGENCY & 1) != 0)
        q->urgency = (Liaison__V1__Urgency)(1 + roll(d, 4));
    if ((open >> RULES_FACT_SUBJECT & 1) != 0)
        q->subject = (Liaison__V1__SubjectCategory)(1 + roll(d, 7));
}

/* The rules in two halves, as an old and a new set. */
static void see_each(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                     struct arena *a)
{
    size_t used = n < 12 ? n : 12;
    struct rules *old = build(rules, used),
                 *new = build(rules + used / 2, used - used / 2);
    const struct rules *const sets[] = {old, new};
    struct seen s = {sets, 2, malloc(SAID_MAX * sizeof *s.said), 0, 0, a};

    for (int i = 0; i < 8; i++) {
        struct asked asked;
        unsigned open =
            roll(d, 1U << RULES_FACT__COUNT) | roll(d, 1U << RULES_FACT__COUNT);
        size_t visited = 0;
        char said[400];

        make_question(d, &asked);
        s.n = s.visits = 0;
        enum liaison_code code =
            rules_each(sets, 2, &asked.q, open, SAID_MAX - 1, note, &s, &visited);

        if (code == LIAISON_LIMIT) {
            assert_int_equal(s.visits, 0);
            continue;
        }
        assert_int_equal(code, LIAISON_OK);
        assert_int_equal(visited, s.visits);
        for (int k = 0; k < 100; k++) {
            made_up_facts(d, open, &asked.q);
            say_all(&s, &asked.q, said);
            if (!is_seen(&s, said))
                fail_msg("no question asked is answered so: %s", said);
        }
        arena_reset(a);
    }
    free(s.said);
    rules_free(old);
    rules_free(new);
}

static void every_question_there_is_is_answered_as_one_that_was_asked(void **state)
{
    (void)state;
    over_made_up_sets(see_each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_decision_is_that_of_a_judge_who_reads_rule_by_rule_and_names_those_that_made_it),
        cmocka_unit_test(what_a_rule_misses_is_said_condition_by_condition),
        cmocka_unit_test(the_order_of_rules_never_matters),
        cmocka_unit_test(an_allow_taken_away_never_widens_and_one_more_never_loosens),
        cmocka_unit_test(a_rule_that_is_called_useless_changes_no_decision),
        cmocka_unit_test(every_question_there_is_is_answered_as_one_that_was_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
