#include "client/audit/bundle.h"
#include "client/audit/take.h"

enum { HEX = 2 * HASH_BYTES };

/* `HEX  PATH`, and the end of the line, which may be missing. */
static bool take_line(struct slice *rest, bool *whole)
{
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    size_t n = end == NULL ? rest->n : (size_t)(end - rest->p);

    *whole = end != NULL;
    for (size_t i = 0; i < n && i < HEX + 2; i++) {
        uint8_t c = rest->p[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

        if (i < HEX ? !hex : c != ' ')
            return false;
    }
    if (*whole && (n <= HEX + 2 || n > HEX + 2 + BUNDLE_PATH_MAX))
        return false;
    n += *whole;
    *rest = slice(rest->p + n, rest->n - n);
    return true;
}

enum liaison_code bundle_parse_seal(struct slice text, struct bundle_seal *out)
{
    struct bundle_seal s;
    uint64_t lines = 0;
    bool whole;

    if (text.n == 0)
        return LIAISON_NOT_FOUND;
    if (!take_text(&text, "# liaison/1 bundle from ") || !take_number(&text, &s.from) ||
        !take_text(&text, " size ") || !take_number(&text, &s.size) ||
        !take_text(&text, " files ") || !take_number(&text, &s.files) ||
        !take_text(&text, "\n") || s.from > s.size || s.from % SOURCE_WIDTH != 0 ||
        s.size > UINT64_MAX / 4)
        return LIAISON_DAMAGED;
    for (; text.n > 0; lines += whole)
        if (!take_line(&text, &whole))
            return LIAISON_DAMAGED;
    if (lines < s.files)
        return LIAISON_NOT_FOUND;
    if (lines > s.files ||
        text.p[-1] != '\n') /* there is at least the first line's end */
        return LIAISON_DAMAGED;
    *out = s;
    return LIAISON_OK;
}

enum liaison_code bundle_parse_page(struct source_page *p, size_t len, unsigned width)
{
    size_t at = 0;

    for (unsigned i = 0; i < width; i++) {
        if (len - at < 2)
            return LIAISON_NOT_FOUND;
        size_t n = (size_t)p->room[at] << 8 | p->room[at + 1];

        if (n == 0)
            return LIAISON_DAMAGED;
        if (len - at - 2 < n)
            return LIAISON_NOT_FOUND;
        p->entry[i] = slice(p->room + at + 2, n);
        at += 2 + n;
    }
    p->n = width;
    return at == len ? LIAISON_OK : LIAISON_DAMAGED;
}
