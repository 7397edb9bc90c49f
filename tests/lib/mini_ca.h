#pragma once
/* A CA in memory, for tests that need certificates which liaison-ca refuses to make. Every failure ends the test program. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* What a certificate shall say; NULL leaves the extension out. Times are seconds from now; 0, 0 is "an hour around now". */
struct mini_spec {
    const char *cn;
    const char *basic;   /* "critical,CA:TRUE,pathlen:0" */
    const char *usage;   /* "critical,digitalSignature" */
    const char *purpose; /* "clientAuth" */
    const char *san;     /* "URI:spiffe://..." */
    const char *fence;   /* "critical,permitted;URI:fr.practicies.example" */
    const char *curve;   /* "P-256" if NULL; "RSA" for an RSA key */
    bool spelled_out;    /* the curve as numbers instead of its name */
    long start, end;
};

struct mini {
    X509 *certificate;
    EVP_PKEY *key;
};

static inline void mini_must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "mini_ca: %s failed\n", what);
        ERR_print_errors_fp(stderr);
        abort();
    }
}

static inline EVP_PKEY *mini_key(const struct mini_spec *s)
{
    const char *curve = s->curve != NULL ? s->curve : "P-256";
    if (strcmp(curve, "RSA") == 0)
        return EVP_RSA_gen(2048);
    EVP_PKEY *key = EVP_EC_gen(curve);
    mini_must(key != NULL, "EVP_EC_gen");
    if (s->spelled_out)
        mini_must(EVP_PKEY_set_utf8_string_param(key, "encoding", "explicit") == 1,
                  "explicit curve");
    return key;
}

static inline void mini_extension(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
    if (value == NULL)
        return;
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    mini_must(e != NULL && X509_add_ext(x, e, -1) == 1, value);
    X509_EXTENSION_free(e);
}

/* Gives: a certificate under `issuer`, or one signed by itself if issuer is NULL. */
static inline struct mini mini_issue(const struct mini *issuer, struct mini_spec s)
{
    struct mini m = {X509_new(), mini_key(&s)};
    const struct mini *by = issuer != NULL ? issuer : &m;
    unsigned char serial[16];
    X509V3_CTX ctx;
    mini_must(RAND_bytes(serial, sizeof serial) == 1, "RAND_bytes");
    serial[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(m.certificate));
    BN_free(number);
    X509_set_version(m.certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(m.certificate),
                    s.start != 0 || s.end != 0 ? s.start : -3600);
    X509_gmtime_adj(X509_getm_notAfter(m.certificate),
                    s.start != 0 || s.end != 0 ? s.end : 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(m.certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)s.cn, -1, -1, 0);
    X509_set_issuer_name(m.certificate, X509_get_subject_name(by->certificate));
    mini_must(X509_set_pubkey(m.certificate, m.key) == 1, "X509_set_pubkey");
    X509V3_set_ctx(&ctx, by->certificate, m.certificate, NULL, NULL, 0);
    mini_extension(m.certificate, &ctx, NID_basic_constraints, s.basic);
    mini_extension(m.certificate, &ctx, NID_key_usage, s.usage);
    mini_extension(m.certificate, &ctx, NID_ext_key_usage, s.purpose);
    mini_extension(m.certificate, &ctx, NID_subject_alt_name, s.san);
    mini_extension(m.certificate, &ctx, NID_name_constraints, s.fence);
    mini_extension(m.certificate, &ctx, NID_subject_key_identifier, "hash");
    if (issuer != NULL)
        mini_extension(m.certificate, &ctx, NID_authority_key_identifier, "keyid:always");
    mini_must(X509_sign(m.certificate, by->key, EVP_sha256()) > 0, "X509_sign");
    return m;
}

static inline void mini_free(struct mini *m)
{
    X509_free(m->certificate);
    EVP_PKEY_free(m->key);
}

/* Gives: a revocation list of `ca` with `revoked` (NULL-terminated) in it; times are seconds from now. */
static inline X509_CRL *mini_crl(const struct mini *ca, X509 *const revoked[], long start,
                                 long end)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, start), *until = X509_gmtime_adj(NULL, end);
    X509V3_CTX ctx;
    mini_must(X509_CRL_set_version(crl, 1) == 1 &&
                  X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->certificate)) ==
                      1 &&
                  X509_CRL_set1_lastUpdate(crl, from) == 1 &&
                  X509_CRL_set1_nextUpdate(crl, until) == 1,
              "X509_CRL");
    for (; revoked != NULL && *revoked != NULL; revoked++) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(*revoked));
        X509_REVOKED_set_revocationDate(entry, from);
        mini_must(X509_CRL_add0_revoked(crl, entry) == 1, "X509_CRL_add0_revoked");
    }
    X509V3_set_ctx(&ctx, ca->certificate, NULL, NULL, crl, 0);
    X509_EXTENSION *e =
        X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    mini_must(e != NULL && X509_CRL_add_ext(crl, e, -1) == 1, "authority key identifier");
    X509_EXTENSION_free(e);
    X509_CRL_sort(crl);
    mini_must(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0, "X509_CRL_sign");
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return crl;
}

static inline FILE *mini_open(const char *path, mode_t mode)
{
    FILE *f = fopen(path, "w");
    mini_must(f != NULL && fchmod(fileno(f), mode) == 0, path);
    return f;
}

/* Writes certificates (NULL-terminated) as PEM. */
static inline void mini_write_certificates(const char *path, X509 *const list[])
{
    FILE *f = mini_open(path, 0644);
    for (; *list != NULL; list++)
        mini_must(PEM_write_X509(f, *list) == 1, path);
    mini_must(fclose(f) == 0, path);
}

/* Writes revocation lists (NULL-terminated) as PEM and releases them. */
static inline void mini_write_crls(const char *path, X509_CRL *list[])
{
    FILE *f = mini_open(path, 0644);
    for (; *list != NULL; list++) {
        mini_must(PEM_write_X509_CRL(f, *list) == 1, path);
        X509_CRL_free(*list);
    }
    mini_must(fclose(f) == 0, path);
}

static inline void mini_write_key(const char *path, EVP_PKEY *key, mode_t mode)
{
    FILE *f = mini_open(path, mode);
    mini_must(PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1, path);
    mini_must(fclose(f) == 0, path);
}
