#pragma once
/* Keys and sealed values: every erasable value lies encrypted under a key of its own referral, or of its agency's month, and that
 * key lies wrapped by the key file, which stands outside the store. One thread's.
 *
 * Keys are wrapped by AES-256-GCM under a key derived from the key file for every 2^20 numbers, so that random nonces stay far
 * from NIST SP 800-38D's limit of 2^32 under one key however busy the broker is. (RFC 3394's key wrap needs no nonce, but
 * costs 12 microseconds a referral in OpenSSL 3.0, a third of all that the core does for it.) */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/hash.h"

enum {
    VAULT_KEYS_BYTES = 64, /* a cipher key and an opening key */
    VAULT_SEAL_BYTES = 28, /* what sealing adds to a value: nonce and tag */
    VAULT_WRAPPED_BYTES = VAULT_KEYS_BYTES + VAULT_SEAL_BYTES,
};

struct vault;

/* What one referral's, or one agency's month's, values are sealed under. Wipe with OPENSSL_cleanse. */
struct vault_keys {
    uint8_t cipher[32];
    uint8_t opening[32];
};

/* Reads the key file; with `make`, makes it if it is not there (0600, synced with its folder).
 * Gives: *out. On error `why` is a sentence.
 * Errors: LIAISON_FILE, LIAISON_PERMISSION (others may read it), LIAISON_CONFIG (not a key file), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code vault_open(const char *key_file, bool make, struct hash *h,
                             struct vault **out, char *why, size_t why_len);
void vault_close(struct vault *v); /* NULL is harmless */

/* Where wrapped keys stand: they open nowhere else. */
struct vault_slot {
    uint8_t table;
    uint64_t number;
};

/* Draws new keys and wraps them for `slot`. */
void vault_make_keys(struct vault *v, struct vault_slot slot, struct vault_keys *out,
                     uint8_t wrapped[VAULT_WRAPPED_BYTES]);

/* Unwraps. Errors: LIAISON_DAMAGED (wrapped under another key file or for another slot, or changed). */
MUST_CHECK
enum liaison_code vault_unwrap(struct vault *v, struct vault_slot slot,
                               struct slice wrapped, struct vault_keys *out);

/* Seals `value`, bound to `place` (the table and key it will stand under), into `out`: value.n + VAULT_SEAL_BYTES bytes. */
void vault_seal(struct vault *v, const struct vault_keys *k, struct slice place,
                struct slice value, uint8_t *out);

/* Opens a sealed value into the arena. Errors: LIAISON_DAMAGED (changed, or from another place), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code vault_unseal(struct vault *v, const struct vault_keys *k,
                               struct slice place, struct slice sealed, struct arena *a,
                               struct slice *out);

/* The commitment key of entry `seq`: HMAC-SHA256(opening key, "liaison/1 opening\n" || seq u64). It dies with the keys. */
void vault_opening(struct hash *h, const struct vault_keys *k, uint64_t seq,
                   uint8_t out[32]);
