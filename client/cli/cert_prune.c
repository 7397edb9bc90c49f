/* cert prune: former sealing keys that nothing open can need any more are removed.
 *
 * A section tells its certificate only to who opens it, and opening is a disclosure: so it is reckoned by time. From the
 * day the next certificate was made senders seal to that one, and what is signed is taken for 30 days. So a former key
 * is needed by referrals that were submitted before 31 days after that day, and until they are finished. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cert.h"

enum { GRACE_DAYS = 31 };

/* The oldest referral that is open. */
struct open {
    uint64_t submitted_unix_ms; /* UINT64_MAX: none is */
    const char *id;
};

static bool look_at(struct cli *c, const struct card *card, void *arg)
{
    struct open *o = arg;

    if (card->card->submitted_unix_ms < o->submitted_unix_ms) {
        o->submitted_unix_ms = card->card->submitted_unix_ms;
        o->id = cli_id(c, card->envelope->id);
    }
    return true;
}

static enum liaison_code oldest_open(struct cli *c, struct open *out)
{
    *out = (struct open){UINT64_MAX, ""};
    enum liaison_code code =
        card_list(c, LIAISON__V1__BOX__BOX_INBOX, false, look_at, out);

    return code == LIAISON_OK
               ? card_list(c, LIAISON__V1__BOX__BOX_SENT, false, look_at, out)
               : code;
}

static const char *old_name(struct cli *c, unsigned n, const char *end)
{
    return cli_text(c, "seal.old-%u%s", n, end);
}

/* When the certificate behind number n was made: the next former one, or the one in force. 0: it cannot be read. */
static int64_t next_from(struct cli *c, unsigned n)
{
    struct cert_facts facts;

    while (++n <= PROFILE_OLD_MAX)
        if (cert_read(c, old_name(c, n, ".crt"), &facts))
            return facts.from_unix;
    return cert_read(c, "seal.crt", &facts) ? facts.from_unix : 0;
}

/* Why it is still needed; NULL: it is not. */
static const char *needed(struct cli *c, unsigned n, const struct open *o)
{
    int64_t from = next_from(c, n), until = from + GRACE_DAYS * 86400;

    if (from == 0)
        return "the certificate after it cannot be read";
    if ((int64_t)time(NULL) < until)
        return cli_text(c, "what is sealed to it may come until %s",
                        cli_time(c, (uint64_t)until * 1000));
    if (o->submitted_unix_ms / 1000 < (uint64_t)until)
        return cli_text(c, "referral %s, which is open, may be sealed to it", o->id);
    return NULL;
}

/* The certificate goes first: a key without one is nobody's. */
static int remove_pair(struct cli *c, unsigned n)
{
    static const char *const ENDS[] = {".crt", ".key"};

    for (size_t i = 0; i < 2; i++) {
        const char *path = profile_path(&c->profile, old_name(c, n, ENDS[i]), c->arena);

        if (path == NULL)
            return cli_no_memory();
        if (unlink(path) != 0 && errno != ENOENT)
            return cli_fail(LIAISON_FILE, "%s: %s", path, strerror(errno));
    }
    return 0;
}

static int say(struct cli *c, unsigned n, const char *why)
{
    if (c->opt[OPT_JSON] != NULL)
        return print_json(json_pack("{sssbss}", "key", old_name(c, n, ".key"), "removed",
                                    why == NULL, "why", why != NULL ? why : ""));
    printf("%s: %s%s\n", old_name(c, n, ".key"), why != NULL ? "kept: " : "removed",
           why != NULL ? why : "");
    return 0;
}

static int prune(struct cli *c, const struct open *o)
{
    int status = 0;

    for (unsigned n = 1; status == 0 && n <= PROFILE_OLD_MAX; n++) {
        const char *key = profile_path(&c->profile, old_name(c, n, ".key"), c->arena);
        const char *crt = profile_path(&c->profile, old_name(c, n, ".crt"), c->arena);

        if (key == NULL || crt == NULL)
            return cli_no_memory();
        if (access(key, F_OK) != 0 && access(crt, F_OK) != 0)
            continue;
        const char *why = access(crt, F_OK) == 0 ? needed(c, n, o) : NULL;

        if (why == NULL)
            status = remove_pair(c, n);
        if (status == 0)
            status = say(c, n, why);
    }
    return status;
}

int cert_prune(struct cli *c, int argc, char **argv)
{
    struct open o;
    int status = 0;

    (void)argc;
    (void)argv;
    if (!cli_open(c, &status) || !cli_reads(c, &status))
        return status;
    enum liaison_code code = oldest_open(c, &o);

    return code == LIAISON_OK ? prune(c, &o) : cli_lib_fail(c, code);
}
