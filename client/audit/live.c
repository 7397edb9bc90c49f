#include "client/audit/live.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/arena.h"
#include "proto/liaison.pb-c.h"
#include "proto/valid.h"

enum {
    KEPT = 64,      /* answers that are kept or awaited at most */
    IN_FLIGHT = 32, /* calls that ask ahead; half of the broker's window */
    AHEAD = 6,      /* pages, each with its tile */
    WHY = 512,
};

enum keep_state { KEEP_FREE, KEEP_ASKED, KEEP_HERE };

/* What was asked for. */
struct want {
    bool page; /* of entries; else a tile */
    unsigned level, width;
    uint64_t n;
};

struct keep {
    enum keep_state state;
    struct want what;
    uint64_t call, since;   /* since: the older goes first */
    enum liaison_code code; /* of the answer */
    uint64_t next;  /* of a page that comes in parts: the entry that is asked for */
    uint8_t *bytes; /* hashes; or entries, each with a byte before it */
    size_t len, room;
    size_t at[SOURCE_WIDTH],
        size[SOURCE_WIDTH]; /* of each entry; size 0: it was not shown */
};

/* One thread at a time has it, and the session with it: it files whatever comes until it has what it wants. */
struct live {
    struct source source;
    struct liaison *l;
    pthread_mutex_t lock;
    struct arena *arena; /* of one answer */
    uint64_t clock;
    enum liaison_code failed;
    char why[WHY];
    struct keep keep[KEPT];
};

static enum liaison_code fail(struct live *v, enum liaison_code code, const char *why)
{
    if (v->failed ==
        LIAISON_OK) { /* those two say something of what was asked for, and this does not */
        v->failed =
            code == LIAISON_NOT_FOUND || code == LIAISON_DAMAGED ? LIAISON_IO : code;
        snprintf(v->why, sizeof v->why, "%s", why);
    }
    return v->failed;
}

static enum liaison_code lib_failed(struct live *v, enum liaison_code code)
{
    return fail(v, code, liaison_errmsg(v->l));
}

/* ------------------------------------------------------------ what is kept */

static bool same(const struct want *a, const struct want *b)
{
    return a->page == b->page && a->level == b->level && a->n == b->n;
}

static struct keep *find(struct live *v, const struct want *w)
{
    for (size_t i = 0; i < KEPT; i++)
        if (v->keep[i].state != KEEP_FREE && same(&v->keep[i].what, w))
            return &v->keep[i];
    return NULL;
}

/* A place that is free, or that nobody has come for the longest; NULL: all are awaited. */
static struct keep *place(struct live *v, bool only_free)
{
    struct keep *oldest = NULL;

    for (size_t i = 0; i < KEPT; i++) {
        struct keep *k = &v->keep[i];

        if (k->state == KEEP_FREE)
            return k;
        if (k->state == KEEP_HERE && (oldest == NULL || k->since < oldest->since))
            oldest = k;
    }
    return only_free ? NULL : oldest;
}

static uint64_t end_of(const struct want *w)
{
    return w->n * SOURCE_WIDTH + w->width;
}

static enum liaison_code send(struct live *v, struct keep *k)
{
    const struct want *w = &k->what;
    enum liaison_code code =
        w->page ? liaison_send_entries(v->l, k->next, end_of(w), &k->call)
                : liaison_send_hashes(v->l, 8 * w->level, w->n * SOURCE_WIDTH, w->width,
                                      &k->call);

    return code == LIAISON_OK ? code : lib_failed(v, code);
}

static enum liaison_code ask(struct live *v, struct keep *k, const struct want *w)
{
    k->state = KEEP_ASKED;
    k->what = *w;
    k->code = LIAISON_OK;
    k->since = ++v->clock;
    k->next = w->n * SOURCE_WIDTH;
    k->len = 0;
    memset(k->size, 0, sizeof k->size);
    return send(v, k);
}

/* Whoever reads page n will want those behind it, and their tiles. */
static enum liaison_code ask_ahead(struct live *v, uint64_t n)
{
    enum liaison_code code = LIAISON_OK;

    for (unsigned i = 0; code == LIAISON_OK && i < 2 * AHEAD; i++) {
        struct want w = {.page = i % 2 == 0, .n = n + i / 2};
        struct keep *k;

        w.width = source_width(v->source.size, 0, w.n);
        if (w.width == 0 || liaison_outstanding(v->l) >= IN_FLIGHT)
            break;
        if (find(v, &w) == NULL && (k = place(v, true)) != NULL)
            code = ask(v, k, &w);
    }
    return code;
}

/* ------------------------------------------------------------ what comes */

static bool widen(struct keep *k, size_t more)
{
    if (k->room - k->len >= more)
        return true;
    size_t room = 2 * (k->len + more);
    uint8_t *wider = realloc(k->bytes, room);

    if (wider == NULL)
        return false;
    k->bytes = wider;
    k->room = room;
    return true;
}

static enum liaison_code file_tile(struct keep *k, const struct liaison_answer *a)
{
    size_t len;
    const uint8_t *hashes = liaison_answer_bytes(a, &len);

    if (len != (size_t)k->what.width * HASH_BYTES)
        return len < (size_t)k->what.width * HASH_BYTES ? LIAISON_NOT_FOUND
                                                        : LIAISON_DAMAGED;
    if (!widen(k, len))
        return LIAISON_MEMORY;
    memcpy(k->bytes, hashes, len);
    k->len = len;
    return LIAISON_OK;
}

/* Puts an entry where it says that it belongs: whether it does is for the hashes to say. */
static enum liaison_code file_entry(struct live *v, struct keep *k,
                                    ProtobufCBinaryData bytes)
{
    const void *m;
    enum liaison_code code = valid_decode(&liaison__v1__ledger_entry__descriptor,
                                          slice(bytes.data, bytes.len), v->arena, &m);

    if (code != LIAISON_OK)
        return code == LIAISON_MEMORY ? code : LIAISON_DAMAGED;
    const Liaison__V1__LedgerEntry *e = m;

    if (e->seq < k->next || e->seq >= end_of(&k->what))
        return LIAISON_DAMAGED;
    if (!widen(k, bytes.len + 1))
        return LIAISON_MEMORY;
    unsigned i = (unsigned)(e->seq % SOURCE_WIDTH);

    k->at[i] = k->len + 1;
    k->size[i] = bytes.len;
    memcpy(k->bytes + k->at[i], bytes.data, bytes.len);
    k->len += 1 + bytes.len;
    k->next = e->seq + 1;
    return LIAISON_OK;
}

/* *more: the page ended early, and the rest is to be asked for. */
static enum liaison_code file_page(struct live *v, struct keep *k,
                                   const struct liaison_answer *a, bool *more)
{
    size_t len;
    const uint8_t *bytes = liaison_answer_frame(a, &len);
    uint64_t before = k->next;
    const void *m = NULL;

    arena_reset(v->arena);
    enum liaison_code code =
        valid_decode(&liaison__v1__frame__descriptor, slice(bytes, len), v->arena, &m);
    const Liaison__V1__Frame *f = m;

    if (code != LIAISON_OK)
        return code;
    for (size_t i = 0; code == LIAISON_OK && i < f->entries_page->n_entries; i++)
        code = file_entry(v, k, f->entries_page->entries[i]);
    *more = code == LIAISON_OK && f->entries_page->cursor.len > 0 &&
            k->next < end_of(&k->what);
    if (*more && k->next == before)
        code = LIAISON_PROTOCOL;
    return code;
}

/* Takes one answer. */
static enum liaison_code hear(struct live *v)
{
    struct liaison_answer *a = NULL;
    struct keep *k = NULL;
    bool more = false;
    enum liaison_code code = liaison_receive(v->l, -1, &a);

    if (code != LIAISON_OK)
        return lib_failed(v, code);
    for (size_t i = 0; k == NULL && i < KEPT; i++)
        if (v->keep[i].state == KEEP_ASKED && v->keep[i].call == liaison_answer_call(a))
            k = &v->keep[i];
    code = liaison_answer_code(a);
    if (k == NULL || code != LIAISON_OK)
        code = code == LIAISON_OK ? code : fail(v, code, liaison_answer_text(a));
    else {
        k->code = k->what.page ? file_page(v, k, a, &more) : file_tile(k, a);
        if (!more || k->code != LIAISON_OK)
            k->state = KEEP_HERE;
        else
            code = send(v, k);
    }
    liaison_answer_free(a);
    return code;
}

/* Waits until what is wanted is here. */
static enum liaison_code await(struct live *v, const struct want *w, struct keep **out)
{
    enum liaison_code code = v->failed;

    while (code == LIAISON_OK) {
        struct keep *k = find(v, w);

        if (k != NULL && k->state == KEEP_HERE) {
            *out = k;
            return k->code;
        }
        if (k == NULL && (k = place(v, false)) != NULL)
            code = ask(v, k, w);
        if (code == LIAISON_OK && w->page)
            code = ask_ahead(v, w->n);
        if (code == LIAISON_OK)
            code = hear(v);
    }
    return code;
}

/* ------------------------------------------------------------ the source */

static enum liaison_code read_tile(void *arg, unsigned level, uint64_t n, unsigned width,
                                   uint8_t (*out)[HASH_BYTES])
{
    struct live *v = arg;
    struct want w = {.level = level, .n = n, .width = width};
    struct keep *k = NULL;

    pthread_mutex_lock(&v->lock);
    enum liaison_code code = await(v, &w, &k);

    if (code == LIAISON_OK)
        memcpy(out, k->bytes, (size_t)width * HASH_BYTES);
    if (k != NULL)
        k->state = KEEP_FREE;
    pthread_mutex_unlock(&v->lock);
    return code;
}

static enum liaison_code give_page(const struct keep *k, struct source_page *out)
{
    if (k->len > out->room_len) {
        uint8_t *wider = realloc(out->room, k->len);

        if (wider == NULL)
            return LIAISON_MEMORY;
        out->room = wider;
        out->room_len = k->len;
    }
    if (k->len > 0)
        memcpy(out->room, k->bytes, k->len);
    out->n = k->what.width;
    for (unsigned i = 0; i < out->n; i++)
        out->entry[i] =
            k->size[i] == 0 ? slice(NULL, 0) : slice(out->room + k->at[i], k->size[i]);
    return LIAISON_OK;
}

static enum liaison_code read_page(void *arg, uint64_t n, unsigned width,
                                   struct source_page *out)
{
    struct live *v = arg;
    struct want w = {.page = true, .n = n, .width = width};
    struct keep *k = NULL;

    pthread_mutex_lock(&v->lock);
    enum liaison_code code = await(v, &w, &k);

    if (code == LIAISON_OK)
        code = give_page(k, out);
    if (k != NULL)
        k->state = KEEP_FREE;
    pthread_mutex_unlock(&v->lock);
    return code;
}

/* A text that is another is given all the same: whoever asked says what is wrong with it. */
static enum liaison_code read_rules(void *arg, const uint8_t id[HASH_BYTES],
                                    uint8_t **text, size_t *len)
{
    struct live *v = arg;
    struct liaison_answer *a = NULL;

    pthread_mutex_lock(&v->lock);
    enum liaison_code code =
        v->failed != LIAISON_OK ? v->failed : liaison_rule_text(v->l, id, &a);

    if (code == LIAISON_OK || code == LIAISON_SIGNATURE) {
        const uint8_t *bytes = liaison_answer_bytes(a, len);
        uint8_t *copy = malloc(*len + 1);

        code = copy == NULL ? LIAISON_MEMORY : LIAISON_OK;
        if (copy != NULL && *len > 0)
            memcpy(copy, bytes, *len);
        *text = copy;
    } else if (code != LIAISON_NOT_FOUND) {
        code = lib_failed(v, code);
    }
    liaison_answer_free(a);
    pthread_mutex_unlock(&v->lock);
    return code;
}

enum liaison_code live_open(struct liaison *l, uint64_t from, uint64_t size,
                            struct live **out)
{
    struct live *v = calloc(1, sizeof *v);

    if (v == NULL || (v->arena = arena_new()) == NULL) {
        free(v);
        return LIAISON_MEMORY;
    }
    pthread_mutex_init(&v->lock, NULL);
    v->l = l;
    v->source = (struct source){.arg = v,
                                .from = from,
                                .size = size,
                                .tile = read_tile,
                                .page = read_page,
                                .rules = read_rules};
    *out = v;
    return LIAISON_OK;
}

void live_free(struct live *v)
{
    if (v == NULL)
        return;
    for (size_t i = 0; i < KEPT; i++)
        free(v->keep[i].bytes);
    arena_free(v->arena);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

const struct source *live_source(const struct live *v)
{
    return &v->source;
}

const char *live_why(const struct live *v)
{
    return v->why;
}
