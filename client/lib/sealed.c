#include "client/lib/sealed.h"

#include <stdlib.h>

#include "client/lib/wire.h"
#include "proto/id.h"
#include "proto/valid.h"

enum { FIELD_CONTENT = 1, FIELD_SIGNATURE = 2, FIELD_SECTIONS = 3 };

static const struct {
    int move, event;
} EVENTS[] = {
    {LIAISON__V1__MOVE__MOVE_ACCEPT, LIAISON__V1__EVENT__EVENT_ACCEPT},
    {LIAISON__V1__MOVE__MOVE_REJECT, LIAISON__V1__EVENT__EVENT_REJECT},
    {LIAISON__V1__MOVE__MOVE_START, LIAISON__V1__EVENT__EVENT_IN_PROGRESS},
    {LIAISON__V1__MOVE__MOVE_COMPLETE, LIAISON__V1__EVENT__EVENT_COMPLETE},
    {LIAISON__V1__MOVE__MOVE_WITHDRAW, LIAISON__V1__EVENT__EVENT_WITHDRAW},
    {LIAISON__V1__MOVE__MOVE_APPROVE, LIAISON__V1__EVENT__EVENT_APPROVE},
    {LIAISON__V1__MOVE__MOVE_ACKNOWLEDGE, LIAISON__V1__EVENT__EVENT_ACKNOWLEDGE},
    {LIAISON__V1__MOVE__MOVE_PERMIT, LIAISON__V1__EVENT__EVENT_PERMIT},
};

void sealed_like_envelope(const Liaison__V1__Envelope *e, struct sealed *like)
{
    *like = (struct sealed){.kind = SIGN_REFERRAL,
                            .event = e->version > 1 ? LIAISON__V1__EVENT__EVENT_RESEAL
                                                    : LIAISON__V1__EVENT__EVENT_SUBMIT,
                            .type = (int)e->type,
                            .agency = e->from,
                            .counterpart = e->to,
                            .onward = e->version > 1 ? e->to : "",
                            .officer = e->officer,
                            .purpose = e->purpose,
                            .basis = e->basis};
    memcpy(like->id, e->id.data, sizeof like->id);
    memcpy(like->referral_id, e->id.data, sizeof like->referral_id);
    memcpy(like->case_id, e->case_id.data, sizeof like->case_id);
}

void sealed_like_action(const Liaison__V1__Action *a, struct sealed *like)
{
    bool sender = strcmp(a->agency, a->referral->from) == 0;

    *like = (struct sealed){.kind = SIGN_ACTION,
                            .agency = a->agency,
                            .counterpart = sender ? "" : a->referral->from,
                            .onward = a->to,
                            .officer = a->officer,
                            .purpose = a->purpose,
                            .basis = a->basis};
    for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++)
        if (EVENTS[i].move == (int)a->move)
            like->event = EVENTS[i].event;
    memcpy(like->id, a->id.data, sizeof like->id);
    memcpy(like->referral_id, a->referral->id.data, sizeof like->referral_id);
}

/* ---------------------------------------------------------------- putting together */

static struct slice pack_signature(struct slice certificate, const struct sign_part *part,
                                   uint8_t *out, size_t room)
{
    Liaison__V1__Signature s = LIAISON__V1__SIGNATURE__INIT;
    ProtobufCBinaryData path[VALID_PATH_MAX];

    for (size_t i = 0; i < part->path_len; i++)
        path[i] = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)(uintptr_t)part->path[i]};
    s.certificate =
        (ProtobufCBinaryData){certificate.n, (uint8_t *)(uintptr_t)certificate.p};
    s.signature =
        (ProtobufCBinaryData){part->signature_len, (uint8_t *)(uintptr_t)part->signature};
    s.index = part->index;
    s.size = part->size;
    s.n_path = part->path_len;
    s.path = path;
    size_t n = liaison__v1__signature__get_packed_size(&s);

    return n > room ? slice(NULL, 0) : slice(out, liaison__v1__signature__pack(&s, out));
}

static uint8_t *put(uint8_t *to, struct slice bytes)
{
    if (bytes.n > 0)
        memcpy(to, bytes.p, bytes.n);
    return to + bytes.n;
}

static uint8_t *put_field(uint8_t *to, unsigned field, struct slice bytes)
{
    return put(to + wire_head(field, bytes.n, to), bytes);
}

/* Copies a text behind `to`, NUL included, and points there. */
static uint8_t *put_text(uint8_t *to, const char **text)
{
    size_t n = strlen(*text) + 1;

    memcpy(to, *text, n);
    *text = (const char *)to;
    return to + n;
}

/* The signed bytes and the texts lie behind the struct itself. */
static struct sealed *sealed_of(const struct sealed *like, struct slice content,
                                struct slice signature, struct slice sections)
{
    size_t texts = strlen(like->agency) + strlen(like->counterpart) +
                   strlen(like->onward) + strlen(like->officer) + strlen(like->purpose) +
                   strlen(like->basis) + 6;
    size_t n = wire_field_len(FIELD_CONTENT, content.n) +
               wire_field_len(FIELD_SIGNATURE, signature.n) + sections.n;
    struct sealed *s = malloc(sizeof *s + n + texts);

    if (s == NULL)
        return NULL;
    uint8_t *start = (uint8_t *)(s + 1), *at;

    *s = *like;
    s->refs = 1;
    id_text(s->id, s->id_text);
    at = put_field(start, FIELD_CONTENT, content);
    s->content = slice(at - content.n, content.n);
    at = put_field(at, FIELD_SIGNATURE, signature);
    s->sections = slice(at, sections.n);
    at = put(at, sections);
    s->bytes = slice(start, (size_t)(at - start));
    at = put_text(at, &s->agency);
    at = put_text(at, &s->counterpart);
    at = put_text(at, &s->onward);
    at = put_text(at, &s->officer);
    at = put_text(at, &s->purpose);
    put_text(at, &s->basis);
    return s;
}

struct sealed *sealed_new(struct hash *h, const struct sealed *like, struct slice content,
                          struct slice certificate, const struct sign_part *signature,
                          struct slice sections)
{
    size_t room = certificate.n + sizeof *signature + 64;
    uint8_t *packed = malloc(room);
    struct sealed *s = NULL;
    struct slice bytes = packed == NULL
                             ? slice(NULL, 0)
                             : pack_signature(certificate, signature, packed, room);

    if (bytes.n > 0)
        s = sealed_of(like, content, bytes, sections);
    if (s != NULL)
        hash_sha256(h, &certificate, 1, s->certificate);
    free(packed);
    return s;
}

struct slice sealed_pack_sections(struct arena *a, Liaison__V1__Section *const *sections,
                                  size_t n)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += wire_field_len(FIELD_SECTIONS,
                                liaison__v1__section__get_packed_size(sections[i]));
    uint8_t *start = arena_alloc(a, total), *at = start;

    if (start == NULL)
        return slice(NULL, 0);
    for (size_t i = 0; i < n; i++) {
        at += wire_head(FIELD_SECTIONS,
                        liaison__v1__section__get_packed_size(sections[i]), at);
        at += liaison__v1__section__pack(sections[i], at);
    }
    return slice(start, total);
}

/* ---------------------------------------------------------------- taking apart */

/* The parts both kinds of signed message have. */
struct parts {
    ProtobufCBinaryData content;
    const Liaison__V1__Signature *signature;
};

static enum liaison_code read_parts(enum sign_kind kind, struct slice bytes,
                                    struct arena *a, struct parts *out)
{
    const void *m;
    enum liaison_code code =
        valid_decode(kind == SIGN_REFERRAL ? &liaison__v1__signed_referral__descriptor
                                           : &liaison__v1__signed_action__descriptor,
                     bytes, a, &m);

    if (code != LIAISON_OK)
        return code;
    if (kind == SIGN_REFERRAL) {
        const Liaison__V1__SignedReferral *r = m;

        *out = (struct parts){r->envelope, r->signature};
    } else {
        const Liaison__V1__SignedAction *r = m;

        *out = (struct parts){r->action, r->signature};
    }
    return LIAISON_OK;
}

static enum liaison_code read_content(enum sign_kind kind, struct slice content,
                                      struct arena *a, struct sealed *like,
                                      const char **why)
{
    const void *m;
    enum liaison_code code =
        valid_decode(kind == SIGN_REFERRAL ? &liaison__v1__envelope__descriptor
                                           : &liaison__v1__action__descriptor,
                     content, a, &m);

    if (code != LIAISON_OK)
        return code;
    code = kind == SIGN_REFERRAL ? valid_envelope(m, why) : valid_action(m, why);
    if (code != LIAISON_OK)
        return code;
    if (kind == SIGN_REFERRAL)
        sealed_like_envelope(m, like);
    else
        sealed_like_action(m, like);
    return LIAISON_OK;
}

static enum liaison_code read_all(struct hash *h, enum sign_kind kind, struct slice bytes,
                                  struct arena *a, struct sealed **out, const char **why)
{
    struct parts parts;
    struct sealed like;
    enum liaison_code code = read_parts(kind, bytes, a, &parts);

    if (code != LIAISON_OK ||
        (code = valid_signature(parts.signature, why)) != LIAISON_OK)
        return code;
    code =
        read_content(kind, slice(parts.content.data, parts.content.len), a, &like, why);
    if (code != LIAISON_OK)
        return code;
    /* The bytes are canonical, so the places of their fields follow from their lengths. */
    size_t signature_len = liaison__v1__signature__get_packed_size(parts.signature);
    size_t content_end = wire_field_len(FIELD_CONTENT, parts.content.len);
    size_t signature_end = content_end + wire_field_len(FIELD_SIGNATURE, signature_len);
    struct slice certificate =
        slice(parts.signature->certificate.data, parts.signature->certificate.len);
    struct sealed *s = sealed_of(
        &like, slice(bytes.p + content_end - parts.content.len, parts.content.len),
        slice(bytes.p + signature_end - signature_len, signature_len),
        slice(bytes.p + signature_end, bytes.n - signature_end));

    if (s == NULL)
        return LIAISON_MEMORY;
    hash_sha256(h, &certificate, 1, s->certificate);
    *out = s;
    return LIAISON_OK;
}

enum liaison_code sealed_read(struct hash *h, enum sign_kind kind, struct slice bytes,
                              struct sealed **out, const char **why)
{
    struct arena *a = arena_new();

    *why = "not a strict signed message";
    enum liaison_code code =
        a == NULL ? LIAISON_MEMORY : read_all(h, kind, bytes, a, out, why);

    arena_free(a);
    return code;
}

struct sealed *sealed_share(struct sealed *s)
{
    s->refs++;
    return s;
}

void sealed_free(struct sealed *s)
{
    if (s != NULL && --s->refs == 0)
        free(s);
}
