#pragma once
/* An entry that is judged again: its rules, and what was asked of them. */
#include "broker/rules/rules.h"
#include "client/audit/trail.h"

/* The rules that were in force when the entry was made: the kept text, whose SHA-256 is the entry's rule_set, read as the broker
 * reads it. Gives: *out, one reference. Returns 0, or the exit status after it was said why. */
int again_rules(struct trail *t, const Liaison__V1__LedgerEntry *e, struct rules **out);

enum again_result {
    AGAIN_SO,      /* these rules decide it so in the cases that were written */
    AGAIN_NOT_SO,  /* in no case */
    AGAIN_NOT_SAID /* `why` says why rules alone do not tell */
};

/* Judges it. The cases are written to `out`: lines, or with `json` a list. --envelope and --opening are looked at, and say all that
 * an entry leaves open. Returns 0, or the exit status after it was said why. */
int again_judge(struct trail *t, const Liaison__V1__LedgerEntry *e, const struct rules *r, bool json, FILE *out,
                enum again_result *result, const char **why);
