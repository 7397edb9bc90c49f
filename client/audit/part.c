#include "client/audit/part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/bundle.h"
#include "proto/err.h"
#include "proto/liaison.pb-c.h"

struct part_worker {
    const struct source *source;
    const struct scan *scan;
    uint64_t log;
    struct tree tree; /* keeps the tile of level 1 */
    struct source_page page;
    uint8_t tile[SOURCE_WIDTH][HASH_BYTES];
    uint8_t leaves[SOURCE_WIDTH][HASH_BYTES];
    bool wrong
        [SOURCE_WIDTH]; /* entries of the page that do not have the hash of their tile */
    struct scan_entry entry;
};

struct part_worker *part_worker_new(const struct source *source, const struct scan *scan,
                                    uint64_t log)
{
    struct part_worker *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    w->source = source;
    w->scan = scan;
    w->log = log;
    w->tree = (struct tree){.source = source, .hash = hash_new()};
    if (w->tree.hash != NULL)
        return w;
    part_worker_free(w);
    return NULL;
}

void part_worker_free(struct part_worker *w)
{
    if (w == NULL)
        return;
    hash_free(w->tree.hash);
    free(w->page.room);
    free(w);
}

void part_free(struct part *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->n_events; i++)
        free((void *)(uintptr_t)p->events[i].note.p);
    free(p->events);
    parties_free(p->parties);
    free(p);
}

/* ------------------------------------------------------------ what an entry says */

/* What an entry must say to be one; NULL: it does. Source: PROTOCOL.md, "Ledger entries". */
static const char *form_wrong(const struct scan_entry *e)
{
    const struct {
        bool good;
        const char *why;
    } ROWS[] = {
        {scan_number(e, SCAN_VERSION) == 1, "its version is not 1"},
        {scan_bytes(e, SCAN_NONCE).n == 16, "its nonce is not of 16 bytes"},
        {scan_number(e, SCAN_TIME_NS) != 0, "it has no time"},
        {scan_number(e, SCAN_CLOCK) != 0, "it does not say how its clock was"},
        {scan_number(e, SCAN_EVENT) != 0, "it does not say what happened"},
        {scan_number(e, SCAN_OPERATION) != 0, "it names no operation"},
        {scan_number(e, SCAN_VERDICT) != 0, "it has no verdict"},
        {(scan_number(e, SCAN_CODE) != 0) ==
             (scan_number(e, SCAN_VERDICT) == LIAISON__V1__VERDICT__VERDICT_DENIED),
         "code and verdict do not agree"},
        {scan_bytes(e, SCAN_RULE_SET).n % HASH_BYTES == 0 &&
             scan_bytes(e, SCAN_RULE_SET).n <= HASH_BYTES,
         "its rule set is not of 32 bytes"},
        {scan_bytes(e, SCAN_COUNTERPART_COUNTER).n % HASH_BYTES == 0 &&
             scan_bytes(e, SCAN_COUNTERPART_COUNTER).n <= HASH_BYTES,
         "a commitment is not of 32 bytes"},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (!ROWS[i].good)
            return ROWS[i].why;
    return NULL;
}

static void check_place(const struct part_worker *w, struct part *p, uint64_t seq)
{
    const struct scan_entry *e = &w->entry;
    uint64_t says = scan_number(e, SCAN_SEQ);

    if (says != seq)
        findings_add(&p->found, FOUND_ORDER, seq,
                     "entry %" PRIu64 " says that it is entry %" PRIu64, seq, says);
    if (scan_number(e, SCAN_LOG) != w->log)
        findings_add(&p->found, FOUND_LOG, seq,
                     "entry %" PRIu64 " is of log %" PRIu64 ", not of log %" PRIu64, seq,
                     scan_number(e, SCAN_LOG), w->log);
}

static void check_time(const struct part_worker *w, struct part *p, uint64_t seq)
{
    uint64_t time_ns = scan_number(&w->entry, SCAN_TIME_NS);

    if (p->has_time && time_ns < p->last_time_ns)
        findings_add(&p->found, FOUND_ORDER, seq,
                     "entry %" PRIu64 " is older than the entry before it", seq);
    if (!p->has_time)
        p->first_time_ns = time_ns;
    p->has_time = true;
    p->last_time_ns = time_ns;
}

static void counter_gap(void *arg, struct slice name, uint64_t seq, uint64_t want,
                        uint64_t got)
{
    struct part *p = arg;

    findings_add(&p->found, FOUND_COUNTER, seq,
                 "entry %" PRIu64 ": the counter of %.*s is %" PRIu64 ", not %" PRIu64,
                 seq, (int)(name.n > 100 ? 100 : name.n), (const char *)name.p, got,
                 want);
}

static bool count_parties(const struct part_worker *w, struct part *p, uint64_t seq)
{
    const struct scan_entry *e = &w->entry;

    return parties_act(p->parties, scan_bytes(e, SCAN_AGENCY),
                       scan_number(e, SCAN_AGENCY_COUNTER), seq, counter_gap, p) &&
           (scan_bytes(e, SCAN_COUNTERPART_COUNTER).n == 0 ||
            parties_mention(p->parties, scan_bytes(e, SCAN_COUNTERPART)));
}

static void keep_rule_set(struct part *p, struct slice id, uint64_t seq)
{
    size_t n = p->n_rule_sets;

    if (id.n != HASH_BYTES)
        return;
    for (size_t i = n; i-- > 0;)
        if (memcmp(p->rule_sets[i].id, id.p, HASH_BYTES) == 0)
            return;
    if (n == PART_RULE_SETS) {
        p->all_rule_sets = false;
        return;
    }
    memcpy(p->rule_sets[n].id, id.p, HASH_BYTES);
    p->rule_sets[n].seq = seq;
    p->n_rule_sets++;
}

static bool of_the_log(uint64_t event)
{
    return event == LIAISON__V1__EVENT__EVENT_NEW_LOG ||
           event == LIAISON__V1__EVENT__EVENT_KEY_ROTATE ||
           event == LIAISON__V1__EVENT__EVENT_SUMMARY ||
           event == LIAISON__V1__EVENT__EVENT_ERASE;
}

static bool keep_event(const struct part_worker *w, struct part *p, uint64_t seq)
{
    const struct scan_entry *e = &w->entry;
    struct slice note = scan_bytes(e, SCAN_NOTE), id = scan_bytes(e, SCAN_REFERRAL_ID);

    if (!of_the_log(scan_number(e, SCAN_EVENT)) ||
        scan_number(e, SCAN_VERDICT) != LIAISON__V1__VERDICT__VERDICT_DONE)
        return true; /* a summary that was refused is none */
    if (p->n_events == p->events_room) {
        size_t room = p->events_room == 0 ? 8 : 2 * p->events_room;
        struct part_event *wider = realloc(p->events, room * sizeof *wider);

        if (wider == NULL)
            return false;
        p->events = wider;
        p->events_room = room;
    }
    uint8_t *copy = malloc(note.n + 1);

    if (copy == NULL)
        return false;
    if (note.n > 0)
        memcpy(copy, note.p, note.n);
    struct part_event *to = &p->events[p->n_events++];

    *to = (struct part_event){.event = scan_number(e, SCAN_EVENT),
                              .seq = seq,
                              .count = scan_number(e, SCAN_COUNT),
                              .summary = scan_times(e, SCAN_SUMMARY),
                              .note = slice(copy, note.n),
                              .has_referral = id.n == sizeof to->referral};
    if (to->has_referral)
        memcpy(to->referral, id.p, id.n);
    return true;
}

static void hole(struct part *p)
{
    p->hole = true;
    parties_forget(p->parties);
}

/* Looks at one entry's contents; of one whose hash is wrong at its place only. False when memory is out. */
static bool read_entry(struct part_worker *w, struct part *p, struct slice bytes,
                       uint64_t seq, bool believed)
{
    p->entries++;
    p->bytes += bytes.n;
    if (!scan_read(w->scan, bytes, &w->entry)) {
        findings_add(&p->found, FOUND_FORM, seq,
                     "entry %" PRIu64 " is no strict ledger entry", seq);
        hole(p);
        return true;
    }
    const char *why = form_wrong(&w->entry);

    if (why != NULL)
        findings_add(&p->found, FOUND_FORM, seq, "entry %" PRIu64 ": %s", seq, why);
    check_place(w, p, seq);
    if (!believed) {
        hole(p);
        return true;
    }
    check_time(w, p, seq);
    keep_rule_set(p, scan_bytes(&w->entry, SCAN_RULE_SET), seq);
    return count_parties(w, p, seq) && keep_event(w, p, seq);
}

/* ------------------------------------------------------------ hashes */

/* Notes that a file could not be used. False when memory is out. */
static bool file_wrong(struct part *p, enum liaison_code code, uint64_t seq,
                       const char *path)
{
    if (code == LIAISON_NOT_FOUND)
        findings_add(&p->found, FOUND_MISSING, seq, "%s is missing or cut short", path);
    else if (code == LIAISON_DAMAGED)
        findings_add(&p->found, FOUND_ENTRY, seq,
                     "%s is damaged: it holds something else", path);
    else if (code != LIAISON_MEMORY)
        findings_add(&p->found, FOUND_CANNOT, seq, "%s: %s", path, err_text(code));
    return code != LIAISON_MEMORY;
}

/* The hash that level 1 has for page n. False if there is none, or no such tile: the root then says so. */
static bool page_hash(struct part_worker *w, uint64_t n, const uint8_t **out)
{
    if (tree_tile(&w->tree, 1, n / SOURCE_WIDTH) != LIAISON_OK)
        return false;
    *out = w->tree.tile[n % SOURCE_WIDTH];
    return n % SOURCE_WIDTH < w->tree.width;
}

/* Compares the entries' hashes with their tile, and the tile's with level 1. The last, partial tile has no hash there: it is
 * part of the root. */
static void compare(struct part_worker *w, struct part *p, uint64_t n, unsigned width)
{
    uint64_t first = n * SOURCE_WIDTH;
    const uint8_t *above;
    uint8_t fold[HASH_BYTES];

    for (unsigned i = 0; i < width; i++) {
        w->wrong[i] = memcmp(w->leaves[i], w->tile[i], HASH_BYTES) != 0;
        if (w->wrong[i])
            findings_add(&p->found, FOUND_ENTRY, first + i,
                         "entry %" PRIu64 " does not have the hash that tile 0/%" PRIu64
                         " has for it",
                         first + i, n);
    }
    if (width < SOURCE_WIDTH || !page_hash(w, n, &above))
        return;
    tree_fold(w->tree.hash, w->tile, fold);
    if (memcmp(fold, above, HASH_BYTES) == 0)
        return;
    tree_fold(w->tree.hash, w->leaves, fold);
    findings_add(&p->found, FOUND_SUBTREE, first,
                 "the subtree of entries %" PRIu64 " to %" PRIu64
                 " does not lead to its hash at level 8%s",
                 first, first + width - 1,
                 memcmp(fold, above, HASH_BYTES) == 0
                     ? ": tile 0 was changed, the entries lead there"
                     : "");
}

/* The byte before an entry is the page's to write over: so a leaf is hashed in one run. */
static void hash_leaves(struct part_worker *w)
{
    for (unsigned i = 0; i < w->page.n; i++) {
        if (w->page.entry[i].p == NULL)
            continue;
        uint8_t *leaf = (uint8_t *)(uintptr_t)w->page.entry[i].p - 1;

        *leaf = 0x00;
        hash_sha256(w->tree.hash, &(struct slice){leaf, w->page.entry[i].n + 1}, 1,
                    w->leaves[i]);
    }
}

/* Of an entry that may not be read the tile's hash is all there is; it is checked with the tile. */
static void take_hidden(struct part_worker *w)
{
    for (unsigned i = 0; i < w->page.n; i++)
        if (w->page.entry[i].p == NULL)
            memcpy(w->leaves[i], w->tile[i], HASH_BYTES);
}

static bool take_entry(struct part_worker *w, struct part *p, uint64_t seq)
{
    struct slice bytes = w->page.entry[seq % SOURCE_WIDTH];

    if (seq < p->first || seq >= p->end)
        return true;
    if (bytes.p != NULL)
        return read_entry(w, p, bytes, seq, !w->wrong[seq % SOURCE_WIDTH]);
    p->entries++;
    p->hidden++;
    hole(p);
    return true;
}

static bool check_page(struct part_worker *w, struct part *p, uint64_t n)
{
    const struct source *s = w->source;
    unsigned width = source_width(s->size, 0, n);
    uint64_t first = n * SOURCE_WIDTH;
    char path[BUNDLE_PATH_MAX];
    enum liaison_code code = s->page(s->arg, n, width, &w->page);

    if (code != LIAISON_OK) {
        bundle_page_path(n, width, path);
        hole(p);
        return file_wrong(p, code, first, path);
    }
    hash_leaves(w);
    memset(w->wrong, 0, sizeof w->wrong);
    code = s->tile(s->arg, 0, n, width, w->tile);
    if (code == LIAISON_OK) {
        p->tiles++;
        take_hidden(w);
        compare(w, p, n, width);
    } else {
        bundle_tile_path(0, n, width, path);
        if (!file_wrong(p, code, first, path))
            return false;
    }
    for (unsigned i = 0; i < width; i++)
        if (!take_entry(w, p, first + i))
            return false;
    return true;
}

enum liaison_code part_check(struct part_worker *w, uint64_t first, uint64_t end,
                             struct part **out)
{
    struct part *p = calloc(1, sizeof *p);
    bool good = p != NULL;

    if (good) {
        p->first = first;
        p->end = end;
        p->all_rule_sets = true;
        p->parties = parties_new(PARTIES_UNKNOWN);
        good = p->parties != NULL;
    }
    for (uint64_t n = first / SOURCE_WIDTH; good && n * SOURCE_WIDTH < end; n++)
        good = check_page(w, p, n);
    if (!good) {
        part_free(p);
        return LIAISON_MEMORY;
    }
    *out = p;
    return LIAISON_OK;
}
