#pragma once
/* The life cycle as one pure table: (type, state, event, actor) -> state and what the event must carry.
 * What the table does not hold is refused. Source: PROTOCOL.md, "State table" (a test compares the two). */
#include "liaison-codes.h"
#include "proto/liaison.pb-c.h"
#include "proto/slice.h"

enum referral_event {
    REFERRAL_SUBMIT,
    REFERRAL_RECEIVED, /* noted by the broker: card listed or delivery acknowledged */
    REFERRAL_ACCEPT,
    REFERRAL_REJECT,
    REFERRAL_START,
    REFERRAL_COMPLETE,
    REFERRAL_WITHDRAW,
    REFERRAL_APPROVE,
    REFERRAL_ACKNOWLEDGE,
    REFERRAL_PERMIT,
    REFERRAL_EVENT__COUNT
};

/* An approver is one of the sender's; what it may do besides approving, it does as the sender. */
enum referral_party {
    REFERRAL_SENDER,
    REFERRAL_RECIPIENT,
    REFERRAL_BROKER,
    REFERRAL_APPROVER,
    REFERRAL_STRANGER
};

struct referral_step {
    Liaison__V1__State next;
    bool needs_reason;
    const char *needs_section; /* must flow back with it; NULL: none */
    bool moves_responsibility; /* to the recipient */
    bool discloses;            /* more may be seen after it, by somebody: the rules are asked again first */
    Liaison__V1__Event logged_as;
};

/* The event that a signed move stands for. False for numbers that are no move. */
MUST_CHECK
bool referral_event_of(Liaison__V1__Move move, enum referral_event *out);

/* Looks up one step.
 * Errors: LIAISON_PARTY (the state allows the event, but to the other party), LIAISON_STATE, LIAISON_UNSUPPORTED (type). */
MUST_CHECK
enum liaison_code referral_step(Liaison__V1__Type type, Liaison__V1__State state, enum referral_event event,
                                enum referral_party party, struct referral_step *out);

/* True once nothing can follow. */
bool referral_finished(Liaison__V1__State state);

/* The word for people and rules: "in-progress". */
const char *referral_state_text(Liaison__V1__State state);

/* Row i of the table as text for PROTOCOL.md: "| transfer | requested | accept | recipient | accepted | ... |\n"; false past the
 * last. `liaisond` does not print it; the test that keeps the page and the table alike does. */
bool referral_row_text(size_t i, char *out, size_t out_len);
