#pragma once
/* Who somebody is: the TLS policy, certificate profiles, names, chains and revocation. The same for broker and client.
 *
 * A certificate is taken only if all of this holds: it chains to a root of the trust file through issuing certificates in
 * that file or sent along; every certificate of the chain but the root is checked against a valid, unexpired CRL; the leaf
 * has exactly the key usage and extended key usage of its profile, a P-256 key, and exactly one SAN, a URI
 * spiffe://LABEL.NETWORK/ROLE/PATH. CN is never read.
 * Source: PROTOCOL.md, "Certificates"; RFC 5280; SPIFFE-ID.md. */
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "liaison-codes.h"
#include "proto/id.h"

enum tls_use {
    TLS_USE_SIGN,   /* {digitalSignature; clientAuth}: agencies and auditors, for login and signatures */
    TLS_USE_SEAL,   /* {keyAgreement; 1.3.6.1.4.1.58888.1.1 "liaison sealing"}: never logs in */
    TLS_USE_BROKER, /* {digitalSignature; serverAuth} */
};

enum tls_role { TLS_AGENCY, TLS_AUDITOR, TLS_BROKER, TLS_APPROVER };

/* What a checked certificate says. */
struct tls_identity {
    enum tls_role role;
    char name[ID_NAME_MAX + 1]; /* "fr/lyon/probation": registrar's label, then the path; an approver's is its agency's */
    char role_name[ID_WORD_MAX + 1]; /* an approver's: the word that `approval by` of a rule asks for; else empty */
    uint8_t certificate[32];    /* SHA-256 of its DER */
    int64_t not_after_unix;     /* earliest end in its chain */
};

/* Roots, issuing certificates and CRLs, read once and never changed: safe to share between threads. */
struct tls_trust;

/* Reads trust: `ca_file` (PEM: roots and issuing certificates), `crl_file` (PEM: one CRL per CA; lists of other CAs are ignored).
 *
 * After LIAISON_OK *out holds one reference. On error `why` is a sentence with file and reason.
 * Errors: LIAISON_FILE, LIAISON_CRL (none for a CA, or expired at `now_unix`), LIAISON_CERTIFICATE, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code tls_trust_load(const char *network, const char *ca_file, const char *crl_file, int64_t now_unix,
                                 struct tls_trust **out, char *why, size_t why_len);
struct tls_trust *tls_trust_share(struct tls_trust *t); /* one more reference; any thread */
void tls_trust_free(struct tls_trust *t);               /* one less; NULL is harmless; any thread */
bool tls_trust_alone(const struct tls_trust *t);        /* true if the caller's is the only reference */

/* LIAISON_OK if no CRL of `fresh` is older, by its number (without numbers by its date), than the one that `t` has of the same CA:
 * a list that was replaced may lack whom the newer one revokes. On error `why` is a sentence. Errors: LIAISON_CRL. */
MUST_CHECK
enum liaison_code tls_trust_follows(const struct tls_trust *fresh, const struct tls_trust *t, char *why, size_t why_len);

/* Earliest nextUpdate of its CRLs, seconds since 1970. */
int64_t tls_trust_crl_ends(const struct tls_trust *t);

/* The CRLs as DER, in the order of the file. Borrows: lives as long as t. Returns how many there are. */
size_t tls_trust_crls(const struct tls_trust *t, const struct slice **out);

/* How many bytes they are, one behind the other, and the SHA-256 of that. */
size_t tls_trust_lists(const struct tls_trust *t, uint8_t sha256[32]);

/* SHA-256 of the CRL file's bytes. */
void tls_trust_crl_sha256(const struct tls_trust *t, uint8_t out[32]);

/* Checks a certificate for `use` at `now_unix` and says whose it is. `others` are further issuing certificates, may be NULL.
 *
 * *out is set only after LIAISON_OK; on error `why` (may be NULL) is a sentence.
 * Errors: LIAISON_CERTIFICATE, LIAISON_EXPIRED, LIAISON_REVOKED, LIAISON_CRL, LIAISON_PROFILE, LIAISON_IDENTITY. */
MUST_CHECK
enum liaison_code tls_check(const struct tls_trust *t, X509 *leaf, STACK_OF(X509) *others, enum tls_use use,
                            int64_t now_unix, struct tls_identity *out, char *why, size_t why_len);

/* The same for DER bytes; trailing bytes are refused (LIAISON_CERTIFICATE). */
MUST_CHECK
enum liaison_code tls_check_der(const struct tls_trust *t, struct slice der, enum tls_use use, int64_t now_unix,
                                struct tls_identity *out, char *why, size_t why_len);

/* Parses a SAN URI under `network`: "spiffe://fr.practicies.example/agency/lyon/probation" -> TLS_AGENCY,
 * "fr/lyon/probation"; with "/approver/dpo" behind it TLS_APPROVER of the same name, role_name "dpo". Sets role, name and role_name
 * of *who and nothing else. False, and nothing is set, if it is not exactly of that form. */
MUST_CHECK
bool tls_parse_uri(struct slice uri, const char *network, struct tls_identity *who);

enum tls_side { TLS_SERVER_SIDE, TLS_CLIENT_SIDE };

/* A context with the whole policy: TLS 1.3 only, no tickets, no cache, no renegotiation, X25519 and P-256, AES-GCM and
 * ChaCha20, ALPN "liaison/1" (offered by clients, taken when offered), peer certificate required and checked by tls_check (server side:
 * TLS_USE_SIGN; client side: TLS_USE_BROKER), RELEASE_BUFFERS, partial and moving writes. It holds a reference to `t`.
 * `certificate_file` holds the leaf and then its issuing certificates, PEM. The key file must be readable by its owner only.
 *
 * Errors: LIAISON_FILE, LIAISON_PERMISSION, LIAISON_PROFILE (own certificate fails its check), LIAISON_CERTIFICATE,
 *         LIAISON_EXPIRED, LIAISON_REVOKED, LIAISON_IDENTITY, LIAISON_CRL, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code tls_context(struct tls_trust *t, enum tls_side side, const char *certificate_file, const char *key_file,
                              SSL_CTX **out, char *why, size_t why_len);

/* True if the private key of a context signs now: one in a token may be out of reach. */
bool tls_context_signs(const SSL_CTX *ctx);

/* Whose certificate the peer showed. Borrows from ssl. NULL before the handshake is done. */
const struct tls_identity *tls_peer(const SSL *ssl);

/* Why the peer's certificate was refused during the handshake; LIAISON_TLS if it was something else. `why` gets a sentence. */
enum liaison_code tls_refusal(const SSL *ssl, char *why, size_t why_len);

/* Checks the peer of a live session again under other trust. Errors as tls_check. */
MUST_CHECK
enum liaison_code tls_check_again(SSL *ssl, const struct tls_trust *fresh, int64_t now_unix, char *why, size_t why_len);

/* True if a key is named by a `pkcs11:` URI, false if by a path. */
bool tls_key_in_token(const char *key);

/* Reads a private key, P-256: from a PEM file, which must be a regular file that only its owner can read, or from a token, named by a
 * URI (RFC 7512) such as "pkcs11:token=liaison;object=broker?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/liaison/pin".
 * A file may hold such a URI alone in one line instead of a key. A key in a token stays there; the same URI gives the same key as long as the process lives, and asks the token no more.
 * A PIN comes from the file of `pin-source`, else from the one that LIAISON_PIN_FILE names, 0600; `pin-value` is refused.
 * Gives: *out, to be released with EVP_PKEY_free.
 * Errors: LIAISON_FILE (nor engine, module or key), LIAISON_PERMISSION (mode; PIN), LIAISON_PROFILE (not P-256), LIAISON_CONFIG (URI). */
MUST_CHECK
enum liaison_code tls_load_key(const char *path_or_uri, EVP_PKEY **out, char *why, size_t why_len);

/* Reads the first certificate of a PEM file as DER. Gives: *der, to be released with OPENSSL_free. Errors: LIAISON_FILE. */
MUST_CHECK
enum liaison_code tls_load_certificate(const char *path, uint8_t **der, size_t *len, char *why, size_t why_len);
