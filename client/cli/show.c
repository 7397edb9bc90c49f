/* show */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/cli.h"

/* A section as JSON: the object it is, or its text. NULL when memory is out. */
static json_t *content_json(const char *type, const uint8_t *content, size_t len)
{
    json_t *v = strcmp(type, "application/json") == 0
                    ? json_loadb((const char *)content, len,
                                 JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL)
                    : NULL;

    return v != NULL ? v : json_stringn((const char *)content, len);
}

static void print_content(const char *type, const uint8_t *content, size_t len)
{
    json_t *v = content_json(type, content, len);
    char *text =
        json_is_object(v) || json_is_array(v) ? json_dumps(v, JSON_INDENT(2)) : NULL;

    if (text != NULL || json_is_string(v)) {
        fputs("    ", stdout);
        print_safe(text != NULL ? text : json_string_value(v), "    ");
    } else {
        printf("    %zu bytes of ", len);
        print_safe(type, NULL);
    }
    putchar('\n');
    free(text);
    json_decref(v);
}

/* Opens what was sealed to us. `into` collects it, or it is printed when that is NULL. Returns the exit status. */
static int sections(struct cli *c, struct liaison_letter *t, json_t *into)
{
    const char *name, *own = c->profile.agency != NULL ? c->profile.agency : "";
    int status = 0;

    for (size_t i = 0; (name = liaison_letter_section(t, i)) != NULL; i++) {
        const char *type, *reader = liaison_letter_reader(t, i);
        const uint8_t *content;
        size_t len;

        if (strcmp(reader, own) != 0) {
            if (into == NULL)
                printf("  %s: sealed to %s\n", name, reader);
            continue;
        }
        enum liaison_code code =
            liaison_letter_open(c->lib, t, name, &content, &len, &type);

        if (code != LIAISON_OK) {
            status = cli_fail(code, "section %s: %s", name, liaison_errmsg(c->lib));
        } else if (into != NULL) {
            json_object_set_new(into, name, content_json(type, content, len));
        } else {
            printf("  %s:\n", name);
            print_content(type, content, len);
        }
    }
    return status;
}

static void print_action(struct cli *c, const Liaison__V1__Action *a)
{
    printf("\n%s by ", cli_word(c, &liaison__v1__move__descriptor, (int)a->move));
    print_safe(a->agency, NULL);
    printf(", officer %s, %s UTC", a->officer, cli_time(c, a->created_unix_ms));
    if (a->reason[0] != '\0')
        printf(", reason %s", a->reason);
    printf("\n  signature verified: %s\n", a->agency);
}

/* The i-th move of a view. */
static int show_action(struct cli *c, const struct liaison_answer *view, size_t i,
                       json_t *list)
{
    struct liaison_letter *t = NULL;
    json_t *o = NULL, *opened = NULL;
    size_t len;
    enum liaison_code code = liaison_verify(c->lib, view, i, &t);

    if (code != LIAISON_OK)
        return cli_fail(code, "move %zu: signature not verified: %s", i,
                        liaison_errmsg(c->lib));
    const uint8_t *bytes = liaison_letter_bytes(t, &len);
    const Liaison__V1__Action *a =
        cli_decode(c, &liaison__v1__action__descriptor, slice(bytes, len));
    int status = 0;

    if (a == NULL) {
        status = cli_fail(LIAISON_MALFORMED, "move %zu cannot be read", i);
    } else if (list == NULL) {
        print_action(c, a);
        status = sections(c, t, NULL);
    } else if (json_print(&a->base, &o) == LIAISON_OK &&
               (opened = json_object()) != NULL) {
        status = sections(c, t, opened);
        json_object_del(o, "digests");
        json_object_set_new(o, "signature", json_string("verified"));
        json_object_set_new(o, "signed_by", json_string(liaison_letter_signer(t)));
        json_object_set_new(o, "sections", opened);
        json_array_append(list, o);
    }
    json_decref(o);
    liaison_letter_free(t);
    return status;
}

/* Opens the referral's sections and then shows the moves. */
static int show_rest(struct cli *c, const struct liaison_answer *view, json_t *o)
{
    json_t *opened = o != NULL ? json_object() : NULL,
           *moves = o != NULL ? json_array() : NULL;
    struct liaison_letter *t = NULL;
    enum liaison_code code = liaison_verify(c->lib, view, 0, &t);
    int status;

    if (code != LIAISON_OK)
        status = cli_fail(code, "signature not verified, so nothing is opened: %s",
                          liaison_errmsg(c->lib));
    else
        status = sections(c, t, opened);
    liaison_letter_free(t);
    for (size_t i = 1; i < liaison_answer_signed(view); i++) {
        int s = show_action(c, view, i, moves);

        status = status != 0 ? status : s;
    }
    if (o != NULL) {
        json_object_set_new(o, "sections", opened);
        json_object_set_new(o, "actions", moves);
    }
    return status;
}

/* True for a recipient that has not accepted what is revealed on accept. */
static bool waits_for_accept(const struct cli *c, const struct card *card)
{
    const Liaison__V1__Card *k = card->card;

    return c->profile.agency != NULL &&
           strcmp(card->envelope->to, c->profile.agency) == 0 && k->n_granted > 0 &&
           k->referral->n_sections == 0 &&
           (k->state == LIAISON__V1__STATE__STATE_REQUESTED ||
            k->state == LIAISON__V1__STATE__STATE_RECEIVED);
}

static int show_view(struct cli *c, const struct liaison_answer *view)
{
    const Liaison__V1__Frame *f = cli_frame(c, view);
    struct card card;

    if (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_VIEW ||
        !card_read(c, view, 0, f->view->card, &card))
        return err_exit(LIAISON_MALFORMED);
    json_t *o = c->opt[OPT_JSON] != NULL ? card_json(&card) : NULL;

    if (o == NULL)
        card_print(c, &card);
    int status = show_rest(c, view, o);
    int printed = o != NULL ? print_json(o) : 0;

    if (o == NULL && waits_for_accept(c, &card))
        printf("\nThe sections are revealed after: liaison accept %s\n",
               cli_id(c, card.envelope->id));
    if (c->opt[OPT_EXPORT] != NULL && status == 0)
        status = export_view(c, f->view->card->referral, c->opt[OPT_EXPORT]);

    return status != 0 ? status : printed;
}

int cmd_show(struct cli *c, int argc, char **argv)
{
    struct liaison_answer *view = NULL;
    struct target t;
    int status;

    (void)argc;
    if (!cli_open(c, &status) || !cli_reads(c, &status) ||
        !card_find(c, argv[0], false, &t, &status))
        return status;
    enum liaison_code code = liaison_open_referral(c->lib, t.from, t.id, &view);

    if (code == LIAISON_OK)
        status = show_view(c, view);
    else
        status = cli_lib_fail(c, code);
    liaison_answer_free(view);
    return status;
}
