#pragma once
/* A root and a registrar in memory, new in every run of a fuzzer, and the broker's trust in them. No key is ever written.
 * Since the keys are new, nothing that lies in a corpus can have been issued by them. */
#include <unistd.h>

#include "proto/tls.h"
#include "tests/fuzz/must.h"
#include "tests/lib/mini_ca.h"

#define FUZZ_NETWORK "practicies.example"

enum { FUZZ_NOW = 1800000000 }; /* January 2027: within everything made here */

struct fuzz_ca {
    struct mini root, registrar;
    struct tls_trust *trust;
};

/* Seconds from today to a moment, as mini_spec wants them. */
static inline long fuzz_from_now(int64_t unix)
{
    return (long)(unix - (int64_t)time(NULL));
}

static inline struct fuzz_ca fuzz_ca_make(void)
{
    const long start = fuzz_from_now(1600000000), end = fuzz_from_now(2000000000);
    struct fuzz_ca ca = {0};
    char dir[] = "/tmp/liaison-fuzz.XXXXXX", crt[64], crl[64], why[256];

    ca.root = mini_issue(NULL, (struct mini_spec){.cn = "root",
                                                  .basic = "critical,CA:TRUE",
                                                  .usage = "critical,keyCertSign,cRLSign",
                                                  .start = start,
                                                  .end = end});
    ca.registrar = mini_issue(
        &ca.root, (struct mini_spec){.cn = "fr",
                                     .basic = "critical,CA:TRUE,pathlen:0",
                                     .usage = "critical,keyCertSign,cRLSign",
                                     .fence = "critical,permitted;URI:fr." FUZZ_NETWORK,
                                     .start = start,
                                     .end = end});
    must(mkdtemp(dir) != NULL);
    snprintf(crt, sizeof crt, "%s/ca.crt", dir);
    snprintf(crl, sizeof crl, "%s/crl.pem", dir);
    mini_write_certificates(
        crt, (X509 *[]){ca.root.certificate, ca.registrar.certificate, NULL});
    mini_write_crls(crl, (X509_CRL *[]){mini_crl(&ca.root, NULL, start, end),
                                        mini_crl(&ca.registrar, NULL, start, end), NULL});
    must(tls_trust_load(FUZZ_NETWORK, crt, crl, FUZZ_NOW, &ca.trust, why, sizeof why) ==
         LIAISON_OK);
    unlink(crt);
    unlink(crl);
    rmdir(dir);
    return ca;
}

/* A member's certificate as DER; the caller releases it with OPENSSL_free. *key is the caller's too. */
static inline struct slice fuzz_ca_issue(const struct fuzz_ca *ca, const char *usage,
                                         const char *purpose, const char *san,
                                         EVP_PKEY **key)
{
    struct mini m =
        mini_issue(&ca->registrar, (struct mini_spec){.cn = "member",
                                                      .basic = "critical,CA:FALSE",
                                                      .usage = usage,
                                                      .purpose = purpose,
                                                      .san = san,
                                                      .start = fuzz_from_now(1600000000),
                                                      .end = fuzz_from_now(2000000000)});
    uint8_t *der = NULL;
    int n = i2d_X509(m.certificate, &der);

    must(n > 0);
    X509_free(m.certificate);
    *key = m.key;
    return slice(der, (size_t)n);
}
