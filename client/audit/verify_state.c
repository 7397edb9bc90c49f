#include "client/audit/verify_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/take.h"
#include "client/lib/disk.h"

enum { NOTE_MAX = 64 << 10, NAME_MAX_ = 65535 };

/* ------------------------------------------------------------ reading */

/* `WORD N` and a line end. */
static bool take_row(struct slice *rest, const char *word, uint64_t *out)
{
    return take_text(rest, word) && take_text(rest, " ") && take_number(rest, out) &&
           take_text(rest, "\n");
}

static bool take_bytes(struct slice *rest, uint64_t n, uint64_t most, struct slice *out)
{
    if (n == 0 || n > most || n > rest->n)
        return false;
    *out = slice(rest->p, (size_t)n);
    *rest = slice(rest->p + n, rest->n - (size_t)n);
    return true;
}

static bool take_rotations(struct slice *rest, struct verify_state *s)
{
    uint64_t n, len;

    if (!take_row(rest, "rotations", &n) || n > STATE_ROTATIONS_MAX)
        return false;
    for (; s->n_rotations < n; s->n_rotations++)
        if (!take_number(rest, &len) || !take_text(rest, "\n") ||
            !take_bytes(rest, len, NOTE_MAX, &s->rotations[s->n_rotations]))
            return false;
    return true;
}

static enum liaison_code take_counters(struct slice *rest, struct verify_state *s)
{
    uint64_t n, counter, len;
    struct slice name;

    if (!take_row(rest, "counters", &n))
        return LIAISON_MALFORMED;
    for (; n > 0; n--) {
        if (!take_number(rest, &counter) || !take_text(rest, " ") ||
            !take_number(rest, &len) || !take_text(rest, " "))
            return LIAISON_MALFORMED;
        name = slice(rest->p, 0);
        if (len > 0 && !take_bytes(rest, len, NAME_MAX_, &name))
            return LIAISON_MALFORMED;
        if (!take_text(rest, "\n"))
            return LIAISON_MALFORMED;
        if (!parties_set(s->parties, name, counter))
            return LIAISON_MEMORY;
    }
    return LIAISON_OK;
}

static enum liaison_code parse(struct slice rest, struct verify_state *s)
{
    uint64_t len;

    if (!take_text(&rest, "liaison-audit state 1\n") ||
        !take_row(&rest, "from", &s->from) || !take_row(&rest, "time", &s->time_ns) ||
        !take_rotations(&rest, s))
        return LIAISON_MALFORMED;
    enum liaison_code code = take_counters(&rest, s);

    if (code != LIAISON_OK)
        return code;
    return take_row(&rest, "note", &len) && take_bytes(&rest, len, NOTE_MAX, &s->note) &&
                   rest.n == 0
               ? LIAISON_OK
               : LIAISON_MALFORMED;
}

enum liaison_code verify_state_parse(struct slice text, struct verify_state *out)
{
    struct verify_state s = {.parties = NULL};

    s.parties = parties_new(PARTIES_UNKNOWN);
    if (s.parties == NULL)
        return LIAISON_MEMORY;
    enum liaison_code code = parse(text, &s);

    if (code != LIAISON_OK) {
        parties_free(s.parties);
        return code;
    }
    *out = s;
    return LIAISON_OK;
}

void verify_state_clear(struct verify_state *s)
{
    parties_free(s->parties);
    free(s->bytes);
    *s = (struct verify_state){.parties = NULL};
}

enum liaison_code verify_state_read(const char *path, struct verify_state *out)
{
    uint8_t *bytes;
    size_t len;
    enum liaison_code code = disk_read(path, STATE_BYTES_MAX, &bytes, &len);

    if (code != LIAISON_OK)
        return code == LIAISON_TOO_LARGE ? LIAISON_MALFORMED : code;
    code = verify_state_parse(slice(bytes, len), out);
    if (code == LIAISON_OK)
        out->bytes = bytes;
    else
        free(bytes);
    return code;
}

/* ------------------------------------------------------------ writing */

static void print_counters(FILE *f, const struct verify_state *s)
{
    struct slice name;
    uint64_t counter, n = 0;

    for (size_t at = 0; parties_next(s->parties, &at, &name, &counter);)
        n++;
    fprintf(f, "counters %" PRIu64 "\n", n);
    for (size_t at = 0; parties_next(s->parties, &at, &name, &counter);) {
        fprintf(f, "%" PRIu64 " %zu ", counter, name.n);
        fwrite(name.p, 1, name.n, f);
        fputc('\n', f);
    }
}

enum liaison_code verify_state_print(const struct verify_state *s, uint8_t **text,
                                     size_t *len)
{
    char *bytes = NULL;
    FILE *f = open_memstream(&bytes, len);

    if (f == NULL)
        return LIAISON_MEMORY;
    fprintf(f,
            "liaison-audit state 1\nfrom %" PRIu64 "\ntime %" PRIu64 "\nrotations %zu\n",
            s->from, s->time_ns, s->n_rotations);
    for (size_t i = 0; i < s->n_rotations; i++) {
        fprintf(f, "%zu\n", s->rotations[i].n);
        fwrite(s->rotations[i].p, 1, s->rotations[i].n, f);
    }
    print_counters(f, s);
    fprintf(f, "note %zu\n", s->note.n);
    fwrite(s->note.p, 1, s->note.n, f);
    bool good = !ferror(f);

    if (fclose(f) != 0 || !good) {
        free(bytes);
        return LIAISON_MEMORY;
    }
    *text = (uint8_t *)bytes;
    return LIAISON_OK;
}

enum liaison_code verify_state_write(const char *path, const struct verify_state *s)
{
    uint8_t *text;
    size_t len;
    enum liaison_code code = verify_state_print(s, &text, &len);

    if (code != LIAISON_OK)
        return code;
    code = disk_replace(path, slice(text, len));
    free(text);
    return code;
}
