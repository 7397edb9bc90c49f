#pragma once
/* A throw-away network, a broker that plays a script and a handle of fr/prison that is pointed to it. Include
 * cmocka's four headers first. All names and data are made up. */
#include "client/lib/liaison.h"
#include "proto/sign.h"
#include "tests/unit/script.h"

enum { KEPT = 8 };

struct rig {
    struct pki pki;
    struct tls_trust *trust;
    SSL_CTX *server;
    struct script script;
    struct liaison *l;
    /* what plays leave behind for the test, read after script_join() */
    uint8_t *kept[KEPT];
    size_t kept_len[KEPT], n_kept;
    uint64_t ids[KEPT];
    size_t seen, most;
    const struct wrong *wrong;
    void *own; /* of one test */
};

static inline void member(struct pki *p, const char *name)
{
    char uri[128], file[64];

    snprintf(uri, sizeof uri, "spiffe://fr." PKI_NETWORK "/agency/%s", name);
    pki_leaf(p, name, uri, PKI_SIGN);
    snprintf(file, sizeof file, "%s-seal", name);
    pki_leaf(p, file, uri, PKI_SEAL);
}

static inline struct liaison *handle(const struct rig *r, const char *name)
{
    const struct {
        const char *key, *suffix;
    } FILES[] = {{"sign_certificate", ".crt"},
                 {"sign_key", ".key"},
                 {"seal_certificate", "-seal.crt"},
                 {"seal_key", "-seal.key"}};
    struct liaison *l = NULL;
    char text[128];

    assert_int_equal(liaison_new(&l), LIAISON_OK);
    assert_int_equal(liaison_set(l, "network", PKI_NETWORK), LIAISON_OK);
    snprintf(text, sizeof text, "fr/%s", name);
    assert_int_equal(liaison_set(l, "agency", text), LIAISON_OK);
    assert_int_equal(liaison_set(l, "ca", pki_path(&r->pki, "ca.pem")), LIAISON_OK);
    assert_int_equal(liaison_set(l, "crl", pki_path(&r->pki, "crl.pem")), LIAISON_OK);
    for (size_t i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "%s%s", name, FILES[i].suffix);
        assert_int_equal(liaison_set(l, FILES[i].key, pki_path(&r->pki, text)),
                         LIAISON_OK);
    }
    assert_int_equal(liaison_set(l, "officer", "4711"), LIAISON_OK);
    assert_int_equal(liaison_set(l, "purpose", "reintegration"), LIAISON_OK);
    assert_int_equal(liaison_set(l, "basis", "law"), LIAISON_OK);
    assert_int_equal(liaison_set(l, "timeout_ms", "5000"), LIAISON_OK);
    return l;
}

static inline SSL_CTX *server_context(struct rig *r, const char *name)
{
    char certificate[64], key[64], why[256] = "";
    SSL_CTX *context = NULL;

    snprintf(certificate, sizeof certificate, "%s.crt", name);
    snprintf(key, sizeof key, "%s.key", name);
    if (tls_context(r->trust, TLS_SERVER_SIDE, pki_path(&r->pki, certificate),
                    pki_path(&r->pki, key), &context, why, sizeof why) != LIAISON_OK)
        fail_msg("%s", why);
    return context;
}

static inline int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    char why[256] = "";

    pki_open(&r->pki);
    member(&r->pki, "prison");
    member(&r->pki, "probation");
    pki_leaf(&r->pki, "hub", "spiffe://fr." PKI_NETWORK "/broker/hub", PKI_BROKER);
    pki_crls(&r->pki, "crl.pem");
    if (tls_trust_load(PKI_NETWORK, pki_path(&r->pki, "ca.pem"),
                       pki_path(&r->pki, "crl.pem"), time(NULL), &r->trust, why,
                       sizeof why) != LIAISON_OK)
        fail_msg("%s", why);
    r->server = server_context(r, "hub");
    r->l = handle(r, "prison");
    r->script.test = r;
    *state = r;
    return 0;
}

/* The client goes first, so that a script that still reads sees its end. */
static inline void finish(struct rig *r)
{
    liaison_free(r->l);
    r->l = NULL;
    if (r->script.plays[0] != NULL)
        script_join(&r->script);
}

static inline int tear_down(void **state)
{
    struct rig *r = *state;

    finish(r);
    for (size_t i = 0; i < r->n_kept; i++)
        free(r->kept[i]);
    SSL_CTX_free(r->server);
    tls_trust_free(r->trust);
    pki_close(&r->pki);
    free(r);
    return 0;
}

/* Starts the script and points the handle to it. */
static inline void start(struct rig *r)
{
    char broker[32];

    r->script.test = r;
    script_start(&r->script, r->server);
    snprintf(broker, sizeof broker, "127.0.0.1:%u", r->script.port);
    assert_int_equal(liaison_set(r->l, "broker", broker), LIAISON_OK);
}

static inline void start_with(struct rig *r, play *first, play *second)
{
    r->script.plays[0] = first;
    r->script.plays[1] = second;
    start(r);
}

static inline void fill(struct liaison_referral *r)
{
    static const char *const FIELDS[][2] = {
        {"to", "fr/probation"},
        {"type", "transfer"},
        {"category", "release-handover"},
        {"subject_category", "convicted"},
        {"minor", "no"},
        {"regime", "led"},
        {"informed", "yes"},
        {"urgency", "days-7"},
    };

    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
        assert_int_equal(liaison_referral_set(r, FIELDS[i][0], FIELDS[i][1]), LIAISON_OK);
}

/* A sealed referral without sections: needs no broker. */
static inline struct liaison_referral *bare(struct liaison *l)
{
    struct liaison_referral *r = NULL;

    assert_int_equal(liaison_referral_new(l, &r), LIAISON_OK);
    fill(r);
    if (liaison_seal(l, &r, 1) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(l));
    return r;
}

