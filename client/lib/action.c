#include <stdlib.h>

#include "client/lib/referral.h"
#include "client/lib/words.h"
#include "proto/id.h"
#include "proto/valid.h"

enum field {
    F_FROM,
    F_ID,
    F_MOVE,
    F_VERSION,
    F_REASON,
    F_TO, /* of permit: to whom it may be passed on; else whom sections are sealed to */
    F_OFFICER,
    F_PURPOSE,
    F_BASIS,
    F__COUNT,
};

static const struct draft_field FIELDS[F__COUNT] = {
    [F_FROM] = {"from", FORM_NAME, NULL},
    [F_ID] = {"id", FORM_ID, NULL},
    [F_MOVE] = {"move", FORM_ENUM, &liaison__v1__move__descriptor},
    [F_VERSION] = {"version", FORM_NUMBER, NULL},
    [F_REASON] = {"reason", FORM_WORD, NULL},
    [F_TO] = {"to", FORM_NAME, NULL},
    [F_OFFICER] = {"officer", FORM_OFFICER, NULL},
    [F_PURPOSE] = {"purpose", FORM_WORD, NULL},
    [F_BASIS] = {"basis", FORM_WORD, NULL},
};

static enum liaison_code enter(const struct liaison_action *a)
{
    return a == NULL ? LIAISON_USAGE : lib_enter(a->draft.l);
}

static enum liaison_code enter_draft(const struct liaison_action *a)
{
    enum liaison_code code = enter(a);

    if (code != LIAISON_OK || a->sealed == NULL)
        return code;
    return lib_fail(a->draft.l, LIAISON_USAGE,
                    "the action is sealed and does not change");
}

enum liaison_code liaison_action_new(struct liaison *l, struct liaison_action **out)
{
    enum liaison_code code = lib_enter(l);
    struct liaison_action *a = code == LIAISON_OK ? calloc(1, sizeof *a) : NULL;

    if (code != LIAISON_OK)
        return code;
    if (a == NULL)
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    a->draft = (struct draft){.l = l, .fields = FIELDS, .n_fields = F__COUNT};
    *out = a;
    return LIAISON_OK;
}

void liaison_action_free(struct liaison_action *a)
{
    if (a == NULL)
        return;
    draft_clear(&a->draft);
    sealed_free(a->sealed);
    free(a);
}

enum liaison_code liaison_action_set(struct liaison_action *a, const char *key,
                                     const char *value)
{
    enum liaison_code code = enter_draft(a);

    return code == LIAISON_OK ? draft_set(&a->draft, key, value) : code;
}

enum liaison_code liaison_action_section(struct liaison_action *a, const char *name,
                                         const char *content_type, const void *content,
                                         size_t len)
{
    enum liaison_code code = enter_draft(a);

    return code == LIAISON_OK ? draft_section(&a->draft, name, content_type, content, len)
                              : code;
}

enum liaison_code liaison_action_bytes(const struct liaison_action *a,
                                       const uint8_t **bytes, size_t *len)
{
    enum liaison_code code = enter(a);

    if (code != LIAISON_OK)
        return code;
    if (a->sealed == NULL)
        return lib_fail(a->draft.l, LIAISON_USAGE,
                        "the action is not sealed yet: liaison_action_seal");
    *bytes = a->sealed->bytes.p;
    *len = a->sealed->bytes.n;
    return LIAISON_OK;
}

enum liaison_code liaison_action_from_bytes(struct liaison *l, const void *bytes,
                                            size_t len, struct liaison_action **out)
{
    struct liaison_action *a = NULL;
    const char *why = "";
    enum liaison_code code = liaison_action_new(l, &a);

    if (code != LIAISON_OK)
        return code;
    code = sealed_read(l->hash, SIGN_ACTION, slice(bytes, len), &a->sealed, &why);
    if (code != LIAISON_OK) {
        liaison_action_free(a);
        return lib_fail(l, code, "not a sealed action: %s", why);
    }
    *out = a;
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- sealing */

struct making {
    Liaison__V1__Action action;
    Liaison__V1__Reference referral;
    uint8_t id[16], referral_id[16];
};

static enum liaison_code make_action(const struct draft *d, struct making *m)
{
    Liaison__V1__Action *a = &m->action;
    uint8_t random[10];
    const char *why = "";

    hash_random(d->l->hash, random, sizeof random);
    id_make(lib_unix_ms(), random, m->id);
    liaison__v1__reference__init(&m->referral);
    m->referral.from = draft_text(d, F_FROM);
    if (id_parse(draft_text(d, F_ID), m->referral_id))
        m->referral.id = (ProtobufCBinaryData){sizeof m->referral_id, m->referral_id};
    liaison__v1__action__init(a);
    a->network = (char *)(uintptr_t)lib_setting(d->l, SET_NETWORK);
    a->id = (ProtobufCBinaryData){sizeof m->id, m->id};
    a->referral = &m->referral;
    a->move = (Liaison__V1__Move)draft_enum(d, F_MOVE);
    a->agency = (char *)(uintptr_t)lib_setting(d->l, SET_AGENCY);
    a->expected_version = draft_number(d, F_VERSION) > UINT32_MAX
                              ? 0
                              : (uint32_t)draft_number(d, F_VERSION);
    a->reason = draft_text(d, F_REASON);
    a->officer = draft_or(d, F_OFFICER, SET_OFFICER);
    a->purpose = draft_or(d, F_PURPOSE, SET_PURPOSE);
    a->basis = draft_or(d, F_BASIS, SET_BASIS);
    if (a->move == LIAISON__V1__MOVE__MOVE_PERMIT)
        a->to = draft_text(d, F_TO);
    a->created_unix_ms = lib_unix_ms();
    enum liaison_code code = valid_action(a, &why);

    return code == LIAISON_OK ? code : lib_fail(d->l, code, "%s", why);
}

/* Whom sections go to: said, or the sender when that is somebody else. */
static const char *reader_of(const struct draft *d)
{
    if (d->values[F_TO] != NULL)
        return d->values[F_TO];
    return strcmp(draft_text(d, F_FROM), lib_own_name(d->l)) == 0 ? ""
                                                                  : draft_text(d, F_FROM);
}

static enum liaison_code seal_sections(const struct draft *d, struct making *m,
                                       struct arena *arena, struct draft_sealed *made)
{
    struct seal_place place = {m->action.network, m->action.agency, reader_of(d), NULL,
                               m->id};
    const struct seal_reader *reader = NULL;
    enum liaison_code code = LIAISON_OK;

    if (d->n_sections > 0 && m->action.to[0] != '\0')
        return lib_fail(d->l, LIAISON_FIELD, "permit takes no sections");
    if (d->n_sections > 0 && place.reader[0] == '\0')
        return lib_fail(d->l, LIAISON_FIELD,
                        "to: whom the sections are sealed to is wanted");
    if (d->n_sections > 0)
        code = keys_reader(d->l, place.reader, &reader);
    if (code == LIAISON_OK)
        code = draft_seal(d, reader, &place, false, arena, made);
    if (code == LIAISON_OK) {
        m->action.n_digests = made->n_digests;
        m->action.digests = made->digests;
    }
    return code;
}

static enum liaison_code sign_one(struct liaison *l, const struct making *m,
                                  struct arena *arena, const struct draft_sealed *made,
                                  struct sealed **out)
{
    const struct keys *k = &l->keys;
    struct slice content = arena_pack(arena, &m->action.base);
    struct slice sections = sealed_pack_sections(arena, made->sections, made->n_sections);
    struct sign_part part = {0};
    struct sealed like;

    if (content.p == NULL || sections.p == NULL)
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    enum liaison_code code =
        sign_burst(l->hash, k->sign_key, SIGN_ACTION, &content, 1, &part);

    if (code != LIAISON_OK)
        return lib_fail(l, code, "signing failed: %s", liaison_code_text(code));
    sealed_like_action(&m->action, &like);
    *out =
        sealed_new(l->hash, &like, content,
                   slice(k->sign_certificate, k->sign_certificate_len), &part, sections);
    return *out == NULL ? lib_fail(l, LIAISON_MEMORY, "out of memory") : LIAISON_OK;
}

static enum liaison_code seal_action(struct liaison *l, struct liaison_action *a,
                                     struct arena *arena)
{
    struct making m;
    struct draft_sealed made;
    enum liaison_code code = lib_need(l, SET_AGENCY);

    if (code != LIAISON_OK || (code = keys_sign(l)) != LIAISON_OK ||
        (code = make_action(&a->draft, &m)) != LIAISON_OK ||
        (code = seal_sections(&a->draft, &m, arena, &made)) != LIAISON_OK ||
        (code = sign_one(l, &m, arena, &made, &a->sealed)) != LIAISON_OK)
        return code;
    draft_clear(&a->draft);
    return LIAISON_OK;
}

enum liaison_code liaison_action_seal(struct liaison *l, struct liaison_action *a)
{
    enum liaison_code code = enter_draft(a);

    if (code != LIAISON_OK)
        return code;
    if (a->draft.l != l)
        return lib_fail(a->draft.l, LIAISON_USAGE,
                        "the action was made with another handle");
    struct arena *arena = arena_new();

    code = arena == NULL ? lib_fail(l, LIAISON_MEMORY, "out of memory")
                         : seal_action(l, a, arena);
    arena_free(arena);
    return code;
}
