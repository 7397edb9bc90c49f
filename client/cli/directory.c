/* directory */
#include <stdio.h>

#include "client/cli/cli.h"

struct listing {
    struct table *table;
    size_t rows;
    int status;
};

static const char *places(struct cli *c, const Liaison__V1__Agency *a)
{
    if (a->capacity == 0)
        return "";
    return cli_text(c, "%u of %u free",
                    a->taken < a->capacity ? a->capacity - a->taken : 0, a->capacity);
}

static const char *sealing(struct cli *c, const Liaison__V1__Agency *a)
{
    if (a->merged_into[0] != '\0')
        return cli_text(c, "merged into %s", a->merged_into);
    return a->n_seal_certificates == 0 ? "none published: nothing can be sealed to it"
                                       : "published";
}

static void list_agency(struct cli *c, struct listing *l, const Liaison__V1__Agency *a)
{
    l->rows++;
    if (c->opt[OPT_JSON] != NULL) {
        json_t *o = NULL;
        enum liaison_code code = json_print(&a->base, &o);

        l->status =
            code == LIAISON_OK ? print_json(o) : cli_fail(code, "%s", err_text(code));
        return;
    }
    table_row(l->table,
              (const char *const[]){
                  a->id, a->kind, a->area, cli_names(c, a->skills, a->n_skills),
                  cli_names(c, a->languages, a->n_languages), places(c, a),
                  cli_names(c, a->supervisors, a->n_supervisors), sealing(c, a)});
}

static enum liaison_code set_filters(struct cli *c, struct liaison_query *q,
                                     const char *agency)
{
    const struct {
        const char *key, *value;
    } ROWS[] = {
        {"agency", agency},
        {"kind", c->opt[OPT_KIND]},
        {"area", c->opt[OPT_AREA]},
        {"skill", c->opt[OPT_SKILL]},
        {"language", c->opt[OPT_LANGUAGE]},
    };
    enum liaison_code code = LIAISON_OK;

    for (size_t i = 0; code == LIAISON_OK && i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].value != NULL)
            code = liaison_query_set(q, ROWS[i].key, ROWS[i].value);
    return code;
}

static enum liaison_code ask(struct cli *c, const char *agency, struct listing *l)
{
    struct liaison_query *q = NULL;
    enum liaison_code code = liaison_query_new(c->lib, "directory", &q);

    if (code == LIAISON_OK)
        code = set_filters(c, q, agency);
    while (code == LIAISON_OK && l->status == 0 && liaison_query_more(q)) {
        struct liaison_answer *a = NULL;

        code = liaison_query_next(q, &a);
        const Liaison__V1__Frame *f = code == LIAISON_OK ? cli_frame(c, a) : NULL;

        if (code == LIAISON_OK &&
            (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_AGENCIES))
            code = LIAISON_MALFORMED;
        for (size_t i = 0; code == LIAISON_OK && i < f->agencies->n_agencies; i++)
            list_agency(c, l, f->agencies->agencies[i]);
        liaison_answer_free(a);
    }
    liaison_query_free(q);
    return code;
}

int cmd_directory(struct cli *c, int argc, char **argv)
{
    static const char *const TITLES[] = {
        "AGENCY",    "KIND",   "AREA",        "SKILLS",
        "LANGUAGES", "PLACES", "SUPERVISORS", "SEALING CERTIFICATE",
        NULL};
    struct listing l = {.table = table_new(c->arena, TITLES)};
    int status;

    if (l.table == NULL)
        return cli_no_memory();
    if (!cli_open(c, &status))
        return status;
    enum liaison_code code = ask(c, argc > 0 ? argv[0] : NULL, &l);

    if (code != LIAISON_OK)
        return cli_lib_fail(c, code);
    if (l.rows == 0)
        return cli_fail(LIAISON_RECIPIENT,
                        "no agency of the network is called or described like that");
    if (c->opt[OPT_JSON] == NULL)
        table_print(l.table);
    return l.status;
}
