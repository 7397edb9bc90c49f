#pragma once
/* What a process gives up once it has what it needs: files by Landlock, system calls by seccomp. Neither can be undone.
 *
 * Landlock holds for the calling thread and those that it starts later; seccomp for all threads. A kernel that has one of them
 * not is no error: the caller says in its log what is in force. Needs PR_SET_NO_NEW_PRIVS. */
#include <stdbool.h>
#include <stddef.h>

enum sandbox_use {
    SANDBOX_FILE, /* read, also after another file was put in its place: its folder may be read */
    SANDBOX_FOLDER, /* read, with all that is in it, also after another folder was put in its place */
    SANDBOX_MAKE, /* made, read and written, and whatever stands beside it */
    SANDBOX_READ, /* a folder, read with all that is in it, and nothing beside it */
};

struct sandbox_place {
    enum sandbox_use use;
    const char *path;
};

/* False in a build with AddressSanitizer or ThreadSanitizer: their reports need files and calls of their own. */
bool sandbox_fits(void);

/* Refuses every file outside `places` (NULL paths are skipped), programs, devices, and on newer kernels TCP connections and
 * listeners, and signals and abstract sockets of others. Gives: the version of Landlock in force; 0: this kernel has none, or refused. */
int sandbox_files(const struct sandbox_place *places, size_t n);

/* Refuses (EPERM) every system call that a running broker does not make, in all threads: no programs, no sockets of its own
 * making, no code that was data. False: this kernel has none, or refused. */
bool sandbox_calls(void);
