#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/cms.h>

#include "client/lib/der.h"
#include "client/lib/seal.h"
#include "tests/unit/pki.h"

static const char PLAIN[] = "{\"name\": \"Synthetic Person\"}"; /* made up */
static const uint8_t ID[16] = {1,    2,  3,  4,  5,  6,  0x77, 8,
                               0x89, 10, 11, 12, 13, 14, 15,   16};
static const struct seal_place PLACE = {PKI_NETWORK, "fr/prison", "fr/probation",
                                        "identity", ID};

struct rig {
    struct pki pki;
    struct seal *seal;
    struct arena *arena;
    struct seal_reader *reader, *other;
    EVP_PKEY *key, *other_key;
    X509 *certificate;
};

static X509 *read_certificate(const struct rig *r, const char *file)
{
    FILE *f = fopen(pki_path(&r->pki, file), "r");
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);

    fclose(f);
    return x;
}

static EVP_PKEY *read_key(const struct rig *r, const char *file)
{
    FILE *f = fopen(pki_path(&r->pki, file), "r");
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);

    fclose(f);
    return key;
}

static struct seal_reader *reader_of(struct rig *r, X509 *x)
{
    struct seal_reader *reader = NULL;
    uint8_t *der = NULL;
    int n = i2d_X509(x, &der);

    assert_int_equal(seal_reader_new(r->seal, slice(der, (size_t)n), &reader),
                     LIAISON_OK);
    OPENSSL_free(der);
    return reader;
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    X509 *other;

    pki_open(&r->pki);
    pki_leaf(&r->pki, "probation", "spiffe://fr." PKI_NETWORK "/agency/probation",
             PKI_SEAL);
    pki_leaf(&r->pki, "other", "spiffe://fr." PKI_NETWORK "/agency/other", PKI_SEAL);
    r->arena = arena_new();
    assert_int_equal(seal_new(&r->seal), LIAISON_OK);
    r->certificate = read_certificate(r, "probation.crt");
    r->key = read_key(r, "probation.key");
    other = read_certificate(r, "other.crt");
    r->other_key = read_key(r, "other.key");
    r->reader = reader_of(r, r->certificate);
    r->other = reader_of(r, other);
    X509_free(other);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    seal_reader_free(r->reader);
    seal_reader_free(r->other);
    seal_free(r->seal);
    arena_free(r->arena);
    EVP_PKEY_free(r->key);
    EVP_PKEY_free(r->other_key);
    X509_free(r->certificate);
    pki_close(&r->pki);
    free(r);
    return 0;
}

static struct slice sealed(struct rig *r, struct slice plain)
{
    struct slice der = {0};

    assert_int_equal(seal_close(r->seal, r->reader, plain, r->arena, &der), LIAISON_OK);
    return der;
}

static enum liaison_code try_open(struct rig *r, struct slice der)
{
    uint8_t *plain = NULL;
    size_t len = 0;
    const char *why = "";
    enum liaison_code code =
        seal_open(r->seal, r->reader, r->key, der, &plain, &len, &why);

    if (code == LIAISON_OK)
        OPENSSL_clear_free(plain, len + 1);
    else
        assert_string_not_equal(why, "");
    return code;
}

static void what_is_sealed_opens_again_whatever_its_length(void **state)
{
    static const size_t LENGTHS[] = {0,   1,   15,   16,    17,    127,    128,
                                     255, 256, 1024, 65535, 65536, 1000000};
    struct rig *r = *state;
    uint8_t *content = calloc(1, 1000000);

    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        uint8_t *plain = NULL;
        size_t len = 0;
        const char *why;
        struct slice der = sealed(r, slice(content, LENGTHS[i]));

        assert_int_equal(seal_open(r->seal, r->reader, r->key, der, &plain, &len, &why),
                         LIAISON_OK);
        assert_int_equal(len, LENGTHS[i]);
        assert_memory_equal(plain, content, len);
        OPENSSL_clear_free(plain, len + 1);
    }
    free(content);
}

static void two_seals_of_the_same_bytes_share_nothing_secret(void **state)
{
    struct rig *r = *state;
    struct slice a = sealed(r, slice_text(PLAIN)), b = sealed(r, slice_text(PLAIN));

    assert_int_equal(a.n, b.n);
    assert_memory_not_equal(a.p + a.n - 18 - strlen(PLAIN),
                            b.p + b.n - 18 - strlen(PLAIN), strlen(PLAIN));
}

static void every_altered_byte_is_noticed(void **state)
{
    struct rig *r = *state;
    struct slice der = sealed(r, slice_text(PLAIN));
    uint8_t *copy = arena_copy(r->arena, der);

    for (size_t i = 0; i < der.n; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            copy[i] ^= (uint8_t)(1 << bit);
            if (try_open(r, slice(copy, der.n)) != LIAISON_SEAL)
                fail_msg("byte %zu, bit %u was altered and it opened", i, bit);
            copy[i] ^= (uint8_t)(1 << bit);
        }
    assert_int_equal(try_open(r, slice(copy, der.n)), LIAISON_OK);
}

static void every_cut_and_every_longer_form_is_refused(void **state)
{
    struct rig *r = *state;
    struct slice der = sealed(r, slice_text(PLAIN));
    uint8_t *longer = arena_copy(r->arena, der); /* one NUL behind it */

    for (size_t n = 0; n < der.n; n++)
        assert_int_equal(try_open(r, slice(der.p, n)), LIAISON_SEAL);
    assert_int_equal(try_open(r, slice(longer, der.n + 1)), LIAISON_SEAL);
}

/* T-61 */
static void another_reader_cannot_open(void **state)
{
    struct rig *r = *state;
    struct slice der = sealed(r, slice_text(PLAIN));
    uint8_t *plain;
    size_t len;
    const char *why = "";

    assert_int_equal(seal_open(r->seal, r->other, r->other_key, der, &plain, &len, &why),
                     LIAISON_SEAL);
    assert_int_equal(seal_open(r->seal, r->reader, r->other_key, der, &plain, &len, &why),
                     LIAISON_SEAL);
}

/* Runs a command in the network's directory. */
static void run(const struct rig *r, const char *command)
{
    char line[512];

    snprintf(line, sizeof line, "cd '%s' && %s", r->pki.dir, command);
    if (system(line) != 0)
        fail_msg("failed: %s", line);
}

static void write_file(const struct rig *r, const char *file, struct slice bytes)
{
    FILE *f = fopen(pki_path(&r->pki, file), "w");

    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    assert_int_equal(fclose(f), 0);
}

static struct slice read_file(struct rig *r, const char *file)
{
    static uint8_t buffer[65536];
    FILE *f = fopen(pki_path(&r->pki, file), "r");
    size_t n = fread(buffer, 1, sizeof buffer, f);

    fclose(f);
    return slice(arena_copy(r->arena, slice(buffer, n)), n);
}

static void openssl_cms_opens_what_we_seal(void **state)
{
    struct rig *r = *state;

    write_file(r, "section.der", sealed(r, slice_text(PLAIN)));
    run(r, "openssl cms -decrypt -binary -inform DER -in section.der -inkey "
           "probation.key -recip probation.crt -out plain");
    assert_true(slice_equal(read_file(r, "plain"), slice_text(PLAIN)));
}

/* libcrypto's own encoder, with the profile's algorithms set. */
static struct slice openssl_sealed(struct rig *r, const EVP_MD *kdf,
                                   const EVP_CIPHER *wrap, const EVP_CIPHER *content,
                                   unsigned flags)
{
    BIO *in = BIO_new_mem_buf(PLAIN, (int)strlen(PLAIN));
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, content, CMS_BINARY | CMS_PARTIAL);
    CMS_RecipientInfo *to =
        CMS_add1_recipient_cert(cms, r->certificate, CMS_KEY_PARAM | flags);
    EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(to);
    uint8_t *der = NULL;

    assert_int_equal(EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, kdf), 1);
    assert_int_equal(
        EVP_EncryptInit_ex(CMS_RecipientInfo_kari_get0_ctx(to), wrap, NULL, NULL, NULL),
        1);
    assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
    int n = i2d_CMS_ContentInfo(cms, &der);
    struct slice out = slice(arena_copy(r->arena, slice(der, (size_t)n)), (size_t)n);

    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return out;
}

static void we_open_the_profile_from_another_encoder_and_nothing_else(void **state)
{
    struct rig *r = *state;
    const struct {
        const char *why;
        const EVP_MD *kdf;
        const EVP_CIPHER *wrap, *content;
        unsigned flags;
        enum liaison_code want;
    } CASES[] = {
        {"the profile", EVP_sha256(), EVP_aes_256_wrap(), EVP_aes_256_gcm(), 0,
         LIAISON_OK},
        {"SHA-1 KDF", EVP_sha1(), EVP_aes_256_wrap(), EVP_aes_256_gcm(), 0, LIAISON_SEAL},
        {"SHA-384 KDF", EVP_sha384(), EVP_aes_256_wrap(), EVP_aes_256_gcm(), 0,
         LIAISON_SEAL},
        {"128-bit wrap", EVP_sha256(), EVP_aes_128_wrap(), EVP_aes_256_gcm(), 0,
         LIAISON_SEAL},
        {"128-bit content", EVP_sha256(), EVP_aes_256_wrap(), EVP_aes_128_gcm(), 0,
         LIAISON_SEAL},
        {"CBC content", EVP_sha256(), EVP_aes_256_wrap(), EVP_aes_256_cbc(), 0,
         LIAISON_SEAL},
        {"named by key id", EVP_sha256(), EVP_aes_256_wrap(), EVP_aes_256_gcm(),
         CMS_USE_KEYID, LIAISON_SEAL},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct slice der = openssl_sealed(r, CASES[i].kdf, CASES[i].wrap,
                                          CASES[i].content, CASES[i].flags);

        if (try_open(r, der) != CASES[i].want)
            fail_msg("%s", CASES[i].why);
    }
}

static void our_structure_is_the_one_libcrypto_writes(void **state)
{
    struct rig *r = *state;
    struct slice ours = sealed(r, slice_text(PLAIN));
    struct slice theirs =
        openssl_sealed(r, EVP_sha256(), EVP_aes_256_wrap(), EVP_aes_256_gcm(), 0);
    const unsigned char *p = ours.p;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)ours.n);
    uint8_t *again = NULL;

    assert_int_equal(ours.n, theirs.n);
    assert_non_null(cms);
    assert_int_equal(i2d_CMS_ContentInfo(cms, &again),
                     ours.n); /* DER: it comes back as it was */
    assert_memory_equal(again, ours.p, ours.n);
    OPENSSL_free(again);
    CMS_ContentInfo_free(cms);
}

static Liaison__V1__Section *section_at(struct rig *r, const struct seal_place *place)
{
    Liaison__V1__Section *section = NULL;

    assert_int_equal(seal_section(r->seal, r->reader, place, "application/json",
                                  slice_text(PLAIN), r->arena, &section),
                     LIAISON_OK);
    return section;
}

static void a_section_opens_where_it_belongs(void **state)
{
    struct rig *r = *state;
    struct seal_content c = {0};
    const char *why;
    Liaison__V1__Section *section = section_at(r, &PLACE);

    assert_int_equal(section->salt.len, 32);
    assert_int_equal(
        seal_section_open(r->seal, r->reader, r->key, section, &PLACE, &c, &why),
        LIAISON_OK);
    assert_string_equal(c.content_type, "application/json");
    assert_string_equal((char *)c.content, PLAIN);
    assert_int_equal(c.len, strlen(PLAIN));
    seal_content_free(&c);
}

static void a_section_moved_elsewhere_does_not_open(void **state)
{
    static const uint8_t OTHER_ID[16] = {9};
    const struct {
        const char *why;
        struct seal_place place;
    } CASES[] = {
        {"another network",
         {"other.example", "fr/prison", "fr/probation", "identity", ID}},
        {"another sender", {PKI_NETWORK, "fr/police", "fr/probation", "identity", ID}},
        {"another reader", {PKI_NETWORK, "fr/prison", "fr/ngo", "identity", ID}},
        {"another name", {PKI_NETWORK, "fr/prison", "fr/probation", "health", ID}},
        {"another referral",
         {PKI_NETWORK, "fr/prison", "fr/probation", "identity", OTHER_ID}},
    };
    struct rig *r = *state;
    Liaison__V1__Section *section = section_at(r, &PLACE);

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct seal_content c = {0};
        const char *why = "";

        if (seal_section_open(r->seal, r->reader, r->key, section, &CASES[i].place, &c,
                              &why) != LIAISON_SEAL)
            fail_msg("%s", CASES[i].why);
        assert_non_null(strstr(why, "moved"));
        assert_null(c.content);
    }
}

/* Seals a body with one text or bytes field replaced, and opens it at PLACE. */
static enum liaison_code opened_with(struct rig *r, const ProtobufCFieldDescriptor *f,
                                     const char *text, size_t n)
{
    Liaison__V1__SectionBody body = LIAISON__V1__SECTION_BODY__INIT;
    Liaison__V1__Section section = LIAISON__V1__SECTION__INIT;
    struct seal_content c = {0};
    const char *why = "";

    body.network = (char *)PLACE.network;
    body.sender = (char *)PLACE.sender;
    body.id = (ProtobufCBinaryData){sizeof ID, (uint8_t *)(uintptr_t)ID};
    body.reader = (char *)PLACE.reader;
    body.name = (char *)PLACE.name;
    body.content_type = (char *)"text/plain";
    body.content = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "x"};
    void *at = (char *)&body + f->offset;

    if (f->type == PROTOBUF_C_TYPE_STRING)
        *(const char **)at = text;
    else
        *(ProtobufCBinaryData *)at = (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)text};
    struct slice der = sealed(r, arena_pack(r->arena, &body.base));

    section.ciphertext = (ProtobufCBinaryData){der.n, (uint8_t *)(uintptr_t)der.p};
    enum liaison_code code =
        seal_section_open(r->seal, r->reader, r->key, &section, &PLACE, &c, &why);

    assert_true((code == LIAISON_OK) == (c.content != NULL));
    seal_content_free(&c);
    return code;
}

static void every_field_of_a_body_is_what_its_place_says_or_free(void **state)
{
    /* what is there at its place; NULL: free, whatever its length */
    const struct {
        const char *field, *right;
        size_t n;
    } ROWS[] = {
        {"network", PLACE.network, strlen(PLACE.network)},
        {"sender", PLACE.sender, strlen(PLACE.sender)},
        {"id", (const char *)ID, sizeof ID},
        {"reader", PLACE.reader, strlen(PLACE.reader)},
        {"name", PLACE.name, strlen(PLACE.name)},
        {"content_type", NULL, 0},
        {"content", NULL, 0},
    };
    const ProtobufCMessageDescriptor *d = &liaison__v1__section_body__descriptor;
    struct rig *r = *state;
    static char lots[70000], wrong[300];

    memset(lots, 'x', sizeof lots - 1);
    /* a new field wants a new row */
    assert_int_equal(d->n_fields, sizeof ROWS / sizeof *ROWS);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field_by_name(d, ROWS[i].field);
        size_t n = ROWS[i].n;
        enum liaison_code other = ROWS[i].right == NULL ? LIAISON_OK : LIAISON_SEAL;

        assert_non_null(f);
        if (n > 0) {
            memcpy(wrong, ROWS[i].right, n);
            wrong[n] = 'x';
            wrong[n + 1] = 0;
            assert_int_equal(opened_with(r, f, ROWS[i].right, n), LIAISON_OK);
            assert_int_equal(opened_with(r, f, wrong, n + 1), LIAISON_SEAL);
            wrong[n - 1] = 0; /* one byte less */
            assert_int_equal(opened_with(r, f, wrong, n - 1), LIAISON_SEAL);
        }
        assert_int_equal(opened_with(r, f, "", 0), other);
        assert_int_equal(opened_with(r, f, lots, sizeof lots - 1), other);
    }
}

static void plaintext_that_is_not_strict_is_refused(void **state)
{
    struct rig *r = *state;
    Liaison__V1__Section section = LIAISON__V1__SECTION__INIT;
    struct slice der = sealed(r, slice_text("not protobuf"));
    struct seal_content c = {0};
    const char *why = "";

    section.ciphertext = (ProtobufCBinaryData){der.n, (uint8_t *)(uintptr_t)der.p};
    assert_int_equal(
        seal_section_open(r->seal, r->reader, r->key, &section, &PLACE, &c, &why),
        LIAISON_SEAL);
    assert_non_null(strstr(why, "strict"));
}

static void a_reader_is_a_p256_certificate(void **state)
{
    struct rig *r = *state;
    struct seal_reader *reader = NULL;
    EVP_PKEY *p384 = EVP_EC_gen("P-384");
    X509 *x = pki_certificate(&r->pki, p384, "wrong curve", r->pki.ca);
    uint8_t *der = NULL;

    X509_sign(x, r->pki.ca_key, EVP_sha256());
    int n = i2d_X509(x, &der);

    assert_int_equal(seal_reader_new(r->seal, slice(der, (size_t)n), &reader),
                     LIAISON_SEAL);
    assert_int_equal(seal_reader_new(r->seal, slice_text("garbage"), &reader),
                     LIAISON_SEAL);
    assert_null(reader);
    OPENSSL_free(der);
    X509_free(x);
    EVP_PKEY_free(p384);
}

static void lengths_are_written_and_read_in_their_shortest_form(void **state)
{
    static const struct {
        const char *why;
        uint8_t in[8];
        size_t n;
        bool want;
    } CASES[] = {
        {"short", {0x04, 0x01, 0xaa}, 3, true},
        {"other tag", {0x05, 0x01, 0xaa}, 3, false},
        {"long form of a short length", {0x04, 0x81, 0x01, 0xaa}, 4, false},
        {"indefinite", {0x04, 0x80, 0x00, 0x00}, 4, false},
        {"leading zero", {0x04, 0x82, 0x00, 0x81}, 4, false},
        {"five octets", {0x04, 0x85, 1, 1, 1, 1, 1}, 7, false},
        {"past the end", {0x04, 0x02, 0xaa}, 3, false},
        {"no length", {0x04}, 1, false},
        {"nothing", {0}, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct slice in = slice(CASES[i].in, CASES[i].n), body;

        if (der_take(&in, DER_OCTET_STRING, &body) != CASES[i].want)
            fail_msg("%s", CASES[i].why);
    }
    for (size_t n = 0; n < 70000; n = n * 2 + 1) {
        static uint8_t buffer[70010];
        struct der_out o = der_begin(buffer, sizeof buffer);

        o.at -= n;
        der_head(&o, DER_OCTET_STRING, o.end);
        struct slice in = slice(o.at, (size_t)(o.end - o.at)), body;

        assert_true(der_take(&in, DER_OCTET_STRING, &body) && body.n == n && in.n == 0);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest TESTS[] = {
        TEST(what_is_sealed_opens_again_whatever_its_length),
        TEST(two_seals_of_the_same_bytes_share_nothing_secret),
        TEST(every_altered_byte_is_noticed),
        TEST(every_cut_and_every_longer_form_is_refused),
        TEST(another_reader_cannot_open),
        TEST(openssl_cms_opens_what_we_seal),
        TEST(we_open_the_profile_from_another_encoder_and_nothing_else),
        TEST(our_structure_is_the_one_libcrypto_writes),
        TEST(a_section_opens_where_it_belongs),
        TEST(a_section_moved_elsewhere_does_not_open),
        TEST(every_field_of_a_body_is_what_its_place_says_or_free),
        TEST(plaintext_that_is_not_strict_is_refused),
        TEST(a_reader_is_a_p256_certificate),
        TEST(lengths_are_written_and_read_in_their_shortest_form),
    };
#undef TEST
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
