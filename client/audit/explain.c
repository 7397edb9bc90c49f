/* explain: what was decided in an entry, and the rules that decided it, as they stood that day. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/trail.h"

enum { RULES_MAX = 128 }; /* that one decision names */

struct explaining {
    struct trail *trail;
    bool json, came;
};

static void print_hex(ProtobufCBinaryData bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        printf("%02x", bytes.data[i]);
}

/* Rules come from the broker: what could steer a terminal is masked. */
static void print_text(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
        putchar(*p < ' ' || *p == 0x7f ? '?' : *p);
}

static void print_verdict(const Liaison__V1__LedgerEntry *e)
{
    if (e->verdict == LIAISON__V1__VERDICT__VERDICT_DENIED)
        printf("denied: %s, %s\n", err_name((enum liaison_code)e->code),
               err_text((enum liaison_code)e->code));
    else
        puts("done");
    if (e->rule_set.len == 0) {
        puts("no rules were asked");
        return;
    }
    fputs("under the rules ", stdout);
    print_hex(e->rule_set);
    puts(e->n_rules > 0 ? ", by" : ", of which it names none");
}

static int print_json(const Liaison__V1__LedgerEntry *e, const struct liaison_answer *a)
{
    json_t *o = NULL, *list = json_array();
    enum liaison_code code = json_print(&e->base, &o);

    for (size_t i = 0; i < e->n_rules; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "text", liaison_answer_rule(a, i),
                                        "where", liaison_answer_rule_where(a, i)));
    json_t *all = json_pack("{s:o, s:o}", "entry", o, "rules", list);
    char *line = code == LIAISON_OK && all != NULL
                     ? json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER)
                     : NULL;

    json_decref(all);
    if (line == NULL)
        return audit_fail(LIAISON_MEMORY, "entry %" PRIu64 " cannot be written as JSON",
                          e->seq);
    puts(line);
    free(line);
    return 0;
}

/* The rules by the ids that the entry cites; the library has hashed each text. */
static enum liaison_code fetch_rules(struct trail *t, const Liaison__V1__LedgerEntry *e,
                                     struct liaison_answer **answer)
{
    uint8_t ids[RULES_MAX * HASH_BYTES];

    if (e->n_rules == 0)
        return LIAISON_OK;
    if (e->n_rules > RULES_MAX || e->rule_set.len != HASH_BYTES)
        return LIAISON_DAMAGED;
    for (size_t i = 0; i < e->n_rules; i++) {
        if (e->rules[i].len != HASH_BYTES)
            return LIAISON_DAMAGED;
        memcpy(ids + i * HASH_BYTES, e->rules[i].data, HASH_BYTES);
    }
    return liaison_rules_cited(t->audit->lib, e->rule_set.data, ids, e->n_rules, answer);
}

static int explain_one(void *arg, const struct trail_item *item)
{
    const Liaison__V1__LedgerEntry *e = item->e;
    struct explaining *x = arg;
    struct liaison_answer *answer = NULL;
    enum liaison_code code = fetch_rules(x->trail, e, &answer);
    int status = 0;

    x->came = true;
    if (code == LIAISON_DAMAGED)
        status = audit_fail(code, "entry %" PRIu64 " cites rules in a form that none has",
                            e->seq);
    else if (code != LIAISON_OK)
        status = audit_lib_fail(x->trail->audit, code);
    else if (x->json)
        status = print_json(e, answer);
    else {
        status = audit_entry(e, false);
        print_verdict(e);
    }
    for (size_t i = 0; status == 0 && !x->json && i < e->n_rules; i++) {
        fputs("  ", stdout);
        print_text(liaison_answer_rule_where(answer, i));
        fputs(": ", stdout);
        print_text(liaison_answer_rule(answer, i));
        fputs("\n    ", stdout);
        print_hex(e->rules[i]);
        putchar('\n');
    }
    liaison_answer_free(answer);
    return status;
}

int audit_explain(struct audit *a)
{
    struct trail t;
    struct explaining x = {.trail = &t, .json = a->opt[AUDIT_OPT_JSON] != NULL};
    struct trail_filter f = {.first = 0};

    if (a->opt[AUDIT_OPT_BUNDLE] != NULL)
        return audit_fail(LIAISON_USAGE,
                          "explain asks the broker, who keeps each rule by its id; a "
                          "bundle has the whole texts alone, in rules/");
    int status = trail_open_at(a, &t, &f.first);

    if (status != 0)
        return status;
    f.end = f.first + 1;
    status = trail_each(&t, &f, explain_one, &x);
    if (status == 0 && !x.came)
        status = audit_fail(LIAISON_NOT_FOUND,
                            "entry %" PRIu64 " was not shown to this auditor", f.first);
    trail_close(&t);
    return status;
}
