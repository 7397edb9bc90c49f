#pragma once
/* A decision that was made once, judged again by the rules of its day: what an entry of the trail says of a question, the rest
 * left open. For auditors. */
#include "broker/conf/conf.h"
#include "broker/rules/build.h"

struct past {
    struct rules_question q; /* what is not known: 0 or NULL; its sections are those that were granted; size and strip are not
                                looked at, for no entry says them */
    enum liaison_code code; /* LIAISON_OK, or why it was denied */
    const struct slice *cited; /* ids of the lines that made it */
    size_t n_cited;
};

/* True if rules alone decide such a code: the others depend on what was sent before, on certificates and so on. Of RATE they
 * say which line counts, and that it would be allowed. */
bool past_by_rules(enum liaison_code code);

/* Asks for everything that the entry leaves open and says on `out` in which cases these rules decide so: the same code by the
 * same lines, the sections granted. People read a line for each group of cases, programs with `json` a list of objects.
 * *agrees: there is one. Errors: LIAISON_LIMIT (more cases than are looked at), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code past_judge(const struct rules *r, const struct past *p, bool json, FILE *out, bool *agrees);

/* The line of this id, be it a rule, a denied certificate or built in; NULL: the set has none. */
const struct rules_line *past_line(const struct rules *r, struct slice id);
