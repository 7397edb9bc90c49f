#pragma once
/* `liaisond run --new-log NOTE`: a store that was rolled back or damaged goes on as another log, under another name and key.
 *
 * Before the notary starts: NOTE must be a checkpoint of the store's log, and the store must not be what was signed; then
 * the notary's files are put aside and made anew. The core begins the log with NOTE in its first entry. Killed at any
 * point, the same command finishes it; where it is finished, it is a start like any other. Source: PROTOCOL.md, "A new
 * log". */
#include "broker/conf/conf.h"
#include "broker/notary/notary.h"
#include "proto/note.h"

struct newlog {
    const char *path; /* of NOTE; NULL: no new log is wanted */
    bool anyway;      /* though nothing is wrong with the store */
    struct slice note; /* once newlog_prepare() is done; free with newlog_free() */
};

/* What must change to read the store: in a process of its own, which then ends. */
typedef enum liaison_code newlog_become(const char *user, char *why, size_t why_len);

/* Reads NOTE, judges it and the store, says both in the log, and renews the notary. `prefix` is NETWORK/BROKER; s->origin is
 * not used. On error `why` is a sentence.
 * Errors: LIAISON_FILE, LIAISON_CONFIG (NOTE is of another log; nothing is wrong with the store), LIAISON_SIGNATURE,
 *         LIAISON_DAMAGED (the store cannot be read at all), those of notary_renew() and verify_log(). */
MUST_CHECK
enum liaison_code newlog_prepare(struct newlog *n, const struct conf *c, const struct notary_settings *s, const char *prefix,
                                 newlog_become *become, char *why, size_t why_len);
void newlog_free(struct newlog *n);
