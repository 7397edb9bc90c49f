#pragma once
/* What is counted while the broker runs, and whether its loops turn. Lock-free: any thread counts, the page of
 * broker/ops/page.h reads. No names, no ids: only sums. All functions are harmless on NULL: nothing is counted. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "liaison-codes.h"

enum metric {
    METRIC_SESSIONS,      /* at this moment, handshakes in progress included */
    METRIC_COMMITS,       /* batches that changed something */
    METRIC_BATCH_CALLS,   /* calls in all batches */
    METRIC_ENTRIES,       /* in the audit trail */
    METRIC_DELIVERIES,    /* items sent to recipients, further attempts included */
    METRIC_STORE_USED,    /* bytes */
    METRIC_STORE_MAP,     /* bytes, the setting */
    METRIC_STORE_FILE,    /* bytes of the data file, free pages among them */
    METRIC_STORE_BEHIND,  /* commits since the state that another process reads */
    METRIC_STORE_FULL,    /* 1: the last batch found no room */
    METRIC_CRL_ENDS,      /* seconds since 1970, the first list of them */
    METRIC_CERT_ENDS,     /* seconds since 1970, the first of the broker's chain */
    METRIC_SEAL_ENDS,     /* seconds since 1970, the first member that nobody can seal to any more; 0: none */
    METRIC_RELOADS,       /* done */
    METRIC_RELOADS_WRONG, /* refused */
    METRIC_RESTART,       /* settings that only a restart puts into force */
    METRIC_SIGNED,        /* entries under the newest checkpoint */
    METRIC_UNSIGNED,      /* entries that no checkpoint covers */
    METRIC_WITNESSED,     /* entries under the newest checkpoint that the quorum has cosigned */
    METRIC_QUORUM,        /* seconds since 1970: a time by which it had */
    METRIC_NOTARY,        /* 1: the notary answers */
    METRIC_EVIDENCE,      /* 1: the log is kept as evidence */
    METRIC_STATE_WRONG,   /* referrals found in another state than their entries come to */
    METRIC_CLOCK_HELD,    /* 1: the wall clock has stepped and nobody has confirmed it */
    METRIC_ESCALATED,     /* referrals that nobody answered in time */
    METRIC_RETIRED,       /* referrals erased as the rules keep them no longer */
    METRIC__COUNT
};

/* By code of a failure. */
enum metric_failure {
    FAILURE_STRANGER, /* ended before its certificate was verified */
    FAILURE_REFUSED,  /* a verified peer that was not let in */
    FAILURE_CUT,      /* a live session ended by us */
    FAILURE__COUNT
};

enum {
    METRICS_CODES = 128, /* more than any code's number */
    METRICS_CALLS = 72,  /* more than any field's number in Frame.body */
    METRICS_LOOPS = 17,  /* the core, then the gates */
};

struct metrics {
    _Atomic uint64_t value[METRIC__COUNT];
    _Atomic uint64_t failed[FAILURE__COUNT][METRICS_CODES];
    _Atomic uint64_t calls[METRICS_CALLS][METRICS_CODES]; /* by kind and outcome */
    _Atomic int64_t busy_since_ms[METRICS_LOOPS];         /* monotonic; 0: it waits */
};

void metrics_add(struct metrics *m, enum metric which, int64_t by);
void metrics_set(struct metrics *m, enum metric which, uint64_t to);
uint64_t metrics_get(const struct metrics *m, enum metric which);
void metrics_failed(struct metrics *m, enum metric_failure how, enum liaison_code code,
                    uint64_t count);

/* One call answered: `kind` is its field's number in Frame.body, `outcome` the code its answer tells. */
void metrics_call(struct metrics *m, unsigned kind, enum liaison_code outcome);

/* Loop 0 is the core, g + 1 gate g. It says so when it stops waiting, and when it waits again. */
void metrics_busy(struct metrics *m, unsigned loop);
void metrics_idle(struct metrics *m, unsigned loop);

/* The longest that a loop has been at one turn, in milliseconds. */
int64_t metrics_longest_turn_ms(const struct metrics *m);

/* All of it in Prometheus' text format. */
void metrics_print(const struct metrics *m, FILE *out);
