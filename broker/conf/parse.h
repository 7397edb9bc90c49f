#pragma once
/* What scanner and grammar share while they read one source. Private to broker/conf. */
#include "broker/conf/tree.h"

struct parse {
    struct tree *tree;
    const struct conf_source *source;
    bool settings_too;

    /* the scanner's */
    uint32_t line, at;    /* of the next byte */
    bool first_in_line;   /* nothing but blanks before it */
    bool open;            /* a statement has begun */
    int held;             /* a token that waits behind an end of line; 0: none */
    int statement;        /* the token that began the statement */
    struct text last;     /* the token handed out last */
    struct place end;     /* just behind the one before it */
    bool last_began_line; /* it stood first in its line */

    /* the grammar's */
    struct tree_agency agency;
    struct tree_rule rule;
    struct tree_test test;
};

struct keyword {
    const char *word;
    int token;
};

/* A word of the language at the beginning of a statement, or inside one; NULL if it has no such word there. */
const struct keyword *parse_first_word(const char *word);
const struct keyword *parse_inner_word(const char *word);

/* True if it is the name of a setting. */
bool parse_is_setting(const char *word);

/* What the grammar does, in C that the house warnings see. */
void parse_add(struct parse *p, struct texts *list, struct text t);
void parse_add_party(struct parse *p, struct tree_parties *list,
                     enum rules_party_kind kind, struct text name);
void parse_once(struct parse *p, struct text *field, struct text word, struct text value);
void parse_clause(struct parse *p, enum clause kind, struct text word,
                  struct tree_words values);
void parse_empty(struct parse *p, struct place at);
void parse_agency(struct parse *p);
void parse_group(struct parse *p, struct text name, struct texts members, bool broken);
void parse_auditor(struct parse *p, struct text name, struct text area);
void parse_rule(struct parse *p);
void parse_test(struct parse *p);
void parse_certificate(struct parse *p, struct text digest);
void parse_include(struct parse *p, struct text pattern);
void parse_setting(struct parse *p, struct text name, struct texts words);
void parse_lost(struct parse *p);

/* Reports a token that does not fit, by the grammar's names for it and for the n that would. */
void parse_unexpected(struct parse *p, struct place at, const char *token,
                      const char *const *expected, size_t n);

/* The scanner: the next token, 0 at the end. */
int conf_scan(struct text *value, struct place *at, void *scanner);
