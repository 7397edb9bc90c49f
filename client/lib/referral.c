#include "client/lib/referral.h"

#include <stdlib.h>

#include "client/lib/words.h"
#include "proto/id.h"
#include "proto/valid.h"

enum field {
    F_TO,
    F_TYPE,
    F_CATEGORY,
    F_PURPOSE,
    F_BASIS,
    F_SUBJECT_CATEGORY,
    F_MINOR,
    F_REGIME,
    F_HANDLING,
    F_INFORMED,
    F_URGENCY,
    F_DUE,
    F_OFFICER,
    F_CASE_ID,
    F_CAUSED_BY_FROM,
    F_CAUSED_BY_ID,
    F_ID,
    F_CREATED,
    F_VERSION,
    F__COUNT,
};

#define WORDS(name) FORM_ENUM, &liaison__v1__##name##__descriptor
static const struct draft_field FIELDS[F__COUNT] = {
    [F_TO] = {"to", FORM_NAME, NULL},
    [F_TYPE] = {"type", WORDS(type)},
    [F_CATEGORY] = {"category", FORM_WORD, NULL},
    [F_PURPOSE] = {"purpose", FORM_WORD, NULL},
    [F_BASIS] = {"basis", FORM_WORD, NULL},
    [F_SUBJECT_CATEGORY] = {"subject_category", WORDS(subject_category)},
    [F_MINOR] = {"minor", WORDS(minor)},
    [F_REGIME] = {"regime", WORDS(regime)},
    [F_HANDLING] = {"handling", WORDS(handling)},
    [F_INFORMED] = {"informed", WORDS(informed)},
    [F_URGENCY] = {"urgency", WORDS(urgency)},
    [F_DUE] = {"due_unix_ms", FORM_NUMBER, NULL},
    [F_OFFICER] = {"officer", FORM_OFFICER, NULL},
    [F_CASE_ID] = {"case_id", FORM_HEX16, NULL},
    [F_CAUSED_BY_FROM] = {"caused_by_from", FORM_NAME, NULL},
    [F_CAUSED_BY_ID] = {"caused_by_id", FORM_ID, NULL},
    [F_ID] = {"id", FORM_ID, NULL},
    [F_CREATED] = {"created_unix_ms", FORM_NUMBER, NULL},
    [F_VERSION] = {"version", FORM_NUMBER, NULL},
};

/* ---------------------------------------------------------------- drafts */

static enum liaison_code enter(const struct liaison_referral *r)
{
    return r == NULL ? LIAISON_USAGE : lib_enter(r->draft.l);
}

static enum liaison_code enter_draft(const struct liaison_referral *r)
{
    enum liaison_code code = enter(r);

    if (code != LIAISON_OK || r->sealed == NULL)
        return code;
    return lib_fail(r->draft.l, LIAISON_USAGE,
                    "referral %s is sealed and does not change", r->sealed->id_text);
}

enum liaison_code liaison_referral_new(struct liaison *l, struct liaison_referral **out)
{
    enum liaison_code code = lib_enter(l);
    struct liaison_referral *r = code == LIAISON_OK ? calloc(1, sizeof *r) : NULL;

    if (code != LIAISON_OK)
        return code;
    if (r == NULL)
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    r->draft = (struct draft){.l = l, .fields = FIELDS, .n_fields = F__COUNT};
    *out = r;
    return LIAISON_OK;
}

void liaison_referral_free(struct liaison_referral *r)
{
    if (r == NULL)
        return;
    draft_clear(&r->draft);
    sealed_free(r->sealed);
    free(r);
}

enum liaison_code liaison_referral_set(struct liaison_referral *r, const char *key,
                                       const char *value)
{
    enum liaison_code code = enter_draft(r);

    return code == LIAISON_OK ? draft_set(&r->draft, key, value) : code;
}

enum liaison_code liaison_referral_section(struct liaison_referral *r, const char *name,
                                           const char *content_type, const void *content,
                                           size_t len)
{
    enum liaison_code code = enter_draft(r);

    return code == LIAISON_OK ? draft_section(&r->draft, name, content_type, content, len)
                              : code;
}

enum liaison_code liaison_referral_bytes(const struct liaison_referral *r,
                                         const uint8_t **bytes, size_t *len)
{
    enum liaison_code code = enter(r);

    if (code != LIAISON_OK)
        return code;
    if (r->sealed == NULL)
        return lib_fail(r->draft.l, LIAISON_USAGE,
                        "the referral is not sealed yet: liaison_seal");
    *bytes = r->sealed->bytes.p;
    *len = r->sealed->bytes.n;
    return LIAISON_OK;
}

enum liaison_code liaison_referral_from_bytes(struct liaison *l, const void *bytes,
                                              size_t len, struct liaison_referral **out)
{
    struct liaison_referral *r = NULL;
    const char *why = "";
    enum liaison_code code = liaison_referral_new(l, &r);

    if (code != LIAISON_OK)
        return code;
    code = sealed_read(l->hash, SIGN_REFERRAL, slice(bytes, len), &r->sealed, &why);
    if (code != LIAISON_OK) {
        liaison_referral_free(r);
        return lib_fail(l, code, "not a sealed referral: %s", why);
    }
    *out = r;
    return LIAISON_OK;
}

const char *liaison_referral_id(const struct liaison_referral *r)
{
    return r == NULL || r->sealed == NULL ? "" : r->sealed->id_text;
}

/* ---------------------------------------------------------------- envelopes */

/* One referral on its way to being sealed; all in the burst's arena. */
struct making {
    struct liaison_referral *r;
    Liaison__V1__Envelope envelope;
    Liaison__V1__Reference caused_by;
    uint8_t id[16], case_id[16], cause[16];
    const struct seal_reader *reader;
    struct slice content, sections;
    struct sealed *sealed;
};

static void set_ids(struct making *m, const uint8_t case_id[16])
{
    const struct draft *d = &m->r->draft;
    uint8_t random[10];

    if (!id_parse(draft_text(d, F_ID), m->id)) {
        hash_random(d->l->hash, random, sizeof random);
        id_make(lib_unix_ms(), random, m->id);
    }
    if (!words_hex16(draft_text(d, F_CASE_ID), m->case_id))
        memcpy(m->case_id, case_id, sizeof m->case_id);
    m->envelope.id = (ProtobufCBinaryData){sizeof m->id, m->id};
    m->envelope.case_id = (ProtobufCBinaryData){sizeof m->case_id, m->case_id};
}

static void set_cause(struct making *m)
{
    const struct draft *d = &m->r->draft;

    if (d->values[F_CAUSED_BY_FROM] == NULL && d->values[F_CAUSED_BY_ID] == NULL)
        return;
    liaison__v1__reference__init(&m->caused_by);
    m->caused_by.from = draft_text(d, F_CAUSED_BY_FROM);
    if (id_parse(draft_text(d, F_CAUSED_BY_ID), m->cause))
        m->caused_by.id = (ProtobufCBinaryData){sizeof m->cause, m->cause};
    m->envelope.caused_by = &m->caused_by;
}

/* 0, which is refused, for what no version can be. */
static uint32_t version(const struct draft *d)
{
    uint64_t v = draft_number(d, F_VERSION);

    return v > UINT32_MAX ? 0 : (uint32_t)v;
}

static enum liaison_code make_envelope(struct making *m, const uint8_t case_id[16])
{
    const struct draft *d = &m->r->draft;
    Liaison__V1__Envelope *e = &m->envelope;
    const char *why = "";

    liaison__v1__envelope__init(e);
    set_ids(m, case_id);
    set_cause(m);
    e->network = (char *)(uintptr_t)lib_setting(d->l, SET_NETWORK);
    e->version = d->values[F_VERSION] == NULL ? 1 : version(d);
    e->from = (char *)(uintptr_t)lib_setting(d->l, SET_AGENCY);
    e->to = draft_text(d, F_TO);
    e->type = (Liaison__V1__Type)draft_enum(d, F_TYPE);
    e->category = draft_text(d, F_CATEGORY);
    e->purpose = draft_or(d, F_PURPOSE, SET_PURPOSE);
    e->basis = draft_or(d, F_BASIS, SET_BASIS);
    e->subject_category = (Liaison__V1__SubjectCategory)draft_enum(d, F_SUBJECT_CATEGORY);
    e->minor = (Liaison__V1__Minor)draft_enum(d, F_MINOR);
    e->regime = (Liaison__V1__Regime)draft_enum(d, F_REGIME);
    e->handling = d->values[F_HANDLING] == NULL
                      ? LIAISON__V1__HANDLING__HANDLING_NONE
                      : (Liaison__V1__Handling)draft_enum(d, F_HANDLING);
    e->informed = (Liaison__V1__Informed)draft_enum(d, F_INFORMED);
    e->urgency = (Liaison__V1__Urgency)draft_enum(d, F_URGENCY);
    e->created_unix_ms =
        d->values[F_CREATED] == NULL ? lib_unix_ms() : draft_number(d, F_CREATED);
    e->due_unix_ms = draft_number(d, F_DUE);
    e->officer = draft_or(d, F_OFFICER, SET_OFFICER);
    enum liaison_code code = valid_envelope(e, &why);

    return code == LIAISON_OK
               ? code
               : lib_fail(d->l, code, "the referral to \"%s\": %s", e->to, why);
}

/* ---------------------------------------------------------------- sealing and signing */

static enum liaison_code seal_one(struct making *m, struct arena *a)
{
    const struct draft *d = &m->r->draft;
    struct seal_place place = {m->envelope.network, m->envelope.from, m->envelope.to,
                               NULL, m->id};
    struct draft_sealed made;
    enum liaison_code code = draft_seal(d, m->reader, &place, true, a, &made);

    if (code != LIAISON_OK)
        return code;
    m->envelope.n_digests = made.n_digests;
    m->envelope.digests = made.digests;
    m->content = arena_pack(a, &m->envelope.base);
    m->sections = sealed_pack_sections(a, made.sections, made.n_sections);
    if (m->content.p == NULL || m->sections.p == NULL)
        return lib_fail(d->l, LIAISON_MEMORY, "out of memory");
    return LIAISON_OK;
}

/* Signs what is in m[].content. Facts come from m[].sealed when it was sealed before, else from the envelope. */
static enum liaison_code sign_all(struct liaison *l, struct making *m, size_t n)
{
    const struct keys *k = &l->keys;
    struct sign_part *parts = calloc(n, sizeof *parts);
    struct slice *contents = calloc(n, sizeof *contents);
    enum liaison_code code =
        parts == NULL || contents == NULL ? LIAISON_MEMORY : LIAISON_OK;

    for (size_t i = 0; code == LIAISON_OK && i < n; i++)
        contents[i] = m[i].content;
    if (code == LIAISON_OK)
        code = sign_burst(l->hash, k->sign_key, SIGN_REFERRAL, contents, n, parts);
    for (size_t i = 0; code == LIAISON_OK && i < n; i++) {
        struct sealed like;

        if (m[i].r->sealed != NULL)
            like = *m[i].r->sealed;
        else
            sealed_like_envelope(&m[i].envelope, &like);
        m[i].sealed = sealed_new(l->hash, &like, m[i].content,
                                 slice(k->sign_certificate, k->sign_certificate_len),
                                 &parts[i], m[i].sections);
        if (m[i].sealed == NULL)
            code = LIAISON_MEMORY;
    }
    free(parts);
    free(contents);
    return code == LIAISON_OK
               ? code
               : lib_fail(l, code, "signing failed: %s", liaison_code_text(code));
}

/* All are sealed, or none. */
static void finish(struct making *m, size_t n, bool good)
{
    for (size_t i = 0; i < n; i++) {
        if (!good) {
            sealed_free(m[i].sealed);
            continue;
        }
        sealed_free(m[i].r->sealed);
        m[i].r->sealed = m[i].sealed;
        draft_clear(&m[i].r->draft);
    }
}

static enum liaison_code seal_all(struct liaison *l, struct making *m, size_t n,
                                  struct arena *a)
{
    uint8_t case_id[16];
    enum liaison_code code = LIAISON_OK;

    hash_random(l->hash, case_id, sizeof case_id);
    for (size_t i = 0; code == LIAISON_OK && i < n; i++)
        code = make_envelope(&m[i], case_id);
    /* Fetched before anything is sealed, and looked up again below: a newer CRL makes us forget all. */
    for (size_t i = 0; code == LIAISON_OK && i < n; i++)
        if (m[i].r->draft.n_sections > 0)
            code = keys_reader(l, m[i].envelope.to, &m[i].reader);
    for (size_t i = 0; code == LIAISON_OK && i < n; i++) {
        if (m[i].r->draft.n_sections > 0)
            code = keys_reader(l, m[i].envelope.to, &m[i].reader);
        if (code == LIAISON_OK)
            code = seal_one(&m[i], a);
    }
    return code == LIAISON_OK ? sign_all(l, m, n) : code;
}

static enum liaison_code burst_ok(struct liaison *l, struct liaison_referral *const *r,
                                  size_t n, bool sealed)
{
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (r == NULL || n == 0 || n > VALID_BURST_MAX)
        return lib_fail(l, LIAISON_LIMIT, "1 to %d referrals are wanted",
                        VALID_BURST_MAX);
    for (size_t i = 0; i < n; i++) {
        if (r[i]->draft.l != l)
            return lib_fail(l, LIAISON_USAGE, "referral %zu was made with another handle",
                            i + 1);
        if ((r[i]->sealed != NULL) != sealed)
            return lib_fail(l, LIAISON_USAGE, "referral %zu is %s", i + 1,
                            sealed ? "not sealed yet" : "sealed");
        for (size_t j = 0; n <= 64 && j < i; j++)
            if (r[j] == r[i])
                return lib_fail(l, LIAISON_USAGE, "referral %zu is given twice", i + 1);
    }
    if ((code = lib_need(l, SET_AGENCY)) != LIAISON_OK)
        return code;
    return keys_sign(l);
}

enum liaison_code liaison_seal(struct liaison *l, struct liaison_referral *const *r,
                               size_t n)
{
    enum liaison_code code = burst_ok(l, r, n, false);
    struct making *m = code == LIAISON_OK ? calloc(n, sizeof *m) : NULL;
    struct arena *a = code == LIAISON_OK ? arena_new() : NULL;

    if (code != LIAISON_OK)
        return code;
    if (m == NULL || a == NULL) {
        code = lib_fail(l, LIAISON_MEMORY, "out of memory");
    } else {
        for (size_t i = 0; i < n; i++)
            m[i].r = r[i];
        code = seal_all(l, m, n, a);
        finish(m, n, code == LIAISON_OK);
    }
    arena_free(a);
    free(m);
    return code;
}

enum liaison_code liaison_sign(struct liaison *l, struct liaison_referral *const *r,
                               size_t n)
{
    enum liaison_code code = burst_ok(l, r, n, true);
    struct making *m = code == LIAISON_OK ? calloc(n, sizeof *m) : NULL;

    if (code != LIAISON_OK)
        return code;
    if (m == NULL)
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        m[i].r = r[i];
        m[i].content = r[i]->sealed->content;
        m[i].sections = r[i]->sealed->sections;
        if (strcmp(r[i]->sealed->agency, lib_own_name(l)) != 0)
            code = lib_fail(l, LIAISON_SIGNER, "referral %s is from %s: only it can sign",
                            r[i]->sealed->id_text, r[i]->sealed->agency);
    }
    if (code == LIAISON_OK)
        code = sign_all(l, m, n);
    finish(m, n, code == LIAISON_OK);
    free(m);
    return code;
}
