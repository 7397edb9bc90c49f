#include "broker/rules/admit.h"

#include <stdio.h>

static enum liaison_code agency_speaks(const struct rules *r, const char *name,
                                       int32_t day, char *why, size_t why_len)
{
    const struct rules_agency *a = rules_agency(r, name);
    char date[RULES_DAY_TEXT];

    if (a == NULL) {
        snprintf(why, why_len, "the rules declare no agency %s", name);
        return LIAISON_UNKNOWN_AGENCY;
    }
    if (!rules_merged(a, day))
        return LIAISON_OK;
    snprintf(why, why_len, "%s was merged into %s on %s: log in as that agency", name,
             a->merged_into, rules_day_text(a->merged_day, date));
    return LIAISON_UNKNOWN_AGENCY;
}

enum liaison_code rules_admit(const struct rules *r, const struct tls_identity *who,
                              int32_t day, char *why, size_t why_len)
{
    const struct rules_line *line;

    if (rules_denies_certificate(r, who->certificate, &line)) {
        snprintf(why, why_len, "%s: %s", line->where, line->text);
        return LIAISON_REVOKED;
    }
    switch (who->role) {
    case TLS_AGENCY:
    case TLS_APPROVER: /* under its agency's name */
        return agency_speaks(r, who->name, day, why, why_len);
    case TLS_AUDITOR:
        if (rules_auditor_area(r, who->name) != NULL)
            return LIAISON_OK;
        snprintf(why, why_len, "the rules declare no auditor %s", who->name);
        return LIAISON_UNKNOWN_AGENCY;
    case TLS_BROKER:
        break;
    }
    snprintf(why, why_len, "brokers have no calls");
    return LIAISON_ROLE;
}
