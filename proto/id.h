#pragma once
/* Names and numbers: UUIDv7 ids, agency names, words. */
#include "proto/slice.h"

enum {
    ID_BYTES = 16,
    ID_TEXT = 37,         /* "01890a5d-ac96-774b-bcce-b302099a8057" and its NUL */
    ID_NAME_MAX = 255,    /* bytes of an agency's name, without NUL */
    ID_NAME_SEGMENTS = 8, /* segments of an agency's name */
    ID_WORD_MAX = 63,     /* bytes of a word: kind, category, purpose, basis, section, reason */
    ID_OFFICER_MAX = 64,  /* bytes of an officer's number */
};

/* Makes a UUIDv7 of `unix_ms` and the ten random bytes given. Source: RFC 9562, 5.7. */
void id_make(uint64_t unix_ms, const uint8_t random[10], uint8_t out[ID_BYTES]);

/* True if it is a UUIDv7 whose time lies between 30 days before and 5 minutes after `now_unix_ms`. */
bool id_fresh(struct slice id, uint64_t now_unix_ms);

/* True if it is 16 bytes with version 7 and the RFC's variant. */
bool id_valid(struct slice id);

/* Lower-case text of 16 bytes, NUL-terminated. */
void id_text(const uint8_t id[ID_BYTES], char out[ID_TEXT]);

/* True if `text` is the 36 characters of an id; the bytes are in `out` then. */
bool id_parse(const char *text, uint8_t out[ID_BYTES]);

/* True for an agency's, auditor's or area's name: 1 to 8 segments of [a-z0-9-]+ joined by '/', at most 255 bytes. */
bool id_name(const char *text);

/* True for a word: [a-z0-9-]+, at most 63 bytes. */
bool id_word(const char *text);

/* True for an officer's number: [A-Za-z0-9._-]+, at most 64 bytes. */
bool id_officer(const char *text);
