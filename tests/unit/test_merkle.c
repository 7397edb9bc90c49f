#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/merkle.h"

enum { LEAVES_MAX = 8, PATH_MAX_ = 64 };

struct rig {
    struct hash *h;
    json_t *vectors;
    uint8_t leaves[LEAVES_MAX][HASH_BYTES];
};

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        unsigned byte;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return n;
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    assert_non_null(s);
    return s;
}

/* A number; those beyond jansson's 63 bits were put in quotes by load(). */
static uint64_t number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_string(v) ? strtoull(json_string_value(v), NULL, 10)
                             : (uint64_t)json_integer_value(v);
}

static json_t *load(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text, *quoted;
    size_t n = 0, size;
    json_error_t e;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        return NULL;
    size = (size_t)ftell(f);
    rewind(f);
    text = malloc(size + 1);
    quoted = malloc(2 * size + 1);
    text[fread(text, 1, size, f)] = '\0';
    fclose(f);
    for (const char *p = text; *p != '\0';) {
        size_t digits = strspn(p, "0123456789");
        bool big = digits >= 19 &&
                   (p[digits] == ',' || p[digits] == '}' || p[digits] == '\n') &&
                   p[-1] == ' ';

        if (big)
            quoted[n++] = '"';
        for (size_t i = digits > 0 ? digits : 1; i > 0; i--)
            quoted[n++] = *p++;
        if (big)
            quoted[n++] = '"';
    }
    json_t *v = json_loadb(quoted, n, 0, &e);

    if (v == NULL)
        print_error("%s:%d: %s\n", path, e.line, e.text);
    free(text);
    free(quoted);
    return v;
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

        merkle_leaf(rig.h, slice(bytes, unhex(json_string_value(entry), bytes)),
                    rig.leaves[i]);
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

        unhex(json_string_value(json_array_get(roots, n)), want);
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

            unhex(json_string_value(hash), want);
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
        path[i] = slice(hashes[i], unhex(json_string_value(hash), hashes[i]));
        n++;
    }
    return unhex(text(c, "leaf_hash"), leaf) == HASH_BYTES &&
           unhex(text(c, "root"), root) == HASH_BYTES &&
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_those_of_the_reference_tree),
        cmocka_unit_test(paths_are_those_of_the_reference_tree),
        cmocka_unit_test(inclusion_vectors_are_accepted_and_refused_as_they_say),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
