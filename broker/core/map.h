#pragma once
/* A table from 64-bit numbers to pointers. Keys are ours, never a peer's, so no one can make them collide. */
#include "proto/slice.h"

struct map; /* NULL is an empty one */

/* The pointer kept under `key`, or NULL. */
void *map_get(const struct map *m, uint64_t key);

/* Keeps `value` (not NULL) under `key`, in place of what was there. False when memory is out: nothing changed. */
MUST_CHECK
bool map_put(struct map **m, uint64_t key, void *value);

/* Forgets `key`; returns what was kept under it, or NULL. */
void *map_take(struct map *m, uint64_t key);

/* Visits every pair: start with *i = 0. False when there are no more. No change between calls. */
MUST_CHECK
bool map_next(const struct map *m, size_t *i, uint64_t *key, void **value);

void map_free(struct map *m); /* not what it points to */
