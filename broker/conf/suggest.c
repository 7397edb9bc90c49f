#include "broker/conf/suggest.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64, DISTANCE_MAX = 2 };

/* A third of a word may be wrong, but no more than two letters. */
struct suggest suggest_for(const char *word)
{
    size_t n = strlen(word);
    int allowed = n < 3 ? 0 : n < 6 ? 1 : DISTANCE_MAX;

    return (struct suggest){.word = word, .distance = (n > WORD_MAX ? 0 : allowed) + 1};
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Edits between two words of at most WORD_MAX letters: put in, leave out, replace, swap neighbours. */
static int distance(const char *a, size_t n, const char *b, size_t m)
{
    int rows[3][WORD_MAX + 1];

    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];

        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(last[j - 1] + (a[i - 1] != b[j - 1]),
                           least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], older[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

void suggest_try(struct suggest *s, const char *candidate)
{
    size_t n = strlen(s->word), m = strlen(candidate);

    if (m > WORD_MAX || n > WORD_MAX || (n > m ? n - m : m - n) >= (size_t)s->distance)
        return;
    int d = distance(s->word, n, candidate, m);

    if (d > 0 && d < s->distance) {
        s->distance = d;
        s->best = candidate;
    }
}

const char *suggest_text(const struct suggest *s, char *out, size_t out_len)
{
    if (out_len > 0)
        *out = '\0';
    if (s->best != NULL)
        snprintf(out, out_len, "; did you mean \"%s\"?", s->best);
    return out;
}
