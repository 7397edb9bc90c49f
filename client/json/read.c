/* JSON as messages. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/json/form.h"
#include "proto/valid.h"

static const uint64_t TIME_MAX_SECONDS = 253402300799; /* the end of the year 9999 */

static const uint64_t NS_MAX = UINT64_MAX; /* 64 bits end in 2554 */

/* What every step of one reading needs. */
struct reader {
    struct json_doc *doc;
    struct arena *arena;
};

static const char *kind_of(const json_t *v)
{
    static const char *const KINDS[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",    [JSON_STRING] = "text",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };

    return KINDS[json_typeof(v)];
}

static enum liaison_code expected(struct reader *r, const struct json_path *at,
                                  const char *what, const json_t *v)
{
    if (json_is_string(v))
        return json_doc_fail(r->doc, at, JSON_AT_VALUE, "expected %s, found \"%.40s\"",
                             what, json_string_value(v));
    return json_doc_fail(r->doc, at, JSON_AT_VALUE, "expected %s, found %s", what,
                         kind_of(v));
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* A number, or its decimal digits as text. */
static bool number(const json_t *v, uint64_t *out)
{
    if (json_is_integer(v) && json_integer_value(v) >= 0) {
        *out = (uint64_t)json_integer_value(v);
        return true;
    }
    const char *text = json_string_value(v);

    if (text == NULL || text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
        return false;
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return errno == 0;
}

static enum liaison_code read_time(struct reader *r, const json_t *v,
                                   const struct json_path *at, bool ns, uint64_t *out)
{
    const char *text = json_string_value(v);
    uint64_t seconds;
    uint32_t rest;

    if (number(v, out))
        return LIAISON_OK;
    if (text == NULL || !json_time_parse(text, ns ? 9 : 3, &seconds, &rest) ||
        seconds > TIME_MAX_SECONDS)
        return expected(r, at, "a time such as \"2026-11-23T08:00:00Z\"", v);
    if (ns && (seconds > NS_MAX / 1000000000 ||
               (seconds == NS_MAX / 1000000000 && rest > NS_MAX % 1000000000)))
        return expected(r, at, "a time before the year 2554", v);
    *out = ns ? seconds * 1000000000 + rest : seconds * 1000 + rest / 1000000;
    return LIAISON_OK;
}

static enum liaison_code read_uint64(struct reader *r, const json_t *v,
                                     const struct json_path *at, const char *field,
                                     uint64_t *out)
{
    bool ns = ends_with(field, "_ns");

    if (ns || ends_with(field, "_unix_ms"))
        return read_time(r, v, at, ns, out);
    if (!number(v, out))
        return expected(r, at, "a number from 0 to 18446744073709551615", v);
    return LIAISON_OK;
}

static enum liaison_code read_uint32(struct reader *r, const json_t *v,
                                     const struct json_path *at, uint32_t *out)
{
    uint64_t n;

    if (!json_is_integer(v) || !number(v, &n) || n > UINT32_MAX)
        return expected(r, at, "a number from 0 to 4294967295", v);
    *out = (uint32_t)n;
    return LIAISON_OK;
}

/* "expected one of yes, no, unknown". */
static enum liaison_code no_such_word(struct reader *r, const json_t *v,
                                      const struct json_path *at,
                                      const ProtobufCEnumDescriptor *type)
{
    char all[256] = "one of", word[64];
    const char *separator = " ";

    for (unsigned i = 0; i < type->n_values; i++) {
        size_t used = strlen(all);

        json_word(type, type->values[i].value, word, sizeof word);
        if (strcmp(word, "unspecified") == 0)
            continue;
        snprintf(all + used, sizeof all - used, "%s\"%s\"", separator, word);
        separator = ", ";
    }
    return expected(r, at, all, v);
}

static enum liaison_code read_string(struct reader *r, const json_t *v,
                                     const struct json_path *at, char **out)
{
    const char *text = json_string_value(v);

    if (text == NULL)
        return expected(r, at, "text", v);
    char *copy = (char *)arena_copy(r->arena, slice_text(text));

    if (copy == NULL)
        return LIAISON_MEMORY;
    *out = copy;
    return LIAISON_OK;
}

static enum liaison_code read_bytes(struct reader *r, const json_t *v,
                                    const struct json_path *at, enum form form,
                                    ProtobufCBinaryData *out)
{
    const char *text = json_string_value(v);
    struct slice bytes;
    enum liaison_code code =
        text != NULL ? form_read(form, text, r->arena, &bytes) : LIAISON_JSON;

    if (code == LIAISON_JSON)
        return expected(r, at, form_name(form), v);
    if (code != LIAISON_OK)
        return code;
    uint8_t *copy = arena_copy(r->arena, bytes);

    if (copy == NULL)
        return LIAISON_MEMORY;
    *out = (ProtobufCBinaryData){bytes.n, copy};
    return LIAISON_OK;
}

static enum liaison_code read_message(struct reader *r, const json_t *v,
                                      const struct json_path *at,
                                      const ProtobufCMessageDescriptor *type,
                                      ProtobufCMessage **out);

/* One value of a field into `p`, where protobuf-c keeps it. */
static enum liaison_code read_value(struct reader *r, const json_t *v,
                                    const struct json_path *at,
                                    const ProtobufCMessageDescriptor *type,
                                    const ProtobufCFieldDescriptor *f, void *p)
{
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT32:
        return read_uint32(r, v, at, p);
    case PROTOBUF_C_TYPE_UINT64:
        return read_uint64(r, v, at, f->name, p);
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_is_boolean(v))
            return expected(r, at, "true or false", v);
        *(protobuf_c_boolean *)p = json_is_true(v);
        return LIAISON_OK;
    case PROTOBUF_C_TYPE_ENUM:
        if (!json_is_string(v) || !json_number(f->descriptor, json_string_value(v), p))
            return no_such_word(r, v, at, f->descriptor);
        return LIAISON_OK;
    case PROTOBUF_C_TYPE_STRING:
        return read_string(r, v, at, p);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(r, v, at, form_of(type, f->name), p);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(r, v, at, f->descriptor, p);
    default:
        return LIAISON_INTERNAL; /* liaison.proto has no other kind; a test walks it */
    }
}

static size_t value_bytes(const ProtobufCFieldDescriptor *f)
{
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    default:
        return sizeof(uint32_t);
    }
}

static enum liaison_code read_list(struct reader *r, const json_t *v,
                                   const struct json_path *at, ProtobufCMessage *m,
                                   const ProtobufCFieldDescriptor *f)
{
    size_t n = json_array_size(v);

    if (!json_is_array(v))
        return expected(r, at, "a list", v);
    if (n > VALID_REPEATED_MAX)
        return json_doc_fail(r->doc, at, JSON_AT_VALUE, "more than %d elements",
                             VALID_REPEATED_MAX);
    char *values = arena_zero(r->arena, n * value_bytes(f));

    if (values == NULL)
        return LIAISON_MEMORY;
    for (size_t i = 0; i < n; i++) {
        struct json_path here = {at, NULL, i};
        enum liaison_code code = read_value(r, json_array_get(v, i), &here, m->descriptor,
                                            f, values + i * value_bytes(f));

        if (code != LIAISON_OK)
            return code;
    }
    *(void **)(void *)((char *)m + f->offset) = n > 0 ? values : NULL;
    *(size_t *)(void *)((char *)m + f->quantifier_offset) = n;
    return LIAISON_OK;
}

static enum liaison_code read_field(struct reader *r, const json_t *v,
                                    const struct json_path *at, ProtobufCMessage *m,
                                    const ProtobufCFieldDescriptor *f)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return read_list(r, v, at, m, f);
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t *which = (uint32_t *)(void *)((char *)m + f->quantifier_offset);

        if (*which != 0)
            return json_doc_fail(
                r->doc, at, JSON_AT_KEY,
                "\"%s\" is there already; only one of them may be",
                protobuf_c_message_descriptor_get_field(m->descriptor, *which)->name);
        *which = f->id;
    }
    return read_value(r, v, at, m->descriptor, f, (char *)m + f->offset);
}

static enum liaison_code unknown_field(struct reader *r, const struct json_path *at,
                                       const ProtobufCMessageDescriptor *type)
{
    const char *names[64];
    char hint[96];
    unsigned n = 0;

    for (; n < type->n_fields && n < sizeof names / sizeof *names; n++)
        names[n] = type->fields[n].name;
    return json_doc_fail(r->doc, at, JSON_AT_KEY, "unknown field%s",
                         json_near(at->key, names, n, hint, sizeof hint));
}

static enum liaison_code read_message(struct reader *r, const json_t *v,
                                      const struct json_path *at,
                                      const ProtobufCMessageDescriptor *type,
                                      ProtobufCMessage **out)
{
    const char *key;
    json_t *member;

    if (!json_is_object(v))
        return expected(r, at, "an object", v);
    ProtobufCMessage *m = arena_alloc(r->arena, type->sizeof_message);

    if (m == NULL)
        return LIAISON_MEMORY;
    protobuf_c_message_init(type, m);
    json_object_foreach((json_t *)(uintptr_t)v, key,
                        member) /* the macro wants no const, and changes nothing */
    {
        struct json_path here = {at, key, 0};
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field_by_name(type, key);
        enum liaison_code code = f != NULL ? read_field(r, member, &here, m, f)
                                           : unknown_field(r, &here, type);

        if (code != LIAISON_OK)
            return code;
    }
    *out = m;
    return LIAISON_OK;
}

enum liaison_code json_read(struct json_doc *d, const json_t *value,
                            const struct json_path *at,
                            const ProtobufCMessageDescriptor *type, struct arena *a,
                            ProtobufCMessage **out)
{
    struct reader r = {d, a};

    return read_message(&r, value, at, type, out);
}

enum liaison_code json_read_field(struct json_doc *d, const json_t *value,
                                  const struct json_path *at, ProtobufCMessage *m,
                                  const char *field, struct arena *a)
{
    struct reader r = {d, a};
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, field);

    return f != NULL ? read_field(&r, value, at, m, f) : LIAISON_INTERNAL;
}
