#pragma once
/* What the parts of tls share, and nobody else: tls.c checks, tls_file.c and tls_trust.c read, tls_context.c shakes hands. */
#include <stdatomic.h>

#include "proto/tls.h"

/* A CA of the trust file and its revocation list. */
struct tls_authority {
    X509 *certificate;
    X509_CRL *crl; /* NULL: none, allowed for one that is itself expired or revoked */
};

struct tls_trust {
    atomic_int references;
    char *network;
    struct tls_authority *authorities;
    size_t authority_count;
    STACK_OF(X509) *
        issuing; /* those of them that are not self-signed; borrows from authorities */
    X509_STORE *store; /* the self-signed ones and all lists; policy flags set */
    struct slice
        *crls; /* DER, in the order of the file; each to be released with OPENSSL_free */
    uint8_t lists_sha256[32]; /* of all of them, one behind the other */
    size_t lists_bytes;
    size_t crl_count;
    int64_t crl_ends;
    uint8_t crl_sha256[32];
    EVP_MD *
        sha256; /* fetched once: an implicit fetch per certificate costs more than the hash */
};

/* Writes the sentence, if there is room for one, and returns `code`. */
__attribute__((format(printf, 4, 5))) enum liaison_code
tls_say(enum liaison_code code, char *why, size_t why_len, const char *format, ...);

/* A whole regular file. Gives: *out, to be released with tls_file_free. `secret`: refused when
 * anybody but its owner may read or write it. Errors: LIAISON_FILE, LIAISON_PERMISSION, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code tls_read_file(const char *path, bool secret, struct slice *out,
                                char *why, size_t why_len);

/* Wipes and releases what tls_read_file gave; {NULL, 0} is harmless. */
void tls_file_free(struct slice s);

/* Called with each block of a PEM file. Takes: der.p (OPENSSL_free). A code other than LIAISON_OK ends the walk. */
typedef enum liaison_code tls_pem_block(void *arg, const char *label, struct slice der,
                                        char *why, size_t why_len);

/* Walks the PEM blocks of `text`, in order; at least one, none damaged.
 * Errors: LIAISON_FILE, or what the callback said. `path` is for the sentence. */
MUST_CHECK
enum liaison_code tls_read_pem(const char *path, struct slice text, tls_pem_block *block,
                               void *arg, char *why, size_t why_len);

/* One certificate from DER, all of it. Gives: an X509, or NULL. */
X509 *tls_parse_certificate(struct slice der);

/* Seconds since 1970; INT64_MIN if it is no time. */
int64_t tls_unix(const ASN1_TIME *time);
