#pragma once
/* Makes a rule set out of plain data, and answers what only its maker asks: which rules can never match.
 *
 * conf/ reads the text and names what is wrong with it; here only the promises of the data are checked. */
#include "broker/rules/rules.h"

enum {
    RULES_AGENCIES_MAX = 65536,
    RULES_RULES_MAX = 131072,
    RULES_WORDS_MAX = 65536, /* different categories, purposes, bases and sections */
};

enum rules_party_kind { RULES_ANY, RULES_KIND, RULES_GROUP, RULES_AGENCY };

/* Whom a rule speaks of: "any", "kind ngo", "group care" or an agency. */
struct rules_party {
    enum rules_party_kind kind;
    const char *name; /* NULL for RULES_ANY */
};

struct rules_parties {
    const struct rules_party *list;
    size_t n;
};

/* A condition's words. Neither `any` nor a word: the condition was not given. */
struct rules_words {
    const char *const *list;
    size_t n;
    bool any;
};

struct rules_draft_rule {
    bool deny;
    Liaison__V1__Type type; /* UNSPECIFIED: any */
    const char *category;   /* NULL: any */
    struct rules_parties from, to;
    bool within_area, when_minor, when_crossing;
    uint32_t handlings, informed, urgencies, subjects; /* `when`: bit n for the enum's value n; 0: whatever it is */
    struct rules_words purposes, bases, sections, returns;
    Liaison__V1__Reveal reveal; /* UNSPECIFIED: on accept */
    uint64_t max_bytes;         /* 0: as many as the broker takes */
    int32_t until_day;          /* the last day on which it is in force, days since 1970; 0: for ever */
    struct rules_span keep;     /* one of its lengths, or none; as the next */
    struct rules_span answer;
    bool escalate_supervisor; /* to the recipient's supervisors; else to those of the next */
    struct rules_words escalate;  /* agencies */
    struct rules_words approvals; /* roles */
    uint32_t rate;                /* an hour; 0: as many as come */
    const char *where;            /* file:line */
};

/* deny certificate SHA256 */
struct rules_draft_certificate {
    uint8_t sha256[32];
    const char *where;
};

struct rules_draft_group {
    const char *name;
    const char *const *members;
    size_t n;
};

struct rules_draft_auditor {
    const char *name, *area; /* area "any": all */
};

/* All of a rule set. No name is declared twice, no set holds an element twice, every name used is declared. */
struct rules_draft {
    const char *network;
    struct rules_span keep; /* zeros: no limit is set */
    const struct rules_agency *agencies;
    size_t n_agencies;
    const struct rules_draft_group *groups;
    size_t n_groups;
    const struct rules_draft_auditor *auditors;
    size_t n_auditors;
    const struct rules_draft_rule *rules;
    size_t n_rules;
    const struct rules_draft_certificate *certificates;
    size_t n_certificates;
    const struct slice *texts; /* exact text of the files, in the order read */
    size_t n_texts;
};

/* Makes the set; it keeps nothing of the draft.
 * Gives: *out, one reference. Errors: LIAISON_CONFIG (the draft breaks a promise or a limit), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code rules_build(const struct rules_draft *d, struct rules **out);

/* One line that says all a rule means: fixed word order, single spaces, sets sorted, an allow's defaults written out.
 * Its SHA-256 after "liaison/1 rule\n" is the rule's id. Lives in `a`; NULL when memory is out. */
const char *rules_canonical(const struct rules_draft_rule *rule, struct arena *a);

/* Rules stand in the order of their canonical texts, so that the order of files and lines decides nothing. */
size_t rules_count(const struct rules *r);

/* Rule number i; *draft_index (may be NULL) is where it stood in the draft. Borrows: lives as long as r. */
const struct rules_line *rules_line_at(const struct rules *r, size_t i,
                                       size_t *draft_index);

/* Certificate number i of those that are denied, in order of digests. */
const struct rules_line *rules_denied_at(const struct rules *r, size_t i, const uint8_t **sha256);

/* Auditor number i as they were declared, and what it may read; NULL past the last. */
const char *rules_auditor_at(const struct rules *r, size_t i, const char **area);

/* ------------------------------------------------------------ every question of a sort */

/* Facts of a question that may be left open; a bit each. */
enum rules_fact {
    RULES_FACT_TYPE,
    RULES_FACT_CATEGORY,
    RULES_FACT_PURPOSE,
    RULES_FACT_BASIS,
    RULES_FACT_MINOR,
    RULES_FACT_HANDLING,
    RULES_FACT_REGIME,
    RULES_FACT_INFORMED,
    RULES_FACT_URGENCY,
    RULES_FACT_SUBJECT,
    RULES_FACT__COUNT
};

/* The facts that a question does not say, a bit each: enums that are 0, words that are NULL. */
unsigned rules_open_facts(const struct rules_question *q);

/* Called with one question; false ends the visit. */
typedef bool rules_visit(void *arg, const struct rules_question *q);

/* Asks for every combination of the open facts (bit 1 << RULES_FACT_X in `open`; what `q` holds of those is not looked
 * at) that any of the sets tells apart: of values that all rules treat alike, one stands for all. A word that no rule
 * names is one of them ("another"). Values that were not said are none. All other facts are q's. So what holds for
 * every question visited holds for every question there is; but decision.crossing is told apart only where a rule asks
 * for it. *visited (may be NULL) is how many there were. Errors: LIAISON_LIMIT (more than `most`; none was visited),
 * LIAISON_CLOSED (visit said so), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code rules_each(const struct rules *const *sets, size_t n_sets, const struct rules_question *q,
                             unsigned open, size_t most, rules_visit *visit, void *arg, size_t *visited);

/* Values that all the sets treat alike: of words either those of a list, or all but those of a list; of numbers a bit each. */
struct rules_values {
    struct rules_names words;
    bool all_but;
    uint32_t numbers; /* bit n: the enum's value n */
};

/* The same, and with each question goes what it stands for: of every open fact all the values that are alike. */
typedef bool rules_visit_alike(void *arg, const struct rules_question *q,
                               const struct rules_values alike[RULES_FACT__COUNT]);
MUST_CHECK
enum liaison_code rules_each_alike(const struct rules *const *sets, size_t n_sets, const struct rules_question *q,
                                   unsigned open, size_t most, rules_visit_alike *visit, void *arg, size_t *visited);

/* ------------------------------------------------------------ what keeps a rule from matching */

/* What a rule asks of a question before it matches; a bit each. */
enum rules_condition {
    RULES_IF_FROM,
    RULES_IF_TO,
    RULES_IF_TYPE,
    RULES_IF_CATEGORY,
    RULES_IF_PURPOSE,
    RULES_IF_BASIS,
    RULES_IF_AREA,
    RULES_IF_MINOR,
    RULES_IF_CROSSING,
    RULES_IF_HANDLING,
    RULES_IF_INFORMED,
    RULES_IF_URGENCY,
    RULES_IF_SUBJECT,
    RULES_IF_UNTIL, /* its last day has passed */
    RULES_IF_SIZE,  /* more bytes than its max-size */
    RULES_IF__COUNT
};

/* "category differs": that it is not met, in words. */
const char *rules_condition_text(enum rules_condition which);

/* The conditions of rule number i that q does not meet, bit 1 << RULES_IF_X each; 0: it matches. All bits are set
 * if an agency of q is not declared, or is merged. */
unsigned rules_misses(const struct rules *r, const struct rules_question *q, size_t i);

/* Numbers of the allows that miss fewest conditions of q, all as many, in order; at most `room`, and none that miss
 * more than `most`. Returns how many. */
size_t rules_nearest(const struct rules *r, const struct rules_question *q, unsigned most, size_t *out,
                     size_t room);

/* ------------------------------------------------------------ a decision, line by line */

/* What one line of a decision did to it. */
struct rules_part {
    bool allows, denies;      /* a deny that removes sections does neither */
    uint32_t grants, removes; /* bit i: sections[i] of the question */
    bool reveals_late;        /* it is why sections are revealed on acceptance only */
    struct rules_names returns, escalate, approvals;
    struct rules_span keep, answer; /* where no other line is stricter; zeros: it has no say in it */
    uint32_t per_hour;
};

/* Line number i of a decision of this question. Lives as long as d->rules. */
void rules_part(const struct rules_decision *d, const struct rules_question *q, size_t i, struct rules_part *out);

/* What the decisions of a question turn on beside its facts. */
struct rules_turns {
    struct rules_names sections; /* that some rule it can meet names; rising */
    const uint64_t *days, *sizes; /* from which on decisions may be others, rising; the first is 0 */
    size_t n_days, n_sizes;
};

/* Of all rules that the question meets on any day and with any size, facts in `open` (1 << RULES_FACT_X) being anything.
 * Lists live in `a`. False: memory is out. */
MUST_CHECK
bool rules_turns(const struct rules *r, const struct rules_question *q, unsigned open, struct arena *a,
                 struct rules_turns *out);

/* ------------------------------------------------------------ what can never matter */

enum rules_reach {
    RULES_REACHED,      /* it makes a difference, as far as is looked for here */
    RULES_NO_SENDER,    /* nobody is named by `from` */
    RULES_NO_RECIPIENT, /* nobody is named by `to` */
    RULES_NO_PAIR,      /* `within area`: no such recipient lies in such a sender's area */
    RULES_BEATEN,       /* an allow that lets nothing through: *other, a deny, refuses all of it; or several denies do,
                           *other being one, that take all of it but for some values of one fact (type, minor,
                           regime, handling, informed, urgency, subject), for some senders or for some
                           recipients; or denies with sections remove each of its sections */
    RULES_TWICE,        /* says the same as the rule before it: *other */
    RULES_SHADOWED,     /* no decision changes but for its name if it goes: *other meets all that it does; if allows, it
                           grants and returns as much, takes as many bytes and obliges as strictly */
};

/* Whether rule number i can ever matter. *other is the number of the rule that stands in its way. Dates are not looked
 * at, but for `until`: the later one stays. Costs about as much as a decision. */
enum rules_reach rules_reach(const struct rules *r, size_t i, size_t *other);
