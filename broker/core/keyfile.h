#pragma once
/* The key file: outside the store, the one key under which all others are wrapped, and for a moment the one that follows it.
 *
 * Two slots of one file, 4096 bytes apart so that no write of one touches a sector of the other, each a line
 * `liaison-key-file 2 EPOCH KEY` or zeros. Both are written in place, through a descriptor that is open from start to end: a
 * running broker can make no file. Which slot counts is not the file's to say but the store's, whose epoch changes with the
 * transaction that wraps all anew. A file of one line `liaison-key-file 1 KEY` is epoch 0.
 * Source: PROTOCOL.md, "The key file". */
#include "liaison-codes.h"
#include "proto/hash.h"

enum { KEY_FILE_KEY = 32 };

struct key_file;

/* Reads the key of `epoch`; overwrites any other that a rotation which was cut short has left. With `make`, makes the file if
 * it is not there (0600, synced with its folder), at epoch 0.
 *
 * Gives: *out. On error `why` is a sentence.
 * Errors: LIAISON_FILE, LIAISON_PERMISSION (others may read it), LIAISON_CONFIG (not a key file, or of another epoch),
 *         LIAISON_IO, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code key_file_open(const char *path, bool make, uint64_t epoch, struct hash *h, struct key_file **out,
                                char *why, size_t why_len);
void key_file_close(struct key_file *f); /* wipes memory, not the file; NULL is harmless */

uint64_t key_file_epoch(const struct key_file *f);
const uint8_t *key_file_key(const struct key_file *f);  /* that of the epoch */
const uint8_t *key_file_next(const struct key_file *f); /* that of the next; NULL: none was drawn */

/* Draws the next epoch's key; it is in the free slot, flushed, after LIAISON_OK. Errors: LIAISON_FULL, LIAISON_IO: none is
 * drawn. */
MUST_CHECK
enum liaison_code key_file_draw(struct key_file *f, struct hash *h);

/* The store is committed under the next epoch: the old key is overwritten, flushed. LIAISON_IO: it may still be there; end the
 * process, as the next start overwrites it. */
MUST_CHECK
enum liaison_code key_file_turn(struct key_file *f);

/* The store was not: the next key is overwritten. Errors as key_file_turn. */
MUST_CHECK
enum liaison_code key_file_drop(struct key_file *f);
