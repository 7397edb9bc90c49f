#pragma once
/* Ordered keys and values in named tables, changed in batches that commit as a whole. Knows nothing of what it keeps.
 *
 * One writer: one batch at a time, by one thread. LMDB is the backend; nothing of it shows here.
 * Tables are numbers 0..n-1 in the order given to store_open(). Keys sort as bytes, 1..511 bytes long. */
#include "liaison-codes.h"
#include "proto/slice.h"

struct store;
struct store_batch;

/* What a batch leaves in the head: how far the log reaches, and bytes the store does not interpret. */
struct store_head {
    uint64_t size;  /* entries in the log */
    uint64_t epoch; /* of the leader that wrote it */
    uint8_t root[32];
};

struct store_table {
    const char *name;
    bool log; /* keys only grow; nothing is deleted or changed */
};

struct store_settings {
    uint64_t map_bytes;     /* the most that may ever be stored */
    uint64_t reserve_bytes; /* of that, and of the disk, kept for batches begun with STORE_RESERVE */
};

/* An ordinary batch never leaves more than map - reserve in use. Counted are the pages that tables hold; those that a batch
 * has just given up are free two commits later, so that a map can fill a little before the count says so.
 * Where it is full already, or the disk has less than the reserve left, a batch has failed from its beginning:
 * store_failed() says LIAISON_FULL. */

enum store_use { STORE_ORDINARY, STORE_RESERVE };

/* Opens the store in `url` ("lmdb:DIR"), making the directory (0700) and files (0600) if they are not there.
 *
 * After LIAISON_OK what was last committed is readable; *fresh says that there was nothing.
 * Gives: *out. On error `why` is a sentence with path and reason.
 * Errors: LIAISON_FILE, LIAISON_PERMISSION, LIAISON_FULL, LIAISON_DAMAGED, LIAISON_IO, LIAISON_CONFIG (not "lmdb:"),
 *         LIAISON_MEMORY. Source: lmdb.h, mdb_env_open(), MDB_NOTLS only. */
MUST_CHECK
enum liaison_code store_open(const char *url, const struct store_table *tables, size_t n_tables,
                             const struct store_settings *settings, struct store **out, bool *fresh, char *why,
                             size_t why_len);

/* Closes it; an open batch must have ended. NULL is harmless. */
void store_close(struct store *s);

/* Takes the right to write from all other processes, until close or death, and looks whether what is open is what was committed
 * last. Writes nothing: batches can begin, and none can commit before store_lead().
 *
 * *sound false: an older state is open, because the page that leads to the newest is damaged; `why` is a sentence. A commit
 * would overwrite what is still there of the newest.
 * Errors: LIAISON_FENCED (another process has the right, or this one has it already), LIAISON_IO, LIAISON_DAMAGED. */
MUST_CHECK
enum liaison_code store_lock(struct store *s, bool *sound, char *why, size_t why_len);

/* Becomes the writer, by raising the epoch; takes the right to write if store_lock() has not.
 * Errors: LIAISON_FENCED (another process has it, or this one leads already), LIAISON_IO, LIAISON_FULL. */
MUST_CHECK
enum liaison_code store_lead(struct store *s, uint64_t *epoch);

/* The committed head; all zero in a fresh store. Errors: LIAISON_IO. */
MUST_CHECK
enum liaison_code store_head(struct store *s, struct store_head *out);

/* What the tables hold, in whole pages, as of the last commit. The writer's thread. */
uint64_t store_used_bytes(const struct store *s);

/* Other processes that read the store, such as a backup. None of them keeps the writer waiting. But no page of the state that one
 * reads is used again until it is done, so that the file grows with every commit. */
struct store_readers {
    unsigned cleared;    /* that had died while they read: what they held is free again */
    int pid;             /* of the one that reads the oldest state; 0: nobody reads */
    uint64_t behind;     /* commits since that state */
    uint64_t file_bytes; /* of the data file, as far as it is laid out */
};

/* Clears the dead and counts the living; to be called every few seconds. The writer's thread. Errors: LIAISON_IO. */
MUST_CHECK
enum liaison_code store_tend(struct store *s, struct store_readers *out);

/* Begins the one batch. Errors: LIAISON_FENCED (not leading, or the head is not `expected`), LIAISON_IO. */
MUST_CHECK
enum liaison_code store_begin(struct store *s, const struct store_head *expected, enum store_use use,
                              struct store_batch **out);

/* Reads what the batch would leave under a key: LIAISON_OK and *value, or LIAISON_NOT_FOUND; what store_failed() says once
 * the batch has failed.
 * Borrows: *value lives until the next put or delete in this batch, or its end. */
MUST_CHECK
enum liaison_code store_get(struct store_batch *b, int table, struct slice key, struct slice *value);

/* Put, append and delete: the batch remembers the first that fails, later ones do nothing, and the commit tells.
 * store_put replaces. store_append wants a key above every other of its table (all that a log table takes).
 * store_delete of a key that is not there is no failure. Borrows: all slices, until the call returns. */
void store_put(struct store_batch *b, int table, struct slice key, struct slice value);
void store_append(struct store_batch *b, int table, struct slice key, struct slice value);
void store_delete(struct store_batch *b, int table, struct slice key);

/* What the batch has remembered: LIAISON_OK, or the code its commit would end with. */
enum liaison_code store_failed(const struct store_batch *b);

/* Drops the batch. NULL is harmless. */
void store_abort(struct store_batch *b);

/* Commits all that was put into `b`, or nothing.
 *
 * After LIAISON_OK it survives power loss. Only then may anything in it be answered or disclosed.
 * Takes:   b, whatever the outcome. Borrows: next, the head after this batch.
 * Errors:  LIAISON_FULL (map, reserve or disk), LIAISON_IO (stop, restart through the start-up checks),
 *          LIAISON_UNKNOWN (look for `batch_id` first; never from LMDB).
 * Source:  PROTOCOL.md, "Acknowledgement"; lmdb.h, mdb_txn_commit(). */
MUST_CHECK
enum liaison_code store_commit(struct store_batch *b, const struct store_head *next, const uint8_t batch_id[16]);

/* Copies what was last committed in `url` into a store of its own in the folder `dir`, which is made (0700), while another
 * process may be writing. Free pages stay behind. File, folder and the folder above are flushed after LIAISON_OK; after any
 * error nothing is left. One snapshot is held, and only while it is copied.
 *
 * On error `why` is a sentence. Errors: LIAISON_FILE (no store there; `dir` is there already), LIAISON_PERMISSION,
 * LIAISON_FULL, LIAISON_DAMAGED, LIAISON_IO, LIAISON_CONFIG. Source: lmdb.h, mdb_env_copyfd2(), MDB_CP_COMPACT. */
MUST_CHECK
enum liaison_code store_backup(const char *url, const char *dir, uint64_t *bytes, char *why, size_t why_len);

/* What scans call for every row: return 0 to go on, anything else to stop. Slices live until it returns. */
typedef int store_row(void *arg, struct slice key, struct slice value);

/* Visits committed rows with from <= key < to, rising, at most `limit`. An empty `to` means the end of the table.
 * A snapshot of its own; not for use inside the row function. Errors: LIAISON_IO, LIAISON_DAMAGED. */
MUST_CHECK
enum liaison_code store_scan(struct store *s, int table, struct slice from, struct slice to, size_t limit, store_row *row,
                             void *arg);

/* The same, falling from the greatest key < to. An empty `to` means the end of the table. */
MUST_CHECK
enum liaison_code store_scan_back(struct store *s, int table, struct slice from, struct slice to, size_t limit,
                                  store_row *row, void *arg);

/* The same as store_scan inside a batch: sees the batch's own puts. The row function must not change the batch. */
MUST_CHECK
enum liaison_code store_batch_scan(struct store_batch *b, int table, struct slice from, struct slice to, size_t limit,
                                   store_row *row, void *arg);
