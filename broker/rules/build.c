#include "broker/rules/build.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/rules/making.h"

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

void build_fail(struct build *b, enum liaison_code code)
{
    if (b->code == LIAISON_OK)
        b->code = code;
}

void *build_take(struct build *b, struct arena *a, size_t n, size_t size)
{
    void *p = arena_zero(a, n * size);

    if (p == NULL)
        build_fail(b, LIAISON_MEMORY);
    return p;
}

const char *build_text(struct build *b, const char *text)
{
    const char *kept =
        text != NULL ? (const char *)arena_copy(b->r->arena, slice_text(text)) : "";

    if (kept == NULL)
        build_fail(b, LIAISON_MEMORY);
    return kept != NULL ? kept : "";
}

struct rules_names build_names(struct build *b, const char *const *from, size_t n)
{
    const char **list = n > 0 ? build_take(b, b->r->arena, n, sizeof *list) : NULL;

    for (size_t i = 0; list != NULL && i < n; i++)
        list[i] = build_text(b, from[i]);
    return (struct rules_names){list, list != NULL ? n : 0};
}

void build_id(struct build *b, struct rules_line *line)
{
    struct slice parts[] = {slice_text("liaison/1 rule\n"), slice_text(line->text)};

    hash_sha256(b->h, parts, 2, line->id);
}

static void add_auditors(struct build *b)
{
    struct rules *r = b->r;
    size_t n = b->draft->n_auditors;
    struct auditor *list = build_take(b, r->arena, n, sizeof *list);

    if (!table_make(&r->by_auditor, n, r->arena))
        build_fail(b, LIAISON_MEMORY);
    for (size_t i = 0; i < n && b->code == LIAISON_OK; i++) {
        list[i].name = table_name(build_text(b, b->draft->auditors[i].name));
        list[i].area = build_text(b, b->draft->auditors[i].area);
        if (!table_put(&r->by_auditor, &list[i].name))
            build_fail(b, LIAISON_CONFIG);
    }
    if (b->code != LIAISON_OK)
        return;
    r->auditors = list;
    r->n_auditors = n;
}

/* ---------------------------------------------------------------- certificates, built-in rules */

static int by_sha256(const void *x, const void *y)
{
    const struct denied_certificate *a = x, *b = y;

    return memcmp(a->sha256, b->sha256, sizeof a->sha256);
}

static void add_certificates(struct build *b)
{
    size_t n = b->draft->n_certificates;
    struct denied_certificate *list = build_take(b, b->r->arena, n, sizeof *list);

    for (size_t i = 0; i < n && b->code == LIAISON_OK; i++) {
        const struct rules_draft_certificate *from = &b->draft->certificates[i];
        char text[sizeof "deny certificate " + 64] = "deny certificate ";

        for (size_t k = 0; k < sizeof from->sha256; k++)
            snprintf(text + strlen(text), 3, "%02x", from->sha256[k]);
        memcpy(list[i].sha256, from->sha256, sizeof list[i].sha256);
        list[i].line.text = build_text(b, text);
        list[i].line.where = build_text(b, from->where);
        build_id(b, &list[i].line);
    }
    if (b->code != LIAISON_OK)
        return;
    if (n > 0)
        qsort(list, n, sizeof *list, by_sha256);
    b->r->denied = list;
    b->r->n_denied = n;
}

static void add_builtin(struct build *b)
{
    for (size_t i = 0; i < RULES_BUILTIN__COUNT && b->code == LIAISON_OK; i++) {
        struct rules_line *line = &b->r->builtin[i];

        line->text = BUILTIN[i];
        line->where = "built-in";
        build_id(b, line);
    }
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
        build_fail(b, LIAISON_MEMORY);
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

static void fill(struct build *b)
{
    const struct rules_draft *d = b->draft;
    char keep[64];

    b->r->network = build_text(b, d->network);
    b->r->keep_for = d->keep;
    b->r->keep = build_text(b, rules_span_text(d->keep, keep));
    hash_sha256(b->h, d->texts, d->n_texts, b->r->set_id);
    b->r->text = keep_texts(b, d->texts, d->n_texts);
    build_members(b);
    add_auditors(b);
    add_certificates(b);
    add_builtin(b);
    build_rules(b);
    build_sides(b);
}

enum liaison_code rules_build(const struct rules_draft *d, struct rules **out)
{
    if (d->n_rules > RULES_RULES_MAX || d->n_agencies > RULES_AGENCIES_MAX)
        return LIAISON_CONFIG;
    struct build b = {
        .draft = d, .scratch = arena_new(), .h = hash_new(), .code = LIAISON_MEMORY};
    struct arena *arena = arena_new();

    if (arena != NULL && b.scratch != NULL && b.h != NULL)
        b.r = arena_zero(arena, sizeof *b.r);
    if (b.r != NULL) {
        b.code = LIAISON_OK;
        b.r->arena = arena;
        atomic_init(&b.r->references, 1);
        fill(&b);
    }
    if (b.code == LIAISON_OK) {
        *out = b.r;
        arena = NULL; /* handed over */
    }
    hash_free(b.h);
    arena_free(b.scratch);
    arena_free(arena);
    return b.code;
}
