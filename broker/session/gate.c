#include "broker/session/inside.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/ops/log.h"
#include "broker/session/desk.h"
#include "broker/session/door.h"

enum {
    EVENTS_PER_TURN = 256,
    SESSIONS_PER_TURN = 64, /* read before answers are looked at again */
    TURN_US = 8000,         /* the same in time, as all of it may have become dear */
    CHECK_US = 4000,        /* of a turn in which live sessions are checked again */
    SESSIONS_MAX = 65536,   /* a slot is 16 bits of a session's number */
    PAIR_MESSAGES = 1024,   /* chains on their way to the core */
    BUSY_MS = 50,           /* after a call, handshakes keep to their share for so long */
    SHAKE_DEBT_US =
        2000, /* beyond it handshakes wait: two of them at once are let pass */
    RETRY_MS =
        20, /* for a chain that the pipe had no room for, should no event say that it has */
};

/* What epoll says has happened: listeners are 1..n, sessions their number, which is greater than that and never reaches these. */
#define TAG_PAIR UINT64_MAX
#define TAG_BELL (UINT64_MAX - 1)

void gate_defaults(struct gate_settings *s)
{
    s->message_bytes = 1 << 20;
    s->sections = 32;
    s->window = 64;
    s->page = 100;
    s->burst = 1024;
    s->credit_bytes = 1 << 20;
    s->held_bytes = 256 << 20;
    s->sessions = 4096;
    s->per_agency = 256;
    s->per_address = 1024;
    s->handshakes = 512;
    s->handshakes_per_turn = 4;
    s->turn_bytes = 64 << 10;
    s->turn_us = 1000;
    s->shake_share = 8;
    s->idle_talk = 3000;
    s->idle_talk_ms = 60000;
    s->key_records = STREAM_KEY_RECORDS;
    s->tls_ms = 5000;
    s->quiet_ms = 500;
    s->zmtp_ms = 2000;
    s->hello_ms = 2000;
    s->ping_ms = 20000;
    s->idle_ms = 60000;
    s->linger_ms = 1000;
    s->stop_ms = 5000;
    s->strangers_ms = 60000;
    s->metrics = NULL;
    s->time = NULL;
}

/* ---- one turn */

int64_t gate_clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint64_t wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Reads the clocks, and lets the handshakes pay back what they took beyond their share. */
static void read_clocks(struct gate *g)
{
    int64_t now_us = gate_clock_us(), paid = (now_us - g->paid_us) / g->set.shake_share;

    if (paid > 0) {
        g->shake_debt_us -= paid < g->shake_debt_us ? paid : g->shake_debt_us;
        g->paid_us = now_us;
    }
    g->now_ms = now_us / 1000;
    g->now_unix_ms = g->set.time != NULL ? call_time_ms(g->set.time) : wall_ms();
}

/* One call of the core. Takes it. */
static void take(struct gate *g, struct call *c)
{
    struct session *s;

    if (c->kind == CALL_ENDED) {
        g->over = true;
        call_free(c);
        return;
    }
    s = door_find(g, c->session);
    if (s == NULL || s->state == SESSION_OVER)
        call_free(c); /* it has left */
    else
        session_take(s, c);
}

/* Takes all that the core has sent. ZMQ's descriptor tells only of changes, so it must be emptied before every wait.
 * True if there was anything. */
static bool take_all(struct gate *g)
{
    struct call *c, *next;
    bool any = false;

    while ((c = call_recv(g->pair)) != NULL) {
        any = true;
        for (; c != NULL; c = next) {
            next = c->next;
            c->next = NULL;
            take(g, c);
        }
    }
    return any;
}

/* True if a handshake may cost time now: always while no calls come, else within their share. */
bool gate_may_shake(const struct gate *g)
{
    return g->shake_debt_us <= SHAKE_DEBT_US || g->called_ms + BUSY_MS < g->now_ms;
}

/* When handshakes that wait for their share may go on. */
static int64_t shake_at_ms(const struct gate *g)
{
    int64_t over = g->shake_debt_us - SHAKE_DEBT_US, idle = g->called_ms + BUSY_MS + 1,
            paid = g->now_ms + 1 + over * g->set.shake_share / 1000;

    return paid < idle ? paid : idle;
}

/* Handshakes that waited for their share go on. */
static void run_shaking(struct gate *g)
{
    for (struct session *s; gate_may_shake(g) && (s = desk_first(g, LIST_SHAKE)) != NULL;)
        gate_list(s, LIST_RUN);
}

static void run_session(struct gate *g, struct session *s)
{
    if (s->state != SESSION_TLS)
        session_turn(s);
    else if (!gate_may_shake(g))
        gate_list(s, LIST_SHAKE);
    else if (g->shaken >= g->set.handshakes_per_turn)
        gate_list(s, LIST_RUN);
    else
        session_turn(s);
}

/* Gives each session that has something to do its turn; handshakes, which are dear, only a few. */
static void run_sessions(struct gate *g)
{
    struct session *last = g->lists[LIST_RUN].last, *s = NULL;
    const int64_t until = gate_clock_us() + TURN_US;

    g->shaken = 0;
    for (int i = 0; i < SESSIONS_PER_TURN && s != last && gate_clock_us() < until; i++) {
        s = desk_first(g, LIST_RUN);
        if (s == NULL)
            break;
        run_session(g, s);
    }
}

/* The core has room again: those that waited for it go on. */
static void run_stalled(struct gate *g)
{
    for (struct session *s;
         !gate_stalled(g) && (s = desk_first(g, LIST_STALLED)) != NULL;)
        gate_list(s, LIST_RUN);
}

static void flush_sessions(struct gate *g)
{
    for (struct session *s; (s = desk_first(g, LIST_DIRTY)) != NULL;)
        session_flush(s);
}

/* From the first session on, with nothing known of any. */
static void check_all(struct gate *g)
{
    g->check_next = 0;
    memset(g->sound, 0, sizeof g->sound);
}

static void tell_checked(struct gate *g)
{
    struct call *c = call_new(CALL_CHECKED, (uint64_t)g->set.number << 56);

    g->renewed = false;
    if (c != NULL)
        c->count = g->cut;
    gate_tell(g, c);
}

/* Live sessions under other rules and trust, a few at a turn; from a new day on, on which a name may be merged into another, all
 * again. */
static void check_again(struct gate *g)
{
    int32_t today = rules_day(g->now_unix_ms / 1000);

    if (g->day != today) {
        g->day = today;
        check_all(g);
    }
    if (g->check_next == g->set.sessions)
        return;
    for (int64_t until = gate_clock_us() + CHECK_US;
         g->check_next < g->set.sessions && gate_clock_us() < until;) {
        struct session *s = g->slots[g->check_next++];

        g->cut += s != NULL && session_check_again(s);
    }
    if (g->check_next == g->set.sessions && g->renewed)
        tell_checked(g);
}

/* Wakes sessions whose time has come. */
static void run_timers(struct gate *g)
{
    for (struct timer *t;
         (t = timers_first(g->timers)) != NULL && t->at_ms <= g->now_ms;) {
        timers_set(g->timers, t,
                   INT64_MAX); /* so that this loop ends whatever the session does */
        session_wake((struct session *)t);
    }
}

/* ---- trust and stopping */

/* At once and all together, between two turns. */
static void take_parcel(struct gate *g)
{
    struct parcel p;

    pthread_mutex_lock(&g->mail);
    p = g->parcel;
    g->parcel.full = false;
    pthread_mutex_unlock(&g->mail);
    if (!p.full)
        return;
    SSL_CTX_free(g->set.context);
    tls_trust_free(g->set.trust);
    g->set = p.set;
    judge_renew(g->judge, p.set.rules, p.set.trust, p.set.sections);
    rules_free(p.set.rules); /* the judge has its own */
    tally_limit(g->agencies, p.set.per_agency);
    tally_limit(g->addresses, p.set.per_address);
    g->renewed = true;
    g->cut = 0;
    check_all(g);
}

static void answer_bell(struct gate *g)
{
    uint64_t rings;

    if (read(g->bell, &rings, sizeof rings) < 0)
        return; /* nobody rang */
    take_parcel(g);
    if (atomic_load(&g->stop_asked) && !g->stopping) {
        g->stopping = true;
        g->stop_ends_ms = g->now_ms + g->set.stop_ms;
    }
}

/* Every session is told that we close, as far as it can still be told. */
static void close_sessions(struct gate *g)
{
    for (size_t i = 0; i < g->set.sessions; i++)
        if (g->slots[i] != NULL)
            session_end(g->slots[i], CALL_CLOSED, LIAISON_CLOSED, "the broker stops");
    flush_sessions(g);
    desk_free_the_dead(g);
}

/* True once nothing keeps the gate: the core has ended, or all calls are answered, or it took too long. */
static bool finished(const struct gate *g)
{
    if (g->over)
        return true;
    return g->stopping &&
           ((g->unanswered == 0 && g->chain == NULL) || g->stop_ends_ms <= g->now_ms);
}

/* ---- the loop */

/* A session's socket has changed. That a fresh one can be written is no news. */
static void stir(struct session *s, uint32_t events)
{
    const SSL *ssl = stream_ssl(link_stream(s->link));

    if ((events & ~(uint32_t)EPOLLOUT) != 0 || SSL_want_write(ssl)) {
        link_wake(s->link);
        gate_list(s, LIST_RUN);
    }
    if (events & (EPOLLHUP | EPOLLERR))
        session_gone(s);
    if (link_queued(s->link) > 0)
        gate_list(s, LIST_DIRTY);
}

static void dispatch(struct gate *g, const struct epoll_event *e)
{
    struct session *s;

    if (e->data.u64 == TAG_PAIR)
        return; /* looked at before every wait */
    if (e->data.u64 == TAG_BELL) {
        answer_bell(g);
        return;
    }
    if (e->data.u64 <= g->set.n_listeners) {
        door_accept(g, g->set.listeners[e->data.u64 - 1]);
        return;
    }
    s = door_find(g, e->data.u64);
    if (s != NULL)
        stir(s, e->events);
}

static int wait_ms(const struct gate *g, int64_t until)
{
    if (g->lists[LIST_RUN].first != NULL || g->check_next < g->set.sessions ||
        until <= g->now_ms)
        return 0;
    if (g->chain != NULL && g->now_ms + RETRY_MS < until)
        until = g->now_ms + RETRY_MS;
    if (g->stopping && g->stop_ends_ms < until)
        until = g->stop_ends_ms;
    if (g->accept_at_ms > g->now_ms && g->accept_at_ms < until)
        until = g->accept_at_ms;
    if (!gate_may_shake(g) && shake_at_ms(g) < until)
        until = shake_at_ms(g);
    if (door_wakes_ms(g) < until)
        until = door_wakes_ms(g);
    if (until <= g->now_ms)
        return 0;
    return until - g->now_ms > 60000 ? 60000 : (int)(until - g->now_ms);
}

/* Does what there is to do. Returns when to look again at the latest: asked last, since all of it may set timers. */
static int64_t turn(struct gate *g)
{
    int64_t strangers;
    const struct timer *first;

    take_all(g);
    run_stalled(g);
    run_shaking(g);
    run_sessions(g);
    check_again(g);
    run_timers(g);
    strangers = desk_strangers(g, false);
    flush_sessions(g);
    desk_send(g);
    door_mind(g);
    desk_free_the_dead(g);
    if (take_all(g)) /* what came meanwhile; and ZMQ's descriptor is quiet now */
        return g->now_ms;
    first = timers_first(g->timers);
    return first != NULL && first->at_ms < strangers ? first->at_ms : strangers;
}

static void wait_and_dispatch(struct gate *g, int ms)
{
    struct epoll_event events[EVENTS_PER_TURN];

    metrics_idle(g->set.metrics, g->set.number + 1);
    int n = epoll_wait(g->epoll, events, EVENTS_PER_TURN, ms);

    metrics_busy(g->set.metrics, g->set.number + 1);
    read_clocks(g);
    for (int i = 0; i < n; i++)
        dispatch(g, &events[i]);
}

void gate_run(struct gate *g)
{
    read_clocks(g);
    while (!finished(g)) {
        int64_t until = turn(g);
        if (finished(g))
            break;
        wait_and_dispatch(g, wait_ms(g, until));
    }
    flush_sessions(g);
    desk_strangers(g, true);
    close_sessions(g);
    desk_send(g);
    if (g->listening) {
        g->stopping = true;
        door_mind(g);
    }
    metrics_idle(g->set.metrics, g->set.number + 1);
    log_info("gate.ended", "gate=%u", g->set.number);
}

/* ---- from other threads */

/* Only write(2): signal handlers may. */
static void ring(const struct gate *g)
{
    uint64_t one = 1;

    if (write(g->bell, &one, sizeof one) < 0)
        return; /* it is ringing already */
}

void gate_stop(struct gate *g)
{
    atomic_store(&g->stop_asked, true);
    ring(g);
}

static void drop_parcel(struct parcel *p)
{
    if (!p->full)
        return;
    SSL_CTX_free(p->set.context);
    tls_trust_free(p->set.trust);
    rules_free(p->set.rules);
}

void gate_reload(struct gate *g, const struct gate_settings *fresh)
{
    struct parcel older, p = {.full = true, .set = *fresh};

    SSL_CTX_up_ref(p.set.context);
    tls_trust_share(p.set.trust);
    rules_share(p.set.rules);
    pthread_mutex_lock(&g->mail);
    older = g->parcel;
    g->parcel = p;
    pthread_mutex_unlock(&g->mail);
    drop_parcel(&older);
    ring(g);
}

unsigned gate_sessions(const struct gate *g)
{
    return atomic_load(&g->live);
}

/* ---- making and releasing */

static bool make_tables(struct gate *g)
{
    unsigned n = g->set.sessions;

    g->timers = timers_new(n);
    g->agencies = tally_new(g->set.per_agency);
    g->addresses = tally_new(g->set.per_address);
    g->slots = calloc(n, sizeof *g->slots);
    g->free_slots = calloc(n, sizeof *g->free_slots);
    if (g->timers == NULL || g->agencies == NULL || g->addresses == NULL ||
        g->slots == NULL || g->free_slots == NULL)
        return false;
    for (unsigned i = 0; i < n; i++)
        g->free_slots[i] = (uint16_t)(n - 1 - i);
    g->n_free = n;
    return true;
}

/* No limit on what the core may send us: it must never wait for a gate. What it sends is bounded by windows and grants. */
static enum liaison_code connect_pair(struct gate *g)
{
    int ours = 0, theirs = PAIR_MESSAGES, linger = 0;
    char address[32];

    g->pair = zmq_socket(g->set.zmq_context, ZMQ_PAIR);
    if (g->pair == NULL || zmq_setsockopt(g->pair, ZMQ_RCVHWM, &ours, sizeof ours) != 0 ||
        zmq_setsockopt(g->pair, ZMQ_SNDHWM, &theirs, sizeof theirs) != 0 ||
        zmq_setsockopt(g->pair, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_connect(g->pair, call_address(g->set.number, address)) != 0)
        return LIAISON_INTERNAL;
    return LIAISON_OK;
}

static bool watch(struct gate *g, int fd, uint64_t tag)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = tag};

    return epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static enum liaison_code make_poll(struct gate *g)
{
    int fd = -1;
    size_t len = sizeof fd;

    g->epoll = epoll_create1(EPOLL_CLOEXEC);
    g->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (g->epoll < 0 || g->bell < 0 || !watch(g, g->bell, TAG_BELL))
        return LIAISON_FILE;
    if (zmq_getsockopt(g->pair, ZMQ_FD, &fd, &len) != 0 || !watch(g, fd, TAG_PAIR))
        return LIAISON_INTERNAL;
    return LIAISON_OK;
}

static enum liaison_code fill_in(struct gate *g)
{
    const struct gate_settings *s = &g->set;
    enum liaison_code code;

    if (s->sessions == 0 || s->sessions > SESSIONS_MAX || g->network == NULL ||
        g->broker == NULL || !make_tables(g))
        return LIAISON_MEMORY;
    code = judge_new(s->network, s->rules, s->trust, s->sections, &g->judge);
    if (code == LIAISON_OK)
        code = connect_pair(g);
    return code == LIAISON_OK ? make_poll(g) : code;
}

enum liaison_code gate_new(const struct gate_settings *settings, struct gate **out)
{
    struct gate *g = calloc(1, sizeof *g);
    enum liaison_code code;

    if (g == NULL)
        return LIAISON_MEMORY;
    g->set = *settings;
    g->epoll = g->bell = -1;
    g->chain_end = &g->chain;
    g->check_next = g->set.sessions;
    pthread_mutex_init(&g->mail, NULL);
    SSL_CTX_up_ref(g->set.context);
    tls_trust_share(g->set.trust);
    g->network = strdup(settings->network);
    g->broker = strdup(settings->broker);
    code = fill_in(g);
    if (code != LIAISON_OK) {
        gate_free(g);
        return code;
    }
    *out = g;
    return LIAISON_OK;
}

static void free_sessions(struct gate *g)
{
    if (g->slots == NULL)
        return;
    for (size_t i = 0; i < g->set.sessions; i++)
        session_free(g->slots[i]);
}

static void free_chain(struct call *c)
{
    for (struct call *next; c != NULL; c = next) {
        next = c->next;
        call_free(c);
    }
}

void gate_free(struct gate *g)
{
    if (g == NULL)
        return;
    free_sessions(g);
    free_chain(g->chain);
    if (g->pair != NULL) {
        for (struct call *c; (c = call_recv(g->pair)) != NULL;)
            free_chain(c);
        zmq_close(g->pair);
    }
    if (g->epoll >= 0)
        close(g->epoll);
    if (g->bell >= 0)
        close(g->bell);
    drop_parcel(&g->parcel);
    judge_free(g->judge);
    buffer_release(&g->spare);
    timers_free(g->timers);
    tally_free(g->agencies);
    tally_free(g->addresses);
    free(g->slots);
    free(g->free_slots);
    SSL_CTX_free(g->set.context);
    tls_trust_free(g->set.trust);
    free(g->network);
    free(g->broker);
    pthread_mutex_destroy(&g->mail);
    free(g);
}
