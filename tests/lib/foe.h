#pragma once
/* One hostile peer: a blocking socket of its own, TLS and ZMTP as far as it wants to go, and how the broker ended it.
 * For tests/bench/hostile.c; whatever goes wrong on our own side ends the program with a sentence. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/wire/buffer.h"
#include "proto/err.h"
#include "proto/liaison.pb-c.h"
#include "proto/zmtp.h"
#include "tests/lib/member.h"

enum { FOE_ANSWER_MAX = 16 << 20, FOE_GREEDY_MAX = 16 };

/* What all of them share. */
struct foe_world {
    struct sockaddr_in broker;
    SSL_CTX *member, *nameless, *old;
    SSL_CTX *greedy[FOE_GREEDY_MAX]; /* the agencies of the floods */
    size_t n_greedy;
    int tick_ms;     /* a byte each; and how long a blocking call blocks at most */
    int patience_ms; /* for the broker to end a session */
};

enum foe_heard {
    FOE_READY,   /* ZMTP is up */
    FOE_MESSAGE, /* a frame: f->id, f->welcome */
    FOE_END,     /* the connection has ended */
    FOE_NOTHING, /* in time */
};

struct foe {
    const struct foe_world *world;
    int fd;
    SSL *ssl; /* NULL: bytes go as they are */
    struct zmtp zmtp;
    struct buffer in;
    size_t parsed;
    uint64_t until_ms, id; /* id: of the last frame heard */
    bool welcome;
    char seen[64]; /* how it ended; empty while it has not */
};

static inline uint64_t foe_now_ms(void)
{
    return member_now_ns() / 1000000;
}

static inline bool foe_late(const struct foe *f)
{
    return foe_now_ms() >= f->until_ms;
}

/* The first reason is kept: what follows it is only the connection's end. */
static inline void foe_saw(struct foe *f, const char *what, const char *detail)
{
    if (f->seen[0] == '\0')
        snprintf(f->seen, sizeof f->seen, "%s%s%s", what, *detail != '\0' ? " " : "",
                 detail);
}

static inline void foe_hang_up(struct foe *f)
{
    SSL_free(f->ssl);
    if (f->fd >= 0)
        close(f->fd);
    buffer_release(&f->in);
    f->ssl = NULL;
    f->fd = -1;
}

/* Closes with RST, as a machine that lost its power does once it is back. */
static inline void foe_reset(struct foe *f)
{
    const struct linger now = {1, 0};

    setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    foe_saw(f, "left", "");
    foe_hang_up(f);
}

/* No more from us: FIN, after a close_notify if `politely`. */
static inline void foe_shut(struct foe *f, bool politely)
{
    if (politely && f->ssl != NULL)
        (void)SSL_shutdown(f->ssl);
    shutdown(f->fd, SHUT_WR);
}

/* Connects from 127.HOST. `room`: of the receive buffer; 0: the kernel's own choice. */
static inline bool foe_dial(struct foe *f, const struct foe_world *w, uint32_t host,
                            int room)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    const struct timeval tick = {w->tick_ms / 1000, w->tick_ms % 1000 * 1000};
    const int on = 1;

    *f = (struct foe){.world = w, .until_ms = foe_now_ms() + (uint64_t)w->patience_ms};
    zmtp_init(&f->zmtp, ZMTP_CLIENT, FOE_ANSWER_MAX);
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    from.sin_addr.s_addr = htonl(0x7f000000 | host);
    if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&from, sizeof from) != 0)
        member_die("no socket on 127.0.x.y: %s", strerror(errno));
    if (room > 0)
        setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (connect(f->fd, (const struct sockaddr *)&w->broker, sizeof w->broker) != 0) {
        foe_saw(f, "no connection", "");
        return false;
    }
    setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
    setsockopt(f->fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof tick);
    return true;
}

/* ---- what a failed call of OpenSSL says */

static inline void foe_tls_end(struct foe *f, int rc)
{
    int kind = SSL_get_error(f->ssl, rc), reason = ERR_GET_REASON(ERR_peek_error());

    if (kind == SSL_ERROR_SSL && reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED)
        foe_saw(f, "alert", "certificate required"); /* OpenSSL has no name for it */
    else if (kind == SSL_ERROR_SSL && reason > SSL_AD_REASON_OFFSET)
        foe_saw(f, "alert", SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
    else
        foe_saw(f, "closed", "");
}

static inline bool foe_again(const struct foe *f, int rc)
{
    int kind = SSL_get_error(f->ssl, rc);

    return kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE;
}

/* ---- bytes */

/* One read. 1: something came; 0: not yet; -1: the end, and f->seen says which. */
static inline int foe_read(struct foe *f, size_t most)
{
    uint8_t *space = buffer_space(&f->in, most);
    ssize_t n;
    int rc;

    if (space == NULL)
        member_die("out of memory");
    if (f->ssl != NULL && strncmp(f->seen, "alert", 5) != 0) {
        ERR_clear_error();
        rc = SSL_read(f->ssl, space, (int)most);
        n = rc;
        if (rc <= 0 && foe_again(f, rc))
            return 0;
        if (rc <= 0)
            foe_tls_end(f, rc);
    } else {
        n = recv(f->fd, space, most, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0)
            foe_saw(f, "closed", "");
    }
    if (n > 0)
        buffer_added(&f->in, (size_t)n);
    return n > 0 ? 1 : -1;
}

/* One write of all of it. 1: done; 0: the broker does not take it (call again with the same bytes); -1: the end. */
static inline int foe_write_once(struct foe *f, const uint8_t *bytes, size_t n)
{
    ssize_t put;
    int rc;

    if (f->ssl == NULL) {
        put = send(f->fd, bytes, n, MSG_NOSIGNAL);
        return put > 0 ? 1 : errno == EAGAIN ? 0 : -1;
    }
    ERR_clear_error();
    rc = SSL_write(f->ssl, bytes, (int)n);
    return rc > 0 ? 1 : foe_again(f, rc) ? 0 : -1;
}

/* Writes all of it, however slowly it is taken. False once the connection has ended or patience is over. */
static inline bool foe_write(struct foe *f, const uint8_t *bytes, size_t n)
{
    int done;

    while ((done = foe_write_once(f, bytes, n)) == 0)
        if (foe_late(f))
            return false;
    return done == 1;
}

/* ---- conversation */

static inline void foe_take_frame(struct foe *f, const struct zmtp_frame *m)
{
    Liaison__V1__Frame *frame = liaison__v1__frame__unpack(NULL, m->body_len, m->body);

    if (frame == NULL)
        member_die("the broker sent something that is no frame");
    f->id = frame->id;
    f->welcome = frame->body_case == LIAISON__V1__FRAME__BODY_WELCOME;
    if (frame->id == 0 && frame->body_case == LIAISON__V1__FRAME__BODY_ERROR)
        foe_saw(f, "error", err_name((enum liaison_code)frame->error->code));
    liaison__v1__frame__free_unpacked(frame, NULL);
}

/* Listens until something has been heard. `quiet`: returns after one blocking read without anything. */
static inline enum foe_heard foe_hear(struct foe *f, bool quiet)
{
    for (;;) {
        struct zmtp_frame m;
        const char *why = "";
        struct slice have;
        size_t want;
        int got;

        buffer_drop(&f->in, f->parsed);
        f->parsed = 0;
        have = buffer_bytes(&f->in);
        switch (zmtp_next(&f->zmtp, have.p, have.n, &f->parsed, &want, &m, &why)) {
        case ZMTP_READY:
            return FOE_READY;
        case ZMTP_MESSAGE:
            foe_take_frame(f, &m);
            return FOE_MESSAGE;
        case ZMTP_REFUSED:
            foe_saw(f, "zmtp-error", "");
            return FOE_END;
        case ZMTP_BAD:
            if (f->seen[0] != '\0')
                return FOE_END; /* it has refused us already */
            member_die("the broker does not speak ZMTP: %s", why);
        case ZMTP_GREETED:
        case ZMTP_PING: /* it is not for us to say that we live */
        case ZMTP_PONG:
        case ZMTP_IGNORE:
            continue;
        case ZMTP_NEED:
            break;
        }
        got = foe_read(f, 65536);
        if (got < 0)
            return FOE_END;
        if (got == 0 && (quiet || foe_late(f)))
            return FOE_NOTHING;
    }
}

/* Waits until the broker has ended the session and the connection; "still open" if it does not. */
static inline void foe_await_end(struct foe *f)
{
    enum foe_heard heard = FOE_MESSAGE;
    bool alerted = strncmp(f->seen, "alert", 5) == 0;

    while (heard != FOE_END && heard != FOE_NOTHING) {
        if (f->ssl != NULL && !alerted)
            heard = foe_hear(f, false);
        else if (foe_read(f, 4096) < 0)
            heard = FOE_END;
        else if (foe_late(f))
            heard = FOE_NOTHING;
        if (heard == FOE_END && f->ssl != NULL && !alerted &&
            strncmp(f->seen, "alert", 5) ==
                0) { /* OpenSSL's own word: the broker has still to close */
            alerted = true;
            heard = FOE_MESSAGE;
        }
    }
    if (heard == FOE_NOTHING)
        strcpy(f->seen, "still open"); /* whatever it said before */
}

static inline bool foe_tls(struct foe *f, SSL_CTX *context)
{
    int rc;

    f->ssl = SSL_new(context);
    if (f->ssl == NULL || SSL_set_fd(f->ssl, f->fd) != 1)
        member_die("out of memory");
    for (;;) {
        ERR_clear_error();
        rc = SSL_connect(f->ssl);
        if (rc == 1)
            return true;
        if (!foe_again(f, rc))
            break;
        if (foe_late(f)) {
            foe_saw(f, "no handshake", "");
            return false;
        }
    }
    foe_tls_end(f, rc);
    return false;
}

/* The ClientHello that a good member would send: its bytes, to be sent in whatever way. */
static inline size_t foe_client_hello(const struct foe_world *w, uint8_t out[2048])
{
    SSL *ssl = SSL_new(w->member);
    BIO *in = BIO_new(BIO_s_mem()), *made = BIO_new(BIO_s_mem());
    int n;

    if (ssl == NULL || in == NULL || made == NULL)
        member_die("out of memory");
    SSL_set_bio(ssl, in, made);
    (void)SSL_connect(ssl);
    n = BIO_read(made, out, 2048);
    SSL_free(ssl);
    ERR_clear_error();
    if (n <= 0)
        member_die("no ClientHello");
    return (size_t)n;
}

/* The greeting that every member sends. */
static inline size_t foe_greeting(uint8_t out[ZMTP_GREETING_BYTES])
{
    struct zmtp z;

    zmtp_init(&z, ZMTP_CLIENT, 1);
    return zmtp_greeting(&z, out);
}

static inline bool foe_greet(struct foe *f)
{
    uint8_t bytes[ZMTP_GREETING_BYTES + 64];
    size_t n = foe_greeting(bytes);

    n += zmtp_ready(&f->zmtp, bytes + n);
    return foe_write(f, bytes, n) && foe_hear(f, false) == FOE_READY;
}

/* A frame as one ZMTP message. */
static inline size_t foe_frame(const Liaison__V1__Frame *frame, uint8_t out[256])
{
    size_t n = liaison__v1__frame__get_packed_size(frame), header = zmtp_header(n, out);

    if (n > 128)
        member_die("a frame too long for its buffer");
    return header + liaison__v1__frame__pack(frame, out + header);
}

static inline size_t foe_hello(uint64_t id, uint8_t out[256])
{
    uint32_t versions[] = {1};
    Liaison__V1__Hello hello = LIAISON__V1__HELLO__INIT;
    Liaison__V1__Frame frame = LIAISON__V1__FRAME__INIT;

    hello.n_versions = 1;
    hello.versions = versions;
    frame.id = id;
    frame.body_case = LIAISON__V1__FRAME__BODY_HELLO;
    frame.hello = &hello;
    return foe_frame(&frame, out);
}

/* A call whose answer is far longer than itself. */
static inline size_t foe_call(uint64_t id, uint8_t out[256])
{
    Liaison__V1__Directory directory = LIAISON__V1__DIRECTORY__INIT;
    Liaison__V1__Frame frame = LIAISON__V1__FRAME__INIT;

    frame.id = id;
    frame.body_case = LIAISON__V1__FRAME__BODY_DIRECTORY;
    frame.directory = &directory;
    return foe_frame(&frame, out);
}

static inline bool foe_welcomed(struct foe *f)
{
    uint8_t bytes[256];

    return foe_write(f, bytes, foe_hello(1, bytes)) &&
           foe_hear(f, false) == FOE_MESSAGE && f->welcome;
}
