/* tunnel: a UNIX socket for this user's programs; each connection to it is one TLS session of this member with the broker.
 *
 * Whoever reaches the socket sees cards and mailbox. It cannot act in the member's name: moves are signed, and nothing is here. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/conduit.h"
#include "proto/tls.h"

enum { CONDUITS_MAX = 64, TURN_MS = 1000, FILES = 4, WHY = 256 };

/* Files that decide whom we trust and who we are. */
static const char *const NAMES[FILES] = {"ca.crt", "crl.pem", "sign.crt", "sign.key"};

/* Which file was read: another one in its place has other numbers. */
struct mark {
    uint64_t inode, bytes;
    struct timespec changed;
};

struct tunnel {
    struct cli *c;
    const char *path;
    int listener, signals;
    struct stat made; /* the socket, so that we remove no other */
    struct tls_trust *trust;
    struct conduit_to to;
    const char *files[FILES];
    struct mark marks[FILES];
    struct conduit *conduits[CONDUITS_MAX];
    size_t n;
    char
        said[WHY]; /* of the last failure: a program that tries on for hours is no news */
    int status;
};

static int64_t now_mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void say_once(struct tunnel *t, const char *why)
{
    if (why[0] == '\0' || strcmp(why, t->said) == 0)
        return;
    snprintf(t->said, sizeof t->said, "%s", why);
    fprintf(stderr, "liaison: tunnel: ");
    for (const char *p = t->said; *p != '\0'; p++)
        fputc((unsigned char)*p < ' ' ? '?' : *p, stderr);
    fputc('\n', stderr);
}

/* ---------------------------------------------------------------- trust */

/* True if a file is another than when it was last looked at. */
static bool look_at_files(struct tunnel *t)
{
    bool changed = false;

    for (size_t i = 0; i < FILES; i++) {
        struct mark m = {0};
        struct stat st;

        if (stat(t->files[i], &st) == 0)
            m = (struct mark){(uint64_t)st.st_ino, (uint64_t)st.st_size, st.st_mtim};
        changed = changed || m.inode != t->marks[i].inode ||
                  m.bytes != t->marks[i].bytes ||
                  m.changed.tv_sec != t->marks[i].changed.tv_sec ||
                  m.changed.tv_nsec != t->marks[i].changed.tv_nsec;
        t->marks[i] = m;
    }
    return changed;
}

/* Reads them. On error what was in force stays. */
static enum liaison_code load(struct tunnel *t, char why[WHY])
{
    struct tls_trust *trust = NULL;
    SSL_CTX *context = NULL;
    enum liaison_code code = tls_trust_load(t->c->profile.network, t->files[0],
                                            t->files[1], time(NULL), &trust, why, WHY);

    if (code == LIAISON_OK)
        code = tls_context(trust, TLS_CLIENT_SIDE, t->files[2], t->files[3], &context,
                           why, WHY);
    if (code != LIAISON_OK) {
        tls_trust_free(trust);
        return code;
    }
    SSL_CTX_free(t->to.context);
    tls_trust_free(t->trust);
    t->to.context = context;
    t->trust = trust;
    return LIAISON_OK;
}

/* A new revocation list is in force at once, for live sessions too. */
static void reload(struct tunnel *t)
{
    char why[WHY] = "";

    if (!look_at_files(t))
        return;
    if (load(t, why) != LIAISON_OK) {
        say_once(t, why);
        return;
    }
    for (size_t i = 0; i < t->n; i++) {
        SSL *ssl = conduit_session(t->conduits[i]);

        if (ssl != NULL &&
            tls_check_again(ssl, t->trust, time(NULL), why, sizeof why) != LIAISON_OK)
            conduit_cut(t->conduits[i], why);
    }
}

static bool trust_ready(struct tunnel *t)
{
    char why[WHY] = "";

    t->to.broker =
        t->c->opt[OPT_BROKER] != NULL ? t->c->opt[OPT_BROKER] : t->c->profile.broker;
    t->to.broker_name = t->c->profile.broker_name;
    for (size_t i = 0; i < FILES; i++) {
        t->files[i] = profile_path(&t->c->profile, NAMES[i], t->c->arena);
        if (t->files[i] == NULL) {
            t->status = cli_no_memory();
            return false;
        }
    }
    (void)look_at_files(t);
    enum liaison_code code = load(t, why);

    if (code != LIAISON_OK)
        t->status = cli_fail(code, "%s", why);
    return code == LIAISON_OK;
}

/* ---------------------------------------------------------------- the socket */

/* A socket that nobody listens on any more was left by a tunnel that was killed. */
static bool left_over(const struct sockaddr_un *name)
{
    struct stat st;
    int fd = lstat(name->sun_path, &st) == 0 && S_ISSOCK(st.st_mode)
                 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
                 : -1;
    bool dead = fd >= 0 &&
                connect(fd, (const struct sockaddr *)name, sizeof *name) != 0 &&
                errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return dead;
}

static bool bind_it(struct tunnel *t, const struct sockaddr_un *name)
{
    mode_t before = umask(0177); /* never for a moment open to others */
    int rc = bind(t->listener, (const struct sockaddr *)name, sizeof *name);

    if (rc != 0 && errno == EADDRINUSE && left_over(name) && unlink(t->path) == 0)
        rc = bind(t->listener, (const struct sockaddr *)name, sizeof *name);
    int error = errno;

    umask(before);
    errno = error;
    return rc == 0;
}

static bool listening(struct tunnel *t)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    t->path = t->c->opt[OPT_LISTEN];
    if (t->path == NULL || strlen(t->path) >= sizeof name.sun_path) {
        t->status = cli_fail(LIAISON_USAGE,
                             "tunnel wants --listen PATH, a path of at most %zu bytes",
                             sizeof name.sun_path - 1);
        return false;
    }
    strcpy(name.sun_path, t->path);
    t->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->listener < 0 || !bind_it(t, &name)) {
        t->status = cli_fail(LIAISON_FILE, "%s: %s", t->path, strerror(errno));
        return false;
    }
    if (lstat(t->path, &t->made) == 0 && listen(t->listener, CONDUITS_MAX) == 0)
        return true;
    t->status = cli_fail(LIAISON_FILE, "%s: %s", t->path, strerror(errno));
    return false;
}

static void remove_socket(const struct tunnel *t)
{
    struct stat st;

    if (t->made.st_ino != 0 && lstat(t->path, &st) == 0 && st.st_ino == t->made.st_ino &&
        st.st_dev == t->made.st_dev)
        (void)unlink(t->path);
}

/* The mode of the socket keeps others out; this does when somebody has changed it. */
static bool is_ours(struct tunnel *t, int fd)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof peer;
    char why[64];

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
        peer.uid == geteuid())
        return true;
    snprintf(why, sizeof why, "a program of user %u was refused", (unsigned)peer.uid);
    say_once(t, why);
    return false;
}

static void take_one(struct tunnel *t)
{
    int fd = accept4(t->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            t->status = cli_fail(LIAISON_IO, "%s: %s", t->path, strerror(errno));
        return;
    }
    struct conduit *c = is_ours(t, fd) ? conduit_new(fd, now_mono_ms()) : NULL;

    if (c == NULL)
        close(fd);
    else
        t->conduits[t->n++] = c;
}

/* ---------------------------------------------------------------- the loop */

/* Gives every connection its turn. True if one has more to do. */
static bool step_all(struct tunnel *t)
{
    int64_t now_ms = now_mono_ms();
    bool more = false;

    for (size_t i = 0; i < t->n;) {
        struct conduit *c = t->conduits[i];
        bool was_open = conduit_state(c) == CONDUIT_OPEN;

        more = conduit_step(c, &t->to, now_ms) || more;
        if (!was_open && conduit_state(c) == CONDUIT_OPEN)
            t->said[0] = '\0'; /* it works: the next failure is news */
        if (conduit_state(c) != CONDUIT_OVER) {
            i++;
            continue;
        }
        say_once(t, conduit_why(c));
        conduit_free(c);
        t->conduits[i] = t->conduits[--t->n];
    }
    return more;
}

static void loop(struct tunnel *t)
{
    int64_t look_ms = now_mono_ms() + TURN_MS;
    bool more = false;

    while (t->status == 0) {
        struct pollfd p[2 + 2 * CONDUITS_MAX] = {
            {.fd = t->signals, .events = POLLIN},
            {.fd = t->n < CONDUITS_MAX ? t->listener : -1, .events = POLLIN},
        };

        for (size_t i = 0; i < t->n; i++)
            conduit_wants(t->conduits[i], p + 2 + 2 * i);
        if (poll(p, 2 + 2 * t->n, more ? 0 : TURN_MS) < 0 && errno != EINTR) {
            t->status = cli_fail(LIAISON_IO, "poll: %s", strerror(errno));
            return;
        }
        if (p[0].revents != 0)
            return;
        if (p[1].revents != 0)
            take_one(t);
        if (now_mono_ms() >= look_ms) {
            reload(t);
            look_ms = now_mono_ms() + TURN_MS;
        }
        more = step_all(t);
    }
}

static bool signals_taken(struct tunnel *t, sigset_t *before)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    if (signal(SIGPIPE, SIG_IGN) != SIG_ERR &&
        sigprocmask(SIG_BLOCK, &set, before) == 0 &&
        (t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) >= 0)
        return true;
    t->status = cli_fail(LIAISON_IO, "signals: %s", strerror(errno));
    return false;
}

static bool say_ready(struct tunnel *t)
{
    if (t->c->opt[OPT_JSON] != NULL)
        t->status = print_json(json_pack("{ss}", "listen", t->path));
    else
        printf("programs of this user can connect to ipc://%s\n", t->path);
    if (t->status == 0 && fflush(stdout) != 0)
        t->status = cli_fail(LIAISON_IO, "standard output cannot be written");
    return t->status == 0;
}

int cmd_tunnel(struct cli *c, int argc, char **argv)
{
    struct tunnel t = {.c = c, .listener = -1, .signals = -1};
    sigset_t before;

    (void)argc;
    (void)argv;
    if (!cli_profile(c, &t.status))
        return t.status;
    if (trust_ready(&t) && signals_taken(&t, &before) && listening(&t) && say_ready(&t))
        loop(&t);
    remove_socket(&t);
    while (t.n > 0)
        conduit_free(t.conduits[--t.n]);
    SSL_CTX_free(t.to.context);
    tls_trust_free(t.trust);
    if (t.listener >= 0)
        close(t.listener);
    if (t.signals >= 0)
        close(t.signals);
    return t.status;
}
