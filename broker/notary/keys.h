#pragma once
/* The key file, the rotation beside it, and what both say together. Private to broker/notary. */
#include "broker/notary/notary.h"

enum { KEYS_TEXT_MAX = 2 * NOTE_SIGNER_TEXT_MAX };

/* Wipe with keys_wipe(). */
struct keys {
    size_t n;                    /* 0: there is no file; 2: a rotation has begun, and the second key is the new one */
    struct note_signer signer[2];
    size_t rotation_len;         /* 0: the key is the log's first, or a rotation has only just begun */
    char rotation[NOTARY_NOTE_MAX];
    struct note_rotation rotated; /* what `rotation` says */
};

/* Reads a key file's text: one line or two of one name, all of type Ed25519. Errors: LIAISON_CONFIG. */
MUST_CHECK
enum liaison_code keys_parse(const char *text, struct keys *out);

/* Reads key file and rotation. No key file is no error.
 * Errors: those of file_read(); LIAISON_CONFIG, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code keys_read(const char *key_file, struct keys *out, char *why, size_t why_len);

/* Draws a key of this name and puts it into a file, in place of what was there. */
MUST_CHECK
enum liaison_code keys_make(const char *key_file, const char *name, char *why, size_t why_len);

/* Draws the new key, if that is not done yet, and puts it beside the old one. */
MUST_CHECK
enum liaison_code keys_begin_rotation(const char *key_file, struct keys *k, char *why, size_t why_len);

/* With two keys: makes the rotation above `size`, unless it is made already, keeps it in its file, and wipes the old
 * key. */
MUST_CHECK
enum liaison_code keys_end_rotation(const char *key_file, struct keys *k, uint64_t size, char *why, size_t why_len);

/* True if these keys' log has ended the tree of this size with an earlier key. */
bool keys_begin_above(const struct keys *k, uint64_t size);

/* Where the rotation of this key file stands: beside it. False: the path is too long. */
bool keys_rotation_file(const char *key_file, char *out, size_t out_len);

void keys_wipe(struct keys *k);
