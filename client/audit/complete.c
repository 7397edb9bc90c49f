#include "client/audit/complete.h"

#include <stdlib.h>

static int by_counter(const void *a, const void *b)
{
    const struct complete_row *x = a, *y = b;

    return x->counter < y->counter ? -1 : x->counter > y->counter;
}

struct complete complete_check(struct complete_row *rows, size_t n, uint64_t first,
                               uint64_t last)
{
    struct complete c = {.after = UINT64_MAX};
    uint64_t want = first;

    if (n > 0)
        qsort(rows, n, sizeof *rows, by_counter);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].counter < want || rows[i].counter > last) {
            c.doubled = rows[i].counter;
            return c;
        }
        if (rows[i].counter > want)
            break;
        c.after = rows[i].seq;
        want++;
    }
    c.all = want == last + 1;
    c.missing = c.all ? 0 : want;
    return c;
}
