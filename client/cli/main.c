/* liaison: hand cases to other agencies, and take theirs. */
#include <stdio.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/expiry.h"
#include "client/lib/link.h"

static const struct command COMMANDS[] = {
    {"enrol", "",
     "make a profile with fresh keys and requests for certificates; --install puts in "
     "what came back",
     "liaison enrol --network practicies.example --broker broker.example:7443 --agency "
     "fr/lyon/probation\n"
     "  liaison enrol --install sign.crt seal.crt ca.crt crl.pem\n"
     "  liaison enrol --policy log.policy",
     BIT(OPT_NETWORK) | BIT(OPT_AGENCY) | BIT(OPT_AUDITOR) | BIT(OPT_INSTALL) |
         BIT(OPT_POLICY) | BIT(OPT_APPROVER) | BIT(OPT_SIGN_KEY) | BIT(OPT_SEAL_KEY),
     0, 4, cmd_enrol},
    {"new", "CATEGORY", "print a filled-in referral to start from",
     "liaison new release-handover --to fr/lyon/probation > referral.json", BIT(OPT_TO),
     1, 1, cmd_new},
    {"check", "FILE",
     "ask whether a referral would pass, and under which rules; nothing is sent to "
     "anybody",
     "liaison check referral.json", BIT(OPT_STRIP), 1, 1, cmd_check},
    {"submit", "FILE...",
     "seal, sign and hand in referrals; several are signed as one burst",
     "liaison submit referral.json --save referral.ref\n"
     "  liaison submit referral.json --outbox",
     BIT(OPT_STRIP) | BIT(OPT_SAVE) | BIT(OPT_OUTBOX) | BIT(OPT_RECEIPT), 1, 1024,
     cmd_submit},
    {"outbox", "[send|list]", "send what waits in the outbox, or list it",
     "liaison outbox send", BIT(OPT_RECEIPT), 0, 1, cmd_outbox},
    {"inbox", "", "list the referrals that came to us", "liaison inbox --wait 60",
     BIT(OPT_WAIT) | BIT(OPT_ALL), 0, 0, cmd_inbox},
    {"watch", "",
     "show referrals and moves as they come, and take them out of the mailbox",
     "liaison watch\n  liaison watch --exec ./file-it", BIT(OPT_EXEC), 0, 0, cmd_watch},
    {"sent", "", "list the referrals that we sent", "liaison sent --all", BIT(OPT_ALL), 0,
     0, cmd_sent},
    {"show", "ID", "show a referral: its card and, once revealed, its sections",
     "liaison show 9f2c41d07a3e", BIT(OPT_EXPORT), 1, 1, cmd_show},
    {"accept", "ID", "take a referral; of a transfer: the responsibility too",
     "liaison accept 9f2c41d07a3e", BIT(OPT_STATE_VERSION) | BIT(OPT_RECEIPT), 1, 1,
     cmd_accept},
    {"reject", "ID", "do not take it, and say why",
     "liaison reject 9f2c41d07a3e --reason no-capacity",
     BIT(OPT_REASON) | BIT(OPT_STATE_VERSION) | BIT(OPT_RECEIPT), 1, 1, cmd_reject},
    {"start", "ID", "say that work on it has begun", "liaison start 9f2c41d07a3e",
     BIT(OPT_STATE_VERSION) | BIT(OPT_RECEIPT), 1, 1, cmd_start},
    {"complete", "ID", "say that it is done, with the outcome",
     "liaison complete 9f2c41d07a3e --outcome outcome.json --notes \"two meetings held\"",
     BIT(OPT_OUTCOME) | BIT(OPT_NOTES) | BIT(OPT_STATE_VERSION) | BIT(OPT_RECEIPT), 1, 1,
     cmd_complete},
    {"withdraw", "ID", "take back what we sent, before it is accepted",
     "liaison withdraw 9f2c41d07a3e --reason mistake",
     BIT(OPT_REASON) | BIT(OPT_STATE_VERSION) | BIT(OPT_RECEIPT), 1, 1, cmd_withdraw},
    {"approve", "ID", "as an approver: let a referral of our agency be delivered",
     "liaison approve 9f2c41d07a3e --profile ./director",
     BIT(OPT_STATE_VERSION) | BIT(OPT_RECEIPT), 1, 1, cmd_approve},
    {"acknowledge", "ID",
     "say that the handling code H3 was read; sections are opened from then on",
     "liaison acknowledge 9f2c41d07a3e", BIT(OPT_STATE_VERSION) | BIT(OPT_RECEIPT), 1, 1,
     cmd_acknowledge},
    {"permit", "ID",
     "let its recipient pass on, once, what we sent it under the handling code H2",
     "liaison permit 9f2c41d07a3e --to fr/lyon/rebond",
     BIT(OPT_TO) | BIT(OPT_STATE_VERSION) | BIT(OPT_RECEIPT), 1, 1, cmd_permit},
    {"reseal", "ID [FILE]",
     "seal a referral again, for the agency its recipient was merged into; without FILE "
     "print what to fill in",
     "liaison reseal 9f2c41d07a3e > again.json\n"
     "  liaison reseal 9f2c41d07a3e again.json",
     BIT(OPT_TO) | BIT(OPT_STRIP) | BIT(OPT_RECEIPT), 1, 2, cmd_reseal},
    {"history", "ID", "who did what when, and who was responsible",
     "liaison history 9f2c41d07a3e", 0, 1, 1, cmd_history},
    {"directory", "[AGENCY]", "list the agencies of the network",
     "liaison directory --kind ngo --area fr/lyon --language ar",
     BIT(OPT_KIND) | BIT(OPT_AREA) | BIT(OPT_SKILL) | BIT(OPT_LANGUAGE), 0, 1,
     cmd_directory},
    {"cert", "[show|renew|rotate|install|prune|watch|known] [seal|PATH|SHA256...]",
     "show our certificates, renew them, and see whose keys bear our name",
     "liaison cert show\n"
     "  liaison cert renew; liaison cert rotate seal\n"
     "  liaison cert install sign.crt seal.crt\n"
     "  liaison cert watch --once",
     BIT(OPT_ONCE) | BIT(OPT_EVERY), 1, 65, cmd_cert},
    {"receipt", "[show|verify|get] PATH|SEQ...",
     "verify receipts without the broker, show them, or get those that have not come",
     "liaison receipt verify one.receipt --policy log.policy --referral one.ref\n"
     "  liaison receipt get",
     BIT(OPT_POLICY) | BIT(OPT_REFERRAL), 1, 1024, cmd_receipt},
    {"witness", "[init|sign|request|hand-in] [NAME|PATH|SIZE]",
     "check that the broker's log only grows, and cosign its checkpoint",
     "liaison witness init\n  liaison witness\n"
     "  liaison witness request 4096 > asked; liaison witness sign asked > cosigned; "
     "liaison witness "
     "hand-in cosigned",
     0, 0, 2, cmd_witness},
    {"tunnel", "",
     "let programs of this user reach the broker with any ZeroMQ binding, through a UNIX "
     "socket",
     "liaison tunnel --listen /run/user/1000/liaison", BIT(OPT_LISTEN), 0, 0, cmd_tunnel},
};

enum { N_COMMANDS = sizeof COMMANDS / sizeof *COMMANDS };

static void help(void)
{
    puts("usage: liaison COMMAND [ARGUMENTS] [OPTIONS]\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char call[32];

        snprintf(call, sizeof call, "%s %s", COMMANDS[i].name, COMMANDS[i].args);
        printf("  %-20s %s\n", call, COMMANDS[i].help);
    }
    puts("\nOptions of every command:");
    options_help(OPTIONS_OF_ALL);
    puts("\nID is the beginning or the end of an id as the inbox shows it, or FROM:ID.\n"
         "'liaison COMMAND --help' shows an example.");
}

static void help_of(const struct command *cmd)
{
    printf("usage: liaison %s%s%s [OPTIONS]\n%s\n\nExample:\n  %s\n", cmd->name,
           cmd->args[0] != '\0' ? " " : "", cmd->args, cmd->help, cmd->example);
    if (cmd->options != 0) {
        puts("\nOptions:");
        options_help(cmd->options);
    }
    puts("\nOptions of every command:");
    options_help(OPTIONS_OF_ALL);
}

static const struct command *command_named(const char *name)
{
    const char *names[N_COMMANDS];
    char hint[96];

    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = COMMANDS[i].name;
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    }
    cli_fail(LIAISON_USAGE, "there is no command '%s'%s\n'liaison --help' lists them",
             name, json_near(name, names, N_COMMANDS, hint, sizeof hint));
    return NULL;
}

/* Options stand before and after the command: it is the first word that is neither an option nor one's value. */
static uint64_t allowed_anywhere(void)
{
    uint64_t all = OPTIONS_OF_ALL;

    for (size_t i = 0; i < N_COMMANDS; i++)
        all |= COMMANDS[i].options;
    return all;
}

static bool arguments_fit(const struct cli *c, const struct command *cmd, int argc)
{
    for (unsigned o = 0; o < OPT__COUNT; o++)
        if (c->opt[o] != NULL && (BIT(o) & (OPTIONS_OF_ALL | cmd->options)) == 0) {
            cli_fail(LIAISON_USAGE,
                     "'%s' has no option --%s\n'liaison %s --help' lists them", cmd->name,
                     options_name((enum option)o), cmd->name);
            return false;
        }
    if (c->opt[OPT_BROKER] != NULL && !link_address(c->opt[OPT_BROKER])) {
        cli_fail(LIAISON_USAGE, "--broker wants HOST:PORT, such as broker.example:7443");
        return false;
    }
    if (argc >= cmd->min_args && argc <= cmd->max_args)
        return true;
    cli_fail(LIAISON_USAGE, "usage: liaison %s%s%s\n'liaison %s --help' shows an example",
             cmd->name, cmd->args[0] != '\0' ? " " : "", cmd->args, cmd->name);
    return false;
}

static int run(struct cli *c, int argc, char **argv)
{
    if (options_read(c, &argc, argv, allowed_anywhere()) != LIAISON_OK)
        return err_exit(LIAISON_USAGE);
    if (c->opt[OPT_VERSION] != NULL) {
        puts("liaison " LIAISON_VERSION_TEXT);
        return 0;
    }
    if (c->opt[OPT_LIST_COMMANDS] != NULL) {
        for (size_t i = 0; i < N_COMMANDS; i++)
            puts(COMMANDS[i].name);
        return 0;
    }
    if (argc == 0 && c->opt[OPT_LIST_OPTIONS] != NULL) {
        options_list(OPTIONS_OF_ALL);
        return 0;
    }
    if (argc > 0 && strcmp(argv[0], "help") == 0) {
        c->opt[OPT_HELP] = "";
        argc--;
        argv++;
    }
    if (argc == 0) {
        if (c->opt[OPT_HELP] == NULL)
            return cli_fail(LIAISON_USAGE, "which command? 'liaison --help' lists them");
        help();
        return 0;
    }
    const struct command *cmd = command_named(argv[0]);

    if (cmd == NULL)
        return err_exit(LIAISON_USAGE);
    if (c->opt[OPT_LIST_OPTIONS] != NULL) {
        options_list(OPTIONS_OF_ALL | cmd->options);
        return 0;
    }
    if (c->opt[OPT_HELP] != NULL) {
        help_of(cmd);
        return 0;
    }
    return arguments_fit(c, cmd, argc - 1) ? cmd->run(c, argc - 1, argv + 1)
                                           : err_exit(LIAISON_USAGE);
}

int main(int argc, char *argv[])
{
    struct cli c = {.arena = arena_new()};

    if (c.arena == NULL)
        return cli_no_memory();
    int status = run(&c, argc - 1, argv + 1);

    expiry_mind(&c);
    liaison_free(c.lib);
    arena_free(c.arena);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0)
        status = cli_fail(LIAISON_IO, "standard output cannot be written");
    return status;
}
