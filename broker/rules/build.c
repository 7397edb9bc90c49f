#include "broker/rules/build.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/rules/set.h"
#include "proto/hash.h"

/* A set in the making. The first failure is kept and ends it. */
struct build {
    const struct rules_draft *draft;
    struct rules *r;
    struct arena *scratch; /* gone when the build is over */
    uint32_t *by_kind;     /* numbers of agencies, ordered by kind */
    struct table by_group;
    enum liaison_code code;
};

static const char *const BUILTIN[RULES_BUILTIN__COUNT] = {
    [RULES_H1] =
        "deny any any from any to { kind court, kind prosecution } when handling { h1 }",
    [RULES_H2_ONWARD] =
        "what came under handling h2 is passed on only where its sender has permitted it",
    [RULES_H3_OPEN] =
        "what came under handling h3 is opened after its handling code was acknowledged",
    [RULES_HANDLING_STAYS] =
        "what is passed on keeps the handling code that it came under",
};

/* A group's members as agencies. */
struct group {
    struct name name;
    struct member **members;
    size_t n;
};

static void fail(struct build *b, enum liaison_code code)
{
    if (b->code == LIAISON_OK)
        b->code = code;
}

static void *take(struct build *b, struct arena *a, size_t n, size_t size)
{
    void *p = arena_zero(a, n * size);

    if (p == NULL)
        fail(b, LIAISON_MEMORY);
    return p;
}

static const char *keep_text(struct build *b, const char *text)
{
    const char *kept =
        text != NULL ? (const char *)arena_copy(b->r->arena, slice_text(text)) : "";

    if (kept == NULL)
        fail(b, LIAISON_MEMORY);
    return kept != NULL ? kept : "";
}

static struct rules_names keep_names(struct build *b, struct rules_names from)
{
    const char **list = take(b, b->r->arena, from.n, sizeof *list);

    for (size_t i = 0; list != NULL && i < from.n; i++)
        list[i] = keep_text(b, from.list[i]);
    return (struct rules_names){list, list != NULL ? from.n : 0};
}

static uint64_t *new_row(struct build *b)
{
    return take(b, b->r->arena, b->r->row_n, sizeof(uint64_t));
}

/* ---------------------------------------------------------------- names */

static int by_name(const void *x, const void *y)
{
    return strcmp(((const struct rules_agency *)x)->name,
                  ((const struct rules_agency *)y)->name);
}

static void add_agency(struct build *b, struct member *m, const struct rules_agency *from)
{
    m->agency = (struct rules_agency){
        .name = keep_text(b, from->name),
        .kind = keep_text(b, from->kind),
        .area = keep_text(b, from->area),
        .regime = from->regime != RULES_REGIME_UNKNOWN ? from->regime
                                                       : rules_kind_regime(from->kind),
        .supervisors = keep_names(b, from->supervisors),
        .skills = keep_names(b, from->skills),
        .languages = keep_names(b, from->languages),
        .capacity = from->capacity,
        .merged_into = from->merged_into != NULL ? keep_text(b, from->merged_into) : NULL,
        .merged_day = from->merged_day,
    };
    m->name = table_name(m->agency.name);
    m->from = new_row(b);
    m->to = new_row(b);
    if (b->code == LIAISON_OK && !table_put(&b->r->by_agency, &m->name))
        fail(b, LIAISON_CONFIG);
}

static void add_agencies(struct build *b)
{
    struct rules *r = b->r;
    size_t n = b->draft->n_agencies;
    struct rules_agency *sorted = take(b, b->scratch, n, sizeof *sorted);

    r->agencies = take(b, r->arena, n, sizeof *r->agencies);
    if (!table_make(&r->by_agency, n, r->arena))
        fail(b, LIAISON_MEMORY);
    if (b->code != LIAISON_OK || n == 0)
        return;
    memcpy(sorted, b->draft->agencies, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_name);
    for (; r->n_agencies < n && b->code == LIAISON_OK; r->n_agencies++)
        add_agency(b, &r->agencies[r->n_agencies], &sorted[r->n_agencies]);
}

static int by_kind(const void *x, const void *y, void *agencies)
{
    const struct member *m = agencies;
    uint32_t i = *(const uint32_t *)x, j = *(const uint32_t *)y;

    return strcmp(m[i].agency.kind, m[j].agency.kind);
}

static void index_kinds(struct build *b)
{
    b->by_kind = take(b, b->scratch, b->r->n_agencies, sizeof *b->by_kind);
    if (b->code != LIAISON_OK)
        return;
    for (uint32_t i = 0; i < b->r->n_agencies; i++)
        b->by_kind[i] = i;
    qsort_r(b->by_kind, b->r->n_agencies, sizeof *b->by_kind, by_kind, b->r->agencies);
}

static void add_auditors(struct build *b)
{
    struct rules *r = b->r;
    size_t n = b->draft->n_auditors;
    struct auditor *list = take(b, r->arena, n, sizeof *list);

    if (!table_make(&r->by_auditor, n, r->arena))
        fail(b, LIAISON_MEMORY);
    for (size_t i = 0; i < n && b->code == LIAISON_OK; i++) {
        list[i].name = table_name(keep_text(b, b->draft->auditors[i].name));
        list[i].area = keep_text(b, b->draft->auditors[i].area);
        if (!table_put(&r->by_auditor, &list[i].name))
            fail(b, LIAISON_CONFIG);
    }
}

static void add_group(struct build *b, struct group *g,
                      const struct rules_draft_group *from)
{
    g->name = table_name(from->name);
    g->members = take(b, b->scratch, from->n, sizeof *g->members);
    if (b->code != LIAISON_OK)
        return;
    for (; g->n < from->n; g->n++) {
        g->members[g->n] =
            (struct member *)table_find(&b->r->by_agency, from->members[g->n]);
        if (g->members[g->n] == NULL) {
            fail(b, LIAISON_CONFIG);
            return;
        }
    }
    if (!table_put(&b->by_group, &g->name))
        fail(b, LIAISON_CONFIG);
}

static void add_groups(struct build *b)
{
    struct group *list = take(b, b->scratch, b->draft->n_groups, sizeof *list);

    if (!table_make(&b->by_group, b->draft->n_groups, b->scratch))
        fail(b, LIAISON_MEMORY);
    for (size_t i = 0; i < b->draft->n_groups && b->code == LIAISON_OK; i++)
        add_group(b, &list[i], &b->draft->groups[i]);
}

/* ---------------------------------------------------------------- words */

static size_t count_words(const struct rules_draft *d)
{
    size_t n = 1; /* outcome */

    for (size_t i = 0; i < d->n_rules; i++) {
        const struct rules_draft_rule *r = &d->rules[i];

        n += 1 + r->purposes.n + r->bases.n + r->sections.n + r->returns.n;
    }
    return n;
}

/* The one word of this text, made when it is new. NULL after a failure. */
static struct word *intern(struct build *b, const char *text)
{
    struct word *w = (struct word *)table_find(&b->r->by_word, text);

    if (w != NULL || b->code != LIAISON_OK)
        return w;
    if (++b->r->n_words > RULES_WORDS_MAX)
        fail(b, LIAISON_CONFIG);
    w = take(b, b->r->arena, 1, sizeof *w);
    if (w == NULL)
        return NULL;
    w->name = table_name(keep_text(b, text));
    if (b->code != LIAISON_OK)
        return NULL;
    table_put(&b->r->by_word, &w->name);
    return w;
}

static struct words intern_all(struct build *b, const struct rules_words *from)
{
    struct words w = {.any = from->any,
                      .list = take(b, b->r->arena, from->n, sizeof *w.list)};

    for (; w.n < from->n && b->code == LIAISON_OK; w.n++)
        w.list[w.n] = intern(b, from->list[w.n]);
    return w;
}

/* ---------------------------------------------------------------- rules */

static void rule_id(struct hash *h, const char *text, uint8_t out[32])
{
    struct slice parts[] = {slice_text("liaison/1 rule\n"), slice_text(text)};

    hash_sha256(h, parts, 2, out);
}

static void add_returns(struct build *b, struct rule *rule,
                        const struct rules_words *from)
{
    static const char *const OUTCOME[] = {"outcome"};
    const char *const *list = from->n > 0 ? from->list : OUTCOME;
    size_t n = from->n > 0 ? from->n : 1;

    if (rule->deny)
        return;
    rule->returns = take(b, b->r->arena, n, sizeof *rule->returns);
    for (; rule->n_returns < n && b->code == LIAISON_OK; rule->n_returns++) {
        struct word *w = intern(b, list[rule->n_returns]);

        if (w != NULL)
            rule->returns[rule->n_returns] = w->name.text;
    }
}

static void add_rule(struct build *b, struct rule *rule,
                     const struct rules_draft_rule *from)
{
    bool early = from->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY;

    rule->line.where = keep_text(b, from->where);
    rule->deny = from->deny;
    rule->within_area = from->within_area;
    rule->when_minor = from->when_minor;
    rule->type = from->type;
    rule->category = from->category != NULL ? intern(b, from->category) : NULL;
    rule->purposes = intern_all(b, &from->purposes);
    rule->bases = intern_all(b, &from->bases);
    rule->sections = intern_all(b, &from->sections);
    rule->reveal = early ? LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY
                         : LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT;
    rule->max_bytes = from->max_bytes;
    add_returns(b, rule, &from->returns);
}

static int by_canonical(const void *x, const void *y)
{
    const struct rule *a = x, *b = y;
    int order = strcmp(a->line.text, b->line.text);

    if (order == 0)
        order = (a->draft_index > b->draft_index) - (a->draft_index < b->draft_index);
    return order;
}

static void add_rules(struct build *b, struct hash *h)
{
    struct rules *r = b->r;
    size_t n = b->draft->n_rules;

    r->rules = take(b, r->arena, n, sizeof *r->rules);
    if (!table_make(&r->by_word, count_words(b->draft), r->arena))
        fail(b, LIAISON_MEMORY);
    for (; r->n_rules < n && b->code == LIAISON_OK; r->n_rules++) {
        struct rule *rule = &r->rules[r->n_rules];
        const struct rules_draft_rule *from = &b->draft->rules[r->n_rules];

        rule->draft_index = r->n_rules;
        rule->line.text = rules_canonical(from, r->arena);
        if (rule->line.text == NULL) {
            fail(b, LIAISON_MEMORY);
            return;
        }
        rule_id(h, rule->line.text, rule->line.id);
        add_rule(b, rule, from);
    }
    if (b->code == LIAISON_OK && n > 0)
        qsort(r->rules, n, sizeof *r->rules, by_canonical);
}

/* ---------------------------------------------------------------- certificates, built-in rules */

static int by_sha256(const void *x, const void *y)
{
    const struct denied_certificate *a = x, *b = y;

    return memcmp(a->sha256, b->sha256, sizeof a->sha256);
}

static void add_certificates(struct build *b, struct hash *h)
{
    size_t n = b->draft->n_certificates;
    struct denied_certificate *list = take(b, b->r->arena, n, sizeof *list);

    for (size_t i = 0; i < n && b->code == LIAISON_OK; i++) {
        const struct rules_draft_certificate *from = &b->draft->certificates[i];
        char text[sizeof "deny certificate " + 64] = "deny certificate ";

        for (size_t k = 0; k < sizeof from->sha256; k++)
            snprintf(text + strlen(text), 3, "%02x", from->sha256[k]);
        memcpy(list[i].sha256, from->sha256, sizeof list[i].sha256);
        list[i].line.text = keep_text(b, text);
        list[i].line.where = keep_text(b, from->where);
        rule_id(h, list[i].line.text, list[i].line.id);
    }
    if (b->code != LIAISON_OK)
        return;
    if (n > 0)
        qsort(list, n, sizeof *list, by_sha256);
    b->r->denied = list;
    b->r->n_denied = n;
}

static void add_builtin(struct build *b, struct hash *h)
{
    for (size_t i = 0; i < RULES_BUILTIN__COUNT && b->code == LIAISON_OK; i++) {
        struct rules_line *line = &b->r->builtin[i];

        line->text = BUILTIN[i];
        line->where = "built-in";
        rule_id(h, line->text, line->id);
    }
}

/* ---------------------------------------------------------------- rows */

static void mark_member(struct member *m, bool from, size_t rule)
{
    row_set(from ? m->from : m->to, rule);
}

/* The first agency in order of kinds whose kind is not below `kind`. */
static size_t kind_start(const struct build *b, const char *kind)
{
    size_t low = 0, high = b->r->n_agencies;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(b->r->agencies[b->by_kind[middle]].agency.kind, kind) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void mark_kind(struct build *b, const char *kind, bool from, size_t rule)
{
    for (size_t i = kind_start(b, kind); i < b->r->n_agencies; i++) {
        struct member *m = &b->r->agencies[b->by_kind[i]];

        if (strcmp(m->agency.kind, kind) != 0)
            return;
        mark_member(m, from, rule);
    }
}

static void mark_party(struct build *b, const struct rules_party *p, bool from,
                       size_t rule)
{
    struct name *found = NULL;

    switch (p->kind) {
    case RULES_ANY:
        for (size_t i = 0; i < b->r->n_agencies; i++)
            mark_member(&b->r->agencies[i], from, rule);
        return;
    case RULES_KIND:
        mark_kind(b, p->name, from, rule);
        return;
    case RULES_GROUP:
        found = table_find(&b->by_group, p->name);
        if (found == NULL)
            break;
        for (size_t i = 0; i < ((struct group *)found)->n; i++)
            mark_member(((struct group *)found)->members[i], from, rule);
        return;
    case RULES_AGENCY:
        found = table_find(&b->r->by_agency, p->name);
        if (found == NULL)
            break;
        mark_member((struct member *)found, from, rule);
        return;
    }
    fail(b, LIAISON_CONFIG);
}

enum use { USE_CATEGORY, USE_PURPOSE, USE_BASIS, USE_SECTION };

static uint64_t **row_for(struct word *w, enum use use)
{
    switch (use) {
    case USE_CATEGORY:
        return &w->category;
    case USE_PURPOSE:
        return &w->purpose;
    case USE_BASIS:
        return &w->basis;
    case USE_SECTION:
        return &w->section;
    }
    return NULL;
}

/* First pass: every word used so gets its row. */
static void open_rows(struct build *b, const struct words *w, enum use use)
{
    for (size_t i = 0; i < w->n; i++) {
        uint64_t **row = row_for(w->list[i], use);

        if (*row == NULL)
            *row = new_row(b);
    }
}

/* Second pass. `any` also satisfies words that no rule names: the row `other`. */
static void mark_words(const struct words *w, enum use use, uint64_t *other, size_t rule)
{
    if (w->any)
        row_set(other, rule);
    for (size_t i = 0; i < w->n; i++)
        row_set(*row_for(w->list[i], use), rule);
}

/* Last: what is satisfied by any word is satisfied by each. */
static void add_any(struct rules *r, uint64_t *row, const uint64_t *other)
{
    for (size_t i = 0; row != NULL && i < r->row_n; i++)
        row[i] |= other[i];
}

static void add_any_to_all(struct rules *r)
{
    for (size_t i = 0; i <= r->by_word.mask; i++) {
        struct word *w = (struct word *)r->by_word.slots[i];

        if (w == NULL)
            continue;
        add_any(r, w->category, r->other_category);
        add_any(r, w->purpose, r->other_purpose);
        add_any(r, w->basis, r->other_basis);
        add_any(r, w->section, r->other_section);
    }
}

/* A condition that was not given is satisfied by all; sections are no condition, what is not named is not meant. */
static struct words condition(const struct words *w)
{
    return (struct words){w->list, w->n, w->any || w->n == 0};
}

static void mark_flags(struct rules *r, size_t i)
{
    const struct rule *rule = &r->rules[i];
    bool partial = rule->deny && (rule->sections.any || rule->sections.n > 0);

    row_set(r->all, i);
    for (int type = 1; type < TYPES; type++)
        if ((int)rule->type == 0 || (int)rule->type == type)
            row_set(r->types[type], i);
    for (int minor = 0; minor < MINORS; minor++) {
        bool yes = minor == LIAISON__V1__MINOR__MINOR_YES,
             no = minor == LIAISON__V1__MINOR__MINOR_NO;

        if (!rule->when_minor || yes || (rule->deny && !no))
            row_set(r->minors[minor], i);
    }
    if (!rule->within_area)
        row_set(r->apart, i);
    if (rule->deny)
        row_set(r->denies, i);
    if (partial)
        row_set(r->partial, i);
    if (rule->max_bytes > 0)
        row_set(r->sized, i);
}

static void mark_rule(struct build *b, size_t i)
{
    struct rules *r = b->r;
    const struct rule *rule = &r->rules[i];
    const struct rules_draft_rule *from = &b->draft->rules[rule->draft_index];
    struct words category = {(struct word **)&rule->category, rule->category != NULL,
                             rule->category == NULL};
    struct words purposes = condition(&rule->purposes), bases = condition(&rule->bases);

    for (size_t k = 0; k < from->from.n; k++)
        mark_party(b, &from->from.list[k], true, i);
    for (size_t k = 0; k < from->to.n; k++)
        mark_party(b, &from->to.list[k], false, i);
    mark_words(&category, USE_CATEGORY, r->other_category, i);
    mark_words(&purposes, USE_PURPOSE, r->other_purpose, i);
    mark_words(&bases, USE_BASIS, r->other_basis, i);
    mark_words(&rule->sections, USE_SECTION, r->other_section, i);
    mark_flags(r, i);
}

static void open_rule_rows(struct build *b, const struct rule *rule)
{
    if (rule->category != NULL && rule->category->category == NULL)
        rule->category->category = new_row(b);
    open_rows(b, &rule->purposes, USE_PURPOSE);
    open_rows(b, &rule->bases, USE_BASIS);
    open_rows(b, &rule->sections, USE_SECTION);
}

static void add_rows(struct build *b)
{
    struct rules *r = b->r;
    uint64_t **fixed[] = {&r->other_category, &r->other_purpose, &r->other_basis,
                          &r->other_section,  &r->apart,         &r->all,
                          &r->denies,         &r->partial,       &r->sized};

    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        *fixed[i] = new_row(b);
    for (int i = 0; i < TYPES; i++)
        r->types[i] = new_row(b);
    for (int i = 0; i < MINORS; i++)
        r->minors[i] = new_row(b);
    for (size_t i = 0; i < r->n_rules && b->code == LIAISON_OK; i++)
        open_rule_rows(b, &r->rules[i]);
    for (size_t i = 0; i < r->n_rules && b->code == LIAISON_OK; i++)
        mark_rule(b, i);
    if (b->code == LIAISON_OK)
        add_any_to_all(r);
}

/* ---------------------------------------------------------------- the whole */

/* Entries name a rule set by the hash of its text: whoever reads them later wants the text. */
static struct slice keep_texts(struct build *b, const struct slice *texts, size_t n_texts)
{
    size_t n = 0;

    for (size_t i = 0; i < n_texts; i++)
        n += texts[i].n;
    uint8_t *all = arena_alloc(b->r->arena, n);

    if (all == NULL) {
        fail(b, LIAISON_MEMORY);
        return slice(NULL, 0);
    }
    n = 0;
    for (size_t i = 0; i < n_texts; i++) {
        if (texts[i].n > 0)
            memcpy(all + n, texts[i].p, texts[i].n);
        n += texts[i].n;
    }
    return slice(all, n);
}

static void fill(struct build *b, struct hash *h)
{
    const struct rules_draft *d = b->draft;
    char keep[64];

    b->r->network = keep_text(b, d->network);
    b->r->keep_for = d->keep;
    b->r->keep = keep_text(b, rules_span_text(d->keep, keep));
    b->r->row_n = (d->n_rules + ROW_BITS - 1) / ROW_BITS;
    hash_sha256(h, d->texts, d->n_texts, b->r->set_id);
    b->r->text = keep_texts(b, d->texts, d->n_texts);
    add_agencies(b);
    if (b->code == LIAISON_OK)
        index_kinds(b);
    if (b->code == LIAISON_OK)
        add_auditors(b);
    if (b->code == LIAISON_OK)
        add_groups(b);
    if (b->code == LIAISON_OK)
        add_certificates(b, h);
    if (b->code == LIAISON_OK)
        add_builtin(b, h);
    if (b->code == LIAISON_OK)
        add_rules(b, h);
    if (b->code == LIAISON_OK)
        add_rows(b);
}

enum liaison_code rules_build(const struct rules_draft *d, struct rules **out)
{
    if (d->n_rules > RULES_RULES_MAX || d->n_agencies > RULES_AGENCIES_MAX)
        return LIAISON_CONFIG;
    struct build b = {.draft = d, .scratch = arena_new(), .code = LIAISON_MEMORY};
    struct arena *arena = arena_new();
    struct hash *h = hash_new();

    if (arena != NULL && b.scratch != NULL && h != NULL)
        b.r = arena_zero(arena, sizeof *b.r);
    if (b.r != NULL) {
        b.code = LIAISON_OK;
        b.r->arena = arena;
        atomic_init(&b.r->references, 1);
        fill(&b, h);
    }
    if (b.code == LIAISON_OK) {
        *out = b.r;
        arena = NULL; /* handed over */
    }
    hash_free(h);
    arena_free(b.scratch);
    arena_free(arena);
    return b.code;
}
