#include "proto/commit.h"

#include <openssl/crypto.h>

static const char PREFIX[] = "liaison/1 commitment\n";

struct head {
    uint8_t bytes[sizeof PREFIX - 1 + 6];
};

static struct head head_of(enum commit_field f, size_t value_len)
{
    struct head head;

    memcpy(head.bytes, PREFIX, sizeof PREFIX - 1);
    be16_put(head.bytes + sizeof PREFIX - 1, (uint16_t)f);
    be32_put(head.bytes + sizeof PREFIX + 1, (uint32_t)value_len);
    return head;
}

void commit_make(struct hash *h, const uint8_t opening[32], enum commit_field f,
                 struct slice value, uint8_t out[32])
{
    const struct head head = head_of(f, value.n);

    hash_hmac(h, opening, (struct slice[]){{head.bytes, sizeof head.bytes}, value}, 2,
              out);
}

void commit_summary(struct hash *h, const uint8_t opening[32], const char *party,
                    uint64_t counter, uint8_t out[32])
{
    const struct slice name = slice_text(party);
    const struct head head = head_of(COMMIT_SUMMARY, name.n + 8);
    uint8_t number[8];

    be64_put(number, counter);
    hash_hmac(h, opening,
              (struct slice[]){{head.bytes, sizeof head.bytes}, name, {number, 8}}, 3,
              out);
}

bool commit_in_summary(struct hash *h, const uint8_t opening[32], const char *party,
                       uint64_t counter, const Liaison__V1__LedgerEntry *e)
{
    uint8_t want[32];

    commit_summary(h, opening, party, counter, want);
    for (size_t i = 0; i < e->n_summary; i++)
        if (e->summary[i].len == sizeof want &&
            CRYPTO_memcmp(want, e->summary[i].data, sizeof want) == 0)
            return true;
    return false;
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
    case COMMIT_SUMMARY: /* one of many: commit_in_summary() */
        break;
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
