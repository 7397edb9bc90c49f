#pragma once
/* What a verification checked and found, for people and as one JSON object. */
#include "client/audit/verify.h"

/* What the report does not know. */
struct verify_about {
    bool first_run;       /* a state is kept, and there was none */
    const char *evidence; /* the file both notes are in; NULL: none was needed, or could be written */
};

/* A checkpoint, and who has signed it; NULL: nobody has judged it. */
void verify_print_note(const struct checkpoint *c, const struct note_judgement *judged);

void verify_print(const struct verify_report *r, const struct verify_about *about);

/* False when memory is out. */
MUST_CHECK
bool verify_print_json(const struct verify_report *r, const struct verify_about *about);
