#include "client/audit/verify.h"

#include <inttypes.h>
#include <stdlib.h>

#include "client/audit/compare.h"
#include "client/audit/run.h"
#include "client/audit/tree.h"
#include "proto/err.h"

void verify_report_clear(struct verify_report *r)
{
    for (size_t i = 0; i < r->next.n_rotations; i++)
        free((void *)(uintptr_t)r->next.rotations[i].p);
    verify_state_clear(&r->next);
}

/* ------------------------------------------------------------ before the entries */

/* What the note says, as far as that can be told without a key. False: no more can be checked. */
static bool read_note(const struct verify_settings *s, struct verify_report *r)
{
    struct note n;
    enum liaison_code code = note_parse(s->note, &n);

    if (code == LIAISON_OK)
        code = checkpoint_parse(n.text, &r->checkpoint);
    if (code != LIAISON_OK)
        findings_add(&r->found, FOUND_NOTE, UINT64_MAX, "the checkpoint is none: %s",
                     err_text(code));
    else if (r->checkpoint.size != s->source->size)
        findings_add(&r->found, FOUND_NOTE, UINT64_MAX,
                     "the checkpoint is of %" PRIu64
                     " entries, what it was sealed with of %" PRIu64,
                     r->checkpoint.size, s->source->size);
    else if (r->checkpoint.size == 0)
        findings_add(&r->found, FOUND_CANNOT, UINT64_MAX,
                     "there is nothing to check: the log has no entry");
    return findings_result(&r->found) == VERIFY_GOOD;
}

static void tile_found(void *arg, enum liaison_code code, unsigned level, uint64_t n)
{
    struct verify_report *r = arg;
    uint64_t first = n << 8 * (level + 1);

    if (code == LIAISON_DAMAGED)
        findings_add(&r->found, FOUND_SUBTREE, first,
                     "the subtree of entries %" PRIu64 " to %" PRIu64 ": tile %u/%" PRIu64
                     " does not lead to the level above it",
                     first, first + (UINT64_C(1) << 8 * (level + 1)) - 1, level, n);
    else if (code == LIAISON_NOT_FOUND)
        findings_add(&r->found, FOUND_MISSING, first,
                     "tile %u/%" PRIu64 " is missing or cut short", level, n);
    else
        findings_add(&r->found, FOUND_CANNOT, first, "tile %u/%" PRIu64 ": %s", level, n,
                     err_text(code));
}

/* The upper levels and the root. Returns whether the tiles lead to the note's root. */
static bool check_tree(const struct verify_settings *s, struct verify_report *r,
                       struct tree *t)
{
    uint8_t root[HASH_BYTES];
    bool good = tree_check(t, &r->tiles, tile_found, r);
    enum liaison_code code = tree_root(t, s->source->size, root);

    if (code == LIAISON_NOT_FOUND)
        findings_add(&r->found, FOUND_MISSING, UINT64_MAX,
                     "tiles of the right edge are missing or cut short");
    else if (code != LIAISON_OK)
        findings_add(&r->found, code == LIAISON_DAMAGED ? FOUND_SUBTREE : FOUND_CANNOT,
                     UINT64_MAX, "tiles of the right edge: %s", err_text(code));
    else if (memcmp(root, r->checkpoint.root, HASH_BYTES) != 0) {
        findings_add(&r->found, FOUND_ROOT, UINT64_MAX,
                     "the hashes of all %" PRIu64
                     " entries lead to another root than the checkpoint's",
                     s->source->size);
        code = LIAISON_DAMAGED;
    }
    return good && code == LIAISON_OK;
}

/* ------------------------------------------------------------ the entries */

/* Rotations that were seen before count from the start. */
static enum liaison_code take_known_rotations(const struct verify_settings *s,
                                              struct verify_report *r)
{
    for (size_t i = 0; s->last != NULL && i < s->last->n_rotations; i++) {
        struct slice note = s->last->rotations[i];
        uint8_t *copy = malloc(note.n);

        if (copy == NULL)
            return LIAISON_MEMORY;
        memcpy(copy, note.p, note.n);
        r->next.rotations[r->next.n_rotations++] = slice(copy, note.n);
        if (note_policy_rotate(s->policy, note) == LIAISON_MEMORY)
            return LIAISON_MEMORY;
    }
    return LIAISON_OK;
}

static bool copy_parties(struct parties *to, const struct parties *from)
{
    struct slice name;
    uint64_t counter;

    for (size_t at = 0; parties_next(from, &at, &name, &counter);)
        if (!parties_set(to, name, counter))
            return false;
    return true;
}

/* The log's number, which its entries repeat. */
static uint64_t log_number(const char *origin)
{
    const char *slash = strrchr(origin, '/');

    return slash == NULL ? 0 : strtoull(slash + 1, NULL, 10);
}

/* Where the checks begin, and what is known there. */
static enum liaison_code begin(const struct verify_settings *s, struct verify_report *r,
                               struct joined *j)
{
    uint64_t seen = compare_last_size(s, r), from = s->source->from;
    bool go_on = !s->all && seen > 0, gap = go_on && seen < from;

    if (gap)
        findings_add(&r->found, FOUND_MISSING, seen,
                     "entries %" PRIu64 " to %" PRIu64
                     " are not in the bundle and were not verified before",
                     seen, from - 1);
    go_on = go_on && !gap;
    j->settings = s;
    j->report = r;
    j->start = go_on ? seen : from;
    r->from = j->start;
    r->next.from = go_on ? s->last->from : from;
    /* A log that follows another takes the counters over. */
    r->next.parties = parties_new(
        r->next.from == 0 && log_number(r->checkpoint.origin) == 1 ? PARTIES_ZERO
                                                                   : PARTIES_UNKNOWN);
    j->parties = r->next.parties;
    j->summary_unknown = j->start > 0;
    j->summary_next = j->start;
    if (j->parties == NULL || (go_on && !copy_parties(j->parties, s->last->parties)))
        return LIAISON_MEMORY;
    if (go_on)
        j->last_time_ns = r->last_time_ns = s->last->time_ns;
    return LIAISON_OK;
}

static enum liaison_code check_rules(const struct verify_settings *s,
                                     struct verify_report *r, const struct joined *j,
                                     struct hash *h)
{
    for (size_t i = 0; i < j->n_rule_sets; i++) {
        uint8_t *text = NULL, digest[HASH_BYTES];
        uint64_t seq = j->rule_sets[i].seq;
        size_t len = 0;
        enum liaison_code code =
            s->source->rules(s->source->arg, j->rule_sets[i].id, &text, &len);

        if (code == LIAISON_MEMORY)
            return code;
        if (code == LIAISON_OK)
            hash_sha256(h, &(struct slice){text, len}, 1, digest);
        if (code == LIAISON_OK && memcmp(digest, j->rule_sets[i].id, HASH_BYTES) != 0)
            findings_add(&r->found, FOUND_RULES, seq,
                         "the rule text that entry %" PRIu64 " cites was changed", seq);
        else if (code == LIAISON_OK)
            r->rule_texts++;
        else
            findings_add(&r->found,
                         code == LIAISON_NOT_FOUND ? FOUND_MISSING : FOUND_CANNOT, seq,
                         "the rule text that entry %" PRIu64 " cites: %s", seq,
                         code == LIAISON_NOT_FOUND ? "it is missing" : err_text(code));
        free(text);
    }
    return LIAISON_OK;
}

/* ------------------------------------------------------------ all of it */

static enum liaison_code check_all(const struct verify_settings *s,
                                   struct verify_report *r, struct tree *t,
                                   struct joined *j)
{
    bool leads = check_tree(s, r, t);
    enum liaison_code code = take_known_rotations(s, r);

    if (code == LIAISON_OK)
        code = begin(s, r, j);
    if (code == LIAISON_OK && j->start < s->source->size)
        code = run_parts(j, log_number(r->checkpoint.origin));
    if (code != LIAISON_OK)
        return code;
    join_end(j);
    code = check_rules(s, r, j, t->hash);
    if (code == LIAISON_OK)
        code = compare_notes(s, r, t, leads);
    r->next.time_ns = r->last_time_ns;
    r->next.note = s->note;
    return code;
}

enum liaison_code verify(const struct verify_settings *s, struct verify_report *out)
{
    struct tree *t = calloc(1, sizeof *t);
    struct joined *j = calloc(1, sizeof *j);
    struct hash *h = hash_new();
    enum liaison_code code = LIAISON_MEMORY;

    memset(out, 0, sizeof *out);
    if (t != NULL && j != NULL && h != NULL) {
        *t = (struct tree){.source = s->source, .hash = h};
        code = read_note(s, out) ? check_all(s, out, t, j) : LIAISON_OK;
    }
    hash_free(h);
    free(j);
    free(t);
    if (code != LIAISON_OK)
        verify_report_clear(out);
    return code;
}
