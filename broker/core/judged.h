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
    struct onward onward;
};

/* Takes what was judged and found right, and answers. Rows point into *j until the batch ends. */
void take(struct batch *b, struct call *c, struct session *s, struct judged *j);

/* What the decision binds it to, into its row. */
void obligations_keep(struct batch *b, Liaison__Rows__V1__Referral *row, const struct rules_decision *d);

/* What it would bind it to; lives in `a`. NULL: memory is out. */
Liaison__V1__Obligations *obligations_said(struct arena *a, const struct rules_decision *d);
