/* enrol: a profile in two steps. Keys are made here and never leave; certificates come back from the registrar. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "client/cli/cli.h"
#include "proto/note.h"
#include "proto/tls.h"

enum {
    POLICY_MAX = 1 << 20,
    PEM_MAX = 4 << 20
}; /* a revocation list of 100,000 entries fits */

/* ---- first step: keys and requests */

/* mkdir -p, 0700 for what is made. */
static bool make_directories(const char *path)
{
    char part[4096];

    if (strlen(path) >= sizeof part)
        return false;
    strcpy(part, path);
    for (char *p = part + 1;; p++) {
        char was = *p;

        if (was != '/' && was != '\0')
            continue;
        *p = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return false;
        if (was == '\0')
            return true;
        *p = was;
    }
}

/* A new file for PEM, which must not be there yet. */
static FILE *create(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    return fd >= 0 ? fdopen(fd, "w") : NULL;
}

/* A request that names the member for the registrar's eyes; what the certificate says is the registrar's decision. */
static X509_REQ *make_request(EVP_PKEY *key, const char *member)
{
    X509_REQ *req = X509_REQ_new();
    X509_NAME *name = req != NULL ? X509_REQ_get_subject_name(req) : NULL;

    if (name == NULL || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
        X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_UTF8,
                                   (const unsigned char *)"liaison", -1, -1, 0) != 1 ||
        X509_NAME_add_entry_by_txt(
            name, "CN", MBSTRING_UTF8, (const unsigned char *)member,
            (int)(strlen(member) < 64 ? strlen(member) : 64), -1, 0) != 1 ||
        X509_REQ_set_pubkey(req, key) != 1 ||
        X509_REQ_sign(req, key, EVP_sha256()) == 0) {
        X509_REQ_free(req);
        return NULL;
    }
    return req;
}

static bool write_key(EVP_PKEY *key, const char *path)
{
    FILE *f = create(path, 0600);
    bool ok = f != NULL &&
              PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 &&
              fflush(f) == 0 && fsync(fileno(f)) == 0;
    int reason = errno;

    if (f != NULL && fclose(f) != 0)
        return false;
    errno = reason;
    return ok;
}

static bool write_request(X509_REQ *req, const char *path)
{
    FILE *f = create(path, 0644);
    bool ok = f != NULL && PEM_write_X509_REQ(f, req) == 1;
    int reason = errno;

    if (f != NULL && fclose(f) != 0)
        return false;
    errno = reason;
    return ok;
}

/* A fresh key, or the one in the token that the URI means. */
static EVP_PKEY *get_key(const char *uri, int *status)
{
    char why[1024] = "";
    EVP_PKEY *key = uri == NULL ? EVP_EC_gen("P-256") : NULL;

    if (uri == NULL && key == NULL)
        *status = cli_fail(LIAISON_INTERNAL, "libcrypto could not make a key");
    if (uri == NULL)
        return key;
    enum liaison_code code = tls_load_key(uri, &key, why, sizeof why);

    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s", why);
    return key;
}

/* Makes NAME.csr, and NAME.key unless the key is in a token. */
static bool make_pair(struct cli *c, const char *name, const char *uri,
                      const char *member, int *status)
{
    const char *key_path =
        profile_path(&c->profile, cli_text(c, "%s.key", name), c->arena);
    const char *csr_path =
        profile_path(&c->profile, cli_text(c, "%s.csr", name), c->arena);
    EVP_PKEY *key = get_key(uri, status);
    X509_REQ *req = key != NULL ? make_request(key, member) : NULL;
    bool ok = false;

    if (key == NULL)
        return false;
    if (req == NULL || key_path == NULL || csr_path == NULL)
        *status = cli_fail(LIAISON_INTERNAL, "libcrypto could not make a request");
    else if (uri == NULL && !write_key(key, key_path))
        *status = cli_fail(LIAISON_FILE, "%s: %s", key_path, strerror(errno));
    else if (!write_request(req, csr_path))
        *status = cli_fail(LIAISON_FILE, "%s: %s", csr_path, strerror(errno));
    else
        ok = true;
    X509_REQ_free(req);
    EVP_PKEY_free(key);
    return ok;
}

static bool free_place(struct cli *c, int *status)
{
    static const char *const NAMES[] = {"profile.json", "sign.key", "sign.csr",
                                        "seal.key", "seal.csr"};

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const char *path = profile_path(&c->profile, NAMES[i], c->arena);

        if (path == NULL || access(path, F_OK) == 0) {
            *status = cli_fail(LIAISON_FILE,
                               "%s is there already, and enrol replaces no keys\n"
                               "name another place with --profile, or move it away",
                               path != NULL ? path : "it");
            return false;
        }
    }
    return true;
}

static int begin(struct cli *c, const char *dir)
{
    char why[1024] = "";
    const char *member =
        c->opt[OPT_AGENCY] != NULL ? c->opt[OPT_AGENCY] : c->opt[OPT_AUDITOR];
    int status;

    c->profile = (struct profile){
        .dir = dir,
        .network = c->opt[OPT_NETWORK],
        .broker = c->opt[OPT_BROKER],
        .agency = c->opt[OPT_AGENCY],
        .auditor = c->opt[OPT_AUDITOR],
        .officer = c->opt[OPT_OFFICER],
        .purpose = c->opt[OPT_PURPOSE],
        .basis = c->opt[OPT_BASIS],
        .sign_key = c->opt[OPT_SIGN_KEY],
        .seal_key = c->opt[OPT_SEAL_KEY],
    };
    if (c->profile.network == NULL || c->profile.broker == NULL ||
        (c->profile.agency == NULL) == (c->profile.auditor == NULL))
        return cli_fail(LIAISON_USAGE, "enrol wants --network NAME, --broker HOST:PORT "
                                       "and --agency NAME (or --auditor NAME)");
    enum liaison_code code = profile_check(&c->profile, why, sizeof why);

    if (code != LIAISON_OK)
        return cli_fail(LIAISON_USAGE, "%s", why);
    if (!make_directories(dir))
        return cli_fail(LIAISON_FILE, "%s: %s", dir, strerror(errno));
    if (!free_place(c, &status) ||
        !make_pair(c, "sign", c->profile.sign_key, member, &status) ||
        (c->profile.agency != NULL &&
         !make_pair(c, "seal", c->profile.seal_key, member, &status)))
        return status;
    code = profile_write(&c->profile, why, sizeof why);
    if (code != LIAISON_OK)
        return cli_fail(code, "%s", why);
    fprintf(
        stderr,
        "%s is ready for its certificates.\nSend to the registrar: %s/sign.csr%s%s%s\n",
        dir, dir, c->profile.agency != NULL ? " " : "",
        c->profile.agency != NULL ? dir : "",
        c->profile.agency != NULL ? "/seal.csr" : "");
    fprintf(stderr,
            "Then: liaison enrol --install sign.crt %sca.crt crl.pem --profile %s\n",
            c->profile.agency != NULL ? "seal.crt " : "", dir);
    return 0;
}

/* ---- second step: certificates */

/* Does the certificate carry the public half of the key? */
static bool key_matches(const struct slice der, EVP_PKEY *key)
{
    const unsigned char *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    bool same = x != NULL && EVP_PKEY_eq(X509_get0_pubkey(x), key) == 1;

    X509_free(x);
    return same;
}

struct trial {
    const char *file; /* the certificate to install */
    const char *key;  /* a path or a URI */
    enum tls_use use;
};

/* Checks one certificate: ours by key, of the right profile, for our name, not revoked. */
static bool certificate_holds(struct cli *c, const struct tls_trust *trust,
                              const struct trial *t, int *status)
{
    const char *own = c->profile.agency != NULL ? c->profile.agency : c->profile.auditor;
    enum tls_role role = c->profile.agency != NULL ? TLS_AGENCY : TLS_AUDITOR;
    struct tls_identity who = {0};
    EVP_PKEY *key = NULL;
    uint8_t *der = NULL;
    size_t len = 0;
    char why[512] = "";
    enum liaison_code code =
        t->key != NULL ? tls_load_key(t->key, &key, why, sizeof why) : LIAISON_MEMORY;

    if (code == LIAISON_OK)
        code = tls_load_certificate(t->file, &der, &len, why, sizeof why);
    if (code == LIAISON_OK && !key_matches(slice(der, len), key)) {
        code = LIAISON_CERTIFICATE;
        snprintf(why, sizeof why, "%s was not made for %s; it belongs to another key",
                 t->file, t->key);
    }
    if (code == LIAISON_OK)
        code = tls_check_der(trust, slice(der, len), t->use, (int64_t)time(NULL), &who,
                             why, sizeof why);
    if (code == LIAISON_OK && (who.role != role || strcmp(who.name, own) != 0)) {
        code = LIAISON_IDENTITY;
        snprintf(why, sizeof why, "%s names %s, and this profile is for %s", t->file,
                 who.name, own);
    }
    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s%s%s", strstr(why, t->file) == NULL ? t->file : "",
                           strstr(why, t->file) == NULL ? ": " : "",
                           why[0] != '\0' ? why : err_text(code));
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    return code == LIAISON_OK;
}

/* Puts a copy of `from` in place of the profile's `name`, whole or not at all. */
static bool put_copy(struct cli *c, const char *from, const char *name, int *status)
{
    const char *to = profile_path(&c->profile, name, c->arena);
    const char *new = profile_path(&c->profile, cli_text(c, ".%s.new", name), c->arena);
    struct slice bytes = {0};

    if (to == NULL || new == NULL) {
        *status = cli_no_memory();
        return false;
    }
    unlink(new); /* of a run that did not end */
    if (!files_read(c, from, PEM_MAX, &bytes, status) ||
        !files_write_new(new, bytes, status))
        return false;
    if (rename(new, to) == 0)
        return true;
    *status = cli_fail(LIAISON_FILE, "%s: %s", to, strerror(errno));
    unlink(new);
    return false;
}

static const char *key_of(struct cli *c, const char *uri, const char *file)
{
    return uri != NULL ? uri : profile_path(&c->profile, file, c->arena);
}

static int install(struct cli *c, const char *dir, int argc, char **argv)
{
    char why[1024] = "";
    struct tls_trust *trust = NULL;
    int status = 0;
    enum liaison_code code = profile_read(dir, c->arena, &c->profile, why, sizeof why);

    if (code != LIAISON_OK)
        return cli_fail(code, "%s", why);
    bool agency = c->profile.agency != NULL;

    if (argc != (agency ? 4 : 3))
        return cli_fail(LIAISON_USAGE,
                        "enrol --install wants sign.crt %sca.crt crl.pem, in this order",
                        agency ? "seal.crt " : "");
    const char *ca = argv[argc - 2], *crl = argv[argc - 1];
    const struct trial sign = {argv[0], key_of(c, c->profile.sign_key, "sign.key"),
                               TLS_USE_SIGN},
                       seal = {argv[1], key_of(c, c->profile.seal_key, "seal.key"),
                               TLS_USE_SEAL};

    code = tls_trust_load(c->profile.network, ca, crl, (int64_t)time(NULL), &trust, why,
                          sizeof why);
    if (code != LIAISON_OK)
        return cli_fail(code, "%s", why);
    if (certificate_holds(c, trust, &sign, &status) &&
        (!agency || certificate_holds(c, trust, &seal, &status)) &&
        put_copy(c, ca, "ca.crt", &status) && put_copy(c, crl, "crl.pem", &status) &&
        put_copy(c, argv[0], "sign.crt", &status) &&
        (!agency || put_copy(c, argv[1], "seal.crt", &status)))
        fprintf(stderr, "%s is complete. Try: liaison directory --profile %s\n", dir,
                dir);
    tls_trust_free(trust);
    return status;
}

/* ---- the policy of the broker's log */

static int put_policy(struct cli *c, const char *dir)
{
    const char *file = c->opt[OPT_POLICY];
    char why[1024] = "";
    struct note_policy *policy = NULL;
    struct slice text = {0};
    int status = 0;
    enum liaison_code code = profile_read(dir, c->arena, &c->profile, why, sizeof why);

    if (code != LIAISON_OK)
        return cli_fail(code, "%s", why);
    if (!files_read(c, file, POLICY_MAX, &text, &status))
        return status;
    code = note_policy_parse(text, &policy, why, sizeof why);
    if (code != LIAISON_OK)
        return cli_fail(code, "%s: %s", file, why);
    size_t logs = 0, witnesses = 0;

    (void)note_policy_logs(policy, &logs);
    (void)note_policy_witnesses(policy, &witnesses);
    note_policy_free(policy);
    if (put_copy(c, file, "log.policy", &status))
        fprintf(stderr, "%s believes %zu log key%s and knows %zu witness%s\n", dir, logs,
                logs == 1 ? "" : "s", witnesses, witnesses == 1 ? "" : "es");
    return status;
}

int cmd_enrol(struct cli *c, int argc, char **argv)
{
    const char *dir = profile_dir(c->opt[OPT_PROFILE], c->arena);
    bool begins = c->opt[OPT_NETWORK] != NULL || c->opt[OPT_POLICY] == NULL;
    int status = 0;

    if (dir == NULL)
        return cli_fail(LIAISON_CONFIG,
                        "there is no home directory; name a place with --profile DIR");
    if (c->opt[OPT_INSTALL] == NULL && argc > 0)
        return cli_fail(LIAISON_USAGE,
                        "'%s' is too much; certificates are put in with --install",
                        argv[0]);
    if (c->opt[OPT_INSTALL] != NULL)
        status = install(c, dir, argc, argv);
    else if (begins)
        status = begin(c, dir);
    return status == 0 && c->opt[OPT_POLICY] != NULL ? put_policy(c, dir) : status;
}
