#pragma once
/* Small files that only their owner may read, put in place whole or not at all. Private to broker/notary. */
#include <stddef.h>
#include <sys/types.h>

#include "liaison-codes.h"
#include "proto/slice.h"

/* Opens one for reading, or for both. *fd is -1 if there is none, which is no error.
 * Errors: LIAISON_FILE, LIAISON_PERMISSION (others may read it); `why` is a sentence. */
MUST_CHECK
enum liaison_code file_open(const char *path, bool writable, int *fd, char *why, size_t why_len);

/* Reads all of one, at most `room` bytes; a NUL is put behind them, so that `text` has room for one more.
 * *found is false if there is none. Errors: as file_open; LIAISON_CONFIG (longer than that). */
MUST_CHECK
enum liaison_code file_read(const char *path, char *text, size_t room, size_t *n, bool *found, char *why,
                            size_t why_len);

/* What to do with the bytes of the file that another one takes the place of. */
enum file_old { FILE_LET_GO, FILE_WIPE };

/* After LIAISON_OK `path` holds these bytes, 0600, also after power loss; otherwise it holds what it held, or these.
 * Errors: LIAISON_FILE. */
MUST_CHECK
enum liaison_code file_put(const char *path, struct slice bytes, enum file_old old, char *why, size_t why_len);

/* Keeps the file under the name PATH.old too, in place of what had that name. None there: nothing is done. */
MUST_CHECK
enum liaison_code file_keep(const char *path, char *why, size_t why_len);

/* The same, and takes its own name away. */
MUST_CHECK
enum liaison_code file_put_aside(const char *path, char *why, size_t why_len);

/* ------------------------------------------------------------ whose files they are */

struct file_user {
    bool other; /* than who we are */
    uid_t uid;
    gid_t gid;
};

/* Whom files are made and read as: `name` if we are root, else, and for NULL, ourselves. Errors: LIAISON_CONFIG. */
MUST_CHECK
enum liaison_code file_user_find(const char *name, struct file_user *out, char *why, size_t why_len);

/* From now on, and until file_user_leave(), this thread's files are that user's. The process stays who it is. */
void file_user_enter(const struct file_user *u);
void file_user_leave(const struct file_user *u);

/* Becomes that user for good. Errors: LIAISON_CONFIG. */
MUST_CHECK
enum liaison_code file_user_become(const struct file_user *u, char *why, size_t why_len);
