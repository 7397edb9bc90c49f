/* What is said about a token that does not fit. */
#include "broker/conf/parse.h"

#include "broker/conf/grammar.h"
#include "broker/conf/settings.h"
#include "broker/conf/suggest.h"

enum { EXPECTED_TEXT_MAX = 600 };

/* Words of the language that may be names: `soft` in the grammar. */
static const char *const SOFT[] = {
    "referral", "transfer",    "information", "query",    "accept",  "delivery",
    "minor",    "crossing",    "handling",    "informed", "urgency", "subject",
    "into",     "certificate", "by",          "escalate", "adult",   "unknown",
    "size",     "expect",      "allow",       "deny"};

static bool named(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

/* Words that a reader is better not told about: they are possible only because names are. */
static bool hidden(const struct parse *p, const char *name, const char *const *all,
                   size_t n)
{
    bool names = named(all, n, "a word");

    if (strcmp(name, "end of file") == 0)
        return true;
    if (strcmp(name, "a setting") == 0)
        return !p->settings_too;
    if (names && named(all, n, "from")) /* inside braces every word is one */
        return parse_inner_word(name) != NULL;
    return names && named(SOFT, sizeof SOFT / sizeof *SOFT, name);
}

static void list_expected(const struct parse *p, const char *const *all, size_t n,
                          char *out, size_t out_len)
{
    size_t used = 0, left = 0;
    const char *between = "; expected ";

    *out = '\0';
    for (size_t i = 0; i < n; i++)
        left += !hidden(p, all[i], all, n);
    for (size_t i = 0; i < n && used < out_len; i++) {
        if (hidden(p, all[i], all, n))
            continue;
        left--;
        used += (size_t)snprintf(out + used, out_len - used, "%s%s", between, all[i]);
        between = left == 1 ? " or " : ", ";
    }
}

/* What the word was meant to be, of the words that fit here. */
static struct suggest meant(const struct parse *p, const char *const *expected, size_t n)
{
    struct suggest s = suggest_for(p->last.s);

    for (size_t i = 0; i < n; i++)
        if (!hidden(p, expected[i], expected, n) && strchr(expected[i], ' ') == NULL)
            suggest_try(&s, expected[i]);
    if (p->settings_too && named(expected, n, "a setting"))
        for (size_t i = 0; settings_name(i) != NULL; i++)
            suggest_try(&s, settings_name(i));
    return s;
}

/* The margin says what is a statement; a wrong margin is worth a word. */
static const char *margin_hint(const struct parse *p, bool at_start)
{
    if (at_start && parse_inner_word(p->last.s) != NULL)
        return "; a line that continues the one before it is indented";
    const struct keyword *first = parse_first_word(p->last.s);
    bool rule = first != NULL && (first->token == ALLOW || first->token == DENY);

    if (p->last_began_line && (first != NULL || parse_is_setting(p->last.s)) &&
        (rule || parse_inner_word(p->last.s) == NULL))
        return "; a statement begins at the left margin";
    return "";
}

void parse_unexpected(struct parse *p, struct place at, const char *token,
                      const char *const *expected, size_t n)
{
    char list[EXPECTED_TEXT_MAX], hint[300];
    bool at_start = named(expected, n, "network"), word = strcmp(token, "a word") == 0;
    bool end = strcmp(token, "end of line") == 0 || strcmp(token, "end of file") == 0;

    list_expected(p, expected, n, list, sizeof list);
    if (end) {
        report_error(p->tree->report, at, "unexpected %s%s", token, list);
        return;
    }
    struct suggest s = word || at_start ? meant(p, expected, n) : suggest_for("");

    report_error(p->tree->report, at, "%s \"%.60s\"%s%s%s",
                 at_start ? "no statement begins with" : "unexpected", p->last.s, list,
                 suggest_text(&s, hint, sizeof hint), margin_hint(p, at_start));
    if (at_start && s.best != NULL) { /* what is lost is most likely that */
        const struct keyword *best = parse_first_word(s.best);

        p->statement = best != NULL ? best->token : SETTING;
    }
}
