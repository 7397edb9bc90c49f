#pragma once
/* One connection to a broker: TCP, TLS, ZMTP; never blocks. Bytes in, whole messages out.
 *
 * SIGPIPE cannot happen: everything is sent with MSG_NOSIGNAL. */
#include <openssl/ssl.h>

#include "liaison-codes.h"
#include "proto/slice.h"
#include "proto/zmtp.h"

enum { LINK_WHY = 512, LINK_OUT_MAX = 1 << 20, LINK_MESSAGE_MAX = 17 << 20 };

enum link_state {
    LINK_DOWN,
    LINK_TCP,      /* connecting */
    LINK_TLS,      /* shaking hands */
    LINK_GREETING, /* our greeting is out, the peer's is awaited */
    LINK_READY,    /* our READY is out, the peer's is awaited */
    LINK_UP,
};

struct link_buffer {
    uint8_t *p;
    size_t at, end, room; /* bytes lie in p[at..end-1] */
};

struct link {
    enum link_state state;
    int fd;
    unsigned sockets; /* opened so far: fd numbers come again */
    SSL *ssl;
    BIO_METHOD *method;
    struct addrinfo *addresses, *address; /* all, and the one being tried */
    struct zmtp zmtp;
    struct link_buffer in, out;
    size_t want;        /* bytes of the next message, as far as known */
    bool in_full;       /* stopped reading though more may be there */
    bool write_blocked; /* the socket took no more */
    int phase_ms;
    int64_t
        phase_deadline_ms; /* of connecting; when up: by when the broker must have been heard */
    enum liaison_code failed; /* over, once what was read is fetched */
    char why[LINK_WHY];       /* of the last failure */
};

/* A link that is down. */
void link_init(struct link *k);

/* Takes the link down at once. What was read and not fetched is gone. */
void link_close(struct link *k);

/* Is this a "host:port"? An IPv6 address stands in brackets. */
bool link_address(const char *broker);

/* Begins to connect to "host:port". Every phase has phase_ms. Resolving a name may block as long as the resolver
 * takes.
 * Errors: LIAISON_FIELD (not host:port), LIAISON_UNREACHABLE, LIAISON_MEMORY; k->why has the sentence. */
MUST_CHECK
enum liaison_code link_start(struct link *k, SSL_CTX *context, const char *broker,
                             int phase_ms, int64_t now_ms);

/* Does all that can be done now. On error the link is down and k->why says why.
 * Errors: LIAISON_UNREACHABLE, LIAISON_TIMEOUT, LIAISON_CLOSED, LIAISON_TLS, LIAISON_PROTOCOL, what the peer's or our
 *         certificate was refused with, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code link_step(struct link *k, int64_t now_ms);

/* The next whole message, or LIAISON_BUSY when there is none. Borrows: until the next call on k. Errors:
 * LIAISON_PROTOCOL; down then. */
MUST_CHECK
enum liaison_code link_message(struct link *k, struct slice *message);

/* Puts a message of these parts behind what is to be sent. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code link_put(struct link *k, const struct slice *parts, size_t n);

/* Bytes not yet taken by TLS. */
size_t link_unsent(const struct link *k);

/* What the socket must be polled for (POLLIN, POLLOUT); 0 when down. */
short link_wants(const struct link *k);
