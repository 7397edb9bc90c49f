#include "client/json/form.h"

#include <openssl/evp.h>

#include "proto/id.h"

static const char HEX[] = "0123456789abcdef";

static const struct row {
    const char *message; /* NULL: in any */
    const char *field;
    enum form form;
} ROWS[] = {
    {"Signature", "certificate", FORM_BASE64}, /* DER; elsewhere its SHA-256 */
    {"Rule", "id", FORM_HEX},
    {NULL, "id", FORM_ID},
    {NULL, "case_id", FORM_ID},
    {NULL, "offer", FORM_ID},
    {NULL, "referral", FORM_ID},
    {NULL, "referral_id", FORM_ID},
    {NULL, "request_id", FORM_ID},
    {NULL, "digests", FORM_HEX},
    {NULL, "path", FORM_HEX},
    {NULL, "salt", FORM_HEX},
    {NULL, "nonce", FORM_HEX},
    {NULL, "rules", FORM_HEX},
    {NULL, "rule_set", FORM_HEX},
    {NULL, "opening", FORM_HEX},
    {NULL, "certificate", FORM_HEX},
    {NULL, "officer_commitment", FORM_HEX},
    {NULL, "case_commitment", FORM_HEX},
    {NULL, "counterpart_counter_commitment", FORM_HEX},
    {NULL, "content_commitment", FORM_HEX},
    {NULL, "returned_commitment", FORM_HEX},
};

enum form form_of(const ProtobufCMessageDescriptor *type, const char *field)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (strcmp(ROWS[i].field, field) == 0 &&
            (ROWS[i].message == NULL || strcmp(ROWS[i].message, type->short_name) == 0))
            return ROWS[i].form;
    return FORM_BASE64;
}

const char *form_name(enum form form)
{
    static const char *const NAMES[] = {
        [FORM_BASE64] = "base64",
        [FORM_HEX] = "lower-case hex",
        [FORM_ID] = "an id such as \"01890a5d-ac96-774b-bcce-b302099a8057\"",
    };

    return NAMES[form];
}

static char *print_hex(struct slice bytes, struct arena *a)
{
    char *out = arena_alloc(a, 2 * bytes.n + 1);

    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < bytes.n; i++) {
        out[2 * i] = HEX[bytes.p[i] >> 4];
        out[2 * i + 1] = HEX[bytes.p[i] & 15];
    }
    out[2 * bytes.n] = '\0';
    return out;
}

static char *print_base64(struct slice bytes, struct arena *a)
{
    if (bytes.n > INT32_MAX / 2)
        return NULL;
    char *out = arena_alloc(a, (bytes.n + 2) / 3 * 4 + 1);

    if (out != NULL)
        out[EVP_EncodeBlock((unsigned char *)out, bytes.p, (int)bytes.n)] = '\0';
    return out;
}

char *form_print(enum form form, struct slice bytes, struct arena *a)
{
    if (form == FORM_BASE64)
        return print_base64(bytes, a);
    if (form == FORM_HEX || bytes.n != ID_BYTES)
        return print_hex(bytes, a);
    char *out = arena_alloc(a, ID_TEXT);

    if (out != NULL)
        id_text(bytes.p, out);
    return out;
}

static enum liaison_code read_hex(const char *text, struct arena *a, struct slice *out)
{
    size_t n = strlen(text);

    if (n % 2 != 0 || strspn(text, HEX) != n)
        return LIAISON_JSON;
    uint8_t *bytes = arena_alloc(a, n / 2);

    if (bytes == NULL)
        return LIAISON_MEMORY;
    for (size_t i = 0; i < n / 2; i++) {
        long high = strchr(HEX, text[2 * i]) - HEX,
             low = strchr(HEX, text[2 * i + 1]) - HEX;

        bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = slice(bytes, n / 2);
    return LIAISON_OK;
}

/* libcrypto's decoder is generous with space, and nobody looks at the last bits; writing it again is the check. */
static enum liaison_code read_base64(const char *text, struct arena *a, struct slice *out)
{
    size_t n = strlen(text);

    if (n % 4 != 0 || n > INT32_MAX)
        return LIAISON_JSON;
    uint8_t *bytes = arena_alloc(a, n / 4 * 3);

    if (bytes == NULL)
        return LIAISON_MEMORY;
    if (n > 0 && EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n) < 0)
        return LIAISON_JSON;
    size_t padding = n == 0 || text[n - 1] != '=' ? 0 : text[n - 2] != '=' ? 1 : 2;
    struct slice read = slice(bytes, n / 4 * 3 - padding);
    const char *again = print_base64(read, a);

    if (again == NULL)
        return LIAISON_MEMORY;
    if (strcmp(again, text) != 0)
        return LIAISON_JSON;
    *out = read;
    return LIAISON_OK;
}

enum liaison_code form_read(enum form form, const char *text, struct arena *a,
                            struct slice *out)
{
    if (form == FORM_BASE64)
        return read_base64(text, a, out);
    if (form == FORM_HEX || strchr(text, '-') == NULL)
        return read_hex(text, a, out);
    uint8_t *bytes = arena_alloc(a, ID_BYTES);

    if (bytes == NULL)
        return LIAISON_MEMORY;
    if (!id_parse(text, bytes))
        return LIAISON_JSON;
    *out = slice(bytes, ID_BYTES);
    return LIAISON_OK;
}
