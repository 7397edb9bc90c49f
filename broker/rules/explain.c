#include <stdarg.h>
#include <stdio.h>

#include "broker/rules/set.h"
#include "proto/err.h"

enum { SENTENCE_MAX = 2000, NEAREST_MAX = 3, FAR = 4 };

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

static const char *const DIFFERS[BY__COUNT] = {
    [BY_FROM] = "sender differs",
    [BY_TO] = "recipient differs",
    [BY_TYPE] = "type differs",
    [BY_CATEGORY] = "category differs",
    [BY_PURPOSE] = "purpose differs",
    [BY_BASIS] = "basis differs",
    [BY_AREA] = "recipient lies outside the sender's area",
    [BY_MINOR] = "only for a minor",
};

static int misses(const uint64_t *const *rows, size_t rule)
{
    int n = 0;

    for (int k = 0; k < BY__COUNT; k++)
        n += !row_get(rows[k], rule);
    return n;
}

static void say_misses(struct sentence *s, const struct rule *rule,
                       const uint64_t *const *rows, size_t i)
{
    const char *between = " (";

    say(s, "%s", rule->line.where);
    for (int k = 0; k < BY__COUNT; k++)
        if (!row_get(rows[k], i)) {
            say(s, "%s%s", between, DIFFERS[k]);
            between = ", ";
        }
    say(s, ")");
}

/* The allows that lack least, if they are not far off. */
static void say_nearest(struct sentence *s, const struct rules *r,
                        const struct rules_question *q)
{
    const uint64_t *rows[BY__COUNT];
    int least = FAR;
    int named = 0;

    if (rules_rows(r, q, rows) != LIAISON_OK)
        return;
    for (size_t i = 0; i < r->n_rules; i++) {
        int n = r->rules[i].deny ? FAR : misses(rows, i);

        least = n < least ? n : least;
    }
    for (size_t i = 0; i < r->n_rules && least < FAR && named < NEAREST_MAX; i++)
        if (!r->rules[i].deny && misses(rows, i) == least) {
            say(s, "%s", named++ == 0 ? "; nearest: " : ", ");
            say_misses(s, &r->rules[i], rows, i);
        }
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
        say(s, "the rules declare no agency %s",
            d->code == LIAISON_RECIPIENT ? q->to : q->from);
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
