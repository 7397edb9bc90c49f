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

/* "/approver/NAME", one segment, and nothing after it. */
static bool is_approver(const uint8_t *rest, size_t len)
{
    static const char MIDDLE[] = "/approver/";
    char name[ID_NAME_MAX + 1];
    size_t n = sizeof MIDDLE - 1;
    if (len <= n || memcmp(rest, MIDDLE, n) != 0 || len - n > ID_NAME_MAX)
        return false;
    memcpy(name, rest + n, len - n);
    name[len - n] = '\0';
    return strlen(name) == len - n && strchr(name, '/') == NULL && id_name(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    enum tls_role role = TLS_BROKER;
    char name[ID_NAME_MAX + 1] = "untouched", uri[512];
    if (!tls_parse_uri(slice(data, len), NETWORK, &role, name)) {
        if (role != TLS_BROKER || strcmp(name, "untouched") != 0)
            abort(); /* tls.h: "False if it is not exactly of that form" */
        return 0;
    }
    const char *path = strchr(name, '/');
    if (!id_name(name) || path == NULL)
        abort();
    int n = snprintf(uri, sizeof uri, "spiffe://%.*s." NETWORK "/%s%s",
                     (int)(path - name), name, WORD[role], path);
    if (n < 0 || (size_t)n >= sizeof uri || (size_t)n > len ||
        memcmp(uri, data, (size_t)n) != 0)
        abort();
    if (role == TLS_APPROVER ? !is_approver(data + n, len - (size_t)n) : (size_t)n != len)
        abort();
    return 0;
}
