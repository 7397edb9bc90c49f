#include <stdio.h>
#include <stdlib.h>

#include "broker/rules/build.h"

static const char *const TYPES_TEXT[] = {
    [LIAISON__V1__TYPE__TYPE_UNSPECIFIED] = "any",
    [LIAISON__V1__TYPE__TYPE_REFERRAL] = "referral",
    [LIAISON__V1__TYPE__TYPE_TRANSFER] = "transfer",
    [LIAISON__V1__TYPE__TYPE_INFORMATION] = "information",
    [LIAISON__V1__TYPE__TYPE_QUERY] = "query",
};

static const char *const PARTY_WORD[] = {[RULES_ANY] = "any",
                                         [RULES_KIND] = "kind ",
                                         [RULES_GROUP] = "group ",
                                         [RULES_AGENCY] = ""};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By how they are written: "any", "fr/...", "group ...", "kind ...". */
static int by_party(const void *a, const void *b)
{
    const struct rules_party *x = a, *y = b;
    char left[320], right[320];

    snprintf(left, sizeof left, "%s%s", PARTY_WORD[x->kind],
             x->name != NULL ? x->name : "");
    snprintf(right, sizeof right, "%s%s", PARTY_WORD[y->kind],
             y->name != NULL ? y->name : "");
    return strcmp(left, right);
}

/* Elements are given as pairs, so that both kinds of set share this. */
static void put_set(FILE *f, size_t n, const char *const *pairs)
{
    if (n > 1)
        fputs("{ ", f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s%s%s", i > 0 ? ", " : "", pairs[2 * i], pairs[2 * i + 1]);
    if (n > 1)
        fputs(" }", f);
}

static bool put_parties(FILE *f, const char *word, const struct rules_parties *p,
                        struct arena *a)
{
    struct rules_party *sorted = arena_alloc(a, p->n * sizeof *sorted);
    const char **pairs = arena_alloc(a, 2 * p->n * sizeof *pairs);

    if (sorted == NULL || pairs == NULL)
        return false;
    if (p->n > 0)
        memcpy(sorted, p->list, p->n * sizeof *sorted);
    qsort(sorted, p->n, sizeof *sorted, by_party);
    for (size_t i = 0; i < p->n; i++) {
        pairs[2 * i] = PARTY_WORD[sorted[i].kind];
        pairs[2 * i + 1] = sorted[i].name != NULL ? sorted[i].name : "";
    }
    fprintf(f, " %s ", word);
    put_set(f, p->n, pairs);
    return true;
}

static bool put_words(FILE *f, const char *word, const struct rules_words *w,
                      struct arena *a)
{
    if (w->any)
        fprintf(f, " %s any", word);
    if (w->any || w->n == 0)
        return true;
    const char **sorted = arena_alloc(a, w->n * sizeof *sorted);

    if (sorted == NULL)
        return false;
    memcpy(sorted, w->list, w->n * sizeof *sorted);
    qsort(sorted, w->n, sizeof *sorted, by_text);
    fprintf(f, " %s {", word);
    for (size_t i = 0; i < w->n; i++)
        fprintf(f, "%s %s", i > 0 ? "," : "", sorted[i]);
    fputs(" }", f);
    return true;
}

static void put_size(FILE *f, uint64_t bytes)
{
    static const char UNITS[] = {'\0', 'K', 'M', 'G'};
    size_t unit = 0;

    while (unit + 1 < sizeof UNITS && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    fprintf(f, " max-size %llu%.*s", (unsigned long long)bytes, unit > 0, &UNITS[unit]);
}

static bool put_rule(FILE *f, const struct rules_draft_rule *r, struct arena *a)
{
    static const char *const OUTCOME[] = {"outcome"};
    struct rules_words returns = r->returns;

    if (returns.n == 0)
        returns = (struct rules_words){OUTCOME, 1, false};
    const char *quote = r->category != NULL ? "\"" : "";

    fprintf(f, "%s %s %s%s%s", r->deny ? "deny" : "allow", TYPES_TEXT[r->type], quote,
            r->category != NULL ? r->category : "any", quote);
    if (!put_parties(f, "from", &r->from, a) || !put_parties(f, "to", &r->to, a))
        return false;
    if (r->within_area)
        fputs(" within area", f);
    if (!put_words(f, "purpose", &r->purposes, a) ||
        !put_words(f, "basis", &r->bases, a) ||
        !put_words(f, "sections", &r->sections, a))
        return false;
    if (!r->deny) {
        bool early = r->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY;

        fputs(early ? " reveal on delivery" : " reveal on accept", f);
        if (!put_words(f, "return", &returns, a))
            return false;
    }
    if (r->when_minor)
        fputs(" when minor", f);
    if (r->max_bytes > 0)
        put_size(f, r->max_bytes);
    return true;
}

const char *rules_canonical(const struct rules_draft_rule *rule, struct arena *a)
{
    char *text = NULL;
    const char *kept = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    bool done = put_rule(f, rule, a) && !ferror(f);

    if (fclose(f) == 0 && done)
        kept = (const char *)arena_copy(a, slice(text, len));
    free(text);
    return kept;
}
