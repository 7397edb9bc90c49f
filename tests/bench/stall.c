/* How long a session waits at most, while a broker reloads.
 *
 *     stall PROFILES SENDERS SESSIONS EACH ADDRESS
 *
 * SESSIONS sessions, shared out among the senders, each submit one referral after the other, window 1: EACH are sealed at the
 * start, and what is through them begins again, with the same bytes, which the broker answers as the first time. Says "ready", then
 * answers each line read: "mark": how many answers there were since the last mark, and the longest that any session has waited
 * for one, a wait in progress included; "end": ends. Every call is answered, or the program ends with a sentence. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/lib/member.h"

enum { NAME = 64, EVENTS = 256, SINKS = 2, BYTES = 256, STALL_MS = 20000 };

struct speaker {
    struct liaison *l;
    struct liaison_referral **referrals;
    size_t next;
    uint64_t since_ns; /* its call was sent */
};

struct load {
    struct speaker *speakers;
    size_t n, each;
    int epoll;
    uint64_t answers, longest_ns;
};

static void say_next(struct load *x, struct speaker *s)
{
    uint64_t call;

    member_must(s->l,
                liaison_send_submit(s->l, s->referrals[s->next++ % x->each], 0, &call),
                "submit");
    s->since_ns = member_now_ns();
}

static void waited(struct load *x, const struct speaker *s, uint64_t now_ns)
{
    if (now_ns - s->since_ns > x->longest_ns)
        x->longest_ns = now_ns - s->since_ns;
}

static void serve(struct load *x, struct speaker *s)
{
    struct liaison_answer *a = NULL;
    enum liaison_code code = liaison_receive(s->l, 0, &a);

    if (code == LIAISON_TIMEOUT)
        return;
    member_must(s->l, code, "receive");
    if (liaison_answer_code(a) != LIAISON_OK)
        member_die("submit: %s: %s", liaison_answer_kind(a), liaison_answer_text(a));
    liaison_answer_free(a);
    waited(x, s, member_now_ns());
    x->answers++;
    say_next(x, s);
    (void)liaison_receive(s->l, 0, &a); /* writes what was queued */
}

static void mark(struct load *x)
{
    uint64_t now_ns = member_now_ns();

    for (size_t i = 0; i < x->n; i++)
        waited(x, &x->speakers[i], now_ns);
    printf("{\"answers\":%" PRIu64 ",\"longest_ms\":%.3f}\n", x->answers,
           (double)x->longest_ns / 1e6);
    x->answers = x->longest_ns = 0;
}

/* False: the end was asked for. */
static bool obey(struct load *x)
{
    char line[64];

    if (fgets(line, sizeof line, stdin) == NULL || strcmp(line, "end\n") == 0)
        return false;
    mark(x);
    return true;
}

static void run(struct load *x)
{
    struct epoll_event events[EVENTS], in = {.events = EPOLLIN, .data.ptr = NULL};

    if (epoll_ctl(x->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &in) != 0)
        member_die("epoll_ctl failed");
    for (size_t i = 0; i < x->n; i++) {
        say_next(x, &x->speakers[i]);
        serve(x, &x->speakers[i]);
    }
    for (bool on = true; on;) {
        int n = epoll_wait(x->epoll, events, EVENTS, STALL_MS);

        if (n == 0)
            member_die("nothing was answered for %d ms", STALL_MS);
        for (int i = 0; i < n; i++)
            if (events[i].data.ptr != NULL)
                serve(x, events[i].data.ptr);
            else
                on = obey(x);
    }
}

static void make(struct load *x, const char *profiles, size_t senders,
                 const char *address)
{
    char name[NAME], to[NAME];
    const uint8_t body[BYTES] = {'x'};

    x->epoll = epoll_create1(EPOLL_CLOEXEC);
    x->speakers = member_alloc(x->n, sizeof *x->speakers);
    for (size_t i = 0; i < x->n; i++) {
        struct speaker *s = &x->speakers[i];

        snprintf(name, sizeof name, "fr/load/source-%02zu", i % senders + 1);
        snprintf(to, sizeof to, "fr/load/sink-%02zu", i % SINKS + 1);
        s->l = member_new(profiles, name, address);
        s->referrals = member_alloc(x->each, sizeof(struct liaison_referral *));
        for (size_t k = 0; k < x->each; k++)
            s->referrals[k] = member_draft(s->l, to, body, sizeof body);
        member_must(s->l, liaison_connect(s->l), "connect");
        member_must(s->l, liaison_seal(s->l, s->referrals, x->each), "seal");
        member_must(s->l, liaison_sign(s->l, s->referrals, x->each), "sign");
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};

        if (epoll_ctl(x->epoll, EPOLL_CTL_ADD, liaison_fd(s->l), &e) != 0)
            member_die("epoll_ctl failed");
    }
}

static void release(struct load *x)
{
    for (size_t i = 0; i < x->n; i++) {
        for (size_t k = 0; k < x->each; k++)
            liaison_referral_free(x->speakers[i].referrals[k]);
        free(x->speakers[i].referrals);
        liaison_free(x->speakers[i].l);
    }
    free(x->speakers);
    close(x->epoll);
}

int main(int argc, char *argv[])
{
    struct load x = {0};

    if (argc != 6)
        member_die("stall PROFILES SENDERS SESSIONS EACH ADDRESS");
    x.n = strtoul(argv[3], NULL, 10);
    x.each = strtoul(argv[4], NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    make(&x, argv[1], strtoul(argv[2], NULL, 10), argv[5]);
    puts("ready");
    run(&x);
    release(&x);
    return 0;
}
