/* A referral is taken: its row with all that it is bound to, its entries, and its way to whom it is for. */
#include "broker/core/judged.h"

static unsigned urgency_class(Liaison__V1__Urgency u)
{
    return u >= LIAISON__V1__URGENCY__URGENCY_HOURS_8 &&
                   u <= LIAISON__V1__URGENCY__URGENCY_DATE
               ? (unsigned)u - LIAISON__V1__URGENCY__URGENCY_HOURS_8
               : DELIVERY_CLASSES - 1;
}

/* The referral as it is kept: without the sections that no rule grants. */
static Liaison__V1__SignedReferral *granted_only(struct batch *b, const struct judged *j)
{
    const Liaison__V1__SignedReferral *r = j->submit->referral;
    Liaison__V1__SignedReferral *kept = arena_alloc(b->arena, sizeof *kept);
    Liaison__V1__Section **sections =
        arena_alloc(b->arena, r->n_sections * sizeof *sections);

    if (kept == NULL || sections == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return NULL;
    }
    *kept = *r;
    kept->sections = sections;
    kept->n_sections = 0;
    for (size_t i = 0; i < r->n_sections; i++)
        if ((j->decision.granted >> i & 1) != 0)
            sections[kept->n_sections++] = r->sections[i];
    return kept;
}

static char **granted_names(struct batch *b, const struct call *c, const struct judged *j,
                            size_t *out_n)
{
    size_t n = j->submit->referral->n_sections;
    char **list = arena_alloc(b->arena, n * sizeof *list);

    *out_n = 0;
    for (size_t i = 0; list != NULL && i < n; i++)
        if ((j->decision.granted >> i & 1) != 0)
            list[(*out_n)++] = (char *)c->section_names[i];
    if (list == NULL)
        batch_fail(b, LIAISON_MEMORY);
    return list;
}

/* Rows point into *j until the batch ends. */
static void fill_row(struct batch *b, struct call *c, const struct judged *j,
                     struct item *i)
{
    Liaison__Rows__V1__Referral *row = &i->row;

    row->digest = (ProtobufCBinaryData){sizeof j->digest, (uint8_t *)j->digest};
    row->signer = (ProtobufCBinaryData){sizeof c->signer, c->signer};
    row->granted = granted_names(b, c, j, &row->n_granted);
    row->envelope_version = j->e->version;
    row->handling = (uint32_t)j->e->handling;
    row->mail_class = urgency_class(j->e->urgency);
    obligations_keep(b, row, &j->decision);
    item_flag(i, LIAISON__V1__FLAG__FLAG_UNAPPROVED, row->n_wanted > 0);
    item_flag(i, LIAISON__V1__FLAG__FLAG_UNACKNOWLEDGED,
              j->e->handling == LIAISON__V1__HANDLING__HANDLING_H3);
}

bool take_envelope(struct batch *b, struct call *c, const struct judged *j,
                   struct item *i)
{
    Liaison__V1__SignedReferral *kept = granted_only(b, j);

    if (kept == NULL || item_keys(b, i) != LIAISON_OK)
        return false;
    fill_row(b, c, j, i);
    i->referral = kept;
    i->envelope = j->e;
    item_put_body(b, i, kept, c->signer);
    again_taken(b, i, &j->decision);
    return b->failed == LIAISON_OK;
}

static bool record_taken(struct batch *b, const struct call *c, const struct session *s,
                         const struct judged *j, struct item *i,
                         const struct taken_as *as, struct recorded *made)
{
    const struct party *responsible = party_numbered(b->core, i->row.responsible);
    struct ledger_fact f = {
        .event = as->event,
        .operation = as->operation,
        .officer = j->e->officer,
        .referral_id = binary_slice(j->e->id),
        .request_id = binary_slice(j->e->id),
        .case_id = binary_slice(j->e->case_id),
        .purpose = j->e->purpose,
        .basis = j->e->basis,
        .rules = kept_rules_cite(b, j->decision.lines, j->decision.n_lines),
        .n_rules = j->decision.n_lines,
        .certificate = c->signer,
        .before = as->before,
        .after = (Liaison__V1__State)i->row.state,
        .type = j->e->type,
        .responsible = responsible == NULL ? NULL : responsible->name,
        .sections = (const char *const *)i->row.granted,
        .n_sections = i->row.n_granted,
        .onward = as->onward,
        .content = binary_slice(j->submit->referral->envelope),
    };

    return record(b, &f, s->party, party_numbered(b->core, i->row.to), i, false, made);
}

void take_answer(struct batch *b, struct call *c, struct session *s,
                 const struct judged *j, struct item *i, const struct taken_as *as)
{
    struct recorded made;

    if (!record_taken(b, c, s, j, i, as, &made))
        return;
    i->row.submit_seq = made.seq;
    if (!item_hidden(i))
        item_release(b, i, &j->decision, c->signer);
    core_accepted(b, c, s, false, &made, (Liaison__V1__State)i->row.state, i->row.version,
                  i->row.granted, i->row.n_granted);
}

static void record_crossing(struct batch *b, struct item *i,
                            const struct rules_decision *d, struct party *to,
                            const uint8_t signer[32])
{
    struct recorded made;
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_CROSSING,
        .operation = LIAISON__V1__OPERATION__OPERATION_DISCLOSURE,
        .officer = i->envelope->officer,
        .referral_id = binary_slice(i->row.id),
        .purpose = i->envelope->purpose,
        .basis = i->envelope->basis,
        .rules = kept_rules_cite(b, d->lines, d->n_lines),
        .n_rules = d->n_lines,
        .certificate = signer,
        .type = (Liaison__V1__Type)i->row.type,
        .sections = (const char *const *)i->row.granted,
        .n_sections = i->row.n_granted,
    };

    if (!record(b, &f, party_numbered(b->core, i->row.from), to, i, false, &made))
        batch_fail(b, LIAISON_MEMORY);
}

void item_release(struct batch *b, struct item *i, const struct rules_decision *d,
                  const uint8_t signer[32])
{
    struct party *to = party_numbered(b->core, i->row.to);

    if (succession_flag(b, i) || b->failed != LIAISON_OK)
        return;
    if (d->crossing)
        record_crossing(b, i, d, to, signer);
    i->row.mail = mail_put(b, to, i->row.mail_class, i->number, 0);
}

void take(struct batch *b, struct call *c, struct session *s, struct judged *j)
{
    static const struct taken_as AS = {.event = LIAISON__V1__EVENT__EVENT_SUBMIT,
                                       .operation =
                                           LIAISON__V1__OPERATION__OPERATION_COLLECTION};
    struct party *to = party_named(b->core, j->e->to);
    struct item *i = to == NULL ? NULL : item_make(b);

    if (i == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    i->row.from = i->row.responsible = s->party->number;
    i->row.to = to->number;
    i->row.id = j->e->id;
    i->row.type = (uint32_t)j->e->type;
    i->row.version = 1;
    i->row.submitted_unix_ms = b->time_ns / 1000000;
    if (!take_envelope(b, c, j, i))
        return;
    item_moved(b, i, LIAISON__V1__STATE__STATE_REQUESTED);
    deadline_moved(b, i);
    index_put(b, i);
    rate_taken(b, &j->decision, s->party);
    onward_taken(&j->onward, to);
    take_answer(b, c, s, j, i, &AS);
}
