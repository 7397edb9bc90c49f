#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "proto/base64.h"
#include "proto/ed25519.h"
#include "proto/note_inner.h"

enum { KEY_BYTES = 1 + ED25519_KEY, ID_HEX = 8 };

static const char PRIVATE[] = "PRIVATE+KEY+";

/* The first four bytes of SHA-256(name || LF || type || public). Errors: LIAISON_MEMORY. */
static enum liaison_code make_id(struct note_key *k)
{
    uint8_t bytes[NOTE_NAME_MAX + 2 + ED25519_KEY], digest[HASH_BYTES];
    size_t n = strlen(k->name);

    memcpy(bytes, k->name, n);
    bytes[n++] = '\n';
    bytes[n++] = (uint8_t)k->type;
    memcpy(bytes + n, k->public, sizeof k->public);
    if (EVP_Q_digest(NULL, "SHA256", NULL, bytes, n + sizeof k->public, digest, NULL) !=
        1)
        return LIAISON_MEMORY;
    memcpy(k->id, digest, sizeof k->id);
    return LIAISON_OK;
}

/* The parts of `NAME+ID+BASE64(type || 32 bytes)`: what a vkey and a private key share. */
struct parts {
    char name[NOTE_NAME_MAX + 1];
    struct slice id;
    enum note_type type;
    uint8_t key[ED25519_KEY];
};

static enum liaison_code take_apart(struct slice text, struct parts *out)
{
    const uint8_t *plus = text.n == 0 ? NULL : memchr(text.p, '+', text.n);
    size_t n = plus == NULL ? 0 : (size_t)(plus - text.p), len;
    uint8_t bytes[KEY_BYTES] = {0};
    enum liaison_code code = LIAISON_FIELD;

    if (plus == NULL || text.n - n < 1 + ID_HEX + 1 || plus[1 + ID_HEX] != '+' ||
        !note_name_copy(slice(text.p, n), out->name))
        return LIAISON_FIELD;
    out->id = slice(plus + 1, ID_HEX);
    plus += 1 + ID_HEX + 1;
    if (base64_decode(slice(plus, text.n - n - 1 - ID_HEX - 1), bytes, sizeof bytes,
                      &len) &&
        len > 1) {
        out->type = (enum note_type)bytes[0];
        memcpy(out->key, bytes + 1, sizeof out->key);
        if (bytes[0] != NOTE_ED25519 && bytes[0] != NOTE_COSIGNATURE)
            code = LIAISON_UNSUPPORTED;
        else
            code = len == KEY_BYTES ? LIAISON_OK : LIAISON_FIELD;
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    return code;
}

static void id_hex(const struct note_key *k, char out[ID_HEX + 1])
{
    snprintf(out, ID_HEX + 1, "%02x%02x%02x%02x", k->id[0], k->id[1], k->id[2], k->id[3]);
}

/* Fills a key of these parts and checks the id that was written beside it. */
static enum liaison_code fill(const struct parts *p, const uint8_t public[ED25519_KEY],
                              struct note_key *out)
{
    struct note_key k = {.type = p->type};
    char hex[ID_HEX + 1];

    memcpy(k.name, p->name, sizeof k.name);
    memcpy(k.public, public, sizeof k.public);
    if (ed25519_weak(k.public))
        return LIAISON_FIELD;
    if (make_id(&k) != LIAISON_OK)
        return LIAISON_MEMORY;
    id_hex(&k, hex);
    if (!slice_equal(p->id, slice(hex, ID_HEX)))
        return LIAISON_FIELD;
    *out = k;
    return LIAISON_OK;
}

enum liaison_code note_key_read(struct slice text, struct note_key *out)
{
    struct parts p = {0};
    enum liaison_code code = take_apart(text, &p);

    return code == LIAISON_OK ? fill(&p, p.key, out) : code;
}

enum liaison_code note_key_parse(const char *text, struct note_key *out)
{
    return note_key_read(slice_text(text), out);
}

bool note_key_equal(const struct note_key *a, const struct note_key *b)
{
    return a->type == b->type && strcmp(a->name, b->name) == 0 &&
           memcmp(a->public, b->public, sizeof a->public) == 0;
}

/* Prints `NAME+ID+BASE64(type || 32 bytes)`. */
static void put_together(const struct note_key *k, const uint8_t key[ED25519_KEY],
                         char out[NOTE_KEY_TEXT_MAX])
{
    uint8_t bytes[KEY_BYTES] = {(uint8_t)k->type};
    char hex[ID_HEX + 1], base64[BASE64_LEN(KEY_BYTES) + 1];

    memcpy(bytes + 1, key, ED25519_KEY);
    base64_encode(slice(bytes, sizeof bytes), base64);
    id_hex(k, hex);
    snprintf(out, NOTE_KEY_TEXT_MAX, "%s+%s+%s", k->name, hex, base64);
    OPENSSL_cleanse(bytes, sizeof bytes);
    OPENSSL_cleanse(base64, sizeof base64);
}

void note_key_print(const struct note_key *k, char out[NOTE_KEY_TEXT_MAX])
{
    put_together(k, k->public, out);
}

enum liaison_code note_signer_make(struct hash *h, const char *name, enum note_type type,
                                   struct note_signer *out)
{
    struct note_signer s = {.key.type = type};
    enum liaison_code code = LIAISON_FIELD;

    if (!note_name_copy(slice_text(name), s.key.name))
        goto out;
    hash_random(h, s.seed, sizeof s.seed);
    code = ed25519_public(s.seed, s.key.public);
    if (code == LIAISON_OK)
        code = make_id(&s.key);
    if (code == LIAISON_OK)
        *out = s;
out:
    OPENSSL_cleanse(&s, sizeof s);
    return code;
}

enum liaison_code note_signer_parse(const char *text, struct note_signer *out)
{
    struct slice rest = slice_text(text);
    struct parts p = {0};
    struct note_key key;
    uint8_t public[ED25519_KEY];
    enum liaison_code code = LIAISON_FIELD;

    if (note_take(&rest, PRIVATE))
        code = take_apart(rest, &p);
    if (code == LIAISON_OK)
        code = ed25519_public(p.key, public);
    if (code == LIAISON_OK)
        code = fill(&p, public, &key);
    if (code == LIAISON_OK) {
        out->key = key;
        memcpy(out->seed, p.key, sizeof out->seed);
    }
    OPENSSL_cleanse(&p, sizeof p);
    return code;
}

void note_signer_print(const struct note_signer *s, char out[NOTE_SIGNER_TEXT_MAX])
{
    memcpy(out, PRIVATE, sizeof PRIVATE);
    put_together(&s->key, s->seed, out + strlen(PRIVATE));
}
