#pragma once
/* The running broker, and the files beside main.c that each do one part of its start, of its signals and of its end. On error
 * `why` is a sentence. */
#include <pthread.h>
#include <sys/types.h>

#include "broker/conf/conf.h"
#include "broker/core/core.h"
#include "broker/newlog.h"
#include "broker/notary/command.h"
#include "broker/operate.h"
#include "broker/ops/expiry.h"
#include "broker/ops/metrics.h"
#include "broker/ops/notify.h"
#include "broker/ops/page.h"
#include "broker/session/gate.h"
#include "proto/tls.h"

/* When each member's last published sealing certificate ends. */
struct sealing {
    struct sealing_end *list; /* by name */
    size_t n;
};

/* What may be read again while the broker runs. */
struct in_force {
    struct conf conf;
    struct tls_trust *trust;
    SSL_CTX *context;
    struct tls_identity self;
    struct sealing sealing;
};

/* A reload on its way: the core has to take it, then every gate, and then look at its live sessions. */
struct reloading {
    struct in_force fresh, before; /* before: released once nobody uses it */
    bool core;                     /* the core has yet to answer */
    unsigned gates;                /* that have yet to say that they have it in force */
    uint64_t cut;                  /* live sessions, so far */
    uint64_t ticket;               /* of the operator who is told; 0: nobody */
    bool wait;                     /* not before it is done */
    bool again;                    /* somebody has asked meanwhile: once more, with the next two */
    uint64_t next_ticket;
    bool next_wait;
};

struct broker {
    struct conf conf; /* as it was started with, but for its rules */
    struct in_force now;
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
    struct call_time time; /* the ledger's, for the gates */
    struct page *page; /* NULL: nobody asked for one */
    struct notify notify;
    int64_t watchdog_at_ms; /* when to tell the service manager again */
    struct expiry crl_end, own_end;
    struct reloading reload;
    struct old_trust *old_trust; /* that live sessions began under */
    time_t look_at; /* when to look at these again */
};

/* ------------------------------------------------------------ trust.c */

MUST_CHECK
enum liaison_code trust_read(const struct conf *c, struct tls_trust **trust, char *why, size_t why_len);
MUST_CHECK
enum liaison_code trust_context(const struct conf *c, struct tls_trust *trust, SSL_CTX **context, char *why, size_t why_len);

/* Our own name, from our certificate. */
MUST_CHECK
enum liaison_code trust_self(const struct conf *c, const struct tls_trust *trust, struct tls_identity *self, char *why,
                             size_t why_len);

/* LIAISON_OK if our key signs now. A token that the sandbox shuts out would answer nobody, and tell nobody why: LIAISON_CONFIG. */
MUST_CHECK
enum liaison_code trust_try_key(const struct broker *b, char *why, size_t why_len);

/* ------------------------------------------------------------ privilege.c */

/* Becomes `user` (NULL: stays who we are), and can become nobody else from then on. */
MUST_CHECK
enum liaison_code privilege_drop(const char *user, char *why, size_t why_len);

/* ------------------------------------------------------------ signing.c */

struct notary_place signing_place(const struct conf *c, const char *origin);
MUST_CHECK
enum liaison_code signing_start(struct broker *b, char *why, size_t why_len);
void signing_end(struct broker *b);

/* ------------------------------------------------------------ listen.c */

MUST_CHECK
enum liaison_code listen_open(struct broker *b, char *why, size_t why_len);
uint16_t listen_port(int fd);

/* Every session is a descriptor; the soft limit is often 1024. */
void listen_descriptors(const struct conf *c);

/* ------------------------------------------------------------ places.c */

/* Twice: before the first thread, which libzmq starts with the core, with the store yet to be opened; and then without it. */
int places_files(const struct broker *b, bool store);
void places_confine(const struct broker *b);

/* ------------------------------------------------------------ threads.c */

struct gate_settings threads_gate_settings(struct broker *b, unsigned number);

MUST_CHECK
enum liaison_code threads_core(struct broker *b, char *why, size_t why_len);
MUST_CHECK
enum liaison_code threads_connect(struct broker *b, char *why, size_t why_len);
MUST_CHECK
enum liaison_code threads_start(struct broker *b, char *why, size_t why_len);

/* Gates first, so that every call taken is answered; then the core. */
void threads_stop(struct broker *b);

/* ------------------------------------------------------------ ends.c */

void ends_begin(struct broker *b);

/* Tells /readyz, and whoever draws curves. */
void ends_tell(struct broker *b);

/* Says what ends soon. Returns the milliseconds until the next look. */
int64_t ends_mind(struct broker *b);

/* ------------------------------------------------------------ sealing.c */

/* Gives: *out, to be released with sealing_free(). Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code sealing_read(const struct directory *d, struct sealing *out);
void sealing_free(struct sealing *s);

/* What was said of the same ends is not said again. */
void sealing_follow(struct sealing *fresh, const struct sealing *was);

int64_t sealing_first(const struct sealing *s); /* seconds since 1970; 0: there is none */

/* Says whose ends soon, once for each step. Returns the seconds until the next look. */
int64_t sealing_mind(struct sealing *s, int64_t now_unix);

/* ------------------------------------------------------------ reload.c */

/* Reads settings, rules, trust, certificate and directory again and puts all of it into force, or nothing. `ticket`: of the operator
 * who is told, at once, or with `wait` when gates and core have it in force and live sessions were checked again; 0: nobody is. */
void reload_ask(struct broker *b, uint64_t ticket, bool wait);

/* What the core and the gates say of it. Take c. */
void reload_answer(struct broker *b, struct call *c);
void reload_checked(struct broker *b, struct call *c);

/* Releases trust that no session uses any more. */
void reload_forget(struct broker *b);
void reload_free(struct broker *b);

/* ------------------------------------------------------------ restart.c */

/* Called with the name of a setting. */
typedef void restart_name(void *arg, const char *name);

/* Names each setting that differs from what the broker was started with and that only a restart changes. Returns how many. */
unsigned restart_needed(const struct conf *started, const struct conf *fresh, restart_name *name, void *arg);
