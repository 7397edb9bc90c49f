#include "broker/notary/wire.h"

#include <stdio.h>

enum { OLD_AT = 8, SIZE_AT = 16, ROOT_AT = 24, PROOF_AT = 56 };
enum {
    STATUS_SIZE_AT = 8,
    STATUS_ROOT_AT = 16,
    KEY_AT = 48,
    NOTE_LEN_AT = KEY_AT + NOTE_KEY_TEXT_MAX,
    NOTE_AT = NOTE_LEN_AT + 4
};

/* All that a notary ever answers. */
static const enum liaison_code CODES[] = {
    LIAISON_OK,     LIAISON_FORK,     LIAISON_PROOF,     LIAISON_IO,
    LIAISON_CONFIG, LIAISON_UNSIGNED, LIAISON_MALFORMED, LIAISON_INTERNAL,
};

static bool is_known(uint32_t code)
{
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if ((uint32_t)CODES[i] == code)
            return true;
    return false;
}

void wire_put_request(enum wire_kind kind, const struct notary_tree *t,
                      uint8_t out[WIRE_REQUEST_BYTES])
{
    memset(out, 0, WIRE_REQUEST_BYTES);
    be32_put(out, (uint32_t)kind);
    if (t == NULL)
        return;
    be32_put(out + 4, (uint32_t)t->proof_len);
    be64_put(out + OLD_AT, t->old_size);
    be64_put(out + SIZE_AT, t->size);
    memcpy(out + ROOT_AT, t->root, HASH_BYTES);
    memcpy(out + PROOF_AT, t->proof, t->proof_len * HASH_BYTES);
}

bool wire_get_request(struct slice message, enum wire_kind *kind, struct notary_tree *t)
{
    if (message.n != WIRE_REQUEST_BYTES)
        return false;
    uint32_t said = be32_get(message.p), proof_len = be32_get(message.p + 4);
    uint64_t old_size = be64_get(message.p + OLD_AT),
             size = be64_get(message.p + SIZE_AT);

    if (said < WIRE_STATUS || said > WIRE_ROTATION || proof_len > MERKLE_PROOF_MAX ||
        old_size > INT64_MAX || size > INT64_MAX)
        return false;
    *kind = (enum wire_kind)said;
    t->proof_len = proof_len;
    t->old_size = old_size;
    t->size = size;
    memcpy(t->root, message.p + ROOT_AT, HASH_BYTES);
    memcpy(t->proof, message.p + PROOF_AT, proof_len * HASH_BYTES);
    return true;
}

void wire_put_answer(const struct notary_answer *a, uint8_t out[WIRE_ANSWER_BYTES])
{
    char key[NOTE_KEY_TEXT_MAX] = "";

    memset(out, 0, WIRE_ANSWER_BYTES);
    note_key_print(&a->status.key, key);
    be32_put(out, (uint32_t)a->code);
    be32_put(out + 4, a->status.has_state);
    be64_put(out + STATUS_SIZE_AT, a->status.size);
    memcpy(out + STATUS_ROOT_AT, a->status.root, HASH_BYTES);
    memcpy(out + KEY_AT, key, sizeof key);
    be32_put(out + NOTE_LEN_AT, (uint32_t)a->note_len);
    memcpy(out + NOTE_AT, a->note, a->note_len);
}

bool wire_get_answer(struct slice message, struct notary_answer *a)
{
    struct note_key key;

    if (message.n != WIRE_ANSWER_BYTES)
        return false;
    const char *text = (const char *)message.p + KEY_AT;
    uint32_t code = be32_get(message.p), has_state = be32_get(message.p + 4);
    uint32_t note_len = be32_get(message.p + NOTE_LEN_AT);

    if (!is_known(code) || has_state > 1 || note_len > sizeof a->note ||
        memchr(text, '\0', NOTE_KEY_TEXT_MAX) == NULL ||
        note_key_parse(text, &key) != LIAISON_OK)
        return false;
    a->code = (enum liaison_code)code;
    a->status.key = key;
    a->status.has_state = has_state == 1;
    a->status.size = be64_get(message.p + STATUS_SIZE_AT);
    memcpy(a->status.root, message.p + STATUS_ROOT_AT, HASH_BYTES);
    a->note_len = note_len;
    memcpy(a->note, message.p + NOTE_AT, note_len);
    return true;
}

void wire_put_greeting(enum liaison_code code, const char *why,
                       uint8_t out[WIRE_GREETING_BYTES])
{
    memset(out, 0, WIRE_GREETING_BYTES);
    be32_put(out, (uint32_t)code);
    snprintf((char *)out + 4, WIRE_WHY_MAX, "%s", why);
}

bool wire_get_greeting(struct slice message, enum liaison_code *code, char *why,
                       size_t why_len)
{
    if (message.n != WIRE_GREETING_BYTES ||
        memchr(message.p + 4, '\0', WIRE_WHY_MAX) == NULL)
        return false;
    *code = (enum liaison_code)be32_get(message.p);
    snprintf(why, why_len, "%s", (const char *)message.p + 4);
    return true;
}
