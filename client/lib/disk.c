#include "client/lib/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens the folder that `path` lies in. */
static int open_folder(const char *path)
{
    char folder[DISK_PATH];
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);

    if (n >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(folder, path, n);
    folder[n] = '\0';
    if (slash == NULL)
        strcpy(folder, ".");
    else if (n == 0)
        strcpy(folder, "/");
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int disk_lock(const char *path)
{
    int fd = open_folder(path);

    while (fd >= 0 && flock(fd, LOCK_EX) != 0)
        if (errno != EINTR)
            break;
    return fd;
}

void disk_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}

/* Reads until `room` bytes or the end. Returns how many, or -1. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t room)
{
    size_t done = 0;

    while (done < room) {
        ssize_t n = read(fd, bytes + done, room - done);

        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

enum liaison_code disk_read(const char *path, size_t max, uint8_t **bytes, size_t *len)
{
    struct stat st;
    uint8_t *room = NULL;
    enum liaison_code code = LIAISON_FILE;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? LIAISON_NOT_FOUND : LIAISON_FILE;
    if (fstat(fd, &st) != 0)
        goto out;
    code = LIAISON_TOO_LARGE;
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        goto out;
    code = LIAISON_MEMORY;
    room = malloc((size_t)st.st_size + 2);
    if (room == NULL)
        goto out;
    code = LIAISON_FILE;
    ssize_t n = read_all(fd, room, (size_t)st.st_size + 1);

    if (n < 0)
        goto out;
    code = LIAISON_TOO_LARGE; /* it grew meanwhile */
    if (n > st.st_size)
        goto out;
    room[n] = 0;
    *bytes = room;
    *len = (size_t)n;
    room = NULL; /* handed over */
    code = LIAISON_OK;
out:
    free(room);
    close(fd);
    return code;
}

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            bytes = slice(bytes.p + n, bytes.n - (size_t)n);
    }
    return true;
}

static bool sync_folder(const char *path)
{
    int fd = open_folder(path);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

enum liaison_code disk_replace(const char *path, struct slice bytes)
{
    char fresh[DISK_PATH];
    int n = snprintf(fresh, sizeof fresh, "%s.XXXXXX", path);
    int fd = n > 0 && (size_t)n < sizeof fresh ? mkostemp(fresh, O_CLOEXEC) : -1;

    if (fd < 0)
        return LIAISON_FILE;
    bool ok = write_all(fd, bytes) && fsync(fd) == 0;
    int why = errno;

    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok && rename(fresh, path) == 0)
        return sync_folder(path) ? LIAISON_OK : LIAISON_FILE;
    if (ok)
        why = errno;
    (void)unlink(fresh);
    errno = why;
    return LIAISON_FILE;
}

/* Writes all of it to a file that was opened so. */
static enum liaison_code write_to(const char *path, int how, struct slice bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0600);
    bool ok = fd >= 0 && write_all(fd, bytes) && fsync(fd) == 0;
    int why = errno;

    if (fd >= 0)
        close(fd);
    errno = why;
    return ok && sync_folder(path) ? LIAISON_OK : LIAISON_FILE;
}

enum liaison_code disk_create(const char *path, struct slice bytes)
{
    return write_to(path, O_EXCL, bytes);
}

enum liaison_code disk_append(const char *path, struct slice bytes)
{
    return write_to(path, O_APPEND, bytes);
}
