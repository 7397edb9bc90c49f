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

/* Compares the decisions of two sets on `day` and all later days. *asked (may be NULL): how many questions that took.
 * Errors: LIAISON_LIMIT (a pair of agencies has more than `most` questions of one type and category; what was visited is not
 * all), LIAISON_CLOSED (visit said so), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code rules_compare(const struct rules *before, const struct rules *after, int32_t day, size_t most,
                                rules_differ *visit, void *arg, size_t *asked);

/* How `after` differs from `before` in what it lets pass and what it asks for it: RULES_WIDER, RULES_NARROWER, both or 0. */
unsigned rules_how(const struct rules_decision *before, const struct rules_decision *after);
