/* Terminal replies: encoded inside the batch, released by its commit. */
#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"

enum liaison_code batch_fail(struct batch *b, enum liaison_code code)
{
    if (b->failed == LIAISON_OK)
        b->failed = code;
    return code;
}

static ProtobufCBinaryData binary(struct slice s)
{
    return (ProtobufCBinaryData){s.n, (uint8_t *)s.p};
}

static enum liaison_code outcome_of(const Liaison__V1__Frame *f)
{
    switch ((int)f->body_case) {
    case LIAISON__V1__FRAME__BODY_ERROR:
        return (enum liaison_code)f->error->code;
    case LIAISON__V1__FRAME__BODY_REFUSED:
        return (enum liaison_code)f->refused->code;
    case LIAISON__V1__FRAME__BODY_DECISION:
        return (enum liaison_code)f->decision->code;
    default:
        return LIAISON_OK;
    }
}

void core_answer(struct batch *b, struct call *c, Liaison__V1__Frame *f)
{
    f->id = c->frame_id;
    c->outcome = outcome_of(f);
    c->reply = arena_pack(c->arena, &f->base);
    if (c->reply.p == NULL)
        batch_fail(b, LIAISON_MEMORY);
    c->kind = CALL_ANSWER;
}

void core_error(struct batch *b, struct call *c, enum liaison_code code, const char *text)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Error e = LIAISON__V1__ERROR__INIT;

    e.code = (Liaison__V1__Code)code;
    e.text = (char *)(text != NULL ? text : err_text(code));
    f.body_case = LIAISON__V1__FRAME__BODY_ERROR;
    f.error = &e;
    core_answer(b, c, &f);
}

void core_found_damage(struct batch *b, struct call *c, const char *why)
{
    if (!b->core->evidence)
        core_evidence(b->core, why);
    core_error(b, c, LIAISON_EVIDENCE, why);
}

Liaison__V1__Rule **rules_named(struct arena *a, const struct rules_decision *d,
                                size_t *n)
{
    Liaison__V1__Rule **list = arena_alloc(a, d->n_lines * sizeof(void *));

    *n = 0;
    for (size_t i = 0; list != NULL && i < d->n_lines; i++) {
        Liaison__V1__Rule *r = arena_alloc(a, sizeof *r);

        if (r == NULL)
            return list;
        liaison__v1__rule__init(r);
        r->id = binary(slice(d->lines[i]->id, 32));
        r->text = (char *)d->lines[i]->text;
        r->where = (char *)d->lines[i]->where;
        list[(*n)++] = r;
    }
    return list;
}

/* Calls that somebody signed: those are what receipts are for. */
static bool is_signed(const struct call *c)
{
    return c->frame->body_case == LIAISON__V1__FRAME__BODY_SUBMIT ||
           c->frame->body_case == LIAISON__V1__FRAME__BODY_ACT;
}

/* The rule that denies the certificate which signed, or spoke: no decision of the rules took part, and it is named all the same. */
static const struct rules_decision *denied_certificate(const struct core *core,
                                                       const struct call *c,
                                                       const struct session *s,
                                                       struct rules_decision *only)
{
    const struct rules *rules = core->settings.rules;

    if (!rules_denies_certificate(rules, c->signer, &only->lines[0]) &&
        !rules_denies_certificate(rules, s->certificate, &only->lines[0]))
        return NULL;
    only->n_lines = 1;
    return only;
}

void core_refused(struct batch *b, struct call *c, struct session *s,
                  const struct denial *d)
{
    struct rules_decision only;
    const struct rules_decision *decision =
        d->decision == NULL && d->code == LIAISON_REVOKED
            ? denied_certificate(b->core, c, s, &only)
            : d->decision;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Refused r = LIAISON__V1__REFUSED__INIT;
    struct recorded made;
    struct ledger_fact fact = {
        .event = d->event,
        .code = d->code,
        .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
        .officer = d->officer,
        .referral_id = d->referral_id,
        .request_id = d->request_id,
        .content = d->content,
        .purpose = d->purpose,
        .basis = d->basis,
        .certificate = s->certificate,
    };

    if (decision != NULL) {
        fact.n_rules = decision->n_lines;
        fact.rules = kept_rules_cite(b, decision->lines, fact.n_rules);
    }
    if (!record(b, &fact, s->party, d->counterpart, NULL, true, &made))
        return;
    r.code = (Liaison__V1__Code)d->code;
    r.text = (char *)(d->text != NULL ? d->text : err_text(d->code));
    if (decision != NULL)
        r.rules = rules_named(c->arena, decision, &r.n_rules);
    r.entry = binary(made.entry);
    r.opening = binary(slice(made.opening, sizeof made.opening));
    f.body_case = LIAISON__V1__FRAME__BODY_REFUSED;
    f.refused = &r;
    if (is_signed(c))
        receipt_await(b, s, made.seq);
    core_answer(b, c, &f);
}

void core_accepted(struct batch *b, struct call *c, struct session *s, bool duplicate,
                   const struct recorded *made, Liaison__V1__State state,
                   uint32_t version, char **granted, size_t n_granted)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Accepted a = LIAISON__V1__ACCEPTED__INIT;

    a.entry = binary(made->entry);
    a.opening = binary(slice(made->opening, sizeof made->opening));
    a.granted = granted;
    a.n_granted = n_granted;
    a.state = state;
    a.state_version = version;
    if (duplicate) {
        f.body_case = LIAISON__V1__FRAME__BODY_DUPLICATE;
        f.duplicate = &a;
    } else {
        f.body_case = LIAISON__V1__FRAME__BODY_ACCEPTED;
        f.accepted = &a;
        receipt_await(b, s, made->seq);
    }
    core_answer(b, c, &f);
}

enum liaison_code recorded_again(struct batch *b, struct item *i, uint64_t seq,
                                 struct recorded *out)
{
    uint8_t key[8];
    enum liaison_code code = item_keys(b, i);

    if (code != LIAISON_OK)
        return code;
    be64_put(key, seq);
    code = store_get(b->tx, T_ENTRY, slice(key, sizeof key), &out->entry);
    if (code != LIAISON_OK)
        return batch_fail(b, code == LIAISON_NOT_FOUND ? LIAISON_DAMAGED : code);
    const uint8_t *copy = arena_copy(b->arena, out->entry);

    if (copy == NULL)
        return batch_fail(b, LIAISON_MEMORY);
    out->entry.p = copy;
    out->seq = seq;
    vault_opening(b->core->hash, &i->keys, seq, out->opening);
    return LIAISON_OK;
}
