#pragma once
/* What the grammar makes of the files: everything as it was written, with its place. Nothing is judged yet but the shape.
 * Private to broker/conf. */
#include "broker/conf/report.h"
#include "broker/rules/build.h"

enum { TREE_SET_MAX = 4096 }; /* elements of one set */

struct text {
    const char *s; /* NULL: not given */
    struct place at;
    bool quoted;
};

/* A growing list in an arena. */
struct texts {
    struct text *list;
    size_t n, room;
};

/* Clauses of all statements that have some. */
enum clause {
    CLAUSE_WITHIN,
    CLAUSE_PURPOSE,
    CLAUSE_BASIS,
    CLAUSE_SECTIONS,
    CLAUSE_REVEAL,
    CLAUSE_RETURN,
    CLAUSE_MAX_SIZE,
    CLAUSE_KEEP,
    CLAUSE_ANSWER,
    CLAUSE_ESCALATE, /* `any`: to the supervisors */
    CLAUSE_APPROVAL,
    CLAUSE_RATE,
    CLAUSE_UNTIL,
    CLAUSE_MINOR,
    CLAUSE_CROSSING,
    CLAUSE_HANDLING,
    CLAUSE_INFORMED,
    CLAUSE_URGENCY,
    CLAUSE_SUBJECT,
    CLAUSE_KIND, /* from here on an agency's */
    CLAUSE_AREA,
    CLAUSE_REGIME,
    CLAUSE_SUPERVISOR,
    CLAUSE_SKILLS,
    CLAUSE_LANGUAGES,
    CLAUSE_CAPACITY,
    CLAUSE_MERGED, /* into the first value on the second */
    CLAUSE_SIZE,   /* from here on a test's, which has many of the others too */
    CLAUSE_DATE,
    CLAUSE_EXPECT,
    CLAUSE__COUNT
};

/* What follows the word of a clause: `any`, or values. */
struct tree_words {
    struct texts words;
    bool any;
};

struct tree_clause {
    enum clause kind;
    struct text word; /* that began it */
    struct tree_words values;
    struct tree_clause *next;
};

struct tree_party {
    enum rules_party_kind kind;
    struct text name; /* s NULL for RULES_ANY */
};

struct tree_parties {
    struct tree_party *list;
    size_t n, room;
};

struct tree_agency {
    struct text name;
    struct tree_clause *clauses;
    bool broken; /* reported already */
};

struct tree_group {
    struct text name;
    struct texts members;
    bool used, broken;
};

struct tree_auditor {
    struct text name, area;
};

struct tree_rule {
    struct place at;
    bool deny;
    bool broken; /* reported already: part of it is missing */
    Liaison__V1__Type type;
    struct text category; /* s NULL: any */
    struct tree_parties from, to;
    struct tree_clause *clauses;
};

struct tree_test {
    struct text name;
    bool broken;
    Liaison__V1__Type type; /* UNSPECIFIED: each */
    struct text category;   /* s NULL: each */
    struct text from, to;
    struct tree_clause *clauses;
    bool ran;
    const char *failure; /* NULL: it passed, if it ran */
    size_t questions;    /* asked */
};

/* A setting with all that follows it. */
struct tree_setting {
    struct text name;
    struct texts words;
};

struct tree {
    struct arena *arena;
    struct report *report;
    const char *const
        *settings; /* their names, NULL at the end: the scanner knows no others */

    struct text network, keep;
    struct tree_agency *agencies;
    size_t n_agencies, agency_room;
    struct tree_group *groups;
    size_t n_groups, group_room;
    struct tree_auditor *auditors;
    size_t n_auditors, auditor_room;
    struct tree_rule *rules;
    size_t n_rules, rule_room;
    struct tree_test *tests;
    size_t n_tests, test_room, n_passed;
    struct texts certificates; /* denied: their digests */
    struct texts includes;     /* patterns */
    struct tree_setting *set;
    size_t n_set, set_room;

    bool kept; /* read for history's sake: only what a decision needs is judged */

    /* Statements that could not be read: what they would have declared is not missed. */
    bool lost_agency, lost_group, lost_rule, lost_network, lost_setting, lost_include;
};

/* The clause of this kind; NULL: not given. */
const struct tree_clause *tree_find(const struct tree_clause *list, enum clause kind);

/* Its first value; s NULL: not given. */
struct text tree_value(const struct tree_clause *list, enum clause kind);

/* Reads one source into the tree. `settings_too`: statements other than rules are welcome. Errors go to tree->report. */
void tree_read(struct tree *t, const struct conf_source *source, bool settings_too);

/* The list with room for one more element: itself, or a larger copy in the arena. NULL (reported) when memory is out. */
void *tree_grow(struct tree *t, void *list, size_t n, size_t *room, size_t size);
