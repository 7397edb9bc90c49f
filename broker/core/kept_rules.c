/* The rule sets that were ever in force: their exact text, and each rule as entries cite it. */
#include "broker/core/state.h"
#include "broker/rules/build.h"
#include "proto/valid.h"

enum { RULE_KEY = 2 * HASH_BYTES };

static struct slice rule_key(uint8_t key[RULE_KEY], struct slice rule_set,
                             struct slice rule)
{
    memcpy(key, rule_set.p, HASH_BYTES);
    memcpy(key + HASH_BYTES, rule.p, HASH_BYTES);
    return slice(key, RULE_KEY);
}

static void keep_rule(struct batch *b, struct slice rule_set,
                      const struct rules_line *line)
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
                  rule_key(key, rule_set, slice(line->id, sizeof line->id)), row);
}

void kept_rules_keep(struct batch *b)
{
    const struct rules *rules = b->core->settings.rules;
    struct slice have, id = slice(b->core->rule_set, sizeof b->core->rule_set);

    if (store_get(b->tx, T_RULES, id, &have) != LIAISON_NOT_FOUND)
        return;
    store_put(b->tx, T_RULES, id, rules_text(rules));
    for (size_t i = 0; i < rules_count(rules); i++)
        keep_rule(b, id, rules_line_at(rules, i, NULL));
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
    if (q->rule_set.len != HASH_BYTES || q->text.len != 0 ||
        q->n_rules > RULES_MATCHED_MAX)
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
    struct slice text;

    (void)s;
    if (c->code != LIAISON_OK || !well_asked(&r)) {
        core_error(b, c, c->code != LIAISON_OK ? c->code : LIAISON_FIELD, c->why);
        return;
    }
    for (size_t i = 0; code == LIAISON_OK && i < r.n_rules; i++)
        code = find_rule(b, c, binary_slice(r.rule_set), &r.rules[i]);
    if (r.n_rules == 0)
        code = store_get(b->tx, T_RULES, binary_slice(r.rule_set), &text);
    if (code == LIAISON_NOT_FOUND) {
        core_error(b, c, code, "no rules with that hash were ever in force here");
        return;
    }
    if (code != LIAISON_OK) {
        batch_fail(b, code);
        return;
    }
    if (r.n_rules == 0)
        r.text = (ProtobufCBinaryData){text.n, (uint8_t *)(uintptr_t)text.p};
    f.body_case = LIAISON__V1__FRAME__BODY_RULE_TEXT_PAGE;
    f.rule_text_page = &r;
    core_answer(b, c, &f);
}
