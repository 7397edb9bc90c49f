/* cert: the subcommands, and what a certificate says. */
#include "client/cli/cert.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "client/cli/expiry.h"
#include "proto/hash.h"

/* ---- reading */

static int64_t unix_of(const ASN1_TIME *t)
{
    struct tm tm;

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static const char *name_of(struct cli *c, X509 *x)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    const char *found = "";
    struct tls_identity who;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

        if (n->type == GEN_URI &&
            tls_parse_uri(
                slice(ASN1_STRING_get0_data(n->d.uniformResourceIdentifier),
                      (size_t)ASN1_STRING_length(n->d.uniformResourceIdentifier)),
                c->profile.network, &who))
            found = cli_text(c, "%s%s%s", who.name,
                             who.role_name[0] != '\0' ? "/approver/" : "", who.role_name);
    }
    GENERAL_NAMES_free(names);
    return found;
}

static const char *serial_of(struct cli *c, const X509 *x)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);

    return cli_hex(
        c, (ProtobufCBinaryData){(size_t)ASN1_STRING_length(serial),
                                 (uint8_t *)(uintptr_t)ASN1_STRING_get0_data(serial)});
}

bool cert_read(struct cli *c, const char *file, struct cert_facts *out)
{
    const char *path = profile_path(&c->profile, file, c->arena);
    uint8_t *der = NULL, sha256[HASH_BYTES];
    size_t n = 0;
    char why[256];
    struct hash *h = hash_new();
    bool ok = path != NULL && h != NULL &&
              tls_load_certificate(path, &der, &n, why, sizeof why) == LIAISON_OK;
    const unsigned char *p = der;
    X509 *x = ok ? d2i_X509(NULL, &p, (long)n) : NULL;

    if (x != NULL) {
        hash_sha256(h, &(struct slice){der, n}, 1, sha256);
        *out = (struct cert_facts){
            .file = file,
            .who = name_of(c, x),
            .serial = serial_of(c, x),
            .sha256 = cli_hex(c, (ProtobufCBinaryData){sizeof sha256, sha256}),
            .der = slice(arena_copy(c->arena, slice(der, n)), n),
            .from_unix = unix_of(X509_get0_notBefore(x)),
            .until_unix = unix_of(X509_get0_notAfter(x)),
        };
    }
    X509_free(x);
    OPENSSL_free(der);
    hash_free(h);
    return x != NULL;
}

int64_t cert_days(int64_t until_unix)
{
    int64_t left = until_unix - (int64_t)time(NULL);

    return left < 0 ? -1 : left / 86400;
}

const char *cert_time(struct cli *c, int64_t unix_s)
{
    char text[40];

    json_time_text((uint64_t)unix_s, 0, 0, text, sizeof text);
    return cli_text(c, "%s", text);
}

void cert_each(struct cli *c, cert_visit *each, void *arg)
{
    struct cert_facts facts;

    if (cert_read(c, "sign.crt", &facts) && !each(c, &facts, arg))
        return;
    if (!profile_seals(&c->profile))
        return;
    if (cert_read(c, "seal.crt", &facts) && !each(c, &facts, arg))
        return;
    for (unsigned n = 1; n <= PROFILE_OLD_MAX; n++)
        if (cert_read(c, cli_text(c, "seal.old-%u.crt", n), &facts) &&
            !each(c, &facts, arg))
            return;
}

/* ---- show */

struct showing {
    struct table *table;
    struct tls_trust *trust; /* NULL: it cannot be read */
    size_t rows;
    int status;
};

/* What is to be said of it: why it does not hold, or how soon it ends. Former ones only open. */
static const char *remark(struct cli *c, const struct showing *s,
                          const struct cert_facts *f)
{
    enum tls_use use = f->file[1] == 'i' ? TLS_USE_SIGN : TLS_USE_SEAL;
    struct tls_identity who;
    char why[256] = "";

    if (strncmp(f->file, "seal.old", 8) == 0)
        return "kept to open what was sealed to it";
    if (s->trust != NULL && tls_check_der(s->trust, f->der, use, (int64_t)time(NULL),
                                          &who, why, sizeof why) != LIAISON_OK)
        return cli_text(c, "DOES NOT HOLD: %s", why);
    return expiry_advice(cert_days(f->until_unix)) != NULL
               ? expiry_advice(cert_days(f->until_unix))
               : "";
}

static bool show_one(struct cli *c, const struct cert_facts *f, void *arg)
{
    struct showing *s = arg;
    const char *from = cli_time(c, (uint64_t)f->from_unix * 1000);
    const char *until = cli_time(c, (uint64_t)f->until_unix * 1000);
    int64_t days = cert_days(f->until_unix);

    s->rows++;
    if (c->opt[OPT_JSON] != NULL) {
        s->status = print_json(json_pack("{sssssssssssssIss}", "file", f->file, "who",
                                         f->who, "serial", f->serial, "sha256", f->sha256,
                                         "from", from, "until", until, "days",
                                         (json_int_t)days, "remark", remark(c, s, f)));
        return s->status == 0;
    }
    table_row(s->table, (const char *const[]){
                            f->file, f->who, f->serial, from, until,
                            days < 0 ? "ended" : cli_text(c, "%lld", (long long)days),
                            remark(c, s, f)});
    return true;
}

int cert_show(struct cli *c, int argc, char **argv)
{
    static const char *const TITLES[] = {"CERTIFICATE", "WHO",  "SERIAL", "FROM (UTC)",
                                         "UNTIL (UTC)", "DAYS", "",       NULL};
    struct showing s = {.table = table_new(c->arena, TITLES)};
    const char *ca = profile_path(&c->profile, "ca.crt", c->arena);
    const char *crl = profile_path(&c->profile, "crl.pem", c->arena);
    char why[512] = "";

    (void)argc;
    (void)argv;
    if (s.table == NULL || ca == NULL || crl == NULL)
        return cli_no_memory();
    enum liaison_code code = tls_trust_load(
        c->profile.network, ca, crl, (int64_t)time(NULL), &s.trust, why, sizeof why);

    cert_each(c, show_one, &s);
    if (s.rows == 0)
        s.status = cli_fail(LIAISON_FILE, "%s has no certificate yet", c->profile.dir);
    else if (c->opt[OPT_JSON] == NULL)
        table_print(s.table);
    if (s.status == 0 && code != LIAISON_OK)
        s.status = cli_fail(code, "%s", why);
    tls_trust_free(s.trust);
    return s.status;
}

/* ---- the subcommands */

static const struct sub {
    const char *name;
    int min_args, max_args;
    uint64_t options; /* BIT()s it takes of those of `cert` */
    int (*run)(struct cli *c, int argc, char **argv);
} SUBS[] = {
    {"show", 0, 0, 0, cert_show},
    {"renew", 0, 0, 0, cert_renew},
    {"rotate", 1, 1, 0, cert_rotate},
    {"install", 1, 4, 0, cert_install},
    {"prune", 0, 0, 0, cert_prune},
    {"watch", 0, 0, BIT(OPT_ONCE) | BIT(OPT_EVERY), cert_watch},
    {"known", 0, 64, 0, cert_known},
};

static bool fits(const struct cli *c, const struct sub *s, int argc)
{
    static const uint64_t OWN = BIT(OPT_ONCE) | BIT(OPT_EVERY);

    for (unsigned o = 0; o < OPT__COUNT; o++)
        if (c->opt[o] != NULL && (BIT(o) & OWN & ~s->options) != 0)
            return false;
    return argc >= s->min_args && argc <= s->max_args;
}

int cmd_cert(struct cli *c, int argc, char **argv)
{
    char why[1024] = "";
    const char *dir = profile_dir(c->opt[OPT_PROFILE], c->arena);
    size_t i = 0;

    while (i < sizeof SUBS / sizeof *SUBS && strcmp(SUBS[i].name, argv[0]) != 0)
        i++;
    if (i == sizeof SUBS / sizeof *SUBS || !fits(c, &SUBS[i], argc - 1))
        return cli_fail(
            LIAISON_USAGE,
            "cert show, cert renew, cert rotate seal, cert install FILE..., cert "
            "prune, cert watch [--once] [--every SECONDS], cert known [SHA256...]");
    if (dir == NULL)
        return cli_fail(LIAISON_CONFIG,
                        "there is no home directory; name a profile with --profile DIR");
    enum liaison_code code = profile_read(dir, c->arena, &c->profile, why, sizeof why);

    if (code == LIAISON_OK)
        code = profile_settle(&c->profile, why, sizeof why);
    return code == LIAISON_OK ? SUBS[i].run(c, argc - 1, argv + 1)
                              : cli_fail(code, "%s", why);
}
