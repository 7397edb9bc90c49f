#pragma once
/* What two rule sets decide differently: every decision there can be from a day on, not a sample of them. Pure.
 *
 * Only pairs of agencies are looked at for which a rule, or what is declared of one of the two, has changed; of those every
 * type and category that such a rule names, with every combination of the other facts that either set tells apart. */
#include "broker/rules/build.h"

enum {
    RULES_WIDER = 1,   /* more passes, earlier, for longer, back as well, or with less asked before */
    RULES_NARROWER = 2 /* the contrary; both: each in another respect */
};

/* One decision that is another now, and all those that it stands for. */
struct rules_difference {
    const struct rules_question *q; /* one of them: all sections that either set names, and `strip` */
    unsigned open;                  /* facts of which `alike` says what it stands for; the others are q's */
    const struct rules_values *alike;
    int32_t day_end;   /* the first day, from q->day on, that may be decided otherwise; 0: never comes */
    size_t bytes_end;  /* so for the size, from q->bytes on; 0: any more */
    const struct rules_decision *before, *after;
    unsigned how; /* RULES_WIDER, RULES_NARROWER or both */
};

/* Called with each; false ends it. What it is given lives until it returns. */
typedef bool rules_differ(void *arg, const struct rules_difference *d);

/* Called now and then: so many of all pairs of agencies that have to be looked at. */
typedef void rules_compare_tell(void *arg, size_t done, size_t all);

enum { RULES_PAIRS_MAX = 1 << 20 }; /* looked at in one comparison */

struct rules_comparison {
    const struct rules *before, *after;
    int32_t day;  /* it and all later ones */
    size_t most;  /* questions of one pair of agencies about one type and category, on one day and of one size */
    rules_differ *visit;
    rules_compare_tell *tell; /* NULL: nobody is told */
    void *arg;                /* of both */
};

/* Compares the decisions of two sets. What was visited before an error is not all.
 * Errors: LIAISON_LIMIT (a pair of agencies has more than `most` questions), LIAISON_TOO_LARGE (more than RULES_PAIRS_MAX pairs;
 * none was visited), LIAISON_CLOSED (visit said so), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code rules_compare(const struct rules_comparison *what);

/* How `after` differs from `before` in what it lets pass and what it asks for it: RULES_WIDER, RULES_NARROWER, both or 0. */
unsigned rules_how(const struct rules_decision *before, const struct rules_decision *after);
