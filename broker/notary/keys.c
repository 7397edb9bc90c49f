/* Rotation, in steps that each leave a file whole:
 *
 *   one key                       -> two keys: begun
 *   two keys, no rotation of them -> two keys and the rotation that both have signed
 *   two keys and their rotation   -> the new key and the rotation that says where it begins
 *
 * Whoever finds two keys goes on from there; nothing is signed in between. */
#include "broker/notary/keys.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "broker/notary/file.h"
#include "proto/err.h"

static enum liaison_code failed(enum liaison_code code, const char *path, char *why,
                                size_t why_len)
{
    snprintf(why, why_len, "%s: %s", path, err_text(code));
    return code;
}

bool keys_rotation_file(const char *key_file, char *out, size_t out_len)
{
    int n = snprintf(out, out_len, "%s.rotation", key_file);

    return n > 0 && (size_t)n < out_len;
}

void keys_wipe(struct keys *k)
{
    OPENSSL_cleanse(k, sizeof *k);
}

bool keys_begin_above(const struct keys *k, uint64_t size)
{
    return k->rotation_len > 0 && size <= k->rotated.size;
}

/* ------------------------------------------------------------ reading */

enum liaison_code keys_parse(const char *text, struct keys *out)
{
    char line[NOTE_SIGNER_TEXT_MAX];
    struct keys k = {0};
    enum liaison_code code = LIAISON_OK;

    while (*text != '\0' && code == LIAISON_OK) {
        size_t n = strcspn(text, "\n");
        struct note_signer *s = &k.signer[k.n];

        if (k.n == 2 || text[n] != '\n' || n >= sizeof line) {
            code = LIAISON_CONFIG;
            break;
        }
        memcpy(line, text, n);
        line[n] = '\0';
        if (note_signer_parse(line, s) != LIAISON_OK || s->key.type != NOTE_ED25519 ||
            (k.n > 0 && strcmp(s->key.name, k.signer[0].key.name) != 0))
            code = LIAISON_CONFIG;
        k.n++;
        text += n + 1;
    }
    if (k.n == 0)
        code = LIAISON_CONFIG;
    if (code == LIAISON_OK)
        *out = k;
    OPENSSL_cleanse(line, sizeof line);
    keys_wipe(&k);
    return code;
}

/* The rotation is believed if it leads to our newest key and that key has signed it. */
static enum liaison_code take_rotation(struct keys *k, size_t n)
{
    const struct note_key *newest = &k->signer[k->n - 1].key;
    struct note_verdict verdict = {0};
    struct note_rotation r;
    struct note note;
    enum liaison_code code = note_parse(slice(k->rotation, n), &note);

    if (code == LIAISON_OK)
        code = note_rotation_parse(note.text, &r);
    if (code == LIAISON_OK)
        code = note_verify(&note, newest, 1, &verdict);
    if (code == LIAISON_MEMORY)
        return code;
    if (code == LIAISON_OK && verdict.signed_by && strcmp(r.origin, newest->name) == 0 &&
        memcmp(r.key.public, newest->public, sizeof newest->public) == 0) {
        k->rotated = r;
        k->rotation_len = n;
        return LIAISON_OK;
    }
    return k->n == 2 ? LIAISON_OK /* the one before the one that has begun */
                     : LIAISON_CONFIG;
}

static enum liaison_code read_rotation(const char *key_file, struct keys *k, char *why,
                                       size_t why_len)
{
    char path[PATH_MAX], text[sizeof k->rotation + 1];
    size_t n = 0;
    bool found = false;
    enum liaison_code code = LIAISON_CONFIG;

    if (!keys_rotation_file(key_file, path, sizeof path))
        return failed(code, key_file, why, why_len);
    code = file_read(path, text, sizeof k->rotation, &n, &found, why, why_len);
    if (code != LIAISON_OK || !found)
        return code;
    memcpy(k->rotation, text, n);
    code = take_rotation(k, n);
    if (code != LIAISON_OK)
        snprintf(why, why_len, "%s: not the rotation to the key in %s", path, key_file);
    return code;
}

enum liaison_code keys_read(const char *key_file, struct keys *out, char *why,
                            size_t why_len)
{
    char text[KEYS_TEXT_MAX + 1];
    size_t n = 0;
    bool found = false;
    enum liaison_code code =
        file_read(key_file, text, KEYS_TEXT_MAX, &n, &found, why, why_len);

    *out = (struct keys){0};
    if (code == LIAISON_OK && found) {
        code = strlen(text) == n ? keys_parse(text, out) : LIAISON_CONFIG;
        if (code != LIAISON_OK)
            snprintf(why, why_len,
                     "%s: not a log's key (one line PRIVATE+KEY+... is wanted)",
                     key_file);
    }
    OPENSSL_cleanse(text, sizeof text);
    return code == LIAISON_OK && found ? read_rotation(key_file, out, why, why_len)
                                       : code;
}

/* ------------------------------------------------------------ writing */

/* Puts these keys into the file, a line each. */
static enum liaison_code put_keys(const char *key_file, const struct note_signer *first,
                                  size_t n, enum file_old old, char *why, size_t why_len)
{
    char text[KEYS_TEXT_MAX + 1];
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        note_signer_print(&first[i], text + len);
        len += strlen(text + len);
        text[len++] = '\n';
    }
    enum liaison_code code = file_put(key_file, slice(text, len), old, why, why_len);

    OPENSSL_cleanse(text, sizeof text);
    return code;
}

static enum liaison_code draw(const char *name, struct note_signer *out, char *why,
                              size_t why_len)
{
    struct hash *h = hash_new();
    enum liaison_code code =
        h == NULL ? LIAISON_MEMORY : note_signer_make(h, name, NOTE_ED25519, out);

    hash_free(h);
    if (code == LIAISON_FIELD)
        code = LIAISON_CONFIG;
    return code == LIAISON_OK ? code : failed(code, name, why, why_len);
}

enum liaison_code keys_make(const char *key_file, const char *name, char *why,
                            size_t why_len)
{
    struct note_signer s = {0};
    enum liaison_code code = draw(name, &s, why, why_len);

    if (code == LIAISON_OK)
        code = put_keys(key_file, &s, 1, FILE_LET_GO, why, why_len);
    OPENSSL_cleanse(&s, sizeof s);
    return code;
}

enum liaison_code keys_begin_rotation(const char *key_file, struct keys *k, char *why,
                                      size_t why_len)
{
    if (k->n == 2)
        return LIAISON_OK;
    enum liaison_code code = draw(k->signer[0].key.name, &k->signer[1], why, why_len);

    if (code == LIAISON_OK)
        code = put_keys(key_file, k->signer, 2, FILE_WIPE, why, why_len);
    if (code != LIAISON_OK)
        return code;
    k->n = 2;
    k->rotation_len = 0;
    return LIAISON_OK;
}

/* Two lines under one text: the old key's and the new one's. */
static enum liaison_code sign_rotation(struct keys *k)
{
    size_t text = note_rotation_print(&k->rotated, k->rotation), n = text;

    k->rotation[n++] = '\n';
    for (size_t i = 0; i < 2; i++) {
        size_t line;
        enum liaison_code code =
            note_sign(&k->signer[i], slice(k->rotation, text), 0, k->rotation + n, &line);

        if (code != LIAISON_OK)
            return code;
        n += line;
    }
    k->rotation_len = n;
    return LIAISON_OK;
}

static enum liaison_code keep_rotation(const char *key_file, struct keys *k,
                                       uint64_t size, char *why, size_t why_len)
{
    char path[PATH_MAX];

    k->rotated = (struct note_rotation){.size = size, .key = k->signer[1].key};
    memcpy(k->rotated.origin, k->signer[0].key.name, sizeof k->rotated.origin);
    enum liaison_code code = sign_rotation(k);

    if (code != LIAISON_OK || !keys_rotation_file(key_file, path, sizeof path))
        return failed(code != LIAISON_OK ? code : LIAISON_CONFIG, key_file, why, why_len);
    return file_put(path, slice(k->rotation, k->rotation_len), FILE_LET_GO, why, why_len);
}

enum liaison_code keys_end_rotation(const char *key_file, struct keys *k, uint64_t size,
                                    char *why, size_t why_len)
{
    enum liaison_code code = LIAISON_OK;

    if (k->n != 2)
        return code;
    if (k->rotation_len == 0)
        code = keep_rotation(key_file, k, size, why, why_len);
    if (code == LIAISON_OK)
        code = put_keys(key_file, &k->signer[1], 1, FILE_WIPE, why, why_len);
    if (code != LIAISON_OK)
        return code;
    k->signer[0] = k->signer[1];
    OPENSSL_cleanse(&k->signer[1], sizeof k->signer[1]);
    k->n = 1;
    return LIAISON_OK;
}
