/* JSON <-> protobuf: what is read, what is refused, and where an error says it stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/cli/cli.h"
#include "client/json/json.h"
#include "client/json/profile.h"
#include "proto/valid.h"

struct rig {
    struct arena *arena;
    struct json_doc *doc;
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    r->arena = arena_new();
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    json_doc_free(r->doc);
    arena_free(r->arena);
    free(r);
    return 0;
}

static enum liaison_code load(struct rig *r, const char *text)
{
    json_doc_free(r->doc);
    r->doc = json_doc_new("t.json");
    assert_non_null(r->doc);
    return json_doc_text(r->doc, slice_text(text));
}

static enum liaison_code read_as(struct rig *r, const char *text,
                                 const ProtobufCMessageDescriptor *type,
                                 ProtobufCMessage **out)
{
    enum liaison_code code = load(r, text);

    return code == LIAISON_OK
               ? json_read(r->doc, json_doc_root(r->doc), NULL, type, r->arena, out)
               : code;
}

/* ---- errors */

static const struct refusal {
    const char *why, *text, *want;
} REFUSALS[] = {
    {"text ends early", "{\"minor\": ", "t.json:1:10: unexpected token near end of file"},
    {"garbage behind it", "{} x", "t.json:1:4: end of file expected near 'x'"},
    {"duplicate key", "{\"from\": \"a\",\n \"from\": \"b\"}",
     "t.json:2:7: duplicate object key near '\"from\"'"},
    {"duplicate key, spelled otherwise", "{\"from\": \"a\",\n \"fro\\u006d\": \"b\"}",
     "t.json:2:12: duplicate object key"},
    {"bad UTF-8", "{\"from\": \"\xff\"}", "t.json:1:"},
    {"NUL in text", "{\"from\": \"a\\u0000b\"}", "\\u0000 is not allowed"},
    {"no object", "[]", "t.json:1:1: expected an object: {...}"},
    {"a number alone", "12", "t.json:1:1: expected an object"},
    {"unknown field", "{\n  \"minr\": \"no\"}",
     "t.json:2:3: minr: unknown field; did you mean \"minor\"?"},
    {"unknown, near to nothing", "{\"zzzzzzzzz\": 1}",
     "t.json:1:2: zzzzzzzzz: unknown field\n"},
    {"wrong type", "{\"from\": 3}", "t.json:1:10: from: expected text, found a number"},
    {"null is no text", "{\"from\": null}",
     "t.json:1:10: from: expected text, found null"},
    {"no such word", "{\"minor\": \"maybe\"}",
     "t.json:1:11: minor: expected one of \"yes\", \"no\", \"unknown\", found \"maybe\""},
    {"UNSPECIFIED has no word", "{\"minor\": \"unspecified\"}",
     "t.json:1:11: minor: expected one of"},
    {"words are lower-case", "{\"minor\": \"YES\"}",
     "t.json:1:11: minor: expected one of"},
    {"an enum is no number", "{\"minor\": 1}", "t.json:1:11: minor: expected one of"},
    {"out of range", "{\"version\": 4294967296}",
     "t.json:1:13: version: expected a number from 0 to 4294967295"},
    {"below zero", "{\"version\": -1}", "t.json:1:13: version: expected a number from 0"},
    {"a fraction", "{\"version\": 1.5}",
     "t.json:1:13: version: expected a number from 0 to 4294967295, found a fraction"},
    {"too big for jansson", "{\"version\": 99999999999999999999}",
     "t.json:1:32: too big integer"},
    {"time out of form", "{\"due_unix_ms\": \"tomorrow\"}",
     "t.json:1:17: due_unix_ms: expected a time such as"},
    {"the 30th of February", "{\"due_unix_ms\": \"2026-02-30T00:00:00Z\"}",
     "due_unix_ms: expected a time"},
    {"time without zone", "{\"due_unix_ms\": \"2026-02-03T00:00:00\"}",
     "due_unix_ms: expected a time"},
    {"finer than it can hold", "{\"due_unix_ms\": \"2026-02-03T00:00:00.1234Z\"}",
     "due_unix_ms: expected a time"},
    {"before 1970", "{\"due_unix_ms\": \"1969-12-31T23:59:59Z\"}",
     "due_unix_ms: expected a time"},
    {"id of another form", "{\"id\": \"01890a5d\"}",
     NULL}, /* hex of four bytes: read, and refused by valid.h */
    {"id that is no hex", "{\"id\": \"0189-zz\"}",
     "t.json:1:8: id: expected an id such as"},
    {"upper-case hex", "{\"digests\": [\"AB\"]}",
     "t.json:1:14: digests[0]: expected lower-case hex, found \"AB\""},
    {"half a byte", "{\"digests\": [\"ab\", \"abc\"]}",
     "t.json:1:20: digests[1]: expected lower-case hex"},
    {"a list is wanted", "{\"digests\": \"ab\"}",
     "t.json:1:13: digests: expected a list, found \"ab\""},
    {"nested place", "{\"caused_by\": {\n\"from\": \"a\",\n  \"idd\": 1}}",
     "t.json:3:3: caused_by.idd: unknown field; did you mean \"id\"?"},
    {"columns count characters", "{\"category\": \"\xc3\xa9\xc3\xa9\", \"from\": 1}",
     "t.json:1:28: from: expected text"},
};

static void what_is_wrong_is_refused_with_its_place(void **state)
{
    for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++) {
        const struct refusal *row = &REFUSALS[i];
        ProtobufCMessage *m = NULL;
        enum liaison_code code =
            read_as(*state, row->text, &liaison__v1__envelope__descriptor, &m);
        char got[800];

        snprintf(got, sizeof got, "%s\n", json_doc_why(((struct rig *)*state)->doc));
        if (row->want == NULL ? code != LIAISON_OK
                              : code != LIAISON_JSON || strstr(got, row->want) == NULL)
            fail_msg("%s: code %d, said: %s", row->why, (int)code, got);
        if (row->want != NULL)
            assert_null(m); /* outputs stay untouched */
    }
}

static void two_members_of_a_oneof_are_refused(void **state)
{
    struct rig *r = *state;
    ProtobufCMessage *m = NULL;

    assert_int_equal(read_as(r, "{\"id\": 1, \"done\": {},\n \"hello\": {}}",
                             &liaison__v1__frame__descriptor, &m),
                     LIAISON_JSON);
    assert_string_equal(
        json_doc_why(r->doc),
        "t.json:2:2: hello: \"done\" is there already; only one of them may be");
}

static void base64_is_read_in_its_one_spelling_only(void **state)
{
    static const struct {
        const char *why, *text;
        bool good;
    } ROWS[] = {
        {"as it should be", "AAEC", true},
        {"padded", "AA==", true},
        {"empty", "", true},
        {"no padding", "AA", false},
        {"space", "AA EC", false},
        {"loose last bits", "AB==", false},
        {"url alphabet", "__8=", false},
        {"padding alone", "====", false},
        {"padding inside", "AA==AAEC", false},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        ProtobufCMessage *m = NULL;
        char text[64];

        snprintf(text, sizeof text, "{\"cursor\": \"%s\"}", ROWS[i].text);
        if ((read_as(*state, text, &liaison__v1__list__descriptor, &m) == LIAISON_OK) !=
            ROWS[i].good)
            fail_msg("%s", ROWS[i].why);
    }
}

static void depth_and_size_are_bounded(void **state)
{
    struct rig *r = *state;
    size_t n = 100000;
    char *deep = malloc(n + 16);

    strcpy(deep, "{\"a\": ");
    memset(deep + 6, '[', n);
    deep[n + 6] = '\0';
    assert_int_equal(load(r, deep), LIAISON_JSON);
    assert_string_equal(json_doc_why(r->doc),
                        "t.json:1:70: nested deeper than 64 levels");
    free(deep);

    json_doc_free(r->doc);
    r->doc = json_doc_new("t.json");
    json_doc_limit(r->doc, 8);
    assert_int_equal(json_doc_text(r->doc, slice_text("{\"a\":  1}")), LIAISON_TOO_LARGE);
    assert_null(json_doc_root(r->doc));
}

static void a_nul_byte_between_tokens_is_refused(void **state)
{
    static const char TEXT[] = "{\"version\":1\0}";
    struct rig *r = *state;

    r->doc = json_doc_new("t.json");
    assert_int_equal(json_doc_text(r->doc, slice(TEXT, sizeof TEXT - 1)), LIAISON_JSON);
    assert_string_equal(json_doc_why(r->doc), "t.json:1:13: a NUL byte");
}

/* ---- round trips */

static void messages_are_written_as_people_read_them(void **state)
{
    uint8_t id[16] = {0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b,
                      0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57};
    uint8_t hash[] = {0xde, 0xad};
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    json_t *o = NULL;

    (void)state;
    e.seq = 7;
    e.time_ns = 1795421696123456789;
    e.event = LIAISON__V1__EVENT__EVENT_IN_PROGRESS;
    e.verdict = LIAISON__V1__VERDICT__VERDICT_DENIED;
    e.code = LIAISON__V1__CODE__CODE_NOT_FOUND;
    e.agency = (char[]){"fr/lyon/prison"};
    e.referral_id = (ProtobufCBinaryData){sizeof id, id};
    e.rule_set = (ProtobufCBinaryData){sizeof hash, hash};
    e.agency_counter = UINT64_MAX;
    assert_int_equal(json_print(&e.base, &o), LIAISON_OK);
    char *text = json_dumps(o, JSON_COMPACT);

    assert_string_equal(
        text,
        "{\"seq\":7,\"time_ns\":\"2026-11-23T08:14:56.123456789Z\",\"event\":\"in-"
        "progress\","
        "\"verdict\":\"denied\",\"code\":\"not-found\",\"agency\":\"fr/lyon/prison\","
        "\"referral_id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"rule_set\":\"dead\","
        "\"agency_counter\":\"18446744073709551615\"}");
    free(text);
    json_decref(o);
}

/* Fills every field of a message, two elements in every list, the last member of every oneof. */
static ProtobufCMessage *filled(struct arena *a, const ProtobufCMessageDescriptor *d,
                                unsigned salt)
{
    ProtobufCMessage *m = arena_alloc(a, d->sizeof_message);

    protobuf_c_message_init(d, m);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        size_t n = f->label == PROTOBUF_C_LABEL_REPEATED ? 2 : 1;
        char *base = (char *)m, *values = base + f->offset;
        size_t width =
            f->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData)
            : f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE
                ? sizeof(void *)
            : f->type == PROTOBUF_C_TYPE_UINT64 ? 8
                                                : 4;

        if (n == 2) {
            values = arena_zero(a, n * width);
            *(void **)(void *)(base + f->offset) = values;
            *(size_t *)(void *)(base + f->quantifier_offset) = n;
        } else if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            *(uint32_t *)(void *)(base + f->quantifier_offset) = f->id;
        }
        for (size_t j = 0; j < n; j++) {
            void *p = values + j * width;
            unsigned v = salt + i + (unsigned)j + 1;

            switch ((int)f->type) {
            case PROTOBUF_C_TYPE_UINT32:
                *(uint32_t *)p = v;
                break;
            case PROTOBUF_C_TYPE_UINT64:
                *(uint64_t *)p = v % 2 == 0 ? UINT64_MAX - v : 1795421696123ULL + v;
                break;
            case PROTOBUF_C_TYPE_BOOL:
                *(protobuf_c_boolean *)p = 1;
                break;
            case PROTOBUF_C_TYPE_ENUM: {
                const ProtobufCEnumDescriptor *e = f->descriptor;
                *(int *)p = e->values[1 + v % (e->n_values - 1)].value;
                break;
            }
            case PROTOBUF_C_TYPE_STRING:
                *(char **)p =
                    (char *)arena_copy(a, slice_text("l'\xc3\xa9t\xc3\xa9 \"\\\t"));
                break;
            case PROTOBUF_C_TYPE_BYTES: {
                size_t len = v % 3 == 0 ? 16 : v % 5 + 1;
                uint8_t *bytes = arena_zero(a, len);
                bytes[0] = (uint8_t)(v * 37);
                *(ProtobufCBinaryData *)p = (ProtobufCBinaryData){len, bytes};
                break;
            }
            case PROTOBUF_C_TYPE_MESSAGE:
                *(ProtobufCMessage **)p = filled(a, f->descriptor, v);
                break;
            default:
                fail_msg("%s.%s: json/ has no mapping for this kind of field", d->name,
                         f->name);
            }
        }
    }
    return m;
}

static void assert_survives(struct rig *r, const ProtobufCMessage *m)
{
    json_t *o = NULL;
    ProtobufCMessage *again = NULL;

    assert_int_equal(json_print(m, &o), LIAISON_OK);
    char *text = json_dumps(o, 0);
    enum liaison_code code = read_as(r, text, m->descriptor, &again);

    if (code != LIAISON_OK)
        fail_msg("%s: %s in %s", m->descriptor->name, json_doc_why(r->doc), text);
    struct slice before = arena_pack(r->arena, m), after = arena_pack(r->arena, again);

    if (!slice_equal(before, after))
        fail_msg("%s changed: %s", m->descriptor->name, text);
    free(text);
    json_decref(o);
}

static void every_message_survives_print_and_read(void **state)
{
    const ProtobufCMessageDescriptor *const TYPES[] = {
        &liaison__v1__envelope__descriptor,
        &liaison__v1__action__descriptor,
        &liaison__v1__signed_referral__descriptor,
        &liaison__v1__cards__descriptor,
        &liaison__v1__view__descriptor,
        &liaison__v1__ledger_entry__descriptor,
        &liaison__v1__decision__descriptor,
        &liaison__v1__welcome__descriptor,
        &liaison__v1__deliver__descriptor,
        &liaison__v1__agencies__descriptor,
        &liaison__v1__entry_filter__descriptor,
        &liaison__v1__ack__descriptor,
        &liaison__v1__section_body__descriptor,
        &liaison__v1__section_header__descriptor,
    };

    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        for (unsigned salt = 0; salt < 12; salt++)
            assert_survives(*state,
                            filled(((struct rig *)*state)->arena, TYPES[i], salt));
}

static void every_member_of_the_frame_survives(void **state)
{
    struct rig *r = *state;
    const ProtobufCMessageDescriptor *d = &liaison__v1__frame__descriptor;

    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];

        if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
            continue;
        Liaison__V1__Frame frame = LIAISON__V1__FRAME__INIT;

        frame.id = i;
        frame.body_case = (Liaison__V1__Frame__BodyCase)f->id;
        frame.done =
            (void *)filled(r->arena, f->descriptor, i); /* members share one place */
        assert_survives(r, &frame.base);
    }
}

static void every_word_of_every_enum_is_unlike_the_others(void **state)
{
    const ProtobufCEnumDescriptor *const TYPES[] = {
        &liaison__v1__code__descriptor,
        &liaison__v1__type__descriptor,
        &liaison__v1__subject_category__descriptor,
        &liaison__v1__minor__descriptor,
        &liaison__v1__regime__descriptor,
        &liaison__v1__handling__descriptor,
        &liaison__v1__informed__descriptor,
        &liaison__v1__urgency__descriptor,
        &liaison__v1__reveal__descriptor,
        &liaison__v1__state__descriptor,
        &liaison__v1__move__descriptor,
        &liaison__v1__box__descriptor,
        &liaison__v1__event__descriptor,
        &liaison__v1__verdict__descriptor,
        &liaison__v1__operation__descriptor,
        &liaison__v1__clock__descriptor,
    };

    (void)state;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        for (unsigned j = 0; j < TYPES[i]->n_values; j++) {
            int number = TYPES[i]->values[j].value, back = -1;
            char word[64];

            assert_non_null(json_word(TYPES[i], number, word, sizeof word));
            if (json_number(TYPES[i], word, &back) ? back != number
                                                   : strcmp(word, "unspecified") != 0)
                fail_msg("%s: \"%s\"", TYPES[i]->name, word);
            assert_null(strpbrk(word, "_ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
        }
}

static void times_are_read_with_offsets_and_fractions(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t seconds;
        uint32_t ns;
    } ROWS[] = {
        {"1970-01-01T00:00:00Z", true, 0, 0},
        {"2026-11-23T08:14:56Z", true, 1795421696, 0},
        {"2026-11-23T10:14:56+02:00", true, 1795421696, 0},
        {"2026-11-23T07:14:56-01:00", true, 1795421696, 0},
        {"2026-11-23t08:14:56.5z", true, 1795421696, 500000000},
        {"2024-02-29T00:00:00Z", true, 1709164800, 0},
        {"2026-02-29T00:00:00Z", false, 0, 0},
        {"2026-11-23T24:00:00Z", false, 0, 0},
        {"2026-11-23T08:14:60Z", false, 0, 0},
        {"2026-11-23T08:14:56.Z", false, 0, 0},
        {"2026-11-23T08:14:56Z ", false, 0, 0},
        {"2026-00-23T08:14:56Z", false, 0, 0},
        {"2026-11-23 08:14:56Z", false, 0, 0},
        {"2026-11-23T08:14", false, 0, 0},
        {"", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint64_t seconds = 0;
        uint32_t ns = 0;

        if (json_time_parse(ROWS[i].text, 9, &seconds, &ns) != ROWS[i].good ||
            seconds != ROWS[i].seconds || ns != ROWS[i].ns)
            fail_msg("\"%s\" gave %llu.%u", ROWS[i].text, (unsigned long long)seconds,
                     ns);
    }
}

/* ---- referrals */

#define HEAD                                                                             \
    "{\"to\":\"fr/lyon/"                                                                 \
    "probation\",\"type\":\"transfer\",\"category\":\"release-handover\",\"purpose\":"   \
    "\"reintegration\","                                                                 \
    "\"basis\":\"court-order\",\"subject_category\":\"convicted\",\"minor\":\"no\","     \
    "\"regime\":\"led\",\"handling\":\"none\","                                          \
    "\"informed\":\"yes\""

static const struct refusal REFERRALS[] = {
    {"all that is needed", HEAD ",\"urgency\":\"days-7\",\"sections\":{\"identity\":{}}}",
     NULL},
    {"with a day", HEAD ",\"urgency\":\"date\",\"due\":\"2027-03-01\",\"sections\":{}}",
     NULL},
    {"a section is no object", "{\"sections\": {\n  \"identity\": 3}}",
     "t.json:2:15: sections.identity: expected an object"},
    {"sections are no object", "{\"sections\": []}",
     "t.json:1:14: sections: expected an object"},
    {"name of a section", "{\"sections\": {\"Identity\": {}}}",
     "t.json:1:15: sections.Identity: a section's name is"},
    {"unknown field", "{\"minr\": \"no\"}",
     "t.json:1:2: minr: unknown field; did you mean \"minor\"?"},
    {"the sender is the profile's", "{\"from\": \"fr/lyon/prison\"}",
     "t.json:1:2: from: unknown field"},
    {"the digests are the library's", "{\"digests\": []}",
     "t.json:1:2: digests: unknown field"},
    {"something is missing", "{\"to\": \"fr/x\"}", "t.json:1:1: \"type\" is missing"},
    {"no urgency", HEAD ",\"sections\":{}}", "\"urgency\" is missing"},
    {"no sections", HEAD ",\"urgency\":\"days-7\"}", "\"sections\" is missing"},
    {"date without due", HEAD ",\"urgency\":\"date\",\"sections\":{}}",
     "urgency: expected \"due\" beside it"},
    {"due without date",
     HEAD ",\"urgency\":\"days-3\",\"due\":\"2027-03-01\",\"sections\":{}}",
     "due: expected no date unless"},
    {"due is no time", HEAD ",\"urgency\":\"date\",\"due\":\"soon\",\"sections\":{}}",
     "due: expected a time such as"},
    {"a name as officer",
     HEAD ",\"urgency\":\"days-3\",\"officer\":\"Jane Doe\",\"sections\":{}}",
     "officer: expected a number, never a name"},
    {"words have a form", HEAD ",\"urgency\":\"days-3\",\"to\":1}",
     "duplicate object key"},
    {"a case is an id",
     HEAD ",\"urgency\":\"days-3\",\"case_id\":\"abcd\",\"sections\":{}}",
     "case_id: expected an id"},
    {"a cause is whole",
     HEAD ",\"urgency\":\"days-3\",\"caused_by\":{\"from\":\"fr/x\"},\"sections\":{}}",
     "caused_by: expected {\"from\""},
};

static void referrals_are_read_or_refused_with_their_place(void **state)
{
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof REFERRALS / sizeof *REFERRALS; i++) {
        const struct refusal *row = &REFERRALS[i];
        struct json_referral out = {0};
        enum liaison_code code = load(r, row->text);

        if (code == LIAISON_OK)
            code = json_referral(r->doc, r->arena, &out);
        if (row->want == NULL ? code != LIAISON_OK
                              : code != LIAISON_JSON ||
                                    strstr(json_doc_why(r->doc), row->want) == NULL ||
                                    out.envelope != NULL)
            fail_msg("%s: code %d, said: %s", row->why, (int)code, json_doc_why(r->doc));
    }
}

static void a_day_is_due_when_it_has_ended(void **state)
{
    struct rig *r = *state;
    struct json_referral out;

    assert_int_equal(
        load(r, HEAD ",\"urgency\":\"date\",\"due\":\"2027-03-01\",\"sections\":{}}"),
        LIAISON_OK);
    assert_int_equal(json_referral(r->doc, r->arena, &out), LIAISON_OK);
    assert_int_equal(out.envelope->due_unix_ms,
                     1803945599999); /* 2027-03-01T23:59:59.999Z */
}

static void sections_keep_the_digits_they_were_written_with(void **state)
{
    struct rig *r = *state;
    struct json_referral out;

    assert_int_equal(load(r, HEAD ",\"urgency\":\"days-7\",\"sections\":{\"z\":{ \"a\" : "
                                  "1.10 ,\n\"b\":[ 1e2, \"x  \\\" y\" ]},"
                                  "\"a\":{}}}"),
                     LIAISON_OK);
    assert_int_equal(json_referral(r->doc, r->arena, &out), LIAISON_OK);
    assert_int_equal(out.n_sections, 2);
    assert_string_equal(out.sections[0].name, "z");
    assert_string_equal((const char *)out.sections[0].content.p,
                        "{\"a\":1.10,\"b\":[1e2,\"x  \\\" y\"]}");
    assert_string_equal(out.sections[1].name, "a");
    assert_string_equal((const char *)out.sections[1].content.p, "{}");
}

static void more_than_32_sections_are_refused(void **state)
{
    struct rig *r = *state;
    struct json_referral out;
    char text[2048] = HEAD ",\"urgency\":\"days-7\",\"sections\":{";

    for (int i = 0; i < 33; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"s%d\":{}",
                 i > 0 ? "," : "", i);
    strcat(text, "}}");
    assert_int_equal(load(r, text), LIAISON_OK);
    assert_int_equal(json_referral(r->doc, r->arena, &out), LIAISON_JSON);
    assert_non_null(strstr(json_doc_why(r->doc), "sections: more than 32 sections"));
}

static void every_template_is_a_referral(void **state)
{
    static const char *const CATEGORIES[] = {"release-handover", "mentoring", "concern",
                                             "anything-else"};
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof CATEGORIES / sizeof *CATEGORIES; i++) {
        struct json_referral out;
        char text[8192];
        int n = template_print(CATEGORIES[i], "fr/lyon/probation", text, sizeof text);

        assert_in_range(n, 1, sizeof text - 1);
        if (load(r, text) != LIAISON_OK ||
            json_referral(r->doc, r->arena, &out) != LIAISON_OK)
            fail_msg("%s: %s", CATEGORIES[i], json_doc_why(r->doc));
        assert_string_equal(out.envelope->category, CATEGORIES[i]);
        assert_string_equal(out.envelope->to, "fr/lyon/probation");
        assert_true(out.n_sections > 0);
        assert_non_null(strstr(text, "SYNTHETIC"));
    }
}

/* ---- profiles */

static enum liaison_code profile_of(struct rig *r, const char *text, struct profile *p,
                                    char *why, size_t why_len)
{
    char dir[] = "/tmp/liaison-test-XXXXXX", path[64];

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/profile.json", dir);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    enum liaison_code code = profile_read(dir, r->arena, p, why, why_len);

    unlink(path);
    rmdir(dir);
    return code;
}

static void profiles_are_read_or_refused_with_their_place(void **state)
{
    static const struct refusal ROWS[] = {
        {"an agency",
         "{\"network\":\"n.example\",\"broker\":\"h:1\",\"agency\":\"fr/"
         "a\",\"officer\":\"7\"}",
         NULL},
        {"an auditor",
         "{\"network\":\"n.example\",\"broker\":\"h:1\",\"auditor\":\"fr/a\"}", NULL},
        {"nobody", "{\"network\":\"n.example\",\"broker\":\"h:1\"}",
         "expected either \"agency\" or \"auditor\""},
        {"both",
         "{\"network\":\"n.example\",\"broker\":\"h:1\",\"auditor\":\"fr/"
         "a\",\"agency\":\"fr/a\"}",
         "expected either"},
        {"no broker", "{\"network\":\"n.example\",\"agency\":\"fr/a\"}",
         "\"broker\" is missing"},
        {"unknown field", "{\n \"brokr\":\"h:1\"}",
         "profile.json:2:2: brokr: unknown field; did you mean \"broker\"?"},
        {"wrong type", "{\"network\": 1}",
         "profile.json:1:13: network: expected a network's name"},
        {"a bad name", "{\"agency\": \"FR\"}",
         "profile.json:1:12: agency: expected an agency's name"},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct profile p = {0};
        char why[1024] = "";
        enum liaison_code code = profile_of(*state, ROWS[i].text, &p, why, sizeof why);

        if (ROWS[i].want == NULL
                ? code != LIAISON_OK
                : code != LIAISON_CONFIG || strstr(why, ROWS[i].want) == NULL)
            fail_msg("%s: code %d, said: %s", ROWS[i].why, (int)code, why);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_wrong_is_refused_with_its_place),
        TEST(two_members_of_a_oneof_are_refused),
        TEST(base64_is_read_in_its_one_spelling_only),
        TEST(depth_and_size_are_bounded),
        TEST(a_nul_byte_between_tokens_is_refused),
        TEST(messages_are_written_as_people_read_them),
        TEST(every_message_survives_print_and_read),
        TEST(every_member_of_the_frame_survives),
        TEST(every_word_of_every_enum_is_unlike_the_others),
        TEST(times_are_read_with_offsets_and_fractions),
        TEST(referrals_are_read_or_refused_with_their_place),
        TEST(a_day_is_due_when_it_has_ended),
        TEST(sections_keep_the_digits_they_were_written_with),
        TEST(more_than_32_sections_are_refused),
        TEST(every_template_is_a_referral),
        TEST(profiles_are_read_or_refused_with_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
#undef TEST
}
