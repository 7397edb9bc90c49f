/* What a signed message must say, field by field. */
#include "proto/hash.h"
#include "proto/id.h"
#include "proto/valid.h"

/* A text field and the form it must have; `optional` ones may be empty. */
struct text_rule {
    const char *text;
    bool (*form)(const char *);
    bool optional;
    const char *why;
};

/* Network names are host names: words joined by dots. */
static bool network_name(const char *text)
{
    size_t n = strlen(text), label = 0;

    if (n == 0 || n > ID_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool dot = text[i] == '.', word = (text[i] >= 'a' && text[i] <= 'z') ||
                                          (text[i] >= '0' && text[i] <= '9') ||
                                          text[i] == '-';

        if ((!dot && !word) || (dot && label == 0))
            return false;
        label = dot ? 0 : label + 1;
    }
    return label > 0;
}

static bool any_word(const char *text)
{
    return id_word(text);
}

static bool texts_ok(const struct text_rule *rules, size_t n, const char **why)
{
    for (size_t i = 0; i < n; i++) {
        if (rules[i].text[0] == '\0' ? rules[i].optional : rules[i].form(rules[i].text))
            continue;
        *why = rules[i].why;
        return false;
    }
    return true;
}

static bool bytes_are(ProtobufCBinaryData b, size_t n)
{
    return b.len == n;
}

static enum liaison_code id_ok(ProtobufCBinaryData id, const char *message,
                               const char **why)
{
    if (id_valid(slice(id.data, id.len)))
        return LIAISON_OK;
    *why = message;
    return LIAISON_ID;
}

static enum liaison_code reference_ok(const Liaison__V1__Reference *r, const char **why)
{
    if (r == NULL) {
        *why = "referral: a sender and an id are wanted";
        return LIAISON_FIELD;
    }
    if (!id_name(r->from)) {
        *why = "referral.from: an agency's name is wanted";
        return LIAISON_FIELD;
    }
    return id_ok(r->id, "referral.id: a UUIDv7 is wanted", why);
}

/* Digests are 32 bytes each, strictly rising, padded to a multiple of 8. */
static bool digests_ok(const ProtobufCBinaryData *digests, size_t n, const char **why)
{
    *why = "digests: 32 bytes each, rising, a multiple of 8 of them, at most 64";
    if (n > VALID_DIGESTS_MAX || n % 8 != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!bytes_are(digests[i], HASH_BYTES) ||
            (i > 0 && memcmp(digests[i - 1].data, digests[i].data, HASH_BYTES) >= 0))
            return false;
    return true;
}

static enum liaison_code choices_ok(const Liaison__V1__Envelope *e, const char **why)
{
    const struct {
        int value;
        const char *why;
    } CHOICES[] = {
        {(int)e->type, "envelope.type: must be said"},
        {(int)e->subject_category, "envelope.subject_category: must be said"},
        {(int)e->minor, "envelope.minor: must be said: yes, no or unknown"},
        {(int)e->regime, "envelope.regime: must be said: led or gdpr"},
        {(int)e->handling, "envelope.handling: must be said: none, h0, h1, h2 or h3"},
        {(int)e->informed, "envelope.informed: must be said"},
        {(int)e->urgency, "envelope.urgency: must be said"},
    };

    for (size_t i = 0; i < sizeof CHOICES / sizeof *CHOICES; i++)
        if (CHOICES[i].value == 0) {
            *why = CHOICES[i].why;
            return LIAISON_FIELD;
        }
    return LIAISON_OK;
}

/* What this version has no life cycle for is refused, not half done. */
static enum liaison_code supported(const Liaison__V1__Envelope *e, const char **why)
{
    if (e->type != LIAISON__V1__TYPE__TYPE_REFERRAL &&
        e->type != LIAISON__V1__TYPE__TYPE_TRANSFER) {
        *why = "envelope.type: information and query are not supported by this version";
        return LIAISON_UNSUPPORTED;
    }
    if (e->offer.len != 0) {
        *why = "envelope.offer: offers are not supported by this version";
        return LIAISON_UNSUPPORTED;
    }
    return LIAISON_OK;
}

enum liaison_code valid_envelope(const Liaison__V1__Envelope *e, const char **why)
{
    const struct text_rule TEXTS[] = {
        {e->network, network_name, false, "envelope.network: a network's name is wanted"},
        {e->from, id_name, false, "envelope.from: an agency's name is wanted"},
        {e->to, id_name, false, "envelope.to: an agency's name is wanted"},
        {e->category, any_word, false, "envelope.category: a word is wanted"},
        {e->purpose, any_word, false, "envelope.purpose: a word is wanted"},
        {e->basis, any_word, false, "envelope.basis: a word is wanted"},
        {e->officer, id_officer, false,
         "envelope.officer: an officer's number is wanted"},
    };
    enum liaison_code code = id_ok(e->id, "envelope.id: a UUIDv7 is wanted", why);

    if (code != LIAISON_OK)
        return code;
    if (!texts_ok(TEXTS, sizeof TEXTS / sizeof *TEXTS, why))
        return LIAISON_FIELD;
    if (strcmp(e->from, e->to) == 0) {
        *why = "envelope.to: another agency than the sender is wanted";
        return LIAISON_FIELD;
    }
    if (!bytes_are(e->case_id, ID_BYTES)) {
        *why = "envelope.case_id: 16 bytes are wanted";
        return LIAISON_FIELD;
    }
    if (e->version == 0 || e->created_unix_ms == 0) {
        *why = "envelope: version and created_unix_ms are wanted";
        return LIAISON_FIELD;
    }
    if ((e->urgency == LIAISON__V1__URGENCY__URGENCY_DATE) != (e->due_unix_ms != 0)) {
        *why = "envelope.due_unix_ms: wanted with urgency date, and only then";
        return LIAISON_FIELD;
    }
    if (!digests_ok(e->digests, e->n_digests, why))
        return LIAISON_FIELD;
    if ((code = choices_ok(e, why)) != LIAISON_OK ||
        (e->caused_by != NULL && (code = reference_ok(e->caused_by, why)) != LIAISON_OK))
        return code;
    code = supported(e, why);
    if (code == LIAISON_OK)
        *why = NULL;
    return code;
}

enum liaison_code valid_action(const Liaison__V1__Action *a, const char **why)
{
    const struct text_rule TEXTS[] = {
        {a->network, network_name, false, "action.network: a network's name is wanted"},
        {a->agency, id_name, false, "action.agency: an agency's name is wanted"},
        {a->reason, any_word, true, "action.reason: a word is wanted"},
        {a->officer, id_officer, false, "action.officer: an officer's number is wanted"},
        {a->purpose, any_word, false, "action.purpose: a word is wanted"},
        {a->basis, any_word, false, "action.basis: a word is wanted"},
    };
    enum liaison_code code = id_ok(a->id, "action.id: a UUIDv7 is wanted", why);

    if (code != LIAISON_OK || (code = reference_ok(a->referral, why)) != LIAISON_OK)
        return code;
    if (!texts_ok(TEXTS, sizeof TEXTS / sizeof *TEXTS, why))
        return LIAISON_FIELD;
    if (a->move == LIAISON__V1__MOVE__MOVE_UNSPECIFIED) {
        *why = "action.move: must be said";
        return LIAISON_FIELD;
    }
    if (a->expected_version == 0 || a->created_unix_ms == 0) {
        *why = "action: expected_version and created_unix_ms are wanted";
        return LIAISON_FIELD;
    }
    if (a->move == LIAISON__V1__MOVE__MOVE_PERMIT ? !id_name(a->to) : a->to[0] != '\0') {
        *why = "action.to: an agency's name is wanted with permit, and nothing else";
        return LIAISON_FIELD;
    }
    if (!digests_ok(a->digests, a->n_digests, why))
        return LIAISON_FIELD;
    *why = NULL;
    return LIAISON_OK;
}

enum liaison_code valid_signature(const Liaison__V1__Signature *s, const char **why)
{
    *why = "signature: certificate, signature, size of 1 to 1024, an index below it and "
           "its path are wanted";
    if (s == NULL || s->certificate.len == 0 || s->signature.len == 0 ||
        s->signature.len > 72 || s->size == 0 || s->size > VALID_BURST_MAX ||
        s->index >= s->size || s->n_path > VALID_PATH_MAX)
        return LIAISON_FIELD;
    for (size_t i = 0; i < s->n_path; i++)
        if (!bytes_are(s->path[i], HASH_BYTES))
            return LIAISON_FIELD;
    *why = NULL;
    return LIAISON_OK;
}

void valid_section_digest(struct hash *h, const Liaison__V1__Section *s, uint8_t out[32])
{
    uint8_t ciphertext[HASH_BYTES];

    hash_sha256(h, &(struct slice){s->ciphertext.data, s->ciphertext.len}, 1, ciphertext);
    hash_sha256(h,
                (struct slice[]){slice_text("liaison/1 section\n"),
                                 {s->salt.data, s->salt.len},
                                 {s->header.data, s->header.len},
                                 {ciphertext, sizeof ciphertext}},
                4, out);
}

static bool listed(const uint8_t digest[HASH_BYTES], const ProtobufCBinaryData *digests,
                   size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (digests[i].len == HASH_BYTES &&
            memcmp(digests[i].data, digest, HASH_BYTES) == 0)
            return true;
    return false;
}

static enum liaison_code header_ok(const Liaison__V1__Section *s, const char *reader,
                                   struct arena *a, const char **name, const char **why)
{
    const void *decoded;
    enum liaison_code code =
        valid_decode(&liaison__v1__section_header__descriptor,
                     slice(s->header.data, s->header.len), a, &decoded);

    if (code != LIAISON_OK) {
        *why = "section.header: not strict protobuf";
        return code;
    }
    const Liaison__V1__SectionHeader *h = decoded;

    *why = "section.header: a name, the reader and its certificate's digest are wanted";
    if (!id_word(h->name) || !id_name(h->reader) ||
        !bytes_are(h->certificate, HASH_BYTES))
        return LIAISON_FIELD;
    *why = "section.header.reader: sealed to another agency than the one it goes to";
    if (reader != NULL && strcmp(h->reader, reader) != 0)
        return LIAISON_FIELD;
    *name = h->name;
    return LIAISON_OK;
}

enum liaison_code valid_sections(struct hash *h, struct arena *a,
                                 Liaison__V1__Section *const *sections, size_t n,
                                 const ProtobufCBinaryData *digests, size_t n_digests,
                                 const char *reader, const char **names, const char **why)
{
    if (n > VALID_SECTIONS_MAX) {
        *why = "sections: more than 32";
        return LIAISON_LIMIT;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t digest[HASH_BYTES];
        enum liaison_code code = header_ok(sections[i], reader, a, &names[i], why);

        if (code != LIAISON_OK)
            return code;
        *why =
            "section: a salt of 32 bytes, a ciphertext and a name of its own are wanted";
        if (!bytes_are(sections[i]->salt, HASH_BYTES) || sections[i]->ciphertext.len == 0)
            return LIAISON_FIELD;
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                return LIAISON_FIELD;
        valid_section_digest(h, sections[i], digest);
        if (!listed(digest, digests, n_digests)) {
            *why = "section: its digest is not in the signed list";
            return LIAISON_DIGEST;
        }
    }
    *why = NULL;
    return LIAISON_OK;
}
