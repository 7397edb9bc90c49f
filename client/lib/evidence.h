#pragma once
/* What outsiders need to judge a broker that showed two logs: both notes, as they came. */
#include "proto/slice.h"

enum { EVIDENCE_MAX = 4 << 20 }; /* of one file */

/* Puts both notes and the proof that came with the second into the file, behind what is there: each note with its
 * length, so that it can be cut out again. shown.n 0: no note was shown. True if it is there; past EVIDENCE_MAX what
 * is there is enough. */
bool evidence_keep(const char *path, int64_t now_s, struct slice seen, struct slice shown, struct slice proof);
