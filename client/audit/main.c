/* liaison-audit: read the audit trail with an auditor's profile, and verify it without one. */
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/audit.h"

static const struct option_row {
    const char *name, *value, *help; /* value NULL: takes none */
} OPTIONS[AUDIT_OPT__COUNT] = {
    [AUDIT_OPT_AGENCY] = {"agency", "NAME", "only what this agency did or was told"},
    [AUDIT_OPT_REFERRAL] = {"referral", "ID", "only this referral, by its whole id"},
    [AUDIT_OPT_EVENT] = {"event", "WORD",
                         "only this event: submit, accept, open, session..."},
    [AUDIT_OPT_FROM] = {"from", "TIME",
                        "not before: 2026-11-23 or 2026-11-23T08:00:00Z (UTC)"},
    [AUDIT_OPT_UNTIL] = {"until", "TIME", "not after: a time, or a day to its end"},
    [AUDIT_OPT_LIMIT] = {"limit", "N", "at most so many entries"},
    [AUDIT_OPT_BUNDLE] = {"bundle", "DIR",
                          "read this bundle instead of asking the broker"},
    [AUDIT_OPT_POLICY] = {"policy", "FILE",
                          "whose signatures count (the profile's log.policy)"},
    [AUDIT_OPT_ROTATIONS] = {"rotations", "FILE",
                             "notes that changed the log's key (the profile's "
                             "log.rotations)"},
    [AUDIT_OPT_STATE] = {"state", "FILE",
                         "what was verified last; brought up to date when all is good"},
    [AUDIT_OPT_NOTE] = {"note", "FILE",
                        "another's checkpoint of this log, which it must extend"},
    [AUDIT_OPT_EVIDENCE] = {"evidence", "FILE",
                            "where both notes of a fork go (STATE.fork, else "
                            "liaison.fork)"},
    [AUDIT_OPT_THREADS] = {"threads", "N", "how many threads verify (one a processor)"},
    [AUDIT_OPT_FULL] = {"full", NULL,
                        "every entry again, not only those since the state"},
    [AUDIT_OPT_WHOLE] = {"whole", NULL,
                         "an entry that the broker does not show is missing"},
    [AUDIT_OPT_WITNESSED] = {"witnessed", NULL,
                             "the newest checkpoint that the witnesses have cosigned"},
    [AUDIT_OPT_SIZE] = {"size", "N", "a checkpoint of at least so many entries"},
    [AUDIT_OPT_AFTER] = {"after", "BUNDLE", "go on where this bundle ends"},
    [AUDIT_OPT_OUT] = {"out", "FILE",
                       "where the proof or checkpoint goes (standard output)"},
    [AUDIT_OPT_ENVELOPE] = {"envelope", "FILE",
                            "the signed referral that a party handed over, or its "
                            "envelope"},
    [AUDIT_OPT_OPENING] = {"opening", "HEX",
                           "the entry's opening, which stands in the party's receipt"},
    [AUDIT_OPT_JSON] = {"json", NULL, "the whole entries, one JSON object per line"},
    [AUDIT_OPT_PROFILE] =
        {"profile", "DIR",
         "the profile ($LIAISON_PROFILE, else ~/.config/liaison/default)"},
    [AUDIT_OPT_BROKER] = {"broker", "HOST:PORT",
                          "another broker address than the profile's"},
    [AUDIT_OPT_OFFICER] = {"officer", "NUMBER",
                           "on whose behalf: a number, never a name"},
    [AUDIT_OPT_PURPOSE] =
        {"purpose", "WORD",
         "what the reading is logged as being for (the profile's, else audit)"},
    [AUDIT_OPT_BASIS] = {"basis", "WORD",
                         "and on which legal basis (the profile's, else law)"},
    [AUDIT_OPT_TIMEOUT] = {"timeout", "SECONDS", "how long to wait for the broker (30)"},
    [AUDIT_OPT_HELP] = {"help", NULL, "show this"},
    [AUDIT_OPT_VERSION] = {"version", NULL, "show the version"},
    [AUDIT_OPT_LIST_COMMANDS] = {"list-commands", NULL,
                                 "list the commands, for shell completion"},
};

static const struct command {
    const char *name, *help, *example;
    int (*run)(struct audit *a);
} COMMANDS[] = {
    {"log", "list the entries of the ledger, oldest first",
     "log --agency fr/lyon/police --event submit --from 2026-11-01", audit_log},
    {"verify", "verify a broker, or bundles: every entry, the tree, its signatures",
     "verify --state main.state\n  liaison-audit verify 2026-11 --policy log.policy "
     "--state main.state",
     audit_verify},
    {"show", "show an entry, by its number", "show 4711", audit_show},
    {"search", "list entries, and say whether that is all there are",
     "search --agency fr/lyon/police --from 2026-11-01", audit_search},
    {"timeline", "what became of a referral", "timeline --referral 0189f7c0-...",
     audit_timeline},
    {"who-saw", "who was shown a referral, what of it, and why",
     "who-saw --referral 0189f7c0-... --bundle 2026-11", audit_who_saw},
    {"explain", "judge an entry again by the rules of its day, and show which decided it",
     "explain 4711\n  liaison-audit explain 4711 --bundle 2026-11 --policy log.policy",
     audit_explain},
    {"prove", "write the proof of an entry, for others to check",
     "prove 4711 --out 4711.tlog-proof", audit_prove},
    {"checkpoint", "fetch the broker's newest checkpoint, and say who has signed it",
     "checkpoint --witnessed --out today.note", audit_checkpoint},
    {"witness", "check the broker's log and cosign its checkpoint, here or by file",
     "witness init\n  liaison-audit witness\n  liaison-audit witness sign asked --out "
     "cosigned",
     audit_witness},
    {"export", "write the broker's log as a sealed bundle, and verify that",
     "export 2026-11 --after 2026-10", audit_export},
};

enum { N_COMMANDS = sizeof COMMANDS / sizeof *COMMANDS };

static void options_help(void)
{
    puts("\nOptions:");
    for (size_t i = 0; i < AUDIT_OPT__COUNT; i++) {
        char left[64];

        snprintf(left, sizeof left, "--%s %s", OPTIONS[i].name,
                 OPTIONS[i].value != NULL ? OPTIONS[i].value : "");
        printf("  %-22s %s\n", left, OPTIONS[i].help);
    }
}

static void help(void)
{
    puts("usage: liaison-audit COMMAND [ARGUMENTS] [OPTIONS]\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].help);
    puts("\nExamples:");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  liaison-audit %s\n", COMMANDS[i].example);
    options_help();
}

/* Takes "name" or "name=value"; `next` is the word behind it or NULL. *used tells whether that was taken too. */
static bool take(struct audit *a, const char *word, const char *next, bool *used)
{
    size_t len = strcspn(word, "="), o = 0;
    const char *own = word[len] == '=' ? word + len + 1 : NULL, *names[AUDIT_OPT__COUNT];
    char hint[96];

    for (size_t i = 0; i < AUDIT_OPT__COUNT; i++)
        names[i] = OPTIONS[i].name;
    while (o < AUDIT_OPT__COUNT &&
           (strncmp(names[o], word, len) != 0 || names[o][len] != '\0'))
        o++;
    if (o == AUDIT_OPT__COUNT) {
        audit_fail(LIAISON_USAGE, "there is no option --%s%s", word,
                   json_near(word, names, AUDIT_OPT__COUNT, hint, sizeof hint));
        return false;
    }
    bool wants = OPTIONS[o].value != NULL;

    *used = wants && own == NULL;
    if (a->opt[o] != NULL || (!wants && own != NULL)) {
        audit_fail(LIAISON_USAGE,
                   a->opt[o] != NULL ? "--%s is given twice" : "--%s takes no value",
                   names[o]);
        return false;
    }
    a->opt[o] = !wants ? "" : own != NULL ? own : next;
    if (a->opt[o] == NULL || (wants && a->opt[o][0] == '\0')) {
        audit_fail(LIAISON_USAGE, "--%s wants a value: --%s %s", names[o], names[o],
                   OPTIONS[o].value);
        return false;
    }
    return true;
}

/* Sorts options from arguments; argv[0..*argc-1] are the arguments afterwards. */
static bool read_options(struct audit *a, int *argc, char **argv)
{
    int n = 0;

    for (int i = 0; i < *argc; i++) {
        const char *word = strcmp(argv[i], "-h") == 0 ? "--help" : argv[i];
        bool used = false;

        if (word[0] != '-')
            argv[n++] = argv[i];
        else if (word[1] != '-') {
            audit_fail(LIAISON_USAGE,
                       "there is no option %s; options are words, such as --json", word);
            return false;
        } else if (!take(a, word + 2, i + 1 < *argc ? argv[i + 1] : NULL, &used))
            return false;
        i += used;
    }
    *argc = n;
    return true;
}

static int run(struct audit *a, int argc, char **argv)
{
    if (!read_options(a, &argc, argv))
        return err_exit(LIAISON_USAGE);
    if (a->opt[AUDIT_OPT_VERSION] != NULL) {
        puts("liaison-audit " LIAISON_VERSION_TEXT);
        return 0;
    }
    if (a->opt[AUDIT_OPT_HELP] != NULL || (argc > 0 && strcmp(argv[0], "help") == 0)) {
        help();
        return 0;
    }
    if (argc > 0) {
        a->args = (const char *const *)(argv + 1);
        a->n_args = (size_t)argc - 1;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (a->opt[AUDIT_OPT_LIST_COMMANDS] != NULL)
            puts(COMMANDS[i].name);
        else if (argc > 0 && strcmp(argv[0], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(a);
    }
    if (a->opt[AUDIT_OPT_LIST_COMMANDS] != NULL)
        return 0;
    return argc == 0 ? audit_fail(LIAISON_USAGE,
                                  "which command? 'liaison-audit --help' lists them")
                     : audit_fail(LIAISON_USAGE,
                                  "there is no command '%s' in this version; "
                                  "'liaison-audit --help' lists them",
                                  argv[0]);
}

int main(int argc, char *argv[])
{
    struct audit a = {.arena = arena_new()};

    if (a.arena == NULL)
        return audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    int status = run(&a, argc - 1, argv + 1);

    liaison_free(a.lib);
    arena_free(a.arena);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0)
        status = audit_fail(LIAISON_IO, "standard output cannot be written");
    return status;
}
