#pragma once
/* The log as a tree: hashes stored beside the entries in their own transaction, and read again for proofs. One thread's. */
#include "broker/ledger/ledger.h"
#include "broker/store/store.h"
#include "proto/merkle.h"
#include "proto/note.h"

struct log; /* the tree of one store's newest log */

/* One batch's leaves, until they are committed. */
struct log_batch {
    struct merkle_edge edge;
    size_t n_fresh; /* stored hashes of this batch, in log's buffer */
};

/* Reads where the tree stands, and checks it: the numbers of entries and hashes agree with the head's size, the right edge leads
 * to the head's root, the last 4,096 entries hash to their leaves, their numbers have no gap and their times do not fall.
 *
 * In a fresh store there is no log yet: log_begin() is due. *sound false says what `why` says: the log is not what the head
 * says, and must not be written; log_size() is then what can be read of it, 0 if its tree cannot. Gives: *out.
 * Errors: LIAISON_IO, LIAISON_DAMAGED (rows that make no sense: a store of another version, or damaged), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code log_open(struct store *store, struct hash *h, const struct store_head *head, struct log **out,
                           bool *sound, char *why, size_t why_len);
void log_free(struct log *l); /* NULL is harmless */

/* Number of the newest log, from 1, 0 in a fresh store; number in the store of its first entry; its origin. */
uint32_t log_number(const struct log *l);
uint64_t log_base(const struct log *l);
const char *log_origin(const struct log *l);

/* The public key to which an entry says that this log's key was rotated last; all zero: none does. */
const uint8_t *log_rotated_to(const struct log *l);

/* Leaves committed, and the root over the first `size` of them (size at most that).
 * Errors: LIAISON_FIELD (size past the end), LIAISON_IO, LIAISON_DAMAGED. */
uint64_t log_size(const struct log *l);
MUST_CHECK
enum liaison_code log_root(struct log *l, uint64_t size, uint8_t root[HASH_BYTES]);

/* Puts the row of the next log, whose first entry will be number `base`. The log is what the functions above say after
 * log_committed(); nothing may be added to the batch's tree before. */
void log_begin(struct log *l, struct store_batch *tx, struct log_batch *b, uint64_t base, const char *origin);

/* Puts into the newest log's row that an entry of this batch says that its key is now this one. */
void log_rotate(struct log *l, struct store_batch *tx, const uint8_t public_key[32]);

/* Starts a batch at the committed edge. */
void log_batch_begin(struct log *l, struct log_batch *b);

/* Adds an entry's leaf. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code log_add(struct log *l, struct log_batch *b, struct slice entry);

/* Looks at every entry of the batch again, as the transaction holds it, and puts the batch's hashes. `first` is the number of the
 * batch's first entry. *root is the tree's.
 * Errors: LIAISON_DAMAGED (an entry is not what was hashed: nothing may be committed), what the store says. */
MUST_CHECK
enum liaison_code log_flush(struct log *l, struct log_batch *b, struct store_batch *tx, uint64_t first,
                            uint8_t root[HASH_BYTES]);

/* After the commit, or after its failure. */
void log_committed(struct log *l, const struct log_batch *b);
void log_undone(struct log *l);

/* A stored hash, as merkle_prove() reads it; arg is the log. Errors: LIAISON_DAMAGED (there is none), LIAISON_IO. */
merkle_read log_read;

/* Re-hashes up to `n` committed entries from where it stopped, and the subtrees that they complete, over and over again. *bad is
 * the leaf that is not what was hashed, or that completes a subtree whose hash is not its halves' (LIAISON_DAMAGED).
 * Errors: LIAISON_IO. */
MUST_CHECK
enum liaison_code log_scrub(struct log *l, size_t n, uint64_t *bad);
