#pragma once
/* The ledger's time: never runs back, follows the wall clock slowly, and stops following it after a step. Pure.
 * `mono` is a clock that no one sets and that goes on while the machine sleeps (CLOCK_BOOTTIME). Nanoseconds since 1970.
 * Source: PROTOCOL.md, "Ledger time". */
#include <stdbool.h>
#include <stdint.h>

struct ledger_clock {
    uint64_t time_ns; /* the last that was given */
    uint64_t mono_ns; /* when */
    bool held;        /* the wall clock has stepped: until an operator confirms it, only the monotonic clock counts */
    bool waiting;     /* an operator has confirmed a wall clock that is behind, and time waits for it */
};

/* Starts at the last entry's time (0: there is none). Held if the wall clock is over 5 s behind it or over 7 days past it. */
void ledger_clock_start(struct ledger_clock *c, uint64_t last_ns, uint64_t wall_ns, uint64_t mono_ns);

/* The time now. A wall clock over 5 minutes off holds the clock; a smaller difference is made up at half the pace of time. */
uint64_t ledger_clock_now(struct ledger_clock *c, uint64_t wall_ns, uint64_t mono_ns);

/* The operator says that the wall clock is right: time goes on from it, or where it is behind waits for it at half pace. */
void ledger_clock_confirm(struct ledger_clock *c, uint64_t wall_ns, uint64_t mono_ns);

/* The clock by which agencies have to answer: ledger time, less what passed while the broker was down or its clock was
 * held. Pure. Source: PROTOCOL.md, "Deadlines". */
struct answer_clock {
    uint64_t paused_ns; /* how long it has stood still, all in all */
    uint64_t alive_ns;  /* ledger time when it was looked at last */
    bool stands;        /* what passes until the next look does not count */
};

/* Goes on from what it was when the broker was last known to be alive; what has passed since is a pause. `alive_ns` 0: it
 * begins with the first look. */
void answer_clock_start(struct answer_clock *a, uint64_t paused_ns, uint64_t alive_ns);

/* It is `now_ns` by the ledger's clock, which is held or is not. */
void answer_clock_look(struct answer_clock *a, uint64_t now_ns, bool held);

/* What it says for a moment of ledger time, as of the last look. */
uint64_t answer_clock_of(const struct answer_clock *a, uint64_t time_ns);
