#pragma once
/* A real notary in a fresh folder, small logs for it to sign, and a trap that kills or fails a process at its n-th
 * call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/notary/notary.h"
#include "broker/ops/log.h"

#define ORIGIN "practicies.example/eu/main/1"

#define LOG_NOTHING ((enum log_level)(LOG_ERROR_ + 1)) /* what is refused here is refused on purpose */

enum { LOG_LEAVES = 16, ANSWER_MS = 60000 };

/* ------------------------------------------------------------ the trap
 *
 * Shared with the children: at the n-th watched call of a process that is not the test, it is killed before the
 * call, after
 * it, or the call fails. Linked with --wrap for each call below. */
enum trap_kind { TRAP_NONE, TRAP_BEFORE, TRAP_AFTER, TRAP_EIO };

static struct trap {
    enum trap_kind kind;
    long at, n;
    pid_t test;
} *trap;

static void trap_set(enum trap_kind kind, long at)
{
    if (trap == NULL)
        trap = mmap(NULL, sizeof *trap, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *trap = (struct trap){kind, at, 0, getpid()};
}

static bool trapped(void)
{
    return trap != NULL && trap->kind != TRAP_NONE && getpid() != trap->test &&
           ++trap->n == trap->at;
}

#define WATCHED(type, name, parameters, arguments)                                       \
    type __real_##name parameters;                                                       \
    type __wrap_##name parameters;                                                       \
    type __wrap_##name parameters                                                        \
    {                                                                                    \
        bool now = trapped();                                                            \
        if (now && trap->kind == TRAP_BEFORE)                                            \
            kill(getpid(), SIGKILL);                                                     \
        if (now && trap->kind == TRAP_EIO) {                                             \
            errno = EIO;                                                                 \
            return -1;                                                                   \
        }                                                                                \
        type rc = __real_##name arguments;                                               \
        if (now)                                                                         \
            kill(getpid(), SIGKILL);                                                     \
        return rc;                                                                       \
    }

WATCHED(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WATCHED(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
WATCHED(int, fsync, (int fd), (fd))
WATCHED(int, fdatasync, (int fd), (fd))
WATCHED(int, rename, (const char *from, const char *to), (from, to))
WATCHED(int, unlink, (const char *path), (path))
WATCHED(int, link, (const char *from, const char *to), (from, to))
WATCHED(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))

/* ------------------------------------------------------------ logs */

struct log_of {
    uint8_t stored[2 * LOG_LEAVES][HASH_BYTES];
    uint8_t root[LOG_LEAVES + 1][HASH_BYTES];
};

static enum liaison_code read_stored(void *arg, uint64_t index, uint8_t out[HASH_BYTES])
{
    const struct log_of *l = arg;

    memcpy(out, l->stored[index], HASH_BYTES);
    return LIAISON_OK;
}

/* Leaves that differ between two logs from leaf `other` on. */
static void log_fill(struct hash *h, struct log_of *l, uint8_t other)
{
    struct merkle_edge e = {0};
    size_t n = 0;

    merkle_edge_root(h, &e, l->root[0]);
    for (uint8_t i = 0; i < LOG_LEAVES; i++) {
        uint8_t bytes[2] = {i, i >= other}, leaf[HASH_BYTES];

        merkle_leaf(h, slice(bytes, 2), leaf);
        n += merkle_edge_add(h, &e, leaf, l->stored + n);
        merkle_edge_root(h, &e, l->root[i + 1]);
    }
}

/* ------------------------------------------------------------ the rig */

struct rig {
    char folder[64], key[96], state[96], rotation[120];
    struct notary_settings settings;
    struct hash *h;
    struct log_of log, fork; /* of one mind about the first 3 leaves */
    struct notary *notary;   /* NULL: none runs */
    int fd;
    pid_t pid;
    struct notary_answer answer;
    char why[512];
};

static int rig_make(void **state)
{
    struct rig *r = test_calloc(1, sizeof *r);

    strcpy(r->folder, "/tmp/liaison-notary-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->key, sizeof r->key, "%s/log.key", r->folder);
    snprintf(r->state, sizeof r->state, "%s/log.state", r->folder);
    snprintf(r->rotation, sizeof r->rotation, "%s.rotation", r->key);
    r->settings = (struct notary_settings){r->key, r->state, ORIGIN, NULL};
    r->h = hash_new();
    log_fill(r->h, &r->log, LOG_LEAVES);
    log_fill(r->h, &r->fork, 3);
    trap_set(TRAP_NONE, 0);
    *state = r;
    return 0;
}

static enum liaison_code rig_start(struct rig *r)
{
    enum liaison_code code =
        notary_start(&r->settings, &r->fd, &r->pid, r->why, sizeof r->why);

    if (code == LIAISON_OK)
        r->notary = notary_new(r->fd);
    return code;
}

static void must_start(struct rig *r)
{
    enum liaison_code code = rig_start(r);

    if (code != LIAISON_OK)
        fail_msg("code %d: %s", code, r->why);
}

/* Closes our end and waits for the process. Returns how it ended. */
static int rig_stop(struct rig *r)
{
    int status = 0;

    notary_free(r->notary);
    r->notary = NULL;
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    return status;
}

static void rig_empty(struct rig *r)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s/*", r->folder);
    assert_int_equal(system(command), 0);
}

static int rig_drop(void **state)
{
    struct rig *r = *state;

    if (r->notary != NULL)
        rig_stop(r);
    rig_empty(r);
    rmdir(r->folder);
    hash_free(r->h);
    test_free(r);
    return 0;
}

/* ------------------------------------------------------------ asking */

static struct notary_tree tree_of(struct rig *r, struct log_of *l, uint64_t old,
                                  uint64_t size)
{
    struct notary_tree t = {.old_size = old, .size = size};

    memcpy(t.root, l->root[size], HASH_BYTES);
    assert_int_equal(merkle_prove_growth(r->h, read_stored, l, old, size, t.proof,
                                         &t.proof_len),
                     LIAISON_OK);
    return t;
}

/* What the notary says to a tree; LIAISON_CLOSED if it has ended instead. */
static enum liaison_code say(struct rig *r, const struct notary_tree *t)
{
    if (notary_ask_sign(r->notary, t) != LIAISON_OK)
        return LIAISON_CLOSED;
    enum liaison_code code = notary_wait(r->notary, ANSWER_MS, &r->answer);

    if (code == LIAISON_IO)
        return LIAISON_CLOSED;
    assert_int_equal(code, LIAISON_OK);
    return r->answer.code;
}

static enum liaison_code sign(struct rig *r, struct log_of *l, uint64_t old,
                              uint64_t size)
{
    struct notary_tree t = tree_of(r, l, old, size);

    return say(r, &t);
}

static const struct notary_status *status(struct rig *r)
{
    assert_int_equal(notary_ask_status(r->notary), LIAISON_OK);
    assert_int_equal(notary_wait(r->notary, ANSWER_MS, &r->answer), LIAISON_OK);
    assert_int_equal(r->answer.code, LIAISON_OK);
    return &r->answer.status;
}

/* The note in the answer is this tree's, signed by this key. */
static void must_say(const struct rig *r, const struct note_key *key,
                     const struct log_of *l, uint64_t size)
{
    struct note note;
    struct note_verdict verdict;
    struct checkpoint c;

    assert_int_equal(note_parse(slice(r->answer.note, r->answer.note_len), &note),
                     LIAISON_OK);
    assert_int_equal(note_verify(&note, key, 1, &verdict), LIAISON_OK);
    assert_true(verdict.signed_by);
    assert_int_equal(checkpoint_parse(note.text, &c), LIAISON_OK);
    assert_string_equal(c.origin, key->name);
    assert_int_equal(c.size, size);
    assert_memory_equal(c.root, l->root[size], HASH_BYTES);
}
