/* Which key of which token: the URI, and the file that holds its PIN. */
#include "proto/tls_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "proto/tls_inner.h"

enum { PIN_MAX = 255 };

/* What a URI may say. A PIN is no attribute: see token_uri_parse(). */
static const struct attribute {
    const char *name;
    bool in_query;
    enum {
        NAMES_MORE,
        NAMES_TOKEN,
        NAMES_KEY,
        NAMES_TYPE,
        NAMES_MODULE,
        NAMES_PIN
    } names;
} ATTRIBUTES[] = {
    {"token", false, NAMES_TOKEN},       {"serial", false, NAMES_TOKEN},
    {"manufacturer", false, NAMES_MORE}, {"model", false, NAMES_MORE},
    {"object", false, NAMES_KEY},        {"id", false, NAMES_KEY},
    {"type", false, NAMES_TYPE},         {"module-path", true, NAMES_MODULE},
    {"pin-source", true, NAMES_PIN},
};

enum { N_ATTRIBUTES = sizeof ATTRIBUTES / sizeof *ATTRIBUTES };

struct parsing {
    struct token_uri *uri;
    bool seen[N_ATTRIBUTES];
    bool token, key, type;
    char *why;
    size_t why_len;
};

static enum liaison_code wrong(const struct parsing *p, const char *what)
{
    return tls_say(LIAISON_CONFIG, p->why, p->why_len, "the key's pkcs11: URI: %s", what);
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Takes the percent signs out; in.n bytes are room enough. Gives: how many bytes, or -1 if a sign has no two digits. */
static long decode(struct slice in, uint8_t *out)
{
    long n = 0;

    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = in.p[i];

        if (c == '%') {
            int high = in.n - i > 2 ? hex_digit(in.p[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(in.p[i + 2]) : -1;

            if (low < 0)
                return -1;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        out[n++] = c;
    }
    return n;
}

/* "file:/path" or "/path"; never a program. */
static enum liaison_code take_path(const struct parsing *p, struct slice value, char *out)
{
    uint8_t text[TOKEN_TEXT_MAX + 1];
    long n = decode(value, text);

    if (n < 0 || memchr(text, '\0', (size_t)n) != NULL)
        return wrong(p, "a path in it is not right");
    text[n] = '\0';
    const char *path = (const char *)text;

    path += strncmp(path, "file:", 5) == 0 ? 5 : 0;
    if (path[0] != '/')
        return wrong(p, "pin-source and module-path name a file from the root on, such "
                        "as file:/etc/liaison/pin");
    memcpy(out, path, strlen(path) + 1);
    return LIAISON_OK;
}

static enum liaison_code take_name(struct parsing *p, const struct attribute *a,
                                   struct slice value)
{
    uint8_t bytes[TOKEN_TEXT_MAX];

    if (decode(value, bytes) <= 0)
        return wrong(p, "an attribute has no good value");
    if (a->names == NAMES_TYPE && !slice_equal(value, slice_text("private")))
        return wrong(p, "its type is private, or is left out");
    p->type = p->type || a->names == NAMES_TYPE;
    p->token = p->token || a->names == NAMES_TOKEN;
    p->key = p->key || a->names == NAMES_KEY;
    return LIAISON_OK;
}

static enum liaison_code take_attribute(struct parsing *p, struct slice name,
                                        struct slice value, bool in_query)
{
    size_t i = 0;

    if (slice_equal(name, slice_text("pin-value")))
        return wrong(p, "pin-value is refused, for more people read settings than may "
                        "know a PIN; put it into a file (0600) and say "
                        "pin-source=file:/PATH");
    while (i < N_ATTRIBUTES && (ATTRIBUTES[i].in_query != in_query ||
                                !slice_equal(name, slice_text(ATTRIBUTES[i].name))))
        i++;
    if (i == N_ATTRIBUTES)
        return wrong(p, "expected token, serial, manufacturer, model, object, id, type, "
                        "and behind '?' module-path and pin-source");
    if (p->seen[i])
        return wrong(p, "an attribute stands in it twice");
    p->seen[i] = true;
    switch (ATTRIBUTES[i].names) {
    case NAMES_MODULE:
        return take_path(p, value, p->uri->module);
    case NAMES_PIN:
        return take_path(p, value, p->uri->pin_file);
    case NAMES_TOKEN:
    case NAMES_KEY:
    case NAMES_TYPE:
    case NAMES_MORE:
        break;
    }
    return take_name(p, &ATTRIBUTES[i], value);
}

/* The attributes of one part, between separators. */
static enum liaison_code take_part(struct parsing *p, struct slice part, char separator,
                                   bool in_query)
{
    while (part.n > 0) {
        const uint8_t *end = memchr(part.p, separator, part.n);
        size_t n = end != NULL ? (size_t)(end - part.p) : part.n;
        const uint8_t *equals = memchr(part.p, '=', n);

        if (equals == NULL)
            return wrong(p, "expected NAME=VALUE between its separators");
        size_t name = (size_t)(equals - part.p);
        enum liaison_code code = take_attribute(
            p, slice(part.p, name), slice(equals + 1, n - name - 1), in_query);

        if (code != LIAISON_OK)
            return code;
        n += end != NULL;
        part = slice(part.p + n, part.n - n);
    }
    return LIAISON_OK;
}

static bool printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

enum liaison_code token_uri_parse(const char *text, struct token_uri *out, char *why,
                                  size_t why_len)
{
    struct token_uri uri = {0};
    struct parsing p = {.uri = &uri, .why = why, .why_len = why_len};
    const char *path = text + sizeof "pkcs11:" - 1, *query = strchr(text, '?');
    enum liaison_code code;

    if (strlen(text) >= TOKEN_TEXT_MAX || !printable(text))
        return wrong(&p, "it is too long, or holds what is to be written as %XX");
    size_t n = query != NULL ? (size_t)(query - path) : strlen(path);

    if ((code = take_part(&p, slice(path, n), ';', false)) != LIAISON_OK ||
        (query != NULL &&
         (code = take_part(&p, slice_text(query + 1), '&', true)) != LIAISON_OK))
        return code;
    if (!p.token || !p.key)
        return wrong(&p, "it says which token (token or serial) and which key (object or "
                         "id)");
    snprintf(uri.object, sizeof uri.object, "pkcs11:%.*s%s", (int)n, path,
             p.type ? "" : ";type=private");
    *out = uri;
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- the PIN */

/* One line; the end of the line is not part of it. */
static enum liaison_code read_pin(const char *path, char pin[PIN_MAX + 1], char *why,
                                  size_t why_len)
{
    struct slice text = {0};
    enum liaison_code code = tls_read_file(path, true, &text, why, why_len);

    if (code != LIAISON_OK)
        return code;
    size_t n = text.n > 0 && text.p[text.n - 1] == '\n' ? text.n - 1 : text.n;

    if (n == 0 || n > PIN_MAX || memchr(text.p, '\n', n) != NULL ||
        memchr(text.p, '\0', n) != NULL)
        code = tls_say(LIAISON_PERMISSION, why, why_len,
                       "%s: expected a PIN alone in one line", path);
    else {
        memcpy(pin, text.p, n);
        pin[n] = '\0';
    }
    tls_file_free(text);
    return code;
}

enum liaison_code token_key(const char *text, EVP_PKEY **out, char *why, size_t why_len)
{
    struct token_uri uri;
    char pin[PIN_MAX + 1] = "";
    enum liaison_code code = token_uri_parse(text, &uri, why, why_len);
    EVP_PKEY *known = code == LIAISON_OK ? token_engine_known(&uri) : NULL;

    if (known != NULL) {
        *out = known;
        return LIAISON_OK;
    }
    if (code != LIAISON_OK)
        return code;
    const char *file =
        uri.pin_file[0] != '\0' ? uri.pin_file : secure_getenv("LIAISON_PIN_FILE");

    if (file != NULL)
        code = read_pin(file, pin, why, why_len);
    if (code == LIAISON_OK)
        code = token_engine_key(&uri, pin, out, why, why_len);
    OPENSSL_cleanse(pin, sizeof pin);
    return code;
}
