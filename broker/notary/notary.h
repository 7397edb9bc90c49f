#pragma once
/* The process that holds the log's key and only signs: the log's first witness.
 *
 * It is started before privilege is dropped, keeps its key file and its high-water file to itself, and talks over an
 * inherited socketpair. It never signs two roots of one size, nor a tree that it cannot prove to extend the last one it
 * signed, whatever the broker says; what it is about to sign is in its high-water file, flushed, before it signs.
 * Source: PROTOCOL.md, "Checkpoints"; design of the order: commit, high-water, signature, next commit. */
#include <sys/types.h>

#include "liaison-codes.h"
#include "proto/merkle.h"
#include "proto/note.h"

/* Two files of the notary's own user, each 0600: the key (a line `PRIVATE+KEY+...`, two while keys rotate) and the
 * high-water (two slots of size, root, counter and SHA-256, written in turn). Beside the key stands KEY.rotation, once
 * there was one: the note that says above which size the key counts. */
struct notary_settings {
    const char *key_file, *state_file;
    const char *origin; /* of a log that begins: the name a new key is given */
    const char *user;   /* whom the process becomes when started as root; NULL: stay who we are */
};

/* Starts the process and waits until it has read its files. If neither file is there it makes both: a new key named
 * `origin`, and size 0. With a key but no state it starts and refuses to sign until notary_adopt() has been used. It
 * finishes a rotation that was cut short. Call before the first thread starts. With SIGTERM, SIGINT and SIGHUP it has
 * nothing to do: it lives as long as its broker.
 *
 * After LIAISON_OK *fd is a non-blocking SOCK_SEQPACKET to it, *pid the process, which ends when the last copy of *fd
 * is closed. On error `why` is a sentence.
 * Errors: LIAISON_FILE, LIAISON_PERMISSION (others may read a file), LIAISON_CONFIG (not such a file; state without
 *         key; no such user), LIAISON_BUSY (another notary has the files), LIAISON_MEMORY, LIAISON_INTERNAL. */
MUST_CHECK
enum liaison_code notary_start(const struct notary_settings *s, int *fd, pid_t *pid, char *why, size_t why_len);

/* What the notary knows, as it says at start and on request. */
struct notary_status {
    struct note_key key;     /* the newest; its name is the log's origin */
    uint64_t size;           /* high-water; 0: nothing signed */
    uint8_t root[HASH_BYTES];
    bool has_state;          /* false: it signs nothing until told a cosigned checkpoint */
};

/* One request is out at a time. Each notary_ask_* sends one, notary_answer() takes what came back; between them poll
 * the fd.
 * Errors of sending: LIAISON_BUSY (one is out), LIAISON_IO (the notary has ended). */

struct notary_tree {
    uint64_t old_size;  /* what the notary signed last, as far as the broker knows */
    uint64_t size;
    uint8_t root[HASH_BYTES];
    size_t proof_len;
    uint8_t proof[MERKLE_PROOF_MAX][HASH_BYTES]; /* that size extends old_size */
};

/* Room for a signed checkpoint and for a rotation. */
enum { NOTARY_NOTE_MAX = NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX + 1 + 2 * NOTE_LINE_MAX };

struct notary_answer {
    /* LIAISON_OK;
     * LIAISON_PROOF: old_size is not what it signed last; prove growth from status.size and ask again;
     * LIAISON_FORK: smaller, another root of the same size, or not proven to extend status.root;
     * LIAISON_UNSIGNED: this size is the earlier key's; ask for a larger one;
     * LIAISON_CONFIG: it has no state; LIAISON_IO: its files failed, until it is started again;
     * LIAISON_INTERNAL: what it has made does not verify; LIAISON_MALFORMED: that was no request */
    enum liaison_code code;
    struct notary_status status; /* as it is after this */
    size_t note_len;             /* 0: none */
    uint8_t note[NOTARY_NOTE_MAX];
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

/* Asks for the note of the rotation that began the newest key, for its KEY_ROTATE entry; note_len 0: it is the log's
 * first. */
MUST_CHECK
enum liaison_code notary_ask_rotation(struct notary *n);

/* The answer, if it has come. Errors: LIAISON_BUSY (not yet, or nothing was asked), LIAISON_IO (the notary has ended, or spoke
 * nonsense, or unasked). */
MUST_CHECK
enum liaison_code notary_answer(struct notary *n, struct notary_answer *out);

/* Waits up to timeout_ms for it; for start-up and commands, never while peers wait.
 * Errors: as above, LIAISON_TIMEOUT. */
MUST_CHECK
enum liaison_code notary_wait(struct notary *n, int timeout_ms, struct notary_answer *out);

/* Reads a policy file, of which witnesses and quorum are wanted: the log's own key counts whether it stands there or not.
 * Gives: *out. On error `why` is a sentence. Errors: LIAISON_FILE, LIAISON_CONFIG, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code notary_policy(const char *path, const struct note_key *log, struct note_policy **out, char *why,
                                size_t why_len);

/* ------------------------------------------------------------ by hand, with no notary running */

/* `liaisond notary adopt`: makes the high-water file from a checkpoint that the key has signed and witnesses of the
 * policy have cosigned to its quorum, at least one. Refuses when there is a high-water file with a whole slot already.
 * Errors: LIAISON_SIGNATURE, LIAISON_CONFIG, LIAISON_FILE, LIAISON_PERMISSION, LIAISON_BUSY; `why` says which. */
MUST_CHECK
enum liaison_code notary_adopt(const struct notary_settings *s, const struct note_policy *p, struct slice note,
                               uint64_t now_s, char *why, size_t why_len);

/* `liaisond notary rotate`: draws a new key of the same name for sizes above the high-water's, writes it beside the old
 * one, and gives the rotation, a note that both have signed; the old key is wiped from the file. `rotation` has room
 * for NOTE_BYTES_MAX. Killed at any point, a second call finishes it with the same result, and so does one before
 * anything was signed with the new key. Errors: as notary_adopt, LIAISON_BUSY (a notary runs). */
MUST_CHECK
enum liaison_code notary_rotate(const struct notary_settings *s, uint8_t *rotation, size_t *rotation_len, char *why,
                                size_t why_len);

/* What the files say, without a process and without changing them, for `liaisond notary show`. Errors: as notary_start;
 * LIAISON_CONFIG also if there is no key yet. */
MUST_CHECK
enum liaison_code notary_look(const struct notary_settings *s, struct notary_status *out, char *why, size_t why_len);

/* True in *begun if notary_renew() under s->origin was begun, and perhaps done. Changes nothing. Errors: as notary_look(). */
MUST_CHECK
enum liaison_code notary_renewal(const struct notary_settings *s, bool *begun, char *why, size_t why_len);

/* `liaisond run --new-log`: puts key and high-water of the old log aside (.old) and makes new ones under `origin`, at
 * size 0. Killed at any point, a second call finishes it; until then nothing can be signed under the old name.
 * Errors: as notary_start. */
MUST_CHECK
enum liaison_code notary_renew(const struct notary_settings *s, char *why, size_t why_len);
