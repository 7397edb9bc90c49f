#include "proto/id.h"

#include <stdio.h>

static const uint64_t PAST_MS = 30ULL * 24 * 3600 * 1000;
static const uint64_t FUTURE_MS = 5ULL * 60 * 1000;

void id_make(uint64_t unix_ms, const uint8_t random[10], uint8_t out[ID_BYTES])
{
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)(unix_ms >> (40 - 8 * i));
    memcpy(out + 6, random, 10);
    out[6] = (uint8_t)(0x70 | (out[6] & 0x0f));
    out[8] = (uint8_t)(0x80 | (out[8] & 0x3f));
}

bool id_valid(struct slice id)
{
    return id.n == ID_BYTES && id.p[6] >> 4 == 7 && id.p[8] >> 6 == 2;
}

bool id_fresh(struct slice id, uint64_t now_unix_ms)
{
    if (!id_valid(id))
        return false;
    uint64_t made_ms = be64_get(id.p) >> 16;

    return made_ms + PAST_MS >= now_unix_ms && made_ms <= now_unix_ms + FUTURE_MS;
}

/* Dashes of the text form stand before these bytes. */
static bool dash_before(int byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void id_text(const uint8_t id[ID_BYTES], char out[ID_TEXT])
{
    static const char HEX[] = "0123456789abcdef";

    for (int i = 0; i < ID_BYTES; i++) {
        if (dash_before(i))
            *out++ = '-';
        *out++ = HEX[id[i] >> 4];
        *out++ = HEX[id[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool id_parse(const char *text, uint8_t out[ID_BYTES])
{
    uint8_t id[ID_BYTES];

    if (strlen(text) != ID_TEXT - 1)
        return false;
    for (int i = 0; i < ID_BYTES; i++) {
        if (dash_before(i) && *text++ != '-')
            return false;
        int high = hex_digit(text[0]), low = hex_digit(text[1]);

        if (high < 0 || low < 0)
            return false;
        id[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    memcpy(out, id, sizeof id);
    return true;
}

static bool word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool id_name(const char *text)
{
    size_t segments = 1, in_segment = 0, n = 0;

    for (; text[n] != '\0'; n++) {
        if (n >= ID_NAME_MAX)
            return false;
        if (word_byte(text[n])) {
            in_segment++;
        } else if (text[n] == '/' && in_segment > 0) {
            segments++;
            in_segment = 0;
        } else {
            return false;
        }
    }
    return in_segment > 0 && segments <= ID_NAME_SEGMENTS;
}

bool id_word(const char *text)
{
    size_t n = 0;

    while (word_byte(text[n]))
        if (++n > ID_WORD_MAX)
            return false;
    return n > 0 && text[n] == '\0';
}

static bool officer_byte(char c)
{
    return word_byte(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '_';
}

bool id_officer(const char *text)
{
    size_t n = 0;

    while (officer_byte(text[n]))
        if (++n > ID_OFFICER_MAX)
            return false;
    return n > 0 && text[n] == '\0';
}
