/* Certificates as strangers send them and as they lie in the broker's directory.
 *
 * Input: a byte that says what the rest is. Bytes that claim to be a certificate: nobody but this process's own CA is ever
 * believed. The same after 2 bytes that say what to do to which extension, signed again by that CA: what is believed has
 * exactly the profile and the name, to the byte. A PEM file: what is loaded is one certificate, whole, no such file makes
 * trust, and in the broker's directory it adds nothing to the one certificate that belongs there and takes nothing from it. */
#include <sys/mman.h>

#include "broker/core/directory.h"
#include "broker/ops/log.h"
#include "tests/fuzz/ca.h"

enum { RAW, SIGNED_AGAIN, FILE_OF_PEM, MODES };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Set once, before the first input. */
static struct fuzz_ca ca;
static char file[64], lists[64];
static char folder[] = "/tmp/liaison-fuzz.XXXXXX", link_path[64], own_path[64];
static struct slice own; /* the sealing certificate that is published beside */

static const struct profile {
    enum tls_use use;
    size_t usage_len, purpose_len;
    uint8_t usage[4], purpose[14]; /* contents of the two extensions, DER */
} PROFILES[] = {
    {TLS_USE_SIGN,
     4,
     12,
     {0x03, 0x02, 0x07, 0x80},
     {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02}},
    {TLS_USE_SEAL,
     4,
     14,
     {0x03, 0x02, 0x03, 0x08},
     {0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xcc, 0x08, 0x01,
      0x01}},
    {TLS_USE_BROKER,
     4,
     12,
     {0x03, 0x02, 0x07, 0x80},
     {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01}},
};

/* A file in memory and its path. */
static int memory_file(char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    must(fd >= 0);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void write_file(const char *path, struct slice bytes)
{
    FILE *f = fopen(path, "w");

    must(f != NULL && (bytes.n == 0 || fwrite(bytes.p, bytes.n, 1, f) == 1));
    must(fclose(f) == 0);
}

static void remove_folder(void)
{
    unlink(link_path);
    unlink(own_path);
    rmdir(folder);
}

/* The broker's directory: one good certificate, and the file in memory under another name. */
static void make_folder(void)
{
    EVP_PKEY *key;

    own = fuzz_ca_issue(&ca, "critical,keyAgreement", "1.3.6.1.4.1.58888.1.1",
                        "URI:spiffe://fr." FUZZ_NETWORK "/agency/lyon/prison", &key);
    EVP_PKEY_free(key);
    must(mkdtemp(folder) != NULL);
    atexit(remove_folder);
    snprintf(own_path, sizeof own_path, "%s/own.pem", folder);
    snprintf(link_path, sizeof link_path, "%s/other.pem", folder);
    FILE *f = fopen(own_path, "w");

    must(f != NULL && PEM_write(f, PEM_STRING_X509, "", own.p, (long)own.n) > 0 &&
         fclose(f) == 0);
    must(symlink(file, link_path) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    log_level(LOG_ERROR_); /* what is left out of the directory is a warning each time */
    ca = fuzz_ca_make();
    memory_file(file);
    make_folder();
    memory_file(lists);
    mini_write_crls(lists, (X509_CRL *[]){mini_crl(&ca.root, NULL, -3600, 3600), NULL});
    return 0;
}

/* Checked for one use. False: refused with a sentence, and *who was not touched. */
static bool believed(struct slice der, enum tls_use use, struct tls_identity *who)
{
    char why[256] = "";

    *who = (struct tls_identity){.role = TLS_BROKER, .name = "untouched"};
    if (tls_check_der(ca.trust, der, use, FUZZ_NOW, who, why, sizeof why) == LIAISON_OK)
        return true;
    must(why[0] != '\0' && who->role == TLS_BROKER &&
         strcmp(who->name, "untouched") == 0 && who->not_after_unix == 0);
    return false;
}

static void nobody_believes(struct slice der)
{
    struct tls_identity who;

    for (size_t i = 0; i < sizeof PROFILES / sizeof *PROFILES; i++)
        must(!believed(der, PROFILES[i].use, &who));
}

/* The one extension of that kind, as it stands. */
static struct slice extension(const X509 *x, int nid, bool *critical)
{
    int at = X509_get_ext_by_NID(x, nid, -1);

    must(at >= 0 && X509_get_ext_by_NID(x, nid, at) < 0);
    X509_EXTENSION *e = X509_get_ext(x, at);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(e);

    *critical = X509_EXTENSION_get_critical(e) == 1;
    return slice(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
}

/* The profile and the name, read a second time from the bytes themselves. */
static void is_exact(struct slice der, const struct profile *p,
                     const struct tls_identity *who)
{
    const uint8_t *at = der.p;
    X509 *x = d2i_X509(NULL, &at, (long)der.n);
    struct tls_identity named;
    uint8_t digest[32];
    bool critical, ignored;

    must(x != NULL && at == der.p + der.n);
    must(slice_equal(extension(x, NID_key_usage, &critical),
                     slice(p->usage, p->usage_len)));
    must(critical);
    must(slice_equal(extension(x, NID_ext_key_usage, &ignored),
                     slice(p->purpose, p->purpose_len)));
    struct slice san = extension(x, NID_subject_alt_name, &ignored);
    size_t head =
        san.n > 2 && san.p[1] == 0x81 ? 3 : 2; /* of one or two bytes of length */

    must(san.n > 2 * head && san.p[0] == 0x30 && san.p[head] == 0x86);
    head += san.p[head + 1] == 0x81 ? 3 : 2;
    if (san.n <= 255) /* a longer one is not worth a second parser */
        must(
            tls_parse_uri(slice(san.p + head, san.n - head), FUZZ_NETWORK, &named) &&
            named.role == who->role && strcmp(named.name, who->name) == 0 &&
            strcmp(named.role_name, who->role_name) == 0 &&
            strncmp(named.name, "fr/", 3) == 0);
    must(EVP_PKEY_get_bits(X509_get0_pubkey(x)) == 256);
    must(X509_check_ca(x) == 0);
    must(EVP_Digest(der.p, der.n, digest, NULL, EVP_sha256(), NULL) == 1 &&
         memcmp(digest, who->certificate, sizeof digest) == 0);
    must(who->not_after_unix >= FUZZ_NOW);
    X509_free(x);
}

/* One extension taken out, doubled, made critical or not, or with a byte of it changed. */
static void change_extension(X509 *x, uint8_t how, uint8_t which)
{
    int n = X509_get_ext_count(x), at = n > 0 ? which % n : -1;
    X509_EXTENSION *e = at >= 0 ? X509_get_ext(x, at) : NULL;
    const ASN1_OCTET_STRING *value = e != NULL ? X509_EXTENSION_get_data(e) : NULL;

    if (e == NULL || how % 5 == 0)
        return;
    if (how % 5 == 1)
        X509_EXTENSION_free(X509_delete_ext(x, at));
    else if (how % 5 == 2)
        must(X509_add_ext(x, e, -1) == 1);
    else if (how % 5 == 3)
        must(X509_EXTENSION_set_critical(e, !X509_EXTENSION_get_critical(e)) == 1);
    else if (ASN1_STRING_length(value) > 0)
        ((uint8_t *)(uintptr_t)ASN1_STRING_get0_data(
            value))[which % ASN1_STRING_length(value)] ^= how;
}

/* Gives: the certificate under our registrar, DER; {NULL, 0} if it cannot be written. */
static struct slice signed_again(uint8_t how, uint8_t which, struct slice bytes)
{
    const uint8_t *at = bytes.p;
    X509 *x = d2i_X509(NULL, &at, (long)bytes.n);
    X509V3_CTX ctx;
    uint8_t *der = NULL;
    int n = 0, found;

    ERR_clear_error(); /* our own, so that what tls leaves is seen */
    if (x == NULL)
        return slice(NULL, 0);
    change_extension(x, how, which);
    while ((found = X509_get_ext_by_NID(x, NID_authority_key_identifier, -1)) >= 0)
        X509_EXTENSION_free(X509_delete_ext(x, found));
    X509V3_set_ctx(&ctx, ca.registrar.certificate, x, NULL, NULL, 0);
    mini_extension(x, &ctx, NID_authority_key_identifier, "keyid:always");
    if (X509_set_issuer_name(x, X509_get_subject_name(ca.registrar.certificate)) == 1 &&
        X509_sign(x, ca.registrar.key, EVP_sha256()) > 0)
        n = i2d_X509(x, &der);
    X509_free(x);
    ERR_clear_error();
    return slice(der, n > 0 ? (size_t)n : 0);
}

static void only_exact_ones(struct slice bytes)
{
    struct tls_identity who;
    size_t uses = 0;

    if (bytes.n < 2)
        return;
    struct slice der =
        signed_again(bytes.p[0], bytes.p[1], slice(bytes.p + 2, bytes.n - 2));

    for (size_t i = 0; der.p != NULL && i < sizeof PROFILES / sizeof *PROFILES; i++)
        if (believed(der, PROFILES[i].use, &who)) {
            is_exact(der, &PROFILES[i], &who);
            uses++;
        }
    must(uses <= 1);
    OPENSSL_free((void *)(uintptr_t)der.p);
}

/* Whatever the other file holds, the directory has the one certificate for its agency and none for anybody else. */
static void is_published_alone(void)
{
    struct directory *d = NULL;
    const struct published *found;
    char why[256];

    must(directory_load(folder, ca.trust, FUZZ_NOW, &d, why, sizeof why) == LIAISON_OK);
    must(directory_find(d, "fr/lyon/prison", &found) == 1 && slice_equal(found->der, own));
    must(directory_find(d, "fr/lyon/probation", &found) == 0);
    directory_free(d);
}

static void from_file(struct slice text)
{
    uint8_t *der = NULL, *again = NULL;
    size_t n = 0, again_n = 0;
    char why[256] = "";
    struct tls_trust *trust = NULL;

    write_file(file, text);
    must(tls_trust_load(FUZZ_NETWORK, file, lists, FUZZ_NOW, &trust, why, sizeof why) !=
             LIAISON_OK &&
         trust == NULL && why[0] != '\0');
    is_published_alone();
    if (tls_load_certificate(file, &der, &n, why, sizeof why) != LIAISON_OK) {
        must(der == NULL && n == 0);
        return;
    }
    nobody_believes(slice(der, n));
    const uint8_t *at = der;
    X509 *x = d2i_X509(NULL, &at, (long)n);

    must(x != NULL && at == der + n);
    X509_free(x);
    FILE *f = fopen(file, "w");

    must(f != NULL && PEM_write(f, PEM_STRING_X509, "", der, (long)n) > 0 &&
         fclose(f) == 0);
    must(tls_load_certificate(file, &again, &again_n, why, sizeof why) == LIAISON_OK &&
         slice_equal(slice(der, n), slice(again, again_n)));
    OPENSSL_free(der);
    OPENSSL_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct slice rest = slice(data + 1, size - 1);

    if (data[0] % MODES == RAW)
        nobody_believes(rest);
    else if (data[0] % MODES == SIGNED_AGAIN)
        only_exact_ones(rest);
    else
        from_file(rest);
    must(ERR_peek_error() == 0); /* it would be taken for some connection's error */
    return 0;
}
