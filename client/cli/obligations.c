/* Obligations in words, for `check` and for cards. */
#include "client/cli/cli.h"

const char *cli_names(struct cli *c, char **list, size_t n)
{
    const char *all = "";

    for (size_t i = 0; i < n; i++)
        all = cli_text(c, "%s%s%s", all, i > 0 ? ", " : "", list[i]);
    return all;
}

static const char *reveal(Liaison__V1__Reveal r)
{
    return r == LIAISON__V1__REVEAL__REVEAL_ON_ACCEPT     ? "on accept"
           : r == LIAISON__V1__REVEAL__REVEAL_ON_DELIVERY ? "on delivery"
                                                          : "";
}

static const char *answer(struct cli *c, const Liaison__V1__Obligations *o)
{
    if (o->answer_within[0] == '\0')
        return "";
    return cli_text(c, "within %s of its delivery, else %s %s told", o->answer_within,
                    o->n_escalate_to > 0 ? cli_names(c, o->escalate_to, o->n_escalate_to)
                                         : "nobody",
                    o->n_escalate_to > 1 ? "are" : "is");
}

void cli_obligations(struct cli *c, const Liaison__V1__Obligations *o,
                     struct obligation out[OBLIGATIONS])
{
    const struct obligation ROWS[OBLIGATIONS] = {
        {"revealed", reveal(o->reveal)},
        {"may return", cli_names(c, o->returns, o->n_returns)},
        {"keep",
         o->keep[0] == '\0' ? "" : cli_text(c, "%s after its last move", o->keep)},
        {"answer", answer(c, o)},
        {"approval",
         o->n_approvals == 0
             ? ""
             : cli_text(c, "by %s", cli_names(c, o->approvals, o->n_approvals))},
        {"rate", o->rate_per_hour == 0
                     ? ""
                     : cli_text(c, "at most %u an hour", o->rate_per_hour)},
    };

    memcpy(out, ROWS, sizeof ROWS);
}
