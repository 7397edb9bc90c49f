#pragma once
/* A profile: the directory that says who we are and holds our keys.
 *
 *     profile.json                {"network", "broker", "agency" | "auditor", "approver"?, "broker_name"?,
 *                                 "officer"?, "purpose"?, "basis"?, "sign_key"?, "seal_key"?}
 *     sign.key sign.crt           PEM; the key readable by its owner only, or in a token: "sign_key" is its URI
 *     seal.key seal.crt           the same, "seal_key"; agencies only, not their approvers
 *     seal.old-N.key .crt         former ones, while something that was sealed to them is open
 *     sign.new.key seal.new.key   made by `cert renew` and `cert rotate seal`, until their certificates come
 *     ca.crt crl.pem              root and issuing certificates; one revocation list per CA
 *     keys.known                  SHA-256 of certificates in our name that `cert watch` need not cry about, one a line
 *     cert.warned                 what was last said of certificates that end, and on which day
 *     log.policy                  whose checkpoints of the broker's log are believed (C2SP tlog-policy); without it
 *                                 nothing is verified and no receipt comes
 *     log.rotations               rotations of that log's keys, one note after the other; may be missing
 *     log.seen log.fork           written by the library: the last checkpoint seen; evidence of a log that did not
 *                                 extend it
 *     receipts/ID.LOG-SEQ.receipt of referral ID, entry SEQ of the broker's LOG-th log
 *     witness.key witness.state   of a witness: its key, and the last checkpoint it has cosigned
 */
#include "client/json/json.h"

struct profile {
    const char *dir;
    const char *network, *broker, *broker_name, *agency, *auditor, *approver, *officer,
        *purpose, *basis, *sign_key, *seal_key; /* NULL: not said */
};

/* The directory to use: `chosen` if it is not NULL, else $LIAISON_PROFILE, else ~/.config/liaison/default. Lives in
 * `a`; NULL when memory is out or there is no home. */
const char *profile_dir(const char *chosen, struct arena *a);

/* Reads profile.json of `dir` and nothing else.
 *
 * After LIAISON_OK all of *out lives in `a`. On error `why` is a sentence that says what to do.
 * Errors: LIAISON_CONFIG (no profile there, or not a good one), LIAISON_FILE, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code profile_read(const char *dir, struct arena *a, struct profile *out,
                               char *why, size_t why_len);

/* Looks whether the files that the profile needs are there, and the keys for their owner only.
 * Errors: LIAISON_FILE, LIAISON_PERMISSION; `why` says what to do. */
MUST_CHECK
enum liaison_code profile_files(const struct profile *p, char *why, size_t why_len);

/* ---- profile_pair.c */

enum { PROFILE_OLD_MAX = 99 }; /* former sealing keys */

/* Finishes what was decided: where sign.new.crt or seal.new.crt is, it and its key (NAME.new.key, if there is one) are
 * NAME.crt and NAME.key afterwards. Nothing to do mostly. Errors: LIAISON_FILE. */
MUST_CHECK
enum liaison_code profile_settle(const struct profile *p, char *why, size_t why_len);

/* True afterwards: seal.key and seal.crt are also seal.old-N.key and .crt, N above all there are. Errors: LIAISON_FILE,
 * LIAISON_LIMIT. */
MUST_CHECK
enum liaison_code profile_keep_seal(const struct profile *p, char *why, size_t why_len);

/* The path of one file of the profile. Lives in `a`; NULL when memory is out. */
const char *profile_path(const struct profile *p, const char *file, struct arena *a);

/* Where the key is that stands in `file` of a profile on files, "sign.key" or another: its URI if it is in a token, else its path. */
const char *profile_key(const struct profile *p, const char *file, struct arena *a);

/* The i-th setting for liaison_set(): *key and *value, which live as long as p and in `a`. False past the last, or
 * when memory is out. Settings the profile does not make are left out. */
MUST_CHECK
bool profile_setting(const struct profile *p, size_t *i, struct arena *a,
                     const char **key, const char **value);

/* True for an agency's own: it seals and opens. Auditors and approvers do not. */
bool profile_seals(const struct profile *p);

/* True if log.policy is there. */
bool profile_has_policy(const struct profile *p);

/* Checks the form of every value. Errors: LIAISON_CONFIG; `why` says which. */
MUST_CHECK
enum liaison_code profile_check(const struct profile *p, char *why, size_t why_len);

/* Writes profile.json, which must not be there yet, mode 0600. Errors: LIAISON_FILE, LIAISON_MEMORY; `why` as ever.
 * */
MUST_CHECK
enum liaison_code profile_write(const struct profile *p, char *why, size_t why_len);
