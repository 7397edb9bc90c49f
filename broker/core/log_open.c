/* What must hold of the log before anything is added to it. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/log_inside.h"
#include "broker/core/rows.pb-c.h"
#include "broker/core/tables.h"
#include "proto/err.h"
#include "proto/valid.h"

enum { LOOKED_AT = 4096 }; /* entries that are hashed again at start */

void log_take_name(struct log *l, const struct log_name *n)
{
    l->number = n->number;
    l->base = n->base;
    memcpy(l->origin, n->origin, sizeof l->origin);
    memcpy(l->rotated_to, n->rotated_to, sizeof l->rotated_to);
    memset(l->cache, 0, sizeof l->cache);
    l->scrubbed = 0;
}

uint32_t log_number(const struct log *l)
{
    return l->number;
}

uint64_t log_base(const struct log *l)
{
    return l->base;
}

const char *log_origin(const struct log *l)
{
    return l->origin;
}

const uint8_t *log_rotated_to(const struct log *l)
{
    return l->rotated_to;
}

uint64_t log_size(const struct log *l)
{
    return l->edge.size;
}

void log_free(struct log *l)
{
    if (l == NULL)
        return;
    ledger_second_free(l->second);
    free(l->fresh);
    free(l);
}

/* ------------------------------------------------------------ which log it is */

struct naming {
    struct log *log;
    struct arena *arena;
    enum liaison_code code;
};

static int name_row(void *arg, struct slice key, struct slice value)
{
    struct naming *n = arg;
    struct log_name name = {0};
    const void *m;

    n->code = valid_decode(&liaison__rows__v1__log__descriptor, value, n->arena, &m);
    if (n->code == LIAISON_OK) {
        const Liaison__Rows__V1__Log *row = m;

        if (key.n != 4 || strlen(row->origin) > NOTE_NAME_MAX ||
            (row->rotated_to.len != 0 && row->rotated_to.len != sizeof name.rotated_to))
            n->code = LIAISON_DAMAGED;
        else if (row->rotated_to.len != 0)
            memcpy(name.rotated_to, row->rotated_to.data, sizeof name.rotated_to);
        name.number = key.n == 4 ? be32_get(key.p) : 0;
        name.base = row->first_number;
        snprintf(name.origin, sizeof name.origin, "%s", row->origin);
    }
    if (n->code == LIAISON_OK)
        log_take_name(n->log, &name);
    return 1;
}

static enum liaison_code read_name(struct log *l, const struct store_head *head)
{
    struct naming n = {.log = l, .arena = arena_new()};

    if (n.arena == NULL)
        return LIAISON_MEMORY;
    enum liaison_code code =
        store_scan_back(l->store, T_LOG, slice(NULL, 0), slice(NULL, 0), 1, name_row, &n);

    arena_free(n.arena);
    if (code == LIAISON_OK)
        code = n.code == LIAISON_MALFORMED ? LIAISON_DAMAGED : n.code;
    if (code == LIAISON_OK &&
        (l->base > head->size || (l->number == 0 && head->size > 0)))
        code = LIAISON_DAMAGED;
    return code;
}

/* ------------------------------------------------------------ the tree */

struct end {
    bool found;
    uint64_t first, n;
    uint32_t log;
};

static int end_row(void *arg, struct slice key, struct slice value)
{
    struct end *e = arg;

    if (key.n == 12 && value.n % HASH_BYTES == 0) {
        e->found = true;
        e->log = be32_get(key.p);
        e->first = be64_get(key.p + 4);
        e->n = value.n / HASH_BYTES;
    }
    return 1;
}

/* As many hashes as the size wants, and an edge that leads to the head's root. */
static enum liaison_code check_tree(struct log *l, const struct store_head *head,
                                    bool *sound, char *why, size_t why_len)
{
    uint64_t size = head->size - l->base, wanted = merkle_stored_count(size);
    struct merkle_edge edge;
    struct end end = {0};
    uint8_t root[HASH_BYTES];
    enum liaison_code code = store_scan_back(l->store, T_HASH, slice(NULL, 0),
                                             slice(NULL, 0), 1, end_row, &end);

    if (code != LIAISON_OK)
        return code;
    uint64_t have = end.found && end.log == l->number ? end.first + end.n : 0;

    *sound = have == wanted;
    if (!*sound) {
        snprintf(why, why_len, "%llu hashes are stored where %llu entries want %llu",
                 (unsigned long long)have, (unsigned long long)size,
                 (unsigned long long)wanted);
        return LIAISON_OK;
    }
    code = merkle_edge_load(log_read, l, size, &edge);
    if (code == LIAISON_DAMAGED) {
        *sound = false;
        snprintf(why, why_len,
                 "a hash on the edge of the tree of %llu entries is missing",
                 (unsigned long long)size);
        return LIAISON_OK;
    }
    if (code != LIAISON_OK)
        return code;
    l->edge = edge;
    merkle_edge_root(l->hash, &edge, root);
    *sound = memcmp(root, head->root, sizeof root) == 0;
    if (!*sound)
        snprintf(why, why_len,
                 "the stored hashes of %llu entries do not lead to the root "
                 "that was committed with them",
                 (unsigned long long)size);
    return LIAISON_OK;
}

/* ------------------------------------------------------------ entries */

/* Entries in their order, each looked at by itself; their leaves are compared with what is stored once the scan is over. */
struct walk {
    struct log *log;
    struct arena *arena;
    uint8_t (*leaves)[HASH_BYTES];
    uint64_t from, number, time_ns;
    const char *wrong; /* what is not as it should be of the entry at `number` */
};

static const char *wrong_with(struct walk *w, struct slice key, struct slice value)
{
    uint64_t seq = w->number - w->log->base;
    const void *m;

    if (key.n != 8 || be64_get(key.p) != w->number)
        return "is missing";
    ledger_second_leaf(w->log->second, value, w->leaves[w->number - w->from]);
    arena_reset(w->arena);
    if (valid_decode(&liaison__v1__ledger_entry__descriptor, value, w->arena, &m) !=
        LIAISON_OK)
        return "is not what was hashed: it is no entry";
    const Liaison__V1__LedgerEntry *e = m;

    if (e->seq != seq || e->log != w->log->number)
        return "is not what was hashed: it says that it is another one";
    if (e->time_ns < w->time_ns)
        return "is older than the one before";
    w->time_ns = e->time_ns;
    return NULL;
}

static int walk_row(void *arg, struct slice key, struct slice value)
{
    struct walk *w = arg;

    w->wrong = wrong_with(w, key, value);
    w->number += w->wrong == NULL;
    return w->wrong != NULL;
}

/* Every subtree that this leaf completes has the hash of its halves. */
static enum liaison_code compare_subtrees(struct log *l, uint64_t leaf, bool *same)
{
    uint8_t node[HASH_BYTES], left[HASH_BYTES], right[HASH_BYTES];
    enum liaison_code code = LIAISON_OK;

    *same = true;
    for (unsigned level = 1;
         *same && code == LIAISON_OK && (leaf >> (level - 1) & 1) != 0; level++) {
        uint64_t n = leaf >> level;

        if ((code = log_read(l, merkle_stored_index(level, n), node)) != LIAISON_OK ||
            (code = log_read(l, merkle_stored_index(level - 1, 2 * n), left)) !=
                LIAISON_OK ||
            (code = log_read(l, merkle_stored_index(level - 1, 2 * n + 1), right)) !=
                LIAISON_OK)
            return code;
        merkle_node(l->hash, left, right, left);
        *same = memcmp(node, left, sizeof node) == 0;
    }
    return code;
}

/* The first leaf that is not the one stored counts, whatever else is wrong further on. */
static enum liaison_code compare_leaves(struct walk *w)
{
    uint8_t stored[HASH_BYTES];
    bool same;

    for (uint64_t n = w->from; n < w->number; n++) {
        enum liaison_code code =
            log_read(w->log, merkle_stored_index(0, n - w->log->base), stored);

        if (code == LIAISON_OK)
            code = compare_subtrees(w->log, n - w->log->base, &same);
        if (code != LIAISON_OK) {
            w->number = n;
            return code;
        }
        if (memcmp(stored, w->leaves[n - w->from], sizeof stored) != 0) {
            w->number = n;
            w->wrong = "is not what was hashed";
        } else if (!same) {
            w->number = n;
            w->wrong = "completes a subtree whose stored hash is not that of its halves";
        }
    }
    return LIAISON_OK;
}

static enum liaison_code walk(struct log *l, uint64_t from, size_t n, struct walk *w)
{
    uint8_t key[8];
    enum liaison_code code = LIAISON_MEMORY;

    *w = (struct walk){.log = l,
                       .arena = arena_new(),
                       .leaves = calloc(n, sizeof *w->leaves),
                       .from = from,
                       .number = from};
    if (w->arena != NULL && w->leaves != NULL)
        code = store_scan(l->store, T_ENTRY, log_entry_key(from, key), slice(NULL, 0), n,
                          walk_row, w);
    if (code == LIAISON_OK)
        code = compare_leaves(w);
    arena_free(w->arena);
    free(w->leaves);
    return code;
}

static enum liaison_code check_last(struct log *l, const struct store_head *head,
                                    bool *sound, char *why, size_t why_len)
{
    uint64_t from = head->size - l->base > LOOKED_AT ? head->size - LOOKED_AT : l->base;
    size_t n = (size_t)(head->size - from);
    struct walk w;
    enum liaison_code code = walk(l, from, n + 1, &w);

    if (code == LIAISON_DAMAGED) {
        code = LIAISON_OK;
        w.wrong = "has no hash of its own, or is one too many";
    }
    if (code == LIAISON_OK && w.wrong == NULL && w.number != head->size)
        w.wrong = "is missing";
    if (code == LIAISON_OK && w.wrong != NULL) {
        *sound = false;
        snprintf(why, why_len, "entry %llu %s", (unsigned long long)(w.number - l->base),
                 w.wrong);
    }
    return code;
}

enum liaison_code log_scrub(struct log *l, size_t n, uint64_t *bad)
{
    struct walk w;
    enum liaison_code code = walk(l, l->base + l->scrubbed, n, &w);

    if (code == LIAISON_OK && w.wrong == NULL && w.number == l->base + l->scrubbed &&
        l->scrubbed < l->edge.size)
        w.wrong = "is missing";
    if (code == LIAISON_OK && w.wrong != NULL)
        code = LIAISON_DAMAGED;
    *bad = w.number - l->base;
    l->scrubbed = *bad >= l->edge.size ? 0 : *bad;
    return code;
}

enum liaison_code log_open(struct store *store, struct hash *h,
                           const struct store_head *head, struct log **out, bool *sound,
                           char *why, size_t why_len)
{
    struct log *l = calloc(1, sizeof *l);
    enum liaison_code code = LIAISON_MEMORY;

    *sound = true;
    if (l != NULL) {
        l->store = store;
        l->hash = h;
        l->second = ledger_second_new();
    }
    if (l != NULL && l->second != NULL)
        code = read_name(l, head);
    if (code == LIAISON_OK && l->number > 0)
        code = check_tree(l, head, sound, why, why_len);
    if (code == LIAISON_OK && l->number > 0 && *sound)
        code = check_last(l, head, sound, why, why_len);
    if (code != LIAISON_OK) {
        snprintf(why, why_len, "the log cannot be read: %s", err_text(code));
        log_free(l);
        return code;
    }
    *out = l;
    return LIAISON_OK;
}
