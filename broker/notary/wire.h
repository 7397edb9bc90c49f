#pragma once
/* What broker and notary say to each other: fixed messages, numbers big-endian, one of each per turn. Private to
 * broker/notary.
 *
 *   request  kind (4), proof length (4), old size (8), size (8), root (32), proof (65 * 32)
 *   answer   code (4), 1 if it has a state (4), size (8), root (32), vkey (NUL-padded), note length (4), note (padded)
 *   greeting code (4), sentence (NUL-padded): once, before all others, by the notary */
#include "broker/notary/notary.h"

enum wire_kind { WIRE_STATUS = 1, WIRE_SIGN, WIRE_ROTATION };

enum {
    WIRE_REQUEST_BYTES = 56 + MERKLE_PROOF_MAX * HASH_BYTES,
    WIRE_ANSWER_BYTES = 48 + NOTE_KEY_TEXT_MAX + 4 + NOTARY_NOTE_MAX,
    WIRE_WHY_MAX = 1024,
    WIRE_GREETING_BYTES = 4 + WIRE_WHY_MAX,
};

void wire_put_request(enum wire_kind kind, const struct notary_tree *t, uint8_t out[WIRE_REQUEST_BYTES]);

/* False if these bytes are no request; *kind and *t are untouched then. */
MUST_CHECK
bool wire_get_request(struct slice message, enum wire_kind *kind, struct notary_tree *t);

void wire_put_answer(const struct notary_answer *a, uint8_t out[WIRE_ANSWER_BYTES]);

/* False if these bytes are no answer; *a is untouched then. */
MUST_CHECK
bool wire_get_answer(struct slice message, struct notary_answer *a);

void wire_put_greeting(enum liaison_code code, const char *why, uint8_t out[WIRE_GREETING_BYTES]);

/* False if these bytes are no greeting. */
MUST_CHECK
bool wire_get_greeting(struct slice message, enum liaison_code *code, char *why, size_t why_len);
