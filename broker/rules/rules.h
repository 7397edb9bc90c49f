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
    RULES_MATCHED_MAX = 128, /* rules that one decision names; what more rules than that match is refused */
    RULES_SECTIONS_MAX = 32  /* sections of one question */
};

struct rules; /* one set, immutable, reference-counted */

/* One rule, as decisions and entries name it. */
struct rules_line {
    uint8_t id[32];
    const char *text;  /* canonical */
    const char *where; /* file:line */
};

struct rules *rules_share(struct rules *r); /* one more reference; any thread */
void rules_free(struct rules *r);           /* one less; NULL is harmless; any thread */

const char *rules_network(const struct rules *r);

/* SHA-256 of the exact text of all files, in the order read. */
void rules_set_id(const struct rules *r, uint8_t out[32]);

/* That text. Borrows: lives as long as r. */
struct slice rules_text(const struct rules *r);

/* Directive (EU) 2016/680 or Regulation (EU) 2016/679: under which of them an agency holds what it gets. */
enum rules_regime { RULES_REGIME_UNKNOWN, RULES_LED, RULES_GDPR };

struct rules_names {
    const char *const *list;
    size_t n;
};

struct rules_agency {
    const char *name, *kind, *area;
    enum rules_regime regime; /* as declared; else by its kind, see rules_kind_regime() */
    struct rules_names supervisors, skills, languages;
    uint32_t capacity;       /* places it has; 0: it tells none */
    const char *merged_into; /* NULL: it is not */
    int32_t merged_day;      /* days since 1970, UTC: from then on it matches no rule and nobody logs in as it */
};

/* True from the day on which it no longer acts; on day 0 nobody is merged. */
static inline bool rules_merged(const struct rules_agency *a, int32_t day)
{
    return a->merged_into != NULL && day >= a->merged_day;
}

/* The regime of a kind that has one of its own: police, prison, probation, court, prosecution are LED; school,
 * health, ngo, municipality are GDPR; others UNKNOWN. */
enum rules_regime rules_kind_regime(const char *kind);

/* The agency declared under `name`, or NULL. Borrows: lives as long as r. */
const struct rules_agency *rules_agency(const struct rules *r, const char *name);

/* Agency number i in order of names, NULL past the last. */
const struct rules_agency *rules_agency_at(const struct rules *r, size_t i);

/* The area an auditor may read ("any": all), or NULL if no such auditor is declared. */
const char *rules_auditor_area(const struct rules *r, const char *name);

/* True if `area` equals `within` or lies below it ("fr/lyon" lies below "fr"); everything lies within "any". */
bool rules_area_within(const char *area, const char *within);

/* The agency that does the work of `name` on that day: itself, or the one it was merged into, over several mergers
 * if need be. NULL if it is not declared. Borrows: lives as long as r. */
const struct rules_agency *rules_successor(const struct rules *r, const char *name, int32_t day);

/* True if the rules say that this certificate, by the SHA-256 of its DER, is not to be taken; *line (may be NULL)
 * says so. */
bool rules_denies_certificate(const struct rules *r, const uint8_t sha256[32], const struct rules_line **line);
size_t rules_denied_certificates(const struct rules *r); /* how many */

/* Rules that stand in every set; `where` of each is "built-in". */
enum rules_builtin {
    RULES_H1,        /* what is of handling H1 never reaches an agency of kind court or prosecution: judged by
                        rules_decide() */
    RULES_H2_ONWARD, /* what came under H2 is passed on only where its sender has permitted it: judged by the core */
    RULES_H3_OPEN,   /* what came under H3 is opened after its handling code was acknowledged: judged by the core */
    RULES_HANDLING_STAYS, /* what is passed on keeps the handling code that it came under: judged by the core */
    RULES_BUILTIN__COUNT
};
const struct rules_line *rules_builtin(const struct rules *r, enum rules_builtin which);

/* A length of time as rules write it. h and d are fixed, m and y calendar: what is longer depends on the day, so
 * both are kept and whichever ends first counts. Zeros: none. */
struct rules_span {
    uint64_t fixed_s;
    uint32_t months;
};

/* When it ends that begins at `from_unix_s`: the earlier of both ends; UINT64_MAX if there is none. A month after 31
 * January is the last of February; UTC. */
uint64_t rules_span_ends(struct rules_span s, uint64_t from_unix_s);

/* "14d", "2y", "30d or 1m", "": the largest unit that divides. `out` has room for 64. Returns out. */
const char *rules_span_text(struct rules_span s, char out[64]);

/* Days since 1970 of a moment, UTC. */
static inline int32_t rules_day(uint64_t unix_s)
{
    return (int32_t)(unix_s / 86400);
}

/* "2027-06-30". Returns out. */
enum { RULES_DAY_TEXT = 16 };
const char *rules_day_text(int32_t day, char out[RULES_DAY_TEXT]);

struct rules_question {
    const char *from, *to;
    Liaison__V1__Type type;
    const char *category, *purpose, *basis;
    Liaison__V1__Minor minor;
    Liaison__V1__Handling handling;
    Liaison__V1__Regime regime; /* under which the sender holds it; crossing: the recipient's is another, or not
                                   known */
    Liaison__V1__Informed informed;
    Liaison__V1__Urgency urgency;
    Liaison__V1__SubjectCategory subject;
    int32_t day; /* days since 1970, UTC; 0: as if no date had come: no `until` has passed and nobody is merged */
    size_t bytes; /* of all section ciphertexts */
    const char *const *sections;
    size_t n_sections; /* at most RULES_SECTIONS_MAX */
    bool strip;        /* sections that are not granted are dropped instead of refusing */
};

/* A time to answer, from delivery on, and the agencies that are told when it has passed. */
struct rules_answer {
    struct rules_span within; /* of one of the two lengths alone */
    struct rules_names escalate;
};

/* True if some rule has a rate: who counts has to know what was sent before. */
bool rules_limit_rates(const struct rules *r);

/* A matching allow that lets only so many through; the core counts, and refuses what is one too many. */
struct rules_rate {
    const struct rules_line *line;
    uint32_t per_hour;
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
    const char *keep;          /* "2y", "30d or 1m" or ""; the text of keep_for */
    struct rules_span keep_for; /* shortest, the network's own included */
    const struct rules_answer *answers; /* earliest of each length: at most one fixed and one calendar; tied ones
                                           share it */
    size_t n_answers;
    const char *const *approvals; /* roles, all of them; rising, each once */
    size_t n_approvals;
    const struct rules_rate *rates; /* of every matching allow that has one */
    size_t n_rates;
    bool crossing; /* from one regime into another, or into one that is not known */
    const struct rules *rules; /* that decided; borrowed */
};

/* The rate that the strictest of the matching allows has; 0: none limits it. */
uint32_t rules_strictest_rate(const struct rules_decision *d);

/* Decides. Lists in *out live in `a`; texts live as long as r. With no memory left it denies (LIAISON_MEMORY).
 * A deny's `when minor` matches YES and UNKNOWN, an allow's only YES. */
void rules_decide(const struct rules *r, const struct rules_question *q, struct arena *a,
                  struct rules_decision *out);

/* One sentence about the decision for people: "denied by fr-lyon.conf:12: deny any any from kind school ...". The
 * set that
 * decided must still be held. Never NULL; lives in `a` or for ever. */
const char *rules_explain(const struct rules_decision *d, const struct rules_question *q,
                          struct arena *a);
