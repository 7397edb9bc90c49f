#pragma once
/* Which pairs of agencies a change of rules can concern at all. Private to broker/rules.
 *
 * A pair is concerned if some rule that only one set has names the one as a sender and the other as a recipient, or if what is
 * declared of one of them has changed. Such rules are folded to a few bits, so now and then a pair is taken for one that is not. */
#include "broker/rules/set.h"

struct pairs {
    const char **names; /* that either set declares, in order */
    size_t n;
    uint64_t *sends, *receives; /* of each: the rules that name it, and the bits for what has changed itself */
};

/* Finds them. Release with pairs_free(), whatever comes out. False: memory is out. */
bool pairs_find(const struct rules *before, const struct rules *after, struct pairs *out);
void pairs_free(struct pairs *p);

static inline bool pairs_concerned(const struct pairs *p, size_t from, size_t to)
{
    return from != to && (p->sends[from] & p->receives[to]) != 0; /* nobody sends to itself */
}

/* How many are concerned; past `most` some number above it. */
size_t pairs_count(const struct pairs *p, size_t most);

/* True if both sets say the same of an agency, as far as decisions go by it: regime, kind, supervisors, merger. */
bool pairs_same_agency(const struct rules *before, const struct rules *after, const char *name);

/* True if the network keeps as long in both. */
bool pairs_same_keep(const struct rules *before, const struct rules *after);
