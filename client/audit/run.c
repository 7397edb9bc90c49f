#include "client/audit/run.h"

#include <pthread.h>
#include <stdlib.h>

enum { AHEAD = 64 }; /* parts that may wait to be joined: what bounds the memory */

struct run {
    struct joined *joined;
    const struct scan *scan;
    uint64_t log;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t n, taken, joined_to; /* parts: in all, given to a thread, joined */
    struct part *done[AHEAD];     /* part i lies at i % AHEAD */
    enum liaison_code code;       /* of the first thread that failed */
};

/* Part i's first entry and the one behind its last. */
static void bounds(const struct run *r, uint64_t i, uint64_t *first, uint64_t *end)
{
    uint64_t start = r->joined->start, size = r->joined->settings->source->size;
    uint64_t from = (start / PART_ENTRIES + i) * PART_ENTRIES,
             until = from + PART_ENTRIES;

    *first = from < start ? start : from;
    *end = until > size ? size : until;
}

static void fail(struct run *r, enum liaison_code code)
{
    pthread_mutex_lock(&r->lock);
    if (r->code == LIAISON_OK)
        r->code = code;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* The next part to check; false: there is none left, or another thread has failed. */
static bool take(struct run *r, uint64_t *i)
{
    pthread_mutex_lock(&r->lock);
    while (r->code == LIAISON_OK && r->taken < r->n && r->taken >= r->joined_to + AHEAD)
        pthread_cond_wait(&r->changed, &r->lock);
    bool any = r->code == LIAISON_OK && r->taken < r->n;

    if (any)
        *i = r->taken++;
    pthread_mutex_unlock(&r->lock);
    return any;
}

static void *work(void *arg)
{
    struct run *r = arg;
    struct part_worker *w = part_worker_new(r->joined->settings->source, r->scan, r->log);
    enum liaison_code code = w == NULL ? LIAISON_MEMORY : LIAISON_OK;
    uint64_t i, first, end;

    while (code == LIAISON_OK && take(r, &i)) {
        struct part *p = NULL;

        bounds(r, i, &first, &end);
        code = part_check(w, first, end, &p);
        if (code != LIAISON_OK)
            break;
        pthread_mutex_lock(&r->lock);
        r->done[i % AHEAD] = p;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
    if (code != LIAISON_OK)
        fail(r, code);
    part_worker_free(w);
    return NULL;
}

/* Takes part i when it is done; NULL: a thread has failed. */
static struct part *collect(struct run *r, uint64_t i)
{
    pthread_mutex_lock(&r->lock);
    while (r->code == LIAISON_OK && r->done[i % AHEAD] == NULL)
        pthread_cond_wait(&r->changed, &r->lock);
    struct part *p = r->done[i % AHEAD];

    r->done[i % AHEAD] = NULL;
    if (p != NULL)
        r->joined_to = i + 1;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return p;
}

static void join_all(struct run *r)
{
    const struct verify_settings *s = r->joined->settings;
    uint64_t all = s->source->size - r->joined->start;
    enum liaison_code code = LIAISON_OK;

    for (uint64_t i = 0; code == LIAISON_OK && i < r->n; i++) {
        struct part *p = collect(r, i);

        if (p == NULL)
            return;
        code = join_part(r->joined, p);
        if (s->progress != NULL)
            s->progress(s->progress_arg, p->end - r->joined->start, all);
        part_free(p);
    }
    if (code != LIAISON_OK)
        fail(r, code);
}

enum liaison_code run_parts(struct joined *j, uint64_t log)
{
    pthread_t threads[VERIFY_THREADS_MAX];
    struct run r = {.joined = j,
                    .log = log,
                    .lock = PTHREAD_MUTEX_INITIALIZER,
                    .changed = PTHREAD_COND_INITIALIZER};
    struct scan *scan = scan_new();
    unsigned n = 0;

    if (scan == NULL)
        return LIAISON_MEMORY;
    r.scan = scan;
    r.n = (j->settings->source->size + PART_ENTRIES - 1) / PART_ENTRIES -
          j->start / PART_ENTRIES;
    while (n < j->settings->threads && n < VERIFY_THREADS_MAX && n < r.n &&
           pthread_create(&threads[n], NULL, work, &r) == 0)
        n++;
    if (n == 0 && r.n > 0)
        fail(&r, LIAISON_MEMORY);
    join_all(&r);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < AHEAD; i++)
        part_free(r.done[i]);
    scan_free(scan);
    return r.code;
}
