#include "client/lib/check.h"

#include "proto/commit.h"
#include "proto/valid.h"

static bool is(ProtobufCBinaryData have, const uint8_t *want, size_t n)
{
    return slice_equal(slice(have.data, have.len), slice(want, n));
}

/* What the entry of an accepted call says. */
static const char *check_call(struct hash *h, const Liaison__V1__LedgerEntry *e,
                              const uint8_t *opening, const struct sealed *s)
{
    if (strcmp(e->agency, s->agency) != 0)
        return "the agency";
    if (!is(e->referral_id, s->referral_id, sizeof s->referral_id))
        return "the referral";
    if (!is(e->request_id, s->id, sizeof s->id))
        return "the request";
    if (s->counterpart[0] != '\0' && strcmp(e->counterpart, s->counterpart) != 0)
        return "the other party";
    if (!commit_check(h, opening, COMMIT_CONTENT, s->content, e))
        return "the content";
    if (!commit_check(h, opening, COMMIT_OFFICER, slice_text(s->officer), e))
        return "the officer";
    return NULL;
}

/* What the entry of one that was done says besides. */
static const char *check_done(struct hash *h, const Liaison__V1__LedgerEntry *e,
                              const uint8_t *opening, const struct sealed *s)
{
    const char *wrong = check_call(h, e, opening, s);

    if (wrong != NULL)
        return wrong;
    if ((int)e->event != s->event)
        return "the event";
    if (e->verdict != LIAISON__V1__VERDICT__VERDICT_DONE)
        return "the verdict";
    if (strcmp(e->purpose, s->purpose) != 0 || strcmp(e->basis, s->basis) != 0)
        return "purpose and basis";
    if (strcmp(e->onward, s->onward) != 0)
        return "the third agency";
    if (s->kind == SIGN_REFERRAL && (int)e->type != s->type)
        return "the type";
    if (s->kind == SIGN_REFERRAL &&
        !commit_check(h, opening, COMMIT_CASE, slice(s->case_id, sizeof s->case_id), e))
        return "the case";
    return NULL;
}

static const char *check_accepted(struct hash *h, const Liaison__V1__LedgerEntry *e,
                                  const Liaison__V1__Accepted *accepted, bool duplicate,
                                  const struct sealed *s)
{
    const char *wrong = check_done(h, e, accepted->opening.data, s);

    if (wrong != NULL)
        return wrong;
    /* The first answer may be from before the certificate was renewed. */
    if (!duplicate && !is(e->certificate, s->certificate, sizeof s->certificate))
        return "the certificate";
    return e->state_after == accepted->state ? NULL : "the state";
}

/* A denial's entry says as much as the broker could make out: a stranger's referral has no other party, an envelope
 * that is not ours is logged under our name. What it does say must be about these bytes. */
static const char *check_denied(struct hash *h, const Liaison__V1__LedgerEntry *e,
                                const Liaison__V1__Refused *r, const struct sealed *s)
{
    if (r->opening.len != 32)
        return "the opening";
    if (e->verdict != LIAISON__V1__VERDICT__VERDICT_DENIED || e->code != r->code)
        return "the verdict";
    if (e->referral_id.len != 0 &&
        !is(e->referral_id, s->referral_id, sizeof s->referral_id))
        return "the referral";
    if (e->request_id.len != 0 && !is(e->request_id, s->id, sizeof s->id))
        return "the request";
    if (e->counterpart[0] != '\0' && s->counterpart[0] != '\0' &&
        strcmp(e->counterpart, s->counterpart) != 0)
        return "the other party";
    if (e->content_commitment.len != 0 &&
        !commit_check(h, r->opening.data, COMMIT_CONTENT, s->content, e))
        return "the content";
    return NULL;
}

const char *check_entry(struct hash *h, const struct liaison_answer *a,
                        const struct sealed *s)
{
    const Liaison__V1__Accepted *accepted = answer_accepted(a);
    const Liaison__V1__LedgerEntry *e = a->entry;

    if (accepted != NULL) {
        if (e == NULL || accepted->opening.len != 32)
            return "the entry: there is none";
        return check_accepted(
            h, e, accepted, a->frame->body_case == LIAISON__V1__FRAME__BODY_DUPLICATE, s);
    }
    if (e == NULL)
        return NULL;
    return check_denied(h, e, a->frame->refused, s);
}

const char *check_receipt(struct hash *h, const Liaison__V1__LedgerEntry *e,
                          const uint8_t opening[32], const struct sealed *s)
{
    if (e->verdict == LIAISON__V1__VERDICT__VERDICT_DONE)
        return check_done(h, e, opening, s);
    return strcmp(e->agency, s->agency) == 0 &&
                   commit_check(h, opening, COMMIT_CONTENT, s->content, e)
               ? NULL
               : "the content";
}

/* ---------------------------------------------------------------- alerts */

bool check_alert(const struct liaison_answer *a, struct slice id)
{
    static const struct {
        Liaison__V1__Flag flag;
        Liaison__V1__Event events[2]; /* that set it, or took it away */
    } ROWS[] = {
        {LIAISON__V1__FLAG__FLAG_ESCALATED, {LIAISON__V1__EVENT__EVENT_ESCALATE}},
        {LIAISON__V1__FLAG__FLAG_RESEAL_NEEDED,
         {LIAISON__V1__EVENT__EVENT_RESEAL_NEEDED, LIAISON__V1__EVENT__EVENT_RESEAL}},
        {LIAISON__V1__FLAG__FLAG_BARRED,
         {LIAISON__V1__EVENT__EVENT_BARRED, LIAISON__V1__EVENT__EVENT_UNBARRED}},
    };
    const Liaison__V1__Alert *alert = answer_alert(a);
    const Liaison__V1__LedgerEntry *e = a->entry;

    if (alert == NULL)
        return true;
    if (e == NULL || !slice_equal(slice(e->referral_id.data, e->referral_id.len), id))
        return false;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].flag == alert->flag)
            return e->event == ROWS[i].events[0] || e->event == ROWS[i].events[1];
    return false;
}

/* ---------------------------------------------------------------- what auditors are told */

static const Liaison__V1__LedgerEntry *entry_at(const struct liaison_answer *a, size_t i)
{
    const Liaison__V1__Entries *page = a->frame->entries_page;
    const void *m = NULL;

    return valid_decode(&liaison__v1__ledger_entry__descriptor,
                        slice(page->entries[i].data, page->entries[i].len), a->arena,
                        &m) == LIAISON_OK
               ? m
               : NULL;
}

/* Entries and counters rise by number, so one walk pairs them. */
/* A store that was restored goes on as another log, whose numbers begin again. */
static bool is_behind(const Liaison__V1__LedgerEntry *before,
                      const Liaison__V1__LedgerEntry *e)
{
    return e->log > before->log || (e->log == before->log && e->seq > before->seq);
}

const char *check_counters(struct hash *h, const struct liaison_answer *a,
                           const char *agency)
{
    const Liaison__V1__Entries *page = a->frame->entries_page;
    const Liaison__V1__LedgerEntry *before = NULL;
    size_t next = 0;

    for (size_t i = 0; i < page->n_entries; i++) {
        const Liaison__V1__LedgerEntry *e = entry_at(a, i);
        uint8_t number[8];

        if (e == NULL)
            return "an entry: it is not strict";
        if (before != NULL && !is_behind(before, e))
            return "the order of the entries";
        before = e;
        if (next == page->n_counters || page->counters[next]->seq != e->seq ||
            strcmp(e->counterpart, agency) != 0)
            continue;
        const Liaison__V1__Counter *c = page->counters[next++];

        be64_put(number, c->counter);
        if (c->opening.len != 32 ||
            !commit_check(h, c->opening.data, COMMIT_COUNTERPART_COUNTER,
                          slice(number, sizeof number), e))
            return "a counter: its entry commits to another";
    }
    return next == page->n_counters ? NULL : "a counter: its entry is not on the page";
}

const char *check_summary(struct hash *h, const struct liaison_answer *a,
                          const char *agency)
{
    const Liaison__V1__Summary *s = a->frame->summary;
    const Liaison__V1__LedgerEntry *e = a->entry;

    if (e == NULL || e->event != LIAISON__V1__EVENT__EVENT_SUMMARY)
        return "the entry: it is no summary";
    if (s->opening.len != 32)
        return "the opening";
    return commit_in_summary(h, s->opening.data, agency, s->counter, e)
               ? NULL
               : "the count: the entry does not commit to it";
}
