#include "broker/session/timer.h"

#include <stdlib.h>

struct timers {
    size_t n, most;
    struct timer
        *heap[]; /* [1..n]; a parent is never later than its children i*2 and i*2+1 */
};

struct timers *timers_new(size_t most)
{
    struct timers *all = malloc(sizeof *all + (most + 1) * sizeof *all->heap);

    if (all != NULL)
        *all = (struct timers){.most = most};
    return all;
}

void timers_free(struct timers *all)
{
    free(all);
}

static void put(struct timers *all, size_t place, struct timer *t)
{
    all->heap[place] = t;
    t->place = place;
}

static void rise(struct timers *all, struct timer *t, size_t place)
{
    for (; place > 1 && t->at_ms < all->heap[place / 2]->at_ms; place /= 2)
        put(all, place, all->heap[place / 2]);
    put(all, place, t);
}

static void sink(struct timers *all, struct timer *t, size_t place)
{
    for (size_t child; (child = place * 2) <= all->n; place = child) {
        if (child < all->n && all->heap[child + 1]->at_ms < all->heap[child]->at_ms)
            child++;
        if (t->at_ms <= all->heap[child]->at_ms)
            break;
        put(all, place, all->heap[child]);
    }
    put(all, place, t);
}

static void settle(struct timers *all, struct timer *t, size_t place)
{
    if (place > 1 && t->at_ms < all->heap[place / 2]->at_ms)
        rise(all, t, place);
    else
        sink(all, t, place);
}

void timers_set(struct timers *all, struct timer *t, int64_t at_ms)
{
    size_t place = t->place;

    t->at_ms = at_ms;
    if (place == 0) {
        if (all->n == all->most)
            abort(); /* our own mistake: there are as many places as things that wait */
        place = ++all->n;
        rise(all, t, place);
        return;
    }
    settle(all, t, place);
}

void timers_remove(struct timers *all, struct timer *t)
{
    struct timer *last;
    size_t place = t->place;

    if (place == 0)
        return;
    t->place = 0;
    last = all->heap[all->n--];
    if (last != t)
        settle(all, last, place);
}

struct timer *timers_first(const struct timers *all)
{
    return all->n == 0 ? NULL : all->heap[1];
}
