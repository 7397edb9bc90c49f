#pragma once
/* A throw-away network for tests: root, issuing CA "fr" and leaves of every profile, made in a fresh directory. Everything in
 * it is synthetic and no key outlives the test. Static functions, since a test is one file. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PKI_NETWORK "test.example"

enum pki_use { PKI_SIGN, PKI_SEAL, PKI_BROKER };

struct pki {
    char dir[64];
    EVP_PKEY *root_key, *ca_key;
    X509 *root, *ca;
    long serial, crl_number;
    long revoked[8];
    size_t n_revoked;
};

static const char *pki_path(const struct pki *p, const char *file)
{
    static char paths[8][256]; /* enough for one call's arguments */
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", p->dir, file);
    return path;
}

static inline void pki_must(int ok)
{
    if (!ok)
        abort();
}

static void pki_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, (char *)(uintptr_t)value);

    pki_must(e != NULL && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

static X509 *pki_certificate(struct pki *p, EVP_PKEY *key, const char *cn, X509 *issuer)
{
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++p->serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 24 * 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1,
                               -1, 0);
    X509_set_issuer_name(x, issuer == NULL ? name : X509_get_subject_name(issuer));
    X509_set_pubkey(x, key);
    return x;
}

static X509 *pki_authority(struct pki *p, EVP_PKEY *key, const char *cn, X509 *issuer,
                           EVP_PKEY *issuer_key)
{
    X509 *x = pki_certificate(p, key, cn, issuer);

    pki_extension(x, x, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "critical,CA:TRUE,pathlen:0");
    pki_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
    pki_extension(x, x, NID_subject_key_identifier, "hash");
    pki_extension(x, issuer == NULL ? x : issuer, NID_authority_key_identifier,
                  "keyid:always");
    if (issuer != NULL)
        pki_extension(x, issuer, NID_name_constraints,
                      "critical,permitted;URI:fr." PKI_NETWORK);
    pki_must(X509_sign(x, issuer_key, EVP_sha256()) > 0);
    return x;
}

static void pki_write(const struct pki *p, const char *file, EVP_PKEY *key, X509 *a,
                      X509 *b)
{
    const char *path = pki_path(p, file);
    FILE *f = fopen(path, "w");

    pki_must(f != NULL);
    if (key != NULL)
        pki_must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    if (a != NULL)
        pki_must(PEM_write_X509(f, a));
    if (b != NULL)
        pki_must(PEM_write_X509(f, b));
    pki_must(fclose(f) == 0);
    pki_must(chmod(path, key != NULL ? 0600 : 0644) == 0);
}

static inline X509_CRL *pki_one_crl(struct pki *p, X509 *ca, EVP_PKEY *key, bool leaves)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *next = X509_gmtime_adj(NULL, 3600);
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    X509V3_CTX ctx;

    X509_CRL_set_version(crl, 1);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, next);
    for (size_t i = 0; leaves && i < p->n_revoked; i++) {
        X509_REVOKED *r = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();

        ASN1_INTEGER_set(serial, p->revoked[i]);
        X509_REVOKED_set_serialNumber(r, serial);
        X509_REVOKED_set_revocationDate(r, now);
        X509_CRL_add0_revoked(crl, r);
        ASN1_INTEGER_free(serial);
    }
    X509V3_set_ctx(&ctx, ca, NULL, NULL, crl, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier,
                                            (char *)(uintptr_t) "keyid:always");

    pki_must(e != NULL && X509_CRL_add_ext(crl, e, -1));
    X509_EXTENSION_free(e);
    ASN1_INTEGER_set(number, p->crl_number);
    pki_must(X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1);
    pki_must(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    return crl;
}

/* Writes a fresh CRL of each CA, with a higher number, to `file`. */
static inline void pki_crls(struct pki *p, const char *file)
{
    FILE *f = fopen(pki_path(p, file), "w");

    p->crl_number++;
    X509_CRL *root = pki_one_crl(p, p->root, p->root_key, false),
             *ca = pki_one_crl(p, p->ca, p->ca_key, true);

    pki_must(f != NULL && PEM_write_X509_CRL(f, root) && PEM_write_X509_CRL(f, ca) &&
             fclose(f) == 0);
    X509_CRL_free(root);
    X509_CRL_free(ca);
}

static void pki_open(struct pki *p)
{
    *p = (struct pki){.dir = "/tmp/liaison-test.XXXXXX"};
    pki_must(mkdtemp(p->dir) != NULL);
    p->root_key = EVP_EC_gen("P-256");
    p->ca_key = EVP_EC_gen("P-256");
    p->root = pki_authority(p, p->root_key, "Synthetic test root", NULL, p->root_key);
    p->ca = pki_authority(p, p->ca_key, "Synthetic test registrar", p->root, p->root_key);
    pki_write(p, "ca.pem", NULL, p->root, p->ca);
}

/* Makes NAME.key and NAME.crt (leaf, then its CA). Returns the certificate's serial number. */
static long pki_leaf(struct pki *p, const char *name, const char *uri, enum pki_use use)
{
    static const struct {
        const char *usage, *extended;
    } PROFILE[] = {
        [PKI_SIGN] = {"critical,digitalSignature", "clientAuth"},
        [PKI_SEAL] = {"critical,keyAgreement", "1.3.6.1.4.1.58888.1.1"},
        [PKI_BROKER] = {"critical,digitalSignature", "serverAuth"},
    };
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = pki_certificate(p, key, name, p->ca);
    char san[320], file[64];
    long serial = p->serial;

    snprintf(san, sizeof san, "URI:%s", uri);
    pki_extension(x, p->ca, NID_basic_constraints, "critical,CA:FALSE");
    pki_extension(x, p->ca, NID_key_usage, PROFILE[use].usage);
    pki_extension(x, p->ca, NID_ext_key_usage, PROFILE[use].extended);
    pki_extension(x, p->ca, NID_subject_alt_name, san);
    pki_extension(x, p->ca, NID_subject_key_identifier, "hash");
    pki_extension(x, p->ca, NID_authority_key_identifier, "keyid:always");
    pki_must(X509_sign(x, p->ca_key, EVP_sha256()) > 0);
    snprintf(file, sizeof file, "%s.key", name);
    pki_write(p, file, key, NULL, NULL);
    snprintf(file, sizeof file, "%s.crt", name);
    pki_write(p, file, NULL, x, p->ca);
    X509_free(x);
    EVP_PKEY_free(key);
    return serial;
}

static void pki_close(struct pki *p)
{
    char command[96];

    X509_free(p->root);
    X509_free(p->ca);
    EVP_PKEY_free(p->root_key);
    EVP_PKEY_free(p->ca_key);
    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    pki_must(system(command) == 0);
}
