#include "broker/core/verify.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/core/state.h"
#include "proto/err.h"
#include "proto/merkle.h"
#include "proto/valid.h"

struct walk {
    struct verify_found *found;
    struct hash *hash;
    struct arena *arena;
    struct merkle_edge edge; /* of the newest log so far */
    const char *wrong;       /* what is, with the entry found->entries */
};

/* What is wrong with an entry in its place; NULL: nothing. */
static const char *judge(const struct walk *w, struct slice key,
                         const Liaison__V1__LedgerEntry *e)
{
    bool next_log = e->log == w->found->log + 1 && e->seq == 0;

    if (key.n != 8 || be64_get(key.p) != w->found->entries)
        return "is missing";
    if (!next_log && (e->log != w->found->log || e->seq != w->edge.size))
        return "stands in another's place";
    if (e->time_ns < w->found->time_ns)
        return "is older than the one before it";
    return NULL;
}

static int walk_entry(void *arg, struct slice key, struct slice value)
{
    struct walk *w = arg;
    uint8_t leaf[HASH_BYTES], stored[MERKLE_LEVELS][HASH_BYTES];
    const void *m;

    arena_reset(w->arena);
    if (valid_decode(&liaison__v1__ledger_entry__descriptor, value, w->arena, &m) !=
        LIAISON_OK) {
        w->wrong = "is damaged";
        return 1;
    }
    const Liaison__V1__LedgerEntry *e = m;

    if (w->found->entries == 0)
        w->found->log = e->log;
    if ((w->wrong = judge(w, key, e)) != NULL)
        return 1;
    if (e->log != w->found->log)
        w->edge = (struct merkle_edge){0};
    merkle_leaf(w->hash, value, leaf);
    merkle_edge_add(w->hash, &w->edge, leaf, stored);
    w->found->log = e->log;
    w->found->time_ns = e->time_ns;
    w->found->entries++;
    return 0;
}

static int count_row(void *arg, struct slice key, struct slice value)
{
    (void)key, (void)value;
    ++*(uint64_t *)arg;
    return 0;
}

static enum liaison_code walk_all(struct store *s, struct walk *w, char *why,
                                  size_t why_len)
{
    const struct slice all = slice(NULL, 0);
    enum liaison_code code = store_scan(s, T_ENTRY, all, all, SIZE_MAX, walk_entry, w);

    if (code == LIAISON_OK && w->wrong != NULL) {
        snprintf(why, why_len, "entry %" PRIu64 " %s", w->found->entries, w->wrong);
        return LIAISON_DAMAGED;
    }
    if (code == LIAISON_OK)
        code = store_scan(s, T_REFERRAL, all, all, SIZE_MAX, count_row,
                          &w->found->referrals);
    if (code == LIAISON_OK)
        code = groups_epoch(s, &w->found->key_epoch);
    if (code != LIAISON_OK)
        snprintf(why, why_len, "it cannot be read: %s", err_text(code));
    w->found->size = w->edge.size;
    merkle_edge_root(w->hash, &w->edge, w->found->root);
    return code;
}

/* The head says what the entries come to, and so do the hashes that are stored beside them. */
static enum liaison_code judge_tree(struct store *s, struct hash *h,
                                    struct verify_found *f, char *why, size_t why_len)
{
    struct store_head head;
    struct log *log = NULL;
    bool sound = true;
    enum liaison_code code = store_head(s, &head);

    if (code == LIAISON_OK)
        code = log_open(s, h, &head, &log, &sound, why, why_len);
    if (code == LIAISON_OK)
        snprintf(f->origin, sizeof f->origin, "%s", log_origin(log));
    log_free(log);
    if (code != LIAISON_OK || !sound)
        return code != LIAISON_OK ? code : LIAISON_DAMAGED;
    if (head.size == f->entries &&
        (head.size == 0 || memcmp(head.root, f->root, sizeof f->root) == 0))
        return LIAISON_OK;
    snprintf(why, why_len,
             "its head (%" PRIu64 " entries) does not fit the %" PRIu64
             " entries that are there",
             head.size, f->entries);
    return LIAISON_DAMAGED;
}

enum liaison_code verify_store(const char *url, const struct store_settings *settings,
                               struct verify_found *out, char *why, size_t why_len)
{
    struct store *s = NULL;
    struct walk w = {.found = out, .hash = hash_new(), .arena = arena_new()};
    enum liaison_code code = LIAISON_MEMORY;
    bool fresh;

    *out = (struct verify_found){0};
    snprintf(why, why_len, "%s", err_text(code));
    if (w.hash != NULL && w.arena != NULL)
        code = store_open(url, TABLES, T__COUNT, settings, &s, &fresh, why, why_len);
    if (code == LIAISON_OK)
        code = walk_all(s, &w, why, why_len);
    if (code == LIAISON_OK)
        code = judge_tree(s, w.hash, out, why, why_len);
    store_close(s);
    arena_free(w.arena);
    hash_free(w.hash);
    return code;
}

/* ------------------------------------------------------------ the newest log alone */

static enum liaison_code hash_all(struct log *l, struct verify_log *out)
{
    enum { AT_ONCE = 4096 };
    uint64_t bad = 0;
    enum liaison_code code = LIAISON_OK;

    for (uint64_t n = 0; n < log_size(l) && code == LIAISON_OK; n += AT_ONCE)
        code = log_scrub(l, AT_ONCE, &bad);
    if (code != LIAISON_DAMAGED)
        return code;
    out->sound = false;
    snprintf(out->why, sizeof out->why, "entry %" PRIu64 " is not what was hashed", bad);
    return LIAISON_OK;
}

static enum liaison_code compare(struct log *l, const struct checkpoint *known,
                                 struct verify_log *out)
{
    uint8_t root[HASH_BYTES];
    enum liaison_code code = LIAISON_OK;

    if (known->size > log_size(l)) {
        out->sound = false;
        snprintf(out->why, sizeof out->why,
                 "a checkpoint of %" PRIu64
                 " entries has been signed, the store holds %" PRIu64
                 ": it was rolled back, or its end was cut off",
                 known->size, log_size(l));
        return code;
    }
    code = log_root(l, known->size, root);
    if (code == LIAISON_OK && memcmp(root, known->root, sizeof root) != 0) {
        out->sound = false;
        snprintf(out->why, sizeof out->why,
                 "the first %" PRIu64 " entries are not those that were signed",
                 known->size);
    }
    return code;
}

static enum liaison_code judge_log(struct log *l, const struct checkpoint *known,
                                   size_t n, struct verify_log *out)
{
    enum liaison_code code = LIAISON_OK;

    out->number = log_number(l);
    out->size = log_size(l);
    snprintf(out->origin, sizeof out->origin, "%s", log_origin(l));
    if (out->sound)
        code = hash_all(l, out);
    for (size_t i = 0; i < n && out->sound && code == LIAISON_OK; i++)
        if (strcmp(known[i].origin, out->origin) == 0)
            code = compare(l, &known[i], out);
    return code;
}

enum liaison_code verify_log(const char *url, const struct store_settings *settings,
                             const struct checkpoint *known, size_t n,
                             struct verify_log *out, char *why, size_t why_len)
{
    struct store *s = NULL;
    struct hash *h = hash_new();
    struct log *l = NULL;
    struct store_head head;
    bool fresh;
    enum liaison_code code = LIAISON_MEMORY;

    *out = (struct verify_log){.sound = true};
    snprintf(why, why_len, "%s", err_text(code));
    if (h != NULL)
        code = store_open(url, TABLES, T__COUNT, settings, &s, &fresh, why, why_len);
    if (code == LIAISON_OK)
        code = store_head(s, &head);
    if (code == LIAISON_OK)
        code = log_open(s, h, &head, &l, &out->sound, out->why, sizeof out->why);
    if (code == LIAISON_OK)
        code = judge_log(l, known, n, out);
    if (code != LIAISON_OK && s != NULL)
        snprintf(why, why_len, "the store cannot be read: %s", err_text(code));
    log_free(l);
    store_close(s);
    hash_free(h);
    return code;
}
