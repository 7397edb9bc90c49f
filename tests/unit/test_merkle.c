#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/merkle.h"
#include "tests/unit/vectors.h"

enum { LEAVES_MAX = 8, PATH_MAX_ = 64 };

struct rig {
    struct hash *h;
    json_t *vectors;
    uint8_t leaves[LEAVES_MAX][HASH_BYTES];
};

/* A log in memory: its leaves, what it has stored, and its edge. */
struct grown {
    struct hash *h;
    size_t n;
    uint8_t (*leaves)[HASH_BYTES];
    uint64_t n_stored;
    uint8_t (*stored)[HASH_BYTES];
    struct merkle_edge edge;
    uint64_t reads, broken_at; /* reading there fails */
};

static struct grown grown_new(struct hash *h, size_t room)
{
    return (struct grown){.h = h,
                          .leaves = malloc(room * HASH_BYTES),
                          .stored = malloc(2 * room * HASH_BYTES),
                          .broken_at = UINT64_MAX};
}

static void grown_add(struct grown *g, const uint8_t leaf[HASH_BYTES])
{
    memcpy(g->leaves[g->n++], leaf, HASH_BYTES);
    g->n_stored += merkle_edge_add(g->h, &g->edge, leaf, g->stored + g->n_stored);
}

static void grown_add_bytes(struct grown *g, const void *bytes, size_t n)
{
    uint8_t leaf[HASH_BYTES];

    merkle_leaf(g->h, slice(bytes, n), leaf);
    grown_add(g, leaf);
}

static void grown_free(struct grown *g)
{
    free(g->leaves);
    free(g->stored);
}

static enum liaison_code read_grown(void *arg, uint64_t index, uint8_t out[HASH_BYTES])
{
    struct grown *g = arg;

    g->reads++;
    if (index == g->broken_at)
        return LIAISON_IO;
    assert_true(index < g->n_stored);
    memcpy(out, g->stored[index], HASH_BYTES);
    return LIAISON_OK;
}

static void root_of(struct grown *g, size_t n, uint8_t root[HASH_BYTES])
{
    merkle_root(g->h, (const uint8_t(*)[HASH_BYTES])g->leaves, n, root);
}

static size_t prove(struct grown *g, size_t index, size_t size,
                    uint8_t (*path)[HASH_BYTES])
{
    size_t n = SIZE_MAX;

    assert_int_equal(merkle_prove(g->h, read_grown, g, index, size, path, &n),
                     LIAISON_OK);
    assert_true(n <= MERKLE_PATH_MAX);
    return n;
}

static size_t prove_growth(struct grown *g, size_t old, size_t size,
                           uint8_t (*proof)[HASH_BYTES])
{
    size_t n = SIZE_MAX;

    assert_int_equal(merkle_prove_growth(g->h, read_grown, g, old, size, proof, &n),
                     LIAISON_OK);
    assert_true(n <= MERKLE_PROOF_MAX);
    return n;
}

static int setup(void **state)
{
    static struct rig rig;
    size_t i;
    json_t *entry;

    rig.h = hash_new();
    rig.vectors = load("tests/vectors/merkle.json");
    if (rig.h == NULL || rig.vectors == NULL)
        return -1;
    json_array_foreach(
        json_object_get(json_object_get(rig.vectors, "eight_leaf_tree"), "entries"), i,
        entry)
    {
        uint8_t bytes[64];
        size_t n = unhex(json_string_value(entry), bytes, sizeof bytes);

        merkle_leaf(rig.h, slice(bytes, n), rig.leaves[i]);
    }
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    hash_free(r->h);
    json_decref(r->vectors);
    return 0;
}

static void roots_are_those_of_the_reference_tree(void **state)
{
    struct rig *r = *state;
    json_t *roots =
        json_object_get(json_object_get(r->vectors, "eight_leaf_tree"), "roots_by_size");

    assert_int_equal(json_array_size(roots), 9);
    for (size_t n = 0; n <= LEAVES_MAX; n++) {
        uint8_t want[HASH_BYTES], root[HASH_BYTES];

        unhex(json_string_value(json_array_get(roots, n)), want, sizeof want);
        merkle_root(r->h, (const uint8_t(*)[HASH_BYTES])r->leaves, n, root);
        assert_memory_equal(root, want, HASH_BYTES);
    }
}

static void paths_are_those_of_the_reference_tree(void **state)
{
    struct rig *r = *state;
    json_t *cases = json_object_get(json_object_get(r->vectors, "proof_generation"),
                                    "inclusion"),
           *c;
    size_t i, j;

    assert_true(json_array_size(cases) > 0);
    json_array_foreach(cases, i, c)
    {
        size_t index = (size_t)json_integer_value(json_object_get(c, "index"));
        size_t size = (size_t)json_integer_value(json_object_get(c, "size"));
        uint8_t path[PATH_MAX_][HASH_BYTES];
        json_t *proof = json_object_get(c, "proof"), *hash;

        assert_int_equal(
            merkle_path(r->h, (const uint8_t(*)[HASH_BYTES])r->leaves, size, index, path),
            json_array_size(proof));
        json_array_foreach(proof, j, hash)
        {
            uint8_t want[HASH_BYTES];

            unhex(json_string_value(hash), want, sizeof want);
            assert_memory_equal(path[j], want, HASH_BYTES);
        }
    }
}

/* Does the path of a vector lead from its leaf to its root? */
static bool leads_to_root(struct rig *r, const json_t *c)
{
    static uint8_t hashes[PATH_MAX_][128];
    struct slice path[PATH_MAX_];
    uint8_t leaf[128], root[128], got[HASH_BYTES];
    json_t *hash;
    size_t i, n = 0;

    json_array_foreach(json_object_get(c, "proof"), i, hash)
    {
        if (i == PATH_MAX_)
            return false;
        path[i] =
            slice(hashes[i], unhex(json_string_value(hash), hashes[i], sizeof hashes[i]));
        n++;
    }
    return unhex(text(c, "leaf_hash"), leaf, sizeof leaf) == HASH_BYTES &&
           unhex(text(c, "root"), root, sizeof root) == HASH_BYTES &&
           merkle_climb(r->h, leaf, number(c, "leaf_index"), number(c, "tree_size"), path,
                        n, got) &&
           memcmp(got, root, HASH_BYTES) == 0;
}

static void inclusion_vectors_are_accepted_and_refused_as_they_say(void **state)
{
    struct rig *r = *state;
    json_t *cases = json_object_get(json_object_get(r->vectors, "inclusion"), "cases"),
           *c;
    size_t i;

    assert_int_equal(json_array_size(cases), 98);
    json_array_foreach(cases, i, c) if (leads_to_root(r, c) !=
                                        (strcmp(text(c, "expect"), "accept") == 0))
        fail_msg("%s", text(c, "id"));
}

/* ------------------------------------------------------------ logs that grow */

/* The eight leaves, one after the other. */
static struct grown eight(struct rig *r)
{
    struct grown g = grown_new(r->h, LEAVES_MAX);

    for (size_t i = 0; i < LEAVES_MAX; i++)
        grown_add(&g, r->leaves[i]);
    return g;
}

static void assert_hashes(const json_t *want, const uint8_t (*got)[HASH_BYTES], size_t n)
{
    json_t *hash;
    size_t i;

    assert_int_equal(n, json_array_size(want));
    json_array_foreach((json_t *)(uintptr_t)want, i, hash)
    {
        uint8_t bytes[HASH_BYTES];

        assert_int_equal(unhex(json_string_value(hash), bytes, sizeof bytes), HASH_BYTES);
        assert_memory_equal(got[i], bytes, HASH_BYTES);
    }
}

static void every_node_of_the_reference_tree_is_stored_in_its_place(void **state)
{
    struct rig *r = *state;
    struct grown g = eight(r);
    json_t *levels =
               json_object_get(member(r->vectors, "eight_leaf_tree"), "node_hashes"),
           *row;
    size_t level, n = 0;

    json_array_foreach(levels, level, row)
    {
        for (size_t i = 0; i < json_array_size(row); i++, n++) {
            uint8_t want[HASH_BYTES];

            unhex(json_string_value(json_array_get(row, i)), want, sizeof want);
            assert_memory_equal(g.stored[merkle_stored_index((unsigned)level, i)], want,
                                HASH_BYTES);
        }
    }
    assert_int_equal(n, 15);
    assert_int_equal(n, g.n_stored);
    grown_free(&g);
}

static void the_edge_holds_the_complete_subtrees_of_the_reference_tree(void **state)
{
    struct rig *r = *state;
    const json_t *tree = member(r->vectors, "eight_leaf_tree");
    struct grown g = eight(r);

    for (size_t size = 0; size <= LEAVES_MAX; size++) {
        json_t *subtrees = json_array_get(member(tree, "compact_ranges_by_size"), size),
               *s;
        uint8_t want[HASH_BYTES], root[HASH_BYTES];
        struct merkle_edge e;
        uint64_t bits = 0;
        size_t i;

        assert_int_equal(merkle_edge_load(read_grown, &g, size, &e), LIAISON_OK);
        json_array_foreach(subtrees, i, s)
        {
            size_t level = (size_t)json_integer_value(json_array_get(s, 0));
            size_t index = (size_t)json_integer_value(json_array_get(s, 1));

            merkle_root(r->h, (const uint8_t(*)[HASH_BYTES])g.leaves + (index << level),
                        (size_t)1 << level, want);
            assert_memory_equal(e.hash[level], want, HASH_BYTES);
            bits |= UINT64_C(1) << level;
        }
        assert_int_equal(bits, size);
        unhex(json_string_value(json_array_get(member(tree, "roots_by_size"), size)),
              want, sizeof want);
        merkle_edge_root(r->h, &e, root);
        assert_memory_equal(root, want, HASH_BYTES);
    }
    grown_free(&g);
}

static void proofs_from_the_store_are_those_of_the_reference_tree(void **state)
{
    struct rig *r = *state;
    const json_t *made = member(r->vectors, "proof_generation");
    struct grown g = eight(r);
    uint8_t proof[MERKLE_PROOF_MAX][HASH_BYTES];
    json_t *c;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)member(made, "inclusion"), i, c)
    {
        size_t n = prove(&g, number(c, "index"), number(c, "size"), proof);

        assert_hashes(member(c, "proof"), (const uint8_t(*)[HASH_BYTES])proof, n);
    }
    json_array_foreach((json_t *)(uintptr_t)member(made, "consistency"), i, c)
    {
        size_t n = prove_growth(&g, number(c, "size1"), number(c, "size2"), proof);

        assert_hashes(member(c, "proof"), (const uint8_t(*)[HASH_BYTES])proof, n);
    }
    grown_free(&g);
}

static void proofs_of_seven_leaves_are_the_letters_of_the_rfc(void **state)
{
    struct rig *r = *state;
    const json_t *rfc = member(r->vectors, "rfc6962_symbolic");
    struct grown g = eight(r);
    const char *kinds[] = {"paths", "consistency"};

    for (size_t kind = 0; kind < 2; kind++) {
        json_t *c;
        size_t i;

        json_array_foreach((json_t *)(uintptr_t)member(rfc, kinds[kind]), i, c)
        {
            uint8_t proof[MERKLE_PROOF_MAX][HASH_BYTES], want[HASH_BYTES];
            const char *letters = text(c, "proof");
            size_t n = kind == 0 ? prove(&g, number(c, "index"), 7, proof)
                                 : prove_growth(&g, number(c, "size1"), 7, proof);

            assert_int_equal(n, strlen(letters));
            for (size_t j = 0; j < n; j++) {
                const json_t *span =
                    member(member(rfc, "names"), (char[]){letters[j], '\0'});
                size_t first = (size_t)json_integer_value(json_array_get(span, 0));
                size_t end = (size_t)json_integer_value(json_array_get(span, 1));

                merkle_root(r->h, (const uint8_t(*)[HASH_BYTES])g.leaves + first,
                            end - first, want);
                assert_memory_equal(proof[j], want, HASH_BYTES);
            }
        }
        assert_true(i > 0);
    }
    grown_free(&g);
}

/* Hashes of a vector one after the other; false if one has not 32 bytes. */
static bool hashes_of(const json_t *list, uint8_t *out, size_t room, size_t *len)
{
    json_t *hash;
    size_t i;

    *len = 0;
    json_array_foreach((json_t *)(uintptr_t)list, i, hash)
    {
        if (*len + HASH_BYTES > room || strlen(json_string_value(hash)) != 2 * HASH_BYTES)
            return false;
        *len += unhex(json_string_value(hash), out + *len, room - *len);
    }
    return true;
}

static bool path_checks(struct rig *r, const json_t *c)
{
    uint8_t leaf[128], root[128], path[80 * HASH_BYTES];
    size_t len;

    return hashes_of(member(c, "proof"), path, sizeof path, &len) &&
           unhex(text(c, "leaf_hash"), leaf, sizeof leaf) == HASH_BYTES &&
           unhex(text(c, "root"), root, sizeof root) == HASH_BYTES &&
           merkle_check(r->h, leaf, number(c, "leaf_index"), number(c, "tree_size"),
                        slice(path, len), root);
}

static void paths_in_one_run_of_bytes_are_judged_as_the_vectors_say(void **state)
{
    struct rig *r = *state;
    json_t *c;
    size_t i;

    json_array_foreach(json_object_get(member(r->vectors, "inclusion"), "cases"), i, c)
    {
        if (path_checks(r, c) != accepts(c, "expect"))
            fail_msg("%s", text(c, "id"));
    }
    assert_int_equal(i, 98);
}

static bool growth_checks(struct rig *r, const json_t *c)
{
    uint8_t old_root[128], root[128], proof[80 * HASH_BYTES];
    size_t len;

    return hashes_of(member(c, "proof"), proof, sizeof proof, &len) &&
           unhex(text(c, "root1"), old_root, sizeof old_root) == HASH_BYTES &&
           unhex(text(c, "root2"), root, sizeof root) == HASH_BYTES &&
           merkle_check_growth(r->h, number(c, "size1"), old_root, number(c, "size2"),
                               root, slice(proof, len));
}

static void consistency_vectors_are_accepted_and_refused_as_they_say(void **state)
{
    struct rig *r = *state;
    json_t *c;
    size_t i;

    json_array_foreach(json_object_get(member(r->vectors, "consistency"), "cases"), i, c)
    {
        const char *expect =
            json_object_get(c, "expect_strict32") ? "expect_strict32" : "expect";

        if (growth_checks(r, c) != accepts(c, expect))
            fail_msg("%s", text(c, "id"));
    }
    assert_int_equal(i, 98);
    json_array_foreach(json_object_get(r->vectors, "real_log_consistency"), i, c)
    {
        if (growth_checks(r, c) != accepts(c, "expect"))
            fail_msg("%zu: %s", i, text(c, "source"));
    }
    assert_int_equal(i, 5);
}

static void stored_hashes_lie_where_the_reference_puts_them(void **state)
{
    struct rig *r = *state;
    json_t *c;
    size_t i;

    json_array_foreach(json_object_get(member(r->vectors, "stored_hash_index"), "cases"),
                       i, c)
    {
        uint64_t v[3];

        for (size_t j = 0; j < 3; j++)
            v[j] = (uint64_t)json_integer_value(json_array_get(c, j));
        assert_int_equal(merkle_stored_index((unsigned)v[0], v[1]), v[2]);
    }
    assert_int_equal(i, 23);
    assert_int_equal(merkle_stored_count(0), 0);
    assert_int_equal(merkle_stored_count(3), 4);
    assert_int_equal(merkle_stored_count(INT64_MAX), UINT64_MAX - 1 - 63);
    for (uint64_t n = 0; n < 5000; n++)
        assert_int_equal(merkle_stored_index(0, n), merkle_stored_count(n));
}

static void leaves_and_tiles_of_real_logs_come_out_the_same(void **state)
{
    struct rig *r = *state;
    const json_t *go = member(r->vectors, "go_leaf_hash"),
                 *tessera = member(r->vectors, "tessera_testdata_log");
    struct grown g = grown_new(r->h, 16);
    uint8_t want[16 * HASH_BYTES], root[HASH_BYTES];
    json_t *c;
    size_t i;

    grown_add_bytes(&g, text(go, "entry_utf8"), strlen(text(go, "entry_utf8")));
    unhex(text(go, "leaf_hash"), want, sizeof want);
    assert_memory_equal(g.leaves[0], want, HASH_BYTES);
    grown_free(&g);
    g = grown_new(r->h, 16);
    json_array_foreach((json_t *)(uintptr_t)member(tessera, "entries_utf8"), i, c)
        grown_add_bytes(&g, json_string_value(c), json_string_length(c));
    assert_int_equal(unhex(text(tessera, "level0_tile_15"), want, sizeof want),
                     15 * HASH_BYTES);
    assert_memory_equal(g.leaves, want, 15 * HASH_BYTES);
    json_array_foreach((json_t *)(uintptr_t)member(tessera, "roots"), i, c)
    {
        struct merkle_edge e;

        assert_int_equal(merkle_edge_load(read_grown, &g, number(c, "size"), &e),
                         LIAISON_OK);
        merkle_edge_root(r->h, &e, root);
        unhex(text(c, "root"), want, sizeof want);
        assert_memory_equal(root, want, HASH_BYTES);
    }
    assert_int_equal(i, 16);
    grown_free(&g);
}

/* The bytes of a tile: `width` stored hashes of level 8 * tile level, from n * 256 on. */
static void assert_tile(struct grown *g, const json_t *tiles, const char *path,
                        unsigned level, uint64_t n, size_t width)
{
    static uint8_t bytes[256 * HASH_BYTES];
    uint8_t digest[HASH_BYTES], want[HASH_BYTES];
    const json_t *tile = member(tiles, path);

    for (size_t i = 0; i < width; i++)
        assert_int_equal(read_grown(g, merkle_stored_index(8 * level, n * 256 + i),
                                    bytes + i * HASH_BYTES),
                         LIAISON_OK);
    assert_int_equal(width * HASH_BYTES, number(tile, "bytes"));
    hash_sha256(g->h, &(struct slice){bytes, width * HASH_BYTES}, 1, digest);
    unhex(text(tile, "sha256"), want, sizeof want);
    assert_memory_equal(digest, want, HASH_BYTES);
}

static void three_hundred_records_have_the_root_and_tiles_of_the_reference(void **state)
{
    struct rig *r = *state;
    const json_t *tree = member(r->vectors, "record_300_tree"),
                 *tiles = member(tree, "tiles");
    struct grown g = grown_new(r->h, 300);
    uint8_t root[HASH_BYTES], want[HASH_BYTES];

    for (int i = 0; i < 300; i++) {
        char record[16];

        grown_add_bytes(&g, record,
                        (size_t)snprintf(record, sizeof record, "record %d", i));
    }
    merkle_edge_root(r->h, &g.edge, root);
    unhex(text(tree, "root"), want, sizeof want);
    assert_memory_equal(root, want, HASH_BYTES);
    assert_tile(&g, tiles, "tile/0/000", 0, 0, 256);
    assert_tile(&g, tiles, "tile/0/001.p/44", 0, 1, 44);
    assert_tile(&g, tiles, "tile/1/000.p/1", 1, 0, 1);
    unhex(text(tree, "tile_1_000_p_1"), want, sizeof want);
    assert_memory_equal(g.stored[merkle_stored_index(8, 0)], want, HASH_BYTES);
    grown_free(&g);
}

static void a_tree_of_seventy_thousand_has_as_many_tiles_as_the_page_says(void **state)
{
    struct rig *r = *state;
    json_t *c;
    size_t i;

    json_array_foreach(json_object_get(member(r->vectors, "tile_layout"), "cases"), i, c)
    {
        uint64_t size = number(c, "tree_size");

        for (unsigned level = 0; size >> 8 * level != 0; level++) {
            char key[4];
            const json_t *full, *partial;

            snprintf(key, sizeof key, "%u", level);
            full = json_object_get(member(c, "full"), key);
            partial = json_object_get(member(c, "partial"), key);
            assert_int_equal((size >> 8 * level) / 256, json_integer_value(full));
            assert_int_equal((size >> 8 * level) % 256, json_integer_value(partial));
            /* the last hash of the level is stored, the next is not */
            assert_true(merkle_stored_index(8 * level, (size >> 8 * level) - 1) <
                        merkle_stored_count(size));
            assert_false(merkle_stored_index(8 * level, size >> 8 * level) <
                         merkle_stored_count(size));
        }
    }
    assert_int_equal(i, 2);
}

/* ------------------------------------------------------------ rolling digests */

/* SUBTREE_SUBPROOF, by its definition: the proof that leaves [s, e) are in the tree of n leaves from `from` on. */
static size_t subproof(struct grown *g, size_t s, size_t e, size_t from, size_t n,
                       bool known, uint8_t (*out)[HASH_BYTES])
{
    const uint8_t(*leaves)[HASH_BYTES] = (const uint8_t(*)[HASH_BYTES])g->leaves;
    size_t k = 1, len;

    if (s == from && e == from + n) {
        if (!known)
            merkle_root(g->h, leaves + from, n, out[0]);
        return known ? 0 : 1;
    }
    while (k < n - k)
        k *= 2;
    if (e <= from + k) {
        len = subproof(g, s, e, from, k, known, out);
        merkle_root(g->h, leaves + from + k, n - k, out[len]);
    } else {
        size_t begin = s >= from + k ? s : from + k;

        len = subproof(g, begin, e, from + k, n - k, s >= from + k && known, out);
        merkle_root(g->h, leaves + from, k, out[len]);
    }
    return len + 1;
}

/* A rolling SHA-256 over lines. */
struct rolling {
    size_t n, room;
    char *lines;
};

static void roll(struct rolling *r, const char *prefix,
                 const uint8_t (*hashes)[HASH_BYTES], size_t n)
{
    if (r->room - r->n < 256 + n * 65) {
        r->room = 2 * r->room + 65536;
        r->lines = realloc(r->lines, r->room);
    }
    r->n += (size_t)snprintf(r->lines + r->n, 256, "%s", prefix);
    for (size_t i = 0; i < n; i++) {
        r->lines[r->n++] = ' ';
        hex_of(hashes[i], HASH_BYTES, r->lines + r->n);
        r->n += 2 * HASH_BYTES;
    }
    r->lines[r->n++] = '\n';
}

static void assert_rolled(struct rig *r, struct rolling *lines, const char *group)
{
    uint8_t digest[HASH_BYTES], want[HASH_BYTES];

    hash_sha256(r->h, &(struct slice){(const uint8_t *)lines->lines, lines->n}, 1,
                digest);
    unhex(text(member(member(r->vectors, "accumulated"), group), "sha256"), want,
          sizeof want);
    assert_memory_equal(digest, want, HASH_BYTES);
    free(lines->lines);
}

static bool is_subtree(size_t s, size_t e)
{
    size_t width = 1;

    while (width < e - s)
        width *= 2;
    return s == 0 || s == e || s % width == 0;
}

enum { ROLLED = 130 };

static struct grown rolled(struct rig *r)
{
    struct grown g = grown_new(r->h, ROLLED);

    for (unsigned i = 0; i < ROLLED; i++)
        grown_add_bytes(&g, (uint8_t[]){(uint8_t)i}, 1);
    return g;
}

static void every_subtree_up_to_130_has_the_drafts_root_and_paths(void **state)
{
    struct rig *r = *state;
    struct grown g = rolled(r);
    struct rolling roots = {0}, paths = {0};

    for (size_t e = 0; e <= ROLLED; e++) {
        for (size_t s = 0; s <= e; s++) {
            uint8_t proof[MERKLE_PATH_MAX][HASH_BYTES];
            struct grown sub = grown_new(r->h, ROLLED);
            char prefix[64];

            for (size_t i = s; is_subtree(s, e) && i < e; i++)
                grown_add(&sub, g.leaves[i]);
            for (size_t i = s; is_subtree(s, e) && i < e; i++) {
                snprintf(prefix, sizeof prefix, "%zu [%zu, %zu)", i, s, e);
                roll(&paths, prefix, (const uint8_t(*)[HASH_BYTES])proof,
                     prove(&sub, i - s, e - s, proof));
            }
            merkle_edge_root(r->h, &sub.edge, proof[0]);
            snprintf(prefix, sizeof prefix, "[%zu, %zu)", s, e);
            if (is_subtree(s, e))
                roll(&roots, prefix, (const uint8_t(*)[HASH_BYTES])proof, 1);
            grown_free(&sub);
        }
    }
    assert_rolled(r, &roots, "subtree_hash");
    assert_rolled(r, &paths, "subtree_inclusion");
    grown_free(&g);
}

static void every_consistency_proof_up_to_130_is_the_drafts(void **state)
{
    struct rig *r = *state;
    struct grown g = rolled(r);
    struct rolling lines = {0};

    for (size_t n = 0; n <= ROLLED; n++) {
        for (size_t e = 0; e <= n; e++) {
            for (size_t s = 0; s <= e; s++) {
                uint8_t proof[MERKLE_PROOF_MAX][HASH_BYTES];
                char prefix[64];
                size_t len = 0;

                if (!is_subtree(s, e))
                    continue;
                if (s == 0)
                    len = prove_growth(&g, e, n, proof);
                else if (s != e)
                    len = subproof(&g, s, e, 0, n, true, proof);
                snprintf(prefix, sizeof prefix, "[%zu, %zu) %zu", s, e, n);
                roll(&lines, prefix, (const uint8_t(*)[HASH_BYTES])proof, len);
            }
        }
    }
    assert_rolled(r, &lines, "subtree_consistency");
    grown_free(&g);
}

/* ------------------------------------------------------------ properties */

/* Numbers that are the same in every run. */
static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static struct grown grown_random(struct rig *r, size_t n, uint64_t *seed)
{
    struct grown g = grown_new(r->h, n);

    for (size_t i = 0; i < n; i++) {
        uint64_t entry = next_random(seed);

        grown_add_bytes(&g, &entry, sizeof entry);
    }
    return g;
}

/* Whether a proof holds for some claim; the claim is all that it may be asked about. */
struct claim {
    bool growth;
    uint64_t old, size; /* of a path: index */
    uint8_t start[HASH_BYTES], root[HASH_BYTES], proof[MERKLE_PROOF_MAX + 1][HASH_BYTES];
    size_t proof_len;
};

static bool holds(struct hash *h, const struct claim *c)
{
    struct slice proof = {c->proof[0], c->proof_len * HASH_BYTES};

    return c->growth ? merkle_check_growth(h, c->old, c->start, c->size, c->root, proof)
                     : merkle_check(h, c->start, c->old, c->size, proof, c->root);
}

static void a_bit_flipped_is_seen(struct hash *h, struct claim *c, uint64_t *seed)
{
    uint8_t *places[MERKLE_PROOF_MAX + 2] = {c->root, c->start};
    size_t n = 2;

    for (size_t i = 0; i < c->proof_len; i++)
        places[n++] = c->proof[i];
    for (size_t i = 0; i < n; i++) {
        size_t byte = next_random(seed) % HASH_BYTES;
        uint8_t bit = (uint8_t)(1u << next_random(seed) % 8);

        places[i][byte] ^= bit;
        assert_false(holds(h, c));
        places[i][byte] ^= bit;
    }
    assert_true(holds(h, c));
}

static void a_wrong_length_is_seen(struct hash *h, struct claim *c)
{
    struct slice ragged = {c->proof[0], c->proof_len * HASH_BYTES + 31};

    memcpy(c->proof[c->proof_len], c->root, HASH_BYTES);
    c->proof_len++;
    assert_false(holds(h, c));
    c->proof_len--;
    assert_false(c->growth
                     ? merkle_check_growth(h, c->old, c->start, c->size, c->root, ragged)
                     : merkle_check(h, c->start, c->old, c->size, ragged, c->root));
    if (c->proof_len > 0) {
        c->proof_len--;
        assert_false(holds(h, c));
        c->proof_len++;
    }
}

static struct claim claim_growth(struct grown *g, size_t old, size_t size)
{
    struct claim c = {.growth = true, .old = old, .size = size};

    root_of(g, old, c.start);
    root_of(g, size, c.root);
    c.proof_len = prove_growth(g, old, size, c.proof);
    return c;
}

static struct claim claim_leaf(struct grown *g, size_t index, size_t size)
{
    struct claim c = {.old = index, .size = size};

    memcpy(c.start, g->leaves[index], HASH_BYTES);
    root_of(g, size, c.root);
    c.proof_len = prove(g, index, size, c.proof);
    return c;
}

static void every_growth_of_small_trees_is_proved_and_a_changed_proof_is_not(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 1;
    struct grown g = grown_random(r, 66, &seed);

    for (size_t size = 0; size <= 66; size++) {
        for (size_t old = 0; old <= size; old++) {
            struct claim c = claim_growth(&g, old, size);

            assert_true(holds(r->h, &c));
            if (old > 0)
                a_bit_flipped_is_seen(r->h, &c, &seed);
            a_wrong_length_is_seen(r->h, &c);
        }
    }
    grown_free(&g);
}

static void every_leaf_of_small_trees_is_proved_in_its_place_and_no_other(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 2;
    struct grown g = grown_random(r, 40, &seed);

    for (size_t size = 1; size <= 40; size++) {
        for (size_t index = 0; index < size; index++) {
            struct claim c = claim_leaf(&g, index, size);

            assert_true(holds(r->h, &c));
            a_bit_flipped_is_seen(r->h, &c, &seed);
            a_wrong_length_is_seen(r->h, &c);
            for (size_t lie = 0; lie <= size; lie++) {
                c.old = lie;
                assert_int_equal(holds(r->h, &c), lie == index);
            }
        }
    }
    grown_free(&g);
}

static void random_trees_of_thousands_prove_what_they_hold(void **state)
{
    struct rig *r = *state;
    uint64_t seed = 3;

    for (int round = 0; round < 12; round++) {
        size_t n = 1000 + next_random(&seed) % 3000;
        struct grown g = grown_random(r, n, &seed);
        struct merkle_edge e;
        uint8_t root[HASH_BYTES], want[HASH_BYTES];

        assert_int_equal(g.n_stored, merkle_stored_count(n));
        assert_int_equal(merkle_edge_load(read_grown, &g, n, &e), LIAISON_OK);
        assert_int_equal(e.size, g.edge.size);
        merkle_edge_root(r->h, &e, root);
        root_of(&g, n, want);
        assert_memory_equal(root, want, HASH_BYTES);
        for (int i = 0; i < 40; i++) {
            size_t size = 1 + next_random(&seed) % n;
            struct claim growth = claim_growth(&g, 1 + next_random(&seed) % size, size);
            struct claim leaf = claim_leaf(&g, next_random(&seed) % size, size);

            a_bit_flipped_is_seen(r->h, &growth, &seed);
            a_wrong_length_is_seen(r->h, &growth);
            a_bit_flipped_is_seen(r->h, &leaf, &seed);
            a_wrong_length_is_seen(r->h, &leaf);
        }
        grown_free(&g);
    }
}

/* ------------------------------------------------------------ edges of the range */

static void what_was_never_there_is_not_proved(void **state)
{
    struct rig *r = *state;
    struct grown g = eight(r);
    uint8_t proof[MERKLE_PROOF_MAX][HASH_BYTES];
    size_t n = 77;

    assert_int_equal(merkle_prove(r->h, read_grown, &g, 8, 8, proof, &n), LIAISON_FIELD);
    assert_int_equal(merkle_prove(r->h, read_grown, &g, 0, 0, proof, &n), LIAISON_FIELD);
    assert_int_equal(merkle_prove_growth(r->h, read_grown, &g, 8, 7, proof, &n),
                     LIAISON_FIELD);
    assert_int_equal(n, 77);
    grown_free(&g);
}

static void a_hash_that_cannot_be_read_is_an_error_and_never_a_proof(void **state)
{
    struct rig *r = *state;
    struct grown g = eight(r);
    uint8_t proof[MERKLE_PROOF_MAX][HASH_BYTES];
    struct merkle_edge e = {.size = 5}, before = e;
    size_t n = 77;

    g.broken_at = merkle_stored_index(1, 2);
    assert_int_equal(merkle_prove(r->h, read_grown, &g, 0, 7, proof, &n), LIAISON_IO);
    assert_int_equal(merkle_prove_growth(r->h, read_grown, &g, 4, 7, proof, &n),
                     LIAISON_IO);
    assert_int_equal(merkle_edge_load(read_grown, &g, 7, &e), LIAISON_IO);
    assert_int_equal(n, 77);
    assert_memory_equal(&e, &before, sizeof e);
    grown_free(&g);
}

static void growth_from_nothing_wants_no_proof_and_shrinking_has_none(void **state)
{
    struct rig *r = *state;
    uint8_t a[HASH_BYTES] = {1}, b[HASH_BYTES] = {2};

    assert_true(merkle_check_growth(r->h, 0, a, 9, b, slice(NULL, 0)));
    assert_false(merkle_check_growth(r->h, 0, a, 9, b, slice(a, HASH_BYTES)));
    assert_true(merkle_check_growth(r->h, 0, a, 0, a, slice(NULL, 0)));
    assert_false(merkle_check_growth(r->h, 0, a, 0, b, slice(NULL, 0)));
    assert_false(merkle_check_growth(r->h, 9, a, 9, b, slice(NULL, 0)));
    assert_false(merkle_check_growth(r->h, 9, a, 8, a, slice(NULL, 0)));
    assert_false(merkle_check_growth(r->h, UINT64_MAX, a, 0, a, slice(NULL, 0)));
}

/* A log of 2^62 leaves, all alike: a stored hash is its level's. */
struct alike {
    uint8_t level[MERKLE_LEVELS][HASH_BYTES];
    unsigned asked;
};

static enum liaison_code read_alike(void *arg, uint64_t index, uint8_t out[HASH_BYTES])
{
    struct alike *a = arg;
    uint64_t n =
        0; /* the leaf that stored it: the last with stored_index(0, n) <= index */

    for (unsigned bit = 63; bit-- > 0;)
        if (merkle_stored_count(n | UINT64_C(1) << bit) <= index)
            n |= UINT64_C(1) << bit;
    a->asked++;
    memcpy(out, a->level[index - merkle_stored_count(n)], HASH_BYTES);
    return LIAISON_OK;
}

static void the_largest_logs_are_proved_with_few_reads(void **state)
{
    struct rig *r = *state;
    const uint64_t sizes[] = {INT64_MAX, (UINT64_C(1) << 62) + 1, UINT64_C(1) << 62,
                              2000003};
    struct alike a = {0};

    for (size_t i = 0; i + 1 < MERKLE_LEVELS; i++)
        merkle_node(r->h, a.level[i], a.level[i], a.level[i + 1]);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t size = sizes[i], old = size / 3, index = size / 5;
        uint8_t proof[MERKLE_PROOF_MAX][HASH_BYTES], root[HASH_BYTES],
            old_root[HASH_BYTES];
        struct merkle_edge e;
        size_t n;

        assert_int_equal(merkle_edge_load(read_alike, &a, size, &e), LIAISON_OK);
        merkle_edge_root(r->h, &e, root);
        assert_int_equal(merkle_edge_load(read_alike, &a, old, &e), LIAISON_OK);
        merkle_edge_root(r->h, &e, old_root);
        a.asked = 0;
        assert_int_equal(merkle_prove(r->h, read_alike, &a, index, size, proof, &n),
                         LIAISON_OK);
        assert_true(a.asked <= 2 * MERKLE_LEVELS);
        assert_true(merkle_check(r->h, a.level[0], index, size,
                                 slice(proof, n * HASH_BYTES), root));
        assert_false(merkle_check(r->h, a.level[1], index, size,
                                  slice(proof, n * HASH_BYTES), root));
        assert_int_equal(merkle_prove_growth(r->h, read_alike, &a, old, size, proof, &n),
                         LIAISON_OK);
        assert_true(merkle_check_growth(r->h, old, old_root, size, root,
                                        slice(proof, n * HASH_BYTES)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_those_of_the_reference_tree),
        cmocka_unit_test(paths_are_those_of_the_reference_tree),
        cmocka_unit_test(inclusion_vectors_are_accepted_and_refused_as_they_say),
        cmocka_unit_test(every_node_of_the_reference_tree_is_stored_in_its_place),
        cmocka_unit_test(the_edge_holds_the_complete_subtrees_of_the_reference_tree),
        cmocka_unit_test(proofs_from_the_store_are_those_of_the_reference_tree),
        cmocka_unit_test(proofs_of_seven_leaves_are_the_letters_of_the_rfc),
        cmocka_unit_test(paths_in_one_run_of_bytes_are_judged_as_the_vectors_say),
        cmocka_unit_test(consistency_vectors_are_accepted_and_refused_as_they_say),
        cmocka_unit_test(stored_hashes_lie_where_the_reference_puts_them),
        cmocka_unit_test(leaves_and_tiles_of_real_logs_come_out_the_same),
        cmocka_unit_test(three_hundred_records_have_the_root_and_tiles_of_the_reference),
        cmocka_unit_test(a_tree_of_seventy_thousand_has_as_many_tiles_as_the_page_says),
        cmocka_unit_test(every_subtree_up_to_130_has_the_drafts_root_and_paths),
        cmocka_unit_test(every_consistency_proof_up_to_130_is_the_drafts),
        cmocka_unit_test(
            every_growth_of_small_trees_is_proved_and_a_changed_proof_is_not),
        cmocka_unit_test(every_leaf_of_small_trees_is_proved_in_its_place_and_no_other),
        cmocka_unit_test(random_trees_of_thousands_prove_what_they_hold),
        cmocka_unit_test(what_was_never_there_is_not_proved),
        cmocka_unit_test(a_hash_that_cannot_be_read_is_an_error_and_never_a_proof),
        cmocka_unit_test(growth_from_nothing_wants_no_proof_and_shrinking_has_none),
        cmocka_unit_test(the_largest_logs_are_proved_with_few_reads),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
