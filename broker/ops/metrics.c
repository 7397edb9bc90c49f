#include "broker/ops/metrics.h"

#include <inttypes.h>
#include <time.h>

#include "proto/err.h"
#include "proto/liaison.pb-c.h"

/* Sums are read one by one while others count: each is exact, no two are of one moment. */
#define RELAXED memory_order_relaxed

void metrics_add(struct metrics *m, enum metric which, int64_t by)
{
    if (m != NULL)
        atomic_fetch_add_explicit(&m->value[which], (uint64_t)by, RELAXED);
}

void metrics_set(struct metrics *m, enum metric which, uint64_t to)
{
    if (m != NULL)
        atomic_store_explicit(&m->value[which], to, RELAXED);
}

uint64_t metrics_get(const struct metrics *m, enum metric which)
{
    return m != NULL ? atomic_load_explicit(&m->value[which], RELAXED) : 0;
}

void metrics_failed(struct metrics *m, enum metric_failure how, enum liaison_code code,
                    uint64_t count)
{
    if (m != NULL && (unsigned)code < METRICS_CODES)
        atomic_fetch_add_explicit(&m->failed[how][code], count, RELAXED);
}

void metrics_call(struct metrics *m, unsigned kind, enum liaison_code outcome)
{
    if (m != NULL && kind < METRICS_CALLS && (unsigned)outcome < METRICS_CODES)
        atomic_fetch_add_explicit(&m->calls[kind][outcome], 1, RELAXED);
}

/* ---------------------------------------------------------------- loops */

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void metrics_busy(struct metrics *m, unsigned loop)
{
    if (m != NULL && loop < METRICS_LOOPS)
        atomic_store_explicit(&m->busy_since_ms[loop], now_ms(), RELAXED);
}

void metrics_idle(struct metrics *m, unsigned loop)
{
    if (m != NULL && loop < METRICS_LOOPS)
        atomic_store_explicit(&m->busy_since_ms[loop], 0, RELAXED);
}

int64_t metrics_longest_turn_ms(const struct metrics *m)
{
    int64_t now = now_ms(), longest = 0;

    for (unsigned i = 0; m != NULL && i < METRICS_LOOPS; i++) {
        int64_t since = atomic_load_explicit(&m->busy_since_ms[i], RELAXED);

        if (since != 0 && now - since > longest)
            longest = now - since;
    }
    return longest;
}

/* ---------------------------------------------------------------- the page */

static const struct line {
    const char *name, *type, *help;
} LINES[METRIC__COUNT] = {
    [METRIC_SESSIONS] = {"liaison_sessions", "gauge",
                         "Sessions at this moment, handshakes in progress included."},
    [METRIC_COMMITS] = {"liaison_commits_total", "counter",
                        "Batches committed to the store."},
    [METRIC_BATCH_CALLS] = {"liaison_batch_calls_total", "counter",
                            "Calls in all batches; over commits it is the batch size."},
    [METRIC_ENTRIES] = {"liaison_ledger_size", "gauge", "Entries in the audit trail."},
    [METRIC_DELIVERIES] = {"liaison_deliveries_total", "counter",
                           "Items sent to recipients, further attempts included."},
    [METRIC_STORE_USED] = {"liaison_store_used_bytes", "gauge",
                           "Bytes that the store's tables hold."},
    [METRIC_STORE_MAP] = {"liaison_store_map_bytes", "gauge",
                          "The most the store may ever hold."},
    [METRIC_STORE_FILE] = {"liaison_store_file_bytes", "gauge",
                           "Bytes of the store's file, free pages among them."},
    [METRIC_STORE_BEHIND] = {"liaison_store_reader_commits", "gauge",
                             "Commits since the state that another process reads; its "
                             "pages are kept. 0: nobody reads."},
    [METRIC_STORE_FULL] = {"liaison_store_full", "gauge",
                           "1 while changes are refused for want of room."},
    [METRIC_CRL_ENDS] = {"liaison_crl_next_update_timestamp_seconds", "gauge",
                         "When the first revocation list ends."},
    [METRIC_CERT_ENDS] = {"liaison_certificate_expiry_timestamp_seconds", "gauge",
                          "When the broker's own certificate ends, or its issuer's."},
    [METRIC_SEAL_ENDS] = {"liaison_sealing_expiry_timestamp_seconds", "gauge",
                          "When the first member's last published sealing certificate "
                          "ends; 0: none is published."},
    [METRIC_RELOADS] = {"liaison_reloads_total", "counter", "Reloads done."},
    [METRIC_RELOADS_WRONG] = {"liaison_reloads_refused_total", "counter",
                              "Reloads refused: what was in force stayed in force."},
    [METRIC_RESTART] = {"liaison_restart_needed", "gauge",
                        "Settings that have changed and that only a restart puts into "
                        "force."},
    [METRIC_SIGNED] = {"liaison_checkpoint_size", "gauge",
                       "Entries under the newest signed checkpoint."},
    [METRIC_UNSIGNED] = {"liaison_ledger_unsigned", "gauge",
                         "Entries that no checkpoint covers yet."},
    [METRIC_WITNESSED] = {"liaison_witnessed_size", "gauge",
                          "Entries under the newest checkpoint that the quorum has "
                          "cosigned."},
    [METRIC_QUORUM] = {"liaison_quorum_timestamp_seconds", "gauge",
                       "A time by which the quorum had cosigned it; 0: never."},
    [METRIC_NOTARY] = {"liaison_notary_up", "gauge", "1 while the notary answers."},
    [METRIC_EVIDENCE] = {"liaison_evidence", "gauge",
                         "1: the log is kept as evidence, only auditors are served."},
    [METRIC_STATE_WRONG] = {"liaison_states_wrong_total", "counter",
                            "Referrals found in another state than their entries come "
                            "to."},
    [METRIC_CLOCK_HELD] = {"liaison_clock_held", "gauge",
                           "1: the wall clock has stepped and nobody has confirmed it."},
    [METRIC_ESCALATED] = {"liaison_escalations_total", "counter",
                          "Referrals that nobody answered in time."},
    [METRIC_RETIRED] = {"liaison_retention_erasures_total", "counter",
                        "Referrals erased because the rules keep them no longer."},
};

static const struct line FAILURES[FAILURE__COUNT] = {
    [FAILURE_STRANGER] = {"liaison_handshakes_failed_total", "counter",
                          "Peers that failed before their certificate was verified."},
    [FAILURE_REFUSED] = {"liaison_peers_refused_total", "counter",
                         "Verified peers that were not let in."},
    [FAILURE_CUT] = {"liaison_sessions_cut_total", "counter",
                     "Live sessions that the broker ended."},
};

static const struct line CALLS = {"liaison_calls_total", "counter",
                                  "Calls answered, by kind and outcome."};

static void print_head(const struct line *l, FILE *out)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", l->name, l->help, l->name, l->type);
}

static void print_failures(const struct metrics *m, enum metric_failure how, FILE *out)
{
    print_head(&FAILURES[how], out);
    for (int code = 0; code < METRICS_CODES; code++) {
        uint64_t n = atomic_load_explicit(&m->failed[how][code], RELAXED);

        if (n > 0)
            fprintf(out, "%s{code=\"%s\"} %" PRIu64 "\n", FAILURES[how].name,
                    err_name((enum liaison_code)code), n);
    }
}

static void print_calls(const struct metrics *m, FILE *out)
{
    print_head(&CALLS, out);
    for (unsigned kind = 0; kind < METRICS_CALLS; kind++) {
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(
            &liaison__v1__frame__descriptor, kind);

        for (int code = 0; f != NULL && code < METRICS_CODES; code++) {
            uint64_t n = atomic_load_explicit(&m->calls[kind][code], RELAXED);

            if (n > 0)
                fprintf(out, "%s{call=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", CALLS.name,
                        f->name, err_name((enum liaison_code)code), n);
        }
    }
}

void metrics_print(const struct metrics *m, FILE *out)
{
    for (int i = 0; i < METRIC__COUNT; i++) {
        print_head(&LINES[i], out);
        fprintf(out, "%s %" PRIu64 "\n", LINES[i].name, metrics_get(m, (enum metric)i));
    }
    for (int how = 0; how < FAILURE__COUNT; how++)
        print_failures(m, (enum metric_failure)how, out);
    print_calls(m, out);
}
