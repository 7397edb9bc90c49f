#include "broker/ledger/ledger.h"

#include "proto/commit.h"

/* protobuf-c writes bytes that are empty but not NULL, and no strict decoder takes them. */
static ProtobufCBinaryData bytes(const void *p, size_t n)
{
    return (ProtobufCBinaryData){n, n == 0 ? NULL : (uint8_t *)(uintptr_t)p};
}

static void set_text(char **field, const char *text)
{
    if (text != NULL)
        *field = (char *)(uintptr_t)text;
}

static void set_digest(ProtobufCBinaryData *field, const uint8_t *digest)
{
    if (digest != NULL)
        *field = bytes(digest, HASH_BYTES);
}

/* The five commitments of one entry, while it is being encoded. */
struct commitments {
    uint8_t officer[HASH_BYTES], case_id[HASH_BYTES], counter[HASH_BYTES],
        content[HASH_BYTES], returned[HASH_BYTES];
};

static void set_commitment(struct hash *h, const uint8_t *opening, enum commit_field f,
                           struct slice value, uint8_t *room, ProtobufCBinaryData *field)
{
    if (value.n == 0)
        return;
    commit_make(h, opening, f, value, room);
    *field = bytes(room, HASH_BYTES);
}

static void set_commitments(struct hash *h, const struct ledger_fact *f,
                            const struct ledger_place *p, struct commitments *room,
                            Liaison__V1__LedgerEntry *e)
{
    uint8_t counter[8];
    be64_put(counter, p->counterpart_counter);
    struct slice officer = slice_text(f->officer == NULL ? "" : f->officer);
    struct slice count = slice(counter, p->counter_opening == NULL ? 0 : sizeof counter);
    set_commitment(h, p->opening, COMMIT_OFFICER, officer, room->officer,
                   &e->officer_commitment);
    set_commitment(h, p->opening, COMMIT_CASE, f->case_id, room->case_id,
                   &e->case_commitment);
    set_commitment(h, p->counter_opening, COMMIT_COUNTERPART_COUNTER, count,
                   room->counter, &e->counterpart_counter_commitment);
    set_commitment(h, p->opening, COMMIT_CONTENT, f->content, room->content,
                   &e->content_commitment);
    set_commitment(h, p->opening, COMMIT_RETURNED, f->returned, room->returned,
                   &e->returned_commitment);
}

static void set_fact(const struct ledger_fact *f, Liaison__V1__LedgerEntry *e)
{
    e->event = f->event;
    e->verdict = f->code == LIAISON_OK ? LIAISON__V1__VERDICT__VERDICT_DONE
                                       : LIAISON__V1__VERDICT__VERDICT_DENIED;
    e->code = (Liaison__V1__Code)f->code;
    e->operation = f->operation;
    set_text(&e->agency, f->agency);
    set_text(&e->counterpart, f->counterpart);
    e->referral_id = bytes(f->referral_id.p, f->referral_id.n);
    e->request_id = bytes(f->request_id.p, f->request_id.n);
    set_text(&e->purpose, f->purpose);
    set_text(&e->basis, f->basis);
    set_digest(&e->rule_set, f->rule_set);
    set_digest(&e->certificate, f->certificate);
    e->state_before = f->before;
    e->state_after = f->after;
    e->type = f->type;
    set_text(&e->responsible, f->responsible);
    e->sections = (char **)(uintptr_t)f->sections;
    e->n_sections = f->n_sections;
    e->count = f->count;
    e->summary = (ProtobufCBinaryData *)(uintptr_t)f->summary;
    e->n_summary = f->n_summary;
    e->note = bytes(f->note.p, f->note.n);
    set_digest(&e->before, f->was);
    set_text(&e->onward, f->onward);
    set_text(&e->role, f->role);
}

static enum liaison_code set_rules(struct arena *a, const struct ledger_fact *f,
                                   Liaison__V1__LedgerEntry *e)
{
    if (f->n_rules == 0)
        return LIAISON_OK;
    if (f->n_rules > LEDGER_ENTRY_MAX)
        return LIAISON_LIMIT;
    ProtobufCBinaryData *rules = arena_alloc(a, f->n_rules * sizeof *rules);
    if (rules == NULL)
        return LIAISON_MEMORY;
    for (size_t i = 0; i < f->n_rules; i++)
        rules[i] = bytes(f->rules[i].p, f->rules[i].n);
    e->rules = rules;
    e->n_rules = f->n_rules;
    return LIAISON_OK;
}

enum liaison_code ledger_entry(struct hash *h, struct arena *a,
                               const struct ledger_fact *f, const struct ledger_place *p,
                               struct slice *out)
{
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    struct commitments room;
    uint8_t nonce[16];
    enum liaison_code code = set_rules(a, f, &e);
    if (code != LIAISON_OK)
        return code;
    hash_random(h, nonce, sizeof nonce);
    e.version = LEDGER_VERSION;
    e.log = p->log;
    e.seq = p->seq;
    e.time_ns = p->time_ns;
    e.clock = p->clock;
    e.nonce = bytes(nonce, sizeof nonce);
    e.agency_counter = p->agency_counter;
    set_fact(f, &e);
    set_commitments(h, f, p, &room, &e);

    size_t len = protobuf_c_message_get_packed_size(&e.base);
    if (len > LEDGER_ENTRY_MAX)
        return LIAISON_LIMIT; /* never cut: an entry says all or is not made */
    uint8_t *to = arena_alloc(a, len);
    if (to == NULL)
        return LIAISON_MEMORY;
    *out = slice(to, protobuf_c_message_pack(&e.base, to));
    return LIAISON_OK;
}
