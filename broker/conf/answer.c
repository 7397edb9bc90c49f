#include "broker/conf/answer.h"

#include "broker/conf/cases.h"
#include "broker/conf/json.h"
#include "broker/conf/suggest.h"
#include "proto/err.h"

static struct rules_names chosen(struct arena *a, const struct rules_question *q,
                                 uint32_t mask)
{
    const char **list = arena_alloc(a, (q->n_sections + 1) * sizeof *list);
    struct rules_names out = {list, 0};

    for (size_t i = 0; list != NULL && i < q->n_sections; i++)
        if ((mask >> i & 1) != 0)
            list[out.n++] = q->sections[i];
    return out;
}

static bool has_span(struct rules_span s)
{
    return s.fixed_s > 0 || s.months > 0;
}

static const char *reveal_word(const struct rules_decision *d)
{
    return d->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY ? "on-delivery"
                                                                : "on-accept";
}

/* `; did you mean "fr/lyon/police"?` */
static const char *nearest_agency(const struct rules *r, const char *name, char *out,
                                  size_t out_len)
{
    struct suggest s = suggest_for(name);

    for (size_t i = 0; rules_agency_at(r, i) != NULL; i++)
        suggest_try(&s, rules_agency_at(r, i)->name);
    return suggest_text(&s, out, out_len);
}

/* Of several answers none speaks of one question only. */
static const char *sentence(const struct answer *x)
{
    if (x->facts != NULL && x->d->code == LIAISON_NOT_ALLOWED)
        return "no rule allows it";
    if (x->facts != NULL && x->d->code == LIAISON_SECTIONS)
        return "no rule grants all of its sections";
    return rules_explain(x->d, x->q, x->a);
}

/* ---------------------------------------------------------------- for people */

static void print_names(FILE *f, const char *title, struct rules_names names)
{
    for (size_t i = 0; i < names.n; i++)
        fprintf(f, i == 0 ? "%s%s" : ", %s%s", i == 0 ? title : "", names.list[i]);
}

static void print_row(FILE *f, const char *title, struct rules_names names)
{
    char text[24];

    snprintf(text, sizeof text, "  %-10s", title);
    print_names(f, text, names);
    if (names.n > 0)
        fputc('\n', f);
}

static void print_obligations(FILE *f, const struct answer *x)
{
    const struct rules_decision *d = x->d;
    char text[64];

    fprintf(f, "  %-10s%s\n", "reveal",
            d->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY ? "on delivery"
                                                                 : "on accept");
    print_row(f, "returns", (struct rules_names){d->returns, d->n_returns});
    if (d->keep[0] != '\0')
        fprintf(f, "  %-10s%s after its last move\n", "keep", d->keep);
    for (size_t i = 0; i < d->n_answers; i++) {
        fprintf(f, "  %-10swithin %s, else told: ", "answer",
                rules_span_text(d->answers[i].within, text));
        print_names(f, "", d->answers[i].escalate);
        fputc('\n', f);
    }
    print_row(f, "approval", (struct rules_names){d->approvals, d->n_approvals});
    if (d->n_rates > 0)
        fprintf(f, "  %-10s%u/hour\n", "rate", rules_strictest_rate(d));
    if (d->crossing && (x->open >> RULES_FACT_REGIME & 1) == 0)
        fprintf(f, "  %-10sfrom one regime into another, logged by an entry of its own\n",
                "crossing");
}

/* "allows; grants identity, needs; keep 1y". */
static void print_part(FILE *f, const struct answer *x, size_t i)
{
    const struct rules_names nobody = {0};
    struct rules_part p;
    char text[64];

    rules_part(x->d, x->q, i, &p);
    fputs(p.denies    ? "denies"
          : p.allows  ? "allows"
          : p.removes ? "narrows"
                      : "takes less",
          f);
    print_names(f, "; grants ", chosen(x->a, x->q, p.grants & x->d->granted));
    print_names(f, "; would grant ",
                p.allows ? chosen(x->a, x->q, p.grants & ~x->d->granted) : nobody);
    print_names(f, "; removes ", chosen(x->a, x->q, p.removes));
    if (p.reveals_late)
        fputs("; reveal on accept", f);
    print_names(f, "; return ", p.returns);
    if (has_span(p.keep))
        fprintf(f, "; keep %s", rules_span_text(p.keep, text));
    if (has_span(p.answer))
        fprintf(f, "; answer within %s", rules_span_text(p.answer, text));
    print_names(f, ", else escalate to ", has_span(p.answer) ? p.escalate : nobody);
    print_names(f, "; approval by ", p.approvals);
    if (p.per_hour > 0)
        fprintf(f, "; rate %u/hour", p.per_hour);
    fputc('\n', f);
}

/* Rules that stand in every set and that the core judges, where the handling code is one of theirs. */
static void print_builtin(FILE *f, const struct answer *x)
{
    const bool said = (x->open >> RULES_FACT_HANDLING & 1) == 0;
    const bool bites[RULES_BUILTIN__COUNT] = {
        [RULES_H2_ONWARD] = said && x->q->handling == LIAISON__V1__HANDLING__HANDLING_H2,
        [RULES_H3_OPEN] = said && x->q->handling == LIAISON__V1__HANDLING__HANDLING_H3,
        [RULES_HANDLING_STAYS] = said && x->q->handling != 0,
    };

    for (int i = 0; i < RULES_BUILTIN__COUNT; i++)
        if (bites[i])
            fprintf(f, "  %-10s%s  %s\n", "later",
                    rules_builtin(x->rules, (enum rules_builtin)i)->where,
                    rules_builtin(x->rules, (enum rules_builtin)i)->text);
}

static void print_verdict(FILE *f, const struct answer *x)
{
    const enum liaison_code code = x->d->code;
    char hint[400] = "";

    if (code == LIAISON_OK) {
        fputs("allowed\n", f);
        return;
    }
    if (code == LIAISON_RECIPIENT || code == LIAISON_UNKNOWN_AGENCY)
        nearest_agency(x->rules, code == LIAISON_RECIPIENT ? x->q->to : x->q->from, hint,
                       sizeof hint);
    fprintf(f, "refused: %s%s (%s)\n", sentence(x), hint, err_name(code));
}

void answer_people(FILE *f, const struct answer *x)
{
    const struct rules_decision *d = x->d;
    bool allowed = d->code == LIAISON_OK;

    print_verdict(f, x);
    if (x->facts != NULL)
        fputs(x->facts, f);
    print_row(f, "sections", chosen(x->a, x->q, d->granted));
    if (allowed || d->code == LIAISON_SECTIONS)
        print_row(f, allowed ? "dropped" : "refused", chosen(x->a, x->q, ~d->granted));
    if (allowed)
        print_obligations(f, x);
    for (size_t i = 0; i < d->n_lines; i++) {
        fprintf(f, "  %-10s%s  %s\n            ", i == 0 ? "rules" : "",
                d->lines[i]->where, d->lines[i]->text);
        print_part(f, x, i);
    }
    if (allowed)
        print_builtin(f, x);
}

/* ---------------------------------------------------------------- for programs */

static void json_names(FILE *f, const char *name, struct rules_names names)
{
    fprintf(f, ",\"%s\":", name);
    cases_json_list(f, names.list, names.n);
}

/* Members that follow others, each only if it says something. */
static void json_some(FILE *f, const char *name, struct rules_names names)
{
    if (names.n > 0)
        json_names(f, name, names);
}

static void json_span(FILE *f, const char *name, struct rules_span s)
{
    char text[64];

    if (has_span(s))
        fprintf(f, ",\"%s\":\"%s\"", name, rules_span_text(s, text));
}

static void json_part(FILE *f, const struct answer *x, size_t i)
{
    struct rules_part p;

    rules_part(x->d, x->q, i, &p);
    fprintf(f, ",\"did\":{\"effect\":\"%s\"",
            p.denies    ? "denies"
            : p.allows  ? "allows"
            : p.removes ? "narrows"
                        : "takes-less");
    json_some(f, "grants", chosen(x->a, x->q, p.grants));
    json_some(f, "removes", chosen(x->a, x->q, p.removes));
    if (p.reveals_late)
        fputs(",\"reveal\":\"on-accept\"", f);
    json_some(f, "returns", p.returns);
    json_span(f, "keep", p.keep);
    json_span(f, "answer_within", p.answer);
    json_some(f, "escalate_to", p.escalate);
    json_some(f, "approvals", p.approvals);
    if (p.per_hour > 0)
        fprintf(f, ",\"rate_per_hour\":%u", p.per_hour);
    fputc('}', f);
}

static void json_lines(FILE *f, const struct answer *x)
{
    const struct rules_decision *d = x->d;

    fputs(",\"rules\":[", f);
    for (size_t i = 0; i < d->n_lines; i++) {
        fprintf(f, "%s{\"id\":\"", i == 0 ? "" : ",");
        for (size_t k = 0; k < sizeof d->lines[i]->id; k++)
            fprintf(f, "%02x", d->lines[i]->id[k]);
        fputs("\",\"where\":", f);
        json_text(f, d->lines[i]->where);
        fputs(",\"text\":", f);
        json_text(f, d->lines[i]->text);
        json_part(f, x, i);
        fputc('}', f);
    }
    fputc(']', f);
}

static void json_obligations(FILE *f, const struct rules_decision *d)
{
    fprintf(f, ",\"obligations\":{\"reveal\":\"%s\"", reveal_word(d));
    json_names(f, "returns", (struct rules_names){d->returns, d->n_returns});
    fputs(",\"keep\":", f);
    json_text(f, d->keep);
    fputs(",\"answers\":[", f);
    for (size_t i = 0; i < d->n_answers; i++) {
        char text[64];

        fprintf(f, "%s{\"within\":\"%s\"", i == 0 ? "" : ",",
                rules_span_text(d->answers[i].within, text));
        json_names(f, "escalate_to", d->answers[i].escalate);
        fputc('}', f);
    }
    fputc(']', f);
    json_some(f, "approvals", (struct rules_names){d->approvals, d->n_approvals});
    if (d->n_rates > 0)
        fprintf(f, ",\"rate_per_hour\":%u", rules_strictest_rate(d));
    fputc('}', f);
}

void answer_json(FILE *f, const struct answer *x)
{
    bool allowed = x->d->code == LIAISON_OK;

    fprintf(f, "\"allowed\":%s,\"code\":\"", allowed ? "true" : "false");
    for (const char *p = err_name(x->d->code); *p != '\0'; p++)
        fputc(*p == '_' ? '-' : *p - 'A' + 'a', f); /* as all of our JSON spells codes */
    fputs("\",\"text\":", f);
    json_text(f, allowed && x->facts != NULL ? "allowed" : sentence(x));
    if (x->facts != NULL)
        fprintf(f, ",\"if\":{%s}", x->facts);
    json_names(f, "granted", chosen(x->a, x->q, x->d->granted));
    json_names(f, "refused", chosen(x->a, x->q, ~x->d->granted));
    if (allowed)
        json_obligations(f, x->d);
    json_lines(f, x);
}
