#include "broker/conf/question.h"

#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "broker/conf/cases.h"
#include "broker/conf/units.h"
#include "proto/err.h"

static bool is_size(const char *text)
{
    uint64_t bytes;

    return units_size(text, &bytes);
}

static bool is_date(const char *text)
{
    int32_t day;

    return units_date(text, &day);
}

/* Options with a value beside the facts, which are options of their names. */
static const struct option_row {
    const char *name;
    size_t at;
    bool required;
    bool (*form)(const char *); /* NULL: looked at later */
    const char *wants;
} OPTIONS[] = {
    {"--from", offsetof(struct question, from), true, id_name, "an agency's name"},
    {"--to", offsetof(struct question, to), true, id_name, "an agency's name"},
    {"--sections", offsetof(struct question, sections), false, NULL,
     "words joined by commas, or \"\" (without: all that rules name, with --strip)"},
    {"--bytes", offsetof(struct question, bytes), false, is_size,
     "the size of all sealed sections, such as 90000 or 256K (without: 0)"},
    {"--on", offsetof(struct question, date), false, is_date,
     "a day, such as 2027-01-31 (without: today)"},
};

static const struct switch_row {
    const char *name;
    size_t at;
    const char *help;
} SWITCHES[] = {
    {"--strip", offsetof(struct question, strip), "drop what is not granted"},
    {"--all", offsetof(struct question, all), "every name of a long list"},
    {"--json", offsetof(struct question, json), "a JSON object for each answer and line"},
    {"--help", offsetof(struct question, help), "this text"},
};

enum {
    N_OPTIONS = sizeof OPTIONS / sizeof *OPTIONS,
    N_SWITCHES = sizeof SWITCHES / sizeof *SWITCHES,
    WANTS_MAX = 200
};

static const char *fact_wants(unsigned fact, char out[WANTS_MAX])
{
    return cases_values((int)fact) != NULL
               ? values_list(cases_values((int)fact), out, WANTS_MAX)
               : "a word of a-z, 0-9 and '-'";
}

int question_usage(FILE *to)
{
    char wants[WANTS_MAX];

    fputs("usage: liaisond explain FILE --from AGENCY --to AGENCY [FACTS]\n\n"
          "  Says what the rules of a settings or rules file decide, which lines made it "
          "so and what each of\n"
          "  them did, and what would have to be otherwise for the contrary. A fact that "
          "is left out may be\n"
          "  anything: where it makes a difference, there is an answer for each. Exit 0: "
          "allowed, 77: not always.\n\n",
          to);
    for (unsigned i = 0; i < RULES_FACT__COUNT; i++)
        fprintf(to, "  --%-11s %s\n", cases_name((int)i), fact_wants(i, wants));
    for (size_t i = 0; i < N_OPTIONS; i++)
        fprintf(to, "  %-13s %s\n", OPTIONS[i].name, OPTIONS[i].wants);
    for (size_t i = 0; i < N_SWITCHES; i++)
        fprintf(to, "  %-13s %s\n", SWITCHES[i].name, SWITCHES[i].help);
    fputs("\nExample: liaisond explain rules.conf --from fr/lyon/probation --to "
          "fr/lyon/rebond --type referral\n         --category mentoring --purpose "
          "reintegration --basis consent\n",
          to);
    return to == stdout ? EX_OK : EX_USAGE;
}

/* ---------------------------------------------------------------- words */

static const char **value_at(struct question *x, const struct option_row *row)
{
    return (const char **)(void *)((char *)x + row->at);
}

/* Where the value of this option goes; NULL: there is none of that name. */
static const char **option_at(struct question *x, const char *word)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strcmp(word, OPTIONS[i].name) == 0)
            return value_at(x, &OPTIONS[i]);
    for (unsigned i = 0; i < RULES_FACT__COUNT; i++)
        if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, cases_name((int)i)) == 0)
            return &x->facts[i];
    return NULL;
}

/* One word of the command line, and the next if it is its value. Returns how many were used; 0: said what is wrong. */
static int take_word(struct question *x, const char *word, const char *next)
{
    for (size_t i = 0; i < N_SWITCHES; i++)
        if (strcmp(word, SWITCHES[i].name) == 0) {
            *(bool *)((char *)x + SWITCHES[i].at) = true;
            return 1;
        }
    const char **value = option_at(x, word);

    if (value != NULL && next != NULL && *value == NULL) {
        *value = next;
        return 2;
    }
    if (value == NULL && word[0] != '-' && word[0] != '\0' && x->file == NULL) {
        x->file = word;
        return 1;
    }
    if (value != NULL)
        fprintf(stderr, "liaisond: %s %s\n", word,
                next == NULL ? "has no value" : "stands twice");
    else
        fprintf(stderr,
                "liaisond: explain does not know \"%s\"; 'liaisond explain --help' shows "
                "what it knows\n",
                word);
    return 0;
}

/* ---------------------------------------------------------------- forms */

static bool good_fact(unsigned fact, const char *word)
{
    const struct value *values = cases_values((int)fact);

    return values != NULL ? values_number(values, word) != 0 : id_word(word);
}

/* Says everything that is missing or of the wrong form. */
static bool complete(const struct question *x)
{
    char wants[WANTS_MAX];
    bool good = x->file != NULL;

    if (!good)
        fputs("liaisond: explain wants a FILE with rules\n", stderr);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option_row *row = &OPTIONS[i];
        const char *value = *value_at((struct question *)x, row);

        if (value == NULL ? !row->required : row->form == NULL || row->form(value))
            continue;
        if (value == NULL)
            fprintf(stderr, "liaisond: %s is missing; expected %s\n", row->name,
                    row->wants);
        else
            fprintf(stderr, "liaisond: %s \"%s\"; expected %s\n", row->name, value,
                    row->wants);
        good = false;
    }
    for (unsigned i = 0; i < RULES_FACT__COUNT; i++)
        if (x->facts[i] != NULL && !good_fact(i, x->facts[i])) {
            fprintf(stderr, "liaisond: --%s \"%s\"; expected %s\n", cases_name((int)i),
                    x->facts[i], fact_wants(i, wants));
            good = false;
        }
    return good;
}

/* Adds one section's name. False: said why not. */
static bool add_section(const char **list, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(list[i], name) == 0) {
            fprintf(stderr, "liaisond: --sections names \"%s\" twice\n", name);
            return false;
        }
    if (!id_word(name) || *n == RULES_SECTIONS_MAX) {
        fprintf(stderr, "liaisond: --sections \"%s\"; expected at most %d words\n", name,
                RULES_SECTIONS_MAX);
        return false;
    }
    list[(*n)++] = name;
    return true;
}

static bool take_sections(struct question *x, struct arena *a)
{
    const char **list = arena_alloc(a, RULES_SECTIONS_MAX * sizeof *list);
    const uint8_t *copy = arena_copy(a, slice_text(x->sections));
    size_t n = 0;

    if (list == NULL || copy == NULL) {
        fprintf(stderr, "liaisond: %s\n", err_text(LIAISON_MEMORY));
        return false;
    }
    for (char *rest = (char *)copy, *name; (name = strsep(&rest, ",")) != NULL;)
        if (x->sections[0] != '\0' && !add_section(list, &n, name))
            return false;
    x->asked.sections = list;
    x->asked.n_sections = n;
    return true;
}

/* ---------------------------------------------------------------- the question */

static unsigned number(const struct question *x, enum rules_fact fact)
{
    return x->facts[fact] != NULL ? values_number(cases_values((int)fact), x->facts[fact])
                                  : 0;
}

static bool make_question(struct question *x, struct arena *a)
{
    uint64_t bytes = 0;

    x->asked = (struct rules_question){
        .from = x->from,
        .to = x->to,
        .type = (Liaison__V1__Type)number(x, RULES_FACT_TYPE),
        .category = x->facts[RULES_FACT_CATEGORY],
        .purpose = x->facts[RULES_FACT_PURPOSE],
        .basis = x->facts[RULES_FACT_BASIS],
        .minor = (Liaison__V1__Minor)number(x, RULES_FACT_MINOR),
        .handling = (Liaison__V1__Handling)number(x, RULES_FACT_HANDLING),
        .regime = (Liaison__V1__Regime)number(x, RULES_FACT_REGIME),
        .informed = (Liaison__V1__Informed)number(x, RULES_FACT_INFORMED),
        .urgency = (Liaison__V1__Urgency)number(x, RULES_FACT_URGENCY),
        .subject = (Liaison__V1__SubjectCategory)number(x, RULES_FACT_SUBJECT),
        .day = rules_day((uint64_t)time(NULL)),
        .strip = x->strip || x->sections == NULL,
    };
    for (unsigned i = 0; i < RULES_FACT__COUNT; i++)
        x->open |= (unsigned)(x->facts[i] == NULL) << i;
    if (x->date != NULL)
        (void)units_date(x->date, &x->asked.day);
    if (x->bytes != NULL)
        (void)units_size(x->bytes, &bytes);
    x->asked.bytes = bytes;
    return x->sections == NULL || take_sections(x, a);
}

bool question_read(int argc, char *const *argv, struct arena *a, struct question *out)
{
    *out = (struct question){.file = NULL};
    for (int i = 0, used; i < argc; i += used) {
        used = take_word(out, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (used == 0)
            return false;
    }
    return out->help || (complete(out) && make_question(out, a));
}

void question_copy(enum rules_fact fact, const struct rules_question *from,
                   struct rules_question *to)
{
    switch (fact) {
    case RULES_FACT_TYPE:
        to->type = from->type;
        break;
    case RULES_FACT_CATEGORY:
        to->category = from->category;
        break;
    case RULES_FACT_PURPOSE:
        to->purpose = from->purpose;
        break;
    case RULES_FACT_BASIS:
        to->basis = from->basis;
        break;
    case RULES_FACT_MINOR:
        to->minor = from->minor;
        break;
    case RULES_FACT_HANDLING:
        to->handling = from->handling;
        break;
    case RULES_FACT_REGIME:
        to->regime = from->regime;
        break;
    case RULES_FACT_INFORMED:
        to->informed = from->informed;
        break;
    case RULES_FACT_URGENCY:
        to->urgency = from->urgency;
        break;
    case RULES_FACT_SUBJECT:
        to->subject = from->subject;
        break;
    case RULES_FACT__COUNT:
        break;
    }
}
