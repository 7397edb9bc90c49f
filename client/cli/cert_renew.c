/* cert renew, cert rotate, cert install: a new key beside the one in force, until its certificate is there. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cert.h"

/* A pair of the profile. */
static const struct slot {
    const char *name, *key, *new_key, *csr, *crt, *new_crt;
    enum tls_use use;
} SLOTS[] = {
    {"signing", "sign.key", "sign.new.key", "sign.csr", "sign.crt", "sign.new.crt",
     TLS_USE_SIGN},
    {"sealing", "seal.key", "seal.new.key", "seal.csr", "seal.crt", "seal.new.crt",
     TLS_USE_SEAL},
};

enum { SIGN, SEAL, N_SLOTS };

static const char *path(struct cli *c, const char *file)
{
    return profile_path(&c->profile, file, c->arena);
}

/* The URI of a key in a token; NULL: it is a file. */
static const char *uri_of(const struct cli *c, const struct slot *s)
{
    return s->use == TLS_USE_SIGN ? c->profile.sign_key : c->profile.seal_key;
}

static bool is_there(struct cli *c, const char *file)
{
    const char *p = path(c, file);

    return p != NULL && access(p, F_OK) == 0;
}

/* ---- asking for a new one */

static int begin(struct cli *c, const struct slot *s)
{
    int status = 0;

    if (is_there(c, s->new_key))
        return cli_fail(
            LIAISON_CONFLICT,
            "a new %s key waits for its certificate: send %s to the registrar, then "
            "'liaison cert install FILE'\nremove %s to begin again",
            s->name, path(c, s->csr), path(c, s->new_key));
    if (path(c, s->csr) == NULL)
        return cli_no_memory();
    (void)unlink(path(c, s->csr)); /* of the key before */
    if (!pair_make(c, uri_of(c, s) != NULL ? s->key : s->new_key, s->csr, &status))
        return status;
    if (c->opt[OPT_JSON] != NULL)
        return print_json(json_pack(
            "{ssss}", "key", uri_of(c, s) != NULL ? uri_of(c, s) : path(c, s->new_key),
            "request", path(c, s->csr)));
    fprintf(stderr,
            "Send to the registrar: %s\nThen: liaison cert install %s --profile "
            "%s\nUntil then "
            "the %s key in force stays.\n",
            path(c, s->csr), s->crt, c->profile.dir, s->name);
    return 0;
}

int cert_renew(struct cli *c, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return begin(c, &SLOTS[SIGN]);
}

int cert_rotate(struct cli *c, int argc, char **argv)
{
    (void)argc;
    if (strcmp(argv[0], "seal") != 0)
        return cli_fail(LIAISON_USAGE,
                        "cert rotate seal; the signing key is replaced with cert renew");
    if (!profile_seals(&c->profile))
        return cli_fail(LIAISON_ROLE, "%s seals nothing: it has no sealing key",
                        pair_member(c));
    if (c->profile.seal_key != NULL)
        return cli_fail(
            LIAISON_UNSUPPORTED,
            "the sealing key is in a token, and only keys in files are kept beside "
            "their successor");
    return begin(c, &SLOTS[SEAL]);
}

/* ---- putting in what came back */

/* What the files of one `cert install` are. */
struct batch {
    const char *ca, *crl;     /* NULL: the profile's stay */
    const char *crt[N_SLOTS]; /* NULL: none of that use */
    bool new_key[N_SLOTS];    /* it belongs to NAME.new.key */
};

static bool belongs(struct slice der, const char *key_path)
{
    EVP_PKEY *key = NULL;
    char why[256];
    bool ok = key_path != NULL &&
              tls_load_key(key_path, &key, why, sizeof why) == LIAISON_OK &&
              pair_matches(der, key);

    EVP_PKEY_free(key);
    return ok;
}

/* Whose certificate is it, by its key? */
static int place_leaf(struct cli *c, const char *file, struct slice der, struct batch *b)
{
    for (size_t i = 0; i < N_SLOTS; i++) {
        bool fresh = belongs(der, path(c, SLOTS[i].new_key));

        if (!fresh && !belongs(der, profile_key(&c->profile, SLOTS[i].key, c->arena)))
            continue;
        if (b->crt[i] != NULL)
            return cli_fail(LIAISON_USAGE, "%s and %s are both %s certificates",
                            b->crt[i], file, SLOTS[i].name);
        b->crt[i] = file;
        b->new_key[i] = fresh;
        return 0;
    }
    return cli_fail(LIAISON_CERTIFICATE, "%s belongs to no key of %s", file,
                    c->profile.dir);
}

/* What a file is, it says itself: a revocation list, CA certificates, or a certificate of ours. */
static int place(struct cli *c, const char *file, struct batch *b)
{
    FILE *f = fopen(file, "re");
    X509_CRL *crl = f != NULL ? PEM_read_X509_CRL(f, NULL, NULL, NULL) : NULL;

    if (f != NULL)
        rewind(f);
    X509 *x = f != NULL && crl == NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    uint8_t *der = NULL;
    int n = x != NULL ? i2d_X509(x, &der) : 0, status = 0;

    if (crl != NULL)
        b->crl = file;
    else if (x != NULL && X509_check_ca(x) > 0)
        b->ca = file;
    else if (n > 0)
        status = place_leaf(c, file, slice(der, (size_t)n), b);
    else
        status = cli_fail(LIAISON_FILE,
                          "%s: no certificate and no revocation list in PEM", file);
    if (f != NULL)
        fclose(f);
    OPENSSL_free(der);
    X509_free(x);
    X509_CRL_free(crl);
    return status;
}

static bool all_hold(struct cli *c, const struct batch *b, int *status)
{
    const char *ca = b->ca != NULL ? b->ca : path(c, "ca.crt");
    const char *crl = b->crl != NULL ? b->crl : path(c, "crl.pem");
    struct tls_trust *trust = NULL;
    char why[1024] = "";
    enum liaison_code code = tls_trust_load(c->profile.network, ca, crl,
                                            (int64_t)time(NULL), &trust, why, sizeof why);
    bool ok = code == LIAISON_OK;

    if (!ok)
        *status = cli_fail(code, "%s", why);
    for (size_t i = 0; ok && i < N_SLOTS; i++)
        if (b->crt[i] != NULL)
            ok =
                pair_holds(c, trust,
                           &(struct pair_trial){
                               b->crt[i], b->new_key[i] ? SLOTS[i].new_key : SLOTS[i].key,
                               SLOTS[i].use},
                           status);
    tls_trust_free(trust);
    return ok;
}

/* The certificate's file going in decides it; profile_settle() does the rest, now or at the next command. */
static bool swap(struct cli *c, const struct slot *s, const char *file, bool new_key,
                 int *status)
{
    char why[1024] = "";
    enum liaison_code code = LIAISON_OK;

    if (s->use == TLS_USE_SEAL && c->profile.seal_key == NULL)
        code = profile_keep_seal(&c->profile, why, sizeof why);
    if (code == LIAISON_OK) {
        if (!pair_put(c, file, new_key ? s->new_crt : s->crt, status))
            return false;
        code = profile_settle(&c->profile, why, sizeof why);
    }
    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s", why);
    return code == LIAISON_OK;
}

/* The hash of what was in force stays among those that the watch knows. */
static bool remember(struct cli *c, const struct slot *s, int *status)
{
    struct cert_facts facts;
    char *sha256[1];

    if (!cert_read(c, s->crt, &facts))
        return true;
    sha256[0] = (char *)(uintptr_t)facts.sha256;
    *status = cert_known(c, 1, sha256);
    return *status == 0;
}

int cert_install(struct cli *c, int argc, char **argv)
{
    struct batch b = {0};
    int status = 0;

    for (int i = 0; status == 0 && i < argc; i++)
        status = place(c, argv[i], &b);
    if (status != 0 || !all_hold(c, &b, &status) ||
        (b.ca != NULL && !pair_put(c, b.ca, "ca.crt", &status)) ||
        (b.crl != NULL && !pair_put(c, b.crl, "crl.pem", &status)))
        return status;
    for (size_t i = 0; i < N_SLOTS; i++)
        if (b.crt[i] != NULL && (!remember(c, &SLOTS[i], &status) ||
                                 !swap(c, &SLOTS[i], b.crt[i], b.new_key[i], &status)))
            return status;
    fprintf(stderr, "%s has what came; 'liaison cert show' shows it\n", c->profile.dir);
    return 0;
}
