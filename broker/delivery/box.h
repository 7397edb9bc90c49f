#pragma once
/* What waits in one class of one agency: all from a place on, and a few items before it that came back. */
#include "broker/delivery/table.h"

enum { BOX_BACK_MAX = 4096 }; /* items that came back and are known one by one */

/* Doubly linked rings; a ring's head is a link too. */
struct link {
    struct link *prev, *next;
};

/* An item that is leased, or that came back. Its key is (agency, seq). */
struct item {
    struct table_key key;
    struct session *session; /* NULL: it came back and lies in its box */
    unsigned class;
    uint64_t bytes, deadline_ms;
    struct link by_time, by_session; /* while leased */
    size_t at;                       /* place in the box, while there */
};

struct box {
    uint64_t cursor;    /* items before it have been offered */
    uint64_t end;       /* none lie at or behind it; UINT64_MAX: not known */
    struct item **back; /* came back, all before the cursor; a heap, least seq first */
    size_t n_back, room;
};

/* True if an item may wait. */
static inline bool box_waits(const struct box *b)
{
    return b->n_back > 0 || b->cursor < b->end;
}

/* Where to look for the next: no item that waits has a lower seq. */
static inline uint64_t box_from(const struct box *b)
{
    return b->n_back > 0 ? b->back[0]->key.low : b->cursor;
}

/* Everything up to `seq` has now been offered. */
static inline void box_pass(struct box *b, uint64_t seq)
{
    if (seq >= b->cursor)
        b->cursor = seq + 1;
    if (b->end < b->cursor) /* found before anybody was told that it is there */
        b->end = b->cursor;
}

/* Puts in an item that came back, from before the cursor. False when there is no room. */
MUST_CHECK
bool box_push(struct box *b, struct item *i);

/* Takes an item out that is in the box. */
void box_remove(struct box *b, const struct item *i);

/* Releases the box's memory, not its items. */
void box_free(struct box *b);
