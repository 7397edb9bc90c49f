/* liaisond: the order of start-up, and what signals do. Everything else has a room of its own.
 *
 * Order: settings and rules; trust, certificate; notary; our key; listening sockets; drop of privilege; store and its key
 * file; core; gates. The notary leaves before our key is read, and no byte of a peer is read before privilege is dropped. */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/command.h"
#include "broker/conf/conf.h"
#include "broker/conf/explain.h"
#include "broker/core/call.h"
#include "broker/core/core.h"
#include "broker/newlog.h"
#include "broker/notary/command.h"
#include "broker/operate.h"
#include "broker/ops/expiry.h"
#include "broker/ops/log.h"
#include "broker/ops/notify.h"
#include "broker/ops/page.h"
#include "broker/ops/sandbox.h"
#include "broker/session/gate.h"
#include "proto/err.h"
#include "proto/tls.h"
#include "proto/valid.h"
#include "proto/version.h"

struct broker {
    struct conf conf;
    struct tls_trust *trust;
    SSL_CTX *context;
    struct tls_identity self;
    struct notary *notary; /* the core's, once there is one; so are the witnesses */
    pid_t notary_pid;
    struct note_policy *witnesses; /* NULL: the settings name none */
    struct newlog newlog;
    int listeners[CONF_LISTEN_MAX];
    size_t n_listeners;
    void *zmq;
    struct operate operate; /* operators' socket, and main's pair with the core */
    struct core *core;
    struct gate *gates[CONF_GATES_MAX];
    pthread_t core_thread, gate_threads[CONF_GATES_MAX];
    enum liaison_code core_ended; /* how core_run() ended; read after the join */
    const char *settings;         /* the file's path */
    struct metrics metrics;
    struct page *page; /* NULL: nobody asked for one */
    struct notify notify;
    int64_t watchdog_at_ms; /* when to tell the service manager again */
    struct expiry crl_end, own_end;
    time_t look_at; /* when to look at these again */
};

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

/* How long before the end it is said that something ends. */
static const int64_t CRL_STEPS[] = {DAY_S, 6 * HOUR_S};
static const int64_t OWN_STEPS[] = {30 * DAY_S, 14 * DAY_S, 7 * DAY_S, DAY_S};

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

/* ------------------------------------------------------------ trust */

static enum liaison_code load_trust(const struct conf *c, struct tls_trust **trust,
                                    char *why, size_t why_len)
{
    return tls_trust_load(rules_network(c->rules), c->ca, c->crl, time(NULL), trust, why,
                          why_len);
}

static enum liaison_code load_context(const struct conf *c, struct tls_trust *trust,
                                      SSL_CTX **context, char *why, size_t why_len)
{
    return tls_context(trust, TLS_SERVER_SIDE, c->certificate, c->key, context, why,
                       why_len);
}

/* Our own name, from our certificate. */
static enum liaison_code load_self(const struct conf *c, const struct tls_trust *trust,
                                   struct tls_identity *self, char *why, size_t why_len)
{
    uint8_t *der;
    size_t len;
    enum liaison_code code =
        tls_load_certificate(c->certificate, &der, &len, why, why_len);

    if (code != LIAISON_OK)
        return code;
    code = tls_check_der(trust, slice(der, len), TLS_USE_BROKER, time(NULL), self, why,
                         why_len);
    OPENSSL_free(der);
    return code;
}

/* ------------------------------------------------------------ privilege */

static enum liaison_code drop_privilege(const char *user, char *why, size_t why_len)
{
    if (user != NULL && geteuid() == 0) {
        const struct passwd *p = getpwnam(user);

        if (p == NULL || setgroups(0, NULL) != 0 ||
            setresgid(p->pw_gid, p->pw_gid, p->pw_gid) != 0 ||
            setresuid(p->pw_uid, p->pw_uid, p->pw_uid) != 0) {
            snprintf(why, why_len, "user %s: %s", user,
                     p == NULL ? "there is no such user" : strerror(errno));
            return LIAISON_CONFIG;
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        snprintf(why, why_len, "prctl: %s", strerror(errno));
        return LIAISON_INTERNAL;
    }
    return LIAISON_OK;
}

/* ------------------------------------------------------------ notary */

enum { NOTARY_MS = 10000, FIRST_LOG = 1 };

static struct notary_place notary_place_of(const struct conf *c, const char *origin)
{
    return (struct notary_place){
        .settings = {.key_file = c->notary_key,
                     .state_file = c->notary_state,
                     .origin = origin,
                     .user = c->notary_user != NULL ? c->notary_user : c->user},
        .policy = c->witnesses};
}

/* Our log's key counts in the policy, whatever the file says of it. */
static enum liaison_code load_witnesses(struct broker *b, char *why, size_t why_len)
{
    struct notary_answer *a = malloc(sizeof *a);
    enum liaison_code code = a == NULL ? LIAISON_MEMORY : notary_ask_status(b->notary);

    if (code == LIAISON_OK)
        code = notary_wait(b->notary, NOTARY_MS, a);
    if (code == LIAISON_OK)
        code =
            notary_policy(b->conf.witnesses, &a->status.key, &b->witnesses, why, why_len);
    else
        snprintf(why, why_len, "the notary does not answer: %s", err_text(code));
    free(a);
    return code;
}

static enum liaison_code start_notary(struct broker *b, char *why, size_t why_len)
{
    char origin[NOTE_NAME_MAX + 1];
    int fd, prefix = snprintf(origin, sizeof origin, "%s/%s",
                              rules_network(b->conf.rules), b->self.name);
    const struct notary_place place = notary_place_of(&b->conf, origin);
    enum liaison_code code = LIAISON_OK;

    if (prefix < 0 || (size_t)prefix > sizeof origin - sizeof "/4294967295") {
        snprintf(why, why_len, "network and broker's name are too long for a log's name");
        return LIAISON_CONFIG;
    }
    if (b->newlog.path != NULL)
        code = newlog_prepare(&b->newlog, &b->conf, &place.settings, origin,
                              drop_privilege, why, why_len);
    snprintf(origin + prefix, sizeof origin - (size_t)prefix, "/%d", FIRST_LOG);
    if (code == LIAISON_OK)
        code = notary_start(&place.settings, &fd, &b->notary_pid, why, why_len);
    if (code != LIAISON_OK)
        return code;
    b->notary = notary_new(fd);
    if (b->notary == NULL) {
        close(fd);
        return LIAISON_MEMORY;
    }
    return b->conf.witnesses == NULL ? LIAISON_OK : load_witnesses(b, why, why_len);
}

static void end_notary(struct broker *b)
{
    notary_free(b->notary);
    note_policy_free(b->witnesses);
    if (b->notary_pid > 0)
        waitpid(b->notary_pid, NULL, 0);
}

/* ------------------------------------------------------------ sockets */

static enum liaison_code listen_on(const struct conf_listen *where, int *out, char *why,
                                   size_t why_len)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(where->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(where->port)};
    bool is_four = inet_pton(AF_INET, where->address, &four.sin_addr) == 1;
    const int on = 1;

    if (!is_four && inet_pton(AF_INET6, where->address, &six.sin6_addr) != 1) {
        snprintf(why, why_len, "listen %s: not a numeric address", where->address);
        return LIAISON_CONFIG;
    }
    int fd = socket(is_four ? AF_INET : AF_INET6,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const struct sockaddr *address =
        is_four ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
    socklen_t len = is_four ? sizeof four : sizeof six;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, address, len) != 0 || listen(fd, SOMAXCONN) != 0) {
        snprintf(why, why_len, "listen %s port %u: %s", where->address, where->port,
                 strerror(errno));
        if (fd >= 0)
            close(fd);
        return LIAISON_CONFIG;
    }
    *out = fd;
    return LIAISON_OK;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage s;
    socklen_t len = sizeof s;

    if (getsockname(fd, (struct sockaddr *)&s, &len) != 0)
        return 0;
    return ntohs(s.ss_family == AF_INET ? ((struct sockaddr_in *)&s)->sin_port
                                        : ((struct sockaddr_in6 *)&s)->sin6_port);
}

static enum liaison_code listen_all(struct broker *b, char *why, size_t why_len)
{
    for (size_t i = 0; i < b->conf.n_listen; i++) {
        enum liaison_code code =
            listen_on(&b->conf.listen[i], &b->listeners[i], why, why_len);

        if (code != LIAISON_OK)
            return code;
        b->n_listeners++;
    }
    return LIAISON_OK;
}

/* Every session is a descriptor; the soft limit is often 1024. */
static void allow_descriptors(const struct conf *c)
{
    struct rlimit r;
    rlim_t wanted = c->limits.sessions * c->gates + 256;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= wanted)
        return;
    r.rlim_cur = r.rlim_max < wanted ? r.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur < wanted)
        log_warn("start.descriptors", "allowed=%llu wanted=%llu what=%s",
                 (unsigned long long)r.rlim_cur, (unsigned long long)wanted,
                 "raise LimitNOFILE or lower limit sessions");
}

/* ------------------------------------------------------------ sandbox */

static const char *store_folder(const struct conf *c)
{
    return c->store_url + strcspn(c->store_url, ":") + 1;
}

/* Twice: before the first thread, which libzmq starts with the core, with the store yet to be opened; and then without it. What
 * SIGHUP reads must stay readable. */
static int confine_files(const struct broker *b, bool store)
{
    const struct conf *c = &b->conf;
    const struct sandbox_place places[] = {
        {SANDBOX_FILE, c->ca},
        {SANDBOX_FILE, c->crl},
        {SANDBOX_FILE, c->certificate},
        {SANDBOX_FILE, tls_key_in_token(c->key) ? NULL : c->key},
        {SANDBOX_READ, c->pkcs11},
        {SANDBOX_FILE, c->rules_file},
        {SANDBOX_FILE, b->settings},
        {SANDBOX_FOLDER, c->directory},
        {SANDBOX_MAKE, store ? store_folder(c) : NULL},
        {SANDBOX_MAKE, store ? c->store_key : NULL},
    };

    return sandbox_files(places, sizeof places / sizeof *places);
}

static void confine(const struct broker *b)
{
    int files = confine_files(b, false);
    bool calls = sandbox_calls();

    if (files > 0 && calls)
        log_info("sandbox.on", "landlock=%d seccomp=on", files);
    else
        log_warn("sandbox.part", "landlock=%d seccomp=%s what=\"%s\"", files,
                 calls ? "on" : "off", "this kernel or container gives us no more");
}

/* A token that the sandbox shuts out would answer nobody, and say so to nobody either. */
static enum liaison_code try_key(const struct broker *b, char *why, size_t why_len)
{
    if (tls_context_signs(b->context))
        return LIAISON_OK;
    snprintf(why, why_len, "%s: the token does not sign%s", b->conf.key,
             b->conf.sandbox && sandbox_fits()
                 ? " inside the sandbox; if it keeps files, name their folder with the "
                   "setting pkcs11"
                 : "");
    return LIAISON_CONFIG;
}

/* ------------------------------------------------------------ threads */

static enum liaison_code make_core(struct broker *b, char *why, size_t why_len)
{
    const struct conf *c = &b->conf;
    struct core_settings s = {
        .zmq = b->zmq,
        .gates = c->gates,
        .store_url = c->store_url,
        .store = {.map_bytes = c->map_bytes, .reserve_bytes = c->reserve_bytes},
        .key_file = c->store_key,
        .rules = c->rules,
        .trust = b->trust,
        .broker = b->self.name,
        .lease_ms = c->limits.lease_ms,
        .window = VALID_REPEATED_MAX,
        .window_bytes = 256ULL << 20,
        .page = (uint32_t)c->limits.page,
        .page_bytes = (uint32_t)(c->limits.message_bytes / 2),
        .metrics = &b->metrics,
    };
    enum liaison_code code =
        directory_load(c->directory, b->trust, time(NULL), &s.directory, why, why_len);

    if (code != LIAISON_OK)
        return code;
    s.last_note = b->newlog.note;
    s.notary = b->notary; /* handed over */
    s.witnesses = b->witnesses;
    b->notary = NULL;
    b->witnesses = NULL;
    return core_new(&s, &b->core, why, why_len);
}

static struct gate_settings gate_settings_of(struct broker *b, unsigned number)
{
    const struct conf_limits *l = &b->conf.limits;
    struct gate_settings s;

    gate_defaults(&s);
    s.number = number;
    s.zmq_context = b->zmq;
    s.listeners = b->listeners;
    s.n_listeners = b->n_listeners;
    s.context = b->context;
    s.trust = b->trust;
    s.rules = b->conf.rules;
    s.network = rules_network(b->conf.rules);
    s.broker = b->self.name;
    s.message_bytes = (uint32_t)l->message_bytes;
    s.sections = (uint32_t)l->sections;
    s.window = (uint32_t)l->window;
    s.page = (uint32_t)l->page;
    s.credit_bytes = l->credit_bytes;
    s.sessions = (unsigned)l->sessions;
    s.per_agency = (unsigned)l->sessions_per_agency;
    s.per_address = (unsigned)l->sessions_per_address;
    s.handshakes = (unsigned)l->handshakes;
    s.tls_ms = (int64_t)l->tls_timeout_ms;
    s.zmtp_ms = (int64_t)l->zmtp_timeout_ms;
    s.hello_ms = (int64_t)l->hello_timeout_ms;
    s.ping_ms = (int64_t)l->ping_ms;
    s.idle_ms = (int64_t)l->idle_ms;
    s.metrics = &b->metrics;
    return s;
}

static void *run_core(void *arg)
{
    struct broker *b = arg;

    pthread_setname_np(pthread_self(), "liaison-core");
    b->core_ended = core_run(b->core);
    return NULL;
}

static void *run_gate(void *arg)
{
    pthread_setname_np(pthread_self(), "liaison-gate");
    gate_run(arg);
    return NULL;
}

static enum liaison_code start_threads(struct broker *b, char *why, size_t why_len)
{
    enum liaison_code code = LIAISON_OK;

    for (unsigned g = 0; g < b->conf.gates && code == LIAISON_OK; g++) {
        const struct gate_settings s = gate_settings_of(b, g);

        code = gate_new(&s, &b->gates[g]);
    }
    if (code == LIAISON_OK && pthread_create(&b->core_thread, NULL, run_core, b) != 0)
        code = LIAISON_MEMORY;
    for (unsigned g = 0; g < b->conf.gates && code == LIAISON_OK; g++)
        if (pthread_create(&b->gate_threads[g], NULL, run_gate, b->gates[g]) != 0)
            code = LIAISON_MEMORY;
    if (code != LIAISON_OK)
        snprintf(why, why_len, "cannot start a thread: %s", err_text(code));
    return code;
}

static enum liaison_code connect_control(struct broker *b, char *why, size_t why_len)
{
    char address[32];

    b->operate.core = zmq_socket(b->zmq, ZMQ_PAIR);
    if (b->operate.core != NULL &&
        zmq_connect(b->operate.core, call_address(b->conf.gates, address)) == 0)
        return LIAISON_OK;
    snprintf(why, why_len, "zmq: %s", zmq_strerror(zmq_errno()));
    return LIAISON_INTERNAL;
}

/* What /readyz and whoever draws curves must know. */
static void tell_ends(struct broker *b)
{
    metrics_set(&b->metrics, METRIC_CRL_ENDS, (uint64_t)tls_trust_crl_ends(b->trust));
    metrics_set(&b->metrics, METRIC_CERT_ENDS, (uint64_t)b->self.not_after_unix);
}

/* Everything that needs a name in the file system or a socket of its own, before the sandbox. */
static enum liaison_code open_doors(struct broker *b, char *why, size_t why_len)
{
    notify_open(&b->notify);
    metrics_set(&b->metrics, METRIC_STORE_MAP, b->conf.map_bytes);
    tell_ends(b);
    enum liaison_code code =
        b->conf.metrics == NULL
            ? LIAISON_OK
            : page_open(b->conf.metrics, &b->metrics, &b->page, why, why_len);

    return code != LIAISON_OK || b->conf.control == NULL
               ? code
               : operate_open(&b->operate, b->conf.control, why, why_len);
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

    if ((code = load_trust(&b->conf, &b->trust, why, why_len)) != LIAISON_OK ||
        (code = load_self(&b->conf, b->trust, &b->self, why, why_len)) != LIAISON_OK ||
        (code = start_notary(b, why, why_len)) != LIAISON_OK ||
        (code = load_context(&b->conf, b->trust, &b->context, why, why_len)) !=
            LIAISON_OK ||
        (code = listen_all(b, why, why_len)) != LIAISON_OK ||
        (code = drop_privilege(b->conf.user, why, why_len)) !=
            LIAISON_OK) /* the store is its user's */
        return code;
    allow_descriptors(&b->conf);
    if ((code = open_doors(b, why, why_len)) != LIAISON_OK)
        return code;
    if (confined)
        confine_files(b, true);
    b->zmq = zmq_ctx_new();
    if (b->zmq == NULL) {
        snprintf(why, why_len, "zmq: %s", zmq_strerror(zmq_errno()));
        return LIAISON_MEMORY;
    }
    if ((code = make_core(b, why, why_len)) != LIAISON_OK ||
        (code = connect_control(b, why, why_len)) != LIAISON_OK)
        return code;
    if (confined)
        confine(b);
    else
        log_warn("sandbox.off", "why=\"%s\"",
                 sandbox_fits() ? "the settings say so" : "built with a sanitizer");
    if ((code = try_key(b, why, why_len)) != LIAISON_OK)
        return code;
    code = start_threads(b, why, why_len);
    return code == LIAISON_OK ? open_page(b, why, why_len) : code;
}

/* ------------------------------------------------------------ signals */

/* Our certificate under other trust. The gates and the ledger know us by one name. */
static enum liaison_code load_again(const struct broker *b, const struct tls_trust *trust,
                                    struct tls_identity *self, char *why, size_t why_len)
{
    enum liaison_code code = load_self(&b->conf, trust, self, why, why_len);

    if (code == LIAISON_OK && strcmp(self->name, b->self.name) != 0) {
        snprintf(why, why_len, "%s: it is for %s, this broker is %s", b->conf.certificate,
                 self->name, b->self.name);
        code = LIAISON_IDENTITY;
    }
    return code;
}

/* Reads CRL, certificates and directory again; what is in force stays in force if they are not right. */
static void reload(struct broker *b)
{
    struct call *c = call_new(CALL_RELOAD, 0);
    struct tls_trust *trust = NULL;
    struct tls_identity self;
    SSL_CTX *context = NULL;
    char why[1024] = "out of memory";

    if (c == NULL || load_trust(&b->conf, &trust, why, sizeof why) != LIAISON_OK ||
        load_context(&b->conf, trust, &context, why, sizeof why) != LIAISON_OK ||
        tls_trust_follows(trust, b->trust, why, sizeof why) != LIAISON_OK ||
        load_again(b, trust, &self, why, sizeof why) != LIAISON_OK ||
        directory_load(b->conf.directory, trust, time(NULL), &c->directory, why,
                       sizeof why) != LIAISON_OK) {
        log_error("reload.refused", "why=\"%s\" what=%s", why,
                  "what was in force stays in force");
        metrics_add(&b->metrics, METRIC_RELOADS_WRONG, 1);
        SSL_CTX_free(context);
        tls_trust_free(trust);
        call_free(c);
        return;
    }
    for (unsigned g = 0; g < b->conf.gates; g++)
        gate_reload_trust(b->gates[g], context, trust);
    SSL_CTX_free(b->context);
    if (tls_trust_crl_ends(trust) != tls_trust_crl_ends(b->trust))
        expiry_renewed(&b->crl_end);
    if (self.not_after_unix != b->self.not_after_unix)
        expiry_renewed(&b->own_end);
    tls_trust_free(b->trust);
    b->context = context;
    b->trust = trust;
    b->self.not_after_unix = self.not_after_unix;
    b->look_at = 0;
    tell_ends(b);
    metrics_add(&b->metrics, METRIC_RELOADS, 1);
    c->trust = tls_trust_share(trust);
    if (call_send(b->operate.core, c) != LIAISON_OK) {
        tls_trust_free(c->trust);
        directory_free(c->directory);
        call_free(c);
    }
    log_info("reload.done", "crl_ends=%lld", (long long)tls_trust_crl_ends(trust));
}

/* A list that has ended keeps everybody out, and so does our own certificate. */
static int64_t mind_crl(struct broker *b, int64_t now)
{
    int64_t next, left = tls_trust_crl_ends(b->trust) - now;

    switch (expiry_look(&b->crl_end, left, &next)) {
    case EXPIRY_ENDED:
        log_error(
            "crl.ended", "file=%s what=\"%s\"", b->conf.crl,
            "a revocation list has ended: nobody of that CA is let in; put a new one "
            "there and send SIGHUP");
        break;
    case EXPIRY_SOON:
        log_warn("crl.ends", "file=%s in_s=%lld what=\"%s\"", b->conf.crl,
                 (long long)left,
                 "a revocation list ends soon: put a new one there and send SIGHUP");
        break;
    case EXPIRY_QUIET:
        break;
    }
    return next;
}

static int64_t mind_own(struct broker *b, int64_t now)
{
    int64_t next, left = b->self.not_after_unix - now;

    switch (expiry_look(&b->own_end, left, &next)) {
    case EXPIRY_ENDED:
        log_error("certificate.ended", "file=%s what=\"%s\"", b->conf.certificate,
                  "members refuse us: put a new one there and send SIGHUP");
        break;
    case EXPIRY_SOON:
        log_warn("certificate.ends", "file=%s in_s=%lld what=\"%s\"", b->conf.certificate,
                 (long long)left,
                 "our certificate or an issuer's ends soon: put a new one there and send "
                 "SIGHUP");
        break;
    case EXPIRY_QUIET:
        break;
    }
    return next;
}

/* Returns the milliseconds until the next look. */
static int64_t mind_ends(struct broker *b)
{
    time_t now = time(NULL);

    if (now >= b->look_at) {
        int64_t crl = mind_crl(b, now), own = mind_own(b, now);

        b->look_at = now + (crl < own ? crl : own);
    }
    return (b->look_at - now) * 1000;
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
    int64_t ends = mind_ends(b), dog = mind_watchdog(b);

    return (long)(ends < dog ? ends : dog);
}

/* Gates first, so that every call taken is answered; then the core. */
static void stop(struct broker *b)
{
    for (unsigned g = 0; g < b->conf.gates; g++)
        gate_stop(b->gates[g]);
    for (unsigned g = 0; g < b->conf.gates; g++)
        pthread_join(b->gate_threads[g], NULL);
    struct call *c = call_new(CALL_STOP, 0);

    if (c != NULL && call_send(b->operate.core, c) != LIAISON_OK)
        call_free(c);
}

/* What the core says. True: it has ended. */
static bool hear_core(struct broker *b)
{
    struct call *c = call_recv(b->operate.core);
    bool ended = c != NULL && c->kind == CALL_ENDED;

    if (c != NULL && c->kind == CALL_ANSWER)
        operate_answer(&b->operate, c);
    else
        call_free(c);
    return ended;
}

static void hear_signal(struct broker *b, int signals, bool *stopping)
{
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        notify_reloading(&b->notify);
        reload(b);
        notify_tell(&b->notify, "READY=1");
    } else if (!*stopping) {
        *stopping = true;
        log_info("stop.asked", "signal=%u", info.ssi_signo);
        notify_tell(&b->notify, "STOPPING=1");
        stop(b);
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
    end_notary(b);
    if (b->zmq != NULL)
        zmq_ctx_term(b->zmq);
    for (size_t i = 0; i < b->n_listeners; i++)
        close(b->listeners[i]);
    SSL_CTX_free(b->context);
    tls_trust_free(b->trust);
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

struct command {
    const char *name, *args, *help, *example;
    bool takes_file;
    int (*run)(const char *path);
    int (*run_words)(int argc, char *const *argv); /* takes all words behind the name */
};

static const struct command COMMANDS[]; /* `run` is the first */

static int usage_of(const struct command *cmd)
{
    printf("usage: liaisond %s%s%s\n%s\n\nExample:\n  %s\n", cmd->name,
           cmd->args[0] != '\0' ? " " : "", cmd->args, cmd->help, cmd->example);
    if (cmd->takes_file)
        printf("\nFILE is %s unless said otherwise.\n", DEFAULT_SETTINGS);
    return EX_OK;
}

static int misused(const struct command *cmd, const char *word, const char *why)
{
    fprintf(stderr, "liaisond: %s %s; 'liaisond %s --help' shows an example\n", word, why,
            cmd->name);
    return EX_USAGE;
}

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
        .crl_end = {.steps = CRL_STEPS, .n_steps = sizeof CRL_STEPS / sizeof *CRL_STEPS},
        .own_end = {.steps = OWN_STEPS, .n_steps = sizeof OWN_STEPS / sizeof *OWN_STEPS},
    };
    char why[1024] = "";
    enum liaison_code code = conf_load(path, &b.conf, stderr);

    if (code != LIAISON_OK)
        return file_hint(code);
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
        log_info("start.ready", "broker=%s address=%s port=%u network=%s", b.self.name,
                 b.conf.listen[i].address, port_of(b.listeners[i]),
                 rules_network(b.conf.rules));
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
            return usage_of(COMMANDS);
        if ((settings || note) && next[0] == '\0')
            return misused(COMMANDS, word, settings ? "wants a FILE" : "wants a NOTE");
        if (strcmp(word, "--anyway") == 0)
            w.anyway = true;
        else if (word[0] == '-' && !settings && !note)
            return misused(COMMANDS, word, "is no option here");
        else if (note ? w.note != NULL : w.settings != NULL)
            return misused(COMMANDS, settings || note ? next : word, "is too much");
        else if (note)
            w.note = argv[++i];
        else
            w.settings = settings ? argv[++i] : word;
    }
    if (w.anyway && w.note == NULL)
        return misused(COMMANDS, "--anyway", "belongs to --new-log");
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
        *out = notary_place_of(c, ""); /* by hand no log begins */
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
     "run the broker in the foreground; SIGHUP reads CRL, certificates and directory "
     "again; --new-log: a restored store goes on as another log, behind the last "
     "checkpoint of this one",
     "liaisond run -c /etc/liaison/liaisond.conf", true, NULL, cmd_run},
    {"check", "[FILE]", "check settings and rules, all errors in one run",
     "liaisond check rules.conf", true, cmd_check, NULL},
    {"explain", "FILE ...", "what the rules say about one question, and which lines",
     "liaisond explain rules.conf --type referral --category mentoring ...", true, NULL,
     explain_command},
    {"backup", "[-c FILE] [--json] DIR",
     "copy the store into a new folder while the broker runs, and verify the copy",
     "liaisond backup /var/backups/liaison/2026-11-27", false, NULL, backup_command},
    {"erase", "--basis WORD --officer NUMBER --referral FROM/ID ...",
     "erase referrals for good: the broker that runs does it and says under which entry",
     "liaisond erase --basis law --officer 4711 --referral fr/lyon/prison/01890a5d...",
     false, NULL, erase_command},
    {"clock", "confirm [-c FILE]",
     "tell the broker that runs that the wall clock is right, after it stepped",
     "liaisond clock confirm", false, NULL, clock_command},
    {"notary", "COMMAND ...",
     "show, adopt, rotate: the log's key; see liaisond notary --help",
     "liaisond notary show --policy", false, NULL, cmd_notary},
    {"template", "", "print settings and rules to start from",
     "liaisond template > liaisond.conf", false, cmd_template, NULL},
};

enum { N_COMMANDS = sizeof COMMANDS / sizeof *COMMANDS };

static int usage(void)
{
    puts("usage: liaisond COMMAND [ARGUMENT]\n\ncommands:");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-8s %-11s %s\n            example: %s\n", COMMANDS[i].name,
               COMMANDS[i].args, COMMANDS[i].help, COMMANDS[i].example);
    printf("\nFILE is %s unless said otherwise; --version shows the version.\n"
           "\nsettings:\n",
           DEFAULT_SETTINGS);
    conf_print_settings(stdout);
    return EX_OK;
}

/* Runs a command with the words behind its name: at most a file, with or without -c. */
static int run_with_file(const struct command *cmd, int argc, char *const *argv)
{
    const char *path = NULL;

    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return usage_of(cmd);
        if (cmd->takes_file && strcmp(word, "-c") == 0) {
            if (i + 1 == argc || argv[i + 1][0] == '\0')
                return misused(cmd, word, "wants a FILE");
            word = argv[++i];
        } else if (word[0] == '-') {
            return misused(cmd, word, "is no option here");
        }
        if (!cmd->takes_file || path != NULL)
            return misused(cmd, word, "is too much");
        path = word;
    }
    return cmd->run(path != NULL ? path : DEFAULT_SETTINGS);
}

static int run_command(const struct command *cmd, int argc, char *const *argv)
{
    return cmd->run_words != NULL ? cmd->run_words(argc, argv)
                                  : run_with_file(cmd, argc, argv);
}

static int dispatch(int argc, char *argv[])
{
    bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 ||
                             strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0);
    const char *name = argv[help && argc > 2 ? 2 : 1];

    if (argc < 2) {
        fprintf(stderr, "liaisond: which command? 'liaisond --help' lists them\n");
        return EX_USAGE;
    }
    if (help && argc == 2)
        return usage();
    if (strcmp(name, "--version") == 0) {
        puts("liaisond " LIAISON_VERSION_TEXT);
        return EX_OK;
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, COMMANDS[i].name) == 0)
            return help ? usage_of(&COMMANDS[i])
                        : run_command(&COMMANDS[i], argc - 2, argv + 2);
    fprintf(stderr, "liaisond: there is no %s '%s'; 'liaisond --help' lists them\n",
            name[0] == '-' ? "option" : "command", name);
    return EX_USAGE;
}

int main(int argc, char *argv[])
{
    int status = dispatch(argc, argv);

    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EX_OK) {
        fprintf(stderr, "liaisond: standard output cannot be written\n");
        status = EX_IOERR;
    }
    return status;
}
