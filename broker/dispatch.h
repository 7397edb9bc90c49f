#pragma once
/* Commands as a table: their help, and whose words they are. */
#include <stdbool.h>
#include <stddef.h>

struct command {
    const char *name, *args, *help, *example;
    bool takes_file;
    int (*run)(const char *path);
    int (*run_words)(int argc, char *const *argv); /* takes all words behind the name */
};

/* Runs the command that argv[1] names. Returns what the process exits with. */
int dispatch(const struct command *commands, size_t n, int argc, char *argv[]);

/* What --help prints, and what a wrong word is told. Return the exit status. */
int command_usage(const struct command *cmd);
int command_misused(const struct command *cmd, const char *word, const char *why);
