/* Act: the signed moves of a referral. */
#include <openssl/crypto.h>

#include "broker/core/move.h"
#include "proto/err.h"
#include "proto/valid.h"

static void say_erased(struct batch *b, struct moved *m, const struct item *i)
{
    m->code = LIAISON_ERASED;
    m->text = erased_text(b->arena, i);
}

/* As whom the caller moves. An approver is its agency, but for approving; a recipient learns of nothing that still wants
 * approval. */
static enum referral_party party_of(const struct session *s, const struct item *i,
                                    Liaison__V1__Move move)
{
    if (i != NULL && i->row.from == s->party->number)
        return s->role == TLS_APPROVER && move == LIAISON__V1__MOVE__MOVE_APPROVE
                   ? REFERRAL_APPROVER
                   : REFERRAL_SENDER;
    if (i != NULL && i->row.to == s->party->number && s->role == TLS_AGENCY &&
        !item_hidden(i))
        return REFERRAL_RECIPIENT;
    return REFERRAL_STRANGER;
}

/* A referral is there for its two parties; for everybody else it is as if there were none. */
static void find_referral(struct batch *b, const struct session *s, struct moved *m)
{
    struct item *i = item_find(b, party_find(b->core, m->a->referral->from),
                               binary_slice(m->a->referral->id));

    m->party = party_of(s, i, m->a->move);
    if (m->party == REFERRAL_STRANGER) {
        m->code = LIAISON_NOT_FOUND;
        return;
    }
    m->i = i;
    m->other = item_other(b, i, s->party);
    if (m->other == NULL)
        m->code = batch_fail(b, LIAISON_DAMAGED);
    else if (item_erased(i))
        say_erased(b, m, i);
}

static bool is_among(const char *name, const char *const *list, size_t n)
{
    while (n > 0 && strcmp(list[n - 1], name) != 0)
        n--;
    return n > 0;
}

/* move_judge() has asked the rules before. */
static bool may_return(const struct moved *m, const char *name)
{
    const Liaison__Rows__V1__Referral *row = &m->i->row;
    const struct rules_decision *now = m->i->again.decision;

    return m->party == REFERRAL_RECIPIENT &&
           is_among(name, (const char *const *)row->returns, row->n_returns) &&
           is_among(name, now->returns, now->n_returns);
}

/* Sections flow back only as the rules said when the referral was taken, and say now, and only to the other party. */
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
        move_judge(b, c, m);
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
        .onward = m->a->to,
        .role = c->signer_role,
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

static void apply(struct batch *b, struct call *c, struct session *s, struct moved *m)
{
    Liaison__V1__State before = (Liaison__V1__State)m->i->row.state;
    struct recorded made;

    item_moved(b, m->i, m->step.next);
    m->i->row.version++;
    if (m->step.moves_responsibility)
        m->i->row.responsible = m->i->row.to;
    deadline_moved(b, m->i);
    item_put_action(b, m->i, m->i->row.version, m->signed_action, c->signer);
    if (!record_move(b, c, s, m, before, &made))
        return;
    put_done(b, m, &made);
    move_follow(b, c, m, before);
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
        [LIAISON__V1__MOVE__MOVE_APPROVE] = LIAISON__V1__EVENT__EVENT_APPROVE,
        [LIAISON__V1__MOVE__MOVE_ACKNOWLEDGE] = LIAISON__V1__EVENT__EVENT_ACKNOWLEDGE,
        [LIAISON__V1__MOVE__MOVE_PERMIT] = LIAISON__V1__EVENT__EVENT_PERMIT,
    };
    int move = c->action == NULL ? 0 : (int)c->action->move;

    return EVENTS[move >= 0 && move < (int)(sizeof EVENTS / sizeof *EVENTS) ? move : 0];
}

static void refuse(struct batch *b, struct call *c, struct session *s,
                   const struct moved *m)
{
    struct denial d = {.code = m->code,
                       .text = m->text,
                       .decision = m->decision,
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
