/* The core's life: open, check, then batch after batch. */
#include "broker/core/core.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>
#include <zmq.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"
#include "proto/valid.h"

enum { SCRUB_EVERY_MS = 1000, SCRUB_ENTRIES = 1024 };

const struct store_table TABLES[T__COUNT] = {
    [T_ENTRY] = {"entry", true},      [T_REFERRAL] = {"referral", false},
    [T_BODY] = {"body", false},       [T_ACTION] = {"action", false},
    [T_KNOWN] = {"known", false},     [T_INBOX] = {"inbox", false},
    [T_MAIL] = {"mail", false},       [T_TRAIL] = {"trail", false},
    [T_PARTY] = {"party", false},     [T_MONTH] = {"month", false},
    [T_OPENING] = {"opening", false}, [T_SIGNER] = {"signer", false},
    [T_LOG] = {"log", false},         [T_HASH] = {"hash", true},
    [T_NOTE] = {"note", false},       [T_RULES] = {"rules", false},
    [T_GROUP] = {"group", false},
};

static uint64_t clock_ns(clockid_t which)
{
    struct timespec t;

    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void free_chain(struct call *c)
{
    while (c != NULL) {
        struct call *next = c->next;

        tls_trust_free(c->trust);
        directory_free(c->directory);
        call_free(c);
        c = next;
    }
}

/* ------------------------------------------------------------ opening */

struct last {
    uint64_t key;
    uint64_t time_ns;
};

static int last_entry(void *arg, struct slice key, struct slice value)
{
    struct last *l = arg;
    struct arena *a = arena_new();
    const void *m;

    (void)key;
    if (a != NULL &&
        valid_decode(&liaison__v1__ledger_entry__descriptor, value, a, &m) == LIAISON_OK)
        l->time_ns = ((const Liaison__V1__LedgerEntry *)m)->time_ns;
    arena_free(a);
    return 1;
}

static int last_key(void *arg, struct slice key, struct slice value)
{
    struct last *l = arg;

    (void)value;
    l->key = key.n == 8 ? be64_get(key.p) : 0;
    return 1;
}

static enum liaison_code read_last(struct core *c)
{
    struct last entry = {0}, referral = {0};
    const struct slice all = slice(NULL, 0);
    enum liaison_code code = store_head(c->store, &c->head);

    if (code == LIAISON_OK)
        code = store_scan_back(c->store, T_ENTRY, all, all, 1, last_entry, &entry);
    if (code == LIAISON_OK)
        code = store_scan_back(c->store, T_REFERRAL, all, all, 1, last_key, &referral);
    c->time_ns = entry.time_ns;
    c->next_number = referral.key + 1;
    return code;
}

void core_evidence(struct core *c, const char *why)
{
    c->evidence = true;
    metrics_set(c->settings.metrics, METRIC_EVIDENCE, 1);
    log_error(
        "log.evidence", "why=\"%s\" what=\"%s\"", why,
        "nothing is taken, written or signed any more; auditors can read what there is. "
        "Keep the store as it is and tell them. See liaisond(8), EVIDENCE");
}

/* The log, and whether it is what was committed and what was signed. */
static enum liaison_code open_log(struct core *c, char *why, size_t why_len)
{
    bool sound;
    enum liaison_code code =
        log_open(c->store, c->hash, &c->head, &c->log, &sound, why, why_len);

    if (code != LIAISON_OK)
        return code;
    if (!sound)
        core_evidence(c, why);
    code = notes_open(c, &sound, why, why_len);
    if (code == LIAISON_OK && !sound)
        core_evidence(c, why);
    if (code == LIAISON_OK)
        code = summary_open(c);
    return code;
}

static enum liaison_code bind_pairs(struct core *c)
{
    const int no_limit = 0;

    c->sockets = calloc(c->settings.gates + 1, sizeof *c->sockets);
    if (c->sockets == NULL)
        return LIAISON_MEMORY;
    for (unsigned g = 0; g <= c->settings.gates; g++) {
        char address[32];

        c->sockets[g] = zmq_socket(c->settings.zmq, ZMQ_PAIR);
        if (c->sockets[g] == NULL ||
            zmq_setsockopt(c->sockets[g], ZMQ_SNDHWM, &no_limit, sizeof no_limit) != 0 ||
            zmq_setsockopt(c->sockets[g], ZMQ_LINGER, &no_limit, sizeof no_limit) != 0 ||
            zmq_bind(c->sockets[g], call_address(g, address)) != 0)
            return LIAISON_INTERNAL;
    }
    return LIAISON_OK;
}

/* Not before all is found sound: what may hold more than can be read at this moment stays as it is. */
static enum liaison_code lead(struct core *c, char *why, size_t why_len)
{
    enum liaison_code code =
        c->evidence ? LIAISON_OK : store_lead(c->store, &c->head.epoch);

    if (code != LIAISON_OK)
        snprintf(why, why_len, "%s: %s", c->settings.store_url, err_text(code));
    return code;
}

static enum liaison_code open_store(struct core *c, char *why, size_t why_len)
{
    bool fresh, newest;
    enum liaison_code code =
        store_open(c->settings.store_url, TABLES, T__COUNT, &c->settings.store, &c->store,
                   &fresh, why, why_len);

    if (code != LIAISON_OK)
        return code;
    code = store_lock(c->store, &newest, why, why_len);
    if (code != LIAISON_OK) {
        snprintf(why, why_len, "%s: %s", c->settings.store_url, err_text(code));
        return code;
    }
    if (!newest)
        core_evidence(c, why);
    code = read_last(c);
    if (code != LIAISON_OK) {
        snprintf(why, why_len, "the store cannot be read: %s", err_text(code));
        return code;
    }
    ledger_clock_start(&c->clock, c->time_ns, clock_ns(CLOCK_REALTIME),
                       clock_ns(CLOCK_BOOTTIME));
    code = open_log(c, why, why_len);
    if (code != LIAISON_OK)
        return code;
    code = lead(c, why, why_len);
    if (code != LIAISON_OK)
        return code;
    code = groups_load(c, why, why_len);
    if (code != LIAISON_OK)
        return code;
    c->delivery = delivery_new(&(struct delivery_settings){
        .lease_ms = c->settings.lease_ms,
        .window_messages = c->settings.window,
        .window_bytes = c->settings.window_bytes,
        .first_lease = c->head.epoch << 32 | 1,
    });
    return c->delivery == NULL ? LIAISON_MEMORY : party_load(c);
}

enum liaison_code core_new(const struct core_settings *settings, struct core **out,
                           char *why, size_t why_len)
{
    struct core *c = calloc(1, sizeof *c);
    enum liaison_code code = LIAISON_MEMORY;

    snprintf(why, why_len, "%s", err_text(code));
    if (c == NULL)
        return code;
    c->settings = *settings;
    c->settings.rules = rules_share(settings->rules);
    c->settings.trust = tls_trust_share(settings->trust);
    rules_set_id(settings->rules, c->rule_set);
    c->hash = hash_new();
    if (c->hash != NULL)
        code = open_store(c, why, why_len);
    if (code == LIAISON_OK)
        code = bind_pairs(c);
    if (code != LIAISON_OK) {
        core_free(c);
        return code;
    }
    *out = c;
    return LIAISON_OK;
}

/* What still waits in it was asked of a core that has ended. */
static void close_pair(void *socket)
{
    for (struct call *c; socket != NULL && (c = call_recv(socket)) != NULL;)
        free_chain(c);
    if (socket != NULL)
        zmq_close(socket);
}

void core_free(struct core *c)
{
    size_t i = 0;
    uint64_t key;
    void *session;

    if (c == NULL)
        return;
    for (unsigned g = 0; c->sockets != NULL && g <= c->settings.gates; g++)
        close_pair(c->sockets[g]);
    free(c->sockets);
    while (map_next(c->sessions, &i, &key, &session))
        peer_free(session);
    map_free(c->sessions);
    notes_free(c->notes);
    notary_free(c->settings.notary);
    note_policy_free(c->settings.witnesses);
    log_free(c->log);
    party_free(c);
    delivery_free(c->delivery);
    vault_close(c->vault);
    store_close(c->store);
    hash_free(c->hash);
    rules_free(c->settings.rules);
    tls_trust_free(c->settings.trust);
    directory_free(c->settings.directory);
    free(c);
}

/* ------------------------------------------------------------ one batch */

static handler *handler_of(Liaison__V1__Frame__BodyCase body)
{
    switch ((int)body) {
    case LIAISON__V1__FRAME__BODY_SUBMIT:
        return submit_call;
    case LIAISON__V1__FRAME__BODY_CHECK:
        return check_call;
    case LIAISON__V1__FRAME__BODY_ACT:
        return act_call;
    case LIAISON__V1__FRAME__BODY_LIST:
        return list_call;
    case LIAISON__V1__FRAME__BODY_OPEN:
        return open_call;
    case LIAISON__V1__FRAME__BODY_HISTORY:
        return history_call;
    case LIAISON__V1__FRAME__BODY_DIRECTORY:
        return directory_call;
    case LIAISON__V1__FRAME__BODY_GRANT:
        return grant_call;
    case LIAISON__V1__FRAME__BODY_ACK:
        return ack_call;
    case LIAISON__V1__FRAME__BODY_ENTRIES:
        return entries_call;
    case LIAISON__V1__FRAME__BODY_PROVE:
        return prove_call;
    case LIAISON__V1__FRAME__BODY_COSIGN:
        return cosign_call;
    case LIAISON__V1__FRAME__BODY_SUMMARIZE:
        return summarize_call;
    case LIAISON__V1__FRAME__BODY_HASHES:
        return hashes_call;
    case LIAISON__V1__FRAME__BODY_RULE_TEXT:
        return rule_text_call;
    default:
        return NULL;
    }
}

/* Reads that never leave an entry. */
static bool proves(handler *h)
{
    return h == prove_call || h == hashes_call || h == rule_text_call;
}

/* What evidence mode still answers, to auditors. */
static bool leaves_no_entry(handler *h)
{
    return proves(h) || h == entries_call;
}

/* Why nobody's call of this sort is taken now; LIAISON_OK: it is. */
static enum liaison_code closed_to(const struct core *core, const struct session *s,
                                   handler *h)
{
    if (core->evidence)
        return s->role == TLS_AUDITOR && leaves_no_entry(h) ? LIAISON_OK
                                                            : LIAISON_EVIDENCE;
    return s->role == TLS_AGENCY && notes_overdue(core) ? LIAISON_UNSIGNED : LIAISON_OK;
}

static void handle_frame(struct batch *b, struct call *c)
{
    struct session *s = map_get(b->core->sessions, c->session);
    handler *h = handler_of(c->frame->body_case);
    enum liaison_code closed;

    if (s ==
        NULL) /* closed meanwhile: nobody is left to answer, and nothing was promised */
        return;
    if (h == NULL)
        core_error(b, c, LIAISON_UNSUPPORTED, NULL);
    else if ((closed = closed_to(b->core, s, h)) != LIAISON_OK)
        core_error(b, c, closed, NULL);
    else
        h(b, c, s);
}

static void reload(struct core *core, struct call *c)
{
    tls_trust_free(core->settings.trust);
    directory_free(core->settings.directory);
    core->settings.trust = c->trust;
    core->settings.directory = c->directory;
    c->trust = NULL;
    c->directory = NULL;
}

static void confirm_clock(struct batch *b)
{
    ledger_clock_confirm(&b->core->clock, clock_ns(CLOCK_REALTIME),
                         clock_ns(CLOCK_BOOTTIME));
    log_warn("clock.confirmed", "what=\"%s\"", "the wall clock is followed again");
    broker_entry(b, LIAISON__V1__EVENT__EVENT_CLOCK_STEP, NULL);
}

/* What is not a peer's call leaves an entry; as evidence the log takes none. */
static void handle(struct batch *b, struct call *c)
{
    if (b->core->evidence && (c->kind == CALL_STRANGERS || c->kind == CALL_REFUSED ||
                              c->kind == CALL_CUT || c->kind == CALL_CRL))
        return;
    switch (c->kind) {
    case CALL_OPENED:
        peer_opened(b, c);
        return;
    case CALL_CLOSED:
        peer_closed(b->core, c->session);
        return;
    case CALL_FRAME:
        handle_frame(b, c);
        return;
    case CALL_STRANGERS:
        peer_strangers(b, c);
        return;
    case CALL_REFUSED:
        peer_refused(b, c, LIAISON__V1__EVENT__EVENT_SESSION);
        return;
    case CALL_CUT:
        peer_refused(b, c, LIAISON__V1__EVENT__EVENT_SESSION_CUT);
        return;
    case CALL_CRL:
        broker_entry(b, LIAISON__V1__EVENT__EVENT_CRL, c->digest);
        return;
    case CALL_RELOAD:
        if (c->trust != NULL) /* NULL: the second try of a batch */
            reload(b->core, c);
        return;
    case CALL_CLOCK:
        confirm_clock(b);
        return;
    case CALL_ERASE:
        return; /* has a batch of its own: erase_run() */
    case CALL_STOP:
        b->core->stopping = true;
        return;
    case CALL_ANSWER:
    case CALL_PUSH:
    case CALL_ENDED:
        return; /* ours to send, not to get */
    }
}

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
static void tell_time(struct batch *b, uint64_t wall_ns)
{
    struct core *core = b->core;
    bool was_held = core->clock.held;

    b->time_ns = ledger_clock_now(&core->clock, wall_ns, clock_ns(CLOCK_BOOTTIME));
    b->clock = clock_state(&core->clock);
    b->stepped = core->clock.held && !core->step_told;
    metrics_set(core->settings.metrics, METRIC_CLOCK_HELD, core->clock.held);
    if (core->clock.held && !was_held)
        log_error(
            "clock.held", "what=\"%s\"",
            "the wall clock has stepped: nothing expires until `liaisond clock confirm`");
}

/* That the clock has stepped is an entry, of the first batch that sees it and has others. */
static void tell_step(struct batch *b)
{
    if (b->stepped && b->seq != b->core->head.size)
        broker_entry(b, LIAISON__V1__EVENT__EVENT_CLOCK_STEP, NULL);
    else
        b->stepped = false;
}

static enum liaison_code batch_begin(struct core *core, struct arena *arena, bool full,
                                     struct batch *b)
{
    uint64_t wall_ns = clock_ns(CLOCK_REALTIME);

    *b = (struct batch){
        .core = core,
        .arena = arena,
        .full = full,
        .wall_ms = wall_ns / 1000000,
        .seq = core->head.size,
        .next_number = core->next_number,
        .summaries = core->summaries,
    };
    tell_time(b, wall_ns);
    log_batch_begin(core->log, &b->tree);
    b->last = &b->first;
    b->last_push = &b->pushes;
    return store_begin(core->store, &core->head, full ? STORE_RESERVE : STORE_ORDINARY,
                       &b->tx);
}

/* Takes the batch back in memory, as the store has. */
static void batch_undo(struct batch *b)
{
    free_chain(b->pushes);
    b->pushes = NULL;
    mail_undo(b);
    party_undo(b);
    vault_forget_groups(b->core->vault);
    log_undone(b->core->log);
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
    party_committed(b);
    receipts_promised(b);
    metrics_add(core->settings.metrics, METRIC_COMMITS, 1);
    tell_sizes(core);
    notes_committed(b, &b->pushes);
}

static enum liaison_code batch_commit(struct batch *b)
{
    struct store_head next;
    uint8_t id[16];
    enum liaison_code code = batch_close(b, &next);

    if (code != LIAISON_OK) {
        store_abort(b->tx);
        return code;
    }
    if (b->seq == b->core->head.size &&
        !b->note) { /* every change has its entry: there is none */
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

/* Sends a chain to its gates, each gate's part as one message, in order. Takes the chain. */
static void send_chain(struct core *core, struct call *chain)
{
    for (unsigned g = 0; g < core->settings.gates && chain != NULL; g++) {
        struct call *here = NULL, **last = &here, **rest = &chain;

        while (*rest != NULL) {
            if ((*rest)->session >> 56 != g) {
                rest = &(*rest)->next;
                continue;
            }
            *last = *rest;
            *rest = (*rest)->next;
            last = &(*last)->next;
        }
        *last = NULL;
        if (here != NULL && call_send(core->sockets[g], here) != LIAISON_OK)
            free_chain(here); /* that gate has ended */
    }
    free_chain(chain);
}

/* Splits off the calls that were answered; the others are done with. */
static struct call *answered(struct call *calls)
{
    struct call *chain = NULL, **last = &chain;

    while (calls != NULL) {
        struct call *next = calls->next;

        calls->next = NULL;
        if (calls->kind == CALL_ANSWER && calls->reply.p != NULL) {
            *last = calls;
            last = &calls->next;
        } else {
            free_chain(calls);
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
        handle(&b, c);
    if (!full && !core->evidence && !notes_overdue(core))
        mail_push(&b, clock_ns(CLOCK_MONOTONIC) / 1000000, more);
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
        if (c->kind == CALL_FRAME && proves(handler_of(c->frame->body_case)))
            handle_frame(&b, c);
        else if (c->kind == CALL_FRAME)
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
static enum liaison_code batch_run(struct core *core, struct arena *arena,
                                   struct call *calls, bool *more)
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
        free_chain(calls);
        return code;
    }
    count(core, calls, pushes);
    send_chain(core, answered(calls));
    send_chain(core, pushes);
    return LIAISON_OK;
}

/* Takes the erasures out of the chain. */
static struct call *take_erasures(struct call **calls)
{
    struct call *chain = NULL, **last = &chain;

    while (*calls != NULL) {
        if ((*calls)->kind != CALL_ERASE) {
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

static enum liaison_code erase_try(struct core *core, struct arena *arena, struct call *c)
{
    struct batch b;
    enum liaison_code code = batch_begin(core, arena, true, &b);

    if (code != LIAISON_OK)
        return code;
    erase_call(&b, c);
    code = batch_commit(&b);
    if (code != LIAISON_OK)
        batch_undo(&b);
    for (struct item *i = b.first; i != NULL; i = i->next)
        OPENSSL_cleanse(&i->keys, sizeof i->keys);
    map_free(b.items);
    send_chain(core, b.pushes);
    return code;
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
        arena_reset(arena);
        code = core->evidence ? LIAISON_EVIDENCE : erase_try(core, arena, c);
        code = erase_settle(core, c, code);
        c->kind = CALL_ANSWER;
        if (code != LIAISON_OK ||
            call_send(core->sockets[core->settings.gates], c) != LIAISON_OK)
            call_free(c);
    }
    free_chain(chain);
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
             now = clock_ns(CLOCK_MONOTONIC) / 1000000;

    if (more || deadline <= now)
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

/* Whoever reads entries later wants the rules that they cite. */
static void keep_rules(struct batch *b)
{
    struct slice text = rules_text(b->core->settings.rules), have,
                 id = slice(b->core->rule_set, sizeof b->core->rule_set);

    if (store_get(b->tx, T_RULES, id, &have) == LIAISON_NOT_FOUND)
        store_put(b->tx, T_RULES, id, text);
}

/* Entries of the broker's own, in a batch by themselves. */
static void note_in(struct batch *b, Liaison__V1__Event event)
{
    bool rules = event == LIAISON__V1__EVENT__EVENT_RULES;

    if (notes_begin_due(b->core))
        notes_begin(b);
    broker_entry(b, event, rules ? b->core->rule_set : NULL);
    if (rules)
        keep_rules(b);
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
    free_chain(b.pushes); /* receipts of a session that can ask for its proofs again */
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
static void scrub(struct core *core)
{
    uint64_t now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000, bad = 0;
    char why[128];

    if (core->evidence || now_ms < core->scrubbed_ms + SCRUB_EVERY_MS)
        return;
    core->scrubbed_ms = now_ms;
    enum liaison_code code = log_scrub(core->log, SCRUB_ENTRIES, &bad);

    if (code == LIAISON_OK)
        return;
    snprintf(why, sizeof why, "entry %llu cannot be read as it was hashed: %s",
             (unsigned long long)bad, err_text(code));
    core_evidence(core, why);
}

static enum liaison_code serve(struct core *core, struct arena *arena,
                               zmq_pollitem_t *items)
{
    bool more = false;
    enum liaison_code code = note(core, arena, LIAISON__V1__EVENT__EVENT_START);

    if (code == LIAISON_OK)
        code = note(core, arena, LIAISON__V1__EVENT__EVENT_RULES);
    while (code == LIAISON_OK && !core->stopping) {
        code = wait_for_calls(core, items, more);
        if (code != LIAISON_OK)
            break;
        notes_hear(core);
        scrub(core);
        tend(core);
        struct call *calls = collect(core), *erasures = take_erasures(&calls);
        size_t expired =
            delivery_expire(core->delivery, clock_ns(CLOCK_MONOTONIC) / 1000000);

        if (calls != NULL || expired > 0 || more || notes_pending(core->notes))
            code = batch_run(core, arena, calls, &more);
        if (code == LIAISON_OK)
            code = erase_run(core, arena, erasures);
        else
            free_chain(erasures);
    }
    return code == LIAISON_OK ? note(core, arena, LIAISON__V1__EVENT__EVENT_STOP) : code;
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
