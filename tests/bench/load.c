/* The load of tests/bench/run: real handles of libliaison, one thread, one epoll.
 *
 *     load PROFILES SENDERS RECIPIENTS EACH BYTES RUN
 *
 * Each sender goes round its recipients, the next one after every RUN referrals: 1 spreads every burst over all of them, 64 gives
 * each recipient a burst of its own, which it then verifies with one signature check.
 *
 * Reads one command a line and answers each with one line of JSON. The referrals (EACH per sender) are sealed once, by the
 * first command, and serve every run: each run is against a fresh broker.
 *
 *     seal ADDRESS          connects, takes the recipients' certificates from the directory, seals
 *     submit ADDRESS        every sender submits all of its referrals, window 64; nobody receives
 *     relay ADDRESS         the same, and the recipients verify and acknowledge; over when the last acknowledgement is done
 *     latency ADDRESS N     sender 1 submits N of its referrals, one at a time
 *     receipt ADDRESS N RATE POLICY
 *                           sender 1 submits N of its referrals, RATE a second whatever comes back; timed until each one's
 *                           receipt has come and is verified: entry, opening, path, signature of the log
 *
 * Inside the clock: signing (one signature for whatever the window has room for), the library's check of every answer, and
 * the recipients' verification of every signature and digest. */
#include <inttypes.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/lib/member.h"

enum {
    NAME = 64,
    WINDOW = 64, /* the broker's default, and what is waiting in it is one burst */
    ACKS_MAX = 1024,
    FLYING_MAX = 256,
    GRANT_MESSAGES = 1000,
    GRANT_BYTES = 16 << 20,
    STALL_MS = 20000,
};

struct sender {
    struct liaison *l;
    struct liaison_referral **referrals;
    size_t next, flying;
};

struct flight {
    uint64_t call;
    size_t n;
};

struct recipient {
    struct liaison *l;
    uint64_t mailbox[ACKS_MAX], lease[ACKS_MAX];
    size_t waiting; /* verified, not yet acknowledged */
    struct flight acks[FLYING_MAX];
    size_t n_acks;
};

struct load {
    struct sender *senders;
    struct recipient *recipients;
    size_t n_senders, n_recipients, each, total, run;
    int epoll;
    uint64_t *times; /* ledger times of the accepted: one per commit */
    size_t accepted, delivered, acked, bursts, ack_calls;
};

/* ---------------------------------------------------------------- set-up */

static void name_of(const char *kind, size_t i, char out[NAME])
{
    snprintf(out, NAME, "fr/load/%s-%02zu", kind, i + 1);
}

static void watch(struct load *x, struct liaison *l, uint64_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};

    if (epoll_ctl(x->epoll, EPOLL_CTL_ADD, liaison_fd(l), &event) != 0)
        member_die("epoll_ctl failed");
}

static void make_drafts(struct load *x, struct sender *s, size_t number, size_t bytes)
{
    char to[NAME];
    uint8_t *body = member_alloc(1, bytes + 1);

    memset(body, 'x', bytes);
    s->referrals = member_alloc(x->each, sizeof(struct liaison_referral *));
    for (size_t i = 0; i < x->each; i++) {
        name_of("sink", (number + i / x->run) % x->n_recipients, to);
        s->referrals[i] = member_draft(s->l, to, body, bytes);
    }
    free(body);
}

static void make(struct load *x, const char *profiles, size_t bytes)
{
    char name[NAME];

    x->total = x->n_senders * x->each;
    x->senders = member_alloc(x->n_senders, sizeof *x->senders);
    x->recipients = member_alloc(x->n_recipients, sizeof *x->recipients);
    x->times = member_alloc(x->total, sizeof *x->times);
    x->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < x->n_senders; i++) {
        name_of("source", i, name);
        x->senders[i].l = member_new(profiles, name, "");
        watch(x, x->senders[i].l, i);
        make_drafts(x, &x->senders[i], i, bytes);
    }
    for (size_t i = 0; i < x->n_recipients; i++) {
        name_of("sink", i, name);
        x->recipients[i].l = member_new(profiles, name, "");
        watch(x, x->recipients[i].l, x->n_senders + i);
    }
}

static void join(struct liaison *l, const char *address)
{
    member_must(l, liaison_set(l, "broker", address), "broker");
    member_must(l, liaison_connect(l), "connect");
}

static void reset(struct load *x, const char *address, bool receiving)
{
    x->accepted = x->delivered = x->acked = x->bursts = x->ack_calls = 0;
    for (size_t i = 0; i < x->n_senders; i++) {
        x->senders[i].next = x->senders[i].flying = 0;
        join(x->senders[i].l, address);
    }
    for (size_t i = 0; i < x->n_recipients; i++) {
        struct recipient *r = &x->recipients[i];

        r->waiting = r->n_acks = 0;
        liaison_close(r->l);
        if (!receiving)
            continue;
        join(r->l, address);
        member_must(r->l, liaison_grant(r->l, GRANT_MESSAGES, GRANT_BYTES), "grant");
    }
}

/* ---------------------------------------------------------------- senders */

/* Signs all that the window has room for with one signature, and sends it. */
static void fill_window(struct load *x, struct sender *s)
{
    size_t room = WINDOW - s->flying, left = x->each - s->next,
           n = room < left ? room : left;
    uint64_t call;

    if (n == 0)
        return;
    member_must(s->l, liaison_sign(s->l, s->referrals + s->next, n), "sign");
    for (size_t i = 0; i < n; i++)
        member_must(s->l, liaison_send_submit(s->l, s->referrals[s->next + i], 0, &call),
                    "submit");
    s->next += n;
    s->flying += n;
    x->bursts++;
}

static void take_accepted(struct load *x, struct sender *s, struct liaison_answer *a)
{
    if (liaison_answer_call(a) == 0)
        member_die("a sender was delivered something");
    if (liaison_answer_code(a) != LIAISON_OK ||
        strcmp(liaison_answer_kind(a), "accepted") != 0)
        member_die("submit: %s: %s", liaison_answer_kind(a), liaison_answer_text(a));
    s->flying--;
    x->times[x->accepted++] = liaison_answer_time_ns(a);
}

/* ---------------------------------------------------------------- recipients */

static void acknowledge(struct load *x, struct recipient *r)
{
    if (r->waiting == 0 || r->n_acks == FLYING_MAX)
        return;
    struct flight *f = &r->acks[r->n_acks++];

    f->n = r->waiting;
    member_must(r->l, liaison_send_ack(r->l, r->mailbox, r->lease, r->waiting, &f->call),
                "ack");
    r->waiting = 0;
    x->ack_calls++;
}

static void take_delivery(struct load *x, struct recipient *r, struct liaison_answer *a)
{
    struct liaison_letter *letter = NULL;

    member_must(r->l, liaison_verify(r->l, a, 0, &letter), "verify");
    if (liaison_letter_section(letter, 0) == NULL)
        member_die("a delivery came without its section");
    if (liaison_answer_attempt(a) != 1)
        member_die("a delivery came a second time");
    liaison_letter_free(letter);
    r->mailbox[r->waiting] = liaison_answer_mailbox(a);
    r->lease[r->waiting++] = liaison_answer_lease(a);
    x->delivered++;
    if (r->waiting == ACKS_MAX)
        acknowledge(x, r);
}

static void take_done(struct load *x, struct recipient *r, const struct liaison_answer *a)
{
    if (liaison_answer_code(a) != LIAISON_OK)
        member_die("ack: %s", liaison_answer_text(a));
    for (size_t i = 0; i < r->n_acks; i++) {
        if (r->acks[i].call != liaison_answer_call(a))
            continue;
        x->acked += r->acks[i].n;
        r->acks[i] = r->acks[--r->n_acks];
        return;
    }
    member_die("an answer to no call");
}

/* ---------------------------------------------------------------- the loop */

/* Takes all that is there for one handle, then lets it send; a second turn writes what was queued. */
static void serve(struct load *x, uint64_t tag)
{
    struct sender *s = tag < x->n_senders ? &x->senders[tag] : NULL;
    struct recipient *r = s == NULL ? &x->recipients[tag - x->n_senders] : NULL;
    struct liaison *l = s != NULL ? s->l : r->l;

    for (int turn = 0; turn < 2; turn++) {
        struct liaison_answer *a = NULL;
        enum liaison_code code;

        while ((code = liaison_receive(l, 0, &a)) == LIAISON_OK) {
            if (s != NULL)
                take_accepted(x, s, a);
            else if (liaison_answer_call(a) == 0)
                take_delivery(x, r, a);
            else
                take_done(x, r, a);
            liaison_answer_free(a);
        }
        if (code != LIAISON_TIMEOUT)
            member_must(l, code, "receive");
        if (turn == 0 && s != NULL)
            fill_window(x, s);
        else if (turn == 0)
            acknowledge(x, r);
    }
}

static void run_until(struct load *x, const size_t *count)
{
    size_t before = SIZE_MAX;
    struct epoll_event events[64];
    uint64_t moved = member_now_ns();

    for (size_t i = 0; i < x->n_senders; i++)
        serve(x, i);
    while (*count < x->total) {
        int n = epoll_wait(x->epoll, events, 64, 1000);

        for (int i = 0; i < n; i++)
            serve(x, events[i].data.u64);
        if (*count != before)
            moved = member_now_ns();
        else if (member_now_ns() - moved > STALL_MS * UINT64_C(1000000))
            member_die("nothing moved for %d ms: %zu accepted, %zu delivered, %zu "
                       "acknowledged of %zu",
                       STALL_MS, x->accepted, x->delivered, x->acked, x->total);
        before = *count;
    }
}

static int rising(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* All entries of one commit bear one ledger time. */
static size_t distinct(uint64_t *times, size_t n)
{
    size_t found = n > 0;

    qsort(times, n, sizeof *times, rising);
    for (size_t i = 1; i < n; i++)
        found += times[i] != times[i - 1];
    return found;
}

/* ---------------------------------------------------------------- commands */

static void seal(struct load *x, const char *address)
{
    uint64_t begin = member_now_ns();

    for (size_t i = 0; i < x->n_senders; i++) {
        struct sender *s = &x->senders[i];

        join(s->l, address);
        for (size_t at = 0; at < x->each; at += WINDOW) {
            size_t n = x->each - at < WINDOW ? x->each - at : WINDOW;

            member_must(s->l, liaison_seal(s->l, s->referrals + at, n), "seal");
        }
        liaison_close(s->l);
    }
    printf("{\"sealed\":%zu,\"seconds\":%.6f}\n", x->total,
           (double)(member_now_ns() - begin) / 1e9);
}

static void flow(struct load *x, const char *address, bool receiving)
{
    reset(x, address, receiving);
    uint64_t begin = member_now_ns();

    run_until(x, receiving ? &x->acked : &x->accepted);
    double seconds = (double)(member_now_ns() - begin) / 1e9;

    printf("{\"n\":%zu,\"seconds\":%.6f,\"bursts\":%zu,\"commits\":%zu,\"acks\":%zu}\n",
           x->total, seconds, x->bursts, distinct(x->times, x->accepted), x->ack_calls);
}

static void latency(struct load *x, const char *address, size_t n)
{
    struct sender *s = &x->senders[0];
    uint64_t *took = member_alloc(n, sizeof *took);

    if (n == 0 || n > x->each)
        member_die("latency: 1 to %zu", x->each);
    join(s->l, address);
    for (size_t i = 0; i < n; i++) {
        struct liaison_answer *a = NULL;
        uint64_t begin = member_now_ns();

        member_must(s->l, liaison_sign(s->l, &s->referrals[i], 1), "sign");
        member_must(s->l, liaison_submit(s->l, s->referrals[i], 0, &a), "submit");
        took[i] = member_now_ns() - begin;
        if (strcmp(liaison_answer_kind(a), "accepted") != 0)
            member_die("submit: %s", liaison_answer_kind(a));
        liaison_answer_free(a);
    }
    qsort(took, n, sizeof *took, rising);
    printf("{\"n\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n", n,
           (double)took[n / 2] / 1e3, (double)took[n * 99 / 100] / 1e3,
           (double)took[n - 1] / 1e3);
    free(took);
}

/* One answer: whose receipt is now awaited, since when. */
static void note_answer(struct load *x, struct sender *s, struct liaison_answer *a,
                        const uint64_t *sent, uint64_t first_call, uint64_t *since)
{
    uint64_t seq = liaison_answer_seq(a);

    if (strcmp(liaison_answer_kind(a), "accepted") != 0)
        member_die("submit: %s", liaison_answer_kind(a));
    if (seq >= 8 * x->each)
        member_die("an entry far from where it was expected");
    since[seq] = sent[liaison_answer_call(a) - first_call];
    s->flying--;
}

/* Takes every answer and receipt that is there; receipts' times go to `took`. */
static size_t take_receipts(struct load *x, struct sender *s, const uint64_t *sent,
                            uint64_t first_call, uint64_t *since, uint64_t *took)
{
    struct liaison_answer *a;
    struct liaison_receipt *r;
    size_t n = 0;

    while (liaison_receive(s->l, 0, &a) == LIAISON_OK) {
        note_answer(x, s, a, sent, first_call, since);
        liaison_answer_free(a);
    }
    while (liaison_receipt_next(s->l, 0, &r) == LIAISON_OK) {
        if (!liaison_receipt_verified(r))
            member_die("a receipt that is not verified");
        took[n++] = member_now_ns() - since[liaison_receipt_seq(r)];
        liaison_receipt_free(r);
    }
    return n;
}

static void receipt(struct load *x, const char *address, size_t n, uint64_t rate,
                    const char *policy)
{
    struct sender *s = &x->senders[0];
    uint64_t *took = member_alloc(n, sizeof *took), *sent = member_alloc(n, sizeof *sent),
             *since = member_alloc(8 * x->each, sizeof *since), first_call = 0, call;
    size_t i = 0, done = 0;

    if (n == 0 || n > x->each || rate == 0)
        member_die("receipt: 1 to %zu, at a rate above 0", x->each);
    member_must(s->l, liaison_set(s->l, "log_policy", policy), "policy");
    join(s->l, address);
    uint64_t begin = member_now_ns(), moved = begin;

    while (done < n) {
        uint64_t now = member_now_ns(), due = begin + i * (UINT64_C(1000000000) / rate);

        if (i < n && now >= due && s->flying < WINDOW) {
            sent[i] =
                due; /* not when we came to it: a stall counts for all that it held up */
            member_must(s->l, liaison_sign(s->l, &s->referrals[i], 1), "sign");
            member_must(s->l, liaison_send_submit(s->l, s->referrals[i], 0, &call),
                        "submit");
            first_call = i++ == 0 ? call : first_call;
            s->flying++;
        }
        size_t came = take_receipts(x, s, sent, first_call, since, took + done);

        done += came;
        if (came > 0)
            moved = now;
        else if (now - moved > STALL_MS * UINT64_C(1000000))
            member_die("no receipt for %d ms: %zu of %zu", STALL_MS, done, n);
        if (came == 0 && (i == n || now + 100000 < due)) {
            struct epoll_event e;

            (void)epoll_wait(x->epoll, &e, 1, 1);
        }
    }
    qsort(took, n, sizeof *took, rising);
    printf("{\"n\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n", n,
           (double)took[n / 2] / 1e3, (double)took[n * 99 / 100] / 1e3,
           (double)took[n - 1] / 1e3);
    member_must(s->l, liaison_set(s->l, "log_policy", ""), "no policy");
    s->flying = 0;
    free(took);
    free(sent);
    free(since);
}

static void command(struct load *x, char *line)
{
    char *save = NULL, *what = strtok_r(line, " \n", &save),
         *address = strtok_r(NULL, " \n", &save), *n = strtok_r(NULL, " \n", &save),
         *rate = strtok_r(NULL, " \n", &save), *policy = strtok_r(NULL, " \n", &save);

    if (what == NULL || address == NULL)
        member_die("a command wants a word and an address");
    if (strcmp(what, "seal") == 0)
        seal(x, address);
    else if (strcmp(what, "submit") == 0 || strcmp(what, "relay") == 0)
        flow(x, address, what[0] == 'r');
    else if (strcmp(what, "latency") == 0 && n != NULL)
        latency(x, address, strtoul(n, NULL, 10));
    else if (strcmp(what, "receipt") == 0 && policy != NULL)
        receipt(x, address, strtoul(n, NULL, 10), strtoul(rate, NULL, 10), policy);
    else
        member_die("no command \"%s\"", what);
    fflush(stdout);
}

static void release(struct load *x)
{
    for (size_t i = 0; i < x->n_senders; i++) {
        for (size_t j = 0; j < x->each; j++)
            liaison_referral_free(x->senders[i].referrals[j]);
        free(x->senders[i].referrals);
        liaison_free(x->senders[i].l);
    }
    for (size_t i = 0; i < x->n_recipients; i++)
        liaison_free(x->recipients[i].l);
    free(x->senders);
    free(x->recipients);
    free(x->times);
    close(x->epoll);
}

int main(int argc, char *argv[])
{
    char line[4096];
    struct load x = {0};

    if (argc != 7)
        member_die("usage: load PROFILES SENDERS RECIPIENTS EACH BYTES RUN");
    x.n_senders = strtoul(argv[2], NULL, 10);
    x.n_recipients = strtoul(argv[3], NULL, 10);
    x.each = strtoul(argv[4], NULL, 10);
    x.run = strtoul(argv[6], NULL, 10);
    if (x.n_senders == 0 || x.n_recipients == 0 || x.each == 0 || x.run == 0)
        member_die("usage: numbers above 0");
    make(&x, argv[1], strtoul(argv[5], NULL, 10));
    while (fgets(line, sizeof line, stdin) != NULL)
        command(&x, line);
    release(&x);
    return 0;
}
