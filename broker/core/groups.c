/* Keys of referrals and months as the store has them: their groups' keys brought in, made, and wrapped anew. */
#include <stdio.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"

enum { GROUP_KEY = 9, GROUPS_AT_ONCE = 1024 };

/* The one row of T_GROUP that is no group: under which epoch of the key file the others are wrapped. */
static const uint8_t EPOCH_KEY[1] = {0};

static struct slice group_key(struct vault_slot slot, uint8_t key[GROUP_KEY])
{
    key[0] = slot.table;
    be64_put(key + 1, slot.number >> VAULT_GROUP_BITS);
    return slice(key, GROUP_KEY);
}

/* Brings the key of the slot's group into memory. Without the key file, as evidence may be read, there is none. */
static enum liaison_code hold_group(struct batch *b, struct vault_slot slot, bool make)
{
    struct vault *v = b->core->vault;
    uint8_t key[GROUP_KEY], fresh[VAULT_GROUP_BYTES];
    struct slice wrapped;

    if (v == NULL)
        return LIAISON_EVIDENCE;
    if (vault_has_group(v, slot))
        return LIAISON_OK;
    enum liaison_code code = store_get(b->tx, T_GROUP, group_key(slot, key), &wrapped);

    if (code == LIAISON_OK)
        return vault_take_group(v, slot, wrapped);
    if (code != LIAISON_NOT_FOUND || !make)
        return code == LIAISON_NOT_FOUND ? LIAISON_DAMAGED : code;
    vault_make_group(v, slot, fresh);
    store_put(b->tx, T_GROUP, slice(key, sizeof key), slice(fresh, sizeof fresh));
    return LIAISON_OK;
}

enum liaison_code group_make_keys(struct batch *b, struct vault_slot slot,
                                  struct vault_keys *out,
                                  uint8_t wrapped[VAULT_WRAPPED_BYTES])
{
    enum liaison_code code = hold_group(b, slot, true);

    if (code == LIAISON_OK)
        vault_make_keys(b->core->vault, slot, out, wrapped);
    return code;
}

enum liaison_code group_open_keys(struct batch *b, struct vault_slot slot,
                                  struct slice wrapped, struct vault_keys *out)
{
    enum liaison_code code = hold_group(b, slot, false);

    return code == LIAISON_OK ? vault_unwrap(b->core->vault, slot, wrapped, out) : code;
}

/* ------------------------------------------------------------ a new key for a group */

struct members {
    uint64_t *numbers;
    size_t n;
};

static int member(void *arg, struct slice key, struct slice value)
{
    struct members *m = arg;

    (void)value;
    m->numbers[m->n++] = be64_get(key.p);
    return 0;
}

/* Every referral of the group that is in the store or the batch's hands. */
static enum liaison_code find_members(struct batch *b, uint64_t group,
                                      struct members *out)
{
    uint8_t from[8], to[8];

    out->numbers = arena_alloc(b->arena, sizeof *out->numbers << VAULT_GROUP_BITS);
    if (out->numbers == NULL)
        return LIAISON_MEMORY;
    be64_put(from, group << VAULT_GROUP_BITS);
    be64_put(to, (group + 1) << VAULT_GROUP_BITS);
    return store_batch_scan(b->tx, T_REFERRAL, slice(from, sizeof from),
                            slice(to, sizeof to), 1U << VAULT_GROUP_BITS, member, out);
}

enum liaison_code group_renew(struct batch *b, uint64_t number)
{
    const struct vault_slot slot = {T_REFERRAL, number};
    struct members m = {0};
    uint8_t key[GROUP_KEY], fresh[VAULT_GROUP_BYTES];
    enum liaison_code code = find_members(b, number >> VAULT_GROUP_BITS, &m);

    for (size_t i = 0; code == LIAISON_OK && i < m.n; i++) {
        struct item *survivor = item_get(b, m.numbers[i]);

        code = survivor == NULL ? b->failed : LIAISON_OK;
        if (survivor != NULL && !item_erased(survivor))
            code = item_keys(b, survivor);
    }
    if (code != LIAISON_OK)
        return code;
    vault_make_group(b->core->vault, slot, fresh);
    store_put(b->tx, T_GROUP, group_key(slot, key), slice(fresh, sizeof fresh));
    for (size_t i = 0; i < m.n; i++)
        item_rewrap(b, item_get(b, m.numbers[i]));
    return b->failed;
}

/* ------------------------------------------------------------ a new key for all groups */

struct group_row {
    uint8_t key[GROUP_KEY];
    uint8_t wrapped[VAULT_GROUP_BYTES];
};

struct group_page {
    struct group_row *rows;
    size_t n;
    bool sound;
};

static int group_row(void *arg, struct slice key, struct slice value)
{
    struct group_page *p = arg;

    if (key.n == sizeof EPOCH_KEY)
        return 0;
    p->sound = key.n == GROUP_KEY && value.n == VAULT_GROUP_BYTES;
    if (!p->sound)
        return 1;
    memcpy(p->rows[p->n].key, key.p, key.n);
    memcpy(p->rows[p->n++].wrapped, value.p, value.n);
    return 0;
}

static void put_epoch(struct store_batch *tx, uint64_t epoch)
{
    uint8_t value[8];

    be64_put(value, epoch);
    store_put(tx, T_GROUP, slice(EPOCH_KEY, sizeof EPOCH_KEY),
              slice(value, sizeof value));
}

static enum liaison_code rewrap_page(struct batch *b, const struct group_page *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct group_row *r = &p->rows[i];
        const struct vault_slot slot = {r->key[0], be64_get(r->key + 1)
                                                       << VAULT_GROUP_BITS};
        uint8_t wrapped[VAULT_GROUP_BYTES];
        enum liaison_code code = vault_rewrap(
            b->core->vault, slot, slice(r->wrapped, sizeof r->wrapped), wrapped);

        if (code != LIAISON_OK)
            return code;
        store_put(b->tx, T_GROUP, slice(r->key, sizeof r->key),
                  slice(wrapped, sizeof wrapped));
    }
    return LIAISON_OK;
}

enum liaison_code groups_rotate(struct batch *b)
{
    struct group_page p = {.rows = arena_alloc(b->arena, GROUPS_AT_ONCE * sizeof *p.rows),
                           .sound = true};
    uint8_t from[GROUP_KEY + 1] = {0};
    size_t from_len = sizeof EPOCH_KEY;
    enum liaison_code code = p.rows == NULL ? LIAISON_MEMORY : vault_draw(b->core->vault);

    if (code != LIAISON_OK)
        return code;
    put_epoch(b->tx, vault_epoch(b->core->vault) + 1);
    do {
        p.n = 0;
        code = store_batch_scan(b->tx, T_GROUP, slice(from, from_len), slice(NULL, 0),
                                GROUPS_AT_ONCE, group_row, &p);
        if (code == LIAISON_OK)
            code = p.sound ? rewrap_page(b, &p) : LIAISON_DAMAGED;
        if (p.n > 0)
            memcpy(from, p.rows[p.n - 1].key, GROUP_KEY);
        from_len = sizeof from; /* the first key behind the last one */
    } while (code == LIAISON_OK && p.n > 0);
    return code;
}

/* ------------------------------------------------------------ at the start */

struct epoch {
    uint64_t epoch;
    bool sound;
};

static int epoch_row(void *arg, struct slice key, struct slice value)
{
    struct epoch *e = arg;

    if (key.n != sizeof EPOCH_KEY)
        return 1; /* no erasure yet */
    e->sound = value.n == 8;
    if (e->sound)
        e->epoch = be64_get(value.p);
    return 1;
}

enum liaison_code groups_epoch(struct store *s, uint64_t *epoch)
{
    struct epoch e = {.sound = true};
    enum liaison_code code = store_scan(s, T_GROUP, slice(EPOCH_KEY, sizeof EPOCH_KEY),
                                        slice(NULL, 0), 1, epoch_row, &e);

    *epoch = e.epoch;
    return code == LIAISON_OK && !e.sound ? LIAISON_DAMAGED : code;
}

enum liaison_code groups_load(struct core *c, char *why, size_t why_len)
{
    uint64_t epoch;
    enum liaison_code code = groups_epoch(c->store, &epoch);

    if (code == LIAISON_OK)
        code = vault_open(c->settings.key_file, c->head.size == 0, epoch, c->hash,
                          &c->vault, why, why_len);
    else
        snprintf(why, why_len, "the store cannot be read: %s", err_text(code));
    if (code == LIAISON_OK || !c->evidence)
        return code;
    log_warn("evidence.sealed", "why=\"%s\" what=\"%s\"", why,
             "entries and proofs are served all the same");
    return LIAISON_OK;
}
