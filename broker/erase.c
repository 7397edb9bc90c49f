/* liaisond erase: asks the running broker, by the operators' socket, to erase referrals. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "broker/command.h"
#include "broker/conf/conf.h"
#include "broker/ops/control.h"
#include "proto/err.h"
#include "proto/id.h"

struct request {
    const char *settings, *basis, *officer;
    bool json;
    FILE *line;
    size_t n;
};

static int usage(void)
{
    fprintf(stderr,
            "usage: liaisond erase [-c FILE] --basis WORD --officer NUMBER [--json] "
            "--referral FROM/ID ...\n"
            "FROM is the sender; ID may be its first 8 or more digits. \"--referral -\" "
            "reads them from standard input, one a line.\n"
            "example: liaisond erase --basis law --officer 4711 --referral "
            "fr/lyon/prison/01890a5d-ac96-774b-bcce-b302099a8057\n");
    return EX_USAGE;
}

static void add(struct request *r, const char *referral)
{
    fprintf(r->line, " %s", referral);
    r->n++;
}

static bool add_input(struct request *r)
{
    char line[ID_NAME_MAX + 64];

    while (fgets(line, sizeof line, stdin) != NULL) {
        char *end = strpbrk(line, " \n");

        if (end == NULL || *end == ' ')
            return false; /* too long, or more than a word */
        *end = '\0';
        if (line[0] != '\0')
            add(r, line);
    }
    return ferror(stdin) == 0;
}

static bool take(struct request *r, const char *name, const char *value)
{
    if (strcmp(name, "-c") == 0)
        r->settings = value;
    else if (strcmp(name, "--basis") == 0)
        r->basis = value;
    else if (strcmp(name, "--officer") == 0)
        r->officer = value;
    else if (strcmp(name, "--referral") == 0 && strcmp(value, "-") == 0)
        return add_input(r);
    else if (strcmp(name, "--referral") == 0 && strpbrk(value, " \n") == NULL)
        add(r, value);
    else
        return false;
    return true;
}

static bool parse(int argc, char *const *argv, struct request *r)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            r->json = true;
        else if (i + 1 >= argc || !take(r, argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    return r->n > 0 && r->basis != NULL && r->officer != NULL && id_word(r->basis) &&
           id_officer(r->officer);
}

/* The broker's lines, for people or programs. */
static void print(char *answer, bool json)
{
    for (char *line; (line = strsep(&answer, "\n")) != NULL && *line != '\0';) {
        char *word[5] = {0};

        for (size_t i = 0; i < 5; i++)
            word[i] = strsep(&line, " ");
        if (word[4] == NULL)
            continue;
        bool before = strcmp(word[4], "before") == 0;

        if (json)
            printf("{\"entry\":%s,\"from\":\"%s\",\"id\":\"%s\",\"before\":%s}\n",
                   word[1], word[2], word[3], before ? "true" : "false");
        else
            printf("%s/%s erased under entry %s%s\n", word[2], word[3], word[1],
                   before ? ", before" : "");
    }
}

static enum liaison_code ask(const struct request *r, const char *referrals,
                             const struct conf *c, char *why, size_t why_len)
{
    char *line = NULL, *answer = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&answer, &n);
    int len = asprintf(&line, "erase %s %s%s", r->basis, r->officer, referrals);
    enum liaison_code code = LIAISON_MEMORY;

    snprintf(why, why_len, "%s", err_text(code));
    if (out != NULL && len > 0)
        code = control_ask(c->control, slice(line, (size_t)len), out, why, why_len);
    if (out != NULL && fclose(out) == 0 && code == LIAISON_OK)
        print(answer, r->json);
    if (len > 0)
        free(line);
    free(answer);
    return code;
}

static int run(const struct request *r, const char *referrals)
{
    struct conf c = {0};
    char why[1024];
    enum liaison_code code = conf_load(r->settings, &c, stderr);

    if (code != LIAISON_OK)
        return err_exit(code);
    code = LIAISON_CONFIG;
    if (c.control == NULL)
        snprintf(
            why, sizeof why,
            "%s: no socket for operators; add a line: control \"/run/liaison/control\"",
            r->settings);
    else
        code = ask(r, referrals, &c, why, sizeof why);
    if (code != LIAISON_OK)
        fprintf(stderr, "liaisond: %s\n", why);
    conf_free(&c);
    return err_exit(code);
}

int erase_command(int argc, char *const *argv)
{
    struct request r = {.settings = DEFAULT_SETTINGS};
    char *referrals = NULL;
    size_t n = 0;

    r.line = open_memstream(&referrals, &n);
    if (r.line == NULL)
        return EX_OSERR;
    bool right = parse(argc, argv, &r);

    if (fclose(r.line) != 0)
        return EX_OSERR;
    int status = right ? run(&r, referrals) : usage();

    free(referrals);
    return status;
}
