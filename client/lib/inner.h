#pragma once
/* What the parts of libliaison share. A handle's parts: settings (handle.c), keys and trust (keys.c), one
 * connection (link.c), the calls on it (engine.c), the broker's log (log.c) and the receipts that are awaited
 * (receipts.c). Everything is one thread's. */
#include <sys/types.h>

#include "client/lib/keys.h"
#include "client/lib/liaison.h"
#include "client/lib/link.h"
#include "client/lib/log.h"
#include "client/lib/receipts.h"
#include "client/lib/seal.h"
#include "proto/arena.h"
#include "proto/hash.h"

enum setting {
    SET_NETWORK,
    SET_BROKER,
    SET_BROKER_NAME,
    SET_AGENCY,
    SET_AUDITOR,
    SET_APPROVER,
    SET_CA,
    SET_CRL,
    SET_SIGN_CERTIFICATE,
    SET_SIGN_KEY,
    SET_SEAL_CERTIFICATE,
    SET_SEAL_KEY,
    SET_SEAL_OLD,
    SET_OFFICER,
    SET_PURPOSE,
    SET_BASIS,
    SET_TIMEOUT_MS,
    SET_CONNECT_MS,
    SET_SOFTWARE,
    SET_RECIPIENTS,
    SET_LOG_POLICY,
    SET_LOG_ROTATIONS,
    SET_LOG_SEEN,
    SET_LOG_FORK,
    SET__COUNT,
};

struct outcall;

struct outcalls {
    struct outcall *head, *tail;
    size_t n;
};

struct answers {
    struct liaison_answer *head, *tail;
};

/* The conversation above the connection. */
enum talk {
    TALK_NONE,  /* no connection, or not up to ZMTP's READY */
    TALK_HELLO, /* Hello is on its way */
    TALK_OPEN,  /* Welcome came: calls may go out */
};

struct engine {
    int epoll;
    enum talk talk;
    uint64_t calls;         /* made so far: numbers them */
    uint64_t next_id;       /* of the next frame; rises over the handle's life */
    struct outcalls queued; /* to be written, some after a pause */
    struct outcalls flying; /* written, not answered */
    struct answers ready;   /* answered or delivered, not yet fetched */
    size_t window;
    size_t message_max;
    uint32_t granted_messages;
    uint64_t granted_bytes;
    uint8_t *welcome; /* the last Welcome's frame */
    size_t welcome_len;
    unsigned failures;       /* in a row, for the pause before the next try */
    int64_t reconnect_at_ms; /* monotonic */
    enum liaison_code trouble;
    char trouble_text[LINK_WHY];
    bool evidence; /* trouble is something that a caller must be told of, whatever was answered before it */
    uint32_t watched; /* what epoll watches the socket for; 0: not yet */
    unsigned watched_socket;
};

struct liaison {
    pid_t pid;
    char *set[SET__COUNT];
    char err[640];
    struct hash *hash;
    struct seal *seal;
    struct keys keys;
    struct link link;
    struct engine engine;
    struct log_view log;
    struct receipts receipts;
};

/* First thing in every public call: forgets the last error. LIAISON_USAGE without a handle or in a forked child. */
MUST_CHECK
enum liaison_code lib_enter(struct liaison *l);

/* Keeps the sentence, and behind it what to do next for this code. Returns `code`. */
__attribute__((format(printf, 3, 4))) enum liaison_code
lib_fail(struct liaison *l, enum liaison_code code, const char *format, ...);

/* The setting's value, "" when unset; as a number for the two that are. */
const char *lib_setting(const struct liaison *l, enum setting s);
int lib_setting_ms(const struct liaison *l, enum setting s);

/* LIAISON_CONFIG with a sentence unless the setting has a value. */
MUST_CHECK
enum liaison_code lib_need(struct liaison *l, enum setting s);

/* The agency's or auditor's name; "" when neither is set. */
const char *lib_own_name(const struct liaison *l);

/* On whose behalf: the handle's officer, purpose and basis, borrowed. False: none of them is set. */
bool lib_caller(const struct liaison *l, Liaison__V1__Caller *caller);

int64_t lib_mono_ms(void);
uint64_t lib_unix_ms(void);
int64_t lib_unix(void);
