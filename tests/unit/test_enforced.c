/* What the rules oblige to, as the core enforces it. All persons and places are invented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/core/state.h"

#define AGENCIES                                                                         \
    "network \"practicies.example\"\n"                                                   \
    "keep 2y\n"                                                                          \
    "agency fr/police kind police area fr\n"                                             \
    "agency fr/prison kind prison area fr\n"                                             \
    "agency fr/probation kind probation area fr supervisor fr/direction\n"               \
    "agency fr/direction kind direction area fr\n"                                       \
    "agency fr/town kind municipality area fr\n"                                         \
    "agency fr/ngo kind ngo area fr\n"                                                   \
    "agency fr/shelter kind ngo area fr\n"                                               \
    "agency fr/court kind court area fr\n"                                               \
    "auditor fr/dpa of area fr\n"

#define MENTORING                                                                        \
    "allow referral \"mentoring\" from kind probation to kind ngo\n"                     \
    "  purpose { reintegration } basis { consent } sections { identity } approval by { " \
    "dpo, lead }\n"

#define CONCERN                                                                          \
    "allow referral \"concern\" from kind police to kind municipality\n"                 \
    "  purpose { reintegration } basis { law } sections { identity, custody } reveal "   \
    "on delivery\n"                                                                      \
    "allow referral \"concern\" from kind municipality to kind ngo\n"                    \
    "  purpose { reintegration } basis { law } sections { identity } reveal on "         \
    "delivery\n"                                                                         \
    "allow referral \"concern\" from kind police to kind court\n"                        \
    "  purpose { reintegration } basis { law } sections { identity }\n"

#define HAND_OVER                                                                        \
    "allow transfer \"release-handover\" from kind prison to kind probation\n"           \
    "  purpose { reintegration } basis { law } sections { identity, custody } return { " \
    "outcome } keep 1y answer within 14d else escalate to supervisor rate 3/hour\n"

#define ALL_OF_IT AGENCIES MENTORING CONCERN HAND_OVER

static const char RULES[] = ALL_OF_IT;

#include "tests/unit/core_rig.h"

enum { PRISON = 1, PROBATION, NGO, POLICE, TOWN, SHELTER, COURT, APPROVER, AUDITOR };

static const char *const NAMES[] = {
    [PRISON] = "fr/prison", [PROBATION] = "fr/probation", [NGO] = "fr/ngo",
    [POLICE] = "fr/police", [TOWN] = "fr/town",           [SHELTER] = "fr/shelter",
    [COURT] = "fr/court",   [APPROVER] = "fr/probation",
};

static void come_in(struct rig *r)
{
    for (uint64_t s = PRISON; s <= COURT; s++)
        open_session(r, s, TLS_AGENCY, NAMES[s]);
    open_session(r, APPROVER, TLS_APPROVER, NAMES[APPROVER]);
    open_session(r, AUDITOR, TLS_AUDITOR, "fr/dpa");
}

/* Other rules, as the broker puts them into force. */
static void put_in_force(struct rig *r, const char *text)
{
    struct call *c = call_new(CALL_RELOAD, 0);
    zmq_pollitem_t item = {.socket = r->main_pair, .events = ZMQ_POLLIN};
    char why[512];

    c->reload = arena_zero(c->arena, sizeof *c->reload);
    assert_int_equal(
        conf_read_rules("test.conf", slice_text(text), &c->reload->rules, stderr),
        LIAISON_OK);
    assert_int_equal(directory_load(r->dir, r->trust, time(NULL), &c->reload->directory,
                                    why, sizeof why),
                     LIAISON_OK);
    c->reload->trust = tls_trust_share(r->trust);
    c->reload->page = 100;
    c->reload->page_bytes = 1 << 19;
    assert_int_equal(call_send(r->main_pair, c), LIAISON_OK);
    assert_int_equal(zmq_poll(&item, 1, 5000), 1);
    c = call_recv(r->main_pair);
    assert_int_equal(c->code, LIAISON_OK);
    call_free(c);
}

/* ------------------------------------------------------------ sending */

static struct {
    const char *category, *basis;
    Liaison__V1__Handling handling;
    uint8_t caused_id[16];
    const char *caused_from; /* NULL: it continues nothing */
} WANT;

static void adjust_envelope(Liaison__V1__Envelope *e)
{
    static Liaison__V1__Reference caused_by;

    if (WANT.category != NULL)
        e->category = (char *)WANT.category;
    if (WANT.basis != NULL)
        e->basis = (char *)WANT.basis;
    if (WANT.handling != LIAISON__V1__HANDLING__HANDLING_UNSPECIFIED)
        e->handling = WANT.handling;
    liaison__v1__reference__init(&caused_by);
    caused_by.from = (char *)WANT.caused_from;
    caused_by.id = (ProtobufCBinaryData){16, WANT.caused_id};
    if (WANT.caused_from != NULL)
        e->caused_by = &caused_by;
}

static struct call *send_as(struct rig *r, uint64_t from, uint64_t to, bool transfer,
                            size_t sections, bool check)
{
    struct arena *a = arena_new();

    ADJUST_ENVELOPE = adjust_envelope;
    struct call *c = submit(r, from, envelope_bytes(a, NAMES[from], NAMES[to], transfer),
                            SECTIONS, sections, false);

    arena_free(a);
    if (check) {
        Liaison__V1__Frame *f = (Liaison__V1__Frame *)(uintptr_t)c->frame;

        f->body_case = LIAISON__V1__FRAME__BODY_CHECK;
    }
    memset(c->signer, 7, sizeof c->signer);
    return ask(r, c);
}

/* A hand-over, a mentor asked for, a concern: what the rules speak of. */
static struct call *send_over(struct rig *r)
{
    memset(&WANT, 0, sizeof WANT);
    return send_as(r, PRISON, PROBATION, true, 2, false);
}

static struct call *mentor(struct rig *r)
{
    memset(&WANT, 0, sizeof WANT);
    return send_as(r, PROBATION, NGO, false, 1, false);
}

static struct call *concern(struct rig *r, uint64_t from, uint64_t to,
                            Liaison__V1__Handling handling)
{
    WANT.category = "concern";
    WANT.basis = "law";
    WANT.handling = handling;
    return send_as(r, from, to, false, 1, false);
}

static void first_concern(struct rig *r, Liaison__V1__Handling handling, uint8_t id[16])
{
    memset(&WANT, 0, sizeof WANT);
    assert_code(concern(r, POLICE, TOWN, handling), LIAISON_OK);
    memcpy(id, LAST_ID, 16);
}

static struct call *pass_on(struct rig *r, const uint8_t id[16], uint64_t to,
                            Liaison__V1__Handling handling)
{
    WANT.caused_from = NAMES[POLICE];
    memcpy(WANT.caused_id, id, 16);
    return concern(r, TOWN, to, handling);
}

/* ------------------------------------------------------------ moving */

static const char *ACTION_TO, *ACTION_OFFICER;

static void adjust_action(Liaison__V1__Action *a)
{
    if (ACTION_TO != NULL)
        a->to = (char *)ACTION_TO;
    if (ACTION_OFFICER != NULL)
        a->officer = (char *)ACTION_OFFICER;
}

static struct call *move(struct rig *r, uint64_t who, const char *from,
                         const uint8_t id[16], Liaison__V1__Move m, uint32_t version)
{
    ADJUST_ACTION = adjust_action;
    return ask(r, act(r, who, NAMES[who], from, id, m, version,
                      m == LIAISON__V1__MOVE__MOVE_WITHDRAW ? "mistake" : ""));
}

static struct call *approve(struct rig *r, const char *role, const char *officer,
                            const uint8_t id[16], uint32_t version, uint8_t signer)
{
    ADJUST_ACTION = adjust_action;
    ACTION_OFFICER = officer;
    struct call *c = act(r, APPROVER, NAMES[APPROVER], NAMES[PROBATION], id,
                         LIAISON__V1__MOVE__MOVE_APPROVE, version, "");

    ACTION_OFFICER = NULL;
    snprintf(c->signer_role, sizeof c->signer_role, "%s", role);
    memset(c->signer, signer, sizeof c->signer);
    return ask(r, c);
}

/* ------------------------------------------------------------ looking */

static bool is_flagged(const Liaison__V1__Card *card, Liaison__V1__Flag flag)
{
    for (size_t n = 0; n < card->n_flags; n++)
        if (card->flags[n] == flag)
            return true;
    return false;
}

static size_t cards_in(struct rig *r, uint64_t session, Liaison__V1__Box box)
{
    struct call *c = list(r, session, box);

    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_CARDS);
    size_t n = c->frame->cards->n_cards;

    call_free(c);
    return n;
}

/* How many entries of an event an auditor finds. */
static size_t entries_of(struct rig *r, Liaison__V1__Event event)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__EntryFilter filter = LIAISON__V1__ENTRY_FILTER__INIT;

    filter.event = event;
    f.body_case = LIAISON__V1__FRAME__BODY_ENTRIES;
    f.entries = &filter;
    struct call *c = ask(r, frame_call(r, AUDITOR, &f));

    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_ENTRIES_PAGE);
    size_t n = c->frame->entries_page->n_entries;

    call_free(c);
    return n;
}

/* The refusal names the rule that stands in every set. */
static void assert_refused_by(struct call *c, enum liaison_code code, const char *words)
{
    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_REFUSED);
    assert_int_equal(c->frame->refused->code, code);
    assert_int_equal(c->frame->refused->n_rules, 1);
    if (strstr(c->frame->refused->rules[0]->text, words) == NULL)
        fail_msg("%s", c->frame->refused->rules[0]->text);
    call_free(c);
}

static uint64_t sections_opened(struct rig *r, uint64_t who, const char *from,
                                const uint8_t id[16])
{
    struct call *c = open_referral(r, who, from, id);

    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_VIEW);
    uint64_t n = c->frame->view->card->referral->n_sections;

    call_free(c);
    return n;
}

/* Every row agrees with its entries: see replay.c. */
static void assert_sound(struct rig *r)
{
    struct arena *a = arena_new();

    stop(r);
    open_core(r);
    replay_some(r->core, a);
    assert_int_equal(r->core->replayed, r->core->next_number - 1);
    assert_int_equal(metrics_get(&r->metrics, METRIC_STATE_WRONG), 0);
    core_free(r->core);
    zmq_ctx_term(r->zmq);
    arena_free(a);
    start(r);
}

/* ------------------------------------------------------------ what holds */

static void a_card_says_what_the_rules_oblige_to(void **state)
{
    struct rig *r = *state;

    come_in(r);
    assert_code(send_over(r), LIAISON_OK);
    struct call *c = list(r, PROBATION, LIAISON__V1__BOX__BOX_INBOX);
    const Liaison__V1__Card *card = c->frame->cards->cards[0];
    const Liaison__V1__Obligations *o = card->obligations;

    assert_string_equal(o->keep, "1y");
    assert_string_equal(o->answer_within, "14d");
    assert_int_equal(o->n_escalate_to, 1);
    assert_string_equal(o->escalate_to[0], "fr/direction");
    assert_int_equal(o->rate_per_hour, 3);
    assert_int_equal(card->n_flags, 0);
    assert_true(card->answer_by_unix_ms >
                card->submitted_unix_ms + UINT64_C(13) * 86400 * 1000);
    assert_true(card->keep_until_unix_ms >
                card->submitted_unix_ms + UINT64_C(364) * 86400 * 1000);
    call_free(c);
    c = send_as(r, PRISON, PROBATION, true, 2, true);
    o = c->frame->decision->obligations;
    assert_non_null(o);
    assert_string_equal(o->keep, "1y");
    assert_string_equal(o->answer_within, "14d");
    assert_string_equal(o->escalate_to[0], "fr/direction");
    assert_int_equal(o->rate_per_hour, 3);
    call_free(c);
}

static void one_too_many_in_an_hour_is_refused_by_the_rule_that_counts(void **state)
{
    struct rig *r = *state;

    come_in(r);
    for (size_t n = 0; n < 5; n++) { /* a check counts nothing */
        memset(&WANT, 0, sizeof WANT);
        assert_code(send_as(r, PRISON, PROBATION, true, 2, true), LIAISON_OK);
    }
    for (size_t n = 0; n < 3; n++)
        assert_code(send_over(r), LIAISON_OK);
    assert_refused_by(send_over(r), LIAISON_RATE, "rate 3/hour");
    struct call *c = send_as(r, PRISON, PROBATION, true, 2, true);

    assert_int_equal(c->frame->decision->code, LIAISON_RATE);
    assert_int_equal(c->frame->decision->n_rules, 1);
    call_free(c);
    assert_code(mentor(r), LIAISON_OK); /* another rule, another sender */
}

static void what_was_sent_within_the_hour_is_counted_again_after_a_start(void **state)
{
    struct rig *r = *state;

    come_in(r);
    for (size_t n = 0; n < 2; n++)
        assert_code(send_over(r), LIAISON_OK);
    stop(r);
    start(r);
    come_in(r);
    assert_code(send_over(r), LIAISON_OK);
    assert_refused_by(send_over(r), LIAISON_RATE, "rate 3/hour");
    put_in_force(r, RULES); /* the same rule goes on counting */
    assert_refused_by(send_over(r), LIAISON_RATE, "rate 3/hour");
}

static void nobody_sees_it_before_every_role_has_approved(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    call_free(grant(r, NGO, 10));
    assert_code(mentor(r), LIAISON_OK);
    memcpy(id, LAST_ID, 16);
    assert_int_equal(cards_in(r, NGO, LIAISON__V1__BOX__BOX_INBOX), 0);
    assert_code(open_referral(r, NGO, NAMES[PROBATION], id), LIAISON_NOT_FOUND);
    assert_code(move(r, NGO, NAMES[PROBATION], id, LIAISON__V1__MOVE__MOVE_ACCEPT, 1),
                LIAISON_NOT_FOUND);
    struct call *c = list(r, APPROVER, LIAISON__V1__BOX__BOX_SENT);

    assert_int_equal(c->frame->cards->n_cards, 1);
    assert_true(
        is_flagged(c->frame->cards->cards[0], LIAISON__V1__FLAG__FLAG_UNAPPROVED));
    assert_int_equal(c->frame->cards->cards[0]->n_wanted, 2);
    call_free(c);
    assert_code(approve(r, "dpo", "4720", id, 1, 8), LIAISON_OK);
    assert_int_equal(cards_in(r, NGO, LIAISON__V1__BOX__BOX_INBOX), 0);
    assert_code(approve(r, "dpo", "4720", id, 2, 8), LIAISON_ROLE); /* has done so */
    assert_code(approve(r, "lead", "4721", id, 2, 9), LIAISON_OK);
    c = next_call(r); /* pushed in the commit of the last approval */
    assert_int_equal(c->kind, CALL_PUSH);
    assert_int_equal(c->session, NGO);
    assert_int_equal(c->frame->deliver->item_case, LIAISON__V1__DELIVER__ITEM_REFERRAL);
    assert_int_equal(c->frame->deliver->referral->n_flags, 0);
    call_free(c);
    assert_int_equal(cards_in(r, NGO, LIAISON__V1__BOX__BOX_INBOX), 1);
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_APPROVE), 3);
    assert_code(move(r, NGO, NAMES[PROBATION], id, LIAISON__V1__MOVE__MOVE_ACCEPT, 3),
                LIAISON_OK);
    assert_sound(r);
}

static void an_approval_takes_a_second_officer_and_another_certificate(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    assert_code(mentor(r), LIAISON_OK);
    memcpy(id, LAST_ID, 16);
    assert_code(approve(r, "dpo", "4711", id, 1, 8), LIAISON_PARTY); /* who sent it */
    assert_code(approve(r, "dpo", "4720", id, 1, 7), LIAISON_PARTY); /* with that key */
    assert_code(approve(r, "mayor", "4720", id, 1, 8), LIAISON_ROLE);
    assert_code(
        move(r, PROBATION, NAMES[PROBATION], id, LIAISON__V1__MOVE__MOVE_APPROVE, 1),
        LIAISON_PARTY);
    assert_code(approve(r, "dpo", "4720", id, 1, 8), LIAISON_OK);
}

/* T-57 */
static void the_rules_are_asked_again_before_an_approval_lets_it_go(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    assert_code(mentor(r), LIAISON_OK);
    memcpy(id, LAST_ID, 16);
    put_in_force(r, AGENCIES CONCERN);
    assert_code(approve(r, "dpo", "4720", id, 1, 8), LIAISON_NOT_ALLOWED);
    put_in_force(r, RULES);
    assert_code(approve(r, "dpo", "4720", id, 1, 8), LIAISON_OK);
    assert_int_equal(cards_in(r, NGO, LIAISON__V1__BOX__BOX_INBOX), 0);
}

static void what_waits_for_approval_can_be_withdrawn_and_nobody_hears_of_it(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    call_free(grant(r, NGO, 10));
    assert_code(mentor(r), LIAISON_OK);
    memcpy(id, LAST_ID, 16);
    struct call *c = act(r, APPROVER, NAMES[APPROVER], NAMES[PROBATION], id,
                         LIAISON__V1__MOVE__MOVE_WITHDRAW, 1, "mistake");

    snprintf(c->signer_role, sizeof c->signer_role, "dpo");
    assert_code(ask(r, c), LIAISON_OK);
    assert_code(open_referral(r, NGO, NAMES[PROBATION], id), LIAISON_NOT_FOUND);
    assert_int_equal(cards_in(r, NGO, LIAISON__V1__BOX__BOX_INBOX), 0);
}

static void h3_is_opened_after_its_code_was_acknowledged(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    first_concern(r, LIAISON__V1__HANDLING__HANDLING_H3, id);
    assert_int_equal(sections_opened(r, TOWN, NAMES[POLICE], id), 0);
    assert_code(
        move(r, POLICE, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_ACKNOWLEDGE, 1),
        LIAISON_PARTY);
    assert_code(move(r, TOWN, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_ACKNOWLEDGE, 1),
                LIAISON_OK);
    assert_code(move(r, TOWN, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_ACKNOWLEDGE, 2),
                LIAISON_STATE);
    assert_int_equal(sections_opened(r, TOWN, NAMES[POLICE], id), 1);
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_ACKNOWLEDGE), 3);
    assert_sound(r);
}

static void h2_is_passed_on_once_for_each_permission(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    first_concern(r, LIAISON__V1__HANDLING__HANDLING_H2, id);
    assert_code(move(r, TOWN, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_ACCEPT, 1),
                LIAISON_OK);
    assert_refused_by(pass_on(r, id, NGO, LIAISON__V1__HANDLING__HANDLING_H2),
                      LIAISON_DENIED, "h2");
    ACTION_TO = NAMES[NGO];
    assert_code(move(r, TOWN, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_PERMIT, 2),
                LIAISON_PARTY);
    assert_code(move(r, POLICE, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_PERMIT, 2),
                LIAISON_OK);
    ACTION_TO = NULL;
    assert_refused_by(pass_on(r, id, SHELTER, LIAISON__V1__HANDLING__HANDLING_H2),
                      LIAISON_DENIED, "h2");
    assert_code(pass_on(r, id, NGO, LIAISON__V1__HANDLING__HANDLING_H2), LIAISON_OK);
    assert_refused_by(pass_on(r, id, NGO, LIAISON__V1__HANDLING__HANDLING_H2),
                      LIAISON_DENIED, "h2");
    assert_sound(r);
}

static void only_h2_is_permitted_and_only_to_an_agency(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    first_concern(r, LIAISON__V1__HANDLING__HANDLING_H0, id);
    assert_code(move(r, TOWN, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_ACCEPT, 1),
                LIAISON_OK);
    ACTION_TO = NAMES[NGO];
    assert_code(move(r, POLICE, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_PERMIT, 2),
                LIAISON_FIELD);
    first_concern(r, LIAISON__V1__HANDLING__HANDLING_H2, id);
    assert_code(move(r, TOWN, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_ACCEPT, 1),
                LIAISON_OK);
    ACTION_TO = "fr/nobody";
    assert_code(move(r, POLICE, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_PERMIT, 2),
                LIAISON_RECIPIENT);
    ACTION_TO = NULL;
}

static void a_handling_code_stays_with_what_is_passed_on(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    first_concern(r, LIAISON__V1__HANDLING__HANDLING_H3, id);
    assert_refused_by(pass_on(r, id, NGO, LIAISON__V1__HANDLING__HANDLING_NONE),
                      LIAISON_DENIED, "handling");
    assert_code(pass_on(r, id, NGO, LIAISON__V1__HANDLING__HANDLING_H3), LIAISON_OK);
}

static void one_continues_only_what_one_is_a_party_of(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    assert_code(send_over(r), LIAISON_OK);
    memcpy(id, LAST_ID, 16);
    memset(&WANT, 0, sizeof WANT);
    WANT.caused_from = NAMES[PRISON];
    memcpy(WANT.caused_id, id, 16);
    assert_code(concern(r, TOWN, NGO, LIAISON__V1__HANDLING__HANDLING_NONE),
                LIAISON_FIELD);
}

static void h1_never_reaches_a_court(void **state)
{
    struct rig *r = *state;

    come_in(r);
    memset(&WANT, 0, sizeof WANT);
    assert_refused_by(concern(r, POLICE, COURT, LIAISON__V1__HANDLING__HANDLING_H1),
                      LIAISON_DENIED, "h1");
    assert_code(concern(r, POLICE, COURT, LIAISON__V1__HANDLING__HANDLING_H0),
                LIAISON_OK);
}

static void leaving_a_regime_is_a_disclosure_of_its_own(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    assert_code(send_over(r), LIAISON_OK); /* prison to probation: LED both */
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_CROSSING), 0);
    first_concern(r, LIAISON__V1__HANDLING__HANDLING_NONE, id);
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_CROSSING), 1);
    assert_code(mentor(r), LIAISON_OK); /* not before it goes out */
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_CROSSING), 1);
    memcpy(id, LAST_ID, 16);
    assert_code(approve(r, "dpo", "4720", id, 1, 8), LIAISON_OK);
    assert_code(approve(r, "lead", "4721", id, 2, 9), LIAISON_OK);
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_CROSSING), 2);
    assert_sound(r);
}

/* The next push to that session, to be freed. */
static struct call *pushed_to(struct rig *r, uint64_t session)
{
    struct call *c = next_call(r);

    assert_non_null(c);
    assert_int_equal(c->kind, CALL_PUSH);
    assert_int_equal(c->session, session);
    return c;
}

static void what_other_rules_forbid_is_barred_and_goes_on_when_they_allow_it(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    first_concern(r, LIAISON__V1__HANDLING__HANDLING_NONE, id);
    put_in_force(r, AGENCIES MENTORING);
    call_free(grant(r, POLICE, 10));
    assert_int_equal(cards_in(r, TOWN, LIAISON__V1__BOX__BOX_INBOX), 0);
    struct call *c = pushed_to(r, POLICE);

    assert_int_equal(c->frame->deliver->item_case, LIAISON__V1__DELIVER__ITEM_ALERT);
    assert_int_equal(c->frame->deliver->alert->flag, LIAISON__V1__FLAG__FLAG_BARRED);
    call_free(c);
    assert_code(open_referral(r, TOWN, NAMES[POLICE], id), LIAISON_NOT_ALLOWED);
    assert_code(move(r, TOWN, NAMES[POLICE], id, LIAISON__V1__MOVE__MOVE_ACCEPT, 1),
                LIAISON_NOT_ALLOWED);
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_BARRED), 1); /* once */
    c = list(r, POLICE, LIAISON__V1__BOX__BOX_SENT);
    assert_true(is_flagged(c->frame->cards->cards[0], LIAISON__V1__FLAG__FLAG_BARRED));
    call_free(c);
    assert_sound(r);
}

static void new_rules_unbar_without_anybody_asking(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    first_concern(r, LIAISON__V1__HANDLING__HANDLING_NONE, id);
    put_in_force(r, AGENCIES MENTORING);
    call_free(grant(r, TOWN, 10)); /* the lease is where it is found */
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_BARRED), 1);
    put_in_force(r, RULES);
    struct call *c = pushed_to(r, TOWN);

    assert_int_equal(c->frame->deliver->item_case, LIAISON__V1__DELIVER__ITEM_REFERRAL);
    assert_int_equal(c->frame->deliver->referral->referral->n_sections, 1);
    call_free(c);
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_UNBARRED), 1);
}

static void only_what_was_granted_and_still_is_can_be_seen(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    memset(&WANT, 0, sizeof WANT);
    WANT.category = "concern";
    WANT.basis = "law";
    assert_code(send_as(r, POLICE, TOWN, false, 2, false), LIAISON_OK);
    memcpy(id, LAST_ID, 16);
    assert_int_equal(sections_opened(r, TOWN, NAMES[POLICE], id), 2);
    put_in_force(r,
                 ALL_OF_IT "deny any any from kind police to kind municipality sections "
                           "{ identity }\n");
    struct call *c = open_referral(r, TOWN, NAMES[POLICE], id);
    const Liaison__V1__Card *card = c->frame->view->card;

    assert_int_equal(card->n_granted, 1);
    assert_string_equal(card->granted[0], "custody");
    assert_int_equal(card->referral->n_sections, 1);
    call_free(c);
}

static void what_is_barred_is_not_passed_on(void **state)
{
    struct rig *r = *state;
    uint8_t id[16];

    come_in(r);
    first_concern(r, LIAISON__V1__HANDLING__HANDLING_NONE, id);
    put_in_force(
        r, ALL_OF_IT
        "deny any any from kind police to kind municipality when informed { yes }\n");
    struct call *c = pass_on(r, id, NGO, LIAISON__V1__HANDLING__HANDLING_NONE);

    assert_refused_by(c, LIAISON_DENIED, "kind police to kind municipality");
    assert_int_equal(entries_of(r, LIAISON__V1__EVENT__EVENT_BARRED),
                     0); /* nothing moved */
}

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_card_says_what_the_rules_oblige_to),
        TEST(one_too_many_in_an_hour_is_refused_by_the_rule_that_counts),
        TEST(what_was_sent_within_the_hour_is_counted_again_after_a_start),
        TEST(nobody_sees_it_before_every_role_has_approved),
        TEST(an_approval_takes_a_second_officer_and_another_certificate),
        TEST(the_rules_are_asked_again_before_an_approval_lets_it_go),
        TEST(what_waits_for_approval_can_be_withdrawn_and_nobody_hears_of_it),
        TEST(h3_is_opened_after_its_code_was_acknowledged),
        TEST(h2_is_passed_on_once_for_each_permission),
        TEST(only_h2_is_permitted_and_only_to_an_agency),
        TEST(a_handling_code_stays_with_what_is_passed_on),
        TEST(one_continues_only_what_one_is_a_party_of),
        TEST(h1_never_reaches_a_court),
        TEST(leaving_a_regime_is_a_disclosure_of_its_own),
        TEST(what_other_rules_forbid_is_barred_and_goes_on_when_they_allow_it),
        TEST(new_rules_unbar_without_anybody_asking),
        TEST(only_what_was_granted_and_still_is_can_be_seen),
        TEST(what_is_barred_is_not_passed_on),
    };

    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
