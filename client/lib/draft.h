#pragma once
/* What is being filled in before it is sealed: fields by key, and sections. */
#include "client/lib/inner.h"

enum draft_form {
    FORM_NAME, /* an agency's */
    FORM_WORD,
    FORM_OFFICER,
    FORM_ENUM, /* one of `words` */
    FORM_NUMBER,
    FORM_ID,    /* a UUIDv7 as text */
    FORM_HEX16, /* 32 hex digits */
    FORM_YES_NO,
};

struct draft_field {
    const char *key;
    enum draft_form form;
    const ProtobufCEnumDescriptor *words;
};

enum { DRAFT_FIELDS_MAX = 24 };

struct draft_section {
    char *name, *content_type;
    uint8_t *content;
    size_t len;
};

struct draft {
    struct liaison *l;
    const struct draft_field *fields;
    size_t n_fields;
    char *values[DRAFT_FIELDS_MAX]; /* NULL: not set */
    struct draft_section *sections;
    size_t n_sections;
};

/* Sets one field. "" unsets it. Errors: LIAISON_USAGE, LIAISON_FIELD, LIAISON_MEMORY; the sentence is kept. */
MUST_CHECK
enum liaison_code draft_set(struct draft *d, const char *key, const char *value);

MUST_CHECK
enum liaison_code draft_section(struct draft *d, const char *name,
                                const char *content_type, const void *content,
                                size_t len);

/* The value of field i: as text ("" when unset), as the enum's number (0) and as a number (0). */
char *draft_text(const struct draft *d, size_t i);
int draft_enum(const struct draft *d, size_t i);
uint64_t draft_number(const struct draft *d, size_t i);

/* The same, or the handle's setting when unset. */
char *draft_or(const struct draft *d, size_t i, enum setting s);

/* Forgets all; contents are wiped. */
void draft_clear(struct draft *d);

/* What the sections of a draft become. */
struct draft_sealed {
    Liaison__V1__Section **sections;
    size_t n_sections;
    ProtobufCBinaryData *digests; /* sorted, padded with random ones to a multiple of 8 */
    size_t n_digests;
};

/* Seals the sections to place->reader, for place->id. All in `a`. `reader` may be NULL when there is no section.
 * pad_none: eight random digests even without a section. Errors: LIAISON_MEMORY, LIAISON_INTERNAL; the sentence is
 * kept. */
MUST_CHECK
enum liaison_code draft_seal(const struct draft *d, const struct seal_reader *reader,
                             const struct seal_place *place, bool pad_none,
                             struct arena *a, struct draft_sealed *out);
