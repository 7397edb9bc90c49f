/* The policy that notes are judged by, with the rotations of the log's key that it does not know yet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/audit.h"
#include "client/lib/disk.h"
#include "proto/note.h"

enum { POLICY_MAX = 1 << 20, ROTATIONS_MAX = 4 << 20 };

/* The option's file, else the profile's, if it is there; NULL: neither. */
static const char *path_of(struct audit *a, enum audit_option option, const char *name)
{
    if (a->opt[option] != NULL)
        return a->opt[option];
    const char *dir = profile_dir(a->opt[AUDIT_OPT_PROFILE], a->arena);

    return dir == NULL ? NULL
                       : profile_path(&(struct profile){.dir = dir}, name, a->arena);
}

enum liaison_code audit_read(const char *path, size_t most, uint8_t **text, size_t *len,
                             char *why, size_t why_len)
{
    enum liaison_code code = disk_read(path, most, text, len);

    if (code != LIAISON_OK)
        snprintf(why, why_len, "%s: %s", path,
                 code == LIAISON_NOT_FOUND ? "there is no such file"
                 : code == LIAISON_FILE    ? strerror(errno)
                                           : err_text(code));
    return code;
}

/* Where the first of several notes ends: behind its signature lines, which begin with a dash. */
static size_t note_end(struct slice bytes)
{
    static const char DASH[] = "\xe2\x80\x94 ";
    bool signatures = false;
    size_t at = 0;

    while (at < bytes.n) {
        const uint8_t *line = bytes.p + at, *end = memchr(line, '\n', bytes.n - at);
        bool dash =
            bytes.n - at >= sizeof DASH - 1 && memcmp(line, DASH, sizeof DASH - 1) == 0;

        if (signatures && !dash)
            return at;
        signatures = signatures || dash;
        at = end == NULL ? bytes.n : (size_t)(end - bytes.p) + 1;
    }
    return at;
}

static enum liaison_code rotate_all(struct note_policy *p, struct slice rest,
                                    const char *path, char *why, size_t why_len)
{
    enum liaison_code code = LIAISON_OK;

    while (code == LIAISON_OK && rest.n > 0) {
        size_t n = note_end(rest);

        code = note_policy_rotate(p, slice(rest.p, n));
        for (rest = slice(rest.p + n, rest.n - n); rest.n > 0 && *rest.p == '\n';)
            rest = slice(rest.p + 1, rest.n - 1);
    }
    if (code != LIAISON_OK)
        snprintf(why, why_len, "%s: a rotation in it is not one of the policy's: %s",
                 path, err_text(code));
    return code;
}

static enum liaison_code take_rotations(struct audit *a, struct note_policy *p, char *why,
                                        size_t why_len)
{
    const char *path = path_of(a, AUDIT_OPT_ROTATIONS, "log.rotations");
    uint8_t *text = NULL;
    size_t len = 0;
    enum liaison_code code =
        path == NULL ? LIAISON_NOT_FOUND
                     : audit_read(path, ROTATIONS_MAX, &text, &len, why, why_len);

    if (code == LIAISON_NOT_FOUND && a->opt[AUDIT_OPT_ROTATIONS] == NULL)
        return LIAISON_OK; /* none is needed */
    if (code == LIAISON_OK)
        code = rotate_all(p, slice(text, len), path, why, why_len);
    free(text);
    return code;
}

enum liaison_code audit_policy(struct audit *a, struct note_policy **out, char *why,
                               size_t why_len)
{
    const char *path = path_of(a, AUDIT_OPT_POLICY, "log.policy");
    struct note_policy *p = NULL;
    uint8_t *text = NULL;
    size_t len = 0;
    char what[256] = "";

    if (path == NULL) {
        snprintf(why, why_len, "whose signatures count? name the file with --policy");
        return LIAISON_NOT_FOUND;
    }
    enum liaison_code code = audit_read(path, POLICY_MAX, &text, &len, why, why_len);

    if (code == LIAISON_OK &&
        (code = note_policy_parse(slice(text, len), &p, what, sizeof what)) != LIAISON_OK)
        snprintf(why, why_len, "%s: %s", path, what);
    free(text);
    if (code == LIAISON_OK)
        code = take_rotations(a, p, why, why_len);
    if (code == LIAISON_OK)
        *out = p;
    else
        note_policy_free(p);
    return code;
}
