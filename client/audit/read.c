/* show, search, timeline, who-saw: the entries of a bundle. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/complete.h"
#include "client/audit/offline.h"
#include "client/audit/parties.h"
#include "proto/id.h"

/* ------------------------------------------------------------ show */

static bool number(const char *text, uint64_t *out)
{
    if (text[0] == '\0' || strlen(text) > 18 || text[strspn(text, "0123456789")] != '\0')
        return false;
    *out = strtoull(text, NULL, 10);
    return true;
}

int audit_seq(struct audit *a, const struct offline *o, uint64_t *seq)
{
    if (a->n_args != 1 || !number(a->args[0], seq))
        return audit_fail(LIAISON_USAGE,
                          "which entry? one number, such as 'liaison-audit show "
                          "4711 --bundle DIR'");
    const struct source *s = bundle_source(o->bundle);

    if (*seq >= s->size || *seq < s->from)
        return audit_fail(LIAISON_NOT_FOUND,
                          "the bundle has entries %" PRIu64 " to %" PRIu64, s->from,
                          s->size - 1);
    return 0;
}

struct shown {
    bool json;
    const struct offline *offline;
    bool has_referral;
    uint8_t referral[ID_BYTES];
};

static int show_one(void *arg, const Liaison__V1__LedgerEntry *e, struct slice bytes)
{
    struct shown *s = arg;
    struct note_proof proof;
    enum liaison_code code = offline_prove(s->offline, bytes, e->seq, &proof);

    if (code != LIAISON_OK)
        return audit_fail(code, "entry %" PRIu64 " is not in the checkpoint's tree: %s",
                          e->seq, err_text(code));
    s->has_referral = e->referral_id.len == ID_BYTES;
    if (s->has_referral)
        memcpy(s->referral, e->referral_id.data, ID_BYTES);
    return audit_entry(e, s->json);
}

static int tell_erased(void *arg, const Liaison__V1__LedgerEntry *e, struct slice bytes)
{
    const struct shown *s = arg;

    (void)bytes;
    if (e->event == LIAISON__V1__EVENT__EVENT_ERASE && e->referral_id.len == ID_BYTES &&
        memcmp(e->referral_id.data, s->referral, ID_BYTES) == 0 && !s->json)
        printf("erased under entry %" PRIu64
               ": what this committed to cannot be opened\n",
               e->seq);
    return 0;
}

int audit_show(struct audit *a)
{
    struct offline o;
    uint64_t seq = 0;
    int status = offline_open(a, &o);

    if (status != 0)
        return status;
    struct shown s = {.json = a->opt[AUDIT_OPT_JSON] != NULL, .offline = &o};

    status = audit_seq(a, &o, &seq);
    if (status == 0)
        status = offline_each(&o, seq, seq + 1, show_one, &s);
    if (status == 0 && s.has_referral)
        status = offline_each(&o, seq, o.checkpoint.size, tell_erased, &s);
    offline_close(&o);
    return status;
}

/* ------------------------------------------------------------ search, timeline, who-saw */

struct search {
    const struct audit *audit;
    bool json;
    bool saw; /* only what showed somebody something */
    const char *agency;
    bool has_referral;
    uint8_t referral[ID_BYTES];
    int event; /* 0: any */
    uint64_t from_ns, until_ns, limit, shown;
    uint64_t counter; /* of `agency`, followed through all entries */
    struct complete_row *rows;
    size_t n_rows, rows_room;
};

static bool shows_something(const Liaison__V1__LedgerEntry *e)
{
    return e->verdict == LIAISON__V1__VERDICT__VERDICT_DONE &&
           (e->event == LIAISON__V1__EVENT__EVENT_OPEN ||
            e->event == LIAISON__V1__EVENT__EVENT_DELIVERY ||
            e->event == LIAISON__V1__EVENT__EVENT_HISTORY ||
            e->event == LIAISON__V1__EVENT__EVENT_AUDIT_READ);
}

static bool wanted(const struct search *s, const Liaison__V1__LedgerEntry *e)
{
    return (s->agency == NULL || strcmp(s->agency, e->agency) == 0 ||
            strcmp(s->agency, e->counterpart) == 0) &&
           (!s->has_referral ||
            (e->referral_id.len == ID_BYTES &&
             memcmp(e->referral_id.data, s->referral, ID_BYTES) == 0)) &&
           (s->event == 0 || (int)e->event == s->event) && e->time_ns >= s->from_ns &&
           (s->until_ns == 0 || e->time_ns <= s->until_ns) &&
           (!s->saw || shows_something(e));
}

static bool keep_row(struct search *s, uint64_t seq, uint64_t counter)
{
    if (s->n_rows == s->rows_room) {
        size_t room = s->rows_room == 0 ? 256 : 2 * s->rows_room;
        struct complete_row *wider = realloc(s->rows, room * sizeof *wider);

        if (wider == NULL)
            return false;
        s->rows = wider;
        s->rows_room = room;
    }
    s->rows[s->n_rows++] = (struct complete_row){seq, counter};
    return true;
}

/* Where it acted the entry says the counter; where it was the counterpart it is one more. */
static bool follow(struct search *s, const Liaison__V1__LedgerEntry *e)
{
    if (s->agency == NULL)
        return true;
    if (strcmp(s->agency, e->agency) == 0)
        if (!keep_row(s, e->seq, s->counter = e->agency_counter))
            return false;
    if (strcmp(s->agency, e->counterpart) == 0 &&
        e->counterpart_counter_commitment.len > 0)
        return keep_row(s, e->seq, ++s->counter);
    return true;
}

static int look(void *arg, const Liaison__V1__LedgerEntry *e, struct slice bytes)
{
    struct search *s = arg;

    (void)bytes;
    if (!follow(s, e))
        return audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    if (!wanted(s, e) || s->shown == s->limit)
        return 0;
    s->shown++;
    return audit_entry(e, s->json);
}

/* Why that may not have been all; NULL: it was. Only a verified bundle that begins with the log's first entry can say so. */
static const char *not_complete(const struct search *s, const struct offline *o,
                                uint64_t first, uint64_t last)
{
    if (!o->verified)
        return "the bundle was not verified (--policy)";
    if (bundle_source(o->bundle)->from > 0)
        return "the bundle does not begin with the log's first entry";
    if (s->shown == s->limit)
        return "--limit ended the search";
    if (s->agency != NULL && !complete_check(s->rows, s->n_rows, first, last).all)
        return "counters are missing";
    return NULL;
}

static void tell_complete(const struct search *s, const struct offline *o)
{
    bool counted = o->verified && s->agency != NULL;
    struct slice name = slice_text(s->agency != NULL ? s->agency : "");
    uint64_t first = counted ? parties_began(o->report.next.parties, name) + 1 : 1;
    uint64_t last = counted ? parties_counter(o->report.next.parties, name) : 0;
    const char *why = not_complete(s, o, first, last);

    if (s->json)
        printf("{\"complete\":%s,\"shown\":%" PRIu64 ",\"size\":%" PRIu64
               ",\"first_counter\":%" PRIu64 ",\"last_counter\":%" PRIu64 "}\n",
               why == NULL ? "true" : "false", s->shown, o->checkpoint.size, first, last);
    else if (why != NULL)
        printf("not known to be complete: %s\n", why);
    else if (s->agency != NULL && last < first)
        printf("complete: no entry under the checkpoint of %" PRIu64
               " entries concerns %s\n",
               o->checkpoint.size, s->agency);
    else if (s->agency != NULL)
        printf("complete: all entries that concern %s, its numbers %" PRIu64
               " to %" PRIu64 ", were looked at under the checkpoint of %" PRIu64
               " entries\n",
               s->agency, first, last, o->checkpoint.size);
    else
        printf("complete: all entries under the checkpoint of %" PRIu64
               " entries were looked at\n",
               o->checkpoint.size);
}

static int search(struct audit *a, struct search *s, bool complete)
{
    struct offline o;
    const char *const *opt = a->opt;
    int status = a->n_args > 0 ? audit_fail(LIAISON_USAGE,
                                            "'%s' is too much; 'liaison-audit --help' "
                                            "shows an example",
                                            a->args[0])
                               : audit_filter_check(a, &s->limit);

    if (status != 0)
        return status;
    s->json = opt[AUDIT_OPT_JSON] != NULL;
    s->agency = opt[AUDIT_OPT_AGENCY];
    s->has_referral =
        opt[AUDIT_OPT_REFERRAL] != NULL && id_parse(opt[AUDIT_OPT_REFERRAL], s->referral);
    if ((opt[AUDIT_OPT_EVENT] != NULL && !json_number(&liaison__v1__event__descriptor,
                                                      opt[AUDIT_OPT_EVENT], &s->event)) ||
        (opt[AUDIT_OPT_FROM] != NULL &&
         !audit_time(opt[AUDIT_OPT_FROM], false, &s->from_ns)) ||
        (opt[AUDIT_OPT_UNTIL] != NULL &&
         !audit_time(opt[AUDIT_OPT_UNTIL], true, &s->until_ns)))
        return err_exit(LIAISON_USAGE);
    status = offline_open(a, &o);
    if (status != 0)
        return status;
    if (o.verified && s->agency != NULL)
        s->counter = parties_began(o.report.next.parties, slice_text(s->agency));
    status = offline_each(&o, bundle_source(o.bundle)->from, o.checkpoint.size, look, s);
    if (status == 0 && complete)
        tell_complete(s, &o);
    free(s->rows);
    offline_close(&o);
    return status;
}

int audit_search(struct audit *a)
{
    return search(a, &(struct search){.limit = UINT64_MAX}, true);
}

static int of_referral(struct audit *a, bool saw)
{
    if (a->opt[AUDIT_OPT_REFERRAL] == NULL)
        return audit_fail(LIAISON_USAGE, "which referral? name it with --referral");
    return search(a, &(struct search){.limit = UINT64_MAX, .saw = saw}, false);
}

int audit_timeline(struct audit *a)
{
    return of_referral(a, false);
}

int audit_who_saw(struct audit *a)
{
    return of_referral(a, true);
}
