/* A referral as people write it. */
#include "client/json/json.h"
#include "proto/id.h"
#include "proto/valid.h"

static const struct key {
    const char *name, *field;
    bool required;
} KEYS[] = {
    {"to", "to", true},
    {"type", "type", true},
    {"category", "category", true},
    {"purpose", "purpose", true},
    {"basis", "basis", true},
    {"subject_category", "subject_category", true},
    {"minor", "minor", true},
    {"regime", "regime", true},
    {"handling", "handling", true},
    {"informed", "informed", true},
    {"urgency", "urgency", true},
    {"due", "due_unix_ms", false},
    {"officer", "officer", false},
    {"case_id", "case_id", false},
    {"caused_by", "caused_by", false},
    {"sections", NULL, true},
};

enum { N_KEYS = sizeof KEYS / sizeof *KEYS };

static enum liaison_code missing(struct json_doc *d)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (KEYS[i].required && json_object_get(json_doc_root(d), KEYS[i].name) == NULL)
            return json_doc_fail(d, NULL, JSON_AT_VALUE, "\"%s\" is missing",
                                 KEYS[i].name);
    return LIAISON_OK;
}

static enum liaison_code unknown(struct json_doc *d, const struct json_path *at)
{
    const char *names[N_KEYS];
    char hint[96];

    for (size_t i = 0; i < N_KEYS; i++)
        names[i] = KEYS[i].name;
    return json_doc_fail(d, at, JSON_AT_KEY, "unknown field%s",
                         json_near(at->key, names, N_KEYS, hint, sizeof hint));
}

static enum liaison_code read_section(struct json_doc *d, const struct json_path *at,
                                      const json_t *value, struct arena *a,
                                      struct json_section *out)
{
    if (!id_word(at->key))
        return json_doc_fail(d, at, JSON_AT_KEY,
                             "a section's name is lower-case letters, digits and '-'");
    if (!json_is_object(value))
        return json_doc_fail(d, at, JSON_AT_VALUE, "expected an object");
    out->name = (const char *)arena_copy(a, slice_text(at->key));
    out->content = json_doc_compact(d, at, a);
    return out->name != NULL && out->content.p != NULL ? LIAISON_OK : LIAISON_MEMORY;
}

static enum liaison_code read_sections(struct json_doc *d, const struct json_path *at,
                                       json_t *value, struct arena *a,
                                       struct json_referral *out)
{
    const char *name;
    json_t *section;

    if (!json_is_object(value))
        return json_doc_fail(d, at, JSON_AT_VALUE,
                             "expected an object with one object for each section");
    if (json_object_size(value) > VALID_SECTIONS_MAX)
        return json_doc_fail(d, at, JSON_AT_VALUE, "more than %d sections",
                             VALID_SECTIONS_MAX);
    out->sections = arena_zero(a, json_object_size(value) * sizeof *out->sections);
    if (out->sections == NULL)
        return LIAISON_MEMORY;
    json_object_foreach(value, name, section)
    {
        struct json_path here = {at, name, 0};
        enum liaison_code code =
            read_section(d, &here, section, a, &out->sections[out->n_sections]);

        if (code != LIAISON_OK)
            return code;
        out->n_sections++;
    }
    return LIAISON_OK;
}

/* "2027-03-01" is due when that day has ended; all else is a time. */
static bool due_date(const json_t *value, uint64_t *unix_ms)
{
    uint64_t seconds;

    if (!json_is_string(value) || !json_date_parse(json_string_value(value), &seconds))
        return false;
    *unix_ms = (seconds + 24 * 3600) * 1000 - 1;
    return true;
}

static enum liaison_code read_key(struct json_doc *d, const char *name, json_t *value,
                                  struct arena *a, struct json_referral *out)
{
    struct json_path at = {NULL, name, 0};
    size_t i = 0;

    while (i < N_KEYS && strcmp(KEYS[i].name, name) != 0)
        i++;
    if (i == N_KEYS)
        return unknown(d, &at);
    if (KEYS[i].field == NULL)
        return read_sections(d, &at, value, a, out);
    if (strcmp(name, "due") == 0 && due_date(value, &out->envelope->due_unix_ms))
        return LIAISON_OK;
    return json_read_field(d, value, &at, &out->envelope->base, KEYS[i].field, a);
}

/* What the types do not say: names and words have a form, and a date belongs to the urgency "date" alone. */
static enum liaison_code check(struct json_doc *d, const Liaison__V1__Envelope *e)
{
    const struct {
        const char *key;
        bool good;
        const char *what;
    } ROWS[] = {
        {"to", id_name(e->to), "an agency's name such as \"fr/lyon/probation\""},
        {"category", id_word(e->category),
         "one word: lower-case letters, digits and '-'"},
        {"purpose", id_word(e->purpose), "one word: lower-case letters, digits and '-'"},
        {"basis", id_word(e->basis), "one word: lower-case letters, digits and '-'"},
        {"officer", e->officer[0] == '\0' || id_officer(e->officer),
         "a number, never a name: letters, digits, . _ -"},
        {"case_id", e->case_id.len == 0 || e->case_id.len == ID_BYTES, "an id (UUID)"},
        {"due", e->due_unix_ms == 0 || e->urgency == LIAISON__V1__URGENCY__URGENCY_DATE,
         "no date unless \"urgency\" is \"date\""},
        {"urgency",
         e->due_unix_ms != 0 || e->urgency != LIAISON__V1__URGENCY__URGENCY_DATE,
         "\"due\" beside it to say which date"},
        {"caused_by",
         e->caused_by == NULL ||
             (id_name(e->caused_by->from) && e->caused_by->id.len == ID_BYTES),
         "{\"from\": agency, \"id\": UUID}"},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct json_path at = {NULL, ROWS[i].key, 0};

        if (!ROWS[i].good)
            return json_doc_fail(d, &at, JSON_AT_VALUE, "expected %s", ROWS[i].what);
    }
    return LIAISON_OK;
}

enum liaison_code json_referral(struct json_doc *d, struct arena *a,
                                struct json_referral *out)
{
    struct json_referral r = {.envelope = arena_alloc(a, sizeof *r.envelope)};
    enum liaison_code code = LIAISON_OK;
    const char *name;
    json_t *value;

    if (r.envelope == NULL)
        return LIAISON_MEMORY;
    liaison__v1__envelope__init(r.envelope);
    json_object_foreach(json_doc_root(d), name, value)
    {
        code = read_key(d, name, value, a, &r);
        if (code != LIAISON_OK)
            return code;
    }
    code = missing(d);
    if (code == LIAISON_OK)
        code = check(d, r.envelope);
    if (code == LIAISON_OK)
        *out = r;
    return code;
}
