#pragma once
/* Is what was found about an agency all there is? Only its counters can say so: they run without a gap from the
 * log's first to what the log's latest word about it is. An index, or whoever answers, can leave out an entry, but not its number. Pure. */
#include <stddef.h>
#include <stdint.h>

#include "proto/slice.h"

/* An entry that concerns the agency, and the agency's counter in it. */
struct complete_row {
    uint64_t seq, counter;
};

struct complete {
    bool all;
    uint64_t missing; /* the lowest counter that no entry has; of `all`: 0 */
    uint64_t after;   /* the entry that has the counter before it; UINT64_MAX: it is the first */
    uint64_t doubled; /* a counter that two entries have, or above the last; 0: none */
};

/* Judges n rows, which are sorted by counter on the way: they must have all of first to last. `last` is the counter that the log says
 * the agency is at; `first` is 1, but in a log that follows another. */
struct complete complete_check(struct complete_row *rows, size_t n, uint64_t first, uint64_t last);
