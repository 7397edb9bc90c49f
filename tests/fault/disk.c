/* Preloaded into liaisond by the cases of tests/fault that are about the disk: records what is written and flushed, and makes
 * one call fail, or stand still until it is killed. tests/lib/disk.py is the other end.
 *
 * DISK_CONTROL names a file that both sides map: a page of words, then records. A record needs no system call of its own, so
 * neither sandbox nor kill -9 can take it away, and the notary, a child, writes into the same one. Hooked is every call that
 * can reach a regular file's bytes; descriptors 0..2 are the log's. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 4096 };

/* The words of the control page, in the order that disk.py knows. */
struct control {
    _Atomic uint64_t used;  /* bytes of records */
    uint64_t room;          /* bytes of the whole file */
    _Atomic uint64_t calls; /* that match `kinds` and `inode` */
    _Atomic uint64_t from;  /* the first of them to fail, from 1; 0: none */
    _Atomic uint64_t until; /* the last */
    _Atomic uint64_t
        error; /* errno; 0: the call never returns; LIE: it says that it has done it */
    _Atomic uint64_t kinds;  /* WRITES, FLUSHES */
    _Atomic uint64_t inode;  /* of the one file meant; 0: every file */
    _Atomic uint64_t failed; /* how many have */
    _Atomic uint64_t part;   /* 1: half of a failing write is written first */
};

enum { WRITES = 1, FLUSHES = 2, LIE = 10000 };
enum kind { NONE, WRITE, WRITTEN, FLUSH, FLUSHED, TRUNCATE, FAILED };

struct record {
    _Atomic uint64_t kind; /* set last: 0 where a writer was killed in the middle */
    uint64_t bytes;        /* of the whole record */
    uint64_t inode, offset, len, time_ns, durable;
};

static struct control *control;

__attribute__((constructor)) static void open_control(void)
{
    const char *path = getenv("DISK_CONTROL");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    close(fd);
    if (map != MAP_FAILED)
        control = map;
}

static void *next(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);

    if (f == NULL)
        _exit(99);
    return f;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The file's number; 0: not a file of ours. */
static uint64_t inode_of(int fd)
{
    struct stat st;

    return control == NULL || fd <= 2 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)
               ? 0
               : (uint64_t)st.st_ino;
}

static void put(enum kind kind, uint64_t inode, uint64_t offset, uint64_t len,
                uint64_t durable, const struct iovec *v, int n)
{
    uint64_t bytes = sizeof(struct record);

    for (int i = 0; i < n; i++)
        bytes += v[i].iov_len;
    bytes = (bytes + 7) / 8 * 8;
    uint64_t at = HEAD_BYTES + atomic_fetch_add(&control->used, bytes);

    if (at + bytes > control->room)
        _exit(98);
    struct record *r = (struct record *)(void *)((char *)control + at);
    char *p = (char *)(r + 1);

    r->bytes = bytes;
    r->inode = inode;
    r->offset = offset;
    r->len = len;
    r->time_ns = now_ns();
    r->durable = durable;
    for (int i = 0; i < n; i++) {
        memcpy(p, v[i].iov_base, v[i].iov_len);
        p += v[i].iov_len;
    }
    atomic_store(&r->kind, kind);
}

/* True if this call is to fail. */
static int fails(uint64_t inode, uint64_t kind, uint64_t offset)
{
    uint64_t only = atomic_load(&control->inode);

    if ((atomic_load(&control->kinds) & kind) == 0 || (only != 0 && only != inode))
        return 0;
    uint64_t n = atomic_fetch_add(&control->calls, 1) + 1,
             from = atomic_load(&control->from);

    if (from == 0 || n < from || n > atomic_load(&control->until))
        return 0;
    atomic_fetch_add(&control->failed, 1);
    put(FAILED, inode, offset, kind, 0, NULL, 0);
    while (atomic_load(&control->error) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    errno = (int)atomic_load(&control->error);
    return 1;
}

/* ---------------------------------------------------------------- writes */

static ssize_t write_half(int fd, const struct iovec *v, uint64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off_t) = next("pwrite64");
    int error = errno;

    if (atomic_load(&control->part) == 0 || v->iov_len < 2)
        return -1;
    (void)!real(fd, v->iov_base, v->iov_len / 2, (off_t)offset);
    errno = error;
    return -1;
}

/* Before and after a write of `n` buffers at `offset`; *done tells that it has failed already. */
static uint64_t before_write(int fd, const struct iovec *v, int n, uint64_t offset,
                             int *failed)
{
    uint64_t inode = inode_of(fd), len = 0;

    *failed = 0;
    if (inode == 0)
        return 0;
    for (int i = 0; i < n; i++)
        len += v[i].iov_len;
    if (fails(inode, WRITES, offset)) {
        *failed = 1;
        (void)write_half(fd, v, offset);
        return inode;
    }
    put(WRITE, inode, offset, len, 0, v, n);
    return inode;
}

static void after_write(int fd, uint64_t inode, uint64_t offset, ssize_t done)
{
    int error = errno;

    if (inode != 0 && done >= 0)
        put(WRITTEN, inode, offset, (uint64_t)done, (fcntl(fd, F_GETFL) & O_DSYNC) != 0,
            NULL, 0);
    errno = error;
}

/* What a write that fails says. */
static ssize_t told(const struct iovec *v, int n)
{
    ssize_t len = 0;

    for (int i = 0; errno == LIE && i < n; i++)
        len += (ssize_t)v[i].iov_len;
    return errno == LIE ? len : -1;
}

static uint64_t here(int fd)
{
    off_t at = control == NULL || fd <= 2 ? 0 : lseek(fd, 0, SEEK_CUR);

    return at < 0 ? 0 : (uint64_t)at;
}

ssize_t write(int fd, const void *data, size_t len)
{
    ssize_t (*real)(int, const void *, size_t) = next("write");
    const struct iovec v = {(void *)data, len};
    uint64_t at = inode_of(fd) == 0 ? 0 : here(fd);
    int failed;
    uint64_t inode = before_write(fd, &v, 1, at, &failed);
    ssize_t done = failed ? told(&v, 1) : real(fd, data, len);

    after_write(fd, failed ? 0 : inode, at, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    ssize_t (*real)(int, const struct iovec *, int) = next("writev");
    uint64_t at = inode_of(fd) == 0 ? 0 : here(fd);
    int failed;
    uint64_t inode = before_write(fd, v, n, at, &failed);
    ssize_t done = failed ? told(v, n) : real(fd, v, n);

    after_write(fd, failed ? 0 : inode, at, done);
    return done;
}

static ssize_t positioned(const char *name, int fd, const void *data, size_t len,
                          off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t) = next(name);
    const struct iovec v = {(void *)data, len};
    int failed;
    uint64_t inode = before_write(fd, &v, 1, (uint64_t)at, &failed);
    ssize_t done = failed ? told(&v, 1) : real(fd, data, len, at);

    after_write(fd, failed ? 0 : inode, (uint64_t)at, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    return positioned("pwrite", fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
    return positioned("pwrite64", fd, data, len, at);
}

static ssize_t positioned_many(const char *name, int fd, const struct iovec *v, int n,
                               off_t at)
{
    ssize_t (*real)(int, const struct iovec *, int, off_t) = next(name);
    int failed;
    uint64_t inode = before_write(fd, v, n, (uint64_t)at, &failed);
    ssize_t done = failed ? told(v, n) : real(fd, v, n, at);

    after_write(fd, failed ? 0 : inode, (uint64_t)at, done);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    return positioned_many("pwritev", fd, v, n, at);
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at)
{
    return positioned_many("pwritev64", fd, v, n, at);
}

/* ---------------------------------------------------------------- flushes, lengths */

static int flush(const char *name, int fd)
{
    int (*real)(int) = next(name);
    uint64_t inode = inode_of(fd);

    if (inode != 0 && fails(inode, FLUSHES, 0))
        return errno == LIE ? 0 : -1;
    if (inode != 0)
        put(FLUSH, inode, 0, 0, 0, NULL, 0);
    int rc = real(fd);

    if (inode != 0 && rc == 0)
        put(FLUSHED, inode, 0, 0, 1, NULL, 0);
    return rc;
}

int fsync(int fd)
{
    return flush("fsync", fd);
}

int fdatasync(int fd)
{
    return flush("fdatasync", fd);
}

static int cut(const char *name, int fd, off_t len)
{
    int (*real)(int, off_t) = next(name);
    uint64_t inode = inode_of(fd);

    if (inode != 0 && fails(inode, WRITES, 0))
        return -1;
    if (inode != 0)
        put(TRUNCATE, inode, 0, (uint64_t)len, 0, NULL, 0);
    return real(fd, len);
}

int ftruncate(int fd, off_t len)
{
    return cut("ftruncate", fd, len);
}

int ftruncate64(int fd, off_t len)
{
    return cut("ftruncate64", fd, len);
}

/* The store is never written through its map: what is flushed so is not known here, and a case must not go on in silence. */
int msync(void *p, size_t len, int flags)
{
    int (*real)(void *, size_t, int) = next("msync");

    if (control != NULL)
        _exit(97);
    return real(p, len, flags);
}
