#pragma once
/* What would have to be otherwise for the contrary of a decision. Private to broker/conf. */
#include "broker/conf/answer.h"
#include "broker/conf/cases.h"

/* Adds what it found to `f`: lines, or with `json` the member "contrary" of an object, a comma before it. One other fact, and
 * two where neither alone would do; another sender, recipient, size or day; fewer sections; and which lines would have to
 * go, or how far the nearest allows are. False: memory is out. */
bool contrary_print(FILE *f, const struct answer *x, const struct cases_look *look, bool json);
