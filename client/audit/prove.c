/* prove: an entry's proof as a file that anyone can check with the log's key. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/offline.h"
#include "client/lib/disk.h"

static enum liaison_code make(const struct offline *o, uint64_t seq, char **text,
                              size_t *len)
{
    struct tree t = {.source = bundle_source(o->bundle), .hash = hash_new()};
    struct note_proof p = {.index = seq, .note = bundle_note(o->bundle, 0)};
    uint8_t root[HASH_BYTES];
    enum liaison_code code = t.hash == NULL ? LIAISON_MEMORY : LIAISON_OK;

    if (code == LIAISON_OK)
        code = tree_root(&t, o->checkpoint.size, root);
    if (code == LIAISON_OK && memcmp(root, o->checkpoint.root, HASH_BYTES) != 0)
        code = LIAISON_PROOF;
    if (code == LIAISON_OK)
        code = tree_path(&t, seq, o->checkpoint.size, p.path, &p.path_len);
    if (code == LIAISON_OK && (*text = malloc(NOTE_PROOF_MAX)) == NULL)
        code = LIAISON_MEMORY;
    if (code == LIAISON_OK)
        *len = note_proof_print(&p, *text);
    hash_free(t.hash);
    return code;
}

int audit_prove(struct audit *a)
{
    const char *path = a->opt[AUDIT_OPT_OUT];
    struct offline o;
    char *text = NULL;
    size_t len = 0;
    uint64_t seq = 0;
    int status = offline_open(a, &o);

    if (status != 0)
        return status;
    status = audit_seq(a, &o, &seq);
    enum liaison_code code = status == 0 ? make(&o, seq, &text, &len) : LIAISON_OK;

    if (status == 0 && code != LIAISON_OK)
        status = audit_fail(code == LIAISON_NOT_FOUND ? LIAISON_FILE : code,
                            "the bundle's hashes prove nothing: %s", err_text(code));
    else if (status == 0 && path == NULL)
        fwrite(text, 1, len, stdout);
    else if (status == 0 && disk_replace(path, slice(text, len)) != LIAISON_OK)
        status = audit_fail(LIAISON_FILE, "%s: %s", path, strerror(errno));
    free(text);
    offline_close(&o);
    return status;
}
