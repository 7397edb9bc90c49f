#include <stdarg.h>
#include <stdio.h>

#include "broker/rules/set.h"
#include "proto/err.h"

enum { SENTENCE_MAX = 2000, NEAREST_MAX = 3, MISSES_MAX = 3, TYPES = 5 };

/* A sentence in the making; what does not fit is cut. */
struct sentence {
    char text[SENTENCE_MAX];
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *s, const char *fmt,
                                                      ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(s->text + s->n, sizeof s->text - s->n, fmt, args);

    va_end(args);
    if (n > 0)
        s->n += (size_t)n < sizeof s->text - s->n ? (size_t)n : sizeof s->text - s->n - 1;
}

static const char *type_word(Liaison__V1__Type type)
{
    static const char *const WORDS[TYPES] = {"message", "referral", "transfer",
                                             "information", "query"};

    return WORDS[(unsigned)type < TYPES ? type : 0];
}

static const char *kind_of(const struct rules *r, const char *name)
{
    const struct rules_agency *a = rules_agency(r, name);

    return a != NULL ? a->kind : "unknown";
}

/* referral "concern" from fr/lyon/school (kind school) to fr/lyon/police (kind police) for safeguarding on basis law */
static void say_question(struct sentence *s, const struct rules *r,
                         const struct rules_question *q)
{
    say(s, "%s \"%s\" from %s (kind %s) to %s (kind %s) for purpose %s on basis %s",
        type_word(q->type), q->category, q->from, kind_of(r, q->from), q->to,
        kind_of(r, q->to), q->purpose, q->basis);
}

static void say_lines(struct sentence *s, const struct rules_decision *d, bool with_text)
{
    for (size_t i = 0; i < d->n_lines; i++) {
        say(s, "%s%s", i == 0 ? "" : with_text ? "; and by " : ", ", d->lines[i]->where);
        if (with_text)
            say(s, ": %s", d->lines[i]->text);
    }
}

/* The sections asked for that were granted, or that were not. */
static void say_sections(struct sentence *s, const struct rules_decision *d,
                         const struct rules_question *q, bool granted)
{
    const char *between = "";

    for (size_t i = 0; i < q->n_sections; i++)
        if ((d->granted >> i & 1) == granted) {
            say(s, "%s%s", between, q->sections[i]);
            between = ", ";
        }
    if (*between == '\0')
        say(s, "none");
}

static const char *const DIFFERS[RULES_IF__COUNT] = {
    [RULES_IF_FROM] = "sender differs",
    [RULES_IF_TO] = "recipient differs",
    [RULES_IF_TYPE] = "type differs",
    [RULES_IF_CATEGORY] = "category differs",
    [RULES_IF_PURPOSE] = "purpose differs",
    [RULES_IF_BASIS] = "basis differs",
    [RULES_IF_AREA] = "recipient lies outside the sender's area",
    [RULES_IF_MINOR] = "only for a minor",
    [RULES_IF_CROSSING] = "only from one regime into another",
    [RULES_IF_HANDLING] = "handling code differs",
    [RULES_IF_INFORMED] = "informed differs",
    [RULES_IF_URGENCY] = "urgency differs",
    [RULES_IF_SUBJECT] = "subject category differs",
    [RULES_IF_UNTIL] = "its last day has passed",
    [RULES_IF_SIZE] = "too large",
};

const char *rules_condition_text(enum rules_condition which)
{
    return DIFFERS[which];
}

static void say_misses(struct sentence *s, const struct rules *r, unsigned misses,
                       size_t i)
{
    const char *between = " (";

    say(s, "%s", r->rules[i].line.where);
    for (int k = 0; k < RULES_IF__COUNT; k++)
        if ((misses >> k & 1) != 0) {
            say(s, "%s%s", between, DIFFERS[k]);
            between = ", ";
        }
    say(s, ")");
}

/* The allows that lack least, if they are not far off. */
static void say_nearest(struct sentence *s, const struct rules *r,
                        const struct rules_question *q)
{
    size_t near[NEAREST_MAX], n = rules_nearest(r, q, MISSES_MAX, near, NEAREST_MAX);

    for (size_t i = 0; i < n; i++) {
        say(s, "%s", i == 0 ? "; nearest: " : ", ");
        say_misses(s, r, rules_misses(r, q, near[i]), near[i]);
    }
}

/* It is not declared, or was merged into another. */
static void say_unknown(struct sentence *s, const struct rules *r, const char *name,
                        int32_t day)
{
    const struct rules_agency *a = rules_agency(r, name),
                              *next = rules_successor(r, name, day);
    char date[RULES_DAY_TEXT];

    if (a == NULL || a == next || next == NULL) {
        say(s, "the rules declare no agency %s", name);
        return;
    }
    say(s, "%s was merged into %s on %s", name, a->merged_into,
        rules_day_text(a->merged_day, date));
    if (strcmp(a->merged_into, next->name) != 0)
        say(s, "; its work is now done by %s", next->name);
}

static void say_limit(struct sentence *s, const struct rules_question *q)
{
    if (q->n_sections > RULES_SECTIONS_MAX)
        say(s, "%zu sections are more than the %d that one referral may have",
            q->n_sections, RULES_SECTIONS_MAX);
    else
        say(s, "more than %d rules match, and a decision names each; nothing passes",
            RULES_MATCHED_MAX);
}

static void say_decision(struct sentence *s, const struct rules_decision *d,
                         const struct rules_question *q)
{
    if (d->code == LIAISON_OK) {
        say(s, "allowed by ");
        say_lines(s, d, false);
        say(s, "; sections granted: ");
        say_sections(s, d, q, true);
    } else if (d->code == LIAISON_UNKNOWN_AGENCY || d->code == LIAISON_RECIPIENT) {
        say_unknown(s, d->rules, d->code == LIAISON_RECIPIENT ? q->to : q->from, q->day);
    } else if (d->code == LIAISON_DENIED) {
        say(s, "denied by ");
        say_lines(s, d, true);
    } else if (d->code == LIAISON_NOT_ALLOWED) {
        say(s, "no rule allows ");
        say_question(s, d->rules, q);
        say_nearest(s, d->rules, q);
    } else if (d->code == LIAISON_SECTIONS) {
        say(s, "no rule grants all sections of ");
        say_question(s, d->rules, q);
        say(s, "; not granted: ");
        say_sections(s, d, q, false);
        say(s, "; granted: ");
        say_sections(s, d, q, true);
    } else if (d->code == LIAISON_TOO_LARGE) {
        say(s, "%zu bytes of sections are more than is allowed by ", q->bytes);
        say_lines(s, d, true);
    } else if (d->code == LIAISON_LIMIT) {
        say_limit(s, q);
    } else {
        say(s, "%s", err_text(d->code));
    }
}

const char *rules_explain(const struct rules_decision *d, const struct rules_question *q,
                          struct arena *a)
{
    struct sentence s = {.n = 0};

    say_decision(&s, d, q);
    const char *kept = (const char *)arena_copy(a, slice(s.text, s.n));

    return kept != NULL ? kept : err_text(d->code);
}
