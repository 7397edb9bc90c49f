#include "broker/delivery/box.h"

#include <stdlib.h>

static void place(struct box *b, size_t at, struct item *i)
{
    b->back[at] = i;
    i->at = at;
}

static void rise(struct box *b, size_t at, struct item *i)
{
    for (; at > 0 && b->back[(at - 1) / 2]->key.low > i->key.low; at = (at - 1) / 2)
        place(b, at, b->back[(at - 1) / 2]);
    place(b, at, i);
}

static void sink(struct box *b, size_t at, struct item *i)
{
    for (size_t child; (child = 2 * at + 1) < b->n_back; at = child) {
        if (child + 1 < b->n_back &&
            b->back[child + 1]->key.low < b->back[child]->key.low)
            child++;
        if (b->back[child]->key.low >= i->key.low)
            break;
        place(b, at, b->back[child]);
    }
    place(b, at, i);
}

static bool make_room(struct box *b)
{
    if (b->n_back >= BOX_BACK_MAX)
        return false;
    if (b->n_back < b->room)
        return true;
    size_t room = b->room == 0 ? 16 : b->room * 2;
    struct item **back = realloc(b->back, room * sizeof *back);
    if (back == NULL)
        return false;
    b->back = back;
    b->room = room;
    return true;
}

bool box_push(struct box *b, struct item *i)
{
    if (!make_room(b))
        return false;
    rise(b, b->n_back++, i);
    return true;
}

void box_remove(struct box *b, const struct item *i)
{
    size_t at = i->at;
    struct item *last = b->back[--b->n_back];
    if (last == i)
        return;
    if (last->key.low < i->key.low)
        rise(b, at, last);
    else
        sink(b, at, last);
}

void box_free(struct box *b)
{
    free(b->back);
    b->back = NULL;
    b->n_back = b->room = 0;
}
