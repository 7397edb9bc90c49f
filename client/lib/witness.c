#include "client/lib/witness.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "client/lib/disk.h"
#include "client/lib/evidence.h"
#include "proto/base64.h"
#include "proto/err.h"
#include "proto/liaison.pb-c.h"
#include "proto/valid.h"

/* What a witness is asked to cosign. */
struct request {
    uint64_t old;
    uint8_t proof[MERKLE_PROOF_MAX * HASH_BYTES];
    size_t proof_n;
    struct slice note;
};

/* A note as the policy judged it. */
struct judged {
    struct checkpoint checkpoint;
    struct slice note;
};

__attribute__((format(printf, 3, 4))) static enum liaison_code
say(struct witness *w, enum liaison_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
    return code;
}

static enum liaison_code lib_said(struct witness *w, enum liaison_code code)
{
    const char *sentence = liaison_errmsg(w->lib);

    return say(w, code, "%s", sentence[0] != '\0' ? sentence : err_text(code));
}

/* Text of the call, in the arena. */
static enum liaison_code give(struct witness *w, struct slice bytes, struct slice *out)
{
    uint8_t *copy = arena_copy(w->arena, bytes);

    if (copy == NULL)
        return say(w, LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    *out = slice(copy, bytes.n);
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- key */

enum liaison_code witness_init(struct witness *w, const char *own, const char *name,
                               struct slice *out)
{
    struct note_signer signer = {0};
    char text[NOTE_SIGNER_TEXT_MAX + 2] = "", key[NOTE_KEY_TEXT_MAX];
    char line[NOTE_KEY_TEXT_MAX + 512];
    struct hash *h = hash_new();
    enum liaison_code code =
        h == NULL ? LIAISON_MEMORY : note_signer_make(h, name, NOTE_COSIGNATURE, &signer);

    if (code != LIAISON_OK) {
        say(w, code, "'%s' cannot be a witness's name: it has no space and no '+'", name);
        goto out;
    }
    note_signer_print(&signer, text);
    note_key_print(&signer.key, key);
    strcat(text, "\n");
    code = disk_create(w->key, slice_text(text));
    if (code != LIAISON_OK) {
        say(w, code, "%s: %s", w->key, strerror(errno));
        goto out;
    }
    snprintf(line, sizeof line, "witness %s %s\n", own, key);
    code = give(w, slice_text(line), out);
out:
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(&signer, sizeof signer);
    hash_free(h);
    return code;
}

static enum liaison_code parse_key(struct witness *w, uint8_t *text, size_t n,
                                   struct note_signer *out)
{
    struct stat st;

    if (stat(w->key, &st) != 0 || (st.st_mode & 077) != 0)
        return say(w, LIAISON_PERMISSION,
                   "%s: others may read this key; run: chmod 600 %s", w->key, w->key);
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
    if (note_signer_parse((const char *)text, out) != LIAISON_OK ||
        out->key.type != NOTE_COSIGNATURE)
        return say(w, LIAISON_CONFIG, "%s is not the key of a witness", w->key);
    return LIAISON_OK;
}

static enum liaison_code load_key(struct witness *w, struct note_signer *out)
{
    uint8_t *text = NULL;
    size_t n = 0;
    enum liaison_code code = disk_read(w->key, NOTE_SIGNER_TEXT_MAX + 2, &text, &n);

    if (code == LIAISON_NOT_FOUND)
        code = say(w, LIAISON_FILE, "%s is not there; '%s witness init' makes it", w->key,
                   w->program);
    else if (code != LIAISON_OK)
        say(w, code, "%s: %s", w->key, strerror(errno));
    else
        code = parse_key(w, text, n, out);
    if (text != NULL)
        OPENSSL_cleanse(text, n);
    free(text);
    return code;
}

/* ---------------------------------------------------------------- notes and requests */

static enum liaison_code judge(struct witness *w, struct slice note, const char *what,
                               struct judged *out)
{
    struct note parsed;
    uint64_t size, quorum_s;
    uint8_t root[HASH_BYTES];
    size_t witnesses;
    enum liaison_code code =
        liaison_log_judge(w->lib, note.p, note.n, &size, root, &witnesses, &quorum_s);

    if (code != LIAISON_OK)
        return say(w, code, "%s: %s", what, liaison_errmsg(w->lib));
    out->note = note;
    return note_parse(note, &parsed) == LIAISON_OK &&
                   checkpoint_parse(parsed.text, &out->checkpoint) == LIAISON_OK
               ? LIAISON_OK
               : say(w, LIAISON_INTERNAL, "%s: a note that was judged cannot be read",
                     what);
}

/* The next line, without its end, off the front. */
static struct slice line_of(struct slice *text)
{
    const uint8_t *end = text->n == 0 ? NULL : memchr(text->p, '\n', text->n);
    size_t n = end == NULL ? text->n : (size_t)(end - text->p);
    struct slice line = slice(text->p, n);

    *text = end == NULL ? slice(NULL, 0) : slice(end + 1, text->n - n - 1);
    return line;
}

static bool number_of(struct slice digits, uint64_t *out)
{
    char text[21];

    if (digits.n == 0 || digits.n >= sizeof text || (digits.p[0] == '0' && digits.n > 1))
        return false;
    memcpy(text, digits.p, digits.n);
    text[digits.n] = '\0';
    if (text[strspn(text, "0123456789")] != '\0')
        return false;
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return errno == 0;
}

/* A request, or a note alone, which asks from nothing. */
static bool read_request(struct slice text, struct request *out)
{
    struct slice rest = text, line = line_of(&rest);

    *out = (struct request){.note = text};
    if (line.n < 4 || memcmp(line.p, "old ", 4) != 0)
        return true;
    if (!number_of(slice(line.p + 4, line.n - 4), &out->old))
        return false;
    while (rest.n > 0 && (line = line_of(&rest)).n > 0) {
        size_t n = 0;

        if (out->proof_n == sizeof out->proof ||
            !base64_decode(line, out->proof + out->proof_n, HASH_BYTES, &n) ||
            n != HASH_BYTES)
            return false;
        out->proof_n += n;
    }
    out->note = rest;
    return rest.n > 0;
}

/* ---------------------------------------------------------------- cosigning */

/* Both notes go where others can be shown them. */
static enum liaison_code forked(struct witness *w, const struct judged *state,
                                const struct judged *now, const struct request *q)
{
    bool kept = evidence_keep(w->fork, (int64_t)time(NULL), state->note, now->note,
                              slice(q->proof, q->proof_n));

    return say(w, LIAISON_FORK,
               "the log does not extend what this witness has cosigned (%llu "
               "entries then, %llu now): nothing was signed%s%s; "
               "show this to the network's auditor",
               (unsigned long long)state->checkpoint.size,
               (unsigned long long)now->checkpoint.size,
               kept ? ", both notes are in " : "", kept ? w->fork : "");
}

/* Does what we are asked to cosign extend what we have cosigned? */
static enum liaison_code extends(struct witness *w, struct hash *h,
                                 const struct judged *state, const struct judged *now,
                                 const struct request *q)
{
    const struct checkpoint *a = &state->checkpoint, *b = &now->checkpoint;

    if (strcmp(a->origin, b->origin) != 0)
        return say(w, LIAISON_FORK,
                   "%s is another log than %s, which this witness watches: make a new "
                   "state (move %s aside) once its "
                   "first entry was seen to name the last checkpoint of the old one",
                   b->origin, a->origin, w->state);
    if (b->size > a->size && q->old != a->size)
        return say(w, LIAISON_STALE,
                   "it was asked from %llu entries on, and this witness has "
                   "cosigned %llu: %s witness request %llu",
                   (unsigned long long)q->old, (unsigned long long)a->size, w->program,
                   (unsigned long long)a->size);
    return merkle_check_growth(h, a->size, a->root, b->size, b->root,
                               b->size == a->size ? slice(NULL, 0)
                                                  : slice(q->proof, q->proof_n))
               ? LIAISON_OK
               : forked(w, state, now, q);
}

/* What was cosigned last. state->note.p NULL: nothing yet. */
static enum liaison_code read_state(struct witness *w, struct judged *state)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    struct slice note = {0};
    enum liaison_code code = disk_read(w->state, NOTE_BYTES_MAX, &bytes, &n);

    *state = (struct judged){0};
    if (code == LIAISON_NOT_FOUND)
        return LIAISON_OK;
    if (code != LIAISON_OK)
        return say(w, code, "%s: %s", w->state,
                   code == LIAISON_FILE ? strerror(errno) : err_text(code));
    code = give(w, slice(bytes, n), &note);
    free(bytes);
    return code == LIAISON_OK ? judge(w, note, w->state, state) : code;
}

/* The note with our cosignature; it is the state before it is given. */
static enum liaison_code sign_and_keep(struct witness *w,
                                       const struct note_signer *signer,
                                       struct slice note, struct slice *out)
{
    struct note parsed;
    char line[NOTE_LINE_MAX];
    size_t line_n = 0;
    enum liaison_code code = note_parse(note, &parsed);

    if (code == LIAISON_OK)
        code = note_sign(signer, parsed.text, (uint64_t)time(NULL), line, &line_n);
    uint8_t *bytes = code == LIAISON_OK ? arena_alloc(w->arena, note.n + line_n) : NULL;

    if (bytes == NULL)
        return say(w, LIAISON_INTERNAL, "the cosignature could not be made");
    memcpy(bytes, note.p, note.n);
    memcpy(bytes + note.n, line, line_n);
    *out = slice(bytes, note.n + line_n);
    return disk_replace(w->state, *out) == LIAISON_OK
               ? LIAISON_OK
               : say(w, LIAISON_FILE, "%s: %s", w->state, strerror(errno));
}

static enum liaison_code cosign_locked(struct witness *w, struct hash *h,
                                       const struct note_signer *signer,
                                       const struct request *q, struct slice *out)
{
    struct judged state, now;
    enum liaison_code code = judge(w, q->note, "what is to be cosigned", &now);

    if (code == LIAISON_OK)
        code = read_state(w, &state);
    if (code == LIAISON_OK && state.note.p == NULL)
        w->first = true;
    else if (code == LIAISON_OK)
        code = extends(w, h, &state, &now, q);
    return code == LIAISON_OK ? sign_and_keep(w, signer, q->note, out) : code;
}

/* One at a time, whoever else runs. */
static enum liaison_code cosign(struct witness *w, const struct request *q,
                                struct slice *out)
{
    struct note_signer signer = {0};
    struct hash *h = hash_new();
    enum liaison_code code = h == NULL
                                 ? say(w, LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY))
                                 : load_key(w, &signer);

    if (code == LIAISON_OK) {
        int lock = disk_lock(w->state);

        code = cosign_locked(w, h, &signer, q, out);
        disk_unlock(lock);
    }
    OPENSSL_cleanse(&signer, sizeof signer);
    hash_free(h);
    return code;
}

/* ---------------------------------------------------------------- asking the broker */

static const Liaison__V1__Proof *proof_of(struct witness *w,
                                          const struct liaison_answer *answer)
{
    size_t len;
    const uint8_t *bytes = liaison_answer_frame(answer, &len);
    const void *m = NULL;

    if (valid_decode(&liaison__v1__frame__descriptor, slice(bytes, len), w->arena, &m) !=
        LIAISON_OK)
        return NULL;
    const Liaison__V1__Frame *f = m;

    return f->body_case == LIAISON__V1__FRAME__BODY_PROOF ? f->proof : NULL;
}

/* The broker's newest checkpoint, and that it extends `old`; in the arena. */
static enum liaison_code fetch(struct witness *w, uint64_t old, struct request *out)
{
    struct liaison_answer *answer = NULL;
    enum liaison_code code = liaison_prove(w->lib, NULL, 0, old, 0, &answer);

    if (code == LIAISON_NOT_FOUND &&
        old !=
            0) { /* its log is smaller than what was cosigned: that is to be looked at */
        liaison_answer_free(answer);
        answer = NULL;
        old = 0;
        code = liaison_prove(w->lib, NULL, 0, old, 0, &answer);
    }
    const Liaison__V1__Proof *p = code == LIAISON_OK ? proof_of(w, answer) : NULL;

    if (code != LIAISON_OK)
        lib_said(w, code);
    else if (p == NULL || p->consistency.len > sizeof out->proof)
        code = say(w, LIAISON_MALFORMED, "the broker's proof cannot be read");
    if (code == LIAISON_OK) {
        *out = (struct request){.old = old,
                                .note = slice(p->checkpoint.data, p->checkpoint.len)};
        code = give(w, out->note, &out->note);
    }
    if (code == LIAISON_OK && old != 0 &&
        p->consistency.len > 0) { /* from nothing anything follows */
        memcpy(out->proof, p->consistency.data, p->consistency.len);
        out->proof_n = p->consistency.len;
    }
    liaison_answer_free(answer);
    return code;
}

enum liaison_code witness_hand_in(struct witness *w, struct slice note)
{
    enum liaison_code code = liaison_cosign(w->lib, note.p, note.n);

    return code == LIAISON_OK ? code : lib_said(w, code);
}

enum liaison_code witness_run(struct witness *w, struct slice *out)
{
    struct judged state, now;
    struct request q;
    struct slice note = {0};
    char line[NOTE_NAME_MAX + 64];
    enum liaison_code code = read_state(w, &state);

    if (code == LIAISON_OK)
        code = fetch(w, state.note.p == NULL ? 0 : state.checkpoint.size, &q);
    if (code == LIAISON_OK)
        code = cosign(w, &q, &note);
    if (code == LIAISON_OK)
        code = witness_hand_in(w, note);
    if (code == LIAISON_OK)
        code = judge(w, note, "what was cosigned", &now);
    if (code != LIAISON_OK)
        return code;
    snprintf(line, sizeof line, "cosigned %s at %llu entries\n", now.checkpoint.origin,
             (unsigned long long)now.checkpoint.size);
    return give(w, slice_text(line), out);
}

enum liaison_code witness_request(struct witness *w, const char *size, struct slice *out)
{
    struct request q;
    uint64_t old = 0;

    if (size == NULL || !number_of(slice_text(size), &old))
        return say(w, LIAISON_USAGE,
                   "from how many entries on? what the witness has cosigned last, 0 if "
                   "nothing");
    enum liaison_code code = fetch(w, old, &q);
    char *text = code == LIAISON_OK ? arena_alloc(w->arena, WITNESS_REQUEST_MAX) : NULL;

    if (code == LIAISON_OK && text == NULL)
        return say(w, LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    if (code != LIAISON_OK)
        return code;
    size_t n = (size_t)sprintf(text, "old %llu\n", (unsigned long long)q.old);

    for (size_t i = 0; i < q.proof_n; i += HASH_BYTES) {
        base64_encode(slice(q.proof + i, HASH_BYTES), text + n);
        n += strlen(text + n);
        text[n++] = '\n';
    }
    text[n++] = '\n';
    memcpy(text + n, q.note.p,
           q.note.n); /* a note that the policy judged: at most NOTE_BYTES_MAX */
    *out = slice(text, n + q.note.n);
    return LIAISON_OK;
}

enum liaison_code witness_sign(struct witness *w, const char *what, struct slice request,
                               struct slice *out)
{
    struct request q;

    if (!read_request(request, &q))
        return say(w, LIAISON_MALFORMED,
                   "%s: neither a request to a witness nor a signed note", what);
    return cosign(w, &q, out);
}
