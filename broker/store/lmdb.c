/* The store on LMDB: batches and scans. One table is one named database; the head has one of its own. */
#include "broker/store/lmdb.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "broker/ops/log.h"

/* ---------------------------------------------------------------- errors */

static const struct meaning {
    int rc;
    enum liaison_code code;
} MEANING[] = {
    {ENOSPC, LIAISON_FULL},
    {EDQUOT, LIAISON_FULL},
    {EFBIG, LIAISON_FULL},
    {MDB_MAP_FULL, LIAISON_FULL},
    {MDB_TXN_FULL, LIAISON_FULL},
    {ENOMEM, LIAISON_MEMORY},
    {EACCES, LIAISON_PERMISSION},
    {EPERM, LIAISON_PERMISSION},
    {EROFS, LIAISON_PERMISSION},
    {ENOENT, LIAISON_FILE},
    {ENOTDIR, LIAISON_FILE},
    {ELOOP, LIAISON_FILE},
    {ENAMETOOLONG, LIAISON_FILE},
    {MDB_CORRUPTED, LIAISON_DAMAGED},
    {MDB_PAGE_NOTFOUND, LIAISON_DAMAGED},
    {MDB_CURSOR_FULL, LIAISON_DAMAGED},
    {MDB_INVALID, LIAISON_DAMAGED},
    {MDB_VERSION_MISMATCH, LIAISON_DAMAGED},
    {MDB_INCOMPATIBLE, LIAISON_DAMAGED},
    {MDB_KEYEXIST, LIAISON_DAMAGED}, /* an append that does not grow */
    {MDB_BAD_VALSIZE, LIAISON_INTERNAL},
    {MDB_NOTFOUND, LIAISON_NOT_FOUND},
};

enum liaison_code lmdb_meaning(int rc)
{
    for (size_t i = 0; i < sizeof MEANING / sizeof *MEANING; i++)
        if (MEANING[i].rc == rc)
            return MEANING[i].code;
    return rc == 0 ? LIAISON_OK : LIAISON_IO;
}

/* What LMDB said, for the log and the caller. Pages that cannot be written or understood end this process's use of the
 * store: after a failed flush the kernel may have dropped what we believe to be there. */
enum liaison_code lmdb_failure(struct store *s, const char *call, int rc)
{
    enum liaison_code code = lmdb_meaning(rc);
    if (code == LIAISON_IO || (code == LIAISON_DAMAGED && rc != MDB_KEYEXIST))
        s->broken = true;
    log_error("store.failed", "call=%s rc=%d reason=\"%s\"", call, rc, mdb_strerror(rc));
    return code;
}

/* ---------------------------------------------------------------- the head */

enum {
    HEAD_BYTES = 8 + 8 + 32 + 16 + 1 +
                 8, /* size, epoch, root, batch id, was there a batch, transaction */
    MAIN_DBI = 1,   /* LMDB's own: the names of the others */
    META_PAGES = 2,
};

int lmdb_get_head(struct store *s, MDB_txn *txn, struct lmdb_head *out)
{
    MDB_val key = lmdb_val(slice_text("head")), value;
    *out = (struct lmdb_head){0};
    int rc = mdb_get(txn, s->meta, &key, &value);
    if (rc != 0)
        return rc;
    if (value.mv_size != HEAD_BYTES)
        return MDB_CORRUPTED;
    const uint8_t *p = value.mv_data;
    out->head.size = be64_get(p);
    out->head.epoch = be64_get(p + 8);
    memcpy(out->head.root, p + 16, 32);
    memcpy(out->batch_id, p + 48, 16);
    out->committed = p[64] != 0;
    out->txn = be64_get(p + 65);
    return 0;
}

int lmdb_put_head(struct store *s, MDB_txn *txn, const struct lmdb_head *h)
{
    uint8_t row[HEAD_BYTES];
    be64_put(row, h->head.size);
    be64_put(row + 8, h->head.epoch);
    memcpy(row + 16, h->head.root, 32);
    memcpy(row + 48, h->batch_id, 16);
    row[64] = h->committed;
    be64_put(row + 65, mdb_txn_id(txn));
    MDB_val key = lmdb_val(slice_text("head")), value = lmdb_val(slice(row, sizeof row));
    return mdb_put(txn, s->meta, &key, &value, 0);
}

int lmdb_count_pages(struct store *s, MDB_txn *txn, uint64_t *out)
{
    const MDB_dbi others[] = {LMDB_FREE_DBI, MAIN_DBI, s->meta};
    uint64_t pages = META_PAGES;
    for (size_t i = 0; i < s->n_tables + sizeof others / sizeof *others; i++) {
        MDB_dbi dbi = i < s->n_tables ? s->tables[i].dbi : others[i - s->n_tables];
        MDB_stat st;
        int rc = mdb_stat(txn, dbi, &st);
        if (rc != 0)
            return rc;
        pages += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
    }
    *out = pages;
    return 0;
}

/* ---------------------------------------------------------------- scans */

static int compare(struct slice a, struct slice b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int start(MDB_cursor *cursor, struct slice from, MDB_val *key, MDB_val *value)
{
    *key = lmdb_val(from);
    return mdb_cursor_get(cursor, key, value, from.n == 0 ? MDB_FIRST : MDB_SET_RANGE);
}

static int start_back(MDB_cursor *cursor, struct slice to, MDB_val *key, MDB_val *value)
{
    *key = lmdb_val(to);
    if (to.n != 0) {
        int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
        if (rc != MDB_NOTFOUND)
            return rc == 0 ? mdb_cursor_get(cursor, key, value, MDB_PREV) : rc;
    }
    return mdb_cursor_get(cursor, key, value, MDB_LAST);
}

/* Runs over [from, to) until the row function has enough. Returns LMDB's code; 0 at the end of the range. */
static int visit(MDB_txn *txn, MDB_dbi dbi, bool back, struct slice from, struct slice to,
                 size_t limit, store_row *row, void *arg)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0)
        return rc;
    for (size_t n = 0; n < limit; n++) {
        if (n == 0)
            rc = back ? start_back(cursor, to, &key, &value)
                      : start(cursor, from, &key, &value);
        else
            rc = mdb_cursor_get(cursor, &key, &value, back ? MDB_PREV : MDB_NEXT);
        if (rc != 0)
            break;
        struct slice k = slice(key.mv_data, key.mv_size);
        if (back ? from.n != 0 && compare(k, from) < 0 : to.n != 0 && compare(k, to) >= 0)
            break;
        if (row(arg, k, slice(value.mv_data, value.mv_size)) != 0)
            break;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static enum liaison_code scan(struct store *s, int table, bool back, struct slice from,
                              struct slice to, size_t limit, store_row *row, void *arg)
{
    if (s->broken)
        return LIAISON_IO;
    if (s->scanning || from.n > LMDB_KEY_MAX || to.n > LMDB_KEY_MAX)
        return LIAISON_INTERNAL;
    int rc = mdb_txn_renew(s->reader);
    if (rc != 0)
        return lmdb_failure(s, "renew", rc);
    s->scanning = true;
    rc = visit(s->reader, s->tables[table].dbi, back, from, to, limit, row, arg);
    s->scanning = false;
    mdb_txn_reset(s->reader);
    return rc == 0 ? LIAISON_OK : lmdb_failure(s, "scan", rc);
}

enum liaison_code store_scan(struct store *s, int table, struct slice from,
                             struct slice to, size_t limit, store_row *row, void *arg)
{
    return scan(s, table, false, from, to, limit, row, arg);
}

enum liaison_code store_scan_back(struct store *s, int table, struct slice from,
                                  struct slice to, size_t limit, store_row *row,
                                  void *arg)
{
    return scan(s, table, true, from, to, limit, row, arg);
}

enum liaison_code store_head(struct store *s, struct store_head *out)
{
    struct lmdb_head h;
    if (s->broken)
        return LIAISON_IO;
    if (s->scanning)
        return LIAISON_INTERNAL;
    int rc = mdb_txn_renew(s->reader);
    if (rc != 0)
        return lmdb_failure(s, "renew", rc);
    rc = lmdb_get_head(s, s->reader, &h);
    mdb_txn_reset(s->reader);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_failure(s, "head", rc);
    *out = h.head;
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- batches */

static bool same_head(const struct store_head *a, const struct store_head *b)
{
    return a->size == b->size && a->epoch == b->epoch &&
           memcmp(a->root, b->root, sizeof a->root) == 0;
}

/* Ordinary batches stop while there is still room for the reserve's. */
static bool disk_short(const struct store *s)
{
    struct statvfs fs;
    return fstatvfs(s->dir_fd, &fs) == 0 &&
           fs.f_bavail < s->reserve_bytes / (fs.f_frsize == 0 ? 1 : fs.f_frsize);
}

uint64_t store_used_bytes(const struct store *s)
{
    return s->used_pages * s->page_bytes;
}

enum liaison_code store_begin(struct store *s, const struct store_head *expected,
                              enum store_use use, struct store_batch **out)
{
    struct store_batch *b = &s->batch;
    struct lmdb_head h;
    if (s->broken)
        return LIAISON_IO;
    if (s->leader_fd < 0 || expected->epoch != s->epoch)
        return LIAISON_FENCED;
    if (b->txn != NULL)
        return LIAISON_INTERNAL;
    int rc = mdb_txn_begin(s->env, NULL, 0, &b->txn);
    if (rc != 0) {
        b->txn = NULL;
        return lmdb_failure(s, "begin", rc);
    }
    b->store = s;
    b->use = use;
    bool full =
        use == STORE_ORDINARY && (s->used_pages > s->ordinary_pages || disk_short(s));
    b->failed = full ? LIAISON_FULL : LIAISON_OK;
    rc = lmdb_get_head(s, b->txn, &h);
    if (rc == 0 && same_head(&h.head, expected)) {
        *out = b;
        return LIAISON_OK;
    }
    store_abort(b);
    return rc == 0 ? LIAISON_FENCED : lmdb_failure(s, "head", rc);
}

enum liaison_code store_get(struct store_batch *b, int table, struct slice key,
                            struct slice *value)
{
    if (b->failed != LIAISON_OK)
        return b->failed;
    MDB_val k = lmdb_val(key), v;
    int rc = mdb_get(b->txn, b->store->tables[table].dbi, &k, &v);
    if (rc == MDB_NOTFOUND)
        return LIAISON_NOT_FOUND;
    if (rc != 0)
        return b->failed = lmdb_failure(b->store, "get", rc);
    *value = slice(v.mv_data, v.mv_size);
    return LIAISON_OK;
}

/* LMDB checks the length of keys it stores, and not that of keys it deletes. */
static bool may_change(struct store_batch *b, struct slice key, bool allowed)
{
    if (b->failed == LIAISON_OK && (!allowed || key.n == 0 || key.n > LMDB_KEY_MAX)) {
        log_error("store.misused", "key_len=%zu allowed=%d", key.n, allowed);
        b->failed = LIAISON_INTERNAL;
    }
    return b->failed == LIAISON_OK;
}

static void put(struct store_batch *b, int table, struct slice key, struct slice value,
                unsigned flags)
{
    MDB_val k = lmdb_val(key), v = lmdb_val(value);
    int rc = mdb_put(b->txn, b->store->tables[table].dbi, &k, &v, flags);
    if (rc != 0)
        b->failed = lmdb_failure(b->store, flags == 0 ? "put" : "append", rc);
}

void store_put(struct store_batch *b, int table, struct slice key, struct slice value)
{
    if (may_change(b, key, !b->store->tables[table].log))
        put(b, table, key, value, 0);
}

void store_append(struct store_batch *b, int table, struct slice key, struct slice value)
{
    if (may_change(b, key, true))
        put(b, table, key, value, MDB_APPEND);
}

void store_delete(struct store_batch *b, int table, struct slice key)
{
    if (!may_change(b, key, !b->store->tables[table].log))
        return;
    MDB_val k = lmdb_val(key);
    int rc = mdb_del(b->txn, b->store->tables[table].dbi, &k, NULL);
    if (rc != 0 && rc != MDB_NOTFOUND)
        b->failed = lmdb_failure(b->store, "delete", rc);
}

enum liaison_code store_failed(const struct store_batch *b)
{
    return b->failed;
}

enum liaison_code store_batch_scan(struct store_batch *b, int table, struct slice from,
                                   struct slice to, size_t limit, store_row *row,
                                   void *arg)
{
    if (b->failed != LIAISON_OK)
        return b->failed;
    if (from.n > LMDB_KEY_MAX || to.n > LMDB_KEY_MAX)
        return LIAISON_INTERNAL;
    int rc = visit(b->txn, b->store->tables[table].dbi, false, from, to, limit, row, arg);
    return rc == 0 ? LIAISON_OK : (b->failed = lmdb_failure(b->store, "scan", rc));
}

void store_abort(struct store_batch *b)
{
    if (b == NULL)
        return;
    mdb_txn_abort(b->txn);
    b->txn = NULL;
}

/* The last puts of a batch, and the reserve's due. */
static enum liaison_code finish(struct store_batch *b, const struct store_head *next,
                                const uint8_t batch_id[16], uint64_t *used)
{
    struct store *s = b->store;
    struct lmdb_head h = {.head = *next, .committed = true};
    memcpy(h.batch_id, batch_id, sizeof h.batch_id);
    if (b->failed != LIAISON_OK)
        return b->failed;
    if (!s->leads || next->epoch != s->epoch)
        return LIAISON_FENCED;
    int rc = lmdb_put_head(s, b->txn, &h);
    if (rc == 0)
        rc = lmdb_count_pages(s, b->txn, used);
    if (rc != 0)
        return lmdb_failure(s, "head", rc);
    return b->use == STORE_ORDINARY && *used > s->ordinary_pages ? LIAISON_FULL
                                                                 : LIAISON_OK;
}

/* After a commit that found no room: did LMDB only drop the batch, or did it fail half-way through its meta page? */
static bool still_sound(struct store *s)
{
    MDB_txn *probe;
    if (mdb_txn_begin(s->env, NULL, 0, &probe) != 0)
        return false;
    mdb_txn_abort(probe);
    return true;
}

/* LMDB reports a write that the full disk cut short as EIO, like one that failed. But then no call has failed: whatever does, a
 * flush above all, leaves its reason in errno. */
static int commit(MDB_txn *txn)
{
    errno = 0;
    int rc = mdb_txn_commit(txn);
    return rc == EIO && errno == 0 ? ENOSPC : rc;
}

enum liaison_code store_commit(struct store_batch *b, const struct store_head *next,
                               const uint8_t batch_id[16])
{
    struct store *s = b->store;
    uint64_t used;
    enum liaison_code code = s->broken ? LIAISON_IO : finish(b, next, batch_id, &used);
    if (code != LIAISON_OK) {
        store_abort(b);
        return code;
    }
    int rc = commit(b->txn);
    b->txn = NULL; /* gone, whatever the outcome */
    if (rc == 0) {
        s->used_pages = used;
        return LIAISON_OK;
    }
    code = lmdb_failure(s, "commit", rc);
    if (code == LIAISON_FULL && still_sound(s))
        return LIAISON_FULL;
    s->broken = true;
    return LIAISON_IO;
}
