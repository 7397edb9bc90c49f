#pragma once
/* Strict decoding, and what a signed message must say.
 *
 * Strict: encoding the decoded message again gives exactly the bytes that came. So fields rise, no field is unknown,
 * none is given twice unless repeated, no default value is written out, varints are minimal, enum numbers are known,
 * booleans are 0 or 1, strings are UTF-8 without NUL. Two decoders cannot read such bytes differently.
 * Source: PROTOCOL.md, "Strict decoding". */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/liaison.pb-c.h"

enum {
    VALID_SECTIONS_MAX = 32,   /* sections of one referral */
    VALID_DIGESTS_MAX = 64,    /* digests of one envelope, padding included */
    VALID_BURST_MAX = 1024,    /* envelopes under one signature */
    VALID_PATH_MAX = 10,       /* hashes of an inclusion path in such a burst */
    VALID_REPEATED_MAX = 4096, /* elements of any repeated field */
};

/* Decodes `bytes` strictly as a message of type `d`.
 *
 * After LIAISON_OK *out is the message (a generated struct); it and all it points to live in `a`.
 * Errors: LIAISON_MALFORMED (not strict), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code valid_decode(const ProtobufCMessageDescriptor *d, struct slice bytes, struct arena *a,
                               const void **out);

/* True if `bytes` is UTF-8 (RFC 3629: no surrogates, no overlong forms) without NUL. */
bool valid_utf8(struct slice bytes);

/* Checks that every field of an envelope is there and has an allowed form; nothing about rules or signatures.
 *
 * On error *why names the field, a constant string such as "envelope.case_id: 16 bytes wanted"; else it is NULL.
 * Errors: LIAISON_FIELD; LIAISON_ID (not a UUIDv7); LIAISON_UNSUPPORTED (a type or version that is for later). */
MUST_CHECK
enum liaison_code valid_envelope(const Liaison__V1__Envelope *e, const char **why);

/* The same for an action. Whether a reason or a section is required is the state table's business. */
MUST_CHECK
enum liaison_code valid_action(const Liaison__V1__Action *a, const char **why);

/* Checks the shapes of a signature: lengths, index < size <= 1024. Errors: LIAISON_FIELD. */
MUST_CHECK
enum liaison_code valid_signature(const Liaison__V1__Signature *s, const char **why);

/* The digest of one section (PROTOCOL.md, "Section digests"). Same promise as hash_sha256. */
struct hash;
void valid_section_digest(struct hash *h, const Liaison__V1__Section *s, uint8_t out[32]);

/* Checks sections against a digest list: every salt is 32 bytes, every header strict and well-formed with `reader` as its
 * reader, names differ, every digest is in the list. After LIAISON_OK names[i] is the name of sections[i]; it lives in `a`.
 * Errors: LIAISON_LIMIT (more than 32), LIAISON_FIELD, LIAISON_MALFORMED, LIAISON_DIGEST, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code valid_sections(struct hash *h, struct arena *a, Liaison__V1__Section *const *sections, size_t n,
                                 const ProtobufCBinaryData *digests, size_t n_digests, const char *reader,
                                 const char **names, const char **why);
