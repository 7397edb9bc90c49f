/* cert watch, cert known: whose keys bear our name? The broker's ledger says which certificates it has seen; those that
 * are neither ours nor known are somebody else's. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/cli/cert.h"

enum { EVERY_S = 600, HEX_LEN = 64, KNOWN_MAX = 1 << 20 };

/* ---- what is known: keys.known, one SHA-256 in hex on each line */

static bool is_hex(const char *text)
{
    return strlen(text) == HEX_LEN && strspn(text, "0123456789abcdef") == HEX_LEN;
}

/* The file's text; "" when there is none. */
static const char *known_text(struct cli *c, int *status)
{
    const char *path = profile_path(&c->profile, "keys.known", c->arena);
    struct slice bytes = {0};

    *status = 0;
    if (path == NULL || access(path, F_OK) != 0)
        return "";
    if (!files_read(c, path, KNOWN_MAX, &bytes, status))
        return "";
    const char *text = (const char *)arena_copy(c->arena, bytes); /* a NUL is behind it */

    return text != NULL ? text : "";
}

static bool is_known(const char *text, const char *sha256)
{
    return strstr(text, sha256) != NULL;
}

static int add_known(struct cli *c, const char *sha256)
{
    int status;
    const char *path = profile_path(&c->profile, "keys.known", c->arena);
    const char *text = known_text(c, &status);

    if (status != 0 || is_known(text, sha256))
        return status;
    FILE *f = path != NULL ? fopen(path, "ae") : NULL;
    bool ok = f != NULL && fprintf(f, "%s\n", sha256) > 0 && fflush(f) == 0 &&
              fsync(fileno(f)) == 0;

    if (f != NULL && fclose(f) != 0)
        ok = false;
    return ok ? 0
              : cli_fail(LIAISON_FILE, "%s cannot be written",
                         path != NULL ? path : "it");
}

int cert_known(struct cli *c, int argc, char **argv)
{
    int status = 0;

    for (int i = 0; i < argc; i++)
        if (!is_hex(argv[i]))
            return cli_fail(
                LIAISON_USAGE,
                "'%s' is no certificate's SHA-256: 64 lower-case hex digits, as "
                "'cert watch' says them",
                argv[i]);
    for (int i = 0; status == 0 && i < argc; i++)
        status = add_known(c, argv[i]);
    if (argc == 0)
        fputs(known_text(c, &status), stdout);
    return status;
}

/* ---- what the ledger says */

struct looking {
    const char *known;
    const char *own[2 + PROFILE_OLD_MAX]; /* hashes of the certificates that are here */
    size_t n_own;
    size_t seen, strangers;
    int status;
};

static bool collect(struct cli *c, const struct cert_facts *f, void *arg)
{
    struct looking *k = arg;

    (void)c;
    k->own[k->n_own++] = f->sha256;
    return true;
}

static bool is_own(const struct looking *k, const char *sha256)
{
    for (size_t i = 0; i < k->n_own; i++)
        if (strcmp(k->own[i], sha256) == 0)
            return true;
    return false;
}

static void cry(struct cli *c, struct looking *k, const Liaison__V1__LedgerEntry *e,
                const char *sha256)
{
    const char *time = cli_time(c, e->time_ns / 1000000);

    k->strangers++;
    if (c->opt[OPT_JSON] != NULL)
        k->status = print_json(
            json_pack("{sssssssIss}", "stranger", sha256, "agency", e->counterpart, "for",
                      e->role, "entry", (json_int_t)e->seq, "time",
                      cert_time(c, (int64_t)(e->time_ns / 1000000000))));
    cli_fail(
        LIAISON_IDENTITY,
        "A CERTIFICATE IN OUR NAME THAT IS NOT OURS: %s\n"
        "for %s as %s, in ledger entry %llu of %s UTC\n"
        "Ask the registrar at once who has it and to revoke it, and tell the network's "
        "auditor.\n"
        "If it is a colleague's: liaison cert known %s",
        sha256, e->role, e->counterpart, (unsigned long long)e->seq, time, sha256);
}

static void look_at(struct cli *c, struct looking *k, const Liaison__V1__LedgerEntry *e)
{
    const char *sha256 = cli_hex(c, e->certificate);

    if (e->event != LIAISON__V1__EVENT__EVENT_KEY || !is_hex(sha256))
        return;
    k->seen++;
    if (is_known(k->known, sha256))
        return;
    if (is_own(k, sha256))
        k->status = add_known(c, sha256);
    else
        cry(c, k, e, sha256);
}

static enum liaison_code look_at_page(struct cli *c, struct looking *k,
                                      const struct liaison_answer *a)
{
    const Liaison__V1__Frame *f = cli_frame(c, a);

    if (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_ENTRIES_PAGE)
        return LIAISON_MALFORMED;
    for (size_t i = 0; k->status == 0 && i < f->entries_page->n_entries; i++) {
        ProtobufCBinaryData bytes = f->entries_page->entries[i];
        const Liaison__V1__LedgerEntry *e = cli_decode(
            c, &liaison__v1__ledger_entry__descriptor, slice(bytes.data, bytes.len));

        if (e == NULL)
            return LIAISON_DAMAGED;
        look_at(c, k, e);
    }
    return LIAISON_OK;
}

static enum liaison_code look(struct cli *c, struct looking *k)
{
    struct liaison_query *q = NULL;
    enum liaison_code code = liaison_query_new(c->lib, "entries", &q);

    k->known = known_text(c, &k->status);
    cert_each(c, collect, k);
    if (code == LIAISON_OK)
        code = liaison_query_set(q, "agency", c->profile.agency);
    if (code == LIAISON_OK)
        code = liaison_query_set(q, "event", "key");
    while (code == LIAISON_OK && k->status == 0 && liaison_query_more(q)) {
        struct liaison_answer *a = NULL;

        code = liaison_query_next(q, &a);
        if (code == LIAISON_OK)
            code = look_at_page(c, k, a);
        liaison_answer_free(a);
    }
    liaison_query_free(q);
    return code;
}

/* One look. Everything that is read is forgotten with it: this program runs for months. */
static int look_once(struct cli *c, enum liaison_code *code)
{
    struct arena *all = c->arena;
    struct looking k = {0};

    c->arena = arena_new();
    if (c->arena == NULL) {
        c->arena = all;
        return cli_no_memory();
    }
    *code = look(c, &k);
    int status = *code != LIAISON_OK ? cli_lib_fail(c, *code)
                 : k.status != 0     ? k.status
                 : k.strangers > 0   ? err_exit(LIAISON_IDENTITY)
                                     : 0;

    if (status == 0 && c->opt[OPT_ONCE] != NULL && c->opt[OPT_JSON] == NULL)
        fprintf(stderr, "%zu certificate%s of %s in the ledger, all known\n", k.seen,
                k.seen == 1 ? "" : "s", c->profile.agency);
    arena_free(c->arena);
    c->arena = all;
    return status;
}

int cert_watch(struct cli *c, int argc, char **argv)
{
    enum liaison_code code = LIAISON_OK;
    uint32_t every = EVERY_S;
    int status;

    (void)argc;
    (void)argv;
    if (c->opt[OPT_EVERY] != NULL && !options_number(c->opt[OPT_EVERY], 1, 86400, &every))
        return cli_fail(LIAISON_USAGE, "--every wants seconds from 1 to 86400");
    if (!cli_open(c, &status) || !cli_reads(c, &status))
        return status;
    for (;;) {
        status = look_once(c, &code);
        if (c->opt[OPT_ONCE] != NULL ||
            (status != 0 && (code == LIAISON_OK || err_retry(code) == RETRY_NEVER)))
            return status;
        (void)poll(NULL, 0, (int)every * 1000);
    }
}
