#pragma once
/* What lmdb.c and lmdb_open.c share; nobody else includes it.
 *
 * Flags are MDB_NOTLS and no other: every commit is two flushes, and what a flag would save is what it would lose.
 * The data file is opened by LMDB alone: closing a second descriptor of it would drop LMDB's locks. */
#include <lmdb.h>

#include "broker/store/store.h"

#define LMDB_SCHEME "lmdb:"

enum {
    LMDB_KEY_MAX = 511,
    LMDB_FREE_DBI = 0, /* its own table of free pages */
};

struct store_batch {
    struct store *store;
    MDB_txn *txn; /* NULL: no batch is open */
    enum store_use use;
    enum liaison_code failed;
};

struct table {
    MDB_dbi dbi;
    bool log;
};

struct store {
    MDB_env *env;
    MDB_txn *reader; /* reset between scans, so that a scan allocates nothing */
    bool scanning;
    int dir_fd, leader_fd;
    uint64_t epoch; /* of the head, once the lock is ours */
    bool leads;     /* and it is ours */
    bool
        broken; /* a commit or a page failed: refuses all until a restart has checked it */
    uint64_t used_pages, page_bytes;
    uint64_t ordinary_pages; /* what an ordinary batch may leave in use */
    uint64_t reserve_bytes;
    MDB_dbi meta;
    struct store_batch batch;
    size_t n_tables;
    struct table tables[];
};

/* The row in which every batch leaves how far it got. */
struct lmdb_head {
    struct store_head head;
    uint8_t batch_id[16];
    bool committed; /* some batch was */
    uint64_t txn;   /* LMDB's number of the transaction that wrote the row, which is every one that commits */
};

/* Fills in the sentence and returns the code. */
__attribute__((format(printf, 4, 5))) enum liaison_code lmdb_explain(enum liaison_code code, char *why, size_t why_len,
                                                                     const char *fmt, ...);

/* What LMDB's code means to callers. LIAISON_IO for those without a line in the table. */
enum liaison_code lmdb_meaning(int rc);

/* The same, logged; pages that cannot be written or understood end this process's use of the store. */
enum liaison_code lmdb_failure(struct store *s, const char *call, int rc);

/* Reads the head. Returns LMDB's code; MDB_NOTFOUND, and a cleared head, in a store that nobody has led yet. */
int lmdb_get_head(struct store *s, MDB_txn *txn, struct lmdb_head *out);
int lmdb_put_head(struct store *s, MDB_txn *txn, const struct lmdb_head *h);

/* Pages in use after what `txn` has done so far, from the tables' own counts: exact but for pages that only this
 * transaction or a reader keeps from being used again, which is one of the things the reserve is for. */
int lmdb_count_pages(struct store *s, MDB_txn *txn, uint64_t *out);

/* LMDB does not write through the values it is given. */
static inline MDB_val lmdb_val(struct slice s)
{
    return (MDB_val){s.n, (void *)(uintptr_t)s.p};
}
