/* Judges how tests are written, and whether they can mean anything. */
#include "broker/conf/check.h"
#include "broker/conf/suggest.h"

enum { HINT_MAX = 300 };

/* A word that a test may use where rules use it. */
struct use {
    const char *what;
    enum clause kind; /* CLAUSE__COUNT: the category */
};

static const struct use CATEGORY = {"category", CLAUSE__COUNT},
                        PURPOSE = {"purpose", CLAUSE_PURPOSE},
                        BASIS = {"basis", CLAUSE_BASIS},
                        SECTION = {"section", CLAUSE_SECTIONS};

/* The words that a rule has for this, NULL if it has none; *any: it takes each. */
static const struct texts *words_of(const struct tree_rule *r, const struct use *use,
                                    struct texts *one, bool *any)
{
    if (use->kind == CLAUSE__COUNT) {
        *one = (struct texts){(struct text *)(uintptr_t)&r->category, 1, 1};
        *any = r->category.s == NULL;
        return *any ? NULL : one;
    }
    const struct tree_clause *c = tree_find(r->clauses, use->kind);

    *any = c != NULL ? c->values.any : r->deny || use->kind != CLAUSE_SECTIONS;
    return c != NULL && !*any ? &c->values.words : NULL;
}

static bool in_rules(const struct check *c, const struct use *use, const char *word,
                     bool *any)
{
    for (size_t i = 0; i < c->t->n_rules; i++) {
        struct texts one;
        bool takes_all;
        const struct texts *words = words_of(&c->t->rules[i], use, &one, &takes_all);

        *any = *any || takes_all;
        for (size_t k = 0; words != NULL && k < words->n; k++)
            if (strcmp(words->list[k].s, word) == 0)
                return true;
    }
    return false;
}

static struct suggest nearest(const struct check *c, const struct use *use,
                              const char *word)
{
    struct suggest s = suggest_for(word);

    for (size_t i = 0; i < c->t->n_rules; i++) {
        struct texts one;
        bool any;
        const struct texts *words = words_of(&c->t->rules[i], use, &one, &any);

        for (size_t k = 0; words != NULL && k < words->n; k++)
            suggest_try(&s, words->list[k].s);
    }
    return s;
}

/* A word that no rule names tests nothing, or, where some rule takes any word, perhaps not what was meant. */
static bool want_used(const struct check *c, const struct text *t, const struct use *use)
{
    char hint[HINT_MAX];
    bool any = false;

    if (t->s == NULL || c->t->lost_rule || in_rules(c, use, t->s, &any))
        return true;
    struct suggest s = nearest(c, use, t->s);

    if (!any)
        report_error(c->t->report, t->at, "no rule names the %s \"%s\"%s", use->what,
                     t->s, suggest_text(&s, hint, sizeof hint));
    else if (s.best != NULL)
        report_warning(c->t->report, t->at,
                       "no rule names the %s \"%s\"; only what stands for any word can "
                       "match%s",
                       use->what, t->s, suggest_text(&s, hint, sizeof hint));
    return any;
}

static bool all_used(const struct check *c, const struct tree_test *t, enum clause kind,
                     const struct use *use)
{
    const struct tree_clause *given = tree_find(t->clauses, kind);
    bool good = true;

    for (size_t i = 0; given != NULL && i < given->values.words.n; i++)
        good = want_used(c, &given->values.words.list[i], use) && good;
    return good;
}

static bool few_sections(const struct check *c, const struct tree_test *t)
{
    const struct tree_clause *given = tree_find(t->clauses, CLAUSE_SECTIONS);

    if (given == NULL || given->values.words.n <= RULES_SECTIONS_MAX)
        return true;
    report_error(c->t->report, given->word.at, "too many sections; expected at most %d",
                 RULES_SECTIONS_MAX);
    return false;
}

static bool sends(const struct tree_clause *sent, const char *section)
{
    for (size_t i = 0; i < sent->values.words.n; i++)
        if (strcmp(sent->values.words.list[i].s, section) == 0)
            return true;
    return false;
}

/* What is not sent cannot be granted. */
static bool all_sent(const struct check *c, const struct tree_test *t,
                     const struct texts *expected)
{
    const struct tree_clause *sent = tree_find(t->clauses, CLAUSE_SECTIONS);
    bool good = true;

    for (size_t i = 0; sent != NULL && i < expected->n; i++)
        if (!sends(sent, expected->list[i].s)) {
            report_error(c->t->report, expected->list[i].at,
                         "this test does not send the section \"%s\"; expected it after "
                         "sections, or not here",
                         expected->list[i].s);
            good = false;
        }
    return good;
}

/* What is expected: a verdict, or sections out of those that are sent. */
static bool check_expected(const struct check *c, const struct tree_test *t)
{
    const struct tree_clause *e = tree_find(t->clauses, CLAUSE_EXPECT);

    if (e == NULL) {
        if (!t->broken)
            report_error(
                c->t->report, t->name.at,
                "this test expects nothing; expected expect allow, expect deny or "
                "expect sections { WORD, ... }");
        return false;
    }
    return !e->values.any ||
           (all_used(c, t, CLAUSE_EXPECT, &SECTION) && all_sent(c, t, &e->values.words));
}

static void check_test(const struct check *c, struct tree_test *t)
{
    bool good = check_expected(c, t);

    if (t->broken)
        return;
    good = want_agency(c, &t->from, NULL) && good;
    good = want_agency(c, &t->to, NULL) && good;
    if (t->category.s != NULL)
        good = want_word(c, &t->category, "category") && good;
    good = check_clauses(c, t->clauses) && few_sections(c, t) && good;
    if (good) {
        good = want_used(c, &t->category, &CATEGORY);
        good = all_used(c, t, CLAUSE_PURPOSE, &PURPOSE) && good;
        good = all_used(c, t, CLAUSE_BASIS, &BASIS) && good;
        good = all_used(c, t, CLAUSE_SECTIONS, &SECTION) && good;
    }
    t->broken = !good;
}

void check_tests(struct check *c)
{
    struct index x = {0};

    index_make(c, &x, c->t->n_tests);
    for (size_t i = 0; i < c->t->n_tests && x.list != NULL; i++) {
        check_test(c, &c->t->tests[i]);
        if (c->t->tests[i].name.quoted)
            index_add(&x, &c->t->tests[i].name);
    }
    index_sort(&x);
    index_twice(c, &x, "test");
}
