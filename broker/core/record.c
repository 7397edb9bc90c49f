/* The ledger's one door: every entry of a batch is made here. */
#include "broker/core/state.h"

/* What the signed bytes do not hold is kept beside the entry, so that the controller can say who it was. */
static void officer_keep(struct batch *b, const struct vault_keys *k, uint64_t seq,
                         const char *officer)
{
    struct slice text = slice_text(officer);
    uint8_t key[8], place[9], sealed[ID_OFFICER_MAX + VAULT_SEAL_BYTES];

    be64_put(key, seq);
    place[0] = T_OPENING;
    memcpy(place + 1, key, sizeof key);
    vault_seal(b->core->vault, k, slice(place, sizeof place), text, sealed);
    store_put(b->tx, T_OPENING, slice(key, sizeof key),
              slice(sealed, text.n + VAULT_SEAL_BYTES));
}

static bool opening_keys(struct batch *b, struct party *who, struct item *item,
                         const struct vault_keys **out)
{
    enum liaison_code code;

    if (item == NULL || item_erased(item)) {
        code = party_month_keys(b, who, out);
        return code == LIAISON_OK || (batch_fail(b, code), false);
    }
    *out = &item->keys;
    return item_keys(b, item) == LIAISON_OK;
}

/* The key of the counterpart's counter is of its own month: whoever may know the one need not know the rest of the entry. */
static bool counter_opening(struct batch *b, struct party *counterpart, uint8_t out[32])
{
    const struct vault_keys *keys;
    enum liaison_code code = party_month_keys(b, counterpart, &keys);

    if (code != LIAISON_OK)
        return batch_fail(b, code), false;
    vault_opening(b->core->hash, keys, b->seq, out);
    return true;
}

static uint64_t count(struct batch *b, struct party *p)
{
    if (p == NULL)
        return 0;
    party_touch(b, p);
    return ++p->counter;
}

bool record(struct batch *b, struct ledger_fact *f, struct party *who,
            struct party *counterpart, struct item *item, bool keep_officer,
            struct recorded *out)
{
    const struct vault_keys *keys;
    uint8_t key[8], counter[32];

    if (!opening_keys(b, who, item, &keys) ||
        (counterpart != NULL && !counter_opening(b, counterpart, counter)))
        return false;
    vault_opening(b->core->hash, keys, b->seq, out->opening);
    struct ledger_place place = {
        .log = log_number(b->core->log),
        .seq = b->seq - log_base(b->core->log),
        .time_ns = b->time_ns,
        .clock = b->clock,
        .agency_counter = count(b, who),
        .counterpart_counter = count(b, counterpart),
        .opening = out->opening,
        .counter_opening = counterpart == NULL ? NULL : counter,
    };

    f->agency = who->name;
    f->counterpart = counterpart == NULL ? NULL : counterpart->name;
    f->rule_set = b->core->rule_set;
    enum liaison_code code =
        ledger_entry(b->core->hash, b->arena, f, &place, &out->entry);

    if (code == LIAISON_OK)
        code = log_add(b->core->log, &b->tree, out->entry);
    if (code != LIAISON_OK) {
        batch_fail(b, code);
        return false;
    }
    be64_put(key, b->seq);
    store_append(b->tx, T_ENTRY, slice(key, sizeof key), out->entry);
    if (keep_officer && f->officer != NULL && f->officer[0] != '\0')
        officer_keep(b, keys, b->seq, f->officer);
    if (item != NULL)
        item_trail(b, item, b->seq);
    out->seq = b->seq++;
    return true;
}
