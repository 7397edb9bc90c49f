/* accept, reject, start, complete, withdraw, approve, acknowledge, permit */
#include <stdio.h>

#include "client/cli/cli.h"
#include "proto/id.h"

/* Adds the section that an option gives, if it was given. */
static bool add_section(struct cli *c, struct liaison_action *a, enum option option,
                        int *status)
{
    const char *type, *given = c->opt[option];
    struct slice content;

    if (given == NULL)
        return true;
    if (!files_content(c, given, &type, &content, status))
        return false;
    enum liaison_code code =
        liaison_action_section(a, options_name(option), type, content.p, content.n);

    if (code != LIAISON_OK)
        *status = cli_lib_fail(c, code);
    return code == LIAISON_OK;
}

static enum liaison_code fill(struct cli *c, struct liaison_action *a, const char *move,
                              const struct target *t)
{
    const struct {
        const char *key, *value;
    } ROWS[] = {
        {"from", t->from},
        {"id", t->id},
        {"move", move},
        {"version", cli_text(c, "%u", t->version)},
        {"reason", c->opt[OPT_REASON]},
        {"to", c->opt[OPT_TO]},
    };
    enum liaison_code code = LIAISON_OK;

    for (size_t i = 0; code == LIAISON_OK && i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].value != NULL)
            code = liaison_action_set(a, ROWS[i].key, ROWS[i].value);
    return code;
}

/* Does the move, on the version that was seen or was said. */
static int act(struct cli *c, const char *move, const struct target *t)
{
    struct liaison_action *action = NULL;
    struct liaison_answer *answer = NULL;
    int status = 0;
    enum liaison_code code = liaison_action_new(c->lib, &action);

    if (code == LIAISON_OK)
        code = fill(c, action, move, t);
    if (code != LIAISON_OK)
        status = cli_lib_fail(c, code);
    else if (add_section(c, action, OPT_OUTCOME, &status) &&
             add_section(c, action, OPT_NOTES, &status)) {
        code = liaison_act(c->lib, action, &answer);
        status =
            cli_say_answer(c, code, answer, move, t->id, json_pack("{ss}", "move", move));
    }
    liaison_action_free(action);
    return status;
}

static int run_move(struct cli *c, const char *move, const char *id)
{
    struct target t;
    uint32_t version = 0;
    int status;

    if (c->opt[OPT_STATE_VERSION] != NULL &&
        !options_number(c->opt[OPT_STATE_VERSION], 1, UINT32_MAX, &version))
        return cli_fail(LIAISON_USAGE,
                        "--state-version wants the number that 'show' prints");
    if (c->opt[OPT_REASON] != NULL && !id_word(c->opt[OPT_REASON]))
        return cli_fail(LIAISON_USAGE,
                        "--reason wants one word: lower-case letters, digits and '-'");
    if (!cli_open(c, &status) || !cli_moves(c, &status) ||
        !card_find(c, id, version == 0, &t, &status))
        return status;
    if (version != 0)
        t.version = version;
    return act(c, move, &t);
}

int cmd_accept(struct cli *c, int argc, char **argv)
{
    (void)argc;
    return run_move(c, "accept", argv[0]);
}

int cmd_start(struct cli *c, int argc, char **argv)
{
    (void)argc;
    return run_move(c, "start", argv[0]);
}

int cmd_reject(struct cli *c, int argc, char **argv)
{
    (void)argc;
    if (c->opt[OPT_REASON] == NULL)
        return cli_fail(
            LIAISON_USAGE,
            "why? --reason no-capacity, not-eligible, out-of-area, duplicate, other...");
    return run_move(c, "reject", argv[0]);
}

int cmd_withdraw(struct cli *c, int argc, char **argv)
{
    (void)argc;
    if (c->opt[OPT_REASON] == NULL)
        return cli_fail(
            LIAISON_USAGE,
            "why? --reason mistake, moved, died, recalled, duplicate, other...");
    return run_move(c, "withdraw", argv[0]);
}

int cmd_complete(struct cli *c, int argc, char **argv)
{
    (void)argc;
    if (c->opt[OPT_OUTCOME] == NULL)
        return cli_fail(
            LIAISON_USAGE,
            "what came of it? --outcome FILE.json or --outcome \"a sentence\"");
    return run_move(c, "complete", argv[0]);
}

int cmd_approve(struct cli *c, int argc, char **argv)
{
    (void)argc;
    return run_move(c, "approve", argv[0]);
}

int cmd_acknowledge(struct cli *c, int argc, char **argv)
{
    (void)argc;
    return run_move(c, "acknowledge", argv[0]);
}

int cmd_permit(struct cli *c, int argc, char **argv)
{
    (void)argc;
    if (c->opt[OPT_TO] == NULL)
        return cli_fail(LIAISON_USAGE, "to whom may it be passed on? --to AGENCY");
    if (!id_name(c->opt[OPT_TO]))
        return cli_fail(LIAISON_USAGE,
                        "--to wants an agency's name, such as fr/lyon/rebond");
    return run_move(c, "permit", argv[0]);
}
