#pragma once
/* What gate.c and session.c know of each other; nobody else includes it. */
#include <pthread.h>
#include <stdatomic.h>

#include "broker/session/gate.h"
#include "broker/session/judge.h"
#include "broker/session/session.h"
#include "broker/session/tally.h"

enum {
    CODES = 128, /* more than any code's number */
    CALLS_KEPT =
        64, /* this many calls go to the core without waiting for the end of the turn */
    SOUND = 1024, /* certificates that are remembered while live sessions are checked again */
    SOUND_BYTES = 32,
};

struct list {
    struct session *first, *last;
};

struct stranger {
    uint64_t count;  /* not yet told */
    int64_t told_ms; /* when the core was last told; 0: never */
};

/* Rules, trust and limits on their way from another thread. */
struct parcel {
    bool full;
    struct gate_settings set; /* context, trust and rules are its own */
};

struct gate {
    struct gate_settings set;
    char *network, *broker;
    void *pair;
    int epoll, bell; /* bell: rung by gate_stop and gate_reload */
    _Atomic bool stop_asked;
    _Atomic unsigned live; /* sessions */
    pthread_mutex_t mail;  /* guards the parcel */
    struct parcel parcel;

    struct judge *judge;
    struct buffer spare; /* lent to the session that is being read */
    struct timers *timers;
    struct tally *agencies, *addresses;
    struct session **slots; /* [set.sessions] */
    uint16_t *free_slots;
    unsigned n_free;
    uint64_t generation;
    struct list lists[LIST__COUNT];
    unsigned shaking; /* handshakes in progress */
    unsigned shaken;  /* handshake steps in this turn */
    int64_t shake_debt_us,
        paid_us;          /* what handshakes took beyond their share; paid until */
    int64_t called_ms;    /* when the last call came */
    size_t held_bytes;    /* calls without an answer, of all sessions */
    unsigned unanswered;  /* the same in calls */
    unsigned check_next;  /* the next slot to check again; set.sessions: none */
    int32_t day;          /* on which all were checked last, or are being checked */
    uint64_t cut;         /* of those checked again */
    uint8_t sound[SOUND]
                 [SOUND_BYTES]; /* their certificates that passed, each in its place by its first bytes: many sessions have the same */
    bool renewed;         /* main waits to hear that all were */
    bool listening;       /* the listeners are watched */
    bool stopping, over;  /* asked to stop; the core has ended */
    int64_t accept_at_ms; /* not before, after running out of descriptors */
    int64_t stop_ends_ms;
    int64_t now_ms; /* monotonic, of this turn */
    uint64_t now_unix_ms; /* ledger time */
    struct call *chain, **chain_end; /* not yet handed over */
    unsigned chained;
    struct stranger strangers[CODES];
};

/* Adds a call to the chain. Takes it. NULL is harmless. */
void gate_tell(struct gate *g, struct call *c);

/* Counts a peer that failed before its certificate was verified. */
void gate_stranger(struct gate *g, enum liaison_code code);

/* Microseconds on a clock that only rises. */
int64_t gate_clock_us(void);

/* True if a handshake, or an accept, may cost time now. */
bool gate_may_shake(const struct gate *g);

/* True while the core has so much to do that nobody is read. */
bool gate_stalled(const struct gate *g);

/* Puts a session on a list, at its end; harmless if it is there. */
void gate_list(struct session *s, enum session_list which);

/* Takes a session off a list; harmless if it is not there. */
void gate_unlist(struct session *s, enum session_list which);

/* The session is over: forgets it everywhere; frees it at the end of the turn. */
void gate_bury(struct session *s);

/* The event happens: the table in session.c says what follows. Takes cause.call. */
void session_fire(struct session *s, enum session_event event,
                  struct session_cause cause);

/* True if the session may be read at this moment: its phase, window and credit allow it. */
bool session_may_read(const struct session *s);

/* When the session must be looked at again, whatever happens. */
int64_t session_deadline(const struct session *s);
