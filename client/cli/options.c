#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/cli.h"

static const struct {
    const char *name, *value, *help; /* value NULL: takes none */
} OPTIONS[OPT__COUNT] = {
    [OPT_PROFILE] = {"profile", "DIR",
                     "the profile ($LIAISON_PROFILE, else ~/.config/liaison/default)"},
    [OPT_BROKER] = {"broker", "HOST:PORT", "another broker address than the profile's"},
    [OPT_OFFICER] = {"officer", "NUMBER", "on whose behalf: a number, never a name"},
    [OPT_PURPOSE] = {"purpose", "WORD", "what for (of reads and moves)"},
    [OPT_BASIS] = {"basis", "WORD", "on which legal basis (of reads and moves)"},
    [OPT_TIMEOUT] = {"timeout", "SECONDS", "how long to wait for the broker (30)"},
    [OPT_JSON] = {"json", NULL, "one JSON object per line instead of text"},
    [OPT_HELP] = {"help", NULL, "show this"},
    [OPT_VERSION] = {"version", NULL, "show the version"},
    [OPT_LIST_COMMANDS] = {"list-commands", NULL,
                           "list the commands, for shell completion"},
    [OPT_LIST_OPTIONS] = {"list-options", NULL,
                          "list a command's options, for shell completion"},
    [OPT_NETWORK] = {"network", "NAME", "the network, as its registrar names it"},
    [OPT_AGENCY] = {"agency", "NAME", "the agency this profile is for"},
    [OPT_AUDITOR] = {"auditor", "NAME", "the auditor this profile is for"},
    [OPT_SIGN_KEY] = {"sign-key", "URI",
                      "the signing key is in a token: pkcs11:token=...;object=..."},
    [OPT_SEAL_KEY] = {"seal-key", "URI", "the same for the sealing key"},
    [OPT_APPROVER] = {"approver", "ROLE",
                      "this profile is for an approver of the agency"},
    [OPT_INSTALL] =
        {"install", NULL,
         "arguments: sign.crt seal.crt ca.crt crl.pem (an auditor has no seal.crt)"},
    [OPT_TO] = {"to", "AGENCY", "the agency it is for"},
    [OPT_STRIP] = {"strip", NULL,
                   "leave out the sections that no rule grants instead of being refused"},
    [OPT_SAVE] = {"save", "FILE.ref",
                  "keep the exact signed bytes; 'submit FILE.ref' sends them again"},
    [OPT_WAIT] = {"wait", "SECONDS", "if nothing is there, wait for the first to come"},
    [OPT_ALL] = {"all", NULL, "finished ones too"},
    [OPT_REASON] =
        {"reason", "CODE",
         "why, in one word: no-capacity, out-of-area, mistake, moved, duplicate..."},
    [OPT_OUTCOME] = {"outcome", "FILE.json|TEXT",
                     "what came of it; sealed to the sender"},
    [OPT_NOTES] = {"notes", "FILE.json|TEXT",
                   "notes to go with it; sealed to the sender"},
    [OPT_STATE_VERSION] = {"state-version", "N",
                           "only if it has not moved since this version"},
    [OPT_KIND] = {"kind", "WORD", "only this kind"},
    [OPT_AREA] = {"area", "AREA", "only this area and those below it"},
    [OPT_SKILL] = {"skill", "WORD", "only those with this skill"},
    [OPT_LANGUAGE] = {"language", "WORD", "only those with this language"},
    [OPT_EXPORT] = {"export", "DIR",
                    "write the signed pieces into a new folder, to check with openssl"},
    [OPT_EXEC] = {"exec", "COMMAND",
                  "run this for each item, with the item as JSON on its standard input"},
    [OPT_ONCE] = {"once", NULL, "look once and end"},
    [OPT_EVERY] = {"every", "SECONDS", "how long to wait between two looks (600)"},
    [OPT_OUTBOX] = {"outbox", NULL,
                    "keep the signed bytes in the profile until the broker has answered"},
    [OPT_LISTEN] = {"listen", "PATH", "the UNIX socket to make"},
    [OPT_RECEIPT] = {"receipt", NULL,
                     "wait for the receipt too, as long as --timeout says"},
    [OPT_POLICY] =
        {"policy", "FILE",
         "whose checkpoints of the broker's log are believed (C2SP tlog-policy)"},
    [OPT_REFERRAL] = {"referral", "FILE.ref", "is the receipt about these signed bytes?"},
};

const uint64_t OPTIONS_OF_ALL = BIT(OPT_PROFILE) | BIT(OPT_BROKER) | BIT(OPT_OFFICER) |
                                BIT(OPT_PURPOSE) | BIT(OPT_BASIS) | BIT(OPT_TIMEOUT) |
                                BIT(OPT_JSON) | BIT(OPT_HELP) | BIT(OPT_VERSION) |
                                BIT(OPT_LIST_COMMANDS) | BIT(OPT_LIST_OPTIONS);

const char *options_name(enum option o)
{
    return OPTIONS[o].name;
}

void options_help(uint64_t set)
{
    for (unsigned o = 0; o < OPT__COUNT; o++) {
        char left[64];

        if ((set & BIT(o)) == 0)
            continue;
        snprintf(left, sizeof left, "--%s%s%s", OPTIONS[o].name,
                 OPTIONS[o].value != NULL ? " " : "",
                 OPTIONS[o].value != NULL ? OPTIONS[o].value : "");
        printf("  %-26s %s\n", left, OPTIONS[o].help);
    }
}

void options_list(uint64_t set)
{
    for (unsigned o = 0; o < OPT__COUNT; o++)
        if ((set & BIT(o)) != 0)
            printf("--%s%s%s\n", OPTIONS[o].name, OPTIONS[o].value != NULL ? " " : "",
                   OPTIONS[o].value != NULL ? OPTIONS[o].value : "");
}

bool options_number(const char *text, uint32_t low, uint32_t high, uint32_t *out)
{
    unsigned long long v;

    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
        return false;
    errno = 0;
    v = strtoull(text, NULL, 10);
    if (errno != 0 || v < low || v > high)
        return false;
    *out = (uint32_t)v;
    return true;
}

static enum liaison_code unknown(const char *word, size_t len)
{
    const char *names[OPT__COUNT];
    char own[48], hint[96];

    for (unsigned o = 0; o < OPT__COUNT; o++)
        names[o] = OPTIONS[o].name;
    snprintf(own, sizeof own, "%.*s", (int)(len < 47 ? len : 47), word);
    cli_fail(LIAISON_USAGE, "there is no option --%s%s", own,
             json_near(own, names, OPT__COUNT, hint, sizeof hint));
    return LIAISON_USAGE;
}

/* Takes "name" or "name=value"; `next` is the word behind it or NULL. *used tells whether that was taken too. */
static enum liaison_code take(struct cli *c, const char *word, const char *next,
                              uint64_t allowed, bool *used)
{
    size_t len = strcspn(word, "=");
    const char *own = word[len] == '=' ? word + len + 1 : NULL;
    unsigned o = 0;

    while (o < OPT__COUNT &&
           ((BIT(o) & allowed) == 0 || strncmp(OPTIONS[o].name, word, len) != 0 ||
            OPTIONS[o].name[len] != '\0'))
        o++;
    if (o == OPT__COUNT)
        return unknown(word, len);
    if (c->opt[o] != NULL) {
        cli_fail(LIAISON_USAGE, "--%s is given twice", OPTIONS[o].name);
        return LIAISON_USAGE;
    }
    *used = OPTIONS[o].value != NULL && own == NULL;
    if (OPTIONS[o].value == NULL && own != NULL) {
        cli_fail(LIAISON_USAGE, "--%s takes no value", OPTIONS[o].name);
        return LIAISON_USAGE;
    }
    c->opt[o] = OPTIONS[o].value == NULL ? "" : own != NULL ? own : next;
    if (c->opt[o] == NULL || (OPTIONS[o].value != NULL && c->opt[o][0] == '\0')) {
        cli_fail(LIAISON_USAGE, "--%s wants a value: --%s %s", OPTIONS[o].name,
                 OPTIONS[o].name, OPTIONS[o].value);
        return LIAISON_USAGE;
    }
    return LIAISON_OK;
}

enum liaison_code options_read(struct cli *c, int *argc, char **argv, uint64_t allowed)
{
    bool only_arguments = false;
    int n = 0;

    for (int i = 0; i < *argc; i++) {
        const char *word = strcmp(argv[i], "-h") == 0 ? "--help" : argv[i];
        bool used = false;

        if (only_arguments || word[0] != '-' || word[1] == '\0') {
            argv[n++] = argv[i];
        } else if (strcmp(word, "--") == 0) {
            only_arguments = true;
        } else if (strncmp(word, "--", 2) != 0) {
            cli_fail(LIAISON_USAGE,
                     "there is no option %s; options are words, such as --json", word);
            return LIAISON_USAGE;
        } else {
            enum liaison_code code =
                take(c, word + 2, i + 1 < *argc ? argv[i + 1] : NULL, allowed, &used);

            if (code != LIAISON_OK)
                return code;
            i += used;
        }
    }
    *argc = n;
    return LIAISON_OK;
}
