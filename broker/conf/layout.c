#include "broker/conf/layout.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/conf/lines.h"
#include "broker/conf/pieces.h"

enum { COLUMNS = 3 };

/* ---------------------------------------------------------------- statements */

/* Of the pieces a statement is made of, `n` in all, comments among them. */
struct statement {
    const struct piece *list;
    size_t n;
};

/* The next statement's end: behind its last piece that is no comment, and what stands behind that in its line. */
static size_t statement_length(const struct piece *p, size_t left)
{
    size_t n = 1;

    for (size_t i = 1; i < left && !p[i].begins; i++)
        if (p[i].sort < PIECE_COMMENT)
            n = i + 1;
    return n < left && p[n].sort == PIECE_COMMENT && !p[n].first_in_line ? n + 1 : n;
}

enum { AGENCY_LINE = 7, TEST_LINE = 8 };

/* Words that begin a clause, with the line that it stands in when a rule takes several; of agencies and tests it is
 * all one. */
static const struct clause_line {
    const char *word;
    unsigned line;
} CLAUSE_LINES[] = {
    {"within", 0},
    {"purpose", 1},
    {"basis", 1},
    {"sections", 2},
    {"reveal", 3},
    {"return", 3},
    {"keep", 3},
    {"max-size", 3},
    {"answer", 4},
    {"approval", 5},
    {"rate", 5},
    {"until", 5},
    {"when", 6},
    {"regime", AGENCY_LINE},
    {"supervisor", AGENCY_LINE},
    {"skills", AGENCY_LINE},
    {"languages", AGENCY_LINE},
    {"capacity", AGENCY_LINE},
    {"merged", AGENCY_LINE},
    {"purpose", TEST_LINE},
    {"basis", TEST_LINE},
    {"minor", TEST_LINE},
    {"adult", TEST_LINE},
    {"handling", TEST_LINE},
    {"regime", TEST_LINE},
    {"informed", TEST_LINE},
    {"urgency", TEST_LINE},
    {"subject", TEST_LINE},
    {"sections", TEST_LINE},
    {"size", TEST_LINE},
    {"on", TEST_LINE},
    {"expect", TEST_LINE},
};

static bool is_rule(const struct statement *s)
{
    return (piece_is(s->list, "allow") || piece_is(s->list, "deny")) &&
           !(s->n > 1 && piece_is(&s->list[1], "certificate"));
}

/* Where the clauses of a statement go: 0 for a rule, whose clauses say it themselves. */
static unsigned clauses_line(const struct statement *s)
{
    return piece_is(s->list, "agency") ? AGENCY_LINE
           : piece_is(s->list, "test") ? TEST_LINE
                                       : 0;
}

/* The clause that begins with piece i, if it is outside of braces; NULL: none begins there. */
static const struct clause_line *clause_line(const struct statement *s, size_t i)
{
    unsigned line = clauses_line(s);

    if ((line == 0 && !is_rule(s)) || piece_is(&s->list[i - 1], "answer") ||
        piece_is(&s->list[i - 1], "expect"))
        return NULL;
    for (size_t k = 0; k < sizeof CLAUSE_LINES / sizeof *CLAUSE_LINES; k++)
        if ((CLAUSE_LINES[k].line < AGENCY_LINE ? 0 : CLAUSE_LINES[k].line) == line &&
            piece_is(&s->list[i], CLAUSE_LINES[k].word))
            return &CLAUSE_LINES[k];
    return NULL;
}

static bool glued(const struct piece *p, const struct piece *before)
{
    return p->sort == PIECE_COMMA || before->sort == PIECE_OPEN;
}

/* The width of pieces from `i` up to `end`, blanks before and between them included. */
static size_t width_between(const struct statement *s, size_t i, size_t end)
{
    size_t width = 0;

    for (; i < end; i++)
        if (s->list[i].sort < PIECE_COMMENT)
            width += (s->list[i].sort != PIECE_COMMA) + width_of(s->list[i].text);
    return width;
}

/* True if the statement stands in one line: it fits, and no comment is inside it. */
static bool fits(const struct statement *s)
{
    for (size_t i = 0; i + 1 < s->n; i++)
        if (s->list[i].sort == PIECE_COMMENT)
            return false;
    return width_between(s, 0, s->n) <= LAYOUT_WIDTH + 1;
}

/* The end of the clause that begins at i. */
static size_t clause_end(const struct statement *s, size_t i)
{
    for (i++; i < s->n && s->list[i].sort != PIECE_COMMENT; i++)
        if (clause_line(s, i) != NULL && s->list[i - 1].sort != PIECE_OPEN &&
            s->list[i - 1].sort != PIECE_COMMA)
            break;
    return i;
}

/* The last piece that cannot be parted from piece i. */
static size_t chunk_end(const struct statement *s, size_t i)
{
    while (i + 1 < s->n && s->list[i + 1].sort < PIECE_COMMENT &&
           glued(&s->list[i + 1], &s->list[i]))
        i++;
    return i + 1;
}

/* ---------------------------------------------------------------- writing */

/* Where a statement is being written. */
struct writer {
    struct page *page;
    const struct statement *s;
    const size_t *columns; /* of agencies that stand together; NULL: none */
    unsigned line;         /* of the clause written last */
    bool broken;           /* it stands in several lines */
    size_t depth;          /* braces that are open */
};

static void write_comment(struct writer *w, const struct piece *p)
{
    if (!p->first_in_line && w->page->now != NULL) {
        end_line(w->page, p->text);
        return;
    }
    end_line(w->page, slice("", 0));
    add_line(w->page,
             (struct line){.text = "", .comment = p->text, .indented = p->indented});
}

/* Whether piece i is better written into a new line. */
static bool breaks(struct writer *w, size_t i)
{
    const struct statement *s = w->s;
    size_t width = w->page->now_width;
    const struct clause_line *clause = w->depth == 0 ? clause_line(s, i) : NULL;

    if (piece_is(s->list, "test") && i == 2)
        return true;
    if (clause != NULL && w->broken) {
        bool other = clause->line != w->line;

        w->line = clause->line;
        if (other || width + width_between(s, i, clause_end(s, i)) > LAYOUT_WIDTH)
            return true;
    }
    return width + width_between(s, i, chunk_end(s, i)) > LAYOUT_WIDTH;
}

/* Blanks up to the column that piece i stands in, or one. */
static void write_gap(struct writer *w, size_t i)
{
    size_t at = w->page->now_width;

    if (w->columns != NULL && i % 2 == 0 && i <= 2 * COLUMNS &&
        w->columns[i / 2 - 1] > at)
        put_blanks(w->page, w->columns[i / 2 - 1] - at);
    else
        put_blanks(w->page, 1);
}

/* A group that does not fit has a line for each member, and its braces around them. */
static bool stands_alone(const struct writer *w, size_t i)
{
    const struct statement *s = w->s;

    return w->broken && piece_is(&s->list[0], "group") &&
           s->list[i].sort != PIECE_COMMA &&
           (s->list[i].sort == PIECE_CLOSE || w->depth > 0);
}

/* What stands before piece i: the end of a line, or blanks. */
static void write_between(struct writer *w, size_t i)
{
    const struct piece *p = &w->s->list[i];
    bool another = breaks(w, i) && !glued(p, p - 1);

    if (stands_alone(w, i) || (another && w->page->now != NULL))
        end_line(w->page, slice("", 0));
    if (w->page->now != NULL && p->sort != PIECE_COMMA)
        write_gap(w, i);
    else if (w->page->now == NULL && !(stands_alone(w, i) && p->sort == PIECE_CLOSE))
        put_blanks(w->page, LINES_INDENT);
}

static void write_statement(struct page *g, const struct statement *s,
                            const size_t *columns)
{
    struct writer w = {.page = g,
                       .s = s,
                       .columns = columns,
                       .broken = !fits(s),
                       .line = clauses_line(s)};

    for (size_t i = 0; i < s->n && !g->failed; i++) {
        const struct piece *p = &s->list[i];

        if (p->sort == PIECE_COMMENT) {
            write_comment(&w, p);
            continue;
        }
        if (i > 0)
            write_between(&w, i);
        w.depth += p->sort == PIECE_OPEN;
        w.depth -= p->sort == PIECE_CLOSE && w.depth > 0;
        put(g, p->text);
    }
    end_line(g, slice("", 0));
}

/* ---------------------------------------------------------------- agencies that stand together */

/* True if it is written `agency NAME kind WORD area NAME ...`. */
static bool tabular(const struct statement *s)
{
    for (size_t i = 0; i < 6; i++)
        if (i >= s->n || s->list[i].sort != PIECE_WORD)
            return false;
    return piece_is(&s->list[0], "agency") && piece_is(&s->list[2], "kind") &&
           piece_is(&s->list[4], "area");
}

/* Widens the columns for one more agency: where kind, area, and what follows them begin. */
static void widen(const struct statement *s, size_t widths[COLUMNS])
{
    for (size_t i = 0; i < COLUMNS; i++) {
        size_t width =
            width_of(s->list[2 * i].text) + 1 + width_of(s->list[2 * i + 1].text) + 2;

        if (width > widths[i])
            widths[i] = width;
    }
}

/* The columns of the agencies that stand from here on, without anything between them. Returns how many pieces they are. */
static size_t agencies(const struct piece *list, size_t n, size_t columns[COLUMNS])
{
    size_t widths[COLUMNS] = {0}, at = 0;

    while (at < n && list[at].sort == PIECE_WORD) {
        struct statement s = {&list[at], statement_length(&list[at], n - at)};

        if (!piece_is(s.list, "agency"))
            break;
        if (tabular(&s))
            widen(&s, widths);
        at += s.n;
    }
    for (size_t i = 0, sum = 0; i < COLUMNS; i++)
        columns[i] = sum += widths[i];
    return at;
}

/* ---------------------------------------------------------------- all of it */

static struct statement without_blank_lines(struct page *g, const struct piece *p,
                                            size_t n)
{
    struct piece *list = arena_alloc(g->arena, n * sizeof *list);
    struct statement s = {list, 0};

    for (size_t i = 0; list != NULL && i < n; i++)
        if (p[i].sort != PIECE_BLANK)
            list[s.n++] = p[i];
    g->failed = g->failed || list == NULL;
    return s;
}

static void write_all(struct page *g, const struct piece *list, size_t n)
{
    size_t columns[COLUMNS], table_ends = 0;

    for (size_t i = 0; i < n && !g->failed;) {
        const struct piece *p = &list[i];

        if (p->sort >= PIECE_COMMENT) {
            add_line(g, (struct line){
                            .text = "", .comment = p->text, .indented = p->indented});
            i++;
            continue;
        }
        size_t length = statement_length(p, n - i);
        struct statement s = without_blank_lines(g, p, length);

        if (i >= table_ends)
            table_ends = i + agencies(p, n - i, columns);
        if (!g->failed)
            write_statement(g, &s, tabular(&s) ? columns : NULL);
        i += length;
    }
}

bool layout(struct slice text, struct arena *a, struct slice *out)
{
    struct page g = {.arena = a};
    size_t n, len;
    char *made = NULL;
    struct piece *list = pieces_of(text, a, &n);
    FILE *f = list != NULL ? open_memstream(&made, &len) : NULL;

    if (f == NULL)
        return false;
    write_all(&g, list, n);
    print_lines(&g, f);
    bool good = fclose(f) == 0 && !g.failed;
    uint8_t *kept = good ? arena_copy(a, slice(made, len)) : NULL;

    free(made);
    if (kept != NULL)
        *out = slice(kept, len);
    return kept != NULL;
}
