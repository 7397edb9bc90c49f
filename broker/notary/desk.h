#pragma once
/* What the notary has on its desk, and what it does with a request. Private to broker/notary. */
#include "broker/notary/keys.h"
#include "broker/notary/water.h"
#include "broker/notary/wire.h"

struct desk {
    struct hash *hash;
    struct keys keys;
    int water_fd; /* locked; -1: there is none */
    struct water water;
    bool has_state;
    bool broken; /* a write failed: what the file holds is not known */
};

enum desk_use {
    DESK_LOOK,  /* beside a notary that may be at work: nothing is locked, nothing can be signed */
    DESK_TAKE,  /* as the only one */
    DESK_BEGIN, /* and makes the files if neither is there, or the key if nothing was ever signed with one */
};

/* Reads both files. On error `why` is a sentence, and desk_close() is due all the same. Errors: those of
 * notary_start(). */
MUST_CHECK
enum liaison_code desk_open(const struct notary_settings *s, enum desk_use use, struct desk *out, char *why,
                            size_t why_len);

/* Wipes keys, gives the lock back. */
void desk_close(struct desk *d);

void desk_status(const struct desk *d, struct notary_status *out);

/* Finishes a rotation that was begun. Needs a state. */
MUST_CHECK
enum liaison_code desk_end_rotation(const struct notary_settings *s, struct desk *d, char *why, size_t why_len);

/* Answers one message, whatever its bytes. */
void desk_answer(struct desk *d, struct slice message, struct notary_answer *out);
