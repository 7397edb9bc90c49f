#include "client/lib/kept.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/lib/inner.h"
#include "proto/id.h"
#include "proto/valid.h"

enum { PATH_BYTES = 4096 + 512, KEPT_BYTES = 256 * 1024 };

/* The folder's file for an agency: its name with dots for slashes. False without the setting. */
static bool path_of(const struct liaison *l, const char *agency, char path[PATH_BYTES])
{
    int n = snprintf(path, PATH_BYTES, "%s/", lib_setting(l, SET_RECIPIENTS));
    size_t at = (size_t)n;

    if (l->set[SET_RECIPIENTS] == NULL || !id_name(agency) ||
        at + strlen(agency) >= PATH_BYTES - 8)
        return false;
    for (; *agency != '\0'; agency++)
        path[at++] = *agency == '/' ? '.' : *agency;
    path[at] = '\0';
    return true;
}

static bool same_as_kept(const char *path, struct slice bytes, uint8_t *room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, room, bytes.n + 1);

    if (fd >= 0)
        close(fd);
    return n == (ssize_t)bytes.n && memcmp(room, bytes.p, bytes.n) == 0;
}

/* Whole or not at all. */
static void replace(const char *path, struct slice bytes)
{
    char fresh[PATH_BYTES + 8];

    snprintf(fresh, sizeof fresh, "%s.XXXXXX", path);
    int fd = mkostemp(fresh, O_CLOEXEC);

    if (fd < 0)
        return;
    bool ok = write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n && fsync(fd) == 0;

    ok = close(fd) == 0 && ok;
    if (!ok || rename(fresh, path) != 0)
        (void)unlink(fresh);
}

void kept_write(struct liaison *l, const Liaison__V1__Agency *agency)
{
    char path[PATH_BYTES];
    struct arena *a = arena_new();
    struct slice bytes = {0};
    uint8_t *room = NULL;

    if (a != NULL && path_of(l, agency->id, path))
        bytes = arena_pack(a, &agency->base);
    if (bytes.p != NULL && bytes.n <= KEPT_BYTES)
        room = arena_alloc(a, bytes.n + 1);
    if (room != NULL && !same_as_kept(path, bytes, room)) {
        (void)mkdir(lib_setting(l, SET_RECIPIENTS), 0700);
        replace(path, bytes);
    }
    arena_free(a);
}

const Liaison__V1__Agency *kept_read(struct liaison *l, const char *agency,
                                     struct arena *a)
{
    char path[PATH_BYTES];
    const void *m = NULL;
    uint8_t *bytes = NULL;
    int fd = path_of(l, agency, path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0 || (bytes = arena_alloc(a, KEPT_BYTES)) == NULL)
        goto out;
    ssize_t n = read(fd, bytes, KEPT_BYTES);

    if (n <= 0 || valid_decode(&liaison__v1__agency__descriptor, slice(bytes, (size_t)n),
                               a, &m) != LIAISON_OK)
        m = NULL;
out:
    if (fd >= 0)
        close(fd);
    const Liaison__V1__Agency *kept = m;

    return kept != NULL && strcmp(kept->id, agency) == 0 ? kept : NULL;
}
