/* The life cycle: every (type, state, event, party) against what the contract says in words. */
#include "broker/referral/referral.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S(s)  LIAISON__V1__STATE__STATE_##s
#define STAYS S(UNSPECIFIED) /* in the state it has */

enum { STATES = 13, TYPES = 5, PARTIES = 5 };

/* The contract once more, in the order of a reader: from these states, this party's event leads there. */
static const struct {
    enum referral_event event;
    enum referral_party party;
    int from[4]; /* -1 ends it */
    Liaison__V1__State next;
    bool reason;
    const char *section;
    Liaison__V1__Event logged_as;
} WANT[] = {
    {REFERRAL_SUBMIT,
     REFERRAL_SENDER,
     {S(UNSPECIFIED), -1},
     S(REQUESTED),
     false,
     NULL,
     20},
    {REFERRAL_RECEIVED,
     REFERRAL_BROKER,
     {S(REQUESTED), -1},
     S(RECEIVED),
     false,
     NULL,
     27},
    {REFERRAL_ACCEPT,
     REFERRAL_RECIPIENT,
     {S(REQUESTED), S(RECEIVED), -1},
     S(ACCEPTED),
     false,
     NULL,
     22},
    {REFERRAL_REJECT,
     REFERRAL_RECIPIENT,
     {S(REQUESTED), S(RECEIVED), -1},
     S(REJECTED),
     true,
     NULL,
     23},
    {REFERRAL_START,
     REFERRAL_RECIPIENT,
     {S(ACCEPTED), -1},
     S(IN_PROGRESS),
     false,
     NULL,
     24},
    {REFERRAL_COMPLETE,
     REFERRAL_RECIPIENT,
     {S(ACCEPTED), S(IN_PROGRESS), -1},
     S(COMPLETED),
     false,
     "outcome",
     25},
    {REFERRAL_WITHDRAW,
     REFERRAL_SENDER,
     {S(REQUESTED), S(RECEIVED), -1},
     S(CANCELLED),
     true,
     NULL,
     26},
    {REFERRAL_APPROVE,
     REFERRAL_APPROVER,
     {S(REQUESTED), -1},
     S(REQUESTED),
     false,
     NULL,
     28},
    {REFERRAL_ACKNOWLEDGE,
     REFERRAL_RECIPIENT,
     {S(RECEIVED), S(ACCEPTED), S(IN_PROGRESS), -1},
     STAYS,
     false,
     NULL,
     29},
    {REFERRAL_PERMIT,
     REFERRAL_SENDER,
     {S(RECEIVED), S(ACCEPTED), S(IN_PROGRESS), -1},
     STAYS,
     false,
     NULL,
     30},
};

/* Index of the line for this state and event, or -1. */
static int line_for(int state, int event)
{
    for (size_t i = 0; i < sizeof WANT / sizeof *WANT; i++)
        for (size_t j = 0; WANT[i].from[j] != -1; j++)
            if ((int)WANT[i].event == event && WANT[i].from[j] == state)
                return (int)i;
    return -1;
}

static void check_one(int type, int state, int event, int party)
{
    struct referral_step step = {.next = (Liaison__V1__State)99};
    enum liaison_code code =
        referral_step((Liaison__V1__Type)type, (Liaison__V1__State)state,
                      (enum referral_event)event, (enum referral_party)party, &step);
    int line = line_for(state, event);
    enum liaison_code want = type != LIAISON__V1__TYPE__TYPE_REFERRAL &&
                                     type != LIAISON__V1__TYPE__TYPE_TRANSFER
                                 ? LIAISON_UNSUPPORTED
                             : line < 0                       ? LIAISON_STATE
                             : (int)WANT[line].party != party ? LIAISON_PARTY
                                                              : LIAISON_OK;
    if (code != want)
        fail_msg("type %d state %d event %d party %d: %d, wanted %d", type, state, event,
                 party, code, want);
    if (code != LIAISON_OK) {
        assert_int_equal(step.next, 99); /* outputs stay untouched */
        return;
    }
    assert_int_equal(step.next, WANT[line].next == STAYS ? (Liaison__V1__State)state
                                                         : WANT[line].next);
    assert_int_equal(step.needs_reason, WANT[line].reason);
    assert_int_equal(step.logged_as, WANT[line].logged_as);
    if (WANT[line].section == NULL)
        assert_null(step.needs_section);
    else
        assert_string_equal(step.needs_section, WANT[line].section);
    assert_int_equal(step.moves_responsibility,
                     type == LIAISON__V1__TYPE__TYPE_TRANSFER &&
                         event == REFERRAL_ACCEPT);
}

static void the_table_says_what_the_contract_says(void **state)
{
    (void)state;
    for (int t = -1; t <= TYPES; t++)
        for (int s = -1; s <= STATES; s++)
            for (int e = 0; e < REFERRAL_EVENT__COUNT; e++)
                for (int p = 0; p < PARTIES; p++)
                    check_one(t, s, e, p);
}

/* What reveals, hands on or lets through is judged once more; what ends or begins work is not. */
static void the_rules_are_asked_again_before_a_move_that_discloses(void **state)
{
    static const struct {
        enum referral_event event;
        enum referral_party party;
        bool discloses;
    } MOVES[] = {
        {REFERRAL_ACCEPT, REFERRAL_RECIPIENT, true},
        {REFERRAL_COMPLETE, REFERRAL_RECIPIENT, true},
        {REFERRAL_ACKNOWLEDGE, REFERRAL_RECIPIENT, true},
        {REFERRAL_PERMIT, REFERRAL_SENDER, true},
        {REFERRAL_APPROVE, REFERRAL_APPROVER, true},
        {REFERRAL_REJECT, REFERRAL_RECIPIENT, false},
        {REFERRAL_WITHDRAW, REFERRAL_SENDER, false},
        {REFERRAL_START, REFERRAL_RECIPIENT, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof MOVES / sizeof *MOVES; i++)
        for (int s = 0; s < STATES; s++) {
            struct referral_step step;
            if (referral_step(LIAISON__V1__TYPE__TYPE_TRANSFER, (Liaison__V1__State)s,
                              MOVES[i].event, MOVES[i].party, &step) == LIAISON_OK)
                assert_int_equal(step.discloses, MOVES[i].discloses);
        }
}

static void a_finished_referral_allows_nothing(void **state)
{
    (void)state;
    for (int s = 0; s < STATES; s++) {
        bool allows = false;
        for (int e = 0; e < REFERRAL_EVENT__COUNT; e++)
            allows = allows || line_for(s, e) >= 0;
        if (referral_finished((Liaison__V1__State)s))
            assert_false(allows);
    }
    assert_true(referral_finished(S(REJECTED)));
    assert_true(referral_finished(S(CANCELLED)));
    assert_true(referral_finished(S(COMPLETED)));
    assert_false(referral_finished(S(UNSPECIFIED)));
    assert_false(referral_finished(S(REQUESTED)));
    assert_false(referral_finished(S(RECEIVED)));
    assert_false(referral_finished(S(ACCEPTED)));
    assert_false(referral_finished(S(IN_PROGRESS)));
    assert_false(referral_finished((Liaison__V1__State)-1));
    assert_false(referral_finished((Liaison__V1__State)STATES));
}

static void every_move_is_an_event_and_nothing_else_is(void **state)
{
    static const enum referral_event WANTED[] = {
        REFERRAL_ACCEPT,   REFERRAL_REJECT,  REFERRAL_START,       REFERRAL_COMPLETE,
        REFERRAL_WITHDRAW, REFERRAL_APPROVE, REFERRAL_ACKNOWLEDGE, REFERRAL_PERMIT};
    (void)state;
    for (int m = -1; m < 12; m++) {
        enum referral_event e = REFERRAL_EVENT__COUNT;
        bool is = referral_event_of((Liaison__V1__Move)m, &e);
        assert_int_equal(is, m >= 1 && m <= 8);
        assert_int_equal(e, is ? WANTED[m - 1] : REFERRAL_EVENT__COUNT);
    }
}

/* The descriptor's name "STATE_IN_PROGRESS" as people write it: "in-progress". */
static void every_state_has_its_word(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *d = &liaison__v1__state__descriptor;
    assert_int_equal(d->n_values, STATES);
    for (unsigned i = 1; i < d->n_values; i++) {
        char word[64];
        const char *from = d->values[i].name + strlen("STATE_");
        size_t n = 0;
        for (; from[n] != '\0'; n++)
            word[n] = (char)(from[n] == '_' ? '-' : from[n] + ('a' - 'A'));
        word[n] = '\0';
        assert_string_equal(referral_state_text((Liaison__V1__State)d->values[i].value),
                            word);
    }
    assert_string_equal(referral_state_text((Liaison__V1__State)-1), "unknown");
    assert_string_equal(referral_state_text((Liaison__V1__State)STATES), "unknown");
}

static void rows_read_like_a_table(void **state)
{
    char row[200];
    (void)state;
    assert_true(referral_row_text(0, row, sizeof row));
    assert_string_equal(
        row, "| referral | none | submit | sender | requested | - | stays |\n");
    size_t n = 0;
    bool seen = false;
    for (; referral_row_text(n, row, sizeof row); n++)
        seen = seen || strcmp(row, "| transfer | received | accept | recipient | "
                                   "accepted | - | moves to the "
                                   "recipient |\n") == 0;
    assert_int_equal(n, 2 * 18);
    assert_true(seen);
    assert_false(referral_row_text(SIZE_MAX, row, sizeof row));
}

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(the_table_says_what_the_contract_says),
        cmocka_unit_test(the_rules_are_asked_again_before_a_move_that_discloses),
        cmocka_unit_test(a_finished_referral_allows_nothing),
        cmocka_unit_test(every_move_is_an_event_and_nothing_else_is),
        cmocka_unit_test(every_state_has_its_word),
        cmocka_unit_test(rows_read_like_a_table),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
