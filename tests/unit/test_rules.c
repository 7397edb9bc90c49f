/* Decisions. All agencies are invented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/conf/conf.h"
#include "broker/rules/ask.h"
#include "broker/rules/build.h"

enum {
    REFERRAL = LIAISON__V1__TYPE__TYPE_REFERRAL,
    TRANSFER = LIAISON__V1__TYPE__TYPE_TRANSFER,
    QUERY = LIAISON__V1__TYPE__TYPE_QUERY,
    YES = LIAISON__V1__MINOR__MINOR_YES,
    NO = LIAISON__V1__MINOR__MINOR_NO,
    UNKNOWN = LIAISON__V1__MINOR__MINOR_UNKNOWN,
};

#define MEMBERS                                                                          \
    "network \"practicies.example\"\nkeep 2y\n"                                          \
    "agency fr/lyon/prison kind prison area fr/lyon\n"                                   \
    "agency fr/lyon/probation kind probation area fr/lyon\n"                             \
    "agency fr/paris/probation kind probation area fr/paris\n"                           \
    "agency fr/lyon/rebond kind ngo area fr/lyon/east\n"                                 \
    "agency fr/school kind school area fr\n"                                             \
    "agency fr/lyon/police kind police area fr/lyon\n"

static struct rules *read_rules(const char *text)
{
    struct rules *r = NULL;

    assert_int_equal(conf_read_rules("rules.conf", slice_text(text), &r, stderr),
                     LIAISON_OK);
    return r;
}

/* Sections are written as one word each, at most four. */
struct asked {
    const char *from, *to;
    int type;
    const char *category, *purpose, *basis;
    int minor;
    size_t bytes;
    const char *sections[4];
    bool strip;
};

static struct rules_question question(const struct asked *a)
{
    struct rules_question q = {.from = a->from,
                               .to = a->to,
                               .type = (Liaison__V1__Type)a->type,
                               .category = a->category,
                               .purpose = a->purpose,
                               .basis = a->basis,
                               .minor = (Liaison__V1__Minor)a->minor,
                               .bytes = a->bytes,
                               .sections = a->sections,
                               .strip = a->strip};

    while (q.n_sections < 4 && a->sections[q.n_sections] != NULL)
        q.n_sections++;
    return q;
}

#define ALLOW                                                                            \
    "allow referral \"help\" from kind probation to kind ngo purpose { care } basis { "  \
    "consent } "
#define ASK(...)                                                                         \
    {                                                                                    \
        "fr/lyon/probation", "fr/lyon/rebond", REFERRAL, "help", "care", "consent", NO,  \
            __VA_ARGS__                                                                  \
    }

static const struct row {
    const char *why, *rules;
    struct asked asked;
    enum liaison_code want;
    const char *granted; /* sections, blank between */
} ROWS[] = {
    {"nothing passes unless it is allowed", "", ASK(0, {0}, false), LIAISON_NOT_ALLOWED,
     ""},
    {"an allow that fits", ALLOW, ASK(0, {0}, false), LIAISON_OK, ""},
    {"an unknown recipient",
     ALLOW,
     {"fr/lyon/probation",
      "fr/lyon/nobody",
      REFERRAL,
      "help",
      "care",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_RECIPIENT,
     ""},
    {"an unknown sender",
     ALLOW,
     {"fr/lyon/nobody",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_UNKNOWN_AGENCY,
     ""},
    {"another sender",
     ALLOW,
     {"fr/lyon/prison",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"another recipient",
     ALLOW,
     {"fr/lyon/probation",
      "fr/lyon/prison",
      REFERRAL,
      "help",
      "care",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"another type",
     ALLOW,
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      TRANSFER,
      "help",
      "care",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"no type at all",
     "allow any any from any to any purpose any basis any",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      0,
      "help",
      "care",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"a type that no version knows",
     "allow any any from any to any purpose any basis any",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      77,
      "help",
      "care",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"another category",
     ALLOW,
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "other",
      "care",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"another purpose",
     ALLOW,
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "gossip",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"another basis",
     ALLOW,
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "law",
      NO,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"a word known in another place only",
     ALLOW "sections { law }",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "law",
      NO,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"any purpose and basis, unheard of",
     "allow referral any from any to any purpose any basis any",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "x1",
      "x2",
      "x3",
      NO,
      0,
      {0},
      false},
     LIAISON_OK,
     ""},
    {"any fits words that other rules name",
     "allow referral any from any to any purpose any basis any\n"
     "allow query \"help\" from kind prison to any purpose { care } basis { consent }",
     ASK(0, {0}, false), LIAISON_OK, ""},
    {"any type",
     "allow any \"help\" from any to any purpose any basis any",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      QUERY,
      "help",
      "care",
      "consent",
      NO,
      0,
      {0},
      false},
     LIAISON_OK,
     ""},

    {"sections that are granted pass", ALLOW "sections { identity, needs }",
     ASK(0, {"needs", "identity"}, false), LIAISON_OK, "needs identity"},
    {"one that is not granted refuses all", ALLOW "sections { identity }",
     ASK(0, {"identity", "health"}, false), LIAISON_SECTIONS, "identity"},
    {"unless it may be stripped", ALLOW "sections { identity }",
     ASK(0, {"identity", "health"}, true), LIAISON_OK, "identity"},
    {"no sections clause grants no section", ALLOW, ASK(0, {"identity"}, false),
     LIAISON_SECTIONS, ""},
    {"everything may be stripped", ALLOW, ASK(0, {"identity"}, true), LIAISON_OK, ""},
    {"sections any grants the unheard of", ALLOW "sections any", ASK(0, {"zebra"}, false),
     LIAISON_OK, "zebra"},
    {"the union over matching allows",
     ALLOW "sections { identity }\n"
           "allow any any from fr/lyon/probation to any purpose any basis any sections { "
           "needs }",
     ASK(0, {"identity", "needs"}, false), LIAISON_OK, "identity needs"},
    {"an allow that does not match adds nothing",
     ALLOW "sections { identity }\nallow any any from fr/lyon/prison to any purpose any "
           "basis any sections { needs }",
     ASK(0, {"identity", "needs"}, true), LIAISON_OK, "identity"},
    {"a deny with sections removes just those",
     ALLOW "sections { identity, health }\ndeny any any from any to kind ngo sections { "
           "health }",
     ASK(0, {"identity", "health"}, true), LIAISON_OK, "identity"},
    {"and refuses without strip",
     ALLOW "sections any\ndeny any any from any to kind ngo sections { health }",
     ASK(0, {"identity", "health"}, false), LIAISON_SECTIONS, "identity"},
    {"and lets pass what has none of them",
     ALLOW "sections any\ndeny any any from any to kind ngo sections { health }",
     ASK(0, {"identity"}, false), LIAISON_OK, "identity"},
    {"a deny of any section",
     ALLOW "sections any\ndeny any any from fr/lyon/probation to kind ngo sections any",
     ASK(0, {"identity"}, true), LIAISON_OK, ""},

    {"deny beats allow", ALLOW "\ndeny referral any from fr/lyon/probation to any",
     ASK(0, {0}, false), LIAISON_DENIED, ""},
    {"a deny of another purpose does not",
     ALLOW "\ndeny any any from any to any purpose { gossip }", ASK(0, {0}, false),
     LIAISON_OK, ""},
    {"a deny of this basis does",
     "allow any any from any to any purpose any basis any\n"
     "deny any any from any to any basis { consent, law }",
     ASK(0, {0}, false), LIAISON_DENIED, ""},
    {"a deny is said even where nothing is allowed", "deny any any from any to any",
     ASK(0, {0}, false), LIAISON_DENIED, ""},

    {"a deny when minor: a minor",
     ALLOW "\ndeny any any from any to any when minor",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "consent",
      YES,
      0,
      {0},
      false},
     LIAISON_DENIED,
     ""},
    {"a deny when minor: not known",
     ALLOW "\ndeny any any from any to any when minor",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "consent",
      UNKNOWN,
      0,
      {0},
      false},
     LIAISON_DENIED,
     ""},
    {"a deny when minor: not said is not known",
     ALLOW "\ndeny any any from any to any when minor",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "consent",
      0,
      0,
      {0},
      false},
     LIAISON_DENIED,
     ""},
    {"a deny when minor: an adult", ALLOW "\ndeny any any from any to any when minor",
     ASK(0, {0}, false), LIAISON_OK, ""},
    {"an allow when minor: a minor",
     ALLOW "when minor",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "consent",
      YES,
      0,
      {0},
      false},
     LIAISON_OK,
     ""},
    {"an allow when minor: not known",
     ALLOW "when minor",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "consent",
      UNKNOWN,
      0,
      {0},
      false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"an allow when minor: an adult", ALLOW "when minor", ASK(0, {0}, false),
     LIAISON_NOT_ALLOWED, ""},
    {"sections removed for minors only",
     ALLOW "sections any\ndeny any any from any to any sections { health } when minor",
     ASK(0, {"health"}, false), LIAISON_OK, "health"},

    {"within area: below the sender's", ALLOW "within area", ASK(0, {0}, false),
     LIAISON_OK, ""},
    {"within area: the same",
     "allow any any from any to any within area purpose any basis any",
     {"fr/lyon/prison", "fr/lyon/probation", QUERY, "a", "b", "c", NO, 0, {0}, false},
     LIAISON_OK,
     ""},
    {"within area: beside it",
     "allow any any from any to any within area purpose any basis any",
     {"fr/lyon/prison", "fr/paris/probation", QUERY, "a", "b", "c", NO, 0, {0}, false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"within area: above it",
     "allow any any from any to any within area purpose any basis any",
     {"fr/lyon/prison", "fr/school", QUERY, "a", "b", "c", NO, 0, {0}, false},
     LIAISON_NOT_ALLOWED,
     ""},
    {"within area: from above",
     "allow any any from any to any within area purpose any basis any",
     {"fr/school", "fr/lyon/police", QUERY, "a", "b", "c", NO, 0, {0}, false},
     LIAISON_OK,
     ""},

    {"as large as it may be", ALLOW "max-size 1K", ASK(1024, {0}, false), LIAISON_OK, ""},
    {"one byte more", ALLOW "max-size 1K", ASK(1025, {0}, false), LIAISON_TOO_LARGE, ""},
    {"another allow takes it", ALLOW "max-size 1K return { notes }\n" ALLOW "max-size 2K",
     ASK(1025, {0}, false), LIAISON_OK, ""},
    {"but grants only its own sections",
     ALLOW "sections { health } max-size 1K\n" ALLOW "sections { identity } max-size 2K",
     ASK(1025, {"identity", "health"}, true), LIAISON_OK, "identity"},
    {"too large and denied is denied",
     ALLOW "max-size 1K\ndeny any any from any to any when minor",
     {"fr/lyon/probation",
      "fr/lyon/rebond",
      REFERRAL,
      "help",
      "care",
      "consent",
      YES,
      9999,
      {0},
      false},
     LIAISON_DENIED,
     ""},

    {"by group",
     "group helpers { fr/lyon/rebond, fr/school }\nallow any any from any to group "
     "helpers purpose any basis any",
     ASK(0, {0}, false), LIAISON_OK, ""},
    {"outside the group",
     "group helpers { fr/school }\nallow any any from any to group helpers purpose any "
     "basis any",
     ASK(0, {0}, false), LIAISON_NOT_ALLOWED, ""},
    {"by a set",
     "allow any any from { kind prison, fr/lyon/probation } to { kind ngo, fr/school } "
     "purpose any basis any",
     ASK(0, {0}, false), LIAISON_OK, ""},
};

static void say_granted(const struct rules_question *q, uint32_t granted, char out[200])
{
    *out = '\0';
    for (size_t i = 0; i < q->n_sections; i++)
        if (granted >> i & 1) {
            if (*out != '\0')
                strcat(out, " ");
            strcat(out, q->sections[i]);
        }
}

static void every_row_is_decided_as_it_says(void **state)
{
    struct arena *a = arena_new();
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char text[2000], granted[200];
        struct rules_question q = question(&ROWS[i].asked);
        struct rules_decision d;

        snprintf(text, sizeof text, "%s%s\n", MEMBERS, ROWS[i].rules);
        struct rules *r = read_rules(text);

        rules_decide(r, &q, a, &d);
        say_granted(&q, d.granted, granted);
        if (d.code != ROWS[i].want || strcmp(granted, ROWS[i].granted) != 0) {
            print_error("%s: code %d, granted \"%s\"; %s\n", ROWS[i].why, (int)d.code,
                        granted, rules_explain(&d, &q, a));
            failed++;
        }
        rules_free(r);
    }
    arena_free(a);
    assert_int_equal(failed, 0);
}

/* ---------------------------------------------------------------- what a decision says */

struct rig {
    struct arena *a;
    struct rules *r;
    struct rules_question q;
    struct rules_decision d;
};

static void decide(struct rig *g, const char *rules, const struct asked *asked)
{
    char text[22000];

    snprintf(text, sizeof text, "%s%s\n", MEMBERS, rules);
    g->a = arena_new();
    g->r = read_rules(text);
    g->q = question(asked);
    rules_decide(g->r, &g->q, g->a, &g->d);
}

static void rig_free(struct rig *g)
{
    rules_free(g->r);
    arena_free(g->a);
}

static void a_denial_names_the_denies_and_nothing_else(void **state)
{
    struct rig g;

    (void)state;
    decide(&g,
           "allow referral any from any to any purpose any basis any\n"
           "deny any any from any to kind ngo sections { health }\n"
           "deny referral any from fr/lyon/probation to kind ngo\n",
           &(struct asked)ASK(0, {"health"}, false));
    assert_int_equal(g.d.code, LIAISON_DENIED);
    assert_int_equal(g.d.n_lines, 1);
    assert_string_equal(g.d.lines[0]->text,
                        "deny referral any from fr/lyon/probation to kind ngo");
    assert_string_equal(g.d.lines[0]->where, "rules.conf:11");
    assert_string_equal(
        rules_explain(&g.d, &g.q, g.a),
        "denied by rules.conf:11: deny referral any from fr/lyon/probation to kind ngo");
    rig_free(&g);
}

static void a_grant_names_all_allows_and_the_denies_that_removed_something(void **state)
{
    struct rig g;

    (void)state;
    decide(&g,
           ALLOW "sections any\nallow any any from any to any purpose any basis any\n"
                 "deny any any from any to kind ngo sections { health }\n"
                 "deny any any from any to kind ngo sections { custody }\n"
                 "allow query any from any to any purpose any basis any sections any\n",
           &(struct asked)ASK(0, {"identity", "health"}, true));
    assert_int_equal(g.d.code, LIAISON_OK);
    assert_int_equal(g.d.n_lines, 3);
    assert_string_equal(
        g.d.lines[0]->where,
        "rules.conf:11"); /* the deny first, so that it is never crowded out */
    rig_free(&g);
}

static void obligations_are_the_strictest_and_returns_the_union(void **state)
{
    struct rig g;

    (void)state;
    decide(&g,
           ALLOW "reveal on delivery return { notes, outcome }\n"
                 "allow any any from any to kind ngo purpose any basis any reveal on "
                 "delivery return { outcome, bill }\n",
           &(struct asked)ASK(0, {0}, false));
    assert_int_equal(g.d.reveal, LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY);
    assert_int_equal(g.d.n_returns, 3);
    assert_string_equal(g.d.keep, "2y");
    rig_free(&g);

    decide(&g,
           ALLOW "reveal on delivery return { notes }\nallow any any from any to kind "
                 "ngo purpose any basis any\n",
           &(struct asked)ASK(0, {0}, false));
    assert_int_equal(g.d.reveal, LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT);
    assert_int_equal(g.d.n_returns, 2); /* the second allow's default */
    rig_free(&g);
}

static void a_refusal_says_what_came_nearest(void **state)
{
    struct rig g;

    (void)state;
    decide(
        &g,
        ALLOW
        "\nallow query any from any to any purpose { gossip } basis { law } when minor\n",
        &(struct asked){"fr/lyon/probation",
                        "fr/lyon/rebond",
                        REFERRAL,
                        "help",
                        "gossip",
                        "consent",
                        NO,
                        0,
                        {0},
                        false});
    assert_int_equal(g.d.code, LIAISON_NOT_ALLOWED);
    assert_int_equal(g.d.n_lines, 0);
    assert_string_equal(
        rules_explain(&g.d, &g.q, g.a),
        "no rule allows referral \"help\" from fr/lyon/probation (kind probation) to "
        "fr/lyon/rebond (kind ngo) for "
        "purpose gossip on basis consent; nearest: rules.conf:9 (purpose differs)");
    rig_free(&g);
}

static void other_refusals_say_what_is_wrong(void **state)
{
    struct rig g;

    (void)state;
    decide(&g, ALLOW "sections { identity } max-size 1K\n",
           &(struct asked)ASK(2000, {"identity"}, false));
    assert_int_equal(g.d.n_lines, 1);
    assert_non_null(strstr(rules_explain(&g.d, &g.q, g.a), "2000 bytes"));
    rig_free(&g);
    decide(&g, ALLOW "sections { identity }\n",
           &(struct asked)ASK(0, {"identity", "health"}, false));
    assert_non_null(
        strstr(rules_explain(&g.d, &g.q, g.a), "not granted: health; granted: identity"));
    rig_free(&g);
    decide(&g, ALLOW,
           &(struct asked){"fr/lyon/probation",
                           "fr/nobody",
                           REFERRAL,
                           "help",
                           "care",
                           "consent",
                           NO,
                           0,
                           {0},
                           false});
    assert_string_equal(rules_explain(&g.d, &g.q, g.a),
                        "the rules declare no agency fr/nobody");
    rig_free(&g);
}

static void more_rules_than_a_decision_names_let_nothing_pass(void **state)
{
    struct rig g;
    char rules[20000];

    (void)state;
    for (int more = 0; more < 2; more++) {
        *rules = '\0';
        for (int i = 0; i < RULES_MATCHED_MAX + more; i++)
            snprintf(rules + strlen(rules), sizeof rules - strlen(rules),
                     "allow referral any from any to any purpose { care, p%d } basis any "
                     "sections { s%d }\n",
                     i, i);
        decide(&g, rules, &(struct asked)ASK(0, {"s0", "s27"}, false));
        assert_int_equal(g.d.code, more ? LIAISON_LIMIT : LIAISON_OK);
        assert_int_equal(g.d.n_lines, more ? 0 : RULES_MATCHED_MAX);
        assert_int_equal(g.d.granted, more ? 0 : 3);
        if (more)
            assert_string_equal(
                rules_explain(&g.d, &g.q, g.a),
                "more than 128 rules match, and a decision names each; nothing passes");
        rig_free(&g);
    }
}

static void canonical_text_is_the_same_for_the_same_meaning(void **state)
{
    const char
        *one = MEMBERS "allow referral \"help\" from { kind prison, fr/lyon/probation } "
                       "to kind ngo within area purpose { b, a } "
                       "basis { law } sections { needs, identity } max-size 262144\n",
        *other = MEMBERS
        "allow referral \"help\"\n  from { fr/lyon/probation, kind prison }   to kind "
        "ngo # comment\n"
        "  max-size 256K sections { identity, needs } basis { law } reveal on accept\n"
        "  return { outcome } purpose { a, b } within area\n",
        *want = "allow referral \"help\" from { fr/lyon/probation, kind prison } to kind "
                "ngo within area purpose { a, b } "
                "basis { law } sections { identity, needs } reveal on accept return { "
                "outcome } max-size 256K";
    struct rules *r = read_rules(one), *s = read_rules(other);
    const struct rules_line *x = rules_line_at(r, 0, NULL),
                            *y = rules_line_at(s, 0, NULL);
    char hashed[500];
    uint8_t id[32];

    (void)state;
    assert_string_equal(x->text, want);
    assert_string_equal(y->text, want);
    snprintf(hashed, sizeof hashed, "liaison/1 rule\n%s", want);
    SHA256((const uint8_t *)hashed, strlen(hashed), id);
    assert_memory_equal(x->id, id, 32);
    assert_memory_equal(y->id, id, 32);
    rules_set_id(r, id);
    uint8_t set[32];

    SHA256((const uint8_t *)one, strlen(one), set);
    assert_memory_equal(id, set, 32);
    rules_free(r);
    rules_free(s);
}

static void members_are_found_by_name_and_in_order(void **state)
{
    struct rules *r =
        read_rules(MEMBERS "auditor fr/dpa of area fr\nauditor eu/edps of any\n");

    (void)state;
    assert_string_equal(rules_network(r), "practicies.example");
    assert_string_equal(rules_agency(r, "fr/lyon/rebond")->kind, "ngo");
    assert_string_equal(rules_agency(r, "fr/lyon/rebond")->area, "fr/lyon/east");
    assert_null(rules_agency(r, "fr/lyon"));
    assert_null(rules_agency(r, "fr/dpa"));
    assert_string_equal(rules_auditor_area(r, "fr/dpa"), "fr");
    assert_string_equal(rules_auditor_area(r, "eu/edps"), "any");
    assert_null(rules_auditor_area(r, "fr/lyon/prison"));
    for (size_t i = 1; i < 6; i++)
        assert_true(strcmp(rules_agency_at(r, i - 1)->name, rules_agency_at(r, i)->name) <
                    0);
    assert_null(rules_agency_at(r, 6));
    rules_free(rules_share(r));
    assert_non_null(rules_agency(r, "fr/school")); /* one reference is left */
    rules_free(r);
    rules_free(NULL);
}

static void an_area_holds_itself_and_what_lies_below(void **state)
{
    (void)state;
    assert_true(rules_area_within("fr/lyon", "fr"));
    assert_true(rules_area_within("fr/lyon", "fr/lyon"));
    assert_true(rules_area_within("fr/lyon", "any"));
    assert_false(rules_area_within("fr", "fr/lyon"));
    assert_false(rules_area_within("fr/lyonnais", "fr/lyon"));
    assert_false(rules_area_within("fr/ly", "fr/lyon"));
}

static void a_referral_becomes_a_question(void **state)
{
    Liaison__V1__Envelope e = LIAISON__V1__ENVELOPE__INIT;
    Liaison__V1__Section s[2] = {LIAISON__V1__SECTION__INIT, LIAISON__V1__SECTION__INIT},
                         *sections[33];
    const char *names[33] = {"identity", "needs"};
    struct rules_question q;

    (void)state;
    e.from = (char *)"fr/lyon/prison";
    e.to = (char *)"fr/lyon/probation";
    e.type = LIAISON__V1__TYPE__TYPE_TRANSFER;
    e.category = (char *)"release-handover";
    e.purpose = (char *)"reintegration";
    e.basis = (char *)"law";
    e.minor = LIAISON__V1__MINOR__MINOR_NO;
    s[0].ciphertext.len = 700;
    s[1].ciphertext.len = 24;
    for (size_t i = 0; i < 33; i++)
        sections[i] = &s[i % 2];
    assert_int_equal(rules_ask(&e, sections, names, 2, true, 20000, &q), LIAISON_OK);
    assert_string_equal(q.from, "fr/lyon/prison");
    assert_string_equal(q.to, "fr/lyon/probation");
    assert_int_equal(q.type, LIAISON__V1__TYPE__TYPE_TRANSFER);
    assert_string_equal(q.category, "release-handover");
    assert_string_equal(q.purpose, "reintegration");
    assert_string_equal(q.basis, "law");
    assert_int_equal(q.minor, LIAISON__V1__MINOR__MINOR_NO);
    assert_int_equal(q.bytes, 724);
    assert_int_equal(q.n_sections, 2);
    assert_true(q.strip);
    assert_int_equal(rules_ask(&e, sections, names, 33, true, 20000, &q), LIAISON_LIMIT);
}

static void a_draft_that_breaks_its_promises_is_refused(void **state)
{
    const struct rules_agency twice[] = {{.name = "fr/a", .kind = "x", .area = "fr"},
                                         {.name = "fr/a", .kind = "y", .area = "fr"}};
    const struct rules_party stranger[] = {{RULES_AGENCY, "fr/b"}},
                             any[] = {{RULES_ANY, NULL}}, group[] = {{RULES_GROUP, "g"}};
    const struct rules_draft_rule to_stranger = {.deny = true,
                                                 .from = {any, 1},
                                                 .to = {stranger, 1},
                                                 .where = "x:1"},
                                  to_group = {.deny = true,
                                              .from = {group, 1},
                                              .to = {any, 1},
                                              .where = "x:1"};
    const struct rules_draft drafts[] = {
        {.network = "a.b", .agencies = twice, .n_agencies = 2},
        {.network = "a.b",
         .agencies = twice,
         .n_agencies = 1,
         .rules = &to_stranger,
         .n_rules = 1},
        {.network = "a.b",
         .agencies = twice,
         .n_agencies = 1,
         .rules = &to_group,
         .n_rules = 1},
        {.network = "a.b", .rules = &to_group, .n_rules = RULES_RULES_MAX + 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++) {
        struct rules *r = NULL;

        assert_int_equal(rules_build(&drafts[i], &r), LIAISON_CONFIG);
        assert_null(r);
    }
}

/* ---------------------------------------------------------------- later words */

#define ALL  "allow any any from any to any purpose any basis any "
#define TO_X "allow any any from any to fr/x purpose any basis any "

/* "help" from probation to the ngo, for an adult, with all that an envelope says. */
static struct rules_question full_question(void)
{
    static const char *const SECTIONS[] = {"identity"};

    return (struct rules_question){
        .from = "fr/lyon/probation",
        .to = "fr/lyon/rebond",
        .type = LIAISON__V1__TYPE__TYPE_REFERRAL,
        .category = "help",
        .purpose = "care",
        .basis = "consent",
        .minor = LIAISON__V1__MINOR__MINOR_NO,
        .handling = LIAISON__V1__HANDLING__HANDLING_H2,
        .regime = LIAISON__V1__REGIME__REGIME_GDPR,
        .informed = LIAISON__V1__INFORMED__INFORMED_LATER,
        .urgency = LIAISON__V1__URGENCY__URGENCY_DAYS_3,
        .subject = LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_AT_RISK,
        .day = 20000, /* 2024-10-04 */
        .sections = SECTIONS,
        .n_sections = 1,
        .strip = true,
    };
}

static void ask_full(struct rig *g, const char *rules, const struct rules_question *q)
{
    decide(g, rules, &(struct asked)ASK(0, {0}, false));
    g->q = *q;
    rules_decide(g->r, &g->q, g->a, &g->d);
}

static const struct {
    const char *why, *rules;
    enum liaison_code want;
} LATER[] = {
    {"an allow of this handling code", ALL "when handling { h1, h2 }", LIAISON_OK},
    {"of another", ALL "when handling h3", LIAISON_NOT_ALLOWED},
    {"a deny of this", ALL "\ndeny any any from any to any when handling h2",
     LIAISON_DENIED},
    {"told later", ALL "when informed { yes, later }", LIAISON_OK},
    {"not told", ALL "when informed would-endanger", LIAISON_NOT_ALLOWED},
    {"urgent", ALL "when urgency { 8h, 3d }", LIAISON_OK},
    {"not so urgent", ALL "when urgency date", LIAISON_NOT_ALLOWED},
    {"one at risk", ALL "when subject at-risk", LIAISON_OK},
    {"a suspect", ALL "when subject { suspect, victim }", LIAISON_NOT_ALLOWED},
    {"an ngo is under the GDPR as the sender is", ALL "when regime crossing",
     LIAISON_NOT_ALLOWED},
    {"until that day, which is one of its days", ALL "until 2024-10-04", LIAISON_OK},
    {"until the day before", ALL "until 2024-10-03", LIAISON_NOT_ALLOWED},
    {"a deny that has ended", ALL "\ndeny any any from any to any until 2024-10-03",
     LIAISON_OK},
};

static void later_conditions_are_judged_as_they_say(void **state)
{
    struct rules_question q = full_question();
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof LATER / sizeof *LATER; i++) {
        struct rig g;

        ask_full(&g, LATER[i].rules, &q);
        if (g.d.code != LATER[i].want) {
            print_error("%s: code %d; %s\n", LATER[i].why, (int)g.d.code,
                        rules_explain(&g.d, &g.q, g.a));
            failed++;
        }
        rig_free(&g);
    }
    assert_int_equal(failed, 0);
}

static void what_is_not_known_meets_a_deny_and_no_allow(void **state)
{
    struct rules_question q = full_question();
    struct rig g;

    (void)state;
    q.regime = LIAISON__V1__REGIME__REGIME_UNSPECIFIED;
    ask_full(&g, ALL "when regime crossing", &q);
    assert_int_equal(g.d.code, LIAISON_NOT_ALLOWED);
    assert_true(g.d.crossing);
    rig_free(&g);
    ask_full(&g, ALL "\ndeny any any from any to any when regime crossing", &q);
    assert_int_equal(g.d.code, LIAISON_DENIED);
    rig_free(&g);
    q.regime = LIAISON__V1__REGIME__REGIME_LED;
    ask_full(&g, ALL "when regime crossing", &q);
    assert_int_equal(g.d.code, LIAISON_OK);
    assert_true(g.d.crossing);
    rig_free(&g);
}

static void what_is_of_h1_never_reaches_a_court(void **state)
{
    struct rules_question q = full_question();
    struct rig g;

    (void)state;
    q.to = "fr/court";
    q.handling = LIAISON__V1__HANDLING__HANDLING_H1;
    ask_full(&g, "agency fr/court kind court area fr\n" ALL, &q);
    assert_int_equal(g.d.code, LIAISON_DENIED);
    assert_int_equal(g.d.n_lines, 1);
    assert_ptr_equal(g.d.lines[0], rules_builtin(g.r, RULES_H1));
    assert_string_equal(rules_explain(&g.d, &g.q, g.a),
                        "denied by built-in: deny any any from any to { kind court, kind "
                        "prosecution } when handling { h1 }");
    g.q.handling = LIAISON__V1__HANDLING__HANDLING_H2;
    rules_decide(g.r, &g.q, g.a, &g.d);
    assert_int_equal(g.d.code, LIAISON_OK);
    rig_free(&g);
}

static void a_merged_agency_is_nobody_from_its_day_on_and_the_sentence_says_where_it_went(
    void **state)
{
    static const char RULES[] =
        "agency fr/old kind ngo area fr merged into fr/mid on 2024-01-01\n"
        "agency fr/mid kind ngo area fr merged into fr/new on 2024-10-04\n"
        "agency fr/new kind ngo area fr\n" ALL;
    struct rules_question q = full_question();
    struct rig g;

    (void)state;
    q.to = "fr/old";
    ask_full(&g, RULES, &q);
    assert_int_equal(g.d.code, LIAISON_RECIPIENT);
    assert_string_equal(
        rules_explain(&g.d, &g.q, g.a),
        "fr/old was merged into fr/mid on 2024-01-01; its work is now done by fr/new");
    g.q.day = 19722; /* 2023-12-31 */
    rules_decide(g.r, &g.q, g.a, &g.d);
    assert_int_equal(g.d.code, LIAISON_OK);
    g.q.day = 0;
    rules_decide(g.r, &g.q, g.a, &g.d);
    assert_int_equal(g.d.code, LIAISON_OK);
    g.q.day = 20000;
    g.q.from = "fr/mid";
    rules_decide(g.r, &g.q, g.a, &g.d);
    assert_int_equal(g.d.code, LIAISON_UNKNOWN_AGENCY);
    assert_string_equal(rules_explain(&g.d, &g.q, g.a),
                        "fr/mid was merged into fr/new on 2024-10-04");
    rig_free(&g);
}

static void of_answers_the_earliest_counts_and_all_who_tie_are_told(void **state)
{
    struct rules_question q = full_question();
    struct rig g;

    (void)state;
    ask_full(&g,
             TO_X "answer within 14d else escalate to supervisor\n" TO_X
                  "answer within 14d else escalate to { fr/school, fr/lyon/prison } "
                  "return { a }\n" TO_X
                  "answer within 1m else escalate to fr/school\n" TO_X
                  "answer within 15d else escalate to fr/lyon/police return { b }\n"
                  "agency fr/x kind x area fr supervisor fr/lyon/police\n",
             &(struct rules_question){.from = "fr/school",
                                      .to = "fr/x",
                                      .type = q.type,
                                      .category = "c",
                                      .purpose = "p",
                                      .basis = "b"});
    assert_int_equal(g.d.code, LIAISON_OK);
    assert_int_equal(g.d.n_answers, 2);
    assert_int_equal(g.d.answers[0].within.fixed_s, 14 * 86400);
    assert_int_equal(g.d.answers[0].escalate.n, 3);
    assert_string_equal(g.d.answers[0].escalate.list[0], "fr/lyon/police");
    assert_string_equal(g.d.answers[0].escalate.list[1], "fr/lyon/prison");
    assert_string_equal(g.d.answers[0].escalate.list[2], "fr/school");
    assert_int_equal(g.d.answers[1].within.months, 1);
    assert_int_equal(g.d.answers[1].escalate.n, 1);
    rig_free(&g);
}

static void
canonical_text_of_today_keeps_its_id_and_later_words_stand_behind(void **state)
{
    static const uint8_t ID[] = {0x77, 0x4a, 0x06, 0xef, 0x68, 0xf2, 0x97, 0xaf,
                                 0x8f, 0x84, 0xfd, 0xda, 0xb6, 0x32, 0xb3, 0x1c,
                                 0x54, 0xd0, 0xc2, 0xab, 0x0c, 0xf2, 0x8c, 0xfe,
                                 0x60, 0xd4, 0x08, 0x88, 0xfd, 0x43, 0x43, 0x11};
    struct rules *r = read_rules(
        MEMBERS
        "allow referral \"help\" from kind probation to kind ngo purpose { care } basis "
        "{ law }\n"
        "  sections { needs } when minor max-size 256K\n"
        "allow transfer any from any to kind ngo purpose any basis any when subject { "
        "victim, suspect }\n"
        "  when urgency 8h when informed { yes, later } when handling h2 when regime "
        "crossing\n"
        "  until 2027-06-30 rate 20/hour approval by { head, deputy }\n"
        "  answer within 14d else escalate to { fr/school, fr/lyon/prison } keep 12m\n"
        "allow query any from any to kind ngo purpose any basis any approval by head\n"
        "  answer within 1m else escalate to fr/school\n");

    (void)state;
    assert_string_equal(
        rules_line_at(r, 0, NULL)->text,
        "allow query any from any to kind ngo purpose any basis any reveal on accept "
        "return { "
        "outcome } answer within 1m else escalate to fr/school approval by { head }");
    assert_string_equal(rules_line_at(r, 1, NULL)->text,
                        "allow referral \"help\" from kind probation to kind ngo purpose "
                        "{ care } basis { law } "
                        "sections { needs } reveal on accept return { outcome } when "
                        "minor max-size 256K");
    assert_memory_equal(rules_line_at(r, 1, NULL)->id, ID, sizeof ID);
    assert_string_equal(
        rules_line_at(r, 2, NULL)->text,
        "allow transfer any from any to kind ngo purpose any basis any reveal on accept "
        "return { "
        "outcome } keep 1y answer within 14d else escalate to { fr/lyon/prison, "
        "fr/school } "
        "approval by { deputy, head } rate 20/hour until 2027-06-30 when regime crossing "
        "when handling { h2 } when informed { later, yes } when urgency { 8h } "
        "when subject { suspect, victim }");
    rules_free(r);
}

/* ---------------------------------------------------------------- rules that never matter */

#define CARE                                                                             \
    "allow referral \"help\" from kind probation to kind ngo purpose { care } basis { "  \
    "law } "

/* `want`: what is said of the rules, NULL: nothing. */
static const struct {
    const char *why, *rules, *want;
} REACH[] = {
    {"a wider allow with as much", CARE "sections { a }\n" ALL "sections any",
     "changes nothing"},
    {"a wider allow without its sections", CARE "sections { a }\n" ALL, NULL},
    {"a wider allow that returns less", CARE "return { notes }\n" ALL, NULL},
    {"a wider allow that asks for more", CARE "keep 1y\n" ALL "keep 6m",
     "changes nothing"},
    {"a wider allow that asks for less", CARE "keep 1y\n" ALL, NULL},
    {"what it asks for the network does", CARE "keep 2y\n" ALL, "changes nothing"},
    {"an approval that the wider has not", CARE "approval by head\n" ALL, NULL},
    {"a rate that is higher than the wider's", CARE "rate 9/hour\n" ALL "rate 8/hour",
     "changes nothing"},
    {"an answer that is later than the wider's",
     CARE "answer within 9d else escalate to fr/school\n" ALL
          "answer within 8d else escalate to fr/lyon/prison",
     "changes nothing"},
    {"an answer that tells another",
     CARE "answer within 9d else escalate to fr/school\n" ALL
          "answer within 9d else escalate to fr/lyon/prison",
     NULL},
    {"a wider allow of less size", CARE "max-size 2K\n" ALL "max-size 1K", NULL},
    {"a wider allow that ends", CARE "\n" ALL "until 2999-01-01", NULL},
    {"a narrower deny",
     "deny any any from kind prison to any\ndeny any \"x\" from fr/lyon/prison to any",
     "changes nothing"},
    {"sections of what is denied",
     "deny any any from kind prison to any\n"
     "deny any any from kind prison to kind ngo sections { a }",
     "changes nothing"},
    {"two words for the same: the later one is too many",
     "deny any any from kind prison to any\ndeny any any from fr/lyon/prison to any",
     "changes nothing"},
    {"all of it denied", CARE "\ndeny referral any from kind probation to any",
     "can never match"},
    {"denied for minors only",
     CARE "\ndeny referral any from kind probation to any when minor", NULL},
    {"all who are minors",
     CARE "when minor\ndeny referral any from kind probation to any when minor",
     "can never match"},
    {"denied within the area and, by the rest, everywhere",
     CARE "when urgency { 8h, 3d }\ndeny any any from any to any when urgency 8h\n"
          "deny any any from any to any when urgency 3d",
     "can never match"},
    {"denied to each of its recipients",
     "allow any any from kind prison to { kind ngo, kind school } purpose any basis any\n"
     "deny any any from any to kind ngo\ndeny any any from any to fr/school",
     "can never match"},
    {"denied to one of its recipients",
     "allow any any from kind prison to { kind ngo, kind school } purpose any basis any\n"
     "deny any any from any to kind ngo",
     NULL},
    {"denied from each of its senders",
     CARE "\ndeny any any from fr/paris/probation to any\ndeny any any from "
          "fr/lyon/probation to any",
     "can never match"},
    {"all its sections removed",
     CARE "sections { a, b }\ndeny any any from any to any sections { a, c }\n"
          "deny any any from any to kind ngo sections { b }",
     "can never match"},
    {"some of its sections removed",
     CARE "sections { a, b }\ndeny any any from any to any sections { a, c }", NULL},
};

static void a_rule_that_never_matters_is_an_error_and_no_other_is(void **state)
{
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof REACH / sizeof *REACH; i++) {
        char text[3000], *said = NULL;
        size_t len;
        FILE *f = open_memstream(&said, &len);
        struct rules *r = NULL;

        snprintf(text, sizeof text, "%s%s\n", MEMBERS, REACH[i].rules);
        enum liaison_code code = conf_read_rules("rules.conf", slice_text(text), &r, f);

        fclose(f);
        if ((code == LIAISON_OK) != (REACH[i].want == NULL) ||
            (REACH[i].want != NULL && strstr(said, REACH[i].want) == NULL)) {
            print_error("%s: %s\n", REACH[i].why, said);
            failed++;
        }
        free(said);
        rules_free(r);
    }
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_decided_as_it_says),
        cmocka_unit_test(a_denial_names_the_denies_and_nothing_else),
        cmocka_unit_test(a_grant_names_all_allows_and_the_denies_that_removed_something),
        cmocka_unit_test(obligations_are_the_strictest_and_returns_the_union),
        cmocka_unit_test(a_refusal_says_what_came_nearest),
        cmocka_unit_test(other_refusals_say_what_is_wrong),
        cmocka_unit_test(more_rules_than_a_decision_names_let_nothing_pass),
        cmocka_unit_test(canonical_text_is_the_same_for_the_same_meaning),
        cmocka_unit_test(members_are_found_by_name_and_in_order),
        cmocka_unit_test(an_area_holds_itself_and_what_lies_below),
        cmocka_unit_test(a_referral_becomes_a_question),
        cmocka_unit_test(a_draft_that_breaks_its_promises_is_refused),
        cmocka_unit_test(later_conditions_are_judged_as_they_say),
        cmocka_unit_test(what_is_not_known_meets_a_deny_and_no_allow),
        cmocka_unit_test(what_is_of_h1_never_reaches_a_court),
        cmocka_unit_test(
            a_merged_agency_is_nobody_from_its_day_on_and_the_sentence_says_where_it_went),
        cmocka_unit_test(of_answers_the_earliest_counts_and_all_who_tie_are_told),
        cmocka_unit_test(
            canonical_text_of_today_keeps_its_id_and_later_words_stand_behind),
        cmocka_unit_test(a_rule_that_never_matters_is_an_error_and_no_other_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
