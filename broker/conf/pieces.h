#pragma once
/* A file as pieces in their order, comments and blank lines among them. Private to broker/conf. */
#include <stdint.h>

#include "proto/arena.h"

enum piece_sort { PIECE_WORD, PIECE_OPEN, PIECE_CLOSE, PIECE_COMMA, PIECE_COMMENT, PIECE_BLANK };

struct piece {
    enum piece_sort sort;
    struct slice text;  /* as it stands; a comment without blanks at its end */
    bool begins;        /* a statement */
    bool first_in_line; /* nothing but blanks before it */
    bool indented;      /* blanks before it */
};

/* Splits a text that the scanner has read without an error. Lines without anything are one BLANK, however many there are.
 * NULL: memory is out. */
struct piece *pieces_of(struct slice text, struct arena *a, size_t *n);

/* True if the piece is this word. */
bool piece_is(const struct piece *p, const char *word);
