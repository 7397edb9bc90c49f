/* proto/zmtp: a table of byte strings and what each means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/zmtp.h"

#define GREETING(major, mechanism)                                                       \
    "\xff\0\0\0\0\0\0\0\x01\x7f" major "\x01" mechanism                                  \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                                                   \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define DEALER                                                                           \
    "\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06"                                         \
    "DEALER\x08Identity\0\0\0\0"
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

enum from { FRESH, GREETED, LIVE };

static void reach(struct zmtp *z, enum from from)
{
    static const char BOTH[] = GREETING("\x03", "NULL") DEALER;
    const uint8_t *in = (const uint8_t *)BOTH;
    struct zmtp_frame f;
    const char *why;
    size_t used, want;

    zmtp_init(z, ZMTP_SERVER, 1000);
    if (from == FRESH)
        return;
    assert_int_equal(zmtp_next(z, in, sizeof BOTH - 1, &used, &want, &f, &why),
                     ZMTP_GREETED);
    assert_int_equal(used, ZMTP_GREETING_BYTES);
    if (from == GREETED)
        return;
    assert_int_equal(
        zmtp_next(z, in + used, sizeof BOTH - 1 - used, &used, &want, &f, &why),
        ZMTP_READY);
}

static const struct {
    const char *why;
    enum from from;
    const uint8_t *in;
    size_t n;
    enum zmtp_event want;
} ROWS[] = {
    {"nothing yet", FRESH, BYTES(""), ZMTP_NEED},
    {"half a greeting", FRESH, BYTES("\xff\0\0\0\0\0\0\0\x01\x7f\x03"), ZMTP_NEED},
    {"a greeting of 3.1", FRESH, BYTES(GREETING("\x03", "NULL")), ZMTP_GREETED},
    {"a greeting of 4.1 is a newer peer, which must speak as we do", FRESH,
     BYTES(GREETING("\x04", "NULL")), ZMTP_GREETED},
    {"an HTTP request", FRESH, BYTES("GET / HTTP/1.1\r\n"), ZMTP_BAD},
    {"one wrong byte is enough", FRESH, BYTES("G"), ZMTP_BAD},
    {"the tenth byte", FRESH, BYTES("\xff\0\0\0\0\0\0\0\x01\x7e"), ZMTP_BAD},
    {"ZMTP 2", FRESH, BYTES("\xff\0\0\0\0\0\0\0\x01\x7f\x01"), ZMTP_BAD},
    {"CURVE", FRESH, BYTES(GREETING("\x03", "CURV")), ZMTP_BAD},
    {"NULLX", FRESH, BYTES("\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULLX"), ZMTP_BAD},
    {"READY of a DEALER", GREETED, BYTES(DEALER), ZMTP_READY},
    {"READY in a long frame", GREETED,
     BYTES("\x06\0\0\0\0\0\0\0\x1c\x05READY\x0bSOCKET-TYPE\0\0\0\x06"
           "DEALER"),
     ZMTP_READY},
    {"READY of a REQ", GREETED, BYTES("\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ"),
     ZMTP_BAD},
    {"READY with no socket type", GREETED, BYTES("\x04\x06\x05READY"), ZMTP_BAD},
    {"READY with two socket types", GREETED,
     BYTES("\x04\x32\x05READY\x0bSocket-Type\0\0\0\x06"
           "DEALER\x0bSocket-Type\0\0\0\x06"
           "DEALER"),
     ZMTP_BAD},
    {"READY whose value is longer than the command", GREETED,
     BYTES("\x04\x1c\x05READY\x0bSocket-Type\xff\xff\xff\xff"
           "DEALER"),
     ZMTP_BAD},
    {"READY whose name is empty", GREETED, BYTES("\x04\x0b\x05READY\0\0\0\0\0"),
     ZMTP_BAD},
    {"a message before READY", GREETED, BYTES("\x00\x01x"), ZMTP_BAD},
    {"PING before READY", GREETED, BYTES("\x04\x07\x04PING\0\x05"), ZMTP_BAD},
    {"ERROR instead of READY", GREETED,
     BYTES("\x04\x09\x05"
           "ERROR\x02no"),
     ZMTP_REFUSED},
    {"half a header", LIVE, BYTES("\x02\0\0\0"), ZMTP_NEED},
    {"half a body", LIVE,
     BYTES("\x00\x05"
           "abc"),
     ZMTP_NEED},
    {"a message", LIVE,
     BYTES("\x00\x03"
           "abc"),
     ZMTP_MESSAGE},
    {"an empty message", LIVE, BYTES("\x00\x00"), ZMTP_MESSAGE},
    {"a part of a message", LIVE,
     BYTES("\x01\x03"
           "abc"),
     ZMTP_MESSAGE},
    {"a message in a long frame", LIVE,
     BYTES("\x02\0\0\0\0\0\0\0\x03"
           "abc"),
     ZMTP_MESSAGE},
    {"a message as long as allowed is waited for", LIVE,
     BYTES("\x02\0\0\0\0\0\0\x03\xe8"), ZMTP_NEED},
    {"a byte longer is refused from its header", LIVE, BYTES("\x02\0\0\0\0\0\0\x03\xe9"),
     ZMTP_BAD},
    {"2^64-1 bytes", LIVE, BYTES("\x02\xff\xff\xff\xff\xff\xff\xff\xff"), ZMTP_BAD},
    {"a command longer than 1024", LIVE, BYTES("\x06\0\0\0\0\0\0\x04\x01"), ZMTP_BAD},
    {"a reserved flag", LIVE, BYTES("\x08\x01x"), ZMTP_BAD},
    {"a command in parts", LIVE, BYTES("\x05\x01x"), ZMTP_BAD},
    {"a command without a name", LIVE, BYTES("\x04\x01\x00"), ZMTP_BAD},
    {"a command of no bytes", LIVE, BYTES("\x04\x00"), ZMTP_BAD},
    {"a name longer than its command", LIVE, BYTES("\x04\x03\x05PI"), ZMTP_BAD},
    {"PING", LIVE,
     BYTES("\x04\x0a\x04PING\0\x05"
           "ctx"),
     ZMTP_PING},
    {"PING without its time", LIVE, BYTES("\x04\x05\x04PING"), ZMTP_BAD},
    {"PONG", LIVE, BYTES("\x04\x05\x04PONG"), ZMTP_PONG},
    {"SUBSCRIBE", LIVE, BYTES("\x04\x0a\x09SUBSCRIBE"), ZMTP_IGNORE},
    {"READY twice", LIVE, BYTES(DEALER), ZMTP_BAD},
    {"ERROR whose reason is longer than it", LIVE,
     BYTES("\x04\x07\x05"
           "ERROR\x01"),
     ZMTP_BAD},
};

static void every_row_means_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct zmtp z;
        struct zmtp_frame f;
        const char *why = NULL;
        size_t used, want;
        uint8_t *in =
            malloc(ROWS[i].n + 1); /* of its exact size, so that a byte too far is seen */
        enum zmtp_event got;

        memcpy(in, ROWS[i].in, ROWS[i].n);
        in = realloc(in, ROWS[i].n > 0 ? ROWS[i].n : 1);
        reach(&z, ROWS[i].from);
        got = zmtp_next(&z, in, ROWS[i].n, &used, &want, &f, &why);
        if (got != ROWS[i].want)
            fail_msg("%s: got %d (%s), want %d", ROWS[i].why, (int)got, why ? why : "",
                     (int)ROWS[i].want);
        if ((got == ZMTP_BAD) != (why != NULL))
            fail_msg("%s: BAD and its reason go together", ROWS[i].why);
        if (got == ZMTP_NEED && (used != 0 || want <= ROWS[i].n))
            fail_msg("%s: NEED must want more", ROWS[i].why);
        free(in);
    }
}

static void a_conversation_cut_anywhere_gives_the_same_events(void **state)
{
    static const char ALL[] = GREETING("\x03", "NULL") DEALER "\x00\x03"
                                                              "abc"
                                                              "\x04\x07\x04PING\0\x05"
                                                              "\x01\x00";
    static const enum zmtp_event WANT[] = {ZMTP_GREETED, ZMTP_READY, ZMTP_MESSAGE,
                                           ZMTP_PING, ZMTP_MESSAGE};
    struct zmtp z;
    size_t from = 0, events = 0;

    (void)state;
    zmtp_init(&z, ZMTP_SERVER, 1000);
    for (size_t to = 0; to < sizeof ALL; to++) {
        struct zmtp_frame f;
        const char *why;
        size_t used, want;
        enum zmtp_event e;

        while ((e = zmtp_next(&z, (const uint8_t *)ALL + from, to - from, &used, &want,
                              &f, &why)) != ZMTP_NEED) {
            assert_true(events < sizeof WANT / sizeof *WANT);
            assert_int_equal(e, WANT[events++]);
            from += used;
        }
        assert_true(want > to - from);
    }
    assert_int_equal(events, sizeof WANT / sizeof *WANT);
    assert_int_equal(from, sizeof ALL - 1);
}

static void what_we_say_each_side_of_us_understands(void **state)
{
    struct zmtp server, client;
    struct zmtp_frame f;
    uint8_t out[256];
    const char *why;
    size_t n, used, want;

    (void)state;
    zmtp_init(&server, ZMTP_SERVER, 1000);
    zmtp_init(&client, ZMTP_CLIENT, 1000);
    n = zmtp_greeting(&client, out);
    assert_int_equal(zmtp_next(&server, out, n, &used, &want, &f, &why), ZMTP_GREETED);
    n = zmtp_greeting(&server, out);
    assert_int_equal(zmtp_next(&client, out, n, &used, &want, &f, &why), ZMTP_GREETED);
    n = zmtp_ready(&client, out);
    assert_int_equal(zmtp_next(&server, out, n, &used, &want, &f, &why), ZMTP_READY);
    assert_int_equal(used, n);
    n = zmtp_ready(&server, out);
    assert_int_equal(zmtp_next(&client, out, n, &used, &want, &f, &why), ZMTP_READY);
    n = zmtp_ping(600, out);
    assert_int_equal(zmtp_next(&client, out, n, &used, &want, &f, &why), ZMTP_PING);
    assert_int_equal(f.body_len, 0);
    n = zmtp_error("no", out);
    assert_int_equal(zmtp_next(&client, out, n, &used, &want, &f, &why), ZMTP_REFUSED);
    assert_int_equal(f.body_len, 2);
    assert_int_equal(zmtp_next(&client, out, n, &used, &want, &f, &why), ZMTP_BAD);
}

static void a_pong_carries_at_most_sixteen_bytes_of_context(void **state)
{
    static const uint8_t CONTEXT[] = "0123456789abcdefghij";
    struct zmtp z;
    struct zmtp_frame ping = {.body = CONTEXT, .body_len = 20}, f;
    uint8_t out[256];
    const char *why;
    size_t n, used, want;

    (void)state;
    reach(&z, LIVE);
    n = zmtp_pong(&ping, out);
    assert_int_equal(zmtp_next(&z, out, n, &used, &want, &f, &why), ZMTP_PONG);
    assert_int_equal(f.body_len, 16);
    assert_memory_equal(f.body, CONTEXT, 16);
}

static void only_a_message_past_the_limit_is_called_too_long(void **state)
{
    struct zmtp z;
    struct zmtp_frame f;
    const char *why;
    size_t used, want;

    (void)state;
    reach(&z, LIVE);
    assert_int_equal(
        zmtp_next(&z, BYTES("\x02\0\0\0\0\0\0\x03\xe9"), &used, &want, &f, &why),
        ZMTP_BAD);
    assert_true(z.too_long);
    reach(&z, LIVE);
    assert_int_equal(
        zmtp_next(&z, BYTES("\x06\0\0\0\0\0\0\x04\x01"), &used, &want, &f, &why),
        ZMTP_BAD);
    assert_false(z.too_long);
}

static void headers_are_short_up_to_255_bytes(void **state)
{
    static const size_t SIZES[] = {0, 1, 255, 256, 1000};
    struct zmtp z;

    (void)state;
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        uint8_t frame[ZMTP_HEADER_MAX + 1000] = {0};
        struct zmtp_frame f;
        const char *why;
        size_t used, want, n = zmtp_header(SIZES[i], frame);

        assert_int_equal(n, SIZES[i] <= 255 ? 2 : ZMTP_HEADER_MAX);
        reach(&z, LIVE);
        assert_int_equal(zmtp_next(&z, frame, n + SIZES[i], &used, &want, &f, &why),
                         ZMTP_MESSAGE);
        assert_int_equal(used, n + SIZES[i]);
        assert_int_equal(f.body_len, SIZES[i]);
        assert_ptr_equal(f.body, frame + n);
    }
}

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(every_row_means_what_it_says),
        cmocka_unit_test(a_conversation_cut_anywhere_gives_the_same_events),
        cmocka_unit_test(what_we_say_each_side_of_us_understands),
        cmocka_unit_test(a_pong_carries_at_most_sixteen_bytes_of_context),
        cmocka_unit_test(only_a_message_past_the_limit_is_called_too_long),
        cmocka_unit_test(headers_are_short_up_to_255_bytes),
    };

    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
