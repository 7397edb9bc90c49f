#include "broker/delivery/table.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64 };

/* Numbers come from the broker itself and mostly count up; one multiplication each spreads them well enough. */
static size_t home(const struct table *t, uint64_t high, uint64_t low)
{
    uint64_t x = (high + 1) * 0x9e3779b97f4a7c15u ^ low * 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return (size_t)(x * 0xd6e8feb86659fd93u >> 32) & (t->n_slots - 1);
}

/* Where the key is, or the free slot where it would go. */
static size_t find(const struct table *t, uint64_t high, uint64_t low)
{
    size_t i = home(t, high, low);
    while (t->slots[i] != NULL && (t->slots[i]->low != low || t->slots[i]->high != high))
        i = (i + 1) & (t->n_slots - 1);
    return i;
}

void *keyed_get(const struct table *t, uint64_t high, uint64_t low)
{
    return t->n == 0 ? NULL : t->slots[find(t, high, low)];
}

static bool grow(struct table *t)
{
    struct table bigger = {.n = t->n,
                           .n_slots = t->n_slots == 0 ? FIRST_SLOTS : t->n_slots * 2};
    bigger.slots = calloc(bigger.n_slots, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < t->n_slots; i++)
        if (t->slots[i] != NULL)
            bigger.slots[find(&bigger, t->slots[i]->high, t->slots[i]->low)] =
                t->slots[i];
    free(t->slots);
    *t = bigger;
    return true;
}

bool keyed_put(struct table *t, struct table_key *thing)
{
    if (2 * (t->n + 1) > t->n_slots && !grow(t))
        return false;
    t->slots[find(t, thing->high, thing->low)] = thing;
    t->n++;
    return true;
}

void keyed_remove(struct table *t, const struct table_key *thing)
{
    size_t mask = t->n_slots - 1, hole = find(t, thing->high, thing->low);
    t->n--;
    /* Move up those behind the hole that it would cut off from their home. */
    for (size_t i = (hole + 1) & mask; t->slots[i] != NULL; i = (i + 1) & mask) {
        size_t from_home = (i - home(t, t->slots[i]->high, t->slots[i]->low)) & mask;
        if (from_home >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = NULL;
}

void *keyed_any(const struct table *t)
{
    for (size_t i = 0; i < t->n_slots; i++)
        if (t->slots[i] != NULL)
            return t->slots[i];
    return NULL;
}

void keyed_free(struct table *t)
{
    free(t->slots);
    *t = (struct table){0};
}
