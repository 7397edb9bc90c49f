/* Preloaded into a program by tests/e2e/22-outbox and 61-erase, and by 20-fires-once: kill -9 just before or just after the n-th call that the outside can see.
 *
 *     KILL_AT=N      at the N-th such call, counted over all of them; unset: never
 *     KILL_ARM=FILE  N is the int64 in that file, which another process may write at any time; 0: not yet
 *     KILL_FROM=NAME counting begins with the first call of that name
 *     KILL_ON=TEXT   ... whose path, if it has one, holds TEXT
 *     KILL_AFTER=1   when it has been made
 *     KILL_TRACE=F   the calls' names are written into F, a line each */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void *next(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);

    if (f == NULL)
        _exit(99);
    return f;
}

/* Mapped at once, so that a sandbox does not matter. */
static volatile int64_t *armed;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("KILL_ARM");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *p = path == NULL ? NULL : mmap(NULL, sizeof *armed, PROT_READ, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        _exit(99);
    armed = p;
    if (fd >= 0)
        close(fd);
}

/* True if this is the call to die at. */
static int counted(const char *name, const char *what)
{
    static long n;
    static int begun;
    const char *at = getenv("KILL_AT"), *trace = getenv("KILL_TRACE");
    const char *from = getenv("KILL_FROM"), *on = getenv("KILL_ON");
    char line[512];

    if (armed != NULL && *armed == 0)
        return 0;
    begun = begun || ((from == NULL || strcmp(name, from) == 0) &&
                      (on == NULL || strstr(what, on) != NULL));
    if (!begun)
        return 0;

    if (trace != NULL) {
        ssize_t (*real_write)(int, const void *, size_t) = next("write");
        int fd = open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        snprintf(line, sizeof line, "%s %s\n", name, what);
        (void)!real_write(fd, line, strlen(line));
        close(fd);
    }
    return ++n == (armed != NULL ? *armed : at != NULL ? atol(at) : 0);
}

#define WATCHED(type, name, parameters, arguments, what)                                 \
    type name parameters;                                                                \
    type name parameters                                                                 \
    {                                                                                    \
        type(*real) parameters;                                                          \
        *(void **)&real = next(#name);                                                   \
        int die = counted(#name, what);                                                  \
        if (die && getenv("KILL_AFTER") == NULL)                                         \
            raise(SIGKILL); /* the one that a broker's sandbox lets it send */           \
        type rc = real arguments;                                                        \
        if (die)                                                                         \
            raise(SIGKILL);                                                              \
        return rc;                                                                       \
    }

static const char *path_of(int fd)
{
    static char path[400];
    char link[40];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);

    path[n < 0 ? 0 : n] = '\0';
    return path;
}

WATCHED(int, mkdir, (const char *path, mode_t mode), (path, mode), path)
WATCHED(char *, mkdtemp, (char *path), (path), path)
WATCHED(int, rename, (const char *from, const char *to), (from, to), to)
WATCHED(int, unlink, (const char *path), (path), path)
WATCHED(int, rmdir, (const char *path), (path), path)
WATCHED(int, fsync, (int fd), (fd), path_of(fd))
WATCHED(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), path_of(fd))
WATCHED(int, fdatasync, (int fd), (fd), path_of(fd))
WATCHED(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at),
        path_of(fd))
WATCHED(int, connect, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n), "")
WATCHED(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags),
        "")
WATCHED(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), "")
