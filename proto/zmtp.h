#pragma once
/* ZMTP 3.1 with the NULL mechanism, as a codec: bytes in, events out; no socket, no clock, no allocation.
 *
 * We greet as 3.1 and take any 3.x peer. Peer metadata is parsed for its form and Socket-Type, the rest is ignored.
 * Source: rfc.zeromq.org/spec/37 (ZMTP 3.1); PROTOCOL.md, "Framing". */
#include "proto/slice.h"

enum {
    ZMTP_GREETING_BYTES = 64,
    ZMTP_COMMAND_MAX = 1024, /* bytes of a command's body */
    ZMTP_HEADER_MAX = 9,     /* flag and length before a body */
};

enum zmtp_side { ZMTP_SERVER, ZMTP_CLIENT }; /* server: we are the ROUTER; client: we are the DEALER */

enum zmtp_event {
    ZMTP_NEED,     /* nothing whole yet: give more bytes */
    ZMTP_GREETED,  /* the peer's greeting is right: send our READY */
    ZMTP_READY,    /* the peer's READY is right: messages may flow */
    ZMTP_MESSAGE,  /* a message frame: body, more */
    ZMTP_PING,     /* answer with zmtp_pong(); body is its context */
    ZMTP_PONG,     /* the peer lives */
    ZMTP_IGNORE,   /* SUBSCRIBE, CANCEL or an unknown command of a ready peer: nothing to do */
    ZMTP_REFUSED,  /* the peer sent ERROR: body is its reason */
    ZMTP_BAD,      /* not ZMTP, or past a limit: *why says what; end the session */
};

struct zmtp_frame {
    const uint8_t *body; /* borrows from the input */
    size_t body_len;
    bool more;
};

/* Plain data; copy and forget at will. */
struct zmtp {
    enum zmtp_side side;
    int phase;          /* private to zmtp.c */
    size_t message_max; /* bytes of one message frame */
    bool too_long;      /* with ZMTP_BAD: a message past message_max, nothing worse */
};

void zmtp_init(struct zmtp *z, enum zmtp_side side, size_t message_max);

/* Reads the next event from n bytes. *used bytes are consumed (0 with ZMTP_NEED). After ZMTP_NEED *want is how many bytes the
 * next event takes at least, counted from `in`, so that a caller can size its buffer; it never exceeds
 * message_max + ZMTP_HEADER_MAX once the phase is past the greeting. A length past its limit is refused from its header alone. */
MUST_CHECK
enum zmtp_event zmtp_next(struct zmtp *z, const uint8_t *in, size_t n, size_t *used, size_t *want, struct zmtp_frame *f,
                          const char **why);

/* What we send first: the greeting, then (after ZMTP_GREETED) READY. Each returns its length; `out` has room for
 * ZMTP_GREETING_BYTES, 64 bytes. */
size_t zmtp_greeting(const struct zmtp *z, uint8_t out[ZMTP_GREETING_BYTES]);
size_t zmtp_ready(const struct zmtp *z, uint8_t out[64]);

/* The header of a message frame of body_len bytes; the body follows. Returns its length, 2 or 9. */
size_t zmtp_header(size_t body_len, uint8_t out[ZMTP_HEADER_MAX]);

/* PING with a time-to-live in tenths of a second and no context; PONG with the PING's context (at most 16 bytes, the rest is
 * dropped); ERROR with a reason of at most 200 bytes. Each returns its length; `out` has room for 256. */
size_t zmtp_ping(uint16_t ttl_ds, uint8_t out[256]);
size_t zmtp_pong(const struct zmtp_frame *ping, uint8_t out[256]);
size_t zmtp_error(const char *reason, uint8_t out[256]);
