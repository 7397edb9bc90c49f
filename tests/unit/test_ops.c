/* Metrics, health, expiry, notification. The sandbox is tests/e2e/30-ops: it cannot be taken off again. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/ops/expiry.h"
#include "broker/ops/metrics.h"
#include "broker/ops/notify.h"
#include "broker/ops/page.h"

enum { NOW = 1000000, DAY = 86400, LATER = NOW + DAY };

static void healthy(struct metrics *m)
{
    *m = (struct metrics){0};
    metrics_set(m, METRIC_CRL_ENDS, LATER);
    metrics_set(m, METRIC_CERT_ENDS, LATER);
}

/* ---------------------------------------------------------------- the page */

/* The whole answer, to be freed. */
static char *ask(const struct metrics *m, struct slice request)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    assert_non_null(out);
    page_answer(request, m, NOW, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void every_request_gets_the_answer_written_beside_it(void **state)
{
    static const struct {
        const char *why, *request, *status;
    } ROWS[] = {
        {"the counters", "GET /metrics HTTP/1.0\r\n\r\n", "200 OK"},
        {"curl's version", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"},
        {"alive", "GET /livez HTTP/1.0\r\n\r\n", "200 OK"},
        {"ready", "GET /readyz HTTP/1.0\r\n\r\n", "200 OK"},
        {"another page", "GET / HTTP/1.0\r\n\r\n", "404 Not Found"},
        {"a page that begins like one", "GET /metricsx HTTP/1.0\r\n\r\n",
         "404 Not Found"},
        {"half a page", "GET /metric HTTP/1.0\r\n\r\n", "404 Not Found"},
        {"another method", "POST /metrics HTTP/1.0\r\n\r\n", "405 Method Not Allowed"},
        {"no version", "GET /metrics\r\n\r\n", "400 Bad Request"},
        {"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", "400 Bad Request"},
        {"nothing", "", "400 Bad Request"},
        {"no line", "GET /metrics HTTP/1.0", "400 Bad Request"},
        {"spaces", "   \n\n", "400 Bad Request"},
        {"an empty line", "\r\n\r\n", "400 Bad Request"},
    };
    struct metrics *m = test_malloc(sizeof *m);

    (void)state;
    healthy(m);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char *text = ask(m, slice_text(ROWS[i].request)), want[64];

        snprintf(want, sizeof want, "HTTP/1.0 %s\r\n", ROWS[i].status);
        if (strncmp(text, want, strlen(want)) != 0)
            fail_msg("%s: %s", ROWS[i].why, text);
        assert_non_null(strstr(text, "\r\n\r\n"));
        free(text);
    }
    test_free(m);
}

static void no_bytes_of_a_peer_crash_the_page(void **state)
{
    struct metrics *m = test_malloc(sizeof *m);
    unsigned seed = 1;

    (void)state;
    healthy(m);
    for (int round = 0; round < 5000; round++) {
        static const char START[] = "GET /livez HTTP/1.0\r\n\r\n";
        uint8_t bytes[64];
        size_t n = (size_t)rand_r(&seed) % sizeof bytes;

        memcpy(bytes, START, sizeof START);
        for (int i = 0; i < 3; i++)
            bytes[(size_t)rand_r(&seed) % sizeof START] = (uint8_t)rand_r(&seed);
        uint8_t *exact = test_malloc(n + 1); /* so that a byte too far is seen */

        memcpy(exact, bytes, n);
        free(ask(m, slice(exact, n)));
        test_free(exact);
    }
    free(ask(m, slice(NULL, 0)));
    test_free(m);
}

static void ready_means_that_a_submit_could_succeed(void **state)
{
    struct metrics *m = test_malloc(sizeof *m);

    (void)state;
    healthy(m);
    assert_null(page_not_ready(m, NOW));
    assert_null(page_not_ready(m, LATER - 1));
    metrics_set(m, METRIC_STORE_FULL, 1);
    assert_string_equal(page_not_ready(m, NOW), "the store is full");
    healthy(m);
    metrics_set(m, METRIC_CRL_ENDS, NOW);
    assert_string_equal(page_not_ready(m, NOW), "a revocation list has ended");
    char *text = ask(m, slice_text("GET /readyz HTTP/1.0\r\n\r\n"));

    assert_int_equal(strncmp(text, "HTTP/1.0 503 ", 13), 0);
    free(text);
    healthy(m);
    metrics_set(m, METRIC_CERT_ENDS, NOW);
    assert_string_equal(page_not_ready(m, NOW), "the broker's certificate has ended");
    test_free(m);
}

static void alive_means_that_no_loop_is_stuck(void **state)
{
    struct metrics *m = test_malloc(sizeof *m);

    (void)state;
    healthy(m);
    assert_true(page_alive(m));
    metrics_busy(m, 0);
    metrics_busy(m, 1);
    assert_true(page_alive(m));
    m->busy_since_ms[1] -= HEALTH_TURN_MS + 1000;
    assert_false(page_alive(m));
    metrics_idle(m, 1);
    assert_true(page_alive(m));
    metrics_busy(m, METRICS_LOOPS); /* out of the table: nothing happens */
    metrics_idle(m, METRICS_LOOPS);
    test_free(m);
}

/* ---------------------------------------------------------------- the socket */

struct server {
    struct metrics metrics;
    struct page *page;
    char folder[64], path[80];
};

static int start_server(void **state)
{
    struct server *s = test_calloc(1, sizeof *s);
    char why[256];

    healthy(&s->metrics);
    metrics_set(&s->metrics, METRIC_CRL_ENDS, INT32_MAX);
    metrics_set(&s->metrics, METRIC_CERT_ENDS, INT32_MAX);
    strcpy(s->folder, "/tmp/liaison-ops-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof s->path, "%s/metrics", s->folder);
    assert_int_equal(page_open(s->path, &s->metrics, &s->page, why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(page_start(s->page), LIAISON_OK);
    *state = s;
    return 0;
}

static int stop_server(void **state)
{
    struct server *s = *state;

    page_close(s->page);
    unlink(s->path);
    rmdir(s->folder);
    test_free(s);
    return 0;
}

static int dial(const struct server *s)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "%s", s->path);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Sends, reads to the end; true if the answer begins so. */
static bool says(const struct server *s, const char *request, size_t n, const char *want)
{
    char answer[4096];
    size_t have = 0;
    ssize_t got;
    int fd = dial(s);

    for (size_t sent = 0; sent < n; sent++) /* one byte at a time */
        if (send(fd, request + sent, 1, MSG_NOSIGNAL) != 1)
            break;
    while (have < sizeof answer - 1 &&
           (got = recv(fd, answer + have, sizeof answer - 1 - have, 0)) > 0)
        have += (size_t)got;
    answer[have] = '\0';
    close(fd);
    return strncmp(answer, want, strlen(want)) == 0;
}

static void the_socket_answers_and_nobody_else_may_ask(void **state)
{
    const struct server *s = *state;
    static const char GET[] = "GET /readyz HTTP/1.0\r\n\r\n";
    struct stat st;

    assert_true(says(s, GET, sizeof GET - 1, "HTTP/1.0 200 OK\r\n"));
    assert_int_equal(stat(s->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
}

static void a_peer_that_says_nothing_holds_up_nobody_for_long(void **state)
{
    const struct server *s = *state;
    static const char GET[] = "GET /livez HTTP/1.0\r\n\r\n";
    int silent = dial(s), gone = dial(s);

    close(gone);
    assert_true(says(s, GET, sizeof GET - 1, "HTTP/1.0 200 OK\r\n"));
    close(silent);
}

static void a_request_of_more_than_a_kilobyte_is_refused(void **state)
{
    const struct server *s = *state;
    char request[3000] = "GET /livez HTTP/1.0\r\nX: ";

    memset(request + 24, 'x', sizeof request - 24);
    memcpy(request + sizeof request - 4, "\r\n\r\n", 4);
    assert_true(says(s, request, sizeof request, "HTTP/1.0 400 Bad Request\r\n"));
}

static void a_socket_left_over_is_replaced_one_in_use_and_a_file_are_not(void **state)
{
    struct server *s = *state;
    struct page *second = NULL;
    char why[256], path[100];

    assert_int_equal(page_open(s->path, &s->metrics, &second, why, sizeof why),
                     LIAISON_CONFIG);
    assert_non_null(strstr(why, s->path));
    page_close(s->page); /* the name stays */
    assert_int_equal(page_open(s->path, &s->metrics, &s->page, why, sizeof why),
                     LIAISON_OK);
    snprintf(path, sizeof path, "%s/file", s->folder);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fclose(f);
    assert_int_equal(page_open(path, &s->metrics, &second, why, sizeof why),
                     LIAISON_CONFIG);
    assert_int_equal(unlink(path), 0); /* it is still there */
}

/* ---------------------------------------------------------------- metrics */

static void everything_counted_is_printed(void **state)
{
    struct metrics *m = test_malloc(sizeof *m);

    (void)state;
    healthy(m);
    for (int i = 0; i < METRIC__COUNT; i++)
        metrics_set(m, (enum metric)i, 7000 + (uint64_t)i);
    metrics_add(m, METRIC_SESSIONS, -1);
    metrics_failed(m, FAILURE_STRANGER, LIAISON_CERTIFICATE, 3);
    metrics_failed(m, FAILURE_REFUSED, LIAISON_BUSY, 4);
    metrics_failed(m, FAILURE_CUT, LIAISON_REVOKED, 5);
    metrics_failed(m, FAILURE_CUT, (enum liaison_code)METRICS_CODES, 5);
    metrics_call(m, 20, LIAISON_OK);
    metrics_call(m, 20, LIAISON_FULL);
    metrics_call(m, METRICS_CALLS, LIAISON_OK);
    metrics_call(NULL, 20, LIAISON_OK);
    char *text = ask(m, slice_text("GET /metrics HTTP/1.0\r\n\r\n"));
    static const char *const WANT[] = {
        "\nliaison_sessions 6999\n",
        "\nliaison_handshakes_failed_total{code=\"CERTIFICATE\"} 3\n",
        "\nliaison_peers_refused_total{code=\"BUSY\"} 4\n",
        "\nliaison_sessions_cut_total{code=\"REVOKED\"} 5\n",
        "\nliaison_calls_total{call=\"submit\",outcome=\"OK\"} 1\n",
        "\nliaison_calls_total{call=\"submit\",outcome=\"FULL\"} 1\n",
    };

    for (size_t i = 0; i < sizeof WANT / sizeof *WANT; i++)
        if (strstr(text, WANT[i]) == NULL)
            fail_msg("%s is missing in %s", WANT[i], text);
    for (int i = 1; i < METRIC__COUNT; i++) {
        char value[16];

        snprintf(value, sizeof value, " %d\n", 7000 + i);
        if (strstr(text, value) == NULL)
            fail_msg("metric %d is missing", i);
    }
    free(text);
    test_free(m);
}

static void *count_up(void *arg)
{
    for (int i = 0; i < 20000; i++)
        metrics_call(arg, 20, LIAISON_OK);
    return NULL;
}

static void two_threads_lose_no_count(void **state)
{
    struct metrics *m = test_calloc(1, sizeof *m);
    pthread_t other;

    (void)state;
    assert_int_equal(pthread_create(&other, NULL, count_up, m), 0);
    count_up(m);
    pthread_join(other, NULL);
    assert_int_equal(m->calls[20][LIAISON_OK], 40000);
    test_free(m);
}

/* ---------------------------------------------------------------- expiry */

static void an_end_is_announced_once_for_every_step(void **state)
{
    static const int64_t STEPS[] = {30 * DAY, 14 * DAY, 7 * DAY, DAY};
    static const struct {
        int64_t left;
        enum expiry_word word;
        int64_t next;
    } ROWS[] = {
        {40 * DAY, EXPIRY_QUIET, 3600}, {30 * DAY + 10, EXPIRY_QUIET, 10},
        {30 * DAY, EXPIRY_SOON, 3600},  {29 * DAY, EXPIRY_QUIET, 3600},
        {14 * DAY, EXPIRY_SOON, 3600},  {13 * DAY, EXPIRY_QUIET, 3600},
        {DAY, EXPIRY_SOON, 3600}, /* the week was slept through */
        {100, EXPIRY_QUIET, 100},       {0, EXPIRY_ENDED, 60},
        {-60, EXPIRY_ENDED, 60},
    };
    struct expiry e = {.steps = STEPS, .n_steps = 4};

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        int64_t next;

        assert_int_equal(expiry_look(&e, ROWS[i].left, &next), ROWS[i].word);
        assert_int_equal(next, ROWS[i].next);
    }
    expiry_renewed(&e);
    int64_t next;

    assert_int_equal(expiry_look(&e, 2 * DAY, &next), EXPIRY_SOON); /* and at start */
    assert_int_equal(expiry_look(&e, 2 * DAY, &next), EXPIRY_QUIET);
}

/* ---------------------------------------------------------------- notification */

static void the_service_manager_hears_what_is_said(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    socklen_t len = sizeof at;
    char got[64] = "", name[120], pid[16];
    struct notify n;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)state;
    /* the kernel picks an abstract name */
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at.sun_family), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(name, sizeof name, "@%.*s", (int)(len - sizeof at.sun_family - 1),
             at.sun_path + 1);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "10000000", 1);
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("WATCHDOG_PID", pid, 1);
    notify_open(&n);
    assert_int_equal(n.watchdog_ms, 5000);
    notify_tell(&n, "READY=1");
    assert_int_equal(recv(fd, got, sizeof got, 0), 7);
    assert_memory_equal(got, "READY=1", 7);
    notify_reloading(&n);
    assert_true(recv(fd, got, sizeof got, 0) > 0);
    assert_memory_equal(got, "RELOADING=1\nMONOTONIC_USEC=", 27);
    close(fd);
    notify_tell(&n, "STOPPING=1"); /* nobody listens: no harm */
    notify_close(&n);
    setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
    setenv("NOTIFY_SOCKET", "nonsense", 1);
    notify_open(&n);
    assert_int_equal(n.fd, -1);
    assert_int_equal(n.watchdog_ms, 0);
    notify_tell(&n, "READY=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_gets_the_answer_written_beside_it),
        cmocka_unit_test(no_bytes_of_a_peer_crash_the_page),
        cmocka_unit_test(ready_means_that_a_submit_could_succeed),
        cmocka_unit_test(alive_means_that_no_loop_is_stuck),
        cmocka_unit_test_setup_teardown(the_socket_answers_and_nobody_else_may_ask,
                                        start_server, stop_server),
        cmocka_unit_test_setup_teardown(a_peer_that_says_nothing_holds_up_nobody_for_long,
                                        start_server, stop_server),
        cmocka_unit_test_setup_teardown(a_request_of_more_than_a_kilobyte_is_refused,
                                        start_server, stop_server),
        cmocka_unit_test_setup_teardown(
            a_socket_left_over_is_replaced_one_in_use_and_a_file_are_not, start_server,
            stop_server),
        cmocka_unit_test(everything_counted_is_printed),
        cmocka_unit_test(two_threads_lose_no_count),
        cmocka_unit_test(an_end_is_announced_once_for_every_step),
        cmocka_unit_test(the_service_manager_hears_what_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
