/* The handle: settings, errors, clocks. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "client/lib/engine.h"
#include "client/lib/inner.h"
#include "client/lib/words.h"
#include "proto/err.h"
#include "proto/id.h"

enum { TIMEOUT_DEFAULT_MS = 30 * 1000, CONNECT_DEFAULT_MS = 5 * 1000 };

/* ---------------------------------------------------------------- settings */

static bool form_any(const char *v)
{
    return strlen(v) < 4096;
}

static bool form_ms(const char *v)
{
    uint64_t ms;

    return words_u64(v, 24ULL * 3600 * 1000, &ms) && ms > 0;
}

static bool form_text(const char *v)
{
    return strlen(v) <= 64 && valid_utf8(slice_text(v));
}

/* What a setting may be, and what is no longer right once it was set. */
static const struct key {
    const char *name;
    bool (*form)(const char *);
    const char *want;
    unsigned drops; /* enum keys_part */
    bool hangs_up;
} KEYS[SET__COUNT] = {
    [SET_NETWORK] = {"network", form_any, "a network's name", KEYS_ALL, true},
    [SET_BROKER] = {"broker", link_address, "host:port", 0, true},
    [SET_BROKER_NAME] = {"broker_name", id_name, "a broker's name", 0, true},
    [SET_AGENCY] = {"agency", id_name, "an agency's name", KEYS_SIGN | KEYS_SEAL, true},
    [SET_AUDITOR] = {"auditor", id_name, "an auditor's name", KEYS_SIGN | KEYS_SEAL,
                     true},
    [SET_APPROVER] = {"approver", id_word, "the approver's role: a word", KEYS_SIGN,
                      true},
    [SET_CA] = {"ca", form_any, "a file", KEYS_ALL, true},
    [SET_CRL] = {"crl", form_any, "a file", KEYS_ALL, true},
    [SET_SIGN_CERTIFICATE] = {"sign_certificate", form_any, "a file", KEYS_SIGN, true},
    [SET_SIGN_KEY] = {"sign_key", form_any, "a file", KEYS_SIGN, true},
    [SET_SEAL_CERTIFICATE] = {"seal_certificate", form_any, "a file", KEYS_SEAL, false},
    [SET_SEAL_KEY] = {"seal_key", form_any, "a file", KEYS_SEAL, false},
    [SET_SEAL_OLD] = {"seal_old", form_any, "how the names of files begin", KEYS_SEAL,
                      false},
    [SET_OFFICER] = {"officer", id_officer,
                     "an officer's number: letters, digits, '.', '_' and '-', at most 64",
                     0, false},
    [SET_PURPOSE] = {"purpose", id_word, "a word: a-z, 0-9 and '-'", 0, false},
    [SET_BASIS] = {"basis", id_word, "a word: a-z, 0-9 and '-'", 0, false},
    [SET_TIMEOUT_MS] = {"timeout_ms", form_ms, "milliseconds, 1 to a day", 0, false},
    [SET_CONNECT_MS] = {"connect_ms", form_ms, "milliseconds, 1 to a day", 0, false},
    [SET_SOFTWARE] = {"software", form_text, "UTF-8 of at most 64 bytes", 0, false},
    [SET_RECIPIENTS] = {"recipients", form_any, "a folder", 0, false},
    [SET_LOG_POLICY] = {"log_policy", form_any, "a file", 0, true},
    [SET_LOG_ROTATIONS] = {"log_rotations", form_any, "a file", 0, true},
    [SET_LOG_SEEN] = {"log_seen", form_any, "a file", 0, true},
    [SET_LOG_FORK] = {"log_fork", form_any, "a file", 0, true},
};

enum liaison_code liaison_set(struct liaison *l, const char *key, const char *value)
{
    enum liaison_code code = lib_enter(l);
    size_t i = 0;

    if (code != LIAISON_OK)
        return code;
    if (key == NULL || value == NULL)
        return lib_fail(l, LIAISON_USAGE, "liaison_set: key and value are wanted");
    while (i < SET__COUNT && strcmp(KEYS[i].name, key) != 0)
        i++;
    if (i == SET__COUNT)
        return lib_fail(l, LIAISON_USAGE, "there is no setting \"%.64s\"", key);
    if (value[0] != '\0' && !KEYS[i].form(value))
        return lib_fail(l, LIAISON_FIELD, "%s \"%.128s\": %s is wanted", key, value,
                        KEYS[i].want);
    char *copy = value[0] == '\0' ? NULL : strdup(value);

    if (value[0] != '\0' && copy == NULL)
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    if (i == SET_LOG_POLICY || i == SET_LOG_ROTATIONS || i == SET_LOG_SEEN)
        log_drop(l); /* puts what it has seen where it was to be */
    free(l->set[i]);
    l->set[i] = copy;
    if (KEYS[i].hangs_up)
        engine_hang_up(l);
    keys_drop(&l->keys, KEYS[i].drops);
    return LIAISON_OK;
}

const char *lib_setting(const struct liaison *l, enum setting s)
{
    return l->set[s] == NULL ? "" : l->set[s];
}

int lib_setting_ms(const struct liaison *l, enum setting s)
{
    uint64_t ms;

    if (l->set[s] != NULL && words_u64(l->set[s], INT32_MAX, &ms))
        return (int)ms;
    return s == SET_CONNECT_MS ? CONNECT_DEFAULT_MS : TIMEOUT_DEFAULT_MS;
}

enum liaison_code lib_need(struct liaison *l, enum setting s)
{
    if (l->set[s] != NULL)
        return LIAISON_OK;
    return lib_fail(l, LIAISON_CONFIG, "setting \"%s\" is missing: %s", KEYS[s].name,
                    KEYS[s].want);
}

const char *lib_own_name(const struct liaison *l)
{
    return lib_setting(l, l->set[SET_AGENCY] != NULL ? SET_AGENCY : SET_AUDITOR);
}

bool lib_caller(const struct liaison *l, Liaison__V1__Caller *caller)
{
    caller->officer = (char *)(uintptr_t)lib_setting(
        l, SET_OFFICER); /* protobuf-c's strings are not const */
    caller->purpose = (char *)(uintptr_t)lib_setting(l, SET_PURPOSE);
    caller->basis = (char *)(uintptr_t)lib_setting(l, SET_BASIS);
    return l->set[SET_OFFICER] != NULL || l->set[SET_PURPOSE] != NULL ||
           l->set[SET_BASIS] != NULL;
}

/* ---------------------------------------------------------------- life */

enum liaison_code liaison_new(struct liaison **out)
{
    struct liaison *l = out == NULL ? NULL : calloc(1, sizeof *l);
    enum liaison_code code = LIAISON_MEMORY;

    if (out == NULL)
        return LIAISON_USAGE;
    if (l == NULL)
        return LIAISON_MEMORY;
    l->pid = getpid();
    link_init(&l->link);
    l->engine.epoll = -1;
    l->hash = hash_new();
    if (l->hash == NULL || (code = seal_new(&l->seal)) != LIAISON_OK ||
        (code = engine_init(l)) != LIAISON_OK) {
        liaison_free(l);
        return code;
    }
    *out = l;
    return LIAISON_OK;
}

void liaison_free(struct liaison *l)
{
    if (l == NULL)
        return;
    engine_free(l);
    log_drop(l);
    receipts_clear(&l->receipts);
    keys_drop(&l->keys, KEYS_ALL);
    seal_free(l->seal);
    hash_free(l->hash);
    for (size_t i = 0; i < SET__COUNT; i++)
        free(l->set[i]);
    free(l);
}

enum liaison_code lib_enter(struct liaison *l)
{
    if (l == NULL)
        return LIAISON_USAGE;
    if (l->pid != getpid())
        return lib_fail(
            l, LIAISON_USAGE,
            "this handle was made before fork(): make a new one in the child");
    l->err[0] = '\0';
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- errors */

/* What helps, where the sentence cannot say it. */
static const char *hint(enum liaison_code code)
{
    static const struct {
        enum liaison_code code;
        const char *hint;
    } HINTS[] = {
        {LIAISON_UNREACHABLE,
         "check that the broker runs and that the setting \"broker\" is right"},
        {LIAISON_TIMEOUT,
         "the call may have been done: the same bytes can safely be sent again"},
        {LIAISON_CLOSED,
         "the call may have been done: the same bytes can safely be sent again"},
        {LIAISON_CRL, "get the current revocation lists from your registrar, or look at "
                      "this machine's clock"},
        {LIAISON_EXPIRED, "renew the certificate, or look at this machine's clock"},
        {LIAISON_REVOKED, "ask your registrar for a new certificate"},
        {LIAISON_PERMISSION, "chmod 600 the key file"},
        {LIAISON_STALE, "fetch the referral again and decide on what it is now"},
        {LIAISON_RATE, "the same bytes can be sent again later: within the hour they may "
                       "pass"},
        {LIAISON_CONFLICT, "make a new referral with an id of its own"},
    };

    for (size_t i = 0; i < sizeof HINTS / sizeof *HINTS; i++)
        if (HINTS[i].code == code)
            return HINTS[i].hint;
    return NULL;
}

enum liaison_code lib_fail(struct liaison *l, enum liaison_code code, const char *format,
                           ...)
{
    char text[512];
    const char *next = hint(code);
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(l->err, sizeof l->err, "%s%s%s", text, next == NULL ? "" : "; ",
             next == NULL ? "" : next);
    return code;
}

const char *liaison_errmsg(const struct liaison *l)
{
    return l == NULL ? "there is no handle" : l->err;
}

uint32_t liaison_abi_version(void)
{
    return 1;
}

const char *liaison_code_name(enum liaison_code code)
{
    return err_name(code);
}

const char *liaison_code_text(enum liaison_code code)
{
    return err_text(code);
}

int liaison_code_retry(enum liaison_code code)
{
    return (int)err_retry(code);
}

/* ---------------------------------------------------------------- clocks */

static int64_t clock_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t lib_mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t lib_unix_ms(void)
{
    return (uint64_t)clock_ms(CLOCK_REALTIME);
}

int64_t lib_unix(void)
{
    return clock_ms(CLOCK_REALTIME) / 1000;
}
