/* What an operator does while no broker runs; the lock on the high-water file says whether one does. Files stay the notary's
 * user's. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "broker/notary/desk.h"
#include "broker/notary/file.h"
#include "proto/err.h"

/* ------------------------------------------------------------ show */

enum liaison_code notary_look(const struct notary_settings *s, struct notary_status *out,
                              char *why, size_t why_len)
{
    struct desk d;
    struct file_user user;
    enum liaison_code code = file_user_find(s->user, &user, why, why_len);

    if (code != LIAISON_OK)
        return code;
    file_user_enter(&user);
    code = desk_open(s, DESK_LOOK, &d, why, why_len);
    if (code == LIAISON_OK)
        desk_status(&d, out);
    desk_close(&d);
    file_user_leave(&user);
    return code;
}

/* ------------------------------------------------------------ adopt */

static bool is_ours(const struct keys *k, const struct note_key *key)
{
    for (size_t i = 0; i < k->n; i++)
        if (strcmp(key->name, k->signer[i].key.name) == 0 &&
            memcmp(key->public, k->signer[i].key.public, sizeof key->public) == 0)
            return true;
    return false;
}

/* Right after a rotation the last checkpoint is the earlier key's, of just the size that the new one begins above. */
static bool is_earlier_key_s(const struct keys *k, const struct note_judgement *j)
{
    return k->rotation_len > 0 && j->checkpoint.size == k->rotated.size &&
           strcmp(j->log.name, k->rotated.origin) == 0;
}

static enum liaison_code judge_note(const struct keys *k, const struct note_policy *p,
                                    struct slice note, uint64_t now_s,
                                    struct note_judgement *j, char *why, size_t why_len)
{
    enum liaison_code code = note_judge(p, note, now_s, j);

    if (code != LIAISON_OK) {
        snprintf(why, why_len, "the note: %s", err_text(code));
        return code;
    }
    if (!is_ours(k, &j->log) && !is_earlier_key_s(k, j)) {
        snprintf(why, why_len, "the note is not signed by the notary's key");
        return LIAISON_SIGNATURE;
    }
    if (!j->quorum || j->n_witnesses == 0) {
        snprintf(why, why_len,
                 "the note has %zu of the policy's witnesses, which is no quorum: only "
                 "what others have seen is believed",
                 j->n_witnesses);
        return LIAISON_SIGNATURE;
    }
    return LIAISON_OK;
}

static enum liaison_code adopt(const struct notary_settings *s, struct desk *d,
                               const struct note_policy *p, struct slice note,
                               uint64_t now_s, char *why, size_t why_len)
{
    struct note_judgement j;
    struct water w = {.counter = 1};
    enum liaison_code code = desk_open(s, DESK_TAKE, d, why, why_len);

    if (code != LIAISON_OK)
        return code;
    if (d->has_state) {
        snprintf(why, why_len,
                 "%s: the notary knows what it signed, up to size %" PRIu64
                 "; nothing is adopted",
                 s->state_file, d->water.size);
        return LIAISON_CONFIG;
    }
    code = judge_note(&d->keys, p, note, now_s, &j, why, why_len);
    if (code != LIAISON_OK)
        return code;
    w.size = j.checkpoint.size;
    memcpy(w.root, j.checkpoint.root, sizeof w.root);
    return water_make(d->hash, s->state_file, d->keys.signer[0].key.name, &w, why,
                      why_len);
}

enum liaison_code notary_adopt(const struct notary_settings *s,
                               const struct note_policy *p, struct slice note,
                               uint64_t now_s, char *why, size_t why_len)
{
    struct desk d;
    struct file_user user;
    enum liaison_code code = file_user_find(s->user, &user, why, why_len);

    if (code != LIAISON_OK)
        return code;
    file_user_enter(&user);
    code = adopt(s, &d, p, note, now_s, why, why_len);
    desk_close(&d);
    file_user_leave(&user);
    return code;
}

/* ------------------------------------------------------------ rotate */

/* Called again before the new key has signed: what was given then is given again. */
static bool is_done(const struct desk *d)
{
    return d->keys.n == 1 && d->keys.rotation_len > 0 &&
           d->keys.rotated.size == d->water.size;
}

static enum liaison_code rotate(const struct notary_settings *s, struct desk *d,
                                char *why, size_t why_len)
{
    enum liaison_code code = desk_open(s, DESK_TAKE, d, why, why_len);

    if (code == LIAISON_OK && d->has_state && !is_done(d))
        code = keys_begin_rotation(s->key_file, &d->keys, why, why_len);
    return code == LIAISON_OK ? desk_end_rotation(s, d, why, why_len) : code;
}

enum liaison_code notary_rotate(const struct notary_settings *s, uint8_t *rotation,
                                size_t *rotation_len, char *why, size_t why_len)
{
    struct desk d;
    struct file_user user;
    enum liaison_code code = file_user_find(s->user, &user, why, why_len);

    if (code != LIAISON_OK)
        return code;
    file_user_enter(&user);
    code = rotate(s, &d, why, why_len);
    if (code == LIAISON_OK) {
        memcpy(rotation, d.keys.rotation, d.keys.rotation_len);
        *rotation_len = d.keys.rotation_len;
    }
    desk_close(&d);
    file_user_leave(&user);
    return code;
}

/* ------------------------------------------------------------ renew */

/* The state under the new name first: from then on the old key finds none that is its own, and signs nothing. */
static enum liaison_code renew(const struct notary_settings *s, struct desk *d, char *why,
                               size_t why_len)
{
    char rotation[PATH_MAX];
    const struct water none = water_none(d->hash);
    struct water w;
    bool found = false;
    enum liaison_code code =
        water_look(d->hash, s->state_file, s->origin, &w, &found, why, why_len);

    if (code == LIAISON_OK && !found &&
        (code = file_keep(s->state_file, why, why_len)) == LIAISON_OK)
        code = water_make(d->hash, s->state_file, s->origin, &none, why, why_len);
    if (code == LIAISON_OK)
        code = file_keep(s->key_file, why, why_len);
    if (code == LIAISON_OK && keys_rotation_file(s->key_file, rotation, sizeof rotation))
        code = file_put_aside(rotation, why, why_len);
    return code == LIAISON_OK ? keys_make(s->key_file, s->origin, why, why_len) : code;
}

enum liaison_code notary_renewal(const struct notary_settings *s, bool *begun, char *why,
                                 size_t why_len)
{
    struct file_user user;
    struct water w;
    struct hash *h = hash_new();

    *begun = false;
    enum liaison_code code =
        h == NULL ? LIAISON_MEMORY : file_user_find(s->user, &user, why, why_len);

    if (code == LIAISON_OK) {
        file_user_enter(&user);
        code = water_look(h, s->state_file, s->origin, &w, begun, why, why_len);
        file_user_leave(&user);
    }
    hash_free(h);
    return code;
}

enum liaison_code notary_renew(const struct notary_settings *s, char *why, size_t why_len)
{
    struct desk d;
    struct file_user user;
    enum liaison_code code = file_user_find(s->user, &user, why, why_len);

    if (code != LIAISON_OK)
        return code;
    file_user_enter(&user);
    code = desk_open(s, DESK_BEGIN, &d, why, why_len);
    if (code == LIAISON_OK && strcmp(d.keys.signer[0].key.name, s->origin) != 0)
        code = renew(s, &d, why, why_len);
    desk_close(&d);
    file_user_leave(&user);
    return code;
}
