#pragma once
/* Who may speak: what the rules say of a certificate and its name, before anything that is said is judged. */
#include "broker/rules/rules.h"
#include "proto/tls.h"

/* Whether the holder of this certificate may speak, on that day (rules_day()), for the agency `name`; for `role`
 * TLS_AUDITOR: as the auditor of that name.
 *
 * Unless it is LIAISON_OK, `why` is a sentence. Errors: LIAISON_REVOKED (`deny certificate`), LIAISON_UNKNOWN_AGENCY (not
 * declared, or merged into another by that day), LIAISON_ROLE (a broker). */
MUST_CHECK
enum liaison_code rules_admit(const struct rules *r, const struct tls_identity *who, int32_t day, char *why,
                              size_t why_len);
