/* verify: bundles or a broker, by a policy, since the last state. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/audit/broker.h"
#include "client/audit/live.h"
#include "client/audit/progress.h"
#include "client/audit/trail.h"
#include "client/audit/verify_print.h"
#include "client/lib/disk.h"

/* All that one run of verify holds. */
struct verifying {
    struct audit *audit;
    struct note_policy *policy;
    struct bundle *bundle;         /* NULL: a broker */
    struct live *live;             /* NULL: bundles */
    struct liaison_answer *answer; /* of the broker, with its checkpoint */
    struct verify_state last;
    struct verify_settings settings;
    struct verify_about about;
    struct slice *others;
    uint8_t *note, *seen; /* of --note, and what this profile saw last */
    char evidence[4096];
};

/* Says why nothing can be said. Returns the exit status. */
static int cannot(enum verify_result result, const char *why)
{
    audit_fail(LIAISON_INTERNAL, "%s", why);
    return (int)result;
}

static int read_policy(struct verifying *v)
{
    char why[512] = "";
    enum liaison_code code = audit_policy(v->audit, &v->policy, why, sizeof why);

    v->settings.policy = v->policy;
    return code == LIAISON_OK
               ? 0
               : cannot(VERIFY_CANNOT, why[0] != '\0' ? why : err_text(code));
}

static int read_state(struct verifying *v)
{
    const char *path = v->audit->opt[AUDIT_OPT_STATE];
    char why[4200];

    if (path == NULL)
        return 0;
    enum liaison_code code = verify_state_read(path, &v->last);

    v->about.first_run = code == LIAISON_NOT_FOUND;
    if (code == LIAISON_OK)
        v->settings.last = &v->last;
    if (code == LIAISON_OK || v->about.first_run)
        return 0;
    snprintf(why, sizeof why, "%s: %s", path,
             code == LIAISON_MALFORMED ? "not a state that this program wrote"
             : code == LIAISON_FILE    ? strerror(errno)
                                       : err_text(code));
    return cannot(VERIFY_CANNOT, why);
}

/* The notes of the smaller bundles, and --note. */
static int read_others(struct verifying *v)
{
    const char *path = v->audit->opt[AUDIT_OPT_NOTE];
    size_t n = v->bundle == NULL ? 1 : bundle_notes(v->bundle), len = 0;

    v->others = calloc(n + 1, sizeof *v->others); /* --note's, and what was seen last */
    if (v->others == NULL)
        return cannot(VERIFY_CANNOT, err_text(LIAISON_MEMORY));
    for (size_t i = 1; i < n; i++)
        v->others[v->settings.n_others++] = bundle_note(v->bundle, i);
    v->settings.others = v->others;
    if (path == NULL)
        return 0;
    if (disk_read(path, NOTE_BYTES_MAX, &v->note, &len) != LIAISON_OK) {
        char why[4200];

        snprintf(why, sizeof why, "%s: cannot be read as a note", path);
        return cannot(VERIFY_CANNOT, why);
    }
    v->others[v->settings.n_others++] = slice(v->note, len);
    return 0;
}

static int open_bundles(struct verifying *v)
{
    char why[512] = "";
    enum liaison_code code =
        bundle_open(v->audit->args, v->audit->n_args, &v->bundle, why, sizeof why);

    if (code != LIAISON_OK)
        return cannot(trail_result(code), why[0] != '\0' ? why : err_text(code));
    v->settings.source = bundle_source(v->bundle);
    v->settings.note = bundle_note(v->bundle, 0);
    return read_others(v);
}

/* What this profile saw last, if it is of this log. Of one that is newer than a checkpoint which waits for its witnesses nothing
 * can be said; one that is newer than all that the broker has is a rollback. */
static int read_seen(struct verifying *v, uint64_t newest)
{
    const char *dir = profile_dir(v->audit->opt[AUDIT_OPT_PROFILE], v->audit->arena);
    const char *path = dir == NULL ? NULL
                                   : profile_path(&(struct profile){.dir = dir},
                                                  "log.seen", v->audit->arena);
    struct checkpoint seen, now;
    size_t len;

    if (path == NULL || disk_read(path, NOTE_BYTES_MAX, &v->seen, &len) != LIAISON_OK)
        return 0;
    if (broker_read_note(slice(v->seen, len), &seen) &&
        broker_read_note(v->settings.note, &now) &&
        strcmp(seen.origin, now.origin) == 0 &&
        (seen.size <= now.size || seen.size > newest))
        v->others[v->settings.n_others++] = slice(v->seen, len);
    return 0;
}

/* The broker could not be asked: it is not its log that is wrong. */
static int cannot_ask(struct verifying *v)
{
    return cannot(VERIFY_CANNOT, liaison_errmsg(v->audit->lib));
}

static int newest_size(struct verifying *v, uint64_t *size)
{
    struct liaison_answer *newest = NULL;
    struct checkpoint c = {.size = 0};

    if (liaison_checkpoint(v->audit->lib, &newest) != LIAISON_OK)
        return cannot_ask(v);
    if (broker_read_note(broker_note(newest), &c))
        *size = c.size;
    liaison_answer_free(newest);
    return 0;
}

static int open_broker(struct verifying *v)
{
    struct checkpoint c = {.size = 0};
    uint64_t newest = 0;
    int status = 0;

    if (!broker_open(v->audit, BROKER_AS_IT_COMES, &status))
        return (int)VERIFY_CANNOT;
    if (broker_checkpoint(v->audit, v->policy, 0, &v->answer) != LIAISON_OK)
        return cannot_ask(v);
    status = newest_size(v, &newest);
    if (status != 0)
        return status;
    v->settings.note = broker_note(v->answer);
    if (!broker_read_note(v->settings.note, &c))
        c.size = 0; /* verify() says that it is none */
    if (live_open(v->audit->lib, 0, c.size, &v->live) != LIAISON_OK)
        return cannot(VERIFY_CANNOT, err_text(LIAISON_MEMORY));
    v->settings.source = live_source(v->live);
    status = read_others(v);
    return status == 0 ? read_seen(v, newest) : status;
}

/* Puts both notes where others can be shown them. */
static void keep_evidence(struct verifying *v, const struct verify_report *r)
{
    const char *const *opt = v->audit->opt;
    uint8_t *text = NULL;
    size_t len = 0;

    if (opt[AUDIT_OPT_EVIDENCE] != NULL)
        snprintf(v->evidence, sizeof v->evidence, "%s", opt[AUDIT_OPT_EVIDENCE]);
    else if (opt[AUDIT_OPT_STATE] != NULL)
        snprintf(v->evidence, sizeof v->evidence, "%s.fork", opt[AUDIT_OPT_STATE]);
    else
        snprintf(v->evidence, sizeof v->evidence, "liaison.fork");
    if (verify_fork_print(&r->fork, &text, &len) == LIAISON_OK &&
        disk_replace(v->evidence, slice(text, len)) == LIAISON_OK)
        v->about.evidence = v->evidence;
    else
        audit_fail(LIAISON_FILE, "the evidence cannot be kept in %s: %s", v->evidence,
                   strerror(errno));
    free(text);
}

/* Nothing was found: from now on this is what was seen. */
static int keep_state(struct verifying *v, const struct verify_report *r)
{
    const char *path = v->audit->opt[AUDIT_OPT_STATE];
    char why[4200];

    if (path == NULL || verify_state_write(path, &r->next) == LIAISON_OK)
        return VERIFY_GOOD;
    snprintf(why, sizeof why, "verified, but that cannot be kept in %s: %s", path,
             strerror(errno));
    return cannot(VERIFY_CANNOT, why);
}

static int run(struct verifying *v)
{
    struct verify_report *r = calloc(1, sizeof *r);
    struct progress p;
    bool json = v->audit->opt[AUDIT_OPT_JSON] != NULL;

    if (r == NULL)
        return cannot(VERIFY_CANNOT, err_text(LIAISON_MEMORY));
    v->settings.progress = progress_tell;
    v->settings.progress_arg = &p;
    progress_begin(&p);
    enum liaison_code code = verify(&v->settings, r);

    progress_end(&p);
    if (code != LIAISON_OK) {
        free(r);
        return cannot(VERIFY_CANNOT, err_text(code));
    }
    int status = (int)findings_result(&r->found);

    if (r->has_fork)
        keep_evidence(v, r);
    if (!json)
        verify_print(r, &v->about);
    else if (!verify_print_json(r, &v->about))
        status = cannot(VERIFY_CANNOT, err_text(LIAISON_MEMORY));
    if (v->live != NULL && live_why(v->live)[0] != '\0')
        audit_fail(LIAISON_INTERNAL, "the broker could not be asked on: %s",
                   live_why(v->live));
    if (status == VERIFY_GOOD)
        status = keep_state(v, r);
    verify_report_clear(r);
    free(r);
    return status;
}

int audit_verify(struct audit *a)
{
    struct verifying v = {.audit = a,
                          .settings = {.now_s = (uint64_t)time(NULL),
                                       .all = a->opt[AUDIT_OPT_FULL] != NULL,
                                       .whole = a->opt[AUDIT_OPT_WHOLE] != NULL}};

    if (!trail_threads(a, &v.settings.threads))
        return err_exit(LIAISON_USAGE);
    int status = read_policy(&v);

    if (status == 0)
        status = read_state(&v);
    if (status == 0)
        status = a->n_args > 0 ? open_bundles(&v) : open_broker(&v);
    if (status == 0)
        status = run(&v);
    verify_state_clear(&v.last);
    note_policy_free(v.policy);
    live_free(v.live);
    liaison_answer_free(v.answer);
    bundle_free(v.bundle);
    free(v.seen);
    free(v.others);
    free(v.note);
    return status;
}
