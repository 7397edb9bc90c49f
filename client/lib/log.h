#pragma once
/* What a handle knows of the broker's log: whom it believes, the last checkpoint it saw, and that each next one
 * extends it.
 *
 * The last checkpoint is kept in the file of the setting "log_seen", which several processes share. Nothing is
 * written over what another put there unless ours is known to extend it: where it is not, the broker is asked to
 * prove it first. Source: PROTOCOL.md, "Receipts". */
#include "client/lib/liaison.h"
#include "proto/note.h"

struct liaison;

enum {
    LOG_WHY = 384,
    LOG_ROTATIONS_MAX = 1 << 20,
    LOG_POLICY_MAX = 1 << 20,
    LOG_SAVE_MS = 1000,         /* a checkpoint is on disk at the latest so long after it was seen */
};

/* A checkpoint that the policy believed. Shared by counting; never changes. */
struct log_note {
    unsigned refs;
    struct note_judgement what;
    size_t len;
    uint8_t bytes[]; /* the signed note */
};

struct log_view {
    struct note_policy *policy;
    struct log_note *seen;  /* NULL: none */
    struct log_note *kept;  /* what the file held when it was last read or written */
    struct log_note *told;  /* what Hello said */
    struct log_note *other; /* what another process put there, to be reconciled with `seen` */
    struct log_note *bridge; /* extends the smaller of those two */
    bool read;              /* policy and files were read */
    bool unsaved;
    int64_t save_at_ms;
    uint64_t quorum_s; /* the latest of all that were seen */
    char why[LOG_WHY]; /* of the last failure */
};

/* True if a policy is set. */
bool log_on(const struct liaison *l);

/* Makes policy and last checkpoint ready; looks whether another process has seen more. Nothing to do without a
 * policy. Errors: LIAISON_CONFIG, LIAISON_FILE, LIAISON_MEMORY; the sentence is kept in the handle. */
MUST_CHECK
enum liaison_code log_ready(struct liaison *l);

/* Forgets all; what is not on disk is put there first. */
void log_drop(struct liaison *l);

struct log_note *log_share(struct log_note *n);
void log_note_free(struct log_note *n); /* NULL is harmless */

/* Judges a note by the policy. Gives: *out. On error log.why is a sentence.
 * Errors: LIAISON_SIGNATURE, LIAISON_MALFORMED, LIAISON_LIMIT, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code log_judge(struct liaison *l, struct slice note, struct log_note **out);

/* True if `proof` says that `to` extends `from` (NULL: anything does). */
MUST_CHECK
bool log_extends(struct liaison *l, const struct log_note *from, const struct log_note *to,
                 struct slice proof);

/* Takes a checkpoint for the last one seen, if `proof`, which begins at `from`, says that it extends it. NULL and
 * no proof stand for a broker that showed none. On LIAISON_FORK both notes are in the file of "log_fork"; log.why
 * says all. Errors: LIAISON_FORK. LIAISON_BUSY: more was seen since `from`; this one says nothing about it, ask
 * again. */
MUST_CHECK
enum liaison_code log_grow(struct liaison *l, struct log_note *from, struct log_note *to,
                           struct slice proof);

/* The broker was asked whether its log extends `from`, and showed `to` with a proof. After LIAISON_OK it does.
 * Errors: LIAISON_FORK. */
MUST_CHECK
enum liaison_code log_link(struct liaison *l, const struct log_note *from, const struct log_note *to,
                           struct slice proof);

/* Takes `to`, which is known to extend `from`, for the last one seen. LIAISON_BUSY: more was seen since `from`. */
MUST_CHECK
enum liaison_code log_see(struct liaison *l, const struct log_note *from, struct log_note *to);

/* True if both are of the same tree, whoever has cosigned them. */
bool log_same(const struct log_note *a, const struct log_note *b);

/* What Hello says: the size of the last checkpoint seen, 0 without one. Remembers it for log_welcomed(). */
uint64_t log_tell(struct liaison *l);

/* The checkpoint of Welcome, empty if there is none. On error log.why is a sentence.
 * Errors: those of log_judge, log_grow and log_save. */
MUST_CHECK
enum liaison_code log_welcomed(struct liaison *l, struct slice note, struct slice proof);

/* Puts the last checkpoint on disk. LIAISON_BUSY: another process has put one there and log.other holds it: which
 * extends which? Errors: LIAISON_FILE, LIAISON_FORK. */
MUST_CHECK
enum liaison_code log_save(struct liaison *l);

/* Reconciling log.seen with log.other, which is not NULL: the larger must extend the smaller. The broker keeps not
 * every checkpoint, so one that extends both does as well. The next question: does the log extend *from, at a
 * checkpoint of at least *size leaves? */
void log_question(const struct liaison *l, struct log_note **from, uint64_t *size);

/* Its answer. After it log.other is NULL, and both are reconciled or to be tried again by a later log_save(); or
 * there is one more question. Errors: LIAISON_FORK. */
MUST_CHECK
enum liaison_code log_reconcile(struct liaison *l, const struct log_note *from, struct log_note *to,
                                struct slice proof);

/* Gives up on it until the next log_save(). */
void log_forget_other(struct liaison *l);
