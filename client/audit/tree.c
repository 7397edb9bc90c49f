#include "client/audit/tree.h"

enum { BITS = 8 }; /* of a tile's width */

enum liaison_code tree_tile(struct tree *t, unsigned level, uint64_t n)
{
    unsigned width = source_width(t->source->size, level, n);

    if (t->have && t->level == level && t->n == n)
        return LIAISON_OK;
    t->have = false;
    if (width == 0)
        return LIAISON_NOT_FOUND;
    enum liaison_code code = t->source->tile(t->source->arg, level, n, width, t->tile);

    t->have = code == LIAISON_OK;
    t->level = level;
    t->n = n;
    t->width = width;
    return code;
}

enum liaison_code tree_hash(struct tree *t, unsigned level, uint64_t n,
                            uint8_t out[HASH_BYTES])
{
    unsigned within = level % BITS, count = 1U << within;
    uint64_t first = n << within;
    enum liaison_code code = tree_tile(t, level / BITS, first / SOURCE_WIDTH);
    unsigned at = (unsigned)(first % SOURCE_WIDTH);

    if (code != LIAISON_OK)
        return code;
    if (at + count > t->width)
        return LIAISON_NOT_FOUND;
    merkle_root(t->hash, (const uint8_t(*)[HASH_BYTES])(t->tile + at), count, out);
    return LIAISON_OK;
}

/* A stored hash's place, taken apart: the leaf that stores it, and how many levels above that leaf it is. */
static enum liaison_code stored(void *arg, uint64_t index, uint8_t out[HASH_BYTES])
{
    uint64_t leaf =
        index /
        2; /* stored_index(0, n) is 2n less at most 64: so a little too low, never too high */

    while (merkle_stored_index(0, leaf + 1) <= index)
        leaf++;
    unsigned level = (unsigned)(index - merkle_stored_index(0, leaf));

    return tree_hash(arg, level, leaf >> level, out);
}

enum liaison_code tree_edge(struct tree *t, uint64_t size, struct merkle_edge *out)
{
    return merkle_edge_load(stored, t, size, out);
}

enum liaison_code tree_root(struct tree *t, uint64_t size, uint8_t out[HASH_BYTES])
{
    struct merkle_edge e;
    enum liaison_code code = tree_edge(t, size, &e);

    if (code == LIAISON_OK)
        merkle_edge_root(t->hash, &e, out);
    return code;
}

enum liaison_code tree_path(struct tree *t, uint64_t index, uint64_t size,
                            uint8_t (*path)[HASH_BYTES], size_t *len)
{
    return merkle_prove(t->hash, stored, t, index, size, path, len);
}

enum liaison_code tree_growth(struct tree *t, uint64_t old, uint64_t size,
                              uint8_t (*proof)[HASH_BYTES], size_t *len)
{
    return merkle_prove_growth(t->hash, stored, t, old, size, proof, len);
}

void tree_fold(struct hash *h, uint8_t (*hashes)[HASH_BYTES], uint8_t out[HASH_BYTES])
{
    for (unsigned n = SOURCE_WIDTH; n > 1; n /= 2)
        for (unsigned i = 0; i < n / 2; i++)
            merkle_node(h, hashes[2 * i], hashes[2 * i + 1], hashes[i]);
    memcpy(out, hashes[0], HASH_BYTES);
}

/* Compares the hashes of one tile with the full tiles below. */
static bool check_below(struct tree *t, unsigned level, uint64_t n, uint64_t *tiles,
                        tree_found *found, void *arg)
{
    struct tree below = {.source = t->source, .hash = t->hash};
    bool good = true;
    uint8_t got[HASH_BYTES];

    for (unsigned i = 0; i < t->width; i++) {
        uint64_t child = n * SOURCE_WIDTH + i;
        enum liaison_code code = tree_tile(&below, level - 1, child);

        *tiles += 1;
        if (code != LIAISON_OK) {
            found(arg, code, level - 1, child);
            good = false;
            continue;
        }
        tree_fold(t->hash, below.tile, got);
        below.have = false; /* folded away */
        if (memcmp(got, t->tile[i], HASH_BYTES) != 0) {
            found(arg, LIAISON_DAMAGED, level - 1, child);
            good = false;
        }
    }
    return good;
}

bool tree_check(struct tree *t, uint64_t *tiles, tree_found *found, void *arg)
{
    bool good = true;

    for (unsigned level = SOURCE_LEVELS - 1; level >= 2; level--) {
        for (uint64_t n = 0; source_width(t->source->size, level, n) > 0; n++) {
            enum liaison_code code = tree_tile(t, level, n);

            *tiles += 1;
            if (code != LIAISON_OK)
                found(arg, code, level, n);
            good =
                code == LIAISON_OK && check_below(t, level, n, tiles, found, arg) && good;
        }
    }
    return good;
}
