/* Opening a section: nothing opens but what was sealed to this reader, byte for byte, and then it is what was put in.
 *
 * Input: a byte that says what the rest is: bytes that claim to be CMS; edits to an object that was just sealed, 4 bytes
 * each; or a plaintext that claims to be a SectionBody. */
#include "client/lib/seal.h"
#include "proto/valid.h"
#include "tests/fuzz/ca.h"

enum { RAW, EDITED, BODY, MODES, EDIT_BYTES = 4 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t ID[16] = {1,    2,  3,  4,  5,  6,  0x77, 8,
                               0x89, 10, 11, 12, 13, 14, 15,   16};
static const struct seal_place PLACE = {FUZZ_NETWORK, "fr/prison", "fr/probation",
                                        "needs", ID};
static const char PLAIN[] = "{\"name\": \"Synthetic Person\"}"; /* made up */

/* Set once, before the first input. */
static struct seal *seal;
static struct seal_reader *reader;
static EVP_PKEY *key;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct fuzz_ca ca = fuzz_ca_make();
    struct slice der =
        fuzz_ca_issue(&ca, "critical,keyAgreement", "1.3.6.1.4.1.58888.1.1",
                      "URI:spiffe://fr." FUZZ_NETWORK "/agency/probation", &key);

    must(seal_new(&seal) == LIAISON_OK &&
         seal_reader_new(seal, der, &reader) == LIAISON_OK);
    OPENSSL_free((void *)(uintptr_t)der.p);
    tls_trust_free(ca.trust);
    mini_free(&ca.root);
    mini_free(&ca.registrar);
    return 0;
}

/* NULL: it does not open, and nothing was touched. */
static uint8_t *open_it(struct slice der, size_t *len)
{
    static uint8_t untouched;
    uint8_t *plain = &untouched;
    const char *why = NULL;

    *len = SIZE_MAX;
    if (seal_open(seal, reader, key, der, &plain, len, &why) == LIAISON_OK)
        return plain;
    must(plain == &untouched && *len == SIZE_MAX && why != NULL && why[0] != '\0');
    return NULL;
}

static void raw(struct slice der)
{
    struct seal_reader *other = NULL;
    size_t len;

    must(open_it(der, &len) == NULL); /* the key was made in this process */
    if (seal_reader_new(seal, der, &other) == LIAISON_OK)
        must(seal_reader_sha256(other) != NULL);
    else
        must(other == NULL);
    seal_reader_free(other);
}

/* One edit: what, two bytes of where, a byte. Returns the new length. */
static size_t edit(const uint8_t *e, uint8_t *bytes, size_t n, size_t room)
{
    size_t at = n == 0 ? 0 : (size_t)(e[1] << 8 | e[2]) % n;

    switch (e[0] % 4) {
    case 0: /* change */
        if (n > 0)
            bytes[at] = e[3];
        return n;
    case 1: /* put in */
        if (n == room)
            return n;
        memmove(bytes + at + 1, bytes + at, n - at);
        bytes[at] = e[3];
        return n + 1;
    case 2: /* take out */
        if (n > 0)
            memmove(bytes + at, bytes + at + 1, n - at - 1);
        return n > 0 ? n - 1 : 0;
    default: /* append */
        if (n < room)
            bytes[n++] = e[3];
        return n;
    }
}

static void edited(struct slice edits, struct arena *a)
{
    struct slice der;
    size_t len;

    must(seal_close(seal, reader, slice_text(PLAIN), a, &der) == LIAISON_OK);
    size_t n = der.n, room = der.n + 64;
    uint8_t *copy = arena_alloc(a, room);

    memcpy(copy, der.p, n);
    for (; edits.n >= EDIT_BYTES;
         edits = slice(edits.p + EDIT_BYTES, edits.n - EDIT_BYTES))
        n = edit(edits.p, copy, n, room);
    uint8_t *exact = malloc(n + 1); /* of its own, so that a byte too far is seen */

    exact = realloc(memcpy(exact, copy, n), n > 0 ? n : 1);
    uint8_t *plain = open_it(slice(exact, n), &len);

    must((plain != NULL) == slice_equal(slice(exact, n), der));
    if (plain != NULL) {
        must(slice_equal(slice(plain, len), slice_text(PLAIN)));
        OPENSSL_clear_free(plain, len + 1);
    }
    free(exact);
}

static bool body_of_this_place(struct slice plain, struct arena *a,
                               const Liaison__V1__SectionBody **out)
{
    const void *m;

    if (valid_decode(&liaison__v1__section_body__descriptor, plain, a, &m) != LIAISON_OK)
        return false;
    *out = m;
    return strcmp((*out)->network, PLACE.network) == 0 &&
           strcmp((*out)->sender, PLACE.sender) == 0 &&
           slice_equal(slice((*out)->id.data, (*out)->id.len), slice(ID, sizeof ID)) &&
           strcmp((*out)->reader, PLACE.reader) == 0 &&
           strcmp((*out)->name, PLACE.name) == 0;
}

static void body(struct slice plain, struct arena *a)
{
    Liaison__V1__Section section = LIAISON__V1__SECTION__INIT;
    const Liaison__V1__SectionBody *b = NULL;
    struct seal_content content = {0};
    const char *why = NULL;
    struct slice der;

    must(seal_close(seal, reader, plain, a, &der) == LIAISON_OK);
    section.ciphertext = (ProtobufCBinaryData){der.n, (uint8_t *)(uintptr_t)der.p};
    if (seal_section_open(seal, reader, key, &section, &PLACE, &content, &why) !=
        LIAISON_OK) {
        must(!body_of_this_place(plain, a, &b) && why != NULL && content.content == NULL);
        return;
    }
    must(body_of_this_place(plain, a, &b) &&
         strcmp(content.content_type, b->content_type) == 0 &&
         slice_equal(slice(content.content, content.len),
                     slice(b->content.data, b->content.len)));
    seal_content_free(&content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();

    if (size > 0) {
        struct slice rest = slice(data + 1, size - 1);

        if (data[0] % MODES == RAW)
            raw(rest);
        else if (data[0] % MODES == EDITED)
            edited(rest, a);
        else
            body(rest, a);
    }
    arena_free(a);
    return 0;
}
