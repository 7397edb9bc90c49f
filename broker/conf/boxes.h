#pragma once
/* Cases that are alike are put together: rows that differ in one column alone become one row. Private to broker/conf.
 *
 * A row says: for every combination of what its columns hold, this is so. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/arena.h"

/* What one column holds: words, or all words but those; or, of days and sizes, spans of numbers. */
struct cell {
    bool all_but, spans;
    const char **words; /* in order, each once */
    struct span {
        uint64_t from, end; /* the first behind it; 0: there is none */
    } *list;                /* in order, none touches the next */
    size_t n;
};

struct row {
    struct cell *cells;
    const char *what;       /* rows of different `what` stay apart */
    struct cell *gathered;  /* put together whatever they hold */
};

struct boxes {
    struct arena *a;
    size_t n_cells, n_gathered;
    struct row *rows;
    size_t n, room;
};

struct cell cell_words(struct arena *a, const char *const *words, size_t n, bool all_but);
struct cell cell_span(struct arena *a, uint64_t from, uint64_t end);

/* True if it says nothing: any word will do, or any number from `least` on. */
bool cell_is_any(const struct cell *c, uint64_t least);

/* Adds a row; cells and gathered are copied, what they point to is not. False when memory is out. */
bool boxes_add(struct boxes *b, const struct row *row);

/* Puts together what can be, column after column, until nothing more can. False when memory is out. */
bool boxes_merge(struct boxes *b);
