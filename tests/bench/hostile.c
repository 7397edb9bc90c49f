/* Hostile peers, one of each kind, a thread each.
 *
 *     hostile ADDRESS PROFILE GREEDY TICK_MS PATIENCE_MS once [KIND...]    each once; a row each; 0 if all ended as wanted
 *     hostile ADDRESS PROFILE GREEDY TICK_MS PATIENCE_MS loop [KIND...]    again and again until the input ends; each line
 *                                                                          of input is answered with the rows so far
 *     hostile kinds                                                        the table
 *
 * PROFILE is a folder with a member's certificate and key, GREEDY a list of them with commas between: the agencies of the floods,
 * the first for sessions-per-agency, the second for sessions-per-address, the others for sessions. A row is a line of JSON. Every kind comes from an address of its own, 127.1.0.KIND; the floods from 127.2.KIND.*.
 *
 * A kind first goes as far as its phase, as a good member would, and then misbehaves. `wanted` is what the broker must do to it
 * (PROTOCOL.md, "Framing" and "Limits"), `logged` the line that the broker's log must hold of it. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "tests/lib/foe.h"

enum phase { TCP, TLS, ZMTP, HELLO, CALLS, CAPS };

static const char *const PHASE[] = {
    [TCP] = "tcp",     [TLS] = "tls",     [ZMTP] = "zmtp",
    [HELLO] = "hello", [CALLS] = "calls", [CAPS] = "caps",
};

enum {
    PAUSE_MS = 100,   /* between two tries of one kind */
    FLOOD_MAX = 2000, /* sessions of a flood */
    FLOOD_SILENT =
        600, /* connections that say nothing: more than the default of limit handshakes */
    SMALL_ROOM = 4096, /* receive buffer of those who do not read */
    PINGS_AT_ONCE = 100,
    KEYS_AT_ONCE = 50,
    CALLS_AT_ONCE = 200,
};

struct kind {
    const char *name;
    enum phase phase;
    void (*act)(struct foe *f, const struct kind *k);
    struct slice bytes;
    const char *wanted;
    const char *limit; /* the deadline or cap that ends it; "": at once */
    const char *logged;
};

static struct foe_world world;

/* ---- what they do */

static void write_all(struct foe *f, struct slice bytes)
{
    if (bytes.n > 0)
        (void)foe_write(f, bytes.p, bytes.n); /* what came of it is read afterwards */
}

static void act_silent(struct foe *f, const struct kind *k)
{
    (void)k;
    foe_await_end(f);
}

static void act_send(struct foe *f, const struct kind *k)
{
    write_all(f, k->bytes);
    foe_await_end(f);
}

/* The good greeting, then k->bytes. */
static void act_greeted(struct foe *f, const struct kind *k)
{
    uint8_t greeting[ZMTP_GREETING_BYTES];

    write_all(f, slice(greeting, foe_greeting(greeting)));
    act_send(f, k);
}

/* Looks whether the broker has said something, for at most a tick. True: it has ended the session. */
static bool ended_meanwhile(struct foe *f)
{
    if (f->ssl != NULL)
        return foe_hear(f, true) == FOE_END || f->seen[0] != '\0';
    return foe_read(f, 4096) < 0;
}

/* The same without waiting. */
static bool ended_already(struct foe *f)
{
    struct pollfd p = {.fd = f->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1 && ended_meanwhile(f);
}

/* A byte a tick, without end. */
static void trickle(struct foe *f, struct slice bytes)
{
    for (size_t i = 0; !foe_late(f) && !ended_meanwhile(f); i++)
        if (foe_write_once(f, i < bytes.n ? bytes.p + i : (const uint8_t *)"x", 1) < 0)
            break;
    foe_await_end(f);
}

static void act_trickle(struct foe *f, const struct kind *k)
{
    trickle(f, k->bytes);
}

static void act_trickle_hello(struct foe *f, const struct kind *k)
{
    uint8_t hello[2048];

    (void)k;
    trickle(f, slice(hello, foe_client_hello(f->world, hello)));
}

/* As much as is taken, without end. */
static void act_endless(struct foe *f, const struct kind *k)
{
    static const uint8_t FILLER[16384];

    write_all(f, k->bytes);
    while (!foe_late(f) && !ended_already(f))
        if (foe_write_once(f, FILLER, sizeof FILLER) < 0)
            break;
    foe_await_end(f);
}

static void act_reset(struct foe *f, const struct kind *k)
{
    write_all(f, k->bytes);
    foe_reset(f);
}

static void act_half_close(struct foe *f, const struct kind *k)
{
    write_all(f, k->bytes);
    foe_shut(f, true);
    foe_await_end(f);
}

/* FIN in the midst of something, which TLS has not announced. */
static void act_truncate(struct foe *f, const struct kind *k)
{
    write_all(f, k->bytes);
    foe_shut(f, false);
    foe_await_end(f);
}

static void act_half_hello(struct foe *f, const struct kind *k)
{
    uint8_t hello[2048];

    (void)k;
    write_all(f, slice(hello, foe_client_hello(f->world, hello) / 2));
    foe_shut(f, true);
    foe_await_end(f);
}

static void act_call_half_close(struct foe *f, const struct kind *k)
{
    uint8_t call[256];

    (void)k;
    write_all(f, slice(call, foe_call(2, call)));
    foe_shut(f, true);
    foe_await_end(f);
}

static void act_nameless(struct foe *f, const struct kind *k)
{
    (void)k;
    (void)foe_tls(
        f,
        f->world
            ->nameless); /* the client of TLS 1.3 is done first, and hears of it afterwards */
    foe_await_end(f);
}

static void act_old(struct foe *f, const struct kind *k)
{
    (void)k;
    (void)foe_tls(f, f->world->old);
    foe_await_end(f);
}

static void act_pings(struct foe *f, const struct kind *k)
{
    uint8_t pings[PINGS_AT_ONCE * 16];
    size_t n = 0;

    (void)k;
    for (int i = 0; i < PINGS_AT_ONCE; i++) {
        uint8_t ping[256];
        size_t len = zmtp_ping(100, ping);

        memcpy(pings + n, ping, len);
        n += len;
    }
    while (!foe_late(f) && !ended_already(f))
        if (foe_write_once(f, pings, n) < 0)
            break;
    foe_await_end(f);
}

/* Key updates that ask for one in return. */
static void act_keys(struct foe *f, const struct kind *k)
{
    (void)k;
    for (int i = 1; !foe_late(f) && (i % KEYS_AT_ONCE != 0 || !ended_meanwhile(f)); i++) {
        ERR_clear_error();
        if (SSL_key_update(f->ssl, SSL_KEY_UPDATE_REQUESTED) != 1 ||
            SSL_do_handshake(f->ssl) != 1)
            break;
    }
    foe_await_end(f);
}

static void act_hello_twice(struct foe *f, const struct kind *k)
{
    uint8_t bytes[256];

    (void)k;
    write_all(f, slice(bytes, foe_hello(2, bytes)));
    foe_await_end(f);
}

/* CALLS_AT_ONCE calls from `id` on; gives their length. */
static size_t many_calls(uint64_t id, uint8_t out[CALLS_AT_ONCE * 256])
{
    size_t n = 0;

    for (uint64_t i = 0; i < CALLS_AT_ONCE; i++)
        n += foe_call(id + i, out + n);
    return n;
}

/* Calls, and reads what comes. */
static void act_calls(struct foe *f, const struct kind *k)
{
    uint8_t calls[CALLS_AT_ONCE * 256];

    (void)k;
    for (uint64_t id = 2; !foe_late(f) && f->seen[0] == '\0'; id += CALLS_AT_ONCE) {
        if (!foe_write(f, calls, many_calls(id, calls)))
            break;
        while (f->id + 1 != id + CALLS_AT_ONCE && f->seen[0] == '\0' &&
               foe_hear(f, false) == FOE_MESSAGE)
            ;
    }
    foe_await_end(f);
}

/* Calls until none is taken any more, and never reads. */
static void act_unread(struct foe *f, const struct kind *k)
{
    uint8_t calls[CALLS_AT_ONCE * 256];
    int done = 1;

    (void)k;
    for (uint64_t id = 2; done >= 0 && !foe_late(f); id += done == 1 ? CALLS_AT_ONCE : 0)
        done = foe_write_once(f, calls, many_calls(id, calls));
    foe_saw(f, done < 0 ? "closed" : "still open", "");
}

/* Calls until none is taken any more, then reads a byte a tick; by calling on it learns that the broker has left. */
static void act_sip(struct foe *f, const struct kind *k)
{
    const struct timespec tick = {world.tick_ms / 1000, world.tick_ms % 1000 * 1000000L};
    uint8_t calls[CALLS_AT_ONCE * 256], byte;
    int done = 1;

    (void)k;
    for (uint64_t id = 2; done >= 0 && !foe_late(f);
         id += done == 1 ? CALLS_AT_ONCE : 0) {
        done = foe_write_once(f, calls, many_calls(id, calls));
        if (done == 1)
            continue;
        nanosleep(&tick, NULL);
        (void)!recv(f->fd, &byte, 1, MSG_DONTWAIT);
    }
    foe_saw(f, done < 0 ? "closed" : "still open", "");
}

/* A record that no key of this session has made, below OpenSSL. */
static void act_forged_record(struct foe *f, const struct kind *k)
{
    (void)!send(f->fd, k->bytes.p, k->bytes.n, MSG_NOSIGNAL);
    foe_await_end(f);
}

/* Comes and goes: the handshakes are whole, and for nothing. */
static void act_come_and_go(struct foe *f, const struct kind *k)
{
    (void)k;
    foe_reset(f);
}

/* ---- floods */

static uint32_t flood_host(const struct kind *k, size_t i, size_t hosts);

static bool say_hello(struct foe *f, SSL_CTX *context)
{
    return foe_tls(f, context) && foe_greet(f) && foe_welcomed(f);
}

/* Sessions until the broker has had enough; they are held until then. They are of `agencies` of the greedy ones, from `first`
 * on, and of `hosts` addresses. */
static void flood(struct foe *f, const struct kind *k, size_t first, size_t agencies,
                  size_t hosts)
{
    struct foe *many = member_alloc(FLOOD_MAX, sizeof *many);
    size_t n = 0;
    bool up = true;

    while (up && n < FLOOD_MAX && !foe_late(f)) {
        struct foe *next = &many[n];

        up = foe_dial(next, &world, flood_host(k, n, hosts), 0) &&
             say_hello(next, world.greedy[first + n % agencies]);
        n++;
    }
    foe_saw(f, up ? "still open" : many[n - 1].seen, "");
    for (size_t i = 0; i < n; i++)
        foe_hang_up(&many[i]);
    free(many);
}

static void act_flood_agency(struct foe *f, const struct kind *k)
{
    flood(f, k, 0, 1, 4);
}

static void act_flood_address(struct foe *f, const struct kind *k)
{
    flood(f, k, 1, 1, 1);
}

static void act_flood_sessions(struct foe *f, const struct kind *k)
{
    flood(f, k, 2, world.n_greedy - 2, 200);
}

/* Connections of strangers that say nothing, more than there may be handshakes: each must be closed. */
static void act_flood_handshakes(struct foe *f, const struct kind *k)
{
    struct foe *many = member_alloc(FLOOD_MAX, sizeof *many);
    size_t n = 0;

    while (n < FLOOD_SILENT && !foe_late(f) &&
           foe_dial(&many[n], &world, flood_host(k, n, 100), 0))
        n++;
    for (size_t i = 0; i < n; i++) {
        many[i].until_ms = f->until_ms;
        if (f->seen[0] == '\0')
            foe_await_end(&many[i]);
        if (strcmp(many[i].seen, "closed") != 0)
            foe_saw(f, many[i].seen, ""); /* one is enough */
        foe_hang_up(&many[i]);
    }
    foe_saw(f, "closed", "");
    free(many);
}

/* ---- the table */

/* clang-format off */ /* a row is a line */
#define B(text) {(const uint8_t *)(text), sizeof(text) - 1}
#define GREETS(version, mechanism)                                                       \
    "\xff\0\0\0\0\0\0\0\x01\x7f" version mechanism                                       \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"   \
    "\0\0\0\0\0\0\0\0"
#define TYPED(length, type_length, type)                                                 \
    "\x04" length "\x05READY\x0bSocket-Type\0\0\0" type_length type
#define MEBIBYTE "\x02\0\0\0\0\0\x10\0\0"
#define TEBIBYTE "\x02\0\0\x01\0\0\0\0\0"
#define HTTP     "GET / HTTP/1.1\r\nHost: broker\r\n\r\n"
#define FORGED                                                                           \
    "\x17\x03\x03\0\x20"                                                                 \
    "SYNTHETIC: 32 bytes of no use..."

#define STRANGER "gate.strangers "
#define REFUSED  "session.refused "
#define ENDED    "session.ended "

static const struct kind KIND[] = {
    {"tcp-silent", TCP, act_silent, {0}, "closed", "tls-timeout", STRANGER "TIMEOUT"},
    {"tcp-trickle", TCP, act_trickle_hello, {0}, "closed", "tls-timeout", STRANGER "TIMEOUT"},
    {"tcp-garbage", TCP, act_send, B(HTTP), "closed", "", STRANGER "TLS"},
    {"tcp-endless", TCP, act_endless, B("\x16\x03\x01\x40\0\x01\xff\xff\xff"), "closed", "", STRANGER "TLS"},
    {"tcp-truncated", TCP, act_half_hello, {0}, "closed", "", STRANGER "CLOSED"},
    {"tcp-half-close", TCP, act_half_close, {0}, "closed", "", STRANGER "CLOSED"},
    {"tcp-reset", TCP, act_reset, {0}, "left", "", STRANGER "CLOSED"},

    {"tls-silent", TLS, act_silent, {0}, "closed", "tls-timeout", STRANGER "TIMEOUT"},
    {"tls-trickle", TLS, act_trickle, B("\x17\x03\x03\x40\0"), "closed", "tls-timeout", STRANGER "TIMEOUT"},
    {"tls-garbage", TLS, act_send, B(HTTP), "closed", "", STRANGER "TLS"},
    {"tls-endless", TLS, act_endless, B("\x17\x03\x03\xff\xff"), "closed", "", STRANGER "TLS"},
    {"tls-truncated", TLS, act_truncate, B("\x17\x03\x03\x40\0x"), "closed", "", STRANGER "CLOSED"},
    {"tls-half-close", TLS, act_half_close, {0}, "closed", "", STRANGER "CLOSED"},
    {"tls-reset", TLS, act_reset, {0}, "left", "", STRANGER "CLOSED"},
    {"tls-1.2", TCP, act_old, {0}, "alert protocol version", "", STRANGER "TLS"},
    {"tls-nameless", TCP, act_nameless, {0}, "alert certificate required", "", STRANGER "CERTIFICATE"},
    {"tls-come-and-go", ZMTP, act_come_and_go, {0}, "left", "", ""},

    {"zmtp-silent", ZMTP, act_silent, {0}, "closed", "zmtp-timeout", "session.timeout"},
    {"zmtp-trickle", ZMTP, act_trickle, B(GREETS("\x03\x01", "NULL")), "closed", "zmtp-timeout", "session.timeout"},
    {"zmtp-garbage", ZMTP, act_send, B(HTTP), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-2", ZMTP, act_send, B(GREETS("\x02\0", "NULL")), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-plain", ZMTP, act_send, B(GREETS("\x03\x01", "PLAIN")), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-curve", ZMTP, act_send, B(GREETS("\x03\x01", "CURVE")), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-gssapi", ZMTP, act_send, B(GREETS("\x03\x01", "GSSAPI")), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-req", ZMTP, act_greeted, B(TYPED("\x19", "\x03", "REQ")), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-sub", ZMTP, act_greeted, B(TYPED("\x19", "\x03", "SUB")), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-router", ZMTP, act_greeted, B(TYPED("\x1c", "\x06", "ROUTER")), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-message", ZMTP, act_greeted, B("\0\x05hello"), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-endless", ZMTP, act_endless, B(GREETS("\x03\x01", "NULL") "\x06\0\0\x01\0\0\0\0\0"), "zmtp-error", "", REFUSED "PROTOCOL"},
    {"zmtp-keys", ZMTP, act_keys, {0}, "zmtp-error", "", REFUSED "LIMIT"},
    {"zmtp-truncated", ZMTP, act_truncate, B(GREETS("\x03\x01", "NULL") "\x04\x1c\x05REA"), "alert decode error", "", ""},
    {"zmtp-half-close", ZMTP, act_half_close, {0}, "closed", "", ""},
    {"zmtp-reset", ZMTP, act_reset, B("\xff"), "left", "", ""},

    {"hello-silent", HELLO, act_silent, {0}, "error TIMEOUT", "hello-timeout", ENDED "TIMEOUT"},
    {"hello-trickle", HELLO, act_trickle, B(MEBIBYTE), "error TIMEOUT", "hello-timeout", ENDED "TIMEOUT"},
    {"hello-garbage", HELLO, act_send, B("\0\x04\xff\xff\xff\xff"), "error MALFORMED", "", ENDED "MALFORMED"},
    {"hello-frames", HELLO, act_send, B("\x01\x02hi\0\x02hi"), "error PROTOCOL", "", ENDED "PROTOCOL"},
    {"hello-endless", HELLO, act_endless, B(TEBIBYTE), "error LIMIT", "", ENDED "LIMIT"},
    {"hello-command", HELLO, act_send, B("\x04\x0b\x09SUBSCRIBEx"), "error PROTOCOL", "", ENDED "PROTOCOL"},
    {"hello-pings", HELLO, act_pings, {0}, "error LIMIT", "", ENDED "LIMIT"},
    {"hello-keys", HELLO, act_keys, {0}, "error LIMIT", "", ENDED "LIMIT"},
    {"hello-calls", HELLO, act_calls, {0}, "error LIMIT", "", ENDED "LIMIT"},
    {"hello-unread", HELLO, act_unread, {0}, "closed", "", ENDED "LIMIT"},
    {"hello-truncated", HELLO, act_truncate, B(MEBIBYTE "xxx"), "alert decode error", "", ""},
    {"hello-half-close", HELLO, act_half_close, {0}, "closed", "", ""},
    {"hello-reset", HELLO, act_reset, B(MEBIBYTE "xxx"), "left", "", ""},

    {"call-silent", CALLS, act_silent, {0}, "closed", "idle", "session.closed"},
    {"call-trickle", CALLS, act_trickle, B(MEBIBYTE), "error TIMEOUT", "idle", ENDED "TIMEOUT"},
    {"call-garbage", CALLS, act_send, B("\0\x04\xff\xff\xff\xff"), "error MALFORMED", "", ENDED "MALFORMED"},
    {"call-frames", CALLS, act_send, B("\x01\x02hi\0\x02hi"), "error PROTOCOL", "", ENDED "PROTOCOL"},
    {"call-endless", CALLS, act_endless, B(TEBIBYTE), "error LIMIT", "", ENDED "LIMIT"},
    {"call-command", CALLS, act_send, B("\x04\x0b\x09SUBSCRIBEx"), "error PROTOCOL", "", ENDED "PROTOCOL"},
    {"call-hello-twice", CALLS, act_hello_twice, {0}, "error PROTOCOL", "", ENDED "PROTOCOL"},
    {"call-forged-record", CALLS, act_forged_record, B(FORGED), "alert bad record mac", "", ENDED "TLS"},
    {"call-pings", CALLS, act_pings, {0}, "error LIMIT", "", ENDED "LIMIT"},
    {"call-keys", CALLS, act_keys, {0}, "error LIMIT", "", ENDED "LIMIT"},
    {"call-unread", CALLS, act_unread, {0}, "closed", "idle", "session.closed"},
    {"call-sip", CALLS, act_sip, {0}, "closed", "idle", "session.closed"},
    {"call-truncated", CALLS, act_truncate, B(MEBIBYTE "xxx"), "alert decode error", "", "session.closed"},
    {"call-half-close", CALLS, act_call_half_close, {0}, "closed", "", "session.closed"},
    {"call-reset", CALLS, act_reset, B(MEBIBYTE "xxx"), "left", "", "session.closed"},

    {"flood-handshakes", CAPS, act_flood_handshakes, {0}, "closed", "handshakes", STRANGER "BUSY"},
    {"flood-agency", CAPS, act_flood_agency, {0}, "error BUSY", "sessions-per-agency", "session.barred BUSY"},
    {"flood-address", CAPS, act_flood_address, {0}, "closed", "sessions-per-address", STRANGER "BUSY"},
    {"flood-sessions", CAPS, act_flood_sessions, {0}, "closed", "sessions", STRANGER "BUSY"},
};

/* clang-format on */

enum { KINDS = sizeof KIND / sizeof *KIND };

static uint32_t flood_host(const struct kind *k, size_t i, size_t hosts)
{
    return 0x20000 | (uint32_t)(k - KIND) << 8 | (uint32_t)(1 + i % hosts);
}

/* ---- one try, and what came of it */

struct row {
    bool runs;
    pthread_t thread;
    uint64_t tries, wanted, shut_out; /* shut out: did not get as far as its phase */
    uint64_t min_ms, max_ms;          /* of those that ended as wanted */
    char other[64];                   /* how one ended that ended otherwise */
};

static struct row ROW[KINDS];
static pthread_mutex_t rows_lock = PTHREAD_MUTEX_INITIALIZER;

/* ClientHello, and the broker's answer to it. */
static bool shake_hands(struct foe *f)
{
    uint8_t hello[2048];
    int got = 0;

    if (!foe_write(f, hello, foe_client_hello(&world, hello)))
        return false;
    while (got == 0 && !foe_late(f))
        got = foe_read(f, 4096);
    return got > 0;
}

/* As far as the phase, as a good member goes. */
static bool reach(struct foe *f, const struct kind *k)
{
    bool mute = k->act == act_unread || k->act == act_sip;

    if (k->phase == CAPS) {
        *f = (struct foe){.world = &world, .fd = -1};
        f->until_ms = foe_now_ms() + (uint64_t)world.patience_ms;
        return true;
    }
    if (!foe_dial(f, &world, 0x10001 + (uint32_t)(k - KIND), mute ? SMALL_ROOM : 0))
        return false;
    if (k->phase == TLS)
        return shake_hands(f);
    return k->phase < ZMTP ||
           (foe_tls(f, world.member) && (k->phase < HELLO || foe_greet(f)) &&
            (k->phase < CALLS || foe_welcomed(f)));
}

static void note(struct row *r, const struct kind *k, const struct foe *f, bool reached,
                 uint64_t ms)
{
    pthread_mutex_lock(&rows_lock);
    r->tries++;
    if (!reached)
        r->shut_out++;
    else if (strcmp(f->seen, k->wanted) == 0)
        r->wanted++;
    if (!reached || strcmp(f->seen, k->wanted) != 0) {
        strcpy(r->other, f->seen);
    } else {
        r->min_ms = r->wanted == 1 || ms < r->min_ms ? ms : r->min_ms;
        r->max_ms = ms > r->max_ms ? ms : r->max_ms;
    }
    pthread_mutex_unlock(&rows_lock);
}

static void try_once(size_t i)
{
    struct foe f;
    bool reached = reach(&f, &KIND[i]);
    uint64_t begin = foe_now_ms();

    if (reached)
        KIND[i].act(&f, &KIND[i]);
    foe_saw(&f, "closed", "");
    note(&ROW[i], &KIND[i], &f, reached, foe_now_ms() - begin);
    foe_hang_up(&f);
}

/* Which kind this thread is. Its name is for whoever watches which costs what; the kernel takes 15 bytes. */
static size_t begin(void *arg)
{
    size_t i = (size_t)((struct row *)arg - ROW), len = strlen(KIND[i].name);

    (void)pthread_setname_np(pthread_self(), KIND[i].name + (len < 16 ? 0 : len - 15));
    return i;
}

static void *once(void *arg)
{
    try_once(begin(arg));
    return NULL;
}

static void *again(void *arg)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000L};
    size_t i = begin(arg);

    for (;;) {
        try_once(i);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static bool show(void)
{
    bool good = true;

    pthread_mutex_lock(&rows_lock);
    for (size_t i = 0; i < KINDS; i++) {
        const struct row *r = &ROW[i];
        const struct kind *k = &KIND[i];

        if (!r->runs)
            continue;
        good = good && r->wanted == r->tries;
        printf("{\"kind\":\"%s\",\"phase\":\"%s\",\"wanted\":\"%s\",\"limit\":\"%s\","
               "\"logged\":\"%s\",\"tries\":%" PRIu64 ",\"as_wanted\":%" PRIu64
               ",\"shut_out\":%" PRIu64 ",\"min_ms\":%" PRIu64 ",\"max_ms\":%" PRIu64
               ",\"other\":\"%s\"}\n",
               k->name, PHASE[k->phase], k->wanted, k->limit, k->logged, r->tries,
               r->wanted, r->shut_out, r->min_ms, r->max_ms, r->other);
    }
    pthread_mutex_unlock(&rows_lock);
    puts("{}");
    fflush(stdout);
    return good;
}

/* ---- set-up */

static SSL_CTX *context(const char *folder, int version)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    char crt[1100], key[1100];

    if (c == NULL || SSL_CTX_set_min_proto_version(c, version) != 1 ||
        SSL_CTX_set_max_proto_version(c, version) != 1)
        member_die("no TLS");
    if (folder == NULL)
        return c;
    snprintf(crt, sizeof crt, "%s/sign.crt", folder);
    snprintf(key, sizeof key, "%s/sign.key", folder);
    if (SSL_CTX_use_certificate_chain_file(c, crt) != 1 ||
        SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1)
        member_die("%s: no certificate and key", folder);
    return c;
}

static void set_broker(char *address)
{
    char *colon = strrchr(address, ':');

    world.broker.sin_family = AF_INET;
    if (colon == NULL)
        member_die("%s: not HOST:PORT", address);
    *colon = '\0';
    world.broker.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (inet_pton(AF_INET, address, &world.broker.sin_addr) != 1)
        member_die("%s: not an address", address);
}

static void choose(char *const names[], int n)
{
    for (size_t i = 0; i < KINDS; i++) {
        ROW[i].runs = n == 0;
        for (int j = 0; j < n; j++)
            if (strcmp(names[j], KIND[i].name) == 0)
                ROW[i].runs = true;
    }
}

static void start(void *(*what)(void *))
{
    for (size_t i = 0; i < KINDS; i++)
        if (ROW[i].runs && pthread_create(&ROW[i].thread, NULL, what, &ROW[i]) != 0)
            member_die("no thread");
}

int main(int argc, char *argv[])
{
    char line[64];
    bool loops;

    if (argc == 2 && strcmp(argv[1], "kinds") == 0) {
        choose(NULL, 0);
        return show() ? 0 : 1;
    }
    if (argc < 7)
        member_die("usage: hostile ADDRESS PROFILE GREEDY TICK_MS PATIENCE_MS once|loop "
                   "[KIND...]");
    signal(SIGPIPE, SIG_IGN);
    set_broker(argv[1]);

    world.tick_ms = (int)strtol(argv[4], NULL, 10);
    world.patience_ms = (int)strtol(argv[5], NULL, 10);
    if (world.tick_ms < 1 || world.patience_ms < 1)
        member_die("usage: times above 0");
    world.member = context(argv[2], TLS1_3_VERSION);
    for (char *save = NULL, *at = strtok_r(argv[3], ",", &save);
         at != NULL && world.n_greedy < FOE_GREEDY_MAX; at = strtok_r(NULL, ",", &save))
        world.greedy[world.n_greedy++] = context(at, TLS1_3_VERSION);
    if (world.n_greedy < 3)
        member_die("usage: GREEDY is a list of three agencies or more");
    world.nameless = context(NULL, TLS1_3_VERSION);
    world.old = context(argv[2], TLS1_2_VERSION);
    loops = strcmp(argv[6], "loop") == 0;
    choose(argv + 7, argc - 7);
    start(loops ? again : once);
    if (loops) {
        while (fgets(line, sizeof line, stdin) != NULL)
            show();
        return 0; /* the threads end with the process */
    }
    for (size_t i = 0; i < KINDS; i++)
        if (ROW[i].runs)
            pthread_join(ROW[i].thread, NULL);
    return show() ? 0 : 1;
}
