#include "broker/dispatch.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/command.h"
#include "broker/conf/conf.h"
#include "proto/version.h"

int command_usage(const struct command *cmd)
{
    printf("usage: liaisond %s%s%s\n%s\n\nExample:\n  %s\n", cmd->name,
           cmd->args[0] != '\0' ? " " : "", cmd->args, cmd->help, cmd->example);
    if (cmd->takes_file)
        printf("\nFILE is %s unless said otherwise.\n", DEFAULT_SETTINGS);
    return EX_OK;
}

int command_misused(const struct command *cmd, const char *word, const char *why)
{
    fprintf(stderr, "liaisond: %s %s; 'liaisond %s --help' shows an example\n", word, why,
            cmd->name);
    return EX_USAGE;
}

static int usage(const struct command *commands, size_t n)
{
    puts("usage: liaisond COMMAND [ARGUMENT]\n\ncommands:");
    for (size_t i = 0; i < n; i++)
        printf("  %-8s %-11s %s\n            example: %s\n", commands[i].name,
               commands[i].args, commands[i].help, commands[i].example);
    printf("\nFILE is %s unless said otherwise; --version shows the version.\n"
           "\nsettings:\n",
           DEFAULT_SETTINGS);
    conf_print_settings(stdout);
    return EX_OK;
}

/* Runs a command with the words behind its name: at most a file, with or without -c. */
static int run_with_file(const struct command *cmd, int argc, char *const *argv)
{
    const char *path = NULL;

    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return command_usage(cmd);
        if (cmd->takes_file && strcmp(word, "-c") == 0) {
            if (i + 1 == argc || argv[i + 1][0] == '\0')
                return command_misused(cmd, word, "wants a FILE");
            word = argv[++i];
        } else if (word[0] == '-') {
            return command_misused(cmd, word, "is no option here");
        }
        if (!cmd->takes_file || path != NULL)
            return command_misused(cmd, word, "is too much");
        path = word;
    }
    return cmd->run(path != NULL ? path : DEFAULT_SETTINGS);
}

static int run_command(const struct command *cmd, int argc, char *const *argv)
{
    return cmd->run_words != NULL ? cmd->run_words(argc, argv)
                                  : run_with_file(cmd, argc, argv);
}

int dispatch(const struct command *commands, size_t n, int argc, char *argv[])
{
    bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 ||
                             strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0);
    const char *name = argv[help && argc > 2 ? 2 : 1];

    if (argc < 2) {
        fprintf(stderr, "liaisond: which command? 'liaisond --help' lists them\n");
        return EX_USAGE;
    }
    if (help && argc == 2)
        return usage(commands, n);
    if (strcmp(name, "--version") == 0) {
        puts("liaisond " LIAISON_VERSION_TEXT);
        return EX_OK;
    }
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, commands[i].name) == 0)
            return help ? command_usage(&commands[i])
                        : run_command(&commands[i], argc - 2, argv + 2);
    fprintf(stderr, "liaisond: there is no %s '%s'; 'liaisond --help' lists them\n",
            name[0] == '-' ? "option" : "command", name);
    return EX_USAGE;
}
