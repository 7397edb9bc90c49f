#include "client/audit/audit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int audit_fail(enum liaison_code code, const char *format, ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fputs("liaison-audit: ", stderr);
    for (const char *p = text; *p != '\0'; p++) /* names in it may come from the broker */
        fputc((unsigned char)*p < ' ' && *p != '\n' ? '?' : *p, stderr);
    fputc('\n', stderr);
    return err_exit(code);
}

int audit_lib_fail(struct audit *a, enum liaison_code code)
{
    const char *sentence = liaison_errmsg(a->lib);

    return audit_fail(code, "%s", sentence[0] != '\0' ? sentence : err_text(code));
}

enum liaison_code audit_profile(struct audit *a, struct profile *p, char *why,
                                size_t why_len)
{
    const char *dir = profile_dir(a->opt[AUDIT_OPT_PROFILE], a->arena);

    if (dir == NULL) {
        snprintf(why, why_len,
                 "there is no home directory; name a profile with --profile DIR");
        return LIAISON_CONFIG;
    }
    enum liaison_code code = profile_read(dir, a->arena, p, why, why_len);

    if (code == LIAISON_OK && p->auditor == NULL) {
        snprintf(why, why_len,
                 "%s is the profile of an agency; the ledger is read with an auditor's "
                 "(--profile DIR)",
                 dir);
        return LIAISON_ROLE;
    }
    return code == LIAISON_OK ? profile_files(p, why, why_len) : code;
}

/* What the profile does not say, then the profile, then the options: the last one counts. */
static enum liaison_code set_all(struct audit *a, const struct profile *p,
                                 const char *timeout_ms)
{
    const struct {
        const char *key, *before, *after;
    } ROWS[] = {
        {"software", "liaison-audit 0.1.0", NULL},
        {"timeout_ms", timeout_ms, NULL},
        {"purpose", "audit",
         a->opt[AUDIT_OPT_PURPOSE]}, /* an auditor's reads are logged with one, too */
        {"basis", "law", a->opt[AUDIT_OPT_BASIS]},
        {"officer", NULL, a->opt[AUDIT_OPT_OFFICER]},
        {"broker", NULL, a->opt[AUDIT_OPT_BROKER]},
    };
    enum { N = sizeof ROWS / sizeof *ROWS };
    enum liaison_code code = LIAISON_OK;
    const char *key, *value;

    for (size_t i = 0; code == LIAISON_OK && i < N; i++)
        if (ROWS[i].before != NULL)
            code = liaison_set(a->lib, ROWS[i].key, ROWS[i].before);
    for (size_t i = 0;
         code == LIAISON_OK && profile_setting(p, &i, a->arena, &key, &value);)
        code = liaison_set(a->lib, key, value);
    for (size_t i = 0; code == LIAISON_OK && i < N; i++)
        if (ROWS[i].after != NULL)
            code = liaison_set(a->lib, ROWS[i].key, ROWS[i].after);
    return code;
}

bool audit_open(struct audit *a, int *status)
{
    char why[1024] = "", timeout_ms[32];
    const char *seconds =
        a->opt[AUDIT_OPT_TIMEOUT] != NULL ? a->opt[AUDIT_OPT_TIMEOUT] : "30";
    struct profile p;

    if (strlen(seconds) > 5 || seconds[strspn(seconds, "0123456789")] != '\0' ||
        atoi(seconds) == 0) {
        *status = audit_fail(LIAISON_USAGE, "--timeout wants seconds from 1 to 99999");
        return false;
    }
    snprintf(timeout_ms, sizeof timeout_ms, "%ld", atol(seconds) * 1000);
    enum liaison_code code = audit_profile(a, &p, why, sizeof why);

    if (code == LIAISON_OK)
        code = liaison_new(&a->lib);
    if (code == LIAISON_OK && (code = set_all(a, &p, timeout_ms)) != LIAISON_OK)
        snprintf(why, sizeof why, "%s", liaison_errmsg(a->lib));
    if (code != LIAISON_OK)
        *status = audit_fail(code, "%s", why[0] != '\0' ? why : err_text(code));
    return code == LIAISON_OK;
}
