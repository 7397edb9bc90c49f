/* What the core looks after every few seconds: readers of its store in other processes. */
#include <time.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"

enum {
    EVERY_MS = 5000,
    HELD_MS = 60000,     /* that a backup, or whoever reads, may hold one snapshot */
    HELD_COMMITS = 1000, /* the same: none of their pages is used again meanwhile */
};

static void tell_held(struct core *c, const struct store_readers *r, uint64_t now_ms)
{
    struct tended *t = &c->tended;

    if (r->pid != t->held_by) {
        t->held_by = r->pid;
        t->held_since_ms = now_ms;
        t->held_told = false;
    }
    if (r->pid == 0 || t->held_told ||
        (now_ms - t->held_since_ms < HELD_MS && r->behind < HELD_COMMITS))
        return;
    t->held_told = true;
    log_warn("store.held", "pid=%d commits=%llu file_bytes=%llu what=\"%s\"", r->pid,
             (unsigned long long)r->behind, (unsigned long long)r->file_bytes,
             "a process reads one state of the store for too long: the file grows with "
             "every commit until it ends");
}

void tend(struct core *c)
{
    struct timespec t;
    struct store_readers r;

    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t now_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;

    if (now_ms < c->tended.at_ms + EVERY_MS || store_tend(c->store, &r) != LIAISON_OK)
        return;
    c->tended.at_ms = now_ms;
    metrics_set(c->settings.metrics, METRIC_STORE_FILE, r.file_bytes);
    metrics_set(c->settings.metrics, METRIC_STORE_BEHIND, r.behind);
    if (r.cleared > 0)
        log_info("store.readers", "cleared=%u what=\"%s\"", r.cleared,
                 "processes that ended while they read the store held pages of it");
    tell_held(c, &r, now_ms);
}
