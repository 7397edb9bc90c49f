/* Act: the signed moves of a referral. */
#include <openssl/crypto.h>

#include "broker/core/state.h"
#include "proto/err.h"
#include "proto/valid.h"

struct moved {
    const Liaison__V1__SignedAction *signed_action;
    const Liaison__V1__Action *a;
    struct item *i;
    struct party *other;
    enum referral_party party;
    enum referral_event event;
    struct referral_step step;
    uint8_t digest[HASH_BYTES];
    uint8_t key[21]; /* of the idempotency row */
    enum liaison_code code;
    const char *text;
};

static void say_erased(struct batch *b, struct moved *m, const struct item *i)
{
    m->code = LIAISON_ERASED;
    m->text = erased_text(b->arena, i);
}

/* A referral is there for its two parties; for everybody else it is as if there were none. */
static void find_referral(struct batch *b, const struct session *s, struct moved *m)
{
    struct item *i = item_find(b, party_find(b->core, m->a->referral->from),
                               binary_slice(m->a->referral->id));

    if (i != NULL && i->row.from == s->party->number)
        m->party = REFERRAL_SENDER;
    else if (i != NULL && i->row.to == s->party->number)
        m->party = REFERRAL_RECIPIENT;
    else
        m->party = REFERRAL_STRANGER;
    if (m->party == REFERRAL_STRANGER) {
        m->code = LIAISON_NOT_FOUND;
        return;
    }
    m->i = i;
    m->other =
        party_numbered(b->core, m->party == REFERRAL_SENDER ? i->row.to : i->row.from);
    if (m->other == NULL)
        m->code = batch_fail(b, LIAISON_DAMAGED);
    else if (item_erased(i))
        say_erased(b, m, i);
}

static bool may_return(const struct moved *m, const char *name)
{
    for (size_t i = 0; m->party == REFERRAL_RECIPIENT && i < m->i->row.n_returns; i++)
        if (strcmp(m->i->row.returns[i], name) == 0)
            return true;
    return false;
}

/* Sections flow back only as the rules said when the referral was taken, and only to the other party. */
static void judge_sections(struct batch *b, struct call *c, struct moved *m)
{
    const Liaison__V1__SignedAction *sa = m->signed_action;
    bool found = m->step.needs_section == NULL;
    const char *why = NULL;

    m->code = valid_sections(b->core->hash, c->arena, sa->sections, sa->n_sections,
                             m->a->digests, m->a->n_digests, m->other->name,
                             c->section_names, &why);
    m->text = m->code == LIAISON_OK ? NULL : why;
    for (size_t i = 0; m->code == LIAISON_OK && i < sa->n_sections; i++) {
        found = found || strcmp(c->section_names[i], m->step.needs_section) == 0;
        if (!may_return(m, c->section_names[i])) {
            m->code = LIAISON_SECTIONS;
            m->text = "the rules let no such section flow back";
        }
    }
    if (m->code == LIAISON_OK && !found) {
        m->code = LIAISON_FIELD;
        m->text = "this move must carry the section \"outcome\"";
    }
}

static void judge_move(struct batch *b, struct call *c, struct moved *m)
{
    if (m->a->expected_version != m->i->row.version) {
        m->code = LIAISON_STALE;
        return;
    }
    if (!referral_event_of(m->a->move, &m->event)) {
        m->code = LIAISON_UNSUPPORTED;
        return;
    }
    m->code =
        referral_step((Liaison__V1__Type)m->i->row.type,
                      (Liaison__V1__State)m->i->row.state, m->event, m->party, &m->step);
    if (m->code == LIAISON_OK && m->step.needs_reason && m->a->reason[0] == '\0') {
        m->code = LIAISON_FIELD;
        m->text = "this move must carry a reason";
    }
    if (m->code == LIAISON_OK)
        judge_sections(b, c, m);
}

/* The move's own idempotency row: LIAISON_OK and *done if it came before. */
static enum liaison_code find_done(struct batch *b, struct moved *m,
                                   const struct session *s,
                                   const Liaison__Rows__V1__Done **done)
{
    struct slice bytes;
    const void *row;

    be32_put(m->key, s->party->number);
    m->key[4] = 'A';
    memcpy(m->key + 5, m->a->id.data, ID_BYTES);
    enum liaison_code code =
        store_get(b->tx, T_KNOWN, slice(m->key, sizeof m->key), &bytes);

    if (code == LIAISON_NOT_FOUND)
        return code;
    if (code == LIAISON_OK)
        code = valid_decode(&liaison__rows__v1__done__descriptor, bytes, b->arena, &row);
    if (code != LIAISON_OK)
        return batch_fail(b, code == LIAISON_MALFORMED ? LIAISON_DAMAGED : code);
    *done = row;
    return LIAISON_OK;
}

/* What makes the same action again a duplicate. An action holds an officer's number and little that nobody knows, so its digest
 * is under a key that dies with the referral. */
static void digest(struct batch *b, const struct item *i, struct moved *m)
{
    hash_hmac(b->core->hash, i->keys.opening,
              (struct slice[]){slice_text("liaison/1 action again\n"),
                               binary_slice(m->signed_action->action)},
              2, m->digest);
}

static void put_done(struct batch *b, struct moved *m, const struct recorded *made)
{
    Liaison__Rows__V1__Done row = LIAISON__ROWS__V1__DONE__INIT;

    digest(b, m->i, m);
    row.referral = m->i->number;
    row.version = m->i->row.version;
    row.digest = (ProtobufCBinaryData){sizeof m->digest, (uint8_t *)m->digest};
    row.seq = made->seq;
    row.state = m->i->row.state;
    struct slice bytes = arena_pack(b->arena, &row.base);

    if (bytes.p == NULL)
        batch_fail(b, LIAISON_MEMORY);
    else
        store_put(b->tx, T_KNOWN, slice(m->key, sizeof m->key), bytes);
}

static bool record_move(struct batch *b, struct call *c, struct session *s,
                        const struct moved *m, Liaison__V1__State before,
                        struct recorded *made)
{
    const struct party *responsible = party_numbered(b->core, m->i->row.responsible);
    struct ledger_fact f = {
        .event = m->step.logged_as,
        .operation = LIAISON__V1__OPERATION__OPERATION_ALTERATION,
        .officer = m->a->officer,
        .referral_id = binary_slice(m->i->row.id),
        .request_id = binary_slice(m->a->id),
        .purpose = m->a->purpose,
        .basis = m->a->basis,
        .certificate = c->signer,
        .before = before,
        .after = m->step.next,
        .type = (Liaison__V1__Type)m->i->row.type,
        .responsible = responsible == NULL ? NULL : responsible->name,
        .sections = c->section_names,
        .n_sections = m->signed_action->n_sections,
        .content = binary_slice(m->signed_action->action),
    };

    return record(b, &f, s->party, m->other, m->i, false, made);
}

/* A recipient who has answered has seen it; a withdrawn referral that nobody saw is delivered to nobody, and neither is the news. */
static void tell_other(struct batch *b, struct moved *m, Liaison__V1__State before)
{
    bool unseen =
        m->party == REFERRAL_SENDER && before == LIAISON__V1__STATE__STATE_REQUESTED;

    mail_drop(b, m->i);
    if (!unseen)
        mail_put(b, m->other, m->i->row.mail_class, m->i->number, m->i->row.version);
}

static void apply(struct batch *b, struct call *c, struct session *s, struct moved *m)
{
    Liaison__V1__State before = (Liaison__V1__State)m->i->row.state;
    struct recorded made;

    m->i->row.state = (uint32_t)m->step.next;
    m->i->row.version++;
    if (m->step.moves_responsibility)
        m->i->row.responsible = m->i->row.to;
    deadline_moved(b, m->i);
    item_put_action(b, m->i, m->i->row.version, m->signed_action, c->signer);
    if (!record_move(b, c, s, m, before, &made))
        return;
    put_done(b, m, &made);
    tell_other(b, m, before);
    core_accepted(b, c, s, false, &made, m->step.next, m->i->row.version, NULL, 0);
}

static void answer_again(struct batch *b, struct call *c, struct session *s,
                         const Liaison__Rows__V1__Done *done)
{
    struct recorded first;
    struct item *i = item_get(b, done->referral);

    if (i != NULL && recorded_again(b, i, done->seq, &first) == LIAISON_OK)
        core_accepted(b, c, s, true, &first, (Liaison__V1__State)done->state,
                      done->version, NULL, 0);
}

/* LIAISON_OK: these bytes came before. Of an erased referral nobody can say any more whether they are the same. */
static void judge_again(struct batch *b, struct moved *m,
                        const Liaison__Rows__V1__Done *done)
{
    struct item *i = item_get(b, done->referral);

    if (i == NULL) {
        m->code = b->failed;
    } else if (item_erased(i)) {
        say_erased(b, m, i);
    } else if ((m->code = item_keys(b, i)) == LIAISON_OK) {
        digest(b, i, m);
        if (done->digest.len != sizeof m->digest ||
            CRYPTO_memcmp(done->digest.data, m->digest, sizeof m->digest) != 0)
            m->code = LIAISON_CONFLICT;
    }
}

static Liaison__V1__Event denied_event(const struct call *c)
{
    static const Liaison__V1__Event EVENTS[] = {
        [LIAISON__V1__MOVE__MOVE_UNSPECIFIED] = LIAISON__V1__EVENT__EVENT_IN_PROGRESS,
        [LIAISON__V1__MOVE__MOVE_ACCEPT] = LIAISON__V1__EVENT__EVENT_ACCEPT,
        [LIAISON__V1__MOVE__MOVE_REJECT] = LIAISON__V1__EVENT__EVENT_REJECT,
        [LIAISON__V1__MOVE__MOVE_START] = LIAISON__V1__EVENT__EVENT_IN_PROGRESS,
        [LIAISON__V1__MOVE__MOVE_COMPLETE] = LIAISON__V1__EVENT__EVENT_COMPLETE,
        [LIAISON__V1__MOVE__MOVE_WITHDRAW] = LIAISON__V1__EVENT__EVENT_WITHDRAW,
    };
    int move = c->action == NULL ? 0 : (int)c->action->move;

    return EVENTS[move >= 0 && move < (int)(sizeof EVENTS / sizeof *EVENTS) ? move : 0];
}

static void refuse(struct batch *b, struct call *c, struct session *s,
                   const struct moved *m)
{
    struct denial d = {.code = m->code,
                       .text = m->text,
                       .event = denied_event(c),
                       .counterpart = m->other};
    const Liaison__V1__Action *a = c->action;

    if (a != NULL) {
        if (id_valid(binary_slice(a->id)))
            d.request_id = binary_slice(a->id);
        if (a->referral != NULL && id_valid(binary_slice(a->referral->id)))
            d.referral_id = binary_slice(a->referral->id);
        d.content = binary_slice(m->signed_action->action);
        d.officer = id_officer(a->officer) ? a->officer : NULL;
        d.purpose = id_word(a->purpose) ? a->purpose : NULL;
        d.basis = id_word(a->basis) ? a->basis : NULL;
    }
    core_refused(b, c, s, &d);
}

void act_call(struct batch *b, struct call *c, struct session *s)
{
    const Liaison__Rows__V1__Done *done = NULL;
    struct moved *m =
        arena_zero(b->arena, sizeof *m); /* rows point into it until the batch ends */

    if (m == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    m->signed_action = c->frame->act;
    m->a = c->action;
    m->code = c->code;
    m->text = c->why;
    if (m->code == LIAISON_OK) {
        if (find_done(b, m, s, &done) == LIAISON_OK) {
            judge_again(b, m, done);
            if (m->code == LIAISON_OK) {
                answer_again(b, c, s, done);
                return;
            }
        }
    }
    if (m->code == LIAISON_OK)
        find_referral(b, s, m);
    if (m->code == LIAISON_OK)
        judge_move(b, c, m);
    if (b->failed != LIAISON_OK)
        return;
    if (m->code != LIAISON_OK)
        refuse(b, c, s, m);
    else if (b->full)
        core_error(b, c, LIAISON_FULL, NULL);
    else
        apply(b, c, s, m);
}
