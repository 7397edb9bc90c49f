#pragma once
/* Counts by key: how many sessions an agency or an address has. */
#include "proto/slice.h"

struct tally;

/* Gives: counts with `limit` as the most for any one key, or NULL when memory is out. */
struct tally *tally_new(unsigned limit);
void tally_free(struct tally *t);

/* Another limit from now on; keys that are beyond it stay counted. */
void tally_limit(struct tally *t, unsigned limit);

/* One more under `key`. False if the limit is reached or memory is out; nothing was counted then. */
MUST_CHECK
bool tally_add(struct tally *t, struct slice key);

/* One less under a key that was counted. A key at nothing is forgotten. */
void tally_drop(struct tally *t, struct slice key);
