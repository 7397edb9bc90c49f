/* Any bytes as a settings file: refused with at least one error and nothing taken, or settings within their bounds
 * that,
 * written again, are the same settings. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/conf/limits.h"
#include "broker/conf/units.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Set once, before the first input: a file in memory, and its path. */
static int file;
static char path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    file = memfd_create("fuzz", MFD_CLOEXEC);
    must(file >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return 0;
}

/* Reads the text as a settings file. Refused: false, and *c is as it was. */
static bool taken(struct slice text, struct conf *c)
{
    FILE *f;
    char *errors = NULL;
    size_t len;
    const struct conf before = *c;

    must(ftruncate(file, 0) == 0 && pwrite(file, text.p, text.n, 0) == (ssize_t)text.n);
    must((f = open_memstream(&errors, &len)) != NULL);
    enum liaison_code code = conf_load(path, c, f);

    must(fclose(f) == 0);
    must((code == LIAISON_OK) ==
         (len == 0)); /* an error is always said, and nothing else is */
    if (code != LIAISON_OK)
        must((code == LIAISON_CONFIG || code == LIAISON_FILE) &&
             memcmp(&before, c, sizeof before) == 0 && errors[len - 1] == '\n');
    free(errors);
    return code == LIAISON_OK;
}

static void is_whole(const struct conf *c)
{
    must(c->n_listen > 0 && c->n_listen <= CONF_LISTEN_MAX && c->gates > 0 &&
         c->gates <= CONF_GATES_MAX && c->rules != NULL);
    must(strncmp(c->store_url, "lmdb:/", 6) == 0 && c->reserve_bytes > 0 &&
         c->reserve_bytes < c->map_bytes);
    const char *const PATHS[] = {c->store_key,  c->certificate, c->key,
                                 c->ca,         c->crl,         c->directory,
                                 c->notary_key, c->notary_state};

    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++)
        must(PATHS[i][0] == '/');
    struct conf_limits limits = c->limits;
    const struct limit *l;

    for (size_t i = 0; (l = limits_at(i)) != NULL; i++)
        must(*limits_field(&limits, l) >= l->least &&
             *limits_field(&limits, l) <= l->most);
    must(limits.ping_ms < limits.idle_ms);
}

/* The settings as a file, with the least rules that there can be. NULL: the name of a file has a quote in it. */
static char *written_again(const struct conf *c)
{
    static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
    char *text = NULL, number[32], reserve[32];
    size_t len;
    struct conf_limits limits = c->limits;
    const struct limit *l;
    FILE *f = open_memstream(&text, &len);

    must(f != NULL);
    for (size_t i = 0; i < c->n_listen; i++)
        fprintf(f, "listen %s port %u\n", c->listen[i].address, c->listen[i].port);
    fprintf(f, "store \"%s\" key \"%s\" map %s reserve %s\n", c->store_url, c->store_key,
            units_show_size(c->map_bytes, number),
            units_show_size(c->reserve_bytes, reserve));
    fprintf(f,
            "certificate \"%s\"\nkey \"%s\"\nca \"%s\"\ncrl \"%s\"\ndirectory \"%s\"\n",
            c->certificate, c->key, c->ca, c->crl, c->directory);
    fprintf(f, "notary key \"%s\" state \"%s\"", c->notary_key, c->notary_state);
    if (c->notary_user != NULL)
        fprintf(f, " user %s", c->notary_user);
    fputc('\n', f);
    if (c->witnesses != NULL)
        fprintf(f, "witnesses \"%s\"\n", c->witnesses);
    if (c->control != NULL)
        fprintf(f, "control \"%s\"\n", c->control);
    if (c->user != NULL)
        fprintf(f, "user %s\n", c->user);
    if (c->metrics != NULL)
        fprintf(f, "metrics \"%s\"\n", c->metrics);
    fprintf(f, "sandbox %s\n", c->sandbox ? "on" : "off");
    fprintf(f, "log %s\ngates %u\n", LEVELS[c->log], c->gates);
    for (size_t i = 0; (l = limits_at(i)) != NULL; i++)
        fprintf(f, "limit %s %s\n", l->name,
                limits_show(l, *limits_field(&limits, l), number));
    fputs("network \"practicies.example\"\nkeep 1y\n", f);
    must(fclose(f) == 0);
    return text;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void are_the_same(const struct conf *a, const struct conf *b)
{
    must(a->n_listen == b->n_listen && a->gates == b->gates && a->log == b->log &&
         a->map_bytes == b->map_bytes && a->reserve_bytes == b->reserve_bytes);
    for (size_t i = 0; i < a->n_listen; i++)
        must(same_text(a->listen[i].address, b->listen[i].address) &&
             a->listen[i].port == b->listen[i].port);
    must(same_text(a->store_url, b->store_url) && same_text(a->store_key, b->store_key) &&
         same_text(a->certificate, b->certificate) && same_text(a->key, b->key) &&
         same_text(a->ca, b->ca) && same_text(a->crl, b->crl) &&
         same_text(a->directory, b->directory) && same_text(a->user, b->user) &&
         same_text(a->notary_key, b->notary_key) &&
         same_text(a->notary_state, b->notary_state) &&
         same_text(a->notary_user, b->notary_user) &&
         same_text(a->witnesses, b->witnesses) && same_text(a->control, b->control) &&
         same_text(a->metrics, b->metrics) && a->sandbox == b->sandbox &&
         memcmp(&a->limits, &b->limits, sizeof a->limits) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf c = {0}, again = {0};

    if (!taken(slice(data, size), &c))
        return 0;
    is_whole(&c);
    char *text = written_again(&c);

    must(taken(slice_text(text), &again));
    are_the_same(&c, &again);
    free(text);
    conf_free(&again);
    conf_free(&c);
    return 0;
}
