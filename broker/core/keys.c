/* Keys of referrals and months as the store has them: their groups' keys brought in, made, and wrapped anew. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"
#include "proto/valid.h"

enum { GROUP_KEY = 9, GROUPS_AT_ONCE = 1024, UPGRADED_AT_ONCE = 4096 };

/* The one row of T_GROUP that is no group: under which epoch of the key file the others are wrapped. */
static const uint8_t EPOCH_KEY[1] = {0};

static struct slice group_key(struct vault_slot slot, uint8_t key[GROUP_KEY])
{
    key[0] = slot.table;
    be64_put(key + 1, slot.number >> VAULT_GROUP_BITS);
    return slice(key, GROUP_KEY);
}

/* Brings the key of the slot's group into memory. */
static enum liaison_code hold_group(struct core *c, struct store_batch *tx,
                                    struct vault_slot slot, bool make)
{
    uint8_t key[GROUP_KEY], fresh[VAULT_GROUP_BYTES];
    struct slice wrapped;

    if (vault_has_group(c->vault, slot))
        return LIAISON_OK;
    enum liaison_code code = store_get(tx, T_GROUP, group_key(slot, key), &wrapped);

    if (code == LIAISON_OK)
        return vault_take_group(c->vault, slot, wrapped);
    if (code != LIAISON_NOT_FOUND || !make)
        return code == LIAISON_NOT_FOUND ? LIAISON_DAMAGED : code;
    vault_make_group(c->vault, slot, fresh);
    store_put(tx, T_GROUP, slice(key, sizeof key), slice(fresh, sizeof fresh));
    return LIAISON_OK;
}

enum liaison_code keys_make(struct batch *b, struct vault_slot slot,
                            struct vault_keys *out, uint8_t wrapped[VAULT_WRAPPED_BYTES])
{
    enum liaison_code code = hold_group(b->core, b->tx, slot, true);

    if (code == LIAISON_OK)
        vault_make_keys(b->core->vault, slot, out, wrapped);
    return code;
}

enum liaison_code keys_open(struct batch *b, struct vault_slot slot, struct slice wrapped,
                            struct vault_keys *out)
{
    enum liaison_code code = hold_group(b->core, b->tx, slot, false);

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

enum liaison_code keys_regroup(struct batch *b, uint64_t number)
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

enum liaison_code keys_rotate(struct batch *b)
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
    bool found, sound;
};

static int epoch_row(void *arg, struct slice key, struct slice value)
{
    struct epoch *e = arg;

    e->found = key.n == sizeof EPOCH_KEY;
    e->sound = !e->found || value.n == 8;
    if (e->found && e->sound)
        e->epoch = be64_get(value.p);
    return 1;
}

static enum liaison_code read_epoch(struct store *s, struct epoch *out)
{
    *out = (struct epoch){.sound = true};
    enum liaison_code code = store_scan(s, T_GROUP, slice(EPOCH_KEY, sizeof EPOCH_KEY),
                                        slice(NULL, 0), 1, epoch_row, out);

    return code == LIAISON_OK && !out->sound ? LIAISON_DAMAGED : code;
}

enum liaison_code keys_epoch(struct store *s, uint64_t *epoch)
{
    struct epoch e;
    enum liaison_code code = read_epoch(s, &e);

    *epoch = e.epoch;
    return code;
}

struct old_page {
    struct arena *arena;
    struct slice keys[UPGRADED_AT_ONCE], values[UPGRADED_AT_ONCE];
    size_t n;
};

static int old_row(void *arg, struct slice key, struct slice value)
{
    struct old_page *p = arg;

    p->keys[p->n] = slice(arena_copy(p->arena, key), key.n);
    p->values[p->n] = slice(arena_copy(p->arena, value), value.n);
    if (p->keys[p->n].p == NULL || p->values[p->n].p == NULL)
        return 1;
    p->n++;
    return 0;
}

/* Wrapped keys that open under their group's key are of an upgrade that was cut short. */
static enum liaison_code upgrade_wrapped(struct core *c, struct store_batch *tx,
                                         struct vault_slot slot, struct slice old,
                                         uint8_t fresh[VAULT_WRAPPED_BYTES])
{
    struct vault_keys keys;
    enum liaison_code code = hold_group(c, tx, slot, true);

    if (code != LIAISON_OK)
        return code;
    code = vault_unwrap(c->vault, slot, old, &keys);
    if (code == LIAISON_DAMAGED)
        code = vault_unwrap_ungrouped(c->vault, slot, old, &keys);
    if (code == LIAISON_OK)
        vault_wrap(c->vault, slot, &keys, fresh);
    OPENSSL_cleanse(&keys, sizeof keys);
    return code;
}

static enum liaison_code upgrade_referral(struct core *c, struct store_batch *tx,
                                          struct arena *a, struct slice key,
                                          struct slice value)
{
    uint8_t fresh[VAULT_WRAPPED_BYTES];
    const void *m;
    enum liaison_code code =
        valid_decode(&liaison__rows__v1__referral__descriptor, value, a, &m);

    if (code != LIAISON_OK)
        return code;
    Liaison__Rows__V1__Referral row = *(const Liaison__Rows__V1__Referral *)m;

    code = upgrade_wrapped(c, tx, (struct vault_slot){T_REFERRAL, be64_get(key.p)},
                           binary_slice(row.wrapped), fresh);
    row.wrapped = (ProtobufCBinaryData){sizeof fresh, fresh};
    if (code == LIAISON_OK)
        store_put(tx, T_REFERRAL, key, arena_pack(a, &row.base));
    return code;
}

static enum liaison_code upgrade_month(struct core *c, struct store_batch *tx,
                                       struct slice key, struct slice value)
{
    uint8_t fresh[VAULT_WRAPPED_BYTES];
    enum liaison_code code = upgrade_wrapped(
        c, tx, (struct vault_slot){T_MONTH, be64_get(key.p)}, value, fresh);

    if (code == LIAISON_OK)
        store_put(tx, T_MONTH, key, slice(fresh, sizeof fresh));
    return code;
}

/* One transaction for some thousand rows, from *from on. */
static enum liaison_code upgrade_page(struct core *c, enum table table,
                                      struct old_page *p, uint8_t from[9],
                                      size_t *from_len)
{
    const uint8_t id[16] = {0};
    struct store_batch *tx;

    arena_reset(p->arena);
    p->n = 0;
    enum liaison_code code = store_scan(c->store, (int)table, slice(from, *from_len),
                                        slice(NULL, 0), UPGRADED_AT_ONCE, old_row, p);

    if (code != LIAISON_OK ||
        (code = store_begin(c->store, &c->head, STORE_RESERVE, &tx)) != LIAISON_OK)
        return code;
    for (size_t i = 0; code == LIAISON_OK && i < p->n; i++) {
        code = p->keys[i].n != 8 ? LIAISON_DAMAGED
               : table == T_REFERRAL
                   ? upgrade_referral(c, tx, p->arena, p->keys[i], p->values[i])
                   : upgrade_month(c, tx, p->keys[i], p->values[i]);
        memcpy(from, p->keys[i].p, 8);
        *from_len = 9; /* the first key behind it */
    }
    if (code == LIAISON_OK)
        return store_commit(tx, &c->head, id);
    store_abort(tx);
    return code;
}

static enum liaison_code upgrade_table(struct core *c, enum table table,
                                       struct old_page *p)
{
    uint8_t from[9] = {0};
    size_t from_len = 8;
    enum liaison_code code;

    do
        code = upgrade_page(c, table, p, from, &from_len);
    while (code == LIAISON_OK && p->n == UPGRADED_AT_ONCE);
    return code;
}

static enum liaison_code upgrade(struct core *c)
{
    const uint8_t id[16] = {0};
    struct store_batch *tx;
    struct old_page *p = calloc(1, sizeof *p);
    enum liaison_code code = LIAISON_MEMORY;

    if (p != NULL && (p->arena = arena_new()) != NULL)
        code = upgrade_table(c, T_REFERRAL, p);
    if (code == LIAISON_OK)
        code = upgrade_table(c, T_MONTH, p);
    if (p != NULL)
        arena_free(p->arena);
    free(p);
    if (code == LIAISON_OK)
        code = store_begin(c->store, &c->head, STORE_RESERVE, &tx);
    if (code != LIAISON_OK)
        return code;
    put_epoch(tx, 0);
    return store_commit(tx, &c->head, id);
}

enum liaison_code keys_load(struct core *c, char *why, size_t why_len)
{
    struct epoch e;
    enum liaison_code code = read_epoch(c->store, &e);

    if (code == LIAISON_OK)
        code = vault_open(c->settings.key_file, c->head.size == 0, e.epoch, c->hash,
                          &c->vault, why, why_len);
    else
        snprintf(why, why_len, "the store cannot be read: %s", err_text(code));
    if (code != LIAISON_OK || e.found)
        return code;
    code = upgrade(c);
    if (code != LIAISON_OK)
        snprintf(why, why_len, "%s: the keys in the store do not open with it: %s",
                 c->settings.key_file, err_text(code));
    else if (c->head.size > 0)
        log_info("store.upgraded", "what=\"%s\"",
                 "keys are wrapped in groups, so that one can be erased");
    return code;
}
