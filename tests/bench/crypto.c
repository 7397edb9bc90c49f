/* What one seal, one opening, one signature and one verification cost, for tests/bench/run.
 *
 *     crypto PROFILE BYTES N
 *
 * Prints one line of JSON: microseconds each, mean over N of BYTES sealed bytes. Every verification is of a signature that
 * was not seen before, by a certificate that was. */
#include <inttypes.h>
#include <openssl/crypto.h>

#include "client/lib/seal.h"
#include "proto/arena.h"
#include "proto/sign.h"
#include "tests/lib/member.h"

enum { ENVELOPE = 900 }; /* bytes of an envelope with eight digests, about */

struct bench {
    struct hash *hash;
    struct seal *seal;
    struct seal_reader *own;
    struct tls_trust *trust;
    struct sign_verifier *verifier;
    EVP_PKEY *seal_key, *sign_key;
    uint8_t *certificate;
    size_t certificate_len;
    size_t bytes, n;
};

static void must(enum liaison_code code, const char *what)
{
    if (code != LIAISON_OK)
        member_die("%s: %s", what, liaison_code_name(code));
}

static double each_us(uint64_t begin, size_t n)
{
    return (double)(member_now_ns() - begin) / 1e3 / (double)n;
}

/* A file of the profile. Borrows: `room`, 1,100 bytes. */
static const char *file(const char *profile, const char *name, char *room)
{
    snprintf(room, 1100, "%s/%s", profile, name);
    return room;
}

static void set_up(struct bench *b, const char *profile)
{
    char why[512] = "", path[1100], crl[1100];
    uint8_t *der = NULL;
    size_t len;

    b->hash = hash_new();
    must(seal_new(&b->seal), "seal_new");
    must(tls_trust_load("practicies.example", file(profile, "ca.crt", path),
                        file(profile, "crl.pem", crl), time(NULL), &b->trust, why,
                        sizeof why),
         why);
    must(sign_verifier_new(b->trust, &b->verifier), "sign_verifier_new");
    must(tls_load_key(file(profile, "sign.key", path), &b->sign_key, why, sizeof why),
         why);
    must(tls_load_key(file(profile, "seal.key", path), &b->seal_key, why, sizeof why),
         why);
    must(tls_load_certificate(file(profile, "sign.crt", path), &b->certificate,
                              &b->certificate_len, why, sizeof why),
         why);
    must(tls_load_certificate(file(profile, "seal.crt", path), &der, &len, why,
                              sizeof why),
         why);
    must(seal_reader_new(b->seal, slice(der, len), &b->own), "seal_reader_new");
    OPENSSL_free(der);
}

static void sealing(struct bench *b, double *seal_us, double *open_us)
{
    static const uint8_t ID[16] = {1};
    const struct seal_place place = {"practicies.example", "fr/load/source-01",
                                     "fr/load/sink-01", "needs", ID};
    struct arena *a = arena_new();
    Liaison__V1__Section **sections = member_alloc(b->n, sizeof *sections);
    uint8_t *body = member_alloc(1, b->bytes + 1);
    uint64_t begin = member_now_ns();

    for (size_t i = 0; i < b->n; i++)
        must(seal_section(b->seal, b->own, &place, "text/plain", slice(body, b->bytes), a,
                          &sections[i]),
             "seal_section");
    *seal_us = each_us(begin, b->n);
    begin = member_now_ns();
    for (size_t i = 0; i < b->n; i++) {
        struct seal_content content = {0};
        const char *why = "";

        must(seal_section_open(b->seal, b->own, b->seal_key, sections[i], &place,
                               &content, &why),
             why);
        seal_content_free(&content);
    }
    *open_us = each_us(begin, b->n);
    free(body);
    free(sections);
    arena_free(a);
}

static void verify(struct bench *b, struct slice message, struct sign_part *part)
{
    Liaison__V1__Signature s = LIAISON__V1__SIGNATURE__INIT;
    struct tls_identity who;

    s.certificate = (ProtobufCBinaryData){b->certificate_len, b->certificate};
    s.signature = (ProtobufCBinaryData){part->signature_len, part->signature};
    s.index = part->index;
    s.size = part->size;
    must(sign_verify(b->verifier, SIGN_REFERRAL, message, &s, time(NULL), &who),
         "sign_verify");
}

static void signing(struct bench *b, double *sign_us, double *verify_us)
{
    struct sign_part *parts = member_alloc(b->n, sizeof *parts);
    uint8_t message[ENVELOPE] = {0};
    struct slice m = slice(message, sizeof message);
    uint64_t begin = member_now_ns();

    for (size_t i = 0; i < b->n; i++) {
        be32_put(message, (uint32_t)i);
        must(sign_burst(b->hash, b->sign_key, SIGN_REFERRAL, &m, 1, &parts[i]),
             "sign_burst");
    }
    *sign_us = each_us(begin, b->n);
    be32_put(message, 0);
    verify(b, m, &parts[0]); /* the certificate's own check is not what is measured */
    begin = member_now_ns();
    for (size_t i = 1; i < b->n; i++) {
        be32_put(message, (uint32_t)i);
        verify(b, m, &parts[i]);
    }
    *verify_us = each_us(begin, b->n - 1);
    free(parts);
}

int main(int argc, char *argv[])
{
    struct bench b = {0};
    double seal_us, open_us, sign_us, verify_us;

    if (argc != 4)
        member_die("usage: crypto PROFILE BYTES N");
    b.bytes = strtoul(argv[2], NULL, 10);
    b.n = strtoul(argv[3], NULL, 10);
    if (b.n < 2)
        member_die("usage: N above 1");
    set_up(&b, argv[1]);
    sealing(&b, &seal_us, &open_us);
    signing(&b, &sign_us, &verify_us);
    printf("{\"seal_us\":%.3f,\"open_us\":%.3f,\"sign_us\":%.3f,\"verify_us\":%.3f}\n",
           seal_us, open_us, sign_us, verify_us);
    sign_verifier_free(b.verifier);
    tls_trust_free(b.trust);
    seal_reader_free(b.own);
    seal_free(b.seal);
    hash_free(b.hash);
    EVP_PKEY_free(b.seal_key);
    EVP_PKEY_free(b.sign_key);
    OPENSSL_free(b.certificate);
    return 0;
}
