/* What SIGHUP does. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/broker.h"
#include "broker/ops/log.h"

/* Our certificate under other trust. The gates and the ledger know us by one name. */
static enum liaison_code load_again(const struct broker *b, const struct tls_trust *trust,
                                    struct tls_identity *self, char *why, size_t why_len)
{
    enum liaison_code code = trust_self(&b->conf, trust, self, why, why_len);

    if (code == LIAISON_OK && strcmp(self->name, b->self.name) != 0) {
        snprintf(why, why_len, "%s: it is for %s, this broker is %s", b->conf.certificate,
                 self->name, b->self.name);
        code = LIAISON_IDENTITY;
    }
    return code;
}

void reload_now(struct broker *b)
{
    struct call *c = call_new(CALL_RELOAD, 0);
    struct tls_trust *trust = NULL;
    struct tls_identity self;
    SSL_CTX *context = NULL;
    char why[1024] = "out of memory";

    if (c == NULL || trust_read(&b->conf, &trust, why, sizeof why) != LIAISON_OK ||
        trust_context(&b->conf, trust, &context, why, sizeof why) != LIAISON_OK ||
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
    ends_tell(b);
    metrics_add(&b->metrics, METRIC_RELOADS, 1);
    c->trust = tls_trust_share(trust);
    if (call_send(b->operate.core, c) != LIAISON_OK) {
        tls_trust_free(c->trust);
        directory_free(c->directory);
        call_free(c);
    }
    log_info("reload.done", "crl_ends=%lld", (long long)tls_trust_crl_ends(trust));
}
