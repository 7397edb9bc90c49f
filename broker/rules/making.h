#pragma once
/* A set in the making. Private to broker/rules/build*.c. */
#include "broker/rules/set.h"
#include "proto/hash.h"

/* The first failure is kept and ends it. */
struct build {
    const struct rules_draft *draft;
    struct rules *r;
    struct arena *scratch; /* gone when the build is over */
    struct hash *h;
    enum liaison_code code;
};

void build_fail(struct build *b, enum liaison_code code);

/* n cleared things; NULL when memory is out, which is a failure. */
void *build_take(struct build *b, struct arena *a, size_t n, size_t size);

/* Copies that live as long as the set. Never NULL. */
const char *build_text(struct build *b, const char *text);
struct rules_names build_names(struct build *b, const char *const *list, size_t n);

/* Gives a line its text's id. */
void build_id(struct build *b, struct rules_line *line);

/* In this order; each does nothing after a failure. */
void build_members(struct build *b); /* agencies, kinds, groups: build_members.c */
void build_rules(struct build *b);   /* words, rules and rows: build_rules.c */
void build_sides(struct build *b);   /* of each agency the rows that are not empty */
