#pragma once
/* What a verifier found wrong: how often, and the first of each kind in words. Pure. */
#include <stddef.h>
#include <stdint.h>

/* How a verification ends; the program's exit status. */
enum verify_result {
    VERIFY_GOOD = 0,
    VERIFY_TAMPERED = 1,
    VERIFY_FORK = 2,       /* or rollback */
    VERIFY_INCOMPLETE = 3,
    VERIFY_CANNOT = 4,     /* keys, policy, I/O; or there is nothing to check */
};

enum finding_kind {
    FOUND_FORK,     /* two signed trees of one log */
    FOUND_ROLLBACK, /* fewer entries than were seen */
    FOUND_NOTE,     /* a checkpoint that cannot be one, or whose signature is wrong */
    FOUND_ROOT,     /* the tree is not the one that was signed */
    FOUND_SUBTREE,  /* hashes that do not lead to each other */
    FOUND_ENTRY,    /* an entry is not the one that was hashed */
    FOUND_FORM,     /* an entry that is no strict one, or says what none may */
    FOUND_ORDER,    /* numbers with a gap, times that fall */
    FOUND_COUNTER,  /* an agency's counter with a gap */
    FOUND_LOG,      /* of another log, or a log that does not begin or rotate its key as it must */
    FOUND_RULES,    /* a rule text that is not the one cited */
    FOUND_MISSING,  /* what should be there is not */
    FOUND_CANNOT,   /* it cannot be told */
    FOUND__COUNT
};

enum { FINDINGS_KEPT = 5, FINDING_TEXT = 240 };

struct finding {
    uint64_t seq; /* of the entry, or the first of the subtree; UINT64_MAX: of none */
    char text[FINDING_TEXT];
};

struct findings {
    uint64_t count[FOUND__COUNT];
    struct finding first[FOUND__COUNT][FINDINGS_KEPT];
};

/* Notes one: `format` is a sentence without its full stop. */
__attribute__((format(printf, 4, 5))) void findings_add(struct findings *f, enum finding_kind kind, uint64_t seq,
                                                        const char *format, ...);

/* Adds what was found further on in the log. */
void findings_join(struct findings *all, const struct findings *more);

/* How it ends: the worst of what was found; fork and rollback before damage, damage before what is missing. */
enum verify_result findings_result(const struct findings *f);

/* The kind as a word, such as "entry". */
const char *finding_word(enum finding_kind kind);
enum verify_result finding_result(enum finding_kind kind);
