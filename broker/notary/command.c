#include "broker/notary/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "proto/err.h"

static enum liaison_code failed(enum liaison_code code, const char *why)
{
    fprintf(stderr, "liaisond: %s\n", why);
    return code;
}

/* ------------------------------------------------------------ show */

static void print_status(const struct notary_status *s)
{
    char key[NOTE_KEY_TEXT_MAX];

    note_key_print(&s->key, key);
    printf("origin %s\nkey    %s\n", s->key.name, key);
    if (!s->has_state) {
        puts("signed unknown: the state file is gone; see: liaisond notary adopt");
        return;
    }
    printf("signed %" PRIu64 "\nroot   ", s->size);
    for (size_t i = 0; i < sizeof s->root; i++)
        printf("%02x", s->root[i]);
    putchar('\n');
}

static enum liaison_code show(const struct notary_place *p, bool policy)
{
    struct notary_status s;
    char why[512], key[NOTE_KEY_TEXT_MAX];
    enum liaison_code code = notary_look(&p->settings, &s, why, sizeof why);

    if (code != LIAISON_OK)
        return failed(code, why);
    note_key_print(&s.key, key);
    if (policy)
        printf("log %s\n", key);
    else
        print_status(&s);
    return LIAISON_OK;
}

static enum liaison_code cmd_show(const struct notary_place *p, const char *word)
{
    if (word != NULL && strcmp(word, "--policy") != 0)
        return LIAISON_USAGE;
    return show(p, word != NULL);
}

/* ------------------------------------------------------------ adopt, rotate */

/* The note in a file; "-": standard input. */
static enum liaison_code read_note(const char *path, uint8_t *note, size_t *n)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

    *n = f == NULL ? 0 : fread(note, 1, NOTE_BYTES_MAX, f);
    bool ok = f != NULL && ferror(f) == 0;

    if (!ok)
        perror(path);
    if (f != NULL && f != stdin)
        fclose(f);
    return ok ? LIAISON_OK : LIAISON_FILE;
}

static enum liaison_code adopt(const struct notary_place *p, struct slice note)
{
    struct notary_status s;
    struct note_policy *policy = NULL;
    char why[1024];
    enum liaison_code code = notary_look(&p->settings, &s, why, sizeof why);

    if (code == LIAISON_OK)
        code = notary_policy(p->policy, &s.key, &policy, why, sizeof why);
    if (code == LIAISON_OK)
        code = notary_adopt(&p->settings, policy, note, (uint64_t)time(NULL), why,
                            sizeof why);
    note_policy_free(policy);
    return code == LIAISON_OK ? show(p, false) : failed(code, why);
}

static enum liaison_code cmd_adopt(const struct notary_place *p, const char *word)
{
    size_t n;

    if (word == NULL)
        return LIAISON_USAGE;
    if (p->policy == NULL)
        return failed(LIAISON_CONFIG, "the settings name no `witnesses`: only what "
                                      "others have seen can be adopted");
    uint8_t *note = malloc(NOTE_BYTES_MAX);
    enum liaison_code code = note == NULL ? LIAISON_MEMORY : read_note(word, note, &n);

    if (code == LIAISON_OK)
        code = adopt(p, slice(note, n));
    free(note);
    return code;
}

static enum liaison_code cmd_rotate(const struct notary_place *p, const char *word)
{
    char why[1024];
    size_t n = 0;
    uint8_t *rotation;

    if (word != NULL)
        return LIAISON_USAGE;
    rotation = malloc(NOTE_BYTES_MAX);
    if (rotation == NULL)
        return LIAISON_MEMORY;
    enum liaison_code code = notary_rotate(&p->settings, rotation, &n, why, sizeof why);

    if (code == LIAISON_OK && fwrite(rotation, 1, n, stdout) != n)
        code = LIAISON_IO;
    free(rotation);
    return code == LIAISON_OK || code == LIAISON_IO ? code : failed(code, why);
}

/* ------------------------------------------------------------ the table */

static const struct command {
    const char *name, *args, *help, *example;
    enum liaison_code (*run)(const struct notary_place *p, const char *word);
} COMMANDS[] = {
    {"show", "[--policy]",
     "the log's name and public key, and what was signed last; --policy: the line for "
     "members' policies",
     "liaisond notary show --policy >>log.policy", cmd_show},
    {"adopt", "NOTE",
     "make a lost state again, from the log's last checkpoint with its witnesses' "
     "cosignatures (a file; - is standard input); while no broker runs",
     "liaisond notary adopt checkpoint.note", cmd_adopt},
    {"rotate", "",
     "draw a new key for what the log will hold from now on and print the note that "
     "both keys have signed; while no broker runs",
     "liaisond notary rotate >>log.rotations", cmd_rotate},
};

static int usage(FILE *to)
{
    fputs("usage: liaisond notary COMMAND [ARGUMENT] [-c FILE]\n\ncommands:\n", to);
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        fprintf(to, "  %-6s %-10s %s\n            example: %s\n", COMMANDS[i].name,
                COMMANDS[i].args, COMMANDS[i].help, COMMANDS[i].example);
    return to == stdout ? EX_OK : EX_USAGE;
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    return NULL;
}

int notary_command(int argc, char *const *argv, const char *usual, notary_load *load,
                   void *arg)
{
    const char *path = usual, *words[2] = {NULL};
    size_t n = 0;
    struct notary_place place;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return usage(stdout);
        if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (n < 2)
            words[n++] = argv[i];
        else
            return usage(stderr);
    }
    const struct command *c = find(words[0]);

    if (c == NULL) {
        if (words[0] != NULL)
            fprintf(stderr, "liaisond: there is no command \"notary %s\"\n", words[0]);
        return usage(stderr);
    }
    enum liaison_code code = load(path, arg, &place);

    if (code == LIAISON_OK)
        code = c->run(&place, words[1]);
    return code == LIAISON_USAGE ? usage(stderr) : err_exit(code);
}
