#pragma once
/* A key of this profile, the request that goes to the registrar, and the certificate that comes back. */
#include "client/cli/cli.h"
#include "proto/tls.h"

/* As the registrar knows the member: "fr/lyon/prison", "fr/lyon/prison/approver/director". */
const char *pair_member(struct cli *c);

/* Makes a fresh key (0600) and a request, neither of which may be there; of a key in a token (profile_key) the request alone.
 * On false the reason was said. */
MUST_CHECK
bool pair_make(struct cli *c, const char *key_name, const char *csr_name, int *status);

/* Does the certificate (DER) carry the public half of the key? */
bool pair_matches(struct slice der, const EVP_PKEY *key);

struct pair_trial {
    const char *file;     /* the certificate to install */
    const char *key_name; /* in the profile */
    enum tls_use use;
};

/* Checks one certificate: ours by key, of the right profile, for our name, not revoked. On false it was said why. */
MUST_CHECK
bool pair_holds(struct cli *c, const struct tls_trust *trust, const struct pair_trial *t,
                int *status);

/* Puts a copy of `from` in place of the profile's `name`, whole or not at all. On false it was said why. */
MUST_CHECK
bool pair_put(struct cli *c, const char *from, const char *name, int *status);
