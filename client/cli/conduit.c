#include "client/cli/conduit.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/tls.h"

enum { ROUNDS = 16, BROKER_SILENT_MS = 65 * 1000 };

/* Bytes lie in p[at..end-1]. */
struct bytes {
    size_t at, end;
    uint8_t p[CONDUIT_BUFFER_BYTES];
};

struct conduit {
    enum conduit_state state;
    int local, remote;
    SSL *ssl;
    struct addrinfo *addresses, *address; /* all, and the one being tried */
    int64_t deadline_ms;                  /* 0: none */
    bool local_done, remote_done;         /* nothing more comes from there */
    bool remote_blocked;                  /* the broker's socket took no more */
    struct bytes up, down;
    char why[256];
};

/* ---------------------------------------------------------------- bytes */

static size_t held(const struct bytes *b)
{
    return b->end - b->at;
}

static size_t room(struct bytes *b)
{
    if (b->at == b->end)
        b->at = b->end = 0;
    if (b->at > 0 && b->end == sizeof b->p) {
        memmove(b->p, b->p + b->at, held(b));
        b->end -= b->at;
        b->at = 0;
    }
    return sizeof b->p - b->end;
}

static bool full(const struct bytes *b)
{
    return held(b) == sizeof b->p;
}

/* ---------------------------------------------------------------- beginning and end */

struct conduit *conduit_new(int local, int64_t now_mono_ms)
{
    struct conduit *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->local = local;
    c->remote = -1;
    c->deadline_ms = now_mono_ms + CONDUIT_FIRST_MS;
    return c;
}

void conduit_free(struct conduit *c)
{
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    if (c->addresses != NULL)
        freeaddrinfo(c->addresses);
    if (c->remote >= 0)
        close(c->remote);
    close(c->local);
    free(c);
}

__attribute__((format(printf, 2, 3))) static void over(struct conduit *c,
                                                       const char *format, ...)
{
    va_list args;

    if (c->state == CONDUIT_OVER)
        return;
    va_start(args, format);
    vsnprintf(c->why, sizeof c->why, format, args);
    va_end(args);
    c->state = CONDUIT_OVER;
}

void conduit_cut(struct conduit *c, const char *why)
{
    over(c, "%s", why);
}

enum conduit_state conduit_state(const struct conduit *c)
{
    return c->state;
}

const char *conduit_why(const struct conduit *c)
{
    return c->why;
}

SSL *conduit_session(struct conduit *c)
{
    return c->state == CONDUIT_OPEN ? c->ssl : NULL;
}

/* ---------------------------------------------------------------- calling the broker */

/* Splits "host:port" or "[v6]:port". */
static bool split(const char *broker, char host[256], const char **port)
{
    const char *colon = strrchr(broker, ':');
    size_t n = colon == NULL ? 0 : (size_t)(colon - broker);

    if (n == 0 || n > 255 || colon[1] == '\0')
        return false;
    if (broker[0] == '[' && n > 2 && broker[n - 1] == ']') {
        broker++;
        n -= 2;
    } else if (memchr(broker, ':', n) != NULL) {
        return false;
    }
    memcpy(host, broker, n);
    host[n] = '\0';
    *port = colon + 1;
    return true;
}

/* A broker whose machine is gone must not hold the program for hours. */
static void watch_silence(int fd)
{
    static const int ON = 1, IDLE_S = 30, BETWEEN_S = 10;
    static const unsigned UNANSWERED_MS = BROKER_SILENT_MS;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &ON, sizeof ON);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &ON, sizeof ON);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &IDLE_S, sizeof IDLE_S);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &BETWEEN_S, sizeof BETWEEN_S);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &UNANSWERED_MS,
                     sizeof UNANSWERED_MS);
}

/* Begins with the address at hand or one of those after it. */
static void call_address(struct conduit *c)
{
    int error = 0;

    for (; c->address != NULL; c->address = c->address->ai_next) {
        c->remote =
            socket(c->address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c->remote < 0)
            continue;
        watch_silence(c->remote);
        if (connect(c->remote, c->address->ai_addr, c->address->ai_addrlen) == 0 ||
            errno == EINPROGRESS)
            return;
        error = errno;
        close(c->remote);
        c->remote = -1;
    }
    over(c, "the broker cannot be reached: %s", strerror(error));
}

static void call_broker(struct conduit *c, const struct conduit_to *to,
                        int64_t now_mono_ms)
{
    static const struct addrinfo HINTS = {.ai_socktype = SOCK_STREAM,
                                          .ai_flags = AI_NUMERICSERV};
    char host[256];
    const char *port = NULL;
    int rc;

    if (!split(to->broker, host, &port)) {
        over(c, "broker \"%s\": host:port is wanted", to->broker);
        return;
    }
    rc = getaddrinfo(host, port, &HINTS, &c->addresses);
    if (rc != 0) {
        over(c, "broker %s: %s", to->broker, gai_strerror(rc));
        return;
    }
    c->address = c->addresses;
    c->state = CONDUIT_TCP;
    c->deadline_ms = now_mono_ms + CONDUIT_CALL_MS;
    call_address(c);
}

static void step_tcp(struct conduit *c, const struct conduit_to *to)
{
    struct pollfd p = {.fd = c->remote, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;

    if (poll(&p, 1, 0) <= 0)
        return;
    if (getsockopt(c->remote, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        close(c->remote);
        c->remote = -1;
        c->address = c->address->ai_next;
        if (c->address != NULL)
            call_address(c);
        else
            over(c, "the broker cannot be reached: %s", strerror(error));
        return;
    }
    c->ssl = SSL_new(to->context);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->remote) != 1) {
        over(c, "out of memory");
        return;
    }
    SSL_set_connect_state(c->ssl);
    c->state = CONDUIT_TLS;
}

/* Why TLS is over. Silent about an end that the broker announced, or that came with the connection's. */
static void tls_over(struct conduit *c, int error)
{
    char why[160] = "";
    unsigned long last = ERR_peek_last_error();
    enum liaison_code code = tls_refusal(c->ssl, why, sizeof why);

    c->remote_done = true;
    if (code != LIAISON_TLS && code != LIAISON_OK)
        over(c, "the broker's certificate: %s", why);
    else if (error == SSL_ERROR_SSL && ERR_GET_LIB(last) == ERR_LIB_SSL &&
             ERR_GET_REASON(last) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
        snprintf(c->why, sizeof c->why, "TLS: %s", ERR_reason_error_string(last));
    else if (c->state == CONDUIT_TLS)
        snprintf(c->why, sizeof c->why, "the broker ended the TLS handshake");
    ERR_clear_error();
    if (c->state == CONDUIT_TLS)
        c->state = CONDUIT_OVER;
}

/* True if the call is to be made again later. */
static bool tls_waits(struct conduit *c, int rc)
{
    int error = SSL_get_error(c->ssl, rc);

    if (error == SSL_ERROR_WANT_WRITE)
        c->remote_blocked = true;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return true;
    tls_over(c, error);
    return false;
}

static void step_tls(struct conduit *c, const struct conduit_to *to)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(c->ssl);

    if (rc != 1) {
        (void)tls_waits(c, rc);
        return;
    }
    const struct tls_identity *who = tls_peer(c->ssl);

    if (to->broker_name != NULL &&
        (who == NULL || strcmp(who->name, to->broker_name) != 0)) {
        over(c, "the broker is not the one that \"broker_name\" in the profile names");
        return;
    }
    c->state = CONDUIT_OPEN;
    c->deadline_ms = 0;
}

/* ---------------------------------------------------------------- four ways to go; each returns true if something moved */

static bool from_local(struct conduit *c)
{
    if (c->local_done || room(&c->up) == 0)
        return false;
    ssize_t n = recv(c->local, c->up.p + c->up.end, room(&c->up), MSG_DONTWAIT);

    if (n > 0)
        c->up.end += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        c->local_done = true;
    return n > 0;
}

static bool to_local(struct conduit *c)
{
    if (held(&c->down) == 0)
        return false;
    ssize_t n = send(c->local, c->down.p + c->down.at, held(&c->down),
                     MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0)
        c->down.at += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        over(c, "%s", ""); /* the program has gone: nobody is left to say anything to */
    return n > 0;
}

static bool from_remote(struct conduit *c)
{
    size_t n = 0;

    if (c->remote_done || room(&c->down) == 0)
        return false;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_read_ex(c->ssl, c->down.p + c->down.end, room(&c->down), &n);

    if (rc != 1)
        (void)tls_waits(c, rc);
    c->down.end += n;
    return n > 0;
}

static bool to_remote(struct conduit *c)
{
    size_t n = 0;

    if (c->remote_done || held(&c->up) == 0)
        return false;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write_ex(c->ssl, c->up.p + c->up.at, held(&c->up), &n);

    if (rc != 1)
        (void)tls_waits(c, rc);
    c->up.at += n;
    return n > 0;
}

/* ---------------------------------------------------------------- the whole */

static bool traffic(struct conduit *c)
{
    bool moved = true;

    c->remote_blocked = false;
    for (int i = 0; moved && i < ROUNDS && c->state == CONDUIT_OPEN; i++) {
        moved = from_local(c);
        moved = from_remote(c) ||
                moved; /* before writing: why the broker closed lies there */
        moved = to_remote(c) || moved;
        moved = c->state == CONDUIT_OPEN && (to_local(c) || moved);
    }
    return moved;
}

/* One side has gone. What the other has not taken yet may take a moment. ZeroMQ knows no half-closed connections. */
static void wind_up(struct conduit *c, int64_t now_mono_ms)
{
    if (c->state != CONDUIT_OPEN || (!c->local_done && !c->remote_done))
        return;
    if (c->deadline_ms == 0)
        c->deadline_ms = now_mono_ms + CONDUIT_FLUSH_MS;
    if (c->remote_done ? held(&c->down) > 0 : held(&c->up) > 0)
        return;
    if (!c->remote_done)
        (void)SSL_shutdown(c->ssl);
    c->state = CONDUIT_OVER; /* c->why says more if TLS had more to say */
}

bool conduit_step(struct conduit *c, const struct conduit_to *to, int64_t now_mono_ms)
{
    static const char *const LATE[] = {
        [CONDUIT_SILENT] = "a program connected and said nothing",
        [CONDUIT_TCP] = "the broker did not answer in time",
        [CONDUIT_TLS] = "the broker did not finish the TLS handshake in time",
        [CONDUIT_OPEN] = "",
    };
    bool more = false;

    if (c->state == CONDUIT_SILENT) {
        if (from_local(c))
            call_broker(c, to, now_mono_ms);
        else if (c->local_done)
            over(c, "%s", "");
    }
    c->remote_blocked = false;
    if (c->state == CONDUIT_TCP)
        step_tcp(c, to);
    if (c->state == CONDUIT_TLS)
        step_tls(c, to);
    if (c->state == CONDUIT_OPEN)
        more = traffic(c);
    wind_up(c, now_mono_ms);
    if (c->state != CONDUIT_OVER && c->deadline_ms != 0 && now_mono_ms > c->deadline_ms)
        over(c, "%s", LATE[c->state]);
    return more && c->state == CONDUIT_OPEN;
}

void conduit_wants(const struct conduit *c, struct pollfd out[2])
{
    short local = 0, remote = 0;

    if (!c->local_done && !full(&c->up) &&
        (c->state == CONDUIT_SILENT || c->state == CONDUIT_OPEN))
        local |= POLLIN;
    if (held(&c->down) > 0)
        local |= POLLOUT;
    if (c->state == CONDUIT_TCP)
        remote |= POLLOUT;
    if (c->state == CONDUIT_TLS ||
        (c->state == CONDUIT_OPEN && !c->remote_done && !full(&c->down)))
        remote |= POLLIN;
    if (c->remote_blocked)
        remote |= POLLOUT;
    out[0] = (struct pollfd){.fd = local != 0 ? c->local : -1, .events = local};
    out[1] = (struct pollfd){.fd = remote != 0 ? c->remote : -1, .events = remote};
}
