#pragma once
/* Does the broker's ledger entry say what was asked of it? */
#include "client/lib/answer.h"
#include "client/lib/sealed.h"
#include "proto/hash.h"

/* Checks the entry of an accepted, duplicate or refused answer about `s`: event, verdict, agency, counterpart, ids,
 * purpose and basis, the certificate that signed (of accepted), and under the opening: officer, case and the exact
 * signed bytes.
 *
 * Returns NULL if all holds, else what does not, a constant such as "the content". A refusal without an entry
 * holds. */
MUST_CHECK
const char *check_entry(struct hash *h, const struct liaison_answer *a,
                        const struct sealed *s);

/* The same for an entry that was kept, done or denied, with its opening, and a signed thing that was kept: does the
 * one speak of the other? A denial that names no content speaks of nothing. */
MUST_CHECK
const char *check_receipt(struct hash *h, const Liaison__V1__LedgerEntry *e,
                          const uint8_t opening[32], const struct sealed *s);

/* Is an alert's entry about the referral with this id, and does it say what the alert's flag says? What is no alert
 * holds. */
MUST_CHECK
bool check_alert(const struct liaison_answer *a, struct slice id);

/* Does each counter beside a page of entries open the commitment of an entry of this page whose counterpart
 * `agency` is? Every entry must be strict. Returns NULL or what does not hold. Decodes into the answer's arena. */
MUST_CHECK
const char *check_counters(struct hash *h, const struct liaison_answer *a, const char *agency);

/* Does the summary's entry commit to what it says of `agency`, by its name in the ledger? */
MUST_CHECK
const char *check_summary(struct hash *h, const struct liaison_answer *a, const char *agency);
