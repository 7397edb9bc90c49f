#pragma once
/* Hashes, roots and proofs of a tree of which a source has the tiles. Pure but for the source.
 *
 * Nothing that is read is believed: tree_check() finds tiles that do not lead to each other, the caller compares the root. */
#include "client/audit/source.h"
#include "proto/merkle.h"

/* A source, and the tile that was read last. One thread's; begin with {.source = ..., .hash = ...}. */
struct tree {
    const struct source *source;
    struct hash *hash;
    bool have;
    unsigned level, width;
    uint64_t n;
    uint8_t tile[SOURCE_WIDTH][HASH_BYTES];
};

/* Makes tile (level, n) the one in t->tile. Errors: the source's. */
MUST_CHECK
enum liaison_code tree_tile(struct tree *t, unsigned level, uint64_t n);

/* The hash over leaves [n << level, (n + 1) << level), which the tree has. Errors: the source's. */
MUST_CHECK
enum liaison_code tree_hash(struct tree *t, unsigned level, uint64_t n, uint8_t out[HASH_BYTES]);

/* The right edge, and the root, of the tree of the first `size` leaves; size at most the source's. Errors: the source's. */
MUST_CHECK
enum liaison_code tree_edge(struct tree *t, uint64_t size, struct merkle_edge *out);
MUST_CHECK
enum liaison_code tree_root(struct tree *t, uint64_t size, uint8_t out[HASH_BYTES]);

/* As merkle_prove() and merkle_prove_growth(), from the tiles. */
MUST_CHECK
enum liaison_code tree_path(struct tree *t, uint64_t index, uint64_t size, uint8_t (*path)[HASH_BYTES], size_t *len);
MUST_CHECK
enum liaison_code tree_growth(struct tree *t, uint64_t old, uint64_t size, uint8_t (*proof)[HASH_BYTES], size_t *len);

/* A full tile's one hash: the root over its 256. Writes over `hashes`. */
void tree_fold(struct hash *h, uint8_t (*hashes)[HASH_BYTES], uint8_t out[HASH_BYTES]);

/* What tree_check() tells of tile (level, n): it does not fold to the hash that the level above has for it (LIAISON_DAMAGED), or it
 * could not be read (the source's code). */
typedef void tree_found(void *arg, enum liaison_code code, unsigned level, uint64_t n);

/* Compares every tile from level 2 up with those below. Those of level 1 are compared with the pages, by whoever reads pages.
 * Adds to *tiles how many were read. Returns false if anything was found. */
bool tree_check(struct tree *t, uint64_t *tiles, tree_found *found, void *arg);
