#include "broker/session/judge.h"

#include <stdlib.h>

#include "broker/rules/admit.h"
#include "broker/rules/ask.h"
#include "proto/sign.h"
#include "proto/valid.h"

struct judge {
    char *network;
    struct rules *rules;
    struct sign_verifier *verifier;
    struct hash *hash;
    unsigned sections_max;
};

/* One call on its way through the checks. */
struct hearing {
    struct judge *j;
    struct call *c;
    const struct tls_identity *peer;
    uint64_t now_unix_ms;
};

typedef enum liaison_code check(const struct hearing *h);

enum liaison_code judge_new(const char *network, struct rules *rules,
                            struct tls_trust *trust, unsigned sections_max,
                            struct judge **out)
{
    struct judge *j = calloc(1, sizeof *j);

    if (j == NULL)
        return LIAISON_MEMORY;
    j->rules = rules_share(rules);
    j->sections_max = sections_max;
    j->network = strdup(network);
    j->hash = hash_new();
    if (j->network == NULL || j->hash == NULL ||
        sign_verifier_new(trust, &j->verifier) != LIAISON_OK) {
        judge_free(j);
        return LIAISON_MEMORY;
    }
    *out = j;
    return LIAISON_OK;
}

void judge_free(struct judge *j)
{
    if (j == NULL)
        return;
    sign_verifier_free(j->verifier);
    hash_free(j->hash);
    rules_free(j->rules);
    free(j->network);
    free(j);
}

void judge_renew(struct judge *j, struct rules *rules, struct tls_trust *trust,
                 unsigned sections_max)
{
    struct rules *old = j->rules;

    j->rules = rules_share(rules);
    rules_free(old);
    j->sections_max = sections_max;
    sign_verifier_trust(j->verifier, trust);
}

const struct rules *judge_rules(const struct judge *j)
{
    return j->rules;
}

static enum liaison_code deny(const struct hearing *h, enum liaison_code code,
                              const char *why)
{
    h->c->why = why;
    return code;
}

/* A caller's field may be left out; given, it has its form and agrees with what was signed (NULL: nothing was). */
static bool caller_agrees(const char *given, const char *is_signed,
                          bool (*form)(const char *))
{
    return *given == 0 ||
           (form(given) && (is_signed == NULL || strcmp(given, is_signed) == 0));
}

static enum liaison_code caller_fits(const struct hearing *h, const char *officer,
                                     const char *purpose, const char *basis)
{
    const Liaison__V1__Caller *caller = h->c->frame->caller;

    if (caller == NULL)
        return LIAISON_OK;
    if (!caller_agrees(caller->officer, officer, id_officer))
        return deny(
            h, LIAISON_FIELD,
            "caller.officer: not an officer's number, or not the one that was signed");
    if (!caller_agrees(caller->purpose, purpose, id_word))
        return deny(h, LIAISON_FIELD,
                    "caller.purpose: not a word, or not the one that was signed");
    if (!caller_agrees(caller->basis, basis, id_word))
        return deny(h, LIAISON_FIELD,
                    "caller.basis: not a word, or not the one that was signed");
    return LIAISON_OK;
}

static enum liaison_code check_unsigned(const struct hearing *h)
{
    return caller_fits(h, NULL, NULL, NULL);
}

/* What referrals and actions have in common: which network, who says it, how old. What is sealed again is as old as it is. */
static enum liaison_code origin_fits(const struct hearing *h, const char *network,
                                     const char *agency, struct slice id, bool again)
{
    if (strcmp(network, h->j->network) != 0)
        return deny(h, LIAISON_NETWORK, "signed for another network");
    if (again ? !id_valid(id) : !id_fresh(id, h->now_unix_ms))
        return deny(h, LIAISON_ID,
                    "the id's time is more than 30 days ago or 5 minutes ahead");
    if (strcmp(agency, h->peer->name) != 0)
        return deny(
            h, LIAISON_FROM,
            "signed in the name of another agency than the one that is connected");
    return LIAISON_OK;
}

/* The rules may deny a certificate, or end a name, long before a revocation list does. */
static enum liaison_code signer_allowed(const struct hearing *h,
                                        const struct tls_identity *who)
{
    char why[3 * ID_NAME_MAX];
    enum liaison_code code =
        rules_admit(h->j->rules, who, rules_day(h->now_unix_ms / 1000), why, sizeof why);

    return code == LIAISON_OK
               ? code
               : deny(h, code, (char *)arena_copy(h->c->arena, slice_text(why)));
}

static enum liaison_code signature_fits(const struct hearing *h, enum sign_kind kind,
                                        ProtobufCBinaryData message,
                                        const Liaison__V1__Signature *signature)
{
    struct tls_identity who;
    enum liaison_code code =
        sign_verify(h->j->verifier, kind, slice(message.data, message.len), signature,
                    (int64_t)(h->now_unix_ms / 1000), &who);

    if (code != LIAISON_OK)
        return code;
    memcpy(h->c->signer, who.certificate, sizeof h->c->signer);
    if (who.role != h->peer->role || strcmp(who.name, h->peer->name) != 0 ||
        strcmp(who.role_name, h->peer->role_name) != 0)
        return deny(h, LIAISON_SIGNER,
                    who.role == TLS_APPROVER
                        ? "signed by an approver who is not the one that is connected"
                        : "signed by another agency than it says");
    memcpy(h->c->signer_role, who.role_name, sizeof who.role_name);
    return signer_allowed(h, &who);
}

static enum liaison_code sections_fit(const struct hearing *h,
                                      Liaison__V1__Section *const *sections, size_t n,
                                      const ProtobufCBinaryData *digests,
                                      size_t n_digests, const char *reader)
{
    const char **names;

    if (n > h->j->sections_max)
        return deny(h, LIAISON_LIMIT, "more sections than the broker's limit");
    names = arena_alloc(h->c->arena, (n + 1) * sizeof *names);
    if (names == NULL)
        return deny(h, LIAISON_MEMORY, NULL);
    h->c->section_names = names;
    return valid_sections(h->j->hash, h->c->arena, sections, n, digests, n_digests,
                          reader, names, &h->c->why);
}

/* The envelope of submit or check, decoded and of the right form. */
static enum liaison_code take_envelope(const struct hearing *h,
                                       const Liaison__V1__SignedReferral *r)
{
    const void *decoded = NULL;
    enum liaison_code code =
        valid_decode(&liaison__v1__envelope__descriptor,
                     slice(r->envelope.data, r->envelope.len), h->c->arena, &decoded);

    if (code != LIAISON_OK)
        return deny(h, code, "envelope: not strict protobuf");
    code = valid_envelope(decoded, &h->c->why);
    if (code == LIAISON_OK)
        h->c->envelope = decoded;
    return code;
}

static enum liaison_code ask_rules(const struct hearing *h, const Liaison__V1__Submit *s)
{
    const Liaison__V1__SignedReferral *r = s->referral;
    struct rules_question q;
    struct rules_decision decision;
    enum liaison_code code =
        rules_ask(h->c->envelope, r->sections, h->c->section_names, r->n_sections,
                  s->strip, rules_day(h->now_unix_ms / 1000), &q);

    if (code != LIAISON_OK)
        return deny(h, code, "more sections than the rules can judge");
    rules_decide(h->j->rules, &q, h->c->arena, &decision);
    if (decision.code != LIAISON_OK)
        h->c->why = rules_explain(&decision, &q, h->c->arena);
    return decision.code;
}

static enum liaison_code hear_referral(const struct hearing *h,
                                       const Liaison__V1__Submit *s)
{
    const Liaison__V1__SignedReferral *r = s->referral;
    const Liaison__V1__Envelope *e;
    enum liaison_code code;

    if (r == NULL || r->signature == NULL)
        return deny(h, LIAISON_FIELD, "referral and signature: wanted");
    if ((code = take_envelope(h, r)) != LIAISON_OK ||
        (code = valid_signature(r->signature, &h->c->why)) != LIAISON_OK)
        return code;
    e = h->c->envelope;
    if ((code = caller_fits(h, e->officer, e->purpose, e->basis)) != LIAISON_OK ||
        (code = origin_fits(h, e->network, e->from, slice(e->id.data, e->id.len),
                            e->version > 1)) != LIAISON_OK ||
        (code = signature_fits(h, SIGN_REFERRAL, r->envelope, r->signature)) !=
            LIAISON_OK ||
        (code = sections_fit(h, r->sections, r->n_sections, e->digests, e->n_digests,
                             e->to)) != LIAISON_OK)
        return code;
    return ask_rules(h, s);
}

static enum liaison_code check_submit(const struct hearing *h)
{
    return hear_referral(h, h->c->frame->submit);
}

static enum liaison_code check_check(const struct hearing *h)
{
    return hear_referral(h, h->c->frame->check);
}

/* Whose certificates may sign a move: an approver lets a referral go or stops it, and does nothing else in its
 * agency's name; and no agency approves what it sends itself. */
static enum liaison_code signer_may(const struct hearing *h, Liaison__V1__Move move)
{
    bool approver = h->peer->role == TLS_APPROVER;

    if (move == LIAISON__V1__MOVE__MOVE_APPROVE && !approver)
        return deny(h, LIAISON_ROLE, "only an approver's certificate signs an approval");
    if (move != LIAISON__V1__MOVE__MOVE_APPROVE &&
        move != LIAISON__V1__MOVE__MOVE_WITHDRAW && approver)
        return deny(h, LIAISON_ROLE,
                    "an approver's certificate signs approvals and withdrawals only");
    return LIAISON_OK;
}

/* An action. Who the other party is, the core knows: it checks the readers of the sections. */
static enum liaison_code check_act(const struct hearing *h)
{
    const Liaison__V1__SignedAction *s = h->c->frame->act;
    const Liaison__V1__Action *a;
    const void *decoded = NULL;
    enum liaison_code code =
        valid_decode(&liaison__v1__action__descriptor,
                     slice(s->action.data, s->action.len), h->c->arena, &decoded);

    if (code != LIAISON_OK)
        return deny(h, code, "action: not strict protobuf");
    a = decoded;
    if (s->signature == NULL)
        return deny(h, LIAISON_FIELD, "signature: wanted");
    if ((code = valid_action(a, &h->c->why)) != LIAISON_OK)
        return code;
    h->c->action = a;
    if ((code = valid_signature(s->signature, &h->c->why)) != LIAISON_OK ||
        (code = caller_fits(h, a->officer, a->purpose, a->basis)) != LIAISON_OK ||
        (code = origin_fits(h, a->network, a->agency, slice(a->id.data, a->id.len),
                            false)) != LIAISON_OK ||
        (code = signature_fits(h, SIGN_ACTION, s->action, s->signature)) != LIAISON_OK ||
        (code = signer_may(h, a->move)) != LIAISON_OK)
        return code;
    return sections_fit(h, s->sections, s->n_sections, a->digests, a->n_digests, NULL);
}

/* An approver reads what its agency sends; what it gets is not an approver's to see. */
static enum liaison_code check_list(const struct hearing *h)
{
    if (h->peer->role == TLS_APPROVER &&
        h->c->frame->list->box != LIAISON__V1__BOX__BOX_SENT)
        return deny(h, LIAISON_ROLE, "an approver lists what its agency has sent");
    return check_unsigned(h);
}

/* An agency watches for keys in its own name, and reads nothing else of the log. */
static enum liaison_code check_entries(const struct hearing *h)
{
    const Liaison__V1__EntryFilter *f = h->c->frame->entries;

    if (h->peer->role == TLS_AGENCY && (f->event != LIAISON__V1__EVENT__EVENT_KEY ||
                                        strcmp(f->agency, h->peer->name) != 0))
        return deny(h, LIAISON_ROLE,
                    "an agency reads the KEY entries of its own name and no others");
    return check_unsigned(h);
}

enum {
    AGENCIES = 1 << TLS_AGENCY,
    APPROVERS = 1 << TLS_APPROVER,
    AUDITORS = 1 << TLS_AUDITOR,
    ALL = AGENCIES | APPROVERS | AUDITORS
};

/* Which bodies a peer may send, whose they are, and what is checked first. */
static const struct body {
    enum judge_sender sender;
    unsigned roles;
    check *check;
} BODY[] = {
    [LIAISON__V1__FRAME__BODY_HELLO] = {JUDGE_HELLO, ALL, NULL},
    [LIAISON__V1__FRAME__BODY_SUBMIT] = {JUDGE_CALLER, AGENCIES, check_submit},
    [LIAISON__V1__FRAME__BODY_CHECK] = {JUDGE_CALLER, AGENCIES, check_check},
    [LIAISON__V1__FRAME__BODY_ACT] = {JUDGE_CALLER, AGENCIES | APPROVERS, check_act},
    [LIAISON__V1__FRAME__BODY_LIST] = {JUDGE_CALLER, AGENCIES | APPROVERS, check_list},
    [LIAISON__V1__FRAME__BODY_HISTORY] = {JUDGE_CALLER, AGENCIES | APPROVERS,
                                          check_unsigned},
    [LIAISON__V1__FRAME__BODY_DIRECTORY] = {JUDGE_CALLER, AGENCIES | APPROVERS,
                                            check_unsigned},
    [LIAISON__V1__FRAME__BODY_OPEN] = {JUDGE_CALLER, AGENCIES | APPROVERS,
                                       check_unsigned},
    [LIAISON__V1__FRAME__BODY_GRANT] = {JUDGE_CALLER, AGENCIES, check_unsigned},
    [LIAISON__V1__FRAME__BODY_ACK] = {JUDGE_CALLER, AGENCIES, check_unsigned},
    [LIAISON__V1__FRAME__BODY_PROVE] = {JUDGE_CALLER, ALL, check_unsigned},
    [LIAISON__V1__FRAME__BODY_COSIGN] = {JUDGE_CALLER, AGENCIES | AUDITORS,
                                         check_unsigned},
    [LIAISON__V1__FRAME__BODY_ENTRIES] = {JUDGE_CALLER, AGENCIES | AUDITORS,
                                          check_entries},
    [LIAISON__V1__FRAME__BODY_SUMMARIZE] = {JUDGE_CALLER, AGENCIES | AUDITORS,
                                            check_unsigned},
    [LIAISON__V1__FRAME__BODY_HASHES] = {JUDGE_CALLER, AUDITORS, check_unsigned},
    [LIAISON__V1__FRAME__BODY_RULE_TEXT] = {JUDGE_CALLER, AUDITORS, check_unsigned},
};

static const struct body *body_of(const Liaison__V1__Frame *frame)
{
    static const struct body NONE = {JUDGE_NOBODY, 0, NULL};
    size_t i = (size_t)frame->body_case;

    return i < sizeof BODY / sizeof *BODY ? &BODY[i] : &NONE;
}

enum judge_sender judge_sender(const Liaison__V1__Frame *frame)
{
    return body_of(frame)->sender;
}

void judge_call(struct judge *j, struct call *c, const struct tls_identity *peer,
                uint64_t now_unix_ms)
{
    struct hearing h = {.j = j, .c = c, .peer = peer, .now_unix_ms = now_unix_ms};
    const struct body *body = body_of(c->frame);

    if ((body->roles & 1U << peer->role) == 0)
        c->code =
            deny(&h, LIAISON_ROLE,
                 body->roles == AUDITORS ? "for auditors only" : "for agencies only");
    else
        c->code = body->check(&h);
    if (c->code == LIAISON_OK)
        c->why = NULL;
}
