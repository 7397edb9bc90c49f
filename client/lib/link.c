#include "client/lib/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/tls.h"

enum {
    READ_BYTES = 32 * 1024,
    IN_MAX =
        1
        << 20, /* unfetched bytes after which reading pauses; one message may be longer */
    SILENCE_MS = 65 * 1000, /* the broker pings after 20 s and gives up after 60 s */
};

/* ---------------------------------------------------------------- buffers */

static size_t buffered(const struct link_buffer *b)
{
    return b->end - b->at;
}

/* Room for n bytes behind what is there. */
static bool buffer_room(struct link_buffer *b, size_t n)
{
    if (b->at > 0 && b->room - b->end < n) {
        memmove(b->p, b->p + b->at, buffered(b));
        b->end -= b->at;
        b->at = 0;
    }
    if (b->room - b->end >= n)
        return true;
    size_t room = b->room * 2 > b->end + n ? b->room * 2 : b->end + n;
    uint8_t *p = realloc(b->p, room);

    if (p == NULL)
        return false;
    b->p = p;
    b->room = room;
    return true;
}

static bool buffer_add(struct link_buffer *b, struct slice bytes)
{
    if (!buffer_room(b, bytes.n))
        return false;
    if (bytes.n > 0)
        memcpy(b->p + b->end, bytes.p, bytes.n);
    b->end += bytes.n;
    return true;
}

static void buffer_take(struct link_buffer *b, size_t n)
{
    b->at += n;
    if (b->at == b->end)
        b->at = b->end = 0;
}

/* ---------------------------------------------------------------- the socket under TLS */

static int socket_write(BIO *bio, const char *bytes, int n)
{
    const struct link *k = BIO_get_data(bio);
    ssize_t sent = send(k->fd, bytes, (size_t)n, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int socket_read(BIO *bio, char *bytes, int n)
{
    const struct link *k = BIO_get_data(bio);
    ssize_t got = recv(k->fd, bytes, (size_t)n, 0);

    BIO_clear_retry_flags(bio);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)got;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* nothing is held back; nothing else is offered */
}

static BIO *socket_bio(struct link *k)
{
    if (k->method == NULL) {
        k->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "liaison socket");
        if (k->method == NULL)
            return NULL;
        BIO_meth_set_write(k->method, socket_write);
        BIO_meth_set_read(k->method, socket_read);
        BIO_meth_set_ctrl(k->method, socket_control);
    }
    BIO *bio = BIO_new(k->method);

    if (bio != NULL) {
        BIO_set_data(bio, k);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* ---------------------------------------------------------------- up and down */

void link_init(struct link *k)
{
    *k = (struct link){.state = LINK_DOWN, .fd = -1};
}

void link_close(struct link *k)
{
    char why[LINK_WHY];
    unsigned sockets = k->sockets;

    memcpy(why, k->why, sizeof why);
    SSL_free(k->ssl);
    BIO_meth_free(k->method);
    if (k->addresses != NULL)
        freeaddrinfo(k->addresses);
    if (k->fd >= 0)
        close(k->fd);
    free(k->in.p);
    free(k->out.p);
    link_init(k);
    k->sockets = sockets;
    memcpy(k->why, why, sizeof why);
}

/* Says why the link has failed; the public functions close it. */
__attribute__((format(printf, 3, 4))) static enum liaison_code
failed(struct link *k, enum liaison_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(k->why, sizeof k->why, format, args);
    va_end(args);
    return code;
}

static enum liaison_code closed(struct link *k, enum liaison_code code)
{
    link_close(k);
    return code;
}

/* Splits "host:port" or "[v6]:port". */
static bool good_port(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= 5 && strspn(text, "0123456789") == len &&
           strtoul(text, NULL, 10) <= 65535;
}

static bool split(const char *broker, char host[256], char port[16])
{
    const char *colon = strrchr(broker, ':');
    size_t n = colon == NULL ? 0 : (size_t)(colon - broker);

    if (n == 0 || n > 255 || !good_port(colon + 1))
        return false;
    if (broker[0] == '[' && n > 2 && broker[n - 1] == ']') {
        broker++;
        n -= 2;
    } else if (memchr(broker, ':', n) != NULL) {
        return false;
    }
    memcpy(host, broker, n);
    host[n] = '\0';
    strcpy(port, colon + 1);
    return true;
}

bool link_address(const char *broker)
{
    char host[256], port[16];

    return split(broker, host, port);
}

/* Begins with the address at hand or one of those after it. */
static bool try_address(struct link *k, int64_t now_ms)
{
    static const int ON = 1;

    for (; k->address != NULL; k->address = k->address->ai_next) {
        k->fd =
            socket(k->address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (k->fd < 0)
            continue;
        k->sockets++;
        (void)setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &ON, sizeof ON);
        if (connect(k->fd, k->address->ai_addr, k->address->ai_addrlen) == 0 ||
            errno == EINPROGRESS) {
            k->state = LINK_TCP;
            k->phase_deadline_ms = now_ms + k->phase_ms;
            return true;
        }
        int saved = errno;

        close(k->fd);
        k->fd = -1;
        errno = saved;
    }
    return false;
}

static enum liaison_code resolve(struct link *k, const char *broker)
{
    static const struct addrinfo HINTS = {.ai_socktype = SOCK_STREAM,
                                          .ai_flags = AI_NUMERICSERV};
    char host[256], port[16];
    int rc;

    if (!split(broker, host, port))
        return failed(k, LIAISON_FIELD, "broker \"%s\": host:port is wanted", broker);
    rc = getaddrinfo(host, port, &HINTS, &k->addresses);
    if (rc != 0)
        return failed(k, LIAISON_UNREACHABLE, "broker %s: %s", broker, gai_strerror(rc));
    k->address = k->addresses;
    return LIAISON_OK;
}

static enum liaison_code tls_start(struct link *k, SSL_CTX *context)
{
    BIO *bio = socket_bio(k);

    k->ssl = SSL_new(context);
    if (bio == NULL || k->ssl == NULL) {
        BIO_free(bio);
        return failed(k, LIAISON_MEMORY, "out of memory");
    }
    SSL_set_bio(k->ssl, bio, bio);
    SSL_set_connect_state(k->ssl);
    SSL_set_read_ahead(k->ssl, 1); /* one recv() for a record's head and body */
    return LIAISON_OK;
}

enum liaison_code link_start(struct link *k, SSL_CTX *context, const char *broker,
                             int phase_ms, int64_t now_ms)
{
    enum liaison_code code;

    link_close(k);
    k->phase_ms = phase_ms;
    zmtp_init(&k->zmtp, ZMTP_CLIENT, LINK_MESSAGE_MAX);
    if ((code = resolve(k, broker)) != LIAISON_OK ||
        (code = tls_start(k, context)) != LIAISON_OK)
        return closed(k, code);
    if (!try_address(k, now_ms))
        return closed(
            k, failed(k, LIAISON_UNREACHABLE, "broker %s: %s", broker, strerror(errno)));
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- failures of TLS */

/* What a broker says by alert when it refuses our certificate. Source: RFC 8446, 6. */
static const struct alert {
    int number;
    enum liaison_code code;
    const char *why;
} ALERTS[] = {
    {42, LIAISON_CERTIFICATE, "the broker refused our certificate"},
    {43, LIAISON_PROFILE, "the broker refused our certificate: not issued for this use"},
    {44, LIAISON_REVOKED, "the broker refused our certificate: it is revoked"},
    {45, LIAISON_EXPIRED,
     "the broker refused our certificate: it is not valid at this time"},
    {46, LIAISON_CERTIFICATE, "the broker refused our certificate"},
    {48, LIAISON_CERTIFICATE,
     "the broker refused our certificate: it does not know who issued it"},
    {49, LIAISON_IDENTITY, "the broker does not let this certificate in"},
    {116, LIAISON_CERTIFICATE, "the broker wants a certificate"},
};

static enum liaison_code tls_failed(struct link *k, const char *doing)
{
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_REASON(error);
    char why[LINK_WHY - 64] = "";
    enum liaison_code code = tls_refusal(k->ssl, why, sizeof why);

    ERR_clear_error();
    if (code != LIAISON_TLS && code != LIAISON_OK)
        return failed(k, code, "the broker's certificate: %s", why);
    for (size_t i = 0; i < sizeof ALERTS / sizeof *ALERTS; i++)
        if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
            reason == SSL_AD_REASON_OFFSET + ALERTS[i].number)
            return failed(k, ALERTS[i].code, "%s", ALERTS[i].why);
    const char *text = ERR_reason_error_string(error);

    return failed(k, LIAISON_TLS, "%s: %s", doing, text != NULL ? text : "not TLS");
}

/* Looks at what an SSL call that did not succeed wants. LIAISON_OK: to be called again later. */
static enum liaison_code tls_trouble(struct link *k, int rc, const char *doing)
{
    unsigned long error;
    int saved = errno;

    switch (SSL_get_error(k->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return LIAISON_OK;
    case SSL_ERROR_WANT_WRITE:
        k->write_blocked = true;
        return LIAISON_OK;
    case SSL_ERROR_ZERO_RETURN:
        return failed(k, LIAISON_CLOSED, "the broker closed the connection");
    case SSL_ERROR_SYSCALL:
        return failed(k, LIAISON_CLOSED, "%s: %s", doing,
                      saved == 0 ? "connection closed" : strerror(saved));
    default:
        error = ERR_peek_last_error();
        if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
            ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            ERR_clear_error();
            return failed(k, LIAISON_CLOSED, "%s: connection closed", doing);
        }
        return tls_failed(k, doing);
    }
}

/* ---------------------------------------------------------------- the phases */

static enum liaison_code step_tcp(struct link *k, int64_t now_ms)
{
    struct pollfd p = {.fd = k->fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;

    if (poll(&p, 1, 0) <= 0)
        return LIAISON_OK;
    if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0) {
        k->state = LINK_TLS;
        k->phase_deadline_ms = now_ms + k->phase_ms;
        return LIAISON_OK;
    }
    close(k->fd);
    k->fd = -1;
    k->address = k->address->ai_next;
    if (try_address(k, now_ms))
        return LIAISON_OK;
    return failed(k, LIAISON_UNREACHABLE, "the broker cannot be reached: %s",
                  strerror(error));
}

static enum liaison_code step_tls(struct link *k, int64_t now_ms)
{
    uint8_t greeting[ZMTP_GREETING_BYTES];
    int rc;

    ERR_clear_error();
    errno = 0;
    rc = SSL_do_handshake(k->ssl);
    if (rc != 1)
        return tls_trouble(k, rc, "TLS handshake");
    if (!buffer_add(&k->out, slice(greeting, zmtp_greeting(&k->zmtp, greeting))))
        return failed(k, LIAISON_MEMORY, "out of memory");
    k->state = LINK_GREETING;
    k->phase_deadline_ms = now_ms + k->phase_ms;
    return LIAISON_OK;
}

static enum liaison_code read_all(struct link *k, int64_t now_ms)
{
    k->in_full = false;
    for (;;) {
        size_t got = 0;
        int rc;

        if (buffered(&k->in) >= IN_MAX && buffered(&k->in) >= k->want) {
            k->in_full = true;
            return LIAISON_OK;
        }
        if (!buffer_room(&k->in, READ_BYTES))
            return failed(k, LIAISON_MEMORY, "out of memory");
        ERR_clear_error();
        errno = 0;
        rc = SSL_read_ex(k->ssl, k->in.p + k->in.end, k->in.room - k->in.end, &got);
        if (rc != 1)
            return tls_trouble(k, rc, "reading from the broker");
        k->in.end += got;
        if (k->state == LINK_UP)
            k->phase_deadline_ms = now_ms + SILENCE_MS;
    }
}

static enum liaison_code after(enum liaison_code first, enum liaison_code second)
{
    return first != LIAISON_OK ? first : second;
}

static enum liaison_code write_all(struct link *k, int64_t now_ms)
{
    while (buffered(&k->out) > 0) {
        size_t sent = 0;
        int rc;

        ERR_clear_error();
        errno = 0;
        rc = SSL_write_ex(k->ssl, k->out.p + k->out.at, buffered(&k->out), &sent);
        if (rc != 1) {
            enum liaison_code code = tls_trouble(k, rc, "writing to the broker");

            /* The broker's last words may have come since we read: they say more than that it is gone. */
            return code == LIAISON_CLOSED ? after(read_all(k, now_ms), code) : code;
        }
        buffer_take(&k->out, sent);
    }
    return LIAISON_OK;
}

/* The next event that is more than housekeeping. */
static enum zmtp_event next_event(struct link *k, struct zmtp_frame *f, const char **why)
{
    for (;;) {
        size_t used;
        uint8_t pong[256];
        enum zmtp_event event = zmtp_next(&k->zmtp, k->in.p + k->in.at, buffered(&k->in),
                                          &used, &k->want, f, why);

        buffer_take(&k->in, used);
        if (event == ZMTP_PING && !buffer_add(&k->out, slice(pong, zmtp_pong(f, pong)))) {
            *why = "out of memory";
            return ZMTP_BAD;
        }
        if (event != ZMTP_PING && event != ZMTP_PONG && event != ZMTP_IGNORE)
            return event;
    }
}

static enum liaison_code event_failed(struct link *k, enum zmtp_event event,
                                      const struct zmtp_frame *f, const char *why)
{
    char reason[128];

    if (event != ZMTP_REFUSED)
        return failed(k, LIAISON_PROTOCOL, "ZMTP: %s", why);
    snprintf(reason, sizeof reason, "%.*s", (int)(f->body_len > 100 ? 100 : f->body_len),
             (const char *)f->body);
    for (char *c = reason; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return failed(k, LIAISON_CLOSED, "the broker refused: %s", reason);
}

static enum liaison_code step_zmtp(struct link *k)
{
    struct zmtp_frame f = {0};
    const char *why = "";
    uint8_t ready[64];
    enum zmtp_event event = next_event(k, &f, &why);

    if (event == ZMTP_NEED)
        return LIAISON_OK;
    if (k->state == LINK_GREETING && event == ZMTP_GREETED) {
        if (!buffer_add(&k->out, slice(ready, zmtp_ready(&k->zmtp, ready))))
            return failed(k, LIAISON_MEMORY, "out of memory");
        k->state = LINK_READY;
        return step_zmtp(k);
    }
    if (k->state == LINK_READY && event == ZMTP_READY) {
        k->state = LINK_UP;
        k->phase_deadline_ms += SILENCE_MS;
        return LIAISON_OK;
    }
    return event_failed(k, event, &f, why);
}

static const char *const PHASES[] = {
    [LINK_DOWN] = "",
    [LINK_TCP] = "TCP",
    [LINK_TLS] = "the TLS handshake",
    [LINK_GREETING] = "the ZMTP greeting",
    [LINK_READY] = "ZMTP's READY",
    [LINK_UP] = "any sign of life",
};

/* Reading comes first: why the broker refused lies there, and a write to a closed connection would hide it. */
static enum liaison_code step_traffic(struct link *k, int64_t now_ms)
{
    enum liaison_code code = read_all(k, now_ms);

    if (k->state < LINK_UP)
        code = after(step_zmtp(k), code);
    return code != LIAISON_OK ? code : write_all(k, now_ms);
}

enum liaison_code link_step(struct link *k, int64_t now_ms)
{
    enum liaison_code code = k->failed;

    k->write_blocked = false;
    if (code == LIAISON_OK && k->state == LINK_TCP)
        code = step_tcp(k, now_ms);
    if (code == LIAISON_OK && k->state == LINK_TLS)
        code = step_tls(k, now_ms);
    if (code == LIAISON_OK && k->state >= LINK_GREETING)
        code = step_traffic(k, now_ms);
    if (code == LIAISON_OK && k->state != LINK_DOWN && now_ms > k->phase_deadline_ms)
        code =
            failed(k, LIAISON_TIMEOUT,
                   "the broker did not answer in time: %s was awaited", PHASES[k->state]);
    if (code == LIAISON_OK)
        return LIAISON_OK;
    if (k->failed == LIAISON_OK && k->state == LINK_UP && buffered(&k->in) > 0) {
        k->failed = code; /* what came before the end is fetched first */
        return LIAISON_OK;
    }
    return closed(k, code);
}

/* ---------------------------------------------------------------- messages */

enum liaison_code link_message(struct link *k, struct slice *message)
{
    struct zmtp_frame f = {0};
    const char *why = "";

    if (k->state != LINK_UP)
        return LIAISON_BUSY;
    enum zmtp_event event = next_event(k, &f, &why);

    if (event == ZMTP_NEED)
        return LIAISON_BUSY;
    if (event != ZMTP_MESSAGE)
        return closed(k, event_failed(k, event, &f, why));
    if (f.more)
        return closed(k, failed(k, LIAISON_PROTOCOL, "a message of several frames"));
    *message = slice(f.body, f.body_len);
    return LIAISON_OK;
}

enum liaison_code link_put(struct link *k, const struct slice *parts, size_t n)
{
    uint8_t header[ZMTP_HEADER_MAX];
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += parts[i].n;
    if (!buffer_room(&k->out, total + sizeof header))
        return LIAISON_MEMORY;
    (void)buffer_add(&k->out, slice(header, zmtp_header(total, header)));
    for (size_t i = 0; i < n; i++)
        (void)buffer_add(&k->out, parts[i]);
    return LIAISON_OK;
}

size_t link_unsent(const struct link *k)
{
    return buffered(&k->out);
}

short link_wants(const struct link *k)
{
    if (k->state == LINK_DOWN)
        return 0;
    if (k->state == LINK_TCP)
        return POLLOUT;
    return k->write_blocked ? POLLIN | POLLOUT : POLLIN;
}
