#pragma once
/* Bundles for the commands: opened, verified, gone through entry by entry. */
#include "client/audit/audit.h"
#include "client/audit/bundle.h"
#include "client/audit/tree.h"
#include "client/audit/verify.h"

/* How many threads: --threads, else one a processor. False: it was said that this is no number. */
MUST_CHECK
bool offline_threads(const struct audit *a, unsigned *out);

struct offline {
    struct bundle *bundle;
    struct checkpoint checkpoint;
    bool verified; /* all of it, from the first entry on: --policy was given, and nothing was found */
    struct verify_report report; /* when verified */
};

/* Opens --bundle; with --policy verifies it first, and goes on only if it is good. Without, says on stderr that nothing was
 * verified. Returns 0, or the exit status after it was said why. */
int offline_open(struct audit *a, struct offline *out);
void offline_close(struct offline *o);

/* One entry, decoded; good until the call returns. Returns 0 to go on, else the exit status to end with. */
typedef int offline_entry(void *arg, const Liaison__V1__LedgerEntry *e, struct slice bytes);

/* Goes through entries [first, end) of the bundle. Returns 0, or the exit status, after it was said why. */
int offline_each(const struct offline *o, uint64_t first, uint64_t end, offline_entry *each, void *arg);

/* The exit status that `verify` ends with when a bundle cannot be opened. */
enum verify_result offline_result(enum liaison_code code);

/* The one argument: an entry's number that the bundle has. Returns 0, or the exit status. */
int audit_seq(struct audit *a, const struct offline *o, uint64_t *seq);

/* The proof that these bytes are entry `seq` of the bundle's tree, made and checked. Errors: LIAISON_PROOF (they are not, or hashes
 * of the bundle were changed); those of a source. */
MUST_CHECK
enum liaison_code offline_prove(const struct offline *o, struct slice bytes, uint64_t seq, struct note_proof *out);
