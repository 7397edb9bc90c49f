/* The core and the gates: made from the settings, started, stopped. */
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "broker/broker.h"
#include "proto/err.h"
#include "proto/valid.h"

enum liaison_code threads_core(struct broker *b, char *why, size_t why_len)
{
    const struct conf *c = &b->conf;
    struct core_settings s = {
        .zmq = b->zmq,
        .gates = c->gates,
        .store_url = c->store_url,
        .store = {.map_bytes = c->map_bytes, .reserve_bytes = c->reserve_bytes},
        .key_file = c->store_key,
        .rules = b->now.conf.rules,
        .trust = b->now.trust,
        .broker = b->now.self.name,
        .lease_ms = c->limits.lease_ms,
        .window = VALID_REPEATED_MAX,
        .window_bytes = 256ULL << 20,
        .page = (uint32_t)c->limits.page,
        .page_bytes = (uint32_t)(c->limits.message_bytes / 2),
        .metrics = &b->metrics,
        .time = &b->time,
    };
    enum liaison_code code = directory_load(c->directory, b->now.trust, time(NULL),
                                            &s.directory, why, why_len);

    if (code != LIAISON_OK)
        return code;
    if (sealing_read(s.directory, &b->now.sealing) != LIAISON_OK) {
        directory_free(s.directory);
        snprintf(why, why_len, "%s", err_text(LIAISON_MEMORY));
        return LIAISON_MEMORY;
    }
    ends_tell(b);
    memcpy(s.settings, b->now.conf.sha256, sizeof s.settings);
    s.last_note = b->newlog.note;
    s.notary = b->notary; /* handed over */
    s.witnesses = b->witnesses;
    b->notary = NULL;
    b->witnesses = NULL;
    return core_new(&s, &b->core, why, why_len);
}

struct gate_settings threads_gate_settings(struct broker *b, unsigned number)
{
    const struct conf_limits *l = &b->now.conf.limits;
    struct gate_settings s;

    gate_defaults(&s);
    s.number = number;
    s.zmq_context = b->zmq;
    s.listeners = b->listeners;
    s.n_listeners = b->n_listeners;
    s.context = b->now.context;
    s.trust = b->now.trust;
    s.rules = b->now.conf.rules;
    s.network = rules_network(b->now.conf.rules);
    s.broker = b->now.self.name;
    s.message_bytes = (uint32_t)l->message_bytes;
    s.sections = (uint32_t)l->sections;
    s.window = (uint32_t)l->window;
    s.page = (uint32_t)l->page;
    s.credit_bytes = l->credit_bytes;
    s.sessions = (unsigned)b->conf.limits.sessions;
    s.per_agency = (unsigned)l->sessions_per_agency;
    s.per_address = (unsigned)l->sessions_per_address;
    s.handshakes = (unsigned)l->handshakes;
    s.tls_ms = (int64_t)l->tls_timeout_ms;
    s.zmtp_ms = (int64_t)l->zmtp_timeout_ms;
    s.hello_ms = (int64_t)l->hello_timeout_ms;
    s.ping_ms = (int64_t)l->ping_ms;
    s.idle_ms = (int64_t)l->idle_ms;
    s.metrics = &b->metrics;
    s.time = &b->time;
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

enum liaison_code threads_start(struct broker *b, char *why, size_t why_len)
{
    enum liaison_code code = LIAISON_OK;

    for (unsigned g = 0; g < b->conf.gates && code == LIAISON_OK; g++) {
        const struct gate_settings s = threads_gate_settings(b, g);

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

enum liaison_code threads_connect(struct broker *b, char *why, size_t why_len)
{
    char address[32];

    b->operate.core = zmq_socket(b->zmq, ZMQ_PAIR);
    if (b->operate.core != NULL &&
        zmq_connect(b->operate.core, call_address(b->conf.gates, address)) == 0)
        return LIAISON_OK;
    snprintf(why, why_len, "zmq: %s", zmq_strerror(zmq_errno()));
    return LIAISON_INTERNAL;
}

void threads_stop(struct broker *b)
{
    for (unsigned g = 0; g < b->conf.gates; g++)
        gate_stop(b->gates[g]);
    for (unsigned g = 0; g < b->conf.gates; g++)
        pthread_join(b->gate_threads[g], NULL);
    struct call *c = call_new(CALL_STOP, 0);

    if (c != NULL && call_send(b->operate.core, c) != LIAISON_OK)
        call_free(c);
}
