#include "client/lib/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/lib/engine.h"
#include "client/lib/inner.h"
#include "client/lib/kept.h"
#include "client/lib/keys_old.h"
#include "client/lib/lists.h"

enum { WHY = 256, READER_LIFE_MS = 10 * 60 * 1000 };

struct known_reader {
    struct known_reader *next;
    struct seal_reader *reader;
    int64_t until_mono_ms;
    char agency[];
};

static void forget_readers(struct keys *k)
{
    while (k->known != NULL) {
        struct known_reader *next = k->known->next;

        seal_reader_free(k->known->reader);
        free(k->known);
        k->known = next;
    }
}

void keys_drop(struct keys *k, unsigned parts)
{
    if (parts & (KEYS_TRUST | KEYS_SIGN)) {
        SSL_CTX_free(k->context);
        k->context = NULL;
    }
    if (parts & KEYS_TRUST) {
        sign_verifier_free(k->verifier);
        k->verifier = NULL;
        tls_trust_free(k->trust);
        k->trust = NULL;
        forget_readers(k);
    }
    if (parts & KEYS_SIGN) {
        EVP_PKEY_free(k->sign_key);
        k->sign_key = NULL;
        OPENSSL_free(k->sign_certificate);
        k->sign_certificate = NULL;
    }
    if (parts & KEYS_SEAL) {
        EVP_PKEY_free(k->seal_key);
        k->seal_key = NULL;
        seal_reader_free(k->seal_own);
        k->seal_own = NULL;
        keys_old_free(k->old);
        k->old = NULL;
    }
}

/* ---------------------------------------------------------------- reading */

static struct file_mark mark_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct file_mark){0};
    return (struct file_mark){(uint64_t)st.st_ino, (uint64_t)st.st_size,
                              st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
}

static bool same_mark(struct file_mark a, struct file_mark b)
{
    return a.inode == b.inode && a.bytes == b.bytes && a.changed_s == b.changed_s &&
           a.changed_ns == b.changed_ns;
}

/* Puts fresh trust in force. The live connection must hold under it too. */
static void take_trust(struct liaison *l, struct tls_trust *fresh)
{
    struct keys *k = &l->keys;

    sign_verifier_trust(k->verifier, fresh);
    tls_trust_free(k->trust);
    k->trust = fresh;
    memset(k->lists, 0, sizeof k->lists);
    SSL_CTX_free(k->context);
    k->context = NULL;
    forget_readers(k);
    if (l->link.state == LINK_UP &&
        tls_check_again(l->link.ssl, fresh, lib_unix(), NULL, 0) != LIAISON_OK)
        engine_hang_up(l);
}

static enum liaison_code load_trust(struct liaison *l, const char *crl,
                                    struct tls_trust **out)
{
    char why[WHY] = "";
    enum liaison_code code =
        tls_trust_load(lib_setting(l, SET_NETWORK), lib_setting(l, SET_CA), crl,
                       lib_unix(), out, why, sizeof why);

    return code == LIAISON_OK ? code : lib_fail(l, code, "%s", why);
}

/* Somebody may have put a newer revocation list in its place. One that does not hold changes nothing: what is in force ends
 * by itself. */
static enum liaison_code renew_trust(struct liaison *l)
{
    struct keys *k = &l->keys;
    const char *crl = lib_setting(l, SET_CRL);
    struct file_mark mark = mark_of(crl);
    bool over = lib_unix() > tls_trust_crl_ends(k->trust);
    struct tls_trust *fresh = NULL;

    if (same_mark(mark, k->crl) && !over)
        return LIAISON_OK;
    k->crl = mark;
    enum liaison_code code = load_trust(l, crl, &fresh);

    if (code == LIAISON_OK)
        take_trust(l, fresh);
    else if (over)
        return code;
    else
        l->err[0] = '\0';
    return LIAISON_OK;
}

enum liaison_code keys_trust(struct liaison *l)
{
    struct keys *k = &l->keys;
    enum liaison_code code;

    if (k->trust != NULL)
        return renew_trust(l);
    if ((code = lib_need(l, SET_NETWORK)) != LIAISON_OK ||
        (code = lib_need(l, SET_CA)) != LIAISON_OK ||
        (code = lib_need(l, SET_CRL)) != LIAISON_OK)
        return code;
    k->crl = mark_of(lib_setting(l, SET_CRL));
    if ((code = load_trust(l, lib_setting(l, SET_CRL), &k->trust)) != LIAISON_OK)
        return code;
    code = sign_verifier_new(k->trust, &k->verifier);
    if (code != LIAISON_OK) {
        keys_drop(k, KEYS_TRUST);
        return lib_fail(l, code, "out of memory");
    }
    return LIAISON_OK;
}

/* Is this certificate ours? */
static enum liaison_code check_own(struct liaison *l, struct slice der, enum tls_use use,
                                   const char *file)
{
    struct tls_identity who;
    enum tls_role role = l->set[SET_APPROVER] != NULL ? TLS_APPROVER
                         : l->set[SET_AGENCY] != NULL ? TLS_AGENCY
                                                      : TLS_AUDITOR;
    char why[WHY] = "";
    enum liaison_code code =
        tls_check_der(l->keys.trust, der, use, lib_unix(), &who, why, sizeof why);

    if (code != LIAISON_OK)
        return lib_fail(l, code, "%s: %s", file, why);
    if (who.role != role || strcmp(who.name, lib_own_name(l)) != 0)
        return lib_fail(l, LIAISON_IDENTITY, "%s is %s's, not %s's", file, who.name,
                        lib_own_name(l));
    if (strcmp(who.role_name, lib_setting(l, SET_APPROVER)) != 0)
        return lib_fail(l, LIAISON_IDENTITY, "%s is the approver %s's, not %s's", file,
                        who.role_name, lib_setting(l, SET_APPROVER));
    return LIAISON_OK;
}

bool keys_match(struct slice der, const EVP_PKEY *key)
{
    const unsigned char *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    bool same = x != NULL && EVP_PKEY_eq(X509_get0_pubkey(x), key) == 1;

    X509_free(x);
    return same;
}

/* Reads and checks one pair. Gives: *key, *der. */
static enum liaison_code load_pair(struct liaison *l, enum setting certificate,
                                   enum setting key_file, enum tls_use use,
                                   EVP_PKEY **key, uint8_t **der, size_t *der_len)
{
    char why[WHY] = "";
    uint8_t *d = NULL;
    size_t n = 0;
    EVP_PKEY *k = NULL;
    enum liaison_code code;

    if ((code = keys_trust(l)) != LIAISON_OK ||
        (code = lib_need(l, certificate)) != LIAISON_OK ||
        (code = lib_need(l, key_file)) != LIAISON_OK)
        return code;
    if (lib_own_name(l)[0] == '\0')
        return lib_fail(l, LIAISON_CONFIG,
                        "setting \"agency\" or \"auditor\" is missing");
    if ((code = tls_load_certificate(lib_setting(l, certificate), &d, &n, why,
                                     sizeof why)) != LIAISON_OK ||
        (code = tls_load_key(lib_setting(l, key_file), &k, why, sizeof why)) !=
            LIAISON_OK) {
        (void)lib_fail(l, code, "%s", why);
        goto out;
    }
    if ((code = check_own(l, slice(d, n), use, lib_setting(l, certificate))) !=
        LIAISON_OK)
        goto out;
    if (!keys_match(slice(d, n), k)) {
        code = lib_fail(l, LIAISON_CONFIG, "%s is not the key of %s",
                        lib_setting(l, key_file), lib_setting(l, certificate));
        goto out;
    }
    *key = k;
    *der = d;
    *der_len = n;
    return LIAISON_OK;
out:
    OPENSSL_free(d);
    EVP_PKEY_free(k);
    return code;
}

enum liaison_code keys_sign(struct liaison *l)
{
    struct keys *k = &l->keys;
    enum liaison_code code = keys_trust(l);

    if (code != LIAISON_OK || k->sign_key != NULL)
        return code;
    code = load_pair(l, SET_SIGN_CERTIFICATE, SET_SIGN_KEY, TLS_USE_SIGN, &k->sign_key,
                     &k->sign_certificate, &k->sign_certificate_len);
    if (code == LIAISON_OK)
        hash_sha256(l->hash,
                    &(struct slice){k->sign_certificate, k->sign_certificate_len}, 1,
                    k->sign_sha256);
    return code;
}

enum liaison_code keys_context(struct liaison *l)
{
    struct keys *k = &l->keys;
    char why[WHY] = "";
    enum liaison_code code = keys_sign(l);

    if (code != LIAISON_OK || k->context != NULL)
        return code;
    code = tls_context(k->trust, TLS_CLIENT_SIDE, lib_setting(l, SET_SIGN_CERTIFICATE),
                       lib_setting(l, SET_SIGN_KEY), &k->context, why, sizeof why);
    return code == LIAISON_OK ? LIAISON_OK : lib_fail(l, code, "%s", why);
}

enum liaison_code keys_seal(struct liaison *l)
{
    struct keys *k = &l->keys;
    uint8_t *der = NULL;
    size_t n = 0;
    enum liaison_code code = LIAISON_OK;

    if (k->seal_own != NULL)
        return code;
    code = load_pair(l, SET_SEAL_CERTIFICATE, SET_SEAL_KEY, TLS_USE_SEAL, &k->seal_key,
                     &der, &n);
    if (code == LIAISON_OK &&
        (code = seal_reader_new(l->seal, slice(der, n), &k->seal_own)) != LIAISON_OK) {
        (void)lib_fail(l, code, "%s: no sealing certificate",
                       lib_setting(l, SET_SEAL_CERTIFICATE));
        keys_drop(k, KEYS_SEAL);
    }
    OPENSSL_free(der);
    return code;
}

/* ---------------------------------------------------------------- other agencies' sealing certificates */

/* Of the certificates that hold, the one that holds longest: after a renewal both are published. */
static enum liaison_code best_reader(struct liaison *l, const Liaison__V1__Agency *agency,
                                     struct seal_reader **out)
{
    const ProtobufCBinaryData *best = NULL;
    int64_t best_until = 0;
    char why[WHY] = "it publishes none";

    for (size_t i = 0; i < agency->n_seal_certificates; i++) {
        const ProtobufCBinaryData *c = &agency->seal_certificates[i];
        struct tls_identity who;

        if (tls_check_der(l->keys.trust, slice(c->data, c->len), TLS_USE_SEAL, lib_unix(),
                          &who, why, sizeof why) != LIAISON_OK)
            continue;
        if (who.role != TLS_AGENCY || strcmp(who.name, agency->id) != 0) {
            snprintf(why, sizeof why, "the one published is %.200s's", who.name);
            continue;
        }
        if (best == NULL || who.not_after_unix > best_until) {
            best = c;
            best_until = who.not_after_unix;
        }
    }
    if (best == NULL)
        return lib_fail(l, LIAISON_SEAL, "%s has no sealing certificate that holds: %s",
                        agency->id, why);
    return seal_reader_new(l->seal, slice(best->data, best->len), out);
}

static enum liaison_code remember(struct liaison *l, const Liaison__V1__Agency *agency,
                                  const struct seal_reader **out)
{
    struct keys *k = &l->keys;
    size_t n = strlen(agency->id) + 1;
    struct known_reader *r = malloc(sizeof *r + n);
    enum liaison_code code;

    if (r == NULL)
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    if ((code = best_reader(l, agency, &r->reader)) != LIAISON_OK) {
        free(r);
        return code;
    }
    memcpy(r->agency, agency->id, n);
    r->until_mono_ms = lib_mono_ms() + READER_LIFE_MS;
    r->next = k->known;
    k->known = r;
    *out = r->reader;
    return LIAISON_OK;
}

static const struct seal_reader *recall(struct keys *k, const char *agency)
{
    int64_t now_ms = lib_mono_ms();

    for (const struct known_reader *r = k->known; r != NULL; r = r->next)
        if (strcmp(r->agency, agency) == 0 && now_ms < r->until_mono_ms)
            return r->reader;
    return NULL;
}

static enum liaison_code ask_directory(struct liaison *l, const char *agency,
                                       struct liaison_answer **answer)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Directory directory = LIAISON__V1__DIRECTORY__INIT;
    Liaison__V1__Caller caller = LIAISON__V1__CALLER__INIT;
    struct outcall *c;
    enum liaison_code code;

    directory.agency = (char *)(uintptr_t)agency;
    f.caller = lib_caller(l, &caller) ? &caller : NULL;
    f.body_case = LIAISON__V1__FRAME__BODY_DIRECTORY;
    f.directory = &directory;
    code = engine_call(l, &f, LIAISON__V1__FRAME__BODY_AGENCIES, &c);
    return code == LIAISON_OK ? engine_await(l, c, answer) : code;
}

/* What was kept on disk serves while the broker cannot be reached. LIAISON_NOT_FOUND: it has to be asked, and waited for. */
static enum liaison_code kept_reader(struct liaison *l, const char *agency,
                                     const struct seal_reader **out)
{
    enum liaison_code code = LIAISON_NOT_FOUND;
    struct arena *a = l->set[SET_RECIPIENTS] == NULL ? NULL : arena_new();
    const Liaison__V1__Agency *kept = a == NULL ? NULL : kept_read(l, agency, a);

    if (kept != NULL && engine_connect(l) != LIAISON_OK)
        code = remember(l, kept, out);
    if (code == LIAISON_OK)
        l->err[0] = '\0';
    arena_free(a);
    return code;
}

enum liaison_code keys_reader(struct liaison *l, const char *agency,
                              const struct seal_reader **out)
{
    struct liaison_answer *answer = NULL;
    enum liaison_code code = keys_trust(l);

    if (code != LIAISON_OK)
        return code;
    if ((*out = recall(&l->keys, agency)) != NULL ||
        kept_reader(l, agency, out) == LIAISON_OK)
        return LIAISON_OK;
    code = ask_directory(l, agency, &answer);
    if (code == LIAISON_OK) {
        const Liaison__V1__Agencies *found = answer->frame->agencies;

        keys_crls(l, found);
        if (found->n_agencies == 1 && strcmp(found->agencies[0]->id, agency) == 0) {
            code = remember(l, found->agencies[0], out);
            if (code == LIAISON_OK)
                kept_write(l, found->agencies[0]);
        } else {
            code = lib_fail(l, LIAISON_RECIPIENT,
                            "the broker's directory has no agency \"%s\"", agency);
        }
    }
    liaison_answer_free(answer);
    return code;
}

/* ---------------------------------------------------------------- newer revocation lists */

static X509_CRL *read_crl(struct slice der)
{
    const unsigned char *p = der.p;
    X509_CRL *crl = der.n > INT32_MAX ? NULL : d2i_X509_CRL(NULL, &p, (long)der.n);

    if (crl != NULL && p != der.p + der.n) {
        X509_CRL_free(crl);
        crl = NULL;
    }
    return crl;
}

/* Is `fresh` the same CA's as `old`, with a higher number? */
static bool supersedes(X509_CRL *fresh, X509_CRL *old)
{
    ASN1_INTEGER *a = X509_CRL_get_ext_d2i(fresh, NID_crl_number, NULL, NULL);
    ASN1_INTEGER *b = X509_CRL_get_ext_d2i(old, NID_crl_number, NULL, NULL);
    bool newer =
        a != NULL && b != NULL &&
        X509_NAME_cmp(X509_CRL_get_issuer(fresh), X509_CRL_get_issuer(old)) == 0 &&
        ASN1_INTEGER_cmp(a, b) > 0;

    ASN1_INTEGER_free(a);
    ASN1_INTEGER_free(b);
    return newer;
}

/* Was it signed by the CA of that name in our own trust file? */
static bool signed_by_ca(struct liaison *l, X509_CRL *crl)
{
    BIO *file = BIO_new_file(lib_setting(l, SET_CA), "r");
    bool good = false;
    X509 *ca;

    while (file != NULL && !good &&
           (ca = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL) {
        good = X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(crl)) == 0 &&
               (X509_get_key_usage(ca) & KU_CRL_SIGN) != 0 &&
               X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1;
        X509_free(ca);
    }
    BIO_free(file);
    ERR_clear_error();
    return good;
}

/* Lists of the broker, DER. */
struct offered {
    ProtobufCBinaryData *list;
    size_t n;
};

/* The broker's CRL that replaces `held`, or NULL. */
static X509_CRL *newer_crl(struct liaison *l, X509_CRL *held,
                           const struct offered *offered)
{
    for (size_t i = 0; i < offered->n; i++) {
        X509_CRL *crl = read_crl(slice(offered->list[i].data, offered->list[i].len));

        if (crl != NULL && supersedes(crl, held) && signed_by_ca(l, crl))
            return crl;
        X509_CRL_free(crl);
    }
    return NULL;
}

/* All our CRLs as PEM, newer ones in the place of older. NULL: there is no newer one. */
static BIO *merge_crls(struct liaison *l, const struct offered *offered)
{
    const struct slice *held;
    size_t n = tls_trust_crls(l->keys.trust, &held);
    BIO *pem = BIO_new(BIO_s_mem());
    bool news = false, ok = pem != NULL;

    for (size_t i = 0; ok && i < n; i++) {
        X509_CRL *old = read_crl(held[i]);
        X509_CRL *fresh = old == NULL ? NULL : newer_crl(l, old, offered);

        news = news || fresh != NULL;
        ok = old != NULL && PEM_write_bio_X509_CRL(pem, fresh != NULL ? fresh : old) == 1;
        X509_CRL_free(old);
        X509_CRL_free(fresh);
    }
    if (ok && news)
        return pem;
    BIO_free(pem);
    return NULL;
}

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = slice(bytes.p + n, bytes.n - (size_t)n);
    }
    return true;
}

/* Trust with these CRLs; they are read from memory as if from a file. NULL: they do not hold, or no memory. */
static struct tls_trust *trust_with(struct liaison *l, struct slice pem)
{
    struct tls_trust *fresh = NULL;
    char path[32], why[WHY];
    int fd = memfd_create("liaison-crl", MFD_CLOEXEC);

    if (fd < 0)
        return NULL;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (!write_all(fd, pem) ||
        tls_trust_load(lib_setting(l, SET_NETWORK), lib_setting(l, SET_CA), path,
                       lib_unix(), &fresh, why, sizeof why) != LIAISON_OK)
        fresh = NULL;
    close(fd);
    return fresh;
}

/* Puts a new file in the old one's place, whole or not at all. A place that cannot be written keeps what it has: what is in
 * force in this handle does not depend on it. */
static void replace_file(const char *path, struct slice bytes)
{
    size_t n = strlen(path) + sizeof ".XXXXXX";
    char *fresh = malloc(n);
    int fd = -1;

    if (fresh == NULL)
        return;
    snprintf(fresh, n, "%s.XXXXXX", path);
    fd = mkostemp(fresh, O_CLOEXEC);
    if (fd >= 0) {
        bool ok = write_all(fd, bytes) && fchmod(fd, 0644) == 0 && fsync(fd) == 0;

        ok = close(fd) == 0 && ok;
        if (!ok || rename(fresh, path) != 0)
            (void)unlink(fresh);
    }
    free(fresh);
}

/* Those of the page; or, where it had no room for them, fetched. */
static struct offered find_lists(struct liaison *l, const Liaison__V1__Agencies *page,
                                 struct arena *a)
{
    struct offered o = {page->crls, page->n_crls};
    struct slice one,
        all = o.n > 0 || page->lists_size == 0 ? slice(NULL, 0) : lists_fetch(l, page, a);

    if (all.n == 0 || (o.list = arena_alloc(a, LISTS_COUNT_MAX * sizeof *o.list)) == NULL)
        return o;
    while (o.n < LISTS_COUNT_MAX && (one = lists_next(&all)).n > 0)
        o.list[o.n++] = (ProtobufCBinaryData){one.n, (uint8_t *)(uintptr_t)one.p};
    return o;
}

static void take_lists(struct liaison *l, const struct offered *offered)
{
    BIO *pem = offered->n == 0 ? NULL : merge_crls(l, offered);
    char *text = NULL;
    long n = pem == NULL ? 0 : BIO_get_mem_data(pem, &text);
    struct tls_trust *fresh = n <= 0 ? NULL : trust_with(l, slice(text, (size_t)n));

    if (fresh != NULL) {
        take_trust(l, fresh);
        replace_file(lib_setting(l, SET_CRL), slice(text, (size_t)n));
        l->keys.crl = mark_of(lib_setting(l, SET_CRL));
    }
    BIO_free(pem);
}

void keys_crls(struct liaison *l, const Liaison__V1__Agencies *agencies)
{
    struct slice digest = slice(agencies->lists_sha256.data, agencies->lists_sha256.len);
    struct arena *a;

    if (l->keys.trust == NULL ||
        slice_equal(digest, slice(l->keys.lists, sizeof l->keys.lists)) ||
        (a = arena_new()) == NULL)
        return;
    const struct offered offered = find_lists(l, agencies, a);

    take_lists(l, &offered);
    if (offered.n > 0 && digest.n == sizeof l->keys.lists)
        memcpy(l->keys.lists, digest.p, digest.n);
    arena_free(a);
}
