/* Cards: what a party sees of a referral before, and beside, its sections. */
#include "broker/core/state.h"

/* The stricter of what was said when it was taken and what is said now. */
static bool on_delivery(const struct item *i)
{
    return i->row.reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY &&
           (i->again.rules == NULL ||
            i->again.decision->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY);
}

bool card_revealed(const struct item *i)
{
    if (item_has(i, LIAISON__V1__FLAG__FLAG_UNACKNOWLEDGED))
        return false;
    switch ((Liaison__V1__State)i->row.state) {
    case LIAISON__V1__STATE__STATE_REQUESTED:
    case LIAISON__V1__STATE__STATE_RECEIVED:
        return on_delivery(i);
    case LIAISON__V1__STATE__STATE_ACCEPTED:
    case LIAISON__V1__STATE__STATE_IN_PROGRESS:
    case LIAISON__V1__STATE__STATE_ON_HOLD:
    case LIAISON__V1__STATE__STATE_CANCEL_REQUESTED:
    case LIAISON__V1__STATE__STATE_COMPLETED:
    case LIAISON__V1__STATE__STATE_FAILED:
        return true;
    default: /* rejected, cancelled, expired, in error: nothing more is disclosed */
        return false;
    }
}

/* Rising, as the numbers of the bits do. */
static bool fill_flags(struct batch *b, const struct item *i, Liaison__V1__Card *card)
{
    enum { FLAGS = 32 };

    if (i->row.flags == 0)
        return true;
    card->flags = arena_alloc(b->arena, FLAGS * sizeof *card->flags);
    for (unsigned n = 0; card->flags != NULL && n < FLAGS; n++)
        if ((i->row.flags >> n & 1) != 0)
            card->flags[card->n_flags++] = (Liaison__V1__Flag)n;
    return card->flags != NULL;
}

/* Sections that were granted when it was taken, and are now. */
static bool fill_shown(struct batch *b, const struct item *i, Liaison__V1__Card *card)
{
    Liaison__V1__SignedReferral *r = card->referral;
    size_t n = 0;

    card->granted = arena_alloc(b->arena, i->row.n_granted * sizeof *card->granted);
    r->sections = arena_alloc(b->arena, i->row.n_granted * sizeof *r->sections);
    if (card->granted == NULL || r->sections == NULL)
        return false;
    for (size_t k = 0; k < i->row.n_granted; k++) {
        if (i->again.rules != NULL && (i->again.shown >> k & 1) == 0)
            continue;
        card->granted[n] = i->row.granted[k];
        r->sections[n++] = i->referral->sections[k];
    }
    card->n_granted = r->n_sections = n;
    return true;
}

Liaison__V1__Card *card_of(struct batch *b, struct item *i, const struct party *reader,
                           bool sections)
{
    const struct party *responsible = party_numbered(b->core, i->row.responsible);
    Liaison__V1__SignedReferral *r;
    Liaison__V1__Card *card;

    if (item_body(b, i) != LIAISON_OK)
        return NULL;
    r = arena_alloc(b->arena, sizeof *r);
    card = arena_alloc(b->arena, sizeof *card);
    if (r == NULL || card == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return NULL;
    }
    *r = *i->referral;
    liaison__v1__card__init(card);
    card->referral = r;
    if (!fill_shown(b, i, card) || !fill_flags(b, i, card)) {
        batch_fail(b, LIAISON_MEMORY);
        return NULL;
    }
    if (!sections)
        r->n_sections = 0;
    card->state = (Liaison__V1__State)i->row.state;
    card->state_version = i->row.version;
    card->responsible = responsible == NULL ? (char *)"" : (char *)responsible->name;
    card->submitted_unix_ms = i->row.submitted_unix_ms;
    card->obligations = obligations_kept(b, i);
    card->wanted = i->row.wanted;
    card->n_wanted = i->row.n_wanted;
    card->answer_by_unix_ms = deadline_answer_by_ms(b, i);
    card->keep_until_unix_ms = deadline_keep_until_ms(&i->row);
    card->mailbox = reader->number == i->row.to ? i->row.mail : 0;
    if (card->obligations == NULL)
        batch_fail(b, LIAISON_MEMORY);
    return card;
}

bool note_received(struct batch *b, struct item *i, struct party *reader,
                   const uint8_t certificate[32], const char *officer)
{
    Liaison__V1__State before = (Liaison__V1__State)i->row.state;
    struct referral_step step;
    struct recorded made;

    if (reader->number != i->row.to)
        return true;
    deadline_delivered(b, i);
    if (referral_step((Liaison__V1__Type)i->row.type, before, REFERRAL_RECEIVED,
                      REFERRAL_BROKER, &step) != LIAISON_OK)
        return true;
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_RECEIVED,
        .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
        .officer = officer,
        .referral_id = slice(i->row.id.data, i->row.id.len),
        .certificate = certificate,
        .before = before,
        .after = step.next,
    };

    item_moved(b, i, step.next);
    return record(b, &f, reader, party_numbered(b->core, i->row.from), i, true, &made);
}
