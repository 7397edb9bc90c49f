/* One batch: begun at one moment, handled, committed as a whole, and only then answered. */
#include <openssl/crypto.h>
#include <sys/timex.h>
#include <time.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"

static Liaison__V1__Clock clock_state(const struct ledger_clock *c)
{
    struct timex t = {0};

    if (c->held)
        return LIAISON__V1__CLOCK__CLOCK_HELD;
    return adjtimex(&t) >= 0 && (t.status & STA_UNSYNC) == 0
               ? LIAISON__V1__CLOCK__CLOCK_SYNCED
               : LIAISON__V1__CLOCK__CLOCK_UNSYNCED;
}

/* One moment for all entries of the batch. */
static void tell_time(struct batch *b)
{
    struct core *core = b->core;

    b->time_ns = core_time_ns(core);
    b->clock = clock_state(&core->clock);
    answer_clock_look(&core->deadlines.clock, b->time_ns, core->clock.held);
    b->stepped = core->clock.held && !core->step_told;
    metrics_set(core->settings.metrics, METRIC_CLOCK_HELD, core->clock.held);
    if (core->clock.held && !core->held_said)
        log_error(
            "clock.held", "what=\"%s\"",
            "the wall clock has stepped: nothing expires until `liaisond clock confirm`");
    core->held_said = core->clock.held;
}

/* That the clock has stepped is an entry, of the first batch that sees it and has others. */
static void tell_step(struct batch *b)
{
    if (b->stepped && b->seq != b->core->head.size)
        broker_entry(b, LIAISON__V1__EVENT__EVENT_CLOCK_STEP, NULL);
    else
        b->stepped = false;
}

enum liaison_code batch_begin(struct core *core, struct arena *arena, bool full,
                              struct batch *b)
{
    *b = (struct batch){
        .core = core,
        .arena = arena,
        .full = full,
        .wall_ms = core_clock_ns(CLOCK_REALTIME) / 1000000,
        .seq = core->head.size,
        .next_number = core->next_number,
        .summaries = core->summaries,
    };
    tell_time(b);
    log_batch_begin(core->log, &b->tree);
    b->last = &b->first;
    b->last_push = &b->pushes;
    return store_begin(core->store, &core->head, full ? STORE_RESERVE : STORE_ORDINARY,
                       &b->tx);
}

/* Takes the batch back in memory, as the store has. */
void batch_undo(struct batch *b)
{
    core_free_chain(b->pushes);
    b->pushes = NULL;
    mail_undo(b);
    rate_undo(b);
    party_undo(b);
    vault_forget_groups(b->core->vault);
    log_undone(b->core->log);
    kept_rules_undo(b->core);
}

static void tell_sizes(const struct core *core)
{
    metrics_set(core->settings.metrics, METRIC_ENTRIES, core->head.size);
    metrics_set(core->settings.metrics, METRIC_STORE_USED, store_used_bytes(core->store));
}

/* All that follows from the batch's calls is in the transaction, its hashes and the next head among it. */
static enum liaison_code batch_close(struct batch *b, struct store_head *next)
{
    if (b->failed == LIAISON_OK && store_failed(b->tx) == LIAISON_OK)
        summary_if_due(b);
    if (b->failed == LIAISON_OK && store_failed(b->tx) == LIAISON_OK)
        tell_step(b);
    deadline_keep_time(b);
    item_flush(b);
    party_flush(b);
    notes_put(b);
    if (b->turns_key && b->failed == LIAISON_OK && store_failed(b->tx) == LIAISON_OK)
        batch_fail(
            b, groups_rotate(b)); /* last: all that was wrapped in this batch is there */
    if (b->failed != LIAISON_OK || store_failed(b->tx) != LIAISON_OK)
        return b->failed != LIAISON_OK ? b->failed : store_failed(b->tx);
    *next = b->core->head;
    next->size = b->seq;
    return b->seq == b->core->head.size
               ? LIAISON_OK
               : log_flush(b->core->log, &b->tree, b->tx, b->core->head.size, next->root);
}

static void batch_done(struct batch *b, const struct store_head *next)
{
    struct core *core = b->core;

    log_committed(core->log, &b->tree);
    core->head = *next;
    core->time_ns = b->time_ns;
    core->next_number = b->next_number;
    core->summaries = b->summaries;
    core->step_told = core->clock.held && (core->step_told || b->stepped);
    if (b->timed)
        core->deadlines.kept_ns = b->time_ns;
    party_committed(b);
    receipts_promised(b);
    metrics_add(core->settings.metrics, METRIC_COMMITS, 1);
    tell_sizes(core);
    notes_committed(b, &b->pushes);
}

enum liaison_code batch_commit(struct batch *b)
{
    struct store_head next;
    uint8_t id[16];
    enum liaison_code code = batch_close(b, &next);

    if (code != LIAISON_OK) {
        store_abort(b->tx);
        return code;
    }
    if (b->seq == b->core->head.size && !b->note &&
        !b->mends) { /* every change has its entry: there is none */
        store_abort(b->tx);
        party_committed(b);
        return LIAISON_OK;
    }
    hash_random(b->core->hash, id, sizeof id);
    code = store_commit(b->tx, &next, id);
    if (code == LIAISON_OK)
        batch_done(b, &next);
    return code;
}

enum liaison_code batch_alone(struct core *core, struct arena *arena, bool full,
                              batch_work *work, void *arg)
{
    struct batch b;

    arena_reset(arena);
    enum liaison_code code = batch_begin(core, arena, full, &b);

    if (code != LIAISON_OK)
        return code;
    work(&b, arg);
    code = batch_commit(&b);
    if (code != LIAISON_OK)
        batch_undo(&b);
    for (struct item *i = b.first; i != NULL; i = i->next)
        OPENSSL_cleanse(&i->keys, sizeof i->keys);
    map_free(b.items);
    core_send(core, b.pushes);
    return code;
}

/* Whose pair a call goes to: its gate's, or main's behind them. */
static unsigned pair_of(const struct core *core, const struct call *c)
{
    return c->kind == CALL_CHECKED ? core->settings.gates : (unsigned)(c->session >> 56);
}

/* Sends a chain to its gates and to main, each one's part as one message, in order. Takes the chain. */
void core_send(struct core *core, struct call *chain)
{
    for (unsigned g = 0; g <= core->settings.gates && chain != NULL; g++) {
        struct call *here = NULL, **last = &here, **rest = &chain;

        while (*rest != NULL) {
            if (pair_of(core, *rest) != g) {
                rest = &(*rest)->next;
                continue;
            }
            *last = *rest;
            *rest = (*rest)->next;
            last = &(*last)->next;
        }
        *last = NULL;
        if (here != NULL && call_send(core->sockets[g], here) != LIAISON_OK)
            core_free_chain(here); /* that gate has ended */
    }
    core_free_chain(chain);
}

/* Splits off the calls that were answered, and what is main's; the others are done with. */
static struct call *answered(struct call *calls)
{
    struct call *chain = NULL, **last = &chain;

    while (calls != NULL) {
        struct call *next = calls->next;

        calls->next = NULL;
        if ((calls->kind == CALL_ANSWER && calls->reply.p != NULL) ||
            calls->kind == CALL_CHECKED) {
            *last = calls;
            last = &calls->next;
        } else {
            core_free_chain(calls);
        }
        calls = next;
    }
    return chain;
}

/* One try. After LIAISON_OK all of it is durable and may be told. */
static enum liaison_code batch_try(struct core *core, struct arena *arena,
                                   struct call *calls, bool full, bool *more,
                                   struct call **pushes)
{
    struct batch b;
    enum liaison_code code = batch_begin(core, arena, full, &b);

    if (code != LIAISON_OK)
        return code;
    for (struct call *c = calls; c != NULL && b.failed == LIAISON_OK; c = c->next)
        core_handle(&b, c);
    if (!full && !core->evidence && !notes_overdue(core))
        mail_push(&b, core_clock_ns(CLOCK_MONOTONIC) / 1000000, more);
    code = batch_commit(&b);
    if (code != LIAISON_OK)
        batch_undo(&b);
    for (struct item *i = b.first; i != NULL; i = i->next)
        OPENSSL_cleanse(&i->keys, sizeof i->keys);
    map_free(b.items);
    *pushes = b.pushes;
    return code;
}

/* Calls as they came, for a second try. */
static void restore_kinds(struct call *calls, const enum call_kind *kinds)
{
    for (; calls != NULL; calls = calls->next)
        calls->kind = *kinds++;
}

static enum call_kind *remember_kinds(struct arena *a, const struct call *calls)
{
    size_t n = 0;

    for (const struct call *c = calls; c != NULL; c = c->next)
        n++;
    enum call_kind *kinds = arena_alloc(a, n * sizeof *kinds);

    for (n = 0; kinds != NULL && calls != NULL; calls = calls->next)
        kinds[n++] = calls->kind;
    return kinds;
}

/* Tells a call that there is no room, without an entry, which would need some. */
static void refuse_full(struct call *c)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Error e = LIAISON__V1__ERROR__INIT;

    e.code = (Liaison__V1__Code)LIAISON_FULL;
    e.text = (char *)err_text(LIAISON_FULL);
    f.id = c->frame_id;
    f.body_case = LIAISON__V1__FRAME__BODY_ERROR;
    f.error = &e;
    c->reply = arena_pack(c->arena, &f.base);
    c->kind = CALL_ANSWER;
    c->outcome = LIAISON_FULL;
}

/* Not even the reserve has room: proofs, which leave no entry, are given, and every other call is refused; nothing was disclosed.
 * A session that cannot be logged is not let in: the gate ends it at its deadline. */
static enum liaison_code answer_without_entries(struct core *core, struct arena *arena,
                                                struct call *calls)
{
    struct batch b;
    enum liaison_code code = batch_begin(core, arena, true, &b);

    if (code != LIAISON_OK)
        return code;
    for (struct call *c = calls; c != NULL && b.failed == LIAISON_OK; c = c->next) {
        c->reply = slice(NULL, 0);
        if (!core_handle_proof(&b, c) && c->kind == CALL_FRAME)
            refuse_full(c);
    }
    store_abort(b.tx);
    return b.failed;
}

/* What the batch has done, once it is durable. */
static void count(const struct core *core, const struct call *calls,
                  const struct call *pushes)
{
    struct metrics *m = core->settings.metrics;

    for (; calls != NULL; calls = calls->next) {
        metrics_add(m, METRIC_BATCH_CALLS, 1);
        if (calls->kind == CALL_ANSWER && calls->frame != NULL)
            metrics_call(m, calls->frame->body_case, calls->outcome);
        else if (calls->kind == CALL_STRANGERS)
            metrics_failed(m, FAILURE_STRANGER, calls->code, calls->count);
        else if (calls->kind == CALL_REFUSED)
            metrics_failed(m, FAILURE_REFUSED, calls->code, 1);
        else if (calls->kind == CALL_CUT)
            metrics_failed(m, FAILURE_CUT, calls->code, 1);
    }
    for (; pushes != NULL; pushes = pushes->next)
        metrics_add(m, METRIC_DELIVERIES, 1);
}

/* Tries, and when there is no room tries again on the reserve, where only reads, denials and their entries go. Takes calls. */
enum liaison_code batch_run(struct core *core, struct arena *arena, struct call *calls,
                            bool *more)
{
    struct call *pushes = NULL;
    enum liaison_code code = LIAISON_MEMORY;

    arena_reset(arena);
    const enum call_kind *kinds = remember_kinds(arena, calls);

    if (kinds != NULL)
        code = batch_try(core, arena, calls, false, more, &pushes);
    bool full = code == LIAISON_FULL;

    if (full && !core->was_full)
        log_warn("store.full", "what=\"%s\"",
                 "changes are refused until there is room; reads and denials go on");
    core->was_full = full;
    metrics_set(core->settings.metrics, METRIC_STORE_FULL, full);
    if (full) {
        restore_kinds(calls, kinds);
        code = batch_try(core, arena, calls, true, more, &pushes);
    }
    if (code == LIAISON_FULL) {
        restore_kinds(calls, kinds);
        code = answer_without_entries(core, arena, calls);
    }
    if (code != LIAISON_OK) {
        core_free_chain(calls);
        return code;
    }
    count(core, calls, pushes);
    core_send(core, answered(calls));
    core_send(core, pushes);
    return LIAISON_OK;
}
