#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/id.h"

static const uint64_t NOW_MS = 1795420800000;
static const uint64_t DAY_MS = 24ULL * 3600 * 1000;

static void make(uint64_t unix_ms, uint8_t id[ID_BYTES])
{
    id_make(unix_ms, (const uint8_t[10]){0xff, 1, 0xff, 3, 4, 5, 6, 7, 8, 9}, id);
}

static void an_id_is_a_uuid_of_version_7(void **state)
{
    uint8_t id[ID_BYTES], again[ID_BYTES];
    char text[ID_TEXT];

    (void)state;
    make(0x017f22e279b0, id); /* the time of RFC 9562, A.6 */
    assert_true(id_valid(slice(id, sizeof id)));
    id_text(id, text);
    assert_memory_equal(text, "017f22e2-79b0-7", 15);
    assert_true(id_parse(text, again));
    assert_memory_equal(id, again, sizeof id);
}

static void other_versions_variants_and_lengths_are_refused(void **state)
{
    uint8_t id[ID_BYTES];

    (void)state;
    make(NOW_MS, id);
    assert_false(id_valid(slice(id, 15)));
    id[6] = 0x41;
    assert_false(id_valid(slice(id, sizeof id)));
    make(NOW_MS, id);
    id[8] = 0xc1;
    assert_false(id_valid(slice(id, sizeof id)));
}

static void ids_live_from_30_days_ago_to_5_minutes_ahead(void **state)
{
    const struct {
        const char *why;
        uint64_t made_ms;
        bool fresh;
    } ROWS[] = {
        {"now", NOW_MS, true},
        {"30 days ago", NOW_MS - 30 * DAY_MS, true},
        {"a moment more", NOW_MS - 30 * DAY_MS - 1, false},
        {"5 minutes ahead", NOW_MS + 5 * 60000, true},
        {"a moment more", NOW_MS + 5 * 60000 + 1, false},
        {"1970", 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint8_t id[ID_BYTES];

        make(ROWS[i].made_ms, id);
        if (id_fresh(slice(id, sizeof id), NOW_MS) != ROWS[i].fresh)
            fail_msg("%s", ROWS[i].why);
    }
}

static void names_words_and_numbers_have_their_forms(void **state)
{
    char long_name[300];
    const struct {
        const char *text;
        bool name, word, officer;
    } ROWS[] = {
        {"fr/lyon/probation", true, false, false},
        {"fr", true, true, true},
        {"a/b/c/d/e/f/g/h", true, false, false},
        {"a/b/c/d/e/f/g/h/i", false, false, false},
        {"", false, false, false},
        {"/fr", false, false, false},
        {"fr/", false, false, false},
        {"fr//lyon", false, false, false},
        {"FR/lyon", false, false, false},
        {"fr lyon", false, false, false},
        {"fr.lyon", false, false, true},
        {"A_1.x-9", false, false, true},
        {"../etc", false, false, false},
        {"caf\xc3\xa9", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (id_name(ROWS[i].text) != ROWS[i].name ||
            id_word(ROWS[i].text) != ROWS[i].word ||
            id_officer(ROWS[i].text) != ROWS[i].officer)
            fail_msg("%s", ROWS[i].text);
    memset(long_name, 'a', sizeof long_name);
    long_name[256] = '\0';
    assert_false(id_name(long_name));
    long_name[255] = '\0';
    assert_true(id_name(long_name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_a_uuid_of_version_7),
        cmocka_unit_test(other_versions_variants_and_lengths_are_refused),
        cmocka_unit_test(ids_live_from_30_days_ago_to_5_minutes_ahead),
        cmocka_unit_test(names_words_and_numbers_have_their_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
