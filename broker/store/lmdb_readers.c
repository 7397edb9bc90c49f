/* The store on LMDB: other processes that read it. Each holds a slot in the lock file while it reads, and with it the pages of
 * its snapshot. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/store/lmdb.h"

struct listing {
    struct store_readers *out;
    uint64_t oldest;
    int self;
};

/* One line of LMDB's list: process, thread, transaction; "-" for one that reads nothing at this moment. */
static int listed(const char *line, void *arg)
{
    struct listing *l = arg;
    int pid;
    size_t thread, txn;

    if (sscanf(line, "%d %zx %zu", &pid, &thread, &txn) == 3 && pid != l->self &&
        (l->out->pid == 0 || txn < l->oldest)) {
        l->oldest = txn;
        l->out->pid = pid;
    }
    return 0;
}

enum liaison_code store_tend(struct store *s, struct store_readers *out)
{
    struct listing l = {.out = out, .self = (int)getpid()};
    MDB_envinfo info;
    int dead = 0;
    *out = (struct store_readers){0};
    if (s->broken)
        return LIAISON_IO;
    int rc = mdb_reader_check(s->env, &dead);
    if (rc != 0)
        return lmdb_failure(s, "reader check", rc);
    rc = mdb_env_info(s->env, &info);
    if (rc == 0 && mdb_reader_list(s->env, listed, &l) < 0)
        rc = EIO;
    if (rc != 0)
        return lmdb_failure(s, "reader list", rc);
    out->cleared = (unsigned)dead;
    out->behind = out->pid != 0 && info.me_last_txnid > l.oldest
                      ? info.me_last_txnid - l.oldest
                      : 0;
    out->file_bytes = (uint64_t)(info.me_last_pgno + 1) * s->page_bytes;
    return LIAISON_OK;
}
