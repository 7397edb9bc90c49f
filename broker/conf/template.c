/* A file to start from. */
#include "broker/conf/limits.h"

static const char TEMPLATE_SETTINGS[] =
    "# ---- liaisond.conf: settings. A statement begins at the left margin; indented "
    "lines continue it. Paths are relative to\n"
    "# this file. `liaisond check FILE` says what is wrong; `liaisond --help` lists "
    "every setting.\n"
    "\n"
    "listen 0.0.0.0 port 7443\n"
    "store \"lmdb:/var/lib/liaison/store\" key \"/var/lib/liaison/store.key\" map 16G "
    "reserve 64M\n"
    "certificate \"broker.crt\"          # with its issuing certificates after it\n"
    "key \"broker.key\"                  # 0600\n"
    "ca \"ca.crt\"                       # root and issuing certificates\n"
    "crl \"crl.pem\"                     # one list per issuer; SIGHUP reads it again\n"
    "directory \"directory\"             # published sealing certificates\n"
    "notary key \"/var/lib/liaison/log.key\" state \"/var/lib/liaison/log.state\"   # "
    "signs the log; user NAME: as another user\n"
    "# witnesses \"log.policy\"         # who else must have seen the log: C2SP "
    "tlog-policy\n"
    "# control \"/run/liaison/control\" # UNIX socket for operators\n"
    "# rules \"rules.conf\"              # the rules below may stand in a file of their "
    "own\n"
    "# user liaison                    # who to become once sockets and keys are open\n"
    "# log info                        # debug, info, warn, error\n"
    "# gates 1                         # threads that talk to peers\n"
    "# metrics \"/run/liaison/metrics\" # UNIX socket for /metrics, /livez and /readyz\n"
    "# sandbox on                      # off: only to find a fault\n";

static const char TEMPLATE_RULES[] =
    "\n"
    "# ---- rules.conf: who may send what to whom. Nothing passes unless an allow says "
    "so; a deny beats every allow; the order\n"
    "# of lines decides nothing. Kinds, purposes, bases, categories and sections are "
    "words of your own.\n"
    "\n"
    "network \"practicies.example\"\n"
    "keep 2y                           # after the last move\n"
    "\n"
    "agency fr/lyon/prison     kind prison     area fr/lyon\n"
    "agency fr/lyon/probation  kind probation  area fr/lyon\n"
    "auditor fr/dpa            of area fr      # reads the audit trail of this area; `of "
    "any`: of all\n"
    "\n"
    "# A prison tells probation of the same area who is about to leave.\n"
    "allow transfer \"release-handover\" from kind prison to kind probation within area\n"
    "      purpose { reintegration } basis { court-order, law }\n"
    "      sections { identity, custody, concern, needs, assessment }\n"
    "      reveal on accept  return { outcome }  max-size 256K\n";

/* Every limit at its default, so that changing one is taking a '#' away. */
static void put_limits(FILE *out)
{
    char usual[32];

    for (size_t i = 0; limits_at(i) != NULL; i++)
        fprintf(out, "# limit %-21s %-6s # %s\n", limits_at(i)->name,
                limits_show(limits_at(i), limits_at(i)->usual, usual),
                limits_at(i)->help);
}

void conf_print_template(FILE *out)
{
    fputs(TEMPLATE_SETTINGS, out);
    put_limits(out);
    fputs(TEMPLATE_RULES, out);
}
