/* Sessions for tests/bench/run, over libliaison: TCP, TLS 1.3 with certificates both ways, ZMTP, Hello and Welcome.
 *
 *     sessions PROFILES KIND N idle COUNT ADDRESS      opens COUNT, says "ready", holds them until its input ends
 *     sessions PROFILES KIND N open MS ADDRESS         opens and closes, THREADS at a time, for MS; prints JSON
 *
 * The sessions are spread over the agencies fr/load/KIND-01..N. */
#include <inttypes.h>
#include <pthread.h>

#include "tests/lib/member.h"

enum { THREADS = 8 };

struct source {
    const char *profiles, *kind, *address;
    size_t n;
};

struct worker {
    pthread_t thread;
    struct liaison *l;
    uint64_t until_ns, opened;
};

static struct liaison *handle(const struct source *s, size_t i)
{
    char name[64];

    snprintf(name, sizeof name, "fr/load/%s-%02zu", s->kind, i % s->n + 1);
    return member_new(s->profiles, name, s->address);
}

static void idle(const struct source *s, size_t count)
{
    struct liaison **l = member_alloc(count, sizeof *l);

    for (size_t i = 0; i < count; i++) {
        l[i] = handle(s, i);
        member_must(l[i], liaison_connect(l[i]), "connect");
    }
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    for (size_t i = 0; i < count; i++)
        liaison_free(l[i]);
    free(l);
}

static void *open_and_close(void *arg)
{
    struct worker *w = arg;

    while (member_now_ns() < w->until_ns) {
        member_must(w->l, liaison_connect(w->l), "connect");
        liaison_close(w->l);
        w->opened++;
    }
    return NULL;
}

static void open_many(const struct source *s, uint64_t ms)
{
    struct worker w[THREADS] = {0};
    uint64_t begin, total = 0;

    for (size_t i = 0; i < THREADS; i++) { /* keys are read before the clock starts */
        w[i].l = handle(s, i);
        member_must(w[i].l, liaison_connect(w[i].l), "connect");
        liaison_close(w[i].l);
    }
    begin = member_now_ns();
    for (size_t i = 0; i < THREADS; i++) {
        w[i].until_ns = begin + ms * 1000000;
        if (pthread_create(&w[i].thread, NULL, open_and_close, &w[i]) != 0)
            member_die("no thread");
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(w[i].thread, NULL);
        total += w[i].opened;
        liaison_free(w[i].l);
    }
    printf("{\"sessions\":%" PRIu64 ",\"seconds\":%.6f,\"threads\":%d}\n", total,
           (double)(member_now_ns() - begin) / 1e9, THREADS);
}

int main(int argc, char *argv[])
{
    if (argc != 7)
        member_die("usage: sessions PROFILES KIND N idle|open NUMBER ADDRESS");
    struct source s = {argv[1], argv[2], argv[6], strtoul(argv[3], NULL, 10)};
    unsigned long number = strtoul(argv[5], NULL, 10);

    if (s.n == 0 || number == 0)
        member_die("usage: numbers above 0");
    if (strcmp(argv[4], "idle") == 0)
        idle(&s, number);
    else
        open_many(&s, number);
    return 0;
}
