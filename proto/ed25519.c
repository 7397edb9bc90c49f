#include "proto/ed25519.h"

#include <openssl/err.h>
#include <openssl/evp.h>

/* The y of the eight points of small order; x has two signs, or one and a sign that does not matter. */
static const uint8_t SMALL[][ED25519_KEY] = {
    {0x00},
    {0x01},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
     0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
     0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
     0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
     0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

/* Is the number 2^255 - 19 or more? */
static bool beyond_field(const uint8_t y[ED25519_KEY])
{
    if (y[0] < 0xed || y[ED25519_KEY - 1] != 0x7f)
        return false;
    for (size_t i = 1; i < ED25519_KEY - 1; i++)
        if (y[i] != 0xff)
            return false;
    return true;
}

bool ed25519_weak(const uint8_t public[ED25519_KEY])
{
    uint8_t y[ED25519_KEY];

    memcpy(y, public, sizeof y);
    y[ED25519_KEY - 1] &= 0x7f;
    for (size_t i = 0; i < sizeof SMALL / sizeof *SMALL; i++)
        if (memcmp(y, SMALL[i], sizeof y) == 0)
            return true;
    return beyond_field(y);
}

enum liaison_code ed25519_public(const uint8_t seed[ED25519_KEY],
                                 uint8_t public[ED25519_KEY])
{
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_KEY);
    size_t n = ED25519_KEY;
    bool ok = key != NULL && EVP_PKEY_get_raw_public_key(key, public, &n) == 1;

    EVP_PKEY_free(key);
    return ok ? LIAISON_OK : LIAISON_MEMORY;
}

enum liaison_code ed25519_sign(const uint8_t seed[ED25519_KEY], struct slice message,
                               uint8_t signature[ED25519_SIGNATURE])
{
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_KEY);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = ED25519_SIGNATURE;
    bool ok = key != NULL && ctx != NULL &&
              EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestSign(ctx, signature, &n, message.p, message.n) == 1 &&
              n == ED25519_SIGNATURE;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok ? LIAISON_OK : LIAISON_MEMORY;
}

enum liaison_code ed25519_verify(const uint8_t public[ED25519_KEY], struct slice message,
                                 struct slice signature)
{
    enum liaison_code code = LIAISON_MEMORY;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, ED25519_KEY);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (key == NULL || ctx == NULL ||
        EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) != 1)
        goto out;
    ERR_set_mark(); /* a wrong signature is no error of the caller's next TLS call */
    code = EVP_DigestVerify(ctx, signature.p, signature.n, message.p, message.n) == 1
               ? LIAISON_OK
               : LIAISON_SIGNATURE;
    ERR_pop_to_mark();
out:
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return code;
}
