#include "broker/rules/set.h"

/* Eight bytes at a time. Only what the operator wrote is ever put in, so nobody can choose collisions. */
static uint32_t hash_text(const char *text, size_t n)
{
    uint64_t h = n;

    while (n > 0) {
        uint64_t part = 0;
        size_t take = n < sizeof part ? n : sizeof part;

        memcpy(&part, text, take);
        h = (h ^ part) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
        text += take;
        n -= take;
    }
    return (uint32_t)(h ^ h >> 32);
}

struct name table_name(const char *text)
{
    size_t n = strlen(text);

    return (struct name){text, (uint32_t)n, hash_text(text, n)};
}

bool table_make(struct table *t, size_t n, struct arena *a)
{
    size_t slots = 8;

    while (slots < 2 * n)
        slots *= 2;
    t->mask = (uint32_t)(slots - 1);
    t->slots = arena_zero(a, slots * sizeof(struct name *));
    return t->slots != NULL;
}

static bool same(const struct name *a, const struct name *b)
{
    return a->hash == b->hash && a->len == b->len &&
           memcmp(a->text, b->text, a->len) == 0;
}

/* The slot that holds `name`, or the empty one where it belongs. */
static struct name **slot_of(const struct table *t, const struct name *name)
{
    uint32_t at = name->hash & t->mask;

    while (t->slots[at] != NULL && !same(t->slots[at], name))
        at = (at + 1) & t->mask;
    return &t->slots[at];
}

struct name *table_find(const struct table *t, const char *text)
{
    struct name name = table_name(text);

    return *slot_of(t, &name);
}

bool table_put(struct table *t, struct name *name)
{
    struct name **slot = slot_of(t, name);

    if (*slot != NULL)
        return false;
    *slot = name;
    return true;
}
