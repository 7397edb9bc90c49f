/* Messages as JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "client/json/form.h"

static const uint64_t NUMBER_MAX = (1ULL << 53) - 1;
static const uint64_t TIME_MAX_MS = 253402300799999; /* the end of the year 9999 */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static json_t *print_number(uint64_t v)
{
    char text[24];

    if (v <= NUMBER_MAX)
        return json_integer((json_int_t)v);
    snprintf(text, sizeof text, "%" PRIu64, v);
    return json_string(text);
}

static json_t *print_uint64(const char *field, uint64_t v)
{
    char text[36];

    if (ends_with(field, "_unix_ms") && v <= TIME_MAX_MS)
        json_time_text(v / 1000, (uint32_t)(v % 1000) * 1000000, 3, text, sizeof text);
    else if (ends_with(field, "_ns"))
        json_time_text(v / 1000000000, (uint32_t)(v % 1000000000), 9, text, sizeof text);
    else
        return print_number(v);
    return json_string(text);
}

static json_t *print_enum(const ProtobufCEnumDescriptor *type, int number)
{
    char word[64];

    if (json_word(type, number, word, sizeof word) == NULL)
        return NULL; /* strict decoding lets no such number in */
    return json_string(word);
}

static json_t *print_bytes(const ProtobufCMessageDescriptor *type, const char *field,
                           const ProtobufCBinaryData *b)
{
    struct arena *a = arena_new();

    if (a == NULL)
        return NULL;
    const char *text = form_print(form_of(type, field), slice(b->data, b->len), a);
    json_t *s = text != NULL ? json_string(text) : NULL;

    arena_free(a);
    return s;
}

static json_t *print_message(const ProtobufCMessage *m);

/* One value of a field; `p` is where protobuf-c keeps it. */
static json_t *print_value(const ProtobufCMessageDescriptor *type,
                           const ProtobufCFieldDescriptor *f, const void *p)
{
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT32:
        return json_integer(*(const uint32_t *)p);
    case PROTOBUF_C_TYPE_UINT64:
        return print_uint64(f->name, *(const uint64_t *)p);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)p);
    case PROTOBUF_C_TYPE_ENUM:
        return print_enum(f->descriptor, *(const int *)p);
    case PROTOBUF_C_TYPE_STRING:
        return json_string(*(char *const *)p);
    case PROTOBUF_C_TYPE_BYTES:
        return print_bytes(type, f->name, p);
    case PROTOBUF_C_TYPE_MESSAGE:
        return print_message(*(ProtobufCMessage *const *)p);
    default:
        return NULL; /* liaison.proto has no other kind; a test walks it */
    }
}

static size_t value_bytes(const ProtobufCFieldDescriptor *f)
{
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    default:
        return sizeof(uint32_t);
    }
}

static json_t *print_list(const ProtobufCMessageDescriptor *type,
                          const ProtobufCFieldDescriptor *f, const char *base)
{
    size_t n = *(const size_t *)(const void *)(base + f->quantifier_offset);
    const char *values = *(const char *const *)(const void *)(base + f->offset);
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < n; i++) {
        json_t *v = print_value(type, f, values + i * value_bytes(f));

        if (json_array_append_new(list, v) != 0) { /* takes v, also when it fails */
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Is there something to say about this field? */
static bool is_set(const ProtobufCFieldDescriptor *f, const char *base)
{
    const void *p = base + f->offset;

    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)(const void *)(base + f->quantifier_offset) > 0;
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *(const uint32_t *)(const void *)(base + f->quantifier_offset) == f->id;
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT64:
        return *(const uint64_t *)p != 0;
    case PROTOBUF_C_TYPE_STRING:
        return **(char *const *)p != '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)p)->len > 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(void *const *)p != NULL;
    default:
        return *(const uint32_t *)p != 0;
    }
}

static json_t *print_message(const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    json_t *object = m->n_unknown_fields == 0 ? json_object() : NULL;

    for (unsigned i = 0; object != NULL && i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        const char *base = (const char *)m;

        if (!is_set(f, base))
            continue;
        json_t *v = f->label == PROTOBUF_C_LABEL_REPEATED
                        ? print_list(d, f, base)
                        : print_value(d, f, base + f->offset);

        if (json_object_set_new(object, f->name, v) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

enum liaison_code json_print(const ProtobufCMessage *m, json_t **out)
{
    json_t *object = print_message(m);

    if (object == NULL)
        return LIAISON_FIELD;
    *out = object;
    return LIAISON_OK;
}
