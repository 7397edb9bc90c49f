/* inbox, sent */
#include <stdio.h>
#include <time.h>

#include "client/cli/cli.h"

struct listing {
    struct table *table;
    size_t rows;
    int status;
};

static const char *urgency(struct cli *c, const Liaison__V1__Envelope *e)
{
    if (e->due_unix_ms != 0)
        return cli_text(c, "%.10s", cli_time(c, e->due_unix_ms));
    return cli_word(c, &liaison__v1__urgency__descriptor, (int)e->urgency);
}

static bool list_card(struct cli *c, const struct card *card, void *arg)
{
    struct listing *l = arg;
    const Liaison__V1__Envelope *e = card->envelope;
    bool in = card->box == LIAISON__V1__BOX__BOX_INBOX;

    l->rows++;
    if (c->opt[OPT_JSON] != NULL) {
        l->status = print_json(card_json(card));
        return l->status == 0;
    }
    table_row(l->table, (const char *const[]){
                            cli_id(c, e->id), in ? e->from : e->to,
                            cli_word(c, &liaison__v1__type__descriptor, (int)e->type),
                            e->category, card_state(c, card->card), urgency(c, e),
                            cli_time(c, card->card->submitted_unix_ms),
                            card->trouble == NULL ? "" : "SIGNATURE NOT VERIFIED"});
    return true;
}

/* Lists a box. *rows tells how many there were. */
static int list(struct cli *c, Liaison__V1__Box box, size_t *rows)
{
    static const char *const IN[] = {
        "ID", "FROM", "TYPE", "CATEGORY", "STATE", "URGENCY", "SUBMITTED (UTC)",
        "",   NULL};
    static const char *const OUT[] = {
        "ID", "TO", "TYPE", "CATEGORY", "STATE", "URGENCY", "SUBMITTED (UTC)", "", NULL};
    bool in = box == LIAISON__V1__BOX__BOX_INBOX;
    struct listing l = {.table = table_new(c->arena, in ? IN : OUT)};

    if (l.table == NULL)
        return cli_no_memory();
    enum liaison_code code = card_list(c, box, c->opt[OPT_ALL] != NULL, list_card, &l);

    if (code != LIAISON_OK)
        return cli_lib_fail(c, code);
    if (l.rows > 0 && c->opt[OPT_JSON] == NULL)
        table_print(l.table);
    *rows = l.rows;
    return l.status;
}

static int64_t now_mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Takes one delivery out of the mailbox. True in *card if it is a referral: notices of moves do not end the wait. */
static enum liaison_code take(struct cli *c, const struct liaison_answer *a, bool *card)
{
    uint64_t mailbox = liaison_answer_mailbox(a), lease = liaison_answer_lease(a);
    const Liaison__V1__Frame *f = cli_frame(c, a);

    if (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_DELIVER)
        return LIAISON_MALFORMED;
    *card = f->deliver->item_case == LIAISON__V1__DELIVER__ITEM_REFERRAL;
    return liaison_ack(c->lib, &mailbox, &lease, 1);
}

/* Waits until a referral comes. LIAISON_TIMEOUT when none did. */
static enum liaison_code wait_for_one(struct cli *c, uint32_t seconds)
{
    int64_t until = now_mono_ms() + (int64_t)seconds * 1000;
    enum liaison_code code = liaison_grant(c->lib, 1, 1 << 20);
    bool card = false;

    while (code == LIAISON_OK && !card) {
        int64_t left = until - now_mono_ms();
        struct liaison_answer *a = NULL;

        code = left > 0 ? liaison_next(c->lib, (int)left, &a) : LIAISON_TIMEOUT;
        if (code == LIAISON_OK)
            code = take(c, a, &card);
        liaison_answer_free(a);
    }
    return code;
}

int cmd_inbox(struct cli *c, int argc, char **argv)
{
    uint32_t seconds = 0;
    size_t rows = 0;
    int status;

    (void)argc;
    (void)argv;
    if (c->opt[OPT_WAIT] != NULL && !options_number(c->opt[OPT_WAIT], 1, 86400, &seconds))
        return cli_fail(LIAISON_USAGE, "--wait wants seconds from 1 to 86400");
    if (!cli_open(c, &status) || !cli_reads(c, &status))
        return status;
    status = list(c, LIAISON__V1__BOX__BOX_INBOX, &rows);
    if (status == 0 && rows == 0 && seconds > 0) {
        enum liaison_code code = wait_for_one(c, seconds);

        if (code != LIAISON_OK && code != LIAISON_TIMEOUT)
            return cli_lib_fail(c, code);
        if (code == LIAISON_OK)
            status = list(c, LIAISON__V1__BOX__BOX_INBOX, &rows);
    }
    if (status == 0 && rows == 0 && c->opt[OPT_JSON] == NULL)
        fputs(c->opt[OPT_ALL] != NULL ? "the inbox is empty\n"
                                      : "the inbox is empty; --all shows finished ones\n",
              stderr);
    return status;
}

int cmd_sent(struct cli *c, int argc, char **argv)
{
    size_t rows = 0;
    int status;

    (void)argc;
    (void)argv;
    if (!cli_open(c, &status) || !cli_reads(c, &status))
        return status;
    status = list(c, LIAISON__V1__BOX__BOX_SENT, &rows);
    if (status == 0 && rows == 0 && c->opt[OPT_JSON] == NULL)
        fputs(c->opt[OPT_ALL] != NULL
                  ? "nothing was sent\n"
                  : "nothing sent is open; --all shows finished ones\n",
              stderr);
    return status;
}
