/* zmtp_next keeps its promises for any bytes, and gives the same events however they are cut. */
#include <stdlib.h>

#include "proto/zmtp.h"

enum { MESSAGE_MAX = 300, EVENTS_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What must hold after any one call; zmtp.h promises it. */
static void check(const struct zmtp *z, enum zmtp_event e, const uint8_t *in, size_t n,
                  size_t used, size_t want, const struct zmtp_frame *f, const char *why,
                  bool greeted)
{
    if (used > n || (e == ZMTP_BAD) != (why != NULL))
        abort();
    if (e == ZMTP_NEED && (used != 0 || want <= n))
        abort();
    if (e == ZMTP_NEED &&
        want > (greeted
                    ? (ZMTP_COMMAND_MAX > MESSAGE_MAX ? ZMTP_COMMAND_MAX : MESSAGE_MAX) +
                          ZMTP_HEADER_MAX
                    : ZMTP_GREETING_BYTES))
        abort();
    if (e != ZMTP_NEED && e != ZMTP_BAD && used == 0)
        abort();
    if (e == ZMTP_MESSAGE &&
        (f->body_len > MESSAGE_MAX || f->body < in || f->body + f->body_len != in + used))
        abort();
    if (z->too_long && e != ZMTP_BAD)
        abort();
}

/* All events of the input, given as whole or byte by byte. Returns how many. */
static size_t run(const uint8_t *data, size_t n, enum zmtp_side side, bool whole,
                  enum zmtp_event events[EVENTS_MAX])
{
    struct zmtp z;
    size_t from = 0, count = 0;
    bool greeted = false;

    zmtp_init(&z, side, MESSAGE_MAX);
    for (size_t to = whole ? n : 0; to <= n && count < EVENTS_MAX; to++) {
        enum zmtp_event e = ZMTP_IGNORE;

        while (e != ZMTP_NEED && count < EVENTS_MAX) {
            struct zmtp_frame f = {0};
            const char *why = NULL;
            size_t used, want, len = to - from;
            uint8_t *copy =
                malloc(len + 1); /* of its own, so that a byte too far is seen */

            memcpy(copy, data + from, len);
            copy = realloc(copy, len > 0 ? len : 1);
            e = zmtp_next(&z, copy, len, &used, &want, &f, &why);
            check(&z, e, copy, len, used, want, &f, why, greeted);
            free(copy);
            from += used;
            greeted = greeted || e == ZMTP_GREETED;
            if (e != ZMTP_NEED)
                events[count++] = e;
            if (e == ZMTP_BAD || e == ZMTP_REFUSED)
                return count;
        }
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int side = ZMTP_SERVER; side <= ZMTP_CLIENT; side++) {
        enum zmtp_event whole[EVENTS_MAX], cut[EVENTS_MAX];
        size_t a = run(data, n, (enum zmtp_side)side, true, whole);

        if (n > 2000)
            continue; /* byte by byte is quadratic */
        if (a != run(data, n, (enum zmtp_side)side, false, cut) ||
            memcmp(whole, cut, a * sizeof *whole) != 0)
            abort();
    }
    return 0;
}
