#include "proto/note_policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* One reading of a policy's text. */
struct reader {
    struct note_policy *p;
    struct slice rest; /* of the line */
    size_t line;
    bool has_quorum;
    char *why;
    size_t why_len;
};

__attribute__((format(printf, 2, 3))) static enum liaison_code
refuse(struct reader *r, const char *format, ...)
{
    char what[160];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(r->why, r->why_len, "line %zu: %s", r->line, what);
    return LIAISON_CONFIG;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Takes the next word of the line. */
static bool take_word(struct reader *r, struct slice *word)
{
    struct slice s = r->rest;
    size_t n = 0;

    while (s.n > 0 && is_blank(*s.p))
        s = slice(s.p + 1, s.n - 1);
    while (n < s.n && !is_blank(s.p[n]))
        n++;
    *word = slice(s.p, n);
    r->rest = slice(s.p + n, s.n - n);
    return n > 0;
}

static bool is(struct slice word, const char *text)
{
    return slice_equal(word, slice_text(text));
}

/* ------------------------------------------------------------ names */

static size_t find(const struct note_policy *p, struct slice name)
{
    for (size_t i = 0; i < p->n_names; i++)
        if (is(name, p->names[i].name))
            return i;
    return POLICY_NO_ONE;
}

/* Takes the next word as a name that is to be made. Gives: *out, which is not yet counted. */
static enum liaison_code take_new_name(struct reader *r, struct policy_name **out)
{
    struct policy_name *n = &r->p->names[r->p->n_names];
    struct slice word;

    if (!take_word(r, &word))
        return refuse(r, "a name is missing");
    if (word.n > NOTE_NAME_MAX)
        return refuse(r, "a name has at most %d bytes", NOTE_NAME_MAX);
    if (is(word, "none") || find(r->p, word) != POLICY_NO_ONE)
        return refuse(r, "the name is taken");
    *n = (struct policy_name){.member_of = POLICY_NO_ONE};
    memcpy(n->name, word.p, word.n);
    *out = n;
    return LIAISON_OK;
}

/* Takes the next word as a name made before; POLICY_NO_ONE: no such. */
static size_t take_name(struct reader *r, struct slice *word)
{
    return take_word(r, word) ? find(r->p, *word) : POLICY_NO_ONE;
}

/* ------------------------------------------------------------ keys */

static bool same_name_and_id(const struct note_key *a, const struct note_key *b)
{
    return strcmp(a->name, b->name) == 0 && memcmp(a->id, b->id, sizeof a->id) == 0;
}

static bool among(const struct note_key *keys, size_t n, const struct note_key *k)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(keys[i].public, k->public, sizeof k->public) == 0 ||
            same_name_and_id(&keys[i], k))
            return true;
    return false;
}

bool policy_has(const struct note_policy *p, const struct note_key *k)
{
    return among(p->log_keys, p->n_logs, k) || among(p->witnesses, p->n_witnesses, k);
}

void policy_add_log(struct note_policy *p, const struct note_key *k, uint64_t from)
{
    p->logs[p->n_logs] = (struct note_log){.key = *k, .from = from, .until = UINT64_MAX};
    p->log_keys[p->n_logs++] = *k;
}

/* Takes `VKEY [URL]`, the rest of a line. */
static enum liaison_code take_key(struct reader *r, enum note_type type,
                                  struct note_key *out)
{
    struct slice word;
    enum liaison_code code;

    if (!take_word(r, &word))
        return refuse(r, "a verifier key is missing");
    code = note_key_read(word, out);
    if (code == LIAISON_MEMORY)
        return code;
    if (code != LIAISON_OK && code != LIAISON_UNSUPPORTED)
        return refuse(
            r, "this is no verifier key, NAME+ID+BASE64, or its id is another key's");
    if (code == LIAISON_UNSUPPORTED || out->type != type)
        return refuse(r, "a %s key has type %d",
                      type == NOTE_ED25519 ? "log's" : "witness's", (int)type);
    if (policy_has(r->p, out))
        return refuse(r, "the same key stands on an earlier line");
    if (take_word(r, &word) && take_word(r, &word)) /* a URL, then nothing */
        return refuse(r, "more words than this line has");
    return LIAISON_OK;
}

/* ------------------------------------------------------------ lines */

static enum liaison_code read_log(struct reader *r)
{
    struct note_key key;
    enum liaison_code code;

    if (r->p->n_logs == NOTE_KEYS_MAX)
        return refuse(r, "more than %d logs", NOTE_KEYS_MAX);
    code = take_key(r, NOTE_ED25519, &key);
    if (code == LIAISON_OK)
        policy_add_log(r->p, &key, 0);
    return code;
}

static enum liaison_code read_witness(struct reader *r)
{
    struct note_policy *p = r->p;
    struct policy_name *n;
    struct note_key key;
    enum liaison_code code;

    if (p->n_witnesses == NOTE_KEYS_MAX)
        return refuse(r, "more than %d witnesses", NOTE_KEYS_MAX);
    code = take_new_name(r, &n);
    if (code == LIAISON_OK)
        code = take_key(r, NOTE_COSIGNATURE, &key);
    if (code != LIAISON_OK)
        return code;
    n->witness = p->n_witnesses;
    p->witness_names[p->n_witnesses] = p->n_names++;
    p->witnesses[p->n_witnesses++] = key;
    return LIAISON_OK;
}

static enum liaison_code take_members(struct reader *r, struct policy_name *group)
{
    struct slice word;
    size_t i;

    while ((i = take_name(r, &word)) != POLICY_NO_ONE) {
        if (r->p->names[i].member_of != POLICY_NO_ONE)
            return refuse(r, "%s is a member already", r->p->names[i].name);
        r->p->names[i].member_of = r->p->n_names;
        group->members++;
    }
    return word.n == 0
               ? LIAISON_OK
               : refuse(r, "a member is neither witness nor group of an earlier line");
}

static enum liaison_code read_group(struct reader *r)
{
    struct policy_name *n;
    struct slice wants;
    uint64_t k = 1;
    enum liaison_code code;

    if (r->p->n_groups == POLICY_GROUPS_MAX)
        return refuse(r, "more than %d groups", POLICY_GROUPS_MAX);
    code = take_new_name(r, &n);
    if (code != LIAISON_OK)
        return code;
    n->is_group = true;
    if (!take_word(r, &wants) ||
        (!is(wants, "any") && !is(wants, "all") && !note_number(wants, &k)))
        return refuse(r, "how many: `all`, `any` or a number");
    code = take_members(r, n);
    if (code != LIAISON_OK)
        return code;
    n->wants = is(wants, "all") ? n->members : (size_t)k;
    if (n->members == 0)
        return refuse(r, "a group has a member");
    if (n->wants == 0 || n->wants > n->members)
        return refuse(r, "the group has %zu members", n->members);
    r->p->n_groups++;
    r->p->n_names++;
    return LIAISON_OK;
}

static enum liaison_code read_quorum(struct reader *r)
{
    struct slice word;
    size_t i = take_name(r, &word);

    if (r->has_quorum)
        return refuse(r, "a second quorum");
    if (i == POLICY_NO_ONE && !is(word, "none"))
        return refuse(r, "a quorum is `none`, or a witness or group of an earlier line");
    if (take_word(r, &word))
        return refuse(r, "more words than this line has");
    r->p->quorum = i;
    r->has_quorum = true;
    return LIAISON_OK;
}

static const struct {
    const char *word;
    enum liaison_code (*read)(struct reader *r);
} LINES[] = {{"log", read_log},
             {"witness", read_witness},
             {"group", read_group},
             {"quorum", read_quorum}};

static enum liaison_code read_line(struct reader *r)
{
    struct slice word;

    for (size_t i = 0; i < r->rest.n; i++)
        if ((r->rest.p[i] < 0x20 && r->rest.p[i] != '\t') || r->rest.p[i] == 0x7f)
            return refuse(r, "a control character");
    if (!take_word(r, &word) || word.p[0] == '#')
        return LIAISON_OK;
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        if (is(word, LINES[i].word))
            return LINES[i].read(r);
    return refuse(r, "a line begins with log, witness, group or quorum");
}

enum liaison_code note_policy_parse(struct slice text, struct note_policy **out,
                                    char *why, size_t why_len)
{
    struct reader r = {.p = calloc(1, sizeof *r.p), .why = why, .why_len = why_len};
    enum liaison_code code = r.p == NULL ? LIAISON_MEMORY : LIAISON_OK;

    if (code != LIAISON_OK)
        snprintf(why, why_len, "memory is out");
    while (code == LIAISON_OK && text.n > 0) {
        r.line++;
        if (!note_take_line(&text, &r.rest)) { /* the last line may lack its LF */
            r.rest = text;
            text.n = 0;
        }
        code = read_line(&r);
    }
    if (code == LIAISON_OK && !r.has_quorum)
        code = refuse(&r, "the policy ends without a line `quorum`");
    if (code == LIAISON_OK) {
        *out = r.p;
        r.p = NULL;
    }
    note_policy_free(r.p);
    return code;
}

void note_policy_free(struct note_policy *p)
{
    free(p);
}

const struct note_log *note_policy_logs(const struct note_policy *p, size_t *n)
{
    *n = p->n_logs;
    return p->logs;
}

const struct note_key *note_policy_witnesses(const struct note_policy *p, size_t *n)
{
    *n = p->n_witnesses;
    return p->witnesses;
}

const char *note_policy_witness_name(const struct note_policy *p, size_t i)
{
    return p->names[p->witness_names[i]].name;
}
