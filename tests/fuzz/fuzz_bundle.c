/* Property: a page that is taken gives back exactly its bytes, entry by entry; a list of what was sealed that is taken has as many
 * lines as it says, and fewer when it is cut; a state that is taken is written again as it was read. */
#include <stdlib.h>

#include "client/audit/bundle.h"
#include "client/audit/verify_state.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void page(const uint8_t *data, size_t size, unsigned width)
{
    static struct source_page p;
    size_t at = 0;

    p.room = malloc(size + 1);
    if (p.room == NULL)
        abort();
    memcpy(p.room, data, size);
    if (bundle_parse_page(&p, size, width) == LIAISON_OK) {
        must(p.n == width);
        for (unsigned i = 0; i < width; i++) {
            must(p.entry[i].n > 0 && p.entry[i].n <= SOURCE_ENTRY_MAX);
            must(p.entry[i].p == p.room + at + 2);
            must(p.entry[i].n == ((size_t)data[at] << 8 | data[at + 1]));
            at += 2 + p.entry[i].n;
        }
        must(at == size);
    }
    free(p.room);
}

static void seal(struct slice text)
{
    struct bundle_seal s;
    uint64_t lines = 0;

    if (bundle_parse_seal(text, &s) != LIAISON_OK)
        return;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    must(lines == s.files + 1 && text.p[text.n - 1] == '\n');
    must(s.from <= s.size && s.from % SOURCE_WIDTH == 0);
    must(bundle_parse_seal(slice(text.p, text.n - 1), &s) != LIAISON_OK);
}

static void state(struct slice text)
{
    struct verify_state s, again;
    uint8_t *out, *twice;
    size_t len, twice_len;

    if (verify_state_parse(text, &s) != LIAISON_OK)
        return;
    must(verify_state_print(&s, &out, &len) == LIAISON_OK);
    must(verify_state_parse(slice(out, len), &again) == LIAISON_OK);
    must(verify_state_print(&again, &twice, &twice_len) == LIAISON_OK);
    must(slice_equal(slice(out, len), slice(twice, twice_len)));
    must(again.from == s.from && again.time_ns == s.time_ns &&
         slice_equal(again.note, s.note));
    verify_state_clear(&s);
    verify_state_clear(&again);
    free(out);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 0)
        page(data + 1, size - 1, 1);
    else if (data[0] < 8)
        page(data + 1, size - 1, data[0]);
    else if (data[0] == '#')
        seal(slice(data, size));
    else
        state(slice(data, size));
    return 0;
}
