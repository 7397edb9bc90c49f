/* Settings, rules, trust, certificate and directory while the broker runs: all of it is read and judged here, in main's thread;
 * then the core takes it, and writes so; then the gates; and what nobody uses any more is released here. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/broker.h"
#include "broker/ops/log.h"
#include "proto/err.h"

struct old_trust {
    struct tls_trust *trust;
    struct old_trust *next;
};

/* ------------------------------------------------------------ what is told */

static void say(struct broker *b, const char *line)
{
    if (b->operate.control != NULL && b->reload.ticket != 0)
        control_say(b->operate.control, b->reload.ticket, "%s", line);
}

static void end_ticket(struct broker *b, enum liaison_code code, const char *why)
{
    if (b->operate.control != NULL && b->reload.ticket != 0)
        control_end(b->operate.control, b->reload.ticket, code, why);
    b->reload.ticket = 0;
}

static void tell_restart(void *arg, const char *name)
{
    struct broker *b = arg;
    char line[64];

    log_warn("reload.restart-needed", "setting=\"%s\" what=\"%s\"", name,
             "it stays as it was until the broker is started again");
    snprintf(line, sizeof line, "restart %s", name);
    say(b, line);
}

static void set_text(const struct rules *r, char out[65])
{
    uint8_t id[32];

    rules_set_id(r, id);
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(out + 2 * i, 3, "%02x", id[i]);
}

static void end_of(struct in_force *f)
{
    SSL_CTX_free(f->context);
    tls_trust_free(f->trust);
    sealing_free(&f->sealing);
    conf_free(&f->conf);
    *f = (struct in_force){0};
}

/* ------------------------------------------------------------ reading */

/* Each error of a file is a line of the log and of the answer; what it quotes, of the answer alone. */
static void tell_errors(struct broker *b, char *errors)
{
    for (char *line; (line = strsep(&errors, "\n")) != NULL;) {
        if (line[0] == '\0')
            continue;
        say(b, line);
        if (line[0] != ' ')
            log_error("reload.error", "what=\"%s\"", line);
    }
}

static enum liaison_code read_settings(struct broker *b, struct conf *c, char *why,
                                       size_t why_len)
{
    char *text = NULL;
    size_t n = 0;
    FILE *errors = open_memstream(&text, &n);

    if (errors == NULL)
        return LIAISON_MEMORY;
    enum liaison_code code = conf_load(b->settings, c, errors);

    if (fclose(errors) != 0 && code == LIAISON_OK)
        code = LIAISON_MEMORY;
    if (text != NULL)
        tell_errors(b, text);
    free(text);
    if (code != LIAISON_OK)
        snprintf(why, why_len, "%s: the settings or their rules are wrong", b->settings);
    return code;
}

/* Gates, core and ledger know us, and the network, by one name. */
static enum liaison_code same_names(const struct broker *b, const struct in_force *f,
                                    char *why, size_t why_len)
{
    const char *network = rules_network(f->conf.rules),
               *ours = rules_network(b->now.conf.rules);

    if (strcmp(network, ours) != 0) {
        snprintf(why, why_len, "the rules are of network %s, this broker is of %s",
                 network, ours);
        return LIAISON_CONFIG;
    }
    if (f->trust != NULL && strcmp(f->self.name, b->now.self.name) != 0) {
        snprintf(why, why_len, "%s: it is for %s, this broker is %s", f->conf.certificate,
                 f->self.name, b->now.self.name);
        return LIAISON_IDENTITY;
    }
    return LIAISON_OK;
}

static enum liaison_code read_all(struct broker *b, struct in_force *f,
                                  struct directory **directory, char *why, size_t why_len)
{
    enum liaison_code code = read_settings(b, &f->conf, why, why_len);

    if (code == LIAISON_OK)
        code = same_names(b, f, why, why_len);
    if (code == LIAISON_OK)
        code = trust_read(&f->conf, &f->trust, why, why_len);
    if (code == LIAISON_OK)
        code = trust_context(&f->conf, f->trust, &f->context, why, why_len);
    if (code == LIAISON_OK)
        code = tls_trust_follows(f->trust, b->now.trust, why, why_len);
    if (code == LIAISON_OK)
        code = trust_self(&f->conf, f->trust, &f->self, why, why_len);
    if (code == LIAISON_OK)
        code = same_names(b, f, why, why_len);
    if (code == LIAISON_OK)
        code = directory_load(f->conf.directory, f->trust, time(NULL), directory, why,
                              why_len);
    if (code == LIAISON_OK && sealing_read(*directory, &f->sealing) != LIAISON_OK) {
        directory_free(*directory);
        snprintf(why, why_len, "%s", err_text(LIAISON_MEMORY));
        code = LIAISON_MEMORY;
    }
    return code;
}

/* ------------------------------------------------------------ the core's part */

static void again(struct broker *b)
{
    struct reloading *r = &b->reload;

    if (!r->again)
        return;
    r->again = false;
    reload_ask(b, r->next_ticket, r->next_wait);
}

static void refuse(struct broker *b, const char *why)
{
    char status[600];

    log_error("reload.refused", "why=\"%s\" what=\"%s\"", why,
              "what was in force stays in force");
    metrics_add(&b->metrics, METRIC_RELOADS_WRONG, 1);
    snprintf(status, sizeof status, "READY=1\nSTATUS=reload refused: %.500s", why);
    notify_tell(&b->notify, status);
    end_of(&b->reload.fresh);
    b->reload.core = false;
    end_ticket(b, LIAISON_CONFIG, why);
    again(b);
}

/* The core shares rules and trust; the directory is its own. */
static struct call *call_of(const struct broker *b, const struct in_force *f,
                            struct directory *directory)
{
    struct call *c = call_new(CALL_RELOAD, (uint64_t)b->conf.gates << 56);
    struct reload *r = c == NULL ? NULL : arena_zero(c->arena, sizeof *r);

    if (r == NULL) {
        directory_free(directory);
        call_free(c);
        return NULL;
    }
    r->rules = rules_share(f->conf.rules);
    r->trust = tls_trust_share(f->trust);
    r->directory = directory;
    memcpy(r->settings, f->conf.sha256, sizeof r->settings);
    r->page = (uint32_t)f->conf.limits.page;
    r->page_bytes = (uint32_t)(f->conf.limits.message_bytes / 2);
    c->reload = r;
    return c;
}

void reload_ask(struct broker *b, uint64_t ticket, bool wait)
{
    struct reloading *r = &b->reload;
    struct directory *directory = NULL;
    char why[1024] = "out of memory";

    if (r->core || r->gates > 0) {
        r->next_ticket = ticket != 0 ? ticket : r->again ? r->next_ticket : 0;
        r->next_wait = ticket != 0 ? wait : r->again && r->next_wait;
        r->again = true;
        return;
    }
    r->ticket = ticket;
    r->wait = wait;
    r->cut = 0;
    notify_reloading(&b->notify);
    if (read_all(b, &r->fresh, &directory, why, sizeof why) != LIAISON_OK) {
        refuse(b, why);
        return;
    }
    struct call *c = call_of(b, &r->fresh, directory);

    r->core = true;
    if (c == NULL) {
        refuse(b, err_text(LIAISON_MEMORY));
    } else if (call_send(b->operate.core, c) != LIAISON_OK) {
        call_free(c);
        refuse(b, "the broker is ending");
    }
}

/* ------------------------------------------------------------ the gates' part */

static void keep_old_trust(struct broker *b, struct tls_trust *trust)
{
    struct old_trust *o = malloc(sizeof *o);

    if (o == NULL) {
        tls_trust_free(trust);
        return;
    }
    *o = (struct old_trust){trust, b->old_trust};
    b->old_trust = o;
}

void reload_forget(struct broker *b)
{
    for (struct old_trust **at = &b->old_trust, *o; (o = *at) != NULL;) {
        if (!tls_trust_alone(o->trust)) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        tls_trust_free(o->trust);
        free(o);
    }
}

static void done(struct broker *b)
{
    struct reloading *r = &b->reload;
    char line[64];

    log_info("reload.in-force", "sessions_cut=%" PRIu64, r->cut);
    notify_tell(&b->notify, "READY=1\nSTATUS=");
    keep_old_trust(b, tls_trust_share(r->before.trust));
    end_of(&r->before);
    reload_forget(b);
    if (r->wait) {
        snprintf(line, sizeof line, "cut %" PRIu64, r->cut);
        say(b, line);
    }
    end_ticket(b, LIAISON_OK, NULL);
    again(b);
}

/* What changed, to the log and to whoever asked. */
static void tell_taken(struct broker *b)
{
    const struct in_force *was = &b->reload.before, *now = &b->now;
    char before[65], after[65], line[160];

    set_text(was->conf.rules, before);
    set_text(now->conf.rules, after);
    log_info("reload.done", "rules=%s rules_before=%s crl_ends=%lld", after, before,
             (long long)tls_trust_crl_ends(now->trust));
    snprintf(line, sizeof line, "rules %s %s", before, after);
    say(b, line);
    snprintf(line, sizeof line, "crl-ends %lld",
             (long long)tls_trust_crl_ends(now->trust));
    say(b, line);
    metrics_add(&b->metrics, METRIC_RELOADS, 1);
    metrics_set(&b->metrics, METRIC_RESTART,
                restart_needed(&b->conf, &now->conf, tell_restart, b));
}

static void renew_ends(struct broker *b, const struct in_force *was)
{
    if (tls_trust_crl_ends(b->now.trust) != tls_trust_crl_ends(was->trust))
        expiry_renewed(&b->crl_end);
    if (b->now.self.not_after_unix != was->self.not_after_unix)
        expiry_renewed(&b->own_end);
    b->look_at = 0;
    ends_tell(b);
}

static void take(struct broker *b)
{
    struct reloading *r = &b->reload;

    r->before = b->now;
    b->now = r->fresh;
    r->fresh = (struct in_force){0};
    sealing_follow(&b->now.sealing, &r->before.sealing);
    log_level(b->now.conf.log);
    renew_ends(b, &r->before);
    r->gates = b->conf.gates;
    for (unsigned g = 0; g < b->conf.gates; g++) {
        const struct gate_settings s = threads_gate_settings(b, g);

        gate_reload(b->gates[g], &s);
    }
    tell_taken(b);
    if (!r->wait)
        end_ticket(b, LIAISON_OK, NULL);
}

void reload_answer(struct broker *b, struct call *c)
{
    enum liaison_code code = c->code;

    call_free(c); /* and with it the core's part of what was in force */
    b->reload.core = false;
    if (code == LIAISON_OK)
        take(b);
    else
        refuse(b, err_text(code));
}

void reload_checked(struct broker *b, struct call *c)
{
    b->reload.cut += c->count;
    call_free(c);
    if (--b->reload.gates == 0)
        done(b);
}

void reload_free(struct broker *b)
{
    end_of(&b->reload.fresh);
    end_of(&b->reload.before);
    end_of(&b->now);
    for (struct old_trust *o; (o = b->old_trust) != NULL;) {
        b->old_trust = o->next;
        tls_trust_free(o->trust);
        free(o);
    }
}
