#pragma once
/* How a rule set lies in memory. Private to broker/rules.
 *
 * A row has one bit per rule. For every way in which a question can name a sender, recipient, category, purpose or
 * basis there is a row of the rules that mean it; what a question meets is the AND of five ORs of rows, and of the few
 * that are left each is tested for the rest, which fits one word of bits. Rules stand in the order of their texts, so
 * that those about one thing stand together, and a block of a row in which no bit is set takes no room. */
#include <stdatomic.h>

#include "broker/rules/build.h"

enum {
    WORD_BITS = 64,
    BLOCK_WORDS = 16,
    BLOCK_BITS = BLOCK_WORDS * WORD_BITS,
    BLOCKS_MAX = RULES_RULES_MAX / BLOCK_BITS,
    ROW_HAS = BLOCKS_MAX / WORD_BITS
};

struct row {
    uint64_t has[ROW_HAS];           /* which blocks are not empty */
    uint64_t (*blocks)[BLOCK_WORDS]; /* those, in order */
    uint32_t n;                      /* how many */
};

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

/* How rules use words; sections need no row. */
enum use { USE_CATEGORY, USE_PURPOSE, USE_BASIS, USES };

struct word {
    struct name name;
    uint32_t number;
    struct row rows[USES];
};

enum side { SENDER, RECIPIENT, SIDES };

/* Whom a rule can name: everybody, a kind, a group, one agency. */
struct party {
    struct name name; /* of a kind or group; else not in a table */
    uint32_t *places; /* of its agencies, rising */
    uint32_t n, room;
    struct row rows[SIDES];
};

struct member {
    struct name name;
    struct rules_agency agency;
    struct party alone;
    struct party **of; /* every party that it belongs to */
    uint32_t n_of;
    const struct row **rows[SIDES]; /* of those, what is not empty */
    uint32_t n_rows[SIDES];
    bool of_justice; /* kind court or prosecution */
    /* In the order of areas, all that lies within one area stands in one run: its place there, and its area's run. */
    uint32_t place, first, end;
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
    struct word **list; /* in order of their numbers */
    size_t n;
    bool any;
};

struct party_set {
    struct party **list;
    size_t n;
};

/* Facts with few values: each value is one bit of a word. A rule has the bits of all values that it takes, a question
 * those of its own values. Bit 0 of each stands for what was not said and for values that nobody knows. */
enum fact {
    FACT_TYPE,
    FACT_MINOR,
    FACT_CROSSING, /* not known, no, yes */
    FACT_HANDLING,
    FACT_INFORMED,
    FACT_URGENCY,
    FACT_SUBJECT,
    FACT_AREA, /* never unknown: 1 within, 2 not */
    FACTS
};

static const struct fact_bits {
    uint8_t first, n;
} FACT_BITS[FACTS] = {
    [FACT_TYPE] = {0, 5},      [FACT_MINOR] = {5, 4},     [FACT_CROSSING] = {9, 3}, [FACT_HANDLING] = {12, 6},
    [FACT_INFORMED] = {18, 6}, [FACT_URGENCY] = {24, 5}, [FACT_SUBJECT] = {29, 8}, [FACT_AREA] = {37, 3},
};

enum crossing { CROSSING_UNKNOWN, CROSSING_NO, CROSSING_YES };
enum { AREA_WITHIN = 1, AREA_APART };

static inline uint64_t fact_all(enum fact f)
{
    return ((UINT64_C(1) << FACT_BITS[f].n) - 1) << FACT_BITS[f].first;
}

static inline uint64_t fact_bit(enum fact f, unsigned value)
{
    return UINT64_C(1) << (FACT_BITS[f].first + (value < FACT_BITS[f].n ? value : 0));
}

enum effect { ALLOW, PARTIAL, DENY, EFFECTS }; /* PARTIAL: a deny that removes sections only */

/* What a rule asks beside its rows. */
struct test {
    uint64_t facts;
    uint64_t max_bytes;
    int32_t until_day; /* INT32_MAX: for ever */
    uint8_t effect;
};

struct rule {
    struct rules_line line;
    struct party_set parties[SIDES];
    struct word *category; /* NULL: any */
    struct words conditions[USES]; /* purposes and bases; neither any nor a word: not given */
    struct words sections;
    Liaison__V1__Reveal reveal;
    struct rules_names returns, escalate, approvals;
    struct rules_span keep, answer;
    bool escalate_supervisor;
    uint32_t rate;
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
    struct member **by_place;
    size_t n_agencies;
    struct party everybody;
    struct table by_agency, by_kind, by_group, by_auditor, by_word;
    size_t n_words;

    struct auditor *auditors;
    size_t n_auditors;
    struct denied_certificate *denied; /* in order of their digests */
    size_t n_denied;
    struct rules_line builtin[RULES_BUILTIN__COUNT];

    struct rule *rules; /* in order of their texts */
    struct test *tests; /* of each rule */
    size_t n_rules;
    struct row any[USES]; /* rules that take any word */
};

/* ------------------------------------------------------------ rows */

/* The words of a block, NULL if none of its bits is set. */
static inline const uint64_t *row_block(const struct row *row, size_t block)
{
    size_t at = block / WORD_BITS, below = 0;
    uint64_t bit = UINT64_C(1) << block % WORD_BITS;

    if ((row->has[at] & bit) == 0)
        return NULL;
    for (size_t i = 0; i < at; i++)
        below += (size_t)__builtin_popcountll(row->has[i]);
    if (bit > 1)
        below += (size_t)__builtin_popcountll(row->has[at] & (bit - 1));
    return row->blocks[below];
}

static inline bool row_get(const struct row *row, size_t i)
{
    const uint64_t *block = row_block(row, i / BLOCK_BITS);

    return block != NULL && (block[i % BLOCK_BITS / WORD_BITS] >> i % WORD_BITS & 1) != 0;
}

/* Sets the bit of rule i; rules come in rising order. False when memory is out. */
bool row_add(struct row *row, size_t i, struct arena *a);

/* ------------------------------------------------------------ meeting rules */

enum dimension { BY_FROM, BY_TO, BY_CATEGORY, BY_PURPOSE, BY_BASIS, DIMENSIONS };

/* Rows of which one must have a rule's bit. */
struct choice {
    const struct row *const *rows;
    size_t n;
    bool open; /* asks nothing */
};

/* What is asked of the set, and how far the answer has come. */
struct meeting {
    const struct rules *r;
    const struct member *from, *to;
    struct choice choices[DIMENSIONS];
    const struct row *words[USES][2];
    uint64_t facts;
    int32_t day;
    /* the blocks that are left, this one, and what is left of it */
    uint64_t has[ROW_HAS];
    size_t block, at;
    uint64_t hits[BLOCK_WORDS];
};

/* Asks nothing yet: every rule is met. */
void meet_all(struct meeting *m, const struct rules *r);
void meet_parties(struct meeting *m, const struct member *from, const struct member *to);
void meet_word(struct meeting *m, enum use use, const struct word *w); /* NULL: one that no rule names */

/* Asks what the question asks, but for the facts in `open` (1 << RULES_FACT_X). Errors: LIAISON_RECIPIENT,
 * LIAISON_UNKNOWN_AGENCY. */
enum liaison_code meet_question(struct meeting *m, const struct rules *r, const struct rules_question *q,
                                unsigned open);

/* Sets the bits of the rules of a block that the choice takes. */
void choice_block(const struct choice *choice, size_t block, uint64_t out[BLOCK_WORDS]);

/* After the last thing asked, before the first answer. */
void meet_begin(struct meeting *m);

/* The next rule that is met, in rising order; n_rules at the end. */
size_t meet_next(struct meeting *m);

/* From the envelope's regime into the recipient's. */
enum crossing rules_crossing(Liaison__V1__Regime from, enum rules_regime to);

/* ------------------------------------------------------------ parts of the build */

/* A rule's text, to be put in order; `key` is the sort's own. */
struct ordered {
    const char *text;
    uint64_t key;
    size_t draft_index;
};
void rules_order(struct ordered *list, size_t n);

/* What the allows oblige to, the strictest of each. False when memory is out. */
bool rules_oblige(const struct rules *r, const struct member *to, const uint32_t *allows, size_t n,
                  struct arena *a, struct rules_decision *out);

/* ------------------------------------------------------------ words and names */

/* Finds by text; NULL if it is not there. */
struct name *table_find(const struct table *t, const char *text);

/* The name as tables hash it. Borrows `text`. */
struct name table_name(const char *text);

/* Room for n names; false when memory is out. */
bool table_make(struct table *t, size_t n, struct arena *a);

/* Puts a name in; false if it was there. */
bool table_put(struct table *t, struct name *name);

static inline const struct word *find_word(const struct rules *r, const char *text)
{
    return (const struct word *)table_find(&r->by_word, text);
}

static inline const struct member *find_member(const struct rules *r, const char *name)
{
    return (const struct member *)table_find(&r->by_agency, name);
}

/* True if the list holds the word (which may be NULL: one that nobody names), or says any. */
static inline bool words_have(const struct words *w, const struct word *word)
{
    for (size_t i = 0; word != NULL && i < w->n; i++)
        if (w->list[i] == word)
            return true;
    return w->any;
}
