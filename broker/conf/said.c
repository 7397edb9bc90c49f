#include "broker/conf/said.h"

#include <stdlib.h>
#include <string.h>

static void say_names(FILE *f, const char *title, struct rules_names names)
{
    for (size_t i = 0; i < names.n; i++)
        fprintf(f, "%s%s", i == 0 ? title : ", ", names.list[i]);
}

static void say_sections(FILE *f, const struct rules_question *q,
                         const struct rules_decision *d)
{
    const char *between = "sections ";

    for (size_t i = 0; i < q->n_sections; i++)
        if ((d->granted >> i & 1) != 0) {
            fprintf(f, "%s%s", between, q->sections[i]);
            between = ", ";
        }
    if (d->granted == 0)
        fputs("no section", f);
}

static void say_reveal(FILE *f, const struct rules_question *q,
                       const struct rules_decision *d)
{
    (void)q;
    fputs(d->reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY ? "reveal on delivery"
                                                               : "reveal on accept",
          f);
}

static void say_returns(FILE *f, const struct rules_question *q,
                        const struct rules_decision *d)
{
    (void)q;
    say_names(f, "return ", (struct rules_names){d->returns, d->n_returns});
}

static void say_keep(FILE *f, const struct rules_question *q,
                     const struct rules_decision *d)
{
    (void)q;
    fprintf(f, "keep %s", d->keep[0] != '\0' ? d->keep : "for ever");
}

static void say_answers(FILE *f, const struct rules_question *q,
                        const struct rules_decision *d)
{
    char text[64];

    (void)q;
    for (size_t i = 0; i < d->n_answers; i++) {
        fprintf(f, "%sanswer within %s", i == 0 ? "" : "; ",
                rules_span_text(d->answers[i].within, text));
        say_names(f, " else escalate to ", d->answers[i].escalate);
    }
    if (d->n_answers == 0)
        fputs("no time to answer", f);
}

static void say_approvals(FILE *f, const struct rules_question *q,
                          const struct rules_decision *d)
{
    (void)q;
    say_names(f, "approval by ", (struct rules_names){d->approvals, d->n_approvals});
    if (d->n_approvals == 0)
        fputs("no approval", f);
}

static void say_rate(FILE *f, const struct rules_question *q,
                     const struct rules_decision *d)
{
    uint32_t rate = rules_strictest_rate(d);

    (void)q;
    fprintf(f, rate > 0 ? "rate %u/hour" : "no rate", rate);
}

typedef void say_part(FILE *f, const struct rules_question *q,
                      const struct rules_decision *d);

/* What a decision that allows says; the first four are always worth a word. */
static say_part *const PARTS[] = {say_sections, say_reveal,    say_returns, say_keep,
                                  say_answers,  say_approvals, say_rate};
enum { N_PARTS = sizeof PARTS / sizeof *PARTS, ALWAYS = 4 };

static char *part_text(const struct rules_question *q, const struct rules_decision *d,
                       int part)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    PARTS[part](f, q, d);
    fclose(f);
    return text;
}

void said_decision(FILE *f, const struct rules_question *q,
                   const struct rules_decision *one, const struct rules_decision *other)
{
    const char *between = "allowed; ";

    if (one->code != LIAISON_OK) {
        fputs("refused", f);
        return;
    }
    for (int i = 0; i < N_PARTS; i++) {
        char *text = part_text(q, one, i);
        char *its = other->code == LIAISON_OK ? part_text(q, other, i) : NULL;
        bool says = its != NULL
                        ? text != NULL && strcmp(text, its) != 0
                        : i < ALWAYS || (text != NULL && strncmp(text, "no ", 3) != 0);

        if (text != NULL && says) {
            fprintf(f, "%s%s", between, text);
            between = "; ";
        }
        free(text);
        free(its);
    }
}
