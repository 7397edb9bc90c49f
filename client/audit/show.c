/* show: one entry, and what became of what it commits to. */
#include <inttypes.h>
#include <stdio.h>

#include "client/audit/trail.h"
#include "proto/id.h"

struct shown {
    bool json, came;
    struct trail *trail;
    bool has_referral;
    uint8_t referral[ID_BYTES];
};

static int show_one(void *arg, const struct trail_item *item)
{
    const Liaison__V1__LedgerEntry *e = item->e;
    struct shown *s = arg;
    struct note_proof proof;
    enum liaison_code code = trail_prove(s->trail, item->bytes, e->seq, &proof);

    s->came = true;
    if (code != LIAISON_OK)
        return audit_fail(code, "entry %" PRIu64 " is not in the checkpoint's tree: %s",
                          e->seq, err_text(code));
    s->has_referral = e->referral_id.len == ID_BYTES;
    if (s->has_referral)
        memcpy(s->referral, e->referral_id.data, ID_BYTES);
    return audit_entry(e, s->json);
}

static int tell_erased(void *arg, const struct trail_item *item)
{
    const Liaison__V1__LedgerEntry *e = item->e;
    const struct shown *s = arg;

    if (e->event == LIAISON__V1__EVENT__EVENT_ERASE && e->referral_id.len == ID_BYTES &&
        memcmp(e->referral_id.data, s->referral, ID_BYTES) == 0 && !s->json)
        printf("erased under entry %" PRIu64
               ": what this committed to cannot be opened\n",
               e->seq);
    return 0;
}

int audit_show(struct audit *a)
{
    struct trail t;
    struct shown s = {.json = a->opt[AUDIT_OPT_JSON] != NULL, .trail = &t};
    struct trail_filter f = {.first = 0};
    int status = trail_open_at(a, &t, &f.first);

    if (status != 0)
        return status;
    f.end = f.first + 1;
    status = trail_each(&t, &f, show_one, &s);
    if (status == 0 && !s.came)
        status = audit_fail(LIAISON_NOT_FOUND,
                            "entry %" PRIu64 " was not shown to this auditor", f.first);
    f.end = t.checkpoint.size;
    f.referral = s.referral;
    if (status == 0 && s.has_referral)
        status = trail_each(&t, &f, tell_erased, &s);
    trail_close(&t);
    return status;
}
