/* The rule sets that were ever in force: their exact text, and each line that entries cite. */
#include "broker/core/state.h"
#include "broker/rules/build.h"
#include "proto/valid.h"

enum { RULE_KEY = 2 * HASH_BYTES, PART_KEY = HASH_BYTES + 4, PART_BYTES = 256 << 10 };

static struct slice rule_key(uint8_t key[RULE_KEY], struct slice rule_set,
                             struct slice rule)
{
    memcpy(key, rule_set.p, HASH_BYTES);
    memcpy(key + HASH_BYTES, rule.p, HASH_BYTES);
    return slice(key, RULE_KEY);
}

static void keep_rule(struct batch *b, const struct rules_line *line)
{
    Liaison__V1__Rule r = LIAISON__V1__RULE__INIT;
    uint8_t key[RULE_KEY];
    struct slice row;

    r.id = (ProtobufCBinaryData){sizeof line->id, (uint8_t *)(uintptr_t)line->id};
    r.text = (char *)(uintptr_t)line->text;
    r.where = (char *)(uintptr_t)line->where;
    row = arena_pack(b->arena, &r.base);
    if (row.p == NULL)
        batch_fail(b, LIAISON_MEMORY);
    else
        store_put(b->tx, T_RULE,
                  rule_key(key, slice(b->core->rule_set, sizeof b->core->rule_set),
                           slice(line->id, sizeof line->id)),
                  row);
}

const struct slice *kept_rules_cite(struct batch *b,
                                    const struct rules_line *const *lines, size_t n)
{
    struct slice *ids = arena_alloc(b->arena, n * sizeof *ids);

    for (size_t i = 0; ids != NULL && i < n; i++) {
        const struct rules_line *line = lines[i];
        uint64_t key = be64_get(line->id);

        ids[i] = slice(line->id, sizeof line->id);
        if (map_get(b->core->cited, key) == line)
            continue;
        keep_rule(b, line);
        if (!map_put(&b->core->cited, key, (void *)(uintptr_t)line))
            ids = NULL;
    }
    if (ids == NULL)
        batch_fail(b, LIAISON_MEMORY);
    return ids;
}

void kept_rules_undo(struct core *c)
{
    map_free(c->cited);
    c->cited = NULL;
}

static struct slice part_key(uint8_t key[PART_KEY], struct slice rule_set, size_t part)
{
    memcpy(key, rule_set.p, HASH_BYTES);
    be32_put(key + HASH_BYTES, (uint32_t)part);
    return slice(key, PART_KEY);
}

/* From the last part to the first, so that the first is there only if all are. */
bool kept_rules_keep(struct batch *b, const struct rules *rules, size_t *left)
{
    uint8_t id[HASH_BYTES], key[PART_KEY];
    struct slice text = rules_text(rules), have;
    size_t part = *left == 0 ? 0 : (*left - 1) / PART_BYTES;

    rules_set_id(rules, id);
    enum liaison_code code =
        store_get(b->tx, T_RULES, part_key(key, slice(id, sizeof id), 0), &have);

    if (code != LIAISON_NOT_FOUND) /* it is kept; or what went wrong is the batch's */
        return false;
    store_put(b->tx, T_RULES, part_key(key, slice(id, sizeof id), part),
              slice(text.p + part * PART_BYTES, *left - part * PART_BYTES));
    b->mends = true;
    *left = part * PART_BYTES;
    return part > 0;
}

static enum liaison_code find_part(struct batch *b, struct slice rule_set, size_t part,
                                   struct slice *out)
{
    uint8_t key[PART_KEY];

    return store_get(b->tx, T_RULES, part_key(key, rule_set, part), out);
}

/* How long the whole text is: all parts but the last are full. */
static enum liaison_code text_size(struct batch *b, struct slice rule_set, uint64_t *size)
{
    size_t part = 0;
    struct slice text;
    enum liaison_code code = find_part(b, rule_set, 0, &text);

    *size = code == LIAISON_OK ? text.n : 0;
    while (code == LIAISON_OK && text.n == PART_BYTES) {
        code = find_part(b, rule_set, ++part, &text);
        *size += code == LIAISON_OK ? text.n : 0;
    }
    return part > 0 && code == LIAISON_NOT_FOUND ? LIAISON_OK : code;
}

/* The text from byte r->from on, as much of it as a page holds. */
static enum liaison_code find_text(struct batch *b, struct arena *a,
                                   Liaison__V1__RuleText *r)
{
    const size_t room = b->core->settings.page_bytes;
    struct slice part;
    uint64_t size;
    enum liaison_code code = text_size(b, binary_slice(r->rule_set), &size);

    if (code != LIAISON_OK)
        return code;
    if (r->from > size)
        return LIAISON_FIELD;
    uint64_t left = size - r->from;
    size_t wanted = left < room ? (size_t)left : room;

    r->size = size;
    r->text.data = arena_alloc(a, wanted);
    if (r->text.data == NULL)
        return LIAISON_MEMORY;
    while (code == LIAISON_OK && r->text.len < wanted) {
        uint64_t at = r->from + r->text.len;
        size_t skip = (size_t)(at % PART_BYTES), n = wanted - r->text.len;

        code = find_part(b, binary_slice(r->rule_set), (size_t)(at / PART_BYTES), &part);
        if (code != LIAISON_OK)
            break;
        n = part.n - skip < n ? part.n - skip : n;
        memcpy(r->text.data + r->text.len, part.p + skip, n);
        r->text.len += n;
    }
    r->from = 0;
    return code;
}

static enum liaison_code find_rule(struct batch *b, struct call *c, struct slice rule_set,
                                   Liaison__V1__Rule **rule)
{
    uint8_t key[RULE_KEY];
    struct slice row;
    const void *m;
    enum liaison_code code = store_get(
        b->tx, T_RULE, rule_key(key, rule_set, binary_slice((*rule)->id)), &row);

    if (code == LIAISON_OK) /* the row stays where it is until the batch ends */
        code = valid_decode(&liaison__v1__rule__descriptor, row, c->arena, &m);
    if (code == LIAISON_OK)
        *rule = (Liaison__V1__Rule *)(uintptr_t)m;
    return code == LIAISON_MALFORMED ? LIAISON_DAMAGED : code;
}

/* Only ids, and not more than one decision names. */
static bool well_asked(const Liaison__V1__RuleText *q)
{
    if (q->rule_set.len != HASH_BYTES || q->text.len != 0 || q->size != 0 ||
        q->n_rules > RULES_MATCHED_MAX || (q->from != 0 && q->n_rules > 0))
        return false;
    for (size_t i = 0; i < q->n_rules; i++)
        if (q->rules[i]->id.len != HASH_BYTES || q->rules[i]->text[0] != '\0' ||
            q->rules[i]->where[0] != '\0')
            return false;
    return true;
}

void rule_text_call(struct batch *b, struct call *c, struct session *s)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__RuleText r = *c->frame->rule_text;
    enum liaison_code code = LIAISON_OK;

    (void)s;
    if (c->code != LIAISON_OK || !well_asked(&r)) {
        core_error(b, c, c->code != LIAISON_OK ? c->code : LIAISON_FIELD, c->why);
        return;
    }
    for (size_t i = 0; code == LIAISON_OK && i < r.n_rules; i++)
        code = find_rule(b, c, binary_slice(r.rule_set), &r.rules[i]);
    if (r.n_rules == 0)
        code = find_text(b, c->arena, &r);
    if (code == LIAISON_NOT_FOUND || code == LIAISON_FIELD) {
        core_error(b, c, code,
                   code == LIAISON_FIELD
                       ? "the text ends before that byte"
                       : "no rules with that hash were ever in force or cited here");
        return;
    }
    if (code != LIAISON_OK) {
        batch_fail(b, code);
        return;
    }
    f.body_case = LIAISON__V1__FRAME__BODY_RULE_TEXT_PAGE;
    f.rule_text_page = &r;
    core_answer(b, c, &f);
}
