/* What ends some day, and is said before: the revocation lists, and our own certificate. */
#include <time.h>

#include "broker/broker.h"
#include "broker/ops/log.h"

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

/* How long before the end it is said that something ends. */
static const int64_t CRL_STEPS[] = {DAY_S, 6 * HOUR_S};
static const int64_t OWN_STEPS[] = {30 * DAY_S, 14 * DAY_S, 7 * DAY_S, DAY_S};

void ends_begin(struct broker *b)
{
    b->crl_end = (struct expiry){.steps = CRL_STEPS,
                                 .n_steps = sizeof CRL_STEPS / sizeof *CRL_STEPS};
    b->own_end = (struct expiry){.steps = OWN_STEPS,
                                 .n_steps = sizeof OWN_STEPS / sizeof *OWN_STEPS};
}

void ends_tell(struct broker *b)
{
    metrics_set(&b->metrics, METRIC_CRL_ENDS, (uint64_t)tls_trust_crl_ends(b->now.trust));
    metrics_set(&b->metrics, METRIC_SEAL_ENDS, (uint64_t)sealing_first(&b->now.sealing));
    metrics_set(&b->metrics, METRIC_CERT_ENDS, (uint64_t)b->now.self.not_after_unix);
}

/* A list that has ended keeps everybody out, and so does our own certificate. */
static int64_t mind_crl(struct broker *b, int64_t now)
{
    int64_t next, left = tls_trust_crl_ends(b->now.trust) - now;

    switch (expiry_look(&b->crl_end, left, &next)) {
    case EXPIRY_ENDED:
        log_error(
            "crl.ended", "file=%s what=\"%s\"", b->now.conf.crl,
            "a revocation list has ended: nobody of that CA is let in; put a new one "
            "there and send SIGHUP");
        break;
    case EXPIRY_SOON:
        log_warn("crl.ends", "file=%s in_s=%lld what=\"%s\"", b->now.conf.crl,
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
    int64_t next, left = b->now.self.not_after_unix - now;

    switch (expiry_look(&b->own_end, left, &next)) {
    case EXPIRY_ENDED:
        log_error("certificate.ended", "file=%s what=\"%s\"", b->now.conf.certificate,
                  "members refuse us: put a new one there and send SIGHUP");
        break;
    case EXPIRY_SOON:
        log_warn("certificate.ends", "file=%s in_s=%lld what=\"%s\"",
                 b->now.conf.certificate, (long long)left,
                 "our certificate or an issuer's ends soon: put a new one there and send "
                 "SIGHUP");
        break;
    case EXPIRY_QUIET:
        break;
    }
    return next;
}

int64_t ends_mind(struct broker *b)
{
    time_t now = time(NULL);

    if (now >= b->look_at) {
        int64_t crl = mind_crl(b, now), own = mind_own(b, now);

        int64_t sealing = sealing_mind(&b->now.sealing, now),
                next = crl < own ? crl : own;

        b->look_at = now + (sealing < next ? sealing : next);
    }
    return (b->look_at - now) * 1000;
}
