/* Submit and Check: one judgement, and what follows from it. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "broker/core/judged.h"
#include "broker/rules/ask.h"
#include "proto/err.h"

static bool rules_said(enum liaison_code code)
{
    return code >= LIAISON_DENIED && code <= LIAISON_RATE;
}

/* One that lets only so many through, and has. */
static void judge_rate(struct batch *b, struct call *c, const struct session *s,
                       struct judged *j)
{
    const struct rules_rate *reached = rate_reached(b, &j->decision, s->party);
    struct rules_decision *d = reached == NULL ? NULL : arena_zero(c->arena, sizeof *d);
    char text[256];

    if (reached == NULL)
        return;
    if (d == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    d->code = j->code = LIAISON_RATE;
    d->rules = j->decision.rules;
    d->lines[d->n_lines++] = reached->line;
    j->refusal = d;
    snprintf(text, sizeof text, "%.160s lets %u an hour through, and so many were sent",
             reached->line->where, (unsigned)reached->per_hour);
    j->text = (const char *)arena_copy(c->arena, slice(text, strlen(text) + 1));
}

static void judge_by_rules(struct batch *b, struct call *c, const struct session *s,
                           struct judged *j)
{
    struct rules_question q;
    const Liaison__V1__SignedReferral *r = j->submit->referral;

    j->code = rules_ask(j->e, r->sections, c->section_names, r->n_sections,
                        j->submit->strip, batch_day(b), &q);
    if (j->code != LIAISON_OK)
        return;
    rules_decide(b->core->settings.rules, &q, c->arena, &j->decision);
    j->code = j->decision.code;
    if (j->code != LIAISON_OK) {
        j->refusal = &j->decision;
        j->text = rules_explain(&j->decision, &q, c->arena);
        return;
    }
    if (j->reseals)
        return; /* it was sent on, and counted, when it was new */
    j->code = onward_judge(b, s->party, j->e, &j->onward);
    j->refusal = j->onward.refusal;
    j->text = j->onward.why;
    if (j->code == LIAISON_OK)
        judge_rate(b, c, s, j);
}

/* The gate's finding first; then what was known before; then the rules as they are now. */
static void judge(struct batch *b, struct call *c, const struct session *s,
                  struct judged *j)
{
    struct referral_step step;

    j->code = c->code;
    j->text = c->why;
    j->e = c->envelope;
    if (j->code != LIAISON_OK && !rules_said(j->code))
        return;
    hash_sha256(b->core->hash,
                &(struct slice){j->submit->referral->envelope.data,
                                j->submit->referral->envelope.len},
                1, j->digest);
    j->known = item_find(b, s->party, binary_slice(j->e->id));
    if (j->known != NULL) {
        const ProtobufCBinaryData *was = &j->known->row.digest;
        bool same = was->len == sizeof j->digest &&
                    CRYPTO_memcmp(was->data, j->digest, sizeof j->digest) == 0;

        j->code = !same                   ? reseal_judge(b, c, j)
                  : item_erased(j->known) ? LIAISON_ERASED
                                          : LIAISON_OK;
        if (j->code == LIAISON_ERASED)
            j->text = erased_text(b->arena, j->known);
        if (j->reseals)
            judge_by_rules(b, c, s, j);
        return;
    }
    if (j->e->version != 1) {
        j->code = LIAISON_FIELD;
        j->text = "envelope.version: 1 for the first sending of an id";
        return;
    }
    judge_by_rules(b, c, s, j);
    if (j->code == LIAISON_OK)
        j->code = referral_step(j->e->type, LIAISON__V1__STATE__STATE_UNSPECIFIED,
                                REFERRAL_SUBMIT, REFERRAL_SENDER, &step);
}

/* What a denial may say of an envelope: only what was found well-formed, and a counterpart only if the rules know it. */
static void refuse(struct batch *b, struct call *c, struct session *s,
                   const struct judged *j, Liaison__V1__Event event)
{
    struct denial d = {.code = j->code, .text = j->text, .event = event};
    const Liaison__V1__Envelope *e = j->e;

    if (rules_said(j->code))
        d.decision = j->refusal;
    if (e != NULL) {
        if (id_valid(binary_slice(e->id)))
            d.referral_id = d.request_id = binary_slice(e->id);
        d.content = binary_slice(j->submit->referral->envelope);
        d.officer = id_officer(e->officer) ? e->officer : NULL;
        d.purpose = id_word(e->purpose) ? e->purpose : NULL;
        d.basis = id_word(e->basis) ? e->basis : NULL;
        if (id_name(e->to) && rules_agency(b->core->settings.rules, e->to) != NULL &&
            strcmp(e->to, s->name) != 0)
            d.counterpart = party_named(b->core, e->to);
    }
    core_refused(b, c, s, &d);
}

static void answer_again(struct batch *b, struct call *c, struct session *s,
                         struct item *i)
{
    struct recorded first;

    bool resealed = i->row.answered_version != 0;

    if (recorded_again(b, i, i->row.submit_seq, &first) == LIAISON_OK)
        core_accepted(b, c, s, true, &first,
                      resealed ? (Liaison__V1__State)i->row.answered_state
                               : LIAISON__V1__STATE__STATE_REQUESTED,
                      resealed ? i->row.answered_version : 1, i->row.granted,
                      i->row.n_granted);
}

/* Rows point into *j until the batch ends. */
static struct judged *judged_new(struct batch *b, const Liaison__V1__Submit *submit)
{
    struct judged *j = arena_zero(b->arena, sizeof *j);

    if (j == NULL)
        batch_fail(b, LIAISON_MEMORY);
    else
        j->submit = submit;
    return j;
}

void submit_call(struct batch *b, struct call *c, struct session *s)
{
    struct judged *j = judged_new(b, c->frame->submit);

    if (j == NULL)
        return;
    judge(b, c, s, j);
    if (b->failed != LIAISON_OK)
        return;
    if (j->code == LIAISON_OK && j->known != NULL && !j->reseals)
        answer_again(b, c, s, j->known);
    else if (j->code == LIAISON_OK && b->full)
        core_error(b, c, LIAISON_FULL, NULL);
    else if (j->code == LIAISON_OK)
        (j->reseals ? reseal : take)(b, c, s, j);
    else
        refuse(b, c, s, j,
               j->reseals ? LIAISON__V1__EVENT__EVENT_RESEAL
                          : LIAISON__V1__EVENT__EVENT_SUBMIT);
}

/* ------------------------------------------------------------ Check: the same judgement, and nothing moves */

static void decision_sections(struct call *c, const struct judged *j,
                              Liaison__V1__Decision *d)
{
    size_t n = j->submit->referral->n_sections;

    d->granted = arena_alloc(c->arena, n * sizeof *d->granted);
    d->refused = arena_alloc(c->arena, n * sizeof *d->refused);
    for (size_t i = 0; d->granted != NULL && d->refused != NULL && i < n; i++)
        if ((j->decision.granted >> i & 1) != 0)
            d->granted[d->n_granted++] = (char *)c->section_names[i];
        else
            d->refused[d->n_refused++] = (char *)c->section_names[i];
}

/* Who has the last word. */
static const struct rules_decision *said_by(const struct judged *j)
{
    return j->refusal != NULL ? j->refusal : &j->decision;
}

static bool record_check(struct batch *b, struct session *s, const struct judged *j)
{
    struct recorded made;
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_CHECK,
        .code = j->code,
        .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
        .certificate = s->certificate,
        .rules = kept_rules_cite(b, said_by(j)->lines, said_by(j)->n_lines),
        .n_rules = said_by(j)->n_lines,
        .content = j->submit->referral == NULL
                       ? slice(NULL, 0)
                       : binary_slice(j->submit->referral->envelope),
    };

    if (j->e != NULL && id_valid(binary_slice(j->e->id)))
        f.referral_id = binary_slice(j->e->id);
    if (j->e != NULL && id_word(j->e->purpose) && id_word(j->e->basis)) {
        f.purpose = j->e->purpose;
        f.basis = j->e->basis;
    }
    if (j->e != NULL && id_officer(j->e->officer))
        f.officer = j->e->officer;
    return record(b, &f, s->party, NULL, NULL, true, &made);
}

void check_call(struct batch *b, struct call *c, struct session *s)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Decision d = LIAISON__V1__DECISION__INIT;
    struct judged *j = judged_new(b, c->frame->check);

    if (j == NULL)
        return;
    judge(b, c, s, j);
    if (b->failed != LIAISON_OK || !record_check(b, s, j))
        return;
    d.code = (Liaison__V1__Code)j->code;
    d.text = (char *)(j->text != NULL ? j->text : err_text(j->code));
    bool fresh = j->known == NULL || j->reseals;

    if (fresh && (j->code == LIAISON_OK || rules_said(j->code))) {
        d.rules = rules_named(c->arena, said_by(j), &d.n_rules);
        decision_sections(c, j, &d);
    }
    if (!fresh && j->code == LIAISON_OK) { /* what submit would answer again */
        d.granted = j->known->row.granted;
        d.n_granted = j->known->row.n_granted;
    }
    if (j->code == LIAISON_OK && fresh) {
        d.obligations = obligations_said(c->arena, &j->decision);
        if (d.obligations == NULL)
            batch_fail(b, LIAISON_MEMORY);
    }
    f.body_case = LIAISON__V1__FRAME__BODY_DECISION;
    f.decision = &d;
    core_answer(b, c, &f);
}
