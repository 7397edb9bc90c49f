#pragma once
/* A broker's log in memory, with its key and one witness: real leaves, real proofs, real notes. All keys are drawn
 * afresh. */
#include "proto/merkle.h"
#include "proto/note.h"

enum { FAKE_LOG_MAX = 8192, FAKE_NOTE = 2048 };

#define FAKE_ORIGIN PKI_NETWORK "/fr/hub/1"

struct fake_log {
    struct hash *hash;
    struct note_signer key, witness;
    uint8_t leaves[FAKE_LOG_MAX][HASH_BYTES];
    uint8_t stored[2 * FAKE_LOG_MAX][HASH_BYTES];
    size_t n_stored;
    struct merkle_edge edge;
    char policy[1024];
};

/* A note and its length. */
struct fake_note {
    uint8_t bytes[FAKE_NOTE];
    size_t n;
};

static inline uint64_t fake_log_add(struct fake_log *g, struct slice entry)
{
    uint8_t leaf[HASH_BYTES];

    pki_must(g->edge.size < FAKE_LOG_MAX);
    merkle_leaf(g->hash, entry, leaf);
    memcpy(g->leaves[g->edge.size], leaf, sizeof leaf);
    g->n_stored += merkle_edge_add(g->hash, &g->edge, leaf, g->stored + g->n_stored);
    return g->edge.size - 1;
}

/* n entries of nobody; `salt` makes another log of them. */
static inline void fake_log_fill(struct fake_log *g, size_t n, uint8_t salt)
{
    for (size_t i = 0; i < n; i++)
        fake_log_add(g, slice((uint8_t[]){salt, (uint8_t)(g->edge.size >> 8), (uint8_t)g->edge.size}, 3));
}

/* With the keys of `like`, if it is given: the same log as far as anybody can see from outside. */
static inline struct fake_log *fake_log_new(const struct fake_log *like)
{
    struct fake_log *g = calloc(1, sizeof *g);
    char log[NOTE_KEY_TEXT_MAX], witness[NOTE_KEY_TEXT_MAX];

    g->hash = hash_new();
    if (like != NULL) {
        g->key = like->key;
        g->witness = like->witness;
    } else {
        pki_must(note_signer_make(g->hash, FAKE_ORIGIN, NOTE_ED25519, &g->key) == LIAISON_OK);
        pki_must(note_signer_make(g->hash, "synthetic-dpa", NOTE_COSIGNATURE, &g->witness) == LIAISON_OK);
    }
    note_key_print(&g->key.key, log);
    note_key_print(&g->witness.key, witness);
    snprintf(g->policy, sizeof g->policy, "log %s\nwitness dpa %s\nquorum dpa\n", log, witness);
    return g;
}

static inline void fake_log_free(struct fake_log *g)
{
    hash_free(g->hash);
    free(g);
}

/* The checkpoint of the first `size` leaves, signed by `key`; cosigned at witnessed_s if that is not 0. */
static inline struct fake_note fake_log_note_by(struct fake_log *g, const struct note_signer *key, const char *origin,
                                                size_t size, uint64_t witnessed_s)
{
    struct checkpoint c = {.size = size};
    struct fake_note out = {.n = 0};
    char text[NOTE_CHECKPOINT_MAX + 1], line[NOTE_LINE_MAX];
    size_t n, line_n;

    snprintf(c.origin, sizeof c.origin, "%s", origin);
    merkle_root(g->hash, (const uint8_t(*)[HASH_BYTES])g->leaves, size, c.root);
    n = checkpoint_print(&c, text);
    memcpy(out.bytes, text, n);
    out.bytes[n] = '\n';
    out.n = n + 1;
    pki_must(note_sign(key, slice(text, n), 0, line, &line_n) == LIAISON_OK);
    memcpy(out.bytes + out.n, line, line_n);
    out.n += line_n;
    if (witnessed_s != 0) {
        pki_must(note_sign(&g->witness, slice(text, n), witnessed_s, line, &line_n) == LIAISON_OK);
        memcpy(out.bytes + out.n, line, line_n);
        out.n += line_n;
    }
    return out;
}

static inline struct fake_note fake_log_note(struct fake_log *g, size_t size, uint64_t witnessed_s)
{
    return fake_log_note_by(g, &g->key, FAKE_ORIGIN, size, witnessed_s);
}

static inline enum liaison_code fake_log_read(void *arg, uint64_t index, uint8_t out[HASH_BYTES])
{
    struct fake_log *g = arg;

    memcpy(out, g->stored[index], HASH_BYTES);
    return LIAISON_OK;
}

struct fake_proof {
    uint8_t bytes[MERKLE_PROOF_MAX][HASH_BYTES];
    size_t n;
};

static inline struct fake_proof fake_log_path(struct fake_log *g, uint64_t index, uint64_t size)
{
    struct fake_proof p = {.n = 0};

    pki_must(merkle_prove(g->hash, fake_log_read, g, index, size, p.bytes, &p.n) == LIAISON_OK);
    return p;
}

static inline struct fake_proof fake_log_growth(struct fake_log *g, uint64_t old, uint64_t size)
{
    struct fake_proof p = {.n = 0};

    pki_must(merkle_prove_growth(g->hash, fake_log_read, g, old, size, p.bytes, &p.n) == LIAISON_OK);
    return p;
}
