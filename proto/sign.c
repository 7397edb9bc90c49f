#include "proto/sign.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "proto/merkle.h"

enum { KNOWN_CERTIFICATES = 1024, KNOWN_BURSTS = 4, SIGNATURE_MAX = 72 };

static const char *const PREFIX[] = {
    [SIGN_REFERRAL] = "liaison/1 referral\n",
    [SIGN_ACTION] = "liaison/1 action\n",
};

/* The bytes that are signed: `text` has room for them. Returns their number. */
static size_t signed_bytes(enum sign_kind kind, const uint8_t root[HASH_BYTES],
                           uint8_t text[64])
{
    size_t n = strlen(PREFIX[kind]);

    memcpy(text, PREFIX[kind], n);
    memcpy(text + n, root, HASH_BYTES);
    return n + HASH_BYTES;
}

static enum liaison_code sign_root(EVP_PKEY *key, enum sign_kind kind,
                                   const uint8_t root[HASH_BYTES], struct sign_part *part)
{
    uint8_t text[64];
    size_t n = signed_bytes(kind, root, text);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    enum liaison_code code = ctx == NULL ? LIAISON_MEMORY : LIAISON_INTERNAL;

    part->signature_len = sizeof part->signature;
    if (ctx != NULL &&
        EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
        EVP_DigestSign(ctx, part->signature, &part->signature_len, text, n) == 1)
        code = LIAISON_OK;
    EVP_MD_CTX_free(ctx);
    return code;
}

/* All levels of the tree at once, so that n paths cost n hashes and not n log n. levels[0] is the leaves; a level's odd last node
 * moves up unchanged, which gives RFC 6962's tree. */
struct levels {
    uint8_t (*nodes[VALID_PATH_MAX + 2])[HASH_BYTES];
    size_t count[VALID_PATH_MAX + 2];
    size_t n;
};

static void levels_build(struct hash *h, struct levels *l)
{
    l->n = 1;
    while (l->count[l->n - 1] > 1) {
        size_t below = l->count[l->n - 1], here = (below + 1) / 2;
        uint8_t(*from)[HASH_BYTES] = l->nodes[l->n - 1], (*to)[HASH_BYTES] = from + below;

        for (size_t i = 0; i < below / 2; i++)
            merkle_node(h, from[2 * i], from[2 * i + 1], to[i]);
        if (below % 2 == 1)
            memcpy(to[here - 1], from[below - 1], HASH_BYTES);
        l->nodes[l->n] = to;
        l->count[l->n++] = here;
    }
}

static void part_path(const struct levels *l, size_t index, struct sign_part *part)
{
    part->path_len = 0;
    for (size_t level = 0; level + 1 < l->n; level++, index /= 2) {
        size_t sibling = index ^ 1;

        if (sibling < l->count[level])
            memcpy(part->path[part->path_len++], l->nodes[level][sibling], HASH_BYTES);
    }
}

enum liaison_code sign_burst(struct hash *h, EVP_PKEY *key, enum sign_kind kind,
                             const struct slice *messages, size_t n,
                             struct sign_part *parts)
{
    struct levels l = {.count = {n}};
    enum liaison_code code;

    if (n == 0 || n > VALID_BURST_MAX)
        return LIAISON_LIMIT;
    l.nodes[0] = malloc((2 * n + VALID_PATH_MAX + 2) * HASH_BYTES);
    if (l.nodes[0] == NULL)
        return LIAISON_MEMORY;
    for (size_t i = 0; i < n; i++)
        merkle_leaf(h, messages[i], l.nodes[0][i]);
    levels_build(h, &l);
    code = sign_root(key, kind, l.nodes[l.n - 1][0], &parts[0]);
    for (size_t i = 0; code == LIAISON_OK && i < n; i++) {
        memcpy(parts[i].signature, parts[0].signature, sizeof parts[i].signature);
        parts[i].signature_len = parts[0].signature_len;
        parts[i].index = (uint32_t)i;
        parts[i].size = (uint32_t)n;
        part_path(&l, i, &parts[i]);
    }
    free(l.nodes[0]);
    return code;
}

/* A burst whose signature was checked under its certificate. */
struct burst {
    enum sign_kind kind;
    uint8_t root[HASH_BYTES];
    uint8_t signature[SIGNATURE_MAX];
    size_t signature_len; /* 0: none */
};

struct known {
    uint8_t *der; /* NULL: free place */
    size_t der_len;
    EVP_PKEY_CTX *key; /* ready to verify */
    struct tls_identity who;
    struct burst bursts[KNOWN_BURSTS];
    size_t next; /* place of the next burst */
};

struct sign_verifier {
    struct tls_trust *trust;
    struct hash *hash;
    struct known known
        [KNOWN_CERTIFICATES]; /* a certificate has one place; a newcomer takes it over */
};

static void known_forget(struct known *k)
{
    free(k->der);
    EVP_PKEY_CTX_free(k->key);
    *k = (struct known){0};
}

enum liaison_code sign_verifier_new(struct tls_trust *t, struct sign_verifier **out)
{
    struct sign_verifier *v = calloc(1, sizeof *v);

    if (v == NULL)
        return LIAISON_MEMORY;
    v->trust = tls_trust_share(t);
    v->hash = hash_new();
    if (v->hash == NULL) {
        sign_verifier_free(v);
        return LIAISON_MEMORY;
    }
    *out = v;
    return LIAISON_OK;
}

static void forget_all(struct sign_verifier *v)
{
    for (size_t i = 0; i < KNOWN_CERTIFICATES; i++)
        known_forget(&v->known[i]);
}

void sign_verifier_free(struct sign_verifier *v)
{
    if (v == NULL)
        return;
    forget_all(v);
    hash_free(v->hash);
    tls_trust_free(v->trust);
    free(v);
}

void sign_verifier_trust(struct sign_verifier *v, struct tls_trust *fresh)
{
    struct tls_trust *old = v->trust;

    v->trust = tls_trust_share(fresh);
    tls_trust_free(old);
    forget_all(v);
}

static enum liaison_code known_learn(struct sign_verifier *v, struct slice der,
                                     int64_t now_unix, struct known *k)
{
    struct known fresh = {0};
    const unsigned char *p = der.p;
    enum liaison_code code =
        tls_check_der(v->trust, der, TLS_USE_SIGN, now_unix, &fresh.who, NULL, 0);

    if (code != LIAISON_OK)
        return code;
    X509 *x = d2i_X509(NULL, &p, (long)der.n);

    fresh.key = x == NULL ? NULL : EVP_PKEY_CTX_new(X509_get0_pubkey(x), NULL);
    X509_free(x);
    fresh.der = malloc(der.n);
    if (fresh.key == NULL || EVP_PKEY_verify_init(fresh.key) != 1 || fresh.der == NULL) {
        known_forget(&fresh);
        return LIAISON_MEMORY;
    }
    memcpy(fresh.der, der.p, der.n);
    fresh.der_len = der.n;
    known_forget(k);
    *k = fresh;
    return LIAISON_OK;
}

/* The checked certificate, from memory or checked now. A certificate's last bytes are its signature: as good as random. */
static enum liaison_code find_certificate(struct sign_verifier *v, struct slice der,
                                          int64_t now_unix, struct known **out)
{
    uint32_t place = 0;

    for (size_t i = 0; i < der.n && i < 4; i++)
        place = place << 8 | der.p[der.n - 1 - i];
    struct known *k = &v->known[place % KNOWN_CERTIFICATES];

    *out = k;
    if (!slice_equal(der, slice(k->der, k->der_len)))
        return known_learn(v, der, now_unix, k);
    if (now_unix > k->who.not_after_unix)
        return LIAISON_EXPIRED;
    return now_unix > tls_trust_crl_ends(v->trust) ? LIAISON_CRL : LIAISON_OK;
}

static bool burst_known(const struct known *k, enum sign_kind kind,
                        const uint8_t root[HASH_BYTES], struct slice signature)
{
    for (size_t i = 0; i < KNOWN_BURSTS; i++) {
        const struct burst *b = &k->bursts[i];

        if (b->signature_len != 0 && b->kind == kind &&
            memcmp(b->root, root, HASH_BYTES) == 0 &&
            slice_equal(slice(b->signature, b->signature_len), signature))
            return true;
    }
    return false;
}

static void burst_remember(struct known *k, enum sign_kind kind,
                           const uint8_t root[HASH_BYTES], struct slice signature)
{
    struct burst *b = &k->bursts[k->next++ % KNOWN_BURSTS];

    b->kind = kind;
    memcpy(b->root, root, HASH_BYTES);
    memcpy(b->signature, signature.p, signature.n);
    b->signature_len = signature.n;
}

static enum liaison_code root_of(struct sign_verifier *v, struct slice message,
                                 const Liaison__V1__Signature *s,
                                 uint8_t root[HASH_BYTES])
{
    struct slice path[VALID_PATH_MAX];
    uint8_t leaf[HASH_BYTES];

    for (size_t i = 0; i < s->n_path; i++)
        path[i] = slice(s->path[i].data, s->path[i].len);
    merkle_leaf(v->hash, message, leaf);
    return merkle_climb(v->hash, leaf, s->index, s->size, path, s->n_path, root)
               ? LIAISON_OK
               : LIAISON_SIGNATURE;
}

enum liaison_code sign_verify(struct sign_verifier *v, enum sign_kind kind,
                              struct slice message, const Liaison__V1__Signature *s,
                              int64_t now_unix, struct tls_identity *who)
{
    const char *why;
    struct known *k;
    uint8_t root[HASH_BYTES], text[64];
    enum liaison_code code = valid_signature(s, &why);

    if (code != LIAISON_OK || (code = root_of(v, message, s, root)) != LIAISON_OK ||
        (code = find_certificate(v, slice(s->certificate.data, s->certificate.len),
                                 now_unix, &k)) != LIAISON_OK)
        return code;
    struct slice signature = slice(s->signature.data, s->signature.len);

    if (!burst_known(k, kind, root, signature)) {
        uint8_t digest[HASH_BYTES];

        hash_sha256(v->hash, &(struct slice){text, signed_bytes(kind, root, text)}, 1,
                    digest);
        if (EVP_PKEY_verify(k->key, signature.p, signature.n, digest, sizeof digest) != 1)
            return LIAISON_SIGNATURE;
        burst_remember(k, kind, root, signature);
    }
    *who = k->who;
    return LIAISON_OK;
}
