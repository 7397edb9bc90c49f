#pragma once
/* How soon a certificate ends, and what is said of it. */
#include <stdint.h>

/* What to do when so many whole days are left: a clause, or NULL while it is too early to say anything. */
const char *expiry_advice(int64_t days);

/* The days at which that advice began: 30, 14, 7 or 1; 0: none. */
int expiry_level(int64_t days);

struct cli;

/* Warns on standard error, once a day and when the advice changes: of the signing certificate, as the broker counted its
 * days at the last Welcome, and of the sealing certificate, which nobody but us looks at. Programs that ask for JSON
 * are told nothing. */
void expiry_mind(struct cli *c);
