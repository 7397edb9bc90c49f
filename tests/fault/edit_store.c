/* Opens a stopped broker's store and edits it behind its back, as an operator with a debugger could, or a bad disk:
 *
 *     edit_store DIR COMMAND ...     N, M: numbers of entries in the store; the newest log is log 1 and begins with entry 0
 *
 * Prints what it has changed. Knows the tables' forms from broker/core/tables.h; LMDB keeps the pages whole. */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/notary/water.h"
#include "proto/liaison.pb-c.h"
#include "proto/merkle.h"

enum { LOG = 1 };

static MDB_env *env;
static MDB_txn *txn;
static MDB_dbi entry, hash_table, meta;
static struct hash *hasher;

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "edit_store: %s: %s\n", what, mdb_strerror(rc));
    exit(1);
}

static MDB_val val(const void *p, size_t n)
{
    return (MDB_val){n, (void *)(uintptr_t)p};
}

static MDB_dbi table(const char *name)
{
    MDB_dbi dbi;

    must(mdb_dbi_open(txn, name, 0, &dbi), name);
    return dbi;
}

/* ------------------------------------------------------------ entries */

struct bytes {
    size_t n;
    uint8_t p[65536];
};

static void get_entry(uint64_t n, struct bytes *out)
{
    uint8_t k[8];
    MDB_val value;

    be64_put(k, n);
    MDB_val key = val(k, sizeof k);
    must(mdb_get(txn, entry, &key, &value), "entry");
    out->n = value.mv_size;
    memcpy(out->p, value.mv_data, value.mv_size);
}

static void put_entry(uint64_t n, const struct bytes *b)
{
    uint8_t k[8];

    be64_put(k, n);
    MDB_val key = val(k, sizeof k), value = val(b->p, b->n);
    must(mdb_put(txn, entry, &key, &value, 0), "put");
}

static void drop_entry(uint64_t n)
{
    uint8_t k[8];

    be64_put(k, n);
    MDB_val key = val(k, sizeof k);
    must(mdb_del(txn, entry, &key, NULL), "delete");
}

static uint64_t count(void)
{
    MDB_stat s;

    must(mdb_stat(txn, entry, &s), "stat");
    return s.ms_entries;
}

/* A bit of the nonce, so that the entry is one still. */
static void flip(uint64_t n)
{
    static struct bytes b;

    get_entry(n, &b);
    Liaison__V1__LedgerEntry *e = liaison__v1__ledger_entry__unpack(NULL, b.n, b.p);

    must(e == NULL || e->nonce.len == 0 ? EINVAL : 0, "decode");
    uint8_t *nonce = memmem(b.p, b.n, e->nonce.data, e->nonce.len);

    must(nonce == NULL ? EINVAL : 0, "nonce");
    nonce[0] ^= 0x10;
    liaison__v1__ledger_entry__free_unpacked(e, NULL);
    put_entry(n, &b);
}

/* ------------------------------------------------------------ hashes and head */

/* Puts a hash into the row that holds it. */
static void put_hash(uint64_t index, const uint8_t h[HASH_BYTES])
{
    MDB_cursor *c;
    MDB_val key, value;
    uint8_t k[12];
    static uint8_t row[4096];

    must(mdb_cursor_open(txn, hash_table, &c), "cursor");
    be32_put(k, LOG);
    be64_put(k + 4, index);
    key = val(k, sizeof k);
    int rc = mdb_cursor_get(c, &key, &value, MDB_SET_RANGE);

    if (rc == MDB_NOTFOUND)
        rc = mdb_cursor_get(c, &key, &value, MDB_LAST);
    else if (rc == 0 && be64_get((uint8_t *)key.mv_data + 4) != index)
        rc = mdb_cursor_get(c, &key, &value, MDB_PREV);
    must(rc, "hash");
    uint64_t first = be64_get((uint8_t *)key.mv_data + 4);

    memcpy(k, key.mv_data, sizeof k);
    memcpy(row, value.mv_data, value.mv_size);
    size_t n = value.mv_size;

    mdb_cursor_close(c);
    must(index - first < n / HASH_BYTES ? 0 : MDB_NOTFOUND, "hash in its row");
    memcpy(row + (index - first) * HASH_BYTES, h, HASH_BYTES);
    key = val(k, sizeof k);
    value = val(row, n);
    must(mdb_put(txn, hash_table, &key, &value, 0), "put hash");
}

static void put_head(uint64_t size, const uint8_t root[HASH_BYTES])
{
    uint8_t row[256];
    MDB_val key = val("head", 4), value;

    must(mdb_get(txn, meta, &key, &value), "head");
    size_t n = value.mv_size;

    memcpy(row, value.mv_data, n);
    be64_put(row, size);
    memcpy(row + 16, root, HASH_BYTES);
    value = val(row, n);
    must(mdb_put(txn, meta, &key, &value, 0), "put head");
}

/* Every commit leaves its number in the head, or the store is known to be damaged before anything else is looked at. */
static void sign_head(void)
{
    enum { AT = 65 };
    uint8_t row[256];
    MDB_val key = val("head", 4), value;

    must(mdb_get(txn, meta, &key, &value), "head");
    size_t n = value.mv_size;

    memcpy(row, value.mv_data, n);
    be64_put(row + AT, mdb_txn_id(txn));
    value = val(row, n);
    must(mdb_put(txn, meta, &key, &value, 0), "put head");
}

static void put_leaf_hash(uint64_t n)
{
    static struct bytes b;
    uint8_t leaf[HASH_BYTES];

    get_entry(n, &b);
    merkle_leaf(hasher, slice(b.p, b.n), leaf);
    put_hash(merkle_stored_index(0, n), leaf);
}

/* All hashes and the head from the entries as they are now; rows of hashes keep their places. */
static void rebuild(uint64_t size)
{
    static struct bytes b;
    struct merkle_edge e = {0};
    uint8_t stored[MERKLE_LEVELS][HASH_BYTES], leaf[HASH_BYTES], root[HASH_BYTES];
    uint64_t index = 0;

    for (uint64_t n = 0; n < size; n++) {
        get_entry(n, &b);
        merkle_leaf(hasher, slice(b.p, b.n), leaf);
        size_t fresh = merkle_edge_add(hasher, &e, leaf, stored);

        for (size_t i = 0; i < fresh; i++)
            put_hash(index++, stored[i]);
    }
    merkle_edge_root(hasher, &e, root);
    put_head(size, root);
}

/* Takes hashes from `index` on away: whole rows, and the end of the one that straddles. */
static void cut_hashes(uint64_t index)
{
    for (;;) {
        MDB_cursor *c;
        MDB_val key, value;
        uint8_t k[12];
        static uint8_t row[4096];

        must(mdb_cursor_open(txn, hash_table, &c), "cursor");
        must(mdb_cursor_get(c, &key, &value, MDB_LAST), "last hash");
        uint64_t first = be64_get((uint8_t *)key.mv_data + 4);
        size_t n = value.mv_size / HASH_BYTES;

        memcpy(k, key.mv_data, sizeof k);
        memcpy(row, value.mv_data, value.mv_size);
        mdb_cursor_close(c);
        key = val(k, sizeof k);
        if (first + n <= index)
            return;
        must(mdb_del(txn, hash_table, &key, NULL), "delete hashes");
        if (first < index) {
            value = val(row, (size_t)(index - first) * HASH_BYTES);
            must(mdb_put(txn, hash_table, &key, &value, 0), "put hashes");
        }
    }
}

/* ------------------------------------------------------------ rows */

static size_t from_hex(const char *text, uint8_t *out)
{
    size_t n = 0;

    for (; text[0] != '\0' && text[1] != '\0'; text += 2) {
        unsigned byte;

        must(sscanf(text, "%2x", &byte) == 1 ? 0 : EINVAL, "hex");
        out[n++] = (uint8_t)byte;
    }
    return n;
}

static void print_hex(MDB_val v)
{
    for (size_t i = 0; i < v.mv_size; i++)
        printf("%02x", ((uint8_t *)v.mv_data)[i]);
}

/* ------------------------------------------------------------ commands */

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static void cmd_size(char *const *w)
{
    (void)w;
    printf("%llu\n", (unsigned long long)count());
}

static void cmd_flip(char *const *w)
{
    flip(number(w[0]));
}

/* What is no entry any more. */
static void cmd_garble(char *const *w)
{
    static struct bytes b;

    get_entry(number(w[0]), &b);
    b.p[0] ^= 0x80;
    put_entry(number(w[0]), &b);
}

static void cmd_forge(char *const *w)
{
    flip(number(w[0]));
    put_leaf_hash(number(w[0]));
}

/* Takes notes of more than `size` entries away. */
static void cut_notes(uint64_t size)
{
    MDB_dbi notes = table("note");
    MDB_cursor *c;
    MDB_val key, value;

    must(mdb_cursor_open(txn, notes, &c), "cursor");
    while (mdb_cursor_get(c, &key, &value, MDB_LAST) == 0 &&
           be64_get((uint8_t *)key.mv_data + 4) > size)
        must(mdb_cursor_del(c, 0), "delete note");
    mdb_cursor_close(c);
}

/* The notes that knew it as it was are gone too. */
static void cmd_rebuild(char *const *w)
{
    flip(number(w[0]));
    rebuild(count());
    cut_notes(number(w[0]));
}

/* What a notary would have in its high-water file that had signed all that the store holds now. */
static void cmd_water(char *const *w)
{
    struct water water = {.counter = 1, .size = count()};
    char why[512] = "";
    MDB_val key = val("head", 4), value;

    must(mdb_get(txn, meta, &key, &value), "head");
    memcpy(water.root, (uint8_t *)value.mv_data + 16, sizeof water.root);
    if (water_make(hasher, w[0], w[1], &water, why, sizeof why) != LIAISON_OK) {
        fprintf(stderr, "edit_store: %s\n", why);
        exit(1);
    }
}

/* Entry N is gone; those behind it move up by one, and the last number is nobody's. */
static void cmd_drop(char *const *w)
{
    static struct bytes b;
    uint64_t n = number(w[0]), size = count();

    for (; n + 1 < size; n++) {
        get_entry(n + 1, &b);
        put_entry(n, &b);
    }
    drop_entry(size - 1);
}

static void cmd_remove(char *const *w)
{
    drop_entry(number(w[0]));
}

static void cmd_swap(char *const *w)
{
    static struct bytes a, b;

    get_entry(number(w[0]), &a);
    get_entry(number(w[1]), &b);
    put_entry(number(w[0]), &b);
    put_entry(number(w[1]), &a);
}

/* Entry N stands in M's place too. */
static void cmd_copy(char *const *w)
{
    static struct bytes b;

    get_entry(number(w[0]), &b);
    put_entry(number(w[1]), &b);
}

/* A valid shorter log: entries, hashes, notes and head of its first N entries. */
static void cmd_cut(char *const *w)
{
    uint64_t size = number(w[0]);

    for (uint64_t n = count(); n > size; n--)
        drop_entry(n - 1);
    cut_hashes(merkle_stored_count(size));
    cut_notes(size);
    rebuild(size);
}

static void cmd_rows(char *const *w)
{
    MDB_cursor *c;
    MDB_val key, value;

    must(mdb_cursor_open(txn, table(w[0]), &c), "cursor");
    while (mdb_cursor_get(c, &key, &value, MDB_NEXT) == 0) {
        print_hex(key);
        putchar(' ');
        print_hex(value);
        putchar('\n');
    }
    mdb_cursor_close(c);
}

static void cmd_delete(char *const *w)
{
    static uint8_t k[512];
    MDB_val key = val(k, from_hex(w[1], k));

    must(mdb_del(txn, table(w[0]), &key, NULL), "delete row");
}

static void cmd_put(char *const *w)
{
    static uint8_t k[512], v[65536];
    MDB_val key = val(k, from_hex(w[1], k)), value = val(v, from_hex(w[2], v));

    must(mdb_put(txn, table(w[0]), &key, &value, 0), "put row");
}

static const struct {
    const char *name, *args, *help;
    int n;
    void (*run)(char *const *words);
} COMMANDS[] = {
    {"size", "", "prints how many entries there are", 0, cmd_size},
    {"flip", "N", "one bit of entry N", 1, cmd_flip},
    {"garble", "N", "the first bit of entry N, which is none then", 1, cmd_garble},
    {"forge", "N", "one bit of entry N, and its leaf's hash", 1, cmd_forge},
    {"rebuild", "N", "one bit of entry N, all hashes over it, and the head", 1,
     cmd_rebuild},
    {"remove", "N", "takes entry N away", 1, cmd_remove},
    {"drop", "N", "the same, and those behind it move up", 1, cmd_drop},
    {"swap", "N M", "each in the other's place", 2, cmd_swap},
    {"copy", "N M", "entry N in M's place too", 2, cmd_copy},
    {"cut", "N", "a whole log of its first N entries", 1, cmd_cut},
    {"water", "FILE LOG", "makes a notary's state for what the store holds", 2,
     cmd_water},
    {"rows", "TABLE", "prints keys and values", 1, cmd_rows},
    {"delete", "TABLE KEY", "a row", 2, cmd_delete},
    {"put", "TABLE KEY VALUE", "a row", 3, cmd_put},
};

static int usage(void)
{
    fputs("usage: edit_store DIR COMMAND ...\n", stderr);
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        fprintf(stderr, "  %-8s %-16s %s\n", COMMANDS[i].name, COMMANDS[i].args,
                COMMANDS[i].help);
    return 64;
}

int main(int argc, char *argv[])
{
    size_t i = 0;

    while (argc > 2 && i < sizeof COMMANDS / sizeof *COMMANDS &&
           (strcmp(COMMANDS[i].name, argv[2]) != 0 || COMMANDS[i].n != argc - 3))
        i++;
    if (argc < 3 || i == sizeof COMMANDS / sizeof *COMMANDS)
        return usage();
    hasher = hash_new();
    must(hasher == NULL ? ENOMEM : 0, "hash");
    must(mdb_env_create(&env), "create");
    must(mdb_env_set_maxdbs(env, 64), "maxdbs");
    must(mdb_env_set_mapsize(env, (size_t)1 << 30), "mapsize");
    must(mdb_env_open(env, argv[1], MDB_NOTLS, 0600), argv[1]);
    must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    entry = table("entry");
    hash_table = table("hash");
    meta = table("lmdb.meta");
    COMMANDS[i].run(argv + 3);
    sign_head();
    must(mdb_txn_commit(txn), "commit");
    mdb_env_close(env);
    hash_free(hasher);
    return 0;
}
