#include "client/lib/receipts.h"

#include <stdlib.h>

#include "client/lib/answer.h"
#include "client/lib/engine.h"
#include "client/lib/inner.h"
#include "client/lib/ledger.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

enum { DAY_MS = 24 * 3600 * 1000 };

static const char NOT_IN_LOG[] = "an entry that the broker gave us is not where it says "
                                 "in its log: keep the answer and tell the "
                                 "network's auditor";

/* ---------------------------------------------------------------- lists */

static void append(struct receipt_list *list, struct liaison_receipt *r)
{
    r->next = NULL;
    if (list->tail == NULL)
        list->head = r;
    else
        list->tail->next = r;
    list->tail = r;
    list->n++;
}

static struct liaison_receipt *take_behind(struct receipt_list *list,
                                           struct liaison_receipt *before)
{
    struct liaison_receipt *r = before == NULL ? list->head : before->next;

    if (before == NULL)
        list->head = r->next;
    else
        before->next = r->next;
    if (list->tail == r)
        list->tail = before;
    list->n--;
    r->next = NULL;
    return r;
}

/* Makes room by forgetting the oldest. */
static void append_bounded(struct receipt_list *list, struct liaison_receipt *r)
{
    if (list->n == RECEIPTS_MAX)
        liaison_receipt_free(take_behind(list, NULL));
    append(list, r);
}

/* Receipts mostly come in the order of the entries, so this finds the first. */
static struct liaison_receipt *take_seq(struct receipt_list *list, uint64_t seq)
{
    struct liaison_receipt *before = NULL;

    for (struct liaison_receipt *r = list->head; r != NULL; before = r, r = r->next)
        if (r->decoded->seq == seq)
            return take_behind(list, before);
    return NULL;
}

static struct liaison_receipt *find_entry(const struct receipt_list *list,
                                          struct slice entry)
{
    struct liaison_receipt *r = list->head;

    while (r != NULL && !slice_equal(r->entry, entry))
        r = r->next;
    return r;
}

static void clear(struct receipt_list *list)
{
    while (list->head != NULL)
        liaison_receipt_free(take_behind(list, NULL));
}

void receipts_clear(struct receipts *r)
{
    clear(&r->awaited);
    clear(&r->come);
    log_note_free(r->asked_from);
    *r = (struct receipts){0};
}

size_t liaison_receipts_awaited(const struct liaison *l)
{
    return l == NULL ? 0 : l->receipts.awaited.n;
}

/* ---------------------------------------------------------------- awaiting */

/* The pause before asking begins anew. */
static void ask_at(struct receipts *r, int64_t at_ms)
{
    if (r->awaited.n == 1 || at_ms < r->ask_at_ms)
        r->ask_at_ms = at_ms;
}

void receipts_await(struct liaison *l, const struct liaison_answer *a)
{
    struct liaison_receipt *r = NULL;
    size_t n, m;
    const uint8_t *entry = liaison_answer_entry(a, &n),
                  *opening = liaison_answer_opening(a, &m);
    bool pushed = a->frame->body_case != BODY(DUPLICATE);

    if (!log_on(l) || n == 0 ||
        receipt_new(slice(entry, n), slice(opening, m), &r) != LIAISON_OK)
        return;
    if (!pushed && find_entry(&l->receipts.awaited, r->entry) != NULL) {
        liaison_receipt_free(r);
        return;
    }
    int64_t now_ms = lib_mono_ms();

    r->since_ms = pushed ? now_ms : 0;
    append_bounded(&l->receipts.awaited, r);
    ask_at(&l->receipts, pushed ? now_ms + RECEIPTS_PUSH_MS : now_ms + RECEIPTS_PAUSE_MS);
}

void receipts_welcomed(struct liaison *l)
{
    struct receipts *r = &l->receipts;

    for (struct liaison_receipt *i = r->awaited.head; i != NULL; i = i->next)
        i->since_ms = 0;
    r->asked = ASK_NOTHING;
    r->pause_ms = RECEIPTS_PAUSE_MS;
    r->ask_at_ms = 0;
}

/* ---------------------------------------------------------------- coming */

/* Those of the inclusions that are of an awaited entry become receipts. Others cannot be checked, and are nobody's.
 * */
static enum liaison_code take_inclusions(struct liaison *l, struct log_note *note,
                                         Liaison__V1__Inclusion *const *inclusions,
                                         size_t n, const char **why)
{
    struct receipts *r = &l->receipts;

    for (size_t i = 0; i < n; i++) {
        struct liaison_receipt *mine = take_seq(&r->awaited, inclusions[i]->seq);

        if (mine == NULL)
            continue;
        enum liaison_code code = receipt_stand(
            l, mine, note, slice(inclusions[i]->path.data, inclusions[i]->path.len));

        if (code != LIAISON_OK) {
            append(&r->awaited, mine);
            *why = NOT_IN_LOG;
            return code;
        }
        append_bounded(&r->come, mine);
    }
    return LIAISON_OK;
}

/* What came under a checkpoint that says nothing about the one we have seen is asked for again. */
static void ask_for(struct liaison *l, Liaison__V1__Inclusion *const *inclusions,
                    size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (struct liaison_receipt *r = l->receipts.awaited.head; r != NULL; r = r->next)
            if (r->decoded->seq == inclusions[i]->seq) {
                r->since_ms = 0;
                l->receipts.ask_at_ms = 0;
                break;
            }
}

enum liaison_code receipts_pushed(struct liaison *l, const Liaison__V1__Receipts *pushed,
                                  const char **why)
{
    struct log_note *note = NULL, *from = l->log.seen;
    enum liaison_code code =
        log_judge(l, slice(pushed->checkpoint.data, pushed->checkpoint.len), &note);

    *why = l->log.why;
    if (code != LIAISON_OK)
        return code;
    if (pushed->old_size != (from == NULL ? 0 : from->what.checkpoint.size)) {
        ask_for(l, pushed->inclusions, pushed->n_inclusions);
    } else {
        code = log_grow(l, from, note,
                        slice(pushed->consistency.data, pushed->consistency.len));
        if (code == LIAISON_OK)
            code =
                take_inclusions(l, note, pushed->inclusions, pushed->n_inclusions, why);
    }
    log_note_free(note);
    return code;
}

/* ---------------------------------------------------------------- asking */

/* Prove, of our own accord. One at a time. */
static enum liaison_code ask(struct liaison *l, enum receipts_ask about,
                             struct log_note *from, uint64_t size, uint64_t *seqs,
                             size_t n)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Prove prove = LIAISON__V1__PROVE__INIT;

    prove.seqs = seqs;
    prove.n_seqs = n;
    prove.old_size = from == NULL ? 0 : from->what.checkpoint.size;
    prove.size = size;
    f.body_case = BODY(PROVE);
    f.prove = &prove;
    log_note_free(l->receipts.asked_from);
    l->receipts.asked_from = log_share(from);
    l->receipts.asked = about;
    return engine_own(l, &f, BODY(PROOF));
}

static enum liaison_code ask_receipts(struct liaison *l, int64_t now_ms)
{
    struct receipts *r = &l->receipts;
    struct log_note *seen = l->log.seen;
    uint64_t seqs[RECEIPTS_ASK], size = seen == NULL ? 0 : seen->what.checkpoint.size;
    size_t n = 0;

    for (struct liaison_receipt *i = r->awaited.head; i != NULL && n < RECEIPTS_ASK;
         i = i->next) {
        if (i->since_ms != 0 && i->since_ms + RECEIPTS_PUSH_MS > now_ms)
            continue;
        seqs[n++] = i->decoded->seq;
        if (i->decoded->seq >= size)
            size = i->decoded->seq + 1;
    }
    r->ask_at_ms = now_ms + (n == 0 ? RECEIPTS_PUSH_MS : r->pause_ms);
    return n == 0 ? LIAISON_OK : ask(l, ASK_RECEIPTS, seen, size, seqs, n);
}

enum liaison_code receipts_turn(struct liaison *l, int64_t now_ms, const char **why)
{
    struct log_view *v = &l->log;
    struct receipts *r = &l->receipts;
    enum liaison_code code = LIAISON_OK;

    if (v->unsaved && v->other == NULL && now_ms >= v->save_at_ms) {
        code = log_save(l);
        *why = v->why;
        if (code != LIAISON_OK && code != LIAISON_BUSY)
            return code;
    }
    if (r->asked != ASK_NOTHING)
        return LIAISON_OK;
    *why = "out of memory";
    if (v->other != NULL) {
        struct log_note *from;
        uint64_t size;

        log_question(l, &from, &size);
        return ask(l, ASK_OTHER, from, size, NULL, 0);
    }
    return r->awaited.n > 0 && now_ms >= r->ask_at_ms ? ask_receipts(l, now_ms)
                                                      : LIAISON_OK;
}

int64_t receipts_due(const struct liaison *l)
{
    const struct receipts *r = &l->receipts;
    int64_t due = INT64_MAX;

    if (l->engine.talk != TALK_OPEN)
        return due;
    if (l->log.other != NULL)
        return r->asked == ASK_NOTHING ? 0 : due;
    if (l->log.unsaved)
        due = l->log.save_at_ms;
    if (r->asked == ASK_NOTHING && r->awaited.n > 0 && r->ask_at_ms < due)
        due = r->ask_at_ms;
    return due;
}

/* The broker does not say now: later, with growing pauses. */
static void ask_later(struct liaison *l)
{
    struct receipts *r = &l->receipts;

    r->pause_ms =
        r->pause_ms * 2 > RECEIPTS_PAUSE_MAX_MS ? RECEIPTS_PAUSE_MAX_MS : r->pause_ms * 2;
    r->ask_at_ms = lib_mono_ms() + r->pause_ms;
    log_forget_other(l); /* the next save finds it again */
}

static enum liaison_code take_proof(struct liaison *l, enum receipts_ask about,
                                    struct log_note *from, struct log_note *note,
                                    const Liaison__V1__Proof *p, const char **why)
{
    struct receipts *r = &l->receipts;
    struct slice proof = slice(p->consistency.data, p->consistency.len);
    size_t before = r->awaited.n;
    enum liaison_code code;

    *why = l->log.why;
    if (about == ASK_OTHER)
        return l->log.other == NULL ? LIAISON_OK : log_reconcile(l, from, note, proof);
    code = log_grow(l, from, note, proof);
    if (code == LIAISON_BUSY) { /* a push was faster */
        r->ask_at_ms = 0;
        return LIAISON_OK;
    }
    if (code == LIAISON_OK)
        code = take_inclusions(l, note, p->inclusions, p->n_inclusions, why);
    if (r->awaited.n < before) {
        r->pause_ms = RECEIPTS_PAUSE_MS;
        r->ask_at_ms = 0;
    } else if (code == LIAISON_OK) {
        ask_later(l);
    }
    return code;
}

enum liaison_code receipts_proven(struct liaison *l, const struct liaison_answer *a,
                                  const char **why)
{
    struct receipts *r = &l->receipts;
    struct log_note *note = NULL, *from = r->asked_from;
    enum receipts_ask about = r->asked;
    enum liaison_code code = LIAISON_OK;

    r->asked = ASK_NOTHING;
    r->asked_from = NULL;
    if (a->frame->body_case != BODY(PROOF)) {
        ask_later(l);
    } else {
        const Liaison__V1__Proof *p = a->frame->proof;

        *why = l->log.why;
        code = log_judge(l, slice(p->checkpoint.data, p->checkpoint.len), &note);
        if (code == LIAISON_OK)
            code = take_proof(l, about, from, note, p, why);
    }
    log_note_free(note);
    log_note_free(from);
    return code;
}

/* ---------------------------------------------------------------- fetching */

static bool has_come(struct liaison *l, void *arg)
{
    const struct liaison_receipt *want = arg;

    return want == NULL ? l->receipts.come.head != NULL
                        : find_entry(&l->receipts.come, want->entry) != NULL;
}

static int64_t until(int timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : lib_mono_ms() + timeout_ms;
}

enum liaison_code liaison_receipt_next(struct liaison *l, int timeout_ms,
                                       struct liaison_receipt **receipt)
{
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (receipt == NULL)
        return lib_fail(l, LIAISON_USAGE, "a place for the receipt is wanted");
    if (!log_on(l))
        return lib_fail(l, LIAISON_CONFIG,
                        "without a policy of the log (setting \"log_policy\") no receipt "
                        "comes and nothing is verified");
    if (!has_come(l, NULL))
        code = engine_until(l, has_come, NULL, until(timeout_ms));
    if (code == LIAISON_OK)
        *receipt = take_behind(&l->receipts.come, NULL);
    return code;
}

enum liaison_code liaison_receipt_claim(struct liaison *l, const struct liaison_answer *a,
                                        struct liaison_receipt **receipt)
{
    size_t n = 0, m = 0;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    const uint8_t *entry = a == NULL ? NULL : liaison_answer_entry(a, &n);

    if (entry == NULL || receipt == NULL)
        return lib_fail(l, LIAISON_USAGE, "this answer has no ledger entry");
    const uint8_t *opening = liaison_answer_opening(a, &m);

    code = receipt_new(slice(entry, n), slice(opening, m), receipt);
    return code == LIAISON_OK ? code : lib_fail(l, code, "the entry cannot be read");
}

/* Takes over what came by itself. */
static bool take_come(struct liaison *l, struct liaison_receipt *r)
{
    struct liaison_receipt *come = find_entry(&l->receipts.come, r->entry);

    if (come == NULL)
        return false;
    come = take_seq(&l->receipts.come, come->decoded->seq);
    receipt_move(come, r);
    liaison_receipt_free(come);
    return true;
}

/* Will the broker push it, as far as we know? */
static bool is_awaited(const struct liaison *l, const struct liaison_receipt *r)
{
    const struct liaison_receipt *mine = find_entry(&l->receipts.awaited, r->entry);

    return mine != NULL && (mine->since_ms != 0 || l->engine.talk != TALK_OPEN);
}

/* Asks the broker, again and again while no checkpoint covers the entry. */
static enum liaison_code ask_broker(struct liaison *l, const struct liaison_receipt *r,
                                    int64_t until_ms, struct liaison_answer **a)
{
    uint64_t seq = r->decoded->seq;
    int64_t pause_ms = RECEIPTS_PAUSE_MS;

    for (;;) {
        enum liaison_code code = r->proof != NULL
                                     ? ledger_prove_witnessed(l, &seq, 1, until_ms, a)
                                     : ledger_prove(l, &seq, 1, 0, seq + 1, until_ms, a);
        int64_t now_ms = lib_mono_ms();

        if (code != LIAISON_NOT_FOUND)
            return code;
        liaison_answer_free(*a);
        *a = NULL;
        if (now_ms + pause_ms >= until_ms)
            return lib_fail(l, LIAISON_TIMEOUT, "%s",
                            r->proof != NULL
                                ? "no checkpoint that covers this entry was cosigned by "
                                  "the witnesses in time"
                                : "no checkpoint covered this entry in time");
        if ((code = ledger_pause(l, now_ms + pause_ms)) != LIAISON_OK)
            return code;
        pause_ms =
            pause_ms * 2 > RECEIPTS_PAUSE_MAX_MS ? RECEIPTS_PAUSE_MAX_MS : pause_ms * 2;
    }
}

static enum liaison_code prove(struct liaison *l, struct liaison_receipt *r,
                               int64_t until_ms)
{
    struct liaison_answer *a = NULL;
    enum liaison_code code = ask_broker(l, r, until_ms, &a);

    if (code != LIAISON_OK) {
        liaison_answer_free(a);
        return code;
    }
    const Liaison__V1__Inclusion *i = a->frame->proof->inclusions[0];

    code = receipt_stand(l, r, a->note, slice(i->path.data, i->path.len));
    liaison_answer_free(a);
    if (code == LIAISON_OK)
        liaison_receipt_free(take_seq(&l->receipts.awaited, r->decoded->seq));
    return code == LIAISON_OK ? code : lib_fail(l, code, "%s", NOT_IN_LOG);
}

/* What the broker pushes, or what receipts_turn() asks for when it does not; by `until_ms` at the latest. */
static enum liaison_code await_push(struct liaison *l, struct liaison_receipt *r,
                                    int64_t until_ms)
{
    int64_t push_ms = lib_mono_ms() + 2 * RECEIPTS_PUSH_MS;
    enum liaison_code code =
        engine_until(l, has_come, r, push_ms < until_ms ? push_ms : until_ms);

    if (code == LIAISON_OK && !take_come(l, r))
        code = lib_fail(l, LIAISON_INTERNAL, "a receipt was lost");
    return code;
}

enum liaison_code liaison_receipt_prove(struct liaison *l, struct liaison_receipt *r,
                                        int timeout_ms)
{
    enum liaison_code code = lib_enter(l);
    int64_t until_ms = until(timeout_ms < 0 ? DAY_MS : timeout_ms);

    if (code != LIAISON_OK)
        return code;
    if (r == NULL)
        return lib_fail(l, LIAISON_USAGE, "there is no receipt");
    if (!log_on(l))
        return lib_fail(
            l, LIAISON_CONFIG,
            "without a policy of the log (setting \"log_policy\") nothing is verified");
    if (r->proof == NULL && take_come(l, r))
        return LIAISON_OK;
    if (timeout_ms == 0 || (r->proof == NULL && is_awaited(l, r))) {
        code = await_push(l, r, until_ms);
        if (code != LIAISON_TIMEOUT || lib_mono_ms() >= until_ms)
            return code;
    }
    return prove(l, r, until_ms);
}
