#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/notary/notary.h"

enum { POLICY_MAX = 256 << 10 };

/* Reads all of it and leaves room behind. -1: it cannot be read, or is too long. */
static ssize_t read_text(const char *path, char *text)
{
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return -1;
    size_t n = fread(text, 1, POLICY_MAX + 1, f);
    bool ok = ferror(f) == 0 && n <= POLICY_MAX;

    if (n > POLICY_MAX)
        errno = EFBIG;
    fclose(f);
    return ok ? (ssize_t)n : -1;
}

static bool believes(const struct note_policy *p, const struct note_key *log)
{
    size_t n;
    const struct note_log *logs = note_policy_logs(p, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(logs[i].key.name, log->name) == 0 &&
            memcmp(logs[i].key.public, log->public, sizeof log->public) == 0)
            return true;
    return false;
}

/* With a line for the log's key behind the text, if it has none. */
static enum liaison_code parse(char *text, size_t n, const struct note_key *log,
                               struct note_policy **out, char *why, size_t why_len)
{
    char key[NOTE_KEY_TEXT_MAX];
    struct note_policy *p = NULL;
    enum liaison_code code = note_policy_parse(slice(text, n), &p, why, why_len);

    if (code == LIAISON_OK && !believes(p, log)) {
        note_policy_free(p);
        note_key_print(log, key);
        n += (size_t)sprintf(text + n, "\nlog %s\n", key);
        code = note_policy_parse(slice(text, n), &p, why, why_len);
    }
    if (code == LIAISON_OK)
        *out = p;
    return code;
}

enum liaison_code notary_policy(const char *path, const struct note_key *log,
                                struct note_policy **out, char *why, size_t why_len)
{
    char what[256] = "out of memory";
    char *text = malloc(POLICY_MAX + 16 + NOTE_KEY_TEXT_MAX);
    enum liaison_code code = LIAISON_MEMORY;
    ssize_t n = text == NULL ? -1 : read_text(path, text);

    if (n >= 0) {
        code = parse(text, (size_t)n, log, out, what, sizeof what);
    } else if (text != NULL) {
        snprintf(what, sizeof what, "%s", strerror(errno));
        code = LIAISON_FILE;
    }
    if (code != LIAISON_OK)
        snprintf(why, why_len, "%s: %s", path, what);
    free(text);
    return code;
}
