/* The broker's end of the socket. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/notary/wire.h"

struct notary {
    int fd;
    bool waiting; /* a request is out */
    bool ended;
};

struct notary *notary_new(int fd)
{
    struct notary *n = calloc(1, sizeof *n);

    if (n != NULL)
        n->fd = fd;
    return n;
}

void notary_free(struct notary *n)
{
    if (n == NULL)
        return;
    close(n->fd);
    free(n);
}

int notary_fd(const struct notary *n)
{
    return n->fd;
}

static enum liaison_code ask(struct notary *n, enum wire_kind kind,
                             const struct notary_tree *t)
{
    uint8_t message[WIRE_REQUEST_BYTES];

    if (n->ended)
        return LIAISON_IO;
    if (n->waiting)
        return LIAISON_BUSY;
    wire_put_request(kind, t, message);
    if (send(n->fd, message, sizeof message, MSG_NOSIGNAL) != (ssize_t)sizeof message) {
        n->ended = true;
        return LIAISON_IO;
    }
    n->waiting = true;
    return LIAISON_OK;
}

enum liaison_code notary_ask_status(struct notary *n)
{
    return ask(n, WIRE_STATUS, NULL);
}

enum liaison_code notary_ask_sign(struct notary *n, const struct notary_tree *t)
{
    return t->proof_len > MERKLE_PROOF_MAX ? LIAISON_FIELD : ask(n, WIRE_SIGN, t);
}

enum liaison_code notary_ask_rotation(struct notary *n)
{
    return ask(n, WIRE_ROTATION, NULL);
}

enum liaison_code notary_answer(struct notary *n, struct notary_answer *out)
{
    uint8_t message[WIRE_ANSWER_BYTES + 1];
    ssize_t got;

    if (n->ended)
        return LIAISON_IO;
    do
        got = recv(n->fd, message, sizeof message, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return LIAISON_BUSY;
    if (got < 0 || !n->waiting || !wire_get_answer(slice(message, (size_t)got), out)) {
        n->ended = true;
        return LIAISON_IO;
    }
    n->waiting = false;
    return LIAISON_OK;
}

static int64_t now_mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum liaison_code notary_wait(struct notary *n, int timeout_ms, struct notary_answer *out)
{
    int64_t until = now_mono_ms() + timeout_ms;

    for (;;) {
        struct pollfd p = {.fd = n->fd, .events = POLLIN};
        enum liaison_code code = notary_answer(n, out);
        int64_t left = until - now_mono_ms();

        if (code != LIAISON_BUSY || !n->waiting)
            return code;
        if (left <= 0)
            return LIAISON_TIMEOUT;
        if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
            return LIAISON_IO;
    }
}
