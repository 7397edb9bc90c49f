/* checkpoint: what the broker has signed, by the policy, for auditors to keep and to compare. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/audit/broker.h"
#include "client/audit/verify_print.h"
#include "client/lib/disk.h"

static enum liaison_code fetch(struct audit *a, struct liaison_answer **answer)
{
    return a->opt[AUDIT_OPT_WITNESSED] != NULL
               ? liaison_prove_witnessed(a->lib, NULL, 0, answer)
               : liaison_checkpoint(a->lib, answer);
}

static int print_json(const struct checkpoint *c, const struct note_judgement *j,
                      struct slice note)
{
    char root[2 * HASH_BYTES + 1];

    for (size_t i = 0; i < HASH_BYTES; i++)
        snprintf(root + 2 * i, 3, "%02x", c->root[i]);
    json_t *o = json_pack(
        "{s:s, s:I, s:s, s:b, s:b, s:I, s:I, s:I, s:s%}", "origin", c->origin, "size",
        (json_int_t)c->size, "root", root, "signed", j != NULL, "quorum",
        j != NULL && j->quorum, "witnesses", (json_int_t)(j != NULL ? j->n_witnesses : 0),
        "witnessed_unix_s", (json_int_t)(j != NULL ? j->witnessed_s : 0), "quorum_unix_s",
        (json_int_t)(j != NULL ? j->quorum_s : 0), "note", (const char *)note.p, note.n);
    char *line = o == NULL ? NULL : json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);

    json_decref(o);
    if (line == NULL)
        return audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    puts(line);
    free(line);
    return 0;
}

/* Judged is what a policy says; without one only what the note says of itself is told. */
static int tell(struct audit *a, struct slice note)
{
    const char *path = a->opt[AUDIT_OPT_OUT];
    struct note_policy *policy = NULL;
    struct note_judgement judged;
    struct checkpoint c;
    char why[512] = "";
    enum liaison_code code = audit_policy(a, &policy, why, sizeof why);

    if (code == LIAISON_OK)
        code = note_judge(policy, note, (uint64_t)time(NULL), &judged);
    note_policy_free(policy);
    if (!broker_read_note(note, &c))
        return audit_fail(LIAISON_MALFORMED, "the broker's checkpoint is none");
    if (code != LIAISON_OK && liaison_log_on(a->lib))
        return audit_fail(code, "%s", why[0] != '\0' ? why : err_text(code));
    if (path != NULL && disk_replace(path, note) != LIAISON_OK)
        return audit_fail(LIAISON_FILE, "%s: %s", path, strerror(errno));
    if (a->opt[AUDIT_OPT_JSON] != NULL)
        return print_json(&c, code == LIAISON_OK ? &judged : NULL, note);
    verify_print_note(&c, code == LIAISON_OK ? &judged : NULL);
    if (code != LIAISON_OK)
        puts("not judged: there is no policy that says whose signatures count "
             "(--policy)");
    else if (!judged.quorum)
        puts("not witnessed: the quorum that the policy wants has not cosigned it");
    return 0;
}

int audit_checkpoint(struct audit *a)
{
    struct liaison_answer *answer = NULL;
    int status = 0;

    if (a->n_args > 0)
        return audit_fail(LIAISON_USAGE,
                          "'%s' is too much; 'liaison-audit --help' shows "
                          "an example",
                          a->args[0]);
    if (!broker_open(a, BROKER_JUDGED, &status))
        return status;
    enum liaison_code code = fetch(a, &answer);

    status = code == LIAISON_OK ? tell(a, broker_note(answer)) : audit_lib_fail(a, code);
    liaison_answer_free(answer);
    return status;
}
