/* Delivery against what a reader of its header expects: single promises first, then long random play against a model that
 * keeps everything and looks at all of it. */
#include "broker/delivery/delivery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LEASE_MS = 1000, WINDOW = 1024, WINDOW_BYTES = 1 << 20 };

/* ---------------------------------------------------------------- a store and a core, as naive as can be */

enum { ITEMS_MAX = 20000, SESSIONS_MAX = 64 };

struct m_item {
    uint32_t agency;
    unsigned class;
    uint64_t seq, bytes;
    bool stored;
    uint64_t session; /* which has it leased; 0: none */
    uint64_t deadline;
    unsigned pushed;
};

struct m_session {
    uint64_t number; /* 0: closed */
    uint32_t agency;
    uint32_t window;
    uint64_t window_bytes;
    bool stuck;
};

struct rig {
    struct delivery *d;
    struct m_item items[ITEMS_MAX];
    size_t n;
    struct m_session sessions[SESSIONS_MAX];
    uint64_t next_session, next_seq, now, next_lease;
    uint64_t looked; /* times the store was asked */
};

static int set_up(void **state)
{
    static const struct delivery_settings SETTINGS = {.lease_ms = LEASE_MS,
                                                      .window_messages = WINDOW,
                                                      .window_bytes = WINDOW_BYTES,
                                                      .first_lease = 500};
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->d = delivery_new(&SETTINGS);
    assert_non_null(r->d);
    r->next_session = 1000;
    r->next_lease = 500;
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    delivery_free(r->d);
    free(r);
    return 0;
}

static struct m_session *m_session(struct rig *r, uint64_t number)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (r->sessions[i].number == number)
            return &r->sessions[i];
    return NULL;
}

static uint64_t open_session(struct rig *r, uint32_t agency)
{
    struct m_session *s = m_session(r, 0);
    assert_non_null(s);
    *s = (struct m_session){.number = r->next_session++, .agency = agency};
    assert_int_equal(delivery_open(r->d, agency, s->number), LIAISON_OK);
    return s->number;
}

static void grant(struct rig *r, uint64_t session, uint32_t messages, uint64_t bytes)
{
    struct m_session *s = m_session(r, session);
    assert_int_equal(delivery_grant(r->d, session, messages, bytes), LIAISON_OK);
    s->window += messages;
    s->window_bytes += bytes;
    s->stuck = false;
}

static void let_go(struct rig *r, struct m_item *i)
{
    m_session(r, i->session)->stuck = false;
    i->session = 0;
}

static void close_session(struct rig *r, uint64_t session)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].session == session)
            let_go(r, &r->items[i]);
    m_session(r, session)->number = 0;
    delivery_close(r->d, session);
}

static struct m_item *add(struct rig *r, uint32_t agency, unsigned class, uint64_t bytes)
{
    assert_true(r->n < ITEMS_MAX);
    struct m_item *i = &r->items[r->n++];
    *i = (struct m_item){.agency = agency,
                         .class = class,
                         .seq = ++r->next_seq,
                         .bytes = bytes,
                         .stored = true};
    delivery_added(r->d, agency, class, i->seq);
    return i;
}

static void ack(struct rig *r, struct m_item *i)
{
    if (i->session != 0)
        let_go(r, i);
    i->stored = false;
    delivery_acked(r->d, i->agency, i->seq);
}

static struct m_item *first_at(struct rig *r, uint32_t agency, unsigned class,
                               uint64_t from)
{
    r->looked++;
    for (size_t i = 0; i < r->n; i++) /* in order of seq */
        if (r->items[i].stored && r->items[i].agency == agency &&
            r->items[i].class == class && r->items[i].seq >= from)
            return &r->items[i];
    return NULL;
}

/* What should be pushed to the agency next. */
static struct m_item *first_waiting(struct rig *r, uint32_t agency)
{
    struct m_item *best = NULL;
    for (size_t i = 0; i < r->n; i++) {
        struct m_item *x = &r->items[i];
        if (x->stored && x->session == 0 && x->agency == agency &&
            (best == NULL || x->class < best->class))
            best = x;
    }
    return best;
}

static void outstanding(struct rig *r, uint64_t session, uint32_t *messages,
                        uint64_t *bytes)
{
    *messages = 0;
    *bytes = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].session == session) {
            ++*messages;
            *bytes += r->items[i].bytes;
        }
}

static bool m_credit(struct rig *r, const struct m_session *s)
{
    uint32_t messages;
    uint64_t bytes;
    outstanding(r, s->number, &messages, &bytes);
    return !s->stuck && s->window_bytes > 0 && messages < s->window &&
           (messages == 0 || bytes < s->window_bytes);
}

static void lease_as_offered(struct rig *r, const struct delivery_offer *o,
                             struct m_item *i)
{
    uint64_t number = 0;
    struct m_session *s = m_session(r, o->session);
    uint32_t messages;
    uint64_t bytes;
    outstanding(r, o->session, &messages, &bytes);
    switch (delivery_lease(r->d, o, i->seq, i->bytes, r->now, &number)) {
    case DELIVERY_LEASED:
        assert_int_equal(i->session, 0);                  /* never twice at a time */
        assert_ptr_equal(i, first_waiting(r, o->agency)); /* and in order */
        assert_true(messages == 0 || bytes + i->bytes <= s->window_bytes);
        assert_int_equal(number, r->next_lease++);
        i->session = o->session;
        i->deadline = r->now + LEASE_MS;
        i->pushed++;
        break;
    case DELIVERY_ELSEWHERE:
        assert_int_not_equal(i->session, 0);
        break;
    case DELIVERY_NO_CREDIT:
        assert_int_equal(i->session, 0);
        assert_true(messages > 0 && bytes + i->bytes > s->window_bytes);
        s->stuck = true;
        break;
    case DELIVERY_NO_MEMORY:
        fail();
    }
}

/* The core's loop, for at most `limit` offers. Returns how many it took. */
static size_t run(struct rig *r, size_t limit)
{
    struct delivery_offer o, again;
    size_t n = 0;
    for (; n < limit && delivery_next(r->d, &o); n++) {
        assert_true(delivery_next(r->d, &again)); /* asking changes nothing */
        assert_memory_equal(&o, &again, sizeof o);
        struct m_session *s = m_session(r, o.session);
        assert_non_null(s);
        assert_int_equal(s->agency, o.agency);
        assert_true(m_credit(r, s));
        struct m_item *i = first_at(r, o.agency, o.class, o.from_seq);
        if (i == NULL)
            delivery_none(r->d, &o);
        else
            lease_as_offered(r, &o, i);
    }
    return n;
}

/* Runs until nothing is offered; nothing may then be left that could have been. */
static void run_dry(struct rig *r)
{
    assert_true(run(r, 4 * ITEMS_MAX) < 4 * ITEMS_MAX);
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct m_session *s = &r->sessions[i];
        if (s->number != 0 && m_credit(r, s))
            assert_null(first_waiting(r, s->agency));
    }
}

static void expire(struct rig *r)
{
    uint64_t next = UINT64_MAX;
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].session != 0 && r->items[i].deadline <= r->now) {
            let_go(r, &r->items[i]);
            n++;
        }
    assert_int_equal(delivery_expire(r->d, r->now), n);
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].session != 0 && r->items[i].deadline < next)
            next = r->items[i].deadline;
    assert_int_equal(delivery_deadline(r->d), next);
}

/* ---------------------------------------------------------------- single promises */

static void nothing_is_offered_without_session_credit_or_item(void **state)
{
    struct rig *r = *state;
    struct delivery_offer o;
    add(r, 1, 0, 10);
    assert_false(delivery_next(r->d, &o));
    uint64_t s = open_session(r, 1);
    assert_false(delivery_next(r->d, &o));
    grant(r, s, 5, 0);
    assert_false(delivery_next(r->d, &o));
    grant(r, s, 0, 100);
    assert_true(delivery_next(r->d, &o));
    run_dry(r);
    assert_int_equal(r->items[0].session, s);
    assert_false(delivery_next(r->d, &o));
}

static void what_was_stored_before_the_session_opened_is_found(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < 40; i++)
        add(r, 1 + i % 2, i % DELIVERY_CLASSES, 10);
    grant(r, open_session(r, 2), 100, 10000);
    run_dry(r);
    for (size_t i = 0; i < r->n; i++)
        assert_int_equal(r->items[i].pushed, r->items[i].agency == 2);
}

static void an_ack_gives_the_room_back(void **state)
{
    struct rig *r = *state;
    uint64_t s = open_session(r, 1), bytes;
    uint32_t messages;
    for (int i = 0; i < 10; i++)
        add(r, 1, 1, 100);
    grant(r, s, 3, 1000);
    run_dry(r);
    delivery_outstanding(r->d, s, &messages, &bytes);
    assert_int_equal(messages, 3);
    assert_int_equal(bytes, 300);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(r->items[i].session, s);
        ack(r, &r->items[i]);
        run_dry(r);
    }
    delivery_outstanding(r->d, s, &messages, &bytes);
    assert_int_equal(messages, 0);
    assert_int_equal(bytes, 0);
}

static void a_grant_past_the_limit_changes_nothing(void **state)
{
    struct rig *r = *state;
    uint64_t s = open_session(r, 1);
    grant(r, s, WINDOW - 1, WINDOW_BYTES - 1);
    assert_int_equal(delivery_grant(r->d, s, 2, 0), LIAISON_LIMIT);
    assert_int_equal(delivery_grant(r->d, s, 0, 2), LIAISON_LIMIT);
    assert_int_equal(delivery_grant(r->d, s, UINT32_MAX, UINT64_MAX), LIAISON_LIMIT);
    grant(r, s, 1, 1);
    assert_int_equal(delivery_grant(r->d, s, 1, 0), LIAISON_LIMIT);
    assert_int_equal(delivery_grant(r->d, 77, 1, 1), LIAISON_NOT_FOUND);
}

static void a_large_item_waits_for_room_and_one_larger_than_all_goes_alone(void **state)
{
    struct rig *r = *state;
    uint64_t s = open_session(r, 1);
    struct m_item *small = add(r, 1, 2, 60), *large = add(r, 1, 2, 60),
                  *huge = add(r, 1, 2, 5000);
    grant(r, s, 10, 100);
    run_dry(r);
    assert_int_equal(small->session, s);
    assert_int_equal(large->session, 0);
    ack(r, small);
    run_dry(r);
    assert_int_equal(large->session, s);
    assert_int_equal(huge->session, 0);
    ack(r, large);
    run_dry(r);
    assert_int_equal(huge->session, s);
}

static void urgent_goes_first_then_the_order_of_arrival(void **state)
{
    static const unsigned CLASSES[] = {3, 1, 2, 1, 0, 3, 0};
    static const size_t WANT[] = {4, 6, 1, 3, 2, 0, 5};
    struct rig *r = *state;
    uint64_t s = open_session(r, 1);
    for (size_t i = 0; i < 7; i++)
        add(r, 1, CLASSES[i], 1);
    grant(r, s, 1, 10);
    for (size_t i = 0; i < 7; i++) {
        run_dry(r);
        assert_int_equal(r->items[WANT[i]].session, s);
        ack(r, &r->items[WANT[i]]);
    }
}

static void sessions_and_agencies_take_turns(void **state)
{
    struct rig *r = *state;
    uint64_t s[4];
    for (uint32_t i = 0; i < 4; i++) { /* two agencies with two sessions each */
        s[i] = open_session(r, 1 + i / 2);
        grant(r, s[i], 100, 1000);
    }
    for (uint32_t i = 0; i < 40; i++)
        add(r, 1 + i % 2, 0, 1);
    for (int i = 0; i < 20; i++)
        run(r, 1);
    for (int i = 0; i < 4; i++) {
        uint32_t messages;
        uint64_t bytes;
        delivery_outstanding(r->d, s[i], &messages, &bytes);
        assert_int_equal(messages, 5);
    }
}

static void an_item_of_an_ended_session_or_lease_comes_again_and_first(void **state)
{
    struct rig *r = *state;
    uint64_t one = open_session(r, 1), two = open_session(r, 1);
    for (int i = 0; i < 6; i++)
        add(r, 1, 0, 1);
    grant(r, one, 3, 100);
    run_dry(r);
    close_session(r, one);
    grant(r, two, 4, 100);
    run_dry(r);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(r->items[i].session, two);
    assert_int_equal(r->items[0].pushed, 2);
    assert_int_equal(r->items[3].pushed, 1);
    assert_int_equal(delivery_deadline(r->d), LEASE_MS);
    r->now = LEASE_MS - 1;
    expire(r);
    assert_int_equal(r->items[0].session, two);
    r->now = LEASE_MS;
    expire(r);
    assert_int_equal(delivery_deadline(r->d), UINT64_MAX);
    run_dry(r);
    assert_int_equal(r->items[0].pushed, 3);
    assert_int_equal(r->items[4].pushed, 0);
}

static void an_ack_is_final_whoever_holds_the_item(void **state)
{
    struct rig *r = *state;
    uint64_t s = open_session(r, 1);
    unsigned class = 9;
    struct m_item *leased = add(r, 1, 2, 1), *back = add(r, 1, 2, 1),
                  *unseen = add(r, 1, 2, 1);
    uint64_t other = open_session(r, 1);
    grant(r, s, 1, 10);
    grant(r, other, 1, 10);
    run_dry(r);
    close_session(r, back->session);
    s = leased->session;
    assert_true(delivery_find(r->d, 1, leased->seq, &class));
    assert_int_equal(class, 2);
    assert_true(delivery_find(r->d, 1, back->seq, &class));
    assert_false(delivery_find(r->d, 1, unseen->seq, &class));
    assert_false(delivery_find(r->d, 2, leased->seq, &class));
    ack(r, back);
    ack(r, unseen);
    ack(r, leased);
    ack(r, leased); /* once more is harmless */
    assert_false(delivery_find(r->d, 1, leased->seq, &class));
    add(r, 1, 2, 1);
    run_dry(r);
    assert_int_equal(r->items[3].session, s);
}

/* Every item costs one look into the store, and an empty mailbox costs none. */
static void a_mailbox_known_to_be_empty_is_not_looked_into(void **state)
{
    struct rig *r = *state;
    uint64_t s = open_session(r, 1);
    grant(r, s, 10, 1000);
    run_dry(r);
    assert_int_equal(r->looked, DELIVERY_CLASSES);
    for (int i = 0; i < 50; i++) {
        ack(r, add(r, 1, 3, 1)); /* gone before it is looked for: one look */
        run_dry(r);
        struct m_item *item = add(r, 1, 1, 1);
        run_dry(r);
        ack(r, item);
        run_dry(r);
    }
    assert_int_equal(r->looked, DELIVERY_CLASSES + 100);
}

static void a_passed_item_does_not_hold_up_the_others(void **state)
{
    struct rig *r = *state;
    struct delivery_offer o;
    uint64_t s = open_session(r, 1);
    struct m_item *denied = add(r, 1, 0, 1), *next = add(r, 1, 0, 1);
    uint64_t lease;
    grant(r, s, 10, 1000);
    assert_true(delivery_next(r->d, &o));
    assert_int_equal(first_at(r, 1, o.class, o.from_seq)->seq, denied->seq);
    delivery_pass(r->d, &o, denied->seq);
    assert_true(delivery_next(r->d, &o));
    assert_true(o.from_seq > denied->seq);
    assert_int_equal(delivery_lease(r->d, &o, next->seq, 1, 0, &lease), DELIVERY_LEASED);
    while (delivery_next(r->d, &o))
        delivery_none(r->d, &o);
    r->now = LEASE_MS;
    assert_int_equal(delivery_expire(r->d, r->now), 1);
    assert_true(delivery_next(r->d, &o)); /* and one that came back can be passed too */
    delivery_pass(r->d, &o, next->seq);
    assert_false(delivery_next(r->d, &o));
}

/* Nobody told of it, so the one that came back is looked for and another is found, or none. */
static void an_item_that_left_the_store_unnoticed_holds_up_nothing(void **state)
{
    struct rig *r = *state;
    uint64_t s = open_session(r, 1);
    for (int i = 0; i < 4; i++)
        add(r, 1, 0, 1);
    grant(r, s, 3, 100);
    run_dry(r);
    r->now = LEASE_MS;
    expire(r);
    r->items[0].stored = r->items[1].stored = false;
    run_dry(r);
    assert_int_equal(r->items[2].pushed, 2);
    assert_int_equal(r->items[3].pushed, 1);
    r->now += LEASE_MS;
    expire(r);
    r->items[2].stored = r->items[3].stored = false;
    run_dry(r);
    add(r, 1, 0, 1);
    run_dry(r);
    assert_int_equal(r->items[4].pushed, 1);
}

static void an_item_that_is_pushed_before_it_is_announced_is_not_lost(void **state)
{
    struct rig *r = *state;
    uint64_t s = open_session(r, 1);
    grant(r, s, 3, 100);
    struct delivery_offer o = {.agency = 1, .class = 0, .session = s};
    while (delivery_next(r->d, &o) && o.class != 0)
        delivery_none(r->d, &o);
    r->next_seq = 1;
    r->items[r->n++] = (struct m_item){.agency = 1, .seq = 1, .bytes = 1, .stored = true};
    run_dry(r);
    assert_int_equal(r->items[0].pushed, 1);
    delivery_added(r->d, 1, 0, 1);
    run_dry(r);
    assert_int_equal(r->items[0].pushed, 1);
    r->now = LEASE_MS;
    expire(r);
    run_dry(r);
    assert_int_equal(r->items[0].pushed, 2);
}

static void a_clock_that_steps_back_ends_no_lease_early_and_none_late(void **state)
{
    struct rig *r = *state;
    uint64_t s = open_session(r, 1), lease;
    struct delivery_offer o;
    add(r, 1, 0, 1);
    add(r, 1, 0, 1);
    grant(r, s, 3, 100);
    assert_true(delivery_next(r->d, &o));
    assert_int_equal(delivery_lease(r->d, &o, 1, 1, 5000, &lease), DELIVERY_LEASED);
    assert_true(delivery_next(r->d, &o));
    assert_int_equal(delivery_lease(r->d, &o, 2, 1, 3000, &lease), DELIVERY_LEASED);
    assert_int_equal(delivery_expire(r->d, 5000 + LEASE_MS - 1), 0);
    assert_int_equal(delivery_expire(r->d, 5000 + LEASE_MS), 2);
    assert_int_equal(delivery_expire(r->d, UINT64_MAX), 0);
}

/* The core's batch failed: what was pushed was not, what was acknowledged was not, what was added never was, and the next
 * item gets the number that was given before. */
static void a_failed_batch_can_be_taken_back(void **state)
{
    struct rig *r = *state;
    uint64_t s = open_session(r, 1);
    struct m_item *acked = add(r, 1, 1, 1);
    grant(r, s, 10, 1000);
    run_dry(r);
    ack(r, acked);
    struct m_item *added = add(r, 1, 1, 1);
    run_dry(r);
    uint64_t seq = added->seq;
    assert_int_equal(added->session, s);

    delivery_again(r->d, 1, acked->class, acked->seq);
    delivery_again(r->d, 1, added->class, added->seq);
    acked->stored = true;
    let_go(r, added);
    added->stored = false;
    run_dry(r);
    assert_int_equal(acked->pushed, 2);
    assert_int_equal(acked->session, s);

    r->next_seq = seq - 1;
    struct m_item *once_more = add(r, 1, 1, 1);
    assert_int_equal(once_more->seq, seq);
    run_dry(r);
    assert_int_equal(once_more->session, s);
}

/* first_at() looks at all; here item n has seq n+1, class 1, and none is ever acknowledged. */
static struct m_item *fast_first_at(struct rig *r, const struct delivery_offer *o,
                                    uint64_t n)
{
    uint64_t seq = o->from_seq == 0 ? 1 : o->from_seq;
    return o->class == 1 && seq <= n ? &r->items[seq - 1] : NULL;
}

/* More come back than are kept one by one: the store is gone through again, past what others hold. */
static void thousands_that_come_back_are_all_pushed_again(void **state)
{
    struct rig *r = *state;
    enum { HOLDERS = 6, ALL = HOLDERS * WINDOW };
    uint64_t s[HOLDERS];
    for (int i = 0; i < ALL; i++)
        add(r, 1, 1, 1);
    for (int i = 0; i < HOLDERS; i++) {
        s[i] = open_session(r, 1);
        grant(r, s[i], WINDOW, WINDOW_BYTES);
    }
    for (struct delivery_offer o;
         delivery_next(r->d, &o);) { /* run_dry() would look at all for each */
        struct m_item *i = fast_first_at(r, &o, ALL);
        uint64_t lease;
        if (i == NULL) {
            delivery_none(r->d, &o);
            continue;
        }
        assert_int_equal(delivery_lease(r->d, &o, i->seq, 1, 0, &lease), DELIVERY_LEASED);
        i->session = o.session;
    }
    for (int i = 1; i < HOLDERS; i++)
        close_session(r, s[i]);
    uint64_t fresh[HOLDERS];
    for (int i = 1; i < HOLDERS; i++) {
        fresh[i] = open_session(r, 1);
        grant(r, fresh[i], WINDOW, WINDOW_BYTES);
    }
    size_t again = 0, held = 0;
    for (struct delivery_offer o; delivery_next(r->d, &o);) {
        struct m_item *i = fast_first_at(r, &o, ALL);
        uint64_t lease;
        if (i == NULL) {
            delivery_none(r->d, &o);
            continue;
        }
        enum delivery_lease_result result =
            delivery_lease(r->d, &o, i->seq, 1, 0, &lease);
        assert_int_equal(result, i->session == 0 ? DELIVERY_LEASED : DELIVERY_ELSEWHERE);
        if (result == DELIVERY_LEASED) {
            i->session = o.session;
            again++;
        } else {
            held++;
        }
    }
    assert_int_equal(again, ALL - WINDOW);
    assert_in_range(held, 1, WINDOW);
}

/* ---------------------------------------------------------------- random play */

static uint32_t roll(uint64_t *seed, uint32_t sides)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 20) % sides;
}

static struct m_item *any_stored(struct rig *r, uint64_t *seed)
{
    for (int tries = 0; tries < 20 && r->n > 0; tries++) {
        struct m_item *i = &r->items[roll(seed, (uint32_t)r->n)];
        if (i->stored)
            return i;
    }
    return NULL;
}

static struct m_session *any_session(struct rig *r, uint64_t *seed)
{
    struct m_session *s = &r->sessions[roll(seed, 8)];
    return s->number == 0 ? NULL : s;
}

static void play_once(struct rig *r, uint64_t *seed)
{
    struct m_item *i = any_stored(r, seed);
    struct m_session *s = any_session(r, seed);
    uint32_t what = roll(seed, 100);
    if (what < 35)
        add(r, 1 + roll(seed, 3), roll(seed, DELIVERY_CLASSES), 1 + roll(seed, 40));
    else if (what < 60 && i != NULL)
        ack(r, i);
    else if (what < 63 && s != NULL)
        close_session(r, s->number);
    else if (what < 68 && s == NULL && r->sessions[7].number == 0)
        open_session(r, 1 + roll(seed, 3));
    else if (what < 73 && s != NULL && s->window < 20)
        grant(r, s->number, roll(seed, 4), roll(seed, 100));
    else if (what < 78) {
        r->now += roll(seed, LEASE_MS / 2);
        expire(r);
    } else if (what < 82 && i != NULL && i->session != 0) {
        delivery_again(r->d, i->agency, i->class, i->seq);
        let_go(r, i);
    } else if (what < 92)
        run(r, roll(seed, 10));
    else
        run_dry(r);
}

static void check_outstanding(struct rig *r)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        uint32_t messages, want_messages;
        uint64_t bytes, want_bytes;
        if (r->sessions[i].number == 0)
            continue;
        delivery_outstanding(r->d, r->sessions[i].number, &messages, &bytes);
        outstanding(r, r->sessions[i].number, &want_messages, &want_bytes);
        assert_int_equal(messages, want_messages);
        assert_int_equal(bytes, want_bytes);
        assert_true(messages <= r->sessions[i].window);
    }
}

/* In the end every session opens wide and acknowledges: all that is stored is pushed. */
static void empty_the_mailboxes(struct rig *r)
{
    for (uint32_t a = 1; a <= 3; a++)
        grant(r, open_session(r, a), WINDOW, WINDOW_BYTES);
    bool left = true;
    while (left) {
        left = false;
        run_dry(r);
        for (size_t i = 0; i < r->n; i++)
            if (r->items[i].stored) {
                assert_true(r->items[i].pushed > 0);
                left = left || r->items[i].session == 0;
                ack(r, &r->items[i]);
            }
    }
}

static void random_play_agrees_with_a_model_that_keeps_everything(void **state)
{
    for (uint64_t round = 1; round <= 100; round++) {
        uint64_t seed = round * 0x9e3779b97f4a7c15u;
        struct rig *r = *state;
        for (int n = 0; n < 3000; n++) {
            play_once(r, &seed);
            if (n % 16 == 0)
                check_outstanding(r);
        }
        run_dry(r);
        empty_the_mailboxes(r);
        tear_down(state);
        set_up(state);
    }
}

#define RIGGED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        RIGGED(nothing_is_offered_without_session_credit_or_item),
        RIGGED(what_was_stored_before_the_session_opened_is_found),
        RIGGED(an_ack_gives_the_room_back),
        RIGGED(a_grant_past_the_limit_changes_nothing),
        RIGGED(a_large_item_waits_for_room_and_one_larger_than_all_goes_alone),
        RIGGED(urgent_goes_first_then_the_order_of_arrival),
        RIGGED(sessions_and_agencies_take_turns),
        RIGGED(an_item_of_an_ended_session_or_lease_comes_again_and_first),
        RIGGED(an_ack_is_final_whoever_holds_the_item),
        RIGGED(a_mailbox_known_to_be_empty_is_not_looked_into),
        RIGGED(a_passed_item_does_not_hold_up_the_others),
        RIGGED(an_item_that_left_the_store_unnoticed_holds_up_nothing),
        RIGGED(an_item_that_is_pushed_before_it_is_announced_is_not_lost),
        RIGGED(a_clock_that_steps_back_ends_no_lease_early_and_none_late),
        RIGGED(a_failed_batch_can_be_taken_back),
        RIGGED(thousands_that_come_back_are_all_pushed_again),
        RIGGED(random_play_agrees_with_a_model_that_keeps_everything),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
