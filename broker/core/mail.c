/* Mailboxes in the store, and what of them goes out. */
#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"
#include "proto/valid.h"

enum {
    MAIL_KEY = 13,
    PUSHES_MAX = 8192 /* of one batch, so that a great backlog does not hold up answers */
};

static void mail_key(uint32_t agency, unsigned class, uint64_t mail,
                     uint8_t key[MAIL_KEY])
{
    be32_put(key, agency);
    key[4] = (uint8_t) class;
    be64_put(key + 5, mail);
}

static void put_row(struct batch *b, const uint8_t key[MAIL_KEY],
                    const Liaison__Rows__V1__Mail *row)
{
    uint8_t bytes[64];

    store_put(b->tx, T_MAIL, slice(key, MAIL_KEY),
              slice(bytes, liaison__rows__v1__mail__pack(row, bytes)));
}

static uint64_t put_new(struct batch *b, struct party *to, unsigned class,
                        const Liaison__Rows__V1__Mail *row)
{
    uint8_t key[MAIL_KEY];
    uint64_t mail = ++to->mail;

    party_touch(b, to);
    mail_key(to->number, class, mail, key);
    put_row(b, key, row);
    delivery_added(b->core->delivery, to->number, class, mail);
    return mail;
}

uint64_t mail_put(struct batch *b, struct party *to, unsigned class, uint64_t referral,
                  uint32_t version)
{
    Liaison__Rows__V1__Mail row = LIAISON__ROWS__V1__MAIL__INIT;

    row.referral = referral;
    row.version = version;
    return put_new(b, to, class, &row);
}

void mail_alert(struct batch *b, struct party *to, const struct item *i,
                Liaison__V1__Flag flag, uint64_t entry_seq)
{
    Liaison__Rows__V1__Mail row = LIAISON__ROWS__V1__MAIL__INIT;

    row.referral = i->number;
    row.flag = (uint32_t)flag;
    row.entry = entry_seq;
    put_new(b, to, i->row.mail_class, &row);
}

static void undo_later(struct batch *b, uint32_t agency, unsigned class, uint64_t mail)
{
    struct undo *u = arena_alloc(b->arena, sizeof *u);

    if (u == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    *u = (struct undo){agency, class, mail, b->undos};
    b->undos = u;
}

void mail_undo(struct batch *b)
{
    for (const struct undo *u = b->undos; u != NULL; u = u->next)
        delivery_again(b->core->delivery, u->agency, u->class, u->mail);
    b->undos = NULL;
}

static void take_out(struct batch *b, uint32_t agency, unsigned class, uint64_t mail)
{
    uint8_t key[MAIL_KEY];

    mail_key(agency, class, mail, key);
    store_delete(b->tx, T_MAIL, slice(key, sizeof key));
    delivery_acked(b->core->delivery, agency, mail);
    undo_later(b, agency, class, mail);
}

void mail_drop(struct batch *b, struct item *i)
{
    if (i->row.mail == 0)
        return;
    take_out(b, i->row.to, i->row.mail_class, i->row.mail);
    i->row.mail = 0;
    i->dirty = true;
}

struct old_mail {
    uint8_t key[MAIL_KEY];
    struct old_mail *next;
};

struct erased_mail {
    struct batch *b;
    struct arena *scratch;
    struct old_mail *first;
    enum liaison_code code;
};

static int erased_row(void *arg, struct slice key, struct slice value)
{
    struct erased_mail *e = arg;
    const void *m;

    arena_reset(e->scratch);
    e->code = valid_decode(&liaison__rows__v1__mail__descriptor, value, e->scratch, &m);
    if (e->code != LIAISON_OK || key.n != MAIL_KEY) {
        e->code = e->code == LIAISON_MEMORY ? e->code : LIAISON_DAMAGED;
        return 1;
    }
    const struct item *i =
        map_get(e->b->items, ((const Liaison__Rows__V1__Mail *)m)->referral);

    if (i == NULL || !item_erased(i))
        return 0;
    struct old_mail *old = arena_alloc(e->b->arena, sizeof *old);

    if (old == NULL) {
        e->code = LIAISON_MEMORY;
        return 1;
    }
    memcpy(old->key, key.p, MAIL_KEY);
    old->next = e->first;
    e->first = old;
    return 0;
}

void mail_erase(struct batch *b, uint32_t agency)
{
    struct erased_mail e = {.b = b, .scratch = arena_new()};
    uint8_t from[4], to[4];

    if (e.scratch == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    be32_put(from, agency);
    be32_put(to, agency + 1);
    enum liaison_code code =
        store_batch_scan(b->tx, T_MAIL, slice(from, sizeof from), slice(to, sizeof to),
                         SIZE_MAX, erased_row, &e);

    arena_free(e.scratch);
    if (code != LIAISON_OK || e.code != LIAISON_OK)
        batch_fail(b, code != LIAISON_OK ? code : e.code);
    for (const struct old_mail *m = e.first; m != NULL && b->failed == LIAISON_OK;
         m = m->next)
        take_out(b, agency, m->key[4], be64_get(m->key + 5));
}

/* ------------------------------------------------------------ push */

static bool is_alert(const Liaison__Rows__V1__Mail *row)
{
    return row->flag != 0;
}

struct found {
    uint64_t mail;
    uint8_t key[MAIL_KEY];
    const Liaison__Rows__V1__Mail *row;
    struct arena *arena;
    enum liaison_code code; /* LIAISON_NOT_FOUND: nothing there */
};

static int found_row(void *arg, struct slice key, struct slice value)
{
    struct found *f = arg;
    const void *row;

    f->code = valid_decode(&liaison__rows__v1__mail__descriptor, value, f->arena, &row);
    if (f->code == LIAISON_OK && key.n == MAIL_KEY) {
        memmove(f->key, key.p, MAIL_KEY);
        f->mail = be64_get(key.p + 5);
        f->row = row;
    } else {
        f->code = LIAISON_DAMAGED;
    }
    return 1;
}

static struct found find_first(struct batch *b, const struct delivery_offer *o)
{
    struct found f = {.arena = b->arena, .code = LIAISON_NOT_FOUND};
    uint8_t from[MAIL_KEY], to[MAIL_KEY];

    mail_key(o->agency, o->class, o->from_seq, from);
    mail_key(o->agency, o->class + 1, 0, to);
    enum liaison_code code = store_batch_scan(b->tx, T_MAIL, slice(from, sizeof from),
                                              slice(to, sizeof to), 1, found_row, &f);

    if (code != LIAISON_OK)
        f.code = code;
    return f;
}

/* A card without sections, and the entry as it stands. */
static bool fill_alert(struct batch *b, struct item *i, const struct found *f,
                       const struct party *to, Liaison__V1__Deliver *d)
{
    Liaison__V1__Alert *a = arena_alloc(b->arena, sizeof *a);
    struct slice entry;
    uint8_t key[8], *copy;

    if (a == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    be64_put(key, f->row->entry);
    if (store_get(b->tx, T_ENTRY, slice(key, sizeof key), &entry) != LIAISON_OK)
        return batch_fail(b, LIAISON_DAMAGED), false;
    copy = arena_copy(b->arena, entry);
    if (copy == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    liaison__v1__alert__init(a);
    a->flag = (Liaison__V1__Flag)f->row->flag;
    a->entry = (ProtobufCBinaryData){entry.n, copy};
    a->card = card_of(b, i, to, false);
    d->item_case = LIAISON__V1__DELIVER__ITEM_ALERT;
    d->alert = a;
    return a->card != NULL;
}

/* The referral as a card (with its sections where the rules reveal them on delivery), the news of a move, or an alert. */
static bool fill_deliver(struct batch *b, struct item *i, const struct found *f,
                         const struct party *to, Liaison__V1__Deliver *d)
{
    const Liaison__V1__SignedAction *action;
    Liaison__V1__Notice *n;

    if (is_alert(f->row))
        return fill_alert(b, i, f, to, d);
    if (f->row->version == 0) {
        d->item_case = LIAISON__V1__DELIVER__ITEM_REFERRAL;
        d->referral = card_of(b, i, to, card_revealed(i));
        return d->referral != NULL;
    }
    n = arena_alloc(b->arena, sizeof *n);
    if (n == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    if (item_get_action(b, i, f->row->version, &action) != LIAISON_OK)
        return false;
    liaison__v1__notice__init(n);
    n->action = arena_alloc(b->arena, sizeof *n->action);
    if (n->action == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    *n->action = *action;
    if (action->n_sections > 0 && !again_settled(b, i))
        n->action->n_sections = 0;
    n->state = (Liaison__V1__State)i->row.state;
    n->state_version = i->row.version;
    d->item_case = LIAISON__V1__DELIVER__ITEM_NOTICE;
    d->notice = n;
    return true;
}

/* The names of the sections that go out with it. */
static bool delivered_names(struct batch *b, const Liaison__V1__Deliver *d,
                            const char ***names, size_t *n)
{
    *n = 0;
    if (d->item_case == LIAISON__V1__DELIVER__ITEM_ALERT)
        return true;
    if (d->item_case == LIAISON__V1__DELIVER__ITEM_REFERRAL) {
        *names = (const char **)d->referral->granted;
        *n = d->referral->referral->n_sections;
        return true;
    }
    *names = arena_alloc(b->arena, d->notice->action->n_sections * sizeof **names);
    if (*names == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    return section_names(b, d->notice->action->sections, d->notice->action->n_sections,
                         *names, n);
}

static bool record_delivery(struct batch *b, struct item *i, const struct session *s,
                            const Liaison__V1__Deliver *d, struct slice returned)
{
    const char **names = NULL;
    struct recorded made;
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_DELIVERY,
        .referral_id = slice(i->row.id.data, i->row.id.len),
        .certificate = s->certificate,
        .returned = returned,
    };

    if (!delivered_names(b, d, &names, &f.n_sections))
        return false;
    if (d->item_case == LIAISON__V1__DELIVER__ITEM_REFERRAL)
        deadline_delivered(b, i);
    f.sections = names;
    f.operation = f.n_sections > 0 ? LIAISON__V1__OPERATION__OPERATION_DISCLOSURE
                                   : LIAISON__V1__OPERATION__OPERATION_CONSULTATION;
    return record(b, &f, s->party, item_other(b, i, s->party), i, false, &made);
}

/* Encodes the push into a call of its own. NULL: the batch has failed, and so goes the lease. */
static struct call *push_call(struct batch *b, struct item *i, const struct found *f,
                              const struct session *s, Liaison__V1__Deliver *d)
{
    Liaison__V1__Frame frame = LIAISON__V1__FRAME__INIT;
    struct call *c = call_new(CALL_PUSH, s->number);

    if (c == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return NULL;
    }
    d->mailbox = f->mail;
    d->attempt = f->row->attempts + 1;
    frame.body_case = LIAISON__V1__FRAME__BODY_DELIVER;
    frame.deliver = d;
    c->reply = arena_pack(c->arena, &frame.base);
    if (c->reply.p == NULL) {
        batch_fail(b, LIAISON_MEMORY);
    } else if (record_delivery(b, i, s, d, c->reply)) {
        Liaison__Rows__V1__Mail row = *f->row;

        row.attempts = d->attempt;
        put_row(b, f->key, &row);
        return c;
    }
    call_free(c);
    return NULL;
}

/* The rules are asked again about a card for anybody but the sender. What they do not allow any more leaves the mailbox. */
static bool may_go(struct batch *b, struct item *i, const struct delivery_offer *o,
                   const struct found *f)
{
    uint64_t own = i->row.mail;

    if (f->row->version > 0 || o->agency == i->row.from || again_settled(b, i))
        return true;
    mail_drop(b, i);
    if (f->mail != own)
        take_out(b, o->agency, o->class, f->mail);
    return false;
}

static bool push_one(struct batch *b, const struct delivery_offer *o,
                     const struct found *f, uint64_t now_mono_ms, bool *more)
{
    Liaison__V1__Deliver d = LIAISON__V1__DELIVER__INIT;
    const struct session *s = map_get(b->core->sessions, o->session);
    struct item *i = item_get(b, f->row->referral);

    if (s == NULL) { /* it has closed */
        delivery_close(b->core->delivery, o->session);
        return true;
    }
    if (i == NULL)
        return false;
    if (!may_go(b, i, o, f))
        return b->failed == LIAISON_OK;
    if (!fill_deliver(b, i, f, s->party, &d))
        return false;
    size_t bytes = liaison__v1__deliver__get_packed_size(&d);

    switch (delivery_lease(b->core->delivery, o, f->mail, bytes, now_mono_ms, &d.lease)) {
    case DELIVERY_LEASED:
        break;
    case DELIVERY_ELSEWHERE:
    case DELIVERY_NO_CREDIT:
        return true;
    case DELIVERY_NO_MEMORY:
        *more = true;
        return false;
    }
    undo_later(b, o->agency, o->class, f->mail);
    struct call *c = push_call(b, i, f, s, &d);

    if (c == NULL)
        return false;
    *b->last_push = c;
    b->last_push = &c->next;
    return true;
}

void mail_push(struct batch *b, uint64_t now_mono_ms, bool *more)
{
    struct delivery_offer o;
    size_t pushed = 0;

    *more = false;
    while (b->failed == LIAISON_OK && delivery_next(b->core->delivery, &o)) {
        if (pushed++ == PUSHES_MAX) {
            *more = true;
            return;
        }
        struct found f = find_first(b, &o);

        if (f.code == LIAISON_NOT_FOUND)
            delivery_none(b->core->delivery, &o);
        else if (f.code != LIAISON_OK)
            batch_fail(b, f.code);
        else if (!push_one(b, &o, &f, now_mono_ms, more))
            return;
    }
}

/* ------------------------------------------------------------ Grant and Ack */

static void answer_done(struct batch *b, struct call *c)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Done d = LIAISON__V1__DONE__INIT;

    f.body_case = LIAISON__V1__FRAME__BODY_DONE;
    f.done = &d;
    core_answer(b, c, &f);
}

void grant_call(struct batch *b, struct call *c, struct session *s)
{
    const Liaison__V1__Grant *g = c->frame->grant;

    if (c->code == LIAISON_OK && (g->messages == 0 || g->bytes == 0)) {
        core_error(b, c, LIAISON_FIELD, "grant: messages and bytes are wanted");
        return;
    }
    if (c->code == LIAISON_OK &&
        !b->full) /* the second try of a batch: granted in the first */
        c->code = delivery_grant(b->core->delivery, s->number, g->messages, g->bytes);
    if (c->code == LIAISON_OK)
        answer_done(b, c);
    else
        core_error(b, c, c->code, c->why);
}

/* The item's class, from its lease or from the store; false: it is not there any more. */
static bool find_mail(struct batch *b, uint32_t agency, uint64_t mail, struct found *f,
                      unsigned *class)
{
    struct slice value;
    unsigned from = 0, until = DELIVERY_CLASSES;

    if (delivery_find(b->core->delivery, agency, mail, class)) {
        from = *class;
        until = from + 1;
    }
    for (*class = from; *class < until; (*class)++) {
        mail_key(agency, *class, mail, f->key);
        enum liaison_code code =
            store_get(b->tx, T_MAIL, slice(f->key, MAIL_KEY), &value);

        if (code == LIAISON_OK) {
            found_row(f, slice(f->key, MAIL_KEY), value);
            return f->code == LIAISON_OK || (batch_fail(b, f->code), false);
        }
        if (code != LIAISON_NOT_FOUND)
            return batch_fail(b, code), false;
    }
    return false;
}

static bool record_receipt(struct batch *b, struct item *i, const struct session *s,
                           const char *officer, Liaison__V1__State before)
{
    struct recorded made;
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_RECEIPT,
        .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
        .officer = officer,
        .referral_id = slice(i->row.id.data, i->row.id.len),
        .certificate = s->certificate,
        .before = before,
        .after = (Liaison__V1__State)i->row.state,
    };

    return record(b, &f, s->party, item_other(b, i, s->party), i, true, &made);
}

/* An item that is not there any more was acknowledged before: that is done already. */
static bool ack_one(struct batch *b, const struct session *s,
                    const Liaison__V1__Lease *lease, const char *officer)
{
    struct found f = {.arena = b->arena};
    unsigned class;

    if (!find_mail(b, s->party->number, lease->mailbox, &f, &class))
        return b->failed == LIAISON_OK;
    struct item *i = item_get(b, f.row->referral);

    if (i == NULL)
        return false;
    Liaison__V1__State before = (Liaison__V1__State)i->row.state;
    struct referral_step step;

    take_out(b, s->party->number, class, lease->mailbox);
    if (f.row->version == 0 && !is_alert(f.row)) {
        i->row.mail = 0;
        if (referral_step((Liaison__V1__Type)i->row.type, before, REFERRAL_RECEIVED,
                          REFERRAL_BROKER, &step) == LIAISON_OK)
            item_moved(b, i, step.next);
    }
    i->dirty = true;
    return record_receipt(b, i, s, officer, before);
}

void ack_call(struct batch *b, struct call *c, struct session *s)
{
    const Liaison__V1__Ack *a = c->frame->ack;
    const Liaison__V1__Caller *caller = c->frame->caller;
    const char *officer =
        caller != NULL && id_officer(caller->officer) ? caller->officer : NULL;

    if (c->code != LIAISON_OK) {
        core_error(b, c, c->code, c->why);
        return;
    }
    if (b->full) {
        core_error(b, c, LIAISON_FULL, NULL);
        return;
    }
    for (size_t i = 0; i < a->n_leases; i++)
        if (!ack_one(b, s, a->leases[i], officer))
            return;
    answer_done(b, c);
}
