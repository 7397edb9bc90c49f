#pragma once
/* The files of tests/vectors, read with jansson. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Puts numbers beyond jansson's 63 bits in quotes. Returns the length; `quoted` has room for twice the text. */
static inline size_t quote_big_numbers(const char *text, char *quoted)
{
    size_t n = 0;

    for (const char *p = text; *p != '\0';) {
        size_t digits = strspn(p, "0123456789");
        bool big = digits >= 19 &&
                   (p[digits] == ',' || p[digits] == '}' || p[digits] == '\n') &&
                   p[-1] == ' ';

        if (big)
            quoted[n++] = '"';
        for (size_t i = digits > 0 ? digits : 1; i > 0; i--)
            quoted[n++] = *p++;
        if (big)
            quoted[n++] = '"';
    }
    return n;
}

static inline json_t *load(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text, *quoted;
    size_t size;
    json_error_t e;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        return NULL;
    size = (size_t)ftell(f);
    rewind(f);
    text = malloc(size + 1);
    quoted = malloc(2 * size + 1);
    text[fread(text, 1, size, f)] = '\0';
    fclose(f);
    json_t *v = json_loadb(quoted, quote_big_numbers(text, quoted), 0, &e);

    if (v == NULL)
        print_error("%s:%d: %s\n", path, e.line, e.text);
    free(text);
    free(quoted);
    return v;
}

static inline const json_t *member(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    assert_non_null(v);
    return v;
}

static inline const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(member(o, key));

    assert_non_null(s);
    return s;
}

/* A number, in quotes or not. */
static inline uint64_t number(const json_t *o, const char *key)
{
    const json_t *v = member(o, key);

    return json_is_string(v) ? strtoull(json_string_value(v), NULL, 10)
                             : (uint64_t)json_integer_value(v);
}

static inline bool accepts(const json_t *o, const char *key)
{
    return strcmp(text(o, key), "accept") == 0;
}

static inline size_t unhex(const char *hex, uint8_t *out, size_t room)
{
    size_t n = strlen(hex) / 2;

    assert_true(n <= room);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return n;
}

static inline void hex_of(const uint8_t *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", p[i]);
}
