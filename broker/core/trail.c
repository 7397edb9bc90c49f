/* Which entries are about a referral: an index beside the log, checked when it is read and made again when it is wrong. */
#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/valid.h"

enum { CHUNK = 16 }; /* entries kept in the row before they go to the trail table */

void item_trail(struct batch *b, struct item *i, uint64_t seq)
{
    size_t n = i->row.trail.len;
    uint8_t *trail = arena_alloc(b->arena, n + 8);

    if (trail == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    if (n > 0)
        memcpy(trail, i->row.trail.data, n);
    be64_put(trail + n, seq);
    i->row.trail.data = trail;
    i->row.trail.len = n + 8;
    i->dirty = true;
    if (i->row.trail.len < CHUNK * 8)
        return;
    uint8_t key[16];

    be64_put(key, i->number);
    memcpy(key + 8, trail, 8);
    store_put(b->tx, T_TRAIL, slice(key, sizeof key), slice(trail, i->row.trail.len));
    i->row.trail.len = 0;
    i->row.trailed += CHUNK;
}

bool item_trail_whole(const Liaison__Rows__V1__Referral *row)
{
    return row->trail.len % 8 == 0 && row->trail.len < CHUNK * 8;
}

/* ------------------------------------------------------------ reading */

struct reading {
    struct trail *trail;
    uint64_t seen; /* in the table, those before `from` too */
};

static void take(struct trail *t, struct slice seqs)
{
    for (size_t i = 0; i + 8 <= seqs.n && t->n < t->room; i += 8)
        if (be64_get(seqs.p + i) >= t->from)
            memcpy(t->seqs + 8 * t->n++, seqs.p + i, 8);
}

static int table_row(void *arg, struct slice key, struct slice value)
{
    struct reading *r = arg;

    (void)key;
    r->seen += value.n / 8;
    take(r->trail, value);
    return 0;
}

static enum liaison_code read_table(struct batch *b, const struct item *i,
                                    struct trail *t, bool *whole)
{
    struct reading r = {.trail = t};
    uint8_t low[8], high[8];

    be64_put(low, i->number);
    be64_put(high, i->number + 1);
    t->n = 0;
    enum liaison_code code = store_batch_scan(b->tx, T_TRAIL, slice(low, 8),
                                              slice(high, 8), SIZE_MAX, table_row, &r);

    take(t, binary_slice(i->row.trail));
    *whole = r.seen == i->row.trailed;
    return code;
}

/* ------------------------------------------------------------ is it about this referral */

static bool leads_here(Liaison__V1__Event event)
{
    switch ((int)event) {
    case LIAISON__V1__EVENT__EVENT_SUBMIT:
    case LIAISON__V1__EVENT__EVENT_ACCEPT:
    case LIAISON__V1__EVENT__EVENT_REJECT:
    case LIAISON__V1__EVENT__EVENT_IN_PROGRESS:
    case LIAISON__V1__EVENT__EVENT_COMPLETE:
    case LIAISON__V1__EVENT__EVENT_WITHDRAW:
    case LIAISON__V1__EVENT__EVENT_RECEIVED:
    case LIAISON__V1__EVENT__EVENT_RECEIPT:
    case LIAISON__V1__EVENT__EVENT_OPEN:
    case LIAISON__V1__EVENT__EVENT_HISTORY:
    case LIAISON__V1__EVENT__EVENT_DELIVERY:
    case LIAISON__V1__EVENT__EVENT_ERASE:
    case LIAISON__V1__EVENT__EVENT_APPROVE:
    case LIAISON__V1__EVENT__EVENT_ACKNOWLEDGE:
    case LIAISON__V1__EVENT__EVENT_PERMIT:
    case LIAISON__V1__EVENT__EVENT_CROSSING:
    case LIAISON__V1__EVENT__EVENT_BARRED:
    case LIAISON__V1__EVENT__EVENT_UNBARRED:
    case LIAISON__V1__EVENT__EVENT_ESCALATE:
    case LIAISON__V1__EVENT__EVENT_RESEAL_NEEDED:
    case LIAISON__V1__EVENT__EVENT_RESEAL:
        return true;
    default:
        return false;
    }
}

static bool is_of(const char *name, const struct party *p)
{
    return p != NULL && strcmp(name, p->name) == 0;
}

/* What the broker did to it on its own, and tells its sender; and what an agency may that has the work of one that knew it. */
static bool tells_sender(Liaison__V1__Event event)
{
    return event == LIAISON__V1__EVENT__EVENT_HISTORY ||
           event == LIAISON__V1__EVENT__EVENT_RESEAL_NEEDED ||
           event == LIAISON__V1__EVENT__EVENT_ERASE ||
           event == LIAISON__V1__EVENT__EVENT_BARRED ||
           event == LIAISON__V1__EVENT__EVENT_UNBARRED;
}

static bool knows(struct batch *b, const struct item *i, const char *name)
{
    const struct party *p = party_find(b->core, name);
    bool knew = p != NULL && item_knows(i, p);

    for (size_t n = 0; p != NULL && !knew && n < i->row.n_former; n++)
        knew = i->row.former[n] == p->number;
    return knew;
}

/* A denied call leads nowhere; that a referral is barred is a denial of its own. */
static bool took_effect(const Liaison__V1__LedgerEntry *e)
{
    return (e->verdict == LIAISON__V1__VERDICT__VERDICT_DENIED) ==
           (e->event == LIAISON__V1__EVENT__EVENT_BARRED);
}

/* Ids are their sender's choice: another agency's referral may have the same. */
static bool is_about(struct batch *b, const struct item *i,
                     const Liaison__V1__LedgerEntry *e)
{
    const struct party *from = party_numbered(b->core, i->row.from);

    return leads_here(e->event) && took_effect(e) &&
           slice_equal(binary_slice(e->referral_id), binary_slice(i->row.id)) &&
           (e->event == LIAISON__V1__EVENT__EVENT_ESCALATE
                ? knows(b, i, e->counterpart)
                : (is_of(e->agency, from) && knows(b, i, e->counterpart)) ||
                      (is_of(e->counterpart, from) &&
                       (knows(b, i, e->agency) || tells_sender(e->event))));
}

static bool all_about(struct batch *b, const struct item *i, const struct trail *t)
{
    const void *e;

    for (size_t n = 0; n < t->n; n++) {
        struct slice entry;

        if (n > 0 && be64_get(t->seqs + 8 * n) <= be64_get(t->seqs + 8 * (n - 1)))
            return false; /* one twice hides another */
        if (store_get(b->tx, T_ENTRY, slice(t->seqs + 8 * n, 8), &entry) != LIAISON_OK ||
            valid_decode(&liaison__v1__ledger_entry__descriptor, entry, b->arena, &e) !=
                LIAISON_OK ||
            !is_about(b, i, e))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------ making it again */

struct making {
    struct batch *batch;
    const struct item *item;
    struct arena *scratch;
    uint8_t *seqs; /* 8 bytes each, in the batch's arena */
    size_t n, room;
    bool failed;
};

static int entry_row(void *arg, struct slice key, struct slice value)
{
    struct making *m = arg;
    const void *e;

    arena_reset(m->scratch);
    if (valid_decode(&liaison__v1__ledger_entry__descriptor, value, m->scratch, &e) !=
            LIAISON_OK ||
        !is_about(m->batch, m->item, e))
        return 0;
    if (m->n == m->room) {
        size_t room = m->room == 0 ? 64 : 2 * m->room;
        uint8_t *more = arena_alloc(m->batch->arena, 8 * room);

        m->failed = more == NULL;
        if (m->failed)
            return 1;
        if (m->n > 0)
            memcpy(more, m->seqs, 8 * m->n);
        m->seqs = more;
        m->room = room;
    }
    memcpy(m->seqs + 8 * m->n++, key.p, 8);
    return 0;
}

struct keys {
    struct arena *arena;
    struct slice *list;
    size_t n, room;
};

static int key_row(void *arg, struct slice key, struct slice value)
{
    struct keys *k = arg;
    uint8_t *copy = k->n < k->room ? arena_copy(k->arena, key) : NULL;

    (void)value;
    if (copy != NULL)
        k->list[k->n++] = slice(copy, key.n);
    return copy == NULL;
}

/* Takes the rows out that the table has of this referral. */
static enum liaison_code clear_table(struct batch *b, const struct item *i)
{
    enum { AT_ONCE = 256 };
    uint8_t low[8], high[8];

    be64_put(low, i->number);
    be64_put(high, i->number + 1);
    for (;;) {
        struct keys k = {.arena = b->arena,
                         .list = arena_alloc(b->arena, AT_ONCE * sizeof *k.list),
                         .room = AT_ONCE};

        if (k.list == NULL)
            return LIAISON_MEMORY;
        enum liaison_code code = store_batch_scan(b->tx, T_TRAIL, slice(low, 8),
                                                  slice(high, 8), AT_ONCE, key_row, &k);

        if (code != LIAISON_OK || k.n == 0)
            return code;
        for (size_t n = 0; n < k.n; n++)
            store_delete(b->tx, T_TRAIL, k.list[n]);
    }
}

/* The log is the truth, the trail only leads to it: it is made again from all entries, which takes its time. */
static enum liaison_code make_again(struct batch *b, struct item *i)
{
    struct making m = {.batch = b, .item = i, .scratch = arena_new()};
    enum liaison_code code = m.scratch == NULL ? LIAISON_MEMORY : clear_table(b, i);

    log_error("index.wrong", "referral=%llu what=\"%s\"", (unsigned long long)i->number,
              "its trail does not lead to its entries: it is made again from the log");
    if (code == LIAISON_OK)
        code = store_batch_scan(b->tx, T_ENTRY, slice(NULL, 0), slice(NULL, 0), SIZE_MAX,
                                entry_row, &m);
    arena_free(m.scratch);
    if (code != LIAISON_OK || m.failed)
        return code != LIAISON_OK ? code : LIAISON_MEMORY;
    i->row.trail.len = 0;
    i->row.trailed = 0;
    for (size_t n = 0; n < m.n; n++)
        item_trail(b, i, be64_get(m.seqs + 8 * n));
    i->dirty = true;
    return LIAISON_OK;
}

bool trail_read(struct batch *b, struct item *i, struct trail *t)
{
    bool whole = false;

    t->seqs = arena_alloc(b->arena, 8 * t->room);
    if (t->seqs == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    enum liaison_code code = read_table(b, i, t, &whole);

    if (code == LIAISON_OK && (!whole || !all_about(b, i, t))) {
        code = make_again(b, i);
        if (code == LIAISON_OK)
            code = read_table(b, i, t, &whole);
    }
    return code == LIAISON_OK || (batch_fail(b, code), false);
}
