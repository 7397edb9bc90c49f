/* The tree: what is stored of it, how it grows with a batch, and how it is read for proofs. */
#include "broker/core/log.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/log_inside.h"
#include "broker/core/rows.pb-c.h"
#include "broker/core/tables.h"

enum { ROW_HASHES = 62 }; /* 1,984 bytes: two rows share a page of LMDB's */

/* ------------------------------------------------------------ keys */

static struct slice hash_key(const struct log *l, uint64_t index, uint8_t key[12])
{
    be32_put(key, l->number);
    be64_put(key + 4, index);
    return slice(key, 12);
}

struct slice log_entry_key(uint64_t number, uint8_t key[8])
{
    be64_put(key, number);
    return slice(key, 8);
}

/* ------------------------------------------------------------ reading */

struct wanted {
    uint64_t index;
    uint8_t *out;
    bool found;
};

/* The last row at or below the index: it holds it, or nothing does. */
static int hash_row(void *arg, struct slice key, struct slice value)
{
    struct wanted *w = arg;
    uint64_t first = key.n == 12 ? be64_get(key.p + 4) : UINT64_MAX;

    if (first <= w->index && w->index - first < value.n / HASH_BYTES) {
        memcpy(w->out, value.p + (w->index - first) * HASH_BYTES, HASH_BYTES);
        w->found = true;
    }
    return 1;
}

static struct cached *cached_at(struct log *l, uint64_t index)
{
    return &l->cache[index % LOG_CACHE];
}

enum liaison_code log_read(void *arg, uint64_t index, uint8_t out[HASH_BYTES])
{
    struct log *l = arg;
    struct cached *c = cached_at(l, index);
    struct wanted w = {.index = index, .out = out};
    uint8_t low[12], high[12];

    if (c->place == index + 1) {
        memcpy(out, c->hash, HASH_BYTES);
        return LIAISON_OK;
    }
    enum liaison_code code =
        store_scan_back(l->store, T_HASH, hash_key(l, 0, low),
                        hash_key(l, index + 1, high), 1, hash_row, &w);

    if (code == LIAISON_OK && !w.found)
        code = LIAISON_DAMAGED;
    if (code == LIAISON_OK) {
        c->place = index + 1;
        memcpy(c->hash, out, HASH_BYTES);
    }
    return code;
}

enum liaison_code log_root(struct log *l, uint64_t size, uint8_t root[HASH_BYTES])
{
    struct merkle_edge e;

    if (size > l->edge.size)
        return LIAISON_FIELD;
    if (size == l->edge.size) {
        merkle_edge_root(l->hash, &l->edge, root);
        return LIAISON_OK;
    }
    enum liaison_code code = merkle_edge_load(log_read, l, size, &e);

    if (code == LIAISON_OK)
        merkle_edge_root(l->hash, &e, root);
    return code;
}

/* ------------------------------------------------------------ growing */

/* The newest log's row. */
static void put_name(struct log *l, struct store_batch *tx)
{
    Liaison__Rows__V1__Log row = LIAISON__ROWS__V1__LOG__INIT;
    uint8_t key[4], bytes[NOTE_NAME_MAX + sizeof l->rotated_to + 32];
    static const uint8_t none[sizeof l->rotated_to];

    be32_put(key, l->number);
    row.first_number = l->base;
    row.origin = l->origin;
    if (memcmp(l->rotated_to, none, sizeof none) != 0)
        row.rotated_to = (ProtobufCBinaryData){sizeof l->rotated_to, l->rotated_to};
    store_put(tx, T_LOG, slice(key, sizeof key),
              slice(bytes, liaison__rows__v1__log__pack(&row, bytes)));
}

void log_begin(struct log *l, struct store_batch *tx, struct log_batch *b, uint64_t base,
               const char *origin)
{
    l->next = (struct log_name){.number = l->number + 1, .base = base};
    snprintf(l->next.origin, sizeof l->next.origin, "%s", origin);
    b->edge = (struct merkle_edge){0};
    log_take_name(l, &l->next);
    put_name(l, tx);
}

void log_rotate(struct log *l, struct store_batch *tx, const uint8_t public_key[32])
{
    memcpy(l->rotated_to, public_key, sizeof l->rotated_to);
    put_name(l, tx);
}

void log_batch_begin(struct log *l, struct log_batch *b)
{
    b->edge = l->edge;
    b->n_fresh = 0;
    l->before = (struct log_name){.number = l->number,
                                  .base = l->base,
                                  .first_index = merkle_stored_count(l->edge.size)};
    memcpy(l->before.origin, l->origin, sizeof l->origin);
    memcpy(l->before.rotated_to, l->rotated_to, sizeof l->rotated_to);
}

static bool fresh_room(struct log *l, size_t n)
{
    if (n <= l->fresh_room)
        return true;
    size_t room = l->fresh_room * 2 > n ? l->fresh_room * 2 : n;
    void *more = realloc(l->fresh, room * HASH_BYTES);

    if (more == NULL)
        return false;
    l->fresh = more;
    l->fresh_room = room;
    return true;
}

enum liaison_code log_add(struct log *l, struct log_batch *b, struct slice entry)
{
    uint8_t leaf[HASH_BYTES];

    if (!fresh_room(l, b->n_fresh + MERKLE_LEVELS))
        return LIAISON_MEMORY;
    merkle_leaf(l->hash, entry, leaf);
    b->n_fresh += merkle_edge_add(l->hash, &b->edge, leaf, l->fresh + b->n_fresh);
    return LIAISON_OK;
}

struct look {
    struct log *log;
    uint64_t first_index; /* of the batch's hashes */
    uint64_t number;      /* of the entry that must come next */
    bool same;
};

static int look_again(void *arg, struct slice key, struct slice value)
{
    struct look *k = arg;
    uint8_t leaf[HASH_BYTES];
    uint64_t place = merkle_stored_index(0, k->number - k->log->base) - k->first_index;

    ledger_second_leaf(k->log->second, value, leaf);
    k->same = key.n == 8 && be64_get(key.p) == k->number++ &&
              memcmp(leaf, k->log->fresh[place], HASH_BYTES) == 0;
    return !k->same;
}

static void put_hashes(struct log *l, const struct log_batch *b, struct store_batch *tx,
                       uint64_t first_index)
{
    for (size_t i = 0; i < b->n_fresh; i += ROW_HASHES) {
        size_t n = b->n_fresh - i < ROW_HASHES ? b->n_fresh - i : ROW_HASHES;
        uint8_t key[12];

        store_append(tx, T_HASH, hash_key(l, first_index + i, key),
                     slice(l->fresh[i], n * HASH_BYTES));
    }
}

/* Where the batch's hashes begin: behind those committed, or at 0 in a log that this batch began. */
static uint64_t first_index(const struct log *l)
{
    return l->number == l->before.number ? l->before.first_index : 0;
}

enum liaison_code log_flush(struct log *l, struct log_batch *b, struct store_batch *tx,
                            uint64_t first, uint8_t root[HASH_BYTES])
{
    struct look k = {
        .log = l, .first_index = first_index(l), .number = first, .same = true};
    uint8_t key[8];
    enum liaison_code code = store_batch_scan(tx, T_ENTRY, log_entry_key(first, key),
                                              slice(NULL, 0), SIZE_MAX, look_again, &k);

    if (code != LIAISON_OK)
        return code;
    if (!k.same || k.number - l->base != b->edge.size)
        return LIAISON_DAMAGED;
    put_hashes(l, b, tx, k.first_index);
    merkle_edge_root(l->hash, &b->edge, root);
    return LIAISON_OK;
}

void log_committed(struct log *l, const struct log_batch *b)
{
    uint64_t first = first_index(l);

    for (size_t i = 0; i < b->n_fresh; i++) {
        struct cached *c = cached_at(l, first + i);

        c->place = first + i + 1;
        memcpy(c->hash, l->fresh[i], HASH_BYTES);
    }
    l->edge = b->edge;
}

void log_undone(struct log *l)
{
    if (l->number != l->before.number)
        log_take_name(l, &l->before);
    memcpy(l->rotated_to, l->before.rotated_to, sizeof l->rotated_to);
}
