#pragma once
/* A gate: one thread that lets peers in, holds their conversations, judges their calls first, and hands them to the core.
 *
 * main makes the gate, starts a thread on gate_run(), and may call gate_stop() and gate_reload() from elsewhere.
 * Limits count per gate. The core gives every CALL_OPENED and CALL_FRAME of a live session back as one CALL_ANSWER, the same
 * struct with frame_bytes as it was: by it the gate opens the window again. Source: PROTOCOL.md, "Framing", "Calls", "Limits". */
#include <openssl/ssl.h>

#include "broker/ops/metrics.h"
#include "broker/rules/rules.h"
#include "liaison-codes.h"
#include "proto/tls.h"

struct gate;

struct gate_settings {
    unsigned
        number; /* 0..255: the gate's pair is call_address(number), its sessions carry it in their top 8 bits */
    void *zmq_context; /* the core has bound call_address(number) in it */

    const int *
        listeners; /* non-blocking, listening; may be shared with other gates; stay main's */
    size_t n_listeners;

    SSL_CTX *context;        /* tls_context(..., TLS_SERVER_SIDE) under `trust`; shared */
    struct tls_trust *trust; /* shared */
    struct rules *rules;     /* shared */
    const char *network;     /* copied, as is broker */
    const char *broker;

    uint32_t message_bytes; /* one message of a peer */
    uint32_t sections;      /* of one referral or action */
    uint32_t window;        /* calls of one session without an answer */
    uint32_t page,
        burst; /* told in Welcome; the core and proto/valid.h hold peers to them */
    size_t
        credit_bytes; /* of one session: calls without an answer, and answers not yet taken; past either it is not read */
    size_t
        held_bytes; /* of all sessions: calls without an answer; past it nobody is read */

    unsigned sessions, per_agency, per_address;
    unsigned handshakes;          /* in progress; past it nobody is accepted */
    unsigned handshakes_per_turn; /* each costs a millisecond that others wait */
    size_t turn_bytes; /* read from one session before the others have their turn */
    int64_t
        turn_us; /* the same in time: judging a message may be dear, or a peer may send many small ones */
    unsigned
        shake_share; /* while calls come, handshakes get one part in so many of the thread's time */
    uint64_t
        idle_talk; /* PINGs and the like that a peer may send in idle_talk_ms; see link_idle_talk */
    int64_t idle_talk_ms;
    uint64_t key_records; /* TLS records under one key */

    int64_t tls_ms, zmtp_ms, hello_ms; /* from accept to TLS, to READY, to Hello */
    int64_t quiet_ms; /* in a handshake, while all handshakes are taken: past it another may have the place */
    int64_t ping_ms,
        idle_ms; /* quiet until we PING, until we drop; the latter also for a peer that does not read */
    int64_t linger_ms;    /* for a peer to take our last words */
    int64_t stop_ms;      /* for the core to answer what it has, when stopping */
    int64_t strangers_ms; /* between two counts of strangers for one reason */
    struct metrics *metrics; /* shared; gate_defaults: NULL, nothing is counted */
    const struct call_time *time; /* the core's, shared; gate_defaults: NULL, the wall clock counts, as in tests */
};

/* Fills in the limits and times of design 3; leaves the rest as it is. */
void gate_defaults(struct gate_settings *s);

/* Makes a gate and connects its pair. Errors: LIAISON_MEMORY, LIAISON_FILE (epoll, eventfd), LIAISON_INTERNAL (zmq). */
MUST_CHECK
enum liaison_code gate_new(const struct gate_settings *settings, struct gate **out);

/* Lets peers in and serves them. Returns once the core has said CALL_ENDED, or after gate_stop(): then no more calls are taken,
 * those taken are answered (within stop_ms), and the core is told that every session is closed. The thread's function. */
void gate_run(struct gate *g);

/* Asks the gate to stop. Any thread; from a signal handler too. */
void gate_stop(struct gate *g);

/* Puts other rules, trust and limits into force: for new handshakes and calls at once and all together, for live sessions as they
 * are checked again (CALL_CUT for those that fail); once all were, CALL_CHECKED to the core. Of `fresh`, number, zmq_context,
 * listeners, n_listeners, sessions, metrics and time must be as they were; network and broker are not looked at. Shares context, trust
 * and rules. Any thread; returns before it is done. */
void gate_reload(struct gate *g, const struct gate_settings *fresh);

/* Sessions at this moment, handshakes included. Any thread. */
unsigned gate_sessions(const struct gate *g);

/* Releases a gate that does not run. NULL is harmless. */
void gate_free(struct gate *g);
