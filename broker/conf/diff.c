#include "broker/conf/diff.h"

#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "broker/conf/boxes.h"
#include "broker/conf/conf.h"
#include "broker/conf/json.h"
#include "broker/conf/units.h"
#include "broker/conf/values.h"
#include "broker/rules/compare.h"
#include "proto/err.h"

enum { QUESTIONS_MAX = 1 << 20, SHOWN = 8, EX_WIDENED = 1 };

/* Columns, in the order in which they are shown. Facts first, as their numbers are. */
enum { OF_PAIR = RULES_FACT__COUNT, OF_DAY, OF_SIZE, COLUMNS };
enum { GONE, NEW, RULE_LISTS };

static const struct value TYPES[] = {
    {"referral", LIAISON__V1__TYPE__TYPE_REFERRAL},
    {"transfer", LIAISON__V1__TYPE__TYPE_TRANSFER},
    {"information", LIAISON__V1__TYPE__TYPE_INFORMATION},
    {"query", LIAISON__V1__TYPE__TYPE_QUERY},
    {NULL, 0},
};

static const struct value MINORS[] = {
    {"yes", LIAISON__V1__MINOR__MINOR_YES},
    {"no", LIAISON__V1__MINOR__MINOR_NO},
    {"unknown", LIAISON__V1__MINOR__MINOR_UNKNOWN},
    {NULL, 0},
};

static const struct {
    const char *name;
    const struct value *values; /* NULL: words */
} COLUMN[COLUMNS] = {
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
    [OF_PAIR] = {"between", NULL},
    [OF_DAY] = {"on", NULL},
    [OF_SIZE] = {"size", NULL},
};

struct diff {
    const char *files[2], *date;
    bool json, all, help;
    int32_t day;
    struct arena *a;
    struct boxes boxes;
    struct rules *before, *after;
    bool widened;
};

/* ---------------------------------------------------------------- what changed, in words */

static void say_names(FILE *f, const char *title, struct rules_names names)
{
    for (size_t i = 0; i < names.n; i++)
        fprintf(f, "%s%s", i == 0 ? title : ", ", names.list[i]);
}

static void say_sections(FILE *f, const struct rules_question *q,
                         const struct rules_decision *d)
{
    const char *between = "sections ";

    for (size_t i = 0; i < q->n_sections; i++)
        if ((d->granted >> i & 1) != 0) {
            fprintf(f, "%s%s", between, q->sections[i]);
            between = ", ";
        }
    if (d->granted == 0)
        fputs("no section", f);
}

static void say_reveal(FILE *f, const struct rules_question *q,
                       const struct rules_decision *d)
{
    (void)q;
    fputs(d->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY ? "reveal on delivery"
                                                               : "reveal on accept",
          f);
}

static void say_returns(FILE *f, const struct rules_question *q,
                        const struct rules_decision *d)
{
    (void)q;
    say_names(f, "return ", (struct rules_names){d->returns, d->n_returns});
}

static void say_keep(FILE *f, const struct rules_question *q,
                     const struct rules_decision *d)
{
    (void)q;
    fprintf(f, "keep %s", d->keep[0] != '\0' ? d->keep : "for ever");
}

static void say_answers(FILE *f, const struct rules_question *q,
                        const struct rules_decision *d)
{
    char text[64];

    (void)q;
    for (size_t i = 0; i < d->n_answers; i++) {
        fprintf(f, "%sanswer within %s", i == 0 ? "" : "; ",
                rules_span_text(d->answers[i].within, text));
        say_names(f, " else escalate to ", d->answers[i].escalate);
    }
    if (d->n_answers == 0)
        fputs("no time to answer", f);
}

static void say_approvals(FILE *f, const struct rules_question *q,
                          const struct rules_decision *d)
{
    (void)q;
    say_names(f, "approval by ", (struct rules_names){d->approvals, d->n_approvals});
    if (d->n_approvals == 0)
        fputs("no approval", f);
}

static void say_rate(FILE *f, const struct rules_question *q,
                     const struct rules_decision *d)
{
    uint32_t lowest = 0;

    (void)q;
    for (size_t i = 0; i < d->n_rates; i++)
        if (lowest == 0 || d->rates[i].per_hour < lowest)
            lowest = d->rates[i].per_hour;
    fprintf(f, lowest > 0 ? "rate %u/hour" : "no rate", lowest);
}

typedef void say_part(FILE *f, const struct rules_question *q,
                      const struct rules_decision *d);

/* What a decision that allows says; the first four are always worth a word. */
static say_part *const PARTS[] = {say_sections, say_reveal,    say_returns, say_keep,
                                  say_answers,  say_approvals, say_rate};
enum { N_PARTS = sizeof PARTS / sizeof *PARTS, ALWAYS = 4 };

static char *part_text(const struct rules_question *q, const struct rules_decision *d,
                       int part)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    PARTS[part](f, q, d);
    fclose(f);
    return text;
}

/* Where both allow, only what is not the same in both; where one does, all that it says. */
static void say_decision(FILE *f, const struct rules_difference *d,
                         const struct rules_decision *one,
                         const struct rules_decision *other)
{
    const char *between = "allowed; ";

    if (one->code != LIAISON_OK) {
        fputs("refused", f);
        return;
    }
    for (int i = 0; i < N_PARTS; i++) {
        char *text = part_text(d->q, one, i);
        char *its = other->code == LIAISON_OK ? part_text(d->q, other, i) : NULL;
        bool says = its != NULL
                        ? text != NULL && strcmp(text, its) != 0
                        : i < ALWAYS || (text != NULL && strncmp(text, "no ", 3) != 0);

        if (text != NULL && says) {
            fprintf(f, "%s%s", between, text);
            between = "; ";
        }
        free(text);
        free(its);
    }
}

static const char *how_word(unsigned how)
{
    return how == RULES_WIDER      ? "widened"
           : how == RULES_NARROWER ? "narrowed"
                                   : "changed";
}

/* What makes a group: "widened", was, is; one text with a line for each. NULL when memory is out. */
static const char *describe(struct diff *x, const struct rules_difference *d)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    const uint8_t *kept = NULL;

    if (f == NULL)
        return NULL;
    fprintf(f, "%s\n", how_word(d->how));
    say_decision(f, d, d->before, d->after);
    fputc('\n', f);
    say_decision(f, d, d->after, d->before);
    if (fclose(f) == 0)
        kept = arena_copy(x->a, slice(text, len + 1));
    free(text);
    return (const char *)kept;
}

/* ---------------------------------------------------------------- rows */

static struct cell number_cell(struct diff *x, const struct value *values, uint32_t mask)
{
    const char *words[16];
    size_t n = 0;

    for (; values->word != NULL; values++)
        if ((mask >> values->number & 1) != 0)
            words[n++] = values->word;
    return cell_words(x->a, words, n, false);
}

static struct cell fact_cell(struct diff *x, const struct rules_difference *d,
                             unsigned fact)
{
    const struct rules_values *v = &d->alike[fact];

    if (COLUMN[fact].values != NULL)
        return number_cell(x, COLUMN[fact].values,
                           (d->open >> fact & 1) != 0 ? v->numbers
                                                      : UINT32_C(1) << d->q->type);
    if ((d->open >> fact & 1) != 0) {
        const char **kept = arena_alloc(x->a, (v->words.n + 1) * sizeof *kept);

        for (size_t i = 0; kept != NULL && i < v->words.n; i++)
            kept[i] = v->words.list[i];
        return cell_words(x->a, kept, kept != NULL ? v->words.n : 0, v->all_but);
    }
    return cell_words(x->a, &d->q->category, 1, false);
}

static struct cell pair_cell(struct diff *x, const struct rules_question *q)
{
    char text[2 * ID_NAME_MAX + 8];
    int n = snprintf(text, sizeof text, "%s -> %s", q->from, q->to);
    const char *kept = (const char *)arena_copy(x->a, slice(text, (size_t)n + 1));

    return cell_words(x->a, &kept, kept != NULL, false);
}

/* Places of the rules that `one` names and `other` does not. */
static struct cell rules_cell(struct diff *x, const struct rules_decision *one,
                              const struct rules_decision *other)
{
    const char *places[RULES_MATCHED_MAX];
    size_t n = 0;

    for (size_t i = 0; i < one->n_lines; i++) {
        size_t k = 0;

        while (k < other->n_lines &&
               memcmp(one->lines[i]->id, other->lines[k]->id, sizeof other->lines[k]->id))
            k++;
        if (k == other->n_lines)
            places[n++] = one->lines[i]->where;
    }
    return cell_words(x->a, places, n, false);
}

static bool differs(void *arg, const struct rules_difference *d)
{
    struct diff *x = arg;
    struct cell cells[COLUMNS], gathered[RULE_LISTS];

    for (unsigned fact = 0; fact < RULES_FACT__COUNT; fact++)
        cells[fact] = fact_cell(x, d, fact);
    cells[OF_PAIR] = pair_cell(x, d->q);
    cells[OF_DAY] = cell_span(x->a, (uint64_t)d->q->day, (uint64_t)d->day_end);
    cells[OF_SIZE] = cell_span(x->a, d->q->bytes, d->bytes_end);
    gathered[GONE] = rules_cell(x, d->before, d->after);
    gathered[NEW] = rules_cell(x, d->after, d->before);
    const struct row row = {.cells = cells, .what = describe(x, d), .gathered = gathered};

    x->widened = x->widened || (d->how & RULES_WIDER) != 0;
    return row.what != NULL && boxes_add(&x->boxes, &row);
}

/* ---------------------------------------------------------------- for people */

static void print_day(int32_t day)
{
    char text[16];
    time_t at = (time_t)day * 86400;
    struct tm t;

    gmtime_r(&at, &t);
    strftime(text, sizeof text, "%F", &t);
    fputs(text, stdout);
}

static void print_number(int column, uint64_t n)
{
    char text[32];

    if (column == OF_DAY)
        print_day((int32_t)n);
    else
        fputs(units_show_size(n, text), stdout);
}

/* "from 2027-01-01 to 2027-06-30", "from 65537 on". */
static void print_spans(const struct cell *c, int column)
{
    for (size_t i = 0; i < c->n; i++) {
        fputs(i == 0 ? "from " : ", from ", stdout);
        print_number(column, c->list[i].from);
        if (c->list[i].end != 0) {
            fputs(" to ", stdout);
            print_number(column, c->list[i].end - 1);
        } else {
            fputs(" on", stdout);
        }
    }
}

static void print_words(const struct diff *x, const struct cell *c, const char *between)
{
    size_t most = x->all || c->n <= SHOWN + 1 ? c->n : SHOWN;

    if (c->all_but)
        fputs("any but ", stdout);
    for (size_t i = 0; i < most; i++)
        printf("%s%s", i == 0 ? "" : between, c->words[i]);
    if (most < c->n)
        printf("%sand %zu more (--all)", between, c->n - most);
}

static bool has_word(const struct cell *c, const char *word)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->words[i], word) == 0)
            return true;
    return false;
}

/* Of a few values either those, or what is left of all. */
static struct cell shorter(struct diff *x, int column, const struct cell *c)
{
    const char *rest[16];
    size_t n = 0, all = 0;

    for (const struct value *v = COLUMN[column].values; v != NULL && v->word != NULL;
         v++, all++)
        if (!has_word(c, v->word))
            rest[n++] = v->word;
    return all > 0 && n < c->n ? cell_words(x->a, rest, n, true) : *c;
}

static uint64_t least_of(const struct diff *x, int column)
{
    return column == OF_DAY ? (uint64_t)x->day : 0;
}

static void print_row(struct diff *x, const struct row *row)
{
    const char *was = strchr(row->what, '\n') + 1, *is = strchr(was, '\n') + 1;

    printf("%.*s\n", (int)(was - 1 - row->what), row->what);
    for (int i = 0; i < COLUMNS; i++) {
        const struct cell c = shorter(x, i, &row->cells[i]);

        if (cell_is_any(&c, least_of(x, i)))
            continue;
        printf("  %-9s", COLUMN[i].name);
        if (c.spans)
            print_spans(&c, i);
        else
            print_words(x, &c, i == OF_PAIR ? "\n           " : ", ");
        putchar('\n');
    }
    printf("  %-9s%.*s\n  %-9s%s\n", "was", (int)(is - 1 - was), was, "is", is);
    for (int i = 0; i < RULE_LISTS; i++)
        if (row->gathered[i].n > 0) {
            printf("  %-9s", i == GONE ? "without" : "by");
            print_words(x, &row->gathered[i], ", ");
            putchar('\n');
        }
}

/* ---------------------------------------------------------------- for programs */

static void json_list(const char *const *words, size_t n)
{
    putchar('[');
    for (size_t i = 0; i < n; i++) {
        fputs(i == 0 ? "" : ",", stdout);
        json_text(stdout, words[i]);
    }
    putchar(']');
}

/* [[from, end], ...]: end is the first behind, null if there is none. */
static void json_spans(const struct cell *c)
{
    putchar('[');
    for (size_t i = 0; i < c->n; i++) {
        printf("%s[%llu,", i == 0 ? "" : ",", (unsigned long long)c->list[i].from);
        if (c->list[i].end != 0)
            printf("%llu]", (unsigned long long)c->list[i].end);
        else
            fputs("null]", stdout);
    }
    putchar(']');
}

static void json_row(struct diff *x, const struct row *row)
{
    const char *was = strchr(row->what, '\n') + 1, *is = strchr(was, '\n') + 1;

    printf("{\"how\":\"%.*s\"", (int)(was - 1 - row->what), row->what);
    for (int i = 0; i < COLUMNS; i++) {
        const struct cell c = shorter(x, i, &row->cells[i]);

        if (cell_is_any(&c, least_of(x, i)))
            continue;
        printf(",\"%s%s\":", COLUMN[i].name, c.all_but ? "-not" : "");
        if (c.spans)
            json_spans(&c);
        else
            json_list(c.words, c.n);
    }
    char *text = strndup(was, (size_t)(is - 1 - was));

    fputs(",\"was\":", stdout);
    json_text(stdout, text != NULL ? text : "");
    free(text);
    fputs(",\"is\":", stdout);
    json_text(stdout, is);
    fputs(",\"without\":", stdout);
    json_list(row->gathered[GONE].words, row->gathered[GONE].n);
    fputs(",\"by\":", stdout);
    json_list(row->gathered[NEW].words, row->gathered[NEW].n);
    puts("}");
}

/* ---------------------------------------------------------------- beside decisions */

static void say_beside(struct diff *x, bool wider, const char *what, const char *text)
{
    x->widened = x->widened || wider;
    if (x->json) {
        printf("{\"how\":\"%s\",\"%s\":", how_word(wider ? RULES_WIDER : RULES_NARROWER),
               what);
        json_text(stdout, text);
        puts("}");
    } else {
        printf("%s\n  %-9s%s\n", how_word(wider ? RULES_WIDER : RULES_NARROWER), what,
               text);
    }
}

/* Certificates that one set refuses and the other does not. */
static void compare_certificates(struct diff *x, const struct rules *has,
                                 const struct rules *may_lack, bool wider)
{
    for (size_t i = 0; i < rules_denied_certificates(has); i++) {
        const uint8_t *sha256;
        const struct rules_line *line = rules_denied_at(has, i, &sha256);

        if (!rules_denies_certificate(may_lack, sha256, NULL))
            say_beside(x, wider, wider ? "no more" : "new", line->text);
    }
}

/* Auditors whose area one set has and the other has not. */
static void compare_auditors(struct diff *x, const struct rules *has,
                             const struct rules *other, bool wider)
{
    const char *name, *area;

    for (size_t i = 0; (name = rules_auditor_at(has, i, &area)) != NULL; i++) {
        const char *there = rules_auditor_area(other, name);
        char text[2 * ID_NAME_MAX + 64];

        if (there != NULL && rules_area_within(area, there))
            continue;
        snprintf(text, sizeof text, "auditor %s of %s%s", name,
                 strcmp(area, "any") == 0 ? "" : "area ", area);
        say_beside(x, wider, wider ? "new" : "no more", text);
    }
}

/* ---------------------------------------------------------------- the command */

static int usage(FILE *to)
{
    fputs("usage: liaisond diff OLD NEW [--on DATE] [--all] [--json]\n\n"
          "  Shows every decision that NEW makes otherwise than OLD (settings or rules "
          "files), in groups:\n"
          "  what a group does not say may be anything. Exit 0: nothing is widened; 1: "
          "something is.\n"
          "  --on DATE  from that day on, as 2027-01-31 (default: today)\n"
          "  --all      name every agency of a group\n"
          "  --json     an object per group and line\n"
          "\nExample: liaisond diff rules.conf rules.new.conf || echo 'somebody has to "
          "agree'\n",
          to);
    return to == stdout ? EX_OK : EX_USAGE;
}

static bool take_word(struct diff *x, const char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        x->help = true;
    else if (strcmp(word, "--json") == 0)
        x->json = true;
    else if (strcmp(word, "--all") == 0)
        x->all = true;
    else if (word[0] == '-' || word[0] == '\0' || x->files[1] != NULL)
        return false;
    else
        x->files[x->files[0] != NULL] = word;
    return true;
}

static bool take_words(struct diff *x, int argc, char *const *argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--on") == 0 && i + 1 < argc && x->date == NULL) {
            x->date = argv[++i];
        } else if (!take_word(x, argv[i])) {
            fprintf(stderr,
                    "liaisond: diff does not know \"%s\"; 'liaisond diff --help' shows "
                    "what it knows\n",
                    argv[i]);
            return false;
        }
    }
    if (x->help)
        return true;
    if (x->files[1] == NULL)
        fputs("liaisond: diff wants two files with rules, OLD and NEW\n", stderr);
    if (x->date != NULL && !units_date(x->date, &x->day)) {
        fprintf(stderr, "liaisond: --on \"%s\"; expected a day, such as 2027-01-31\n",
                x->date);
        return false;
    }
    return x->files[1] != NULL;
}

static void print_all(struct diff *x)
{
    for (size_t i = 0; i < x->boxes.n; i++)
        if (x->json)
            json_row(x, &x->boxes.rows[i]);
        else
            print_row(x, &x->boxes.rows[i]);
    if (x->json)
        return;
    printf("%zu %s of decisions change; %s\n", x->boxes.n,
           x->boxes.n == 1 ? "group" : "groups",
           x->widened ? "something is widened" : "nothing is widened");
}

static int compare(struct diff *x)
{
    enum liaison_code code =
        rules_compare(x->before, x->after, x->day, QUESTIONS_MAX, differs, x, NULL);

    if (code == LIAISON_LIMIT)
        fputs(
            "liaisond: two agencies have too many questions between them to compare all "
            "of them\n",
            stderr);
    if (code == LIAISON_OK && !boxes_merge(&x->boxes))
        code = LIAISON_MEMORY;
    if (code == LIAISON_CLOSED)
        code = LIAISON_MEMORY;
    if (code != LIAISON_OK)
        return err_exit(code);
    compare_certificates(x, x->before, x->after, true);
    compare_certificates(x, x->after, x->before, false);
    compare_auditors(x, x->after, x->before, true);
    compare_auditors(x, x->before, x->after, false);
    print_all(x);
    if (fflush(stdout) != 0 || ferror(stdout))
        return EX_IOERR;
    return x->widened ? EX_WIDENED : EX_OK;
}

int diff_command(int argc, char *const *argv)
{
    struct diff x = {.a = arena_new(), .day = rules_day((uint64_t)time(NULL))};
    int status = EX_USAGE;

    x.boxes = (struct boxes){.a = x.a, .n_cells = COLUMNS, .n_gathered = RULE_LISTS};
    if (x.a == NULL)
        status = err_exit(LIAISON_MEMORY);
    else if (take_words(&x, argc, argv)) {
        enum liaison_code code = LIAISON_OK;

        if (x.help)
            status = usage(stdout);
        else if ((code = conf_load_any_rules(x.files[0], &x.before, stderr)) ==
                     LIAISON_OK &&
                 (code = conf_load_any_rules(x.files[1], &x.after, stderr)) == LIAISON_OK)
            status = compare(&x);
        else
            status = err_exit(code);
    }
    rules_free(x.before);
    rules_free(x.after);
    arena_free(x.a);
    return status;
}
