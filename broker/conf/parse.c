/* What the grammar does with what it has read, and what it says about what it cannot read. */
#include "broker/conf/parse.h"

#include "broker/conf/conf.h"
#include "broker/conf/grammar.h"
#include "broker/conf/settings.h"
#include "broker/conf/suggest.h"

enum { EXPECTED_TEXT_MAX = 600 };

struct keyword {
    const char *word;
    int token;
};

/* Words that begin a statement. Settings begin one too. */
static const struct keyword FIRST[] = {
    {"network", NETWORK},
    {"keep", KEEP},
    {"agency", AGENCY},
    {"group", GROUP},
    {"auditor", AUDITOR},
    {"allow", ALLOW},
    {"deny", DENY},
    {"include", LATER_STATEMENT},
    {"test", LATER_STATEMENT},
};

/* Words inside a statement. */
static const struct keyword INNER[] = {
    {"kind", KIND},
    {"area", AREA},
    {"of", OF},
    {"from", FROM},
    {"to", TO},
    {"any", ANY},
    {"group", GROUP},
    {"within", WITHIN},
    {"purpose", PURPOSE},
    {"basis", BASIS},
    {"sections", SECTIONS},
    {"reveal", REVEAL},
    {"on", ON},
    {"return", RETURN},
    {"when", WHEN},
    {"max-size", MAX_SIZE},
    {"referral", REFERRAL},
    {"transfer", TRANSFER},
    {"query", QUERY},
    {"accept", ACCEPT},
    {"information", INFORMATION},
    {"minor", MINOR},
    {"delivery", DELIVERY},
    {"keep", KEEP},
    {"answer", ANSWER},
    {"else", ELSE},
    {"supervisor", LATER},
    {"skills", LATER},
    {"capacity", LATER},
    {"languages", LATER},
    {"rate", LATER},
    {"approval", LATER},
    {"until", LATER},
    {"merged", LATER},
};

/* Conditions after `when` that this version does not know yet. */
static const char *const LATER_CONDITIONS[] = {
    "handling", "regime", "crossing", "informed", "urgency", "subject", "not"};

enum { N_FIRST = sizeof FIRST / sizeof *FIRST, N_INNER = sizeof INNER / sizeof *INNER };

static int find(const struct keyword *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].word, word) == 0)
            return list[i].token;
    return WORD;
}

int parse_inner_word(const char *word)
{
    return find(INNER, N_INNER, word);
}

int parse_first_word(const char *word)
{
    int token = find(FIRST, N_FIRST, word);

    for (size_t i = 0; token == WORD && settings_name(i) != NULL; i++)
        if (strcmp(settings_name(i), word) == 0)
            token = SETTING;
    return token;
}

/* ---------------------------------------------------------------- building the tree */

void *tree_grow(struct tree *t, void *list, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return list;
    size_t more = *room > 0 ? 2 * *room : 4;
    void *grown = arena_alloc(t->arena, more * size);

    if (grown == NULL) {
        report_memory(t->report);
        return NULL;
    }
    if (n > 0)
        memcpy(grown, list, n * size);
    *room = more;
    return grown;
}

/* True if there is room for one more element in a set that may hold TREE_SET_MAX. */
static bool set_takes(struct parse *p, size_t n, struct place at)
{
    if (n == TREE_SET_MAX)
        report_error(p->tree->report, at,
                     "the set is too large; expected at most %d elements", TREE_SET_MAX);
    return n < TREE_SET_MAX;
}

void parse_add(struct parse *p, struct texts *set, struct text t)
{
    if (!set_takes(p, set->n, t.at))
        return;
    struct text *list = tree_grow(p->tree, set->list, set->n, &set->room, sizeof *list);

    if (list == NULL)
        return;
    list[set->n++] = t;
    set->list = list;
}

void parse_add_party(struct parse *p, struct tree_parties *set,
                     enum rules_party_kind kind, struct text name)
{
    if (!set_takes(p, set->n, name.at))
        return;
    struct tree_party *list =
        tree_grow(p->tree, set->list, set->n, &set->room, sizeof *list);

    if (list == NULL)
        return;
    list[set->n++] = (struct tree_party){kind, name};
    set->list = list;
}

/* After an error the rest of a statement may have been meant as another one. */
static bool in_broken_statement(const struct parse *p)
{
    if (p->statement == AGENCY)
        return p->agency.broken;
    return (p->statement == ALLOW || p->statement == DENY) && p->rule.broken;
}

static bool given_twice(struct parse *p, const struct place *field, struct text word)
{
    if (field->file == NULL)
        return false;
    if (in_broken_statement(p))
        return true;
    report_error(p->tree->report, word.at,
                 "\"%s\" stands here twice; the first is in line %u", word.s,
                 field->line);
    return true;
}

void parse_once(struct parse *p, struct text *field, struct text word, struct text value)
{
    if (!given_twice(p, &field->at, word))
        *field = value;
}

void parse_words(struct parse *p, struct tree_words *field, struct text word,
                 struct tree_words value)
{
    if (given_twice(p, &field->at, word))
        return;
    *field = value;
    field->at = word.at;
    if (!value.any && value.words.n == 0)
        p->rule.broken = true; /* the empty set is reported already */
}

void parse_flag(struct parse *p, struct place *field, struct text word)
{
    if (!given_twice(p, field, word))
        *field = word.at;
}

void parse_later(struct parse *p, struct text word)
{
    p->rule.broken = true; /* if this is a rule, it says more than we know */
    report_error(p->tree->report, word.at, "\"%s\" is not supported by this version",
                 word.s);
}

void parse_condition(struct parse *p, struct text word)
{
    char hint[300];
    struct suggest s = suggest_for(word.s);

    p->rule.broken = true;
    for (size_t i = 0; i < sizeof LATER_CONDITIONS / sizeof *LATER_CONDITIONS; i++)
        if (strcmp(LATER_CONDITIONS[i], word.s) == 0) {
            report_error(
                p->tree->report, word.at,
                "\"when %s\" is not supported by this version; expected when minor",
                word.s);
            return;
        }
    suggest_try(&s, "minor");
    report_error(p->tree->report, word.at, "unknown condition \"%s\"; expected minor%s",
                 word.s, suggest_text(&s, hint, sizeof hint));
}

void parse_empty(struct parse *p, struct place at)
{
    report_error(
        p->tree->report, at,
        "an empty set matches nothing; expected at least one word between the braces");
}

void parse_agency(struct parse *p)
{
    struct tree *t = p->tree;
    struct tree_agency *list =
        tree_grow(t, t->agencies, t->n_agencies, &t->agency_room, sizeof *list);

    if (list == NULL)
        return;
    list[t->n_agencies++] = p->agency;
    t->agencies = list;
}

void parse_group(struct parse *p, struct text name, struct texts members, bool broken)
{
    struct tree *t = p->tree;
    struct tree_group *list =
        tree_grow(t, t->groups, t->n_groups, &t->group_room, sizeof *list);

    if (list == NULL)
        return;
    list[t->n_groups++] =
        (struct tree_group){name, members, false, broken || members.n == 0};
    t->groups = list;
}

void parse_auditor(struct parse *p, struct text name, struct text area)
{
    struct tree *t = p->tree;
    struct tree_auditor *list =
        tree_grow(t, t->auditors, t->n_auditors, &t->auditor_room, sizeof *list);

    if (list == NULL)
        return;
    list[t->n_auditors++] = (struct tree_auditor){name, area};
    t->auditors = list;
}

void parse_rule(struct parse *p)
{
    struct tree *t = p->tree;
    struct tree_rule *list =
        tree_grow(t, t->rules, t->n_rules, &t->rule_room, sizeof *list);

    if (list == NULL)
        return;
    list[t->n_rules++] = p->rule;
    t->rules = list;
}

void parse_setting(struct parse *p, struct text name, struct texts words)
{
    struct tree *t = p->tree;

    if (!p->settings_too) {
        report_error(t->report, name.at,
                     "\"%s\" is a setting and this file holds rules; expected it in the "
                     "settings file",
                     name.s);
        return;
    }
    struct tree_setting *list =
        tree_grow(t, t->set, t->n_set, &t->set_room, sizeof *list);

    if (list == NULL)
        return;
    list[t->n_set++] = (struct tree_setting){name, words};
    t->set = list;
}

void parse_lost(struct parse *p)
{
    struct tree *t = p->tree;
    int what = p->statement;
    bool anything =
        what == WORD || what == STRING || what == OPEN || what == CLOSE || what == COMMA;

    t->lost_agency = t->lost_agency || anything || what == AGENCY;
    t->lost_group = t->lost_group || anything || what == GROUP;
    t->lost_rule = t->lost_rule || anything || what == ALLOW || what == DENY;
    t->lost_network = t->lost_network || anything || what == NETWORK;
    t->lost_setting = t->lost_setting || anything || what == SETTING;
}

/* ---------------------------------------------------------------- what does not fit */

static bool named(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

/* Words that a reader is better not told about: those for later, and those that are possible only because names are. */
static bool hidden(const struct parse *p, const char *name, const char *const *all,
                   size_t n)
{
    static const char *const ALWAYS[] = {"a later word", "a later statement", "answer",
                                         "else", "end of file"};
    static const char *const SOFT[] = {"referral", "transfer", "information", "query",
                                       "accept",   "delivery", "minor"};
    bool names = named(all, n, "a word");
    bool any_word = names && named(all, n, "from"); /* inside braces every word is one */

    if (named(ALWAYS, sizeof ALWAYS / sizeof *ALWAYS, name))
        return true;
    if (strcmp(name, "a setting") == 0 && !p->settings_too)
        return true;
    if (strcmp(name, "keep") == 0 && named(all, n, "purpose"))
        return true; /* in a rule it is for later */
    if (names && named(SOFT, sizeof SOFT / sizeof *SOFT, name))
        return true;
    return any_word && parse_inner_word(name) != WORD;
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
    if (at_start && parse_inner_word(p->last.s) != WORD)
        return "; a line that continues the one before it is indented";
    if (p->last_began_line && parse_first_word(p->last.s) != WORD &&
        parse_inner_word(p->last.s) == WORD)
        return "; a statement begins at the left margin";
    return "";
}

void parse_unexpected(struct parse *p, struct place at, const char *token,
                      const char *const *expected, size_t n)
{
    char list[EXPECTED_TEXT_MAX], hint[300];
    bool later = named(
        (const char *const[]){"a later word", "a later statement", "answer", "else"}, 4,
        token);
    bool at_start = named(expected, n, "network"), word = strcmp(token, "a word") == 0;
    bool end = strcmp(token, "end of line") == 0 || strcmp(token, "end of file") == 0;

    if (later) {
        parse_later(p, p->last);
        return;
    }
    list_expected(p, expected, n, list, sizeof list);
    if (end) {
        report_error(p->tree->report, at, "unexpected %s%s", token, list);
        return;
    }
    struct suggest s = word || at_start ? meant(p, expected, n) : suggest_for("");

    report_error(p->tree->report, at, "%s \"%.60s\"%s%s%s",
                 at_start ? "no statement begins with" : "unexpected", p->last.s, list,
                 suggest_text(&s, hint, sizeof hint), margin_hint(p, at_start));
    if (at_start && s.best != NULL)
        p->statement = parse_first_word(s.best); /* what is lost is most likely that */
}
