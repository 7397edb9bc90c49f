/* witness: the same as liaison's, for auditors; client/lib/witness.c does it. */
#include "client/lib/witness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/broker.h"
#include "client/lib/disk.h"

/* The profile's files. False: it was said why not. */
static bool begin(struct audit *a, struct profile *p, struct witness *w, int *status)
{
    char why[1024] = "";
    enum liaison_code code = audit_profile(a, p, why, sizeof why);

    if (code != LIAISON_OK) {
        *status = audit_fail(code, "%s", why);
        return false;
    }
    *w = (struct witness){.lib = a->lib,
                          .arena = a->arena,
                          .program = "liaison-audit",
                          .key = profile_path(p, "witness.key", a->arena),
                          .state = profile_path(p, "witness.state", a->arena),
                          .fork = profile_path(p, "log.fork", a->arena)};
    if (w->key != NULL && w->state != NULL && w->fork != NULL)
        return true;
    *status = audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    return false;
}

static int end(struct audit *a, const struct witness *w, enum liaison_code code,
               struct slice out)
{
    const char *path = a->opt[AUDIT_OPT_OUT];

    if (w->first)
        fputs("liaison-audit: this witness has seen nothing before: it takes the log as "
              "it is\n",
              stderr);
    if (code != LIAISON_OK)
        return audit_fail(code, "%s", w->why);
    if (out.n == 0) /* of hand-in */
        return 0;
    if (path != NULL && disk_replace(path, out) != LIAISON_OK)
        return audit_fail(LIAISON_FILE, "%s: %s", path, strerror(errno));
    if (path == NULL)
        fwrite(out.p, 1, out.n, stdout);
    return 0;
}

static enum liaison_code init(struct witness *w, const struct profile *p,
                              const char *name, struct slice *out)
{
    char full[2 * NOTE_NAME_MAX];

    snprintf(full, sizeof full, "%s/%s", p->network, p->auditor);
    return witness_init(w, p->auditor, name != NULL ? name : full, out);
}

/* sign and hand-in, of a file. */
static int by_file(struct audit *a, struct witness *w, bool sign, const char *path)
{
    uint8_t *text = NULL;
    size_t len = 0;
    struct slice out = {0};
    enum liaison_code code =
        disk_read(path, sign ? WITNESS_REQUEST_MAX : NOTE_BYTES_MAX, &text, &len);

    if (code != LIAISON_OK)
        return audit_fail(code == LIAISON_NOT_FOUND ? LIAISON_FILE : code, "%s: %s", path,
                          code == LIAISON_TOO_LARGE ? err_text(code) : strerror(errno));
    code = sign ? witness_sign(w, path, slice(text, len), &out)
                : witness_hand_in(w, slice(text, len));
    int status = end(a, w, code, out);

    free(text);
    return status;
}

int audit_witness(struct audit *a)
{
    const char *word = a->n_args > 0 ? a->args[0] : "";
    const char *argument = a->n_args > 1 ? a->args[1] : NULL;
    enum liaison_code code = LIAISON_OK;
    struct slice out = {0};
    struct profile p;
    struct witness w;
    int status = 0;

    if (strcmp(word, "init") != 0 && !broker_open(a, BROKER_JUDGED, &status))
        return status;
    if (!begin(a, &p, &w, &status))
        return status;
    if (strcmp(word, "init") == 0) {
        code = init(&w, &p, argument, &out);
        return end(a, &w, code, out);
    }
    if (!liaison_log_on(a->lib))
        return audit_fail(LIAISON_CONFIG,
                          "a witness must know the log's key: name its policy with "
                          "--policy, or put it in with 'liaison enrol --policy FILE'");
    if (argument != NULL && (strcmp(word, "sign") == 0 || strcmp(word, "hand-in") == 0))
        return by_file(a, &w, word[0] == 's', argument);
    if (a->n_args == 0)
        code = witness_run(&w, &out);
    else if (strcmp(word, "request") == 0)
        code = witness_request(&w, argument, &out);
    else
        return audit_fail(LIAISON_USAGE,
                          "witness, witness init [NAME], witness request SIZE, witness "
                          "sign PATH, or witness hand-in PATH");
    return end(a, &w, code, out);
}
