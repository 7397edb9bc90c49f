#pragma once
/* What the tests of wire and session share: a throw-away CA, and a peer that speaks TLS and ZMTP over loopback TCP, rightly or
 * wrongly. Everything is blocking, with a deadline on the socket. All names and data are made up. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "broker/wire/buffer.h"
#include "proto/zmtp.h"

enum { PEER_WAIT_S = 10 };

/* A directory with ca.crt, crl.pem and, for each member, NAME.crt and NAME.key. */
static const char PEER_CA[] =
    "set -e; umask 077; CA=$PWD/certs/liaison-ca; cd \"$D\"; exec >log 2>&1\n"
    "$CA root --network test.example --dir ca; $CA registrar fr --dir ca; $CA registrar "
    "eu --dir ca\n"
    "member() { openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc "
    "-keyout $3.key -out $3.csr -subj "
    "/CN=request; $CA issue $1 $2 $3.csr --dir ca --out $3.crt $4 $5 $6 $7; }\n"
    "member sign fr/lyon/prison prison; member sign fr/lyon/probation probation\n"
    "member sign fr/lyon/prison renewed\n"
    "member sign fr/lyon/nobody nobody; member auditor fr/dpa dpa; member broker eu/main "
    "broker\n"
    "member seal fr/lyon/prison seal\n"
    "member sign fr/lyon/old old --start 2020-01-01 --end 2020-02-01\n"
    "member approver 'fr/lyon/prison dpo' dpo\n"
    "$CA ca-bundle --dir ca --out ca.crt; $CA crl --dir ca --out crl.pem\n";

static inline void peer_shell(const char *dir, const char *script)
{
    setenv("D", dir, 1);
    if (system(script) != 0) {
        fprintf(stderr, "in %s: failed: %s\n", dir, script);
        exit(1);
    }
}

static inline char *peer_ca_new(void)
{
    char *dir = strdup("/tmp/liaison-test-XXXXXX");

    if (dir == NULL || mkdtemp(dir) == NULL)
        exit(1);
    peer_shell(dir, PEER_CA);
    return dir;
}

static inline void peer_ca_free(char *dir)
{
    peer_shell(dir, "rm -rf \"$D\"");
    free(dir);
}

static inline const char *peer_file(const char *dir, const char *name, const char *suffix,
                                    char out[256])
{
    snprintf(out, 256, "%s/%s%s", dir, name, suffix);
    return out;
}

/* A listening loopback socket on a port of the kernel's choice. */
static inline int peer_listen(struct sockaddr_in *where)
{
    socklen_t len = sizeof *where;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *where = (struct sockaddr_in){.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)where, sizeof *where) == 0 &&
                listen(fd, 128) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)where, &len), 0);
    return fd;
}

struct peer {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl; /* NULL: plain TCP */
    struct zmtp zmtp;
    struct buffer in;
    size_t used;
};

static inline void peer_dial(struct peer *p, const struct sockaddr_in *where)
{
    struct timeval wait = {.tv_sec = PEER_WAIT_S};
    int on = 1;

    *p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    assert_int_equal(connect(p->fd, (const struct sockaddr *)where, sizeof *where), 0);
    zmtp_init(&p->zmtp, ZMTP_CLIENT, 1 << 24);
}

static inline void peer_hang_up(struct peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    close(p->fd);
    buffer_release(&p->in);
    *p = (struct peer){.fd = -1};
}

/* TLS with NAME's certificate (NULL: none). Returns what SSL_connect returned: with TLS 1.3 the client is done before the
 * server has judged it. */
static inline int peer_tls(struct peer *p, const char *dir, const char *name)
{
    char file[256];

    p->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(p->ctx, SSL_MODE_AUTO_RETRY);
    if (name != NULL) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(
                             p->ctx, peer_file(dir, name, ".crt", file)),
                         1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(p->ctx,
                                                     peer_file(dir, name, ".key", file),
                                                     SSL_FILETYPE_PEM),
                         1);
    }
    p->ssl = SSL_new(p->ctx);
    SSL_set_fd(p->ssl, p->fd);
    ERR_clear_error();
    return SSL_connect(p->ssl);
}

static inline bool peer_write(struct peer *p, const void *bytes, size_t n)
{
    if (p->ssl == NULL)
        return send(p->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n;
    ERR_clear_error();
    return SSL_write(p->ssl, bytes, (int)n) == (int)n;
}

/* Bytes read; 0 at the end, however it came. */
static inline size_t peer_read(struct peer *p, void *out, size_t room)
{
    ssize_t n;

    ERR_clear_error();
    n = p->ssl == NULL ? recv(p->fd, out, room, 0) : SSL_read(p->ssl, out, (int)room);
    if (n < 0 && p->ssl == NULL && errno == EAGAIN)
        fail_msg("the other side said nothing for %d s", PEER_WAIT_S);
    return n > 0 ? (size_t)n : 0;
}

/* The next ZMTP event; ZMTP_NEED says that the connection has ended. */
static inline enum zmtp_event peer_event(struct peer *p, struct zmtp_frame *f)
{
    for (;;) {
        const char *why = "";
        struct slice have;
        size_t want, n;
        uint8_t *space;
        enum zmtp_event e;

        buffer_drop(&p->in, p->used);
        have = buffer_bytes(&p->in);
        e = zmtp_next(&p->zmtp, have.p, have.n, &p->used, &want, f, &why);
        if (e == ZMTP_BAD)
            fail_msg("the broker broke ZMTP: %s", why);
        if (e != ZMTP_NEED)
            return e;
        space = buffer_space(&p->in, 65536);
        n = peer_read(p, space, 65536);
        if (n == 0)
            return ZMTP_NEED;
        buffer_added(&p->in, n);
    }
}

static inline void peer_greet(struct peer *p)
{
    uint8_t out[64];
    struct zmtp_frame f;

    assert_true(peer_write(p, out, zmtp_greeting(&p->zmtp, out)));
    assert_int_equal(peer_event(p, &f), ZMTP_GREETED);
    assert_true(peer_write(p, out, zmtp_ready(&p->zmtp, out)));
    assert_int_equal(peer_event(p, &f), ZMTP_READY);
}

/* One ZMTP message in one write. */
static inline bool peer_send(struct peer *p, struct slice body)
{
    struct buffer b = {0};
    uint8_t header[ZMTP_HEADER_MAX];
    bool ok;

    assert_true(buffer_append(&b, slice(header, zmtp_header(body.n, header))));
    assert_true(buffer_append(&b, body));
    ok = peer_write(p, buffer_bytes(&b).p, buffer_bytes(&b).n);
    buffer_release(&b);
    return ok;
}
