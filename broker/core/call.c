#include "broker/core/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

#include "broker/core/directory.h"
#include "broker/rules/rules.h"

/* libzmq is not instrumented: ThreadSanitizer does not see that a message received happens after it was sent. These two
 * say so for the one pointer that travels; without -fsanitize=thread they are nothing. */
#if defined(__SANITIZE_THREAD__)
#define CALL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CALL_TSAN 1
#endif
#endif

#ifdef CALL_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#else
static void __tsan_acquire(void *address)
{
    (void)address;
}

static void __tsan_release(void *address)
{
    (void)address;
}
#endif

struct call *call_new(enum call_kind kind, uint64_t session)
{
    struct call *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->kind = kind;
    c->session = session;
    c->arena = arena_new();
    if (c->arena == NULL) {
        free(c);
        return NULL;
    }
    return c;
}

void call_free(struct call *c)
{
    if (c == NULL)
        return;
    if (c->reload != NULL) {
        rules_free(c->reload->rules);
        tls_trust_free(c->reload->trust);
        directory_free(c->reload->directory);
    }
    arena_free(c->arena);
    free(c);
}

enum liaison_code call_send(void *zmq_socket, struct call *c)
{
    zmq_msg_t m;
    int error;

    if (zmq_msg_init_size(&m, sizeof c) != 0)
        return LIAISON_MEMORY;
    memcpy(zmq_msg_data(&m), &c, sizeof c); /* the message is the pointer */
    __tsan_release(c);                      /* call_recv() has the acquire */
    if (zmq_msg_send(&m, zmq_socket, ZMQ_DONTWAIT) >= 0)
        return LIAISON_OK; /* *c is the other thread's now */
    error = zmq_errno();
    zmq_msg_close(&m);
    return error == EAGAIN || error == EINTR ? LIAISON_BUSY : LIAISON_CLOSED;
}

struct call *call_recv(void *zmq_socket)
{
    struct call *c = NULL;
    zmq_msg_t m;
    int n;

    zmq_msg_init(&m);
    do
        n = zmq_msg_recv(&m, zmq_socket, ZMQ_DONTWAIT);
    while (n < 0 && zmq_errno() == EINTR);
    if (n == (int)sizeof c) {
        memcpy(&c, zmq_msg_data(&m), sizeof c);
        __tsan_acquire(c);
    }
    zmq_msg_close(&m);
    return c;
}

const char *call_address(unsigned g, char out[32])
{
    snprintf(out, 32, "inproc://gate-%u", g);
    return out;
}

void call_time_set(struct call_time *t, uint64_t time_ns, uint64_t mono_ns)
{
    atomic_store(&t->ahead_ns, (int64_t)(time_ns - mono_ns));
}

uint64_t call_time_ms(const struct call_time *t)
{
    struct timespec mono;

    clock_gettime(CLOCK_BOOTTIME, &mono);
    return (uint64_t)(atomic_load(&t->ahead_ns) + mono.tv_sec * 1000000000 + mono.tv_nsec) /
           1000000;
}
