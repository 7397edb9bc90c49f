/* prove: an entry's proof as a file that anyone can check with the log's key. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/offline.h"
#include "client/lib/disk.h"

enum liaison_code offline_prove(const struct offline *o, struct slice bytes, uint64_t seq,
                                struct note_proof *out)
{
    struct tree t = {.source = bundle_source(o->bundle), .hash = hash_new()};
    uint8_t leaf[HASH_BYTES];
    enum liaison_code code = LIAISON_MEMORY;

    *out = (struct note_proof){.index = seq, .note = bundle_note(o->bundle, 0)};
    if (t.hash != NULL)
        code = tree_path(&t, seq, o->checkpoint.size, out->path, &out->path_len);
    if (code == LIAISON_OK) {
        merkle_leaf(t.hash, bytes, leaf);
        if (!merkle_check(t.hash, leaf, seq, o->checkpoint.size,
                          slice(out->path, out->path_len * HASH_BYTES),
                          o->checkpoint.root))
            code = LIAISON_PROOF;
    }
    hash_free(t.hash);
    return code;
}

struct proving {
    const struct offline *offline;
    const char *path; /* NULL: standard output */
};

static int prove_one(void *arg, const Liaison__V1__LedgerEntry *e, struct slice bytes)
{
    const struct proving *p = arg;
    struct note_proof proof;
    char *text = malloc(NOTE_PROOF_MAX);
    enum liaison_code code =
        text == NULL ? LIAISON_MEMORY : offline_prove(p->offline, bytes, e->seq, &proof);
    int status = 0;

    if (code == LIAISON_OK) {
        struct slice all = slice(text, note_proof_print(&proof, text));

        if (p->path == NULL)
            fwrite(all.p, 1, all.n, stdout);
        else if (disk_replace(p->path, all) != LIAISON_OK)
            status = audit_fail(LIAISON_FILE, "%s: %s", p->path, strerror(errno));
    } else {
        status = audit_fail(code == LIAISON_NOT_FOUND ? LIAISON_FILE : code,
                            "the bundle's hashes prove nothing of entry %" PRIu64 ": %s",
                            e->seq, err_text(code));
    }
    free(text);
    return status;
}

int audit_prove(struct audit *a)
{
    struct offline o;
    struct proving p = {.offline = &o, .path = a->opt[AUDIT_OPT_OUT]};
    uint64_t seq = 0;
    int status = offline_open(a, &o);

    if (status != 0)
        return status;
    status = audit_seq(a, &o, &seq);
    if (status == 0)
        status = offline_each(&o, seq, seq + 1, prove_one, &p);
    offline_close(&o);
    return status;
}
