#include "broker/referral/referral.h"

#include <stdio.h>

/* The generated names are longer than the table's columns. */
#define TYPE(t)  LIAISON__V1__TYPE__TYPE_##t
#define STATE(s) LIAISON__V1__STATE__STATE_##s
#define EVENT(e) LIAISON__V1__EVENT__EVENT_##e
#define MOVE(m)  LIAISON__V1__MOVE__MOVE_##m

enum needs { NOTHING, REASON, OUTCOME };

/* The life of a referral and of a transfer; what is not here is refused. */
static const struct row {
    Liaison__V1__State state;
    enum referral_event event;
    enum referral_party party;
    Liaison__V1__State next;
    enum needs needs;
} ROWS[] = {
    {STATE(UNSPECIFIED), REFERRAL_SUBMIT, REFERRAL_SENDER, STATE(REQUESTED), NOTHING},
    {STATE(REQUESTED), REFERRAL_RECEIVED, REFERRAL_BROKER, STATE(RECEIVED), NOTHING},
    {STATE(REQUESTED), REFERRAL_ACCEPT, REFERRAL_RECIPIENT, STATE(ACCEPTED), NOTHING},
    {STATE(RECEIVED), REFERRAL_ACCEPT, REFERRAL_RECIPIENT, STATE(ACCEPTED), NOTHING},
    {STATE(REQUESTED), REFERRAL_REJECT, REFERRAL_RECIPIENT, STATE(REJECTED), REASON},
    {STATE(RECEIVED), REFERRAL_REJECT, REFERRAL_RECIPIENT, STATE(REJECTED), REASON},
    {STATE(ACCEPTED), REFERRAL_START, REFERRAL_RECIPIENT, STATE(IN_PROGRESS), NOTHING},
    {STATE(ACCEPTED), REFERRAL_COMPLETE, REFERRAL_RECIPIENT, STATE(COMPLETED), OUTCOME},
    {STATE(IN_PROGRESS), REFERRAL_COMPLETE, REFERRAL_RECIPIENT, STATE(COMPLETED),
     OUTCOME},
    {STATE(REQUESTED), REFERRAL_WITHDRAW, REFERRAL_SENDER, STATE(CANCELLED), REASON},
    {STATE(RECEIVED), REFERRAL_WITHDRAW, REFERRAL_SENDER, STATE(CANCELLED), REASON},
    {STATE(REQUESTED), REFERRAL_APPROVE, REFERRAL_APPROVER, STATE(REQUESTED), NOTHING},
    {STATE(RECEIVED), REFERRAL_ACKNOWLEDGE, REFERRAL_RECIPIENT, STATE(RECEIVED), NOTHING},
    {STATE(ACCEPTED), REFERRAL_ACKNOWLEDGE, REFERRAL_RECIPIENT, STATE(ACCEPTED), NOTHING},
    {STATE(IN_PROGRESS), REFERRAL_ACKNOWLEDGE, REFERRAL_RECIPIENT, STATE(IN_PROGRESS),
     NOTHING},
    {STATE(RECEIVED), REFERRAL_PERMIT, REFERRAL_SENDER, STATE(RECEIVED), NOTHING},
    {STATE(ACCEPTED), REFERRAL_PERMIT, REFERRAL_SENDER, STATE(ACCEPTED), NOTHING},
    {STATE(IN_PROGRESS), REFERRAL_PERMIT, REFERRAL_SENDER, STATE(IN_PROGRESS), NOTHING},
};

enum { N_ROWS = sizeof ROWS / sizeof *ROWS };

static const Liaison__V1__Type TYPES[] = {TYPE(REFERRAL), TYPE(TRANSFER)};

enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

static const char *const TYPE_TEXT[] = {[TYPE(REFERRAL)] = "referral",
                                        [TYPE(TRANSFER)] = "transfer"};

static const struct {
    const char *text;
    Liaison__V1__Event logged_as;
    bool discloses;
} EVENTS[REFERRAL_EVENT__COUNT] = {
    [REFERRAL_SUBMIT] = {"submit", EVENT(SUBMIT), false},
    [REFERRAL_RECEIVED] = {"received", EVENT(RECEIVED), false},
    [REFERRAL_ACCEPT] = {"accept", EVENT(ACCEPT), true},
    [REFERRAL_REJECT] = {"reject", EVENT(REJECT), false},
    [REFERRAL_START] = {"start", EVENT(IN_PROGRESS), false},
    [REFERRAL_COMPLETE] = {"complete", EVENT(COMPLETE), true},
    [REFERRAL_WITHDRAW] = {"withdraw", EVENT(WITHDRAW), false},
    [REFERRAL_APPROVE] = {"approve", EVENT(APPROVE), true},
    [REFERRAL_ACKNOWLEDGE] = {"acknowledge", EVENT(ACKNOWLEDGE), true},
    [REFERRAL_PERMIT] = {"permit", EVENT(PERMIT), true},
};

static const char *const NEEDS_TEXT[] = {
    [NOTHING] = "-", [REASON] = "a reason", [OUTCOME] = "section outcome"};

static const char *const PARTY_TEXT[] = {[REFERRAL_SENDER] = "sender",
                                         [REFERRAL_RECIPIENT] = "recipient",
                                         [REFERRAL_BROKER] = "broker",
                                         [REFERRAL_APPROVER] = "approver"};

static const struct {
    const char *text;
    bool finished;
} STATES[] = {
    [STATE(UNSPECIFIED)] = {"none", false},
    [STATE(REQUESTED)] = {"requested", false},
    [STATE(RECEIVED)] = {"received", false},
    [STATE(ACCEPTED)] = {"accepted", false},
    [STATE(REJECTED)] = {"rejected", true},
    [STATE(IN_PROGRESS)] = {"in-progress", false},
    [STATE(ON_HOLD)] = {"on-hold", false},
    [STATE(CANCEL_REQUESTED)] = {"cancel-requested", false},
    [STATE(CANCELLED)] = {"cancelled", true},
    [STATE(COMPLETED)] = {"completed", true},
    [STATE(FAILED)] = {"failed", true},
    [STATE(ENTERED_IN_ERROR)] = {"entered-in-error", true},
    [STATE(EXPIRED)] = {"expired", true},
};

static const struct {
    Liaison__V1__Move move;
    enum referral_event event;
} MOVED_BY[] = {
    {MOVE(ACCEPT), REFERRAL_ACCEPT},
    {MOVE(REJECT), REFERRAL_REJECT},
    {MOVE(START), REFERRAL_START},
    {MOVE(COMPLETE), REFERRAL_COMPLETE},
    {MOVE(WITHDRAW), REFERRAL_WITHDRAW},
    {MOVE(APPROVE), REFERRAL_APPROVE},
    {MOVE(ACKNOWLEDGE), REFERRAL_ACKNOWLEDGE},
    {MOVE(PERMIT), REFERRAL_PERMIT},
};

bool referral_event_of(Liaison__V1__Move move, enum referral_event *out)
{
    for (size_t i = 0; i < sizeof MOVED_BY / sizeof *MOVED_BY; i++)
        if (MOVED_BY[i].move == move) {
            *out = MOVED_BY[i].event;
            return true;
        }
    return false;
}

static struct referral_step step_of(Liaison__V1__Type type, const struct row *row)
{
    return (struct referral_step){
        .next = row->next,
        .needs_reason = row->needs == REASON,
        .needs_section = row->needs == OUTCOME ? "outcome" : NULL,
        .moves_responsibility = type == TYPE(TRANSFER) && row->event == REFERRAL_ACCEPT,
        .discloses = EVENTS[row->event].discloses,
        .logged_as = EVENTS[row->event].logged_as,
    };
}

static bool supported(Liaison__V1__Type type)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (TYPES[i] == type)
            return true;
    return false;
}

enum liaison_code referral_step(Liaison__V1__Type type, Liaison__V1__State state,
                                enum referral_event event, enum referral_party party,
                                struct referral_step *out)
{
    if (!supported(type))
        return LIAISON_UNSUPPORTED;
    enum liaison_code code = LIAISON_STATE;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (ROWS[i].state != state || ROWS[i].event != event)
            continue;
        if (ROWS[i].party == party) {
            *out = step_of(type, &ROWS[i]);
            return LIAISON_OK;
        }
        code = LIAISON_PARTY; /* somebody else might */
    }
    return code;
}

bool referral_finished(Liaison__V1__State state)
{
    return (size_t)state < sizeof STATES / sizeof *STATES && STATES[state].finished;
}

const char *referral_state_text(Liaison__V1__State state)
{
    return (size_t)state < sizeof STATES / sizeof *STATES ? STATES[state].text
                                                          : "unknown";
}

bool referral_row_text(size_t i, char *out, size_t out_len)
{
    if (i >= (size_t)N_ROWS * N_TYPES)
        return false;
    Liaison__V1__Type type = TYPES[i / N_ROWS];
    const struct row *row = &ROWS[i % N_ROWS];
    snprintf(
        out, out_len, "| %s | %s | %s | %s | %s | %s | %s |\n", TYPE_TEXT[type],
        referral_state_text(row->state), EVENTS[row->event].text, PARTY_TEXT[row->party],
        referral_state_text(row->next), NEEDS_TEXT[row->needs],
        step_of(type, row).moves_responsibility ? "moves to the recipient" : "stays");
    return true;
}
