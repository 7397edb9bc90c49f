#pragma once
/* Does the broker's ledger entry say what was asked of it? */
#include "client/lib/answer.h"
#include "client/lib/sealed.h"
#include "proto/hash.h"

/* Checks the entry of an accepted, duplicate or refused answer about `s`: event, verdict, agency, counterpart, ids, purpose and basis,
 * the certificate that signed (of accepted), and under the opening: officer, case and the exact signed bytes.
 *
 * Returns NULL if all holds, else what does not, a constant such as "the content". A refusal without an entry holds. */
MUST_CHECK
const char *check_entry(struct hash *h, const struct liaison_answer *a,
                        const struct sealed *s);
