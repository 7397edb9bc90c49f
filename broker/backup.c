/* liaisond backup: a copy of the store while the broker runs, and a look through all of it. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "broker/command.h"
#include "broker/conf/conf.h"
#include "broker/core/verify.h"
#include "proto/err.h"

struct request {
    const char *settings, *dir;
    bool json;
};

struct done {
    uint64_t bytes;
    struct verify_found found;
};

static bool parse(int argc, char *const *argv, struct request *r)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
            r->settings = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            r->json = true;
        else if (argv[i][0] != '-' && r->dir == NULL)
            r->dir = argv[i];
        else
            return false;
    }
    return r->dir != NULL;
}

static enum liaison_code make(const struct conf *c, const char *dir, struct done *d,
                              char *why, size_t why_len)
{
    const struct store_settings s = {.map_bytes = c->map_bytes,
                                     .reserve_bytes = c->reserve_bytes};
    char url[4096], wrong[1024];

    if ((size_t)snprintf(url, sizeof url, "lmdb:%s", dir) >= sizeof url) {
        snprintf(why, why_len, "%s: the name is too long", dir);
        return LIAISON_USAGE;
    }
    enum liaison_code code = store_backup(c->store_url, dir, &d->bytes, why, why_len);

    if (code != LIAISON_OK)
        return code;
    code = verify_store(url, &s, &d->found, wrong, sizeof wrong);
    if (code != LIAISON_OK)
        snprintf(why, why_len, "the copy in %s is not sound, do not rely on it: %s", dir,
                 wrong);
    return code;
}

static void print(const struct request *r, const struct conf *c, const struct done *d)
{
    const struct verify_found *f = &d->found;
    char root[48], when[32];
    time_t s = (time_t)(f->time_ns / 1000000000);
    struct tm tm;

    EVP_EncodeBlock((unsigned char *)root, f->root, sizeof f->root);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&s, &tm));
    if (r->json) {
        printf("{\"bytes\":%" PRIu64 ",\"entries\":%" PRIu64
               ",\"origin\":\"%s\",\"size\":%" PRIu64
               ",\"root\":\"%s\",\"time\":\"%s\",\"referrals\":%" PRIu64
               ",\"key_epoch\":%" PRIu64 "}\n",
               d->bytes, f->entries, f->origin, f->size, root, when, f->referrals,
               f->key_epoch);
        return;
    }
    printf("copied and verified: %" PRIu64 " bytes, %" PRIu64 " entries, the last of %s\n"
           "key epoch %" PRIu64 "\n\n%s\n%" PRIu64 "\n%s\n",
           d->bytes, f->entries, when, f->key_epoch, f->origin, f->size, root);
    fprintf(
        stderr,
        "The key file is not in it, since whoever holds both reads everything. The copy "
        "opens with %s\nas it is now, and no more once something was erased: make a new "
        "one after every erasure.\n",
        c->store_key);
}

int backup_command(int argc, char *const *argv)
{
    struct request r = {.settings = DEFAULT_SETTINGS};
    struct conf c = {0};
    struct done d = {0};
    char why[2048];

    if (!parse(argc, argv, &r)) {
        fflush(stdout);
        fprintf(stderr, "usage: liaisond backup [-c FILE] [--json] DIR\n"
                        "DIR is made; it must not be there yet.\n"
                        "example: liaisond backup /var/backups/liaison/$(date +%%F)\n");
        return EX_USAGE;
    }
    enum liaison_code code = conf_load(r.settings, &c, stderr);

    if (code != LIAISON_OK)
        return err_exit(code);
    code = make(&c, r.dir, &d, why, sizeof why);
    if (code == LIAISON_OK)
        print(&r, &c, &d);
    else
        fprintf(stderr, "liaisond: %s\n", why);
    conf_free(&c);
    return err_exit(code);
}
