/* KEY entries: which certificates were ever shown or handed out in somebody's name, so that whose name it is can tell a
 * stranger's. */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "broker/core/state.h"

enum { KEY_BYTES = 4 + 1 + 32, AT_ONCE = 256 };

static const char *const WORD[] = {
    [KEY_SIGN] = "sign", [KEY_APPROVE] = "approve", [KEY_SEAL] = "seal"};

/* One that has its entry, in the memory of this process. */
struct known_key {
    uint32_t party;
    uint8_t use, sha256[32];
};

static struct slice key_of(const struct known_key *k, uint8_t key[KEY_BYTES])
{
    be32_put(key, k->party);
    key[4] = k->use;
    memcpy(key + 5, k->sha256, sizeof k->sha256);
    return slice(key, KEY_BYTES);
}

/* Where it stands in memory. Two certificates in one place cost a look into the store, no more. */
static uint64_t place_of(const struct known_key *k)
{
    return be64_get(k->sha256) ^ k->party;
}

static bool same_key(const struct known_key *a, const struct known_key *b)
{
    return a->party == b->party && a->use == b->use &&
           memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0;
}

static void remember(struct core *c, const struct known_key *k)
{
    struct known_key *kept;

    if (map_get(c->known_keys, place_of(k)) != NULL ||
        (kept = malloc(sizeof *kept)) == NULL)
        return;
    *kept = *k;
    if (!map_put(&c->known_keys, place_of(k), kept))
        free(kept); /* the store is asked again */
}

static void forget(struct core *c, const struct known_key *k)
{
    free(map_take(c->known_keys, place_of(k)));
}

void keys_free(struct core *c)
{
    size_t i = 0;
    uint64_t place;
    void *kept;

    while (map_next(c->known_keys, &i, &place, &kept))
        free(kept);
    map_free(c->known_keys);
}

/* Its row holds the numbers of its KEY entries: that it came, that it was withdrawn, that it came again... */
static bool is_in_use(struct slice row)
{
    return row.n / 8 % 2 == 1;
}

/* Makes the entry, and puts its number behind those in the row. */
static bool record_key(struct batch *b, const struct known_key *k, enum liaison_code code,
                       struct slice row)
{
    uint8_t key[KEY_BYTES], *longer = arena_alloc(b->arena, row.n + 8);
    struct party *self = broker_party(b), *owner = party_numbered(b->core, k->party);
    struct recorded made;
    struct ledger_fact f = {.event = LIAISON__V1__EVENT__EVENT_KEY,
                            .code = code,
                            .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                            .certificate = k->sha256,
                            .role = WORD[k->use]};

    if (longer == NULL || self == NULL || owner == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    if (row.n > 0)
        memcpy(longer, row.p, row.n); /* the row is the transaction's, which goes on */
    if (!record(b, &f, self, owner, NULL, false, &made))
        return false;
    be64_put(longer + row.n, made.seq);
    store_put(b->tx, T_KEY, key_of(k, key), slice(longer, row.n + 8));
    return true;
}

bool key_seen(struct batch *b, const struct party *owner, enum key_use use,
              const uint8_t sha256[32])
{
    struct known_key k = {.party = owner->number, .use = (uint8_t)use};
    const struct known_key *known;
    uint8_t key[KEY_BYTES];
    struct slice row;

    memcpy(k.sha256, sha256, sizeof k.sha256);
    known = map_get(b->core->known_keys, place_of(&k));
    if (known != NULL && same_key(known, &k))
        return true;
    enum liaison_code code = store_get(b->tx, T_KEY, key_of(&k, key), &row);

    if (code == LIAISON_NOT_FOUND)
        row = slice(NULL, 0);
    else if (code != LIAISON_OK)
        return batch_fail(b, code), false;
    if (!is_in_use(row))
        return record_key(b, &k, LIAISON_OK, row);
    if (be64_get(row.p + row.n - 8) < b->core->head.size)
        remember(b->core, &k); /* what this batch has put may be undone */
    return true;
}

bool key_spoke(struct batch *b, const struct session *s, const uint8_t sha256[32])
{
    return key_seen(b, s->party, s->role == TLS_APPROVER ? KEY_APPROVE : KEY_SIGN,
                    sha256);
}

/* ------------------------------------------------------------ sealing certificates come and go */

bool key_listed(const struct core *c, const struct published *p, int32_t day)
{
    const struct rules *rules = c->settings.rules;
    const struct rules_agency *a = rules_agency(rules, p->name);

    return a != NULL && !rules_merged(a, day) &&
           !rules_denies_certificate(rules, p->sha256, NULL);
}

bool keys_publish(struct batch *b, size_t *next)
{
    int32_t day = batch_day(b);

    for (size_t i = 0; i < AT_ONCE; i++, (*next)++) {
        const struct published *p = directory_at(b->core->settings.directory, *next);
        struct party *owner;

        if (p == NULL)
            return false;
        if (!key_listed(b->core, p, day))
            continue;
        owner = party_named(b->core, p->name);
        if (owner == NULL)
            batch_fail(b, LIAISON_MEMORY);
        if (owner == NULL || !key_seen(b, owner, KEY_SEAL, p->sha256))
            return false;
    }
    return true;
}

static bool still_listed(const struct core *c, const struct known_key *k, int32_t day)
{
    const struct party *owner = party_numbered(c, k->party);
    const struct published *list;
    size_t n =
        owner == NULL ? 0 : directory_find(c->settings.directory, owner->name, &list);

    for (size_t i = 0; i < n; i++)
        if (memcmp(list[i].sha256, k->sha256, sizeof k->sha256) == 0)
            return key_listed(c, &list[i], day);
    return false;
}

struct walk {
    struct batch *b;
    struct known_key rows[AT_ONCE];
    struct slice values[AT_ONCE];
    size_t n;
};

static int walk_row(void *arg, struct slice key, struct slice value)
{
    struct walk *w = arg;
    struct known_key *k = &w->rows[w->n];

    if (key.n != KEY_BYTES)
        return 1;
    w->values[w->n] = slice(arena_copy(w->b->arena, value), value.n);
    if (w->values[w->n].p == NULL)
        return batch_fail(w->b, LIAISON_MEMORY), 1;
    k->party = be32_get(key.p);
    k->use = key.p[4];
    memcpy(k->sha256, key.p + 5, sizeof k->sha256);
    return ++w->n == AT_ONCE;
}

bool keys_withdraw(struct batch *b, struct keys_place *next)
{
    struct walk *w = arena_zero(b->arena, sizeof *w);
    int32_t day = batch_day(b);

    if (w == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    w->b = b;
    enum liaison_code code = store_batch_scan(b->tx, T_KEY, slice(next->key, next->n),
                                              slice(NULL, 0), SIZE_MAX, walk_row, w);

    if (code != LIAISON_OK)
        batch_fail(b, code);
    if (b->failed != LIAISON_OK)
        return false;
    for (size_t i = 0; i < w->n; i++) {
        const struct known_key *k = &w->rows[i];

        if (k->use != KEY_SEAL || !is_in_use(w->values[i]) ||
            still_listed(b->core, k, day))
            continue;
        if (!record_key(b, k, LIAISON_REVOKED, w->values[i]))
            return false;
        forget(b->core, k);
    }
    if (w->n < AT_ONCE)
        return false;
    key_of(&w->rows[w->n - 1], next->key);
    next->key[KEY_BYTES] = 0; /* the first one behind it */
    next->n = KEY_BYTES + 1;
    return true;
}

/* ------------------------------------------------------------ for whom they are */

static int by_number(const void *a, const void *b)
{
    uint64_t x = be64_get(a), y = be64_get(b);

    return x < y ? -1 : x > y;
}

struct numbers {
    struct batch *b;
    uint8_t *list; /* 8 bytes each */
    size_t n, room;
};

static int add_numbers(void *arg, struct slice key, struct slice value)
{
    struct numbers *all = arg;

    (void)key;
    if (all->n + value.n / 8 > all->room) {
        size_t room = 2 * (all->n + value.n / 8);
        uint8_t *wider = arena_alloc(all->b->arena, room * 8);

        if (wider == NULL)
            return batch_fail(all->b, LIAISON_MEMORY), 1;
        if (all->n > 0)
            memcpy(wider, all->list, all->n * 8);
        all->list = wider;
        all->room = room;
    }
    memcpy(all->list + all->n * 8, value.p, value.n / 8 * 8);
    all->n += value.n / 8;
    return 0;
}

bool keys_of(struct batch *b, const struct party *owner, struct slice *out)
{
    struct numbers all = {.b = b};
    uint8_t from[4], until[4];

    be32_put(from, owner->number);
    be32_put(until, owner->number + 1);
    enum liaison_code code =
        store_batch_scan(b->tx, T_KEY, slice(from, sizeof from),
                         slice(until, sizeof until), SIZE_MAX, add_numbers, &all);

    if (code != LIAISON_OK)
        batch_fail(b, code);
    if (all.n > 0)
        qsort(all.list, all.n, 8, by_number);
    *out = slice(all.list, all.n * 8);
    return b->failed == LIAISON_OK;
}
