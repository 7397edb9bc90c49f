#pragma once
/* SHA-256, HMAC-SHA256 and random bytes, with everything fetched once per thread.
 *
 * Source: FIPS 180-4, RFC 2104; EVP_DigestInit(3): an implicit fetch per call costs more than the hash. */
#include "proto/slice.h"

enum { HASH_BYTES = 32 };

struct hash; /* one thread's */

/* Gives: a hasher for one thread, or NULL when memory is out. */
struct hash *hash_new(void);
void hash_free(struct hash *h);

/* SHA-256 over the parts, one after the other. Cannot fail short of a broken libcrypto, which ends the process. */
void hash_sha256(struct hash *h, const struct slice *parts, size_t n, uint8_t out[HASH_BYTES]);

/* HMAC-SHA256 under a 32-byte key over the parts. Same promise. */
void hash_hmac(struct hash *h, const uint8_t key[HASH_BYTES], const struct slice *parts, size_t n,
               uint8_t out[HASH_BYTES]);

/* n random bytes from OpenSSL's private generator, drawn in blocks. Same promise. */
void hash_random(struct hash *h, void *out, size_t n);
