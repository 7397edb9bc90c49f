/* A file to start from. */
#include "broker/conf/limits.h"

static const char TEMPLATE_SETTINGS[] =
    "# ---- liaisond.conf: settings. A statement begins at the left margin; indented "
    "lines continue it. Paths are relative to\n"
    "# this file. `liaisond check FILE` says what is wrong, `liaisond fmt FILE` lays it "
    "out; `liaisond --help` lists every setting.\n"
    "\n"
    "listen 0.0.0.0 port 7443\n"
    "store \"lmdb:/var/lib/liaison/store\" key \"/var/lib/liaison/store.key\" map 16G "
    "reserve 64M\n"
    "certificate \"broker.crt\"  # with its issuing certificates after it\n"
    "key \"broker.key\"          # 0600\n"
    "ca \"ca.crt\"               # root and issuing certificates\n"
    "crl \"crl.pem\"             # one list per issuer; SIGHUP reads it again\n"
    "directory \"directory\"     # published sealing certificates\n"
    "# signs the log; user NAME: as another user\n"
    "notary key \"/var/lib/liaison/log.key\" state \"/var/lib/liaison/log.state\"\n"
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
    "# of lines decides nothing. Kinds, purposes, bases, categories, sections and roles "
    "are words of your own.\n"
    "\n"
    "network \"practicies.example\"\n"
    "keep 2y  # after the last move\n"
    "# include \"rules.d/*.conf\"\n"
    "\n"
    "agency fr/lyon/prison     kind prison     area fr/lyon\n"
    "agency fr/lyon/probation  kind probation  area fr/lyon  supervisor "
    "fr/lyon/direction\n"
    "agency fr/lyon/direction  kind direction  area fr/lyon\n"
    "agency fr/lyon/rebond     kind ngo        area fr/lyon  skills { mentoring, "
    "family-support }\n"
    "      languages { fr, ar } capacity 12\n"
    "agency fr/lyon/lycee      kind school     area fr/lyon\n"
    "agency fr/lyon/police     kind police     area fr/lyon\n"
    "# agency fr/lyon/old  kind probation  area fr/lyon  merged into fr/lyon/probation "
    "on 2027-01-01\n"
    "\n"
    "# group care { fr/lyon/rebond, fr/lyon/probation }\n"
    "auditor fr/dpa of area fr  # reads the audit trail of this area; `of any`: of all\n"
    "\n"
    "# A prison tells probation of the same area who is about to leave, and is "
    "answered.\n"
    "allow transfer \"release-handover\" from kind prison to kind probation within area\n"
    "      purpose { reintegration } basis { court-order, law }\n"
    "      sections { identity, custody, concern, needs, assessment }\n"
    "      reveal on accept return { outcome } max-size 256K\n"
    "      answer within 14d else escalate to supervisor\n"
    "\n"
    "# Who asks for a mentor has asked the person.\n"
    "allow referral \"mentoring\" from kind probation to kind ngo within area\n"
    "      purpose { reintegration } basis { consent }\n"
    "      sections { identity, needs }  # health and custody never travel to a mentor\n"
    "      return { outcome, notes } keep 1y\n"
    "#     approval by director rate 20/hour until 2027-12-31 when informed yes\n"
    "\n"
    "# A school may tell the police, but not of its pupils while they are minors.\n"
    "allow referral \"concern\" from kind school to kind police within area\n"
    "      purpose { prevention } basis { law }\n"
    "      sections { identity, concern }\n"
    "deny any any from kind school to kind police when minor\n"
    "# deny any any from any to any when regime crossing when handling { h1, h2 }\n"
    "# deny certificate 4f5e...  # the SHA-256 of a certificate's DER: refused without "
    "waiting for a revocation list\n"
    "\n"
    "# What must hold whatever else is written here; run at every load, and by `liaisond "
    "test FILE`.\n"
    "test \"no minor goes from school straight to the police\"\n"
    "      any any from fr/lyon/lycee to fr/lyon/police minor expect deny\n"
    "test \"a mentor is told who and what is needed, and no more\"\n"
    "      referral \"mentoring\" from fr/lyon/probation to fr/lyon/rebond purpose "
    "reintegration\n"
    "      basis consent expect sections { identity, needs }\n";

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
