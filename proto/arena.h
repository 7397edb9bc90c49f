#pragma once
/* Memory that is released all at once: everything one call decodes or answers lives in one arena. */
#include <protobuf-c/protobuf-c.h>

#include "proto/slice.h"

struct arena;

/* Gives: a new arena, or NULL when memory is out. */
struct arena *arena_new(void);

/* Releases the arena and all that came from it. NULL is harmless. */
void arena_free(struct arena *a);

/* Forgets all that came from it; keeps up to 4 MiB for the next use. */
void arena_reset(struct arena *a);

/* n bytes, aligned for any type, not cleared; NULL when memory is out. Lives as long as the arena.
 * n may be 0: the pointer is valid and points at nothing. */
void *arena_alloc(struct arena *a, size_t n);

/* The same, cleared. */
void *arena_zero(struct arena *a, size_t n);

/* A copy of `bytes` with a NUL behind it, so that text stays text. NULL when memory is out. */
uint8_t *arena_copy(struct arena *a, struct slice bytes);

/* The arena as protobuf-c wants it; frees are ignored. Lives as long as the arena. */
ProtobufCAllocator *arena_allocator(struct arena *a);

/* Encodes a message into the arena. {NULL, 0} when memory is out. */
struct slice arena_pack(struct arena *a, const ProtobufCMessage *m);
