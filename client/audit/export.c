/* export: a broker's log as a sealed bundle, which is read back and verified before it gets its name. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/audit/broker.h"
#include "client/audit/live.h"
#include "client/audit/progress.h"
#include "client/audit/scan.h"
#include "client/audit/trail.h"
#include "client/audit/verify_print.h"

enum { RULE_SETS_MAX = 4096 };

struct export
{
    struct audit *audit;
    struct note_policy *policy;
    struct bundle *after;          /* NULL: from the log's first entry on */
    struct liaison_answer *answer; /* with the checkpoint */
    struct checkpoint checkpoint;
    uint64_t from;
    struct live *live;
    struct bundle_writer *writer;
    struct scan *scan;
    struct progress progress;
    size_t n_rule_sets;
    uint8_t(*rule_sets)[HASH_BYTES]; /* RULE_SETS_MAX */
};

static int lib_fail(struct export *x, enum liaison_code code)
{
    const char *why = x->live != NULL ? live_why(x->live) : "";

    return why[0] != '\0' ? audit_fail(code, "%s", why) : audit_lib_fail(x->audit, code);
}

static int source_fail(struct export *x, enum liaison_code code, const char *what,
                       uint64_t n)
{
    const char *why = live_why(x->live);

    return audit_fail(code, "%s %" PRIu64 ": %s", what, n,
                      why[0] != '\0'              ? why
                      : code == LIAISON_NOT_FOUND ? "the broker has less of it than its "
                                                    "checkpoint says"
                                                  : err_text(code));
}

static int writer_fail(struct export *x, enum liaison_code code)
{
    return audit_fail(code, "%s", bundle_writer_why(x->writer));
}

/* ------------------------------------------------------------ what is exported */

/* The bundle before: this one begins with the page that it ended in, and its checkpoint is extended. */
static int read_after(struct export *x)
{
    const char *folder = x->audit->opt[AUDIT_OPT_AFTER];
    char why[512] = "";
    enum liaison_code code =
        folder == NULL ? LIAISON_OK : bundle_open(&folder, 1, &x->after, why, sizeof why);

    if (code != LIAISON_OK)
        return audit_fail(code == LIAISON_NOT_FOUND ? LIAISON_FILE : code, "%s",
                          why[0] != '\0' ? why : err_text(code));
    if (folder != NULL)
        x->from = bundle_source(x->after)->size / SOURCE_WIDTH * SOURCE_WIDTH;
    return 0;
}

/* Is there anything behind the bundle before, and is it the same log? */
static int compare_after(struct export *x)
{
    struct checkpoint c;

    if (x->after == NULL)
        return 0;
    if (!broker_read_note(bundle_note(x->after, 0), &c) ||
        strcmp(c.origin, x->checkpoint.origin) != 0)
        return audit_fail(LIAISON_FORK, "%s is of another log than %s",
                          x->audit->opt[AUDIT_OPT_AFTER], x->checkpoint.origin);
    if (c.size < x->checkpoint.size)
        return 0;
    return c.size == x->checkpoint.size
               ? audit_fail(LIAISON_NOT_FOUND,
                            "there is nothing new: %s ends where the broker's checkpoint "
                            "does, at %" PRIu64 " entries",
                            x->audit->opt[AUDIT_OPT_AFTER], c.size)
               : audit_fail(LIAISON_FORK,
                            "the broker's checkpoint has %" PRIu64
                            " entries, and %s has %" PRIu64
                            ": 'liaison-audit verify --note' keeps the evidence",
                            x->checkpoint.size, x->audit->opt[AUDIT_OPT_AFTER], c.size);
}

static int choose(struct export *x)
{
    const char *least = x->audit->opt[AUDIT_OPT_SIZE];
    uint64_t size = 0;
    int status = 0;

    if (least != NULL && !audit_number(least, &size))
        return audit_fail(LIAISON_USAGE, "--size wants a number of entries");
    if (!broker_open(x->audit, BROKER_JUDGED, &status))
        return status;
    enum liaison_code code = broker_checkpoint(x->audit, x->policy, size, &x->answer);

    if (code != LIAISON_OK)
        return audit_lib_fail(x->audit, code);
    if (!broker_read_note(broker_note(x->answer), &x->checkpoint) ||
        x->checkpoint.size == 0)
        return audit_fail(LIAISON_MALFORMED, "the broker's checkpoint is none");
    return compare_after(x);
}

/* ------------------------------------------------------------ writing */

/* Notes the rule set that an entry cites. */
static int note_rules(struct export *x, struct slice entry, uint64_t seq)
{
    struct scan_entry e;

    if (!scan_read(x->scan, entry, &e))
        return audit_fail(LIAISON_DAMAGED, "entry %" PRIu64 " is no strict ledger entry",
                          seq);
    struct slice id = scan_bytes(&e, SCAN_RULE_SET);

    if (id.n != HASH_BYTES)
        return 0;
    for (size_t i = x->n_rule_sets; i-- > 0;)
        if (memcmp(x->rule_sets[i], id.p, HASH_BYTES) == 0)
            return 0;
    if (x->n_rule_sets == RULE_SETS_MAX)
        return audit_fail(LIAISON_LIMIT,
                          "entries cite more than %d rule sets: export it in parts",
                          RULE_SETS_MAX);
    memcpy(x->rule_sets[x->n_rule_sets++], id.p, HASH_BYTES);
    return 0;
}

static int put_page(struct export *x, const struct source *s, uint64_t n,
                    struct source_page *page)
{
    unsigned width = source_width(s->size, 0, n);
    enum liaison_code code = s->page(s->arg, n, width, page);
    int status = 0;

    if (code != LIAISON_OK)
        return source_fail(x, code, "entries of page", n);
    for (unsigned i = 0; status == 0 && i < width; i++) {
        uint64_t seq = n * SOURCE_WIDTH + i;

        status = page->entry[i].p == NULL
                     ? audit_fail(LIAISON_ROLE,
                                  "entry %" PRIu64
                                  " is not shown to this auditor; a bundle holds all: an "
                                  "auditor of the whole network can export it",
                                  seq)
                     : note_rules(x, page->entry[i], seq);
    }
    if (status != 0)
        return status;
    code = bundle_put_page(x->writer, n, page->entry, width);
    return code == LIAISON_OK ? 0 : writer_fail(x, code);
}

static int put_pages(struct export *x)
{
    const struct source *s = live_source(x->live);
    struct source_page page = {.n = 0};
    int status = 0;

    progress_begin(&x->progress);
    for (uint64_t n = x->from / SOURCE_WIDTH; status == 0 && n * SOURCE_WIDTH < s->size;
         n++) {
        status = put_page(x, s, n, &page);
        progress_tell(&x->progress, n * SOURCE_WIDTH + page.n - x->from,
                      s->size - x->from);
    }
    progress_end(&x->progress);
    free(page.room);
    return status;
}

/* Of level 0 those of the pages, above that all. */
static int put_tiles(struct export *x)
{
    const struct source *s = live_source(x->live);
    uint8_t tile[SOURCE_WIDTH][HASH_BYTES];
    unsigned width;

    for (unsigned level = 0; level < SOURCE_LEVELS; level++)
        for (uint64_t n = level == 0 ? x->from / SOURCE_WIDTH : 0;
             (width = source_width(s->size, level, n)) > 0; n++) {
            enum liaison_code code = s->tile(s->arg, level, n, width, tile);

            if (code != LIAISON_OK)
                return source_fail(x, code, "hashes of tile", n);
            code = bundle_put_tile(x->writer, level, n, tile, width);
            if (code != LIAISON_OK)
                return writer_fail(x, code);
        }
    return 0;
}

static int put_rules(struct export *x)
{
    const struct source *s = live_source(x->live);

    for (size_t i = 0; i < x->n_rule_sets; i++) {
        uint8_t *text = NULL;
        size_t len = 0;
        enum liaison_code code = s->rules(s->arg, x->rule_sets[i], &text, &len);

        if (code != LIAISON_OK)
            return source_fail(x, code, "rule text", i);
        code = bundle_put_rules(x->writer, x->rule_sets[i], slice(text, len));
        free(text);
        if (code != LIAISON_OK)
            return writer_fail(x, code);
    }
    return 0;
}

static int write_bundle(struct export *x)
{
    const char *folder = x->audit->args[0];
    char why[512] = "";
    enum liaison_code code =
        bundle_begin(folder, x->from, x->checkpoint.size, &x->writer, why, sizeof why);

    if (code != LIAISON_OK)
        return audit_fail(code, "%s", why[0] != '\0' ? why : err_text(code));
    code = live_open(x->audit->lib, x->from, x->checkpoint.size, &x->live);
    if (code != LIAISON_OK)
        return lib_fail(x, code);
    int status = put_pages(x);

    if (status == 0)
        status = put_tiles(x);
    if (status == 0)
        status = put_rules(x);
    if (status != 0)
        return status;
    code = bundle_put_note(x->writer, broker_note(x->answer));
    if (code == LIAISON_OK)
        code = bundle_close(x->writer);
    return code == LIAISON_OK ? 0 : writer_fail(x, code);
}

/* ------------------------------------------------------------ reading back */

/* As anybody would: from the files alone, with the bundle before. */
static int verify_files(struct export *x, struct verify_report *r)
{
    const char *folder = bundle_part(x->writer);
    struct bundle *b = NULL;
    struct slice before = {NULL, 0};
    char why[512] = "";
    enum liaison_code code = bundle_open(&folder, 1, &b, why, sizeof why);

    if (code != LIAISON_OK)
        return audit_fail(code, "%s", why[0] != '\0' ? why : err_text(code));
    struct verify_settings s = {.source = bundle_source(b),
                                .note = bundle_note(b, 0),
                                .policy = x->policy,
                                .others = &before,
                                .now_s = (uint64_t)time(NULL),
                                .progress = progress_tell,
                                .progress_arg = &x->progress};

    if (x->after != NULL) {
        before = bundle_note(x->after, 0);
        s.n_others = 1;
    }
    if (!trail_threads(x->audit, &s.threads)) {
        bundle_free(b);
        return err_exit(LIAISON_USAGE);
    }
    progress_begin(&x->progress);
    code = verify(&s, r);
    progress_end(&x->progress);
    int status = code == LIAISON_OK ? (int)findings_result(&r->found)
                                    : audit_fail(code, "%s", err_text(code));

    if (code == LIAISON_OK && x->audit->opt[AUDIT_OPT_JSON] == NULL)
        verify_print(r, &(struct verify_about){.first_run = false});
    else if (code == LIAISON_OK &&
             !verify_print_json(r, &(struct verify_about){.first_run = false}))
        status = audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    if (code == LIAISON_OK)
        verify_report_clear(r);
    bundle_free(b);
    return status;
}

static int seal(struct export *x)
{
    struct verify_report *r = calloc(1, sizeof *r);
    int status = r == NULL ? audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY))
                           : verify_files(x, r);

    free(r);
    if (status != 0) {
        audit_fail(LIAISON_DAMAGED, "not sealed: what was written stays in %s",
                   bundle_part(x->writer));
        return status;
    }
    enum liaison_code code = bundle_publish(x->writer);

    if (code != LIAISON_OK)
        return writer_fail(x, code);
    if (x->audit->opt[AUDIT_OPT_JSON] == NULL)
        printf("sealed in %s: entries %" PRIu64 " to %" PRIu64 "\n", x->audit->args[0],
               x->from, x->checkpoint.size - 1);
    return 0;
}

int audit_export(struct audit *a)
{
    struct export x = {.audit = a};
    char why[512] = "";
    int status = 0;

    if (a->n_args != 1)
        return audit_fail(LIAISON_USAGE, "into which folder? name one that is not there "
                                         "yet");
    x.scan = scan_new();
    x.rule_sets = malloc(RULE_SETS_MAX * sizeof *x.rule_sets);
    enum liaison_code code = x.rule_sets == NULL || x.scan == NULL
                                 ? LIAISON_MEMORY
                                 : audit_policy(a, &x.policy, why, sizeof why);

    if (code != LIAISON_OK)
        status = audit_fail(code, "%s", why[0] != '\0' ? why : err_text(code));
    if (status == 0)
        status = read_after(&x);
    if (status == 0)
        status = choose(&x);
    if (status == 0)
        status = write_bundle(&x);
    if (status == 0)
        status = seal(&x);
    live_free(x.live);
    bundle_writer_free(x.writer);
    liaison_answer_free(x.answer);
    bundle_free(x.after);
    note_policy_free(x.policy);
    scan_free(x.scan);
    free(x.rule_sets);
    return status;
}
