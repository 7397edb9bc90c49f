#pragma once
/* Where things stand in a text, and what is wrong there. Private to broker/conf. */
#include <stdio.h>

#include "proto/arena.h"

struct conf_source {
    const char *name; /* as errors show it */
    const char *base; /* its last part, as rules show it */
    struct slice text;
    unsigned number; /* in the order read */
};

/* A byte of a source. `file` NULL: no place in particular. */
struct place {
    const struct conf_source *file;
    uint32_t line, at;
};

/* What was found wrong, sorted by place when printed. */
struct report;

/* Gives: a report that lives in `a`; NULL when memory is out. */
struct report *report_new(struct arena *a);

/* Notes one error; `fmt` says what is wrong and, after a semicolon, what was expected. Past CONF_ERRORS_MAX only counts. */
__attribute__((format(printf, 3, 4))) void report_error(struct report *r, struct place at,
                                                        const char *fmt, ...);

/* Notes what is no error but worth a look. Past CONF_ERRORS_MAX of them it is dropped. */
__attribute__((format(printf, 3, 4))) void report_warning(struct report *r, struct place at,
                                                          const char *fmt, ...);

/* Notes that memory ran out. */
void report_memory(struct report *r);

/* Errors noted so far, those past the limit included. */
size_t report_count(const struct report *r);
bool report_full(const struct report *r);
bool report_no_memory(const struct report *r);

/* Prints all of it: FILE:LINE:COLUMN: error: ... (or warning), the line, a caret. Columns count characters from 1. */
void report_print(const struct report *r, FILE *out);
