#pragma once
/* RFC 6962 trees: hashes, roots, inclusion paths and consistency proofs, made and checked.
 *
 * A path or proof is what the RFCs print: 32 bytes an element, in their order. Where it travels it is one run of bytes. */
#include "liaison-codes.h"
#include "proto/hash.h"

/* The most elements of an inclusion path, and of a consistency proof, of any tree of up to 2^63 leaves. */
enum { MERKLE_PATH_MAX = 64, MERKLE_PROOF_MAX = 65, MERKLE_LEVELS = 64 };

/* Leaf: SHA-256(0x00 || bytes). Source: RFC 6962, 2.1. */
void merkle_leaf(struct hash *h, struct slice bytes, uint8_t out[HASH_BYTES]);

/* Node: SHA-256(0x01 || left || right). `out` may be either input. */
void merkle_node(struct hash *h, const uint8_t left[HASH_BYTES], const uint8_t right[HASH_BYTES],
                 uint8_t out[HASH_BYTES]);

/* ------------------------------------------------------------ trees in memory, as bursts are */

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

/* ------------------------------------------------------------ trees that only grow: proto/merkle_log.c
 *
 * Every complete subtree's hash is stored once, in the order in which it becomes known: leaf n, then each subtree that leaf n
 * completes, lowest first. Nothing stored changes. Source: golang.org/x/mod/sumdb/tlog, StoredHashIndex. */

/* How many hashes a tree of n leaves has stored: 2n - popcount(n). n < 2^63. */
uint64_t merkle_stored_count(uint64_t n);

/* The place of the hash over leaves [n << level, (n + 1) << level). */
uint64_t merkle_stored_index(unsigned level, uint64_t n);

/* The right edge of a tree: hash[i] is its complete subtree of 2^i leaves, where bit i of size is set. All zero: no leaf. */
struct merkle_edge {
    uint64_t size;
    uint8_t hash[MERKLE_LEVELS][HASH_BYTES];
};

/* Adds a leaf hash. Returns how many hashes that stores, at least 1, at most 64: the leaf's and those of the subtrees it
 * completes, written to `stored` in their order. */
size_t merkle_edge_add(struct hash *h, struct merkle_edge *e, const uint8_t leaf[HASH_BYTES],
                       uint8_t (*stored)[HASH_BYTES]);

/* The root of the tree with this edge; of none: SHA-256 of nothing. */
void merkle_edge_root(struct hash *h, const struct merkle_edge *e, uint8_t out[HASH_BYTES]);

/* Reads the stored hash at `index`. Returns LIAISON_OK or what keeps it from doing so. */
typedef enum liaison_code merkle_read(void *arg, uint64_t index, uint8_t out[HASH_BYTES]);

/* The edge of the tree of the first `size` leaves, from what is stored. Errors: what `read` says; *e is untouched then. */
MUST_CHECK
enum liaison_code merkle_edge_load(merkle_read *read, void *arg, uint64_t size, struct merkle_edge *e);

/* The path of leaf `index` in the tree of the first `size` leaves, lowest first; *path_len at most MERKLE_PATH_MAX. At most two
 * reads a level, and no memory of its own. On error *path_len is untouched, and what `path` holds is not a path.
 * Errors: LIAISON_FIELD (index >= size); what `read` says. Source: RFC 6962, 2.1.1. */
MUST_CHECK
enum liaison_code merkle_prove(struct hash *h, merkle_read *read, void *arg, uint64_t index, uint64_t size,
                               uint8_t (*path)[HASH_BYTES], size_t *path_len);

/* The proof that the tree of `size` leaves extends that of `old`; empty for old 0 and old == size. Otherwise as above.
 * Errors: LIAISON_FIELD (old > size); what `read` says. Source: RFC 6962, 2.1.2. */
MUST_CHECK
enum liaison_code merkle_prove_growth(struct hash *h, merkle_read *read, void *arg, uint64_t old, uint64_t size,
                                      uint8_t (*proof)[HASH_BYTES], size_t *proof_len);

/* True if `path` (n * 32 bytes) proves that the tree with this root has `leaf` at `index`. Source: RFC 9162, 2.1.3.2. */
MUST_CHECK
bool merkle_check(struct hash *h, const uint8_t leaf[HASH_BYTES], uint64_t index, uint64_t size, struct slice path,
                  const uint8_t root[HASH_BYTES]);

/* True if `proof` (n * 32 bytes) proves that the tree (size, root) extends (old, old_root). old == size wants the same root and
 * an empty proof; else from old 0 anything follows, with an empty proof, whatever old_root is; old > size is false.
 * The sizes are what the two roots are taken to be of: a signature has to say so, for the hashes alone do not.
 * Source: RFC 9162, 2.1.4.2; C2SP tlog-witness (size 0). */
MUST_CHECK
bool merkle_check_growth(struct hash *h, uint64_t old, const uint8_t old_root[HASH_BYTES], uint64_t size,
                         const uint8_t root[HASH_BYTES], struct slice proof);
