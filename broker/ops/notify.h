#pragma once
/* Tells the service manager how we are: systemd's notification protocol, without its library. sd_notify(3). */
#include <stdint.h>

struct notify {
    int fd;               /* -1: nobody wants to know */
    uint64_t watchdog_ms; /* how often it wants to hear from us; 0: never */
};

/* Connects to $NOTIFY_SOCKET, and reads $WATCHDOG_USEC; to be called before a sandbox. */
void notify_open(struct notify *n);
void notify_close(struct notify *n);

/* Sends "READY=1" and the like. Whoever does not listen is not waited for. */
void notify_tell(const struct notify *n, const char *state);

/* RELOADING=1 with the moment that systemd wants beside it. */
void notify_reloading(const struct notify *n);
