#pragma once
/* Joins parts, in their order, into the report: what needs to know what stood before. One thread's. */
#include "client/audit/part.h"
#include "client/audit/verify.h"

enum { JOIN_RULE_SETS = 4096 };

struct joined {
    const struct verify_settings *settings;
    struct verify_report *report;
    uint64_t start; /* the first entry that is checked */
    bool fresh;     /* nothing is known of what stood before it */
    uint64_t last_time_ns;
    struct parties *parties;
    uint64_t summary_next, summary_left, summary_all; /* of a summary of several entries: where it goes on, and what is to come */
    bool summary_unknown; /* the entries begin within one, perhaps */
    size_t n_rule_sets;
    struct {
        uint8_t id[HASH_BYTES];
        uint64_t seq;
    } rule_sets[JOIN_RULE_SETS];
};

/* Adds the next part. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code join_part(struct joined *j, const struct part *p);

/* After the last one. */
void join_end(struct joined *j);
