#pragma once
/* One peer's conversation as a state table. The gate calls in; the session tells the gate what it wants through inside.h. */
#include "broker/core/call.h"
#include "broker/session/timer.h"
#include "broker/wire/link.h"

struct gate;

enum session_state {
    SESSION_TLS,  /* counted in gate->shaking */
    SESSION_ZMTP, /* its certificate was taken: waiting for READY */
    SESSION_BARRED, /* its certificate was taken, but it may not come in: waiting for READY to say so */
    SESSION_HELLO,   /* waiting for Hello */
    SESSION_WELCOME, /* the core is logging the session; nothing is read */
    SESSION_READY,   /* calls and answers */
    SESSION_CLOSING, /* our last words are queued; nothing is read */
    SESSION_LINGER,  /* our last words left: waiting for the peer to close */
    SESSION_OVER,    /* on gate->dead; freed at the end of the turn */
    SESSION__COUNT
};

enum session_event {
    EVENT_ADMIT,   /* TLS is up and the peer may come in */
    EVENT_BAR,     /* TLS is up, and it may not */
    EVENT_UP,      /* ZMTP is ready */
    EVENT_HELLO,   /* Hello with a version we speak */
    EVENT_OTHER,   /* Hello without one */
    EVENT_CALL,    /* a call */
    EVENT_ANSWER,  /* from the core */
    EVENT_PUSH,    /* from the core */
    EVENT_BREACH,  /* the peer broke the protocol or a limit */
    EVENT_CUT,     /* the broker ends it: certificate, end of certificate, stop */
    EVENT_TIMEOUT, /* a phase, or the peer's silence, took too long */
    EVENT_LOST,    /* the peer has left, or cannot be read */
    EVENT_DRAINED, /* all that was queued has left */
    SESSION_EVENT__COUNT
};

/* Why something happens. */
struct session_cause {
    enum liaison_code code;
    const char *why; /* NULL: the code's own sentence */
    struct call *
        call; /* HELLO, OTHER, CALL: the peer's; ANSWER, PUSH: the core's. The action takes it */
};

enum session_list {
    LIST_RUN,     /* has something to read or to do */
    LIST_SHAKE,   /* its handshake would go on if handshakes had time left */
    LIST_SHAKING, /* in a handshake, whoever was quiet for longest first */
    LIST_STALLED, /* would be read if the core had room */
    LIST_DIRTY,   /* has something to write */
    LIST_DEAD,    /* over, to be freed */
    LIST__COUNT
};

struct session {
    struct timer timer; /* first: the heap gives it back as the session */
    struct gate *gate;
    struct link *link;
    uint64_t number;
    enum session_state state;
    const struct tls_identity *peer; /* lives in the link; NULL before TLS is up */
    enum liaison_code barred;        /* why it may not come in */
    char *barred_why;                /* the same as a sentence; NULL: the code's own */
    uint8_t address[16];
    char agency[ID_NAME_MAX + 16]; /* what it is counted under; empty: not counted */
    uint64_t last_id;
    unsigned unanswered;
    size_t unanswered_bytes;
    int64_t phase_ends_ms; /* TLS to Hello, closing, lingering */
    int64_t heard_ms;
    int64_t talk_ms; /* since when its idle talk is counted, and what it was then */
    uint64_t talk_before, early; /* early: calls before Hello, which are idle talk too */
    uint64_t begun; /* the frame that the peer has begun and not ended, and since when; 0: none */
    int64_t begun_ms;
    int64_t stuck_since_ms; /* 0: the peer takes what we write */
    int64_t ends_ms;        /* its certificate's end on our clock */
    bool pinged, opened, held;
    struct session *next[LIST__COUNT], *before[LIST__COUNT];
    bool listed[LIST__COUNT];
};

/* Begins a session on an accepted socket. Takes fd. NULL when memory is out; fd is not taken then. */
struct session *session_new(struct gate *g, uint64_t number, int fd,
                            const uint8_t address[16]);
void session_free(struct session *s);

/* One turn: goes on with the handshake, or reads and feeds what came. */
void session_turn(struct session *s);

/* Writes what is queued. */
void session_flush(struct session *s);

/* Takes an answer or a push of the core. */
void session_take(struct session *s, struct call *c);

/* The session's timer has come. */
void session_wake(struct session *s);

/* Ends it from our side with a reason that the peer is told; logged as `kind` (CALL_CUT, or CALL_CLOSED for no entry of its own). */
void session_end(struct session *s, enum call_kind kind, enum liaison_code code,
                 const char *why);

/* The connection is broken both ways: it ends even if the peer is not being read. */
void session_gone(struct session *s);

/* Checks the peer's certificate and name again under the gate's trust and rules, as they are today. True: it was cut. */
bool session_check_again(struct session *s);

/* True if the table has a cell for it; for tests. */
bool session_allows(enum session_state state, enum session_event event);
