/* Letters: signed things whose signature holds, and their sections. */
#include <stdlib.h>

#include "client/lib/check.h"
#include "client/lib/inner.h"
#include "client/lib/keys_old.h"
#include "proto/id.h"
#include "proto/valid.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

struct letter_section {
    const Liaison__V1__Section *section;
    const char *name, *reader;
    const uint8_t *certificate; /* SHA-256 of what it was sealed to */
    struct seal_content content;
    bool open;
};

struct liaison_letter {
    struct arena *arena; /* holds all below but what was opened */
    enum sign_kind kind;
    struct slice content;
    const Liaison__V1__Signature *signature;
    Liaison__V1__Section *const *raw;
    const ProtobufCBinaryData *digests;
    size_t n_digests;
    struct tls_identity signer;
    const char *network, *from, *to; /* to: NULL for an action */
    const uint8_t *id;
    const Liaison__V1__Reference *referral; /* of an action */
    Liaison__V1__Move move;                 /* of an action */
    struct letter_section *sections;
    size_t n_sections;
};

void liaison_letter_free(struct liaison_letter *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; t->sections != NULL && i < t->n_sections; i++)
        seal_content_free(&t->sections[i].content);
    arena_free(t->arena); /* the letter lies in it */
}

static struct liaison_letter *letter_new(enum sign_kind kind)
{
    struct arena *arena = arena_new();
    struct liaison_letter *t = arena == NULL ? NULL : arena_zero(arena, sizeof *t);

    if (t == NULL) {
        arena_free(arena);
        return NULL;
    }
    t->arena = arena;
    t->kind = kind;
    return t;
}

/* ---------------------------------------------------------------- reading */

static enum liaison_code read_outer(struct liaison_letter *t, struct slice bytes)
{
    bool referral = t->kind == SIGN_REFERRAL;
    const void *m;
    enum liaison_code code =
        valid_decode(referral ? &liaison__v1__signed_referral__descriptor
                              : &liaison__v1__signed_action__descriptor,
                     bytes, t->arena, &m);

    if (code != LIAISON_OK)
        return code;
    const Liaison__V1__SignedReferral *r = referral ? m : NULL;
    const Liaison__V1__SignedAction *a = referral ? NULL : m;

    t->content = r != NULL ? slice(r->envelope.data, r->envelope.len)
                           : slice(a->action.data, a->action.len);
    t->signature = r != NULL ? r->signature : a->signature;
    t->raw = r != NULL ? r->sections : a->sections;
    t->n_sections = r != NULL ? r->n_sections : a->n_sections;
    return LIAISON_OK;
}

static enum liaison_code read_envelope(struct liaison_letter *t, const char **why)
{
    const void *m;
    enum liaison_code code =
        valid_decode(&liaison__v1__envelope__descriptor, t->content, t->arena, &m);

    if (code != LIAISON_OK || (code = valid_envelope(m, why)) != LIAISON_OK)
        return code;
    const Liaison__V1__Envelope *e = m;

    t->network = e->network;
    t->from = e->from;
    t->to = e->to;
    t->id = e->id.data;
    t->digests = e->digests;
    t->n_digests = e->n_digests;
    return LIAISON_OK;
}

static enum liaison_code read_action(struct liaison_letter *t, const char **why)
{
    const void *m;
    enum liaison_code code =
        valid_decode(&liaison__v1__action__descriptor, t->content, t->arena, &m);

    if (code != LIAISON_OK || (code = valid_action(m, why)) != LIAISON_OK)
        return code;
    const Liaison__V1__Action *a = m;

    t->network = a->network;
    t->from = a->agency;
    t->id = a->id.data;
    t->referral = a->referral;
    t->move = a->move;
    t->digests = a->digests;
    t->n_digests = a->n_digests;
    return LIAISON_OK;
}

static enum liaison_code read_sections(struct liaison *l, struct liaison_letter *t,
                                       const char **why)
{
    size_t n = t->n_sections;
    const char **names = arena_alloc(t->arena, n * sizeof *names);
    struct letter_section *sections = arena_zero(t->arena, n * sizeof *sections);
    enum liaison_code code = LIAISON_MEMORY;

    if (names != NULL && sections != NULL)
        code = valid_sections(l->hash, t->arena, t->raw, n, t->digests, t->n_digests,
                              t->to, names, why);
    for (size_t i = 0; code == LIAISON_OK && i < n; i++) {
        const void *m;

        code = valid_decode(&liaison__v1__section_header__descriptor,
                            slice(t->raw[i]->header.data, t->raw[i]->header.len),
                            t->arena, &m);
        if (code != LIAISON_OK)
            break;
        const Liaison__V1__SectionHeader *h = m;

        sections[i] = (struct letter_section){.section = t->raw[i],
                                              .name = names[i],
                                              .reader = h->reader,
                                              .certificate = h->certificate.data};
    }
    if (code == LIAISON_OK)
        t->sections = sections;
    return code;
}

static const char *signature_why(enum liaison_code code)
{
    return code == LIAISON_EXPIRED ? "the signer's certificate has ended since"
                                   : liaison_code_text(code);
}

/* Approving is an approver's; it also may take back what is not approved yet. All else is its agency's own. */
static bool may_sign(const struct liaison_letter *t)
{
    if (t->signer.role == TLS_AGENCY)
        return t->move != LIAISON__V1__MOVE__MOVE_APPROVE;
    return t->signer.role == TLS_APPROVER &&
           (t->move == LIAISON__V1__MOVE__MOVE_APPROVE ||
            t->move == LIAISON__V1__MOVE__MOVE_WITHDRAW);
}

/* Who signed, and is it who the bytes say? */
static enum liaison_code check_signer(struct liaison *l, struct liaison_letter *t,
                                      const char **why)
{
    enum liaison_code code = sign_verify(l->keys.verifier, t->kind, t->content,
                                         t->signature, lib_unix(), &t->signer);

    *why = signature_why(code);
    if (code != LIAISON_OK)
        return code;
    *why = "signed for another network";
    if (strcmp(t->network, lib_setting(l, SET_NETWORK)) != 0)
        return LIAISON_NETWORK;
    *why = "the signer is not the agency that the signed bytes name";
    if (strcmp(t->signer.name, t->from) != 0)
        return LIAISON_SIGNER;
    *why =
        "the signer may not do this for its agency: approvers approve, and nobody else";
    return may_sign(t) ? LIAISON_OK : LIAISON_SIGNER;
}

static enum liaison_code read_letter(struct liaison *l, struct liaison_letter *t,
                                     struct slice bytes)
{
    const char *why = "not a strict signed message";
    enum liaison_code code = read_outer(t, bytes);

    if (code == LIAISON_OK)
        code = t->kind == SIGN_REFERRAL ? read_envelope(t, &why) : read_action(t, &why);
    if (code == LIAISON_OK)
        code = check_signer(l, t, &why);
    if (code == LIAISON_OK)
        code = read_sections(l, t, &why);
    return code == LIAISON_OK
               ? code
               : lib_fail(l, code, "the signature does not count: %s", why);
}

static enum liaison_code verify(struct liaison *l, enum sign_kind kind,
                                struct slice bytes, struct liaison_letter **out)
{
    enum liaison_code code = keys_trust(l);

    if (code != LIAISON_OK)
        return code;
    struct liaison_letter *t = letter_new(kind);

    if (t == NULL)
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    code = read_letter(l, t, bytes);
    if (code != LIAISON_OK) {
        liaison_letter_free(t);
        return code;
    }
    *out = t;
    return LIAISON_OK;
}

enum liaison_code liaison_verify_bytes(struct liaison *l, const char *what,
                                       const void *bytes, size_t len,
                                       struct liaison_letter **out)
{
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (what == NULL || (strcmp(what, "referral") != 0 && strcmp(what, "action") != 0))
        return lib_fail(l, LIAISON_USAGE, "what is signed is a referral or an action");
    return verify(l, what[0] == 'r' ? SIGN_REFERRAL : SIGN_ACTION, slice(bytes, len),
                  out);
}

/* ---------------------------------------------------------------- out of answers */

/* The i-th signed thing, as a message. NULL: there is none. */
static const ProtobufCMessage *signed_thing(const struct liaison_answer *a, size_t i,
                                            enum sign_kind *kind)
{
    const Liaison__V1__Card *card = answer_card(a);

    if (i >= liaison_answer_signed(a))
        return NULL;
    *kind = SIGN_REFERRAL;
    if (a->frame->body_case == BODY(CARDS))
        card = a->frame->cards->cards[i];
    if (card != NULL && (i == 0 || a->frame->body_case == BODY(CARDS)))
        return card->referral == NULL ? NULL : &card->referral->base;
    *kind = SIGN_ACTION;
    if (a->frame->body_case == BODY(VIEW))
        return i == 0 ? NULL : &a->frame->view->actions[i - 1]->base;
    return a->frame->deliver->notice->action == NULL
               ? NULL
               : &a->frame->deliver->notice->action->base;
}

/* An action of a view must be about the referral that it is shown with. */
static enum liaison_code belongs(struct liaison *l, const struct liaison_answer *a,
                                 const struct liaison_letter *t)
{
    const Liaison__V1__Card *card = answer_card(a);
    struct arena *arena = arena_new();
    const void *m;
    enum liaison_code code = LIAISON_MEMORY;

    if (arena != NULL && card != NULL && card->referral != NULL)
        code = valid_decode(
            &liaison__v1__envelope__descriptor,
            slice(card->referral->envelope.data, card->referral->envelope.len), arena,
            &m);
    if (code == LIAISON_OK) {
        const Liaison__V1__Envelope *e = m;

        if (strcmp(e->from, t->referral->from) != 0 ||
            !slice_equal(slice(e->id.data, e->id.len),
                         slice(t->referral->id.data, t->referral->id.len)))
            code = LIAISON_SIGNATURE;
        else if (strcmp(t->from, e->from) != 0 && strcmp(t->from, e->to) != 0)
            code = LIAISON_SIGNER;
    }
    arena_free(arena);
    return code == LIAISON_OK
               ? code
               : lib_fail(l, code,
                          "the action is not about the referral it is shown with");
}

enum liaison_code liaison_verify(struct liaison *l, const struct liaison_answer *a,
                                 size_t i, struct liaison_letter **out)
{
    enum liaison_code code = lib_enter(l);
    enum sign_kind kind = SIGN_REFERRAL;
    const ProtobufCMessage *m =
        code == LIAISON_OK && a != NULL ? signed_thing(a, i, &kind) : NULL;
    struct liaison_letter *t = NULL;

    if (code != LIAISON_OK)
        return code;
    if (m == NULL)
        return lib_fail(l, LIAISON_USAGE, "the answer holds no signed thing number %zu",
                        i);
    struct arena *arena =
        arena_new(); /* strict bytes: packed again they are the ones that came */
    struct slice bytes = arena == NULL ? slice(NULL, 0) : arena_pack(arena, m);

    code = bytes.p == NULL ? lib_fail(l, LIAISON_MEMORY, "out of memory")
                           : verify(l, kind, bytes, &t);
    arena_free(arena);
    if (code == LIAISON_OK && a->frame->body_case == BODY(VIEW) && kind == SIGN_ACTION)
        code = belongs(l, a, t);
    if (code == LIAISON_OK && !check_alert(a, slice(t->id, ID_BYTES)))
        code = lib_fail(l, LIAISON_SIGNATURE,
                        "the alert's ledger entry is not about the referral it is shown "
                        "with: keep it as evidence");
    if (code == LIAISON_OK)
        *out = t;
    else
        liaison_letter_free(t);
    return code;
}

/* ---------------------------------------------------------------- getters and opening */

const char *liaison_letter_kind(const struct liaison_letter *t)
{
    return t->kind == SIGN_REFERRAL ? "referral" : "action";
}

const char *liaison_letter_signer(const struct liaison_letter *t)
{
    return t->signer.name;
}

const uint8_t *liaison_letter_bytes(const struct liaison_letter *t, size_t *len)
{
    *len = t->content.n;
    return t->content.p;
}

const char *liaison_letter_section(const struct liaison_letter *t, size_t i)
{
    return i < t->n_sections ? t->sections[i].name : NULL;
}

const char *liaison_letter_reader(const struct liaison_letter *t, size_t i)
{
    return i < t->n_sections ? t->sections[i].reader : NULL;
}

static enum liaison_code open_section(struct liaison *l, const struct liaison_letter *t,
                                      struct letter_section *s)
{
    const struct seal_place place = {t->network, t->from, s->reader, s->name, t->id};
    const struct seal_reader *own = NULL;
    EVP_PKEY *key = NULL;
    const char *why = "";
    enum liaison_code code;

    if (strcmp(s->reader, lib_own_name(l)) != 0)
        return lib_fail(l, LIAISON_SEAL,
                        "section %s is sealed to %s: only it can open it", s->name,
                        s->reader);
    code = keys_unseal(l, s->certificate, &own, &key);
    if (code == LIAISON_NOT_FOUND)
        return lib_fail(l, LIAISON_SEAL,
                        "section %s is sealed to another certificate than %s, and no "
                        "former key that was kept belongs to that one; ask %s to send "
                        "it again",
                        s->name, lib_setting(l, SET_SEAL_CERTIFICATE), t->from);
    if (code != LIAISON_OK)
        return code;
    code = seal_section_open(l->seal, own, key, s->section, &place, &s->content, &why);
    if (code != LIAISON_OK)
        return lib_fail(l, code, "section %s: %s", s->name,
                        code == LIAISON_SEAL ? why : "out of memory");
    s->open = true;
    return LIAISON_OK;
}

enum liaison_code liaison_letter_open(struct liaison *l, struct liaison_letter *t,
                                      const char *name, const uint8_t **content,
                                      size_t *len, const char **content_type)
{
    enum liaison_code code = lib_enter(l);
    struct letter_section *s = NULL;

    if (code != LIAISON_OK)
        return code;
    if (t == NULL || name == NULL)
        return lib_fail(l, LIAISON_USAGE, "a letter and a section's name are wanted");
    for (size_t i = 0; i < t->n_sections; i++)
        if (strcmp(t->sections[i].name, name) == 0)
            s = &t->sections[i];
    if (s == NULL)
        return lib_fail(l, LIAISON_NOT_FOUND, "there is no section %s to be opened",
                        name);
    if (!s->open && (code = open_section(l, t, s)) != LIAISON_OK)
        return code;
    *content = s->content.content;
    *len = s->content.len;
    if (content_type != NULL)
        *content_type = s->content.content_type;
    return LIAISON_OK;
}
