/* The operators' socket from the other end: what `liaisond erase` and its like are. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "broker/ops/control.h"
#include "proto/err.h"

enum { ANSWER_MAX = 16 << 20 };

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum liaison_code reach(const char *path, int *out, char *why, size_t why_len)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof at.sun_path) {
        snprintf(why, why_len, "control %s: the name is too long", path);
        return LIAISON_CONFIG;
    }
    memcpy(at.sun_path, path, strlen(path));
    *out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*out >= 0 && connect(*out, (const struct sockaddr *)&at, sizeof at) == 0)
        return LIAISON_OK;
    snprintf(why, why_len, "control %s: %s", path,
             errno == ENOENT || errno == ECONNREFUSED ? "no broker listens there"
                                                      : strerror(errno));
    return errno == EACCES || errno == EPERM ? LIAISON_PERMISSION : LIAISON_UNREACHABLE;
}

static bool send_line(int fd, struct slice line)
{
    while (line.n > 0) {
        ssize_t n = send(fd, line.p, line.n, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            line = slice(line.p + n, line.n - (size_t)n);
    }
    return send(fd, "\n", 1, MSG_NOSIGNAL) == 1;
}

/* All until the end. */
static enum liaison_code read_all(int fd, FILE *into)
{
    int64_t until = now_ms() + CONTROL_WORK_MS + 2 * CONTROL_TALK_MS;
    char some[65536];
    size_t all = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until - now_ms();

        if (left <= 0 || (poll(&p, 1, (int)left) == 0))
            return LIAISON_TIMEOUT;
        ssize_t n = recv(fd, some, sizeof some, 0);

        if (n == 0)
            return LIAISON_OK;
        if (n < 0 && errno != EINTR)
            return LIAISON_CLOSED;
        if (n > 0)
            fwrite(some, 1, (size_t)n, into);
        if (n > 0 && (all += (size_t)n) > ANSWER_MAX)
            return LIAISON_LIMIT;
    }
}

static enum liaison_code code_named(const char *name, size_t n)
{
    for (int code = 0; code <= LIAISON_INTERNAL; code++) {
        const char *text = err_name((enum liaison_code)code);

        if (text != NULL && strlen(text) == n && strncmp(text, name, n) == 0)
            return (enum liaison_code)code;
    }
    return LIAISON_CLOSED;
}

/* The last line says how it ended; the others are printed. */
static enum liaison_code judge(char *text, size_t n, FILE *out, char *why, size_t why_len)
{
    static const char ERROR[] = "error ";

    snprintf(why, why_len, "the broker ended the connection without a whole answer");
    if (n == 0 || text[n - 1] != '\n')
        return LIAISON_CLOSED;
    text[n - 1] = '\0';
    char *last = strrchr(text, '\n');

    if (last != NULL)
        fwrite(text, 1, (size_t)(last + 1 - text), out);
    last = last == NULL ? text : last + 1;
    if (strcmp(last, "ok") == 0) {
        why[0] = '\0';
        return LIAISON_OK;
    }
    if (strncmp(last, ERROR, sizeof ERROR - 1) != 0)
        return LIAISON_CLOSED;
    last += sizeof ERROR - 1;
    size_t name = strcspn(last, " ");

    snprintf(why, why_len, "%s", last[name] == '\0' ? last : last + name + 1);
    return code_named(last, name);
}

enum liaison_code control_ask(const char *path, struct slice line, FILE *out, char *why,
                              size_t why_len)
{
    char *text = NULL;
    size_t n = 0;
    int fd = -1;
    FILE *answer = NULL;
    enum liaison_code code = reach(path, &fd, why, why_len);

    if (code != LIAISON_OK)
        goto out;
    snprintf(why, why_len, "control %s: the connection broke", path);
    code = LIAISON_CLOSED;
    if (!send_line(fd, line))
        goto out;
    answer = open_memstream(&text, &n);
    code = answer == NULL ? LIAISON_MEMORY : read_all(fd, answer);
    if (answer != NULL && fclose(answer) != 0 && code == LIAISON_OK)
        code = LIAISON_MEMORY;
    if (code == LIAISON_OK)
        code = judge(text, n, out, why, why_len);
out:
    free(text);
    if (fd >= 0)
        close(fd);
    return code;
}
