#include "client/lib/check.h"

#include "proto/commit.h"

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

static const char *check_accepted(struct hash *h, const Liaison__V1__LedgerEntry *e,
                                  const Liaison__V1__Accepted *accepted, bool duplicate,
                                  const struct sealed *s)
{
    const char *wrong = check_call(h, e, accepted->opening.data, s);

    if (wrong != NULL)
        return wrong;
    if ((int)e->event != s->event)
        return "the event";
    if (e->verdict != LIAISON__V1__VERDICT__VERDICT_DONE)
        return "the verdict";
    if (strcmp(e->purpose, s->purpose) != 0 || strcmp(e->basis, s->basis) != 0)
        return "purpose and basis";
    if (s->kind == SIGN_REFERRAL && (int)e->type != s->type)
        return "the type";
    if (s->kind == SIGN_REFERRAL &&
        !commit_check(h, accepted->opening.data, COMMIT_CASE,
                      slice(s->case_id, sizeof s->case_id), e))
        return "the case";
    /* The first answer may be from before the certificate was renewed. */
    if (!duplicate && !is(e->certificate, s->certificate, sizeof s->certificate))
        return "the certificate";
    return e->state_after == accepted->state ? NULL : "the state";
}

/* A denial's entry says as much as the broker could make out: a stranger's referral has no other party, an envelope that is
 * not ours is logged under our name. What it does say must be about these bytes. */
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
