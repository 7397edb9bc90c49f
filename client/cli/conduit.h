#pragma once
/* One program's way to the broker: bytes from its UNIX connection into one TLS session, and back. Nothing is parsed, signed or opened
 * here. What waits in either direction is bounded; past that we stop reading, and the other side waits.
 *
 * The program must speak first: before its first byte nobody is called, so an idle connection costs the broker nothing. */
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "liaison-codes.h"

enum {
    CONDUIT_BUFFER_BYTES = 64 * 1024, /* each way */
    CONDUIT_FIRST_MS = 5000,          /* for the program's first byte */
    CONDUIT_CALL_MS = 10000,          /* for TCP and TLS together */
    CONDUIT_FLUSH_MS =
        5000, /* when one side has gone: for what the other has not taken yet */
};

enum conduit_state {
    CONDUIT_SILENT, /* the program has said nothing yet */
    CONDUIT_TCP,
    CONDUIT_TLS,
    CONDUIT_OPEN,
    CONDUIT_OVER,
};

/* Whom to call. */
struct conduit_to {
    SSL_CTX *context;
    const char *broker;      /* "host:port" or "[v6]:port" */
    const char *broker_name; /* NULL: any broker of the network */
};

struct conduit;

/* Takes: local, a connected socket that does not block. NULL when memory is out; local stays the caller's then. */
struct conduit *conduit_new(int local, int64_t now_mono_ms);

/* Closes both sides. NULL is harmless. */
void conduit_free(struct conduit *c);

/* What to wait for: the program's side, the broker's side. A side without anything to wait for has fd -1. */
void conduit_wants(const struct conduit *c, struct pollfd out[2]);

/* Does all that can be done now. True: there is more, it only was somebody else's turn. Resolving a name may block. */
bool conduit_step(struct conduit *c, const struct conduit_to *to, int64_t now_mono_ms);

enum conduit_state conduit_state(const struct conduit *c);

/* Why it is over; "" if one side simply closed. */
const char *conduit_why(const struct conduit *c);

/* Its TLS session, to be checked again under other trust; NULL if it is not open. */
SSL *conduit_session(struct conduit *c);

/* Over, because of `why`. */
void conduit_cut(struct conduit *c, const char *why);
