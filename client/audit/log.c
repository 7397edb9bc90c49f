/* log: page through the ledger. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/audit.h"
#include "proto/valid.h"

static enum liaison_code set_time(struct liaison_query *q, const char *key,
                                  const char *text, bool end)
{
    char number[24];
    uint64_t ns;

    if (text == NULL)
        return LIAISON_OK;
    if (!audit_time(text, end, &ns))
        return LIAISON_FIELD; /* audit_filter_check() said so before */
    snprintf(number, sizeof number, "%" PRIu64, ns);
    return liaison_query_set(q, key, number);
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
    int status = a->n_args > 0 ? audit_fail(LIAISON_USAGE,
                                            "'%s' is too much; 'liaison-audit "
                                            "--help' shows an example",
                                            a->args[0])
                               : audit_filter_check(a, &p.limit);

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
