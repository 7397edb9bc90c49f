#pragma once
/* Checks the entries of a log in parts, by several threads, and joins the parts in order. */
#include "client/audit/join.h"

/* Entries from j->start to the end of the source. Calls settings->progress on the calling thread. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code run_parts(struct joined *j, uint64_t log);
