/* What answers say of a referral besides its state: which item it is, flags, approvals, times and obligations. */
#include "client/lib/answer.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

/* Words that a getter can lend for ever. */
static const char *const ITEMS[] = {
    [LIAISON__V1__DELIVER__ITEM__NOT_SET] = "",
    [LIAISON__V1__DELIVER__ITEM_REFERRAL] = "referral",
    [LIAISON__V1__DELIVER__ITEM_NOTICE] = "notice",
    [LIAISON__V1__DELIVER__ITEM_ALERT] = "alert",
};
static const char *const FLAGS[] = {
    [LIAISON__V1__FLAG__FLAG_UNSPECIFIED] = "",
    [LIAISON__V1__FLAG__FLAG_ESCALATED] = "escalated",
    [LIAISON__V1__FLAG__FLAG_RESEAL_NEEDED] = "reseal-needed",
    [LIAISON__V1__FLAG__FLAG_UNAPPROVED] = "unapproved",
    [LIAISON__V1__FLAG__FLAG_UNACKNOWLEDGED] = "unacknowledged",
    [LIAISON__V1__FLAG__FLAG_BARRED] = "barred",
};

static const char *word(const char *const *words, size_t n, size_t i)
{
    return i < n ? words[i] : "";
}

static const char *flag_word(Liaison__V1__Flag flag)
{
    return word(FLAGS, sizeof FLAGS / sizeof *FLAGS, (size_t)flag);
}

const char *liaison_answer_item(const struct liaison_answer *a)
{
    if (a->frame == NULL || a->frame->body_case != BODY(DELIVER))
        return "";
    return word(ITEMS, sizeof ITEMS / sizeof *ITEMS,
                (size_t)a->frame->deliver->item_case);
}

const char *liaison_answer_alert(const struct liaison_answer *a)
{
    const Liaison__V1__Alert *alert = answer_alert(a);

    return alert == NULL ? "" : flag_word(alert->flag);
}

const char *liaison_answer_onward(const struct liaison_answer *a)
{
    return a->entry == NULL ? "" : a->entry->onward;
}

const char *liaison_answer_flag(const struct liaison_answer *a, size_t i)
{
    const Liaison__V1__Card *card = answer_card(a);

    return card != NULL && i < card->n_flags ? flag_word(card->flags[i]) : NULL;
}

const char *liaison_answer_wanted(const struct liaison_answer *a, size_t i)
{
    const Liaison__V1__Card *card = answer_card(a);

    return card != NULL && i < card->n_wanted ? card->wanted[i] : NULL;
}

uint64_t liaison_answer_answer_by_unix_ms(const struct liaison_answer *a)
{
    const Liaison__V1__Card *card = answer_card(a);

    return card == NULL ? 0 : card->answer_by_unix_ms;
}

uint64_t liaison_answer_keep_until_unix_ms(const struct liaison_answer *a)
{
    const Liaison__V1__Card *card = answer_card(a);

    return card == NULL ? 0 : card->keep_until_unix_ms;
}

static const Liaison__V1__Obligations *obligations(const struct liaison_answer *a)
{
    const Liaison__V1__Card *card = answer_card(a);

    if (card != NULL)
        return card->obligations;
    return a->frame != NULL && a->frame->body_case == BODY(DECISION)
               ? a->frame->decision->obligations
               : NULL;
}

static const char *reveal_word(Liaison__V1__Reveal reveal)
{
    return reveal == LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT     ? "on-accept"
           : reveal == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY ? "on-delivery"
                                                               : "";
}

const char *liaison_answer_obligation(const struct liaison_answer *a, const char *what,
                                      size_t i)
{
    const Liaison__V1__Obligations *o = obligations(a);

    if (o == NULL || what == NULL)
        return NULL;
    const struct {
        const char *what, *one; /* "": it is not said */
        char **list;
        size_t n;
    } ROWS[] = {
        {"reveal", reveal_word(o->reveal), NULL, 0},
        {"keep", o->keep, NULL, 0},
        {"answer_within", o->answer_within, NULL, 0},
        {"returns", NULL, o->returns, o->n_returns},
        {"escalate_to", NULL, o->escalate_to, o->n_escalate_to},
        {"approvals", NULL, o->approvals, o->n_approvals},
    };

    for (size_t row = 0; row < sizeof ROWS / sizeof *ROWS; row++) {
        if (strcmp(ROWS[row].what, what) != 0)
            continue;
        if (ROWS[row].one != NULL)
            return i == 0 && ROWS[row].one[0] != '\0' ? ROWS[row].one : NULL;
        return i < ROWS[row].n ? ROWS[row].list[i] : NULL;
    }
    return NULL;
}

uint32_t liaison_answer_rate_per_hour(const struct liaison_answer *a)
{
    return obligations(a) == NULL ? 0 : obligations(a)->rate_per_hour;
}
