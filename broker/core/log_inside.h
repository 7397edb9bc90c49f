#pragma once
/* What log.c (the tree) and log_open.c (its checks) share; nobody else includes it. */
#include "broker/core/log.h"

enum { LOG_CACHE = 1 << 15 }; /* hashes kept in memory: all of the last batches, and the upper levels that proofs ask for */

struct cached {
    uint64_t place; /* index + 1; 0: nothing is here */
    uint8_t hash[HASH_BYTES];
};

struct log_name {
    uint32_t number;
    uint64_t base;
    uint64_t first_index;
    char origin[NOTE_NAME_MAX + 1];
    uint8_t rotated_to[32];
};

struct log {
    struct store *store;
    struct hash *hash; /* lent */
    struct ledger_second *second;
    uint32_t number;
    uint64_t base;
    char origin[NOTE_NAME_MAX + 1];
    uint8_t rotated_to[32];       /* all zero: to none */
    struct merkle_edge edge;      /* as committed */
    struct log_name before, next; /* of the batch in hand: what it began with, and the log it begins */
    uint8_t (*fresh)[HASH_BYTES]; /* of the batch in hand */
    size_t fresh_room;
    uint64_t scrubbed; /* leaves */
    struct cached cache[LOG_CACHE];
};

/* Another log than before: nothing in the cache is of it. */
void log_take_name(struct log *l, const struct log_name *n);

struct slice log_entry_key(uint64_t number, uint8_t key[8]);
