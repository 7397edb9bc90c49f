#include "broker/core/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 2, SLOT_APART = 4096, SLOT_BYTES = 128, FILE_BYTES = 2 * SLOT_APART };

static const char MAGIC_1[] = "liaison-key-file 1 ";
static const char MAGIC_2[] = "liaison-key-file 2 ";

enum {
    MAGIC_BYTES = sizeof MAGIC_2 - 1,
    HEX_BYTES = 2 * KEY_FILE_KEY,
    EPOCH_DIGITS = 20
};

struct slot {
    bool empty, sound;
    uint64_t epoch;
    uint8_t key[KEY_FILE_KEY];
};

struct key_file {
    int fd;
    unsigned now; /* the slot that counts; the other is free, or the next epoch's */
    bool drawn;   /* the next epoch's key is there */
    struct slot slots[SLOTS];
};

__attribute__((format(printf, 4, 5))) static enum liaison_code
explain(enum liaison_code code, char *why, size_t why_len, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, why_len, fmt, args);
    va_end(args);
    return code;
}

/* ------------------------------------------------------------ one slot */

static bool hex_parse(const char *text, uint8_t out[KEY_FILE_KEY])
{
    for (size_t i = 0; i < HEX_BYTES; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : -1;

        if (digit < 0)
            return false;
        out[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
    }
    return true;
}

static bool epoch_parse(const char *text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < EPOCH_DIGITS; i++) {
        if (text[i] < '0' || text[i] > '9' || *out > (UINT64_MAX - 9) / 10)
            return false;
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    }
    return text[EPOCH_DIGITS] == ' ';
}

static bool zeros(const char *p, size_t n)
{
    while (n > 0 && *p == '\0')
        p++, n--;
    return n == 0;
}

/* What stands in a slot. A line that a crash cut short is neither empty nor sound. */
static void slot_parse(const char text[SLOT_BYTES], struct slot *out)
{
    const char *p = text + MAGIC_BYTES;

    *out = (struct slot){.empty = zeros(text, SLOT_BYTES)};
    if (memcmp(text, MAGIC_2, MAGIC_BYTES) == 0) {
        out->sound = epoch_parse(p, &out->epoch);
        p += EPOCH_DIGITS + 1;
    } else {
        out->sound = memcmp(text, MAGIC_1, MAGIC_BYTES) == 0;
    }
    out->sound =
        out->sound && hex_parse(p, out->key) && p[HEX_BYTES] == '\n' &&
        zeros(p + HEX_BYTES + 1, (size_t)(text + SLOT_BYTES - p) - HEX_BYTES - 1);
}

static void slot_print(const struct slot *s, char text[SLOT_BYTES])
{
    int n = snprintf(text, SLOT_BYTES, "%s%020" PRIu64 " ", MAGIC_2, s->epoch);

    for (size_t i = 0; i < KEY_FILE_KEY; i++, n += 2)
        snprintf(text + n, SLOT_BYTES - (size_t)n, "%02x", s->key[i]);
    text[n++] = '\n';
    memset(text + n, 0, SLOT_BYTES - (size_t)n);
}

/* In place and flushed: the bytes that stood there are no more, as far as the file system and the device keep to that. */
static enum liaison_code slot_put(const struct key_file *f, unsigned n,
                                  const char text[SLOT_BYTES])
{
    ssize_t put = pwrite(f->fd, text, SLOT_BYTES, (off_t)n * SLOT_APART);

    if (put != SLOT_BYTES)
        return put < 0 && errno == ENOSPC ? LIAISON_FULL : LIAISON_IO;
    return fdatasync(f->fd) == 0 ? LIAISON_OK : LIAISON_IO;
}

static enum liaison_code slot_write(const struct key_file *f, unsigned n)
{
    char text[SLOT_BYTES];

    slot_print(&f->slots[n], text);
    enum liaison_code code = slot_put(f, n, text);

    OPENSSL_cleanse(text, sizeof text);
    return code;
}

static enum liaison_code slot_wipe(struct key_file *f, unsigned n)
{
    static const char NOTHING[SLOT_BYTES];

    OPENSSL_cleanse(&f->slots[n], sizeof f->slots[n]);
    f->slots[n].empty = true;
    return slot_put(f, n, NOTHING) == LIAISON_OK ? LIAISON_OK : LIAISON_IO;
}

static enum liaison_code slot_read(struct key_file *f, unsigned n)
{
    char text[SLOT_BYTES] = {0};
    ssize_t got = pread(f->fd, text, sizeof text, (off_t)n * SLOT_APART);

    if (got >= 0)
        slot_parse(text, &f->slots[n]);
    OPENSSL_cleanse(text, sizeof text);
    return got >= 0 ? LIAISON_OK : LIAISON_FILE;
}

/* ------------------------------------------------------------ opening */

static enum liaison_code sync_folder(const char *file)
{
    char path[4096];

    snprintf(path, sizeof path, "%s", file);
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok ? LIAISON_OK : LIAISON_FILE;
}

/* Both slots have their room before a rotation wants it: one on a full disk must not fail for that. */
static bool has_room(const struct key_file *f)
{
    return posix_fallocate(f->fd, 0, FILE_BYTES) == 0 && fsync(f->fd) == 0;
}

static enum liaison_code make_file(struct key_file *f, const char *path, struct hash *h,
                                   char *why, size_t why_len)
{
    f->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (f->fd >= 0 && has_room(f)) {
        f->slots[0] = (struct slot){.sound = true};
        f->slots[1] = (struct slot){.empty = true};
        hash_random(h, f->slots[0].key, KEY_FILE_KEY);
        if (slot_write(f, 0) == LIAISON_OK && sync_folder(path) == LIAISON_OK)
            return LIAISON_OK;
    }
    return explain(LIAISON_FILE, why, why_len, "%s: cannot make the key file: %s", path,
                   strerror(errno));
}

static enum liaison_code check_mode(const struct key_file *f, const char *path, char *why,
                                    size_t why_len)
{
    struct stat st;

    if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return explain(LIAISON_FILE, why, why_len, "%s: not a regular file", path);
    if ((st.st_mode & 077) != 0)
        return explain(LIAISON_PERMISSION, why, why_len,
                       "%s: others may read the key file; run: chmod 600 %s", path, path);
    return LIAISON_OK;
}

static enum liaison_code no_such_epoch(const struct key_file *f, const char *path,
                                       uint64_t epoch, char *why, size_t why_len)
{
    const struct slot *s = f->slots[0].sound ? &f->slots[0] : &f->slots[1];

    if (!s->sound)
        return explain(LIAISON_CONFIG, why, why_len,
                       "%s: not a key file (one line \"%s<64 hex digits>\", or two slots "
                       "of version 2, are wanted)",
                       path, MAGIC_1);
    if (s->epoch > epoch)
        return explain(LIAISON_CONFIG, why, why_len,
                       "%s: its key is of epoch %" PRIu64
                       ", the store is of epoch %" PRIu64
                       ": a store from before an erasure cannot be opened any more, "
                       "as the erasure destroyed its key; restore a later backup",
                       path, s->epoch, epoch);
    return explain(LIAISON_CONFIG, why, why_len,
                   "%s: its key is of epoch %" PRIu64 ", the store is of epoch %" PRIu64
                   ": this is an old copy; the one that the broker last ran with is "
                   "wanted, and every copy like this one is to be destroyed",
                   path, s->epoch, epoch);
}

/* The slot of the store's epoch counts; what else is there belongs to a rotation that was cut short, before or after its
 * commit, and goes. */
static enum liaison_code choose(struct key_file *f, const char *path, uint64_t epoch,
                                char *why, size_t why_len)
{
    for (f->now = 0; f->now < SLOTS; f->now++)
        if (f->slots[f->now].sound && f->slots[f->now].epoch == epoch)
            break;
    if (f->now == SLOTS)
        return no_such_epoch(f, path, epoch, why, why_len);
    if (f->slots[1 - f->now].empty || slot_wipe(f, 1 - f->now) == LIAISON_OK)
        return LIAISON_OK;
    return explain(LIAISON_IO, why, why_len,
                   "%s: cannot overwrite the key that an erasure has done with: %s", path,
                   strerror(errno));
}

static enum liaison_code read_file(struct key_file *f, const char *path, uint64_t epoch,
                                   char *why, size_t why_len)
{
    enum liaison_code code = check_mode(f, path, why, why_len);

    if (code != LIAISON_OK)
        return code;
    if (slot_read(f, 0) != LIAISON_OK || slot_read(f, 1) != LIAISON_OK || !has_room(f))
        return explain(
            LIAISON_FILE, why, why_len,
            "%s: cannot read the key file, or make room in it for a second key: %s", path,
            strerror(errno));
    return choose(f, path, epoch, why, why_len);
}

static enum liaison_code open_file(struct key_file *f, const char *path, bool make,
                                   uint64_t epoch, struct hash *h, char *why,
                                   size_t why_len)
{
    f->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (f->fd >= 0)
        return read_file(f, path, epoch, why, why_len);
    if (errno == ENOENT && make && epoch == 0)
        return make_file(f, path, h, why, why_len);
    return explain(
        LIAISON_FILE, why, why_len,
        "%s: cannot read and write the key file: %s; without it nothing in the "
        "store can be opened",
        path, strerror(errno));
}

enum liaison_code key_file_open(const char *path, bool make, uint64_t epoch,
                                struct hash *h, struct key_file **out, char *why,
                                size_t why_len)
{
    struct key_file *f = calloc(1, sizeof *f);

    if (f == NULL)
        return explain(LIAISON_MEMORY, why, why_len, "%s: out of memory", path);
    enum liaison_code code = open_file(f, path, make, epoch, h, why, why_len);

    if (code != LIAISON_OK) {
        key_file_close(f);
        return code;
    }
    *out = f;
    return LIAISON_OK;
}

void key_file_close(struct key_file *f)
{
    if (f == NULL)
        return;
    if (f->fd >= 0)
        close(f->fd);
    OPENSSL_cleanse(f, sizeof *f);
    free(f);
}

/* ------------------------------------------------------------ keys */

uint64_t key_file_epoch(const struct key_file *f)
{
    return f->slots[f->now].epoch;
}

const uint8_t *key_file_key(const struct key_file *f)
{
    return f->slots[f->now].key;
}

const uint8_t *key_file_next(const struct key_file *f)
{
    return f->drawn ? f->slots[1 - f->now].key : NULL;
}

enum liaison_code key_file_draw(struct key_file *f, struct hash *h)
{
    struct slot *s = &f->slots[1 - f->now];

    *s = (struct slot){.sound = true, .epoch = key_file_epoch(f) + 1};
    hash_random(h, s->key, sizeof s->key);
    enum liaison_code code = slot_write(f, 1 - f->now);

    f->drawn = code == LIAISON_OK;
    if (!f->drawn)
        OPENSSL_cleanse(s, sizeof *s);
    return code;
}

enum liaison_code key_file_turn(struct key_file *f)
{
    f->now = 1 - f->now;
    f->drawn = false;
    return slot_wipe(f, 1 - f->now);
}

enum liaison_code key_file_drop(struct key_file *f)
{
    f->drawn = false;
    return slot_wipe(f, 1 - f->now);
}
