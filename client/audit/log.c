/* log: page through the ledger. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/audit.h"
#include "proto/id.h"
#include "proto/valid.h"

/* Nanoseconds of a time or a day; of a day its beginning, or its end where `end` says so. */
static bool read_time(const char *text, bool end, uint64_t *ns)
{
    uint64_t seconds;
    uint32_t rest = 0;

    if (json_date_parse(text, &seconds)) {
        seconds += end ? 24 * 3600 - 1 : 0;
        rest = end ? 999999999 : 0;
    } else if (!json_time_parse(text, 9, &seconds, &rest)) {
        return false;
    }
    if (seconds > UINT64_MAX / 1000000000 - 1)
        return false;
    *ns = seconds * 1000000000 + rest;
    return true;
}

static enum liaison_code set_time(struct liaison_query *q, const char *key,
                                  const char *text, bool end)
{
    char number[24];
    uint64_t ns;

    if (text == NULL)
        return LIAISON_OK;
    if (!read_time(text, end, &ns))
        return LIAISON_FIELD; /* log_usage() said so before */
    snprintf(number, sizeof number, "%" PRIu64, ns);
    return liaison_query_set(q, key, number);
}

static bool good_number(const char *text, uint64_t *out)
{
    if (text[0] == '\0' || strlen(text) > 18 || text[strspn(text, "0123456789")] != '\0')
        return false;
    *out = strtoull(text, NULL, 10);
    return *out > 0;
}

/* The words of Event, for a hint. */
static int no_event(const char *word)
{
    const ProtobufCEnumDescriptor *type = &liaison__v1__event__descriptor;
    char words[64][32];
    const char *names[64];
    char hint[96];
    size_t n = 0;

    for (unsigned i = 0; i < type->n_values && n < 64; i++)
        if (type->values[i].value != 0)
            names[n] = json_word(type, type->values[i].value, words[n], sizeof words[n]),
            n++;
    return audit_fail(LIAISON_USAGE, "there is no event '%s'%s", word,
                      json_near(word, names, n, hint, sizeof hint));
}

/* Checks the options' forms. Returns 0, or the exit status. */
static int check_options(const struct audit *a, uint64_t *limit)
{
    const char *const *opt = a->opt;
    uint8_t id[ID_BYTES];
    uint64_t from = 0, until = UINT64_MAX;
    int event;

    if (opt[AUDIT_OPT_LIMIT] != NULL && !good_number(opt[AUDIT_OPT_LIMIT], limit))
        return audit_fail(LIAISON_USAGE, "--limit wants a number above 0");
    if (opt[AUDIT_OPT_REFERRAL] != NULL && !id_parse(opt[AUDIT_OPT_REFERRAL], id))
        return audit_fail(LIAISON_USAGE, "--referral wants a whole id, 36 characters");
    if (opt[AUDIT_OPT_EVENT] != NULL &&
        !json_number(&liaison__v1__event__descriptor, opt[AUDIT_OPT_EVENT], &event))
        return no_event(opt[AUDIT_OPT_EVENT]);
    if ((opt[AUDIT_OPT_FROM] != NULL && !read_time(opt[AUDIT_OPT_FROM], false, &from)) ||
        (opt[AUDIT_OPT_UNTIL] != NULL && !read_time(opt[AUDIT_OPT_UNTIL], true, &until)))
        return audit_fail(LIAISON_USAGE,
                          "--from and --until want 2026-11-23 or 2026-11-23T08:00:00Z");
    if (from > until)
        return audit_fail(LIAISON_USAGE, "--from is later than --until");
    return 0;
}

static enum liaison_code make_query(struct audit *a, struct liaison_query **out)
{
    static const struct {
        enum audit_option option;
        const char *key;
    } ROWS[] = {{AUDIT_OPT_AGENCY, "agency"},
                {AUDIT_OPT_REFERRAL, "referral"},
                {AUDIT_OPT_EVENT, "event"}};
    struct liaison_query *q = NULL;
    enum liaison_code code = liaison_query_new(a->lib, "entries", &q);

    for (size_t i = 0; code == LIAISON_OK && i < sizeof ROWS / sizeof *ROWS; i++)
        if (a->opt[ROWS[i].option] != NULL)
            code = liaison_query_set(q, ROWS[i].key, a->opt[ROWS[i].option]);
    if (code == LIAISON_OK)
        code = set_time(q, "from_ns", a->opt[AUDIT_OPT_FROM], false);
    if (code == LIAISON_OK)
        code = set_time(q, "until_ns", a->opt[AUDIT_OPT_UNTIL], true);
    if (code == LIAISON_OK)
        *out = q;
    else
        liaison_query_free(q);
    return code;
}

/* How a run went so far. */
struct progress {
    uint64_t limit, shown, last_seq, damaged;
    int status;
};

static void show(struct audit *a, struct arena *page, struct progress *p,
                 ProtobufCBinaryData bytes)
{
    const void *m = NULL;

    if (valid_decode(&liaison__v1__ledger_entry__descriptor, slice(bytes.data, bytes.len),
                     page, &m) != LIAISON_OK) {
        p->damaged++;
        audit_fail(LIAISON_DAMAGED,
                   "the entry behind %" PRIu64
                   " is damaged: %zu bytes that are no ledger entry",
                   p->last_seq, bytes.len);
        return;
    }
    const Liaison__V1__LedgerEntry *e = m;

    p->last_seq = e->seq;
    p->shown++;
    p->status = audit_entry(e, a->opt[AUDIT_OPT_JSON] != NULL);
}

static enum liaison_code show_page(struct audit *a, struct progress *p,
                                   const struct liaison_answer *answer)
{
    size_t len;
    const uint8_t *bytes = liaison_answer_frame(answer, &len);
    struct arena *page = arena_new();
    const void *m = NULL;
    enum liaison_code code = page == NULL ? LIAISON_MEMORY : LIAISON_OK;

    if (code == LIAISON_OK)
        code = valid_decode(&liaison__v1__frame__descriptor, slice(bytes, len), page, &m);
    const Liaison__V1__Frame *f = m;

    if (code == LIAISON_OK && f->body_case != LIAISON__V1__FRAME__BODY_ENTRIES_PAGE)
        code = LIAISON_MALFORMED;
    for (size_t i = 0; code == LIAISON_OK && i < f->entries_page->n_entries; i++)
        if (p->status == 0 && p->shown < p->limit)
            show(a, page, p, f->entries_page->entries[i]);
    arena_free(page);
    return code;
}

int audit_log(struct audit *a)
{
    struct progress p = {.limit = UINT64_MAX};
    struct liaison_query *q = NULL;
    int status = check_options(a, &p.limit);

    if (status != 0 || !audit_open(a, &status))
        return status;
    enum liaison_code code = make_query(a, &q);

    while (code == LIAISON_OK && p.status == 0 && p.shown < p.limit &&
           liaison_query_more(q)) {
        struct liaison_answer *answer = NULL;

        code = liaison_query_next(q, &answer);
        if (code == LIAISON_OK)
            code = show_page(a, &p, answer);
        liaison_answer_free(answer);
    }
    liaison_query_free(q);
    if (code != LIAISON_OK)
        return audit_lib_fail(a, code);
    if (p.damaged > 0)
        return audit_fail(LIAISON_MALFORMED,
                          "%" PRIu64
                          " damaged entries; tell the operator, and keep this output",
                          p.damaged);
    if (p.shown == 0 && a->opt[AUDIT_OPT_JSON] == NULL)
        fputs("no entry is like that\n", stderr);
    return p.status;
}
