#pragma once
/* RFC 6962 trees: hashes, roots, inclusion paths, made and checked. */
#include "proto/hash.h"

/* Leaf: SHA-256(0x00 || bytes). Source: RFC 6962, 2.1. */
void merkle_leaf(struct hash *h, struct slice bytes, uint8_t out[HASH_BYTES]);

/* Node: SHA-256(0x01 || left || right). `out` may be either input. */
void merkle_node(struct hash *h, const uint8_t left[HASH_BYTES], const uint8_t right[HASH_BYTES],
                 uint8_t out[HASH_BYTES]);

/* Root over n leaf hashes; of none: SHA-256 of nothing. */
void merkle_root(struct hash *h, const uint8_t (*leaves)[HASH_BYTES], size_t n, uint8_t out[HASH_BYTES]);

/* The path of leaf `index` among n, lowest first. Returns its length, at most 64; `path` has room for that many.
 * Source: RFC 6962, 2.1.1. */
size_t merkle_path(struct hash *h, const uint8_t (*leaves)[HASH_BYTES], size_t n, size_t index,
                   uint8_t (*path)[HASH_BYTES]);

/* The root that leaf `index` of `size` and its path lead to. False if the path has the wrong length for that place.
 * Source: RFC 9162, 2.1.3.2. */
MUST_CHECK
bool merkle_climb(struct hash *h, const uint8_t leaf[HASH_BYTES], uint64_t index, uint64_t size,
                  const struct slice *path, size_t path_len, uint8_t root[HASH_BYTES]);
