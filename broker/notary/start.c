/* From fork to the loop: what the process gives up before it reads the first byte. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/notary/desk.h"
#include "broker/notary/file.h"
#include "proto/err.h"

enum { SOCKET_FD = 3, GREETING_MS = 30000 };

/* ------------------------------------------------------------ the process */

/* Keeps stderr, for the log, and the socket. The broker's listeners, keys and sockets are none of our business. */
static bool keep_only(int socket)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    return null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
           (socket == SOCKET_FD || dup2(socket, SOCKET_FD) >= 0) &&
           close_range(SOCKET_FD + 1, ~0U, 0) == 0;
}

/* Its end is its broker's end, not a signal that was meant for both. */
static void ignore_signals(void)
{
    static const int IGNORED[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGQUIT};

    for (size_t i = 0; i < sizeof IGNORED / sizeof *IGNORED; i++)
        signal(IGNORED[i], SIG_IGN);
}

/* From here on it can open nothing: every number below the limit is in use. */
static bool confine(int last_fd)
{
    const struct rlimit files = {(rlim_t)last_fd + 1, (rlim_t)last_fd + 1}, none = {0, 0};

    return chdir("/") == 0 && setrlimit(RLIMIT_NOFILE, &files) == 0 &&
           setrlimit(RLIMIT_CORE, &none) == 0;
}

static bool give_up(void)
{
    prctl(PR_SET_NAME, "liaison-notary", 0, 0, 0);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static enum liaison_code prepare(const struct notary_settings *s,
                                 const struct file_user *user, struct desk *d, char *why,
                                 size_t why_len)
{
    enum liaison_code code = file_user_become(user, why, why_len);

    if (code == LIAISON_OK &&
        !give_up()) { /* after the change of user, which undoes it */
        snprintf(why, why_len, "the notary cannot give up privilege: %s",
                 strerror(errno));
        code = LIAISON_INTERNAL;
    }
    if (code == LIAISON_OK)
        code = desk_open(s, DESK_BEGIN, d, why, why_len);
    if (code == LIAISON_OK && d->has_state)
        code = desk_end_rotation(s, d, why, why_len);
    if (code == LIAISON_OK && !confine(d->water_fd >= 0 ? d->water_fd : SOCKET_FD)) {
        snprintf(why, why_len, "the notary cannot confine itself: %s", strerror(errno));
        code = LIAISON_INTERNAL;
    }
    return code;
}

/* An empty message and the broker's end look the same to recv(). */
static bool has_ended(int socket)
{
    struct pollfd p = {.fd = socket, .events = POLLIN};

    return poll(&p, 1, 0) < 0 || (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* Answers until the last copy of the other end is closed. */
static void serve(struct desk *d)
{
    uint8_t in[WIRE_REQUEST_BYTES + 1], out[WIRE_ANSWER_BYTES];
    struct notary_answer a;

    for (;;) {
        ssize_t n = recv(SOCKET_FD, in, sizeof in, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || (n == 0 && has_ended(SOCKET_FD)))
            return;
        desk_answer(d, slice(in, (size_t)n), &a);
        wire_put_answer(&a, out);
        if (send(SOCKET_FD, out, sizeof out, MSG_NOSIGNAL) != (ssize_t)sizeof out)
            return;
    }
}

static void live(const struct notary_settings *s, const struct file_user *user,
                 int socket)
{
    struct desk d = {.water_fd = -1};
    uint8_t greeting[WIRE_GREETING_BYTES];
    char why[WIRE_WHY_MAX] = "";

    ignore_signals();
    if (!keep_only(socket))
        return;
    enum liaison_code code = prepare(s, user, &d, why, sizeof why);

    wire_put_greeting(code, why, greeting);
    if (send(SOCKET_FD, greeting, sizeof greeting, MSG_NOSIGNAL) ==
            (ssize_t)sizeof greeting &&
        code == LIAISON_OK)
        serve(&d);
    desk_close(&d);
}

/* ------------------------------------------------------------ the broker's side */

static enum liaison_code hear_greeting(int fd, char *why, size_t why_len)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t message[WIRE_GREETING_BYTES + 1];
    enum liaison_code code = LIAISON_INTERNAL;
    int ready;

    do
        ready = poll(&p, 1, GREETING_MS);
    while (ready < 0 && errno == EINTR);
    ssize_t n = ready == 1 ? recv(fd, message, sizeof message, 0) : -1;

    if (n < 0 || !wire_get_greeting(slice(message, (size_t)n), &code, why, why_len))
        snprintf(why, why_len, "the notary did not start");
    return code;
}

static pid_t fork_notary(const struct notary_settings *s, const struct file_user *user,
                         const int ends[2])
{
    pid_t child = fork();

    if (child != 0)
        return child;
    close(ends[0]);
    live(s, user, ends[1]);
    _exit(0);
}

enum liaison_code notary_start(const struct notary_settings *s, int *fd, pid_t *pid,
                               char *why, size_t why_len)
{
    struct file_user user;
    int ends[2];
    enum liaison_code code = file_user_find(s->user, &user, why, why_len);

    if (code != LIAISON_OK)
        return code;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        snprintf(why, why_len, "socketpair: %s", strerror(errno));
        return LIAISON_INTERNAL;
    }
    pid_t child = fork_notary(s, &user, ends);

    close(ends[1]);
    if (child < 0) {
        snprintf(why, why_len, "fork: %s", strerror(errno));
        code = LIAISON_MEMORY;
    } else {
        code = hear_greeting(ends[0], why, why_len);
    }
    if (code == LIAISON_OK && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0) {
        *fd = ends[0];
        *pid = child;
        return LIAISON_OK;
    }
    close(ends[0]);
    if (child > 0)
        waitpid(child, NULL, 0);
    return code == LIAISON_OK ? LIAISON_INTERNAL : code;
}
