#pragma once
/* Deadlines in a binary heap: setting and removing one costs a few steps however many there are. Pure: the caller has the clock. */
#include "proto/slice.h"

/* Lies inside whatever it wakes. All zero: not set. */
struct timer {
    int64_t at_ms;
    size_t place; /* in the heap, from 1; 0: not set */
};

struct timers;

/* Gives: room for at most `most` timers, or NULL when memory is out. */
struct timers *timers_new(size_t most);
void timers_free(struct timers *all);

/* Sets or moves a timer. */
void timers_set(struct timers *all, struct timer *t, int64_t at_ms);

/* Harmless for one that is not set. */
void timers_remove(struct timers *all, struct timer *t);

/* The earliest, or NULL if none is set. */
struct timer *timers_first(const struct timers *all);
