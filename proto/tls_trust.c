/* Roots, issuing certificates and revocation lists: reading them, and refusing what would fail later. */
#include "proto/tls_inner.h"

#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum {
    AUTHORITIES_MAX = 1024,
    DEPTH_MAX = 3,  /* issuing certificates between leaf and root */
    AUTH_LEVEL = 2, /* 112 bits: no SHA-1, no short RSA, in anybody's chain */
};

int64_t tls_unix(const ASN1_TIME *time)
{
    struct tm tm = {0};
    if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1)
        return INT64_MIN;
    return timegm(&tm);
}

/* ---------------------------------------------------------------- trust */

struct loading {
    struct tls_trust *trust;
    const char *path;
    int64_t now_unix;
};

/* "DC=example, ..., CN=fr" for people; what cannot be printed is escaped. */
static const char *subject_text(const X509_NAME *name, char out[160])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = -1;
    if (bio != NULL &&
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        n = BIO_read(bio, out, 159);
    out[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
    return out;
}

static enum liaison_code add_authority(void *arg, const char *label, struct slice der,
                                       char *why, size_t why_len)
{
    struct loading *l = arg;
    struct tls_trust *t = l->trust;
    char name[160];
    X509 *x = strcmp(label, PEM_STRING_X509) == 0 ? tls_parse_certificate(der) : NULL;
    OPENSSL_free((void *)(uintptr_t)der.p);
    if (x == NULL)
        return tls_say(LIAISON_FILE, why, why_len,
                       "%s: holds a %s that is no good certificate", l->path, label);
    if (X509_check_ca(x) != 1 || t->authority_count == AUTHORITIES_MAX) {
        enum liaison_code code =
            tls_say(LIAISON_CERTIFICATE, why, why_len, "%s: %s %s", l->path,
                    subject_text(X509_get_subject_name(x), name),
                    t->authority_count == AUTHORITIES_MAX ? "is one CA too many"
                                                          : "is not a CA's");
        X509_free(x);
        return code;
    }
    t->authorities[t->authority_count++] =
        (struct tls_authority){.certificate = x}; /* it owns x */
    /* Only what is really signed by its own key is an anchor; everything else must chain to one. */
    int added = X509_self_signed(x, 1) == 1 ? X509_STORE_add_cert(t->store, x)
                                            : sk_X509_push(t->issuing, x);
    if (added <= 0)
        return tls_say(LIAISON_MEMORY, why, why_len, "%s: out of memory", l->path);
    return LIAISON_OK;
}

/* The CA that signed `crl`, or NULL. */
static struct tls_authority *signer_of(const struct tls_trust *t, X509_CRL *crl)
{
    for (size_t i = 0; i < t->authority_count; i++) {
        X509 *ca = t->authorities[i].certificate;
        if (X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(crl)) == 0 &&
            (X509_get_key_usage(ca) & KU_CRL_SIGN) != 0 &&
            X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
            return &t->authorities[i];
    }
    return NULL;
}

/* Is there a CA of this name, whoever signed? */
static bool is_known(const struct tls_trust *t, const X509_NAME *name)
{
    for (size_t i = 0; i < t->authority_count; i++)
        if (X509_NAME_cmp(X509_get_subject_name(t->authorities[i].certificate), name) ==
            0)
            return true;
    return false;
}

/* An issuing distribution point or a delta indicator would make it a list of only some certificates. */
static bool is_partial(const X509_CRL *crl)
{
    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++)
        if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i)))
            return true;
    return false;
}

/* OpenSSL sorts a list when it is first asked, under a lock that every check waits for: 24 ms of 100,000 entries. So it is
 * asked now. */
static void sort_revoked(X509_CRL *crl)
{
    X509_REVOKED *entry = NULL;
    ASN1_INTEGER *serial = ASN1_INTEGER_new();

    if (serial != NULL)
        X509_CRL_get0_by_serial(crl, &entry, serial);
    ASN1_INTEGER_free(serial);
}

static enum liaison_code judge_crl(struct loading *l, X509_CRL *crl, char *why,
                                   size_t why_len)
{
    char name[160];
    struct tls_authority *signer = signer_of(l->trust, crl);
    subject_text(X509_CRL_get_issuer(crl), name);
    if (signer == NULL)
        return tls_say(LIAISON_CRL, why, why_len,
                       "%s: %s is a CA of this network, and did not sign this "
                       "revocation list of its name",
                       l->path, name);
    if (signer->crl !=
        NULL) /* which one is newer is not for the order of a file to say */
        return tls_say(LIAISON_CRL, why, why_len, "%s: two revocation lists of %s",
                       l->path, name);
    if (is_partial(crl))
        return tls_say(LIAISON_CRL, why, why_len,
                       "%s: the revocation list of %s is a partial one", l->path, name);
    if (X509_STORE_add_crl(l->trust->store, crl) != 1)
        return tls_say(LIAISON_MEMORY, why, why_len, "%s: out of memory", l->path);
    signer->crl = crl;
    sort_revoked(crl);
    return LIAISON_OK;
}

static enum liaison_code add_crl(void *arg, const char *label, struct slice der,
                                 char *why, size_t why_len)
{
    struct loading *l = arg;
    struct tls_trust *t = l->trust;
    const unsigned char *at = der.p;
    X509_CRL *crl = NULL;
    if (strcmp(label, PEM_STRING_X509_CRL) == 0)
        crl = d2i_X509_CRL(NULL, &at, (long)der.n);
    if (crl == NULL || at != der.p + der.n || t->crl_count == AUTHORITIES_MAX) {
        X509_CRL_free(crl);
        OPENSSL_free((void *)(uintptr_t)der.p);
        return tls_say(LIAISON_CRL, why, why_len,
                       "%s: holds a %s that is no good revocation list", l->path, label);
    }
    /* A list of a CA that is not in the trust file yet, or no more: whom it speaks of is refused anyway. So lists may be given out
     * before and after a rotation, and no member must replace two files in one moment. */
    if (!is_known(t, X509_CRL_get_issuer(crl))) {
        X509_CRL_free(crl);
        OPENSSL_free((void *)(uintptr_t)der.p);
        return LIAISON_OK;
    }
    t->crls[t->crl_count++] = der; /* it owns der */
    enum liaison_code code = judge_crl(l, crl, why, why_len);
    if (code != LIAISON_OK)
        X509_CRL_free(crl);
    return code;
}

/* A CA that is expired or revoked can no longer vouch for anybody, so that it need not have a list: it may be gone. */
static bool is_dead(const struct tls_trust *t, X509 *ca, int64_t now_unix)
{
    if (tls_unix(X509_get0_notAfter(ca)) <= now_unix)
        return true;
    for (size_t i = 0; i < t->authority_count; i++) {
        X509_REVOKED *entry = NULL;
        const struct tls_authority *issuer = &t->authorities[i];
        if (issuer->crl != NULL && issuer->certificate != ca &&
            X509_check_issued(issuer->certificate, ca) == X509_V_OK &&
            X509_CRL_get0_by_cert(issuer->crl, &entry, ca) == 1)
            return true;
    }
    return false;
}

static enum liaison_code check_lists(struct loading *l, char *why, size_t why_len)
{
    struct tls_trust *t = l->trust;
    char name[160];
    t->crl_ends = INT64_MAX;
    for (size_t i = 0; i < t->authority_count; i++) {
        const struct tls_authority *a = &t->authorities[i];
        if (is_dead(t, a->certificate, l->now_unix))
            continue;
        subject_text(X509_get_subject_name(a->certificate), name);
        if (a->crl == NULL)
            return tls_say(LIAISON_CRL, why, why_len, "%s: no revocation list of %s",
                           l->path, name);
        int64_t ends = tls_unix(X509_CRL_get0_nextUpdate(a->crl));
        if (ends <= l->now_unix)
            return tls_say(LIAISON_CRL, why, why_len,
                           "%s: the revocation list of %s has ended; get a new one",
                           l->path, name);
        if (tls_unix(X509_CRL_get0_lastUpdate(a->crl)) > l->now_unix)
            return tls_say(LIAISON_CRL, why, why_len,
                           "%s: the revocation list of %s is from the future", l->path,
                           name);
        if (ends < t->crl_ends)
            t->crl_ends = ends;
    }
    return LIAISON_OK;
}

/* OpenSSL's own check would verify the list's signature again with every certificate, half the cost of a check. All lists
 * of the store were verified when they were read; what may change since is the time, and which issuer was found. */
static int check_crl(X509_STORE_CTX *ctx, X509_CRL *crl)
{
    const struct tls_trust *t = X509_STORE_CTX_get_app_data(ctx);
    const X509 *issuer = X509_STORE_CTX_get0_current_issuer(ctx);
    int64_t now_unix = X509_VERIFY_PARAM_get_time(X509_STORE_CTX_get0_param(ctx));
    int error = X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER;
    for (size_t i = 0; i < t->authority_count; i++) {
        const struct tls_authority *a = &t->authorities[i];
        if (a->crl != crl || issuer == NULL || X509_cmp(a->certificate, issuer) != 0)
            continue;
        error = tls_unix(X509_CRL_get0_nextUpdate(crl)) <= now_unix
                    ? X509_V_ERR_CRL_HAS_EXPIRED
                : tls_unix(X509_CRL_get0_lastUpdate(crl)) > now_unix
                    ? X509_V_ERR_CRL_NOT_YET_VALID
                    : X509_V_OK;
    }
    if (error != X509_V_OK)
        X509_STORE_CTX_set_error(ctx, error);
    return error == X509_V_OK;
}

static bool set_store_policy(X509_STORE *store)
{
    X509_STORE_set_check_crl(store, check_crl);
    X509_VERIFY_PARAM *p = X509_STORE_get0_param(store);
    X509_VERIFY_PARAM_set_depth(p, DEPTH_MAX);
    X509_VERIFY_PARAM_set_auth_level(p, AUTH_LEVEL);
    /* CRL_CHECK_ALL does nothing unless CRL_CHECK stands too. Purpose: tls_check has its own, exact. */
    return X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_CRL_CHECK |
                                              X509_V_FLAG_CRL_CHECK_ALL |
                                              X509_V_FLAG_X509_STRICT) == 1 &&
           X509_VERIFY_PARAM_set_purpose(p, X509_PURPOSE_ANY) == 1;
}

static struct tls_trust *trust_new(const char *network)
{
    struct tls_trust *t = OPENSSL_zalloc(sizeof *t);
    if (t == NULL)
        return NULL;
    atomic_init(&t->references, 1);
    t->network = OPENSSL_strdup(network);
    t->authorities = OPENSSL_zalloc(AUTHORITIES_MAX * sizeof *t->authorities);
    t->crls = OPENSSL_zalloc(AUTHORITIES_MAX * sizeof *t->crls);
    t->issuing = sk_X509_new_null();
    t->store = X509_STORE_new();
    t->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (t->network == NULL || t->authorities == NULL || t->crls == NULL ||
        t->issuing == NULL || t->store == NULL || t->sha256 == NULL ||
        !set_store_policy(t->store)) {
        tls_trust_free(t);
        return NULL;
    }
    return t;
}

static enum liaison_code load_authorities(struct loading *l, char *why, size_t why_len)
{
    struct slice text = {0};
    enum liaison_code code = tls_read_file(l->path, false, &text, why, why_len);
    if (code == LIAISON_OK)
        code = tls_read_pem(l->path, text, add_authority, l, why, why_len);
    tls_file_free(text);
    if (code == LIAISON_OK &&
        l->trust->authority_count == (size_t)sk_X509_num(l->trust->issuing))
        code = tls_say(LIAISON_CERTIFICATE, why, why_len, "%s: holds no root certificate",
                       l->path);
    return code;
}

/* False: out of memory. */
static bool digest_lists(struct tls_trust *t)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex2(ctx, t->sha256, NULL) == 1;

    for (size_t i = 0; ok && i < t->crl_count; i++) {
        ok = EVP_DigestUpdate(ctx, t->crls[i].p, t->crls[i].n) == 1;
        t->lists_bytes += t->crls[i].n;
    }
    ok = ok && EVP_DigestFinal_ex(ctx, t->lists_sha256, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static enum liaison_code load_lists(struct loading *l, char *why, size_t why_len)
{
    struct slice text = {0};
    enum liaison_code code = tls_read_file(l->path, false, &text, why, why_len);
    if (code == LIAISON_OK &&
        text.n == 0) /* an empty list of lists is one that lacks them all */
        code =
            tls_say(LIAISON_CRL, why, why_len, "%s: holds no revocation list", l->path);
    if (code == LIAISON_OK)
        code = tls_read_pem(l->path, text, add_crl, l, why, why_len);
    if (code == LIAISON_OK && EVP_Digest(text.p, text.n, l->trust->crl_sha256, NULL,
                                         l->trust->sha256, NULL) != 1)
        code = tls_say(LIAISON_MEMORY, why, why_len, "%s: out of memory", l->path);
    if (code == LIAISON_OK && !digest_lists(l->trust))
        code = tls_say(LIAISON_MEMORY, why, why_len, "%s: out of memory", l->path);
    if (code == LIAISON_OK)
        code = check_lists(l, why, why_len);
    tls_file_free(text);
    return code;
}

enum liaison_code tls_trust_load(const char *network, const char *ca_file,
                                 const char *crl_file, int64_t now_unix,
                                 struct tls_trust **out, char *why, size_t why_len)
{
    struct tls_trust *t = trust_new(network);
    if (t == NULL)
        return tls_say(LIAISON_MEMORY, why, why_len, "%s: out of memory", ca_file);
    struct loading ca = {.trust = t, .path = ca_file, .now_unix = now_unix};
    struct loading crl = {.trust = t, .path = crl_file, .now_unix = now_unix};
    enum liaison_code code = load_authorities(&ca, why, why_len);
    if (code == LIAISON_OK)
        code = load_lists(&crl, why, why_len);
    if (code == LIAISON_OK) {
        *out = t;
        t = NULL; /* handed over */
    }
    tls_trust_free(t);
    return code;
}

/* Below 0 if list `a` of a CA is older than list `b` of the same. */
static int crl_order(X509_CRL *a, X509_CRL *b)
{
    ASN1_INTEGER *x = X509_CRL_get_ext_d2i(a, NID_crl_number, NULL, NULL);
    ASN1_INTEGER *y = X509_CRL_get_ext_d2i(b, NID_crl_number, NULL, NULL);
    int order = x != NULL && y != NULL ? ASN1_INTEGER_cmp(x, y)
                                       : ASN1_TIME_compare(X509_CRL_get0_lastUpdate(a),
                                                           X509_CRL_get0_lastUpdate(b));
    ASN1_INTEGER_free(x);
    ASN1_INTEGER_free(y);
    return order;
}

enum liaison_code tls_trust_follows(const struct tls_trust *fresh,
                                    const struct tls_trust *t, char *why, size_t why_len)
{
    char name[160];
    for (size_t i = 0; i < fresh->authority_count; i++)
        for (size_t j = 0; j < t->authority_count; j++) {
            const struct tls_authority *now = &fresh->authorities[i];
            const struct tls_authority *before = &t->authorities[j];
            if (now->crl != NULL && before->crl != NULL &&
                X509_cmp(now->certificate, before->certificate) == 0 &&
                crl_order(now->crl, before->crl) < 0)
                return tls_say(
                    LIAISON_CRL, why, why_len,
                    "the revocation list of %s is older than the one in force",
                    subject_text(X509_get_subject_name(now->certificate), name));
        }
    return LIAISON_OK;
}

struct tls_trust *tls_trust_share(struct tls_trust *t)
{
    atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
    return t;
}

bool tls_trust_alone(const struct tls_trust *t)
{
    return atomic_load_explicit(&t->references, memory_order_acquire) == 1;
}

void tls_trust_free(struct tls_trust *t)
{
    if (t == NULL ||
        atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < t->authority_count; i++) {
        X509_free(t->authorities[i].certificate);
        X509_CRL_free(t->authorities[i].crl);
    }
    for (size_t i = 0; i < t->crl_count; i++)
        OPENSSL_free((void *)(uintptr_t)t->crls[i].p);
    sk_X509_free(t->issuing);
    X509_STORE_free(t->store);
    EVP_MD_free(t->sha256);
    OPENSSL_free(t->authorities);
    OPENSSL_free(t->crls);
    OPENSSL_free(t->network);
    OPENSSL_free(t);
}

int64_t tls_trust_crl_ends(const struct tls_trust *t)
{
    return t->crl_ends;
}

size_t tls_trust_crls(const struct tls_trust *t, const struct slice **out)
{
    *out = t->crls;
    return t->crl_count;
}

size_t tls_trust_lists(const struct tls_trust *t, uint8_t sha256[32])
{
    memcpy(sha256, t->lists_sha256, sizeof t->lists_sha256);
    return t->lists_bytes;
}

void tls_trust_crl_sha256(const struct tls_trust *t, uint8_t out[32])
{
    memcpy(out, t->crl_sha256, sizeof t->crl_sha256);
}
