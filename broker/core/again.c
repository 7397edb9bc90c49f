/* Judged again: a referral that was taken under other rules, or on another day, is asked about before more of it is
 * seen. What the rules do not allow any more is barred; once they do, it goes on. */
#include "broker/core/state.h"
#include "broker/rules/ask.h"
#include "proto/err.h"

/* Who does the work of `name` today: rules speak of no agency that was merged into another. */
static const char *standing_name(const struct batch *b, const char *name)
{
    const struct rules_agency *a = batch_successor(b, name);

    return a == NULL ? name : a->name;
}

static enum liaison_code question_of(struct batch *b, const struct item *i,
                                     struct rules_question *q)
{
    enum liaison_code code =
        rules_ask(i->envelope, i->referral->sections, (const char *const *)i->row.granted,
                  i->referral->n_sections, true, batch_day(b), q);

    q->from = standing_name(b, q->from);
    q->to = standing_name(b, q->to);
    return code;
}

/* True once i->again holds what the rules in force say. Each referral is asked about once a batch. */
static bool ask(struct batch *b, struct item *i)
{
    struct rules_decision *d;
    struct rules_question q;

    if (i->again.rules == b->core->settings.rules)
        return true;
    if (item_body(b, i) != LIAISON_OK)
        return false;
    if (i->referral->n_sections !=
            i->row.n_granted || /* kept in the order of these names */
        question_of(b, i, &q) != LIAISON_OK)
        return batch_fail(b, LIAISON_DAMAGED), false;
    if ((d = arena_alloc(b->arena, sizeof *d)) == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    rules_decide(b->core->settings.rules, &q, b->arena, d);
    if (d->code == LIAISON_MEMORY)
        return batch_fail(b, LIAISON_MEMORY), false;
    i->again = (struct again){
        .rules = b->core->settings.rules,
        .decision = d,
        .why = d->code == LIAISON_OK ? NULL : rules_explain(d, &q, b->arena),
        .shown = d->granted,
    };
    return true;
}

void again_taken(struct batch *b, struct item *i, const struct rules_decision *d)
{
    i->again = (struct again){
        .rules = b->core->settings.rules, .decision = d, .shown = UINT32_MAX};
}

bool again_allowed(struct batch *b, struct item *i)
{
    return ask(b, i) && i->again.decision->code == LIAISON_OK;
}

/* ------------------------------------------------------------ the flag */

static void barred_key(const struct item *i, uint8_t key[8])
{
    be64_put(key, i->number);
}

/* An entry of the broker's, and the sender is told of it. */
static void tell(struct batch *b, struct item *i, Liaison__V1__Event event)
{
    struct party *self = broker_party(b), *from = party_numbered(b->core, i->row.from);
    struct recorded made;
    struct ledger_fact f = {
        .event = event,
        .code = i->again.decision->code,
        .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
        .referral_id = binary_slice(i->row.id),
        .rules = kept_rules_cite(b, i->again.decision->lines, i->again.decision->n_lines),
        .n_rules = i->again.decision->n_lines,
    };

    if (self != NULL && record(b, &f, self, from, i, false, &made))
        mail_alert(b, from, i, LIAISON__V1__FLAG__FLAG_BARRED, made.seq);
}

void again_forgotten(struct batch *b, const struct item *i)
{
    uint8_t key[8];

    barred_key(i, key);
    if (item_has(i, LIAISON__V1__FLAG__FLAG_BARRED))
        store_delete(b->tx, T_BARRED, slice(key, sizeof key));
}

/* Nobody can answer what they may not see: the time to answer begins again with the next delivery. */
static void bar(struct batch *b, struct item *i)
{
    uint8_t key[8];

    barred_key(i, key);
    store_put(b->tx, T_BARRED, slice(key, sizeof key), slice(NULL, 0));
    item_flag(i, LIAISON__V1__FLAG__FLAG_BARRED, true);
    mail_drop(b, i);
    deadline_answered(b, i);
    tell(b, i, LIAISON__V1__EVENT__EVENT_BARRED);
}

/* Whom it would have waited for, had it not been barred. */
static bool is_awaited(const struct item *i)
{
    return (i->row.state == LIAISON__V1__STATE__STATE_REQUESTED ||
            i->row.state == LIAISON__V1__STATE__STATE_RECEIVED) &&
           i->row.mail == 0 && !item_hidden(i) &&
           !item_has(i, LIAISON__V1__FLAG__FLAG_RESEAL_NEEDED);
}

static void unbar(struct batch *b, struct item *i)
{
    again_forgotten(b, i);
    item_flag(i, LIAISON__V1__FLAG__FLAG_BARRED, false);
    tell(b, i, LIAISON__V1__EVENT__EVENT_UNBARRED);
    if (is_awaited(i))
        i->row.mail = mail_put(b, party_numbered(b->core, i->row.to), i->row.mail_class,
                               i->number, 0);
}

bool again_settled(struct batch *b, struct item *i)
{
    bool barred = item_has(i, LIAISON__V1__FLAG__FLAG_BARRED),
         allowed = again_allowed(b, i);

    if (b->failed == LIAISON_OK && allowed == barred)
        (allowed ? unbar : bar)(b, i);
    return allowed && b->failed == LIAISON_OK;
}

/* ------------------------------------------------------------ all that are barred, a slice at a time */

enum { LOOKED_AT_ONCE = 256 };

struct looked {
    uint64_t numbers[LOOKED_AT_ONCE];
    size_t n;
};

static int looked_row(void *arg, struct slice key, struct slice value)
{
    struct looked *l = arg;

    (void)value;
    if (key.n != 8)
        return 1;
    l->numbers[l->n++] = be64_get(key.p);
    return 0;
}

bool barred_look(struct batch *b, uint64_t *from)
{
    struct looked l = {.n = 0};
    uint8_t key[8];

    be64_put(key, *from);
    enum liaison_code code =
        store_batch_scan(b->tx, T_BARRED, slice(key, sizeof key), slice(NULL, 0),
                         LOOKED_AT_ONCE, looked_row, &l);

    if (code != LIAISON_OK)
        batch_fail(b, code);
    for (size_t n = 0; n < l.n && b->failed == LIAISON_OK; n++) {
        struct item *i = item_get(b, l.numbers[n]);

        if (i != NULL)
            again_settled(b, i);
    }
    if (l.n > 0)
        *from = l.numbers[l.n - 1] + 1;
    return l.n == LOOKED_AT_ONCE;
}
