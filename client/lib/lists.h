#pragma once
/* The broker's revocation lists, when a page of its directory has no room for them: fetched part by part. */
#include "client/lib/inner.h"
#include "proto/arena.h"

enum {
    LISTS_MAX = 64 << 20, /* bytes of all lists that are fetched */
    LISTS_COUNT_MAX = 1024,
};

/* Asks for the lists that `page` only gives the size and digest of. They live in `a`; {NULL, 0} if they did not all come, or are
 * others by now: the next page says so too. */
struct slice lists_fetch(struct liaison *l, const Liaison__V1__Agencies *page, struct arena *a);

/* The first list of `bytes`, which then begin behind it; {NULL, 0} at their end or where no list begins. */
struct slice lists_next(struct slice *bytes);
