#pragma once
/* Members of the throw-away network of tests/lib/network.sh as libliaison handles, for programs that make load.
 * Whatever goes wrong ends the program with a sentence: a bench or a load generator has nothing to recover. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/lib/liaison.h"

__attribute__((noreturn, format(printf, 1, 2))) static inline void
member_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static inline void member_must(struct liaison *l, enum liaison_code code,
                               const char *what)
{
    if (code != LIAISON_OK)
        member_die("%s: %s: %s", what, liaison_code_name(code),
                   l == NULL ? "" : liaison_errmsg(l));
}

static inline void *member_alloc(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (p == NULL)
        member_die("out of memory");
    return p;
}

static inline uint64_t member_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The profile's folder: PROFILES/NAME, slashes as dots. */
static inline void member_folder(const char *profiles, const char *name, char *out,
                                 size_t out_len)
{
    int base = snprintf(out, out_len, "%s/", profiles);

    if (base < 0 || (size_t)base + strlen(name) >= out_len)
        member_die("%s: too long", profiles);
    for (char *to = out + base; (*to = *name == '/' ? '.' : *name) != '\0'; to++)
        name++;
}

/* A handle for the agency `name`, not connected; `broker` may be set later. */
static inline struct liaison *member_new(const char *profiles, const char *name,
                                         const char *broker)
{
    static const struct {
        const char *key, *file;
    } FILES[] = {{"ca", "ca.crt"},
                 {"crl", "crl.pem"},
                 {"sign_certificate", "sign.crt"},
                 {"sign_key", "sign.key"},
                 {"seal_certificate", "seal.crt"},
                 {"seal_key", "seal.key"}};
    char folder[1024], path[1100];
    struct liaison *l = NULL;

    member_folder(profiles, name, folder, sizeof folder);
    member_must(NULL, liaison_new(&l), "liaison_new");
    member_must(l, liaison_set(l, "network", "practicies.example"), "network");
    member_must(l, liaison_set(l, "agency", name), "agency");
    member_must(l, liaison_set(l, "broker", broker), "broker");
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, FILES[i].file);
        member_must(l, liaison_set(l, FILES[i].key, path), FILES[i].key);
    }
    member_must(l, liaison_set(l, "officer", "4711"), "officer");
    member_must(l, liaison_set(l, "purpose", "reintegration"), "purpose");
    member_must(l, liaison_set(l, "basis", "consent"), "basis");
    return l;
}

/* An unsealed referral to `to` with one section, "needs", of these bytes; its rules are those of tests/lib/stage.py. */
static inline struct liaison_referral *member_draft(struct liaison *l, const char *to,
                                                    const void *body, size_t len)
{
    static const char *const FIELDS[][2] = {
        {"type", "referral"},  {"category", "load"}, {"subject_category", "convicted"},
        {"minor", "no"},       {"regime", "gdpr"},   {"informed", "yes"},
        {"urgency", "days-7"},
    };
    struct liaison_referral *r = NULL;

    member_must(l, liaison_referral_new(l, &r), "liaison_referral_new");
    member_must(l, liaison_referral_set(r, "to", to), "to");
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
        member_must(l, liaison_referral_set(r, FIELDS[i][0], FIELDS[i][1]), FIELDS[i][0]);
    member_must(l, liaison_referral_section(r, "needs", "text/plain", body, len),
                "section");
    return r;
}
