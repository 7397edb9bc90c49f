#pragma once
/* Keys and sealed values: every erasable value lies encrypted under a key of its own referral, or of its agency's month. One
 * thread's.
 *
 * That key lies beside it, wrapped by the key of its group: 256 numbers of one table. Group keys lie in a table of their own,
 * wrapped by the key file's, which stands outside the store. So a referral is erased for good, in every free page and backup,
 * by a new key for its group, under which the survivors are wrapped anew, and a new key file's key, under which all group
 * keys are: work for 256 referrals and for a 256th of all, not for all.
 *
 * Keys are wrapped by AES-256-GCM: a group key wraps a few thousand times in its life and a key file's key once a group, far
 * from NIST SP 800-38D's limit of 2^32 random nonces under one key. (RFC 3394's key wrap needs no nonce, but costs 12
 * microseconds a referral in OpenSSL 3.0, a third of all that the core does for it.) */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/hash.h"

enum {
    VAULT_KEYS_BYTES = 64, /* a cipher key and an opening key */
    VAULT_SEAL_BYTES = 28, /* what sealing adds to a value: nonce and tag */
    VAULT_WRAPPED_BYTES = VAULT_KEYS_BYTES + VAULT_SEAL_BYTES,
    VAULT_GROUP_BITS = 8, /* slots whose numbers differ only in these share a group */
    VAULT_GROUP_BYTES = 32 + VAULT_SEAL_BYTES,
};

struct vault;

/* What one referral's, or one agency's month's, values are sealed under. Wipe with OPENSSL_cleanse. */
struct vault_keys {
    uint8_t cipher[32];
    uint8_t opening[32];
};

/* Opens the key file at the store's epoch: see key_file_open(), also for errors and for what a rotation has left. */
MUST_CHECK
enum liaison_code vault_open(const char *key_file, bool make, uint64_t epoch, struct hash *h, struct vault **out,
                             char *why, size_t why_len);
void vault_close(struct vault *v); /* NULL is harmless */

/* Where wrapped keys stand: they open nowhere else. */
struct vault_slot {
    uint8_t table;
    uint64_t number;
};

/* ------------------------------------------------------------ groups
 *
 * The keys of some groups are in memory; a slot's must be there before its keys are made or unwrapped. */

/* True if the key of the slot's group is in memory. */
bool vault_has_group(const struct vault *v, struct vault_slot slot);

/* Draws a new key for the slot's group, in place of any that is in memory, and wraps it. */
void vault_make_group(struct vault *v, struct vault_slot slot, uint8_t wrapped[VAULT_GROUP_BYTES]);

/* Unwraps it into memory. Errors: LIAISON_DAMAGED (wrapped under another key, or for another group, or changed). */
MUST_CHECK
enum liaison_code vault_take_group(struct vault *v, struct vault_slot slot, struct slice wrapped);

/* Forgets every group's key: after a batch that failed, which may have made some. NULL is harmless. */
void vault_forget_groups(struct vault *v);

/* ------------------------------------------------------------ keys and values */

/* Draws new keys and wraps them for `slot`. Its group's key is in memory. */
void vault_make_keys(struct vault *v, struct vault_slot slot, struct vault_keys *out,
                     uint8_t wrapped[VAULT_WRAPPED_BYTES]);

/* Wraps keys that are there for `slot`. Its group's key is in memory. */
void vault_wrap(struct vault *v, struct vault_slot slot, const struct vault_keys *k, uint8_t wrapped[VAULT_WRAPPED_BYTES]);

/* Unwraps. Its group's key is in memory. Errors: LIAISON_DAMAGED (wrapped under another key, or for another slot, or changed). */
MUST_CHECK
enum liaison_code vault_unwrap(struct vault *v, struct vault_slot slot, struct slice wrapped, struct vault_keys *out);

/* Seals `value`, bound to `place` (the table and key it will stand under), into `out`: value.n + VAULT_SEAL_BYTES bytes. */
void vault_seal(struct vault *v, const struct vault_keys *k, struct slice place, struct slice value, uint8_t *out);

/* Opens a sealed value into the arena. Errors: LIAISON_DAMAGED (changed, or from another place), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code vault_unseal(struct vault *v, const struct vault_keys *k, struct slice place, struct slice sealed,
                               struct arena *a, struct slice *out);

/* The commitment key of entry `seq`: HMAC-SHA256(opening key, "liaison/1 opening\n" || seq u64). It dies with the keys. */
void vault_opening(struct hash *h, const struct vault_keys *k, uint64_t seq, uint8_t out[32]);

/* ------------------------------------------------------------ rotation of the key file
 *
 * vault_draw(); a transaction that holds every group key as vault_rewrap() gives it, and the epoch; its commit; vault_turn().
 * Killed anywhere in between, the epoch that the store has says at the next vault_open() whether it happened. */

uint64_t vault_epoch(const struct vault *v);

/* The next epoch's key is drawn and lies in the key file, flushed. Errors: LIAISON_FULL, LIAISON_IO: it is not. */
MUST_CHECK
enum liaison_code vault_draw(struct vault *v);

/* A wrapped group key, wrapped anew under the next epoch's. Errors: LIAISON_DAMAGED. */
MUST_CHECK
enum liaison_code vault_rewrap(struct vault *v, struct vault_slot slot, struct slice wrapped,
                               uint8_t out[VAULT_GROUP_BYTES]);

/* True between vault_draw() and what follows the commit. */
bool vault_drawn(const struct vault *v);

/* After the commit: the last epoch's key is destroyed. Errors: LIAISON_IO: perhaps not; end the process. */
MUST_CHECK
enum liaison_code vault_turn(struct vault *v);

/* After a commit that certainly did not happen: the next epoch's key is destroyed. Errors: as vault_turn. */
MUST_CHECK
enum liaison_code vault_drop(struct vault *v);
