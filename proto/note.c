#include "proto/note.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base64.h"
#include "proto/ed25519.h"
#include "proto/note_inner.h"

enum {
    KEY_ID = 4,
    TIME_BYTES = 8,
    SIGNED_MAX =
        KEY_ID + TIME_BYTES + ED25519_SIGNATURE, /* what a line of ours decodes to */
    COSIGNED_HEAD_MAX = sizeof "cosignature/v1\ntime \n" + NOTE_NUMBER_TEXT,
};

static const char DASH[] = "\xe2\x80\x94 "; /* U+2014 and a space */
static const char COSIGNATURE[] = "cosignature/v1\n";

/* ------------------------------------------------------------ taking apart */

/* Takes one signature line off the front of *rest. */
static enum liaison_code take_signature(struct slice *rest, struct note_line *out)
{
    struct slice line, whole = *rest;
    const uint8_t *space;
    size_t len;

    if (!note_take_line(rest, &line))
        return LIAISON_MALFORMED;
    out->whole = slice(whole.p, line.n + 1);
    if (!note_take(&line, DASH) || line.n == 0 ||
        (space = memchr(line.p, ' ', line.n)) == NULL)
        return LIAISON_MALFORMED;
    out->name = slice(line.p, (size_t)(space - line.p));
    out->base64 = slice(space + 1, line.n - out->name.n - 1);
    return note_name_ok(out->name) &&
                   base64_decode(out->base64, out->id, sizeof out->id, &len) &&
                   len > KEY_ID
               ? LIAISON_OK
               : LIAISON_MALFORMED;
}

/* Where the text ends, just before the note's last empty line; 0: nowhere. */
static size_t text_end(struct slice bytes)
{
    for (size_t i = bytes.n; i >= 2; i--)
        if (bytes.p[i - 1] == '\n' && bytes.p[i - 2] == '\n')
            return i - 1;
    return 0;
}

enum liaison_code note_parse(struct slice bytes, struct note *out)
{
    size_t end;
    struct slice rest;

    if (bytes.n > NOTE_BYTES_MAX)
        return LIAISON_LIMIT;
    end = text_end(bytes);
    if (end == 0 || end + 1 == bytes.n || !note_text_ok(bytes))
        return LIAISON_MALFORMED;
    out->text = slice(bytes.p, end);
    out->n = 0;
    rest = slice(bytes.p + end + 1, bytes.n - end - 1);
    while (rest.n > 0) {
        enum liaison_code code;

        if (out->n == NOTE_SIGNATURES_MAX)
            return LIAISON_LIMIT;
        code = take_signature(&rest, &out->lines[out->n]);
        if (code != LIAISON_OK)
            return code;
        out->n++;
    }
    return LIAISON_OK;
}

/* ------------------------------------------------------------ verifying */

/* What a key of this type signs for `text`. Gives: *buffer, to be freed, or NULL. Errors: LIAISON_MEMORY. */
static enum liaison_code signed_bytes(enum note_type type, struct slice text,
                                      uint64_t time_s, char **buffer, struct slice *out)
{
    *buffer = NULL;
    *out = text;
    if (type != NOTE_COSIGNATURE)
        return LIAISON_OK;
    *buffer = malloc(COSIGNED_HEAD_MAX + text.n);
    if (*buffer == NULL)
        return LIAISON_MEMORY;
    size_t n = (size_t)snprintf(*buffer, COSIGNED_HEAD_MAX, "%stime %" PRIu64 "\n",
                                COSIGNATURE, time_s);

    memcpy(*buffer + n, text.p, text.n);
    *out = slice(*buffer, n + text.n);
    return LIAISON_OK;
}

static enum liaison_code check(const struct note_key *k, struct slice text,
                               uint64_t time_s, struct slice signature)
{
    char *buffer;
    struct slice message;
    enum liaison_code code = signed_bytes(k->type, text, time_s, &buffer, &message);

    if (code == LIAISON_OK)
        code = ed25519_verify(k->public, message, signature);
    free(buffer);
    return code;
}

/* Verifies a line that names this key. */
static enum liaison_code check_line(const struct note_key *k, struct slice text,
                                    const struct note_line *line, uint64_t *time_s)
{
    uint8_t bytes[SIGNED_MAX];
    size_t len, head = KEY_ID + (k->type == NOTE_COSIGNATURE ? TIME_BYTES : 0);

    if (!base64_decode(line->base64, bytes, sizeof bytes, &len) ||
        len != head + ED25519_SIGNATURE)
        return LIAISON_SIGNATURE;
    *time_s = k->type == NOTE_COSIGNATURE ? be64_get(bytes + KEY_ID) : 0;
    if (*time_s > INT64_MAX)
        return LIAISON_SIGNATURE;
    return check(k, text, *time_s, slice(bytes + head, ED25519_SIGNATURE));
}

static bool names(const struct note_line *line, const struct note_key *k)
{
    return memcmp(line->id, k->id, sizeof k->id) == 0 &&
           slice_equal(line->name, slice_text(k->name));
}

/* Verifies the line by the key that it names. One that could be of two keys is of neither. */
static enum liaison_code hear_line(const struct note *n, const struct note_line *line,
                                   const struct note_key *keys, size_t n_keys,
                                   struct note_verdict *verdicts)
{
    size_t by = n_keys;
    uint64_t time_s;
    enum liaison_code code;

    for (size_t i = 0; i < n_keys; i++) {
        if (!names(line, &keys[i]))
            continue;
        if (by != n_keys)
            return LIAISON_SIGNATURE;
        by = i;
    }
    if (by == n_keys)
        return LIAISON_OK;
    code = check_line(&keys[by], n->text, line, &time_s);
    if (code != LIAISON_OK)
        return code;
    verdicts[by].signed_by = true;
    if (time_s > verdicts[by].time_s)
        verdicts[by].time_s = time_s;
    return LIAISON_OK;
}

enum liaison_code note_verify(const struct note *n, const struct note_key *keys,
                              size_t n_keys, struct note_verdict *verdicts)
{
    for (size_t i = 0; i < n_keys; i++)
        verdicts[i] = (struct note_verdict){0};
    for (size_t i = 0; i < n->n; i++) {
        enum liaison_code code = hear_line(n, &n->lines[i], keys, n_keys, verdicts);

        if (code != LIAISON_OK)
            return code;
    }
    return LIAISON_OK;
}

/* ------------------------------------------------------------ signing */

/* Is it a text that a key of this type may sign? A log's key signs nothing that could be taken for a cosignature. */
static bool may_sign(enum note_type type, struct slice text, uint64_t time_s)
{
    struct slice head = text;

    if (text.n == 0 || text.p[text.n - 1] != '\n' || !note_text_ok(text))
        return false;
    return type == NOTE_COSIGNATURE ? time_s <= INT64_MAX
                                    : !note_take(&head, COSIGNATURE);
}

/* Signs, and verifies with the public key: a fault in between must not leave the process as a signature. */
static enum liaison_code sign_text(const struct note_signer *s, struct slice text,
                                   uint64_t time_s, uint8_t signature[ED25519_SIGNATURE])
{
    char *buffer;
    struct slice message;
    enum liaison_code code = signed_bytes(s->key.type, text, time_s, &buffer, &message);

    if (code == LIAISON_OK)
        code = ed25519_sign(s->seed, message, signature);
    free(buffer);
    if (code == LIAISON_OK)
        code = check(&s->key, text, time_s, slice(signature, ED25519_SIGNATURE));
    return code == LIAISON_SIGNATURE ? LIAISON_INTERNAL : code;
}

enum liaison_code note_sign(const struct note_signer *s, struct slice text,
                            uint64_t time_s, char line[NOTE_LINE_MAX], size_t *line_len)
{
    uint8_t bytes[SIGNED_MAX];
    size_t n = sizeof s->key.id, at = strlen(DASH), name = strlen(s->key.name);
    enum liaison_code code;

    if (!may_sign(s->key.type, text, time_s))
        return LIAISON_INTERNAL;
    memcpy(bytes, s->key.id, n);
    if (s->key.type == NOTE_COSIGNATURE) {
        be64_put(bytes + n, time_s);
        n += TIME_BYTES;
    }
    code = sign_text(s, text, time_s, bytes + n);
    if (code != LIAISON_OK)
        return code;
    memcpy(line, DASH, at);
    memcpy(line + at, s->key.name, name);
    at += name;
    line[at++] = ' ';
    at += base64_encode(slice(bytes, n + ED25519_SIGNATURE), line + at);
    line[at++] = '\n';
    *line_len = at;
    return LIAISON_OK;
}
