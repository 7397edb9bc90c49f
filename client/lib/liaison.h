#pragma once
/* libliaison: hand case referrals to other agencies, and receive theirs, through a Liaison broker.
 *
 * One handle is one member's connection. It is opened by the first call that needs it and again whenever it was
 * lost; the bytes of a call that got no answer are then sent again as they were, which the broker takes once.
 * Sections are sealed and opened here and nowhere else; whatever the broker answers is checked here before a call
 * returns LIAISON_OK.
 *
 *     struct liaison *l;
 *     struct liaison_referral *r;
 *     struct liaison_answer *answer = NULL;
 *     liaison_new(&l);
 *     liaison_set(l, "network", "practicies.example"); ... (the table at liaison_set)
 *     liaison_referral_new(l, &r);
 *     liaison_referral_set(r, "to", "fr/lyon/probation"); ... (the table at liaison_referral_set)
 *     liaison_referral_section(r, "identity", "application/json", json, json_len);
 *     if (liaison_seal(l, &r, 1) != LIAISON_OK || liaison_submit(l, r, 0, &answer) != LIAISON_OK)
 *         fprintf(stderr, "%s\n", liaison_errmsg(l));
 *
 * What holds everywhere:
 * - A handle, and what was made with it, belongs to one thread at a time. It does not survive fork(): the child gets
 *   LIAISON_USAGE from every call but the _free ones. It outlives what was made with it (referrals, actions,
 *   queries); answers and letters live on their own.
 * - Every function that can fail returns an enum liaison_code; liaison_errmsg() has the sentence. Outputs are
 *   untouched unless the call succeeded; the one exception is an `answer`, which is also given when the broker
 *   refused.
 * - The library never prints, never ends the process, starts no threads, installs no signal handlers and raises
 *   no SIGPIPE.
 * - Text is UTF-8 and ends with NUL. Ids are the 36 characters of a UUIDv7. Every _free takes NULL.
 */
#include <stddef.h>
#include <stdint.h>

#include "liaison-codes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LIAISON_API __attribute__((visibility("default")))

struct liaison;
struct liaison_referral;
struct liaison_action;
struct liaison_query;
struct liaison_answer;
struct liaison_letter;
struct liaison_receipt;

/* ------------------------------------------------------------------------------------------------ the library */

/* The ABI that this library speaks: 1. It rises only together with the soname. */
LIAISON_API uint32_t liaison_abi_version(void);

/* A code's name ("NOT_FOUND") and its sentence; never NULL. */
LIAISON_API const char *liaison_code_name(enum liaison_code code);
LIAISON_API const char *liaison_code_text(enum liaison_code code);

/* What to do after `code`: 0 change the call, 1 send the same again now, 2 send the same again later. The library
 * does the last two itself until the call's time is over. */
LIAISON_API int liaison_code_retry(enum liaison_code code);

/* ------------------------------------------------------------------------------------------------ the handle */

/* Gives: *out, a handle without settings; nothing is opened yet. Errors: LIAISON_MEMORY. */
LIAISON_API enum liaison_code liaison_new(struct liaison **out);

/* Closes the connection, forgets keys (wiped) and everything not yet answered. */
LIAISON_API void liaison_free(struct liaison *l);

/* Sets `key` to `value`, copied. Files are read when they are first needed, and read again after they were set again.
 *
 *     network           "practicies.example"                                                     required
 *     broker            "host:port" or "[v6]:port"                                               required to connect
 *     broker_name       the broker's own name, "fr/hub"; any broker of the network when unset
 *     agency            own name, "fr/lyon/prison"; must be what the signing certificate says    agency or auditor
 *     auditor           the same for an auditor
 *     approver          an approver's role, "director", beside the agency whose approver it is
 *     ca                PEM: root and issuing certificates                                       required
 *     crl               PEM: one CRL per CA; read again when it changed, and rewritten (atomically)
 *                       when the broker's directory shows a newer one                            required
 *     sign_certificate  PEM: own signing certificate, then its issuing ones                      required to connect
 *     sign_key          PEM, mode 0600; or a "pkcs11:" URI of a key in a token (liaison(1))      required to connect
 *     seal_certificate  PEM: own sealing certificate                                             required to open
 *     seal_key          the same                                                                 required to open
 *     seal_old          "folder/seal.old": former pairs folder/seal.old-N.crt and .key, N 1 to 99. A section that was
 *                       sealed to one of them is opened with it, also when its certificate has ended
 *     officer           opaque number of the person behind the calls
 *     purpose, basis    of the calls; referrals and actions that set none take these
 *     timeout_ms        a call's time for everything, reconnecting included; default 30000
 *     connect_ms        time for each phase of connecting (TCP, TLS, ZMTP, Hello); default 5000
 *     software          what Hello says; default "libliaison"
 *     recipients        folder in which the recipients' sealing certificates are kept, so that liaison_seal works
 *                       while the broker cannot be reached; each is checked again whenever it is used
 *     log_policy        C2SP tlog-policy: whose checkpoints of the broker's log are believed, and which witnesses
 *                       they want. Without it NOTHING says that the ledger was not rewritten: no checkpoint is looked
 *                       at and no receipt comes
 *     log_rotations     rotations of that log's keys, one note after the other; the file may be missing
 *     log_seen          file for the last checkpoint seen, kept by the library; without it the handle alone remembers
 *     log_fork          file that the evidence goes into when a broker's log does not extend what was seen
 *
 * An empty value unsets. Setting who and where (down to sign_key), or one of the last four, closes a connection
 * that stands. Errors: LIAISON_USAGE (no such key), LIAISON_FIELD (value of the wrong form), LIAISON_MEMORY. */
LIAISON_API enum liaison_code liaison_set(struct liaison *l, const char *key,
                                          const char *value);

/* Why the last call on `l` failed and what to do next; "" if it succeeded. Valid until the next call on `l` or on
 * something made with it. Never NULL. */
LIAISON_API const char *liaison_errmsg(const struct liaison *l);

/* Connects now: TCP, TLS 1.3 with certificates checked both ways, ZMTP, Hello and Welcome. Nothing to do if it
 * stands. It tries once; calls that wait try again, with growing pauses, until their time is over. Resolving a name
 * may block. Errors: LIAISON_CONFIG (a setting is missing), LIAISON_FILE, LIAISON_PERMISSION, LIAISON_UNREACHABLE,
 *         LIAISON_TIMEOUT, LIAISON_CLOSED, LIAISON_TLS, LIAISON_CERTIFICATE, LIAISON_EXPIRED, LIAISON_REVOKED,
 *         LIAISON_PROFILE, LIAISON_IDENTITY, LIAISON_CRL, LIAISON_NETWORK, LIAISON_VERSION, LIAISON_PROTOCOL,
 *         LIAISON_MALFORMED; with log_policy: LIAISON_FORK (the broker's log does not extend the last checkpoint
 *         seen), LIAISON_SIGNATURE (no log key of the policy signed its checkpoint). */
LIAISON_API enum liaison_code liaison_connect(struct liaison *l);

/* Closes the connection; calls in flight stay and are sent again by the next liaison_connect, _receive or call. */
LIAISON_API void liaison_close(struct liaison *l);

/* The Frame with the broker's last Welcome. Borrows: until the next call on `l`. LIAISON_USAGE before the first
 * connection. */
LIAISON_API enum liaison_code liaison_welcome(struct liaison *l, const uint8_t **frame,
                                              size_t *len);

/* ------------------------------------------------------------------------------------------------ referrals */

/* Gives: *out, an empty referral. */
LIAISON_API enum liaison_code liaison_referral_new(struct liaison *l,
                                                   struct liaison_referral **out);
LIAISON_API void liaison_referral_free(struct liaison_referral *r);

/* Fills one field. Words are those of liaison.proto in lower case with '-', without their prefix.
 *
 *     to                the one recipient, "fr/lyon/probation"                                       required
 *     type              referral | transfer                                                          required
 *     category, purpose, basis    words that the rules know           required (the last two: see liaison_set)
 *     subject_category  suspect | convicted | victim | witness | contact | relative | at-risk        required
 *     minor             yes | no | unknown                                                           required
 *     regime            led | gdpr                                                                   required
 *     handling          none | h0 | h1 | h2 | h3                                                     default none
 *     informed          yes | later | not-reached | would-endanger | would-prejudice                 required
 *     urgency           hours-8 | days-3 | days-7 | date                                             required
 *     due_unix_ms       number; with urgency date
 *     officer           default: the handle's
 *     case_id           32 hex digits; default: fresh. Referrals of one liaison_seal that set none share one
 *     caused_by_from, caused_by_id    the referral this one continues
 *     id                a UUIDv7 of the last 30 days; default: fresh
 *     created_unix_ms   default: now, when sealed
 *     version           default 1. To seal a referral again, to the agency that took its recipient's place: its id,
 *                       case and words, `to` that agency, and one more than its envelope's version; with all
 *                       sections, which are sealed anew. liaison_submit hands it in
 *
 * Errors: LIAISON_USAGE (no such key, or already sealed), LIAISON_FIELD (names key and value), LIAISON_MEMORY. */
LIAISON_API enum liaison_code liaison_referral_set(struct liaison_referral *r,
                                                   const char *key, const char *value);

/* Adds a section, copied: `name` a word ("identity"), content_type such as "application/json".
 * Errors: LIAISON_USAGE (sealed), LIAISON_FIELD (name, or given twice), LIAISON_LIMIT (more than 32),
 * LIAISON_MEMORY. */
LIAISON_API enum liaison_code liaison_referral_section(struct liaison_referral *r,
                                                       const char *name,
                                                       const char *content_type,
                                                       const void *content, size_t len);

/* Seals every section of r[0..n-1] (n 1..1024) to its recipient and signs them with one signature. The recipients'
 * sealing certificates come from the broker's directory and are checked here: chain, name, profile, revocation. The
 * referrals do not change afterwards and can be submitted any number of times.
 *
 * Errors: those of liaison_connect (unless the certificates are known), LIAISON_FIELD (which, in the message),
 *         LIAISON_RECIPIENT (no such agency), LIAISON_SEAL (it publishes no sealing certificate that holds),
 *         LIAISON_USAGE (one is sealed). */
LIAISON_API enum liaison_code liaison_seal(struct liaison *l,
                                           struct liaison_referral *const *r, size_t n);

/* Signs sealed referrals again, with one signature: after the signing certificate was renewed. Their envelopes
 * stay. */
LIAISON_API enum liaison_code liaison_sign(struct liaison *l,
                                           struct liaison_referral *const *r, size_t n);

/* The sealed referral as a SignedReferral. Borrows: as long as r is not signed again. LIAISON_USAGE if it is not
 * sealed. */
LIAISON_API enum liaison_code liaison_referral_bytes(const struct liaison_referral *r,
                                                     const uint8_t **bytes, size_t *len);

/* Gives: *out, the sealed referral that these bytes are; they are copied and sent exactly so.
 * Errors: LIAISON_MALFORMED, LIAISON_FIELD, LIAISON_ID, LIAISON_MEMORY. */
LIAISON_API enum liaison_code liaison_referral_from_bytes(struct liaison *l,
                                                          const void *bytes, size_t len,
                                                          struct liaison_referral **out);

/* The id of a sealed referral, "" before. Borrows: as long as r. */
LIAISON_API const char *liaison_referral_id(const struct liaison_referral *r);

/* ------------------------------------------------------------------------------------------------ moves */

/* Gives: *out, an empty action. */
LIAISON_API enum liaison_code liaison_action_new(struct liaison *l,
                                                 struct liaison_action **out);
LIAISON_API void liaison_action_free(struct liaison_action *a);

/* Fills one field.
 *
 *     from, id          the referral: its sender and its id                                          required
 *     move              accept | reject | start | complete | withdraw | acknowledge (that the handling code H3 was
 *                       read) | permit (that one of handling H2 is passed on) | approve (approvers)  required
 *     version           the state version that was seen                                              required
 *     reason            a word; required where PROTOCOL.md's state table says so
 *     to                of permit: to whom it may be passed on, once. Else whom sections are sealed to; default: the
 *                       sender, when that is not the caller
 *     officer, purpose, basis    default: the handle's
 *
 * Errors: as liaison_referral_set. */
LIAISON_API enum liaison_code liaison_action_set(struct liaison_action *a,
                                                 const char *key, const char *value);

/* Adds a section that flows back. Errors: as liaison_referral_section. */
LIAISON_API enum liaison_code liaison_action_section(struct liaison_action *a,
                                                     const char *name,
                                                     const char *content_type,
                                                     const void *content, size_t len);

/* Seals and signs; liaison_act does it when it was not done. Errors: as liaison_seal. */
LIAISON_API enum liaison_code liaison_action_seal(struct liaison *l,
                                                  struct liaison_action *a);

/* As their namesakes for referrals; the bytes are a SignedAction. */
LIAISON_API enum liaison_code liaison_action_bytes(const struct liaison_action *a,
                                                   const uint8_t **bytes, size_t *len);
LIAISON_API enum liaison_code liaison_action_from_bytes(struct liaison *l,
                                                        const void *bytes, size_t len,
                                                        struct liaison_action **out);

/* ------------------------------------------------------------------------------------------------ calls that wait
 *
 * Each waits for its answer, at most timeout_ms. LIAISON_OK: it is done, and what the broker says about it holds. Any
 * other code that came with an answer is the broker's refusal; without one (*answer untouched) the call may or may
 * not have been done, and sending it again is safe. Gives: *answer, to be released with liaison_answer_free;
 * `answer` may be NULL.
 *
 * Errors of all: those of liaison_connect; LIAISON_TIMEOUT, LIAISON_CLOSED; the broker's codes; LIAISON_SIGNATURE
 * (the broker accepted, and its ledger entry is not about these bytes, this agency and this person: keep the message
 * as evidence).
 *
 * What "later" helps is sent again within that time. LIAISON_RATE is not: each refusal is written into the ledger, and
 * the rules count by the hour. The caller comes again with the same bytes. */

enum liaison_flag {
    LIAISON_STRIP = 1, /* drop the sections that no rule grants instead of refusing */
};

/* True afterwards: the referral is durable, its ledger entry with it, and it waits in the recipient's mailbox. */
LIAISON_API enum liaison_code liaison_submit(struct liaison *l,
                                             const struct liaison_referral *r,
                                             uint32_t flags,
                                             struct liaison_answer **answer);

/* Asks what liaison_submit would be told. LIAISON_OK: it would pass. With another code the answer names the rules. */
LIAISON_API enum liaison_code liaison_check(struct liaison *l,
                                            const struct liaison_referral *r,
                                            uint32_t flags,
                                            struct liaison_answer **answer);

/* Makes a move. */
LIAISON_API enum liaison_code liaison_act(struct liaison *l, struct liaison_action *a,
                                          struct liaison_answer **answer);

/* Reads a referral with its granted sections and moves: a disclosure, logged. Verify and open them with
 * liaison_verify. */
LIAISON_API enum liaison_code liaison_open_referral(struct liaison *l, const char *from,
                                                    const char *id,
                                                    struct liaison_answer **answer);

/* Lets the broker have `messages` and `bytes` more unacknowledged with us than it may now. An acknowledgement gives
 * room back, so one grant lasts; after a reconnect it is granted again by itself. */
LIAISON_API enum liaison_code liaison_grant(struct liaison *l, uint32_t messages,
                                            uint64_t bytes);

/* The next delivery. LIAISON_TIMEOUT after timeout_ms without one; negative: waits for ever. */
LIAISON_API enum liaison_code liaison_next(struct liaison *l, int timeout_ms,
                                           struct liaison_answer **delivery);

/* Takes n deliveries out of the mailbox for good. */
LIAISON_API enum liaison_code liaison_ack(struct liaison *l, const uint64_t *mailbox,
                                          const uint64_t *lease, size_t n);

/* A query asks for pages. kind and its keys (numbers are decimal, all optional unless said):
 *
 *     list        box: inbox | sent (required); finished: yes | no; limit
 *     history     from, id: the referral (required); limit
 *     directory   agency; kind; area (and those below it); skill; language; limit
 *     entries     agency; referral: id; event: submit | accept | ... (EVENT_ words); from_ns; until_ns; limit;
 *                 from_seq, until_seq: numbers in the newest log, the second exclusive (auditors)
 *
 * An agency may ask for entries of its own name and event "key": which certificates were seen that bear it.
 * Of entries asked for by agency, and not from a number on: each counter that came beside them opens the commitment
 * of its entry (liaison_answer_counter).
 */
LIAISON_API enum liaison_code liaison_query_new(struct liaison *l, const char *kind,
                                                struct liaison_query **out);
LIAISON_API enum liaison_code liaison_query_set(struct liaison_query *q, const char *key,
                                                const char *value);

/* The next page. Its frame holds Cards, Entries or Agencies. LIAISON_USAGE when there is none left. */
LIAISON_API enum liaison_code liaison_query_next(struct liaison_query *q,
                                                 struct liaison_answer **answer);

/* 1 if liaison_query_next has a page to fetch, else 0. */
LIAISON_API int liaison_query_more(const struct liaison_query *q);
LIAISON_API void liaison_query_free(struct liaison_query *q);

/* ----------------------------------------------------------------------------------------- calls that do not wait
 *
 * Each queues a call and gives its number, which the answer carries; nothing is sent before liaison_receive or
 * another call runs the connection, so that many calls share one write. Answers come in any order. What is not
 * answered within timeout_ms gets an answer of the library's own, LIAISON_TIMEOUT. */

LIAISON_API enum liaison_code liaison_send_submit(struct liaison *l,
                                                  const struct liaison_referral *r,
                                                  uint32_t flags, uint64_t *call);
LIAISON_API enum liaison_code liaison_send_act(struct liaison *l,
                                               struct liaison_action *a, uint64_t *call);
LIAISON_API enum liaison_code liaison_send_grant(struct liaison *l, uint32_t messages,
                                                 uint64_t bytes, uint64_t *call);
LIAISON_API enum liaison_code liaison_send_ack(struct liaison *l, const uint64_t *mailbox,
                                               const uint64_t *lease, size_t n,
                                               uint64_t *call);

/* Of the newest log: its entries [from, until) that this auditor may read, on one page, which may end early: its
 * cursor is then not empty, and what is left is asked for from the next number on. */
LIAISON_API enum liaison_code liaison_send_entries(struct liaison *l, uint64_t from,
                                                   uint64_t until, uint64_t *call);

/* As liaison_hashes. */
LIAISON_API enum liaison_code liaison_send_hashes(struct liaison *l, uint32_t level,
                                                  uint64_t from, uint32_t limit,
                                                  uint64_t *call);

/* Runs the connection (connecting if need be) until an answer or a delivery is there. LIAISON_OK: *answer holds it,
 * be it good or bad: liaison_answer_code says which. timeout_ms 0 only does what can be done at once; negative: no
 * limit. Errors: LIAISON_TIMEOUT (nothing yet), and those of liaison_connect that waiting does not cure. */
LIAISON_API enum liaison_code liaison_receive(struct liaison *l, int timeout_ms,
                                              struct liaison_answer **answer);

/* Calls queued or in flight. */
LIAISON_API size_t liaison_outstanding(const struct liaison *l);

/* A descriptor, the same for the handle's life, that polls readable when liaison_receive(l, 0, ...) has something
 * to do. Call that until it returns LIAISON_TIMEOUT, and once a second besides, for deadlines. Never read it or
 * close it. */
LIAISON_API int liaison_fd(const struct liaison *l);

/* ------------------------------------------------------------------------------------------------ answers
 *
 * All that a getter returns is borrowed as long as the answer. A getter that does not apply gives "", 0 or NULL. */

LIAISON_API void liaison_answer_free(struct liaison_answer *a);

/* The call it answers; 0: a delivery. */
LIAISON_API uint64_t liaison_answer_call(const struct liaison_answer *a);

/* LIAISON_OK, or why not; and a sentence that says so. */
LIAISON_API enum liaison_code liaison_answer_code(const struct liaison_answer *a);
LIAISON_API const char *liaison_answer_text(const struct liaison_answer *a);

/* What it is: "accepted", "duplicate" (done before, this is the first answer again), "refused", "decision",
 * "cards", "history", "agencies", "view", "deliver", "done", "entries", "proof", "summary", "hashes", "rule-text",
 * "error"; "local" for an answer of the library's own. */
LIAISON_API const char *liaison_answer_kind(const struct liaison_answer *a);

/* The exact Frame that came, for programs that decode it (liaison.proto). 0 bytes when kind is "local". */
LIAISON_API const uint8_t *liaison_answer_frame(const struct liaison_answer *a,
                                                size_t *len);

/* Of accepted, duplicate, refused, summary and an alert (no commitment key): the LedgerEntry, its commitment key, its number and ledger time. */
LIAISON_API const uint8_t *liaison_answer_entry(const struct liaison_answer *a,
                                                size_t *len);
LIAISON_API const uint8_t *liaison_answer_opening(const struct liaison_answer *a,
                                                  size_t *len);
LIAISON_API uint64_t liaison_answer_seq(const struct liaison_answer *a);
LIAISON_API uint64_t liaison_answer_time_ns(const struct liaison_answer *a);

/* Of accepted, duplicate, deliver and view: the referral's state in a word ("in-progress") and its version. */
LIAISON_API const char *liaison_answer_state(const struct liaison_answer *a);
LIAISON_API uint32_t liaison_answer_state_version(const struct liaison_answer *a);

/* Of deliver: "referral", "notice" (the other party moved) or "alert": the broker found something. Of an alert, whose
 * card is like a referral's: the flag that the referral has, or had, since the entry (liaison_answer_entry), in a word
 * ("escalated"). liaison_verify says besides whether that entry is about this referral and this flag. */
LIAISON_API const char *liaison_answer_item(const struct liaison_answer *a);
LIAISON_API const char *liaison_answer_alert(const struct liaison_answer *a);

/* A third agency that the entry names: to whom a referral may be passed on, or who took its recipient's place. */
LIAISON_API const char *liaison_answer_onward(const struct liaison_answer *a);

/* Of deliver and view: flags ("unapproved", "unacknowledged", "escalated", "reseal-needed", "barred"), and roles whose
 * approval is still wanted. NULL past the last. When the recipient has to have answered and when the referral is
 * erased unless it moves again; 0: no such time. */
LIAISON_API const char *liaison_answer_flag(const struct liaison_answer *a, size_t i);
LIAISON_API const char *liaison_answer_wanted(const struct liaison_answer *a, size_t i);
LIAISON_API uint64_t liaison_answer_answer_by_unix_ms(const struct liaison_answer *a);
LIAISON_API uint64_t liaison_answer_keep_until_unix_ms(const struct liaison_answer *a);

/* Obligations of decision, deliver and view: `what` is "reveal" (on-accept | on-delivery), "keep" or "answer_within"
 * ("14d"), of which there is one at most; or "returns" (sections), "escalate_to" (agencies) or "approvals" (roles).
 * NULL past the last. The rate is how many an hour the strictest rule lets the sender send; 0: no limit. */
LIAISON_API const char *liaison_answer_obligation(const struct liaison_answer *a,
                                                  const char *what, size_t i);
LIAISON_API uint32_t liaison_answer_rate_per_hour(const struct liaison_answer *a);

/* Names of the granted sections: of accepted, duplicate, decision, deliver and view. NULL past the last. */
LIAISON_API const char *liaison_answer_granted(const struct liaison_answer *a, size_t i);

/* The rules behind a refusal or decision, or those that liaison_rules_cited asked for: canonical text, and where it
 * stands (file:line). NULL past the last. */
LIAISON_API const char *liaison_answer_rule(const struct liaison_answer *a, size_t i);
LIAISON_API const char *liaison_answer_rule_where(const struct liaison_answer *a,
                                                  size_t i);

/* Of deliver: what liaison_ack wants; and the attempt, above 1 if it may have been seen before. */
LIAISON_API uint64_t liaison_answer_mailbox(const struct liaison_answer *a);
LIAISON_API uint64_t liaison_answer_lease(const struct liaison_answer *a);
LIAISON_API uint32_t liaison_answer_attempt(const struct liaison_answer *a);

/* Of proof: the checkpoint, a signed note; 1 if the policy believed it and it extends what was seen before, 0 if
 * there is no policy. */
LIAISON_API const uint8_t *liaison_answer_note(const struct liaison_answer *a,
                                               size_t *len);
LIAISON_API int liaison_answer_verified(const struct liaison_answer *a);

/* 1 if this proof, which is verified, says that `entry` is in the log under its checkpoint. */
LIAISON_API int liaison_answer_includes(struct liaison *l, const struct liaison_answer *a,
                                        const void *entry, size_t len);

/* Of entries: the i-th counter of the agency that was asked for: in entry *seq, where it is the counterpart. 0 past
 * the last. */
LIAISON_API int liaison_answer_counter(const struct liaison_answer *a, size_t i,
                                       uint64_t *seq, uint64_t *counter);

/* Of summary: how many entries concern the agency, as the entry says. */
LIAISON_API uint64_t liaison_answer_count(const struct liaison_answer *a);

/* Of hashes: 32 bytes each. Of rule-text: the rules. */
LIAISON_API const uint8_t *liaison_answer_bytes(const struct liaison_answer *a,
                                                size_t *len);

/* ------------------------------------------------------------------------------------------------ the broker's log
 *
 * Every entry is a leaf of a tree that only grows; a checkpoint is a signed note of its size and root (PROTOCOL.md,
 * "Checkpoints"). With the setting log_policy a handle is told each new checkpoint it needs, believes it only if the
 * policy does, and ends the session with LIAISON_FORK when it does not extend the last one seen; both notes are then
 * in the file log_fork.
 * Several
 * handles and processes may share log_seen. Without log_policy nothing is verified, and liaison_log_on says 0.
 *
 * Errors of the calls: those of all calls that wait; LIAISON_SIGNATURE, LIAISON_FORK, LIAISON_PROOF as said. */

/* 1 if checkpoints are verified: log_policy is set. */
LIAISON_API int liaison_log_on(const struct liaison *l);

/* Judges a signed note by the policy alone: whether a log key of it signed, the size and root, how many of its
 * witnesses have cosigned, and by when their quorum had (0: it has not). Needs no connection. Errors: LIAISON_CONFIG,
 * LIAISON_SIGNATURE, LIAISON_MALFORMED, LIAISON_FILE. */
LIAISON_API enum liaison_code liaison_log_judge(struct liaison *l, const void *note,
                                                size_t len, uint64_t *size,
                                                uint8_t root[32], size_t *witnesses,
                                                uint64_t *quorum_s);

/* Size and signed note of the last checkpoint seen, which is on disk afterwards, and the latest time (seconds since
 * 1970) by which the policy's quorum of witnesses had cosigned one; 0: none. Borrows: until the next call on `l`.
 * Reads log_seen if need be.
 * Errors: LIAISON_CONFIG (no policy, or not a good one), LIAISON_NOT_FOUND (none seen), LIAISON_FILE. */
LIAISON_API enum liaison_code liaison_log_seen(struct liaison *l, uint64_t *size,
                                               const uint8_t **note, size_t *len,
                                               uint64_t *quorum_s);

/* The broker's newest checkpoint. With a policy: believed, extends what was seen, and is what was seen from now on.
 * */
LIAISON_API enum liaison_code liaison_checkpoint(struct liaison *l,
                                                 struct liaison_answer **answer);

/* Proofs for up to 1,024 entries, and that a checkpoint of at least `size` leaves (0: the newest) extends
 * `old_size` (0: not asked). With a policy the checkpoint is believed, and growth from the size last seen is
 * verified; growth from any other old_size is the caller's to check, who knows its root. Entries are checked with
 * liaison_answer_includes. */
LIAISON_API enum liaison_code liaison_prove(struct liaison *l, const uint64_t *seqs,
                                            size_t n, uint64_t old_size, uint64_t size,
                                            struct liaison_answer **answer);

/* The same under the newest checkpoint that the broker's quorum of witnesses has cosigned: n 0: that checkpoint
 * alone. With a policy it is believed, and extends what was seen, or is extended by it.
 * Errors besides: LIAISON_NOT_FOUND (there is none yet that covers them). */
LIAISON_API enum liaison_code liaison_prove_witnessed(struct liaison *l,
                                                      const uint64_t *seqs, size_t n,
                                                      struct liaison_answer **answer);

/* Hands in a checkpoint with a witness's cosignature: the whole note. It is given to everybody from then on. */
LIAISON_API enum liaison_code liaison_cosign(struct liaison *l, const void *note,
                                             size_t len);

/* Has a summary written now (auditors of the agency's area, and the agency itself). Verified: its entry commits to
 * the count that came with it (liaison_answer_count). */
LIAISON_API enum liaison_code liaison_summarize(struct liaison *l, const char *agency,
                                                struct liaison_answer **answer);

/* Hashes of complete subtrees of 2^level leaves, from the from-th on, at most `limit` <= 1,024 (auditors). */
LIAISON_API enum liaison_code liaison_hashes(struct liaison *l, uint32_t level,
                                             uint64_t from, uint32_t limit,
                                             struct liaison_answer **answer);

/* The exact rules that an entry's rule_set (32 bytes) names (auditors). Verified: they have that SHA-256. */
LIAISON_API enum liaison_code liaison_rule_text(struct liaison *l,
                                                const uint8_t rule_set[32],
                                                struct liaison_answer **answer);

/* Rules of that set by their ids, n (1 to 128) of 32 bytes each, as entries cite them: liaison_answer_rule(_where), in
 * that order (auditors). Verified: each text has that id. */
LIAISON_API enum liaison_code liaison_rules_cited(struct liaison *l,
                                                  const uint8_t rule_set[32],
                                                  const uint8_t *ids, size_t n,
                                                  struct liaison_answer **answer);

/* ------------------------------------------------------------------------------------------------ receipts
 *
 * A receipt is an entry with its opening, the proof that it is in the log, and the checkpoint: evidence that stands
 * without the broker. With log_policy one comes for every submit and move of this handle, denials too, soon after
 * the answer. A handle holds the entries of up to 4,096 answers whose receipts have not come, and as many receipts
 * that were not fetched; past that it forgets the oldest: liaison_receipt_prove gets them still.
 *
 * A claim is a receipt without its proof: what to keep on disk as soon as the answer is there. */

/* The next receipt that came, whichever it is of. LIAISON_TIMEOUT after timeout_ms without one; negative: waits for
 * ever. Each is verified: the policy believed the note, it extends what was seen, and the entry, which was checked
 * when the answer came, is in it. Errors: LIAISON_CONFIG without log_policy; those of liaison_receive. */
LIAISON_API enum liaison_code liaison_receipt_next(struct liaison *l, int timeout_ms,
                                                   struct liaison_receipt **receipt);

/* The claim of an answer that has an entry. Errors: LIAISON_USAGE (it has none), LIAISON_MEMORY. */
LIAISON_API enum liaison_code liaison_receipt_claim(struct liaison *l,
                                                    const struct liaison_answer *a,
                                                    struct liaison_receipt **receipt);

/* True afterwards: the receipt stands, verified, under a checkpoint that extends what was seen. Takes what came by
 * itself or asks the broker; a receipt that stands already is put under the newest checkpoint that the broker's
 * quorum of witnesses has cosigned.
 * timeout_ms 0: only what has come. Errors: LIAISON_TIMEOUT (not yet: it stays as it was), LIAISON_CONFIG,
 * LIAISON_PROOF, those of all calls that wait. */
LIAISON_API enum liaison_code liaison_receipt_prove(struct liaison *l,
                                                    struct liaison_receipt *receipt,
                                                    int timeout_ms);

/* Reads a receipt or claim from its text, which proves nothing yet. Errors: LIAISON_MALFORMED, LIAISON_MEMORY. */
LIAISON_API enum liaison_code liaison_receipt_read(struct liaison *l, const void *bytes,
                                                   size_t len,
                                                   struct liaison_receipt **receipt);

/* Verifies one without the network, by log_policy (and log_rotations, log_seen) alone: the note is believed, the
 * entry is in it at its place, and a note of the size last seen is the one that was seen. Errors: LIAISON_CONFIG (no
 * policy), LIAISON_SIGNATURE, LIAISON_PROOF (not in it; or a claim, which has no proof), LIAISON_FORK,
 * LIAISON_MALFORMED. */
LIAISON_API enum liaison_code liaison_receipt_verify(struct liaison *l,
                                                     struct liaison_receipt *receipt);

/* Is the receipt about these bytes, a SignedReferral (`what` "referral") or SignedAction ("action")? Checks entry
 * and opening. Errors: LIAISON_SIGNATURE (it is not; the sentence says what differs), LIAISON_USAGE, those of
 * liaison_referral_from_bytes. */
LIAISON_API enum liaison_code liaison_receipt_about(struct liaison *l,
                                                    const struct liaison_receipt *receipt,
                                                    const char *what, const void *bytes,
                                                    size_t len);

/* The receipt's text: what a file of it holds. Borrows: as long as the receipt, until the next call with it. */
LIAISON_API enum liaison_code liaison_receipt_text(struct liaison_receipt *receipt,
                                                   const char **text, size_t *len);

/* Puts it into a file, whole or not at all, in the place of what was there. Errors: LIAISON_FILE, LIAISON_MEMORY. */
LIAISON_API enum liaison_code liaison_receipt_save(struct liaison *l,
                                                   struct liaison_receipt *receipt,
                                                   const char *path);
LIAISON_API void liaison_receipt_free(struct liaison_receipt *receipt);

/* Borrowed as long as the receipt. The entry's number; entry, opening and note (NULL without proof). */
LIAISON_API uint64_t liaison_receipt_seq(const struct liaison_receipt *receipt);
LIAISON_API const uint8_t *liaison_receipt_entry(const struct liaison_receipt *receipt,
                                                 size_t *len);
LIAISON_API const uint8_t *liaison_receipt_opening(const struct liaison_receipt *receipt,
                                                   size_t *len);
LIAISON_API const uint8_t *liaison_receipt_note(const struct liaison_receipt *receipt,
                                                size_t *len);

/* Whether it was verified by this process; then of its checkpoint: origin, size, how many of the policy's witnesses
 * cosigned it, and by when their quorum had (0: it is not witnessed, or the policy wants none). */
LIAISON_API int liaison_receipt_verified(const struct liaison_receipt *receipt);
LIAISON_API const char *liaison_receipt_origin(const struct liaison_receipt *receipt);
LIAISON_API uint64_t liaison_receipt_size(const struct liaison_receipt *receipt);
LIAISON_API size_t liaison_receipt_witnesses(const struct liaison_receipt *receipt);
LIAISON_API uint64_t liaison_receipt_quorum_s(const struct liaison_receipt *receipt);

/* Answers whose receipts have not come. */
LIAISON_API size_t liaison_receipts_awaited(const struct liaison *l);

/* ------------------------------------------------------------------------------------------------ letters
 *
 * A letter is a signed referral or action whose signature holds. */

/* How many signed things the answer holds: cards; of deliver: 1; of view: the referral and then its actions. */
LIAISON_API size_t liaison_answer_signed(const struct liaison_answer *a);

/* True afterwards: the i-th signed thing was signed by the agency that its bytes name, with a signing certificate
 * that holds now; its sections match the signed digests; of a view: the action belongs to the referral. Only then say
 * "signature verified". Gives: *out. Errors: LIAISON_USAGE (no such i), LIAISON_SIGNATURE, LIAISON_SIGNER,
 * LIAISON_DIGEST, LIAISON_NETWORK, LIAISON_FIELD,
 *         LIAISON_MALFORMED, LIAISON_CERTIFICATE, LIAISON_EXPIRED, LIAISON_REVOKED, LIAISON_PROFILE, LIAISON_CRL,
 * LIAISON_CONFIG. */
LIAISON_API enum liaison_code liaison_verify(struct liaison *l,
                                             const struct liaison_answer *a, size_t i,
                                             struct liaison_letter **out);

/* The same for the bytes of a SignedReferral (`what` "referral") or SignedAction ("action"). */
LIAISON_API enum liaison_code liaison_verify_bytes(struct liaison *l, const char *what,
                                                   const void *bytes, size_t len,
                                                   struct liaison_letter **out);

/* Wipes what was opened. */
LIAISON_API void liaison_letter_free(struct liaison_letter *t);

/* "referral" or "action"; who signed; the signed bytes (Envelope or Action). Borrow as long as the letter. */
LIAISON_API const char *liaison_letter_kind(const struct liaison_letter *t);
LIAISON_API const char *liaison_letter_signer(const struct liaison_letter *t);
LIAISON_API const uint8_t *liaison_letter_bytes(const struct liaison_letter *t,
                                                size_t *len);

/* Names of the sections that came with it, and who can open each. NULL past the last. */
LIAISON_API const char *liaison_letter_section(const struct liaison_letter *t, size_t i);
LIAISON_API const char *liaison_letter_reader(const struct liaison_letter *t, size_t i);

/* Opens the section `name` with the seal key whose certificate it names, a former one too: it was sealed by the signer to this agency, for this very referral
 * under this very name. Borrows: content and content_type as long as the letter. content has a NUL behind it.
 * Errors: LIAISON_NOT_FOUND (no such section), LIAISON_SEAL (not to be opened with this key, not in the one
 *         profile, or moved from elsewhere), LIAISON_CONFIG (no seal_key set), LIAISON_FILE, LIAISON_PERMISSION. */
LIAISON_API enum liaison_code
liaison_letter_open(struct liaison *l, struct liaison_letter *t, const char *name,
                    const uint8_t **content, size_t *len, const char **content_type);

#ifdef __cplusplus
}
#endif
