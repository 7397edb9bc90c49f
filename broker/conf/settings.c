#include "broker/conf/settings.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include "broker/conf/limits.h"
#include "broker/conf/suggest.h"
#include "broker/conf/units.h"
#include "proto/tls.h"

enum { HINT_MAX = 300, USER_MAX = 32 };

static const uint64_t KI = 1 << 10, MI = 1 << 20, GI = 1 << 30;

/* ---------------------------------------------------------------- taking settings */

struct setting;

/* What takes a setting sees: itself, what follows it, and where the values go. */
struct job {
    struct tree *t;
    struct conf *c;
    const struct setting *setting;
    const struct tree_setting *given;
    size_t next; /* word not looked at yet */
};

typedef void setting_take(struct job *j);

struct setting {
    const char *name, *args, *help;
    bool required, repeats;
    setting_take *take;
    size_t at; /* of the field, where one text is all there is */
};

/* Where the next word stands; behind the last one if there is none. */
static struct place next_place(const struct job *j)
{
    if (j->next < j->given->words.n)
        return j->given->words.list[j->next].at;
    return j->given->name.at;
}

static void wrong(const struct job *j, struct place at, const char *what)
{
    report_error(j->t->report, at, "%s; expected %s %s", what, j->setting->name,
                 j->setting->args);
}

/* The next word, quoted or bare as wanted; NULL (reported) if it is missing or of the other sort. */
static const struct text *take_word(struct job *j, bool quoted, const char *missing)
{
    const struct text *t =
        j->next < j->given->words.n ? &j->given->words.list[j->next] : NULL;

    if (t == NULL || t->quoted != quoted) {
        wrong(j, next_place(j), missing);
        return NULL;
    }
    j->next++;
    return t;
}

/* True if the next word is this one; then it is taken. */
static bool take_keyword(struct job *j, const char *word)
{
    if (j->next >= j->given->words.n)
        return false;
    const struct text *t = &j->given->words.list[j->next];
    bool same = !t->quoted && strcmp(t->s, word) == 0;

    j->next += same;
    return same;
}

static bool take_end(struct job *j)
{
    if (j->next < j->given->words.n)
        wrong(j, next_place(j), "more than belongs here");
    return j->next >= j->given->words.n;
}

const char *settings_path(struct tree *t, const struct conf_source *from,
                          const char *path)
{
    const char *slash = strrchr(from->name, '/');
    size_t n = slash != NULL && *path != '/' ? (size_t)(slash - from->name) + 1 : 0,
           len = strlen(path);
    char *out = arena_alloc(t->arena, n + len + 1);

    if (out == NULL) {
        report_memory(t->report);
        return NULL;
    }
    memcpy(out, from->name, n);
    memcpy(out + n, path, len + 1);
    return out;
}

static const char *take_path(struct job *j, const char *missing)
{
    const struct text *t = take_word(j, true, missing);

    if (t == NULL)
        return NULL;
    if (*t->s == '\0') {
        wrong(j, t->at, "the path is empty");
        return NULL;
    }
    return settings_path(j->t, t->at.file, t->s);
}

static void take_one_path(struct job *j)
{
    const char *path = take_path(j, "a quoted path is missing");

    if (path != NULL && take_end(j))
        *(const char **)((char *)j->c + j->setting->at) = path;
}

/* A path, or the URI of a key in a token: what that says is judged where it is used, for an error shows its line. */
static void take_key(struct job *j)
{
    const struct text *t = j->given->words.n > 0 ? &j->given->words.list[0] : NULL;

    if (t == NULL || !t->quoted || !tls_key_in_token(t->s)) {
        take_one_path(j);
        return;
    }
    j->next++;
    if (take_end(j))
        j->c->key = t->s;
}

/* Numeric IPv4 or IPv6, brackets taken off. */
static const char *take_address(struct job *j)
{
    const struct text *t = take_word(j, false, "an address is missing");
    uint8_t bytes[16];

    if (t == NULL)
        return NULL;
    size_t n = strlen(t->s);
    bool bracketed = n > 2 && t->s[0] == '[' && t->s[n - 1] == ']';
    char *address =
        (char *)arena_copy(j->t->arena, slice(t->s + bracketed, n - 2 * bracketed));

    if (address == NULL) {
        report_memory(j->t->report);
        return NULL;
    }
    if (inet_pton(AF_INET6, address, bytes) == 1 ||
        (!bracketed && inet_pton(AF_INET, address, bytes) == 1))
        return address;
    report_error(
        j->t->report, t->at,
        "\"%s\" is no address; expected IPv4 or IPv6 in numbers, such as 0.0.0.0 or ::1",
        t->s);
    return NULL;
}

static bool take_number(struct job *j, uint64_t least, uint64_t most, const char *what,
                        uint64_t *out)
{
    const struct text *t = take_word(j, false, what);

    if (t == NULL)
        return false;
    if (units_number(t->s, out) && *out >= least && *out <= most)
        return true;
    report_error(j->t->report, t->at,
                 "\"%s\" does not fit; expected a number from %" PRIu64 " to %" PRIu64,
                 t->s, least, most);
    return false;
}

static void take_listen(struct job *j)
{
    uint64_t port;
    const char *address = take_address(j);

    if (address == NULL)
        return;
    if (!take_keyword(j, "port")) {
        wrong(j, next_place(j), "the port is missing");
        return;
    }
    if (!take_number(j, 0, UINT16_MAX, "the port is missing", &port) || !take_end(j))
        return;
    for (size_t i = 0; i < j->c->n_listen; i++)
        if (port != 0 && j->c->listen[i].port == port &&
            strcmp(j->c->listen[i].address, address) == 0) {
            report_error(j->t->report, j->given->name.at,
                         "this address and port stand here twice");
            return;
        }
    if (j->c->n_listen == CONF_LISTEN_MAX) {
        report_error(j->t->report, j->given->name.at,
                     "too many addresses; expected at most %d", CONF_LISTEN_MAX);
        return;
    }
    j->c->listen[j->c->n_listen++] = (struct conf_listen){address, (uint16_t)port};
}

static bool take_size(struct job *j, uint64_t least, uint64_t *out)
{
    char floor[32];
    const struct text *t = take_word(j, false, "a size is missing");

    if (t == NULL)
        return false;
    if (units_size(t->s, out) && *out >= least)
        return true;
    report_error(j->t->report, t->at,
                 "\"%s\" does not fit; expected a size of at least %s, such as 16G", t->s,
                 units_show_size(least, floor));
    return false;
}

static const char *take_store_url(struct job *j)
{
    const struct text *t = take_word(j, true, "the store is missing");

    if (t == NULL)
        return NULL;
    if (strncmp(t->s, "postgresql:", 11) == 0) {
        report_error(
            j->t->report, t->at,
            "\"postgresql:\" is not supported by this version; expected \"lmdb:DIR\"");
        return NULL;
    }
    if (strncmp(t->s, "lmdb:", 5) != 0 || t->s[5] == '\0') {
        wrong(j, t->at, "this is no store");
        return NULL;
    }
    const char *dir = settings_path(j->t, t->at.file, t->s + 5);
    char *url = dir != NULL ? arena_alloc(j->t->arena, strlen(dir) + 6) : NULL;

    if (url == NULL) {
        report_memory(j->t->report);
        return NULL;
    }
    memcpy(url, "lmdb:", 5);
    memcpy(url + 5, dir, strlen(dir) + 1);
    return url;
}

/* store "lmdb:DIR" key "FILE" [map SIZE] [reserve SIZE] */
static void take_store(struct job *j)
{
    uint64_t map = 16 * GI, reserve = 64 * MI;
    bool reserve_given = false;
    const char *key, *url = take_store_url(j);

    if (url == NULL)
        return;
    if (!take_keyword(j, "key")) {
        wrong(j, next_place(j), "the key file is missing");
        return;
    }
    if ((key = take_path(j, "the key file is missing")) == NULL)
        return;
    if (take_keyword(j, "map") && !take_size(j, MI, &map))
        return;
    if (take_keyword(j, "reserve")) {
        reserve_given = true;
        if (!take_size(j, 64 * KI, &reserve))
            return;
    }
    if (!take_end(j))
        return;
    if (!reserve_given && reserve > map / 4)
        reserve = map / 4;
    if (reserve >= map) {
        wrong(j, j->given->name.at, "the reserve is not smaller than the map");
        return;
    }
    j->c->store_url = url;
    j->c->store_key = key;
    j->c->map_bytes = map;
    j->c->reserve_bytes = reserve;
}

/* NULL (reported) if there is none. */
static const char *take_user_name(struct job *j)
{
    const struct text *t = take_word(j, false, "a user's name is missing");

    if (t == NULL)
        return NULL;
    if (strlen(t->s) <= USER_MAX && *t->s != '-')
        return t->s;
    wrong(j, t->at, "this is no user's name");
    return NULL;
}

static void take_user(struct job *j)
{
    const char *name = take_user_name(j);

    if (name != NULL && take_end(j))
        j->c->user = name;
}

/* `word` and the quoted path behind it. */
static const char *take_named_path(struct job *j, const char *word, const char *missing)
{
    if (take_keyword(j, word))
        return take_path(j, missing);
    wrong(j, next_place(j), missing);
    return NULL;
}

/* notary key "FILE" state "FILE" [user NAME] */
static void take_notary(struct job *j)
{
    const char *user = NULL, *state,
               *key = take_named_path(j, "key", "the log's key file is missing");

    if (key == NULL)
        return;
    if ((state = take_named_path(j, "state", "the state file is missing")) == NULL)
        return;
    if (take_keyword(j, "user") && (user = take_user_name(j)) == NULL)
        return;
    if (!take_end(j))
        return;
    if (strcmp(key, state) == 0) {
        wrong(j, j->given->name.at, "key and state are one file");
        return;
    }
    j->c->notary_key = key;
    j->c->notary_state = state;
    j->c->notary_user = user;
}

static void take_log(struct job *j)
{
    static const char *const LEVELS[] = {[LOG_DEBUG_] = "debug",
                                         [LOG_INFO_] = "info",
                                         [LOG_WARN_] = "warn",
                                         [LOG_ERROR_] = "error"};
    char hint[HINT_MAX];
    const struct text *t = take_word(j, false, "the level is missing");

    if (t == NULL || !take_end(j))
        return;
    struct suggest s = suggest_for(t->s);

    for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++) {
        if (strcmp(t->s, LEVELS[i]) == 0) {
            j->c->log = (enum log_level)i;
            return;
        }
        suggest_try(&s, LEVELS[i]);
    }
    report_error(j->t->report, t->at, "unknown level \"%s\"; expected log %s%s", t->s,
                 j->setting->args, suggest_text(&s, hint, sizeof hint));
}

static void take_sandbox(struct job *j)
{
    const struct text *t = take_word(j, false, "on or off is missing");

    if (t == NULL || !take_end(j))
        return;
    j->c->sandbox = strcmp(t->s, "on") == 0;
    if (!j->c->sandbox && strcmp(t->s, "off") != 0)
        wrong(j, t->at, "this is neither on nor off");
}

static void take_gates(struct job *j)
{
    uint64_t n;

    if (take_number(j, 1, CONF_GATES_MAX, "the number is missing", &n) && take_end(j))
        j->c->gates = (unsigned)n;
}

static const struct limit *find_limit(const struct job *j, const struct text *name)
{
    char hint[HINT_MAX];
    struct suggest s = suggest_for(name->s);

    for (size_t i = 0; limits_at(i) != NULL; i++) {
        if (strcmp(limits_at(i)->name, name->s) == 0)
            return limits_at(i);
        suggest_try(&s, limits_at(i)->name);
    }
    report_error(j->t->report, name->at,
                 "unknown limit \"%s\"; expected one that liaisond --help lists%s",
                 name->s, suggest_text(&s, hint, sizeof hint));
    return NULL;
}

/* Whether an earlier statement set the same limit. */
static bool limit_twice(const struct job *j, const struct text *name)
{
    for (const struct tree_setting *s = j->t->set; s != j->given; s++)
        if (strcmp(s->name.s, "limit") == 0 && s->words.n > 0 &&
            strcmp(s->words.list[0].s, name->s) == 0) {
            report_error(j->t->report, name->at,
                         "limit %s stands here twice; the first is in line %u", name->s,
                         s->name.at.line);
            return true;
        }
    return false;
}

static void take_limit(struct job *j)
{
    static const char *const LOOKS[] = {[UNIT_BYTES] = "a size such as 1M",
                                        [UNIT_COUNT] = "a number",
                                        [UNIT_TIME] = "a time such as 5s"};
    char least[32], most[32];
    uint64_t value;
    const struct text *name = take_word(j, false, "the limit's name is missing");
    const struct limit *limit = name != NULL ? find_limit(j, name) : NULL;
    const struct text *t =
        limit != NULL ? take_word(j, false, "the value is missing") : NULL;

    if (t == NULL || !take_end(j) || limit_twice(j, name))
        return;
    if (limits_read(limit, t->s, &value))
        *limits_field(&j->c->limits, limit) = value;
    else
        report_error(j->t->report, t->at,
                     "\"%s\" does not fit limit %s; expected %s, from %s to %s", t->s,
                     limit->name, LOOKS[limit->unit],
                     limits_show(limit, limit->least, least),
                     limits_show(limit, limit->most, most));
}

/* ---------------------------------------------------------------- the table */

#define FIELD(field) offsetof(struct conf, field)

static const struct setting SETTINGS[] = {
    {"listen", "ADDRESS port N",
     "an address to take connections on; port 0: the kernel picks one; may stand several "
     "times",
     true, true, take_listen, 0},
    {"store", "\"lmdb:DIR\" key \"FILE\" [map SIZE] [reserve SIZE]",
     "where everything is kept, the key file that wraps its keys (0600, outside DIR), "
     "the most it may ever hold (16G), and "
     "how much of that is kept back for denials and reads (64M)",
     true, false, take_store, 0},
    {"certificate", "\"FILE\"",
     "the broker's certificate and the issuing ones after it, PEM", true, false,
     take_one_path, FIELD(certificate)},
    {"key", "\"FILE\" or \"pkcs11:URI\"",
     "its private key: PEM, 0600; or in a token (RFC 7512), its PIN in a file", true,
     false, take_key, FIELD(key)},
    {"pkcs11", "\"DIR\"",
     "the folder in which a token that is made of files keeps them (SoftHSM): the "
     "sandbox "
     "leaves it open; not given: none",
     false, false, take_one_path, FIELD(pkcs11)},
    {"ca", "\"FILE\"",
     "root and issuing certificates that members are checked against, PEM", true, false,
     take_one_path, FIELD(ca)},
    {"crl", "\"FILE\"", "one revocation list per issuer, PEM; read again on SIGHUP", true,
     false, take_one_path, FIELD(crl)},
    {"directory", "\"DIR\"", "the members' published sealing certificates", true, false,
     take_one_path, FIELD(directory)},
    {"notary", "key \"FILE\" state \"FILE\" [user NAME]",
     "the process that signs the log: its key and what it signed last, two files that "
     "the first start makes, 0600, in a folder of that user's (the setting user)",
     true, false, take_notary, 0},
    {"witnesses", "\"FILE\"",
     "the policy that names the log's witnesses and how many must have seen it; not "
     "given: nobody has",
     false, false, take_one_path, FIELD(witnesses)},
    {"control", "\"SOCKET\"",
     "the UNIX socket on which operators act, 0600; not given: nowhere", false, false,
     take_one_path, FIELD(control)},
    {"rules", "\"FILE\"", "the access rules, if they do not stand here", false, false,
     take_one_path, FIELD(rules_file)},
    {"user", "NAME",
     "who to become before a peer's first byte is read; not given: nobody else", false,
     false, take_user, 0},
    {"log", "debug|info|warn|error", "the least that is logged (info)", false, false,
     take_log, 0},
    {"gates", "N", "threads that talk to peers, 1 to 16 (1)", false, false, take_gates,
     0},
    {"metrics", "\"FILE\"",
     "the UNIX socket on which /metrics, /livez and /readyz are asked for; not given: "
     "nowhere",
     false, false, take_one_path, FIELD(metrics)},
    {"sandbox", "on|off",
     "whether, once started, the kernel refuses us all other files, programs and "
     "connections (on)",
     false, false, take_sandbox, 0},
    {"limit", "NAME VALUE", "one of the limits below; may stand several times", false,
     true, take_limit, 0},
};

enum { N_SETTINGS = sizeof SETTINGS / sizeof *SETTINGS };

const char *settings_name(size_t i)
{
    return i < N_SETTINGS ? SETTINGS[i].name : NULL;
}

static size_t setting_number(const char *name)
{
    size_t i = 0;

    while (i < N_SETTINGS && strcmp(SETTINGS[i].name, name) != 0)
        i++;
    return i;
}

static void check_missing(struct tree *t, const struct conf_source *source,
                          const struct tree_setting *const *first)
{
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (SETTINGS[i].required && first[i] == NULL && !t->lost_setting)
            report_error(t->report, (struct place){.file = source},
                         "no %s is set; expected %s %s", SETTINGS[i].name,
                         SETTINGS[i].name, SETTINGS[i].args);
}

static void check_together(struct tree *t, const struct conf_source *source,
                           const struct conf_limits *l)
{
    if (l->ping_ms >= l->idle_ms)
        report_error(
            t->report, (struct place){.file = source},
            "limit ping is not below limit idle; a quiet peer would never be asked");
}

void settings_take(struct tree *t, const struct conf_source *source, struct conf *c)
{
    const struct tree_setting *first[N_SETTINGS + 1] = {0};

    c->log = LOG_INFO_;
    c->gates = 1;
    c->sandbox = true;
    for (size_t i = 0; limits_at(i) != NULL; i++)
        *limits_field(&c->limits, limits_at(i)) = limits_at(i)->usual;
    for (size_t i = 0; i < t->n_set && !report_full(t->report); i++) {
        const struct tree_setting *given = &t->set[i];
        size_t number = setting_number(given->name.s);

        if (number == N_SETTINGS)
            continue; /* the scanner takes names from this very table */
        if (first[number] != NULL && !SETTINGS[number].repeats) {
            report_error(t->report, given->name.at,
                         "\"%s\" stands here twice; the first is in line %u",
                         given->name.s, first[number]->name.at.line);
            continue;
        }
        first[number] = given;
        SETTINGS[number].take(&(struct job){t, c, &SETTINGS[number], given, 0});
    }
    check_missing(t, source, first);
    check_together(t, source, &c->limits);
}

/* ---------------------------------------------------------------- help */

void conf_print_settings(FILE *out)
{
    fputs("Settings (* must be given):\n", out);
    for (size_t i = 0; i < N_SETTINGS; i++)
        fprintf(out, "%c %s %s\n      %s\n", SETTINGS[i].required ? '*' : ' ',
                SETTINGS[i].name, SETTINGS[i].args, SETTINGS[i].help);
    fputs("\nLimits (limit NAME VALUE):\n", out);
    limits_print(out);
}
