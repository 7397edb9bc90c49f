/* Whose certificate it is, and whether it may be used for what it is shown for. */
#include "proto/tls_inner.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

/* ---------------------------------------------------------------- names */

enum { LABEL_MAX = 63 }; /* bytes of a registrar's label: it is a label of a host */

static const struct role_word {
    const char *word;
    enum tls_role role;
} ROLES[] = {
    {"agency/", TLS_AGENCY},
    {"auditor/", TLS_AUDITOR},
    {"broker/", TLS_BROKER},
};

/* Cuts `prefix` off the front of *rest; false and unchanged if it is not there. */
static bool skip(struct slice *rest, const char *prefix)
{
    size_t n = strlen(prefix);
    if (rest->n < n || memcmp(rest->p, prefix, n) != 0)
        return false;
    *rest = slice(rest->p + n, rest->n - n);
    return true;
}

/* What stands before the first `end`, which is cut off too; false if there is none. */
static bool take_until(struct slice *rest, char end, struct slice *taken)
{
    const uint8_t *at = rest->n > 0 ? memchr(rest->p, end, rest->n) : NULL;
    if (at == NULL)
        return false;
    *taken = slice(rest->p, (size_t)(at - rest->p));
    *rest = slice(at + 1, rest->n - taken->n - 1);
    return true;
}

static bool skip_role(struct slice *rest, enum tls_role *role)
{
    for (size_t i = 0; i < sizeof ROLES / sizeof ROLES[0]; i++)
        if (skip(rest, ROLES[i].word)) {
            *role = ROLES[i].role;
            return true;
        }
    return false;
}

/* "approver" is no agency's: it may only stand between an agency's path and one word. Cuts both off. */
static bool cut_approver(char *path, enum tls_role *role, const char **word)
{
    char *at = strstr(path, "/approver/");
    if (at == NULL)
        return strncmp(path, "approver/", 9) != 0 && strcmp(path, "approver") != 0 &&
               (strlen(path) < 9 || strcmp(path + strlen(path) - 9, "/approver") != 0);
    if (strncmp(path, "approver/", 9) == 0 || !id_word(at + 10))
        return false;
    *at = '\0';
    *word = at + 10;
    *role = TLS_APPROVER;
    return true;
}

bool tls_parse_uri(struct slice uri, const char *network, struct tls_identity *who)
{
    enum { PATH_MAX_BYTES = ID_NAME_MAX + sizeof "/approver/" + ID_NAME_MAX };
    char path[PATH_MAX_BYTES + 1], whole[LABEL_MAX + 1 + PATH_MAX_BYTES + 1];
    struct slice rest = uri, label = {0};
    enum tls_role found = TLS_AGENCY;
    const char *word = "";
    /* From here on it is text: a NUL anywhere would end a name before its bytes end. */
    if (uri.n == 0 || memchr(uri.p, '\0', uri.n) != NULL)
        return false;
    if (network[0] == '\0' || !skip(&rest, "spiffe://") ||
        !take_until(&rest, '.', &label) || label.n == 0 || label.n > LABEL_MAX ||
        !skip(&rest, network) || !skip(&rest, "/") || !skip_role(&rest, &found) ||
        rest.n == 0 || rest.n > PATH_MAX_BYTES || memchr(label.p, '/', label.n) != NULL)
        return false;
    memcpy(path, rest.p, rest.n);
    path[rest.n] = '\0';
    if (found == TLS_AGENCY && !cut_approver(path, &found, &word))
        return false;
    (void)snprintf(whole, sizeof whole, "%.*s/%s", (int)label.n, (const char *)label.p,
                   path);
    if (!id_name(whole))
        return false;
    who->role = found;
    memcpy(who->name, whole, strlen(whole) + 1);    /* id_name: it fits */
    memcpy(who->role_name, word, strlen(word) + 1); /* so does a word */
    return true;
}

/* ---------------------------------------------------------------- profiles */

/* keyUsage as DER writes it: a BIT STRING, its trailing zero bits left off. */
#define DIGITAL_SIGNATURE 0x03, 0x02, 0x07, 0x80
#define KEY_AGREEMENT     0x03, 0x02, 0x03, 0x08

static const struct profile {
    const char *what;
    uint8_t key_usage
        [4]; /* both as they stand in the extension, DER: one form, one meaning */
    size_t purpose_len;
    uint8_t purpose[14];
    unsigned roles; /* who may have it, one bit each */
} PROFILES[] = {
    [TLS_USE_SIGN] = {"login and signing",
                      {DIGITAL_SIGNATURE},
                      12, /* clientAuth */
                      {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03,
                       0x02},
                      1u << TLS_AGENCY | 1u << TLS_AUDITOR | 1u << TLS_APPROVER},
    [TLS_USE_SEAL] = {"sealing",
                      {KEY_AGREEMENT},
                      14, /* 1.3.6.1.4.1.58888.1.1 */
                      {0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xcc,
                       0x08, 0x01, 0x01},
                      1u << TLS_AGENCY},
    [TLS_USE_BROKER] = {"a broker",
                        {DIGITAL_SIGNATURE},
                        12, /* serverAuth */
                        {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03,
                         0x01},
                        1u << TLS_BROKER},
};

/* ECDSA on P-256 by its name: the curve spelled out as numbers is another curve until proven otherwise. */
static bool is_p256(X509 *leaf)
{
    X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *oid = NULL;
    const void *curve = NULL;
    int curve_type = V_ASN1_UNDEF;
    if (X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm,
                               X509_get_X509_PUBKEY(leaf)) != 1)
        return false;
    X509_ALGOR_get0(&oid, &curve_type, &curve, algorithm);
    return OBJ_obj2nid(oid) == NID_X9_62_id_ecPublicKey && curve_type == V_ASN1_OBJECT &&
           OBJ_obj2nid(curve) == NID_X9_62_prime256v1 && X509_get0_pubkey(leaf) != NULL;
}

/* The one extension of that kind is these very bytes. OpenSSL's own decoder would take other spellings of them too. */
static bool extension_is(const X509 *leaf, int nid, bool critical, struct slice want)
{
    int at = X509_get_ext_by_NID(leaf, nid, -1);
    if (at < 0 || X509_get_ext_by_NID(leaf, nid, at) >= 0)
        return false;
    X509_EXTENSION *e = X509_get_ext(leaf, at);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(e);
    return (!critical || X509_EXTENSION_get_critical(e) == 1) &&
           slice_equal(
               slice(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)),
               want);
}

static enum liaison_code check_profile(X509 *leaf, const struct profile *p, char *why,
                                       size_t why_len)
{
    if (!is_p256(leaf))
        return tls_say(LIAISON_PROFILE, why, why_len,
                       "the certificate's key is not on the curve P-256");
    if ((X509_get_extension_flags(leaf) & EXFLAG_CA) != 0)
        return tls_say(LIAISON_PROFILE, why, why_len,
                       "the certificate is a CA's, not a member's");
    if (!extension_is(leaf, NID_key_usage, true,
                      slice(p->key_usage, sizeof p->key_usage)))
        return tls_say(LIAISON_PROFILE, why, why_len,
                       "the certificate is not one for %s: another key usage", p->what);
    if (!extension_is(leaf, NID_ext_key_usage, false, slice(p->purpose, p->purpose_len)))
        return tls_say(LIAISON_PROFILE, why, why_len,
                       "the certificate is not one for %s: another extended key usage",
                       p->what);
    return LIAISON_OK;
}

/* The certificate's one name; {NULL, 0} if it has none, several, or one that is no URI. Borrows from names. */
static struct slice only_uri(const GENERAL_NAMES *names)
{
    if (names == NULL || sk_GENERAL_NAME_num(names) != 1)
        return slice(NULL, 0);
    int type = 0;
    const ASN1_IA5STRING *uri =
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), &type);
    if (type != GEN_URI)
        return slice(NULL, 0);
    return slice(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
}

static enum liaison_code check_name(const struct tls_trust *t, X509 *leaf,
                                    const struct profile *p, struct tls_identity *who,
                                    char *why, size_t why_len)
{
    enum liaison_code code = LIAISON_OK;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    struct slice uri = only_uri(names);
    if (uri.p == NULL)
        code = tls_say(LIAISON_IDENTITY, why, why_len,
                       "the certificate must have exactly one name, a URI");
    else if (!tls_parse_uri(uri, t->network, who))
        code = tls_say(LIAISON_IDENTITY, why, why_len,
                       "the certificate's URI is no member's name in network %s",
                       t->network);
    else if ((p->roles & 1u << who->role) == 0)
        code = tls_say(LIAISON_IDENTITY, why, why_len,
                       "the certificate names %s, whose role may not have one for %s",
                       who->name, p->what);
    GENERAL_NAMES_free(names);
    return code;
}

/* ---------------------------------------------------------------- chains */

static const struct chain_error {
    int error;
    enum liaison_code code;
} CHAIN_ERRORS[] = {
    {X509_V_ERR_CERT_REVOKED, LIAISON_REVOKED},
    {X509_V_ERR_CERT_HAS_EXPIRED, LIAISON_EXPIRED},
    {X509_V_ERR_CERT_NOT_YET_VALID, LIAISON_EXPIRED},
    {X509_V_ERR_UNABLE_TO_GET_CRL, LIAISON_CRL},
    {X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, LIAISON_CRL},
    {X509_V_ERR_CRL_HAS_EXPIRED, LIAISON_CRL},
    {X509_V_ERR_CRL_NOT_YET_VALID, LIAISON_CRL},
    {X509_V_ERR_CRL_SIGNATURE_FAILURE, LIAISON_CRL},
    {X509_V_ERR_CRL_PATH_VALIDATION_ERROR, LIAISON_CRL},
    {X509_V_ERR_DIFFERENT_CRL_SCOPE, LIAISON_CRL},
    {X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, LIAISON_CRL},
    {X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, LIAISON_CRL},
    {X509_V_ERR_PERMITTED_VIOLATION, LIAISON_IDENTITY},
    {X509_V_ERR_EXCLUDED_VIOLATION, LIAISON_IDENTITY},
    {X509_V_ERR_SUBTREE_MINMAX, LIAISON_IDENTITY},
    {X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, LIAISON_IDENTITY},
    {X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, LIAISON_IDENTITY},
    {X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, LIAISON_IDENTITY},
    {X509_V_ERR_OUT_OF_MEM, LIAISON_MEMORY},
};

static enum liaison_code say_chain_error(const X509_STORE_CTX *ctx, char *why,
                                         size_t why_len)
{
    int error = X509_STORE_CTX_get_error(ctx);
    enum liaison_code code = LIAISON_CERTIFICATE;
    for (size_t i = 0; i < sizeof CHAIN_ERRORS / sizeof CHAIN_ERRORS[0]; i++)
        if (CHAIN_ERRORS[i].error == error)
            code = CHAIN_ERRORS[i].code;
    return tls_say(code, why, why_len, "%s: %s",
                   X509_STORE_CTX_get_error_depth(ctx) == 0 ? "the certificate"
                                                            : "its issuing certificate",
                   X509_verify_cert_error_string(error));
}

/* Earliest notAfter of a verified chain. */
static int64_t chain_end(STACK_OF(X509) * chain)
{
    int64_t earliest = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t end = tls_unix(X509_get0_notAfter(sk_X509_value(chain, i)));
        if (end < earliest)
            earliest = end;
    }
    return earliest;
}

/* Both stacks as one; it borrows the certificates. NULL when memory is out. */
static STACK_OF(X509) * join(STACK_OF(X509) * ours, STACK_OF(X509) * others)
{
    STACK_OF(X509) *all = sk_X509_dup(ours);
    for (int i = 0; all != NULL && i < sk_X509_num(others); i++)
        if (sk_X509_push(all, sk_X509_value(others, i)) <= 0) {
            sk_X509_free(all);
            all = NULL;
        }
    return all;
}

static enum liaison_code check_chain(const struct tls_trust *t, X509 *leaf,
                                     STACK_OF(X509) * others, int64_t now_unix,
                                     int64_t *ends_unix, char *why, size_t why_len)
{
    bool joined = others != NULL && sk_X509_num(others) > 0;
    STACK_OF(X509) *untrusted = joined ? join(t->issuing, others) : t->issuing;
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    enum liaison_code code = LIAISON_OK;
    if (ctx == NULL || untrusted == NULL ||
        X509_STORE_CTX_init(ctx, t->store, leaf, untrusted) != 1) {
        code = tls_say(LIAISON_MEMORY, why, why_len, "out of memory");
        goto out;
    }
    X509_STORE_CTX_set_time(ctx, 0, (time_t)now_unix);
    if (X509_STORE_CTX_set_app_data(ctx, (void *)(uintptr_t)t) !=
        1) { /* for the store's check of lists */
        code = tls_say(LIAISON_MEMORY, why, why_len, "out of memory");
        goto out;
    }
    if (X509_verify_cert(ctx) != 1)
        code = say_chain_error(ctx, why, why_len);
    else
        *ends_unix = chain_end(X509_STORE_CTX_get0_chain(ctx));
out:
    X509_STORE_CTX_free(ctx);
    if (joined)
        sk_X509_free(untrusted);
    return code;
}

enum liaison_code tls_check(const struct tls_trust *t, X509 *leaf,
                            STACK_OF(X509) * others, enum tls_use use, int64_t now_unix,
                            struct tls_identity *out, char *why, size_t why_len)
{
    struct tls_identity who = {0};
    ERR_set_mark(); /* what it leaves in the queue would be taken for the connection's error */
    enum liaison_code code =
        check_chain(t, leaf, others, now_unix, &who.not_after_unix, why, why_len);
    if (code == LIAISON_OK)
        code = check_profile(leaf, &PROFILES[use], why, why_len);
    if (code == LIAISON_OK)
        code = check_name(t, leaf, &PROFILES[use], &who, why, why_len);
    if (code == LIAISON_OK && X509_digest(leaf, t->sha256, who.certificate, NULL) != 1)
        code = tls_say(LIAISON_MEMORY, why, why_len, "out of memory");
    ERR_pop_to_mark();
    if (code == LIAISON_OK)
        *out = who;
    return code;
}

enum liaison_code tls_check_der(const struct tls_trust *t, struct slice der,
                                enum tls_use use, int64_t now_unix,
                                struct tls_identity *out, char *why, size_t why_len)
{
    X509 *leaf = tls_parse_certificate(der);
    if (leaf == NULL)
        return tls_say(LIAISON_CERTIFICATE, why, why_len, "not a certificate in DER");
    enum liaison_code code = tls_check(t, leaf, NULL, use, now_unix, out, why, why_len);
    X509_free(leaf);
    return code;
}
