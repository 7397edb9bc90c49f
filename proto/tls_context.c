/* Shaking hands: the TLS policy, and the peer's certificate checked by tls_check and nothing else. */
#include "proto/tls_inner.h"

#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

static const unsigned char ALPN[] = "\x09liaison/1"; /* its length, then the name */
enum {
    ALPN_LEN = sizeof ALPN - 1,
    CERTIFICATES_MAX =
        16 << 10, /* bytes a peer may send as its chain: three P-256 ones are 2 KiB */
    WHY_MAX = 200,
};

/* What a handshake found out about the peer; hangs on its SSL. */
struct peer {
    enum liaison_code code;
    struct tls_identity who; /* valid if code is LIAISON_OK */
    char why[WHY_MAX];       /* a sentence if it is not */
};

/* ---------------------------------------------------------------- what hangs on OpenSSL's objects */

/* OpenSSL hands out these numbers once per process, so they cannot live anywhere else; written once, then read. */
static CRYPTO_ONCE slots_once = CRYPTO_ONCE_STATIC_INIT;
static int peer_slot = -1, trust_slot = -1;

static void free_peer(void *parent, void *value, CRYPTO_EX_DATA *ad, int slot, long argl,
                      void *argp)
{
    (void)parent, (void)ad, (void)slot, (void)argl, (void)argp;
    OPENSSL_free(value);
}

static void free_trust(void *parent, void *value, CRYPTO_EX_DATA *ad, int slot, long argl,
                       void *argp)
{
    (void)parent, (void)ad, (void)slot, (void)argl, (void)argp;
    tls_trust_free(value);
}

static void make_slots(void)
{
    peer_slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_peer);
    trust_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_trust);
}

static bool have_slots(void)
{
    return CRYPTO_THREAD_run_once(&slots_once, make_slots) == 1 && peer_slot >= 0 &&
           trust_slot >= 0;
}

static const struct peer *peer_of(const SSL *ssl)
{
    return have_slots() ? SSL_get_ex_data(ssl, peer_slot) : NULL;
}

/* ---------------------------------------------------------------- the peer's certificate */

/* The errors that make OpenSSL send the fitting alert: the peer's administrator sees no more than that. */
static const struct alert {
    enum liaison_code code;
    int error;
} ALERTS[] = {
    {LIAISON_OK, X509_V_OK},
    {LIAISON_REVOKED, X509_V_ERR_CERT_REVOKED},       /* certificate_revoked */
    {LIAISON_EXPIRED, X509_V_ERR_CERT_HAS_EXPIRED},   /* certificate_expired */
    {LIAISON_PROFILE, X509_V_ERR_INVALID_PURPOSE},    /* unsupported_certificate */
    {LIAISON_IDENTITY, X509_V_ERR_HOSTNAME_MISMATCH}, /* bad_certificate */
    {LIAISON_MEMORY, X509_V_ERR_OUT_OF_MEM},          /* internal_error */
    {LIAISON_CRL,
     X509_V_ERR_UNSPECIFIED}, /* internal_error: our list is at fault, not their certificate */
};

static int alert_error(enum liaison_code code)
{
    for (size_t i = 0; i < sizeof ALERTS / sizeof ALERTS[0]; i++)
        if (ALERTS[i].code == code)
            return ALERTS[i].error;
    return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY; /* unknown_ca */
}

static int judge_peer(X509_STORE_CTX *ctx, void *trust)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    enum tls_use use = SSL_is_server(ssl) ? TLS_USE_SIGN : TLS_USE_BROKER;
    struct peer *p = OPENSSL_zalloc(sizeof *p);
    if (p == NULL) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_OUT_OF_MEM);
        return 0;
    }
    p->code = tls_check(trust, X509_STORE_CTX_get0_cert(ctx),
                        X509_STORE_CTX_get0_untrusted(ctx), use, time(NULL), &p->who,
                        p->why, sizeof p->why);
    OPENSSL_free(SSL_get_ex_data(
        ssl, peer_slot)); /* one handshake, one judgement; be safe about a second */
    enum liaison_code code = p->code;
    if (SSL_set_ex_data(ssl, peer_slot, p) != 1) {
        OPENSSL_free(p);
        code = LIAISON_MEMORY;
    }
    X509_STORE_CTX_set_error(ctx, alert_error(code));
    return code == LIAISON_OK;
}

const struct tls_identity *tls_peer(const SSL *ssl)
{
    const struct peer *p = peer_of(ssl);
    return p != NULL && p->code == LIAISON_OK && SSL_is_init_finished(ssl) ? &p->who
                                                                           : NULL;
}

enum liaison_code tls_refusal(const SSL *ssl, char *why, size_t why_len)
{
    const struct peer *p = peer_of(ssl);
    if (p != NULL && p->code != LIAISON_OK)
        return tls_say(p->code, why, why_len, "%s", p->why);
    unsigned long error =
        ERR_peek_last_error(); /* what ended the handshake, if the caller did not clear it */
    if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
        ERR_GET_REASON(error) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return tls_say(LIAISON_CERTIFICATE, why, why_len,
                       "the peer showed no certificate");
    const char *reason = error == 0 ? NULL : ERR_reason_error_string(error);
    return tls_say(LIAISON_TLS, why, why_len, "the TLS handshake failed: %s",
                   reason != NULL ? reason : "the connection ended");
}

enum liaison_code tls_check_again(SSL *ssl, const struct tls_trust *fresh,
                                  int64_t now_unix, char *why, size_t why_len)
{
    struct tls_identity who;
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    if (leaf == NULL)
        return tls_say(LIAISON_CERTIFICATE, why, why_len,
                       "the peer showed no certificate");
    return tls_check(fresh, leaf, SSL_get_peer_cert_chain(ssl),
                     SSL_is_server(ssl) ? TLS_USE_SIGN : TLS_USE_BROKER, now_unix, &who,
                     why, why_len);
}

/* ---------------------------------------------------------------- policy */

/* Takes liaison/1 when it is among what the client offers; a client that offers only others speaks something else. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *offered, unsigned offered_len, void *arg)
{
    (void)ssl, (void)arg;
    for (unsigned at = 0; at < offered_len; at += 1u + offered[at])
        if (offered_len - at >= ALPN_LEN && memcmp(offered + at, ALPN, ALPN_LEN) == 0) {
            *out = ALPN + 1;
            *out_len = ALPN_LEN - 1;
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A resumed session would skip the certificate and thus the revocation list, so nothing may be resumed: no tickets, of
 * neither kind, and no cache. */
static bool forbid_resumption(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
           SSL_CTX_set_max_early_data(ctx, 0) == 1;
}

static bool set_policy(SSL_CTX *ctx, enum tls_side side, struct tls_trust *t)
{
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(
        ctx, 0); /* read ahead, and a paused peer's bytes sit where epoll sees none */
    SSL_CTX_set_max_cert_list(ctx, CERTIFICATES_MAX);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, judge_peer,
                                     t); /* the context holds t: see trust_slot */
    SSL_CTX_set_security_level(ctx, 2);
    if (side == TLS_SERVER_SIDE)
        SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    else if (SSL_CTX_set_alpn_protos(ctx, ALPN, ALPN_LEN) != 0) /* 0 is success here */
        return false;
    return forbid_resumption(ctx) &&
           SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1 &&
           SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:"
                                         "TLS_CHACHA20_POLY1305_SHA256") == 1;
}

/* ---------------------------------------------------------------- our own certificate */

struct own {
    const char *path;
    X509 *leaf;
    STACK_OF(X509) * chain;
};

static enum liaison_code add_own(void *arg, const char *label, struct slice der,
                                 char *why, size_t why_len)
{
    struct own *own = arg;
    X509 *x = strcmp(label, PEM_STRING_X509) == 0 ? tls_parse_certificate(der) : NULL;
    OPENSSL_free((void *)(uintptr_t)der.p);
    if (x == NULL)
        return tls_say(LIAISON_FILE, why, why_len,
                       "%s: holds a %s that is no good certificate", own->path, label);
    if (own->leaf == NULL) {
        own->leaf = x;
        return LIAISON_OK;
    }
    if (sk_X509_push(own->chain, x) > 0)
        return LIAISON_OK;
    X509_free(x);
    return tls_say(LIAISON_MEMORY, why, why_len, "%s: out of memory", own->path);
}

static enum liaison_code read_own(struct own *own, char *why, size_t why_len)
{
    struct slice text = {0};
    own->chain = sk_X509_new_null();
    if (own->chain == NULL)
        return tls_say(LIAISON_MEMORY, why, why_len, "%s: out of memory", own->path);
    enum liaison_code code = tls_read_file(own->path, false, &text, why, why_len);
    if (code == LIAISON_OK)
        code = tls_read_pem(own->path, text, add_own, own, why, why_len);
    tls_file_free(text);
    return code;
}

/* What every peer would refuse is refused here, where the sentence reaches somebody who can mend it. */
static enum liaison_code check_own(const struct own *own, const struct tls_trust *t,
                                   enum tls_side side, char *why, size_t why_len)
{
    char sentence[WHY_MAX];
    struct tls_identity who;
    enum liaison_code code = tls_check(
        t, own->leaf, own->chain, side == TLS_SERVER_SIDE ? TLS_USE_BROKER : TLS_USE_SIGN,
        time(NULL), &who, sentence, sizeof sentence);
    if (code != LIAISON_OK)
        return tls_say(code, why, why_len, "%s: %s", own->path, sentence);
    return LIAISON_OK;
}

static enum liaison_code install_own(SSL_CTX *ctx, const struct own *own,
                                     const char *key_file, char *why, size_t why_len)
{
    EVP_PKEY *key = NULL;
    enum liaison_code code = tls_load_key(key_file, &key, why, why_len);
    if (code != LIAISON_OK)
        return code;
    ERR_set_mark();
    if (X509_check_private_key(own->leaf, key) != 1)
        code = tls_say(LIAISON_CERTIFICATE, why, why_len, "%s is not the key of %s",
                       key_file, own->path);
    else if (SSL_CTX_use_certificate(ctx, own->leaf) != 1 ||
             SSL_CTX_use_PrivateKey(ctx, key) != 1)
        code = tls_say(LIAISON_CERTIFICATE, why, why_len, "%s: refused by OpenSSL",
                       own->path);
    for (int i = 0; code == LIAISON_OK && i < sk_X509_num(own->chain); i++)
        if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(own->chain, i)) != 1)
            code = tls_say(LIAISON_CERTIFICATE, why, why_len, "%s: refused by OpenSSL",
                           own->path);
    ERR_pop_to_mark();
    EVP_PKEY_free(key);
    return code;
}

static enum liaison_code use_own(SSL_CTX *ctx, const struct tls_trust *t,
                                 enum tls_side side, const char *certificate_file,
                                 const char *key_file, char *why, size_t why_len)
{
    struct own own = {.path = certificate_file};
    enum liaison_code code = read_own(&own, why, why_len);
    if (code == LIAISON_OK)
        code = check_own(&own, t, side, why, why_len);
    if (code == LIAISON_OK)
        code = install_own(ctx, &own, key_file, why, why_len);
    X509_free(own.leaf);
    sk_X509_pop_free(own.chain, X509_free);
    return code;
}

enum liaison_code tls_context(struct tls_trust *t, enum tls_side side,
                              const char *certificate_file, const char *key_file,
                              SSL_CTX **out, char *why, size_t why_len)
{
    enum liaison_code code = LIAISON_MEMORY;
    SSL_CTX *ctx =
        SSL_CTX_new(side == TLS_SERVER_SIDE ? TLS_server_method() : TLS_client_method());
    if (ctx == NULL || !have_slots() || SSL_CTX_set_ex_data(ctx, trust_slot, t) != 1) {
        tls_say(code, why, why_len, "out of memory");
        goto out;
    }
    tls_trust_share(
        t); /* for trust_slot: released when the last session of this context is gone */
    if (!set_policy(ctx, side, t)) {
        code = tls_say(LIAISON_TLS, why, why_len, "OpenSSL refuses the TLS policy");
        goto out;
    }
    code = use_own(ctx, t, side, certificate_file, key_file, why, why_len);
    if (code != LIAISON_OK)
        goto out;
    *out = ctx;
    ctx = NULL; /* handed over */
out:
    SSL_CTX_free(ctx);
    return code;
}

bool tls_context_signs(const SSL_CTX *ctx)
{
    uint8_t signature[80];
    size_t len = sizeof signature;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    ERR_set_mark();
    bool ok = md != NULL &&
              EVP_DigestSignInit_ex(md, NULL, "SHA256", NULL, NULL,
                                    SSL_CTX_get0_privatekey(ctx), NULL) == 1 &&
              EVP_DigestSign(md, signature, &len, NULL, 0) == 1;
    ERR_pop_to_mark();
    EVP_MD_CTX_free(md);
    return ok;
}
