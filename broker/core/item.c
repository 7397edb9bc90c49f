/* Referrals in the batch's hands: rows, keys, bodies and actions, loaded once and written once. */
#include <stdlib.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/valid.h"

/* Where a sealed value stands: its table and key, so that it cannot be put elsewhere. */
struct place {
    uint8_t bytes[13];
    size_t n;
};

static struct place body_place(uint64_t number)
{
    struct place p = {.n = 9};

    p.bytes[0] = T_BODY;
    be64_put(p.bytes + 1, number);
    return p;
}

static struct place action_place(uint64_t number, uint32_t version)
{
    struct place p = {.n = 13};

    p.bytes[0] = T_ACTION;
    be64_put(p.bytes + 1, number);
    be32_put(p.bytes + 9, version);
    return p;
}

static struct slice place_slice(const struct place *p)
{
    return slice(p->bytes, p->n);
}

static struct slice place_key(const struct place *p)
{
    return slice(p->bytes + 1, p->n - 1);
}

static struct item *item_hold(struct batch *b, uint64_t number)
{
    struct item *i = arena_zero(b->arena, sizeof *i);

    if (i == NULL || !map_put(&b->items, number, i)) {
        batch_fail(b, LIAISON_MEMORY);
        return NULL;
    }
    i->number = number;
    liaison__rows__v1__referral__init(&i->row);
    *b->last = i;
    b->last = &i->next;
    return i;
}

static bool all_known(const struct core *c, const uint32_t *parties, size_t n)
{
    while (n > 0 && party_numbered(c, parties[n - 1]) != NULL)
        n--;
    return n == 0;
}

/* Lengths and parties that everything after relies on; a disk may have changed them. */
static bool row_whole(const struct core *c, const Liaison__Rows__V1__Referral *r)
{
    return party_numbered(c, r->from) != NULL && party_numbered(c, r->to) != NULL &&
           party_numbered(c, r->responsible) != NULL &&
           all_known(c, r->told, r->n_told) && all_known(c, r->former, r->n_former) &&
           r->id.len == ID_BYTES && r->digest.len == HASH_BYTES &&
           r->signer.len == HASH_BYTES &&
           r->wrapped.len == (r->erased_seq == 0 ? VAULT_WRAPPED_BYTES : 0) &&
           item_trail_whole(r);
}

struct item *item_get(struct batch *b, uint64_t number)
{
    struct item *i = map_get(b->items, number);
    struct slice bytes;
    uint8_t key[8];
    const void *row;

    if (i != NULL)
        return i;
    be64_put(key, number);
    enum liaison_code code = store_get(b->tx, T_REFERRAL, slice(key, sizeof key), &bytes);

    if (code == LIAISON_OK)
        code =
            valid_decode(&liaison__rows__v1__referral__descriptor, bytes, b->arena, &row);
    if (code == LIAISON_OK && !row_whole(b->core, row))
        code = LIAISON_DAMAGED;
    if (code != LIAISON_OK) {
        batch_fail(b,
                   code == LIAISON_MEMORY || code == LIAISON_IO ? code : LIAISON_DAMAGED);
        return NULL;
    }
    if ((i = item_hold(b, number)) != NULL)
        i->row = *(const Liaison__Rows__V1__Referral *)row;
    return i;
}

struct item *item_make(struct batch *b)
{
    struct item *i = item_hold(b, b->next_number);
    uint8_t *wrapped = arena_alloc(b->arena, VAULT_WRAPPED_BYTES);

    if (i == NULL || wrapped == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return NULL;
    }
    b->next_number++;
    enum liaison_code code =
        group_make_keys(b, (struct vault_slot){T_REFERRAL, i->number}, &i->keys, wrapped);

    if (code != LIAISON_OK) {
        batch_fail(b, code);
        return NULL;
    }
    i->row.wrapped.data = wrapped;
    i->row.wrapped.len = VAULT_WRAPPED_BYTES;
    i->keyed = i->fresh = i->dirty = true;
    return i;
}

/* ------------------------------------------------------------ where it stands */

/* From accept on until it is finished it has one of its recipient's places. */
static bool has_place(const struct item *i)
{
    switch ((Liaison__V1__State)i->row.state) {
    case LIAISON__V1__STATE__STATE_ACCEPTED:
    case LIAISON__V1__STATE__STATE_IN_PROGRESS:
    case LIAISON__V1__STATE__STATE_ON_HOLD:
    case LIAISON__V1__STATE__STATE_CANCEL_REQUESTED:
        return !item_erased(i);
    default:
        return false;
    }
}

static void count_place(struct batch *b, const struct item *i, bool more)
{
    struct party *to = party_numbered(b->core, i->row.to);

    if (to == NULL || (!more && to->taken == 0))
        return;
    to->taken += more ? 1 : UINT32_MAX;
    party_touch(b, to);
}

void item_moved(struct batch *b, struct item *i, Liaison__V1__State next)
{
    bool had = has_place(i);

    i->row.state = (uint32_t)next;
    i->row.moved_unix_ms = b->time_ns / 1000000;
    i->dirty = true;
    if (had != has_place(i))
        count_place(b, i, !had);
}

void item_leave(struct batch *b, const struct item *i)
{
    if (has_place(i))
        count_place(b, i, false);
}

void item_readdress(struct batch *b, struct item *i, const struct party *to)
{
    uint32_t *former = arena_alloc(b->arena, (i->row.n_former + 1) * sizeof *former);

    if (former == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    if (i->row.n_former > 0)
        memcpy(former, i->row.former, i->row.n_former * sizeof *former);
    former[i->row.n_former++] = i->row.to;
    i->row.former = former;
    item_leave(b, i);
    index_hide(b, i);
    i->row.to = to->number;
    i->dirty = true;
    if (!item_hidden(i))
        index_show(b, i);
    if (has_place(i))
        count_place(b, i, true);
}

bool item_party(const struct item *i, const struct party *who)
{
    return who->number == i->row.from || who->number == i->row.to;
}

bool item_knows(const struct item *i, const struct party *who)
{
    bool told = item_party(i, who);

    for (size_t t = 0; !told && t < i->row.n_told; t++)
        told = i->row.told[t] == who->number;
    return told;
}

struct party *item_other(const struct batch *b, const struct item *i,
                         const struct party *who)
{
    return party_numbered(b->core, who->number == i->row.from ? i->row.to : i->row.from);
}

enum liaison_code item_keys(struct batch *b, struct item *i)
{
    if (item_erased(i))
        return LIAISON_ERASED;
    if (i->keyed)
        return LIAISON_OK;
    enum liaison_code code =
        group_open_keys(b, (struct vault_slot){T_REFERRAL, i->number},
                        binary_slice(i->row.wrapped), &i->keys);

    i->keyed = code == LIAISON_OK;
    return code == LIAISON_OK ? code : batch_fail(b, code);
}

void item_rewrap(struct batch *b, struct item *i)
{
    if (i == NULL || item_erased(i))
        return;
    uint8_t *wrapped = arena_alloc(b->arena, VAULT_WRAPPED_BYTES);

    if (wrapped == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    vault_wrap(b->core->vault, (struct vault_slot){T_REFERRAL, i->number}, &i->keys,
               wrapped);
    i->row.wrapped = (ProtobufCBinaryData){VAULT_WRAPPED_BYTES, wrapped};
    i->dirty = true;
}

/* Puts the signer's certificate back, which the store keeps once for all that it signed. */
static enum liaison_code certificate_back(struct batch *b, Liaison__V1__Signature *s)
{
    struct slice der;

    if (s == NULL)
        return LIAISON_DAMAGED;
    enum liaison_code code =
        store_get(b->tx, T_SIGNER, slice(s->certificate.data, s->certificate.len), &der);

    if (code != LIAISON_OK)
        return code == LIAISON_NOT_FOUND ? LIAISON_DAMAGED : code;
    s->certificate.data = arena_copy(b->arena, der);
    s->certificate.len = der.n;
    return s->certificate.data == NULL ? LIAISON_MEMORY : LIAISON_OK;
}

static enum liaison_code unseal(struct batch *b, struct item *i, enum table table,
                                const struct place *p,
                                const ProtobufCMessageDescriptor *d, const void **out)
{
    struct slice sealed, bytes;
    enum liaison_code code = item_keys(b, i);

    if (code != LIAISON_OK ||
        (code = store_get(b->tx, (int)table, place_key(p), &sealed)) != LIAISON_OK ||
        (code = vault_unseal(b->core->vault, &i->keys, place_slice(p), sealed, b->arena,
                             &bytes)) != LIAISON_OK)
        return code;
    return valid_decode(d, bytes, b->arena, out);
}

enum liaison_code item_body(struct batch *b, struct item *i)
{
    const struct place p = body_place(i->number);
    const void *m, *e;

    if (i->referral != NULL)
        return LIAISON_OK;
    enum liaison_code code =
        unseal(b, i, T_BODY, &p, &liaison__v1__signed_referral__descriptor, &m);
    const Liaison__V1__SignedReferral *r = m;

    if (code != LIAISON_OK || (code = certificate_back(b, r->signature)) != LIAISON_OK ||
        (code = valid_decode(&liaison__v1__envelope__descriptor,
                             slice(r->envelope.data, r->envelope.len), b->arena, &e)) !=
            LIAISON_OK)
        return batch_fail(
            b, code == LIAISON_MEMORY || code == LIAISON_IO ? code : LIAISON_DAMAGED);
    i->referral = r;
    i->envelope = e;
    return LIAISON_OK;
}

static void seal(struct batch *b, struct item *i, enum table table, const struct place *p,
                 const ProtobufCMessage *m)
{
    struct slice bytes = arena_pack(b->arena, m);
    uint8_t *sealed = arena_alloc(b->arena, bytes.n + VAULT_SEAL_BYTES);

    if (bytes.p == NULL || sealed == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    vault_seal(b->core->vault, &i->keys, place_slice(p), bytes, sealed);
    struct slice value = slice(sealed, bytes.n + VAULT_SEAL_BYTES);

    if (table == T_BODY && i->fresh) /* numbers rise */
        store_append(b->tx, T_BODY, place_key(p), value);
    else
        store_put(b->tx, (int)table, place_key(p), value);
}

/* Keeps the certificate under its digest; the copy in *s names it by that. */
static void certificate_away(struct batch *b, const Liaison__V1__Signature *from,
                             const uint8_t digest[32], Liaison__V1__Signature *s)
{
    struct slice have;

    if (store_get(b->tx, T_SIGNER, slice(digest, 32), &have) == LIAISON_NOT_FOUND)
        store_put(b->tx, T_SIGNER, slice(digest, 32),
                  slice(from->certificate.data, from->certificate.len));
    *s = *from;
    s->certificate.data = (uint8_t *)digest;
    s->certificate.len = 32;
}

void item_put_body(struct batch *b, struct item *i, const Liaison__V1__SignedReferral *r,
                   const uint8_t signer[32])
{
    const struct place p = body_place(i->number);
    Liaison__V1__SignedReferral kept = *r;
    Liaison__V1__Signature s;

    certificate_away(b, r->signature, signer, &s);
    kept.signature = &s;
    seal(b, i, T_BODY, &p, &kept.base);
}

void item_put_action(struct batch *b, struct item *i, uint32_t version,
                     const Liaison__V1__SignedAction *a, const uint8_t signer[32])
{
    const struct place p = action_place(i->number, version);
    Liaison__V1__SignedAction kept = *a;
    Liaison__V1__Signature s;

    if (item_keys(b, i) != LIAISON_OK)
        return;
    certificate_away(b, a->signature, signer, &s);
    kept.signature = &s;
    seal(b, i, T_ACTION, &p, &kept.base);
}

enum liaison_code item_get_action(struct batch *b, struct item *i, uint32_t version,
                                  const Liaison__V1__SignedAction **out)
{
    const struct place p = action_place(i->number, version);
    const void *m;
    enum liaison_code code =
        unseal(b, i, T_ACTION, &p, &liaison__v1__signed_action__descriptor, &m);

    if (code == LIAISON_OK)
        code = certificate_back(b, ((const Liaison__V1__SignedAction *)m)->signature);
    if (code != LIAISON_OK)
        return batch_fail(
            b, code == LIAISON_MEMORY || code == LIAISON_IO ? code : LIAISON_DAMAGED);
    *out = m;
    return LIAISON_OK;
}

void item_flush(struct batch *b)
{
    for (struct item *i = b->first; i != NULL; i = i->next) {
        uint8_t key[8];

        if (!i->dirty)
            continue;
        be64_put(key, i->number);
        struct slice bytes = arena_pack(b->arena, &i->row.base);

        if (bytes.p == NULL)
            batch_fail(b, LIAISON_MEMORY);
        else if (i->fresh) /* made in the order of their numbers */
            store_append(b->tx, T_REFERRAL, slice(key, sizeof key), bytes);
        else
            store_put(b->tx, T_REFERRAL, slice(key, sizeof key), bytes);
    }
}
