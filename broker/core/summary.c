/* Summaries: a commitment to every party's counter, so that whoever searches can know that nothing was left out. */
#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/commit.h"
#include "proto/valid.h"

enum {
    PARTIES_AN_ENTRY = 256,
    EVERY = 4096, /* entries */
};

static const uint64_t DAY_NS = 86400ULL * 1000000000;

/* ------------------------------------------------------------ when */

struct last {
    struct arena *arena;
    struct summaries *found;
    bool done;
};

static int look_back(void *arg, struct slice key, struct slice value)
{
    struct last *l = arg;
    const void *m;

    arena_reset(l->arena);
    if (key.n != 8 || valid_decode(&liaison__v1__ledger_entry__descriptor, value,
                                   l->arena, &m) != LIAISON_OK)
        return 1;
    const Liaison__V1__LedgerEntry *e = m;

    l->found->number = be64_get(key.p);
    l->found->day = e->time_ns / DAY_NS;
    return e->event == LIAISON__V1__EVENT__EVENT_SUMMARY;
}

/* Where none is found within what one may be apart, one is due at the next batch. */
enum liaison_code summary_open(struct core *c)
{
    struct last l = {.arena = arena_new(), .found = &c->summaries};

    if (l.arena == NULL)
        return LIAISON_MEMORY;
    c->summaries.day = c->time_ns / DAY_NS;
    enum liaison_code code = store_scan_back(c->store, T_ENTRY, slice(NULL, 0),
                                             slice(NULL, 0), EVERY, look_back, &l);

    arena_free(l.arena);
    return code;
}

/* ------------------------------------------------------------ writing one */

struct summing {
    const struct party *about; /* whose commitment is asked for; NULL: nobody's */
    struct slice entry;        /* that holds it */
    uint64_t counter;
    uint8_t opening[32];
};

static bool commit_party(struct batch *b, struct party *p, struct summing *s,
                         uint8_t out[32])
{
    const struct vault_keys *keys;
    uint8_t opening[32];
    enum liaison_code code = party_month_keys(b, p, &keys);

    if (code != LIAISON_OK)
        return batch_fail(b, code), false;
    vault_opening(b->core->hash, keys, b->seq, opening);
    commit_summary(b->core->hash, opening, p->name, p->counter, out);
    if (p == s->about) {
        memcpy(s->opening, opening, sizeof opening);
        s->counter = p->counter;
    }
    return true;
}

/* One entry, about the parties of `numbers` first + 1 to first + n. */
static bool sum_up(struct batch *b, struct party *self, size_t first, size_t n,
                   struct summing *s)
{
    ProtobufCBinaryData *list = arena_alloc(b->arena, n * sizeof *list);
    uint8_t *room = arena_alloc(b->arena, n * 32);
    struct recorded made;
    struct ledger_fact f = {.event = LIAISON__V1__EVENT__EVENT_SUMMARY,
                            .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                            .count = b->core->n_parties,
                            .summary = list,
                            .n_summary = n};
    bool here =
        s->about != NULL && s->about->number > first && s->about->number <= first + n;

    if (list == NULL || room == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t i = 0; i < n; i++) {
        if (!commit_party(b, b->core->parties[first + i], s, room + 32 * i))
            return false;
        list[i] = (ProtobufCBinaryData){32, room + 32 * i};
    }
    if (!record(b, &f, self, NULL, NULL, false, &made))
        return false;
    if (here)
        s->entry = made.entry;
    return true;
}

static bool summarize(struct batch *b, struct summing *s)
{
    struct party *self = broker_party(b); /* counted too, so made before the counting */
    size_t n_parties = b->core->n_parties;

    if (self == NULL)
        return false;
    for (size_t first = 0; first < n_parties; first += PARTIES_AN_ENTRY) {
        size_t n =
            n_parties - first < PARTIES_AN_ENTRY ? n_parties - first : PARTIES_AN_ENTRY;

        if (!sum_up(b, self, first, n, s))
            return false;
    }
    b->summaries = (struct summaries){b->seq - 1, b->time_ns / DAY_NS};
    return true;
}

void summary_if_due(struct batch *b)
{
    struct summing s = {0};

    if (b->core->head.size == 0)
        b->summaries.day = b->time_ns / DAY_NS;
    if (b->seq == b->core->head.size ||
        (b->seq - b->summaries.number < EVERY && b->time_ns / DAY_NS == b->summaries.day))
        return;
    if (!summarize(b, &s) && b->failed == LIAISON_OK)
        batch_fail(b, LIAISON_MEMORY);
}

/* ------------------------------------------------------------ Summarize */

/* An agency may ask about itself, an auditor about the agencies of its area. */
static bool may_ask(const struct core *c, const struct session *s, const char *agency)
{
    const char *area =
        s->role == TLS_AUDITOR ? rules_auditor_area(c->settings.rules, s->name) : NULL;
    const struct rules_agency *a = rules_agency(c->settings.rules, agency);

    if (s->role == TLS_AGENCY)
        return strcmp(agency, s->name) == 0;
    return area != NULL &&
           (strcmp(area, "any") == 0 || (a != NULL && rules_area_within(a->area, area)));
}

void summarize_call(struct batch *b, struct call *c, struct session *s)
{
    const char *agency = c->frame->summarize->agency;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Summary summary = LIAISON__V1__SUMMARY__INIT;
    struct summing made = {.about = party_find(b->core, agency)};
    enum liaison_code code = c->code;

    if (code == LIAISON_OK && !may_ask(b->core, s, agency))
        code = LIAISON_ROLE;
    if (code == LIAISON_OK && made.about == NULL)
        code = LIAISON_NOT_FOUND;
    if (code != LIAISON_OK) {
        const struct denial d = {
            .code = code,
            .text = code == LIAISON_NOT_FOUND ? "no entry concerns that agency" : c->why,
            .event = LIAISON__V1__EVENT__EVENT_SUMMARY};

        core_refused(b, c, s, &d);
        return;
    }
    if (!summarize(b, &made))
        return;
    summary.entry =
        (ProtobufCBinaryData){made.entry.n, (uint8_t *)(uintptr_t)made.entry.p};
    summary.counter = made.counter;
    summary.opening = (ProtobufCBinaryData){sizeof made.opening, made.opening};
    f.body_case = LIAISON__V1__FRAME__BODY_SUMMARY;
    f.summary = &summary;
    core_answer(b, c, &f);
}
