#include "client/cli/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>

enum { PEM_MAX = 4 << 20 }; /* a revocation list of 100,000 entries fits */

/* ---- making */

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

/* A fresh key, or the one that is in a token already. */
static EVP_PKEY *get_key(const char *where, int *status)
{
    bool in_token = tls_key_in_token(where);
    char why[1024] = "";
    EVP_PKEY *key = in_token ? NULL : EVP_EC_gen("P-256");
    enum liaison_code code =
        in_token ? tls_load_key(where, &key, why, sizeof why) : LIAISON_OK;

    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s", why);
    else if (key == NULL)
        *status = cli_fail(LIAISON_INTERNAL, "libcrypto could not make a key");
    return key;
}

const char *pair_member(struct cli *c)
{
    const struct profile *p = &c->profile;

    if (p->approver != NULL)
        return cli_text(c, "%s/approver/%s", p->agency, p->approver);
    return p->agency != NULL ? p->agency : p->auditor;
}

bool pair_make(struct cli *c, const char *key_name, const char *csr_name, int *status)
{
    const char *where = profile_key(&c->profile, key_name, c->arena);
    const char *csr_path = profile_path(&c->profile, csr_name, c->arena);
    EVP_PKEY *key = where != NULL ? get_key(where, status) : NULL;
    X509_REQ *req = key != NULL ? make_request(key, pair_member(c)) : NULL;
    bool ok = false;

    if (where == NULL || csr_path == NULL)
        *status = cli_no_memory();
    else if (key != NULL && req == NULL)
        *status = cli_fail(LIAISON_INTERNAL, "libcrypto could not make a request");
    else if (key != NULL && !tls_key_in_token(where) && !write_key(key, where))
        *status = cli_fail(LIAISON_FILE, "%s: %s", where, strerror(errno));
    else if (key != NULL && !write_request(req, csr_path))
        *status = cli_fail(LIAISON_FILE, "%s: %s", csr_path, strerror(errno));
    else
        ok = key != NULL;
    X509_REQ_free(req);
    EVP_PKEY_free(key);
    return ok;
}

/* ---- checking, and putting in */

bool pair_matches(struct slice der, const EVP_PKEY *key)
{
    const unsigned char *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    bool same = x != NULL && EVP_PKEY_eq(X509_get0_pubkey(x), key) == 1;

    X509_free(x);
    return same;
}

/* Is this member the profile's? */
static bool is_ours(const struct profile *p, const struct tls_identity *who)
{
    enum tls_role role = p->approver != NULL ? TLS_APPROVER
                         : p->agency != NULL ? TLS_AGENCY
                                             : TLS_AUDITOR;

    return who->role == role &&
           strcmp(who->name, p->agency != NULL ? p->agency : p->auditor) == 0 &&
           strcmp(who->role_name, p->approver != NULL ? p->approver : "") == 0;
}

bool pair_holds(struct cli *c, const struct tls_trust *trust, const struct pair_trial *t,
                int *status)
{
    const char *key_path = profile_key(&c->profile, t->key_name, c->arena);
    struct tls_identity who = {0};
    EVP_PKEY *key = NULL;
    uint8_t *der = NULL;
    size_t len = 0;
    char why[512] = "";
    enum liaison_code code =
        key_path != NULL ? tls_load_key(key_path, &key, why, sizeof why) : LIAISON_MEMORY;

    if (code == LIAISON_OK)
        code = tls_load_certificate(t->file, &der, &len, why, sizeof why);
    if (code == LIAISON_OK && !pair_matches(slice(der, len), key)) {
        code = LIAISON_CERTIFICATE;
        snprintf(why, sizeof why, "%s was not made for %s; it belongs to another key",
                 t->file, key_path);
    }
    if (code == LIAISON_OK)
        code = tls_check_der(trust, slice(der, len), t->use, (int64_t)time(NULL), &who,
                             why, sizeof why);
    if (code == LIAISON_OK && !is_ours(&c->profile, &who)) {
        code = LIAISON_IDENTITY;
        snprintf(why, sizeof why, "%s names %s%s%s, and this profile is for %s", t->file,
                 who.name, who.role_name[0] != '\0' ? "/approver/" : "", who.role_name,
                 pair_member(c));
    }
    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s%s%s", strstr(why, t->file) == NULL ? t->file : "",
                           strstr(why, t->file) == NULL ? ": " : "",
                           why[0] != '\0' ? why : err_text(code));
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    return code == LIAISON_OK;
}

bool pair_put(struct cli *c, const char *from, const char *name, int *status)
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
