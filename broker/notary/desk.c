#include "broker/notary/desk.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/ops/log.h"
#include "proto/err.h"

/* ------------------------------------------------------------ opening */

/* The state first, so that a start that was cut short is told from a key that was lost: nothing was signed yet. */
static enum liaison_code begin_log(const struct notary_settings *s, struct desk *d,
                                   bool state_too, char *why, size_t why_len)
{
    const struct water none = water_none(d->hash);
    enum liaison_code code = LIAISON_OK;

    if (state_too)
        code = water_make(d->hash, s->state_file, s->origin, &none, why, why_len);
    if (code == LIAISON_OK)
        code = keys_make(s->key_file, s->origin, why, why_len);
    if (code == LIAISON_OK)
        code = keys_read(s->key_file, &d->keys, why, why_len);
    return code;
}

static enum liaison_code open_water(const struct notary_settings *s, enum desk_use use,
                                    struct desk *d, char *why, size_t why_len)
{
    const char *log = d->keys.n > 0 ? d->keys.signer[0].key.name : s->origin;

    if (use == DESK_LOOK)
        return water_look(d->hash, s->state_file, log, &d->water, &d->has_state, why,
                          why_len);
    return water_open(d->hash, s->state_file, log, &d->water_fd, &d->water, &d->has_state,
                      why, why_len);
}

static enum liaison_code open_without_key(const struct notary_settings *s,
                                          enum desk_use use, struct desk *d, char *why,
                                          size_t why_len)
{
    bool nothing = d->water_fd < 0, unused = d->has_state && d->water.counter == 0;

    if (use == DESK_BEGIN && (nothing || unused)) {
        enum liaison_code code = begin_log(s, d, nothing, why, why_len);

        return code != LIAISON_OK || !nothing ? code
                                              : open_water(s, use, d, why, why_len);
    }
    if (use == DESK_LOOK || nothing)
        snprintf(why, why_len, "%s: there is no such key yet; the first run makes it",
                 s->key_file);
    else
        snprintf(why, why_len,
                 "%s: the log's key is gone, and %s says that it was used; put it back "
                 "from its backup",
                 s->key_file, s->state_file);
    return LIAISON_CONFIG;
}

enum liaison_code desk_open(const struct notary_settings *s, enum desk_use use,
                            struct desk *out, char *why, size_t why_len)
{
    *out = (struct desk){.hash = hash_new(), .water_fd = -1};
    if (out->hash == NULL) {
        snprintf(why, why_len, "%s", err_text(LIAISON_MEMORY));
        return LIAISON_MEMORY;
    }
    enum liaison_code code = keys_read(s->key_file, &out->keys, why, why_len);

    if (code == LIAISON_OK)
        code = open_water(s, use, out, why, why_len);
    if (code == LIAISON_OK && out->keys.n == 0)
        code = open_without_key(s, use, out, why, why_len);
    if (code == LIAISON_OK && !out->has_state)
        out->water = water_none(out->hash);
    return code;
}

void desk_close(struct desk *d)
{
    keys_wipe(&d->keys);
    if (d->water_fd >= 0)
        close(d->water_fd);
    d->water_fd = -1;
    hash_free(d->hash);
    d->hash = NULL;
}

enum liaison_code desk_end_rotation(const struct notary_settings *s, struct desk *d,
                                    char *why, size_t why_len)
{
    if (d->has_state)
        return keys_end_rotation(s->key_file, &d->keys, d->water.size, why, why_len);
    snprintf(why, why_len,
             "%s: without the high-water of the old key the new one cannot begin; run: "
             "liaisond notary adopt NOTE",
             s->state_file);
    return LIAISON_CONFIG;
}

/* ------------------------------------------------------------ signing */

static const struct note_signer *signer(const struct desk *d)
{
    return &d->keys.signer[d->keys.n - 1];
}

/* Whether this tree is, or extends, the one signed last. It is our own state that counts. */
static enum liaison_code judge(struct desk *d, const struct notary_tree *t)
{
    const struct water *w = &d->water;
    struct slice proof = slice(t->proof, t->proof_len * HASH_BYTES);

    if (!d->has_state)
        return LIAISON_CONFIG;
    if (d->broken)
        return LIAISON_IO;
    if (t->size < w->size)
        return LIAISON_FORK;
    if (t->size == w->size) {
        if (CRYPTO_memcmp(t->root, w->root, HASH_BYTES) != 0)
            return LIAISON_FORK;
        return keys_begin_above(&d->keys, t->size) ? LIAISON_UNSIGNED : LIAISON_OK;
    }
    if (t->old_size != w->size)
        return LIAISON_PROOF;
    return merkle_check_growth(d->hash, w->size, w->root, t->size, t->root, proof)
               ? LIAISON_OK
               : LIAISON_FORK;
}

/* What is about to be signed is on the disk first. Signing the same again needs no second time. */
static enum liaison_code raise_water(struct desk *d, const struct notary_tree *t)
{
    struct water next = {.counter = d->water.counter + 1, .size = t->size};

    if (t->size == d->water.size && d->water.counter > 0)
        return LIAISON_OK;
    memcpy(next.root, t->root, sizeof next.root);
    enum liaison_code code =
        water_write(d->hash, d->water_fd, signer(d)->key.name, &next);

    d->broken = code != LIAISON_OK;
    if (code == LIAISON_OK)
        d->water = next;
    return code;
}

/* Reads back what was made, as a stranger would. */
static bool says(const uint8_t *note_bytes, size_t n, const struct note_key *key,
                 const struct notary_tree *t)
{
    struct note note;
    struct note_verdict verdict = {0};
    struct checkpoint c;

    return note_parse(slice(note_bytes, n), &note) == LIAISON_OK &&
           note_verify(&note, key, 1, &verdict) == LIAISON_OK && verdict.signed_by &&
           checkpoint_parse(note.text, &c) == LIAISON_OK &&
           strcmp(c.origin, key->name) == 0 && c.size == t->size &&
           memcmp(c.root, t->root, HASH_BYTES) == 0;
}

static enum liaison_code sign(struct desk *d, const struct notary_tree *t,
                              struct notary_answer *out)
{
    struct checkpoint c = {.size = t->size};
    char *text = (char *)out->note;
    size_t line;

    memcpy(c.origin, signer(d)->key.name, sizeof c.origin);
    memcpy(c.root, t->root, sizeof c.root);
    size_t n = checkpoint_print(&c, text);
    enum liaison_code code = note_sign(signer(d), slice(text, n), 0, text + n + 1, &line);

    text[n] = '\n';
    if (code != LIAISON_OK || !says(out->note, n + 1 + line, &signer(d)->key, t))
        return LIAISON_INTERNAL;
    out->note_len = n + 1 + line;
    return LIAISON_OK;
}

static enum liaison_code sign_tree(struct desk *d, const struct notary_tree *t,
                                   struct notary_answer *out)
{
    enum liaison_code code = judge(d, t);

    if (code == LIAISON_FORK)
        log_error("notary.refused", "size=%" PRIu64 " signed=%" PRIu64 " what=\"%s\"",
                  t->size, d->water.size, "the tree does not extend what was signed");
    if (code == LIAISON_OK)
        code = raise_water(d, t);
    return code == LIAISON_OK ? sign(d, t, out) : code;
}

/* ------------------------------------------------------------ answering */

void desk_status(const struct desk *d, struct notary_status *out)
{
    out->key = signer(d)->key;
    out->size = d->water.size;
    memcpy(out->root, d->water.root, sizeof out->root);
    out->has_state = d->has_state;
}

void desk_answer(struct desk *d, struct slice message, struct notary_answer *out)
{
    enum wire_kind kind;
    struct notary_tree t;

    *out = (struct notary_answer){.code = LIAISON_MALFORMED};
    if (wire_get_request(message, &kind, &t)) {
        switch (kind) {
        case WIRE_STATUS:
            out->code = LIAISON_OK;
            break;
        case WIRE_SIGN:
            out->code = sign_tree(d, &t, out);
            break;
        case WIRE_ROTATION:
            out->code = LIAISON_OK;
            out->note_len = d->keys.rotation_len;
            memcpy(out->note, d->keys.rotation, out->note_len);
            break;
        }
    }
    if (out->code != LIAISON_OK)
        out->note_len = 0;
    desk_status(d, &out->status);
}
