#include "client/json/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/id.h"
#include "proto/tls.h"

/* Keys of profile.json, and where they go. */
static const struct key {
    const char *name;
    size_t offset;
    bool (*good)(const char *text); /* NULL: any */
    const char *form;
} KEYS[] = {
    {"network", offsetof(struct profile, network), NULL,
     "a network's name such as \"practicies.example\""},
    {"broker", offsetof(struct profile, broker), NULL, "\"host:port\""},
    {"broker_name", offsetof(struct profile, broker_name), id_name,
     "a broker's name such as \"fr/hub\""},
    {"agency", offsetof(struct profile, agency), id_name,
     "an agency's name such as \"fr/lyon/probation\""},
    {"auditor", offsetof(struct profile, auditor), id_name,
     "an auditor's name such as \"fr/dpa\""},
    {"approver", offsetof(struct profile, approver), id_word,
     "an approver's role, one word: lower-case letters, digits and '-'"},
    {"officer", offsetof(struct profile, officer), id_officer,
     "a number, never a name: letters, digits, . _ -"},
    {"purpose", offsetof(struct profile, purpose), id_word,
     "one word: lower-case letters, digits and '-'"},
    {"basis", offsetof(struct profile, basis), id_word,
     "one word: lower-case letters, digits and '-'"},
    {"sign_key", offsetof(struct profile, sign_key), tls_key_in_token,
     "a URI \"pkcs11:...\" of a key in a token"},
    {"seal_key", offsetof(struct profile, seal_key), tls_key_in_token,
     "a URI \"pkcs11:...\" of a key in a token"},
};

enum { N_KEYS = sizeof KEYS / sizeof *KEYS };

/* Files, and the setting of the library that they are. */
static const struct file {
    const char *name, *setting;
    bool secret, seals_only;
    bool begins; /* files whose names begin like that: none needs to be there */
} FILES[] = {
    {"sign.key", "sign_key", .secret = true},
    {"sign.crt", "sign_certificate", .secret = false},
    {"seal.key", "seal_key", .secret = true, .seals_only = true},
    {"seal.crt", "seal_certificate", .seals_only = true},
    {"seal.old", "seal_old", .seals_only = true, .begins = true},
    {"ca.crt", "ca", .secret = false},
    {"crl.pem", "crl", .secret = false},
};

enum { N_FILES = sizeof FILES / sizeof *FILES };

/* What is used once there is a policy. */
static const struct log_file {
    const char *name, *setting;
} LOG_FILES[] = {
    {"log.policy", "log_policy"},
    {"log.rotations", "log_rotations"},
    {"log.seen", "log_seen"},
    {"log.fork", "log_fork"},
};

enum { N_LOG_FILES = sizeof LOG_FILES / sizeof *LOG_FILES };

static const char **place(struct profile *p, const struct key *k)
{
    return (const char **)(void *)((char *)p + k->offset);
}

static const char *value_of(const struct profile *p, const struct key *k)
{
    return *(const char *const *)(const void *)((const char *)p + k->offset);
}

static const char *join(const char *dir, const char *file, struct arena *a)
{
    size_t n = strlen(dir) + strlen(file) + 2;
    char *path = arena_alloc(a, n);

    if (path != NULL)
        snprintf(path, n, "%s/%s", dir, file);
    return path;
}

const char *profile_dir(const char *chosen, struct arena *a)
{
    const char *home = getenv("HOME");

    if (chosen == NULL)
        chosen = getenv("LIAISON_PROFILE");
    if (chosen != NULL && chosen[0] != '\0')
        return (const char *)arena_copy(a, slice_text(chosen));
    return home != NULL ? join(home, ".config/liaison/default", a) : NULL;
}

const char *profile_path(const struct profile *p, const char *file, struct arena *a)
{
    return join(p->dir, file, a);
}

/* The URI of the key that would stand in this file; NULL: it stands there. */
static const char *uri_of(const struct profile *p, const char *file)
{
    return strcmp(file, "sign.key") == 0   ? p->sign_key
           : strcmp(file, "seal.key") == 0 ? p->seal_key
                                           : NULL;
}

const char *profile_key(const struct profile *p, const char *file, struct arena *a)
{
    const char *uri = uri_of(p, file);

    return uri != NULL ? uri : join(p->dir, file, a);
}

/* Does this profile use the file? */
static bool uses(const struct profile *p, const struct file *f)
{
    return !(f->seals_only && !profile_seals(p)) && uri_of(p, f->name) == NULL;
}

static enum liaison_code read_key(struct json_doc *d, const char *name,
                                  const json_t *value, struct arena *a,
                                  struct profile *out)
{
    struct json_path at = {NULL, name, 0};
    const char *names[N_KEYS], *text = json_string_value(value);
    char hint[96];

    for (size_t i = 0; i < N_KEYS; i++) {
        names[i] = KEYS[i].name;
        if (strcmp(KEYS[i].name, name) != 0)
            continue;
        if (text == NULL || text[0] == '\0' ||
            (KEYS[i].good != NULL && !KEYS[i].good(text)))
            return json_doc_fail(d, &at, JSON_AT_VALUE, "expected %s", KEYS[i].form);
        *place(out, &KEYS[i]) = (const char *)arena_copy(a, slice_text(text));
        return value_of(out, &KEYS[i]) != NULL ? LIAISON_OK : LIAISON_MEMORY;
    }
    return json_doc_fail(d, &at, JSON_AT_KEY, "unknown field%s",
                         json_near(name, names, N_KEYS, hint, sizeof hint));
}

static enum liaison_code read_keys(struct json_doc *d, struct arena *a,
                                   struct profile *out)
{
    enum liaison_code code = LIAISON_OK;
    const char *name;
    json_t *value;

    json_object_foreach(json_doc_root(d), name, value)
    {
        code = read_key(d, name, value, a, out);
        if (code != LIAISON_OK)
            return code;
    }
    if (out->network == NULL || out->broker == NULL)
        return json_doc_fail(d, NULL, JSON_AT_VALUE, "\"%s\" is missing",
                             out->network == NULL ? "network" : "broker");
    if ((out->agency == NULL) == (out->auditor == NULL))
        return json_doc_fail(d, NULL, JSON_AT_VALUE,
                             "expected either \"agency\" or \"auditor\"");
    if (out->approver != NULL && out->agency == NULL)
        return json_doc_fail(d, NULL, JSON_AT_VALUE,
                             "\"approver\" goes with the \"agency\" it approves for");
    return LIAISON_OK;
}

enum liaison_code profile_read(const char *dir, struct arena *a, struct profile *out,
                               char *why, size_t why_len)
{
    struct profile p = {.dir = (const char *)arena_copy(a, slice_text(dir))};
    const char *path = p.dir != NULL ? join(dir, "profile.json", a) : NULL;

    if (path == NULL) {
        snprintf(why, why_len, "out of memory");
        return LIAISON_MEMORY;
    }
    if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        snprintf(why, why_len,
                 "there is no profile in %s; make one with 'liaison enrol', or name "
                 "another with --profile",
                 dir);
        return LIAISON_CONFIG;
    }
    struct json_doc *d = json_doc_new(path);
    enum liaison_code code = d != NULL ? json_doc_file(d, path) : LIAISON_MEMORY;

    if (code == LIAISON_OK)
        code = read_keys(d, a, &p);
    if (code == LIAISON_OK)
        *out = p;
    else
        snprintf(why, why_len, "%s",
                 d != NULL && json_doc_why(d)[0] != '\0' ? json_doc_why(d)
                                                         : "out of memory");
    json_doc_free(d);
    return code == LIAISON_JSON || code == LIAISON_TOO_LARGE ? LIAISON_CONFIG : code;
}

/* What to do about a file that is not there, or not for us to read. */
static const char *remedy(const struct file *f, int error)
{
    if (error == EACCES)
        return "you must be able to read it";
    return f->secret ? "make a profile with 'liaison enrol'"
                     : "put in what the registrar sent with 'liaison enrol --install'";
}

enum liaison_code profile_files(const struct profile *p, char *why, size_t why_len)
{
    for (size_t i = 0; i < N_FILES; i++) {
        const struct file *f = &FILES[i];
        struct stat st;
        char path[4096];

        if (f->begins || !uses(p, f))
            continue;
        snprintf(path, sizeof path, "%s/%s", p->dir, f->name);
        if (stat(path, &st) != 0 || access(path, R_OK) != 0) {
            snprintf(why, why_len, "%s: %s; %s", path, strerror(errno), remedy(f, errno));
            return LIAISON_FILE;
        }
        if (f->secret && (st.st_mode & 077) != 0) {
            snprintf(why, why_len,
                     "%s: others may read this key (mode %04o); run: chmod 600 %s", path,
                     (unsigned)st.st_mode & 07777, path);
            return LIAISON_PERMISSION;
        }
    }
    return LIAISON_OK;
}

bool profile_seals(const struct profile *p)
{
    return p->agency != NULL && p->approver == NULL;
}

bool profile_has_policy(const struct profile *p)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", p->dir, LOG_FILES[0].name);
    return access(path, F_OK) == 0;
}

bool profile_setting(const struct profile *p, size_t *i, struct arena *a,
                     const char **key, const char **value)
{
    for (; *i < N_KEYS + N_FILES + N_LOG_FILES; ++*i) {
        if (*i < N_KEYS) {
            *key = KEYS[*i].name;
            *value = value_of(p, &KEYS[*i]);
        } else if (*i < N_KEYS + N_FILES) {
            const struct file *f = &FILES[*i - N_KEYS];

            *key = f->setting;
            *value = uses(p, f) ? join(p->dir, f->name, a) : NULL;
        } else {
            const struct log_file *f = &LOG_FILES[*i - N_KEYS - N_FILES];

            *key = f->setting;
            *value = profile_has_policy(p) ? join(p->dir, f->name, a) : NULL;
        }
        if (*value != NULL) {
            ++*i;
            return true;
        }
    }
    return false;
}

enum liaison_code profile_check(const struct profile *p, char *why, size_t why_len)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        const char *value = value_of(p, &KEYS[i]);

        if (value != NULL &&
            (value[0] == '\0' || (KEYS[i].good != NULL && !KEYS[i].good(value)))) {
            snprintf(why, why_len, "%s \"%s\": expected %s", KEYS[i].name, value,
                     KEYS[i].form);
            return LIAISON_CONFIG;
        }
    }
    return LIAISON_OK;
}

static char *profile_text(const struct profile *p)
{
    json_t *o = json_object();
    char *text = NULL;

    for (size_t i = 0; i < N_KEYS; i++) {
        const char *value = value_of(p, &KEYS[i]);

        if (value != NULL &&
            json_object_set_new(o, KEYS[i].name, json_string(value)) != 0)
            goto out;
    }
    text = json_dumps(o, JSON_INDENT(2));
out:
    json_decref(o);
    return text;
}

enum liaison_code profile_write(const struct profile *p, char *why, size_t why_len)
{
    enum liaison_code code = LIAISON_FILE;
    char path[4096];
    char *text = profile_text(p);

    if (text == NULL) {
        snprintf(why, why_len, "the profile's values are not UTF-8 text");
        return LIAISON_MEMORY;
    }
    snprintf(path, sizeof path, "%s/profile.json", p->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || dprintf(fd, "%s\n", text) < 0 || fsync(fd) != 0)
        snprintf(why, why_len, "%s: %s", path, strerror(errno));
    else
        code = LIAISON_OK;
    if (fd >= 0)
        close(fd);
    free(text);
    return code;
}
