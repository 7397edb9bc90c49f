#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/audit/bundle.h"

enum { SEALED_MAX = 1 << 30 };

struct folder {
    const char *name;
    int dir;
    struct bundle_seal seal;
    uint8_t *note;
    size_t note_len;
};

struct bundle {
    struct source source;
    size_t n;
    struct folder *folders; /* the largest size first */
};

/* ------------------------------------------------------------ files */

static enum liaison_code read_all(int fd, uint8_t *to, size_t want)
{
    while (want > 0) {
        ssize_t n = read(fd, to, want);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return LIAISON_IO;
        if (n == 0)
            return LIAISON_NOT_FOUND; /* shorter than a moment ago */
        to += n;
        want -= (size_t)n;
    }
    return LIAISON_OK;
}

/* Opens a plain file; what else stands under its name is never read. */
static enum liaison_code open_file(const struct folder *f, const char *path, int *fd,
                                   size_t *len)
{
    struct stat st;

    *fd = openat(f->dir, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? LIAISON_NOT_FOUND
               : errno == ELOOP                    ? LIAISON_DAMAGED
                                                   : LIAISON_IO;
    enum liaison_code code = fstat(*fd, &st) != 0   ? LIAISON_IO
                             : !S_ISREG(st.st_mode) ? LIAISON_DAMAGED
                                                    : LIAISON_OK;
    if (code != LIAISON_OK)
        close(*fd);
    else
        *len = (size_t)st.st_size;
    return code;
}

/* Gives: a file's bytes, and a NUL behind them. */
static enum liaison_code read_file(const struct folder *f, const char *path, size_t most,
                                   uint8_t **out, size_t *len)
{
    int fd;
    enum liaison_code code = open_file(f, path, &fd, len);

    if (code != LIAISON_OK)
        return code;
    uint8_t *bytes = *len > most ? NULL : malloc(*len + 1);

    code = *len > most ? LIAISON_DAMAGED : bytes == NULL ? LIAISON_MEMORY : LIAISON_OK;
    if (code == LIAISON_OK)
        code = read_all(fd, bytes, *len);
    close(fd);
    if (code != LIAISON_OK) {
        free(bytes);
        return code;
    }
    bytes[*len] = '\0';
    *out = bytes;
    return LIAISON_OK;
}

/* ------------------------------------------------------------ the source */

/* The bundle that has the whole of this page: of a last, partial one only the largest has as much. */
static const struct folder *folder_of(const struct bundle *b, uint64_t n, unsigned width)
{
    uint64_t first = n * SOURCE_WIDTH;

    for (size_t i = 0; i < b->n; i++) {
        const struct bundle_seal *s = &b->folders[i].seal;

        if (s->from <= first && s->size >= first + width &&
            (width == SOURCE_WIDTH || i == 0))
            return &b->folders[i];
    }
    return NULL;
}

static enum liaison_code read_tile(void *arg, unsigned level, uint64_t n, unsigned width,
                                   uint8_t (*out)[HASH_BYTES])
{
    const struct bundle *b = arg;
    const struct folder *f = level == 0 ? folder_of(b, n, width) : &b->folders[0];
    size_t len, want = (size_t)width * HASH_BYTES;
    char path[BUNDLE_PATH_MAX];
    int fd;

    bundle_tile_path(level, n, width, path);
    enum liaison_code code =
        f == NULL ? LIAISON_NOT_FOUND : open_file(f, path, &fd, &len);

    if (code != LIAISON_OK)
        return code;
    code = len < want   ? LIAISON_NOT_FOUND
           : len > want ? LIAISON_DAMAGED
                        : read_all(fd, out[0], want);
    close(fd);
    return code;
}

static enum liaison_code make_room(struct source_page *p, size_t len)
{
    if (len <= p->room_len)
        return LIAISON_OK;
    uint8_t *wider = realloc(p->room, 2 * len);

    if (wider == NULL)
        return LIAISON_MEMORY;
    p->room = wider;
    p->room_len = 2 * len;
    return LIAISON_OK;
}

static enum liaison_code read_page(void *arg, uint64_t n, unsigned width,
                                   struct source_page *out)
{
    const struct folder *f = folder_of(arg, n, width);
    const size_t most = (size_t)SOURCE_WIDTH * (2 + SOURCE_ENTRY_MAX);
    char path[BUNDLE_PATH_MAX];
    size_t len;
    int fd;

    bundle_page_path(n, width, path);
    enum liaison_code code =
        f == NULL ? LIAISON_NOT_FOUND : open_file(f, path, &fd, &len);

    if (code != LIAISON_OK)
        return code;
    code = len > most ? LIAISON_DAMAGED : make_room(out, len);
    if (code == LIAISON_OK)
        code = read_all(fd, out->room, len);
    close(fd);
    return code == LIAISON_OK ? bundle_parse_page(out, len, width) : code;
}

static enum liaison_code read_rules(void *arg, const uint8_t id[HASH_BYTES],
                                    uint8_t **text, size_t *len)
{
    const struct bundle *b = arg;
    char path[BUNDLE_PATH_MAX] = "rules/";
    enum liaison_code code = LIAISON_NOT_FOUND;

    for (size_t i = 0; i < HASH_BYTES; i++)
        snprintf(path + 6 + 2 * i, 3, "%02x", id[i]);
    for (size_t i = 0; code == LIAISON_NOT_FOUND && i < b->n; i++)
        code = read_file(&b->folders[i], path, BUNDLE_RULES_MAX, text, len);
    return code;
}

/* ------------------------------------------------------------ opening */

static enum liaison_code said(enum liaison_code code, const struct folder *f,
                              const char *file, char *why, size_t why_len)
{
    const char *what = code == LIAISON_NOT_FOUND ? "is missing or cut short"
                       : code == LIAISON_DAMAGED ? "cannot be what it should be"
                       : code == LIAISON_IO      ? "cannot be read"
                                                 : "out of memory";

    if (code != LIAISON_OK)
        snprintf(why, why_len, "%s/%s: %s", f->name, file, what);
    return code;
}

static enum liaison_code open_folder(struct folder *f, char *why, size_t why_len)
{
    uint8_t *sealed = NULL;
    size_t len = 0;

    f->dir = open(f->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir < 0) {
        bool absent = errno == ENOENT;

        snprintf(why, why_len, "%s: %s", f->name, strerror(errno));
        return absent ? LIAISON_NOT_FOUND : LIAISON_IO;
    }
    enum liaison_code code = read_file(f, "sealed", SEALED_MAX, &sealed, &len);

    if (code == LIAISON_OK)
        code = bundle_parse_seal(slice(sealed, len), &f->seal);
    free(sealed);
    if (code != LIAISON_OK)
        return said(code, f, "sealed", why, why_len);
    return said(read_file(f, "checkpoint", BUNDLE_NOTE_MAX, &f->note, &f->note_len), f,
                "checkpoint", why, why_len);
}

static int larger_first(const void *a, const void *b)
{
    const struct folder *x = a, *y = b;

    return x->seal.size < y->seal.size ? 1 : x->seal.size > y->seal.size ? -1 : 0;
}

/* The first entry from which on there is no gap up to the end. */
static enum liaison_code join(struct bundle *b, char *why, size_t why_len)
{
    uint64_t from = b->folders[0].seal.from;

    for (size_t i = 1; i < b->n; i++) {
        const struct folder *f = &b->folders[i];
        uint64_t until = f->seal.size / SOURCE_WIDTH * SOURCE_WIDTH;

        if (until < from) {
            snprintf(why, why_len,
                     "entries %" PRIu64 " to %" PRIu64
                     " are missing: they lie between %s and the bundles after it",
                     until, from - 1, f->name);
            return LIAISON_NOT_FOUND;
        }
        if (f->seal.from < from)
            from = f->seal.from;
    }
    b->source = (struct source){.arg = b,
                                .from = from,
                                .size = b->folders[0].seal.size,
                                .tile = read_tile,
                                .page = read_page,
                                .rules = read_rules};
    return LIAISON_OK;
}

enum liaison_code bundle_open(const char *const *folders, size_t n, struct bundle **out,
                              char *why, size_t why_len)
{
    struct bundle *b = calloc(1, sizeof *b);
    enum liaison_code code = LIAISON_OK;

    if (b == NULL || (b->folders = calloc(n + 1, sizeof *b->folders)) == NULL) {
        free(b);
        return LIAISON_MEMORY;
    }
    b->n = n;
    for (size_t i = 0; i < n; i++)
        b->folders[i] = (struct folder){.name = folders[i], .dir = -1};
    for (size_t i = 0; code == LIAISON_OK && i < n; i++)
        code = open_folder(&b->folders[i], why, why_len);
    if (n == 0) {
        snprintf(why, why_len, "no bundle is named");
        code = LIAISON_NOT_FOUND;
    }
    if (code == LIAISON_OK) {
        qsort(b->folders, n, sizeof *b->folders, larger_first);
        code = join(b, why, why_len);
    }
    if (code == LIAISON_OK)
        *out = b;
    else
        bundle_free(b);
    return code;
}

void bundle_free(struct bundle *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->n; i++) {
        if (b->folders[i].dir >= 0)
            close(b->folders[i].dir);
        free(b->folders[i].note);
    }
    free(b->folders);
    free(b);
}

const struct source *bundle_source(const struct bundle *b)
{
    return &b->source;
}

size_t bundle_notes(const struct bundle *b)
{
    return b->n;
}

struct slice bundle_note(const struct bundle *b, size_t i)
{
    return slice(b->folders[i].note, b->folders[i].note_len);
}
