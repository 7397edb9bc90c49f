#pragma once
/* Sealing keys that were replaced, kept because something that was sealed to them is still open. */
#include "client/lib/seal.h"

struct liaison;

enum { KEYS_OLD_MAX = 99 };

/* One that was needed. It is no longer published, so nothing but its key is asked of it: it may have ended. */
struct old_key {
    struct old_key *next;
    struct seal_reader *reader;
    EVP_PKEY *key;
};

/* The key whose certificate has this SHA-256: the one in force or a former one. Borrows: until the settings change.
 * Errors: LIAISON_NOT_FOUND (there is none: without a sentence), those of keys_seal, LIAISON_FILE, LIAISON_PERMISSION, LIAISON_CONFIG (key and certificate are not a pair). */
MUST_CHECK
enum liaison_code keys_unseal(struct liaison *l, const uint8_t certificate[32],
                              const struct seal_reader **reader, EVP_PKEY **key);

void keys_old_free(struct old_key *k);
