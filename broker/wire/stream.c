#include "broker/wire/stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct stream {
    SSL *ssl;
    int fd;
    uint64_t key_records;
    uint64_t written, read; /* records since the last key update */
    uint64_t key_updates;
    uint64_t updates_heard; /* of the peer */
    bool write_blocked;     /* a record is half out: no key update now */
};

/* Counts the peer's key updates: OpenSSL deals with them and tells nobody. */
static void on_message(int written, int version, int content_type, const void *bytes,
                       size_t n, SSL *ssl, void *arg)
{
    struct stream *s = arg;
    const uint8_t *message = bytes;

    (void)version, (void)ssl;
    if (!written && content_type == SSL3_RT_HANDSHAKE && n > 0 &&
        message[0] == SSL3_MT_KEY_UPDATE)
        s->updates_heard++;
}

enum liaison_code stream_new(SSL_CTX *context, int fd, uint64_t key_records,
                             struct stream **out)
{
    struct stream *s = calloc(1, sizeof *s);

    if (s == NULL)
        return LIAISON_MEMORY;
    s->ssl = SSL_new(context);
    if (s->ssl == NULL || SSL_set_fd(s->ssl, fd) != 1) {
        SSL_free(s->ssl);
        free(s);
        return LIAISON_MEMORY;
    }
    SSL_set_accept_state(s->ssl);
    SSL_set_read_ahead(s->ssl,
                       0); /* else bytes hide in OpenSSL while the socket stays quiet */
    SSL_clear_mode(s->ssl, SSL_MODE_AUTO_RETRY); /* else SSL_read goes on for as long as
                                                    key updates come */
    SSL_set_msg_callback(s->ssl, on_message);
    SSL_set_msg_callback_arg(s->ssl, s);
    s->fd = fd;
    s->key_records = key_records;
    *out = s;
    return LIAISON_OK;
}

void stream_free(struct stream *s)
{
    if (s == NULL)
        return;
    SSL_free(s->ssl);
    close(s->fd);
    free(s);
}

/* What OpenSSL's return value means. A FIN without close_notify is no crime here: messages carry their own length. */
static enum stream_result result_of(struct stream *s, int rc)
{
    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return STREAM_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
    case SSL_ERROR_SYSCALL:
        return STREAM_ENDED;
    default:
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return STREAM_ENDED;
        return STREAM_FAILED;
    }
}

enum stream_result stream_handshake(struct stream *s)
{
    int rc;

    ERR_clear_error();
    rc = SSL_do_handshake(s->ssl);
    return rc == 1 ? STREAM_DONE : result_of(s, rc);
}

/* Asks for new keys both ways once enough records went either way. The update itself travels with the next record. */
static void renew_keys(struct stream *s)
{
    if (s->written < s->key_records && s->read < s->key_records)
        return;
    if (s->write_blocked || SSL_key_update(s->ssl, SSL_KEY_UPDATE_REQUESTED) != 1)
        return; /* tried again at the next record; the margin to the real limit is threefold */
    s->written = s->read = 0;
    s->key_updates++;
}

/* OpenSSL may want more to read while the socket holds it: it has taken a key update off the socket, and only answered the one
 * before. What it then has is not told by the socket any more, so it is asked until it takes nothing. */
enum stream_result stream_read(struct stream *s, uint8_t *out, size_t room, size_t *n)
{
    const uint64_t heard = s->updates_heard;
    BIO *socket = SSL_get_rbio(s->ssl);
    enum stream_result r = STREAM_AGAIN;
    uint64_t taken;

    do {
        int rc;

        taken = BIO_number_read(socket);
        ERR_clear_error();
        rc = SSL_read_ex(s->ssl, out, room, n);
        if (rc == 1) {
            s->read++;
            return STREAM_DONE;
        }
        *n = 0;
        r = result_of(s, rc);
        if (r == STREAM_AGAIN && s->updates_heard > heard)
            return STREAM_DONE;
    } while (r == STREAM_AGAIN && BIO_number_read(socket) > taken);
    return r;
}

enum stream_result stream_write(struct stream *s, struct slice bytes, size_t *n)
{
    size_t len = bytes.n > STREAM_RECORD_BYTES ? STREAM_RECORD_BYTES : bytes.n;
    int rc;

    renew_keys(s);
    ERR_clear_error();
    rc = SSL_write_ex(s->ssl, bytes.p, len, n);
    s->write_blocked = rc != 1;
    if (rc != 1)
        return result_of(s, rc);
    s->written++;
    return STREAM_DONE;
}

void stream_finish(struct stream *s)
{
    ERR_clear_error();
    if (SSL_is_init_finished(s->ssl) && !s->write_blocked)
        (void)SSL_shutdown(s->ssl);
    shutdown(s->fd, SHUT_WR);
}

enum stream_result stream_discard(struct stream *s)
{
    enum { READS_PER_TURN = 16 };
    uint8_t waste[STREAM_RECORD_BYTES];

    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(s->fd, waste, sizeof waste, 0);
        if (n == 0)
            return STREAM_ENDED;
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? STREAM_AGAIN : STREAM_ENDED;
    }
    return STREAM_DONE;
}

uint64_t stream_key_updates(const struct stream *s)
{
    return s->key_updates;
}

uint64_t stream_idle_updates(const struct stream *s)
{
    return s->updates_heard > s->key_updates ? s->updates_heard - s->key_updates : 0;
}

SSL *stream_ssl(struct stream *s)
{
    return s->ssl;
}

int stream_fd(const struct stream *s)
{
    return s->fd;
}
