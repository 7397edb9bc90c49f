/* The honest members of tests/bench/hostile: SESSIONS sessions over libliaison, a thread each, and one newcomer.
 *
 *     honest PROFILES AGENCIES SESSIONS ADDRESS
 *
 * The sessions belong to fr/load/source-01..AGENCIES and stay open from the first line of input to the last. Reads one
 * command a line and answers each with one line of JSON:
 *
 *     run MS     every session asks one check after the other (signature, digests and rules judged, an entry committed
 *                before the answer); meanwhile the newcomer logs in and out. A session that is lost ends the program.
 *
 * What is in the referrals is synthetic: one section of noise. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/lib/member.h"

enum { BODY_BYTES = 1024, TIMES_MAX = 1 << 20, LOGIN_PAUSE_MS = 50 };

struct member {
    pthread_t thread;
    struct liaison *l;
    struct liaison_referral *referral;
    uint64_t until_ns, checks;
};

struct honest {
    struct member *members, newcomer;
    size_t sessions;
    _Atomic size_t timed;
    uint64_t *times; /* [TIMES_MAX]: how long each check took */
    uint64_t login_ns[1024];
    size_t logins, refused;
};

static struct honest all; /* one per process */

static struct liaison *join(const char *profiles, size_t agency, const char *address)
{
    char name[64];
    struct liaison *l;

    snprintf(name, sizeof name, "fr/load/source-%02zu", agency + 1);
    l = member_new(profiles, name, address);
    member_must(l, liaison_connect(l), "connect");
    return l;
}

static void make(const char *profiles, size_t agencies, const char *address)
{
    uint8_t body[BODY_BYTES];

    memset(body, 'x', sizeof body);
    all.members = member_alloc(all.sessions, sizeof *all.members);
    all.times = member_alloc(TIMES_MAX, sizeof *all.times);
    for (size_t i = 0; i < all.sessions; i++) {
        struct member *m = &all.members[i];

        m->l = join(profiles, i % agencies, address);
        m->referral = member_draft(m->l, "fr/load/sink-01", body, sizeof body);
        member_must(m->l, liaison_seal(m->l, &m->referral, 1), "seal");
        member_must(m->l, liaison_sign(m->l, &m->referral, 1), "sign");
    }
    all.newcomer.l = join(profiles, 0, address);
    liaison_close(all.newcomer.l);
}

static void *ask(void *arg)
{
    struct member *m = arg;

    m->checks = 0;
    for (uint64_t now = member_now_ns(), was; now < m->until_ns; m->checks++) {
        struct liaison_answer *a = NULL;
        size_t i;

        member_must(m->l, liaison_check(m->l, m->referral, 0, &a), "check");
        if (liaison_answer_code(a) != LIAISON_OK)
            member_die("check: %s", liaison_answer_text(a));
        liaison_answer_free(a);
        was = now;
        now = member_now_ns();
        i = atomic_fetch_add(&all.timed, 1);
        if (i < TIMES_MAX)
            all.times[i] = now - was;
    }
    return NULL;
}

static void *come_and_go(void *arg)
{
    struct member *m = arg;
    const struct timespec pause = {0, LOGIN_PAUSE_MS * 1000000L};

    for (uint64_t begin; (begin = member_now_ns()) < m->until_ns;) {
        if (liaison_connect(m->l) != LIAISON_OK)
            all.refused++; /* while a flood has filled a cap */
        else if (all.logins < sizeof all.login_ns / sizeof *all.login_ns)
            all.login_ns[all.logins++] = member_now_ns() - begin;
        liaison_close(m->l);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void start(struct member *m, uint64_t until_ns, void *(*what)(void *))
{
    m->until_ns = until_ns;
    if (pthread_create(&m->thread, NULL, what, m) != 0)
        member_die("no thread");
}

static int rising(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double ms_at(uint64_t *times, size_t n, size_t percent)
{
    qsort(times, n, sizeof *times, rising);
    return n == 0 ? 0 : (double)times[(n - 1) * percent / 100] / 1e6;
}

static void run(uint64_t ms)
{
    uint64_t begin = member_now_ns(), until = begin + ms * 1000000, checks = 0;
    size_t timed;

    all.timed = all.logins = all.refused = 0;
    for (size_t i = 0; i < all.sessions; i++)
        start(&all.members[i], until, ask);
    start(&all.newcomer, until, come_and_go);
    for (size_t i = 0; i < all.sessions; i++) {
        pthread_join(all.members[i].thread, NULL);
        checks += all.members[i].checks;
    }
    double seconds = (double)(member_now_ns() - begin) / 1e9;

    pthread_join(all.newcomer.thread, NULL);
    timed = all.timed < TIMES_MAX ? all.timed : TIMES_MAX;
    printf(
        "{\"checks\":%" PRIu64 ",\"seconds\":%.6f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
        "\"logins\":%zu,\"refused\":%zu,\"login_p50_ms\":%.3f,\"login_max_ms\":%.3f}\n",
        checks, seconds, ms_at(all.times, timed, 50), ms_at(all.times, timed, 99),
        all.logins, all.refused, ms_at(all.login_ns, all.logins, 50),
        ms_at(all.login_ns, all.logins, 100));
    fflush(stdout);
}

int main(int argc, char *argv[])
{
    char line[64];
    size_t agencies;

    if (argc != 5)
        member_die("usage: honest PROFILES AGENCIES SESSIONS ADDRESS");
    agencies = strtoul(argv[2], NULL, 10);
    all.sessions = strtoul(argv[3], NULL, 10);
    if (agencies == 0 || all.sessions == 0)
        member_die("usage: numbers above 0");
    make(argv[1], agencies, argv[4]);
    puts("{\"ready\":true}");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL)
        if (strncmp(line, "run ", 4) == 0)
            run(strtoull(line + 4, NULL, 10));
    for (size_t i = 0; i < all.sessions; i++) {
        liaison_referral_free(all.members[i].referral);
        liaison_free(all.members[i].l);
    }
    liaison_free(all.newcomer.l);
    free(all.members);
    free(all.times);
    return 0;
}
