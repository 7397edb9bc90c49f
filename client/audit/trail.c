#include "client/audit/trail.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "client/audit/progress.h"
#include "client/audit/verify_print.h"
#include "proto/valid.h"

bool trail_threads(const struct audit *a, unsigned *out)
{
    const char *text = a->opt[AUDIT_OPT_THREADS];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    *out = processors < 1                    ? 1
           : processors > VERIFY_THREADS_MAX ? VERIFY_THREADS_MAX
                                             : (unsigned)processors;
    if (text == NULL)
        return true;
    *out = (unsigned)strtoul(text, NULL, 10);
    if (strlen(text) <= 2 && text[strspn(text, "0123456789")] == '\0' && *out > 0 &&
        *out <= VERIFY_THREADS_MAX)
        return true;
    audit_fail(LIAISON_USAGE, "--threads wants a number from 1 to %d",
               VERIFY_THREADS_MAX);
    return false;
}

enum verify_result trail_result(enum liaison_code code)
{
    return code == LIAISON_NOT_FOUND ? VERIFY_INCOMPLETE
           : code == LIAISON_DAMAGED ? VERIFY_TAMPERED
                                     : VERIFY_CANNOT;
}

/* All of it, quietly. Returns 0, or the exit status. */
static int verify_first(struct audit *a, struct trail *t)
{
    struct note_policy *policy = NULL;
    struct progress p;
    char why[512] = "";
    enum liaison_code code = audit_policy(a, &policy, why, sizeof why);
    struct verify_settings s = {.source = bundle_source(t->bundle),
                                .note = t->note,
                                .policy = policy,
                                .now_s = (uint64_t)time(NULL),
                                .progress = progress_tell,
                                .progress_arg = &p};

    if (code != LIAISON_OK)
        return audit_fail(code, "%s", why[0] != '\0' ? why : err_text(code));
    if (!trail_threads(a, &s.threads)) {
        note_policy_free(policy);
        return err_exit(LIAISON_USAGE);
    }
    progress_begin(&p);
    code = verify(&s, &t->report);
    progress_end(&p);
    note_policy_free(policy);
    if (code != LIAISON_OK)
        return audit_fail(code, "%s", err_text(code));
    t->verified = findings_result(&t->report.found) == VERIFY_GOOD;
    return t->verified
               ? 0
               : audit_fail(LIAISON_DAMAGED,
                            "%s cannot be relied on: 'liaison-audit verify' says why",
                            a->opt[AUDIT_OPT_BUNDLE]);
}

static int open_bundle(struct audit *a, struct trail *t)
{
    const char *folder = a->opt[AUDIT_OPT_BUNDLE];
    char why[512] = "";
    enum liaison_code code = bundle_open(&folder, 1, &t->bundle, why, sizeof why);

    if (code != LIAISON_OK)
        return audit_fail(code == LIAISON_NOT_FOUND ? LIAISON_FILE : code, "%s",
                          why[0] != '\0' ? why : err_text(code));
    t->note = bundle_note(t->bundle, 0);
    if (!broker_read_note(t->note, &t->checkpoint) ||
        t->checkpoint.size != bundle_source(t->bundle)->size)
        return audit_fail(LIAISON_DAMAGED, "%s/checkpoint is not this bundle's", folder);
    if (a->opt[AUDIT_OPT_POLICY] != NULL)
        return verify_first(a, t);
    fputs("liaison-audit: not verified, for want of --policy: this is what the bundle "
          "says\n",
          stderr);
    return 0;
}

int trail_open(struct audit *a, struct trail *out)
{
    memset(out, 0, sizeof *out);
    out->audit = a;
    int status =
        a->opt[AUDIT_OPT_BUNDLE] != NULL ? open_bundle(a, out) : trail_live_open(a, out);

    if (status != 0)
        trail_close(out);
    return status;
}

void trail_close(struct trail *t)
{
    verify_report_clear(&t->report);
    bundle_free(t->bundle);
    liaison_answer_free(t->answer);
    liaison_answer_free(t->proof);
    memset(t, 0, sizeof *t);
}

uint64_t trail_from(const struct trail *t)
{
    return t->bundle == NULL ? 0 : bundle_source(t->bundle)->from;
}

/* ------------------------------------------------------------ entries of a bundle */

static int each_of_page(const struct source_page *page, uint64_t n,
                        const struct trail_filter *f, struct arena *arena,
                        trail_visit *visit, void *arg)
{
    int status = 0;

    for (unsigned i = 0; status == 0 && i < page->n; i++) {
        uint64_t seq = n * SOURCE_WIDTH + i;
        const void *m = NULL;

        if (seq < f->first || seq >= f->end)
            continue;
        arena_reset(arena);
        enum liaison_code code = valid_decode(&liaison__v1__ledger_entry__descriptor,
                                              page->entry[i], arena, &m);
        const struct trail_item item = {.e = m, .bytes = page->entry[i]};

        if (code != LIAISON_OK || item.e->seq != seq)
            status = audit_fail(LIAISON_DAMAGED, "entry %" PRIu64 " is damaged", seq);
        else
            status = visit(arg, &item);
    }
    return status;
}

static int bundle_each(struct trail *t, const struct trail_filter *f, trail_visit *visit,
                       void *arg)
{
    const struct source *s = bundle_source(t->bundle);
    struct source_page page = {.n = 0};
    struct arena *arena = arena_new();
    int status = arena == NULL ? audit_fail(LIAISON_MEMORY, "out of memory") : 0;

    for (uint64_t n = f->first / SOURCE_WIDTH; status == 0 && n * SOURCE_WIDTH < f->end;
         n++) {
        enum liaison_code code = s->page(s->arg, n, source_width(s->size, 0, n), &page);

        status = code != LIAISON_OK
                     ? audit_fail(code == LIAISON_NOT_FOUND ? LIAISON_FILE : code,
                                  "entries from %" PRIu64 " on: %s", n * SOURCE_WIDTH,
                                  code == LIAISON_NOT_FOUND ? "missing or cut short"
                                                            : err_text(code))
                     : each_of_page(&page, n, f, arena, visit, arg);
    }
    arena_free(arena);
    free(page.room);
    return status;
}

int trail_each(struct trail *t, const struct trail_filter *f, trail_visit *visit,
               void *arg)
{
    return t->bundle != NULL ? bundle_each(t, f, visit, arg)
                             : trail_live_each(t, f, visit, arg);
}

static int has_entry(const struct trail *t, uint64_t seq)
{
    if (seq >= t->checkpoint.size || seq < trail_from(t))
        return audit_fail(LIAISON_NOT_FOUND, "the %s has entries %" PRIu64 " to %" PRIu64,
                          t->bundle != NULL ? "bundle" : "broker's checkpoint",
                          trail_from(t), t->checkpoint.size - 1);
    return 0;
}

int trail_open_at(struct audit *a, struct trail *out, uint64_t *seq)
{
    if (a->n_args != 1 || !audit_number(a->args[0], seq))
        return audit_fail(LIAISON_USAGE,
                          "which entry? one number, such as 'liaison-audit "
                          "show 4711'");
    int status = trail_open(a, out);

    if (status == 0 && (status = has_entry(out, *seq)) != 0)
        trail_close(out);
    return status;
}

/* ------------------------------------------------------------ proofs */

static enum liaison_code bundle_prove(struct trail *t, struct slice bytes, uint64_t seq,
                                      struct note_proof *out)
{
    struct tree tree = {.source = bundle_source(t->bundle), .hash = hash_new()};
    uint8_t leaf[HASH_BYTES];
    enum liaison_code code = LIAISON_MEMORY;

    *out = (struct note_proof){.index = seq, .note = t->note};
    if (tree.hash != NULL)
        code = tree_path(&tree, seq, t->checkpoint.size, out->path, &out->path_len);
    if (code == LIAISON_OK) {
        merkle_leaf(tree.hash, bytes, leaf);
        if (!merkle_check(tree.hash, leaf, seq, t->checkpoint.size,
                          slice(out->path, out->path_len * HASH_BYTES),
                          t->checkpoint.root))
            code = LIAISON_PROOF;
    }
    hash_free(tree.hash);
    return code;
}

enum liaison_code trail_prove(struct trail *t, struct slice bytes, uint64_t seq,
                              struct note_proof *out)
{
    return t->bundle != NULL ? bundle_prove(t, bytes, seq, out)
                             : trail_live_prove(t, bytes, seq, out);
}
