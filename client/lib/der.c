#include "client/lib/der.h"

void der_put(struct der_out *o, struct slice bytes)
{
    if (o->full || bytes.n > (size_t)(o->at - o->start)) {
        o->full = true;
        return;
    }
    o->at -= bytes.n;
    if (bytes.n > 0)
        memcpy(o->at, bytes.p, bytes.n);
}

void der_head(struct der_out *o, uint8_t tag, const uint8_t *end)
{
    size_t n = (size_t)(end - o->at), octets = 0;
    uint8_t head[2 + sizeof n];

    head[0] = tag;
    head[1] = (uint8_t)n;
    if (n >= 0x80) {
        for (size_t rest = n; rest > 0; rest >>= 8)
            octets++;
        head[1] = (uint8_t)(0x80 | octets);
        for (size_t i = 0; i < octets; i++)
            head[2 + i] = (uint8_t)(n >> 8 * (octets - 1 - i));
    }
    der_put(o, slice(head, 2 + octets));
}

/* The long form of a length: in its shortest form only. */
static bool long_length(const struct slice *in, size_t octets, size_t *len)
{
    size_t n = 0;

    if (octets == 0 || octets > 4 || in->n < 2 + octets || in->p[2] == 0)
        return false;
    for (size_t i = 0; i < octets; i++)
        n = n << 8 | in->p[2 + i];
    *len = n;
    return n >= 0x80;
}

bool der_take(struct slice *in, uint8_t tag, struct slice *body)
{
    size_t octets = 0, len;

    if (in->n < 2 || in->p[0] != tag)
        return false;
    len = in->p[1];
    if (len >= 0x80) {
        octets = len & 0x7f;
        if (!long_length(in, octets, &len))
            return false;
    }
    if (len > in->n - 2 - octets)
        return false;
    *body = slice(in->p + 2 + octets, len);
    *in = slice(body->p + len, in->n - 2 - octets - len);
    return true;
}

bool der_expect(struct slice *in, struct slice bytes)
{
    if (in->n < bytes.n || memcmp(in->p, bytes.p, bytes.n) != 0)
        return false;
    *in = slice(in->p + bytes.n, in->n - bytes.n);
    return true;
}
