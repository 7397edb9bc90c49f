#pragma once
/* Notes: who signed this one, and whether it extends those seen before and shown by others. */
#include "client/audit/tree.h"
#include "client/audit/verify.h"

/* The size of the last state's checkpoint, when it is of the same log and a tree of at most this size; else 0: the checks begin at
 * the beginning. Notes it in the report. */
uint64_t compare_last_size(const struct verify_settings *s, struct verify_report *r);

/* Judges the note, then compares. `leads`: the tiles of `t` lead to the note's root, so that roots of smaller sizes can be told.
 * Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code compare_notes(const struct verify_settings *s, struct verify_report *r, struct tree *t, bool leads);
