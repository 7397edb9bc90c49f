/* "did you mean": the nearest of a few words. */
#include <stdio.h>

#include "client/json/json.h"

enum { NEAR_MAX = 48 }; /* longer words are not compared */

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* Insertions, deletions and replacements from a to b (Levenshtein), one row at a time. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NEAR_MAX + 1];
    size_t n = strlen(b);

    if (n > NEAR_MAX || strlen(a) > NEAR_MAX)
        return NEAR_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned corner = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            unsigned replaced = corner + (a[i] != b[j]);

            corner = row[j + 1];
            row[j + 1] = least(replaced, row[j + 1] + 1, row[j] + 1);
        }
    }
    return row[n];
}

const char *json_near(const char *word, const char *const *words, size_t n, char *out,
                      size_t out_len)
{
    unsigned best = strlen(word) < 4
                        ? 2
                        : 3; /* one wrong letter in short words, two in longer ones */
    const char *nearest = NULL;

    for (size_t i = 0; i < n; i++) {
        unsigned d = distance(word, words[i]);

        if (d < best) {
            best = d;
            nearest = words[i];
        }
    }
    if (nearest != NULL)
        snprintf(out, out_len, "; did you mean \"%s\"?", nearest);
    else
        out[0] = 0;
    return out;
}
