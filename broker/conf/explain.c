#include "broker/conf/explain.h"

#include <stdlib.h>
#include <sysexits.h>

#include "broker/conf/answer.h"
#include "broker/conf/conf.h"
#include "broker/conf/contrary.h"
#include "broker/conf/question.h"
#include "proto/err.h"

enum { QUESTIONS_MAX = 1 << 18 };

/* Questions that are answered alike: the answer without its facts is what keeps boxes apart, and `first` stands for all. */
struct sample {
    const char *what;
    struct rules_question first;
    struct sample *next;
};

struct explain {
    struct question question;
    struct rules *rules;
    struct cases_look look;
    struct arena *scratch; /* of one question */
    struct boxes boxes;
    struct sample *samples;
    size_t refused;
    bool no_memory;
};

/* What was asked, decided and told; `facts` as struct answer has it. NULL when memory is out. */
static char *told(struct explain *x, const struct rules_question *q, const char *facts,
                  bool with_contrary)
{
    char *text = NULL;
    size_t len = 0;
    struct rules_decision d;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    arena_reset(x->scratch);
    rules_decide(x->rules, q, x->scratch, &d);
    const struct answer answer = {x->rules, q, &d, x->question.open, facts, x->scratch};

    (x->question.json ? answer_json : answer_people)(f, &answer);
    bool good =
        d.code != LIAISON_MEMORY &&
        (!with_contrary || contrary_print(f, &answer, &x->look, x->question.json));

    if (fclose(f) != 0 || !good) {
        free(text);
        return NULL;
    }
    return text;
}

/* The one of this text, made if it is new. */
static const struct sample *sample_of(struct explain *x, const char *what,
                                      const struct rules_question *q)
{
    struct sample *s = x->samples;

    while (s != NULL && strcmp(s->what, what) != 0)
        s = s->next;
    if (s != NULL || (s = arena_zero(x->look.a, sizeof *s)) == NULL)
        return s;
    s->what = (const char *)arena_copy(x->look.a, slice(what, strlen(what) + 1));
    s->first = *q;
    s->next = x->samples;
    x->samples = s;
    return s->what == NULL ? NULL : s;
}

static const char *kept_word(struct explain *x, const char *word)
{
    const uint8_t *kept =
        word == NULL ? NULL : arena_copy(x->look.a, slice(word, strlen(word) + 1));

    return (const char *)kept;
}

static bool visit(void *arg, const struct rules_question *asked,
                  const struct rules_values alike[RULES_FACT__COUNT])
{
    struct explain *x = arg;
    struct cell cells[CASE_COLUMNS];
    struct rules_question q = *asked;
    char *what = told(x, &q, "", false);

    q.category = kept_word(x, q.category); /* "another" does not outlive the visit */
    q.purpose = kept_word(x, q.purpose);
    q.basis = kept_word(x, q.basis);
    const struct sample *s = what != NULL ? sample_of(x, what, &q) : NULL;

    free(what);
    cases_cells(x->look.a, x->question.open, alike, cells);
    const struct row row = {.cells = cells, .what = s != NULL ? s->what : NULL};

    x->no_memory = s == NULL || !boxes_add(&x->boxes, &row);
    return !x->no_memory;
}

/* ---------------------------------------------------------------- the answers */

static char *facts_text(struct explain *x, const struct row *row)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    if (x->question.json)
        (void)cases_json(f, &x->look, row->cells);
    else
        cases_print(f, &x->look, row->cells);
    fclose(f);
    return text;
}

static bool print_box(struct explain *x, size_t i)
{
    const struct row *row = &x->boxes.rows[i];
    const bool only = x->boxes.n == 1;
    const struct sample *s = sample_of(x, row->what, NULL);
    char *facts = only ? NULL : facts_text(x, row);
    char *text = told(x, &s->first, facts, only);

    if (text != NULL && x->question.json)
        printf("{%s}\n", text);
    else if (text != NULL)
        printf("%s%s", i == 0 ? "" : "\n", text);
    x->no_memory = text == NULL;
    free(text);
    free(facts);
    return !x->no_memory;
}

/* Which facts that nobody said make a difference. */
static void print_matters(struct explain *x)
{
    const char *between = "it depends on ";

    for (int i = 0; i < RULES_FACT__COUNT; i++) {
        bool matters = false;
        struct cell c;

        for (size_t k = 0; k < x->boxes.n; k++)
            matters = matters || cases_said(&x->look, i, &x->boxes.rows[k].cells[i], &c);
        if (matters) {
            printf("%s%s", between, cases_name(i));
            between = ", ";
        }
    }
    fputs("\n\n", stdout);
}

/* Sections that nobody named are all that rules name. False: said why not. */
static bool name_sections(struct explain *x)
{
    struct rules_turns turns;

    if (x->question.sections != NULL)
        return true;
    if (!rules_turns(x->rules, &x->question.asked, x->question.open, x->look.a, &turns)) {
        fprintf(stderr, "liaisond: %s\n", err_text(LIAISON_MEMORY));
        return false;
    }
    if (turns.sections.n > RULES_SECTIONS_MAX) {
        fprintf(
            stderr,
            "liaisond: rules name %zu sections here; say which with --sections, %d at "
            "most\n",
            turns.sections.n, RULES_SECTIONS_MAX);
        return false;
    }
    x->question.asked.sections = turns.sections.list;
    x->question.asked.n_sections = turns.sections.n;
    return true;
}

static void count_refused(struct explain *x)
{
    struct rules_decision d;

    for (const struct sample *s = x->samples; s != NULL; s = s->next) {
        arena_reset(x->scratch);
        rules_decide(x->rules, &s->first, x->scratch, &d);
        x->refused += d.code != LIAISON_OK;
    }
}

static int answer(struct explain *x)
{
    if (!name_sections(x))
        return EX_USAGE;
    enum liaison_code code =
        rules_each_alike((const struct rules *const *)&x->rules, 1, &x->question.asked,
                         x->question.open, QUESTIONS_MAX, visit, x, NULL);

    if (code == LIAISON_LIMIT) {
        fprintf(stderr,
                "liaisond: this leaves more than %d questions open; say more, such as "
                "--category, --purpose or --basis\n",
                QUESTIONS_MAX);
        return EX_USAGE;
    }
    if (code != LIAISON_OK || !boxes_merge(&x->boxes))
        return err_exit(LIAISON_MEMORY);
    if (x->boxes.n > 1 && !x->question.json)
        print_matters(x);
    for (size_t i = 0; i < x->boxes.n; i++)
        if (!print_box(x, i))
            return err_exit(LIAISON_MEMORY);
    count_refused(x);
    if (fflush(stdout) != 0 || ferror(stdout))
        return EX_IOERR;
    return x->refused == 0 ? EX_OK : EX_NOPERM;
}

int explain_command(int argc, char *const *argv)
{
    struct explain x = {.look = {.a = arena_new()}, .scratch = arena_new()};
    int status = EX_USAGE;

    x.boxes = (struct boxes){.a = x.look.a, .n_cells = CASE_COLUMNS};
    if (x.look.a == NULL || x.scratch == NULL) {
        status = err_exit(LIAISON_MEMORY);
    } else if (question_read(argc, argv, x.look.a, &x.question)) {
        enum liaison_code code = LIAISON_OK;

        x.look.all = x.question.all;
        x.look.day = x.question.asked.day;
        if (x.question.help)
            status = question_usage(stdout);
        else if ((code = conf_load_any_rules(x.question.file, &x.rules, stderr)) !=
                 LIAISON_OK)
            status = err_exit(code);
        else
            status = answer(&x);
    }
    rules_free(x.rules);
    arena_free(x.scratch);
    arena_free(x.look.a);
    return status;
}
