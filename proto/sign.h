#pragma once
/* Burst signatures: one ECDSA signature over the Merkle root of up to 1024 messages, each of which verifies alone.
 *
 * Signed bytes: "liaison/1 referral\n" (or "liaison/1 action\n") and the 32 bytes of the root (RFC 6962; leaf =
 * SHA-256(0x00 || message)). Source: PROTOCOL.md, "Signatures". */
#include "proto/hash.h"
#include "proto/liaison.pb-c.h"
#include "proto/tls.h"
#include "proto/valid.h"

enum sign_kind { SIGN_REFERRAL, SIGN_ACTION };

/* One message's part of a burst: what goes into its Signature beside the certificate. */
struct sign_part {
    uint8_t signature[80]; /* DER; 72 bytes at most */
    size_t signature_len;
    uint32_t index, size;
    uint8_t path[VALID_PATH_MAX][HASH_BYTES];
    size_t path_len;
};

/* Signs n messages (1..1024) at once; parts[i] belongs to messages[i].
 * Errors: LIAISON_LIMIT (n), LIAISON_MEMORY, LIAISON_INTERNAL (libcrypto refused the key). */
MUST_CHECK
enum liaison_code sign_burst(struct hash *h, EVP_PKEY *key, enum sign_kind kind, const struct slice *messages, size_t n,
                             struct sign_part *parts);

/* Checks signatures; remembers the certificates and the last bursts it has seen, so that a burst costs one verification.
 * One thread's. */
struct sign_verifier;

/* Gives: *out. Holds a reference to `t`. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code sign_verifier_new(struct tls_trust *t, struct sign_verifier **out);
void sign_verifier_free(struct sign_verifier *v);

/* Takes other trust and forgets every certificate and burst. */
void sign_verifier_trust(struct sign_verifier *v, struct tls_trust *fresh);

/* True afterwards (LIAISON_OK): `message` was signed as `kind` by the holder of s->certificate, which is a valid signing
 * certificate at `now_unix`; *who says whose. The caller compares the name with what the message says.
 * Errors: LIAISON_FIELD (shape), LIAISON_SIGNATURE, and those of tls_check. */
MUST_CHECK
enum liaison_code sign_verify(struct sign_verifier *v, enum sign_kind kind, struct slice message,
                              const Liaison__V1__Signature *s, int64_t now_unix, struct tls_identity *who);
