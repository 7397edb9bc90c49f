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

static bool record_key(struct batch *b, const struct known_key *k, enum liaison_code code,
                       uint64_t *number)
{
    struct party *self = broker_party(b), *owner = party_numbered(b->core, k->party);
    struct recorded made;
    struct ledger_fact f = {.event = LIAISON__V1__EVENT__EVENT_KEY,
                            .code = code,
                            .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                            .certificate = k->sha256,
                            .role = WORD[k->use]};

    if (self == NULL || owner == NULL || !record(b, &f, self, owner, NULL, false, &made))
        return false;
    *number = made.seq;
    return true;
}

bool key_seen(struct batch *b, const struct party *owner, enum key_use use,
              const uint8_t sha256[32])
{
    struct known_key k = {.party = owner->number, .use = (uint8_t)use};
    const struct known_key *known;
    uint8_t key[KEY_BYTES], value[8];
    struct slice row;
    uint64_t number;

    memcpy(k.sha256, sha256, sizeof k.sha256);
    known = map_get(b->core->known_keys, place_of(&k));
    if (known != NULL && same_key(known, &k))
        return true;
    enum liaison_code code = store_get(b->tx, T_KEY, key_of(&k, key), &row);

    if (code == LIAISON_OK && row.n == 8) {
        if (be64_get(row.p) < b->core->head.size) /* what this batch put may be undone */
            remember(b->core, &k);
        return true;
    }
    if (code != LIAISON_NOT_FOUND)
        return batch_fail(b, code == LIAISON_OK ? LIAISON_DAMAGED : code), false;
    if (!record_key(b, &k, LIAISON_OK, &number))
        return false;
    be64_put(value, number);
    store_put(b->tx, T_KEY, slice(key, sizeof key), slice(value, sizeof value));
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

    return a != NULL && (a->merged_into == NULL || day < a->merged_day) &&
           !rules_denies_certificate(rules, p->sha256, NULL);
}

bool keys_publish(struct batch *b, size_t *next)
{
    int32_t day = rules_day(b->time_ns / 1000000000);

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
    struct known_key rows[AT_ONCE];
    size_t n;
};

static int walk_row(void *arg, struct slice key, struct slice value)
{
    struct walk *w = arg;
    struct known_key *k = &w->rows[w->n];

    (void)value;
    if (key.n != KEY_BYTES)
        return 1;
    k->party = be32_get(key.p);
    k->use = key.p[4];
    memcpy(k->sha256, key.p + 5, sizeof k->sha256);
    return ++w->n == AT_ONCE;
}

bool keys_withdraw(struct batch *b, struct keys_place *next)
{
    struct walk *w = arena_zero(b->arena, sizeof *w);
    int32_t day = rules_day(b->time_ns / 1000000000);
    uint8_t key[KEY_BYTES];
    uint64_t number;

    if (w == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    enum liaison_code code = store_batch_scan(b->tx, T_KEY, slice(next->key, next->n),
                                              slice(NULL, 0), SIZE_MAX, walk_row, w);

    if (code != LIAISON_OK)
        return batch_fail(b, code), false;
    for (size_t i = 0; i < w->n; i++) {
        const struct known_key *k = &w->rows[i];

        if (k->use != KEY_SEAL || still_listed(b->core, k, day))
            continue;
        if (!record_key(b, k, LIAISON_REVOKED, &number))
            return false;
        store_delete(b->tx, T_KEY, key_of(k, key));
        forget(b->core, k);
    }
    if (w->n < AT_ONCE)
        return false;
    key_of(&w->rows[w->n - 1], next->key);
    next->key[KEY_BYTES] = 0; /* the first one behind it */
    next->n = KEY_BYTES + 1;
    return true;
}
