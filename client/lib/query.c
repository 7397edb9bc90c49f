/* Queries: fields by key, pages by cursor. */
#include <stdlib.h>

#include "client/lib/check.h"
#include "client/lib/draft.h"
#include "client/lib/engine.h"
#include "proto/id.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

enum { PAGE_LIMIT_MAX = 100000 };

enum list_field { L_BOX, L_FINISHED, L_LIMIT, L__COUNT };
enum history_field { H_FROM, H_ID, H_LIMIT, H__COUNT };
enum directory_field { D_AGENCY, D_KIND, D_AREA, D_SKILL, D_LANGUAGE, D_LIMIT, D__COUNT };
enum entries_field {
    E_AGENCY,
    E_REFERRAL,
    E_EVENT,
    E_FROM_NS,
    E_UNTIL_NS,
    E_FROM_SEQ,
    E_UNTIL_SEQ,
    E_LIMIT,
    E__COUNT
};

static const struct draft_field LIST[L__COUNT] = {
    [L_BOX] = {"box", FORM_ENUM, &liaison__v1__box__descriptor},
    [L_FINISHED] = {"finished", FORM_YES_NO, NULL},
    [L_LIMIT] = {"limit", FORM_NUMBER, NULL},
};
static const struct draft_field HISTORY[H__COUNT] = {
    [H_FROM] = {"from", FORM_NAME, NULL},
    [H_ID] = {"id", FORM_ID, NULL},
    [H_LIMIT] = {"limit", FORM_NUMBER, NULL},
};
static const struct draft_field DIRECTORY[D__COUNT] = {
    [D_AGENCY] = {"agency", FORM_NAME, NULL},
    [D_KIND] = {"kind", FORM_WORD, NULL},
    [D_AREA] = {"area", FORM_NAME, NULL},
    [D_SKILL] = {"skill", FORM_WORD, NULL},
    [D_LANGUAGE] = {"language", FORM_WORD, NULL},
    [D_LIMIT] = {"limit", FORM_NUMBER, NULL},
};
static const struct draft_field ENTRIES[E__COUNT] = {
    [E_AGENCY] = {"agency", FORM_NAME, NULL},
    [E_REFERRAL] = {"referral", FORM_ID, NULL},
    [E_EVENT] = {"event", FORM_ENUM, &liaison__v1__event__descriptor},
    [E_FROM_NS] = {"from_ns", FORM_NUMBER, NULL},
    [E_UNTIL_NS] = {"until_ns", FORM_NUMBER, NULL},
    [E_FROM_SEQ] = {"from_seq", FORM_NUMBER, NULL},
    [E_UNTIL_SEQ] = {"until_seq", FORM_NUMBER, NULL},
    [E_LIMIT] = {"limit", FORM_NUMBER, NULL},
};

struct liaison_query {
    struct draft draft;
    const struct kind *kind;
    uint8_t *cursor;
    size_t cursor_len;
    bool over; /* the last page was fetched */
};

/* Room for whichever message the query is. */
struct request {
    Liaison__V1__List list;
    Liaison__V1__History history;
    Liaison__V1__Reference referral;
    Liaison__V1__Directory directory;
    Liaison__V1__EntryFilter entries;
    uint8_t id[16];
    ProtobufCBinaryData cursor;
};

static uint32_t limit(const struct draft *d, size_t field)
{
    uint64_t n = draft_number(d, field);

    return n > PAGE_LIMIT_MAX ? PAGE_LIMIT_MAX : (uint32_t)n;
}

static enum liaison_code make_list(const struct draft *d, struct request *q,
                                   Liaison__V1__Frame *f)
{
    if (d->values[L_BOX] == NULL)
        return lib_fail(d->l, LIAISON_FIELD, "box: inbox or sent is wanted");
    liaison__v1__list__init(&q->list);
    q->list.box = (Liaison__V1__Box)draft_enum(d, L_BOX);
    q->list.finished = strcmp(draft_text(d, L_FINISHED), "yes") == 0;
    q->list.limit = limit(d, L_LIMIT);
    q->list.cursor = q->cursor;
    f->body_case = BODY(LIST);
    f->list = &q->list;
    return LIAISON_OK;
}

static enum liaison_code make_history(const struct draft *d, struct request *q,
                                      Liaison__V1__Frame *f)
{
    if (d->values[H_FROM] == NULL || !id_parse(draft_text(d, H_ID), q->id))
        return lib_fail(d->l, LIAISON_FIELD,
                        "from and id: the referral's sender and id are wanted");
    liaison__v1__reference__init(&q->referral);
    q->referral.from = draft_text(d, H_FROM);
    q->referral.id = (ProtobufCBinaryData){sizeof q->id, q->id};
    liaison__v1__history__init(&q->history);
    q->history.referral = &q->referral;
    q->history.limit = limit(d, H_LIMIT);
    q->history.cursor = q->cursor;
    f->body_case = BODY(HISTORY);
    f->history = &q->history;
    return LIAISON_OK;
}

static enum liaison_code make_directory(const struct draft *d, struct request *q,
                                        Liaison__V1__Frame *f)
{
    liaison__v1__directory__init(&q->directory);
    q->directory.agency = draft_text(d, D_AGENCY);
    q->directory.kind = draft_text(d, D_KIND);
    q->directory.area = draft_text(d, D_AREA);
    q->directory.skill = draft_text(d, D_SKILL);
    q->directory.language = draft_text(d, D_LANGUAGE);
    q->directory.limit = limit(d, D_LIMIT);
    q->directory.cursor = q->cursor;
    f->body_case = BODY(DIRECTORY);
    f->directory = &q->directory;
    return LIAISON_OK;
}

static enum liaison_code make_entries(const struct draft *d, struct request *q,
                                      Liaison__V1__Frame *f)
{
    liaison__v1__entry_filter__init(&q->entries);
    q->entries.agency = draft_text(d, E_AGENCY);
    if (id_parse(draft_text(d, E_REFERRAL), q->id))
        q->entries.referral = (ProtobufCBinaryData){sizeof q->id, q->id};
    q->entries.event = (Liaison__V1__Event)draft_enum(d, E_EVENT);
    q->entries.from_ns = draft_number(d, E_FROM_NS);
    q->entries.until_ns = draft_number(d, E_UNTIL_NS);
    q->entries.from_seq = draft_number(d, E_FROM_SEQ);
    q->entries.until_seq = draft_number(d, E_UNTIL_SEQ);
    q->entries.limit = limit(d, E_LIMIT);
    q->entries.cursor = q->cursor;
    f->body_case = BODY(ENTRIES);
    f->entries = &q->entries;
    return LIAISON_OK;
}

static ProtobufCBinaryData cards_cursor(const Liaison__V1__Frame *f)
{
    return f->cards->cursor;
}

static ProtobufCBinaryData history_cursor(const Liaison__V1__Frame *f)
{
    return f->history_page->cursor;
}

static ProtobufCBinaryData agencies_cursor(const Liaison__V1__Frame *f)
{
    return f->agencies->cursor;
}

static ProtobufCBinaryData entries_cursor(const Liaison__V1__Frame *f)
{
    return f->entries_page->cursor;
}

static const struct kind {
    const char *name;
    const struct draft_field *fields;
    size_t n_fields;
    Liaison__V1__Frame__BodyCase want;
    enum liaison_code (*make)(const struct draft *, struct request *,
                              Liaison__V1__Frame *);
    ProtobufCBinaryData (*cursor)(const Liaison__V1__Frame *);
} KINDS[] = {
    {"list", LIST, L__COUNT, BODY(CARDS), make_list, cards_cursor},
    {"history", HISTORY, H__COUNT, BODY(HISTORY_PAGE), make_history, history_cursor},
    {"directory", DIRECTORY, D__COUNT, BODY(AGENCIES), make_directory, agencies_cursor},
    {"entries", ENTRIES, E__COUNT, BODY(ENTRIES_PAGE), make_entries, entries_cursor},
};

enum liaison_code liaison_query_new(struct liaison *l, const char *kind,
                                    struct liaison_query **out)
{
    enum liaison_code code = lib_enter(l);
    size_t i = 0;

    if (code != LIAISON_OK)
        return code;
    while (i < sizeof KINDS / sizeof *KINDS &&
           (kind == NULL || strcmp(KINDS[i].name, kind) != 0))
        i++;
    if (i == sizeof KINDS / sizeof *KINDS)
        return lib_fail(l, LIAISON_USAGE,
                        "a query is list, history, directory or entries");
    struct liaison_query *q = calloc(1, sizeof *q);

    if (q == NULL)
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    q->kind = &KINDS[i];
    q->draft =
        (struct draft){.l = l, .fields = KINDS[i].fields, .n_fields = KINDS[i].n_fields};
    *out = q;
    return LIAISON_OK;
}

enum liaison_code liaison_query_set(struct liaison_query *q, const char *key,
                                    const char *value)
{
    enum liaison_code code = q == NULL ? LIAISON_USAGE : lib_enter(q->draft.l);

    if (code != LIAISON_OK)
        return code;
    if (q->cursor != NULL || q->over)
        return lib_fail(q->draft.l, LIAISON_USAGE, "the query has begun: make a new one");
    return draft_set(&q->draft, key, value);
}

/* Remembers where the next page begins. */
static enum liaison_code turn_page(struct liaison_query *q,
                                   const struct liaison_answer *a)
{
    ProtobufCBinaryData next = q->kind->cursor(a->frame);
    uint8_t *cursor = next.len == 0 ? NULL : malloc(next.len);

    if (next.len > 0 && cursor == NULL)
        return lib_fail(q->draft.l, LIAISON_MEMORY, "out of memory");
    if (next.len > 0)
        memcpy(cursor, next.data, next.len);
    free(q->cursor);
    q->cursor = cursor;
    q->cursor_len = next.len;
    q->over = next.len == 0;
    return LIAISON_OK;
}

static enum liaison_code ask(struct liaison_query *q, struct liaison_answer **answer)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    struct request request = {.cursor = {q->cursor_len, q->cursor}};
    struct outcall *c;
    enum liaison_code code = q->kind->make(&q->draft, &request, &f);

    if (code != LIAISON_OK)
        return code;
    code = engine_caller_call(q->draft.l, &f, q->kind->want, &c);
    return code == LIAISON_OK ? engine_await(q->draft.l, c, answer) : code;
}

/* Do entries and counters say what they must? If not the page is given all the same, as evidence. */
static enum liaison_code examine_entries(struct liaison_query *q,
                                         struct liaison_answer *a)
{
    const char *wrong =
        check_counters(q->draft.l->hash, a, draft_text(&q->draft, E_AGENCY));

    if (wrong == NULL)
        return LIAISON_OK;
    answer_say(a, LIAISON_SIGNATURE,
               "the broker's page of entries does not hold (%s): keep it as evidence",
               wrong);
    return lib_fail(q->draft.l, LIAISON_SIGNATURE, "%s", a->text);
}

enum liaison_code liaison_query_next(struct liaison_query *q,
                                     struct liaison_answer **answer)
{
    struct liaison_answer *a = NULL;
    enum liaison_code code = q == NULL ? LIAISON_USAGE : lib_enter(q->draft.l);

    if (code != LIAISON_OK)
        return code;
    if (q->over)
        return lib_fail(q->draft.l, LIAISON_USAGE, "there is no further page");
    code = ask(q, &a);
    if (code == LIAISON_OK && (code = turn_page(q, a)) != LIAISON_OK) {
        liaison_answer_free(a);
        return code;
    }
    if (code == LIAISON_OK && a->frame->body_case == BODY(AGENCIES))
        keys_crls(q->draft.l, a->frame->agencies);
    if (code == LIAISON_OK && a->frame->body_case == BODY(ENTRIES_PAGE))
        code = examine_entries(q, a);
    if (a != NULL && answer != NULL)
        *answer = a;
    else
        liaison_answer_free(a);
    return code;
}

int liaison_query_more(const struct liaison_query *q)
{
    return q != NULL && !q->over;
}

void liaison_query_free(struct liaison_query *q)
{
    if (q == NULL)
        return;
    draft_clear(&q->draft);
    free(q->cursor);
    free(q);
}
