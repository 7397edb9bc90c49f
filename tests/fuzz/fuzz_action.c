/* Bytes that claim to be a SignedAction, taken as far as the core takes them: decoded strictly, checked, looked up in the
 * life cycle, and logged. Whatever passes as valid must be a move, and the entry about it must itself be strict. */
#include <stdlib.h>

#include "broker/ledger/ledger.h"
#include "broker/referral/referral.h"
#include "proto/commit.h"
#include "proto/valid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t OPENING[HASH_BYTES] = "an opening for fuzzing only.....";

static const uint8_t NOTHING[1];

/* valid.h: the same message encodes to the same bytes. */
static const void *decode(const ProtobufCMessageDescriptor *d, struct slice bytes,
                          struct arena *a)
{
    const void *m;
    if (bytes.n == 0)
        bytes.p = NOTHING; /* libFuzzer and protobuf-c give NULL */
    if (valid_decode(d, bytes, a, &m) != LIAISON_OK)
        return NULL;
    if (!slice_equal(arena_pack(a, m), bytes))
        abort();
    return m;
}

/* ledger.h: the entry is strict and opens to what was acted on, or is refused as too long. */
static void log_step(struct hash *h, struct arena *a, const Liaison__V1__Action *action,
                     struct slice signed_bytes, const struct referral_step *step,
                     Liaison__V1__State before)
{
    const struct ledger_fact fact = {
        .event = step->logged_as,
        .operation = LIAISON__V1__OPERATION__OPERATION_ALTERATION,
        .agency = action->agency,
        .counterpart = action->referral->from,
        .officer = action->officer,
        .referral_id = slice(action->referral->id.data, action->referral->id.len),
        .request_id = slice(action->id.data, action->id.len),
        .purpose = action->purpose,
        .basis = action->basis,
        .before = before,
        .after = step->next,
        .content = signed_bytes,
    };
    const struct ledger_place place = {.seq = 1,
                                       .time_ns = 1,
                                       .clock = LIAISON__V1__CLOCK__CLOCK_SYNCED,
                                       .opening = OPENING};
    struct slice bytes;
    enum liaison_code code = ledger_entry(h, a, &fact, &place, &bytes);
    if (code == LIAISON_LIMIT)
        return;
    if (code != LIAISON_OK || bytes.n > LEDGER_ENTRY_MAX)
        abort();
    const Liaison__V1__LedgerEntry *e =
        decode(&liaison__v1__ledger_entry__descriptor, bytes, a);
    if (e == NULL || !commit_check(h, OPENING, COMMIT_CONTENT, signed_bytes, e))
        abort();
}

/* Approving, acknowledging and permitting change what may be seen, and not the state. */
static bool stays(enum referral_event event)
{
    return event == REFERRAL_APPROVE || event == REFERRAL_ACKNOWLEDGE ||
           event == REFERRAL_PERMIT;
}

/* referral.h: one party at most may take a step, a finished referral takes none, and other steps lead somewhere else. */
static void take_steps(struct hash *h, struct arena *a, const Liaison__V1__Action *action,
                       struct slice signed_bytes)
{
    enum referral_event event;
    if (!referral_event_of(action->move, &event))
        abort(); /* valid.h let it pass */
    for (int state = 0; state <= LIAISON__V1__STATE__STATE_EXPIRED; state++) {
        int allowed = 0;
        Liaison__V1__State now = (Liaison__V1__State)state;
        for (int party = REFERRAL_SENDER; party <= REFERRAL_STRANGER; party++) {
            struct referral_step step;
            if (referral_step(LIAISON__V1__TYPE__TYPE_TRANSFER, now, event,
                              (enum referral_party)party, &step) != LIAISON_OK)
                continue;
            if (++allowed > 1 || party == REFERRAL_STRANGER || referral_finished(now) ||
                (step.next == now) != stays(event))
                abort();
            log_step(h, a, action, signed_bytes, &step, now);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    struct hash *h = hash_new();
    const Liaison__V1__SignedAction *m =
        decode(&liaison__v1__signed_action__descriptor, slice(data, size), a);
    if (m != NULL) {
        struct slice signed_bytes = slice(m->action.data, m->action.len);
        const Liaison__V1__Action *action =
            decode(&liaison__v1__action__descriptor, signed_bytes, a);
        const char *why = NULL;
        enum liaison_code code =
            action == NULL ? LIAISON_MALFORMED : valid_action(action, &why);
        if (code == LIAISON_OK)
            take_steps(h, a, action, signed_bytes);
        else if (action != NULL && why == NULL)
            abort(); /* valid.h: on error *why names the field */
    }
    hash_free(h);
    arena_free(a);
    return 0;
}
