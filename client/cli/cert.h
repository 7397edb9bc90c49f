#pragma once
/* Our certificates: shown, renewed, watched. */
#include "client/cli/pair.h"

/* What a certificate of the profile says; texts live in c->arena. */
struct cert_facts {
    const char *file; /* "seal.old-1.crt" */
    const char *who;  /* by its one name, whether it holds or not; "" if that is no member's */
    const char *serial;
    const char *sha256; /* 64 hex digits */
    struct slice der;
    int64_t from_unix, until_unix;
};

/* Reads a certificate of the profile. False if it is not there or cannot be read. */
MUST_CHECK
bool cert_read(struct cli *c, const char *file, struct cert_facts *out);

/* Whole days until then; negative when it is over. */
int64_t cert_days(int64_t until_unix);

/* RFC 3339, for programs. */
const char *cert_time(struct cli *c, int64_t unix_s);

/* Calls `each` for sign.crt, seal.crt and the former sealing certificates that are there, until it returns false. */
typedef bool cert_visit(struct cli *c, const struct cert_facts *facts, void *arg);
void cert_each(struct cli *c, cert_visit *each, void *arg);

/* ---- the subcommands; each has the profile in c->profile */
int cert_show(struct cli *c, int argc, char **argv);
int cert_renew(struct cli *c, int argc, char **argv);
int cert_rotate(struct cli *c, int argc, char **argv);
int cert_install(struct cli *c, int argc, char **argv);
int cert_prune(struct cli *c, int argc, char **argv);
int cert_watch(struct cli *c, int argc, char **argv);
int cert_known(struct cli *c, int argc, char **argv);
