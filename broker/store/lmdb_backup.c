/* The store on LMDB: a copy of it while it is in use. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/store/lmdb.h"

/* Under another name until it is whole, so that what a kill leaves is not taken for a backup. */
static const char DATA_FILE[] = "data.mdb";
static const char PART_FILE[] = "data.part";

/* The environment as one of its readers; it must be there. */
static int open_reader(const char *dir, MDB_env **out)
{
    char data[4096];
    struct stat st;
    if ((size_t)snprintf(data, sizeof data, "%s/%s", dir, DATA_FILE) >= sizeof data)
        return ENAMETOOLONG;
    if (stat(data, &st) != 0)
        return errno;
    int rc = mdb_env_create(out);
    return rc == 0 ? mdb_env_open(*out, dir, MDB_RDONLY | MDB_NOTLS, 0600) : rc;
}

/* Copies one snapshot without its free pages, and flushes file and folder. */
static int copy_into(MDB_env *env, int dir_fd, uint64_t *bytes)
{
    struct stat st;
    int fd = openat(dir_fd, PART_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int rc = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
    if (rc == 0 && (fsync(fd) != 0 || fstat(fd, &st) != 0))
        rc = errno;
    if (close(fd) != 0 && rc == 0)
        rc = errno;
    if (rc == 0 && renameat(dir_fd, PART_FILE, dir_fd, DATA_FILE) != 0)
        rc = errno;
    if (rc == 0 && fsync(dir_fd) != 0)
        rc = errno;
    if (rc == 0)
        *bytes = (uint64_t)st.st_size;
    return rc;
}

static int sync_above(int dir_fd)
{
    int fd = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static int copy(MDB_env *env, const char *dir, uint64_t *bytes)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno;
    int rc = copy_into(env, fd, bytes);
    if (rc == 0)
        rc = sync_above(fd);
    if (rc != 0) {
        unlinkat(fd, PART_FILE, 0);
        unlinkat(fd, DATA_FILE, 0);
    }
    close(fd);
    return rc;
}

enum liaison_code store_backup(const char *url, const char *dir, uint64_t *bytes,
                               char *why, size_t why_len)
{
    if (strncmp(url, LMDB_SCHEME, sizeof LMDB_SCHEME - 1) != 0)
        return lmdb_explain(LIAISON_CONFIG, why, why_len,
                            "store %s: \"lmdb:DIRECTORY\" wanted", url);
    const char *from = url + sizeof LMDB_SCHEME - 1;
    MDB_env *env = NULL;
    int rc = open_reader(from, &env);
    if (rc != 0) {
        mdb_env_close(env);
        return lmdb_explain(lmdb_meaning(rc), why, why_len, "store %s: %s", from,
                            mdb_strerror(rc));
    }
    if (mkdir(dir, 0700) != 0) {
        rc = errno;
        mdb_env_close(env);
        return lmdb_explain(LIAISON_FILE, why, why_len, "%s: cannot make the folder: %s",
                            dir,
                            rc == EEXIST ? "it is there already; a backup wants a new one"
                                         : strerror(rc));
    }
    rc = copy(env, dir, bytes);
    mdb_env_close(env);
    if (rc == 0)
        return LIAISON_OK;
    rmdir(dir);
    return lmdb_explain(lmdb_meaning(rc), why, why_len, "%s: cannot write the copy: %s",
                        dir, mdb_strerror(rc));
}
