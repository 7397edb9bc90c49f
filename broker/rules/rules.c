#include <stdlib.h>

#include "broker/rules/set.h"

struct rules *rules_share(struct rules *r)
{
    atomic_fetch_add_explicit(&r->references, 1, memory_order_relaxed);
    return r;
}

void rules_free(struct rules *r)
{
    /* acq_rel: whoever drops the last reference sees what every other holder did */
    if (r != NULL &&
        atomic_fetch_sub_explicit(&r->references, 1, memory_order_acq_rel) == 1)
        arena_free(r->arena);
}

const char *rules_network(const struct rules *r)
{
    return r->network;
}

struct slice rules_text(const struct rules *r)
{
    return r->text;
}

void rules_set_id(const struct rules *r, uint8_t out[32])
{
    memcpy(out, r->set_id, sizeof r->set_id);
}

bool rules_limit_rates(const struct rules *r)
{
    for (size_t i = 0; i < r->n_rules; i++)
        if (r->rules[i].rate != 0)
            return true;
    return false;
}

const struct rules_agency *rules_agency(const struct rules *r, const char *name)
{
    const struct member *m = find_member(r, name);

    return m != NULL ? &m->agency : NULL;
}

const struct rules_agency *rules_agency_at(const struct rules *r, size_t i)
{
    return i < r->n_agencies ? &r->agencies[i].agency : NULL;
}

const char *rules_auditor_area(const struct rules *r, const char *name)
{
    const struct auditor *a = (const struct auditor *)table_find(&r->by_auditor, name);

    return a != NULL ? a->area : NULL;
}

bool rules_area_within(const char *area, const char *within)
{
    size_t n = strlen(within);

    if (strcmp(within, "any") == 0)
        return true;
    return strncmp(area, within, n) == 0 && (area[n] == '\0' || area[n] == '/');
}

size_t rules_count(const struct rules *r)
{
    return r->n_rules;
}

const struct rules_line *rules_line_at(const struct rules *r, size_t i,
                                       size_t *draft_index)
{
    if (draft_index != NULL)
        *draft_index = r->rules[i].draft_index;
    return &r->rules[i].line;
}

enum rules_regime rules_kind_regime(const char *kind)
{
    static const struct {
        const char *kind;
        enum rules_regime regime;
    } KNOWN[] = {
        {"police", RULES_LED},  {"prison", RULES_LED},      {"probation", RULES_LED},
        {"court", RULES_LED},   {"prosecution", RULES_LED}, {"school", RULES_GDPR},
        {"health", RULES_GDPR}, {"ngo", RULES_GDPR},        {"municipality", RULES_GDPR},
    };

    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (strcmp(KNOWN[i].kind, kind) == 0)
            return KNOWN[i].regime;
    return RULES_REGIME_UNKNOWN;
}

const struct rules_agency *rules_successor(const struct rules *r, const char *name,
                                           int32_t day)
{
    const struct rules_agency *a = rules_agency(r, name);

    for (size_t hops = 0; a != NULL && rules_merged(a, day) && hops < r->n_agencies;
         hops++)
        a = rules_agency(r, a->merged_into);
    return a;
}

static int by_digest(const void *key, const void *row)
{
    return memcmp(key, ((const struct denied_certificate *)row)->sha256, 32);
}

bool rules_denies_certificate(const struct rules *r, const uint8_t sha256[32],
                              const struct rules_line **line)
{
    const struct denied_certificate *found =
        r->n_denied == 0
            ? NULL
            : bsearch(sha256, r->denied, r->n_denied, sizeof *r->denied, by_digest);

    if (found != NULL && line != NULL)
        *line = &found->line;
    return found != NULL;
}

size_t rules_denied_certificates(const struct rules *r)
{
    return r->n_denied;
}

const struct rules_line *rules_builtin(const struct rules *r, enum rules_builtin which)
{
    return &r->builtin[which];
}

const struct rules_line *rules_denied_at(const struct rules *r, size_t i,
                                         const uint8_t **sha256)
{
    *sha256 = r->denied[i].sha256;
    return &r->denied[i].line;
}

const char *rules_auditor_at(const struct rules *r, size_t i, const char **area)
{
    if (i >= r->n_auditors)
        return NULL;
    *area = r->auditors[i].area;
    return r->auditors[i].name.text;
}
