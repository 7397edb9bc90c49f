#pragma once
/* One signed move on its way: what act.c found, what move.c asks of it beside the state table, and does with it. */
#include "broker/core/state.h"

struct moved {
    const Liaison__V1__SignedAction *signed_action;
    const Liaison__V1__Action *a;
    struct item *i;
    struct party *other; /* than the one that moves */
    enum referral_party party;
    enum referral_event event;
    struct referral_step step;
    uint8_t digest[HASH_BYTES];
    uint8_t key[21]; /* of the idempotency row */
    enum liaison_code code;
    const char *text;
    const struct rules_decision *decision; /* that refuses it; NULL: no rule does */
};

/* What the state table cannot say: flags, roles, handling codes. Fills m->code and m->text. */
void move_judge(struct batch *b, const struct call *c, struct moved *m);

/* What follows from it beside state and version, once it is recorded: flags, and who is told. */
void move_follow(struct batch *b, const struct call *c, struct moved *m, Liaison__V1__State before);
