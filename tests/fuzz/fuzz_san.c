/* A URI that is taken says exactly what it names: put together again from role, name and network it is the same bytes.
 * One that is refused leaves the outputs alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tls.h"

#define NETWORK "practicies.example"

static const char *const WORD[] = {[TLS_AGENCY] = "agency",
                                   [TLS_AUDITOR] = "auditor",
                                   [TLS_BROKER] = "broker",
                                   [TLS_APPROVER] = "agency"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tls_identity who = {.role = TLS_BROKER, .name = "untouched"};
    char uri[512];
    if (!tls_parse_uri(slice(data, len), NETWORK, &who)) {
        if (who.role != TLS_BROKER || strcmp(who.name, "untouched") != 0 ||
            who.role_name[0] != '\0')
            abort(); /* tls.h: "False if it is not exactly of that form" */
        return 0;
    }
    const char *path = strchr(who.name, '/');
    bool approver = who.role == TLS_APPROVER;
    if (!id_name(who.name) || path == NULL || approver != id_word(who.role_name))
        abort();
    int n = snprintf(uri, sizeof uri, "spiffe://%.*s." NETWORK "/%s%s%s%s",
                     (int)(path - who.name), who.name, WORD[who.role], path,
                     approver ? "/approver/" : "", who.role_name);
    if (n < 0 || (size_t)n != len || memcmp(uri, data, len) != 0)
        abort();
    return 0;
}
