#pragma once
/* The published sealing certificates, as the registrar put them: one PEM file each in one folder. An immutable snapshot. */
#include "liaison-codes.h"
#include "proto/tls.h"

struct directory;

/* One of them. */
struct published {
    char name[ID_NAME_MAX + 1]; /* whose it is */
    struct slice der;
    uint8_t sha256[32];
    int64_t not_after_unix; /* earliest end in its chain */
};

/* Reads every *.pem in the folder `path`; what does not verify as an agency's sealing certificate is left out, with a
 * warning in the log. A missing folder is an error, an empty one is not.
 * Gives: *out. Errors: LIAISON_FILE, LIAISON_MEMORY; `why` is a sentence. */
MUST_CHECK
enum liaison_code directory_load(const char *path, const struct tls_trust *trust,
                                 int64_t now_unix, struct directory **out, char *why,
                                 size_t why_len);
void directory_free(struct directory *d); /* NULL is harmless */

/* The certificates of an agency. Borrows: live as long as d. Returns how many. */
size_t directory_find(const struct directory *d, const char *agency,
                      const struct published **out);

/* Number i in the order of names, NULL past the last. Borrows: lives as long as d. */
const struct published *directory_at(const struct directory *d, size_t i);
