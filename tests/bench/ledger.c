/* What an inclusion path of a large log costs to make and to check, for tests/bench/run.
 *
 *     ledger LEAVES N
 *
 * Prints one line of JSON: leaves appended, paths made and paths checked a second, on one thread; the stored hashes lie in memory,
 * as in a warm page cache. Every path made is checked against the root. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/merkle.h"
#include "tests/lib/member.h"

struct log {
    struct hash *h;
    struct merkle_edge edge;
    uint64_t n_stored;
    uint8_t (*stored)[HASH_BYTES];
    uint64_t seed;
};

static enum liaison_code read_stored(void *arg, uint64_t index, uint8_t out[HASH_BYTES])
{
    const struct log *l = arg;

    if (index >= l->n_stored)
        return LIAISON_NOT_FOUND;
    memcpy(out, l->stored[index], HASH_BYTES);
    return LIAISON_OK;
}

/* Numbers that are the same in every run. */
static uint64_t next_random(struct log *l)
{
    l->seed = l->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return l->seed >> 33;
}

static void leaf_of(struct log *l, uint64_t seq, uint8_t out[HASH_BYTES])
{
    uint8_t entry[304] = {0}; /* an entry's length, about */

    be64_put(entry, seq);
    merkle_leaf(l->h, slice(entry, sizeof entry), out);
}

static double per_second(uint64_t begin, uint64_t n)
{
    return (double)n * 1e9 / (double)(member_now_ns() - begin);
}

static double append(struct log *l, uint64_t leaves)
{
    uint64_t begin = member_now_ns();

    for (uint64_t i = 0; i < leaves; i++) {
        uint8_t leaf[HASH_BYTES];

        leaf_of(l, i, leaf);
        l->n_stored += merkle_edge_add(l->h, &l->edge, leaf, l->stored + l->n_stored);
    }
    return per_second(begin, leaves);
}

/* Makes n paths of random leaves; the last is left in `path`. */
static double prove(struct log *l, uint64_t n)
{
    uint64_t begin = member_now_ns();

    for (uint64_t i = 0; i < n; i++) {
        uint8_t path[MERKLE_PATH_MAX][HASH_BYTES];
        size_t len;

        if (merkle_prove(l->h, read_stored, l, next_random(l) % l->edge.size,
                         l->edge.size, path, &len) != LIAISON_OK)
            member_die("no proof");
    }
    return per_second(begin, n);
}

/* Checks n times a path of each of a few leaves. */
static double check(struct log *l, uint64_t n)
{
    enum { FEW = 64 };
    static uint8_t paths[FEW][MERKLE_PATH_MAX][HASH_BYTES], leaves[FEW][HASH_BYTES];
    uint64_t indices[FEW], begin;
    uint8_t root[HASH_BYTES];
    size_t len[FEW];

    merkle_edge_root(l->h, &l->edge, root);
    for (size_t i = 0; i < FEW; i++) {
        indices[i] = next_random(l) % l->edge.size;
        leaf_of(l, indices[i], leaves[i]);
        if (merkle_prove(l->h, read_stored, l, indices[i], l->edge.size, paths[i],
                         &len[i]) != LIAISON_OK)
            member_die("no proof");
    }
    begin = member_now_ns();
    for (uint64_t i = 0; i < n; i++)
        if (!merkle_check(l->h, leaves[i % FEW], indices[i % FEW], l->edge.size,
                          slice(paths[i % FEW], len[i % FEW] * HASH_BYTES), root))
            member_die("a path does not lead to the root");
    return per_second(begin, n);
}

int main(int argc, char *argv[])
{
    struct log l = {.h = hash_new()};
    uint64_t leaves = argc == 3 ? strtoull(argv[1], NULL, 10) : 0,
             n = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

    if (leaves == 0 || n == 0)
        member_die("usage: ledger LEAVES N, both above 0");
    l.stored = malloc(merkle_stored_count(leaves) * HASH_BYTES);
    if (l.h == NULL || l.stored == NULL)
        member_die("memory is out");
    double appended = append(&l, leaves), proved = prove(&l, n), checked = check(&l, n);

    printf("{\"leaves_per_s\":%.0f,\"proofs_per_s\":%.0f,\"checks_per_s\":%.0f}\n",
           appended, proved, checked);
    free(l.stored);
    hash_free(l.h);
    return 0;
}
