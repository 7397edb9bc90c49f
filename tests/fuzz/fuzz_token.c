/* A `pkcs11:` URI that is taken names a private key of one token, and files from the root on; what it says of them is nowhere in the
 * part that is shown. One that is refused leaves the outputs alone. */
#include <stdlib.h>
#include <string.h>

#include "proto/tls_token.h"

static bool is_file(const char *path)
{
    return path[0] == '\0' || path[0] == '/';
}

static bool ends_private(const char *object)
{
    static const char TYPE[] = ";type=private";
    size_t n = strlen(object);

    return n > sizeof TYPE && strcmp(object + n - (sizeof TYPE - 1), TYPE) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char SCHEME[] = "pkcs11:";
    struct token_uri uri = {.object = "untouched"};
    char why[512] = "", *text = malloc(sizeof SCHEME + len);

    if (text == NULL)
        return 0;
    memcpy(text, SCHEME, sizeof SCHEME - 1);
    memcpy(text + sizeof SCHEME - 1, data, len);
    text[sizeof SCHEME - 1 + len] = '\0';
    if (token_uri_parse(text, &uri, why, sizeof why) != LIAISON_OK) {
        if (strcmp(uri.object, "untouched") != 0 || why[0] == '\0')
            abort(); /* tls_token.h: refused with a sentence */
    } else if (strncmp(uri.object, SCHEME, sizeof SCHEME - 1) != 0 ||
               strchr(uri.object, '?') != NULL ||
               strstr(uri.object, ";pin-value=") != NULL ||
               (!ends_private(uri.object) &&
                strstr(uri.object, "type=private") == NULL) ||
               !is_file(uri.module) || !is_file(uri.pin_file)) {
        abort(); /* tls_token.h promised otherwise */
    }
    free(text);
    return 0;
}
