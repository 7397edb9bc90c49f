#pragma once
/* What every code means and what a caller does next. One table for broker, library and tools. */
#include "liaison-codes.h"

enum err_retry {
    RETRY_NEVER, /* the same call will fail again: change it */
    RETRY_SAME,  /* send the same bytes again now, after doing what the sentence says */
    RETRY_LATER, /* send the same bytes again after a pause */
};

/* The sentence for `code`, without a full stop; never NULL, also for numbers that are no code. */
const char *err_text(enum liaison_code code);

/* The code's name as in liaison.proto without "CODE_", such as "NOT_FOUND". */
const char *err_name(enum liaison_code code);

/* What a caller does next. RETRY_NEVER for numbers that are no code. */
enum err_retry err_retry(enum liaison_code code);

/* The sysexits.h status that a command line ends with for `code`. */
int err_exit(enum liaison_code code);
