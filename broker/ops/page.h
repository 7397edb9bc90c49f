#pragma once
/* Three pages for whoever watches the broker, over HTTP/1.0 on a UNIX socket of mode 0660, by a thread of its own:
 *
 *   /metrics  Prometheus' text format
 *   /livez    200 while the loops turn; 503 when one has been at one turn for longer than HEALTH_TURN_MS
 *   /readyz   200 while a submit could succeed: the store has room, the revocation lists and the certificate have not ended
 *
 * One peer at a time, 1 KiB of request, 2 seconds for all of it. */
#include "broker/ops/metrics.h"
#include "proto/slice.h"

enum { HEALTH_TURN_MS = 30000 };

struct page;

/* Binds `path` (at most 107 bytes), in place of a socket that nobody listens on. Borrows: metrics, until page_close.
 * On error `why` is a sentence. Errors: LIAISON_CONFIG (the path, or somebody listens there), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code page_open(const char *path, const struct metrics *metrics,
                            struct page **out, char *why, size_t why_len);

/* Starts the thread. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code page_start(struct page *p);

/* Ends the thread, if it was started, and closes. The socket's name stays. NULL is harmless. */
void page_close(struct page *p);

/* Whether the loops turn, at this moment. */
bool page_alive(const struct metrics *m);

/* Why a submit could not succeed at `now_unix`; NULL if it could. */
const char *page_not_ready(const struct metrics *m, int64_t now_unix);

/* Answers one request: any bytes. Pure but for the clock of /livez; for page.c and tests. */
void page_answer(struct slice request, const struct metrics *m, int64_t now_unix,
                 FILE *out);
