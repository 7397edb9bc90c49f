#pragma once
/* Judges what the grammar has read: names, words, sizes, what is missing, double or unknown. Private to broker/conf. */
#include "broker/conf/tree.h"

/* Judges the rules' part of the tree and marks what is broken in it. Errors go to the report. */
void names_check(struct tree *t, const struct conf_source *rules_source);

/* Makes the set out of what is not broken, and reports rules that can never match. NULL: it could not be made, or
 * something was wrong with it; either is reported. */
struct rules *names_build(struct tree *t, const struct slice *texts, size_t n_texts);
