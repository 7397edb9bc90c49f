/* Makes of liaisond a broker that answers before it commits, to show that tests/e2e/04-kill9 notices.
 *
 * Linked with --wrap=store_begin,store_commit,store_abort,store_close,log_scrub. A commit says LIAISON_OK at once and keeps its batch
 * open; the next batches go on in it, and only after LIE_MS is all of it really committed. Everything else works as it does
 * in the product: the store stays sound, and a restart after kill -9 finds nothing wrong but the calls that were answered.
 * The broker that hashes its log again every second would find itself out first: that is left out. */
#include <stdbool.h>
#include <time.h>

#include "broker/core/log.h"
#include "broker/store/store.h"

enum { LIE_MS = 100 };

enum liaison_code __real_store_begin(struct store *s, const struct store_head *expected,
                                     enum store_use use, struct store_batch **out);
enum liaison_code __real_store_commit(struct store_batch *b,
                                      const struct store_head *next,
                                      const uint8_t batch_id[16]);
void __real_store_abort(struct store_batch *b);
void __real_store_close(struct store *s);

enum liaison_code __wrap_store_begin(struct store *s, const struct store_head *expected,
                                     enum store_use use, struct store_batch **out);
enum liaison_code __wrap_store_commit(struct store_batch *b,
                                      const struct store_head *next,
                                      const uint8_t batch_id[16]);
void __wrap_store_abort(struct store_batch *b);
void __wrap_store_close(struct store *s);
enum liaison_code __wrap_log_scrub(struct log *l, size_t n, uint64_t *bad);

/* The core thread's; main touches it when that has ended. */
static struct {
    struct store_batch *batch; /* answered, not committed; NULL: nothing is */
    struct store_head next;
    uint8_t id[16];
    int64_t since_ms;
} lie;

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum liaison_code confess(void)
{
    struct store_batch *b = lie.batch;

    lie.batch = NULL;
    return b == NULL ? LIAISON_OK : __real_store_commit(b, &lie.next, lie.id);
}

enum liaison_code __wrap_store_begin(struct store *s, const struct store_head *expected,
                                     enum store_use use, struct store_batch **out)
{
    enum liaison_code code;

    if (lie.batch != NULL && now_ms() - lie.since_ms < LIE_MS) {
        *out = lie.batch;
        return LIAISON_OK;
    }
    code = confess();
    return code == LIAISON_OK ? __real_store_begin(s, expected, use, out) : code;
}

enum liaison_code __wrap_store_commit(struct store_batch *b,
                                      const struct store_head *next,
                                      const uint8_t batch_id[16])
{
    if (store_failed(b) != LIAISON_OK)
        return __real_store_commit(b, next, batch_id);
    if (lie.batch == NULL)
        lie.since_ms = now_ms();
    lie.batch = b;
    lie.next = *next;
    memcpy(lie.id, batch_id, sizeof lie.id);
    return LIAISON_OK;
}

/* A batch that changed nothing is dropped; what was answered before it stays open. */
void __wrap_store_abort(struct store_batch *b)
{
    if (b == NULL || b != lie.batch)
        __real_store_abort(b);
}

void __wrap_store_close(struct store *s)
{
    (void)confess();
    __real_store_close(s);
}

enum liaison_code __wrap_log_scrub(struct log *l, size_t n, uint64_t *bad)
{
    (void)l;
    (void)n;
    (void)bad;
    return LIAISON_OK;
}
