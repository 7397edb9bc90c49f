/* Strict decoding: a scan over the wire bytes beside the descriptor, then protobuf-c's own decoder.
 *
 * The scan accepts exactly what protobuf-c would write: tests/fuzz/fuzz_valid.c holds it to that. It recurses only as
 * deep as the schema nests, since unknown fields are refused and no message contains itself. */
#include "proto/valid.h"

enum { WIRE_VARINT = 0, WIRE_BYTES = 2, ONEOFS_MAX = 2 };

struct scan {
    const uint8_t *p, *end;
};

/* One varint in its shortest form. */
static bool scan_varint(struct scan *s, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned shift = 0; s->p < s->end && shift < 64; shift += 7) {
        uint8_t byte = *s->p++;

        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out = v;
            return byte != 0 || shift == 0;
        }
    }
    return false;
}

static bool scan_bytes(struct scan *s, struct slice *out)
{
    uint64_t n;

    if (!scan_varint(s, &n) || n > (uint64_t)(s->end - s->p))
        return false;
    *out = slice(s->p, (size_t)n);
    s->p += n;
    return true;
}

/* May a number be the value of this field? Zero only where zero is written: in a list. */
static bool number_allowed(const ProtobufCFieldDescriptor *f, uint64_t v)
{
    if (v == 0 && f->label != PROTOBUF_C_LABEL_REPEATED)
        return false;
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT32:
        return v <= UINT32_MAX;
    case PROTOBUF_C_TYPE_UINT64:
        return true;
    case PROTOBUF_C_TYPE_BOOL:
        return v <= 1;
    case PROTOBUF_C_TYPE_ENUM:
        return v <= INT32_MAX &&
               protobuf_c_enum_descriptor_get_value(f->descriptor, (int)v) != NULL;
    default:
        return false; /* no other kind of number is used in liaison.proto */
    }
}

static bool scan_packed(const ProtobufCFieldDescriptor *f, struct slice body)
{
    struct scan s = {body.p, body.p + body.n};
    size_t count = 0;

    while (s.p < s.end) {
        uint64_t v;

        if (!scan_varint(&s, &v) || !number_allowed(f, v) || ++count > VALID_REPEATED_MAX)
            return false;
    }
    return count > 0;
}

static bool scan_message(const ProtobufCMessageDescriptor *d, struct slice bytes);

static bool scan_field(const ProtobufCFieldDescriptor *f, unsigned wire, struct scan *s)
{
    struct slice body;
    uint64_t v;

    if ((f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) != 0)
        return wire == WIRE_BYTES && scan_bytes(s, &body) && scan_packed(f, body);
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        return wire == WIRE_BYTES && scan_bytes(s, &body) &&
               (body.n > 0 || f->label == PROTOBUF_C_LABEL_REPEATED) &&
               (f->type == PROTOBUF_C_TYPE_BYTES || valid_utf8(body));
    case PROTOBUF_C_TYPE_MESSAGE:
        return wire == WIRE_BYTES && scan_bytes(s, &body) &&
               scan_message(f->descriptor, body);
    default:
        return wire == WIRE_VARINT && scan_varint(s, &v) && number_allowed(f, v);
    }
}

/* Members of one oneof share the place of their case. */
static bool first_of_oneof(const ProtobufCFieldDescriptor *f, unsigned seen[ONEOFS_MAX],
                           size_t *n)
{
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
        return true;
    for (size_t i = 0; i < *n; i++)
        if (seen[i] == f->quantifier_offset)
            return false;
    if (*n == ONEOFS_MAX)
        return false;
    seen[(*n)++] = f->quantifier_offset;
    return true;
}

static bool scan_message(const ProtobufCMessageDescriptor *d, struct slice bytes)
{
    struct scan s = {bytes.p, bytes.n == 0 ? bytes.p : bytes.p + bytes.n};
    unsigned oneofs[ONEOFS_MAX];
    size_t n_oneofs = 0, repeats = 0;
    uint64_t last = 0;

    while (s.p < s.end) {
        uint64_t tag;

        if (!scan_varint(&s, &tag) || tag >> 3 > UINT32_MAX)
            return false;
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));

        if (f == NULL || f->id < last)
            return false;
        if (f->id == last) {
            bool list = f->label == PROTOBUF_C_LABEL_REPEATED &&
                        !(f->flags & PROTOBUF_C_FIELD_FLAG_PACKED);

            if (!list || ++repeats >= VALID_REPEATED_MAX)
                return false;
        } else {
            repeats = 0;
            if (!first_of_oneof(f, oneofs, &n_oneofs))
                return false;
        }
        last = f->id;
        if (!scan_field(f, (unsigned)(tag & 7), &s))
            return false;
    }
    return true;
}

enum liaison_code valid_decode(const ProtobufCMessageDescriptor *d, struct slice bytes,
                               struct arena *a, const void **out)
{
    if (!scan_message(d, bytes))
        return LIAISON_MALFORMED;
    const void *m = protobuf_c_message_unpack(
        d, arena_allocator(a), bytes.n, bytes.n > 0 ? bytes.p : (const uint8_t *)"");

    if (m == NULL)
        return LIAISON_MEMORY;
    *out = m;
    return LIAISON_OK;
}

/* Length of the UTF-8 sequence that starts at p, or 0 (RFC 3629, 4). */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
    static const struct {
        uint8_t first_low, first_high, second_low, second_high;
        size_t len;
    } FORMS[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
        {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        if (p[0] < FORMS[i].first_low || p[0] > FORMS[i].first_high)
            continue;
        if (n < FORMS[i].len || p[1] < FORMS[i].second_low || p[1] > FORMS[i].second_high)
            return 0;
        for (size_t j = 2; j < FORMS[i].len; j++)
            if (p[j] < 0x80 || p[j] > 0xbf)
                return 0;
        return FORMS[i].len;
    }
    return 0;
}

bool valid_utf8(struct slice bytes)
{
    for (size_t i = 0; i < bytes.n;) {
        size_t len = bytes.p[i] > 0 && bytes.p[i] < 0x80
                         ? 1
                         : utf8_sequence(bytes.p + i, bytes.n - i);

        if (len == 0)
            return false;
        i += len;
    }
    return true;
}
