/* Keys and certificates of a profile that are replaced: whole or not at all, whenever we are killed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/json/profile.h"

enum { PATH_ROOM = 4096 };

static void path_of(const struct profile *p, const char *pair, const char *end,
                    char out[PATH_ROOM])
{
    snprintf(out, PATH_ROOM, "%s/%s%s", p->dir, pair, end);
}

/* A name that is gone was moved by somebody who settles too. */
static bool move(const char *from, const char *to)
{
    return rename(from, to) == 0 || errno == ENOENT;
}

static bool sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

/* The new certificate's being there decides it: the key goes first, and the certificate's going ends it. */
static bool settle(const struct profile *p, const char *pair)
{
    char new_key[PATH_ROOM], new_crt[PATH_ROOM], key[PATH_ROOM], crt[PATH_ROOM];

    path_of(p, pair, ".new.key", new_key);
    path_of(p, pair, ".new.crt", new_crt);
    path_of(p, pair, ".key", key);
    path_of(p, pair, ".crt", crt);
    if (access(new_crt, F_OK) != 0)
        return true;
    return move(new_key, key) && move(new_crt, crt) && sync_folder(p->dir);
}

enum liaison_code profile_settle(const struct profile *p, char *why, size_t why_len)
{
    static const char *const PAIRS[] = {"sign", "seal"};

    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++)
        if (!settle(p, PAIRS[i])) {
            snprintf(why, why_len,
                     "%s: the new %s key and certificate cannot be put in: %s", p->dir,
                     PAIRS[i], strerror(errno));
            return LIAISON_FILE;
        }
    return LIAISON_OK;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

/* The first number behind all that are taken; 0: there is none. *kept: the one before is the pair in force. */
static unsigned next_old(const struct profile *p, bool *kept)
{
    char pair[PATH_ROOM], crt[PATH_ROOM];
    unsigned next = 1;

    path_of(p, "seal", ".crt", crt);
    *kept = false;
    for (unsigned n = 1; n <= PROFILE_OLD_MAX; n++) {
        snprintf(pair, sizeof pair, "%s/seal.old-%u.crt", p->dir, n);
        if (access(pair, F_OK) != 0)
            continue;
        *kept = *kept || same_file(pair, crt);
        next = n + 1;
    }
    return next <= PROFILE_OLD_MAX ? next : 0;
}

/* Second names for the same files: nothing is copied, and what is in force stays in force. The key comes first, so that
 * no certificate is there without its key. */
enum liaison_code profile_keep_seal(const struct profile *p, char *why, size_t why_len)
{
    static const char *const ENDS[] = {".key", ".crt"};
    char from[PATH_ROOM], to[PATH_ROOM];
    bool kept;
    unsigned n = next_old(p, &kept);

    if (kept)
        return LIAISON_OK;
    if (n == 0) {
        snprintf(why, why_len,
                 "%s: no number is left for a former sealing key; see "
                 "'liaison cert prune'",
                 p->dir);
        return LIAISON_LIMIT;
    }
    for (size_t i = 0; i < 2; i++) {
        path_of(p, "seal", ENDS[i], from);
        snprintf(to, sizeof to, "%s/seal.old-%u%s", p->dir, n, ENDS[i]);
        if (i == 0)
            (void)unlink(
                to); /* of a run that did not end: without its certificate it is nobody's */
        if (link(from, to) != 0) {
            snprintf(why, why_len, "%s: %s", to, strerror(errno));
            return LIAISON_FILE;
        }
    }
    return sync_folder(p->dir) ? LIAISON_OK : LIAISON_FILE;
}
