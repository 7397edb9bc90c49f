/* The sockets that peers come to. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/ops/log.h"

static enum liaison_code listen_on(const struct conf_listen *where, int *out, char *why,
                                   size_t why_len)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(where->port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(where->port)};
    bool is_four = inet_pton(AF_INET, where->address, &four.sin_addr) == 1;
    const int on = 1;

    if (!is_four && inet_pton(AF_INET6, where->address, &six.sin6_addr) != 1) {
        snprintf(why, why_len, "listen %s: not a numeric address", where->address);
        return LIAISON_CONFIG;
    }
    int fd = socket(is_four ? AF_INET : AF_INET6,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const struct sockaddr *address =
        is_four ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
    socklen_t len = is_four ? sizeof four : sizeof six;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, address, len) != 0 || listen(fd, SOMAXCONN) != 0) {
        snprintf(why, why_len, "listen %s port %u: %s", where->address, where->port,
                 strerror(errno));
        if (fd >= 0)
            close(fd);
        return LIAISON_CONFIG;
    }
    *out = fd;
    return LIAISON_OK;
}

uint16_t listen_port(int fd)
{
    struct sockaddr_storage s;
    socklen_t len = sizeof s;

    if (getsockname(fd, (struct sockaddr *)&s, &len) != 0)
        return 0;
    return ntohs(s.ss_family == AF_INET ? ((struct sockaddr_in *)&s)->sin_port
                                        : ((struct sockaddr_in6 *)&s)->sin6_port);
}

enum liaison_code listen_open(struct broker *b, char *why, size_t why_len)
{
    for (size_t i = 0; i < b->conf.n_listen; i++) {
        enum liaison_code code =
            listen_on(&b->conf.listen[i], &b->listeners[i], why, why_len);

        if (code != LIAISON_OK)
            return code;
        b->n_listeners++;
    }
    return LIAISON_OK;
}

void listen_descriptors(const struct conf *c)
{
    struct rlimit r;
    rlim_t wanted = c->limits.sessions * c->gates + 256;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= wanted)
        return;
    r.rlim_cur = r.rlim_max < wanted ? r.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur < wanted)
        log_warn("start.descriptors", "allowed=%llu wanted=%llu what=%s",
                 (unsigned long long)r.rlim_cur, (unsigned long long)wanted,
                 "raise LimitNOFILE or lower limit sessions");
}
