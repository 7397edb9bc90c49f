/* A referral whose recipient was merged into another agency is sealed again, by its sender, to that one: version n+1 takes the
 * place of version n, and what has happened to it so far stays. */
#include <stdio.h>

#include "broker/core/judged.h"

static bool same_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return slice_equal(binary_slice(a), binary_slice(b));
}

static bool same_reference(const Liaison__V1__Reference *a,
                           const Liaison__V1__Reference *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return strcmp(a->from, b->from) == 0 && same_bytes(a->id, b->id);
}

/* What it is and on what ground it was sent is not for a second version to change. */
static bool same_facts(const Liaison__V1__Envelope *a, const Liaison__V1__Envelope *b)
{
    return same_bytes(a->case_id, b->case_id) && a->type == b->type &&
           strcmp(a->category, b->category) == 0 && strcmp(a->purpose, b->purpose) == 0 &&
           strcmp(a->basis, b->basis) == 0 &&
           a->subject_category == b->subject_category && a->minor == b->minor &&
           a->regime == b->regime && a->handling == b->handling &&
           same_reference(a->caused_by, b->caused_by) && same_bytes(a->offer, b->offer);
}

static enum liaison_code conflict(struct call *c, struct judged *j, const char *text)
{
    j->text = (const char *)arena_copy(c->arena, slice_text(text));
    return LIAISON_CONFLICT;
}

enum liaison_code reseal_judge(struct batch *b, struct call *c, struct judged *j)
{
    const Liaison__Rows__V1__Referral *row = &j->known->row;
    const struct party *to = party_numbered(b->core, row->to);
    const struct rules_agency *heir = to == NULL ? NULL : batch_successor(b, to->name);
    char text[3 * ID_NAME_MAX];

    if (item_erased(j->known) ||
        !item_has(j->known, LIAISON__V1__FLAG__FLAG_RESEAL_NEEDED) ||
        referral_finished((Liaison__V1__State)row->state) || heir == NULL)
        return LIAISON_CONFLICT;
    if (j->e->version != row->envelope_version + 1 || strcmp(j->e->to, heir->name) != 0) {
        snprintf(text, sizeof text, "it is to be sealed again as version %u, to %s",
                 row->envelope_version + 1, heir->name);
        return conflict(c, j, text);
    }
    if (item_body(b, j->known) != LIAISON_OK)
        return b->failed;
    if (!same_facts(j->known->envelope, j->e))
        return conflict(c, j,
                        "sealed again it may differ in recipient, sections, urgency, "
                        "informed and officer only");
    j->reseals = true;
    return LIAISON_OK;
}

static bool is_among(char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Roles that had approved version n need not approve version n+1. */
static void keep_approvals(struct item *i, const Liaison__Rows__V1__Referral *was)
{
    Liaison__Rows__V1__Referral *row = &i->row;
    size_t n = 0;

    for (size_t k = 0; k < row->n_wanted; k++)
        if (!is_among(was->approvals, was->n_approvals, row->wanted[k]) ||
            is_among(was->wanted, was->n_wanted, row->wanted[k]))
            row->wanted[n++] = row->wanted[k];
    row->n_wanted = n;
    item_flag(i, LIAISON__V1__FLAG__FLAG_UNAPPROVED, n > 0);
}

/* Whoever has to approve, or accept, does so before anything goes on; what was accepted stays so. */
static Liaison__V1__State next_state(const struct item *i)
{
    return i->row.state == LIAISON__V1__STATE__STATE_RECEIVED || item_hidden(i)
               ? LIAISON__V1__STATE__STATE_REQUESTED
               : (Liaison__V1__State)i->row.state;
}

static void readdress(struct batch *b, struct item *i, const struct party *to)
{
    uint32_t was = i->row.to;

    again_forgotten(b, i);
    item_flag(i, LIAISON__V1__FLAG__FLAG_BARRED, false);
    item_flag(i, LIAISON__V1__FLAG__FLAG_RESEAL_NEEDED, false);
    item_flag(i, LIAISON__V1__FLAG__FLAG_ESCALATED, false);
    item_readdress(b, i, to);
    if (i->row.responsible == was)
        i->row.responsible = to->number;
    item_moved(b, i, next_state(i));
    deadline_moved(b, i);
}

void reseal(struct batch *b, struct call *c, struct session *s, struct judged *j)
{
    struct item *i = j->known;
    const Liaison__Rows__V1__Referral was = i->row;
    struct party *to = party_named(b->core, j->e->to);
    struct taken_as as = {.event = LIAISON__V1__EVENT__EVENT_RESEAL,
                          .operation = LIAISON__V1__OPERATION__OPERATION_ALTERATION,
                          .before = (Liaison__V1__State)was.state,
                          .onward = j->e->to};

    if (to == NULL)
        batch_fail(b, LIAISON_MEMORY);
    if (to == NULL || !take_envelope(b, c, j, i))
        return;
    keep_approvals(i, &was);
    readdress(b, i, to);
    i->row.answered_state = i->row.state;
    i->row.answered_version = i->row.version;
    take_answer(b, c, s, j, i, &as);
}
