/* Puts texts in order that begin alike for long: eight bytes at a time, and never again those already compared. */
#include <stdlib.h>

#include "broker/rules/set.h"

enum { KEY_BYTES = 8, DEPTH_MAX = 64 };

static int by_key(const void *x, const void *y)
{
    const struct ordered *a = x, *b = y;

    return (a->key > b->key) - (a->key < b->key);
}

static int by_rest(const void *x, const void *y)
{
    const struct ordered *a = x, *b = y;
    int order = strcmp(a->text, b->text);

    return order != 0
               ? order
               : (a->draft_index > b->draft_index) - (a->draft_index < b->draft_index);
}

/* The bytes from `at` on as a number that compares as they do; zeros behind the end. */
static uint64_t key_at(const char *text, size_t at)
{
    uint64_t key = 0;
    size_t n = strnlen(text + at, KEY_BYTES);

    for (size_t i = 0; i < KEY_BYTES; i++)
        key = key << 8 | (i < n ? (uint8_t)text[at + i] : 0);
    return key;
}

/* All texts of the list are alike up to `at`, and none ends before it. */
static void order_from(struct ordered *list, size_t n, size_t at, int depth)
{
    bool alike = n > 1;

    for (; alike; at += KEY_BYTES) {
        for (size_t i = 0; i < n; i++) {
            list[i].key = key_at(list[i].text, at);
            alike = alike && list[i].key == list[0].key;
        }
        if (alike && (list[0].key & 0xff) == 0)
            break; /* the same to the end */
    }
    if (n < 2)
        return;
    if (alike || depth == DEPTH_MAX) {
        qsort(list, n, sizeof *list, by_rest);
        return;
    }
    qsort(list, n, sizeof *list, by_key);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && list[end].key == list[i].key; end++)
            ;
        order_from(list + i, end - i, (list[i].key & 0xff) != 0 ? at : at - KEY_BYTES,
                   depth + 1);
    }
}

void rules_order(struct ordered *list, size_t n)
{
    order_from(list, n, 0, 0);
}
