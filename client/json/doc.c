/* A JSON text and where things stand in it. jansson keeps no positions, so they are found again from the path. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/json/json.h"

struct json_doc {
    char *name;
    char *text; /* NUL-terminated; valid JSON once root is set */
    size_t len, max;
    json_t *root;
    char why[640];
};

struct json_doc *json_doc_new(const char *name)
{
    struct json_doc *d = calloc(1, sizeof *d);

    if (d == NULL)
        return NULL;
    d->max = JSON_DOC_BYTES;
    d->name = strdup(name);
    if (d->name == NULL) {
        free(d);
        return NULL;
    }
    return d;
}

void json_doc_free(struct json_doc *d)
{
    if (d == NULL)
        return;
    json_decref(d->root);
    free(d->text);
    free(d->name);
    free(d);
}

void json_doc_limit(struct json_doc *d, size_t bytes)
{
    d->max = bytes;
}

json_t *json_doc_root(const struct json_doc *d)
{
    return d->root;
}

const char *json_doc_why(const struct json_doc *d)
{
    return d->why;
}

__attribute__((format(printf, 3, 4))) static enum liaison_code
fail(struct json_doc *d, enum liaison_code code, const char *format, ...)
{
    int used = snprintf(d->why, sizeof d->why, "%s:", d->name);
    va_list args;

    if (used < 0 || (size_t)used >= sizeof d->why)
        used = 0;
    va_start(args, format);
    vsnprintf(d->why + used, sizeof d->why - (size_t)used, format, args);
    va_end(args);
    return code;
}

/* ---- text */

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* Past the string that starts at p; stops at the NUL of a string that does not end. */
static const char *skip_string(const char *p)
{
    for (p++; *p != '\0' && *p != '"'; p++)
        if (*p == '\\' && p[1] != '\0')
            p++;
    return *p == '"' ? p + 1 : p;
}

/* Past the value that starts at p, in text that jansson took. */
static const char *skip_value(const char *p)
{
    size_t depth = 0;

    do {
        if (*p == '"') {
            p = skip_string(p);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        else if (depth == 0)
            return p + strcspn(p, ",]} \t\r\n");
        p++;
    } while (depth > 0 && *p != '\0');
    return p;
}

static void line_and_column(const char *text, const char *at, size_t *line,
                            size_t *column)
{
    *line = 1;
    *column = 1;
    for (const char *p = text; p < at; p++) {
        if (*p == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)*p & 0xc0) != 0x80) { /* columns count characters */
            ++*column;
        }
    }
}

/* jansson recurses; this looks first, without recursion. NULL if the text is shallow enough. */
static const char *too_deep(const char *p)
{
    size_t depth = 0;

    while (*p != '\0') {
        if (*p == '"') {
            p = skip_string(p);
            continue;
        }
        if ((*p == '{' || *p == '[') && ++depth > JSON_DOC_DEPTH)
            return p;
        if ((*p == '}' || *p == ']') && depth > 0)
            depth--;
        p++;
    }
    return NULL;
}

/* An error of our own at a place in text that is not read yet. */
static enum liaison_code fail_at(struct json_doc *d, const char *at, const char *sentence)
{
    size_t line, column;

    line_and_column(d->text, at, &line, &column);
    return fail(d, LIAISON_JSON, "%zu:%zu: %s", line, column, sentence);
}

static enum liaison_code parse(struct json_doc *d)
{
    const char *nul = memchr(d->text, '\0', d->len);
    const char *deep = too_deep(d->text);
    json_error_t e;

    if (nul != NULL) /* jansson 2.14 skips one behind a number */
        return fail_at(d, nul, "a NUL byte");
    if (deep != NULL)
        return fail_at(d, deep, "nested deeper than 64 levels");
    d->root = json_loadb(d->text, d->len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (d->root == NULL) {
        if (json_error_code(&e) == json_error_out_of_memory)
            return fail(d, LIAISON_MEMORY, " out of memory");
        return fail(d, LIAISON_JSON, "%d:%d: %s", e.line, e.column > 0 ? e.column : 1,
                    e.text);
    }
    if (json_is_object(d->root))
        return LIAISON_OK;
    json_decref(d->root);
    d->root = NULL;
    return fail(d, LIAISON_JSON, "1:1: expected an object: {...}");
}

static_assert(JSON_DOC_DEPTH == 64, "parse() says so in words");

enum liaison_code json_doc_text(struct json_doc *d, struct slice text)
{
    if (text.n > d->max)
        return fail(d, LIAISON_TOO_LARGE, " larger than %zu bytes", d->max);
    d->text = malloc(text.n + 1);
    if (d->text == NULL)
        return fail(d, LIAISON_MEMORY, " out of memory");
    if (text.n > 0)
        memcpy(d->text, text.p, text.n);
    d->text[text.n] = '\0';
    d->len = text.n;
    return parse(d);
}

/* Reads all of fd, at most one byte more than the limit. Returns false with errno set. */
static bool read_all(struct json_doc *d, int fd)
{
    d->text = malloc(d->max + 2);
    if (d->text == NULL)
        return false;
    for (;;) {
        ssize_t n = read(fd, d->text + d->len, d->max + 1 - d->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        d->len += (size_t)n;
        if (n == 0 || d->len > d->max)
            break;
    }
    d->text[d->len] = '\0';
    return true;
}

enum liaison_code json_doc_file(struct json_doc *d, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail(d, LIAISON_FILE, " cannot open: %s", strerror(errno));
    bool ok = read_all(d, fd);
    int reason = errno;

    if (!standard)
        close(fd);
    if (!ok)
        return fail(d, LIAISON_FILE, " cannot read: %s", strerror(reason));
    if (d->len > d->max)
        return fail(d, LIAISON_TOO_LARGE, " larger than %zu bytes", d->max);
    return parse(d);
}

/* ---- places */

/* Is the string token at p this key? Tokens may spell characters as escapes, so jansson reads it. */
static bool key_is(const char *p, const char *key)
{
    json_t *s = json_loadb(p, (size_t)(skip_string(p) - p), JSON_DECODE_ANY, NULL);
    bool same = s != NULL && strcmp(json_string_value(s), key) == 0;

    json_decref(s);
    return same;
}

/* From the '{' at p to the member called `key`, or NULL. */
static const char *find_member(const char *p, const char *key, enum json_at where)
{
    for (p = skip_space(p + 1); *p == '"'; p = skip_space(p)) {
        const char *value = skip_space(skip_string(p));

        if (*value != ':')
            return NULL;
        value = skip_space(value + 1);
        if (key_is(p, key))
            return where == JSON_AT_KEY ? p : value;
        p = skip_space(skip_value(value));
        if (*p == ',')
            p++;
    }
    return NULL;
}

static const char *find_element(const char *p, size_t index)
{
    p = skip_space(p + 1);
    while (*p != ']' && *p != '\0') {
        if (index-- == 0)
            return p;
        p = skip_space(skip_value(p));
        if (*p == ',')
            p = skip_space(p + 1);
    }
    return NULL;
}

/* Where a place's value (or key) starts in the text, or NULL. As deep as the document at most. */
static const char *find(const char *text, const struct json_path *at, enum json_at where)
{
    if (at == NULL)
        return skip_space(text);
    const char *p = find(text, at->up, JSON_AT_VALUE);

    if (p == NULL)
        return NULL;
    if (at->key != NULL)
        return *p == '{' ? find_member(p, at->key, where) : NULL;
    return *p == '[' ? find_element(p, at->index) : NULL;
}

static void path_text(const struct json_path *at, char *out, size_t out_len)
{
    if (at == NULL)
        return;
    path_text(at->up, out, out_len);
    size_t used = strlen(out);

    if (at->key == NULL)
        snprintf(out + used, out_len - used, "[%zu]", at->index);
    else
        snprintf(out + used, out_len - used, "%s%.63s", used > 0 ? "." : "", at->key);
}

enum liaison_code json_doc_fail(struct json_doc *d, const struct json_path *at,
                                enum json_at where, const char *format, ...)
{
    const char *p = d->text != NULL ? find(d->text, at, where) : NULL;
    size_t line = 1, column = 1;
    char path[200] = "", sentence[400];
    va_list args;

    if (p != NULL)
        line_and_column(d->text, p, &line, &column);
    path_text(at, path, sizeof path);
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    snprintf(d->why, sizeof d->why, "%s:%zu:%zu: %s%s%s", d->name, line, column, path,
             path[0] != '\0' ? ": " : "", sentence);
    return LIAISON_JSON;
}

struct slice json_doc_compact(const struct json_doc *d, const struct json_path *at,
                              struct arena *a)
{
    const char *p = find(d->text, at, JSON_AT_VALUE);

    if (p == NULL)
        return slice(NULL, 0);
    const char *end = skip_value(p);
    char *out = arena_alloc(a, (size_t)(end - p) + 1);
    size_t n = 0;

    if (out == NULL)
        return slice(NULL, 0);
    while (p < end) {
        const char *next = *p == '"' ? skip_string(p) : p + 1;

        if (strchr(" \t\r\n", *p) == NULL) {
            memcpy(out + n, p, (size_t)(next - p));
            n += (size_t)(next - p);
        }
        p = next;
    }
    out[n] = '\0';
    return slice(out, n);
}
