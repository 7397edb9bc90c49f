/* What is read from JSON survives print and read; every strict message can be printed and comes back as the same bytes;
 * a compacted value is the same value. */
#include <stdlib.h>

#include "client/json/json.h"
#include "proto/valid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const TYPES[] = {
    &liaison__v1__envelope__descriptor,        &liaison__v1__ledger_entry__descriptor,
    &liaison__v1__frame__descriptor,           &liaison__v1__action__descriptor,
    &liaison__v1__signed_referral__descriptor,
};

enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

/* `bytes` is the strict encoding of m. */
static void survives(const ProtobufCMessage *m, struct slice bytes, struct arena *a)
{
    struct json_doc *d = json_doc_new("again");
    ProtobufCMessage *again = NULL;
    json_t *o = NULL;

    if (json_print(m, &o) != LIAISON_OK)
        abort(); /* json.h: only text that is not UTF-8 and unknown fields are refused, and there are none */
    char *text = json_dumps(o, JSON_COMPACT);

    if (text == NULL)
        abort();
    json_doc_limit(d, SIZE_MAX / 4);
    if (json_doc_text(d, slice_text(text)) != LIAISON_OK ||
        json_read(d, json_doc_root(d), NULL, m->descriptor, a, &again) != LIAISON_OK)
        abort();
    if (!slice_equal(arena_pack(a, again), bytes))
        abort(); /* json.h: read(print(m)) gives m */
    free(text);
    json_decref(o);
    json_doc_free(d);
}

static void from_bytes(const ProtobufCMessageDescriptor *type, struct slice bytes,
                       struct arena *a)
{
    const void *m;

    if (valid_decode(type, bytes, a, &m) == LIAISON_OK)
        survives(m, bytes, a);
}

static void compact_is_the_same(struct json_doc *d, struct arena *a)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_doc_root(d), key, value)
    {
        struct json_path at = {NULL, key, 0};
        struct slice text = json_doc_compact(d, &at, a);
        json_t *again = json_loadb((const char *)text.p, text.n, JSON_DECODE_ANY, NULL);

        if (again == NULL || !json_equal(again, value))
            abort();
        json_decref(again);
    }
}

static void from_text(const ProtobufCMessageDescriptor *type, struct slice text,
                      struct arena *a)
{
    struct json_doc *d = json_doc_new("text");
    struct json_referral referral;
    ProtobufCMessage *m = NULL;

    if (json_doc_text(d, text) == LIAISON_OK) {
        compact_is_the_same(d, a);
        if (json_read(d, json_doc_root(d), NULL, type, a, &m) == LIAISON_OK)
            survives(m, arena_pack(a, m), a);
        else if (json_doc_why(d)[0] == '\0')
            abort(); /* a refusal always says why */
        if (json_referral(d, a, &referral) == LIAISON_OK &&
            referral.n_sections > VALID_SECTIONS_MAX)
            abort();
    }
    json_doc_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();

    if (size > 0 && a != NULL) {
        const ProtobufCMessageDescriptor *type = TYPES[(data[0] >> 1) % N_TYPES];

        (data[0] & 1 ? from_text : from_bytes)(type, slice(data + 1, size - 1), a);
    }
    arena_free(a);
    return 0;
}
