#include "client/lib/keys_old.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/lib/inner.h"

enum { WHY = 256, PATH_ROOM = 4096 };

void keys_old_free(struct old_key *k)
{
    while (k != NULL) {
        struct old_key *next = k->next;

        seal_reader_free(k->reader);
        EVP_PKEY_free(k->key);
        free(k);
        k = next;
    }
}

/* "seal.old-1.crt" has its key in "seal.old-1.key". */
static enum liaison_code load_key(struct liaison *l, const char *certificate_path,
                                  struct slice der, EVP_PKEY **out)
{
    char path[PATH_ROOM], why[WHY] = "";
    size_t n = strlen(certificate_path);

    if (n >= sizeof path)
        return lib_fail(l, LIAISON_FILE, "%.64s...: the name is too long",
                        certificate_path);
    memcpy(path, certificate_path, n + 1);
    memcpy(path + n - 3, "key", 3);
    enum liaison_code code = tls_load_key(path, out, why, sizeof why);

    if (code != LIAISON_OK)
        return lib_fail(l, code, "%s", why);
    if (keys_match(der, *out))
        return LIAISON_OK;
    EVP_PKEY_free(*out);
    *out = NULL;
    return lib_fail(l, LIAISON_CONFIG, "%s is not the key of %s", path, certificate_path);
}

/* Takes this file's key if it holds the certificate that is looked for. *found says whether it did. */
static enum liaison_code try_file(struct liaison *l, const char *path,
                                  const uint8_t certificate[32], bool *found)
{
    uint8_t *der = NULL, sha256[HASH_BYTES];
    struct old_key *k = NULL;
    size_t n = 0;
    char why[WHY] = "";
    enum liaison_code code = tls_load_certificate(path, &der, &n, why, sizeof why);

    if (code != LIAISON_OK)
        return lib_fail(l, code, "%s", why);
    hash_sha256(l->hash, &(struct slice){der, n}, 1, sha256);
    if (memcmp(sha256, certificate, sizeof sha256) != 0)
        goto out;
    k = calloc(1, sizeof *k);
    if (k == NULL)
        code = lib_fail(l, LIAISON_MEMORY, "out of memory");
    else if ((code = load_key(l, path, slice(der, n), &k->key)) == LIAISON_OK &&
             (code = seal_reader_new(l->seal, slice(der, n), &k->reader)) != LIAISON_OK)
        (void)lib_fail(l, code, "%s: no sealing certificate", path);
    if (code == LIAISON_OK) {
        k->next = l->keys.old;
        l->keys.old = k;
        k = NULL; /* handed over */
        *found = true;
    }
out:
    keys_old_free(k);
    OPENSSL_free(der);
    return code;
}

/* Goes through PREFIX-1.crt to PREFIX-99.crt; those that were pruned leave gaps. */
static enum liaison_code look_up(struct liaison *l, const uint8_t certificate[32])
{
    char path[PATH_ROOM];
    bool found = false;
    enum liaison_code code = LIAISON_OK;

    for (unsigned n = 1; l->set[SET_SEAL_OLD] != NULL && code == LIAISON_OK && !found &&
                         n <= KEYS_OLD_MAX;
         n++) {
        snprintf(path, sizeof path, "%s-%u.crt", lib_setting(l, SET_SEAL_OLD), n);
        if (access(path, F_OK) == 0)
            code = try_file(l, path, certificate, &found);
    }
    return code == LIAISON_OK && !found ? LIAISON_NOT_FOUND : code;
}

static const struct old_key *recall(const struct liaison *l,
                                    const uint8_t certificate[32])
{
    for (const struct old_key *k = l->keys.old; k != NULL; k = k->next)
        if (memcmp(seal_reader_sha256(k->reader), certificate, HASH_BYTES) == 0)
            return k;
    return NULL;
}

enum liaison_code keys_unseal(struct liaison *l, const uint8_t certificate[32],
                              const struct seal_reader **reader, EVP_PKEY **key)
{
    const struct old_key *old = recall(l, certificate);
    enum liaison_code code = old == NULL ? keys_seal(l) : LIAISON_OK;

    if (code != LIAISON_OK)
        return code;
    if (old == NULL &&
        memcmp(certificate, seal_reader_sha256(l->keys.seal_own), HASH_BYTES) == 0) {
        *reader = l->keys.seal_own;
        *key = l->keys.seal_key;
        return LIAISON_OK;
    }
    if (old == NULL) {
        code = look_up(l, certificate);
        old = code == LIAISON_OK ? recall(l, certificate) : NULL;
    }
    if (code != LIAISON_OK)
        return code;
    *reader = old->reader;
    *key = old->key;
    return LIAISON_OK;
}
