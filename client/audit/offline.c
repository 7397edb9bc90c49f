#include "client/audit/offline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "client/audit/progress.h"
#include "client/audit/verify_print.h"
#include "proto/valid.h"

bool offline_threads(const struct audit *a, unsigned *out)
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

enum verify_result offline_result(enum liaison_code code)
{
    return code == LIAISON_NOT_FOUND ? VERIFY_INCOMPLETE
           : code == LIAISON_DAMAGED ? VERIFY_TAMPERED
                                     : VERIFY_CANNOT;
}

/* All of it, quietly. Returns 0, or the exit status. */
static int verify_first(struct audit *a, struct offline *o)
{
    struct note_policy *policy = NULL;
    struct progress p;
    char why[512] = "";
    enum liaison_code code = audit_policy(a, &policy, why, sizeof why);
    struct verify_settings s = {.source = bundle_source(o->bundle),
                                .note = bundle_note(o->bundle, 0),
                                .policy = policy,
                                .now_s = (uint64_t)time(NULL),
                                .progress = progress_tell,
                                .progress_arg = &p};

    if (code != LIAISON_OK)
        return audit_fail(code, "%s", why[0] != '\0' ? why : err_text(code));
    if (!offline_threads(a, &s.threads)) {
        note_policy_free(policy);
        return err_exit(LIAISON_USAGE);
    }
    progress_begin(&p);
    code = verify(&s, &o->report);
    progress_end(&p);
    note_policy_free(policy);
    if (code != LIAISON_OK)
        return audit_fail(code, "%s", err_text(code));
    o->verified = findings_result(&o->report.found) == VERIFY_GOOD;
    return o->verified
               ? 0
               : audit_fail(LIAISON_DAMAGED,
                            "%s cannot be relied on: 'liaison-audit verify' says why",
                            a->opt[AUDIT_OPT_BUNDLE]);
}

static bool read_checkpoint(struct offline *o)
{
    struct note n;

    return note_parse(bundle_note(o->bundle, 0), &n) == LIAISON_OK &&
           checkpoint_parse(n.text, &o->checkpoint) == LIAISON_OK &&
           o->checkpoint.size == bundle_source(o->bundle)->size;
}

int offline_open(struct audit *a, struct offline *out)
{
    const char *folder = a->opt[AUDIT_OPT_BUNDLE];
    char why[512] = "";
    int status = 0;

    memset(out, 0, sizeof *out);
    if (folder == NULL)
        return audit_fail(LIAISON_USAGE, "which bundle? name its folder with --bundle");
    enum liaison_code code = bundle_open(&folder, 1, &out->bundle, why, sizeof why);

    if (code != LIAISON_OK)
        return audit_fail(code == LIAISON_NOT_FOUND ? LIAISON_FILE : code, "%s",
                          why[0] != '\0' ? why : err_text(code));
    if (!read_checkpoint(out))
        status =
            audit_fail(LIAISON_DAMAGED, "%s/checkpoint is not this bundle's", folder);
    else if (a->opt[AUDIT_OPT_POLICY] != NULL)
        status = verify_first(a, out);
    else
        fputs(
            "liaison-audit: not verified, for want of --policy: this is what the bundle "
            "says\n",
            stderr);
    if (status != 0)
        offline_close(out);
    return status;
}

void offline_close(struct offline *o)
{
    verify_report_clear(&o->report);
    bundle_free(o->bundle);
    memset(o, 0, sizeof *o);
}

static int each_of_page(const struct source_page *page, uint64_t n, uint64_t first,
                        uint64_t end, struct arena *arena, offline_entry *each, void *arg)
{
    int status = 0;

    for (unsigned i = 0; status == 0 && i < page->n; i++) {
        uint64_t seq = n * SOURCE_WIDTH + i;
        const void *m = NULL;

        if (seq < first || seq >= end)
            continue;
        arena_reset(arena);
        enum liaison_code code = valid_decode(&liaison__v1__ledger_entry__descriptor,
                                              page->entry[i], arena, &m);
        const Liaison__V1__LedgerEntry *e = m;

        if (code != LIAISON_OK || e->seq != seq)
            status = audit_fail(LIAISON_DAMAGED, "entry %" PRIu64 " is damaged", seq);
        else
            status = each(arg, e, page->entry[i]);
    }
    return status;
}

int offline_each(const struct offline *o, uint64_t first, uint64_t end,
                 offline_entry *each, void *arg)
{
    const struct source *s = bundle_source(o->bundle);
    struct source_page page = {.n = 0};
    struct arena *arena = arena_new();
    int status = arena == NULL ? audit_fail(LIAISON_MEMORY, "out of memory") : 0;

    for (uint64_t n = first / SOURCE_WIDTH; status == 0 && n * SOURCE_WIDTH < end; n++) {
        enum liaison_code code = s->page(s->arg, n, source_width(s->size, 0, n), &page);

        status = code != LIAISON_OK
                     ? audit_fail(code == LIAISON_NOT_FOUND ? LIAISON_FILE : code,
                                  "entries from %" PRIu64 " on: %s", n * SOURCE_WIDTH,
                                  code == LIAISON_NOT_FOUND ? "missing or cut short"
                                                            : err_text(code))
                     : each_of_page(&page, n, first, end, arena, each, arg);
    }
    arena_free(arena);
    free(page.room);
    return status;
}
