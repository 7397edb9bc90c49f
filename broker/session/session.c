#include "broker/session/inside.h"

#include <stdlib.h>

#include "broker/ops/log.h"
#include "broker/session/reply.h"

enum {
    REASON_BYTES = 256,
    READS_IN_CREDIT = 8, /* reads without an answer that fill a session's credit */
};

struct session *session_new(struct gate *g, uint64_t number, int fd,
                            const uint8_t address[16])
{
    struct session *s = calloc(1, sizeof *s);

    if (s == NULL || link_new(g->set.context, fd, g->set.message_bytes,
                              g->set.key_records, &s->link) != LIAISON_OK) {
        free(s);
        return NULL;
    }
    s->gate = g;
    s->number = number;
    memcpy(s->address, address, sizeof s->address);
    s->heard_ms = s->talk_ms = g->now_ms;
    s->phase_ends_ms = g->now_ms + g->set.tls_ms;
    timers_set(g->timers, &s->timer, s->phase_ends_ms);
    return s;
}

void session_free(struct session *s)
{
    if (s == NULL)
        return;
    link_free(s->link);
    free(s->barred_why);
    free(s);
}

/* ---- what the core is told */

/* A call about this session that carries who the peer is. NULL when memory is out: the gate then cannot serve it. */
static struct call *about(struct session *s, enum call_kind kind, enum liaison_code code)
{
    struct call *c = call_new(kind, s->number);

    if (c == NULL)
        return NULL;
    c->code = code;
    c->peer = arena_alloc(c->arena, sizeof *c->peer);
    if (c->peer == NULL) {
        call_free(c);
        return NULL;
    }
    *c->peer = *s->peer;
    return c;
}

static void tell_closed(struct session *s)
{
    if (s->opened)
        gate_tell(s->gate, call_new(CALL_CLOSED, s->number));
    s->opened = false;
}

/* A named peer fails before it was welcomed: that is an entry too. That we stop is no fault of its own. */
static void tell_refused(struct session *s, enum liaison_code code)
{
    if (s->peer != NULL && !s->opened && code != LIAISON_CLOSED)
        gate_tell(s->gate, about(s, CALL_REFUSED, code));
}

/* ---- actions of the table */

static void set_phase(struct session *s, int64_t ms)
{
    s->phase_ends_ms = s->gate->now_ms + ms;
    timers_set(s->gate->timers, &s->timer, s->phase_ends_ms);
}

static void queue_reply(struct session *s, struct slice reply)
{
    if (reply.p == NULL || !link_send(s->link, reply)) {
        session_fire(s, EVENT_LOST, (struct session_cause){.code = LIAISON_MEMORY});
        return;
    }
    gate_list(s, LIST_DIRTY);
}

/* Answers without the core: an Error under the call's id, or under 0. */
static void queue_error(struct session *s, uint64_t id, const struct session_cause *cause)
{
    struct arena *a = arena_new();

    queue_reply(s,
                a == NULL ? slice(NULL, 0) : reply_error(a, id, cause->code, cause->why));
    arena_free(a);
}

static void do_nothing(struct session *s, struct session_cause *cause)
{
    (void)s;
    call_free(cause->call);
}

static void do_admit(struct session *s, struct session_cause *cause)
{
    (void)cause;
    set_phase(s, s->gate->set.zmtp_ms);
    gate_list(s, LIST_DIRTY); /* our greeting */
}

static void do_bar(struct session *s, struct session_cause *cause)
{
    char why[REASON_BYTES];

    s->barred = cause->code;
    s->barred_why = cause->why[0] == '\0' ? NULL : strdup(cause->why);
    log_info("session.barred", "peer=%s code=%d why=%s", s->peer->name, (int)cause->code,
             log_text(cause->why, why, sizeof why));
    tell_refused(s, cause->code);
    do_admit(s, cause);
}

static void do_await_hello(struct session *s, struct session_cause *cause)
{
    (void)cause;
    set_phase(s, s->gate->set.hello_ms);
    gate_list(s, LIST_DIRTY); /* our READY */
}

static void do_say_barred(struct session *s, struct session_cause *cause)
{
    (void)cause;
    set_phase(s, s->gate->set.linger_ms);
    queue_error(s, 0, &(struct session_cause){.code = s->barred, .why = s->barred_why});
}

/* A call before Hello: a stock DEALER reconnects without telling its program, so the session lives. */
static void do_ask_hello(struct session *s, struct session_cause *cause)
{
    s->early++;
    queue_error(s, cause->call->frame->id,
                &(struct session_cause){.code = LIAISON_HELLO_REQUIRED});
    call_free(cause->call);
}

static void do_other_version(struct session *s, struct session_cause *cause)
{
    s->early++;
    queue_error(s, cause->call->frame->id,
                &(struct session_cause){.code = LIAISON_VERSION});
    call_free(cause->call);
}

/* Hands one of the peer's calls to the core, and counts it until its answer is back. */
static void pass_on(struct session *s, struct call *c)
{
    s->unanswered++;
    s->unanswered_bytes += c->frame_bytes;
    s->gate->unanswered++;
    s->gate->held_bytes += c->frame_bytes;
    gate_tell(s->gate, c);
}

/* The core logs the session, then gives our own Welcome back. */
static void do_open(struct session *s, struct session_cause *cause)
{
    struct gate *g = s->gate;
    struct call *c = cause->call;
    struct reply_welcome w = {
        .network = g->network,
        .broker = g->broker,
        .message_bytes = g->set.message_bytes,
        .window = g->set.window,
        .sections = g->set.sections,
        .page = g->set.page,
        .burst = g->set.burst,
        .now_unix_ms = g->now_unix_ms,
        .not_after_unix = s->peer->not_after_unix,
    };

    rules_set_id(judge_rules(g->judge), w.rule_set);
    c->kind = CALL_OPENED;
    c->peer = arena_alloc(c->arena, sizeof *c->peer);
    c->welcome = reply_welcome(c->arena, &w);
    if (c->peer == NULL || c->welcome == NULL) {
        call_free(c);
        session_fire(s, EVENT_LOST, (struct session_cause){.code = LIAISON_MEMORY});
        return;
    }
    *c->peer = *s->peer;
    s->opened = true;
    log_info("session.opened", "peer=%s session=%llu", s->peer->name,
             (unsigned long long)s->number);
    pass_on(s, c);
}

/* What a call may cost beyond its own bytes while it is unanswered: a read's answer is far longer than the read, and a peer that
 * does not take answers would have `window` of them lie here. */
static size_t answer_charge(const struct session *s, const Liaison__V1__Frame *f)
{
    switch ((int)f->body_case) {
    case LIAISON__V1__FRAME__BODY_LIST:
    case LIAISON__V1__FRAME__BODY_HISTORY:
    case LIAISON__V1__FRAME__BODY_DIRECTORY:
    case LIAISON__V1__FRAME__BODY_OPEN:
    case LIAISON__V1__FRAME__BODY_ENTRIES:
    case LIAISON__V1__FRAME__BODY_PROVE:
    case LIAISON__V1__FRAME__BODY_HASHES:
    case LIAISON__V1__FRAME__BODY_RULE_TEXT:
        return s->gate->set.credit_bytes / READS_IN_CREDIT;
    default:
        return 0;
    }
}

static void do_call(struct session *s, struct session_cause *cause)
{
    s->gate->called_ms = s->gate->now_ms;
    cause->call->frame_bytes += answer_charge(s, cause->call->frame);
    judge_call(s->gate->judge, cause->call, s->peer, s->gate->now_unix_ms);
    pass_on(s, cause->call);
}

static void do_answer(struct session *s, struct session_cause *cause)
{
    queue_reply(s, cause->call->reply);
    call_free(cause->call);
}

/* The core has logged the session: from here on silence counts, and so does the certificate's end. */
static void do_welcome(struct session *s, struct session_cause *cause)
{
    int64_t quiet_ms = s->gate->now_ms + s->gate->set.ping_ms;

    s->heard_ms = s->gate->now_ms;
    timers_set(s->gate->timers, &s->timer, quiet_ms < s->ends_ms ? quiet_ms : s->ends_ms);
    do_answer(s, cause);
}

/* Before READY there is no frame to answer with: ZMTP has its own last word. */
static void do_refuse(struct session *s, struct session_cause *cause)
{
    tell_refused(s, cause->code);
    log_info("session.refused", "peer=%s code=%d", s->peer->name, (int)cause->code);
    if (link_error(s->link, cause->why != NULL ? cause->why : "refused"))
        gate_list(s, LIST_DIRTY);
    set_phase(s, s->gate->set.linger_ms);
}

static void do_error(struct session *s, struct session_cause *cause)
{
    char why[REASON_BYTES];

    tell_refused(s, cause->code);
    log_info("session.ended", "peer=%s session=%llu code=%d why=%s", s->peer->name,
             (unsigned long long)s->number, (int)cause->code,
             log_text(cause->why != NULL ? cause->why : "", why, sizeof why));
    call_free(cause->call);
    set_phase(s, s->gate->set.linger_ms);
    queue_error(s, 0, cause);
    tell_closed(s);
}

/* A named peer that is thrown out for what it sent is an entry, before it was welcomed (do_error) and after. */
static void do_breach(struct session *s, struct session_cause *cause)
{
    if (s->opened)
        gate_tell(s->gate, about(s, CALL_CUT, cause->code));
    do_error(s, cause);
}

static void do_finish(struct session *s, struct session_cause *cause)
{
    (void)cause;
    stream_finish(link_stream(s->link));
    set_phase(s, s->gate->set.linger_ms);
    gate_list(s, LIST_RUN);
}

static void do_stranger(struct session *s, struct session_cause *cause)
{
    gate_stranger(s->gate, cause->code);
}

/* The alert that says why has left already; what the peer has sent since is read off, lest RST overtake it. */
static void do_fail(struct session *s, struct session_cause *cause)
{
    do_stranger(s, cause);
    do_finish(s, cause);
}

/* A named peer that was too slow before it was welcomed. */
static void do_give_up(struct session *s, struct session_cause *cause)
{
    tell_refused(s, cause->code);
    log_info("session.timeout", "peer=%s", s->peer->name);
}

static void do_leave(struct session *s, struct session_cause *cause)
{
    call_free(cause->call);
    if (s->opened)
        log_info("session.closed", "peer=%s session=%llu", s->peer->name,
                 (unsigned long long)s->number);
    tell_closed(s);
}

/* ---- the table: an empty cell is a breach of protocol by whoever caused the event */

typedef void action(struct session *s, struct session_cause *cause);

static const struct edge {
    action *act;
    enum session_state next;
} EDGE[SESSION__COUNT][SESSION_EVENT__COUNT] = {
    [SESSION_TLS] =
        {
            [EVENT_ADMIT] = {do_admit, SESSION_ZMTP},
            [EVENT_BAR] = {do_bar, SESSION_BARRED},
            [EVENT_BREACH] = {do_fail, SESSION_LINGER},
            [EVENT_CUT] = {do_nothing, SESSION_OVER},
            [EVENT_TIMEOUT] = {do_stranger, SESSION_OVER},
            [EVENT_LOST] = {do_stranger, SESSION_OVER},
        },
    [SESSION_ZMTP] =
        {
            [EVENT_UP] = {do_await_hello, SESSION_HELLO},
            [EVENT_BREACH] = {do_refuse, SESSION_CLOSING},
            [EVENT_CUT] = {do_refuse, SESSION_CLOSING},
            [EVENT_TIMEOUT] = {do_give_up, SESSION_OVER},
            [EVENT_LOST] = {do_leave, SESSION_OVER},
            [EVENT_DRAINED] = {do_nothing, SESSION_ZMTP},
        },
    [SESSION_BARRED] =
        {
            [EVENT_UP] = {do_say_barred, SESSION_CLOSING},
            [EVENT_BREACH] = {do_nothing, SESSION_OVER},
            [EVENT_CUT] = {do_nothing, SESSION_OVER},
            [EVENT_TIMEOUT] = {do_nothing, SESSION_OVER},
            [EVENT_LOST] = {do_nothing, SESSION_OVER},
            [EVENT_DRAINED] = {do_nothing, SESSION_BARRED},
        },
    [SESSION_HELLO] =
        {
            [EVENT_HELLO] = {do_open, SESSION_WELCOME},
            [EVENT_OTHER] = {do_other_version, SESSION_HELLO},
            [EVENT_CALL] = {do_ask_hello, SESSION_HELLO},
            [EVENT_BREACH] = {do_breach, SESSION_CLOSING},
            [EVENT_CUT] = {do_error, SESSION_CLOSING},
            [EVENT_TIMEOUT] = {do_error, SESSION_CLOSING},
            [EVENT_LOST] = {do_leave, SESSION_OVER},
            [EVENT_DRAINED] = {do_nothing, SESSION_HELLO},
        },
    [SESSION_WELCOME] =
        {
            [EVENT_ANSWER] = {do_welcome, SESSION_READY},
            [EVENT_BREACH] = {do_breach, SESSION_CLOSING},
            [EVENT_CUT] = {do_error, SESSION_CLOSING},
            [EVENT_TIMEOUT] = {do_error, SESSION_CLOSING},
            [EVENT_LOST] = {do_leave, SESSION_OVER},
            [EVENT_DRAINED] = {do_nothing, SESSION_WELCOME},
        },
    [SESSION_READY] =
        {
            [EVENT_CALL] = {do_call, SESSION_READY},
            [EVENT_ANSWER] = {do_answer, SESSION_READY},
            [EVENT_PUSH] = {do_answer, SESSION_READY},
            [EVENT_BREACH] = {do_breach, SESSION_CLOSING},
            [EVENT_CUT] = {do_error, SESSION_CLOSING},
            [EVENT_TIMEOUT] = {do_leave, SESSION_OVER},
            [EVENT_LOST] = {do_leave, SESSION_OVER},
            [EVENT_DRAINED] = {do_nothing, SESSION_READY},
        },
    [SESSION_CLOSING] =
        {
            [EVENT_ANSWER] = {do_nothing, SESSION_CLOSING},
            [EVENT_PUSH] = {do_nothing, SESSION_CLOSING},
            [EVENT_BREACH] = {do_nothing, SESSION_CLOSING},
            [EVENT_CUT] = {do_nothing, SESSION_CLOSING},
            [EVENT_TIMEOUT] = {do_leave, SESSION_OVER},
            [EVENT_LOST] = {do_leave, SESSION_OVER},
            [EVENT_DRAINED] = {do_finish, SESSION_LINGER},
        },
    [SESSION_LINGER] =
        {
            [EVENT_ANSWER] = {do_nothing, SESSION_LINGER},
            [EVENT_PUSH] = {do_nothing, SESSION_LINGER},
            [EVENT_CUT] = {do_nothing, SESSION_LINGER},
            [EVENT_TIMEOUT] = {do_leave, SESSION_OVER},
            [EVENT_LOST] = {do_leave, SESSION_OVER},
        },
};

bool session_allows(enum session_state state, enum session_event event)
{
    return EDGE[state][event].act != NULL;
}

/* The one place where a state changes. The state is the next one before the action runs, so that an action may fire on. */
void session_fire(struct session *s, enum session_event event, struct session_cause cause)
{
    const struct edge *e = &EDGE[s->state][event];
    bool was_shaking = s->state == SESSION_TLS;

    if (e->act == NULL && s->state != SESSION_OVER) {
        e = &EDGE[s->state][EVENT_BREACH];
        cause.code = LIAISON_PROTOCOL;
        cause.why = "not at this point of the conversation";
    }
    if (e->act == NULL) { /* over: nothing matters any more */
        call_free(cause.call);
        return;
    }
    s->state = e->next;
    if (was_shaking && s->state != SESSION_TLS) {
        s->gate->shaking--;
        gate_unlist(s, LIST_SHAKING);
    }
    e->act(s, &cause);
    if (s->state == SESSION_OVER)
        gate_bury(s);
}

void session_end(struct session *s, enum call_kind kind, enum liaison_code code,
                 const char *why)
{
    if (kind == CALL_CUT && s->opened)
        gate_tell(s->gate, about(s, CALL_CUT, code));
    session_fire(s, EVENT_CUT, (struct session_cause){.code = code, .why = why});
}
