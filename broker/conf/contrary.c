#include "broker/conf/contrary.h"

#include "broker/conf/json.h"
#include "broker/conf/question.h"

enum { QUESTIONS_MAX = 1 << 16, NEAREST_MAX = 5, MISSES_MAX = 3 };

static const unsigned EVERY_FACT = (1U << RULES_FACT__COUNT) - 1;

struct contrary {
    const struct answer *x;
    const struct cases_look *look;
    struct arena *scratch; /* of one question */
    unsigned changed[2];   /* facts that are made otherwise */
    size_t n_changed;
    struct boxes boxes;
    bool incomplete, no_memory;
};

/* True if the verdict of this question is the other one. */
static bool flips(struct contrary *c, const struct rules_question *q)
{
    struct rules_decision d;

    arena_reset(c->scratch);
    rules_decide(c->x->rules, q, c->scratch, &d);
    if (d.code == LIAISON_MEMORY)
        c->no_memory = true;
    return (d.code == LIAISON_OK) != (c->x->d->code == LIAISON_OK);
}

/* ---------------------------------------------------------------- other facts */

/* True if it is already the other one with this fact as it was. */
static bool flips_without(struct contrary *c, const struct rules_question *q,
                          unsigned fact)
{
    struct rules_question less = *q;

    question_copy((enum rules_fact)fact, c->x->q, &less);
    return flips(c, &less);
}

static bool try_facts(void *arg, const struct rules_question *q,
                      const struct rules_values alike[RULES_FACT__COUNT])
{
    struct contrary *c = arg;
    struct cell cells[CASE_COLUMNS];
    unsigned open = c->x->open;

    if (!flips(c, q))
        return !c->no_memory;
    for (size_t i = 0; i < c->n_changed; i++) {
        if (c->n_changed > 1 && flips_without(c, q, c->changed[i]))
            return !c->no_memory;
        open |= 1U << c->changed[i];
    }
    cases_cells(c->look->a, open, alike, cells);
    const struct row row = {.cells = cells, .what = c->n_changed == 1 ? "one" : "two"};

    c->no_memory = c->no_memory || !boxes_add(&c->boxes, &row);
    return !c->no_memory;
}

static void change(struct contrary *c)
{
    unsigned open = c->x->open;

    for (size_t i = 0; i < c->n_changed; i++)
        open |= 1U << c->changed[i];
    enum liaison_code code = rules_each_alike(&c->x->rules, 1, c->x->q, open,
                                              QUESTIONS_MAX, try_facts, c, NULL);

    c->incomplete = c->incomplete || code == LIAISON_LIMIT;
    c->no_memory = c->no_memory || code == LIAISON_MEMORY;
}

static void change_facts(struct contrary *c)
{
    const unsigned closed = EVERY_FACT & ~c->x->open;

    for (unsigned i = 0; i < RULES_FACT__COUNT && !c->no_memory; i++) {
        if ((closed >> i & 1) == 0)
            continue;
        c->changed[0] = i;
        c->n_changed = 1;
        change(c);
        c->n_changed = 2;
        for (unsigned k = i + 1; k < RULES_FACT__COUNT && !c->no_memory; k++)
            if ((closed >> k & 1) != 0) {
                c->changed[1] = k;
                change(c);
            }
    }
    c->no_memory = c->no_memory || !boxes_merge(&c->boxes);
}

/* ---------------------------------------------------------------- other agencies, sizes, days */

/* One of what may be otherwise beside facts; words, or spans of numbers. */
struct other {
    const char *name, *people;
    struct cell cell;
};

static struct cell other_agencies(struct contrary *c, bool sender)
{
    struct rules_question q = *c->x->q;
    const struct rules_agency *a;
    size_t n = 0, room = 0;

    while (rules_agency_at(c->x->rules, room) != NULL)
        room++;
    const char **list = arena_alloc(c->look->a, (room + 1) * sizeof *list);

    for (size_t i = 0; list != NULL && (a = rules_agency_at(c->x->rules, i)) != NULL;
         i++) {
        *(sender ? &q.from : &q.to) = a->name;
        if (strcmp(q.from, q.to) != 0 && flips(c, &q))
            list[n++] = a->name;
    }
    c->no_memory = c->no_memory || list == NULL;
    return cell_words(c->look->a, list, list != NULL ? n : 0, false);
}

/* Of the numbers from which on decisions may be others, those from which on it is the other one. */
static struct cell other_numbers(struct contrary *c, const uint64_t *turns, size_t n,
                                 bool days)
{
    struct cell all = {.spans = true};
    struct rules_question q = *c->x->q;

    all.list = arena_alloc(c->look->a, (n + 1) * sizeof *all.list);
    c->no_memory = c->no_memory || all.list == NULL;
    for (size_t i = 0; all.list != NULL && i < n; i++) {
        const uint64_t from =
            days && turns[i] < (uint64_t)q.day ? (uint64_t)c->x->q->day : turns[i];
        const uint64_t end = i + 1 < n ? turns[i + 1] : 0;

        if (days && end != 0 && end <= (uint64_t)c->x->q->day)
            continue;
        struct rules_question then = q;

        if (days)
            then.day = (int32_t)from;
        else
            then.bytes = (size_t)from;
        if (!flips(c, &then))
            continue;
        if (all.n > 0 && all.list[all.n - 1].end == from)
            all.list[all.n - 1].end = end;
        else
            all.list[all.n++] = (struct span){from, end};
    }
    return all;
}

static bool find_others(struct contrary *c, struct other others[4])
{
    const struct answer *x = c->x;
    struct rules_turns turns;

    if (!rules_turns(x->rules, x->q, x->open, c->look->a, &turns))
        return false;
    others[0] = (struct other){"from", "the sender were", other_agencies(c, true)};
    others[1] = (struct other){"to", "the recipient were", other_agencies(c, false)};
    others[2] = (struct other){"size", "the size were",
                               other_numbers(c, turns.sizes, turns.n_sizes, false)};
    others[3] = (struct other){"on", "the day were",
                               other_numbers(c, turns.days, turns.n_days, true)};
    return !c->no_memory;
}

/* ---------------------------------------------------------------- telling */

static struct cell *column_of(struct cell cells[CASE_COLUMNS], const struct other *o)
{
    return &cells[strcmp(o->name, "on") == 0     ? CASE_DAY
                  : strcmp(o->name, "size") == 0 ? CASE_SIZE
                                                 : CASE_PAIR];
}

static void print_facts(FILE *f, const struct contrary *c)
{
    const size_t shown = 8,
                 most = c->look->all || c->boxes.n <= shown + 1 ? c->boxes.n : shown;

    for (size_t i = 0; i < most; i++) {
        fputs("  ", f);
        cases_line(f, c->look, c->boxes.rows[i].cells);
        fputc('\n', f);
    }
    if (most < c->boxes.n)
        fprintf(f, "  if one of %zu other sets of facts were given (--all)\n",
                c->boxes.n - most);
    if (c->incomplete)
        fputs("  or with other facts, of which there are too many to try all; say more\n",
              f);
}

static void print_others(FILE *f, const struct contrary *c, const struct other *others)
{
    for (size_t i = 0; i < 4; i++) {
        struct cell cells[CASE_COLUMNS];

        if (others[i].cell.n == 0)
            continue;
        if (!others[i].cell.spans) {
            fprintf(f, "  if %s ", others[i].people);
            cases_words(f, c->look, &others[i].cell, ", ");
            fputc('\n', f);
            continue;
        }
        cases_cells(c->look->a, 0, NULL, cells);
        *column_of(cells, &others[i]) = others[i].cell;
        fputs("  ", f);
        cases_line(f, c->look, cells);
        fputc('\n', f);
    }
}

/* The allows that lack least, and what that is. */
static void print_nearest(FILE *f, const struct contrary *c)
{
    const struct answer *x = c->x;
    size_t near[NEAREST_MAX],
        n = rules_nearest(x->rules, x->q, MISSES_MAX, near, NEAREST_MAX);

    for (size_t i = 0; i < n; i++) {
        const struct rules_line *line = rules_line_at(x->rules, near[i], NULL);
        unsigned misses = rules_misses(x->rules, x->q, near[i]);
        const char *between = "    ";

        fprintf(f, "  nearest   %s  %s\n        ", line->where, line->text);
        for (int k = 0; k < RULES_IF__COUNT; k++)
            if ((misses >> k & 1) != 0) {
                fprintf(f, "%s%s", between,
                        rules_condition_text((enum rules_condition)k));
                between = ", ";
            }
        fputs(misses == 0 ? "    it matches; only a deny stands before it\n" : "\n", f);
    }
}

/* Lines that would have to go: all denies, or all allows. */
static void print_lines(FILE *f, const struct contrary *c)
{
    const struct answer *x = c->x;
    const bool allowed = x->d->code == LIAISON_OK;
    struct rules_part p;
    size_t n = 0, near;

    if (!allowed && x->d->code != LIAISON_DENIED)
        return;
    for (size_t i = 0; i < x->d->n_lines; i++) {
        rules_part(x->d, x->q, i, &p);
        if (!(allowed ? p.allows : p.denies))
            continue;
        fprintf(f, n++ == 0 ? "  if %s" : ", %s", x->d->lines[i]->where);
    }
    fprintf(f, "%s%s\n",
            n == 1 ? " did not stand there" : " did not stand there, all of them",
            allowed || rules_nearest(x->rules, x->q, 0, &near, 1) > 0
                ? ""
                : ", and another line allowed it");
}

static void print_sections(FILE *f, const struct contrary *c)
{
    const struct answer *x = c->x;
    const char *between = "  if only these sections were sent, or --strip given: ";

    if (x->d->code != LIAISON_SECTIONS)
        return;
    for (size_t i = 0; i < x->q->n_sections; i++)
        if ((x->d->granted >> i & 1) != 0) {
            fprintf(f, "%s%s", between, x->q->sections[i]);
            between = ", ";
        }
    fputs(x->d->granted != 0 ? "\n" : "  if no section were sent, or --strip given\n", f);
}

static void print_people(FILE *f, const struct contrary *c, const struct other *others)
{
    const bool allowed = c->x->d->code == LIAISON_OK;

    fprintf(f, "\n%s\n", allowed ? "it would be refused" : "it would be allowed");
    print_facts(f, c);
    print_others(f, c, others);
    print_sections(f, c);
    print_lines(f, c);
    if (!allowed && c->x->d->code != LIAISON_SECTIONS)
        print_nearest(f, c);
}

static void print_json(FILE *f, const struct contrary *c, const struct other *others)
{
    const char *between = "";

    fputs(",\"contrary\":[", f);
    for (size_t i = 0; i < c->boxes.n; i++, between = ",") {
        fprintf(f, "%s{", between);
        (void)cases_json(f, c->look, c->boxes.rows[i].cells);
        fputc('}', f);
    }
    for (size_t i = 0; i < 4; i++) {
        struct cell cells[CASE_COLUMNS];

        if (others[i].cell.n == 0)
            continue;
        fprintf(f, "%s{", between);
        between = ",";
        if (others[i].cell.spans) {
            cases_cells(c->look->a, 0, NULL, cells);
            *column_of(cells, &others[i]) = others[i].cell;
            (void)cases_json(f, c->look, cells);
        } else {
            fprintf(f, "\"%s\":", others[i].name);
            cases_json_list(f, others[i].cell.words, others[i].cell.n);
        }
        fputc('}', f);
    }
    fputc(']', f);
}

bool contrary_print(FILE *f, const struct answer *x, const struct cases_look *look,
                    bool json)
{
    struct contrary c = {.x = x, .look = look, .scratch = arena_new()};
    struct other others[4];

    c.boxes = (struct boxes){.a = look->a, .n_cells = CASE_COLUMNS};
    c.no_memory = c.scratch == NULL;
    if (!c.no_memory)
        change_facts(&c);
    if (!c.no_memory && find_others(&c, others))
        (json ? print_json : print_people)(f, &c, others);
    arena_free(c.scratch);
    return !c.no_memory;
}
