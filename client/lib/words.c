#include "client/lib/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* "SUBJECT_CATEGORY_" of "SUBJECT_CATEGORY_UNSPECIFIED": what all names of the enum begin with. */
static size_t prefix_len(const ProtobufCEnumDescriptor *d)
{
    const char *zero = protobuf_c_enum_descriptor_get_value(d, 0)->name;

    return strlen(zero) - strlen("UNSPECIFIED");
}

static char letter(char c)
{
    return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

int words_number(const ProtobufCEnumDescriptor *d, const char *word)
{
    size_t skip = prefix_len(d);

    for (unsigned i = 0; i < d->n_values; i++) {
        const char *name = d->values[i].name + skip, *w = word;

        while (*name != '\0' && letter(*name) == *w) {
            name++;
            w++;
        }
        if (*name == '\0' && *w == '\0')
            return d->values[i].value;
    }
    return 0;
}

const char *words_word(const ProtobufCEnumDescriptor *d, int number, char out[48])
{
    const ProtobufCEnumValue *v =
        number == 0 ? NULL : protobuf_c_enum_descriptor_get_value(d, number);
    const char *name = v == NULL ? "" : v->name + prefix_len(d);
    size_t i;

    for (i = 0; name[i] != '\0' && i < 47; i++)
        out[i] = letter(name[i]);
    out[i] = '\0';
    return out;
}

const char *words_list(const ProtobufCEnumDescriptor *d, char *out, size_t n)
{
    size_t at = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < d->n_values; i++) {
        char word[48];
        size_t len = strlen(words_word(d, d->values[i].value, word));

        if (len == 0 || at + len + 4 > n)
            continue;
        if (at > 0) {
            memcpy(out + at, " | ", 3);
            at += 3;
        }
        memcpy(out + at, word, len + 1);
        at += len;
    }
    return out;
}

bool words_u64(const char *text, uint64_t max, uint64_t *out)
{
    unsigned long long v;

    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    v = strtoull(text, NULL, 10);
    if (errno != 0 || v > max)
        return false;
    *out = v;
    return true;
}

static int digit(char c)
{
    static const char HEX[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(HEX, tolower((unsigned char)c));

    return at == NULL ? -1 : (int)(at - HEX);
}

bool words_hex16(const char *text, uint8_t out[16])
{
    uint8_t bytes[16];

    if (strlen(text) != 32)
        return false;
    for (size_t i = 0; i < 16; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out, bytes, sizeof bytes);
    return true;
}
