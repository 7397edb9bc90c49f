/* Which entries: the options that `log` asks the broker with, and that the commands on bundles look with. */
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/audit.h"
#include "proto/id.h"

/* Nanoseconds of a time or a day; of a day its beginning, or its end where `end` says so. */
bool audit_time(const char *text, bool end, uint64_t *ns)
{
    uint64_t seconds;
    uint32_t rest = 0;

    if (json_date_parse(text, &seconds)) {
        seconds += end ? 24 * 3600 - 1 : 0;
        rest = end ? 999999999 : 0;
    } else if (!json_time_parse(text, 9, &seconds, &rest)) {
        return false;
    }
    if (seconds > UINT64_MAX / 1000000000 - 1)
        return false;
    *ns = seconds * 1000000000 + rest;
    return true;
}

bool audit_number(const char *text, uint64_t *out)
{
    if (text[0] == '\0' || strlen(text) > 18 || text[strspn(text, "0123456789")] != '\0')
        return false;
    *out = strtoull(text, NULL, 10);
    return true;
}

static bool good_number(const char *text, uint64_t *out)
{
    return audit_number(text, out) && *out > 0;
}

/* The words of Event, for a hint. */
static int no_event(const char *word)
{
    const ProtobufCEnumDescriptor *type = &liaison__v1__event__descriptor;
    char words[64][32];
    const char *names[64];
    char hint[96];
    size_t n = 0;

    for (unsigned i = 0; i < type->n_values && n < 64; i++)
        if (type->values[i].value != 0)
            names[n] = json_word(type, type->values[i].value, words[n], sizeof words[n]),
            n++;
    return audit_fail(LIAISON_USAGE, "there is no event '%s'%s", word,
                      json_near(word, names, n, hint, sizeof hint));
}

/* Checks the options' forms. Returns 0, or the exit status. */
int audit_filter_check(const struct audit *a, uint64_t *limit)
{
    const char *const *opt = a->opt;
    uint8_t id[ID_BYTES];
    uint64_t from = 0, until = UINT64_MAX;
    int event;

    if (opt[AUDIT_OPT_LIMIT] != NULL && !good_number(opt[AUDIT_OPT_LIMIT], limit))
        return audit_fail(LIAISON_USAGE, "--limit wants a number above 0");
    if (opt[AUDIT_OPT_REFERRAL] != NULL && !id_parse(opt[AUDIT_OPT_REFERRAL], id))
        return audit_fail(LIAISON_USAGE, "--referral wants a whole id, 36 characters");
    if (opt[AUDIT_OPT_EVENT] != NULL &&
        !json_number(&liaison__v1__event__descriptor, opt[AUDIT_OPT_EVENT], &event))
        return no_event(opt[AUDIT_OPT_EVENT]);
    if ((opt[AUDIT_OPT_FROM] != NULL && !audit_time(opt[AUDIT_OPT_FROM], false, &from)) ||
        (opt[AUDIT_OPT_UNTIL] != NULL && !audit_time(opt[AUDIT_OPT_UNTIL], true, &until)))
        return audit_fail(LIAISON_USAGE,
                          "--from and --until want 2026-11-23 or 2026-11-23T08:00:00Z");
    if (from > until)
        return audit_fail(LIAISON_USAGE, "--from is later than --until");
    return 0;
}
