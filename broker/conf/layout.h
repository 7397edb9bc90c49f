#pragma once
/* The one layout of a settings or rules file: as a typist would leave it, and every tool would leave it alone.
 *
 * Statements and their clauses keep their order, comments stay behind or above what they stand behind or above, of blank lines
 * one is kept. Only blanks and ends of line change, so what a file says is the same before and after. Private to broker/conf. */
#include "proto/arena.h"

enum { LAYOUT_WIDTH = 100 }; /* lines are broken before they are longer, where they can be */

/* Lays out a text that the grammar has read without an error. Laying out the result changes nothing more.
 * Gives: *out in `a`. False: memory is out. */
bool layout(struct slice text, struct arena *a, struct slice *out);
