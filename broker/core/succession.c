/* An agency was merged into another: what still waits for it waits for its sender, who alone can seal it to the one that has the
 * work now. */
#include "broker/core/state.h"
#include "broker/ops/log.h"

enum { AT_ONCE = 256 };

/* Who has the work of one that is no more by this day; NULL: it does it itself, or the rules know nothing of it. */
static const struct rules_agency *heir_of(const struct batch *b, const char *name)
{
    const struct rules_agency *now = batch_successor(b, name);

    return now == NULL || strcmp(now->name, name) == 0 ? NULL : now;
}

bool succession_reads(const struct batch *b, const struct item *i,
                      const struct party *who)
{
    const uint32_t parties[] = {i->row.from, i->row.to};

    for (size_t n = 0; n < 2; n++) {
        const struct party *p = party_numbered(b->core, parties[n]);
        const struct rules_agency *heir = p == NULL ? NULL : heir_of(b, p->name);

        if (heir != NULL && strcmp(heir->name, who->name) == 0)
            return true;
    }
    return false;
}

static void flag(struct batch *b, struct item *i, const struct rules_agency *heir)
{
    struct party *self = broker_party(b), *from = party_numbered(b->core, i->row.from);
    struct recorded made;
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_RESEAL_NEEDED,
        .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
        .referral_id = binary_slice(i->row.id),
        .onward = heir->name,
    };

    item_flag(i, LIAISON__V1__FLAG__FLAG_RESEAL_NEEDED, true);
    mail_drop(b, i);
    deadline_answered(b, i); /* the time to answer begins anew, with the next delivery */
    if (self != NULL && record(b, &f, self, from, i, false, &made))
        mail_alert(b, from, i, LIAISON__V1__FLAG__FLAG_RESEAL_NEEDED, made.seq);
}

bool succession_flag(struct batch *b, struct item *i)
{
    struct party *to = party_numbered(b->core, i->row.to);
    const struct rules_agency *heir = to == NULL ? NULL : heir_of(b, to->name);

    if (heir == NULL || item_erased(i) ||
        referral_finished((Liaison__V1__State)i->row.state))
        return false;
    if (!item_has(i, LIAISON__V1__FLAG__FLAG_RESEAL_NEEDED))
        flag(b, i, heir);
    return b->failed == LIAISON_OK;
}

/* ------------------------------------------------------------ all that wait, a slice at a time */

struct walk {
    uint64_t numbers[AT_ONCE];
    size_t n;
};

static int walk_row(void *arg, struct slice key, struct slice value)
{
    struct walk *w = arg;

    (void)value;
    if (key.n == INDEX_INBOX_BYTES)
        w->numbers[w->n++] = be64_get(key.p + 4);
    return 0;
}

/* What cannot be read waits for whoever restores it. */
static void flag_numbered(struct batch *b, const struct party *to, uint64_t number)
{
    struct item *i = index_item(b, number);

    if (i != NULL && (item_erased(i) || item_keys(b, i) == LIAISON_OK) &&
        i->row.to == to->number)
        succession_flag(b, i);
    if (b->failed != LIAISON_DAMAGED)
        return;
    b->failed = LIAISON_OK; /* nothing was done with it yet */
    log_error("succession.damaged", "referral=%llu what=\"%s\"",
              (unsigned long long)number,
              "its recipient was merged into another agency, and it cannot be read");
}

/* Some of one inbox. True: there may be more. */
static bool look_into(struct batch *b, const struct party *to, uint64_t *number)
{
    uint8_t from[INDEX_INBOX_BYTES], until[INDEX_INBOX_BYTES];
    struct walk w = {.n = 0};
    enum liaison_code code = store_batch_scan(
        b->tx, T_INBOX, index_inbox_key(to->number, *number, from),
        index_inbox_key(to->number + 1, 0, until), AT_ONCE, walk_row, &w);

    if (code != LIAISON_OK)
        batch_fail(b, code);
    for (size_t n = 0; n < w.n && b->failed == LIAISON_OK; n++)
        flag_numbered(b, to, w.numbers[n]);
    if (w.n > 0)
        *number = w.numbers[w.n - 1] + 1;
    return w.n == AT_ONCE;
}

bool succession_look(struct batch *b, struct inbox_place *next)
{
    const struct rules_agency *a;

    for (; (a = rules_agency_at(b->core->settings.rules, next->agency)) != NULL;
         next->agency++) {
        const struct party *to =
            heir_of(b, a->name) == NULL ? NULL : party_find(b->core, a->name);

        if (to == NULL)
            continue;
        if (!look_into(b, to, &next->number)) {
            next->agency++;
            next->number = 0;
        }
        return true;
    }
    return false;
}
