/* What a session hears: who the peer is, then its messages. */
#include "broker/ops/log.h"
#include "broker/rules/admit.h"
#include "broker/session/inside.h"
#include "broker/session/reply.h"
#include "proto/valid.h"

enum { REASON_BYTES = 3 * ID_NAME_MAX };

/* ---- TLS and who it is */

/* Under trust and rules as they are at this moment. */
static enum liaison_code check_peer(const struct session *s, bool chain, char *why,
                                    size_t why_len)
{
    const struct gate *g = s->gate;
    uint64_t now_unix = g->now_unix_ms / 1000;
    enum liaison_code code =
        chain ? tls_check_again(stream_ssl(link_stream(s->link)), g->set.trust,
                                (int64_t)now_unix, why, why_len)
              : LIAISON_OK;

    return code != LIAISON_OK ? code
                              : rules_admit(judge_rules(g->judge), s->peer,
                                            rules_day(now_unix), why, why_len);
}

/* Counts the session under its agency. False if there are too many; it is not counted then. */
static bool counted(struct session *s)
{
    static const char MARK[] = {[TLS_AGENCY] = 'a',
                                [TLS_AUDITOR] = 'u',
                                [TLS_BROKER] = 'b',
                                [TLS_APPROVER] = 'p'};

    s->agency[0] = MARK[s->peer->role];
    strcpy(s->agency + 1, s->peer->name); /* both are bounded by ID_NAME_MAX */
    if (tally_add(s->gate->agencies, slice_text(s->agency)))
        return true;
    s->agency[0] = 0;
    return false;
}

/* The certificate was checked in the handshake; if trust was renewed meanwhile it is checked under that too. */
static enum liaison_code admission(struct session *s, char *why, size_t why_len)
{
    bool renewed =
        SSL_get_SSL_CTX(stream_ssl(link_stream(s->link))) != s->gate->set.context;
    enum liaison_code code = check_peer(s, renewed, why, why_len);

    if (code != LIAISON_OK || counted(s))
        return code;
    snprintf(why, why_len, "the agency has too many sessions");
    return LIAISON_BUSY;
}

static void identify(struct session *s)
{
    enum liaison_code code;
    char why[REASON_BYTES] = "";

    s->peer = tls_peer(stream_ssl(link_stream(s->link)));
    if (s->peer ==
        NULL) { /* the context does not ask for certificates: our own mistake, and nobody comes in by it */
        session_fire(s, EVENT_BREACH,
                     (struct session_cause){.code = LIAISON_CERTIFICATE});
        return;
    }
    s->ends_ms =
        s->gate->now_ms + s->peer->not_after_unix * 1000 - (int64_t)s->gate->now_unix_ms;
    code = admission(s, why, sizeof why);
    session_fire(s, code == LIAISON_OK ? EVENT_ADMIT : EVENT_BAR,
                 (struct session_cause){.code = code, .why = why});
    gate_list(s, LIST_RUN); /* its greeting may have come with the end of the handshake */
}

static enum stream_result timed_handshake(struct session *s)
{
    int64_t since_us = gate_clock_us();
    enum stream_result r = link_handshake(s->link);

    s->gate->shake_debt_us += gate_clock_us() - since_us;
    return r;
}

static void shake(struct session *s)
{
    char why[REASON_BYTES] = "";
    enum liaison_code code;

    s->gate->shaken++;
    switch (timed_handshake(s)) {
    case STREAM_DONE:
        identify(s);
        break;
    case STREAM_AGAIN:
        s->heard_ms = s->gate->now_ms;
        gate_unlist(s, LIST_SHAKING);
        gate_list(s, LIST_SHAKING); /* behind those that are quiet for longer */
        break;
    case STREAM_ENDED:
        session_fire(s, EVENT_LOST, (struct session_cause){.code = LIAISON_CLOSED});
        break;
    case STREAM_FAILED:
        code = tls_refusal(stream_ssl(link_stream(s->link)), why, sizeof why);
        log_debug("session.tls", "code=%d why=\"%s\"", (int)code, why);
        session_fire(s, EVENT_BREACH, (struct session_cause){.code = code});
        break;
    }
}

/* ---- messages */

static bool speaks_our_version(const Liaison__V1__Hello *h)
{
    for (size_t i = 0; i < h->n_versions; i++)
        if (h->versions[i] == REPLY_VERSION)
            return true;
    return false;
}

static void breach(struct session *s, struct call *c, enum liaison_code code,
                   const char *why)
{
    call_free(c);
    session_fire(s, EVENT_BREACH, (struct session_cause){.code = code, .why = why});
}

/* A decoded frame becomes an event. */
static void hear_frame(struct session *s, struct call *c)
{
    const Liaison__V1__Frame *frame = c->frame;
    enum session_event event = EVENT_CALL;

    if (frame->id <= s->last_id || frame->id > INT64_MAX) {
        breach(s, c, LIAISON_PROTOCOL, "ids must rise, from 1");
        return;
    }
    s->last_id = frame->id;
    c->frame_id = frame->id;
    switch (judge_sender(frame)) {
    case JUDGE_NOBODY:
        breach(s, c, LIAISON_PROTOCOL, "a frame that peers do not send");
        return;
    case JUDGE_HELLO:
        event = speaks_our_version(frame->hello) ? EVENT_HELLO : EVENT_OTHER;
        break;
    case JUDGE_CALLER:
        break;
    }
    session_fire(s, event, (struct session_cause){.call = c});
}

static void hear_message(struct session *s, struct slice body)
{
    struct call *c = call_new(CALL_FRAME, s->number);
    const void *decoded = NULL;
    enum liaison_code code;

    if (c == NULL) {
        session_fire(s, EVENT_LOST, (struct session_cause){.code = LIAISON_MEMORY});
        return;
    }
    code = valid_decode(&liaison__v1__frame__descriptor, body, c->arena, &decoded);
    if (code != LIAISON_OK) {
        breach(s, c, code, NULL);
        return;
    }
    c->frame = decoded;
    c->frame_bytes = body.n;
    hear_frame(s, c);
}

/* True if the session may be read at this moment. */
bool session_may_read(const struct session *s)
{
    const struct gate_settings *set = &s->gate->set;

    switch (s->state) {
    case SESSION_ZMTP:
    case SESSION_BARRED:
    case SESSION_HELLO:
    case SESSION_READY:
        return !s->gate->stopping && s->unanswered < set->window &&
               s->unanswered_bytes <= set->credit_bytes &&
               link_queued(s->link) <= set->credit_bytes;
    case SESSION_TLS:
    case SESSION_WELCOME:
    case SESSION_CLOSING:
    case SESSION_LINGER:
    case SESSION_OVER:
    case SESSION__COUNT:
        break;
    }
    return false;
}

/* Reads the next event. False if the turn is over for this session. */
static bool hear(struct session *s, size_t *budget)
{
    struct session_cause cause = {0};
    struct slice body;

    switch (link_next(s->link, budget, &body, &cause.code, &cause.why)) {
    case LINK_QUIET:
        return false;
    case LINK_SPENT:
        gate_list(s, LIST_RUN);
        return false;
    case LINK_UP:
        session_fire(s, EVENT_UP, cause);
        return true;
    case LINK_MESSAGE:
        hear_message(s, body);
        return true;
    case LINK_ENDED:
        session_fire(s, EVENT_LOST, (struct session_cause){.code = LIAISON_CLOSED});
        return false;
    case LINK_BROKEN:
        session_fire(s, EVENT_BREACH, cause);
        return false;
    }
    return false;
}

/* The peer lives, or cannot be expected to show it. */
static void heard(struct session *s)
{
    s->heard_ms = s->gate->now_ms;
    if (!s->pinged || s->state == SESSION_OVER)
        return;
    s->pinged = false;
    timers_set(s->gate->timers, &s->timer, session_deadline(s));
}

/* Reads as long as there is something, its turn lasts, and it may be read. */
static void hear_all(struct session *s, size_t *budget)
{
    struct gate *g = s->gate;
    int64_t ends_us = gate_clock_us() + g->set.turn_us;

    for (bool more = true; more;) {
        if (gate_stalled(g)) {
            gate_list(s, LIST_STALLED);
            break;
        }
        if (!session_may_read(s)) {
            s->held = true;
            break;
        }
        more = hear(s, budget);
        if (more && gate_clock_us() >= ends_us) {
            gate_list(s, LIST_RUN);
            break;
        }
    }
}

/* PINGs, key updates and calls before Hello cost us work and say nothing: some are welcome, a flood ends the session. */
static void bound_idle_talk(struct session *s)
{
    const struct gate *g = s->gate;
    uint64_t talk = link_idle_talk(s->link) + s->early;

    if (s->talk_ms + g->set.idle_talk_ms <= g->now_ms) {
        s->talk_ms = g->now_ms;
        s->talk_before = talk;
    }
    if (talk - s->talk_before <= g->set.idle_talk || s->state == SESSION_OVER ||
        s->state == SESSION_CLOSING)
        return;
    session_fire(s, EVENT_BREACH,
                 (struct session_cause){
                     .code = LIAISON_LIMIT,
                     .why = "too many PINGs, key updates or calls before Hello"});
}

/* A frame that was begun must end, lest a byte now and then keep a session and its memory for ever. */
static void mind_begun(struct session *s)
{
    uint64_t begun = link_begun(s->link);

    if (begun == s->begun)
        return;
    s->begun = begun;
    s->begun_ms = s->gate->now_ms;
    if (begun != 0 && s->state == SESSION_READY)
        timers_set(s->gate->timers, &s->timer, session_deadline(s));
}

static void read_turn(struct session *s)
{
    struct gate *g = s->gate;
    size_t budget = g->set.turn_bytes;
    bool memory;

    s->held = false;
    link_borrow(s->link, &g->spare);
    hear_all(s, &budget);
    memory = link_return(s->link, &g->spare);
    if (budget < g->set.turn_bytes || s->held)
        heard(s);
    if (link_queued(s->link) > 0)
        gate_list(s, LIST_DIRTY); /* READY or PONG, which links queue themselves */
    if (!memory)
        session_fire(s, EVENT_LOST, (struct session_cause){.code = LIAISON_MEMORY});
    else
        bound_idle_talk(s);
    if (s->state != SESSION_OVER)
        mind_begun(s);
}

void session_turn(struct session *s)
{
    switch (s->state) {
    case SESSION_TLS:
        shake(s);
        break;
    case SESSION_LINGER:
        switch (stream_discard(link_stream(s->link))) {
        case STREAM_DONE:
            gate_list(s, LIST_RUN);
            break;
        case STREAM_AGAIN:
            break;
        case STREAM_ENDED:
        case STREAM_FAILED:
            session_fire(s, EVENT_LOST, (struct session_cause){.code = LIAISON_CLOSED});
            break;
        }
        break;
    case SESSION_ZMTP:
    case SESSION_BARRED:
    case SESSION_HELLO:
    case SESSION_READY:
        read_turn(s);
        break;
    case SESSION_WELCOME:
    case SESSION_CLOSING:
        s->held = true;
        break;
    case SESSION_OVER:
    case SESSION__COUNT:
        break;
    }
}

bool session_check_again(struct session *s)
{
    char why[REASON_BYTES] = "", text[REASON_BYTES];
    enum liaison_code code;

    if (s->peer == NULL || s->state == SESSION_BARRED || s->state == SESSION_CLOSING ||
        s->state == SESSION_LINGER)
        return false;
    uint8_t *sound = s->gate->sound[be32_get(s->peer->certificate) % SOUND];
    bool known = memcmp(sound, s->peer->certificate, SOUND_BYTES) == 0;

    code = check_peer(s, !known, why, sizeof why);
    if (code == LIAISON_OK) {
        memcpy(sound, s->peer->certificate, SOUND_BYTES);
        return false;
    }
    log_warn("session.cut", "peer=%s session=%llu code=%d why=%s", s->peer->name,
             (unsigned long long)s->number, (int)code, log_text(why, text, sizeof text));
    session_end(s, CALL_CUT, code, why);
    return true;
}

void session_gone(struct session *s)
{
    bool read_soon = session_may_read(s) && !gate_stalled(s->gate);

    if (!read_soon && s->state != SESSION_TLS)
        session_fire(s, EVENT_LOST, (struct session_cause){.code = LIAISON_CLOSED});
}
