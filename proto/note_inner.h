#pragma once
/* What the files that read notes share. */
#include "proto/note.h"

enum { NOTE_NUMBER_TEXT = 20 }; /* 2^63 - 1 and a NUL */

/* Takes a line off the front of *rest, without its LF. False if no LF is left. */
bool note_take_line(struct slice *rest, struct slice *line);

/* Takes `text` off the front of *rest if it stands there. */
bool note_take(struct slice *rest, const char *text);

/* Reads a decimal number up to 2^63 - 1 as it must be written: no sign, no leading zero. */
bool note_number(struct slice text, uint64_t *out);

/* UTF-8 without control characters below 0x20 but LF. */
bool note_text_ok(struct slice text);

/* What a signature line may call a key: not empty, no '+', none of Unicode's spaces. `name` is UTF-8 already. */
bool note_name_ok(struct slice name);

/* The same, and short enough to be the name of a key of ours or an origin. Copies it, with a NUL. */
bool note_name_copy(struct slice name, char out[NOTE_NAME_MAX + 1]);

/* Any text of one line, short enough to be an origin. Copies it, with a NUL. */
bool note_origin_copy(struct slice origin, char out[NOTE_NAME_MAX + 1]);

/* Reads a vkey that need not end in a NUL. Errors: as note_key_parse. */
MUST_CHECK
enum liaison_code note_key_read(struct slice text, struct note_key *out);

bool note_key_equal(const struct note_key *a, const struct note_key *b);
