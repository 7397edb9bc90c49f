#include "proto/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>

enum { HMAC_BLOCK = 64, RANDOM_BLOCK = 4096 };

struct hash {
    EVP_MD *sha256;
    EVP_MD_CTX *ctx;
    uint8_t random[RANDOM_BLOCK];
    size_t random_left;
};

/* A digest that cannot be computed is a broken process: nothing it says or stores could be trusted. */
static void must(int ok)
{
    if (ok != 1)
        abort();
}

struct hash *hash_new(void)
{
    struct hash *h = calloc(1, sizeof *h);

    if (h == NULL)
        return NULL;
    h->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->ctx = EVP_MD_CTX_new();
    if (h->sha256 == NULL || h->ctx == NULL) {
        hash_free(h);
        return NULL;
    }
    return h;
}

void hash_free(struct hash *h)
{
    if (h == NULL)
        return;
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->sha256);
    OPENSSL_cleanse(h->random, sizeof h->random);
    free(h);
}

static void begin(struct hash *h)
{
    must(EVP_DigestInit_ex2(h->ctx, h->sha256, NULL));
}

static void add(struct hash *h, const struct slice *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (parts[i].n > 0)
            must(EVP_DigestUpdate(h->ctx, parts[i].p, parts[i].n));
}

static void end(struct hash *h, uint8_t out[HASH_BYTES])
{
    must(EVP_DigestFinal_ex(h->ctx, out, NULL));
}

void hash_sha256(struct hash *h, const struct slice *parts, size_t n,
                 uint8_t out[HASH_BYTES])
{
    begin(h);
    add(h, parts, n);
    end(h, out);
}

void hash_hmac(struct hash *h, const uint8_t key[HASH_BYTES], const struct slice *parts,
               size_t n, uint8_t out[HASH_BYTES])
{
    uint8_t inner[HMAC_BLOCK], outer[HMAC_BLOCK], digest[HASH_BYTES];

    memset(inner, 0x36, sizeof inner);
    memset(outer, 0x5c, sizeof outer);
    for (size_t i = 0; i < HASH_BYTES; i++) {
        inner[i] ^= key[i];
        outer[i] ^= key[i];
    }
    begin(h);
    add(h, &(struct slice){inner, sizeof inner}, 1);
    add(h, parts, n);
    end(h, digest);
    hash_sha256(h, (struct slice[]){{outer, sizeof outer}, {digest, sizeof digest}}, 2,
                out);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(outer, sizeof outer);
}

void hash_random(struct hash *h, void *out, size_t n)
{
    if (n > RANDOM_BLOCK) {
        must(n > INT32_MAX ? 0 : RAND_priv_bytes(out, (int)n));
        return;
    }
    if (h->random_left < n) {
        must(RAND_priv_bytes(h->random, sizeof h->random));
        h->random_left = sizeof h->random;
    }
    h->random_left -= n;
    memcpy(out, h->random + h->random_left, n);
    memset(h->random + h->random_left, 0, n); /* never given out twice */
}
