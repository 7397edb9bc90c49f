#include "client/cli/expiry.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cert.h"

/* The first row that fits. */
static const struct {
    int days;
    const char *advice;
} LEVELS[] = {
    {1, "renew it now"},
    {7, "renew it this week"},
    {14, "ask the registrar for a new one"},
    {30, "plan to renew it"},
};

int expiry_level(int64_t days)
{
    for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++)
        if (days <= LEVELS[i].days)
            return LEVELS[i].days;
    return 0;
}

const char *expiry_advice(int64_t days)
{
    for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++)
        if (days <= LEVELS[i].days)
            return LEVELS[i].advice;
    return NULL;
}

/* Days that the broker counted; INT64_MAX if it was not asked. */
static int64_t sign_days(struct cli *c)
{
    const uint8_t *bytes;
    size_t len;
    const Liaison__V1__Frame *f =
        liaison_welcome(c->lib, &bytes, &len) == LIAISON_OK
            ? cli_decode(c, &liaison__v1__frame__descriptor, slice(bytes, len))
            : NULL;

    return f != NULL && f->body_case == LIAISON__V1__FRAME__BODY_WELCOME
               ? (int64_t)f->welcome->certificate_days
               : INT64_MAX;
}

static int64_t seal_days(struct cli *c)
{
    struct cert_facts facts;

    return profile_seals(&c->profile) && cert_read(c, "seal.crt", &facts)
               ? cert_days(facts.until_unix)
               : INT64_MAX;
}

/* Was this said today already? Remembers it. */
static bool said(struct cli *c, const char *words)
{
    const char *path = profile_path(&c->profile, "cert.warned", c->arena);
    char before[96] = "";
    FILE *f = path != NULL ? fopen(path, "re") : NULL;

    if (f != NULL) {
        (void)!fgets(before, sizeof before, f);
        fclose(f);
    }
    if (strcmp(before, words) == 0)
        return true;
    f = path != NULL ? fopen(path, "we")
                     : NULL; /* where it cannot be kept, it is said each time */
    if (f != NULL) {
        fputs(words, f);
        fclose(f);
    }
    return false;
}

static void warn(const char *what, int64_t days, const char *how)
{
    if (expiry_advice(days) == NULL)
        return;
    if (days < 0)
        fprintf(stderr, "liaison: warning: the %s certificate has ended; %s\n", what,
                how);
    else
        fprintf(stderr,
                "liaison: warning: the %s certificate ends in %s%lld day%s; %s: %s\n",
                what, days == 0 ? "less than " : "", days == 0 ? 1 : (long long)days,
                days <= 1 ? "" : "s", expiry_advice(days), how);
}

void expiry_mind(struct cli *c)
{
    if (c->lib == NULL || c->opt[OPT_JSON] != NULL || c->profile.dir == NULL)
        return;
    int64_t sign = sign_days(c), seal = seal_days(c);

    if (expiry_level(sign) == 0 && expiry_level(seal) == 0)
        return;
    const char *today = cli_time(c, (uint64_t)time(NULL) * 1000);

    if (said(c, cli_text(c, "%.10s sign %d seal %d", today, expiry_level(sign),
                         expiry_level(seal))))
        return;
    warn("signing", sign, "liaison cert renew");
    warn("sealing", seal, "liaison cert rotate seal");
}
