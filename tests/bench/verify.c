/* How fast a bundle is verified, for tests/bench/run.
 *
 *     verify DIR N NEW
 *
 * Makes a log of N synthetic entries of 315 bytes in the mean, and NEW more, as bundles in DIR. Verifies all N with one thread and
 * with two, then what is new with the state of the first. Prints one line of JSON: entries a second, milliseconds. Bundles were
 * just written, so that they come from memory: what is measured is the verifier. */
#include <sys/stat.h>
#include <time.h>

#include "client/audit/verify.h"
#include "tests/lib/make_log.h"

struct bench {
    struct make_log log;
    char good[4096], tail[4096], state[4096], policy[4096];
};

static uint64_t now_mono_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void put(struct bench *b, const char *folder, uint64_t from)
{
    uint8_t note[MAKE_NOTE_MAX];

    make_bundle(&b->log, folder, from, b->log.n, make_note(&b->log, b->log.n, 2, note));
}

/* Verifies a bundle from opening it to replacing the state. Returns nanoseconds. */
static uint64_t verify_once(struct bench *b, const char *folder, unsigned threads,
                            bool go_on, uint64_t want)
{
    static struct verify_report r;
    struct verify_state last = {.parties = NULL};
    struct bundle *bundle = NULL;
    struct note_policy *policy = NULL;
    char why[512] = "";
    uint64_t begin = now_mono_ns();

    if (note_policy_parse(slice_text(b->policy), &policy, why, sizeof why) !=
            LIAISON_OK ||
        bundle_open(&folder, 1, &bundle, why, sizeof why) != LIAISON_OK)
        make_die("%s", why);
    if (go_on)
        make_must(verify_state_read(b->state, &last) == LIAISON_OK, "the state");
    struct verify_settings s = {.source = bundle_source(bundle),
                                .note = bundle_note(bundle, 0),
                                .policy = policy,
                                .last = go_on ? &last : NULL,
                                .now_s = b->log.time_ns / 1000000000,
                                .threads = threads};

    make_must(verify(&s, &r) == LIAISON_OK && findings_result(&r.found) == VERIFY_GOOD &&
                  r.entries == want,
              "not verified");
    if (go_on || threads == 1) /* the last thing a run does */
        make_must(verify_state_write(b->state, &r.next) == LIAISON_OK, "the state");
    uint64_t took = now_mono_ns() - begin;

    verify_report_clear(&r);
    verify_state_clear(&last);
    note_policy_free(policy);
    bundle_free(bundle);
    return took;
}

int main(int argc, char *argv[])
{
    static struct bench b;

    if (argc != 4 || mkdir(argv[1], 0700) != 0)
        make_die("usage: verify DIR N NEW, with a DIR that is not there yet");
    uint64_t n = strtoull(argv[2], NULL, 10), more = strtoull(argv[3], NULL, 10);

    snprintf(b.good, sizeof b.good, "%s/good", argv[1]);
    snprintf(b.tail, sizeof b.tail, "%s/tail", argv[1]);
    snprintf(b.state, sizeof b.state, "%s/state", argv[1]);
    make_begin(&b.log, 1);
    make_policy(&b.log, 2, b.policy, sizeof b.policy);
    make_grow(&b.log, n);
    put(&b, b.good, 0);
    make_grow(&b.log, n + more);
    put(&b, b.tail, n / SOURCE_WIDTH * SOURCE_WIDTH);

    double two_s = (double)verify_once(&b, b.good, 2, false, n) / 1e9;
    double one_s = (double)verify_once(&b, b.good, 1, false, n) / 1e9;
    double new_ms = (double)verify_once(&b, b.tail, 1, true, more) / 1e6;

    printf("{\"verify_entries_per_s\":%.1f,\"verify_2_entries_per_s\":%.1f,\"verify_new_"
           "10k_ms\":%.3f}\n",
           (double)n / one_s, (double)n / two_s, new_ms);
    make_end(&b.log);
    return 0;
}
