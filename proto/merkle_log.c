#include "proto/merkle.h"

uint64_t merkle_stored_count(uint64_t n)
{
    return 2 * n - (uint64_t)__builtin_popcountll(n);
}

uint64_t merkle_stored_index(unsigned level, uint64_t n)
{
    /* The last leaf below it stores it, `level` places after itself. */
    return merkle_stored_count(((n + 1) << level) - 1) + level;
}

/* ------------------------------------------------------------ the right edge */

size_t merkle_edge_add(struct hash *h, struct merkle_edge *e,
                       const uint8_t leaf[HASH_BYTES], uint8_t (*stored)[HASH_BYTES])
{
    size_t level = 0;

    memcpy(stored[0], leaf, HASH_BYTES);
    for (; (e->size >> level & 1) != 0; level++)
        merkle_node(h, e->hash[level], stored[level], stored[level + 1]);
    memcpy(e->hash[level], stored[level], HASH_BYTES);
    e->size++;
    return level + 1;
}

void merkle_edge_root(struct hash *h, const struct merkle_edge *e,
                      uint8_t out[HASH_BYTES])
{
    bool first = true;

    if (e->size == 0)
        hash_sha256(h, NULL, 0, out);
    for (uint64_t rest = e->size; rest != 0; rest &= rest - 1) {
        const uint8_t *subtree = e->hash[__builtin_ctzll(rest)];

        if (first)
            memcpy(out, subtree, HASH_BYTES);
        else
            merkle_node(h, subtree, out, out);
        first = false;
    }
}

enum liaison_code merkle_edge_load(merkle_read *read, void *arg, uint64_t size,
                                   struct merkle_edge *e)
{
    struct merkle_edge loaded = {.size = size};

    for (uint64_t rest = size; rest != 0; rest &= rest - 1) {
        unsigned level = (unsigned)__builtin_ctzll(rest);
        uint64_t at = merkle_stored_index(level, (size >> level) - 1);
        enum liaison_code code = read(arg, at, loaded.hash[level]);

        if (code != LIAISON_OK)
            return code;
    }
    *e = loaded;
    return LIAISON_OK;
}

/* ------------------------------------------------------------ proofs */

/* A subtree: n leaves from `first` on, which is a multiple of the power of two that n fits in. */
struct range {
    uint64_t first, n;
};

/* The subtrees whose hashes a proof is made of, the highest first, as the definitions find them. */
struct plan {
    size_t n;
    struct range ranges[MERKLE_PROOF_MAX];
};

static void want(struct plan *p, uint64_t first, uint64_t n)
{
    p->ranges[p->n++] = (struct range){first, n};
}

/* The largest power of two below n, n > 1: where RFC 6962 splits a tree. */
static uint64_t split(uint64_t n)
{
    return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* The hash over a range: of its complete subtrees, from the right to the left. */
static enum liaison_code range_hash(struct hash *h, merkle_read *read, void *arg,
                                    struct range r, uint8_t out[HASH_BYTES])
{
    bool first = true;

    for (uint64_t rest = r.n; rest != 0; rest &= rest - 1) {
        unsigned level = (unsigned)__builtin_ctzll(rest);
        uint64_t at = merkle_stored_index(level, (r.first >> level) + (r.n >> level) - 1);
        uint8_t left[HASH_BYTES];
        enum liaison_code code = read(arg, at, first ? out : left);

        if (code != LIAISON_OK)
            return code;
        if (!first)
            merkle_node(h, left, out, out);
        first = false;
    }
    return LIAISON_OK;
}

/* Writes the hashes planned, the lowest first. */
static enum liaison_code carry_out(struct hash *h, merkle_read *read, void *arg,
                                   const struct plan *p, uint8_t (*proof)[HASH_BYTES],
                                   size_t *proof_len)
{
    for (size_t i = 0; i < p->n; i++) {
        enum liaison_code code =
            range_hash(h, read, arg, p->ranges[p->n - 1 - i], proof[i]);

        if (code != LIAISON_OK)
            return code;
    }
    *proof_len = p->n;
    return LIAISON_OK;
}

enum liaison_code merkle_prove(struct hash *h, merkle_read *read, void *arg,
                               uint64_t index, uint64_t size, uint8_t (*path)[HASH_BYTES],
                               size_t *path_len)
{
    struct plan plan = {.n = 0};
    uint64_t first = 0;

    if (index >= size)
        return LIAISON_FIELD;
    while (size > 1) {
        uint64_t k = split(size);

        if (index - first < k) {
            want(&plan, first + k, size - k);
            size = k;
        } else {
            want(&plan, first, k);
            first += k;
            size -= k;
        }
    }
    return carry_out(h, read, arg, &plan, path, path_len);
}

enum liaison_code merkle_prove_growth(struct hash *h, merkle_read *read, void *arg,
                                      uint64_t old, uint64_t size,
                                      uint8_t (*proof)[HASH_BYTES], size_t *proof_len)
{
    struct plan plan = {.n = 0};
    uint64_t first = 0;

    if (old > size)
        return LIAISON_FIELD;
    while (old != 0 && first + size != old) {
        uint64_t k = split(size);

        if (old - first <= k) {
            want(&plan, first + k, size - k);
            size = k;
        } else {
            want(&plan, first, k);
            first += k;
            size -= k;
        }
    }
    if (first != 0) /* else what is left is the old tree, whose root the reader has */
        want(&plan, first, size);
    return carry_out(h, read, arg, &plan, proof, proof_len);
}

/* ------------------------------------------------------------ checks */

bool merkle_check(struct hash *h, const uint8_t leaf[HASH_BYTES], uint64_t index,
                  uint64_t size, struct slice path, const uint8_t root[HASH_BYTES])
{
    struct slice hashes[MERKLE_PATH_MAX];
    size_t n = path.n / HASH_BYTES;
    uint8_t got[HASH_BYTES];

    if (path.n % HASH_BYTES != 0 || n > MERKLE_PATH_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        hashes[i] = slice(path.p + i * HASH_BYTES, HASH_BYTES);
    return merkle_climb(h, leaf, index, size, hashes, n, got) &&
           memcmp(got, root, HASH_BYTES) == 0;
}

/* Two climbs in one: the proof's hashes lead from a subtree that both trees have to the root of each. */
static bool climb_both(struct hash *h, uint64_t old, uint64_t size, struct slice proof,
                       uint8_t old_root[HASH_BYTES], uint8_t root[HASH_BYTES])
{
    unsigned shared = (unsigned)__builtin_ctzll(old); /* levels below that subtree */
    uint64_t node = (old - 1) >> shared, last = (size - 1) >> shared;

    for (; proof.n > 0; proof = slice(proof.p + HASH_BYTES, proof.n - HASH_BYTES)) {
        if (last == 0)
            return false;
        if ((node & 1) != 0 || node == last) {
            merkle_node(h, proof.p, old_root, old_root);
            merkle_node(h, proof.p, root, root);
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            merkle_node(h, root, proof.p, root);
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0;
}

bool merkle_check_growth(struct hash *h, uint64_t old, const uint8_t old_root[HASH_BYTES],
                         uint64_t size, const uint8_t root[HASH_BYTES],
                         struct slice proof)
{
    uint8_t old_got[HASH_BYTES], got[HASH_BYTES];

    if (old > size || proof.n % HASH_BYTES != 0)
        return false;
    if (old == size)
        return proof.n == 0 && memcmp(old_root, root, HASH_BYTES) == 0;
    if (old == 0)
        return proof.n == 0;
    if (proof.n == 0)
        return false;
    if ((old & (old - 1)) == 0) { /* the old tree is such a subtree itself */
        memcpy(got, old_root, HASH_BYTES);
    } else {
        memcpy(got, proof.p, HASH_BYTES);
        proof = slice(proof.p + HASH_BYTES, proof.n - HASH_BYTES);
    }
    memcpy(old_got, got, HASH_BYTES);
    return climb_both(h, old, size, proof, old_got, got) &&
           memcmp(old_got, old_root, HASH_BYTES) == 0 &&
           memcmp(got, root, HASH_BYTES) == 0;
}
