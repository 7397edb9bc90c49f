#pragma once
/* A decision, told: for people and for programs, with what each line did. Private to broker/conf. */
#include <stdio.h>

#include "broker/rules/build.h"

struct answer {
    const struct rules *rules;
    const struct rules_question *q;
    const struct rules_decision *d;
    unsigned open;     /* facts that nobody said: 1 << RULES_FACT_X */
    const char *facts; /* NULL: one answer says all; else which facts this answer is for: lines, or members of an object */
    struct arena *a;
};

/* Lines, the first "allowed" or "refused: ...". */
void answer_people(FILE *f, const struct answer *x);

/* Members of an object, without braces: allowed, code, text, if?, granted, refused, obligations?, rules. The words of a Decision,
 * as `liaison check --json` has them; of each rule also what it did. */
void answer_json(FILE *f, const struct answer *x);
