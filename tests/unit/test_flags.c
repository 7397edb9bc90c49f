/* What a program sees of flags, alerts and obligations; the moves that go with them; sealing again; former keys. All
 * people and data are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/id.h"
#include "proto/valid.h"
#include "tests/unit/rig.h"

#define CONTENT "{\"name\":\"Synthetic Person\"}"

/* ---------------------------------------------------------------- referrals without a directory */

/* Sealed by the prison without sections, so that nobody needs to be asked. */
static struct liaison_referral *sealed_as(struct liaison *l, const char *version)
{
    struct liaison_referral *r = NULL;

    assert_int_equal(liaison_referral_new(l, &r), LIAISON_OK);
    fill(r);
    assert_int_equal(liaison_referral_set(r, "version", version), LIAISON_OK);
    if (liaison_seal(l, &r, 1) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(l));
    return r;
}

/* ---------------------------------------------------------------- alerts */

/* One alert, as a test wants it. */
struct told {
    Liaison__V1__Flag flag;
    Liaison__V1__Event event;
    bool other_referral, loose;
};

static Liaison__V1__Obligations *obligations(void)
{
    static char *RETURNS[] = {(char *)"outcome"},
                *TO[] = {(char *)"fr/dir", (char *)"fr/hub"},
                *ROLES[] = {(char *)"director"};
    static Liaison__V1__Obligations o = LIAISON__V1__OBLIGATIONS__INIT;

    o.reveal = LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY;
    o.returns = RETURNS;
    o.n_returns = 1;
    o.keep = (char *)"2y";
    o.answer_within = (char *)"14d";
    o.escalate_to = TO;
    o.n_escalate_to = 2;
    o.approvals = ROLES;
    o.n_approvals = 1;
    o.rate_per_hour = 20;
    return &o;
}

static void put_card(Liaison__V1__Card *card, Liaison__V1__SignedReferral *referral)
{
    static Liaison__V1__Flag FLAGS[] = {LIAISON__V1__FLAG__FLAG_ESCALATED,
                                        LIAISON__V1__FLAG__FLAG_UNAPPROVED,
                                        LIAISON__V1__FLAG__FLAG_BARRED};
    static char *WANTED[] = {(char *)"director"};

    liaison__v1__card__init(card);
    card->referral = referral;
    card->state = LIAISON__V1__STATE__STATE_REQUESTED;
    card->state_version = 1;
    card->flags = FLAGS;
    card->n_flags = 3;
    card->wanted = WANTED;
    card->n_wanted = 1;
    card->answer_by_unix_ms = 1000;
    card->keep_until_unix_ms = 2000;
    card->obligations = obligations();
}

static void deliver_alert(struct peer *p, const struct told *told)
{
    struct rig *r = p->s->test;
    Liaison__V1__SignedReferral *referral =
        liaison__v1__signed_referral__unpack(NULL, r->kept_len[0], r->kept[0]);
    Liaison__V1__Envelope *e = liaison__v1__envelope__unpack(NULL, referral->envelope.len,
                                                             referral->envelope.data);
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Deliver d = LIAISON__V1__DELIVER__INIT;
    Liaison__V1__Alert alert = LIAISON__V1__ALERT__INIT;
    Liaison__V1__LedgerEntry entry = LIAISON__V1__LEDGER_ENTRY__INIT;
    Liaison__V1__Card card;
    uint8_t packed[1024];

    put_card(&card, referral);
    entry.seq = 99;
    entry.event = told->event;
    entry.verdict = LIAISON__V1__VERDICT__VERDICT_DONE;
    entry.onward = (char *)"fr/dir";
    entry.referral_id = told->other_referral ? e->case_id : e->id;
    alert.card = &card;
    alert.flag = told->flag;
    alert.entry = script_bytes(packed, liaison__v1__ledger_entry__pack(&entry, packed));
    if (told->loose)
        alert.entry.len--;
    d.mailbox = 5;
    d.lease = 6;
    d.attempt = 1;
    d.item_case = LIAISON__V1__DELIVER__ITEM_ALERT;
    d.alert = &alert;
    f.body_case = BODY(DELIVER);
    f.deliver = &d;
    peer_send(p, 0, &f);
    liaison__v1__envelope__free_unpacked(e, NULL);
    liaison__v1__signed_referral__free_unpacked(referral, NULL);
}

static void play_alert(struct peer *p)
{
    struct rig *r = p->s->test;
    Liaison__V1__Frame *f;

    if (!peer_open(p))
        return;
    while ((f = peer_read(p)) != NULL) {
        bool granted = f->body_case == BODY(GRANT);

        if (f->body_case == BODY(ACK))
            r->ids[r->seen++] = f->ack->leases[0]->mailbox;
        peer_done(p, f->id);
        if (granted)
            deliver_alert(p, r->own);
        liaison__v1__frame__free_unpacked(f, NULL);
    }
}

static void keep_referral(struct rig *r)
{
    struct liaison_referral *referral = sealed_as(r->l, "1");
    const uint8_t *bytes;

    assert_int_equal(liaison_referral_bytes(referral, &bytes, &r->kept_len[0]),
                     LIAISON_OK);
    r->kept[0] = malloc(r->kept_len[0]);
    memcpy(r->kept[0], bytes, r->kept_len[0]);
    r->n_kept = 1;
    liaison_referral_free(referral);
}

static void assert_card_is_told(const struct liaison_answer *a)
{
    assert_string_equal(liaison_answer_flag(a, 0), "escalated");
    assert_string_equal(liaison_answer_flag(a, 2), "barred");
    assert_null(liaison_answer_flag(a, 3));
    assert_string_equal(liaison_answer_wanted(a, 0), "director");
    assert_null(liaison_answer_wanted(a, 1));
    assert_int_equal(liaison_answer_answer_by_unix_ms(a), 1000);
    assert_int_equal(liaison_answer_keep_until_unix_ms(a), 2000);
    assert_string_equal(liaison_answer_obligation(a, "reveal", 0), "on-delivery");
    assert_null(liaison_answer_obligation(a, "reveal", 1));
    assert_string_equal(liaison_answer_obligation(a, "keep", 0), "2y");
    assert_string_equal(liaison_answer_obligation(a, "answer_within", 0), "14d");
    assert_string_equal(liaison_answer_obligation(a, "returns", 0), "outcome");
    assert_string_equal(liaison_answer_obligation(a, "escalate_to", 1), "fr/hub");
    assert_null(liaison_answer_obligation(a, "escalate_to", 2));
    assert_string_equal(liaison_answer_obligation(a, "approvals", 0), "director");
    assert_null(liaison_answer_obligation(a, "no such", 0));
    assert_int_equal(liaison_answer_rate_per_hour(a), 20);
}

static void an_alert_tells_card_flag_and_entry(void **state)
{
    struct rig *r = *state;
    struct told told = {.flag = LIAISON__V1__FLAG__FLAG_ESCALATED,
                        .event = LIAISON__V1__EVENT__EVENT_ESCALATE};
    struct liaison_answer *a = NULL;
    struct liaison_letter *t = NULL;

    keep_referral(r);
    r->own = &told;
    start_with(r, play_alert, NULL);
    assert_int_equal(liaison_grant(r->l, 1, 1 << 20), LIAISON_OK);
    assert_int_equal(liaison_next(r->l, 5000, &a), LIAISON_OK);
    assert_string_equal(liaison_answer_item(a), "alert");
    assert_string_equal(liaison_answer_alert(a), "escalated");
    assert_int_equal(liaison_answer_seq(a), 99);
    assert_string_equal(liaison_answer_onward(a), "fr/dir");
    assert_string_equal(liaison_answer_state(a), "requested");
    assert_card_is_told(a);
    assert_int_equal(liaison_answer_signed(a), 1);
    if (liaison_verify(r->l, a, 0, &t) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(r->l));
    assert_string_equal(liaison_letter_signer(t), "fr/prison");
    const uint64_t mailbox = liaison_answer_mailbox(a), lease = liaison_answer_lease(a);

    assert_int_equal(liaison_ack(r->l, &mailbox, &lease, 1), LIAISON_OK);
    liaison_letter_free(t);
    liaison_answer_free(a);
    finish(r);
    assert_int_equal(r->ids[0], 5);
}

/* T-79 */
static void an_alert_whose_entry_says_something_else_does_not_verify(void **state)
{
    static const struct told WRONG[] = {
        {LIAISON__V1__FLAG__FLAG_ESCALATED, LIAISON__V1__EVENT__EVENT_ESCALATE, true,
         false},
        {LIAISON__V1__FLAG__FLAG_ESCALATED, LIAISON__V1__EVENT__EVENT_BARRED, false,
         false},
        {LIAISON__V1__FLAG__FLAG_BARRED, LIAISON__V1__EVENT__EVENT_ESCALATE, false,
         false},
        {LIAISON__V1__FLAG__FLAG_UNAPPROVED, LIAISON__V1__EVENT__EVENT_APPROVE, false,
         false},
    };
    struct rig *r = *state;

    keep_referral(r);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct told told = WRONG[i];
        struct liaison_answer *a = NULL;
        struct liaison_letter *t = NULL;

        r->own = &told;
        r->l = r->l == NULL ? handle(r, "prison") : r->l;
        start_with(r, play_alert, NULL);
        assert_int_equal(liaison_grant(r->l, 1, 1 << 20), LIAISON_OK);
        assert_int_equal(liaison_next(r->l, 5000, &a), LIAISON_OK);
        if (liaison_verify(r->l, a, 0, &t) != LIAISON_SIGNATURE)
            fail_msg("row %zu verifies", i);
        assert_null(t);
        liaison_answer_free(a);
        finish(r);
    }
}

static void an_alert_with_a_loose_entry_ends_the_connection(void **state)
{
    struct rig *r = *state;
    struct told told = {.flag = LIAISON__V1__FLAG__FLAG_ESCALATED,
                        .event = LIAISON__V1__EVENT__EVENT_ESCALATE,
                        .loose = true};
    struct liaison_answer *a = NULL;

    keep_referral(r);
    r->own = &told;
    start_with(r, play_alert, NULL);
    assert_int_equal(liaison_grant(r->l, 1, 1 << 20), LIAISON_OK);
    assert_int_equal(liaison_next(r->l, 5000, &a), LIAISON_MALFORMED);
    assert_null(a);
}

/* ---------------------------------------------------------------- moves */

/* Makes a move on a referral of fr/prison. Gives its letter, or NULL with *code. */
static struct liaison_letter *moved(struct liaison *l, struct liaison *reader,
                                    const char *move, const char *to,
                                    enum liaison_code *code)
{
    const char *const ROWS[][2] = {{"from", "fr/prison"},
                                   {"id", "019ab000-0000-7000-8000-000000000000"},
                                   {"version", "1"},
                                   {"move", move},
                                   {"to", to}};
    struct liaison_action *a = NULL;
    struct liaison_letter *t = NULL;
    const uint8_t *bytes;
    size_t len;

    assert_int_equal(liaison_action_new(l, &a), LIAISON_OK);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_int_equal(liaison_action_set(a, ROWS[i][0], ROWS[i][1]), LIAISON_OK);
    *code = liaison_action_seal(l, a);
    if (*code == LIAISON_OK) {
        assert_int_equal(liaison_action_bytes(a, &bytes, &len), LIAISON_OK);
        *code = liaison_verify_bytes(reader, "action", bytes, len, &t);
    }
    liaison_action_free(a);
    return t;
}

static void permit_names_whom_and_no_other_move_does(void **state)
{
    struct rig *r = *state;
    enum liaison_code code;
    struct liaison_letter *t = moved(r->l, r->l, "permit", "fr/police", &code);
    size_t len;
    const uint8_t *bytes = liaison_letter_bytes(t, &len);
    Liaison__V1__Action *a = liaison__v1__action__unpack(NULL, len, bytes);

    assert_string_equal(a->to, "fr/police");
    liaison__v1__action__free_unpacked(a, NULL);
    liaison_letter_free(t);
    assert_null(moved(r->l, r->l, "permit", "", &code));
    assert_int_equal(code, LIAISON_FIELD);
    t = moved(r->l, r->l, "acknowledge", "fr/police",
              &code); /* whom sections would go to */
    bytes = liaison_letter_bytes(t, &len);
    a = liaison__v1__action__unpack(NULL, len, bytes);
    assert_string_equal(a->to, "");
    liaison__v1__action__free_unpacked(a, NULL);
    liaison_letter_free(t);
}

static struct liaison *approver(struct rig *r)
{
    struct liaison *l = handle(r, "prison");

    pki_leaf(&r->pki, "director",
             "spiffe://fr." PKI_NETWORK "/agency/prison/approver/director", PKI_SIGN);
    assert_int_equal(liaison_set(l, "approver", "director"), LIAISON_OK);
    assert_int_equal(
        liaison_set(l, "sign_certificate", pki_path(&r->pki, "director.crt")),
        LIAISON_OK);
    assert_int_equal(liaison_set(l, "sign_key", pki_path(&r->pki, "director.key")),
                     LIAISON_OK);
    return l;
}

static void an_approver_approves_and_takes_back_and_nothing_else(void **state)
{
    static const struct {
        const char *move;
        bool by_approver;
        enum liaison_code want;
    } ROWS[] = {
        {"approve", true, LIAISON_OK},      {"withdraw", true, LIAISON_OK},
        {"accept", true, LIAISON_SIGNER},   {"acknowledge", true, LIAISON_SIGNER},
        {"approve", false, LIAISON_SIGNER}, {"withdraw", false, LIAISON_OK},
    };
    struct rig *r = *state;
    struct liaison *director = approver(r);

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        enum liaison_code code;
        struct liaison_letter *t =
            moved(ROWS[i].by_approver ? director : r->l, r->l, ROWS[i].move, "", &code);

        if (code != ROWS[i].want)
            fail_msg("%s: %s, %s", ROWS[i].move, liaison_code_name(code),
                     liaison_errmsg(r->l));
        liaison_letter_free(t);
    }
    liaison_free(director);
}

static void an_approvers_certificate_is_no_agencys_and_no_other_roles(void **state)
{
    struct rig *r = *state;
    struct liaison *director = approver(r);
    enum liaison_code code;

    assert_int_equal(liaison_set(director, "approver", "dpo"), LIAISON_OK);
    assert_null(moved(director, r->l, "approve", "", &code));
    assert_int_equal(code, LIAISON_IDENTITY);
    assert_int_equal(liaison_set(director, "approver", ""), LIAISON_OK);
    assert_null(moved(director, r->l, "withdraw", "", &code));
    assert_int_equal(code, LIAISON_IDENTITY);
    liaison_free(director);
}

/* ---------------------------------------------------------------- sealing again, and too many in an hour */

/* Accepts what comes as the broker accepts a referral that was sealed again: `wrong` alters the entry. */
static void play_reseal(struct peer *p)
{
    const struct rig *r = p->s->test;
    struct acceptance a;
    Liaison__V1__Frame *f;

    if (!peer_open(p) || (f = peer_read(p)) == NULL)
        return;
    acceptance_of(p->s, f->submit->referral, &a);
    a.entry.event = LIAISON__V1__EVENT__EVENT_RESEAL;
    a.entry.onward = a.envelope->to;
    if (r->own != NULL)
        a.entry.onward = a.envelope->from;
    if (acceptance_send(p, f->id, &a, false))
        peer_drain(p);
    liaison__v1__frame__free_unpacked(f, NULL);
}

static void a_referral_sealed_again_is_accepted_as_that(void **state)
{
    static const struct {
        const char *version;
        bool wrong;
        enum liaison_code want;
    } ROWS[] = {
        {"2", false, LIAISON_OK},
        {"2", true, LIAISON_SIGNATURE}, /* in another's place */
        {"1", false, LIAISON_SIGNATURE},      /* it was not sealed again */
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        r->l = r->l == NULL ? handle(r, "prison") : r->l;
        struct liaison_referral *referral = sealed_as(r->l, ROWS[i].version);

        r->own = ROWS[i].wrong ? r : NULL;
        start_with(r, play_reseal, NULL);
        enum liaison_code code = liaison_submit(r->l, referral, 0, NULL);

        if (code != ROWS[i].want)
            fail_msg("row %zu: %s, %s", i, liaison_code_name(code), liaison_errmsg(r->l));
        liaison_referral_free(referral);
        finish(r);
    }
}

static void a_version_is_a_number_from_1_on(void **state)
{
    static const char *const NONE[] = {"0", "4294967296"};
    struct rig *r = *state;

    for (size_t i = 0; i < 2; i++) {
        struct liaison_referral *referral = NULL;

        assert_int_equal(liaison_referral_new(r->l, &referral), LIAISON_OK);
        fill(referral);
        assert_int_equal(liaison_referral_set(referral, "version", NONE[i]), LIAISON_OK);
        assert_int_equal(liaison_seal(r->l, &referral, 1), LIAISON_FIELD);
        liaison_referral_free(referral);
    }
}

static void play_rate(struct peer *p)
{
    struct rig *r = p->s->test;
    Liaison__V1__Frame *f;

    if (!peer_open(p))
        return;
    while ((f = peer_read(p)) != NULL) {
        r->seen++;
        peer_error(p, f->id, LIAISON__V1__CODE__CODE_RATE, "");
        liaison__v1__frame__free_unpacked(f, NULL);
    }
}

static void too_many_in_an_hour_is_said_once_and_is_for_later(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = sealed_as(r->l, "1");

    start_with(r, play_rate, NULL);
    assert_int_equal(liaison_submit(r->l, referral, 0, NULL), LIAISON_RATE);
    assert_int_equal(liaison_code_retry(LIAISON_RATE), 2);
    finish(r);
    assert_int_equal(r->seen, 1);
    liaison_referral_free(referral);
}

/* ---------------------------------------------------------------- former sealing keys */

/* Publishes the probation's first sealing certificate. */
static void play_directory(struct peer *p)
{
    const struct rig *r = p->s->test;
    Liaison__V1__Frame *ask, f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Agencies agencies = LIAISON__V1__AGENCIES__INIT;
    Liaison__V1__Agency agency = LIAISON__V1__AGENCY__INIT, *list = &agency;
    ProtobufCBinaryData certificate = {0, NULL};
    char why[256];

    if (!peer_open(p) || (ask = peer_read(p)) == NULL)
        return;
    if (tls_load_certificate(pki_path(&r->pki, "probation-seal.crt"), &certificate.data,
                             &certificate.len, why, sizeof why) == LIAISON_OK) {
        agency.id = (char *)"fr/probation";
        agency.seal_certificates = &certificate;
        agency.n_seal_certificates = 1;
        agencies.agencies = &list;
        agencies.n_agencies = 1;
        f.body_case = BODY(AGENCIES);
        f.agencies = &agencies;
        peer_send(p, ask->id, &f);
        peer_drain(p);
    }
    OPENSSL_free(certificate.data);
    liaison__v1__frame__free_unpacked(ask, NULL);
}

/* A letter to the probation, sealed to its first certificate, that `reader` has verified. */
static struct liaison_letter *letter_to_probation(struct rig *r, struct liaison *reader)
{
    struct liaison_referral *referral = NULL;
    struct liaison_letter *t = NULL;
    const uint8_t *bytes;
    size_t len;

    assert_int_equal(liaison_referral_new(r->l, &referral), LIAISON_OK);
    fill(referral);
    assert_int_equal(liaison_referral_section(referral, "identity", "application/json",
                                              CONTENT, strlen(CONTENT)),
                     LIAISON_OK);
    start_with(r, play_directory, NULL);
    if (liaison_seal(r->l, &referral, 1) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(r->l));
    assert_int_equal(liaison_referral_bytes(referral, &bytes, &len), LIAISON_OK);
    if (liaison_verify_bytes(reader, "referral", bytes, len, &t) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(reader));
    liaison_referral_free(referral);
    return t;
}

static void shell(const struct rig *r, const char *command)
{
    char line[512];

    snprintf(line, sizeof line, "cd '%s' && %s", r->pki.dir, command);
    assert_int_equal(system(line), 0);
}

/* The probation with a new sealing key; the first pair is its former one, number `n`. */
static struct liaison *rotated(struct rig *r, const char *keep)
{
    struct liaison *l;

    shell(r, keep);
    pki_leaf(&r->pki, "probation-seal", "spiffe://fr." PKI_NETWORK "/agency/probation",
             PKI_SEAL);
    l = handle(r, "probation");
    assert_int_equal(liaison_set(l, "seal_old", pki_path(&r->pki, "seal.old")),
                     LIAISON_OK);
    return l;
}

static void a_former_key_opens_what_was_sealed_to_it(void **state)
{
    struct rig *r = *state;
    struct liaison_letter *t = letter_to_probation(r, r->l);
    struct liaison *reader =
        rotated(r, "cp prison-seal.crt seal.old-1.crt && cp prison-seal.key "
                   "seal.old-1.key && cp probation-seal.crt seal.old-7.crt && "
                   "cp probation-seal.key seal.old-7.key");
    const uint8_t *content;
    size_t len;

    for (size_t i = 0; i < 2; i++) {
        if (liaison_letter_open(reader, t, "identity", &content, &len, NULL) !=
            LIAISON_OK)
            fail_msg("%s", liaison_errmsg(reader));
        assert_string_equal((const char *)content, CONTENT);
    }
    liaison_letter_free(t);
    liaison_free(reader);
}

static void a_former_key_must_be_there_ours_alone_and_the_right_one(void **state)
{
    static const struct {
        const char *why, *keep;
        enum liaison_code want;
    } ROWS[] = {
        {"none was kept", "true", LIAISON_SEAL},
        {"another's",
         "cp prison-seal.crt seal.old-2.crt && cp prison-seal.key seal.old-2.key",
         LIAISON_SEAL},
        {"no key", "cp first.crt seal.old-1.crt", LIAISON_FILE},
        {"readable by others",
         "cp first.crt seal.old-1.crt && cp first.key seal.old-1.key && chmod 644 "
         "seal.old-1.key",
         LIAISON_PERMISSION},
        {"another key",
         "cp first.crt seal.old-1.crt && cp prison-seal.key seal.old-1.key",
         LIAISON_CONFIG},
    };
    struct rig *r = *state;
    struct liaison_letter *t = letter_to_probation(r, r->l);

    shell(r, "cp probation-seal.crt first.crt && cp probation-seal.key first.key");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        shell(r, "rm -f seal.old-*");
        struct liaison *reader = rotated(r, ROWS[i].keep);
        const uint8_t *content;
        size_t len;
        enum liaison_code code =
            liaison_letter_open(reader, t, "identity", &content, &len, NULL);

        if (code != ROWS[i].want)
            fail_msg("%s: %s, %s", ROWS[i].why, liaison_code_name(code),
                     liaison_errmsg(reader));
        liaison_free(reader);
    }
    liaison_letter_free(t);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest TESTS[] = {
        TEST(an_alert_tells_card_flag_and_entry),
        TEST(an_alert_whose_entry_says_something_else_does_not_verify),
        TEST(an_alert_with_a_loose_entry_ends_the_connection),
        TEST(permit_names_whom_and_no_other_move_does),
        TEST(an_approver_approves_and_takes_back_and_nothing_else),
        TEST(an_approvers_certificate_is_no_agencys_and_no_other_roles),
        TEST(a_referral_sealed_again_is_accepted_as_that),
        TEST(a_version_is_a_number_from_1_on),
        TEST(too_many_in_an_hour_is_said_once_and_is_for_later),
        TEST(a_former_key_opens_what_was_sealed_to_it),
        TEST(a_former_key_must_be_there_ours_alone_and_the_right_one),
    };
#undef TEST
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
