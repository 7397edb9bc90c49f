#include "broker/ops/page.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/ops/local.h"
#include "broker/ops/log.h"
#include "proto/err.h"

enum { REQUEST_BYTES = 1024, PEER_MS = 2000, BACKLOG = 8, PAUSE_MS = 100 };

struct page {
    const struct metrics *metrics;
    int listener, bell; /* bell: rung by page_close */
    pthread_t thread;
    bool started;
};

/* ---------------------------------------------------------------- health */

bool page_alive(const struct metrics *m)
{
    return metrics_longest_turn_ms(m) <= HEALTH_TURN_MS;
}

const char *page_not_ready(const struct metrics *m, int64_t now_unix)
{
    if (metrics_get(m, METRIC_STORE_FULL) != 0)
        return "the store is full";
    if ((int64_t)metrics_get(m, METRIC_CRL_ENDS) <= now_unix)
        return "a revocation list has ended";
    if ((int64_t)metrics_get(m, METRIC_CERT_ENDS) <= now_unix)
        return "the broker's certificate has ended";
    return NULL;
}

/* ---------------------------------------------------------------- answers */

static void put(FILE *out, const char *status, const char *type, const char *body,
                size_t n)
{
    fprintf(out,
            "HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            status, type, n);
    fwrite(body, 1, n, out);
}

static void put_text(FILE *out, const char *status, const char *text)
{
    char line[128];
    int n = snprintf(line, sizeof line, "%s\n", text);

    put(out, status, "text/plain; charset=utf-8", line, (size_t)n);
}

static void put_metrics(const struct metrics *m, int64_t now_unix, FILE *out)
{
    char *text = NULL;
    size_t n = 0;
    FILE *page = open_memstream(&text, &n);

    (void)now_unix;
    if (page != NULL)
        metrics_print(m, page);
    if (page == NULL || fclose(page) != 0)
        put_text(out, "503 Service Unavailable", "out of memory");
    else
        put(out, "200 OK", "text/plain; version=0.0.4; charset=utf-8", text, n);
    free(text);
}

static void put_live(const struct metrics *m, int64_t now_unix, FILE *out)
{
    bool alive = page_alive(m);

    (void)now_unix;
    put_text(out, alive ? "200 OK" : "503 Service Unavailable",
             alive ? "ok" : "a loop does not turn");
}

static void put_ready(const struct metrics *m, int64_t now_unix, FILE *out)
{
    const char *why = page_not_ready(m, now_unix);

    put_text(out, why == NULL ? "200 OK" : "503 Service Unavailable",
             why == NULL ? "ok" : why);
}

static const struct place {
    const char *path;
    void (*put)(const struct metrics *m, int64_t now_unix, FILE *out);
} PLACES[] = {
    {"/metrics", put_metrics},
    {"/livez", put_live},
    {"/readyz", put_ready},
};

/* The word at the front, up to a space; moves behind that. Empty if there is no space. */
static struct slice word(struct slice *rest)
{
    const uint8_t *space = memchr(rest->p, ' ', rest->n);
    struct slice w = slice(rest->p, space == NULL ? 0 : (size_t)(space - rest->p));

    if (space != NULL)
        *rest = slice(space + 1, rest->n - w.n - 1);
    return w;
}

static bool same(struct slice s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

void page_answer(struct slice request, const struct metrics *m, int64_t now_unix,
                 FILE *out)
{
    const uint8_t *end = request.n > 0 ? memchr(request.p, '\n', request.n) : NULL;
    struct slice line = slice(request.p, end == NULL ? 0 : (size_t)(end - request.p));
    struct slice method = line.n > 0 ? word(&line) : line,
                 path = line.n > 0 ? word(&line) : line;

    if (path.n == 0 || line.n < 7 || memcmp(line.p, "HTTP/1.", 7) != 0) {
        put_text(out, "400 Bad Request", "this is no request that ends within 1 KiB");
        return;
    }
    if (!same(method, "GET")) {
        put_text(out, "405 Method Not Allowed", "only GET");
        return;
    }
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        if (same(path, PLACES[i].path)) {
            PLACES[i].put(m, now_unix, out);
            return;
        }
    put_text(out, "404 Not Found", "there are /metrics, /livez and /readyz");
}

/* ---------------------------------------------------------------- one peer */

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False at the deadline, or when the broker ends. */
static bool ready(const struct page *p, int fd, short events, int64_t until)
{
    struct pollfd fds[] = {{.fd = fd, .events = events},
                           {.fd = p->bell, .events = POLLIN}};
    int64_t left = until - now_ms();

    return left > 0 && poll(fds, 2, (int)left) > 0 && fds[1].revents == 0 &&
           fds[0].revents != 0;
}

static bool whole(const char *request, size_t n)
{
    return memmem(request, n, "\r\n\r\n", 4) != NULL ||
           memmem(request, n, "\n\n", 2) != NULL;
}

/* Up to the empty line, the end, or the buffer's. Returns how much. */
static size_t read_request(const struct page *p, int fd, char *request, int64_t until)
{
    size_t n = 0;

    while (n < REQUEST_BYTES && !whole(request, n) && ready(p, fd, POLLIN, until)) {
        ssize_t got = recv(fd, request + n, REQUEST_BYTES - n, 0);

        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    return whole(request, n) ? n : 0;
}

static void write_all(const struct page *p, int fd, const char *text, size_t n,
                      int64_t until)
{
    while (n > 0 && ready(p, fd, POLLOUT, until)) {
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return;
        text += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
}

/* Reads off what else it sent: closing on unread bytes would take our answer from it. */
static void see_out(const struct page *p, int fd, int64_t until)
{
    char rest[REQUEST_BYTES];

    shutdown(fd, SHUT_WR);
    while (ready(p, fd, POLLIN, until) && recv(fd, rest, sizeof rest, 0) > 0)
        ;
}

static void serve(const struct page *p, int fd)
{
    char request[REQUEST_BYTES], *text = NULL;
    int64_t until = now_ms() + PEER_MS;
    size_t n = read_request(p, fd, request, until), len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out != NULL) {
        page_answer(slice(request, n), p->metrics, time(NULL), out);
        if (fclose(out) == 0)
            write_all(p, fd, text, len, until);
    }
    free(text);
    see_out(p, fd, until);
}

static void *run(void *arg)
{
    const struct page *p = arg;
    struct pollfd fds[] = {{.fd = p->listener, .events = POLLIN},
                           {.fd = p->bell, .events = POLLIN}};

    pthread_setname_np(pthread_self(), "liaison-page");
    while (fds[1].revents == 0) {
        if (poll(fds, 2, -1) <= 0 || fds[1].revents != 0 || fds[0].revents == 0)
            continue;
        int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            serve(p, fd);
            close(fd);
        } else if (errno != EAGAIN && errno != ECONNABORTED) {
            poll(&fds[1], 1, PAUSE_MS); /* no descriptors: do not spin */
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- the socket */

enum liaison_code page_open(const char *path, const struct metrics *metrics,
                            struct page **out, char *why, size_t why_len)
{
    struct page *p = calloc(1, sizeof *p);

    if (p == NULL) {
        snprintf(why, why_len, "%s", err_text(LIAISON_MEMORY));
        return LIAISON_MEMORY;
    }
    p->metrics = metrics;
    p->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->listener = p->bell < 0 ? -1 : local_listen(path, 0660, BACKLOG);
    if (p->listener < 0) {
        snprintf(why, why_len, "metrics %s: %s", path, strerror(errno));
        page_close(p);
        return LIAISON_CONFIG;
    }
    *out = p;
    return LIAISON_OK;
}

enum liaison_code page_start(struct page *p)
{
    p->started = pthread_create(&p->thread, NULL, run, p) == 0;
    return p->started ? LIAISON_OK : LIAISON_MEMORY;
}

void page_close(struct page *p)
{
    uint64_t one = 1;

    if (p == NULL)
        return;
    if (p->started) {
        if (write(p->bell, &one, sizeof one) != sizeof one)
            log_error("page.bell", "errno=%d", errno);
        pthread_join(p->thread, NULL);
    }
    if (p->listener >= 0)
        close(p->listener);
    if (p->bell >= 0)
        close(p->bell);
    free(p);
}
