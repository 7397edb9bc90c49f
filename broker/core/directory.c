#include "broker/core/directory.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/ops/log.h"

enum { CERTIFICATES_MAX = 65536, PATH_ROOM = 4096 };

struct directory {
    struct published *rows; /* by name */
    size_t n, room;
};

struct reading {
    struct directory *d;
    const struct tls_trust *trust;
    int64_t now_unix;
    enum liaison_code code;
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

static enum liaison_code add(struct directory *d, const struct tls_identity *who,
                             uint8_t *der, size_t len)
{
    if (d->n == CERTIFICATES_MAX)
        return LIAISON_LIMIT;
    if (d->n == d->room) {
        size_t room = d->room == 0 ? 64 : d->room * 2;
        struct published *rows = realloc(d->rows, room * sizeof *rows);

        if (rows == NULL)
            return LIAISON_MEMORY;
        d->rows = rows;
        d->room = room;
    }
    struct published *row = &d->rows[d->n++];

    memcpy(row->name, who->name, sizeof row->name);
    memcpy(row->sha256, who->certificate, sizeof row->sha256);
    row->der = slice(der, len);
    row->not_after_unix = who->not_after_unix;
    return LIAISON_OK;
}

/* One file. What is not an agency's sealing certificate is left out, loudly. Whose it is, the certificate says itself. */
static void read_file(struct reading *r, const char *path)
{
    struct tls_identity who;
    uint8_t *der;
    size_t len;
    char why[512], shown[600];
    enum liaison_code code = tls_load_certificate(path, &der, &len, why, sizeof why);

    if (code == LIAISON_OK) {
        code = tls_check_der(r->trust, slice(der, len), TLS_USE_SEAL, r->now_unix, &who,
                             why, sizeof why);
        if (code == LIAISON_OK && (r->code = add(r->d, &who, der, len)) == LIAISON_OK)
            return;
        OPENSSL_free(der);
    }
    log_warn("directory.left-out", "file=%s why=%s", path,
             log_text(why, shown, sizeof shown));
}

static void read_folder(struct reading *r, DIR *folder, const char *path)
{
    const struct dirent *entry;

    while (r->code == LIAISON_OK && (entry = readdir(folder)) != NULL) {
        char file[PATH_ROOM];

        if (entry->d_name[0] != '.' && ends_with(entry->d_name, ".pem") &&
            (size_t)snprintf(file, sizeof file, "%s/%s", path, entry->d_name) <
                sizeof file)
            read_file(r, file);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct published *)a)->name,
                  ((const struct published *)b)->name);
}

enum liaison_code directory_load(const char *path, const struct tls_trust *trust,
                                 int64_t now_unix, struct directory **out, char *why,
                                 size_t why_len)
{
    struct reading r = {calloc(1, sizeof *r.d), trust, now_unix, LIAISON_OK};
    DIR *folder;

    if (r.d == NULL)
        return LIAISON_MEMORY;
    folder = opendir(path);
    if (folder == NULL) {
        snprintf(why, why_len,
                 "%s: cannot read the directory of sealing certificates: %s", path,
                 strerror(errno));
        r.code = LIAISON_FILE;
    } else {
        read_folder(&r, folder, path);
        closedir(folder);
    }
    if (r.code != LIAISON_OK) {
        if (r.code != LIAISON_FILE)
            snprintf(why, why_len, "%s: too many certificates or too little memory",
                     path);
        directory_free(r.d);
        return r.code;
    }
    if (r.d->n > 0)
        qsort(r.d->rows, r.d->n, sizeof *r.d->rows, by_name);
    *out = r.d;
    return LIAISON_OK;
}

void directory_free(struct directory *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->n; i++)
        OPENSSL_free((void *)(uintptr_t)d->rows[i].der.p);
    free(d->rows);
    free(d);
}

size_t directory_find(const struct directory *d, const char *agency,
                      const struct published **out)
{
    size_t low = 0, high = d->n, n = 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(d->rows[middle].name, agency) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + n < d->n && strcmp(d->rows[low + n].name, agency) == 0)
        n++;
    *out = d->rows + low;
    return n;
}

const struct published *directory_at(const struct directory *d, size_t i)
{
    return i < d->n ? &d->rows[i] : NULL;
}
