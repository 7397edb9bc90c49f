/* One text for one meaning. */
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

/* The values of each `when` of a set, from 1 on, as rules spell them. */
enum { VALUES_MAX = 8 };
static const char *const HANDLINGS[VALUES_MAX] = {NULL, "none", "h0", "h1", "h2", "h3"};
static const char *const INFORMED[VALUES_MAX] = {
    NULL, "yes", "later", "not-reached", "would-endanger", "would-prejudice"};
static const char *const URGENCIES[VALUES_MAX] = {NULL, "8h", "3d", "7d", "date"};
static const char *const SUBJECTS[VALUES_MAX] = {
    NULL, "suspect", "convicted", "victim", "witness", "contact", "relative", "at-risk"};

enum { LINE_BYTES = 500 }; /* as long as most */

/* A line in the making, and room for what is put in order. */
struct out {
    struct arena *arena;
    char *text;
    size_t n, room;
    bool failed; /* memory is out */
};

static void put_part(struct out *o, const char *text, size_t n)
{
    if (o->n + n + 1 > o->room) {
        size_t room = 2 * (o->n + n + 1) + LINE_BYTES;
        char *more = o->failed ? NULL : realloc(o->text, room);

        if (more == NULL) {
            o->failed = true;
            return;
        }
        o->text = more;
        o->room = room;
    }
    memcpy(o->text + o->n, text, n);
    o->n += n;
    o->text[o->n] = '\0';
}

static void put(struct out *o, const char *text)
{
    put_part(o, text, strlen(text));
}

static void put_number(struct out *o, uint64_t n, const char *unit)
{
    char text[32];

    snprintf(text, sizeof text, "%llu%s", (unsigned long long)n, unit);
    put(o, text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The list in order; NULL when memory is out. */
static const char **sorted(struct out *o, const char *const *list, size_t n)
{
    enum { FEW = 16 };
    const char **copy = arena_alloc(o->arena, n * sizeof *copy);

    o->failed = o->failed || copy == NULL;
    for (size_t i = 0; copy != NULL && i < n; i++) {
        size_t at = i;

        for (; n <= FEW && at > 0 && strcmp(copy[at - 1], list[i]) > 0; at--)
            copy[at] = copy[at - 1];
        copy[at] = list[i];
    }
    if (copy != NULL && n > FEW)
        qsort(copy, n, sizeof *copy, by_text);
    return copy;
}

static void put_list(struct out *o, const char *const *list, size_t n)
{
    const char **in_order = n > 1 ? sorted(o, list, n) : NULL;

    for (size_t i = 0; i < n && !o->failed; i++) {
        put(o, i > 0 ? ", " : "");
        put(o, n > 1 ? in_order[i] : list[i]);
    }
}

/* Names of members: braces only around several. */
static void put_names(struct out *o, const char *const *list, size_t n)
{
    put(o, n > 1 ? " { " : " ");
    put_list(o, list, n);
    put(o, n > 1 ? " }" : "");
}

static void put_words(struct out *o, const char *clause, const struct rules_words *w)
{
    if (!w->any && w->n == 0)
        return;
    put(o, clause);
    if (w->any) {
        put(o, " any");
        return;
    }
    put(o, " { ");
    put_list(o, w->list, w->n);
    put(o, " }");
}

/* As it is written: "any", "fr/...", "group ...", "kind ...". */
static const char *written(struct out *o, const struct rules_party *p)
{
    const char *word = PARTY_WORD[p->kind];

    if (p->name == NULL || *word == '\0')
        return p->name == NULL ? word : p->name;
    size_t n = strlen(word), all = n + strlen(p->name) + 1;
    char *text = arena_alloc(o->arena, all);

    if (text != NULL)
        snprintf(text, all, "%s%s", word, p->name);
    o->failed = o->failed || text == NULL;
    return text;
}

static void put_parties(struct out *o, const char *clause, const struct rules_parties *p)
{
    const char **list = arena_alloc(o->arena, p->n * sizeof *list);

    o->failed = o->failed || list == NULL;
    for (size_t i = 0; i < p->n && !o->failed; i++)
        list[i] = written(o, &p->list[i]);
    put(o, clause);
    if (!o->failed)
        put_names(o, list, p->n);
}

static void put_size(struct out *o, uint64_t bytes)
{
    static const char *const UNITS[] = {"", "K", "M", "G"};
    size_t unit = 0;

    while (unit + 1 < sizeof UNITS / sizeof *UNITS && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    put(o, " max-size ");
    put_number(o, bytes, UNITS[unit]);
}

static bool is_given(struct rules_span s)
{
    return s.fixed_s > 0 || s.months > 0;
}

static void put_span(struct out *o, const char *clause, struct rules_span s)
{
    char text[64];

    put(o, clause);
    put(o, rules_span_text(s, text));
}

static void put_day(struct out *o, int32_t day)
{
    char text[RULES_DAY_TEXT];

    put(o, " until ");
    put(o, rules_day_text(day, text));
}

static void put_values(struct out *o, const char *clause, uint32_t values,
                       const char *const words[VALUES_MAX])
{
    const char *list[VALUES_MAX];
    size_t n = 0;

    for (size_t i = 1; i < VALUES_MAX; i++)
        if ((values >> i & 1) != 0 && words[i] != NULL)
            list[n++] = words[i];
    put_words(o, clause, &(struct rules_words){list, n, false});
}

/* Who, what and whom. */
static void put_head(struct out *o, const struct rules_draft_rule *r)
{
    put(o, r->deny ? "deny " : "allow ");
    put(o, TYPES_TEXT[r->type]);
    put(o, r->category != NULL ? " \"" : " any");
    if (r->category != NULL) {
        put(o, r->category);
        put(o, "\"");
    }
    put_parties(o, " from", &r->from);
    put_parties(o, " to", &r->to);
    if (r->within_area)
        put(o, " within area");
    put_words(o, " purpose", &r->purposes);
    put_words(o, " basis", &r->bases);
    put_words(o, " sections", &r->sections);
}

/* Clauses of later versions stand last, so that a rule which has none of them keeps its text and its id. */
static void put_later(struct out *o, const struct rules_draft_rule *r)
{
    if (is_given(r->keep))
        put_span(o, " keep ", r->keep);
    if (is_given(r->answer)) {
        put_span(o, " answer within ", r->answer);
        put(o, " else escalate to");
        if (r->escalate_supervisor)
            put(o, " supervisor");
        else
            put_names(o, r->escalate.list, r->escalate.n);
    }
    put_words(o, " approval by", &r->approvals);
    if (r->rate > 0) {
        put(o, " rate ");
        put_number(o, r->rate, "/hour");
    }
    if (r->until_day != 0)
        put_day(o, r->until_day);
    if (r->when_crossing)
        put(o, " when regime crossing");
    put_values(o, " when handling", r->handlings, HANDLINGS);
    put_values(o, " when informed", r->informed, INFORMED);
    put_values(o, " when urgency", r->urgencies, URGENCIES);
    put_values(o, " when subject", r->subjects, SUBJECTS);
}

static void put_rule(struct out *o, const struct rules_draft_rule *r)
{
    static const char *const OUTCOME[] = {"outcome"};

    put_head(o, r);
    if (!r->deny) {
        bool early = r->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY;

        put(o, early ? " reveal on delivery" : " reveal on accept");
        put_words(o, " return",
                  r->returns.n > 0 ? &r->returns
                                   : &(struct rules_words){OUTCOME, 1, false});
    }
    if (r->when_minor)
        put(o, " when minor");
    if (r->max_bytes > 0)
        put_size(o, r->max_bytes);
    put_later(o, r);
}

const char *rules_canonical(const struct rules_draft_rule *rule, struct arena *a)
{
    struct out o = {.arena = a};
    const char *kept = NULL;

    put_rule(&o, rule);
    if (!o.failed)
        kept = (const char *)arena_copy(a, slice(o.text, o.n));
    free(o.text);
    return kept;
}
