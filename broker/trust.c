/* Trust, our certificate and our key, as the settings name them. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <time.h>

#include "broker/broker.h"
#include "broker/ops/sandbox.h"

enum liaison_code trust_read(const struct conf *c, struct tls_trust **trust, char *why,
                             size_t why_len)
{
    return tls_trust_load(rules_network(c->rules), c->ca, c->crl, time(NULL), trust, why,
                          why_len);
}

enum liaison_code trust_context(const struct conf *c, struct tls_trust *trust,
                                SSL_CTX **context, char *why, size_t why_len)
{
    return tls_context(trust, TLS_SERVER_SIDE, c->certificate, c->key, context, why,
                       why_len);
}

enum liaison_code trust_self(const struct conf *c, const struct tls_trust *trust,
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

enum liaison_code trust_try_key(const struct broker *b, char *why, size_t why_len)
{
    const struct conf *c = &b->now.conf;

    if (tls_context_signs(b->now.context))
        return LIAISON_OK;
    snprintf(why, why_len, "%s: the token does not sign%s", c->key,
             c->sandbox && sandbox_fits()
                 ? " inside the sandbox; if it keeps files, name their folder with the "
                   "setting pkcs11"
                 : "");
    return LIAISON_CONFIG;
}
