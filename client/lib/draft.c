#include "client/lib/draft.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/words.h"
#include "proto/id.h"
#include "proto/valid.h"

enum { DIGESTS_MULTIPLE = 8, CONTENT_TYPE_MAX = 127 };

static bool form_ok(const struct draft_field *f, const char *value)
{
    uint8_t id[16];
    uint64_t number;

    switch (f->form) {
    case FORM_NAME:
        return id_name(value);
    case FORM_WORD:
        return id_word(value);
    case FORM_OFFICER:
        return id_officer(value);
    case FORM_ENUM:
        return words_number(f->words, value) != 0;
    case FORM_NUMBER:
        return words_u64(value, UINT64_MAX, &number);
    case FORM_ID:
        return id_parse(value, id) && id_valid(slice(id, sizeof id));
    case FORM_HEX16:
        return words_hex16(value, id);
    case FORM_YES_NO:
        return strcmp(value, "yes") == 0 || strcmp(value, "no") == 0;
    }
    return false;
}

static const char *form_want(const struct draft_field *f, char out[256])
{
    static const char *const WANT[] = {
        [FORM_NAME] = "an agency's name",
        [FORM_WORD] = "a word: a-z, 0-9 and '-', at most 63 bytes",
        [FORM_OFFICER] = "an officer's number",
        [FORM_NUMBER] = "a decimal number",
        [FORM_ID] = "a UUIDv7",
        [FORM_HEX16] = "32 hex digits",
        [FORM_YES_NO] = "yes | no",
        [FORM_ENUM] = "",
    };

    return f->form == FORM_ENUM ? words_list(f->words, out, 256) : WANT[f->form];
}

enum liaison_code draft_set(struct draft *d, const char *key, const char *value)
{
    char want[256];
    size_t i = 0;

    if (key == NULL || value == NULL)
        return lib_fail(d->l, LIAISON_USAGE, "key and value are wanted");
    while (i < d->n_fields && strcmp(d->fields[i].key, key) != 0)
        i++;
    if (i == d->n_fields)
        return lib_fail(d->l, LIAISON_USAGE, "there is no field \"%.64s\"", key);
    if (value[0] != '\0' && !form_ok(&d->fields[i], value))
        return lib_fail(d->l, LIAISON_FIELD, "%s \"%.128s\": %s is wanted", key, value,
                        form_want(&d->fields[i], want));
    char *copy = value[0] == '\0' ? NULL : strdup(value);

    if (value[0] != '\0' && copy == NULL)
        return lib_fail(d->l, LIAISON_MEMORY, "out of memory");
    free(d->values[i]);
    d->values[i] = copy;
    return LIAISON_OK;
}

static void section_free(struct draft_section *s)
{
    free(s->name);
    free(s->content_type);
    if (s->content != NULL)
        OPENSSL_clear_free(s->content, s->len + 1);
}

static enum liaison_code section_ok(const struct draft *d, const char *name,
                                    const char *content_type, const void *content,
                                    size_t len)
{
    if (name == NULL || content_type == NULL || (content == NULL && len > 0))
        return lib_fail(d->l, LIAISON_USAGE,
                        "a section has a name, a content type and content");
    if (!id_word(name))
        return lib_fail(d->l, LIAISON_FIELD, "section \"%.64s\": a word is wanted", name);
    if (content_type[0] == '\0' || strlen(content_type) > CONTENT_TYPE_MAX ||
        !valid_utf8(slice_text(content_type)))
        return lib_fail(d->l, LIAISON_FIELD,
                        "section %s: a content type such as application/json is wanted",
                        name);
    if (d->n_sections == VALID_SECTIONS_MAX)
        return lib_fail(d->l, LIAISON_LIMIT, "section %s: more than %d sections", name,
                        VALID_SECTIONS_MAX);
    for (size_t i = 0; i < d->n_sections; i++)
        if (strcmp(d->sections[i].name, name) == 0)
            return lib_fail(d->l, LIAISON_FIELD, "section %s is there already", name);
    return LIAISON_OK;
}

enum liaison_code draft_section(struct draft *d, const char *name,
                                const char *content_type, const void *content, size_t len)
{
    enum liaison_code code = section_ok(d, name, content_type, content, len);

    if (code != LIAISON_OK)
        return code;
    struct draft_section *grown =
        realloc(d->sections, (d->n_sections + 1) * sizeof *grown);

    if (grown != NULL)
        d->sections = grown;
    struct draft_section s = {strdup(name), strdup(content_type), OPENSSL_malloc(len + 1),
                              len};

    if (grown == NULL || s.name == NULL || s.content_type == NULL || s.content == NULL) {
        section_free(&s);
        return lib_fail(d->l, LIAISON_MEMORY, "out of memory");
    }
    if (len > 0)
        memcpy(s.content, content, len);
    s.content[len] = 0;
    d->sections[d->n_sections++] = s;
    return LIAISON_OK;
}

/* Values are text; protobuf-c's strings are not const. */
char *draft_text(const struct draft *d, size_t i)
{
    static const char EMPTY[] = "";

    return d->values[i] != NULL ? d->values[i] : (char *)(uintptr_t)EMPTY;
}

int draft_enum(const struct draft *d, size_t i)
{
    return words_number(d->fields[i].words, draft_text(d, i));
}

uint64_t draft_number(const struct draft *d, size_t i)
{
    uint64_t v;

    return words_u64(draft_text(d, i), UINT64_MAX, &v) ? v : 0;
}

char *draft_or(const struct draft *d, size_t i, enum setting s)
{
    return d->values[i] != NULL ? d->values[i] : (char *)(uintptr_t)lib_setting(d->l, s);
}

void draft_clear(struct draft *d)
{
    for (size_t i = 0; i < d->n_fields; i++) {
        free(d->values[i]);
        d->values[i] = NULL;
    }
    for (size_t i = 0; i < d->n_sections; i++)
        section_free(&d->sections[i]);
    free(d->sections);
    d->sections = NULL;
    d->n_sections = 0;
}

/* ---------------------------------------------------------------- sealing */

static int compare_digests(const void *a, const void *b)
{
    const ProtobufCBinaryData *x = a, *y = b;

    return memcmp(x->data, y->data, HASH_BYTES);
}

/* Digests of the sections and random ones, so that the list does not say how many sections there are. */
static enum liaison_code list_digests(struct liaison *l, struct arena *a, bool pad_none,
                                      struct draft_sealed *out)
{
    size_t n =
        (out->n_sections + DIGESTS_MULTIPLE - 1) / DIGESTS_MULTIPLE * DIGESTS_MULTIPLE;

    if (n == 0 && pad_none)
        n = DIGESTS_MULTIPLE;
    uint8_t(*bytes)[HASH_BYTES] = arena_alloc(a, n * HASH_BYTES);

    out->digests = arena_alloc(a, n * sizeof *out->digests);
    if (bytes == NULL || out->digests == NULL)
        return LIAISON_MEMORY;
    for (size_t i = 0; i < n; i++) {
        if (i < out->n_sections)
            valid_section_digest(l->hash, out->sections[i], bytes[i]);
        else
            hash_random(l->hash, bytes[i], HASH_BYTES);
        out->digests[i] = (ProtobufCBinaryData){HASH_BYTES, bytes[i]};
    }
    qsort(out->digests, n, sizeof *out->digests, compare_digests);
    out->n_digests = n;
    return LIAISON_OK;
}

enum liaison_code draft_seal(const struct draft *d, const struct seal_reader *reader,
                             const struct seal_place *place, bool pad_none,
                             struct arena *a, struct draft_sealed *out)
{
    enum liaison_code code = LIAISON_OK;

    *out = (struct draft_sealed){
        .sections = arena_alloc(a, d->n_sections * sizeof *out->sections)};
    if (out->sections == NULL)
        return lib_fail(d->l, LIAISON_MEMORY, "out of memory");
    for (size_t i = 0; code == LIAISON_OK && i < d->n_sections; i++) {
        const struct draft_section *s = &d->sections[i];
        struct seal_place here = *place;

        here.name = s->name;
        code = seal_section(d->l->seal, reader, &here, s->content_type,
                            slice(s->content, s->len), a, &out->sections[i]);
    }
    out->n_sections = d->n_sections;
    if (code == LIAISON_OK)
        code = list_digests(d->l, a, pad_none, out);
    return code == LIAISON_OK
               ? LIAISON_OK
               : lib_fail(d->l, code, "sealing failed: %s", liaison_code_text(code));
}
