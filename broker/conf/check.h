#pragma once
/* Looking up what is declared, and judging how single words are written. Private to broker/conf. */
#include "broker/conf/tree.h"

/* Everything declared, in order of names, to look up by halves. */
struct index {
    const struct text **list;
    size_t n;
};

struct check {
    struct tree *t;
    struct index agencies, groups, kinds, areas;
    const struct tree_agency **unsupervised; /* agencies that declare no supervisor */
    size_t n_unsupervised;
    int32_t today;
};

/* Room for n; memory that is out is reported. Texts without a value are not added. */
void index_make(const struct check *c, struct index *x, size_t n);
void index_add(struct index *x, const struct text *t);
void index_sort(struct index *x);

/* The first declared of this name, or NULL. */
const struct text *index_find(const struct index *x, const char *name);

/* Reports every name that stands twice. */
void index_twice(const struct check *c, const struct index *x, const char *what);

/* Reports `WHAT "NAME"`, with the nearest name there is. */
void index_unknown(const struct check *c, const struct index *x, const struct text *t,
                   const char *what);

/* True if no element stands twice in the set; else that is reported. */
bool check_set(const struct check *c, const struct texts *set);

/* True if it is written as such a thing is, `what` being a word for it; else that is reported. */
bool want_name(const struct check *c, const struct text *t, const char *what);
bool want_word(const struct check *c, const struct text *t, const char *what);
bool want_size(const struct check *c, const struct text *t, const char *what);
bool want_span(const struct check *c, const struct text *t, const char *what);
bool want_date(const struct check *c, const struct text *t, const char *what);
bool want_rate(const struct check *c, const struct text *t, const char *what);
bool want_count(const struct check *c, const struct text *t, const char *what);
bool want_agency(const struct check *c, const struct text *t, const char *what); /* a declared one */

/* True if all clauses are written as they should be; else that is reported. */
bool check_clauses(const struct check *c, const struct tree_clause *list);

/* In rules.c: */
void check_rules(struct check *c);
/* In tests.c: */
void check_tests(struct check *c);
