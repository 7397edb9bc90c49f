/* Erasure: what referrals hold goes, what the ledger says of them stays. One batch, one entry each, one new key for all. */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"

/* ------------------------------------------------------------ which */

struct match {
    uint64_t number;
    size_t n;
};

static int match_row(void *arg, struct slice key, struct slice value)
{
    struct match *m = arg;

    (void)key;
    if (value.n == 8)
        m->number = be64_get(value.p);
    m->n++;
    return 0;
}

/* The first id behind those that begin with the digits; false: there is none. */
static bool behind(const uint8_t id[ID_BYTES], size_t digits, uint8_t out[ID_BYTES])
{
    memcpy(out, id, ID_BYTES);
    for (size_t i = digits; i-- > 0;) {
        unsigned shift = i % 2 == 0 ? 4 : 0, digit = out[i / 2] >> shift & 15;

        out[i / 2] =
            (uint8_t)((out[i / 2] & ~(15U << shift)) | ((digit + 1) & 15) << shift);
        if (digit < 15)
            return true;
    }
    return false;
}

/* The one referral of that sender whose id begins so. */
static struct item *find(struct batch *b, const struct erase_one *one,
                         enum liaison_code *code)
{
    const struct party *from = party_find(b->core, one->from);
    uint8_t low[5 + ID_BYTES], high[5 + ID_BYTES];
    struct match m = {0};
    size_t high_len = sizeof high;

    *code = LIAISON_NOT_FOUND;
    if (from == NULL)
        return NULL;
    be32_put(low, from->number);
    low[4] = 'R';
    memcpy(low + 5, one->id, ID_BYTES);
    memcpy(high, low, sizeof high);
    if (!behind(one->id, one->digits, high + 5)) {
        high[4]++;
        high_len = 5;
    }
    *code = store_batch_scan(b->tx, T_KNOWN, slice(low, sizeof low),
                             slice(high, high_len), 2, match_row, &m);
    if (*code == LIAISON_OK && m.n != 1)
        *code = m.n == 0 ? LIAISON_NOT_FOUND : LIAISON_FIELD;
    return *code == LIAISON_OK ? item_get(b, m.number) : NULL;
}

/* All are named rightly or none is erased. */
static bool find_all(struct batch *b, struct call *c, struct item **items)
{
    for (size_t i = 0; i < c->erase->n; i++) {
        struct erase_one *one = &c->erase->list[i];
        char name[ID_NAME_MAX + 64], id[ID_TEXT];

        items[i] = find(b, one, &c->code);
        if (items[i] != NULL) {
            memcpy(one->id, items[i]->row.id.data, ID_BYTES);
            one->digits = 2 * ID_BYTES;
            continue;
        }
        if (b->failed != LIAISON_OK)
            return false;
        id_text(one->id, id);
        snprintf(name, sizeof name, "referral %s/%.*s: %s", one->from,
                 (int)(one->digits + (one->digits > 8) + (one->digits > 12) +
                       (one->digits > 16) + (one->digits > 20)),
                 id, c->code == LIAISON_FIELD ? "several begin so" : "there is none");
        c->why = (const char *)arena_copy(c->arena, slice(name, strlen(name) + 1));
        return false;
    }
    return true;
}

/* ------------------------------------------------------------ what goes */

/* Officers that are kept sealed beside the referral's entries. False: the batch has failed. */
static bool drop_officers(struct batch *b, struct item *i)
{
    struct trail t = {.room = 1024};

    do {
        if (!trail_read(b, i, &t))
            return false;
        for (size_t n = 0; n < t.n; n++)
            store_delete(b->tx, T_OPENING, slice(t.seqs + 8 * n, 8));
        if (t.n > 0)
            t.from = be64_get(t.seqs + 8 * (t.n - 1)) + 1;
    } while (t.n == t.room);
    return true;
}

/* Body, actions, the recipient's list. Rows that say that it came, and what the first answers were, stay: a number and digests
 * under a key that goes too. */
static void drop_values(struct batch *b, const struct item *i)
{
    uint8_t key[12];

    be64_put(key, i->number);
    store_delete(b->tx, T_BODY, slice(key, 8));
    for (uint32_t version = 2; version <= i->row.version; version++) {
        be32_put(key + 8, version);
        store_delete(b->tx, T_ACTION, slice(key, 12));
    }
    be32_put(key, i->row.to);
    be64_put(key + 4, i->number);
    store_delete(b->tx, T_INBOX, slice(key, 12));
    again_forgotten(b, i);
}

/* From here on item_erased(). */
static void drop_keys(struct batch *b, struct item *i)
{
    Liaison__Rows__V1__Referral *row = &i->row;

    OPENSSL_cleanse(&i->keys, sizeof i->keys);
    i->keyed = false;
    row->wrapped.len = 0;
    row->n_granted = row->n_returns = row->n_answers = row->n_approvals = 0;
    row->n_wanted = row->n_permitted = 0;
    row->keep = row->answer_within = (char *)"";
    row->rate_per_hour = 0;
    row->reveal = 0;
    row->mail = 0;
    item_leave(b, i);
    row->erased_seq = b->seq - log_base(b->core->log); /* of the entry that follows */
    i->dirty = true;
}

static bool erase(struct batch *b, struct item *i, const char *basis, const char *officer)
{
    struct party *self = broker_party(b);
    struct recorded made;
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_ERASE,
        .operation = LIAISON__V1__OPERATION__OPERATION_ERASURE,
        .officer = officer,
        .basis = basis,
        .referral_id = binary_slice(i->row.id),
    };

    if (self == NULL || !drop_officers(b, i))
        return false;
    deadline_drop(b, i);
    drop_values(b, i);
    drop_keys(b, i);
    return record(b, &f, self, party_numbered(b->core, i->row.from), i, true, &made);
}

/* ------------------------------------------------------------ the call */

static void clear_mailbox(struct batch *b, struct map **looked, uint32_t agency,
                          struct item *i)
{
    if (map_get(*looked, agency) != NULL)
        return;
    if (!map_put(looked, agency, i))
        batch_fail(b, LIAISON_MEMORY);
    mail_erase(b, agency);
}

/* Takes every item of what was erased out of the mailboxes of all that were told of it: each is looked through once. */
static void clear_mailboxes(struct batch *b, struct item *const *items, size_t n)
{
    struct map *looked = NULL;

    for (size_t i = 0; i < n; i++) {
        clear_mailbox(b, &looked, items[i]->row.from, items[i]);
        clear_mailbox(b, &looked, items[i]->row.to, items[i]);
        for (size_t t = 0; t < items[i]->row.n_told; t++)
            clear_mailbox(b, &looked, items[i]->row.told[t], items[i]);
        for (size_t t = 0; t < items[i]->row.n_former; t++)
            clear_mailbox(b, &looked, items[i]->row.former[t], items[i]);
    }
    map_free(looked);
}

/* Every group that something was erased of. */
static void renew_groups(struct batch *b, struct item *const *items, size_t n)
{
    struct map *renewed = NULL;

    for (size_t i = 0; i < n && b->failed == LIAISON_OK; i++) {
        uint64_t group = items[i]->number >> VAULT_GROUP_BITS;
        enum liaison_code code = LIAISON_OK;

        if (map_get(renewed, group) != NULL)
            continue;
        if (!map_put(&renewed, group, items[i]))
            code = LIAISON_MEMORY;
        if (code == LIAISON_OK)
            code = group_renew(b, items[i]->number);
        if (code != LIAISON_OK)
            batch_fail(b, code);
    }
    map_free(renewed);
}

bool erase_items(struct batch *b, struct item *const *items, size_t n, const char *basis,
                 const char *officer)
{
    struct item **fresh = arena_alloc(b->arena, (n + 1) * sizeof(struct item *));
    size_t n_fresh = 0;

    if (fresh == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t i = 0; i < n; i++) {
        if (item_erased(items[i]))
            continue;
        if (!erase(b, items[i], basis, officer))
            return false;
        fresh[n_fresh++] = items[i];
    }
    clear_mailboxes(b, fresh, n_fresh);
    renew_groups(b, fresh, n_fresh);
    b->turns_key = n_fresh > 0;
    return b->failed == LIAISON_OK;
}

void erase_call(struct batch *b, struct call *c)
{
    const struct erase *e = c->erase;
    struct item **items = arena_alloc(b->arena, (e->n + 1) * sizeof(struct item *));

    c->code = LIAISON_OK;
    if (items == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    if (!find_all(b, c, items))
        return;
    for (size_t i = 0; i < e->n; i++)
        e->list[i].before = item_erased(items[i]);
    if (!erase_items(b, items, e->n, e->basis, e->officer))
        return;
    for (size_t i = 0; i < e->n; i++)
        e->list[i].seq = items[i]->row.erased_seq;
}

enum liaison_code erase_turn(struct core *core, enum liaison_code code, size_t n,
                             enum liaison_code *done)
{
    bool drawn = core->vault != NULL && vault_drawn(core->vault);

    *done = code;
    if (code == LIAISON_OK) {
        *done = drawn ? vault_turn(core->vault) : LIAISON_OK;
        if (*done == LIAISON_OK && n > 0)
            log_info("erase.done", "referrals=%zu epoch=%" PRIu64, n,
                     vault_epoch(core->vault));
        return *done;
    }
    if (code != LIAISON_FULL && code != LIAISON_MEMORY && code != LIAISON_EVIDENCE &&
        code != LIAISON_DAMAGED)
        return code; /* what became of it is not known: the next start sees by the epoch */
    log_warn("erase.refused", "code=%s", err_name(code));
    return drawn ? vault_drop(core->vault) : LIAISON_OK;
}

enum liaison_code erase_settle(struct core *core, struct call *c, enum liaison_code code)
{
    enum liaison_code done,
        end = erase_turn(core, code, c->code == LIAISON_OK ? c->erase->n : 0, &done);

    if (done != LIAISON_OK)
        c->code = done;
    return end;
}

const char *erased_text(struct arena *a, const struct item *i)
{
    char text[64];
    int n = snprintf(text, sizeof text, "erased under entry %" PRIu64, i->row.erased_seq);

    return (const char *)arena_copy(a, slice(text, (size_t)n + 1));
}
