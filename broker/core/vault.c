#include "broker/core/vault.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/keyfile.h"

enum { NONCE = 12, TAG = 16, HELD = 64 };

struct group {
    bool held;
    uint8_t table;
    uint64_t number; /* of its slots, without their last VAULT_GROUP_BITS */
    uint8_t key[32];
};

struct vault {
    struct hash *hash; /* lent */
    EVP_CIPHER *gcm;
    EVP_CIPHER_CTX *ctx;
    struct key_file *file;
    struct group groups[HELD]; /* each in its own place, or in none */
};

/* A cipher that fails on our own keys and lengths is a broken process. */
static void must(bool ok)
{
    if (!ok)
        abort();
}

enum liaison_code vault_open(const char *path, bool make, uint64_t epoch, struct hash *h,
                             struct vault **out, char *why, size_t why_len)
{
    struct vault *v = calloc(1, sizeof *v);
    enum liaison_code code = LIAISON_MEMORY;

    snprintf(why, why_len, "%s: out of memory", path);
    if (v == NULL)
        return LIAISON_MEMORY;
    v->hash = h;
    v->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    v->ctx = EVP_CIPHER_CTX_new();
    /* The cipher is named once: naming it again would make the context anew for every value. */
    if (v->gcm != NULL && v->ctx != NULL &&
        EVP_EncryptInit_ex2(v->ctx, v->gcm, NULL, NULL, NULL) == 1)
        code = key_file_open(path, make, epoch, h, &v->file, why, why_len);
    if (code != LIAISON_OK) {
        vault_close(v);
        return code;
    }
    *out = v;
    return LIAISON_OK;
}

void vault_close(struct vault *v)
{
    if (v == NULL)
        return;
    key_file_close(v->file);
    EVP_CIPHER_CTX_free(v->ctx);
    EVP_CIPHER_free(v->gcm);
    OPENSSL_cleanse(v, sizeof *v);
    free(v);
}

/* ------------------------------------------------------------ the cipher */

static void encrypt(struct vault *v, const uint8_t key[32], struct slice place,
                    struct slice value, uint8_t *out)
{
    int n = 0, rest = 0;

    hash_random(v->hash, out, NONCE);
    must(EVP_EncryptInit_ex2(v->ctx, NULL, key, out, NULL) == 1 &&
         EVP_EncryptUpdate(v->ctx, NULL, &n, place.p, (int)place.n) == 1 &&
         EVP_EncryptUpdate(v->ctx, out + NONCE, &n, value.p, (int)value.n) == 1 &&
         (size_t)n == value.n &&
         EVP_EncryptFinal_ex(v->ctx, out + NONCE + n, &rest) == 1 &&
         EVP_CIPHER_CTX_ctrl(v->ctx, EVP_CTRL_AEAD_GET_TAG, TAG, out + NONCE + n) == 1);
}

/* `out` has room for the value, which is VAULT_SEAL_BYTES shorter. */
static enum liaison_code decrypt(struct vault *v, const uint8_t key[32],
                                 struct slice place, struct slice sealed, uint8_t *out)
{
    int n = 0, rest = 0;
    size_t len = sealed.n - VAULT_SEAL_BYTES;
    uint8_t tag[TAG];

    memcpy(tag, sealed.p + NONCE + len, TAG);
    must(EVP_DecryptInit_ex2(v->ctx, NULL, key, sealed.p, NULL) == 1 &&
         EVP_DecryptUpdate(v->ctx, NULL, &n, place.p, (int)place.n) == 1 &&
         EVP_CIPHER_CTX_ctrl(v->ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
         EVP_DecryptUpdate(v->ctx, out, &n, sealed.p + NONCE, (int)len) == 1);
    return EVP_DecryptFinal_ex(v->ctx, out + n, &rest) == 1 ? LIAISON_OK
                                                            : LIAISON_DAMAGED;
}

void vault_seal(struct vault *v, const struct vault_keys *k, struct slice place,
                struct slice value, uint8_t *out)
{
    encrypt(v, k->cipher, place, value, out);
}

enum liaison_code vault_unseal(struct vault *v, const struct vault_keys *k,
                               struct slice place, struct slice sealed, struct arena *a,
                               struct slice *out)
{
    if (sealed.n < VAULT_SEAL_BYTES || sealed.n > INT32_MAX)
        return LIAISON_DAMAGED;
    uint8_t *text = arena_alloc(a, sealed.n);

    if (text == NULL)
        return LIAISON_MEMORY;
    *out = slice(text, sealed.n - VAULT_SEAL_BYTES);
    return decrypt(v, k->cipher, place, sealed, text);
}

/* ------------------------------------------------------------ groups */

static struct group *group_place(const struct vault *v, struct vault_slot slot)
{
    uint64_t n = slot.number >> VAULT_GROUP_BITS;

    /* A month's number has its party's in the upper half. */
    return (struct group *)&v->groups[(n + (n >> 24) * 7 + slot.table) % HELD];
}

static bool is_of(const struct group *g, struct vault_slot slot)
{
    return g->held && g->table == slot.table &&
           g->number == slot.number >> VAULT_GROUP_BITS;
}

static const uint8_t *group_key(const struct vault *v, struct vault_slot slot)
{
    const struct group *g = group_place(v, slot);

    must(is_of(g, slot));
    return g->key;
}

/* Not a slot's place: those are of 9 bytes. */
static struct slice group_bound(struct vault_slot slot, uint8_t place[10])
{
    place[0] = 'G';
    place[1] = slot.table;
    be64_put(place + 2, slot.number >> VAULT_GROUP_BITS);
    return slice(place, 10);
}

static struct slice slot_bound(struct vault_slot slot, uint8_t place[9])
{
    place[0] = slot.table;
    be64_put(place + 1, slot.number);
    return slice(place, 9);
}

bool vault_has_group(const struct vault *v, struct vault_slot slot)
{
    return is_of(group_place(v, slot), slot);
}

static void hold(struct vault *v, struct vault_slot slot, const uint8_t key[32])
{
    struct group *g = group_place(v, slot);

    g->held = true;
    g->table = slot.table;
    g->number = slot.number >> VAULT_GROUP_BITS;
    memcpy(g->key, key, sizeof g->key);
}

void vault_make_group(struct vault *v, struct vault_slot slot,
                      uint8_t wrapped[VAULT_GROUP_BYTES])
{
    uint8_t place[10], key[32];

    hash_random(v->hash, key, sizeof key);
    encrypt(v, key_file_key(v->file), group_bound(slot, place), slice(key, sizeof key),
            wrapped);
    hold(v, slot, key);
    OPENSSL_cleanse(key, sizeof key);
}

static enum liaison_code group_unwrap(struct vault *v, struct vault_slot slot,
                                      struct slice wrapped, uint8_t key[32])
{
    uint8_t place[10];

    if (wrapped.n != VAULT_GROUP_BYTES)
        return LIAISON_DAMAGED;
    return decrypt(v, key_file_key(v->file), group_bound(slot, place), wrapped, key);
}

enum liaison_code vault_take_group(struct vault *v, struct vault_slot slot,
                                   struct slice wrapped)
{
    uint8_t key[32];
    enum liaison_code code = group_unwrap(v, slot, wrapped, key);

    if (code == LIAISON_OK)
        hold(v, slot, key);
    OPENSSL_cleanse(key, sizeof key);
    return code;
}

void vault_forget_groups(struct vault *v)
{
    if (v != NULL)
        OPENSSL_cleanse(v->groups, sizeof v->groups);
}

/* ------------------------------------------------------------ keys */

void vault_wrap(struct vault *v, struct vault_slot slot, const struct vault_keys *k,
                uint8_t wrapped[VAULT_WRAPPED_BYTES])
{
    uint8_t place[9];

    encrypt(v, group_key(v, slot), slot_bound(slot, place), slice(k, sizeof *k), wrapped);
}

void vault_make_keys(struct vault *v, struct vault_slot slot, struct vault_keys *out,
                     uint8_t wrapped[VAULT_WRAPPED_BYTES])
{
    hash_random(v->hash, out, sizeof *out);
    vault_wrap(v, slot, out, wrapped);
}

enum liaison_code vault_unwrap(struct vault *v, struct vault_slot slot,
                               struct slice wrapped, struct vault_keys *out)
{
    uint8_t place[9];

    if (wrapped.n != VAULT_WRAPPED_BYTES)
        return LIAISON_DAMAGED;
    return decrypt(v, group_key(v, slot), slot_bound(slot, place), wrapped,
                   (uint8_t *)out);
}

void vault_opening(struct hash *h, const struct vault_keys *k, uint64_t seq,
                   uint8_t out[32])
{
    uint8_t number[8];

    be64_put(number, seq);
    hash_hmac(
        h, k->opening,
        (struct slice[]){slice_text("liaison/1 opening\n"), {number, sizeof number}}, 2,
        out);
}

/* ------------------------------------------------------------ rotation */

uint64_t vault_epoch(const struct vault *v)
{
    return key_file_epoch(v->file);
}

enum liaison_code vault_draw(struct vault *v)
{
    return key_file_draw(v->file, v->hash);
}

enum liaison_code vault_rewrap(struct vault *v, struct vault_slot slot,
                               struct slice wrapped, uint8_t out[VAULT_GROUP_BYTES])
{
    uint8_t place[10], key[32];
    enum liaison_code code = group_unwrap(v, slot, wrapped, key);

    if (code == LIAISON_OK)
        encrypt(v, key_file_next(v->file), group_bound(slot, place),
                slice(key, sizeof key), out);
    OPENSSL_cleanse(key, sizeof key);
    return code;
}

bool vault_drawn(const struct vault *v)
{
    return key_file_next(v->file) != NULL;
}

enum liaison_code vault_turn(struct vault *v)
{
    return key_file_turn(v->file);
}

enum liaison_code vault_drop(struct vault *v)
{
    return key_file_drop(v->file);
}
