#include "broker/conf/report.h"

#include <stdarg.h>
#include <stdlib.h>

#include "broker/conf/conf.h"
#include "proto/valid.h"

enum { MESSAGE_MAX = 1000, EXCERPT_MAX = 160, BEFORE_MAX = 100 };

struct problem {
    struct place at;
    const char *text;
    bool warning;
    size_t number; /* keeps the sort stable */
};

struct report {
    struct arena *arena;
    struct problem list[2 * CONF_ERRORS_MAX];
    size_t n, count, warnings;
    bool no_memory;
};

struct report *report_new(struct arena *a)
{
    struct report *r = arena_zero(a, sizeof *r);

    if (r != NULL)
        r->arena = a;
    return r;
}

void report_memory(struct report *r)
{
    r->no_memory = true;
}

size_t report_count(const struct report *r)
{
    return r->count;
}

bool report_full(const struct report *r)
{
    return r->count > CONF_ERRORS_MAX;
}

bool report_no_memory(const struct report *r)
{
    return r->no_memory;
}

/* What stands in a file goes to a terminal: control characters do not. */
static void defuse(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

__attribute__((format(printf, 4, 0))) static void
note(struct report *r, struct place at, bool warning, const char *fmt, va_list args)
{
    char text[MESSAGE_MAX];

    vsnprintf(text, sizeof text, fmt, args);
    defuse(text);
    const char *kept = (const char *)arena_copy(r->arena, slice_text(text));

    if (kept == NULL) {
        r->no_memory = true;
        return;
    }
    r->list[r->n] = (struct problem){at, kept, warning, r->n};
    r->n++;
}

void report_error(struct report *r, struct place at, const char *fmt, ...)
{
    va_list args;

    if (r->count++ >= CONF_ERRORS_MAX)
        return;
    va_start(args, fmt);
    note(r, at, false, fmt, args);
    va_end(args);
}

void report_warning(struct report *r, struct place at, const char *fmt, ...)
{
    va_list args;

    if (r->warnings++ >= CONF_ERRORS_MAX)
        return;
    va_start(args, fmt);
    note(r, at, true, fmt, args);
    va_end(args);
}

/* ---------------------------------------------------------------- printing */

static bool starts_character(uint8_t byte)
{
    return (byte & 0xc0) != 0x80;
}

/* The line that `at` lies in, without its end. */
static struct slice line_of(const struct place *at, size_t *before)
{
    struct slice t = at->file->text;
    size_t start = at->at <= t.n ? at->at : t.n, end = start;

    while (start > 0 && t.p[start - 1] != '\n')
        start--;
    while (end < t.n && t.p[end] != '\n')
        end++;
    *before = at->at - start;
    return slice(t.p + start, end - start);
}

static size_t characters(struct slice text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += starts_character(text.p[i]);
    return n;
}

/* A text that is no UTF-8 is shown as what of it is ASCII. */
static void put_excerpt(struct slice text, FILE *out)
{
    bool sound = valid_utf8(text);

    fputs("    ", out);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        bool shown = c == '\t' || (c >= ' ' && c < 0x7f) || (c >= 0x80 && sound);

        fputc(shown ? c : '?', out);
    }
    fputc('\n', out);
}

/* Blanks as wide as the text before the caret: tabs stay tabs. */
static void put_caret(struct slice before, FILE *out)
{
    fputs("    ", out);
    for (size_t i = 0; i < before.n; i++)
        if (starts_character(before.p[i]))
            fputc(before.p[i] == '\t' ? '\t' : ' ', out);
    fputs("^\n", out);
}

static void print_problem(const struct problem *p, FILE *out)
{
    const char *sort = p->warning ? "warning" : "error";

    if (p->at.file == NULL) {
        fprintf(out, "%s: %s\n", sort, p->text);
        return;
    }
    if (p->at.line == 0) {
        fprintf(out, "%s: %s: %s\n", p->at.file->name, sort, p->text);
        return;
    }
    size_t before, cut = 0;
    struct slice line = line_of(&p->at, &before);

    fprintf(out, "%s:%u:%zu: %s: %s\n", p->at.file->name, p->at.line,
            characters(slice(line.p, before)) + 1, sort, p->text);
    if (before > BEFORE_MAX)
        cut = before - BEFORE_MAX;
    while (cut > 0 && cut < before && !starts_character(line.p[cut]))
        cut++;
    struct slice shown =
        slice(line.p + cut, line.n - cut < EXCERPT_MAX ? line.n - cut : EXCERPT_MAX);

    while (shown.n > 0 && shown.n < line.n - cut && !starts_character(shown.p[shown.n]))
        shown.n--; /* a character is shown whole */
    put_excerpt(shown, out);
    put_caret(slice(shown.p, before - cut), out);
}

static int by_place(const void *x, const void *y)
{
    const struct problem *a = x, *b = y;
    unsigned file_a = a->at.file != NULL ? a->at.file->number + 1 : 0,
             file_b = b->at.file != NULL ? b->at.file->number + 1 : 0;

    if (file_a != file_b)
        return file_a < file_b ? -1 : 1;
    if (a->at.at != b->at.at)
        return a->at.at < b->at.at ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

void report_print(const struct report *r, FILE *out)
{
    struct problem sorted[2 * CONF_ERRORS_MAX];

    memcpy(sorted, r->list, r->n * sizeof *sorted);
    qsort(sorted, r->n, sizeof *sorted, by_place);
    for (size_t i = 0; i < r->n; i++)
        print_problem(&sorted[i], out);
    if (report_full(r))
        fprintf(out, "error: more than %d errors; the rest is not shown\n",
                CONF_ERRORS_MAX);
    if (r->no_memory)
        fputs("error: out of memory\n", out);
}
