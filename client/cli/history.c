/* history */
#include <stdio.h>

#include "client/cli/cli.h"

struct story {
    struct table *table;
    const char *responsible; /* after the entries so far */
    int status;
};

/* Of events that are about a third agency or a role, which the word alone does not tell. */
static const char *detail(struct cli *c, const Liaison__V1__LedgerEntry *e)
{
    switch ((int)e->event) {
    case LIAISON__V1__EVENT__EVENT_APPROVE:
        return cli_text(c, " as %s", e->role);
    case LIAISON__V1__EVENT__EVENT_PERMIT:
        return cli_text(c, ": may be passed on to %s", e->onward);
    case LIAISON__V1__EVENT__EVENT_ESCALATE:
        return cli_text(c, ": %s was told", e->counterpart);
    case LIAISON__V1__EVENT__EVENT_CROSSING:
        return ": into another legal regime";
    case LIAISON__V1__EVENT__EVENT_BARRED:
        return ": the rules do not allow it any more";
    case LIAISON__V1__EVENT__EVENT_UNBARRED:
        return ": the rules allow it again";
    case LIAISON__V1__EVENT__EVENT_RESEAL_NEEDED:
        return cli_text(c, ": %s took the recipient's place", e->onward);
    case LIAISON__V1__EVENT__EVENT_RESEAL:
        return cli_text(c, " to %s", e->onward);
    default:
        return "";
    }
}

static const char *event(struct cli *c, const Liaison__V1__LedgerEntry *e)
{
    const char *word =
        cli_text(c, "%s%s", cli_word(c, &liaison__v1__event__descriptor, (int)e->event),
                 detail(c, e));

    if (e->verdict != LIAISON__V1__VERDICT__VERDICT_DENIED)
        return word;
    return cli_text(c, "%s, refused: %s", word, err_text((enum liaison_code)e->code));
}

static const char *states(struct cli *c, const Liaison__V1__LedgerEntry *e)
{
    if (e->state_after == LIAISON__V1__STATE__STATE_UNSPECIFIED)
        return "";
    if (e->state_before == e->state_after ||
        e->state_before == LIAISON__V1__STATE__STATE_UNSPECIFIED)
        return cli_state(c, e->state_after);
    return cli_text(c, "%s -> %s", cli_state(c, e->state_before),
                    cli_state(c, e->state_after));
}

static const char *purpose(struct cli *c, const Liaison__V1__LedgerEntry *e)
{
    return e->purpose[0] != '\0' ? cli_text(c, "%s, %s", e->purpose, e->basis) : "";
}

/* Only entries that moved the referral say who is responsible; in between it is who it was. */
static void tell(struct cli *c, struct story *s, const Liaison__V1__LedgerEntry *e)
{
    if (e->verdict == LIAISON__V1__VERDICT__VERDICT_DONE && e->responsible[0] != '\0')
        s->responsible = e->responsible;
    if (c->opt[OPT_JSON] != NULL) {
        json_t *o = NULL;

        if (json_print(&e->base, &o) == LIAISON_OK)
            json_object_set_new(o, "responsible_after", json_string(s->responsible));
        s->status = print_json(o);
        return;
    }
    table_row(s->table, (const char *const[]){
                            cli_text(c, "%llu", (unsigned long long)e->seq),
                            cli_time(c, e->time_ns / 1000000),
                            e->agency[0] != '\0' ? e->agency : "the broker", event(c, e),
                            states(c, e), s->responsible, purpose(c, e)});
}

static enum liaison_code tell_page(struct cli *c, struct story *s,
                                   const struct liaison_answer *a)
{
    const Liaison__V1__Frame *f = cli_frame(c, a);

    if (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_HISTORY_PAGE)
        return LIAISON_MALFORMED;
    for (size_t i = 0; i < f->history_page->n_entries && s->status == 0; i++) {
        ProtobufCBinaryData bytes = f->history_page->entries[i];
        const Liaison__V1__LedgerEntry *e = cli_decode(
            c, &liaison__v1__ledger_entry__descriptor, slice(bytes.data, bytes.len));

        if (e == NULL)
            return LIAISON_DAMAGED;
        tell(c, s, e);
    }
    return LIAISON_OK;
}

static enum liaison_code ask(struct cli *c, const struct target *t, struct story *s)
{
    struct liaison_query *q = NULL;
    enum liaison_code code = liaison_query_new(c->lib, "history", &q);

    if (code == LIAISON_OK)
        code = liaison_query_set(q, "from", t->from);
    if (code == LIAISON_OK)
        code = liaison_query_set(q, "id", t->id);
    while (code == LIAISON_OK && s->status == 0 && liaison_query_more(q)) {
        struct liaison_answer *a = NULL;

        code = liaison_query_next(q, &a);
        if (code == LIAISON_OK)
            code = tell_page(c, s, a);
        liaison_answer_free(a);
    }
    liaison_query_free(q);
    return code;
}

int cmd_history(struct cli *c, int argc, char **argv)
{
    static const char *const TITLES[] = {"ENTRY",          "TIME (UTC)", "WHO",
                                         "WHAT",           "STATE",      "RESPONSIBLE",
                                         "PURPOSE, BASIS", NULL};
    struct story s = {.responsible = ""};
    struct target t;
    int status;

    (void)argc;
    if (!cli_open(c, &status) || !cli_reads(c, &status) ||
        !card_find(c, argv[0], false, &t, &status))
        return status;
    s.table = table_new(c->arena, TITLES);
    if (s.table == NULL)
        return cli_no_memory();
    enum liaison_code code = ask(c, &t, &s);

    if (code == LIAISON_DAMAGED)
        return cli_fail(code, "the broker sent a ledger entry that cannot be read");
    if (code != LIAISON_OK)
        return cli_lib_fail(c, code);
    if (c->opt[OPT_JSON] == NULL)
        table_print(s.table);
    return s.status;
}
