/* A broker on a disk that does as a test says: the first byte of the file $FLUSH is asked before every flush.
 *
 *   r   refuse: fdatasync(2) fails with EIO
 *   d   die at once when LMDB's meta page is written, which is what makes a commit one, and before anybody is told
 *
 * Any other byte: as always. The rest is liaisond; this program's fdatasync() and pwrite() take the place of libc's in LMDB too. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, DEAD = 137 };

#define OUTSIDE __attribute__((visibility("default")))

OUTSIDE int fdatasync(int fd);
OUTSIDE ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at);

static const volatile char *wish = "-";

/* Before main: later the sandbox would not let us. */
__attribute__((constructor)) static void look(void)
{
    const char *path = getenv("FLUSH");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);

    if (at != MAP_FAILED)
        wish = at;
    if (fd >= 0)
        close(fd);
}

int fdatasync(int fd)
{
    if (*wish == 'r') {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, n, at);

    /* LMDB writes whole pages, and at the end a part of the meta page. The sandbox forbids kill(2). */
    if (*wish == 'd' && n < PAGE_BYTES)
        _exit(DEAD);
    return written;
}
