/* liaisond: the order of start-up, and what signals do. Everything else has a file beside this one, or a room of its own.
 *
 * Order: settings and rules; trust, certificate; notary; our key; listening sockets; drop of privilege; store and its key
 * file; core; gates. The notary leaves before our key is read, and no byte of a peer is read before privilege is dropped. */
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/broker.h"
#include "broker/command.h"
#include "broker/conf/diff.h"
#include "broker/conf/explain.h"
#include "broker/conf/fmt.h"
#include "broker/conf/test.h"
#include "broker/dispatch.h"
#include "broker/ops/log.h"
#include "broker/ops/sandbox.h"
#include "proto/err.h"

/* Which file it is has been said. */
static int file_hint(enum liaison_code code)
{
    if (code == LIAISON_FILE)
        fprintf(stderr,
                "liaisond: check that its path is right and that user %u may read it\n",
                (unsigned)geteuid());
    return err_exit(code);
}

static int failed(enum liaison_code code, const char *why)
{
    fprintf(stderr, "liaisond: %s\n", why);
    return file_hint(code);
}

/* Everything that needs a name in the file system or a socket of its own, before the sandbox. */
static enum liaison_code open_doors(struct broker *b, char *why, size_t why_len)
{
    notify_open(&b->notify);
    metrics_set(&b->metrics, METRIC_STORE_MAP, b->conf.map_bytes);
    ends_tell(b);
    enum liaison_code code =
        b->conf.metrics == NULL
            ? LIAISON_OK
            : page_open(b->conf.metrics, &b->metrics, &b->page, why, why_len);

    return code != LIAISON_OK || b->conf.control == NULL
               ? code
               : operate_open(&b->operate, b, why, why_len);
}

static enum liaison_code open_page(struct broker *b, char *why, size_t why_len)
{
    enum liaison_code code = b->page == NULL ? LIAISON_OK : page_start(b->page);

    if (code != LIAISON_OK)
        snprintf(why, why_len, "cannot start a thread: %s", err_text(code));
    return code;
}

static enum liaison_code start(struct broker *b, char *why, size_t why_len)
{
    enum liaison_code code;
    bool confined = b->conf.sandbox && sandbox_fits();

    if ((code = trust_read(&b->now.conf, &b->now.trust, why, why_len)) != LIAISON_OK ||
        (code = trust_self(&b->now.conf, b->now.trust, &b->now.self, why, why_len)) !=
            LIAISON_OK ||
        (code = signing_start(b, why, why_len)) != LIAISON_OK ||
        (code = trust_context(&b->now.conf, b->now.trust, &b->now.context, why,
                              why_len)) != LIAISON_OK ||
        (code = listen_open(b, why, why_len)) != LIAISON_OK ||
        (code = privilege_drop(b->conf.user, why, why_len)) !=
            LIAISON_OK) /* the store is its user's */
        return code;
    listen_descriptors(&b->conf);
    if ((code = open_doors(b, why, why_len)) != LIAISON_OK)
        return code;
    if (confined)
        places_files(b, true);
    b->zmq = zmq_ctx_new();
    if (b->zmq == NULL) {
        snprintf(why, why_len, "zmq: %s", zmq_strerror(zmq_errno()));
        return LIAISON_MEMORY;
    }
    if ((code = threads_core(b, why, why_len)) != LIAISON_OK ||
        (code = threads_connect(b, why, why_len)) != LIAISON_OK)
        return code;
    if (confined)
        places_confine(b);
    else
        log_warn("sandbox.off", "why=\"%s\"",
                 sandbox_fits() ? "the settings say so" : "built with a sanitizer");
    if ((code = trust_try_key(b, why, why_len)) != LIAISON_OK)
        return code;
    code = threads_start(b, why, why_len);
    return code == LIAISON_OK ? open_page(b, why, why_len) : code;
}

/* Tells the service manager that we live, while we do. Returns the milliseconds until the next time. */
static int64_t mind_watchdog(struct broker *b)
{
    struct timespec t;

    if (b->notify.watchdog_ms == 0)
        return INT64_MAX;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;

    if (now >= b->watchdog_at_ms) {
        if (page_alive(&b->metrics))
            notify_tell(&b->notify, "WATCHDOG=1");
        b->watchdog_at_ms = now + (int64_t)b->notify.watchdog_ms;
    }
    return b->watchdog_at_ms - now;
}

static long mind_time(struct broker *b)
{
    reload_forget(b);
    int64_t ends = ends_mind(b), dog = mind_watchdog(b);

    return (long)(ends < dog ? ends : dog);
}

/* True: the core has ended. */
static bool hear_call(struct broker *b, struct call *c)
{
    bool ended = c->kind == CALL_ENDED;

    if (c->kind == CALL_CHECKED)
        reload_checked(b, c);
    else if (c->kind == CALL_ANSWER && c->reload != NULL)
        reload_answer(b, c);
    else if (c->kind == CALL_ANSWER)
        operate_answer(&b->operate, c);
    else
        call_free(c);
    return ended;
}

static bool hear_core(struct broker *b)
{
    bool ended = false;

    for (struct call *next, *c = call_recv(b->operate.core); c != NULL; c = next) {
        next = c->next;
        c->next = NULL;
        ended = hear_call(b, c) || ended;
    }
    return ended;
}

static void hear_signal(struct broker *b, int signals, bool *stopping)
{
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        reload_ask(b, 0, false);
    } else if (!*stopping) {
        *stopping = true;
        log_info("stop.asked", "signal=%u", info.ssi_signo);
        notify_tell(&b->notify, "STOPPING=1");
        threads_stop(b);
    }
}

static int64_t mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What an operator's peer is waited for. Returns the milliseconds until its deadline. */
static long mind_operators(const struct broker *b, zmq_pollitem_t *item)
{
    const struct control *c = b->operate.control;

    if (c == NULL || control_until_ms(c) == INT64_MAX)
        item->events = c == NULL ? 0 : ZMQ_POLLIN;
    else
        item->events = (short)((control_events(c) & POLLIN ? ZMQ_POLLIN : 0) |
                               (control_events(c) & POLLOUT ? ZMQ_POLLOUT : 0));
    item->fd = c == NULL ? -1 : control_fd(c);
    if (c == NULL || control_until_ms(c) == INT64_MAX)
        return LONG_MAX;
    int64_t left = control_until_ms(c) - mono_ms();

    return left > 0 ? (long)left : 0;
}

/* Waits for signals and for the core's end; returns once the core has ended. */
static void watch(struct broker *b, int signals)
{
    bool stopping = false;

    for (;;) {
        zmq_pollitem_t items[] = {{.fd = signals, .events = ZMQ_POLLIN},
                                  {.socket = b->operate.core, .events = ZMQ_POLLIN},
                                  {.fd = -1}};
        long wait = mind_time(b), operators = mind_operators(b, &items[2]);

        if (zmq_poll(items, items[2].events != 0 ? 3 : 2,
                     operators < wait ? operators : wait) < 0 &&
            zmq_errno() != EINTR)
            return;
        if ((items[0].revents & ZMQ_POLLIN) != 0)
            hear_signal(b, signals, &stopping);
        if ((items[1].revents & ZMQ_POLLIN) != 0 && hear_core(b))
            break;
        if (b->operate.control != NULL)
            control_step(b->operate.control, mono_ms());
    }
    pthread_join(b->core_thread, NULL);
    for (unsigned g = 0; !stopping && g < b->conf.gates; g++)
        pthread_join(b->gate_threads[g], NULL); /* CALL_ENDED has reached them too */
}

static void release(struct broker *b)
{
    page_close(b->page);
    control_close(b->operate.control);
    notify_close(&b->notify);
    for (unsigned g = 0; g < CONF_GATES_MAX; g++)
        gate_free(b->gates[g]);
    if (b->operate.core != NULL)
        zmq_close(b->operate.core);
    core_free(b->core);
    newlog_free(&b->newlog);
    signing_end(b);
    if (b->zmq != NULL)
        zmq_ctx_term(b->zmq);
    for (size_t i = 0; i < b->n_listeners; i++)
        close(b->listeners[i]);
    reload_free(b);
    conf_free(&b->conf);
}

/* ------------------------------------------------------------ commands */

/* Signals are blocked before the first thread starts, so that all of them inherit it. */
static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static const struct command COMMANDS[]; /* `run` is the first */

/* What stands behind `run`. */
struct run_words {
    const char *settings, *note;
    bool anyway;
};

static int run_broker(const struct run_words *w)
{
    const char *path = w->settings;
    struct broker b = {
        .settings = path,
        .newlog = {.path = w->note, .anyway = w->anyway},
        .notify.fd = -1,
    };
    char why[1024] = "";
    enum liaison_code code = conf_load(path, &b.now.conf, stderr);

    if (code != LIAISON_OK)
        return file_hint(code);
    b.conf =
        b.now
            .conf; /* its texts live as long as the process, its rules until the next reload */
    b.conf.rules = NULL;
    b.now.conf.arena = NULL;
    ends_begin(&b);
    log_level(b.conf.log);
    int signals = block_signals();

    code = signals < 0 ? LIAISON_INTERNAL : start(&b, why, sizeof why);
    if (code != LIAISON_OK) {
        int status = failed(code, signals < 0 ? "signalfd failed" : why);

        if (signals >= 0)
            close(signals);
        release(&b);
        return status;
    }
    for (size_t i = 0; i < b.n_listeners; i++)
        log_info("start.ready", "broker=%s address=%s port=%u network=%s",
                 b.now.self.name, b.conf.listen[i].address, listen_port(b.listeners[i]),
                 rules_network(b.now.conf.rules));
    notify_tell(&b.notify, "READY=1");
    watch(&b, signals);
    code = b.core_ended;
    log_info("stop.done", "code=%s", err_name(code));
    close(signals);
    release(&b);
    return err_exit(code);
}

static int cmd_run(int argc, char *const *argv)
{
    struct run_words w = {0};

    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : "";
        bool settings = strcmp(word, "-c") == 0, note = strcmp(word, "--new-log") == 0;

        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return command_usage(COMMANDS);
        if ((settings || note) && next[0] == '\0')
            return command_misused(COMMANDS, word,
                                   settings ? "wants a FILE" : "wants a NOTE");
        if (strcmp(word, "--anyway") == 0)
            w.anyway = true;
        else if (word[0] == '-' && !settings && !note)
            return command_misused(COMMANDS, word, "is no option here");
        else if (note ? w.note != NULL : w.settings != NULL)
            return command_misused(COMMANDS, settings || note ? next : word,
                                   "is too much");
        else if (note)
            w.note = argv[++i];
        else
            w.settings = settings ? argv[++i] : word;
    }
    if (w.anyway && w.note == NULL)
        return command_misused(COMMANDS, "--anyway", "belongs to --new-log");
    if (w.settings == NULL)
        w.settings = DEFAULT_SETTINGS;
    return run_broker(&w);
}

static int cmd_check(const char *path)
{
    return err_exit(conf_check(path, stdout, stderr));
}

static int cmd_template(const char *path)
{
    (void)path;
    conf_print_template(stdout);
    return EX_OK;
}

static enum liaison_code load_place(const char *path, void *arg, struct notary_place *out)
{
    struct conf *c = arg;
    enum liaison_code code = conf_load(path, c, stderr);

    if (code == LIAISON_OK)
        *out = signing_place(c, ""); /* by hand no log begins */
    return code;
}

static int cmd_notary(int argc, char *const *argv)
{
    struct conf c = {0};
    int status = notary_command(argc, argv, DEFAULT_SETTINGS, load_place, &c);

    conf_free(&c);
    return status;
}

static const struct command COMMANDS[] = {
    {"run", "[--new-log NOTE [--anyway]] [-c FILE]",
     "run the broker in the foreground; SIGHUP does what liaisond reload does; "
     "--new-log: a restored store goes on as another log, behind the last "
     "checkpoint of this one",
     "liaisond run -c /etc/liaison/liaisond.conf", true, NULL, cmd_run},
    {"check", "[FILE]", "check settings and rules, all errors in one run",
     "liaisond check rules.conf", true, cmd_check, NULL},
    {"test", "FILE", "run the tests that stand in the rules, a line for each",
     "liaisond test rules.conf", false, NULL, test_command},
    {"fmt", "FILE", "print a file in the one layout; --write: into the file; --check: only say",
     "liaisond fmt rules.conf --write", false, NULL, fmt_command},
    {"explain", "FILE ...", "what the rules say about one question, and which lines",
     "liaisond explain rules.conf --type referral --category mentoring ...", true, NULL,
     explain_command},
    {"diff", "OLD NEW", "every decision that a change of rules changes; exit 0 if nothing is widened",
     "liaisond diff rules.conf rules.new.conf", false, NULL, diff_command},
    {"backup", "[-c FILE] [--json] DIR",
     "copy the store into a new folder while the broker runs, and verify the copy",
     "liaisond backup /var/backups/liaison/2026-11-27", false, NULL, backup_command},
    {"erase", "--basis WORD --officer NUMBER --referral FROM/ID ...",
     "erase referrals for good: the broker that runs does it and says under which entry",
     "liaisond erase --basis law --officer 4711 --referral fr/lyon/prison/01890a5d...",
     false, NULL, erase_command},
    {"reload", "[--wait] [--json] [-c FILE | --control SOCKET]",
     "settings, rules, trust, certificate and directory are read again, judged, and put "
     "into force while the broker runs, as SIGHUP does: all of it or, with what is wrong "
     "printed, nothing; --wait: returns once live sessions were checked again too",
     "liaisond reload --wait", false, NULL, reload_command},
    {"clock", "confirm [-c FILE]",
     "tell the broker that runs that the wall clock is right, after it stepped",
     "liaisond clock confirm", false, NULL, clock_command},
    {"notary", "COMMAND ...",
     "show, adopt, rotate: the log's key; see liaisond notary --help",
     "liaisond notary show --policy", false, NULL, cmd_notary},
    {"template", "", "print settings and rules to start from",
     "liaisond template > liaisond.conf", false, cmd_template, NULL},
};

int main(int argc, char *argv[])
{
    int status = dispatch(COMMANDS, sizeof COMMANDS / sizeof *COMMANDS, argc, argv);

    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EX_OK) {
        fprintf(stderr, "liaisond: standard output cannot be written\n");
        status = EX_IOERR;
    }
    return status;
}
