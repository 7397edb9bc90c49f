/* One ledger entry for people and for programs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/audit.h"
#include "proto/id.h"

static int print_json(const Liaison__V1__LedgerEntry *e)
{
    json_t *o = NULL;
    enum liaison_code code = json_print(&e->base, &o);
    if (code == LIAISON_OK && e->seq == 0) /* a default, and still this entry's number */
        json_object_set_new(o, "seq", json_integer(0));
    char *line =
        code == LIAISON_OK ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

    json_decref(o);
    if (line == NULL)
        return audit_fail(LIAISON_MEMORY, "entry %" PRIu64 " cannot be written as JSON",
                          e->seq);
    puts(line);
    free(line);
    return 0;
}

static const char *word(const ProtobufCEnumDescriptor *type, int number, char *out,
                        size_t out_len)
{
    const char *w = json_word(type, number, out, out_len);

    return w != NULL ? w : "?";
}

/* Strict decoding made it UTF-8 without NUL; control characters, which could steer a terminal, are masked. */
static void masked(const char *value)
{
    for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++) {
        bool c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;

        putchar(*p < ' ' || *p == 0x7f || c1 ? '?' : *p);
        p += c1;
    }
}

/* " what value", if there is a value. */
static void part(const char *what, const char *value)
{
    if (value[0] == '\0')
        return;
    printf(" %s", what);
    masked(value);
}

static void part_states(const Liaison__V1__LedgerEntry *e)
{
    char before[64], after[64], both[132];

    if (e->state_after == LIAISON__V1__STATE__STATE_UNSPECIFIED)
        return;
    word(&liaison__v1__state__descriptor, (int)e->state_after, after, sizeof after);
    if (e->state_before == LIAISON__V1__STATE__STATE_UNSPECIFIED ||
        e->state_before == e->state_after)
        snprintf(both, sizeof both, "%s", after);
    else
        snprintf(both, sizeof both, "%s->%s",
                 word(&liaison__v1__state__descriptor, (int)e->state_before, before,
                      sizeof before),
                 after);
    part("state=", both);
}

/* The first 8 hex digits of each rule's id: enough to tell rules apart, --json has the rest. */
static void part_rules(const Liaison__V1__LedgerEntry *e)
{
    for (size_t i = 0; i < e->n_rules; i++) {
        fputs(i == 0 ? " rules=" : ",", stdout);
        for (size_t j = 0; j < 4 && j < e->rules[i].len; j++)
            printf("%02x", e->rules[i].data[j]);
    }
}

static void part_sections(const Liaison__V1__LedgerEntry *e)
{
    for (size_t i = 0; i < e->n_sections; i++) {
        fputs(i == 0 ? " sections=" : ",", stdout);
        masked(e->sections[i]);
    }
}

static void print_line(const Liaison__V1__LedgerEntry *e)
{
    char time[40], event[64], id[ID_TEXT] = "";

    json_time_text(e->time_ns / 1000000000, (uint32_t)(e->time_ns % 1000000000), 3, time,
                   sizeof time);
    if (e->referral_id.len == ID_BYTES)
        id_text(e->referral_id.data, id);
    printf("%" PRIu64 " %s %-11s %s", e->seq, time,
           word(&liaison__v1__event__descriptor, (int)e->event, event, sizeof event),
           e->verdict == LIAISON__V1__VERDICT__VERDICT_DENIED ? "DENIED" : "done");
    if (e->verdict == LIAISON__V1__VERDICT__VERDICT_DENIED)
        printf(" %s", err_name((enum liaison_code)e->code));
    part("", e->agency[0] != '\0' ? e->agency : "broker");
    part("as=", e->role);
    part("-> ", e->counterpart);
    part("onward=", e->onward);
    part("referral=", id);
    part_states(e);
    part("responsible=", e->responsible);
    part_sections(e);
    part("purpose=", e->purpose);
    part("basis=", e->basis);
    part_rules(e);
    if (e->count > 0)
        printf(" count=%" PRIu64, e->count);
    putchar('\n');
}

int audit_entry(const Liaison__V1__LedgerEntry *e, bool json)
{
    if (json)
        return print_json(e);
    print_line(e);
    return 0;
}
