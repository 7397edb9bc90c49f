#include <inttypes.h>
#include <stdio.h>

#include "proto/base64.h"
#include "proto/note_inner.h"

static const char ROTATION[] = " key-rotation";
static const char PROOF[] = "c2sp.org/tlog-proof@v1\n";

/* Reads a line that is the base64 of one hash. */
static bool read_hash(struct slice line, uint8_t out[HASH_BYTES])
{
    size_t len;

    return line.n == BASE64_LEN(HASH_BYTES) &&
           base64_decode(line, out, HASH_BYTES, &len) && len == HASH_BYTES;
}

/* ------------------------------------------------------------ checkpoints */

size_t checkpoint_print(const struct checkpoint *c, char out[NOTE_CHECKPOINT_MAX + 1])
{
    char root[BASE64_LEN(HASH_BYTES) + 1];

    base64_encode(slice(c->root, HASH_BYTES), root);
    return (size_t)snprintf(out, NOTE_CHECKPOINT_MAX + 1, "%s\n%" PRIu64 "\n%s\n",
                            c->origin, c->size, root);
}

enum liaison_code checkpoint_parse(struct slice text, struct checkpoint *out)
{
    struct checkpoint c = {0};
    struct slice origin, size, root;

    if (!note_take_line(&text, &origin) || !note_take_line(&text, &size) ||
        !note_take_line(&text, &root) || text.n != 0 ||
        !note_origin_copy(origin, c.origin) || !note_number(size, &c.size) ||
        !read_hash(root, c.root))
        return LIAISON_MALFORMED;
    *out = c;
    return LIAISON_OK;
}

/* ------------------------------------------------------------ rotations */

size_t note_rotation_print(const struct note_rotation *r,
                           char out[NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX])
{
    char key[NOTE_KEY_TEXT_MAX];

    note_key_print(&r->key, key);
    return (size_t)snprintf(out, NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX,
                            "%s%s\n%" PRIu64 "\n%s\n", r->origin, ROTATION, r->size, key);
}

enum liaison_code note_rotation_parse(struct slice text, struct note_rotation *out)
{
    struct note_rotation r = {0};
    struct slice head, size, key;
    size_t tail = strlen(ROTATION);

    if (!note_take_line(&text, &head) || !note_take_line(&text, &size) ||
        !note_take_line(&text, &key) || text.n != 0 || head.n <= tail ||
        memcmp(head.p + head.n - tail, ROTATION, tail) != 0 ||
        !note_name_copy(slice(head.p, head.n - tail), r.origin) ||
        !note_number(size, &r.size))
        return LIAISON_MALFORMED;
    enum liaison_code code = note_key_read(key, &r.key);

    if (code == LIAISON_MEMORY)
        return code;
    if (code != LIAISON_OK || r.key.type != NOTE_ED25519 ||
        strcmp(r.key.name, r.origin) != 0)
        return LIAISON_MALFORMED;
    *out = r;
    return LIAISON_OK;
}

/* ------------------------------------------------------------ proof files */

size_t note_proof_print(const struct note_proof *p, char *out)
{
    size_t n =
        (size_t)snprintf(out, NOTE_PROOF_MAX, "%sindex %" PRIu64 "\n", PROOF, p->index);

    for (size_t i = 0; i < p->path_len; i++) {
        n += base64_encode(slice(p->path[i], HASH_BYTES), out + n);
        out[n++] = '\n';
    }
    out[n++] = '\n';
    memcpy(out + n, p->note.p, p->note.n);
    return n + p->note.n;
}

/* The line `extra BASE64`, which may be there. Nobody vouches for it, so it is not kept. */
static bool pass_extra(struct slice *rest)
{
    struct slice line;
    size_t len;

    return !note_take(rest, "extra ") ||
           (note_take_line(rest, &line) && base64_decode(line, NULL, 0, &len));
}

static enum liaison_code read_path(struct slice *rest, struct note_proof *p)
{
    struct slice line;

    for (;;) {
        if (!note_take_line(rest, &line))
            return LIAISON_MALFORMED;
        if (line.n == 0)
            return LIAISON_OK;
        if (p->path_len == MERKLE_PATH_MAX)
            return LIAISON_LIMIT;
        if (!read_hash(line, p->path[p->path_len++]))
            return LIAISON_MALFORMED;
    }
}

enum liaison_code note_proof_parse(struct slice bytes, struct note_proof *out)
{
    struct note_proof p = {0};
    struct slice line;
    enum liaison_code code;

    if (bytes.n > NOTE_PROOF_MAX)
        return LIAISON_LIMIT;
    if (!note_take(&bytes, PROOF) || !pass_extra(&bytes) ||
        !note_take(&bytes, "index ") || !note_take_line(&bytes, &line) ||
        !note_number(line, &p.index))
        return LIAISON_MALFORMED;
    code = read_path(&bytes, &p);
    if (code != LIAISON_OK)
        return code;
    if (bytes.n == 0)
        return LIAISON_MALFORMED;
    if (bytes.n > NOTE_BYTES_MAX)
        return LIAISON_LIMIT;
    p.note = bytes;
    *out = p;
    return LIAISON_OK;
}
