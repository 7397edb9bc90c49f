/* What a session writes, and when it has waited long enough. */
#include "broker/session/inside.h"

/* ---- writing, answers, time */

/* What was held back may go on now. */
static void resume(struct session *s)
{
    if (!s->held || !session_may_read(s))
        return;
    s->held = false;
    s->heard_ms = s->begun_ms = s->gate->now_ms; /* it was we who did not listen */
    gate_list(s, LIST_RUN);
}

void session_flush(struct session *s)
{
    size_t written;
    enum stream_result r;

    if (s->state == SESSION_OVER || s->state == SESSION_LINGER || s->state == SESSION_TLS)
        return;
    r = link_flush(s->link, &written);
    if (r == STREAM_ENDED || r == STREAM_FAILED) {
        session_fire(s, EVENT_LOST, (struct session_cause){.code = LIAISON_CLOSED});
        return;
    }
    if (r == STREAM_AGAIN && (s->stuck_since_ms == 0 || written > 0)) {
        s->stuck_since_ms = s->gate->now_ms;
        timers_set(s->gate->timers, &s->timer, session_deadline(s));
    }
    if (r == STREAM_DONE) {
        s->stuck_since_ms = 0;
        session_fire(s, EVENT_DRAINED, (struct session_cause){0});
    }
    resume(s);
}

void session_take(struct session *s, struct call *c)
{
    enum session_event event = c->kind == CALL_PUSH ? EVENT_PUSH : EVENT_ANSWER;

    if (event == EVENT_ANSWER && s->unanswered > 0) {
        size_t bytes =
            c->frame_bytes < s->unanswered_bytes ? c->frame_bytes : s->unanswered_bytes;
        s->unanswered--;
        s->unanswered_bytes -= bytes;
        s->gate->unanswered--;
        s->gate->held_bytes -= bytes;
    }
    session_fire(s, event, (struct session_cause){.call = c});
    resume(s);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t quiet_until(const struct session *s)
{
    const struct gate_settings *set = &s->gate->set;

    if (s->held)
        return s->gate->now_ms +
               set->ping_ms; /* we do not listen: no wonder that it is quiet */
    return s->heard_ms + (s->pinged ? set->idle_ms : set->ping_ms);
}

/* When a frame that was begun must have ended. */
static int64_t whole_until(const struct session *s)
{
    if (s->begun == 0 || s->held || s->listed[LIST_STALLED])
        return INT64_MAX; /* we do not listen: it cannot end */
    return s->begun_ms + s->gate->set.idle_ms;
}

/* When the session must be looked at again, whatever happens. */
int64_t session_deadline(const struct session *s)
{
    int64_t stuck =
        s->stuck_since_ms == 0 ? INT64_MAX : s->stuck_since_ms + s->gate->set.idle_ms;

    switch (s->state) {
    case SESSION_WELCOME:
        return sooner(stuck, s->ends_ms);
    case SESSION_READY:
        return sooner(sooner(stuck, s->ends_ms), sooner(quiet_until(s), whole_until(s)));
    case SESSION_TLS:
    case SESSION_ZMTP:
    case SESSION_BARRED:
    case SESSION_HELLO:
    case SESSION_CLOSING:
    case SESSION_LINGER:
    case SESSION_OVER:
    case SESSION__COUNT:
        break;
    }
    return s->phase_ends_ms;
}

/* A live session: its certificate may have ended, the peer may not read, or be silent. */
static void wake_live(struct session *s)
{
    const struct gate *g = s->gate;
    int64_t ttl_ds = g->set.idle_ms / 100;

    if (s->ends_ms <= g->now_ms) {
        int64_t left = s->peer->not_after_unix * 1000 - (int64_t)g->now_unix_ms;
        s->ends_ms = g->now_ms + left; /* the wall clock may have been set since */
        if (left <= 0) {
            session_end(s, CALL_CUT, LIAISON_EXPIRED, NULL);
            return;
        }
    }
    if (s->stuck_since_ms != 0 && s->stuck_since_ms + g->set.idle_ms <= g->now_ms) {
        session_fire(s, EVENT_TIMEOUT, (struct session_cause){.code = LIAISON_TIMEOUT});
        return;
    }
    if (s->state == SESSION_READY && whole_until(s) <= g->now_ms) {
        session_end(s, CALL_CUT, LIAISON_TIMEOUT,
                    "a message was begun and not ended in time");
        return;
    }
    if (s->state != SESSION_READY || quiet_until(s) > g->now_ms)
        return;
    if (s->pinged) {
        session_fire(s, EVENT_TIMEOUT, (struct session_cause){.code = LIAISON_TIMEOUT});
        return;
    }
    s->pinged = true;
    if (link_ping(s->link, (uint16_t)(ttl_ds > UINT16_MAX ? UINT16_MAX : ttl_ds)))
        gate_list(s, LIST_DIRTY);
}

void session_wake(struct session *s)
{
    if (s->state == SESSION_WELCOME || s->state == SESSION_READY)
        wake_live(s);
    else if (s->phase_ends_ms <= s->gate->now_ms)
        session_fire(s, EVENT_TIMEOUT, (struct session_cause){.code = LIAISON_TIMEOUT});
    if (s->state != SESSION_OVER)
        timers_set(s->gate->timers, &s->timer, session_deadline(s));
}
