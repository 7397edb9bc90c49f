#pragma once
/* A broker that plays a script: TLS and ZMTP for real, answers as the test wants them. One thread, blocking, with a
 * deadline on every socket. All names and data are made up. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "proto/commit.h"
#include "proto/liaison.pb-c.h"
#include "proto/tls.h"
#include "proto/zmtp.h"
#include "tests/unit/pki.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

enum { SCRIPT_PLAYS = 4, SCRIPT_WAIT_S = 10, SCRIPT_IN = 1 << 20 };

static const uint8_t SCRIPT_OPENING[32] = {42};

struct script;

/* One connection. */
struct peer {
    struct script *s;
    int fd;
    SSL *ssl;
    struct zmtp z;
    uint8_t in[SCRIPT_IN];
    size_t in_len;
};

typedef void play(struct peer *p);

struct script {
    SSL_CTX *context;
    int listener;
    uint16_t port;
    pthread_t thread;
    play *plays[SCRIPT_PLAYS]; /* of the first connection, the second... NULL ends */
    struct hash *hash;
    void *test; /* whatever the plays need */
};

static inline bool peer_write(struct peer *p, const void *bytes, size_t n)
{
    return SSL_write(p->ssl, bytes, (int)n) == (int)n;
}

/* The next event that is not housekeeping; ZMTP_BAD when the client is gone. f borrows until the next call. */
static inline enum zmtp_event peer_event(struct peer *p, struct zmtp_frame *f)
{
    static _Thread_local uint8_t frame[SCRIPT_IN];
    const char *why;

    for (;;) {
        size_t used, want;
        enum zmtp_event event = zmtp_next(&p->z, p->in, p->in_len, &used, &want, f, &why);

        if (event == ZMTP_MESSAGE) {
            memcpy(frame, f->body, f->body_len);
            f->body = frame;
        }
        memmove(p->in, p->in + used, p->in_len - used);
        p->in_len -= used;
        if (event != ZMTP_NEED && event != ZMTP_PING && event != ZMTP_PONG &&
            event != ZMTP_IGNORE)
            return event;
        if (event != ZMTP_NEED)
            continue;
        int n = SSL_read(p->ssl, p->in + p->in_len, (int)(SCRIPT_IN - p->in_len));

        if (n <= 0)
            return ZMTP_BAD;
        p->in_len += (size_t)n;
    }
}

static inline bool peer_tls(struct peer *p)
{
    p->ssl = SSL_new(p->s->context);
    SSL_set_fd(p->ssl, p->fd);
    zmtp_init(&p->z, ZMTP_SERVER, SCRIPT_IN - 16);
    return SSL_accept(p->ssl) == 1;
}

static inline bool peer_greet(struct peer *p)
{
    uint8_t out[64];
    struct zmtp_frame f;

    return peer_write(p, out, zmtp_greeting(&p->z, out)) &&
           peer_event(p, &f) == ZMTP_GREETED;
}

static inline bool peer_ready(struct peer *p)
{
    uint8_t out[64];
    struct zmtp_frame f;

    return peer_write(p, out, zmtp_ready(&p->z, out)) && peer_event(p, &f) == ZMTP_READY;
}

/* The client's next frame, or NULL when it is gone. To be freed by protobuf-c. */
static inline Liaison__V1__Frame *peer_read(struct peer *p)
{
    struct zmtp_frame f;

    if (peer_event(p, &f) != ZMTP_MESSAGE)
        return NULL;
    return liaison__v1__frame__unpack(NULL, f.body_len, f.body);
}

static inline bool peer_send_bytes(struct peer *p, struct slice body)
{
    uint8_t header[ZMTP_HEADER_MAX];

    return peer_write(p, header, zmtp_header(body.n, header)) &&
           (body.n == 0 || peer_write(p, body.p, body.n));
}

static inline bool peer_send(struct peer *p, uint64_t id, Liaison__V1__Frame *f)
{
    f->id = id;
    size_t n = liaison__v1__frame__get_packed_size(f);
    uint8_t *bytes = malloc(n);

    liaison__v1__frame__pack(f, bytes);
    bool ok = peer_send_bytes(p, slice(bytes, n));

    free(bytes);
    return ok;
}

static inline bool peer_error(struct peer *p, uint64_t id, Liaison__V1__Code code,
                              const char *text)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Error error = LIAISON__V1__ERROR__INIT;

    error.code = code;
    error.text = (char *)(uintptr_t)text;
    f.body_case = BODY(ERROR);
    f.error = &error;
    return peer_send(p, id, &f);
}

static inline bool peer_done(struct peer *p, uint64_t id)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Done done = LIAISON__V1__DONE__INIT;

    f.body_case = BODY(DONE);
    f.done = &done;
    return peer_send(p, id, &f);
}

/* What a test may want to be wrong about a Welcome. */
struct welcome {
    uint32_t version, window;
    const char *network;
    struct slice checkpoint, consistency;
};

static inline bool peer_welcome(struct peer *p, uint64_t id, struct welcome w)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Welcome welcome = LIAISON__V1__WELCOME__INIT;
    Liaison__V1__Limits limits = LIAISON__V1__LIMITS__INIT;

    limits.message_bytes = 1 << 16;
    limits.window = w.window;
    welcome.version = w.version;
    welcome.network = (char *)(uintptr_t)w.network;
    welcome.limits = &limits;
    welcome.checkpoint = (ProtobufCBinaryData){w.checkpoint.n, (uint8_t *)(uintptr_t)w.checkpoint.p};
    welcome.consistency = (ProtobufCBinaryData){w.consistency.n, (uint8_t *)(uintptr_t)w.consistency.p};
    f.body_case = BODY(WELCOME);
    f.welcome = &welcome;
    return peer_send(p, id, &f);
}

/* TLS, ZMTP, Hello and a good Welcome. */
static inline bool peer_open_window(struct peer *p, uint32_t window)
{
    if (!peer_tls(p) || !peer_greet(p) || !peer_ready(p))
        return false;
    Liaison__V1__Frame *hello = peer_read(p);
    bool ok = hello != NULL && hello->body_case == BODY(HELLO) &&
              peer_welcome(p, hello->id, (struct welcome){.version = 1, .window = window, .network = PKI_NETWORK});

    if (hello != NULL)
        liaison__v1__frame__free_unpacked(hello, NULL);
    return ok;
}

static inline bool peer_open(struct peer *p)
{
    return peer_open_window(p, 64);
}

/* Waits until the client has closed. */
static inline void peer_drain(struct peer *p)
{
    struct zmtp_frame f;

    while (peer_event(p, &f) != ZMTP_BAD)
        continue;
}

static inline void *script_run(void *argument)
{
    struct script *s = argument;

    for (size_t i = 0; i < SCRIPT_PLAYS && s->plays[i] != NULL; i++) {
        struct timeval wait = {.tv_sec = SCRIPT_WAIT_S};
        struct peer *p = calloc(1, sizeof *p);
        int on = 1;

        p->s = s;
        p->fd = accept(s->listener, NULL, NULL);
        if (p->fd >= 0) {
            setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
            setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* last words leave */
            s->plays[i](p);
            SSL_free(p->ssl);
            close(p->fd);
        }
        free(p);
        ERR_clear_error();
    }
    return NULL;
}

static inline void script_start(struct script *s, SSL_CTX *context)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {.tv_sec = SCRIPT_WAIT_S};
    socklen_t len = sizeof where;

    s->context = context;
    s->hash = hash_new();
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(s->listener, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    pki_must(bind(s->listener, (struct sockaddr *)&where, sizeof where) == 0 &&
             listen(s->listener, 8) == 0 &&
             getsockname(s->listener, (struct sockaddr *)&where, &len) == 0);
    s->port = ntohs(where.sin_port);
    pki_must(pthread_create(&s->thread, NULL, script_run, s) == 0);
}

static inline void script_join(struct script *s)
{
    pthread_join(s->thread, NULL);
    close(s->listener);
    hash_free(s->hash);
    *s = (struct script){0};
}

/* ---------------------------------------------------------------- honest answers */

static inline ProtobufCBinaryData script_bytes(const void *p, size_t n)
{
    return (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)p};
}

/* An Accepted and its entry, in room that lives as long as this struct. */
struct acceptance {
    Liaison__V1__LedgerEntry entry;
    Liaison__V1__Accepted accepted;
    Liaison__V1__Envelope *envelope;
    uint8_t nonce[16], commitments[3][32], certificate[32], packed[4096];
};

/* What an honest broker says to this submit. */
static inline void acceptance_of(struct script *s, const Liaison__V1__SignedReferral *r,
                                 struct acceptance *a)
{
    struct slice certificate =
        slice(r->signature->certificate.data, r->signature->certificate.len);
    Liaison__V1__LedgerEntry *e = &a->entry;

    *a = (struct acceptance){0};
    a->envelope = liaison__v1__envelope__unpack(NULL, r->envelope.len, r->envelope.data);
    hash_sha256(s->hash, &certificate, 1, a->certificate);
    commit_make(s->hash, SCRIPT_OPENING, COMMIT_OFFICER, slice_text(a->envelope->officer),
                a->commitments[0]);
    commit_make(s->hash, SCRIPT_OPENING, COMMIT_CASE,
                slice(a->envelope->case_id.data, a->envelope->case_id.len),
                a->commitments[1]);
    commit_make(s->hash, SCRIPT_OPENING, COMMIT_CONTENT,
                slice(r->envelope.data, r->envelope.len), a->commitments[2]);
    liaison__v1__ledger_entry__init(e);
    e->version = 1;
    e->seq = 7;
    e->time_ns = 1000;
    e->clock = LIAISON__V1__CLOCK__CLOCK_SYNCED;
    e->nonce = script_bytes(a->nonce, sizeof a->nonce);
    e->event = LIAISON__V1__EVENT__EVENT_SUBMIT;
    e->verdict = LIAISON__V1__VERDICT__VERDICT_DONE;
    e->operation = LIAISON__V1__OPERATION__OPERATION_COLLECTION;
    e->agency = a->envelope->from;
    e->counterpart = a->envelope->to;
    e->officer_commitment = script_bytes(a->commitments[0], 32);
    e->case_commitment = script_bytes(a->commitments[1], 32);
    e->content_commitment = script_bytes(a->commitments[2], 32);
    e->referral_id = e->request_id = a->envelope->id;
    e->purpose = a->envelope->purpose;
    e->basis = a->envelope->basis;
    e->type = a->envelope->type;
    e->certificate = script_bytes(a->certificate, 32);
    e->state_after = LIAISON__V1__STATE__STATE_REQUESTED;
    liaison__v1__accepted__init(&a->accepted);
    a->accepted.opening = script_bytes(SCRIPT_OPENING, 32);
    a->accepted.state = LIAISON__V1__STATE__STATE_REQUESTED;
    a->accepted.state_version = 1;
}

/* Packs the entry, as the test has altered it, and answers with it. */
static inline bool acceptance_send(struct peer *p, uint64_t id, struct acceptance *a,
                                   bool duplicate)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;

    if (a->accepted.entry.data == NULL)
        a->accepted.entry = script_bytes(
            a->packed, liaison__v1__ledger_entry__pack(&a->entry, a->packed));
    f.body_case = duplicate ? BODY(DUPLICATE) : BODY(ACCEPTED);
    f.accepted = &a->accepted;
    bool ok = peer_send(p, id, &f);

    liaison__v1__envelope__free_unpacked(a->envelope, NULL);
    return ok;
}

static inline bool peer_accept(struct peer *p, const Liaison__V1__Frame *f,
                               bool duplicate)
{
    struct acceptance a;

    acceptance_of(p->s, f->submit->referral, &a);
    return acceptance_send(p, f->id, &a, duplicate);
}
