/* What auditors ask: summaries, hashes, rules. Each answer is checked as far as it can be. */
#include "client/lib/check.h"
#include "client/lib/inner.h"
#include "client/lib/ledger.h"
#include "proto/id.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

enum {
    HASHES_MAX = 1024,
    LEVEL_MAX = 62,
    PARTY_MAX = 300,
    CITED_MAX = 128,
    RULES_TEXT_MAX = 256 << 20
};

static enum liaison_code ask_unseen(struct liaison *l, Liaison__V1__Frame *f,
                                    Liaison__V1__Frame__BodyCase want,
                                    struct liaison_answer **a)
{
    struct outcall *c;
    enum liaison_code code = engine_caller_call(l, f, want, &c);

    return code == LIAISON_OK ? engine_await(l, c, a) : code;
}

typedef const char *look(struct hash *h, const struct liaison_answer *a,
                         const char *about);

/* Looks at an answer; what does not hold is given all the same, as evidence. Takes a. */
static enum liaison_code judge(struct liaison *l, enum liaison_code code, look *check,
                               const char *about, struct liaison_answer *a,
                               struct liaison_answer **answer)
{
    const char *wrong = code == LIAISON_OK ? check(l->hash, a, about) : NULL;

    if (wrong != NULL) {
        answer_say(a, LIAISON_SIGNATURE,
                   "the broker's answer does not hold (%s): keep it as evidence", wrong);
        code = lib_fail(l, LIAISON_SIGNATURE, "%s", a->text);
    }
    return ledger_hand_over(code, a, answer);
}

static enum liaison_code ask(struct liaison *l, Liaison__V1__Frame *f,
                             Liaison__V1__Frame__BodyCase want, look *check,
                             const char *about, struct liaison_answer **answer)
{
    struct liaison_answer *a = NULL;
    enum liaison_code code = ask_unseen(l, f, want, &a);

    return judge(l, code, check, about, a, answer);
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

static enum liaison_code hashes_frame(struct liaison *l, uint32_t level, uint64_t from,
                                      uint32_t limit, Liaison__V1__Hashes *hashes,
                                      Liaison__V1__Frame *f)
{
    if (level > LEVEL_MAX || limit == 0 || limit > HASHES_MAX)
        return lib_fail(l, LIAISON_USAGE,
                        "a level of at most %d and 1 to %d hashes are wanted", LEVEL_MAX,
                        HASHES_MAX);
    hashes->level = level;
    hashes->from = from;
    hashes->limit = limit;
    f->body_case = BODY(HASHES);
    f->hashes = hashes;
    return LIAISON_OK;
}

enum liaison_code liaison_hashes(struct liaison *l, uint32_t level, uint64_t from,
                                 uint32_t limit, struct liaison_answer **answer)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Hashes hashes = LIAISON__V1__HASHES__INIT;
    enum liaison_code code = lib_enter(l);

    if (code == LIAISON_OK)
        code = hashes_frame(l, level, from, limit, &hashes, &f);
    return code == LIAISON_OK ? ask(l, &f, BODY(HASH_PAGE), check_hashes, "", answer)
                              : code;
}

/* Queues the call, on behalf of the handle's officer. */
static enum liaison_code send_it(struct liaison *l, Liaison__V1__Frame *f,
                                 Liaison__V1__Frame__BodyCase want, uint64_t *call)
{
    struct outcall *c;
    enum liaison_code code = engine_caller_call(l, f, want, &c);

    if (code == LIAISON_OK)
        *call = engine_send(l, c);
    return code;
}

enum liaison_code liaison_send_hashes(struct liaison *l, uint32_t level, uint64_t from,
                                      uint32_t limit, uint64_t *call)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Hashes hashes = LIAISON__V1__HASHES__INIT;
    enum liaison_code code = lib_enter(l);

    if (code == LIAISON_OK)
        code = hashes_frame(l, level, from, limit, &hashes, &f);
    return code == LIAISON_OK ? send_it(l, &f, BODY(HASH_PAGE), call) : code;
}

enum liaison_code liaison_send_entries(struct liaison *l, uint64_t from, uint64_t until,
                                       uint64_t *call)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__EntryFilter entries = LIAISON__V1__ENTRY_FILTER__INIT;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (from >= until)
        return lib_fail(l, LIAISON_USAGE, "at least one entry is wanted");
    entries.from_seq = from;
    entries.until_seq = until;
    f.body_case = BODY(ENTRIES);
    f.entries = &entries;
    return send_it(l, &f, BODY(ENTRIES_PAGE), call);
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

static enum liaison_code ask_text(struct liaison *l, const uint8_t rule_set[32],
                                  uint64_t from, struct liaison_answer **a)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__RuleText rules = LIAISON__V1__RULE_TEXT__INIT;

    rules.rule_set = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)(uintptr_t)rule_set};
    rules.from = from;
    f.body_case = BODY(RULE_TEXT);
    f.rule_text = &rules;
    return ask_unseen(l, &f, BODY(RULE_TEXT_PAGE), a);
}

/* What stands behind the text that is there. False: it did not come, or is no part of one text. */
static bool fetch_rest(struct liaison *l, const uint8_t rule_set[32], uint8_t *to,
                       uint64_t size, size_t n)
{
    while (n < size) {
        struct liaison_answer *part = NULL;
        bool good = ask_text(l, rule_set, n, &part) == LIAISON_OK;
        const Liaison__V1__RuleText *r = good ? part->frame->rule_text_page : NULL;

        good = good && r->size == size && r->text.len > 0 && r->text.len <= size - n;
        if (good) {
            memcpy(to + n, r->text.data, r->text.len);
            n += r->text.len;
        }
        liaison_answer_free(part);
        if (!good)
            return false;
    }
    return true;
}

/* A text that does not fit into one answer is put together in the first. */
static enum liaison_code join_text(struct liaison *l, const uint8_t rule_set[32],
                                   struct liaison_answer *a)
{
    Liaison__V1__RuleText *r = a->frame->rule_text_page;
    uint8_t *whole;

    if (r->size <= r->text.len)
        return LIAISON_OK;
    if (r->size > RULES_TEXT_MAX)
        return lib_fail(l, LIAISON_LIMIT, "the rules are too long a text");
    if ((whole = arena_alloc(a->arena, (size_t)r->size)) == NULL)
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    memcpy(whole, r->text.data, r->text.len);
    if (!fetch_rest(l, rule_set, whole, r->size, r->text.len))
        return lib_fail(l, LIAISON_CLOSED, "the rules did not come to their end");
    r->text = (ProtobufCBinaryData){(size_t)r->size, whole};
    return LIAISON_OK;
}

enum liaison_code liaison_rule_text(struct liaison *l, const uint8_t rule_set[32],
                                    struct liaison_answer **answer)
{
    struct liaison_answer *a = NULL;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (rule_set == NULL)
        return lib_fail(l, LIAISON_USAGE, "rules are named by the rule_set of an entry");
    code = ask_text(l, rule_set, 0, &a);
    if (code == LIAISON_OK && (code = join_text(l, rule_set, a)) != LIAISON_OK) {
        liaison_answer_free(a);
        return code;
    }
    return judge(l, code, check_rules, (const char *)rule_set, a, answer);
}

/* What was asked for, as check_cited() is given it. */
struct cited {
    const uint8_t *rule_set;
    const uint8_t *ids; /* one after the other */
    size_t n;
};

static const char *check_cited(struct hash *h, const struct liaison_answer *a,
                               const char *about)
{
    static const char PREFIX[] = "liaison/1 rule\n";
    const struct cited *want = (const struct cited *)(const void *)about;
    const Liaison__V1__RuleText *r = a->frame->rule_text_page;
    uint8_t id[HASH_BYTES];

    if (r->n_rules != want->n || !slice_equal(slice(r->rule_set.data, r->rule_set.len),
                                              slice(want->rule_set, HASH_BYTES)))
        return "the rules: they are others than were asked for";
    for (size_t i = 0; i < r->n_rules; i++) {
        struct slice parts[] = {slice(PREFIX, sizeof PREFIX - 1),
                                slice_text(r->rules[i]->text)};

        hash_sha256(h, parts, 2, id);
        if (memcmp(id, want->ids + i * HASH_BYTES, HASH_BYTES) != 0)
            return "a rule: its text has another id";
    }
    return NULL;
}

enum liaison_code liaison_rules_cited(struct liaison *l, const uint8_t rule_set[32],
                                      const uint8_t *ids, size_t n,
                                      struct liaison_answer **answer)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__RuleText q = LIAISON__V1__RULE_TEXT__INIT;
    Liaison__V1__Rule rules[CITED_MAX], *list[CITED_MAX];
    struct cited cited = {rule_set, ids, n};
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (rule_set == NULL || ids == NULL || n == 0 || n > CITED_MAX)
        return lib_fail(l, LIAISON_USAGE,
                        "the rule_set of an entry and 1 to %d ids of rules are wanted",
                        CITED_MAX);
    for (size_t i = 0; i < n; i++) {
        liaison__v1__rule__init(list[i] = &rules[i]);
        rules[i].id = (ProtobufCBinaryData){HASH_BYTES,
                                            (uint8_t *)(uintptr_t)(ids + i * HASH_BYTES)};
    }
    q.rule_set = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)(uintptr_t)rule_set};
    q.rules = list;
    q.n_rules = n;
    f.body_case = BODY(RULE_TEXT);
    f.rule_text = &q;
    return ask(l, &f, BODY(RULE_TEXT_PAGE), check_cited, (const char *)&cited, answer);
}
