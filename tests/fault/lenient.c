/* A broker that forgives everything: no breach, deadline, lost connection or cap ends a session. By it tests/e2e/07-hostile shows
 * that each of its rows can fail. Everything else is liaisond, linked with --wrap of the functions below. */
#include "broker/session/inside.h"

enum { LATER_MS = 1000 };

void __real_session_fire(struct session *s, enum session_event event,
                         struct session_cause cause);
void __wrap_session_fire(struct session *s, enum session_event event,
                         struct session_cause cause);
void __wrap_session_end(struct session *s, enum call_kind kind, enum liaison_code code,
                        const char *why);
void __wrap_session_wake(struct session *s);
bool __wrap_tally_add(struct tally *t, struct slice key);

void __wrap_session_fire(struct session *s, enum session_event event,
                         struct session_cause cause)
{
    if (event == EVENT_BREACH || event == EVENT_LOST || event == EVENT_TIMEOUT ||
        !session_allows(s->state, event))
        call_free(cause.call);
    else
        __real_session_fire(s, event, cause);
}

void __wrap_session_end(struct session *s, enum call_kind kind, enum liaison_code code,
                        const char *why)
{
    (void)s, (void)kind, (void)code, (void)why;
}

void __wrap_session_wake(struct session *s)
{
    timers_set(s->gate->timers, &s->timer, s->gate->now_ms + LATER_MS);
}

bool __wrap_tally_add(struct tally *t, struct slice key)
{
    (void)t, (void)key;
    return true;
}
