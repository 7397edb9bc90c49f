#pragma once
/* Small files that are read whole and replaced whole. */
#include "liaison-codes.h"
#include "proto/slice.h"

enum { DISK_PATH = 4096 };

/* Reads all of `path`, at most `max` bytes. Gives: *bytes, to be freed, with a NUL behind them.
 * Errors: LIAISON_NOT_FOUND (no such file), LIAISON_FILE (errno says why), LIAISON_TOO_LARGE, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code disk_read(const char *path, size_t max, uint8_t **bytes, size_t *len);

/* True afterwards, even if power is lost now: `path` holds `bytes`. Else it holds what it held. Mode 0600.
 * Errors: LIAISON_FILE; errno says why. */
MUST_CHECK
enum liaison_code disk_replace(const char *path, struct slice bytes);

/* Makes `path`, which must not be there. Mode 0600. Errors: LIAISON_FILE; errno says why. */
MUST_CHECK
enum liaison_code disk_create(const char *path, struct slice bytes);

/* Adds to the end of `path`, made if need be; flushed. Errors: LIAISON_FILE; errno says why. */
MUST_CHECK
enum liaison_code disk_append(const char *path, struct slice bytes);

/* Keeps other processes that ask for the same out, until disk_unlock(): a lock on the folder that `path` is in,
 * which leaves nothing behind. Returns a descriptor; -1 if the folder cannot be opened, which disk_replace() will
 * say better. */
int disk_lock(const char *path);
void disk_unlock(int lock);
