#pragma once
/* When to say that something ends soon. Pure: no clock, no log. */
#include <stddef.h>
#include <stdint.h>

struct expiry {
    const int64_t *steps; /* seconds before the end at which to say so, falling */
    size_t n_steps;
    size_t said; /* how many steps had passed when it was last said */
};

enum expiry_word { EXPIRY_QUIET, EXPIRY_SOON, EXPIRY_ENDED };

/* Says what there is to say with `left` seconds to go: SOON once for every step that has passed (once for several), ENDED
 * every time. `*next` is how many seconds later to ask again at the latest: 1..3600, 60 after the end. */
enum expiry_word expiry_look(struct expiry *e, int64_t left, int64_t *next);

/* It ends at another time from now on: the next look says what is due. */
void expiry_renewed(struct expiry *e);
