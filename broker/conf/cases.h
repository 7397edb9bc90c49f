#pragma once
/* The columns of boxes of questions: the facts of a question, the two agencies, the day and the size. Private to broker/conf.
 *
 * A column that says nothing may be anything. */
#include "broker/conf/boxes.h"
#include "broker/conf/values.h"
#include "broker/rules/build.h"

/* In the order in which they are shown; facts first, as their numbers are. */
enum { CASE_PAIR = RULES_FACT__COUNT, CASE_DAY, CASE_SIZE, CASE_COLUMNS };

extern const struct value TYPES[], MINORS[];

/* "minor", "on", and what words it has; NULL: any word. */
const char *cases_name(int column);
const struct value *cases_values(int column);

/* Every column of a question with these facts open; what is not open, agencies, day and size say nothing yet. */
void cases_cells(struct arena *a, unsigned open, const struct rules_values *alike, struct cell cells[CASE_COLUMNS]);

/* One of these words, which one may be: those of a list of values by their bits. */
struct cell cases_numbers(struct arena *a, const struct value *values, uint32_t mask);

/* How cells are shown. */
struct cases_look {
    struct arena *a;
    int32_t day; /* the first there is: from it on is always */
    bool all;    /* every word of a list, however long */
};

/* True if the column says something; *out is it, in as few words as can be. */
bool cases_said(const struct cases_look *look, int column, const struct cell *c, struct cell *out);

/* A line each: "  minor    yes, unknown". */
void cases_print(FILE *f, const struct cases_look *look, const struct cell *cells);

/* All in one line, "if minor yes, unknown; basis law"; "whatever else is so" where nothing is said. */
void cases_line(FILE *f, const struct cases_look *look, const struct cell *cells);

/* Members of an object, without braces: "minor":["yes","unknown"]; "basis-not" is all but; days and sizes are
 * [[from, end], ...], end the first behind or null. True if there was one. */
bool cases_json(FILE *f, const struct cases_look *look, const struct cell *cells);

/* The words of a cell, "a, b and 3 more (--all)", and as a JSON list. */
void cases_words(FILE *f, const struct cases_look *look, const struct cell *c, const char *between);
void cases_json_list(FILE *f, const char *const *words, size_t n);
