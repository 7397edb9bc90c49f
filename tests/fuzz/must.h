#pragma once
/* What a fuzzer holds to be true of every input: says what was not, and aborts, which is a find. */
#include <stdio.h>
#include <stdlib.h>

#define must(is_true) ((is_true) ? (void)0 : must_fail(__FILE__, __LINE__, #is_true))

static inline void must_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    abort();
}
