#include "client/lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/evidence.h"
#include "client/lib/inner.h"
#include "client/lib/log_inner.h"
#include "client/lib/words.h"

static const char ADVICE[] =
    "show this to the network's auditor, and send nothing more to this broker";

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

void log_put(struct log_note **place, struct log_note *n)
{
    struct log_note *before = *place;

    *place = log_share(n);
    log_note_free(before);
}

/* Says why; the public calls keep it in the handle. */
__attribute__((format(printf, 3, 4))) enum liaison_code
log_say(struct liaison *l, enum liaison_code code, const char *format, ...)
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
        return log_say(l, LIAISON_MEMORY, "out of memory");
    n->refs = 1;
    n->len = note.n;
    if (note.n > 0)
        memcpy(n->bytes, note.p, note.n);
    enum liaison_code code = note_judge(l->log.policy, slice(n->bytes, n->len),
                                        (uint64_t)lib_unix(), &n->what);

    if (code == LIAISON_OK) {
        *out = n;
        return code;
    }
    free(n);
    return log_say(l, code, "%s",
                   code == LIAISON_SIGNATURE
                       ? "no log key of the policy (setting \"log_policy\") signed the "
                         "checkpoint; if the key was rotated, "
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
bool log_still(const struct log_note *seen, const struct log_note *from)
{
    return seen == from || (seen != NULL && from != NULL && log_same(seen, from));
}

/* Where the number of a log begins in its origin, NETWORK/BROKER/NUMBER; 0: it has none. */
size_t log_number_of(const char *origin, uint64_t *number)
{
    const char *slash = strrchr(origin, '/');

    return slash != NULL && words_u64(slash + 1, UINT64_MAX, number)
               ? (size_t)(slash + 1 - origin)
               : 0;
}

/* True if `to` is of a later log of the same broker: one begun after a restore, which the policy lists. */
bool log_later(const struct log_note *from, const struct log_note *to)
{
    const char *a = from->what.checkpoint.origin, *b = to->what.checkpoint.origin;
    uint64_t n = 0, m = 0;
    size_t at = log_number_of(a, &n);

    return at > 0 && log_number_of(b, &m) == at && memcmp(a, b, at) == 0 && m > n;
}

bool log_extends(struct liaison *l, const struct log_note *from,
                 const struct log_note *to, struct slice proof)
{
    if (from == NULL || log_later(from, to))
        return true;
    if (strcmp(from->what.checkpoint.origin, to->what.checkpoint.origin) != 0)
        return false;
    return merkle_check_growth(l->hash, from->what.checkpoint.size,
                               from->what.checkpoint.root, to->what.checkpoint.size,
                               to->what.checkpoint.root, proof);
}

/* ---------------------------------------------------------------- evidence */

enum liaison_code log_forked(struct liaison *l, const struct log_note *seen,
                             const struct log_note *shown, struct slice proof)
{
    const char *path = lib_setting(l, SET_LOG_FORK);
    const char *file =
        evidence_keep(path, lib_unix(), slice(seen->bytes, seen->len),
                      shown == NULL ? slice(NULL, 0) : slice(shown->bytes, shown->len),
                      proof)
            ? path
            : NULL;
    char now[64] = "none is shown now";

    if (shown != NULL)
        snprintf(now, sizeof now, "%llu are shown now",
                 (unsigned long long)shown->what.checkpoint.size);
    return log_say(
        l, LIAISON_FORK,
        "the broker's log does not extend what was seen of it (%llu entries then; "
        "%s)%s%.200s: %s",
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
    log_put(&v->seen, to);
    if (!v->unsaved)
        v->save_at_ms = lib_mono_ms() + LOG_SAVE_MS;
    v->unsaved = true;
}

enum liaison_code log_grow(struct liaison *l, struct log_note *from, struct log_note *to,
                           struct slice proof)
{
    struct log_view *v = &l->log;

    if (to == NULL)
        return v->seen == NULL ? LIAISON_OK
                               : log_forked(l, v->seen, NULL, slice(NULL, 0));
    if (v->seen != NULL && log_same(v->seen, to)) {
        advance(l, to);
        return LIAISON_OK;
    }
    if (!log_still(v->seen, from))
        return LIAISON_BUSY;
    if (!log_extends(l, from, to, proof))
        return log_forked(l, from, to, proof);
    advance(l, to);
    return LIAISON_OK;
}

enum liaison_code log_link(struct liaison *l, const struct log_note *from,
                           const struct log_note *to, struct slice proof)
{
    return log_extends(l, from, to, proof) ? LIAISON_OK : log_forked(l, from, to, proof);
}

enum liaison_code log_see(struct liaison *l, const struct log_note *from,
                          struct log_note *to)
{
    if (!log_still(l->log.seen, from))
        return LIAISON_BUSY;
    advance(l, to);
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- a session begins */

uint64_t log_tell(struct liaison *l)
{
    log_put(&l->log.told, l->log.seen);
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
    return code == LIAISON_BUSY ? LIAISON_OK
                                : code; /* another process: reconciled in this session */
}
