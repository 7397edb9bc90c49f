/* The store on LMDB: opening, and becoming the only writer. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/lmdb.h"

enum { FORMAT = 2 };

static const char META_NAME[] = "lmdb.meta";
static const char DATA_FILE[] = "data.mdb";
static const char LEADER_FILE[] = "leader.lock";

enum liaison_code lmdb_explain(enum liaison_code code, char *why, size_t why_len,
                               const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, why_len, fmt, args);
    va_end(args);
    return code;
}

/* ---------------------------------------------------------------- the directory */

static enum liaison_code sync_parent(const char *dir, char *why, size_t why_len)
{
    char parent[4096];
    if ((size_t)snprintf(parent, sizeof parent, "%s/..", dir) >= sizeof parent)
        return lmdb_explain(LIAISON_CONFIG, why, why_len,
                            "store %s: the name is too long", dir);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return rc == 0 ? LIAISON_OK
                   : lmdb_explain(lmdb_meaning(rc), why, why_len,
                                  "store %s: cannot sync the directory above: %s", dir,
                                  strerror(rc));
}

static enum liaison_code open_directory(struct store *s, const char *dir, char *why,
                                        size_t why_len)
{
    if (mkdir(dir, 0700) == 0) {
        enum liaison_code code = sync_parent(dir, why, why_len);
        if (code != LIAISON_OK)
            return code;
    } else if (errno != EEXIST) {
        return lmdb_explain(lmdb_meaning(errno), why, why_len,
                            "store %s: cannot make the directory: %s", dir,
                            strerror(errno));
    }
    s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (s->dir_fd < 0 || fstat(s->dir_fd, &st) != 0)
        return lmdb_explain(lmdb_meaning(errno), why, why_len, "store %s: %s", dir,
                            strerror(errno));
    if ((st.st_mode & 077) != 0)
        return lmdb_explain(LIAISON_PERMISSION, why, why_len,
                            "store %s: others may enter it (mode %03o, wanted 700)", dir,
                            (unsigned)st.st_mode & 0777);
    return LIAISON_OK;
}

/* An empty or missing data file is a new store to LMDB. If it was led before, it is one that has lost everything. */
static enum liaison_code check_files(struct store *s, const char *dir, char *why,
                                     size_t why_len)
{
    struct stat st;
    bool data = fstatat(s->dir_fd, DATA_FILE, &st, 0) == 0;
    if (data && (st.st_mode & 077) != 0)
        return lmdb_explain(LIAISON_PERMISSION, why, why_len,
                            "store %s/%s: others may read it (mode %03o, wanted 600)",
                            dir, DATA_FILE, (unsigned)st.st_mode & 0777);
    bool empty = !data || st.st_size == 0;
    if (empty && faccessat(s->dir_fd, LEADER_FILE, F_OK, 0) == 0)
        return lmdb_explain(LIAISON_DAMAGED, why, why_len,
                            "store %s: it has been in use, and %s is %s", dir, DATA_FILE,
                            data ? "empty" : "gone");
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- open */

static enum liaison_code open_environment(struct store *s, const char *dir,
                                          const struct store_settings *settings,
                                          char *why, size_t why_len)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    int dead = 0;
    MDB_stat st;
    int rc = mdb_env_create(&s->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(s->env, (size_t)(settings->map_bytes / page * page));
    if (rc == 0)
        rc = mdb_env_set_maxdbs(s->env, (MDB_dbi)s->n_tables + 1);
    if (rc == 0)
        rc = mdb_env_open(s->env, dir, MDB_NOTLS, 0600);
    if (rc == 0)
        rc = mdb_reader_check(s->env, &dead); /* the killed would hold pages for ever */
    if (rc == 0)
        rc = mdb_env_stat(s->env, &st);
    if (rc != 0)
        return lmdb_explain(lmdb_meaning(rc), why, why_len, "store %s: %s", dir,
                            mdb_strerror(rc));
    s->reserve_bytes = settings->reserve_bytes;
    s->page_bytes = st.ms_psize;
    s->ordinary_pages = (settings->map_bytes - settings->reserve_bytes) / st.ms_psize;
    return LIAISON_OK;
}

static int put_format(struct store *s, MDB_txn *txn)
{
    uint8_t format[4];
    be32_put(format, FORMAT);
    MDB_val key = lmdb_val(slice_text("format")),
            value = lmdb_val(slice(format, sizeof format));
    int rc = mdb_put(txn, s->meta, &key, &value, MDB_NOOVERWRITE);
    return rc == MDB_KEYEXIST ? 0 : rc;
}

/* The head tells which transaction was the last; this is one. */
static int put_head_again(struct store *s, MDB_txn *txn)
{
    struct lmdb_head h;
    int rc = lmdb_get_head(s, txn, &h);
    return rc == MDB_NOTFOUND ? 0 : rc == 0 ? lmdb_put_head(s, txn, &h) : rc;
}

/* Opens every table in one transaction. Returns LMDB's code; MDB_NOTFOUND if one is not there and shall not be made. */
static int open_tables(struct store *s, const struct store_table *tables, bool make)
{
    unsigned txn_flags = make ? 0 : MDB_RDONLY, dbi_flags = make ? MDB_CREATE : 0;
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, txn_flags, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, META_NAME, dbi_flags, &s->meta);
    for (size_t i = 0; rc == 0 && i < s->n_tables; i++) {
        rc = mdb_dbi_open(txn, tables[i].name, dbi_flags, &s->tables[i].dbi);
        s->tables[i].log = tables[i].log;
    }
    if (rc == 0 && make)
        rc = put_format(s, txn);
    if (rc == 0 && make)
        rc = put_head_again(s, txn);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* Reads format and head with the transaction that later scans use again. */
static enum liaison_code read_meta(struct store *s, const char *dir, bool *fresh,
                                   char *why, size_t why_len)
{
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reader);
    if (rc != 0)
        return lmdb_explain(lmdb_meaning(rc), why, why_len, "store %s: %s", dir,
                            mdb_strerror(rc));
    MDB_val key = lmdb_val(slice_text("format")), value;
    uint32_t format = 0;
    rc = mdb_get(s->reader, s->meta, &key, &value);
    if (rc == 0 && value.mv_size == 4)
        format = be32_get(value.mv_data);
    struct lmdb_head h = {0};
    if (rc == 0)
        rc = lmdb_get_head(s, s->reader, &h);
    mdb_txn_reset(s->reader);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_explain(LIAISON_DAMAGED, why, why_len,
                            "store %s: cannot read its head: %s", dir, mdb_strerror(rc));
    if (format != FORMAT)
        return lmdb_explain(LIAISON_DAMAGED, why, why_len,
                            "store %s: format %" PRIu32 ", this program reads format %d",
                            dir, format, FORMAT);
    *fresh = !h.committed;
    return LIAISON_OK;
}

static enum liaison_code check_settings(const struct store_settings *settings,
                                        const char *dir, char *why, size_t why_len)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (settings->map_bytes / page < 32 || settings->map_bytes > SIZE_MAX ||
        settings->map_bytes > INT64_MAX)
        return lmdb_explain(LIAISON_CONFIG, why, why_len,
                            "store %s: a map of %" PRIu64 " bytes is out of range", dir,
                            settings->map_bytes);
    if (settings->reserve_bytes >= settings->map_bytes)
        return lmdb_explain(LIAISON_CONFIG, why, why_len,
                            "store %s: a reserve of %" PRIu64
                            " bytes leaves nothing of the map",
                            dir, settings->reserve_bytes);
    return LIAISON_OK;
}

static enum liaison_code open_all(struct store *s, const char *dir,
                                  const struct store_table *tables,
                                  const struct store_settings *settings, bool *fresh,
                                  char *why, size_t why_len)
{
    enum liaison_code code = open_directory(s, dir, why, why_len);
    if (code == LIAISON_OK)
        code = check_files(s, dir, why, why_len);
    if (code == LIAISON_OK)
        code = open_environment(s, dir, settings, why, why_len);
    if (code != LIAISON_OK)
        return code;
    /* Another process may lead: write only if something is missing. */
    int rc = open_tables(s, tables, false);
    if (rc == MDB_NOTFOUND)
        rc = open_tables(s, tables, true);
    /* LMDB does not sync the directory of the files that it makes. */
    if (rc == 0 && fsync(s->dir_fd) != 0)
        rc = errno;
    if (rc != 0)
        return lmdb_explain(lmdb_meaning(rc), why, why_len,
                            "store %s: cannot open its tables: %s", dir,
                            mdb_strerror(rc));
    return read_meta(s, dir, fresh, why, why_len);
}

enum liaison_code store_open(const char *url, const struct store_table *tables,
                             size_t n_tables, const struct store_settings *settings,
                             struct store **out, bool *fresh, char *why, size_t why_len)
{
    if (strncmp(url, LMDB_SCHEME, sizeof LMDB_SCHEME - 1) != 0 ||
        url[sizeof LMDB_SCHEME - 1] == '\0')
        return lmdb_explain(LIAISON_CONFIG, why, why_len,
                            "store %s: \"lmdb:DIRECTORY\" wanted", url);
    const char *dir = url + sizeof LMDB_SCHEME - 1;
    enum liaison_code code = check_settings(settings, dir, why, why_len);
    if (code != LIAISON_OK)
        return code;
    struct store *s = calloc(1, sizeof *s + n_tables * sizeof s->tables[0]);
    if (s == NULL)
        return lmdb_explain(LIAISON_MEMORY, why, why_len, "store %s: out of memory", dir);
    s->n_tables = n_tables;
    s->dir_fd = s->leader_fd = -1;
    bool is_fresh = false;
    code = open_all(s, dir, tables, settings, &is_fresh, why, why_len);
    if (code != LIAISON_OK) {
        store_close(s);
        return code;
    }
    *fresh = is_fresh;
    *out = s;
    return LIAISON_OK;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    if (s->batch.txn != NULL)
        store_abort(&s->batch);
    if (s->reader != NULL)
        mdb_txn_abort(s->reader);
    if (s->env != NULL)
        mdb_env_close(s->env);
    if (s->leader_fd >= 0)
        close(s->leader_fd);
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    free(s);
}

/* ---------------------------------------------------------------- lead */

/* A record lock, not flock(): a child such as the notary would inherit the latter and keep it after our death. It is ours
 * alone until close, as nothing else in the process opens the file. */
static enum liaison_code take_lock(struct store *s)
{
    if (s->leader_fd >= 0)
        return LIAISON_FENCED; /* leads already */
    int fd =
        openat(s->dir_fd, LEADER_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return lmdb_failure(s, "open leader.lock", errno);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &whole) != 0) {
        bool taken = errno == EAGAIN || errno == EACCES;
        enum liaison_code code =
            taken ? LIAISON_FENCED : lmdb_failure(s, "lock leader.lock", errno);
        close(fd);
        return code;
    }
    s->leader_fd = fd;
    return fsync(s->dir_fd) == 0 ? LIAISON_OK : lmdb_failure(s, "fsync", errno);
}

/* What one snapshot says of itself. */
struct snapshot {
    struct lmdb_head head;
    uint64_t txn;        /* of the meta page */
    uint64_t freed;      /* the last transaction that gave pages up */
    uint64_t used, free; /* pages, together at most `pages` */
    uint64_t pages;
};

/* LMDB's list of free pages: transaction -> how many, and which. */
static int read_free(MDB_txn *txn, struct snapshot *p)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, LMDB_FREE_DBI, &cursor);
    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t freed, n;
        if (key.mv_size != sizeof freed || value.mv_size < sizeof n) {
            rc = MDB_CORRUPTED;
            break;
        }
        memcpy(&freed, key.mv_data, sizeof freed);
        memcpy(&n, value.mv_data, sizeof n);
        p->freed = freed;
        p->free += n;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int read_snapshot(struct store *s, struct snapshot *p)
{
    MDB_envinfo info;
    *p = (struct snapshot){0};
    int rc = mdb_txn_renew(s->reader);
    if (rc != 0)
        return rc;
    p->txn = mdb_txn_id(s->reader);
    rc = lmdb_get_head(s, s->reader, &p->head);
    if (rc == MDB_NOTFOUND) /* nothing was written yet */
        p->head.txn = p->txn;
    if (rc == 0 || rc == MDB_NOTFOUND)
        rc = read_free(s->reader, p);
    if (rc == 0)
        rc = lmdb_count_pages(s, s->reader, &p->used);
    if (rc == 0)
        rc = mdb_env_info(s->env, &info);
    if (rc == 0)
        p->pages = info.me_last_pgno + 1;
    mdb_txn_reset(s->reader);
    return rc;
}

/* LMDB takes the meta page with the higher number and has no checksum over it: where a bit of either has changed, or a write
 * was torn, it opens an older snapshot, or one mixed of two, and says nothing. But every commit leaves its number in the head,
 * and every commit but the first gives pages up under it. A copy without free pages begins again at 1. */
static bool is_newest(const struct snapshot *p, char *why, size_t why_len)
{
    enum { FIRST = 1 };

    if (p->txn <= FIRST)
        return true;
    if (p->head.txn != p->txn || (p->freed != 0 && p->freed != p->txn))
        lmdb_explain(LIAISON_OK, why, why_len,
                     "the newest page of the store is of transaction %" PRIu64
                     ", what it leads to is of %" PRIu64 ": it is damaged",
                     p->txn, p->head.txn != p->txn ? p->head.txn : p->freed);
    else if (p->used + p->free > p->pages)
        lmdb_explain(LIAISON_OK, why, why_len,
                     "the newest page of the store counts %" PRIu64 " pages, and %" PRIu64
                     " are in use or free: it is damaged",
                     p->pages, p->used + p->free);
    else
        return true;
    return false;
}

enum liaison_code store_lock(struct store *s, bool *sound, char *why, size_t why_len)
{
    struct snapshot p;
    if (s->broken)
        return LIAISON_IO;
    enum liaison_code code = take_lock(s);
    if (code != LIAISON_OK)
        return code;
    int rc = read_snapshot(s, &p);
    if (rc != 0)
        return lmdb_failure(s, "look", rc);
    *sound = is_newest(&p, why, why_len);
    s->epoch = p.head.head.epoch;
    s->used_pages = p.used;
    return LIAISON_OK;
}

/* The transaction that raises the epoch. */
static int raise_epoch(struct store *s, uint64_t *epoch)
{
    struct lmdb_head h;
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = lmdb_get_head(s, txn, &h);
    h.head.epoch++;
    if (rc == 0 || rc == MDB_NOTFOUND)
        rc = lmdb_put_head(s, txn, &h);
    if (rc == 0)
        rc = lmdb_count_pages(s, txn, &s->used_pages);
    *epoch = h.head.epoch;
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

enum liaison_code store_lead(struct store *s, uint64_t *epoch)
{
    uint64_t next;
    if (s->broken)
        return LIAISON_IO;
    if (s->leads)
        return LIAISON_FENCED;
    enum liaison_code code = s->leader_fd >= 0 ? LIAISON_OK : take_lock(s);
    if (code != LIAISON_OK)
        return code;
    int rc = raise_epoch(s, &next);
    if (rc != 0)
        return lmdb_failure(s, "lead", rc);
    s->leads = true;
    *epoch = s->epoch = next;
    return LIAISON_OK;
}
