/* liaisond reload: asks the running broker, by the operators' socket, to read everything again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "broker/command.h"
#include "broker/conf/conf.h"
#include "broker/ops/control.h"
#include "proto/err.h"

struct words {
    const char *settings, *control;
    bool wait, json;
};

static int usage(void)
{
    fprintf(stderr,
            "usage: liaisond reload [--wait] [--json] [-c FILE | --control SOCKET]\n"
            "example: liaisond reload --wait\n");
    return EX_USAGE;
}

static bool parse(int argc, char *const *argv, struct words *w)
{
    for (int i = 0; i < argc; i++) {
        const char **value = strcmp(argv[i], "-c") == 0          ? &w->settings
                             : strcmp(argv[i], "--control") == 0 ? &w->control
                                                                 : NULL;

        if (strcmp(argv[i], "--wait") == 0)
            w->wait = true;
        else if (strcmp(argv[i], "--json") == 0)
            w->json = true;
        else if (value == NULL || *value != NULL || i + 1 == argc)
            return false;
        else
            *value = argv[++i];
    }
    return w->settings == NULL || w->control == NULL;
}

/* Where to ask. A file that is wrong is the broker's to judge, and to say so everywhere, as long as it names the socket. */
static enum liaison_code find_socket(const struct words *w, char **out)
{
    const char *settings = w->settings != NULL ? w->settings : DEFAULT_SETTINGS;
    struct conf c = {0};

    if (w->control != NULL)
        return (*out = strdup(w->control)) == NULL ? LIAISON_MEMORY : LIAISON_OK;
    if (conf_find_control(settings, out) == LIAISON_OK)
        return LIAISON_OK;
    enum liaison_code code = conf_load(settings, &c, stderr);

    if (code == LIAISON_OK) {
        fprintf(stderr,
                "liaisond: %s: no socket for operators; add a line: control "
                "\"/run/liaison/control\"\n",
                settings);
        code = LIAISON_CONFIG;
    }
    conf_free(&c);
    return code;
}

/* `text` as a JSON string; it is of our own making and holds no control characters but what a file's line held. */
static void put_string(const char *text, size_t n)
{
    putchar('"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

/* A line of the answer. */
struct line {
    const char *name, *rest;
    size_t name_len, rest_len;
};

static bool next_line(const char **at, struct line *l)
{
    const char *end = strchr(*at, '\n');

    if (end == NULL)
        return false;
    l->name = *at;
    l->name_len = strcspn(*at, " \n");
    l->rest = l->name + l->name_len + (l->name[l->name_len] == ' ');
    l->rest_len = (size_t)(end - l->rest);
    *at = end + 1;
    return true;
}

static bool is(const struct line *l, const char *name)
{
    return l->name_len == strlen(name) && strncmp(l->name, name, l->name_len) == 0;
}

/* {"rules_before":"..","rules":"..","crl_ends":N,"restart":["listen"],"cut":N} */
static void print_json(const char *answer)
{
    struct line l;
    const char *comma = "";

    putchar('{');
    for (const char *at = answer; next_line(&at, &l);) {
        if (is(&l, "rules") && l.rest_len == 129)
            printf("\"rules_before\":\"%.64s\",\"rules\":\"%.64s\"", l.rest, l.rest + 65);
        else if (is(&l, "crl-ends"))
            printf(",\"crl_ends\":%.*s", (int)l.rest_len, l.rest);
        else if (is(&l, "cut"))
            printf(",\"sessions_cut\":%.*s", (int)l.rest_len, l.rest);
    }
    printf(",\"restart\":[");
    for (const char *at = answer; next_line(&at, &l);) {
        if (!is(&l, "restart"))
            continue;
        fputs(comma, stdout);
        put_string(l.rest, l.rest_len);
        comma = ",";
    }
    puts("]}");
}

static void print_text(const char *answer)
{
    struct line l;

    for (const char *at = answer; next_line(&at, &l);) {
        int n = (int)l.rest_len;

        if (is(&l, "rules") && l.rest_len == 129)
            printf("rules before  %.64s\nrules now     %.64s\n", l.rest, l.rest + 65);
        else if (is(&l, "crl-ends"))
            printf("crl ends      %.*s\n", n, l.rest);
        else if (is(&l, "cut"))
            printf("sessions cut  %.*s\n", n, l.rest);
        else if (is(&l, "restart"))
            printf("needs a restart to change: %.*s\n", n, l.rest);
    }
}

static enum liaison_code ask(const struct words *w, const char *control)
{
    char why[1024] = "", *answer = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&answer, &n);

    if (out == NULL)
        return LIAISON_MEMORY;
    enum liaison_code code = control_ask(
        control, slice_text(w->wait ? "reload wait" : "reload"), out, why, sizeof why);

    if (fclose(out) != 0)
        code = LIAISON_MEMORY;
    else if (code != LIAISON_OK)
        fprintf(stderr, "%sliaisond: %s\n", answer, why);
    else if (w->json)
        print_json(answer);
    else
        print_text(answer);
    free(answer);
    return code;
}

int reload_command(int argc, char *const *argv)
{
    struct words w = {0};
    char *control = NULL;

    if (!parse(argc, argv, &w))
        return usage();
    enum liaison_code code = find_socket(&w, &control);

    if (code == LIAISON_OK)
        code = ask(&w, control);
    free(control);
    return err_exit(code);
}
