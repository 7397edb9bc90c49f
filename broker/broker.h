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

/* ------------------------------------------------------------ trust.c */

MUST_CHECK
enum liaison_code trust_read(const struct conf *c, struct tls_trust **trust, char *why, size_t why_len);
MUST_CHECK
enum liaison_code trust_context(const struct conf *c, struct tls_trust *trust, SSL_CTX **context, char *why, size_t why_len);

/* Our own name, from our certificate. */
MUST_CHECK
enum liaison_code trust_self(const struct conf *c, const struct tls_trust *trust, struct tls_identity *self, char *why,
                             size_t why_len);

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

/* ------------------------------------------------------------ reload.c */

/* Reads CRL, certificates and directory again; what is in force stays in force if they are not right. */
void reload_now(struct broker *b);
