/* Deadlines in a core without peers: a real store and real keys, and a clock that the test sets. All names are invented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/core/state.h"

static const char RULES[] =
    "network \"practicies.example\"\n"
    "agency fr/prison kind prison area fr\n"
    "agency fr/probation kind probation area fr\n"
    "agency fr/direction kind probation area fr\n"
    "agency fr/ministry kind probation area fr\n"
    "allow transfer \"release-handover\" from kind prison to kind probation\n"
    "  purpose { reintegration } basis { law } sections { identity }\n";

#include "tests/unit/core_rig.h"

static const uint64_t DAY_S = 86400, S = 1000000000, MS = 1000000;

/* How far all clocks are ahead of the machine's, and the wall clock of those. */
static uint64_t ahead_ns, wall_ahead_ns;

int clock_gettime(clockid_t which, struct timespec *t)
{
    if (syscall(SYS_clock_gettime, which, t) != 0)
        return -1;
    uint64_t ns = (uint64_t)t->tv_sec * S + (uint64_t)t->tv_nsec + ahead_ns +
                  (which == CLOCK_REALTIME ? wall_ahead_ns : 0);

    t->tv_sec = (time_t)(ns / S);
    t->tv_nsec = (long)(ns % S);
    return 0;
}

/* ------------------------------------------------------------ the rig */

static struct arena *arena; /* of one batch */

static int begin_sized(void **state, uint64_t map_bytes)
{
    struct rig *r = rig_new(map_bytes);

    if (r == NULL)
        return -1;
    ahead_ns = wall_ahead_ns = 0;
    r->unsigned_ms = UINT64_MAX / 2; /* there is no notary */
    arena = arena_new();
    open_core(r);
    *state = r;
    return 0;
}

static int begin(void **state)
{
    return begin_sized(state, 64 << 20);
}

static int begin_small(void **state)
{
    return begin_sized(state, 1 << 20);
}

static int end(void **state)
{
    close_core(*state);
    arena_free(arena);
    return rig_free(*state);
}

/* ------------------------------------------------------------ referrals */

/* What rules may say of one. */
struct want {
    Liaison__Rows__V1__Answer answers[2];
    size_t n;
    uint64_t keep_s;
    uint64_t number; /* of the one that was made */
    size_t copies;   /* how many; 0: one */
};

static struct want answer(uint64_t fixed_s, uint32_t months, uint32_t *who, size_t n)
{
    struct want w = {.n = 1};

    liaison__rows__v1__answer__init(&w.answers[0]);
    w.answers[0].fixed_s = fixed_s;
    w.answers[0].months = months;
    w.answers[0].escalate = who;
    w.answers[0].n_escalate = n;
    return w;
}

static struct party *named(struct batch *b, const char *name)
{
    struct party *p = party_named(b->core, name);

    assert_non_null(p);
    party_touch(b, p);
    return p;
}

enum { PRISON = 1, PROBATION, DIRECTION, MINISTRY };

static void make_one(struct batch *b, struct want *w)
{
    static uint8_t bytes[32] = "a digest, for testing only";
    struct item *i = item_make(b);
    Liaison__Rows__V1__Answer **list = arena_alloc(b->arena, 2 * sizeof *list);

    assert_non_null(i);
    i->row.from = i->row.responsible = PRISON;
    i->row.to = PROBATION;
    uint8_t *id = arena_zero(b->arena, ID_BYTES);

    be64_put(id, i->number);
    i->row.id = (ProtobufCBinaryData){ID_BYTES, id};
    i->row.digest = i->row.signer = (ProtobufCBinaryData){32, bytes};
    i->row.type = LIAISON__V1__TYPE__TYPE_TRANSFER;
    i->row.version = 1;
    i->row.keep_fixed_s = w->keep_s;
    for (size_t n = 0; n < w->n; n++)
        list[n] = &w->answers[n];
    i->row.answers = list;
    i->row.n_answers = w->n;
    item_moved(b, i, LIAISON__V1__STATE__STATE_REQUESTED);
    deadline_moved(b, i);
    index_put(b, i);
    w->number = i->number;
    struct recorded made;
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_SUBMIT,
        .operation = LIAISON__V1__OPERATION__OPERATION_COLLECTION,
        .referral_id = binary_slice(i->row.id),
        .after = LIAISON__V1__STATE__STATE_REQUESTED,
    };

    assert_true(record(b, &f, party_numbered(b->core, PRISON),
                       party_numbered(b->core, PROBATION), i, false, &made));
    i->row.submit_seq = made.seq;
}

static void make(struct batch *b, void *want)
{
    static const char *const NAMES[] = {"fr/prison", "fr/probation", "fr/direction",
                                        "fr/ministry"};
    struct want *w = want;

    for (uint32_t n = 0; n < 4; n++)
        assert_int_equal(named(b, NAMES[n])->number, n + 1);
    if (notes_begin_due(b->core))
        notes_begin(b);
    for (size_t n = 0; n < w->copies + (w->copies == 0); n++)
        make_one(b, w);
}

static void deliver(struct batch *b, void *want)
{
    const struct want *w = want;

    for (size_t n = w->copies + (w->copies == 0); n > 0; n--)
        deadline_delivered(b, item_get(b, w->number - n + 1));
    b->mends = true;
}

static void accept_it(struct batch *b, void *want)
{
    struct item *i = item_get(b, ((const struct want *)want)->number);

    item_moved(b, i, LIAISON__V1__STATE__STATE_ACCEPTED);
    deadline_moved(b, i);
    b->mends = true;
}

static void in_batch(struct rig *r, batch_work *work, void *arg)
{
    assert_int_equal(batch_alone(r->core, arena, false, work, arg), LIAISON_OK);
}

static void idle(struct batch *b, void *arg)
{
    (void)b, (void)arg;
}

/* Time passes, and the core's loop turns: a batch, which tells the time, and a look at what is due. */
static void pass(struct rig *r, uint64_t s)
{
    bool more = false;

    ahead_ns += s * S;
    in_batch(r, idle, NULL);
    ahead_ns += 2 * S;
    assert_int_equal(deadline_run(r->core, arena, &more), LIAISON_OK);
}

/* ------------------------------------------------------------ what is in the store */

struct counted {
    struct arena *arena;
    size_t n;
    unsigned what;
};

static int count_row(void *arg, struct slice key, struct slice value)
{
    struct counted *c = arg;
    const void *m;

    (void)value;
    if (c->arena == NULL) {
        c->n += key.p[0] == c->what;
        return 0;
    }
    assert_int_equal(
        valid_decode(&liaison__v1__ledger_entry__descriptor, value, c->arena, &m),
        LIAISON_OK);
    c->n += (unsigned)((const Liaison__V1__LedgerEntry *)m)->event == c->what;
    return 0;
}

static size_t count(struct rig *r, enum table table, struct arena *a, unsigned what)
{
    struct counted c = {.arena = a, .what = what};

    assert_int_equal(store_scan(r->core->store, (int)table, slice(NULL, 0),
                                slice(NULL, 0), SIZE_MAX, count_row, &c),
                     LIAISON_OK);
    return c.n;
}

static size_t pending(struct rig *r, enum deadline kind)
{
    return count(r, T_DEADLINE, NULL, kind);
}

static size_t entries(struct rig *r, Liaison__V1__Event event)
{
    struct arena *a = arena_new();
    size_t n = count(r, T_ENTRY, a, event);

    arena_free(a);
    return n;
}

static size_t escalations(struct rig *r)
{
    return entries(r, LIAISON__V1__EVENT__EVENT_ESCALATE);
}

struct mailbox {
    uint32_t party;
    size_t alerts;
};

static int mail_row(void *arg, struct slice key, struct slice value)
{
    struct mailbox *box = arg;
    struct arena *a = arena_new();
    const void *m;

    assert_int_equal(valid_decode(&liaison__rows__v1__mail__descriptor, value, a, &m),
                     LIAISON_OK);
    box->alerts +=
        be32_get(key.p) == box->party &&
        ((const Liaison__Rows__V1__Mail *)m)->flag == LIAISON__V1__FLAG__FLAG_ESCALATED;
    arena_free(a);
    return 0;
}

static size_t alerts(struct rig *r, uint32_t party)
{
    struct mailbox box = {.party = party};

    assert_int_equal(store_scan(r->core->store, T_MAIL, slice(NULL, 0), slice(NULL, 0),
                                SIZE_MAX, mail_row, &box),
                     LIAISON_OK);
    return box.alerts;
}

/* A look at one row. */
struct seen {
    uint64_t number, answer_by_ms, keep_until_ms, now_ms, erased_seq;
    uint32_t flags, state, told[4];
    size_t n_told;
};

static void see_in(struct batch *b, void *arg)
{
    struct seen *s = arg;
    const struct item *i = item_get(b, s->number);

    assert_non_null(i);
    s->answer_by_ms = deadline_answer_by_ms(b, i);
    s->keep_until_ms = deadline_keep_until_ms(&i->row);
    s->now_ms = b->time_ns / MS;
    s->erased_seq = i->row.erased_seq;
    s->flags = i->row.flags;
    s->state = i->row.state;
    s->n_told = i->row.n_told;
    for (size_t n = 0; n < i->row.n_told && n < 4; n++)
        s->told[n] = i->row.told[n];
}

static struct seen see(struct rig *r, uint64_t number)
{
    struct seen s = {.number = number};

    in_batch(r, see_in, &s);
    return s;
}

static struct want awaited(struct rig *r, struct want w)
{
    in_batch(r, make, &w);
    in_batch(r, deliver, &w);
    return w;
}

/* ------------------------------------------------------------ answers */

static void the_time_to_answer_begins_with_the_first_delivery(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want w = answer(14 * DAY_S, 0, who, 1);

    in_batch(r, make, &w);
    assert_int_equal(see(r, w.number).answer_by_ms, 0);
    pass(r, 30 * DAY_S);
    assert_int_equal(pending(r, DEADLINE_ANSWER), 0);
    in_batch(r, deliver, &w);
    struct seen first = see(r, w.number);

    assert_in_range(first.answer_by_ms, first.now_ms + 13 * DAY_S * 1000,
                    first.now_ms + 14 * DAY_S * 1000);
    pass(r, 1);
    in_batch(r, deliver, &w);
    assert_int_equal(see(r, w.number).answer_by_ms, first.answer_by_ms);
    assert_int_equal(pending(r, DEADLINE_ANSWER), 1);
    assert_int_equal(escalations(r), 0);
}

static void silence_is_escalated_once(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION, MINISTRY};
    struct want w = awaited(r, answer(14 * DAY_S, 0, who, 2));

    pass(r, 14 * DAY_S - 60);
    assert_int_equal(escalations(r), 0);
    pass(r, 60);
    for (int again = 0; again < 3; again++) {
        struct seen s = see(r, w.number);

        assert_int_equal(escalations(r), 2);
        assert_int_equal(pending(r, DEADLINE_ANSWER), 0);
        assert_int_equal(s.flags, 1U << LIAISON__V1__FLAG__FLAG_ESCALATED);
        assert_int_equal(s.state, LIAISON__V1__STATE__STATE_REQUESTED);
        assert_int_equal(s.answer_by_ms, 0);
        assert_int_equal(s.n_told, 2);
        assert_int_equal(s.told[0], DIRECTION);
        assert_int_equal(s.told[1], MINISTRY);
        assert_int_equal(alerts(r, DIRECTION), 1);
        assert_int_equal(alerts(r, MINISTRY), 1);
        assert_int_equal(alerts(r, PRISON), 1);
        assert_int_equal(alerts(r, PROBATION), 0);
        assert_int_equal(metrics_get(&r->metrics, METRIC_ESCALATED), 1);
        in_batch(r, deliver, &w); /* seen again: it does not begin anew */
        pass(r, 3 * DAY_S);
        if (again == 1) {
            close_core(r);
            open_core(r);
        }
    }
}

static void an_answer_in_time_ends_the_wait(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want w = awaited(r, answer(14 * DAY_S, 0, who, 1));

    pass(r, 13 * DAY_S);
    in_batch(r, accept_it, &w);
    assert_int_equal(pending(r, DEADLINE_ANSWER), 0);
    pass(r, 14 * DAY_S);
    assert_int_equal(escalations(r), 0);
    assert_int_equal(see(r, w.number).flags, 0);
}

static void of_two_times_the_earlier_counts_and_both_when_they_tie(void **state)
{
    struct rig *r = *state;
    uint32_t one[] = {DIRECTION}, two[] = {MINISTRY, DIRECTION}, sender[] = {PRISON};
    struct want tied = answer(14 * DAY_S, 0, one, 1), apart = tied, self = tied;

    tied.answers[tied.n++] = answer(14 * DAY_S, 0, two, 2).answers[0];
    apart.answers[apart.n++] = answer(0, 12, two, 2).answers[0];
    self.answers[0].escalate = sender;
    tied = awaited(r, tied);
    apart = awaited(r, apart);
    self = awaited(r, self);
    pass(r, 14 * DAY_S);
    assert_int_equal(escalations(r), 2 + 1 + 1);
    assert_int_equal(see(r, tied.number).n_told, 2);
    assert_int_equal(see(r, apart.number).n_told, 1);
    assert_int_equal(see(r, self.number).n_told, 0);
    assert_int_equal(alerts(r, PRISON), 3);
    pass(r, 365 * DAY_S);
    assert_int_equal(escalations(r), 4);
}

static void stop_entry(struct batch *b, void *arg)
{
    (void)arg;
    broker_entry(b, LIAISON__V1__EVENT__EVENT_STOP, NULL);
}

/* The machine goes on; the broker does not. */
static void down(struct rig *r, uint64_t s)
{
    in_batch(r, stop_entry, NULL);
    close_core(r);
    ahead_ns += s * S;
    open_core(r);
    in_batch(r, idle, NULL);
}

/* Where the calendar's day falls is the same, however long the clock has stood still before. */
static void months_are_the_calendars(void **state)
{
    struct rig *r = *state;
    const struct rules_span month = {.months = 1};
    uint32_t who[] = {DIRECTION};

    awaited(r, answer(100 * DAY_S, 0, who, 1));
    for (int i = 0; i < 8; i++) {
        down(r, 6 * DAY_S + 11);
        struct seen s = see(r, awaited(r, answer(0, 1, who, 1)).number);

        assert_in_range(s.answer_by_ms / 1000,
                        rules_span_ends(month, s.now_ms / 1000) - 1,
                        rules_span_ends(month, s.now_ms / 1000));
    }
}

static void while_the_broker_is_down_no_time_to_answer_passes(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want w = awaited(r, answer(14 * DAY_S, 0, who, 1));
    uint64_t by_ms = see(r, w.number).answer_by_ms;

    pass(r, 10 * DAY_S);
    for (int i = 0; i < 3; i++)
        down(r, 6 * DAY_S);
    assert_in_range(see(r, w.number).answer_by_ms, by_ms + 18 * DAY_S * 1000,
                    by_ms + (18 * DAY_S + 300) * 1000);
    pass(r, 4 * DAY_S - 600);
    assert_int_equal(escalations(r), 0);
    pass(r, 1200);
    assert_int_equal(escalations(r), 1);
}

static void while_the_clock_is_held_nothing_is_due_and_no_time_passes(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want w = answer(14 * DAY_S, 0, who, 1);

    w.keep_s = 20 * DAY_S;
    w = awaited(r, w);
    pass(r, 10 * DAY_S);
    wall_ahead_ns = 365 * DAY_S * S;
    pass(r, 60 * DAY_S);
    assert_true(r->core->clock.held);
    assert_int_equal(escalations(r) + entries(r, LIAISON__V1__EVENT__EVENT_ERASE), 0);
    down(r, 100 * DAY_S); /* held at the start */
    pass(r, 60 * DAY_S);
    assert_int_equal(escalations(r) + entries(r, LIAISON__V1__EVENT__EVENT_ERASE), 0);
    wall_ahead_ns = 0;
    ledger_clock_confirm(&r->core->clock, core_clock_ns(CLOCK_REALTIME),
                         core_clock_ns(CLOCK_BOOTTIME));
    pass(r, 1);
    assert_int_equal(escalations(r), 0);
    assert_int_equal(entries(r, LIAISON__V1__EVENT__EVENT_ERASE),
                     1); /* no clock of answers */
    w = awaited(r, answer(14 * DAY_S, 0, who, 1));
    pass(r, 13 * DAY_S);
    assert_int_equal(escalations(r), 0);
    pass(r, 1 * DAY_S);
    assert_int_equal(escalations(r), 1);
}

/* ------------------------------------------------------------ keep */

static void what_is_kept_long_enough_is_erased_and_a_move_begins_anew(void **state)
{
    struct rig *r = *state;
    struct want stays = {.keep_s = 0}, moves = {.keep_s = 30 * DAY_S}, lies = moves;

    in_batch(r, make, &stays);
    in_batch(r, make, &moves);
    in_batch(r, make, &lies);
    assert_int_equal(pending(r, DEADLINE_ERASE), 2);
    assert_int_equal(see(r, lies.number).keep_until_ms % (DAY_S * 1000), 0);
    assert_in_range(see(r, lies.number).keep_until_ms,
                    see(r, lies.number).now_ms + 29 * DAY_S * 1000,
                    see(r, lies.number).now_ms + 31 * DAY_S * 1000);
    pass(r, 29 * DAY_S);
    in_batch(r, accept_it, &moves);
    assert_int_equal(pending(r, DEADLINE_ERASE), 2); /* a move writes none */
    pass(r, 2 * DAY_S);
    assert_int_equal(entries(r, LIAISON__V1__EVENT__EVENT_ERASE), 1);
    assert_true(see(r, lies.number).erased_seq > 0);
    assert_int_equal(see(r, moves.number).erased_seq, 0);
    assert_int_equal(pending(r, DEADLINE_ERASE), 1);
    uint64_t epoch = vault_epoch(r->core->vault);

    assert_int_equal(epoch, 1);
    pass(r, 27 * DAY_S);
    assert_int_equal(see(r, moves.number).erased_seq, 0);
    pass(r, 3 * DAY_S);
    assert_true(see(r, moves.number).erased_seq > 0);
    pass(r, 1000 * DAY_S);
    assert_int_equal(see(r, stays.number).erased_seq, 0);
    assert_int_equal(entries(r, LIAISON__V1__EVENT__EVENT_ERASE), 2);
    assert_int_equal(metrics_get(&r->metrics, METRIC_RETIRED), 2);
    assert_int_equal(vault_epoch(r->core->vault), 2);
}

static void what_is_erased_awaits_no_answer_and_its_alerts_are_gone(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want told = answer(14 * DAY_S, 0, who, 1), waits = answer(0, 12, who, 1);

    told.keep_s = waits.keep_s = 20 * DAY_S;
    told = awaited(r, told);
    waits = awaited(r, waits);
    pass(r, 14 * DAY_S);
    assert_int_equal(alerts(r, DIRECTION) + alerts(r, PRISON), 2);
    pass(r, 7 * DAY_S);
    assert_int_equal(entries(r, LIAISON__V1__EVENT__EVENT_ERASE), 2);
    assert_int_equal(alerts(r, DIRECTION) + alerts(r, PRISON), 0);
    assert_int_equal(pending(r, DEADLINE_ANSWER) + pending(r, DEADLINE_ERASE), 0);
    pass(r, 365 * DAY_S);
    assert_int_equal(escalations(r), 1);
}

/* ------------------------------------------------------------ many, and what is damaged */

static void many_are_due_at_once_a_part_at_a_time(void **state)
{
    enum { MANY = 2500, AT_ONCE = 1024 };
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want w = answer(14 * DAY_S, 0, who, 1);

    w.copies = MANY;
    w.keep_s = 20 * DAY_S;
    w = awaited(r, w);
    for (size_t done = 0; done < MANY; done += AT_ONCE) {
        pass(r, done == 0 ? 14 * DAY_S : 0);
        assert_int_equal(escalations(r), done + AT_ONCE < MANY ? done + AT_ONCE : MANY);
    }
    for (size_t done = 0; done < MANY; done += AT_ONCE) {
        pass(r, done == 0 ? 7 * DAY_S : 0);
        assert_int_equal(entries(r, LIAISON__V1__EVENT__EVENT_ERASE),
                         done + AT_ONCE < MANY ? done + AT_ONCE : MANY);
    }
    assert_int_equal(pending(r, DEADLINE_ANSWER) + pending(r, DEADLINE_ERASE), 0);
}

static void spoil(struct batch *b, void *want)
{
    uint8_t key[8];

    be64_put(key, ((const struct want *)want)->number);
    store_put(b->tx, T_REFERRAL, slice(key, sizeof key), slice_text("damage"));
    b->mends = true;
}

/* An erasure wraps the keys of all its group anew, so it waits too. */
static void what_cannot_be_read_waits_and_the_rest_goes_on(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want bad = answer(14 * DAY_S, 0, who, 1);

    bad.keep_s = 14 * DAY_S;
    bad = awaited(r, bad);
    struct want good = bad;

    good = awaited(r, good);
    in_batch(r, spoil, &bad);
    pass(r, 15 * DAY_S);
    assert_int_equal(escalations(r), 1);
    assert_true(see(r, good.number).n_told > 0);
    assert_int_equal(pending(r, DEADLINE_ANSWER), 1);
    assert_int_equal(pending(r, DEADLINE_ERASE), 2);
    pass(r, 120);
    assert_int_equal(escalations(r), 1);
}

static void unlead(struct batch *b, void *want)
{
    const struct want *w = want;
    const struct item *i = item_get(b, w->number);

    deadline_take_out(b, DEADLINE_ANSWER, i->row.answer_at, w->number);
    deadline_take_out(b, DEADLINE_ERASE, i->row.erase_at, w->number);
    store_put(b->tx, T_DEADLINE, slice("\1.......nowhere.", DEADLINE_KEY),
              slice(NULL, 0));
    b->mends = true;
}

static void look_again(struct batch *b, void *arg)
{
    (void)arg;
    index_look(b, 0, 100);
}

static void a_row_that_is_lost_is_put_back_and_one_that_leads_nowhere_goes(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want w = answer(14 * DAY_S, 0, who, 1);

    w.keep_s = 20 * DAY_S;
    w = awaited(r, w);
    in_batch(r, unlead, &w);
    in_batch(r, look_again, NULL);
    pass(r, 14 * DAY_S);
    assert_int_equal(escalations(r), 1);
    pass(r, 7 * DAY_S);
    assert_int_equal(entries(r, LIAISON__V1__EVENT__EVENT_ERASE), 1);
}

static void forget_clock(struct batch *b, void *arg)
{
    const uint8_t key[] = {DEADLINE_CLOCK};

    (void)arg;
    store_delete(b->tx, T_DEADLINE, slice(key, sizeof key));
    b->mends = true;
}

static void a_store_without_an_answer_clock_begins_one(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want w = awaited(r, answer(14 * DAY_S, 0, who, 1));

    in_batch(r, forget_clock, NULL);
    assert_int_equal(pending(r, DEADLINE_CLOCK), 0);
    down(r, 6 * DAY_S);
    in_batch(r, accept_it, &(struct want){.number = awaited(r, w).number});
    assert_int_equal(pending(r, DEADLINE_CLOCK), 1);
    assert_int_equal(r->core->deadlines.clock.paused_ns, 0);
    pass(r, 8 * DAY_S);
    assert_int_equal(escalations(r), 1);
}

/* ------------------------------------------------------------ a full store */

static void fill(struct batch *b, void *arg)
{
    static uint8_t bytes[4096];
    uint64_t *n = arg;
    uint8_t key[8];

    be64_put(key, ++*n);
    store_put(b->tx, T_RULES, slice(key, sizeof key), slice(bytes, sizeof bytes));
    b->mends = true;
}

static void make_room(struct batch *b, void *arg)
{
    uint8_t key[8];

    for (uint64_t n = *(uint64_t *)arg; n > 0; n--) {
        be64_put(key, n);
        store_delete(b->tx, T_RULES, slice(key, sizeof key));
    }
    b->mends = true;
}

static void in_a_full_store_answers_wait_and_what_is_kept_is_erased(void **state)
{
    struct rig *r = *state;
    uint32_t who[] = {DIRECTION};
    struct want w = answer(14 * DAY_S, 0, who, 1), kept = {.keep_s = 14 * DAY_S};
    enum liaison_code code = LIAISON_OK;
    uint64_t n = 0;

    w = awaited(r, w);
    in_batch(r, make, &kept);
    while (code == LIAISON_OK)
        code = batch_alone(r->core, arena, false, fill, &n);
    assert_int_equal(code, LIAISON_FULL);
    ahead_ns += 15 * DAY_S * S;
    assert_int_equal(batch_alone(r->core, arena, true, idle, NULL), LIAISON_OK);
    for (int i = 0; i < 3; i++) {
        bool more = false;

        ahead_ns += 120 * S;
        assert_int_equal(deadline_run(r->core, arena, &more), LIAISON_OK);
        assert_false(more);
        assert_int_equal(escalations(r), 0);
    }
    assert_int_equal(entries(r, LIAISON__V1__EVENT__EVENT_ERASE), 1);
    assert_int_equal(batch_alone(r->core, arena, true, make_room, &n), LIAISON_OK);
    pass(r, 120);
    pass(r, 120);
    assert_int_equal(escalations(r), 1);
    assert_int_equal(see(r, w.number).n_told, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(the_time_to_answer_begins_with_the_first_delivery),
        TEST(silence_is_escalated_once),
        TEST(an_answer_in_time_ends_the_wait),
        TEST(of_two_times_the_earlier_counts_and_both_when_they_tie),
        TEST(months_are_the_calendars),
        TEST(while_the_broker_is_down_no_time_to_answer_passes),
        TEST(while_the_clock_is_held_nothing_is_due_and_no_time_passes),
        TEST(what_is_kept_long_enough_is_erased_and_a_move_begins_anew),
        TEST(what_is_erased_awaits_no_answer_and_its_alerts_are_gone),
        TEST(many_are_due_at_once_a_part_at_a_time),
        TEST(what_cannot_be_read_waits_and_the_rest_goes_on),
        TEST(a_row_that_is_lost_is_put_back_and_one_that_leads_nowhere_goes),
        TEST(a_store_without_an_answer_clock_begins_one),
        cmocka_unit_test_setup_teardown(
            in_a_full_store_answers_wait_and_what_is_kept_is_erased, begin_small, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
