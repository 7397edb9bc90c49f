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
};

/* Says "liaison-audit: ..." on stderr. Returns the exit status for `code`. */
__attribute__((format(printf, 2, 3))) int audit_fail(enum liaison_code code,
                                                     const char *format, ...);

/* The same with the library's sentence about its last call. */
int audit_lib_fail(struct audit *a, enum liaison_code code);

/* Reads the profile, which must be an auditor's, and makes a->lib ready. On false it was said and *status is the exit status. */
MUST_CHECK
bool audit_open(struct audit *a, int *status);

/* ---- entry.c */

/* Writes one entry: a line, or all of it as JSON. Returns the exit status. */
int audit_entry(const Liaison__V1__LedgerEntry *e, bool json);

/* ---- the commands */
int audit_log(struct audit *a);
