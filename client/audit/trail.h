#pragma once
/* The audit trail for the commands that read it: a bundle, or a broker, gone through entry by entry. */
#include "client/audit/broker.h"
#include "client/audit/bundle.h"
#include "client/audit/tree.h"
#include "client/audit/verify.h"

struct trail {
    struct audit *audit;
    struct bundle *bundle; /* NULL: a broker */
    struct checkpoint checkpoint;
    struct slice note;
    bool verified; /* a bundle: all of it, and nothing was found. A broker: its checkpoint, and that it extends what was seen */
    struct verify_report report;   /* of a verified bundle */
    struct liaison_answer *answer; /* of a broker: with the checkpoint */
    struct liaison_answer *proof;  /* of a broker: the last of trail_prove() */
};

/* Opens --bundle, which is verified first if --policy is given, and only a good one is read; else the broker, whose checkpoint is
 * judged by --policy or the profile's. Says on stderr if there is neither. Returns 0, or the exit status after it was said why. */
int trail_open(struct audit *a, struct trail *out);
void trail_close(struct trail *t);

/* The first entry that there is. */
uint64_t trail_from(const struct trail *t);

/* What is wanted; whoever is asked may give more. Entries [first, end), end at most the checkpoint's size. */
struct trail_filter {
    uint64_t first, end;
    const char *agency;      /* NULL: any. Of a broker its counters come too, from the log's first entry on */
    const uint8_t *referral; /* NULL: any */
};

/* One entry, decoded; good until the call returns. */
struct trail_item {
    const Liaison__V1__LedgerEntry *e;
    struct slice bytes;
    uint64_t counter; /* of the agency asked for, where it is the counterpart and a broker told it; else 0 */
};

/* Returns 0 to go on, else the exit status to end with. */
typedef int trail_visit(void *arg, const struct trail_item *item);

/* Goes through entries, in their order. A broker's are proven to be in its log before they are visited. Returns 0, or the exit
 * status, after it was said why. */
int trail_each(struct trail *t, const struct trail_filter *f, trail_visit *visit, void *arg);

/* As trail_open(), for the entry that the one argument names: *seq, which there is. Returns 0, or the exit status. */
int trail_open_at(struct audit *a, struct trail *out, uint64_t *seq);

/* The proof that these bytes are entry `seq`, made and checked. Lives as long as t, until the next one. Errors: LIAISON_PROOF
 * (they are not, or hashes of the bundle were changed); those of a source or of liaison_prove(). */
MUST_CHECK
enum liaison_code trail_prove(struct trail *t, struct slice bytes, uint64_t seq, struct note_proof *out);

/* How many threads: --threads, else one a processor. False: it was said that this is no number. */
MUST_CHECK
bool trail_threads(const struct audit *a, unsigned *out);

/* The exit status that `verify` ends with when a bundle cannot be opened. */
enum verify_result trail_result(enum liaison_code code);

/* ---- trail_live.c: the broker's half */

int trail_live_open(struct audit *a, struct trail *out);
int trail_live_each(struct trail *t, const struct trail_filter *f, trail_visit *visit, void *arg);
MUST_CHECK
enum liaison_code trail_live_prove(struct trail *t, struct slice bytes, uint64_t seq, struct note_proof *out);

/* How many entries concern `agency`, as the log commits to it: has the broker write a summary, and waits for a checkpoint over
 * it, which is the trail's from then on. *seq is the summary's entry: the count is of those before it.
 * Errors: those of liaison_summarize() and liaison_prove(), with their sentence. */
MUST_CHECK
enum liaison_code trail_live_count(struct trail *t, const char *agency, uint64_t *count, uint64_t *seq);
