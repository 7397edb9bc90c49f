#pragma once
/* Calls over one connection: queue frames, match answers by id, reconnect, send again.
 *
 * A call is queued until the conversation is open and the window has room, then flies until it is answered. When
 * the connection is lost what flew is queued again, in front. A refusal that says "later" queues it again after a
 * pause, with a fresh id, until its time is over. An answer is checked before anybody sees it. */
#include "client/lib/answer.h"
#include "client/lib/inner.h"
#include "client/lib/sealed.h"

struct outcall {
    struct outcall *next;
    uint64_t call;    /* what the program knows it by */
    uint64_t wire_id; /* of its last sending */
    int64_t deadline_ms, not_before_ms;
    unsigned tries;
    Liaison__V1__Frame__BodyCase want; /* what it is answered with when all is well */
    bool own;                          /* the library's: nobody fetches the answer */
    struct sealed *sealed;             /* travels between head and tail; may be NULL */
    uint32_t grant_messages;
    uint64_t grant_bytes;
    struct liaison_answer *refusal; /* the last one that said: later */
    uint8_t tail[4];
    size_t tail_len;
    size_t head_len;
    uint8_t head[]; /* the frame from its second field on */
};

MUST_CHECK
enum liaison_code engine_init(struct liaison *l);
void engine_free(struct liaison *l);

/* Closes the connection; calls in flight are queued again. */
void engine_hang_up(struct liaison *l);

/* A call of `f`, whose id is not looked at. Gives: *out. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code engine_call(struct liaison *l, const Liaison__V1__Frame *f,
                              Liaison__V1__Frame__BodyCase want, struct outcall **out);

/* The same on behalf of the handle's officer. */
MUST_CHECK
enum liaison_code engine_caller_call(struct liaison *l, Liaison__V1__Frame *f,
                                     Liaison__V1__Frame__BodyCase want,
                                     struct outcall **out);

/* A call of the library's own, before all that is queued: nobody fetches its answer, and it ends with the session. */
MUST_CHECK
enum liaison_code engine_own(struct liaison *l, const Liaison__V1__Frame *f,
                             Liaison__V1__Frame__BodyCase want);

/* A submit, check or act of `s`, whose bytes are sent as they are. Holds a reference. Gives: *out. Errors:
 * LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code engine_signed_call(struct liaison *l, struct sealed *s,
                                     Liaison__V1__Frame__BodyCase body, bool strip,
                                     struct outcall **out);

/* Queues the call. Takes: c. Returns its number. */
uint64_t engine_send(struct liaison *l, struct outcall *c);

/* Sends the call and waits for its answer, which is given also when it is a refusal. Takes: c.
 * Errors: the answer's code; those of connecting that do not pass; the sentence is kept. */
MUST_CHECK
enum liaison_code engine_await(struct liaison *l, struct outcall *c,
                               struct liaison_answer **answer);

/* Runs until an answer is there, or a delivery if that is what is wanted, at most until `deadline_ms`.
 * Errors: LIAISON_TIMEOUT; those of connecting that do not pass. */
MUST_CHECK
enum liaison_code engine_receive(struct liaison *l, bool delivery, int64_t deadline_ms,
                                 struct liaison_answer **answer);

/* Runs until met(l, arg), at most until `deadline_ms`. Errors: as engine_receive. */
typedef bool engine_met(struct liaison *l, void *arg);
MUST_CHECK
enum liaison_code engine_until(struct liaison *l, engine_met *met, void *arg, int64_t deadline_ms);

/* Connects, one try. Errors: all of connecting. */
MUST_CHECK
enum liaison_code engine_connect(struct liaison *l);
