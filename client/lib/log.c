#include "client/lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/disk.h"
#include "client/lib/evidence.h"
#include "client/lib/inner.h"
#include "client/lib/words.h"

static const char ADVICE[] = "show this to the network's auditor, and send nothing more to this broker";

bool log_on(const struct liaison *l)
{
    return l->set[SET_LOG_POLICY] != NULL;
}

/* ---------------------------------------------------------------- notes */

struct log_note *log_share(struct log_note *n)
{
    if (n != NULL)
        n->refs++;
    return n;
}

void log_note_free(struct log_note *n)
{
    if (n != NULL && --n->refs == 0)
        free(n);
}

static void put(struct log_note **place, struct log_note *n)
{
    struct log_note *before = *place;

    *place = log_share(n);
    log_note_free(before);
}

/* Says why; the public calls keep it in the handle. */
__attribute__((format(printf, 3, 4))) static enum liaison_code
why(struct liaison *l, enum liaison_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(l->log.why, sizeof l->log.why, format, args);
    va_end(args);
    return code;
}

enum liaison_code log_judge(struct liaison *l, struct slice note, struct log_note **out)
{
    struct log_note *n = malloc(sizeof *n + note.n);

    if (n == NULL)
        return why(l, LIAISON_MEMORY, "out of memory");
    n->refs = 1;
    n->len = note.n;
    if (note.n > 0)
        memcpy(n->bytes, note.p, note.n);
    enum liaison_code code =
        note_judge(l->log.policy, slice(n->bytes, n->len), (uint64_t)lib_unix(), &n->what);

    if (code == LIAISON_OK) {
        *out = n;
        return code;
    }
    free(n);
    return why(l, code, "%s",
               code == LIAISON_SIGNATURE
                   ? "no log key of the policy (setting \"log_policy\") signed the checkpoint; if the key was rotated, "
                     "its rotation belongs into the file of \"log_rotations\""
                   : "the checkpoint is not a signed note of a size and a root");
}

bool log_same(const struct log_note *a, const struct log_note *b)
{
    const struct checkpoint *x = &a->what.checkpoint, *y = &b->what.checkpoint;

    return strcmp(x->origin, y->origin) == 0 && x->size == y->size &&
           memcmp(x->root, y->root, HASH_BYTES) == 0;
}

/* True if nothing but cosignatures has come since `from` was the last one seen. */
static bool still(const struct log_note *seen, const struct log_note *from)
{
    return seen == from || (seen != NULL && from != NULL && log_same(seen, from));
}

static bool same_size(const struct log_note *a, const struct log_note *b)
{
    return a->what.checkpoint.size == b->what.checkpoint.size &&
           strcmp(a->what.checkpoint.origin, b->what.checkpoint.origin) == 0;
}

static bool same_bytes(const struct log_note *n, const uint8_t *bytes, size_t len)
{
    return n != NULL && n->len == len && memcmp(n->bytes, bytes, len) == 0;
}

/* Where the number of a log begins in its origin, NETWORK/BROKER/NUMBER; 0: it has none. */
static size_t number_of(const char *origin, uint64_t *number)
{
    const char *slash = strrchr(origin, '/');

    return slash != NULL && words_u64(slash + 1, UINT64_MAX, number)
               ? (size_t)(slash + 1 - origin)
               : 0;
}

/* True if `to` is of a later log of the same broker: one begun after a restore, which the policy lists. */
static bool later_log(const struct log_note *from, const struct log_note *to)
{
    const char *a = from->what.checkpoint.origin, *b = to->what.checkpoint.origin;
    uint64_t n = 0, m = 0;
    size_t at = number_of(a, &n);

    return at > 0 && number_of(b, &m) == at && memcmp(a, b, at) == 0 && m > n;
}

bool log_extends(struct liaison *l, const struct log_note *from, const struct log_note *to,
                 struct slice proof)
{
    if (from == NULL || later_log(from, to))
        return true;
    if (strcmp(from->what.checkpoint.origin, to->what.checkpoint.origin) != 0)
        return false;
    return merkle_check_growth(l->hash, from->what.checkpoint.size,
                               from->what.checkpoint.root, to->what.checkpoint.size,
                               to->what.checkpoint.root, proof);
}

/* ---------------------------------------------------------------- evidence */

static enum liaison_code forked(struct liaison *l, const struct log_note *seen,
                                const struct log_note *shown, struct slice proof)
{
    const char *path = lib_setting(l, SET_LOG_FORK);
    const char *file = evidence_keep(path, lib_unix(), slice(seen->bytes, seen->len),
                                     shown == NULL ? slice(NULL, 0) : slice(shown->bytes, shown->len), proof)
                           ? path
                           : NULL;
    char now[64] = "none is shown now";

    if (shown != NULL)
        snprintf(now, sizeof now, "%llu are shown now",
                 (unsigned long long)shown->what.checkpoint.size);
    return why(l, LIAISON_FORK,
               "the broker's log does not extend what was seen of it (%llu entries then; %s)%s%.200s: %s",
               (unsigned long long)seen->what.checkpoint.size, now,
               file == NULL ? "" : "; both notes are in ", file == NULL ? "" : file, ADVICE);
}

/* ---------------------------------------------------------------- growing */

/* Makes `to` the last one seen. A note that only has more cosignatures is worth keeping, but in no hurry. */
static void advance(struct liaison *l, struct log_note *to)
{
    struct log_view *v = &l->log;

    if (to->what.quorum_s > v->quorum_s)
        v->quorum_s = to->what.quorum_s;
    if (v->seen != NULL && log_same(v->seen, to) &&
        v->seen->what.n_witnesses >= to->what.n_witnesses)
        return;
    put(&v->seen, to);
    if (!v->unsaved)
        v->save_at_ms = lib_mono_ms() + LOG_SAVE_MS;
    v->unsaved = true;
}

enum liaison_code log_grow(struct liaison *l, struct log_note *from, struct log_note *to,
                           struct slice proof)
{
    struct log_view *v = &l->log;

    if (to == NULL)
        return v->seen == NULL ? LIAISON_OK : forked(l, v->seen, NULL, slice(NULL, 0));
    if (v->seen != NULL && log_same(v->seen, to)) {
        advance(l, to);
        return LIAISON_OK;
    }
    if (!still(v->seen, from))
        return LIAISON_BUSY;
    if (!log_extends(l, from, to, proof))
        return forked(l, from, to, proof);
    advance(l, to);
    return LIAISON_OK;
}

enum liaison_code log_link(struct liaison *l, const struct log_note *from, const struct log_note *to, struct slice proof)
{
    return log_extends(l, from, to, proof) ? LIAISON_OK : forked(l, from, to, proof);
}

enum liaison_code log_see(struct liaison *l, const struct log_note *from, struct log_note *to)
{
    if (!still(l->log.seen, from))
        return LIAISON_BUSY;
    advance(l, to);
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- files */

/* Reads a file of the profile. *bytes stays NULL if it is not there and may be missing. */
static enum liaison_code read_setting(struct liaison *l, enum setting s, size_t max,
                                      bool missing_is_fine, uint8_t **bytes, size_t *len)
{
    const char *path = lib_setting(l, s);
    enum liaison_code code = path[0] == '\0' ? LIAISON_NOT_FOUND : disk_read(path, max, bytes, len);

    if (code == LIAISON_NOT_FOUND && missing_is_fine)
        return LIAISON_OK;
    if (code == LIAISON_OK || code == LIAISON_MEMORY)
        return code == LIAISON_OK ? code : why(l, code, "out of memory");
    return why(l, LIAISON_FILE, "%.256s: %s", path,
               code == LIAISON_TOO_LARGE ? "it is too large" : strerror(errno));
}

static enum liaison_code read_policy(struct liaison *l)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    char detail[192] = "";
    enum liaison_code code = read_setting(l, SET_LOG_POLICY, LOG_POLICY_MAX, false, &bytes, &n);

    if (code != LIAISON_OK)
        return code;
    code = note_policy_parse(slice(bytes, n), &l->log.policy, detail, sizeof detail);
    free(bytes);
    return code == LIAISON_OK
               ? code
               : why(l, code, "%.160s: %s", lib_setting(l, SET_LOG_POLICY), detail);
}

/* The length of the first of several notes: its text, an empty line, its signatures. 0: there is none. */
static size_t first_note(struct slice bytes)
{
    static const char SIGNATURE[] = "\n\n\xe2\x80\x94 ";
    const char *all = (const char *)bytes.p;
    const char *at = bytes.n == 0 ? NULL : strstr(all, SIGNATURE); /* disk_read() put a NUL behind */

    if (at == NULL)
        return 0;
    at += 2;
    while (strncmp(at, SIGNATURE + 2, 4) == 0) {
        const char *end = strchr(at, '\n');

        if (end == NULL)
            return 0;
        at = end + 1;
    }
    return (size_t)(at - all);
}

static enum liaison_code read_rotations(struct liaison *l)
{
    uint8_t *bytes = NULL;
    size_t n = 0, at = 0;
    enum liaison_code code =
        read_setting(l, SET_LOG_ROTATIONS, LOG_ROTATIONS_MAX, true, &bytes, &n);

    while (code == LIAISON_OK && at < n) {
        size_t len = first_note(slice(bytes + at, n - at));

        code = len == 0 ? LIAISON_MALFORMED
                        : note_policy_rotate(l->log.policy, slice(bytes + at, len));
        at += len;
        while (at < n && bytes[at] == '\n')
            at++;
        if (code != LIAISON_OK)
            (void)why(l, LIAISON_CONFIG, "%.160s: %s", lib_setting(l, SET_LOG_ROTATIONS),
                      code == LIAISON_SIGNATURE
                          ? "a rotation is not signed by a log key of the policy and by the new key"
                          : "these are not rotations of a log key");
    }
    free(bytes);
    return code == LIAISON_OK || code == LIAISON_FILE || code == LIAISON_MEMORY ? code : LIAISON_CONFIG;
}

/* Reads and judges the file of "log_seen". *out is NULL if there is none. */
static enum liaison_code read_seen(struct liaison *l, struct log_note **out)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    enum liaison_code code = read_setting(l, SET_LOG_SEEN, NOTE_BYTES_MAX, true, &bytes, &n);

    if (code == LIAISON_OK && bytes != NULL && same_bytes(l->log.kept, bytes, n))
        *out = log_share(l->log.kept);
    else if (code == LIAISON_OK && bytes != NULL &&
             log_judge(l, slice(bytes, n), out) != LIAISON_OK)
        code = why(l, LIAISON_CONFIG,
                   "%.160s: not a checkpoint that the policy believes. It says what was seen of the log: keep the line of "
                   "the log it is of in the policy",
                   lib_setting(l, SET_LOG_SEEN));
    free(bytes);
    return code;
}

/* Another process may have seen more, and has checked that it extends what we both knew. */
static enum liaison_code refresh(struct liaison *l)
{
    struct log_view *v = &l->log;
    struct log_note *there = NULL;
    enum liaison_code code;

    if (v->unsaved)
        return LIAISON_OK;
    code = read_seen(l, &there);
    if (code == LIAISON_OK && there != NULL && there != v->kept) {
        put(&v->seen, there);
        put(&v->kept, there);
        if (there->what.quorum_s > v->quorum_s)
            v->quorum_s = there->what.quorum_s;
    }
    log_note_free(there);
    return code;
}

enum liaison_code log_ready(struct liaison *l)
{
    enum liaison_code code = LIAISON_OK;

    if (!log_on(l))
        return code;
    if (!l->log.read) {
        log_drop(l);
        code = read_policy(l);
        if (code == LIAISON_OK)
            code = read_rotations(l);
        l->log.read = code == LIAISON_OK;
    }
    if (code == LIAISON_OK)
        code = refresh(l);
    return code == LIAISON_OK ? code : lib_fail(l, code, "%s", l->log.why);
}

void log_drop(struct liaison *l)
{
    struct log_view *v = &l->log;

    if (v->unsaved && log_save(l) != LIAISON_OK)
        v->unsaved = false; /* nobody is left to be told; the file still says what was seen before */
    note_policy_free(v->policy);
    log_note_free(v->seen);
    log_note_free(v->kept);
    log_note_free(v->told);
    log_note_free(v->other);
    log_note_free(v->bridge);
    *v = (struct log_view){0};
}

/* A log that a later one has replaced: where it stood when we last saw it stays beside the file. */
static enum liaison_code keep_earlier(const struct liaison *l, const char *path)
{
    const struct log_view *v = &l->log;
    char aside[DISK_PATH];
    uint64_t number = 0;

    if (v->kept == NULL || !later_log(v->kept, v->seen))
        return LIAISON_OK;
    (void)number_of(v->kept->what.checkpoint.origin, &number);
    snprintf(aside, sizeof aside, "%s.%llu", path, (unsigned long long)number);
    return disk_replace(aside, slice(v->kept->bytes, v->kept->len));
}

/* Under the lock: writes ours over what we know, or takes up what another process has put there. */
static enum liaison_code save_locked(struct liaison *l, const char *path)
{
    struct log_view *v = &l->log;
    struct log_note *there = NULL;
    enum liaison_code code = read_seen(l, &there);

    if (code != LIAISON_OK)
        return code;
    if (there == NULL || there == v->kept || log_same(there, v->seen)) {
        code = keep_earlier(l, path);
        if (code == LIAISON_OK)
            code = disk_replace(path, slice(v->seen->bytes, v->seen->len));
        if (code == LIAISON_OK)
            put(&v->kept, v->seen);
        else
            (void)why(l, code, "%.256s: %s", path, strerror(errno));
        v->unsaved = code != LIAISON_OK;
    } else if (same_size(there, v->seen)) {
        code = forked(l, there, v->seen, slice(NULL, 0));
    } else {
        put(&v->other, there);
        code = LIAISON_BUSY;
    }
    log_note_free(there);
    return code;
}

enum liaison_code log_save(struct liaison *l)
{
    struct log_view *v = &l->log;
    const char *path = lib_setting(l, SET_LOG_SEEN);

    if (!v->unsaved || v->seen == NULL || path[0] == '\0') {
        v->unsaved = false;
        return LIAISON_OK;
    }
    int lock = disk_lock(path);
    enum liaison_code code = save_locked(l, path);

    disk_unlock(lock);
    v->save_at_ms = lib_mono_ms() + LOG_SAVE_MS;
    return code;
}

/* ---------------------------------------------------------------- a session begins */

uint64_t log_tell(struct liaison *l)
{
    put(&l->log.told, l->log.seen);
    return l->log.told == NULL ? 0 : l->log.told->what.checkpoint.size;
}

enum liaison_code log_welcomed(struct liaison *l, struct slice note, struct slice proof)
{
    struct log_view *v = &l->log;
    struct log_note *n = NULL;
    enum liaison_code code = note.n == 0 ? LIAISON_OK : log_judge(l, note, &n);

    if (code == LIAISON_OK)
        code = log_grow(l, v->told, n, proof);
    log_note_free(n);
    if (code == LIAISON_OK)
        code = log_save(l);
    return code == LIAISON_BUSY ? LIAISON_OK : code; /* another process: reconciled in this session */
}

/* ---------------------------------------------------------------- two processes */

static bool other_is_lower(const struct liaison *l)
{
    const struct log_note *a = l->log.seen, *b = l->log.other;

    if (strcmp(a->what.checkpoint.origin, b->what.checkpoint.origin) != 0)
        return later_log(b, a);
    return b->what.checkpoint.size < a->what.checkpoint.size;
}

static struct log_note *upper_of(const struct liaison *l)
{
    return other_is_lower(l) ? l->log.seen : l->log.other;
}

void log_question(const struct liaison *l, struct log_note **from, uint64_t *size)
{
    const struct log_view *v = &l->log;

    *from = v->bridge != NULL ? upper_of(l) : other_is_lower(l) ? v->other : v->seen;
    *size = (v->bridge != NULL ? v->bridge : upper_of(l))->what.checkpoint.size;
}

void log_forget_other(struct liaison *l)
{
    put(&l->log.other, NULL);
    put(&l->log.bridge, NULL);
}

enum liaison_code log_reconcile(struct liaison *l, const struct log_note *from, struct log_note *to, struct slice proof)
{
    struct log_view *v = &l->log;
    struct log_note *expected = NULL;
    uint64_t size = 0;
    enum liaison_code code = LIAISON_OK;

    log_question(l, &expected, &size);
    if (still(expected, from) && to->what.checkpoint.size >= size)
        code = log_link(l, from, to, proof);
    else
        expected = NULL; /* one of them has grown meanwhile */
    if (code == LIAISON_OK && expected != NULL && v->bridge == NULL && !log_same(to, upper_of(l))) {
        put(&v->bridge, to); /* extends the smaller; the larger is gone: does it extend that, too? */
        return LIAISON_OK;
    }
    if (code == LIAISON_OK && expected != NULL && (v->bridge == NULL || log_same(to, v->bridge))) {
        put(&v->kept, v->other);
        v->unsaved = !log_same(to, v->other);
        put(&v->seen, to);
        v->save_at_ms = 0;
    }
    log_forget_other(l);
    return code;
}
