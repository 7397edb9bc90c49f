#pragma once
/* What a decision lets pass and asks for it, in words. Private to broker/conf. */
#include <stdio.h>

#include "broker/rules/rules.h"

/* "allowed; sections identity, needs; reveal on accept; ..." or "refused". Where `other` allows too, only what is not the same
 * in both; else all that it says. */
void said_decision(FILE *f, const struct rules_question *q, const struct rules_decision *one,
                   const struct rules_decision *other);
