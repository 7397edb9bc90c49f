/* The outbox: signed referrals on disk, from before their first sending until the broker has answered.
 *
 *     PROFILE/outbox/BATCH/ID.ref          what one command kept; ID.strip.ref if it said --strip
 *     PROFILE/outbox/BATCH/ID.ref.refused  the broker said no; kept to be looked at, never sent again
 *     PROFILE/outbox/.new-XXXXXX           being written, or left by a client that was killed while it wrote
 *
 * A batch gets its name by one rename when all of it is on disk, so a client that is killed has kept all of its referrals
 * or none. What is sent twice is the same bytes, which the broker takes once. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "proto/id.h"

enum { LEFT_OVER_S = 3600, REFERRAL_BYTES = 17 << 20 };

static const char REFUSED[] = ".refused";

/* ---------------------------------------------------------------- disk */

/* "FOLDER/NAMEEND" in c->arena; "" when memory is out, which is no file's name. */
static const char *join(struct cli *c, const char *folder, const char *name,
                        const char *end)
{
    size_t n = strlen(folder) + strlen(name) + strlen(end) + 2;
    char *path = arena_alloc(c->arena, n);

    if (path == NULL)
        return "";
    snprintf(path, n, "%s/%s%s", folder, name, end);
    return path;
}

static bool sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

/* The outbox's path; made if it is not there. "" with the reason said. */
static const char *outbox_path(struct cli *c, int *status)
{
    const char *path = profile_path(&c->profile, "outbox", c->arena);

    if (path == NULL) {
        *status = cli_no_memory();
    } else if (mkdir(path, 0700) == 0 ? !sync_folder(c->profile.dir) : errno != EEXIST) {
        *status = cli_fail(LIAISON_FILE, "%s: %s", path, strerror(errno));
    } else {
        return path;
    }
    return "";
}

static void remove_folder(const char *path)
{
    DIR *d = opendir(path);

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        closedir(d);
    (void)rmdir(path);
}

/* What killed clients left: a batch half-written, which was never promised to anybody, and empty folders. */
static void remove_left_over(struct cli *c, const char *outbox)
{
    DIR *d = opendir(outbox);

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        const char *path = join(c, outbox, e->d_name, "");
        struct stat st;

        if (strncmp(e->d_name, ".new-", 5) == 0 && stat(path, &st) == 0 &&
            time(NULL) - st.st_mtime > LEFT_OVER_S)
            remove_folder(path);
        else if (e->d_name[0] != '.')
            (void)rmdir(path); /* a batch that is all done; others are not empty */
    }
    if (d != NULL)
        closedir(d);
}

/* ---------------------------------------------------------------- keeping */

static bool write_one(struct cli *c, const char *folder, const struct liaison_referral *r,
                      bool strip, int *status)
{
    const uint8_t *bytes;
    size_t len;
    enum liaison_code code = liaison_referral_bytes(r, &bytes, &len);

    if (code != LIAISON_OK) {
        *status = cli_lib_fail(c, code);
        return false;
    }
    return files_write_new(
        join(c, folder, liaison_referral_id(r), strip ? ".strip.ref" : ".ref"),
        slice(bytes, len), status);
}

bool outbox_keep(struct cli *c, struct liaison_referral *const *r, size_t n, bool strip,
                 int *status)
{
    const char *outbox = outbox_path(c, status);

    if (outbox[0] == '\0')
        return false;
    const char *batch = join(c, outbox, liaison_referral_id(r[0]), "");
    char *fresh =
        (char *)arena_copy(c->arena, slice_text(join(c, outbox, ".new-XXXXXX", "")));

    if (fresh == NULL || mkdtemp(fresh) == NULL) {
        *status = cli_fail(LIAISON_FILE, "%s: %s", outbox, strerror(errno));
        return false;
    }
    bool ok = true, named = false;

    for (size_t i = 0; ok && i < n; i++)
        ok = write_one(c, fresh, r[i], strip, status);
    if (!ok)
        goto out;
    ok = sync_folder(fresh) && rename(fresh, batch) == 0;
    named = ok;
    ok = ok && sync_folder(outbox);
    if (!ok)
        *status = cli_fail(LIAISON_FILE, "%s: %s", batch, strerror(errno));
out:
    if (!ok)
        remove_folder(named ? batch : fresh);
    return ok;
}

/* ---------------------------------------------------------------- what is there */

struct kept {
    const char *batch, *file; /* folder and name of the file in it */
    char id[ID_TEXT];
    bool strip, refused;
};

struct box {
    struct cli *c;
    const char *path;
    struct kept *kept;
    size_t n, room;
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* False: not a name that we give. */
static bool kept_name(const char *name, struct kept *out)
{
    uint8_t id[ID_BYTES];

    if (strlen(name) < ID_TEXT)
        return false;
    memcpy(out->id, name, ID_TEXT - 1);
    out->id[ID_TEXT - 1] = '\0';
    const char *rest = name + ID_TEXT - 1;

    out->strip = strncmp(rest, ".strip", 6) == 0;
    rest += out->strip ? 6 : 0;
    out->refused = ends_with(rest, REFUSED);
    return id_parse(out->id, id) &&
           (strcmp(rest, ".ref") == 0 || strcmp(rest, ".ref.refused") == 0);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct kept *)a)->id, ((const struct kept *)b)->id);
}

static bool read_batch(struct box *b, const char *batch)
{
    DIR *d = opendir(join(b->c, b->path, batch, ""));
    bool ok = true;

    for (struct dirent *e; ok && d != NULL && (e = readdir(d)) != NULL;) {
        struct kept k = {.batch = cli_text(b->c, "%s", batch),
                         .file = cli_text(b->c, "%s", e->d_name)};

        if (!kept_name(e->d_name, &k))
            continue;
        if (b->n == b->room) {
            size_t room = b->room * 2 + 16;
            struct kept *more = realloc(b->kept, room * sizeof *more);

            ok = more != NULL;
            b->kept = ok ? more : b->kept;
            b->room = ok ? room : b->room;
        }
        if (ok)
            b->kept[b->n++] = k;
    }
    if (d != NULL)
        closedir(d);
    return ok;
}

/* All that waits and all that was refused, oldest first: ids rise with time. */
static bool read_box(struct box *b, int *status)
{
    DIR *d;
    bool ok = true;

    b->path = outbox_path(b->c, status);
    if (b->path[0] == '\0')
        return false;
    d = opendir(b->path);
    if (d == NULL) {
        *status = cli_fail(LIAISON_FILE, "%s: %s", b->path, strerror(errno));
        return false;
    }
    for (struct dirent *e; ok && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            ok = read_batch(b, e->d_name);
    closedir(d);
    if (!ok)
        *status = cli_no_memory();
    else if (b->n > 0)
        qsort(b->kept, b->n, sizeof *b->kept, by_id);
    return ok;
}

/* ---------------------------------------------------------------- sending */

static const char *kept_path(const struct box *b, const struct kept *k)
{
    return join(b->c, join(b->c, b->path, k->batch, ""), k->file, "");
}

/* The broker has answered. If we are killed in here, the same bytes are sent once more and answered the same. */
static void settle(const struct box *b, const struct kept *k, enum liaison_code code)
{
    const char *folder = join(b->c, b->path, k->batch, "");
    const char *path = join(b->c, folder, k->file, "");
    int failed = code == LIAISON_OK ? unlink(path)
                                    : rename(path, join(b->c, folder, k->file, REFUSED));

    if (failed && errno != ENOENT) /* another command was faster */
        cli_fail(LIAISON_FILE, "%s: %s", path, strerror(errno));
    else if (rmdir(folder) == 0)
        (void)sync_folder(b->path);
    else
        (void)sync_folder(folder);
}

static bool read_kept(const struct box *b, const struct kept *k, struct slice *bytes,
                      int *status)
{
    const char *path = kept_path(b, k);
    struct stat st = {0};

    if (stat(path, &st) != 0 || st.st_size > REFERRAL_BYTES) {
        *status = cli_fail(LIAISON_FILE, "%s: %s", path,
                           strerror(st.st_size > REFERRAL_BYTES ? EFBIG : errno));
        return false;
    }
    return files_read(b->c, path, (size_t)st.st_size, bytes, status);
}

/* Reads it; what it cost in memory is forgotten afterwards. */
static bool load(const struct box *b, const struct kept *k, struct liaison_referral **out,
                 int *status)
{
    struct arena *all = b->c->arena, *own = arena_new();
    const char *path = kept_path(b, k);
    struct slice bytes = {0};

    if (own == NULL) {
        *status = cli_no_memory();
        return false;
    }
    b->c->arena = own;
    bool ok = read_kept(b, k, &bytes, status);

    b->c->arena = all;
    if (ok) {
        enum liaison_code code =
            liaison_referral_from_bytes(b->c->lib, bytes.p, bytes.n, out);

        ok = code == LIAISON_OK;
        if (!ok)
            *status = cli_fail(code, "%s: %s", path, liaison_errmsg(b->c->lib));
    }
    arena_free(own);
    return ok;
}

/* Did the broker say no, once and for all, to this referral? */
static bool is_refusal(enum liaison_code code, const struct liaison_answer *a)
{
    return a != NULL && err_retry(code) == RETRY_NEVER &&
           (strcmp(liaison_answer_kind(a), "refused") == 0 ||
            strcmp(liaison_answer_kind(a), "error") == 0);
}

/* Sends one. Returns its exit status. *go_on is false when trying the next one makes no sense. */
static int send_one(const struct box *b, const struct kept *k, bool *go_on)
{
    struct liaison_referral *r = NULL;
    struct liaison_answer *a = NULL;
    int status;

    if (access(kept_path(b, k), F_OK) != 0 && errno == ENOENT)
        return 0; /* another command was faster */
    if (!load(b, k, &r, &status))
        return status;
    enum liaison_code code =
        liaison_submit(b->c->lib, r, k->strip ? LIAISON_STRIP : 0, &a);
    bool answered = code == LIAISON_OK || is_refusal(code, a);

    *go_on = answered || code == LIAISON_LIMIT || code == LIAISON_SIGNATURE;
    status = cli_say_answer(b->c, code, a, "submit", k->id, json_object());
    liaison_referral_free(r);
    if (answered)
        settle(b, k, code);
    return answered || err_retry(code) == RETRY_NEVER ? status : EX_TEMPFAIL;
}

static size_t waiting(const struct box *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++)
        n += !b->kept[i].refused && access(kept_path(b, &b->kept[i]), F_OK) == 0;
    return n;
}

static int say_waiting(const struct box *b, int status)
{
    size_t n = waiting(b);

    if (n > 0)
        fprintf(stderr,
                "liaison: %zu wait%s in the outbox; 'liaison outbox send' sends %s\n", n,
                n == 1 ? "s" : "", n == 1 ? "it" : "them");
    return status;
}

/* One try to connect: whoever waits in front of a terminal is told at once, and a timer comes again. */
static bool reachable(const struct box *b, int *status)
{
    enum liaison_code code = liaison_connect(b->c->lib);

    if (code == LIAISON_OK)
        return true;
    *status = cli_lib_fail(b->c, code);
    if (err_retry(code) != RETRY_NEVER)
        *status = EX_TEMPFAIL;
    return false;
}

int outbox_send(struct cli *c, const char *batch)
{
    struct box b = {.c = c};
    int first = 0;
    bool go_on = true;

    if (!read_box(&b, &first))
        goto out;
    remove_left_over(c, b.path);
    if (waiting(&b) == 0)
        goto out;
    if (!reachable(&b, &first)) {
        say_waiting(&b, first);
        goto out;
    }
    for (size_t i = 0; go_on && i < b.n; i++) {
        const struct kept *k = &b.kept[i];
        bool wanted = !k->refused && (batch == NULL || strcmp(batch, k->batch) == 0);
        int status = wanted ? send_one(&b, k, &go_on) : 0;

        first = first != 0 ? first : status;
    }
    say_waiting(&b, first);
out:
    free(b.kept);
    return first;
}

/* ---------------------------------------------------------------- outbox */

static int list_json(const struct kept *k, const Liaison__V1__Envelope *e)
{
    return print_json(json_pack("{sssssssb}", "id", k->id, "to", e->to, "category",
                                e->category, "refused", (int)k->refused));
}

static int list_one(const struct box *b, const struct kept *k, struct table *t)
{
    struct slice bytes = {0};
    int status;

    if (!read_kept(b, k, &bytes, &status))
        return status;
    const Liaison__V1__SignedReferral *r =
        cli_decode(b->c, &liaison__v1__signed_referral__descriptor, bytes);
    const Liaison__V1__Envelope *e =
        r != NULL ? cli_decode(b->c, &liaison__v1__envelope__descriptor,
                               slice(r->envelope.data, r->envelope.len))
                  : NULL;

    if (e == NULL)
        return cli_fail(LIAISON_MALFORMED, "%s: not a signed referral", kept_path(b, k));
    if (b->c->opt[OPT_JSON] != NULL)
        return list_json(k, e);
    table_row(t, (const char *const[]){k->id, e->to, e->category,
                                       cli_time(b->c, e->created_unix_ms),
                                       k->refused ? "refused" : "waits"});
    return 0;
}

static int outbox_list(struct cli *c)
{
    static const char *const TITLES[] = {"ID",           "TO",    "CATEGORY",
                                         "SIGNED (UTC)", "STATE", NULL};
    struct box b = {.c = c};
    struct table *t = table_new(c->arena, TITLES);
    int first = 0;

    if (t == NULL)
        return cli_no_memory();
    if (read_box(&b, &first)) {
        for (size_t i = 0; i < b.n; i++) {
            int status = list_one(&b, &b.kept[i], t);

            first = first != 0 ? first : status;
        }
        if (b.n > 0 && c->opt[OPT_JSON] == NULL)
            table_print(t);
        else if (b.n == 0 && c->opt[OPT_JSON] == NULL)
            fputs("the outbox is empty\n", stderr);
    }
    free(b.kept);
    return first;
}

int cmd_outbox(struct cli *c, int argc, char **argv)
{
    int status;

    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return cli_profile(c, &status) ? outbox_list(c) : status;
    if (argc == 1 && strcmp(argv[0], "send") != 0)
        return cli_fail(LIAISON_USAGE, "outbox send, or outbox list");
    return cli_open(c, &status) ? outbox_send(c, NULL) : status;
}
