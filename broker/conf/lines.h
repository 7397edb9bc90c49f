#pragma once
/* Lines in the making, with the comments behind them. Private to broker/conf. */
#include <stdio.h>

#include "proto/arena.h"

enum { LINES_INDENT = 6 };

/* A line of the result. */
struct line {
    const char *text; /* "": a comment of its own, or none */
    size_t width;
    struct slice comment;
    bool indented; /* a comment of its own */
};

struct page {
    struct arena *arena;
    struct line *lines;
    size_t n, room;
    FILE *now; /* the line that is being written; NULL: none */
    char *now_text;
    size_t now_len, now_width;
    bool failed;
};

/* Characters of a text. */
size_t width_of(struct slice text);

/* Adds a line as it is. */
void add_line(struct page *g, struct line line);

/* Writes into the line that is being written, or begins one. */
void put(struct page *g, struct slice text);
void put_blanks(struct page *g, size_t n);

/* Ends the line that is being written, if there is one, with a comment behind it or none. */
void end_line(struct page *g, struct slice comment);

/* Prints all of them. Comments that follow each other behind lines stand in one column. */
void print_lines(const struct page *g, FILE *out);
