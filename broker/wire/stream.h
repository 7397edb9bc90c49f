#pragma once
/* One TLS connection over a non-blocking socket, server side. Knows nothing of what it carries.
 *
 * Every call does what it can and returns at once. After STREAM_AGAIN call again when the socket has become readable or
 * writable; the socket is meant to be watched edge-triggered for both. One thread's. */
#include <openssl/ssl.h>

#include "liaison-codes.h"
#include "proto/slice.h"

enum stream_result {
    STREAM_DONE,
    STREAM_AGAIN,  /* the socket has no more for now, or takes no more */
    STREAM_ENDED,  /* the peer has left: close_notify, FIN or RST */
    STREAM_FAILED, /* not TLS, or the peer's certificate was refused */
};

enum {
    STREAM_RECORD_BYTES = 16384, /* one record's payload; no read gives more */
};

/* AES-GCM keys are changed after this many records (RFC 8446, 5.5: 2^24.5 at most). */
#define STREAM_KEY_RECORDS (UINT64_C(1) << 23)

struct stream;

/* Begins the server's side of TLS on `fd`. `key_records`: records under one key, either way, before a key update.
 * Gives: *out. Takes: fd, after LIAISON_OK. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code stream_new(SSL_CTX *context, int fd, uint64_t key_records,
                             struct stream **out);

/* Closes the socket and releases the stream. NULL is harmless. */
void stream_free(struct stream *s);

/* Goes on with the handshake. */
MUST_CHECK
enum stream_result stream_handshake(struct stream *s);

/* Reads one record of up to `room` bytes with STREAM_DONE. *n is 0 if it was a key update: each is told by itself, so that a
 * peer that sends nothing else keeps nobody in here. */
MUST_CHECK
enum stream_result stream_read(struct stream *s, uint8_t *out, size_t room, size_t *n);

/* Writes one record of up to STREAM_RECORD_BYTES; *n > 0 were taken with STREAM_DONE. After STREAM_AGAIN the same bytes must
 * come first again, at whatever address. */
MUST_CHECK
enum stream_result stream_write(struct stream *s, struct slice bytes, size_t *n);

/* Says that nothing more will be written: close_notify, then FIN. What the peer still sends can be read off with
 * stream_discard, so that the kernel does not answer it with RST, which could overtake our last words. */
void stream_finish(struct stream *s);

/* Reads off and forgets what the peer still sends. STREAM_ENDED once it has closed too. */
MUST_CHECK
enum stream_result stream_discard(struct stream *s);

/* Key updates that we began so far; and those of the peer that ours do not explain. */
uint64_t stream_key_updates(const struct stream *s);
uint64_t stream_idle_updates(const struct stream *s);

/* For tls.h, which says who the peer is. Borrows. */
SSL *stream_ssl(struct stream *s);
int stream_fd(const struct stream *s);
