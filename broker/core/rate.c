/* How many referrals each rule let each sender send within the last hour: in memory, and recounted from the log at start, or
 * when the first rule that limits a rate comes later. */
#include <stdlib.h>

#include "broker/core/state.h"
#include "proto/valid.h"

/* A referral of the minute that is running may be 61 minutes younger than the oldest that still counts: so no hour, wherever it
 * begins, has more than the rule says. */
enum { MINUTES = 61, MINUTE_S = 60, SWEPT_AT = 1024 };

struct count {
    uint8_t rule[32];
    uint32_t sender;
    uint64_t newest; /* minute since 1970 that it was counted in last */
    uint32_t minutes[MINUTES];
};

struct rates {
    struct map *counts; /* by hash of rule and sender; see find_place() */
    size_t n, sweep_at; /* counts there are; at so many the old ones are let go */
    bool recounted;
};

/* Something counted that must not have been if the batch fails. */
struct rated {
    struct count *count;
    uint64_t minute;
    struct rated *next;
};

static uint64_t minute_of(uint64_t time_ns)
{
    return time_ns / 1000000000 / MINUTE_S;
}

/* Rules' ids are hashes already. */
static struct count *find_place(const struct rates *r, const uint8_t rule[32],
                                uint32_t sender, uint64_t *key)
{
    struct count *c;

    *key = be64_get(rule) ^ (uint64_t)sender * 0x9e3779b97f4a7c15ULL;
    while ((c = map_get(r->counts, *key)) != NULL &&
           (c->sender != sender || memcmp(c->rule, rule, sizeof c->rule) != 0))
        (*key)++;
    return c;
}

/* Forgets the minutes that are an hour ago. */
static void move_on(struct count *c, uint64_t minute)
{
    if (minute <= c->newest)
        return;
    for (uint64_t m = c->newest + 1; m <= minute && m <= c->newest + MINUTES; m++)
        c->minutes[m % MINUTES] = 0;
    c->newest = minute;
}

static uint64_t sum(const struct count *c)
{
    uint64_t n = 0;

    for (size_t m = 0; m < MINUTES; m++)
        n += c->minutes[m];
    return n;
}

static bool is_live(const struct count *c, uint64_t minute)
{
    return c->newest + MINUTES > minute;
}

static bool keep_live(const struct rates *r, uint64_t minute, struct rates *kept)
{
    uint64_t key;
    size_t i = 0;
    void *c;

    while (map_next(r->counts, &i, &key, &c)) {
        const struct count *live = c;

        if (!is_live(live, minute))
            continue;
        find_place(kept, live->rule, live->sender, &key);
        if (!map_put(&kept->counts, key, c))
            return false;
        kept->n++;
    }
    return true;
}

/* Lets go of those that counted nothing within the hour, so that memory is bounded by what an hour brings. */
static void sweep(struct rates *r, uint64_t minute)
{
    struct rates kept = {.recounted = r->recounted};
    uint64_t key;
    size_t i = 0;
    void *c;

    if (!keep_live(r, minute, &kept)) {
        map_free(kept.counts); /* another time */
        return;
    }
    while (map_next(r->counts, &i, &key, &c))
        if (!is_live(c, minute))
            free(c);
    map_free(r->counts);
    kept.sweep_at = 2 * kept.n > SWEPT_AT ? 2 * kept.n : SWEPT_AT;
    *r = kept;
}

static struct count *count_of(struct rates *r, const uint8_t rule[32], uint32_t sender,
                              uint64_t minute)
{
    uint64_t key;
    struct count *c = find_place(r, rule, sender, &key);

    if (c == NULL && r->n >= r->sweep_at) {
        sweep(r, minute);
        c = find_place(r, rule, sender, &key);
    }
    if (c == NULL && (c = calloc(1, sizeof *c)) != NULL) {
        memcpy(c->rule, rule, sizeof c->rule);
        c->sender = sender;
        c->newest = minute;
        if (!map_put(&r->counts, key, c)) {
            free(c);
            return NULL;
        }
        r->n++;
    }
    return c;
}

/* ------------------------------------------------------------ from the log */

struct recount {
    struct core *core;
    struct arena *scratch;
    uint64_t since_ns;
    enum liaison_code code;
};

/* Minutes fall as the log is read backwards: a count's newest is its first. */
static bool recount_entry(struct recount *r, const Liaison__V1__LedgerEntry *e)
{
    const struct party *sender = party_find(r->core, e->agency);
    uint64_t minute = minute_of(e->time_ns);

    for (size_t n = 0; sender != NULL && n < e->n_rules; n++) {
        struct count *c =
            e->rules[n].len != sizeof c->rule
                ? NULL
                : count_of(r->core->rates, e->rules[n].data, sender->number, minute);

        if (c == NULL)
            return false;
        c->minutes[minute % MINUTES]++;
    }
    return true;
}

static int recount_row(void *arg, struct slice key, struct slice value)
{
    struct recount *r = arg;
    const void *m;

    (void)key;
    arena_reset(r->scratch);
    r->code = valid_decode(&liaison__v1__ledger_entry__descriptor, value, r->scratch, &m);
    if (r->code != LIAISON_OK)
        return 1;
    const Liaison__V1__LedgerEntry *e = m;

    if (e->time_ns < r->since_ns)
        return 1;
    if (e->event == LIAISON__V1__EVENT__EVENT_SUBMIT &&
        e->verdict == LIAISON__V1__VERDICT__VERDICT_DONE && !recount_entry(r, e))
        r->code = LIAISON_MEMORY;
    return r->code != LIAISON_OK;
}

/* What was committed within the last hour, by this process and those before it. */
static enum liaison_code recount(struct batch *b)
{
    uint64_t oldest = minute_of(b->time_ns) - (MINUTES - 1);
    struct recount r = {.core = b->core,
                        .scratch = arena_new(),
                        .since_ns = oldest * MINUTE_S * 1000000000};

    if (r.scratch == NULL)
        return LIAISON_MEMORY;
    enum liaison_code code = store_scan_back(b->core->store, T_ENTRY, slice(NULL, 0),
                                             slice(NULL, 0), SIZE_MAX, recount_row, &r);

    arena_free(r.scratch);
    if (code == LIAISON_OK)
        code = r.code;
    return code == LIAISON_MALFORMED ? LIAISON_DAMAGED : code;
}

bool rate_recount(struct batch *b)
{
    struct core *core = b->core;

    if (core->rates == NULL && (core->rates = calloc(1, sizeof *core->rates)) == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    if (core->rates->recounted)
        return true;
    core->rates->sweep_at = SIZE_MAX; /* all of the hour first */
    enum liaison_code code = recount(b);

    core->rates->sweep_at = SWEPT_AT;
    core->rates->recounted = code == LIAISON_OK;
    return code == LIAISON_OK || (batch_fail(b, code), false);
}

/* ------------------------------------------------------------ what others ask */

const struct rules_rate *rate_reached(struct batch *b, const struct rules_decision *d,
                                      const struct party *sender)
{
    uint64_t key, minute = minute_of(b->time_ns);

    if (d->n_rates == 0 || !rate_recount(b))
        return NULL;
    for (size_t n = 0; n < d->n_rates; n++) {
        struct count *c =
            find_place(b->core->rates, d->rates[n].line->id, sender->number, &key);

        if (c != NULL)
            move_on(c, minute);
        if (c != NULL && sum(c) >= d->rates[n].per_hour)
            return &d->rates[n];
    }
    return NULL;
}

void rate_taken(struct batch *b, const struct rules_decision *d,
                const struct party *sender)
{
    uint64_t minute = minute_of(b->time_ns);

    for (size_t n = 0; n < d->n_rates; n++) {
        struct count *c =
            count_of(b->core->rates, d->rates[n].line->id, sender->number, minute);
        struct rated *r = arena_alloc(b->arena, sizeof *r);

        if (c == NULL || r == NULL) {
            batch_fail(b, LIAISON_MEMORY);
            return;
        }
        move_on(c, minute);
        c->minutes[minute % MINUTES]++;
        *r = (struct rated){c, minute, b->rated};
        b->rated = r;
    }
}

void rate_undo(struct batch *b)
{
    for (const struct rated *r = b->rated; r != NULL; r = r->next)
        r->count->minutes[r->minute % MINUTES]--;
    b->rated = NULL;
}

void rate_free(struct rates *r)
{
    uint64_t key;
    size_t i = 0;
    void *c;

    while (r != NULL && map_next(r->counts, &i, &key, &c))
        free(c);
    if (r != NULL)
        map_free(r->counts);
    free(r);
}
