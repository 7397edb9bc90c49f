#include "broker/conf/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "broker/conf/conf.h"
#include "broker/conf/json.h"
#include "broker/conf/suggest.h"
#include "proto/err.h"

/* ---------------------------------------------------------------- the question */

struct explain {
    const char *file;
    const char *from, *to, *type, *category, *purpose, *basis, *minor, *bytes, *sections;
    bool strip, json, help;
    struct arena *arena;
    struct rules_question question;
};

struct word_number {
    const char *word;
    int number;
};

static const struct word_number TYPES_KNOWN[] = {
    {"referral", LIAISON__V1__TYPE__TYPE_REFERRAL},
    {"transfer", LIAISON__V1__TYPE__TYPE_TRANSFER},
};

static const struct word_number MINORS_KNOWN[] = {
    {"yes", LIAISON__V1__MINOR__MINOR_YES},
    {"no", LIAISON__V1__MINOR__MINOR_NO},
    {"unknown", LIAISON__V1__MINOR__MINOR_UNKNOWN},
};

static int number_of(const struct word_number *rows, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].word, word) == 0)
            return rows[i].number;
    return 0;
}

static int type_number(const char *word)
{
    return number_of(TYPES_KNOWN, sizeof TYPES_KNOWN / sizeof *TYPES_KNOWN, word);
}

static int minor_number(const char *word)
{
    return number_of(MINORS_KNOWN, sizeof MINORS_KNOWN / sizeof *MINORS_KNOWN, word);
}

static bool type_word(const char *text)
{
    return type_number(text) != 0;
}

static bool minor_word(const char *text)
{
    return minor_number(text) != 0;
}

static bool byte_count(const char *text)
{
    return strlen(text) <= 18 && text[strspn(text, "0123456789")] == '\0' &&
           text[0] != '\0';
}

/* Options with a value; `form` NULL: looked at later. */
static const struct option_row {
    const char *name;
    size_t at;
    bool required;
    bool (*form)(const char *);
    const char *wants;
} OPTIONS[] = {
    {"--type", offsetof(struct explain, type), true, type_word, "referral or transfer"},
    {"--category", offsetof(struct explain, category), true, id_word,
     "a word of a-z, 0-9 and '-'"},
    {"--from", offsetof(struct explain, from), true, id_name, "an agency's name"},
    {"--to", offsetof(struct explain, to), true, id_name, "an agency's name"},
    {"--purpose", offsetof(struct explain, purpose), true, id_word,
     "a word of a-z, 0-9 and '-'"},
    {"--basis", offsetof(struct explain, basis), true, id_word,
     "a word of a-z, 0-9 and '-'"},
    {"--minor", offsetof(struct explain, minor), true, minor_word, "yes, no or unknown"},
    {"--sections", offsetof(struct explain, sections), false, NULL,
     "words joined by commas"},
    {"--bytes", offsetof(struct explain, bytes), false, byte_count,
     "the bytes of all sealed sections, a number"},
};

static const struct switch_row {
    const char *name;
    size_t at;
    const char *help;
} SWITCHES[] = {
    {"--strip", offsetof(struct explain, strip), "drop what is not granted"},
    {"--json", offsetof(struct explain, json), "answer in one JSON object"},
    {"--help", offsetof(struct explain, help), "this text"},
};

enum {
    N_OPTIONS = sizeof OPTIONS / sizeof *OPTIONS,
    N_SWITCHES = sizeof SWITCHES / sizeof *SWITCHES
};

static const char **value_at(struct explain *x, const struct option_row *row)
{
    return (const char **)((char *)x + row->at);
}

static int usage(FILE *to)
{
    fputs("usage: liaisond explain FILE QUESTION\n\nquestion:\n", to);
    for (size_t i = 0; i < N_OPTIONS; i++)
        fprintf(to, "  %-11s %s%s\n", OPTIONS[i].name, OPTIONS[i].wants,
                OPTIONS[i].required ? "" : " (optional)");
    for (size_t i = 0; i < N_SWITCHES; i++)
        fprintf(to, "  %-11s %s\n", SWITCHES[i].name, SWITCHES[i].help);
    fputs("\nExample: liaisond explain rules.conf --type referral --category mentoring "
          "--from fr/lyon/probation\n         --to fr/lyon/rebond --purpose "
          "reintegration --basis consent --minor no --sections identity,needs\n",
          to);
    return to == stdout ? EX_OK : EX_USAGE;
}

/* One word of the command line, and the next if it is its value. Returns how many were used; 0: said what is wrong. */
static int take_word(struct explain *x, const char *word, const char *next)
{
    for (size_t i = 0; i < N_SWITCHES; i++)
        if (strcmp(word, SWITCHES[i].name) == 0) {
            *(bool *)((char *)x + SWITCHES[i].at) = true;
            return 1;
        }
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strcmp(word, OPTIONS[i].name) == 0) {
            const char **value = value_at(x, &OPTIONS[i]);

            if (next != NULL && *value == NULL) {
                *value = next;
                return 2;
            }
            fprintf(stderr, "liaisond: %s %s; expected %s\n", word,
                    next == NULL ? "has no value" : "stands twice", OPTIONS[i].wants);
            return 0;
        }
    if (word[0] == '-' || x->file != NULL) {
        fprintf(stderr,
                "liaisond: explain does not know \"%s\"; 'liaisond explain "
                "--help' shows what it knows\n",
                word);
        return 0;
    }
    x->file = word;
    return 1;
}

/* Says everything that is missing or of the wrong form. */
static bool complete(struct explain *x)
{
    bool good = x->file != NULL;

    if (!good)
        fputs("liaisond: explain wants a FILE with rules\n", stderr);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option_row *row = &OPTIONS[i];
        const char *value = *value_at(x, row);

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

static bool take_sections(struct explain *x)
{
    const char **list = arena_alloc(x->arena, RULES_SECTIONS_MAX * sizeof *list);
    const uint8_t *copy = arena_copy(x->arena, slice_text(x->sections));
    size_t n = 0;

    if (list == NULL || copy == NULL) {
        fprintf(stderr, "liaisond: %s\n", err_text(LIAISON_MEMORY));
        return false;
    }
    for (char *rest = (char *)copy, *name; (name = strsep(&rest, ",")) != NULL;)
        if (!add_section(list, &n, name))
            return false;
    x->question.sections = list;
    x->question.n_sections = n;
    return true;
}

static bool make_question(struct explain *x)
{
    x->question = (struct rules_question){
        .from = x->from,
        .to = x->to,
        .type = (Liaison__V1__Type)type_number(x->type),
        .category = x->category,
        .purpose = x->purpose,
        .basis = x->basis,
        .minor = (Liaison__V1__Minor)minor_number(x->minor),
        .bytes = x->bytes != NULL ? (size_t)strtoull(x->bytes, NULL, 10) : 0,
        .strip = x->strip,
    };
    return x->sections == NULL || take_sections(x);
}

/* ---------------------------------------------------------------- the answer, for people */

static void print_names(const char *title, const char *const *names, size_t n,
                        uint32_t chosen)
{
    const char *between = "";

    for (size_t i = 0; i < n; i++)
        if ((chosen >> (i % 32) & 1) != 0) {
            if (*between == '\0')
                printf("  %-10s", title);
            printf("%s%s", between, names[i]);
            between = ", ";
        }
    if (*between != '\0')
        putchar('\n');
}

static const char *reveal_word(const struct rules_decision *d)
{
    return d->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY ? "on-delivery"
                                                                : "on-accept";
}

/* `; did you mean "fr/lyon/police"?` */
static const char *nearest_agency(const struct rules *r, const char *name, char *out,
                                  size_t out_len)
{
    struct suggest s = suggest_for(name);

    for (size_t i = 0; rules_agency_at(r, i) != NULL; i++)
        suggest_try(&s, rules_agency_at(r, i)->name);
    return suggest_text(&s, out, out_len);
}

static void print_people(const struct explain *x, const struct rules *r,
                         const struct rules_decision *d)
{
    const struct rules_question *q = &x->question;
    char hint[400] = "";
    bool allowed = d->code == LIAISON_OK;

    if (d->code == LIAISON_RECIPIENT || d->code == LIAISON_UNKNOWN_AGENCY)
        nearest_agency(r, d->code == LIAISON_RECIPIENT ? q->to : q->from, hint,
                       sizeof hint);
    if (allowed)
        puts("allowed");
    else
        printf("refused: %s%s (%s)\n", rules_explain(d, q, x->arena), hint,
               err_name(d->code));
    print_names("sections", q->sections, q->n_sections, d->granted);
    print_names(allowed ? "dropped" : "refused", q->sections, q->n_sections, ~d->granted);
    if (allowed) {
        printf("  %-10s%s\n", "reveal",
               strcmp(reveal_word(d), "on-accept") == 0 ? "on accept" : "on delivery");
        print_names("returns", d->returns, d->n_returns, UINT32_MAX);
        if (d->keep[0] != '\0')
            printf("  %-10s%s after its last move\n", "keep", d->keep);
    }
    for (size_t i = 0; i < d->n_lines; i++)
        printf("  %-10s%s  %s\n", i == 0 ? "rules" : "", d->lines[i]->where,
               d->lines[i]->text);
}

/* ---------------------------------------------------------------- the answer, for programs */

static void json_names(const char *name, const char *const *names, size_t n,
                       uint32_t chosen)
{
    const char *between = "";

    printf(",\"%s\":[", name);
    for (size_t i = 0; i < n; i++)
        if ((chosen >> (i % 32) & 1) != 0) {
            fputs(between, stdout);
            json_text(stdout, names[i]);
            between = ",";
        }
    putchar(']');
}

static void json_lines(const struct rules_decision *d)
{
    fputs(",\"rules\":[", stdout);
    for (size_t i = 0; i < d->n_lines; i++) {
        printf("%s{\"id\":\"", i == 0 ? "" : ",");
        for (size_t k = 0; k < sizeof d->lines[i]->id; k++)
            printf("%02x", d->lines[i]->id[k]);
        fputs("\",\"where\":", stdout);
        json_text(stdout, d->lines[i]->where);
        fputs(",\"text\":", stdout);
        json_text(stdout, d->lines[i]->text);
        putchar('}');
    }
    putchar(']');
}

/* {"allowed", "code", "text", "granted", "refused", "obligations"?, "rules"}: a Decision's words, as `liaison check --json`. */
static void print_json(const struct explain *x, const struct rules_decision *d)
{
    const struct rules_question *q = &x->question;
    bool allowed = d->code == LIAISON_OK;

    printf("{\"allowed\":%s,\"code\":\"", allowed ? "true" : "false");
    for (const char *p = err_name(d->code); *p != '\0'; p++)
        putchar(*p == '_' ? '-' : *p - 'A' + 'a'); /* as all of our JSON spells codes */
    fputs("\",\"text\":", stdout);
    json_text(stdout, rules_explain(d, q, x->arena));
    json_names("granted", q->sections, q->n_sections, d->granted);
    json_names("refused", q->sections, q->n_sections, ~d->granted);
    if (allowed) {
        printf(",\"obligations\":{\"reveal\":\"%s\"", reveal_word(d));
        json_names("returns", d->returns, d->n_returns, UINT32_MAX);
        fputs(",\"keep\":", stdout);
        json_text(stdout, d->keep);
        putchar('}');
    }
    json_lines(d);
    puts("}");
}

/* ---------------------------------------------------------------- the command */

static int answer(struct explain *x)
{
    struct rules_decision d;
    struct rules *r = NULL;
    enum liaison_code code = conf_load_any_rules(x->file, &r, stderr);

    if (code != LIAISON_OK)
        return err_exit(code);
    rules_decide(r, &x->question, x->arena, &d);
    if (x->json)
        print_json(x, &d);
    else
        print_people(x, r, &d);
    rules_free(r);
    if (fflush(stdout) != 0 || ferror(stdout))
        return EX_IOERR;
    if (d.code == LIAISON_MEMORY)
        return err_exit(d.code);
    return d.code == LIAISON_OK ? EX_OK : EX_NOPERM;
}

int explain_command(int argc, char *const *argv)
{
    struct explain x = {.arena = arena_new()};
    int status = EX_USAGE;

    for (int i = 0, used; i < argc; i += used) {
        used = take_word(&x, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (used == 0)
            goto out;
    }
    if (x.help)
        status = usage(stdout);
    else if (x.arena == NULL)
        status = err_exit(LIAISON_MEMORY);
    else if (complete(&x) && make_question(&x))
        status = answer(&x);
out:
    arena_free(x.arena);
    return status;
}
