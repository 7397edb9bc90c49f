#include "broker/wire/link.h"

#include <stdlib.h>

enum {
    SPARE_MAX = 256 * 1024, /* a spare buffer that grew beyond this is given back */
};

struct link {
    struct stream *stream;
    struct zmtp zmtp;
    struct buffer in, out;
    size_t parsed; /* bytes at the front of `in` that the last event borrowed */
    bool borrowed; /* `in` uses the spare's memory */
    bool readable; /* the socket may have more */
    bool up;
    uint64_t commands; /* that came after READY */
    uint64_t frames;   /* that were whole */
};

enum liaison_code link_new(SSL_CTX *context, int fd, size_t message_max,
                           uint64_t key_records, struct link **out)
{
    struct link *l = calloc(1, sizeof *l);
    enum liaison_code code;

    if (l == NULL)
        return LIAISON_MEMORY;
    zmtp_init(&l->zmtp, ZMTP_SERVER, message_max);
    code = stream_new(context, fd, key_records, &l->stream);
    if (code != LIAISON_OK) {
        free(l);
        return code;
    }
    l->readable = true;
    *out = l;
    return LIAISON_OK;
}

void link_free(struct link *l)
{
    if (l == NULL)
        return;
    stream_free(l->stream);
    buffer_release(&l->in);
    buffer_release(&l->out);
    free(l);
}

enum stream_result link_handshake(struct link *l)
{
    enum stream_result r = stream_handshake(l->stream);
    uint8_t greeting[ZMTP_GREETING_BYTES];

    if (r != STREAM_DONE)
        return r;
    if (!buffer_append(&l->out, slice(greeting, zmtp_greeting(&l->zmtp, greeting))))
        return STREAM_FAILED;
    return STREAM_DONE;
}

void link_wake(struct link *l)
{
    l->readable = true;
}

void link_borrow(struct link *l, struct buffer *spare)
{
    if (l->in.bytes != NULL)
        return;
    l->in = *spare;
    *spare = (struct buffer){0};
    l->borrowed = true;
}

bool link_return(struct link *l, struct buffer *spare)
{
    struct buffer kept = {0};
    struct slice rest;

    buffer_drop(&l->in, l->parsed);
    l->parsed = 0;
    rest = buffer_bytes(&l->in);
    if (!l->borrowed) {
        if (rest.n == 0)
            buffer_release(&l->in);
        return true;
    }
    if (rest.n > 0 && !buffer_append(&kept, rest))
        return false;
    l->in.from = l->in.to = 0;
    if (l->in.room > SPARE_MAX)
        buffer_release(&l->in);
    *spare = l->in;
    l->in = kept;
    l->borrowed = false;
    return true;
}

/* Reads one record behind what is there. */
static enum stream_result fill(struct link *l, size_t *budget)
{
    uint8_t *space = buffer_space(&l->in, STREAM_RECORD_BYTES);
    enum stream_result r;
    size_t n = 0;

    if (space == NULL)
        return STREAM_FAILED;
    r = stream_read(l->stream, space, STREAM_RECORD_BYTES, &n);
    if (r == STREAM_DONE) {
        buffer_added(&l->in, n);
        if (n < LINK_RECORD_COST)
            n = LINK_RECORD_COST;
        *budget -= n < *budget ? n : *budget;
    }
    if (r == STREAM_AGAIN)
        l->readable = false;
    return r;
}

static bool queue_ready(struct link *l)
{
    uint8_t ready[64];

    return buffer_append(&l->out, slice(ready, zmtp_ready(&l->zmtp, ready)));
}

static bool queue_pong(struct link *l, const struct zmtp_frame *ping)
{
    uint8_t pong[256];

    return buffer_append(&l->out, slice(pong, zmtp_pong(ping, pong)));
}

static enum link_event broken(enum liaison_code *code, const char **why,
                              enum liaison_code what, const char *sentence)
{
    *code = what;
    *why = sentence;
    return LINK_BROKEN;
}

/* What one ZMTP event means for whoever reads the link; LINK_QUIET: nothing, go on. */
static enum link_event meaning(struct link *l, enum zmtp_event event,
                               const struct zmtp_frame *f, enum liaison_code *code,
                               const char **why)
{
    bool queued = true;

    switch (event) {
    case ZMTP_NEED:
        break;
    case ZMTP_PONG:
        l->commands++;
        break;
    case ZMTP_GREETED:
        queued = queue_ready(l);
        break;
    case ZMTP_PING:
        l->commands++;
        queued = queue_pong(l, f);
        break;
    case ZMTP_READY:
        l->up = true;
        return LINK_UP;
    case ZMTP_MESSAGE:
        if (f->more)
            return broken(code, why, LIAISON_PROTOCOL,
                          "a message of more than one frame");
        return LINK_MESSAGE;
    case ZMTP_IGNORE:
        return broken(code, why, LIAISON_PROTOCOL,
                      "a command that a DEALER does not send");
    case ZMTP_REFUSED:
        return LINK_ENDED;
    case ZMTP_BAD:
        return broken(code, why, l->zmtp.too_long ? LIAISON_LIMIT : LIAISON_PROTOCOL,
                      *why);
    }
    return queued ? LINK_QUIET : broken(code, why, LIAISON_MEMORY, "memory is out");
}

/* The next event of what is already here; ZMTP_NEED if that is not enough. */
static enum zmtp_event parse(struct link *l, struct zmtp_frame *f, const char **why)
{
    enum zmtp_event event;
    struct slice have;
    size_t want;

    buffer_drop(&l->in, l->parsed);
    l->parsed = 0;
    have = buffer_bytes(&l->in);
    event = zmtp_next(&l->zmtp, have.p, have.n, &l->parsed, &want, f, why);
    if (event != ZMTP_NEED)
        l->frames++;
    return event;
}

/* Gets more bytes: LINK_QUIET says that there are some now. */
static enum link_event more(struct link *l, size_t *budget, enum liaison_code *code,
                            const char **why)
{
    switch (fill(l, budget)) {
    case STREAM_DONE:
    case STREAM_AGAIN:
        break;
    case STREAM_ENDED:
        return LINK_ENDED;
    case STREAM_FAILED:
        return broken(code, why, LIAISON_TLS, "broken TLS record");
    }
    return LINK_QUIET;
}

enum link_event link_next(struct link *l, size_t *budget, struct slice *body,
                          enum liaison_code *code, const char **why)
{
    for (;;) {
        struct zmtp_frame f = {0};
        enum zmtp_event event = parse(l, &f, why);
        enum link_event e;

        if (event != ZMTP_NEED) {
            *body = slice(f.body, f.body_len);
            e = meaning(l, event, &f, code, why);
            if (e != LINK_QUIET)
                return e;
            continue;
        }
        if (!l->readable)
            return LINK_QUIET;
        if (*budget == 0)
            return LINK_SPENT;
        e = more(l, budget, code, why);
        if (e != LINK_QUIET)
            return e;
    }
}

bool link_send(struct link *l, struct slice body)
{
    uint8_t header[ZMTP_HEADER_MAX];
    size_t n = zmtp_header(body.n, header);

    if (buffer_space(&l->out, n + body.n) == NULL)
        return false;
    return buffer_append(&l->out, slice(header, n)) && buffer_append(&l->out, body);
}

bool link_ping(struct link *l, uint16_t ttl_ds)
{
    uint8_t ping[256];

    return buffer_append(&l->out, slice(ping, zmtp_ping(ttl_ds, ping)));
}

bool link_error(struct link *l, const char *reason)
{
    uint8_t error[256];

    return buffer_append(&l->out, slice(error, zmtp_error(reason, error)));
}

enum stream_result link_flush(struct link *l, size_t *written)
{
    *written = 0;
    while (link_queued(l) > 0) {
        size_t n = 0;
        enum stream_result r = stream_write(l->stream, buffer_bytes(&l->out), &n);
        if (r != STREAM_DONE)
            return r;
        buffer_drop(&l->out, n);
        *written += n;
    }
    buffer_release(&l->out);
    return STREAM_DONE;
}

size_t link_queued(const struct link *l)
{
    return l->out.to - l->out.from;
}

uint64_t link_idle_talk(const struct link *l)
{
    return l->commands + stream_idle_updates(l->stream) * LINK_UPDATE_TALK;
}

uint64_t link_begun(const struct link *l)
{
    return buffer_bytes(&l->in).n > l->parsed ? l->frames + 1 : 0;
}

bool link_up(const struct link *l)
{
    return l->up;
}

struct stream *link_stream(struct link *l)
{
    return l->stream;
}
