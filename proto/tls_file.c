/* Files that hold certificates and keys: whole, regular, and keys for nobody but their owner. */
#include "proto/tls_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "proto/tls_token.h"

enum { FILE_MAX = 64 << 20 }; /* bytes; a revocation list of a million entries is 36 MB */

enum liaison_code tls_say(enum liaison_code code, char *why, size_t why_len,
                          const char *format, ...)
{
    if (why != NULL && why_len > 0) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(why, why_len, format, args);
        va_end(args);
    }
    return code;
}

/* ---------------------------------------------------------------- files */

static enum liaison_code check_mode(const char *path, int fd, bool secret, size_t *size,
                                    char *why, size_t why_len)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return tls_say(LIAISON_FILE, why, why_len, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return tls_say(LIAISON_FILE, why, why_len, "%s: not a regular file", path);
    if (secret && (st.st_mode & 077) != 0)
        return tls_say(LIAISON_PERMISSION, why, why_len,
                       "%s: others may use this key (mode %04o); run chmod 600 %s", path,
                       (unsigned)(st.st_mode & 07777), path);
    if (st.st_size > FILE_MAX)
        return tls_say(LIAISON_FILE, why, why_len, "%s: larger than %d MiB", path,
                       FILE_MAX >> 20);
    *size = (size_t)st.st_size;
    return LIAISON_OK;
}

static bool read_all(int fd, uint8_t *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, to + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0) { /* it shrank while we read */
            errno = EIO;
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

enum liaison_code tls_read_file(const char *path, bool secret, struct slice *out,
                                char *why, size_t why_len)
{
    size_t size = 0;
    uint8_t *bytes = NULL;
    /* O_NONBLOCK: opening a FIFO must not wait for a writer; on a regular file it means nothing. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return tls_say(LIAISON_FILE, why, why_len, "%s: %s", path, strerror(errno));
    enum liaison_code code = check_mode(path, fd, secret, &size, why, why_len);
    if (code != LIAISON_OK)
        goto out;
    bytes = OPENSSL_malloc(size + 1);
    if (bytes == NULL) {
        code = tls_say(LIAISON_MEMORY, why, why_len, "%s: out of memory", path);
        goto out;
    }
    if (!read_all(fd, bytes, size)) {
        code = tls_say(LIAISON_FILE, why, why_len, "%s: %s", path, strerror(errno));
        goto out;
    }
    *out = slice(bytes, size);
    bytes = NULL; /* handed over */
out:
    OPENSSL_clear_free(bytes, size);
    close(fd);
    return code;
}

void tls_file_free(struct slice s)
{
    OPENSSL_clear_free((void *)(uintptr_t)s.p,
                       s.n); /* the slice owns what it points at here */
}

static enum liaison_code walk_pem(const char *path, BIO *bio, tls_pem_block *block,
                                  void *arg, char *why, size_t why_len)
{
    size_t blocks = 0;
    for (;; blocks++) {
        char *label = NULL, *header = NULL;
        unsigned char *der = NULL;
        long len = 0;
        if (PEM_read_bio(bio, &label, &header, &der, &len) != 1)
            break;
        enum liaison_code code = block(arg, label, slice(der, (size_t)len), why, why_len);
        OPENSSL_free(label);
        OPENSSL_free(header);
        if (code != LIAISON_OK)
            return code;
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return tls_say(LIAISON_FILE, why, why_len, "%s: PEM block %zu is damaged", path,
                       blocks + 1);
    if (blocks == 0)
        return tls_say(LIAISON_FILE, why, why_len, "%s: holds no PEM block", path);
    return LIAISON_OK;
}

enum liaison_code tls_read_pem(const char *path, struct slice text, tls_pem_block *block,
                               void *arg, char *why, size_t why_len)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n); /* FILE_MAX fits an int */
    if (bio == NULL)
        return tls_say(LIAISON_MEMORY, why, why_len, "%s: out of memory", path);
    ERR_set_mark();
    enum liaison_code code = walk_pem(path, bio, block, arg, why, why_len);
    ERR_pop_to_mark();
    BIO_free(bio);
    return code;
}

X509 *tls_parse_certificate(struct slice der)
{
    const unsigned char *at = der.p;
    if (der.n == 0 || der.n > FILE_MAX)
        return NULL;
    ERR_set_mark();
    X509 *x = d2i_X509(NULL, &at, (long)der.n);
    ERR_pop_to_mark();
    if (x != NULL && at != der.p + der.n) {
        X509_free(x);
        x = NULL;
    }
    return x;
}

/* ---------------------------------------------------------------- keys */

/* Asked for the pass phrase of an encrypted key: there is nobody to ask. */
static int no_pass_phrase(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[32] = "";
    size_t len = 0;
    return EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

static EVP_PKEY *parse_key(struct slice text)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    if (bio == NULL)
        return NULL;
    ERR_set_mark();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
    ERR_pop_to_mark();
    BIO_free(bio);
    return key;
}

/* A file may say where the key is instead of holding it: a URI alone in its first line. */
static enum liaison_code follow_file(struct slice text, EVP_PKEY **out, char *why,
                                     size_t why_len)
{
    const uint8_t *end = memchr(text.p, '\n', text.n);
    char *uri = OPENSSL_strndup((const char *)text.p,
                                end != NULL ? (size_t)(end - text.p) : text.n);
    enum liaison_code code = uri == NULL
                                 ? tls_say(LIAISON_MEMORY, why, why_len, "out of memory")
                                 : token_key(uri, out, why, why_len);

    OPENSSL_free(uri);
    return code;
}

static enum liaison_code read_key(const char *path, EVP_PKEY **out, char *why,
                                  size_t why_len)
{
    static const char SCHEME[] = "pkcs11:";
    struct slice text = {0};
    enum liaison_code code = tls_read_file(path, true, &text, why, why_len);
    if (code != LIAISON_OK)
        return code;
    if (text.n >= sizeof SCHEME && memcmp(text.p, SCHEME, sizeof SCHEME - 1) == 0)
        code = follow_file(text, out, why, why_len);
    else if ((*out = parse_key(text)) == NULL)
        code = tls_say(LIAISON_FILE, why, why_len,
                       "%s: not an unencrypted private key in PEM", path);
    tls_file_free(text);
    return code;
}

bool tls_key_in_token(const char *key)
{
    return strncmp(key, "pkcs11:", 7) == 0;
}

enum liaison_code tls_load_key(const char *path, EVP_PKEY **out, char *why,
                               size_t why_len)
{
    EVP_PKEY *key = NULL;
    enum liaison_code code = tls_key_in_token(path) ? token_key(path, &key, why, why_len)
                                                    : read_key(path, &key, why, why_len);
    if (code != LIAISON_OK)
        return code;
    if (!is_p256(key)) {
        EVP_PKEY_free(key);
        return tls_say(LIAISON_PROFILE, why, why_len, "%s: not a key on the curve P-256",
                       path);
    }
    *out = key;
    return LIAISON_OK;
}

struct first {
    const char *path;
    struct slice der;
};

/* Keeps the first block, ignores what follows: a chain. */
static enum liaison_code keep_first(void *arg, const char *label, struct slice der,
                                    char *why, size_t why_len)
{
    struct first *f = arg;
    if (f->der.p != NULL) {
        OPENSSL_free((void *)(uintptr_t)der.p);
        return LIAISON_OK;
    }
    X509 *x = strcmp(label, PEM_STRING_X509) == 0 ? tls_parse_certificate(der) : NULL;
    if (x == NULL) {
        OPENSSL_free((void *)(uintptr_t)der.p);
        return tls_say(LIAISON_FILE, why, why_len,
                       "%s: starts with a %s that is no good certificate", f->path,
                       label);
    }
    X509_free(x);
    f->der = der;
    return LIAISON_OK;
}

enum liaison_code tls_load_certificate(const char *path, uint8_t **der, size_t *len,
                                       char *why, size_t why_len)
{
    struct slice text = {0};
    struct first first = {.path = path};
    enum liaison_code code = tls_read_file(path, false, &text, why, why_len);
    if (code == LIAISON_OK)
        code = tls_read_pem(path, text, keep_first, &first, why, why_len);
    tls_file_free(text);
    if (code != LIAISON_OK) {
        OPENSSL_free((void *)(uintptr_t)first.der.p);
        return code;
    }
    *der = (uint8_t *)(uintptr_t)first.der.p;
    *len = first.der.n;
    return LIAISON_OK;
}
