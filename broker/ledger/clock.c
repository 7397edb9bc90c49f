#include "broker/ledger/clock.h"

static const uint64_t SECOND = 1000000000;
static const uint64_t BEHIND = 5, AHEAD = 7 * 86400, STEP = 300; /* seconds */

static uint64_t apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

void ledger_clock_start(struct ledger_clock *c, uint64_t last_ns, uint64_t wall_ns,
                        uint64_t mono_ns)
{
    bool fresh = last_ns == 0;

    c->held = !fresh &&
              (wall_ns + BEHIND * SECOND < last_ns || wall_ns > last_ns + AHEAD * SECOND);
    c->waiting = false;
    c->time_ns = c->held || wall_ns < last_ns ? last_ns : wall_ns;
    c->mono_ns = mono_ns;
}

/* Time has run for `elapsed`; what the wall clock is off is made up by at most half of that, so that time never runs back. */
static uint64_t follow(uint64_t time_ns, uint64_t elapsed, uint64_t wall_ns)
{
    uint64_t now = time_ns + elapsed, off = apart(wall_ns, now), most = elapsed / 2;
    uint64_t by = off < most ? off : most;

    return wall_ns > now ? now + by : now - by;
}

uint64_t ledger_clock_now(struct ledger_clock *c, uint64_t wall_ns, uint64_t mono_ns)
{
    uint64_t elapsed = mono_ns > c->mono_ns ? mono_ns - c->mono_ns : 0;

    bool behind = wall_ns < c->time_ns + elapsed;
    bool stepped = apart(wall_ns, c->time_ns + elapsed) > STEP * SECOND;

    c->waiting = c->waiting && stepped && behind;
    c->held = c->held || (stepped && !c->waiting);
    c->time_ns = c->held ? c->time_ns + elapsed : follow(c->time_ns, elapsed, wall_ns);
    c->mono_ns = mono_ns;
    return c->time_ns;
}

void ledger_clock_confirm(struct ledger_clock *c, uint64_t wall_ns, uint64_t mono_ns)
{
    (void)ledger_clock_now(c, wall_ns, mono_ns);
    c->held = false;
    c->waiting = wall_ns < c->time_ns;
    if (!c->waiting)
        c->time_ns = wall_ns;
}

void answer_clock_start(struct answer_clock *a, uint64_t paused_ns, uint64_t alive_ns)
{
    *a = (struct answer_clock){
        .paused_ns = paused_ns, .alive_ns = alive_ns, .stands = alive_ns != 0};
}

void answer_clock_look(struct answer_clock *a, uint64_t now_ns, bool held)
{
    if ((a->stands || held) && a->alive_ns != 0 && now_ns > a->alive_ns)
        a->paused_ns += now_ns - a->alive_ns;
    a->alive_ns = now_ns;
    a->stands = held;
}

uint64_t answer_clock_of(const struct answer_clock *a, uint64_t time_ns)
{
    return time_ns > a->paused_ns ? time_ns - a->paused_ns : 0;
}
