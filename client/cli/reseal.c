/* reseal: the same referral again, one version higher, sealed to the agency that took its recipient's place. */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/cli.h"

/* Who took the place of `agency`, by the directory. NULL: nobody, or it was said why it cannot be told. */
static const char *successor(struct cli *c, const char *agency, int *status)
{
    struct liaison_query *q = NULL;
    struct liaison_answer *a = NULL;
    const char *found = NULL;
    enum liaison_code code = liaison_query_new(c->lib, "directory", &q);

    if (code == LIAISON_OK)
        code = liaison_query_set(q, "agency", agency);
    if (code == LIAISON_OK)
        code = liaison_query_next(q, &a);
    const Liaison__V1__Frame *f = code == LIAISON_OK ? cli_frame(c, a) : NULL;

    if (code != LIAISON_OK)
        *status = cli_lib_fail(c, code);
    else if (f != NULL && f->body_case == LIAISON__V1__FRAME__BODY_AGENCIES &&
             f->agencies->n_agencies == 1 &&
             f->agencies->agencies[0]->merged_into[0] != '\0')
        found = f->agencies->agencies[0]->merged_into;
    else
        *status = cli_fail(
            LIAISON_USAGE,
            "to whom? %s was merged into no other agency; give --to AGENCY", agency);
    liaison_answer_free(a);
    liaison_query_free(q);
    return found;
}

/* A document as `submit` takes it, with the words of the envelope and a place for each section. */
static json_t *document(const struct target *t, const char *to)
{
    static const char *const WORDS[][2] = {
        {"type", "type"},
        {"category", "category"},
        {"purpose", "purpose"},
        {"basis", "basis"},
        {"subject_category", "subject_category"},
        {"minor", "minor"},
        {"regime", "regime"},
        {"handling", "handling"},
        {"informed", "informed"},
        {"urgency", "urgency"},
        {"due_unix_ms", "due"},
        {"officer", "officer"},
    };
    json_t *o = json_pack("{ss}", "to", to), *said = NULL, *sections = json_object();

    if (json_print(&t->envelope->base, &said) != LIAISON_OK) {
        json_decref(sections);
        json_decref(o);
        return NULL;
    }
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (json_object_get(said, WORDS[i][0]) != NULL)
            json_object_set(o, WORDS[i][1], json_object_get(said, WORDS[i][0]));
    for (size_t i = 0; i < t->card->n_granted; i++)
        json_object_set_new(sections, t->card->granted[i], json_object());
    json_object_set_new(o, "sections", sections);
    json_decref(said);
    return o;
}

static int print_document(struct cli *c, const struct target *t)
{
    int status = 0;
    const char *to = c->opt[OPT_TO];

    if (to == NULL && (to = successor(c, t->envelope->to, &status)) == NULL)
        return status;
    json_t *o = document(t, to);
    char *text = o != NULL ? json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;

    json_decref(o);
    if (text == NULL)
        return cli_no_memory();
    puts(text);
    free(text);
    return 0;
}

/* What makes it the same referral: its id and its case, and what it continues. */
static enum liaison_code tie(struct cli *c, struct liaison_referral *r,
                             const struct target *t)
{
    const Liaison__V1__Envelope *e = t->envelope;
    const struct {
        const char *key, *value;
    } ROWS[] = {
        {"id", t->id},
        {"version", cli_text(c, "%u", e->version + 1)},
        {"case_id", cli_hex(c, e->case_id)},
        {"caused_by_from", e->caused_by != NULL ? e->caused_by->from : ""},
        {"caused_by_id", e->caused_by != NULL ? cli_id(c, e->caused_by->id) : ""},
        {"to", c->opt[OPT_TO]},
    };
    enum liaison_code code = LIAISON_OK;

    for (size_t i = 0; code == LIAISON_OK && i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].value != NULL)
            code = liaison_referral_set(r, ROWS[i].key, ROWS[i].value);
    return code;
}

static int submit_again(struct cli *c, const char *path, const struct target *t)
{
    struct liaison_referral *r = NULL;
    struct liaison_answer *a = NULL;
    int status;

    if (!files_referral(c, path, &r, &status))
        return status;
    enum liaison_code code = tie(c, r, t);

    if (code == LIAISON_OK)
        code = liaison_seal(c->lib, &r, 1);
    if (code == LIAISON_OK) {
        code =
            liaison_submit(c->lib, r, c->opt[OPT_STRIP] != NULL ? LIAISON_STRIP : 0, &a);
        status = cli_say_answer(c, code, a, "reseal", t->id, json_object());
    } else {
        status = cli_lib_fail(c, code);
    }
    liaison_referral_free(r);
    return status;
}

int cmd_reseal(struct cli *c, int argc, char **argv)
{
    struct target t;
    int status;

    if (!cli_open(c, &status) || !cli_reads(c, &status) ||
        !card_find(c, argv[0], true, &t, &status))
        return status;
    if (strcmp(t.from, c->profile.agency) != 0)
        return cli_fail(LIAISON_PARTY, "%s is from %s: only its sender can seal it again",
                        t.id, t.from);
    return argc == 1 ? print_document(c, &t) : submit_again(c, argv[1], &t);
}
