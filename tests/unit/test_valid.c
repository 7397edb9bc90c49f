#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "proto/hash.h"
#include "proto/valid.h"

static bool decodes(const ProtobufCMessageDescriptor *d, const char *bytes, size_t n)
{
    struct arena *a = arena_new();
    const void *m;
    bool ok;

    assert_non_null(a);
    ok = valid_decode(d, slice(bytes, n), a, &m) == LIAISON_OK;
    if (ok) /* what strict means */
        assert_true(slice_equal(arena_pack(a, m), slice(bytes, n)));
    arena_free(a);
    return ok;
}

static void only_the_one_encoding_is_taken(void **state)
{
#define ROW(why, bytes, ok)                                                              \
    {                                                                                    \
        why, bytes, sizeof bytes - 1, ok                                                 \
    }
    /* Caller: 1 officer, 2 purpose, 3 basis, all text */
    const struct {
        const char *why, *bytes;
        size_t n;
        bool ok;
    } ROWS[] = {
        ROW("empty", "", true),
        ROW("one text",
            "\x0a\x02"
            "ab",
            true),
        ROW("two, rising",
            "\x0a\x01"
            "a\x12\x01"
            "b",
            true),
        ROW("two, falling",
            "\x12\x01"
            "b\x0a\x01"
            "a",
            false),
        ROW("one twice",
            "\x0a\x01"
            "a\x0a\x01"
            "a",
            false),
        ROW("a default written out", "\x0a\x00", false),
        ROW("an unknown field",
            "\x0a\x01"
            "a\x7a\x01"
            "b",
            false),
        ROW("a length longer than the message",
            "\x0a\x05"
            "ab",
            false),
        ROW("a tag of two bytes where one would do",
            "\x8a\x00\x01"
            "a",
            false),
        ROW("a length of two bytes where one would do",
            "\x0a\x81\x00"
            "a",
            false),
        ROW("a wrong wire type", "\x08\x01", false),
        ROW("a group", "\x0b\x0c", false),
        ROW("NUL in text",
            "\x0a\x03"
            "a\0b",
            false),
        ROW("bad UTF-8", "\x0a\x01\xff", false),
        ROW("overlong UTF-8", "\x0a\x02\xc0\xaf", false),
        ROW("a surrogate", "\x0a\x03\xed\xa0\x80", false),
        ROW("good UTF-8", "\x0a\x04\xf0\x9f\x99\x82", true),
        ROW("half a tag", "\x8a", false),
        ROW("field number 0",
            "\x02\x01"
            "a",
            false),
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (decodes(&liaison__v1__caller__descriptor, ROWS[i].bytes, ROWS[i].n) !=
            ROWS[i].ok)
            fail_msg("%s", ROWS[i].why);
}

static void numbers_enums_and_lists_are_as_strict(void **state)
{
    const struct {
        const char *why;
        const ProtobufCMessageDescriptor *d;
        const char *bytes;
        size_t n;
        bool ok;
    } ROWS[] = {
#define FRAME &liaison__v1__frame__descriptor
#define HELLO &liaison__v1__hello__descriptor
#define LIST  &liaison__v1__list__descriptor
#undef ROW
#define ROW(why, d, bytes, ok) {why, d, bytes, sizeof bytes - 1, ok}
        ROW("an id", FRAME, "\x08\x01", true),
        ROW("id 0 written out", FRAME, "\x08\x00", false),
        ROW("ten bytes of id", FRAME, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            true),
        ROW("more than 64 bits", FRAME, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            false),
        ROW("padded", FRAME, "\x08\x81\x00", false),
        ROW("two bodies of the oneof", FRAME, "\x52\x00\x62\x00", false),
        ROW("one body, empty", FRAME, "\x52\x00", true),
        ROW("packed numbers", HELLO, "\x0a\x02\x01\x02", true),
        ROW("not packed", HELLO, "\x08\x01", false),
        ROW("packed twice", HELLO, "\x0a\x01\x01\x0a\x01\x02", false),
        ROW("packed, none", HELLO, "\x0a\x00", false),
        ROW("packed, more than 32 bits", HELLO, "\x0a\x05\x80\x80\x80\x80\x10", false),
        ROW("a known choice", LIST, "\x08\x02", true),
        ROW("an unknown choice", LIST, "\x08\x09", false),
        ROW("true", LIST, "\x10\x01", true),
        ROW("true as 2", LIST, "\x10\x02", false),
        ROW("false written out", LIST, "\x10\x00", false),
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (decodes(ROWS[i].d, ROWS[i].bytes, ROWS[i].n) != ROWS[i].ok)
            fail_msg("%s", ROWS[i].why);
}

static void a_list_has_at_most_4096_elements(void **state)
{
    char *bytes = malloc(2 * (VALID_REPEATED_MAX + 1));

    (void)state;
    assert_non_null(bytes);
    for (int i = 0; i <= VALID_REPEATED_MAX; i++)
        memcpy(bytes + 2 * i, "\x0a\x00", 2); /* Ack: an empty Lease */
    assert_true(decodes(&liaison__v1__ack__descriptor, bytes, 2 * VALID_REPEATED_MAX));
    assert_false(
        decodes(&liaison__v1__ack__descriptor, bytes, 2 * (VALID_REPEATED_MAX + 1)));
    free(bytes);
}

/* Walks the schema: no message may contain itself, whose depth a peer would choose, and only kinds that the scan knows occur. */
static void walk(const ProtobufCMessageDescriptor *d, unsigned depth)
{
    assert_true(depth < 8);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];

        switch ((int)f->type) {
        case PROTOBUF_C_TYPE_MESSAGE:
            walk(f->descriptor, depth + 1);
            break;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_BOOL:
        case PROTOBUF_C_TYPE_ENUM:
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
            break;
        default:
            fail_msg("%s.%s: a kind that the strict scan refuses", d->name, f->name);
        }
    }
}

static void no_message_contains_itself(void **state)
{
    (void)state;
    walk(&liaison__v1__frame__descriptor, 0);
    walk(&liaison__v1__envelope__descriptor, 0);
    walk(&liaison__v1__action__descriptor, 0);
    walk(&liaison__v1__section_header__descriptor, 0);
    walk(&liaison__v1__section_body__descriptor, 0);
    walk(&liaison__v1__ledger_entry__descriptor, 0);
}

/* ------------------------------------------------------------ envelopes */

static uint8_t ID[16] = {1, 0x90, 0, 0, 0, 0, 0x70, 0, 0x80}, CASE[16] = {1},
               DIGEST[8][32];
static ProtobufCBinaryData DIGESTS[8];

static Liaison__V1__Envelope good_envelope(void)
{
    Liaison__V1__Envelope e = LIAISON__V1__ENVELOPE__INIT;

    for (size_t i = 0; i < 8; i++) {
        DIGEST[i][0] = (uint8_t)i;
        DIGESTS[i] = (ProtobufCBinaryData){32, DIGEST[i]};
    }
    e.network = (char *)"practicies.example";
    e.version = 1;
    e.id = (ProtobufCBinaryData){16, ID};
    e.case_id = (ProtobufCBinaryData){16, CASE};
    e.from = (char *)"fr/lyon/prison";
    e.to = (char *)"fr/lyon/probation";
    e.type = LIAISON__V1__TYPE__TYPE_TRANSFER;
    e.category = (char *)"release-handover";
    e.purpose = (char *)"reintegration";
    e.basis = (char *)"law";
    e.subject_category = LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_CONVICTED;
    e.minor = LIAISON__V1__MINOR__MINOR_NO;
    e.regime = LIAISON__V1__REGIME__REGIME_LED;
    e.handling = LIAISON__V1__HANDLING__HANDLING_NONE;
    e.informed = LIAISON__V1__INFORMED__INFORMED_YES;
    e.urgency = LIAISON__V1__URGENCY__URGENCY_DAYS_7;
    e.created_unix_ms = 1;
    e.officer = (char *)"4711";
    e.digests = DIGESTS;
    e.n_digests = 8;
    return e;
}

static void an_envelope_says_all_that_it_must(void **state)
{
    Liaison__V1__Envelope e = good_envelope();
    const char *why;

    (void)state;
    assert_int_equal(valid_envelope(&e, &why), LIAISON_OK);
#define REFUSED(change, code)                                                            \
    do {                                                                                 \
        e = good_envelope();                                                             \
        why = NULL;                                                                      \
        change;                                                                          \
        assert_int_equal(valid_envelope(&e, &why), code);                                \
        assert_non_null(why);                                                            \
    } while (0)
    REFUSED(e.network = (char *)"", LIAISON_FIELD);
    REFUSED(e.network = (char *)"..", LIAISON_FIELD);
    REFUSED(e.version = 0, LIAISON_FIELD);
    REFUSED(e.id.len = 15, LIAISON_ID);
    REFUSED(e.case_id.len = 0, LIAISON_FIELD);
    REFUSED(e.from = (char *)"", LIAISON_FIELD);
    REFUSED(e.to = (char *)"Police", LIAISON_FIELD);
    REFUSED(e.to = e.from, LIAISON_FIELD);
    REFUSED(e.type = 0, LIAISON_FIELD);
    REFUSED(e.type = LIAISON__V1__TYPE__TYPE_QUERY, LIAISON_UNSUPPORTED);
    REFUSED(e.category = (char *)"two words", LIAISON_FIELD);
    REFUSED(e.purpose = (char *)"", LIAISON_FIELD);
    REFUSED(e.basis = (char *)"", LIAISON_FIELD);
    REFUSED(e.subject_category = 0, LIAISON_FIELD);
    REFUSED(e.minor = 0, LIAISON_FIELD);
    REFUSED(e.regime = 0, LIAISON_FIELD);
    REFUSED(e.handling = 0, LIAISON_FIELD);
    REFUSED(e.informed = 0, LIAISON_FIELD);
    REFUSED(e.urgency = 0, LIAISON_FIELD);
    REFUSED(e.urgency = LIAISON__V1__URGENCY__URGENCY_DATE, LIAISON_FIELD);
    REFUSED(e.due_unix_ms = 5, LIAISON_FIELD);
    REFUSED(e.created_unix_ms = 0, LIAISON_FIELD);
    REFUSED(e.officer = (char *)"Jean Valjean", LIAISON_FIELD);
    REFUSED(e.n_digests = 7, LIAISON_FIELD);
    REFUSED(DIGESTS[3] = DIGESTS[2], LIAISON_FIELD);
    REFUSED(DIGESTS[3].len = 31, LIAISON_FIELD);
    REFUSED(e.offer = e.case_id, LIAISON_UNSUPPORTED);
}

static void only_a_permit_names_a_third_agency(void **state)
{
    static const struct {
        Liaison__V1__Move move;
        const char *to;
        enum liaison_code want;
    } ROWS[] = {
        {LIAISON__V1__MOVE__MOVE_PERMIT, "fr/lyon/rebond", LIAISON_OK},
        {LIAISON__V1__MOVE__MOVE_PERMIT, "", LIAISON_FIELD},
        {LIAISON__V1__MOVE__MOVE_PERMIT, "Rebond", LIAISON_FIELD},
        {LIAISON__V1__MOVE__MOVE_ACKNOWLEDGE, "", LIAISON_OK},
        {LIAISON__V1__MOVE__MOVE_ACKNOWLEDGE, "fr/lyon/rebond", LIAISON_FIELD},
    };
    Liaison__V1__Action a = LIAISON__V1__ACTION__INIT;
    Liaison__V1__Reference referral = LIAISON__V1__REFERENCE__INIT;
    const char *why;

    (void)state;
    referral.from = (char *)"fr/lyon/prison";
    referral.id = a.id = (ProtobufCBinaryData){16, ID};
    a.referral = &referral;
    a.network = (char *)"practicies.example";
    a.agency = (char *)"fr/lyon/prison";
    a.officer = (char *)"4711";
    a.purpose = (char *)"reintegration";
    a.basis = (char *)"law";
    a.expected_version = 1;
    a.created_unix_ms = 1;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        a.move = ROWS[i].move;
        a.to = (char *)(uintptr_t)ROWS[i].to;
        assert_int_equal(valid_action(&a, &why), ROWS[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_one_encoding_is_taken),
        cmocka_unit_test(numbers_enums_and_lists_are_as_strict),
        cmocka_unit_test(a_list_has_at_most_4096_elements),
        cmocka_unit_test(no_message_contains_itself),
        cmocka_unit_test(an_envelope_says_all_that_it_must),
        cmocka_unit_test(only_a_permit_names_a_third_agency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
