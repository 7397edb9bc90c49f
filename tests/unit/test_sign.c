#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <unistd.h>

#include "proto/sign.h"
#include "tests/lib/mini_ca.h"

enum { BURST = VALID_BURST_MAX };

struct rig {
    char dir[64];
    struct mini ca, sign, seal;
    struct tls_trust *trust;
    struct sign_verifier *v;
    struct hash *h;
    uint8_t *der, *seal_der;
    size_t der_len, seal_der_len;
    char texts[BURST][16];
    struct slice messages[BURST];
    struct sign_part parts[BURST];
};

/* Trust with the leaf revoked or not. */
static struct tls_trust *trust_of(struct rig *r, bool revoked)
{
    char ca[96], crl[96], why[256];
    X509 *const none[] = {NULL}, *const leaf[] = {r->sign.certificate, NULL};
    X509_CRL *list[] = {mini_crl(&r->ca, revoked ? leaf : none, -3600, 3600), NULL};
    X509 *const cas[] = {r->ca.certificate, NULL};
    struct tls_trust *t = NULL;

    snprintf(ca, sizeof ca, "%s/ca", r->dir);
    snprintf(crl, sizeof crl, "%s/crl", r->dir);
    mini_write_certificates(ca, cas);
    mini_write_crls(crl, list);
    X509_CRL_free(list[0]);
    if (tls_trust_load("practicies.example", ca, crl, time(NULL), &t, why, sizeof why) !=
        LIAISON_OK)
        print_error("%s\n", why);
    return t;
}

static size_t der_of(X509 *x, uint8_t **out)
{
    int n = i2d_X509(x, out);

    return n < 0 ? 0 : (size_t)n;
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    const struct mini_spec CA = {.cn = "root",
                                 .basic = "critical,CA:TRUE",
                                 .usage = "critical,keyCertSign,cRLSign"};
    struct mini_spec leaf = {.cn = "x",
                             .usage = "critical,digitalSignature",
                             .purpose = "clientAuth",
                             .san =
                                 "URI:spiffe://fr.practicies.example/agency/lyon/prison"};

    snprintf(r->dir, sizeof r->dir, "/tmp/test_sign.XXXXXX");
    if (mkdtemp(r->dir) == NULL)
        return -1;
    r->ca = mini_issue(NULL, CA);
    r->sign = mini_issue(&r->ca, leaf);
    leaf.usage = "critical,keyAgreement";
    leaf.purpose = "1.3.6.1.4.1.58888.1.1";
    r->seal = mini_issue(&r->ca, leaf);
    r->der_len = der_of(r->sign.certificate, &r->der);
    r->seal_der_len = der_of(r->seal.certificate, &r->seal_der);
    r->trust = trust_of(r, false);
    r->h = hash_new();
    if (r->trust == NULL || r->h == NULL ||
        sign_verifier_new(r->trust, &r->v) != LIAISON_OK)
        return -1;
    for (size_t i = 0; i < BURST; i++) {
        snprintf(r->texts[i], sizeof r->texts[i], "message %zu", i);
        r->messages[i] = slice_text(r->texts[i]);
    }
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    char command[128];

    sign_verifier_free(r->v);
    tls_trust_free(r->trust);
    hash_free(r->h);
    mini_free(&r->ca);
    mini_free(&r->sign);
    mini_free(&r->seal);
    OPENSSL_free(r->der);
    OPENSSL_free(r->seal_der);
    snprintf(command, sizeof command, "rm -r %s", r->dir);
    free(r);
    return system(command) == 0 ? 0 : -1;
}

/* The part as it travels. `path` has room for VALID_PATH_MAX. */
static Liaison__V1__Signature signature_of(struct rig *r, size_t i,
                                           ProtobufCBinaryData *path)
{
    Liaison__V1__Signature s = LIAISON__V1__SIGNATURE__INIT;
    struct sign_part *p = &r->parts[i];

    for (size_t n = 0; n < p->path_len; n++)
        path[n] = (ProtobufCBinaryData){HASH_BYTES, p->path[n]};
    s.certificate = (ProtobufCBinaryData){r->der_len, r->der};
    s.signature = (ProtobufCBinaryData){p->signature_len, p->signature};
    s.index = p->index;
    s.size = p->size;
    s.path = path;
    s.n_path = p->path_len;
    return s;
}

static enum liaison_code verify(struct rig *r, enum sign_kind kind, struct slice message,
                                const Liaison__V1__Signature *s)
{
    struct tls_identity who;
    enum liaison_code code = sign_verify(r->v, kind, message, s, time(NULL), &who);

    if (code == LIAISON_OK)
        assert_string_equal(who.name, "fr/lyon/prison");
    return code;
}

static void burst(struct rig *r, size_t n)
{
    assert_int_equal(
        sign_burst(r->h, r->sign.key, SIGN_REFERRAL, r->messages, n, r->parts),
        LIAISON_OK);
}

static void every_message_of_every_burst_verifies_alone(void **state)
{
    struct rig *r = *state;
    const size_t SIZES[] = {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 64, 100, 1023, 1024};

    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        burst(r, SIZES[i]);
        for (size_t m = 0; m < SIZES[i]; m++) {
            ProtobufCBinaryData path[VALID_PATH_MAX];
            Liaison__V1__Signature s = signature_of(r, m, path);

            assert_int_equal(verify(r, SIGN_REFERRAL, r->messages[m], &s), LIAISON_OK);
        }
    }
}

static void a_burst_has_1_to_1024_messages(void **state)
{
    struct rig *r = *state;

    assert_int_equal(
        sign_burst(r->h, r->sign.key, SIGN_REFERRAL, r->messages, 0, r->parts),
        LIAISON_LIMIT);
    assert_int_equal(
        sign_burst(r->h, r->sign.key, SIGN_REFERRAL, r->messages, 1025, r->parts),
        LIAISON_LIMIT);
}

static void whatever_is_changed_no_longer_verifies(void **state)
{
    struct rig *r = *state;
    ProtobufCBinaryData path[VALID_PATH_MAX];
    Liaison__V1__Signature s;
    uint8_t other[HASH_BYTES] = {1};

    burst(r, 9);
#define CHANGED(change, message, kind, code)                                             \
    do {                                                                                 \
        s = signature_of(r, 4, path);                                                    \
        assert_int_equal(verify(r, SIGN_REFERRAL, r->messages[4], &s), LIAISON_OK);      \
        change;                                                                          \
        assert_int_equal(verify(r, kind, message, &s), code);                            \
    } while (0)
    CHANGED((void)0, r->messages[5], SIGN_REFERRAL, LIAISON_SIGNATURE);
    CHANGED((void)0, r->messages[4], SIGN_ACTION, LIAISON_SIGNATURE);
    CHANGED(s.index = 5, r->messages[4], SIGN_REFERRAL, LIAISON_SIGNATURE);
    CHANGED(s.index = 9, r->messages[4], SIGN_REFERRAL, LIAISON_FIELD);
    CHANGED(s.size = 5, r->messages[4], SIGN_REFERRAL, LIAISON_SIGNATURE);
    CHANGED(s.size = 0, r->messages[4], SIGN_REFERRAL, LIAISON_FIELD);
    CHANGED(s.size = 1025, r->messages[4], SIGN_REFERRAL, LIAISON_FIELD);
    CHANGED(s.n_path--, r->messages[4], SIGN_REFERRAL, LIAISON_SIGNATURE);
    CHANGED(path[s.n_path] = path[0];
            s.n_path++, r->messages[4], SIGN_REFERRAL, LIAISON_SIGNATURE);
    CHANGED(path[1].data = other, r->messages[4], SIGN_REFERRAL, LIAISON_SIGNATURE);
    CHANGED(path[1].len = 31, r->messages[4], SIGN_REFERRAL, LIAISON_FIELD);
    CHANGED(s.signature.len--, r->messages[4], SIGN_REFERRAL, LIAISON_SIGNATURE);
    CHANGED(s.signature.len = 0, r->messages[4], SIGN_REFERRAL, LIAISON_FIELD);
    CHANGED(s.certificate.len--, r->messages[4], SIGN_REFERRAL, LIAISON_CERTIFICATE);
}

static void only_a_signing_certificate_signs(void **state)
{
    struct rig *r = *state;
    ProtobufCBinaryData path[VALID_PATH_MAX];

    assert_int_equal(
        sign_burst(r->h, r->seal.key, SIGN_REFERRAL, r->messages, 1, r->parts),
        LIAISON_OK);
    Liaison__V1__Signature s = signature_of(r, 0, path);

    s.certificate = (ProtobufCBinaryData){r->seal_der_len, r->seal_der};
    assert_int_equal(verify(r, SIGN_REFERRAL, r->messages[0], &s), LIAISON_PROFILE);
}

static void what_was_remembered_is_forgotten_with_its_trust(void **state)
{
    struct rig *r = *state;
    ProtobufCBinaryData path[VALID_PATH_MAX];

    burst(r, 1);
    Liaison__V1__Signature s = signature_of(r, 0, path);

    assert_int_equal(verify(r, SIGN_REFERRAL, r->messages[0], &s), LIAISON_OK);
    struct tls_trust *fresh = trust_of(r, true);

    assert_non_null(fresh);
    sign_verifier_trust(r->v, fresh);
    assert_int_equal(verify(r, SIGN_REFERRAL, r->messages[0], &s), LIAISON_REVOKED);
    tls_trust_free(fresh);
}

static void a_remembered_certificate_still_ends_on_its_day(void **state)
{
    struct rig *r = *state;
    ProtobufCBinaryData path[VALID_PATH_MAX];
    struct tls_identity who;

    burst(r, 1);
    Liaison__V1__Signature s = signature_of(r, 0, path);

    assert_int_equal(verify(r, SIGN_REFERRAL, r->messages[0], &s), LIAISON_OK);
    assert_int_not_equal(
        sign_verify(r->v, SIGN_REFERRAL, r->messages[0], &s, time(NULL) + 7200, &who),
        LIAISON_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_message_of_every_burst_verifies_alone),
        TEST(a_burst_has_1_to_1024_messages),
        TEST(whatever_is_changed_no_longer_verifies),
        TEST(only_a_signing_certificate_signs),
        TEST(what_was_remembered_is_forgotten_with_its_trust),
        TEST(a_remembered_certificate_still_ends_on_its_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
