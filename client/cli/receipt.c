/* receipt: what the broker's log says about what we did, kept beside nothing that changes, and verified without the
 * broker.
 *
 *     PROFILE/receipts/ID.LOG-SEQ.receipt    of referral ID: entry SEQ of the broker's LOG-th log
 *
 * The claim, entry and opening, is written as soon as the answer is there; the proof takes its place when it comes.
 * */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cli.h"

enum { RECEIPT_BYTES = 512 << 10, SHORTLY_MS = 500 };

static const char END[] = ".receipt";

/* ---------------------------------------------------------------- the folder */

static const char *folder(struct cli *c)
{
    const char *path = profile_path(&c->profile, "receipts", c->arena);

    return path != NULL ? path : "";
}

static const Liaison__V1__LedgerEntry *entry_of(struct cli *c,
                                                const struct liaison_receipt *r)
{
    size_t n;
    const uint8_t *bytes = liaison_receipt_entry(r, &n);

    return cli_decode(c, &liaison__v1__ledger_entry__descriptor, slice(bytes, n));
}

static bool read_file(struct cli *c, const char *path, struct liaison_receipt **out,
                      int *status)
{
    struct slice bytes = {0};

    if (!files_read(c, path, RECEIPT_BYTES, &bytes, status))
        return false;
    enum liaison_code code = liaison_receipt_read(c->lib, bytes.p, bytes.n, out);

    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s: %s", path, liaison_errmsg(c->lib));
    return code == LIAISON_OK;
}

static bool has_proof(const struct liaison_receipt *r)
{
    size_t n;

    return liaison_receipt_note(r, &n) != NULL;
}

static bool save(struct cli *c, struct liaison_receipt *r, const char *path, int *status)
{
    (void)mkdir(folder(c), 0700); /* what is wrong with it, saving says */
    enum liaison_code code = liaison_receipt_save(c->lib, r, path);

    if (code != LIAISON_OK)
        *status = cli_lib_fail(c, code);
    return code == LIAISON_OK;
}

/* ---------------------------------------------------------------- after a submit or a move */

/* Evidence against the broker ends the command with its own status; that it is late does so only for who asked to
 * wait. */
static int status_of(struct cli *c, enum liaison_code code)
{
    if (code == LIAISON_FORK || code == LIAISON_PROOF || code == LIAISON_SIGNATURE)
        return cli_lib_fail(c, code);
    if (code != LIAISON_OK && c->opt[OPT_RECEIPT] != NULL) {
        (void)cli_lib_fail(c, code);
        return EX_TEMPFAIL;
    }
    return 0;
}

struct receipt_news receipt_keep(struct cli *c, const struct liaison_answer *a,
                                 const char *id)
{
    struct receipt_news news = {0};
    uint32_t seconds = 30;
    size_t n;

    if (!liaison_log_on(c->lib) || liaison_answer_entry(a, &n) == NULL ||
        liaison_receipt_claim(c->lib, a, &news.receipt) != LIAISON_OK)
        return news;
    const Liaison__V1__LedgerEntry *e = entry_of(c, news.receipt);

    news.file = cli_text(c, "%s/%s.%u-%llu%s", folder(c), id, e != NULL ? e->log : 0,
                         (unsigned long long)liaison_receipt_seq(news.receipt), END);
    bool there = access(news.file, F_OK) ==
                 0; /* of a call that was done before: what was kept then stays */

    if (!there && !save(c, news.receipt, news.file, &news.status))
        return news;
    if (c->opt[OPT_TIMEOUT] != NULL &&
        !options_number(c->opt[OPT_TIMEOUT], 1, 86400, &seconds))
        return news;
    enum liaison_code code = liaison_receipt_prove(
        c->lib, news.receipt,
        c->opt[OPT_RECEIPT] != NULL ? (int)seconds * 1000 : SHORTLY_MS);

    if (code == LIAISON_OK)
        (void)save(c, news.receipt, news.file, &news.status);
    else
        news.status = status_of(c, code);
    return news;
}

static const char *age(struct cli *c, uint64_t since_s)
{
    uint64_t now_s = (uint64_t)time(NULL), s = now_s > since_s ? now_s - since_s : 0;

    return s < 120    ? cli_text(c, "%llu s", (unsigned long long)s)
           : s < 7200 ? cli_text(c, "%llu min", (unsigned long long)s / 60)
                      : cli_text(c, "%llu h", (unsigned long long)s / 3600);
}

/* "not witnessed yet" or "witnessed by 2, quorum for 12 s". */
static const char *witnessed(struct cli *c, const struct liaison_receipt *r)
{
    size_t n = liaison_receipt_witnesses(r);
    uint64_t quorum_s = liaison_receipt_quorum_s(r);

    if (quorum_s != 0)
        return cli_text(c, "witnessed by %zu, to the quorum %s ago", n, age(c, quorum_s));
    return n == 0 ? "not witnessed yet"
                  : cli_text(c, "witnessed by %zu, which is no quorum", n);
}

void receipt_say(struct cli *c, const struct receipt_news *news)
{
    if (news->receipt == NULL)
        return;
    if (has_proof(news->receipt))
        printf("  receipt   entry %llu of %llu in %s, %s\n",
               (unsigned long long)liaison_receipt_seq(news->receipt),
               (unsigned long long)liaison_receipt_size(news->receipt),
               liaison_receipt_origin(news->receipt), witnessed(c, news->receipt));
    else
        printf("  receipt   has not come yet; 'liaison receipt get %llu' asks for it\n",
               (unsigned long long)liaison_receipt_seq(news->receipt));
}

static json_t *json_of(const struct liaison_receipt *r, const char *file)
{
    json_t *o =
        json_pack("{sssI}", "file", file, "entry", (json_int_t)liaison_receipt_seq(r));
    char when[40] = "";

    if (o == NULL || !has_proof(r))
        return o;
    if (liaison_receipt_quorum_s(r) != 0)
        json_time_text(liaison_receipt_quorum_s(r), 0, 0, when, sizeof when);
    json_object_set_new(o, "origin", json_string(liaison_receipt_origin(r)));
    json_object_set_new(o, "size", json_integer((json_int_t)liaison_receipt_size(r)));
    json_object_set_new(o, "witnesses",
                        json_integer((json_int_t)liaison_receipt_witnesses(r)));
    json_object_set_new(o, "quorum_time",
                        when[0] != '\0' ? json_string(when) : json_null());
    return o;
}

json_t *receipt_json(struct cli *c, const struct receipt_news *news)
{
    (void)c;
    return news->receipt == NULL ? json_null() : json_of(news->receipt, news->file);
}

/* ---------------------------------------------------------------- one receipt in words */

static int say_json(struct cli *c, const char *path, const struct liaison_receipt *r,
                    bool verified)
{
    const Liaison__V1__LedgerEntry *e = entry_of(c, r);
    json_t *o = json_of(r, path), *entry = NULL;

    if (o == NULL || e == NULL || json_print(&e->base, &entry) != LIAISON_OK) {
        json_decref(o);
        return cli_no_memory();
    }
    json_object_set_new(o, "verified", json_boolean(verified));
    json_object_set_new(o, "ledger_entry", entry);
    return print_json(o);
}

static void row(const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    printf("  %-10s ", name);
    print_safe(value, NULL);
    putchar('\n');
}

static int say(struct cli *c, const char *path, const struct liaison_receipt *r,
               bool verified, const char *word)
{
    const Liaison__V1__LedgerEntry *e = entry_of(c, r);

    if (c->opt[OPT_JSON] != NULL)
        return say_json(c, path, r, verified);
    if (e == NULL)
        return cli_fail(LIAISON_MALFORMED, "%s: its entry cannot be read", path);
    printf("%s: %s\n", path, word);
    row("entry", cli_text(c, "%llu, log %u, %s UTC", (unsigned long long)e->seq, e->log,
                          cli_time(c, e->time_ns / 1000000)));
    row("what", cli_text(c, "%s, %s%s%s",
                         cli_word(c, &liaison__v1__event__descriptor, (int)e->event),
                         cli_word(c, &liaison__v1__verdict__descriptor, (int)e->verdict),
                         e->code != 0 ? ": " : "",
                         e->code != 0 ? err_name((enum liaison_code)e->code) : ""));
    row("agency", e->agency);
    row("other", e->counterpart);
    row("referral", e->referral_id.len > 0 ? cli_id(c, e->referral_id) : "");
    if (verified) {
        row("checkpoint",
            cli_text(c, "%llu entries of %s", (unsigned long long)liaison_receipt_size(r),
                     liaison_receipt_origin(r)));
        row("witnesses", witnessed(c, r));
    }
    return 0;
}

/* ---------------------------------------------------------------- which file */

/* The receipt's path: a file that is named, or the one of an entry's number in the profile. "" with the reason
 * said. */
static const char *find(struct cli *c, const char *text, int *status)
{
    DIR *d = NULL;
    const char *found = "";
    bool number = text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';

    if (!number || access(text, F_OK) == 0)
        return text;
    const char *end = cli_text(c, "-%s%s", text, END);
    size_t end_n = strlen(end);

    d = c->profile.dir != NULL ? opendir(folder(c)) : NULL;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);

        if (n > end_n && strcmp(e->d_name + n - end_n, end) == 0)
            found = cli_text(c, "%s/%s", folder(c), e->d_name);
    }
    if (d != NULL)
        closedir(d);
    if (found[0] == '\0')
        *status = cli_fail(LIAISON_NOT_FOUND,
                           "no receipt of entry %s is kept in the profile", text);
    return found;
}

/* ---------------------------------------------------------------- verify, show */

static bool about_referral(struct cli *c, const struct liaison_receipt *r,
                           const char *path, int *status)
{
    struct slice bytes = {0};

    if (c->opt[OPT_REFERRAL] == NULL)
        return true;
    if (!files_read(c, c->opt[OPT_REFERRAL], 17 << 20, &bytes, status))
        return false;
    enum liaison_code code =
        liaison_receipt_about(c->lib, r, "referral", bytes.p, bytes.n);

    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s: %s: %s", path, c->opt[OPT_REFERRAL],
                           liaison_errmsg(c->lib));
    return code == LIAISON_OK;
}

static int verify_one(struct cli *c, const char *text)
{
    struct liaison_receipt *r = NULL;
    int status = 0;
    const char *path = find(c, text, &status);

    if (path[0] == '\0' || !read_file(c, path, &r, &status))
        return status;
    enum liaison_code code = liaison_receipt_verify(c->lib, r);

    if (code != LIAISON_OK)
        status = cli_fail(code, "%s: %s", path, liaison_errmsg(c->lib));
    else if (about_referral(c, r, path, &status))
        status = say(c, path, r, true, "verified");
    liaison_receipt_free(r);
    return status;
}

static int show_one(struct cli *c, const char *text)
{
    struct liaison_receipt *r = NULL;
    int status = 0;
    const char *path = find(c, text, &status);

    if (path[0] == '\0' || !read_file(c, path, &r, &status))
        return status;
    enum liaison_code code =
        liaison_log_on(c->lib) ? liaison_receipt_verify(c->lib, r) : LIAISON_CONFIG;
    const char *word = code == LIAISON_OK ? "verified"
                       : code == LIAISON_CONFIG
                           ? "not verified: there is no policy of the log (--policy FILE)"
                       : !has_proof(r)
                           ? "a claim: its proof has not come yet"
                           : cli_text(c, "NOT VERIFIED: %s", liaison_errmsg(c->lib));

    status = say(c, path, r, code == LIAISON_OK, word);
    liaison_receipt_free(r);
    return status;
}

/* ---------------------------------------------------------------- get */

static int get_one(struct cli *c, const char *path)
{
    struct liaison_receipt *r = NULL;
    uint32_t seconds = 30;
    int status = 0;

    if (!read_file(c, path, &r, &status))
        return status;
    if (c->opt[OPT_TIMEOUT] != NULL)
        (void)!options_number(c->opt[OPT_TIMEOUT], 1, 86400,
                              &seconds); /* cli_open() has looked at it */
    enum liaison_code code = liaison_receipt_prove(c->lib, r, (int)seconds * 1000);

    if (code != LIAISON_OK)
        status = cli_lib_fail(c, code);
    else if (save(c, r, path, &status))
        status = say(c, path, r, true, "verified");
    liaison_receipt_free(r);
    return status;
}

/* All that have no proof yet. */
static int get_claims(struct cli *c)
{
    DIR *d = opendir(folder(c));
    size_t n = 0;
    int first = 0;

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        const char *path = cli_text(c, "%s/%s", folder(c), e->d_name);
        size_t len = strlen(e->d_name);
        struct liaison_receipt *r = NULL;
        int status = 0;

        if (len < sizeof END || strcmp(e->d_name + len - (sizeof END - 1), END) != 0)
            continue;
        bool claim = read_file(c, path, &r, &status) && !has_proof(r);

        liaison_receipt_free(r);
        if (claim)
            status = get_one(c, path);
        n += claim;
        first = first != 0 ? first : status;
    }
    if (d != NULL)
        closedir(d);
    if (n == 0 && first == 0)
        fputs("every receipt in the profile has its proof\n", stderr);
    return first;
}

static int get_named(struct cli *c, const char *text)
{
    int status = 0;
    const char *path = find(c, text, &status);

    return path[0] == '\0' ? status : get_one(c, path);
}

/* A policy on the command line is all that verifying needs; else the profile has it. */
static bool open_offline(struct cli *c, int *status)
{
    if (c->opt[OPT_POLICY] == NULL)
        return cli_open_any(c, status);
    enum liaison_code code = liaison_new(&c->lib);

    if (code == LIAISON_OK)
        code = liaison_set(c->lib, "log_policy", c->opt[OPT_POLICY]);
    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s", err_text(code));
    return code == LIAISON_OK;
}

int cmd_receipt(struct cli *c, int argc, char **argv)
{
    static const struct {
        const char *word;
        bool (*open)(struct cli *, int *);
        int (*each)(struct cli *, const char *);
    } WORDS[] = {{"show", open_offline, show_one},
                 {"verify", open_offline, verify_one},
                 {"get", cli_open, get_named}};
    size_t w = 0;
    int first = 0;

    while (w < sizeof WORDS / sizeof *WORDS && strcmp(WORDS[w].word, argv[0]) != 0)
        w++;
    if (w == sizeof WORDS / sizeof *WORDS || (argc == 1 && WORDS[w].open != cli_open))
        return cli_fail(
            LIAISON_USAGE,
            "receipt show PATH..., receipt verify PATH..., or receipt get [SEQ...]");
    if (!WORDS[w].open(c, &first))
        return first;
    if (argc == 1)
        return get_claims(c);
    for (int i = 1; i < argc; i++) {
        int status = WORDS[w].each(c, argv[i]);

        first = first != 0 ? first : status;
    }
    return first;
}
