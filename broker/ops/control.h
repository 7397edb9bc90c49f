#pragma once
/* The operators' socket: a UNIX socket of mode 0600, on which the broker's own user and root ask for things, a line a request.
 *
 * A request is one line of words; the answer is lines, the last of which is `ok` or `error CODE SENTENCE`; then the connection
 * ends. One peer at a time, CONTROL_REQUEST_MAX bytes of request, CONTROL_TALK_MS for it and again for the answer,
 * CONTROL_WORK_MS for what is done in between. Driven by its owner's loop; nothing here blocks.
 * Source: PROTOCOL.md, "The operators' socket". */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "liaison-codes.h"
#include "proto/slice.h"

enum { CONTROL_REQUEST_MAX = 1 << 20, CONTROL_TALK_MS = 5000, CONTROL_WORK_MS = 120000 };

struct control;

/* Does one request: `words` is what stands behind the command's name, and may be changed. Ends it with control_end(), at once or,
 * by its ticket, later. */
typedef void control_run(void *arg, struct control *c, uint64_t ticket, char *words);

struct control_command {
    const char *name;
    control_run *run;
};

/* Binds `path` (at most 107 bytes), in place of a socket that nobody listens on. Borrows: commands, arg.
 * On error `why` is a sentence. Errors: LIAISON_CONFIG (the path, or somebody listens there), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code control_open(const char *path, const struct control_command *commands, size_t n_commands, void *arg,
                               struct control **out, char *why, size_t why_len);
void control_close(struct control *c); /* the socket's name stays; NULL is harmless */

/* What its owner waits for: a descriptor, events of poll() (0: nothing, as while a command works), and the moment by which to call control_step() in any case
 * (INT64_MAX: none). */
int control_fd(const struct control *c);
short control_events(const struct control *c);
int64_t control_until_ms(const struct control *c); /* CLOCK_MONOTONIC */

/* Goes on as far as it can without waiting. */
void control_step(struct control *c, int64_t now_mono_ms);

/* Adds a line, printf-like and without its LF, to the answer; ends it. Of a request whose peer has gone: nothing. */
__attribute__((format(printf, 3, 4))) void control_say(struct control *c, uint64_t ticket, const char *fmt, ...);
void control_end(struct control *c, uint64_t ticket, enum liaison_code code, const char *text);

/* The other end: sends a request and prints the answer's lines but for the last on `out`. Blocks.
 *
 * Returns what the last line says; on error `why` is its sentence. Errors: LIAISON_UNREACHABLE (nobody listens),
 * LIAISON_PERMISSION, LIAISON_TIMEOUT, LIAISON_CLOSED (no whole answer), those of the request. */
MUST_CHECK
enum liaison_code control_ask(const char *path, struct slice line, FILE *out, char *why, size_t why_len);
