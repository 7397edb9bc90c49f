/* The public calls: each makes a frame and gives it to the engine. */
#include <stdio.h>

#include "client/lib/engine.h"
#include "client/lib/referral.h"
#include "proto/id.h"
#include "proto/valid.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

enum liaison_code liaison_connect(struct liaison *l)
{
    enum liaison_code code = lib_enter(l);

    return code == LIAISON_OK ? engine_connect(l) : code;
}

void liaison_close(struct liaison *l)
{
    if (lib_enter(l) == LIAISON_OK)
        engine_hang_up(l);
}

int liaison_fd(const struct liaison *l)
{
    return l == NULL ? -1 : l->engine.epoll;
}

size_t liaison_outstanding(const struct liaison *l)
{
    return l == NULL ? 0 : l->engine.queued.n + l->engine.flying.n;
}

enum liaison_code liaison_welcome(struct liaison *l, const uint8_t **frame, size_t *len)
{
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (l->engine.welcome == NULL)
        return lib_fail(l, LIAISON_USAGE, "there was no connection yet: liaison_connect");
    *frame = l->engine.welcome;
    *len = l->engine.welcome_len;
    return LIAISON_OK;
}

/* ---------------------------------------------------------------- signed calls */

static enum liaison_code referral_call(struct liaison *l,
                                       const struct liaison_referral *r,
                                       Liaison__V1__Frame__BodyCase body, uint32_t flags,
                                       struct outcall **out)
{
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (r == NULL || r->sealed == NULL)
        return lib_fail(l, LIAISON_USAGE, "the referral is not sealed yet: liaison_seal");
    if ((flags & ~(uint32_t)LIAISON_STRIP) != 0)
        return lib_fail(l, LIAISON_USAGE, "flags that do not exist");
    return engine_signed_call(l, r->sealed, body, (flags & LIAISON_STRIP) != 0, out);
}

static enum liaison_code action_call(struct liaison *l, struct liaison_action *a,
                                     struct outcall **out)
{
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (a == NULL)
        return lib_fail(l, LIAISON_USAGE, "there is no action");
    if (a->sealed == NULL && (code = liaison_action_seal(l, a)) != LIAISON_OK)
        return code;
    return engine_signed_call(l, a->sealed, BODY(ACT), false, out);
}

enum liaison_code liaison_submit(struct liaison *l, const struct liaison_referral *r,
                                 uint32_t flags, struct liaison_answer **answer)
{
    struct outcall *c;
    enum liaison_code code = referral_call(l, r, BODY(SUBMIT), flags, &c);

    return code == LIAISON_OK ? engine_await(l, c, answer) : code;
}

enum liaison_code liaison_check(struct liaison *l, const struct liaison_referral *r,
                                uint32_t flags, struct liaison_answer **answer)
{
    struct outcall *c;
    enum liaison_code code = referral_call(l, r, BODY(CHECK), flags, &c);

    return code == LIAISON_OK ? engine_await(l, c, answer) : code;
}

enum liaison_code liaison_act(struct liaison *l, struct liaison_action *a,
                              struct liaison_answer **answer)
{
    struct outcall *c;
    enum liaison_code code = action_call(l, a, &c);

    return code == LIAISON_OK ? engine_await(l, c, answer) : code;
}

static enum liaison_code send_it(struct liaison *l, enum liaison_code code,
                                 struct outcall *c, uint64_t *call)
{
    if (code == LIAISON_OK)
        *call = engine_send(l, c);
    return code;
}

enum liaison_code liaison_send_submit(struct liaison *l, const struct liaison_referral *r,
                                      uint32_t flags, uint64_t *call)
{
    struct outcall *c = NULL;
    enum liaison_code code = referral_call(l, r, BODY(SUBMIT), flags, &c);

    return send_it(l, code, c, call);
}

enum liaison_code liaison_send_act(struct liaison *l, struct liaison_action *a,
                                   uint64_t *call)
{
    struct outcall *c = NULL;
    enum liaison_code code = action_call(l, a, &c);

    return send_it(l, code, c, call);
}

/* ---------------------------------------------------------------- mailboxes */

static enum liaison_code grant_call(struct liaison *l, uint32_t messages, uint64_t bytes,
                                    struct outcall **out)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Grant grant = LIAISON__V1__GRANT__INIT;
    enum liaison_code code = lib_enter(l);

    grant.messages = messages;
    grant.bytes = bytes;
    f.body_case = BODY(GRANT);
    f.grant = &grant;
    if (code != LIAISON_OK || (code = engine_caller_call(l, &f, BODY(DONE), out)) != LIAISON_OK)
        return code;
    (*out)->grant_messages = messages;
    (*out)->grant_bytes = bytes;
    return LIAISON_OK;
}

static enum liaison_code ack_call(struct liaison *l, const uint64_t *mailbox,
                                  const uint64_t *lease, size_t n, struct outcall **out)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Ack ack = LIAISON__V1__ACK__INIT;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (n == 0 || n > VALID_REPEATED_MAX || mailbox == NULL || lease == NULL)
        return lib_fail(l, LIAISON_USAGE, "1 to %d leases are wanted",
                        VALID_REPEATED_MAX);
    struct arena *a = arena_new();
    Liaison__V1__Lease *leases = a == NULL ? NULL : arena_alloc(a, n * sizeof *leases);

    ack.leases = leases == NULL ? NULL : arena_alloc(a, n * sizeof(Liaison__V1__Lease *));
    if (ack.leases == NULL) {
        arena_free(a);
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        liaison__v1__lease__init(&leases[i]);
        leases[i].mailbox = mailbox[i];
        leases[i].lease = lease[i];
        ack.leases[i] = &leases[i];
    }
    ack.n_leases = n;
    f.body_case = BODY(ACK);
    f.ack = &ack;
    code = engine_caller_call(l, &f, BODY(DONE), out);
    arena_free(a);
    return code;
}

enum liaison_code liaison_grant(struct liaison *l, uint32_t messages, uint64_t bytes)
{
    struct outcall *c;
    enum liaison_code code = grant_call(l, messages, bytes, &c);

    return code == LIAISON_OK ? engine_await(l, c, NULL) : code;
}

enum liaison_code liaison_ack(struct liaison *l, const uint64_t *mailbox,
                              const uint64_t *lease, size_t n)
{
    struct outcall *c;
    enum liaison_code code = ack_call(l, mailbox, lease, n, &c);

    return code == LIAISON_OK ? engine_await(l, c, NULL) : code;
}

enum liaison_code liaison_send_grant(struct liaison *l, uint32_t messages, uint64_t bytes,
                                     uint64_t *call)
{
    struct outcall *c = NULL;
    enum liaison_code code = grant_call(l, messages, bytes, &c);

    return send_it(l, code, c, call);
}

enum liaison_code liaison_send_ack(struct liaison *l, const uint64_t *mailbox,
                                   const uint64_t *lease, size_t n, uint64_t *call)
{
    struct outcall *c = NULL;
    enum liaison_code code = ack_call(l, mailbox, lease, n, &c);

    return send_it(l, code, c, call);
}

static int64_t until(int timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : lib_mono_ms() + timeout_ms;
}

enum liaison_code liaison_next(struct liaison *l, int timeout_ms,
                               struct liaison_answer **delivery)
{
    enum liaison_code code = lib_enter(l);

    return code == LIAISON_OK ? engine_receive(l, true, until(timeout_ms), delivery)
                              : code;
}

enum liaison_code liaison_receive(struct liaison *l, int timeout_ms,
                                  struct liaison_answer **answer)
{
    enum liaison_code code = lib_enter(l);

    return code == LIAISON_OK ? engine_receive(l, false, until(timeout_ms), answer)
                              : code;
}

/* ---------------------------------------------------------------- reading one referral */

/* The view must be of what was asked for; its signature is checked by liaison_verify. */
static bool view_of(const struct liaison_answer *a, const char *from,
                    const uint8_t id[16])
{
    const Liaison__V1__Card *card = a->frame->view->card;
    const void *m;

    if (card == NULL || card->referral == NULL ||
        valid_decode(&liaison__v1__envelope__descriptor,
                     slice(card->referral->envelope.data, card->referral->envelope.len),
                     a->arena, &m) != LIAISON_OK)
        return false;
    const Liaison__V1__Envelope *e = m;

    return strcmp(e->from, from) == 0 &&
           slice_equal(slice(e->id.data, e->id.len), slice(id, 16));
}

static enum liaison_code open_call(struct liaison *l, const char *from,
                                   const uint8_t id[16], struct outcall **out)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Open open = LIAISON__V1__OPEN__INIT;
    Liaison__V1__Reference referral = LIAISON__V1__REFERENCE__INIT;

    referral.from = (char *)(uintptr_t)from;
    referral.id = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)id};
    open.referral = &referral;
    f.body_case = BODY(OPEN);
    f.open = &open;
    return engine_caller_call(l, &f, BODY(VIEW), out);
}

enum liaison_code liaison_open_referral(struct liaison *l, const char *from,
                                        const char *id, struct liaison_answer **answer)
{
    struct liaison_answer *a = NULL;
    struct outcall *c;
    uint8_t bytes[16];
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (from == NULL || id == NULL || !id_name(from) || !id_parse(id, bytes))
        return lib_fail(l, LIAISON_FIELD, "a referral is named by its sender and its id");
    if ((code = open_call(l, from, bytes, &c)) != LIAISON_OK)
        return code;
    code = engine_await(l, c, &a);
    if (code == LIAISON_OK && !view_of(a, from, bytes)) {
        liaison_answer_free(a);
        return lib_fail(l, LIAISON_PROTOCOL,
                        "the broker answered with another referral than %s of %s", id,
                        from);
    }
    if (a != NULL && answer != NULL)
        *answer = a;
    else
        liaison_answer_free(a);
    return code;
}
