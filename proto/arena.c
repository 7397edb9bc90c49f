#include "proto/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 8192, ALIGN = alignof(max_align_t) };

struct block {
    struct block *next;
    size_t size, used; /* of data */
    alignas(max_align_t) uint8_t data[];
};

struct arena {
    struct block
        *head; /* the one being filled; the oldest is last and is kept by arena_reset() */
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
    a->allocator = (ProtobufCAllocator){allocator_alloc, allocator_free, a};
    return a;
}

static struct block *oldest(struct arena *a)
{
    struct block *b = a->head;

    while (b->next != NULL) {
        struct block *next = b->next;

        free(b);
        b = next;
    }
    return b;
}

void arena_free(struct arena *a)
{
    if (a != NULL)
        free(oldest(a));
}

void arena_reset(struct arena *a)
{
    struct block *b = oldest(a);

    b->used = (sizeof *a + ALIGN - 1) / ALIGN * ALIGN; /* the arena itself stays */
    a->head = b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    if (n > a->head->size - a->head->used) {
        size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        struct block *b = block_new(size, a->head);

        if (b == NULL)
            return NULL;
        a->head = b;
    }
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
