/* Every question of a sort, as far as rules tell questions apart. */
#include <stdio.h>

#include "broker/rules/set.h"

/* The values of one open fact, in classes: those of one class are alike to all rules seen so far. The first value of
 * words is "another", which stands for all that no rule has named yet. */
struct axis {
    const char **words; /* NULL: values are numbers, from 1 on */
    size_t n, n_classes;
    size_t *class, *size;          /* of each value; of each class */
    size_t *hits, *moved, *origin; /* of each class, while a rule is seen */
    size_t *chosen;                /* the value that stands for each class */
    struct rules_values *alike;    /* all values of each class */
};

struct numbered {
    struct name name;
    size_t value;
};

struct each {
    const struct rules *const *sets;
    size_t n_sets;
    const struct rules_question *q;
    unsigned open;
    struct arena *a;
    char another[32];
    size_t *values, room; /* of one rule, while it is seen */
    struct axis axes[RULES_FACT__COUNT];
    struct table words[RULES_FACT__COUNT];
    struct numbered *named[RULES_FACT__COUNT];
};

/* Facts whose values are numbers: how many there are from 1 on, and how rules see them. */
static const struct {
    unsigned n;
    enum fact fact;
} NUMBERS[RULES_FACT__COUNT] = {
    [RULES_FACT_TYPE] = {4, FACT_TYPE},         [RULES_FACT_MINOR] = {3, FACT_MINOR},
    [RULES_FACT_HANDLING] = {5, FACT_HANDLING}, [RULES_FACT_REGIME] = {2, FACT_CROSSING},
    [RULES_FACT_INFORMED] = {5, FACT_INFORMED}, [RULES_FACT_URGENCY] = {4, FACT_URGENCY},
    [RULES_FACT_SUBJECT] = {7, FACT_SUBJECT},
};

static bool is_open(const struct each *e, unsigned fact)
{
    return (e->open >> fact & 1) != 0;
}

static const struct words *words_of(const struct rule *rule, enum use use,
                                    struct words *category)
{
    *category =
        (struct words){(struct word **)&rule->category, rule->category != NULL, false};
    return use == USE_CATEGORY ? category : &rule->conditions[use];
}

/* ---------------------------------------------------------------- classes */

static bool axis_make(struct axis *x, size_t room, struct arena *a)
{
    size_t *memory = arena_zero(a, 6 * room * sizeof *memory);

    if (memory == NULL)
        return false;
    x->class = memory;
    x->size = memory + room;
    x->hits = memory + 2 * room;
    x->moved = memory + 3 * room;
    x->origin = memory + 4 * room;
    x->chosen = memory + 5 * room;
    x->n_classes = 1;
    return true;
}

/* One more value, which is like value 0. */
static size_t axis_add(struct axis *x)
{
    x->class[x->n] = x->n > 0 ? x->class[0] : 0;
    x->size[x->class[x->n]]++;
    return x->n++;
}

/* Parts each class into those values that a rule takes and those that it does not. */
static void axis_part(struct axis *x, const size_t *values, size_t n)
{
    size_t before = x->n_classes;

    for (size_t i = 0; i < n; i++)
        x->hits[x->class[values[i]]]++;
    for (size_t i = 0; i < n; i++) {
        size_t class = x->class[values[i]];

        if (x->hits[class] == x->size[class])
            continue;
        if (x->moved[class] == 0) {
            x->moved[class] = x->n_classes;
            x->origin[x->n_classes++] = class;
        }
        x->class[values[i]] = x->moved[class];
    }
    for (size_t k = before; k < x->n_classes; k++) {
        size_t class = x->origin[k];

        x->size[k] = x->hits[class];
        x->size[class] -= x->hits[class];
        x->hits[class] = x->moved[class] = 0;
    }
    for (size_t i = 0; i < n; i++)
        x->hits[x->class[values[i]]] = 0;
}

/* ---------------------------------------------------------------- what rules name */

/* The value of a word, added when it is new. */
static size_t value_of(struct each *e, unsigned fact, const char *text)
{
    struct axis *x = &e->axes[fact];
    struct numbered *found = (struct numbered *)table_find(&e->words[fact], text);

    if (found != NULL)
        return found->value;
    found = &e->named[fact][x->n];
    found->name = table_name(text);
    found->value = axis_add(x);
    x->words[found->value] = text;
    table_put(&e->words[fact], &found->name);
    return found->value;
}

static void see_words(struct each *e, unsigned fact, const struct rule *rule)
{
    struct words category;
    const struct words *w =
        words_of(rule, (enum use)(fact - RULES_FACT_CATEGORY), &category);

    for (size_t i = 0; i < w->n; i++)
        e->values[i] = value_of(e, fact, w->list[i]->name.text);
    axis_part(&e->axes[fact], e->values, w->n);
}

/* A number as the rules see it: of regimes, whether it crosses into the recipient's. */
static uint64_t number_bit(unsigned fact, size_t value, const struct member *to)
{
    unsigned number = (unsigned)value + 1;

    if (fact == RULES_FACT_REGIME)
        number = rules_crossing((Liaison__V1__Regime)number, to->agency.regime);
    return fact_bit(NUMBERS[fact].fact, number);
}

static void see_numbers(struct each *e, unsigned fact, const struct member *to,
                        uint64_t taken)
{
    size_t n = 0;

    for (size_t value = 0; value < NUMBERS[fact].n; value++)
        if ((taken & number_bit(fact, value, to)) != 0)
            e->values[n++] = value;
    axis_part(&e->axes[fact], e->values, n);
}

static void see_rule(struct each *e, const struct meeting *m, size_t i)
{
    for (unsigned fact = 0; fact < RULES_FACT__COUNT; fact++) {
        if (!is_open(e, fact))
            continue;
        if (NUMBERS[fact].n > 0)
            see_numbers(e, fact, m->to, m->r->tests[i].facts);
        else
            see_words(e, fact, &m->r->rules[i]);
    }
}

/* The built-in rule of H1 tells it from the others. */
static void see_h1(struct each *e, const struct meeting *m)
{
    const size_t h1 = LIAISON__V1__HANDLING__HANDLING_H1 - 1;

    if (is_open(e, RULES_FACT_HANDLING) && m->to->of_justice)
        axis_part(&e->axes[RULES_FACT_HANDLING], &h1, 1);
}

static void see_sets(struct each *e)
{
    struct meeting m;

    for (size_t s = 0; s < e->n_sets; s++) {
        const struct rules *r = e->sets[s];

        if (meet_question(&m, r, e->q, e->open) != LIAISON_OK)
            continue;
        see_h1(e, &m);
        meet_begin(&m);
        for (size_t i = meet_next(&m); i < r->n_rules; i = meet_next(&m))
            see_rule(e, &m, i);
    }
}

/* ---------------------------------------------------------------- room */

/* How many words the rules that are met name for a fact; and at least as many values as numbers can have. */
static size_t count_values(const struct each *e, unsigned fact)
{
    size_t n = NUMBERS[fact].n + 1;
    struct meeting m;

    for (size_t s = 0; s < e->n_sets && NUMBERS[fact].n == 0; s++) {
        const struct rules *r = e->sets[s];

        if (meet_question(&m, r, e->q, e->open) != LIAISON_OK)
            continue;
        meet_begin(&m);
        for (size_t i = meet_next(&m); i < r->n_rules; i = meet_next(&m)) {
            struct words category;

            n += words_of(&r->rules[i], (enum use)(fact - RULES_FACT_CATEGORY), &category)
                     ->n;
        }
    }
    return n;
}

/* A word that no rule of any set names. */
static void choose_another(struct each *e)
{
    snprintf(e->another, sizeof e->another, "another");
    for (size_t s = 0, tried = 2; s < e->n_sets;) {
        if (find_word(e->sets[s], e->another) == NULL) {
            s++;
            continue;
        }
        snprintf(e->another, sizeof e->another, "another-%zu", tried++);
        s = 0;
    }
}

static bool open_axis(struct each *e, unsigned fact)
{
    struct axis *x = &e->axes[fact];
    size_t room = count_values(e, fact);

    if (!axis_make(x, room, e->a))
        return false;
    if (NUMBERS[fact].n > 0) {
        while (x->n < NUMBERS[fact].n)
            axis_add(x);
    } else {
        x->words = arena_alloc(e->a, room * sizeof *x->words);
        e->named[fact] = arena_alloc(e->a, room * sizeof *e->named[fact]);
        if (x->words == NULL || e->named[fact] == NULL ||
            !table_make(&e->words[fact], room, e->a))
            return false;
        x->words[axis_add(x)] = e->another;
    }
    e->room = room > e->room ? room : e->room;
    return true;
}

static bool open_axes(struct each *e)
{
    for (unsigned fact = 0; fact < RULES_FACT__COUNT; fact++)
        if (is_open(e, fact) && !open_axis(e, fact))
            return false;
    e->values = arena_alloc(e->a, e->room * sizeof *e->values);
    return e->values != NULL;
}

/* ---------------------------------------------------------------- the visit */

/* Of each class the first value stands for all. */
static void choose(struct axis *x)
{
    for (size_t value = x->n; value-- > 0;)
        x->chosen[x->class[value]] = value;
}

/* The words of a class; of the one that holds "another", all words but those. */
static bool list_words(const struct axis *x, size_t class, struct arena *a,
                       struct rules_values *out)
{
    const char **list = arena_alloc(a, x->n * sizeof *list);
    size_t n = 0;

    out->all_but = x->class[0] == class;
    for (size_t value = 1; list != NULL && value < x->n; value++)
        if ((x->class[value] == class) != out->all_but)
            list[n++] = x->words[value];
    out->words = (struct rules_names){list, n};
    return list != NULL;
}

static bool list_alike(struct axis *x, struct arena *a)
{
    x->alike = arena_zero(a, x->n_classes * sizeof *x->alike);
    if (x->alike == NULL)
        return false;
    for (size_t class = 0; x->words != NULL && class < x->n_classes; class ++)
        if (!list_words(x, class, a, &x->alike[class]))
            return false;
    for (size_t value = 0; x->words == NULL && value < x->n; value++)
        x->alike[x->class[value]].numbers |= UINT32_C(2) << value;
    return true;
}

static bool list_all(struct each *e)
{
    for (unsigned fact = 0; fact < RULES_FACT__COUNT; fact++)
        if (is_open(e, fact) && !list_alike(&e->axes[fact], e->a))
            return false;
    return true;
}

/* Writes value number `class` of a fact into the question. */
static void put_value(const struct each *e, unsigned fact, size_t class,
                      struct rules_question *q)
{
    const struct axis *x = &e->axes[fact];
    size_t value = x->chosen[class];
    unsigned number = (unsigned)value + 1;

    switch ((enum rules_fact)fact) {
    case RULES_FACT_TYPE:
        q->type = (Liaison__V1__Type)number;
        break;
    case RULES_FACT_CATEGORY:
        q->category = x->words[value];
        break;
    case RULES_FACT_PURPOSE:
        q->purpose = x->words[value];
        break;
    case RULES_FACT_BASIS:
        q->basis = x->words[value];
        break;
    case RULES_FACT_MINOR:
        q->minor = (Liaison__V1__Minor)number;
        break;
    case RULES_FACT_HANDLING:
        q->handling = (Liaison__V1__Handling)number;
        break;
    case RULES_FACT_REGIME:
        q->regime = (Liaison__V1__Regime)number;
        break;
    case RULES_FACT_INFORMED:
        q->informed = (Liaison__V1__Informed)number;
        break;
    case RULES_FACT_URGENCY:
        q->urgency = (Liaison__V1__Urgency)number;
        break;
    case RULES_FACT_SUBJECT:
        q->subject = (Liaison__V1__SubjectCategory)number;
        break;
    case RULES_FACT__COUNT:
        break;
    }
}

/* How many combinations there are; more than `most`: most + 1. */
static size_t count_all(struct each *e, size_t most)
{
    size_t n = 1;

    for (unsigned fact = 0; fact < RULES_FACT__COUNT; fact++) {
        if (!is_open(e, fact))
            continue;
        choose(&e->axes[fact]);
        if (n > most / e->axes[fact].n_classes)
            return most + 1;
        n *= e->axes[fact].n_classes;
    }
    return n;
}

static bool visit_all(const struct each *e, size_t n, rules_visit_alike *visit, void *arg)
{
    struct rules_values alike[RULES_FACT__COUNT] = {0};

    for (size_t k = 0; k < n; k++) {
        struct rules_question q = *e->q;
        size_t rest = k;

        for (unsigned fact = 0; fact < RULES_FACT__COUNT; fact++)
            if (is_open(e, fact)) {
                size_t class = rest % e->axes[fact].n_classes;

                put_value(e, fact, class, &q);
                alike[fact] = e->axes[fact].alike[class];
                rest /= e->axes[fact].n_classes;
            }
        if (!visit(arg, &q, alike))
            return false;
    }
    return true;
}

enum liaison_code rules_each_alike(const struct rules *const *sets, size_t n_sets,
                                   const struct rules_question *q, unsigned open,
                                   size_t most, rules_visit_alike *visit, void *arg,
                                   size_t *visited)
{
    struct each e = {
        .sets = sets, .n_sets = n_sets, .q = q, .open = open, .a = arena_new()};
    enum liaison_code code = LIAISON_MEMORY;

    if (e.a == NULL)
        return code;
    choose_another(&e);
    if (open_axes(&e)) {
        see_sets(&e);
        size_t n = count_all(&e, most);

        if (n > most)
            code = LIAISON_LIMIT;
        else if (list_all(&e))
            code = visit_all(&e, n, visit, arg) ? LIAISON_OK : LIAISON_CLOSED;
        if (visited != NULL && code == LIAISON_OK)
            *visited = n;
    }
    arena_free(e.a);
    return code;
}

/* A visit that does not ask what is alike. */
struct plain {
    rules_visit *visit;
    void *arg;
};

static bool visit_plain(void *arg, const struct rules_question *q,
                        const struct rules_values alike[RULES_FACT__COUNT])
{
    const struct plain *p = arg;

    (void)alike;
    return p->visit(p->arg, q);
}

enum liaison_code rules_each(const struct rules *const *sets, size_t n_sets,
                             const struct rules_question *q, unsigned open, size_t most,
                             rules_visit *visit, void *arg, size_t *visited)
{
    struct plain p = {visit, arg};

    return rules_each_alike(sets, n_sets, q, open, most, visit_plain, &p, visited);
}

unsigned rules_open_facts(const struct rules_question *q)
{
    const bool open[RULES_FACT__COUNT] = {
        [RULES_FACT_TYPE] = q->type == 0,
        [RULES_FACT_CATEGORY] = q->category == NULL,
        [RULES_FACT_PURPOSE] = q->purpose == NULL,
        [RULES_FACT_BASIS] = q->basis == NULL,
        [RULES_FACT_MINOR] = q->minor == 0,
        [RULES_FACT_HANDLING] = q->handling == 0,
        [RULES_FACT_REGIME] = q->regime == 0,
        [RULES_FACT_INFORMED] = q->informed == 0,
        [RULES_FACT_URGENCY] = q->urgency == 0,
        [RULES_FACT_SUBJECT] = q->subject == 0,
    };
    unsigned mask = 0;

    for (unsigned i = 0; i < RULES_FACT__COUNT; i++)
        mask |= (unsigned)open[i] << i;
    return mask;
}
