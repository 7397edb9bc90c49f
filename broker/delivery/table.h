#pragma once
/* A hash table of things that begin with their key. Grows, never shrinks; holds pointers and owns nothing. */
#include "proto/slice.h"

struct table_key {
    uint64_t high, low;
};

/* All zero is an empty table. */
struct table {
    struct table_key **slots;
    size_t n, n_slots; /* n_slots is 0 or a power of two, at least twice n */
};

/* The thing under that key, or NULL. It begins with its struct table_key. */
void *keyed_get(const struct table *t, uint64_t high, uint64_t low);

/* Puts in a thing whose key is not there yet. False when memory is out; nothing has changed then. */
MUST_CHECK
bool keyed_put(struct table *t, struct table_key *thing);

/* Takes a thing out that is there. */
void keyed_remove(struct table *t, const struct table_key *thing);

/* Any one thing, or NULL from an empty table: to release them all. */
void *keyed_any(const struct table *t);

/* Releases the slots, not the things. */
void keyed_free(struct table *t);
