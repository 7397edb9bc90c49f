#include "client/audit/verify_print.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/json/json.h"
#include "proto/id.h"

static const char *const RESULTS[] = {
    [VERIFY_GOOD] = "verified",       [VERIFY_TAMPERED] = "tampered",
    [VERIFY_FORK] = "fork",           [VERIFY_INCOMPLETE] = "incomplete",
    [VERIFY_CANNOT] = "cannot-check",
};

static void hex(const uint8_t *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", p[i]);
}

/* Names come from the log: what could steer a terminal is masked. */
static void say(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
        putchar(*p < ' ' || *p == 0x7f ? '?' : *p);
}

static const char *time_text(uint64_t seconds, char out[40])
{
    json_time_text(seconds, 0, 0, out, 40);
    return out;
}

/* ------------------------------------------------------------ for people */

void verify_print_note(const struct checkpoint *c, const struct note_judgement *j)
{
    char root[2 * HASH_BYTES + 1], when[40];

    hex(c->root, HASH_BYTES, root);
    say(c->origin);
    printf(": %" PRIu64 " entries, root %s\n", c->size, root);
    if (j == NULL)
        return;
    printf("signed with the key %02x%02x%02x%02x", j->log.id[0], j->log.id[1],
           j->log.id[2], j->log.id[3]);
    if (j->n_witnesses > 0)
        printf(", cosigned by %zu witnesses, the last at %s", j->n_witnesses,
               time_text(j->witnessed_s, when));
    puts(!j->quorum         ? ""
         : j->quorum_s == 0 ? "; the policy wants no witnesses"
                            : ": the quorum that the policy wants");
}

static void print_checked(const struct verify_report *r)
{
    char from[40], until[40];

    if (r->entries == 0)
        printf("no new entries since the last time; %" PRIu64 " tiles", r->tiles);
    else
        printf("checked entries %" PRIu64 " to %" PRIu64 ": %" PRIu64 " bytes in %" PRIu64
               " pages, %" PRIu64 " tiles, %" PRIu64 " rule texts, counters of %" PRIu64
               " parties, %" PRIu64 " summaries, times from %s to %s",
               r->from, r->from + r->entries - 1, r->bytes, r->pages, r->tiles,
               r->rule_texts, r->parties, r->summaries,
               time_text(r->first_time_ns / 1000000000, from),
               time_text(r->last_time_ns / 1000000000, until));
    putchar('\n');
    if (r->hidden > 0)
        printf("%" PRIu64 " of them were not shown to this auditor: of those only hashes "
               "were checked, and no party's counter across them\n",
               r->hidden);
    if (r->next.from > 0)
        printf("entries 0 to %" PRIu64
               " are not in the bundle: of them only hashes were checked\n",
               r->next.from - 1);
    if (r->rotations > 0)
        printf("the log's key was changed %" PRIu64
               " times, each time signed by both keys\n",
               r->rotations);
    if (r->continues_size > 0) {
        fputs("continues ", stdout);
        say(r->continues);
        printf(" at %" PRIu64 " entries\n", r->continues_size);
    }
}

static void print_erased(const struct verify_report *r)
{
    char id[ID_TEXT];

    for (uint64_t i = 0; i < r->erased && i < VERIFY_ERASED_KEPT; i++) {
        printf("erased under entry %" PRIu64, r->erasures[i].seq);
        if (r->erasures[i].has_referral) {
            id_text(r->erasures[i].referral, id);
            printf(": referral %s", id);
        }
        putchar('\n');
    }
    if (r->erased > VERIFY_ERASED_KEPT)
        printf("and %" PRIu64 " more erasures\n", r->erased - VERIFY_ERASED_KEPT);
}

static void print_found(const struct findings *f)
{
    for (enum finding_kind kind = 0; kind < FOUND__COUNT; kind++) {
        for (uint64_t i = 0; i < f->count[kind] && i < FINDINGS_KEPT; i++) {
            printf("%s: ", finding_word(kind));
            say(f->first[kind][i].text);
            putchar('\n');
        }
        if (f->count[kind] > FINDINGS_KEPT)
            printf("%s: and %" PRIu64 " more\n", finding_word(kind),
                   f->count[kind] - FINDINGS_KEPT);
    }
}

/* The lowest entry that something is wrong with; UINT64_MAX: none is named. */
static uint64_t first_bad(const struct findings *f)
{
    uint64_t first = UINT64_MAX;

    for (enum finding_kind kind = 0; kind < FOUND__COUNT; kind++)
        if (finding_result(kind) == VERIFY_TAMPERED)
            for (uint64_t i = 0; i < f->count[kind] && i < FINDINGS_KEPT; i++)
                if (f->first[kind][i].seq < first)
                    first = f->first[kind][i].seq;
    return first;
}

static void print_result(const struct verify_report *r, const struct verify_about *about)
{
    enum verify_result result = findings_result(&r->found);
    uint64_t bad = first_bad(&r->found);

    if (result == VERIFY_FORK && about->evidence != NULL)
        printf("both notes are in %s: show them to others\n", about->evidence);
    if (result == VERIFY_GOOD)
        puts("verified");
    else if (result == VERIFY_TAMPERED && bad != UINT64_MAX)
        printf("NOT VERIFIED: tampered; the first is entry %" PRIu64 "\n", bad);
    else
        printf("NOT VERIFIED: %s\n", RESULTS[result]);
}

void verify_print(const struct verify_report *r, const struct verify_about *about)
{
    bool good = findings_result(&r->found) == VERIFY_GOOD;

    if (r->checkpoint.origin[0] != '\0')
        verify_print_note(&r->checkpoint, r->judged ? &r->judgement : NULL);
    if (r->checkpoint.size > 0)
        print_checked(r);
    print_erased(r);
    print_found(&r->found);
    if (good && r->last_size > 0)
        printf("extends the checkpoint of %" PRIu64 " entries that was seen before\n",
               r->last_size);
    if (good && r->others > 0)
        printf("extends %" PRIu64 " other checkpoints\n", r->others);
    if (good && about->first_run)
        puts("first run: nothing was seen before, so this checkpoint is taken on first "
             "use");
    print_result(r, about);
}

/* ------------------------------------------------------------ for programs */

static json_t *found_json(const struct findings *f)
{
    json_t *list = json_array();

    for (enum finding_kind kind = 0; kind < FOUND__COUNT; kind++)
        for (uint64_t i = 0; i < f->count[kind] && i < FINDINGS_KEPT; i++) {
            json_t *o = json_pack("{s:s, s:s}", "kind", finding_word(kind), "text",
                                  f->first[kind][i].text);

            if (o != NULL && f->first[kind][i].seq != UINT64_MAX)
                json_object_set_new(o, "seq",
                                    json_integer((json_int_t)f->first[kind][i].seq));
            json_array_append_new(list, o);
        }
    return list;
}

static json_t *counts_json(const struct findings *f)
{
    json_t *o = json_object();

    for (enum finding_kind kind = 0; kind < FOUND__COUNT; kind++)
        if (f->count[kind] > 0)
            json_object_set_new(o, finding_word(kind),
                                json_integer((json_int_t)f->count[kind]));
    return o;
}

static json_t *erased_json(const struct verify_report *r)
{
    json_t *list = json_array();
    char id[ID_TEXT];

    for (uint64_t i = 0; i < r->erased && i < VERIFY_ERASED_KEPT; i++) {
        json_t *o = json_pack("{s:I}", "entry", (json_int_t)r->erasures[i].seq);

        if (o != NULL && r->erasures[i].has_referral) {
            id_text(r->erasures[i].referral, id);
            json_object_set_new(o, "referral", json_string(id));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static void set_numbers(json_t *o, const struct verify_report *r)
{
    const struct {
        const char *key;
        uint64_t value;
    } ROWS[] = {
        {"size", r->checkpoint.size},
        {"from", r->from},
        {"verified_from", r->next.from},
        {"entries", r->entries},
        {"hidden", r->hidden},
        {"bytes", r->bytes},
        {"pages", r->pages},
        {"tiles", r->tiles},
        {"rule_texts", r->rule_texts},
        {"parties", r->parties},
        {"summaries", r->summaries},
        {"rotations", r->rotations},
        {"first_time_ns", r->first_time_ns},
        {"last_time_ns", r->last_time_ns},
        {"last_size", r->last_size},
        {"others", r->others},
        {"continues_size", r->continues_size},
        {"erased", r->erased},
        {"witnesses", r->judgement.n_witnesses},
        {"witnessed_unix_s", r->judgement.witnessed_s},
        {"quorum_unix_s", r->judgement.quorum_s},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        json_object_set_new(o, ROWS[i].key, json_integer((json_int_t)ROWS[i].value));
}

bool verify_print_json(const struct verify_report *r, const struct verify_about *about)
{
    enum verify_result result = findings_result(&r->found);
    char root[2 * HASH_BYTES + 1];

    hex(r->checkpoint.root, HASH_BYTES, root);
    json_t *o = json_pack("{s:s, s:i, s:s, s:s, s:b, s:b, s:b}", "result",
                          RESULTS[result], "exit", (int)result, "origin",
                          r->checkpoint.origin, "root", root, "signed", r->judged,
                          "quorum", r->judgement.quorum, "first_run", about->first_run);

    if (o == NULL)
        return false;
    set_numbers(o, r);
    json_object_set_new(o, "erasures", erased_json(r));
    json_object_set_new(o, "counts", counts_json(&r->found));
    json_object_set_new(o, "findings", found_json(&r->found));
    if (result == VERIFY_FORK && about->evidence != NULL)
        json_object_set_new(o, "evidence", json_string(about->evidence));
    char *line = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);

    json_decref(o);
    if (line == NULL)
        return false;
    puts(line);
    free(line);
    return true;
}
