/* Referrals are played again from their entries, a few a second: a row that says something else than the log is told. */
#include <openssl/crypto.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/valid.h"

enum { AT_ONCE = 64, ENTRIES_MAX = 4096 };

/* What a referral's entries come to. */
struct played {
    Liaison__V1__State state;
    uint32_t version;
    const char *responsible;
};

/* Submit and signed moves count in the version; that it was received, or sealed again, does not. */
static void play(const Liaison__V1__LedgerEntry *e, struct played *p)
{
    if (e->state_after == LIAISON__V1__STATE__STATE_UNSPECIFIED)
        return;
    p->state = e->state_after;
    if (e->responsible[0] != '\0') {
        p->responsible = e->responsible;
        p->version += e->event != LIAISON__V1__EVENT__EVENT_RESEAL;
    }
}

static enum liaison_code play_all(struct batch *b, const struct trail *t,
                                  struct played *out)
{
    const void *e;

    for (size_t n = 0; n < t->n; n++) {
        struct slice entry;
        enum liaison_code code =
            store_get(b->tx, T_ENTRY, slice(t->seqs + 8 * n, 8), &entry);
        const uint8_t *copy = code == LIAISON_OK ? arena_copy(b->arena, entry) : NULL;

        if (copy == NULL)
            return code != LIAISON_OK ? code : LIAISON_MEMORY;
        code = valid_decode(&liaison__v1__ledger_entry__descriptor, slice(copy, entry.n),
                            b->arena, &e);
        if (code != LIAISON_OK)
            return code;
        play(e, out);
    }
    return LIAISON_OK;
}

static bool agrees(const struct batch *b, const struct item *i, const struct played *p)
{
    const struct party *responsible = party_numbered(b->core, i->row.responsible);

    return i->row.state == (uint32_t)p->state && i->row.version == p->version &&
           responsible != NULL && p->responsible != NULL &&
           strcmp(responsible->name, p->responsible) == 0;
}

/* False: it says something else than its entries. What cannot be read is for the next read of it to say. */
static bool is_sound(struct batch *b, uint64_t number)
{
    struct item *i = item_get(b, number);
    struct trail t = {.room = ENTRIES_MAX};
    struct played p = {0};

    if (i == NULL || !trail_read(b, i, &t))
        return false;
    return t.n == ENTRIES_MAX || (play_all(b, &t, &p) == LIAISON_OK && agrees(b, i, &p));
}

static void alarm_for(struct core *c, uint64_t number)
{
    log_error("state.wrong", "referral=%llu what=\"%s\"", (unsigned long long)number,
              "it is not in the state that its entries come to: ask the auditors");
    metrics_add(c->settings.metrics, METRIC_STATE_WRONG, 1);
}

void replay_some(struct core *c, struct arena *arena)
{
    struct batch b;

    arena_reset(arena);
    if (c->next_number <= 1 || batch_begin(c, arena, true, &b) != LIAISON_OK)
        return;
    for (size_t n = 0; n < AT_ONCE && b.failed == LIAISON_OK; n++) {
        c->replayed = c->replayed + 1 < c->next_number ? c->replayed + 1 : 1;
        if (!is_sound(&b, c->replayed))
            alarm_for(c, c->replayed);
        if (c->replayed + 1 >= c->next_number)
            break;
    }
    store_abort(b.tx);
    batch_undo(&b);
    for (struct item *i = b.first; i != NULL; i = i->next)
        OPENSSL_cleanse(&i->keys, sizeof i->keys);
    map_free(b.items);
}
