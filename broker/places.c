/* Which files the running broker still reaches. */
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/ops/log.h"
#include "broker/ops/sandbox.h"

static const char *store_folder(const struct conf *c)
{
    return c->store_url + strcspn(c->store_url, ":") + 1;
}

/* What a reload reads must stay readable: files, and the folders in which others may appear. */
int places_files(const struct broker *b, bool store)
{
    const struct conf *c = &b->conf;
    const struct sandbox_place places[] = {
        {SANDBOX_FILE, c->ca},
        {SANDBOX_FILE, c->crl},
        {SANDBOX_FILE, c->certificate},
        {SANDBOX_FILE, tls_key_in_token(c->key) ? NULL : c->key},
        {SANDBOX_READ, c->pkcs11},
        {SANDBOX_FILE, c->rules_file},
        {SANDBOX_FILE, b->settings},
        {SANDBOX_FOLDER, c->directory},
        {SANDBOX_MAKE, store ? store_folder(c) : NULL},
        {SANDBOX_MAKE, store ? c->store_key : NULL},
    };
    const size_t n = sizeof places / sizeof *places;
    struct sandbox_place *all = calloc(n + c->n_rules_files, sizeof *all);

    if (all == NULL)
        return 0;
    memcpy(all, places, sizeof places);
    for (size_t i = 0; i < c->n_rules_files; i++)
        all[n + i] = (struct sandbox_place){c->rules_files[i].folder ? SANDBOX_FOLDER
                                                                     : SANDBOX_FILE,
                                            c->rules_files[i].path};
    int version = sandbox_files(all, n + c->n_rules_files);

    free(all);
    return version;
}

void places_confine(const struct broker *b)
{
    int files = places_files(b, false);
    bool calls = sandbox_calls();

    if (files > 0 && calls)
        log_info("sandbox.on", "landlock=%d seccomp=on", files);
    else
        log_warn("sandbox.part", "landlock=%d seccomp=%s what=\"%s\"", files,
                 calls ? "on" : "off", "this kernel or container gives us no more");
}
