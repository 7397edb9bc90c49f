#pragma once
/* UNIX sockets that the broker listens on for people and programs of its own machine. */
#include <sys/types.h>

/* Listens at `path` (at most 107 bytes), whose file has `mode`, in place of a socket that nobody listens on. Before the first
 * thread: the process's umask is changed for a moment.
 * Returns a non-blocking descriptor, or -1 and errno. */
int local_listen(const char *path, mode_t mode, int backlog);
