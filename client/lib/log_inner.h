#pragma once
/* What log.c and log_disk.c share. */
#include "client/lib/log.h"

/* Puts a reference to n into *place, and drops what was there. */
void log_put(struct log_note **place, struct log_note *n);

/* Says why, in log.why. Returns code. */
__attribute__((format(printf, 3, 4))) enum liaison_code
log_say(struct liaison *l, enum liaison_code code, const char *format, ...);

/* True if nothing but cosignatures has come since `from` was the last one seen. */
bool log_still(const struct log_note *seen, const struct log_note *from);

/* Where the number of a log begins in its origin, NETWORK/BROKER/NUMBER; 0: it has none. */
size_t log_number_of(const char *origin, uint64_t *number);

/* True if `to` is of a later log of the same broker: one begun after a restore, which the policy lists. */
bool log_later(const struct log_note *from, const struct log_note *to);

/* Keeps both notes as evidence and says so. Returns LIAISON_FORK. */
enum liaison_code log_forked(struct liaison *l, const struct log_note *seen, const struct log_note *shown,
                             struct slice proof);
