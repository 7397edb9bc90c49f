#include "client/audit/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_MS = 200 };

static uint64_t now_mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void progress_begin(struct progress *p)
{
    *p =
        (struct progress){.shown = isatty(STDERR_FILENO) == 1, .began_ms = now_mono_ms()};
    p->told_ms = p->began_ms;
}

void progress_tell(void *arg, uint64_t done, uint64_t all)
{
    struct progress *p = arg;
    uint64_t now_ms = p->shown ? now_mono_ms() : 0;

    if (!p->shown || now_ms - p->told_ms < EVERY_MS || all == 0 || done == 0)
        return;
    uint64_t took_ms = now_ms - p->began_ms;

    fprintf(stderr,
            "\r%" PRIu64 " of %" PRIu64 " entries, %" PRIu64 " %%, %" PRIu64
            " a second, %" PRIu64 " s left\033[K",
            done, all, done * 100 / all, done * 1000 / took_ms,
            (uint64_t)((double)took_ms / (double)done * (double)(all - done) / 1000));
    fflush(stderr);
    p->told_ms = now_ms;
    p->told = true;
}

void progress_end(struct progress *p)
{
    if (p->told)
        fputs("\r\033[K", stderr);
    p->told = false;
}
