#pragma once
/* How far a verification is, and how long it will take, on standard error when that is a terminal. */
#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown;             /* on a terminal */
    uint64_t began_ms, told_ms;
    bool told;              /* a line stands there */
};

void progress_begin(struct progress *p);

/* verify_progress of verify.h; `arg` is the struct progress. */
void progress_tell(void *arg, uint64_t done, uint64_t all);

/* Takes the line away. */
void progress_end(struct progress *p);
