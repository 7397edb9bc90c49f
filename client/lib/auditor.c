/* What auditors ask: summaries, hashes, rules. Each answer is checked as far as it can be. */
#include "client/lib/check.h"
#include "client/lib/inner.h"
#include "client/lib/ledger.h"
#include "proto/id.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

enum { HASHES_MAX = 1024, LEVEL_MAX = 62, PARTY_MAX = 300 };

/* Sends the call and looks at the answer; what does not hold is given all the same, as evidence. */
static enum liaison_code
ask(struct liaison *l, Liaison__V1__Frame *f, Liaison__V1__Frame__BodyCase want,
    const char *(*check)(struct hash *, const struct liaison_answer *, const char *),
    const char *about, struct liaison_answer **answer)
{
    struct liaison_answer *a = NULL;
    struct outcall *c;
    enum liaison_code code = engine_caller_call(l, f, want, &c);

    if (code == LIAISON_OK)
        code = engine_await(l, c, &a);
    const char *wrong = code == LIAISON_OK ? check(l->hash, a, about) : NULL;

    if (wrong != NULL) {
        answer_say(a, LIAISON_SIGNATURE,
                   "the broker's answer does not hold (%s): keep it as evidence", wrong);
        code = lib_fail(l, LIAISON_SIGNATURE, "%s", a->text);
    }
    return ledger_hand_over(code, a, answer);
}

/* A party's name in the ledger: an agency's as it is, another's behind its role. */
static bool is_party(const char *name)
{
    const char *colon =
        name == NULL || strlen(name) > PARTY_MAX ? NULL : strchr(name, ':');

    return name != NULL && id_name(colon == NULL ? name : colon + 1);
}

enum liaison_code liaison_summarize(struct liaison *l, const char *agency,
                                    struct liaison_answer **answer)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Summarize summarize = LIAISON__V1__SUMMARIZE__INIT;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (!is_party(agency))
        return lib_fail(l, LIAISON_FIELD, "a summary is about an agency, by its name");
    summarize.agency = (char *)(uintptr_t)agency;
    f.body_case = BODY(SUMMARIZE);
    f.summarize = &summarize;
    return ask(l, &f, BODY(SUMMARY), check_summary, agency, answer);
}

static const char *check_hashes(struct hash *h, const struct liaison_answer *a,
                                const char *about)
{
    (void)h;
    (void)about;
    size_t n = a->frame->hash_page->hashes.len;

    return n % HASH_BYTES == 0 && n <= (size_t)HASHES_MAX * HASH_BYTES
               ? NULL
               : "the number of the hashes";
}

enum liaison_code liaison_hashes(struct liaison *l, uint32_t level, uint64_t from,
                                 uint32_t limit, struct liaison_answer **answer)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Hashes hashes = LIAISON__V1__HASHES__INIT;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (level > LEVEL_MAX || limit == 0 || limit > HASHES_MAX)
        return lib_fail(l, LIAISON_USAGE,
                        "a level of at most %d and 1 to %d hashes are wanted", LEVEL_MAX,
                        HASHES_MAX);
    hashes.level = level;
    hashes.from = from;
    hashes.limit = limit;
    f.body_case = BODY(HASHES);
    f.hashes = &hashes;
    return ask(l, &f, BODY(HASH_PAGE), check_hashes, "", answer);
}

/* `about` points to the id that was asked for. */
static const char *check_rules(struct hash *h, const struct liaison_answer *a,
                               const char *about)
{
    const Liaison__V1__RuleText *r = a->frame->rule_text_page;
    struct slice text = slice(r->text.data, r->text.len);
    uint8_t have[HASH_BYTES];

    hash_sha256(h, &text, 1, have);
    return memcmp(have, about, sizeof have) == 0 &&
                   slice_equal(slice(r->rule_set.data, r->rule_set.len),
                               slice(about, HASH_BYTES))
               ? NULL
               : "the rules: they are others than were asked for";
}

enum liaison_code liaison_rule_text(struct liaison *l, const uint8_t rule_set[32],
                                    struct liaison_answer **answer)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__RuleText rules = LIAISON__V1__RULE_TEXT__INIT;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (rule_set == NULL)
        return lib_fail(l, LIAISON_USAGE, "rules are named by the rule_set of an entry");
    rules.rule_set = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)(uintptr_t)rule_set};
    f.body_case = BODY(RULE_TEXT);
    f.rule_text = &rules;
    return ask(l, &f, BODY(RULE_TEXT_PAGE), check_rules, (const char *)rule_set, answer);
}
