#include "broker/conf/lines.h"

#include <stdlib.h>

enum { COMMENTS_MAX = 60 }; /* a comment behind a wider line does not move the others */

size_t width_of(struct slice text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += (text.p[i] & 0xc0) != 0x80;
    return n;
}

void add_line(struct page *g, struct line line)
{
    if (g->n == g->room) {
        size_t room = g->room > 0 ? 2 * g->room : 256;
        struct line *more = arena_alloc(g->arena, room * sizeof *more);

        if (more == NULL) {
            g->failed = true;
            return;
        }
        if (g->n > 0)
            memcpy(more, g->lines, g->n * sizeof *more);
        g->lines = more;
        g->room = room;
    }
    g->lines[g->n++] = line;
}

void end_line(struct page *g, struct slice comment)
{
    if (g->now == NULL)
        return;
    bool closed = fclose(g->now) == 0;

    g->now = NULL;
    if (closed)
        add_line(g, (struct line){.text = (const char *)arena_copy(
                                      g->arena, slice(g->now_text, g->now_len)),
                                  .width = g->now_width,
                                  .comment = comment});
    g->failed = g->failed || !closed || g->lines[g->n - 1].text == NULL;
    free(g->now_text);
}

void put(struct page *g, struct slice text)
{
    if (g->now == NULL) {
        g->now_width = 0;
        g->now = open_memstream(&g->now_text, &g->now_len);
        g->failed = g->failed || g->now == NULL;
    }
    if (g->now == NULL)
        return;
    fwrite(text.p, 1, text.n, g->now);
    g->now_width += width_of(text);
}

void put_blanks(struct page *g, size_t n)
{
    while (n-- > 0)
        put(g, slice(" ", 1));
}

/* Where the comments stand that follow each other behind lines from `i` on. */
static size_t comment_column(const struct page *g, size_t i)
{
    size_t column = 0;

    for (; i < g->n && g->lines[i].comment.n > 0 && g->lines[i].width > 0; i++)
        if (g->lines[i].width > column && g->lines[i].width <= COMMENTS_MAX)
            column = g->lines[i].width;
    return column;
}

static void print_comment(const struct page *g, size_t i, size_t *column, FILE *out)
{
    const struct line *l = &g->lines[i];
    size_t gap = l->indented ? LINES_INDENT : 0;

    if (l->width > 0) {
        if (*column == 0)
            *column = comment_column(g, i);
        gap = 2 + (*column > l->width ? *column - l->width : 0);
    }
    fprintf(out, "%*s", (int)gap, "");
    fwrite(l->comment.p, 1, l->comment.n, out);
}

void print_lines(const struct page *g, FILE *out)
{
    size_t column = 0;

    for (size_t i = 0; i < g->n; i++) {
        const struct line *l = &g->lines[i];

        if (l->width == 0 || l->comment.n == 0)
            column = 0;
        fputs(l->text, out);
        if (l->comment.n > 0)
            print_comment(g, i, &column, out);
        fputc('\n', out);
    }
}
