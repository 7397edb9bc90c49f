/* Indexes beside the referrals: by sender and id, and by recipient. The referrals are the truth, the indexes only lead to them:
 * they are checked when they are used, gone through while the broker runs, and made again where they are wrong. */
#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/valid.h"

struct slice index_known_key(uint32_t from, struct slice id,
                             uint8_t key[INDEX_KNOWN_BYTES])
{
    be32_put(key, from);
    key[4] = 'R';
    memcpy(key + 5, id.p, ID_BYTES);
    return slice(key, INDEX_KNOWN_BYTES);
}

struct slice index_inbox_key(uint32_t to, uint64_t number, uint8_t key[INDEX_INBOX_BYTES])
{
    be32_put(key, to);
    be64_put(key + 4, number);
    return slice(key, INDEX_INBOX_BYTES);
}

static void put_known(struct batch *b, const Liaison__Rows__V1__Referral *row,
                      uint64_t number)
{
    uint8_t key[INDEX_KNOWN_BYTES], value[8];

    be64_put(value, number);
    store_put(b->tx, T_KNOWN, index_known_key(row->from, binary_slice(row->id), key),
              slice(value, sizeof value));
}

static void put_inbox(struct batch *b, const Liaison__Rows__V1__Referral *row,
                      uint64_t number)
{
    uint8_t key[INDEX_INBOX_BYTES];

    store_put(b->tx, T_INBOX, index_inbox_key(row->to, number, key), slice(NULL, 0));
}

void index_put(struct batch *b, const struct item *i)
{
    put_known(b, &i->row, i->number);
    if (!item_hidden(i))
        put_inbox(b, &i->row, i->number);
}

void index_show(struct batch *b, const struct item *i)
{
    put_inbox(b, &i->row, i->number);
}

void index_hide(struct batch *b, const struct item *i)
{
    uint8_t key[INDEX_INBOX_BYTES];

    store_delete(b->tx, T_INBOX, index_inbox_key(i->row.to, i->number, key));
}

static void say_wrong(const char *index, uint64_t number)
{
    log_error("index.wrong", "referral=%llu index=%s what=\"%s\"",
              (unsigned long long)number, index,
              "it does not lead to its referral: it is made again");
}

/* ------------------------------------------------------------ when it is used */

struct item *index_item(struct batch *b, uint64_t number)
{
    struct slice row;
    uint8_t key[8];

    be64_put(key, number);
    if (map_get(b->items, number) == NULL &&
        store_get(b->tx, T_REFERRAL, slice(key, sizeof key), &row) == LIAISON_NOT_FOUND)
        return NULL;
    return item_get(b, number);
}

static bool is(const Liaison__Rows__V1__Referral *row, uint32_t from, struct slice id)
{
    return row->from == from && slice_equal(binary_slice(row->id), id);
}

struct search {
    struct arena *scratch;
    uint32_t from;
    struct slice id;
    uint64_t number; /* 0: not found */
};

static int search_row(void *arg, struct slice key, struct slice value)
{
    struct search *s = arg;
    const void *row;

    arena_reset(s->scratch);
    if (key.n == 8 &&
        valid_decode(&liaison__rows__v1__referral__descriptor, value, s->scratch, &row) ==
            LIAISON_OK &&
        is(row, s->from, s->id))
        s->number = be64_get(key.p);
    return s->number != 0;
}

/* The row is there and leads elsewhere: the referrals themselves are asked, which takes its time. */
static struct item *find_again(struct batch *b, uint32_t from, struct slice id,
                               uint64_t was)
{
    struct search s = {.scratch = arena_new(), .from = from, .id = id};
    enum liaison_code code =
        s.scratch == NULL ? LIAISON_MEMORY
                          : store_batch_scan(b->tx, T_REFERRAL, slice(NULL, 0),
                                             slice(NULL, 0), SIZE_MAX, search_row, &s);

    arena_free(s.scratch);
    if (code != LIAISON_OK)
        return batch_fail(b, code), NULL;
    say_wrong("known", s.number == 0 ? was : s.number);
    struct item *i = s.number == 0 ? NULL : item_get(b, s.number);

    if (i != NULL) {
        put_known(b, &i->row, i->number);
        b->mends = true;
    }
    return i;
}

struct item *item_find(struct batch *b, const struct party *from, struct slice id)
{
    uint8_t key[INDEX_KNOWN_BYTES];
    struct slice value;

    if (from == NULL || id.n != ID_BYTES)
        return NULL;
    enum liaison_code code =
        store_get(b->tx, T_KNOWN, index_known_key(from->number, id, key), &value);

    if (code == LIAISON_NOT_FOUND)
        return NULL;
    if (code != LIAISON_OK)
        return batch_fail(b, code), NULL;
    uint64_t number = value.n == 8 ? be64_get(value.p) : 0;
    struct item *i = index_item(b, number);

    if (i != NULL && is(&i->row, from->number, id))
        return i;
    return b->failed != LIAISON_OK ? NULL : find_again(b, from->number, id, number);
}

/* ------------------------------------------------------------ all of it, a little at a time */

struct wrong {
    uint64_t number;
    Liaison__Rows__V1__Referral row;
    bool known, inbox, deadline;
};

struct look {
    struct batch *batch;
    struct wrong *list;
    size_t n;
    uint64_t last;
    size_t seen;
};

static bool has_inbox(struct look *l, const Liaison__Rows__V1__Referral *row,
                      uint64_t number)
{
    uint8_t key[INDEX_INBOX_BYTES];
    struct slice value;

    return row->erased_seq != 0 ||
           (row->flags >> LIAISON__V1__FLAG__FLAG_UNAPPROVED & 1) != 0 ||
           store_get(l->batch->tx, T_INBOX, index_inbox_key(row->to, number, key),
                     &value) == LIAISON_OK;
}

static bool has_known(struct look *l, const Liaison__Rows__V1__Referral *row,
                      uint64_t number)
{
    uint8_t key[INDEX_KNOWN_BYTES];
    struct slice value;

    return store_get(l->batch->tx, T_KNOWN,
                     index_known_key(row->from, binary_slice(row->id), key),
                     &value) == LIAISON_OK &&
           value.n == 8 && be64_get(value.p) == number;
}

static int look_row(void *arg, struct slice key, struct slice value)
{
    struct look *l = arg;
    const void *m;

    l->last = key.n == 8 ? be64_get(key.p) : 0;
    l->seen++;
    if (valid_decode(&liaison__rows__v1__referral__descriptor, value, l->batch->arena,
                     &m) != LIAISON_OK ||
        ((const Liaison__Rows__V1__Referral *)m)->id.len != ID_BYTES)
        return 0; /* found when it is read */
    struct wrong *w = &l->list[l->n];

    *w =
        (struct wrong){.number = l->last, .row = *(const Liaison__Rows__V1__Referral *)m};
    w->known = !has_known(l, m, l->last);
    w->inbox = !has_inbox(l, m, l->last);
    w->deadline = !deadline_whole(l->batch, m, l->last);
    l->n += w->known || w->inbox || w->deadline;
    return 0;
}

uint64_t index_look(struct batch *b, uint64_t from, size_t n)
{
    struct look l = {.batch = b, .list = arena_alloc(b->arena, n * sizeof *l.list)};
    uint8_t key[8];

    be64_put(key, from);
    if (l.list == NULL)
        return batch_fail(b, LIAISON_MEMORY), from;
    enum liaison_code code = store_batch_scan(b->tx, T_REFERRAL, slice(key, sizeof key),
                                              slice(NULL, 0), n, look_row, &l);

    if (code != LIAISON_OK)
        return batch_fail(b, code), from;
    for (size_t i = 0; i < l.n; i++) {
        const struct wrong *w = &l.list[i];

        say_wrong(w->known ? "known" : w->inbox ? "inbox" : "deadline", w->number);
        if (w->known)
            put_known(b, &w->row, w->number);
        if (w->inbox)
            put_inbox(b, &w->row, w->number);
        if (w->deadline)
            deadline_mend(b, w->number);
        b->mends = true;
    }
    return l.seen < n ? 0 : l.last + 1;
}
