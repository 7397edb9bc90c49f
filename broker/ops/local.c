#include "broker/ops/local.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Takes away a socket that nobody listens on any more; anything else stays and makes bind fail. */
static void clear_away(const struct sockaddr_un *at)
{
    struct stat st;
    int fd;

    if (lstat(at->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 &&
        errno == ECONNREFUSED)
        unlink(at->sun_path);
    close(fd);
}

int local_listen(const char *path, mode_t mode, int backlog)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int error, fd;

    if (strlen(path) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path));
    clear_away(&at);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0777 & ~mode); /* nobody runs beside us yet */
    bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
              listen(fd, backlog) == 0;

    error = errno;
    umask(mask);
    if (!ok && fd >= 0)
        close(fd);
    errno = error;
    return ok ? fd : -1;
}
