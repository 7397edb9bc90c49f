/* A broker's trail: entries by filter, each proven to be in its log. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/audit/trail.h"
#include "proto/id.h"
#include "proto/valid.h"

enum { PROVEN_AT_ONCE = 1024, PAUSE_MS = 20 };

/* ------------------------------------------------------------ opening */

/* Takes the answer to Prove for the trail's checkpoint. Takes: answer. */
static enum liaison_code set_checkpoint(struct trail *t, struct liaison_answer *answer)
{
    if (!broker_read_note(broker_note(answer), &t->checkpoint)) {
        liaison_answer_free(answer);
        return LIAISON_MALFORMED;
    }
    liaison_answer_free(t->answer);
    t->answer = answer;
    t->note = broker_note(answer);
    t->verified = liaison_answer_verified(answer) != 0;
    return LIAISON_OK;
}

int trail_live_open(struct audit *a, struct trail *out)
{
    struct liaison_answer *answer = NULL;
    int status = 0;

    if (!broker_open(a, BROKER_JUDGED, &status))
        return status;
    enum liaison_code code = a->opt[AUDIT_OPT_WITNESSED] != NULL
                                 ? liaison_prove_witnessed(a->lib, NULL, 0, &answer)
                                 : liaison_checkpoint(a->lib, &answer);

    if (code != LIAISON_OK)
        return audit_lib_fail(a, code);
    if (set_checkpoint(out, answer) != LIAISON_OK)
        return audit_fail(LIAISON_MALFORMED, "the broker's checkpoint is none");
    if (!out->verified)
        fputs(
            "liaison-audit: not verified, for want of a policy: this is what the broker "
            "says\n",
            stderr);
    return 0;
}

/* ------------------------------------------------------------ proofs */

/* Is the i-th inclusion of the answer that of this leaf? */
static bool included(struct hash *h, const Liaison__V1__Proof *p, size_t i,
                     const struct checkpoint *c, struct slice bytes)
{
    const Liaison__V1__Inclusion *in = p->inclusions[i];
    uint8_t leaf[HASH_BYTES];

    merkle_leaf(h, bytes, leaf);
    return merkle_check(h, leaf, in->seq, c->size, slice(in->path.data, in->path.len),
                        c->root);
}

static const Liaison__V1__Frame *frame_of(const struct liaison_answer *answer,
                                          struct arena *arena)
{
    size_t len;
    const uint8_t *bytes = liaison_answer_frame(answer, &len);
    const void *m = NULL;

    return valid_decode(&liaison__v1__frame__descriptor, slice(bytes, len), arena, &m) ==
                   LIAISON_OK
               ? m
               : NULL;
}

/* The library has judged the note and seen that the proof is of these numbers; the paths are checked here. */
static enum liaison_code prove(struct trail *t, const struct trail_item *items, size_t n,
                               struct arena *arena, struct liaison_answer **answer)
{
    uint64_t seqs[PROVEN_AT_ONCE];
    struct checkpoint c;
    struct hash *h = hash_new();

    for (size_t i = 0; i < n; i++)
        seqs[i] = items[i].e->seq;
    enum liaison_code code =
        h == NULL ? LIAISON_MEMORY
                  : liaison_prove(t->audit->lib, seqs, n, 0, t->checkpoint.size, answer);
    const Liaison__V1__Frame *f = code == LIAISON_OK ? frame_of(*answer, arena) : NULL;

    if (code == LIAISON_OK &&
        (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_PROOF ||
         f->proof->n_inclusions != n || !broker_read_note(broker_note(*answer), &c) ||
         strcmp(c.origin, t->checkpoint.origin) != 0))
        code = LIAISON_MALFORMED;
    for (size_t i = 0; code == LIAISON_OK && i < n; i++)
        if (!included(h, f->proof, i, &c, items[i].bytes))
            code = LIAISON_PROOF;
    hash_free(h);
    return code;
}

enum liaison_code trail_live_prove(struct trail *t, struct slice bytes, uint64_t seq,
                                   struct note_proof *out)
{
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    const struct trail_item item = {.e = &e, .bytes = bytes};

    e.seq = seq;
    liaison_answer_free(t->proof);
    t->proof = NULL;
    enum liaison_code code = prove(t, &item, 1, t->audit->arena, &t->proof);

    if (code != LIAISON_OK)
        return code;
    const Liaison__V1__Frame *f = frame_of(t->proof, t->audit->arena);

    if (f == NULL || f->proof->inclusions[0]->path.len > sizeof out->path)
        return LIAISON_PROOF;
    *out = (struct note_proof){.index = seq,
                               .path_len = f->proof->inclusions[0]->path.len / HASH_BYTES,
                               .note = broker_note(t->proof)};
    if (out->path_len > 0)
        memcpy(out->path, f->proof->inclusions[0]->path.data,
               f->proof->inclusions[0]->path.len);
    return LIAISON_OK;
}

/* ------------------------------------------------------------ entries */

static enum liaison_code set_number(struct liaison_query *q, const char *key,
                                    uint64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRIu64, value);
    return value == 0 ? LIAISON_OK : liaison_query_set(q, key, text);
}

/* Counters are told from the log's beginning on only: then all entries of the agency are asked for. */
static enum liaison_code make_query(struct trail *t, const struct trail_filter *f,
                                    struct liaison_query **out)
{
    char id[ID_TEXT];
    enum liaison_code code = liaison_query_new(t->audit->lib, "entries", out);

    if (code == LIAISON_OK && f->agency != NULL)
        code = liaison_query_set(*out, "agency", f->agency);
    if (code == LIAISON_OK && f->agency == NULL)
        code = set_number(*out, "from_seq", f->first);
    if (code == LIAISON_OK && f->agency == NULL)
        code = set_number(*out, "until_seq", f->end);
    if (code == LIAISON_OK && f->referral != NULL) {
        id_text(f->referral, id);
        code = liaison_query_set(*out, "referral", id);
    }
    return code;
}

/* One page, and what of it is wanted. */
struct page {
    struct arena *arena;
    const struct liaison_answer *answer;
    uint64_t log;
    struct trail_item *items;
    size_t n;
};

static uint64_t counter_of(const struct liaison_answer *a, uint64_t seq, size_t *next)
{
    uint64_t at, counter;

    while (liaison_answer_counter(a, *next, &at, &counter) == 1 && at <= seq) {
        ++*next;
        if (at == seq)
            return counter;
    }
    return 0;
}

static enum liaison_code read_page(struct page *p, const struct trail_filter *filter)
{
    const Liaison__V1__Frame *f = frame_of(p->answer, p->arena);
    size_t next = 0;

    if (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_ENTRIES_PAGE)
        return LIAISON_MALFORMED;
    p->items = arena_alloc(p->arena, (f->entries_page->n_entries + 1) * sizeof *p->items);
    if (p->items == NULL)
        return LIAISON_MEMORY;
    for (size_t i = 0; i < f->entries_page->n_entries; i++) {
        ProtobufCBinaryData bytes = f->entries_page->entries[i];
        struct trail_item item = {.bytes = slice(bytes.data, bytes.len)};
        const void *m;

        if (valid_decode(&liaison__v1__ledger_entry__descriptor, item.bytes, p->arena,
                         &m) != LIAISON_OK)
            return LIAISON_MALFORMED;
        item.e = m;
        if (item.e->log != p->log || item.e->seq < filter->first ||
            item.e->seq >= filter->end)
            continue;
        item.counter = counter_of(p->answer, item.e->seq, &next);
        p->items[p->n++] = item;
    }
    return LIAISON_OK;
}

static int visit_page(struct trail *t, const struct page *p, trail_visit *visit,
                      void *arg)
{
    int status = 0;

    for (size_t at = 0; status == 0 && at < p->n; at += PROVEN_AT_ONCE) {
        size_t n = p->n - at < PROVEN_AT_ONCE ? p->n - at : PROVEN_AT_ONCE;
        struct liaison_answer *proof = NULL;
        enum liaison_code code = prove(t, p->items + at, n, p->arena, &proof);

        liaison_answer_free(proof);
        if (code == LIAISON_PROOF || code == LIAISON_MALFORMED)
            status = audit_fail(code,
                                "the broker showed entries from %" PRIu64
                                " on that are not in its log",
                                p->items[at].e->seq);
        else if (code != LIAISON_OK)
            status = audit_lib_fail(t->audit, code);
        for (size_t i = at; status == 0 && i < at + n; i++)
            status = visit(arg, &p->items[i]);
    }
    return status;
}

/* The number that the origin ends in. */
static uint64_t log_of(const struct trail *t)
{
    const char *slash = strrchr(t->checkpoint.origin, '/');

    return slash == NULL ? 0 : strtoull(slash + 1, NULL, 10);
}

int trail_live_each(struct trail *t, const struct trail_filter *f, trail_visit *visit,
                    void *arg)
{
    struct liaison_query *q = NULL;
    struct arena *arena = arena_new();
    enum liaison_code code = arena == NULL ? LIAISON_MEMORY : make_query(t, f, &q);
    int status = 0;

    while (code == LIAISON_OK && status == 0 && liaison_query_more(q)) {
        struct liaison_answer *answer = NULL;
        struct page page = {.arena = arena, .log = log_of(t)};

        arena_reset(arena);
        code = liaison_query_next(q, &answer);
        page.answer = answer;
        if (code == LIAISON_OK && read_page(&page, f) != LIAISON_OK)
            status = audit_fail(LIAISON_MALFORMED,
                                "the broker's page of entries cannot be read");
        else if (code == LIAISON_OK)
            status = visit_page(t, &page, visit, arg);
        liaison_answer_free(answer);
    }
    if (code != LIAISON_OK)
        status = audit_lib_fail(t->audit, code);
    liaison_query_free(q);
    arena_free(arena);
    return status;
}

/* ------------------------------------------------------------ counting */

static uint64_t now_mono_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A checkpoint over entry `seq`, which the broker signs soon. */
static enum liaison_code covering(struct trail *t, uint64_t seq)
{
    const char *seconds = t->audit->opt[AUDIT_OPT_TIMEOUT];
    uint64_t until_ms =
        now_mono_ms() + 1000 * strtoull(seconds != NULL ? seconds : "30", NULL, 10);
    struct liaison_answer *answer = NULL;
    enum liaison_code code;

    while ((code = liaison_prove(t->audit->lib, NULL, 0, 0, seq + 1, &answer)) ==
               LIAISON_NOT_FOUND &&
           now_mono_ms() < until_ms) {
        liaison_answer_free(answer);
        answer = NULL;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
    }
    if (code == LIAISON_OK)
        return set_checkpoint(t, answer);
    liaison_answer_free(answer);
    return code;
}

enum liaison_code trail_live_count(struct trail *t, const char *agency, uint64_t *count,
                                   uint64_t *seq)
{
    struct liaison_answer *summary = NULL, *proof = NULL;
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    struct trail_item item = {.e = &e};
    size_t len = 0;
    enum liaison_code code = liaison_summarize(t->audit->lib, agency, &summary);

    if (code == LIAISON_OK) {
        const uint8_t *entry = liaison_answer_entry(summary, &len);

        item.bytes = slice(entry, len);
        *seq = e.seq = liaison_answer_seq(summary);
        *count = liaison_answer_count(summary);
        code = covering(t, e.seq);
    }
    if (code == LIAISON_OK)
        code = prove(t, &item, 1, t->audit->arena, &proof);
    liaison_answer_free(proof);
    liaison_answer_free(summary);
    return code;
}
