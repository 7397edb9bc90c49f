#include "broker/conf/cases.h"

#include <string.h>

#include "broker/conf/json.h"
#include "broker/conf/units.h"

enum { SHOWN = 8 };

const struct value TYPES[] = {
    {"referral", LIAISON__V1__TYPE__TYPE_REFERRAL},
    {"transfer", LIAISON__V1__TYPE__TYPE_TRANSFER},
    {"information", LIAISON__V1__TYPE__TYPE_INFORMATION},
    {"query", LIAISON__V1__TYPE__TYPE_QUERY},
    {NULL, 0},
};

const struct value MINORS[] = {
    {"yes", LIAISON__V1__MINOR__MINOR_YES},
    {"no", LIAISON__V1__MINOR__MINOR_NO},
    {"unknown", LIAISON__V1__MINOR__MINOR_UNKNOWN},
    {NULL, 0},
};

static const struct {
    const char *name;
    const struct value *values; /* NULL: words */
} COLUMN[CASE_COLUMNS] = {
    [RULES_FACT_TYPE] = {"type", TYPES},
    [RULES_FACT_CATEGORY] = {"category", NULL},
    [RULES_FACT_PURPOSE] = {"purpose", NULL},
    [RULES_FACT_BASIS] = {"basis", NULL},
    [RULES_FACT_MINOR] = {"minor", MINORS},
    [RULES_FACT_HANDLING] = {"handling", HANDLINGS},
    [RULES_FACT_REGIME] = {"regime", REGIMES},
    [RULES_FACT_INFORMED] = {"informed", INFORMEDS},
    [RULES_FACT_URGENCY] = {"urgency", URGENCIES},
    [RULES_FACT_SUBJECT] = {"subject", SUBJECTS},
    [CASE_PAIR] = {"between", NULL},
    [CASE_DAY] = {"on", NULL},
    [CASE_SIZE] = {"size", NULL},
};

const char *cases_name(int column)
{
    return COLUMN[column].name;
}

const struct value *cases_values(int column)
{
    return COLUMN[column].values;
}

/* ---------------------------------------------------------------- making */

struct cell cases_numbers(struct arena *a, const struct value *values, uint32_t mask)
{
    const char *words[16];
    size_t n = 0;

    for (; values->word != NULL; values++)
        if ((mask >> values->number & 1) != 0)
            words[n++] = values->word;
    return cell_words(a, words, n, false);
}

static struct cell fact_cell(struct arena *a, const struct rules_values *v,
                             const struct value *values)
{
    if (values != NULL)
        return cases_numbers(a, values, v->numbers);
    const char **kept = arena_alloc(a, (v->words.n + 1) * sizeof *kept);

    for (size_t i = 0; kept != NULL && i < v->words.n; i++)
        kept[i] = v->words.list[i];
    return cell_words(a, kept, kept != NULL ? v->words.n : 0, v->all_but);
}

void cases_cells(struct arena *a, unsigned open, const struct rules_values *alike,
                 struct cell cells[CASE_COLUMNS])
{
    for (unsigned i = 0; i < CASE_COLUMNS; i++)
        cells[i] = i == CASE_DAY || i == CASE_SIZE ? cell_span(a, 0, 0)
                   : i < RULES_FACT__COUNT && (open >> i & 1) != 0
                       ? fact_cell(a, &alike[i], COLUMN[i].values)
                       : cell_words(a, NULL, 0, true);
}

/* ---------------------------------------------------------------- showing */

static bool has_word(const struct cell *c, const char *word)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->words[i], word) == 0)
            return true;
    return false;
}

/* Of a few values either those, or what is left of all. */
static struct cell shorter(struct arena *a, int column, const struct cell *c)
{
    const char *rest[16];
    size_t n = 0, all = 0;

    for (const struct value *v = COLUMN[column].values; v != NULL && v->word != NULL;
         v++, all++)
        if (!has_word(c, v->word))
            rest[n++] = v->word;
    return all > 0 && !c->all_but && n < c->n ? cell_words(a, rest, n, true) : *c;
}

bool cases_said(const struct cases_look *look, int column, const struct cell *c,
                struct cell *out)
{
    *out = shorter(look->a, column, c);
    return !cell_is_any(out, column == CASE_DAY ? (uint64_t)look->day : 0);
}

static void print_number(FILE *f, int column, uint64_t n)
{
    char text[32];

    fputs(column == CASE_SIZE ? units_show_size(n, text)
                              : rules_day_text((int32_t)n, text),
          f);
}

/* "from 2027-01-01 to 2027-06-30", "from 65537 on". */
static void print_spans(FILE *f, const struct cell *c, int column)
{
    for (size_t i = 0; i < c->n; i++) {
        fputs(i == 0 ? "from " : ", from ", f);
        print_number(f, column, c->list[i].from);
        if (c->list[i].end != 0) {
            fputs(" to ", f);
            print_number(f, column, c->list[i].end - 1);
        } else {
            fputs(" on", f);
        }
    }
}

void cases_words(FILE *f, const struct cases_look *look, const struct cell *c,
                 const char *between)
{
    size_t most = look->all || c->n <= SHOWN + 1 ? c->n : SHOWN;

    if (c->all_but)
        fputs("any but ", f);
    for (size_t i = 0; i < most; i++)
        fprintf(f, "%s%s", i == 0 ? "" : between, c->words[i]);
    if (most < c->n)
        fprintf(f, "%sand %zu more (--all)", between, c->n - most);
}

static void print_cell(FILE *f, const struct cases_look *look, int column,
                       const struct cell *c, const char *between)
{
    if (c->spans)
        print_spans(f, c, column);
    else
        cases_words(f, look, c, between);
}

void cases_print(FILE *f, const struct cases_look *look, const struct cell *cells)
{
    for (int i = 0; i < CASE_COLUMNS; i++) {
        struct cell c;

        if (!cases_said(look, i, &cells[i], &c))
            continue;
        fprintf(f, "  %-9s ", COLUMN[i].name);
        print_cell(f, look, i, &c, i == CASE_PAIR ? "\n            " : ", ");
        fputc('\n', f);
    }
}

void cases_line(FILE *f, const struct cases_look *look, const struct cell *cells)
{
    const char *between = "if ";

    for (int i = 0; i < CASE_COLUMNS; i++) {
        struct cell c;

        if (!cases_said(look, i, &cells[i], &c))
            continue;
        fprintf(f, "%s%s ", between, COLUMN[i].name);
        print_cell(f, look, i, &c, ", ");
        between = "; ";
    }
    if (*between == 'i')
        fputs("whatever else is so", f);
}

/* ---------------------------------------------------------------- for programs */

void cases_json_list(FILE *f, const char *const *words, size_t n)
{
    fputc('[', f);
    for (size_t i = 0; i < n; i++) {
        fputs(i == 0 ? "" : ",", f);
        json_text(f, words[i]);
    }
    fputc(']', f);
}

static void json_spans(FILE *f, const struct cell *c)
{
    fputc('[', f);
    for (size_t i = 0; i < c->n; i++) {
        fprintf(f, "%s[%llu,", i == 0 ? "" : ",", (unsigned long long)c->list[i].from);
        if (c->list[i].end != 0)
            fprintf(f, "%llu]", (unsigned long long)c->list[i].end);
        else
            fputs("null]", f);
    }
    fputc(']', f);
}

bool cases_json(FILE *f, const struct cases_look *look, const struct cell *cells)
{
    bool some = false;

    for (int i = 0; i < CASE_COLUMNS; i++) {
        struct cell c;

        if (!cases_said(look, i, &cells[i], &c))
            continue;
        fprintf(f, "%s\"%s%s\":", some ? "," : "", COLUMN[i].name,
                c.all_but ? "-not" : "");
        if (c.spans)
            json_spans(f, &c);
        else
            cases_json_list(f, c.words, c.n);
        some = true;
    }
    return some;
}
