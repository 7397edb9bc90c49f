#pragma once
/* Signed notes, checkpoints, cosignatures, policies and proof files, made and checked. Pure: no clock, no file.
 *
 * Source: C2SP signed-note v1.0.0, tlog-checkpoint v1.0.0, tlog-cosignature v1.0.1 (Ed25519), tlog-policy and tlog-proof as of
 * C2SP 5ba5ee8; PROTOCOL.md, "Checkpoints". */
#include "liaison-codes.h"
#include "proto/hash.h"
#include "proto/merkle.h"

enum {
    NOTE_BYTES_MAX = 64 << 10,
    NOTE_SIGNATURES_MAX = 100,
    NOTE_NAME_MAX = 255,
    NOTE_KEY_TEXT_MAX = NOTE_NAME_MAX + 1 + 8 + 1 + 44 + 1,               /* a vkey with its NUL */
    NOTE_SIGNER_TEXT_MAX = sizeof "PRIVATE+KEY+" + NOTE_KEY_TEXT_MAX,     /* a private key with its NUL */
    NOTE_LINE_MAX = 4 + NOTE_NAME_MAX + 1 + 104 + 1,                      /* one signature line of ours with its LF */
    NOTE_CHECKPOINT_MAX = NOTE_NAME_MAX + 1 + 20 + 1 + 44 + 1,            /* a checkpoint's text */
    NOTE_KEYS_MAX = 64,                                                   /* log keys, and witnesses, of one policy */
};

/* The type byte of a key: what it signs. */
enum note_type { NOTE_ED25519 = 0x01, NOTE_COSIGNATURE = 0x04 };

struct note_key {
    char name[NOTE_NAME_MAX + 1]; /* of a log: its origin */
    enum note_type type;
    uint8_t id[4];
    uint8_t public[32];
};

/* A private key. Wipe with OPENSSL_cleanse. */
struct note_signer {
    struct note_key key;
    uint8_t seed[32];
};

/* ------------------------------------------------------------ keys */

/* Reads a verifier key, `NAME+8 hex digits+base64`. Refuses small-order public keys.
 * Errors: LIAISON_FIELD (not a vkey, id does not match, small order), LIAISON_UNSUPPORTED (another type), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code note_key_parse(const char *text, struct note_key *out);

/* Prints what note_key_parse() read, to the byte. */
void note_key_print(const struct note_key *k, char out[NOTE_KEY_TEXT_MAX]);

/* Draws a new key pair. Errors: LIAISON_FIELD (a name that no vkey may have), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code note_signer_make(struct hash *h, const char *name, enum note_type type, struct note_signer *out);

/* Reads and prints `PRIVATE+KEY+NAME+id+base64(type || seed)`. Errors as note_key_parse. Wipe the text after use. */
MUST_CHECK
enum liaison_code note_signer_parse(const char *text, struct note_signer *out);
void note_signer_print(const struct note_signer *s, char out[NOTE_SIGNER_TEXT_MAX]);

/* ------------------------------------------------------------ notes */

/* One signature line, as it stands in the note. */
struct note_line {
    struct slice name;
    uint8_t id[4];
    struct slice base64; /* decodes to id || signature */
    struct slice whole;  /* with its LF */
};

struct note {
    struct slice text; /* what is signed, with its last LF */
    size_t n;
    struct note_line lines[NOTE_SIGNATURES_MAX];
};

/* Takes a note apart; slices point into `bytes`. Text and lines are UTF-8 without control characters but LF; base64 is canonical.
 * Errors: LIAISON_MALFORMED, LIAISON_LIMIT (over 100 signatures or too long). */
MUST_CHECK
enum liaison_code note_parse(struct slice bytes, struct note *out);

/* What one key has said about a note. */
struct note_verdict {
    bool signed_by;
    uint64_t time_s; /* of a cosignature: when, seconds since 1970; the latest, if the key has cosigned more than once */
};

/* Verifies every line of the keys given; lines of others are passed over. verdicts[i] is keys[i]'s. A note that none of them has
 * signed is no error here: look at the verdicts.
 * Errors: LIAISON_SIGNATURE (a line of a known key does not verify, be there a good one beside it, or its name and id are those
 *         of two of the keys given: the whole note is refused), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code note_verify(const struct note *n, const struct note_key *keys, size_t n_keys,
                              struct note_verdict *verdicts);

/* The signature line for `text` (which ends in LF) by this key, with its LF and no NUL. time_s: of a cosignature; else unused.
 * *line_len at most NOTE_LINE_MAX. Verifies what it has made. A note is the text, an empty line, and such lines.
 * Errors: LIAISON_INTERNAL (what was made does not verify; a text that no note may have; a key of type NOTE_ED25519 and a text
 *         that begins as a cosignature does; a time beyond 2^63 - 1), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code note_sign(const struct note_signer *s, struct slice text, uint64_t time_s, char line[NOTE_LINE_MAX],
                            size_t *line_len);

/* ------------------------------------------------------------ checkpoints */

struct checkpoint {
    char origin[NOTE_NAME_MAX + 1];
    uint64_t size;
    uint8_t root[HASH_BYTES];
};

/* Prints origin, size and root. Returns the length. */
size_t checkpoint_print(const struct checkpoint *c, char out[NOTE_CHECKPOINT_MAX + 1]);

/* Reads the text of a checkpoint, which checkpoint_print() would write again to the byte: the size is at most 2^63 - 1, the root
 * 32 bytes; extension lines are refused. Errors: LIAISON_MALFORMED. */
MUST_CHECK
enum liaison_code checkpoint_parse(struct slice text, struct checkpoint *out);

/* ------------------------------------------------------------ key rotation
 *
 * A rotation is a note whose text is `ORIGIN key-rotation LF size LF new vkey LF`, signed by the old key and by the new one:
 * checkpoints of sizes above `size` are the new key's, the others the old one's. Source: PROTOCOL.md, "Key rotation". */
struct note_rotation {
    char origin[NOTE_NAME_MAX + 1];
    uint64_t size;
    struct note_key key;
};
/* Returns the length; there is a NUL behind it. */
size_t note_rotation_print(const struct note_rotation *r, char out[NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX]);

/* Reads what that prints, and nothing else; the key's name is the origin. Errors: LIAISON_MALFORMED, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code note_rotation_parse(struct slice text, struct note_rotation *out);

/* ------------------------------------------------------------ policies */

/* A log's key and the sizes it may sign: from < size <= until; a `from` of 0 allows size 0 too. Until UINT64_MAX: no end yet. */
struct note_log {
    struct note_key key;
    uint64_t from, until;
};

struct note_policy; /* which logs are believed, and whose cosignatures a checkpoint wants */

/* Reads a policy: lines `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME all|any|N MEMBER...`, `quorum NAME|none`; a
 * line that begins with `#` is a comment. Keys of logs are of type NOTE_ED25519, of witnesses NOTE_COSIGNATURE, and no public
 * key stands twice. Names are used after the line that makes them, and are members of one group at most.
 * Gives: *out. On error `why` is a sentence with the line's number. Errors: LIAISON_CONFIG, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code note_policy_parse(struct slice text, struct note_policy **out, char *why, size_t why_len);
void note_policy_free(struct note_policy *p); /* NULL is harmless */

/* Takes a rotation note into the policy: from then on each key counts for its own sizes. The note must be signed by a log key
 * of the policy of that origin that may still sign beyond, and by the new key. Taking the same again changes nothing. On error
 * the policy is as it was.
 * Errors: LIAISON_SIGNATURE, LIAISON_MALFORMED, LIAISON_LIMIT (the note's, or NOTE_KEYS_MAX log keys), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code note_policy_rotate(struct note_policy *p, struct slice rotation);

/* What a policy lists, log keys that came by rotation behind the others. Good until the policy changes. */
const struct note_log *note_policy_logs(const struct note_policy *p, size_t *n);
const struct note_key *note_policy_witnesses(const struct note_policy *p, size_t *n);
const char *note_policy_witness_name(const struct note_policy *p, size_t i);

/* What a policy makes of a note. */
struct note_judgement {
    struct checkpoint checkpoint;
    struct note_key log;         /* whose signature it is */
    bool quorum;                 /* the witnesses wanted have cosigned; true with `quorum none` */
    size_t n_witnesses;          /* that have cosigned */
    uint64_t witnessed_s;        /* the latest cosignature's time; 0: none */
    uint64_t quorum_s;           /* a time by which the quorum had cosigned; 0: it has not, or none is wanted */
};

/* Judges a checkpoint: signed by a log key of the policy whose name is the origin, for a size that is the key's.
 * A cosignature dated over 5 minutes past now_s, or with time 0, does not count. Whether a quorum is enough, wanted or too old is
 * the caller's to say.
 * Errors: LIAISON_MALFORMED, LIAISON_LIMIT, LIAISON_SIGNATURE (no such signature, or a wrong one of a known key),
 *         LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code note_judge(const struct note_policy *p, struct slice note, uint64_t now_s, struct note_judgement *out);

/* ------------------------------------------------------------ proof files
 *
 * `c2sp.org/tlog-proof@v1`, an optional line `extra BASE64`, `index N`, a line of base64 for each hash, an empty line, and
 * the note. `extra` is nobody's word: it is passed over and never written. */
struct note_proof {
    uint64_t index;
    size_t path_len;
    uint8_t path[MERKLE_PATH_MAX][HASH_BYTES];
    struct slice note; /* into the bytes read; at least a byte, and no more is known of it */
};

enum { NOTE_PROOF_MAX = 64 + MERKLE_PATH_MAX * 45 + NOTE_BYTES_MAX };

/* Returns the length; out has room for NOTE_PROOF_MAX, p->note at most NOTE_BYTES_MAX bytes. */
size_t note_proof_print(const struct note_proof *p, char *out);

/* Reads one, strictly: without `extra`, note_proof_print() would write it again to the byte. The index is at most 2^63 - 1.
 * Errors: LIAISON_MALFORMED, LIAISON_LIMIT (over 64 hashes, or too long). */
MUST_CHECK
enum liaison_code note_proof_parse(struct slice bytes, struct note_proof *out);
