/* What the broker said to a submit or a move. */
#include <stdio.h>

#include "client/cli/cli.h"

void answer_rules(const struct liaison_answer *a)
{
    for (size_t i = 0; liaison_answer_rule(a, i) != NULL; i++) {
        fputs(i == 0 ? "  rules       " : "              ", stdout);
        print_safe(liaison_answer_rule_where(a, i), NULL);
        fputs("  ", stdout);
        print_safe(liaison_answer_rule(a, i), NULL);
        putchar('\n');
    }
}

json_t *answer_rules_json(const struct liaison_answer *a)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && liaison_answer_rule(a, i) != NULL; i++)
        if (json_array_append_new(list, json_pack("{ssss}", "where",
                                                  liaison_answer_rule_where(a, i), "text",
                                                  liaison_answer_rule(a, i))) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *granted_json(const struct liaison_answer *a)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && liaison_answer_granted(a, i) != NULL; i++)
        json_array_append_new(list, json_string(liaison_answer_granted(a, i)));
    return list;
}

/* {"result", "id", "state", "state_version", "entry", "time", "receipt", "granted"} or {"result": "refused",
 * "code", "text", "rules"}. */
static int say_json(struct cli *c, enum liaison_code code, const struct liaison_answer *a,
                    const char *id, json_t *o, const struct receipt_news *news)
{
    uint64_t ns = liaison_answer_time_ns(a);
    char time[40] = "", word[64] = "";

    if (ns != 0)
        json_time_text(ns / 1000000000, (uint32_t)(ns % 1000000000), 9, time,
                       sizeof time);
    json_object_set_new(o, "result", json_string(liaison_answer_kind(a)));
    json_object_set_new(o, "id", json_string(id));
    if (code != LIAISON_OK) {
        json_object_set_new(o, "code",
                            json_string(json_word(&liaison__v1__code__descriptor,
                                                  (int)code, word, sizeof word)));
        json_object_set_new(o, "text", json_string(liaison_answer_text(a)));
        json_object_set_new(o, "rules", answer_rules_json(a));
    } else {
        json_object_set_new(o, "state", json_string(liaison_answer_state(a)));
        json_object_set_new(o, "state_version",
                            json_integer(liaison_answer_state_version(a)));
        json_object_set_new(o, "granted", granted_json(a));
    }
    if (ns != 0) {
        json_object_set_new(o, "entry", json_integer((json_int_t)liaison_answer_seq(a)));
        json_object_set_new(o, "time", json_string(time));
        json_object_set_new(o, "receipt", receipt_json(c, news));
    }
    int status = print_json(o);

    return status != 0 ? status : err_exit(code);
}

/* How a call is called once it is done. */
static const char *done_word(const char *call)
{
    static const char *const WORDS[][2] = {
        {"submit", "submitted"},         {"accept", "accepted"},
        {"reject", "rejected"},          {"start", "started"},
        {"complete", "completed"},       {"withdraw", "withdrawn"},
        {"approve", "approved"},         {"permit", "permitted"},
        {"acknowledge", "acknowledged"}, {"reseal", "sealed again"},
    };

    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strcmp(WORDS[i][0], call) == 0)
            return WORDS[i][1];
    return call;
}

static int say_text(enum liaison_code code, const struct liaison_answer *a,
                    const char *what, const char *id)
{
    if (code != LIAISON_OK) {
        printf("%s: not %s: ", id, done_word(what));
        print_safe(liaison_answer_text(a), NULL);
        printf(" (%s", err_name(code));
        if (liaison_answer_seq(a) != 0)
            printf(", ledger entry %llu", (unsigned long long)liaison_answer_seq(a));
        puts(")");
        answer_rules(a);
        return err_exit(code);
    }
    bool again = strcmp(liaison_answer_kind(a), "duplicate") == 0;

    printf("%s %s%s: ledger entry %llu, state %s, version %u\n", done_word(what), id,
           again ? " (done before; this is the first answer again)" : "",
           (unsigned long long)liaison_answer_seq(a), liaison_answer_state(a),
           liaison_answer_state_version(a));
    return 0;
}

int cli_say_answer(struct cli *c, enum liaison_code code, struct liaison_answer *a,
                   const char *what, const char *id, json_t *extra)
{
    struct receipt_news news = {0};
    int status;

    if (a != NULL)
        news = receipt_keep(c, a, id);
    if (a == NULL ||
        (code != LIAISON_OK && liaison_answer_seq(a) == 0 && c->opt[OPT_JSON] == NULL)) {
        json_decref(extra);
        status = cli_lib_fail(c, code);
    } else if (c->opt[OPT_JSON] != NULL) {
        status = extra != NULL ? say_json(c, code, a, id, extra, &news) : cli_no_memory();
    } else {
        json_decref(extra);
        status = say_text(code, a, what, id);
        receipt_say(c, &news);
    }
    liaison_receipt_free(news.receipt);
    liaison_answer_free(a);
    return status != 0 ? status : news.status;
}
