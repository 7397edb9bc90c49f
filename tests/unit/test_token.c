/* Keys in tokens: which URI is taken, and what a key that never leaves its token can do. SoftHSM is the token; its PINs are invented. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "proto/tls.h"
#include "proto/tls_token.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

enum { WHY = 1024, THREADS = 4, ROUNDS = 200 };

/* ---------------------------------------------------------------- URIs */

static const struct row {
    const char *why, *uri, *object, *module,
        *pin_file; /* object NULL: refused, with these words */
    const char *words;
} ROWS[] = {
    {"token and object", "pkcs11:token=t;object=k",
     "pkcs11:token=t;object=k;type=private", "", "", NULL},
    {"serial and id", "pkcs11:serial=12;id=%01%ff",
     "pkcs11:serial=12;id=%01%ff;type=private", "", "", NULL},
    {"a type of its own", "pkcs11:type=private;token=t;object=k",
     "pkcs11:type=private;token=t;object=k", "", "", NULL},
    {"module and PIN", "pkcs11:token=t;object=k?module-path=/m.so&pin-source=file:/p",
     "pkcs11:token=t;object=k;type=private", "/m.so", "/p", NULL},
    {"a path with signs", "pkcs11:token=t;object=k?pin-source=/a%20b",
     "pkcs11:token=t;object=k;type=private", "", "/a b", NULL},
    {"an empty query", "pkcs11:token=t;object=k?", "pkcs11:token=t;object=k;type=private",
     "", "", NULL},
    {"type in a name", "pkcs11:token=t;object=type=private",
     "pkcs11:token=t;object=type=private;type=private", "", "", NULL},
    {"nothing", "pkcs11:", NULL, NULL, NULL, "which token"},
    {"no key", "pkcs11:token=t", NULL, NULL, NULL, "which key"},
    {"no token", "pkcs11:object=k", NULL, NULL, NULL, "which token"},
    {"a PIN", "pkcs11:token=t;object=k?pin-value=4711", NULL, NULL, NULL, "refused"},
    {"a PIN among names", "pkcs11:token=t;object=k;pin-value=4711", NULL, NULL, NULL,
     "refused"},
    {"a program", "pkcs11:token=t;object=k?pin-source=|/bin/cat", NULL, NULL, NULL,
     "from the root on"},
    {"a relative path", "pkcs11:token=t;object=k?pin-source=file:pin", NULL, NULL, NULL,
     "from the root on"},
    {"a NUL in a path", "pkcs11:token=t;object=k?pin-source=/a%00b", NULL, NULL, NULL,
     "not right"},
    {"a bad sign in a path", "pkcs11:token=t;object=k?pin-source=/a%2", NULL, NULL, NULL,
     "not right"},
    {"a bad sign", "pkcs11:token=t%zz;object=k", NULL, NULL, NULL, "no good value"},
    {"no value", "pkcs11:token=;object=k", NULL, NULL, NULL, "no good value"},
    {"no equals", "pkcs11:token;object=k", NULL, NULL, NULL, "NAME=VALUE"},
    {"an unknown word", "pkcs11:token=t;object=k;slot-id=1", NULL, NULL, NULL,
     "expected"},
    {"a query word in front", "pkcs11:token=t;object=k;module-path=/m", NULL, NULL, NULL,
     "expected"},
    {"twice", "pkcs11:token=t;token=u;object=k", NULL, NULL, NULL, "twice"},
    {"a public key", "pkcs11:token=t;object=k;type=public", NULL, NULL, NULL, "private"},
    {"a blank", "pkcs11:token=a b;object=k", NULL, NULL, NULL, "%XX"},
};

static void a_uri_is_taken_apart_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct row *r = &ROWS[i];
        struct token_uri uri = {.object = "untouched"};
        char why[WHY] = "";
        enum liaison_code code = token_uri_parse(r->uri, &uri, why, sizeof why);
        bool ok = r->object != NULL
                      ? code == LIAISON_OK && strcmp(uri.object, r->object) == 0 &&
                            strcmp(uri.module, r->module) == 0 &&
                            strcmp(uri.pin_file, r->pin_file) == 0
                      : code == LIAISON_CONFIG && strstr(why, r->words) != NULL &&
                            strcmp(uri.object, "untouched") == 0;

        if (!ok)
            fail_msg("%s: %d \"%s\" %s", r->why, code, why, uri.object);
        assert_null(strstr(why, "4711"));
    }
}

static void a_uri_that_is_too_long_is_refused(void **state)
{
    char text[TOKEN_TEXT_MAX + 64] = "pkcs11:token=t;object=", why[WHY] = "";
    struct token_uri uri;

    (void)state;
    memset(text + strlen(text), 'x', TOKEN_TEXT_MAX - strlen(text) - 1);
    assert_int_equal(token_uri_parse(text, &uri, why, sizeof why), LIAISON_OK);
    assert_int_equal(strlen(uri.object), TOKEN_TEXT_MAX - 1 + strlen(";type=private"));
    strcat(text, "x");
    assert_int_equal(token_uri_parse(text, &uri, why, sizeof why), LIAISON_CONFIG);
}

/* ---------------------------------------------------------------- a token */

struct rig {
    char dir[64], pin[96], wrong_pin[96], path[96];
};

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* Fills in the folder; the command must succeed. */
static void run(const struct rig *r, const char *format, ...)
{
    char words[512], line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    snprintf(line, sizeof line,
             "LSAN_OPTIONS=detect_leaks=0 %s >%s/said 2>&1 || { cat %s/said; exit 1; }",
             words, r->dir, r->dir);
    assert_int_equal(system(line), 0);
}

static int setup(void **state)
{
    static struct rig r;
    char text[256];

    snprintf(r.dir, sizeof r.dir, "/tmp/test_token.XXXXXX");
    assert_non_null(mkdtemp(r.dir));
    snprintf(r.path, sizeof r.path, "%s/tokens", r.dir);
    assert_int_equal(mkdir(r.path, 0700), 0);
    snprintf(text, sizeof text,
             "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
             r.path);
    snprintf(r.path, sizeof r.path, "%s/softhsm2.conf", r.dir);
    put(r.path, text, 0600);
    snprintf(r.pin, sizeof r.pin, "%s/pin", r.dir);
    put(r.pin, "4711\n", 0600);
    snprintf(r.wrong_pin, sizeof r.wrong_pin, "%s/wrong-pin", r.dir);
    put(r.wrong_pin, "1147", 0600);
    setenv("SOFTHSM2_CONF", r.path, 1);
    unsetenv("LIAISON_PIN_FILE");
    run(&r,
        "softhsm2-util --init-token --free --label liaison --so-pin 12345678 --pin 4711");
    for (int i = 0; i < 3; i++)
        run(&r,
            "pkcs11-tool --module " MODULE " --token-label liaison --login --pin 4711 "
            "--keypairgen --key-type EC:%s --label key%d --id 0%d --usage-derive",
            i == 2 ? "secp384r1" : "prime256v1", i, i + 1);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    const struct rig *r = *state;
    char line[128];

    snprintf(line, sizeof line, "rm -rf %s", r->dir);
    return system(line);
}

static const char *uri_of(const char *key, const char *module, const char *pin)
{
    static char uri[512];

    snprintf(uri, sizeof uri, "pkcs11:token=liaison;object=%s?module-path=%s%s%s", key,
             module, pin != NULL ? "&pin-source=file:" : "", pin != NULL ? pin : "");
    return uri;
}

/* What is public of it, as others hold it: from its DER. */
static EVP_PKEY *public_half(EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    const unsigned char *p = der;
    EVP_PKEY *half = d2i_PUBKEY(NULL, &p, n);

    assert_non_null(half);
    OPENSSL_free(der);
    return half;
}

static bool signs(EVP_PKEY *key, EVP_PKEY *public)
{
    uint8_t signature[80];
    size_t n = sizeof signature;
    EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
    bool ok =
        EVP_DigestSignInit_ex(sign, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
        EVP_DigestSign(sign, signature, &n, (const uint8_t *)"x", 1) == 1 &&
        EVP_DigestVerifyInit_ex(verify, NULL, "SHA256", NULL, NULL, public, NULL) == 1 &&
        EVP_DigestVerify(verify, signature, n, (const uint8_t *)"x", 1) == 1;

    EVP_MD_CTX_free(sign);
    EVP_MD_CTX_free(verify);
    return ok;
}

static bool derive(EVP_PKEY *own, EVP_PKEY *peer, uint8_t secret[32])
{
    size_t n = 32;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    bool ok = EVP_PKEY_derive_init(ctx) == 1 &&
              EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
              EVP_PKEY_derive(ctx, secret, &n) == 1 && n == 32;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* Is there something in this process that could be written down and signs like the key? */
static bool leaks(EVP_PKEY *key, EVP_PKEY *public)
{
    unsigned char *der = NULL;
    int n = i2d_PrivateKey(key, &der);
    const unsigned char *p = der;
    EVP_PKEY *copy = n > 0 ? d2i_AutoPrivateKey(NULL, &p, n) : NULL;
    bool good = copy != NULL && signs(copy, public);

    EVP_PKEY_free(copy);
    OPENSSL_free(der);
    return good;
}

/* First of all that touch the token: nothing is loaded yet. */
static void without_the_engine_the_sentence_says_what_to_install(void **state)
{
    const struct rig *r = *state;
    char why[WHY] = "";
    EVP_PKEY *key = NULL;

    setenv("OPENSSL_ENGINES", r->dir, 1);
    assert_int_equal(tls_load_key(uri_of("key0", MODULE, r->pin), &key, why, sizeof why),
                     LIAISON_FILE);
    unsetenv("OPENSSL_ENGINES");
    assert_non_null(strstr(why, "install libengine-pkcs11-openssl"));
    assert_null(key);
    assert_int_equal(ERR_peek_error(), 0);
}

static void a_module_that_is_not_there_is_refused_by_name(void **state)
{
    const struct rig *r = *state;
    char why[WHY] = "";
    EVP_PKEY *key = NULL;

    assert_int_equal(
        tls_load_key(uri_of("key0", "/nowhere/module.so", r->pin), &key, why, sizeof why),
        LIAISON_FILE);
    assert_non_null(strstr(why, "/nowhere/module.so"));
    assert_null(key);
    assert_int_equal(ERR_peek_error(), 0);
}

/* T-87 */
static void a_wrong_pin_is_said_and_tried_once(void **state)
{
    const struct rig *r = *state;
    char why[WHY] = "";
    EVP_PKEY *key = NULL;

    assert_int_equal(
        tls_load_key(uri_of("key0", MODULE, r->wrong_pin), &key, why, sizeof why),
        LIAISON_PERMISSION);
    assert_non_null(strstr(why, "PIN"));
    assert_null(strstr(why, "1147"));
    assert_null(key);
    assert_int_equal(ERR_peek_error(), 0);
}

static void without_a_pin_the_sentence_says_how_to_give_one(void **state)
{
    char why[WHY] = "";
    EVP_PKEY *key = NULL;

    (void)state;
    assert_int_equal(tls_load_key(uri_of("key0", MODULE, NULL), &key, why, sizeof why),
                     LIAISON_FILE);
    assert_non_null(strstr(why, "LIAISON_PIN_FILE"));
}

static void a_pin_file_is_for_its_owner_and_holds_one_line(void **state)
{
    struct rig *r = *state;
    char why[WHY] = "", path[96];
    EVP_PKEY *key = NULL;
    static const char *const BAD[] = {"", "\n", "47\n11\n"};

    snprintf(path, sizeof path, "%s/bad-pin", r->dir);
    put(path, "4711\n", 0640);
    assert_int_equal(tls_load_key(uri_of("key0", MODULE, path), &key, why, sizeof why),
                     LIAISON_PERMISSION);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        put(path, BAD[i], 0600);
        assert_int_equal(
            tls_load_key(uri_of("key0", MODULE, path), &key, why, sizeof why),
            LIAISON_PERMISSION);
        assert_non_null(strstr(why, "one line"));
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(tls_load_key(uri_of("key0", MODULE, path), &key, why, sizeof why),
                     LIAISON_FILE);
    assert_null(key);
}

static void the_pin_may_come_from_a_file_that_the_environment_names(void **state)
{
    const struct rig *r = *state;
    char why[WHY] = "";
    EVP_PKEY *key = NULL;

    setenv("LIAISON_PIN_FILE", r->pin, 1);
    assert_int_equal(tls_load_key(uri_of("key1", MODULE, NULL), &key, why, sizeof why),
                     LIAISON_OK);
    unsetenv("LIAISON_PIN_FILE");
    EVP_PKEY_free(key);
}

/* T-88 */
static void a_key_signs_and_agrees_without_leaving_its_token(void **state)
{
    const struct rig *r = *state;
    char why[WHY] = "";
    uint8_t here[32], there[32];
    EVP_PKEY *key = NULL, *peer = EVP_EC_gen("P-256");

    assert_int_equal(tls_load_key(uri_of("key0", MODULE, r->pin), &key, why, sizeof why),
                     LIAISON_OK);
    EVP_PKEY *public = public_half(key);

    assert_int_equal(EVP_PKEY_eq(public, key), 1);
    assert_true(signs(key, public));
    assert_true(derive(key, peer, here) && derive(peer, public, there));
    assert_memory_equal(here, there, sizeof here);
    ERR_clear_error();
    assert_false(leaks(key, public));
    ERR_clear_error();
    EVP_PKEY_free(public);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(key);
}

static void a_key_that_is_not_there_or_not_p256_is_refused(void **state)
{
    const struct rig *r = *state;
    char why[WHY] = "";
    EVP_PKEY *key = NULL;

    assert_int_equal(tls_load_key(uri_of("key9", MODULE, r->pin), &key, why, sizeof why),
                     LIAISON_FILE);
    assert_non_null(strstr(why, "object not found"));
    assert_int_equal(tls_load_key(uri_of("key2", MODULE, r->pin), &key, why, sizeof why),
                     LIAISON_PROFILE);
    assert_null(key);
}

static void a_file_may_say_in_which_token_the_key_is(void **state)
{
    const struct rig *r = *state;
    char why[WHY] = "", path[96], text[600];
    EVP_PKEY *key = NULL, *same = NULL;

    snprintf(path, sizeof path, "%s/seal.old-1.key", r->dir);
    snprintf(text, sizeof text, "%s\n", uri_of("key0", MODULE, r->pin));
    put(path, text, 0600);
    assert_int_equal(tls_load_key(path, &key, why, sizeof why), LIAISON_OK);
    assert_int_equal(tls_load_key(uri_of("key0", MODULE, r->pin), &same, why, sizeof why),
                     LIAISON_OK);
    assert_ptr_equal(key, same);
    EVP_PKEY_free(key);
    EVP_PKEY_free(same);
    put(path, "pkcs11:object=key0\n", 0600);
    key = NULL;
    assert_int_equal(tls_load_key(path, &key, why, sizeof why), LIAISON_CONFIG);
    put(path, text, 0644);
    assert_int_equal(tls_load_key(path, &key, why, sizeof why), LIAISON_PERMISSION);
    assert_null(key);
}

/* Not even the PIN file is read: after the sandbox neither may be in reach. */
static void the_same_uri_gives_the_same_key_without_asking_the_token(void **state)
{
    const struct rig *r = *state;
    char why[WHY] = "", uri[512];
    EVP_PKEY *key = NULL, *again = NULL;

    strcpy(uri, uri_of("key0", MODULE, r->pin));
    assert_int_equal(tls_load_key(uri, &key, why, sizeof why), LIAISON_OK);
    assert_int_equal(chmod(r->pin, 0644), 0);
    assert_int_equal(tls_load_key(uri, &again, why, sizeof why), LIAISON_OK);
    assert_int_equal(chmod(r->pin, 0600), 0);
    assert_ptr_equal(key, again);
    EVP_PKEY_free(key);
    EVP_PKEY_free(again);
}

struct crowd {
    EVP_PKEY *key, *public;
    int wrong;
};

static void *sign_much(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0; i < ROUNDS; i++)
        c->wrong += !signs(c->key, c->public);
    return NULL;
}

static void threads_sign_with_one_key_at_once(void **state)
{
    const struct rig *r = *state;
    char why[WHY] = "";
    EVP_PKEY *key = NULL;
    pthread_t thread[THREADS];
    struct crowd crowd[THREADS];

    assert_int_equal(tls_load_key(uri_of("key0", MODULE, r->pin), &key, why, sizeof why),
                     LIAISON_OK);
    for (int i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){key, public_half(key), 0};
        assert_int_equal(pthread_create(&thread[i], NULL, sign_much, &crowd[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(crowd[i].wrong, 0);
        EVP_PKEY_free(crowd[i].public);
    }
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uri_is_taken_apart_or_refused),
        cmocka_unit_test(a_uri_that_is_too_long_is_refused),
        cmocka_unit_test(without_the_engine_the_sentence_says_what_to_install),
        cmocka_unit_test(a_module_that_is_not_there_is_refused_by_name),
        cmocka_unit_test(a_wrong_pin_is_said_and_tried_once),
        cmocka_unit_test(without_a_pin_the_sentence_says_how_to_give_one),
        cmocka_unit_test(a_pin_file_is_for_its_owner_and_holds_one_line),
        cmocka_unit_test(the_pin_may_come_from_a_file_that_the_environment_names),
        cmocka_unit_test(a_key_signs_and_agrees_without_leaving_its_token),
        cmocka_unit_test(a_key_that_is_not_there_or_not_p256_is_refused),
        cmocka_unit_test(a_file_may_say_in_which_token_the_key_is),
        cmocka_unit_test(the_same_uri_gives_the_same_key_without_asking_the_token),
        cmocka_unit_test(threads_sign_with_one_key_at_once),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
