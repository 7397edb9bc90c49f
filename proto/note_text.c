#include <inttypes.h>
#include <stdio.h>

#include "proto/note_inner.h"
#include "proto/valid.h"

/* Unicode's spaces (property White_Space), first and last of each run. */
static const struct {
    uint32_t first, last;
} SPACES[] = {{0x09, 0x0d},     {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},
              {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f},
              {0x205f, 0x205f}, {0x3000, 0x3000}};

bool note_take_line(struct slice *rest, struct slice *line)
{
    const uint8_t *lf = rest->n == 0 ? NULL : memchr(rest->p, '\n', rest->n);

    if (lf == NULL)
        return false;
    *line = slice(rest->p, (size_t)(lf - rest->p));
    *rest = slice(lf + 1, rest->n - line->n - 1);
    return true;
}

bool note_take(struct slice *rest, const char *text)
{
    size_t n = strlen(text);

    if (rest->n < n || memcmp(rest->p, text, n) != 0)
        return false;
    *rest = slice(rest->p + n, rest->n - n);
    return true;
}

bool note_number(struct slice text, uint64_t *out)
{
    uint64_t v = 0;

    if (text.n == 0 || text.n >= NOTE_NUMBER_TEXT || (text.n > 1 && text.p[0] == '0'))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.p[i] - '0'); /* 19 digits fit in 64 bits */
    }
    *out = v;
    return v <= INT64_MAX;
}

bool note_text_ok(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 && text.p[i] != '\n')
            return false;
    return valid_utf8(text);
}

/* The character at the front of valid UTF-8; *n is its length. */
static uint32_t character(const uint8_t *p, size_t *n)
{
    uint32_t c = p[0];

    *n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    c = *n == 1 ? c : c & (0x7fu >> *n);
    for (size_t i = 1; i < *n; i++)
        c = c << 6 | (p[i] & 0x3fu);
    return c;
}

static bool is_space(uint32_t c)
{
    for (size_t i = 0; i < sizeof SPACES / sizeof *SPACES; i++)
        if (c >= SPACES[i].first && c <= SPACES[i].last)
            return true;
    return false;
}

bool note_name_ok(struct slice name)
{
    size_t n;

    for (size_t i = 0; i < name.n; i += n) {
        uint32_t c = character(name.p + i, &n);

        if (c == '+' || is_space(c))
            return false;
    }
    return name.n > 0;
}

bool note_origin_copy(struct slice origin, char out[NOTE_NAME_MAX + 1])
{
    if (origin.n == 0 || origin.n > NOTE_NAME_MAX || !note_text_ok(origin) ||
        memchr(origin.p, '\n', origin.n) != NULL)
        return false;
    memcpy(out, origin.p, origin.n);
    out[origin.n] = '\0';
    return true;
}

bool note_name_copy(struct slice name, char out[NOTE_NAME_MAX + 1])
{
    return note_origin_copy(name, out) && note_name_ok(name);
}
