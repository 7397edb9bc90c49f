/* Whom the ledger counts: a number, a gap-free counter and this month's keys for each. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/valid.h"

/* FNV-1a; names come from the rules and certificates that a registrar issued. */
static uint64_t name_hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325ULL;

    for (; *name != '\0'; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3ULL;
    return h;
}

/* The party of that name, or NULL and in *key the place where it would go. */
static struct party *find_place(const struct core *c, const char *name, uint64_t *key)
{
    struct party *p;

    *key = name_hash(name);
    while ((p = map_get(c->party_names, *key)) != NULL && strcmp(p->name, name) != 0)
        (*key)++;
    return p;
}

static struct party *add(struct core *c, const char *name, uint64_t key)
{
    struct party **wider = realloc(c->parties, (c->n_parties + 1) * sizeof *wider);
    struct party *p = calloc(1, sizeof *p);

    if (wider != NULL)
        c->parties = wider;
    if (wider == NULL || p == NULL || !map_put(&c->party_names, key, p)) {
        free(p);
        return NULL;
    }
    snprintf(p->name, sizeof p->name, "%s", name);
    c->parties[c->n_parties++] = p;
    p->number = (uint32_t)c->n_parties;
    return p;
}

struct party *party_named(struct core *c, const char *name)
{
    uint64_t key;
    struct party *p = find_place(c, name, &key);

    return p != NULL ? p : add(c, name, key);
}

struct party *party_find(const struct core *c, const char *name)
{
    uint64_t key;

    return find_place(c, name, &key);
}

struct party *party_numbered(const struct core *c, uint32_t number)
{
    return number == 0 || number > c->n_parties ? NULL : c->parties[number - 1];
}

struct loading {
    struct core *core;
    struct arena *arena;
    enum liaison_code code;
};

static int load_row(void *arg, struct slice key, struct slice value)
{
    struct loading *l = arg;
    const void *m;
    uint64_t place;

    arena_reset(l->arena);
    l->code = valid_decode(&liaison__rows__v1__party__descriptor, value, l->arena, &m);
    if (l->code != LIAISON_OK) {
        if (l->code == LIAISON_MALFORMED)
            l->code = LIAISON_DAMAGED;
        return 1;
    }
    const Liaison__Rows__V1__Party *row = m;

    l->code = LIAISON_DAMAGED;
    if (key.n != 4 || be32_get(key.p) != l->core->n_parties + 1 || row->name[0] == '\0' ||
        strlen(row->name) >= sizeof l->core->parties[0]->name ||
        find_place(l->core, row->name, &place) != NULL)
        return 1;
    struct party *p = add(l->core, row->name, place);

    l->code = p == NULL ? LIAISON_MEMORY : LIAISON_OK;
    if (p != NULL) {
        p->counter = p->committed.counter = row->counter;
        p->mail = p->committed.mail = row->mail;
        p->taken = p->committed.taken = row->taken;
    }
    return p == NULL;
}

enum liaison_code party_load(struct core *c)
{
    struct loading l = {.core = c, .arena = arena_new()};

    if (l.arena == NULL)
        return LIAISON_MEMORY;
    enum liaison_code code = store_scan(c->store, T_PARTY, slice(NULL, 0), slice(NULL, 0),
                                        SIZE_MAX, load_row, &l);

    arena_free(l.arena);
    c->stored_parties = c->n_parties;
    return code != LIAISON_OK ? code : l.code;
}

void party_free(struct core *c)
{
    for (size_t i = 0; i < c->n_parties; i++) {
        OPENSSL_cleanse(&c->parties[i]->month_keys, sizeof c->parties[i]->month_keys);
        free(c->parties[i]);
    }
    free(c->parties);
    map_free(c->party_names);
}

void party_touch(struct batch *b, struct party *p)
{
    if (p->dirty)
        return;
    p->dirty = true;
    p->next_dirty = b->dirty_parties;
    b->dirty_parties = p;
}

void party_flush(struct batch *b)
{
    for (size_t i = b->core->stored_parties; i < b->core->n_parties; i++)
        party_touch(b, b->core->parties[i]); /* numbers have no gap in the store */
    for (const struct party *p = b->dirty_parties; p != NULL; p = p->next_dirty) {
        Liaison__Rows__V1__Party row = LIAISON__ROWS__V1__PARTY__INIT;
        uint8_t key[4];

        be32_put(key, p->number);
        row.name = (char *)p->name;
        row.counter = p->counter;
        row.mail = p->mail;
        row.taken = p->taken;
        struct slice bytes = arena_pack(b->arena, &row.base);

        if (bytes.p == NULL)
            batch_fail(b, LIAISON_MEMORY);
        else
            store_put(b->tx, T_PARTY, slice(key, sizeof key), bytes);
    }
}

void party_committed(struct batch *b)
{
    for (struct party *p = b->dirty_parties; p != NULL; p = p->next_dirty) {
        p->committed.counter = p->counter;
        p->committed.mail = p->mail;
        p->committed.taken = p->taken;
        p->dirty = false;
    }
    b->dirty_parties = NULL;
    b->core->stored_parties = b->core->n_parties;
}

void party_undo(struct batch *b)
{
    for (struct party *p = b->dirty_parties; p != NULL; p = p->next_dirty) {
        p->counter = p->committed.counter;
        p->mail = p->committed.mail;
        p->taken = p->committed.taken;
        p->month = 0; /* its keys may have been made in the batch */
        p->dirty = false;
    }
    b->dirty_parties = NULL;
}

static uint32_t month_of(uint64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    return (uint32_t)((tm.tm_year + 1900) * 12 + tm.tm_mon);
}

static struct vault_slot month_slot(const struct party *p, uint32_t month)
{
    return (struct vault_slot){T_MONTH, (uint64_t)p->number << 32 | month};
}

static struct slice month_key(const struct party *p, uint32_t month, uint8_t key[8])
{
    be32_put(key, p->number);
    be32_put(key + 4, month);
    return slice(key, 8);
}

enum liaison_code party_old_keys(struct batch *b, const struct party *p, uint64_t time_ns,
                                 struct vault_keys *out)
{
    uint32_t month = month_of(time_ns);
    struct slice wrapped;
    uint8_t key[8];
    enum liaison_code code =
        store_get(b->tx, T_MONTH, month_key(p, month, key), &wrapped);

    return code != LIAISON_OK ? code
                              : group_open_keys(b, month_slot(p, month), wrapped, out);
}

enum liaison_code party_month_keys(struct batch *b, struct party *p,
                                   const struct vault_keys **out)
{
    struct slice wrapped;
    uint8_t key[8], fresh[VAULT_WRAPPED_BYTES];
    uint32_t month = month_of(b->time_ns);
    const struct vault_slot slot = month_slot(p, month);

    *out = &p->month_keys;
    if (p->month == month)
        return LIAISON_OK;
    enum liaison_code code =
        store_get(b->tx, T_MONTH, month_key(p, month, key), &wrapped);

    if (code == LIAISON_OK) {
        code = group_open_keys(b, slot, wrapped, &p->month_keys);
    } else if (code == LIAISON_NOT_FOUND) {
        code = group_make_keys(b, slot, &p->month_keys, fresh);
        if (code == LIAISON_OK)
            store_put(b->tx, T_MONTH, month_key(p, month, key),
                      slice(fresh, sizeof fresh));
        party_touch(b, p); /* so that a failed batch forgets the keys */
    }
    if (code == LIAISON_OK)
        p->month = month;
    return code;
}
