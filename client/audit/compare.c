#include "client/audit/compare.h"

#include <inttypes.h>

#include "proto/err.h"

static bool note_checkpoint(struct slice bytes, struct checkpoint *out)
{
    struct note n;

    return note_parse(bytes, &n) == LIAISON_OK &&
           checkpoint_parse(n.text, out) == LIAISON_OK;
}

uint64_t compare_last_size(const struct verify_settings *s, struct verify_report *r)
{
    struct checkpoint c;

    if (s->last == NULL || !note_checkpoint(s->last->note, &c))
        return 0;
    r->last_size = c.size;
    return strcmp(c.origin, r->checkpoint.origin) == 0 && c.size <= r->checkpoint.size
               ? c.size
               : 0;
}

/* ------------------------------------------------------------ who signed it */

/* Is it that no key of the policy has signed, or that a signature in a known key's name is wrong? */
static bool wrong_signature(const struct note_policy *p, struct slice bytes)
{
    struct note_key keys[2 * NOTE_KEYS_MAX];
    struct note_verdict verdicts[2 * NOTE_KEYS_MAX];
    struct note n;
    size_t n_logs, n_witnesses, n_keys = 0;
    const struct note_log *logs = note_policy_logs(p, &n_logs);
    const struct note_key *witnesses = note_policy_witnesses(p, &n_witnesses);

    for (size_t i = 0; i < n_logs && n_keys < NOTE_KEYS_MAX; i++)
        keys[n_keys++] = logs[i].key;
    for (size_t i = 0; i < n_witnesses && n_keys < 2 * NOTE_KEYS_MAX; i++)
        keys[n_keys++] = witnesses[i];
    return note_parse(bytes, &n) == LIAISON_OK &&
           note_verify(&n, keys, n_keys, verdicts) == LIAISON_SIGNATURE;
}

static enum liaison_code judge(const struct verify_settings *s, struct verify_report *r)
{
    enum liaison_code code = note_judge(s->policy, s->note, s->now_s, &r->judgement);

    if (code == LIAISON_MEMORY)
        return code;
    r->judged = code == LIAISON_OK;
    if (code == LIAISON_SIGNATURE && !wrong_signature(s->policy, s->note))
        findings_add(&r->found, FOUND_CANNOT, UINT64_MAX,
                     "no key of the policy that may sign %" PRIu64
                     " entries of %s has signed the checkpoint",
                     r->checkpoint.size, r->checkpoint.origin);
    else if (code == LIAISON_SIGNATURE)
        findings_add(
            &r->found, FOUND_NOTE, UINT64_MAX,
            "a signature of the checkpoint is wrong: it was changed after it was "
            "signed, or never signed");
    else if (code != LIAISON_OK)
        findings_add(&r->found, FOUND_NOTE, UINT64_MAX, "the checkpoint is none: %s",
                     err_text(code));
    else if (!r->judgement.quorum)
        findings_add(
            &r->found, FOUND_CANNOT, UINT64_MAX,
            "%zu witnesses have cosigned the checkpoint: not the quorum that the "
            "policy wants",
            r->judgement.n_witnesses);
    return LIAISON_OK;
}

/* ------------------------------------------------------------ whether it extends another */

static void keep_fork(struct verify_report *r, struct slice first, struct slice second)
{
    if (r->has_fork)
        return;
    r->has_fork = true;
    r->fork = (struct verify_fork){.first = first, .second = second};
}

static void fork_found(const struct verify_settings *s, struct verify_report *r,
                       struct tree *t, struct slice other, const struct checkpoint *c,
                       const char *whose)
{
    bool had = r->has_fork;
    struct verify_fork *f = &r->fork;

    findings_add(&r->found, FOUND_FORK, UINT64_MAX,
                 "the log does not extend %s: two trees of %s were signed, of %" PRIu64
                 " entries and of %" PRIu64,
                 whose, c->origin, c->size, r->checkpoint.size);
    keep_fork(r, other, s->note);
    if (!had && c->size < r->checkpoint.size &&
        tree_growth(t, c->size, r->checkpoint.size, f->proof, &f->proof_len) !=
            LIAISON_OK)
        f->proof_len = 0;
}

static void cannot_compare(struct verify_report *r, enum liaison_code code,
                           const char *whose)
{
    findings_add(&r->found, code == LIAISON_NOT_FOUND ? FOUND_MISSING : FOUND_CANNOT,
                 UINT64_MAX, "it cannot be told whether the log extends %s: %s", whose,
                 code == LIAISON_NOT_FOUND ? "hashes for that are missing"
                                           : err_text(code));
}

/* Compares with another note of the same log, which is known to be signed. Returns whether this one extends it. */
static bool extends(const struct verify_settings *s, struct verify_report *r,
                    struct tree *t, bool leads, struct slice other,
                    const struct checkpoint *c, const char *whose)
{
    uint8_t root[HASH_BYTES];
    enum liaison_code code = LIAISON_OK;

    if (c->size > r->checkpoint.size) {
        findings_add(&r->found, FOUND_ROLLBACK, UINT64_MAX,
                     "the log has %" PRIu64 " entries, %s has %" PRIu64,
                     r->checkpoint.size, whose, c->size);
        keep_fork(r, s->note, other);
        return false;
    }
    if (c->size == r->checkpoint.size)
        memcpy(root, r->checkpoint.root, HASH_BYTES);
    else
        code = leads ? tree_root(t, c->size, root) : LIAISON_DAMAGED;
    if (code != LIAISON_OK) {
        cannot_compare(r, code, whose);
        return false;
    }
    if (memcmp(root, c->root, HASH_BYTES) == 0)
        return true;
    fork_found(s, r, t, other, c, whose);
    return false;
}

/* The last state may be of the log before this one: then this one must begin where that one ended, or later. */
static void compare_before(struct verify_report *r, struct slice note,
                           const struct checkpoint *c, struct slice last)
{
    if (r->from > 0 || strcmp(r->continues, c->origin) != 0)
        findings_add(&r->found, FOUND_CANNOT, UINT64_MAX,
                     "the state is of another log, %s", c->origin);
    else if (r->continues_size < c->size) {
        findings_add(&r->found, FOUND_ROLLBACK, UINT64_MAX,
                     "this log continues %s at %" PRIu64 " entries, %" PRIu64
                     " of it were seen",
                     c->origin, r->continues_size, c->size);
        keep_fork(r, note, last);
    } else if (r->continues_size == c->size &&
               memcmp(r->continues_root, c->root, HASH_BYTES) != 0)
        findings_add(&r->found, FOUND_FORK, UINT64_MAX,
                     "this log continues another tree of %s than the one that was seen",
                     c->origin);
}

static void compare_last(const struct verify_settings *s, struct verify_report *r,
                         struct tree *t, bool leads)
{
    struct checkpoint c;

    if (s->last == NULL)
        return;
    if (!note_checkpoint(s->last->note, &c))
        findings_add(&r->found, FOUND_CANNOT, UINT64_MAX,
                     "the state's checkpoint cannot be read");
    else if (strcmp(c.origin, r->checkpoint.origin) != 0)
        compare_before(r, s->note, &c, s->last->note);
    else
        (void)extends(s, r, t, leads, s->last->note, &c, "the checkpoint seen before");
}

static enum liaison_code compare_other(const struct verify_settings *s,
                                       struct verify_report *r, struct tree *t,
                                       bool leads, struct slice other)
{
    struct note_judgement judged;
    enum liaison_code code = note_judge(s->policy, other, s->now_s, &judged);

    if (code == LIAISON_MEMORY)
        return code;
    if (code != LIAISON_OK)
        findings_add(&r->found, FOUND_CANNOT, UINT64_MAX,
                     "another checkpoint that was given is not one of the policy's: %s",
                     err_text(code));
    else if (strcmp(judged.checkpoint.origin, r->checkpoint.origin) != 0)
        findings_add(&r->found, FOUND_CANNOT, UINT64_MAX,
                     "another checkpoint that was given is of another log, %s",
                     judged.checkpoint.origin);
    else
        r->others += extends(s, r, t, leads, other, &judged.checkpoint,
                             "the other checkpoint given");
    return LIAISON_OK;
}

enum liaison_code compare_notes(const struct verify_settings *s, struct verify_report *r,
                                struct tree *t, bool leads)
{
    enum liaison_code code = judge(s, r);

    if (code != LIAISON_OK || !r->judged)
        return code; /* what nobody signed proves nothing against anybody */
    compare_last(s, r, t, leads);
    for (size_t i = 0; code == LIAISON_OK && i < s->n_others; i++)
        code = compare_other(s, r, t, leads, s->others[i]);
    return code;
}
