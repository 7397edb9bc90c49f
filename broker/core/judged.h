#pragma once
/* A submit on its way: what submit.c judged, and take.c takes. */
#include "broker/core/state.h"

struct judged {
    const Liaison__V1__Submit *submit;
    const Liaison__V1__Envelope *e;
    struct rules_decision decision;
    const struct rules_decision *refusal; /* that refuses it; NULL: no rule does */
    enum liaison_code code;
    const char *text;
    uint8_t digest[HASH_BYTES]; /* of the envelope's bytes */
    struct item *known;         /* what came under this id before */
    bool reseals;               /* and this takes its place */
    struct onward onward;
};

/* Takes what was judged and found right, and answers. Rows point into *j until the batch ends. */
void take(struct batch *b, struct call *c, struct session *s, struct judged *j);

/* As what it goes into the log. */
struct taken_as {
    Liaison__V1__Event event;
    Liaison__V1__Operation operation;
    Liaison__V1__State before;
    const char *onward; /* NULL: it was for its recipient from the beginning */
};

/* Envelope, sections and obligations that were judged, into `i`, in place of what was there. Rows point into *j until the batch ends.
 * False: the batch has failed. */
MUST_CHECK
bool take_envelope(struct batch *b, struct call *c, const struct judged *j, struct item *i);

/* Logs it, sends it on its way unless approvals are wanted first, and answers. */
void take_answer(struct batch *b, struct call *c, struct session *s, const struct judged *j, struct item *i,
                 const struct taken_as *as);

/* Whether other bytes under a known id are its next version, sealed to the agency that took its recipient's place: j->reseals then.
 * What the rules say of it is not asked here. Errors: LIAISON_CONFLICT, with j->text where the sender can do better; the batch's. */
enum liaison_code reseal_judge(struct batch *b, struct call *c, struct judged *j);

/* Takes it, and answers. */
void reseal(struct batch *b, struct call *c, struct session *s, struct judged *j);

/* What the decision binds it to, into its row. */
void obligations_keep(struct batch *b, Liaison__Rows__V1__Referral *row, const struct rules_decision *d);

/* What it would bind it to; lives in `a`. NULL: memory is out. */
Liaison__V1__Obligations *obligations_said(struct arena *a, const struct rules_decision *d);
