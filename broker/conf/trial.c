#include "broker/conf/trial.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/conf/units.h"
#include "broker/conf/values.h"

enum { QUESTIONS_MAX = 1 << 18, TEXT_MAX = 3000 };

struct trial {
    struct tree *t;
    const struct rules *rules;
    struct texts all_sections; /* that rules grant; made when first needed */
    bool listed;
    struct texts no_sections;

    struct tree_test *test; /* that is being run */
    const struct tree_clause *expected;
    struct arena *a; /* of one question */
    char why[TEXT_MAX];
};

static void say(struct trial *x, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct trial *x, const char *fmt, ...)
{
    size_t n = strlen(x->why);
    va_list args;

    va_start(args, fmt);
    vsnprintf(x->why + n, sizeof x->why - n, fmt, args);
    va_end(args);
}

/* ---------------------------------------------------------------- the question */

static struct text given(const struct trial *x, enum clause kind)
{
    return tree_value(x->test->clauses, kind);
}

static unsigned number(const struct trial *x, enum clause kind,
                       const struct value *values)
{
    struct text t = given(x, kind);

    return t.s != NULL ? values_number(values, t.s) : 0;
}

static Liaison__V1__Minor minor(const struct trial *x)
{
    const struct tree_clause *c = tree_find(x->test->clauses, CLAUSE_MINOR);

    if (c == NULL)
        return LIAISON__V1__MINOR__MINOR_UNSPECIFIED;
    if (c->values.words.n > 0)
        return LIAISON__V1__MINOR__MINOR_UNKNOWN;
    return strcmp(c->word.s, "minor") == 0 ? LIAISON__V1__MINOR__MINOR_YES
                                           : LIAISON__V1__MINOR__MINOR_NO;
}

static struct rules_question question(const struct trial *x)
{
    struct rules_question q = {
        .from = x->test->from.s,
        .to = x->test->to.s,
        .type = x->test->type,
        .category = x->test->category.s,
        .purpose = given(x, CLAUSE_PURPOSE).s,
        .basis = given(x, CLAUSE_BASIS).s,
        .minor = minor(x),
        .handling = number(x, CLAUSE_HANDLING, HANDLINGS),
        .regime = number(x, CLAUSE_REGIME, REGIMES),
        .informed = number(x, CLAUSE_INFORMED, INFORMEDS),
        .urgency = number(x, CLAUSE_URGENCY, URGENCIES),
        .subject = number(x, CLAUSE_SUBJECT, SUBJECTS),
        .strip = x->expected->values.any,
    };
    struct text size = given(x, CLAUSE_SIZE), date = given(x, CLAUSE_DATE);
    uint64_t bytes;

    if (size.s != NULL && units_size(size.s, &bytes))
        q.bytes = bytes;
    if (date.s != NULL)
        (void)units_date(date.s, &q.day);
    return q;
}

/* ---------------------------------------------------------------- sections */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct text *)a)->s, ((const struct text *)b)->s);
}

static void list_sections(struct trial *x)
{
    struct texts *all = &x->all_sections;
    size_t most = 0, n = 0;

    x->listed = true;
    for (size_t i = 0; i < x->t->n_rules; i++) {
        const struct tree_clause *c = tree_find(x->t->rules[i].clauses, CLAUSE_SECTIONS);

        most += c != NULL ? c->values.words.n : 0;
    }
    all->list = arena_alloc(x->t->arena, most * sizeof *all->list);
    if (all->list == NULL) {
        report_memory(x->t->report);
        return;
    }
    for (size_t i = 0; i < x->t->n_rules; i++) {
        const struct tree_clause *c = tree_find(x->t->rules[i].clauses, CLAUSE_SECTIONS);

        for (size_t k = 0; c != NULL && k < c->values.words.n; k++)
            all->list[n++] = c->values.words.list[k];
    }
    qsort(all->list, n, sizeof *all->list, by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(all->list[i].s, all->list[all->n - 1].s) != 0)
            all->list[all->n++] = all->list[i];
}

/* The sections that are sent: the test's own; where sections are expected and none is sent, all there are. */
static const struct texts *sent(struct trial *x)
{
    const struct tree_clause *own = tree_find(x->test->clauses, CLAUSE_SECTIONS);

    if (own != NULL)
        return &own->values.words;
    if (!x->expected->values.any)
        return &x->no_sections;
    if (!x->listed)
        list_sections(x);
    return &x->all_sections;
}

static bool is_expected(const struct trial *x, const char *section)
{
    const struct texts *list = &x->expected->values.words;

    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->list[i].s, section) == 0)
            return true;
    return false;
}

/* ---------------------------------------------------------------- one question */

/* The first section that is granted and not expected, or the other way round; NULL if there is none. */
static const char *unexpected(const struct trial *x, const struct rules_question *q,
                              const struct rules_decision *d, bool *granted)
{
    for (size_t i = 0; i < q->n_sections; i++) {
        *granted = (d->granted >> i & 1) != 0;
        if (*granted != is_expected(x, q->sections[i]))
            return q->sections[i];
    }
    return NULL;
}

static void say_section(struct trial *x, const struct rules_question *q,
                        const struct rules_decision *d)
{
    bool granted;
    const char *section = unexpected(x, q, d, &granted);

    if (section != NULL && d->code == LIAISON_OK)
        say(x, "section %s is %s: ", section, granted ? "granted" : "not granted");
}

static bool look_away(void *arg, const struct rules_question *q)
{
    (void)arg;
    (void)q;
    return true;
}

/* True if some rule tells values of this fact apart. */
static bool matters(const struct trial *x, const struct rules_question *q, unsigned fact)
{
    return rules_each(&x->rules, 1, q, 1U << fact, 1, look_away, NULL, NULL) !=
           LIAISON_OK;
}

/* What the question says of facts that the test left open, and what was decided. */
static void say_decided(struct trial *x, const struct rules_question *q,
                        const struct rules_decision *d)
{
    static const char *const MINORS[] = {"", "minor", "adult", "minor unknown"};
    const struct rules_question own = question(x);
    const unsigned open = rules_open_facts(&own);
    const struct {
        const char *before, *word;
    } facts[RULES_FACT__COUNT] = {
        [RULES_FACT_MINOR] = {"", MINORS[q->minor]},
        [RULES_FACT_HANDLING] = {"handling ", values_word(HANDLINGS, q->handling)},
        [RULES_FACT_REGIME] = {"regime ", values_word(REGIMES, q->regime)},
        [RULES_FACT_INFORMED] = {"informed ", values_word(INFORMEDS, q->informed)},
        [RULES_FACT_URGENCY] = {"urgency ", values_word(URGENCIES, q->urgency)},
        [RULES_FACT_SUBJECT] = {"subject ", values_word(SUBJECTS, q->subject)},
        [RULES_FACT_PURPOSE] = {"purpose ", q->purpose},
        [RULES_FACT_BASIS] = {"basis ", q->basis},
        [RULES_FACT_CATEGORY] = {"category ", q->category},
    };
    const char *between = "with ";

    for (unsigned i = 0; i < RULES_FACT__COUNT; i++)
        if ((open >> i & 1) != 0 && facts[i].word != NULL && matters(x, q, i)) {
            say(x, "%s%s%s", between, facts[i].before, facts[i].word);
            between = ", ";
        }
    if (*between != 'w')
        say(x, ": ");
    if (x->expected->values.any)
        say_section(x, q, d);
    say(x, "%s", rules_explain(d, q, x->a));
}

static bool visit(void *arg, const struct rules_question *q)
{
    struct trial *x = arg;
    struct rules_decision d;
    bool allowed, good, granted;

    x->test->questions++;
    arena_reset(x->a);
    rules_decide(x->rules, q, x->a, &d);
    allowed = d.code == LIAISON_OK;
    if (x->expected->values.any)
        good = allowed && unexpected(x, q, &d, &granted) == NULL;
    else
        good = allowed == (strcmp(x->expected->values.words.list[0].s, "allow") == 0);
    if (d.code == LIAISON_MEMORY)
        report_memory(x->t->report);
    if (!good)
        say_decided(x, q, &d);
    return good && d.code != LIAISON_MEMORY;
}

/* ---------------------------------------------------------------- a test */

/* True if all questions with these sections are decided as expected; else x->why says what was not. */
static bool ask(struct trial *x, const struct texts *sections, size_t from, size_t n)
{
    const char *names[RULES_SECTIONS_MAX];
    struct rules_question q = question(x);

    for (size_t i = 0; i < n; i++)
        names[i] = sections->list[from + i].s;
    q.sections = names;
    q.n_sections = n;
    enum liaison_code code =
        rules_each(&x->rules, 1, &q, rules_open_facts(&q), QUESTIONS_MAX, visit, x, NULL);

    if (code == LIAISON_LIMIT)
        say(x,
            "it leaves more than %d questions open; expected it to say more, such as "
            "category, purpose or basis",
            QUESTIONS_MAX);
    else if (code == LIAISON_MEMORY)
        report_memory(x->t->report);
    return code == LIAISON_OK;
}

static void run(struct trial *x)
{
    const struct texts *sections = sent(x);
    size_t from = 0;

    x->why[0] = '\0';
    x->test->ran = true;
    do {
        size_t n = sections->n - from < RULES_SECTIONS_MAX ? sections->n - from
                                                           : RULES_SECTIONS_MAX;

        if (!ask(x, sections, from, n)) {
            x->test->failure = (const char *)arena_copy(x->t->arena, slice_text(x->why));
            report_error(x->t->report, x->test->name.at, "this test fails: %s", x->why);
            return;
        }
        from += n;
    } while (from < sections->n);
    x->t->n_passed++;
}

void trials_run(struct tree *t, const struct rules *r)
{
    struct trial *x = arena_zero(t->arena, sizeof *x);

    if (x == NULL || (x->a = arena_new()) == NULL) {
        report_memory(t->report);
        return;
    }
    x->t = t;
    x->rules = r;
    for (size_t i = 0; i < t->n_tests && !report_full(t->report); i++) {
        x->test = &t->tests[i];
        x->expected = tree_find(x->test->clauses, CLAUSE_EXPECT);
        if (!x->test->broken && x->expected != NULL)
            run(x);
    }
    arena_free(x->a);
}
