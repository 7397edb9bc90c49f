/* watch: shows what comes into the mailbox, or runs a command for it, and only then acknowledges it.
 *
 * One loop over the library's descriptor and our signals. The library reconnects and sends acknowledgements again; an item that
 * comes twice because its acknowledgement was on its way is known by its number in the mailbox and not done twice. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cli.h"

enum {
    CREDIT_SHOWN = 64, /* items that may be with us unacknowledged */
    CREDIT_RUN = 16,   /* fewer if each takes a while: others of our agency may do them */
    CREDIT_BYTES = 4 << 20,
    TURN_MS = 1000,    /* the library looks at its deadlines */
    GOODBYE_MS = 2000, /* for acknowledgements, after we were told to end */
};

/* One item from its delivery until its acknowledgement is confirmed. */
struct item {
    struct item *next;
    uint64_t mailbox, lease;
    uint64_t ack;                    /* the call that acknowledges it; 0: not yet sent */
    struct liaison_answer *delivery; /* NULL: done */
};

struct watch {
    struct cli *c;
    int signals;
    sigset_t before;
    struct item *items; /* in the order of their coming */
    struct item *running;
    pid_t child; /* what runs for it; 0: nothing */
    uint64_t grant;
    unsigned stops; /* how often we were told to end */
    bool silent;    /* it was said that the broker does not answer */
    int status;     /* not 0: over */
};

/* ---------------------------------------------------------------- items */

static struct item *item_by(struct watch *w, uint64_t mailbox)
{
    struct item *i = w->items;

    while (i != NULL && i->mailbox != mailbox)
        i = i->next;
    return i;
}

static void item_drop(struct watch *w, struct item *item)
{
    struct item **at = &w->items;

    while (*at != item)
        at = &(*at)->next;
    *at = item->next;
    liaison_answer_free(item->delivery);
    free(item);
}

/* Takes: a. An item that is here already came again because its lease was over or its connection lost. */
static void item_add(struct watch *w, struct liaison_answer *a)
{
    struct item *item = item_by(w, liaison_answer_mailbox(a)), **at = &w->items;

    if (item != NULL) {
        item->lease = liaison_answer_lease(a);
        liaison_answer_free(a);
        return;
    }
    item = calloc(1, sizeof *item);
    if (item == NULL) {
        liaison_answer_free(a);
        w->status = cli_no_memory();
        return;
    }
    item->mailbox = liaison_answer_mailbox(a);
    item->lease = liaison_answer_lease(a);
    item->delivery = a;
    while (*at != NULL)
        at = &(*at)->next;
    *at = item;
}

static void item_ack(struct watch *w, struct item *item)
{
    enum liaison_code code =
        liaison_send_ack(w->c->lib, &item->mailbox, &item->lease, 1, &item->ack);

    if (code != LIAISON_OK)
        w->status = cli_lib_fail(w->c, code);
}

/* What had to be done with it is done. */
static void item_done(struct watch *w, struct item *item)
{
    liaison_answer_free(item->delivery);
    item->delivery = NULL;
    item_ack(w, item);
}

/* ---------------------------------------------------------------- the broker */

static void grant(struct watch *w)
{
    enum liaison_code code = liaison_send_grant(
        w->c->lib, w->c->opt[OPT_EXEC] != NULL ? CREDIT_RUN : CREDIT_SHOWN, CREDIT_BYTES,
        &w->grant);

    if (code != LIAISON_OK)
        w->status = cli_lib_fail(w->c, code);
}

/* A call was answered: the grant, or an acknowledgement. */
static void answered(struct watch *w, const struct liaison_answer *a)
{
    enum liaison_code code = liaison_answer_code(a);
    uint64_t call = liaison_answer_call(a);
    struct item *item = w->items;

    while (item != NULL && item->ack != call)
        item = item->next;
    if (code == LIAISON_OK) {
        w->silent = false;
        if (item != NULL)
            item_drop(w, item);
    } else if (err_retry(code) == RETRY_NEVER) {
        w->status = cli_fail(code, "%s", liaison_answer_text(a));
    } else {
        if (!w->silent)
            cli_fail(code, "%s; trying on", liaison_answer_text(a));
        w->silent = true;
        if (item != NULL)
            item_ack(w, item);
        else if (call == w->grant)
            grant(w);
    }
}

/* Fetches what is there. */
static void receive(struct watch *w)
{
    struct liaison_answer *a = NULL;
    enum liaison_code code = LIAISON_OK;

    while (w->status == 0 && (code = liaison_receive(w->c->lib, 0, &a)) == LIAISON_OK) {
        if (liaison_answer_call(a) == 0) {
            item_add(w, a);
        } else {
            answered(w, a);
            liaison_answer_free(a);
        }
        a = NULL;
    }
    if (w->status == 0 && code != LIAISON_TIMEOUT)
        w->status = cli_lib_fail(w->c, code);
}

/* ---------------------------------------------------------------- doing */

/* A file without a name, with the item on one line, read from its beginning. -1: said. */
static int item_file(json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
    int fd = text != NULL ? memfd_create("liaison-item", MFD_CLOEXEC) : -1;

    if (fd < 0 || dprintf(fd, "%s\n", text) < 0 || lseek(fd, 0, SEEK_SET) != 0) {
        cli_fail(LIAISON_IO, "an item cannot be handed over: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    free(text);
    return fd;
}

extern char **environ;

/* The child has the signals that we came with. It runs in our process group: Ctrl-C reaches it too. */
static int spawn(struct watch *w, int input, pid_t *child)
{
    char sh[] = "sh", c[] = "-c";
    char *argv[] = {sh, c, (char *)(uintptr_t)w->c->opt[OPT_EXEC], NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int error = ENOMEM;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attr) == 0) {
        if (posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO) == 0 &&
            posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK) == 0 &&
            posix_spawnattr_setsigmask(&attr, &w->before) == 0)
            error = posix_spawn(child, "/bin/sh", &actions, &attr, argv, environ);
        posix_spawnattr_destroy(&attr);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void run_for(struct watch *w, struct item *item, json_t *o)
{
    int fd = item_file(o), error = fd >= 0 ? spawn(w, fd, &w->child) : 0;

    if (fd < 0) {
        w->status = err_exit(LIAISON_IO);
        return;
    }
    close(fd);
    if (error == 0)
        w->running = item;
    else
        w->status = cli_fail(LIAISON_IO, "/bin/sh cannot be run: %s", strerror(error));
}

/* Our output is somebody's: what is not written there must not leave the mailbox. */
static void show(struct watch *w, struct item *item, json_t *o, const char *line)
{
    if (w->c->opt[OPT_JSON] != NULL) {
        w->status = print_json(json_incref(o));
    } else {
        print_safe(line, NULL);
        putchar('\n');
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        w->status = cli_fail(LIAISON_IO, "standard output cannot be written");
    if (w->status == 0)
        item_done(w, item);
}

/* Everything that is read from one item is forgotten with it: this program runs for months. */
static void work_on(struct watch *w, struct item *item)
{
    struct arena *all = w->c->arena;
    json_t *o = NULL;
    const char *line = "";

    w->c->arena = arena_new();
    if (w->c->arena == NULL)
        w->status = cli_no_memory();
    else if (item_read(w->c, item->delivery, &o, &line) != LIAISON_OK)
        item_drop(w, item);
    else if (w->c->opt[OPT_EXEC] != NULL)
        run_for(w, item, o);
    else
        show(w, item, o, line);
    json_decref(o);
    arena_free(w->c->arena);
    w->c->arena = all;
}

/* Does one item that waits. False: there is none, or one is being done. */
static bool work(struct watch *w)
{
    struct item *item = w->items;

    while (item != NULL && item->delivery == NULL)
        item = item->next;
    if (item == NULL || w->running != NULL || w->stops > 0 || w->status != 0)
        return false;
    work_on(w, item);
    return w->status == 0;
}

/* ---------------------------------------------------------------- signals */

static void child_ended(struct watch *w)
{
    int how;
    struct item *item = w->running;

    if (w->child == 0 || waitpid(w->child, &how, WNOHANG) != w->child)
        return;
    w->child = 0;
    w->running = NULL;
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0) {
        item_done(w, item);
        return;
    }
    cli_fail(
        LIAISON_TIMEOUT,
        "item %llu of the mailbox: the command %s %d; the item stays there and comes "
        "again when its lease is over",
        (unsigned long long)item->mailbox,
        WIFSIGNALED(how) ? "was ended by signal" : "ended with status",
        WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
    item_drop(w, item);
}

static void signals(struct watch *w)
{
    struct signalfd_siginfo s;

    while (read(w->signals, &s, sizeof s) == sizeof s)
        if (s.ssi_signo == SIGCHLD)
            child_ended(w);
        else if (++w->stops > 1 && w->child > 0)
            kill(w->child, SIGTERM);
}

static bool signals_taken(struct watch *w)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, &w->before) == 0 &&
        (w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) >= 0)
        return true;
    w->status = cli_fail(LIAISON_IO, "signals: %s", strerror(errno));
    return false;
}

/* ---------------------------------------------------------------- the loop */

static int64_t now_mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* After we were told to end: the command that runs is waited for, then acknowledgements for a moment. */
static bool over(const struct watch *w, int64_t *until_ms)
{
    bool acks = false;

    if (w->status != 0)
        return true;
    if (w->stops == 0)
        return false;
    if (w->running != NULL)
        return false;
    for (const struct item *i = w->items; i != NULL; i = i->next)
        acks = acks || i->delivery == NULL;
    if (*until_ms == 0)
        *until_ms = now_mono_ms() + GOODBYE_MS;
    return !acks || now_mono_ms() >= *until_ms;
}

static void loop(struct watch *w)
{
    int64_t until_ms = 0;

    for (;;) {
        struct pollfd p[2] = {{.fd = w->signals, .events = POLLIN},
                              {.fd = liaison_fd(w->c->lib), .events = POLLIN}};

        do
            receive(w);
        while (work(w));
        receive(w); /* sends what the work left to send */
        if (over(w, &until_ms))
            return;
        (void)poll(p, 2, w->stops > 0 ? 50 : TURN_MS);
        signals(w);
    }
}

/* The library goes on trying by itself; this only says what it is waiting for. */
static bool first_connection(struct watch *w)
{
    enum liaison_code code = liaison_connect(w->c->lib);

    if (code == LIAISON_OK)
        return true;
    w->status = cli_lib_fail(w->c, code);
    if (err_retry(code) == RETRY_NEVER)
        return false;
    fputs("liaison: trying on until it answers\n", stderr);
    w->silent = true;
    w->status = 0;
    return true;
}

int cmd_watch(struct cli *c, int argc, char **argv)
{
    struct watch w = {.c = c, .signals = -1};

    (void)argc;
    (void)argv;
    if (!cli_open(c, &w.status) || !cli_reads(c, &w.status))
        return w.status;
    if (first_connection(&w) && signals_taken(&w)) {
        grant(&w);
        if (w.status == 0)
            loop(&w);
    }
    if (w.child >
        0) /* we end for another reason, and nobody is left to acknowledge for */
        (void)waitpid(w.child, NULL, 0);
    while (w.items != NULL)
        item_drop(&w, w.items);
    if (w.signals >= 0) {
        close(w.signals);
        (void)sigprocmask(SIG_SETMASK, &w.before, NULL);
    }
    return w.status;
}
