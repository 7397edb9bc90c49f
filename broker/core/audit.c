/* What auditors read: entries that concern their area; and what agencies do: the KEY entries of their own names. The reading is an
 * entry too. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"
#include "proto/valid.h"

enum {
    ENTRIES_VISITED_MAX =
        4096,   /* that one page may look at; the cursor goes on from there */
    CURSOR = 16 /* number of the next entry, and the counter of the agency asked for */
};

struct page {
    const struct core *core;
    struct arena *scratch, *arena;
    const Liaison__V1__EntryFilter *filter;
    const char *area, *self;
    Liaison__V1__Entries *entries;
    size_t rows, bytes, bytes_max;
    size_t visited;
    uint64_t next;
    uint64_t damaged; /* number of an entry that is none */
    uint64_t first,
        end; /* numbers in the store that are looked at: from, and up to but without */
    struct batch *batch;
    const struct party *owner; /* the agency that asks for the KEY entries of its name */
    const struct party *counted; /* whose counters are told; NULL: nobody's */
    uint64_t counter;            /* entries that concern it, up to the one in hand */
    enum liaison_code code;
};

static bool concerns_area(const struct page *p, const char *party)
{
    const struct rules_agency *a =
        party[0] == '\0' ? NULL : rules_agency(p->core->settings.rules, party);

    return a != NULL && rules_area_within(a->area, p->area);
}

/* An auditor of the whole network reads everything; one of an area what concerns an agency in it, what the broker itself did,
 * which concerns all, and its own reads. */
static bool in_area(const struct page *p, const Liaison__V1__LedgerEntry *e)
{
    static const char BROKER[] = "broker:";

    return p->owner != NULL || strcmp(p->area, "any") == 0 ||
           concerns_area(p, e->agency) || concerns_area(p, e->counterpart) ||
           strncmp(e->agency, BROKER, sizeof BROKER - 1) == 0 ||
           strcmp(e->agency, p->self) == 0;
}

static bool wanted(const struct page *p, const Liaison__V1__LedgerEntry *e)
{
    const Liaison__V1__EntryFilter *f = p->filter;

    return (f->event == 0 || e->event == f->event) && e->time_ns >= f->from_ns &&
           (f->until_ns == 0 || e->time_ns < f->until_ns) &&
           (f->agency[0] == '\0' || strcmp(e->agency, f->agency) == 0 ||
            strcmp(e->counterpart, f->agency) == 0) &&
           (f->referral.len == 0 ||
            slice_equal(slice(f->referral.data, f->referral.len),
                        slice(e->referral_id.data, e->referral_id.len))) &&
           in_area(p, e);
}

/* What is wrong with it is known: it is shown as it is. */
static bool is_evidence(const struct page *p, uint64_t number)
{
    return p->core->evidence || number < log_base(p->core->log);
}

/* Counts the entries that concern the agency asked for. False: the log says another number than its entries come to. */
static bool count(struct page *p, const Liaison__V1__LedgerEntry *e)
{
    if (p->counted == NULL)
        return true;
    if (strcmp(e->agency, p->counted->name) == 0) {
        bool same = ++p->counter == e->agency_counter;

        p->counter = e->agency_counter;
        return same;
    }
    p->counter += strcmp(e->counterpart, p->counted->name) == 0;
    return true;
}

/* Of an entry that the agency is the counterpart of, what the commitment to its counter opens to. */
static enum liaison_code tell_counter(struct page *p, const Liaison__V1__LedgerEntry *e,
                                      uint64_t number)
{
    Liaison__V1__Counter *row;
    struct vault_keys keys;
    uint8_t *opening;

    if (p->counted == NULL || strcmp(e->counterpart, p->counted->name) != 0)
        return LIAISON_OK;
    enum liaison_code code = party_old_keys(p->batch, p->counted, e->time_ns, &keys);

    if (code == LIAISON_EVIDENCE || (code != LIAISON_OK && is_evidence(p, number)))
        return LIAISON_OK;
    if (code != LIAISON_OK)
        return code;
    row = arena_alloc(p->arena, sizeof *row);
    opening = arena_alloc(p->arena, 32);
    if (row == NULL || opening == NULL)
        return LIAISON_MEMORY;
    liaison__v1__counter__init(row);
    row->seq = e->seq;
    row->counter = p->counter;
    vault_opening(p->core->hash, &keys, number, opening);
    OPENSSL_cleanse(&keys, sizeof keys);
    row->opening = (ProtobufCBinaryData){32, opening};
    p->entries->counters[p->entries->n_counters++] = row;
    p->bytes += 48;
    return LIAISON_OK;
}

static int add_entry(struct page *p, struct slice value)
{
    uint8_t *copy = arena_copy(p->arena, value);

    if (copy == NULL) {
        p->code = LIAISON_MEMORY;
        return 1;
    }
    p->entries->entries[p->entries->n_entries++] = (ProtobufCBinaryData){value.n, copy};
    p->bytes += value.n;
    return 0;
}

/* What is no entry any more is shown to whoever may see every entry and asked for every one. */
static int visit_damaged(struct page *p, uint64_t number, struct slice value)
{
    const Liaison__V1__EntryFilter *f = p->filter;

    p->damaged = number;
    if (!is_evidence(p, number))
        return 1;
    p->code = LIAISON_OK;
    return strcmp(p->area, "any") == 0 && f->event == 0 && f->agency[0] == '\0' &&
                   f->referral.len == 0 && f->from_ns == 0 && f->until_ns == 0
               ? add_entry(p, value)
               : 0;
}

static int visit_entry(void *arg, struct slice key, struct slice value)
{
    struct page *p = arg;
    uint64_t number = be64_get(key.p);
    const void *m;

    if (number >= p->end)
        return 1;
    if (p->entries->n_entries == p->rows || p->bytes > p->bytes_max ||
        p->visited++ == ENTRIES_VISITED_MAX) {
        p->next = number;
        return 1;
    }
    arena_reset(p->scratch);
    p->code = valid_decode(&liaison__v1__ledger_entry__descriptor, value, p->scratch, &m);
    if (p->code == LIAISON_OK && !count(p, m) && !is_evidence(p, number))
        p->code = p->filter->cursor.len > 0 ? LIAISON_FIELD : LIAISON_DAMAGED;
    if (p->code == LIAISON_MALFORMED || p->code == LIAISON_DAMAGED)
        return visit_damaged(p, number, value);
    if (p->code != LIAISON_OK)
        return 1;
    if (!wanted(p, m))
        return 0;
    p->code = tell_counter(p, m, number);
    return p->code != LIAISON_OK ? 1 : add_entry(p, value);
}

/* Numbers are those of the newest log; without any it is all that the store holds. */
static void set_range(struct page *p)
{
    const Liaison__V1__EntryFilter *f = p->filter;
    uint64_t base = log_base(p->core->log), most = UINT64_MAX - base;

    p->end = f->until_seq == 0 || f->until_seq > most ? UINT64_MAX : base + f->until_seq;
    p->first = f->from_seq == 0 && f->until_seq == 0 ? 0
               : f->from_seq > most                  ? UINT64_MAX
                                                     : base + f->from_seq;
}

/* An agency's are known by their numbers, however long the log is. */
static enum liaison_code visit_keys(struct batch *b, struct page *p, uint64_t from)
{
    enum liaison_code code = LIAISON_OK;
    struct slice numbers, entry;

    if (!keys_of(b, p->owner, &numbers))
        return b->failed;
    for (size_t i = 0; i < numbers.n; i += 8) {
        if (be64_get(numbers.p + i) < from)
            continue;
        p->damaged = be64_get(numbers.p + i);
        code = store_get(b->tx, T_ENTRY, slice(numbers.p + i, 8), &entry);
        if (code != LIAISON_OK || visit_entry(p, slice(numbers.p + i, 8), entry) != 0)
            break;
    }
    return code == LIAISON_NOT_FOUND ? LIAISON_DAMAGED : code;
}

static enum liaison_code fill_page(struct batch *b, struct page *p)
{
    uint8_t from[8];

    be64_put(from, p->first);
    if (p->filter->cursor.len == CURSOR) {
        memcpy(from, p->filter->cursor.data, sizeof from);
        p->counter = be64_get(p->filter->cursor.data + sizeof from);
    }
    p->scratch = arena_new();
    p->entries->entries = arena_alloc(b->arena, p->rows * sizeof *p->entries->entries);
    p->entries->counters = arena_alloc(b->arena, p->rows * sizeof *p->entries->counters);
    if (p->scratch == NULL || p->entries->entries == NULL ||
        p->entries->counters == NULL) {
        arena_free(p->scratch);
        return LIAISON_MEMORY;
    }
    enum liaison_code code =
        p->owner != NULL ? visit_keys(b, p, be64_get(from))
                         : store_batch_scan(b->tx, T_ENTRY, slice(from, sizeof from),
                                            slice(NULL, 0), SIZE_MAX, visit_entry, p);

    arena_free(p->scratch);
    return code != LIAISON_OK ? code : p->code;
}

static void refuse(struct batch *b, struct call *c, struct session *s,
                   enum liaison_code code, const char *text)
{
    struct denial d = {
        .code = code, .text = text, .event = LIAISON__V1__EVENT__EVENT_AUDIT_READ};

    core_refused(b, c, s, &d);
}

static bool caller_says_why(const Liaison__V1__Caller *c)
{
    return c != NULL && id_word(c->purpose) && id_word(c->basis) &&
           (c->officer[0] == '\0' || id_officer(c->officer));
}

static bool filter_ok(const Liaison__V1__EntryFilter *f)
{
    return (f->agency[0] == '\0' || strlen(f->agency) <= ID_NAME_MAX + 8) &&
           (f->referral.len == 0 || f->referral.len == ID_BYTES) &&
           (f->cursor.len == 0 || f->cursor.len == CURSOR);
}

static void answer_page(struct batch *b, struct call *c, struct session *s,
                        struct page *p)
{
    const Liaison__V1__Caller *caller = c->frame->caller;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    struct recorded made;
    uint8_t cursor[CURSOR];

    if (p->next != 0) {
        be64_put(cursor, p->next);
        be64_put(cursor + 8, p->counter);
        p->entries->cursor = (ProtobufCBinaryData){sizeof cursor, cursor};
    }
    f.body_case = LIAISON__V1__FRAME__BODY_ENTRIES_PAGE;
    f.entries_page = p->entries;
    core_answer(b, c, &f);
    struct ledger_fact fact = {
        .event = LIAISON__V1__EVENT__EVENT_AUDIT_READ,
        .operation = p->owner == NULL ? LIAISON__V1__OPERATION__OPERATION_CONSULTATION
                                      : LIAISON__V1__OPERATION__OPERATION_NONE,
        .officer = caller->officer,
        .purpose = caller->purpose,
        .basis = caller->basis,
        .certificate = s->certificate,
        .referral_id = slice(p->filter->referral.data, p->filter->referral.len),
        .returned = c->reply,
    };

    if (b->core->evidence)
        log_warn("evidence.read", "auditor=%s entries=%zu", s->name,
                 p->entries->n_entries);
    else if (!record(b, &fact, s->party, NULL, NULL, true, &made))
        c->reply = slice(NULL, 0);
}

static void damaged(struct batch *b, struct call *c, uint64_t number)
{
    char why[64];

    snprintf(why, sizeof why, "entry %llu cannot be read as it was hashed",
             (unsigned long long)(number - log_base(b->core->log)));
    core_found_damage(b, c, why);
}

void entries_call(struct batch *b, struct call *c, struct session *s)
{
    Liaison__V1__Entries entries = LIAISON__V1__ENTRIES__INIT;
    const Liaison__V1__EntryFilter *filter = c->frame->entries;
    const char *area = s->role == TLS_AUDITOR
                           ? rules_auditor_area(b->core->settings.rules, s->name)
                       : s->role == TLS_AGENCY ? ""
                                               : NULL;

    if (c->code != LIAISON_OK || area == NULL) {
        refuse(b, c, s, c->code != LIAISON_OK ? c->code : LIAISON_ROLE, c->why);
        return;
    }
    if (!caller_says_why(c->frame->caller) || !filter_ok(filter)) {
        refuse(b, c, s, LIAISON_FIELD,
               "entries: a caller with purpose and basis, and a well-formed filter, are "
               "wanted");
        return;
    }
    struct page p = {
        .core = b->core,
        .batch = b,
        .arena = b->arena,
        .filter = filter,
        .area = area,
        .self = s->party->name,
        .owner = s->role == TLS_AGENCY ? s->party : NULL,
        .entries = &entries,
        .rows = filter->limit == 0 || filter->limit > b->core->settings.page
                    ? b->core->settings.page
                    : filter->limit,
        .bytes_max = b->core->settings.page_bytes,
    };
    set_range(&p);
    if (p.owner == NULL && filter->agency[0] != '\0' && p.first == 0 &&
        (strcmp(area, "any") == 0 || concerns_area(&p, filter->agency)))
        p.counted = party_find(b->core, filter->agency);
    enum liaison_code code = fill_page(b, &p);

    if (code == LIAISON_MALFORMED || code == LIAISON_DAMAGED)
        damaged(b, c, p.damaged);
    else if (code == LIAISON_FIELD) /* a peer's cursor proves nothing of the log */
        refuse(b, c, s, code, "entries.cursor: as the page before gave it");
    else if (code != LIAISON_OK)
        batch_fail(b, code);
    else
        answer_page(b, c, s, &p);
}
