/* What a process may no longer do once it has what only root may open. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "broker/broker.h"

enum liaison_code privilege_drop(const char *user, char *why, size_t why_len)
{
    if (user != NULL && geteuid() == 0) {
        const struct passwd *p = getpwnam(user);

        if (p == NULL || setgroups(0, NULL) != 0 ||
            setresgid(p->pw_gid, p->pw_gid, p->pw_gid) != 0 ||
            setresuid(p->pw_uid, p->pw_uid, p->pw_uid) != 0) {
            snprintf(why, why_len, "user %s: %s", user,
                     p == NULL ? "there is no such user" : strerror(errno));
            return LIAISON_CONFIG;
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        snprintf(why, why_len, "prctl: %s", strerror(errno));
        return LIAISON_INTERNAL;
    }
    return LIAISON_OK;
}
