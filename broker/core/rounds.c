/* What the core goes through whenever rules or directory are new, and on every new day: a little at a time, each part in a
 * batch by itself, so that calls are served in between. */
#include "broker/core/state.h"

void rounds_begin(struct core *c)
{
    c->rounds = (struct rounds){.day = c->rounds.day};
}

/* One part of it. */
static void step(struct batch *b, void *arg)
{
    struct rounds *r = arg;
    bool more = false;

    switch (r->stage) {
    case ROUND_PUBLISHED:
        more = keys_publish(b, &r->published);
        break;
    case ROUND_WITHDRAWN:
        more = keys_withdraw(b, &r->withdrawn);
        break;
    case ROUND_MERGED:
        more = succession_look(b, &r->merged);
        break;
    case ROUND_BARRED:
        more = barred_look(b, &r->barred);
        break;
    case ROUND_DONE:
        return;
    }
    if (!more)
        r->stage++;
}

static int32_t today(struct core *c)
{
    return rules_day(core_time_ns(c) / 1000000000);
}

enum liaison_code rounds_run(struct core *c, struct arena *arena, bool *more)
{
    int32_t day = today(c);
    struct rounds next;

    if (c->evidence)
        return LIAISON_OK;
    if (c->rounds.day != day)
        c->rounds = (struct rounds){.day = day};
    if (c->rounds.stage == ROUND_DONE)
        return LIAISON_OK;
    next = c->rounds;
    enum liaison_code code = batch_alone(c, arena, false, step, &next);

    if (code == LIAISON_FULL) /* tried again, until there is room */
        return LIAISON_OK;
    if (code == LIAISON_OK) {
        c->rounds = next;
        *more = true; /* to go on, and to deliver what it put into mailboxes */
    }
    return code;
}
