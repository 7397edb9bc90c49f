/* The operators' socket, with a real peer on it; and what an erasure's request is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/operate.h"
#include "broker/ops/control.h"
#include "broker/ops/log.h"

struct rig {
    char dir[64], path[80], why[256];
    struct control *control;
    uint64_t ticket; /* of the last `later` */
    int64_t now_ms;
};

static void run_echo(void *arg, struct control *c, uint64_t ticket, char *words)
{
    (void)arg;
    control_say(c, ticket, "you said: %s", words);
    control_end(c, ticket, LIAISON_OK, NULL);
}

static void run_fail(void *arg, struct control *c, uint64_t ticket, char *words)
{
    (void)arg, (void)words;
    control_end(c, ticket, LIAISON_NOT_FOUND, "there is no such thing");
}

static void run_later(void *arg, struct control *c, uint64_t ticket, char *words)
{
    struct rig *r = arg;

    (void)c, (void)words;
    r->ticket = ticket;
}

static const struct control_command COMMANDS[] = {
    {"echo", run_echo}, {"fail", run_fail}, {"later", run_later}};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    log_level(LOG_ERROR_ + 1); /* who is refused is meant to be */
    snprintf(r->dir, sizeof r->dir, "/tmp/test_control.XXXXXX");
    if (mkdtemp(r->dir) == NULL)
        return -1;
    snprintf(r->path, sizeof r->path, "%s/socket", r->dir);
    if (control_open(r->path, COMMANDS, 3, r, &r->control, r->why, sizeof r->why) !=
        LIAISON_OK)
        return -1;
    r->now_ms = 1;
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    control_close(r->control);
    unlink(r->path);
    rmdir(r->dir);
    free(r);
    return 0;
}

static int reach(const struct rig *r)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(at.sun_path, r->path, strlen(r->path));
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void step(struct rig *r)
{
    control_step(r->control, r->now_ms);
}

/* What comes until the end, while the socket's owner turns; "" if nothing does. */
static const char *read_end(struct rig *r, int fd)
{
    static char text[4096];
    size_t n = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        step(r);
        if (poll(&p, 1, 10) == 0)
            continue;
        ssize_t got = read(fd, text + n, sizeof text - 1 - n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    text[n] = '\0';
    close(fd);
    return text;
}

static const char *ask(struct rig *r, const char *bytes, size_t n)
{
    int fd = reach(r);

    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        step(r);
        if (sent < 0 && errno != EAGAIN)
            break; /* it has had enough */
        bytes += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
    return read_end(r, fd);
}

static const char *ask_line(struct rig *r, const char *line)
{
    return ask(r, line, strlen(line));
}

static void
a_line_is_answered_with_lines_the_last_of_which_says_how_it_ended(void **state)
{
    struct rig *r = *state;

    assert_string_equal(ask_line(r, "echo a b\n"), "you said: a b\nok\n");
    assert_string_equal(ask_line(r, "echo\n"), "you said: \nok\n");
    assert_string_equal(ask_line(r, "fail\n"),
                        "error NOT_FOUND there is no such thing\n");
    assert_string_equal(ask_line(r, "ech\n"), "error USAGE there is no such command\n");
    assert_string_equal(ask_line(r, "\n"), "error USAGE there is no such command\n");
}

static void what_is_no_line_is_not_answered_and_the_next_peer_is(void **state)
{
    static char long_line[CONTROL_REQUEST_MAX + 2];
    struct rig *r = *state;

    memset(long_line, 'x', sizeof long_line);
    long_line[sizeof long_line - 1] = '\n';
    assert_string_equal(ask_line(r, "echo 1\necho 2\n"), "");
    assert_string_equal(ask(r, "echo \0x\n", 8), "");
    assert_string_equal(ask(r, long_line, sizeof long_line), "");
    int fd = reach(r);

    step(r);
    assert_int_equal(send(fd, "echo", 4, 0), 4); /* no end, and then gone */
    step(r);
    close(fd);
    step(r);
    assert_string_equal(ask_line(r, "echo on\n"), "you said: on\nok\n");
}

static void a_peer_that_says_nothing_is_gone_at_its_deadline(void **state)
{
    struct rig *r = *state;
    int fd = reach(r);
    char byte;

    step(r);
    assert_int_equal(control_until_ms(r->control), r->now_ms + CONTROL_TALK_MS);
    r->now_ms += CONTROL_TALK_MS;
    step(r);
    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
    assert_string_equal(ask_line(r, "echo on\n"), "you said: on\nok\n");
}

static void what_ends_later_is_told_to_whom_it_was_asked_by_only(void **state)
{
    struct rig *r = *state;
    int fd = reach(r);

    assert_int_equal(send(fd, "later\n", 6, 0), 6);
    step(r);
    uint64_t first = r->ticket;

    assert_true(first != 0);
    assert_int_equal(control_events(r->control), 0);
    r->now_ms += CONTROL_WORK_MS;
    assert_string_equal(
        read_end(r, fd),
        "error TIMEOUT it takes too long; it may still happen: ask again\n");
    fd = reach(r);
    assert_int_equal(send(fd, "later\n", 6, 0), 6);
    step(r);
    control_say(r->control, first, "not yours");
    control_end(r->control, first, LIAISON_OK, NULL);
    control_say(r->control, r->ticket, "yours");
    control_end(r->control, r->ticket, LIAISON_OK, NULL);
    control_end(r->control, r->ticket, LIAISON_OK, NULL); /* has ended */
    assert_string_equal(read_end(r, fd), "yours\nok\n");
}

static void a_peer_of_another_user_is_not_answered(void **state)
{
    struct rig *r = *state;
    struct stat st;

    assert_int_equal(stat(r->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    if (geteuid() != 0)
        return; /* nobody else to be */
    assert_int_equal(chmod(r->path, 0666) | chmod(r->dir, 0711), 0);
    int ends[2], status;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();

    if (child == 0) {
        char byte = 0;

        if (setuid(65534) != 0)
            _exit(2);
        int fd = reach(r);

        if (write(fd, "echo x\n", 7) != 7 || write(ends[1], &byte, 1) != 1)
            _exit(3);
        _exit(read(fd, &byte, 1) > 0);
    }
    char byte;

    assert_int_equal(read(ends[0], &byte, 1), 1);
    step(r);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_dead_socket_is_taken_over_and_a_live_one_is_not(void **state)
{
    struct rig *r = *state;
    struct control *second = NULL;

    assert_int_equal(
        control_open(r->path, COMMANDS, 3, r, &second, r->why, sizeof r->why),
        LIAISON_CONFIG);
    assert_non_null(strstr(r->why, r->path));
    control_close(r->control);
    r->control = NULL;
    assert_int_equal(
        control_open(r->path, COMMANDS, 3, r, &r->control, r->why, sizeof r->why),
        LIAISON_OK);
    assert_string_equal(ask_line(r, "echo on\n"), "you said: on\nok\n");
}

/* ------------------------------------------------------------ control_ask() */

struct serving {
    struct rig *rig;
    int stop[2];
};

static void *serve(void *arg)
{
    struct serving *s = arg;

    for (;;) {
        struct pollfd fds[] = {{.fd = control_fd(s->rig->control),
                                .events = control_events(s->rig->control)},
                               {.fd = s->stop[0], .events = POLLIN}};

        poll(fds, 2, -1);
        if (fds[1].revents != 0)
            return NULL;
        step(s->rig);
    }
}

static void the_other_end_prints_the_lines_and_says_how_it_ended(void **state)
{
    struct rig *r = *state;
    struct serving s = {.rig = r};
    pthread_t thread;
    char *text = NULL, why[256];
    size_t n;
    FILE *out = open_memstream(&text, &n);

    assert_int_equal(pipe(s.stop), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
    assert_int_equal(control_ask(r->path, slice_text("echo 1"), out, why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(control_ask(r->path, slice_text("fail"), out, why, sizeof why),
                     LIAISON_NOT_FOUND);
    assert_string_equal(why, "there is no such thing");
    assert_int_equal(control_ask(r->path, slice_text("a\nb"), out, why, sizeof why),
                     LIAISON_CLOSED);
    assert_int_equal(write(s.stop[1], "", 1), 1);
    pthread_join(thread, NULL);
    control_close(r->control);
    r->control = NULL;
    assert_int_equal(control_ask(r->path, slice_text("echo 2"), out, why, sizeof why),
                     LIAISON_UNREACHABLE);
    fclose(out);
    assert_string_equal(text, "you said: 1\n");
    free(text);
    close(s.stop[0]);
    close(s.stop[1]);
}

/* ------------------------------------------------------------ erase */

static void an_erasure_is_read_word_by_word(void **state)
{
    static const struct {
        const char *why, *words;
        size_t n, digits;
    } CASES[] = {
        {"whole", "law 4711 fr/lyon/prison/01890a5d-ac96-774b-bcce-b302099a8057", 1, 32},
        {"no dashes", "law 4711 fr/lyon/prison/01890a5dac96774bbcceb302099a8057", 1, 32},
        {"short", "law 4711 fr/a/01890a5d", 1, 8},
        {"odd", "law 4711 fr/a/01890a5d-a", 1, 9},
        {"two", "law 4711 fr/a/01890a5d fr/b/01890a5e", 2, 8},
        {"too short", "law 4711 fr/a/01890a5", 0, 0},
        {"too long", "law 4711 fr/a/01890a5dac96774bbcceb302099a80570", 0, 0},
        {"capitals", "law 4711 fr/a/01890A5D", 0, 0},
        {"no name", "law 4711 /01890a5d", 0, 0},
        {"no slash", "law 4711 01890a5d", 0, 0},
        {"no referral", "law 4711", 0, 0},
        {"no referral either", "law 4711 ", 0, 0},
        {"two spaces", "law  4711 fr/a/01890a5d", 0, 0},
        {"space behind", "law 4711 fr/a/01890a5d ", 0, 0},
        {"no basis", "LAW 4711 fr/a/01890a5d", 0, 0},
        {"no officer", "law 47/11 fr/a/01890a5d", 0, 0},
        {"nothing", "", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct arena *a = arena_new();
        char *words = strdup(CASES[i].words);
        const char *why = NULL;
        const struct erase *e = operate_read_erase(a, words, &why);

        if ((e == NULL ? 0 : e->n) != CASES[i].n ||
            (e != NULL && e->list[0].digits != CASES[i].digits) ||
            (e == NULL && why == NULL))
            fail_msg("%s", CASES[i].why);
        free(words);
        arena_free(a);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_line_is_answered_with_lines_the_last_of_which_says_how_it_ended),
        TEST(what_is_no_line_is_not_answered_and_the_next_peer_is),
        TEST(a_peer_that_says_nothing_is_gone_at_its_deadline),
        TEST(what_ends_later_is_told_to_whom_it_was_asked_by_only),
        TEST(a_peer_of_another_user_is_not_answered),
        TEST(a_dead_socket_is_taken_over_and_a_live_one_is_not),
        TEST(the_other_end_prints_the_lines_and_says_how_it_ended),
        cmocka_unit_test(an_erasure_is_read_word_by_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
