#include "proto/merkle.h"

void merkle_leaf(struct hash *h, struct slice bytes, uint8_t out[HASH_BYTES])
{
    static const uint8_t LEAF = 0x00;

    hash_sha256(h, (struct slice[]){{&LEAF, 1}, bytes}, 2, out);
}

void merkle_node(struct hash *h, const uint8_t left[HASH_BYTES],
                 const uint8_t right[HASH_BYTES], uint8_t out[HASH_BYTES])
{
    uint8_t both[1 + 2 * HASH_BYTES];

    both[0] = 0x01;
    memcpy(both + 1, left, HASH_BYTES);
    memcpy(both + 1 + HASH_BYTES, right, HASH_BYTES);
    hash_sha256(h, &(struct slice){both, sizeof both}, 1, out);
}

/* The largest power of two below n, n > 1: where RFC 6962 splits a tree. */
static size_t split(size_t n)
{
    size_t k = 1;

    while (k < n - k)
        k *= 2;
    return k;
}

void merkle_root(struct hash *h, const uint8_t (*leaves)[HASH_BYTES], size_t n,
                 uint8_t out[HASH_BYTES])
{
    if (n == 0) {
        hash_sha256(h, NULL, 0, out);
    } else if (n == 1) {
        memcpy(out, leaves[0], HASH_BYTES);
    } else {
        size_t k = split(n); /* depth of the recursion: log2(n) */
        uint8_t right[HASH_BYTES];

        merkle_root(h, leaves, k, out);
        merkle_root(h, leaves + k, n - k, right);
        merkle_node(h, out, right, out);
    }
}

size_t merkle_path(struct hash *h, const uint8_t (*leaves)[HASH_BYTES], size_t n,
                   size_t index, uint8_t (*path)[HASH_BYTES])
{
    if (n <= 1)
        return 0;
    size_t k = split(n), len;

    if (index < k) {
        len = merkle_path(h, leaves, k, index, path);
        merkle_root(h, leaves + k, n - k, path[len]);
    } else {
        len = merkle_path(h, leaves + k, n - k, index - k, path);
        merkle_root(h, leaves, k, path[len]);
    }
    return len + 1;
}

bool merkle_climb(struct hash *h, const uint8_t leaf[HASH_BYTES], uint64_t index,
                  uint64_t size, const struct slice *path, size_t path_len,
                  uint8_t root[HASH_BYTES])
{
    uint64_t node = index, last = size - 1;

    if (index >= size)
        return false;
    memcpy(root, leaf, HASH_BYTES);
    for (size_t i = 0; i < path_len; i++) {
        if (last == 0 || path[i].n != HASH_BYTES)
            return false;
        if ((node & 1) != 0 || node == last) {
            merkle_node(h, path[i].p, root, root);
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            merkle_node(h, root, path[i].p, root);
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0;
}
