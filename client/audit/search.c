/* search, timeline, who-saw: entries of a trail, and whether they are all there are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/complete.h"
#include "client/audit/parties.h"
#include "client/audit/trail.h"
#include "proto/id.h"

enum { GAPS_TOLD = 5 };

struct search {
    struct trail trail;
    bool json;
    bool saw;      /* only what showed somebody something */
    bool complete; /* say whether that is all */
    const char *agency;
    bool has_referral;
    uint8_t referral[ID_BYTES];
    int event; /* 0: any */
    uint64_t from_ns, until_ns, limit, shown, looked;
    uint64_t counter; /* of `agency`, followed through all entries of a bundle */
    struct complete_row *rows;
    size_t n_rows, rows_room;
    const char *unsure;   /* why that may not be all; NULL: the counters say */
    uint64_t first, last; /* of the agency's counters that there must be */
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

/* Where it acted the entry says the counter. Where it was the counterpart it is one more; a broker tells it, with the opening
 * of its commitment, which the library has checked. */
static bool follow(struct search *s, const struct trail_item *item)
{
    const Liaison__V1__LedgerEntry *e = item->e;

    if (s->agency == NULL)
        return true;
    if (strcmp(s->agency, e->agency) == 0)
        if (!keep_row(s, e->seq, s->counter = e->agency_counter))
            return false;
    if (strcmp(s->agency, e->counterpart) != 0 ||
        e->counterpart_counter_commitment.len == 0)
        return true;
    if (s->trail.bundle != NULL)
        return keep_row(s, e->seq, ++s->counter);
    return item->counter == 0 || keep_row(s, e->seq, item->counter);
}

static int look(void *arg, const struct trail_item *item)
{
    struct search *s = arg;

    s->looked++;
    if (!follow(s, item))
        return audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    if (!wanted(s, item->e) || s->shown == s->limit)
        return 0;
    s->shown++;
    return audit_entry(item->e, s->json);
}

/* ------------------------------------------------------------ is that all? */

/* Only a verified bundle that begins with the log's first entry can say so. */
static void expect_of_bundle(struct search *s)
{
    const struct trail *t = &s->trail;
    struct slice name = slice_text(s->agency != NULL ? s->agency : "");

    if (!t->verified)
        s->unsure = "the bundle was not verified (--policy)";
    else if (trail_from(t) > 0)
        s->unsure = "the bundle does not begin with the log's first entry";
    if (!t->verified || s->agency == NULL)
        return;
    s->counter = parties_began(t->report.next.parties, name);
    s->first = s->counter + 1;
    s->last = parties_counter(t->report.next.parties, name);
}

/* A log that follows another takes counters over from there, and does not say at what. */
static bool first_log(const struct trail *t)
{
    const char *slash = strrchr(t->checkpoint.origin, '/');

    return slash != NULL && strcmp(slash, "/1") == 0;
}

/* Only a summary that the broker has been made to write, and that its log holds, can say so. Returns the exit status. */
static int expect_of_broker(struct search *s, struct trail_filter *f)
{
    struct trail *t = &s->trail;
    uint64_t summary = 0;

    if (!t->verified)
        s->unsure = "nothing says whose signature of the log counts (--policy)";
    if (s->agency == NULL) {
        if (s->has_referral)
            s->unsure = "the counters of an agency could say so (--agency)";
        return 0;
    }
    if (!first_log(t))
        s->unsure = "this log follows another: where its counters began is said by "
                    "bundles alone";
    enum liaison_code code = trail_live_count(t, s->agency, &s->last, &summary);

    if (code == LIAISON_OK)
        f->end = summary; /* the count is of those before it */
    else if (code == LIAISON_NOT_FOUND)
        s->unsure = "the broker says that no entry concerns that agency, and nothing "
                    "proves it";
    else if (code == LIAISON_ROLE)
        s->unsure =
            "that agency is not of this auditor's area: its counters are not told";
    else if (code == LIAISON_EVIDENCE)
        s->unsure = "the broker writes no summary any more: it is kept as evidence";
    else
        return code == LIAISON_PROOF ? audit_fail(code,
                                                  "the broker's summary, entry "
                                                  "%" PRIu64 ", is not in its log",
                                                  summary)
                                     : audit_lib_fail(t->audit, code);
    return 0;
}

/* Which counters no entry has; the rows were sorted by complete_check(). */
static void tell_gaps(const struct search *s)
{
    uint64_t want = s->first;
    unsigned told = 0;

    for (size_t i = 0; i <= s->n_rows && told < GAPS_TOLD; i++) {
        uint64_t here = i < s->n_rows ? s->rows[i].counter : s->last + 1;

        if (here > want) {
            printf("missing: its numbers %" PRIu64 " to %" PRIu64 "\n", want, here - 1);
            told++;
        }
        want = here + 1;
    }
    if (told == GAPS_TOLD)
        puts("missing: perhaps more");
}

static void tell_all(const struct search *s)
{
    uint64_t size = s->trail.checkpoint.size;

    if (s->agency != NULL && s->last < s->first)
        printf("complete: no entry under the checkpoint of %" PRIu64
               " entries concerns %s\n",
               size, s->agency);
    else if (s->agency != NULL)
        printf("complete: all entries that concern %s, its numbers %" PRIu64
               " to %" PRIu64 ", were looked at under the checkpoint of %" PRIu64
               " entries\n",
               s->agency, s->first, s->last, size);
    else
        printf("complete: all entries under the checkpoint of %" PRIu64
               " entries were looked at\n",
               size);
}

/* Returns the exit status. */
static int tell_complete(struct search *s)
{
    bool gaps = false;

    if (s->unsure == NULL && s->shown == s->limit)
        s->unsure = "--limit ended the search";
    if (s->unsure == NULL && s->agency == NULL &&
        s->looked < s->trail.checkpoint.size - trail_from(&s->trail))
        s->unsure = "there are entries that were not shown to this auditor";
    if (s->unsure == NULL && s->agency != NULL) {
        gaps = !complete_check(s->rows, s->n_rows, s->first, s->last).all;
        if (gaps)
            s->unsure = "counters are missing";
    }
    if (s->json)
        printf("{\"complete\":%s,\"shown\":%" PRIu64 ",\"size\":%" PRIu64
               ",\"first_counter\":%" PRIu64 ",\"last_counter\":%" PRIu64 "}\n",
               s->unsure == NULL ? "true" : "false", s->shown, s->trail.checkpoint.size,
               s->first, s->last);
    else if (s->unsure == NULL)
        tell_all(s);
    else
        printf("not known to be complete: %s\n", s->unsure);
    if (gaps && !s->json)
        tell_gaps(s);
    return s->unsure == NULL ? 0 : (int)VERIFY_INCOMPLETE;
}

/* ------------------------------------------------------------ the commands */

static bool read_filter(struct search *s, const char *const *opt)
{
    s->json = opt[AUDIT_OPT_JSON] != NULL;
    s->agency = opt[AUDIT_OPT_AGENCY];
    s->has_referral =
        opt[AUDIT_OPT_REFERRAL] != NULL && id_parse(opt[AUDIT_OPT_REFERRAL], s->referral);
    return (opt[AUDIT_OPT_EVENT] == NULL ||
            json_number(&liaison__v1__event__descriptor, opt[AUDIT_OPT_EVENT],
                        &s->event)) &&
           (opt[AUDIT_OPT_FROM] == NULL ||
            audit_time(opt[AUDIT_OPT_FROM], false, &s->from_ns)) &&
           (opt[AUDIT_OPT_UNTIL] == NULL ||
            audit_time(opt[AUDIT_OPT_UNTIL], true, &s->until_ns));
}

static int run(struct search *s)
{
    struct trail *t = &s->trail;
    struct trail_filter f = {.first = trail_from(t), .end = t->checkpoint.size};
    int status = 0;

    s->first = 1;
    if (t->bundle != NULL)
        expect_of_bundle(s);
    else if (s->complete)
        status = expect_of_broker(s, &f);
    /* All entries of an agency, whatever else is wanted: or its counters prove nothing. */
    f.agency = s->agency;
    f.referral =
        s->has_referral && (s->agency == NULL || !s->complete) ? s->referral : NULL;
    if (status == 0)
        status = trail_each(t, &f, look, s);
    return status == 0 && s->complete ? tell_complete(s) : status;
}

static int search(struct audit *a, struct search *s)
{
    int status = a->n_args > 0 ? audit_fail(LIAISON_USAGE,
                                            "'%s' is too much; 'liaison-audit --help' "
                                            "shows an example",
                                            a->args[0])
                               : audit_filter_check(a, &s->limit);

    if (status != 0)
        return status;
    if (!read_filter(s, a->opt))
        return err_exit(LIAISON_USAGE);
    status = trail_open(a, &s->trail);
    if (status != 0)
        return status;
    status = run(s);
    free(s->rows);
    trail_close(&s->trail);
    return status;
}

int audit_search(struct audit *a)
{
    return search(a, &(struct search){.limit = UINT64_MAX, .complete = true});
}

static int of_referral(struct audit *a, bool saw)
{
    if (a->opt[AUDIT_OPT_REFERRAL] == NULL)
        return audit_fail(LIAISON_USAGE, "which referral? name it with --referral");
    return search(a, &(struct search){.limit = UINT64_MAX, .saw = saw});
}

int audit_timeline(struct audit *a)
{
    return of_referral(a, false);
}

int audit_who_saw(struct audit *a)
{
    return of_referral(a, true);
}
