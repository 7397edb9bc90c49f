/* What operators ask: an erasure that is taken says exactly what it names. Put together again it is the line, but for dashes in
 * ids; one that is refused has a reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/operate.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t print(const struct erase *e, char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "%s %s", e->basis, e->officer);

    for (size_t i = 0; i < e->n; i++) {
        const struct erase_one *one = &e->list[i];

        must(one->digits >= OPERATE_ERASE_MIN_DIGITS && one->digits <= 32);
        n += (size_t)snprintf(out + n, room - n, " %s/", one->from);
        for (size_t d = 0; d < 32; d++) {
            unsigned digit = one->id[d / 2] >> (d % 2 == 0 ? 4 : 0) & 15;

            must(d < one->digits || digit == 0);
            if (d < one->digits)
                n += (size_t)snprintf(out + n, room - n, "%x", digit);
        }
    }
    return n;
}

/* Without the dashes of ids: those behind a word's last slash. */
static size_t bare(const char *line, char *out)
{
    size_t n = 0;

    for (const char *word = line, *end; *word != '\0'; word = end) {
        const char *slash = NULL;

        end = word + strcspn(word, " ");
        for (const char *p = word; p < end; p++)
            slash = *p == '/' ? p : slash;
        for (const char *p = word; p < end; p++)
            if (*p != '-' || slash == NULL || p < slash)
                out[n++] = *p;
        if (*end == ' ')
            out[n++] = *end++;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t room = 4 * size + 256;
    char *line = strndup((const char *)data, size), *again = malloc(room),
         *wanted = malloc(size + 1);
    struct arena *a = arena_new();
    const char *why = NULL;
    size_t wanted_n = bare(line, wanted);
    const struct erase *e = operate_read_erase(a, line, &why);

    must(e != NULL || why != NULL);
    if (e != NULL) {
        size_t n = print(e, again, room);

        must(e->n > 0 && n == wanted_n && memcmp(again, wanted, n) == 0);
    }
    arena_free(a);
    free(line);
    free(again);
    free(wanted);
    return 0;
}
