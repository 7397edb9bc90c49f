/* The core is opened: store, log, notary, keys, parties and pairs, in the order in which one needs the other. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"
#include "proto/valid.h"

const struct store_table TABLES[T__COUNT] = {
    [T_ENTRY] = {"entry", true},        [T_REFERRAL] = {"referral", false},
    [T_BODY] = {"body", false},         [T_ACTION] = {"action", false},
    [T_KNOWN] = {"known", false},       [T_INBOX] = {"inbox", false},
    [T_MAIL] = {"mail", false},         [T_TRAIL] = {"trail", false},
    [T_PARTY] = {"party", false},       [T_MONTH] = {"month", false},
    [T_OPENING] = {"opening", false},   [T_SIGNER] = {"signer", false},
    [T_LOG] = {"log", false},           [T_HASH] = {"hash", true},
    [T_NOTE] = {"note", false},         [T_RULES] = {"rules", false},
    [T_RULE] = {"rule", false},         [T_GROUP] = {"group", false},
    [T_DEADLINE] = {"deadline", false}, [T_BARRED] = {"barred", false},
    [T_KEY] = {"key", false},
};
struct last {
    uint64_t key;
    uint64_t time_ns;
};

static int last_entry(void *arg, struct slice key, struct slice value)
{
    struct last *l = arg;
    struct arena *a = arena_new();
    const void *m;

    (void)key;
    if (a != NULL &&
        valid_decode(&liaison__v1__ledger_entry__descriptor, value, a, &m) == LIAISON_OK)
        l->time_ns = ((const Liaison__V1__LedgerEntry *)m)->time_ns;
    arena_free(a);
    return 1;
}

static int last_key(void *arg, struct slice key, struct slice value)
{
    struct last *l = arg;

    (void)value;
    l->key = key.n == 8 ? be64_get(key.p) : 0;
    return 1;
}

static enum liaison_code read_last(struct core *c)
{
    struct last entry = {0}, referral = {0};
    const struct slice all = slice(NULL, 0);
    enum liaison_code code = store_head(c->store, &c->head);

    if (code == LIAISON_OK)
        code = store_scan_back(c->store, T_ENTRY, all, all, 1, last_entry, &entry);
    if (code == LIAISON_OK)
        code = store_scan_back(c->store, T_REFERRAL, all, all, 1, last_key, &referral);
    c->time_ns = entry.time_ns;
    c->next_number = referral.key + 1;
    return code;
}

void core_evidence(struct core *c, const char *why)
{
    c->evidence = true;
    metrics_set(c->settings.metrics, METRIC_EVIDENCE, 1);
    log_error(
        "log.evidence", "why=\"%s\" what=\"%s\"", why,
        "nothing is taken, written or signed any more; auditors can read what there is. "
        "Keep the store as it is and tell them. See liaisond(8), EVIDENCE");
}

/* Another log begins. What was wrong with the one before stays as it is, and is not looked at again. */
static void leave_behind(struct core *c, const char *why)
{
    c->evidence = false;
    if (log_number(c->log) > 0)
        log_warn("log.left", "log=%s entries=%llu why=\"%s\" what=\"%s\"",
                 log_origin(c->log), (unsigned long long)log_size(c->log),
                 why == NULL ? "its store was rolled back" : why,
                 "a new log begins: hand its key to the members");
}

/* The log, and whether it is what was committed and what was signed. A store that is evidence already, because an older state of it
 * is open, stays so, and no log begins in it: a copy of it, as liaisond backup makes, can hold one. */
static enum liaison_code open_log(struct core *c, char *why, size_t why_len)
{
    bool sound, damaged = c->evidence;
    char unsound[256];
    enum liaison_code code =
        log_open(c->store, c->hash, &c->head, &c->log, &sound, why, why_len);

    if (code != LIAISON_OK)
        return code;
    c->evidence = damaged || !sound;
    snprintf(unsound, sizeof unsound, "%s", why);
    code = notes_open(c, &sound, why, why_len);
    if (code != LIAISON_OK)
        return code;
    if (damaged)
        return summary_open(c);
    if (notes_begin_due(c))
        leave_behind(c, c->evidence ? unsound : NULL);
    else if (c->evidence || !sound)
        core_evidence(c, c->evidence ? unsound : why);
    return summary_open(c);
}

static enum liaison_code bind_pairs(struct core *c)
{
    const int no_limit = 0;

    c->sockets = calloc(c->settings.gates + 1, sizeof *c->sockets);
    if (c->sockets == NULL)
        return LIAISON_MEMORY;
    for (unsigned g = 0; g <= c->settings.gates; g++) {
        char address[32];

        c->sockets[g] = zmq_socket(c->settings.zmq, ZMQ_PAIR);
        if (c->sockets[g] == NULL ||
            zmq_setsockopt(c->sockets[g], ZMQ_SNDHWM, &no_limit, sizeof no_limit) != 0 ||
            zmq_setsockopt(c->sockets[g], ZMQ_LINGER, &no_limit, sizeof no_limit) != 0 ||
            zmq_bind(c->sockets[g], call_address(g, address)) != 0)
            return LIAISON_INTERNAL;
    }
    return LIAISON_OK;
}

/* Not before all is found sound: what may hold more than can be read at this moment stays as it is. */
static enum liaison_code lead(struct core *c, char *why, size_t why_len)
{
    enum liaison_code code =
        c->evidence ? LIAISON_OK : store_lead(c->store, &c->head.epoch);

    if (code != LIAISON_OK)
        snprintf(why, why_len, "%s: %s", c->settings.store_url, err_text(code));
    return code;
}

static enum liaison_code open_store(struct core *c, char *why, size_t why_len)
{
    bool fresh, newest;
    enum liaison_code code =
        store_open(c->settings.store_url, TABLES, T__COUNT, &c->settings.store, &c->store,
                   &fresh, why, why_len);

    if (code != LIAISON_OK)
        return code;
    code = store_lock(c->store, &newest, why, why_len);
    if (code != LIAISON_OK) {
        snprintf(why, why_len, "%s: %s", c->settings.store_url, err_text(code));
        return code;
    }
    if (!newest)
        core_evidence(c, why);
    code = read_last(c);
    if (code != LIAISON_OK) {
        snprintf(why, why_len, "the store cannot be read: %s", err_text(code));
        return code;
    }
    ledger_clock_start(&c->clock, c->time_ns, core_clock_ns(CLOCK_REALTIME),
                       core_clock_ns(CLOCK_BOOTTIME));
    (void)core_time_ns(c); /* for the gates, which start next */
    code = open_log(c, why, why_len);
    if (code != LIAISON_OK)
        return code;
    code = lead(c, why, why_len);
    if (code != LIAISON_OK)
        return code;
    code = groups_load(c, why, why_len);
    if (code != LIAISON_OK)
        return code;
    c->delivery = delivery_new(&(struct delivery_settings){
        .lease_ms = c->settings.lease_ms,
        .window_messages = c->settings.window,
        .window_bytes = c->settings.window_bytes,
        .first_lease = c->head.epoch << 32 | 1,
    });
    code = c->delivery == NULL ? LIAISON_MEMORY : party_load(c);
    return code == LIAISON_OK ? deadline_open(c) : code;
}

enum liaison_code core_new(const struct core_settings *settings, struct core **out,
                           char *why, size_t why_len)
{
    struct core *c = calloc(1, sizeof *c);
    enum liaison_code code = LIAISON_MEMORY;

    snprintf(why, why_len, "%s", err_text(code));
    if (c == NULL)
        return code;
    c->settings = *settings;
    if (c->settings.unsigned_ms == 0)
        c->settings.unsigned_ms = CORE_UNSIGNED_MS;
    if (c->settings.unsigned_entries == 0)
        c->settings.unsigned_entries = CORE_UNSIGNED_ENTRIES;
    snprintf(c->broker, sizeof c->broker, "%s", settings->broker);
    c->settings.broker = c->broker;
    c->settings.rules = rules_share(settings->rules);
    c->settings.trust = tls_trust_share(settings->trust);
    rules_set_id(settings->rules, c->rule_set);
    c->hash = hash_new();
    if (c->hash != NULL)
        code = open_store(c, why, why_len);
    if (code == LIAISON_OK)
        code = bind_pairs(c);
    if (code != LIAISON_OK) {
        core_free(c);
        return code;
    }
    *out = c;
    return LIAISON_OK;
}

/* What still waits in it was asked of a core that has ended. */
static void close_pair(void *socket)
{
    for (struct call *c; socket != NULL && (c = call_recv(socket)) != NULL;)
        core_free_chain(c);
    if (socket != NULL)
        zmq_close(socket);
}

void core_free(struct core *c)
{
    size_t i = 0;
    uint64_t key;
    void *session;

    if (c == NULL)
        return;
    for (unsigned g = 0; c->sockets != NULL && g <= c->settings.gates; g++)
        close_pair(c->sockets[g]);
    free(c->sockets);
    core_free_chain(c->reloads);
    kept_rules_undo(c);
    while (map_next(c->sessions, &i, &key, &session))
        peer_free(session);
    map_free(c->sessions);
    notes_free(c->notes);
    notary_free(c->settings.notary);
    note_policy_free(c->settings.witnesses);
    log_free(c->log);
    party_free(c);
    rate_free(c->rates);
    keys_free(c);
    delivery_free(c->delivery);
    vault_close(c->vault);
    store_close(c->store);
    hash_free(c->hash);
    rules_free(c->settings.rules);
    tls_trust_free(c->settings.trust);
    directory_free(c->settings.directory);
    free(c);
}
