/* Certificates, chains, revocation and handshakes. All names are invented; all keys are made here and die here. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "proto/tls.h"
#include "tests/lib/mini_ca.h"

#define NETWORK  "practicies.example"
#define SEAL_OID "1.3.6.1.4.1.58888.1.1"
#define SIGNS    "critical,digitalSignature"
#define URI      "URI:spiffe://fr." NETWORK "/"

#define PRISON URI "agency/lyon/prison"

enum { WHY = 300 };

/* root -> fr, de (fenced issuing CAs); a stranger's root; the members most tests need. */
struct rig {
    char dir[64], ca[96], crl[96], cert[96], key[96];
    struct mini root, fr, de, stranger;
    struct mini prison, dpa, seal, broker, gone, late, revoked_ca, orphan, forged;
    struct tls_trust *trust;
    int64_t now;
};

static struct mini member(const struct mini *ca, const char *usage, const char *purpose,
                          const char *san)
{
    return mini_issue(ca, (struct mini_spec){.cn = "member",
                                             .basic = "critical,CA:FALSE",
                                             .usage = usage,
                                             .purpose = purpose,
                                             .san = san});
}

static struct mini issuing(const struct mini *root, const char *label)
{
    char fence[100];
    (void)snprintf(fence, sizeof fence, "critical,permitted;URI:%s." NETWORK, label);
    return mini_issue(root, (struct mini_spec){.cn = label,
                                               .basic = "critical,CA:TRUE,pathlen:0",
                                               .usage = "critical,keyCertSign,cRLSign",
                                               .fence = fence,
                                               .start = -7200,
                                               .end = 86400});
}

static struct mini root_ca(const char *cn)
{
    return mini_issue(NULL, (struct mini_spec){.cn = cn,
                                               .basic = "critical,CA:TRUE",
                                               .usage = "critical,keyCertSign,cRLSign",
                                               .start = -7200,
                                               .end = 864000});
}

static void write_trust_files(struct rig *r)
{
    mini_write_certificates(r->ca, (X509 *[]){r->root.certificate, r->fr.certificate,
                                              r->de.certificate,
                                              r->revoked_ca.certificate, NULL});
    mini_write_crls(
        r->crl,
        (X509_CRL *[]){
            mini_crl(&r->root, (X509 *[]){r->revoked_ca.certificate, NULL}, -60, 3600),
            mini_crl(&r->fr, (X509 *[]){r->gone.certificate, NULL}, -60, 1800),
            mini_crl(&r->de, NULL, -60, 3600), mini_crl(&r->revoked_ca, NULL, -60, 3600),
            NULL});
}

static void make_members(struct rig *r)
{
    r->prison = member(&r->fr, SIGNS, "clientAuth", URI "agency/lyon/prison");
    r->dpa = member(&r->fr, SIGNS, "clientAuth", URI "auditor/dpa");
    r->seal = member(&r->fr, "critical,keyAgreement", SEAL_OID, URI "agency/lyon/prison");
    r->broker = member(&r->fr, SIGNS, "serverAuth", URI "broker/main");
    r->gone = member(&r->fr, SIGNS, "clientAuth", URI "agency/lyon/gone");
    r->late = mini_issue(&r->fr, (struct mini_spec){.cn = "late",
                                                    .basic = "critical,CA:FALSE",
                                                    .usage = SIGNS,
                                                    .purpose = "clientAuth",
                                                    .san = URI "agency/lyon/late",
                                                    .start = -7200,
                                                    .end = -60});
    r->orphan = member(&r->revoked_ca, SIGNS, "clientAuth",
                       "URI:spiffe://it." NETWORK "/agency/roma/orphan");
    r->forged = member(&r->stranger, SIGNS, "clientAuth", URI "agency/lyon/prison");
}

static void load(struct rig *r)
{
    char why[WHY] = "";
    enum liaison_code code =
        tls_trust_load(NETWORK, r->ca, r->crl, r->now, &r->trust, why, sizeof why);
    if (code != LIAISON_OK)
        fail_msg("trust: %d %s", (int)code, why);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/test_tls.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->ca, sizeof r->ca, "%s/ca.crt", r->dir);
    (void)snprintf(r->crl, sizeof r->crl, "%s/crl.pem", r->dir);
    (void)snprintf(r->cert, sizeof r->cert, "%s/own.crt", r->dir);
    (void)snprintf(r->key, sizeof r->key, "%s/own.key", r->dir);
    r->now = time(NULL);
    r->root = root_ca("root");
    r->stranger = root_ca("root"); /* the same name, another key */
    r->fr = issuing(&r->root, "fr");
    r->de = issuing(&r->root, "de");
    r->revoked_ca = issuing(&r->root, "it");
    make_members(r);
    write_trust_files(r);
    load(r);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    struct mini *all[] = {&r->root,   &r->fr,         &r->de,    &r->stranger, &r->prison,
                          &r->dpa,    &r->seal,       &r->gone,  &r->broker,   &r->late,
                          &r->orphan, &r->revoked_ca, &r->forged};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        mini_free(all[i]);
    tls_trust_free(r->trust);
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", r->dir);
    assert_int_equal(system(command), 0);
    free(r);
    return 0;
}

static enum liaison_code check(struct rig *r, X509 *leaf, enum tls_use use)
{
    struct tls_identity who;
    return tls_check(r->trust, leaf, NULL, use, r->now, &who, NULL, 0);
}

/* ---------------------------------------------------------------- names */

static void only_exact_uris_name_members(void **state)
{
    static const struct row {
        const char *why, *uri;
        int role; /* -1: refused */
        const char *name, *role_name;
    } ROWS[] = {
        /* clang-format off */
        {"an agency", "spiffe://fr.practicies.example/agency/lyon/probation", TLS_AGENCY, "fr/lyon/probation", ""},
        {"a short one", "spiffe://fr.practicies.example/agency/a", TLS_AGENCY, "fr/a", ""},
        {"an auditor", "spiffe://fr.practicies.example/auditor/dpa", TLS_AUDITOR, "fr/dpa", ""},
        {"a broker", "spiffe://eu.practicies.example/broker/main", TLS_BROKER, "eu/main", ""},
        {"an approver", "spiffe://fr.practicies.example/agency/lyon/prison/approver/dpo", TLS_APPROVER, "fr/lyon/prison", "dpo"},
        {"8 segments", "spiffe://fr.practicies.example/agency/2/3/4/5/6/7/8", TLS_AGENCY, "fr/2/3/4/5/6/7/8", ""},
        {"8 segments and an approver", "spiffe://fr.practicies.example/agency/2/3/4/5/6/7/8/approver/x", TLS_APPROVER, "fr/2/3/4/5/6/7/8", "x"},
        {"9 segments", "spiffe://fr.practicies.example/agency/2/3/4/5/6/7/8/9", -1, NULL, NULL},
        {"nothing", "", -1, NULL, NULL},
        {"another scheme", "https://fr.practicies.example/agency/lyon", -1, NULL, NULL},
        {"scheme in capitals", "SPIFFE://fr.practicies.example/agency/lyon", -1, NULL, NULL},
        {"another network", "spiffe://fr.practicies.invalid/agency/lyon", -1, NULL, NULL},
        {"a longer network", "spiffe://fr.practicies.example.org/agency/lyon", -1, NULL, NULL},
        {"no label", "spiffe://practicies.example/agency/lyon", -1, NULL, NULL},
        {"an empty label", "spiffe://.practicies.example/agency/lyon", -1, NULL, NULL},
        {"two labels", "spiffe://lyon.fr.practicies.example/agency/lyon", -1, NULL, NULL},
        {"a slash in the label", "spiffe://fr/x.practicies.example/agency/lyon", -1, NULL, NULL},
        {"a user", "spiffe://a@fr.practicies.example/agency/lyon", -1, NULL, NULL},
        {"a port", "spiffe://fr.practicies.example:443/agency/lyon", -1, NULL, NULL},
        {"capitals", "spiffe://fr.practicies.example/agency/Lyon", -1, NULL, NULL},
        {"capitals in the host", "spiffe://FR.practicies.example/agency/lyon", -1, NULL, NULL},
        {"no path", "spiffe://fr.practicies.example/agency/", -1, NULL, NULL},
        {"no path, no slash", "spiffe://fr.practicies.example/agency", -1, NULL, NULL},
        {"no role", "spiffe://fr.practicies.example/lyon/probation", -1, NULL, NULL},
        {"another role", "spiffe://fr.practicies.example/witness/lyon", -1, NULL, NULL},
        {"an empty segment", "spiffe://fr.practicies.example/agency/lyon//prison", -1, NULL, NULL},
        {"a slash at the end", "spiffe://fr.practicies.example/agency/lyon/", -1, NULL, NULL},
        {"two dots", "spiffe://fr.practicies.example/agency/../auditor/dpa", -1, NULL, NULL},
        {"an escape", "spiffe://fr.practicies.example/agency/lyon%2fprison", -1, NULL, NULL},
        {"a query", "spiffe://fr.practicies.example/agency/lyon?x=1", -1, NULL, NULL},
        {"a fragment", "spiffe://fr.practicies.example/agency/lyon#x", -1, NULL, NULL},
        {"a blank", "spiffe://fr.practicies.example/agency/ly on", -1, NULL, NULL},
        {"a blank before", " spiffe://fr.practicies.example/agency/lyon", -1, NULL, NULL},
        {"a line end", "spiffe://fr.practicies.example/agency/lyon\n", -1, NULL, NULL},
        {"an accent", "spiffe://fr.practicies.example/agency/ch\xc3\xa2lon", -1, NULL, NULL},
        {"an approver of nobody", "spiffe://fr.practicies.example/agency/approver/ana", -1, NULL, NULL},
        {"an approver without name", "spiffe://fr.practicies.example/agency/lyon/approver", -1, NULL, NULL},
        {"an approver without name, slash", "spiffe://fr.practicies.example/agency/lyon/approver/", -1, NULL, NULL},
        {"an approver with two names", "spiffe://fr.practicies.example/agency/lyon/approver/ana/b", -1, NULL, NULL},
        {"an approver of 64 bytes", "spiffe://fr.practicies.example/agency/lyon/approver/"
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", -1, NULL, NULL},
        {"approver twice", "spiffe://fr.practicies.example/agency/lyon/approver/approver/ana", -1, NULL, NULL},
        {"an agency called approver", "spiffe://fr.practicies.example/agency/approver", -1, NULL, NULL},
        /* clang-format on */
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct tls_identity who = {.name = "untouched", .role_name = "untouched"};
        bool taken = tls_parse_uri(slice_text(ROWS[i].uri), NETWORK, &who);
        if (taken != (ROWS[i].role >= 0))
            fail_msg("%s: %s", ROWS[i].why, taken ? "taken" : "refused");
        if (taken &&
            ((int)who.role != ROWS[i].role || strcmp(who.name, ROWS[i].name) != 0 ||
             strcmp(who.role_name, ROWS[i].role_name) != 0))
            fail_msg("%s: role %d, name %s, %s", ROWS[i].why, (int)who.role, who.name,
                     who.role_name);
        if (!taken && (strcmp(who.name, "untouched") != 0 ||
                       strcmp(who.role_name, "untouched") != 0))
            fail_msg("%s: refused, yet it wrote %s", ROWS[i].why, who.name);
    }
}

static void a_nul_does_not_shorten_a_uri(void **state)
{
    static const char URI_NUL[] = "spiffe://fr.practicies.example/agency/lyon\0/police";
    static const char HOST_NUL[] =
        "spiffe://fr\0." NETWORK "/agency/lyon"; /* the fuzzer's */
    struct tls_identity who;
    (void)state;
    assert_false(tls_parse_uri(slice(URI_NUL, sizeof URI_NUL - 1), NETWORK, &who));
    assert_false(
        tls_parse_uri(slice(URI_NUL, strlen(URI_NUL) + 1), NETWORK, &who));
    assert_true(tls_parse_uri(slice(URI_NUL, strlen(URI_NUL)), NETWORK, &who));
    assert_false(
        tls_parse_uri(slice(HOST_NUL, sizeof HOST_NUL - 1), NETWORK, &who));
}

static void a_name_has_at_most_255_bytes(void **state)
{
    char uri[600];
    struct tls_identity who;
    int start = snprintf(uri, sizeof uri, "spiffe://fr." NETWORK "/agency/");
    (void)state;
    memset(uri + start, 'a', sizeof uri - (size_t)start);
    assert_true(tls_parse_uri(slice(uri, (size_t)start + 252), NETWORK,
                              &who)); /* "fr/" and 252 */
    assert_int_equal(strlen(who.name), 255);
    assert_false(tls_parse_uri(slice(uri, (size_t)start + 253), NETWORK, &who));
    assert_false(tls_parse_uri(slice(uri, sizeof uri), NETWORK, &who));
}

/* ---------------------------------------------------------------- profiles */

static void each_profile_serves_its_own_use_only(void **state)
{
    struct rig *r = *state;
    const struct row {
        const char *why;
        X509 *leaf;
        enum tls_use use;
    } ROWS[] = {
        {"sign", r->prison.certificate, TLS_USE_SIGN},
        {"auditor", r->dpa.certificate, TLS_USE_SIGN},
        {"seal", r->seal.certificate, TLS_USE_SEAL},
        {"broker", r->broker.certificate, TLS_USE_BROKER},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++)
        for (int use = TLS_USE_SIGN; use <= TLS_USE_BROKER; use++) {
            enum liaison_code code = check(r, ROWS[i].leaf, (enum tls_use)use);
            if (code != ((int)ROWS[i].use == use ? LIAISON_OK : LIAISON_PROFILE))
                fail_msg("%s for use %d: %d", ROWS[i].why, use, (int)code);
        }
}

/* How a certificate differs from a good one for its use; NULL is as a good one has it, "" leaves it out. */
static const struct nearly {
    const char *why;
    enum tls_use use;
    enum liaison_code want;
    const char *usage, *purpose, *san;
    struct mini_spec spec; /* the rest */
} NEARLY[] = {
    /* clang-format off */
    {"good", TLS_USE_SIGN, LIAISON_OK, NULL, NULL, NULL, {0}},
    {"good without basic constraints", TLS_USE_SIGN, LIAISON_OK, NULL, NULL, NULL, {.basic = ""}},
    {"a bit more", TLS_USE_SIGN, LIAISON_PROFILE, SIGNS ",keyAgreement", NULL, NULL, {0}},
    {"a bit of the second byte more", TLS_USE_SEAL, LIAISON_PROFILE, "critical,keyAgreement,decipherOnly", NULL, NULL, {0}},
    {"another bit", TLS_USE_SIGN, LIAISON_PROFILE, "critical,nonRepudiation", NULL, NULL, {0}},
    {"usage not critical", TLS_USE_SIGN, LIAISON_PROFILE, "digitalSignature", NULL, NULL, {0}},
    {"the usage spelled otherwise than DER does", TLS_USE_SIGN, LIAISON_PROFILE, "critical,DER:03:02:06:80", NULL, NULL, {0}},
    {"the usage with a byte of zeros", TLS_USE_SIGN, LIAISON_PROFILE, "critical,DER:03:03:07:80:00", NULL, NULL, {0}},
    {"no usage", TLS_USE_SIGN, LIAISON_PROFILE, "", NULL, NULL, {0}},
    {"no purpose", TLS_USE_SIGN, LIAISON_PROFILE, NULL, "", NULL, {0}},
    {"the purpose with a long length", TLS_USE_SIGN, LIAISON_PROFILE, NULL, "DER:30:81:0a:06:08:2b:06:01:05:05:07:03:02", NULL, {0}},
    {"any purpose", TLS_USE_SIGN, LIAISON_PROFILE, NULL, "anyExtendedKeyUsage", NULL, {0}},
    {"a purpose more", TLS_USE_SIGN, LIAISON_PROFILE, NULL, "clientAuth,serverAuth", NULL, {0}},
    {"a purpose twice", TLS_USE_SIGN, LIAISON_PROFILE, NULL, "clientAuth,clientAuth", NULL, {0}},
    {"logs in and seals", TLS_USE_SEAL, LIAISON_PROFILE, NULL, "clientAuth," SEAL_OID, NULL, {0}},
    {"a seal with a longer OID", TLS_USE_SEAL, LIAISON_PROFILE, NULL, SEAL_OID ".1", NULL, {0}},
    {"P-384", TLS_USE_SIGN, LIAISON_PROFILE, NULL, NULL, NULL, {.curve = "P-384"}},
    {"secp256k1", TLS_USE_SIGN, LIAISON_PROFILE, NULL, NULL, NULL, {.curve = "secp256k1"}},
    {"RSA", TLS_USE_SIGN, LIAISON_PROFILE, NULL, NULL, NULL, {.curve = "RSA"}},
    {"the curve as numbers", TLS_USE_SIGN, LIAISON_PROFILE, NULL, NULL, NULL, {.spelled_out = true}},
    {"a CA", TLS_USE_SIGN, LIAISON_PROFILE, NULL, NULL, NULL, {.basic = "critical,CA:TRUE"}},
    {"no name", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, "", {0}},
    {"two URIs", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, PRISON "," URI "agency/lyon/police", {0}},
    {"the same URI twice", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, PRISON "," PRISON, {0}},
    {"a DNS name beside", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, PRISON ",DNS:fr." NETWORK, {0}},
    {"a DNS name before", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, "DNS:fr." NETWORK "," PRISON, {0}},
    {"an e-mail address beside", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, PRISON ",email:a@" NETWORK, {0}},
    {"a DNS name only", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, "DNS:fr." NETWORK, {0}},
    {"not a member's URI", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, URI "person/ana", {0}},
    {"a broker that logs in", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, URI "broker/main", {0}},
    {"an agency that plays broker", TLS_USE_BROKER, LIAISON_IDENTITY, NULL, NULL, NULL, {0}},
    {"an auditor that opens sections", TLS_USE_SEAL, LIAISON_IDENTITY, NULL, NULL, URI "auditor/dpa", {0}},
    {"a URI without host", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, "URI:urn:agency:lyon", {0}},
    {"another registrar's host", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, "URI:spiffe://de." NETWORK "/agency/berlin", {0}},
    {"a host below ours", TLS_USE_SIGN, LIAISON_IDENTITY, NULL, NULL, "URI:spiffe://x.fr." NETWORK "/agency/lyon", {0}},
    {"not yet valid", TLS_USE_SIGN, LIAISON_EXPIRED, NULL, NULL, NULL, {.start = 600, .end = 3600}},
    /* clang-format on */
};

static const char *choose(const char *given, const char *good)
{
    return given == NULL ? good : given[0] == '\0' ? NULL : given;
}

static struct mini issue_nearly(const struct mini *ca, const struct nearly *n)
{
    static const char *const PURPOSE[] = {"clientAuth", SEAL_OID, "serverAuth"};
    struct mini_spec spec = n->spec;
    spec.cn = "member";
    spec.basic = choose(n->spec.basic, "critical,CA:FALSE");
    spec.usage =
        choose(n->usage, n->use == TLS_USE_SEAL ? "critical,keyAgreement" : SIGNS);
    spec.purpose = choose(n->purpose, PURPOSE[n->use]);
    spec.san = choose(n->san, PRISON);
    return mini_issue(ca, spec);
}

static void a_certificate_that_is_nearly_right_is_refused(void **state)
{
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof NEARLY / sizeof NEARLY[0]; i++) {
        struct tls_identity who;
        char why[WHY] = "";
        struct mini m = issue_nearly(&r->fr, &NEARLY[i]);
        enum liaison_code code = tls_check(r->trust, m.certificate, NULL, NEARLY[i].use,
                                           r->now, &who, why, sizeof why);
        mini_free(&m);
        if (code != NEARLY[i].want)
            fail_msg("%s: %d (%s), not %d", NEARLY[i].why, (int)code, why,
                     (int)NEARLY[i].want);
        if ((code == LIAISON_OK) != (why[0] == '\0'))
            fail_msg("%s: sentence \"%s\"", NEARLY[i].why, why);
    }
    assert_int_equal(ERR_peek_error(),
                     0); /* nothing left for the next TLS call to stumble over */
}

static void a_good_certificate_says_whose_it_is(void **state)
{
    struct rig *r = *state;
    struct tls_identity who = {0};
    uint8_t *der = NULL, sha[32];
    char why[WHY] = "";
    int len = i2d_X509(r->dpa.certificate, &der);
    assert_int_equal(tls_check_der(r->trust, slice(der, (size_t)len), TLS_USE_SIGN,
                                   r->now, &who, why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(who.role, TLS_AUDITOR);
    assert_string_equal(who.name, "fr/dpa");
    assert_int_equal(EVP_Digest(der, (size_t)len, sha, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(who.certificate, sha, 32);
    assert_in_range(who.not_after_unix, r->now + 3500,
                    r->now + 3700); /* the leaf's; its CAs live longer */
    OPENSSL_free(der);
}

static void a_certificate_followed_by_bytes_is_refused(void **state)
{
    struct rig *r = *state;
    struct tls_identity who;
    uint8_t *der = NULL;
    int len = i2d_X509(r->prison.certificate, &der);
    uint8_t *longer = OPENSSL_zalloc((size_t)len + 1);
    memcpy(longer, der, (size_t)len);
    for (int n = 0; n < len; n += 7)
        assert_int_equal(tls_check_der(r->trust, slice(der, (size_t)n), TLS_USE_SIGN,
                                       r->now, &who, NULL, 0),
                         LIAISON_CERTIFICATE);
    assert_int_equal(tls_check_der(r->trust, slice(longer, (size_t)len + 1), TLS_USE_SIGN,
                                   r->now, &who, NULL, 0),
                     LIAISON_CERTIFICATE);
    OPENSSL_free(longer);
    OPENSSL_free(der);
}

/* ---------------------------------------------------------------- chains and revocation */

static void only_our_own_root_vouches(void **state)
{
    struct rig *r = *state;
    struct mini impostor =
        issuing(&r->stranger, "fr"); /* named as ours, under a root named as ours */
    struct mini below = member(&impostor, SIGNS, "clientAuth", URI "agency/lyon/prison");
    struct mini own = member(NULL, SIGNS, "clientAuth", URI "agency/lyon/prison");
    struct mini forged =
        member(&r->prison, SIGNS, "clientAuth", URI "agency/lyon/police");
    STACK_OF(X509) *sent = sk_X509_new_null();
    struct tls_identity who;
    sk_X509_push(sent, impostor.certificate);
    sk_X509_push(sent, r->stranger.certificate);
    sk_X509_push(sent, r->prison.certificate);
    X509 *const all[] = {below.certificate, own.certificate, forged.certificate};
    for (size_t i = 0; i < 3; i++) {
        enum liaison_code code =
            tls_check(r->trust, all[i], sent, TLS_USE_SIGN, r->now, &who, NULL, 0);
        if (code != LIAISON_CERTIFICATE &&
            code != LIAISON_CRL) /* a stranger's CA has no list either */
            fail_msg("%zu: %d", i, (int)code);
    }
    assert_int_equal(check(r, r->forged.certificate, TLS_USE_SIGN), LIAISON_CERTIFICATE);
    sk_X509_free(sent);
    mini_free(&impostor);
    mini_free(&below);
    mini_free(&own);
    mini_free(&forged);
}

/* T-91 */
static void a_registrar_names_its_own_members_only(void **state)
{
    struct rig *r = *state;
    struct mini berlin = member(&r->de, SIGNS, "clientAuth",
                                "URI:spiffe://de." NETWORK "/agency/berlin/police");
    struct mini thief = member(&r->de, SIGNS, "clientAuth", URI "agency/lyon/prison");
    assert_int_equal(check(r, berlin.certificate, TLS_USE_SIGN), LIAISON_OK);
    assert_int_equal(check(r, thief.certificate, TLS_USE_SIGN), LIAISON_IDENTITY);
    mini_free(&berlin);
    mini_free(&thief);
}

static void an_issuing_certificate_may_be_sent_along(void **state)
{
    struct rig *r = *state;
    struct mini es = issuing(&r->root, "es");
    struct mini madrid =
        member(&es, SIGNS, "clientAuth", "URI:spiffe://es." NETWORK "/agency/madrid");
    STACK_OF(X509) *sent = sk_X509_new_null();
    struct tls_identity who;
    sk_X509_push(sent, es.certificate);
    assert_int_equal(check(r, madrid.certificate, TLS_USE_SIGN), LIAISON_CERTIFICATE);
    /* its chain is good, but nothing says that it is not revoked */
    assert_int_equal(tls_check(r->trust, madrid.certificate, sent, TLS_USE_SIGN, r->now,
                               &who, NULL, 0),
                     LIAISON_CRL);
    sk_X509_set(sent, 0, r->fr.certificate);
    assert_int_equal(tls_check(r->trust, r->prison.certificate, sent, TLS_USE_SIGN,
                               r->now, &who, NULL, 0),
                     LIAISON_OK);
    sk_X509_free(sent);
    mini_free(&es);
    mini_free(&madrid);
}

static void expired_and_revoked_certificates_are_refused(void **state)
{
    struct rig *r = *state;
    assert_int_equal(check(r, r->late.certificate, TLS_USE_SIGN), LIAISON_EXPIRED);
    assert_int_equal(check(r, r->gone.certificate, TLS_USE_SIGN), LIAISON_REVOKED);
    assert_int_equal(check(r, r->orphan.certificate, TLS_USE_SIGN),
                     LIAISON_REVOKED); /* its CA is */
}

static void a_list_that_ends_later_closes_the_door(void **state)
{
    struct rig *r = *state;
    struct tls_identity who;
    char why[WHY];
    assert_in_range(tls_trust_crl_ends(r->trust), r->now + 1700,
                    r->now + 1900); /* fr's, the earliest */
    assert_int_equal(tls_check(r->trust, r->prison.certificate, NULL, TLS_USE_SIGN,
                               tls_trust_crl_ends(r->trust) - 1, &who, why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(tls_check(r->trust, r->prison.certificate, NULL, TLS_USE_SIGN,
                               tls_trust_crl_ends(r->trust), &who, why, sizeof why),
                     LIAISON_CRL);
}

static enum liaison_code try_load(struct rig *r, char *why)
{
    struct tls_trust *t = NULL;
    enum liaison_code code = tls_trust_load(NETWORK, r->ca, r->crl, r->now, &t, why, WHY);
    if ((code == LIAISON_OK) != (t != NULL))
        fail_msg("code %d, yet trust is %p", (int)code, (void *)t);
    tls_trust_free(t);
    return code;
}

static void trust_without_a_good_list_of_every_ca_is_refused(void **state)
{
    struct rig *r = *state;
    struct mini lu = issuing(&r->root, "lu");
    X509_CRL *forged = mini_crl(&r->fr, NULL, -60, 3600);
    mini_must(X509_CRL_sign(forged, r->stranger.key, EVP_sha256()) > 0, "sign");
    const struct row {
        const char *why;
        enum liaison_code want;
        X509_CRL *lists[6];
    } ROWS[] = {
        /* clang-format off */
        {"all there", LIAISON_OK, {mini_crl(&r->root, NULL, -60, 60), mini_crl(&r->fr, NULL, -60, 60), mini_crl(&r->de, NULL, -60, 60)}},
        {"any order", LIAISON_OK, {mini_crl(&r->de, NULL, -60, 60), mini_crl(&r->root, NULL, -60, 60), mini_crl(&r->fr, NULL, -60, 60)}},
        {"none of fr", LIAISON_CRL, {mini_crl(&r->root, NULL, -60, 60), mini_crl(&r->de, NULL, -60, 60)}},
        {"none of the root", LIAISON_CRL, {mini_crl(&r->fr, NULL, -60, 60), mini_crl(&r->de, NULL, -60, 60)}},
        {"fr's has ended", LIAISON_CRL, {mini_crl(&r->root, NULL, -60, 60), mini_crl(&r->fr, NULL, -60, -5), mini_crl(&r->de, NULL, -60, 60)}},
        {"fr's is from the future", LIAISON_CRL, {mini_crl(&r->root, NULL, -60, 60), mini_crl(&r->fr, NULL, 30, 60), mini_crl(&r->de, NULL, -60, 60)}},
        {"fr's is forged", LIAISON_CRL, {mini_crl(&r->root, NULL, -60, 60), forged, mini_crl(&r->de, NULL, -60, 60)}},
        {"one of a CA that is not in the file, or not yet", LIAISON_OK, {mini_crl(&r->root, NULL, -60, 60), mini_crl(&r->fr, NULL, -60, 60), mini_crl(&r->de, NULL, -60, 60), mini_crl(&lu, NULL, -60, 60)}},
        {"it alone instead of fr's", LIAISON_CRL, {mini_crl(&r->root, NULL, -60, 60), mini_crl(&lu, NULL, -60, 60), mini_crl(&r->de, NULL, -60, 60)}},
        {"a stranger's besides, under the root's name", LIAISON_CRL, {mini_crl(&r->root, NULL, -60, 60), mini_crl(&r->fr, NULL, -60, 60), mini_crl(&r->de, NULL, -60, 60), mini_crl(&r->stranger, NULL, -60, 60)}},
        {"two of fr", LIAISON_CRL, {mini_crl(&r->root, NULL, -60, 60), mini_crl(&r->fr, NULL, -60, 60), mini_crl(&r->fr, NULL, -60, 60), mini_crl(&r->de, NULL, -60, 60)}},
        /* clang-format on */
    };
    mini_write_certificates(r->ca, (X509 *[]){r->root.certificate, r->fr.certificate,
                                              r->de.certificate, NULL});
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char why[WHY] = "";
        X509_CRL *lists[6];
        memcpy(lists, ROWS[i].lists, sizeof lists);
        mini_write_crls(r->crl, lists);
        enum liaison_code code = try_load(r, why);
        if (code != ROWS[i].want)
            fail_msg("%s: %d (%s)", ROWS[i].why, (int)code, why);
        if (code != LIAISON_OK && strstr(why, r->crl) == NULL)
            fail_msg("%s: \"%s\" does not name the file", ROWS[i].why, why);
    }
    mini_free(&lu);
}

static void a_revoked_ca_need_not_have_a_list(void **state)
{
    struct rig *r = *state;
    char why[WHY] = "";
    mini_write_crls(
        r->crl,
        (X509_CRL *[]){
            mini_crl(&r->root, (X509 *[]){r->revoked_ca.certificate, NULL}, -60, 60),
            mini_crl(&r->fr, NULL, -60, 60), mini_crl(&r->de, NULL, -60, 60), NULL});
    assert_int_equal(try_load(r, why), LIAISON_OK);
    /* and a list of lists that revokes nobody needs it again */
    mini_write_crls(r->crl, (X509_CRL *[]){mini_crl(&r->root, NULL, -60, 60),
                                           mini_crl(&r->fr, NULL, -60, 60),
                                           mini_crl(&r->de, NULL, -60, 60), NULL});
    assert_int_equal(try_load(r, why), LIAISON_CRL);
}

static void a_ca_with_a_new_key_has_a_list_of_its_own(void **state)
{
    struct rig *r = *state;
    struct tls_identity who;
    struct tls_trust *t = NULL;
    char why[WHY] = "";
    struct mini fr2 = issuing(&r->root, "fr"); /* the same subject */
    struct mini ok = member(&fr2, SIGNS, "clientAuth", URI "agency/lyon/prison");
    struct mini bad = member(&fr2, SIGNS, "clientAuth", URI "agency/lyon/police");
    mini_write_certificates(
        r->ca, (X509 *[]){r->root.certificate, r->fr.certificate, fr2.certificate, NULL});
    mini_write_crls(
        r->crl,
        (X509_CRL *[]){mini_crl(&r->root, NULL, -60, 60),
                       mini_crl(&r->fr, (X509 *[]){r->gone.certificate, NULL}, -60, 60),
                       mini_crl(&fr2, (X509 *[]){bad.certificate, NULL}, -60, 60), NULL});
    if (tls_trust_load(NETWORK, r->ca, r->crl, r->now, &t, why, sizeof why) != LIAISON_OK)
        fail_msg("%s", why);
    const struct row {
        X509 *leaf;
        enum liaison_code want;
    } ROWS[] = {{r->prison.certificate, LIAISON_OK},
                {r->gone.certificate, LIAISON_REVOKED},
                {ok.certificate, LIAISON_OK},
                {bad.certificate, LIAISON_REVOKED}};
    for (size_t i = 0; i < 4; i++) {
        enum liaison_code code =
            tls_check(t, ROWS[i].leaf, NULL, TLS_USE_SIGN, r->now, &who, why, sizeof why);
        if (code != ROWS[i].want)
            fail_msg("row %zu: %d (%s)", i, (int)code, why);
    }
    tls_trust_free(t);
    mini_free(&fr2);
    mini_free(&ok);
    mini_free(&bad);
}

static void write_text(const char *path, const char *text, mode_t mode)
{
    FILE *f = mini_open(path, mode);
    mini_must(fputs(text, f) >= 0 && fclose(f) == 0, path);
}

static void bad_trust_files_are_refused_by_name(void **state)
{
    struct rig *r = *state;
    char why[WHY] = "", elsewhere[96];
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/nowhere", r->dir);
    struct tls_trust *t = NULL;
    assert_int_equal(
        tls_trust_load(NETWORK, elsewhere, r->crl, r->now, &t, why, sizeof why),
        LIAISON_FILE);
    assert_non_null(strstr(why, "nowhere: No such file"));
    assert_int_equal(
        tls_trust_load(NETWORK, r->ca, elsewhere, r->now, &t, why, sizeof why),
        LIAISON_FILE);
    assert_int_equal(tls_trust_load(NETWORK, r->dir, r->crl, r->now, &t, why, sizeof why),
                     LIAISON_FILE);
    write_text(r->crl, "", 0644);
    assert_int_equal(try_load(r, why), LIAISON_CRL);
    write_text(r->crl, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", 0644);
    assert_int_equal(try_load(r, why), LIAISON_CRL);
    write_text(r->ca, "no certificate at all\n", 0644);
    assert_int_equal(try_load(r, why), LIAISON_FILE);
    write_text(r->ca, "-----BEGIN CERTIFICATE-----\nAAAA\n", 0644);
    assert_int_equal(try_load(r, why), LIAISON_FILE);
    mini_write_certificates(r->ca,
                            (X509 *[]){r->fr.certificate, NULL}); /* no root: no anchor */
    assert_int_equal(try_load(r, why), LIAISON_CERTIFICATE);
    mini_write_certificates(r->ca,
                            (X509 *[]){r->root.certificate, r->prison.certificate, NULL});
    assert_int_equal(try_load(r, why), LIAISON_CERTIFICATE);
    mini_write_key(r->ca, r->root.key, 0644); /* a key where certificates belong */
    assert_int_equal(try_load(r, why), LIAISON_FILE);
}

/* fr's list with a number (0: none) and a date, in seconds from now. */
static X509_CRL *numbered(struct rig *r, long number, long start)
{
    X509_CRL *crl = mini_crl(&r->fr, NULL, start, 3600);
    ASN1_INTEGER *n = ASN1_INTEGER_new();
    mini_must(ASN1_INTEGER_set(n, number) == 1, "ASN1_INTEGER_set");
    mini_must(number == 0 || X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0) == 1,
              "crlNumber");
    mini_must(X509_CRL_sign(crl, r->fr.key, EVP_sha256()) > 0, "X509_CRL_sign");
    ASN1_INTEGER_free(n);
    return crl;
}

static struct tls_trust *trust_with(struct rig *r, X509_CRL *of_fr)
{
    struct tls_trust *t = NULL;
    char why[WHY] = "";
    mini_write_crls(r->crl, (X509_CRL *[]){mini_crl(&r->root, NULL, -60, 60), of_fr,
                                           mini_crl(&r->de, NULL, -60, 60), NULL});
    if (tls_trust_load(NETWORK, r->ca, r->crl, r->now, &t, why, sizeof why) != LIAISON_OK)
        fail_msg("trust: %s", why);
    return t;
}

static void a_list_older_than_the_one_in_force_does_not_follow_it(void **state)
{
    struct rig *r = *state;
    static const struct row {
        const char *why;
        long old_number, old_start, number, start;
        enum liaison_code want;
    } ROWS[] = {
        {"the same", 7, -60, 7, -60, LIAISON_OK},
        {"the next of the same second", 7, -60, 8, -60, LIAISON_OK},
        {"the one before of the same second", 8, -60, 7, -60, LIAISON_CRL},
        {"a higher number with an older date", 7, -60, 8, -90, LIAISON_OK},
        {"a lower number with a newer date", 256, -90, 255, -60, LIAISON_CRL},
        {"an older date without numbers", 0, -60, 0, -90, LIAISON_CRL},
        {"a newer date without numbers", 0, -90, 0, -60, LIAISON_OK},
        {"an older date that has lost its number", 7, -60, 0, -90, LIAISON_CRL},
    };
    mini_write_certificates(r->ca, (X509 *[]){r->root.certificate, r->fr.certificate,
                                              r->de.certificate, NULL});
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char why[WHY] = "";
        struct tls_trust *old =
            trust_with(r, numbered(r, ROWS[i].old_number, ROWS[i].old_start));
        struct tls_trust *fresh =
            trust_with(r, numbered(r, ROWS[i].number, ROWS[i].start));
        enum liaison_code code = tls_trust_follows(fresh, old, why, sizeof why);
        if (code != ROWS[i].want || (code == LIAISON_OK) != (why[0] == '\0'))
            fail_msg("%s: %d \"%s\"", ROWS[i].why, (int)code, why);
        tls_trust_free(old);
        tls_trust_free(fresh);
    }
}

static void the_lists_are_given_as_read(void **state)
{
    struct rig *r = *state;
    const struct slice *lists = NULL;
    uint8_t sha[32], want[32], text[8192];
    FILE *f = fopen(r->crl, "r");
    size_t n = fread(text, 1, sizeof text, f);
    (void)fclose(f);
    assert_int_equal(EVP_Digest(text, n, want, NULL, EVP_sha256(), NULL), 1);
    tls_trust_crl_sha256(r->trust, sha);
    assert_memory_equal(sha, want, 32);
    assert_int_equal(tls_trust_crls(r->trust, &lists), 4);
    const unsigned char *at = lists[1].p;
    X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)lists[1].n);
    assert_non_null(crl);
    assert_ptr_equal(at, lists[1].p + lists[1].n);
    assert_int_equal(
        X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(r->fr.certificate)),
        0);
    X509_CRL_free(crl);
}

struct crowd {
    struct rig *r;
    struct tls_trust *trust; /* a reference of its own */
    int wrong;
};

static void *check_often(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 25; i++) {
        struct tls_identity who;
        c->wrong += tls_check(c->trust, c->r->prison.certificate, NULL, TLS_USE_SIGN,
                              c->r->now, &who, NULL, 0) != LIAISON_OK;
        c->wrong += tls_check(c->trust, c->r->gone.certificate, NULL, TLS_USE_SIGN,
                              c->r->now, &who, NULL, 0) != LIAISON_REVOKED;
    }
    tls_trust_free(c->trust);
    return NULL;
}

static void many_threads_share_one_trust(void **state)
{
    struct rig *r = *state;
    struct crowd crowd[4];
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) {
        crowd[i] = (struct crowd){r, tls_trust_share(r->trust), 0};
        assert_int_equal(pthread_create(&thread[i], NULL, check_often, &crowd[i]), 0);
    }
    tls_trust_free(r->trust); /* whoever is last releases it */
    r->trust = NULL;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(crowd[i].wrong, 0);
    }
}

/* ---------------------------------------------------------------- keys */

static void a_key_that_others_may_read_is_refused(void **state)
{
    struct rig *r = *state;
    static const mode_t BAD[] = {0644, 0640, 0604, 0620, 0602, 0610, 0601};
    char why[WHY] = "";
    EVP_PKEY *key = NULL;
    mini_write_key(r->key, r->prison.key, 0600);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_equal(chmod(r->key, BAD[i]), 0);
        assert_int_equal(tls_load_key(r->key, &key, why, sizeof why), LIAISON_PERMISSION);
        assert_non_null(strstr(why, "chmod 600"));
    }
    assert_int_equal(chmod(r->key, 0400), 0);
    assert_int_equal(tls_load_key(r->key, &key, why, sizeof why), LIAISON_OK);
    assert_int_equal(EVP_PKEY_eq(key, r->prison.key), 1);
    EVP_PKEY_free(key);
}

static void only_a_p256_key_in_a_regular_file_is_taken(void **state)
{
    struct rig *r = *state;
    char why[WHY] = "";
    EVP_PKEY *key = NULL, *other = EVP_EC_gen("P-384");
    assert_int_equal(tls_load_key(r->key, &key, why, sizeof why),
                     LIAISON_FILE); /* not there */
    mini_write_key(r->key, other, 0600);
    assert_int_equal(tls_load_key(r->key, &key, why, sizeof why), LIAISON_PROFILE);
    EVP_PKEY_free(other);
    other = EVP_RSA_gen(2048);
    mini_write_key(r->key, other, 0600);
    assert_int_equal(tls_load_key(r->key, &key, why, sizeof why), LIAISON_PROFILE);
    EVP_PKEY_free(other);
    write_text(r->key, "not a key\n", 0600);
    assert_int_equal(tls_load_key(r->key, &key, why, sizeof why), LIAISON_FILE);
    FILE *f =
        mini_open(r->key, 0600); /* encrypted: nobody is asked for the pass phrase */
    char secret[] = "synthetic";
    mini_must(PEM_write_PKCS8PrivateKey(f, r->prison.key, EVP_aes_128_cbc(), secret, 9,
                                        NULL, NULL) == 1,
              "write");
    (void)fclose(f);
    assert_int_equal(tls_load_key(r->key, &key, why, sizeof why), LIAISON_FILE);
    assert_int_equal(unlink(r->key), 0);
    assert_int_equal(mkfifo(r->key, 0600), 0);
    assert_int_equal(tls_load_key(r->key, &key, why, sizeof why), LIAISON_FILE);
    assert_int_equal(tls_load_key(r->dir, &key, why, sizeof why), LIAISON_FILE);
    assert_int_equal(tls_load_key("pkcs11:token=x", &key, why, sizeof why),
                     LIAISON_CONFIG);
    assert_null(key);
    assert_int_equal(ERR_peek_error(), 0);
}

static void the_first_certificate_of_a_file_is_read_as_der(void **state)
{
    struct rig *r = *state;
    uint8_t *der = NULL, *want = NULL;
    size_t len = 0;
    char why[WHY] = "";
    int want_len = i2d_X509(r->seal.certificate, &want);
    mini_write_certificates(r->cert,
                            (X509 *[]){r->seal.certificate, r->fr.certificate, NULL});
    assert_int_equal(tls_load_certificate(r->cert, &der, &len, why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(len, want_len);
    assert_memory_equal(der, want, len);
    OPENSSL_free(der);
    OPENSSL_free(want);
    mini_write_key(r->cert, r->seal.key, 0600);
    assert_int_equal(tls_load_certificate(r->cert, &der, &len, why, sizeof why),
                     LIAISON_FILE);
    assert_non_null(strstr(why, "own.crt"));
}

/* ---------------------------------------------------------------- handshakes */

struct talk {
    SSL_CTX *server_ctx, *client_ctx;
    SSL *server, *client;
    int server_result, client_result; /* 1: the handshake is done; else SSL_get_error's */
};

static SSL_CTX *context(struct rig *r, enum tls_side side, const struct mini *own)
{
    SSL_CTX *ctx = NULL;
    char why[WHY] = "";
    mini_write_certificates(r->cert,
                            (X509 *[]){own->certificate, r->fr.certificate, NULL});
    mini_write_key(r->key, own->key, 0600);
    enum liaison_code code =
        tls_context(r->trust, side, r->cert, r->key, &ctx, why, sizeof why);
    if (code != LIAISON_OK)
        fail_msg("context: %d %s", (int)code, why);
    return ctx;
}

/* A peer with none of our policy: what an attacker brings. `own` may be NULL. */
static SSL_CTX *raw_context(const SSL_METHOD *method, const struct mini *own,
                            X509 *issuer)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (own != NULL) {
        mini_must(SSL_CTX_use_certificate(ctx, own->certificate) == 1 &&
                      SSL_CTX_use_PrivateKey(ctx, own->key) == 1,
                  "raw certificate");
        if (issuer != NULL)
            mini_must(SSL_CTX_add1_chain_cert(ctx, issuer) == 1, "raw chain");
    }
    return ctx;
}

static int step(SSL *ssl)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(ssl);
    return rc == 1 ? 1 : -SSL_get_error(ssl, rc);
}

static bool wants(int result)
{
    return result == -SSL_ERROR_WANT_READ || result == -SSL_ERROR_WANT_WRITE;
}

/* Both ends on one socketpair, in turns, until neither moves. Takes both contexts. */
static struct talk shake(SSL_CTX *server_ctx, SSL_CTX *client_ctx, SSL_SESSION *resume)
{
    struct talk t = {.server_ctx = server_ctx, .client_ctx = client_ctx};
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    t.server = SSL_new(server_ctx);
    t.client = SSL_new(client_ctx);
    SSL_set_accept_state(t.server);
    SSL_set_connect_state(t.client);
    assert_int_equal(SSL_set_fd(t.server, fd[0]), 1);
    assert_int_equal(SSL_set_fd(t.client, fd[1]), 1);
    if (resume != NULL)
        assert_int_equal(SSL_set_session(t.client, resume), 1);
    t.server_result = t.client_result = -SSL_ERROR_WANT_READ;
    for (int turn = 0; turn < 10 && (wants(t.server_result) || wants(t.client_result));
         turn++) {
        if (wants(t.client_result))
            t.client_result = step(t.client);
        if (wants(t.server_result))
            t.server_result = step(t.server);
    }
    return t;
}

static void hang_up(struct talk *t)
{
    close(SSL_get_fd(t->server));
    close(SSL_get_fd(t->client));
    SSL_free(t->server);
    SSL_free(t->client);
    SSL_CTX_free(t->server_ctx);
    SSL_CTX_free(t->client_ctx);
    ERR_clear_error();
}

static void two_good_members_know_each_other(void **state)
{
    struct rig *r = *state;
    struct talk t = shake(context(r, TLS_SERVER_SIDE, &r->broker),
                          context(r, TLS_CLIENT_SIDE, &r->prison), NULL);
    char byte = 0;
    assert_int_equal(t.server_result, 1);
    assert_int_equal(t.client_result, 1);
    assert_string_equal(tls_peer(t.server)->name, "fr/lyon/prison");
    assert_int_equal(tls_peer(t.server)->role, TLS_AGENCY);
    assert_string_equal(tls_peer(t.client)->name, "fr/main");
    assert_int_equal(tls_peer(t.client)->role, TLS_BROKER);
    assert_string_equal(SSL_get_version(t.server), "TLSv1.3");
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    SSL_get0_alpn_selected(t.client, &alpn, &alpn_len);
    assert_int_equal(alpn_len, 9);
    assert_memory_equal(alpn, "liaison/1", 9);
    assert_int_equal(SSL_write(t.client, "x", 1), 1);
    assert_int_equal(SSL_read(t.server, &byte, 1), 1);
    hang_up(&t);
}

static void nobody_is_known_before_the_handshake_is_done(void **state)
{
    struct rig *r = *state;
    SSL_CTX *ctx = context(r, TLS_SERVER_SIDE, &r->broker);
    SSL *ssl = SSL_new(ctx);
    char why[WHY] = "";
    assert_null(tls_peer(ssl));
    assert_int_equal(tls_refusal(ssl, why, sizeof why), LIAISON_TLS);
    assert_int_equal(tls_check_again(ssl, r->trust, r->now, why, sizeof why),
                     LIAISON_CERTIFICATE);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void the_broker_refuses_every_bad_certificate(void **state)
{
    struct rig *r = *state;
    struct mini dns =
        member(&r->fr, SIGNS, "clientAuth", URI "agency/lyon/prison,DNS:fr." NETWORK);
    struct mini thief = member(&r->de, SIGNS, "clientAuth", URI "agency/lyon/prison");
    const struct row {
        const char *why;
        const struct mini *own;
        X509 *issuer;
        enum liaison_code want;
        int alert; /* what the other side's administrator sees */
    } ROWS[] = {
        {"none", NULL, NULL, LIAISON_CERTIFICATE, SSL_AD_CERTIFICATE_REQUIRED},
        {"foreign", &r->forged, r->stranger.certificate, LIAISON_CERTIFICATE,
         SSL_AD_UNKNOWN_CA},
        {"expired", &r->late, r->fr.certificate, LIAISON_EXPIRED,
         SSL_AD_CERTIFICATE_EXPIRED},
        {"revoked", &r->gone, r->fr.certificate, LIAISON_REVOKED,
         SSL_AD_CERTIFICATE_REVOKED},
        {"revoked CA", &r->orphan, r->revoked_ca.certificate, LIAISON_REVOKED,
         SSL_AD_CERTIFICATE_REVOKED},
        {"sealing", &r->seal, r->fr.certificate, LIAISON_PROFILE,
         SSL_AD_UNSUPPORTED_CERTIFICATE},
        {"broker's", &r->broker, r->fr.certificate, LIAISON_PROFILE,
         SSL_AD_UNSUPPORTED_CERTIFICATE},
        {"two names", &dns, r->fr.certificate, LIAISON_IDENTITY, SSL_AD_BAD_CERTIFICATE},
        {"other registrar's", &thief, r->de.certificate, LIAISON_IDENTITY,
         SSL_AD_BAD_CERTIFICATE},
        {"a CA's", &r->fr, NULL, LIAISON_PROFILE, SSL_AD_UNSUPPORTED_CERTIFICATE},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char why[WHY] = "", byte;
        struct talk t =
            shake(context(r, TLS_SERVER_SIDE, &r->broker),
                  raw_context(TLS_client_method(), ROWS[i].own, ROWS[i].issuer), NULL);
        enum liaison_code code = tls_refusal(t.server, why, sizeof why);
        if (t.server_result == 1 || code != ROWS[i].want || why[0] == '\0' ||
            tls_peer(t.server) != NULL)
            fail_msg("%s: handshake %d, code %d, \"%s\"", ROWS[i].why, t.server_result,
                     (int)code, why);
        ERR_clear_error();
        assert_true(SSL_read(t.client, &byte, 1) <= 0);
        int reason = ERR_GET_REASON(ERR_peek_last_error());
        if (reason != SSL_AD_REASON_OFFSET + ROWS[i].alert)
            fail_msg("%s: the client saw %s", ROWS[i].why,
                     ERR_reason_error_string(ERR_peek_last_error()));
        hang_up(&t);
    }
    mini_free(&dns);
    mini_free(&thief);
}

static void a_client_talks_to_a_broker_only(void **state)
{
    struct rig *r = *state;
    const struct row {
        const char *why;
        const struct mini *own;
        X509 *issuer;
        enum liaison_code want;
    } ROWS[] = {
        {"an agency as broker", &r->prison, r->fr.certificate, LIAISON_PROFILE},
        {"a stranger", &r->forged, r->stranger.certificate, LIAISON_CERTIFICATE},
        {"a broker", &r->broker, r->fr.certificate, LIAISON_OK},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char why[WHY] = "";
        struct talk t =
            shake(raw_context(TLS_server_method(), ROWS[i].own, ROWS[i].issuer),
                  context(r, TLS_CLIENT_SIDE, &r->prison), NULL);
        bool taken = t.client_result == 1;
        enum liaison_code code =
            taken ? LIAISON_OK : tls_refusal(t.client, why, sizeof why);
        if (code != ROWS[i].want || taken != (tls_peer(t.client) != NULL))
            fail_msg("%s: handshake %d, code %d, \"%s\"", ROWS[i].why, t.client_result,
                     (int)code, why);
        hang_up(&t);
    }
}

static void no_session_can_be_resumed(void **state)
{
    struct rig *r = *state;
    SSL_CTX *server = context(r, TLS_SERVER_SIDE, &r->broker);
    SSL_CTX *client = raw_context(TLS_client_method(), &r->prison, r->fr.certificate);
    char byte;
    SSL_CTX_up_ref(server);
    SSL_CTX_up_ref(client);
    SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
    struct talk t = shake(server, client, NULL);
    assert_int_equal(t.server_result, 1);
    assert_int_equal(SSL_write(t.server, "x", 1), 1);
    assert_int_equal(SSL_read(t.client, &byte, 1),
                     1); /* a ticket would have come before it */
    SSL_SESSION *session = SSL_get1_session(t.client);
    assert_int_equal(SSL_SESSION_has_ticket(session), 0);
    assert_int_equal(SSL_SESSION_is_resumable(session), 0);
    assert_int_equal(SSL_CTX_sess_number(server), 0);
    hang_up(&t);
    t = shake(server, client, session);
    assert_int_equal(t.server_result, 1);
    assert_int_equal(SSL_session_reused(t.server), 0);
    assert_non_null(tls_peer(t.server)); /* judged anew */
    hang_up(&t);
    SSL_SESSION_free(session);
}

static void what_the_policy_excludes_is_not_negotiated(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 5; i++) {
        SSL_CTX *client = raw_context(TLS_client_method(), &r->prison, r->fr.certificate);
        switch (i) {
        case 0:
            assert_int_equal(SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION), 1);
            break;
        case 1:
            assert_int_equal(SSL_CTX_set1_groups_list(client, "P-384"), 1);
            break;
        case 2:
            assert_int_equal(SSL_CTX_set_ciphersuites(client, "TLS_AES_128_CCM_SHA256"),
                             1);
            break;
        case 3:
            assert_int_equal(
                SSL_CTX_set_alpn_protos(client, (const unsigned char *)"\x02h2", 3), 0);
            break;
        case 4: /* as a stock tunnel comes: no ALPN at all */
            break;
        }
        struct talk t = shake(context(r, TLS_SERVER_SIDE, &r->broker), client, NULL);
        char why[WHY] = "";
        if ((t.server_result == 1) != (i == 4))
            fail_msg("case %d: handshake %d", i, t.server_result);
        if (i != 4 && tls_refusal(t.server, why, sizeof why) != LIAISON_TLS)
            fail_msg("case %d: not LIAISON_TLS: %s", i, why);
        hang_up(&t);
    }
}

static void a_live_session_is_judged_again(void **state)
{
    struct rig *r = *state;
    char why[WHY] = "";
    struct tls_trust *fresh = NULL;
    struct talk t = shake(context(r, TLS_SERVER_SIDE, &r->broker),
                          context(r, TLS_CLIENT_SIDE, &r->prison), NULL);
    assert_int_equal(t.server_result, 1);
    assert_int_equal(tls_check_again(t.server, r->trust, r->now, why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(tls_check_again(t.client, r->trust, r->now, why, sizeof why),
                     LIAISON_OK);
    mini_write_crls(
        r->crl,
        (X509_CRL *[]){mini_crl(&r->root, NULL, -60, 60),
                       mini_crl(&r->fr, (X509 *[]){r->prison.certificate, NULL}, -60, 60),
                       mini_crl(&r->de, NULL, -60, 60),
                       mini_crl(&r->revoked_ca, NULL, -60, 60), NULL});
    assert_int_equal(
        tls_trust_load(NETWORK, r->ca, r->crl, r->now, &fresh, why, sizeof why),
        LIAISON_OK);
    assert_int_equal(tls_check_again(t.server, fresh, r->now, why, sizeof why),
                     LIAISON_REVOKED);
    assert_int_equal(tls_check_again(t.client, fresh, r->now, why, sizeof why),
                     LIAISON_OK);
    assert_int_equal(tls_check_again(t.server, r->trust, r->now + 4000, why, sizeof why),
                     LIAISON_CRL);
    tls_trust_free(fresh);
    tls_trust_free(r->trust); /* the sessions still hold it */
    r->trust = NULL;
    assert_string_equal(tls_peer(t.server)->name, "fr/lyon/prison");
    hang_up(&t);
}

static void our_own_bad_certificate_is_refused_before_anybody_sees_it(void **state)
{
    struct rig *r = *state;
    const struct row {
        const char *why;
        enum tls_side side;
        const struct mini *own;
        const struct mini *key_of;
        mode_t mode;
        enum liaison_code want;
    } ROWS[] = {
        {"an agency", TLS_CLIENT_SIDE, &r->prison, &r->prison, 0600, LIAISON_OK},
        {"another's key", TLS_CLIENT_SIDE, &r->prison, &r->dpa, 0600,
         LIAISON_CERTIFICATE},
        {"an open key", TLS_CLIENT_SIDE, &r->prison, &r->prison, 0644,
         LIAISON_PERMISSION},
        {"a seal", TLS_CLIENT_SIDE, &r->seal, &r->seal, 0600, LIAISON_PROFILE},
        {"revoked", TLS_CLIENT_SIDE, &r->gone, &r->gone, 0600, LIAISON_REVOKED},
        {"expired", TLS_CLIENT_SIDE, &r->late, &r->late, 0600, LIAISON_EXPIRED},
        {"foreign", TLS_CLIENT_SIDE, &r->forged, &r->forged, 0600, LIAISON_CERTIFICATE},
        {"a client's as broker", TLS_SERVER_SIDE, &r->prison, &r->prison, 0600,
         LIAISON_PROFILE},
        {"a broker", TLS_SERVER_SIDE, &r->broker, &r->broker, 0600, LIAISON_OK},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char why[WHY] = "";
        SSL_CTX *ctx = NULL;
        mini_write_certificates(r->cert, (X509 *[]){ROWS[i].own->certificate, NULL});
        mini_write_key(r->key, ROWS[i].key_of->key, ROWS[i].mode);
        enum liaison_code code =
            tls_context(r->trust, ROWS[i].side, r->cert, r->key, &ctx, why, sizeof why);
        if (code != ROWS[i].want || (code == LIAISON_OK) != (ctx != NULL))
            fail_msg("%s: %d (%s)", ROWS[i].why, (int)code, why);
        if (code != LIAISON_OK && strstr(why, "own.") == NULL)
            fail_msg("%s: \"%s\" does not name the file", ROWS[i].why, why);
        SSL_CTX_free(ctx);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

/* ---------------------------------------------------------------- the registrar's tool */

static void what_liaison_ca_issues_is_taken(void **state)
{
    struct rig *r = *state;
    static const struct row {
        const char *file;
        enum tls_use use;
        const char *name;
    } ROWS[] = {
        {"profiles/fr.lyon.prison/sign.crt", TLS_USE_SIGN, "fr/lyon/prison"},
        {"profiles/fr.lyon.prison/seal.crt", TLS_USE_SEAL, "fr/lyon/prison"},
        {"profiles/fr.dpa/sign.crt", TLS_USE_SIGN, "fr/dpa"},
        {"broker/broker.crt", TLS_USE_BROKER, "eu/main"},
    };
    char command[400], path[160], why[WHY] = "";
    struct tls_trust *t = NULL;
    (void)snprintf(command, sizeof command,
                   "bash -c '. tests/lib/network.sh && network_make %s/net && "
                   "network_agency fr/lyon/prison && "
                   "network_auditor fr/dpa && network_broker'",
                   r->dir);
    assert_int_equal(system(command), 0);
    (void)snprintf(r->ca, sizeof r->ca, "%s/net/broker/ca.crt", r->dir);
    (void)snprintf(r->crl, sizeof r->crl, "%s/net/broker/crl.pem", r->dir);
    if (tls_trust_load(NETWORK, r->ca, r->crl, time(NULL), &t, why, sizeof why) !=
        LIAISON_OK)
        fail_msg("%s", why);
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++)
        for (int use = TLS_USE_SIGN; use <= TLS_USE_BROKER; use++) {
            uint8_t *der = NULL;
            size_t len = 0;
            struct tls_identity who = {0};
            (void)snprintf(path, sizeof path, "%s/net/%s", r->dir, ROWS[i].file);
            assert_int_equal(tls_load_certificate(path, &der, &len, why, sizeof why),
                             LIAISON_OK);
            enum liaison_code code = tls_check_der(t, slice(der, len), (enum tls_use)use,
                                                   time(NULL), &who, why, sizeof why);
            OPENSSL_free(der);
            if (code != ((int)ROWS[i].use == use ? LIAISON_OK : LIAISON_PROFILE))
                fail_msg("%s for use %d: %d (%s)", ROWS[i].file, use, (int)code, why);
            if (code == LIAISON_OK)
                assert_string_equal(who.name, ROWS[i].name);
        }
    tls_trust_free(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_exact_uris_name_members),
        cmocka_unit_test(a_nul_does_not_shorten_a_uri),
        cmocka_unit_test(a_name_has_at_most_255_bytes),
        TEST(each_profile_serves_its_own_use_only),
        TEST(a_certificate_that_is_nearly_right_is_refused),
        TEST(a_good_certificate_says_whose_it_is),
        TEST(a_certificate_followed_by_bytes_is_refused),
        TEST(only_our_own_root_vouches),
        TEST(a_registrar_names_its_own_members_only),
        TEST(an_issuing_certificate_may_be_sent_along),
        TEST(expired_and_revoked_certificates_are_refused),
        TEST(a_list_that_ends_later_closes_the_door),
        TEST(trust_without_a_good_list_of_every_ca_is_refused),
        TEST(a_revoked_ca_need_not_have_a_list),
        TEST(a_ca_with_a_new_key_has_a_list_of_its_own),
        TEST(bad_trust_files_are_refused_by_name),
        TEST(a_list_older_than_the_one_in_force_does_not_follow_it),
        TEST(the_lists_are_given_as_read),
        TEST(many_threads_share_one_trust),
        TEST(a_key_that_others_may_read_is_refused),
        TEST(only_a_p256_key_in_a_regular_file_is_taken),
        TEST(the_first_certificate_of_a_file_is_read_as_der),
        TEST(two_good_members_know_each_other),
        TEST(nobody_is_known_before_the_handshake_is_done),
        TEST(the_broker_refuses_every_bad_certificate),
        TEST(a_client_talks_to_a_broker_only),
        TEST(no_session_can_be_resumed),
        TEST(what_the_policy_excludes_is_not_negotiated),
        TEST(a_live_session_is_judged_again),
        TEST(our_own_bad_certificate_is_refused_before_anybody_sees_it),
        TEST(what_liaison_ca_issues_is_taken),
    };
    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
