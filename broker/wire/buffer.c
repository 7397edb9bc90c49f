#include "broker/wire/buffer.h"

#include <stdlib.h>

enum { ROOM_FIRST = 4096 };

static void compact(struct buffer *b)
{
    if (b->from == 0)
        return;
    memmove(b->bytes, b->bytes + b->from, b->to - b->from);
    b->to -= b->from;
    b->from = 0;
}

uint8_t *buffer_space(struct buffer *b, size_t n)
{
    size_t held = b->to - b->from, room = b->room == 0 ? ROOM_FIRST : b->room;
    uint8_t *grown;

    if (b->bytes != NULL && b->room - b->to >= n)
        return b->bytes + b->to;
    if (n > SIZE_MAX / 4 || held > SIZE_MAX / 4)
        return NULL;
    if (b->bytes != NULL)
        compact(b);
    while (room - held < n)
        room *= 2;
    if (room > b->room) {
        grown = realloc(b->bytes, room);
        if (grown == NULL)
            return NULL;
        b->bytes = grown;
        b->room = room;
    }
    return b->bytes + b->to;
}

void buffer_added(struct buffer *b, size_t n)
{
    b->to += n;
}

bool buffer_append(struct buffer *b, struct slice bytes)
{
    uint8_t *space = buffer_space(b, bytes.n);

    if (space == NULL)
        return false;
    if (bytes.n > 0)
        memcpy(space, bytes.p, bytes.n);
    b->to += bytes.n;
    return true;
}

void buffer_drop(struct buffer *b, size_t n)
{
    b->from += n;
    if (b->from == b->to)
        b->from = b->to = 0;
}

void buffer_release(struct buffer *b)
{
    free(b->bytes);
    *b = (struct buffer){0};
}
