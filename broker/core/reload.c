/* Other rules, trust and directory are put into force: their text is kept first, in parts; then one batch exchanges them and
 * says so. Nothing of it is undone half-way: until that batch everything is as it was. */
#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/valid.h"

static const uint8_t IN_FORCE = 0; /* its key among the rule sets */

static Liaison__Rows__V1__InForce *in_force_was(struct batch *b)
{
    struct slice row;
    const void *m = NULL;
    enum liaison_code code = store_get(b->tx, T_RULES, slice(&IN_FORCE, 1), &row);

    if (code == LIAISON_NOT_FOUND)
        return NULL;
    if (code == LIAISON_OK)
        code = valid_decode(&liaison__rows__v1__in_force__descriptor, row, b->arena, &m);
    if (code != LIAISON_OK)
        batch_fail(b, code == LIAISON_MALFORMED ? LIAISON_DAMAGED : code);
    return (Liaison__Rows__V1__InForce *)(uintptr_t)m;
}

/* The entry of one change, also if it is the same again: that it was read anew is worth knowing too. */
static void tell(struct batch *b, Liaison__V1__Event event, ProtobufCBinaryData now,
                 const ProtobufCBinaryData *was)
{
    struct party *p = broker_party(b);
    struct recorded made;
    struct ledger_fact f = {.event = event,
                            .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                            .content = binary_slice(now),
                            .was = was == NULL ? NULL : was->data};

    if (p == NULL || !record(b, &f, p, NULL, NULL, false, &made))
        batch_fail(b, LIAISON_MEMORY);
}

/* Both hashes of each: what is in force from now on, and what was. */
static void tell_all(struct batch *b)
{
    struct core *core = b->core;
    const Liaison__Rows__V1__InForce *was = in_force_was(b);
    Liaison__Rows__V1__InForce now = LIAISON__ROWS__V1__IN_FORCE__INIT;
    uint8_t crl[HASH_BYTES];

    tls_trust_crl_sha256(core->settings.trust, crl);
    now.rule_set = (ProtobufCBinaryData){sizeof core->rule_set, core->rule_set};
    now.settings =
        (ProtobufCBinaryData){sizeof core->settings.settings, core->settings.settings};
    now.crl = (ProtobufCBinaryData){sizeof crl, crl};
    tell(b, LIAISON__V1__EVENT__EVENT_RULES, now.rule_set,
         was == NULL ? NULL : &was->rule_set);
    tell(b, LIAISON__V1__EVENT__EVENT_SETTINGS, now.settings,
         was == NULL ? NULL : &was->settings);
    tell(b, LIAISON__V1__EVENT__EVENT_CRL, now.crl, was == NULL ? NULL : &was->crl);
    struct slice row = arena_pack(b->arena, &now.base);

    if (row.p == NULL)
        batch_fail(b, LIAISON_MEMORY);
    else
        store_put(b->tx, T_RULES, slice(&IN_FORCE, 1), row);
}

void reload_begin(struct batch *b)
{
    const struct rules *rules = b->core->settings.rules;
    size_t left = rules_text(rules).n;

    while (kept_rules_keep(b, rules, &left))
        continue;
    tell_all(b);
}

/* What was in force is the reload's afterwards; twice is nothing. */
static void exchange(struct core *core, struct reload *r)
{
    struct core_settings *s = &core->settings;
    const struct reload was = {.rules = s->rules,
                               .trust = s->trust,
                               .directory = s->directory,
                               .page = s->page,
                               .page_bytes = s->page_bytes};
    uint8_t settings[sizeof s->settings];

    s->rules = r->rules;
    s->trust = r->trust;
    s->directory = r->directory;
    s->page = r->page;
    s->page_bytes = r->page_bytes;
    memcpy(settings, s->settings, sizeof settings);
    memcpy(s->settings, r->settings, sizeof settings);
    *r = was;
    memcpy(r->settings, settings, sizeof settings);
    rules_set_id(s->rules, core->rule_set);
    kept_rules_undo(core); /* what other rules' entries cited */
    rounds_begin(core);
}

struct work {
    struct reload *reload;
    bool done; /* it is exchanged */
};

/* A part of the text, or the exchange. */
static void work(struct batch *b, void *arg)
{
    struct work *w = arg;

    w->done = !kept_rules_keep(b, w->reload->rules, &b->core->text_left);
    if (!w->done)
        return;
    exchange(b->core, w->reload);
    tell_all(b);
}

/* One batch on the reserve, so that a full store does not keep a revocation waiting. */
static enum liaison_code step(struct core *core, struct arena *arena, struct reload *r,
                              bool *done)
{
    struct work w = {.reload = r};
    enum liaison_code code = batch_alone(core, arena, true, work, &w);

    if (code != LIAISON_OK && w.done)
        exchange(core, r);
    *done = w.done;
    return code;
}

/* As evidence the log takes no entry; whom auditors are is for the rules to say all the same. */
static enum liaison_code advance(struct core *core, struct arena *arena, struct reload *r,
                                 bool *done)
{
    if (!core->evidence)
        return step(core, arena, r, done);
    exchange(core, r);
    *done = true;
    return LIAISON_OK;
}

enum liaison_code reload_step(struct core *core, struct arena *arena)
{
    struct call *c = core->reloads;
    bool done = false;

    if (c == NULL)
        return LIAISON_OK;
    if (core->text_left == 0)
        core->text_left = rules_text(c->reload->rules).n;
    c->code = advance(core, arena, c->reload, &done);
    if (c->code == LIAISON_OK && !done)
        return LIAISON_OK;
    enum liaison_code code = c->code == LIAISON_FULL ? LIAISON_OK : c->code;

    core->reloads = c->next;
    core->text_left = 0;
    c->next = NULL;
    c->kind = CALL_ANSWER;
    if (call_send(core->sockets[core->settings.gates], c) != LIAISON_OK)
        call_free(c);
    return code;
}
