#pragma once
/* The counters of all parties, followed through the entries. Pure.
 *
 * An agency's counter rises by one with every entry that concerns it. Where it acted the entry says the number; where it was the
 * counterpart the number is committed, and all that is seen is that there was one more. So between two entries of its own the
 * counter must rise by one and by the times it was the counterpart in between: an entry that was left out shows.
 *
 * A log is followed in parts, by several threads: each follows a part on its own, and the parts are joined in order. */
#include "proto/slice.h"

struct parties;

/* What a part does not know is where each counter stood before it; whoever follows a log from its beginning knows: at 0. */
enum parties_before { PARTIES_UNKNOWN, PARTIES_ZERO };

/* Gives: no party yet, or NULL when memory is out. */
struct parties *parties_new(enum parties_before before);
void parties_free(struct parties *p); /* NULL is harmless */

/* One party's counter jumped: `seq` should have `want` and says `got`. */
typedef void parties_gap(void *arg, struct slice name, uint64_t seq, uint64_t want, uint64_t got);

/* Entry `seq` is by `name` and says `counter`. False when memory is out. */
MUST_CHECK
bool parties_act(struct parties *p, struct slice name, uint64_t counter, uint64_t seq, parties_gap *gap, void *arg);

/* An entry has `name` as counterpart. False when memory is out. */
MUST_CHECK
bool parties_mention(struct parties *p, struct slice name);

/* Entries are missing here: where the counters stand is not known any more. */
void parties_forget(struct parties *p);

/* Adds the part that follows. False when memory is out. */
MUST_CHECK
bool parties_join(struct parties *all, const struct parties *part, parties_gap *gap, void *arg);

/* Sets where a party stands. False when memory is out. */
MUST_CHECK
bool parties_set(struct parties *p, struct slice name, uint64_t counter);

size_t parties_count(const struct parties *p);

/* Where `name` stands; 0 if it is not known. */
uint64_t parties_counter(const struct parties *p, struct slice name);

/* Where `name` stood before the first entry that was followed: 0 but in a log that follows another. */
uint64_t parties_began(const struct parties *p, struct slice name);

/* The next party whose counter is known; begin with *at = 0. False: there is none left. */
bool parties_next(const struct parties *p, size_t *at, struct slice *name, uint64_t *counter);
