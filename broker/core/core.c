/* The loop: waits for calls and for the notary, and lets batch follow on batch. */
#include "broker/core/core.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"

enum { SCRUB_EVERY_MS = 1000, SCRUB_ENTRIES = 1024 };

uint64_t core_clock_ns(clockid_t which)
{
    struct timespec t;

    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t core_time_ns(struct core *c)
{
    uint64_t mono_ns = core_clock_ns(CLOCK_BOOTTIME),
             now_ns = ledger_clock_now(&c->clock, core_clock_ns(CLOCK_REALTIME), mono_ns);

    if (c->settings.time != NULL)
        call_time_set(c->settings.time, now_ns, mono_ns);
    return now_ns;
}

void core_free_chain(struct call *c)
{
    while (c != NULL) {
        struct call *next = c->next;

        call_free(c);
        c = next;
    }
}

/* ------------------------------------------------------------ erasures */

/* Takes the calls of that kind out of the chain: they have batches of their own. */
static struct call *take_kind(struct call **calls, enum call_kind kind)
{
    struct call *chain = NULL, **last = &chain;

    while (*calls != NULL) {
        if ((*calls)->kind != kind) {
            calls = &(*calls)->next;
            continue;
        }
        *last = *calls;
        *calls = (*calls)->next;
        last = &(*last)->next;
        *last = NULL;
    }
    return chain;
}

static void erase_in(struct batch *b, void *call)
{
    erase_call(b, call);
}

/* Each in a batch by itself, on the reserve. Takes the chain. */
static enum liaison_code erase_run(struct core *core, struct arena *arena,
                                   struct call *chain)
{
    enum liaison_code code = LIAISON_OK;

    while (chain != NULL && code == LIAISON_OK) {
        struct call *c = chain;

        chain = c->next;
        c->next = NULL;
        code = core->evidence ? LIAISON_EVIDENCE
                              : batch_alone(core, arena, true, erase_in, c);
        code = erase_settle(core, c, code);
        c->kind = CALL_ANSWER;
        if (code != LIAISON_OK ||
            call_send(core->sockets[core->settings.gates], c) != LIAISON_OK)
            call_free(c);
    }
    core_free_chain(chain);
    return code;
}
/* ------------------------------------------------------------ the loop */

/* Everything that waits on every pair, in one chain. */
static struct call *collect(struct core *core)
{
    struct call *chain = NULL, **last = &chain;

    for (unsigned g = 0; g <= core->settings.gates; g++)
        while ((*last = call_recv(core->sockets[g])) != NULL)
            while (*last != NULL)
                last = &(*last)->next;
    return chain;
}

static int wait_ms(const struct core *core, bool more)
{
    uint64_t deadline = delivery_deadline(core->delivery),
             now = core_clock_ns(CLOCK_MONOTONIC) / 1000000;

    if (more || core->reloads != NULL || deadline <= now)
        return 0;
    return deadline - now > SCRUB_EVERY_MS ? SCRUB_EVERY_MS : (int)(deadline - now);
}

static enum liaison_code wait_for_calls(struct core *core, zmq_pollitem_t *items,
                                        bool more)
{
    int n = (int)core->settings.gates + 1;

    for (int g = 0; g < n; g++)
        items[g] = (zmq_pollitem_t){.socket = core->sockets[g], .events = ZMQ_POLLIN};
    if (notes_fd(core->notes) >= 0)
        items[n++] = (zmq_pollitem_t){.fd = notes_fd(core->notes), .events = ZMQ_POLLIN};
    metrics_idle(core->settings.metrics, 0);
    int ready = zmq_poll(items, n, wait_ms(core, more));
    bool failed = ready < 0 && zmq_errno() != EINTR;

    metrics_busy(core->settings.metrics, 0);
    return failed ? LIAISON_INTERNAL : LIAISON_OK;
}

/* Entries of the broker's own, in a batch by themselves. */
static void note_in(struct batch *b, Liaison__V1__Event event)
{
    if (notes_begin_due(b->core))
        notes_begin(b);
    if (notes_rotation_due(b->core))
        notes_rotate(b);
    broker_entry(b, event, NULL);
    if (event == LIAISON__V1__EVENT__EVENT_START)
        reload_begin(b);
}

static enum liaison_code note(struct core *core, struct arena *arena,
                              Liaison__V1__Event event)
{
    struct batch b;
    enum liaison_code code;

    if (core->evidence)
        return LIAISON_OK;
    arena_reset(arena);
    code = batch_begin(core, arena, true, &b);
    if (code != LIAISON_OK)
        return code;
    note_in(&b, event);
    code = batch_commit(&b);
    if (code != LIAISON_OK)
        batch_undo(&b);
    core_free_chain(
        b.pushes); /* receipts of a session that can ask for its proofs again */
    map_free(b.items);
    if (code ==
        LIAISON_FULL) { /* the broker starts and stops on a full disk too, so that room can be made */
        log_warn("store.full", "what=\"%s\"",
                 "an entry of the broker's own found no room");
        code = LIAISON_OK;
    }
    return code;
}

static void end_all(struct core *core)
{
    for (unsigned g = 0; g <= core->settings.gates; g++) {
        struct call *c = call_new(CALL_ENDED, (uint64_t)g << 56);

        if (c != NULL && call_send(core->sockets[g], c) != LIAISON_OK)
            call_free(c);
    }
}

/* A little of the log is hashed again every second, all of it over and over: what a disk has changed is found while
 * witnesses and backups still hold what it was. */
static void scrub_log(struct core *core)
{
    uint64_t bad = 0;
    char why[128];
    enum liaison_code code = log_scrub(core->log, SCRUB_ENTRIES, &bad);

    if (code == LIAISON_OK)
        return;
    snprintf(why, sizeof why, "entry %llu cannot be read as it was hashed: %s",
             (unsigned long long)bad, err_text(code));
    core_evidence(core, why);
}

/* So it is with the indexes; what is wrong there is put right. */
static void look_in(struct batch *b, void *next)
{
    uint64_t *from = next;

    *from = index_look(b, *from, SCRUB_ENTRIES);
}

static enum liaison_code scrub_index(struct core *core, struct arena *arena)
{
    uint64_t next = core->indexed;
    enum liaison_code code = batch_alone(core, arena, true, look_in, &next);

    if (code == LIAISON_OK)
        core->indexed = next;
    return code == LIAISON_FULL ? LIAISON_OK : code;
}

static enum liaison_code scrub(struct core *core, struct arena *arena)
{
    uint64_t now_ms = core_clock_ns(CLOCK_MONOTONIC) / 1000000;

    if (core->evidence || now_ms < core->scrubbed_ms + SCRUB_EVERY_MS)
        return LIAISON_OK;
    core->scrubbed_ms = now_ms;
    scrub_log(core);
    if (core->evidence)
        return LIAISON_OK;
    replay_some(core, arena);
    return scrub_index(core, arena);
}

/* Where the next call of a chain is put. */
static struct call **behind(struct call **chain)
{
    while (*chain != NULL)
        chain = &(*chain)->next;
    return chain;
}

static void rates_in(struct batch *b, void *nothing)
{
    (void)nothing;
    rate_recount(b);
}

static enum liaison_code serve(struct core *core, struct arena *arena,
                               zmq_pollitem_t *items)
{
    bool more = false;
    enum liaison_code code = note(core, arena, LIAISON__V1__EVENT__EVENT_START);

    if (code == LIAISON_OK && !core->evidence && rules_limit_rates(core->settings.rules))
        code = batch_alone(core, arena, true, rates_in, NULL);
    while (code == LIAISON_OK && !core->stopping) {
        code = wait_for_calls(core, items, more);
        if (code != LIAISON_OK)
            break;
        notes_hear(core);
        tend(core);
        code = scrub(core, arena);
        if (code == LIAISON_OK)
            code = deadline_run(core, arena, &more);
        if (code != LIAISON_OK)
            break;
        struct call *calls = collect(core), *erasures = take_kind(&calls, CALL_ERASE);
        *behind(&core->reloads) = take_kind(&calls, CALL_RELOAD);
        size_t expired =
            delivery_expire(core->delivery, core_clock_ns(CLOCK_MONOTONIC) / 1000000);

        if (calls != NULL || expired > 0 || more || notes_pending(core->notes))
            code = batch_run(core, arena, calls, &more);
        if (code == LIAISON_OK)
            code = rounds_run(core, arena, &more);
        if (code == LIAISON_OK)
            code = erase_run(core, arena, erasures);
        else
            core_free_chain(erasures);
        if (code == LIAISON_OK)
            code = reload_step(core, arena);
    }
    if (code != LIAISON_OK)
        return code;
    notes_settle(core);
    return note(core, arena, LIAISON__V1__EVENT__EVENT_STOP);
}

enum liaison_code core_run(struct core *core)
{
    struct arena *arena = arena_new();
    zmq_pollitem_t *items = calloc(core->settings.gates + 2, sizeof *items);
    enum liaison_code code =
        arena == NULL || items == NULL ? LIAISON_MEMORY : serve(core, arena, items);

    if (code != LIAISON_OK)
        log_error("core.failed", "code=%s what=%s", err_name(code),
                  "nothing of the last batch was answered; the process ends and starts "
                  "again through its checks");
    metrics_idle(core->settings.metrics, 0);
    end_all(core);
    arena_free(arena);
    free(items);
    return code;
}
