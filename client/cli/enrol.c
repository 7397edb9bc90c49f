/* enrol: a profile in two steps. Keys are made here and never leave; certificates come back from the registrar. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/pair.h"
#include "proto/note.h"

enum { POLICY_MAX = 1 << 20 };

/* ---- first step: keys and requests */

/* mkdir -p, 0700 for what is made. */
static bool make_directories(const char *path)
{
    char part[4096];

    if (strlen(path) >= sizeof part)
        return false;
    strcpy(part, path);
    for (char *p = part + 1;; p++) {
        char was = *p;

        if (was != '/' && was != '\0')
            continue;
        *p = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return false;
        if (was == '\0')
            return true;
        *p = was;
    }
}

static bool free_place(struct cli *c, int *status)
{
    static const char *const NAMES[] = {"profile.json", "sign.key", "sign.csr",
                                        "seal.key", "seal.csr"};

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const char *path = profile_path(&c->profile, NAMES[i], c->arena);

        if (path == NULL || access(path, F_OK) == 0) {
            *status = cli_fail(LIAISON_FILE,
                               "%s is there already, and enrol replaces no keys\n"
                               "name another place with --profile, or move it away",
                               path != NULL ? path : "it");
            return false;
        }
    }
    return true;
}

static int begin(struct cli *c, const char *dir)
{
    char why[1024] = "";
    int status;

    c->profile = (struct profile){
        .dir = dir,
        .network = c->opt[OPT_NETWORK],
        .broker = c->opt[OPT_BROKER],
        .agency = c->opt[OPT_AGENCY],
        .auditor = c->opt[OPT_AUDITOR],
        .approver = c->opt[OPT_APPROVER],
        .officer = c->opt[OPT_OFFICER],
        .purpose = c->opt[OPT_PURPOSE],
        .basis = c->opt[OPT_BASIS],
        .sign_key = c->opt[OPT_SIGN_KEY],
        .seal_key = c->opt[OPT_SEAL_KEY],
    };
    if (c->profile.network == NULL || c->profile.broker == NULL ||
        (c->profile.agency == NULL) == (c->profile.auditor == NULL) ||
        (c->profile.approver != NULL && c->profile.agency == NULL))
        return cli_fail(LIAISON_USAGE,
                        "enrol wants --network NAME, --broker HOST:PORT "
                        "and --agency NAME (or --auditor NAME)%s",
                        c->profile.approver != NULL ? "; --approver goes with --agency"
                                                    : "");
    enum liaison_code code = profile_check(&c->profile, why, sizeof why);

    if (code != LIAISON_OK)
        return cli_fail(LIAISON_USAGE, "%s", why);
    if (!make_directories(dir))
        return cli_fail(LIAISON_FILE, "%s: %s", dir, strerror(errno));
    bool seals = profile_seals(&c->profile);

    if (!free_place(c, &status) || !pair_make(c, "sign.key", "sign.csr", &status) ||
        (seals && !pair_make(c, "seal.key", "seal.csr", &status)))
        return status;
    code = profile_write(&c->profile, why, sizeof why);
    if (code != LIAISON_OK)
        return cli_fail(code, "%s", why);
    fprintf(
        stderr,
        "%s is ready for its certificates.\nSend to the registrar: %s/sign.csr%s%s%s\n",
        dir, dir, seals ? " " : "", seals ? dir : "", seals ? "/seal.csr" : "");
    fprintf(stderr,
            "Then: liaison enrol --install sign.crt %sca.crt crl.pem --profile %s\n",
            seals ? "seal.crt " : "", dir);
    return 0;
}

/* ---- second step: certificates */

static int install(struct cli *c, const char *dir, int argc, char **argv)
{
    char why[1024] = "";
    struct tls_trust *trust = NULL;
    int status = 0;
    enum liaison_code code = profile_read(dir, c->arena, &c->profile, why, sizeof why);

    if (code != LIAISON_OK)
        return cli_fail(code, "%s", why);
    bool seals = profile_seals(&c->profile);

    if (argc != (seals ? 4 : 3))
        return cli_fail(LIAISON_USAGE,
                        "enrol --install wants sign.crt %sca.crt crl.pem, in this order",
                        seals ? "seal.crt " : "");
    const char *ca = argv[argc - 2], *crl = argv[argc - 1];
    const struct pair_trial sign = {argv[0], "sign.key", TLS_USE_SIGN},
                            seal = {argv[1], "seal.key", TLS_USE_SEAL};

    code = tls_trust_load(c->profile.network, ca, crl, (int64_t)time(NULL), &trust, why,
                          sizeof why);
    if (code != LIAISON_OK)
        return cli_fail(code, "%s", why);
    if (pair_holds(c, trust, &sign, &status) &&
        (!seals || pair_holds(c, trust, &seal, &status)) &&
        pair_put(c, ca, "ca.crt", &status) && pair_put(c, crl, "crl.pem", &status) &&
        pair_put(c, argv[0], "sign.crt", &status) &&
        (!seals || pair_put(c, argv[1], "seal.crt", &status)))
        fprintf(stderr, "%s is complete. Try: liaison directory --profile %s\n", dir,
                dir);
    tls_trust_free(trust);
    return status;
}

/* ---- the policy of the broker's log */

static int put_policy(struct cli *c, const char *dir)
{
    const char *file = c->opt[OPT_POLICY];
    char why[1024] = "";
    struct note_policy *policy = NULL;
    struct slice text = {0};
    int status = 0;
    enum liaison_code code = profile_read(dir, c->arena, &c->profile, why, sizeof why);

    if (code != LIAISON_OK)
        return cli_fail(code, "%s", why);
    if (!files_read(c, file, POLICY_MAX, &text, &status))
        return status;
    code = note_policy_parse(text, &policy, why, sizeof why);
    if (code != LIAISON_OK)
        return cli_fail(code, "%s: %s", file, why);
    size_t logs = 0, witnesses = 0;

    (void)note_policy_logs(policy, &logs);
    (void)note_policy_witnesses(policy, &witnesses);
    note_policy_free(policy);
    if (pair_put(c, file, "log.policy", &status))
        fprintf(stderr, "%s believes %zu log key%s and knows %zu witness%s\n", dir, logs,
                logs == 1 ? "" : "s", witnesses, witnesses == 1 ? "" : "es");
    return status;
}

int cmd_enrol(struct cli *c, int argc, char **argv)
{
    const char *dir = profile_dir(c->opt[OPT_PROFILE], c->arena);
    bool begins = c->opt[OPT_NETWORK] != NULL || c->opt[OPT_POLICY] == NULL;
    int status = 0;

    if (dir == NULL)
        return cli_fail(LIAISON_CONFIG,
                        "there is no home directory; name a place with --profile DIR");
    if (c->opt[OPT_INSTALL] == NULL && argc > 0)
        return cli_fail(LIAISON_USAGE,
                        "'%s' is too much; certificates are put in with --install",
                        argv[0]);
    if (c->opt[OPT_INSTALL] != NULL)
        status = install(c, dir, argc, argv);
    else if (begins)
        status = begin(c, dir);
    return status == 0 && c->opt[OPT_POLICY] != NULL ? put_policy(c, dir) : status;
}
