/* Pages of the Directory: the agencies that the rules declare, with what they say of them and what is published of theirs. */
#include "broker/core/state.h"

/* Whose names they are the rules say, and rules outlive the batch. */
static char **names_of(const struct rules_names *from, size_t *n)
{
    *n = from->n;
    return (char **)(uintptr_t)from->list;
}

/* Sealing certificates that may be used, each with its KEY entry, before or in this batch. */
static bool fill_certificates(struct batch *b, const struct rules_agency *a,
                              Liaison__V1__Agency *row)
{
    int32_t day = batch_day(b);
    const struct published *list;
    size_t n = directory_find(b->core->settings.directory, a->name, &list);
    const struct party *owner = n == 0 ? NULL : party_named(b->core, a->name);

    row->seal_certificates = arena_alloc(b->arena, n * sizeof *row->seal_certificates);
    if (row->seal_certificates == NULL || (n > 0 && owner == NULL))
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t i = 0; i < n; i++) {
        if (!key_listed(b->core, &list[i], day))
            continue;
        if (!key_seen(b, owner, KEY_SEAL, list[i].sha256))
            return false;
        row->seal_certificates[row->n_seal_certificates++] =
            (ProtobufCBinaryData){list[i].der.n, (uint8_t *)(uintptr_t)list[i].der.p};
    }
    return true;
}

static Liaison__V1__Agency *agency_of(struct batch *b, const struct rules_agency *a)
{
    const struct rules_agency *now = batch_successor(b, a->name);
    const struct party *party = party_find(b->core, a->name);
    Liaison__V1__Agency *row = arena_alloc(b->arena, sizeof *row);

    if (row == NULL)
        return batch_fail(b, LIAISON_MEMORY), NULL;
    liaison__v1__agency__init(row);
    row->id = (char *)(uintptr_t)a->name;
    row->kind = (char *)(uintptr_t)a->kind;
    row->area = (char *)(uintptr_t)a->area;
    row->skills = names_of(&a->skills, &row->n_skills);
    row->languages = names_of(&a->languages, &row->n_languages);
    row->supervisors = names_of(&a->supervisors, &row->n_supervisors);
    row->capacity = a->capacity;
    row->taken = a->capacity == 0 || party == NULL ? 0 : party->taken;
    row->merged_into =
        now == NULL || now == a ? (char *)"" : (char *)(uintptr_t)now->name;
    return fill_certificates(b, a, row) ? row : NULL;
}

static bool names_hold(const struct rules_names *names, const char *wanted)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->list[i], wanted) == 0)
            return true;
    return wanted[0] == '\0';
}

static bool behind_cursor(const Liaison__V1__Directory *d, const char *name)
{
    int order = d->cursor.len == 0
                    ? 1
                    : strncmp(name, (const char *)d->cursor.data, d->cursor.len);

    return order > 0 || (order == 0 && strlen(name) > d->cursor.len);
}

static bool agency_wanted(const Liaison__V1__Directory *d, const struct rules_agency *a)
{
    return (d->agency[0] == '\0' || strcmp(d->agency, a->name) == 0) &&
           (d->kind[0] == '\0' || strcmp(d->kind, a->kind) == 0) &&
           (d->area[0] == '\0' || rules_area_within(a->area, d->area)) &&
           names_hold(&a->skills, d->skill) && names_hold(&a->languages, d->language) &&
           behind_cursor(d, a->name);
}

/* What there is to have, and its digest. */
static bool tell_lists(struct batch *b, Liaison__V1__Agencies *page)
{
    page->lists_sha256.data = arena_alloc(b->arena, HASH_BYTES);
    if (page->lists_sha256.data == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    page->lists_sha256.len = HASH_BYTES;
    page->lists_size = tls_trust_lists(b->core->settings.trust, page->lists_sha256.data);
    return true;
}

/* The lists behind agencies of so many bytes; a page that has no room for all of them has none. */
static bool fill_crls(struct batch *b, size_t bytes, Liaison__V1__Agencies *page)
{
    const struct slice *crls;
    size_t n = tls_trust_crls(b->core->settings.trust, &crls);

    if (!tell_lists(b, page))
        return false;
    if (bytes + page->lists_size > b->core->settings.page_bytes)
        return true;
    page->crls = arena_alloc(b->arena, n * sizeof *page->crls);
    if (page->crls == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t i = 0; i < n; i++)
        page->crls[page->n_crls++] =
            (ProtobufCBinaryData){crls[i].n, (uint8_t *)(uintptr_t)crls[i].p};
    return true;
}

bool agencies_lists(struct batch *b, uint64_t from, Liaison__V1__Agencies *page)
{
    const struct slice *crls;
    size_t n = tls_trust_crls(b->core->settings.trust, &crls),
           room = b->core->settings.page_bytes;

    if (!tell_lists(b, page))
        return false;
    uint64_t left = from < page->lists_size ? page->lists_size - from : 0;

    room = left < room ? (size_t)left : room;
    page->lists_part.data = arena_alloc(b->arena, room);
    if (page->lists_part.data == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t i = 0; i < n && page->lists_part.len < room; i++) {
        if (from >= crls[i].n) {
            from -= crls[i].n;
            continue;
        }
        size_t some = room - page->lists_part.len, rest = crls[i].n - (size_t)from;

        some = rest < some ? rest : some;
        memcpy(page->lists_part.data + page->lists_part.len, crls[i].p + from, some);
        page->lists_part.len += some;
        from = 0;
    }
    return true;
}

bool agencies_fill(struct batch *b, const Liaison__V1__Directory *d, size_t rows,
                   Liaison__V1__Agencies *page)
{
    const struct rules_agency *a;
    size_t bytes = 0;

    page->agencies = arena_alloc(b->arena, rows * sizeof *page->agencies);
    if (page->agencies == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    for (size_t i = 0; (a = rules_agency_at(b->core->settings.rules, i)) != NULL; i++) {
        if (!agency_wanted(d, a))
            continue;
        if (page->n_agencies == rows || bytes > b->core->settings.page_bytes) {
            const char *last = page->agencies[page->n_agencies - 1]->id;

            page->cursor =
                (ProtobufCBinaryData){strlen(last), (uint8_t *)(uintptr_t)last};
            break;
        }
        Liaison__V1__Agency *row = agency_of(b, a);

        if (row == NULL)
            return false;
        bytes += liaison__v1__agency__get_packed_size(row);
        page->agencies[page->n_agencies++] = row;
    }
    return fill_crls(b, bytes, page);
}
