/* Keys in tokens, through OpenSSL's engine for PKCS#11 (Debian: libengine-pkcs11-openssl).
 *
 * Engines are deprecated since OpenSSL 3.0, and still what there is: Debian 12 has no provider for PKCS#11. Nothing else here knows
 * of them, so that a provider takes this one file. Nothing more is linked: the engine is loaded when a key is a URI.
 *
 * A module and its sessions belong to the process (C_Initialize), and this engine takes one module. So what we keep hangs on the
 * engine in OpenSSL's own list: which module, and the keys that were found in it. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proto/tls_token.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/ui.h>

#include "proto/tls_inner.h"

/* PKCS #11 v2.40, 11.1.6 */
enum {
    CKR_PIN_INCORRECT = 0xa0,
    CKR_PIN_INVALID = 0xa1,
    CKR_PIN_LEN_RANGE = 0xa2,
    CKR_PIN_LOCKED = 0xa4
};

struct found {
    struct found *next;
    EVP_PKEY *key;
    char object[];
};

/* What hangs on the engine. */
struct module {
    struct found *keys;
    bool open, closes_at_exit;
    char path[TOKEN_TEXT_MAX];
};

/* OpenSSL hands out this number once per process, and a module cannot be loaded by two threads at once. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static CRYPTO_ONCE slot_once = CRYPTO_ONCE_STATIC_INIT;
static int slot = -1;

static void free_module(void *parent, void *value, CRYPTO_EX_DATA *ad, int index,
                        long argl, void *argp)
{
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    free(value);
}

/* A key holds its engine: who waits for the engine to go waits for ever. */
static void drop_keys(struct module *m)
{
    while (m->keys != NULL) {
        struct found *next = m->keys->next;

        EVP_PKEY_free(m->keys->key);
        free(m->keys);
        m->keys = next;
    }
}

/* Gives: the engine, as OpenSSL's list has it or from its folder; NULL: it is not installed. */
static ENGINE *find_engine(void)
{
    ERR_set_mark();
    ENGINE *e = ENGINE_by_id("pkcs11");
    ERR_pop_to_mark();
    return e;
}

/* At exit, before the module's own end: it is registered after the module was loaded, and must not be asked after that. */
static void close_all(void)
{
    ENGINE *e = find_engine();
    struct module *m = e != NULL ? ENGINE_get_ex_data(e, slot) : NULL;

    if (m != NULL && m->open) {
        m->open = false;
        drop_keys(m);
        ENGINE_finish(e);
    }
    ENGINE_free(e);
}

static void make_slot(void)
{
    slot = ENGINE_get_ex_new_index(0, NULL, NULL, NULL, free_module);
}

static bool have_slot(void)
{
    return CRYPTO_THREAD_run_once(&slot_once, make_slot) == 1 && slot >= 0;
}

/* ---------------------------------------------------------------- the module */

static enum liaison_code no_memory(char *why, size_t why_len)
{
    return tls_say(LIAISON_MEMORY, why, why_len, "out of memory");
}

static const char *module_name(const struct token_uri *uri)
{
    return uri->module[0] != '\0' ? uri->module : "the system's PKCS#11 module";
}

/* What hangs on the engine, made if it is not there yet. NULL: out of memory. */
static struct module *module_of(ENGINE *e)
{
    struct module *m = ENGINE_get_ex_data(e, slot);

    if (m != NULL)
        return m;
    m = calloc(1, sizeof *m);
    if (m != NULL && ENGINE_set_ex_data(e, slot, m) != 1) {
        free(m);
        m = NULL;
    }
    return m;
}

/* The module that the URI wants, with a functional reference to the engine that lasts until close_all(). */
static enum liaison_code open_module(ENGINE *e, struct module *m,
                                     const struct token_uri *uri, char *why,
                                     size_t why_len)
{
    if (m->keys != NULL && strcmp(m->path, uri->module) != 0)
        return tls_say(
            LIAISON_CONFIG, why, why_len,
            "%s: a process has one module-path, and keys came from %s already; "
            "without any, p11-kit reaches the modules of all tokens",
            uri->object, m->path[0] != '\0' ? m->path : "the system's module");
    memcpy(m->path, uri->module, sizeof m->path);
    (void)ENGINE_ctrl_cmd_string(e, "QUIET", NULL, 1);
    if (uri->module[0] != '\0' &&
        ENGINE_ctrl_cmd_string(e, "MODULE_PATH", uri->module, 0) != 1)
        return no_memory(why, why_len);
    m->open = m->open || ENGINE_init(e) == 1;
    return m->open ? LIAISON_OK
                   : tls_say(LIAISON_FILE, why, why_len, "%s: %s does not start",
                             uri->object, module_name(uri));
}

/* ---------------------------------------------------------------- keys */

EVP_PKEY *token_engine_known(const struct token_uri *uri)
{
    EVP_PKEY *key = NULL;

    if (!have_slot())
        return NULL;
    pthread_mutex_lock(&one_at_a_time);
    ERR_set_mark();
    ENGINE *e = find_engine();
    const struct module *m = e != NULL ? ENGINE_get_ex_data(e, slot) : NULL;
    struct found *f = m != NULL && strcmp(m->path, uri->module) == 0 ? m->keys : NULL;

    while (f != NULL && strcmp(f->object, uri->object) != 0)
        f = f->next;
    if (f != NULL && EVP_PKEY_up_ref(f->key) == 1)
        key = f->key;
    ENGINE_free(e);
    pthread_mutex_unlock(&one_at_a_time);
    return key;
}

static bool remember_key(struct module *m, const char *object, EVP_PKEY *key)
{
    struct found *f = malloc(sizeof *f + strlen(object) + 1);

    if (f == NULL || EVP_PKEY_up_ref(key) != 1) {
        free(f);
        return false;
    }
    memcpy(f->object, object, strlen(object) + 1);
    f->key = key;
    f->next = m->keys;
    m->keys = f;
    return true;
}

static bool about_pin(unsigned long error)
{
    const char *lib = ERR_lib_error_string(error);
    int reason = ERR_GET_REASON(error);

    return lib != NULL && strcmp(lib, "PKCS#11 module") == 0 &&
           (reason == CKR_PIN_INCORRECT || reason == CKR_PIN_INVALID ||
            reason == CKR_PIN_LEN_RANGE || reason == CKR_PIN_LOCKED);
}

/* What the module said, in its own words. */
static enum liaison_code refused(const struct token_uri *uri, const char *pin, char *why,
                                 size_t why_len)
{
    unsigned long error = ERR_peek_error();
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

    if (about_pin(error))
        return tls_say(LIAISON_PERMISSION, why, why_len,
                       "%s: the token says: %s; mend the PIN file before the next try, "
                       "for tokens lock themselves",
                       uri->object, reason);
    return tls_say(LIAISON_FILE, why, why_len, "%s: %s says: %s%s", uri->object,
                   module_name(uri), reason != NULL ? reason : "no",
                   pin[0] != '\0' ? ""
                                  : "; no PIN was given: say pin-source=file:/PATH in "
                                    "the URI, or set LIAISON_PIN_FILE");
}

static enum liaison_code ask_engine(ENGINE *e, struct module *m,
                                    const struct token_uri *uri, const char *pin,
                                    EVP_PKEY **out, char *why, size_t why_len)
{
    UI_METHOD *nobody = UI_create_method("nobody is asked");
    EVP_PKEY *key = NULL;

    if (nobody != NULL &&
        (pin[0] == '\0' || ENGINE_ctrl_cmd_string(e, "PIN", pin, 0) == 1))
        key = ENGINE_load_private_key(e, uri->object, nobody, NULL);
    UI_destroy_method(nobody);
    m->closes_at_exit = m->closes_at_exit || atexit(close_all) == 0;
    if (key == NULL)
        return refused(uri, pin, why, why_len);
    if (!remember_key(m, uri->object, key)) {
        EVP_PKEY_free(key);
        return no_memory(why, why_len);
    }
    *out = key;
    return LIAISON_OK;
}

static enum liaison_code ask(ENGINE *e, const struct token_uri *uri, const char *pin,
                             EVP_PKEY **out, char *why, size_t why_len)
{
    struct module *m = module_of(e);
    enum liaison_code code =
        m == NULL ? no_memory(why, why_len) : open_module(e, m, uri, why, why_len);

    return code == LIAISON_OK ? ask_engine(e, m, uri, pin, out, why, why_len) : code;
}

enum liaison_code token_engine_key(const struct token_uri *uri, const char *pin,
                                   EVP_PKEY **out, char *why, size_t why_len)
{
    if (!have_slot())
        return no_memory(why, why_len);
    pthread_mutex_lock(&one_at_a_time);
    ENGINE *e = find_engine();
    enum liaison_code code =
        e != NULL ? ask(e, uri, pin, out, why, why_len)
                  : tls_say(LIAISON_FILE, why, why_len,
                            "%s: OpenSSL has no engine for PKCS#11; install "
                            "libengine-pkcs11-openssl",
                            uri->object);

    ENGINE_free(e);
    ERR_pop_to_mark();
    pthread_mutex_unlock(&one_at_a_time);
    return code;
}
