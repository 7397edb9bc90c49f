#pragma once
/* JSON <-> protobuf, through protobuf-c's descriptors, with errors that say where.
 *
 * The mapping, the same in both directions (read(print(m)) gives m):
 *
 *   field names      as in liaison.proto ("subject_category"); a field that holds its default is left out
 *   enums            the word after the enum's name, lower-case: TYPE_TRANSFER "transfer", MINOR_YES "yes",
 *                    SUBJECT_CATEGORY_AT_RISK "at-risk". A zero "..._UNSPECIFIED" cannot be written
 *   *_unix_ms, *_ns  RFC 3339 in UTC with 3 or 9 decimals, "2026-11-23T08:00:00.000Z"; an offset and fewer decimals
 *                    are read too. Times past the year 9999 are numbers
 *   other numbers    numbers up to 2^53-1, which every reader keeps exactly; above that decimal strings. Both are read
 *   ids              16 bytes as UUID text: id, case_id, offer, referral, referral_id, request_id. Of another length: hex
 *   hashes           lower-case hex: digests, path, salt, nonce, rules, rule_set, *_commitment, opening, certificate
 *                    (but Signature's certificate, which is DER)
 *   other bytes      base64 (RFC 4648, 4, padded)
 *   messages, lists  objects, arrays; of a oneof at most one member may be there
 *
 * Text is refused that two readers could take differently: duplicate keys, bad UTF-8, \u0000, trailing garbage.
 * Errors name file, line, column and path: `referral.json:7:12: sections.identity: expected an object`.
 * Source: proto3's JSON mapping, with original field names; RFC 8259. */
#include <jansson.h>

#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/liaison.pb-c.h"

enum {
    JSON_DOC_BYTES = 1 << 20, /* of a document, unless told otherwise */
    JSON_DOC_DEPTH = 64,      /* of nested arrays and objects */
};

/* One JSON text, its tree, and the sentence about what is wrong with it. */
struct json_doc;

/* An empty document called `name` in errors. Gives: the document, or NULL when memory is out. */
struct json_doc *json_doc_new(const char *name);
void json_doc_free(struct json_doc *d); /* NULL is harmless */

/* Another limit than JSON_DOC_BYTES. */
void json_doc_limit(struct json_doc *d, size_t bytes);

/* Reads `text` (copied) into a document that is still empty; the top must be an object.
 * Errors: LIAISON_JSON, LIAISON_TOO_LARGE, LIAISON_MEMORY; json_doc_why() says where. */
MUST_CHECK
enum liaison_code json_doc_text(struct json_doc *d, struct slice text);

/* The same from a file; "-" is standard input. Errors: also LIAISON_FILE. */
MUST_CHECK
enum liaison_code json_doc_file(struct json_doc *d, const char *path);

/* The top object, NULL before a successful read. Borrows: lives as long as d. */
json_t *json_doc_root(const struct json_doc *d);

/* What went wrong last, one line, "" if nothing did. Borrows: until the next call on d. */
const char *json_doc_why(const struct json_doc *d);

/* A place in a document: a chain of keys and indices that lives on the callers' stacks. NULL is the top. */
struct json_path {
    const struct json_path *up;
    const char *key; /* NULL: an array's element */
    size_t index;
};

enum json_at { JSON_AT_VALUE, JSON_AT_KEY };

/* Notes "name:line:column: path: sentence" for json_doc_why(). Returns LIAISON_JSON. */
__attribute__((format(printf, 4, 5))) enum liaison_code
json_doc_fail(struct json_doc *d, const struct json_path *at, enum json_at where,
              const char *format, ...);

/* The exact text of a value without the white space between its parts: numbers keep the digits they were written with.
 * Lives in `a`. {NULL, 0} when memory is out or there is no such value. */
struct slice json_doc_compact(const struct json_doc *d, const struct json_path *at,
                              struct arena *a);

/* Puts "; did you mean "x"?" into `out` if one of the words is near to `word`, "" otherwise. Returns out. */
const char *json_near(const char *word, const char *const *words, size_t n, char *out,
                      size_t out_len);

/* Reads `value`, found at `at`, as a message of type `type`.
 *
 * After LIAISON_OK *out is a generated struct; it and all it points to live in `a`.
 * Errors: LIAISON_JSON (json_doc_why() says what and where), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code json_read(struct json_doc *d, const json_t *value,
                            const struct json_path *at,
                            const ProtobufCMessageDescriptor *type, struct arena *a,
                            ProtobufCMessage **out);

/* Reads `value` into one field, by its name in liaison.proto, of a message that json_read() or its own _init() made.
 * Errors: as json_read; LIAISON_INTERNAL if the type has no such field. */
MUST_CHECK
enum liaison_code json_read_field(struct json_doc *d, const json_t *value,
                                  const struct json_path *at, ProtobufCMessage *m,
                                  const char *field, struct arena *a);

/* Writes a message as a JSON object, fields in the order of their numbers.
 *
 * Gives: *out, to be released with json_decref().
 * Errors: LIAISON_FIELD (text that is not UTF-8, or fields this version does not know), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code json_print(const ProtobufCMessage *m, json_t **out);

/* The word for an enum's number ("in-progress"), or NULL for a number without one. Writes into `out`. */
const char *json_word(const ProtobufCEnumDescriptor *type, int number, char *out,
                      size_t out_len);

/* The number of a word. False if there is none; the words of UNSPECIFIED zeros are none. */
MUST_CHECK
bool json_number(const ProtobufCEnumDescriptor *type, const char *word, int *out);

/* RFC 3339 in UTC with `decimals` (0, 3 or 9). `out` needs 36 bytes. */
void json_time_text(uint64_t seconds, uint32_t ns, int decimals, char *out,
                    size_t out_len);

/* Reads RFC 3339 with up to `decimals` decimals: seconds since 1970 and nanoseconds. False if it is not that, or
 * before 1970; no leap seconds. */
MUST_CHECK
bool json_time_parse(const char *text, int decimals, uint64_t *seconds, uint32_t *ns);

/* Reads "2027-03-01": the second in which that day begins in UTC. */
MUST_CHECK
bool json_date_parse(const char *text, uint64_t *seconds);

/* A referral as people write it. */
struct json_referral {
    Liaison__V1__Envelope *
        envelope; /* what the document says; from, network, ids and dates are the library's to set */
    struct json_section {
        const char *name;
        struct slice content; /* compact JSON, an object */
    } * sections;             /* in the document's order */
    size_t n_sections;
};

/* Reads a whole document as a referral: to, type, category, purpose, basis, subject_category, minor, regime, handling,
 * informed and urgency are required; due (a time, or a date: the end of that day in UTC), officer, case_id and
 * caused_by may be there; sections is an object of objects.
 *
 * After LIAISON_OK all of *out lives in `a`. Errors: LIAISON_JSON, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code json_referral(struct json_doc *d, struct arena *a,
                                struct json_referral *out);
