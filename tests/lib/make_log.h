#pragma once
/* Logs of synthetic entries with real keys, hashes, notes and cosignatures, as bundles, for tests and benches. No person, no agency
 * in them exists. Whatever goes wrong ends the program with a sentence. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/bundle.h"
#include "client/audit/tree.h"
#include "proto/liaison.pb-c.h"
#include "proto/note.h"

enum { MAKE_AGENCIES = 6, MAKE_WITNESSES = 3, MAKE_SUMMARY_EVERY = 4096, MAKE_NOTE_MAX = 16384 };

#define MAKE_RULES "network \"practicies.example\"\nagency fr/lyon/prison kind prison area fr/lyon\n"

static const char *const MAKE_NAMES[MAKE_AGENCIES] = {
    "broker:eu/main", "fr/lyon/prison", "fr/lyon/probation",
    "fr/lyon/rebond", "fr/lyon/police", "be/gent/youth-desk"};

struct make_log {
    struct hash *h;
    char origin[64];
    uint32_t log;
    struct note_signer key, witnesses[MAKE_WITNESSES];
    uint8_t rule_set[HASH_BYTES];
    uint64_t n, room, time_ns, counters[MAKE_AGENCIES];
    struct slice *entries; /* each of its own memory */
    uint8_t (*leaves)[HASH_BYTES];
};

__attribute__((noreturn, format(printf, 1, 2))) static inline void make_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "make_log: ");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static inline void make_must(bool good, const char *what)
{
    if (!good)
        make_die("%s", what);
}

/* An empty log number `log` with fresh keys. */
static inline void make_begin(struct make_log *m, uint32_t log)
{
    struct slice rules = slice_text(MAKE_RULES);

    memset(m, 0, sizeof *m);
    m->h = hash_new();
    make_must(m->h != NULL, "out of memory");
    m->log = log;
    m->time_ns = UINT64_C(1795000000000000000);
    snprintf(m->origin, sizeof m->origin, "practicies.example/eu/main/%u", log);
    hash_sha256(m->h, &rules, 1, m->rule_set);
    make_must(note_signer_make(m->h, m->origin, NOTE_ED25519, &m->key) == LIAISON_OK, "a log key");
    for (size_t i = 0; i < MAKE_WITNESSES; i++) {
        char name[32];

        snprintf(name, sizeof name, "witness.example/%zu", i + 1);
        make_must(note_signer_make(m->h, name, NOTE_COSIGNATURE, &m->witnesses[i]) == LIAISON_OK, "a witness key");
    }
}

static inline void make_end(struct make_log *m)
{
    for (uint64_t i = 0; i < m->n; i++)
        free((void *)(uintptr_t)m->entries[i].p);
    free(m->entries);
    free(m->leaves);
    hash_free(m->h);
}

static inline ProtobufCBinaryData make_bytes(const void *p, size_t n)
{
    return (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)p};
}

/* Puts an encoded entry at `at`, and its leaf hash. */
static inline void make_set(struct make_log *m, uint64_t at, const Liaison__V1__LedgerEntry *e)
{
    size_t len = protobuf_c_message_get_packed_size(&e->base);
    uint8_t *to = malloc(len);

    make_must(to != NULL, "out of memory");
    protobuf_c_message_pack(&e->base, to);
    free((void *)(uintptr_t)m->entries[at].p);
    m->entries[at] = slice(to, len);
    merkle_leaf(m->h, m->entries[at], m->leaves[at]);
}

/* Number `who` and, if above 0, `other` of MAKE_NAMES as the parties; fills in all that every entry has; appends. */
static inline void make_entry(struct make_log *m, Liaison__V1__LedgerEntry *e, size_t who, size_t other)
{
    uint8_t nonce[16], commitment[HASH_BYTES];

    if (m->n == m->room) {
        m->room = m->room == 0 ? 1024 : 2 * m->room;
        m->entries = realloc(m->entries, m->room * sizeof *m->entries);
        m->leaves = realloc(m->leaves, m->room * sizeof *m->leaves);
        make_must(m->entries != NULL && m->leaves != NULL, "out of memory");
    }
    hash_random(m->h, nonce, sizeof nonce);
    hash_random(m->h, commitment, sizeof commitment);
    e->version = 1;
    e->seq = m->n;
    e->log = m->log;
    e->time_ns = m->time_ns += 1000;
    e->clock = LIAISON__V1__CLOCK__CLOCK_SYNCED;
    e->nonce = make_bytes(nonce, sizeof nonce);
    if (e->verdict == 0)
        e->verdict = LIAISON__V1__VERDICT__VERDICT_DONE;
    if (e->operation == 0)
        e->operation = LIAISON__V1__OPERATION__OPERATION_NONE;
    e->rule_set = make_bytes(m->rule_set, HASH_BYTES);
    e->agency = (char *)(uintptr_t)MAKE_NAMES[who];
    e->agency_counter = ++m->counters[who];
    if (other > 0) {
        e->counterpart = (char *)(uintptr_t)MAKE_NAMES[other];
        e->counterpart_counter_commitment = make_bytes(commitment, sizeof commitment);
        m->counters[other]++;
    }
    m->entries[m->n] = slice(NULL, 0);
    make_set(m, m->n, e);
    m->n++;
}

/* A summary of `count` parties, as many entries as it takes. */
static inline void make_summary(struct make_log *m, uint64_t count)
{
    uint8_t commitments[256][HASH_BYTES];
    ProtobufCBinaryData rows[256];

    for (uint64_t left = count; left > 0;) {
        Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
        size_t n = left < 256 ? (size_t)left : 256;

        for (size_t i = 0; i < n; i++) {
            hash_random(m->h, commitments[i], HASH_BYTES);
            rows[i] = make_bytes(commitments[i], HASH_BYTES);
        }
        e.event = LIAISON__V1__EVENT__EVENT_SUMMARY;
        e.count = count;
        e.summary = rows;
        e.n_summary = n;
        make_entry(m, &e, 0, 0);
        left -= n;
    }
}

/* A submit, a delivery, an open or a denial: 315 bytes in the mean. */
static inline void make_ordinary(struct make_log *m)
{
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    uint8_t random[7][HASH_BYTES];
    ProtobufCBinaryData rule = make_bytes(random[5], HASH_BYTES);
    size_t who = 1 + m->n % (MAKE_AGENCIES - 1), other = 1 + (m->n * 7 + 3) % (MAKE_AGENCIES - 1);
    uint64_t referral = m->n / 4;

    hash_random(m->h, random, sizeof random);
    memset(random[2], 0, HASH_BYTES); /* four entries each are of one referral */
    be64_put(random[2], referral);
    random[2][6] = 0x70 | (random[2][6] & 0x0f); /* the form of a UUIDv7 */
    random[2][8] = 0x80;
    random[2][15] = (uint8_t)referral;
    e.event = m->n % 4 == 0   ? LIAISON__V1__EVENT__EVENT_SUBMIT
              : m->n % 4 == 1 ? LIAISON__V1__EVENT__EVENT_DELIVERY
                              : LIAISON__V1__EVENT__EVENT_OPEN;
    e.operation = m->n % 4 == 0 ? LIAISON__V1__OPERATION__OPERATION_COLLECTION
                                : LIAISON__V1__OPERATION__OPERATION_DISCLOSURE;
    if (m->n % 64 == 63) {
        e.verdict = LIAISON__V1__VERDICT__VERDICT_DENIED;
        e.code = LIAISON__V1__CODE__CODE_NOT_ALLOWED;
    }
    e.officer_commitment = make_bytes(random[0], HASH_BYTES);
    e.referral_id = make_bytes(random[2], 16);
    if (m->n % 4 == 0) {
        e.case_commitment = make_bytes(random[1], HASH_BYTES);
        e.request_id = make_bytes(random[2], 16);
        e.content_commitment = make_bytes(random[3], HASH_BYTES);
    }
    e.certificate = make_bytes(random[4], HASH_BYTES);
    e.rules = &rule;
    e.n_rules = 1;
    e.purpose = (char *)(uintptr_t) "reintegration";
    e.basis = (char *)(uintptr_t) "law";
    e.state_after = LIAISON__V1__STATE__STATE_REQUESTED;
    e.type = LIAISON__V1__TYPE__TYPE_REFERRAL;
    make_entry(m, &e, who, other == who ? 0 : other);
}

/* Appends ordinary entries until there are `n`, with a start first and a summary where one is due. */
static inline void make_grow(struct make_log *m, uint64_t n)
{
    while (m->n < n) {
        Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;

        e.event = LIAISON__V1__EVENT__EVENT_START;
        if (m->n == 0 && m->log == 1)
            make_entry(m, &e, 0, 0);
        else if (m->n > 0 && m->n % MAKE_SUMMARY_EVERY == 0)
            make_summary(m, MAKE_AGENCIES);
        else
            make_ordinary(m);
    }
}

/* All levels of hashes of the first `size` leaves: level[i] has size >> 8i of them. */
struct make_levels {
    uint8_t (*level[SOURCE_LEVELS])[HASH_BYTES];
};

static inline void make_levels_begin(const struct make_log *m, uint64_t size, struct make_levels *l)
{
    uint8_t tile[SOURCE_WIDTH][HASH_BYTES];

    memset(l, 0, sizeof *l);
    l->level[0] = m->leaves;
    for (unsigned i = 1; size >> 8 * i > 0; i++) {
        uint64_t n = size >> 8 * i;

        l->level[i] = calloc(n, HASH_BYTES);
        make_must(l->level[i] != NULL, "out of memory");
        for (uint64_t j = 0; j < n; j++) {
            memcpy(tile, l->level[i - 1][j * SOURCE_WIDTH], sizeof tile);
            tree_fold(m->h, tile, l->level[i][j]);
        }
    }
}

static inline void make_levels_end(struct make_levels *l)
{
    for (unsigned i = 1; i < SOURCE_LEVELS; i++)
        free(l->level[i]);
}

/* The checkpoint of the first `size` entries. */
static inline void make_checkpoint(const struct make_log *m, uint64_t size, struct checkpoint *c)
{
    memset(c, 0, sizeof *c);
    snprintf(c->origin, sizeof c->origin, "%s", m->origin);
    c->size = size;
    merkle_root(m->h, (const uint8_t(*)[HASH_BYTES])m->leaves, size, c->root);
}

/* Signs a text with the keys given; `text` ends in LF. Returns the note's length. */
static inline size_t make_signed(const char *text, size_t len, const struct note_signer *const *keys, size_t n_keys,
                                 uint64_t time_s, uint8_t out[MAKE_NOTE_MAX])
{
    memcpy(out, text, len);
    out[len] = '\n';
    size_t at = len + 1, line_len;
    char line[NOTE_LINE_MAX];

    for (size_t i = 0; i < n_keys; i++) {
        make_must(note_sign(keys[i], slice(text, len), time_s, line, &line_len) == LIAISON_OK, "a signature");
        memcpy(out + at, line, line_len);
        at += line_len;
    }
    return at;
}

/* The note of the first `size` entries by the log's key and the first `witnesses` witnesses. */
static inline struct slice make_note(const struct make_log *m, uint64_t size, size_t witnesses,
                                     uint8_t out[MAKE_NOTE_MAX])
{
    const struct note_signer *keys[1 + MAKE_WITNESSES] = {&m->key};
    struct checkpoint c;
    char text[NOTE_CHECKPOINT_MAX + 1];

    make_checkpoint(m, size, &c);
    size_t len = checkpoint_print(&c, text);

    for (size_t i = 0; i < witnesses; i++)
        keys[1 + i] = &m->witnesses[i];
    return slice(out, make_signed(text, len, keys, 1 + witnesses, m->time_ns / 1000000000, out));
}

/* A policy that believes this log, and wants `quorum` of its witnesses. */
static inline void make_policy(const struct make_log *m, unsigned quorum, char *out, size_t out_len)
{
    char key[NOTE_KEY_TEXT_MAX];
    size_t at;

    note_key_print(&m->key.key, key);
    at = (size_t)snprintf(out, out_len, "log %s\n", key);
    for (size_t i = 0; quorum > 0 && i < MAKE_WITNESSES; i++) {
        note_key_print(&m->witnesses[i].key, key);
        at += (size_t)snprintf(out + at, out_len - at, "witness w%zu %s\n", i + 1, key);
    }
    if (quorum == 0)
        snprintf(out + at, out_len - at, "quorum none\n");
    else
        snprintf(out + at, out_len - at, "group all %u w1 w2 w3\nquorum all\n", quorum);
}

/* Writes a sealed bundle: entries from `from`, the tree of `size`, this note. */
static inline void make_bundle(const struct make_log *m, const char *folder, uint64_t from, uint64_t size,
                               struct slice note)
{
    struct bundle_writer *w = NULL;
    struct make_levels l;
    char why[512] = "out of memory";

    if (bundle_begin(folder, from, size, &w, why, sizeof why) != LIAISON_OK)
        make_die("%s", why);
    make_levels_begin(m, size, &l);
    bool good = bundle_put_note(w, note) == LIAISON_OK &&
                bundle_put_rules(w, m->rule_set, slice_text(MAKE_RULES)) == LIAISON_OK;
    for (unsigned level = 0; level < SOURCE_LEVELS; level++)
        for (uint64_t n = level == 0 ? from / SOURCE_WIDTH : 0; source_width(size, level, n) > 0; n++) {
            unsigned width = source_width(size, level, n);

            good = good && bundle_put_tile(w, level, n, (const uint8_t(*)[HASH_BYTES])(l.level[level] + n * SOURCE_WIDTH),
                                           width) == LIAISON_OK;
            if (level == 0)
                good = good && bundle_put_page(w, n, m->entries + n * SOURCE_WIDTH, width) == LIAISON_OK;
        }
    if (!good || bundle_seal(w) != LIAISON_OK)
        make_die("%s", bundle_writer_why(w));
    bundle_writer_free(w);
    make_levels_end(&l);
}
