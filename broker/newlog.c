#include "broker/newlog.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/core/verify.h"
#include "proto/err.h"

enum { NOTE_IN_ENTRY_MAX = 12 << 10 }; /* an entry has 16 KiB for all that it holds */

/* What is known before anything is changed. */
struct case_file {
    const struct conf *conf;
    const struct notary_settings *settings;
    struct note note;
    struct checkpoint last; /* what NOTE says */
    uint32_t number;        /* of the log it is of */
    char next[NOTE_NAME_MAX + 1];
    struct notary_status notary;
    bool begun; /* the notary has been renewed, or was about to be */
    struct verify_log store;
};

/* ------------------------------------------------------------ the note */

static enum liaison_code read_note(struct newlog *n, char *why, size_t why_len)
{
    uint8_t *bytes = malloc(NOTE_IN_ENTRY_MAX + 1);
    FILE *f = fopen(n->path, "re");
    size_t len =
        f == NULL || bytes == NULL ? 0 : fread(bytes, 1, NOTE_IN_ENTRY_MAX + 1, f);
    enum liaison_code code = LIAISON_OK;

    n->note = slice(bytes, len);
    if (f == NULL || ferror(f) != 0) {
        snprintf(why, why_len, "%s: %s", n->path, strerror(errno));
        code = LIAISON_FILE;
    } else if (len > NOTE_IN_ENTRY_MAX) {
        snprintf(why, why_len,
                 "%s: longer than an entry can hold; leave out cosignatures", n->path);
        code = LIAISON_CONFIG;
    }
    if (f != NULL)
        fclose(f);
    return bytes == NULL ? LIAISON_MEMORY : code;
}

/* It is a checkpoint of a log of this broker, whose number says what the next one is called. */
static enum liaison_code parse_note(const struct newlog *n, struct case_file *f,
                                    const char *prefix, char *why, size_t why_len)
{
    size_t len = strlen(prefix);
    char *end = NULL;

    if (note_parse(n->note, &f->note) != LIAISON_OK ||
        checkpoint_parse(f->note.text, &f->last) != LIAISON_OK) {
        snprintf(why, why_len, "%s: not a signed checkpoint", n->path);
        return LIAISON_CONFIG;
    }
    bool ours = strncmp(f->last.origin, prefix, len) == 0 && f->last.origin[len] == '/';
    unsigned long number = ours ? strtoul(f->last.origin + len + 1, &end, 10) : 0;

    f->number = (uint32_t)number;
    if (!ours || *end != '\0' || number == 0 || number >= UINT32_MAX ||
        (size_t)snprintf(f->next, sizeof f->next, "%s/%lu", prefix, number + 1) >=
            sizeof f->next) {
        snprintf(why, why_len, "%s: a checkpoint of %s, which is no log of %s", n->path,
                 f->last.origin, prefix);
        return LIAISON_CONFIG;
    }
    return LIAISON_OK;
}

/* The old log's key where it is, or where it was put. */
static bool old_key(const struct case_file *f, struct note_key *out)
{
    char key[PATH_MAX], state[PATH_MAX], why[512];
    struct notary_settings s = *f->settings;
    struct notary_status old;

    if (strcmp(f->notary.key.name, f->last.origin) == 0) {
        *out = f->notary.key;
        return true;
    }
    s.key_file = key;
    s.state_file = state;
    if ((size_t)snprintf(key, sizeof key, "%s.old", f->settings->key_file) >=
            sizeof key ||
        (size_t)snprintf(state, sizeof state, "%s.old", f->settings->state_file) >=
            sizeof state ||
        notary_look(&s, &old, why, sizeof why) != LIAISON_OK ||
        strcmp(old.key.name, f->last.origin) != 0)
        return false;
    *out = old.key;
    return true;
}

/* How many witnesses of the settings' policy have cosigned; -1: that cannot be said. */
static int count_witnesses(const struct case_file *f, const struct newlog *n,
                           const struct note_key *key)
{
    struct note_policy *p = NULL;
    struct note_judgement j;
    char why[512];
    int witnesses = -1;

    if (f->conf->witnesses != NULL &&
        notary_policy(f->conf->witnesses, key, &p, why, sizeof why) == LIAISON_OK &&
        note_judge(p, n->note, (uint64_t)time(NULL), &j) == LIAISON_OK)
        witnesses = (int)j.n_witnesses;
    note_policy_free(p);
    return witnesses;
}

/* Says what was looked at, and what could not be. */
static enum liaison_code check_note(const struct newlog *n, const struct case_file *f,
                                    char *why, size_t why_len)
{
    struct note_verdict verdict = {0};
    struct note_key key;
    bool have = old_key(f, &key);
    enum liaison_code code = have ? note_verify(&f->note, &key, 1, &verdict) : LIAISON_OK;

    if (code == LIAISON_OK && have && !verdict.signed_by)
        code = LIAISON_SIGNATURE;
    if (code != LIAISON_OK) {
        snprintf(why, why_len, "%s: the key of %s has not signed it", n->path,
                 f->last.origin);
        return code;
    }
    log_info("new-log.note", "log=%s size=%" PRIu64 " signature=%s lines=%zu",
             f->last.origin, f->last.size, have ? "checked" : "not-checked", f->note.n);
    int witnesses = have ? count_witnesses(f, n, &key) : -1;

    if (witnesses >= 0)
        log_info("new-log.witnesses", "cosigned=%d", witnesses);
    if (!have)
        log_warn("new-log.unchecked", "what=\"%s\"",
                 "the old log's key is not here: whether it has signed the note was not "
                 "checked");
    return LIAISON_OK;
}

/* ------------------------------------------------------------ the store */

static void judge(const struct case_file *f, newlog_become *become,
                  struct verify_log *out, enum liaison_code *code, char *why,
                  size_t why_len)
{
    const struct store_settings s = {.map_bytes = f->conf->map_bytes,
                                     .reserve_bytes = f->conf->reserve_bytes};
    struct checkpoint known[2] = {f->last, {.size = f->notary.size}};

    memcpy(known[1].origin, f->notary.key.name, sizeof known[1].origin);
    memcpy(known[1].root, f->notary.root, sizeof known[1].root);
    *code = become(f->conf->user, why, why_len);
    if (*code == LIAISON_OK)
        *code = verify_log(f->conf->store_url, &s, known, f->notary.has_state ? 2 : 1,
                           out, why, why_len);
}

struct told {
    enum liaison_code code;
    char why[512];
    struct verify_log store;
};

/* In a process of its own: it is another user's, LMDB wants no fork after it was opened, and damaged pages can kill who reads
 * them. */
static enum liaison_code judge_apart(struct case_file *f, newlog_become *become,
                                     char *why, size_t why_len)
{
    struct told told = {.code = LIAISON_INTERNAL};
    int ends[2];

    if (pipe(ends) != 0)
        return LIAISON_MEMORY;
    pid_t child = fork();

    if (child == 0) {
        close(ends[0]);
        judge(f, become, &told.store, &told.code, told.why, sizeof told.why);
        _exit(write(ends[1], &told, sizeof told) == (ssize_t)sizeof told ? 0 : 1);
    }
    close(ends[1]);
    bool whole = child > 0 && read(ends[0], &told, sizeof told) == (ssize_t)sizeof told;

    close(ends[0]);
    if (child > 0)
        waitpid(child, NULL, 0);
    if (!whole) {
        snprintf(why, why_len,
                 "%s cannot be read at all: put a backup in its place first",
                 f->conf->store_url);
        return LIAISON_DAMAGED;
    }
    f->store = told.store;
    if (told.code != LIAISON_OK)
        snprintf(why, why_len, "%s", told.why);
    return told.code;
}

/* Another log is due only where this one must not go on. */
static enum liaison_code check_store(const struct newlog *n, const struct case_file *f,
                                     char *why, size_t why_len)
{
    if (f->store.number != f->number) {
        snprintf(why, why_len, "%s: a checkpoint of %s, but the store's log is %s",
                 n->path, f->last.origin,
                 f->store.number == 0 ? "not begun" : f->store.origin);
        return LIAISON_CONFIG;
    }
    log_warn("new-log.store", "log=%s entries=%" PRIu64 " why=\"%s\"", f->store.origin,
             f->store.size, f->store.sound ? "nothing is wrong with it" : f->store.why);
    if (!f->store.sound || f->begun || n->anyway)
        return LIAISON_OK;
    snprintf(why, why_len,
             "nothing is wrong with the store's log %s of %" PRIu64
             " entries: start without --new-log, or say --anyway",
             f->store.origin, f->store.size);
    return LIAISON_CONFIG;
}

/* ------------------------------------------------------------ all of it */

/* A key of the old log, of the next one, or none: the machine may be another one. */
static enum liaison_code look_at_notary(struct case_file *f, char *why, size_t why_len)
{
    struct notary_settings next = *f->settings;
    enum liaison_code code = LIAISON_OK;

    next.origin = f->next;
    if (access(f->settings->key_file, F_OK) == 0 || errno != ENOENT)
        code = notary_look(f->settings, &f->notary, why, why_len);
    if (code == LIAISON_OK)
        code = notary_renewal(&next, &f->begun, why, why_len);
    if (code == LIAISON_OK && f->notary.key.name[0] != '\0' &&
        strcmp(f->notary.key.name, f->last.origin) != 0 &&
        strcmp(f->notary.key.name, f->next) != 0) {
        snprintf(why, why_len, "the note is of %s, the notary's key is of %s",
                 f->last.origin, f->notary.key.name);
        code = LIAISON_CONFIG;
    }
    return code;
}

static enum liaison_code prepare(struct newlog *n, struct case_file *f,
                                 newlog_become *become, char *why, size_t why_len)
{
    struct notary_settings next = *f->settings;
    enum liaison_code code = judge_apart(f, become, why, why_len);

    if (code == LIAISON_OK && f->store.number == f->number + 1 && f->begun) {
        log_info("new-log.done", "log=%s entries=%" PRIu64 " what=\"%s\"",
                 f->store.origin, f->store.size, "it has begun before");
        return LIAISON_OK;
    }
    if (code == LIAISON_OK)
        code = check_store(n, f, why, why_len);
    if (code == LIAISON_OK && f->last.size < f->notary.size &&
        strcmp(f->notary.key.name, f->last.origin) == 0)
        log_warn(
            "new-log.older", "size=%" PRIu64 " signed=%" PRIu64 " what=\"%s\"",
            f->last.size, f->notary.size,
            "there is a later checkpoint than this note: ask witnesses and auditors");
    next.origin = f->next;
    return code == LIAISON_OK ? notary_renew(&next, why, why_len) : code;
}

enum liaison_code newlog_prepare(struct newlog *n, const struct conf *c,
                                 const struct notary_settings *s, const char *prefix,
                                 newlog_become *become, char *why, size_t why_len)
{
    struct case_file *f = calloc(1, sizeof *f);
    enum liaison_code code = f == NULL ? LIAISON_MEMORY : read_note(n, why, why_len);

    if (code == LIAISON_OK) {
        f->conf = c;
        f->settings = s;
        code = parse_note(n, f, prefix, why, why_len);
    }
    if (code == LIAISON_OK)
        code = look_at_notary(f, why, why_len);
    if (code == LIAISON_OK)
        code = check_note(n, f, why, why_len);
    if (code == LIAISON_OK)
        code = prepare(n, f, become, why, why_len);
    free(f);
    return code;
}

void newlog_free(struct newlog *n)
{
    free((void *)(uintptr_t)n->note.p);
    n->note = slice(NULL, 0);
}
