/* Deadlines: by when a referral has to be answered, and how long it is kept. The referral's row is the truth; the table, ordered by
 * time, only leads to it. What is due is done in due.c. */
#include "broker/core/state.h"
#include "proto/valid.h"

static const uint64_t MS = 1000000, SECOND = 1000000000, DAY_MS = 86400000;
static const uint64_t KEEP_TIME_EVERY = 10, WRITE_TIME_EVERY = 60; /* seconds */

static struct slice deadline_key(enum deadline kind, uint64_t at_ms, uint64_t number,
                                 uint8_t key[DEADLINE_KEY])
{
    key[0] = (uint8_t)kind;
    be64_put(key + 1, at_ms);
    be64_put(key + 9, number);
    return slice(key, DEADLINE_KEY);
}

static void put(struct batch *b, enum deadline kind, uint64_t at_ms, uint64_t number)
{
    uint64_t *first = &b->core->deadlines.first_ms[kind];
    uint8_t key[DEADLINE_KEY];

    store_put(b->tx, T_DEADLINE, deadline_key(kind, at_ms, number, key), slice(NULL, 0));
    *first = at_ms < *first ? at_ms : *first;
}

void deadline_take_out(struct batch *b, enum deadline kind, uint64_t at_ms,
                       uint64_t number)
{
    uint8_t key[DEADLINE_KEY];

    store_delete(b->tx, T_DEADLINE, deadline_key(kind, at_ms, number, key));
}

/* ------------------------------------------------------------ the answer clock */

struct kept_clock {
    struct deadlines *deadlines;
    enum liaison_code code;
};

static int clock_row(void *arg, struct slice key, struct slice value)
{
    struct kept_clock *k = arg;
    struct arena *a = arena_new();
    const void *m;

    (void)key;
    k->code = a == NULL
                  ? LIAISON_MEMORY
                  : valid_decode(&liaison__rows__v1__pause__descriptor, value, a, &m);
    if (k->code == LIAISON_OK) {
        const Liaison__Rows__V1__Pause *p = m;

        answer_clock_start(&k->deadlines->clock, p->paused_ns, p->alive_ns);
        k->deadlines->kept_ns = p->alive_ns;
    } else if (k->code != LIAISON_MEMORY) {
        k->code = LIAISON_DAMAGED;
    }
    arena_free(a);
    return 1;
}

static const uint8_t CLOCK_KEY[] = {DEADLINE_CLOCK}, BEHIND_CLOCK[] = {DEADLINE_ANSWER};

enum liaison_code deadline_open(struct core *c)
{
    struct kept_clock k = {.deadlines = &c->deadlines};
    enum liaison_code code =
        store_scan(c->store, T_DEADLINE, slice(CLOCK_KEY, sizeof CLOCK_KEY),
                   slice(BEHIND_CLOCK, sizeof BEHIND_CLOCK), 1, clock_row, &k);

    return code == LIAISON_OK ? k.code : code;
}

bool deadline_time_due(const struct core *c, uint64_t now_ns)
{
    return c->deadlines.first_ms[DEADLINE_ANSWER] != UINT64_MAX &&
           now_ns - c->deadlines.kept_ns >= WRITE_TIME_EVERY * SECOND;
}

/* With what is written anyway; and by itself, while somebody's answer is awaited. */
static bool time_due(const struct batch *b)
{
    bool written = b->seq != b->core->head.size || b->mends;

    return (written &&
            b->time_ns - b->core->deadlines.kept_ns >= KEEP_TIME_EVERY * SECOND) ||
           deadline_time_due(b->core, b->time_ns);
}

void deadline_keep_time(struct batch *b)
{
    Liaison__Rows__V1__Pause p = LIAISON__ROWS__V1__PAUSE__INIT;
    uint8_t bytes[64];

    if (!time_due(b))
        return;
    p.paused_ns = b->core->deadlines.clock.paused_ns;
    p.alive_ns = b->time_ns;
    store_put(b->tx, T_DEADLINE, slice(CLOCK_KEY, sizeof CLOCK_KEY),
              slice(bytes, liaison__rows__v1__pause__pack(&p, bytes)));
    b->mends = b->timed = true;
}

/* ------------------------------------------------------------ what a referral waits for */

/* A length of time from a moment on, in milliseconds; 0: it never ends. */
static uint64_t ends_ms(struct rules_span s, uint64_t from_ms)
{
    uint64_t end_s = rules_span_ends(s, from_ms / 1000);

    return end_s == UINT64_MAX ? 0 : end_s * 1000 + from_ms % 1000;
}

static uint64_t answer_ends_ms(const Liaison__Rows__V1__Answer *a, uint64_t from_ms)
{
    return ends_ms((struct rules_span){a->fixed_s, a->months}, from_ms);
}

static bool awaits_answer(const Liaison__Rows__V1__Referral *row)
{
    return row->erased_seq == 0 && (row->state == LIAISON__V1__STATE__STATE_REQUESTED ||
                                    row->state == LIAISON__V1__STATE__STATE_RECEIVED);
}

void deadline_answered(struct batch *b, struct item *i)
{
    if (i->row.answer_at == 0)
        return;
    deadline_take_out(b, DEADLINE_ANSWER, i->row.answer_at, i->number);
    i->row.answer_at = 0;
    i->dirty = true;
}

void deadline_drop(struct batch *b, struct item *i)
{
    deadline_answered(b, i);
    if (i->row.erase_at == 0)
        return;
    deadline_take_out(b, DEADLINE_ERASE, i->row.erase_at, i->number);
    i->row.erase_at = 0;
    i->dirty = true;
}

/* At the end of the day, so that a day's erasures replace the key file's key together, and a backup is good for a day. */
uint64_t deadline_keep_until_ms(const Liaison__Rows__V1__Referral *row)
{
    uint64_t end_ms =
        row->erased_seq != 0
            ? 0
            : ends_ms((struct rules_span){row->keep_fixed_s, row->keep_months},
                      row->moved_unix_ms);

    return (end_ms + DAY_MS - 1) / DAY_MS * DAY_MS;
}

static void put_erasure(struct batch *b, struct item *i)
{
    i->row.erase_at = deadline_keep_until_ms(&i->row);
    i->dirty = true;
    if (i->row.erase_at != 0)
        put(b, DEADLINE_ERASE, i->row.erase_at, i->number);
}

void deadline_put_off(struct batch *b, struct item *i)
{
    deadline_take_out(b, DEADLINE_ERASE, i->row.erase_at, i->number);
    put_erasure(b, i);
}

/* A move writes no deadline: one that comes too early is put off when it is met. */
void deadline_moved(struct batch *b, struct item *i)
{
    if (!awaits_answer(&i->row))
        deadline_answered(b, i);
    if (i->row.erase_at == 0)
        put_erasure(b, i);
}

/* From the moment on, by ledger time, the ends are compared; what ends later than another does not count any more. */
static uint64_t first_end_ms(Liaison__Rows__V1__Referral *row, uint64_t from_ms)
{
    uint64_t first = UINT64_MAX;
    size_t n = 0;

    for (size_t i = 0; i < row->n_answers; i++) {
        uint64_t end = answer_ends_ms(row->answers[i], from_ms);

        first = end != 0 && end < first ? end : first;
    }
    for (size_t i = 0; i < row->n_answers; i++)
        if (answer_ends_ms(row->answers[i], from_ms) == first)
            row->answers[n++] = row->answers[i];
    row->n_answers = n;
    return first;
}

void deadline_delivered(struct batch *b, struct item *i)
{
    uint64_t now_ms = b->time_ns / MS;

    if (i->row.n_answers == 0 || i->row.answer_at != 0 || !awaits_answer(&i->row) ||
        item_has(i, LIAISON__V1__FLAG__FLAG_ESCALATED))
        return;
    uint64_t end_ms = first_end_ms(&i->row, now_ms);

    if (end_ms == UINT64_MAX)
        return;
    i->row.answer_at =
        answer_clock_of(&b->core->deadlines.clock, b->time_ns) / MS + (end_ms - now_ms);
    put(b, DEADLINE_ANSWER, i->row.answer_at, i->number);
    i->dirty = true;
}

uint64_t deadline_answer_by_ms(const struct batch *b, const struct item *i)
{
    return i->row.answer_at == 0
               ? 0
               : i->row.answer_at + b->core->deadlines.clock.paused_ns / MS;
}

/* ------------------------------------------------------------ put right */

static bool there(struct batch *b, enum deadline kind, uint64_t at_ms, uint64_t number)
{
    uint8_t key[DEADLINE_KEY];
    struct slice value;

    return at_ms == 0 ||
           store_get(b->tx, T_DEADLINE, deadline_key(kind, at_ms, number, key), &value) ==
               LIAISON_OK;
}

bool deadline_whole(struct batch *b, const Liaison__Rows__V1__Referral *row,
                    uint64_t number)
{
    return there(b, DEADLINE_ANSWER, row->answer_at, number) &&
           there(b, DEADLINE_ERASE, row->erase_at, number);
}

void deadline_mend(struct batch *b, uint64_t number)
{
    struct item *i = item_get(b, number);

    if (i == NULL)
        return;
    if (i->row.answer_at != 0)
        put(b, DEADLINE_ANSWER, i->row.answer_at, number);
    if (i->row.erase_at != 0)
        put(b, DEADLINE_ERASE, i->row.erase_at, number);
}
