/* Output for people and for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/cli/cli.h"

int print_json(json_t *o)
{
    char *line = o != NULL ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

    json_decref(o);
    if (line == NULL)
        return cli_no_memory();
    puts(line);
    free(line);
    return 0;
}

/* C0, DEL and, in UTF-8, C1. */
static bool is_control(const unsigned char *p)
{
    return *p < ' ' || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
}

void print_safe(const char *text, const char *indent)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (!is_control(p)) {
            putchar(*p);
            continue;
        }
        if (*p == '\n' && indent != NULL) {
            printf("\n%s", indent);
            continue;
        }
        putchar('?');
        if (*p == 0xc2)
            p++;
    }
}

enum { COLUMNS_MAX = 8 };

struct row {
    struct row *next;
    const char *cells[COLUMNS_MAX];
};

struct table {
    struct arena *arena;
    const char *const *titles;
    size_t columns, width[COLUMNS_MAX];
    struct row *first, **last;
};

static size_t characters(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

struct table *table_new(struct arena *a, const char *const *titles)
{
    struct table *t = arena_zero(a, sizeof *t);

    if (t == NULL)
        return NULL;
    t->arena = a;
    t->titles = titles;
    t->last = &t->first;
    for (; t->columns < COLUMNS_MAX && titles[t->columns] != NULL; t->columns++)
        t->width[t->columns] = strlen(titles[t->columns]);
    return t;
}

void table_row(struct table *t, const char *const *cells)
{
    struct row *r = arena_zero(t->arena, sizeof *r);

    if (r == NULL) {
        cli_no_memory();
        return;
    }
    for (size_t i = 0; i < t->columns; i++) {
        size_t n = characters(cells[i]);

        r->cells[i] = cells[i];
        t->width[i] = n > t->width[i] ? n : t->width[i];
    }
    *t->last = r;
    t->last = &r->next;
}

/* Spaces stand between cells, never behind the last that says something. */
static void print_row(const struct table *t, const char *const *cells)
{
    size_t spaces = 0;

    for (size_t i = 0; i < t->columns; i++) {
        if (cells[i][0] != '\0') {
            printf("%*s", (int)spaces, "");
            print_safe(cells[i], NULL);
            spaces = 0;
        }
        spaces += t->width[i] - characters(cells[i]) + 2;
    }
}

/* On a terminal that knows how, unless the user has said no (no-color.org). */
static bool may_be_bold(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0') &&
           term != NULL && strcmp(term, "dumb") != 0;
}

void table_print(const struct table *t)
{
    bool bold = may_be_bold();

    fputs(bold ? "\033[1m" : "", stdout);
    print_row(t, t->titles);
    puts(bold ? "\033[0m" : "");
    for (const struct row *r = t->first; r != NULL; r = r->next) {
        print_row(t, r->cells);
        putchar('\n');
    }
}
