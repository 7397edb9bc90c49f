/* What is due: who has not answered in time is escalated, and what was kept long enough is erased. Each happens in the commit that
 * takes its row out of the deadline table, so it happens once. */
#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"

enum {
    LOOK_EVERY_MS = 1000,
    RETRY_MS = 60000,   /* until what found no room, or damage, is tried again */
    AT_ONCE = 1024,     /* of one batch */
    GROUPS_AT_ONCE = 16 /* that an erasure wraps anew */
};

static const uint64_t MS = 1000000;

struct due {
    uint64_t at_ms, number;
};

/* Rows of a kind, the earliest first. */
struct look {
    struct due list[AT_ONCE];
    size_t n;
};

static int look_row(void *arg, struct slice key, struct slice value)
{
    struct look *l = arg;

    (void)value;
    if (key.n == DEADLINE_KEY)
        l->list[l->n++] = (struct due){be64_get(key.p + 1), be64_get(key.p + 9)};
    return 0;
}

static bool look(struct batch *b, enum deadline kind, size_t n, struct look *l)
{
    const uint8_t from[] = {(uint8_t)kind}, to[] = {(uint8_t)(kind + 1)};
    enum liaison_code code = store_batch_scan(b->tx, T_DEADLINE, slice(from, sizeof from),
                                              slice(to, sizeof to), n, look_row, l);

    return code == LIAISON_OK || (batch_fail(b, code), false);
}

/* One run over what is due of a kind. */
struct run {
    enum deadline kind;
    uint64_t first_ms; /* of what is left */
    size_t happened;
};

/* The referral that a row leads to, fit to be worked on. NULL: there is none, or *damaged: it cannot be read, and waits for
 * whoever restores it; or b->failed says more. */
static struct item *due_item(struct batch *b, uint64_t number, bool *damaged)
{
    struct item *i = index_item(b, number);

    if (i != NULL && !item_erased(i) && item_keys(b, i) != LIAISON_OK)
        i = NULL;
    *damaged = b->failed == LIAISON_DAMAGED;
    if (!*damaged)
        return i;
    b->failed = LIAISON_OK; /* nothing was done with it yet */
    log_error("deadline.damaged", "referral=%llu what=\"%s\"", (unsigned long long)number,
              "what is due of it waits: it cannot be read");
    return NULL;
}

/* Lets `happen` see each that is due until it says that it is enough. */
typedef bool due_work(struct batch *b, struct item *i, void *arg);

static void each_due(struct batch *b, struct run *r, uint64_t now_ms, due_work *happen,
                     void *arg)
{
    struct look *l = arena_zero(b->arena, sizeof *l);

    if (l == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    if (!look(b, r->kind, AT_ONCE, l))
        return;
    for (size_t n = 0; n < l->n && l->list[n].at_ms <= now_ms; n++) {
        const struct due *d = &l->list[n];
        bool damaged;
        struct item *i = due_item(b, d->number, &damaged);
        uint64_t at = i == NULL                    ? 0
                      : r->kind == DEADLINE_ANSWER ? i->row.answer_at
                                                   : i->row.erase_at;

        if (b->failed != LIAISON_OK)
            return;
        if (damaged)
            continue;
        b->mends = true;
        if (at != d->at_ms) /* it leads nowhere */
            deadline_take_out(b, r->kind, d->at_ms, d->number);
        else if (!happen(b, i, arg))
            return;
    }
}

/* When the earliest of what is left is due. */
static void see_first(struct batch *b, struct run *r)
{
    struct look *l = b->failed == LIAISON_OK ? arena_zero(b->arena, sizeof *l) : NULL;

    if (l != NULL && look(b, r->kind, 1, l))
        r->first_ms = l->n > 0 ? l->list[0].at_ms : UINT64_MAX;
}

/* ------------------------------------------------------------ nobody has answered */

/* Who has its work by now, if the rules say that it was merged. */
static struct party *target(struct batch *b, uint32_t number)
{
    struct party *named = party_numbered(b->core, number);
    const struct rules_agency *a = named == NULL ? NULL : batch_successor(b, named->name);
    struct party *p = a == NULL ? named : party_named(b->core, a->name);

    if (p == NULL)
        batch_fail(b, named == NULL ? LIAISON_DAMAGED : LIAISON_MEMORY);
    return p;
}

static bool tell(struct batch *b, struct item *i, struct party *to, struct recorded *made)
{
    struct party *self = broker_party(b);
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_ESCALATE,
        .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
        .referral_id = binary_slice(i->row.id),
    };

    if (self == NULL || !record(b, &f, self, to, i, false, made))
        return false;
    if (!item_knows(i, to))
        i->row.told[i->row.n_told++] = to->number;
    mail_alert(b, to, i, LIAISON__V1__FLAG__FLAG_ESCALATED, made->seq);
    return true;
}

static size_t targets(const Liaison__Rows__V1__Referral *row)
{
    size_t n = 0;

    for (size_t i = 0; i < row->n_answers; i++)
        n += row->answers[i]->n_escalate;
    return n;
}

/* Room for all that may be told besides those who were. */
static bool make_room(struct batch *b, Liaison__Rows__V1__Referral *row)
{
    uint32_t *told =
        arena_alloc(b->arena, (row->n_told + targets(row) + 1) * sizeof *told);

    if (told == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t i = 0; i < row->n_told; i++)
        told[i] = row->told[i];
    row->told = told;
    return true;
}

/* Each target once, and the sender of the first entry that there is. */
static bool tell_all(struct batch *b, struct item *i)
{
    struct party **all =
        arena_alloc(b->arena, (targets(&i->row) + 1) * sizeof(struct party *));
    struct recorded made, first = {0};
    size_t n = 0;

    if (all == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t a = 0; a < i->row.n_answers; a++)
        for (size_t e = 0; e < i->row.answers[a]->n_escalate; e++) {
            struct party *to = target(b, i->row.answers[a]->escalate[e]);
            size_t same = 0;

            while (same < n && all[same] != to)
                same++;
            if (to == NULL)
                return false;
            if (same < n)
                continue;
            if (!tell(b, i, to, &made))
                return false;
            first = n == 0 ? made : first;
            all[n++] = to;
        }
    for (size_t t = 0; t < n; t++)
        if (all[t]->number == i->row.from)
            return true;
    mail_alert(b, party_numbered(b->core, i->row.from), i,
               LIAISON__V1__FLAG__FLAG_ESCALATED, first.seq);
    return true;
}

static bool escalate(struct batch *b, struct item *i, void *arg)
{
    struct run *r = arg;

    deadline_answered(b, i);
    item_flag(i, LIAISON__V1__FLAG__FLAG_ESCALATED, true);
    r->happened++;
    return make_room(b, &i->row) && tell_all(b, i);
}

static void escalate_due(struct batch *b, void *arg)
{
    struct run *r = arg;

    each_due(b, r, answer_clock_of(&b->core->deadlines.clock, b->time_ns) / MS, escalate,
             r);
    see_first(b, r);
}

/* ------------------------------------------------------------ kept long enough */

struct kept {
    struct run *run;
    struct item *items[AT_ONCE];
    size_t n;
    uint64_t groups[GROUPS_AT_ONCE];
    size_t n_groups;
};

/* True if its group is among those that this batch wraps anew. */
static bool group_taken(struct kept *k, uint64_t number)
{
    uint64_t group = number >> VAULT_GROUP_BITS;

    for (size_t g = 0; g < k->n_groups; g++)
        if (k->groups[g] == group)
            return true;
    if (k->n_groups == GROUPS_AT_ONCE)
        return false;
    k->groups[k->n_groups++] = group;
    return true;
}

/* What has moved meanwhile is put off; the rest waits for the end of the batch. */
static bool keep_or_take(struct batch *b, struct item *i, void *arg)
{
    struct kept *k = arg;

    if (deadline_keep_until_ms(&i->row) > b->time_ns / MS) {
        deadline_put_off(b, i);
        return true;
    }
    if (!group_taken(k, i->number))
        return false;
    k->items[k->n++] = i;
    return true;
}

static void erase_due(struct batch *b, void *arg)
{
    struct kept *k = arena_zero(b->arena, sizeof *k);
    struct run *r = arg;

    if (k == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    each_due(b, r, b->time_ns / MS, keep_or_take, k);
    if (b->failed == LIAISON_OK && erase_items(b, k->items, k->n, "retention", NULL))
        r->happened = k->n;
    see_first(b, r);
}

/* ------------------------------------------------------------ once a second */

/* Nothing happens while the clock is held, or while nothing new is taken. */
static bool stands_still(const struct core *core)
{
    return core->evidence || core->clock.held || notes_overdue(core);
}

static bool is_due(const struct core *core, enum deadline kind)
{
    const struct deadlines *d = &core->deadlines;
    uint64_t now_ns = kind == DEADLINE_ANSWER
                          ? answer_clock_of(&d->clock, d->clock.alive_ns)
                          : d->clock.alive_ns;

    return d->first_ms[kind] <= now_ns / MS;
}

static enum liaison_code run(struct core *core, struct arena *arena, struct run *r)
{
    bool erases = r->kind == DEADLINE_ERASE;
    enum liaison_code done =
        batch_alone(core, arena, erases, erases ? erase_due : escalate_due, r);
    enum liaison_code end = erases ? erase_turn(core, done, r->happened, &done) : done;

    if (done == LIAISON_OK) {
        core->deadlines.first_ms[r->kind] = r->first_ms;
        metrics_add(core->settings.metrics, erases ? METRIC_RETIRED : METRIC_ESCALATED,
                    (int64_t)r->happened);
    } else {
        core->deadlines.looked_ms += RETRY_MS;
        r->happened = 0;
        log_error("deadline.failed", "code=%s what=\"%s\"", err_name(done),
                  "what is due waits, and is tried again");
    }
    return end == LIAISON_FULL || end == LIAISON_MEMORY || end == LIAISON_DAMAGED
               ? LIAISON_OK
               : end;
}

static void keep_time(struct batch *b, void *arg)
{
    (void)b, (void)arg; /* the answer clock goes with every batch for which it is due */
}

enum liaison_code deadline_run(struct core *core, struct arena *arena, bool *more)
{
    struct run answers = {.kind = DEADLINE_ANSWER}, erasures = {.kind = DEADLINE_ERASE};
    uint64_t now_ms = core_clock_ns(CLOCK_MONOTONIC) / 1000000;
    enum liaison_code code = LIAISON_OK;

    if (core->evidence || now_ms < core->deadlines.looked_ms + LOOK_EVERY_MS)
        return LIAISON_OK;
    core->deadlines.looked_ms = now_ms;
    if (!stands_still(core) && is_due(core, DEADLINE_ANSWER))
        code = run(core, arena, &answers);
    if (code == LIAISON_OK && !stands_still(core) && is_due(core, DEADLINE_ERASE))
        code = run(core, arena, &erasures);
    if (code == LIAISON_OK && deadline_time_due(core, core->deadlines.clock.alive_ns))
        code = batch_alone(core, arena, true, keep_time, NULL);
    *more = *more || answers.happened > 0;
    return code == LIAISON_FULL ? LIAISON_OK : code;
}
