/* What an entry says was asked of the rules, and whether they decide it so. */
#include "client/audit/again.h"

#include <inttypes.h>
#include <stdlib.h>

#include "broker/conf/conf.h"
#include "broker/conf/past.h"
#include "proto/commit.h"
#include "proto/hash.h"
#include "proto/id.h"
#include "proto/valid.h"

enum { ENVELOPE_MAX = 16 << 20 };

/* ------------------------------------------------------------ the rules */

static enum liaison_code fetch_text(struct trail *t, const uint8_t id[HASH_BYTES],
                                    uint8_t **text, size_t *len)
{
    struct liaison_answer *answer = NULL;

    if (t->bundle != NULL) {
        const struct source *s = bundle_source(t->bundle);

        return s->rules(s->arg, id, text, len);
    }
    enum liaison_code code = liaison_rule_text(t->audit->lib, id, &answer);
    const uint8_t *bytes = code == LIAISON_OK ? liaison_answer_bytes(answer, len) : NULL;

    if (bytes != NULL && (*text = malloc(*len + 1)) != NULL)
        memcpy(*text, bytes, *len);
    else if (code == LIAISON_OK)
        code = LIAISON_MEMORY;
    liaison_answer_free(answer);
    return code;
}

static enum liaison_code check_text(const uint8_t id[HASH_BYTES], struct slice text)
{
    struct hash *h = hash_new();
    uint8_t is[HASH_BYTES];

    if (h == NULL)
        return LIAISON_MEMORY;
    hash_sha256(h, &text, 1, is);
    hash_free(h);
    return memcmp(is, id, HASH_BYTES) == 0 ? LIAISON_OK : LIAISON_DAMAGED;
}

int again_rules(struct trail *t, const Liaison__V1__LedgerEntry *e, struct rules **out)
{
    uint8_t *text = NULL;
    size_t len = 0;
    int status = 0;

    if (e->rule_set.len != HASH_BYTES)
        return audit_fail(LIAISON_DAMAGED, "entry %" PRIu64 " names no rules", e->seq);
    enum liaison_code code = fetch_text(t, e->rule_set.data, &text, &len);

    if (code != LIAISON_OK)
        status = t->bundle == NULL ? audit_lib_fail(t->audit, code)
                                   : audit_fail(code,
                                                "the rules of entry %" PRIu64
                                                " are not in the bundle: %s",
                                                e->seq, err_text(code));
    else if ((code = check_text(e->rule_set.data, slice(text, len))) != LIAISON_OK)
        status = audit_fail(code, "the rules of entry %" PRIu64 " were changed: %s",
                            e->seq, err_text(code));
    else if ((code = conf_read_kept(slice(text, len), out, stderr)) != LIAISON_OK)
        status = audit_fail(
            code, "the rules of entry %" PRIu64 " cannot be read by this version",
            e->seq);
    free(text);
    return status;
}

/* ------------------------------------------------------------ which entry asked */

static bool is_taken(const Liaison__V1__LedgerEntry *e)
{
    return (e->event == LIAISON__V1__EVENT__EVENT_SUBMIT ||
            e->event == LIAISON__V1__EVENT__EVENT_RESEAL) &&
           e->verdict == LIAISON__V1__VERDICT__VERDICT_DONE;
}

/* It says itself who asked what of whom. */
static bool asks_itself(const Liaison__V1__LedgerEntry *e)
{
    return e->event == LIAISON__V1__EVENT__EVENT_SUBMIT ||
           e->event == LIAISON__V1__EVENT__EVENT_RESEAL ||
           e->event == LIAISON__V1__EVENT__EVENT_CROSSING ||
           e->event == LIAISON__V1__EVENT__EVENT_CHECK;
}

struct asking {
    struct arena *arena;
    const Liaison__V1__LedgerEntry *found;
    int failed;
};

static int see_taken(void *arg, const struct trail_item *item)
{
    struct asking *x = arg;
    const uint8_t *bytes;
    const void *m = NULL;

    if (!is_taken(item->e))
        return 0;
    bytes = arena_copy(x->arena, item->bytes);
    if (bytes == NULL ||
        valid_decode(&liaison__v1__ledger_entry__descriptor, slice(bytes, item->bytes.n),
                     x->arena, &m) != LIAISON_OK)
        return audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    x->found = m;
    return 0;
}

/* The entry that took the referral which `e` is about, as it was then. *out NULL: it was not shown. */
static int find_asking(struct trail *t, const Liaison__V1__LedgerEntry *e,
                       const Liaison__V1__LedgerEntry **out)
{
    struct asking x = {.arena = t->audit->arena};
    const struct trail_filter f = {
        .first = trail_from(t), .end = e->seq, .referral = e->referral_id.data};
    int status = asks_itself(e) || e->referral_id.len != ID_BYTES
                     ? 0
                     : trail_each(t, &f, see_taken, &x);

    *out = asks_itself(e) ? e : x.found;
    return status;
}

/* ------------------------------------------------------------ the question */

static const char *said(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void ask_entry(const Liaison__V1__LedgerEntry *e, struct rules_question *q)
{
    q->from = said(e->agency);
    q->to = said(e->onward) != NULL ? e->onward : said(e->counterpart);
    q->type = e->type;
    q->purpose = said(e->purpose);
    q->basis = said(e->basis);
    q->sections = (const char *const *)e->sections;
    q->n_sections = e->n_sections;
}

static void ask_envelope(const Liaison__V1__Envelope *e, struct rules_question *q)
{
    q->from = e->from;
    q->to = e->to;
    q->type = e->type;
    q->category = e->category;
    q->purpose = e->purpose;
    q->basis = e->basis;
    q->minor = e->minor;
    q->handling = e->handling;
    q->regime = e->regime;
    q->informed = e->informed;
    q->urgency = e->urgency;
    q->subject = e->subject_category;
}

/* What was taken is asked for again in the name of who does the work that day. */
static void ask_today(const struct rules *r, struct rules_question *q)
{
    const struct rules_agency *from = rules_successor(r, q->from, q->day),
                              *to = rules_successor(r, q->to, q->day);

    q->from = from != NULL ? from->name : q->from;
    q->to = to != NULL ? to->name : q->to;
}

/* ------------------------------------------------------------ what a party hands over */

static bool read_opening(const char *hex, uint8_t out[32])
{
    for (size_t i = 0; i < 32; i++) {
        char two[3] = {hex[2 * i], 0, 0}, *end = two;

        if (two[0] == '\0')
            return false;
        two[1] = hex[2 * i + 1];
        out[i] = (uint8_t)strtoul(two, &end, 16);
        if (end != two + 2 || strspn(two, "0123456789abcdef") != 2)
            return false;
    }
    return hex[64] == '\0';
}

/* The exact bytes of the envelope: the file itself, or what a signed referral holds. */
static enum liaison_code take_envelope(struct arena *a, struct slice file,
                                       struct slice *bytes,
                                       const Liaison__V1__Envelope **e)
{
    const void *m = NULL;
    const char *why;

    *bytes = file;
    if (valid_decode(&liaison__v1__signed_referral__descriptor, file, a, &m) ==
        LIAISON_OK) {
        const Liaison__V1__SignedReferral *r = m;

        *bytes = slice(r->envelope.data, r->envelope.len);
    }
    enum liaison_code code =
        valid_decode(&liaison__v1__envelope__descriptor, *bytes, a, &m);

    *e = m;
    return code != LIAISON_OK ? code : valid_envelope(*e, &why);
}

static int read_envelope(struct trail *t, const Liaison__V1__LedgerEntry *entry,
                         const Liaison__V1__Envelope **out)
{
    const struct audit *a = t->audit;
    const char *path = a->opt[AUDIT_OPT_ENVELOPE], *hex = a->opt[AUDIT_OPT_OPENING];
    uint8_t *file = NULL, opening[32];
    char why[512] = "";
    size_t len = 0;
    struct slice bytes;

    if (path == NULL || hex == NULL)
        return audit_fail(LIAISON_USAGE, "--envelope and --opening belong together");
    if (!read_opening(hex, opening))
        return audit_fail(LIAISON_USAGE, "--opening wants 64 digits of 0-9 and a-f");
    enum liaison_code code = audit_read(path, ENVELOPE_MAX, &file, &len, why, sizeof why);

    if (code != LIAISON_OK)
        return audit_fail(code, "%s", why);
    const uint8_t *kept = arena_copy(t->audit->arena, slice(file, len));
    struct hash *h = hash_new();
    int status = 0;

    free(file);
    if (kept == NULL || h == NULL)
        status = audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    else if (take_envelope(t->audit->arena, slice(kept, len), &bytes, out) != LIAISON_OK)
        status = audit_fail(LIAISON_MALFORMED,
                            "%s is neither a signed referral nor an envelope", path);
    else if (!commit_check(h, opening, COMMIT_CONTENT, bytes, entry))
        status =
            audit_fail(LIAISON_SIGNATURE,
                       "entry %" PRIu64 " is not about this envelope, or this is not "
                       "its opening: what it commits to is something else",
                       entry->seq);
    hash_free(h);
    return status;
}

/* ------------------------------------------------------------ judging */

/* Lines that say what a party has to permit or acknowledge: rules alone do not tell whether it had. */
static bool cites_party(const Liaison__V1__LedgerEntry *e, const struct rules *r)
{
    static const enum rules_builtin OTHERS[] = {RULES_H2_ONWARD, RULES_H3_OPEN,
                                                RULES_HANDLING_STAYS};

    for (size_t i = 0; i < e->n_rules; i++)
        for (size_t k = 0; k < sizeof OTHERS / sizeof *OTHERS; k++)
            if (past_line(r, slice(e->rules[i].data, e->rules[i].len)) ==
                rules_builtin(r, OTHERS[k]))
                return true;
    return false;
}

/* Why this entry is not one that rules decide; NULL: it is. */
static const char *not_by_rules(const Liaison__V1__LedgerEntry *e, const struct rules *r)
{
    bool denied = e->verdict == LIAISON__V1__VERDICT__VERDICT_DENIED;

    if (denied && !past_by_rules((enum liaison_code)e->code))
        return "rules alone do not decide this";
    if (e->n_rules == 0 &&
        (!denied || (!asks_itself(e) && e->event != LIAISON__V1__EVENT__EVENT_BARRED &&
                     e->referral_id.len != ID_BYTES)))
        return "no rule was asked what it decides";
    if (e->n_rules == 0 && e->code == LIAISON__V1__CODE__CODE_DENIED)
        return "no rule denied this";
    if (cites_party(e, r))
        return "what another party permitted or acknowledged decides this, not rules "
               "alone";
    return NULL;
}

/* What it asks; *why: it cannot be told. Returns the exit status. */
static int make_question(struct trail *t, const Liaison__V1__LedgerEntry *e,
                         const struct rules *r, struct rules_question *q,
                         const char **why)
{
    const Liaison__V1__LedgerEntry *asking = NULL;
    const Liaison__V1__Envelope *envelope = NULL;
    int status = find_asking(t, e, &asking);
    bool handed = t->audit->opt[AUDIT_OPT_ENVELOPE] != NULL ||
                  t->audit->opt[AUDIT_OPT_OPENING] != NULL;

    if (status == 0 && asking == NULL)
        *why = "the entry that took the referral was not shown";
    if (status != 0 || asking == NULL)
        return status;
    ask_entry(asking, q);
    if (handed && asking != e)
        return audit_fail(LIAISON_USAGE,
                          "entry %" PRIu64 " commits to the envelope: explain that one "
                          "with it",
                          asking->seq);
    if (handed && (status = read_envelope(t, e, &envelope)) != 0)
        return status;
    if (envelope != NULL)
        ask_envelope(envelope, q);
    if (q->from == NULL || q->to == NULL)
        *why = "the entry does not say to whom; the party's --envelope and --opening do";
    else if (asking != e)
        ask_today(r, q);
    return 0;
}

int again_judge(struct trail *t, const Liaison__V1__LedgerEntry *e, const struct rules *r,
                bool json, FILE *out, enum again_result *result, const char **why)
{
    struct slice *cited = arena_alloc(t->audit->arena, (e->n_rules + 1) * sizeof *cited);
    struct past p = {.q = {.day = rules_day(e->time_ns / 1000000000)},
                     .code = (enum liaison_code)e->code,
                     .cited = cited,
                     .n_cited = e->n_rules};
    bool agrees = false;

    *result = AGAIN_NOT_SAID;
    if (cited == NULL)
        return audit_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
    for (size_t i = 0; i < e->n_rules; i++)
        cited[i] = slice(e->rules[i].data, e->rules[i].len);
    *why = not_by_rules(e, r);
    int status = *why != NULL ? 0 : make_question(t, e, r, &p.q, why);

    if (status != 0 || *why != NULL)
        return status;
    enum liaison_code code = past_judge(r, &p, json, out, &agrees);

    if (code == LIAISON_LIMIT)
        *why = "it leaves more cases open than are looked at; --envelope and --opening "
               "say which it was";
    else if (code != LIAISON_OK)
        return audit_fail(code, "%s", err_text(code));
    else
        *result = agrees ? AGAIN_SO : AGAIN_NOT_SO;
    return 0;
}
