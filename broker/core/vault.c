#include "broker/core/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NONCE = 12, TAG = 16, RANGE_BITS = 20 };

static const char MAGIC[] = "liaison-key-file 1 ";

struct vault {
    struct hash *hash; /* lent */
    EVP_CIPHER *gcm;
    EVP_CIPHER_CTX *ctx;
    uint8_t kek[32];
    struct vault_keys wrapping; /* derived from it for the slots that `range` is of */
    uint8_t range[9];
};

/* A cipher that fails on our own keys and lengths is a broken process. */
static void must(bool ok)
{
    if (!ok)
        abort();
}

static enum liaison_code sync_folder(const char *file)
{
    char path[4096];

    snprintf(path, sizeof path, "%s", file);
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok ? LIAISON_OK : LIAISON_FILE;
}

static enum liaison_code key_file_make(struct vault *v, const char *path, char *why,
                                       size_t why_len)
{
    char text[sizeof MAGIC + 2 * sizeof v->kek + 1];
    size_t n = sizeof MAGIC - 1;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    hash_random(v->hash, v->kek, sizeof v->kek);
    memcpy(text, MAGIC, n);
    for (size_t i = 0; i < sizeof v->kek; i++, n += 2)
        snprintf(text + n, 3, "%02x", v->kek[i]);
    text[n++] = '\n';
    bool ok = fd >= 0 && write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;

    OPENSSL_cleanse(text, sizeof text);
    if (!ok || sync_folder(path) != LIAISON_OK) {
        snprintf(why, why_len, "%s: cannot make the key file: %s", path, strerror(errno));
        ok = false;
    }
    if (fd >= 0)
        close(fd);
    return ok ? LIAISON_OK : LIAISON_FILE;
}

static bool key_file_parse(struct vault *v, const char *text, size_t n)
{
    if (n != sizeof MAGIC - 1 + 2 * sizeof v->kek + 1 ||
        memcmp(text, MAGIC, sizeof MAGIC - 1) != 0 || text[n - 1] != '\n')
        return false;
    for (size_t i = 0; i < sizeof v->kek; i++) {
        unsigned byte;
        int used = 0;

        if (sscanf(text + sizeof MAGIC - 1 + 2 * i, "%2x%n", &byte, &used) != 1 ||
            used != 2)
            return false;
        v->kek[i] = (uint8_t)byte;
    }
    return true;
}

static enum liaison_code key_file_read(struct vault *v, int fd, const char *path,
                                       char *why, size_t why_len)
{
    char text[256];
    struct stat st;
    enum liaison_code code = LIAISON_OK;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        snprintf(why, why_len, "%s: not a regular file", path);
        return LIAISON_FILE;
    }
    if ((st.st_mode & 077) != 0) {
        snprintf(why, why_len, "%s: others may read the key file; run: chmod 600 %s",
                 path, path);
        return LIAISON_PERMISSION;
    }
    ssize_t n = read(fd, text, sizeof text);

    if (n < 0 || !key_file_parse(v, text, (size_t)n)) {
        snprintf(why, why_len,
                 "%s: not a key file (one line \"%s<64 hex digits>\" is wanted)", path,
                 MAGIC);
        code = LIAISON_CONFIG;
    }
    OPENSSL_cleanse(text, sizeof text);
    return code;
}

static enum liaison_code key_file(struct vault *v, const char *path, bool make, char *why,
                                  size_t why_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT && make)
        return key_file_make(v, path, why, why_len);
    if (fd < 0) {
        snprintf(why, why_len,
                 "%s: cannot read the key file: %s; without it nothing in the store can "
                 "be opened",
                 path, strerror(errno));
        return LIAISON_FILE;
    }
    enum liaison_code code = key_file_read(v, fd, path, why, why_len);

    close(fd);
    return code;
}

enum liaison_code vault_open(const char *path, bool make, struct hash *h,
                             struct vault **out, char *why, size_t why_len)
{
    struct vault *v = calloc(1, sizeof *v);
    enum liaison_code code = LIAISON_MEMORY;

    if (v == NULL)
        return LIAISON_MEMORY;
    v->hash = h;
    v->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    v->ctx = EVP_CIPHER_CTX_new();
    memset(v->range, 0xff, sizeof v->range); /* of no slot */
    /* The cipher is named once: naming it again would make the context anew for every value. */
    if (v->gcm != NULL && v->ctx != NULL &&
        EVP_EncryptInit_ex2(v->ctx, v->gcm, NULL, NULL, NULL) == 1)
        code = key_file(v, path, make, why, why_len);
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
    EVP_CIPHER_CTX_free(v->ctx);
    EVP_CIPHER_free(v->gcm);
    OPENSSL_cleanse(v, sizeof *v);
    free(v);
}

void vault_seal(struct vault *v, const struct vault_keys *k, struct slice place,
                struct slice value, uint8_t *out)
{
    int n = 0, rest = 0;

    hash_random(v->hash, out, NONCE);
    must(EVP_EncryptInit_ex2(v->ctx, NULL, k->cipher, out, NULL) == 1 &&
         EVP_EncryptUpdate(v->ctx, NULL, &n, place.p, (int)place.n) == 1 &&
         EVP_EncryptUpdate(v->ctx, out + NONCE, &n, value.p, (int)value.n) == 1 &&
         (size_t)n == value.n &&
         EVP_EncryptFinal_ex(v->ctx, out + NONCE + n, &rest) == 1 &&
         EVP_CIPHER_CTX_ctrl(v->ctx, EVP_CTRL_AEAD_GET_TAG, TAG, out + NONCE + n) == 1);
}

/* `out` has room for the value, which is VAULT_SEAL_BYTES shorter. */
static enum liaison_code unseal_into(struct vault *v, const struct vault_keys *k,
                                     struct slice place, struct slice sealed,
                                     uint8_t *out)
{
    int n = 0, rest = 0;
    size_t len = sealed.n - VAULT_SEAL_BYTES;
    uint8_t tag[TAG];

    memcpy(tag, sealed.p + NONCE + len, TAG);
    must(EVP_DecryptInit_ex2(v->ctx, NULL, k->cipher, sealed.p, NULL) == 1 &&
         EVP_DecryptUpdate(v->ctx, NULL, &n, place.p, (int)place.n) == 1 &&
         EVP_CIPHER_CTX_ctrl(v->ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
         EVP_DecryptUpdate(v->ctx, out, &n, sealed.p + NONCE, (int)len) == 1);
    return EVP_DecryptFinal_ex(v->ctx, out + n, &rest) == 1 ? LIAISON_OK
                                                            : LIAISON_DAMAGED;
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
    return unseal_into(v, k, place, sealed, text);
}

/* The wrapping key for a slot's range of numbers, derived when the range changes. */
static const struct vault_keys *wrapping(struct vault *v, struct vault_slot slot)
{
    uint8_t range[sizeof v->range];

    range[0] = slot.table;
    be64_put(range + 1, slot.number >> RANGE_BITS);
    if (memcmp(range, v->range, sizeof range) != 0) {
        hash_hmac(v->hash, v->kek,
                  (struct slice[]){slice_text("liaison/1 wrapping key\n"),
                                   {range, sizeof range}},
                  2, v->wrapping.cipher);
        memcpy(v->range, range, sizeof range);
    }
    return &v->wrapping;
}

static struct slice slot_place(struct vault_slot slot, uint8_t place[9])
{
    place[0] = slot.table;
    be64_put(place + 1, slot.number);
    return slice(place, 9);
}

void vault_make_keys(struct vault *v, struct vault_slot slot, struct vault_keys *out,
                     uint8_t wrapped[VAULT_WRAPPED_BYTES])
{
    uint8_t place[9];

    hash_random(v->hash, out, sizeof *out);
    vault_seal(v, wrapping(v, slot), slot_place(slot, place), slice(out, sizeof *out),
               wrapped);
}

enum liaison_code vault_unwrap(struct vault *v, struct vault_slot slot,
                               struct slice wrapped, struct vault_keys *out)
{
    uint8_t place[9];

    if (wrapped.n != VAULT_WRAPPED_BYTES)
        return LIAISON_DAMAGED;
    return unseal_into(v, wrapping(v, slot), slot_place(slot, place), wrapped,
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
