#pragma once
/* What an auditor remembers of a log between two verifications: the last checkpoint verified, and where the checks of entries
 * stood there. Text, so that it can be looked at; replaced as a whole or not at all.
 *
 *   liaison-audit state 1
 *   from N                  the first entry that was verified
 *   time N                  of the last one, nanoseconds
 *   rotations N             notes that changed the log's key: each `LENGTH`, a line end, and so many bytes
 *   counters N              of parties: each `COUNTER LENGTH NAME` and a line end
 *   note LENGTH             the checkpoint's signed note, so many bytes, the last of the file */
#include "client/audit/parties.h"
#include "liaison-codes.h"

enum { STATE_ROTATIONS_MAX = 64, STATE_BYTES_MAX = 64 << 20 };

struct verify_state {
    uint64_t from, time_ns;
    size_t n_rotations;
    struct slice rotations[STATE_ROTATIONS_MAX];
    struct parties *parties;
    struct slice note;
    uint8_t *bytes; /* what all of these point into */
};

/* Reads a state's text; the slices of *out point into it, and out->parties is made. Errors: LIAISON_MALFORMED, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code verify_state_parse(struct slice text, struct verify_state *out);

/* Gives: the text, to be released with free(). Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code verify_state_print(const struct verify_state *s, uint8_t **text, size_t *len);

/* Reads a state's file. Errors: LIAISON_NOT_FOUND (there is none yet), LIAISON_MALFORMED, LIAISON_FILE (errno says why),
 * LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code verify_state_read(const char *path, struct verify_state *out);

/* Replaces the file: all of it or nothing. Errors: LIAISON_FILE (errno says why), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code verify_state_write(const char *path, const struct verify_state *s);

/* Releases what parse and read made; not what `s` itself lies in. */
void verify_state_clear(struct verify_state *s);
