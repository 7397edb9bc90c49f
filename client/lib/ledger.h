#pragma once
/* Asking the broker for proofs of its log. */
#include "client/lib/engine.h"

/* liaison_prove(), to be done by `until_ms`. With a policy and old_size 0 the answer is verified: its note is judged and extends what
 * was seen. */
MUST_CHECK
enum liaison_code ledger_prove(struct liaison *l, const uint64_t *seqs, size_t n, uint64_t old_size,
                               uint64_t size, int64_t until_ms, struct liaison_answer **answer);
