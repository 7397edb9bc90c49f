#include "broker/conf/boxes.h"

#include <stdlib.h>
#include <string.h>

enum { CROWDED = 1 << 14 }; /* rows: past it they are put together early */

/* ---------------------------------------------------------------- cells */

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

struct cell cell_words(struct arena *a, const char *const *words, size_t n, bool all_but)
{
    struct cell c = {.all_but = all_but,
                     .words = arena_alloc(a, (n + 1) * sizeof(char *))};

    if (c.words == NULL)
        return c;
    for (size_t i = 0; i < n; i++)
        c.words[i] = words[i];
    qsort(c.words, n, sizeof *c.words, by_text);
    c.n = n;
    return c;
}

struct cell cell_span(struct arena *a, uint64_t from, uint64_t end)
{
    struct cell c = {.spans = true, .list = arena_alloc(a, sizeof *c.list)};

    if (c.list != NULL) {
        c.list[0] = (struct span){from, end};
        c.n = 1;
    }
    return c;
}

bool cell_is_any(const struct cell *c, uint64_t least)
{
    if (c->spans)
        return c->n == 1 && c->list[0].from <= least && c->list[0].end == 0;
    return c->all_but && c->n == 0;
}

static int by_cell(const struct cell *x, const struct cell *y)
{
    int order = (int)x->all_but - (int)y->all_but;

    for (size_t i = 0; order == 0 && i < x->n && i < y->n; i++) {
        if (!x->spans) {
            order = strcmp(x->words[i], y->words[i]);
        } else {
            const struct span *s = &x->list[i], *t = &y->list[i];

            order = (s->from > t->from) - (s->from < t->from);
            if (order == 0)
                order = (s->end > t->end) - (s->end < t->end);
        }
    }
    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

/* Words of x and, as `wanted` says, those of y too: of either (true, true), of both (true, false), of x alone (false, -). */
static size_t put_words(const char **out, const struct cell *x, const struct cell *y,
                        bool common, bool either)
{
    size_t i = 0, j = 0, n = 0;

    while (i < x->n || (either && j < y->n)) {
        int order = i == x->n ? 1 : j == y->n ? -1 : strcmp(x->words[i], y->words[j]);

        if (order < 0 && (either || !common))
            out[n++] = x->words[i];
        else if (order == 0 && common)
            out[n++] = x->words[i];
        else if (order > 0 && either)
            out[n++] = y->words[j];
        i += order <= 0;
        j += order >= 0;
    }
    return n;
}

static struct cell join_words(struct arena *a, const struct cell *x, const struct cell *y)
{
    struct cell c = {.all_but = x->all_but || y->all_but,
                     .words = arena_alloc(a, (x->n + y->n + 1) * sizeof(char *))};

    if (c.words == NULL)
        return c;
    if (x->all_but && y->all_but)
        c.n = put_words(c.words, x, y, true, false);
    else if (x->all_but)
        c.n = put_words(c.words, x, y, false, false);
    else if (y->all_but)
        c.n = put_words(c.words, y, x, false, false);
    else
        c.n = put_words(c.words, x, y, true, true);
    return c;
}

static int by_start(const void *x, const void *y)
{
    const struct span *a = x, *b = y;

    return (a->from > b->from) - (a->from < b->from);
}

static struct cell join_spans(struct arena *a, const struct cell *x, const struct cell *y)
{
    struct cell c = {.spans = true,
                     .list = arena_alloc(a, (x->n + y->n + 1) * sizeof *c.list)};

    if (c.list == NULL)
        return c;
    memcpy(c.list, x->list, x->n * sizeof *c.list);
    memcpy(c.list + x->n, y->list, y->n * sizeof *c.list);
    qsort(c.list, x->n + y->n, sizeof *c.list, by_start);
    for (size_t i = 0; i < x->n + y->n; i++) {
        struct span *last = c.n > 0 ? &c.list[c.n - 1] : NULL;

        if (last == NULL || (last->end != 0 && last->end < c.list[i].from))
            c.list[c.n++] = c.list[i];
        else if (last->end != 0 && (c.list[i].end == 0 || c.list[i].end > last->end))
            last->end = c.list[i].end;
    }
    return c;
}

static struct cell join(struct arena *a, const struct cell *x, const struct cell *y)
{
    return x->spans ? join_spans(a, x, y) : join_words(a, x, y);
}

/* ---------------------------------------------------------------- rows */

/* The column that rows may differ in comes last. */
struct sorting {
    size_t n_cells, open;
};

static int by_row(const void *x, const void *y, void *arg)
{
    const struct row *a = x, *b = y;
    const struct sorting *s = arg;
    int order = strcmp(a->what, b->what);

    for (size_t i = 0; order == 0 && i < s->n_cells; i++)
        if (i != s->open)
            order = by_cell(&a->cells[i], &b->cells[i]);
    return order;
}

static bool merge_column(struct boxes *b, size_t column)
{
    struct sorting s = {b->n_cells, column};
    size_t n = 0;
    bool good = true;

    if (b->n > 0)
        qsort_r(b->rows, b->n, sizeof *b->rows, by_row, &s);
    for (size_t i = 0; i < b->n; i++) {
        struct row *last = n > 0 ? &b->rows[n - 1] : NULL;

        if (last == NULL || by_row(last, &b->rows[i], &s) != 0) {
            b->rows[n++] = b->rows[i];
            continue;
        }
        last->cells[column] = join(b->a, &last->cells[column], &b->rows[i].cells[column]);
        good = good && (last->cells[column].words != NULL || last->cells[column].spans);
        for (size_t k = 0; k < b->n_gathered; k++)
            last->gathered[k] = join(b->a, &last->gathered[k], &b->rows[i].gathered[k]);
    }
    b->n = n;
    return good;
}

bool boxes_merge(struct boxes *b)
{
    size_t before;

    do {
        before = b->n;
        for (size_t column = b->n_cells; column-- > 0;)
            if (!merge_column(b, column))
                return false;
    } while (b->n < before);
    return true;
}

bool boxes_add(struct boxes *b, const struct row *row)
{
    const bool full = b->n == b->room;

    if (full && b->n >= CROWDED && !boxes_merge(b))
        return false;
    if (full && b->n >= b->room / 2) { /* or it would be full again soon */
        size_t room = b->room == 0 ? 256 : 2 * b->room;
        struct row *more = arena_alloc(b->a, room * sizeof *more);

        if (more == NULL)
            return false;
        if (b->n > 0)
            memcpy(more, b->rows, b->n * sizeof *more);
        b->rows = more;
        b->room = room;
    }
    struct row kept = {
        .cells = arena_alloc(b->a, b->n_cells * sizeof *kept.cells),
        .what = row->what,
        .gathered = arena_alloc(b->a, (b->n_gathered + 1) * sizeof *kept.gathered)};

    if (kept.cells == NULL || kept.gathered == NULL)
        return false;
    memcpy(kept.cells, row->cells, b->n_cells * sizeof *kept.cells);
    if (b->n_gathered > 0)
        memcpy(kept.gathered, row->gathered, b->n_gathered * sizeof *kept.gathered);
    b->rows[b->n++] = kept;
    return true;
}
