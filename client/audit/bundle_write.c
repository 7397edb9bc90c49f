#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/audit/bundle.h"

struct bundle_writer {
    char *folder, *part; /* the name it will have, and the one it has */
    int dir;             /* part */
    uint64_t from, size, files;
    struct hash *hash;
    char *lines; /* of `sealed` */
    size_t lines_len, lines_room;
    uint8_t *page; /* SOURCE_WIDTH entries, encoded */
    char why[512];
};

__attribute__((format(printf, 3, 4))) static enum liaison_code
fail(struct bundle_writer *w, enum liaison_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
    return code;
}

static enum liaison_code fail_file(struct bundle_writer *w, const char *path)
{
    return fail(w, LIAISON_FILE, "%s/%s: %s", w->part, path, strerror(errno));
}

const char *bundle_writer_why(const struct bundle_writer *w)
{
    return w->why;
}

void bundle_writer_free(struct bundle_writer *w)
{
    if (w == NULL)
        return;
    if (w->dir >= 0)
        close(w->dir);
    hash_free(w->hash);
    free(w->folder);
    free(w->part);
    free(w->lines);
    free(w->page);
    free(w);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

/* A fresh FOLDER.part. */
static enum liaison_code make_part(struct bundle_writer *w)
{
    struct stat st;

    if (lstat(w->folder, &st) == 0)
        return fail(w, LIAISON_FILE,
                    "%s is there already: a sealed bundle is not written over",
                    w->folder);
    if (lstat(w->part, &st) == 0 &&
        nftw(w->part, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return fail(w, LIAISON_FILE, "%s cannot be removed: %s", w->part,
                    strerror(errno));
    if (mkdir(w->part, 0700) != 0 ||
        (w->dir = open(w->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return fail(w, LIAISON_FILE, "%s: %s", w->part, strerror(errno));
    return LIAISON_OK;
}

enum liaison_code bundle_begin(const char *folder, uint64_t from, uint64_t size,
                               struct bundle_writer **out, char *why, size_t why_len)
{
    struct bundle_writer *w = calloc(1, sizeof *w);

    if (w == NULL)
        return LIAISON_MEMORY;
    w->dir = -1;
    w->from = from;
    w->size = size;
    w->hash = hash_new();
    w->folder = strdup(folder);
    w->page = malloc((size_t)SOURCE_WIDTH * (SOURCE_ENTRY_MAX + 2));
    if (asprintf(&w->part, "%s.part", folder) < 0)
        w->part = NULL;
    enum liaison_code code =
        w->hash == NULL || w->folder == NULL || w->page == NULL || w->part == NULL
            ? fail(w, LIAISON_MEMORY, "out of memory")
        : from % SOURCE_WIDTH != 0 || from > size
            ? fail(w, LIAISON_FIELD, "a bundle begins at a multiple of 256")
            : make_part(w);

    if (code == LIAISON_OK)
        *out = w;
    else
        snprintf(why, why_len, "%s", w->why), bundle_writer_free(w);
    return code;
}

/* Makes the folders on the way to `path`. */
static bool make_way(struct bundle_writer *w, const char *path)
{
    char way[BUNDLE_PATH_MAX];

    for (const char *slash = strchr(path, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        snprintf(way, sizeof way, "%.*s", (int)(slash - path), path);
        if (mkdirat(w->dir, way, 0700) != 0 && errno != EEXIST)
            return false;
    }
    return true;
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

static enum liaison_code create(struct bundle_writer *w, const char *path,
                                struct slice bytes)
{
    int fd = openat(w->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && errno == ENOENT && make_way(w, path))
        fd = openat(w->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_file(w, path);
    bool written = write_all(fd, bytes);

    if (close(fd) != 0 || !written)
        return fail_file(w, path);
    return LIAISON_OK;
}

/* A line of `sealed`. */
static enum liaison_code note_line(struct bundle_writer *w, const char *path,
                                   struct slice bytes)
{
    uint8_t digest[HASH_BYTES];
    enum { LINE = 2 * HASH_BYTES + 2 + BUNDLE_PATH_MAX + 2 };

    if (w->lines_len + LINE > w->lines_room) {
        size_t room = w->lines_room == 0 ? 1 << 16 : 2 * w->lines_room;
        char *wider = realloc(w->lines, room);

        if (wider == NULL)
            return fail(w, LIAISON_MEMORY, "out of memory");
        w->lines = wider;
        w->lines_room = room;
    }
    hash_sha256(w->hash, &bytes, 1, digest);
    for (size_t i = 0; i < HASH_BYTES; i++, w->lines_len += 2)
        snprintf(w->lines + w->lines_len, 3, "%02x", digest[i]);
    w->lines_len +=
        (size_t)snprintf(w->lines + w->lines_len, BUNDLE_PATH_MAX + 4, "  %s\n", path);
    w->files++;
    return LIAISON_OK;
}

static enum liaison_code put(struct bundle_writer *w, const char *path,
                             struct slice bytes)
{
    enum liaison_code code = create(w, path, bytes);

    return code == LIAISON_OK ? note_line(w, path, bytes) : code;
}

enum liaison_code bundle_put_page(struct bundle_writer *w, uint64_t n,
                                  const struct slice *entries, unsigned width)
{
    char path[BUNDLE_PATH_MAX];
    uint8_t *to = w->page;

    for (unsigned i = 0; i < width; i++) {
        if (entries[i].n > SOURCE_ENTRY_MAX)
            return fail(w, LIAISON_LIMIT,
                        "an entry of %zu bytes is too long for a bundle", entries[i].n);
        be16_put(to, (uint16_t)entries[i].n);
        memcpy(to + 2, entries[i].p, entries[i].n);
        to += 2 + entries[i].n;
    }
    bundle_page_path(n, width, path);
    return put(w, path, slice(w->page, (size_t)(to - w->page)));
}

enum liaison_code bundle_put_tile(struct bundle_writer *w, unsigned level, uint64_t n,
                                  const uint8_t (*hashes)[HASH_BYTES], unsigned width)
{
    char path[BUNDLE_PATH_MAX];

    bundle_tile_path(level, n, width, path);
    return put(w, path, slice(hashes, (size_t)width * HASH_BYTES));
}

enum liaison_code bundle_put_note(struct bundle_writer *w, struct slice note)
{
    return put(w, "checkpoint", note);
}

enum liaison_code bundle_put_rules(struct bundle_writer *w, const uint8_t id[HASH_BYTES],
                                   struct slice text)
{
    char path[BUNDLE_PATH_MAX] = "rules/";

    for (size_t i = 0; i < HASH_BYTES; i++)
        snprintf(path + 6 + 2 * i, 3, "%02x", id[i]);
    return put(w, path, text);
}

const char *bundle_part(const struct bundle_writer *w)
{
    return w->part;
}

enum liaison_code bundle_publish(struct bundle_writer *w)
{
    char *up = strdup(w->folder), *slash = up == NULL ? NULL : strrchr(up, '/');

    if (up == NULL)
        return fail(w, LIAISON_MEMORY, "out of memory");
    if (slash != NULL)
        slash[slash == up ? 1 : 0] = '\0';
    int dir = open(slash == NULL ? "." : up, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum liaison_code code = LIAISON_OK;

    if (dir < 0 || rename(w->part, w->folder) != 0 || fsync(dir) != 0)
        code = fail(w, LIAISON_FILE, "%s: %s", w->folder, strerror(errno));
    if (dir >= 0)
        close(dir);
    free(up);
    return code;
}

enum liaison_code bundle_close(struct bundle_writer *w)
{
    char head[128];
    int head_len = snprintf(head, sizeof head,
                            "# liaison/1 bundle from %" PRIu64 " size %" PRIu64
                            " files %" PRIu64 "\n",
                            w->from, w->size, w->files);
    size_t len = (size_t)head_len + w->lines_len;
    char *all = malloc(len);

    if (all == NULL)
        return fail(w, LIAISON_MEMORY, "out of memory");
    memcpy(all, head, (size_t)head_len);
    if (w->lines_len > 0)
        memcpy(all + head_len, w->lines, w->lines_len);
    /* The files first, then the list that says they are there: one flush each for all of them. */
    enum liaison_code code =
        syncfs(w->dir) == 0 ? create(w, "sealed", slice(all, len)) : fail_file(w, "");

    if (code == LIAISON_OK && syncfs(w->dir) != 0)
        code = fail_file(w, "sealed");
    free(all);
    return code;
}

enum liaison_code bundle_seal(struct bundle_writer *w)
{
    enum liaison_code code = bundle_close(w);

    return code == LIAISON_OK ? bundle_publish(w) : code;
}
