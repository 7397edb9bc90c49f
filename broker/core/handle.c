/* Whose call it is, whether it is taken now, and by whom. */
#include <stdio.h>
#include <time.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "broker/rules/admit.h"

static handler *handler_of(Liaison__V1__Frame__BodyCase body)
{
    switch ((int)body) {
    case LIAISON__V1__FRAME__BODY_SUBMIT:
        return submit_call;
    case LIAISON__V1__FRAME__BODY_CHECK:
        return check_call;
    case LIAISON__V1__FRAME__BODY_ACT:
        return act_call;
    case LIAISON__V1__FRAME__BODY_LIST:
        return list_call;
    case LIAISON__V1__FRAME__BODY_OPEN:
        return open_call;
    case LIAISON__V1__FRAME__BODY_HISTORY:
        return history_call;
    case LIAISON__V1__FRAME__BODY_DIRECTORY:
        return directory_call;
    case LIAISON__V1__FRAME__BODY_GRANT:
        return grant_call;
    case LIAISON__V1__FRAME__BODY_ACK:
        return ack_call;
    case LIAISON__V1__FRAME__BODY_ENTRIES:
        return entries_call;
    case LIAISON__V1__FRAME__BODY_PROVE:
        return prove_call;
    case LIAISON__V1__FRAME__BODY_COSIGN:
        return cosign_call;
    case LIAISON__V1__FRAME__BODY_SUMMARIZE:
        return summarize_call;
    case LIAISON__V1__FRAME__BODY_HASHES:
        return hashes_call;
    case LIAISON__V1__FRAME__BODY_RULE_TEXT:
        return rule_text_call;
    default:
        return NULL;
    }
}

/* Reads that never leave an entry. */
static bool proves(handler *h)
{
    return h == prove_call || h == hashes_call || h == rule_text_call;
}

/* What evidence mode still answers, to auditors. */
static bool leaves_no_entry(handler *h)
{
    return proves(h) || h == entries_call;
}

/* Why nobody's call of this sort is taken now; LIAISON_OK: it is. */
static enum liaison_code closed_to(const struct core *core, const struct session *s,
                                   handler *h)
{
    if (core->evidence)
        return s->role == TLS_AUDITOR && leaves_no_entry(h) ? LIAISON_OK
                                                            : LIAISON_EVIDENCE;
    return s->role != TLS_AUDITOR && notes_overdue(core) ? LIAISON_UNSIGNED : LIAISON_OK;
}

static enum liaison_code admits(struct batch *b, const struct session *s,
                                const uint8_t certificate[32], char *why, size_t why_len)
{
    struct tls_identity who = {.role = s->role};

    snprintf(who.name, sizeof who.name, "%s", s->name);
    memcpy(who.certificate, certificate, sizeof who.certificate);
    return rules_admit(b->core->settings.rules, &who, batch_day(b), why, why_len);
}

/* The gate let the peer in and took its signature under rules that may be others by now, or on another day. What it has signed
 * with for the first time is told. False: the batch has failed. */
static bool judge_speaker(struct batch *b, struct call *c, const struct session *s)
{
    char why[3 * ID_NAME_MAX];

    bool is_signed = c->envelope != NULL || c->action != NULL;

    if (c->code != LIAISON_OK)
        return true;
    c->code = admits(b, s, s->certificate, why, sizeof why);
    if (c->code == LIAISON_OK && is_signed)
        c->code = admits(b, s, c->signer, why, sizeof why);
    if (c->code != LIAISON_OK)
        c->why = (char *)arena_copy(c->arena, slice_text(why));
    return c->code != LIAISON_OK || !is_signed || key_spoke(b, s, c->signer);
}

static void handle_frame(struct batch *b, struct call *c)
{
    struct session *s = map_get(b->core->sessions, c->session);
    handler *h = handler_of(c->frame->body_case);
    enum liaison_code closed;

    if (s ==
        NULL) /* closed meanwhile: nobody is left to answer, and nothing was promised */
        return;
    if (h == NULL)
        core_error(b, c, LIAISON_UNSUPPORTED, NULL);
    else if ((closed = closed_to(b->core, s, h)) != LIAISON_OK)
        core_error(b, c, closed, NULL);
    else if (judge_speaker(b, c, s))
        h(b, c, s);
}

static void confirm_clock(struct batch *b)
{
    ledger_clock_confirm(&b->core->clock, core_clock_ns(CLOCK_REALTIME),
                         core_clock_ns(CLOCK_BOOTTIME));
    log_warn("clock.confirmed", "what=\"%s\"", "the wall clock is followed again");
    broker_entry(b, LIAISON__V1__EVENT__EVENT_CLOCK_STEP, NULL);
}

/* What is not a peer's call leaves an entry; as evidence the log takes none. */
void core_handle(struct batch *b, struct call *c)
{
    if (b->core->evidence && (c->kind == CALL_STRANGERS || c->kind == CALL_REFUSED ||
                              c->kind == CALL_CUT || c->kind == CALL_CLOCK))
        return;
    switch (c->kind) {
    case CALL_OPENED:
        peer_opened(b, c);
        return;
    case CALL_CLOSED:
        peer_closed(b->core, c->session);
        return;
    case CALL_FRAME:
        handle_frame(b, c);
        return;
    case CALL_STRANGERS:
        peer_strangers(b, c);
        return;
    case CALL_REFUSED:
        peer_refused(b, c, LIAISON__V1__EVENT__EVENT_SESSION);
        return;
    case CALL_CUT:
        peer_refused(b, c, LIAISON__V1__EVENT__EVENT_SESSION_CUT);
        return;
    case CALL_CHECKED:
        return; /* main's, behind the commit of those that were cut */
    case CALL_CLOCK:
        confirm_clock(b);
        return;
    case CALL_ERASE:
    case CALL_RELOAD:
        return; /* have batches of their own: erase_run(), reload_step() */
    case CALL_STOP:
        b->core->stopping = true;
        return;
    case CALL_ANSWER:
    case CALL_PUSH:
    case CALL_ENDED:
        return; /* ours to send, not to get */
    }
}

bool core_handle_proof(struct batch *b, struct call *c)
{
    if (c->kind != CALL_FRAME || !proves(handler_of(c->frame->body_case)))
        return false;
    handle_frame(b, c);
    return true;
}
