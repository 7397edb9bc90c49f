#pragma once
/* Verifies a log: every entry, every hash, the signed note, and that it extends what was seen before. No key, no connection.
 *
 * What is checked, in this order: the note's form; the tiles of the upper levels against each other and against the note's root;
 * every entry as stored against its leaf hash, the leaf hashes against level 1, and what the entry says: strict form, number,
 * log, time, the counters of all parties, summaries, rotations of the key, the log before; the rule texts that entries cite; the
 * note's signature and quorum by the policy; then the last state's checkpoint, and every other note, against the tree.
 * Source: PROTOCOL.md, "Bundles" and "Verifying". */
#include "client/audit/findings.h"
#include "client/audit/source.h"
#include "client/audit/verify_state.h"
#include "proto/note.h"

enum { VERIFY_ERASED_KEPT = 64, VERIFY_THREADS_MAX = 64 };

/* Called by the thread that called verify(): so many of the entries are done. */
typedef void verify_progress(void *arg, uint64_t done, uint64_t all);

struct verify_settings {
    const struct source *source;
    struct slice note;          /* the checkpoint that is judged */
    const struct slice *others; /* of the same log: each must be a tree that this one extends */
    size_t n_others;
    struct note_policy *policy; /* takes the rotations that the log holds */
    const struct verify_state *last; /* NULL: none was seen */
    bool all;                   /* every entry again, though there is a last state */
    bool whole;                 /* an entry that was not shown is missing */
    uint64_t now_s;
    unsigned threads;           /* 1 to VERIFY_THREADS_MAX */
    verify_progress *progress;  /* NULL: none */
    void *progress_arg;
};

/* Two notes that prove a fork, or a rollback: of one log, both signed, one not extending the other. */
struct verify_fork {
    struct slice first, second; /* the smaller tree first */
    size_t proof_len;           /* leads from another tree of the first's size to the second's root; 0: equal sizes, or rollback */
    uint8_t proof[MERKLE_PROOF_MAX][HASH_BYTES];
};

/* What was checked, for people and programs. */
struct verify_report {
    struct checkpoint checkpoint;
    bool judged; /* the note is signed, by a key of the policy */
    struct note_judgement judgement;
    uint64_t hidden; /* of the entries: not to be read by us, only their hashes were checked */
    uint64_t from, entries, bytes, pages, tiles, rule_texts, parties, summaries, rotations;
    uint64_t first_time_ns, last_time_ns;
    uint64_t last_size;          /* of the last state; 0: none */
    uint64_t others;             /* notes that it extends */
    uint64_t continues_size;     /* of the log before, by NEW_LOG; 0: this is the first */
    char continues[NOTE_NAME_MAX + 1];
    uint8_t continues_root[HASH_BYTES];
    uint64_t erased;
    struct {
        uint64_t seq;
        bool has_referral;
        uint8_t referral[16];
    } erasures[VERIFY_ERASED_KEPT];
    bool has_fork;
    struct verify_fork fork;     /* slices: of the settings */
    struct findings found;
    struct verify_state next;    /* to be kept, when all was good; its note is the settings', its rotations are the report's own */
};

/* Verifies. The report is whole also when something was found; findings_result(&out->found) says how it ended.
 * Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code verify(const struct verify_settings *s, struct verify_report *out);
void verify_report_clear(struct verify_report *r);

/* The text of a fork's evidence, which anyone can check with the log's key: a first line, then each note and the proof.
 * Gives: *text, to be released with free(). Errors: LIAISON_MEMORY. Source: PROTOCOL.md, "Verifying". */
MUST_CHECK
enum liaison_code verify_fork_print(const struct verify_fork *f, uint8_t **text, size_t *len);
