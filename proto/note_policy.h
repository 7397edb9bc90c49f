#pragma once
/* The inside of a policy, for proto/note_policy.c, which reads it, and proto/note_judge.c, which applies it. */
#include "proto/note_inner.h"

enum {
    POLICY_GROUPS_MAX = NOTE_KEYS_MAX,
    POLICY_NAMES_MAX = NOTE_KEYS_MAX + POLICY_GROUPS_MAX,
    POLICY_NO_ONE = POLICY_NAMES_MAX, /* no name: nobody's member; as a quorum: none is wanted */
};

/* A name of the policy: a witness, or a group that has witnessed when `wants` of its members have. */
struct policy_name {
    char name[NOTE_NAME_MAX + 1];
    bool is_group;
    size_t witness; /* its index */
    size_t wants, members;
    size_t member_of; /* a later name, or POLICY_NO_ONE */
};

struct note_policy {
    size_t n_logs, n_witnesses, n_groups, n_names;
    struct note_log logs[NOTE_KEYS_MAX];
    struct note_key log_keys[NOTE_KEYS_MAX]; /* the keys of `logs` once more, as note_verify() wants them */
    struct note_key witnesses[NOTE_KEYS_MAX];
    size_t witness_names[NOTE_KEYS_MAX];
    struct policy_name names[POLICY_NAMES_MAX]; /* in the order of their lines: members before their group */
    size_t quorum;
};

/* Does the policy have this public key, or one with its name and id? */
bool policy_has(const struct note_policy *p, const struct note_key *k);

/* Adds a log key. There is room, and it is not there yet. */
void policy_add_log(struct note_policy *p, const struct note_key *k, uint64_t from);
