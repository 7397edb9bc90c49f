#include "client/lib/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/words.h"
#include "proto/err.h"
#include "proto/valid.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

static const char *const KINDS[] = {
    [BODY(ERROR)] = "error",
    [BODY(ACCEPTED)] = "accepted",
    [BODY(DUPLICATE)] = "duplicate",
    [BODY(REFUSED)] = "refused",
    [BODY(DECISION)] = "decision",
    [BODY(CARDS)] = "cards",
    [BODY(HISTORY_PAGE)] = "history",
    [BODY(AGENCIES)] = "agencies",
    [BODY(VIEW)] = "view",
    [BODY(DELIVER)] = "deliver",
    [BODY(DONE)] = "done",
    [BODY(ENTRIES_PAGE)] = "entries",
    [BODY(PROOF)] = "proof",
    [BODY(SUMMARY)] = "summary",
    [BODY(HASH_PAGE)] = "hashes",
    [BODY(RULE_TEXT_PAGE)] = "rule-text",
};

static struct liaison_answer *answer_empty(void)
{
    struct arena *arena = arena_new();
    struct liaison_answer *a = arena == NULL ? NULL : arena_zero(arena, sizeof *a);

    if (a == NULL) {
        arena_free(arena);
        return NULL;
    }
    a->arena = arena;
    a->text = "";
    return a;
}

static const Liaison__V1__Deliver *deliver(const struct liaison_answer *a)
{
    return a->frame != NULL && a->frame->body_case == BODY(DELIVER) ? a->frame->deliver
                                                                    : NULL;
}

const Liaison__V1__Alert *answer_alert(const struct liaison_answer *a)
{
    const Liaison__V1__Deliver *d = deliver(a);

    return d != NULL && d->item_case == LIAISON__V1__DELIVER__ITEM_ALERT ? d->alert
                                                                         : NULL;
}

static const ProtobufCBinaryData *entry_of(const struct liaison_answer *a)
{
    const Liaison__V1__Accepted *accepted = answer_accepted(a);

    if (accepted != NULL)
        return &accepted->entry;
    if (a->frame != NULL && a->frame->body_case == BODY(SUMMARY))
        return &a->frame->summary->entry;
    if (answer_alert(a) != NULL)
        return &answer_alert(a)->entry;
    return a->frame != NULL && a->frame->body_case == BODY(REFUSED)
               ? &a->frame->refused->entry
               : NULL;
}

/* What the broker's answer says in a code and a sentence. */
static void judge(struct liaison_answer *a)
{
    const Liaison__V1__Frame *f = a->frame;
    const char *text = "";

    if (f->body_case == BODY(ERROR)) {
        a->code =
            f->error->code == 0 ? LIAISON_PROTOCOL : (enum liaison_code)f->error->code;
        text = f->error->text;
    } else if (f->body_case == BODY(REFUSED)) {
        a->code = f->refused->code == 0 ? LIAISON_PROTOCOL
                                        : (enum liaison_code)f->refused->code;
        text = f->refused->text;
    } else if (f->body_case == BODY(DECISION)) {
        a->code = (enum liaison_code)f->decision->code;
        text = f->decision->text;
    }
    a->text = text[0] != '\0' ? text : err_text(a->code);
}

static enum liaison_code decode(struct liaison_answer *a)
{
    const void *m;
    enum liaison_code code =
        valid_decode(&liaison__v1__frame__descriptor, a->bytes, a->arena, &m);

    if (code != LIAISON_OK)
        return code;
    a->frame = m;
    judge(a);
    const ProtobufCBinaryData *entry = entry_of(a);

    if (entry == NULL || entry->len == 0)
        return LIAISON_OK;
    code = valid_decode(&liaison__v1__ledger_entry__descriptor,
                        slice(entry->data, entry->len), a->arena, &m);
    if (code == LIAISON_OK)
        a->entry = m;
    return code;
}

enum liaison_code answer_new(struct slice frame, struct liaison_answer **out)
{
    struct liaison_answer *a = answer_empty();
    enum liaison_code code = LIAISON_MEMORY;

    if (a == NULL)
        return code;
    a->bytes = slice(arena_copy(a->arena, frame), frame.n);
    if (a->bytes.p != NULL)
        code = decode(a);
    if (code != LIAISON_OK) {
        liaison_answer_free(a);
        return code;
    }
    *out = a;
    return LIAISON_OK;
}

struct liaison_answer *answer_local(enum liaison_code code, const char *text)
{
    struct liaison_answer *a = answer_empty();

    if (a != NULL)
        answer_say(a, code, "%s", text);
    return a;
}

void answer_say(struct liaison_answer *a, enum liaison_code code, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const uint8_t *copy = arena_copy(a->arena, slice_text(text));

    a->code = code;
    a->text = copy == NULL ? err_text(code) : (const char *)copy;
}

const Liaison__V1__Accepted *answer_accepted(const struct liaison_answer *a)
{
    if (a->frame == NULL)
        return NULL;
    if (a->frame->body_case == BODY(ACCEPTED))
        return a->frame->accepted;
    return a->frame->body_case == BODY(DUPLICATE) ? a->frame->duplicate : NULL;
}

static const Liaison__V1__Notice *notice(const struct liaison_answer *a)
{
    const Liaison__V1__Deliver *d = deliver(a);

    return d != NULL && d->item_case == LIAISON__V1__DELIVER__ITEM_NOTICE ? d->notice
                                                                          : NULL;
}

const Liaison__V1__Card *answer_card(const struct liaison_answer *a)
{
    const Liaison__V1__Deliver *d = deliver(a);

    if (answer_alert(a) != NULL)
        return answer_alert(a)->card;
    if (d != NULL)
        return d->item_case == LIAISON__V1__DELIVER__ITEM_REFERRAL ? d->referral : NULL;
    return a->frame != NULL && a->frame->body_case == BODY(VIEW) ? a->frame->view->card
                                                                 : NULL;
}

/* ---------------------------------------------------------------- getters */

void liaison_answer_free(struct liaison_answer *a)
{
    if (a == NULL)
        return;
    log_note_free(a->note);
    arena_free(a->arena); /* the answer lies in it */
}

uint64_t liaison_answer_call(const struct liaison_answer *a)
{
    return a->call;
}

enum liaison_code liaison_answer_code(const struct liaison_answer *a)
{
    return a->code;
}

const char *liaison_answer_text(const struct liaison_answer *a)
{
    return a->text;
}

const char *liaison_answer_kind(const struct liaison_answer *a)
{
    size_t kind = a->frame == NULL ? SIZE_MAX : (size_t)a->frame->body_case;
    const char *name = kind < sizeof KINDS / sizeof *KINDS ? KINDS[kind] : NULL;

    return name == NULL ? "local" : name;
}

static const uint8_t *give(struct slice bytes, size_t *len)
{
    *len = bytes.n;
    return bytes.n == 0 ? NULL : bytes.p;
}

const uint8_t *liaison_answer_frame(const struct liaison_answer *a, size_t *len)
{
    return give(a->bytes, len);
}

const uint8_t *liaison_answer_entry(const struct liaison_answer *a, size_t *len)
{
    const ProtobufCBinaryData *entry = entry_of(a);

    return give(entry == NULL ? slice(NULL, 0) : slice(entry->data, entry->len), len);
}

const uint8_t *liaison_answer_opening(const struct liaison_answer *a, size_t *len)
{
    const Liaison__V1__Accepted *accepted = answer_accepted(a);
    ProtobufCBinaryData opening = {0, NULL};

    if (accepted != NULL)
        opening = accepted->opening;
    else if (a->frame != NULL && a->frame->body_case == BODY(REFUSED))
        opening = a->frame->refused->opening;
    else if (a->frame != NULL && a->frame->body_case == BODY(SUMMARY))
        opening = a->frame->summary->opening;
    return give(slice(opening.data, opening.len), len);
}

uint64_t liaison_answer_seq(const struct liaison_answer *a)
{
    return a->entry == NULL ? 0 : a->entry->seq;
}

uint64_t liaison_answer_time_ns(const struct liaison_answer *a)
{
    return a->entry == NULL ? 0 : a->entry->time_ns;
}

static int state_of(const struct liaison_answer *a)
{
    if (answer_accepted(a) != NULL)
        return (int)answer_accepted(a)->state;
    if (answer_card(a) != NULL)
        return (int)answer_card(a)->state;
    return notice(a) == NULL ? 0 : (int)notice(a)->state;
}

/* The words of liaison.proto's State, spelled out so that a getter can lend them for ever. */
static const char *const STATES[] = {
    [LIAISON__V1__STATE__STATE_UNSPECIFIED] = "",
    [LIAISON__V1__STATE__STATE_REQUESTED] = "requested",
    [LIAISON__V1__STATE__STATE_RECEIVED] = "received",
    [LIAISON__V1__STATE__STATE_ACCEPTED] = "accepted",
    [LIAISON__V1__STATE__STATE_REJECTED] = "rejected",
    [LIAISON__V1__STATE__STATE_IN_PROGRESS] = "in-progress",
    [LIAISON__V1__STATE__STATE_ON_HOLD] = "on-hold",
    [LIAISON__V1__STATE__STATE_CANCEL_REQUESTED] = "cancel-requested",
    [LIAISON__V1__STATE__STATE_CANCELLED] = "cancelled",
    [LIAISON__V1__STATE__STATE_COMPLETED] = "completed",
    [LIAISON__V1__STATE__STATE_FAILED] = "failed",
    [LIAISON__V1__STATE__STATE_ENTERED_IN_ERROR] = "entered-in-error",
    [LIAISON__V1__STATE__STATE_EXPIRED] = "expired",
};

const char *liaison_answer_state(const struct liaison_answer *a)
{
    size_t state = (size_t)state_of(a);

    return state < sizeof STATES / sizeof *STATES ? STATES[state] : "";
}

uint32_t liaison_answer_state_version(const struct liaison_answer *a)
{
    if (answer_accepted(a) != NULL)
        return answer_accepted(a)->state_version;
    if (answer_card(a) != NULL)
        return answer_card(a)->state_version;
    return notice(a) == NULL ? 0 : notice(a)->state_version;
}

const char *liaison_answer_granted(const struct liaison_answer *a, size_t i)
{
    if (answer_accepted(a) != NULL)
        return i < answer_accepted(a)->n_granted ? answer_accepted(a)->granted[i] : NULL;
    if (answer_card(a) != NULL)
        return i < answer_card(a)->n_granted ? answer_card(a)->granted[i] : NULL;
    if (a->frame == NULL || a->frame->body_case != BODY(DECISION))
        return NULL;
    return i < a->frame->decision->n_granted ? a->frame->decision->granted[i] : NULL;
}

static const Liaison__V1__Rule *rule(const struct liaison_answer *a, size_t i)
{
    if (a->frame != NULL && a->frame->body_case == BODY(REFUSED))
        return i < a->frame->refused->n_rules ? a->frame->refused->rules[i] : NULL;
    if (a->frame != NULL && a->frame->body_case == BODY(DECISION))
        return i < a->frame->decision->n_rules ? a->frame->decision->rules[i] : NULL;
    if (a->frame != NULL && a->frame->body_case == BODY(RULE_TEXT_PAGE))
        return i < a->frame->rule_text_page->n_rules ? a->frame->rule_text_page->rules[i]
                                                     : NULL;
    return NULL;
}

const char *liaison_answer_rule(const struct liaison_answer *a, size_t i)
{
    return rule(a, i) == NULL ? NULL : rule(a, i)->text;
}

const char *liaison_answer_rule_where(const struct liaison_answer *a, size_t i)
{
    return rule(a, i) == NULL ? NULL : rule(a, i)->where;
}

uint64_t liaison_answer_mailbox(const struct liaison_answer *a)
{
    return deliver(a) == NULL ? 0 : deliver(a)->mailbox;
}

uint64_t liaison_answer_lease(const struct liaison_answer *a)
{
    return deliver(a) == NULL ? 0 : deliver(a)->lease;
}

uint32_t liaison_answer_attempt(const struct liaison_answer *a)
{
    return deliver(a) == NULL ? 0 : deliver(a)->attempt;
}

size_t liaison_answer_signed(const struct liaison_answer *a)
{
    if (a->frame != NULL && a->frame->body_case == BODY(CARDS))
        return a->frame->cards->n_cards;
    if (a->frame != NULL && a->frame->body_case == BODY(VIEW))
        return 1 + a->frame->view->n_actions;
    return answer_card(a) != NULL || notice(a) != NULL;
}

/* ---------------------------------------------------------------- of the log */

static struct slice of(ProtobufCBinaryData bytes)
{
    return slice(bytes.data, bytes.len);
}

const uint8_t *liaison_answer_note(const struct liaison_answer *a, size_t *len)
{
    bool proof = a->frame != NULL && a->frame->body_case == BODY(PROOF);

    return give(proof ? of(a->frame->proof->checkpoint) : slice(NULL, 0), len);
}

int liaison_answer_verified(const struct liaison_answer *a)
{
    return a->note != NULL;
}

int liaison_answer_counter(const struct liaison_answer *a, size_t i, uint64_t *seq,
                           uint64_t *counter)
{
    if (a->frame == NULL || a->frame->body_case != BODY(ENTRIES_PAGE) ||
        i >= a->frame->entries_page->n_counters)
        return 0;
    *seq = a->frame->entries_page->counters[i]->seq;
    *counter = a->frame->entries_page->counters[i]->counter;
    return 1;
}

uint64_t liaison_answer_count(const struct liaison_answer *a)
{
    return a->frame != NULL && a->frame->body_case == BODY(SUMMARY)
               ? a->frame->summary->counter
               : 0;
}

const uint8_t *liaison_answer_bytes(const struct liaison_answer *a, size_t *len)
{
    if (a->frame != NULL && a->frame->body_case == BODY(HASH_PAGE))
        return give(of(a->frame->hash_page->hashes), len);
    return give(a->frame != NULL && a->frame->body_case == BODY(RULE_TEXT_PAGE)
                    ? of(a->frame->rule_text_page->text)
                    : slice(NULL, 0),
                len);
}
