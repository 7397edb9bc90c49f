#include "broker/session/desk.h"

#include "broker/ops/log.h"
#include "broker/session/door.h"

void gate_list(struct session *s, enum session_list which)
{
    struct list *l = &s->gate->lists[which];

    if (s->listed[which] || (which != LIST_DEAD && s->state == SESSION_OVER))
        return;
    s->listed[which] = true;
    s->next[which] = NULL;
    s->before[which] = l->last;
    if (l->last != NULL)
        l->last->next[which] = s;
    else
        l->first = s;
    l->last = s;
}

void gate_unlist(struct session *s, enum session_list which)
{
    struct list *l = &s->gate->lists[which];

    if (!s->listed[which])
        return;
    s->listed[which] = false;
    if (s->before[which] != NULL)
        s->before[which]->next[which] = s->next[which];
    else
        l->first = s->next[which];
    if (s->next[which] != NULL)
        s->next[which]->before[which] = s->before[which];
    else
        l->last = s->before[which];
}

struct session *desk_first(struct gate *g, enum session_list which)
{
    struct session *s = g->lists[which].first;

    if (s != NULL)
        gate_unlist(s, which);
    return s;
}

void gate_bury(struct session *s)
{
    if (s->listed[LIST_DEAD])
        return;
    gate_unlist(s, LIST_RUN);
    gate_unlist(s, LIST_SHAKE);
    gate_unlist(s, LIST_SHAKING);
    gate_unlist(s, LIST_STALLED);
    gate_unlist(s, LIST_DIRTY);
    timers_remove(s->gate->timers, &s->timer);
    s->gate->unanswered -=
        s->unanswered; /* the core owes no answers to those who have left */
    s->gate->held_bytes -= s->unanswered_bytes;
    if (s->agency[0] != 0)
        tally_drop(s->gate->agencies, slice_text(s->agency));
    gate_list(s, LIST_DEAD);
}

void desk_free_the_dead(struct gate *g)
{
    for (struct session *s; (s = desk_first(g, LIST_DEAD)) != NULL;) {
        door_left(s);
        session_free(s);
    }
}

bool gate_stalled(const struct gate *g)
{
    return g->held_bytes > g->set.held_bytes || g->chained >= 2 * CALLS_KEPT;
}

/* Hands the chain over as one message. A full pipe keeps it; nobody is read then, until the core has room. */
void desk_send(struct gate *g)
{
    if (g->chain == NULL || g->over)
        return;
    switch ((int)call_send(g->pair, g->chain)) {
    case LIAISON_OK:
        g->chain = NULL;
        g->chain_end = &g->chain;
        g->chained = 0;
        break;
    case LIAISON_BUSY:
    case LIAISON_MEMORY:
        break;
    default:
        g->over = true; /* the context has ended under us */
        break;
    }
}

void gate_tell(struct gate *g, struct call *c)
{
    if (c == NULL) {
        log_error("gate.memory", "a message to the core is lost");
        return;
    }
    *g->chain_end = c;
    g->chain_end = &c->next;
    if (++g->chained % CALLS_KEPT == 0)
        desk_send(g);
}

/* ---- strangers: the first at once, then at most one count for each reason in strangers_ms */

static void tell_strangers(struct gate *g, enum liaison_code code)
{
    struct stranger *of = &g->strangers[code];
    struct call *c = call_new(CALL_STRANGERS, 0);

    if (c == NULL)
        return; /* they stay counted */
    c->code = code;
    c->count = of->count;
    of->count = 0;
    of->told_ms = g->now_ms;
    log_info("gate.strangers", "code=%d count=%llu", (int)code,
             (unsigned long long)c->count);
    gate_tell(g, c);
}

void gate_stranger(struct gate *g, enum liaison_code code)
{
    struct stranger *of = &g->strangers[code];

    of->count++;
    if (of->told_ms == 0 || of->told_ms + g->set.strangers_ms <= g->now_ms)
        tell_strangers(g, code);
}

/* Tells what was counted since; everything when `all`. Returns when to look again. */
int64_t desk_strangers(struct gate *g, bool all)
{
    int64_t next = INT64_MAX;

    for (int code = 0; code < CODES; code++) {
        const struct stranger *of = &g->strangers[code];
        int64_t due = of->told_ms + g->set.strangers_ms;
        if (of->count == 0)
            continue;
        if (all || due <= g->now_ms)
            tell_strangers(g, (enum liaison_code)code);
        else if (due < next)
            next = due;
    }
    return next;
}
