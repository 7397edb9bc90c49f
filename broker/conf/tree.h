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

/* purpose { a, b }   purpose any */
struct tree_words {
    struct place at; /* of the word before it; file NULL: not given */
    struct texts words;
    bool any;
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
    struct text name, kind, area;
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
    struct place within, minor; /* file NULL: not given */
    struct tree_words purposes, bases, sections, returns;
    struct text reveal; /* "accept", "delivery" */
    struct text max_size;
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
    struct tree_setting *set;
    size_t n_set, set_room;

    /* Statements that could not be read: what they would have declared is not missed. */
    bool lost_agency, lost_group, lost_rule, lost_network, lost_setting;
};

/* Reads one source into the tree. `settings_too`: statements other than rules are welcome. Errors go to tree->report. */
void tree_read(struct tree *t, const struct conf_source *source, bool settings_too);

/* The list with room for one more element: itself, or a larger copy in the arena. NULL (reported) when memory is out. */
void *tree_grow(struct tree *t, void *list, size_t n, size_t *room, size_t size);
