/* Cards: reading, checking, finding, printing. */
#include "client/cli/cli.h"

#include <stdio.h>

#include "proto/id.h"

bool card_read(struct cli *c, const struct liaison_answer *a, size_t i,
               const Liaison__V1__Card *card, struct card *out)
{
    struct liaison_letter *letter = NULL;
    enum liaison_code code = liaison_verify(c->lib, a, i, &letter);
    const char *trouble =
        code == LIAISON_OK ? NULL : cli_text(c, "%s", liaison_errmsg(c->lib));
    const Liaison__V1__SignedReferral *r = card != NULL ? card->referral : NULL;

    liaison_letter_free(letter);
    const Liaison__V1__Envelope *e =
        r != NULL ? cli_decode(c, &liaison__v1__envelope__descriptor,
                               slice(r->envelope.data, r->envelope.len))
                  : NULL;

    if (e == NULL) {
        cli_fail(LIAISON_MALFORMED, "the broker sent a card that cannot be read");
        return false;
    }
    *out = (struct card){.card = card, .envelope = e, .trouble = trouble};
    return true;
}

static void merge(json_t *into, json_t *from, const char *without)
{
    if (from == NULL)
        return;
    json_object_del(from, without);
    json_object_update(into, from);
    json_decref(from);
}

json_t *card_json(const struct card *card)
{
    const Liaison__V1__Card *k = card->card;
    Liaison__V1__Card shown =
        *k; /* the signed bytes are shown as the envelope that they are */
    json_t *o = json_object(), *part = NULL;

    if (json_print(&card->envelope->base, &part) == LIAISON_OK)
        merge(o, part, "digests");
    shown.referral = NULL;
    part = NULL;
    if (json_print(&shown.base, &part) == LIAISON_OK)
        merge(o, part, "mailbox");
    json_object_set_new(o, "signature",
                        json_string(card->trouble == NULL ? "verified" : card->trouble));
    if (card->trouble == NULL)
        json_object_set_new(o, "signed_by", json_string(card->envelope->from));
    return o;
}

static void line(const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    printf("  %-12s", name);
    print_safe(value, NULL);
    putchar('\n');
}

/* Flags, each with what it asks for. */
static void print_flags(struct cli *c, const Liaison__V1__Card *k)
{
    static const struct {
        Liaison__V1__Flag flag;
        const char *text;
    } ROWS[] = {
        {LIAISON__V1__FLAG__FLAG_ESCALATED, "escalated: it was not answered in time, and "
                                            "those named by the rules were told"},
        {LIAISON__V1__FLAG__FLAG_RESEAL_NEEDED,
         "reseal-needed: its recipient was merged into another agency; its sender seals "
         "it "
         "again, with 'liaison reseal'"},
        {LIAISON__V1__FLAG__FLAG_UNAPPROVED,
         "unapproved: it is delivered once it is approved, with 'liaison approve'"},
        {LIAISON__V1__FLAG__FLAG_UNACKNOWLEDGED,
         "unacknowledged: handling code H3; no section is opened before 'liaison "
         "acknowledge'"},
        {LIAISON__V1__FLAG__FLAG_BARRED, "barred: the rules in force do not allow it any "
                                         "more; nothing of it is disclosed"},
    };

    for (size_t i = 0; i < k->n_flags; i++)
        for (size_t row = 0; row < sizeof ROWS / sizeof *ROWS; row++)
            if (ROWS[row].flag == k->flags[i])
                line(i == 0 ? "flags" : "", ROWS[row].text);
    line("wants", k->n_wanted == 0 ? ""
                                   : cli_text(c, "approval by %s",
                                              cli_names(c, k->wanted, k->n_wanted)));
}

static void print_obligations(struct cli *c, const Liaison__V1__Card *k)
{
    struct obligation rows[OBLIGATIONS];

    if (k->answer_by_unix_ms != 0)
        line("answer by", cli_text(c, "%s UTC", cli_time(c, k->answer_by_unix_ms)));
    if (k->keep_until_unix_ms != 0)
        line("kept until", cli_text(c, "%s UTC, unless it moves again",
                                    cli_time(c, k->keep_until_unix_ms)));
    if (k->obligations == NULL)
        return;
    cli_obligations(c, k->obligations, rows);
    for (size_t i = 0; i < OBLIGATIONS; i++)
        line(rows[i].name, rows[i].text);
}

const char *card_state(struct cli *c, const Liaison__V1__Card *card)
{
    const char *text = cli_state(c, card->state);

    for (size_t i = 0; i < card->n_flags; i++)
        text = cli_text(c, "%s%s%s", text, i == 0 ? " (" : ", ",
                        cli_word(c, &liaison__v1__flag__descriptor, (int)card->flags[i]));
    return card->n_flags == 0 ? text : cli_text(c, "%s)", text);
}

static const char *due_text(struct cli *c, const Liaison__V1__Envelope *e)
{
    const char *urgency = cli_word(c, &liaison__v1__urgency__descriptor, (int)e->urgency);

    return e->due_unix_ms == 0 ? urgency
                               : cli_text(c, "due %s UTC", cli_time(c, e->due_unix_ms));
}

void card_print(struct cli *c, const struct card *card)
{
    const Liaison__V1__Envelope *e = card->envelope;
    const Liaison__V1__Card *k = card->card;

    printf("%s ", cli_word(c, &liaison__v1__type__descriptor, (int)e->type));
    print_safe(e->category, NULL);
    printf(" %s\n", cli_id(c, e->id));
    line("from", cli_text(c, "%s, officer %s", e->from, e->officer));
    line("to", e->to);
    line("state",
         cli_text(c, "%s, version %u", cli_state(c, k->state), k->state_version));
    print_flags(c, k);
    line("responsible", k->responsible);
    line("purpose",
         cli_text(c, "%s, basis %s, %s", e->purpose, e->basis,
                  cli_word(c, &liaison__v1__regime__descriptor, (int)e->regime)));
    line("subject",
         cli_text(c, "%s, minor: %s, informed: %s",
                  cli_word(c, &liaison__v1__subject_category__descriptor,
                           (int)e->subject_category),
                  cli_word(c, &liaison__v1__minor__descriptor, (int)e->minor),
                  cli_word(c, &liaison__v1__informed__descriptor, (int)e->informed)));
    line("handling", cli_word(c, &liaison__v1__handling__descriptor, (int)e->handling));
    line("urgency", due_text(c, e));
    line("case", cli_id(c, e->case_id));
    if (e->caused_by != NULL)
        line("caused by",
             cli_text(c, "%s:%s", e->caused_by->from, cli_id(c, e->caused_by->id)));
    line("submitted", cli_text(c, "%s UTC", cli_time(c, k->submitted_unix_ms)));
    line("sections", cli_names(c, k->granted, k->n_granted));
    print_obligations(c, k);
    if (card->trouble == NULL)
        line("signature", cli_text(c, "verified: %s", e->from));
    else
        line("signature", cli_text(c, "NOT VERIFIED: %s", card->trouble));
}

/* One page's cards. Sets *go_on to false when `each` has enough. */
static enum liaison_code page(struct cli *c, const struct liaison_answer *a,
                              Liaison__V1__Box box, card_each *each, void *arg,
                              bool *go_on)
{
    const Liaison__V1__Frame *f = cli_frame(c, a);

    if (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_CARDS)
        return LIAISON_MALFORMED;
    for (size_t i = 0; *go_on && i < f->cards->n_cards; i++) {
        struct card card;

        if (!card_read(c, a, i, f->cards->cards[i], &card))
            return LIAISON_MALFORMED;
        card.box = box;
        *go_on = each(c, &card, arg);
    }
    return LIAISON_OK;
}

enum liaison_code card_list(struct cli *c, Liaison__V1__Box box, bool finished,
                            card_each *each, void *arg)
{
    struct liaison_query *q = NULL;
    enum liaison_code code = liaison_query_new(c->lib, "list", &q);
    bool go_on = true;

    if (code == LIAISON_OK)
        code = liaison_query_set(q, "box",
                                 box == LIAISON__V1__BOX__BOX_INBOX ? "inbox" : "sent");
    if (code == LIAISON_OK)
        code = liaison_query_set(q, "finished", finished ? "yes" : "no");
    while (code == LIAISON_OK && go_on && liaison_query_more(q)) {
        struct liaison_answer *a = NULL;

        code = liaison_query_next(q, &a);
        if (code == LIAISON_OK)
            code = page(c, a, box, each, arg, &go_on);
        liaison_answer_free(a);
    }
    liaison_query_free(q);
    return code;
}

/* ---- finding */

enum { CANDIDATES_SHOWN = 8 };

struct search {
    const char *from; /* NULL: any sender */
    const char *id;   /* the beginning or end */
    size_t found;
    struct target target;
    const char *candidates;
};

static bool matches(const struct search *s, const struct card *card, const char *id)
{
    size_t n = strlen(s->id), all = strlen(id);

    if (s->from != NULL && strcmp(s->from, card->envelope->from) != 0)
        return false;
    return n <= all && (strncmp(id, s->id, n) == 0 || strcmp(id + all - n, s->id) == 0);
}

static bool look_at(struct cli *c, const struct card *card, void *arg)
{
    struct search *s = arg;
    const char *id = cli_id(c, card->envelope->id);

    if (!matches(s, card, id))
        return true;
    s->found++;
    s->target = (struct target){card->envelope->from, id, card->card->state_version,
                                card->card, card->envelope};
    if (s->found <= CANDIDATES_SHOWN)
        s->candidates =
            cli_text(c, "%s\n  %s:%s  %.40s, %s", s->candidates, card->envelope->from, id,
                     card->envelope->category, cli_state(c, card->card->state));
    return true;
}

/* Splits "FROM:ID". False if there is no sense in it. */
static bool split(struct cli *c, const char *text, struct search *s)
{
    const char *colon = strrchr(text, ':');

    s->id = colon != NULL ? colon + 1 : text;
    s->from = colon != NULL ? cli_text(c, "%.*s", (int)(colon - text), text) : NULL;
    return s->id[0] != '\0' && strlen(s->id) < ID_TEXT &&
           s->id[strspn(s->id, "0123456789abcdef-")] == '\0' &&
           (s->from == NULL || id_name(s->from));
}

bool card_find(struct cli *c, const char *text, bool look, struct target *out,
               int *status)
{
    struct search s = {.candidates = ""};
    uint8_t id[ID_BYTES];

    if (!split(c, text, &s)) {
        *status = cli_fail(
            LIAISON_USAGE,
            "'%s' is no id; give the beginning or the end of one, or FROM:ID", text);
        return false;
    }
    if (!look && s.from != NULL && id_parse(s.id, id)) {
        *out = (struct target){.from = s.from, .id = s.id};
        return true;
    }
    enum liaison_code code = LIAISON_OK;

    if (c->profile.approver == NULL) /* an approver has no inbox */
        code = card_list(c, LIAISON__V1__BOX__BOX_INBOX, true, look_at, &s);
    if (code == LIAISON_OK)
        code = card_list(c, LIAISON__V1__BOX__BOX_SENT, true, look_at, &s);
    if (code != LIAISON_OK)
        *status = cli_lib_fail(c, code);
    else if (s.found == 0)
        *status = cli_fail(LIAISON_NOT_FOUND,
                           "no referral here has an id that begins or ends with '%s'\n"
                           "'liaison inbox --all' and 'liaison sent --all' list them",
                           s.id);
    else if (s.found > 1)
        *status = cli_fail(
            LIAISON_USAGE, "'%s' stands for %zu referrals; give more of the id:%s%s",
            s.id, s.found, s.candidates, s.found > CANDIDATES_SHOWN ? "\n  ..." : "");
    else
        *out = s.target;
    return code == LIAISON_OK && s.found == 1;
}
