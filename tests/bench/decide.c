/* What a decision costs, and what it costs to load rules, for tests/bench/run.
 *
 *     decide N
 *
 * Prints one line of JSON: nanoseconds of processor time of a decision, mean over N, with 10 to 100,000 rules and 500 agencies; and
 * milliseconds from the text of a rule file to a set that can be decided by, all checks included. All names are invented. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/conf/conf.h"
#include "proto/arena.h"
#include "tests/lib/member.h"

enum { AGENCIES = 500, KINDS = 10, AREAS = 25, QUESTIONS = 1024, ROUND = 64 };

static const char *const KIND[KINDS] = {"prison", "probation", "police", "school",
                                        "ngo",    "health",    "court",  "youth",
                                        "club",   "hostel"};
static const char *const SECTION[] = {"identity", "needs", "health", "custody", "notes"};

/* Xorshift64: the same questions everywhere. */
static unsigned roll(unsigned n)
{
    static uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned)(x >> 33) % n;
}

/* Processor time of this thread: nothing here waits, and what else the machine does is not counted. */
static uint64_t processor_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void write_members(FILE *f)
{
    fputs("network \"practicies.example\"\nkeep 2y\n", f);
    for (unsigned i = 0; i < AGENCIES; i++)
        fprintf(f, "agency fr/x%u/a%u kind %s area fr/x%u\n", i % AREAS, i,
                KIND[i / AREAS % KINDS], i % AREAS);
}

/* The pair of agencies of rule i: no two rules have the same. */
static unsigned sender_of(unsigned i)
{
    return i % AGENCIES;
}

static unsigned recipient_of(unsigned i)
{
    return (i + 1 + i / AGENCIES) % AGENCIES;
}

/* How many categories n rules have: some 25 rules are about each. */
static unsigned categories(unsigned n)
{
    return n / 25 + 1;
}

/* Of twenty rules three are about kinds, one denies, and all others are about one agency and another. */
static void write_rule(FILE *f, unsigned i, unsigned n)
{
    unsigned a = sender_of(i), b = recipient_of(i), category = i % categories(n);

    if (i % 20 == 0 && i / 20 < KINDS)
        fprintf(
            f,
            "deny any any from kind %s to kind police sections { health } when minor\n",
            KIND[i / 20]);
    else if (i % 20 == 0)
        fprintf(f, "deny any \"c%u\" from fr/x%u/a%u to any when minor\n", i, a % AREAS,
                a);
    else if (i % 20 < 4)
        fprintf(f,
                "allow referral \"g%u\" from kind %s to { kind %s, kind %s } within area "
                "purpose { care } "
                "basis { law, consent }\n  sections { identity, needs, health } reveal "
                "on accept\n",
                i, KIND[i % KINDS], KIND[i / 20 % KINDS], KIND[(i / 20 + 3) % KINDS]);
    else
        fprintf(f,
                "allow referral \"c%u\" from fr/x%u/a%u to fr/x%u/a%u purpose { care, "
                "p%u } basis { law }\n"
                "  sections { identity, needs, %s } return { outcome, notes } max-size "
                "256K\n",
                category, a % AREAS, a, b % AREAS, b, i % 40, SECTION[2 + i % 3]);
}

static char *write_rules(unsigned n, size_t *len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, len);

    if (f == NULL)
        member_die("memory is out");
    write_members(f);
    for (unsigned i = 0; i < n; i++)
        write_rule(f, i, n);
    if (fclose(f) != 0)
        member_die("memory is out");
    return text;
}

/* Two thirds of the questions are about some rule's agencies and category, the others are about any. */
struct asked {
    struct rules_question q;
    char from[24], to[24], category[16];
};

static void ask(struct asked *x, unsigned n)
{
    unsigned i = roll(n), a = sender_of(i), b = recipient_of(i);

    if (roll(3) == 0) {
        a = roll(AGENCIES);
        b = roll(AGENCIES);
    }
    snprintf(x->from, sizeof x->from, "fr/x%u/a%u", a % AREAS, a);
    snprintf(x->to, sizeof x->to, "fr/x%u/a%u", b % AREAS, b);
    snprintf(x->category, sizeof x->category, "%c%u", i % 20 < 4 ? 'g' : 'c',
             i % 20 < 4 ? i : i % categories(n));
    x->q = (struct rules_question){
        .from = x->from,
        .to = x->to,
        .type = LIAISON__V1__TYPE__TYPE_REFERRAL,
        .category = x->category,
        .purpose = "care",
        .basis = "law",
        .minor =
            roll(4) == 0 ? LIAISON__V1__MINOR__MINOR_YES : LIAISON__V1__MINOR__MINOR_NO,
        .handling = LIAISON__V1__HANDLING__HANDLING_NONE,
        .regime = LIAISON__V1__REGIME__REGIME_LED,
        .informed = LIAISON__V1__INFORMED__INFORMED_YES,
        .urgency = LIAISON__V1__URGENCY__URGENCY_DAYS_7,
        .subject = LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_CONVICTED,
        .day = 20000,
        .bytes = 4096,
        .sections = SECTION,
        .n_sections = 1 + roll(3),
        .strip = true,
    };
}

static double decide(const struct rules *r, unsigned n, size_t times, unsigned *allowed)
{
    static struct asked asked[QUESTIONS];
    struct arena *a = arena_new();
    struct rules_decision d;
    uint64_t took = 0;

    for (size_t i = 0; i < QUESTIONS; i++)
        ask(&asked[i], n);
    *allowed = 0;
    for (size_t i = 0; i < 2 * times; i += ROUND) { /* the first half warms up */
        uint64_t begin = processor_ns();

        for (size_t k = i; k < i + ROUND; k++) {
            rules_decide(r, &asked[k % QUESTIONS].q, a, &d);
            *allowed += d.code == LIAISON_OK;
        }
        took += i < times ? 0 : processor_ns() - begin;
        arena_reset(a);
    }
    arena_free(a);
    return (double)took / (double)times;
}

static const struct {
    unsigned n;
    const char *decision, *load;
} SIZES[] = {
    {10, "decision_10_ns", NULL},
    {100, "decision_100_ns", NULL},
    {1000, "decision_ns", "rules_load_1k_ms"},
    {10000, "decision_10k_ns", "rules_load_10k_ms"},
    {100000, "decision_100k_ns", "rules_load_100k_ms"},
};

int main(int argc, char *argv[])
{
    size_t times = argc == 2 ? strtoul(argv[1], NULL, 10) / ROUND * ROUND : 0;
    const char *between = "{";

    if (times == 0)
        member_die("usage: decide N (at least %d)", ROUND);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        unsigned n = SIZES[i].n, allowed;
        size_t len;
        char *text = write_rules(n, &len);
        struct rules *r = NULL;
        uint64_t begin = processor_ns();

        if (conf_read_rules("rules.conf", slice(text, len), &r, stderr) != LIAISON_OK)
            member_die("the rules are refused");
        double load_ms = (double)(processor_ns() - begin) / 1e6;
        double ns = decide(r, n, times, &allowed);

        if (allowed == 0)
            member_die("nothing was allowed: the questions are wrong");
        printf("%s\"%s\": %.1f", between, SIZES[i].decision, ns);
        between = ", ";
        if (SIZES[i].load != NULL)
            printf(", \"%s\": %.3f", SIZES[i].load, load_ms);
        rules_free(r);
        free(text);
    }
    puts("}");
    return 0;
}
