/* Whom rules can name: agencies, their kinds and groups, and where they lie. */
#include <stdlib.h>

#include "broker/rules/making.h"

static int by_name(const void *x, const void *y)
{
    return strcmp(((const struct rules_agency *)x)->name,
                  ((const struct rules_agency *)y)->name);
}

static bool is_of_justice(const char *kind)
{
    return strcmp(kind, "court") == 0 || strcmp(kind, "prosecution") == 0;
}

static void add_agency(struct build *b, struct member *m, const struct rules_agency *from)
{
    m->agency = (struct rules_agency){
        .name = build_text(b, from->name),
        .kind = build_text(b, from->kind),
        .area = build_text(b, from->area),
        .regime = from->regime != RULES_REGIME_UNKNOWN ? from->regime
                                                       : rules_kind_regime(from->kind),
        .supervisors = build_names(b, from->supervisors.list, from->supervisors.n),
        .skills = build_names(b, from->skills.list, from->skills.n),
        .languages = build_names(b, from->languages.list, from->languages.n),
        .capacity = from->capacity,
        .merged_into =
            from->merged_into != NULL ? build_text(b, from->merged_into) : NULL,
        .merged_day = from->merged_day,
    };
    m->name = table_name(m->agency.name);
    m->of_justice = is_of_justice(m->agency.kind);
    if (b->code == LIAISON_OK && !table_put(&b->r->by_agency, &m->name))
        build_fail(b, LIAISON_CONFIG);
}

static void add_agencies(struct build *b)
{
    struct rules *r = b->r;
    size_t n = b->draft->n_agencies;
    struct rules_agency *sorted = build_take(b, b->scratch, n, sizeof *sorted);

    r->agencies = build_take(b, r->arena, n, sizeof *r->agencies);
    if (!table_make(&r->by_agency, n, r->arena))
        build_fail(b, LIAISON_MEMORY);
    if (b->code != LIAISON_OK || n == 0)
        return;
    memcpy(sorted, b->draft->agencies, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_name);
    for (; r->n_agencies < n && b->code == LIAISON_OK; r->n_agencies++)
        add_agency(b, &r->agencies[r->n_agencies], &sorted[r->n_agencies]);
}

/* ---------------------------------------------------------------- areas */

/* An area stands right before what lies below it: '/' is less than all else. */
static int by_area(const void *x, const void *y)
{
    const struct member *const *a = x, *const *b = y;
    const char *p = (*a)->agency.area, *q = (*b)->agency.area;

    while (*p != '\0' && *p == *q) {
        p++;
        q++;
    }
    int left = *p == '/' ? 1 : (uint8_t)*p, right = *q == '/' ? 1 : (uint8_t)*q;

    return left - right;
}

/* The end of the run, begun at `first`, of what lies within the area of its first. */
static size_t run_end(const struct rules *r, size_t first)
{
    size_t low = first + 1, high = r->n_agencies;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (rules_area_within(r->by_place[middle]->agency.area,
                              r->by_place[first]->agency.area))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void place_areas(struct build *b)
{
    struct rules *r = b->r;

    r->by_place = build_take(b, r->arena, r->n_agencies, sizeof *r->by_place);
    if (b->code != LIAISON_OK || r->n_agencies == 0)
        return;
    for (size_t i = 0; i < r->n_agencies; i++)
        r->by_place[i] = &r->agencies[i];
    qsort(r->by_place, r->n_agencies, sizeof(struct member *), by_area);
    for (size_t i = 0, first = 0; i < r->n_agencies; i++) {
        struct member *m = r->by_place[i];

        if (by_area(&r->by_place[first], &r->by_place[i]) != 0)
            first = i;
        m->place = (uint32_t)i;
        m->first = (uint32_t)first;
        m->end = (uint32_t)run_end(r, first);
    }
}

/* ---------------------------------------------------------------- parties */

static struct party *kind_of(struct build *b, const char *kind)
{
    struct party *p = (struct party *)table_find(&b->r->by_kind, kind);

    if (p != NULL || (p = build_take(b, b->r->arena, 1, sizeof *p)) == NULL)
        return p;
    p->name = table_name(kind);
    table_put(&b->r->by_kind, &p->name);
    return p;
}

/* Twice over the same memberships: first they are counted, then put in. */
typedef void belong(struct build *b, struct member *m, struct party *p);

static void count(struct build *b, struct member *m, struct party *p)
{
    (void)b;
    p->room++;
    m->n_of++;
}

static void put_in(struct build *b, struct member *m, struct party *p)
{
    if (p->places == NULL)
        p->places = build_take(b, b->r->arena, p->room, sizeof *p->places);
    if (p->places == NULL)
        return;
    p->places[p->n++] = m->place;
    m->of[m->n_of++] = p;
}

static void each_group(struct build *b, belong *see)
{
    for (size_t g = 0; g < b->draft->n_groups; g++) {
        const struct rules_draft_group *from = &b->draft->groups[g];
        struct party *p = (struct party *)table_find(&b->r->by_group, from->name);

        for (size_t i = 0; i < from->n && b->code == LIAISON_OK; i++) {
            struct member *m = (struct member *)find_member(b->r, from->members[i]);

            if (m == NULL)
                build_fail(b, LIAISON_CONFIG);
            else
                see(b, m, p);
        }
    }
}

static void each_membership(struct build *b, belong *see)
{
    for (size_t i = 0; i < b->r->n_agencies && b->code == LIAISON_OK; i++) {
        struct member *m = b->r->by_place[i];
        struct party *kind = kind_of(b, m->agency.kind);

        if (kind == NULL)
            return;
        see(b, m, &b->r->everybody);
        see(b, m, kind);
        see(b, m, &m->alone);
    }
    each_group(b, see);
}

static int by_number(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

    return (a > b) - (a < b);
}

/* Members of groups were put in as they are written. */
static void order_groups(struct build *b)
{
    for (size_t i = 0; i < b->draft->n_groups; i++) {
        struct party *p =
            (struct party *)table_find(&b->r->by_group, b->draft->groups[i].name);

        if (p->n > 0)
            qsort(p->places, p->n, sizeof *p->places, by_number);
    }
}

static void add_groups(struct build *b)
{
    struct party *list = build_take(b, b->r->arena, b->draft->n_groups, sizeof *list);

    if (!table_make(&b->r->by_group, b->draft->n_groups, b->r->arena))
        build_fail(b, LIAISON_MEMORY);
    for (size_t i = 0; i < b->draft->n_groups && b->code == LIAISON_OK; i++) {
        list[i].name = table_name(build_text(b, b->draft->groups[i].name));
        if (!table_put(&b->r->by_group, &list[i].name))
            build_fail(b, LIAISON_CONFIG);
    }
}

void build_members(struct build *b)
{
    add_agencies(b);
    if (b->code == LIAISON_OK)
        place_areas(b);
    if (b->code == LIAISON_OK)
        add_groups(b);
    if (!table_make(&b->r->by_kind, b->r->n_agencies, b->r->arena))
        build_fail(b, LIAISON_MEMORY);
    if (b->code == LIAISON_OK)
        each_membership(b, count);
    for (size_t i = 0; i < b->r->n_agencies && b->code == LIAISON_OK; i++) {
        struct member *m = &b->r->agencies[i];

        m->of = build_take(b, b->r->arena, m->n_of, sizeof(struct party *));
        m->n_of = 0;
    }
    if (b->code == LIAISON_OK)
        each_membership(b, put_in);
    if (b->code == LIAISON_OK)
        order_groups(b);
}

/* ---------------------------------------------------------------- rows */

static void add_side(struct build *b, struct member *m, enum side side)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_of; i++)
        n += m->of[i]->rows[side].n > 0;
    m->rows[side] = build_take(b, b->r->arena, n, sizeof(struct row *));
    for (size_t i = 0; i < m->n_of && b->code == LIAISON_OK; i++)
        if (m->of[i]->rows[side].n > 0)
            m->rows[side][m->n_rows[side]++] = &m->of[i]->rows[side];
}

void build_sides(struct build *b)
{
    for (size_t i = 0; i < b->r->n_agencies && b->code == LIAISON_OK; i++) {
        add_side(b, &b->r->agencies[i], SENDER);
        add_side(b, &b->r->agencies[i], RECIPIENT);
    }
}
