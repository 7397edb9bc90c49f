#include "client/lib/evidence.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/lib/disk.h"

enum { WORDS = 256, HASH = 32 };

/* Writes the text. Returns its length. */
static size_t print(char *out, size_t room, int64_t now_s, struct slice seen,
                    struct slice shown, struct slice proof)
{
    time_t now = (time_t)now_s;
    struct tm utc;
    char when[32] = "";
    size_t n;

    if (gmtime_r(&now, &utc) != NULL)
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    n = (size_t)snprintf(
        out, room,
        "# %s: a log that does not extend what was seen of it\nseen before, %zu "
        "bytes:\n%.*s"
        "shown now, %zu bytes:\n%.*sproof that came with it, %zu hashes:\n",
        when, seen.n, (int)seen.n, (const char *)seen.p, shown.n, (int)shown.n,
        shown.n == 0 ? "" : (const char *)shown.p, proof.n / HASH);
    for (size_t i = 0; i < proof.n; i++)
        n += (size_t)snprintf(out + n, room - n, "%02x%s", proof.p[i],
                              i % HASH == HASH - 1 ? "\n" : "");
    return n;
}

bool evidence_keep(const char *path, int64_t now_s, struct slice seen, struct slice shown,
                   struct slice proof)
{
    size_t room = WORDS + seen.n + shown.n + 3 * proof.n, there_n = 0;
    char *text = path[0] == '\0' ? NULL : malloc(room);
    uint8_t *there = NULL;
    bool kept = false;

    if (text == NULL)
        return false;
    size_t n = print(text, room, now_s, seen, shown, proof);

    if (disk_read(path, EVIDENCE_MAX, &there, &there_n) == LIAISON_TOO_LARGE ||
        there_n + n > EVIDENCE_MAX)
        kept = true;
    else
        kept = disk_append(path, slice(text, n)) == LIAISON_OK;
    free(there);
    free(text);
    return kept;
}
