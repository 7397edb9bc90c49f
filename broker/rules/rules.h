#pragma once
/* The access rules: built once by conf/, then immutable and shared; decisions are pure functions.
 *
 * Nothing passes unless a rule allows it; deny beats allow; the order of rules never matters.
 * Source: PROTOCOL.md, "Rules". */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/id.h"
#include "proto/liaison.pb-c.h"

enum {
    RULES_MATCHED_MAX = 24, /* rules that one decision names */
    RULES_SECTIONS_MAX = 32 /* sections of one question */
};

struct rules; /* one set, immutable, reference-counted */

struct rules *rules_share(struct rules *r); /* one more reference; any thread */
void rules_free(struct rules *r);           /* one less; NULL is harmless; any thread */

const char *rules_network(const struct rules *r);

/* SHA-256 of the exact text of all files, in the order read. */
void rules_set_id(const struct rules *r, uint8_t out[32]);

/* That text. Borrows: lives as long as r. */
struct slice rules_text(const struct rules *r);

struct rules_agency {
    const char *name, *kind, *area;
};

/* The agency declared under `name`, or NULL. Borrows: lives as long as r. */
const struct rules_agency *rules_agency(const struct rules *r, const char *name);

/* Agency number i in order of names, NULL past the last. */
const struct rules_agency *rules_agency_at(const struct rules *r, size_t i);

/* The area an auditor may read ("any": all), or NULL if no such auditor is declared. */
const char *rules_auditor_area(const struct rules *r, const char *name);

/* True if `area` equals `within` or lies below it ("fr/lyon" lies below "fr"); everything lies within "any". */
bool rules_area_within(const char *area, const char *within);

struct rules_question {
    const char *from, *to;
    Liaison__V1__Type type;
    const char *category, *purpose, *basis;
    Liaison__V1__Minor minor;
    size_t bytes; /* of all section ciphertexts */
    const char *const *sections;
    size_t n_sections; /* at most RULES_SECTIONS_MAX */
    bool strip;        /* sections that are not granted are dropped instead of refusing */
};

struct rules_line {
    uint8_t id[32];
    const char *text;  /* canonical */
    const char *where; /* file:line */
};

struct rules_decision {
    enum liaison_code
        code; /* LIAISON_OK, _RECIPIENT, _UNKNOWN_AGENCY (the sender), _DENIED, _NOT_ALLOWED, _SECTIONS, _TOO_LARGE */
    uint32_t granted; /* bit i: sections[i] may pass */
    const struct rules_line *lines
        [RULES_MATCHED_MAX]; /* that made it: the denies, or all matching allows (and section denies) */
    size_t n_lines;
    Liaison__V1__Reveal reveal; /* strictest: ON_ACCEPT before ON_DELIVERY */
    const char *const *
        returns; /* sections that may flow back: union of matching allows; default {outcome} */
    size_t n_returns;
    const char *keep;          /* "2y" or "" */
    const struct rules *rules; /* that decided; borrowed */
};

/* Decides. Lists in *out live in `a`; texts live as long as r. With no memory left it denies (LIAISON_MEMORY).
 * A deny's `when minor` matches YES and UNKNOWN, an allow's only YES. */
void rules_decide(const struct rules *r, const struct rules_question *q, struct arena *a,
                  struct rules_decision *out);

/* One sentence about the decision for people: "denied by fr-lyon.conf:12: deny any any from kind school ...". The set that
 * decided must still be held. Never NULL; lives in `a` or for ever. */
const char *rules_explain(const struct rules_decision *d, const struct rules_question *q,
                          struct arena *a);
