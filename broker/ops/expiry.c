#include "broker/ops/expiry.h"

enum { LOOK_S = 3600, ENDED_S = 60 };

enum expiry_word expiry_look(struct expiry *e, int64_t left, int64_t *next)
{
    size_t passed = 0;

    *next = ENDED_S;
    if (left <= 0)
        return EXPIRY_ENDED;
    while (passed < e->n_steps && left <= e->steps[passed])
        passed++;
    int64_t until = passed < e->n_steps ? left - e->steps[passed] : left;

    *next = until > LOOK_S ? LOOK_S : until;
    if (passed <= e->said)
        return EXPIRY_QUIET;
    e->said = passed;
    return EXPIRY_SOON;
}

void expiry_renewed(struct expiry *e)
{
    e->said = 0;
}
