#include "broker/session/door.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/ops/log.h"

enum {
    ACCEPTS_PER_TURN = 32,
    ROOM_PART = 8,       /* of the handshakes are given up at once */
    FULL_PAUSE_MS = 100, /* after running out of descriptors or memory */
};

static void watch_listeners(struct gate *g, bool on)
{
    for (size_t i = 0; i < g->set.n_listeners; i++) {
        /* EXCLUSIVE: of several gates one is woken. It cannot be changed later, only removed and added. */
        struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = i + 1};
        epoll_ctl(g->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, g->set.listeners[i], &e);
    }
    g->listening = on;
}

/* When the handshake that was quiet for longest may be given up for a newcomer; never while it is we who keep it waiting. */
static int64_t gives_way_ms(const struct gate *g)
{
    const struct session *s = g->lists[LIST_SHAKING].first;

    if (s == NULL || s->listed[LIST_SHAKE] || s->listed[LIST_RUN])
        return INT64_MAX;
    return s->heard_ms + g->set.quiet_ms;
}

/* With all handshakes taken, whoever says nothing makes room: else a few silent strangers keep everybody out for tls_ms. */
static void make_room(struct gate *g)
{
    for (unsigned i = 0;
         i <= g->set.handshakes / ROOM_PART && gives_way_ms(g) <= g->now_ms; i++)
        session_fire(g->lists[LIST_SHAKING].first, EVENT_TIMEOUT,
                     (struct session_cause){.code = LIAISON_TIMEOUT});
}

int64_t door_wakes_ms(const struct gate *g)
{
    return g->shaking < g->set.handshakes ? INT64_MAX : gives_way_ms(g);
}

void door_mind(struct gate *g)
{
    if (g->shaking >= g->set.handshakes)
        make_room(g);

    bool open = !g->stopping && g->shaking < g->set.handshakes &&
                g->accept_at_ms <= g->now_ms && gate_may_shake(g);

    if (open != g->listening)
        watch_listeners(g, open);
}

/* One form for both families: IPv4 as mapped into IPv6. IPv6 counts by /64, which is what one subscriber has. */
static void address_of(const struct sockaddr_storage *from, uint8_t out[16])
{
    memset(out, 0, 16);
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        out[10] = out[11] = 0xff;
        memcpy(out + 12, &v4->sin_addr, 4);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        memcpy(out, &v6->sin6_addr, mapped ? 16 : 8);
    }
}

/* A number that is never used again: gate, generation, slot. */
static uint64_t next_number(struct gate *g, uint16_t slot)
{
    return (uint64_t)g->set.number << 56 |
           (++g->generation & UINT64_C(0xffffffffff)) << 16 | slot;
}

struct session *door_find(const struct gate *g, uint64_t number)
{
    size_t slot = number & 0xffff;
    struct session *s = slot < g->set.sessions ? g->slots[slot] : NULL;

    return s != NULL && s->number == number ? s : NULL;
}

static bool watch(struct gate *g, int fd, uint64_t number)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                            .data.u64 = number};

    return epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

/* Takes fd. */
static void let_in(struct gate *g, int fd, const uint8_t address[16])
{
    uint16_t slot = g->free_slots[g->n_free - 1];
    struct session *s = session_new(g, next_number(g, slot), fd, address);

    if (s == NULL) {
        close(fd);
        tally_drop(g->addresses, slice(address, 16));
        return;
    }
    g->n_free--;
    g->slots[slot] = s;
    g->shaking++;
    gate_list(s, LIST_SHAKING);
    atomic_fetch_add(&g->live, 1);
    metrics_add(g->set.metrics, METRIC_SESSIONS, 1);
    if (!watch(g, fd, s->number))
        session_end(s, CALL_CLOSED, LIAISON_BUSY, NULL);
}

static void greet(struct gate *g, int fd, const struct sockaddr_storage *from)
{
    uint8_t address[16];
    int on = 1;

    address_of(from, address);
    if (g->n_free == 0 || !tally_add(g->addresses, slice(address, sizeof address))) {
        close(fd);
        gate_stranger(g, LIAISON_BUSY);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
               sizeof on); /* answers are batched already */
    let_in(g, fd, address);
}

static void accept_some(struct gate *g, int listener)
{
    for (int i = 0; i < ACCEPTS_PER_TURN && g->shaking < g->set.handshakes; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof from;
        int fd = accept4(listener, (struct sockaddr *)&from, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            greet(g, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_error("gate.full", "errno=%d", errno);
            g->accept_at_ms =
                g->now_ms +
                FULL_PAUSE_MS; /* the listener stays readable: watching it would spin */
            return;
        }
        if (errno == EAGAIN)
            return;
        /* anything else is about that one connection, which has gone: accept(2), "Error handling" */
    }
}

void door_accept(struct gate *g, int listener)
{
    int64_t since_us = gate_clock_us();

    accept_some(g, listener);
    g->shake_debt_us +=
        gate_clock_us() - since_us; /* newcomers are on the handshakes' account */
}

void door_left(struct session *s)
{
    struct gate *g = s->gate;
    uint16_t slot = (uint16_t)(s->number & 0xffff);

    tally_drop(g->addresses, slice(s->address, sizeof s->address));
    g->slots[slot] = NULL;
    g->free_slots[g->n_free++] = slot;
    atomic_fetch_sub(&g->live, 1);
    metrics_add(g->set.metrics, METRIC_SESSIONS, -1);
}
