/* Moves that need more than a place in the state table, and what each leads to. */
#include "broker/core/move.h"

enum { PERMITTED_MAX = 64 }; /* permissions of one referral that wait to be used */

static enum liaison_code say(struct moved *m, enum liaison_code code, const char *text)
{
    m->text = text;
    return code;
}

/* ------------------------------------------------------------ may it be made */

typedef enum liaison_code condition(struct batch *b, const struct call *c,
                                    struct moved *m);

static bool is_wanted(const Liaison__Rows__V1__Referral *row, const char *role)
{
    for (size_t n = 0; n < row->n_wanted; n++)
        if (strcmp(row->wanted[n], role) == 0)
            return true;
    return false;
}

/* Two people, two certificates. */
static enum liaison_code may_approve(struct batch *b, const struct call *c,
                                     struct moved *m)
{
    const Liaison__Rows__V1__Referral *row = &m->i->row;

    if (!item_hidden(m->i))
        return say(m, LIAISON_STATE, "it waits for no approval");
    if (!is_wanted(row, c->signer_role))
        return say(m, LIAISON_ROLE, "it does not wait for an approval by this role");
    if (item_body(b, m->i) != LIAISON_OK)
        return b->failed;
    if (strcmp(m->i->envelope->officer, m->a->officer) == 0 ||
        memcmp(row->signer.data, c->signer, HASH_BYTES) == 0)
        return say(m, LIAISON_PARTY, "approved by the officer who sent it");
    return LIAISON_OK;
}

static enum liaison_code may_withdraw(struct batch *b, const struct call *c,
                                      struct moved *m)
{
    (void)b;
    if (c->signer_role[0] != '\0' && !item_hidden(m->i))
        return say(m, LIAISON_STATE, "approved: now only the agency itself withdraws it");
    return LIAISON_OK;
}

static enum liaison_code may_acknowledge(struct batch *b, const struct call *c,
                                         struct moved *m)
{
    (void)b, (void)c;
    if (!item_has(m->i, LIAISON__V1__FLAG__FLAG_UNACKNOWLEDGED))
        return say(m, LIAISON_STATE, "no handling code waits to be acknowledged");
    return LIAISON_OK;
}

static enum liaison_code may_permit(struct batch *b, const struct call *c,
                                    struct moved *m)
{
    (void)c;
    if (m->i->row.handling != LIAISON__V1__HANDLING__HANDLING_H2)
        return say(m, LIAISON_FIELD, "only what is of handling H2 needs a permission");
    if (rules_agency(b->core->settings.rules, m->a->to) == NULL)
        return say(m, LIAISON_RECIPIENT, NULL);
    if (m->i->row.n_permitted == PERMITTED_MAX)
        return say(m, LIAISON_LIMIT, "64 permissions wait to be used");
    return LIAISON_OK;
}

static condition *const CONDITIONS[REFERRAL_EVENT__COUNT] = {
    [REFERRAL_WITHDRAW] = may_withdraw,
    [REFERRAL_APPROVE] = may_approve,
    [REFERRAL_ACKNOWLEDGE] = may_acknowledge,
    [REFERRAL_PERMIT] = may_permit,
};

void move_judge(struct batch *b, const struct call *c, struct moved *m)
{
    condition *may = CONDITIONS[m->event];

    if (may != NULL)
        m->code = may(b, c, m);
    if (m->code != LIAISON_OK ||
        (!m->step.discloses && m->signed_action->n_sections == 0) ||
        again_settled(b, m->i))
        return;
    if (b->failed != LIAISON_OK) {
        m->code = b->failed;
        return;
    }
    m->decision = m->i->again.decision;
    m->code = m->decision->code;
    m->text = m->i->again.why;
}

/* ------------------------------------------------------------ what follows */

static void tell(struct batch *b, struct party *whom, const struct moved *m)
{
    if (whom == NULL)
        batch_fail(b, LIAISON_DAMAGED);
    else
        mail_put(b, whom, m->i->row.mail_class, m->i->number, m->i->row.version);
}

static struct party *sender_of(const struct batch *b, const struct moved *m)
{
    return party_numbered(b->core, m->i->row.from);
}

static void approved(struct batch *b, const struct call *c, struct moved *m)
{
    Liaison__Rows__V1__Referral *row = &m->i->row;
    size_t n = 0;

    for (size_t k = 0; k < row->n_wanted; k++)
        if (strcmp(row->wanted[k], c->signer_role) != 0)
            row->wanted[n++] = row->wanted[k];
    row->n_wanted = n;
    tell(b, sender_of(b, m), m);
    if (n > 0)
        return;
    item_flag(m->i, LIAISON__V1__FLAG__FLAG_UNAPPROVED, false);
    index_show(b, m->i);
    item_release(b, m->i, m->i->again.decision, c->signer);
}

static void permitted(struct batch *b, struct moved *m)
{
    Liaison__Rows__V1__Referral *row = &m->i->row;
    struct party *to = party_named(b->core, m->a->to);
    uint32_t *list = arena_alloc(b->arena, (row->n_permitted + 1) * sizeof *list);

    if (to == NULL || list == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    if (row->n_permitted > 0)
        memcpy(list, row->permitted, row->n_permitted * sizeof *list);
    list[row->n_permitted++] = to->number;
    row->permitted = list;
    tell(b, m->other, m);
}

/* A recipient who has answered has seen it; what was withdrawn before anybody saw it is delivered to nobody, and neither is
 * the news. */
static void ended_or_begun(struct batch *b, const struct call *c, struct moved *m,
                           Liaison__V1__State before)
{
    bool unseen =
        m->party == REFERRAL_SENDER && before == LIAISON__V1__STATE__STATE_REQUESTED;

    mail_drop(b, m->i);
    if (!unseen)
        tell(b, m->other, m);
    if (c->signer_role[0] != '\0') /* an approver did what its agency has to know */
        tell(b, sender_of(b, m), m);
}

void move_follow(struct batch *b, const struct call *c, struct moved *m,
                 Liaison__V1__State before)
{
    switch (m->event) {
    case REFERRAL_APPROVE:
        approved(b, c, m);
        return;
    case REFERRAL_ACKNOWLEDGE:
        item_flag(m->i, LIAISON__V1__FLAG__FLAG_UNACKNOWLEDGED, false);
        tell(b, m->other, m);
        return;
    case REFERRAL_PERMIT:
        permitted(b, m);
        return;
    case REFERRAL_ACCEPT:
    case REFERRAL_REJECT:
    case REFERRAL_START:
    case REFERRAL_COMPLETE:
    case REFERRAL_WITHDRAW:
        ended_or_begun(b, c, m, before);
        return;
    case REFERRAL_SUBMIT:
    case REFERRAL_RECEIVED:
    case REFERRAL_EVENT__COUNT:
        return; /* no moves */
    }
}
