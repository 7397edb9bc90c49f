/* The strict decoder as a filter, for tests that compare it with another implementation.
 *
 *   strict types       prints the names of all messages, in the order of their numbers
 *   strict decode [N]  reads messages: number (1 byte), length (4), bytes. Writes for each a length (4) and the message as
 *                      text, every field that is there in the order of the schema; or REFUSED, or TORN, alone.
 *
 * strict-seeded is the same linked with a copy of proto/valid.c that tests/fault/valid.sed made: check N is left out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/valid.h"

enum { TYPES_MAX = 64, LENGTH_BYTES = 4, MESSAGE_MAX = 1 << 24 };

static const uint32_t REFUSED = UINT32_MAX;
static const uint32_t TORN = UINT32_MAX - 1; /* the scan took it and protobuf-c did not */

int seeded; /* which check of valid_seeded.c is left out; 0: none */

struct types {
    const ProtobufCMessageDescriptor *all[TYPES_MAX];
    size_t n;
};

static const ProtobufCMessageDescriptor *const ROOTS[] = {
    &liaison__v1__frame__descriptor,        &liaison__v1__envelope__descriptor,
    &liaison__v1__action__descriptor,       &liaison__v1__section_header__descriptor,
    &liaison__v1__section_body__descriptor, &liaison__v1__ledger_entry__descriptor,
};

/* Adds a message and all that it holds. The schema has no circle: tests/unit/test_valid.c. */
static void collect(struct types *t, const ProtobufCMessageDescriptor *d)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->all[i] == d)
            return;
    if (t->n == TYPES_MAX)
        abort(); /* make the table longer */
    t->all[t->n++] = d;
    for (unsigned i = 0; i < d->n_fields; i++)
        if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            collect(t, d->fields[i].descriptor);
}

/* ---- a message as text */

static void show_message(FILE *to, const ProtobufCMessage *m);

static void show_hex(FILE *to, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%02x", ((const uint8_t *)bytes)[i]);
}

static void show_choice(FILE *to, const ProtobufCFieldDescriptor *f, uint32_t number)
{
    const ProtobufCEnumValue *v =
        protobuf_c_enum_descriptor_get_value(f->descriptor, (int)number);

    if (v != NULL)
        fputs(v->name, to);
    else
        fprintf(to, "%" PRIu32, number);
}

static void show_value(FILE *to, const ProtobufCFieldDescriptor *f, const void *at)
{
    fprintf(to, "%s=", f->name);
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        show_message(to, *(ProtobufCMessage *const *)at);
        break;
    case PROTOBUF_C_TYPE_STRING:
        show_hex(to, *(char *const *)at, strlen(*(char *const *)at));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        show_hex(to, ((const ProtobufCBinaryData *)at)->data,
                 ((const ProtobufCBinaryData *)at)->len);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        fprintf(to, "%" PRIu64, *(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        fprintf(to, "%" PRIu32, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        fputs(*(const protobuf_c_boolean *)at ? "true" : "false", to);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        show_choice(to, f, *(const uint32_t *)at);
        break;
    default:
        abort(); /* no other kind in liaison.proto: tests/unit/test_valid.c */
    }
    fputc(';', to);
}

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_UINT64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(uint32_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    default:
        return sizeof(void *);
    }
}

/* Is there anything but the default? */
static bool present(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m,
                    const void *at)
{
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *(const uint32_t *)((const char *)m + f->quantifier_offset) == f->id;
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(void *const *)at != NULL;
    case PROTOBUF_C_TYPE_STRING:
        return **(char *const *)at != '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)at)->len > 0;
    case PROTOBUF_C_TYPE_UINT64:
        return *(const uint64_t *)at != 0;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)at != 0;
    default:
        return *(const uint32_t *)at != 0;
    }
}

static void show_field(FILE *to, const ProtobufCMessage *m,
                       const ProtobufCFieldDescriptor *f)
{
    const char *at = (const char *)m + f->offset;

    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        if (present(f, m, at))
            show_value(to, f, at);
        return;
    }
    size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);

    for (size_t i = 0; i < n; i++)
        show_value(to, f, *(const char *const *)at + i * size_of(f));
}

static void show_message(FILE *to, const ProtobufCMessage *m)
{
    fputc('{', to);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++)
        show_field(to, m, &m->descriptor->fields[i]);
    fputc('}', to);
}

/* ---- the filter */

static void put_length(uint32_t n)
{
    const uint8_t b[LENGTH_BYTES] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16),
                                     (uint8_t)(n >> 8), (uint8_t)n};

    fwrite(b, 1, sizeof b, stdout);
}

static void answer(const ProtobufCMessage *m)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);

    if (to == NULL)
        abort();
    show_message(to, m);
    fclose(to);
    put_length((uint32_t)n);
    fwrite(text, 1, n, stdout);
    free(text);
}

/* A copy of the exact size, so that AddressSanitizer sees every byte read beyond it. */
static void decode_one(struct arena *a, const ProtobufCMessageDescriptor *d, size_t n)
{
    uint8_t *bytes = malloc(n > 0 ? n : 1);
    const void *m = NULL;

    if (bytes == NULL || fread(bytes, 1, n, stdin) != n)
        abort();
    switch ((int)valid_decode(d, slice(bytes, n), a, &m)) {
    case LIAISON_OK:
        answer(m);
        break;
    case LIAISON_MALFORMED:
        put_length(REFUSED);
        break;
    default:
        put_length(TORN);
        break;
    }
    free(bytes);
    arena_reset(a);
}

static int decode_all(const struct types *t)
{
    struct arena *a = arena_new();
    uint8_t head[1 + LENGTH_BYTES];

    if (a == NULL)
        return 1;
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        uint32_t n = (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 |
                     (uint32_t)head[3] << 8 | head[4];

        if (head[0] >= t->n || n > MESSAGE_MAX)
            abort();
        decode_one(a, t->all[head[0]], n);
    }
    arena_free(a);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char *argv[])
{
    struct types t = {.n = 0};

    for (size_t i = 0; i < sizeof ROOTS / sizeof *ROOTS; i++)
        collect(&t, ROOTS[i]);
    if (argc == 2 && strcmp(argv[1], "types") == 0) {
        for (size_t i = 0; i < t.n; i++)
            puts(t.all[i]->name);
        return 0;
    }
    if (argc < 2 || strcmp(argv[1], "decode") != 0)
        return 64;
    seeded = argc > 2 ? atoi(argv[2]) : 0;
    return decode_all(&t);
}
