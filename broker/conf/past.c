#include "broker/conf/past.h"

#include "broker/conf/cases.h"

enum { QUESTIONS_MAX = 1 << 18 };

struct judging {
    const struct rules *r;
    const struct past *p;
    struct rules_question q; /* with every section that may have been sent */
    struct rules_turns turns;
    size_t size_at;
    unsigned open;
    struct arena *a, *scratch;
    struct boxes boxes;
    bool no_memory;
};

bool past_by_rules(enum liaison_code code)
{
    return code == LIAISON_OK || code == LIAISON_RECIPIENT ||
           code == LIAISON_UNKNOWN_AGENCY || code == LIAISON_DENIED ||
           code == LIAISON_NOT_ALLOWED || code == LIAISON_SECTIONS ||
           code == LIAISON_TOO_LARGE || code == LIAISON_RATE;
}

/* ---------------------------------------------------------------- lines */

static bool is_line(const struct rules_line *line, struct slice id)
{
    return id.n == sizeof line->id && memcmp(line->id, id.p, id.n) == 0;
}

const struct rules_line *past_line(const struct rules *r, struct slice id)
{
    const uint8_t *sha256;

    for (int i = 0; i < RULES_BUILTIN__COUNT; i++)
        if (is_line(rules_builtin(r, (enum rules_builtin)i), id))
            return rules_builtin(r, (enum rules_builtin)i);
    for (size_t i = 0; i < rules_count(r); i++)
        if (is_line(rules_line_at(r, i, NULL), id))
            return rules_line_at(r, i, NULL);
    for (size_t i = 0; i < rules_denied_certificates(r); i++)
        if (is_line(rules_denied_at(r, i, &sha256), id))
            return rules_denied_at(r, i, &sha256);
    return NULL;
}

static bool is_cited(const struct past *p, const struct rules_line *line)
{
    for (size_t i = 0; i < p->n_cited; i++)
        if (is_line(line, p->cited[i]))
            return true;
    return false;
}

/* Each line that is cited is one of the decision's. */
static bool names_cited(const struct past *p, const struct rules_decision *d)
{
    size_t found = 0;

    for (size_t i = 0; i < d->n_lines; i++)
        found += is_cited(p, d->lines[i]);
    return found == p->n_cited;
}

/* Each line of the decision is cited; those that only remove sections may have had nothing to remove. */
static bool cites_all(const struct judging *j, const struct rules_decision *d)
{
    for (size_t i = 0; i < d->n_lines; i++) {
        struct rules_part part;

        rules_part(d, &j->q, i, &part);
        if (part.removes == 0 && !is_cited(j->p, d->lines[i]))
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- one case */

static bool grants_all(const struct judging *j, const struct rules_decision *d)
{
    const uint64_t asked = (UINT64_C(1) << j->p->q.n_sections) - 1; /* they come first */

    return (d->granted & asked) == asked;
}

/* Of SECTIONS some section that nobody grants was sent, and no entry says which; of RATE the count decided, not the rules. */
static bool decided_so(const struct judging *j, const struct rules_decision *d)
{
    const enum liaison_code code = j->p->code;
    const bool allowed =
        code == LIAISON_OK || code == LIAISON_SECTIONS || code == LIAISON_RATE;

    return d->code == (allowed ? LIAISON_OK : code) && names_cited(j->p, d) &&
           (code == LIAISON_RATE || cites_all(j, d)) &&
           (code != LIAISON_OK || grants_all(j, d));
}

static bool visit(void *arg, const struct rules_question *q,
                  const struct rules_values alike[RULES_FACT__COUNT])
{
    struct judging *j = arg;
    struct rules_decision d;
    struct cell cells[CASE_COLUMNS];
    const size_t next = j->size_at + 1;

    arena_reset(j->scratch);
    rules_decide(j->r, q, j->scratch, &d);
    if (d.code == LIAISON_MEMORY)
        j->no_memory = true;
    if (!decided_so(j, &d))
        return !j->no_memory;
    cases_cells(j->a, j->open, alike, cells);
    cells[CASE_SIZE] = cell_span(j->a, j->turns.sizes[j->size_at],
                                 next < j->turns.n_sizes ? j->turns.sizes[next] : 0);
    const struct row row = {.cells = cells, .what = ""};

    j->no_memory = j->no_memory || !boxes_add(&j->boxes, &row);
    return !j->no_memory;
}

/* ---------------------------------------------------------------- all cases */

static bool has_section(const struct rules_question *q, const char *name)
{
    for (size_t i = 0; i < q->n_sections; i++)
        if (strcmp(q->sections[i], name) == 0)
            return true;
    return false;
}

/* Those that were granted, then whatever else rules name: it may have been sent, and dropped. */
static bool send_sections(struct judging *j)
{
    const struct rules_question *known = &j->p->q;
    const char **list = arena_alloc(j->a, RULES_SECTIONS_MAX * sizeof *list);
    size_t n = 0;

    if (list == NULL)
        return false;
    for (size_t i = 0; i < known->n_sections; i++)
        list[n++] = known->sections[i];
    for (size_t i = 0; i < j->turns.sections.n && n < RULES_SECTIONS_MAX; i++)
        if (!has_section(known, j->turns.sections.list[i]))
            list[n++] = j->turns.sections.list[i];
    j->q.sections = list;
    j->q.n_sections = n;
    j->q.strip = true;
    return true;
}

static enum liaison_code judge_all(struct judging *j)
{
    enum liaison_code code = LIAISON_OK;

    if (!rules_turns(j->r, &j->q, j->open, j->a, &j->turns) || !send_sections(j))
        return LIAISON_MEMORY;
    for (j->size_at = 0; j->size_at < j->turns.n_sizes && code == LIAISON_OK;
         j->size_at++) {
        j->q.bytes = (size_t)j->turns.sizes[j->size_at];
        code = rules_each_alike(&j->r, 1, &j->q, j->open, QUESTIONS_MAX, visit, j, NULL);
    }
    if (code == LIAISON_CLOSED || (code == LIAISON_OK && !boxes_merge(&j->boxes)))
        code = LIAISON_MEMORY;
    return code;
}

static void print(const struct judging *j, bool json, FILE *out)
{
    const struct cases_look look = {.a = j->a, .all = true};

    if (json)
        fputc('[', out);
    for (size_t i = 0; i < j->boxes.n; i++) {
        fputs(!json ? "  " : i == 0 ? "{" : ",{", out);
        if (json)
            (void)cases_json(out, &look, j->boxes.rows[i].cells);
        else
            cases_line(out, &look, j->boxes.rows[i].cells);
        fputs(json ? "}" : "\n", out);
    }
    if (json)
        fputc(']', out);
}

enum liaison_code past_judge(const struct rules *r, const struct past *p, bool json,
                             FILE *out, bool *agrees)
{
    struct judging j = {.r = r,
                        .p = p,
                        .q = p->q,
                        .open = rules_open_facts(&p->q),
                        .a = arena_new(),
                        .scratch = arena_new()};
    enum liaison_code code = LIAISON_MEMORY;

    j.boxes = (struct boxes){.a = j.a, .n_cells = CASE_COLUMNS};
    if (p->q.n_sections > RULES_SECTIONS_MAX)
        code = LIAISON_LIMIT;
    else if (j.a != NULL && j.scratch != NULL)
        code = judge_all(&j);
    if (code == LIAISON_OK) {
        print(&j, json, out);
        *agrees = j.boxes.n > 0;
    }
    arena_free(j.a);
    arena_free(j.scratch);
    return code;
}
