#pragma once
/* Referrals and actions: a draft, then the signed bytes. */
#include "client/lib/draft.h"
#include "client/lib/sealed.h"

struct liaison_referral {
    struct draft draft;
    struct sealed *sealed; /* NULL: still a draft */
};

struct liaison_action {
    struct draft draft;
    struct sealed *sealed;
};
