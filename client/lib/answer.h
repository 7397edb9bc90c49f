#pragma once
/* What came back: a frame that was decoded strictly, or a verdict of the library's own. */
#include "client/lib/liaison.h"
#include "client/lib/log.h"
#include "proto/arena.h"
#include "proto/liaison.pb-c.h"

struct liaison_answer {
    struct liaison_answer *next;
    struct arena *arena; /* holds all below */
    uint64_t call;
    enum liaison_code code;
    const char *text;
    struct slice bytes; /* the frame as it came */
    const Liaison__V1__Frame *frame;
    const Liaison__V1__LedgerEntry
        *entry; /* of accepted, duplicate, refused, summary, an alert; may be NULL */
    struct log_note *note; /* of proof: verified by the policy; NULL: not */
};

/* Takes a frame apart. Gives: *out. Errors: LIAISON_MALFORMED, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code answer_new(struct slice frame, struct liaison_answer **out);

/* Gives: an answer of the library's own, or NULL when memory is out. */
struct liaison_answer *answer_local(enum liaison_code code, const char *text);

/* Says otherwise than the broker. */
__attribute__((format(printf, 3, 4))) void
answer_say(struct liaison_answer *a, enum liaison_code code, const char *format, ...);

/* The Accepted of accepted and duplicate, else NULL. */
const Liaison__V1__Accepted *answer_accepted(const struct liaison_answer *a);

/* The alert of deliver, else NULL. */
const Liaison__V1__Alert *answer_alert(const struct liaison_answer *a);

/* The one card of deliver (a referral's or an alert's) and view, else NULL. */
const Liaison__V1__Card *answer_card(const struct liaison_answer *a);
