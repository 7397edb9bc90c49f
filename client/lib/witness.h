#pragma once
/* A witness: checks that the broker's log only grows, and cosigns its checkpoint. For the programs; not exported.
 *
 * A request is what C2SP tlog-witness puts into an HTTP body: "old SIZE", the proof of growth in base64, an empty line, the note.
 * So the key may live where there is no network. Source: PROTOCOL.md, "Witnesses"; C2SP tlog-witness v1.0.0. */
#include "client/lib/liaison.h"
#include "proto/arena.h"
#include "proto/merkle.h"
#include "proto/note.h"

enum { WITNESS_REQUEST_MAX = NOTE_BYTES_MAX + MERKLE_PROOF_MAX * 45 + 64, WITNESS_WHY = 640 };

struct witness {
    struct liaison *lib;  /* with a policy; of witness_init() NULL */
    struct arena *arena;  /* what the calls give lives in it */
    const char *program;  /* that runs, for sentences: "liaison" */
    const char *key;      /* file: PRIVATE+KEY+..., Ed25519, 0600 */
    const char *state;    /* file: the last checkpoint that was cosigned; on disk before a cosignature is given */
    const char *fork;     /* file: evidence of a log that does not extend it */
    bool first;           /* set by a call: nothing was seen before, and the log was taken as it is */
    char why[WITNESS_WHY]; /* set by a call that fails: a sentence that says what to do */
};

/* Makes the key, never over another. *out is the line of a policy for `own`; the key's name is `name`.
 * Errors: LIAISON_FIELD and the like (name), LIAISON_FILE, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code witness_init(struct witness *w, const char *own, const char *name, struct slice *out);

/* Fetches the broker's newest checkpoint, checks it, cosigns it and hands it in. *out says what was cosigned.
 * Errors: LIAISON_FORK (nothing was signed, both notes are in w->fork), those of key and state, liaison_prove()'s and
 * liaison_cosign()'s. */
MUST_CHECK
enum liaison_code witness_run(struct witness *w, struct slice *out);

/* What the witness at another place is to be given, who has cosigned `size` entries ("0": none). Errors: LIAISON_USAGE,
 * liaison_prove()'s. */
MUST_CHECK
enum liaison_code witness_request(struct witness *w, const char *size, struct slice *out);

/* Cosigns what a request asks for; `what` names it. *out is the note with the cosignature. Errors: as witness_run(), without the
 * broker's; LIAISON_MALFORMED, LIAISON_STALE (the request begins elsewhere than what was cosigned last). */
MUST_CHECK
enum liaison_code witness_sign(struct witness *w, const char *what, struct slice request, struct slice *out);

/* Hands in a note that was cosigned. Errors: liaison_cosign()'s. */
MUST_CHECK
enum liaison_code witness_hand_in(struct witness *w, struct slice note);
