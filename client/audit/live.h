#pragma once
/* A broker's log as a source, up to a checkpoint that it gave: pages and tiles are asked for ahead, several in flight at once on
 * the one session, and kept until somebody wants them; what bounds the memory is how many are kept.
 *
 * An auditor of an area is not shown every entry: what is not shown is an entry without bytes (source.h).
 * Source: PROTOCOL.md, "Reading" and "Summaries". */
#include "client/audit/source.h"
#include "client/lib/liaison.h"

struct live;

/* The newest log of the broker behind `l`, its first `size` entries from `from` (a multiple of 256) on.
 *
 * Borrows: l, which nobody else may use while the source is used. Gives: *out. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code live_open(struct liaison *l, uint64_t from, uint64_t size, struct live **out);
void live_free(struct live *v); /* NULL is harmless */

/* Borrows: lives as long as v. Once a call has failed for a reason that is not the answer's, all fail. */
const struct source *live_source(const struct live *v);

/* Why the broker could not be asked any more; "" if it could. Borrows: as long as v. */
const char *live_why(const struct live *v);
