#include "broker/operate.h"

#include <inttypes.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/ops/log.h"
#include "proto/err.h"

/* ------------------------------------------------------------ erase */

static bool hex_digit(char c, uint8_t *out)
{
    const char *digits = "0123456789abcdef", *at = c == '\0' ? NULL : strchr(digits, c);

    if (at != NULL)
        *out = (uint8_t)(at - digits);
    return at != NULL;
}

/* FROM/ID, or the beginning of the id. */
static bool read_one(struct arena *a, char *word, struct erase_one *one)
{
    char *slash = strrchr(word, '/');
    uint8_t digit;

    if (slash == NULL)
        return false;
    *slash = '\0';
    if (!id_name(word))
        return false;
    one->from = (const char *)arena_copy(a, slice(word, strlen(word) + 1));
    for (const char *p = slash + 1; *p != '\0'; p++) {
        if (*p == '-')
            continue;
        if (!hex_digit(*p, &digit) || one->digits == 2 * ID_BYTES)
            return false;
        one->id[one->digits / 2] |= (uint8_t)(one->digits % 2 == 0 ? digit << 4 : digit);
        one->digits++;
    }
    return one->from != NULL && one->digits >= OPERATE_ERASE_MIN_DIGITS;
}

static size_t count_words(const char *p)
{
    size_t n = 1;

    for (; *p != '\0'; p++)
        n += *p == ' ';
    return n;
}

struct erase *operate_read_erase(struct arena *a, char *words, const char **why)
{
    struct erase *e = arena_zero(a, sizeof *e);
    char *basis = strsep(&words, " "), *officer = strsep(&words, " "), *word;

    *why = "erase: a basis (a word), an officer's number and referrals are wanted";
    if (e == NULL || officer == NULL || words == NULL || !id_word(basis) ||
        !id_officer(officer))
        return NULL;
    e->basis = (const char *)arena_copy(a, slice(basis, strlen(basis) + 1));
    e->officer = (const char *)arena_copy(a, slice(officer, strlen(officer) + 1));
    e->list = arena_zero(a, count_words(words) * sizeof *e->list);
    if (e->basis == NULL || e->officer == NULL || e->list == NULL)
        return NULL;
    *why = "erase: a referral is FROM/ID: its sender's name, and its id or at least the "
           "first 8 digits of it";
    while ((word = strsep(&words, " ")) != NULL)
        if (!read_one(a, word, &e->list[e->n++]))
            return NULL;
    return e;
}

static void run_erase(void *arg, struct control *control, uint64_t ticket, char *words)
{
    struct operate *o = arg;
    struct call *c = call_new(CALL_ERASE, 0);
    const char *why = NULL;

    if (c != NULL) {
        c->frame_id = ticket;
        c->erase = operate_read_erase(c->arena, words, &why);
    }
    if (c == NULL || c->erase == NULL)
        control_end(control, ticket, c == NULL ? LIAISON_MEMORY : LIAISON_USAGE, why);
    else if (call_send(o->core, c) == LIAISON_OK)
        return; /* operate_answer() goes on */
    else
        control_end(control, ticket, LIAISON_CLOSED, "the broker is ending");
    call_free(c);
}

static void say_erased(struct control *control, const struct call *c)
{
    for (size_t i = 0; c->code == LIAISON_OK && i < c->erase->n; i++) {
        const struct erase_one *one = &c->erase->list[i];
        char id[ID_TEXT];

        id_text(one->id, id);
        control_say(control, c->frame_id, "erased %" PRIu64 " %s %s %s", one->seq,
                    one->from, id, one->before ? "before" : "now");
    }
    control_end(control, c->frame_id, c->code, c->why);
}

/* ------------------------------------------------------------ clock */

static void run_clock(void *arg, struct control *control, uint64_t ticket, char *words)
{
    struct operate *o = arg;
    struct call *c = NULL;

    if (strcmp(words, "confirm") != 0) {
        control_end(control, ticket, LIAISON_USAGE, "clock: \"clock confirm\" is wanted");
        return;
    }
    c = call_new(CALL_CLOCK, 0);
    if (c != NULL && call_send(o->core, c) == LIAISON_OK) {
        control_end(control, ticket, LIAISON_OK, NULL);
        return;
    }
    call_free(c);
    control_end(control, ticket, LIAISON_CLOSED, "the broker is ending");
}

/* ------------------------------------------------------------ reload */

static void run_reload(void *arg, struct control *control, uint64_t ticket, char *words)
{
    struct operate *o = arg;
    bool wait = strcmp(words, "wait") == 0;

    if (words[0] != '\0' && !wait)
        control_end(control, ticket, LIAISON_USAGE,
                    "reload: \"reload\" or \"reload wait\" is wanted");
    else
        reload_ask(o->broker, ticket, wait);
}

/* ------------------------------------------------------------ all of them */

static const struct control_command COMMANDS[] = {
    {"erase", run_erase},
    {"clock", run_clock},
    {"reload", run_reload},
};

enum liaison_code operate_open(struct operate *o, struct broker *b, char *why,
                               size_t why_len)
{
    o->broker = b;
    return control_open(b->conf.control, COMMANDS, sizeof COMMANDS / sizeof *COMMANDS, o,
                        &o->control, why, why_len);
}

void operate_answer(struct operate *o, struct call *c)
{
    if (o->control != NULL && c->erase != NULL)
        say_erased(o->control, c);
    call_free(c);
}
