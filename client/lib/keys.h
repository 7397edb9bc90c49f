#pragma once
/* Keys, certificates and trust of one handle, read when first needed. */
#include <openssl/ssl.h>

#include "client/lib/seal.h"
#include "liaison-codes.h"
#include "proto/liaison.pb-c.h"
#include "proto/sign.h"
#include "proto/tls.h"

struct liaison;
struct known_reader;
struct old_key;

/* Which file was read: another one in its place has other numbers. */
struct file_mark {
    uint64_t inode, bytes;
    int64_t changed_s, changed_ns;
};

struct keys {
    struct tls_trust *trust;
    struct file_mark crl; /* the file that trust was made with */
    uint8_t lists[32];    /* digest of the broker's lists that were looked at last under this trust */
    struct sign_verifier *verifier;
    SSL_CTX *context;
    EVP_PKEY *sign_key;
    uint8_t *sign_certificate; /* DER */
    size_t sign_certificate_len;
    uint8_t sign_sha256[32];
    EVP_PKEY *seal_key;
    struct seal_reader *seal_own;
    struct old_key *old;        /* former sealing keys that were needed */
    struct known_reader *known; /* checked sealing certificates of others */
};

enum keys_part { KEYS_TRUST = 1, KEYS_SIGN = 2, KEYS_SEAL = 4, KEYS_ALL = 7 };

/* Forgets and wipes; what is needed again is read again. KEYS_TRUST and KEYS_SIGN drop the TLS context too. */
void keys_drop(struct keys *k, unsigned parts);

/* Each makes its part ready or says why not: roots and CRLs (whose file is looked at each time, and read again when
 * it changed); own signing certificate (checked: profile, chain, name) and key; the TLS context; own sealing
 * certificate and key. Errors: LIAISON_CONFIG and those of proto/tls.h, with the sentence kept. */
MUST_CHECK
enum liaison_code keys_trust(struct liaison *l);
MUST_CHECK
enum liaison_code keys_sign(struct liaison *l);
MUST_CHECK
enum liaison_code keys_context(struct liaison *l);
MUST_CHECK
enum liaison_code keys_seal(struct liaison *l);

/* Does the key belong to the certificate (DER)? */
MUST_CHECK
bool keys_match(struct slice der, const EVP_PKEY *key);

/* The sealing certificate of `agency`: from memory if it was fetched in the last ten minutes, else asked from the
 * broker's directory and checked here. Borrows: until the next call of this function or keys_crls. Errors:
 * LIAISON_RECIPIENT, LIAISON_SEAL, those of a call. */
MUST_CHECK
enum liaison_code keys_reader(struct liaison *l, const char *agency,
                              const struct seal_reader **out);

/* Takes over those of the broker's CRLs that are newer than ours: right issuer, its signature, a higher number.
 * Fresh trust is in force then, the file is rewritten if it can be, and the live connection is checked again. Others
 * are ignored. */
void keys_crls(struct liaison *l, const Liaison__V1__Agencies *agencies);
