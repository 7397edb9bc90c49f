/* PROTOCOL.md's tables against the code that they describe. On a difference the table that the page should hold is
 * printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/conf/conf.h"
#include "broker/referral/referral.h"
#include "broker/rules/build.h"
#include "proto/arena.h"
#include "proto/err.h"
#include "proto/liaison.pb-c.h"
#include "proto/note.h"

static const char PAGE[] = "proto/PROTOCOL.md"; /* tests run at the top of the tree */

/* A whole file as text; to be freed. */
static char *read_page(void)
{
    FILE *f = fopen(PAGE, "r");
    char *text = NULL;
    size_t n = 0;

    if (f == NULL)
        fail_msg("%s: cannot be read; tests run at the top of the tree", PAGE);
    if (getdelim(&text, &n, '\0', f) < 0)
        fail_msg("%s: empty", PAGE);
    fclose(f);
    return text;
}

/* What stands between <!-- NAME --> and <!-- /NAME -->; to be freed. */
static char *marked(const char *page, const char *name)
{
    char open[64], close[64];

    snprintf(open, sizeof open, "<!-- %s -->\n", name);
    snprintf(close, sizeof close, "<!-- /%s -->", name);
    const char *from = strstr(page, open),
               *to = from == NULL ? NULL : strstr(from, close);

    if (to == NULL)
        fail_msg("%s: has no part between \"%s\" and its end", PAGE, name);
    from += strlen(open);
    return strndup(from, (size_t)(to - from));
}

/* The marked part is exactly `want`. Frees `want`. */
static void assert_marked(const char *name, char *want)
{
    char *page = read_page(), *have = marked(page, name);

    bool same = strcmp(have, want) == 0;

    if (!same)
        fprintf(stderr, "%s, \"%s\" should read:\n%s", PAGE, name, want);
    free(have);
    free(page);
    free(want);
    if (!same)
        fail_msg("%s, \"%s\": not what the code says", PAGE, name);
}

static void the_codes_are_those_of_err_c(void **state)
{
    static const char *const RETRY[] = {
        [RETRY_NEVER] = "never", [RETRY_SAME] = "same", [RETRY_LATER] = "later"};
    const ProtobufCEnumDescriptor *d = &liaison__v1__code__descriptor;
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    fputs("| Number | Code | Sentence | Retry | Exit |\n|---|---|---|---|---|\n", f);
    for (unsigned i = 0; i < d->n_values; i++) {
        enum liaison_code code = (enum liaison_code)d->values[i].value;

        fprintf(f, "| %d | `%s` | %s | %s | %d |\n", (int)code, err_name(code),
                err_text(code), RETRY[err_retry(code)], err_exit(code));
    }
    fclose(f);
    assert_marked("codes", text);
}

static void the_state_table_is_that_of_referral_c(void **state)
{
    char row[256], *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    fputs("| Type | State | Event | By | Next | Needs | Responsibility |\n"
          "|---|---|---|---|---|---|---|\n",
          f);
    for (size_t i = 0; referral_row_text(i, row, sizeof row); i++)
        fputs(row, f);
    fclose(f);
    assert_marked("state table", text);
}

/* A line of `liaisond --help`: "  message  1M  (4K to 16M)  bytes of one message". */
static bool limit_row(const char *line, char *row, size_t row_len)
{
    char name[64], usual[32], least[32], most[32];
    int at = 0;

    if (sscanf(line, " %63s %31s (%31s to %31[^)]) %n", name, usual, least, most, &at) !=
            4 ||
        at == 0)
        return false;
    snprintf(row, row_len, "| `%s` | %s | %s to %s | %.*s |\n", name, usual, least, most,
             (int)strcspn(line + at, "\n"), line + at);
    return true;
}

static void the_limits_are_those_that_liaisond_prints(void **state)
{
    char *help = NULL, *text = NULL, row[512];
    size_t help_len, n;
    FILE *h = open_memstream(&help, &help_len), *f = open_memstream(&text, &n);

    (void)state;
    conf_print_settings(h);
    fclose(h);
    const char *line = strstr(help, "Limits");

    assert_non_null(line);
    fputs("| Limit | Default | Bounds | What |\n|---|---|---|---|\n", f);
    while ((line = strchr(line, '\n')) != NULL)
        if (limit_row(++line, row, sizeof row))
            fputs(row, f);
    fclose(f);
    free(help);
    assert_marked("limits", text);
}

/* The page's example of a canonical text: the rule "mentoring", written here in another order. */
static void a_rule_is_written_as_the_page_shows(void **state)
{
    const char *purposes[] = {"reintegration"}, *bases[] = {"consent"};
    const char *sections[] = {"needs", "identity"}, *returns[] = {"outcome", "notes"};
    const struct rules_party from = {RULES_KIND, "probation"}, to = {RULES_KIND, "ngo"};
    const struct rules_draft_rule rule = {
        .type = LIAISON__V1__TYPE__TYPE_REFERRAL,
        .category = "mentoring",
        .from = {&from, 1},
        .to = {&to, 1},
        .within_area = true,
        .purposes = {purposes, 1, false},
        .bases = {bases, 1, false},
        .sections = {sections, 2, false},
        .returns = {returns, 2, false},
        .reveal = LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT,
        .max_bytes = 256 << 10,
    };
    struct arena *a = arena_new();
    char *page = read_page(), *have = marked(page, "rule"), *to_here = have;

    (void)state;
    /* One line again: without the fences, and without the breaks. */
    for (const char *p = strchr(have, '\n') + 1; strncmp(p, "\n```", 4) != 0; p++) {
        if (strncmp(p, " \\\n", 3) == 0)
            p += strspn(p, " \\\n") - 1;
        *to_here++ = *p == '\n' || *p == '\\' ? ' ' : *p;
    }
    *to_here = '\0';
    assert_string_equal(have, rules_canonical(&rule, a));
    free(have);
    free(page);
    arena_free(a);
}

static void no_line_is_longer_than_120(void **state)
{
    char *page = read_page();
    unsigned number = 1;

    (void)state;
    for (const char *line = page; *line != '\0'; number++) {
        size_t n = strcspn(line, "\n");

        if (n > 120)
            fail_msg("%s:%u: %zu bytes", PAGE, number, n);
        line += n + (line[n] == '\n');
    }
    free(page);
}

/* The fenced block that follows <!-- NAME -->, with its last LF; to be freed. */
static char *fenced(const char *name)
{
    char open[64];
    char *page = read_page(), *block;

    snprintf(open, sizeof open, "<!-- %s -->\n```\n", name);
    const char *from = strstr(page, open),
               *to = from == NULL ? NULL : strstr(from + strlen(open), "```\n");

    if (to == NULL)
        fail_msg("%s: has no block marked \"%s\"", PAGE, name);
    from += strlen(open);
    block = strndup(from, (size_t)(to - from));
    free(page);
    return block;
}

static void the_policy_of_the_page_finds_its_checkpoint_beyond_dispute(void **state)
{
    char *policy = fenced("policy"), *note = fenced("note checkpoint"),
         *rotation = fenced("note rotation"), why[256];
    struct note_policy *p = NULL;
    struct note_judgement j;

    (void)state;
    assert_int_equal(note_policy_parse(slice_text(policy), &p, why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(note_judge(p, slice_text(note), 1790000007, &j), LIAISON_OK);
    assert_string_equal(j.checkpoint.origin, "example.net/eu/main/1");
    assert_int_equal(j.checkpoint.size, 7);
    assert_int_equal(j.n_witnesses, 2);
    assert_true(j.quorum);
    assert_int_equal(j.quorum_s, 1790000007);
    assert_int_equal(note_policy_rotate(p, slice_text(rotation)), LIAISON_OK);
    assert_int_equal(note_judge(p, slice_text(note), 1790000007, &j), LIAISON_OK);
    note_policy_free(p);
    free(policy);
    free(note);
    free(rotation);
}

static void the_proof_of_the_page_leads_to_its_checkpoint(void **state)
{
    char *file = fenced("proof"), *note = fenced("note checkpoint");
    struct hash *h = hash_new();
    struct note_proof proof;
    struct checkpoint c;
    struct note n;
    uint8_t entry[HASH_BYTES];

    (void)state;
    assert_non_null(h);
    assert_int_equal(note_proof_parse(slice_text(file), &proof), LIAISON_OK);
    assert_true(slice_equal(proof.note, slice_text(note)));
    assert_int_equal(note_parse(proof.note, &n), LIAISON_OK);
    assert_int_equal(checkpoint_parse(n.text, &c), LIAISON_OK);
    merkle_leaf(h, slice_text("synthetic entry 4"), entry);
    assert_true(merkle_check(h, entry, proof.index, c.size,
                             slice(proof.path, proof.path_len * HASH_BYTES), c.root));
    hash_free(h);
    free(file);
    free(note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_codes_are_those_of_err_c),
        cmocka_unit_test(the_state_table_is_that_of_referral_c),
        cmocka_unit_test(the_limits_are_those_that_liaisond_prints),
        cmocka_unit_test(a_rule_is_written_as_the_page_shows),
        cmocka_unit_test(no_line_is_longer_than_120),
        cmocka_unit_test(the_policy_of_the_page_finds_its_checkpoint_beyond_dispute),
        cmocka_unit_test(the_proof_of_the_page_leads_to_its_checkpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
