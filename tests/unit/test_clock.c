/* The ledger's time: forwards always, slowly towards the wall clock, and on its own after a step. */
#include "broker/ledger/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint64_t S = 1000000000,
                      NOW = 1795780800000000000; /* a day of November 2026 */

static void it_starts_at_the_wall_clock(void **state)
{
    struct ledger_clock c;

    (void)state;
    ledger_clock_start(&c, 0, NOW, 7);
    assert_false(c.held);
    assert_int_equal(ledger_clock_now(&c, NOW + S, 7 + S), NOW + S);
}

static void it_never_runs_back(void **state)
{
    struct ledger_clock c;
    uint64_t wall = NOW, mono = 0, before = 0;

    (void)state;
    srand(20261127);
    ledger_clock_start(&c, 0, wall, mono);
    for (int i = 0; i < 200000; i++) {
        uint64_t step = (uint64_t)rand() % (2 * S);

        mono += step;
        wall += step + (uint64_t)rand() % S - S / 2;
        if (i % 5000 == 4999)
            wall += (uint64_t)(rand() % 3 - 1) * 3600 * S;
        uint64_t now = ledger_clock_now(&c, wall, mono);

        assert_true(now >= before);
        before = now;
        if (i % 9000 == 8999)
            ledger_clock_confirm(&c, wall, mono);
    }
}

static void a_small_difference_is_made_up_at_half_the_pace_of_time(void **state)
{
    struct ledger_clock c;

    (void)state;
    ledger_clock_start(&c, 0, NOW, 0);
    assert_int_equal(ledger_clock_now(&c, NOW + 12 * S, 2 * S),
                     NOW + 3 * S); /* 10 s ahead */
    assert_int_equal(ledger_clock_now(&c, NOW + 30 * S, 20 * S), NOW + 30 * S);
    assert_int_equal(ledger_clock_now(&c, NOW + 22 * S, 22 * S),
                     NOW + 31 * S); /* 10 s behind */
    assert_false(c.held);
}

static void a_step_of_the_wall_clock_holds_it(void **state)
{
    static const struct {
        const char *why;
        int64_t wall_s;
        bool held;
    } ROWS[] = {
        {"a second ahead", 2, false},         {"five minutes ahead", 301, false},
        {"more than that", 302, true},        {"an hour back", -3599, true},
        {"ten years ahead", 315360000, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct ledger_clock c;

        ledger_clock_start(&c, 0, NOW, 0);
        uint64_t now = ledger_clock_now(&c, NOW + (uint64_t)ROWS[i].wall_s * S, S);

        if (c.held != ROWS[i].held || (c.held && now != NOW + S))
            fail_msg("%s: held %d", ROWS[i].why, c.held);
    }
}

static void held_it_follows_the_monotonic_clock_until_it_is_confirmed(void **state)
{
    struct ledger_clock c;

    (void)state;
    ledger_clock_start(&c, 0, NOW, 0);
    assert_int_equal(ledger_clock_now(&c, NOW + 7200 * S, S), NOW + S);
    assert_int_equal(ledger_clock_now(&c, NOW + 7260 * S, 61 * S), NOW + 61 * S);
    ledger_clock_confirm(&c, NOW + 7261 * S, 62 * S);
    assert_false(c.held);
    assert_int_equal(ledger_clock_now(&c, NOW + 7262 * S, 63 * S), NOW + 7262 * S);
}

static void confirmed_while_behind_it_waits_for_the_wall_clock(void **state)
{
    struct ledger_clock c;

    (void)state;
    ledger_clock_start(&c, 0, NOW, 0);
    (void)ledger_clock_now(&c, NOW - 3600 * S, S);
    assert_true(c.held);
    ledger_clock_confirm(&c, NOW - 3600 * S, S);
    assert_int_equal(ledger_clock_now(&c, NOW - 3598 * S, 3 * S), NOW + 2 * S);
    assert_false(c.held);
    uint64_t now = ledger_clock_now(&c, NOW - 3600 * S + 7200 * S, 7201 * S);

    assert_true(now >= NOW + 3600 * S && now <= NOW + 3602 * S); /* caught up */
}

static void a_start_is_held_behind_the_last_entry_or_a_week_past_it(void **state)
{
    static const struct {
        const char *why;
        int64_t wall_s;
        bool held;
    } ROWS[] = {
        {"right behind it", 1, false},
        {"a little before it, as slewing leaves it", -5, false},
        {"before it", -6, true},
        {"a week later", 7 * 86400, false},
        {"more than a week", 7 * 86400 + 1, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct ledger_clock c;

        ledger_clock_start(&c, NOW, NOW + (uint64_t)ROWS[i].wall_s * S, 5);
        if (c.held != ROWS[i].held || c.time_ns < NOW)
            fail_msg("%s: held %d", ROWS[i].why, c.held);
    }
}

static void
the_answer_clock_stands_while_the_broker_is_down_or_its_clock_is_held(void **state)
{
    static const struct {
        const char *why;
        uint64_t passes_s; /* until this look */
        bool held;
        uint64_t paused_s; /* after it, all in all */
    } ROWS[] = {
        {"down since it was last alive", 500, false, 500},
        {"it runs", 1000, false, 500},
        {"held since the last look", 10, true, 510},
        {"held", 100, true, 610},
        {"confirmed: until then it was held", 3600, false, 4210},
        {"it runs again", 1000, false, 4210},
    };
    struct answer_clock a;
    uint64_t now = NOW;

    (void)state;
    answer_clock_start(&a, 0, now);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        now += ROWS[i].passes_s * S;
        answer_clock_look(&a, now, ROWS[i].held);
        if (a.paused_ns != ROWS[i].paused_s * S)
            fail_msg("%s: paused %llu ns", ROWS[i].why, (unsigned long long)a.paused_ns);
        assert_int_equal(answer_clock_of(&a, now), now - ROWS[i].paused_s * S);
    }
    answer_clock_start(&a, 0, 0); /* a store that has none */
    answer_clock_look(&a, NOW, true);
    assert_int_equal(a.paused_ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_at_the_wall_clock),
        cmocka_unit_test(it_never_runs_back),
        cmocka_unit_test(a_small_difference_is_made_up_at_half_the_pace_of_time),
        cmocka_unit_test(a_step_of_the_wall_clock_holds_it),
        cmocka_unit_test(held_it_follows_the_monotonic_clock_until_it_is_confirmed),
        cmocka_unit_test(confirmed_while_behind_it_waits_for_the_wall_clock),
        cmocka_unit_test(a_start_is_held_behind_the_last_entry_or_a_week_past_it),
        cmocka_unit_test(
            the_answer_clock_stands_while_the_broker_is_down_or_its_clock_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
