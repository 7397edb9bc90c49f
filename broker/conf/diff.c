#include "broker/conf/diff.h"

#include <malloc.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "broker/conf/cases.h"
#include "broker/conf/conf.h"
#include "broker/conf/json.h"
#include "broker/conf/said.h"
#include "broker/conf/units.h"
#include "broker/rules/compare.h"
#include "proto/err.h"

enum { QUESTIONS_MAX = 1 << 20, EX_WIDENED = 1, PATIENCE_S = 2, KEPT_BYTES = 64 << 20 };
enum { GONE, NEW, RULE_LISTS };

struct diff {
    const char *files[2], *date;
    bool json, help;
    struct cases_look look;
    struct boxes boxes;
    struct rules *before, *after;
    bool widened;
    double began_s; /* monotonic */
    bool told;      /* of how far it is */
};

/* ---------------------------------------------------------------- rows */

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
    said_decision(f, d->q, d->before, d->after);
    fputc('\n', f);
    said_decision(f, d->q, d->after, d->before);
    if (fclose(f) == 0)
        kept = arena_copy(x->look.a, slice(text, len + 1));
    free(text);
    return (const char *)kept;
}

static struct cell pair_cell(struct diff *x, const struct rules_question *q)
{
    char text[2 * ID_NAME_MAX + 8];
    int n = snprintf(text, sizeof text, "%s -> %s", q->from, q->to);
    const char *kept = (const char *)arena_copy(x->look.a, slice(text, (size_t)n + 1));

    return cell_words(x->look.a, &kept, kept != NULL, false);
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
    return cell_words(x->look.a, places, n, false);
}

/* What is not open is one type or category that is looked at. */
static void subject_cells(struct diff *x, const struct rules_difference *d,
                          struct cell *cells)
{
    if ((d->open >> RULES_FACT_TYPE & 1) == 0)
        cells[RULES_FACT_TYPE] =
            cases_numbers(x->look.a, TYPES, UINT32_C(1) << d->q->type);
    if ((d->open >> RULES_FACT_CATEGORY & 1) == 0)
        cells[RULES_FACT_CATEGORY] = cell_words(x->look.a, &d->q->category, 1, false);
}

static bool differs(void *arg, const struct rules_difference *d)
{
    struct diff *x = arg;
    struct arena *a = x->look.a;
    struct cell cells[CASE_COLUMNS], gathered[RULE_LISTS];

    cases_cells(a, d->open, d->alike, cells);
    subject_cells(x, d, cells);
    cells[CASE_PAIR] = pair_cell(x, d->q);
    cells[CASE_DAY] = cell_span(a, (uint64_t)d->q->day, (uint64_t)d->day_end);
    cells[CASE_SIZE] = cell_span(a, d->q->bytes, d->bytes_end);
    gathered[GONE] = rules_cell(x, d->before, d->after);
    gathered[NEW] = rules_cell(x, d->after, d->before);
    const struct row row = {.cells = cells, .what = describe(x, d), .gathered = gathered};

    x->widened = x->widened || (d->how & RULES_WIDER) != 0;
    return row.what != NULL && boxes_add(&x->boxes, &row);
}

/* ---------------------------------------------------------------- printing */

static void print_row(struct diff *x, const struct row *row)
{
    const char *was = strchr(row->what, '\n') + 1, *is = strchr(was, '\n') + 1;

    printf("%.*s\n", (int)(was - 1 - row->what), row->what);
    cases_print(stdout, &x->look, row->cells);
    printf("  %-9s %.*s\n  %-9s %s\n", "was", (int)(is - 1 - was), was, "is", is);
    for (int i = 0; i < RULE_LISTS; i++)
        if (row->gathered[i].n > 0) {
            printf("  %-9s ", i == GONE ? "without" : "by");
            cases_words(stdout, &x->look, &row->gathered[i], ", ");
            putchar('\n');
        }
}

static void json_row(struct diff *x, const struct row *row)
{
    const char *was = strchr(row->what, '\n') + 1, *is = strchr(was, '\n') + 1;
    char *text = strndup(was, (size_t)(is - 1 - was));

    printf("{\"how\":\"%.*s\",", (int)(was - 1 - row->what), row->what);
    if (cases_json(stdout, &x->look, row->cells))
        putchar(',');
    fputs("\"was\":", stdout);
    json_text(stdout, text != NULL ? text : "");
    free(text);
    fputs(",\"is\":", stdout);
    json_text(stdout, is);
    fputs(",\"without\":", stdout);
    cases_json_list(stdout, row->gathered[GONE].words, row->gathered[GONE].n);
    fputs(",\"by\":", stdout);
    cases_json_list(stdout, row->gathered[NEW].words, row->gathered[NEW].n);
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
          "  At most 1,048,576 pairs of agencies that a change can concern are compared: "
          "all pairs of 1,024.\n"
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
        x->look.all = true;
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
    if (x->date != NULL && !units_date(x->date, &x->look.day)) {
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

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* On a terminal, once it takes a while. */
static void tell(void *arg, size_t done, size_t all)
{
    struct diff *x = arg;

    if (now_s() - x->began_s < PATIENCE_S || all == 0)
        return;
    x->told = true;
    fprintf(stderr, "\r%zu of %zu pairs of agencies, %zu %%", done, all,
            100 * done / all);
}

static int compare(struct diff *x)
{
    const struct rules_comparison what = {
        .before = x->before,
        .after = x->after,
        .day = x->look.day,
        .most = QUESTIONS_MAX,
        .visit = differs,
        .tell = isatty(STDERR_FILENO) ? tell : NULL,
        .arg = x,
    };
    enum liaison_code code = rules_compare(&what);

    if (x->told)
        fputs("\r\33[K", stderr);
    if (code == LIAISON_TOO_LARGE)
        fprintf(stderr,
                "liaisond: so much has changed that more than %d pairs of agencies would "
                "have to be compared; compare it in smaller steps\n",
                RULES_PAIRS_MAX);
    if (code == LIAISON_LIMIT)
        fputs(
            "liaisond: two agencies have too many questions between them to compare all "
            "of them\n",
            stderr);
    if (code == LIAISON_OK && !boxes_merge(&x->boxes))
        code = LIAISON_MEMORY;
    if (code == LIAISON_CLOSED)
        code = LIAISON_MEMORY;
    if (code == LIAISON_MEMORY)
        fprintf(stderr, "liaisond: %s\n", err_text(code));
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
    struct diff x = {.look = {.a = arena_new(), .day = rules_day((uint64_t)time(NULL))}};
    int status = EX_USAGE;

    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES); /* what one question took serves the next */
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    x.boxes =
        (struct boxes){.a = x.look.a, .n_cells = CASE_COLUMNS, .n_gathered = RULE_LISTS};
    if (x.look.a == NULL)
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
    arena_free(x.look.a);
    return status;
}
