#include "broker/delivery/delivery.h"

#include <stdlib.h>

#include "broker/delivery/box.h"

#define OWNER(link_, type, member)                                                       \
    ((type *)(void *)((char *)(link_)-offsetof(type, member)))

struct session {
    struct table_key key; /* (0, session) */
    struct agency *agency;
    struct link turn;   /* in the agency's ring of those with credit, or alone */
    struct link leases; /* ring of items, by_session */
    uint32_t window_messages, out_messages;
    uint64_t window_bytes, out_bytes;
    bool stuck; /* the next item is too large for what is left */
};

struct agency {
    struct table_key key; /* (0, agency) */
    struct link
        turn; /* in the ring of those for whom there may be something to do, or alone */
    struct link ready; /* ring of sessions with credit */
    size_t n_sessions;
    struct box boxes[DELIVERY_CLASSES];
};

struct delivery {
    struct delivery_settings settings;
    uint64_t next_lease;
    struct table agencies, sessions, items;
    struct link ready; /* ring of agencies */
    struct link
        by_time; /* ring of leased items as they were leased: all leases last alike */
};

/* ---------------------------------------------------------------- rings */

static void ring_init(struct link *l)
{
    l->prev = l->next = l;
}

static bool ring_empty(const struct link *l)
{
    return l->next == l;
}

static void ring_leave(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    ring_init(l);
}

static void ring_join(struct link *ring, struct link *l)
{
    l->prev = ring->prev;
    l->next = ring;
    ring->prev->next = l;
    ring->prev = l;
}

/* Puts `l` where it belongs; its place among the others stays if it is there already. */
static void ring_settle(struct link *ring, struct link *l, bool belongs)
{
    if (belongs && ring_empty(l))
        ring_join(ring, l);
    else if (!belongs)
        ring_leave(l);
}

/* ---------------------------------------------------------------- who has a turn */

static struct agency *agency_of(const struct delivery *d, uint32_t number)
{
    return keyed_get(&d->agencies, 0, number);
}

static struct session *session_of(const struct delivery *d, uint64_t number)
{
    return keyed_get(&d->sessions, 0, number);
}

static struct box *waiting_box(struct agency *a)
{
    for (size_t i = 0; i < DELIVERY_CLASSES; i++)
        if (box_waits(&a->boxes[i]))
            return &a->boxes[i];
    return NULL;
}

/* Whoever changes a box of the agency, or who of its sessions is ready, ends with this. */
static void settle(struct delivery *d, struct agency *a)
{
    ring_settle(&d->ready, &a->turn, !ring_empty(&a->ready) && waiting_box(a) != NULL);
}

/* What is out lies in our memory until the peer takes it, so its word alone does not decide how much that is. */
static uint64_t window_of(const struct session *s)
{
    return s->window_bytes < DELIVERY_OUT_BYTES ? s->window_bytes : DELIVERY_OUT_BYTES;
}

static bool has_credit(const struct session *s)
{
    if (s->stuck || s->out_messages >= s->window_messages || s->window_bytes == 0)
        return false;
    return s->out_messages == 0 || s->out_bytes < window_of(s);
}

/* An item larger than the whole window goes out alone, or it never would. */
static bool fits(const struct session *s, uint64_t bytes)
{
    return s->out_messages == 0 ||
           (s->out_bytes <= window_of(s) && bytes <= window_of(s) - s->out_bytes);
}

static void settle_session(struct delivery *d, struct session *s)
{
    ring_settle(&s->agency->ready, &s->turn, has_credit(s));
    settle(d, s->agency);
}

/* ---------------------------------------------------------------- items */

static void forget(struct delivery *d, struct item *i)
{
    keyed_remove(&d->items, &i->key);
    free(i);
}

static void drop_back(struct delivery *d, struct box *b, struct item *i)
{
    box_remove(b, i);
    forget(d, i);
}

/* Gives up knowing one by one what came back: looks through the store once more from the least of them. What is leased by
 * then is met there and left alone. */
static void rewind_box(struct delivery *d, struct box *b, uint64_t seq)
{
    if (b->n_back > 0 && b->back[0]->key.low < seq)
        seq = b->back[0]->key.low;
    while (b->n_back > 0)
        drop_back(d, b, b->back[b->n_back - 1]);
    if (seq < b->cursor)
        b->cursor = seq;
}

/* The item waits again. */
static void bring_back(struct delivery *d, struct agency *a, struct item *i)
{
    struct box *b = &a->boxes[i->class];
    uint64_t seq = i->key.low;
    if (seq < b->cursor && box_push(b, i))
        return;
    forget(d, i);
    if (seq < b->cursor)
        rewind_box(d, b, seq);
    else if (b->end <= seq)
        b->end = seq + 1;
}

/* Ends a lease; the item is then nobody's. */
static struct session *release(struct delivery *d, struct item *i)
{
    struct session *s = i->session;
    ring_leave(&i->by_time);
    ring_leave(&i->by_session);
    i->session = NULL;
    s->out_messages--;
    s->out_bytes -= i->bytes;
    s->stuck = false;
    settle_session(d, s);
    return s;
}

static struct item *new_item(struct delivery *d, uint32_t agency, unsigned class,
                             uint64_t seq)
{
    struct item *i = calloc(1, sizeof *i);
    if (i == NULL)
        return NULL;
    i->key = (struct table_key){agency, seq};
    i->class = class;
    ring_init(&i->by_time);
    ring_init(&i->by_session);
    if (keyed_put(&d->items, &i->key))
        return i;
    free(i);
    return NULL;
}

/* ---------------------------------------------------------------- sessions */

struct delivery *delivery_new(const struct delivery_settings *settings)
{
    struct delivery *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->settings = *settings;
    d->next_lease = settings->first_lease;
    ring_init(&d->ready);
    ring_init(&d->by_time);
    return d;
}

void delivery_free(struct delivery *d)
{
    if (d == NULL)
        return;
    for (struct session *s; (s = keyed_any(&d->sessions)) != NULL;)
        delivery_close(d, s->key.low);
    keyed_free(&d->agencies);
    keyed_free(&d->sessions);
    keyed_free(&d->items);
    free(d);
}

static struct agency *new_agency(struct delivery *d, uint32_t number)
{
    struct agency *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->key.low = number;
    ring_init(&a->turn);
    ring_init(&a->ready);
    for (size_t i = 0; i < DELIVERY_CLASSES; i++)
        a->boxes[i].end = UINT64_MAX; /* the store is to be asked */
    if (keyed_put(&d->agencies, &a->key))
        return a;
    free(a);
    return NULL;
}

static void drop_agency(struct delivery *d, struct agency *a)
{
    for (size_t i = 0; i < DELIVERY_CLASSES; i++) {
        struct box *b = &a->boxes[i];
        while (b->n_back > 0)
            drop_back(d, b, b->back[b->n_back - 1]);
        box_free(b);
    }
    ring_leave(&a->turn);
    keyed_remove(&d->agencies, &a->key);
    free(a);
}

enum liaison_code delivery_open(struct delivery *d, uint32_t agency, uint64_t session)
{
    struct session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return LIAISON_MEMORY;
    s->key.low = session;
    ring_init(&s->turn);
    ring_init(&s->leases);
    if (!keyed_put(&d->sessions, &s->key)) {
        free(s);
        return LIAISON_MEMORY;
    }
    s->agency = agency_of(d, agency);
    if (s->agency == NULL)
        s->agency = new_agency(d, agency);
    if (s->agency == NULL) {
        keyed_remove(&d->sessions, &s->key);
        free(s);
        return LIAISON_MEMORY;
    }
    s->agency->n_sessions++;
    return LIAISON_OK;
}

void delivery_close(struct delivery *d, uint64_t session)
{
    struct session *s = session_of(d, session);
    if (s == NULL)
        return;
    struct agency *a = s->agency;
    while (!ring_empty(&s->leases)) {
        struct item *i = OWNER(s->leases.next, struct item, by_session);
        release(d, i);
        bring_back(d, a, i);
    }
    ring_leave(&s->turn);
    keyed_remove(&d->sessions, &s->key);
    free(s);
    if (--a->n_sessions == 0)
        drop_agency(d, a);
    else
        settle(d, a);
}

enum liaison_code delivery_grant(struct delivery *d, uint64_t session, uint32_t messages,
                                 uint64_t bytes)
{
    struct session *s = session_of(d, session);
    if (s == NULL)
        return LIAISON_NOT_FOUND;
    if (messages > d->settings.window_messages - s->window_messages ||
        bytes > d->settings.window_bytes - s->window_bytes)
        return LIAISON_LIMIT;
    s->window_messages += messages;
    s->window_bytes += bytes;
    s->stuck = false;
    settle_session(d, s);
    return LIAISON_OK;
}

void delivery_outstanding(const struct delivery *d, uint64_t session, uint32_t *messages,
                          uint64_t *bytes)
{
    const struct session *s = session_of(d, session);
    *messages = s == NULL ? 0 : s->out_messages;
    *bytes = s == NULL ? 0 : s->out_bytes;
}

/* ---------------------------------------------------------------- offers */

bool delivery_next(const struct delivery *d, struct delivery_offer *out)
{
    if (ring_empty(&d->ready))
        return false;
    struct agency *a = OWNER(d->ready.next, struct agency, turn);
    const struct session *s = OWNER(a->ready.next, struct session, turn);
    const struct box *b = waiting_box(a);
    *out = (struct delivery_offer){.agency = (uint32_t)a->key.low,
                                   .class = (unsigned)(b - a->boxes),
                                   .session = s->key.low,
                                   .from_seq = box_from(b)};
    return true;
}

void delivery_none(struct delivery *d, const struct delivery_offer *offer)
{
    struct agency *a = agency_of(d, offer->agency);
    if (a == NULL)
        return;
    struct box *b = &a->boxes[offer->class];
    while (b->n_back >
           0) /* the offer began at the least of them: they have left the store */
        drop_back(d, b, b->back[b->n_back - 1]);
    b->end = b->cursor;
    settle(d, a);
}

/* The core found `seq` to be the first at or after what was offered: what came back and lies before it has left the store. */
static void drop_before(struct delivery *d, struct box *b, uint64_t seq)
{
    while (b->n_back > 0 && b->back[0]->key.low < seq)
        drop_back(d, b, b->back[0]);
}

void delivery_pass(struct delivery *d, const struct delivery_offer *offer, uint64_t seq)
{
    struct agency *a = agency_of(d, offer->agency);
    if (a == NULL)
        return;
    struct box *b = &a->boxes[offer->class];
    drop_before(d, b, seq);
    if (b->n_back > 0 && b->back[0]->key.low == seq)
        drop_back(d, b, b->back[0]);
    box_pass(b, seq);
    settle(d, a);
}

/* Marks the item as the session's and gives session and agency the last place in their rings. */
static void lease(struct delivery *d, struct session *s, struct item *i, uint64_t bytes,
                  uint64_t now_mono_ms)
{
    struct agency *a = s->agency;
    i->session = s;
    i->bytes = bytes;
    i->deadline_ms = now_mono_ms + d->settings.lease_ms;
    ring_join(&d->by_time, &i->by_time);
    ring_join(&s->leases, &i->by_session);
    s->out_messages++;
    s->out_bytes += bytes;
    ring_leave(&s->turn);
    ring_leave(&a->turn);
    settle_session(d, s);
}

enum delivery_lease_result delivery_lease(struct delivery *d,
                                          const struct delivery_offer *offer,
                                          uint64_t seq, uint64_t bytes,
                                          uint64_t now_mono_ms, uint64_t *number)
{
    struct session *s = session_of(d, offer->session);
    if (s == NULL)
        return DELIVERY_NO_CREDIT; /* closed since: the offer is void */
    struct box *b = &s->agency->boxes[offer->class];
    struct item *i = keyed_get(&d->items, offer->agency, seq);
    drop_before(d, b, seq);
    if (i != NULL && i->session != NULL) {
        box_pass(b, seq);
        settle(d, s->agency);
        return DELIVERY_ELSEWHERE;
    }
    if (!fits(s, bytes)) {
        s->stuck = true;
        settle_session(d, s);
        return DELIVERY_NO_CREDIT;
    }
    if (i != NULL)
        box_remove(b, i);
    else if ((i = new_item(d, offer->agency, offer->class, seq)) == NULL)
        return DELIVERY_NO_MEMORY;
    box_pass(b, seq);
    lease(d, s, i, bytes, now_mono_ms);
    *number = d->next_lease++;
    return DELIVERY_LEASED;
}

/* ---------------------------------------------------------------- ends of leases */

bool delivery_find(const struct delivery *d, uint32_t agency, uint64_t seq,
                   unsigned *class)
{
    const struct item *i = keyed_get(&d->items, agency, seq);
    if (i == NULL)
        return false;
    *class = i->class;
    return true;
}

void delivery_acked(struct delivery *d, uint32_t agency, uint64_t seq)
{
    struct item *i = keyed_get(&d->items, agency, seq);
    struct agency *a = agency_of(d, agency);
    if (i == NULL || a == NULL)
        return;
    if (i->session != NULL)
        release(d, i);
    else
        box_remove(&a->boxes[i->class], i);
    forget(d, i);
    settle(d, a);
}

/* An item that is not known here waits: behind the cursor it will be met, before it it must be remembered. */
static void wait_for(struct delivery *d, struct agency *a, unsigned class, uint64_t seq)
{
    struct box *b = &a->boxes[class];
    struct item *i =
        seq < b->cursor ? new_item(d, (uint32_t)a->key.low, class, seq) : NULL;
    if (i != NULL)
        bring_back(d, a, i);
    else if (seq < b->cursor)
        rewind_box(d, b, seq);
    else if (b->end <= seq)
        b->end = seq + 1;
    settle(d, a);
}

void delivery_added(struct delivery *d, uint32_t agency, unsigned class, uint64_t seq)
{
    struct agency *a = agency_of(d, agency);
    if (a != NULL && keyed_get(&d->items, agency, seq) == NULL)
        wait_for(d, a, class, seq);
}

void delivery_again(struct delivery *d, uint32_t agency, unsigned class, uint64_t seq)
{
    struct agency *a = agency_of(d, agency);
    if (a == NULL)
        return;
    struct item *i = keyed_get(&d->items, agency, seq);
    if (i == NULL) {
        wait_for(d, a, class, seq);
    } else if (i->session != NULL) {
        release(d, i);
        bring_back(d, a, i);
        settle(d, a);
    }
}

size_t delivery_expire(struct delivery *d, uint64_t now_mono_ms)
{
    size_t n = 0;
    for (; delivery_deadline(d) <= now_mono_ms && !ring_empty(&d->by_time); n++) {
        struct item *i = OWNER(d->by_time.next, struct item, by_time);
        struct agency *a = release(d, i)->agency;
        bring_back(d, a, i);
        settle(d, a);
    }
    return n;
}

uint64_t delivery_deadline(const struct delivery *d)
{
    return ring_empty(&d->by_time)
               ? UINT64_MAX
               : OWNER(d->by_time.next, struct item, by_time)->deadline_ms;
}
