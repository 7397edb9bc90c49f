#pragma once
/* The high-water file: what was signed last, or was about to be. Private to broker/notary.
 *
 * Two slots of 96 bytes, a page apart, written in turn: magic (16), counter and size (8 each, big-endian), root (32),
 * and the SHA-256 over these and the log's name. The slot with the greater counter counts; one that was torn is as if
 * never written. */
#include "liaison-codes.h"
#include "proto/hash.h"

enum { WATER_SLOT_BYTES = 96, WATER_SECOND_AT = 4096, WATER_FILE_BYTES = WATER_SECOND_AT + WATER_SLOT_BYTES };

struct water {
    uint64_t counter; /* of writes; 0: nothing was ever signed */
    uint64_t size;
    uint8_t root[HASH_BYTES];
};

/* What a log has signed that begins. */
struct water water_none(struct hash *h);

/* The newest whole slot of a file's bytes; false if there is none. *torn: a slot has been written and is not whole. */
bool water_parse(struct hash *h, const char *log, struct slice file, struct water *out, bool *torn);

/* Makes the file with `w` in it, in place of what was there. Errors: LIAISON_FILE. */
MUST_CHECK
enum liaison_code water_make(struct hash *h, const char *path, const char *log, const struct water *w, char *why,
                             size_t why_len);

/* Opens the file and makes sure that what it says is on the disk, and that nobody else has it open so: another notary
 * that is about to end is waited for. *fd is -1 if there is none; *found is false if there is none or no slot of it is
 * whole.
 * Errors: those of file_open(); LIAISON_BUSY (another notary has it). */
MUST_CHECK
enum liaison_code water_open(struct hash *h, const char *path, const char *log, int *fd, struct water *out, bool *found,
                             char *why, size_t why_len);

/* Reads the file as it is, whoever has it open. *found as above. Errors: those of file_read(). */
MUST_CHECK
enum liaison_code water_look(struct hash *h, const char *path, const char *log, struct water *out, bool *found,
                             char *why,
                             size_t why_len);

/* Writes `next` into the slot that does not hold the last one, and flushes it. Errors: LIAISON_IO; which of the two the
 * file then holds is known only once it has been opened again. */
MUST_CHECK
enum liaison_code water_write(struct hash *h, int fd, const char *log, const struct water *next);
