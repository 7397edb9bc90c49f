/* Files that commands read and write. */
#include "client/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

bool files_read(struct cli *c, const char *path, size_t max, struct slice *out,
                int *status)
{
    FILE *f = fopen(path, "rbe");
    uint8_t *bytes = f != NULL ? arena_alloc(c->arena, max + 1) : NULL;
    size_t n = bytes != NULL ? fread(bytes, 1, max + 1, f) : 0;

    if (f == NULL || (bytes != NULL && ferror(f)))
        *status = cli_fail(LIAISON_FILE, "%s: %s", path, strerror(errno));
    else if (bytes == NULL)
        *status = cli_no_memory();
    else if (n > max)
        *status = cli_fail(LIAISON_TOO_LARGE, "%s: larger than %zu bytes", path, max);
    else
        *out = slice(bytes, n);
    if (f != NULL)
        fclose(f);
    return out->p != NULL;
}

bool files_write_new(const char *path, struct slice bytes, int *status)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t done = 0;
    bool ok = fd >= 0;

    while (ok && done < bytes.n) {
        ssize_t n = write(fd, bytes.p + done, bytes.n - done);

        ok = n >= 0 || errno == EINTR;
        done += n > 0 ? (size_t)n : 0;
    }
    ok = ok && fsync(fd) == 0;
    if (!ok)
        *status = cli_fail(LIAISON_FILE, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

/* ---- referrals */

static enum liaison_code set_word(struct liaison_referral *r, const char *key,
                                  const ProtobufCEnumDescriptor *type, int number)
{
    char word[64];

    return json_word(type, number, word, sizeof word) != NULL
               ? liaison_referral_set(r, key, word)
               : LIAISON_FIELD;
}

static enum liaison_code set_words(struct liaison_referral *r,
                                   const Liaison__V1__Envelope *e)
{
    const struct {
        const char *key;
        const ProtobufCEnumDescriptor *type;
        int number;
    } ROWS[] = {
        {"type", &liaison__v1__type__descriptor, (int)e->type},
        {"subject_category", &liaison__v1__subject_category__descriptor,
         (int)e->subject_category},
        {"minor", &liaison__v1__minor__descriptor, (int)e->minor},
        {"regime", &liaison__v1__regime__descriptor, (int)e->regime},
        {"handling", &liaison__v1__handling__descriptor, (int)e->handling},
        {"informed", &liaison__v1__informed__descriptor, (int)e->informed},
        {"urgency", &liaison__v1__urgency__descriptor, (int)e->urgency},
    };
    enum liaison_code code = LIAISON_OK;

    for (size_t i = 0; code == LIAISON_OK && i < sizeof ROWS / sizeof *ROWS; i++)
        code = set_word(r, ROWS[i].key, ROWS[i].type, ROWS[i].number);
    return code;
}

static enum liaison_code set_texts(struct cli *c, struct liaison_referral *r,
                                   const Liaison__V1__Envelope *e)
{
    const struct {
        const char *key, *value;
    } ROWS[] = {
        {"to", e->to},
        {"category", e->category},
        {"purpose", e->purpose},
        {"basis", e->basis},
        {"officer", e->officer},
        {"case_id", cli_hex(c, e->case_id)},
        {"due_unix_ms", e->due_unix_ms != 0
                            ? cli_text(c, "%llu", (unsigned long long)e->due_unix_ms)
                            : ""},
        {"caused_by_from", e->caused_by != NULL ? e->caused_by->from : ""},
        {"caused_by_id", e->caused_by != NULL ? cli_id(c, e->caused_by->id) : ""},
    };
    enum liaison_code code = LIAISON_OK;

    for (size_t i = 0; code == LIAISON_OK && i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].value[0] != '\0')
            code = liaison_referral_set(r, ROWS[i].key, ROWS[i].value);
    return code;
}

static enum liaison_code fill(struct cli *c, struct liaison_referral *r,
                              const struct json_referral *doc)
{
    enum liaison_code code = set_words(r, doc->envelope);

    if (code == LIAISON_OK)
        code = set_texts(c, r, doc->envelope);
    for (size_t i = 0; code == LIAISON_OK && i < doc->n_sections; i++)
        code = liaison_referral_section(r, doc->sections[i].name, "application/json",
                                        doc->sections[i].content.p,
                                        doc->sections[i].content.n);
    return code;
}

bool files_referral(struct cli *c, const char *path, struct liaison_referral **out,
                    int *status)
{
    struct json_doc *d = json_doc_new(strcmp(path, "-") == 0 ? "standard input" : path);
    struct liaison_referral *r = NULL;
    struct json_referral doc;
    enum liaison_code code = d != NULL ? json_doc_file(d, path) : LIAISON_MEMORY;

    if (code == LIAISON_OK)
        code = json_referral(d, c->arena, &doc);
    if (code != LIAISON_OK) {
        *status = d != NULL && json_doc_why(d)[0] != '\0'
                      ? cli_fail(code, "%s", json_doc_why(d))
                      : cli_no_memory();
        goto out;
    }
    if (doc.envelope->officer[0] == '\0' && c->opt[OPT_OFFICER] == NULL &&
        c->profile.officer == NULL) {
        code = LIAISON_USAGE;
        *status =
            cli_fail(code,
                     "%s: on behalf of which officer? it is a number, never a name\n"
                     "give --officer NUMBER, or put \"officer\" into the file or into "
                     "%s/profile.json",
                     path, c->profile.dir);
        goto out;
    }
    code = liaison_referral_new(c->lib, &r);
    if (code == LIAISON_OK)
        code = fill(c, r, &doc);
    if (code != LIAISON_OK) {
        *status = cli_fail(code, "%s: %s", path, liaison_errmsg(c->lib));
        goto out;
    }
    *out = r;
    r = NULL; /* handed over */
out:
    liaison_referral_free(r);
    json_doc_free(d);
    return code == LIAISON_OK;
}

/* ---- sections of moves */

static bool is_json_file(const char *given)
{
    size_t n = strlen(given);

    return n > 5 && strcmp(given + n - 5, ".json") == 0;
}

bool files_content(struct cli *c, const char *given, const char **type, struct slice *out,
                   int *status)
{
    if (!is_json_file(given)) {
        *type = "text/plain";
        *out = slice_text(given);
        return true;
    }
    struct json_doc *d = json_doc_new(given);
    enum liaison_code code = d != NULL ? json_doc_file(d, given) : LIAISON_MEMORY;

    if (code == LIAISON_OK) {
        *type = "application/json";
        *out = json_doc_compact(d, NULL, c->arena);
        code = out->p != NULL ? LIAISON_OK : LIAISON_MEMORY;
    }
    if (code != LIAISON_OK)
        *status = d != NULL && json_doc_why(d)[0] != '\0'
                      ? cli_fail(code, "%s", json_doc_why(d))
                      : cli_no_memory();
    json_doc_free(d);
    return code == LIAISON_OK;
}
