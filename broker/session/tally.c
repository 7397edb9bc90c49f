#include "broker/session/tally.h"

#include <stdlib.h>
#include <sys/random.h>

enum { BUCKETS = 1024 };

struct row {
    struct row *next;
    unsigned count;
    size_t key_len;
    uint8_t key[];
};

struct tally {
    unsigned limit;
    uint64_t
        seed; /* addresses are chosen by strangers: without it they could choose one bucket */
    struct row *buckets[BUCKETS];
};

struct tally *tally_new(unsigned limit)
{
    struct tally *t = calloc(1, sizeof *t);

    if (t == NULL)
        return NULL;
    t->limit = limit;
    if (getrandom(&t->seed, sizeof t->seed, 0) != (ssize_t)sizeof t->seed) {
        free(t);
        return NULL;
    }
    return t;
}

void tally_limit(struct tally *t, unsigned limit)
{
    t->limit = limit;
}

void tally_free(struct tally *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct row *r = t->buckets[i], *next; r != NULL; r = next) {
            next = r->next;
            free(r);
        }
    }
    free(t);
}

/* The place that holds the key's row, or that would hold it. FNV-1a, begun at the seed. */
static struct row **find(struct tally *t, struct slice key)
{
    uint64_t hash = t->seed;
    struct row **at;

    for (size_t i = 0; i < key.n; i++)
        hash = (hash ^ key.p[i]) * UINT64_C(0x100000001b3);
    at = &t->buckets[(hash ^ hash >> 32) % BUCKETS];
    while (*at != NULL && !slice_equal(slice((*at)->key, (*at)->key_len), key))
        at = &(*at)->next;
    return at;
}

bool tally_add(struct tally *t, struct slice key)
{
    struct row **at = find(t, key), *r = *at;

    if (r == NULL) {
        r = malloc(sizeof *r + key.n);
        if (r == NULL)
            return false;
        *r = (struct row){.key_len = key.n};
        memcpy(r->key, key.p, key.n);
        *at = r;
    }
    if (r->count >= t->limit)
        return false;
    r->count++;
    return true;
}

void tally_drop(struct tally *t, struct slice key)
{
    struct row **at = find(t, key), *r = *at;

    if (r == NULL || --r->count > 0)
        return;
    *at = r->next;
    free(r);
}
