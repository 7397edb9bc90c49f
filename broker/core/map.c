/* Open addressing with linear probing; a taken place leaves no mark, the run behind it moves up. */
#include "broker/core/map.h"

#include <stdlib.h>

struct cell {
    uint64_t key;
    void *value; /* NULL: free */
};

struct map {
    size_t size, used; /* size is a power of two, at most 3/4 used */
    struct cell cells[];
};

static size_t home(const struct map *m, uint64_t key)
{
    return (size_t)((key * 0x9e3779b97f4a7c15ULL) >> 20) & (m->size - 1);
}

static struct cell *find(struct map *m, uint64_t key)
{
    size_t i = home(m, key);

    while (m->cells[i].value != NULL && m->cells[i].key != key)
        i = (i + 1) & (m->size - 1);
    return &m->cells[i];
}

void *map_get(const struct map *m, uint64_t key)
{
    if (m == NULL)
        return NULL;
    size_t i = home(m, key);

    while (m->cells[i].value != NULL && m->cells[i].key != key)
        i = (i + 1) & (m->size - 1);
    return m->cells[i].value;
}

static bool grow(struct map **m)
{
    size_t size = *m == NULL ? 64 : (*m)->size * 2;
    struct map *bigger = calloc(1, sizeof *bigger + size * sizeof bigger->cells[0]);

    if (bigger == NULL)
        return false;
    bigger->size = size;
    for (size_t i = 0; *m != NULL && i < (*m)->size; i++)
        if ((*m)->cells[i].value != NULL)
            *find(bigger, (*m)->cells[i].key) = (*m)->cells[i];
    bigger->used = *m == NULL ? 0 : (*m)->used;
    free(*m);
    *m = bigger;
    return true;
}

bool map_put(struct map **m, uint64_t key, void *value)
{
    if ((*m == NULL || (*m)->used * 4 >= (*m)->size * 3) && !grow(m))
        return false;
    struct cell *c = find(*m, key);

    if (c->value == NULL)
        (*m)->used++;
    *c = (struct cell){key, value};
    return true;
}

void *map_take(struct map *m, uint64_t key)
{
    if (m == NULL)
        return NULL;
    struct cell *c = find(m, key);
    void *value = c->value;

    if (value == NULL)
        return NULL;
    size_t hole = (size_t)(c - m->cells);

    for (size_t i = (hole + 1) & (m->size - 1); m->cells[i].value != NULL;
         i = (i + 1) & (m->size - 1)) {
        size_t wants = home(m, m->cells[i].key);

        if (((i - wants) & (m->size - 1)) >= ((i - hole) & (m->size - 1))) {
            m->cells[hole] = m->cells[i];
            hole = i;
        }
    }
    m->cells[hole] = (struct cell){0};
    m->used--;
    return value;
}

bool map_next(const struct map *m, size_t *i, uint64_t *key, void **value)
{
    for (; m != NULL && *i < m->size; (*i)++)
        if (m->cells[*i].value != NULL) {
            *key = m->cells[*i].key;
            *value = m->cells[*i].value;
            (*i)++;
            return true;
        }
    return false;
}

void map_free(struct map *m)
{
    free(m);
}
