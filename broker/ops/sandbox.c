#include "broker/ops/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

bool sandbox_fits(void)
{
#ifdef SANITIZED
    return false;
#else
    return true;
#endif
}

/* ---------------------------------------------------------------- files */

/* What a kernel may know and this machine's header does not: linux/landlock.h of 6.12. */
struct ruleset {
    uint64_t files, net, scoped;
};

enum {
    FILES_1 = (1 << 13) - 1,  /* all file rights of version 1 */
    FILES_REFER = 1 << 13,    /* version 2 */
    FILES_TRUNCATE = 1 << 14, /* 3 */
    NET_TCP = 3,              /* 4: bind, connect */
    FILES_IOCTL = 1 << 15,    /* 5 */
    SCOPE_ALL = 3,            /* 6: abstract sockets, signals */
    READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    WRITE = READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
            LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | FILES_TRUNCATE,
};

static struct ruleset handled(int version)
{
    struct ruleset r = {.files = FILES_1};

    r.files |= version >= 2 ? FILES_REFER : 0;
    r.files |= version >= 3 ? FILES_TRUNCATE : 0;
    r.net = version >= 4 ? NET_TCP : 0;
    r.files |= version >= 5 ? FILES_IOCTL : 0;
    r.scoped = version >= 6 ? SCOPE_ALL : 0;
    return r;
}

/* Older kernels refuse a longer struct only if what they do not know is set in it. */
static int make_ruleset(const struct ruleset *r)
{
    return (int)syscall(SYS_landlock_create_ruleset, r, sizeof *r, 0);
}

/* Allows `rights` below a folder. One that is not there needs none. */
static bool allow(int ruleset, uint64_t rights, const char *folder)
{
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct landlock_path_beneath_attr beneath = {.allowed_access = rights,
                                                 .parent_fd = fd};

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    bool ok = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
                      &beneath, 0) == 0;

    close(fd);
    return ok;
}

/* Allows the folder that `path` stands in; never the whole tree because of one path. */
static bool allow_beside(int ruleset, uint64_t rights, const char *path)
{
    char folder[PATH_MAX];
    size_t n = strlen(path);

    if (n >= sizeof folder)
        return false;
    memcpy(folder, path, n + 1);
    while (n > 1 && folder[n - 1] == '/')
        folder[--n] = '\0';
    char *slash = strrchr(folder, '/');

    if (slash == folder)
        return true;
    if (slash == NULL)
        return allow(ruleset, rights, ".");
    *slash = '\0';
    return allow(ruleset, rights, folder);
}

/* A path may be a symbolic link into another folder: what counts is where it leads. */
static bool allow_place(int ruleset, const struct sandbox_place *place, uint64_t known)
{
    uint64_t rights = (place->use == SANDBOX_MAKE ? WRITE : READ) & known;
    char target[PATH_MAX];

    if (place->path == NULL)
        return true;
    if (place->use == SANDBOX_READ)
        return allow(ruleset, READ & known, place->path);
    if (!allow_beside(ruleset, rights, place->path))
        return false;
    if (place->use == SANDBOX_FOLDER && !allow(ruleset, rights, place->path))
        return false;
    return realpath(place->path, target) == NULL || allow_beside(ruleset, rights, target);
}

int sandbox_files(const struct sandbox_place *places, size_t n)
{
    int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
                               LANDLOCK_CREATE_RULESET_VERSION);
    const struct ruleset r = handled(version);
    int ruleset = version > 0 ? make_ruleset(&r) : -1;
    bool ok = ruleset >= 0;

    for (size_t i = 0; ok && i < n; i++)
        ok = allow_place(ruleset, &places[i], r.files);
    ok = ok && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    if (ruleset >= 0)
        close(ruleset);
    return ok ? version : 0;
}

/* ---------------------------------------------------------------- calls */

/* All that a running broker makes, with LMDB, libzmq, OpenSSL and glibc in it. Those with conditions follow below. */
static const int CALLS[] = {
    /* bytes */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(lseek),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(msync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    /* files that Landlock lets be opened */
    SCMP_SYS(openat),
    SCMP_SYS(open),
    SCMP_SYS(fstat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(fstatfs),
    SCMP_SYS(statfs),
    SCMP_SYS(getdents64),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(fadvise64),
    /* sockets that are there */
    SCMP_SYS(accept4),
    SCMP_SYS(accept),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    /* waiting */
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(eventfd2),
    SCMP_SYS(futex),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    /* threads */
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_setscheduler),
    SCMP_SYS(wait4), /* for the notary, at the end */
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* signals, to ourselves: abort() */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    /* time, chance, who we are */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(getrandom),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
};

#define ALLOW(call, n, ...)                                                              \
    seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(call), n, __VA_ARGS__)

static bool add_conditions(scmp_filter_ctx f)
{
    unsigned pid = (unsigned)getpid();

    return /* memory is written or run, never both */
        ALLOW(mmap, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
        ALLOW(mprotect, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
        /* a thread, never a process; clone3 hides its flags, and glibc then takes clone */
        ALLOW(clone, 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0 &&
        seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
        ALLOW(prctl, 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0)) == 0 &&
        ALLOW(tgkill, 1, SCMP_A0(SCMP_CMP_EQ, pid, 0)) == 0 &&
        /* limits are read */
        ALLOW(prlimit64, 1, SCMP_A2(SCMP_CMP_EQ, 0, 0)) == 0 &&
        ALLOW(ioctl, 1, SCMP_A1(SCMP_CMP_EQ, FIONBIO, 0)) == 0;
}

bool sandbox_calls(void)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    bool ok = f != NULL && seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1) == 0;

    for (size_t i = 0; ok && i < sizeof CALLS / sizeof *CALLS; i++)
        ok = CALLS[i] < 0 || /* this processor's kernel has it not */
             seccomp_rule_add(f, SCMP_ACT_ALLOW, CALLS[i], 0) == 0;
    ok = ok && add_conditions(f) && seccomp_load(f) == 0;
    seccomp_release(f);
    return ok;
}
