#include "client/lib/seal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "client/lib/der.h"
#include "proto/valid.h"

enum {
    CEK_BYTES = 32,
    WRAPPED_BYTES = CEK_BYTES + 8,
    NONCE_BYTES = 12,
    TAG_BYTES = 16,
    POINT_BYTES = 65,    /* 0x04, X, Y */
    SECRET_BYTES = 32,   /* X of the shared point */
    OVERHEAD_BYTES = 384 /* all of the structure but recipient's name and content */
};

/* The fixed parts of the profile, as they stand in the structure. */
#define BYTES(name, ...) static const uint8_t name[] = {__VA_ARGS__}
#define ID_AES256_WRAP   0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2d

/* 1.2.840.113549.1.9.16.1.23, id-ct-authEnvelopedData */
BYTES(OID_AUTH_ENVELOPED, 0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09,
      0x10, 0x01, 0x17);
/* 1.2.840.113549.1.7.1, id-data */
BYTES(OID_DATA, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01);
BYTES(VERSION_0, 0x02, 0x01, 0x00);
BYTES(VERSION_3, 0x02, 0x01, 0x03);
/* AlgorithmIdentifier: id-ecPublicKey, parameters absent (RFC 5753, 3.1.1) */
BYTES(EC_PUBLIC_KEY, 0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01);
/* AlgorithmIdentifier: 1.3.132.1.11.1, dhSinglePass-stdDH-sha256kdf-scheme, with id-aes256-wrap */
BYTES(KEY_AGREEMENT, 0x30, 0x15, 0x06, 0x06, 0x2b, 0x81, 0x04, 0x01, 0x0b, 0x01, 0x30,
      0x0b, ID_AES256_WRAP);
/* id-aes256-GCM and the start of its parameters; then nonce, then the tag's length */
BYTES(GCM_HEAD, 0x30, 0x1e, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01,
      0x2e, 0x30, 0x11, 0x04, NONCE_BYTES);
BYTES(GCM_TAG_16, 0x02, 0x01, TAG_BYTES);
/* ECC-CMS-SharedInfo: id-aes256-wrap, 256 bits (RFC 5753, 7.2) */
BYTES(SHARED_INFO, 0x30, 0x15, 0x30, 0x0b, ID_AES256_WRAP, 0xa2, 0x06, 0x04, 0x04, 0x00,
      0x00, 0x01, 0x00);

#define FIXED(name) slice(name, sizeof(name))

struct seal {
    EVP_CIPHER *wrap, *gcm;
    EVP_CIPHER_CTX *cipher;
    EVP_PKEY_CTX *maker; /* of ephemeral keys */
    struct hash *hash;
};

struct seal_reader {
    EVP_PKEY *key;
    uint8_t sha256[HASH_BYTES];
    size_t name_len;
    uint8_t name[]; /* IssuerAndSerialNumber, DER */
};

enum liaison_code seal_new(struct seal **out)
{
    struct seal *s = calloc(1, sizeof *s);

    if (s == NULL)
        return LIAISON_MEMORY;
    s->wrap = EVP_CIPHER_fetch(NULL, "AES-256-WRAP", NULL);
    s->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    s->cipher = EVP_CIPHER_CTX_new();
    s->maker = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    s->hash = hash_new();
    if (s->wrap == NULL || s->gcm == NULL || s->cipher == NULL || s->maker == NULL ||
        s->hash == NULL || EVP_PKEY_keygen_init(s->maker) != 1 ||
        EVP_PKEY_CTX_set_group_name(s->maker, "P-256") != 1) {
        seal_free(s);
        return LIAISON_MEMORY;
    }
    *out = s;
    return LIAISON_OK;
}

void seal_free(struct seal *s)
{
    if (s == NULL)
        return;
    EVP_CIPHER_free(s->wrap);
    EVP_CIPHER_free(s->gcm);
    EVP_CIPHER_CTX_free(s->cipher);
    EVP_PKEY_CTX_free(s->maker);
    hash_free(s->hash);
    free(s);
}

/* ---------------------------------------------------------------- readers */

static bool p256(EVP_PKEY *key)
{
    char group[32];
    size_t len;

    return key != NULL && EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

/* IssuerAndSerialNumber of a certificate, into a fresh reader. */
static struct seal_reader *reader_named(X509 *x)
{
    uint8_t *issuer = NULL, *serial = NULL;
    int issuer_len = i2d_X509_NAME(X509_get_issuer_name(x), &issuer);
    int serial_len = i2d_ASN1_INTEGER(X509_get0_serialNumber(x), &serial);
    size_t room = issuer_len > 0 && serial_len > 0
                      ? (size_t)issuer_len + (size_t)serial_len + 8
                      : 0;
    struct seal_reader *r = room > 0 ? calloc(1, sizeof *r + room) : NULL;

    if (r != NULL) {
        struct der_out o = der_begin(r->name, room);

        der_put(&o, slice(serial, (size_t)serial_len));
        der_put(&o, slice(issuer, (size_t)issuer_len));
        der_head(&o, DER_SEQUENCE, o.end);
        r->name_len = (size_t)(o.end - o.at);
        memmove(r->name, o.at, r->name_len);
    }
    OPENSSL_free(issuer);
    OPENSSL_free(serial);
    return r;
}

enum liaison_code seal_reader_new(struct seal *s, struct slice certificate,
                                  struct seal_reader **out)
{
    const unsigned char *p = certificate.p;
    X509 *x = certificate.n > INT32_MAX ? NULL : d2i_X509(NULL, &p, (long)certificate.n);
    enum liaison_code code = LIAISON_SEAL;

    if (x != NULL && p == certificate.p + certificate.n && p256(X509_get0_pubkey(x))) {
        struct seal_reader *r = reader_named(x);

        code = r == NULL ? LIAISON_MEMORY : LIAISON_OK;
        if (r != NULL) {
            r->key = X509_get_pubkey(x);
            hash_sha256(s->hash, &certificate, 1, r->sha256);
            *out = r;
        }
    }
    X509_free(x);
    return code;
}

void seal_reader_free(struct seal_reader *r)
{
    if (r == NULL)
        return;
    EVP_PKEY_free(r->key);
    free(r);
}

const uint8_t *seal_reader_sha256(const struct seal_reader *r)
{
    return r->sha256;
}

/* ---------------------------------------------------------------- keys and ciphers */

/* The key-wrapping key that two P-256 keys share (RFC 5753, 3.1; X9.63: one block of SHA-256).
 * A peer from outside was checked to lie on the curve when it was read; with P-256's cofactor of 1 that is enough. */
static bool agree(struct seal *s, EVP_PKEY *own, EVP_PKEY *peer, uint8_t kek[HASH_BYTES])
{
    static const uint8_t COUNTER[] = {0, 0, 0, 1};
    uint8_t secret[SECRET_BYTES];
    size_t len = sizeof secret;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    bool ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
              EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
              EVP_PKEY_derive(ctx, secret, &len) == 1 && len == sizeof secret;

    if (ok)
        hash_sha256(s->hash,
                    (struct slice[]){FIXED(secret), FIXED(COUNTER), FIXED(SHARED_INFO)},
                    3, kek);
    OPENSSL_cleanse(secret, sizeof secret);
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* AES key wrap (RFC 3394), both ways: `out` gets in.n + 8 or in.n - 8 bytes. */
static bool wrap(struct seal *s, bool seal, const uint8_t kek[HASH_BYTES],
                 struct slice in, uint8_t *out)
{
    int len = 0;
    bool ok;

    EVP_CIPHER_CTX_reset(s->cipher);
    EVP_CIPHER_CTX_set_flags(s->cipher, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    ok = EVP_CipherInit_ex2(s->cipher, s->wrap, kek, NULL, seal, NULL) == 1 &&
         EVP_CipherUpdate(s->cipher, out, &len, in.p, (int)in.n) == 1 &&
         (size_t)len == (seal ? in.n + 8 : in.n - 8);
    EVP_CIPHER_CTX_reset(s->cipher);
    return ok;
}

/* AES-256-GCM without additional data, both ways: `tag` is written when sealing and checked when opening. */
static bool gcm(struct seal *s, bool seal, const uint8_t *key, const uint8_t *nonce,
                struct slice in, uint8_t *out, uint8_t tag[TAG_BYTES])
{
    int len = 0, last = 0;
    bool ok;

    EVP_CIPHER_CTX_reset(s->cipher);
    ok = EVP_CipherInit_ex2(s->cipher, s->gcm, key, nonce, seal, NULL) == 1 &&
         (in.n == 0 || EVP_CipherUpdate(s->cipher, out, &len, in.p, (int)in.n) == 1) &&
         (seal ||
          EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1) &&
         EVP_CipherFinal_ex(s->cipher, out + len, &last) == 1 &&
         (size_t)len + (size_t)last == in.n &&
         (!seal ||
          EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1);
    EVP_CIPHER_CTX_reset(s->cipher);
    return ok;
}

/* ---------------------------------------------------------------- closing */

struct envelope {
    uint8_t point[POINT_BYTES], wrapped[WRAPPED_BYTES], nonce[NONCE_BYTES],
        tag[TAG_BYTES];
};

/* A fresh content key, wrapped for the reader under a fresh ephemeral key. */
static bool envelope_make(struct seal *s, const struct seal_reader *to,
                          uint8_t cek[CEK_BYTES], struct envelope *e)
{
    EVP_PKEY *ephemeral = NULL;
    uint8_t kek[HASH_BYTES];
    size_t len = 0;
    bool ok;

    hash_random(s->hash, cek, CEK_BYTES);
    hash_random(s->hash, e->nonce, sizeof e->nonce);
    ok = EVP_PKEY_generate(s->maker, &ephemeral) == 1 &&
         EVP_PKEY_get_octet_string_param(ephemeral, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
                                         e->point, sizeof e->point, &len) == 1 &&
         len == sizeof e->point && e->point[0] == POINT_CONVERSION_UNCOMPRESSED &&
         agree(s, ephemeral, to->key, kek) &&
         wrap(s, true, kek, slice(cek, CEK_BYTES), e->wrapped);
    OPENSSL_cleanse(kek, sizeof kek);
    EVP_PKEY_free(ephemeral);
    return ok;
}

/* What stands before the ciphertext. */
static void put_content(struct der_out *o, const struct envelope *e)
{
    der_put(o, FIXED(GCM_TAG_16));
    der_put(o, slice(e->nonce, sizeof e->nonce));
    der_put(o, FIXED(GCM_HEAD));
    der_put(o, FIXED(OID_DATA));
}

static void put_recipient(struct der_out *o, const struct seal_reader *to,
                          const struct envelope *e)
{
    const uint8_t *end = o->at, *inner;

    der_put(o, slice(e->wrapped, sizeof e->wrapped));
    der_head(o, DER_OCTET_STRING, end);
    der_put(o, slice(to->name, to->name_len));
    der_head(o, DER_SEQUENCE, end); /* RecipientEncryptedKey */
    der_head(o, DER_SEQUENCE, end); /* RecipientEncryptedKeys */
    der_put(o, FIXED(KEY_AGREEMENT));
    inner = o->at;
    der_put(o, slice(e->point, sizeof e->point));
    der_put(o, slice("", 1)); /* no unused bits */
    der_head(o, DER_BIT_STRING, inner);
    der_put(o, FIXED(EC_PUBLIC_KEY));
    der_head(o, DER_CONTEXT_0 | DER_CONSTRUCTED | 1, inner); /* originatorKey */
    der_head(o, DER_CONTEXT_0 | DER_CONSTRUCTED, inner);     /* originator */
    der_put(o, FIXED(VERSION_3));
    der_head(o, DER_CONTEXT_0 | DER_CONSTRUCTED | 1, end); /* kari */
    der_head(o, DER_SET, end);
}

enum liaison_code seal_close(struct seal *s, const struct seal_reader *to,
                             struct slice plain, struct arena *a, struct slice *der)
{
    struct envelope e;
    uint8_t cek[CEK_BYTES];
    size_t room = plain.n + to->name_len + OVERHEAD_BYTES;
    uint8_t *buffer = plain.n > INT32_MAX / 2 ? NULL : arena_alloc(a, room);
    enum liaison_code code = LIAISON_INTERNAL;

    if (buffer == NULL)
        return LIAISON_MEMORY;
    struct der_out o = der_begin(buffer, room);
    uint8_t *ciphertext =
        o.end - 2 - TAG_BYTES - plain.n; /* in its place, before the tag */

    if (!envelope_make(s, to, cek, &e) ||
        !gcm(s, true, cek, e.nonce, plain, ciphertext, e.tag))
        goto out;
    der_put(&o, slice(e.tag, sizeof e.tag));
    der_head(&o, DER_OCTET_STRING, o.end);
    const uint8_t *end = o.at;

    o.at = ciphertext;
    der_head(&o, DER_CONTEXT_0, end);
    put_content(&o, &e);
    der_head(&o, DER_SEQUENCE, end);
    put_recipient(&o, to, &e);
    der_put(&o, FIXED(VERSION_0));
    der_head(&o, DER_SEQUENCE, o.end);
    der_head(&o, DER_CONTEXT_0 | DER_CONSTRUCTED, o.end);
    der_put(&o, FIXED(OID_AUTH_ENVELOPED));
    der_head(&o, DER_SEQUENCE, o.end);
    if (o.full)
        goto out;
    *der = slice(o.at, (size_t)(o.end - o.at));
    code = LIAISON_OK;
out:
    OPENSSL_cleanse(cek, sizeof cek);
    return code;
}

/* ---------------------------------------------------------------- opening */

/* What was found in a structure of the profile; all borrowed from it. */
struct found {
    struct slice point, name, wrapped, nonce, content, tag;
};

static bool find_originator(struct slice *kari, struct found *f)
{
    struct slice originator, key, bits;

    if (!der_take(kari, DER_CONTEXT_0 | DER_CONSTRUCTED, &originator) ||
        !der_take(&originator, DER_CONTEXT_0 | DER_CONSTRUCTED | 1, &key) ||
        originator.n != 0 || !der_expect(&key, FIXED(EC_PUBLIC_KEY)) ||
        !der_take(&key, DER_BIT_STRING, &bits) || key.n != 0 ||
        bits.n != 1 + POINT_BYTES || bits.p[0] != 0 ||
        bits.p[1] != POINT_CONVERSION_UNCOMPRESSED)
        return false;
    f->point = slice(bits.p + 1, POINT_BYTES);
    return true;
}

static bool find_recipient(struct slice recipients, struct found *f)
{
    struct slice kari, keys, key, name;

    if (!der_take(&recipients, DER_CONTEXT_0 | DER_CONSTRUCTED | 1, &kari) ||
        recipients.n != 0 || !der_expect(&kari, FIXED(VERSION_3)) ||
        !find_originator(&kari, f) || !der_expect(&kari, FIXED(KEY_AGREEMENT)) ||
        !der_take(&kari, DER_SEQUENCE, &keys) || kari.n != 0 ||
        !der_take(&keys, DER_SEQUENCE, &key) || keys.n != 0)
        return false;
    f->name = key;
    if (!der_take(&key, DER_SEQUENCE, &name))
        return false;
    f->name.n -= key.n;
    return der_take(&key, DER_OCTET_STRING, &f->wrapped) && key.n == 0 &&
           f->wrapped.n == WRAPPED_BYTES;
}

static bool find_content(struct slice info, struct found *f)
{
    if (!der_expect(&info, FIXED(OID_DATA)) || !der_expect(&info, FIXED(GCM_HEAD)) ||
        info.n < NONCE_BYTES)
        return false;
    f->nonce = slice(info.p, NONCE_BYTES);
    info = slice(info.p + NONCE_BYTES, info.n - NONCE_BYTES);
    return der_expect(&info, FIXED(GCM_TAG_16)) &&
           der_take(&info, DER_CONTEXT_0, &f->content) && info.n == 0;
}

static bool find_all(struct slice der, struct found *f)
{
    struct slice outer, wrapper, data, recipients, info;

    return der_take(&der, DER_SEQUENCE, &outer) && der.n == 0 &&
           der_expect(&outer, FIXED(OID_AUTH_ENVELOPED)) &&
           der_take(&outer, DER_CONTEXT_0 | DER_CONSTRUCTED, &wrapper) && outer.n == 0 &&
           der_take(&wrapper, DER_SEQUENCE, &data) && wrapper.n == 0 &&
           der_expect(&data, FIXED(VERSION_0)) && der_take(&data, DER_SET, &recipients) &&
           find_recipient(recipients, f) && der_take(&data, DER_SEQUENCE, &info) &&
           find_content(info, f) && der_take(&data, DER_OCTET_STRING, &f->tag) &&
           f->tag.n == TAG_BYTES && data.n == 0;
}

/* A public key of these 65 bytes; NULL if they are no point of P-256. */
static EVP_PKEY *point_key(struct slice point)
{
    char group[] = "prime256v1";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                          (void *)(uintptr_t)point.p, point.n),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool unwrap_key(struct seal *s, EVP_PKEY *key, const struct found *f,
                       uint8_t cek[CEK_BYTES])
{
    EVP_PKEY *ephemeral = point_key(f->point);
    uint8_t kek[HASH_BYTES];
    bool ok = ephemeral != NULL && agree(s, key, ephemeral, kek) &&
              wrap(s, false, kek, f->wrapped, cek);

    OPENSSL_cleanse(kek, sizeof kek);
    EVP_PKEY_free(ephemeral);
    return ok;
}

enum liaison_code seal_open(struct seal *s, const struct seal_reader *own, EVP_PKEY *key,
                            struct slice der, uint8_t **plain, size_t *len,
                            const char **why)
{
    struct found f = {0};
    uint8_t cek[WRAPPED_BYTES], tag[TAG_BYTES]; /* unwrapping may use 8 bytes more */
    uint8_t *out;
    bool ok;

    if (der.n > INT32_MAX || !find_all(der, &f)) {
        *why = "the section is not CMS in the one profile that is allowed";
        return LIAISON_SEAL;
    }
    if (!slice_equal(f.name, slice(own->name, own->name_len))) {
        *why = "the section is sealed to another certificate than ours";
        return LIAISON_SEAL;
    }
    out = OPENSSL_malloc(f.content.n + 1);
    if (out == NULL)
        return LIAISON_MEMORY;
    memcpy(tag, f.tag.p, sizeof tag);
    ok =
        unwrap_key(s, key, &f, cek) && gcm(s, false, cek, f.nonce.p, f.content, out, tag);
    OPENSSL_cleanse(cek, sizeof cek);
    if (!ok) {
        OPENSSL_clear_free(out, f.content.n + 1);
        *why =
            "the section does not open with our key: it was altered or sealed to another";
        return LIAISON_SEAL;
    }
    *plain = out;
    *len = f.content.n;
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- sections */

/* protobuf-c's strings are not const; it does not write to them when it packs. */
static char *text(const char *t)
{
    return (char *)(uintptr_t)t;
}

static ProtobufCBinaryData bytes(const void *p, size_t n)
{
    return (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)p};
}

static enum liaison_code close_body(struct seal *s, const struct seal_reader *to,
                                    const struct seal_place *place,
                                    const char *content_type, struct slice content,
                                    struct arena *a, struct slice *der)
{
    Liaison__V1__SectionBody body = LIAISON__V1__SECTION_BODY__INIT;

    body.network = text(place->network);
    body.sender = text(place->sender);
    body.id = bytes(place->id, 16);
    body.reader = text(place->reader);
    body.name = text(place->name);
    body.content_type = text(content_type);
    body.content = bytes(content.p, content.n);
    size_t n = liaison__v1__section_body__get_packed_size(&body);
    uint8_t *plain = OPENSSL_malloc(n);

    if (plain == NULL)
        return LIAISON_MEMORY;
    liaison__v1__section_body__pack(&body, plain);
    enum liaison_code code = seal_close(s, to, slice(plain, n), a, der);

    OPENSSL_clear_free(plain, n);
    return code;
}

enum liaison_code seal_section(struct seal *s, const struct seal_reader *to,
                               const struct seal_place *place, const char *content_type,
                               struct slice content, struct arena *a,
                               Liaison__V1__Section **out)
{
    Liaison__V1__SectionHeader header = LIAISON__V1__SECTION_HEADER__INIT;
    Liaison__V1__Section *section = arena_alloc(a, sizeof *section);
    uint8_t *salt = arena_alloc(a, HASH_BYTES);
    struct slice der, head;
    enum liaison_code code;

    header.name = text(place->name);
    header.reader = text(place->reader);
    header.certificate = bytes(to->sha256, sizeof to->sha256);
    head = arena_pack(a, &header.base);
    if (section == NULL || salt == NULL || head.p == NULL)
        return LIAISON_MEMORY;
    code = close_body(s, to, place, content_type, content, a, &der);
    if (code != LIAISON_OK)
        return code;
    hash_random(s->hash, salt, HASH_BYTES);
    liaison__v1__section__init(section);
    section->salt = bytes(salt, HASH_BYTES);
    section->header = bytes(head.p, head.n);
    section->ciphertext = bytes(der.p, der.n);
    *out = section;
    return LIAISON_OK;
}

static bool in_place(const Liaison__V1__SectionBody *body, const struct seal_place *place)
{
    return strcmp(body->network, place->network) == 0 &&
           strcmp(body->sender, place->sender) == 0 &&
           slice_equal(slice(body->id.data, body->id.len), slice(place->id, 16)) &&
           strcmp(body->reader, place->reader) == 0 &&
           strcmp(body->name, place->name) == 0;
}

static enum liaison_code content_take(const Liaison__V1__SectionBody *body,
                                      struct seal_content *out)
{
    struct seal_content c = {strdup(body->content_type),
                             OPENSSL_malloc(body->content.len + 1), body->content.len};

    if (c.content_type == NULL || c.content == NULL) {
        c.len = 0;
        seal_content_free(&c);
        return LIAISON_MEMORY;
    }
    if (c.len > 0)
        memcpy(c.content, body->content.data, c.len);
    c.content[c.len] = 0;
    *out = c;
    return LIAISON_OK;
}

/* Reads an opened plaintext. The copy that decoding made of the content is wiped. */
static enum liaison_code read_body(struct slice plain, const struct seal_place *place,
                                   struct seal_content *out, const char **why)
{
    struct arena *a = arena_new();
    const void *decoded;
    enum liaison_code code =
        a == NULL
            ? LIAISON_MEMORY
            : valid_decode(&liaison__v1__section_body__descriptor, plain, a, &decoded);

    if (code == LIAISON_OK) {
        const Liaison__V1__SectionBody *body = decoded;

        if (in_place(body, place))
            code = content_take(body, out);
        else {
            *why = "what is sealed says that it belongs to another referral, agency or "
                   "section: it was moved";
            code = LIAISON_SEAL;
        }
        OPENSSL_cleanse(body->content.data, body->content.len);
    } else if (code == LIAISON_MALFORMED) {
        *why = "what is sealed is not a strict SectionBody";
        code = LIAISON_SEAL;
    }
    arena_free(a);
    return code;
}

enum liaison_code seal_section_open(struct seal *s, const struct seal_reader *own,
                                    EVP_PKEY *key, const Liaison__V1__Section *section,
                                    const struct seal_place *place,
                                    struct seal_content *out, const char **why)
{
    uint8_t *plain = NULL;
    size_t len = 0;
    enum liaison_code code =
        seal_open(s, own, key, slice(section->ciphertext.data, section->ciphertext.len),
                  &plain, &len, why);

    if (code != LIAISON_OK)
        return code;
    code = read_body(slice(plain, len), place, out, why);
    OPENSSL_clear_free(plain, len + 1);
    return code;
}

void seal_content_free(struct seal_content *c)
{
    free(c->content_type);
    if (c->content != NULL)
        OPENSSL_clear_free(c->content, c->len + 1);
    *c = (struct seal_content){0};
}
