#pragma once
/* `liaisond notary`: what an operator, and the registrar who writes members' policies, do with the log's key. */
#include "broker/notary/notary.h"

/* What the settings say; texts live as long as `arg` of notary_load. */
struct notary_place {
    struct notary_settings settings;
    const char *policy; /* the file of `witnesses`; NULL: none */
};

/* Reads a settings file. What is wrong with it has been said on stderr. */
typedef enum liaison_code notary_load(const char *path, void *arg, struct notary_place *out);

/* Runs the words behind `liaisond notary`. `usual` is the settings file that counts without -c. Returns an exit status. */
int notary_command(int argc, char *const *argv, const char *usual, notary_load *load, void *arg);
