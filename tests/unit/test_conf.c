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
#include "broker/conf/fmt.h"
#include "broker/conf/layout.h"
#include "broker/conf/settings.h"
#include "broker/conf/suggest.h"
#include "broker/conf/units.h"
#include "broker/rules/build.h"

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

/* ---------------------------------------------------------------- several files */

static void a_set_of_several_files_is_read_again_from_its_kept_text_alone(void **state)
{
    struct rules *r = NULL, *again = NULL;
    uint8_t id[32], id_again[32];

    (void)state;
    assert_int_equal(
        conf_load_any_rules("tests/data/rules/d8-good-tree/main.conf", &r, stderr),
        LIAISON_OK);
    assert_int_equal(conf_read_kept(rules_text(r), &again, stderr), LIAISON_OK);
    rules_set_id(r, id);
    rules_set_id(again, id_again);
    assert_memory_equal(id, id_again, 32);
    assert_int_equal(rules_count(r), 1);
    assert_int_equal(rules_count(again), 1);
    assert_memory_equal(rules_line_at(r, 0, NULL)->id, rules_line_at(again, 0, NULL)->id,
                        32);
    assert_string_equal(rules_line_at(r, 0, NULL)->where, "rules.d/20-rules.conf:1");
    assert_string_equal(rules_line_at(again, 0, NULL)->where, "rules.d/20-rules.conf:1");
    rules_free(r);
    rules_free(again);
}

static void the_kept_text_names_each_file_but_the_first(void **state)
{
    static const char WANT[] = "network \"practicies.example\"\n"
                               "include \"rules.d/*.conf\"\n"
                               "include \"tests.conf\"\n"
                               "# included: rules.d/10-members.conf\n";
    struct rules *r = NULL;

    (void)state;
    assert_int_equal(
        conf_load_any_rules("tests/data/rules/d8-good-tree/main.conf", &r, stderr),
        LIAISON_OK);
    assert_true(rules_text(r).n > sizeof WANT);
    assert_memory_equal(rules_text(r).p, WANT, sizeof WANT - 1);
    rules_free(r);
}

/* What a later version would refuse was in force once, and decisions of that time are judged again. */
static void a_kept_text_is_read_whatever_is_idle_failing_or_over_in_it(void **state)
{
    static const char TEXT[] =
        "gates 2\nrules \"elsewhere.conf\"\ninclude \"gone.conf\"\n"
        "network \"practicies.example\"\nagency fr/a kind prison area fr\n"
        "agency fr/b kind ngo area fr\ngroup idle { fr/a }\n"
        "allow any any from fr/a to fr/b purpose any basis any until 2020-01-01\n"
        "allow any \"x\" from fr/a to fr/b purpose any basis any until 2020-01-01\n"
        "test \"fails\" any any from fr/a to fr/b expect deny\n";
    struct rules *r = NULL;

    (void)state;
    assert_int_equal(conf_read_kept(slice_text(TEXT), &r, stderr), LIAISON_OK);
    assert_int_equal(rules_count(r), 2);
    rules_free(r);
}

static void what_a_reload_reads_again_is_listed(void **state)
{
    char folder[] = "/tmp/liaison-include-XXXXXX", path[100], settings[2000];
    struct conf c;
    char *base = slurp("tests/data/conf/50-good.conf");

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/liaisond.conf", folder);
    snprintf(settings, sizeof settings, "%s", base);
    free(base);
    spill(path, settings);
    snprintf(path, sizeof path, "%s/good.rules", folder);
    spill(path, "network \"practicies.example\"\ninclude \"d/*.conf\"\n"
                "include \"one.conf\"\n");
    snprintf(path, sizeof path, "%s/one.conf", folder);
    spill(path, "agency fr/a kind prison area fr\n");
    snprintf(path, sizeof path, "%s/liaisond.conf", folder);
    FILE *nowhere = fopen("/dev/null", "w");

    assert_int_equal(conf_load(path, &c, nowhere), LIAISON_OK);
    fclose(nowhere);
    assert_int_equal(c.n_rules_files, 2);
    assert_string_equal(strrchr(c.rules_files[0].path, 'd'), "d/");
    assert_true(c.rules_files[0].folder);
    assert_string_equal(strrchr(c.rules_files[1].path, '/'), "/one.conf");
    assert_false(c.rules_files[1].folder);
    conf_free(&c);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder,
                 (const char *[]){"liaisond.conf", "good.rules", "one.conf"}[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

/* ---------------------------------------------------------------- layout */

/* The same rules, as their ids say, and as many agencies. */
static void assert_same_meaning(const char *path, const struct rules *a,
                                const struct rules *b)
{
    size_t n = 0, m = 0;

    while (rules_agency_at(a, n) != NULL)
        n++;
    while (rules_agency_at(b, m) != NULL)
        m++;
    if (n != m || rules_count(a) != rules_count(b))
        fail_msg("%s: layout changed how many there are", path);
    for (size_t i = 0; i < rules_count(a); i++)
        if (memcmp(rules_line_at(a, i, NULL)->id, rules_line_at(b, i, NULL)->id, 32) != 0)
            fail_msg("%s: layout changed %s", path, rules_line_at(a, i, NULL)->text);
}

static void check_layout(const char *path)
{
    struct arena *a = arena_new();
    char *text = slurp(path);
    struct slice once, twice;
    struct rules *before = NULL, *after = NULL;
    FILE *nowhere = fopen("/dev/null", "w");

    assert_true(layout(slice_text(text), a, &once));
    assert_true(layout(once, a, &twice));
    if (!slice_equal(once, twice))
        fail_msg("%s: laid out twice it differs:\n%.*s", path, (int)twice.n, twice.p);
    enum liaison_code code = conf_read_rules(path, slice_text(text), &before, nowhere);

    if (code == LIAISON_OK) {
        assert_int_equal(conf_read_rules(path, once, &after, nowhere), LIAISON_OK);
        assert_same_meaning(path, before, after);
    }
    rules_free(before);
    rules_free(after);
    fclose(nowhere);
    free(text);
    arena_free(a);
}

static void laying_out_changes_no_meaning_and_twice_is_once(void **state)
{
    static const char *const PATTERNS[] = {"tests/data/rules/*good*.conf",
                                           "tests/data/rules/*/*.conf",
                                           "tests/data/rules/*/rules.d/*.conf",
                                           "tests/data/conf/*good*",
                                           "tests/data/demo/*.conf",
                                           "tests/data/layout/*.conf"};
    glob_t found = {0};

    (void)state;
    for (size_t i = 0; i < sizeof PATTERNS / sizeof *PATTERNS; i++)
        glob(PATTERNS[i], i > 0 ? GLOB_APPEND : 0, NULL, &found);
    assert_true(found.gl_pathc >= 20);
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (strstr(found.gl_pathv[i], ".out") == NULL)
            check_layout(found.gl_pathv[i]);
    globfree(&found);
}

static void every_file_is_laid_out_as_written_beside_it(void **state)
{
    static const char *const NAMES[] = {"01-members",  "02-rules", "03-comments",
                                        "04-settings", "05-tests", "06-blank-lines"};

    (void)state;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct arena *a = arena_new();
        char path[200], answer[200];
        struct slice out;

        snprintf(path, sizeof path, "tests/data/layout/%s.conf", NAMES[i]);
        snprintf(answer, sizeof answer, "tests/data/layout/%s.out", NAMES[i]);
        char *text = slurp(path);

        assert_non_null(text);
        assert_true(layout(slice_text(text), a, &out));
        char *got = strndup((const char *)out.p, out.n);

        if (getenv("UPDATE") != NULL)
            spill(answer, got);
        char *want = slurp(answer);

        assert_string_equal(got, want);
        free(want);
        free(got);
        free(text);
        arena_free(a);
    }
}

static int fmt(const char *file, const char *option)
{
    char *words[] = {(char *)(uintptr_t)file, (char *)(uintptr_t)option};

    return fmt_command(2, words);
}

static void fmt_writes_only_what_it_could_read_and_keeps_who_may_read_it(void **state)
{
    char path[] = "/tmp/liaison-fmt-XXXXXX";
    struct stat st;

    (void)state;
    close(mkstemp(path));
    spill(path, "network   \"practicies.example\"\n");
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(fmt(path, "--check"), 65);
    assert_int_equal(fmt(path, "--write"), 0);
    assert_int_equal(fmt(path, "--check"), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    spill(path, "netwrk   \"practicies.example\"\n");
    assert_int_equal(fmt(path, "--write"), 78);
    char *text = slurp(path);

    assert_string_equal(text, "netwrk   \"practicies.example\"\n");
    free(text);
    unlink(path);
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

static void the_template_is_laid_out_as_fmt_would(void **state)
{
    struct arena *a = arena_new();
    char *text = NULL;
    struct slice out;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    conf_print_template(f);
    fclose(f);
    assert_true(layout(slice(text, len), a, &out));
    assert_true(slice_equal(out, slice(text, len)));
    free(text);
    arena_free(a);
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

static void a_date_is_a_day_of_the_calendar(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int32_t day;
    } ROWS[] = {
        {"1971-01-01", true, 365},   {"2027-06-30", true, 20999},
        {"2028-02-29", true, 21243}, {"2027-02-29", false, 0},
        {"2027-06-31", false, 0},    {"2027-13-01", false, 0},
        {"2027-00-10", false, 0},    {"2027-6-30", false, 0},
        {"27-06-30", false, 0},      {"2027-06-30x", false, 0},
        {"1970-12-31", false, 0},    {"2027--1-01", false, 0},
        {"2027/06/30", false, 0},    {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        int32_t day = 0;
        bool good = units_date(ROWS[i].text, &day);

        if (good != ROWS[i].good || day != ROWS[i].day)
            fail_msg("%s: %d, day %d", ROWS[i].text, good, day);
    }
}

static void a_rate_and_a_count_have_their_bounds(void **state)
{
    uint32_t n = 0;

    (void)state;
    assert_true(units_count("1", &n) && units_count("1000000", &n) && n == 1000000);
    assert_true(units_rate("20/hour", &n) && n == 20);
    assert_false(units_count("0", &n) || units_count("01", &n) ||
                 units_count("1000001", &n) || units_count("1/hour", &n) ||
                 units_rate("20", &n) || units_rate("20/day", &n) ||
                 units_rate("/hour", &n));
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
        cmocka_unit_test(a_set_of_several_files_is_read_again_from_its_kept_text_alone),
        cmocka_unit_test(the_kept_text_names_each_file_but_the_first),
        cmocka_unit_test(a_kept_text_is_read_whatever_is_idle_failing_or_over_in_it),
        cmocka_unit_test(what_a_reload_reads_again_is_listed),
        cmocka_unit_test(laying_out_changes_no_meaning_and_twice_is_once),
        cmocka_unit_test(every_file_is_laid_out_as_written_beside_it),
        cmocka_unit_test(fmt_writes_only_what_it_could_read_and_keeps_who_may_read_it),
        cmocka_unit_test(the_template_passes_its_own_check),
        cmocka_unit_test(the_template_is_laid_out_as_fmt_would),
        cmocka_unit_test(help_names_every_setting),
        cmocka_unit_test(the_demonstration_passes),
        cmocka_unit_test(a_file_past_the_limit_is_refused),
        cmocka_unit_test(the_nearest_word_is_meant_or_none),
        cmocka_unit_test(numbers_with_units_are_read_exactly),
        cmocka_unit_test(a_date_is_a_day_of_the_calendar),
        cmocka_unit_test(a_rate_and_a_count_have_their_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
