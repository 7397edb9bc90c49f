/* Preloaded into a broker by tests/fault/16-clock, 20-fires-once and tests/e2e/56-deadlines: time is what a file says, while the
 * broker runs.
 *
 *     CLOCK_SHIM=FILE   int64 nanoseconds that the wall clock is ahead; int64: 0 the kernel says whether it is synchronised, 1 it
 *                       is, 2 it is not; int64 nanoseconds that have passed as if the machine had slept: by the wall clock and by
 *                       the one that nobody sets. What a shorter file does not say is 0. Mapped at once, so that a sandbox does not
 *                       matter. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000 };

static volatile int64_t *said;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("CLOCK_SHIM");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 3 * sizeof *said, PROT_READ, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        _exit(99);
    said = p;
    close(fd);
}

static void *next(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);

    if (f == NULL)
        _exit(99);
    return f;
}

int clock_gettime(clockid_t which, struct timespec *t)
{
    int (*real)(clockid_t, struct timespec *);
    *(void **)&real = next("clock_gettime");
    int rc = real(which, t);

    if (rc == 0 && (which == CLOCK_REALTIME || which == CLOCK_BOOTTIME)) {
        int64_t off = said[2] + (which == CLOCK_REALTIME ? said[0] : 0);
        int64_t ns = t->tv_sec * (int64_t)SECOND + t->tv_nsec + off;

        t->tv_sec = ns / SECOND;
        t->tv_nsec = ns % SECOND;
    }
    return rc;
}

time_t time(time_t *out)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    if (out != NULL)
        *out = t.tv_sec;
    return t.tv_sec;
}

int adjtimex(struct timex *t)
{
    int (*real)(struct timex *);
    *(void **)&real = next("adjtimex");
    int rc = real(t);

    if (said[1] == 1)
        t->status &= ~STA_UNSYNC;
    if (said[1] == 2)
        t->status |= STA_UNSYNC;
    return said[1] == 1 ? TIME_OK : said[1] == 2 ? TIME_ERROR : rc;
}
