/* witness: checks that the broker's log only grows, and cosigns its checkpoint. What it does is in client/lib/witness.c, which
 * liaison-audit shares. */
#include "client/lib/witness.h"

#include <stdio.h>

#include "client/cli/cli.h"

static const char *path_of(struct cli *c, const char *file)
{
    const char *path = profile_path(&c->profile, file, c->arena);

    return path != NULL ? path : "";
}

static struct witness begin(struct cli *c)
{
    return (struct witness){.lib = c->lib,
                            .arena = c->arena,
                            .program = "liaison",
                            .key = path_of(c, "witness.key"),
                            .state = path_of(c, "witness.state"),
                            .fork = path_of(c, "log.fork")};
}

static int end(const struct witness *w, enum liaison_code code, struct slice out)
{
    if (w->first)
        fputs(
            "liaison: this witness has seen nothing before: it takes the log as it is\n",
            stderr);
    if (code != LIAISON_OK)
        return cli_fail(code, "%s", w->why);
    if (out.n > 0)
        fwrite(out.p, 1, out.n, stdout);
    return 0;
}

static int init(struct cli *c, const char *name)
{
    const char *own = c->profile.agency != NULL ? c->profile.agency : c->profile.auditor;
    struct witness w = begin(c);
    struct slice out = {0};

    if (name == NULL)
        name = cli_text(c, "%s/%s", c->profile.network, own);
    enum liaison_code code = witness_init(&w, own, name, &out);

    return end(&w, code, out);
}

/* sign and hand-in, of a file. */
static int by_file(struct cli *c, bool sign, const char *path)
{
    struct witness w = begin(c);
    struct slice text = {0}, out = {0};
    int status = 0;

    if (!files_read(c, path, sign ? WITNESS_REQUEST_MAX : NOTE_BYTES_MAX, &text, &status))
        return status;
    enum liaison_code code =
        sign ? witness_sign(&w, path, text, &out) : witness_hand_in(&w, text);

    return end(&w, code, out);
}

int cmd_witness(struct cli *c, int argc, char **argv)
{
    const char *word = argc > 0 ? argv[0] : "", *argument = argc > 1 ? argv[1] : NULL;
    enum liaison_code code;
    struct slice out = {0};
    int status;

    if (strcmp(word, "init") == 0)
        return cli_profile(c, &status) ? init(c, argument) : status;
    if (!cli_open_any(c, &status))
        return status;
    if (!liaison_log_on(c->lib))
        return cli_fail(LIAISON_CONFIG, "a witness must know the log's key: put its "
                                        "policy in with 'liaison enrol --policy FILE'");
    struct witness w = begin(c);

    if (argument != NULL && (strcmp(word, "sign") == 0 || strcmp(word, "hand-in") == 0))
        return by_file(c, word[0] == 's', argument);
    if (argc == 0)
        code = witness_run(&w, &out);
    else if (strcmp(word, "request") == 0)
        code = witness_request(&w, argument, &out);
    else
        return cli_fail(LIAISON_USAGE,
                        "witness, witness init [NAME], witness request SIZE, "
                        "witness sign PATH, or witness hand-in PATH");
    return end(&w, code, out);
}
