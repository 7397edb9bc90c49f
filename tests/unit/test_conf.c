/* Settings and rules as text. The files in tests/data/rules and tests/data/conf stand beside what is to be said
 * about them:
 * NAME.conf and NAME.out. `UPDATE=1 build/tests/unit/test_conf` writes the answers anew, for a person to read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/conf/conf.h"
#include "broker/conf/settings.h"
#include "broker/conf/suggest.h"
#include "broker/conf/units.h"

/* All of a file; NULL if there is none. */
static char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t len, n;
    char part[4096];

    if (f == NULL)
        return NULL;
    FILE *copy = open_memstream(&text, &len);

    while ((n = fread(part, 1, sizeof part, f)) > 0)
        fwrite(part, 1, n, copy);
    fclose(f);
    fclose(copy);
    return text;
}

static void spill(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* What conf_check() says about a file, out and errors together. */
static char *said_about(const char *path, enum liaison_code *code)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    *code = conf_check(path, f, f);
    fclose(f);
    return text;
}

static int check_one(const char *path)
{
    char answer[300];
    enum liaison_code code;
    char *said = said_about(path, &code);
    bool good = strstr(path, "good") != NULL;
    int failed = 0;

    snprintf(answer, sizeof answer, "%.*s.out", (int)(strlen(path) - 5), path);
    if (getenv("UPDATE") != NULL)
        spill(answer, said);
    char *want = slurp(answer);

    if (want == NULL || strcmp(said, want) != 0 || (code == LIAISON_OK) != good) {
        print_error("%s: code %d; said:\n%s\nwanted:\n%s\n", path, code, said,
                    want != NULL ? want : "(no answer file)");
        failed = 1;
    }
    free(said);
    free(want);
    return failed;
}

static size_t check_matching(const char *folder, const char *pattern)
{
    char home[4096];
    glob_t found;
    int failed = 0;

    assert_non_null(getcwd(home, sizeof home));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        failed += check_one(found.gl_pathv[i]);
    size_t n = found.gl_pathc;

    globfree(&found);
    assert_int_equal(chdir(home), 0);
    assert_int_equal(failed, 0);
    return n;
}

static void every_broken_rules_file_is_answered_as_written_beside_it(void **state)
{
    (void)state;
    assert_true(check_matching("tests/data/rules", "*.conf") >= 100);
    assert_true(check_matching("tests/data/rules", "*/main.conf") >= 9);
}

static void every_broken_settings_file_is_answered_as_written_beside_it(void **state)
{
    (void)state;
    assert_true(check_matching("tests/data/conf", "*.conf") >= 20);
}

static void what_is_not_set_has_its_default(void **state)
{
    struct conf c;

    (void)state;
    assert_int_equal(conf_load("tests/data/conf/51-good-one-file.conf", &c, stderr),
                     LIAISON_OK);
    assert_int_equal(c.gates, 1);
    assert_int_equal(c.log, LOG_INFO_);
    assert_null(c.user);
    assert_null(c.notary_user);
    assert_null(c.witnesses);
    assert_null(c.control);
    assert_null(c.rules_file);
    assert_int_equal(c.map_bytes, UINT64_C(16) << 30);
    assert_int_equal(c.reserve_bytes, 64 << 20);
    const struct conf_limits want = {.message_bytes = 1 << 20,
                                     .sections = 32,
                                     .window = 64,
                                     .credit_bytes = 1 << 20,
                                     .tls_timeout_ms = 5000,
                                     .zmtp_timeout_ms = 2000,
                                     .hello_timeout_ms = 2000,
                                     .idle_ms = 60000,
                                     .ping_ms = 20000,
                                     .lease_ms = 60000,
                                     .sessions = 4096,
                                     .sessions_per_agency = 256,
                                     .sessions_per_address = 1024,
                                     .handshakes = 512,
                                     .page = 200};

    assert_memory_equal(&c.limits, &want, sizeof want);
    conf_free(&c);
}

static void what_is_set_is_taken_and_paths_start_at_their_file(void **state)
{
    struct conf c;

    (void)state;
    assert_int_equal(conf_load("tests/data/conf/50-good.conf", &c, stderr), LIAISON_OK);
    assert_int_equal(c.n_listen, 2);
    assert_string_equal(c.listen[0].address, "127.0.0.1");
    assert_int_equal(c.listen[0].port, 0);
    assert_string_equal(c.listen[1].address, "::1");
    assert_int_equal(c.listen[1].port, 7443);
    assert_string_equal(c.store_url, "lmdb:tests/data/conf/store");
    assert_string_equal(c.store_key, "tests/data/conf/store.key");
    assert_string_equal(c.certificate, "tests/data/conf/b.crt");
    assert_string_equal(c.key, "tests/data/conf/b.key");
    assert_string_equal(c.ca, "tests/data/conf/ca.crt");
    assert_string_equal(c.crl, "tests/data/conf/ca.crl");
    assert_string_equal(c.directory, "tests/data/conf/dir");
    assert_string_equal(c.notary_key, "tests/data/conf/log.key");
    assert_string_equal(c.notary_state, "/var/log.state");
    assert_string_equal(c.notary_user, "liaison-notary");
    assert_string_equal(c.witnesses, "tests/data/conf/log.policy");
    assert_string_equal(c.control, "tests/data/conf/control");
    assert_string_equal(c.rules_file, "tests/data/conf/good.rules");
    assert_string_equal(c.user, "liaison");
    assert_int_equal(c.log, LOG_DEBUG_);
    assert_int_equal(c.gates, 4);
    assert_int_equal(c.limits.message_bytes, 16 << 20);
    assert_int_equal(c.limits.idle_ms, 120000);
    assert_int_equal(c.limits.tls_timeout_ms, 1500);
    assert_string_equal(rules_network(c.rules), "practicies.example");
    conf_free(&c);
}

static void a_failed_load_leaves_the_outputs_untouched(void **state)
{
    struct conf c, before;
    struct rules *r = NULL;
    FILE *nowhere = fopen("/dev/null", "w");

    (void)state;
    memset(&c, 0x5a, sizeof c);
    before = c;
    assert_int_equal(conf_load("tests/data/conf/16-rules-broken.conf", &c, nowhere),
                     LIAISON_CONFIG);
    assert_int_equal(conf_load("tests/data/conf/no-such.conf", &c, nowhere),
                     LIAISON_FILE);
    assert_memory_equal(&c, &before, sizeof c);
    assert_int_equal(conf_load_rules("tests/data/conf/16-rules-broken.conf", &r, nowhere),
                     LIAISON_CONFIG);
    assert_null(r);
    fclose(nowhere);
}

static void set_id_of(const char *path, uint8_t id[32])
{
    struct rules *r = NULL;

    assert_int_equal(conf_load_rules(path, &r, stderr), LIAISON_OK);
    rules_set_id(r, id);
    rules_free(r);
}

static void the_set_is_named_by_the_files_that_hold_rules(void **state)
{
    uint8_t one[32], both[32], text_only[32];
    struct rules *r = NULL;
    char *text = slurp("tests/data/conf/good.rules");

    (void)state;
    set_id_of("tests/data/conf/50-good.conf",
              one); /* settings alone: they do not count */
    set_id_of("tests/data/conf/52-good-both.conf", both);
    assert_int_equal(conf_read_rules("x", slice_text(text), &r, stderr), LIAISON_OK);
    rules_set_id(r, text_only);
    rules_free(r);
    free(text);
    assert_memory_equal(one, text_only, 32);
    assert_memory_not_equal(one, both, 32);
}

static void the_template_passes_its_own_check(void **state)
{
    char path[] = "/tmp/liaison-template-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    enum liaison_code code;

    (void)state;
    conf_print_template(f);
    fclose(f);
    char *said = said_about(path, &code);

    unlink(path);
    if (code != LIAISON_OK)
        print_error("%s", said);
    free(said);
    assert_int_equal(code, LIAISON_OK);
}

static void help_names_every_setting(void **state)
{
    char *text = NULL, line[64];
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    conf_print_settings(f);
    fclose(f);
    assert_non_null(settings_name(0));
    for (size_t i = 0; settings_name(i) != NULL; i++) {
        snprintf(line, sizeof line, " %s ", settings_name(i));
        assert_non_null(strstr(text, line));
    }
    free(text);
}

static void the_demonstration_passes(void **state)
{
    enum liaison_code code;
    char *said = said_about("tests/data/demo/rules.conf", &code);

    (void)state;
    free(said);
    assert_int_equal(code, LIAISON_OK);
}

static void a_file_past_the_limit_is_refused(void **state)
{
    char path[] = "/tmp/liaison-large-XXXXXX";
    int fd = mkstemp(path);
    enum liaison_code code;

    (void)state;
    assert_int_equal(ftruncate(fd, CONF_FILE_MAX + 1), 0);
    close(fd);
    char *said = said_about(path, &code);

    unlink(path);
    assert_non_null(strstr(said, "too large"));
    free(said);
    assert_int_equal(code, LIAISON_FILE);
}

static void the_nearest_word_is_meant_or_none(void **state)
{
    static const struct {
        const char *why, *word, *candidates[3], *want;
    } ROWS[] = {
        {"two letters swapped", "poliec", {"police", "prison"}, "police"},
        {"one left out", "agncy", {"agency", "auditor"}, "agency"},
        {"one too many", "alloww", {"deny", "allow"}, "allow"},
        {"the nearer of two", "grops", {"group", "drops"}, "drops"},
        {"too far", "school", {"police", "prison"}, NULL},
        {"short words are not guessed", "ot", {"to", "of"}, NULL},
        {"a word is not its own correction", "deny", {"deny"}, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct suggest s = suggest_for(ROWS[i].word);

        for (size_t k = 0; k < 3 && ROWS[i].candidates[k] != NULL; k++)
            suggest_try(&s, ROWS[i].candidates[k]);
        bool same = s.best == NULL
                        ? ROWS[i].want == NULL
                        : ROWS[i].want != NULL && strcmp(s.best, ROWS[i].want) == 0;

        if (!same)
            fail_msg("%s: got %s", ROWS[i].why, s.best != NULL ? s.best : "none");
    }
}

static void numbers_with_units_are_read_exactly(void **state)
{
    static const struct {
        const char *why, *text;
        bool (*read)(const char *, uint64_t *);
        bool good;
        uint64_t want;
    } ROWS[] = {
        {"plain bytes", "17", units_size, true, 17},
        {"kibibytes", "256K", units_size, true, 262144},
        {"gibibytes", "16G", units_size, true, UINT64_C(16) << 30},
        {"two letters", "1KB", units_size, false, 0},
        {"no number", "K", units_size, false, 0},
        {"negative", "-1", units_size, false, 0},
        {"past 2^53", "9007199254740993", units_size, false, 0},
        {"past 2^53 by its unit", "9007199254740991G", units_size, false, 0},
        {"wraps 64 bits", "18446744073709551617", units_size, false, 0},
        {"seconds", "5s", units_time, true, 5000},
        {"milliseconds", "150ms", units_time, true, 150},
        {"days", "31d", units_time, true, UINT64_C(31) * 86400000},
        {"a time needs its unit", "5", units_time, false, 0},
        {"past 1,000 days", "1001d", units_time, false, 0},
        {"a count has none", "5s", units_number, false, 0},
        {"a count", "64", units_number, true, 64},
        {"nothing", "", units_number, false, 0},
    };

    struct rules_span span;

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint64_t got = 0;
        bool good = ROWS[i].read(ROWS[i].text, &got);

        if (good != ROWS[i].good || (good && got != ROWS[i].want))
            fail_msg("%s: %s", ROWS[i].why, ROWS[i].text);
    }
    assert_true(units_span("2y", &span) && units_span("18m", &span) &&
                units_span("30d", &span) && units_span("9999h", &span));
    assert_false(units_span("0d", &span) || units_span("02y", &span) ||
                 units_span("2w", &span) || units_span("y", &span) ||
                 units_span("10000d", &span) || units_span("2yy", &span));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_broken_rules_file_is_answered_as_written_beside_it),
        cmocka_unit_test(every_broken_settings_file_is_answered_as_written_beside_it),
        cmocka_unit_test(what_is_not_set_has_its_default),
        cmocka_unit_test(what_is_set_is_taken_and_paths_start_at_their_file),
        cmocka_unit_test(a_failed_load_leaves_the_outputs_untouched),
        cmocka_unit_test(the_set_is_named_by_the_files_that_hold_rules),
        cmocka_unit_test(the_template_passes_its_own_check),
        cmocka_unit_test(help_names_every_setting),
        cmocka_unit_test(the_demonstration_passes),
        cmocka_unit_test(a_file_past_the_limit_is_refused),
        cmocka_unit_test(the_nearest_word_is_meant_or_none),
        cmocka_unit_test(numbers_with_units_are_read_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
