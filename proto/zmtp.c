#include "proto/zmtp.h"

#include <strings.h>

/* The order of a conversation; a command or message in the wrong phase ends it. */
enum phase { PHASE_GREETING, PHASE_HANDSHAKE, PHASE_TRAFFIC, PHASE_OVER };

enum { FLAG_MORE = 1, FLAG_LONG = 2, FLAG_COMMAND = 4, FLAGS_RESERVED = 0xf8 };

enum {
    VERSION_AT = 10,
    MECHANISM_AT = 12,
    MECHANISM_BYTES = 20,
    PING_TTL_BYTES = 2,
    PING_CONTEXT_MAX = 16,
    REASON_MAX = 200,
};

static const char SOCKET_TYPE[] = "Socket-Type";
static const char *const OURS[] = {[ZMTP_SERVER] = "ROUTER", [ZMTP_CLIENT] = "DEALER"};
static const char *const THEIRS[] = {[ZMTP_SERVER] = "DEALER", [ZMTP_CLIENT] = "ROUTER"};

void zmtp_init(struct zmtp *z, enum zmtp_side side, size_t message_max)
{
    *z = (struct zmtp){.side = side, .phase = PHASE_GREETING, .message_max = message_max};
}

static enum zmtp_event bad(struct zmtp *z, const char **why, const char *sentence)
{
    z->phase = PHASE_OVER;
    *why = sentence;
    return ZMTP_BAD;
}

/* Looks at whatever part of the greeting is there, so that garbage is refused at its first wrong byte. */
static enum zmtp_event next_greeting(struct zmtp *z, const uint8_t *in, size_t n,
                                     size_t *used, size_t *want, const char **why)
{
    static const char NULL_MECHANISM[MECHANISM_BYTES] = "NULL";
    size_t mechanism = n < MECHANISM_AT ? 0 : n - MECHANISM_AT;

    if ((n > 0 && in[0] != 0xff) || (n > 9 && in[9] != 0x7f))
        return bad(z, why, "not ZMTP: wrong signature");
    if (n > VERSION_AT && in[VERSION_AT] < 3)
        return bad(z, why, "ZMTP older than 3.0");
    if (mechanism > MECHANISM_BYTES)
        mechanism = MECHANISM_BYTES;
    if (mechanism > 0 && memcmp(in + MECHANISM_AT, NULL_MECHANISM, mechanism) != 0)
        return bad(z, why, "a security mechanism other than NULL");
    if (n < ZMTP_GREETING_BYTES) {
        *want = ZMTP_GREETING_BYTES;
        return ZMTP_NEED;
    }
    *used = ZMTP_GREETING_BYTES;
    z->phase = PHASE_HANDSHAKE;
    return ZMTP_GREETED;
}

/* Takes a run of `n` bytes off the front. False if there are fewer. */
static bool take(struct slice *rest, size_t n, struct slice *out)
{
    if (rest->n < n)
        return false;
    *out = slice(rest->p, n);
    *rest = slice(rest->p + n, rest->n - n);
    return true;
}

/* Takes a length octet and that many bytes, at least one. */
static bool take_name(struct slice *rest, struct slice *out)
{
    struct slice length;

    return take(rest, 1, &length) && length.p[0] > 0 && take(rest, length.p[0], out);
}

static bool take_property(struct slice *rest, struct slice *name, struct slice *value)
{
    struct slice length;

    return take_name(rest, name) && take(rest, 4, &length) &&
           take(rest, be32_get(length.p), value);
}

/* Property names are compared without case; the values are not. */
static bool names_socket_type(struct slice name)
{
    return name.n == sizeof SOCKET_TYPE - 1 &&
           strncasecmp((const char *)name.p, SOCKET_TYPE, name.n) == 0;
}

static enum zmtp_event next_ready(struct zmtp *z, struct slice metadata, const char **why)
{
    struct slice name, value;
    bool typed = false;

    while (metadata.n > 0) {
        if (!take_property(&metadata, &name, &value))
            return bad(z, why, "READY with broken metadata");
        if (!names_socket_type(name))
            continue; /* Identity and whatever else: who the peer is was settled by its certificate */
        if (typed)
            return bad(z, why, "READY with two socket types");
        if (!slice_equal(value, slice_text(THEIRS[z->side])))
            return bad(z, why, "a socket type that does not fit");
        typed = true;
    }
    if (!typed)
        return bad(z, why, "READY without a socket type");
    z->phase = PHASE_TRAFFIC;
    return ZMTP_READY;
}

static enum zmtp_event next_error(struct zmtp *z, struct slice rest, struct zmtp_frame *f,
                                  const char **why)
{
    struct slice length, reason;

    if (!take(&rest, 1, &length) || !take(&rest, length.p[0], &reason))
        return bad(z, why, "broken ERROR command");
    z->phase = PHASE_OVER;
    *f = (struct zmtp_frame){.body = reason.p, .body_len = reason.n};
    return ZMTP_REFUSED;
}

static enum zmtp_event next_ping(struct zmtp *z, struct slice rest, struct zmtp_frame *f,
                                 const char **why)
{
    struct slice ttl;

    if (!take(&rest, PING_TTL_BYTES, &ttl))
        return bad(z, why, "broken PING command");
    *f = (struct zmtp_frame){.body = rest.p, .body_len = rest.n};
    return ZMTP_PING;
}

static enum zmtp_event next_command(struct zmtp *z, struct slice body,
                                    struct zmtp_frame *f, const char **why)
{
    struct slice rest = body, name;

    if (!take_name(&rest, &name))
        return bad(z, why, "command without a name");
    if (slice_equal(name, slice_text("ERROR")))
        return next_error(z, rest, f, why);
    if (z->phase == PHASE_HANDSHAKE) {
        if (slice_equal(name, slice_text("READY")))
            return next_ready(z, rest, why);
        return bad(z, why, "a command before READY");
    }
    if (slice_equal(name, slice_text("READY")))
        return bad(z, why, "READY twice");
    if (slice_equal(name, slice_text("PING")))
        return next_ping(z, rest, f, why);
    *f = (struct zmtp_frame){.body = rest.p, .body_len = rest.n};
    return slice_equal(name, slice_text("PONG")) ? ZMTP_PONG : ZMTP_IGNORE;
}

/* What a frame's first byte and length may be; *why is set if they may not. */
static bool header_allowed(struct zmtp *z, uint8_t flags, uint64_t len, const char **why)
{
    if (flags & FLAG_COMMAND) {
        if (len <= ZMTP_COMMAND_MAX)
            return true;
        *why = "a command longer than 1024 bytes";
        return false;
    }
    if (z->phase == PHASE_HANDSHAKE) {
        *why = "a message before READY";
        return false;
    }
    if (len <= z->message_max)
        return true;
    z->too_long = true;
    *why = "a message longer than the limit";
    return false;
}

static enum zmtp_event next_frame(struct zmtp *z, const uint8_t *in, size_t n,
                                  size_t *used, size_t *want, struct zmtp_frame *f,
                                  const char **why)
{
    size_t header;
    uint64_t len;

    *want = 2;
    if (n == 0)
        return ZMTP_NEED;
    if ((in[0] & FLAGS_RESERVED) != 0 ||
        ((in[0] & FLAG_COMMAND) != 0 && (in[0] & FLAG_MORE) != 0))
        return bad(z, why, "frame flags that do not exist");
    header = in[0] & FLAG_LONG ? ZMTP_HEADER_MAX : 2;
    *want = header;
    if (n < header)
        return ZMTP_NEED;
    len = in[0] & FLAG_LONG ? be64_get(in + 1) : in[1];
    if (!header_allowed(z, in[0], len, why)) {
        z->phase = PHASE_OVER;
        return ZMTP_BAD;
    }
    *want = header + (size_t)len;
    if (n < *want)
        return ZMTP_NEED;
    *used = *want;
    if (in[0] & FLAG_COMMAND)
        return next_command(z, slice(in + header, (size_t)len), f, why);
    *f = (struct zmtp_frame){
        .body = in + header, .body_len = (size_t)len, .more = in[0] & FLAG_MORE};
    return ZMTP_MESSAGE;
}

enum zmtp_event zmtp_next(struct zmtp *z, const uint8_t *in, size_t n, size_t *used,
                          size_t *want, struct zmtp_frame *f, const char **why)
{
    *used = 0;
    *want = 0;
    if (z->phase == PHASE_OVER)
        return bad(z, why, "the conversation is over");
    if (z->phase == PHASE_GREETING)
        return next_greeting(z, in, n, used, want, why);
    return next_frame(z, in, n, used, want, f, why);
}

size_t zmtp_greeting(const struct zmtp *z, uint8_t out[ZMTP_GREETING_BYTES])
{
    (void)z; /* NULL has no server: both sides greet alike */
    memset(out, 0, ZMTP_GREETING_BYTES);
    out[0] = 0xff;
    out[8] = 1; /* what libzmq pads with, so that older peers see a plausible length */
    out[9] = 0x7f;
    out[VERSION_AT] = 3;
    out[VERSION_AT + 1] = 1;
    memcpy(out + MECHANISM_AT, "NULL", 4);
    return ZMTP_GREETING_BYTES;
}

/* Appends bytes to a command being built. */
static size_t add(uint8_t *out, size_t at, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(out + at, bytes, n);
    return at + n;
}

/* Begins a short command frame; finish() fills in its length. */
static size_t begin(uint8_t *out, const char *name)
{
    size_t n = strlen(name);

    out[0] = FLAG_COMMAND;
    out[2] = (uint8_t)n;
    return add(out, 3, name, n);
}

static size_t finish(uint8_t *out, size_t at)
{
    out[1] = (uint8_t)(at - 2);
    return at;
}

size_t zmtp_ready(const struct zmtp *z, uint8_t out[64])
{
    const char *type = OURS[z->side];
    size_t at = begin(out, "READY");

    out[at++] = sizeof SOCKET_TYPE - 1;
    at = add(out, at, SOCKET_TYPE, sizeof SOCKET_TYPE - 1);
    be32_put(out + at, (uint32_t)strlen(type));
    return finish(out, add(out, at + 4, type, strlen(type)));
}

size_t zmtp_header(size_t body_len, uint8_t out[ZMTP_HEADER_MAX])
{
    if (body_len <= UINT8_MAX) {
        out[0] = 0;
        out[1] = (uint8_t)body_len;
        return 2;
    }
    out[0] = FLAG_LONG;
    be64_put(out + 1, body_len);
    return ZMTP_HEADER_MAX;
}

size_t zmtp_ping(uint16_t ttl_ds, uint8_t out[256])
{
    size_t at = begin(out, "PING");

    be16_put(out + at, ttl_ds);
    return finish(out, at + PING_TTL_BYTES);
}

size_t zmtp_pong(const struct zmtp_frame *ping, uint8_t out[256])
{
    size_t context =
        ping->body_len > PING_CONTEXT_MAX ? PING_CONTEXT_MAX : ping->body_len;

    return finish(out, add(out, begin(out, "PONG"), ping->body, context));
}

size_t zmtp_error(const char *reason, uint8_t out[256])
{
    size_t n = strnlen(reason, REASON_MAX), at = begin(out, "ERROR");

    out[at++] = (uint8_t)n;
    return finish(out, add(out, at, reason, n));
}
