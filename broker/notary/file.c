#include "broker/notary/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

static enum liaison_code failed(const char *path, const char *what, char *why,
                                size_t why_len)
{
    snprintf(why, why_len, "%s: %s: %s", path, what, strerror(errno));
    return LIAISON_FILE;
}

/* ------------------------------------------------------------ reading */

static enum liaison_code check_private(int fd, const char *path, char *why,
                                       size_t why_len)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        snprintf(why, why_len, "%s: not a regular file", path);
        return LIAISON_FILE;
    }
    if ((st.st_mode & 077) != 0) {
        snprintf(why, why_len, "%s: others may read it; run: chmod 600 %s", path, path);
        return LIAISON_PERMISSION;
    }
    return LIAISON_OK;
}

enum liaison_code file_open(const char *path, bool writable, int *fd, char *why,
                            size_t why_len)
{
    int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int opened = open(path, flags);

    if (opened < 0 && errno != ENOENT)
        return failed(path, "cannot open it", why, why_len);
    enum liaison_code code =
        opened < 0 ? LIAISON_OK : check_private(opened, path, why, why_len);

    if (code == LIAISON_OK)
        *fd = opened;
    else
        close(opened);
    return code;
}

/* At most `room` bytes and, if there are more, one of them. -1: errno says why. */
static ssize_t read_some(int fd, char *text, size_t room)
{
    size_t n = 0;

    while (n < room + 1) {
        ssize_t got = read(fd, text + n, room + 1 - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

enum liaison_code file_read(const char *path, char *text, size_t room, size_t *n,
                            bool *found, char *why, size_t why_len)
{
    int fd = -1;
    enum liaison_code code = file_open(path, false, &fd, why, why_len);

    if (code != LIAISON_OK)
        return code;
    *found = fd >= 0;
    if (fd < 0)
        return LIAISON_OK;
    ssize_t got = read_some(fd, text, room);

    if (got < 0) {
        code = failed(path, "cannot read it", why, why_len);
    } else if ((size_t)got > room) {
        snprintf(why, why_len, "%s: longer than such a file can be", path);
        code = LIAISON_CONFIG;
    } else {
        text[got] = '\0';
        *n = (size_t)got;
    }
    close(fd);
    return code;
}

/* ------------------------------------------------------------ writing */

static bool sync_folder(const char *file)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s", file);
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

static bool beside(const char *path, const char *ending, char out[PATH_MAX])
{
    return snprintf(out, PATH_MAX, "%s%s", path, ending) < PATH_MAX;
}

static bool write_new(const char *path, struct slice bytes)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return false;
    bool ok = write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n && fsync(fd) == 0;

    close(fd);
    return ok;
}

/* What was written there once. Where a disk keeps more than the newest state of a block, this is all that can be done. */
static void wipe(int fd)
{
    static const char ZEROS[512];
    struct stat st;

    if (fstat(fd, &st) != 0)
        return;
    for (off_t at = 0; at < st.st_size; at += (off_t)sizeof ZEROS) {
        size_t left = (size_t)(st.st_size - at);

        if (pwrite(fd, ZEROS, left < sizeof ZEROS ? left : sizeof ZEROS, at) < 0)
            return;
    }
    fdatasync(fd);
}

enum liaison_code file_put(const char *path, struct slice bytes, enum file_old old,
                           char *why, size_t why_len)
{
    char fresh[PATH_MAX];
    int before = old == FILE_WIPE ? open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    bool ok = beside(path, ".new", fresh) && write_new(fresh, bytes) &&
              rename(fresh, path) == 0 && sync_folder(path);
    enum liaison_code code =
        ok ? LIAISON_OK : failed(path, "cannot write it", why, why_len);

    if (before >= 0) {
        if (ok)
            wipe(before);
        close(before);
    }
    return code;
}

enum liaison_code file_keep(const char *path, char *why, size_t why_len)
{
    char aside[PATH_MAX];

    if (access(path, F_OK) != 0 && errno == ENOENT)
        return LIAISON_OK;
    if (beside(path, ".old", aside) && (unlink(aside) == 0 || errno == ENOENT) &&
        link(path, aside) == 0 && sync_folder(path))
        return LIAISON_OK;
    return failed(path, "cannot keep it as .old", why, why_len);
}

enum liaison_code file_put_aside(const char *path, char *why, size_t why_len)
{
    char aside[PATH_MAX];

    if (beside(path, ".old", aside) &&
        (rename(path, aside) == 0 ? sync_folder(path) : errno == ENOENT))
        return LIAISON_OK;
    return failed(path, "cannot put it aside as .old", why, why_len);
}

/* ------------------------------------------------------------ users */

enum liaison_code file_user_find(const char *name, struct file_user *out, char *why,
                                 size_t why_len)
{
    if (name == NULL || geteuid() != 0) {
        *out = (struct file_user){0};
        return LIAISON_OK;
    }
    const struct passwd *p = getpwnam(name);

    if (p == NULL) {
        snprintf(why, why_len, "user %s of the notary: there is no such user", name);
        return LIAISON_CONFIG;
    }
    *out = (struct file_user){true, p->pw_uid, p->pw_gid};
    return LIAISON_OK;
}

void file_user_enter(const struct file_user *u)
{
    if (u->other) {
        setfsgid(u->gid);
        setfsuid(u->uid);
    }
}

void file_user_leave(const struct file_user *u)
{
    if (u->other) {
        setfsuid(geteuid());
        setfsgid(getegid());
    }
}

enum liaison_code file_user_become(const struct file_user *u, char *why, size_t why_len)
{
    if (!u->other || (setgroups(0, NULL) == 0 && setresgid(u->gid, u->gid, u->gid) == 0 &&
                      setresuid(u->uid, u->uid, u->uid) == 0))
        return LIAISON_OK;
    snprintf(why, why_len, "cannot become the notary's user: %s", strerror(errno));
    return LIAISON_CONFIG;
}
