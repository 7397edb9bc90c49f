/* What comes out of the mailbox: a referral's card, the notice that the other party moved, or an alert of the broker's. */
#include "client/cli/cli.h"

static enum liaison_code not_verified(const struct liaison_answer *a,
                                      enum liaison_code code, const char *why)
{
    cli_fail(code,
             "item %llu of the mailbox: SIGNATURE NOT VERIFIED: %s\n"
             "it is passed over and stays in the mailbox",
             (unsigned long long)liaison_answer_mailbox(a), why);
    return code;
}

/* Takes a card whose signature holds into `o`. */
static enum liaison_code take_card(struct cli *c, const struct liaison_answer *a,
                                   const Liaison__V1__Card *card, json_t *o,
                                   struct card *out)
{
    if (!card_read(c, a, 0, card, out))
        return LIAISON_MALFORMED;
    if (out->trouble != NULL)
        return not_verified(a, LIAISON_SIGNATURE, out->trouble);
    json_t *part = card_json(out);

    if (part == NULL || json_object_update(o, part) != 0) {
        json_decref(part);
        cli_no_memory();
        return LIAISON_MEMORY;
    }
    json_decref(part);
    return LIAISON_OK;
}

static enum liaison_code read_card(struct cli *c, const struct liaison_answer *a,
                                   const Liaison__V1__Deliver *d, json_t *o,
                                   const char **line)
{
    struct card k;
    enum liaison_code code = take_card(c, a, d->referral, o, &k);

    if (code == LIAISON_OK)
        *line = cli_text(
            c, "%s  %s from %s: %s, %s, %s", cli_id(c, k.envelope->id),
            cli_word(c, &liaison__v1__type__descriptor, (int)k.envelope->type),
            k.envelope->from, k.envelope->category, card_state(c, d->referral),
            cli_word(c, &liaison__v1__urgency__descriptor, (int)k.envelope->urgency));
    return code;
}

/* What the broker found, and since which entry; who took the recipient's place, if somebody did. */
static enum liaison_code read_alert(struct cli *c, const struct liaison_answer *a,
                                    const Liaison__V1__Deliver *d, json_t *o,
                                    const char **line)
{
    struct card k;
    enum liaison_code code = take_card(c, a, d->alert->card, o, &k);
    const char *onward = liaison_answer_onward(a);

    if (code != LIAISON_OK)
        return code;
    json_object_set_new(o, "alert", json_string(liaison_answer_alert(a)));
    json_object_set_new(o, "entry", json_integer((json_int_t)liaison_answer_seq(a)));
    if (onward[0] != '\0')
        json_object_set_new(o, "onward", json_string(onward));
    *line = cli_text(c, "%s  ALERT %s%s%s: %s from %s to %s, %s, ledger entry %llu",
                     cli_id(c, k.envelope->id), liaison_answer_alert(a),
                     onward[0] != '\0' ? ", now " : "", onward, k.envelope->category,
                     k.envelope->from, k.envelope->to, card_state(c, d->alert->card),
                     (unsigned long long)liaison_answer_seq(a));
    return LIAISON_OK;
}

static enum liaison_code notice_json(const Liaison__V1__Notice *n,
                                     const Liaison__V1__Action *action, json_t *o)
{
    char state[64] = "";
    json_t *part = NULL;
    enum liaison_code code = json_print(&action->base, &part);

    if (code != LIAISON_OK)
        return code;
    json_object_del(part, "digests");
    json_object_set_new(part, "state",
                        json_string(json_word(&liaison__v1__state__descriptor,
                                              (int)n->state, state, sizeof state)));
    json_object_set_new(part, "state_version", json_integer(n->state_version));
    json_object_set_new(part, "signature", json_string("verified"));
    json_object_set_new(part, "signed_by", json_string(action->agency));
    int failed = json_object_update(o, part);

    json_decref(part);
    return failed ? LIAISON_MEMORY : LIAISON_OK;
}

static enum liaison_code read_notice(struct cli *c, const struct liaison_answer *a,
                                     const Liaison__V1__Deliver *d, json_t *o,
                                     const char **line)
{
    const Liaison__V1__Notice *n = d->notice;
    struct liaison_letter *letter = NULL;
    enum liaison_code code = liaison_verify(c->lib, a, 0, &letter);
    size_t len = 0;
    const uint8_t *bytes = letter != NULL ? liaison_letter_bytes(letter, &len) : NULL;

    if (code != LIAISON_OK)
        return not_verified(a, code, liaison_errmsg(c->lib));
    const Liaison__V1__Action *action =
        cli_decode(c, &liaison__v1__action__descriptor, slice(bytes, len));

    liaison_letter_free(letter);
    code = action == NULL ? LIAISON_MALFORMED : notice_json(n, action, o);
    if (code != LIAISON_OK) {
        cli_fail(code, "the broker sent a notice that cannot be read");
        return code;
    }
    *line = cli_text(c, "%s  %s by %s: %s, version %u", cli_id(c, action->referral->id),
                     cli_word(c, &liaison__v1__move__descriptor, (int)action->move),
                     action->agency, cli_state(c, n->state), n->state_version);
    return LIAISON_OK;
}

enum liaison_code item_read(struct cli *c, const struct liaison_answer *a, json_t **json,
                            const char **line)
{
    static const struct {
        Liaison__V1__Deliver__ItemCase item;
        enum liaison_code (*read)(struct cli *, const struct liaison_answer *,
                                  const Liaison__V1__Deliver *, json_t *, const char **);
    } ITEMS[] = {
        {LIAISON__V1__DELIVER__ITEM_REFERRAL, read_card},
        {LIAISON__V1__DELIVER__ITEM_NOTICE, read_notice},
        {LIAISON__V1__DELIVER__ITEM_ALERT, read_alert},
    };
    const Liaison__V1__Frame *f = cli_frame(c, a);
    const Liaison__V1__Deliver *d =
        f != NULL && f->body_case == LIAISON__V1__FRAME__BODY_DELIVER ? f->deliver : NULL;
    size_t i = 0;

    while (d != NULL && i < sizeof ITEMS / sizeof *ITEMS && ITEMS[i].item != d->item_case)
        i++;
    if (d == NULL || i == sizeof ITEMS / sizeof *ITEMS) {
        cli_fail(LIAISON_MALFORMED, "the broker delivered something that is no item");
        return LIAISON_MALFORMED;
    }
    json_t *o = json_pack("{sssIsI}", "item", liaison_answer_item(a), "mailbox",
                          (json_int_t)d->mailbox, "attempt", (json_int_t)d->attempt);

    if (o == NULL) {
        cli_no_memory();
        return LIAISON_MEMORY;
    }
    enum liaison_code code = ITEMS[i].read(c, a, d, o, line);

    if (code == LIAISON_OK)
        *json = o;
    else
        json_decref(o);
    return code;
}
