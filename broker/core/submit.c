/* Submit and Check: one judgement, and what follows from it. */
#include <openssl/crypto.h>

#include "broker/core/state.h"
#include "broker/rules/ask.h"
#include "proto/err.h"

/* What was judged, by gate and core alike. */
struct judged {
    const Liaison__V1__Submit *submit;
    const Liaison__V1__Envelope *e;
    struct rules_decision decision;
    enum liaison_code code;
    const char *text;
    uint8_t digest[HASH_BYTES]; /* of the envelope's bytes */
    struct item *known;         /* what came under this id before */
};

static bool rules_said(enum liaison_code code)
{
    return code >= LIAISON_DENIED && code <= LIAISON_TOO_LARGE;
}

static void judge_by_rules(struct batch *b, struct call *c, struct judged *j)
{
    struct rules_question q;
    const Liaison__V1__SignedReferral *r = j->submit->referral;

    j->code = rules_ask(j->e, r->sections, c->section_names, r->n_sections,
                        j->submit->strip, rules_day(b->time_ns / 1000000000), &q);
    if (j->code != LIAISON_OK)
        return;
    rules_decide(b->core->settings.rules, &q, c->arena, &j->decision);
    j->code = j->decision.code;
    if (j->code != LIAISON_OK)
        j->text = rules_explain(&j->decision, &q, c->arena);
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

        j->code = !same                   ? LIAISON_CONFLICT
                  : item_erased(j->known) ? LIAISON_ERASED
                                          : LIAISON_OK;
        j->text = j->code == LIAISON_ERASED ? erased_text(b->arena, j->known) : NULL;
        return;
    }
    judge_by_rules(b, c, j);
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
        d.decision = &j->decision;
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

/* Copies into the batch's arena: rows outlive the call's. */
static char **names_copy(struct batch *b, const char *const *names, size_t n,
                         uint32_t chosen, size_t *out_n)
{
    char **list = arena_alloc(b->arena, n * sizeof *list);

    *out_n = 0;
    for (size_t i = 0; list != NULL && i < n; i++)
        if ((chosen >> i & 1) != 0)
            list[(*out_n)++] = (char *)names[i];
    if (list == NULL)
        batch_fail(b, LIAISON_MEMORY);
    return list;
}

static void fill_row(struct batch *b, struct call *c, struct session *s,
                     const struct judged *j, struct item *i, struct party *to)
{
    Liaison__Rows__V1__Referral *row = &i->row;

    row->from = s->party->number;
    row->to = to->number;
    row->id = j->e->id;
    row->type = (uint32_t)j->e->type;
    row->state = LIAISON__V1__STATE__STATE_REQUESTED;
    row->version = 1;
    row->responsible = s->party->number;
    row->submitted_unix_ms = b->time_ns / 1000000;
    row->digest = (ProtobufCBinaryData){sizeof j->digest, (uint8_t *)j->digest};
    row->signer = (ProtobufCBinaryData){sizeof c->signer, c->signer};
    row->granted = names_copy(b, c->section_names, j->submit->referral->n_sections,
                              j->decision.granted, &row->n_granted);
    row->returns = names_copy(b, j->decision.returns, j->decision.n_returns, UINT32_MAX,
                              &row->n_returns);
    row->reveal = (uint32_t)j->decision.reveal;
    row->keep = (char *)j->decision.keep;
}

static bool record_submit(struct batch *b, struct call *c, struct session *s,
                          const struct judged *j, struct item *i, struct party *to,
                          struct recorded *made)
{
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_SUBMIT,
        .operation = LIAISON__V1__OPERATION__OPERATION_COLLECTION,
        .officer = j->e->officer,
        .referral_id = binary_slice(j->e->id),
        .request_id = binary_slice(j->e->id),
        .case_id = binary_slice(j->e->case_id),
        .purpose = j->e->purpose,
        .basis = j->e->basis,
        .rules = kept_rules_cite(b, j->decision.lines, j->decision.n_lines),
        .n_rules = j->decision.n_lines,
        .certificate = c->signer,
        .after = LIAISON__V1__STATE__STATE_REQUESTED,
        .type = j->e->type,
        .responsible = s->name,
        .sections = (const char *const *)i->row.granted,
        .n_sections = i->row.n_granted,
        .content = binary_slice(j->submit->referral->envelope),
    };

    return record(b, &f, s->party, to, i, false, made);
}

static void take(struct batch *b, struct call *c, struct session *s, struct judged *j)
{
    struct party *to = party_named(b->core, j->e->to);
    Liaison__V1__SignedReferral *kept = granted_only(b, j);
    struct item *i = to == NULL || kept == NULL ? NULL : item_make(b);
    struct recorded made;

    if (i == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    fill_row(b, c, s, j, i, to);
    if (!deadline_fill(b, i, &j->decision))
        return;
    deadline_moved(b, i);
    i->referral = kept;
    i->envelope = j->e;
    index_put(b, i);
    item_put_body(b, i, kept, c->signer);
    if (!record_submit(b, c, s, j, i, to, &made))
        return;
    i->row.submit_seq = made.seq;
    i->row.mail_class = urgency_class(j->e->urgency);
    i->row.mail = mail_put(b, to, i->row.mail_class, i->number, 0);
    core_accepted(b, c, s, false, &made, LIAISON__V1__STATE__STATE_REQUESTED, 1,
                  i->row.granted, i->row.n_granted);
}

static void answer_again(struct batch *b, struct call *c, struct session *s,
                         struct item *i)
{
    struct recorded first;

    if (recorded_again(b, i, i->row.submit_seq, &first) == LIAISON_OK)
        core_accepted(b, c, s, true, &first, LIAISON__V1__STATE__STATE_REQUESTED, 1,
                      i->row.granted, i->row.n_granted);
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
    if (j->code == LIAISON_OK && j->known != NULL)
        answer_again(b, c, s, j->known);
    else if (j->code == LIAISON_OK && b->full)
        core_error(b, c, LIAISON_FULL, NULL);
    else if (j->code == LIAISON_OK)
        take(b, c, s, j);
    else
        refuse(b, c, s, j, LIAISON__V1__EVENT__EVENT_SUBMIT);
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

static bool record_check(struct batch *b, struct session *s, const struct judged *j)
{
    struct recorded made;
    struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_CHECK,
        .code = j->code,
        .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
        .certificate = s->certificate,
        .rules = kept_rules_cite(b, j->decision.lines, j->decision.n_lines),
        .n_rules = j->decision.n_lines,
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
    Liaison__V1__Obligations o = LIAISON__V1__OBLIGATIONS__INIT;
    struct judged *j = judged_new(b, c->frame->check);

    if (j == NULL)
        return;
    judge(b, c, s, j);
    if (b->failed != LIAISON_OK || !record_check(b, s, j))
        return;
    d.code = (Liaison__V1__Code)j->code;
    d.text = (char *)(j->text != NULL ? j->text : err_text(j->code));
    if (j->known == NULL && (j->code == LIAISON_OK || rules_said(j->code))) {
        d.rules = rules_named(c->arena, &j->decision, &d.n_rules);
        decision_sections(c, j, &d);
    }
    if (j->known != NULL && j->code == LIAISON_OK) { /* what submit would answer again */
        d.granted = j->known->row.granted;
        d.n_granted = j->known->row.n_granted;
    }
    if (j->code == LIAISON_OK && j->known == NULL) {
        o.reveal = j->decision.reveal;
        o.returns = (char **)j->decision.returns;
        o.n_returns = j->decision.n_returns;
        o.keep = (char *)j->decision.keep;
        d.obligations = &o;
    }
    f.body_case = LIAISON__V1__FRAME__BODY_DECISION;
    f.decision = &d;
    core_answer(b, c, &f);
}
