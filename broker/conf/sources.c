/* From names of files to sources. */
#include "broker/conf/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/valid.h"

static const char INCLUDED[] = "# included: ";

/* ---------------------------------------------------------------- texts */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static bool begins(struct slice text, const char *with)
{
    size_t n = strlen(with);

    return text.n >= n && memcmp(text.p, with, n) == 0;
}

/* Says in which line a text stops being UTF-8 without NUL, or could be taken for the beginning of another file; such
 * text is not looked at further. */
static bool check_text(struct sources *f, const struct conf_source *s)
{
    const uint8_t *p = s->text.p, *end = s->text.p + s->text.n;

    for (uint32_t line = 1; p < end; line++) {
        const uint8_t *stop = memchr(p, '\n', (size_t)(end - p));
        struct slice text = slice(p, (size_t)((stop != NULL ? stop : end) - p));
        struct place at = {s, line, (uint32_t)(p - s->text.p)};

        if (!valid_utf8(text)) {
            report_error(f->tree->report, at, "this line is not UTF-8 text");
            return false;
        }
        if (begins(text, INCLUDED)) {
            report_error(f->tree->report, at,
                         "a comment cannot begin with \"%s\"; so begin files in the kept "
                         "text of a set",
                         INCLUDED);
            return false;
        }
        p += text.n + 1;
    }
    return true;
}

static struct source_file *add(struct sources *f, const char *name, const char *base,
                               struct slice text)
{
    struct source_file **list = tree_grow(f->tree, f->list, f->n, &f->room, sizeof *list);
    struct source_file *file = arena_zero(f->tree->arena, sizeof *file);

    if (list == NULL || file == NULL) {
        report_memory(f->tree->report);
        return NULL;
    }
    file->source = (struct conf_source){name, base, text, (unsigned)f->n};
    list[f->n++] = file;
    f->list = list;
    f->bytes += text.n;
    return file;
}

const struct conf_source *sources_add(struct sources *f, const char *name,
                                      const char *base, struct slice text)
{
    struct source_file *file = add(f, name, base != NULL ? base : base_name(name), text);

    return file != NULL && check_text(f, &file->source) ? &file->source : NULL;
}

/* ---------------------------------------------------------------- files */

/* Reads all of an open file. NULL: errno says why; EFBIG past CONF_FILE_MAX. */
static uint8_t *read_all(int fd, const struct stat *st, struct arena *a, size_t *n)
{
    errno = S_ISDIR(st->st_mode) ? EISDIR : S_ISREG(st->st_mode) ? 0 : EINVAL;
    if (errno != 0)
        return NULL;
    size_t room =
        st->st_size < CONF_FILE_MAX ? (size_t)st->st_size + 1 : CONF_FILE_MAX + 1;
    uint8_t *text = arena_alloc(a, room);

    errno = ENOMEM;
    for (*n = 0; text != NULL && *n < room;) {
        ssize_t got = read(fd, text + *n, room - *n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return NULL;
        if (got == 0)
            return text;
        *n += (size_t)got;
    }
    errno =
        text != NULL ? EFBIG : ENOMEM; /* larger than allowed, or it grew as we read */
    return NULL;
}

static bool read_before(const struct sources *f, const struct stat *st)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->list[i]->device == st->st_dev && f->list[i]->inode == st->st_ino)
            return true;
    return false;
}

const struct conf_source *sources_read(struct sources *f, const char *path,
                                       const char *base, struct place named_at)
{
    struct report *r = f->tree->report;
    struct stat st;
    size_t n = 0;
    uint8_t *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC |
                            O_NONBLOCK); /* a FIFO is refused, not waited for */

    if (fd >= 0 && fstat(fd, &st) == 0) {
        if (read_before(f, &st)) {
            close(fd);
            report_error(r, named_at, "%s is read already; expected each file once",
                         path);
            return NULL;
        }
        text = read_all(fd, &st, f->tree->arena, &n);
    }
    int error = errno;

    if (fd >= 0)
        close(fd);
    if (text == NULL) {
        f->unreadable = true;
        report_error(r, named_at, "cannot read %s: %s", path,
                     error == EINVAL ? "Not a regular file" : strerror(error));
        return NULL;
    }
    if (n > SOURCES_BYTES_MAX - f->bytes) {
        report_error(r, named_at,
                     "the files are too large; expected at most %d bytes in all",
                     SOURCES_BYTES_MAX);
        return NULL;
    }
    const struct conf_source *s = sources_add(f, path, base, slice(text, n));

    if (s != NULL) {
        f->list[f->n - 1]->device = st.st_dev;
        f->list[f->n - 1]->inode = st.st_ino;
    }
    return s;
}

/* ---------------------------------------------------------------- kept texts */

static bool ends_its_line(struct slice text)
{
    return text.n == 0 || text.p[text.n - 1] == '\n';
}

/* The line that stands before the text of a file that is not the first. */
static struct slice heading(struct sources *f, size_t i, bool after_line)
{
    const char *base = f->list[i]->source.base;
    size_t n = strlen(base) + sizeof INCLUDED + 1;
    char *text = arena_alloc(f->tree->arena, n + 1);

    if (text == NULL) {
        report_memory(f->tree->report);
        return slice("", 0);
    }
    n = (size_t)snprintf(text, n + 1, "%s%s%s\n", after_line ? "" : "\n", INCLUDED, base);
    return slice(text, n);
}

const struct slice *sources_texts(struct sources *f, bool with_first, size_t *n)
{
    struct slice *list = arena_alloc(f->tree->arena, 2 * f->n * sizeof *list);

    *n = 0;
    if (list == NULL) {
        report_memory(f->tree->report);
        return NULL;
    }
    for (size_t i = with_first ? 0 : 1; i < f->n; i++) {
        if (*n > 0) {
            list[*n] = heading(f, i, ends_its_line(list[*n - 1]));
            ++*n;
        }
        list[(*n)++] = f->list[i]->source.text;
    }
    return list;
}

/* Where the next file begins: at the heading's line, or at the end. */
static size_t next_heading(struct slice text)
{
    const uint8_t *line = text.p, *end = text.p + text.n;

    while (line < end && !begins(slice(line, (size_t)(end - line)), INCLUDED)) {
        line = memchr(line, '\n', (size_t)(end - line));
        line = line != NULL ? line + 1 : end;
    }
    return (size_t)(line - text.p);
}

bool sources_read_kept(struct sources *f, struct slice text)
{
    const char *base = "rules";

    for (;;) {
        size_t n = next_heading(text);
        const struct conf_source *s = sources_add(f, base, base, slice(text.p, n));

        if (s == NULL)
            return false;
        tree_read(f->tree, s, true);
        text = slice(text.p + n, text.n - n);
        if (text.n == 0)
            return true;
        const uint8_t *stop = memchr(text.p, '\n', text.n);
        size_t line = stop != NULL ? (size_t)(stop - text.p) : text.n;

        base =
            (const char *)arena_copy(f->tree->arena, slice(text.p + sizeof INCLUDED - 1,
                                                           line - sizeof INCLUDED + 1));
        if (base == NULL) {
            report_memory(f->tree->report);
            return false;
        }
        if (!valid_utf8(slice(text.p, line))) {
            report_error(f->tree->report, (struct place){0},
                         "a file's name in the kept text is not UTF-8");
            return false;
        }
        line += stop != NULL;
        text = slice(text.p + line, text.n - line);
    }
}
