/* explain: what was decided in an entry, the rules that decided it, as they stood that day, and whether they decide it so. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/conf/past.h"
#include "client/audit/again.h"
#include "proto/valid.h"

enum { EX_NOT_SO = 1 };

struct explaining {
    struct arena *arena;
    const Liaison__V1__LedgerEntry *e; /* NULL: it was not shown */
};

/* What was found out about it. */
struct explained {
    const struct rules *rules;
    enum again_result result;
    const char *why;
    char *cases;
};

static void print_hex(ProtobufCBinaryData bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        printf("%02x", bytes.data[i]);
}

static const struct rules_line *line_at(const struct explained *x,
                                        const Liaison__V1__LedgerEntry *e, size_t i)
{
    return past_line(x->rules, slice(e->rules[i].data, e->rules[i].len));
}

/* ------------------------------------------------------------ for people */

static void print_verdict(const Liaison__V1__LedgerEntry *e)
{
    if (e->verdict == LIAISON__V1__VERDICT__VERDICT_DENIED)
        printf("denied: %s, %s\n", err_name((enum liaison_code)e->code),
               err_text((enum liaison_code)e->code));
    else
        puts("done");
    if (e->rule_set.len == 0)
        return;
    fputs("under the rules ", stdout);
    print_hex(e->rule_set);
    puts(e->n_rules > 0 ? ", by" : ", of which it names none");
}

static void print_again(const struct explained *x)
{
    if (x->result == AGAIN_NOT_SAID)
        printf("not judged again: %s\n", x->why);
    else if (x->result == AGAIN_SO)
        printf("judged again: these rules decide it so\n%s", x->cases);
    else
        puts("JUDGED AGAIN: NOT SO. No referral with these facts is decided so by these "
             "rules");
}

static void print_people(const struct explained *x, const Liaison__V1__LedgerEntry *e)
{
    (void)audit_entry(e, false);
    print_verdict(e);
    for (size_t i = 0; i < e->n_rules; i++) {
        const struct rules_line *line = line_at(x, e, i);

        if (line != NULL)
            printf("  %s: %s\n    ", line->where, line->text);
        else
            fputs("  A LINE THAT THESE RULES DO NOT HAVE\n    ", stdout);
        print_hex(e->rules[i]);
        putchar('\n');
    }
    print_again(x);
}

/* ------------------------------------------------------------ for programs */

static json_t *again_json(const struct explained *x)
{
    if (x->result == AGAIN_NOT_SAID)
        return json_pack("{s:s}", "why_not", x->why);
    return json_pack("{s:b, s:o}", "decided_so", x->result == AGAIN_SO, "if",
                     json_loads(x->cases, 0, NULL));
}

static int print_json(const struct explained *x, const Liaison__V1__LedgerEntry *e)
{
    json_t *o = NULL, *list = json_array();
    enum liaison_code code = json_print(&e->base, &o);

    for (size_t i = 0; i < e->n_rules; i++) {
        const struct rules_line *line = line_at(x, e, i);

        json_array_append_new(list, line == NULL
                                        ? json_null()
                                        : json_pack("{s:s, s:s}", "text", line->text,
                                                    "where", line->where));
    }
    json_t *all =
        json_pack("{s:o, s:o, s:o}", "entry", o, "rules", list, "again", again_json(x));
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

/* ------------------------------------------------------------ the command */

/* A line that the rules do not have is as bad as a decision that they do not make. */
static bool is_bad(const struct explained *x, const Liaison__V1__LedgerEntry *e)
{
    for (size_t i = 0; i < e->n_rules; i++)
        if (line_at(x, e, i) == NULL)
            return true;
    return x->result == AGAIN_NOT_SO;
}

static int explain_entry(struct trail *t, const Liaison__V1__LedgerEntry *e)
{
    const bool json = t->audit->opt[AUDIT_OPT_JSON] != NULL;
    const bool asked = e->rule_set.len > 0 || e->n_rules > 0;
    struct explained x = {.result = AGAIN_NOT_SAID, .why = "no rules were in force"};
    struct rules *rules = NULL;
    size_t len = 0;
    int status = asked ? again_rules(t, e, &rules) : 0;
    FILE *f = status == 0 ? open_memstream(&x.cases, &len) : NULL;

    x.rules = rules;
    if (status == 0 && f == NULL)
        status = audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    if (status == 0 && asked)
        status = again_judge(t, e, rules, json, f, &x.result, &x.why);
    if (f != NULL && fclose(f) != 0 && status == 0)
        status = audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    if (status == 0 && json)
        status = print_json(&x, e);
    else if (status == 0)
        print_people(&x, e);
    if (status == 0 && is_bad(&x, e))
        status = EX_NOT_SO;
    free(x.cases);
    rules_free(rules);
    return status;
}

/* The trail may be asked for more only when this visit is over. */
static int keep_one(void *arg, const struct trail_item *item)
{
    struct explaining *x = arg;
    const uint8_t *bytes = arena_copy(x->arena, item->bytes);
    const void *m = NULL;

    if (bytes == NULL ||
        valid_decode(&liaison__v1__ledger_entry__descriptor, slice(bytes, item->bytes.n),
                     x->arena, &m) != LIAISON_OK)
        return audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    x->e = m;
    return 0;
}

int audit_explain(struct audit *a)
{
    struct trail t;
    struct explaining x = {.arena = a->arena};
    struct trail_filter f = {.first = 0};
    int status = trail_open_at(a, &t, &f.first);

    if (status != 0)
        return status;
    f.end = f.first + 1;
    status = trail_each(&t, &f, keep_one, &x);
    if (status == 0 && x.e == NULL)
        status = audit_fail(LIAISON_NOT_FOUND,
                            "entry %" PRIu64 " was not shown to this auditor", f.first);
    if (status == 0)
        status = explain_entry(&t, x.e);
    trail_close(&t);
    return status;
}
