/* The log's files: policy and rotations read, the last checkpoint kept, and shared with other processes of this
 * profile. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/disk.h"
#include "client/lib/inner.h"
#include "client/lib/log_inner.h"

static bool same_size(const struct log_note *a, const struct log_note *b)
{
    return a->what.checkpoint.size == b->what.checkpoint.size &&
           strcmp(a->what.checkpoint.origin, b->what.checkpoint.origin) == 0;
}

static bool same_bytes(const struct log_note *n, const uint8_t *bytes, size_t len)
{
    return n != NULL && n->len == len && memcmp(n->bytes, bytes, len) == 0;
}

/* ---------------------------------------------------------------- files */

/* Reads a file of the profile. *bytes stays NULL if it is not there and may be missing. */
static enum liaison_code read_setting(struct liaison *l, enum setting s, size_t max,
                                      bool missing_is_fine, uint8_t **bytes, size_t *len)
{
    const char *path = lib_setting(l, s);
    enum liaison_code code =
        path[0] == '\0' ? LIAISON_NOT_FOUND : disk_read(path, max, bytes, len);

    if (code == LIAISON_NOT_FOUND && missing_is_fine)
        return LIAISON_OK;
    if (code == LIAISON_OK || code == LIAISON_MEMORY)
        return code == LIAISON_OK ? code : log_say(l, code, "out of memory");
    return log_say(l, LIAISON_FILE, "%.256s: %s", path,
                   code == LIAISON_TOO_LARGE ? "it is too large" : strerror(errno));
}

static enum liaison_code read_policy(struct liaison *l)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    char detail[192] = "";
    enum liaison_code code =
        read_setting(l, SET_LOG_POLICY, LOG_POLICY_MAX, false, &bytes, &n);

    if (code != LIAISON_OK)
        return code;
    code = note_policy_parse(slice(bytes, n), &l->log.policy, detail, sizeof detail);
    free(bytes);
    return code == LIAISON_OK
               ? code
               : log_say(l, code, "%.160s: %s", lib_setting(l, SET_LOG_POLICY), detail);
}

/* The length of the first of several notes: its text, an empty line, its signatures. 0: there is none. */
static size_t first_note(struct slice bytes)
{
    static const char SIGNATURE[] = "\n\n\xe2\x80\x94 ";
    const char *all = (const char *)bytes.p;
    const char *at =
        bytes.n == 0 ? NULL : strstr(all, SIGNATURE); /* disk_read() put a NUL behind */

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
            (void)log_say(
                l, LIAISON_CONFIG, "%.160s: %s", lib_setting(l, SET_LOG_ROTATIONS),
                code == LIAISON_SIGNATURE ? "a rotation is not signed by a log key "
                                            "of the policy and by the new key"
                                          : "these are not rotations of a log key");
    }
    free(bytes);
    return code == LIAISON_OK || code == LIAISON_FILE || code == LIAISON_MEMORY
               ? code
               : LIAISON_CONFIG;
}

/* Reads and judges the file of "log_seen". *out is NULL if there is none. */
static enum liaison_code read_seen(struct liaison *l, struct log_note **out)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    enum liaison_code code =
        read_setting(l, SET_LOG_SEEN, NOTE_BYTES_MAX, true, &bytes, &n);

    if (code == LIAISON_OK && bytes != NULL && same_bytes(l->log.kept, bytes, n))
        *out = log_share(l->log.kept);
    else if (code == LIAISON_OK && bytes != NULL &&
             log_judge(l, slice(bytes, n), out) != LIAISON_OK)
        code =
            log_say(l, LIAISON_CONFIG,
                    "%.160s: not a checkpoint that the policy believes. It says what was "
                    "seen of the log: keep the line of "
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
        log_put(&v->seen, there);
        log_put(&v->kept, there);
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
        v->unsaved =
            false; /* nobody is left to be told; the file still says what was seen before */
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

    if (v->kept == NULL || !log_later(v->kept, v->seen))
        return LIAISON_OK;
    (void)log_number_of(v->kept->what.checkpoint.origin, &number);
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
            log_put(&v->kept, v->seen);
        else
            (void)log_say(l, code, "%.256s: %s", path, strerror(errno));
        v->unsaved = code != LIAISON_OK;
    } else if (same_size(there, v->seen)) {
        code = log_forked(l, there, v->seen, slice(NULL, 0));
    } else {
        log_put(&v->other, there);
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

/* ---------------------------------------------------------------- two processes */

static bool other_is_lower(const struct liaison *l)
{
    const struct log_note *a = l->log.seen, *b = l->log.other;

    if (strcmp(a->what.checkpoint.origin, b->what.checkpoint.origin) != 0)
        return log_later(b, a);
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
    log_put(&l->log.other, NULL);
    log_put(&l->log.bridge, NULL);
}

enum liaison_code log_reconcile(struct liaison *l, const struct log_note *from,
                                struct log_note *to, struct slice proof)
{
    struct log_view *v = &l->log;
    struct log_note *expected = NULL;
    uint64_t size = 0;
    enum liaison_code code = LIAISON_OK;

    log_question(l, &expected, &size);
    if (log_still(expected, from) && to->what.checkpoint.size >= size)
        code = log_link(l, from, to, proof);
    else
        expected = NULL; /* one of them has grown meanwhile */
    if (code == LIAISON_OK && expected != NULL && v->bridge == NULL &&
        !log_same(to, upper_of(l))) {
        log_put(
            &v->bridge,
            to); /* extends the smaller; the larger is gone: does it extend that, too? */
        return LIAISON_OK;
    }
    if (code == LIAISON_OK && expected != NULL &&
        (v->bridge == NULL || log_same(to, v->bridge))) {
        log_put(&v->kept, v->other);
        v->unsaved = !log_same(to, v->other);
        log_put(&v->seen, to);
        v->save_at_ms = 0;
    }
    log_forget_other(l);
    return code;
}
