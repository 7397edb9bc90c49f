#pragma once
/* How a rule set lies in memory. Private to broker/rules.
 *
 * A row has one bit per rule. For every condition there is one row per value it can have: the rules that this value
 * satisfies. A decision is the AND of eight rows, so it costs the same whatever the rules say. */
#include <stdatomic.h>

#include "broker/rules/build.h"

enum { ROW_BITS = 64, ROW_MAX = RULES_RULES_MAX / ROW_BITS, TYPES = 5, MINORS = 4 };

/* What a table finds: the first member of whatever has a name. */
struct name {
    const char *text;
    uint32_t len, hash;
};

/* Open addressing, never full, never changed after the build. */
struct table {
    struct name **slots;
    uint32_t mask;
};

struct word {
    struct name name;
    uint64_t *category, *purpose, *basis, *section; /* rows; NULL: no rule uses it so */
};

struct member {
    struct name name;
    struct rules_agency agency;
    uint64_t *from, *to; /* rows */
};

struct denied_certificate {
    uint8_t sha256[32];
    struct rules_line line;
};

struct auditor {
    struct name name;
    const char *area;
};

struct words {
    struct word **list;
    size_t n;
    bool any;
};

struct rule {
    struct rules_line line;
    bool deny, within_area, when_minor;
    Liaison__V1__Type type;
    struct word *category; /* NULL: any */
    struct words purposes, bases, sections;
    Liaison__V1__Reveal reveal;
    const char **returns;
    size_t n_returns;
    uint64_t max_bytes;
    size_t draft_index;
};

struct rules {
    atomic_uint references;
    struct arena *arena; /* holds all below, and this */
    const char *network, *keep; /* the text of keep_for */
    struct rules_span keep_for;
    uint8_t set_id[32];
    struct slice text; /* exact, of all files in the order read */

    struct member *agencies; /* in order of names */
    size_t n_agencies;
    struct table by_agency;
    struct table by_auditor;
    struct table by_word;
    size_t n_words;

    struct denied_certificate *denied; /* in order of their digests */
    size_t n_denied;
    struct rules_line builtin[RULES_BUILTIN__COUNT];

    struct rule *rules; /* in order of their texts */
    size_t n_rules, row_n;

    /* Rows for a word that no rule uses so: only `any` is satisfied. */
    uint64_t *other_category, *other_purpose, *other_basis, *other_section;
    uint64_t *types[TYPES];
    uint64_t *minors[MINORS];
    uint64_t *apart;   /* satisfied by a recipient outside the sender's area */
    uint64_t *all;     /* every rule */
    uint64_t *denies;  /* every deny */
    uint64_t *partial; /* denies that remove sections only */
    uint64_t *sized;   /* allows with a max-size */
};

/* The conditions that rows answer. */
enum dimension {
    BY_FROM,
    BY_TO,
    BY_TYPE,
    BY_CATEGORY,
    BY_PURPOSE,
    BY_BASIS,
    BY_AREA,
    BY_MINOR,
    BY__COUNT
};

/* What is asked, as rows: a rule matches if its bit is set in all of them. LIAISON_OK, _RECIPIENT or
 * _UNKNOWN_AGENCY. */
enum liaison_code rules_rows(const struct rules *r, const struct rules_question *q,
                             const uint64_t *rows[BY__COUNT]);

/* Finds by text; NULL if it is not there. */
struct name *table_find(const struct table *t, const char *text);

/* The name as tables hash it. Borrows `text`. */
struct name table_name(const char *text);

/* Room for n names; false when memory is out. */
bool table_make(struct table *t, size_t n, struct arena *a);

/* Puts a name in; false if it was there. */
bool table_put(struct table *t, struct name *name);

static inline bool row_get(const uint64_t *row, size_t i)
{
    return row[i / ROW_BITS] >> i % ROW_BITS & 1;
}

/* The first rule from number i on that has its bit; n_rules if there is none. */
static inline size_t row_next(const struct rules *r, const uint64_t *row, size_t i)
{
    for (size_t at = i / ROW_BITS; at < r->row_n; at++, i = at * ROW_BITS) {
        uint64_t left = row[at] >> i % ROW_BITS;

        if (left != 0)
            return i + (size_t)__builtin_ctzll(left);
    }
    return r->n_rules;
}

static inline void row_set(uint64_t *row, size_t i)
{
    row[i / ROW_BITS] |= UINT64_C(1) << i % ROW_BITS;
}
