#pragma once
/* The published sealing certificates, as the registrar put them: one PEM file each in one folder. An immutable snapshot. */
#include "liaison-codes.h"
#include "proto/tls.h"

struct directory;

/* Reads every *.pem in the folder `path`; what does not verify as an agency's sealing certificate is left out, with a
 * warning in the log. A missing folder is an error, an empty one is not.
 * Gives: *out. Errors: LIAISON_FILE, LIAISON_MEMORY; `why` is a sentence. */
MUST_CHECK
enum liaison_code directory_load(const char *path, const struct tls_trust *trust,
                                 int64_t now_unix, struct directory **out, char *why,
                                 size_t why_len);
void directory_free(struct directory *d); /* NULL is harmless */

/* The certificates of an agency, DER. Borrows: live as long as d. Returns how many. */
size_t directory_find(const struct directory *d, const char *agency,
                      const struct slice **out);
