#pragma once
/* The broker's settings and its rules, read from text. One grammar serves both; they may stand in one file or in two.
 *
 * A statement begins with the first word at the left margin; indented lines continue it, and so does a line that begins
 * with '}'. '#' begins a comment. Every error of a run is reported as FILE:LINE:COLUMN, what was expected, the line and a
 * caret. Only text is judged: whether certificates, keys and folders are there is main's business.
 * Source: PROTOCOL.md, "Rules"; `liaisond template`. */
#include <stdio.h>

#include "broker/ops/log.h"
#include "broker/rules/rules.h"

enum {
    CONF_FILE_MAX = 16 << 20, /* bytes of one file */
    CONF_ERRORS_MAX = 100,    /* reported in one run */
    CONF_LISTEN_MAX = 16,
    CONF_GATES_MAX = 16,
};

struct conf_listen {
    const char *address; /* IPv4 or IPv6, numeric, without brackets */
    uint16_t port;       /* 0: the kernel picks */
};

/* `limit NAME VALUE`; `liaisond --help` prints defaults and bounds from the same table. */
struct conf_limits {
    uint64_t message_bytes;        /* of one ZeroMQ message */
    uint64_t sections;             /* of one referral */
    uint64_t window;               /* calls a session may have unanswered */
    uint64_t credit_bytes;         /* output a session may have unread */
    uint64_t tls_timeout_ms;       /* to finish the TLS handshake */
    uint64_t zmtp_timeout_ms;      /* to finish ZMTP's after that */
    uint64_t hello_timeout_ms;     /* to say Hello after that */
    uint64_t idle_ms;              /* silence that ends a session */
    uint64_t ping_ms;              /* silence after which we ask */
    uint64_t lease_ms;             /* to acknowledge a delivery */
    uint64_t sessions;             /* at once */
    uint64_t sessions_per_agency;  /* at once */
    uint64_t sessions_per_address; /* at once */
    uint64_t handshakes;           /* in progress at once */
    uint64_t page;                 /* rows of one page */
};

/* A file, or a folder and all that is in it. */
struct conf_read {
    const char *path;
    bool folder;
};

/* Paths are as written, made relative to the file that names them. All texts live as long as the struct's arena. */
struct conf {
    struct arena *arena;
    struct conf_listen listen[CONF_LISTEN_MAX];
    size_t n_listen;
    const char *store_url; /* "lmdb:DIR" */
    const char *store_key; /* the key-encryption key's file, outside the store */
    uint64_t map_bytes, reserve_bytes;
    const char *certificate, *ca, *crl, *directory;
    const char *key;    /* a path, or a URI as tls_load_key() takes it */
    const char *pkcs11; /* the folder of a token that is made of files; NULL: none */
    const char *notary_key, *notary_state; /* the log's key, and what was signed with it last */
    const char *notary_user;               /* NULL: `user` */
    const char *witnesses;                 /* the policy's file; NULL: nobody witnesses this log */
    const char *control;                   /* the operators' socket; NULL: none */
    const char *rules_file; /* NULL: the rules stand in the settings file */
    const struct conf_read *rules_files; /* what `include` names, which a reload reads again, beside rules_file */
    size_t n_rules_files;
    const char *user;       /* NULL: stay who we are */
    enum log_level log;
    unsigned gates;
    const char *metrics; /* NULL: no page */
    bool sandbox;
    struct conf_limits limits;
    uint8_t sha256[32]; /* of the settings file's bytes */
    struct rules *rules; /* one reference */
};

/* Reads a settings file and the rules that it names or holds.
 *
 * After LIAISON_OK *out is whole and conf_free() is due; `errors` may have been told warnings. Otherwise *out is untouched and
 * `errors` has been told everything.
 * Errors: LIAISON_FILE (it cannot be read), LIAISON_CONFIG (its text is wrong), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code conf_load(const char *path, struct conf *out, FILE *errors);

/* Finds the operators' socket that a settings file names, whatever else is wrong with the file, so that the broker that runs can be
 * asked to judge it. Gives: *out, to be released with free(). Errors: LIAISON_FILE, LIAISON_CONFIG (it names none, or nothing of
 * it can be read), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code conf_find_control(const char *path, char **out);

/* Releases all of it and drops the reference to the rules. Harmless on a zeroed struct. */
void conf_free(struct conf *c);

/* Reads the same file again for its rules alone, as a running broker does on SIGHUP; settings are judged but not taken.
 * Gives: *out, one reference. Errors: as conf_load. */
MUST_CHECK
enum liaison_code conf_load_rules(const char *path, struct rules **out, FILE *errors);

/* The same for a settings file with its rules or a rules file alone, as `liaisond check` and `explain` take them. */
MUST_CHECK
enum liaison_code conf_load_any_rules(const char *path, struct rules **out, FILE *errors);

/* `liaisond check FILE`: judges a settings file with its rules, or a rules file alone, and says in one line per file on `out`
 * what it holds. Errors: as conf_load. */
MUST_CHECK
enum liaison_code conf_check(const char *path, FILE *out, FILE *errors);

/* `liaisond test FILE`: runs every test and says on `out` how each went, a line or a JSON object each. What keeps tests from
 * being run goes to `errors`. Errors: as conf_load; LIAISON_CONFIG also if a test fails. */
MUST_CHECK
enum liaison_code conf_test(const char *path, bool json, FILE *out, FILE *errors);

/* Judges a text as a rules file called `name`; it may not include others. For tests and fuzzers.
 * Gives: *out, one reference. Errors: LIAISON_CONFIG, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code conf_read_rules(const char *name, struct slice text, struct rules **out,
                                  FILE *errors);

/* Reads a set again from its kept text: rules_text() of what was read from files, as the store keeps it. Only what a
 * decision needs is judged: no test, nothing about rules that never match. Settings and `include` in it are skipped.
 * Gives: *out, one reference. Errors: LIAISON_CONFIG, LIAISON_MEMORY. Source: PROTOCOL.md, "Rules". */
MUST_CHECK
enum liaison_code conf_read_kept(struct slice text, struct rules **out, FILE *errors);

/* Prints commented settings and commented rules to start from, as one file that passes `liaisond check`. */
void conf_print_template(FILE *out);

/* Prints every setting and limit with its meaning, default and bounds. */
void conf_print_settings(FILE *out);
