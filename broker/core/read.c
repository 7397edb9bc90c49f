/* Reading: lists, referrals, histories, the directory. What is read is logged before a byte of it leaves. */
#include <stdlib.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"
#include "proto/valid.h"

enum {
    ROWS_VISITED_MAX =
        2048 /* rows that one page may look at; the cursor goes on from there */
};

static void deny(struct batch *b, struct call *c, struct session *s, struct denial d)
{
    const Liaison__V1__Caller *caller = c->frame->caller;

    if (caller != NULL) {
        d.officer = id_officer(caller->officer) ? caller->officer : NULL;
        d.purpose = id_word(caller->purpose) ? caller->purpose : NULL;
        d.basis = id_word(caller->basis) ? caller->basis : NULL;
    }
    core_refused(b, c, s, &d);
}

static void refuse(struct batch *b, struct call *c, struct session *s,
                   enum liaison_code code, const char *text, Liaison__V1__Event event,
                   struct slice referral_id)
{
    deny(b, c, s,
         (struct denial){
             .code = code, .text = text, .event = event, .referral_id = referral_id});
}

/* Whoever reads about a person says why (Directive (EU) 2016/680, article 25). */
static bool may_read(struct batch *b, struct call *c, struct session *s,
                     Liaison__V1__Event event, struct slice referral_id)
{
    const Liaison__V1__Caller *caller = c->frame->caller;
    const char *text = c->why;

    if (c->code == LIAISON_OK &&
        (caller == NULL || !id_word(caller->purpose) || !id_word(caller->basis) ||
         (caller->officer[0] != '\0' && !id_officer(caller->officer)))) {
        c->code = LIAISON_FIELD;
        text = "caller: a read names its purpose and basis";
    }
    if (c->code == LIAISON_OK)
        return true;
    refuse(b, c, s, c->code, text, event, referral_id);
    return false;
}

/* Encodes the answer first, since the entry commits to its bytes; logs it; both leave with the commit. */
static void answer_read(struct batch *b, struct call *c, struct session *s,
                        Liaison__V1__Frame *f, struct ledger_fact *fact,
                        struct item *item)
{
    const Liaison__V1__Caller *caller = c->frame->caller;
    struct party *other = NULL;
    struct recorded made;

    core_answer(b, c, f);
    if (item != NULL)
        other = item_other(b, item, s->party);
    fact->certificate = s->certificate;
    fact->returned = c->reply;
    if (caller != NULL) {
        fact->officer = caller->officer;
        fact->purpose = id_word(caller->purpose) ? caller->purpose : NULL;
        fact->basis = id_word(caller->basis) ? caller->basis : NULL;
    }
    if (!record(b, fact, s->party, other, item, true, &made))
        c->reply = slice(NULL, 0);
}

/* ------------------------------------------------------------ List */

/* Rows of an index: the referral each stands for, and its key behind the agency's, which is the cursor to go on from. */
struct visited {
    uint64_t number;
    uint8_t key[ID_BYTES];
};

struct visit {
    struct visited *rows;
    size_t n;
    size_t prefix, rest; /* bytes of a key before and in the cursor */
    bool number_is_value;
};

static int visit_row(void *arg, struct slice key, struct slice value)
{
    struct visit *v = arg;
    struct slice rest = slice(key.p + v->prefix, key.n - v->prefix);
    struct slice number = v->number_is_value ? value : rest;

    if (number.n != 8 || rest.n != v->rest)
        return 1;
    v->rows[v->n].number = be64_get(number.p);
    memcpy(v->rows[v->n++].key, rest.p, rest.n);
    return 0;
}

/* Looks at a box's index from the cursor on: the inbox is ordered by arrival, the sent box by the ids' time.
 * Errors: LIAISON_FIELD (no box, or a cursor that no page gave), those of the store. */
static enum liaison_code visit_box(struct batch *b, const Liaison__V1__List *l,
                                   uint32_t agency, struct visit *v)
{
    bool sent = l->box == LIAISON__V1__BOX__BOX_SENT;
    uint8_t from[32] = {0}, until[32] = {0};

    v->prefix = sent ? 5 : 4;
    v->rest = sent ? ID_BYTES : 8;
    v->number_is_value = sent;
    if (l->box == LIAISON__V1__BOX__BOX_UNSPECIFIED ||
        (l->cursor.len != 0 && l->cursor.len != v->rest))
        return LIAISON_FIELD;
    be32_put(from, agency);
    be32_put(until, sent ? agency : agency + 1);
    if (sent) {
        from[4] = 'R';
        until[4] = 'R' + 1;
    }
    size_t key = v->prefix + v->rest;

    if (l->cursor.len != 0) {
        memcpy(from + v->prefix, l->cursor.data, v->rest);
        from[key++] = 0; /* the first key behind the cursor's */
    }
    return store_batch_scan(b->tx, sent ? T_KNOWN : T_INBOX, slice(from, key),
                            slice(until, v->prefix), ROWS_VISITED_MAX, visit_row, v);
}

static size_t page_rows(const struct core *c, uint32_t wanted)
{
    return wanted == 0 || wanted > c->settings.page ? c->settings.page : wanted;
}

/* An index only leads: whose referral it is the referral says. */
static bool leads_to(const struct visit *v, const struct visited *row,
                     const struct session *s, const struct item *i)
{
    return i != NULL && (v->number_is_value ? i->row.from == s->party->number &&
                                                  slice_equal(binary_slice(i->row.id),
                                                              slice(row->key, ID_BYTES))
                                            : i->row.to == s->party->number);
}

/* A finished one only if it is asked for; the recipient does not see what is barred, or not approved yet. */
static bool is_listed(struct batch *b, const struct session *s,
                      const Liaison__V1__List *l, struct item *i)
{
    if (item_erased(i) ||
        (!l->finished && referral_finished((Liaison__V1__State)i->row.state)))
        return false;
    return l->box == LIAISON__V1__BOX__BOX_SENT || i->row.to != s->party->number ||
           (!item_hidden(i) && again_settled(b, i));
}

/* Puts the visited referrals on the page until it is full; *taken is how many were looked at. */
static bool fill_cards(struct batch *b, struct call *c, struct session *s,
                       const struct visit *v, Liaison__V1__Cards *page, size_t *taken)
{
    const Liaison__V1__List *l = c->frame->list;
    size_t rows = page_rows(b->core, l->limit), bytes = 0;

    for (*taken = 0;
         *taken < v->n && page->n_cards < rows && bytes < b->core->settings.page_bytes;
         (*taken)++) {
        struct item *i = index_item(b, v->rows[*taken].number);

        if (i == NULL && b->failed != LIAISON_OK)
            return false;
        if (!leads_to(v, &v->rows[*taken], s, i)) {
            log_error("index.wrong", "referral=%llu what=\"%s\"",
                      (unsigned long long)v->rows[*taken].number,
                      "a box lists what is not in it: it is passed over");
            continue;
        }
        bool listed = is_listed(b, s, l, i);

        if (b->failed != LIAISON_OK)
            return false;
        if (!listed)
            continue;
        if (!note_received(b, i, s->party, s->certificate, c->frame->caller->officer))
            return false;
        Liaison__V1__Card *card = card_of(b, i, s->party, false);

        if (card == NULL)
            return false;
        bytes += liaison__v1__card__get_packed_size(card);
        page->cards[page->n_cards++] = card;
    }
    return true;
}

void list_call(struct batch *b, struct call *c, struct session *s)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Cards page = LIAISON__V1__CARDS__INIT;
    struct ledger_fact fact = {.event = LIAISON__V1__EVENT__EVENT_LIST,
                               .operation =
                                   LIAISON__V1__OPERATION__OPERATION_CONSULTATION};
    struct visit v = {.rows = arena_alloc(b->arena, ROWS_VISITED_MAX * sizeof *v.rows)};
    size_t taken;

    page.cards = arena_alloc(b->arena, b->core->settings.page * sizeof *page.cards);
    if (v.rows == NULL || page.cards == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    if (!may_read(b, c, s, LIAISON__V1__EVENT__EVENT_LIST, slice(NULL, 0)))
        return;
    enum liaison_code code = visit_box(b, c->frame->list, s->party->number, &v);

    if (code == LIAISON_FIELD) {
        core_error(b, c, code,
                   "list: a box, and a cursor as the page before gave it, are wanted");
        return;
    }
    if (code != LIAISON_OK) {
        batch_fail(b, code);
        return;
    }
    if (!fill_cards(b, c, s, &v, &page, &taken))
        return;
    if (taken > 0 && (taken < v.n || v.n == ROWS_VISITED_MAX))
        page.cursor = (ProtobufCBinaryData){v.rest, v.rows[taken - 1].key};
    f.body_case = LIAISON__V1__FRAME__BODY_CARDS;
    f.cards = &page;
    answer_read(b, c, s, &f, &fact, NULL);
}

/* ------------------------------------------------------------ Open and History */

/* An approver sees what its agency sends, and not what it gets or is told; a recipient nothing that still wants approval. */
static bool is_theirs(const struct session *s, const struct item *i)
{
    return i->row.from == s->party->number ||
           (s->role == TLS_AGENCY && item_knows(i, s->party) && !item_hidden(i));
}

/* The caller's referral, or NULL after the answer that also stands for one that does not exist. */
static struct item *own_referral(struct batch *b, struct call *c, struct session *s,
                                 const Liaison__V1__Reference *r,
                                 Liaison__V1__Event event)
{
    struct slice id = r == NULL ? slice(NULL, 0) : binary_slice(r->id);
    struct item *i = NULL;

    if (!may_read(b, c, s, event, id_valid(id) ? id : slice(NULL, 0)))
        return NULL;
    if (r != NULL && id_name(r->from) && id_valid(id))
        i = item_find(b, party_find(b->core, r->from), id);
    if (i != NULL &&
        (is_theirs(s, i) || (event == LIAISON__V1__EVENT__EVENT_HISTORY &&
                             s->role == TLS_AGENCY && succession_reads(b, i, s->party))))
        return i;
    if (b->failed == LIAISON_OK)
        refuse(b, c, s, LIAISON_NOT_FOUND, NULL, event,
               id_valid(id) ? id : slice(NULL, 0));
    return NULL;
}

/* Actions with the sections that are sealed to the reader, those of the other party, if the rules allow it still. */
static bool fill_actions(struct batch *b, struct item *i, const struct party *reader,
                         bool allowed, Liaison__V1__View *view)
{
    size_t n = i->row.version - 1;

    view->actions = arena_alloc(b->arena, n * sizeof *view->actions);
    if (view->actions == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (uint32_t version = 2; version <= i->row.version; version++) {
        const Liaison__V1__SignedAction *kept;
        const void *action;
        bool by_sender;

        if (item_get_action(b, i, version, &kept) != LIAISON_OK ||
            valid_decode(&liaison__v1__action__descriptor,
                         slice(kept->action.data, kept->action.len), b->arena,
                         &action) != LIAISON_OK)
            return batch_fail(b, LIAISON_DAMAGED), false;
        Liaison__V1__SignedAction *shown = arena_alloc(b->arena, sizeof *shown);

        if (shown == NULL)
            return batch_fail(b, LIAISON_MEMORY), false;
        *shown = *kept;
        by_sender =
            strcmp(((const Liaison__V1__Action *)action)->agency, i->envelope->from) == 0;
        if (!allowed || by_sender == (reader->number == i->row.from))
            shown->n_sections = 0;
        view->actions[view->n_actions++] = shown;
    }
    return true;
}

bool section_names(struct batch *b, Liaison__V1__Section *const *sections,
                   size_t n_sections, const char **names, size_t *n)
{
    for (size_t i = 0; i < n_sections; i++) {
        const void *header;

        if (valid_decode(&liaison__v1__section_header__descriptor,
                         slice(sections[i]->header.data, sections[i]->header.len),
                         b->arena, &header) != LIAISON_OK)
            return batch_fail(b, LIAISON_DAMAGED), false;
        names[(*n)++] = ((const Liaison__V1__SectionHeader *)header)->name;
    }
    return true;
}

/* Every section that the view shows, by name: the referral's and what flowed back. */
static bool shown_names(struct batch *b, const Liaison__V1__View *v, const char ***names,
                        size_t *n)
{
    const Liaison__V1__SignedReferral *r = v->card->referral;
    size_t most = r->n_sections;

    for (size_t i = 0; i < v->n_actions; i++)
        most += v->actions[i]->n_sections;
    *n = 0;
    *names = arena_alloc(b->arena, most * sizeof **names);
    if (*names == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t i = 0; i < v->n_actions; i++)
        if (!section_names(b, v->actions[i]->sections, v->actions[i]->n_sections, *names,
                           n))
            return false;
    for (size_t i = 0; i < r->n_sections; i++)
        (*names)[(*n)++] =
            v->card->granted[i]; /* sections were kept in the order of these names */
    return true;
}

void open_call(struct batch *b, struct call *c, struct session *s)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__View view = LIAISON__V1__VIEW__INIT;
    struct item *i =
        own_referral(b, c, s, c->frame->open->referral, LIAISON__V1__EVENT__EVENT_OPEN);
    const char **names;
    size_t n;

    if (i != NULL && item_erased(i)) {
        refuse(b, c, s, LIAISON_ERASED, erased_text(b->arena, i),
               LIAISON__V1__EVENT__EVENT_OPEN, binary_slice(i->row.id));
        return;
    }
    if (i == NULL)
        return;
    bool allowed = again_settled(b, i), recipient = s->party->number == i->row.to;

    if (b->failed != LIAISON_OK)
        return;
    if (!allowed && i->row.from != s->party->number) {
        deny(b, c, s,
             (struct denial){.code = i->again.decision->code,
                             .text = i->again.why,
                             .decision = i->again.decision,
                             .event = LIAISON__V1__EVENT__EVENT_OPEN,
                             .referral_id = binary_slice(i->row.id)});
        return;
    }
    if (!note_received(b, i, s->party, s->certificate, c->frame->caller->officer))
        return;
    view.card = card_of(b, i, s->party, recipient && card_revealed(i));
    if (view.card == NULL ||
        (s->role == TLS_AGENCY && item_party(i, s->party) &&
         !fill_actions(b, i, s->party, allowed, &view)) ||
        !shown_names(b, &view, &names, &n))
        return;
    struct ledger_fact fact = {
        .event = LIAISON__V1__EVENT__EVENT_OPEN,
        .operation = n > 0 ? LIAISON__V1__OPERATION__OPERATION_DISCLOSURE
                           : LIAISON__V1__OPERATION__OPERATION_CONSULTATION,
        .referral_id = binary_slice(i->row.id),
        .sections = names,
        .n_sections = n,
    };

    f.body_case = LIAISON__V1__FRAME__BODY_VIEW;
    f.view = &view;
    answer_read(b, c, s, &f, &fact, i);
}

static bool fill_entries(struct batch *b, const struct trail *t, size_t rows,
                         Liaison__V1__Entries *page)
{
    page->entries = arena_alloc(b->arena, rows * sizeof *page->entries);
    if (page->entries == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t n = 0; n < t->n && n < rows; n++) {
        struct slice entry;

        if (store_get(b->tx, T_ENTRY, slice(t->seqs + 8 * n, 8), &entry) != LIAISON_OK)
            return batch_fail(b, LIAISON_DAMAGED), false;
        uint8_t *copy = arena_copy(b->arena, entry);

        if (copy == NULL)
            return batch_fail(b, LIAISON_MEMORY), false;
        page->entries[page->n_entries++] = (ProtobufCBinaryData){entry.n, copy};
    }
    return true;
}

void history_call(struct batch *b, struct call *c, struct session *s)
{
    const Liaison__V1__History *h = c->frame->history;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Entries page = LIAISON__V1__ENTRIES__INIT;
    struct item *i =
        own_referral(b, c, s, h->referral, LIAISON__V1__EVENT__EVENT_HISTORY);
    size_t rows = page_rows(b->core, h->limit);
    uint8_t cursor[8];

    if (i == NULL)
        return;
    if (h->cursor.len != 0 && h->cursor.len != 8) {
        core_error(b, c, LIAISON_FIELD, "history.cursor: as the page before gave it");
        return;
    }
    struct trail t = {.from = h->cursor.len == 0 ? 0 : be64_get(h->cursor.data),
                      .room = rows + 1};

    if (!trail_read(b, i, &t) || !fill_entries(b, &t, rows, &page))
        return;
    if (t.n > rows) {
        memcpy(cursor, t.seqs + 8 * rows, 8);
        page.cursor = (ProtobufCBinaryData){sizeof cursor, cursor};
    }
    struct ledger_fact fact = {.event = LIAISON__V1__EVENT__EVENT_HISTORY,
                               .operation =
                                   LIAISON__V1__OPERATION__OPERATION_CONSULTATION,
                               .referral_id = binary_slice(i->row.id)};

    f.body_case = LIAISON__V1__FRAME__BODY_HISTORY_PAGE;
    f.history_page = &page;
    answer_read(b, c, s, &f, &fact, i);
}

/* ------------------------------------------------------------ Directory */

void directory_call(struct batch *b, struct call *c, struct session *s)
{
    const Liaison__V1__Directory *d = c->frame->directory;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Agencies page = LIAISON__V1__AGENCIES__INIT;
    struct ledger_fact fact = {.event = LIAISON__V1__EVENT__EVENT_DIRECTORY,
                               .operation = LIAISON__V1__OPERATION__OPERATION_NONE};

    if (c->code != LIAISON_OK) {
        refuse(b, c, s, c->code, c->why, LIAISON__V1__EVENT__EVENT_DIRECTORY,
               slice(NULL, 0));
        return;
    }
    if (d->lists_from != 0 && !d->lists) {
        core_error(b, c, LIAISON_FIELD, "lists_from belongs to lists");
        return;
    }
    if (d->lists ? !agencies_lists(b, d->lists_from, &page)
                 : !agencies_fill(b, d, page_rows(b->core, d->limit), &page))
        return;
    f.body_case = LIAISON__V1__FRAME__BODY_AGENCIES;
    f.agencies = &page;
    answer_read(b, c, s, &f, &fact, NULL);
}
