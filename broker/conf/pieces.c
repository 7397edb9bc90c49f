#include "broker/conf/pieces.h"

/* What is left of the text, and what is known of where it begins. */
struct cutter {
    struct slice left;
    bool at_margin, first_in_line; /* of the next piece */
    bool open;                     /* a statement has begun */
    size_t empty_lines;            /* just passed */
};

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f';
}

static bool ends_word(uint8_t c)
{
    return blank(c) || strchr("\n#{},\"", c) != NULL;
}

static void pass(struct cutter *c, size_t n)
{
    c->left = slice(c->left.p + n, c->left.n - n);
}

/* Passes what is between pieces. */
static void pass_blanks(struct cutter *c)
{
    bool line_holds_something = !c->first_in_line;

    c->empty_lines = 0;
    for (; c->left.n > 0; pass(c, 1))
        if (*c->left.p == '\n') {
            c->empty_lines += !line_holds_something;
            line_holds_something = false;
            c->first_in_line = c->at_margin = true;
        } else if (blank(*c->left.p)) {
            c->at_margin = false;
        } else {
            return;
        }
}

static size_t comment_length(struct slice text)
{
    const uint8_t *end = memchr(text.p, '\n', text.n);

    return end != NULL ? (size_t)(end - text.p) : text.n;
}

static size_t word_length(struct slice text)
{
    size_t n = 1;

    if (*text.p == '"') {
        while (n < text.n && text.p[n] != '"')
            n++;
        return n < text.n ? n + 1 : n;
    }
    while (n < text.n && !ends_word(text.p[n]))
        n++;
    return n;
}

static enum piece_sort sort_of(uint8_t c)
{
    switch (c) {
    case '{':
        return PIECE_OPEN;
    case '}':
        return PIECE_CLOSE;
    case ',':
        return PIECE_COMMA;
    case '#':
        return PIECE_COMMENT;
    default:
        return PIECE_WORD;
    }
}

/* The piece that the rest begins with; there is one. */
static struct piece cut(struct cutter *c)
{
    struct piece p = {.sort = sort_of(*c->left.p),
                      .first_in_line = c->first_in_line,
                      .indented = !c->at_margin};
    size_t n = p.sort == PIECE_WORD      ? word_length(c->left)
               : p.sort == PIECE_COMMENT ? comment_length(c->left)
                                         : 1;

    p.text = slice(c->left.p, n);
    pass(c, n);
    c->at_margin = c->first_in_line = false;
    if (p.sort == PIECE_COMMENT) {
        while (blank(p.text.p[p.text.n - 1]))
            p.text.n--;
    } else {
        p.begins = !c->open || (p.first_in_line && !p.indented && p.sort != PIECE_CLOSE);
        c->open = true;
    }
    return p;
}

/* Cuts all of it into `list`, or only counts. */
static size_t cut_all(struct slice text, struct piece *list)
{
    struct cutter c = {.left = text, .at_margin = true, .first_in_line = true};
    size_t n = 0;

    for (;;) {
        pass_blanks(&c);
        if (c.left.n == 0)
            return n;
        if (c.empty_lines > 0 && n > 0) {
            if (list != NULL)
                list[n] = (struct piece){.sort = PIECE_BLANK};
            n++;
        }
        struct piece p = cut(&c);

        if (list != NULL)
            list[n] = p;
        n++;
    }
}

struct piece *pieces_of(struct slice text, struct arena *a, size_t *n)
{
    *n = cut_all(text, NULL);
    struct piece *list = arena_alloc(a, *n * sizeof *list);

    if (list != NULL)
        cut_all(text, list);
    return list;
}

bool piece_is(const struct piece *p, const char *word)
{
    return p->sort == PIECE_WORD && p->text.n == strlen(word) &&
           memcmp(p->text.p, word, p->text.n) == 0;
}
