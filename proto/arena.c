#include "proto/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum {
    BLOCK_BYTES = 8192,     /* the first; each further one is twice its forerunner ... */
    BLOCK_MAX = 256 * 1024, /* ... up to this */
    KEPT_MAX = 4 << 20,     /* what a reset keeps for the next use */
    ALIGN = alignof(max_align_t),
};

struct block {
    struct block *next;
    size_t size, used; /* of data */
    alignas(max_align_t) uint8_t data[];
};

struct arena {
    struct block *
        head; /* the one being filled; the oldest, which holds the arena itself, is last */
    struct block *spare; /* emptied by arena_reset() */
    ProtobufCAllocator allocator;
};

static void *allocator_alloc(void *data, size_t n)
{
    return arena_alloc(data, n);
}

static void allocator_free(void *data, void *p)
{
    (void)data;
    (void)p;
}

static struct block *block_new(size_t size, struct block *next)
{
    if (size > SIZE_MAX - sizeof(struct block))
        return NULL;
    struct block *b = malloc(sizeof *b + size);

    if (b != NULL)
        *b = (struct block){.next = next, .size = size};
    return b;
}

struct arena *arena_new(void)
{
    struct block *b = block_new(BLOCK_BYTES - sizeof(struct block), NULL);

    if (b == NULL)
        return NULL;
    struct arena *a = arena_alloc(&(struct arena){.head = b},
                                  sizeof *a); /* lives in its own first block */

    a->head = b;
    a->spare = NULL;
    a->allocator = (ProtobufCAllocator){allocator_alloc, allocator_free, a};
    return a;
}

static void free_blocks(struct block *b)
{
    while (b != NULL) {
        struct block *next = b->next;

        free(b);
        b = next;
    }
}

void arena_free(struct arena *a)
{
    if (a == NULL)
        return;
    free_blocks(a->spare);
    free_blocks(a->head); /* the last of them is the arena's own */
}

void arena_reset(struct arena *a)
{
    size_t kept = 0;

    for (struct block *b = a->spare; b != NULL; b = b->next)
        kept += b->size;
    while (a->head->next != NULL) {
        struct block *b = a->head;

        a->head = b->next;
        if (kept + b->size > KEPT_MAX) {
            free(b);
            continue;
        }
        kept += b->size;
        b->used = 0;
        b->next = a->spare;
        a->spare = b;
    }
    a->head->used = (sizeof *a + ALIGN - 1) / ALIGN * ALIGN; /* the arena itself stays */
}

/* A block with room for n bytes in front of the others. */
static bool grow(struct arena *a, size_t n)
{
    struct block *b = a->spare;

    if (b != NULL && b->size >= n) {
        a->spare = b->next;
        b->next = a->head;
    } else {
        size_t size = a->head->size * 2 < BLOCK_MAX ? a->head->size * 2 : BLOCK_MAX;

        b = block_new(n > size ? n : size, a->head);
    }
    if (b != NULL)
        a->head = b;
    return b != NULL;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    if (n > a->head->size - a->head->used && !grow(a, n))
        return NULL;
    void *p = a->head->data + a->head->used;

    a->head->used += n;
    return p;
}

void *arena_zero(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);

    if (p != NULL)
        memset(p, 0, n);
    return p;
}

uint8_t *arena_copy(struct arena *a, struct slice bytes)
{
    uint8_t *p = arena_alloc(a, bytes.n + 1);

    if (p == NULL)
        return NULL;
    if (bytes.n > 0)
        memcpy(p, bytes.p, bytes.n);
    p[bytes.n] = 0;
    return p;
}

ProtobufCAllocator *arena_allocator(struct arena *a)
{
    return &a->allocator;
}

struct slice arena_pack(struct arena *a, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = arena_alloc(a, n);

    if (p == NULL)
        return slice(NULL, 0);
    return slice(p, protobuf_c_message_pack(m, p));
}
