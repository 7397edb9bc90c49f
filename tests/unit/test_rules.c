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

/* ---------------------------------------------------------------- properties over made-up rule sets */

enum { N_AGENCIES = 7, RULES_TRIED = 90, SETS_TRIED = 60, QUESTIONS_TRIED = 60 };

static const struct rules_agency AGENCIES[N_AGENCIES] = {
    {.name = "fr/a", .kind = "prison", .area = "fr"},
    {.name = "fr/b", .kind = "prison", .area = "fr/lyon"},
    {.name = "fr/c", .kind = "ngo", .area = "fr/lyon"},
    {.name = "fr/d", .kind = "ngo", .area = "fr/lyon/east"},
    {.name = "de/a", .kind = "school", .area = "de/berlin"},
    {.name = "de/b", .kind = "police", .area = "de/berlin"},
    {.name = "de/c", .kind = "police", .area = "de"},
};
static const char *const IN_GROUP[] = {"fr/c", "de/a", "de/c"};
static const struct rules_draft_group GROUP = {"g", IN_GROUP, 3};
static const char *const WORDS[] = {"w0", "w1", "w2", "w3"};

/* xorshift64: the same numbers everywhere. */
struct dice {
    uint64_t x;
};

static unsigned roll(struct dice *d, unsigned n)
{
    d->x ^= d->x << 13;
    d->x ^= d->x >> 7;
    d->x ^= d->x << 17;
    return (unsigned)(d->x >> 33) % n;
}

/* One made-up rule and the memory its lists point to. */
struct made {
    struct rules_draft_rule rule;
    struct rules_party from, to;
    const char *words[4][2];
};

static struct rules_party made_party(struct dice *d)
{
    static const char *const KINDS[] = {"prison", "ngo", "school", "police"};

    switch (roll(d, 4)) {
    case 0:
        return (struct rules_party){RULES_ANY, NULL};
    case 1:
        return (struct rules_party){RULES_KIND, KINDS[roll(d, 4)]};
    case 2:
        return (struct rules_party){RULES_GROUP, "g"};
    default:
        return (struct rules_party){RULES_AGENCY, AGENCIES[roll(d, N_AGENCIES)].name};
    }
}

static struct rules_words made_words(struct dice *d, const char *room[2], bool may_miss)
{
    unsigned n = roll(d, may_miss ? 4 : 3), first = roll(d, 4);

    room[0] = WORDS[first];
    room[1] = WORDS[(first + 1) % 4];
    if (n == 0)
        return (struct rules_words){.any = true};
    return (struct rules_words){room, n == 3 ? 0 : n, false};
}

static void make_rule(struct dice *d, struct made *m)
{
    m->from = made_party(d);
    m->to = made_party(d);
    bool deny = roll(d, 4) == 0;

    m->rule = (struct rules_draft_rule){
        .deny = deny,
        .type = (Liaison__V1__Type)roll(d, 5),
        .category = roll(d, 3) == 0 ? NULL : WORDS[roll(d, 4)],
        .from = {&m->from, 1},
        .to = {&m->to, 1},
        .within_area = roll(d, 3) == 0,
        .when_minor = roll(d, 3) == 0,
        .purposes = made_words(d, m->words[0], deny),
        .bases = made_words(d, m->words[1], deny),
        .sections = made_words(d, m->words[2], true),
        .returns = deny ? (struct rules_words){0}
                        : (struct rules_words){m->words[3], roll(d, 3), false},
        .reveal = deny ? 0 : (Liaison__V1__Reveal)(1 + roll(d, 2)),
        .max_bytes = deny || roll(d, 2) == 0 ? 0 : 1 + roll(d, 100),
        .where = "made:1",
    };
    m->words[3][0] = WORDS[0];
    m->words[3][1] = WORDS[2];
}

static struct asked made_question(struct dice *d)
{
    struct asked a = {.from = AGENCIES[roll(d, N_AGENCIES)].name,
                      .to = AGENCIES[roll(d, N_AGENCIES)].name,
                      .type = (int)(1 + roll(d, 4)),
                      .category = roll(d, 5) == 0 ? "other" : WORDS[roll(d, 4)],
                      .purpose = roll(d, 5) == 0 ? "other" : WORDS[roll(d, 4)],
                      .basis = roll(d, 5) == 0 ? "other" : WORDS[roll(d, 4)],
                      .minor = (int)(1 + roll(d, 3)),
                      .bytes = roll(d, 120),
                      .strip = roll(d, 2) == 0};
    unsigned n = roll(d, 5);

    for (unsigned i = 0; i < n; i++)
        a.sections[i] = i == 3 ? "other" : WORDS[i];
    return a;
}

static struct rules *build(const struct rules_draft_rule *rules, size_t n)
{
    struct rules *r = NULL;
    const struct rules_draft d = {.network = "a.b",
                                  .keep = {.months = 12},
                                  .agencies = AGENCIES,
                                  .n_agencies = N_AGENCIES,
                                  .groups = &GROUP,
                                  .n_groups = 1,
                                  .rules = rules,
                                  .n_rules = n};

    assert_int_equal(rules_build(&d, &r), LIAISON_OK);
    return r;
}

/* The rules as the contract words them, one by one, without an index: what the other must agree with. */
static bool plain_party(const struct rules_party *p, const struct rules_agency *a)
{
    switch (p->kind) {
    case RULES_ANY:
        return true;
    case RULES_KIND:
        return strcmp(a->kind, p->name) == 0;
    case RULES_AGENCY:
        return strcmp(a->name, p->name) == 0;
    case RULES_GROUP:
        break;
    }
    for (size_t i = 0; i < GROUP.n; i++)
        if (strcmp(GROUP.members[i], a->name) == 0)
            return true;
    return false;
}

static bool plain_words(const struct rules_words *w, const char *word, bool when_missing)
{
    if (!w->any && w->n == 0)
        return when_missing;
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->list[i], word) == 0)
            return true;
    return w->any;
}

static const struct rules_agency *plain_agency(const char *name)
{
    size_t i = 0;

    while (strcmp(AGENCIES[i].name, name) != 0)
        i++;
    return &AGENCIES[i];
}

static bool plain_match(const struct rules_draft_rule *r, const struct rules_question *q,
                        bool *but_size)
{
    const struct rules_agency *from = plain_agency(q->from), *to = plain_agency(q->to);
    bool minor = q->minor == LIAISON__V1__MINOR__MINOR_YES ||
                 (r->deny && q->minor == LIAISON__V1__MINOR__MINOR_UNKNOWN);
    bool fits = plain_party(r->from.list, from) && plain_party(r->to.list, to) &&
                ((int)r->type == 0 || r->type == q->type) &&
                (r->category == NULL || strcmp(r->category, q->category) == 0) &&
                plain_words(&r->purposes, q->purpose, true) &&
                plain_words(&r->bases, q->basis, true) &&
                (!r->within_area || rules_area_within(to->area, from->area)) &&
                (!r->when_minor || minor);

    *but_size = fits && r->max_bytes > 0 && q->bytes > r->max_bytes;
    return fits && !*but_size;
}

static enum liaison_code plain_decision(const struct rules_draft_rule *rules, size_t n,
                                        const struct rules_question *q, uint32_t *granted)
{
    bool denied = false, allowed = false, large = false;
    uint32_t all = (UINT32_C(1) << q->n_sections) - 1, removed = 0;

    *granted = 0;
    for (size_t i = 0; i < n; i++) {
        const struct rules_draft_rule *r = &rules[i];
        bool sections = r->sections.any || r->sections.n > 0, but_size,
             match = plain_match(r, q, &but_size);

        large = large || but_size;
        denied = denied || (match && r->deny && !sections);
        allowed = allowed || (match && !r->deny);
        for (size_t s = 0; s < q->n_sections && match; s++)
            if (plain_words(&r->sections, q->sections[s], false))
                *(r->deny ? &removed : granted) |= UINT32_C(1) << s;
    }
    *granted &= allowed && !denied ? ~removed : 0;
    if (denied)
        return LIAISON_DENIED;
    if (!allowed)
        return large ? LIAISON_TOO_LARGE : LIAISON_NOT_ALLOWED;
    return *granted == all || q->strip ? LIAISON_OK : LIAISON_SECTIONS;
}

/* Calls `see` for many made-up sets with many questions each. */
typedef void see_set(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                     struct arena *a);

static void over_made_up_sets(see_set *see)
{
    static struct made made[RULES_TRIED];
    struct rules_draft_rule rules[RULES_TRIED];
    struct dice d = {UINT64_C(0x9e3779b97f4a7c15)};
    struct arena *a = arena_new();

    for (int i = 0; i < SETS_TRIED; i++) {
        size_t n = roll(
            &d, i % 3 == 0
                    ? 4
                    : RULES_TRIED); /* small sets and such as pass one word of bits */

        for (size_t k = 0; k < n; k++) {
            make_rule(&d, &made[k]);
            rules[k] = made[k].rule;
        }
        see(&d, rules, n, a);
        arena_reset(a);
    }
    arena_free(a);
}

static void see_agreement(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                          struct arena *a)
{
    struct rules *r = build(rules, n);

    for (int i = 0; i < QUESTIONS_TRIED; i++) {
        struct asked asked = made_question(d);
        struct rules_question q = question(&asked);
        struct rules_decision out;
        uint32_t granted;
        enum liaison_code want = plain_decision(rules, n, &q, &granted);

        rules_decide(r, &q, a, &out);
        if (out.code != want || out.granted != granted)
            fail_msg("code %d granted %x, want %d %x: %s", (int)out.code, out.granted,
                     (int)want, granted, rules_explain(&out, &q, a));
    }
    rules_free(r);
}

static void the_index_agrees_with_reading_rule_by_rule(void **state)
{
    (void)state;
    over_made_up_sets(see_agreement);
}

static void see_shuffle(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                        struct arena *a)
{
    struct rules_draft_rule other[RULES_TRIED];

    memcpy(other, rules, n * sizeof *other);
    for (size_t i = n; i > 1; i--) {
        size_t k = roll(d, (unsigned)i);
        struct rules_draft_rule swap = other[i - 1];

        other[i - 1] = other[k];
        other[k] = swap;
    }
    struct rules *r = build(rules, n), *s = build(other, n);

    for (int i = 0; i < QUESTIONS_TRIED; i++) {
        struct asked asked = made_question(d);
        struct rules_question q = question(&asked);
        struct rules_decision x, y;

        rules_decide(r, &q, a, &x);
        rules_decide(s, &q, a, &y);
        assert_int_equal(x.code, y.code);
        assert_int_equal(x.granted, y.granted);
        assert_int_equal(x.reveal, y.reveal);
        assert_int_equal(x.n_lines, y.n_lines);
        assert_int_equal(x.n_returns, y.n_returns);
        for (size_t k = 0; k < x.n_lines; k++)
            assert_string_equal(x.lines[k]->text, y.lines[k]->text);
        for (size_t k = 0; k < x.n_returns; k++)
            assert_string_equal(x.returns[k], y.returns[k]);
    }
    rules_free(r);
    rules_free(s);
}

static void the_order_of_rules_never_matters(void **state)
{
    (void)state;
    over_made_up_sets(see_shuffle);
}

/* `more` has everything that `less` has, and one rule besides. */
static void never_wider(struct dice *d, struct rules *less, struct rules *more,
                        struct arena *a)
{
    for (int i = 0; i < QUESTIONS_TRIED; i++) {
        struct asked asked = made_question(d);
        struct rules_question q = question(&asked);
        struct rules_decision x, y;

        asked.strip = true;
        q.strip = true;
        rules_decide(more, &q, a, &x);
        rules_decide(less, &q, a, &y);
        assert_int_equal(y.granted & ~x.granted, 0);
        assert_false(y.code == LIAISON_OK && x.code != LIAISON_OK);
    }
}

static void see_removed(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                        struct arena *a)
{
    struct rules_draft_rule fewer[RULES_TRIED];
    size_t gone = n > 0 ? roll(d, (unsigned)n) : 0;

    if (n == 0)
        return;
    memcpy(fewer, rules, n * sizeof *fewer);
    fewer[gone] = fewer[n - 1];
    struct rules *all = build(rules, n), *rest = build(fewer, n - 1);

    if (rules[gone].deny)
        never_wider(d, all, rest, a); /* with the deny there is less */
    else
        never_wider(d, rest, all, a);
    rules_free(all);
    rules_free(rest);
}

static void taking_an_allow_away_or_adding_a_deny_never_widens(void **state)
{
    (void)state;
    over_made_up_sets(see_removed);
}

static void see_denied(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                       struct arena *a)
{
    struct rules *r = build(rules, n);

    for (int i = 0; i < QUESTIONS_TRIED; i++) {
        struct asked asked = made_question(d);
        struct rules_question q = question(&asked);
        struct rules_decision out;
        bool but_size, denied = false;

        for (size_t k = 0; k < n; k++)
            denied = denied ||
                     (rules[k].deny && !rules[k].sections.any &&
                      rules[k].sections.n == 0 && plain_match(&rules[k], &q, &but_size));
        rules_decide(r, &q, a, &out);
        assert_int_equal(out.code == LIAISON_DENIED, denied);
        assert_true(!denied || out.granted == 0);
    }
    rules_free(r);
}

static void deny_beats_allow_whatever_else_there_is(void **state)
{
    (void)state;
    over_made_up_sets(see_denied);
}

static void see_reach(struct dice *d, const struct rules_draft_rule *rules, size_t n,
                      struct arena *a)
{
    struct rules *r = build(rules, n);

    for (int i = 0; i < QUESTIONS_TRIED; i++) {
        struct asked asked = made_question(d);
        struct rules_question q = question(&asked);
        struct rules_decision out;

        rules_decide(r, &q, a, &out);
        for (size_t k = 0; k < rules_count(r) && out.code == LIAISON_OK; k++) {
            size_t other;
            bool used = false;
            enum rules_reach reach = rules_reach(r, k, &other);

            for (size_t l = 0; l < out.n_lines; l++)
                used = used || out.lines[l] == rules_line_at(r, k, NULL);
            if (used && reach != RULES_REACHED && reach != RULES_TWICE &&
                reach != RULES_SHADOWED && out.granted != 0)
                fail_msg("called unreachable (%d), yet it matched: %s", (int)reach,
                         rules_line_at(r, k, NULL)->text);
        }
    }
    rules_free(r);
}

static void a_rule_called_unreachable_never_matches(void **state)
{
    (void)state;
    over_made_up_sets(see_reach);
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
        cmocka_unit_test(the_index_agrees_with_reading_rule_by_rule),
        cmocka_unit_test(the_order_of_rules_never_matters),
        cmocka_unit_test(taking_an_allow_away_or_adding_a_deny_never_widens),
        cmocka_unit_test(deny_beats_allow_whatever_else_there_is),
        cmocka_unit_test(a_rule_called_unreachable_never_matches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
