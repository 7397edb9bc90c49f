#include "client/audit/parties.h"

#include <stdlib.h>

#include "proto/arena.h"

enum { FIRST_SLOTS = 256 };

struct party {
    struct slice name; /* name.p NULL: a free slot */
    uint64_t hash;
    bool known;         /* `before` is: it was said, or it began at 0 */
    uint64_t before;    /* the counter before the first entry followed */
    uint64_t first_seq; /* that said so */
    uint64_t first_seen;
    uint64_t shift; /* what is to be added to `seen` to be where the counter stands */
    uint64_t seen;  /* entries that concern it */
};

struct parties {
    enum parties_before before;
    struct arena *names;
    struct party *slots;
    size_t n_slots, n;
};

struct parties *parties_new(enum parties_before before)
{
    struct parties *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->before = before;
    p->names = arena_new();
    p->n_slots = FIRST_SLOTS;
    p->slots = calloc(p->n_slots, sizeof *p->slots);
    if (p->names != NULL && p->slots != NULL)
        return p;
    parties_free(p);
    return NULL;
}

void parties_free(struct parties *p)
{
    if (p == NULL)
        return;
    arena_free(p->names);
    free(p->slots);
    free(p);
}

/* Eight bytes at a time: this runs twice for every entry. Whoever chooses names that collide only slows the check of his log. */
static uint64_t name_hash(struct slice name)
{
    const uint64_t MIX = 0x9e3779b97f4a7c15ULL;
    uint64_t h = name.n * MIX, w = 0;
    size_t i = 0;

    for (; i + sizeof w <= name.n; i += sizeof w) {
        memcpy(&w, name.p + i, sizeof w);
        h = (h ^ w) * MIX;
        h ^= h >> 32;
    }
    w = 0;
    if (i < name.n)
        memcpy(&w, name.p + i, name.n - i);
    h = (h ^ w) * MIX;
    return h ^ h >> 29;
}

static struct party *slot_of(const struct parties *p, struct slice name, uint64_t hash)
{
    size_t at = hash & (p->n_slots - 1);

    while (p->slots[at].name.p != NULL &&
           (p->slots[at].hash != hash || !slice_equal(p->slots[at].name, name)))
        at = (at + 1) & (p->n_slots - 1);
    return &p->slots[at];
}

static bool widen(struct parties *p)
{
    struct parties wider = *p;

    wider.n_slots = 2 * p->n_slots;
    wider.slots = calloc(wider.n_slots, sizeof *wider.slots);
    if (wider.slots == NULL)
        return false;
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].name.p != NULL)
            *slot_of(&wider, p->slots[i].name, p->slots[i].hash) = p->slots[i];
    free(p->slots);
    *p = wider;
    return true;
}

/* The party of that name, made if it is not there yet; NULL when memory is out. */
static struct party *party_of(struct parties *p, struct slice name)
{
    uint64_t hash = name_hash(name);
    struct party *q = slot_of(p, name, hash);

    if (q->name.p != NULL)
        return q;
    if (2 * p->n >= p->n_slots) {
        if (!widen(p))
            return NULL;
        q = slot_of(p, name, hash);
    }
    const uint8_t *copy = arena_copy(p->names, name);

    if (copy == NULL)
        return NULL;
    *q = (struct party){
        .name = slice(copy, name.n), .hash = hash, .known = p->before == PARTIES_ZERO};
    p->n++;
    return q;
}

/* Its `seen`-th entry says `counter`. */
static void said(struct party *q, uint64_t counter, uint64_t seq, parties_gap *gap,
                 void *arg)
{
    if (q->known && counter != q->shift + q->seen)
        gap(arg, q->name, seq, q->shift + q->seen, counter);
    else if (!q->known && counter < q->seen) /* more entries than it has counted */
        gap(arg, q->name, seq, q->seen, counter);
    if (!q->known) {
        q->known = true;
        q->before = counter - q->seen;
        q->first_seq = seq;
        q->first_seen = q->seen;
    }
    q->shift = counter - q->seen; /* so that one gap is told once */
}

bool parties_act(struct parties *p, struct slice name, uint64_t counter, uint64_t seq,
                 parties_gap *gap, void *arg)
{
    struct party *q = party_of(p, name);

    if (q == NULL)
        return false;
    q->seen++;
    said(q, counter, seq, gap, arg);
    return true;
}

bool parties_mention(struct parties *p, struct slice name)
{
    struct party *q = party_of(p, name);

    if (q != NULL)
        q->seen++;
    return q != NULL;
}

void parties_forget(struct parties *p)
{
    p->before = PARTIES_UNKNOWN;
    for (size_t i = 0; i < p->n_slots; i++) {
        p->slots[i].known = false;
        p->slots[i].seen = 0;
    }
}

/* Compares where the part says that it began with where the entries before it end. */
static void join_one(struct party *to, const struct party *from, parties_gap *gap,
                     void *arg)
{
    uint64_t before = to->known ? to->shift + to->seen : from->before;

    if (before != from->before || (!to->known && before < to->seen))
        gap(arg, to->name, from->first_seq, before + from->first_seen,
            from->before + from->first_seen);
    if (!to->known)
        to->before = before - to->seen;
    to->known = true;
    to->shift = from->shift - to->seen; /* gaps inside the part were told there */
}

bool parties_join(struct parties *all, const struct parties *part, parties_gap *gap,
                  void *arg)
{
    for (size_t i = 0; i < part->n_slots; i++) {
        const struct party *from = &part->slots[i];
        struct party *to = from->name.p == NULL ? NULL : party_of(all, from->name);

        if (from->name.p == NULL)
            continue;
        if (to == NULL)
            return false;
        if (from->known)
            join_one(to, from, gap, arg);
        to->seen += from->seen;
    }
    return true;
}

bool parties_set(struct parties *p, struct slice name, uint64_t counter)
{
    struct party *q = party_of(p, name);

    if (q == NULL)
        return false;
    q->known = true;
    q->before = q->shift = counter;
    q->seen = 0;
    return true;
}

size_t parties_count(const struct parties *p)
{
    return p->n;
}

uint64_t parties_counter(const struct parties *p, struct slice name)
{
    const struct party *q = slot_of(p, name, name_hash(name));

    return q->name.p != NULL && q->known ? q->shift + q->seen : 0;
}

uint64_t parties_began(const struct parties *p, struct slice name)
{
    const struct party *q = slot_of(p, name, name_hash(name));

    return q->name.p != NULL && q->known ? q->before : 0;
}

bool parties_next(const struct parties *p, size_t *at, struct slice *name,
                  uint64_t *counter)
{
    for (; *at < p->n_slots; ++*at) {
        const struct party *q = &p->slots[*at];

        if (q->name.p == NULL || !q->known)
            continue;
        *name = q->name;
        *counter = q->shift + q->seen;
        ++*at;
        return true;
    }
    return false;
}
