/* prove: an entry's proof as a file that anyone can check with the log's key. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/trail.h"
#include "client/lib/disk.h"

struct proving {
    struct trail *trail;
    const char *path; /* NULL: standard output */
    bool came;
};

static int prove_one(void *arg, const struct trail_item *item)
{
    struct proving *p = arg;
    struct note_proof proof;
    char *text = malloc(NOTE_PROOF_MAX);
    enum liaison_code code =
        text == NULL ? LIAISON_MEMORY
                     : trail_prove(p->trail, item->bytes, item->e->seq, &proof);
    int status = 0;

    p->came = true;
    if (code == LIAISON_OK) {
        struct slice all = slice(text, note_proof_print(&proof, text));

        if (p->path == NULL)
            fwrite(all.p, 1, all.n, stdout);
        else if (disk_replace(p->path, all) != LIAISON_OK)
            status = audit_fail(LIAISON_FILE, "%s: %s", p->path, strerror(errno));
    } else {
        status = audit_fail(code == LIAISON_NOT_FOUND ? LIAISON_FILE : code,
                            "the log's hashes prove nothing of entry %" PRIu64 ": %s",
                            item->e->seq, err_text(code));
    }
    free(text);
    return status;
}

int audit_prove(struct audit *a)
{
    struct trail t;
    struct proving p = {.trail = &t, .path = a->opt[AUDIT_OPT_OUT]};
    uint64_t seq = 0;
    int status = trail_open_at(a, &t, &seq);

    if (status != 0)
        return status;
    status = trail_each(&t, &(struct trail_filter){.first = seq, .end = seq + 1},
                        prove_one, &p);
    if (status == 0 && !p.came)
        status = audit_fail(LIAISON_NOT_FOUND,
                            "entry %" PRIu64 " was not shown to this auditor", seq);
    trail_close(&t);
    return status;
}
