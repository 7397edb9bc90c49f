/* liaisond clock confirm: tells the running broker, by the operators' socket, that the wall clock is right. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "broker/command.h"
#include "broker/conf/conf.h"
#include "broker/ops/control.h"
#include "proto/err.h"

static enum liaison_code confirm(const char *settings, char *why, size_t why_len)
{
    struct conf c = {0};
    enum liaison_code code = conf_load(settings, &c, stderr);

    if (code != LIAISON_OK)
        return code;
    if (c.control != NULL) {
        code = control_ask(c.control, slice_text("clock confirm"), stdout, why, why_len);
    } else {
        code = LIAISON_CONFIG;
        snprintf(
            why, why_len,
            "%s: no socket for operators; add a line: control \"/run/liaison/control\"",
            settings);
    }
    conf_free(&c);
    return code;
}

int clock_command(int argc, char *const *argv)
{
    const char *settings = DEFAULT_SETTINGS;
    char why[1024] = "";
    bool right = argc >= 1 && strcmp(argv[0], "confirm") == 0;

    if (right && argc == 3 && strcmp(argv[1], "-c") == 0)
        settings = argv[2];
    else
        right = right && argc == 1;
    if (!right) {
        fprintf(stderr, "usage: liaisond clock confirm [-c FILE]\n"
                        "example: liaisond clock confirm\n");
        return EX_USAGE;
    }
    enum liaison_code code = confirm(settings, why, sizeof why);

    if (why[0] != '\0')
        fprintf(stderr, "liaisond: %s\n", why);
    return err_exit(code);
}
