#include "proto/commit.h"

#include <openssl/crypto.h>

void commit_make(struct hash *h, const uint8_t opening[32], enum commit_field f,
                 struct slice value, uint8_t out[32])
{
    static const char PREFIX[] = "liaison/1 commitment\n";
    uint8_t head[sizeof PREFIX - 1 + 6];

    memcpy(head, PREFIX, sizeof PREFIX - 1);
    be16_put(head + sizeof PREFIX - 1, (uint16_t)f);
    be32_put(head + sizeof PREFIX + 1, (uint32_t)value.n);
    hash_hmac(h, opening, (struct slice[]){{head, sizeof head}, value}, 2, out);
}

static const ProtobufCBinaryData *committed(const Liaison__V1__LedgerEntry *e,
                                            enum commit_field f)
{
    switch (f) {
    case COMMIT_OFFICER:
        return &e->officer_commitment;
    case COMMIT_CASE:
        return &e->case_commitment;
    case COMMIT_COUNTERPART_COUNTER:
        return &e->counterpart_counter_commitment;
    case COMMIT_CONTENT:
        return &e->content_commitment;
    case COMMIT_RETURNED:
        return &e->returned_commitment;
    }
    return NULL;
}

bool commit_check(struct hash *h, const uint8_t opening[32], enum commit_field f,
                  struct slice value, const Liaison__V1__LedgerEntry *e)
{
    const ProtobufCBinaryData *have = committed(e, f);
    uint8_t want[32];

    if (have == NULL || have->len != sizeof want)
        return false;
    commit_make(h, opening, f, value, want);
    return CRYPTO_memcmp(want, have->data, sizeof want) == 0;
}
