#include "client/audit/scan.h"

#include <stdlib.h>

#include "proto/valid.h"

enum { ENUM_WORDS = 4, WIRE_VARINT = 0, WIRE_BYTES = 2 };

/* What a field may be. */
struct scan_rule {
    bool known, number, text, repeated, is_enum;
    uint64_t most;                /* of a number */
    uint64_t allowed[ENUM_WORDS]; /* of an enum: one bit for each of its numbers */
};

struct scan {
    struct scan_rule rules[SCAN__FIELDS];
};

static bool enum_rule(const ProtobufCEnumDescriptor *d, struct scan_rule *r)
{
    r->is_enum = true;
    r->most = 64 * ENUM_WORDS - 1;
    for (unsigned i = 0; i < d->n_values; i++) {
        int v = d->values[i].value;

        if (v < 0 || v >= 64 * ENUM_WORDS)
            return false;
        r->allowed[v / 64] |= (uint64_t)1 << v % 64;
    }
    return true;
}

static bool make_rule(const ProtobufCFieldDescriptor *f, struct scan_rule *r)
{
    r->known = true;
    r->repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_ENUM:
        r->number = true;
        r->most = f->type == PROTOBUF_C_TYPE_UINT32 ? UINT32_MAX : UINT64_MAX;
        return !r->repeated &&
               (f->type != PROTOBUF_C_TYPE_ENUM || enum_rule(f->descriptor, r));
    case PROTOBUF_C_TYPE_STRING:
        r->text = true;
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        return true;
    default:
        return false;
    }
}

struct scan *scan_new(void)
{
    const ProtobufCMessageDescriptor *d = &liaison__v1__ledger_entry__descriptor;
    struct scan *s = calloc(1, sizeof *s);

    for (unsigned i = 0; s != NULL && i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];

        if (f->id < SCAN__FIELDS &&
            (f->flags & (PROTOBUF_C_FIELD_FLAG_PACKED | PROTOBUF_C_FIELD_FLAG_ONEOF)) ==
                0 &&
            make_rule(f, &s->rules[f->id]))
            continue;
        free(s);
        s = NULL;
    }
    return s;
}

void scan_free(struct scan *s)
{
    free(s);
}

/* One varint in its shortest form; most are of one byte. */
static inline bool varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;

    if (*p < end && **p < 0x80) {
        *out = *(*p)++;
        return true;
    }
    for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;

        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out = v;
            return byte != 0;
        }
    }
    return false;
}

/* Eight ASCII bytes at a time, none of them NUL; whatever else there is goes the slow way. */
static bool text_ok(struct slice t)
{
    const uint64_t ONES = 0x0101010101010101, HIGH = 0x8080808080808080;
    size_t i = 0;

    for (uint64_t w; i + sizeof w <= t.n; i += sizeof w) {
        memcpy(&w, t.p + i, sizeof w);
        if ((((w - ONES) | w) & HIGH) != 0)
            return valid_utf8(t);
    }
    for (; i < t.n; i++)
        if (t.p[i] == 0 || t.p[i] >= 0x80)
            return valid_utf8(t);
    return true;
}

static inline bool number_ok(const struct scan_rule *r, uint64_t v)
{
    if (v == 0 || v > r->most)
        return false;
    return !r->is_enum || (r->allowed[v / 64] >> v % 64 & 1) != 0;
}

static inline bool read_field(const struct scan_rule *r, unsigned wire, const uint8_t **p,
                              const uint8_t *end, uint64_t *number, struct slice *bytes)
{
    uint64_t v;

    if (wire != (r->number ? WIRE_VARINT : WIRE_BYTES) || !varint(p, end, &v))
        return false;
    if (r->number) {
        *number = v;
        return number_ok(r, v);
    }
    if (v > (uint64_t)(end - *p) || (v == 0 && !r->repeated))
        return false;
    *bytes = slice(*p, (size_t)v);
    *p += v;
    return !r->text || text_ok(*bytes);
}

bool scan_read(const struct scan *s, struct slice bytes, struct scan_entry *out)
{
    const uint8_t *p = bytes.p, *end = bytes.n == 0 ? p : p + bytes.n;
    uint64_t last = 0, tag;

    out->seen = 0;
    while (p < end) {
        if (!varint(&p, end, &tag) || tag >> 3 >= SCAN__FIELDS)
            return false;
        uint64_t id = tag >> 3;
        const struct scan_rule *r = &s->rules[id];

        if (!r->known || id < last || (id == last && !r->repeated))
            return false;
        out->times[id] = id == last ? out->times[id] + 1 : 1;
        if (out->times[id] > VALID_REPEATED_MAX ||
            !read_field(r, (unsigned)(tag & 7), &p, end, &out->number[id],
                        &out->bytes[id]))
            return false;
        out->seen |= (uint64_t)1 << id;
        last = id;
    }
    return true;
}
