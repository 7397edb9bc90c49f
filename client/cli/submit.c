/* check, submit */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/cli.h"

static uint32_t flags(const struct cli *c)
{
    return c->opt[OPT_STRIP] != NULL ? LIAISON_STRIP : 0;
}

static bool is_saved(const char *path)
{
    size_t n = strlen(path);

    return n > 4 && strcmp(path + n - 4, ".ref") == 0;
}

/* ---- check */

static void line(const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    printf("  %-12s", name);
    print_safe(text, NULL);
    putchar('\n');
}

static void print_obligations(struct cli *c, const Liaison__V1__Obligations *o)
{
    struct obligation rows[OBLIGATIONS];

    if (o == NULL)
        return;
    cli_obligations(c, o, rows);
    for (size_t i = 0; i < OBLIGATIONS; i++)
        line(rows[i].name, rows[i].text);
}

static int say_decision(struct cli *c, enum liaison_code code,
                        const struct liaison_answer *a, const Liaison__V1__Decision *d)
{
    if (c->opt[OPT_JSON] != NULL) {
        json_t *o = NULL;

        if (json_print(&d->base, &o) != LIAISON_OK)
            return cli_no_memory();
        json_object_set_new(o, "allowed", json_boolean(code == LIAISON_OK));
        int status = print_json(o);

        return status != 0 ? status : err_exit(code);
    }
    if (code == LIAISON_OK) {
        puts("allowed");
    } else {
        fputs("refused: ", stdout);
        print_safe(liaison_answer_text(a), NULL);
        printf(" (%s)\n", err_name(code));
    }
    line("sections", cli_names(c, d->granted, d->n_granted));
    line(code == LIAISON_OK ? "dropped" : "refused",
         cli_names(c, d->refused, d->n_refused));
    if (code == LIAISON_OK)
        print_obligations(c, d->obligations);
    answer_rules(a);
    return err_exit(code);
}

/* Makes the referral of a file: sealed and signed now, or as it was saved. */
static bool from_file(struct cli *c, const char *path, struct liaison_referral **out,
                      int *status)
{
    struct slice bytes = {0};

    if (!is_saved(path))
        return files_referral(c, path, out, status);
    if (!files_read(c, path, 16 << 20, &bytes, status))
        return false;
    enum liaison_code code = liaison_referral_from_bytes(c->lib, bytes.p, bytes.n, out);

    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s: %s", path, liaison_errmsg(c->lib));
    return code == LIAISON_OK;
}

int cmd_check(struct cli *c, int argc, char **argv)
{
    struct liaison_referral *r = NULL;
    struct liaison_answer *a = NULL;
    int status;

    (void)argc;
    if (!cli_open(c, &status) || !from_file(c, argv[0], &r, &status))
        return status;
    enum liaison_code code = is_saved(argv[0]) ? LIAISON_OK : liaison_seal(c->lib, &r, 1);

    if (code == LIAISON_OK)
        code = liaison_check(c->lib, r, flags(c), &a);
    const Liaison__V1__Frame *f =
        a != NULL && strcmp(liaison_answer_kind(a), "decision") == 0 ? cli_frame(c, a)
                                                                     : NULL;

    if (f != NULL && f->body_case == LIAISON__V1__FRAME__BODY_DECISION)
        status = say_decision(c, code, a, f->decision);
    else
        status = cli_lib_fail(c, code != LIAISON_OK ? code : LIAISON_MALFORMED);
    liaison_answer_free(a);
    liaison_referral_free(r);
    return status;
}

/* ---- submit */

/* Seals those of r[0..n-1] that were not saved sealed, as one burst. */
static enum liaison_code seal_burst(struct cli *c, struct liaison_referral **r,
                                    char **paths, size_t n)
{
    struct liaison_referral **fresh = calloc(n, sizeof *fresh);
    enum liaison_code code = LIAISON_OK;
    size_t count = 0;

    if (fresh == NULL)
        return LIAISON_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (!is_saved(paths[i]))
            fresh[count++] = r[i];
    if (count > 0)
        code = liaison_seal(c->lib, fresh, count);
    free(fresh);
    return code;
}

/* Kept before anything is sent: whatever happens then, the same bytes can be sent again. */
static bool save(struct cli *c, const struct liaison_referral *r, int *status)
{
    const uint8_t *bytes;
    size_t len;
    enum liaison_code code = liaison_referral_bytes(r, &bytes, &len);

    if (code == LIAISON_OK)
        return files_write_new(c->opt[OPT_SAVE], slice(bytes, len), status);
    *status = cli_lib_fail(c, code);
    return false;
}

/* Hands them in one after the other; goes on after a refusal. Returns the first status that is not 0. */
static int submit_all(struct cli *c, struct liaison_referral **r, char **paths, size_t n)
{
    int first = 0;

    for (size_t i = 0; i < n; i++) {
        struct liaison_answer *a = NULL;
        enum liaison_code code = liaison_submit(c->lib, r[i], flags(c), &a);
        int status = cli_say_answer(c, code, a, "submit", liaison_referral_id(r[i]),
                                    json_pack("{ss}", "file", paths[i]));

        first = first != 0 ? first : status;
    }
    return first;
}

/* On disk first: from here on neither we nor the broker need to live. */
static int submit_through_outbox(struct cli *c, struct liaison_referral **r, size_t n)
{
    int status;

    if (!outbox_keep(c, r, n, c->opt[OPT_STRIP] != NULL, &status))
        return status;
    return outbox_send(c, liaison_referral_id(r[0]));
}

int cmd_submit(struct cli *c, int argc, char **argv)
{
    size_t n = (size_t)argc, ready = 0;
    int status;

    if (c->opt[OPT_SAVE] != NULL &&
        (n != 1 || !is_saved(c->opt[OPT_SAVE]) || is_saved(argv[0])))
        return cli_fail(LIAISON_USAGE, "--save goes with one FILE that is not saved yet, "
                                       "and names a file ending in .ref");
    if (!cli_open(c, &status))
        return status;
    struct liaison_referral **r = calloc(n, sizeof *r);

    if (r == NULL)
        return cli_no_memory();
    while (ready < n && from_file(c, argv[ready], &r[ready], &status))
        ready++;
    if (ready < n)
        goto out;
    enum liaison_code code = seal_burst(c, r, argv, n);

    if (code != LIAISON_OK) {
        status = cli_lib_fail(c, code);
        if (c->opt[OPT_OUTBOX] != NULL && err_retry(code) != RETRY_NEVER)
            fputs("nothing was kept: without a recipient's certificate nothing can be "
                  "sealed to it; once known they are kept in the profile\n",
                  stderr);
    } else if (c->opt[OPT_SAVE] == NULL || save(c, r[0], &status))
        status = c->opt[OPT_OUTBOX] != NULL ? submit_through_outbox(c, r, n)
                                            : submit_all(c, r, argv, n);
out:
    for (size_t i = 0; i < ready; i++)
        liaison_referral_free(r[i]);
    free(r);
    return status;
}
