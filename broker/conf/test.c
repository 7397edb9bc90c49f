#include "broker/conf/test.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/conf/conf.h"
#include "proto/err.h"

static int usage(FILE *to)
{
    fputs(
        "usage: liaisond test FILE [--json]\n\n"
        "  Runs every test of a settings or rules file and says how each went; exit 65 "
        "if one fails.\n"
        "  --json  an object per test and line: test, where, passed, questions, failure\n"
        "\nExample: liaisond test rules.conf\n",
        to);
    return to == stdout ? EX_OK : EX_USAGE;
}

int test_command(int argc, char *const *argv)
{
    const char *file = NULL;
    bool json = false;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return usage(stdout);
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (argv[i][0] == '-' || argv[i][0] == '\0' || file != NULL) {
            fprintf(
                stderr,
                "liaisond: test does not know \"%s\"; 'liaisond test --help' shows what "
                "it knows\n",
                argv[i]);
            return EX_USAGE;
        } else
            file = argv[i];
    }
    if (file == NULL) {
        fputs("liaisond: test wants a FILE with rules\n", stderr);
        return EX_USAGE;
    }
    enum liaison_code code = conf_test(file, json, stdout, stderr);

    return code == LIAISON_CONFIG ? EX_DATAERR : err_exit(code);
}
