#pragma once
/* The question that `liaisond explain` is asked, out of its command line. Private to broker/conf. */
#include <stdio.h>

#include "broker/rules/build.h"

struct question {
    const char *file;
    bool help, json, all, strip;
    const char *facts[RULES_FACT__COUNT]; /* as written; NULL: left open */
    const char *from, *to, *sections, *bytes, *date;

    /* Of those: */
    struct rules_question asked;
    unsigned open; /* 1 << RULES_FACT_X */
};

/* Reads it; lists live in `a`. False: said on stderr what is wrong. With `help` nothing else is looked at. */
bool question_read(int argc, char *const *argv, struct arena *a, struct question *out);

int question_usage(FILE *to);

/* Makes one fact of *to what it is in *from. */
void question_copy(enum rules_fact fact, const struct rules_question *from, struct rules_question *to);
