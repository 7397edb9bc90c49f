#include "broker/ops/control.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/ops/local.h"
#include "broker/ops/log.h"
#include "proto/err.h"

enum { BACKLOG = 8 };

enum state {
    LISTENING, /* nobody is there; all others: `peer` is */
    READING,
    WORKING, /* the command has not ended */
    WRITING,
};

struct control {
    const struct control_command *commands;
    size_t n_commands;
    void *arg;
    int listener, peer;
    enum state state;
    int64_t until_ms;
    uint64_t ticket; /* of the peer's request; no two have the same */
    char *request;
    size_t n, room;
    FILE *answer; /* onto `text` */
    char *text;
    size_t len, sent;
};

/* ---------------------------------------------------------------- the socket */

enum liaison_code control_open(const char *path, const struct control_command *commands,
                               size_t n_commands, void *arg, struct control **out,
                               char *why, size_t why_len)
{
    struct control *c = calloc(1, sizeof *c);

    if (c == NULL) {
        snprintf(why, why_len, "%s", err_text(LIAISON_MEMORY));
        return LIAISON_MEMORY;
    }
    c->commands = commands;
    c->n_commands = n_commands;
    c->arg = arg;
    c->peer = -1;
    c->until_ms = INT64_MAX;
    c->listener = local_listen(path, 0600, BACKLOG);
    if (c->listener < 0) {
        snprintf(why, why_len, "control %s: %s", path, strerror(errno));
        control_close(c);
        return LIAISON_CONFIG;
    }
    *out = c;
    return LIAISON_OK;
}

static void forget_peer(struct control *c)
{
    if (c->peer >= 0)
        close(c->peer);
    if (c->answer != NULL)
        fclose(c->answer);
    free(c->request);
    free(c->text);
    c->peer = -1;
    c->answer = NULL;
    c->request = c->text = NULL;
    c->n = c->room = c->len = c->sent = 0;
    c->state = LISTENING;
    c->until_ms = INT64_MAX;
}

void control_close(struct control *c)
{
    if (c == NULL)
        return;
    forget_peer(c);
    if (c->listener >= 0)
        close(c->listener);
    free(c);
}

int control_fd(const struct control *c)
{
    return c->state == LISTENING ? c->listener : c->peer;
}

short control_events(const struct control *c)
{
    static const short EVENTS[] = {
        [LISTENING] = POLLIN, [READING] = POLLIN, [WORKING] = 0, [WRITING] = POLLOUT};

    return EVENTS[c->state];
}

int64_t control_until_ms(const struct control *c)
{
    return c->until_ms;
}

/* ---------------------------------------------------------------- answers */

void control_say(struct control *c, uint64_t ticket, const char *fmt, ...)
{
    va_list args;

    if (ticket != c->ticket || c->state != WORKING)
        return;
    va_start(args, fmt);
    vfprintf(c->answer, fmt, args);
    va_end(args);
    fputc('\n', c->answer);
}

void control_end(struct control *c, uint64_t ticket, enum liaison_code code,
                 const char *text)
{
    if (ticket != c->ticket || c->state != WORKING)
        return;
    if (code == LIAISON_OK)
        fputs("ok\n", c->answer);
    else
        fprintf(c->answer, "error %s %s\n", err_name(code),
                text != NULL ? text : err_text(code));
    bool whole = fclose(c->answer) == 0;

    c->answer = NULL;
    c->state = WRITING;
    c->until_ms = 0; /* counted from the next step */
    if (!whole)
        forget_peer(c);
}

static void write_some(struct control *c)
{
    while (c->sent < c->len) {
        ssize_t n = send(c->peer, c->text + c->sent, c->len - c->sent, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0)
            break;
        c->sent += (size_t)n;
    }
    forget_peer(c);
}

/* ---------------------------------------------------------------- requests */

static void run(struct control *c)
{
    char *words = c->request, *name = strsep(&words, " ");

    c->ticket++;
    c->state = WORKING;
    c->answer = open_memstream(&c->text, &c->len);
    if (c->answer == NULL) {
        forget_peer(c);
        return;
    }
    for (size_t i = 0; i < c->n_commands; i++)
        if (strcmp(c->commands[i].name, name) == 0) {
            c->commands[i].run(c->arg, c, c->ticket,
                               words == NULL ? name + strlen(name) : words);
            return;
        }
    control_end(c, c->ticket, LIAISON_USAGE, "there is no such command");
}

/* True if there is room for more. */
static bool widen(struct control *c)
{
    size_t room = c->room == 0 ? 4096 : 2 * c->room;

    if (c->n < c->room)
        return true;
    char *wider = c->room == CONTROL_REQUEST_MAX ? NULL : realloc(c->request, room);

    if (wider == NULL)
        return false;
    c->request = wider;
    c->room = room;
    return true;
}

static void read_some(struct control *c, int64_t now_ms)
{
    while (widen(c)) {
        ssize_t n = recv(c->peer, c->request + c->n, c->room - c->n, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            break;
        char *end = memchr(c->request + c->n, '\n', (size_t)n);

        c->n += (size_t)n;
        if (end == NULL)
            continue;
        *end = '\0';
        if (end + 1 != c->request + c->n || memchr(c->request, '\0', c->n) != end)
            break; /* more than one line, or no text */
        c->until_ms = now_ms + CONTROL_WORK_MS;
        run(c);
        return;
    }
    forget_peer(c);
}

/* Whoever reaches the socket past its mode, through a folder or a namespace, is asked who it is. */
static bool is_ours(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
        return false;
    if (who.uid == 0 || who.uid == geteuid())
        return true;
    log_warn("control.refused", "uid=%u pid=%d", (unsigned)who.uid, (int)who.pid);
    return false;
}

static void take_peer(struct control *c, int64_t now_ms)
{
    c->peer = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (c->peer < 0)
        return;
    if (!is_ours(c->peer)) {
        forget_peer(c);
        return;
    }
    c->state = READING;
    c->until_ms = now_ms + CONTROL_TALK_MS;
}

void control_step(struct control *c, int64_t now_ms)
{
    if (c->state == LISTENING)
        take_peer(c, now_ms);
    if (c->state == READING)
        read_some(c, now_ms);
    if (c->state == WORKING && now_ms >= c->until_ms)
        control_end(c, c->ticket, LIAISON_TIMEOUT,
                    "it takes too long; it may still happen: ask again");
    if (c->state == WRITING && c->until_ms == 0)
        c->until_ms = now_ms + CONTROL_TALK_MS;
    if (c->state == WRITING)
        write_some(c);
    if (c->state != LISTENING && c->state != WORKING && now_ms >= c->until_ms)
        forget_peer(c);
}
