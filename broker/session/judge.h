#pragma once
/* The gate's first judgement of a call: form, signature, names, rules. The core judges again in its transaction; what is
 * found here only spares it the work. One thread's. */
#include "broker/core/call.h"
#include "broker/rules/rules.h"

struct judge;

/* Gives: *out. Shares trust and rules. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code judge_new(const char *network, struct rules *rules,
                            struct tls_trust *trust, unsigned sections_max,
                            struct judge **out);
void judge_free(struct judge *j);

/* Takes other rules and trust: certificates and bursts known so far are forgotten. Shares both. */
void judge_renew(struct judge *j, struct rules *rules, struct tls_trust *trust, unsigned sections_max);

const struct rules *judge_rules(const struct judge *j);

/* Who may send a frame with this body. */
enum judge_sender {
    JUDGE_NOBODY, /* a broker's own, or none: a breach of protocol */
    JUDGE_HELLO,  /* anybody, once */
    JUDGE_CALLER, /* a call; judge_call says whether this peer may make it */
};
enum judge_sender judge_sender(const Liaison__V1__Frame *frame);

/* Judges c->frame as a call by `peer`: sets c->code, and c->why if that is not LIAISON_OK.
 *
 * c->envelope or c->action is set once its form is right, whatever is found later; c->section_names and c->signer only if they
 * were checked. Never refuses to return: a call that fails goes on to the core all the same, which logs the denial.
 * Codes: LIAISON_ROLE, _FIELD, _MALFORMED, _ID, _NETWORK, _FROM, _SIGNER, _LIMIT, _DIGEST, those of sign_verify and of
 *        rules_decide, _MEMORY. */
void judge_call(struct judge *j, struct call *c, const struct tls_identity *peer,
                uint64_t now_unix_ms);
