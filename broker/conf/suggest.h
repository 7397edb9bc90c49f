#pragma once
/* "Did you mean": the nearest of some words. Private to broker/conf. */
#include <stddef.h>

struct suggest {
    const char *word; /* as it was written */
    const char *best; /* NULL: nothing comes near */
    int distance;
};

/* Starts looking for what `word` was meant to be. */
struct suggest suggest_for(const char *word);

/* Considers one candidate; the nearest is kept, the first of equals. */
void suggest_try(struct suggest *s, const char *candidate);

/* `; did you mean "police"?`, or "" if nothing comes near. Returns out. */
const char *suggest_text(const struct suggest *s, char *out, size_t out_len);
