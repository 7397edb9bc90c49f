#pragma once
/* Private keys that never leave a token (PKCS#11): which one a URI means, and how it is reached. For tls_file.c alone.
 * Source: RFC 7512. */
#include <openssl/evp.h>

#include "liaison-codes.h"
#include "proto/slice.h"

enum { TOKEN_TEXT_MAX = 1024 }; /* bytes of a URI and of each path in it, NUL included */

/* A `pkcs11:` URI taken apart. */
struct token_uri {
    char object[TOKEN_TEXT_MAX + 16]; /* what names the key, ends in ";type=private"; without '?' and what follows */
    char module[TOKEN_TEXT_MAX];      /* `module-path`, decoded; "": the system's own choice */
    char pin_file[TOKEN_TEXT_MAX];    /* `pin-source`, decoded; "": none is named */
};

/* Takes a URI apart. It must say which token (`token` or `serial`) and which key (`object` or `id`): the first one that happens to
 * be plugged in is nobody's choice. Files are absolute. `pin-value` is refused: settings and profiles are read by more people than
 * may know a PIN. `why` never holds what stands behind the '?'. Errors: LIAISON_CONFIG. */
MUST_CHECK
enum liaison_code token_uri_parse(const char *text, struct token_uri *out, char *why, size_t why_len);

/* Finds the private key. The PIN comes from the file of `pin-source`, else from the one that LIAISON_PIN_FILE names, 0600 either way.
 *
 * A URI that was loaded before gives the same key, and the token is not asked: module and session live as long as the process, and a
 * process has one module.
 * Any thread. Gives: *out, to be released with EVP_PKEY_free.
 * Errors: LIAISON_CONFIG (the URI), LIAISON_FILE (no engine, no module, no such key), LIAISON_PERMISSION (PIN). */
MUST_CHECK
enum liaison_code token_key(const char *uri, EVP_PKEY **out, char *why, size_t why_len);

/* The part of it that speaks to the engine; `pin` "" asks for none. */
MUST_CHECK
enum liaison_code token_engine_key(const struct token_uri *uri, const char *pin, EVP_PKEY **out, char *why,
                                   size_t why_len);

/* The key that was loaded for the same `object` of the same module, one more reference; NULL if none was. */
EVP_PKEY *token_engine_known(const struct token_uri *uri);
