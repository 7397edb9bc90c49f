#pragma once
/* Sealing: one section's bytes, for one reader, in the one CMS profile.
 *
 * The profile, DER and nothing else: ContentInfo of AuthEnvelopedData (RFC 5083) version 0; one KeyAgreeRecipientInfo
 * (RFC 5753) with an ephemeral P-256 key, dhSinglePass-stdDH-sha256kdf-scheme, id-aes256-wrap, no ukm, one
 * recipient named by issuer and serial number; id-data under id-aes256-GCM (RFC 5084) with a 12-byte nonce and
 * 16-byte tag; no attributes. It is written and read here byte by byte, so that opening never meets an algorithm that
 * was not expected; the result is what `openssl cms -decrypt -inform DER` opens. Source: PROTOCOL.md, "Sealing"; RFC
 * 5652. */
#include <openssl/evp.h>

#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/hash.h"
#include "proto/liaison.pb-c.h"

/* Fetched ciphers and hashes: one thread's. */
struct seal;

/* Gives: *out. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code seal_new(struct seal **out);
void seal_free(struct seal *s);

/* A sealing certificate, taken apart. It is not checked here: tls_check does that, with TLS_USE_SEAL. */
struct seal_reader;

/* Gives: *out. Errors: LIAISON_SEAL (no X.509 certificate, or its key is not P-256), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code seal_reader_new(struct seal *s, struct slice certificate,
                                  struct seal_reader **out);
void seal_reader_free(struct seal_reader *r);

/* SHA-256 of the certificate. Borrows: as long as r. */
const uint8_t *seal_reader_sha256(const struct seal_reader *r);

/* Seals `plain` to `to`. After LIAISON_OK *der is the CMS object; it lives in `a`.
 * Errors: LIAISON_MEMORY, LIAISON_INTERNAL (libcrypto). */
MUST_CHECK
enum liaison_code seal_close(struct seal *s, const struct seal_reader *to,
                             struct slice plain, struct arena *a, struct slice *der);

/* Opens `der`, which must be of the profile and name `own` as its recipient; `key` is own's private key.
 * Gives: *plain, *len bytes, to be released with OPENSSL_clear_free(plain, len + 1). On error *why is a constant
 * sentence.
 * Errors: LIAISON_SEAL, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code seal_open(struct seal *s, const struct seal_reader *own, EVP_PKEY *key,
                            struct slice der, uint8_t **plain, size_t *len,
                            const char **why);

/* What a section belongs to; its plaintext repeats it. */
struct seal_place {
    const char *network, *sender, *reader, *name;
    const uint8_t
        *id; /* 16 bytes: the id of the referral or action that carries the section */
};

/* Makes a section: SectionBody, sealed, with its header and a fresh salt. All in `a`. Errors: as seal_close. */
MUST_CHECK
enum liaison_code seal_section(struct seal *s, const struct seal_reader *to,
                               const struct seal_place *place, const char *content_type,
                               struct slice content, struct arena *a,
                               Liaison__V1__Section **out);

/* What was in a section. */
struct seal_content {
    char *content_type;
    uint8_t *content; /* `len` bytes and a NUL */
    size_t len;
};

/* Opens a section: seal_open, SectionBody strict, and in it exactly `place`.
 * Gives: *out, to be released with seal_content_free, which wipes. Errors: LIAISON_SEAL, LIAISON_MEMORY; *why as
 * above. */
MUST_CHECK
enum liaison_code seal_section_open(struct seal *s, const struct seal_reader *own,
                                    EVP_PKEY *key, const Liaison__V1__Section *section,
                                    const struct seal_place *place,
                                    struct seal_content *out, const char **why);
void seal_content_free(struct seal_content *c);
