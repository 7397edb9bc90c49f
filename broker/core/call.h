#pragma once
/* What gates and the core tell each other: a call belongs to whoever holds it, and is handed over by pointer.
 *
 * A gate sends the core what its peers ask; the core sends back answers and pushes, after the commit that holds them.
 * Calls travel in chains (`next`), one ZeroMQ message a chain, over inproc PAIR sockets. */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/id.h"
#include "proto/liaison.pb-c.h"
#include "proto/tls.h"

struct directory;
struct rules;

/* Ledger time for the gates, as the core found it last: how far it is ahead of CLOCK_BOOTTIME. A step of the wall clock does not
 * reach it, so that one cuts no session and moves no day of the rules. Any thread. */
struct call_time {
    _Atomic int64_t ahead_ns;
};

enum call_kind {
    /* gate -> core */
    CALL_OPENED, /* a named peer said Hello: peer, frame, welcome; answered once the session is logged */
    CALL_CLOSED, /* that session is over; no answer */
    CALL_FRAME,  /* one call of that session */
    CALL_STRANGERS, /* count peers failed before a certificate verified, for `code`; no answer */
    CALL_REFUSED, /* a peer with a verified certificate was not let in: peer, code; no answer */
    CALL_CUT,    /* a live session failed the check again: peer, code; no answer */
    CALL_CHECKED, /* every live session was checked again under new rules and trust, count were cut; goes on to main */
    CALL_RELOAD, /* main: reload; answered on main's pair once it is in force and logged, or with the code why nothing is */
    CALL_ERASE,  /* main: erase; answered on main's pair, with `erase` filled in, `code` and `why` */
    CALL_STOP,   /* main: commit what is there and end */
    CALL_CLOCK,  /* main: an operator says that the wall clock is right; no answer */
    /* core -> gate */
    CALL_ANSWER, /* reply to an earlier call of this session */
    CALL_PUSH,   /* a frame with id 0 */
    CALL_ENDED,  /* the core has ended; nothing more comes */
};

/* One referral to erase, and what became of it. */
struct erase_one {
    const char *from;     /* its sender */
    uint8_t id[ID_BYTES]; /* zeros behind the digits; whole in the answer */
    size_t digits;        /* hexadecimal ones that are given, 1..32: no other id of the sender may begin so */
    uint64_t seq;         /* the ERASE entry's */
    bool before;          /* it had been erased before */
};

/* An erasure: all in one transaction, or none. */
struct erase {
    const char *basis;   /* a word: the legal ground */
    const char *officer; /* number of the operator's officer */
    struct erase_one *list;
    size_t n;
};

/* What is put into force, all of it or nothing. Whoever has the call owns it: the core's answer brings back what was in
 * force before, to be released where nobody waits for that. */
struct reload {
    struct rules *rules;
    struct tls_trust *trust;
    struct directory *directory;
    uint8_t settings[32]; /* SHA-256 of the settings file */
    uint32_t page, page_bytes;
};

struct call {
    struct call *next;
    enum call_kind kind;
    uint64_t session;    /* never used again; top 8 bits are the gate */
    struct arena *arena; /* holds all below; NULL if there is nothing */

    struct tls_identity *peer; /* OPENED, REFUSED, CUT */
    Liaison__V1__Welcome *welcome; /* OPENED: the gate's part of it; the core adds the checkpoint and answers */
    uint64_t frame_id;

    /* FRAME, judged by the gate. `frame` is never NULL; `code` is LIAISON_OK if the gate found nothing wrong. */
    const Liaison__V1__Frame *frame;
    size_t frame_bytes;
    const Liaison__V1__Envelope *envelope; /* of submit and check */
    const Liaison__V1__Action *action;     /* of act */
    const char **section_names; /* names[i] of the i-th section of submit, check or act */
    uint8_t signer[32];         /* SHA-256 of the certificate that signed */
    char signer_role[ID_WORD_MAX + 1]; /* the approver's role that signed; empty: an agency's own certificate did */
    enum liaison_code code;     /* also of STRANGERS, REFUSED, CUT */
    const char *why;            /* a sentence in the arena or constant, or NULL */
    uint64_t count;             /* STRANGERS, CHECKED */
    struct reload *reload;      /* RELOAD and its answer */
    struct erase *erase; /* ERASE and its answer */

    /* ANSWER, PUSH: one encoded Frame, in the arena. */
    struct slice reply;
    enum liaison_code outcome; /* ANSWER: the code that it tells */
};

/* The core has found `time_ns` when CLOCK_BOOTTIME was `mono_ns`. */
void call_time_set(struct call_time *t, uint64_t time_ns, uint64_t mono_ns);

/* Milliseconds since 1970 by ledger time. */
uint64_t call_time_ms(const struct call_time *t);

/* Gives: a cleared call with an arena of its own, or NULL when memory is out. */
struct call *call_new(enum call_kind kind, uint64_t session);

/* Releases a call with all that it holds (not its `next`). NULL is harmless. */
void call_free(struct call *c);

/* Hands the chain over. *c is the other thread's after LIAISON_OK, still ours after LIAISON_BUSY (the pipe is full; never on the core's side). */
MUST_CHECK
enum liaison_code call_send(void *zmq_socket, struct call *c);

/* The next chain, or NULL if none is waiting. */
struct call *call_recv(void *zmq_socket);

/* Address of gate number g's pair: "inproc://gate-0". `out` has room for 32. The core binds before gates connect. */
const char *call_address(unsigned g, char out[32]);
