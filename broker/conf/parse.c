/* What the grammar does with what it has read. */
#include "broker/conf/parse.h"

#include "broker/conf/conf.h"
#include "broker/conf/grammar.h"
#include "broker/conf/settings.h"

/* Words that begin a statement, in order of bytes. Settings begin one too. */
static const struct keyword FIRST[] = {
    {"agency", AGENCY}, {"allow", ALLOW},     {"auditor", AUDITOR},
    {"deny", DENY},     {"group", GROUP},     {"include", INCLUDE},
    {"keep", KEEP},     {"network", NETWORK}, {"test", TEST},
};

/* Words inside a statement, in order of bytes. */
static const struct keyword INNER[] = {
    {"accept", ACCEPT},
    {"adult", ADULT},
    {"allow", ALLOW},
    {"answer", ANSWER},
    {"any", ANY},
    {"approval", APPROVAL},
    {"area", AREA},
    {"basis", BASIS},
    {"by", BY},
    {"capacity", CAPACITY},
    {"certificate", CERTIFICATE},
    {"crossing", CROSSING},
    {"delivery", DELIVERY},
    {"deny", DENY},
    {"else", ELSE},
    {"escalate", ESCALATE},
    {"expect", EXPECT},
    {"from", FROM},
    {"group", GROUP},
    {"handling", HANDLING},
    {"information", INFORMATION},
    {"informed", INFORMED},
    {"into", INTO},
    {"keep", KEEP},
    {"kind", KIND},
    {"languages", LANGUAGES},
    {"max-size", MAX_SIZE},
    {"merged", MERGED},
    {"minor", MINOR},
    {"of", OF},
    {"on", ON},
    {"purpose", PURPOSE},
    {"query", QUERY},
    {"rate", RATE},
    {"referral", REFERRAL},
    {"regime", REGIME},
    {"return", RETURN},
    {"reveal", REVEAL},
    {"sections", SECTIONS},
    {"size", SIZE},
    {"skills", SKILLS},
    {"subject", SUBJECT},
    {"supervisor", SUPERVISOR},
    {"to", TO},
    {"transfer", TRANSFER},
    {"unknown", UNKNOWN},
    {"until", UNTIL},
    {"urgency", URGENCY},
    {"when", WHEN},
    {"within", WITHIN},
};

enum { N_FIRST = sizeof FIRST / sizeof *FIRST, N_INNER = sizeof INNER / sizeof *INNER };

static const struct keyword *find(const struct keyword *list, size_t n, const char *word)
{
    size_t low = 0;

    while (n > 0) {
        int order = strcmp(word, list[low + n / 2].word);

        if (order == 0)
            return &list[low + n / 2];
        if (order > 0) {
            low += n / 2 + 1;
            n -= n / 2 + 1;
        } else {
            n /= 2;
        }
    }
    return NULL;
}

const struct keyword *parse_inner_word(const char *word)
{
    return find(INNER, N_INNER, word);
}

const struct keyword *parse_first_word(const char *word)
{
    return find(FIRST, N_FIRST, word);
}

bool parse_is_setting(const char *word)
{
    for (size_t i = 0; settings_name(i) != NULL; i++)
        if (strcmp(settings_name(i), word) == 0)
            return true;
    return false;
}

/* ---------------------------------------------------------------- building the tree */

void *tree_grow(struct tree *t, void *list, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return list;
    size_t more = *room > 0 ? 2 * *room : 1;
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

const struct tree_clause *tree_find(const struct tree_clause *list, enum clause kind)
{
    while (list != NULL && list->kind != kind)
        list = list->next;
    return list;
}

struct text tree_value(const struct tree_clause *list, enum clause kind)
{
    const struct tree_clause *c = tree_find(list, kind);

    return c != NULL && c->values.words.n > 0 ? c->values.words.list[0]
                                              : (struct text){0};
}

/* True if there is room for one more element in a set that may hold TREE_SET_MAX. */
static bool set_takes(struct parse *p, size_t n, struct place at)
{
    if (n == TREE_SET_MAX)
        report_error(p->tree->report, at,
                     "the set is too large; expected at most %d elements", TREE_SET_MAX);
    return n < TREE_SET_MAX;
}

static void push(struct tree *t, struct texts *to, struct text text)
{
    struct text *list = tree_grow(t, to->list, to->n, &to->room, sizeof *list);

    if (list == NULL)
        return;
    list[to->n++] = text;
    to->list = list;
}

void parse_add(struct parse *p, struct texts *set, struct text t)
{
    if (set_takes(p, set->n, t.at))
        push(p->tree, set, t);
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
    if (p->statement == TEST)
        return p->test.broken;
    return (p->statement == ALLOW || p->statement == DENY) && p->rule.broken;
}

static void say_twice(struct parse *p, struct text word, struct place first)
{
    if (!in_broken_statement(p))
        report_error(p->tree->report, word.at,
                     "\"%s\" stands here twice; the first is in line %u", word.s,
                     first.line);
}

void parse_once(struct parse *p, struct text *field, struct text word, struct text value)
{
    if (field->s == NULL)
        *field = value;
    else
        say_twice(p, word, field->at);
}

/* The clauses of the statement that is being read. */
static struct tree_clause **clauses(struct parse *p)
{
    if (p->statement == AGENCY)
        return &p->agency.clauses;
    return p->statement == TEST ? &p->test.clauses : &p->rule.clauses;
}

void parse_clause(struct parse *p, enum clause kind, struct text word,
                  struct tree_words values)
{
    struct tree_clause **list = clauses(p);
    const struct tree_clause *first = tree_find(*list, kind);

    if (first != NULL) {
        say_twice(p, word, first->word.at);
        return;
    }
    struct tree_clause *c = arena_alloc(p->tree->arena, sizeof *c);

    if (c == NULL) {
        report_memory(p->tree->report);
        return;
    }
    *c = (struct tree_clause){kind, word, values, *list};
    *list = c;
}

void parse_empty(struct parse *p, struct place at)
{
    p->agency.broken = p->rule.broken = p->test.broken = true; /* whichever is read */
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

void parse_test(struct parse *p)
{
    struct tree *t = p->tree;
    struct tree_test *list =
        tree_grow(t, t->tests, t->n_tests, &t->test_room, sizeof *list);

    if (list == NULL)
        return;
    list[t->n_tests++] = p->test;
    t->tests = list;
}

void parse_certificate(struct parse *p, struct text digest)
{
    push(p->tree, &p->tree->certificates, digest);
}

void parse_include(struct parse *p, struct text pattern)
{
    push(p->tree, &p->tree->includes, pattern);
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
    t->lost_include = t->lost_include || anything || what == INCLUDE;
    t->lost_network = t->lost_network || anything || what == NETWORK;
    t->lost_setting = t->lost_setting || anything || what == SETTING;
}
