/* Revocation lists one behind the other, as a broker sends them: each that is given lies behind the one before, says itself how long
 * it is, and is as long to OpenSSL; they and what is left are all the bytes that there were. */
#include <openssl/x509.h>
#include <string.h>

#include "client/lib/lists.h"
#include "tests/fuzz/must.h"

/* The bytes of a sequence, by its own header; 0: it does not say. */
static size_t said_len(const uint8_t *p, size_t n)
{
    size_t len = 0, digits = n > 1 && p[1] > 0x80 ? p[1] & 0x7f : 0;

    if (n < 2 + digits || p[0] != 0x30 || p[1] == 0x80)
        return 0;
    if (digits == 0)
        return 2 + (size_t)p[1];
    for (size_t i = 0; i < digits; i++) {
        if (len > SIZE_MAX >> 16)
            return 0;
        len = len << 8 | p[2 + i];
    }
    return 2 + digits + len;
}

static void same_to_openssl(struct slice one)
{
    const unsigned char *at = one.p;
    X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)one.n);

    must(crl == NULL || at == one.p + one.n);
    X509_CRL_free(crl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice rest = slice(data, len), one;
    size_t taken = 0;

    while ((one = lists_next(&rest)).n > 0) {
        must(one.p == data + taken && one.n <= len - taken);
        must(one.n == said_len(one.p, one.n));
        taken += one.n;
        must(rest.p == data + taken && rest.n == len - taken);
        same_to_openssl(one);
    }
    must(one.p == NULL && rest.n == len - taken);
    return 0;
}
