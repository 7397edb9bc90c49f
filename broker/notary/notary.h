#pragma once
/* The process that holds the log's key and only signs: the log's first witness.
 *
 * It is started before privilege is dropped, keeps its key file and its high-water file to itself, and talks over an inherited
 * socketpair. It never signs two roots of one size, nor a tree that it cannot prove to extend the last one it signed,
 * whatever the broker says; what it is about to sign is in its high-water file, flushed, before it signs.
 * Source: PROTOCOL.md, "Checkpoints"; design of the order: commit, high-water, signature, next commit. */
#include <sys/types.h>

#include "liaison-codes.h"
#include "proto/merkle.h"
#include "proto/note.h"

/* Two files of the notary's own user, each 0600: the key (a line `PRIVATE+KEY+...`, two while keys rotate) and the high-water
 * (two slots of size, root, counter and SHA-256, written in turn). */
struct notary_settings {
    const char *key_file, *state_file;
    const char *origin; /* of a log that begins: the name a new key is given */
    const char *user;   /* whom the process becomes when started as root; NULL: stay who we are */
};

/* Starts the process and waits until it has read its files. If neither file is there it makes both: a new key named `origin`, and
 * size 0. With a key but no state it starts and refuses to sign until notary_adopt() has been used.
 *
 * After LIAISON_OK *fd is a non-blocking SOCK_SEQPACKET to it, *pid the process, which ends when the last copy of *fd is
 * closed. On error `why` is a sentence.
 * Errors: LIAISON_FILE, LIAISON_PERMISSION (others may read a file), LIAISON_CONFIG (not such a file; state without key; no
 *         such user), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code notary_start(const struct notary_settings *s, int *fd, pid_t *pid, char *why, size_t why_len);

/* What the notary knows, as it says at start and on request. */
struct notary_status {
    struct note_key key;     /* the newest; its name is the log's origin */
    uint64_t size;           /* high-water; 0: nothing signed */
    uint8_t root[HASH_BYTES];
    bool has_state;          /* false: it signs nothing until told a cosigned checkpoint */
};

/* One request is out at a time. Each notary_ask_* sends one, notary_answer() takes what came back; between them poll the fd.
 * Errors of sending: LIAISON_BUSY (one is out), LIAISON_IO (the notary has ended). */

struct notary_tree {
    uint64_t old_size;  /* what the notary signed last, as far as the broker knows */
    uint64_t size;
    uint8_t root[HASH_BYTES];
    size_t proof_len;
    uint8_t proof[MERKLE_PROOF_MAX][HASH_BYTES]; /* that size extends old_size */
};

struct notary_answer {
    enum liaison_code code; /* LIAISON_OK; LIAISON_FORK (it would not extend what was signed; status says what was);
                               LIAISON_PROOF; LIAISON_IO (its files); LIAISON_CONFIG (it has no state) */
    struct notary_status status;
    size_t note_len;
    uint8_t note[NOTE_CHECKPOINT_MAX + 1 + 2 * NOTE_LINE_MAX]; /* the signed checkpoint, when it was asked for one */
};

struct notary; /* the broker's end */

/* Takes fd. NULL when memory is out. */
struct notary *notary_new(int fd);
void notary_free(struct notary *n); /* closes fd; NULL is harmless */
int notary_fd(const struct notary *n);

MUST_CHECK
enum liaison_code notary_ask_status(struct notary *n);
MUST_CHECK
enum liaison_code notary_ask_sign(struct notary *n, const struct notary_tree *t);

/* The answer, if it has come. Errors: LIAISON_BUSY (not yet), LIAISON_IO (the notary has ended, or spoke nonsense). */
MUST_CHECK
enum liaison_code notary_answer(struct notary *n, struct notary_answer *out);

/* Waits up to timeout_ms for it; for start-up and commands, never while peers wait. Errors: as above, LIAISON_TIMEOUT. */
MUST_CHECK
enum liaison_code notary_wait(struct notary *n, int timeout_ms, struct notary_answer *out);

/* ------------------------------------------------------------ by hand, with no notary running */

/* `liaisond notary adopt`: makes the high-water file from a checkpoint that the key has signed and witnesses of the policy have
 * cosigned to its quorum. Refuses when there is a high-water file already.
 * Errors: LIAISON_SIGNATURE, LIAISON_CONFIG, LIAISON_FILE; `why` says which. */
MUST_CHECK
enum liaison_code notary_adopt(const struct notary_settings *s, const struct note_policy *p, struct slice note, uint64_t now_s,
                               char *why, size_t why_len);

/* `liaisond notary rotate`: draws a new key of the same name for sizes above the high-water's, writes it beside the old one, and
 * gives the rotation, a note that both have signed; the old key is wiped from the file. `rotation` has room for
 * NOTE_BYTES_MAX. Killed at any point, a second call finishes it with the same result.
 * Errors: as notary_adopt. */
MUST_CHECK
enum liaison_code notary_rotate(const struct notary_settings *s, uint8_t *rotation, size_t *rotation_len, char *why,
                                size_t why_len);

/* `liaisond run --new-log`: puts key and high-water of the old log aside (.old) and makes new ones under `origin`, at size 0.
 * Errors: as notary_start. */
MUST_CHECK
enum liaison_code notary_renew(const struct notary_settings *s, char *why, size_t why_len);
