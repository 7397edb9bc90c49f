#include "client/audit/join.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/err.h"
#include "proto/liaison.pb-c.h"

enum { SUMMARY_ROW = 256 }; /* commitments of one entry */

static struct findings *found(struct joined *j)
{
    return &j->report->found;
}

static void counter_gap(void *arg, struct slice name, uint64_t seq, uint64_t want,
                        uint64_t got)
{
    struct joined *j = arg;

    findings_add(found(j), FOUND_COUNTER, seq,
                 "entry %" PRIu64 ": the counter of %.*s is %" PRIu64 ", not %" PRIu64,
                 seq, (int)(name.n > 100 ? 100 : name.n), (const char *)name.p, got,
                 want);
}

/* ------------------------------------------------------------ events */

/* Every party's commitment, 256 an entry, the rest in the entries directly after. */
static void summary(struct joined *j, const struct part_event *e)
{
    bool goes_on = j->summary_left > 0 && e->seq == j->summary_next;

    if (j->summary_unknown && e->seq == j->summary_next) {
        j->summary_next = e->seq + 1;
        return;
    }
    j->summary_unknown = false;
    if (j->summary_left > 0 && !goes_on)
        findings_add(found(j), FOUND_LOG, j->summary_next,
                     "entry %" PRIu64 " should go on with a summary: %" PRIu64
                     " commitments are missing",
                     j->summary_next, j->summary_left);
    if (!goes_on) {
        j->summary_all = j->summary_left = e->count;
        j->report->summaries++;
    }
    uint64_t want = j->summary_left < SUMMARY_ROW ? j->summary_left : SUMMARY_ROW;

    if (e->summary != want || e->count != j->summary_all || e->count == 0)
        findings_add(found(j), FOUND_LOG, e->seq,
                     "entry %" PRIu64 ": a summary of %" PRIu64 " parties with %" PRIu32
                     " commitments, not %" PRIu64,
                     e->seq, e->count, e->summary, want);
    j->summary_left -= want;
    j->summary_next = e->seq + 1;
}

/* Entries are missing up to `next`: whether a summary goes on there cannot be told. */
static void summary_lost(struct joined *j, uint64_t next)
{
    j->summary_left = 0;
    j->summary_unknown = true;
    j->summary_next = next;
}

static bool key_is_known(const struct note_policy *p, const struct note_key *k)
{
    size_t n;
    const struct note_log *logs = note_policy_logs(p, &n);

    for (size_t i = 0; i < n; i++)
        if (memcmp(logs[i].key.public, k->public, sizeof k->public) == 0 &&
            strcmp(logs[i].key.name, k->name) == 0)
            return true;
    return false;
}

/* Keeps a rotation for the next state. */
static enum liaison_code keep_rotation(struct joined *j, struct slice note)
{
    struct verify_state *next = &j->report->next;

    for (size_t i = 0; i < next->n_rotations; i++)
        if (slice_equal(next->rotations[i], note))
            return LIAISON_OK;
    uint8_t *copy = next->n_rotations < STATE_ROTATIONS_MAX ? malloc(note.n) : NULL;

    if (copy == NULL)
        return LIAISON_MEMORY;
    memcpy(copy, note.p, note.n);
    next->rotations[next->n_rotations++] = slice(copy, note.n);
    return LIAISON_OK;
}

static enum liaison_code rotation(struct joined *j, const struct part_event *e)
{
    struct note_rotation r = {.size = 0};
    struct note n;
    enum liaison_code code = note_parse(e->note, &n);

    if (code == LIAISON_OK)
        code = note_rotation_parse(n.text, &r);
    if (code == LIAISON_OK && strcmp(r.origin, j->report->checkpoint.origin) != 0)
        code = LIAISON_FIELD;
    bool known = code == LIAISON_OK && key_is_known(j->settings->policy, &r.key);

    if (code == LIAISON_OK)
        code = note_policy_rotate(j->settings->policy, e->note);
    if (code == LIAISON_MEMORY)
        return code;
    if (code == LIAISON_OK) {
        j->report->rotations++;
        return keep_rotation(j, e->note);
    }
    if (!known) /* a policy that begins with the new key cannot judge the old one's signature, and need not */
        findings_add(found(j), FOUND_LOG, e->seq,
                     "entry %" PRIu64
                     ": the new key is not signed by a key of the policy that "
                     "may still sign, and by itself",
                     e->seq);
    return LIAISON_OK;
}

/* The origin without its last number, and that number. */
static bool split_origin(const char *origin, size_t *stem, uint64_t *log)
{
    const char *slash = strrchr(origin, '/');

    if (slash == NULL || slash[1] < '1' || slash[1] > '9' || strlen(slash + 1) > 18 ||
        slash[1 + strspn(slash + 1, "0123456789")] != '\0')
        return false;
    *stem = (size_t)(slash - origin);
    *log = strtoull(slash + 1, NULL, 10);
    return true;
}

/* A log that follows another begins with the last checkpoint of that one. */
static void new_log(struct joined *j, const struct part_event *e)
{
    struct verify_report *r = j->report;
    struct note_judgement before;
    size_t stem = 0, stem_before = 1;
    uint64_t log = 0, log_before = 0;
    enum liaison_code code =
        note_judge(j->settings->policy, e->note, j->settings->now_s, &before);

    if (e->seq != 0)
        findings_add(found(j), FOUND_LOG, e->seq,
                     "entry %" PRIu64 " begins a new log within this one", e->seq);
    else if (code != LIAISON_OK)
        findings_add(
            found(j), FOUND_LOG, 0,
            "entry 0: the checkpoint of the log before is not signed by a key of the "
            "policy (%s)",
            err_text(code));
    else if (!split_origin(r->checkpoint.origin, &stem, &log) ||
             !split_origin(before.checkpoint.origin, &stem_before, &log_before) ||
             stem != stem_before || log != log_before + 1 ||
             memcmp(r->checkpoint.origin, before.checkpoint.origin, stem) != 0)
        findings_add(found(j), FOUND_LOG, 0, "entry 0: the log before is %s",
                     before.checkpoint.origin);
    else {
        r->continues_size = before.checkpoint.size;
        memcpy(r->continues, before.checkpoint.origin, sizeof r->continues);
        memcpy(r->continues_root, before.checkpoint.root, sizeof r->continues_root);
    }
}

static void erased(struct joined *j, const struct part_event *e)
{
    struct verify_report *r = j->report;

    if (r->erased < VERIFY_ERASED_KEPT) {
        r->erasures[r->erased].seq = e->seq;
        r->erasures[r->erased].has_referral = e->has_referral;
        memcpy(r->erasures[r->erased].referral, e->referral, sizeof e->referral);
    }
    r->erased++;
}

static enum liaison_code event(struct joined *j, const struct part_event *e, bool hole)
{
    if (e->event == LIAISON__V1__EVENT__EVENT_SUMMARY && !hole)
        summary(j, e);
    else if (e->event == LIAISON__V1__EVENT__EVENT_SUMMARY)
        j->report->summaries++;
    else if (e->event == LIAISON__V1__EVENT__EVENT_NEW_LOG)
        new_log(j, e);
    else if (e->event == LIAISON__V1__EVENT__EVENT_ERASE)
        erased(j, e);
    else
        return rotation(j, e);
    return LIAISON_OK;
}

/* ------------------------------------------------------------ parts */

static void rule_sets(struct joined *j, const struct part *p)
{
    if (!p->all_rule_sets)
        findings_add(found(j), FOUND_CANNOT, p->first,
                     "entries from %" PRIu64 " on cite too many rule sets", p->first);
    for (size_t i = 0; i < p->n_rule_sets; i++) {
        size_t at = j->n_rule_sets;

        while (at > 0 &&
               memcmp(j->rule_sets[at - 1].id, p->rule_sets[i].id, HASH_BYTES) != 0)
            at--;
        if (at > 0)
            continue;
        if (j->n_rule_sets == JOIN_RULE_SETS) {
            findings_add(found(j), FOUND_CANNOT, p->rule_sets[i].seq,
                         "entry %" PRIu64
                         " cites yet another rule set; there are too many",
                         p->rule_sets[i].seq);
            return;
        }
        memcpy(j->rule_sets[j->n_rule_sets].id, p->rule_sets[i].id, HASH_BYTES);
        j->rule_sets[j->n_rule_sets++].seq = p->rule_sets[i].seq;
    }
}

static void times(struct joined *j, const struct part *p)
{
    struct verify_report *r = j->report;

    if (!p->has_time)
        return;
    if (p->first_time_ns < j->last_time_ns)
        findings_add(found(j), FOUND_ORDER, p->first,
                     "entry %" PRIu64 " is older than the entry before it", p->first);
    if (r->first_time_ns == 0)
        r->first_time_ns = p->first_time_ns;
    j->last_time_ns = r->last_time_ns = p->last_time_ns;
}

enum liaison_code join_part(struct joined *j, const struct part *p)
{
    struct verify_report *r = j->report;
    enum liaison_code code = LIAISON_OK;

    r->entries += p->entries;
    r->bytes += p->bytes;
    r->hidden += p->hidden;
    r->tiles += p->tiles;
    r->pages += (p->end - p->first / SOURCE_WIDTH * SOURCE_WIDTH + SOURCE_WIDTH - 1) /
                SOURCE_WIDTH;
    findings_join(&r->found, &p->found);
    times(j, p);
    rule_sets(j, p);
    if (p->hole)
        parties_forget(j->parties);
    if (!parties_join(j->parties, p->parties, counter_gap, j))
        return LIAISON_MEMORY;
    for (size_t i = 0; code == LIAISON_OK && i < p->n_events; i++)
        code = event(j, &p->events[i], p->hole);
    if (p->hole)
        summary_lost(j, p->end);
    return code;
}

void join_end(struct joined *j)
{
    struct verify_report *r = j->report;
    size_t stem;
    uint64_t log;

    if (j->summary_left > 0 && j->summary_next < r->checkpoint.size)
        findings_add(found(j), FOUND_LOG, j->summary_next,
                     "entry %" PRIu64 " should go on with a summary: %" PRIu64
                     " commitments are missing",
                     j->summary_next, j->summary_left);
    if (j->start == 0 && r->continues_size == 0 && r->found.count[FOUND_LOG] == 0 &&
        split_origin(r->checkpoint.origin, &stem, &log) && log > 1)
        findings_add(found(j), FOUND_LOG, 0,
                     "log %" PRIu64
                     " does not begin with the last checkpoint of log %" PRIu64,
                     log, log - 1);
    if (r->hidden > 0 && j->settings->whole)
        findings_add(found(j), FOUND_MISSING, UINT64_MAX,
                     "%" PRIu64 " entries were not shown, and all are wanted", r->hidden);
    r->parties = parties_count(j->parties);
}
