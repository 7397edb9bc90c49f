#pragma once
/* A peer's link: ZMTP inside TLS. Bytes in, messages out; greeting, READY and heartbeats are dealt with here.
 *
 * Reading goes in turns: link_borrow, link_next until it says that there is no more (or the caller has enough), link_return.
 * One thread's. */
#include "broker/wire/buffer.h"
#include "broker/wire/stream.h"
#include "proto/zmtp.h"

enum link_event {
    LINK_QUIET,   /* nothing whole is there; the socket will wake us */
    LINK_SPENT,   /* the turn's bytes are used up; there may be more */
    LINK_UP,      /* the peer is a ready ZMTP DEALER: messages may flow both ways */
    LINK_MESSAGE, /* *body is one whole message */
    LINK_ENDED,   /* the peer has left */
    LINK_BROKEN,  /* the peer broke TLS, ZMTP or a limit: *code and *why say what */
};

enum {
    LINK_RECORD_COST =
        512, /* what a record takes from a turn's budget, however small it is */
    LINK_UPDATE_TALK = 100, /* a key update costs us as much as so many PINGs */
};

struct link;

/* Begins a link on `fd`, whose TLS handshake comes first. Gives: *out. Takes: fd, after LIAISON_OK. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code link_new(SSL_CTX *context, int fd, size_t message_max,
                           uint64_t key_records, struct link **out);
void link_free(struct link *l);

/* Goes on with the TLS handshake; when it is done, our greeting is queued. */
MUST_CHECK
enum stream_result link_handshake(struct link *l);

/* The socket has something to read, or has closed: the next link_next looks. */
void link_wake(struct link *l);

/* Begins a turn of reading. A link with nothing kept from before borrows `spare`'s memory, so that idle links hold none. */
void link_borrow(struct link *l, struct buffer *spare);

/* The next event. *budget is lessened by the bytes read, LINK_RECORD_COST at least for each record; with none left only what is
 * already here is parsed.
 * Borrows: *body, until the next call or link_return. */
MUST_CHECK
enum link_event link_next(struct link *l, size_t *budget, struct slice *body,
                          enum liaison_code *code, const char **why);

/* Ends the turn: keeps what was not parsed, gives the borrowed memory back. False when memory is out: end the link. */
MUST_CHECK
bool link_return(struct link *l, struct buffer *spare);

/* Queues one message; LINK_UP must have been. False when memory is out: end the link. */
MUST_CHECK
bool link_send(struct link *l, struct slice body);

/* Queues a PING, or a ZMTP ERROR command. Same promise. */
MUST_CHECK
bool link_ping(struct link *l, uint16_t ttl_ds);
MUST_CHECK
bool link_error(struct link *l, const char *reason);

/* Writes what is queued, as far as the socket takes it. *written: bytes that left. */
MUST_CHECK
enum stream_result link_flush(struct link *l, size_t *written);

/* Bytes queued and not yet written. */
size_t link_queued(const struct link *l);

/* What the peer sent that asked for work and said nothing: commands after READY, and key updates of its own accord, each of
 * which counts as LINK_UPDATE_TALK commands. It only rises. */
uint64_t link_idle_talk(const struct link *l);

/* The number of the frame of which a part lies here, or 0 if all that came was whole. Between two turns. */
uint64_t link_begun(const struct link *l);

/* True between LINK_UP and the end. */
bool link_up(const struct link *l);

struct stream *link_stream(struct link *l);
