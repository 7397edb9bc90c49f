#include "broker/notary/water.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "broker/notary/file.h"
#include "broker/ops/log.h"

enum { COUNTER_AT = 16, SIZE_AT = 24, ROOT_AT = 32, SUM_AT = 64 };
enum { LOCK_TRIES = 250, LOCK_PAUSE_MS = 20 };

static const uint8_t MAGIC[16] = "liaison-water 1\n";

static off_t slot_at(uint64_t counter)
{
    return counter % 2 == 0 ? 0 : WATER_SECOND_AT;
}

static void sum(struct hash *h, const char *log, const uint8_t *slot,
                uint8_t out[HASH_BYTES])
{
    const struct slice parts[] = {slice(slot, SUM_AT), slice_text(log)};

    hash_sha256(h, parts, 2, out);
}

static void print_slot(struct hash *h, const char *log, const struct water *w,
                       uint8_t out[WATER_SLOT_BYTES])
{
    memcpy(out, MAGIC, sizeof MAGIC);
    be64_put(out + COUNTER_AT, w->counter);
    be64_put(out + SIZE_AT, w->size);
    memcpy(out + ROOT_AT, w->root, sizeof w->root);
    sum(h, log, out, out + SUM_AT);
}

static bool parse_slot(struct hash *h, const char *log, const uint8_t *slot,
                       struct water *out)
{
    uint8_t want[HASH_BYTES];

    sum(h, log, slot, want);
    if (memcmp(slot, MAGIC, sizeof MAGIC) != 0 ||
        CRYPTO_memcmp(slot + SUM_AT, want, sizeof want) != 0)
        return false;
    out->counter = be64_get(slot + COUNTER_AT);
    out->size = be64_get(slot + SIZE_AT);
    memcpy(out->root, slot + ROOT_AT, sizeof out->root);
    return true;
}

static bool is_blank(const uint8_t *slot)
{
    static const uint8_t BLANK[WATER_SLOT_BYTES];

    return memcmp(slot, BLANK, sizeof BLANK) == 0;
}

struct water water_none(struct hash *h)
{
    struct water w = {0};

    hash_sha256(h, NULL, 0, w.root);
    return w;
}

bool water_parse(struct hash *h, const char *log, struct slice file, struct water *out,
                 bool *torn)
{
    struct water w;
    bool found = false;

    *torn = false;
    for (size_t at = 0; at + WATER_SLOT_BYTES <= file.n; at += WATER_SECOND_AT) {
        bool whole =
            parse_slot(h, log, file.p + at, &w) && (size_t)slot_at(w.counter) == at;

        *torn = *torn || (!whole && !is_blank(file.p + at));
        if (whole && (!found || w.counter > out->counter)) {
            *out = w;
            found = true;
        }
    }
    return found;
}

enum liaison_code water_make(struct hash *h, const char *path, const char *log,
                             const struct water *w, char *why, size_t why_len)
{
    uint8_t file[WATER_FILE_BYTES] = {0};

    print_slot(h, log, w, file + slot_at(w->counter));
    return file_put(path, slice(file, sizeof file), FILE_LET_GO, why, why_len);
}

/* One notary signs. One whose broker has ended gives way as soon as it sees that. */
static enum liaison_code lock(int fd, const char *path, char *why, size_t why_len)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return LIAISON_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            break;
        poll(NULL, 0, LOCK_PAUSE_MS);
    }
    snprintf(why, why_len, "%s: another notary has it: is a broker running?", path);
    return LIAISON_BUSY;
}

/* What is only in memory yet would be believed, signed upon, and lost with the power. */
static enum liaison_code read_flushed(int fd, const char *path, uint8_t *file, size_t *n,
                                      char *why, size_t why_len)
{
    ssize_t got = fdatasync(fd) == 0 ? pread(fd, file, WATER_FILE_BYTES, 0) : -1;

    if (got < 0) {
        snprintf(why, why_len, "%s: cannot read it: %s", path, strerror(errno));
        return LIAISON_FILE;
    }
    *n = (size_t)got;
    return LIAISON_OK;
}

enum liaison_code water_open(struct hash *h, const char *path, const char *log, int *fd,
                             struct water *out, bool *found, char *why, size_t why_len)
{
    uint8_t file[WATER_FILE_BYTES];
    size_t n = 0;
    bool torn;
    int opened = -1;
    enum liaison_code code = file_open(path, true, &opened, why, why_len);

    *fd = -1;
    *found = false;
    if (code != LIAISON_OK || opened < 0)
        return code;
    if ((code = lock(opened, path, why, why_len)) != LIAISON_OK ||
        (code = read_flushed(opened, path, file, &n, why, why_len)) != LIAISON_OK) {
        close(opened);
        return code;
    }
    *found = water_parse(h, log, slice(file, n), out, &torn);
    if (torn)
        log_warn("notary.torn", "file=%s what=\"%s\"", path,
                 *found ? "one slot is damaged; the other one counts"
                        : "no slot is whole: nothing is known");
    *fd = opened;
    return LIAISON_OK;
}

enum liaison_code water_look(struct hash *h, const char *path, const char *log,
                             struct water *out, bool *found, char *why, size_t why_len)
{
    char file[WATER_FILE_BYTES + 1];
    size_t n = 0;
    bool torn, there = false;
    enum liaison_code code =
        file_read(path, file, WATER_FILE_BYTES, &n, &there, why, why_len);

    *found =
        code == LIAISON_OK && there && water_parse(h, log, slice(file, n), out, &torn);
    return code;
}

enum liaison_code water_write(struct hash *h, int fd, const char *log,
                              const struct water *next)
{
    uint8_t slot[WATER_SLOT_BYTES];

    print_slot(h, log, next, slot);
    if (pwrite(fd, slot, sizeof slot, slot_at(next->counter)) == (ssize_t)sizeof slot &&
        fdatasync(fd) == 0)
        return LIAISON_OK;
    log_error("notary.write", "why=\"%s\" what=\"%s\"", strerror(errno),
              "nothing more is signed until the broker has been started again");
    return LIAISON_IO;
}
