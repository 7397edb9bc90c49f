/* The core behind a hand-made gate: real store, real rules, no network. All persons and places are invented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>

#include "proto/commit.h"

static const char RULES[] =
    "network \"practicies.example\"\n"
    "agency fr/lyon/prison kind prison area fr/lyon\n"
    "agency fr/lyon/probation kind probation area fr/lyon\n"
    "agency fr/lyon/rebond kind ngo area fr/lyon\n"
    "auditor fr/dpa of area fr\n"
    "allow transfer \"release-handover\" from kind prison to kind probation within area\n"
    "  purpose { reintegration } basis { law } sections { identity, custody } return { "
    "outcome, notes }\n"
    "allow referral \"mentoring\" from kind probation to kind ngo\n"
    "  purpose { reintegration } basis { consent } sections { identity } reveal on "
    "delivery\n";

#include "tests/unit/core_rig.h"

/* ------------------------------------------------------------ what holds */

static void an_accepted_referral_names_its_entry_and_the_opening_fits(void **state)
{
    struct rig *r = *state;
    struct slice envelope;
    const void *m;

    open_all(r);
    struct call *c = hand_over(r, &envelope);

    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_ACCEPTED);
    const Liaison__V1__Accepted *a = c->frame->accepted;

    assert_int_equal(valid_decode(&liaison__v1__ledger_entry__descriptor,
                                  slice(a->entry.data, a->entry.len), c->arena, &m),
                     LIAISON_OK);
    const Liaison__V1__LedgerEntry *e = m;

    assert_int_equal(e->event, LIAISON__V1__EVENT__EVENT_SUBMIT);
    assert_string_equal(e->agency, "fr/lyon/prison");
    assert_string_equal(e->counterpart, "fr/lyon/probation");
    assert_string_equal(e->responsible, "fr/lyon/prison");
    assert_int_equal(e->n_rules, 1);
    assert_int_equal(a->opening.len, 32);
    assert_true(commit_check(r->h, a->opening.data, COMMIT_CONTENT, envelope, e));
    assert_true(
        commit_check(r->h, a->opening.data, COMMIT_OFFICER, slice_text("4711"), e));
    assert_false(
        commit_check(r->h, a->opening.data, COMMIT_OFFICER, slice_text("4712"), e));
    call_free(c);
    free((void *)(uintptr_t)envelope.p);
}

static void the_same_bytes_again_get_the_first_answer_and_others_a_conflict(void **state)
{
    struct rig *r = *state;
    struct slice envelope;

    open_all(r);
    struct call *first = hand_over(r, &envelope);
    struct call *again = ask(r, submit(r, 1, envelope, SECTIONS, 2, false));

    assert_int_equal(again->frame->body_case, LIAISON__V1__FRAME__BODY_DUPLICATE);
    assert_true(slice_equal(arena_pack(first->arena, &first->frame->accepted->base),
                            arena_pack(again->arena, &again->frame->duplicate->base)));
    call_free(first);
    call_free(again);
    ((uint8_t *)(uintptr_t)envelope.p)[envelope.n - 1] ^= 1; /* the last digest */
    assert_code(ask(r, submit(r, 1, envelope, SECTIONS, 2, false)), LIAISON_CONFLICT);
    struct call *sent = list(r, 1, LIAISON__V1__BOX__BOX_SENT);

    assert_int_equal(sent->frame->cards->n_cards, 1);
    call_free(sent);
    free((void *)(uintptr_t)envelope.p);
}

/* T-24 */
static void what_is_refused_leaves_no_trace_of_its_body(void **state)
{
    struct rig *r = *state;
    struct slice envelope;

    open_all(r);
    struct arena *a = arena_new();

    envelope = envelope_bytes(a, "fr/lyon/prison", "fr/lyon/rebond", true);
    struct call *c = ask(r, submit(r, 1, envelope, SECTIONS, 1, false));

    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_REFUSED);
    assert_true(c->frame->refused->entry.len > 0);
    assert_code(c, LIAISON_NOT_ALLOWED);
    envelope = envelope_bytes(a, "fr/lyon/prison", "fr/lyon/probation", true);
    assert_code(ask(r, submit(r, 1, envelope, SECTIONS, 3, false)), LIAISON_SECTIONS);
    assert_false(on_disk(r, MARK));
    arena_free(a);
}

/* T-24 */
static void sections_that_no_rule_grants_are_gone_before_the_commit(void **state)
{
    struct rig *r = *state;
    struct arena *a = arena_new();
    uint8_t id[16];

    open_all(r);
    struct call *c = ask(
        r, submit(r, 1, envelope_bytes(a, "fr/lyon/prison", "fr/lyon/probation", true),
                  SECTIONS, 3, true));

    memcpy(id, LAST_ID, sizeof id);
    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_ACCEPTED);
    assert_int_equal(c->frame->accepted->n_granted, 2);
    call_free(c);
    assert_code(ask(r, act(r, 2, "fr/lyon/probation", "fr/lyon/prison", id,
                           LIAISON__V1__MOVE__MOVE_ACCEPT, 1, "")),
                LIAISON_OK);
    c = open_referral(r, 2, "fr/lyon/prison", id);
    assert_int_equal(c->frame->view->card->referral->n_sections, 2);
    call_free(c);
    assert_false(on_disk(r, MARK)); /* what was kept is under its key */
    arena_free(a);
}

static void a_card_shows_no_section_before_it_is_accepted(void **state)
{
    struct rig *r = *state;
    struct slice envelope;
    uint8_t id[16];

    open_all(r);
    call_free(hand_over(r, &envelope));
    memcpy(id, LAST_ID, sizeof id);
    struct call *c = list(r, 2, LIAISON__V1__BOX__BOX_INBOX);

    assert_int_equal(c->frame->cards->n_cards, 1);
    assert_int_equal(c->frame->cards->cards[0]->referral->n_sections, 0);
    assert_int_equal(c->frame->cards->cards[0]->n_granted, 2);
    assert_int_equal(c->frame->cards->cards[0]->state,
                     LIAISON__V1__STATE__STATE_RECEIVED);
    call_free(c);
    c = open_referral(r, 2, "fr/lyon/prison", id);
    assert_int_equal(c->frame->view->card->referral->n_sections, 0);
    call_free(c);
    assert_code(ask(r, act(r, 2, "fr/lyon/probation", "fr/lyon/prison", id,
                           LIAISON__V1__MOVE__MOVE_ACCEPT, 1, "")),
                LIAISON_OK);
    c = open_referral(r, 2, "fr/lyon/prison", id);
    assert_int_equal(c->frame->view->card->referral->n_sections, 2);
    assert_string_equal(c->frame->view->card->responsible, "fr/lyon/probation");
    call_free(c);
    c = open_referral(r, 1, "fr/lyon/prison",
                      id); /* the sender cannot open what it sealed away: it gets none */
    assert_int_equal(c->frame->view->card->referral->n_sections, 0);
    assert_int_equal(c->frame->view->n_actions, 1);
    call_free(c);
    free((void *)(uintptr_t)envelope.p);
}

static void moves_out_of_turn_are_refused(void **state)
{
    struct rig *r = *state;
    struct slice envelope;
    uint8_t id[16];
    const char *const PRISON = "fr/lyon/prison", *const PROBATION = "fr/lyon/probation";

    open_all(r);
    call_free(hand_over(r, &envelope));
    memcpy(id, LAST_ID, sizeof id);
    assert_code(
        ask(r, act(r, 1, PRISON, PRISON, id, LIAISON__V1__MOVE__MOVE_ACCEPT, 1, "")),
        LIAISON_PARTY);
    assert_code(
        ask(r, act(r, 2, PROBATION, PRISON, id, LIAISON__V1__MOVE__MOVE_COMPLETE, 1, "")),
        LIAISON_STATE);
    assert_code(
        ask(r, act(r, 2, PROBATION, PRISON, id, LIAISON__V1__MOVE__MOVE_REJECT, 1, "")),
        LIAISON_FIELD);
    assert_code(
        ask(r, act(r, 2, PROBATION, PRISON, id, LIAISON__V1__MOVE__MOVE_ACCEPT, 2, "")),
        LIAISON_STALE);
    assert_code(
        ask(r, act(r, 2, PROBATION, PRISON, id, LIAISON__V1__MOVE__MOVE_ACCEPT, 1, "")),
        LIAISON_OK);
    assert_code(
        ask(r, act(r, 2, PROBATION, PRISON, id, LIAISON__V1__MOVE__MOVE_ACCEPT, 2, "")),
        LIAISON_STATE);
    assert_code(ask(r, act(r, 1, PRISON, PRISON, id, LIAISON__V1__MOVE__MOVE_WITHDRAW, 2,
                           "mistake")),
                LIAISON_STATE);
    assert_code(
        ask(r, act(r, 2, PROBATION, PRISON, id, LIAISON__V1__MOVE__MOVE_COMPLETE, 2, "")),
        LIAISON_FIELD);
    free((void *)(uintptr_t)envelope.p);
}

static void somebody_elses_referral_is_as_if_there_were_none(void **state)
{
    struct rig *r = *state;
    struct slice envelope;
    uint8_t id[16], other[16];

    open_all(r);
    call_free(hand_over(r, &envelope));
    memcpy(id, LAST_ID, sizeof id);
    memcpy(other, id, sizeof other);
    other[15] ^= 1;
    struct call *theirs = open_referral(r, 3, "fr/lyon/prison", id);
    struct call *none = open_referral(r, 3, "fr/lyon/prison", other);

    assert_int_equal(theirs->frame->refused->code, LIAISON_NOT_FOUND);
    assert_int_equal(none->frame->refused->code, LIAISON_NOT_FOUND);
    assert_string_equal(theirs->frame->refused->text, none->frame->refused->text);
    assert_int_equal(theirs->reply.n, none->reply.n);
    call_free(theirs);
    call_free(none);
    assert_code(ask(r, act(r, 3, "fr/lyon/rebond", "fr/lyon/prison", id,
                           LIAISON__V1__MOVE__MOVE_ACCEPT, 1, "")),
                LIAISON_NOT_FOUND);
    assert_code(ask(r, act(r, 3, "fr/lyon/rebond", "xx/never/heard-of", id,
                           LIAISON__V1__MOVE__MOVE_ACCEPT, 1, "")),
                LIAISON_NOT_FOUND);
    free((void *)(uintptr_t)envelope.p);
}

static void a_withdrawn_referral_that_nobody_saw_is_never_delivered(void **state)
{
    struct rig *r = *state;
    struct slice envelope;
    uint8_t id[16];

    open_all(r);
    call_free(hand_over(r, &envelope));
    memcpy(id, LAST_ID, sizeof id);
    assert_code(ask(r, act(r, 1, "fr/lyon/prison", "fr/lyon/prison", id,
                           LIAISON__V1__MOVE__MOVE_WITHDRAW, 1, "mistake")),
                LIAISON_OK);
    assert_code(grant(r, 2, 10), LIAISON_OK);
    assert_code(grant(r, 2, 10), LIAISON_OK); /* would have come between the two */
    free((void *)(uintptr_t)envelope.p);
}

static struct call *delivery(struct rig *r)
{
    struct call *c = next_call(r);

    assert_non_null(c);
    assert_int_equal(c->kind, CALL_PUSH);
    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_DELIVER);
    return c;
}

static void a_delivery_comes_again_until_it_is_acknowledged_and_says_so(void **state)
{
    struct rig *r = *state;
    struct slice envelope;

    open_all(r);
    assert_code(grant(r, 2, 10), LIAISON_OK);
    call_free(hand_over(r, &envelope));
    struct call *d = delivery(r);

    assert_int_equal(d->frame->deliver->attempt, 1);
    assert_int_equal(d->frame->deliver->referral->referral->n_sections, 0);
    call_free(d);
    close_session(r, 2);
    stop(r);
    start(r); /* as after a crash: leases are gone, the item is not */
    open_session(r, 12, TLS_AGENCY, "fr/lyon/probation");
    assert_code(grant(r, 12, 10), LIAISON_OK);
    d = delivery(r);
    assert_int_equal(d->frame->deliver->attempt, 2);
    uint64_t mailbox = d->frame->deliver->mailbox, lease = d->frame->deliver->lease;

    call_free(d);
    assert_code(ack(r, 12, mailbox, lease), LIAISON_OK);
    assert_code(ack(r, 12, mailbox, lease), LIAISON_OK); /* done already */
    close_session(r, 12);
    open_session(r, 13, TLS_AGENCY, "fr/lyon/probation");
    assert_code(grant(r, 13, 10), LIAISON_OK);
    struct call *c = list(
        r, 13,
        LIAISON__V1__BOX__BOX_INBOX); /* the next thing that comes: nothing was pushed again */

    assert_int_equal(c->frame->cards->n_cards, 1);
    assert_int_equal(c->frame->cards->cards[0]->mailbox, 0);
    call_free(c);
    free((void *)(uintptr_t)envelope.p);
}

/* All entries, as an auditor reads them; copies in `a`. */
static size_t read_entries(struct rig *r, uint64_t session, struct arena *a,
                           const Liaison__V1__LedgerEntry **out, size_t max)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__EntryFilter filter = LIAISON__V1__ENTRY_FILTER__INIT;

    f.body_case = LIAISON__V1__FRAME__BODY_ENTRIES;
    f.entries = &filter;
    struct call *c = ask(r, frame_call(r, session, &f));

    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_ENTRIES_PAGE);
    const Liaison__V1__Entries *page = c->frame->entries_page;

    assert_true(page->n_entries <= max);
    for (size_t i = 0; i < page->n_entries; i++) {
        const void *m;

        assert_int_equal(valid_decode(&liaison__v1__ledger_entry__descriptor,
                                      slice(page->entries[i].data, page->entries[i].len),
                                      a, &m),
                         LIAISON_OK);
        out[i] = m;
    }
    size_t n = page->n_entries;

    call_free(c);
    return n;
}

static void an_auditor_sees_the_trail_of_its_area_denials_and_reads_included(void **state)
{
    struct rig *r = *state;
    struct arena *a = arena_new();
    const Liaison__V1__LedgerEntry *e[100];
    struct slice envelope;
    uint64_t last_ns = 0, counter = 0;
    bool denial = false, listed = false;

    open_all(r);
    call_free(hand_over(r, &envelope));
    call_free(
        ask(r, submit(r, 1, envelope_bytes(a, "fr/lyon/prison", "fr/lyon/rebond", true),
                      SECTIONS, 1, false)));
    call_free(list(r, 1, LIAISON__V1__BOX__BOX_SENT));
    size_t n = read_entries(r, 4, a, e, 100);

    for (size_t i = 0; i < n; i++) {
        assert_true(e[i]->time_ns >= last_ns);
        last_ns = e[i]->time_ns;
        denial = denial || (e[i]->verdict == LIAISON__V1__VERDICT__VERDICT_DENIED &&
                            (int)e[i]->code == LIAISON_NOT_ALLOWED);
        listed = listed || e[i]->event == LIAISON__V1__EVENT__EVENT_LIST;
        counter += strcmp(e[i]->counterpart, "fr/lyon/prison") == 0;
        if (strcmp(e[i]->agency, "fr/lyon/prison") == 0)
            assert_int_equal(e[i]->agency_counter, ++counter);
    }
    assert_true(denial);
    assert_true(listed);
    assert_true(counter >= 4);
    assert_code(open_referral(r, 4, "fr/lyon/prison", LAST_ID),
                LIAISON_NOT_FOUND); /* an auditor is no party */
    arena_free(a);
    free((void *)(uintptr_t)envelope.p);
}

static void
when_the_store_is_full_changes_are_refused_and_denials_still_logged(void **state)
{
    struct rig *r = *state;
    struct slice envelope;
    bool full = false;

    open_all(r);
    for (int i = 0; i < 2000 && !full; i++) {
        struct call *c = hand_over(r, &envelope);

        full = c->frame->body_case == LIAISON__V1__FRAME__BODY_ERROR &&
               (int)c->frame->error->code == LIAISON_FULL;
        if (!full)
            assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_ACCEPTED);
        call_free(c);
        free((void *)(uintptr_t)envelope.p);
    }
    assert_true(full);
    struct arena *a = arena_new();

    assert_code(
        ask(r, submit(r, 1, envelope_bytes(a, "fr/lyon/prison", "fr/lyon/rebond", true),
                      SECTIONS, 1, false)),
        LIAISON_NOT_ALLOWED);
    struct call *c = list(r, 1, LIAISON__V1__BOX__BOX_SENT);

    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_CARDS);
    call_free(c);
    arena_free(a);
}

static void when_the_reserve_is_gone_reads_are_refused_too_and_proofs_go_on(void **state)
{
    struct rig *r = *state;
    struct slice envelope;
    int reads = 0;

    when_the_store_is_full_changes_are_refused_and_denials_still_logged(state);
    for (bool full = false; !full; reads++) {
        struct call *c = list(r, 1, LIAISON__V1__BOX__BOX_SENT);

        full = c->frame->body_case == LIAISON__V1__FRAME__BODY_ERROR;
        if (full)
            assert_int_equal(c->frame->error->code, LIAISON_FULL);
        call_free(c);
        assert_true(reads < 20000);
    }
    assert_code(hand_over(r, &envelope), LIAISON_FULL);
    free((void *)(uintptr_t)envelope.p);
    Liaison__V1__Prove newest = LIAISON__V1__PROVE__INIT;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;

    f.body_case = LIAISON__V1__FRAME__BODY_PROVE;
    f.prove = &newest;
    assert_code(ask(r, frame_call(r, 1, &f)),
                LIAISON_NOT_FOUND); /* looked for: nothing is signed here */
}

static void calls_without_their_messages_are_refused(void **state)
{
    struct rig *r = *state;
    Liaison__V1__Submit empty = LIAISON__V1__SUBMIT__INIT;
    Liaison__V1__SignedAction no_action = LIAISON__V1__SIGNED_ACTION__INIT;
    Liaison__V1__Open nothing = LIAISON__V1__OPEN__INIT;
    Liaison__V1__History no_history = LIAISON__V1__HISTORY__INIT;
    Liaison__V1__Frame frames[5];

    open_all(r);
    for (size_t i = 0; i < 5; i++)
        liaison__v1__frame__init(&frames[i]);
    frames[0].body_case = LIAISON__V1__FRAME__BODY_SUBMIT;
    frames[0].submit = &empty;
    frames[1].body_case = LIAISON__V1__FRAME__BODY_CHECK;
    frames[1].check = &empty;
    frames[2].body_case = LIAISON__V1__FRAME__BODY_ACT;
    frames[2].act = &no_action;
    frames[3].body_case = LIAISON__V1__FRAME__BODY_OPEN;
    frames[3].open = &nothing;
    frames[4].body_case = LIAISON__V1__FRAME__BODY_HISTORY;
    frames[4].history = &no_history;
    for (size_t i = 0; i < 5; i++) {
        struct call *c = frame_call(r, 1, &frames[i]);

        c->code = i < 3 ? LIAISON_FIELD : LIAISON_OK; /* as the gate finds it */
        c = ask(r, c);
        if (c->frame->body_case == LIAISON__V1__FRAME__BODY_DECISION)
            assert_int_equal(c->frame->decision->code, LIAISON_FIELD);
        else
            assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_REFUSED);
        call_free(c);
    }
}

/* ------------------------------------------------------------ erasure */

/* Erases as main asks; `digits` of each id are given. Returns the answer, to be freed. */
static struct call *erase(struct rig *r, const uint8_t (*ids)[16], size_t n,
                          size_t digits)
{
    struct call *c = call_new(CALL_ERASE, 0);
    zmq_pollitem_t item = {.socket = r->main_pair, .events = ZMQ_POLLIN};

    c->erase = arena_zero(c->arena, sizeof *c->erase);
    c->erase->basis = "law";
    c->erase->officer = "9001";
    c->erase->n = n;
    c->erase->list = arena_zero(c->arena, n * sizeof *c->erase->list);
    for (size_t i = 0; i < n; i++) {
        c->erase->list[i].from = "fr/lyon/prison";
        c->erase->list[i].digits = digits;
        memcpy(c->erase->list[i].id, ids[i], (digits + 1) / 2);
        if (digits % 2 != 0)
            c->erase->list[i].id[digits / 2] &= 0xf0;
    }
    assert_int_equal(call_send(r->main_pair, c), LIAISON_OK);
    assert_int_equal(zmq_poll(&item, 1, 5000), 1);
    c = call_recv(r->main_pair);
    assert_int_equal(c->kind, CALL_ANSWER);
    return c;
}

/* Hand-overs; their ids are in `ids`, and the first one's envelope in *envelope. */
static void hand_over_some(struct rig *r, uint8_t (*ids)[16], size_t n,
                           struct slice *envelope)
{
    for (size_t i = 0; i < n; i++) {
        struct slice e;

        assert_code(hand_over(r, &e), LIAISON_OK);
        memcpy(ids[i], LAST_ID, 16);
        if (i == 0 && envelope != NULL)
            *envelope = e;
        else
            free((void *)(uintptr_t)e.p);
    }
}

static struct call *history(struct rig *r, uint64_t session, const uint8_t id[16])
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__History h = LIAISON__V1__HISTORY__INIT;
    Liaison__V1__Reference ref = LIAISON__V1__REFERENCE__INIT;

    ref.from = (char *)"fr/lyon/prison";
    ref.id = (ProtobufCBinaryData){16, (uint8_t *)id};
    h.referral = &ref;
    f.body_case = LIAISON__V1__FRAME__BODY_HISTORY;
    f.history = &h;
    return ask(r, frame_call(r, session, &f));
}

/* How many entries of that event the referral's history has, and where the last is. */
static size_t entries_of(struct rig *r, const uint8_t id[16], Liaison__V1__Event event,
                         uint64_t *seq)
{
    struct call *c = history(r, 1, id);
    size_t n = 0;

    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_HISTORY_PAGE);
    for (size_t i = 0; i < c->frame->history_page->n_entries; i++) {
        const ProtobufCBinaryData *bytes = &c->frame->history_page->entries[i];
        const void *m;

        assert_int_equal(valid_decode(&liaison__v1__ledger_entry__descriptor,
                                      slice(bytes->data, bytes->len), c->arena, &m),
                         LIAISON_OK);
        const Liaison__V1__LedgerEntry *e = m;

        if (e->event != event)
            continue;
        n++;
        *seq = e->seq;
    }
    call_free(c);
    return n;
}

static void is_erased(struct rig *r, const uint8_t id[16], struct slice envelope)
{
    assert_code(open_referral(r, 1, "fr/lyon/prison", id), LIAISON_ERASED);
    assert_code(open_referral(r, 2, "fr/lyon/prison", id), LIAISON_ERASED);
    assert_code(open_referral(r, 3, "fr/lyon/prison", id), LIAISON_NOT_FOUND);
    assert_code(ask(r, submit(r, 1, envelope, SECTIONS, 2, false)), LIAISON_ERASED);
    assert_code(ask(r, act(r, 2, "fr/lyon/probation", "fr/lyon/prison", id,
                           LIAISON__V1__MOVE__MOVE_START, 2, "")),
                LIAISON_ERASED);
}

static void what_is_erased_is_refused_as_such_and_the_rest_goes_on(void **state)
{
    struct rig *r = *state;
    struct slice envelope;
    uint8_t ids[3][16];
    uint64_t seq = 0, again = 0;

    open_all(r);
    hand_over_some(r, ids, 3, &envelope);
    assert_code(ask(r, act(r, 2, "fr/lyon/probation", "fr/lyon/prison", ids[0],
                           LIAISON__V1__MOVE__MOVE_ACCEPT, 1, "")),
                LIAISON_OK);
    struct call *c = erase(r, (const uint8_t(*)[16])ids, 1, 32);

    assert_int_equal(c->code, LIAISON_OK);
    assert_false(c->erase->list[0].before);
    assert_int_equal(entries_of(r, ids[0], LIAISON__V1__EVENT__EVENT_ERASE, &seq), 1);
    assert_int_equal(c->erase->list[0].seq, seq);
    call_free(c);
    is_erased(r, ids[0], envelope);
    assert_code(open_referral(r, 2, "fr/lyon/prison", ids[1]), LIAISON_OK);
    stop(r);
    start(r);
    open_all(r);
    is_erased(r, ids[0], envelope);
    for (size_t i = 1; i < 3; i++)
        assert_code(open_referral(r, 2, "fr/lyon/prison", ids[i]), LIAISON_OK);
    for (uint64_t session = 1; session <= 2; session++) {
        c = list(r, session,
                 session == 1 ? LIAISON__V1__BOX__BOX_SENT : LIAISON__V1__BOX__BOX_INBOX);
        assert_int_equal(c->frame->cards->n_cards, 2);
        call_free(c);
    }
    c = erase(r, (const uint8_t(*)[16])ids, 1, 32);
    assert_int_equal(c->code, LIAISON_OK);
    assert_true(c->erase->list[0].before);
    assert_int_equal(c->erase->list[0].seq, seq);
    call_free(c);
    assert_int_equal(entries_of(r, ids[0], LIAISON__V1__EVENT__EVENT_ERASE, &again), 1);
    hand_over_some(r, ids, 1, NULL); /* its number is behind the erased one's */
    free((void *)(uintptr_t)envelope.p);
}

static void many_are_erased_at_once_over_several_groups(void **state)
{
    enum { ALL = 600, ERASED = 300 };
    static uint8_t ids[ALL][16];
    struct rig *r = *state;

    open_all(r);
    hand_over_some(r, ids, ALL, NULL);
    struct call *c = erase(r, (const uint8_t(*)[16])ids, ERASED, 32);

    assert_int_equal(c->code, LIAISON_OK);
    for (size_t i = 1; i < ERASED; i++)
        assert_int_equal(c->erase->list[i].seq, c->erase->list[0].seq + i);
    call_free(c);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < ALL; i += 37)
            assert_code(open_referral(r, 2, "fr/lyon/prison", ids[i]),
                        i < ERASED ? LIAISON_ERASED : LIAISON_OK);
        stop(r);
        start(r);
        open_all(r);
    }
}

static void a_wrong_name_erases_nothing_and_a_short_one_must_be_the_only_one(void **state)
{
    struct rig *r = *state;
    uint8_t ids[3][16], none[2][16];

    open_all(r);
    hand_over_some(r, ids, 3, NULL);
    memcpy(none[0], ids[0], 16);
    memcpy(none[1], ids[1], 16);
    none[1][15] ^= 1;
    struct call *c = erase(r, (const uint8_t(*)[16])none, 2, 32);

    assert_int_equal(c->code, LIAISON_NOT_FOUND);
    assert_non_null(strstr(c->why, "there is none"));
    call_free(c);
    c = erase(r, (const uint8_t(*)[16])ids, 1, 9); /* they are of one moment */
    assert_int_equal(c->code, LIAISON_FIELD);
    assert_non_null(strstr(c->why, "several"));
    call_free(c);
    for (size_t i = 0; i < 3; i++)
        assert_code(open_referral(r, 2, "fr/lyon/prison", ids[i]), LIAISON_OK);
    c = erase(r, (const uint8_t(*)[16])ids, 1, 31);
    assert_int_equal(c->code, LIAISON_OK);
    assert_memory_equal(c->erase->list[0].id, ids[0], 16);
    call_free(c);
    assert_code(open_referral(r, 2, "fr/lyon/prison", ids[0]), LIAISON_ERASED);
    assert_code(open_referral(r, 2, "fr/lyon/prison", ids[1]), LIAISON_OK);
}

static void nothing_of_an_erased_referral_is_delivered(void **state)
{
    struct rig *r = *state;
    uint8_t ids[3][16];

    open_all(r);
    hand_over_some(r, ids, 3, NULL);
    /* The news of an accept waits for the prison; two cards wait for probation. */
    assert_code(ask(r, act(r, 2, "fr/lyon/probation", "fr/lyon/prison", ids[0],
                           LIAISON__V1__MOVE__MOVE_ACCEPT, 1, "")),
                LIAISON_OK);
    assert_code(grant(r, 2, 1), LIAISON_OK);
    struct call *d = next_call(r);

    assert_non_null(d);
    assert_int_equal(d->kind, CALL_PUSH);
    uint64_t mailbox = d->frame->deliver->mailbox, lease = d->frame->deliver->lease;

    call_free(d);
    call_free(erase(r, (const uint8_t(*)[16])ids, 2, 32));
    assert_code(ack(r, 2, mailbox, lease),
                LIAISON_OK); /* of an erased one: done already */
    d = next_call(r);        /* for the credit that it gave back */
    assert_non_null(d);
    assert_int_equal(d->frame->body_case, LIAISON__V1__FRAME__BODY_DELIVER);
    assert_int_equal(d->frame->deliver->mailbox, mailbox + 1);
    call_free(d);
    assert_code(grant(r, 1, 10), LIAISON_OK);
    stop(r);
    start(r);
    open_all(r);
    assert_code(grant(r, 1, 10), LIAISON_OK);
    assert_code(open_referral(r, 1, "fr/lyon/prison", ids[2]), LIAISON_OK);
}

static void a_full_store_can_be_erased_from(void **state)
{
    struct rig *r = *state;
    struct slice envelope;
    uint8_t first[1][16];
    bool full = false;

    open_all(r);
    hand_over_some(r, first, 1, NULL);
    for (size_t i = 0; i < 4000 && !full; i++) {
        struct call *c = hand_over(r, &envelope);

        full = c->frame->body_case == LIAISON__V1__FRAME__BODY_ERROR;
        call_free(c);
        free((void *)(uintptr_t)envelope.p);
    }
    assert_true(full);
    struct call *c = erase(r, (const uint8_t(*)[16])first, 1, 32);

    assert_int_equal(c->code, LIAISON_OK);
    call_free(c);
    assert_code(open_referral(r, 2, "fr/lyon/prison", first[0]), LIAISON_ERASED);
}

/* ------------------------------------------------------------ rows behind the log's back */

extern const struct store_table TABLES[T__COUNT];

/* Puts the only referral of a stopped core into another state, as a bad disk or a hand could. */
static void falsify_state(struct rig *r, uint32_t state)
{
    const struct store_settings settings = {.map_bytes = r->map_bytes,
                                            .reserve_bytes = r->map_bytes / 4};
    static const uint8_t KEY[8] = {[7] = 1}, ID[16];
    struct arena *a = arena_new();
    struct store_batch *tx;
    struct store_head head;
    struct store *store;
    struct slice row;
    const void *m;
    uint64_t epoch;
    bool fresh;
    char why[256];

    assert_int_equal(store_open(r->store, TABLES, T__COUNT, &settings, &store, &fresh,
                                why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(store_lead(store, &epoch), LIAISON_OK);
    assert_int_equal(store_head(store, &head), LIAISON_OK);
    assert_int_equal(store_begin(store, &head, STORE_ORDINARY, &tx), LIAISON_OK);
    assert_int_equal(store_get(tx, T_REFERRAL, slice(KEY, 8), &row), LIAISON_OK);
    assert_int_equal(valid_decode(&liaison__rows__v1__referral__descriptor, row, a, &m),
                     LIAISON_OK);
    Liaison__Rows__V1__Referral other = *(const Liaison__Rows__V1__Referral *)m;

    other.state = state;
    store_put(tx, T_REFERRAL, slice(KEY, 8), arena_pack(a, &other.base));
    assert_int_equal(store_commit(tx, &head, ID), LIAISON_OK);
    store_close(store);
    arena_free(a);
}

/* The core compares rows and entries once a second; waits for what it has found. */
static uint64_t states_wrong(struct rig *r, bool any)
{
    for (int i = 0; i < 500; i++) {
        if ((metrics_get(&r->metrics, METRIC_STATE_WRONG) > 0) == any &&
            i >= (any ? 0 : 250))
            break;
        zmq_poll(NULL, 0, 10);
    }
    return metrics_get(&r->metrics, METRIC_STATE_WRONG);
}

static void a_row_that_says_something_else_than_its_entries_is_told(void **state)
{
    static const char *const IDENTITY[] = {"identity"};
    struct rig *r = *state;
    struct arena *a = arena_new();

    open_all(r);
    struct call *c = ask(
        r, submit(r, 1, envelope_bytes(a, "fr/lyon/prison", "fr/lyon/probation", true),
                  IDENTITY, 1, false));

    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_ACCEPTED);
    call_free(c);
    assert_int_equal(states_wrong(r, false), 0);
    stop(r);
    falsify_state(r, LIAISON__V1__STATE__STATE_COMPLETED);
    start(r);
    assert_true(states_wrong(r, true) > 0);
    arena_free(a);
}

/* Leads from the id of a referral of prison's to another one. */
static void redirect(struct rig *r, const uint8_t id[16], uint64_t number)
{
    const struct store_settings settings = {.map_bytes = r->map_bytes,
                                            .reserve_bytes = r->map_bytes / 4};
    static const uint8_t ID[16];
    struct store_batch *tx;
    struct store_head head;
    struct store *store;
    uint64_t epoch;
    uint8_t key[4 + 1 + 16] = {[4] = 'R'}, value[8];
    struct slice was;
    bool fresh, found = false;
    char why[256];

    be64_put(value, number);
    assert_int_equal(store_open(r->store, TABLES, T__COUNT, &settings, &store, &fresh,
                                why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(store_lead(store, &epoch), LIAISON_OK);
    assert_int_equal(store_head(store, &head), LIAISON_OK);
    assert_int_equal(store_begin(store, &head, STORE_ORDINARY, &tx), LIAISON_OK);
    memcpy(key + 5, id, 16);
    for (uint32_t party = 1; party < 8 && !found; party++) {
        be32_put(key, party);
        found = store_get(tx, T_KNOWN, slice(key, sizeof key), &was) == LIAISON_OK;
    }
    assert_true(found);
    store_put(tx, T_KNOWN, slice(key, sizeof key), slice(value, sizeof value));
    assert_int_equal(store_commit(tx, &head, ID), LIAISON_OK);
    store_close(store);
}

/* So many that the first look at the indexes does not reach the last one. */
static void a_row_that_leads_to_another_referral_is_not_believed(void **state)
{
    enum { MANY = 1100 };
    static uint8_t ids[MANY][16];
    struct rig *r = *state;

    open_all(r);
    hand_over_some(r, ids, MANY, NULL);
    for (int i = 0; i < 2; i++) {
        stop(r);
        redirect(r, ids[MANY - 1], i == 0 ? 1 : 1 << 30);
        start(r);
        open_all(r);
        struct call *c = open_referral(r, 1, "fr/lyon/prison", ids[MANY - 1]);

        assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_VIEW);
        const Liaison__V1__SignedReferral *got = c->frame->view->card->referral;

        assert_non_null(memmem(got->envelope.data, got->envelope.len, ids[MANY - 1], 16));
        call_free(c);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_accepted_referral_names_its_entry_and_the_opening_fits),
        TEST(the_same_bytes_again_get_the_first_answer_and_others_a_conflict),
        TEST(what_is_refused_leaves_no_trace_of_its_body),
        TEST(sections_that_no_rule_grants_are_gone_before_the_commit),
        TEST(a_card_shows_no_section_before_it_is_accepted),
        TEST(moves_out_of_turn_are_refused),
        TEST(somebody_elses_referral_is_as_if_there_were_none),
        TEST(a_withdrawn_referral_that_nobody_saw_is_never_delivered),
        TEST(a_delivery_comes_again_until_it_is_acknowledged_and_says_so),
        TEST(an_auditor_sees_the_trail_of_its_area_denials_and_reads_included),
        TEST(calls_without_their_messages_are_refused),
        TEST(what_is_erased_is_refused_as_such_and_the_rest_goes_on),
        TEST(many_are_erased_at_once_over_several_groups),
        TEST(a_wrong_name_erases_nothing_and_a_short_one_must_be_the_only_one),
        TEST(nothing_of_an_erased_referral_is_delivered),
        cmocka_unit_test_setup_teardown(
            a_row_that_says_something_else_than_its_entries_is_told, setup, teardown),
        TEST(a_row_that_leads_to_another_referral_is_not_believed),
        cmocka_unit_test_setup_teardown(a_full_store_can_be_erased_from, setup_small,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            when_the_reserve_is_gone_reads_are_refused_too_and_proofs_go_on, setup_small,
            teardown),
        cmocka_unit_test_setup_teardown(
            when_the_store_is_full_changes_are_refused_and_denials_still_logged,
            setup_small, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
