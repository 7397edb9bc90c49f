#pragma once
/* Asking the broker for proofs of its log. */
#include "client/lib/engine.h"

/* liaison_prove(), to be done by `until_ms`. With a policy and old_size 0 the answer is verified: its note is
 * judged and extends what was seen. */
MUST_CHECK
enum liaison_code ledger_prove(struct liaison *l, const uint64_t *seqs, size_t n, uint64_t old_size,
                               uint64_t size, int64_t until_ms, struct liaison_answer **answer);

/* Proves n entries under the newest checkpoint that the witnesses have cosigned, which extends, or is extended by,
 * what was seen; the answer is verified. Errors: as liaison_prove; LIAISON_NOT_FOUND: there is none yet. */
MUST_CHECK
enum liaison_code ledger_prove_witnessed(struct liaison *l, const uint64_t *seqs, size_t n,
                                         int64_t until_ms, struct liaison_answer **answer);

/* Waits until `until_ms`, doing what is to be done. Errors: those of connecting that do not pass. */
MUST_CHECK
enum liaison_code ledger_pause(struct liaison *l, int64_t until_ms);

/* Hands the answer to who asked, or releases it. Returns code. */
enum liaison_code ledger_hand_over(enum liaison_code code, struct liaison_answer *a,
                                   struct liaison_answer **answer);
