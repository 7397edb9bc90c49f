/* What two rule sets decide differently: made-up pairs of sets, against every question drawn; and how rows are put together.
 * All agencies are invented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "broker/conf/boxes.h"
#include "broker/conf/conf.h"
#include "broker/rules/compare.h"

enum {
    SETS_TRIED = 150,
    QUESTIONS_TRIED = 1500,
    TODAY = 20000,
    N_RULES = 7,
    KEPT_MAX = 1 << 16
};

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

/* ------------------------------------------------------------ made-up sets */

/* Agencies in variants: what a change of declarations does must be found, too. */
static const char *const AGENCIES[][4] = {
    {"agency fr/a kind prison area fr\n",
     "agency fr/a kind prison area fr supervisor fr/b\n",
     "agency fr/a kind police area fr\n", ""},
    {"agency fr/b kind ngo area fr/lyon\n",
     "agency fr/b kind ngo area fr/lyon regime led\n",
     "agency fr/b kind court area fr/lyon\n", "agency fr/b kind school area fr/lyon\n"},
    {"agency fr/c kind police area fr/lyon\n", "agency fr/c kind court area fr/lyon\n",
     "agency fr/c kind police area de\n",
     "agency fr/c kind police area fr/lyon merged into fr/b on 2024-10-10\n"},
    {"group g { fr/b, fr/c }\n", "group g { fr/b }\n", "group g { fr/a, fr/c }\n",
     "group g { fr/c }\n"},
    {"keep 2y\n", "keep 2y\n", "keep 2y\n", "keep 1y\n"},
};
enum { DECLARED = sizeof AGENCIES / sizeof *AGENCIES };

static const char *const NAMES[] = {"fr/a", "fr/b", "fr/c"};
static const char *const CATEGORIES[] = {"c0", "c1", "c2"},
                         *const PURPOSES[] = {"p0", "p1", "p2"},
                         *const BASES[] = {"b0", "b1", "b2"},
                         *const SECTIONS[] = {"s0", "s1", "s2"};

static const char *pick(struct dice *d, const char *const *list, size_t n)
{
    return list[roll(d, (unsigned)n)];
}
#define PICK(d, list) pick(d, list, sizeof(list) / sizeof *(list))

/* A rule with few words, so that rules meet. */
static void make_rule(struct dice *d, char *out, size_t len)
{
    static const char *const TYPE[] = {"referral", "any", "transfer"};
    static const char *const CATEGORY[] = {"\"c0\"", "\"c1\"", "any"};
    static const char *const PARTY[] = {"any",  "kind police", "group g",
                                        "fr/b", "kind ngo",    "{ fr/a, fr/c }"};
    static const char *const PURPOSE[] = {" purpose any", " purpose { p0 }",
                                          " purpose { p0, p1 }"};
    static const char *const BASIS[] = {" basis any", " basis { b0 }", " basis { b1 }"};
    static const char *const GRANT[] = {" sections { s0 }", " sections { s0, s1 }",
                                        " sections { s1, s2 }"};
    static const char *const ALLOW[] = {"",
                                        "",
                                        "",
                                        " reveal on delivery",
                                        " return { notes }",
                                        " max-size 1K",
                                        " keep 30d",
                                        " answer within 3d else escalate to fr/a",
                                        " approval by chief",
                                        " rate 5/hour"};
    static const char *const WHEN[] = {"",
                                       "",
                                       "",
                                       " until 2024-10-07",
                                       " when minor",
                                       " when regime crossing",
                                       " when handling { h1, h2 }",
                                       " when informed yes",
                                       " when urgency { 8h, 3d }",
                                       " when subject victim"};
    static const char *const REMOVE[] = {"", "", " sections { s0 }", " sections { s1 }"};
    const bool deny = roll(d, 3) == 0;
    const char *within = roll(d, 4) == 0 ? " within area" : "";

    snprintf(out, len, "%s %s %s from %s to %s%s%s%s%s%s%s\n", deny ? "deny" : "allow",
             PICK(d, TYPE), PICK(d, CATEGORY), PICK(d, PARTY), PICK(d, PARTY), within,
             deny ? "" : PICK(d, PURPOSE), deny ? "" : PICK(d, BASIS),
             deny ? PICK(d, REMOVE) : PICK(d, GRANT), deny ? "" : PICK(d, ALLOW),
             PICK(d, WHEN));
}

struct made {
    unsigned declared[DECLARED];
    char rules[N_RULES][400];
};

static void make(struct dice *d, struct made *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < N_RULES; i++)
        make_rule(d, out->rules[i], sizeof out->rules[i]);
}

/* Changes one or two things. */
static void change(struct dice *d, struct made *m)
{
    for (unsigned n = 1 + roll(d, 2); n > 0; n--)
        switch (roll(d, 4)) {
        case 0:
            m->declared[roll(d, DECLARED)] = roll(d, 4);
            break;
        case 1:
            m->rules[roll(d, N_RULES)][0] = '\0';
            break;
        case 2:
        case 3:
            make_rule(d, m->rules[roll(d, N_RULES)], sizeof m->rules[0]);
            break;
        }
}

/* fr/a must be there where a rule or a supervisor names it: kept sets are read as they are, so a set that names nobody is
 * no set. NULL then. */
static struct rules *build(const struct made *m)
{
    char text[N_RULES * 400 + 1000] =
        "network \"n.example\"\n"
        "agency xx/ngo kind ngo area xx\nagency xx/police kind police area xx\n";
    struct rules *r = NULL;

    for (size_t i = 0; i < DECLARED; i++)
        strcat(text, AGENCIES[i][m->declared[i]]);
    for (size_t i = 0; i < N_RULES; i++)
        strcat(text, m->rules[i]);
    FILE *nowhere = fopen("/dev/null", "w");
    enum liaison_code code = conf_read_kept(slice_text(text), &r, nowhere);

    fclose(nowhere);
    if (code != LIAISON_OK && strstr(text, "agency fr/a") != NULL)
        fail_msg("this set cannot be read:\n%s", text);
    return code == LIAISON_OK ? r : NULL;
}

/* ------------------------------------------------------------ what was found */

/* A difference that outlives its visit. */
struct kept {
    struct rules_question q;
    char category[32], purpose[32], basis[32];
    unsigned open, how;
    int32_t day_end;
    size_t bytes_end;
    struct rules_values alike[RULES_FACT__COUNT];
    const char *words[RULES_FACT__COUNT][8];
};

struct found {
    struct kept *list;
    size_t n;
};

static bool keep(void *arg, const struct rules_difference *d)
{
    struct found *f = arg;
    struct kept *k = &f->list[f->n++];

    assert_true(f->n < KEPT_MAX);
    *k = (struct kept){.q = *d->q,
                       .open = d->open,
                       .how = d->how,
                       .day_end = d->day_end,
                       .bytes_end = d->bytes_end};
    snprintf(k->category, sizeof k->category, "%s", d->q->category);
    k->q.category = k->category;
    memcpy(k->alike, d->alike, sizeof k->alike);
    for (int i = 0; i < RULES_FACT__COUNT; i++) {
        assert_true(d->alike[i].words.n <= 8);
        for (size_t w = 0; w < d->alike[i].words.n; w++)
            k->words[i][w] = d->alike[i].words.list[w];
        k->alike[i].words.list = k->words[i];
    }
    return true;
}

static bool number_in(const struct kept *k, int fact, unsigned number, unsigned closed)
{
    return (k->open >> fact & 1) != 0 ? (k->alike[fact].numbers >> number & 1) != 0
                                      : number == closed;
}

static bool word_in(const struct kept *k, int fact, const char *word, const char *closed)
{
    bool listed = false;

    if ((k->open >> fact & 1) == 0)
        return strcmp(word, closed) == 0;
    for (size_t i = 0; i < k->alike[fact].words.n; i++)
        listed = listed || strcmp(k->alike[fact].words.list[i], word) == 0;
    return listed != k->alike[fact].all_but;
}

static bool covers(const struct kept *k, const struct rules_question *q)
{
    return strcmp(k->q.from, q->from) == 0 && strcmp(k->q.to, q->to) == 0 &&
           number_in(k, RULES_FACT_TYPE, q->type, k->q.type) &&
           word_in(k, RULES_FACT_CATEGORY, q->category, k->q.category) &&
           word_in(k, RULES_FACT_PURPOSE, q->purpose, "") &&
           word_in(k, RULES_FACT_BASIS, q->basis, "") &&
           number_in(k, RULES_FACT_MINOR, q->minor, 0) &&
           number_in(k, RULES_FACT_HANDLING, q->handling, 0) &&
           number_in(k, RULES_FACT_REGIME, q->regime, 0) &&
           number_in(k, RULES_FACT_INFORMED, q->informed, 0) &&
           number_in(k, RULES_FACT_URGENCY, q->urgency, 0) &&
           number_in(k, RULES_FACT_SUBJECT, q->subject, 0) && q->day >= k->q.day &&
           (k->day_end == 0 || q->day < k->day_end) && q->bytes >= k->q.bytes &&
           (k->bytes_end == 0 || q->bytes < k->bytes_end);
}

/* What the comparison says of a question: all that covers it must say the same. */
static unsigned said_of(const struct found *f, const struct rules_question *q)
{
    unsigned how = 0;

    for (size_t i = 0; i < f->n; i++) {
        if (!covers(&f->list[i], q))
            continue;
        if (how != 0)
            assert_int_equal(f->list[i].how, how);
        how = f->list[i].how;
    }
    return how;
}

static struct rules_question draw(struct dice *d)
{
    const unsigned from = roll(d, 3),
                   to = (from + 1 + roll(d, 2)) % 3; /* nobody sends to itself */

    return (struct rules_question){
        .from = NAMES[from],
        .to = NAMES[to],
        .type = (Liaison__V1__Type)(1 + roll(d, 4)),
        .category = PICK(d, CATEGORIES),
        .purpose = PICK(d, PURPOSES),
        .basis = PICK(d, BASES),
        .minor = (Liaison__V1__Minor)(1 + roll(d, 3)),
        .handling = (Liaison__V1__Handling)(1 + roll(d, 5)),
        .regime = (Liaison__V1__Regime)(1 + roll(d, 2)),
        .informed = (Liaison__V1__Informed)(1 + roll(d, 5)),
        .urgency = (Liaison__V1__Urgency)(1 + roll(d, 4)),
        .subject = (Liaison__V1__SubjectCategory)(1 + roll(d, 7)),
        .day = TODAY + (int32_t)roll(d, 10),
        .bytes = roll(d, 2) * 1024 + roll(d, 2),
        .sections = SECTIONS,
        .n_sections = 3,
        .strip = true,
    };
}

static unsigned really(const struct rules *before, const struct rules *after,
                       const struct rules_question *q, struct arena *a)
{
    struct rules_decision x, y;

    arena_reset(a);
    rules_decide(before, q, a, &x);
    rules_decide(after, q, a, &y);
    return rules_how(&x, &y);
}

static void compare_one(struct dice *d, struct found *f, struct arena *a,
                        size_t *different)
{
    struct made m;

    make(d, &m);
    struct rules *before = build(&m), *after;

    change(d, &m);
    after = build(&m);
    f->n = 0;
    if (before != NULL && after != NULL) {
        const struct rules_comparison what = {.before = before,
                                              .after = after,
                                              .day = TODAY,
                                              .most = 1 << 20,
                                              .visit = keep,
                                              .arg = f};

        assert_int_equal(rules_compare(&what), LIAISON_OK);
        for (int i = 0; i < QUESTIONS_TRIED; i++) {
            const struct rules_question q = draw(d);
            const unsigned how = really(before, after, &q, a);

            assert_int_equal(said_of(f, &q), how);
            *different += how != 0;
        }
    }
    rules_free(before);
    rules_free(after);
}

static void a_comparison_finds_exactly_the_questions_whose_decisions_differ(void **state)
{
    struct dice d = {0x9e3779b97f4a7c15};
    struct found f = {calloc(KEPT_MAX, sizeof *f.list), 0};
    struct arena *a = arena_new();
    size_t different = 0;

    (void)state;
    assert_non_null(f.list);
    for (int i = 0; i < SETS_TRIED; i++)
        compare_one(&d, &f, a, &different);
    assert_true(different > 1000);
    free(f.list);
    arena_free(a);
}

/* ------------------------------------------------------------ rows */

enum { ACROSS = 4, DOWN = 4, SPANS = 6 };
static const char *const ACROSS_WORDS[] = {"a", "b", "c", "d"}, *const DOWN_WORDS[] = {
                                                                    "w", "x", "y", "z"};

static bool cell_has(const struct cell *c, const char *word)
{
    bool listed = false;

    for (size_t i = 0; i < c->n; i++)
        listed = listed || strcmp(c->words[i], word) == 0;
    return listed != c->all_but;
}

static bool cell_spans(const struct cell *c, uint64_t n)
{
    for (size_t i = 0; i < c->n; i++)
        if (n >= c->list[i].from && (c->list[i].end == 0 || n < c->list[i].end))
            return true;
    return false;
}

/* Every point of a grid is so or so; a row each; merged rows must say the same of every point, and once. */
static void rows_are_put_together_without_a_case_lost_or_won(void **state)
{
    struct dice d = {42};

    (void)state;
    for (int tried = 0; tried < 300; tried++) {
        struct arena *a = arena_new();
        struct boxes b = {.a = a, .n_cells = 3, .n_gathered = 1};
        const char *what[ACROSS][DOWN][SPANS];

        for (int x = 0; x < ACROSS; x++)
            for (int y = 0; y < DOWN; y++)
                for (unsigned z = 0; z < SPANS; z++) {
                    const char *const other[] = {"b", "c", "d"};
                    struct cell cells[3] = {
                        x == 0 ? cell_words(a, other, 3, true)
                               : cell_words(a, &ACROSS_WORDS[x], 1, false),
                        cell_words(a, &DOWN_WORDS[y], 1, false),
                        cell_span(a, z, z + 1 < SPANS ? z + 1 : 0)};
                    const char *place = ACROSS_WORDS[x];
                    struct cell gathered = cell_words(a, &place, 1, false);

                    what[x][y][z] = roll(&d, 3) == 0   ? "so"
                                    : roll(&d, 2) == 0 ? "not so"
                                                       : NULL;
                    const struct row row = {
                        .cells = cells, .what = what[x][y][z], .gathered = &gathered};

                    assert_true(what[x][y][z] == NULL || boxes_add(&b, &row));
                }
        size_t before = b.n;

        assert_true(boxes_merge(&b));
        assert_true(b.n <= before);
        for (int x = 0; x < ACROSS; x++)
            for (int y = 0; y < DOWN; y++)
                for (unsigned z = 0; z < SPANS; z++) {
                    size_t in = 0;

                    for (size_t i = 0; i < b.n; i++)
                        if (cell_has(&b.rows[i].cells[0], ACROSS_WORDS[x]) &&
                            cell_has(&b.rows[i].cells[1], DOWN_WORDS[y]) &&
                            cell_spans(&b.rows[i].cells[2], z)) {
                            in++;
                            assert_string_equal(b.rows[i].what, what[x][y][z] != NULL
                                                                    ? what[x][y][z]
                                                                    : "nothing");
                            assert_true(
                                cell_has(&b.rows[i].gathered[0], ACROSS_WORDS[x]));
                        }
                    assert_int_equal(in, what[x][y][z] != NULL);
                }
        arena_free(a);
    }
}

static void a_column_in_which_rows_hold_everything_together_says_nothing(void **state)
{
    struct arena *a = arena_new();
    struct boxes b = {.a = a, .n_cells = 2};
    const char *const words[] = {"b", "c"};
    struct cell rest[] = {cell_words(a, words, 2, true), cell_span(a, 7, 0)},
                b_alone[] = {cell_words(a, &words[0], 1, false), cell_span(a, 7, 0)},
                c_alone[] = {cell_words(a, &words[1], 1, false), cell_span(a, 7, 0)};

    (void)state;
    assert_true(boxes_add(&b, &(struct row){.cells = rest, .what = "so"}));
    assert_true(boxes_add(&b, &(struct row){.cells = b_alone, .what = "so"}));
    assert_true(boxes_add(&b, &(struct row){.cells = c_alone, .what = "so"}));
    assert_true(boxes_merge(&b));
    assert_int_equal(b.n, 1);
    assert_true(cell_is_any(&b.rows[0].cells[0], 0));
    assert_true(cell_is_any(&b.rows[0].cells[1], 7));
    assert_false(cell_is_any(&b.rows[0].cells[1], 6));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_comparison_finds_exactly_the_questions_whose_decisions_differ),
        cmocka_unit_test(rows_are_put_together_without_a_case_lost_or_won),
        cmocka_unit_test(a_column_in_which_rows_hold_everything_together_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
