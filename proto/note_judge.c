#include <stdlib.h>

#include "proto/note_policy.h"

enum { AHEAD_S = 5 * 60 };

/* ------------------------------------------------------------ the quorum */

static int by_time(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* When each name had witnessed, 0: not. Members stand before their group. */
static void hear_names(const struct note_policy *p, const struct note_verdict *verdicts,
                       uint64_t times[POLICY_NAMES_MAX])
{
    for (size_t i = 0; i < p->n_names; i++) {
        const struct policy_name *name = &p->names[i];
        uint64_t of_members[POLICY_NAMES_MAX];
        size_t n = 0;

        for (size_t j = 0; name->is_group && j < i; j++)
            if (p->names[j].member_of == i && times[j] != 0)
                of_members[n++] = times[j];
        if (!name->is_group) {
            times[i] = verdicts[name->witness].time_s;
        } else if (n < name->wants) {
            times[i] = 0;
        } else {
            qsort(of_members, n, sizeof *of_members, by_time);
            times[i] = of_members[name->wants - 1];
        }
    }
}

static void judge_witnesses(const struct note_policy *p, uint64_t now_s,
                            struct note_verdict *verdicts, struct note_judgement *out)
{
    uint64_t times[POLICY_NAMES_MAX];

    for (size_t i = 0; i < p->n_witnesses; i++) {
        if (verdicts[i].time_s > now_s && verdicts[i].time_s - now_s > AHEAD_S)
            verdicts[i].time_s = 0;
        if (verdicts[i].time_s == 0)
            continue;
        out->n_witnesses++;
        if (verdicts[i].time_s > out->witnessed_s)
            out->witnessed_s = verdicts[i].time_s;
    }
    hear_names(p, verdicts, times);
    out->quorum_s = p->quorum == POLICY_NO_ONE ? 0 : times[p->quorum];
    out->quorum = p->quorum == POLICY_NO_ONE || out->quorum_s != 0;
}

/* ------------------------------------------------------------ the log */

static bool may_sign(const struct note_log *log, const struct checkpoint *c)
{
    return strcmp(log->key.name, c->origin) == 0 && c->size <= log->until &&
           (c->size > log->from || log->from == 0);
}

/* Finds a log key whose signature is there and may be. */
static enum liaison_code judge_log(const struct note_policy *p,
                                   const struct note_verdict *verdicts,
                                   struct note_judgement *out)
{
    for (size_t i = 0; i < p->n_logs; i++) {
        if (verdicts[i].signed_by && may_sign(&p->logs[i], &out->checkpoint)) {
            out->log = p->logs[i].key;
            return LIAISON_OK;
        }
    }
    return LIAISON_SIGNATURE;
}

enum liaison_code note_judge(const struct note_policy *p, struct slice note,
                             uint64_t now_s, struct note_judgement *out)
{
    struct note_judgement j = {0};
    struct note_verdict of_logs[NOTE_KEYS_MAX], of_witnesses[NOTE_KEYS_MAX];
    struct note n;
    enum liaison_code code = note_parse(note, &n);

    if (code == LIAISON_OK)
        code = checkpoint_parse(n.text, &j.checkpoint);
    if (code == LIAISON_OK)
        code = note_verify(&n, p->log_keys, p->n_logs, of_logs);
    if (code == LIAISON_OK)
        code = judge_log(p, of_logs, &j);
    if (code == LIAISON_OK)
        code = note_verify(&n, p->witnesses, p->n_witnesses, of_witnesses);
    if (code != LIAISON_OK)
        return code;
    judge_witnesses(p, now_s, of_witnesses, &j);
    *out = j;
    return LIAISON_OK;
}

/* ------------------------------------------------------------ rotation */

/* The old key of a rotation: it has signed, and either has no end yet or ends just there. Returns its index, or n_logs. */
static size_t find_old(const struct note_policy *p, const struct note_rotation *r,
                       const struct note_verdict *verdicts)
{
    for (size_t i = 0; i < p->n_logs; i++) {
        const struct note_log *log = &p->logs[i];

        if (verdicts[i].signed_by && strcmp(log->key.name, r->origin) == 0 &&
            !note_key_equal(&log->key, &r->key) && log->from <= r->size &&
            (log->until == UINT64_MAX || log->until == r->size))
            return i;
    }
    return p->n_logs;
}

static size_t find_new(const struct note_policy *p, const struct note_rotation *r)
{
    for (size_t i = 0; i < p->n_logs; i++)
        if (note_key_equal(&p->logs[i].key, &r->key))
            return i;
    return p->n_logs;
}

/* Lets the new key begin where the old one ends. An old key that has ended hands over to nobody else. */
static enum liaison_code rotate(struct note_policy *p, const struct note_rotation *r,
                                size_t old)
{
    size_t i = find_new(p, r);
    bool ended = p->logs[old].until != UINT64_MAX;

    if (i != p->n_logs && p->logs[i].from == r->size && ended)
        return LIAISON_OK; /* taken before */
    if (ended)
        return LIAISON_SIGNATURE;
    if (i == p->n_logs) {
        if (policy_has(p, &r->key))
            return LIAISON_SIGNATURE;
        if (p->n_logs == NOTE_KEYS_MAX)
            return LIAISON_LIMIT;
        policy_add_log(p, &r->key, r->size);
    } else if (p->logs[i].from == 0 && p->logs[i].until == UINT64_MAX) {
        p->logs[i].from =
            r->size; /* the policy lists both keys: now it is known from where */
    } else {
        return LIAISON_SIGNATURE;
    }
    p->logs[old].until = r->size;
    return LIAISON_OK;
}

enum liaison_code note_policy_rotate(struct note_policy *p, struct slice rotation)
{
    struct note_verdict of_logs[NOTE_KEYS_MAX], of_new;
    struct note_rotation r;
    struct note n;
    enum liaison_code code = note_parse(rotation, &n);
    size_t old;

    if (code == LIAISON_OK)
        code = note_rotation_parse(n.text, &r);
    if (code == LIAISON_OK)
        code = note_verify(&n, p->log_keys, p->n_logs, of_logs);
    if (code == LIAISON_OK)
        code = note_verify(&n, &r.key, 1, &of_new);
    if (code != LIAISON_OK)
        return code;
    old = find_old(p, &r, of_logs);
    return old == p->n_logs || !of_new.signed_by ? LIAISON_SIGNATURE : rotate(p, &r, old);
}
