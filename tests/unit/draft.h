#pragma once
/* Notes made for tests, with keys drawn for the run. */
#include <string.h>

#include "proto/note.h"

/* A note in the making. */
struct draft {
    char bytes[NOTE_BYTES_MAX + 4096];
    size_t n;
};

static inline void draft_say(struct draft *d, const char *text)
{
    size_t n = strlen(text);

    assert_true(d->n + n <= sizeof d->bytes);
    memcpy(d->bytes + d->n, text, n);
    d->n += n;
}

static inline void draft_sign(struct draft *d, const struct note_signer *s,
                              const char *text, uint64_t time_s)
{
    char line[NOTE_LINE_MAX];
    size_t len;

    assert_int_equal(note_sign(s, slice_text(text), time_s, line, &len), LIAISON_OK);
    assert_true(len <= NOTE_LINE_MAX && d->n + len <= sizeof d->bytes);
    memcpy(d->bytes + d->n, line, len);
    d->n += len;
}

static inline struct slice draft_bytes(const struct draft *d)
{
    return slice(d->bytes, d->n);
}

static inline struct note_signer draft_signer(struct hash *h, const char *name,
                                              enum note_type type)
{
    struct note_signer s;

    assert_int_equal(note_signer_make(h, name, type, &s), LIAISON_OK);
    return s;
}
