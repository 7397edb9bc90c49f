#pragma once
/* What the parts of liaison-audit share. */
#include "client/json/json.h"
#include "client/json/profile.h"
#include "client/lib/liaison.h"
#include "proto/arena.h"
#include "proto/err.h"
#include "proto/version.h"

enum audit_option {
    AUDIT_OPT_AGENCY,
    AUDIT_OPT_REFERRAL,
    AUDIT_OPT_EVENT,
    AUDIT_OPT_FROM,
    AUDIT_OPT_UNTIL,
    AUDIT_OPT_LIMIT,
    AUDIT_OPT_BUNDLE,
    AUDIT_OPT_POLICY,
    AUDIT_OPT_ROTATIONS,
    AUDIT_OPT_STATE,
    AUDIT_OPT_NOTE,
    AUDIT_OPT_EVIDENCE,
    AUDIT_OPT_THREADS,
    AUDIT_OPT_FULL,
    AUDIT_OPT_WHOLE,
    AUDIT_OPT_WITNESSED,
    AUDIT_OPT_SIZE,
    AUDIT_OPT_AFTER,
    AUDIT_OPT_OUT,
    AUDIT_OPT_ENVELOPE,
    AUDIT_OPT_OPENING,
    AUDIT_OPT_JSON,
    AUDIT_OPT_PROFILE,
    AUDIT_OPT_BROKER,
    AUDIT_OPT_OFFICER,
    AUDIT_OPT_PURPOSE,
    AUDIT_OPT_BASIS,
    AUDIT_OPT_TIMEOUT,
    AUDIT_OPT_HELP,
    AUDIT_OPT_VERSION,
    AUDIT_OPT_LIST_COMMANDS,
    AUDIT_OPT__COUNT
};

/* One run of the program. */
struct audit {
    const char *opt[AUDIT_OPT__COUNT]; /* NULL: not given; "" for those without a value */
    struct arena *arena;               /* lives until the end */
    struct liaison *lib;               /* after audit_open() */
    const char *const *args;           /* behind the command */
    size_t n_args;
};

/* Says "liaison-audit: ..." on stderr. Returns the exit status for `code`. */
__attribute__((format(printf, 2, 3))) int audit_fail(enum liaison_code code,
                                                     const char *format, ...);

/* The same with the library's sentence about its last call. */
int audit_lib_fail(struct audit *a, enum liaison_code code);

/* Reads the profile, which must be an auditor's. On error `why` is a sentence. Errors: profile_read()'s,
 * LIAISON_ROLE. */
MUST_CHECK
enum liaison_code audit_profile(struct audit *a, struct profile *p, char *why, size_t why_len);

/* Reads the profile, which must be an auditor's, and makes a->lib ready. On false it was said and *status is the
 * exit status. */
MUST_CHECK
bool audit_open(struct audit *a, int *status);

/* ---- filter.c: which entries */

/* Nanoseconds of a time or a day; of a day its beginning, or its end where `end` says so. */
MUST_CHECK
bool audit_time(const char *text, bool end, uint64_t *ns);

/* Checks the forms of --limit, --referral, --event, --from and --until. Returns 0, or the exit status. */
int audit_filter_check(const struct audit *a, uint64_t *limit);

/* A decimal number without sign or leading zeros that could be one of an entry. */
MUST_CHECK
bool audit_number(const char *text, uint64_t *out);

/* ---- policy.c */

/* Reads --policy, else the profile's log.policy, with the rotations of --rotations or the profile's log.rotations.
 * Gives: *out. On error `why` is a sentence. Errors: LIAISON_NOT_FOUND (no policy is named), LIAISON_FILE, LIAISON_CONFIG,
 *        LIAISON_SIGNATURE and the like (a rotation), LIAISON_MEMORY. */
struct note_policy;
MUST_CHECK
enum liaison_code audit_policy(struct audit *a, struct note_policy **out, char *why, size_t why_len);

/* Reads a file of at most `most` bytes. Gives: *bytes, to be released with free(). On error `why` is a sentence that
 * names it. Errors: LIAISON_NOT_FOUND, LIAISON_FILE, LIAISON_TOO_LARGE, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code audit_read(const char *path, size_t most, uint8_t **bytes, size_t *len, char *why, size_t why_len);

/* ---- entry.c */

/* Writes one entry: a line, or all of it as JSON. Returns the exit status. */
int audit_entry(const Liaison__V1__LedgerEntry *e, bool json);

/* ---- the commands */
int audit_log(struct audit *a);
int audit_verify(struct audit *a);
int audit_show(struct audit *a);
int audit_search(struct audit *a);
int audit_timeline(struct audit *a);
int audit_who_saw(struct audit *a);
int audit_prove(struct audit *a);
int audit_checkpoint(struct audit *a);
int audit_export(struct audit *a);
int audit_witness(struct audit *a);
int audit_explain(struct audit *a);
