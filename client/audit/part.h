#pragma once
/* One part of a log, checked by itself, by any thread: entries against their tile, tiles against level 1, and all that entries
 * say about their place. What needs the parts before it is left to whoever joins them (verify.h). */
#include "client/audit/findings.h"
#include "client/audit/parties.h"
#include "client/audit/scan.h"
#include "client/audit/tree.h"

/* Entries of a part; parts begin at multiples of it, and one lies under one tile of level 1. */
enum { PART_ENTRIES = 4096, PART_RULE_SETS = 64 };

/* An entry that means something for the log as a whole. */
struct part_event {
    uint64_t event; /* Liaison__V1__Event: NEW_LOG, KEY_ROTATE, SUMMARY, ERASE */
    uint64_t seq, count;
    uint32_t summary; /* commitments */
    struct slice note; /* copied */
    uint8_t referral[16];
    bool has_referral;
};

/* What one part holds. */
struct part {
    uint64_t first, end; /* entries [first, end) were asked for */
    uint64_t entries, tiles, bytes;
    uint64_t hidden; /* of the entries: not to be read by us; there is nothing but the hash */
    uint64_t first_time_ns, last_time_ns; /* of entries that could be read */
    bool has_time;
    bool hole; /* entries are missing, or cannot be believed: what follows from all of them is not to be told */
    struct parties *parties;
    struct part_event *events;
    size_t n_events, events_room;
    size_t n_rule_sets; /* distinct ones, each with the first entry that cites it */
    struct {
        uint8_t id[HASH_BYTES];
        uint64_t seq;
    } rule_sets[PART_RULE_SETS];
    bool all_rule_sets; /* no more than there is room for */
    struct findings found;
};

/* One thread's tools. */
struct part_worker;

/* Gives: the tools to check entries of log number `log`, of a source that outlives them; NULL when memory is out. */
struct part_worker *part_worker_new(const struct source *source, const struct scan *scan, uint64_t log);
void part_worker_free(struct part_worker *w); /* NULL is harmless */

/* Checks entries [first, end) of the part that `first` lies in. Entries of the page of `first` that lie before it are hashed, since
 * their tile is one, and not looked at.
 * Gives: *out. Errors: LIAISON_MEMORY. Whatever else is wrong is a finding. */
MUST_CHECK
enum liaison_code part_check(struct part_worker *w, uint64_t first, uint64_t end, struct part **out);
void part_free(struct part *p); /* NULL is harmless */
